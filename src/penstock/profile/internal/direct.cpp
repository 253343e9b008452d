#include "penstock/profile/internal/direct.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "penstock/core/check.h"
#include "penstock/profile/internal/bootstrap.h"

namespace penstock::profile::internal {
namespace {

using ledger::Activity;
using train::RankRecord;
using train::RunRecord;
using train::StepRecord;

constexpr double kNano = 1e-9;

std::size_t common_steps(const RunRecord& record) {
  std::size_t least = record.ranks.empty() ? 0 : record.ranks.front().steps.size();
  for (const RankRecord& rank : record.ranks) least = std::min(least, rank.steps.size());
  return least;
}

// The first step that counts; a period needs the end of the step before it.
std::size_t first_counted(std::int64_t warmup) {
  return static_cast<std::size_t>(std::max<std::int64_t>(1, warmup));
}

using Part = std::function<double(const StepRecord&)>;

// The part in each counted step, averaged over the ranks.
std::vector<double> series_of(const RunRecord& record, std::int64_t warmup, const Part& part) {
  std::vector<double> series;
  const std::size_t steps = common_steps(record);
  for (std::size_t i = first_counted(warmup); i < steps; ++i) {
    double sum = 0;
    for (const RankRecord& rank : record.ranks) sum += part(rank.steps[i]);
    series.push_back(sum / static_cast<double>(record.ranks.size()));
  }
  return series;
}

double wait_s(const StepRecord& s) { return static_cast<double>(s.ready_ns - s.begin_ns) * kNano; }
double exposed_s(const StepRecord& s) { return static_cast<double>(s.exposed_ns) * kNano; }
double communicating_s(const StepRecord& s) {
  return static_cast<double>(s.exposed_ns + s.transport_ns) * kNano;
}
// All of the step that is neither waiting for data nor for other ranks.
double working_s(const StepRecord& s) {
  return static_cast<double>(s.end_ns - s.ready_ns - s.exposed_ns) * kNano;
}

const Part& part_of(Stall stall) {
  static const Part working = working_s;
  static const Part communicating = communicating_s;
  static const Part wait = wait_s;
  switch (stall) {
    case Stall::kContention:
      return working;
    case Stall::kInterconnect:
    case Stall::kNetwork:
      return communicating;
    case Stall::kPrep:
    case Stall::kFetch:
      break;
  }
  return wait;
}

std::vector<std::vector<double>> all_series(const std::vector<KeptRun>& runs, RunKind kind,
                                            std::int64_t warmup, const Part& part) {
  std::vector<std::vector<double>> all;
  for (const KeptRun& run : runs) {
    if (run.kind == kind) all.push_back(series_of(run.record, warmup, part));
  }
  return all;
}

bool tells_communication(const std::vector<KeptRun>& runs) {
  for (const KeptRun& run : runs) {
    for (const RankRecord& rank : run.record.ranks) {
      for (const StepRecord& step : rank.steps) {
        if (step.exposed_ns > 0) return true;
      }
    }
  }
  return false;
}

}  // namespace

TimedRun timed_run(RunKind kind, const RunRecord& record, std::int64_t warmup, std::int64_t batch) {
  TimedRun run{kind, {}};
  const std::size_t steps = common_steps(record);
  for (std::size_t i = first_counted(warmup); i < steps; ++i) {
    double sum = 0;
    for (const RankRecord& rank : record.ranks) {
      const auto period = static_cast<double>(rank.steps[i].end_ns - rank.steps[i - 1].end_ns);
      const std::int64_t samples = rank.steps[i].samples;
      const double scale =
          samples > 0 ? static_cast<double>(batch) / static_cast<double>(samples) : 1.0;
      sum += period * kNano * scale;
    }
    run.step_s.push_back(sum / static_cast<double>(record.ranks.size()));
  }
  return run;
}

std::vector<Phases> phases_of(const std::vector<KeptRun>& runs, std::int64_t warmup) {
  std::vector<Phases> all;
  for (int k = 0; k < kRunKinds; ++k) {
    Phases phases;
    phases.kind = static_cast<RunKind>(k);
    double steps = 0;
    for (const KeptRun& run : runs) {
      if (run.kind != phases.kind) continue;
      for (const RankRecord& rank : run.record.ranks) {
        for (std::size_t i = first_counted(warmup); i < rank.steps.size(); ++i) {
          const StepRecord& s = rank.steps[i];
          phases.wait_s += wait_s(s);
          phases.fetch_s += static_cast<double>(s.fetch_ns) * kNano;
          phases.forward_s += static_cast<double>(s.forward_ns) * kNano;
          phases.backward_s += static_cast<double>(s.backward_ns) * kNano;
          phases.exposed_s += exposed_s(s);
          phases.optimizer_s += static_cast<double>(s.optimizer_ns) * kNano;
          phases.sent_bytes += static_cast<double>(s.sent_bytes);
          steps += 1;
        }
      }
    }
    if (steps == 0) continue;
    for (double* part : {&phases.wait_s, &phases.fetch_s, &phases.forward_s, &phases.backward_s,
                         &phases.exposed_s, &phases.optimizer_s, &phases.sent_bytes}) {
      *part /= steps;
    }
    all.push_back(phases);
  }
  return all;
}

std::vector<DirectEstimate> direct_estimates(const Decomposition& stalls,
                                             const std::vector<KeptRun>& runs, std::int64_t warmup,
                                             const BootstrapOptions& options) {
  std::vector<DirectEstimate> all;
  for (const StallEstimate& stall : stalls.stalls) {
    const Part& part = part_of(stall.stall);
    DirectEstimate direct;
    direct.stall = stall.stall;
    direct.time_s = mean_difference(all_series(runs, stall.later, warmup, part),
                                    all_series(runs, stall.earlier, warmup, part),
                                    stalls.whole_s.value, stalls.run_to_run, options);
    // Without a repetition the intervals lack the variation between runs and are too narrow to
    // judge by; and some programs do not say how long they waited for others.
    const bool is_communication =
        stall.stall == Stall::kInterconnect || stall.stall == Stall::kNetwork;
    const bool is_judged =
        stalls.run_to_run_known && (!is_communication || tells_communication(runs));
    direct.agrees = !is_judged || (direct.time_s.low <= stall.time_s.high &&
                                   direct.time_s.high >= stall.time_s.low);
    all.push_back(direct);
  }
  return all;
}

ledger::Ledger ledger_of(const KeptRun& run, const std::string& title, std::int64_t warmup,
                         bool across_nodes) {
  ledger::Ledger ledger(title, ledger::Evidence::kMeasured);
  const Activity sums = across_nodes ? Activity::kNetwork : Activity::kInterconnect;
  const std::size_t first = first_counted(warmup);
  std::int64_t start = std::numeric_limits<std::int64_t>::max();
  std::int64_t end = 0;
  for (const RankRecord& rank : run.record.ranks) {
    if (rank.steps.size() <= first) continue;
    start = std::min(start, rank.steps[first].begin_ns);
    end = std::max(end, rank.steps.back().end_ns);
  }
  for (const RankRecord& rank : run.record.ranks) {
    const std::string name = fmt::format("rank{}", rank.hello.rank);
    ledger::Account& account = ledger.add_account(name);
    for (std::size_t i = first; i < rank.steps.size(); ++i) {
      const StepRecord& s = rank.steps[i];
      std::int64_t at = s.begin_ns;
      const auto spend = [&](Activity activity, const char* label, std::int64_t ns) {
        const std::int64_t until = std::min(at + std::max<std::int64_t>(0, ns), s.end_ns);
        if (until == at) return;
        const Seconds duration(static_cast<double>(until - at) * kNano);
        account.add(activity, label, duration);
        ledger.add_span(
            {name, label, activity, Seconds(static_cast<double>(at - start) * kNano), duration});
        at = until;
      };
      const std::int64_t wait = s.ready_ns - s.begin_ns;
      const std::int64_t fetch = std::min(s.fetch_ns, wait);
      const bool real = run.kind == RunKind::kWarm || run.kind == RunKind::kCold;
      spend(Activity::kFetch, "storage", fetch);
      spend(real ? Activity::kPrep : Activity::kCompute, real ? "batch" : "copy", wait - fetch);
      spend(Activity::kCompute, "forward", s.forward_ns);
      spend(Activity::kCompute, "backward", s.backward_ns);
      spend(sums, "gradients", s.exposed_ns);
      spend(Activity::kCompute, s.forward_ns > 0 ? "update" : "step", s.end_ns - at);
    }
  }
  // Spans are whole nanoseconds within [start, end] and follow one another, so their sum cannot
  // exceed the whole by more than rounding.
  const Status closed = ledger.close(Seconds(static_cast<double>(end - start) * kNano));
  PENSTOCK_CHECK(closed.has_value());
  return ledger;
}

}  // namespace penstock::profile::internal
