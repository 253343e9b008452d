// Operators that make constants, and those whose result depends on shapes alone.
#include <cmath>

#include "penstock/model/internal/rules.h"

namespace penstock::model::internal {

Status constant_rule(NodeContext& c) {
  const WireNode& node = c.node();
  if (const auto value = node.tensors.find("value"); value != node.tensors.end()) {
    c.set(0, value->second.shape, value->second.type);
  } else if (c.has_attribute("value_int")) {
    c.set(0, {}, ElementType::kInteger);
  } else if (c.has_attribute("value_float")) {
    c.set(0, {}, ElementType::kFloat);
  } else if (c.has_attribute("value_ints")) {
    c.set(0, {static_cast<std::int64_t>(c.integers("value_ints").size())}, ElementType::kInteger);
  } else if (const auto reals = node.reals.find("value_floats"); reals != node.reals.end()) {
    c.set(0, {static_cast<std::int64_t>(reals->second.size())}, ElementType::kFloat);
  } else {
    return c.error("has no value that we can read");
  }
  return {};
}

Status constant_of_shape_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  PENSTOCK_TRY(Shape shape, c.constant(0));
  const auto value = c.node().tensors.find("value");
  c.set(0, std::move(shape),
        value == c.node().tensors.end() ? ElementType::kFloat : value->second.type);
  return {};
}

Status shape_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  const auto rank = static_cast<std::int64_t>(c.shape(0).size());
  const auto clamp = [&](std::int64_t at) {
    if (at < 0) at += rank;
    return at < 0 ? 0 : at > rank ? rank : at;
  };
  const std::int64_t count = clamp(c.integer("end", rank)) - clamp(c.integer("start", 0));
  c.set(0, {count < 0 ? 0 : count}, ElementType::kInteger);
  return {};
}

Status size_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  c.set(0, {}, ElementType::kInteger);
  return {};
}

Status range_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(3));
  double bounds[3] = {};
  for (std::size_t slot = 0; slot < 3; ++slot) {
    const std::optional<Value>& value = c.in(slot).value;
    if (!value || value->size() != 1) return c.error("its bounds are not constant numbers");
    bounds[slot] =
        value->is_real ? value->reals.front() : static_cast<double>(value->integers.front());
  }
  const double count = std::ceil((bounds[1] - bounds[0]) / bounds[2]);
  if (bounds[2] == 0 || !std::isfinite(count) || count > 1e12) {
    return c.error("does not end");
  }
  c.set(0, {count < 0 ? 0 : static_cast<std::int64_t>(count)}, c.in(0).type);
  return {};
}

}  // namespace penstock::model::internal
