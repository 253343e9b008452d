// A slow simulator of the walk by place that says the rules as plainly as they can be said: every
// pending job is looked at in every walk, what is free is counted from the list of running jobs,
// and all is computed anew at every event. Rules: delay clocks from the first declined offer,
// preemption by strictly lower queues of those that have run for min_run, the least important
// first.
//
// Slowdowns of tiers are whole numbers, and times multiples of a tick that they divide, so that
// nothing is rounded.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "penstock/cluster/topology.h"
#include "penstock/core/check.h"

namespace penstock::cluster {

struct PlacedJob {
  std::int64_t submit = 0;
  std::int64_t work = 0;
  int accelerators = 1;
  std::array<std::int64_t, kTiers> slowdown{1, 1, 1};
  // of the replay
  std::int64_t held = 0;
  std::int64_t useful = 0;
  std::int64_t worked = 0;
  std::int64_t started = 0;   // this stay
  std::int64_t progress = 0;  // of this stay begins then
  std::int64_t first_offer = -1;
  double key = 0;
  int starts = 0;
  int queue = 0;
  bool ended = false;
  bool running = false;
  Placement placement{};
};

struct Stay {
  std::int64_t start = 0;
  std::int64_t end = 0;
  std::size_t job = 0;
  std::vector<std::pair<int, int>> parts;
  auto operator<=>(const Stay&) const = default;
};

struct PlacementRules {
  bool preemptive = false;
  bool useful = false;  // queues by useful service, the most slowed job first; else by attained
  std::array<std::int64_t, 2> limits{};  // accelerator-time
  std::int64_t until_rack = 0;           // patience; kForever: never
  std::int64_t until_network = 0;
  std::int64_t min_run = 0;
  std::int64_t restart = 0;
};

class ReferencePlacement {
 public:
  static constexpr std::int64_t kForever = std::int64_t{1} << 60;

  ReferencePlacement(const Topology& cluster, PlacementRules rules, std::vector<PlacedJob> jobs)
      : cluster_(cluster), rules_(rules), jobs_(std::move(jobs)) {
    for (PlacedJob& job : jobs_) job.key = rules_.useful ? 1 : 0;
  }

  // By start, then by end.
  std::vector<Stay> run() {
    std::size_t next = 0;
    std::size_t ended = 0;
    while (ended < jobs_.size()) {
      std::int64_t at = next < jobs_.size() ? jobs_[next].submit : kForever;
      for (const PlacedJob& job : jobs_) at = std::min(at, next_event(job));
      PENSTOCK_CHECK(at < kForever);
      advance(at);
      for (std::size_t i = 0; i < jobs_.size(); ++i) {
        if (!jobs_[i].running || jobs_[i].useful < jobs_[i].work) continue;
        leave(i);
        jobs_[i].ended = true;
        ++ended;
      }
      while (next < jobs_.size() && jobs_[next].submit == now_) {
        waiting_[0].push_back(next++);
      }
      demote();
      walk();
    }
    std::sort(stays_.begin(), stays_.end());
    return stays_;
  }

 private:
  std::int64_t slowdown(const PlacedJob& job) const {
    return job.slowdown[std::size_t(tier_of(cluster_, job.placement))];
  }
  Tier best(const PlacedJob& job) const { return cluster_.best_tier(job.accelerators); }

  std::int64_t limit(const PlacedJob& job) const {
    const std::int64_t whole = rules_.limits[std::size_t(job.queue)];
    PENSTOCK_CHECK(whole % job.accelerators == 0);
    return whole / job.accelerators;
  }
  std::int64_t served(const PlacedJob& job) const { return rules_.useful ? job.useful : job.held; }

  std::int64_t until(const PlacedJob& job, Tier tier) const {
    if (best(job) == Tier::kRack && rules_.until_network < kForever) {
      return rules_.until_network - rules_.until_rack;
    }
    return tier == Tier::kRack ? rules_.until_rack : rules_.until_network;
  }

  Tier allowed(const PlacedJob& job) const {
    const std::int64_t waited = job.first_offer < 0 ? 0 : now_ - job.first_offer;
    if (best(job) == Tier::kNetwork || waited >= until(job, Tier::kNetwork)) return Tier::kNetwork;
    if (best(job) == Tier::kRack || waited >= until(job, Tier::kRack)) return Tier::kRack;
    return Tier::kNode;
  }

