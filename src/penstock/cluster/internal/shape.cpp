#include "penstock/cluster/internal/shape.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace penstock::cluster {
namespace {

// Sizes of the nodes of one rack, or of all (rack < 0), descending.
std::vector<int> node_sizes(const Topology& cluster, int rack) {
  std::vector<int> sizes;
  for (const Topology::Node& node : cluster.nodes) {
    if (rack < 0 || node.rack == rack) sizes.push_back(node.accelerators);
  }
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  return sizes;
}

// Fills nodes in turn; empty where they do not suffice.
std::vector<int> fill(const std::vector<int>& sizes, int accelerators) {
  std::vector<int> counts;
  for (const int size : sizes) {
    if (accelerators == 0) break;
    counts.push_back(std::min(size, accelerators));
    accelerators -= counts.back();
  }
  return accelerators == 0 ? counts : std::vector<int>();
}

// At least two nodes.
std::vector<int> fill_several(const std::vector<int>& sizes, int accelerators) {
  std::vector<int> counts = fill(sizes, accelerators);
  if (counts.size() != 1) return counts;
  if (sizes.size() < 2 || accelerators < 2) return {};
  const int second = std::min(sizes[1], accelerators / 2);
  return {accelerators - second, second};
}

bool holds(const std::vector<int>& sizes, const std::vector<int>& counts) {
  return counts.size() <= sizes.size() &&
         std::equal(counts.begin(), counts.end(), sizes.begin(), std::less_equal<>());
}

}  // namespace

int Shape::accelerators() const { return std::accumulate(counts.begin(), counts.end(), 0); }

Shape shape_of(const Topology& cluster, const Placement& placement) {
  Shape shape;
  for (const Placement::Part& part : placement.parts) shape.counts.push_back(part.accelerators);
  std::sort(shape.counts.begin(), shape.counts.end(), std::greater<>());
  shape.crosses_racks = tier_of(cluster, placement) == Tier::kNetwork;
  return shape;
}

std::optional<Shape> densest(const Topology& cluster, int accelerators, Tier tier) {
  if (accelerators < 1) return std::nullopt;
  if (tier == Tier::kNode) {
    if (accelerators > cluster.largest_node()) return std::nullopt;
    return Shape{{accelerators}, false};
  }
  if (tier == Tier::kNetwork) {
    if (cluster.racks.size() < 2) return std::nullopt;
    std::vector<int> counts = fill_several(node_sizes(cluster, -1), accelerators);
    if (counts.empty()) return std::nullopt;
    return Shape{std::move(counts), true};
  }
  std::optional<Shape> best;
  for (int rack = 0; rack < static_cast<int>(cluster.racks.size()); ++rack) {
    std::vector<int> counts = fill_several(node_sizes(cluster, rack), accelerators);
    if (counts.empty() || (best && best->counts.size() <= counts.size())) continue;
    best = Shape{std::move(counts), false};
  }
  return best;
}

std::optional<Shape> fitted(const Topology& cluster, const std::vector<int>& counts) {
  if (!holds(node_sizes(cluster, -1), counts)) return std::nullopt;
  for (int rack = 0; rack < static_cast<int>(cluster.racks.size()); ++rack) {
    if (holds(node_sizes(cluster, rack), counts)) return Shape{counts, false};
  }
  return Shape{counts, true};
}

}  // namespace penstock::cluster
