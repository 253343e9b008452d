// Operators that copy, repeat, join or pick elements.
#include <algorithm>
#include <cmath>
#include <limits>

#include "penstock/model/internal/rules.h"

namespace penstock::model::internal {

Status concat_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(std::max<std::size_t>(c.input_count(), 1)));
  Shape output = c.shape(0);
  PENSTOCK_TRY(const std::size_t axis, c.axis(c.integer("axis", 1), output.size()));
  for (std::size_t slot = 1; slot < c.input_count(); ++slot) {
    const Shape& shape = c.shape(slot);
    Shape rest = shape;
    if (shape.size() == output.size()) rest[axis] = output[axis];
    if (rest != output) {
      return c.error("cannot join " + shape_text(c.shape(0)) + " and " + shape_text(shape) +
                     " along dimension " + std::to_string(axis));
    }
    output[axis] = saturating_add(output[axis], shape[axis]);
  }
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status split_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  const Shape& shape = c.shape(0);
  PENSTOCK_TRY(const std::size_t axis, c.axis(c.integer("axis", 0), shape.size()));
  PENSTOCK_TRY(std::vector<std::int64_t> sizes, c.attribute_or_input("split", 1));
  const auto parts = static_cast<std::int64_t>(c.output_count());
  if (parts == 0) return c.error("has no outputs");
  if (sizes.empty()) {  // equal parts, the last one smaller (opset 18)
    const std::int64_t part = (shape[axis] + parts - 1) / parts;
    sizes.assign(c.output_count(), part);
    sizes.back() = shape[axis] - saturating_multiply(part, parts - 1);
  }
  std::int64_t sum = 0;
  for (const std::int64_t size : sizes) {
    if (size < 0) return c.error("\"split\" has the entry " + std::to_string(size));
    sum = saturating_add(sum, size);
  }
  if (sizes.size() != c.output_count() || sum != shape[axis]) {
    return c.error("the parts " + shape_text(sizes) + " do not make up dimension " +
                   std::to_string(axis) + " of " + shape_text(shape));
  }
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Shape part = shape;
    part[axis] = sizes[i];
    c.set(i, std::move(part), c.in(0).type);
  }
  return {};
}

Result<std::vector<SliceAxis>> slice_axes(const NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  const Shape& shape = c.shape(0);
  const bool by_attribute = c.has_attribute("starts");  // before opset 10
  if (!by_attribute) PENSTOCK_TRY_STATUS(c.require(3));
  PENSTOCK_TRY(const std::vector<std::int64_t> starts, c.attribute_or_input("starts", 1));
  PENSTOCK_TRY(const std::vector<std::int64_t> ends, c.attribute_or_input("ends", 2));
  PENSTOCK_TRY(std::vector<std::int64_t> axes, c.attribute_or_input("axes", 3));
  PENSTOCK_TRY(std::vector<std::int64_t> steps,
               by_attribute ? Result<std::vector<std::int64_t>>(std::vector<std::int64_t>())
                            : c.attribute_or_input("steps", 4));
  if (axes.empty()) {
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    return c.error("starts, ends, axes and steps differ in length");
  }
  std::vector<SliceAxis> result;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    PENSTOCK_TRY(const std::size_t axis, c.axis(axes[i], shape.size()));
    const std::int64_t size = shape[axis];
    const std::int64_t step = steps[i];
    if (step == 0 || step == std::numeric_limits<std::int64_t>::min()) {
      return c.error("the step is " + std::to_string(step));
    }
    const std::int64_t lowest = step > 0 ? 0 : -1;
    const std::int64_t highest = step > 0 ? size : size - 1;
    const auto clamp = [&](std::int64_t at, std::int64_t low) {
      return std::clamp(at < 0 ? at + size : at, low, highest);
    };
    const std::int64_t start = clamp(starts[i], 0);
    const std::int64_t end = clamp(ends[i], lowest);
    const std::int64_t distance = step > 0 ? end - start : start - end;
    const std::int64_t stride = step > 0 ? step : -step;
    const std::int64_t count = distance > 0 ? (distance - 1) / stride + 1 : 0;
    result.push_back({axis, start, step, count});
  }
  return result;
}

