#include "penstock/partition/internal/verify_moves.h"

#include <algorithm>
#include <numeric>

#include "penstock/core/check.h"
#include "penstock/partition/internal/verify_products.h"

namespace penstock::partition::internal {
namespace {

using Visit = std::vector<std::pair<std::size_t, std::size_t>>;  // result offset, input offset

// Every operator here copies elements: the pairs for one of its inputs.
Visit same_order(const Array& input) {
  Visit pairs;
  for (std::size_t i = 0; i < input.values.size(); ++i) pairs.emplace_back(i, i);
  return pairs;
}

// Pairs of offsets where result and input positions agree; `source` maps a position along an axis
// of the result to one of the input.
template <typename Source>
Visit by_axes(const Frame& result, const Frame& input, const Source& source) {
  std::vector<Indices> places;
  for (std::size_t i = 0; i < result.size(); ++i) {
    Indices along;
    for (const std::int64_t index : result[i]) {
      const std::int64_t wanted = source(i, index);
      const auto found = std::lower_bound(input[i].begin(), input[i].end(), wanted);
      along.push_back(found != input[i].end() && *found == wanted ? found - input[i].begin() : -1);
    }
    places.push_back(std::move(along));
  }
  Visit pairs;
  const std::int64_t total = frame_elements(result);
  std::vector<std::size_t> index(result.size(), 0);
  for (std::int64_t offset = 0; offset < total; ++offset) {
    std::int64_t from = 0;
    for (std::size_t i = 0; i < result.size() && from >= 0; ++i) {
      const std::int64_t place = places[i][index[i]];
      from = place < 0 ? -1 : from * static_cast<std::int64_t>(input[i].size()) + place;
    }
    if (from >= 0)
      pairs.emplace_back(static_cast<std::size_t>(offset), static_cast<std::size_t>(from));
    for (std::size_t i = result.size(); i-- > 0;) {
      if (++index[i] < result[i].size()) break;
      index[i] = 0;
    }
  }
  return pairs;
}

Visit transpose(const Invocation& call) {
  const std::size_t rank = call.frames[0].size();
  std::vector<std::int64_t> order(rank);
  std::iota(order.rbegin(), order.rend(), 0);
  order = call.op->integers("perm", order);
  const model::Shape& x = call.inputs[0]->shape;
  std::vector<std::int64_t> strides(rank, 1);
  for (std::size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * x[i];
  const Array y = zeros(call.result);
  Visit pairs;
  std::vector<std::int64_t> index(rank, 0);
  std::int64_t from = 0;
  for (std::size_t to = 0; to < y.values.size(); ++to) {
    pairs.emplace_back(to, static_cast<std::size_t>(from));
    for (std::size_t i = rank; i-- > 0;) {
      const auto axis = static_cast<std::size_t>(order[i]);
      from += strides[axis];
      if (++index[i] < y.shape[i]) break;
      from -= strides[axis] * y.shape[i];
      index[i] = 0;
    }
  }
  return pairs;
}

Visit concat(const Invocation& call, std::size_t operand) {
  const std::size_t axis = call.axis(call.op->integer("axis", 1), call.result.size());
  std::int64_t start = 0;
  for (std::size_t i = 0; i < operand; ++i) start += call.whole_shape(call.op->inputs[i])[axis];
  return by_axes(call.result, call.frames[operand], [&](std::size_t i, std::int64_t index) {
    return i == axis ? index - start : index;
  });
}

Visit slice(const Invocation& call) {
  const std::size_t rank = call.result.size();
  std::vector<std::int64_t> start(rank, 0);
  if (call.op->type == "Split") {
    const std::size_t axis = call.axis(call.op->integer("axis", 0), rank);
    for (int i = 0; i < call.output; ++i) {
      start[axis] += call.whole_shape(call.op->outputs[static_cast<std::size_t>(i)])[axis];
    }
  } else {
    const std::vector<std::int64_t> starts = call.listed("starts", 1);
    std::vector<std::int64_t> axes = call.listed("axes", 3);
    if (axes.empty()) axes = counted(static_cast<std::int64_t>(starts.size()));
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const std::size_t axis = call.axis(axes[i], rank);
      const std::int64_t size = call.whole_shape(call.op->inputs[0])[axis];
      start[axis] = std::min(starts[i] < 0 ? starts[i] + size : starts[i], size);
    }
  }
  return by_axes(call.result, call.frames[0],
                 [&](std::size_t i, std::int64_t index) { return index + start[i]; });
}

Visit expand(const Invocation& call) {
  Visit pairs;
  broadcast(zeros(call.result).shape, call.inputs[0]->shape,
            [&](std::size_t to, std::size_t from) { pairs.emplace_back(to, from); });
  return pairs;
}

// Items along one axis by number: rows of an embedding table, or one of several parts of a tensor.
Visit gather(const Invocation& call) {
  const Array& table = *call.inputs[0];
  const std::size_t axis = call.axis(call.op->integer("axis", 0), table.shape.size());
  std::vector<std::int64_t> numbers;
  if (call.inputs[1] != nullptr) {
    for (const double v : call.inputs[1]->values) numbers.push_back(static_cast<std::int64_t>(v));
  } else {
    const int indices = call.op->inputs[1];
    numbers = call.graph->tensors[static_cast<std::size_t>(indices)].value;
    numbers.resize(static_cast<std::size_t>(model::elements(call.whole_shape(indices))), 0);
  }
  std::int64_t outer = 1;
  std::int64_t inner = 1;
  for (std::size_t i = 0; i < axis; ++i) outer *= table.shape[i];
  for (std::size_t i = axis + 1; i < table.shape.size(); ++i) inner *= table.shape[i];
  const std::int64_t size = table.shape[axis];
  Visit pairs;
  std::size_t to = 0;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const std::int64_t number : numbers) {
      const std::int64_t row = number < 0 ? number + size : number;
      for (std::int64_t i = 0; i < inner; ++i, ++to) {
        pairs.emplace_back(to, static_cast<std::size_t>((o * size + row) * inner + i));
      }
    }
  }
  return pairs;
}

