// The rules of what multiplies by a weight matrix, and of products of activations.
#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "penstock/partition/internal/lowering_rules.h"

namespace penstock::partition::internal {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

bool has(const Axis& axis, Role role) {
  return std::any_of(axis.begin(), axis.end(), [&](const Factor& f) { return f.role == role; });
}

// Labels of a matrix product with batch dimensions, aligned to the right: "...mk".
std::string matrix_labels(std::size_t rank, const std::string& matrix) {
  std::string labels;
  for (std::size_t i = matrix.size(); i < rank; ++i)
    labels.insert(labels.begin(), static_cast<char>('A' + static_cast<int>(i - matrix.size())));
  return labels + matrix;
}

}  // namespace

std::optional<Equation> equation_of(const model::Operator& op) {
  const auto found = op.attributes.find("equation");
  if (found == op.attributes.end()) return std::nullopt;
  const auto* given = std::get_if<std::string>(&found->second);
  const std::string text = given == nullptr ? "" : *given;
  Equation equation;
  const std::size_t arrow = text.find("->");
  if (arrow == std::string::npos || text.find('.') != std::string::npos) return std::nullopt;
  std::string labels;
  for (const char c : text.substr(0, arrow) + ",") {
    if (c == ',') equation.operands.push_back(std::exchange(labels, {}));
    if (c != ',' && c != ' ') labels += c;
  }
  for (const char c : text.substr(arrow + 2))
    if (c != ' ') equation.result += c;
  if (equation.operands.size() != op.inputs.size()) return std::nullopt;
  return equation;
}

// One activation times one weight matrix: the activation's axis `contracted` gives way to the
// result's axis `produced`. Nothing else changes.
Rule Tracker::dense(const model::Operator& op, int output, int data, int weight, int contracted,
                    int produced) {
  const int result = op.outputs[at(output)];
  const model::Shape& dims = shape(result);
  const Placement in = placement(data);
  if (contracted < 0 || at(contracted) >= in.axes.size() || at(produced) >= dims.size())
    return barrier(result);
  Rule rule;
  rule.form = Rule::Form::kLayer;
  rule.weights = model::elements(shape(weight));
  rule.rows = in.rows && !has(in.axes[at(contracted)], Role::kRows);
  const std::int64_t features = shape(data)[at(contracted)];
  const bool here = has(in.axes[at(contracted)], Role::kChannels) || features == 1;
  rule.channels = in.loose || (in.channels >= 0 && here);
  if (!in.loose && rule.channels) rule.in_set = in.channels;
  rule.in_columns = features;
  rule.out_channels = true;
  rule.out = in;
  rule.out.loose = false;
  if (!rule.rows) forget(rule.out, Role::kRows);
  rule.out.axes.erase(rule.out.axes.begin() + contracted);
  if (rule.out.axes.size() + 1 != dims.size()) return barrier(result);
  rule.out.axes.insert(rule.out.axes.begin() + produced, Axis{});
  declare_channels(rule.out, produced, dims[at(produced)], sets_);
  return rule;
}

Rule Tracker::convolution(const model::Operator& op, int output) {
  const int result = op.outputs[at(output)];
  const int x = op.inputs[0];
  const int w = op.inputs.size() > 1 ? op.inputs[1] : -1;
  const model::Shape& from = shape(x);
  const model::Shape& to = shape(result);
  if (w < 0 || origin(w) != Origin::kFixed || origin(x) == Origin::kFixed || from.size() < 3 ||
      to.size() != from.size())
    return barrier(result);
  Placement in = placement(x);
  // Both can lie in the map only after a relayout that no convolution is meant for.
  for (std::size_t i = 2; i < in.axes.size(); ++i) {
    if (has(in.axes[i], Role::kRows)) forget(in, Role::kRows);
    if (has(in.axes[i], Role::kChannels)) forget(in, Role::kChannels);
  }
  place(x, in);
  Rule rule = dense(op, output, x, w, 1, 1);
  if (rule.form != Rule::Form::kLayer) return rule;
  for (std::size_t i = 2; i < to.size(); ++i) rule.out.axes[i] = plain_axis(to[i]);
  if (op.integer("group", 1) > 1) group(op, std::move(in), rule);
  return rule;
}

