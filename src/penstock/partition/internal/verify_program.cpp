#include "penstock/partition/internal/verify_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "penstock/core/check.h"
#include "penstock/core/random.h"
#include "penstock/partition/internal/lowering_drafts.h"

namespace penstock::partition::internal {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

// The steps of one draft in the order of the graph, without what is computed from constants.
std::vector<Step> steps_of(const model::Graph& graph, const Tracker& tracker, const Drafts& drafts,
                           std::size_t draft) {
  std::vector<int> operators = drafts.drafts[draft].node.operators;
  std::sort(operators.begin(), operators.end());
  std::vector<Step> steps;
  for (const int i : operators) {
    const model::Operator& op = graph.operators[at(i)];
    if (op.outputs.empty() || tracker.origin(op.outputs[0]) == Origin::kFixed) continue;
    Step step{i, 0, true};
    for (std::size_t k = 0; k < op.outputs.size(); ++k) {
      const bool ours =
          op.outputs[k] >= 0 && drafts.writer[at(op.outputs[k])] == static_cast<int>(draft);
      if (op.type == "Split" && ours) step.output = static_cast<int>(k);
    }
    steps.push_back(step);
  }
  return steps;
}

}  // namespace

Lists whole_lists(const Node& node) {
  return {counted(node.rows), counted(node.in_columns), counted(node.out_columns)};
}

Result<Program> Program::build(const model::Graph& graph, const Network& network,
                               const std::vector<bool>& partial, std::uint64_t seed) {
  Program program;
  program.graph_ = &graph;
  program.network_ = &network;
  PENSTOCK_TRY_STATUS(program.gather_nodes(partial));
  program.draw(seed);
  PENSTOCK_TRY_STATUS(program.run_whole());
  program.run_whole_back(seed);
  return program;
}

Status Program::check_operator(int i) const {
  const model::Operator& op = graph_->operators[at(i)];
  const std::string place = graph_->source + ": operator " + op.name;
  if (const std::string why = obstacle(*graph_, op); !why.empty()) {
    return core::negative(place, "verify cannot execute " + op.type + ": " + why,
                          "its plan can still be priced; verify a network without it");
  }
  for (const int input : op.inputs) {
    if (input < 0 || !fixed(input) || graph_->tensors[at(input)].producer < 0) continue;
    if (depends_on_parameters(input)) {
      return core::negative(place, "verify cannot execute a parameter that operators compute",
                            "fold " + graph_->tensors[at(input)].name + " when exporting");
    }
  }
  return {};
}

// Where a node may leave partial sums, moves the steps that must wait for them to its consumer.
// Gives the number of steps that stay.
Result<std::size_t> Program::offload(NodeProgram& node, const Node& source, bool partial) const {
  std::size_t stay = node.steps.size();
  if (!partial || source.kind != NodeKind::kLayer) return stay;
  for (std::size_t s = 1; s < node.steps.size() && stay == node.steps.size(); ++s) {
    const model::Operator& op = graph_->operators[at(node.steps[s].op)];
    const auto data = std::count_if(op.inputs.begin(), op.inputs.end(),
                                    [&](int tensor) { return tensor >= 0 && !fixed(tensor); });
    if (!linear(op) || data != 1) stay = s;
  }
  for (std::size_t s = stay; s < node.steps.size(); ++s) {
    const model::Operator& op = graph_->operators[at(node.steps[s].op)];
    for (const int input : op.inputs) {
      if (input < 0 || !trained(input)) continue;
      return core::negative(
          graph_->source + ": operator " + op.name,
          "verify cannot execute parameters after the activation of a layer of type II",
          "plan the layer with another type");
    }
  }
  return stay;
}

