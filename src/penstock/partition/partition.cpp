#include "penstock/partition/partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "penstock/core/check.h"
#include "penstock/core/progress.h"
#include "penstock/partition/internal/level_model.h"

namespace penstock::partition {

using hardware::Array;
using hardware::DeviceGroup;

std::string_view mode_name(Mode mode) {
  constexpr std::string_view kNames[] = {"paper", "fused", "mesh"};
  return kNames[static_cast<int>(mode)];
}

Result<Mode> mode_from_name(const std::string& name) {
  for (const Mode mode : {Mode::kPaper, Mode::kFused, Mode::kMesh}) {
    if (mode_name(mode) == name) return mode;
  }
  return core::input_error("mode", "\"" + name + "\" is no mode", "use paper, fused or mesh");
}

DeviceTree PartitionPlan::device_tree() const {
  return mode == Mode::kMesh ? build_group_tree(array) : build_tree(array);
}

namespace {

TreeOptions tree_options_of(const PartitionOptions& options) {
  TreeOptions tree = options.mode == Mode::kPaper ? paper_options() : fused_options();
  tree.bytes_per_element = options.bytes_per_element;
  tree.memory = options.memory;
  return tree;
}

MeshOptions mesh_options_of(const PartitionOptions& options) {
  MeshOptions mesh;
  mesh.bytes_per_element = options.bytes_per_element;
  mesh.reduce_scatter = options.reduce_scatter;
  mesh.memory = options.memory;
  return mesh;
}

bool fits(const Array& array, const std::vector<DeviceCost>& devices) {
  return std::all_of(devices.begin(), devices.end(), [&](const DeviceCost& device) {
    const Bytes capacity = array.groups[device.group].memory;
    return capacity.value() <= 0 || device.memory() <= capacity;
  });
}

StrategyResult finish(std::string name, const Network& network, PartitionPlan plan) {
  plan.strategy = std::move(name);
  return as_result(network, std::move(plan));
}

// `devices` of one group, as an array of its own.
Array only(const Array& array, int group, int devices) {
  Array part = array;
  part.groups = {array.groups[group]};
  DeviceGroup& g = part.groups[0];
  g.count = devices;
  if (g.count < g.per_node || g.count % g.per_node != 0) g.per_node = g.count;
  return part;
}

int fastest_group(const Array& array) {
  int best = 0;
  for (std::size_t g = 1; g < array.groups.size(); ++g) {
    if (array.groups[g].sustained() > array.groups[best].sustained()) best = static_cast<int>(g);
  }
  return best;
}

class Partitioner {
 public:
  Partitioner(const Network& network, const Array& array, const PartitionOptions& options)
      : network_(network), array_(array), options_(options) {}

  Result<PartitionResult> run() {
    PartitionResult result;
    if (options_.mode == Mode::kMesh) {
      result.strategies.push_back(one_device());
      result.strategies.push_back(ring_data());
      result.strategies.push_back(on_meshes("mesh", false));
      result.strategies.push_back(best_subset(result.strategies));
    } else {
      core::Progress progress("partition", static_cast<std::int64_t>(options_.strategies.size()),
                              options_.progress);
      for (const Strategy strategy : options_.strategies) {
        result.strategies.push_back(on_tree(strategy));
        progress.advance();
      }
      result.strategies.push_back(one_device());
      result.strategies.push_back(ring_data());
    }
    return choose(std::move(result));
  }

 private:
  Result<PartitionResult> choose(PartitionResult result) const {
    const bool paper = options_.mode == Mode::kPaper;
    int best = -1;
    // The paper's own strategies answer a request for them, whatever else would be faster.
    const std::size_t candidates =
        options_.mode == Mode::kMesh ? result.strategies.size() : options_.strategies.size();
    for (std::size_t i = 0; i < candidates; ++i) {
      const StrategyResult& s = result.strategies[i];
      if (!s.has_plan || (!s.fits && !paper)) continue;
      if (best < 0 || s.step <= result.strategies[best].step) best = static_cast<int>(i);
    }
    if (best < 0) return does_not_fit(result);
    result.best = best;
    return result;
  }

