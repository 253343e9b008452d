#include "penstock/partition/internal/verify_reduce.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "penstock/partition/internal/lowering_rules.h"
#include "penstock/partition/internal/verify_operators.h"

namespace penstock::partition::internal {
namespace {

using model::Shape;

constexpr std::int64_t kManyChannels = 4096;
constexpr std::int64_t kTableRows = 64;  // that an embedding table keeps

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// Each operator's smaller result from its smaller inputs. Nothing where it cannot be followed.
class Shrinking {
 public:
  Shrinking(const model::Graph& graph, const Reduction& reduction)
      : graph_(graph), reduction_(reduction), small_(graph) {}

  Result<model::Graph> run() {
    if (reduction_.batch == graph_.batch && reduction_.channel_divisor == 1 &&
        reduction_.pixels == 0) {
      count_parameters();
      return std::move(small_);
    }
    small_.batch = reduction_.batch;
    for (const int input : graph_.inputs) shrink_input(input);
    for (std::size_t i = 0; i < graph_.operators.size(); ++i) {
      if (!shrink(i)) {
        const model::Operator& op = graph_.operators[i];
        return core::negative(graph_.source + ": operator " + op.name,
                              "verify has no smaller problem for " + op.type,
                              "plan a smaller batch, so that the problem is run as it is");
      }
    }
    count_parameters();
    return std::move(small_);
  }

 private:
  const Shape& before(int tensor) const { return graph_.tensors[at(tensor)].shape; }
  Shape& after(int tensor) { return small_.tensors[at(tensor)].shape; }
  bool is_data(int tensor) const {
    const model::TensorKind kind = graph_.tensors[at(tensor)].kind;
    return kind == model::TensorKind::kInput || kind == model::TensorKind::kActivation;
  }

  std::int64_t channels(std::int64_t size) const {
    std::int64_t d = reduction_.channel_divisor;
    // Vocabularies, whose odd numbers nothing reshapes.
    if (size % 2 != 0 && size > kManyChannels) return (size + d - 1) / d;
    while (d > 1 && (size % d != 0 || size / d < reduction_.least_channels)) d /= 2;
    return size / d;
  }

  void shrink_input(int tensor) {
    Shape& shape = after(tensor);
    if (!shape.empty() && shape.front() == graph_.batch) shape.front() = reduction_.batch;
    const bool numbers = graph_.tensors[at(tensor)].type == model::ElementType::kFloat;
    if (shape.size() == 2 || shape.size() == 3) {
      if (numbers) shape.back() = channels(shape.back());
      return;
    }
    if (shape.size() != 4 || reduction_.pixels == 0) return;
    for (const std::size_t i : {2u, 3u}) shape[i] = std::min(shape[i], reduction_.pixels);
  }

  bool shrink(std::size_t number) {
    const model::Operator& op = graph_.operators[number];
    if (op.outputs.empty() || op.outputs[0] < 0) return true;
    if (op.inputs.empty() || op.inputs[0] < 0) return true;
    const std::string& type = op.type;
    std::optional<Shape> shape;
    if (type == "Conv") {
      shape = convolution(number);
    } else if (type == "Gemm" || type == "MatMul") {
      shape = product(op);
    } else if (type == "Einsum") {
      shape = einsum(op);
    } else if (type == "Gather") {
      shape = gather(op);
    } else if (type == "MaxPool" || type == "AveragePool" || type.starts_with("Global")) {
      shape = pool(op);
    } else if (type == "Split" || type == "Slice") {
      return part(number);
    } else if (type == "Concat") {
      shape = concat(op);
    } else if (type == "Transpose") {
      shape = transpose(op);
    } else if (type.starts_with("Reduce")) {
      shape = follow(before(op.inputs[0]), after(op.inputs[0]), before(op.outputs[0]), true);
    } else if (trait(op).family == Family::kRelayout) {
      shape = follow(before(op.inputs[0]), after(op.inputs[0]), before(op.outputs[0]), false);
    } else {
      shape = pointwise(op);
    }
    if (!shape) return false;
    if (std::any_of(shape->begin(), shape->end(), [](std::int64_t n) { return n < 1; })) {
      return false;
    }
    after(op.outputs[0]) = *std::move(shape);
    return true;
  }

