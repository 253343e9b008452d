// Convolutions and pooling over any number of spatial dimensions.
#include "penstock/model/internal/rules.h"

namespace penstock::model::internal {
namespace {

// Strides, pads and dilations beyond this are not a network.
constexpr std::int64_t kMaxStep = std::int64_t{1} << 31;

struct Window {
  std::vector<std::int64_t> kernel;
  std::vector<std::int64_t> strides;
  std::vector<std::int64_t> dilations;
  std::vector<std::int64_t> pads;  // all begins, then all ends
};

Result<std::vector<std::int64_t>> bounded(const NodeContext& c, const std::string& name,
                                          std::size_t size, std::int64_t fallback,
                                          std::int64_t min) {
  std::vector<std::int64_t> values = c.integers(name);
  if (values.empty()) values.assign(size, fallback);
  if (values.size() != size) {
    return c.error("\"" + name + "\" has " + std::to_string(values.size()) +
                   " entries instead of " + std::to_string(size));
  }
  for (const std::int64_t value : values) {
    if (value < min || value > kMaxStep) {
      return c.error("\"" + name + "\" has the entry " + std::to_string(value));
    }
  }
  return values;
}

Result<Window> read_window(const NodeContext& c, std::vector<std::int64_t> kernel) {
  const std::size_t spatial = kernel.size();
  Window window;
  window.kernel = std::move(kernel);
  for (const std::int64_t size : window.kernel) {
    if (size < 1 || size > kMaxStep) return c.error("the kernel is " + shape_text(window.kernel));
  }
  PENSTOCK_TRY(window.strides, bounded(c, "strides", spatial, 1, 1));
  PENSTOCK_TRY(window.dilations, bounded(c, "dilations", spatial, 1, 1));
  // Negative pads crop; kMaxStep bounds them from below as well.
  PENSTOCK_TRY(window.pads, bounded(c, "pads", 2 * spatial, 0, -kMaxStep));
  return window;
}

// The spatial sizes after the window has slid over `input` (ONNX operator Conv, attribute
// auto_pad).
Result<Shape> slide(const NodeContext& c, const Shape& input, const Window& window, bool ceil) {
  const std::string auto_pad = c.text("auto_pad", "NOTSET");
  Shape output;
  const std::size_t spatial = window.kernel.size();
  for (std::size_t i = 0; i < spatial; ++i) {
    const std::int64_t size = input[i + 2];
    const std::int64_t stride = window.strides[i];
    if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      output.push_back((size + stride - 1) / stride);
      continue;
    }
    const bool valid = auto_pad == "VALID";
    const std::int64_t pad = valid ? 0 : window.pads[i] + window.pads[i + spatial];
    const std::int64_t reach =
        saturating_add(saturating_multiply(window.dilations[i], window.kernel[i] - 1), 1);
    const std::int64_t room = size + pad - reach;
    if (room < 0) {
      return c.error("the kernel " + shape_text(window.kernel) + " does not fit the input " +
                     shape_text(input));
    }
    output.push_back((ceil ? room + stride - 1 : room) / stride + 1);
  }
  return output;
}

Result<Shape> spatial_input(const NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  const Shape& input = c.shape(0);
  if (input.size() < 3) {
    return c.error("the input " + shape_text(input) + " has no spatial dimensions");
  }
  return input;
}

Status check_kernel_shape(const NodeContext& c, const std::vector<std::int64_t>& kernel) {
  const std::vector<std::int64_t> declared = c.integers("kernel_shape");
  if (!declared.empty() && declared != kernel) {
    return c.error("\"kernel_shape\" is " + shape_text(declared) + ", but the weights have " +
                   shape_text(kernel));
  }
  return {};
}

}  // namespace

