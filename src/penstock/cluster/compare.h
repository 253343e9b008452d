// Many simulations side by side: policies compared with intervals, and sweeps over load, clusters
// and delays.
//
//   std::vector<std::vector<RunFigures>> runs(policies.size());
//   PENSTOCK_TRY_STATUS(simulate_each(runs.size(), make, [&](std::size_t i, SimulationResult it) {
//     runs[i].push_back(figures_of(make(i), it));
//     return Status{};
//   }, speeds, {}));
//   for (const Compared& policy : compare(runs, {})) policy.of(Figure::kMeanJct);
//
// Any number of threads gives the same figures, to the last bit.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/cluster/simulate.h"
#include "penstock/core/json_fwd.h"

namespace penstock::cluster {

struct SideBySide {
  int threads = 0;                       // 0: one a core
  std::function<bool()> stop = {};       // asked now and then; true ends in kNegative
  std::function<void()> simulated = {};  // after each simulation, one call at a time
};
// Simulates make(0) to make(count - 1), one simulation a thread, and hands each result to `take`,
// one at a time, in the order in which they end. An error ends it. `speeds` is cloned for each
// thread.
Status simulate_each(std::size_t count, const std::function<Simulation(std::size_t)>& make,
                     const std::function<Status(std::size_t, SimulationResult)>& take,
                     const SpeedBook& speeds, const SideBySide& how);

// What is compared of a run.
enum class Figure : std::uint8_t {
  kMeanJct,
  kP50Jct,
  kP95Jct,
  kP99Jct,
  kMakespan,
  kMeanWait,
  kCommunicationLoss,  // accelerator-hours
  kRestart,            // accelerator-hours
  kPreemptions,
  kUtilisation,
  kFragmentation,
  kWorstFairness,
  kCost,
};
inline constexpr int kFigures = 13;
std::string_view figure_key(Figure figure);  // "mean_jct_s", the key in Metrics::to_json()
double figure_of(const Metrics& metrics, Figure figure);

// One run, down to what comparing needs.
struct RunFigures {
  std::array<double, kFigures> figures{};
  // By job, in the order of submission, the same jobs in every run of one trace.
  std::vector<float> jct_s, wait_s, loss_accelerator_h;
};
RunFigures figures_of(const Simulation& simulation, const SimulationResult& result);

struct Interval {
  double value = 0;
  double low = 0;
  double high = 0;
};

// One policy over all traces.
struct Compared {
  std::array<double, kFigures> means{};  // over traces
  // 95 % intervals, where the data tell one: of every figure when there are several traces, else of
  // those that are means or sums over jobs.
  std::array<std::optional<Interval>, kFigures> intervals;
  // Relative to the first policy on the same traces or jobs, less one: -0.2 is a fifth less. Absent
  // where the first one's is zero; without interval (low = high = value) where `intervals` has
  // none.
  std::array<std::optional<Interval>, kFigures> against_first;
  double of(Figure figure) const { return means[std::size_t(figure)]; }
};

struct Resampling {
  int replicates = 2000;
  double confidence = 0.95;
  std::uint64_t seed = 0;
};
// `runs[policy][trace]`. With several traces, traces are resampled. With one, blocks of jobs that
// were submitted one after another (as many jobs as the cube root of all, circular: Politis and
// Romano 1992), because neighbours wait for one another; a makespan then has no interval. Every
// policy sees the same draws, so differences are paired. Percentile intervals.
std::vector<Compared> compare(const std::vector<std::vector<RunFigures>>& runs,
                              const Resampling& resampling);

// The same jobs arriving `load` times as fast, with as much time to their deadlines.
trace::JobTrace at_load(const trace::JobTrace& trace, double load);
// The cluster's links, prices and stated slowdowns in another shape; oversubscription stays.
Topology reshaped(const Topology& cluster, int racks, int nodes_per_rack,
                  int accelerators_per_node);
// The uplink of a rack carries what the nodes of the smallest rack can send, over `ratio`.
Topology oversubscribed(const Topology& cluster, double ratio);
// Every delay that a job waits by, times `factor`: delay-node, delay-rack and slurm-wait.
Policy with_timers(const Policy& policy, double factor);

// What a sweep has done, one JSON line a point in the order in which they ended, so that the same
// sweep goes on where it was stopped. A line that a killed run left half-written is dropped.
class SweepLog {
 public:
  // Fails where the file holds another sweep, or another process writes it.
  static Result<SweepLog> open(const std::string& path, const core::Json& spec, std::size_t points);
  // Keeps nothing on disk.
  explicit SweepLog(std::size_t points);
  ~SweepLog();
  SweepLog(SweepLog&& other) noexcept;
  SweepLog& operator=(SweepLog&&) = delete;

  bool has(std::size_t point) const { return !results_[point].empty(); }
  Status add(std::size_t point, const core::Json& result);
  core::Json result(std::size_t point) const;  // must be there
  std::size_t done() const;

 private:
  std::string path_;
  int file_ = -1;
  std::vector<std::string> results_;  // JSON text; empty: not yet
};

}  // namespace penstock::cluster
