// The rules of what has no weight matrix.
#include <algorithm>
#include <string>
#include <utility>

#include "penstock/partition/internal/lowering_rules.h"

namespace penstock::partition::internal {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

// An axis number that may count from the end; out of range for one that is wrong.
std::size_t axis_index(std::int64_t axis, std::size_t rank) {
  return static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis);
}

// The values of a list that older operator sets hold in an attribute and newer ones in an input.
std::vector<std::int64_t> listed(const model::Graph& graph, const model::Operator& op,
                                 const std::string& attribute, std::size_t input) {
  std::vector<std::int64_t> values = op.integers(attribute, {});
  if (values.empty() && input < op.inputs.size() && op.inputs[input] >= 0)
    values = graph.tensors[at(op.inputs[input])].value;
  return values;
}

}  // namespace

Rule Tracker::elementwise(const model::Operator& op, int output) {
  const int result = op.outputs[at(output)];
  const model::Shape& dims = shape(result);
  const std::vector<int> operands = data(op);
  Rule rule;
  rule.rows = rule.channels = true;
  rule.out = plain_placement(dims);
  Joined joined(dims.size());
  int activations = 0;
  for (const int tensor : operands) {
    const Placement in = placement(tensor);
    if (in.axes.size() > dims.size()) return barrier(result);
    const std::size_t added = dims.size() - in.axes.size();
    activations += in.loose ? 0 : 1;
    join_roles(in, rule);
    for (std::size_t i = 0; i < in.axes.size(); ++i) {
      const bool broadcast = shape(tensor)[i] != dims[i + added];
      if (!broadcast) join_axis(in.axes[i], in.loose, i + added, joined, rule);
    }
    rule.out = sets_.resolved(std::move(rule.out));
  }
  rule.absorbable = activations == 1 && operands.size() == 1 &&
                    model::elements(dims) == model::elements(shape(operands[0]));
  return rule;
}

// Works along some axes of one activation: neither rows nor channels can be among them.
Rule Tracker::along(const model::Operator& op, int output, const std::vector<bool>& worked) {
  const int source = data(op).front();
  const model::Shape& dims = shape(op.outputs[at(output)]);
  Placement in = placement(source);
  Rule rule;
  rule.rows = in.rows;
  rule.channels = in.channels >= 0;
  for (std::size_t i = 0; i < in.axes.size() && i < worked.size(); ++i) {
    if (!worked[i]) continue;
    for (const Factor& factor : in.axes[i]) {
      if (factor.role == Role::kRows) rule.rows = false;
      if (factor.role == Role::kChannels) rule.channels = false;
    }
  }
  rule.out = in;
  rule.out.loose = false;
  if (dims == shape(source)) return rule;
  if (!rule.rows) forget(rule.out, Role::kRows);
  if (!rule.channels) forget(rule.out, Role::kChannels);
  const std::vector<Axis> axes = std::exchange(rule.out.axes, {});
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const bool kept = i >= worked.size() || !worked[i];
    if (kept) rule.out.axes.push_back(axes[i]);
    if (!kept && dims.size() == axes.size()) rule.out.axes.push_back(plain_axis(dims[i]));
  }
  return rule;
}

Rule Tracker::reduction(const model::Operator& op, int output) {
  const std::size_t rank = shape(data(op).front()).size();
  const std::vector<std::int64_t> axes = listed(graph_, op, "axes", 1);
  std::vector<bool> worked(rank, axes.empty());
  for (const std::int64_t axis : axes)
    if (axis_index(axis, rank) < rank) worked[axis_index(axis, rank)] = true;
  return along(op, output, worked);
}

// Where the axis is not given, its default depends on the operator set (1 and all that follow, or
// the last): assumes all that either would take.
Rule Tracker::normalise(const model::Operator& op, int output) {
  const std::size_t rank = shape(data(op).front()).size();
  const bool given = op.attributes.contains("axis");
  const bool to_the_end = !given || op.type == "LayerNormalization";
  const bool layer_norm = op.type == "LayerNormalization";
  const std::size_t axis = axis_index(op.integer("axis", layer_norm ? -1 : 1), rank);
  std::vector<bool> worked(rank, false);
  for (std::size_t i = std::min(axis, rank); i < rank; ++i) worked[i] = to_the_end || i == axis;
  return along(op, output, worked);
}

