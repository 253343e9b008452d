// Replays a trace of jobs on a simulated cluster under a policy.
//
//   PENSTOCK_TRY(const SimulationResult result, simulate({.trace = trace, .cluster = cluster,
//                                                         .policy = policy}, speeds));
//   result.metrics.mean_jct
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "penstock/cluster/policy.h"
#include "penstock/cluster/scheduler.h"
#include "penstock/cluster/speed.h"
#include "penstock/cluster/topology.h"
#include "penstock/core/result.h"
#include "penstock/ledger/ledger.h"
#include "penstock/trace/jobs.h"

namespace penstock::cluster {

enum class Contention : std::uint8_t {
  kNone,
  kFactor,  // multiplies slowdown - 1 of every job that leaves its node
  kFluid,   // max-min shares of the uplinks
};

// One job at one moment, for explain.
struct Watch {
  std::int32_t job = -1;  // index into the trace; -1: none
  Time at{};
};
struct WatchedJob {
  bool submitted = false;
  bool ended = false;
  JobStatus status;                                // if it is between
  std::int32_t free = 0;                           // accelerators
  std::int32_t pending = 0;                        // jobs
  std::array<std::vector<WaitSample>, 2> samples;  // behind its timers: for a node, for a rack
};

struct Simulation {
  const trace::JobTrace& trace;
  const Topology& cluster;
  Policy policy;
  Contention contention = Contention::kNone;
  double congestion = 1;       // kFactor
  Time round{};                // decisions only at its multiples; zero: at every event
  Time start_cost{};           // from the decision to the first progress of every start
  std::int64_t first = 0;      // only so many jobs by time; 0: all
  bool keep_episodes = false;  // who ran where when, for Gantts and traces
  bool keep_timers = false;    // every timer that was given
  Watch watch{};
  // Called now and then with simulated time and jobs done; false stops (ErrorKind::kNegative).
  std::function<bool(Time, std::int64_t)> progress = {};
};

struct JobOutcome {
  std::int32_t job = 0;  // index into the trace
  std::int32_t starts = 0;
  std::int32_t preemptions = 0;
  std::int32_t migrations = 0;
  Time start;  // first
  Time end;
  Time held;               // all its time on accelerators
  Time restart;            // of it, saving and restoring
  Time declined_for_node;  // of its waiting: since its first offer only a node would do
  Time declined_for_rack;
};

// One stay of one job on its accelerators.
struct Episode {
  std::int32_t job = 0;
  Time start;
  Time end;
  Placement placement;
};

struct TimerPoint {
  Time at;
  Tier tier;
  std::int32_t accelerators;
  Time value;
  bool tuned;
};

struct Metrics {
  std::int64_t jobs = 0;
  double mean_jct_s = 0, p50_jct_s = 0, p95_jct_s = 0, p99_jct_s = 0;  // element floor(q n) from 1
  double makespan_s = 0;  // from the first submission to the last end
  std::int64_t preemptions = 0, migrations = 0;
  // Means over jobs: all waiting, and of it what was declined for a node's and for a rack's sake.
  double mean_wait_s = 0, declined_for_node_s = 0, declined_for_rack_s = 0;
  double communication_loss_accelerator_h = 0;  // held beyond what the best placement would need
  double restart_accelerator_h = 0;
  double utilisation = 0;    // held over there to hold, until the last end
  double fragmentation = 0;  // free though a pending job asks for no more than is free
  double mean_fairness = 0, worst_fairness = 0;  // JCT / (work * mean contention in its life)
  double cost_usd = 0;                           // of the cluster until the last end; 0: no price
  std::int64_t events = 0, decisions = 0;
  core::Json to_json() const;
};

struct SimulationResult {
  std::vector<JobOutcome> outcomes;  // by submission
  std::vector<Episode> episodes;     // by start
  std::vector<TimerPoint> timers;
  Metrics metrics;
  WatchedJob watched;
  std::array<std::int64_t, kSpeedSources> speed_sources{};  // starts by SpeedSource
  ledger::Ledger ledger;
};

Result<SimulationResult> simulate(const Simulation& simulation, SpeedBook& speeds);

}  // namespace penstock::cluster