  std::int64_t next_event(const PlacedJob& job) const {
    std::int64_t at = kForever;
    const auto consider = [&](std::int64_t when) {
      if (when > now_) at = std::min(at, when);
    };
    if (job.running) {
      const std::int64_t from = std::max(now_, job.progress);
      consider(from + (job.work - job.useful) * slowdown(job));
      consider(job.started + rules_.min_run);
      if (rules_.preemptive && job.queue < 2) {
        const std::int64_t left = limit(job) - served(job);
        at = std::min(at, rules_.useful ? from + left * slowdown(job) : now_ + left);
      }
    } else if (!job.ended && job.first_offer >= 0) {
      for (const Tier tier : {Tier::kRack, Tier::kNetwork}) {
        if (until(job, tier) < kForever) consider(job.first_offer + until(job, tier));
      }
    }
    return at;
  }

  void advance(std::int64_t to) {
    for (PlacedJob& job : jobs_) {
      if (!job.running) continue;
      job.held += to - now_;
      const std::int64_t passed = std::max<std::int64_t>(0, to - std::max(now_, job.progress));
      PENSTOCK_CHECK(passed % slowdown(job) == 0);
      job.useful += passed / slowdown(job);
      job.worked += passed;
    }
    now_ = to;
  }

  int free_on(int node) const {
    int free = cluster_.nodes[std::size_t(node)].accelerators;
    for (const PlacedJob& job : jobs_) {
      for (const Placement::Part& part : job.placement.parts) {
        if (part.node == node) free -= part.accelerators;
      }
    }
    return free;
  }

  void leave(std::size_t i) {
    PlacedJob& job = jobs_[i];
    Stay stay{job.started, now_, i, {}};
    for (const Placement::Part& part : job.placement.parts) {
      stay.parts.emplace_back(part.node, part.accelerators);
    }
    stays_.push_back(std::move(stay));
    job.running = false;
    job.placement.parts.clear();
    std::erase(running_[std::size_t(job.queue)], i);
  }

  void demote() {
    if (!rules_.preemptive) return;
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      PlacedJob& job = jobs_[i];
      const int from = job.queue;
      while (job.running && job.queue < 2 && served(job) >= limit(job)) ++job.queue;
      if (job.queue == from) continue;
      std::erase(running_[std::size_t(from)], i);
      running_[std::size_t(job.queue)].push_back(i);
    }
  }

