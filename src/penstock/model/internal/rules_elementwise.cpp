// Operators that keep the shape, broadcast, or reduce.
#include <algorithm>

#include "penstock/model/internal/rules.h"

namespace penstock::model::internal {

// Multidirectional broadcasting, aligned from the last dimension.
Result<Shape> broadcast(const NodeContext& c, const std::vector<Shape>& shapes) {
  std::size_t rank = 0;
  for (const Shape& shape : shapes) rank = std::max(rank, shape.size());
  Shape result(rank, 1);
  for (const Shape& shape : shapes) {
    const std::size_t offset = rank - shape.size();
    for (std::size_t d = 0; d < shape.size(); ++d) {
      std::int64_t& size = result[offset + d];
      if (size == 1) size = shape[d];
      if (shape[d] != 1 && shape[d] != size) {
        return c.error("the shapes " + shape_text(shapes.front()) + " and " +
                       shape_text(shapes.back()) + " do not fit");
      }
    }
  }
  return result;
}

Status same_shape_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  c.set_like(0, c.in(0));
  return {};
}

Status cast_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  if (c.node().type == "CastLike") {
    PENSTOCK_TRY_STATUS(c.require(2));
    c.set(0, c.shape(0), c.in(1).type);
    return {};
  }
  // TensorProto.DataType: 1 float, 9 bool, 10 float16, 11 double, 14 to 16 complex and bfloat16.
  const std::int64_t to = c.integer("to", 1);
  const bool is_float = to == 1 || to == 10 || to == 11 || (to >= 14 && to <= 16);
  c.set(0, c.shape(0),
        to == 9    ? ElementType::kBool
        : is_float ? ElementType::kFloat
                   : ElementType::kInteger);
  return {};
}

Status predicate_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  c.set(0, c.shape(0), ElementType::kBool);
  return {};
}

namespace {

Result<Shape> broadcast_inputs(const NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(std::max<std::size_t>(c.input_count(), 1)));
  Shape result = c.shape(0);
  for (std::size_t slot = 1; slot < c.input_count(); ++slot) {
    PENSTOCK_TRY(result, broadcast(c, {result, c.shape(slot)}));
  }
  return result;
}

}  // namespace

Status broadcast_rule(NodeContext& c) {
  PENSTOCK_TRY(Shape shape, broadcast_inputs(c));
  c.set(0, std::move(shape), c.in(0).type);
  return {};
}

Status comparison_rule(NodeContext& c) {
  PENSTOCK_TRY(Shape shape, broadcast_inputs(c));
  c.set(0, std::move(shape), ElementType::kBool);
  return {};
}

Status where_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(3));
  PENSTOCK_TRY(Shape shape, broadcast_inputs(c));
  c.set(0, std::move(shape), c.in(1).type);
  return {};
}

// BatchNormalization, LayerNormalization and their kin; further outputs are statistics.
Status normalization_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  const Shape& shape = c.shape(0);
  c.set_like(0, c.in(0));
  if (c.node().type == "BatchNormalization") {
    PENSTOCK_TRY_STATUS(c.require(5));
    if (shape.size() < 2) return c.error("the input " + shape_text(shape) + " has no channels");
    for (std::size_t slot = 1; slot < 5; ++slot) {
      if (c.shape(slot) != Shape{shape[1]}) {
        return c.error("the operand " + shape_text(c.shape(slot)) + " should be " +
                       shape_text({shape[1]}) + ", one entry a channel");
      }
    }
    for (std::size_t slot = 1; slot < c.output_count(); ++slot) {
      c.set(slot, {shape[1]}, ElementType::kFloat);
    }
  } else if (c.node().type == "LayerNormalization") {
    PENSTOCK_TRY(const std::size_t axis, c.axis(c.integer("axis", -1), shape.size()));
    Shape statistics = shape;
    std::fill(statistics.begin() + static_cast<std::ptrdiff_t>(axis), statistics.end(), 1);
    for (std::size_t slot = 1; slot < c.output_count(); ++slot) {
      c.set(slot, statistics, ElementType::kFloat);
    }
  }
  return {};
}

Status dropout_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  c.set_like(0, c.in(0));
  if (c.output_count() > 1) c.set(1, c.shape(0), ElementType::kBool);
  return {};
}

namespace {

Shape reduced(const Shape& shape, const std::vector<bool>& gone, bool keep) {
  Shape result;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (!gone[d]) {
      result.push_back(shape[d]);
    } else if (keep) {
      result.push_back(1);
    }
  }
  return result;
}

}  // namespace

Status reduction_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  const Shape& shape = c.shape(0);
  PENSTOCK_TRY(const std::vector<std::int64_t> axes, c.attribute_or_input("axes", 1));
  const bool keep = c.integer("keepdims", 1) != 0;
  if (axes.empty() && c.integer("noop_with_empty_axes", 0) != 0) {
    c.set_like(0, c.in(0));
    return {};
  }
  std::vector<bool> gone(shape.size(), axes.empty());
  for (const std::int64_t given : axes) {
    PENSTOCK_TRY(const std::size_t axis, c.axis(given, shape.size()));
    gone[axis] = true;
  }
  c.set(0, reduced(shape, gone, keep), c.in(0).type);
  return {};
}

Status arg_reduction_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  const Shape& shape = c.shape(0);
  PENSTOCK_TRY(const std::size_t axis, c.axis(c.integer("axis", 0), shape.size()));
  std::vector<bool> gone(shape.size(), false);
  gone[axis] = true;
  c.set(0, reduced(shape, gone, c.integer("keepdims", 1) != 0), ElementType::kInteger);
  return {};
}

Status top_k_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  Shape shape = c.shape(0);
  PENSTOCK_TRY(const std::size_t axis, c.axis(c.integer("axis", -1), shape.size()));
  std::int64_t count = c.integer("k", 0);
  if (c.has(1)) {
    PENSTOCK_TRY(const std::vector<std::int64_t> given, c.constant(1));
    count = given.size() == 1 ? given.front() : -1;
  }
  if (count < 0 || count > shape[axis]) {
    return c.error("cannot take " + std::to_string(count) + " of " + std::to_string(shape[axis]));
  }
  shape[axis] = count;
  if (c.output_count() > 1) c.set(1, shape, ElementType::kInteger);
  c.set(0, std::move(shape), c.in(0).type);
  return {};
}

}  // namespace penstock::model::internal