Rule Tracker::cross_channel(const model::Operator& op, int output) {
  std::vector<bool> worked(shape(data(op).front()).size(), false);
  if (worked.size() > 1) worked[1] = true;
  return along(op, output, worked);
}

Rule Tracker::spatial(const model::Operator& op, int output) {
  const model::Shape& from = shape(data(op).front());
  const model::Shape& to = shape(op.outputs[at(output)]);
  if (from.size() < 3 || to.size() != from.size() || from[0] != to[0] || from[1] != to[1])
    return barrier(op.outputs[at(output)]);
  std::vector<bool> worked(from.size(), true);
  worked[0] = worked[1] = false;
  return along(op, output, worked);
}

// In inference it is a scale and a shift. In training its statistics are those of the rows that
// are here, and it must have whole channels.
Rule Tracker::batch_norm(const model::Operator& op, int output) {
  const bool saves = std::count_if(op.outputs.begin(), op.outputs.end(),
                                   [](int tensor) { return tensor >= 0; }) > 3;
  if (op.integer("training_mode", 0) == 0 && !saves) return elementwise(op, output);
  const std::size_t rank = shape(data(op).front()).size();
  std::vector<bool> worked(rank, true);
  worked[0] = false;
  if (rank > 1) worked[1] = false;
  return along(op, output, worked);
}

Rule Tracker::concat(const model::Operator& op, int output) {
  const int result = op.outputs[at(output)];
  const model::Shape& dims = shape(result);
  const std::size_t along = axis_index(op.integer("axis", 1), dims.size());
  if (along >= dims.size()) return barrier(result);
  Rule rule;
  rule.rows = rule.channels = true;
  rule.out = plain_placement(dims);
  Joined joined(dims.size());
  bool along_channels = false;
  for (const int tensor : data(op)) {
    const Placement in = placement(tensor);
    if (in.axes.size() != dims.size()) return barrier(result);
    join_roles(in, rule);
    if (!in.rows) rule.rows = false;  // even if fed: nothing is broadcast here
    for (const Factor& factor : in.axes[along]) {
      if (factor.role == Role::kRows) rule.rows = false;
      if (factor.role == Role::kChannels) along_channels = true;
    }
    for (std::size_t i = 0; i < dims.size(); ++i)
      if (i != along) join_axis(in.axes[i], in.loose, i, joined, rule);
    rule.out = sets_.resolved(std::move(rule.out));
  }
  if (!rule.rows) forget(rule.out, Role::kRows);
  if (along_channels) {
    rule.channels = false;
    declare_channels(rule.out, static_cast<int>(along), dims[along], sets_);
  }
  return rule;
}