Visit pairs_of(const Invocation& call, std::size_t operand) {
  const std::string& type = call.op->type;
  if (type == "Transpose") return transpose(call);
  if (type == "Concat") return concat(call, operand);
  if (type == "Slice" || type == "Split") return slice(call);
  if (type == "Expand") return expand(call);
  if (type == "Gather") return gather(call);
  return same_order(*call.inputs[0]);
}

std::size_t operands(const Invocation& call) {
  return call.op->type == "Concat" ? call.inputs.size() : 1;
}

}  // namespace

bool moves_elements(const std::string& type) {
  constexpr std::string_view kTypes[] = {"Transpose", "Concat",  "Slice",   "Split",   "Expand",
                                         "Gather",    "Reshape", "Flatten", "Squeeze", "Unsqueeze",
                                         "Identity",  "Dropout", "Cast"};
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

Array move_forward(const Invocation& call) {
  Array y = zeros(call.result);
  for (std::size_t k = 0; k < operands(call); ++k) {
    for (const auto& [to, from] : pairs_of(call, k)) {
      y.values[to] = call.inputs[k]->values[from];
    }
  }
  return y;
}

std::vector<Array> move_back(const Invocation& call, const Array& gradient,
                             const std::vector<bool>& wanted) {
  std::vector<Array> result(call.inputs.size());
  for (std::size_t k = 0; k < operands(call); ++k) {
    if (!wanted[k]) continue;
    result[k] = zeros(call.frames[k]);
    for (const auto& [from, to] : pairs_of(call, k)) {
      result[k].values[to] += gradient.values[from];
    }
  }
  return result;
}

}  // namespace penstock::partition::internal
