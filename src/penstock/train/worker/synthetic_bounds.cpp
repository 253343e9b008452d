#include "penstock/train/worker/synthetic_bounds.h"

#include <algorithm>
#include <limits>
#include <map>

namespace penstock::train {
namespace {

using model::Graph;
using model::Operator;

constexpr std::int64_t kUnbounded = std::numeric_limits<std::int64_t>::max();

std::size_t at_index(int index) { return static_cast<std::size_t>(index); }

class Bounds {
 public:
  explicit Bounds(const Graph& graph) : graph_(graph) {}

  std::int64_t of(int tensor) {
    const auto known = bounds_.find(tensor);
    if (known != bounds_.end()) return known->second;
    std::int64_t bound = kUnbounded;
    for (const int user : graph_.tensors[at_index(tensor)].consumers) {
      const Operator& op = graph_.operators[at_index(user)];
      for (std::size_t slot = 0; slot < op.inputs.size(); ++slot) {
        if (op.inputs[slot] == tensor) bound = std::min(bound, through(op, slot));
      }
    }
    return bounds_[tensor] = bound;
  }

 private:
  std::int64_t through(const Operator& op, std::size_t slot) {
    if ((op.type == "Gather" || op.type == "GatherElements") && slot == 1) {
      const model::Shape& data = graph_.tensors[at_index(op.inputs[0])].shape;
      const std::int64_t axis = op.integer("axis", 0);
      return data[at_index(static_cast<int>(axis < 0 ? axis + std::ssize(data) : axis))];
    }
    if (op.outputs.empty() || op.outputs[0] < 0) return kUnbounded;
    if (graph_.tensors[at_index(op.outputs[0])].type != model::ElementType::kInteger) {
      return kUnbounded;
    }
    const std::int64_t bound = of(op.outputs[0]);
    if (bound == kUnbounded) return bound;
    if (op.type == "Add") return std::max<std::int64_t>(bound / 2, 1);
    if (op.type == "Mul" && op.inputs.size() == 2) {
      const std::vector<std::int64_t>& factors =
          graph_.tensors[at_index(op.inputs[1 - slot])].value;
      std::int64_t largest = 1;
      for (const std::int64_t factor : factors) largest = std::max(largest, factor);
      return std::max<std::int64_t>(bound / largest, 1);
    }
    return bound;
  }

  const Graph& graph_;
  std::map<int, std::int64_t> bounds_;
};

}  // namespace

std::int64_t index_bound(const Graph& graph, int tensor) {
  const std::int64_t bound = Bounds(graph).of(tensor);
  return bound == kUnbounded ? 2 : bound;
}

}  // namespace penstock::train
