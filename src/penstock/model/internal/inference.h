// One pass over the graph in topological order: every tensor's shape, the value of small constants,
// every operator's MACs, and where the batch is.
//
// Re-batching is a second pass beside the first: the data inputs get the new batch, and each
// dimension that then differs from the first pass carries the batch. A constant that pins the old
// batch shows as a contradiction; the rules of Reshape, Expand, Slice and the like resolve it where
// the position of the batch in memory order proves what was meant.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "penstock/model/internal/graph_index.h"
#include "penstock/model/internal/roles.h"

namespace penstock::model::internal {

enum class Origin { kConstant, kParameter, kActivation };

struct TensorState {
  bool known = false;
  Shape shape;
  ElementType type = ElementType::kFloat;
  Origin origin = Origin::kConstant;
  std::optional<Value> value;  // of small constants
  // The dimension that carries the batch, or -1, and how many elements of that dimension lie within
  // one item: 12 where a dimension of 12 * batch runs over the batch first.
  int carrier = -1;
  std::int64_t inner = 1;
};

// Where several positions of the batch explain a constant Reshape (only with a batch of 1), which
// is taken first. The pass is checked as a whole afterwards.
enum class Preference { kOuter, kInner };

struct BatchChange {
  std::int64_t from = 1;
  std::int64_t to = 1;
  Preference preference = Preference::kOuter;
};

struct Pass {
  std::vector<TensorState> tensors;
  std::vector<std::int64_t> macs;  // by node
  std::vector<bool> kept;          // by node: it runs on activations
  std::vector<bool> known;         // by node
  std::vector<std::string> warnings;
  std::int64_t batch = 1;  // leading dimension of the first data input
  bool has_batch = false;  // there is such a dimension
};

// The first pass, at the file's own batch (`batch` absent) or with symbolic dimensions taken as 1.
Result<Pass> infer(const GraphIndex& index, const Roles& roles);
// The second pass.
Result<Pass> infer_rebatched(const GraphIndex& index, const Roles& roles, const Pass& base,
                             const BatchChange& change);

}  // namespace penstock::model::internal
