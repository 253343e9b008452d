#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "penstock/core/check.h"
#include "penstock/partition/internal/tree_phases.h"
#include "penstock/partition/tree.h"

namespace penstock::partition {
namespace {

using ledger::Activity;

// What one device has received so far on the way down the tree, by network node, in seconds.
struct Path {
  std::vector<double> interconnect;
  std::vector<double> network;
  double received = 0;  // bytes
  double buffer = 0;    // bytes of the largest conversion
  int count = 1;
};

class TreeEvaluator {
 public:
  TreeEvaluator(const Network& network, const DeviceTree& tree, const TreePlan& plan,
                const hardware::Array& array, const TreeOptions& options)
      : network_(network), tree_(tree), plan_(plan), array_(array), options_(options) {}

  TreeCost evaluate() {
    Path path;
    path.interconnect.assign(network_.nodes.size(), 0.0);
    path.network = path.interconnect;
    cost_.ledger = ledger::Ledger(network_.name + " on " + array_.name,
                                  ledger::Evidence::kPredicted);
    const std::vector<double> phases = walk(0, whole_extents(network_), path);
    for (const double t : phases) cost_.nodes.emplace_back(t);
    cost_.step = Seconds(std::accumulate(phases.begin(), phases.end(), 0.0));
    const Status closed = cost_.ledger.close(cost_.step);
    PENSTOCK_CHECK(closed.has_value());
    return std::move(cost_);
  }

 private:
  std::vector<double> walk(int index, const std::vector<Extent>& extents, const Path& path) {
    const TreeNode& node = tree_.nodes[index];
    if (node.leaf()) {
      const std::vector<double> phases = leaf_phases(network_, extents, node, options_);
      add_device(node, extents, path, phases);
      return phases;
    }
    const Split& split = plan_.splits[index];
    const LevelModel model(network_, extents, options_);
    std::vector<std::vector<double>> below;
    for (int side = 0; side < (node.equal_halves() ? 1 : 2); ++side) {
      Path down = path;
      if (node.equal_halves() && !is_idle(split, 1)) down.count *= 2;
      if (is_idle(split, side)) {
        add_idle(node.children[side], path.count);
        below.emplace_back(network_.nodes.size(), 0.0);
        continue;
      }
      for (std::size_t v = 0; v < network_.nodes.size(); ++v) {
        const double bytes = node_received(network_, model, split, static_cast<int>(v), side);
        (node.network ? down.network : down.interconnect)[v] += bytes / node.charged[side].value();
        down.received += bytes;
        down.buffer = std::max(down.buffer, bytes);
      }
      below.push_back(
          walk(node.children[side], child_extents(network_, extents, split, side, options_), down));
    }
    if (node.equal_halves() && is_idle(split, 1)) add_idle(node.children[1], path.count);
    return split_phases(network_, extents, node, split, below, options_);
  }

  ledger::Account& add_account(int group, int count) {
    int& number = accounts_[static_cast<std::size_t>(group)];
    const std::string& name = array_.groups[group].name;
    ++number;
    return cost_.ledger.add_account(number == 1 ? name : fmt::format("{} ({})", name, number),
                                    count);
  }

  void add_device(const TreeNode& leaf, const std::vector<Extent>& extents, const Path& path,
                  const std::vector<double>& compute) {
    ledger::Account& account = add_account(leaf.group, path.count);
    const LevelModel model(network_, extents, options_);
    DeviceCost device;
    device.group = leaf.group;
    device.count = path.count;
    device.received = Bytes(path.received);
    device.buffer = Bytes(path.buffer);
    for (std::size_t i = 0; i < network_.nodes.size(); ++i) {
      const int v = static_cast<int>(i);
      const Node& n = network_.nodes[i];
      device.work += Flop(model.flops(v));
      device.weights += Bytes(options_.bytes_per_element *
                              (model.weight_elements(v) + model.vector_elements(v)));
      const double kept = n.kind == NodeKind::kLayer
                              ? extents[i].rows / static_cast<double>(n.rows) * extents[i].in /
                                    static_cast<double>(n.in_columns)
                              : extents[i].rows / static_cast<double>(n.rows) * extents[i].out /
                                    static_cast<double>(n.out_columns);
      device.activations +=
          Bytes(options_.bytes_per_element * static_cast<double>(n.stash) * kept);
      const auto add = [&](Activity activity, double seconds) {
        if (seconds > 0) account.add(activity, n.name, Seconds(seconds));
      };
      add(Activity::kCompute, compute[i]);
      add(Activity::kInterconnect, path.interconnect[i]);
      add(Activity::kNetwork, path.network[i]);
    }
    cost_.devices.push_back(device);
  }

  void add_idle(int index, int count) {
    const TreeNode& node = tree_.nodes[index];
    if (!node.leaf()) {
      add_idle(node.children[0], node.equal_halves() ? 2 * count : count);
      if (!node.equal_halves()) add_idle(node.children[1], count);
      return;
    }
    add_account(node.group, count);
    DeviceCost device;
    device.group = node.group;
    device.count = count;
    cost_.devices.push_back(device);
  }

  const Network& network_;
  const DeviceTree& tree_;
  const TreePlan& plan_;
  const hardware::Array& array_;
  const TreeOptions& options_;
  std::vector<int> accounts_ = std::vector<int>(array_.groups.size(), 0);
  TreeCost cost_;
};

}  // namespace

TreeCost evaluate_tree(const Network& network, const DeviceTree& tree, const TreePlan& plan,
                       const hardware::Array& array, const TreeOptions& options) {
  return TreeEvaluator(network, tree, plan, array, options).evaluate();
}

}  // namespace penstock::partition