  void walk() {
    for (std::size_t level = 0; level < 3; ++level) {
      std::vector<std::size_t> order = waiting_[level];
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return jobs_[a].key < jobs_[b].key; });
      for (const std::size_t i : order) {
        if (start_on_free(i) || (rules_.preemptive && start_on_taken(i, level))) continue;
        if (total_free() >= jobs_[i].accelerators) decline(i, level);
      }
    }
  }

  // What one job is offered in vain, its equals behind it are too.
  void decline(std::size_t i, std::size_t level) {
    const Tier tier = allowed(jobs_[i]);
    for (const std::size_t other : waiting_[level]) {
      PlacedJob& job = jobs_[other];
      if (job.accelerators == jobs_[i].accelerators && allowed(job) == tier &&
          job.first_offer < 0) {
        job.first_offer = now_;
      }
    }
  }

  int total_free() const {
    int free = 0;
    for (int node = 0; node < int(cluster_.nodes.size()); ++node) free += free_on(node);
    return free;
  }

  bool start_on_free(std::size_t i) {
    for (int tier = int(best(jobs_[i])); tier <= int(allowed(jobs_[i])); ++tier) {
      Placement placement = densest(jobs_[i].accelerators, Tier(tier));
      if (placement.parts.empty()) continue;
      start(i, std::move(placement));
      return true;
    }
    return false;
  }

  struct Place {
    int begin;
    int end;
  };
  std::vector<Place> places(Tier tier) const {
    const auto nodes = int(cluster_.nodes.size());
    if (tier == Tier::kNetwork) return {{0, nodes}};
    std::vector<Place> all;
    for (int node = 0; node < nodes; ++node) {
      const bool same_rack = node > 0 && cluster_.nodes[std::size_t(node)].rack ==
                                             cluster_.nodes[std::size_t(node) - 1].rack;
      if (tier == Tier::kRack && same_rack) {
        all.back().end = node + 1;
      } else {
        all.push_back({node, node + 1});
      }
    }
    return all;
  }

  bool start_on_taken(std::size_t i, std::size_t level) {
    std::vector<std::size_t> victims;
    for (std::size_t lower = 2; lower > level; --lower) {
      for (std::size_t k = running_[lower].size(); k-- > 0;) {
        const std::size_t victim = running_[lower][k];
        if (now_ - jobs_[victim].started >= rules_.min_run) victims.push_back(victim);
      }
    }
    const int wanted = jobs_[i].accelerators;
    const auto within = [&](std::size_t victim, const Place& place) {
      int sum = 0;
      for (const Placement::Part& part : jobs_[victim].placement.parts) {
        if (part.node >= place.begin && part.node < place.end) sum += part.accelerators;
      }
      return sum;
    };
    for (int tier = int(best(jobs_[i])); tier <= int(allowed(jobs_[i])); ++tier) {
      int most = -1;
      Place chosen{};
      for (const Place& place : places(Tier(tier))) {
        int free = 0;
        for (int node = place.begin; node < place.end; ++node) free += free_on(node);
        int all = free;
        for (const std::size_t victim : victims) all += within(victim, place);
        if (all < wanted || free <= most) continue;
        most = free;
        chosen = place;
      }
      if (most < 0) continue;
      for (const std::size_t victim : victims) {
        if (most >= wanted) break;
        const int gain = within(victim, chosen);
        if (gain == 0) continue;
        most += gain;
        const int queue = jobs_[victim].queue;
        leave(victim);
        wait_in_front(victim, std::size_t(queue));
      }
      start(i, densest(wanted, Tier(tier)));
      return true;
    }
    return false;
  }

  void wait_in_front(std::size_t i, std::size_t queue) {
    PlacedJob& job = jobs_[i];
    job.first_offer = -1;
    if (rules_.useful) job.key = job.worked > 0 ? double(job.useful) / double(job.worked) : 1;
    waiting_[queue].insert(waiting_[queue].begin(), i);
  }

  void start(std::size_t i, Placement placement) {
    PlacedJob& job = jobs_[i];
    PENSTOCK_CHECK(!placement.parts.empty());
    std::erase(waiting_[std::size_t(job.queue)], i);
    running_[std::size_t(job.queue)].push_back(i);
    job.running = true;
    job.placement = std::move(placement);
    job.started = now_;
    job.progress = now_ + (job.starts++ > 0 ? rules_.restart : 0);
  }

  // Which of `free` takes `wanted`, or the next part of it: the least that is enough, else the
  // most; the first of equal ones. -1: none has any.
  static int pick(const std::vector<int>& free, int wanted) {
    int picked = -1;
    for (int i = 0; i < int(free.size()); ++i) {
      const int here = free[std::size_t(i)];
      if (here == 0) continue;
      const int there = picked < 0 ? 0 : free[std::size_t(picked)];
      const bool better =
          here >= wanted ? there < wanted || here < there : there < wanted && here > there;
      if (picked < 0 || better) picked = i;
    }
    return picked;
  }

  void fill(const Place& place, int wanted, Placement& placement) const {
    std::vector<int> free;
    for (int node = place.begin; node < place.end; ++node) free.push_back(free_on(node));
    while (wanted > 0) {
      const int node = pick(free, wanted);
      const int part = std::min(wanted, free[std::size_t(node)]);
      placement.parts.push_back({place.begin + node, part});
      free[std::size_t(node)] = 0;
      wanted -= part;
    }
  }

  // Empty: the tier does not have it.
  Placement densest(int wanted, Tier tier) const {
    Placement placement;
    const std::vector<Place> all = places(tier == Tier::kNetwork ? Tier::kRack : tier);
    std::vector<int> free;
    int sum = 0;
    for (const Place& place : all) {
      free.push_back(0);
      for (int node = place.begin; node < place.end; ++node) free.back() += free_on(node);
      sum += free.back();
    }
    if (tier != Tier::kNetwork) {
      const int place = pick(free, wanted);
      if (place < 0 || free[std::size_t(place)] < wanted) return placement;
      fill(all[std::size_t(place)], wanted, placement);
    } else {
      if (sum < wanted) return placement;
      while (wanted > 0) {
        const int place = pick(free, wanted);
        const int part = std::min(wanted, free[std::size_t(place)]);
        fill(all[std::size_t(place)], part, placement);
        free[std::size_t(place)] = 0;
        wanted -= part;
      }
    }
    std::sort(placement.parts.begin(), placement.parts.end(),
              [](const auto& a, const auto& b) { return a.node < b.node; });
    return placement;
  }

  const Topology& cluster_;
  const PlacementRules rules_;
  std::vector<PlacedJob> jobs_;  // by submission
  std::array<std::vector<std::size_t>, 3> waiting_;
  std::array<std::vector<std::size_t>, 3> running_;
  std::vector<Stay> stays_;
  std::int64_t now_ = 0;
};

}  // namespace penstock::cluster
