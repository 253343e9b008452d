// Arithmetic on small constants while reading: what exporters write to compute shapes.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <string_view>

#include "penstock/model/internal/rules.h"

namespace penstock::model::internal {
namespace {

using Index = std::size_t;
// For each element of the output the element of the input that it copies.
using IndexMap = std::vector<Index>;

Index count_of(const Shape& shape) { return static_cast<Index>(saturating_elements(shape)); }

std::vector<Index> strides_of(const Shape& shape) {
  std::vector<Index> strides(shape.size(), 1);
  for (Index d = shape.size(); d > 1; --d) {
    strides[d - 2] = strides[d - 1] * static_cast<Index>(shape[d - 1]);
  }
  return strides;
}

// Visits the output in order; `source` maps the output's coordinates to the input's element.
template <typename Source>
IndexMap map_elements(const Shape& output, const Source& source) {
  IndexMap map(count_of(output));
  std::vector<Index> at(output.size(), 0);
  for (Index& element : map) {
    element = source(at);
    for (Index d = output.size(); d > 0; --d) {
      if (++at[d - 1] < static_cast<Index>(output[d - 1])) break;
      at[d - 1] = 0;
    }
  }
  return map;
}

// Empty where the map leaves the value: a shape that re-batching has widened.
std::optional<Value> pick(const Value& value, const IndexMap& map) {
  const Index size = value.size();
  Value picked;
  picked.is_real = value.is_real;
  for (const Index element : map) {
    if (element >= size) return std::nullopt;
    if (value.is_real) {
      picked.reals.push_back(value.reals[element]);
    } else {
      picked.integers.push_back(value.integers[element]);
    }
  }
  return picked;
}

IndexMap broadcast_map(const Shape& input, const Shape& output) {
  const std::vector<Index> strides = strides_of(input);
  const Index offset = output.size() - input.size();
  return map_elements(output, [&](const std::vector<Index>& at) {
    Index element = 0;
    for (Index d = 0; d < input.size(); ++d) {
      if (input[d] != 1) element += at[offset + d] * strides[d];
    }
    return element;
  });
}

std::optional<Value> broadcast_value(const TensorState& state, const Shape& output) {
  return state.shape == output ? *state.value
                               : pick(*state.value, broadcast_map(state.shape, output));
}

std::vector<double> as_reals(const Value& value) {
  if (value.is_real) return value.reals;
  return {value.integers.begin(), value.integers.end()};
}

// Empty where the operation is undefined: overflow, or division by zero.
using IntegerOperation = std::optional<std::int64_t> (*)(std::int64_t, std::int64_t);
using RealOperation = double (*)(double, double);
struct Arithmetic {
  std::string_view type;
  IntegerOperation integer;
  RealOperation real;
};

template <typename Builtin>
std::optional<std::int64_t> checked(Builtin builtin, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (builtin(a, b, &result)) return std::nullopt;
  return result;
}
bool can_divide(std::int64_t a, std::int64_t b) {
  return b != 0 && !(b == -1 && a == std::numeric_limits<std::int64_t>::min());
}

using I = std::int64_t;
using Maybe = std::optional<std::int64_t>;
constexpr std::array kArithmetic = {
    Arithmetic{"Add",
               [](I a, I b) -> Maybe {
                 return checked([](I x, I y, I* r) { return __builtin_add_overflow(x, y, r); }, a,
                                b);
               },
               [](double a, double b) { return a + b; }},
    Arithmetic{"Sub",
               [](I a, I b) -> Maybe {
                 return checked([](I x, I y, I* r) { return __builtin_sub_overflow(x, y, r); }, a,
                                b);
               },
               [](double a, double b) { return a - b; }},
    Arithmetic{"Mul",
               [](I a, I b) -> Maybe {
                 return checked([](I x, I y, I* r) { return __builtin_mul_overflow(x, y, r); }, a,
                                b);
               },
               [](double a, double b) { return a * b; }},
    Arithmetic{"Div", [](I a, I b) -> Maybe { return can_divide(a, b) ? Maybe(a / b) : Maybe(); },
               [](double a, double b) { return a / b; }},
    Arithmetic{"Mod",
               [](I a, I b) -> Maybe {
                 if (!can_divide(a, b)) return std::nullopt;
                 const I rest = a % b;  // takes the divisor's sign, unlike C++
                 return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
               },
               [](double a, double b) { return std::fmod(a, b); }},
    Arithmetic{"Min", [](I a, I b) -> Maybe { return std::min(a, b); },
               [](double a, double b) { return std::min(a, b); }},
    Arithmetic{"Max", [](I a, I b) -> Maybe { return std::max(a, b); },
               [](double a, double b) { return std::max(a, b); }},
    Arithmetic{"Pow", [](I, I) -> Maybe { return std::nullopt; },
               [](double a, double b) { return std::pow(a, b); }},
    Arithmetic{"Equal", [](I a, I b) -> Maybe { return a == b; }, nullptr},
    Arithmetic{"Less", [](I a, I b) -> Maybe { return a < b; }, nullptr},
    Arithmetic{"LessOrEqual", [](I a, I b) -> Maybe { return a <= b; }, nullptr},
    Arithmetic{"Greater", [](I a, I b) -> Maybe { return a > b; }, nullptr},
    Arithmetic{"GreaterOrEqual", [](I a, I b) -> Maybe { return a >= b; }, nullptr},
    Arithmetic{"And", [](I a, I b) -> Maybe { return a != 0 && b != 0; }, nullptr},
    Arithmetic{"Or", [](I a, I b) -> Maybe { return a != 0 || b != 0; }, nullptr},
};

std::optional<Value> fold_arithmetic(const NodeContext& c, const Arithmetic& arithmetic,
                                     const Shape& output) {
  std::optional<Value> result = broadcast_value(c.in(0), output);
  if (!result) return std::nullopt;
  for (std::size_t slot = 1; slot < c.input_count(); ++slot) {
    const std::optional<Value> right = broadcast_value(c.in(slot), output);
    if (!right) return std::nullopt;
    if (result->is_real || right->is_real) {
      if (arithmetic.real == nullptr) return std::nullopt;
      std::vector<double> a = as_reals(*result);
      const std::vector<double> b = as_reals(*right);
      for (Index i = 0; i < a.size(); ++i) a[i] = arithmetic.real(a[i], b[i]);
      result = Value{.is_real = true, .integers = {}, .reals = std::move(a)};
      continue;
    }
    for (Index i = 0; i < result->integers.size(); ++i) {
      const Maybe element = arithmetic.integer(result->integers[i], right->integers[i]);
      if (!element) return std::nullopt;
      result->integers[i] = *element;
    }
  }
  return result;
}

std::optional<Value> fold_unary(const NodeContext& c) {
  Value value = *c.in(0).value;
  const std::string& type = c.node().type;
  const auto real = [&](double (*operation)(double)) -> std::optional<Value> {
    if (!value.is_real) return std::nullopt;
    for (double& element : value.reals) element = operation(element);
    return value;
  };
  if (type == "Floor") return real([](double x) { return std::floor(x); });
  if (type == "Ceil") return real([](double x) { return std::ceil(x); });
  if (type == "Round") return real([](double x) { return std::nearbyint(x); });
  if (type == "Sqrt") return real([](double x) { return std::sqrt(x); });
  for (double& element : value.reals) element = type == "Neg" ? -element : std::fabs(element);
  for (std::int64_t& element : value.integers) {
    if (type == "Not") {
      element = element == 0;
    } else if (element == std::numeric_limits<std::int64_t>::min()) {
      return std::nullopt;
    } else if (type == "Neg" || element < 0) {
      element = -element;
    }
  }
  return value;
}

std::optional<Value> fold_cast(const NodeContext& c) {
  const Value& value = *c.in(0).value;
  const ElementType to = c.outputs()[0].type;
  Value result;
  if (to == ElementType::kFloat) {
    result.is_real = true;
    result.reals = as_reals(value);
    return result;
  }
  for (Index i = 0; i < value.size(); ++i) {
    if (value.is_real && !(std::fabs(value.reals[i]) < 9e18)) return std::nullopt;
    const std::int64_t element =
        value.is_real ? static_cast<std::int64_t>(value.reals[i]) : value.integers[i];
    const bool truth = value.is_real ? value.reals[i] != 0 : element != 0;
    result.integers.push_back(to == ElementType::kBool ? std::int64_t{truth} : element);
  }
  return result;
}

std::optional<Value> fold_gather(const NodeContext& c, const Shape& output) {
  const Shape& data = c.shape(0);
  const auto axis = c.axis(c.integer("axis", 0), data.size());
  if (!axis || c.in(1).value->is_real) return std::nullopt;
  const std::vector<Index> strides = strides_of(data);
  const std::vector<Index> index_strides = strides_of(c.shape(1));
  const Index index_rank = c.shape(1).size();
  const IndexMap map = map_elements(output, [&](const std::vector<Index>& at) {
    Index index_at = 0;
    for (Index d = 0; d < index_rank; ++d) index_at += at[*axis + d] * index_strides[d];
    std::int64_t index = c.in(1).value->integers[index_at];
    if (index < 0) index += data[*axis];
    Index element = static_cast<Index>(index) * strides[*axis];
    for (Index d = 0; d < *axis; ++d) element += at[d] * strides[d];
    for (Index d = *axis + 1; d < data.size(); ++d) {
      element += at[d - 1 + index_rank] * strides[d];
    }
    return element;
  });
  return pick(*c.in(0).value, map);
}

std::optional<Value> fold_slice(const NodeContext& c, const Shape& output) {
  const auto axes = slice_axes(c);
  if (!axes) return std::nullopt;
  const std::vector<Index> strides = strides_of(c.shape(0));
  std::vector<SliceAxis> bounds(output.size());
  for (const SliceAxis& slice : *axes) {
    if (slice.count != output[slice.axis]) return std::nullopt;  // rewritten for another batch
    bounds[slice.axis] = slice;
  }
  return pick(*c.in(0).value, map_elements(output, [&](const std::vector<Index>& at) {
    Index element = 0;
    for (Index d = 0; d < output.size(); ++d) {
      const std::int64_t from = bounds[d].start + static_cast<std::int64_t>(at[d]) * bounds[d].step;
      element += static_cast<Index>(from) * strides[d];
    }
    return element;
  }));
}

std::optional<Value> fold_concat(const NodeContext& c, const Shape& output) {
  const auto axis = c.axis(c.integer("axis", 1), output.size());
  if (!axis) return std::nullopt;
  Value all;
  all.is_real = c.in(0).value->is_real;
  std::vector<Index> starts;
  for (std::size_t slot = 0; slot < c.input_count(); ++slot) {
    const Value& value = *c.in(slot).value;
    if (value.is_real != all.is_real) return std::nullopt;
    starts.push_back(all.size());
    all.integers.insert(all.integers.end(), value.integers.begin(), value.integers.end());
    all.reals.insert(all.reals.end(), value.reals.begin(), value.reals.end());
  }
  return pick(all, map_elements(output, [&](const std::vector<Index>& at) {
                std::size_t slot = 0;
                auto along = static_cast<std::int64_t>(at[*axis]);
                while (along >= c.shape(slot)[*axis]) along -= c.shape(slot++)[*axis];
                const std::vector<Index> strides = strides_of(c.shape(slot));
                Index element = starts[slot];
                for (Index d = 0; d < output.size(); ++d) {
                  element += (d == *axis ? static_cast<Index>(along) : at[d]) * strides[d];
                }
                return element;
              }));
}

std::optional<Value> fold_transpose(const NodeContext& c, const Shape& output) {
  std::vector<std::int64_t> order = c.integers("perm");
  if (order.empty()) {
    for (Index d = output.size(); d > 0; --d) order.push_back(static_cast<std::int64_t>(d) - 1);
  }
  const std::vector<Index> strides = strides_of(c.shape(0));
  return pick(*c.in(0).value, map_elements(output, [&](const std::vector<Index>& at) {
    Index element = 0;
    for (Index d = 0; d < output.size(); ++d) {
      const std::int64_t from =
          order[d] < 0 ? order[d] + static_cast<std::int64_t>(output.size()) : order[d];
      element += at[d] * strides[static_cast<Index>(from)];
    }
    return element;
  }));
}

std::optional<Value> fold_where(const NodeContext& c, const Shape& output) {
  const std::optional<Value> condition = broadcast_value(c.in(0), output);
  const std::optional<Value> yes = broadcast_value(c.in(1), output);
  const std::optional<Value> no = broadcast_value(c.in(2), output);
  if (!condition || !yes || !no) return std::nullopt;
  if (condition->is_real || yes->is_real || no->is_real) return std::nullopt;
  Value result;
  for (Index i = 0; i < condition->integers.size(); ++i) {
    result.integers.push_back(condition->integers[i] != 0 ? yes->integers[i] : no->integers[i]);
  }
  return result;
}

// Reductions of whole integer tensors: what "number of elements" becomes.
std::optional<Value> fold_reduction(const NodeContext& c, const Shape& output) {
  const Value& value = *c.in(0).value;
  if (value.is_real || value.integers.empty() || count_of(output) != 1) return std::nullopt;
  const std::string& type = c.node().type;
  std::int64_t result = value.integers.front();
  for (Index i = 1; i < value.integers.size(); ++i) {
    const std::int64_t element = value.integers[i];
    const bool overflow = type == "ReduceProd"  ? __builtin_mul_overflow(result, element, &result)
                          : type == "ReduceSum" ? __builtin_add_overflow(result, element, &result)
                                                : false;
    if (overflow) return std::nullopt;
    if (type == "ReduceMax") result = std::max(result, element);
    if (type == "ReduceMin") result = std::min(result, element);
  }
  return Value{.is_real = false, .integers = {result}, .reals = {}};
}

std::optional<Value> constant_value(const WireNode& node) {
  if (const auto tensor = node.tensors.find("value"); tensor != node.tensors.end()) {
    return tensor->second.value;
  }
  Value value;
  for (const auto& [name, attribute] : node.attributes) {
    if (const auto* integer = std::get_if<std::int64_t>(&attribute);
        integer && name == "value_int") {
      value.integers = {*integer};
    } else if (const auto* real = std::get_if<double>(&attribute); real && name == "value_float") {
      value.is_real = true;
      value.reals = {*real};
    } else if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&attribute);
               integers && name == "value_ints") {
      value.integers = *integers;
    }
  }
  if (const auto reals = node.reals.find("value_floats"); reals != node.reals.end()) {
    value.is_real = true;
    value.reals = reals->second;
  }
  return value;
}

