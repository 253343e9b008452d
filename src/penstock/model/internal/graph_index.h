// The wire graph with names turned into numbers and nodes into topological order, checked to be a
// graph at all: no tensor undefined or defined twice, no cycle.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "penstock/model/internal/onnx_wire.h"

namespace penstock::model::internal {

struct IndexedTensor {
  std::string name;
  int producer = -1;     // node
  int initializer = -1;  // both this and `input` before IR 4, where the input's value is a default
  int input = -1;
  const WireValue* declared = nullptr;  // what the file says of its shape, or null
};

struct IndexedNode {
  std::vector<int> inputs;  // tensors; -1 where omitted
  std::vector<int> outputs;
};

struct GraphIndex {
  const WireGraph* wire = nullptr;
  std::vector<IndexedTensor> tensors;
  std::vector<IndexedNode> nodes;  // parallel to wire->nodes
  std::vector<int> order;          // of nodes
  std::vector<int> outputs;        // tensors

  // "model.onnx: node "conv1" (Conv)".
  std::string where(int node) const;
};

// `wire` must outlive the index.
Result<GraphIndex> index_graph(const WireGraph& wire);

}  // namespace penstock::model::internal
