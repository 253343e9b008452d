// What the planner splits: the layers of a model::Graph and what lies between them, with the two
// dimensions along which each may be split.
//
//   PENSTOCK_TRY(Network network, lower(graph));
//
// Every node has one output tensor. A tensor with several consumers goes through a copy node, so
// that a conversion is paid once and every other node has exactly one consumer (or none, at the end
// of the graph).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/result.h"
#include "penstock/model/graph.h"
#include "penstock/partition/layout.h"

namespace penstock::partition {

enum class NodeKind {
  kLayer,  // has a weight matrix: split by type
  kGlue,   // everything else (pools, norms, joins, attention products): split by layout
  kCopy,   // fan-out of one tensor: split by layout, computes nothing
};

// Masks of allowed choices: bit 1 << static_cast<int>(Type or Layout).
using Choices = unsigned;
constexpr Choices choice(Type type) { return 1u << static_cast<int>(type); }
constexpr Choices choice(Layout layout) { return 1u << static_cast<int>(layout); }
inline constexpr Choices kAnyLayout = 0b111;   // R, C and D
inline constexpr Choices kDenseTypes = 0b111;  // I, II and III

struct Node {
  std::string name;  // of its main operator, unique
  std::string type;  // ONNX type of that operator; "copy" for a copy
  NodeKind kind = NodeKind::kGlue;
  Choices choices = kAnyLayout;   // over Type for a layer, over Layout otherwise
  std::int64_t rows = 1;          // whole batch items that the batch splits into
  std::int64_t in_columns = 1;    // whole channels (heads, groups) that the input splits into
  std::int64_t out_columns = 1;   // the same of the output; equal to in_columns unless a layer
  std::int64_t out_elements = 0;  // of the output tensor, whole
  std::int64_t weights = 0;       // elements of the weight matrix; 0 unless a layer
  std::int64_t vectors = 0;       // bias and scale elements, which follow the output's channels
  std::int64_t macs = 0;          // forward, whole
  std::int64_t stash = 0;         // elements kept for the backward pass, whole
  bool barrier = false;           // unknown to us: runs unsplit, on replicated tensors
  std::vector<int> operators;     // of the graph: the main one and those absorbed, in order
  std::vector<int> in_edges;      // indices into edges, in the order of the operator's inputs
  std::vector<int> out_edges;
};

struct Edge {
  int from = 0;  // nodes
  int to = 0;
  std::int64_t elements = 0;  // of the tensor
  bool gradient = true;       // whether a gradient flows back along it
  // Whole channels that the tensor splits into by itself, where its consumer splits by other ones
  // (a join along the channels) and so never by channels; 0: the consumer's in_columns.
  std::int64_t columns = 0;
};

struct Network {
  std::string name;
  std::int64_t batch = 1;
  std::vector<Node> nodes;  // in topological order
  std::vector<Edge> edges;
  std::vector<std::string> warnings;  // barriers, by operator

  // True if every node has at most one input and one output edge.
  bool is_chain() const;
};

// Lowers a graph:
// - Conv, Gemm, MatMul by a parameter and embedding Gather become layers; element-wise operators of
//   one activation (Relu, Clip, bias, inference-mode batch norm, ...) that keep the tensor's size
//   and are its only consumer are absorbed into the node before them, of whatever kind; so are
//   Identity, Dropout and Flatten.
// - Regions of element-wise operators and reductions with one entry and one exit (layer norm, GELU
//   written out) become one glue node.
// - Graph inputs are no nodes: a node that reads only inputs has no in-edge for them.
// - An operator without a rule becomes a barrier, with a warning.
// Fails where nothing can be split: a graph without layers.
Result<Network> lower(const model::Graph& graph);

}  // namespace penstock::partition
