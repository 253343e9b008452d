#include "penstock/cluster/scheduler.h"

#include <cmath>
#include <utility>

#include "penstock/cluster/internal/scheduler_state.h"
#include "penstock/core/check.h"

namespace penstock::cluster {

Scheduler::State::State(const Topology& topology, const Policy& which, SpeedBook& book,
                        double congestion_factor)
    : cluster(topology),
      policy(which),
      order(policy.order),
      speeds(book),
      congestion(congestion_factor),
      by_count(policy.rule.by_count || policy.rule.anew || topology.nodes.size() == 1),
      keeps_running(policy.order.preemptive || policy.settings.migrate || policy.rule.anew),
      capacity(topology, policy.settings.whole_nodes),
      tuner(policy.settings, policy.rule.tuning, sim::duration_of(Seconds(1))),
      queues(std::size_t(policy.order.queues)) {}

Time Scheduler::State::held(const SchedulerJob& job) const {
  return job.running ? job.held + (now - job.held_since) : job.held;
}

Progress Scheduler::State::progress(const SchedulerJob& job) const {
  if (!job.running || now <= job.since) return {job.useful, job.remaining, job.worked};
  const Time passed = now - job.since;
  const Time done = job.rate == 1 ? passed : Time{std::llround(double(passed.ns) * job.rate)};
  return {job.useful + done, std::max(Time{0}, job.remaining - done), job.worked + passed};
}

void Scheduler::State::advance(SchedulerJob& job) {
  const Progress reached = progress(job);
  job.useful = reached.useful;
  job.remaining = reached.remaining;
  job.worked = reached.worked;
  if (job.running) job.since = std::max(job.since, now);
}

JobView Scheduler::State::view(const SchedulerJob& job) const {
  const Progress reached = progress(job);
  return {.accelerators = job.request.accelerators,
          .submit = job.submit,
          .held = held(job),
          .useful = reached.useful,
          .remaining = reached.remaining,
          .worked = reached.worked};
}

double Scheduler::State::slowdown(const SchedulerJob& job, Tier tier) const {
  if (tier <= job.best) return 1;
  return 1 + congestion * (speeds.slowdown(job.request.job_class, cluster, tier) - 1);
}

double Scheduler::State::slowdown_at(const SchedulerJob& job, const Placement& placement) const {
  if (cluster.nodes.size() == 1) return 1;
  const double slowdown = speeds.at(job.request.job_class, cluster, placement).slowdown;
  return placement.parts.size() == 1 ? slowdown : 1 + congestion * (slowdown - 1);
}

void Scheduler::State::link(JobRef ref) {
  SchedulerJob& it = job(ref);
  SchedulerQueue& queue = queues[std::size_t(it.queue)];
  queue.running_demand += it.request.accelerators;
  if (!keeps_running) return;
  if (!order.running_first) {
    mixed.push_back(ref);
    return;
  }
  it.previous = queue.tail;
  it.next = kNoJob;
  (queue.tail == kNoJob ? queue.head : job(queue.tail).next) = ref;
  queue.tail = ref;
}

void Scheduler::State::unlink(JobRef ref) {
  SchedulerJob& it = job(ref);
  SchedulerQueue& queue = queues[std::size_t(it.queue)];
  queue.running_demand -= it.request.accelerators;
  if (!keeps_running) return;
  if (!order.running_first) {
    mixed.erase(std::find(mixed.begin(), mixed.end(), ref));
    return;
  }
  (it.previous == kNoJob ? queue.head : job(it.previous).next) = it.next;
  (it.next == kNoJob ? queue.tail : job(it.next).previous) = it.previous;
}

void Scheduler::State::make_pending(JobRef ref, std::int64_t sequence) {
  SchedulerJob& it = job(ref);
  it.key = order.key(view(it), policy.settings);
  it.offered = false;
  it.rack_at = it.network_at = kNever;
  it.allowed = it.best;
  if (!by_count) {
    ask_timers(it);
    const Patience wait = patience(it);
    if (wait.until_network.ns <= 0) {
      it.allowed = Tier::kNetwork;
    } else if (wait.until_rack.ns <= 0 && it.best == Tier::kNode) {
      it.allowed = Tier::kRack;
    }
  }
  ++pending;
  pending_demand += it.request.accelerators;
  push_list(ref, sequence);
}

void Scheduler::State::take_from_pending(JobRef ref) {
  SchedulerJob& it = job(ref);
  leave_list(it);
  --pending;
  pending_demand -= it.request.accelerators;
}

void Scheduler::State::start(JobRef ref, Placement placement) {
  SchedulerJob& it = job(ref);
  if (policy.rule.tuning != Tuning::kNone && it.best != Tier::kNetwork) {
    record_wait(it, tier_of(cluster, placement));
  }
  take_from_pending(ref);
  capacity.take(placement);
  it.running = true;
  it.held_since = it.started = it.settled = it.since = now;
  it.rate = 1 / slowdown_at(it, placement);
  it.placement = placement;
  ++it.run_version;
  ++running;
  running_demand += it.request.accelerators;
  link(ref);
  expect_demotion(ref);
  const auto [for_node, for_rack] = declined(it);
  decisions.push_back({DecisionKind::kStart, ref, std::move(placement), for_node, for_rack});
}

void Scheduler::State::stop(JobRef ref) {
  SchedulerJob& it = job(ref);
  advance(it);
  it.held = held(it);
  it.running = false;
  ++it.run_version;
  --running;
  running_demand -= it.request.accelerators;
  capacity.give(it.placement);
  freed = true;
  if (!it.joined_running) unlink(ref);
}

// In orders that take turns even the youngest makes a quantum of progress: where restarts cost more
// than min-run, jobs that preempt each other while they are still being restored would never end.
Time Scheduler::State::preemptible_from(const SchedulerJob& job) const {
  const Time old_enough = job.started + policy.settings.min_run;
  if (!order.changes_while_running) return old_enough;
  return std::max(old_enough, job.settled + policy.settings.quantum);
}

void Scheduler::State::preempt(JobRef ref) {
  SchedulerJob& it = job(ref);
  stop(ref);
  decisions.push_back({DecisionKind::kPreempt, ref, std::move(it.placement), {}, {}});
  it.placement.parts.clear();
  if (std::exchange(it.joined_running, false)) {
    ++pending;  // it already stands in the list of its new queue
    pending_demand += it.request.accelerators;
    return;
  }
  // Before the older pending jobs of its queue; in a mixed order behind equal keys, but before
  // those that have only just arrived.
  make_pending(ref, order.running_first ? --front : (event << 32) | returns++);
}

Scheduler::Scheduler(const Topology& cluster, const Policy& policy, SpeedBook& speeds,
                     double congestion)
    : state_(std::make_unique<State>(cluster, policy, speeds, congestion)) {}
Scheduler::~Scheduler() = default;

JobRef Scheduler::arrive(const JobRequest& request, Time now) {
  State& s = *state_;
  PENSTOCK_CHECK(now >= s.now);
  PENSTOCK_CHECK(request.accelerators >= 1);
  PENSTOCK_CHECK(request.accelerators <= s.cluster.accelerators());
  s.now = now;
  JobRef ref = kNoJob;
  if (s.unused.empty()) {
    ref = JobRef(s.jobs.size());
    s.jobs.emplace_back();
  } else {
    ref = s.unused.back();
    s.unused.pop_back();
    const SchedulerJob& old = s.job(ref);
    SchedulerJob fresh;
    fresh.pending_version = old.pending_version;  // entries of the job before stay stale
    fresh.run_version = old.run_version;
    s.job(ref) = std::move(fresh);
  }
  SchedulerJob& it = s.job(ref);
  it.request = request;
  it.active = true;
  it.best = s.cluster.best_tier(request.accelerators);
  it.submit = now;
  it.remaining = request.work;
  it.arrival = s.arrivals++;
  s.make_pending(ref, s.tail_sequence());
  return ref;
}

void Scheduler::finish(JobRef job, Time now) {
  State& s = *state_;
  s.now = now;
  SchedulerJob& it = s.job(job);
  PENSTOCK_CHECK(it.active);
  if (it.running) {
    s.stop(job);
    it.placement.parts.clear();
  } else {
    s.take_from_pending(job);
  }
  it.active = false;
  s.unused.push_back(job);
}

Time Scheduler::set_rate(JobRef job, double rate, Time from, Time now) {
  State& s = *state_;
  s.now = now;
  SchedulerJob& it = s.job(job);
  PENSTOCK_CHECK(it.running);
  s.advance(it);
  it.rate = rate;
  it.since = std::max(it.since, from);
  it.settled = from;
  ++it.run_version;
  s.expect_demotion(job);
  return it.remaining;
}

void Scheduler::lost(JobRef job, Time now) {
  State& s = *state_;
  s.now = now;
  s.stop(job);
  s.job(job).placement.parts.clear();
  s.make_pending(job, s.order.running_first ? --s.front : (s.event << 32) | s.returns++);
}

void Scheduler::node_down(std::int32_t node, Time now) {
  state_->now = now;
  state_->capacity.set_down(node, true);
}

void Scheduler::node_up(std::int32_t node, Time now) {
  state_->now = now;
  state_->capacity.set_down(node, false);
  state_->freed = true;
}

const std::vector<Decision>& Scheduler::decide(Time now) {
  State& s = *state_;
  PENSTOCK_CHECK(now >= s.now);
  s.now = now;
  s.decisions.clear();
  s.min_run_end = kNever;
  s.demote();
  s.end_patience();
  if (s.pending > 0) {
    if (!s.by_count) {
      s.walk_by_place();
    } else if (s.order.running_first) {
      s.walk_queues_by_count();
    } else {
      s.walk_mixed_by_count();
    }
  }
  if (s.policy.settings.migrate && s.freed && !s.by_count) s.migrate();
  s.freed = false;
  ++s.event;
  s.joins = s.returns = 0;
  return s.decisions;
}

Time Scheduler::next_wakeup() { return state_->next_wakeup(); }

JobStatus Scheduler::status(JobRef job, Time now) const {
  State& s = *state_;
  s.now = now;
  const SchedulerJob& it = s.job(job);
  const JobView view = s.view(it);
  JobStatus status;
  status.id = it.request.id;
  status.accelerators = it.request.accelerators;
  status.running = it.running;
  status.placement = it.placement;
  status.submit = it.submit;
  status.held = view.held;
  status.useful = view.useful;
  status.worked = view.worked;
  status.remaining = view.remaining;
  status.rate = it.running ? it.rate : 0;
  status.queue = it.queue;
  status.best = it.best;
  status.allowed = it.allowed;
  status.offered = !it.running && it.offered;
  status.first_offer = it.first_offer;
  status.rack_at = it.rack_at;
  status.network_at = it.network_at;
  status.timers = it.timers;
  for (int tier = 0; tier < kTiers; ++tier) {
    status.slowdown[std::size_t(tier)] = s.slowdown(it, Tier(tier));
  }
  return status;
}

std::int32_t Scheduler::free_accelerators() const { return state_->capacity.free(); }
std::int32_t Scheduler::pending() const { return state_->pending; }
std::int64_t Scheduler::pending_demand() const { return state_->pending_demand; }
DelayTuner& Scheduler::tuner() { return state_->tuner; }

bool Scheduler::declined() const {
  const State& s = *state_;
  if (s.pending == 0 || s.capacity.free() == 0) return false;
  for (const SchedulerQueue& queue : s.queues) {
    for (const PendingList& list : queue.lists) {
      if (list.live > 0 && list.accelerators <= s.capacity.free()) return true;
    }
  }
  return false;
}

}  // namespace penstock::cluster