Status slice_rule(NodeContext& c) {
  PENSTOCK_TRY(const std::vector<SliceAxis> axes, slice_axes(c));
  Shape output = c.shape(0);
  for (const SliceAxis& slice : axes) {
    output[slice.axis] = slice.count;
    if (c.change() == nullptr || c.in(0).carrier != static_cast<int>(slice.axis)) continue;
    const std::int64_t whole = c.base_in(0).shape[slice.axis];
    if (!c.has_base_out(0) || c.base_out(0).shape[slice.axis] != whole) {
      return c.error_rebatch("it takes a part of the batch");
    }
    output[slice.axis] = c.shape(0)[slice.axis];
  }
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status gather_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(2));
  const Shape& data = c.shape(0);
  const Shape& indices = c.shape(1);
  PENSTOCK_TRY(const std::size_t axis, c.axis(c.integer("axis", 0), data.size()));
  const auto split = data.begin() + static_cast<std::ptrdiff_t>(axis);
  Shape output(data.begin(), split);
  output.insert(output.end(), indices.begin(), indices.end());
  output.insert(output.end(), split + 1, data.end());
  if (c.in(1).value && !c.in(1).value->is_real) {
    for (const std::int64_t index : c.in(1).value->integers) {
      if (index < -data[axis] || index >= data[axis]) {
        return c.error("the index " + std::to_string(index) + " lies outside dimension " +
                       std::to_string(axis) + " of " + shape_text(data));
      }
    }
  }
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status gather_elements_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(2));
  c.set(0, c.shape(1), c.in(0).type);
  return {};
}

Status gather_nd_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(2));
  const Shape& data = c.shape(0);
  const Shape& indices = c.shape(1);
  const std::int64_t batch_dimensions = c.integer("batch_dims", 0);
  if (indices.empty() || batch_dimensions < 0 || indices.back() < 1 ||
      saturating_add(indices.back(), batch_dimensions) > static_cast<std::int64_t>(data.size())) {
    return c.error("the indices " + shape_text(indices) + " do not fit " + shape_text(data));
  }
  Shape output(indices.begin(), indices.end() - 1);
  output.insert(output.end(), data.begin() + batch_dimensions + indices.back(), data.end());
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status expand_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(2));
  PENSTOCK_TRY(Shape target, c.constant(1));
  for (const std::int64_t size : target) {
    if (size < 0) return c.error("the target " + shape_text(target) + " is negative");
  }
  Shape shape = c.shape(0);
  if (c.change() != nullptr && c.in(0).carrier < 0 && is_uniform(c.in(0))) {
    // A constant of the old batch, all elements alike, that the new target wants wider.
    const std::optional<Value>& old_target = c.base_in(1).value;
    for (std::size_t d = 0; old_target && d < target.size() && d < old_target->size(); ++d) {
      const std::size_t at = shape.size() + d - target.size();  // wraps where it has none
      if (at < shape.size() && shape[at] == old_target->integers[d]) shape[at] = target[d];
    }
  }
  if (c.change() != nullptr && c.in(0).carrier >= 0) {
    // The target pins the old batch where it repeats it; broadcasting from 1 needs no rewriting.
    const std::size_t from_end = shape.size() - static_cast<std::size_t>(c.in(0).carrier);
    const std::int64_t old = c.base_in(0).shape[static_cast<std::size_t>(c.in(0).carrier)];
    if (from_end <= target.size() && target[target.size() - from_end] == old) {
      target[target.size() - from_end] = shape[shape.size() - from_end];
    }
  }
  PENSTOCK_TRY(Shape output, broadcast(c, {shape, target}));
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status tile_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(2));
  PENSTOCK_TRY(const std::vector<std::int64_t> repeats, c.constant(1));
  Shape output = c.shape(0);
  if (repeats.size() != output.size()) {
    return c.error("the repeats " + shape_text(repeats) + " do not fit " + shape_text(output));
  }
  for (std::size_t d = 0; d < output.size(); ++d) {
    if (repeats[d] < 0) return c.error("the repeats " + shape_text(repeats) + " are negative");
    output[d] = saturating_multiply(output[d], repeats[d]);
  }
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status pad_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  PENSTOCK_TRY(const std::vector<std::int64_t> pads, c.attribute_or_input("pads", 1));
  PENSTOCK_TRY(std::vector<std::int64_t> axes, c.attribute_or_input("axes", 3));
  Shape output = c.shape(0);
  if (axes.empty()) {
    for (std::size_t d = 0; d < output.size(); ++d) axes.push_back(static_cast<std::int64_t>(d));
  }
  if (pads.size() != 2 * axes.size()) {
    return c.error("the pads " + shape_text(pads) + " do not fit " + shape_text(output));
  }
  for (std::size_t i = 0; i < axes.size(); ++i) {
    PENSTOCK_TRY(const std::size_t axis, c.axis(axes[i], output.size()));
    for (const std::int64_t pad : {pads[i], pads[i + axes.size()]}) {
      if (pad < -kMaxCount || pad > kMaxCount) return c.error("a pad is " + std::to_string(pad));
      output[axis] = saturating_add(output[axis], pad);
    }
  }
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

