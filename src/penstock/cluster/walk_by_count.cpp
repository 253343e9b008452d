// Walks over the whole order, as if nobody ran yet: whom the walk does not reach while enough
// accelerators are left is preempted, whom it reaches anew starts. Only their number counts, or (a
// rule with `anew`) all jobs are placed on an empty cluster in this order, and move there.

#include <algorithm>
#include <limits>
#include <utility>

#include "penstock/cluster/internal/scheduler_state.h"
#include "penstock/core/check.h"

namespace penstock::cluster {

// The list whose first job is next among those that could still start; null: there is none.
PendingList* Scheduler::State::first(SchedulerQueue& queue, std::int64_t available) {
  PendingList* best = nullptr;
  for (PendingList& list : queue.lists) {
    if (list.live == 0 || list.failed) continue;
    if (!order.strict && list.accelerators > available) break;  // lists are in order of demand
    while (!list.heap.empty() &&
           job(list.heap.front().job).pending_version != list.heap.front().version) {
      list.pop();
    }
    if (list.heap.empty()) continue;  // all of it has been reached in this walk
    if (best == nullptr || list.heap.front().before(best->heap.front())) best = &list;
  }
  if (best != nullptr && best->accelerators > available) return nullptr;
  return best;
}

// Whether the walk has room for the job; takes it.
bool Scheduler::State::take_room(JobRef ref, std::int64_t& available) {
  SchedulerJob& it = job(ref);
  const std::int32_t demand = it.request.accelerators;
  if (demand > available) return false;
  if (policy.rule.anew) {
    const bool found = plan->find(demand, Tier::kNode, it.planned) ||
                       plan->find(demand, Tier::kRack, it.planned) ||
                       plan->find(demand, Tier::kNetwork, it.planned);
    if (!found) return false;
    plan->take(it.planned);
  }
  available -= demand;
  return true;
}

void Scheduler::State::empty_plan() {
  if (!policy.rule.anew) return;
  plan.emplace(capacity);
  for (const SchedulerJob& it : jobs) {
    if (it.running) plan->give(it.placement);
  }
  for (SchedulerQueue& queue : queues) {
    for (PendingList& list : queue.lists) list.failed = false;
  }
}

// Running jobs whose place in the plan is another one.
void Scheduler::State::move_to_plan() {
  if (!policy.rule.anew) return;
  std::vector<JobRef> moving;
  for (JobRef ref = 0; ref < JobRef(jobs.size()); ++ref) {
    const SchedulerJob& it = job(ref);
    if (it.running && it.placement != it.planned) moving.push_back(ref);
  }
  for (const JobRef ref : moving) {
    advance(job(ref));
    capacity.give(job(ref).placement);
  }
  for (const JobRef ref : moving) {
    SchedulerJob& it = job(ref);
    it.placement = it.planned;
    capacity.take(it.placement);
    it.started = now;
    it.rate = 1 / slowdown_at(it, it.placement);
    ++it.run_version;
    expect_demotion(ref);
    decisions.push_back({DecisionKind::kMigrate, ref, it.placement, {}, {}});
  }
}

// A pending job, or one that has just moved to a lower queue, has been reached.
void Scheduler::State::select(JobRef ref) {
  SchedulerJob& it = job(ref);
  if (std::exchange(it.joined_running, false)) leave_list(it);
  starting.push_back(ref);
}

void Scheduler::State::walk_queues_by_count() {
  empty_plan();
  std::int64_t available = std::int64_t(capacity.free()) + running_demand;
  for (SchedulerQueue& queue : queues) {
    if (queue.running_demand <= available && !policy.rule.anew) {
      available -= queue.running_demand;
    } else {
      for (JobRef ref = queue.head; ref != kNoJob; ref = job(ref).next) {
        if (!take_room(ref, available)) dropped.push_back(ref);
      }
    }
    while (PendingList* list = first(queue, available)) {
      const JobRef ref = list->heap.front().job;
      if (take_room(ref, available)) {
        list->pop();
        select(ref);
      } else {
        list->failed = true;
        if (order.strict) break;
      }
    }
  }
  // Preempted jobs come to stand before the older pending ones in their own order, so the last goes
  // first.
  std::reverse(dropped.begin(), dropped.end());
  for (const JobRef ref : due) {
    if (job(ref).joined_running) dropped.push_back(ref);
  }
  apply_by_count();
}

void Scheduler::State::walk_mixed_by_count() {
  empty_plan();
  SchedulerQueue& queue = queues[0];
  std::int64_t available = std::int64_t(capacity.free()) + running_demand;
  for (const JobRef ref : mixed) {
    SchedulerJob& it = job(ref);
    const bool keeps_place = order.changes_while_running && now < preemptible_from(it);
    it.key = keeps_place ? -std::numeric_limits<double>::infinity()
                         : order.key(view(it), policy.settings);
  }
  for (std::size_t i = 1; i < mixed.size(); ++i) {  // nearly in order, and equal keys must stay so
    const JobRef ref = mixed[i];
    std::size_t at = i;
    for (; at > 0 && job(ref).key < job(mixed[at - 1]).key; --at) mixed[at] = mixed[at - 1];
    mixed[at] = ref;
  }
  std::vector<JobRef> order_of_walk;
  std::size_t next = 0;
  while (true) {
    PendingList* list = first(queue, available);
    if (list == nullptr && next == mixed.size()) break;
    bool pending_first = next == mixed.size();
    if (list != nullptr && !pending_first) {
      const PendingEntry& head = list->heap.front();
      const double key = job(mixed[next]).key;
      // A running job whose key has come down to that of a pending one stands behind it; one that
      // has only just arrived stands behind both.
      const bool fresh = (head.sequence >> 32) == event && ((head.sequence >> 31) & 1) == 1;
      pending_first = head.key < key || (head.key == key && !fresh);
    }
    if (pending_first) {
      const JobRef ref = list->heap.front().job;
      list->failed = !take_room(ref, available);
      if (list->failed) continue;
      starting.push_back(ref);
      order_of_walk.push_back(ref);
      list->pop();
      continue;
    }
    const JobRef ref = mixed[next++];
    (take_room(ref, available) ? order_of_walk : dropped).push_back(ref);
  }
  apply_by_count();
  mixed = std::move(order_of_walk);
}

void Scheduler::State::apply_by_count() {
  for (const JobRef ref : dropped) preempt(ref);
  move_to_plan();
  for (const JobRef ref : starting) {
    if (job(ref).running) {  // it stays where it is, in its new queue
      link(ref);
      continue;
    }
    Placement placement;
    const int demand = job(ref).request.accelerators;
    if (policy.rule.anew) {
      placement = job(ref).planned;
    } else {
      const bool found = capacity.find(demand, Tier::kNode, placement) ||
                         capacity.find(demand, Tier::kRack, placement) ||
                         capacity.find(demand, Tier::kNetwork, placement);
      PENSTOCK_CHECK(found);
    }
    start(ref, std::move(placement));
  }
  dropped.clear();
  starting.clear();
}

}  // namespace penstock::cluster
