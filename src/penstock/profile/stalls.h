// From timed runs to stalls: what each step of training waits for, with 95 % intervals.
//
//   std::vector<TimedRun> runs;
//   runs.push_back({RunKind::kSingle, step_times});        // repeated runs of a kind are welcome
//   runs.push_back({RunKind::kWarm, step_times});
//   PENSTOCK_TRY(const Decomposition found, decompose(runs, {.seed = 0}));
//   for (const StallEstimate& stall : found.stalls) print(stall.time.value, stall.share);
//
// Stash's differences (ICDCS 2023) with a control run in between: k ranks without all-reduce tell
// what sharing one machine costs from what communication costs. Nothing is clamped: a difference
// whose interval holds zero is noise and says so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/core/result.h"

namespace penstock::profile {

// In the order in which each adds one cause of waiting to those before it.
enum class RunKind {
  kSingle,      // one rank, synthetic data
  kContention,  // k ranks, synthetic data, no all-reduce
  kRanks,       // k ranks of one node, synthetic data
  kNodes,       // the same number of ranks on several nodes, synthetic data
  kWarm,        // real data, cached
  kCold,        // real data, caches dropped
};
inline constexpr int kRunKinds = 6;
std::string_view run_kind_name(RunKind kind);  // "single", "contention", "ranks", ...

enum class Stall { kContention, kInterconnect, kNetwork, kPrep, kFetch };
std::string_view stall_name(Stall stall);  // "contention", "interconnect", "network", ...

// The counted steps of one run, each rescaled to the same number of samples a rank.
struct TimedRun {
  RunKind kind = RunKind::kSingle;
  std::vector<double> step_s;
};

struct Interval {
  double value = 0;
  double low = 0;
  double high = 0;
  bool holds_zero() const { return low <= 0 && high >= 0; }
  double half_width() const { return (high - low) / 2; }
};

struct RunSummary {
  RunKind kind = RunKind::kSingle;
  int runs = 0;
  std::int64_t steps = 0;
  Interval step_s;
  double min_s = 0;  // of a single step
  double max_s = 0;
};

struct StallEstimate {
  Stall stall = Stall::kContention;
  RunKind later = RunKind::kContention;  // the difference of this run ...
  RunKind earlier = RunKind::kSingle;    // ... and this one
  Interval time_s;                       // of a step
  double share = 0;                      // of the step with every stall in it; shares sum to one
  // As Stash and DS-Analyzer divide: interconnect and contention by the step of k ranks, network by
  // the step on one node (unbounded), prep by the warm step, fetch by the cold one.
  double paper_share = 0;
  bool noise() const { return time_s.holds_zero(); }
};

struct Decomposition {
  std::vector<RunSummary> runs;  // in the order of RunKind, those that were measured
  Interval compute_s;            // the step of one rank alone
  double compute_share = 0;
  Interval whole_s;  // the step with every stall that was measured
  std::vector<StallEstimate> stalls;
  double run_to_run = 0;         // standard deviation between runs of a kind, relative to the step
  bool run_to_run_known = true;  // false where no kind was run twice

  const StallEstimate* find(Stall stall) const;
  const RunSummary* find(RunKind kind) const;
};

struct BootstrapOptions {
  int replicates = 2000;
  double confidence = 0.95;
  std::uint64_t seed = 0;
};

// The differences between each kind of run that is there and the one before it. The intervals come
// from a moving-block bootstrap of the steps within each run, widened by the variation between runs
// of the same kind, which is pooled over the kinds; the order of `runs` does not matter. Fails
// without a single-rank run, and on a run without steps.
Result<Decomposition> decompose(const std::vector<TimedRun>& runs, const BootstrapOptions& options);

// The rate at which a resource alone would feed or do the training.
struct ResourceRate {
  std::string name;
  double samples_per_s = 0;
  bool at_least = false;  // it was never seen to bind, so its rate is only a lower bound
  // Its time adds to that of its like in the step, as communication that shows adds to computing;
  // the other resources work beside the step.
  bool in_step = false;
};

struct ResourceSlack {
  std::string name;
  double samples_per_s = 0;
  bool at_least = false;
  double slack = 0;   // rate over the rate reached: 1 binds
  double gain = 0;    // what making this resource infinitely fast adds, as a fraction
  std::string binds;  // what binds then; empty where nothing else is known
};

// "Fix prep and you gain at most 31 % before the disk binds", for each resource.
std::vector<ResourceSlack> slack_of(const std::vector<ResourceRate>& rates, double reached);

}  // namespace penstock::profile
