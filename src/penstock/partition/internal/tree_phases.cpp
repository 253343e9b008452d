#include "penstock/partition/internal/tree_phases.h"

#include <algorithm>

namespace penstock::partition {

bool is_idle(const Split& split, int side) {
  const double idle_share = side == 0 ? 0.0 : 1.0;
  return std::all_of(split.shares.begin(), split.shares.end(),
                     [&](double share) { return share == idle_share; });
}

std::vector<Extent> child_extents(const Network& network, const std::vector<Extent>& extents,
                                  const Split& split, int side, const TreeOptions& options) {
  if (is_idle(split, 1 - side)) return extents;
  const LevelModel model(network, extents, options);
  std::vector<Extent> child;
  for (std::size_t v = 0; v < extents.size(); ++v) {
    child.push_back(
        model.child_extent(static_cast<int>(v), split.states[v], split.shares[v], side));
  }
  return child;
}

double node_received(const Network& network, const LevelModel& model, const Split& split, int v,
                     int side) {
  if (is_idle(split, 0) || is_idle(split, 1)) return 0;
  double bytes = model.node_bytes(v, split.states[v], split.shares[v], side);
  for (const int e : network.nodes[v].in_edges) {
    bytes += model.edge_bytes(e, split.states[network.edges[e].from], split.states[v],
                              split.shares[v], side);
  }
  return bytes;
}

double memory_on_device(const Network& network, const std::vector<Extent>& extents,
                        const TreeOptions& options) {
  double sum = 0;
  for (std::size_t v = 0; v < extents.size(); ++v) {
    const Held held = held_parts(network, static_cast<int>(v), extents[v], options);
    sum += held.weights + held.activations;
  }
  return sum;
}

std::vector<double> leaf_phases(const Network& network, const std::vector<Extent>& extents,
                                const TreeNode& leaf, const TreeOptions& options) {
  const LevelModel model(network, extents, options);
  std::vector<double> phases;
  for (std::size_t v = 0; v < network.nodes.size(); ++v) {
    phases.push_back(model.flops(static_cast<int>(v)) / leaf.rate.value());
  }
  return phases;
}

std::vector<double> split_phases(const Network& network, const std::vector<Extent>& extents,
                                 const TreeNode& node, const Split& split,
                                 const std::vector<std::vector<double>>& below,
                                 const TreeOptions& options) {
  const LevelModel model(network, extents, options);
  std::vector<double> phases;
  for (std::size_t v = 0; v < network.nodes.size(); ++v) {
    double slower = 0;
    for (std::size_t side = 0; side < below.size(); ++side) {
      const int s = static_cast<int>(side);
      const double received = node_received(network, model, split, static_cast<int>(v), s);
      slower = std::max(slower, received / node.charged[side].value() + below[side][v]);
    }
    phases.push_back(slower);
  }
  return phases;
}

}  // namespace penstock::partition