std::optional<Value> fold_range(const NodeContext& c, Index count) {
  const Value& start = *c.in(0).value;
  const Value& step = *c.in(2).value;
  if (start.is_real || step.is_real) return std::nullopt;
  Value value;
  for (Index i = 0; i < count; ++i) {
    std::int64_t offset = 0;
    std::int64_t element = 0;
    if (__builtin_mul_overflow(static_cast<std::int64_t>(i), step.integers.front(), &offset) ||
        __builtin_add_overflow(start.integers.front(), offset, &element)) {
      return std::nullopt;
    }
    value.integers.push_back(element);
  }
  return value;
}

// What needs no value of an input: Shape works on activations as well.
std::optional<Value> fold_source(const NodeContext& c, Index count) {
  const std::string& type = c.node().type;
  if (type == "Constant") return constant_value(c.node());
  if (type == "Size") {
    return Value{.is_real = false, .integers = {saturating_elements(c.shape(0))}, .reals = {}};
  }
  if (type == "Shape") {
    const Shape& shape = c.shape(0);
    const auto rank = static_cast<std::int64_t>(shape.size());
    std::int64_t start = c.integer("start", 0);
    start = std::clamp(start < 0 ? start + rank : start, std::int64_t{0}, rank);
    Value value;
    for (Index i = 0; i < count; ++i) {
      value.integers.push_back(shape[static_cast<Index>(start) + i]);
    }
    return value;
  }
  if (type != "ConstantOfShape") return std::nullopt;
  const auto given = c.node().tensors.find("value");
  Value value;
  if (given == c.node().tensors.end()) {
    value.is_real = true;
    value.reals.assign(count, 0.0);
    return value;
  }
  if (!given->second.value || given->second.value->size() != 1) return std::nullopt;
  return pick(*given->second.value, IndexMap(count, 0));
}