  tl::unexpected<Error> does_not_fit(const PartitionResult& result) const {
    Bytes least(INFINITY);
    Bytes capacity;
    for (const StrategyResult& s : result.strategies) {
      if (!s.has_plan) continue;
      Bytes most;
      Bytes holds;
      for (const DeviceCost& device : s.devices) {
        if (device.memory() <= most) continue;
        most = device.memory();
        holds = s.plan.array.groups[device.group].memory;
      }
      if (most < least) {
        least = most;
        capacity = holds;
      }
    }
    return core::negative(
        array_.name,
        fmt::format("cannot hold {} at batch {}: the leanest plan needs {} on a device of {}",
                    network_.name, network_.batch, core::format_quantity(least),
                    core::format_quantity(capacity)),
        "add devices, lower the batch, or choose an optimizer with less state");
  }

  PartitionPlan plan_on(Array array) const {
    PartitionPlan plan;
    plan.mode = options_.mode;
    plan.array = std::move(array);
    plan.tree_options = tree_options_of(options_);
    plan.mesh_options = mesh_options_of(options_);
    return plan;
  }

  StrategyResult on_tree(Strategy strategy) const {
    PartitionPlan plan = plan_on(array_);
    const DeviceTree tree = plan.device_tree();
    const auto with_price = [&](double price) {
      plan.tree_options.memory_price = price;
      plan.tree = plan_tree(network_, tree, plan.array, strategy, plan.tree_options);
      plan.tree_options.memory_price = 0;
      return finish(std::string(strategy_name(strategy)), network_, plan);
    };
    StrategyResult result = with_price(0);
    if (result.fits || options_.mode == Mode::kPaper || strategy != Strategy::kAccpar) {
      return result;
    }
    // The lowest price on memory, by powers of two, whose plan fits.
    for (double price = 1e-15; price < 1e-3 && !result.fits; price *= 2) {
      result = with_price(price);
    }
    return result;
  }

  StrategyResult one_device() const {
    const int group = fastest_group(array_);
    PartitionPlan plan = plan_on(only(array_, group, 1));
    plan.tree = single_device_plan();
    return finish("one-device", network_, std::move(plan));
  }

  TreePlan single_device_plan() const {
    TreePlan plan;
    plan.splits.resize(1);
    plan.meshes.resize(1);
    if (options_.mode == Mode::kMesh) {
      plan.meshes[0].states.resize(network_.nodes.size());
    }
    return plan;
  }

  StrategyResult on_meshes(const std::string& name, bool may_idle) const {
    PartitionPlan plan = plan_on(array_);
    plan.tree_options.may_idle = may_idle;
    plan.mesh_options.may_idle = may_idle;
    plan.tree = plan_tree(network_, plan.device_tree(), plan.array, Strategy::kAccpar,
                          plan.tree_options, plan.mesh_options);
    return finish(name, network_, std::move(plan));
  }

  // The best of: all groups with devices left out of each, and a part of one group alone.
  StrategyResult best_subset(const std::vector<StrategyResult>& known) const {
    StrategyResult best = known.back();
    const auto consider = [&](StrategyResult candidate) {
      const bool better = candidate.fits != best.fits ? candidate.fits : candidate.step < best.step;
      if (better) best = std::move(candidate);
    };
    consider(known.front());
    core::Progress progress("best subset", static_cast<std::int64_t>(array_.groups.size()) + 1,
                            options_.progress);
    for (std::size_t g = 0; g < array_.groups.size(); ++g) {
      const int group = static_cast<int>(g);
      PartitionPlan plan = plan_on(only(array_, group, array_.groups[g].count));
      MeshOptions search = plan.mesh_options;
      search.may_idle = true;
      // With one group, all its devices are the plan that is known already.
      const int most = plan.array.groups[0].count - (array_.groups.size() == 1 ? 1 : 0);
      if (most == 0) continue;
      const MeshPlan mesh =
          best_mesh(network_, whole_extents(network_), plan.array.groups[0], 1, most, search,
                    known.back().fits ? known.back().step : Seconds(kForbidden));
      if (mesh.states.empty()) continue;
      plan.tree.splits.resize(1);
      plan.tree.meshes = {mesh};
      consider(finish("best", network_, std::move(plan)));
      progress.advance();
    }
    if (array_.groups.size() > 1) consider(on_meshes("best", true));
    best.name = "best";
    best.plan.strategy = "best";
    return best;
  }

