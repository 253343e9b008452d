// How long it has paid to wait for a node or a rack: timers from recent waits.
//
//   DelayTuner tuner(settings);
//   tuner.add(Tier::kNode, 8, {.at = now, .wait = waited});                   // granted
//   tuner.add(Tier::kNode, 8, {.at = now, .wait = waited, .gave_up = true});  // or took a rack
//   const Timer timer = tuner.timer(Tier::kNode, 8, now);
//
// A job that gave up would have waited longer still: its wait is a right-censored sample. A tuner
// that saw only successes would collapse to short timers.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "penstock/cluster/policy.h"

namespace penstock::cluster {

struct WaitSample {
  Time at;    // when the wait ended
  Time wait;  // of this tier only
  bool gave_up = false;
};

struct Timer {
  Time value;
  int samples = 0;     // in the window, censored ones included
  int gave_up = 0;     // of them censored
  bool tuned = false;  // false: too few samples, the default
};

// Kept per tier and class of demand, the next power of two of the accelerators. Timer: the quantile
// (Settings::tuner_quantile) of the Kaplan-Meier estimate, twice the longest wait where too many
// gave up to tell; or mean + 2 sd of the granted waits. Over the last tuner_window samples no older
// than tuner_age; with fewer than tuner_confidence of them (granted ones, for mean + 2 sd) the
// default (delay_node, delay_rack). Every sample that comes or goes changes it at most twofold.
// Never below `interval` or one second, never above 8 defaults, which wins: a default of zero stays
// zero.
//
// A timer depends on the samples and on `now`, not on who asked before: explaining moves nothing.
class DelayTuner {
 public:
  // kNone always answers with the defaults.
  DelayTuner(const Settings& settings, Tuning tuning, Time interval);
  // `tier` is kNode or kRack: nothing lies beyond the network. In the order of `at`.
  void add(Tier tier, int accelerators, const WaitSample& sample);
  Timer timer(Tier tier, int accelerators, Time now);
  // For explain: the samples behind the timer, oldest first.
  std::vector<WaitSample> samples(Tier tier, int accelerators, Time now) const;

 private:
  struct History {
    std::deque<WaitSample> samples;   // oldest first
    std::vector<WaitSample> by_wait;  // the same, as kaplan_meier_quantile() wants them
    int gave_up = 0;
    std::optional<Time> tuned;  // none: the default
  };
  Time initial(Tier tier) const;
  static void drop_oldest(History& history);
  void expire(Tier tier, History& history, Time now);
  void retune(Tier tier, History& history);

  Settings settings_;
  Tuning tuning_;
  Time interval_;
  std::map<std::pair<Tier, int>, History> histories_;
};

// The wait that a fraction `quantile` of jobs would be granted within, by the product-limit
// estimate of Kaplan and Meier (1958); kNever where too many gave up to tell. The samples are
// sorted by wait, at equal waits the granted first.
Time kaplan_meier_quantile(const std::vector<WaitSample>& sorted, double quantile);

}  // namespace penstock::cluster