  std::optional<Shape> slid(const model::Operator& op, const Shape& kernel, Shape out) const {
    const Shape& x = small_.tensors[at(op.inputs[0])].shape;
    const std::size_t rank = kernel.size();
    const std::vector<std::int64_t> ones(rank, 1);
    const auto strides = op.integers("strides", ones);
    const auto dilations = op.integers("dilations", ones);
    const auto pads = op.integers("pads", std::vector<std::int64_t>(2 * rank, 0));
    const Invocation call{&graph_, &op, 0, {}, {}, {}};
    const bool same = call.text("auto_pad").starts_with("SAME");
    if (x.size() != rank + 2) return std::nullopt;
    for (std::size_t i = 0; i < rank; ++i) {
      const std::int64_t reach = (kernel[i] - 1) * dilations[i] + 1;
      const std::int64_t room = x[i + 2] + pads[i] + pads[rank + i] - reach;
      if (same) {
        out[i + 2] = (x[i + 2] + strides[i] - 1) / strides[i];
      } else {
        if (room < 0) return std::nullopt;
        const std::int64_t up = op.integer("ceil_mode", 0) != 0 ? strides[i] - 1 : 0;
        out[i + 2] = (room + up) / strides[i] + 1;
        // A window may not lie in the padding alone.
        if ((out[i + 2] - 1) * strides[i] >= x[i + 2] + pads[i]) --out[i + 2];
      }
    }
    return out;
  }

  std::optional<Shape> convolution(std::size_t number) {
    const model::Operator& op = graph_.operators[number];
    const Shape& w = before(op.inputs[1]);
    const Shape& x = after(op.inputs[0]);
    const std::int64_t groups = op.integer("group", 1);
    std::int64_t kept = groups;
    std::int64_t out = channels(w[0]);
    if (groups > 1 && groups == before(op.inputs[0])[1]) {
      kept = x[1];
      out = w[0] / groups * kept;
    } else if (groups > 1 && out % groups != 0) {
      out = w[0];
    }
    if (x[1] % kept != 0 || out % kept != 0) return std::nullopt;
    small_.operators[number].attributes["group"] = kept;
    Shape& weight = after(op.inputs[1]);
    weight = w;
    weight[0] = out;
    weight[1] = x[1] / kept;
    if (op.inputs.size() > 2 && op.inputs[2] >= 0) after(op.inputs[2]) = {out};
    Shape result = before(op.outputs[0]);
    result[0] = x[0];
    result[1] = out;
    return slid(op, {w.begin() + 2, w.end()}, std::move(result));
  }

  std::optional<Shape> pool(const model::Operator& op) {
    const Shape& x = after(op.inputs[0]);
    Shape result = before(op.outputs[0]);
    result[0] = x[0];
    result[1] = x[1];
    if (op.type.starts_with("Global")) return result;
    return slid(op, op.integers("kernel_shape", {}), std::move(result));
  }

