// Layers: products, convolutions, pooling, norms, dropout, recurrence.
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "penstock/train/worker/torch_operators.h"

namespace penstock::train {
namespace {

using Tensors = std::vector<at::Tensor>;
using Integers = std::vector<std::int64_t>;

Tensors matmul(const Invocation& call) { return {at::matmul(call.inputs[0], call.inputs[1])}; }

Tensors gemm(const Invocation& call) {
  const at::Tensor a = call.op->integer("transA", 0) != 0 ? call.inputs[0].t() : call.inputs[0];
  const at::Tensor b = call.op->integer("transB", 0) != 0 ? call.inputs[1].t() : call.inputs[1];
  const double alpha = call.number("alpha", kNoSlot, 1.0);
  const double beta = call.number("beta", kNoSlot, 1.0);
  if (call.has(2)) return {at::addmm(call.inputs[2], a, b, beta, alpha)};
  return {alpha == 1.0 ? at::mm(a, b) : at::mm(a, b) * alpha};
}

// The window of a convolution or a pooling, one entry a spatial axis.
struct Window {
  Integers kernel;
  Integers strides;
  Integers dilations;
  Integers before;  // padding
  Integers after;

  bool is_even() const { return before == after; }
};

// Padding as given, or what the operator's result asks for where "auto_pad" leaves it open.
Window window_of(const Invocation& call, const Integers& kernel) {
  const std::size_t rank = kernel.size();
  Window window{.kernel = kernel,
                .strides = call.op->integers("strides", Integers(rank, 1)),
                .dilations = call.op->integers("dilations", Integers(rank, 1)),
                .before = Integers(rank, 0),
                .after = Integers(rank, 0)};
  const std::string rule = call.text("auto_pad", "NOTSET");
  const Integers pads = call.op->integers("pads", Integers(2 * rank, 0));
  for (std::size_t d = 0; d < rank; ++d) {
    if (rule == "NOTSET") {
      window.before[d] = pads[d];
      window.after[d] = pads[rank + d];
    } else if (rule != "VALID") {
      const std::int64_t size = call.inputs[0].size(static_cast<std::int64_t>(d) + 2);
      const std::int64_t reach = window.dilations[d] * (kernel[d] - 1) + 1;
      const std::int64_t total = std::max<std::int64_t>(
          0, (call.result_shape()[d + 2] - 1) * window.strides[d] + reach - size);
      window.before[d] = rule == "SAME_LOWER" ? total - total / 2 : total / 2;
      window.after[d] = total - window.before[d];
    }
  }
  return window;
}

// The input with its padding written out; then the window needs none.
at::Tensor padded(const at::Tensor& x, Window& window, double value) {
  Integers last_first;
  for (std::size_t d = window.kernel.size(); d > 0; --d) {
    last_first.push_back(window.before[d - 1]);
    last_first.push_back(window.after[d - 1]);
  }
  std::fill(window.before.begin(), window.before.end(), 0);
  window.after = window.before;
  return at::constant_pad_nd(x, last_first, value);
}

Tensors convolution(const Invocation& call) {
  const at::Tensor& weight = call.inputs[1];
  Window window = window_of(call, weight.sizes().slice(2).vec());
  const at::Tensor x = window.is_even() ? call.inputs[0] : padded(call.inputs[0], window, 0.0);
  const at::Tensor bias = call.has(2) ? call.inputs[2] : at::Tensor();
  return {at::convolution(x, weight, bias, window.strides, window.before, window.dilations, false,
                          Integers(window.kernel.size(), 0), call.op->integer("group", 1))};
}

// libtorch refuses padding above half the window, and pads both sides alike.
bool pools_as_libtorch(const Window& window) {
  bool fits = window.is_even();
  for (std::size_t d = 0; d < window.kernel.size(); ++d) {
    fits &= 2 * window.before[d] <= window.kernel[d];
  }
  return fits;
}

at::Tensor max_of_windows(const at::Tensor& x, const Window& window, bool is_ceiling) {
  if (window.kernel.size() == 1) {
    return at::max_pool1d(x, window.kernel, window.strides, window.before, window.dilations,
                          is_ceiling);
  }
  if (window.kernel.size() == 3) {
    return at::max_pool3d(x, window.kernel, window.strides, window.before, window.dilations,
                          is_ceiling);
  }
  return at::max_pool2d(x, window.kernel, window.strides, window.before, window.dilations,
                        is_ceiling);
}

at::Tensor mean_of_windows(const at::Tensor& x, const Window& window, bool is_ceiling,
                           bool counts_padding) {
  if (window.kernel.size() == 1) {
    return at::avg_pool1d(x, window.kernel, window.strides, window.before, is_ceiling,
                          counts_padding);
  }
  if (window.kernel.size() == 3) {
    return at::avg_pool3d(x, window.kernel, window.strides, window.before, is_ceiling,
                          counts_padding);
  }
  return at::avg_pool2d(x, window.kernel, window.strides, window.before, is_ceiling,
                        counts_padding);
}

Tensors max_pool(const Invocation& call) {
  Window window = window_of(call, call.op->integers("kernel_shape", {}));
  const bool is_plain = pools_as_libtorch(window);
  const at::Tensor x =
      is_plain ? call.inputs[0]
               : padded(call.inputs[0], window, -std::numeric_limits<double>::infinity());
  return {max_of_windows(x, window, call.op->integer("ceil_mode", 0) != 0)};
}

Tensors average_pool(const Invocation& call) {
  Window window = window_of(call, call.op->integers("kernel_shape", {}));
  const bool is_ceiling = call.op->integer("ceil_mode", 0) != 0;
  const bool counts_padding = call.op->integer("count_include_pad", 0) != 0;
  if (pools_as_libtorch(window)) {
    return {mean_of_windows(call.inputs[0], window, is_ceiling, counts_padding)};
  }
  Window again = window;
  const at::Tensor x = padded(call.inputs[0], window, 0.0);
  const at::Tensor mean = mean_of_windows(x, window, is_ceiling, true);
  if (counts_padding) return {mean};
  // The share of each window that is not padding.
  const at::Tensor share =
      mean_of_windows(padded(at::ones_like(call.inputs[0]), again, 0.0), again, is_ceiling, true);
  return {mean / share};
}

Integers spatial_axes(const at::Tensor& x) {
  Integers axes;
  for (std::int64_t d = 2; d < x.dim(); ++d) axes.push_back(d);
  return axes;
}

Tensors global_average_pool(const Invocation& call) {
  return {at::mean(call.inputs[0], spatial_axes(call.inputs[0]), true)};
}

Tensors global_max_pool(const Invocation& call) {
  return {at::amax(call.inputs[0], spatial_axes(call.inputs[0]), true)};
}

// As in training, whatever the file was exported for: the batch's own statistics, which the running
// ones follow. ONNX's momentum is the weight of the old value, libtorch's that of the new.
Tensors batch_norm(const Invocation& call) {
  return {at::batch_norm(call.inputs[0], call.inputs[1], call.inputs[2], call.inputs[3],
                         call.inputs[4], /*training=*/true,
                         1.0 - call.number("momentum", kNoSlot, 0.9),
                         call.number("epsilon", kNoSlot, 1e-5), /*cudnn_enabled=*/true)};
}

Tensors layer_norm(const Invocation& call) {
  const std::int64_t axis = call.axis("axis", -1);
  const at::Tensor bias = call.has(2) ? call.inputs[2] : at::Tensor();
  return {at::layer_norm(call.inputs[0],
                         call.inputs[0].sizes().slice(static_cast<std::size_t>(axis)),
                         call.inputs[1], bias, call.number("epsilon", kNoSlot, 1e-5))};
}

Tensors instance_norm(const Invocation& call) {
  return {at::instance_norm(call.inputs[0], call.inputs[1], call.inputs[2], {}, {}, true, 0.0,
                            call.number("epsilon", kNoSlot, 1e-5), true)};
}

// Across channels: x / (bias + alpha / size * sum of squares)^beta.
Tensors local_response_norm(const Invocation& call) {
  const at::Tensor& x = call.inputs[0];
  const std::int64_t size = call.op->integer("size", 1);
  const at::Tensor squares =
      at::constant_pad_nd((x * x).flatten(2).unsqueeze(1), {0, 0, (size - 1) / 2, size / 2}, 0.0);
  const at::Tensor mean = at::avg_pool2d(squares, {size, 1}, {1, 1}).squeeze(1).view_as(x);
  const double alpha = call.number("alpha", kNoSlot, 1e-4);
  const at::Tensor scale = mean * alpha + call.number("bias", kNoSlot, 1.0);
  return {x / scale.pow(call.number("beta", kNoSlot, 0.75))};
}

Tensors dropout(const Invocation& call) {
  return {at::dropout(call.inputs[0], call.number("ratio", 1, 0.5), /*train=*/true)};
}

// ONNX orders the gates input, output, forget, cell; libtorch input, forget, cell, output.
at::Tensor libtorch_gates(const at::Tensor& gates) {
  const std::vector<at::Tensor> part = gates.chunk(4, 0);
  return at::cat({part[0], part[2], part[3], part[1]}, 0);
}

Tensors lstm(const Invocation& call) {
  const at::Tensor& x = call.inputs[0];
  const std::string direction = call.text("direction", "forward");
  TORCH_CHECK(
      direction != "reverse" && call.op->integer("layout", 0) == 0 && !call.has(4) && !call.has(7),
      "LSTM in reverse, with batch first, with sequence lengths or with peepholes");
  const std::int64_t directions = call.inputs[1].size(0);
  const std::int64_t hidden = call.inputs[2].size(2);
  Tensors weights;
  for (std::int64_t d = 0; d < directions; ++d) {
    weights.push_back(libtorch_gates(call.inputs[1][d]));
    weights.push_back(libtorch_gates(call.inputs[2][d]));
    if (!call.has(3)) continue;
    for (const at::Tensor& bias : call.inputs[3][d].chunk(2, 0)) {
      weights.push_back(libtorch_gates(bias));
    }
  }
  const at::Tensor none = at::zeros({directions, x.size(1), hidden}, x.options());
  const auto [y, h, c] =
      at::lstm(x, {call.has(5) ? call.inputs[5] : none, call.has(6) ? call.inputs[6] : none},
               weights, call.has(3), 1, 0.0, true, directions == 2, false);
  // From [time, batch, directions * hidden] to ONNX's [time, directions, batch, hidden].
  return {y.view({x.size(0), x.size(1), directions, hidden}).transpose(1, 2), h, c};
}

constexpr std::array kLayers = {
    OperatorRow{"MatMul", matmul},
    OperatorRow{"Gemm", gemm},
    OperatorRow{"Conv", convolution},
    OperatorRow{"MaxPool", max_pool},
    OperatorRow{"AveragePool", average_pool},
    OperatorRow{"GlobalAveragePool", global_average_pool},
    OperatorRow{"GlobalMaxPool", global_max_pool},
    OperatorRow{"BatchNormalization", batch_norm},
    OperatorRow{"LayerNormalization", layer_norm},
    OperatorRow{"InstanceNormalization", instance_norm},
    OperatorRow{"LRN", local_response_norm},
    OperatorRow{"Dropout", dropout},
    OperatorRow{"LSTM", lstm},
};

}  // namespace

std::span<const OperatorRow> layer_operators() { return kLayers; }

}  // namespace penstock::train
