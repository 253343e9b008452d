#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "penstock/core/interrupt.h"
#include "penstock/core/statistics.h"
#include "penstock/profile/internal/direct.h"
#include "penstock/profile/internal/setting.h"
#include "penstock/profile/what_if_validation.h"

namespace penstock::profile {
namespace {

// What a run over a link is to be like. Without a delay the kernel can limit it.
struct LinkCase {
  double rate = 0;
  std::optional<double> delay_s;
  std::int64_t bucket_bytes = 0;
};

std::vector<LinkCase> cases_of(const LinkValidationOptions& options) {
  std::vector<LinkCase> cases;
  for (const double rate : options.rates) {
    cases.push_back({rate, std::nullopt, options.bucket_bytes.front()});
    for (const double delay : options.delays_s) {
      for (const std::int64_t bucket : options.bucket_bytes) cases.push_back({rate, delay, bucket});
    }
  }
  return cases;
}

TrainProfile job_of(const LinkValidationOptions& options, const LinkCase& one) {
  TrainProfile profile;
  TrainProfileOptions& job = profile.options;
  job.model = options.model;
  job.batch = options.batch;
  if (options.model.empty()) {
    job.emulate = options.emulate;
    job.batch = options.emulate.batch;
  }
  job.ranks = job.nodes = options.ranks;
  job.link = Bandwidth(one.rate);
  job.delay = Seconds(one.delay_s.value_or(0));
  job.nodes_in_transport = one.delay_s.has_value();
  job.transport = train::Transport::kRing;
  job.bucket_bytes = one.bucket_bytes;
  job.steps = options.steps;
  job.seed = options.seed;
  return profile;
}

struct Measured {
  double step_s = 0;
  double backward_s = 0;
};

// The median step, which one that somebody disturbed does not move.
Result<Measured> measured_of(internal::KeptRun run, const TrainProfileOptions& job) {
  const std::vector<double> steps =
      internal::timed_run(run.kind, run.record, job.warmup, job.batch).step_s;
  if (run.record.interrupted) return core::negative("--validate", "interrupted");
  if (steps.empty()) return core::negative("--validate", "no step was counted");
  const std::vector<internal::KeptRun> runs = {std::move(run)};
  return Measured{core::median(steps), internal::phases_of(runs, job.warmup).front().backward_s};
}

}  // namespace

Result<std::vector<ThrottledCase>> validate_links(const LinkValidationOptions& options) {
  std::vector<ThrottledCase> cases;
  PipelineFacts facts;
  for (const LinkCase& one : cases_of(options)) {
    TrainProfile profile = job_of(options, one);
    PENSTOCK_TRY(const std::unique_ptr<internal::Setting> setting,
                 internal::Setting::prepare(profile));
    const auto run = [&](RunKind kind) -> Result<Measured> {
      PENSTOCK_TRY(train::RunRecord record, setting->run(kind, static_cast<int>(cases.size())));
      return measured_of({kind, std::move(record)}, profile.options);
    };
    if (cases.empty()) {
      PENSTOCK_TRY(const Measured alone, run(RunKind::kContention));
      facts.batch = static_cast<double>(profile.options.batch);
      facts.ranks = options.ranks;
      facts.step_s = alone.step_s;
      facts.backward_s = alone.backward_s;
      facts.gradient_bytes = profile.gradient_bytes;
    }
    Conditions conditions;
    conditions.link = {one.delay_s.value_or(0), one.rate};
    conditions.buckets.bytes = one.bucket_bytes;
    conditions.buckets.first_bytes = std::min(conditions.buckets.first_bytes, one.bucket_bytes);
    ThrottledCase now{
        fmt::format("{}, {}, buckets of {}", core::format_quantity(Bandwidth(one.rate)),
                    one.delay_s ? core::format_quantity(Seconds(*one.delay_s)) + " in the transport"
                                : profile.link_text,
                    core::format_quantity(Bytes(static_cast<double>(one.bucket_bytes)))),
        predict(facts, conditions).samples_per_s, 0};
    if (options.progress) fmt::print(stderr, "    {}\n", now.conditions);
    PENSTOCK_TRY(const Measured measured, run(RunKind::kNodes));
    now.measured = facts.batch * facts.ranks / measured.step_s;
    cases.push_back(std::move(now));
  }
  return cases;
}

}  // namespace penstock::profile
