// What one worker runs: a node's steps on the items and channels that it has.
#include <algorithm>

#include "penstock/core/check.h"
#include "penstock/partition/internal/verify_einsum.h"
#include "penstock/partition/internal/verify_program.h"

namespace penstock::partition::internal {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

// Positions along an axis of a tensor whose channels nobody has placed: fed data.
Indices pieces(std::int64_t size, std::int64_t columns, const Indices& chosen) {
  Indices positions;
  for (const std::int64_t c : chosen) {
    for (std::int64_t i = c * size / columns; i < (c + 1) * size / columns; ++i) {
      positions.push_back(i);
    }
  }
  return positions;
}

// An operand that is repeated along the result's axes: cut where it has all of their positions.
Frame aligned_right(const model::Shape& operand, const model::Shape& whole, const Frame& result) {
  Frame frame = whole_frame(operand);
  for (std::size_t i = 0; i < operand.size() && i < whole.size(); ++i) {
    const std::size_t from = operand.size() - 1 - i;
    const std::size_t to = whole.size() - 1 - i;
    if (operand[from] == whole[to]) frame[from] = result[to];
  }
  return frame;
}

}  // namespace

int Program::edge_tensor(int edge) const {
  const Edge& e = network_->edges[at(edge)];
  const std::vector<int>& edges = network_->nodes[at(e.to)].in_edges;
  const auto number = std::find(edges.begin(), edges.end(), edge) - edges.begin();
  return nodes_[at(e.to)].entries[static_cast<std::size_t>(number)];
}

Lists Program::input_lists(int edge, const Lists& lists) const {
  const Node& to = network_->nodes[at(network_->edges[at(edge)].to)];
  const Grid& g = grid(edge_tensor(edge));
  const Indices& columns = to.kind == NodeKind::kLayer ? lists.in : lists.out;
  const std::int64_t grains = to.kind == NodeKind::kLayer ? to.in_columns : to.out_columns;
  return {g.rows() == to.rows ? lists.rows : counted(g.rows()),
          g.columns() == grains ? columns : counted(g.columns()),
          {}};
}

Lists Program::output_lists(int v, const Lists& lists) const {
  const Node& n = network_->nodes[at(v)];
  const Grid& g = grid(node(v).exit);
  return {g.rows() == n.rows ? lists.rows : counted(g.rows()),
          {},
          g.columns() == n.out_columns ? lists.out : counted(g.columns())};
}

Frame Program::activation_frame(int v, int tensor, bool inside, const Lists& lists) const {
  const Node& n = network_->nodes[at(v)];
  const Grid& g = grid(tensor);
  const bool input_side = n.kind == NodeKind::kLayer && !inside;
  const Indices& columns = input_side ? lists.in : lists.out;
  const std::int64_t grains = input_side ? n.in_columns : n.out_columns;
  return g.frame(g.rows() == n.rows ? lists.rows : counted(g.rows()),
                 g.columns() == grains ? columns : counted(g.columns()));
}

// Where a parameter, a constant or fed data is cut, from what the operator makes of it.
Frame Program::operand_frame(int v, const Step& step, std::size_t input, const Frame& result,
                             const Lists& lists) const {
  const model::Operator& op = graph_->operators[at(step.op)];
  const Node& n = network_->nodes[at(v)];
  const int tensor = op.inputs[input];
  const model::Shape& shape = graph_->tensors[at(tensor)].shape;
  const model::Shape& whole = graph_->tensors[at(op.outputs[at(step.output)])].shape;
  Frame frame = whole_frame(shape);
  // The positions of a layer's input along the axis that it contracts.
  const auto contracted = [&](int data, std::size_t axis) {
    if (tracker_->activation(data)) return activation_frame(v, data, false, lists)[axis];
    return pieces(graph_->tensors[at(data)].shape[axis], n.in_columns, lists.in);
  };
  if (op.type == "Conv") {
    if (input == 0) {
      frame[0] = result[0];
      frame[1] = contracted(tensor, 1);
    } else {
      frame[0] = result[1];
      if (input == 1 && op.integer("group", 1) == 1) frame[1] = contracted(op.inputs[0], 1);
    }
    return frame;
  }
  if ((op.type == "Gemm" || op.type == "MatMul") && n.kind == NodeKind::kLayer && input < 2) {
    const bool gemm = op.type == "Gemm";
    const bool turned = gemm && op.integer(input == 0 ? "transA" : "transB", 0) != 0;
    const std::size_t rank = shape.size();
    const std::size_t inner = (input == 0) == turned ? rank - 2 : rank - 1;
    const std::size_t outer = (input == 0) == turned ? rank - 1 : rank - 2;
    const int other = op.inputs[1 - input];
    const std::size_t other_rank = graph_->tensors[at(other)].shape.size();
    const bool other_turned = gemm && op.integer(input == 0 ? "transB" : "transA", 0) != 0;
    const std::size_t other_inner = (input == 1) == other_turned ? other_rank - 2 : other_rank - 1;
    for (std::size_t i = 0; i + 2 < rank && rank == whole.size(); ++i) {
      if (shape[i] == whole[i]) frame[i] = result[i];
    }
    frame[outer] = result[whole.size() - (input == 0 ? 2 : 1)];
    const bool other_data = other >= 0 && !fixed(other);
    if (fixed(tensor) && other_data) frame[inner] = contracted(other, other_inner);
    if (!fixed(tensor)) frame[inner] = contracted(tensor, inner);
    return frame;
  }
  if (op.type == "Gather" && n.kind == NodeKind::kLayer) {
    const std::size_t picked = graph_->tensors[at(op.inputs[1])].shape.size();
    if (input == 1) return {result.begin(), result.begin() + static_cast<std::ptrdiff_t>(picked)};
    for (std::size_t i = 1; i < shape.size(); ++i) frame[i] = result[picked + i - 1];
    return frame;
  }
  if (op.type == "Einsum") return einsum_frame(*graph_, op, input, result);
  if (op.type == "BatchNormalization") {
    frame[0] = result[1];
    return frame;
  }
  if (op.type == "Gather" || op.type == "Slice" || op.type == "Reshape") return frame;
  return aligned_right(shape, whole, result);
}