  // Data parallelism with equal shares over one ring through all devices, at the slowest link.
  StrategyResult ring_data() const {
    if (array_.groups.size() == 1 && options_.mode == Mode::kMesh) {
      PartitionPlan plan = plan_on(array_);
      plan.tree.splits.resize(1);
      plan.tree.meshes = {data_parallel_mesh(network_, whole_extents(network_),
                                             MeshSpace(array_.groups[0], array_.groups[0].count))};
      return finish("ring-data", network_, std::move(plan));
    }
    return ring_of_unlike();
  }

  StrategyResult ring_of_unlike() const {
    StrategyResult result;
    result.name = "ring-data";
    result.has_plan = false;
    const int n = array_.devices();
    Bandwidth slowest = array_.groups.size() > 1 ? array_.between : array_.groups[0].link;
    bool crosses = array_.groups.size() > 1;
    for (const DeviceGroup& g : array_.groups) {
      slowest = std::min(slowest, g.link);
      if (g.count > g.per_node) {
        slowest = std::min(slowest, g.network);
        crosses = true;
      }
    }
    const MeshOptions mesh = mesh_options_of(options_);
    const TreeOptions tree = tree_options_of(options_);
    std::vector<double> compute(array_.groups.size(), 0.0);
    double gradient = 0;
    double slowest_compute = 0;
    for (std::size_t g = 0; g < array_.groups.size(); ++g) {
      compute[g] = equal_share_compute(array_.groups[g], n, mesh);
      slowest_compute = std::max(slowest_compute, compute[g]);
    }
    Held held;
    for (std::size_t v = 0; v < network_.nodes.size(); ++v) {
      const Node& node = network_.nodes[v];
      gradient += static_cast<double>(node.weights + node.vectors) * options_.bytes_per_element;
      Extent share{static_cast<double>(node.rows) / n, static_cast<double>(node.in_columns),
                   static_cast<double>(node.out_columns)};
      const Held part = held_parts(network_, static_cast<int>(v), share, tree);
      held.weights += part.weights;
      held.activations += part.activations;
    }
    const Bytes moved(n > 1 ? 2 * gradient * (n - 1) / n : 0);
    const Seconds exchange = moved / slowest;
    result.step = Seconds(slowest_compute) + exchange;
    result.ledger =
        ledger::Ledger(network_.name + " on " + array_.name, ledger::Evidence::kPredicted);
    for (std::size_t g = 0; g < array_.groups.size(); ++g) {
      ledger::Account& account =
          result.ledger.add_account(array_.groups[g].name, array_.groups[g].count);
      account.add(ledger::Activity::kCompute, "training step", Seconds(compute[g]));
      account.add(crosses ? ledger::Activity::kNetwork : ledger::Activity::kInterconnect,
                  "gradient ring", exchange);
      DeviceCost device;
      device.group = static_cast<int>(g);
      device.count = array_.groups[g].count;
      device.compute = Seconds(compute[g]);
      device.received = moved;
      device.weights = Bytes(held.weights);
      device.activations = Bytes(held.activations);
      result.devices.push_back(device);
    }
    PENSTOCK_CHECK(result.ledger.close(result.step).has_value());
    result.fits = fits(array_, result.devices);
    return result;
  }

  // One device's compute on the n-th part of the batch.
  double equal_share_compute(const DeviceGroup& group, int n, const MeshOptions& mesh) const {
    std::vector<Extent> extents = whole_extents(network_);
    for (Extent& e : extents) e.rows = std::max(1.0, std::ceil(e.rows / n));
    MeshPlan plan;
    plan.states.resize(network_.nodes.size());
    return evaluate_mesh(network_, extents, MeshSpace(group, 1), plan, mesh).step.value();
  }

  const Network& network_;
  const Array& array_;
  const PartitionOptions& options_;
};

}  // namespace

StrategyResult as_result(const Network& network, PartitionPlan plan) {
  TreeCost cost = evaluate_tree(network, plan.device_tree(), plan.tree, plan.array,
                                plan.tree_options, plan.mesh_options);
  StrategyResult result;
  result.name = plan.strategy;
  result.step = cost.step;
  result.nodes = std::move(cost.nodes);
  result.fits = fits(plan.array, cost.devices);
  result.ledger = std::move(cost.ledger);
  result.devices = std::move(cost.devices);
  result.plan = std::move(plan);
  return result;
}

Result<PartitionResult> partition_network(const Network& network, const Array& array,
                                          const PartitionOptions& options) {
  return Partitioner(network, array, options).run();
}

}  // namespace penstock::partition