// A group's outputs need its inputs only: split by groups, input and output are split alike.
void Tracker::group(const model::Operator& op, Placement in, Rule& rule) {
  const std::int64_t groups = op.integer("group", 1);
  const std::int64_t inner = shape(op.outputs[0])[1] / groups;
  rule.channels = rule.out_channels = false;
  rule.in_set = -1;
  if (shape(op.outputs[0])[1] % groups != 0 || shape(op.inputs[0])[1] % groups != 0) return;
  if (in.loose) declare_channels(in, 1, shape(op.inputs[0])[1], sets_);
  if (in.channels < 0 || in.axes[1].empty()) return;
  Factor first = in.axes[1].front();
  if (first.role != Role::kChannels || std::gcd(first.size, groups) < 2) return;
  sets_.limit(first.set, groups);
  const std::int64_t cut = std::gcd(first.size, groups);
  rule.grouped = true;
  rule.in_set = first.set;
  rule.out.channels = first.set;
  first.size = cut;
  rule.out.axes[1] = {first};
  const std::int64_t within = groups / cut * inner;
  if (within > 1) rule.out.axes[1].push_back({within, Role::kWithin, first.set});
}

Rule Tracker::multiply(const model::Operator& op, int output) {
  const int result = op.outputs[at(output)];
  const bool gemm = trait(op).family == Family::kGemm;
  const int a = op.inputs[0];
  const int b = op.inputs[1];
  const std::size_t rank_a = shape(a).size();
  const std::size_t rank_b = shape(b).size();
  if (rank_a < 2 || rank_b < 2) return barrier(result);
  const bool turned_a = gemm && op.integer("transA", 0) != 0;
  const bool turned_b = gemm && op.integer("transB", 0) != 0;
  const int rank = static_cast<int>(shape(result).size());
  if (origin(b) == Origin::kFixed && origin(a) != Origin::kFixed && rank_b == 2) {
    const int contracted = turned_a ? 0 : static_cast<int>(rank_a) - 1;
    return dense(op, output, a, b, contracted, rank - 1);
  }
  if (origin(a) == Origin::kFixed && origin(b) != Origin::kFixed && rank_a == 2) {
    const int contracted = turned_b ? 1 : static_cast<int>(rank_b) - 2;
    return dense(op, output, b, a, contracted, rank - 2);
  }
  return product(op, output,
                 {matrix_labels(rank_a, turned_a ? "km" : "mk"),
                  matrix_labels(rank_b, turned_b ? "nk" : "kn")},
                 matrix_labels(at(rank), "mn"));
}

Rule Tracker::embedding(const model::Operator& op, int output) {
  const int table = op.inputs[0];
  const int indices = op.inputs[1];
  const int result = op.outputs[at(output)];
  if (origin(table) != Origin::kFixed) return pick(op, output);
  if (op.integer("axis", 0) != 0) return barrier(result);
  const Placement in = placement(indices);
  Rule rule;
  rule.form = Rule::Form::kLayer;
  rule.weights = model::elements(shape(table));
  rule.rows = in.rows;
  rule.out_channels = shape(table).size() > 1;
  rule.out = in;
  rule.out.loose = false;
  for (std::size_t i = 1; i < shape(table).size(); ++i)
    rule.out.axes.push_back(plain_axis(shape(table)[i]));
  if (rule.out.axes.size() != shape(result).size()) return barrier(result);
  if (rule.out_channels)
    declare_channels(rule.out, static_cast<int>(in.axes.size()), shape(table)[1], sets_);
  return rule;
}