Frame Program::parameter_frame(int v, const Parameter& parameter, const Lists& lists) const {
  const Step& step = node(v).steps[parameter.step];
  const int output = graph_->operators[at(step.op)].outputs[at(step.output)];
  return operand_frame(v, step, parameter.input, activation_frame(v, output, step.inside, lists),
                       lists);
}

void Program::execute(int v, const Lists& lists, bool first, const std::vector<Block>& inputs,
                      Arrays& tensors, std::vector<Invocation>& calls,
                      std::vector<std::vector<Array>>& operands) const {
  const NodeProgram& n = node(v);
  Frames frames;
  for (std::size_t i = 0; i < n.entries.size(); ++i) {
    tensors[n.entries[i]] = grid(n.entries[i]).to_array(inputs[i]);
    frames[n.entries[i]] = grid(n.entries[i]).frame(inputs[i].rows, inputs[i].columns);
  }
  operands.resize(n.steps.size());
  for (std::size_t s = 0; s < n.steps.size(); ++s) {
    const Step& step = n.steps[s];
    const model::Operator& op = graph_->operators[at(step.op)];
    const int output = op.outputs[at(step.output)];
    Invocation call{graph_, &op, step.output, {}, {}, {}};
    call.result = activation_frame(v, output, step.inside, lists);
    operands[s].resize(op.inputs.size());
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      const int input = op.inputs[i];
      const bool here = input >= 0 && tensors.contains(input);
      if (input < 0) {
        call.inputs.push_back(nullptr);
        call.frames.emplace_back();
        continue;
      }
      if (here) {
        call.inputs.push_back(&tensors.at(input));
        call.frames.push_back(frames.at(input));
        continue;
      }
      call.frames.push_back(operand_frame(v, step, i, call.result, lists));
      operands[s][i] = cut(values_[at(input)], whole_frame(graph_->tensors[at(input)].shape),
                           call.frames.back());
      const bool offset = !first && step.inside && operand_kind(op, i) == Operand::kOffset;
      if (offset) std::fill(operands[s][i].values.begin(), operands[s][i].values.end(), 0.0);
      call.inputs.push_back(&operands[s][i]);
    }
    frames[output] = call.result;
    tensors[output] = forward(call);
    calls.push_back(std::move(call));
  }
}

Block Program::run(int v, const Lists& lists, bool first, const std::vector<Block>& inputs) const {
  Arrays tensors;
  std::vector<Invocation> calls;
  std::vector<std::vector<Array>> operands;
  execute(v, lists, first, inputs, tensors, calls, operands);
  const Lists out = output_lists(v, lists);
  return grid(node(v).exit).to_block(tensors.at(node(v).exit), out.rows, out.out);
}

NodeGradients Program::run_back(int v, const Lists& lists, bool first,
                                const std::vector<Block>& inputs, const Block& gradient) const {
  const NodeProgram& n = node(v);
  Arrays tensors;
  std::vector<Invocation> calls;
  std::vector<std::vector<Array>> operands;
  execute(v, lists, first, inputs, tensors, calls, operands);
  Arrays gradients;
  gradients[n.exit] = grid(n.exit).to_array(gradient);
  NodeGradients result;
  result.parameters.resize(n.parameters.size());
  for (std::size_t s = n.steps.size(); s-- > 0;) {
    const model::Operator& op = *calls[s].op;
    const int output = op.outputs[at(n.steps[s].output)];
    if (!gradients.contains(output)) continue;
    std::vector<bool> wanted;
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      const int input = op.inputs[i];
      wanted.push_back(input >= 0 && (trained(input) || tensors.contains(input)));
    }
    std::vector<Array> parts = backward(calls[s], tensors.at(output), gradients.at(output), wanted);
    for (std::size_t p = 0; p < n.parameters.size(); ++p) {
      if (n.parameters[p].step == s) result.parameters[p] = parts[n.parameters[p].input];
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const int input = op.inputs[i];
      if (!wanted[i] || !tensors.contains(input)) continue;
      const auto [known, added] = gradients.try_emplace(input, parts[i]);
      if (added) continue;
      for (std::size_t e = 0; e < parts[i].values.size(); ++e) {
        known->second.values[e] += parts[i].values[e];
      }
    }
  }
  for (std::size_t i = 0; i < n.entries.size(); ++i) {
    const bool flows = network_->edges[at(network_->nodes[at(v)].in_edges[i])].gradient;
    if (!flows) {
      result.inputs.emplace_back();
    } else {
      result.inputs.push_back(
          grid(n.entries[i])
              .to_block(gradients.at(n.entries[i]), inputs[i].rows, inputs[i].columns));
    }
  }
  return result;
}

}  // namespace penstock::partition::internal
