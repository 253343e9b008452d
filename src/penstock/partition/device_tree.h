// The hierarchy of bipartitions that the tree modes split over: unlike groups at the top, then each
// group halved down to single devices (AccPar's array; HyPar, algorithm 2).
#pragma once

#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/hardware/array.h"

namespace penstock::partition {

// Devices that act as one side of a split, or as one leaf. Both children of a node with equal
// halves are the same node.
struct TreeNode {
  int group = -1;              // of the array, if all its devices are of one group; else -1
  int devices = 1;             // of a leaf: 1, or the devices of a mesh
  FlopRate rate;               // sum over its devices
  int children[2] = {-1, -1};  // none for a leaf
  Bandwidth own[2];            // the link of one device of each child, before the pair is matched
  Bandwidth charged[2];        // what the children receive through at this split
  bool network = false;        // the split crosses nodes or groups

  bool leaf() const { return children[0] < 0; }
  bool equal_halves() const { return children[0] == children[1]; }
};

struct DeviceTree {
  std::vector<TreeNode> nodes;  // nodes[0] is the root
  bool of_groups = false;       // every leaf is a group for the mesh planner, be it of one device
  int levels() const;           // the longest path of splits
};

// Every level charges what a side receives over one device's link: the size of a side does not
// multiply its bandwidth (room page 1.9). Two unlike groups meet at the array's `between`.
DeviceTree build_tree(const hardware::Array& array);

// The same down to whole groups only: the leaves are the groups, for the mesh mode.
DeviceTree build_group_tree(const hardware::Array& array);

}  // namespace penstock::partition
