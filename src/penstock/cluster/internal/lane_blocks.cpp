#include "penstock/cluster/internal/lane_blocks.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <tuple>
#include <utility>

#include "penstock/core/check.h"

namespace penstock::cluster::internal {
namespace {

// Finer than the pixels of a screen, so that a closer look still finds something.
constexpr std::int64_t kFinestPart = 16384;

struct Lanes {
  std::int64_t end = 0;  // ns, of who holds them
  std::int32_t first = 0;
  std::int32_t count = 0;
  bool operator>(const Lanes& other) const {
    return std::tie(end, first) > std::tie(other.end, other.first);
  }
};

// The accelerators of one node: gaps of free neighbours, and when the others become free.
class NodeLanes {
 public:
  explicit NodeLanes(std::int32_t accelerators) { insert(0, accelerators); }

  void free_until(Time now) {
    while (!held_.empty() && held_.top().end <= now.ns) {
      give(held_.top().first, held_.top().count);
      held_.pop();
    }
  }

  std::vector<Lanes> take(std::int32_t accelerators, Time end) {
    std::vector<Lanes> taken;
    while (accelerators > 0) {
      PENSTOCK_CHECK(!by_size_.empty());
      auto gap = by_size_.lower_bound({accelerators, 0});
      if (gap == by_size_.end()) gap = std::prev(gap);
      const auto [size, first] = *gap;
      const std::int32_t count = std::min(size, accelerators);
      erase(first, size);
      if (count < size) insert(first + count, size - count);
      taken.push_back({end.ns, first, count});
      held_.push(taken.back());
      accelerators -= count;
    }
    return taken;
  }

 private:
  void insert(std::int32_t first, std::int32_t size) {
    by_first_.emplace(first, size);
    by_size_.emplace(size, first);
  }
  void erase(std::int32_t first, std::int32_t size) {
    by_first_.erase(first);
    by_size_.erase({size, first});
  }
  void give(std::int32_t first, std::int32_t size) {
    const auto after = by_first_.upper_bound(first);
    if (after != by_first_.end() && after->first == first + size) {
      const auto [next, more] = *after;
      erase(next, more);
      size += more;
    }
    auto before = by_first_.upper_bound(first);
    if (before != by_first_.begin()) {
      --before;
      const auto [previous, more] = *before;
      if (previous + more == first) {
        erase(previous, more);
        first = previous;
        size += more;
      }
    }
    insert(first, size);
  }

  std::map<std::int32_t, std::int32_t> by_first_;
  std::set<std::pair<std::int32_t, std::int32_t>> by_size_;
  std::priority_queue<Lanes, std::vector<Lanes>, std::greater<>> held_;
};

Time length(const LaneBlock& block) { return block.end - block.start; }

// One lane each, short gaps closed.
std::vector<LaneBlock> merge(const std::vector<LaneBlock>& blocks, Time gap) {
  std::vector<LaneBlock> single;
  for (const LaneBlock& block : blocks) {
    for (std::int32_t i = 0; i < block.lanes; ++i) {
      single.push_back(block);
      single.back().lane += i;
      single.back().lanes = 1;
      single.back().job = -1;
    }
  }
  std::sort(single.begin(), single.end(), [](const LaneBlock& a, const LaneBlock& b) {
    return std::tie(a.lane, a.start) < std::tie(b.lane, b.start);
  });
  std::vector<LaneBlock> merged;
  for (const LaneBlock& block : single) {
    if (!merged.empty() && merged.back().lane == block.lane &&
        block.start - merged.back().end < gap) {
      merged.back().end = block.end;
      merged.back().stays += block.stays;
    } else {
      merged.push_back(block);
    }
  }
  return merged;
}

}  // namespace

std::vector<LaneBlock> lane_blocks(const Topology& cluster, const std::vector<Episode>& episodes) {
  std::vector<NodeLanes> nodes;
  std::vector<std::int64_t> first_lane;
  std::int64_t lanes = 0;
  nodes.reserve(cluster.nodes.size());
  for (const Topology::Node& node : cluster.nodes) {
    nodes.emplace_back(node.accelerators);
    first_lane.push_back(lanes);
    lanes += node.accelerators;
  }
  std::vector<LaneBlock> blocks;
  for (const Episode& episode : episodes) {
    // Preempted in the moment of its start: others may hold its accelerators.
    if (episode.end <= episode.start) continue;
    const Tier tier = tier_of(cluster, episode.placement);
    for (const Placement::Part& part : episode.placement.parts) {
      const auto node = static_cast<std::size_t>(part.node);
      nodes[node].free_until(episode.start);
      for (const Lanes& taken : nodes[node].take(part.accelerators, episode.end)) {
        blocks.push_back({.lane = first_lane[node] + taken.first,
                          .lanes = taken.count,
                          .job = episode.job,
                          .tier = tier,
                          .start = episode.start,
                          .end = episode.end});
      }
    }
  }
  return blocks;
}

Thinned thin(std::vector<LaneBlock> blocks, Time horizon, std::size_t most,
             const std::function<bool(std::int32_t)>& named) {
  const auto is_named = [&](const LaneBlock& block) { return named(block.job); };
  Thinned out;
  if (blocks.size() <= most && std::all_of(blocks.begin(), blocks.end(), is_named)) {
    out.blocks = std::move(blocks);
    return out;
  }
  for (out.shortest = {std::max<std::int64_t>(1, horizon.ns / kFinestPart)};;
       out.shortest.ns *= 2) {
    std::vector<LaneBlock> small;
    out.blocks.clear();
    for (const LaneBlock& block : blocks) {
      const bool stays = is_named(block) && length(block) >= out.shortest;
      (stays ? out.blocks : small).push_back(block);
    }
    const std::vector<LaneBlock> merged = merge(small, out.shortest);
    out.blocks.insert(out.blocks.end(), merged.begin(), merged.end());
    out.merged = std::int64_t(small.size());
    if (out.blocks.size() <= most || out.shortest.ns >= horizon.ns / 64) break;
  }
  if (out.blocks.size() > most) {
    const auto held = [](const LaneBlock& block) {
      return double(block.lanes) * double(length(block).ns);
    };
    std::stable_sort(out.blocks.begin(), out.blocks.end(),
                     [&](const LaneBlock& a, const LaneBlock& b) { return held(a) > held(b); });
    out.left_out = std::int64_t(out.blocks.size() - most);
    out.blocks.resize(most);
  }
  return out;
}

}  // namespace penstock::cluster::internal
