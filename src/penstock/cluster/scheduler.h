// The decisions of a cluster: told what happens, it answers who starts where, who is preempted, who
// moves. It owns no clock, thread or socket; the simulator and the live scheduler drive it alike.
//
//   Scheduler scheduler(cluster, policy, speeds);
//   const JobRef job = scheduler.arrive({.accelerators = 8, .job_class = c, .work = hours}, now);
//   for (const Decision& decision : scheduler.decide(now)) carry_out(decision);
//   scheduler.finish(job, later);
//   wake_at(scheduler.next_wakeup());     // a delay timer or a queue limit runs out then
//
// Time must not go backwards. A reference is valid from arrive() to finish(), then reused.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "penstock/cluster/policy.h"
#include "penstock/cluster/speed.h"
#include "penstock/cluster/topology.h"
#include "penstock/cluster/tuner.h"

namespace penstock::cluster {

using JobRef = std::int32_t;

struct JobRequest {
  std::int64_t id = 0;  // the caller's; ties that nothing else breaks go by order of arrival
  std::int32_t accelerators = 1;
  std::int32_t job_class = 0;  // of the SpeedBook
  Time work;                   // at the best placement
  double skew = 0;             // WaitView::skew
};

enum class DecisionKind : std::uint8_t { kStart, kPreempt, kMigrate };

struct Decision {
  DecisionKind kind = DecisionKind::kStart;
  JobRef job = 0;
  Placement placement;  // kStart, kMigrate: where to; kPreempt: where from
  // kStart: for how long it had insisted on a node, then on a rack, since it first declined.
  Time declined_for_node;
  Time declined_for_rack;
};

// Where a job stands, for explain, for reports and for the live scheduler's journal.
struct JobStatus {
  std::int64_t id = 0;
  std::int32_t accelerators = 0;
  bool running = false;
  Placement placement;  // where it runs
  Time submit;
  Time held;  // attained service over accelerators
  Time useful;
  Time worked;      // JobView::worked
  Time remaining;   // at the best placement
  double rate = 0;  // of progress, relative to the best placement
  int queue = 0;
  Tier best = Tier::kNode;
  Tier allowed = Tier::kNode;             // pending: what it would accept now
  bool offered = false;                   // pending: accelerators were free and it declined
  Time first_offer;                       // then: since when
  Time rack_at = kNever;                  // then: when a rack will do
  Time network_at = kNever;               // and when anything will
  std::array<Timer, kTiers> timers;       // that it was given
  std::array<double, kTiers> slowdown{};  // of accepting each tier
};

class Scheduler {
 public:
  // `cluster` and `speeds` must outlive it.
  // `congestion` multiplies what leaving a node costs: slowdown - 1.
  Scheduler(const Topology& cluster, const Policy& policy, SpeedBook& speeds,
            double congestion = 1);
  ~Scheduler();

  // The request must fit the cluster.
  JobRef arrive(const JobRequest& request, Time now);
  // Takes a job up where another scheduler has left it, running or pending, with its service and
  // its clock: after a restart, or where the cluster has changed under it. A rate of zero: what the
  // speeds give. In the order of arrival.
  JobRef restore(const JobRequest& request, const JobStatus& left, Time now);
  void finish(JobRef job, Time now);  // running, or pending (cancelled)
  // What the job's placement and the traffic around it allow; until told, 1 / the slowdown that the
  // speeds give. Progress begins at `from`, when a started job has been restored. Returns what
  // remains, at the best placement.
  Time set_rate(JobRef job, double rate, Time from, Time now);
  // A job lost its accelerators without our doing (a node died): pending again.
  void lost(JobRef job, Time now);
  void node_down(std::int32_t node, Time now);  // its jobs must have been told lost
  void node_up(std::int32_t node, Time now);

  // Valid until the next call. Preemptions come before the starts that they make room for.
  const std::vector<Decision>& decide(Time now);
  // When decide() must be called though nothing happens; kNever: it need not.
  Time next_wakeup();

  JobStatus status(JobRef job, Time now) const;
  std::int32_t free_accelerators() const;
  std::int32_t pending() const;         // jobs
  std::int64_t pending_demand() const;  // accelerators that pending jobs ask for
  // A pending job wants no more than is free: accelerators idle for the sake of placement.
  bool declined() const;
  DelayTuner& tuner();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock::cluster