  std::optional<Shape> product(const model::Operator& op) {
    Shape result = before(op.outputs[0]);
    const bool gemm = op.type == "Gemm";
    if (before(op.inputs[0]).size() < 2 || before(op.inputs[1]).size() < 2) return std::nullopt;
    // The axis of an operand that is contracted, and the one that is not.
    const auto axes = [&](std::size_t k) {
      const std::size_t rank = before(op.inputs[k]).size();
      const bool turned = gemm && op.integer(k == 0 ? "transA" : "transB", 0) != 0;
      return (k == 0) == turned ? std::pair(rank - 2, rank - 1) : std::pair(rank - 1, rank - 2);
    };
    for (const std::size_t k : {0u, 1u}) {
      if (is_data(op.inputs[k])) continue;
      if (!is_data(op.inputs[1 - k])) return std::nullopt;
      const auto [inner, outer] = axes(k);
      Shape& weight = after(op.inputs[k]);
      weight = before(op.inputs[k]);
      weight[inner] = after(op.inputs[1 - k])[axes(1 - k).first];
      weight[outer] = channels(weight[outer]);
    }
    const std::size_t rank = result.size();
    result[rank - 2] = after(op.inputs[0])[axes(0).second];
    result[rank - 1] = after(op.inputs[1])[axes(1).second];
    for (std::size_t i = 0; i + 2 < rank; ++i) {
      std::int64_t size = 1;
      for (const std::size_t k : {0u, 1u}) {
        const Shape& operand = after(op.inputs[k]);
        if (operand.size() + i >= rank) size = std::max(size, operand[operand.size() + i - rank]);
      }
      result[i] = size;
    }
    if (op.inputs.size() > 2 && op.inputs[2] >= 0)
      align(op.inputs[2], before(op.outputs[0]), result);
    return result;
  }

  // The letters that data has shrink with it; parameters keep the others.
  std::optional<Shape> einsum(const model::Operator& op) {
    const std::optional<Equation> equation = equation_of(op);
    if (!equation) return std::nullopt;
    std::map<char, std::int64_t> sizes;
    for (const bool data : {true, false}) {
      for (std::size_t k = 0; k < op.inputs.size(); ++k) {
        if (is_data(op.inputs[k]) != data) continue;
        const std::string& labels = equation->operands[k];
        if (labels.size() != before(op.inputs[k]).size()) return std::nullopt;
        for (std::size_t i = 0; i < labels.size(); ++i) {
          std::int64_t& size = after(op.inputs[k])[i];
          const auto [known, added] = sizes.try_emplace(labels[i], size);
          if (!data && before(op.inputs[k])[i] != 1) size = known->second;
          if (known->second == 1) known->second = size;
          if (size != 1 && size != known->second) return std::nullopt;
        }
      }
    }
    Shape result;
    for (const char letter : equation->result) {
      if (!sizes.contains(letter)) return std::nullopt;
      result.push_back(sizes.at(letter));
    }
    return result;
  }

  // An operand that is no data takes the sizes of the result's axes that it shares.
  void align(int tensor, const Shape& from, const Shape& to) {
    const Shape& old = before(tensor);
    Shape& shape = after(tensor);
    shape = old;
    for (std::size_t i = 1; i <= old.size() && i <= from.size(); ++i) {
      if (old[old.size() - i] == from[from.size() - i]) shape[old.size() - i] = to[to.size() - i];
    }
  }

  std::optional<Shape> pointwise(const model::Operator& op) {
    const Shape& from = before(op.outputs[0]);
    Shape result(from.size(), 0);
    for (const int input : op.inputs) {
      if (input < 0 || !is_data(input)) continue;
      const Shape& old = before(input);
      const Shape& now = after(input);
      for (std::size_t i = 1; i <= old.size() && i <= from.size(); ++i) {
        if (old[old.size() - i] != from[from.size() - i]) continue;
        std::int64_t& size = result[from.size() - i];
        if (size != 0 && size != now[now.size() - i]) return std::nullopt;
        size = now[now.size() - i];
      }
    }
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (result[i] == 0)
        result[i] = i == 0 && from[i] == graph_.batch ? reduction_.batch : from[i];
    }
    const bool norm = op.type == "BatchNormalization";
    for (std::size_t k = 1; k < op.inputs.size(); ++k) {
      const int input = op.inputs[k];
      if (input < 0 || is_data(input)) continue;
      if (norm) {
        after(input) = {result[1]};
      } else if (graph_.tensors[at(input)].type == model::ElementType::kFloat) {
        align(input, from, result);
      }
    }
    if (!is_data(op.inputs[0])) align(op.inputs[0], from, result);
    return result;
  }

