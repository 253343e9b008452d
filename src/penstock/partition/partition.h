// Splits a network over an array of accelerators, and says what a training step then takes.
//
//   PENSTOCK_TRY(Network network, lower(graph));
//   PENSTOCK_TRY(PartitionResult result, partition_network(network, array, {}));
//   const StrategyResult& best = result.strategies[result.best];
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/core/result.h"
#include "penstock/hardware/array.h"
#include "penstock/partition/network.h"
#include "penstock/partition/tree.h"

namespace penstock::partition {

enum class Mode {
  kPaper,  // AccPar as published: classic table, a ratio for each layer, real-valued shares
  kFused,  // partial sums reduced into the next layout, one ratio a level, whole items, may idle
  kMesh,   // n-ary meshes inside groups, pair splits between groups (the default)
};
std::string_view mode_name(Mode mode);
Result<Mode> mode_from_name(const std::string& name);

// Everything that fixes a plan and its predicted cost, apart from the network.
struct PartitionPlan {
  Mode mode = Mode::kMesh;
  std::string strategy;
  hardware::Array array;
  TreeOptions tree_options;
  MeshOptions mesh_options;
  TreePlan tree;  // over build_tree(array), or build_group_tree(array) in mesh mode

  DeviceTree device_tree() const;
};

struct PartitionOptions {
  Mode mode = Mode::kMesh;
  std::vector<Strategy> strategies = all_strategies();  // of the paper and fused modes
  double bytes_per_element = 2;
  MemoryModel memory;
  bool reduce_scatter = true;  // of the mesh mode
  bool progress = false;       // on standard error
};

// Names of the strategies that are no Strategy: "one-device" (the fastest), "ring-data" (data
// parallelism over one ring of all devices, equal shares), and in mesh mode "mesh" (all devices)
// and "best" (the best subset of devices).
struct StrategyResult {
  std::string name;
  Seconds step;
  std::vector<Seconds> nodes;  // by network node; empty without a plan
  ledger::Ledger ledger;
  std::vector<DeviceCost> devices;
  bool fits = true;      // every device's memory holds its part
  bool has_plan = true;  // ring-data over unlike groups is a cost only
  PartitionPlan plan;
};

// A plan with what it costs on its array. The result is named after the plan's strategy.
StrategyResult as_result(const Network& network, PartitionPlan plan);

struct PartitionResult {
  std::vector<StrategyResult> strategies;
  int best = 0;  // the fastest that fits; in paper mode memory is reported, not respected
};

// Fails with ErrorKind::kNegative where no plan fits the devices' memory (fused and mesh mode).
Result<PartitionResult> partition_network(const Network& network, const hardware::Array& array,
                                          const PartitionOptions& options);

// How a plan cuts one node, for people: by level for each kind of device ("I I II", with the share
// where it is not one half), and "8 x 4 x 1" for batch, input and output channels of a mesh.
std::string describe_split(const Network& network, const PartitionPlan& plan, int node);

// A step as bars, node after node: on each device what it exchanges, then what it computes; what is
// left of the node's time it waits for slower devices.
std::vector<ledger::Span> timeline(const Network& network, const StrategyResult& result);

// Schema "penstock-partition/1": versioned text that re-evaluates on another network of the same
// nodes (another batch) or another array of the same shape.
core::Json plan_to_json(const Network& network, const PartitionPlan& plan);
// Checks the plan against the network: node names, states that the nodes allow, shares in [0, 1].
Result<PartitionPlan> plan_from_json(const core::Json& json, const Network& network,
                                     const std::string& where);

}  // namespace penstock::partition
