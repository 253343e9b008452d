#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "penstock/partition/internal/lowering_rules.h"

namespace penstock::partition::internal {
namespace {

// Whether the operands are there that the rule of the operator's family looks at.
bool complete(const model::Operator& op) {
  const Family family = trait(op).family;
  const bool two =
      family == Family::kGemm || family == Family::kMatMul || family == Family::kGather;
  const std::size_t needed = two ? 2 : 1;
  return op.inputs.size() >= needed &&
         std::all_of(op.inputs.begin(), op.inputs.begin() + static_cast<std::ptrdiff_t>(needed),
                     [](int tensor) { return tensor >= 0; });
}

}  // namespace

Tracker::Tracker(const model::Graph& graph)
    : graph_(graph),
      origins_(graph.tensors.size(), Origin::kFixed),
      placements_(graph.tensors.size()) {
  for (std::size_t t = 0; t < graph.tensors.size(); ++t) {
    const model::Tensor& tensor = graph.tensors[t];
    placements_[t] = plain_placement(tensor.shape);
    if (tensor.kind == model::TensorKind::kActivation) origins_[t] = Origin::kActivation;
    if (tensor.kind != model::TensorKind::kInput) continue;
    origins_[t] = Origin::kFed;
    placements_[t].loose = true;
    if (!tensor.shape.empty() && tensor.shape.front() == graph.batch)
      declare_rows(placements_[t], 0, graph.batch);
  }
}

std::vector<int> Tracker::data(const model::Operator& op) const {
  std::vector<int> tensors;
  for (const int input : op.inputs) {
    if (input < 0 || origin(input) == Origin::kFixed) continue;
    if (std::find(tensors.begin(), tensors.end(), input) == tensors.end()) tensors.push_back(input);
  }
  return tensors;
}

bool Tracker::settle(const model::Operator& op) {
  bool fixed = true;
  bool fed = op.known && op.macs == 0 && op.parameters == 0;
  for (const int input : op.inputs) {
    if (input < 0) continue;
    if (origin(input) != Origin::kFixed) fixed = false;
    if (origin(input) == Origin::kActivation) fed = false;
    if (graph_.tensors[index(input)].kind == model::TensorKind::kParameter) fed = false;
  }
  // What makes something of nothing (a constant, a range) is fixed as well.
  const Origin origin = fixed ? Origin::kFixed : fed ? Origin::kFed : Origin::kActivation;
  for (const int output : op.outputs)
    if (output >= 0) origins_[index(output)] = origin;
  if (origin == Origin::kFed) place_fed(op);
  return origin != Origin::kActivation;
}

void Tracker::place_fed(const model::Operator& op) {
  for (std::size_t i = 0; i < op.outputs.size(); ++i) {
    const int output = op.outputs[i];
    if (output < 0) continue;
    Rule rule = visit(op, static_cast<int>(i));
    forget(rule.out, Role::kChannels);
    rule.out.loose = true;
    place(output, std::move(rule.out));
  }
}

void Tracker::redeclare(Placement& placement, int tensor) const {
  if (placement.rows) return;
  const model::Shape& dims = shape(tensor);
  if (graph_.batch == 1) {
    placement.rows = true;
  } else if (!dims.empty() && dims.front() == graph_.batch) {
    const Axis& first = placement.axes.front();
    const bool plain = std::all_of(first.begin(), first.end(), [](const Factor& factor) {
      return factor.role != Role::kChannels;
    });
    if (plain) declare_rows(placement, 0, graph_.batch);
  }
}

Rule Tracker::visit(const model::Operator& op, int output) {
  const Family family = complete(op) ? trait(op).family : Family::kUnknown;
  Rule rule;
  switch (family) {
    case Family::kUnknown:
      rule = barrier(op.outputs[index(output)]);
      break;
    case Family::kElementwise:
      rule = elementwise(op, output);
      break;
    case Family::kRelayout:
      rule.out = relayout(op, placement(op.inputs[0]));
      rule.rows = placement(op.inputs[0]).rows && rule.out.rows;
      rule.channels = rule.out.channels >= 0;
      rule.absorbable = true;
      break;
    case Family::kReduction:
      rule = reduction(op, output);
      break;
    case Family::kNormalise:
      rule = normalise(op, output);
      break;
    case Family::kCrossChannel:
      rule = cross_channel(op, output);
      break;
    case Family::kSpatial:
      rule = spatial(op, output);
      break;
    case Family::kBatchNorm:
      rule = batch_norm(op, output);
      break;
    case Family::kConcat:
      rule = concat(op, output);
      break;
    case Family::kSlice:
    case Family::kSplit:
      rule = slice(op, output);
      break;
    case Family::kExpand:
    case Family::kPad:
      rule = resized(op, output);
      break;
    case Family::kConv:
      rule = convolution(op, output);
      break;
    case Family::kGemm:
    case Family::kMatMul:
      rule = multiply(op, output);
      break;
    case Family::kGather:
      rule = embedding(op, output);
      break;
    case Family::kRecurrent:
      rule = recurrent(op, output);
      break;
    case Family::kEinsum:
      rule = einsum(op, output);
      break;
  }
  const int tensor = op.outputs[index(output)];
  if (!fits(rule.out, shape(tensor))) rule = barrier(tensor);
  // A tensor that the operator does not leave in columns is cut afresh by whoever wants columns.
  tidy(rule.out, graph_.batch, sets_);
  if (rule.form == Rule::Form::kGlue) {
    rule.rows = rule.rows && rule.out.rows;
    rule.channels = rule.channels && rule.out.channels >= 0;
  }
  const bool in_columns =
      rule.form == Rule::Form::kLayer || rule.channels || family == Family::kRelayout;
  if (!in_columns) detach(rule.out, sets_);
  redeclare(rule.out, tensor);
  place(tensor, rule.out);
  return rule;
}

Placement Tracker::relayout(const model::Operator& op, const Placement& in) {
  const model::Shape& dims = shape(op.outputs[0]);
  if (op.type != "Transpose") return regroup(in, dims, sets_);
  std::vector<std::int64_t> order(in.axes.size());
  std::iota(order.rbegin(), order.rend(), 0);
  order = op.integers("perm", order);
  Placement out = in;
  out.axes.clear();
  for (const std::int64_t axis : order)
    if (axis >= 0 && index(static_cast<int>(axis)) < in.axes.size())
      out.axes.push_back(in.axes[index(static_cast<int>(axis))]);
  return fits(out, dims) ? out : plain_placement(dims);
}

Rule Tracker::visit_chain(const std::vector<int>& chain) {
  const auto op = [&](int i) -> const model::Operator& { return graph_.operators[index(i)]; };
  const int source = op(chain.front()).inputs[0];
  const int last = op(chain.back()).outputs[0];
  const auto follow = [&](Placement in) {
    for (const int i : chain) {
      in = relayout(op(i), sets_.resolved(std::move(in)));
      place(op(i).outputs[0], in);
    }
    return in;
  };
  const ChannelSets before = sets_;
  const Placement in = placement(source);
  Rule rule;
  rule.out = follow(in);
  // [B, T, 3*768] reshaped to [B, T, 3, 12, 64], to take the queries, keys and values apart: the 3
  // are chunks, the 12 are the channels.
  const int axis = axis_of(rule.out, Role::kChannels);
  if (axis >= 0 && picked_apart(last, axis)) {
    const std::int64_t parts = shape(last)[index(axis)];
    const ChannelSets whole = std::exchange(sets_, before);
    if (sets_.chunk(in.channels, parts))
      rule.out = follow(placement(source));
    else
      sets_ = whole;
  }
  rule.rows = in.rows && rule.out.rows;
  rule.channels = in.channels >= 0 && rule.out.channels >= 0;
  rule.absorbable = in.channels < 0 || rule.channels;
  if (!rule.absorbable) {
    sets_ = before;
    // A shuffle leaves the tensor in its shape: its channels are where they were, in new places.
    const int shuffled = axis_of(in, Role::kChannels);
    Placement plain = in;
    forget(plain, Role::kChannels);
    rule.out = follow(plain);
    rule.rows = in.rows && rule.out.rows;
    if (shuffled >= 0 && shuffled != axis_of(rule.out, Role::kRows) && shape(source) == shape(last))
      declare_channels(rule.out, shuffled, shape(last)[index(shuffled)], sets_);
  }
  if (in.rows && !rule.rows) rule.absorbable = false;
  redeclare(rule.out, last);
  place(last, rule.out);
  return rule;
}

// Whether everything that reads the tensor takes single items of an axis.
bool Tracker::picked_apart(int tensor, int axis) const {
  const std::vector<int>& readers = graph_.tensors[index(tensor)].consumers;
  const auto picks = [&](int reader) {
    const model::Operator& op = graph_.operators[index(reader)];
    const Family family = trait(op).family;
    if (family != Family::kGather && family != Family::kSplit) return false;
    const auto rank = static_cast<std::int64_t>(shape(tensor).size());
    const std::int64_t along = op.integer("axis", 0);
    if ((along < 0 ? along + rank : along) != axis) return false;
    return family == Family::kGather ||
           shape(op.outputs[0])[index(axis)] * static_cast<std::int64_t>(op.outputs.size()) ==
               shape(tensor)[index(axis)];
  };
  return !readers.empty() && std::all_of(readers.begin(), readers.end(), picks);
}

void Tracker::join_roles(const Placement& in, Rule& rule) {
  if (!in.loose && !in.rows) rule.rows = false;
  if (!in.loose && in.channels < 0) rule.channels = false;
  rule.out.rows = rule.out.rows || in.rows;
  if (rule.out.channels < 0) rule.out.channels = in.channels;
}

void Tracker::join_axis(const Axis& axis, bool loose, std::size_t to, Joined& joined, Rule& rule) {
  if (joined.filled[to]) {
    Agreement agreed = align(rule.out.axes[to], joined.loose[to], axis, loose, sets_);
    rule.out.axes[to] = std::move(agreed.axis);
    rule.rows = rule.rows && agreed.rows;
    rule.channels = rule.channels && agreed.channels;
  } else {
    rule.out.axes[to] = axis;
  }
  joined.filled[to] = true;
  joined.loose[to] = joined.loose[to] && loose;
}

Rule Tracker::barrier(int output) {
  Rule rule;
  rule.out = plain_placement(shape(output));
  return rule;
}

}  // namespace penstock::partition::internal
