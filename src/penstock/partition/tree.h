// Plans over a hierarchy of bipartitions: AccPar as published (`paper`) and with partial sums
// reduced straight into the next layout (`fused`).
//
//   const DeviceTree tree = build_tree(array);
//   const TreePlan plan = plan_tree(network, tree, Strategy::kAccpar, paper_options());
//   const TreeCost cost = evaluate_tree(network, tree, plan, paper_options());
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/ledger/ledger.h"
#include "penstock/partition/device_tree.h"
#include "penstock/partition/mesh.h"
#include "penstock/partition/network.h"

namespace penstock::partition {

enum class Table {
  kClassic,  // partial sums are made whole before the layout changes (room page 1.3)
  kFused,    // they are reduced into the next layout (1.4)
};

enum class Strategy {
  kData,    // every layer I, equal shares
  kOwt,     // convolutions I, fully connected layers II, equal shares (Krizhevsky 2014)
  kHypar,   // I and II by dynamic programming on volume, equal shares (HPCA 2019)
  kAccpar,  // I, II and III by dynamic programming on time, shares by speed (HPCA 2020)
};
std::string_view strategy_name(Strategy strategy);  // "data", "owt", "hypar", "accpar"
std::vector<Strategy> all_strategies();

struct TreeOptions {
  Table table = Table::kClassic;
  bool whole_items = false;    // shares are whole batch items and channels
  bool shared_ratio = false;   // one ratio for all nodes of a split
  bool may_idle = false;       // a side may be left out
  double least_share = 0.001;  // of a side under a ratio of its own, as fitted (room page 1.9)
  double bytes_per_element = 2;
  MemoryModel memory;
  double memory_price = 0;  // seconds that a byte held on a device costs the objective
};
TreeOptions paper_options();
TreeOptions fused_options();

// What one split does: for each network node its state (a Type for a layer, else a Layout) and the
// first side's share. Empty for a single device. A share of 0 or 1 leaves one side idle.
struct Split {
  std::vector<std::uint8_t> states;
  std::vector<double> shares;
};

struct TreePlan {
  std::vector<Split> splits;     // one for each DeviceTree node, by index
  std::vector<MeshPlan> meshes;  // likewise; without states where the leaf is one device
  bool proven = true;            // false: some graph was too entangled for the exact method
};

// `array` is what the tree was built from; `mesh` is for leaves of several devices, which the mesh
// planner splits further.
TreePlan plan_tree(const Network& network, const DeviceTree& tree, const hardware::Array& array,
                   Strategy strategy, const TreeOptions& options, const MeshOptions& mesh = {});

// One device of each distinct position in the tree, and how many stand there.
struct DeviceCost {
  int group = 0;
  int count = 1;
  Seconds compute;
  Bytes received;
  Bytes weights;      // parameters, gradients and optimizer state
  Bytes activations;  // kept for the backward pass
  Bytes buffer;       // the largest conversion

  Bytes memory() const { return weights + activations + buffer; }
};

struct TreeCost {
  Seconds step;
  std::vector<Seconds> nodes;  // by network node; they sum to `step`
  std::vector<DeviceCost> devices;
  ledger::Ledger ledger;  // an account for each entry of `devices`
};

// Node by node: the slower side of (what it receives here / its link + the same of its half), no
// overlap (room page 1.9). `array` is what the tree was built from. `mesh` is for leaves of several
// devices.
TreeCost evaluate_tree(const Network& network, const DeviceTree& tree, const TreePlan& plan,
                       const hardware::Array& array, const TreeOptions& options,
                       const MeshOptions& mesh = {});

}  // namespace penstock::partition
