#include "penstock/model/internal/assemble.h"

#include <algorithm>
#include <unordered_set>

namespace penstock::model::internal {
namespace {

bool is_anonymous_operand(const std::string& name) {
  constexpr std::string_view kPrefix = "onnx::Conv_";
  return name.starts_with(kPrefix) && name.size() > kPrefix.size() &&
         std::all_of(name.begin() + kPrefix.size(), name.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

class Assembler {
 public:
  Assembler(const GraphIndex& index, const Roles& roles, Pass pass)
      : index_(index),
        roles_(roles),
        pass_(std::move(pass)),
        ids_(index.tensors.size(), -1),
        is_counted_(index.tensors.size(), false),
        seen_(index.tensors.size(), 0) {}

  Graph assemble() {
    graph_.name = printable(index_.wire->name);
    graph_.source = index_.wire->file;
    graph_.batch = pass_.batch;
    graph_.warnings = roles_.warnings;
    graph_.warnings.insert(graph_.warnings.end(), pass_.warnings.begin(), pass_.warnings.end());
    for (const WireNode& node : index_.wire->nodes) ++graph_.operator_counts[printable(node.type)];
    for (std::size_t id = 0; id < index_.tensors.size(); ++id) {
      if (roles_.is_data[id]) data_inputs_.push_back(static_cast<int>(id));
    }
    std::sort(data_inputs_.begin(), data_inputs_.end(), [&](int a, int b) {
      return index_.tensors[static_cast<std::size_t>(a)].input <
             index_.tensors[static_cast<std::size_t>(b)].input;
    });
    for (const int id : data_inputs_) graph_.inputs.push_back(tensor(id));
    for (const int node : index_.order) {
      if (pass_.kept[static_cast<std::size_t>(node)]) add_operator(node);
    }
    for (const int output : index_.outputs) graph_.outputs.push_back(tensor(output));
    return std::move(graph_);
  }

 private:
  // The tensor's place in the graph, made at its first use.
  int tensor(int id) {
    int& place = ids_[static_cast<std::size_t>(id)];
    if (place >= 0) return place;
    const TensorState& state = pass_.tensors[static_cast<std::size_t>(id)];
    const IndexedTensor& indexed = index_.tensors[static_cast<std::size_t>(id)];
    place = static_cast<int>(graph_.tensors.size());
    Tensor made;
    made.name = printable(indexed.name);
    made.shape = state.shape;
    made.type = state.type;
    if (state.origin == Origin::kActivation) {
      made.kind = indexed.input >= 0 ? TensorKind::kInput : TensorKind::kActivation;
    } else {
      made.kind = TensorKind::kConstant;  // add_operands says which are parameters
      if (state.value && !state.value->is_real) made.value = state.value->integers;
      if (state.value && state.value->is_real) made.reals = state.value->reals;
    }
    graph_.tensors.push_back(std::move(made));
    return place;
  }

  void add_operator(int node) {
    const WireNode& wire = index_.wire->nodes[static_cast<std::size_t>(node)];
    Operator op;
    op.name = unique_name(wire);
    op.type = printable(wire.type);
    op.attributes = wire.attributes;
    op.macs = pass_.macs[static_cast<std::size_t>(node)];
    op.known = pass_.known[static_cast<std::size_t>(node)];
    add_operands(node, op);
    const int place = static_cast<int>(graph_.operators.size());
    for (const int output : index_.nodes[static_cast<std::size_t>(node)].outputs) {
      const bool known = output >= 0 && pass_.tensors[static_cast<std::size_t>(output)].known;
      op.outputs.push_back(known ? tensor(output) : -1);
      if (known) graph_.tensors[static_cast<std::size_t>(op.outputs.back())].producer = place;
    }
    if (has_folded_batch_norm(graph_, op)) {
      const std::int64_t channels =
          elements(graph_.tensors[static_cast<std::size_t>(op.inputs[2])].shape);
      op.parameters += channels;
      graph_.parameters += channels;
    }
    graph_.operators.push_back(std::move(op));
  }

  void add_operands(int node, Operator& op) {
    const std::vector<int>& inputs = index_.nodes[static_cast<std::size_t>(node)].inputs;
    const int place = static_cast<int>(graph_.operators.size());
    for (std::size_t slot = 0; slot < inputs.size(); ++slot) {
      const bool known =
          inputs[slot] >= 0 && pass_.tensors[static_cast<std::size_t>(inputs[slot])].known;
      op.inputs.push_back(known ? tensor(inputs[slot]) : -1);
      if (!known) continue;
      const TensorState& state = pass_.tensors[static_cast<std::size_t>(inputs[slot])];
      Tensor& operand = graph_.tensors[static_cast<std::size_t>(op.inputs.back())];
      if (operand.consumers.empty() || operand.consumers.back() != place) {
        operand.consumers.push_back(place);
      }
      if (state.origin == Origin::kActivation || state.type != ElementType::kFloat) continue;
      const Slot use = slot_for(op.type, slot, inputs);
      const bool is_trained =
          use == Slot::kWeight || (use == Slot::kData && state.origin == Origin::kParameter);
      if (use == Slot::kStatistic && operand.kind == TensorKind::kConstant) {
        operand.kind = TensorKind::kStatistic;
      } else if (is_trained) {
        operand.kind = TensorKind::kParameter;
        count_leaves(inputs[slot], use == Slot::kWeight, op);
      }
    }
  }

  // A matrix product of data and a made constant has that constant as its weights.
  static Slot slot_for(const std::string& type, std::size_t slot, const std::vector<int>& inputs) {
    if (type == "MatMul" && inputs.size() == 2) return Slot::kWeight;
    return slot_of(type, slot);
  }

  // Counts what `tensor` is made of, each leaf once in the whole graph. An Identity is a leaf of
  // its own: exporters of torch merge equal parameters and leave one Identity for each that they
  // drop.
  void count_leaves(int tensor, bool is_weight, Operator& op) {
    ++epoch_;
    std::vector<int> open{tensor};
    while (!open.empty()) {
      const int id = open.back();
      open.pop_back();
      const auto at = static_cast<std::size_t>(id);
      const TensorState& state = pass_.tensors[at];
      if (seen_[at] == epoch_ || state.type != ElementType::kFloat) continue;
      seen_[at] = epoch_;
      const int producer = index_.tensors[at].producer;
      const auto* node = producer < 0 ? nullptr : &index_.nodes[static_cast<std::size_t>(producer)];
      if (node != nullptr && !is_leaf_type(producer)) {
        for (const int input : node->inputs) {
          if (input >= 0) open.push_back(input);
        }
        continue;
      }
      // Beside a weight slot a made constant is trained too; elsewhere only what the file stores.
      if (is_counted_[at] || !(is_weight || state.origin == Origin::kParameter)) continue;
      is_counted_[at] = true;
      const std::int64_t count = saturating_elements(state.shape);
      op.parameters = saturating_add(op.parameters, count);
      graph_.parameters = saturating_add(graph_.parameters, count);
      graph_.parameters_in_graph = saturating_add(graph_.parameters_in_graph, count);
    }
  }

  bool is_leaf_type(int producer) const {
    const std::string& type = index_.wire->nodes[static_cast<std::size_t>(producer)].type;
    return type == "Identity" || type == "Constant" || type == "ConstantOfShape";
  }

  std::string unique_name(const WireNode& node) {
    std::string base = printable(node.name);
    if (base.empty() && !node.outputs.empty()) base = printable(node.outputs.front());
    if (base.empty()) base = printable(node.type);
    std::string name = base;
    for (int copy = 2; !names_.insert(name).second; ++copy) {
      name = base + "#" + std::to_string(copy);
    }
    return name;
  }

  const GraphIndex& index_;
  const Roles& roles_;
  Pass pass_;
  Graph graph_;
  std::vector<int> ids_;          // by tensor of the file: its place in the graph, or -1
  std::vector<bool> is_counted_;  // by tensor of the file
  std::vector<int> seen_;
  int epoch_ = 0;
  std::vector<int> data_inputs_;
  std::unordered_set<std::string> names_;
};

}  // namespace

Graph assemble(const GraphIndex& index, const Roles& roles, Pass pass) {
  return Assembler(index, roles, std::move(pass)).assemble();
}

bool has_folded_batch_norm(const Graph& graph, const Operator& op) {
  if (op.type != "Conv" || op.inputs.size() < 3 || op.inputs[1] < 0 || op.inputs[2] < 0) {
    return false;
  }
  const Tensor& weight = graph.tensors[static_cast<std::size_t>(op.inputs[1])];
  const Tensor& bias = graph.tensors[static_cast<std::size_t>(op.inputs[2])];
  return bias.kind == TensorKind::kParameter && is_anonymous_operand(weight.name) &&
         is_anonymous_operand(bias.name);
}

}  // namespace penstock::model::internal
