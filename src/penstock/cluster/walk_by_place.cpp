// Walks that look at where accelerators are free. A job takes the closest placement that it would
// accept, first of what is free, then of what lower jobs hold.

#include <algorithm>
#include <utility>

#include "penstock/cluster/internal/scheduler_state.h"
#include "penstock/core/check.h"

namespace penstock::cluster {
namespace {

// Spreading a job breaks up more nodes than it needs; it must gain this much over the fewest nodes.
constexpr double kWorthSpreading = 0.95;

}  // namespace

void Scheduler::State::walk_by_place() {
  hold_back();
  for (std::size_t level = 0; level < queues.size(); ++level) {
    SchedulerQueue& queue = queues[level];
    for (PendingList& list : queue.lists) list.failed = false;
    while (PendingList* list = first(queue, cluster.accelerators())) {
      const JobRef ref = list->heap.front().job;
      const std::int32_t demand = list->accelerators;
      if (try_start(ref, int(level))) continue;
      list->failed = true;
      if (capacity.free() >= demand) offer(*list);
      if (order.strict) break;
    }
  }
}

bool Scheduler::State::try_start(JobRef ref, int level) {
  SchedulerJob& it = job(ref);
  const bool owns = capacity.reserved() >= 0 && shares_list(it, job(reserved_for));
  const std::int32_t reserved = capacity.reserved();
  if (owns) capacity.reserve(-1);
  Placement placement;
  for (int tier = int(it.best); tier <= int(it.allowed); ++tier) {
    if (capacity.free() < it.request.accelerators) break;
    if (!choose(it, Tier(tier), placement)) continue;
    start(ref, std::move(placement));
    return true;
  }
  if (owns) capacity.reserve(reserved);
  return order.preemptive && try_preempt(ref, level);
}

// The fastest of the densest placement and of equal parts on more nodes: accelerators of one node
// share its uplink.
bool Scheduler::State::choose(const SchedulerJob& job, Tier tier, Placement& placement) const {
  const int demand = job.request.accelerators;
  if (!capacity.find(demand, tier, placement)) return false;
  if (placement.parts.size() == 1) return true;
  double fastest = slowdown_at(job, placement) * kWorthSpreading;
  Placement even;
  for (int parts = 2; parts <= demand; ++parts) {
    if (demand % parts != 0 || !capacity.find_even(demand, parts, tier, even)) continue;
    const double slowdown = slowdown_at(job, even);
    if (slowdown < fastest) {
      fastest = slowdown;
      placement = even;
    }
  }
  return true;
}

// Running jobs that `job` may displace, the least important first.
void Scheduler::State::collect_victims(const SchedulerJob& taker, int level,
                                       std::vector<JobRef>& victims) {
  const auto consider = [&](JobRef ref) {
    const Time until = preemptible_from(job(ref));
    if (now >= until) {
      victims.push_back(ref);
    } else {
      min_run_end = std::min(min_run_end, until);
    }
  };
  if (order.running_first) {
    for (int lower = order.queues - 1; lower > level; --lower) {
      for (JobRef ref = queues[std::size_t(lower)].tail; ref != kNoJob; ref = job(ref).previous) {
        consider(ref);
      }
    }
    return;
  }
  std::vector<std::pair<double, JobRef>> lower;
  const double key = taker.key;
  for (const JobRef ref : mixed) {
    const double theirs = order.key(view(job(ref)), policy.settings);
    if (theirs > key) lower.emplace_back(-theirs, ref);
  }
  std::sort(lower.begin(), lower.end());
  for (const auto& [_, ref] : lower) consider(ref);
}

// What the job could have of a node if all victims there went.
int Scheduler::State::clearable(std::int32_t node, int demand) const {
  if (node == capacity.reserved()) return 0;
  const int all = capacity.free_on(node) + reclaimable[std::size_t(node)];
  const bool whole = all == cluster.nodes[std::size_t(node)].accelerators;
  return whole || !capacity.wants_whole_nodes(demand) ? all : 0;
}

// Among the places of the tier that would hold the job, the one where most is free; empty: none.
NodeRange Scheduler::State::place_to_clear(int demand, Tier tier) const {
  NodeRange place;
  int most = -1;
  const auto look = [&](NodeRange range) {
    int free = 0;
    int all = 0;
    for (std::int32_t node = range.begin; node < range.end; ++node) {
      free += capacity.open_on(node, demand);
      all += clearable(node, demand);
    }
    if (all < demand || free <= most) return;
    most = free;
    place = range;
  };
  const auto nodes = std::int32_t(cluster.nodes.size());
  if (tier == Tier::kNode) {
    for (std::int32_t node = 0; node < nodes; ++node) look({node, node + 1});
  } else if (tier == Tier::kRack) {
    for (std::int32_t rack = 0; rack < capacity.racks(); ++rack) {
      look({capacity.rack_begin(rack), capacity.rack_begin(rack + 1)});
    }
  } else {
    look({0, nodes});
  }
  return place;
}

// Preempts all victims on as many nodes of the place as the job needs, those that lose least.
void Scheduler::State::clear_whole_nodes(NodeRange place, int demand,
                                         const std::vector<JobRef>& victims) {
  std::vector<std::int32_t> cleared;
  for (std::int32_t node = place.begin; node < place.end; ++node) {
    if (clearable(node, demand) > 0) cleared.push_back(node);
  }
  std::stable_sort(cleared.begin(), cleared.end(), [&](std::int32_t a, std::int32_t b) {
    return reclaimable[std::size_t(a)] < reclaimable[std::size_t(b)];
  });
  int enough = 0;
  std::size_t nodes = 0;
  while (enough < demand) enough += clearable(cleared[nodes++], demand);
  cleared.resize(nodes);
  for (const JobRef victim : victims) {
    const auto& parts = job(victim).placement.parts;
    if (std::any_of(parts.begin(), parts.end(), [&](const Placement::Part& part) {
          return std::find(cleared.begin(), cleared.end(), part.node) != cleared.end();
        })) {
      preempt(victim);
    }
  }
}

// Preempts victims in the place, the least important first, until the job has room there.
void Scheduler::State::clear_room(NodeRange place, int demand, const std::vector<JobRef>& victims) {
  int free = 0;
  for (std::int32_t node = place.begin; node < place.end; ++node) {
    free += capacity.open_on(node, demand);
  }
  for (const JobRef victim : victims) {
    if (free >= demand) return;
    int gain = 0;
    for (const Placement::Part& part : job(victim).placement.parts) {
      if (part.node >= place.begin && part.node < place.end && part.node != capacity.reserved() &&
          !capacity.down(part.node)) {
        gain += part.accelerators;
      }
    }
    if (gain == 0) continue;
    free += gain;
    preempt(victim);
  }
}

bool Scheduler::State::try_preempt(JobRef ref, int level) {
  SchedulerJob& it = job(ref);
  const int demand = it.request.accelerators;
  if (order.running_first) {
    std::int64_t lower = capacity.free();
    for (std::size_t q = std::size_t(level) + 1; q < queues.size(); ++q) {
      lower += queues[q].running_demand;
    }
    if (lower < demand) return false;
  }
  std::vector<JobRef> victims;
  collect_victims(it, level, victims);
  reclaimable.assign(cluster.nodes.size(), 0);
  for (const JobRef victim : victims) {
    for (const Placement::Part& part : job(victim).placement.parts) {
      if (!capacity.down(part.node)) reclaimable[std::size_t(part.node)] += part.accelerators;
    }
  }
  for (int tier = int(it.best); tier <= int(it.allowed); ++tier) {
    const NodeRange place = place_to_clear(demand, Tier(tier));
    if (place.begin == place.end) continue;
    if (capacity.wants_whole_nodes(demand)) {
      clear_whole_nodes(place, demand, victims);
    } else {
      clear_room(place, demand, victims);
    }
    Placement placement;
    const bool found = choose(it, Tier(tier), placement);
    PENSTOCK_CHECK(found);
    start(ref, std::move(placement));
    return true;
  }
  return false;
}

// Moves running jobs to a closer tier that has become free, where what they save of their remaining
// work outweighs saving and restoring them.
void Scheduler::State::migrate() {
  std::vector<JobRef> apart;
  const auto consider = [&](JobRef ref) {
    const SchedulerJob& it = job(ref);
    if (it.placement.parts.size() > 1 && tier_of(cluster, it.placement) > it.best &&
        now >= preemptible_from(it) && now >= it.since) {
      apart.push_back(ref);
    }
  };
  for (const SchedulerQueue& queue : queues) {
    for (JobRef ref = queue.head; ref != kNoJob; ref = job(ref).next) consider(ref);
  }
  for (const JobRef ref : mixed) consider(ref);
  for (const JobRef ref : apart) {
    SchedulerJob& it = job(ref);
    advance(it);
    capacity.give(it.placement);
    const Tier tier_now = tier_of(cluster, it.placement);
    const double slowdown_now = slowdown_at(it, it.placement);
    Placement better;
    bool moved = false;
    for (int tier = int(it.best); tier < int(tier_now) && !moved; ++tier) {
      if (!choose(it, Tier(tier), better)) continue;
      const double saved = double(it.remaining.ns) * (slowdown_now - slowdown_at(it, better));
      const Settings& settings = policy.settings;
      moved = saved > double((settings.checkpoint + settings.restore + settings.migrate_margin).ns);
    }
    if (moved) it.placement = better;
    capacity.take(it.placement);
    if (!moved) continue;
    it.started = it.settled = now;
    it.rate = 1 / slowdown_at(it, it.placement);
    ++it.run_version;
    expect_demotion(ref);
    decisions.push_back({DecisionKind::kMigrate, ref, it.placement, {}, {}});
  }
}

// The job that has declined for longest, past `reserve_after`, gets the node with most free held
// back until it, or whoever stands before it in its list, can start there.
void Scheduler::State::hold_back() {
  const Time after = policy.settings.reserve_after;
  if (after.ns <= 0) return;
  capacity.reserve(-1);
  JobRef longest = kNoJob;
  for (JobRef ref = 0; ref < JobRef(jobs.size()); ++ref) {
    const SchedulerJob& it = job(ref);
    if (!it.active || it.running || !it.offered || it.best != Tier::kNode) continue;
    if (now - it.first_offer < after) continue;
    if (longest == kNoJob || it.first_offer < job(longest).first_offer) longest = ref;
  }
  if (longest == kNoJob) return;
  std::int32_t most = -1;
  for (std::int32_t node = 0; node < std::int32_t(cluster.nodes.size()); ++node) {
    if (capacity.down(node) ||
        cluster.nodes[std::size_t(node)].accelerators < job(longest).request.accelerators) {
      continue;
    }
    if (most < 0 || capacity.free_on(node) > capacity.free_on(most)) most = node;
  }
  if (most < 0) return;
  reserved_for = longest;
  capacity.reserve(most);
}

}  // namespace penstock::cluster
