// Operators that keep every element and change how they are counted.
#include <algorithm>

#include "penstock/model/internal/rules.h"

namespace penstock::model::internal {
namespace {

std::int64_t product(const Shape& shape, std::size_t begin) {
  return saturating_elements(
      Shape(shape.begin() + static_cast<std::ptrdiff_t>(begin), shape.end()));
}

// The shape that `target` asks of `input`, or empty where the element counts do not allow it.
std::optional<Shape> literal_shape(const Shape& input, const std::vector<std::int64_t>& target,
                                   bool allow_zero) {
  Shape shape = target;
  std::int64_t fixed = 1;
  std::optional<std::size_t> free;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0 && !allow_zero) {
      if (d >= input.size()) return std::nullopt;
      shape[d] = input[d];
    }
    if (shape[d] == -1) {
      if (free) return std::nullopt;
      free = d;
    } else if (shape[d] < 0) {
      return std::nullopt;
    } else {
      fixed = saturating_multiply(fixed, shape[d]);
    }
  }
  const std::int64_t count = saturating_elements(input);
  if (free) {
    if (fixed == 0 || count % fixed != 0) return std::nullopt;
    shape[*free] = count / fixed;
  } else if (fixed != count) {
    return std::nullopt;
  }
  return shape;
}

struct Candidate {
  std::size_t dimension = 0;
  std::int64_t inner = 1;  // elements of the dimension within one item
  bool is_exact = false;   // the dimension is the batch and nothing else
  bool is_outermost = false;
};

// Where the batch can be in `output`, given where it is in `input` (both of the first pass). In
// memory the batch repeats with the period `stride`; a dimension can carry it if the period is a
// whole number of its own strides and all `batch` periods fall within it. With a batch above 1 at
// most one dimension qualifies.
std::vector<Candidate> candidates(const Shape& input, std::size_t carrier, std::int64_t inner,
                                  const Shape& output, std::int64_t batch) {
  std::vector<Candidate> found;
  const std::int64_t stride = saturating_multiply(inner, product(input, carrier + 1));
  const std::int64_t span = saturating_multiply(stride, batch);
  for (std::size_t d = 0; d < output.size(); ++d) {
    const std::int64_t own = product(output, d + 1);
    const std::int64_t own_span = saturating_multiply(own, output[d]);
    if (own == 0 || stride == 0 || stride % own != 0 || own_span % span != 0) continue;
    found.push_back({d, stride / own, own == stride && output[d] == batch, own_span == span});
  }
  return found;
}

// Best first: see the comment on Preference; the last dimension is features, so it comes last.
void rank(std::vector<Candidate>& found, std::size_t rank, Preference preference) {
  const auto worth = [&](const Candidate& candidate) {
    if (candidate.is_exact) return 0;
    const int last = candidate.dimension + 1 == rank ? 2 : 0;
    const bool outer = candidate.is_outermost;
    return 1 + last + (outer == (preference == Preference::kOuter) ? 0 : 1);
  };
  std::stable_sort(found.begin(), found.end(),
                   [&](const Candidate& a, const Candidate& b) { return worth(a) < worth(b); });
}

std::vector<Candidate> candidates_of(const NodeContext& c) {
  const TensorState& before = c.base_in(0);
  return candidates(before.shape, static_cast<std::size_t>(c.in(0).carrier), c.in(0).inner,
                    c.base_out(0).shape, c.change()->from);
}

bool carries_batch(const NodeContext& c) {
  return c.change() != nullptr && c.in(0).carrier >= 0 && c.has_base_out(0);
}

// Settles where the batch is within the output of an operator whose shape needs no rewriting.
void follow(NodeContext& c, const Shape& output) {
  if (!carries_batch(c)) return;
  const Shape& before = c.base_out(0).shape;
  for (const Candidate& candidate : candidates_of(c)) {
    if (output[candidate.dimension] != before[candidate.dimension]) c.set_inner(candidate.inner);
  }
}

// A Reshape of data that carries the batch: the target as it is where it puts the batch in a
// possible place, else the target with the pinned batch rewritten.
Result<Shape> rebatched_shape(NodeContext& c, const std::vector<std::int64_t>& target,
                              const std::optional<Shape>& literal) {
  const Shape& before = c.base_out(0).shape;
  const BatchChange& change = *c.change();
  std::vector<Candidate> found = candidates_of(c);
  rank(found, before.size(), change.preference);
  if (found.empty()) {
    return c.error_rebatch("its target " + shape_text(target) +
                           " mixes the batch with other dimensions");
  }
  Candidate chosen = found.front();
  if (literal && literal->size() == before.size()) {
    for (const Candidate& candidate : found) {
      if (chosen.is_exact && !candidate.is_exact) break;
      if ((*literal)[candidate.dimension] == before[candidate.dimension]) continue;
      chosen = candidate;
      break;
    }
  }
  Shape shape = before;
  shape[chosen.dimension] = saturating_multiply(shape[chosen.dimension] / change.from, change.to);
  c.set_inner(chosen.inner);
  return shape;
}

}  // namespace

