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
                const hardware::Array& array, const TreeOptions& options, const MeshOptions& mesh)
      : network_(network),
        tree_(tree),
        plan_(plan),
        array_(array),
        options_(options),
        mesh_(mesh) {}

  TreeCost evaluate() {
    Path path;
    path.interconnect.assign(network_.nodes.size(), 0.0);
    path.network = path.interconnect;
    cost_.ledger =
        ledger::Ledger(network_.name + " on " + array_.name, ledger::Evidence::kPredicted);
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
    if (node.leaf()) return walk_leaf(index, extents, path);
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

  std::vector<double> walk_leaf(int index, const std::vector<Extent>& extents, const Path& path) {
    const TreeNode& node = tree_.nodes[index];
    std::vector<MeshPhase> phases(network_.nodes.size());
    DeviceCost device;
    device.group = node.group;
    device.count = path.count * node.devices;
    device.buffer = Bytes(path.buffer);
    device.received = Bytes(path.received);
    const MeshPlan& mesh = plan_.meshes[index];
    if (mesh.states.empty()) {
      const std::vector<double> compute = leaf_phases(network_, extents, node, options_);
      for (std::size_t v = 0; v < compute.size(); ++v) {
        phases[v].compute = compute[v];
        const Held held = held_parts(network_, static_cast<int>(v), extents[v], options_);
        device.weights += Bytes(held.weights);
        device.activations += Bytes(held.activations);
      }
    } else {
      const MeshSpace space(array_.groups[node.group], mesh.devices);
      device.count = path.count * mesh.devices;
      MeshCost cost = evaluate_mesh(network_, extents, space, mesh, mesh_);
      phases = std::move(cost.phases);
      device.weights = cost.weights;
      device.activations = cost.activations;
      device.buffer = std::max(device.buffer, cost.buffer);
      for (const MeshPhase& phase : phases) device.received += Bytes(phase.received);
    }
    add_device(device, path, phases);
    if (!mesh.states.empty() && mesh.devices < node.devices) {
      DeviceCost rest;
      rest.group = node.group;
      rest.count = path.count * (node.devices - mesh.devices);
      add_account(rest.group, rest.count);
      cost_.devices.push_back(rest);
    }
    std::vector<double> seconds;
    for (const MeshPhase& p : phases) seconds.push_back(p.compute + p.interconnect + p.network);
    return seconds;
  }

  void add_device(DeviceCost device, const Path& path, const std::vector<MeshPhase>& phases) {
    ledger::Account& account = add_account(device.group, device.count);
    for (std::size_t v = 0; v < network_.nodes.size(); ++v) {
      const auto add = [&](Activity activity, double seconds) {
        if (seconds > 0) account.add(activity, network_.nodes[v].name, Seconds(seconds));
      };
      add(Activity::kCompute, phases[v].compute);
      add(Activity::kInterconnect, path.interconnect[v] + phases[v].interconnect);
      add(Activity::kNetwork, path.network[v] + phases[v].network);
      device.compute += Seconds(phases[v].compute);
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
    DeviceCost device;
    device.group = node.group;
    device.count = count * node.devices;
    add_account(device.group, device.count);
    cost_.devices.push_back(device);
  }

  const Network& network_;
  const DeviceTree& tree_;
  const TreePlan& plan_;
  const hardware::Array& array_;
  const TreeOptions& options_;
  const MeshOptions& mesh_;
  std::vector<int> accounts_ = std::vector<int>(array_.groups.size(), 0);
  TreeCost cost_;
};

}  // namespace

TreeCost evaluate_tree(const Network& network, const DeviceTree& tree, const TreePlan& plan,
                       const hardware::Array& array, const TreeOptions& options,
                       const MeshOptions& mesh) {
  return TreeEvaluator(network, tree, plan, array, options, mesh).evaluate();
}

}  // namespace penstock::partition
