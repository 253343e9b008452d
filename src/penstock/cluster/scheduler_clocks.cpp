#include <algorithm>
#include <cmath>

#include "penstock/cluster/internal/scheduler_state.h"
#include "penstock/core/check.h"

namespace penstock::cluster {

Patience Scheduler::State::patience(SchedulerJob& job) const {
  const JobView seen = view(job);
  return patience_of(policy, {.job = seen,
                              .best = job.best,
                              .slowdown = {slowdown(job, Tier::kNode), slowdown(job, Tier::kRack),
                                           slowdown(job, Tier::kNetwork)},
                              .timer = {job.timers[0].value, job.timers[1].value, Time{0}},
                              .skew = job.request.skew});
}

void Scheduler::State::ask_timers(SchedulerJob& job) {
  if (policy.rule.tuning == Tuning::kNone) return;
  job.timers[0] = tuner.timer(Tier::kNode, job.request.accelerators, now);
  job.timers[1] = tuner.timer(Tier::kRack, job.request.accelerators, now);
}

PendingList& Scheduler::State::list_of(SchedulerQueue& queue, std::int32_t accelerators,
                                       Tier allowed) {
  const auto at = std::lower_bound(queue.lists.begin(), queue.lists.end(), accelerators,
                                   [&](const PendingList& list, std::int32_t wanted) {
                                     return list.accelerators != wanted ? list.accelerators < wanted
                                                                        : list.allowed < allowed;
                                   });
  if (at != queue.lists.end() && at->accelerators == accelerators && at->allowed == allowed) {
    return *at;
  }
  PendingList list;
  list.accelerators = accelerators;
  list.allowed = allowed;
  return *queue.lists.insert(at, std::move(list));
}

void Scheduler::State::push_list(JobRef ref, std::int64_t sequence) {
  SchedulerJob& it = job(ref);
  PendingList& list = list_of(queues[std::size_t(it.queue)], it.request.accelerators, it.allowed);
  const PendingEntry entry{it.key, sequence, ref, it.pending_version};
  list.push(entry);
  ++list.live;
  it.sequence = sequence;
  const bool may_decline = !by_count && !it.offered && it.allowed != Tier::kNetwork;
  if (may_decline && !order.strict) list.unoffered.push_back(entry);
}

void Scheduler::State::leave_list(SchedulerJob& job) {
  PendingList& list =
      list_of(queues[std::size_t(job.queue)], job.request.accelerators, job.allowed);
  if (--list.live == 0) {
    list.heap.clear();
    list.unoffered.clear();
  }
  ++job.pending_version;
}

// Accelerators were free and the job declined them.
void Scheduler::State::offer(JobRef ref) {
  SchedulerJob& it = job(ref);
  if (it.offered || it.allowed == Tier::kNetwork) return;
  it.offered = true;
  it.first_offer = now;
  ask_timers(it);
  const Patience wait = patience(it);
  const auto end = [&](Time span) { return span >= kNever - now ? kNever : now + span; };
  it.rack_at = it.best == Tier::kNode ? end(wait.until_rack) : now;
  it.network_at = end(wait.until_network);
  const Time next = it.allowed == Tier::kNode ? it.rack_at : it.network_at;
  if (next == kNever) return;
  patience_ends.push_back({next, ref, it.pending_version});
  std::push_heap(patience_ends.begin(), patience_ends.end());
}

// What the first of a list declines, all others of it would, if the walk reached them: where who
// does not fit blocks all behind it, it does not.
void Scheduler::State::offer(PendingList& list) {
  if (order.strict) {
    offer(list.heap.front().job);
    return;
  }
  for (const PendingEntry& entry : list.unoffered) {
    const SchedulerJob& it = job(entry.job);
    if (it.pending_version == entry.version && !it.running) offer(entry.job);
  }
  list.unoffered.clear();
}

void Scheduler::State::end_patience() {
  while (!patience_ends.empty() && patience_ends.front().at <= now) {
    const Wakeup ended = patience_ends.front();
    std::pop_heap(patience_ends.begin(), patience_ends.end());
    patience_ends.pop_back();
    SchedulerJob& it = job(ended.job);
    if (!it.active || it.running || it.pending_version != ended.version) continue;
    const Tier allowed = now >= it.network_at ? Tier::kNetwork : Tier::kRack;
    if (allowed == it.allowed) continue;
    leave_list(it);
    it.allowed = allowed;
    push_list(ended.job, it.sequence);
    if (allowed == Tier::kNetwork || it.network_at == kNever) continue;
    patience_ends.push_back({it.network_at, ended.job, it.pending_version});
    std::push_heap(patience_ends.begin(), patience_ends.end());
  }
}

std::pair<Time, Time> Scheduler::State::declined(const SchedulerJob& job) const {
  if (!job.offered) return {};
  const Time waited = now - job.first_offer;
  const Time for_node =
      job.best == Tier::kNode ? std::min(waited, job.rack_at - job.first_offer) : Time{};
  return {for_node, std::min(waited, job.network_at - job.first_offer) - for_node};
}

// What the wait of a job that starts at `tier` says about waiting for each tier.
void Scheduler::State::record_wait(const SchedulerJob& job, Tier tier) {
  const Time waited = job.offered ? now - job.first_offer : Time{};
  const Time for_node = declined(job).first;
  const std::int32_t demand = job.request.accelerators;
  if (job.best == Tier::kNode && demand > 1) {
    const bool granted = tier == Tier::kNode;
    tuner.add(Tier::kNode, demand, {now, granted ? waited : for_node, !granted});
  }
  if (tier == Tier::kRack || (tier == Tier::kNetwork && job.best != Tier::kNetwork)) {
    tuner.add(Tier::kRack, demand, {now, waited - for_node, tier == Tier::kNetwork});
  }
}

// How long a job must have held its accelerators, or have been useful, to leave its queue.
Time Scheduler::State::queue_end(const SchedulerJob& job) const {
  const auto limit = policy.queue_limits()[std::size_t(job.queue)];
  const std::int64_t demand = job.request.accelerators;
  return {(limit.ns + demand - 1) / demand};
}

void Scheduler::State::expect_demotion(JobRef ref) {
  const SchedulerJob& it = job(ref);
  if (!order.preemptive || it.queue + 1 >= order.queues) return;
  Time at;
  if (order.service == Service::kAttained) {
    at = it.held_since + (queue_end(it) - it.held);
  } else {
    const Time left = queue_end(it) - it.useful;
    if (it.rate <= 0) return;
    at =
        it.since + (it.rate == 1 ? left : Time{std::int64_t(std::ceil(double(left.ns) / it.rate))});
  }
  demotions.push_back({at, ref, it.run_version});
  std::push_heap(demotions.begin(), demotions.end());
}

void Scheduler::State::demote() {
  due.clear();
  while (!demotions.empty() && demotions.front().at <= now) {
    const Wakeup end = demotions.front();
    std::pop_heap(demotions.begin(), demotions.end());
    demotions.pop_back();
    const SchedulerJob& it = job(end.job);
    if (it.active && it.running && it.run_version == end.version) due.push_back(end.job);
  }
  std::sort(due.begin(), due.end(),
            [&](JobRef a, JobRef b) { return job(a).arrival < job(b).arrival; });
  const auto spent = [&](const SchedulerJob& it) {
    return order.service == Service::kAttained ? held(it) : progress(it).useful;
  };
  for (const JobRef ref : due) {
    SchedulerJob& it = job(ref);
    unlink(ref);
    do {
      ++it.queue;
    } while (!policy.tiresias_oracle && it.queue + 1 < order.queues && spent(it) >= queue_end(it));
    it.joined_running = true;
    expect_demotion(ref);
    if (by_count && order.running_first && pending > 0) {
      // It stands at the tail of its new queue, behind the pending jobs: this walk decides.
      it.key = order.key(view(it), policy.settings);
      it.allowed = it.best;
      push_list(ref, tail_sequence());
    } else {
      confirm_demotion(ref);
    }
  }
}

void Scheduler::State::confirm_demotion(JobRef ref) {
  job(ref).joined_running = false;
  link(ref);
}

// Tiresias' simulator divides the accelerator-time left by the accelerators twice over for what is
// spent, so that its demotions come late (rooms/cluster.md, 6.1).
Time Scheduler::State::oracle_jump() const {
  Time earliest = kNever;
  for (int q = 0; q + 1 < order.queues; ++q) {
    for (JobRef ref = queues[std::size_t(q)].head; ref != kNoJob; ref = job(ref).next) {
      const SchedulerJob& it = job(ref);
      constexpr std::int64_t kSecond = 1'000'000'000;
      const std::int64_t left = (policy.queue_limits()[std::size_t(q)] - held(it)).ns / kSecond;
      earliest = std::min(earliest, now + Time{left / it.request.accelerators * kSecond});
    }
  }
  return earliest;
}

Time Scheduler::State::next_wakeup() {
  const auto earliest = [&](std::vector<Wakeup>& heap, auto version_of) {
    while (!heap.empty()) {
      const Wakeup& soonest = heap.front();
      const SchedulerJob& it = job(soonest.job);
      if (it.active && version_of(it) == soonest.version) return soonest.at;
      std::pop_heap(heap.begin(), heap.end());
      heap.pop_back();
    }
    return kNever;
  };
  Time next = earliest(patience_ends, [](const SchedulerJob& it) { return it.pending_version; });
  if (policy.tiresias_oracle) return std::min(next, oracle_jump());
  next = std::min(next, earliest(demotions, [](const SchedulerJob& it) { return it.run_version; }));
  next = std::min(next, min_run_end);
  if (order.changes_while_running && pending > 0 && running > 0) {
    next = std::min(next, now + policy.settings.quantum);
  }
  return next;
}

}  // namespace penstock::cluster
