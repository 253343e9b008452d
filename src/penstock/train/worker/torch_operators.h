// One function for each ONNX operator, from an invocation to libtorch tensors. Derivatives are
// libtorch's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/model/graph.h"

namespace penstock::train {

// For Invocation::number, of operators that never hold it in an input.
inline constexpr std::size_t kNoSlot = std::numeric_limits<std::size_t>::max();

struct Invocation {
  const model::Graph* graph = nullptr;
  const model::Operator* op = nullptr;
  std::vector<at::Tensor> inputs;  // undefined where omitted
  bool may_overwrite = false;      // the first input: nothing else reads it, its gradient neither

  bool has(std::size_t slot) const { return slot < inputs.size() && inputs[slot].defined(); }
  const model::Tensor& operand(std::size_t slot) const;  // of an input that is there
  const model::Shape& result_shape(std::size_t output = 0) const;
  // An axis counted from the front.
  std::int64_t axis(const std::string& attribute, std::int64_t fallback) const;
  // A list that older operator sets hold in an attribute and newer ones in a constant input.
  std::vector<std::int64_t> listed(const std::string& attribute, std::size_t slot) const;
  // Likewise one number.
  double number(const std::string& attribute, std::size_t slot, double fallback) const;
  std::string text(const std::string& attribute, const std::string& fallback) const;
};

// One tensor for each output; fewer where the later ones are not used. Throws c10::Error.
using Execute = std::vector<at::Tensor> (*)(const Invocation&);

struct OperatorRow {
  std::string_view type;
  Execute execute;
};

// The tables, by kind.
std::span<const OperatorRow> layer_operators();        // torch_layers.cpp
std::span<const OperatorRow> elementwise_operators();  // torch_elementwise.cpp
std::span<const OperatorRow> shape_operators();        // torch_shapes.cpp

// Null where the type has no function.
Execute find_operator(std::string_view type);

}  // namespace penstock::train
