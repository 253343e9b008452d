#include "penstock/profile/schedule.h"

#include <algorithm>
#include <set>

#include "penstock/core/check.h"

namespace penstock::profile {
namespace {

// The kinds whose repetition narrows an interval that is still too wide.
std::vector<RunKind> kinds_to_repeat(const Decomposition& found, double precision) {
  std::set<RunKind> wanted;
  for (const StallEstimate& stall : found.stalls) {
    if (stall.time_s.half_width() <= precision * found.whole_s.value) continue;
    wanted.insert(stall.earlier);
    wanted.insert(stall.later);
  }
  if (found.stalls.empty() && found.compute_s.half_width() > precision * found.compute_s.value) {
    wanted.insert(RunKind::kSingle);
  }
  return {wanted.begin(), wanted.end()};
}

Result<Decomposition> decompose_first(const std::vector<MadeRun>& made, std::size_t count,
                                      const BootstrapOptions& options) {
  std::vector<TimedRun> runs;
  for (std::size_t i = 0; i < count; ++i) runs.push_back(made[i].run);
  return decompose(runs, options);
}

Seconds last_duration(const std::vector<MadeRun>& made, RunKind kind) {
  for (auto run = made.rbegin(); run != made.rend(); ++run) {
    if (run->run.kind == kind) return run->took;
  }
  return Seconds(0);
}

}  // namespace

std::string_view stop_reason_text(StopReason reason) {
  switch (reason) {
    case StopReason::kPrecise:
      return "the precision asked for";
    case StopReason::kTimeLimit:
      return "the time limit";
    case StopReason::kRounds:
      break;
  }
  return "the limit of rounds";
}

double worst_precision(const Decomposition& found) {
  double worst = found.stalls.empty() ? found.compute_s.half_width() / found.whole_s.value : 0;
  for (const StallEstimate& stall : found.stalls) {
    worst = std::max(worst, stall.time_s.half_width() / found.whole_s.value);
  }
  return worst;
}

NextRun next_run(const std::vector<RunKind>& kinds, const std::vector<MadeRun>& made,
                 Seconds elapsed, const ScheduleGoal& goal) {
  PENSTOCK_CHECK(!kinds.empty());
  constexpr int kFullRounds = 2;
  NextRun next;
  std::size_t round_start = 0;
  for (int number = 0; number < goal.max_rounds; ++number) {
    next.round = kinds;
    if (number >= kFullRounds) {
      const auto found = decompose_first(made, round_start, goal.bootstrap);
      if (!found) return next;  // the caller's decomposition will say why
      next.round = kinds_to_repeat(*found, goal.precision);
      if (next.round.empty()) return next;
    }
    if (number % 2 == 1) std::reverse(next.round.begin(), next.round.end());
    if (made.size() >= round_start + next.round.size()) {
      round_start += next.round.size();
      continue;
    }
    const std::size_t place = made.size() - round_start;
    for (std::size_t i = place; i < next.round.size(); ++i) {
      next.remaining += last_duration(made, next.round[i]);
    }
    const RunKind kind = next.round[place];
    if (number > 0 && elapsed + last_duration(made, kind) > goal.time_limit) {
      next.reason = StopReason::kTimeLimit;
      return next;
    }
    next.kind = kind;
    return next;
  }
  next.reason = StopReason::kRounds;
  return next;
}

}  // namespace penstock::profile