namespace {

Result<std::vector<double>> resize_scales(const NodeContext& c) {
  if (const auto attribute = c.node().reals.find("scales"); attribute != c.node().reals.end()) {
    return attribute->second;
  }
  // Upsample and Resize up to opset 10 have (X, scales); later Resize has (X, roi, scales, sizes).
  const std::size_t slot = c.node().type == "Upsample" || c.opset() < 11 ? 1 : 2;
  if (!c.has(slot) || !c.in(slot).value || !c.in(slot).value->is_real) {
    return c.error("its scales are not constant");
  }
  return c.in(slot).value->reals;
}

}  // namespace

Status resize_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  Shape output = c.shape(0);
  const bool by_size =
      c.node().type == "Resize" && c.has(3) && !c.shape(3).empty() && c.shape(3).front() > 0;
  if (by_size) {
    PENSTOCK_TRY(const std::vector<std::int64_t> sizes, c.constant(3));
    if (sizes.size() != output.size()) {
      return c.error("the sizes " + shape_text(sizes) + " do not fit " + shape_text(output));
    }
    for (std::size_t d = 0; d < sizes.size(); ++d) {
      const bool pinned = c.change() != nullptr && c.in(0).carrier == static_cast<int>(d) &&
                          sizes[d] == c.base_in(0).shape[d];
      if (!pinned) output[d] = sizes[d];
    }
  } else {
    PENSTOCK_TRY(const std::vector<double> scales, resize_scales(c));
    if (scales.size() != output.size())
      return c.error("the scales do not fit " + shape_text(output));
    for (std::size_t d = 0; d < scales.size(); ++d) {
      const double size = std::floor(static_cast<double>(output[d]) * scales[d]);
      if (!(size >= 0 && size < 1e15)) return c.error("a scale is " + std::to_string(scales[d]));
      output[d] = static_cast<std::int64_t>(size);
    }
  }
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status one_hot_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(3));
  PENSTOCK_TRY(const std::vector<std::int64_t> depth, c.constant(1));
  if (depth.size() != 1 || depth.front() < 0) return c.error("its depth is no constant number");
  Shape output = c.shape(0);
  PENSTOCK_TRY(const std::size_t axis, c.axis(c.integer("axis", -1), output.size() + 1));
  output.insert(output.begin() + static_cast<std::ptrdiff_t>(axis), depth.front());
  c.set(0, std::move(output), c.in(2).type);
  return {};
}

}  // namespace penstock::model::internal