  std::optional<Shape> gather(const model::Operator& op) {
    const std::size_t rank = before(op.inputs[0]).size();
    const std::int64_t along = op.integer("axis", 0);
    const std::size_t axis = at(along < 0 ? along + static_cast<std::int64_t>(rank) : along);
    if (!is_data(op.inputs[0])) {
      Shape& table = after(op.inputs[0]);
      table = before(op.inputs[0]);
      for (std::size_t i = 1; i < rank; ++i) table[i] = channels(table[i]);
      const bool alone = graph_.tensors[at(op.inputs[0])].consumers.size() == 1;
      if (alone && axis == 0 && is_data(op.inputs[1])) table[0] = std::min(table[0], kTableRows);
    }
    const Shape& table = after(op.inputs[0]);
    Shape result(table.begin(), table.begin() + static_cast<std::ptrdiff_t>(axis));
    const Shape& indices = after(op.inputs[1]);
    result.insert(result.end(), indices.begin(), indices.end());
    result.insert(result.end(), table.begin() + static_cast<std::ptrdiff_t>(axis) + 1, table.end());
    return result;
  }

  std::optional<Shape> concat(const model::Operator& op) {
    const Shape& from = before(op.outputs[0]);
    const std::int64_t along = op.integer("axis", 1);
    const std::size_t axis = at(along < 0 ? along + static_cast<std::int64_t>(from.size()) : along);
    std::optional<Shape> result;
    for (const int input : op.inputs) {
      if (!is_data(input)) return std::nullopt;
      const Shape& x = after(input);
      if (!result) {
        result = x;
      } else {
        (*result)[axis] += x[axis];
      }
    }
    return result;
  }

  std::optional<Shape> transpose(const model::Operator& op) {
    const Shape& x = after(op.inputs[0]);
    std::vector<std::int64_t> order(x.size());
    std::iota(order.rbegin(), order.rend(), 0);
    order = op.integers("perm", order);
    Shape result;
    for (const std::int64_t axis : order) result.push_back(x[at(axis)]);
    return result;
  }

  // Slices keep their fraction of an axis; their starts, which are constants, scale with it.
  bool part(std::size_t number) {
    const model::Operator& op = graph_.operators[number];
    const Shape& old = before(op.inputs[0]);
    const Shape& now = after(op.inputs[0]);
    bool scaled = false;
    for (const int output : op.outputs) {
      if (output < 0) continue;
      const Shape& from = before(output);
      if (from.size() != old.size()) return false;
      Shape result = now;
      for (std::size_t i = 0; i < old.size(); ++i) {
        if (from[i] == old[i]) continue;
        if (from[i] * now[i] % old[i] != 0) return false;
        result[i] = from[i] * now[i] / old[i];
        scaled = scaled || now[i] != old[i];
      }
      after(output) = std::move(result);
    }
    return !scaled || op.type == "Split" || scale_starts(number);
  }

  bool scale_starts(std::size_t number) {
    const model::Operator& op = graph_.operators[number];
    const Invocation call{&graph_, &op, 0, {}, {}, {}};
    const Shape& old = before(op.inputs[0]);
    std::vector<std::int64_t> starts = call.listed("starts", 1);
    std::vector<std::int64_t> axes = call.listed("axes", 3);
    if (axes.empty()) axes = counted(static_cast<std::int64_t>(starts.size()));
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const std::size_t axis = call.axis(axes[i], old.size());
      const std::int64_t size = after(op.inputs[0])[axis];
      if (starts[i] * size % old[axis] != 0) return false;
      starts[i] = starts[i] * size / old[axis];
    }
    if (op.attributes.contains("starts")) {
      small_.operators[number].attributes["starts"] = starts;
    } else {
      model::Tensor constant = small_.tensors[at(op.inputs[1])];
      constant.value = starts;
      small_.operators[number].inputs[1] = static_cast<int>(small_.tensors.size());
      small_.tensors.push_back(std::move(constant));
    }
    return true;
  }

