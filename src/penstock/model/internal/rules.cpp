#include "penstock/model/internal/rules.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace penstock::model::internal {
namespace {

struct Registration {
  std::string_view type;
  Rule rule;
};

constexpr std::array kRules = {
    Registration{"Conv", convolution_rule},
    Registration{"ConvTranspose", transposed_convolution_rule},
    Registration{"MaxPool", pool_rule},
    Registration{"AveragePool", pool_rule},
    Registration{"LpPool", pool_rule},
    Registration{"GlobalAveragePool", global_pool_rule},
    Registration{"GlobalMaxPool", global_pool_rule},
    Registration{"GlobalLpPool", global_pool_rule},
    Registration{"Gemm", gemm_rule},
    Registration{"MatMul", matmul_rule},
    Registration{"Einsum", einsum_rule},
    Registration{"LSTM", recurrent_rule},
    Registration{"GRU", recurrent_rule},
    Registration{"RNN", recurrent_rule},
    Registration{"BatchNormalization", normalization_rule},
    Registration{"LayerNormalization", normalization_rule},
    Registration{"InstanceNormalization", normalization_rule},
    Registration{"GroupNormalization", normalization_rule},
    Registration{"LpNormalization", same_shape_rule},
    Registration{"MeanVarianceNormalization", same_shape_rule},
    Registration{"LRN", same_shape_rule},
    Registration{"Softmax", same_shape_rule},
    Registration{"LogSoftmax", same_shape_rule},
    Registration{"Hardmax", same_shape_rule},
    Registration{"Dropout", dropout_rule},
    Registration{"Identity", same_shape_rule},
    Registration{"Relu", same_shape_rule},
    Registration{"LeakyRelu", same_shape_rule},
    Registration{"ThresholdedRelu", same_shape_rule},
    Registration{"PRelu", same_shape_rule},
    Registration{"Elu", same_shape_rule},
    Registration{"Selu", same_shape_rule},
    Registration{"Celu", same_shape_rule},
    Registration{"Gelu", same_shape_rule},
    Registration{"Mish", same_shape_rule},
    Registration{"Clip", same_shape_rule},
    Registration{"Sigmoid", same_shape_rule},
    Registration{"HardSigmoid", same_shape_rule},
    Registration{"HardSwish", same_shape_rule},
    Registration{"Softplus", same_shape_rule},
    Registration{"Softsign", same_shape_rule},
    Registration{"Tanh", same_shape_rule},
    Registration{"Erf", same_shape_rule},
    Registration{"Exp", same_shape_rule},
    Registration{"Log", same_shape_rule},
    Registration{"Sqrt", same_shape_rule},
    Registration{"Reciprocal", same_shape_rule},
    Registration{"Neg", same_shape_rule},
    Registration{"Abs", same_shape_rule},
    Registration{"Sign", same_shape_rule},
    Registration{"Floor", same_shape_rule},
    Registration{"Ceil", same_shape_rule},
    Registration{"Round", same_shape_rule},
    Registration{"Sin", same_shape_rule},
    Registration{"Cos", same_shape_rule},
    Registration{"CumSum", same_shape_rule},
    Registration{"Trilu", same_shape_rule},
    Registration{"ScatterElements", same_shape_rule},
    Registration{"ScatterND", same_shape_rule},
    Registration{"DequantizeLinear", same_shape_rule},
    Registration{"QuantizeLinear", same_shape_rule},
    Registration{"Cast", cast_rule},
    Registration{"CastLike", cast_rule},
    Registration{"Not", predicate_rule},
    Registration{"IsNaN", predicate_rule},
    Registration{"IsInf", predicate_rule},
    Registration{"Add", broadcast_rule},
    Registration{"Sub", broadcast_rule},
    Registration{"Mul", broadcast_rule},
    Registration{"Div", broadcast_rule},
    Registration{"Mod", broadcast_rule},
    Registration{"Pow", broadcast_rule},
    Registration{"Min", broadcast_rule},
    Registration{"Max", broadcast_rule},
    Registration{"Sum", broadcast_rule},
    Registration{"Mean", broadcast_rule},
    Registration{"Equal", comparison_rule},
    Registration{"Less", comparison_rule},
    Registration{"LessOrEqual", comparison_rule},
    Registration{"Greater", comparison_rule},
    Registration{"GreaterOrEqual", comparison_rule},
    Registration{"And", comparison_rule},
    Registration{"Or", comparison_rule},
    Registration{"Xor", comparison_rule},
    Registration{"Where", where_rule},
    Registration{"ReduceMean", reduction_rule},
    Registration{"ReduceSum", reduction_rule},
    Registration{"ReduceProd", reduction_rule},
    Registration{"ReduceMax", reduction_rule},
    Registration{"ReduceMin", reduction_rule},
    Registration{"ReduceL1", reduction_rule},
    Registration{"ReduceL2", reduction_rule},
    Registration{"ReduceLogSum", reduction_rule},
    Registration{"ReduceLogSumExp", reduction_rule},
    Registration{"ReduceSumSquare", reduction_rule},
    Registration{"ArgMax", arg_reduction_rule},
    Registration{"ArgMin", arg_reduction_rule},
    Registration{"TopK", top_k_rule},
    Registration{"Reshape", reshape_rule},
    Registration{"Flatten", flatten_rule},
    Registration{"Squeeze", squeeze_rule},
    Registration{"Unsqueeze", unsqueeze_rule},
    Registration{"Transpose", transpose_rule},
    Registration{"DepthToSpace", depth_to_space_rule},
    Registration{"SpaceToDepth", depth_to_space_rule},
    Registration{"Concat", concat_rule},
    Registration{"Split", split_rule},
    Registration{"Slice", slice_rule},
    Registration{"Gather", gather_rule},
    Registration{"GatherElements", gather_elements_rule},
    Registration{"GatherND", gather_nd_rule},
    Registration{"Expand", expand_rule},
    Registration{"Tile", tile_rule},
    Registration{"Pad", pad_rule},
    Registration{"Resize", resize_rule},
    Registration{"Upsample", resize_rule},
    Registration{"OneHot", one_hot_rule},
    Registration{"Constant", constant_rule},
    Registration{"ConstantOfShape", constant_of_shape_rule},
    Registration{"Shape", shape_rule},
    Registration{"Size", size_rule},
    Registration{"Range", range_rule},
};

}  // namespace