// A part of one activation along some axes; also one output of Split. An axis of chunks that are
// split alike keeps its channels.
Rule Tracker::slice(const model::Operator& op, int output) {
  const int source = op.inputs[0];
  const int result = op.outputs[at(output)];
  const model::Shape& from = shape(source);
  const model::Shape& to = shape(result);
  if (from.size() != to.size()) return barrier(result);
  std::vector<std::int64_t> start(from.size(), 0);
  bool known = true;
  if (trait(op).family == Family::kSplit) {
    const std::size_t axis = axis_index(op.integer("axis", 0), from.size());
    for (int i = 0; i < output && axis < from.size(); ++i)
      start[axis] += shape(op.outputs[at(i)])[axis];
  } else {
    const std::vector<std::int64_t> starts = listed(graph_, op, "starts", 1);
    std::vector<std::int64_t> axes = listed(graph_, op, "axes", 3);
    const std::vector<std::int64_t> steps = listed(graph_, op, "steps", 4);
    known = !starts.empty() &&
            std::all_of(steps.begin(), steps.end(), [](std::int64_t step) { return step == 1; });
    if (axes.empty())
      for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
    for (std::size_t i = 0; i < axes.size() && i < starts.size(); ++i) {
      const std::size_t axis = axis_index(axes[i], from.size());
      if (axis < from.size()) start[axis] = starts[i] < 0 ? starts[i] + from[axis] : starts[i];
    }
  }
  Placement in = placement(source);
  Rule rule;
  rule.rows = in.rows;
  rule.channels = in.channels >= 0;
  const auto has = [](const Axis& axis, Role role) {
    return std::any_of(axis.begin(), axis.end(), [&](const Factor& f) { return f.role == role; });
  };
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] == to[i]) continue;
    Axis axis = in.axes[i];
    in.axes[i] = plain_axis(to[i]);
    if (has(axis, Role::kRows)) rule.rows = false;
    if (!has(axis, Role::kChannels)) continue;
    const bool aligned = known && to[i] > 0 && from[i] % to[i] == 0 && start[i] % to[i] == 0;
    const std::int64_t parts = aligned ? from[i] / to[i] : 0;
    if (aligned && axis.front().role == Role::kChannels && sets_.chunk(axis.front().set, parts)) {
      Placement one;
      one.axes = {axis};
      axis = sets_.resolved(std::move(one)).axes.front();
    }
    const bool chunked = aligned && axis.front().role == Role::kPlain && axis.front().size == parts;
    if (chunked) in.axes[i].assign(axis.begin() + 1, axis.end());
    if (!chunked) rule.channels = false;
  }
  if (!rule.rows) forget(in, Role::kRows);
  if (!rule.channels) forget(in, Role::kChannels);
  rule.out = sets_.resolved(std::move(in));
  return rule;
}

Rule Tracker::resized(const model::Operator& op, int output) {
  const int source = data(op).front();
  const int result = op.outputs[at(output)];
  Placement in = placement(source);
  Placement grown = plain_placement(shape(result));
  grown.rows = in.rows;
  grown.channels = in.channels;
  if (in.axes.size() > grown.axes.size()) return barrier(result);
  const std::size_t added = grown.axes.size() - in.axes.size();
  bool rows = in.rows;
  bool channels = in.channels >= 0;
  for (std::size_t i = 0; i < in.axes.size(); ++i) {
    const bool same = shape(source)[i] == shape(result)[i + added];
    if (same) grown.axes[i + added] = in.axes[i];
    for (const Factor& factor : in.axes[i]) {
      if (!same && factor.role == Role::kRows) rows = false;
      if (!same && factor.role == Role::kChannels) channels = false;
    }
  }
  Rule rule;
  rule.rows = rows;
  rule.channels = channels;
  if (!rows) forget(grown, Role::kRows);
  if (!channels) forget(grown, Role::kChannels);
  rule.out = std::move(grown);
  return rule;
}

// Indexing an activation: the axis that is indexed gives way to the axes of the indices.
Rule Tracker::pick(const model::Operator& op, int output) {
  const Placement in = placement(op.inputs[0]);
  const Placement indices = placement(op.inputs[1]);
  const std::size_t picked = axis_index(op.integer("axis", 0), in.axes.size());
  if (picked >= in.axes.size()) return barrier(op.outputs[at(output)]);
  Rule rule;
  rule.rows = in.rows && axis_of(indices, Role::kRows) < 0;
  rule.channels = in.channels >= 0;
  for (const Factor& factor : in.axes[picked]) {
    if (factor.role == Role::kRows) rule.rows = false;
    if (factor.role == Role::kChannels) rule.channels = false;
  }
  rule.out.rows = in.rows;
  rule.out.channels = in.channels;
  for (std::size_t i = 0; i < in.axes.size(); ++i) {
    if (i != picked) rule.out.axes.push_back(in.axes[i]);
    for (std::size_t j = 0; i == picked && j < indices.axes.size(); ++j)
      rule.out.axes.push_back(plain_axis(shape(op.inputs[1])[j]));
  }
  if (!rule.rows) forget(rule.out, Role::kRows);
  if (!rule.channels) forget(rule.out, Role::kChannels);
  return rule;
}

}  // namespace penstock::partition::internal
