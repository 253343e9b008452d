// Arithmetic on elements, and reductions. The file also holds what all tables share.
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "penstock/train/worker/torch_operators.h"

namespace penstock::train {

const model::Tensor& Invocation::operand(std::size_t slot) const {
  return graph->tensors[static_cast<std::size_t>(op->inputs[slot])];
}

const model::Shape& Invocation::result_shape(std::size_t output) const {
  return graph->tensors[static_cast<std::size_t>(op->outputs[output])].shape;
}

std::int64_t Invocation::axis(const std::string& attribute, std::int64_t fallback) const {
  const std::int64_t given = op->integer(attribute, fallback);
  return given < 0 ? given + inputs[0].dim() : given;
}

std::vector<std::int64_t> Invocation::listed(const std::string& attribute, std::size_t slot) const {
  if (has(slot)) return operand(slot).value;
  return op->integers(attribute, {});
}

double Invocation::number(const std::string& attribute, std::size_t slot, double fallback) const {
  if (has(slot)) {
    const model::Tensor& constant = operand(slot);
    if (!constant.reals.empty()) return constant.reals.front();
    if (!constant.value.empty()) return static_cast<double>(constant.value.front());
    return inputs[slot].item<double>();
  }
  const auto found = op->attributes.find(attribute);
  if (found == op->attributes.end()) return fallback;
  if (const auto* real = std::get_if<double>(&found->second)) return *real;
  if (const auto* integer = std::get_if<std::int64_t>(&found->second)) {
    return static_cast<double>(*integer);
  }
  return fallback;
}

std::string Invocation::text(const std::string& attribute, const std::string& fallback) const {
  const auto found = op->attributes.find(attribute);
  const auto* value =
      found == op->attributes.end() ? nullptr : std::get_if<std::string>(&found->second);
  return value != nullptr ? *value : fallback;
}

Execute find_operator(std::string_view type) {
  for (const auto table : {layer_operators(), elementwise_operators(), shape_operators()}) {
    const auto row = std::find_if(table.begin(), table.end(),
                                  [&](const OperatorRow& r) { return r.type == type; });
    if (row != table.end()) return row->execute;
  }
  return nullptr;
}

namespace {

using Tensors = std::vector<at::Tensor>;
using Unary = at::Tensor (*)(const at::Tensor&);
using Binary = at::Tensor (*)(const at::Tensor&, const at::Tensor&);

template <Unary kFunction>
Tensors unary(const Invocation& call) {
  return {kFunction(call.inputs[0])};
}

template <Binary kFunction>
Tensors binary(const Invocation& call) {
  return {kFunction(call.inputs[0], call.inputs[1])};
}

template <Binary kFunction>
Tensors folded(const Invocation& call) {
  at::Tensor result = call.inputs[0];
  for (std::size_t i = 1; i < call.inputs.size(); ++i) result = kFunction(result, call.inputs[i]);
  return {result};
}

at::Tensor add(const at::Tensor& a, const at::Tensor& b) { return at::add(a, b); }
at::Tensor subtract(const at::Tensor& a, const at::Tensor& b) { return at::sub(a, b); }

at::Tensor divide(const at::Tensor& a, const at::Tensor& b) {
  const bool is_integer = !a.is_floating_point() && !b.is_floating_point();
  return is_integer ? at::div(a, b, "trunc") : at::div(a, b);
}

// ONNX broadcasts the slope; at::prelu wants one a channel.
at::Tensor prelu(const at::Tensor& x, const at::Tensor& slope) {
  return at::where(x > 0, x, x * slope);
}

// A constant exponent has cheaper derivatives than a tensor of exponents.
Tensors power(const Invocation& call) {
  const bool is_constant = call.operand(1).reals.size() == 1 || call.operand(1).value.size() == 1;
  if (is_constant) return {at::pow(call.inputs[0], call.number("", 1, 1))};
  return {at::pow(call.inputs[0], call.inputs[1])};
}

// In place where possible, as networks are written: a third less traffic.
Tensors relu(const Invocation& call) {
  at::Tensor x = call.inputs[0];
  return {call.may_overwrite ? at::relu_(x) : at::relu(x)};
}

Tensors clip(const Invocation& call) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  const double low = call.number("min", 1, -kNone);
  const double high = call.number("max", 2, kNone);
  at::Tensor x = call.inputs[0];
  // The same function, with its derivative in one pass instead of four.
  if (std::isfinite(low) && std::isfinite(high) && low <= high) {
    return {call.may_overwrite ? at::hardtanh_(x, low, high) : at::hardtanh(x, low, high)};
  }
  return {at::clamp(x, low, high)};
}

Tensors leaky_relu(const Invocation& call) {
  return {at::leaky_relu(call.inputs[0], call.number("alpha", kNoSlot, 0.01))};
}

Tensors elu(const Invocation& call) {
  return {at::elu(call.inputs[0], call.number("alpha", kNoSlot, 1.0))};
}

Tensors hard_sigmoid(const Invocation& call) {
  const double alpha = call.number("alpha", kNoSlot, 0.2);
  const double beta = call.number("beta", kNoSlot, 0.5);
  return {at::clamp(call.inputs[0] * alpha + beta, 0.0, 1.0)};
}

Tensors gelu(const Invocation& call) {
  return {at::gelu(call.inputs[0], call.text("approximate", "none"))};
}

Tensors softmax(const Invocation& call) {
  return {at::softmax(call.inputs[0], call.axis("axis", -1))};
}

Tensors log_softmax(const Invocation& call) {
  return {at::log_softmax(call.inputs[0], call.axis("axis", -1))};
}

// The axes of a reduction; none given are all.
std::vector<std::int64_t> reduced_axes(const Invocation& call) {
  std::vector<std::int64_t> axes = call.listed("axes", 1);
  if (axes.empty() && call.op->integer("noop_with_empty_axes", 0) == 0) {
    for (std::int64_t d = 0; d < call.inputs[0].dim(); ++d) axes.push_back(d);
  }
  return axes;
}

Tensors reduce_mean(const Invocation& call) {
  return {at::mean(call.inputs[0], reduced_axes(call), call.op->integer("keepdims", 1) != 0)};
}

Tensors reduce_sum(const Invocation& call) {
  return {at::sum(call.inputs[0], reduced_axes(call), call.op->integer("keepdims", 1) != 0)};
}

Tensors reduce_max(const Invocation& call) {
  return {at::amax(call.inputs[0], reduced_axes(call), call.op->integer("keepdims", 1) != 0)};
}

// ONNX's numbers of element types; reals are of the type that the program runs in.
Tensors cast(const Invocation& call) {
  constexpr std::int64_t kOnnxBool = 9;
  constexpr std::array<std::int64_t, 4> kOnnxReals = {1, 10, 11, 16};
  const std::int64_t to = call.op->integer("to", 1);
  if (std::find(kOnnxReals.begin(), kOnnxReals.end(), to) != kOnnxReals.end()) {
    return {call.inputs[0].is_floating_point() ? call.inputs[0] : call.inputs[0].to(at::kFloat)};
  }
  return {call.inputs[0].to(to == kOnnxBool ? at::kBool : at::kLong)};
}

Tensors where(const Invocation& call) {
  return {at::where(call.inputs[0].to(at::kBool), call.inputs[1], call.inputs[2])};
}

Tensors identity(const Invocation& call) { return {call.inputs[0]}; }

constexpr std::array kElementwise = {
    OperatorRow{"Add", binary<add>},
    OperatorRow{"Sub", binary<subtract>},
    OperatorRow{"Mul", binary<at::mul>},
    OperatorRow{"Div", binary<divide>},
    OperatorRow{"Pow", power},
    OperatorRow{"Sum", folded<add>},
    OperatorRow{"Max", folded<at::maximum>},
    OperatorRow{"Min", folded<at::minimum>},
    OperatorRow{"Equal", binary<at::eq>},
    OperatorRow{"Greater", binary<at::gt>},
    OperatorRow{"Less", binary<at::lt>},
    OperatorRow{"And", binary<at::logical_and>},
    OperatorRow{"Or", binary<at::logical_or>},
    OperatorRow{"Not", unary<at::logical_not>},
    OperatorRow{"Relu", relu},
    OperatorRow{"Sigmoid", unary<at::sigmoid>},
    OperatorRow{"Tanh", unary<at::tanh>},
    OperatorRow{"Erf", unary<at::erf>},
    OperatorRow{"Exp", unary<at::exp>},
    OperatorRow{"Log", unary<at::log>},
    OperatorRow{"Sqrt", unary<at::sqrt>},
    OperatorRow{"Reciprocal", unary<at::reciprocal>},
    OperatorRow{"Neg", unary<at::neg>},
    OperatorRow{"Abs", unary<at::abs>},
    OperatorRow{"Sin", unary<at::sin>},
    OperatorRow{"Cos", unary<at::cos>},
    OperatorRow{"HardSwish", unary<at::hardswish>},
    OperatorRow{"PRelu", binary<prelu>},
    OperatorRow{"LeakyRelu", leaky_relu},
    OperatorRow{"Elu", elu},
    OperatorRow{"HardSigmoid", hard_sigmoid},
    OperatorRow{"Gelu", gelu},
    OperatorRow{"Clip", clip},
    OperatorRow{"Softmax", softmax},
    OperatorRow{"LogSoftmax", log_softmax},
    OperatorRow{"ReduceMean", reduce_mean},
    OperatorRow{"ReduceSum", reduce_sum},
    OperatorRow{"ReduceMax", reduce_max},
    OperatorRow{"Cast", cast},
    OperatorRow{"Where", where},
    OperatorRow{"Identity", identity},
};

}  // namespace

std::span<const OperatorRow> elementwise_operators() { return kElementwise; }

}  // namespace penstock::train