bool is_one_of(const std::string& type, std::initializer_list<std::string_view> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

}  // namespace

std::optional<Value> fold(const NodeContext& c, std::size_t output) {
  const Shape& shape = c.outputs()[output].shape;
  const std::string& type = c.node().type;
  const Index count = count_of(shape);
  if (is_one_of(type, {"Constant", "Size", "Shape", "ConstantOfShape"})) {
    std::optional<Value> value = fold_source(c, count);
    return value && value->size() == count ? value : std::nullopt;
  }
  for (std::size_t slot = 0; slot < c.input_count(); ++slot) {
    if (c.has(slot) && !c.in(slot).value) return std::nullopt;
  }
  if (output != 0 || c.input_count() == 0 || !c.has(0)) return std::nullopt;
  // Its result has the type of its base.
  if (type == "Pow" && !c.in(0).value->is_real) return std::nullopt;
  const auto arithmetic =
      std::find_if(kArithmetic.begin(), kArithmetic.end(),
                   [&](const Arithmetic& candidate) { return candidate.type == type; });
  if (arithmetic != kArithmetic.end()) return fold_arithmetic(c, *arithmetic, shape);
  if (is_one_of(type, {"Floor", "Ceil", "Round", "Sqrt", "Neg", "Abs", "Not"}))
    return fold_unary(c);
  if (is_one_of(type, {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"})) {
    return c.in(0).value->size() == count ? c.in(0).value : std::nullopt;
  }
  if (is_one_of(type, {"ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin"})) {
    return fold_reduction(c, shape);
  }
  if (type == "Cast") return fold_cast(c);
  if (type == "Gather") return fold_gather(c, shape);
  if (type == "Slice") return fold_slice(c, shape);
  if (type == "Concat") return fold_concat(c, shape);
  if (type == "Transpose") return fold_transpose(c, shape);
  if (type == "Where") return fold_where(c, shape);
  if (type == "Range") return fold_range(c, count);
  if (type == "Expand") {
    return pick(*c.in(0).value,
                is_uniform(c.in(0)) ? IndexMap(count, 0) : broadcast_map(c.shape(0), shape));
  }
  return std::nullopt;
}

}  // namespace penstock::model::internal
