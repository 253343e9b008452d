// Which run to make next, and when the runs are enough: a pure function of what has been measured.
//
//   while (const std::optional<RunKind> kind = next_run(kinds, history, elapsed, goal)) {
//     history.push_back(measure(*kind));
//   }
//
// Rounds alternate their direction (A B C, C B A, ...), so that a slow drift of the machine falls
// on every kind alike. Two rounds are always made: without a repetition nothing is known about the
// variation between runs. Later rounds leave out what no wide interval depends on.
#pragma once

#include <optional>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/profile/stalls.h"

namespace penstock::profile {

struct ScheduleGoal {
  double precision = 0.05;  // half the interval of every difference, as a fraction of the step
  Seconds time_limit{600};
  int max_rounds = 20;
  BootstrapOptions bootstrap{};
};

// A run that was made, and how long it took with its start and end.
struct MadeRun {
  TimedRun run;
  Seconds took;
};

enum class StopReason { kPrecise, kTimeLimit, kRounds };
std::string_view stop_reason_text(StopReason reason);

struct NextRun {
  std::optional<RunKind> kind;  // empty: stop
  StopReason reason = StopReason::kPrecise;
  std::vector<RunKind> round;  // of this round, in its order, what is still to be run included
  Seconds remaining;           // estimate, of the rest of this round
};

// `kinds` in the order of RunKind. The first round is made whatever it takes; after it no run is
// started that would end past the limit if it took as long as the last one of its kind.
NextRun next_run(const std::vector<RunKind>& kinds, const std::vector<MadeRun>& made,
                 Seconds elapsed, const ScheduleGoal& goal);

// The widest half interval of a difference, as a fraction of the whole step; of the step itself
// where there is no difference.
double worst_precision(const Decomposition& found);

}  // namespace penstock::profile
