#include "penstock/train/worker/initial_weights.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "penstock/core/random.h"

namespace penstock::train {
namespace {

using model::Graph;
using model::Operator;
using model::Shape;

// GPT-2's and BERT's standard deviation of look-up tables, as the bound of a uniform distribution.
const double kTableBound = 0.02 * std::sqrt(3.0);

struct Start {
  double bound = 0;     // uniform within [-bound, bound], where positive
  double constant = 0;  // else this
};

// Variance gain / fan_in / 3: a gain of 6 keeps the variance behind a ReLU.
Start scaled(double gain, std::int64_t fan_in) {
  return {.bound = std::sqrt(gain / static_cast<double>(std::max<std::int64_t>(fan_in, 1)))};
}

std::int64_t product_from(const Shape& shape, std::size_t first) {
  return model::elements(Shape(shape.begin() + static_cast<std::ptrdiff_t>(first), shape.end()));
}

Start start_of_product(const Operator& op, std::size_t slot, const Shape& shape) {
  if (op.type == "Gemm") {
    const bool is_transposed = op.integer(slot == 0 ? "transA" : "transB", 0) != 0;
    return scaled(1, shape[(slot == 0) != is_transposed ? shape.size() - 1 : 0]);
  }
  if (shape.size() < 2) return scaled(1, shape.empty() ? 1 : shape[0]);
  return scaled(1, shape[slot == 0 ? shape.size() - 1 : shape.size() - 2]);
}

bool is_norm(const std::string& type) {
  return type == "BatchNormalization" || type == "LayerNormalization" ||
         type == "InstanceNormalization" || type == "GroupNormalization";
}

Start start_of(const Operator& op, std::size_t slot, const Shape& shape) {
  if (is_norm(op.type)) return {.constant = slot == 1 || slot == 4 ? 1.0 : 0.0};
  if (op.type == "Conv" && slot == 1) return scaled(6, product_from(shape, 1));
  const bool is_matrix = op.type == "MatMul" || (op.type == "Gemm" && slot < 2);
  if (is_matrix) return start_of_product(op, slot, shape);
  if (op.type == "LSTM" && (slot == 1 || slot == 2)) {
    const std::int64_t hidden = std::max<std::int64_t>(op.integer("hidden_size", 1), 1);
    return {.bound = 1.0 / std::sqrt(static_cast<double>(hidden))};
  }
  if (op.type == "Gather" && slot == 0) return {.bound = kTableBound};
  if (op.type == "Mul" || op.type == "Div" || op.type == "Pow") return {.constant = 1.0};
  if (op.type == "PRelu") return {.constant = 0.25};
  // An offset of one dimension is a bias; with more it tells positions apart.
  if (op.type == "Add" && product_from(shape, 0) > (shape.empty() ? 1 : shape.back())) {
    return {.bound = kTableBound};
  }
  return {};
}

}  // namespace

void initial_values(const Graph& graph, int tensor, std::uint64_t seed, std::span<float> values) {
  const model::Tensor& made = graph.tensors[static_cast<std::size_t>(tensor)];
  Start start;
  if (!made.consumers.empty()) {
    const Operator& user = graph.operators[static_cast<std::size_t>(made.consumers.front())];
    const auto slot = std::find(user.inputs.begin(), user.inputs.end(), tensor);
    start = start_of(user, static_cast<std::size_t>(slot - user.inputs.begin()), made.shape);
  }
  if (start.bound <= 0) {
    std::fill(values.begin(), values.end(), static_cast<float>(start.constant));
    return;
  }
  core::RandomStream random(seed, made.name);
  for (float& value : values) {
    value = static_cast<float>(start.bound * (2.0 * random.uniform() - 1.0));
  }
}

}  // namespace penstock::train