  // Reshapes: stretches of axes with equal products before and after belong together. Reductions
  // drop axes or leave 1.
  std::optional<Shape> follow(const Shape& old, const Shape& now, const Shape& from, bool reduced) {
    if (reduced && old.size() != from.size()) return dropped(old, now, from);
    Shape result;
    std::size_t i = 0;
    while (result.size() < from.size() || i < old.size()) {
      if (reduced) {
        result.push_back(from[i] == old[i] ? now[i] : from[i]);
        ++i;
        continue;
      }
      const std::size_t first = result.size();
      std::int64_t left = 1;
      std::int64_t scaled = 1;
      std::int64_t right = 1;
      std::size_t last = first;
      if (i < old.size()) left = old[i], scaled = now[i], ++i;
      if (last < from.size()) right = from[last++];
      while (left != right) {
        if (left < right && i < old.size()) {
          left *= old[i];
          scaled *= now[i++];
        } else if (right < left && last < from.size()) {
          right *= from[last++];
        } else {
          return std::nullopt;
        }
      }
      result.insert(result.end(), from.begin() + static_cast<std::ptrdiff_t>(first),
                    from.begin() + static_cast<std::ptrdiff_t>(last));
      if (!rescale(result, first, left, scaled)) return std::nullopt;
    }
    return result;
  }

  // Takes the change of a stretch's product to the last of its axes that can have it, so that heads
  // stay as many as they were.
  static bool rescale(Shape& shape, std::size_t first, std::int64_t old, std::int64_t now) {
    if (old == now) return true;
    for (std::size_t i = shape.size(); i-- > first;) {
      if (shape[i] * now % old != 0) continue;
      shape[i] = shape[i] * now / old;
      return true;
    }
    return false;
  }

  static std::optional<Shape> dropped(const Shape& old, const Shape& now, const Shape& from) {
    Shape result;
    std::size_t i = 0;
    for (const std::int64_t size : from) {
      while (i < old.size() && old[i] != size) ++i;
      if (i == old.size()) return std::nullopt;
      result.push_back(now[i++]);
    }
    return result;
  }

  void count_parameters() {
    for (model::Operator& op : small_.operators) {
      if (op.macs > 0) op.macs = macs_of(op);
      if (op.parameters == 0) continue;
      op.parameters = 0;
      for (const int input : op.inputs) {
        if (input < 0 || graph_.tensors[at(input)].kind != model::TensorKind::kParameter) continue;
        op.parameters += model::elements(small_.tensors[at(input)].shape);
      }
    }
  }

  // Products scale with their result and with what each element of it sums over; nothing else has
  // enough of them to matter.
  std::int64_t macs_of(const model::Operator& op) const {
    const auto size = [&](const model::Graph& graph, int tensor) {
      return static_cast<double>(model::elements(graph.tensors[at(tensor)].shape));
    };
    double ratio = size(small_, op.outputs[0]) / size(graph_, op.outputs[0]);
    if (op.type == "Conv") {
      const double per_output = size(small_, op.inputs[1]) / size(graph_, op.inputs[1]);
      ratio *= per_output * static_cast<double>(graph_.tensors[at(op.inputs[1])].shape[0]) /
               static_cast<double>(small_.tensors[at(op.inputs[1])].shape[0]);
    } else if (op.inputs.size() > 1 && op.inputs[0] >= 0) {
      const std::size_t axis =
          op.integer("transA", 0) != 0 ? 0 : graph_.tensors[at(op.inputs[0])].shape.size() - 1;
      ratio *= static_cast<double>(small_.tensors[at(op.inputs[0])].shape[axis]) /
               static_cast<double>(graph_.tensors[at(op.inputs[0])].shape[axis]);
    }
    return std::max<std::int64_t>(1,
                                  static_cast<std::int64_t>(static_cast<double>(op.macs) * ratio));
  }

  const model::Graph& graph_;
  const Reduction& reduction_;
  model::Graph small_;
};

}  // namespace

Result<model::Graph> reduce_graph(const model::Graph& graph, const Reduction& reduction) {
  return Shrinking(graph, reduction).run();
}

}  // namespace penstock::partition::internal
