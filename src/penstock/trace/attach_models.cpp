#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "penstock/core/random.h"
#include "penstock/trace/jobs.h"

namespace penstock::trace {
namespace {

// The recipe by which Pollux made its workloads from the Philly trace: petuum/adaptdl, branch
// osdi21-artifact, simulator/workload.py.
struct ServiceClass {
  double below_h;  // accelerator-hours
  std::array<const char*, 2> models;
};
constexpr std::array<ServiceClass, 4> kClasses = {{{1, {"cifar10", "ncf"}},
                                                   {10, {"deepspeech2", "bert"}},
                                                   {100, {"yolov3", "yolov3"}},
                                                   {1e300, {"imagenet", "imagenet"}}}};

std::int32_t index_of(std::vector<std::string>& models, const char* model) {
  const auto found = std::find(models.begin(), models.end(), model);
  if (found != models.end()) return std::int32_t(found - models.begin());
  models.emplace_back(model);
  return std::int32_t(models.size() - 1);
}

}  // namespace

void attach_models(JobTrace& trace, std::uint64_t seed) {
  core::RandomStream random(seed, "attached models");
  std::size_t attached = 0;
  for (TrainingJob& job : trace.jobs) {
    const std::uint64_t which = random.below(2);  // of every job, so that its place decides
    if (job.model >= 0) continue;
    const double hours = double(job.duration_ns) / 3600e9 * job.accelerators;
    const auto* found = std::find_if(kClasses.begin(), kClasses.end(),
                                     [&](const ServiceClass& it) { return hours < it.below_h; });
    job.model = index_of(trace.models, found->models[which]);
    ++attached;
  }
  if (attached == 0) return;
  trace.notes.push_back(
      fmt::format("{} jobs name no model and were given one by their accelerator-time.", attached));
}

}  // namespace penstock::trace