// Each step needs all of the state of the step before, so only the batch is split.
Rule Tracker::recurrent(const model::Operator& op, int output) {
  const int result = op.outputs[at(output)];
  const model::Shape& dims = shape(result);
  const Placement in = placement(op.inputs[0]);
  const bool batch_first = op.integer("layout", 0) != 0;
  if (in.axes.size() != 3 || dims.size() < 3) return barrier(result);
  const Axis& batch_axis = in.axes[batch_first ? 0 : 1];
  Rule rule;
  rule.form = Rule::Form::kLayer;
  for (std::size_t i = 1; i <= 2 && i < op.inputs.size(); ++i)
    if (op.inputs[i] >= 0) rule.weights += model::elements(shape(op.inputs[i]));
  rule.rows = in.rows && (graph_.batch == 1 || has(batch_axis, Role::kRows));
  rule.in_columns = shape(op.inputs[0])[2];
  rule.out = plain_placement(dims);
  // Y is [T, directions, B, H] or [B, T, directions, H]; the last states lack T.
  const std::size_t axis = batch_first ? 0 : dims.size() - 2;
  if (rule.rows) declare_rows(rule.out, static_cast<int>(axis), graph_.batch);
  declare_channels(rule.out, static_cast<int>(dims.size()) - 1, dims.back(), sets_);
  return rule;
}

Rule Tracker::einsum(const model::Operator& op, int output) {
  const std::optional<Equation> equation = equation_of(op);
  if (!equation) return barrier(op.outputs[at(output)]);
  return product(op, output, equation->operands, equation->result);
}

// Of activations: glue. With a weight tensor that has batch dimensions of its own (experts), the
// roles of the dimensions are not clear enough for more than type I.
Rule Tracker::product(const model::Operator& op, int output,
                      const std::vector<std::string>& operands, const std::string& result) {
  const int tensor = op.outputs[at(output)];
  const model::Shape& dims = shape(tensor);
  if (result.size() != dims.size()) return barrier(tensor);
  Rule rule;
  rule.rows = rule.channels = true;
  rule.out = plain_placement(dims);
  Joined joined(dims.size());
  for (std::size_t k = 0; k < operands.size(); ++k) {
    if (origin(op.inputs[k]) == Origin::kFixed) continue;
    const Placement in = placement(op.inputs[k]);
    const std::string& labels = operands[k];
    if (labels.size() != in.axes.size()) return barrier(tensor);
    if (!in.loose && !in.rows) rule.rows = false;
    if (in.channels < 0) rule.channels = false;
    rule.out.rows = rule.out.rows || in.rows;
    if (in.channels >= 0) rule.out.channels = in.channels;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const std::size_t to = result.find(labels[i]);
      const bool contracted = to == std::string::npos;
      // A role must lie in a dimension that all operands with data share and that is kept.
      const bool shared = std::all_of(operands.begin(), operands.end(), [&](const auto& other) {
        return other.find(labels[i]) != std::string::npos ||
               origin(op.inputs[static_cast<std::size_t>(&other - operands.data())]) ==
                   Origin::kFixed;
      });
      if ((contracted || !shared) && has(in.axes[i], Role::kRows)) rule.rows = false;
      if ((contracted || !shared) && has(in.axes[i], Role::kChannels)) rule.channels = false;
      if (contracted || shape(op.inputs[k])[i] != dims[to]) continue;
      join_axis(in.axes[i], in.loose, to, joined, rule);
    }
    rule.out = sets_.resolved(std::move(rule.out));
  }
  for (const int input : op.inputs)
    if (input >= 0 && origin(input) == Origin::kFixed)
      rule.weights += model::elements(shape(input));
  if (rule.weights == 0) return rule;
  rule.form = Rule::Form::kLayer;
  rule.channels = false;
  detach(rule.out, sets_);
  return rule;
}

}  // namespace penstock::partition::internal