Status reshape_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  std::vector<std::int64_t> target = c.integers("shape");  // before opset 5
  if (!c.has_attribute("shape")) {
    PENSTOCK_TRY_STATUS(c.require(2));
    PENSTOCK_TRY(target, c.constant(1));
  }
  const std::optional<Shape> literal =
      literal_shape(c.shape(0), target, c.integer("allowzero", 0) != 0);
  if (carries_batch(c)) {
    PENSTOCK_TRY(Shape shape, rebatched_shape(c, target, literal));
    c.set(0, std::move(shape), c.in(0).type);
    return {};
  }
  if (!literal) {
    return c.error("cannot reshape " + shape_text(c.shape(0)) + " to " + shape_text(target));
  }
  c.set(0, *literal, c.in(0).type);
  return {};
}

Status flatten_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  const Shape& shape = c.shape(0);
  const auto rank = static_cast<std::int64_t>(shape.size());
  std::int64_t axis = c.integer("axis", 1);
  if (axis < -rank || axis > rank) return c.error("\"axis\" is " + std::to_string(axis));
  if (axis < 0) axis += rank;
  const auto split = shape.begin() + static_cast<std::ptrdiff_t>(axis);
  const Shape output{saturating_elements(Shape(shape.begin(), split)),
                     saturating_elements(Shape(split, shape.end()))};
  follow(c, output);
  c.set(0, output, c.in(0).type);
  return {};
}

Status squeeze_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  const Shape& shape = c.shape(0);
  PENSTOCK_TRY(const std::vector<std::int64_t> axes, c.attribute_or_input("axes", 1));
  std::vector<bool> gone(shape.size(), false);
  for (const std::int64_t given : axes) {
    PENSTOCK_TRY(const std::size_t axis, c.axis(given, shape.size()));
    if (shape[axis] != 1) {
      if (c.change() != nullptr && c.in(0).carrier == static_cast<int>(axis)) {
        return c.error_rebatch("it removes the batch dimension");
      }
      return c.error("cannot remove dimension " + std::to_string(axis) + " of " +
                     shape_text(shape));
    }
    gone[axis] = true;
  }
  if (axes.empty()) {  // every dimension of 1; the batch is none once it has changed
    for (std::size_t d = 0; d < shape.size(); ++d) gone[d] = shape[d] == 1;
  }
  Shape output;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (!gone[d]) output.push_back(shape[d]);
  }
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status unsqueeze_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  PENSTOCK_TRY(const std::vector<std::int64_t> axes, c.attribute_or_input("axes", 1));
  const std::size_t rank = c.shape(0).size() + axes.size();
  if (rank > kMaxRank) return c.error("the result has " + std::to_string(rank) + " dimensions");
  std::vector<bool> is_new(rank, false);
  for (const std::int64_t given : axes) {
    PENSTOCK_TRY(const std::size_t axis, c.axis(given, rank));
    if (is_new[axis]) return c.error("\"axes\" names dimension " + std::to_string(axis) + " twice");
    is_new[axis] = true;
  }
  Shape output;
  std::size_t next = 0;
  for (std::size_t d = 0; d < rank; ++d) output.push_back(is_new[d] ? 1 : c.shape(0)[next++]);
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status transpose_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  const Shape& shape = c.shape(0);
  std::vector<std::int64_t> order = c.integers("perm");
  if (order.empty()) {
    for (std::size_t d = shape.size(); d > 0; --d)
      order.push_back(static_cast<std::int64_t>(d) - 1);
  }
  std::vector<bool> used(shape.size(), false);
  Shape output;
  for (const std::int64_t given : order) {
    PENSTOCK_TRY(const std::size_t axis, c.axis(given, shape.size()));
    if (used[axis]) return c.error("\"perm\" names dimension " + std::to_string(axis) + " twice");
    used[axis] = true;
    output.push_back(shape[axis]);
  }
  if (output.size() != shape.size()) {
    return c.error("\"perm\" has " + std::to_string(order.size()) + " entries for " +
                   shape_text(shape));
  }
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

Status depth_to_space_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(1));
  Shape shape = c.shape(0);
  const std::int64_t block = c.integer("blocksize", 0);
  if (shape.size() != 4 || block < 1 || block > (1 << 20)) {
    return c.error("cannot move blocks of " + std::to_string(block) + " in " + shape_text(shape));
  }
  const bool to_space = c.node().type == "DepthToSpace";
  const bool fits =
      to_space ? shape[1] % (block * block) == 0 : shape[2] % block == 0 && shape[3] % block == 0;
  if (!fits)
    return c.error("blocks of " + std::to_string(block) + " do not fit " + shape_text(shape));
  if (to_space) {
    shape = {shape[0], shape[1] / (block * block), saturating_multiply(shape[2], block),
             saturating_multiply(shape[3], block)};
  } else {
    shape = {shape[0], saturating_multiply(shape[1], block * block), shape[2] / block,
             shape[3] / block};
  }
  c.set(0, std::move(shape), c.in(0).type);
  return {};
}

}  // namespace penstock::model::internal
