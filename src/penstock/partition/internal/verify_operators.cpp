#include "penstock/partition/internal/verify_operators.h"

#include <algorithm>

#include "penstock/partition/internal/lowering_rules.h"
#include "penstock/partition/internal/verify_einsum.h"
#include "penstock/partition/internal/verify_maps.h"
#include "penstock/partition/internal/verify_moves.h"
#include "penstock/partition/internal/verify_pointwise.h"
#include "penstock/partition/internal/verify_products.h"

namespace penstock::partition::internal {

double Invocation::number(const std::string& attribute, double fallback) const {
  const auto found = op->attributes.find(attribute);
  if (found == op->attributes.end()) return fallback;
  if (const auto* value = std::get_if<double>(&found->second)) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&found->second)) {
    return static_cast<double>(*value);
  }
  return fallback;
}

std::string Invocation::text(const std::string& attribute) const {
  const auto found = op->attributes.find(attribute);
  if (found == op->attributes.end()) return "";
  const auto* value = std::get_if<std::string>(&found->second);
  return value == nullptr ? "" : *value;
}

std::vector<std::int64_t> Invocation::listed(const std::string& attribute,
                                             std::size_t input) const {
  std::vector<std::int64_t> values = op->integers(attribute, {});
  if (values.empty() && input < op->inputs.size() && op->inputs[input] >= 0) {
    values = graph->tensors[static_cast<std::size_t>(op->inputs[input])].value;
  }
  return values;
}

std::size_t Invocation::axis(std::int64_t from_either_end, std::size_t rank) const {
  return static_cast<std::size_t>(
      from_either_end < 0 ? from_either_end + static_cast<std::int64_t>(rank) : from_either_end);
}

std::string obstacle(const model::Graph& graph, const model::Operator& op) {
  const auto rank = [&](std::size_t input) {
    return input < op.inputs.size() && op.inputs[input] >= 0
               ? graph.tensors[static_cast<std::size_t>(op.inputs[input])].shape.size()
               : 0;
  };
  const std::string& type = op.type;
  const bool pools = type == "MaxPool" || type == "AveragePool";
  if (type == "Conv" || pools || type == "GlobalAveragePool" || type == "GlobalMaxPool") {
    if (rank(0) != 3 && rank(0) != 4) return "its maps have neither one nor two axes";
    const auto outputs =
        std::count_if(op.outputs.begin(), op.outputs.end(), [](int tensor) { return tensor >= 0; });
    return pools && outputs != 1 ? "its indices are asked for too" : "";
  }
  if (type == "Gemm" || type == "MatMul")
    return rank(0) >= 2 && rank(1) >= 2 ? "" : "an operand is a vector";
  if (type == "Einsum") {
    if (sums_products(graph, op)) return "";
    return "its equation has an ellipsis, a diagonal or no named result";
  }
  if (pointwise(type) || reduces_or_normalises(type) || moves_elements(type)) return "";
  if (trait(op).family == Family::kRecurrent)
    return "it has no double-precision passes through time here";
  return "it has no double-precision passes here";
}

bool linear(const model::Operator& op) {
  constexpr std::string_view kTypes[] = {
      "Conv",    "Gemm",      "MatMul",   "Gather",    "Add",     "Sub",
      "Sum",     "Mul",       "Neg",      "Transpose", "Reshape", "Flatten",
      "Squeeze", "Unsqueeze", "Identity", "Dropout",   "Cast",    "BatchNormalization"};
  return std::find(std::begin(kTypes), std::end(kTypes), op.type) != std::end(kTypes);
}

Operand operand_kind(const model::Operator& op, std::size_t input) {
  const std::string& type = op.type;
  if (type == "Conv" || type == "Gemm" || type == "MatMul" || type == "Gather") {
    return input == 2 ? Operand::kOffset : Operand::kWeight;
  }
  if (type == "Einsum") return Operand::kWeight;
  if (type == "Add" || type == "Sub" || type == "Sum") return Operand::kOffset;
  if (type == "BatchNormalization") {
    return input == 2 || input == 3 ? Operand::kOffset : Operand::kScale;
  }
  if (type == "LayerNormalization" && input == 2) return Operand::kOffset;
  return Operand::kScale;
}

Array forward(const Invocation& call) {
  const std::string& type = call.op->type;
  if (type == "Conv") return convolve(call);
  if (type == "Gemm" || type == "MatMul") return multiply(call);
  if (type == "Einsum") return einsum(call);
  if (pointwise(type)) return pointwise_forward(call);
  if (reduces_or_normalises(type)) return map_forward(call);
  return move_forward(call);
}

std::vector<Array> backward(const Invocation& call, const Array& output, const Array& gradient,
                            const std::vector<bool>& wanted) {
  const std::string& type = call.op->type;
  if (type == "Conv") return convolve_back(call, gradient, wanted);
  if (type == "Gemm" || type == "MatMul") return multiply_back(call, gradient, wanted);
  if (type == "Einsum") return einsum_back(call, gradient, wanted);
  if (pointwise(type)) return pointwise_back(call, output, gradient, wanted);
  if (reduces_or_normalises(type)) return map_back(call, output, gradient, wanted);
  return move_back(call, gradient, wanted);
}

}  // namespace penstock::partition::internal