Rule find_rule(const std::string& domain, const std::string& type) {
  const bool is_standard = domain.empty() || domain == "ai.onnx";
  // The one contributed operator that means the same as its later namesake.
  if (!is_standard && !(domain == "com.microsoft" && type == "Gelu")) return nullptr;
  const auto found = std::find_if(kRules.begin(), kRules.end(),
                                  [&](const Registration& r) { return r.type == type; });
  return found == kRules.end() ? nullptr : found->rule;
}

bool is_uniform(const TensorState& constant) {
  if (!constant.value || constant.value->size() == 0) return false;
  const auto same = [](const auto& values) {
    return std::all_of(values.begin(), values.end(),
                       [&](const auto& value) { return value == values.front(); });
  };
  return constant.value->is_real ? same(constant.value->reals) : same(constant.value->integers);
}

bool may_drop_batch(const std::string& type) {
  return type.starts_with("Reduce") || type.starts_with("Arg") || type == "MatMul" ||
         type == "Gemm" || type == "Einsum";
}

NodeContext::NodeContext(const GraphIndex& index, int node, const Pass& pass, const Pass* base,
                         const BatchChange* change)
    : index_(index),
      node_(static_cast<std::size_t>(node)),
      wire_(&index.wire->nodes[node_]),
      pass_(pass),
      base_(base),
      change_(change),
      widened_(nodes_inputs().size()),
      outputs_(output_count()),
      is_set_(output_count(), false) {}

bool NodeContext::has(std::size_t slot) const {
  return slot < nodes_inputs().size() && nodes_inputs()[slot] >= 0;
}

const TensorState& NodeContext::in(std::size_t slot) const {
  if (widened_[slot].known) return widened_[slot];
  return pass_.tensors[static_cast<std::size_t>(nodes_inputs()[slot])];
}

