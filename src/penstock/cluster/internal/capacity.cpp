#include "penstock/cluster/internal/capacity.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "penstock/core/check.h"

namespace penstock::cluster::internal {

Capacity::Capacity(const Topology& cluster, bool whole_nodes)
    : cluster_(cluster), whole_nodes_(whole_nodes), largest_(cluster.largest_node()) {
  const std::size_t nodes = cluster.nodes.size();
  nodes_.resize(nodes);
  held_down_.resize(nodes);
  down_.resize(nodes);
  racks_.resize(cluster.racks.size());
  for (std::size_t node = 0; node < nodes; ++node) {
    const auto rack = std::size_t(cluster.nodes[node].rack);
    while (rack_begin_.size() <= rack) rack_begin_.push_back(std::int32_t(node));
  }
  while (rack_begin_.size() <= racks_.size()) rack_begin_.push_back(std::int32_t(nodes));
  const auto largest = std::size_t(largest_);
  by_free_.assign(largest + 1, std::vector<std::uint64_t>((nodes + 63) / 64));
  count_by_free_.assign(largest + 1, 0);
  count_by_free_[0] = std::int32_t(nodes);
  for (std::size_t node = 0; node < nodes; ++node) {
    by_free_[0][node / 64] |= std::uint64_t{1} << (node % 64);
    change(std::int32_t(node), cluster.nodes[node].accelerators);
  }
}

void Capacity::change(std::int32_t node, int by) {
  const auto index = std::size_t(node);
  const auto move = [&](std::int32_t free, int count) {
    by_free_[std::size_t(free)][index / 64] ^= std::uint64_t{1} << (index % 64);
    count_by_free_[std::size_t(free)] += count;
  };
  move(nodes_[index], -1);
  nodes_[index] += by;
  PENSTOCK_CHECK(nodes_[index] >= 0);
  PENSTOCK_CHECK(nodes_[index] <= cluster_.nodes[index].accelerators);
  move(nodes_[index], 1);
  racks_[std::size_t(cluster_.nodes[index].rack)] += by;
  free_ += by;
}

void Capacity::take(const Placement& placement) {
  for (const Placement::Part& part : placement.parts) change(part.node, -part.accelerators);
}

void Capacity::give(const Placement& placement) {
  for (const Placement::Part& part : placement.parts) {
    if (down(part.node)) {
      held_down_[std::size_t(part.node)] += part.accelerators;
    } else {
      change(part.node, part.accelerators);
    }
  }
}

void Capacity::set_down(std::int32_t node, bool down) {
  const auto index = std::size_t(node);
  if (bool(down_[index]) == down) return;
  if (down) {
    held_down_[index] = nodes_[index];
    change(node, -nodes_[index]);
  } else {
    change(node, std::exchange(held_down_[index], 0));
  }
  down_[index] = down;
}

int Capacity::open_on(std::int32_t node, int accelerators) const {
  if (node == reserved_) return 0;
  const int free = free_on(node);
  if (!wants_whole_nodes(accelerators)) return free;
  return free == cluster_.nodes[std::size_t(node)].accelerators ? free : 0;
}

int Capacity::open_in_rack(std::int32_t rack, int accelerators) const {
  int open = racks_[std::size_t(rack)];
  if (wants_whole_nodes(accelerators)) {
    open = 0;
    for (std::int32_t node = rack_begin(rack); node < rack_begin(rack + 1); ++node) {
      open += open_on(node, accelerators);
    }
  } else if (reserved_ >= 0 && cluster_.nodes[std::size_t(reserved_)].rack == rack) {
    open -= free_on(reserved_);
  }
  return open;
}

std::int32_t Capacity::best_node(int accelerators) const {
  for (std::size_t free = std::size_t(accelerators); free < by_free_.size(); ++free) {
    if (count_by_free_[free] == 0) continue;
    for (std::size_t word = 0; word < by_free_[free].size(); ++word) {
      std::uint64_t bits = by_free_[free][word];
      while (bits != 0) {
        const auto node = std::int32_t(word * 64) + std::countr_zero(bits);
        if (node != reserved_) return node;
        bits &= bits - 1;
      }
    }
  }
  return -1;
}

std::int32_t Capacity::best_rack(int accelerators) const {
  std::int32_t best = -1;
  for (std::int32_t rack = 0; rack < racks(); ++rack) {
    const int open = open_in_rack(rack, accelerators);
    if (open < accelerators) continue;
    if (best < 0 || open < open_in_rack(best, accelerators)) best = rack;
  }
  return best;
}

void Capacity::fill_from_rack(std::int32_t rack, int part, int accelerators,
                              Placement& placement) const {
  const auto open = [&](std::int32_t node) { return open_on(node, accelerators); };
  const std::size_t before = placement.parts.size();
  const auto chosen = [&](std::int32_t node) {
    return std::any_of(placement.parts.begin() + std::ptrdiff_t(before), placement.parts.end(),
                       [&](const Placement::Part& other) { return other.node == node; });
  };
  while (part > 0) {
    // The fullest node that ends it, else the emptiest node there is.
    std::int32_t best = -1;
    for (std::int32_t node = rack_begin(rack); node < rack_begin(rack + 1); ++node) {
      if (open(node) == 0 || chosen(node)) continue;
      const bool ends = open(node) >= part;
      const bool best_ends = best >= 0 && open(best) >= part;
      if (best < 0 || (ends && !best_ends) ||
          (ends == best_ends && (ends ? open(node) < open(best) : open(node) > open(best)))) {
        best = node;
      }
    }
    PENSTOCK_CHECK(best >= 0);
    const int taken = std::min(part, open(best));
    placement.parts.push_back({best, taken});
    part -= taken;
  }
}

bool Capacity::find(int accelerators, Tier tier, Placement& placement) const {
  placement.parts.clear();
  if (tier == Tier::kNode) {
    const std::int32_t node = best_node(accelerators);
    if (node < 0) return false;
    placement.parts.push_back({node, accelerators});
    return true;
  }
  if (tier == Tier::kRack) {
    const std::int32_t rack = best_rack(accelerators);
    if (rack < 0) return false;
    fill_from_rack(rack, accelerators, accelerators, placement);
  } else {
    std::vector<int> open(static_cast<std::size_t>(racks()));
    int all = 0;
    for (std::int32_t rack = 0; rack < racks(); ++rack) {
      all += open[std::size_t(rack)] = open_in_rack(rack, accelerators);
    }
    if (all < accelerators) return false;
    int left = accelerators;
    while (left > 0) {
      std::int32_t best = -1;
      for (std::int32_t rack = 0; rack < racks(); ++rack) {
        const int here = open[std::size_t(rack)];
        if (here == 0) continue;
        const int most = best >= 0 ? open[std::size_t(best)] : 0;
        const bool ends = here >= left;
        const bool best_ends = most >= left;
        if (best < 0 || (ends && !best_ends) ||
            (ends == best_ends && (ends ? here < most : here > most))) {
          best = rack;
        }
      }
      PENSTOCK_CHECK(best >= 0);
      const int part = std::min(left, std::exchange(open[std::size_t(best)], 0));
      fill_from_rack(best, part, accelerators, placement);
      left -= part;
    }
  }
  std::sort(placement.parts.begin(), placement.parts.end(),
            [](const auto& a, const auto& b) { return a.node < b.node; });
  return true;
}

bool Capacity::find_even(int accelerators, int parts, Tier tier, Placement& placement) const {
  const int part = accelerators / parts;
  const auto gather = [&](std::int32_t begin, std::int32_t end) {
    placement.parts.clear();
    for (std::int32_t node = begin; node < end && int(placement.parts.size()) < parts; ++node) {
      if (open_on(node, accelerators) >= part) placement.parts.push_back({node, part});
    }
    return int(placement.parts.size()) == parts;
  };
  if (tier == Tier::kNetwork) return gather(0, std::int32_t(nodes_.size()));
  for (std::int32_t rack = 0; rack < racks(); ++rack) {
    if (gather(rack_begin(rack), rack_begin(rack + 1))) return true;
  }
  return false;
}

}  // namespace penstock::cluster::internal
