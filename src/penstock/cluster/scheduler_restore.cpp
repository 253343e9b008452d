#include <algorithm>

#include "penstock/cluster/internal/scheduler_state.h"
#include "penstock/core/check.h"

namespace penstock::cluster {

JobRef Scheduler::restore(const JobRequest& request, const JobStatus& left, Time now) {
  State& s = *state_;
  const JobRef ref = arrive(request, now);
  SchedulerJob& it = s.job(ref);
  s.take_from_pending(ref);
  it.submit = left.submit;
  it.held = left.held;
  it.useful = left.useful;
  it.worked = left.worked;
  it.remaining = left.remaining;
  it.queue = std::clamp(left.queue, 0, s.order.queues - 1);
  if (left.running) {
    s.capacity.take(left.placement);
    it.running = true;
    it.held_since = it.started = it.settled = it.since = now;
    it.rate = left.rate > 0 ? left.rate : 1 / s.slowdown_at(it, left.placement);
    it.placement = left.placement;
    ++it.run_version;
    ++s.running;
    s.running_demand += request.accelerators;
    s.link(ref);
    s.expect_demotion(ref);
    return ref;
  }
  s.make_pending(ref, s.tail_sequence());
  const bool is_waiting = left.offered && it.allowed != Tier::kNetwork;
  if (!is_waiting) return ref;
  // It goes on waiting from the offer that it declined then.
  s.leave_list(it);
  it.offered = true;
  it.first_offer = left.first_offer;
  it.timers = left.timers;
  it.rack_at = it.best == Tier::kNode ? left.rack_at : now;
  it.network_at = left.network_at;
  if (now >= it.network_at) {
    it.allowed = Tier::kNetwork;
  } else if (now >= it.rack_at) {
    it.allowed = Tier::kRack;
  }
  s.push_list(ref, it.sequence);
  const Time next = it.allowed == Tier::kNode ? it.rack_at : it.network_at;
  if (it.allowed != Tier::kNetwork && next != kNever) {
    s.patience_ends.push_back({next, ref, it.pending_version});
    std::push_heap(s.patience_ends.begin(), s.patience_ends.end());
  }
  return ref;
}

}  // namespace penstock::cluster
