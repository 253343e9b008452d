// What one split of the device tree costs, node by node and edge by edge: the layout algebra
// applied to the local tensors of one side of all splits above. Shared by the planner, the
// evaluator and the executor that verifies them.
#pragma once

#include <vector>

#include "penstock/partition/device_tree.h"
#include "penstock/partition/extent.h"
#include "penstock/partition/layout.h"
#include "penstock/partition/network.h"
#include "penstock/partition/tree.h"

namespace penstock::partition {

// Bytes that one device holds for its extent of a node.
struct Held {
  double weights = 0;      // with gradients and optimizer state
  double activations = 0;  // kept for the backward pass
};
Held held_parts(const Network& network, int node, const Extent& extent, const TreeOptions& options);

class LevelModel {
 public:
  // `extents` has one entry a node and must outlive the model.
  LevelModel(const Network& network, const std::vector<Extent>& extents,
             const TreeOptions& options);

  // Number of states of a node: types of a layer, layouts of anything else.
  static int states(const Node& node) { return node.kind == NodeKind::kLayer ? kTypes : kLayouts; }

  // Whether the node may take the state here: its choices allow it and, where shares are whole
  // items, each side gets at least one at the first side's share `share`.
  bool allowed(int node, int state, double share) const;

  // The side's fraction of each dimension at the first side's share: rounded to whole items if the
  // options ask for it. side is 0 or 1.
  Share share_of_input(int node, double share, int side) const;
  Share share_of_output(int node, double share, int side) const;

  // Bytes that a side receives for partial sums inside the node.
  double node_bytes(int node, int state, double share, int side) const;
  // Bytes that a side receives for the two conversions on an edge, at the consumer's share.
  double edge_bytes(int edge, int from_state, int to_state, double share, int side) const;
  // The same as coefficients of (1 - a) and a (1 - a), for equal shares at both ends.
  struct Coefficients {
    double falling = 0;
    double mixed = 0;
  };
  Coefficients edge_coefficients(int edge, int from_state, int to_state) const;

  // Floating-point operations of one training step on the local part: six times the forward
  // multiply-accumulates (room page 1.5).
  double flops(int node) const;
  // The side's part of the node below this split.
  Extent child_extent(int node, int state, double share, int side) const;
  // The fraction of flops(node) that the side does.
  double flops_fraction(int node, int state, double share, int side) const;

  // Bytes that the first side holds for a node after the split.
  double held_bytes(int node, int state, double share) const;

  // Layouts at the node's two ends as conversions see them; a P is reduced inside the node, and
  // appears as D, unless the fused table defers it to the edge.
  Layout output_layout(int node, int state) const;           // forward, what the consumer finds
  Layout input_layout(int node, int state) const;            // forward, what the node reads
  Layout output_gradient_layout(int node, int state) const;  // backward, what the node reads
  Layout input_gradient_layout(int node, int state) const;   // backward, what the producer finds

  // Whole elements of the local tensors.
  double edge_elements(int edge) const;
  double output_elements(int node) const;
  double weight_elements(int node) const;
  double vector_elements(int node) const;
  double input_gradient_elements(int node) const;

 private:
  double side_items(double items, double share, int side) const;

  const Network& network_;
  const std::vector<Extent>& extents_;
  const TreeOptions& options_;
};

}  // namespace penstock::partition
