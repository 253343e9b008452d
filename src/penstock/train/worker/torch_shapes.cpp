// Operators that move, copy or pick elements. Targets come from the graph's own shapes, which the
// reader has settled for the batch.
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <vector>

#include "penstock/train/worker/torch_operators.h"

namespace penstock::train {
namespace {

using Tensors = std::vector<at::Tensor>;

// Reshape, Flatten, Squeeze, Unsqueeze.
Tensors reshape(const Invocation& call) { return {call.inputs[0].reshape(call.result_shape())}; }

Tensors expand(const Invocation& call) { return {call.inputs[0].expand(call.result_shape())}; }

Tensors transpose(const Invocation& call) {
  std::vector<std::int64_t> order = call.op->integers("perm", {});
  if (order.empty()) {
    for (std::int64_t d = call.inputs[0].dim(); d > 0; --d) order.push_back(d - 1);
  }
  return {call.inputs[0].permute(order)};
}

Tensors concat(const Invocation& call) { return {at::cat(call.inputs, call.axis("axis", 1))}; }

Tensors split(const Invocation& call) {
  const std::int64_t axis = call.axis("axis", 0);
  Tensors parts;
  std::int64_t start = 0;
  for (std::size_t output = 0; output < call.op->outputs.size(); ++output) {
    const std::int64_t length = call.result_shape(output)[static_cast<std::size_t>(axis)];
    parts.push_back(call.inputs[0].narrow(axis, start, length));
    start += length;
  }
  return parts;
}

Tensors slice(const Invocation& call) {
  const std::vector<std::int64_t> starts = call.listed("starts", 1);
  std::vector<std::int64_t> axes = call.listed("axes", 3);
  std::vector<std::int64_t> steps = call.listed("steps", 4);
  at::Tensor result = call.inputs[0];
  for (std::size_t i = 0; i < starts.size(); ++i) {
    std::int64_t axis = axes.empty() ? static_cast<std::int64_t>(i) : axes[i];
    if (axis < 0) axis += result.dim();
    const std::int64_t step = steps.empty() ? 1 : steps[i];
    const std::int64_t size = result.size(axis);
    const std::int64_t count = call.result_shape()[static_cast<std::size_t>(axis)];
    if (count == size && step == 1) continue;
    const std::int64_t highest = step > 0 ? size : size - 1;
    const std::int64_t from_front = starts[i] < 0 ? starts[i] + size : starts[i];
    const std::int64_t start = std::clamp<std::int64_t>(from_front, 0, highest);
    if (step > 0) {
      result = result.slice(axis, start, start + (count - 1) * step + 1, step);
    } else {
      const at::Tensor rows = at::arange(count, result.options().dtype(at::kLong)) * step + start;
      result = result.index_select(axis, rows);
    }
  }
  return {result};
}

Tensors gather(const Invocation& call) {
  const std::int64_t axis = call.axis("axis", 0);
  const at::Tensor& data = call.inputs[0];
  const at::Tensor rows = call.inputs[1].remainder(data.size(axis));  // ONNX counts back from -1
  if (axis == 0 && data.dim() == 2) return {at::embedding(data, rows)};
  return {data.index_select(axis, rows.reshape({-1})).reshape(call.result_shape())};
}

Tensors gather_elements(const Invocation& call) {
  const std::int64_t axis = call.axis("axis", 0);
  const at::Tensor rows = call.inputs[1].remainder(call.inputs[0].size(axis));
  return {call.inputs[0].gather(axis, rows)};
}

Tensors tile(const Invocation& call) { return {call.inputs[0].repeat(call.listed("repeats", 1))}; }

Tensors pad(const Invocation& call) {
  const std::vector<std::int64_t> pads = call.listed("pads", 1);
  const std::string mode = call.text("mode", "constant");
  const auto rank = static_cast<std::size_t>(call.inputs[0].dim());
  std::vector<std::int64_t> last_first;  // libtorch's order
  for (std::size_t d = rank; d > 0; --d) {
    last_first.push_back(pads[d - 1]);
    last_first.push_back(pads[rank + d - 1]);
  }
  TORCH_CHECK(mode == "constant" && pads.size() == 2 * rank, "Pad with mode ", mode,
              " or on some axes only");
  return {at::constant_pad_nd(call.inputs[0], last_first, call.number("value", 2, 0.0))};
}

constexpr std::array kShapes = {
    OperatorRow{"Reshape", reshape},
    OperatorRow{"Flatten", reshape},
    OperatorRow{"Squeeze", reshape},
    OperatorRow{"Unsqueeze", reshape},
    OperatorRow{"Expand", expand},
    OperatorRow{"Transpose", transpose},
    OperatorRow{"Concat", concat},
    OperatorRow{"Split", split},
    OperatorRow{"Slice", slice},
    OperatorRow{"Gather", gather},
    OperatorRow{"GatherElements", gather_elements},
    OperatorRow{"Tile", tile},
    OperatorRow{"Pad", pad},
};

}  // namespace

std::span<const OperatorRow> shape_operators() { return kShapes; }

}  // namespace penstock::train