Status Program::gather_nodes(const std::vector<bool>& partial) {
  tracker_ = std::make_shared<Tracker>(*graph_);
  const Drafts drafts = draft_nodes(*graph_, *tracker_);
  for (std::size_t t = 0; t < graph_->tensors.size(); ++t) {
    const Placement placement = tracker_->placement(static_cast<int>(t));
    grids_.emplace_back(placement,
                        placement.channels >= 0 ? tracker_->grains(placement.channels) : 1);
  }
  std::set<int> order;
  std::size_t draft = 0;
  std::map<int, std::vector<Step>> waiting;  // by tensor: the steps that finish it
  std::map<int, int> finished;               // by tensor: what it is before them
  for (std::size_t v = 0; v < network_->nodes.size(); ++v) {
    const Node& source = network_->nodes[v];
    NodeProgram node;
    if (source.kind == NodeKind::kCopy) {
      node.entries = {drafts.drafts[draft - 1].writes};
      node.exit = node.entries[0];
    } else {
      node.steps = steps_of(*graph_, *tracker_, drafts, draft);
      node.entries = drafts.drafts[draft].reads;
      node.exit = drafts.drafts[draft].writes;
      if (source.out_edges.empty()) last_.push_back(node.exit);
      ++draft;
      for (const Step& step : node.steps) {
        PENSTOCK_TRY_STATUS(check_operator(step.op));
        order.insert(step.op);
        if (graph_->operators[at(step.op)].type == "BatchNormalization") has_batch_norm_ = true;
      }
      PENSTOCK_TRY(const std::size_t stay, offload(node, source, partial[v]));
      if (stay < node.steps.size()) {
        const Step& last = node.steps[stay - 1];
        finished[node.exit] = graph_->operators[at(last.op)].outputs[at(last.output)];
        for (std::size_t s = stay; s < node.steps.size(); ++s) {
          waiting[node.exit].push_back({node.steps[s].op, node.steps[s].output, false});
        }
        node.exit = finished[node.exit];
        node.steps.resize(stay);
      }
    }
    // A copy finishes the tensor for all who read it.
    for (int& entry : node.entries) {
      const auto found = waiting.find(entry);
      if (found == waiting.end()) continue;
      node.steps.insert(node.steps.begin(), found->second.begin(), found->second.end());
      const int whole = entry;
      entry = finished.at(entry);
      waiting.erase(whole);
    }
    for (std::size_t s = 0; s < node.steps.size(); ++s) {
      const model::Operator& op = graph_->operators[at(node.steps[s].op)];
      for (std::size_t i = 0; i < op.inputs.size(); ++i) {
        if (op.inputs[i] < 0 || !trained(op.inputs[i])) continue;
        node.parameters.push_back({s, i, op.inputs[i], operand_kind(op, i)});
      }
    }
    nodes_.push_back(std::move(node));
  }
  order_.assign(order.begin(), order.end());
  return {};
}

bool Program::trained(int tensor) const {
  const model::Tensor& t = graph_->tensors[at(tensor)];
  return t.kind == model::TensorKind::kParameter && t.type == model::ElementType::kFloat;
}

bool Program::depends_on_parameters(int tensor) const {
  if (tensor < 0) return false;
  const model::Tensor& t = graph_->tensors[at(tensor)];
  if (t.kind == model::TensorKind::kParameter) return true;
  if (t.producer < 0) return false;
  const std::vector<int>& inputs = graph_->operators[at(t.producer)].inputs;
  return std::any_of(inputs.begin(), inputs.end(),
                     [&](int input) { return depends_on_parameters(input); });
}

// Integers are taken as numbers of items to pick; how many there are.
std::int64_t Program::integer_bound(int tensor) const {
  std::int64_t bound = 2;
  for (const int reader : graph_->tensors[at(tensor)].consumers) {
    const model::Operator& op = graph_->operators[at(reader)];
    if (op.type == "Gather" && op.inputs[0] >= 0 && op.inputs.size() > 1 &&
        op.inputs[1] == tensor) {
      bound = graph_->tensors[at(op.inputs[0])].shape.front();
    }
  }
  return bound;
}

// Inputs and parameters are random; a graph keeps no values of them.
void Program::draw(std::uint64_t seed) {
  values_.resize(graph_->tensors.size());
  gradients_.resize(graph_->tensors.size());
  for (std::size_t t = 0; t < graph_->tensors.size(); ++t) {
    const model::Tensor& tensor = graph_->tensors[t];
    const bool leaf = tensor.kind != model::TensorKind::kActivation || fixed(static_cast<int>(t));
    if (!leaf) continue;
    core::RandomStream random(seed, "verify/" + std::to_string(t));
    Array& array = values_[t];
    array = zeros(whole_frame(tensor.shape));
    if (!tensor.value.empty()) {
      for (std::size_t i = 0; i < array.values.size() && i < tensor.value.size(); ++i)
        array.values[i] = static_cast<double>(tensor.value[i]);
      continue;
    }
    const bool integer = tensor.type != model::ElementType::kFloat;
    const std::int64_t bound = integer ? integer_bound(static_cast<int>(t)) : 1;
    // Keeps the values of deep networks near 1: the variance of a sum over a matrix's inputs is 1.
    const auto fan_in = static_cast<double>(
        tensor.shape.size() < 2
            ? 1
            : model::elements(tensor.shape) / std::max<std::int64_t>(1, tensor.shape.front()));
    const bool matrix = tensor.kind == model::TensorKind::kParameter && tensor.shape.size() >= 2;
    const bool positive = tensor.kind == model::TensorKind::kStatistic ||
                          tensor.kind == model::TensorKind::kConstant ||
                          tensor.kind == model::TensorKind::kActivation;
    for (double& v : array.values) {
      if (integer) {
        v = static_cast<double>(random.below(static_cast<std::uint64_t>(bound)));
      } else if (positive) {
        v = 0.5 + random.uniform();
      } else {
        v = random.normal() * (matrix ? std::sqrt(1 / fan_in) : 1.0);
      }
    }
  }
}

