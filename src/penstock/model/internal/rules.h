// What each operator type makes of the shapes of its inputs: one function a family, registered by
// name in rules.cpp. To teach the reader a new operator, write its rule and add one line there.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "penstock/model/internal/inference.h"

namespace penstock::model::internal {

// What a rule sees of one node, and where it leaves its results.
class NodeContext {
 public:
  struct Output {
    Shape shape;
    ElementType type = ElementType::kFloat;
  };

  NodeContext(const GraphIndex& index, int node, const Pass& pass, const Pass* base,
              const BatchChange* change);

  const WireNode& node() const { return *wire_; }
  std::int64_t opset() const { return index_.wire->opset; }

  std::size_t input_count() const { return nodes_inputs().size(); }
  bool has(std::size_t slot) const;
  const TensorState& in(std::size_t slot) const;
  const Shape& shape(std::size_t slot) const { return in(slot).shape; }
  // Fails unless the inputs [0, count) are there.
  Status require(std::size_t count) const;

  std::int64_t integer(const std::string& name, std::int64_t fallback) const;
  std::vector<std::int64_t> integers(const std::string& name) const;  // empty if absent
  std::string text(const std::string& name, const std::string& fallback) const;
  bool has_attribute(const std::string& name) const;
  // The elements of a constant integer input.
  Result<std::vector<std::int64_t>> constant(std::size_t slot) const;
  // From the attribute of older opsets, else from the input; empty if neither is there.
  Result<std::vector<std::int64_t>> attribute_or_input(const std::string& name,
                                                       std::size_t slot) const;
  // `axis` counted from the end where negative, within a tensor of `rank` dimensions.
  Result<std::size_t> axis(std::int64_t axis, std::size_t rank) const;

  tl::unexpected<Error> error(std::string message, std::string mend = "") const;
  tl::unexpected<Error> error_rebatch(std::string message) const;

  // Re-batching: null in the first pass.
  const BatchChange* change() const { return change_; }
  const TensorState& base_in(std::size_t slot) const;
  const TensorState& base_out(std::size_t slot) const;
  bool has_base_out(std::size_t slot) const;
  // Replaces the shape of a constant operand that pins the old batch.
  void widen(std::size_t slot, Shape shape);

  std::size_t output_count() const { return index_.nodes[node_].outputs.size(); }
  void set(std::size_t slot, Shape shape, ElementType type);
  void set_like(std::size_t slot, const TensorState& other) { set(slot, other.shape, other.type); }
  void set_macs(std::int64_t macs) { macs_ = macs; }
  // For a Reshape that the batch takes part in: elements of the carrying dimension within one item.
  void set_inner(std::int64_t inner) { inner_ = inner; }
  const std::vector<Output>& outputs() const { return outputs_; }
  const std::vector<bool>& is_set() const { return is_set_; }
  std::int64_t macs() const { return macs_; }
  std::int64_t inner() const { return inner_; }

 private:
  const std::vector<int>& nodes_inputs() const { return index_.nodes[node_].inputs; }

  const GraphIndex& index_;
  std::size_t node_;
  const WireNode* wire_;
  const Pass& pass_;
  const Pass* base_;
  const BatchChange* change_;
  std::vector<TensorState> widened_;  // by slot; unknown where nothing was replaced
  std::vector<Output> outputs_;
  std::vector<bool> is_set_;
  std::int64_t macs_ = 0;
  std::int64_t inner_ = 0;
};

using Rule = Status (*)(NodeContext&);
// Null for an operator that we do not know.
Rule find_rule(const std::string& domain, const std::string& type);
// True where the batch may rightly end: reductions and contractions.
bool may_drop_batch(const std::string& type);

// The constant that an operator makes of constants, once its rule has set the output's shape.
std::optional<Value> fold(const NodeContext& context, std::size_t output);

// Shared by families.
Result<Shape> broadcast(const NodeContext& context, const std::vector<Shape>& shapes);
// Every element is the same, so that more of them are no guess.
bool is_uniform(const TensorState& constant);

// rules_convolution.cpp
Status convolution_rule(NodeContext& c);
Status transposed_convolution_rule(NodeContext& c);
Status pool_rule(NodeContext& c);
Status global_pool_rule(NodeContext& c);
// rules_matrix.cpp
Status gemm_rule(NodeContext& c);
Status matmul_rule(NodeContext& c);
Status einsum_rule(NodeContext& c);
Status recurrent_rule(NodeContext& c);
// rules_elementwise.cpp
Status same_shape_rule(NodeContext& c);
Status cast_rule(NodeContext& c);
Status predicate_rule(NodeContext& c);
Status broadcast_rule(NodeContext& c);
Status comparison_rule(NodeContext& c);
Status where_rule(NodeContext& c);
Status normalization_rule(NodeContext& c);
Status dropout_rule(NodeContext& c);
Status reduction_rule(NodeContext& c);
Status arg_reduction_rule(NodeContext& c);
Status top_k_rule(NodeContext& c);
// rules_reshape.cpp
Status reshape_rule(NodeContext& c);
Status flatten_rule(NodeContext& c);
Status squeeze_rule(NodeContext& c);
Status unsqueeze_rule(NodeContext& c);
Status transpose_rule(NodeContext& c);
Status depth_to_space_rule(NodeContext& c);
// rules_select.cpp
Status concat_rule(NodeContext& c);
Status split_rule(NodeContext& c);
Status slice_rule(NodeContext& c);
Status gather_rule(NodeContext& c);
Status gather_elements_rule(NodeContext& c);
Status gather_nd_rule(NodeContext& c);
Status expand_rule(NodeContext& c);
Status tile_rule(NodeContext& c);
Status pad_rule(NodeContext& c);
Status resize_rule(NodeContext& c);
Status one_hot_rule(NodeContext& c);
// rules_constant.cpp
Status constant_rule(NodeContext& c);
Status constant_of_shape_rule(NodeContext& c);
Status shape_rule(NodeContext& c);
Status size_rule(NodeContext& c);
Status range_rule(NodeContext& c);

// The clamped bounds of one axis of a Slice.
struct SliceAxis {
  std::size_t axis = 0;
  std::int64_t start = 0;
  std::int64_t step = 1;
  std::int64_t count = 0;
};
Result<std::vector<SliceAxis>> slice_axes(const NodeContext& context);

}  // namespace penstock::model::internal