Status NodeContext::require(std::size_t count) const {
  for (std::size_t slot = 0; slot < count; ++slot) {
    if (!has(slot)) return error("lacks its input " + std::to_string(slot));
  }
  return {};
}

bool NodeContext::has_attribute(const std::string& name) const {
  return wire_->attributes.contains(name);
}

std::int64_t NodeContext::integer(const std::string& name, std::int64_t fallback) const {
  const auto found = wire_->attributes.find(name);
  if (found == wire_->attributes.end()) return fallback;
  const auto* value = std::get_if<std::int64_t>(&found->second);
  return value == nullptr ? fallback : *value;
}

std::vector<std::int64_t> NodeContext::integers(const std::string& name) const {
  const auto found = wire_->attributes.find(name);
  if (found == wire_->attributes.end()) return {};
  const auto* value = std::get_if<std::vector<std::int64_t>>(&found->second);
  return value == nullptr ? std::vector<std::int64_t>() : *value;
}

std::string NodeContext::text(const std::string& name, const std::string& fallback) const {
  const auto found = wire_->attributes.find(name);
  if (found == wire_->attributes.end()) return fallback;
  const auto* value = std::get_if<std::string>(&found->second);
  return value == nullptr ? fallback : *value;
}

Result<std::vector<std::int64_t>> NodeContext::constant(std::size_t slot) const {
  const TensorState& state = in(slot);
  if (!state.value || state.value->is_real) {
    return error("needs the value of its input " + std::to_string(slot) +
                     ", which is no small integer constant",
                 "fix the shapes when exporting");
  }
  // A shape can have no more entries than dimensions are understood; longer vectors are data.
  if (state.value->integers.size() > 2 * kMaxRank) {
    return error("its input " + std::to_string(slot) + " has " +
                 std::to_string(state.value->integers.size()) + " entries");
  }
  return state.value->integers;
}

Result<std::vector<std::int64_t>> NodeContext::attribute_or_input(const std::string& name,
                                                                  std::size_t slot) const {
  if (has_attribute(name)) return integers(name);
  if (!has(slot)) return std::vector<std::int64_t>();
  return constant(slot);
}

Result<std::size_t> NodeContext::axis(std::int64_t axis, std::size_t rank) const {
  const auto limit = static_cast<std::int64_t>(rank);
  if (axis < -limit || axis >= limit) {
    return error("the axis " + std::to_string(axis) + " lies outside " + std::to_string(rank) +
                 " dimensions");
  }
  return static_cast<std::size_t>(axis < 0 ? axis + limit : axis);
}

tl::unexpected<Error> NodeContext::error(std::string message, std::string mend) const {
  return input_error(index_.where(static_cast<int>(node_)), std::move(message), std::move(mend));
}

tl::unexpected<Error> NodeContext::error_rebatch(std::string message) const {
  return error("cannot be re-batched from " + std::to_string(change_->from) + " to " +
                   std::to_string(change_->to) + ": " + std::move(message),
               "export the model with a dynamic batch, or keep the file's own");
}

const TensorState& NodeContext::base_in(std::size_t slot) const {
  return base_->tensors[static_cast<std::size_t>(nodes_inputs()[slot])];
}

const TensorState& NodeContext::base_out(std::size_t slot) const {
  return base_->tensors[static_cast<std::size_t>(index_.nodes[node_].outputs[slot])];
}

bool NodeContext::has_base_out(std::size_t slot) const {
  return base_ != nullptr && slot < output_count() && index_.nodes[node_].outputs[slot] >= 0;
}

void NodeContext::widen(std::size_t slot, Shape shape) {
  widened_[slot] = in(slot);
  widened_[slot].shape = std::move(shape);
  widened_[slot].value.reset();
}

void NodeContext::set(std::size_t slot, Shape shape, ElementType type) {
  if (slot >= outputs_.size()) return;
  outputs_[slot] = {std::move(shape), type};
  is_set_[slot] = true;
}

}  // namespace penstock::model::internal