Status Program::run_whole() {
  std::set<int> ours(order_.begin(), order_.end());
  for (std::size_t i = 0; i < graph_->operators.size(); ++i) {
    const model::Operator& op = graph_->operators[i];
    const bool fed = !op.outputs.empty() && op.outputs[0] >= 0 &&
                     tracker_->origin(op.outputs[0]) == Origin::kFed;
    if (!ours.contains(static_cast<int>(i)) && !fed) continue;
    if (fed && !obstacle(*graph_, op).empty()) continue;
    for (std::size_t k = 0; k < op.outputs.size(); ++k) {
      if (op.outputs[k] < 0 || (k > 0 && op.type != "Split")) continue;
      Invocation call{graph_, &op, static_cast<int>(k), {}, {}, {}};
      for (const int input : op.inputs) {
        if (input >= 0 && values_[at(input)].values.empty()) {
          return core::negative(
              graph_->source + ": operator " + op.name,
              "verify cannot execute what makes its input " + graph_->tensors[at(input)].name,
              "feed that tensor to the graph instead");
        }
        call.inputs.push_back(input < 0 ? nullptr : &values_[at(input)]);
        call.frames.push_back(input < 0 ? Frame() : whole_frame(graph_->tensors[at(input)].shape));
      }
      call.result = whole_frame(graph_->tensors[at(op.outputs[k])].shape);
      values_[at(op.outputs[k])] = forward(call);
    }
  }
  return {};
}

void Program::run_whole_back(std::uint64_t seed) {
  for (std::size_t t = 0; t < gradients_.size(); ++t) {
    const auto& tensor = graph_->tensors[t];
    const auto id = static_cast<int>(t);
    const bool flows = trained(id) || (tensor.kind == model::TensorKind::kActivation &&
                                       tracker_->origin(id) == Origin::kActivation);
    if (flows) gradients_[t] = zeros(whole_frame(tensor.shape));
  }
  // The loss is the sum of the last tensors, each times fixed random numbers.
  for (const int last : last_) {
    core::RandomStream random(seed, "verify/loss/" + std::to_string(last));
    for (double& v : gradients_[at(last)].values) v = random.normal();
  }
  for (std::size_t n = order_.size(); n-- > 0;) {
    const model::Operator& op = graph_->operators[at(order_[n])];
    for (std::size_t k = 0; k < op.outputs.size(); ++k) {
      if (op.outputs[k] < 0 || (k > 0 && op.type != "Split")) continue;
      Invocation call{graph_, &op, static_cast<int>(k), {}, {}, {}};
      std::vector<bool> wanted;
      for (const int input : op.inputs) {
        call.inputs.push_back(input < 0 ? nullptr : &values_[at(input)]);
        call.frames.push_back(input < 0 ? Frame() : whole_frame(graph_->tensors[at(input)].shape));
        wanted.push_back(input >= 0 && !gradients_[at(input)].values.empty());
      }
      call.result = whole_frame(graph_->tensors[at(op.outputs[k])].shape);
      const std::vector<Array> parts =
          backward(call, values_[at(op.outputs[k])], gradients_[at(op.outputs[k])], wanted);
      for (std::size_t i = 0; i < parts.size(); ++i) {
        if (!wanted[i]) continue;
        std::vector<double>& sum = gradients_[at(op.inputs[i])].values;
        for (std::size_t e = 0; e < sum.size(); ++e) sum[e] += parts[i].values[e];
      }
    }
  }
}

}  // namespace penstock::partition::internal
