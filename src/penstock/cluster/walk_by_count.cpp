// Walks that look only at how many accelerators are free. Whom the walk does not reach while enough
// are left is preempted, whom it reaches anew starts.

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

// A pending job, or one that has just moved to a lower queue, has been reached.
void Scheduler::State::select(JobRef ref) {
  SchedulerJob& it = job(ref);
  if (std::exchange(it.joined_running, false)) leave_list(it);
  starting.push_back(ref);
}

void Scheduler::State::walk_queues_by_count() {
  std::int64_t available = std::int64_t(capacity.free()) + running_demand;
  for (SchedulerQueue& queue : queues) {
    if (queue.running_demand <= available) {
      available -= queue.running_demand;
    } else {
      for (JobRef ref = queue.head; ref != kNoJob; ref = job(ref).next) {
        const std::int64_t demand = job(ref).request.accelerators;
        if (demand <= available) {
          available -= demand;
        } else {
          dropped.push_back(ref);
        }
      }
    }
    while (PendingList* list = first(queue, available)) {
      const JobRef ref = list->heap.front().job;
      const std::int32_t demand = list->accelerators;
      list->pop();
      available -= demand;
      select(ref);
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
  SchedulerQueue& queue = queues[0];
  std::int64_t available = std::int64_t(capacity.free()) + running_demand;
  if (!order.preemptive) {
    available -= running_demand;
    while (PendingList* list = first(queue, available)) {
      starting.push_back(list->heap.front().job);
      available -= list->accelerators;
      list->pop();
    }
    apply_by_count();
    return;
  }
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
      starting.push_back(list->heap.front().job);
      order_of_walk.push_back(list->heap.front().job);
      available -= list->accelerators;
      list->pop();
      continue;
    }
    const JobRef ref = mixed[next++];
    if (job(ref).request.accelerators <= available) {
      available -= job(ref).request.accelerators;
      order_of_walk.push_back(ref);
    } else {
      dropped.push_back(ref);
    }
  }
  apply_by_count();
  mixed = std::move(order_of_walk);
}

void Scheduler::State::apply_by_count() {
  for (const JobRef ref : dropped) preempt(ref);
  for (const JobRef ref : starting) {
    if (job(ref).running) {  // it stays where it is, in its new queue
      link(ref);
      continue;
    }
    Placement placement;
    const int demand = job(ref).request.accelerators;
    const bool found = capacity.find(demand, Tier::kNode, placement) ||
                       capacity.find(demand, Tier::kRack, placement) ||
                       capacity.find(demand, Tier::kNetwork, placement);
    PENSTOCK_CHECK(found);
    start(ref, std::move(placement));
  }
  dropped.clear();
  starting.clear();
}

}  // namespace penstock::cluster
