// Pollux's workloads: applications and batches, whose work follows from the application.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "penstock/core/nearest.h"
#include "penstock/trace/internal/exact.h"
#include "penstock/trace/internal/intake.h"
#include "penstock/trace/internal/pollux_steps.h"
#include "penstock/trace/internal/readers.h"

namespace penstock::trace::internal {
namespace {

struct Application {
  std::string_view name;
  std::int64_t samples;  // of an epoch
  std::int64_t epochs;
};
// Epochs: max_epochs in Pollux's simulator/applications.py (petuum/adaptdl, branch osdi21-artifact,
// de25dcc). Samples: the size of the public data set where its validation-*.csv count it (progress
// of an epoch times the initial batch: CIFAR-10, ImageNet-1k, PASCAL VOC 2007 + 2012), else what
// they count (ML-1M with four negatives, SQuAD features, CMU-ARCTIC). A batch larger than the
// initial one needs more samples to the same end, there up to 1.3 times; that is left out.
constexpr std::array<Application, 6> kApplications = {{
    {"bert", 88'738, 2},
    {"cifar10", 50'000, 100},
    {"deepspeech2", 7'135, 80},
    {"imagenet", 1'281'167, 90},
    {"ncf", 4'972'298, 10},
    {"yolov3", 16'551, 50},
}};

const Application* find_application(std::string_view name) {
  const auto* found = std::find_if(kApplications.begin(), kApplications.end(),
                                   [&](const Application& a) { return a.name == name; });
  return found == kApplications.end() ? nullptr : found;
}

std::string nearest_application(std::string_view name) {
  std::vector<std::string> names;
  for (const Application& application : kApplications) names.emplace_back(application.name);
  const std::string nearest = core::did_you_mean(name, names);
  return nearest.empty() ? fmt::format("known are {}", fmt::join(names, ", ")) : nearest;
}

// The step times of each application, read when the first job asks.
class StepTimes {
 public:
  explicit StepTimes(const std::string& folder) : folder_(folder) {}

  Result<double> step_s(const std::string& application, std::int32_t replicas, std::int32_t batch) {
    auto found = read_.find(application);
    if (found == read_.end()) {
      found = read_.emplace(application, PolluxSteps::read(folder_, application)).first;
    }
    if (!found->second) return core::fail(found->second.error());
    return found->second->step_s(replicas, batch);
  }

 private:
  std::string folder_;
  std::map<std::string, Result<PolluxSteps>> read_;
};

}  // namespace

Result<JobTrace> read_pollux(const Source& source) {
  if (source.format.profiles.empty()) {
    return core::input_error(source.name, "says what to train and not how long it takes",
                             "give Pollux's folder of measured step times as --profiles FOLDER");
  }
  StepTimes times(source.format.profiles);
  Rows rows(source.text, source.name, {.has_quotes = true});
  const int name = rows.column("name");
  const int time = rows.column("time");
  const int application = rows.column("application");
  const int replicas = rows.column("num_replicas");
  const int batch = rows.column("batch_size");
  Intake intake(rows, name);
  while (rows.next()) {
    TrainingJob job;
    job.submit_ns = rows.time_ns(time, kSecondDigits);
    job.accelerators = rows.accelerators(replicas);
    job.batch = static_cast<std::int32_t>(rows.count(batch, 1, kMostBatch));
    const Application* known = find_application(rows.text(application));
    if (known == nullptr) {
      rows.wrong(application, "is unknown", nearest_application(rows.text(application)));
    }
    if (rows.is_good()) {
      job.model = intake.model(known->name);
      const auto step = times.step_s(std::string(known->name), job.accelerators, job.batch);
      if (!step && !step.error().where.empty()) return core::fail(step.error());
      if (!step) {
        rows.wrong(replicas, step.error().message, step.error().mend);
      } else {
        const std::int64_t samples = known->samples * known->epochs;
        job.iterations = (samples + job.batch - 1) / job.batch;
        const double ns = static_cast<double>(job.iterations) * *step * 1e9;
        if (ns < 1 || ns > static_cast<double>(kLongest)) {
          rows.wrong(application, "takes no time, or over 100 years", "check the step times");
        } else {
          job.duration_ns = std::llround(ns);
        }
      }
    }
    intake.add(std::move(job));
  }
  return intake.finish(Origin::kEarliest);
}

}  // namespace penstock::trace::internal
