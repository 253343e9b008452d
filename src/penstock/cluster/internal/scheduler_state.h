// What the scheduler knows, and the walks over it. One walk follows every event: it goes over the
// jobs in the order of the policy and gives accelerators away.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "penstock/cluster/internal/capacity.h"
#include "penstock/cluster/internal/pending.h"
#include "penstock/cluster/policy.h"
#include "penstock/cluster/scheduler.h"
#include "penstock/cluster/speed.h"
#include "penstock/cluster/topology.h"
#include "penstock/cluster/tuner.h"

namespace penstock::cluster {

using internal::Capacity;
using internal::PendingEntry;
using internal::PendingList;

inline constexpr JobRef kNoJob = -1;

struct SchedulerJob {
  JobRequest request;
  bool active = false;
  bool running = false;
  bool joined_running = false;  // moved to a lower queue in this walk, not yet confirmed there
  Tier best = Tier::kNode;
  Tier allowed = Tier::kNode;
  bool offered = false;
  std::int32_t queue = 0;
  std::uint32_t pending_version = 0;  // entries of another version are stale
  std::uint32_t run_version = 0;
  std::uint64_t arrival = 0;  // order of arrival
  Time submit;
  Time held;        // up to held_since
  Time useful;      // up to since
  Time worked;      // likewise
  Time remaining;   // up to since
  Time held_since;  // running
  Time started;     // this stay
  Time settled;     // when it began, or begins, to make progress in this stay
  Time since;       // progress is counted from here; in the future while it is being restored
  double rate = 0;
  Placement placement;
  JobRef previous = kNoJob;  // in its queue's running jobs
  JobRef next = kNoJob;
  Placement planned;          // of this walk, where all are placed anew
  double key = 0;             // while pending, and of the last walk
  std::int64_t sequence = 0;  // while pending
  Time first_offer;
  Time rack_at = kNever;
  Time network_at = kNever;
  std::array<Timer, kTiers> timers{};
};

// Whether two pending jobs wait in the same list, so that what would do for one does for the other.
inline bool shares_list(const SchedulerJob& a, const SchedulerJob& b) {
  return a.queue == b.queue && a.request.accelerators == b.request.accelerators &&
         a.allowed == b.allowed;
}

struct SchedulerQueue {
  JobRef head = kNoJob;
  JobRef tail = kNoJob;
  std::int64_t running_demand = 0;
  std::vector<PendingList> lists;  // by accelerators, then by allowed tier
};

// Of a job at its best placement's speed.
struct Progress {
  Time useful;
  Time remaining;
  Time worked;
};

// Of nodes that lie together; empty: none.
struct NodeRange {
  std::int32_t begin = 0;
  std::int32_t end = 0;
};

struct Wakeup {
  Time at;
  JobRef job = kNoJob;
  std::uint32_t version = 0;
  bool operator<(const Wakeup& other) const {  // for a heap whose front is the earliest
    return at != other.at ? at > other.at : job > other.job;
  }
};

struct Scheduler::State {
  State(const Topology& topology, const Policy& which, SpeedBook& book, double congestion_factor);

  const Topology& cluster;
  const Policy policy;
  const Order& order;
  SpeedBook& speeds;
  const double congestion;
  const bool by_count;
  const bool keeps_running;  // someone reads the lists of running jobs
  Capacity capacity;
  std::optional<Capacity> plan;  // where all jobs are placed anew
  DelayTuner tuner;
  std::vector<SchedulerJob> jobs;
  std::vector<JobRef> unused;
  std::vector<SchedulerQueue> queues;
  std::vector<JobRef> mixed;  // running jobs of a mixed order, in the order of the last walk
  std::vector<Wakeup> demotions;
  std::vector<Wakeup> patience_ends;
  Time min_run_end = kNever;  // when a job that was too young to be preempted no longer is
  std::vector<Decision> decisions;
  std::uint64_t arrivals = 0;
  std::int64_t event = 1;
  std::int64_t joins = 0;    // to a tail, in this event
  std::int64_t returns = 0;  // preempted, in this event (mixed orders)
  std::int64_t front = 0;    // counts down: preempted jobs stand before older pending ones
  std::int32_t pending = 0;
  std::int32_t running = 0;
  std::int64_t pending_demand = 0;
  std::int64_t running_demand = 0;
  bool freed = false;  // accelerators, since the last walk
  Time now;
  std::vector<JobRef> dropped, starting, due;  // of one walk
  std::vector<std::int32_t> reclaimable;       // per node, of one try
  JobRef reserved_for = kNoJob;                // of this walk

  SchedulerJob& job(JobRef ref) { return jobs[std::size_t(ref)]; }
  const SchedulerJob& job(JobRef ref) const { return jobs[std::size_t(ref)]; }

  // scheduler.cpp: jobs through their states
  JobView view(const SchedulerJob& job) const;  // as of `now`
  Time held(const SchedulerJob& job) const;
  Progress progress(const SchedulerJob& job) const;
  void advance(SchedulerJob& job);
  double slowdown(const SchedulerJob& job, Tier tier) const;
  double slowdown_at(const SchedulerJob& job, const Placement& placement) const;
  std::int64_t tail_sequence() { return (event << 32) | (std::int64_t{1} << 31) | joins++; }
  void link(JobRef ref);
  void unlink(JobRef ref);
  void make_pending(JobRef ref, std::int64_t sequence);
  void take_from_pending(JobRef ref);
  void start(JobRef ref, Placement placement);
  void stop(JobRef ref);  // running no more, and nothing yet
  void preempt(JobRef ref);
  Time preemptible_from(const SchedulerJob& job) const;
  void expect_demotion(JobRef ref);

  // scheduler_clocks.cpp: delay clocks, queue limits
  Patience patience(SchedulerJob& job) const;
  void ask_timers(SchedulerJob& job);
  void push_list(JobRef ref, std::int64_t sequence);
  void leave_list(SchedulerJob& job);
  PendingList& list_of(SchedulerQueue& queue, std::int32_t accelerators, Tier allowed);
  void offer(JobRef ref);
  void offer(PendingList& list);
  void end_patience();
  // How long it has insisted on a node, and then on a rack, since its first offer.
  std::pair<Time, Time> declined(const SchedulerJob& job) const;
  void record_wait(const SchedulerJob& job, Tier tier);
  void demote();
  void confirm_demotion(JobRef ref);
  Time queue_end(const SchedulerJob& job) const;
  Time oracle_jump() const;
  Time next_wakeup();

  // walk_by_count.cpp: only the number of free accelerators matters
  PendingList* first(SchedulerQueue& queue, std::int64_t available);
  void walk_queues_by_count();
  void walk_mixed_by_count();
  bool take_room(JobRef ref, std::int64_t& available);
  void select(JobRef ref);
  void empty_plan();
  void move_to_plan();
  void apply_by_count();

  // walk_by_place.cpp
  void walk_by_place();
  bool try_start(JobRef ref, int level);
  bool choose(const SchedulerJob& job, Tier tier, Placement& placement) const;
  bool try_preempt(JobRef ref, int level);
  int clearable(std::int32_t node, int demand) const;
  NodeRange place_to_clear(int demand, Tier tier) const;
  void clear_whole_nodes(NodeRange place, int demand, const std::vector<JobRef>& victims);
  void clear_room(NodeRange place, int demand, const std::vector<JobRef>& victims);
  void collect_victims(const SchedulerJob& job, int level, std::vector<JobRef>& victims);
  void migrate();
  void hold_back();
};

}  // namespace penstock::cluster