Status convolution_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(2));
  PENSTOCK_TRY(const Shape input, spatial_input(c));
  const Shape& weight = c.shape(1);
  const std::int64_t group = c.integer("group", 1);
  if (weight.size() != input.size() || group < 1 ||
      saturating_multiply(weight[1], group) != input[1] || weight[0] % group != 0) {
    return c.error("the weights " + shape_text(weight) + " in " + std::to_string(group) +
                   " groups do not fit the input " + shape_text(input));
  }
  if (c.has(2) && saturating_elements(c.shape(2)) != weight[0]) {
    return c.error("the bias " + shape_text(c.shape(2)) + " does not fit the weights " +
                   shape_text(weight));
  }
  const std::vector<std::int64_t> kernel(weight.begin() + 2, weight.end());
  PENSTOCK_TRY_STATUS(check_kernel_shape(c, kernel));
  PENSTOCK_TRY(const Window window, read_window(c, kernel));
  PENSTOCK_TRY(const Shape spatial, slide(c, input, window, false));
  Shape output{input[0], weight[0]};
  output.insert(output.end(), spatial.begin(), spatial.end());
  c.set_macs(saturating_multiply(saturating_elements(output),
                                 saturating_multiply(weight[1], saturating_elements(kernel))));
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status transposed_convolution_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(2));
  PENSTOCK_TRY(const Shape input, spatial_input(c));
  const Shape& weight = c.shape(1);
  const std::int64_t group = c.integer("group", 1);
  if (weight.size() != input.size() || group < 1 || weight[0] != input[1] ||
      weight[0] % group != 0) {
    return c.error("the weights " + shape_text(weight) + " in " + std::to_string(group) +
                   " groups do not fit the input " + shape_text(input));
  }
  const std::vector<std::int64_t> kernel(weight.begin() + 2, weight.end());
  PENSTOCK_TRY_STATUS(check_kernel_shape(c, kernel));
  PENSTOCK_TRY(const Window window, read_window(c, kernel));
  PENSTOCK_TRY(const std::vector<std::int64_t> extra,
               bounded(c, "output_padding", kernel.size(), 0, 0));
  const std::vector<std::int64_t> wanted = c.integers("output_shape");
  if (!wanted.empty() && wanted.size() != kernel.size()) {
    return c.error("\"output_shape\" has " + std::to_string(wanted.size()) + " entries");
  }
  const std::string auto_pad = c.text("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  Shape output{input[0], saturating_multiply(weight[1], group)};
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const std::int64_t reach = saturating_multiply(window.dilations[i], kernel[i] - 1);
    std::int64_t size = saturating_multiply(window.strides[i], input[i + 2] - 1);
    size = saturating_add(saturating_add(size, extra[i]), saturating_add(reach, 1));
    if (size > kMaxCount) return c.error("the output is too large to count");
    size -= auto_pad == "VALID" ? 0 : window.pads[i] + window.pads[i + kernel.size()];
    if (same) size = saturating_multiply(input[i + 2], window.strides[i]);
    output.push_back(wanted.empty() ? size : wanted[i]);
  }
  c.set_macs(saturating_multiply(saturating_elements(input),
                                 saturating_multiply(weight[1], saturating_elements(kernel))));
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status pool_rule(NodeContext& c) {
  PENSTOCK_TRY(const Shape input, spatial_input(c));
  const std::vector<std::int64_t> kernel = c.integers("kernel_shape");
  if (kernel.size() + 2 != input.size()) {
    return c.error("\"kernel_shape\" " + shape_text(kernel) + " does not fit the input " +
                   shape_text(input));
  }
  PENSTOCK_TRY(const Window window, read_window(c, kernel));
  PENSTOCK_TRY(const Shape spatial, slide(c, input, window, c.integer("ceil_mode", 0) != 0));
  Shape output{input[0], input[1]};
  output.insert(output.end(), spatial.begin(), spatial.end());
  if (c.output_count() > 1) c.set(1, output, ElementType::kInteger);  // where each maximum was
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status global_pool_rule(NodeContext& c) {
  PENSTOCK_TRY(const Shape input, spatial_input(c));
  Shape output(input.size(), 1);
  output[0] = input[0];
  output[1] = input[1];
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

}  // namespace penstock::model::internal
