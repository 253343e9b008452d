#include "penstock/partition/internal/verify_einsum.h"

#include <algorithm>
#include <map>
#include <set>

#include "penstock/core/check.h"
#include "penstock/partition/internal/lowering_rules.h"

namespace penstock::partition::internal {
namespace {

// All letters, those of the result first; and how far each moves in every operand and the result.
struct Walk {
  std::vector<std::int64_t> sizes;
  std::vector<std::vector<std::int64_t>> strides;  // by tensor, the result last; then by letter
};

Walk walk_of(const Invocation& call) {
  const Equation equation = *equation_of(*call.op);
  std::vector<std::string> labels = equation.operands;
  labels.push_back(equation.result);
  std::vector<model::Shape> shapes;
  for (const Array* input : call.inputs) shapes.push_back(input->shape);
  shapes.emplace_back();
  for (const Indices& positions : call.result)
    shapes.back().push_back(static_cast<std::int64_t>(positions.size()));
  std::string letters = equation.result;
  std::map<char, std::int64_t> size;
  for (std::size_t k = 0; k < labels.size(); ++k) {
    for (std::size_t i = 0; i < labels[k].size(); ++i) {
      const char letter = labels[k][i];
      if (letters.find(letter) == std::string::npos) letters += letter;
      // An axis of 1 is repeated.
      std::int64_t& known = size.try_emplace(letter, 1).first->second;
      PENSTOCK_CHECK((known == 1 || shapes[k][i] == 1 || known == shapes[k][i]));
      if (shapes[k][i] != 1) known = shapes[k][i];
    }
  }
  Walk walk;
  for (const char letter : letters) walk.sizes.push_back(size.at(letter));
  for (std::size_t k = 0; k < labels.size(); ++k) {
    std::vector<std::int64_t> strides(letters.size(), 0);
    std::int64_t stride = 1;
    for (std::size_t i = labels[k].size(); i-- > 0;) {
      if (shapes[k][i] != 1) strides[letters.find(labels[k][i])] = stride;
      stride *= shapes[k][i];
    }
    walk.strides.push_back(std::move(strides));
  }
  return walk;
}

// Calls move(offsets) for each term, with its offset in every operand and the result.
template <typename Move>
void each_term(const Walk& walk, const Move& move) {
  const std::size_t rank = walk.sizes.size();
  if (std::count(walk.sizes.begin(), walk.sizes.end(), 0) > 0) return;
  std::vector<std::int64_t> index(rank, 0);
  std::vector<std::size_t> offsets(walk.strides.size(), 0);
  for (bool more = true; more;) {
    move(offsets);
    more = false;
    for (std::size_t i = rank; i-- > 0 && !more;) {
      more = ++index[i] < walk.sizes[i];
      const std::int64_t steps = more ? 1 : 1 - walk.sizes[i];
      for (std::size_t k = 0; k < offsets.size(); ++k)
        offsets[k] += static_cast<std::size_t>(steps * walk.strides[k][i]);
      if (!more) index[i] = 0;
    }
  }
}

// The product of all operands but one.
double product_without(const Invocation& call, const std::vector<std::size_t>& offsets,
                       std::size_t left_out) {
  double product = 1;
  for (std::size_t k = 0; k < call.inputs.size(); ++k)
    if (k != left_out) product *= call.inputs[k]->values[offsets[k]];
  return product;
}

}  // namespace

bool sums_products(const model::Graph& graph, const model::Operator& op) {
  const std::optional<Equation> equation = equation_of(op);
  if (!equation) return false;
  for (std::size_t k = 0; k < equation->operands.size(); ++k) {
    const std::string& labels = equation->operands[k];
    const std::set<char> letters(labels.begin(), labels.end());
    if (op.inputs[k] < 0 || letters.size() != labels.size()) return false;
    if (graph.tensors[static_cast<std::size_t>(op.inputs[k])].shape.size() != labels.size())
      return false;
  }
  return true;
}

Array einsum(const Invocation& call) {
  Array y = zeros(call.result);
  const std::size_t none = call.inputs.size();
  each_term(walk_of(call), [&](const std::vector<std::size_t>& offsets) {
    y.values[offsets.back()] += product_without(call, offsets, none);
  });
  return y;
}

std::vector<Array> einsum_back(const Invocation& call, const Array& gradient,
                               const std::vector<bool>& wanted) {
  const Walk walk = walk_of(call);
  std::vector<Array> result(call.inputs.size());
  for (std::size_t k = 0; k < result.size(); ++k) {
    if (!wanted[k]) continue;
    result[k] = zeros(call.frames[k]);
    each_term(walk, [&](const std::vector<std::size_t>& offsets) {
      result[k].values[offsets[k]] +=
          product_without(call, offsets, k) * gradient.values[offsets.back()];
    });
  }
  return result;
}

Frame einsum_frame(const model::Graph& graph, const model::Operator& op, std::size_t input,
                   const Frame& result) {
  const Equation equation = *equation_of(op);
  const model::Shape& shape = graph.tensors[static_cast<std::size_t>(op.inputs[input])].shape;
  const model::Shape& whole = graph.tensors[static_cast<std::size_t>(op.outputs[0])].shape;
  Frame frame = whole_frame(shape);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::size_t to = equation.result.find(equation.operands[input][i]);
    if (to != std::string::npos && shape[i] == whole[to]) frame[i] = result[to];
  }
  return frame;
}

}  // namespace penstock::partition::internal
