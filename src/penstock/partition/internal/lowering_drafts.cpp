#include "penstock/partition/internal/lowering_drafts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace penstock::partition::internal {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

Choices layouts(const Rule& rule) {
  Choices choices = choice(Layout::kReplicated);
  if (rule.rows) choices |= choice(Layout::kRows);
  if (rule.channels) choices |= choice(Layout::kColumns);
  return choices;
}

Choices types(const Rule& rule) {
  Choices choices = choice(Type::kBatch);
  if (rule.grouped) choices |= choice(Type::kGroup);
  if (rule.channels) choices |= choice(Type::kIn);
  if (rule.out_channels) choices |= choice(Type::kOut);
  return choices;
}

class Drafting {
 public:
  Drafting(const model::Graph& graph, Tracker& tracker)
      : graph_(graph), tracker_(tracker), live_(graph.operators.size(), false) {
    result_.writer.assign(graph.tensors.size(), -1);
    mark_live();
    settled_.assign(graph.operators.size(), false);
    for (std::size_t i = 0; i < live_.size(); ++i)
      if (live_[i]) settled_[i] = tracker.settle(graph.operators[i]);
    count_readers();
  }

  Drafts run() {
    std::vector<bool> nodes = live_;
    for (std::size_t i = 0; i < nodes.size(); ++i) nodes[i] = live_[i] && !settled_[i];
    regions_ = find_regions(graph_, tracker_, nodes, region_of_);
    done_.assign(graph_.operators.size(), false);
    fixed_parts_.resize(graph_.tensors.size());
    for (std::size_t i = 0; i < live_.size(); ++i) {
      const int op = static_cast<int>(i);
      if (!live_[i] || done_[i]) continue;
      if (settled_[i]) {
        collect_fixed(op);
      } else if (region_of_[i] >= 0) {
        add_region(regions_[at(region_of_[i])]);
      } else if (relayout(op)) {
        add_chain(op);
      } else {
        add_operator(op);
      }
    }
    return std::move(result_);
  }

 private:
  const model::Operator& op(int i) const { return graph_.operators[at(i)]; }
  const model::Tensor& tensor(int i) const { return graph_.tensors[at(i)]; }
  bool relayout(int i) const { return trait(op(i)).family == Family::kRelayout; }

  void mark_live() {
    std::vector<bool> needed(graph_.tensors.size(), false);
    for (const int output : graph_.outputs) needed[at(output)] = true;
    for (std::size_t i = live_.size(); i-- > 0;) {
      for (const int output : graph_.operators[i].outputs)
        if (output >= 0 && needed[at(output)]) live_[i] = true;
      if (!live_[i]) continue;
      for (const int input : graph_.operators[i].inputs)
        if (input >= 0) needed[at(input)] = true;
    }
    needed_ = std::move(needed);
  }

  void count_readers() {
    readers_.resize(graph_.tensors.size());
    for (std::size_t i = 0; i < live_.size(); ++i) {
      if (!live_[i] || settled_[i]) continue;
      for (const int input : graph_.operators[i].inputs)
        if (input >= 0) readers_[at(input)].insert(static_cast<int>(i));
    }
    kept_.assign(graph_.tensors.size(), false);
    for (const int output : graph_.outputs) kept_[at(output)] = true;
  }

  // True if one operator reads the tensor and nothing else needs it.
  bool single(int t) const { return readers_[at(t)].size() == 1 && !kept_[at(t)]; }

  // What is computed from parameters alone belongs to whoever reads it.
  void collect_fixed(int i) {
    const int result = op(i).outputs.empty() ? -1 : op(i).outputs[0];
    if (result < 0 || tracker_.origin(result) != Origin::kFixed) return;
    std::vector<int> parts = {i};
    for (const int input : op(i).inputs) {
      if (input < 0) continue;
      const std::vector<int> from = std::exchange(fixed_parts_[at(input)], {});
      parts.insert(parts.end(), from.begin(), from.end());
    }
    fixed_parts_[at(result)] = std::move(parts);
  }

  void add_part(Draft& draft, int i) {
    draft.node.operators.push_back(i);
    draft.node.macs += op(i).macs;
    draft.node.vectors += op(i).parameters;
    for (const int input : op(i).inputs) {
      if (input < 0) continue;
      for (const int part : std::exchange(fixed_parts_[at(input)], {})) {
        draft.node.operators.push_back(part);
        draft.node.macs += op(part).macs;
        draft.node.vectors += op(part).parameters;
      }
    }
    done_[at(i)] = true;
  }

  void add_reads(Draft& draft, int i) const {
    for (const int input : op(i).inputs) {
      if (!tracker_.activation(input)) continue;
      if (std::find(draft.reads.begin(), draft.reads.end(), input) == draft.reads.end())
        draft.reads.push_back(input);
    }
  }

  // Joins operators to the node that writes what they read, if they may be.
  bool absorb(const Rule& rule, int source, const std::vector<int>& operators, int written) {
    const int writer = tracker_.activation(source) ? result_.writer[at(source)] : -1;
    if (!rule.absorbable || writer < 0 || !single(source)) return false;
    if (model::elements(tensor(source).shape) != model::elements(tensor(written).shape))
      return false;
    Draft& draft = result_.drafts[at(writer)];
    for (const int i : operators) add_part(draft, i);
    draft.writes = written;
    result_.writer[at(written)] = writer;
    return true;
  }

  void add_chain(int first) {
    std::vector<int> chain = {first};
    for (int t = op(first).outputs[0]; single(t); t = op(chain.back()).outputs[0]) {
      const int next = *readers_[at(t)].begin();
      if (!relayout(next) || region_of_[at(next)] >= 0 || op(next).inputs[0] != t) break;
      chain.push_back(next);
    }
    const int source = op(first).inputs[0];
    const int last = op(chain.back()).outputs[0];
    const Rule rule = tracker_.visit_chain(chain);
    if (absorb(rule, source, chain, last)) return;
    Draft draft;
    for (const int i : chain) add_part(draft, i);
    if (tracker_.activation(source)) draft.reads = {source};
    finish(std::move(draft), rule, first, last);
  }

  void add_region(const Region& region) {
    Draft draft;
    Rule whole;
    whole.rows = whole.channels = true;
    for (const int i : region.operators) {
      const Rule rule = tracker_.visit(op(i), 0);
      whole.rows = whole.rows && rule.rows;
      whole.channels = whole.channels && rule.channels;
      add_part(draft, i);
    }
    whole.out = tracker_.placement(region.exit);
    draft.reads = {region.entry};
    draft.region_entry = region.entry;
    finish(std::move(draft), whole, region.operators.front(), region.exit);
  }

  void add_operator(int i) {
    std::vector<int> live_outputs;
    for (std::size_t k = 0; k < op(i).outputs.size(); ++k)
      if (op(i).outputs[k] >= 0 && needed_[at(op(i).outputs[k])])
        live_outputs.push_back(static_cast<int>(k));
    const bool split = trait(op(i)).family == Family::kSplit;
    for (const int k : live_outputs) {
      const int written = op(i).outputs[at(k)];
      const Rule rule = tracker_.visit(op(i), k);
      const bool main = k == live_outputs.front();
      if (main && live_outputs.size() == 1) {
        const int source = op(i).inputs.empty() ? -1 : absorbing_input(i);
        if (absorb(rule, source, {i}, written)) return;
      }
      Draft draft;
      if (main || split) {
        if (main) add_part(draft, i);
        if (!main) draft.node.operators = {i};
        add_reads(draft, i);
      } else {
        // A second result (the last state of a recurrent layer) is handed on by a node of its own.
        draft.node.operators = {i};
        draft.reads = {op(i).outputs[at(live_outputs.front())]};
      }
      Rule own = rule;
      if (!main && !split) own.form = Rule::Form::kGlue;
      if (!main && !split) own.channels = false;
      // A second activation (an initial state, a computed bias) is read by rows.
      if (own.form == Rule::Form::kLayer && draft.reads.size() > 1)
        own.channels = own.out_channels = own.grouped = false;
      finish(std::move(draft), own, i, written, main ? -1 : k);
      // More than one node reads the first result then, whoever else does.
      if (main && !split && live_outputs.size() > 1) kept_[at(written)] = true;
    }
  }

  int absorbing_input(int i) const {
    for (const int input : op(i).inputs)
      if (tracker_.activation(input)) return input;
    return -1;
  }

  void finish(Draft draft, const Rule& rule, int main, int written, int output = -1) {
    Node& node = draft.node;
    node.name = op(main).name;
    if (output >= 0) node.name += fmt::format(":{}", output);
    node.type = op(main).type;
    node.rows = rule.rows || rule.out.rows ? graph_.batch : 1;
    draft.rule = rule;
    // Without the batch there is no type I: such a layer runs unsplit.
    const bool layer = rule.form == Rule::Form::kLayer && rule.rows;
    node.kind = layer ? NodeKind::kLayer : NodeKind::kGlue;
    node.choices = layer ? types(rule) : layouts(rule);
    if (rule.form == Rule::Form::kLayer && !layer) node.choices = choice(Layout::kReplicated);
    if (layer) {
      node.weights = rule.weights;
      node.vectors = std::max<std::int64_t>(0, node.vectors - rule.weights);
    }
    if (node.choices == choice(Layout::kReplicated) && !layer) {
      node.barrier = true;
      const bool unknown = trait(op(main)).family == Family::kUnknown;
      result_.warnings.push_back(fmt::format(
          "{}: operator {} ({}) runs unsplit, on whole tensors: {}", graph_.source, op(main).name,
          op(main).type,
          unknown ? "no rule for it" : "neither its batch nor its channels can be followed"));
    }
    node.out_elements = model::elements(tensor(written).shape);
    draft.writes = written;
    result_.writer[at(written)] = static_cast<int>(result_.drafts.size());
    result_.drafts.push_back(std::move(draft));
  }

  const model::Graph& graph_;
  Tracker& tracker_;
  std::vector<bool> live_;
  std::vector<bool> settled_;
  std::vector<bool> needed_;
  std::vector<bool> done_;
  std::vector<bool> kept_;  // per tensor: an output of the graph
  std::vector<std::set<int>> readers_;
  std::vector<std::vector<int>> fixed_parts_;  // per tensor: operators without a node so far
  std::vector<Region> regions_;
  std::vector<int> region_of_;
  Drafts result_;
};

// Tensors whose elements are those of another.
int viewed(const model::Graph& graph, const Tracker& tracker, int tensor) {
  while (tensor >= 0 && graph.tensors[at(tensor)].producer >= 0) {
    const model::Operator& op = graph.operators[at(graph.tensors[at(tensor)].producer)];
    if (trait(op).family != Family::kRelayout || !tracker.activation(op.inputs[0])) break;
    tensor = op.inputs[0];
  }
  return tensor;
}

std::vector<int> kept_by(const model::Operator& op, const Tracker& tracker) {
  std::vector<int> operands;
  for (const int input : op.inputs)
    if (input >= 0 && tracker.origin(input) != Origin::kFixed) operands.push_back(input);
  switch (trait(op).keeps) {
    case Keeps::kNothing:
      return {};
    case Keeps::kOutput:
      return {op.outputs[0]};
    case Keeps::kInput:
      // In inference a batch norm is a scale and a shift; only a trained scale needs its input.
      if (trait(op).family == Family::kBatchNorm && op.parameters == 0) return {};
      if (!operands.empty()) operands.resize(1);
      return operands;
    case Keeps::kFactors:
      if (operands.size() < 2 && op.parameters == 0) return {};
      return operands;
  }
  return {};
}

}  // namespace

Drafts draft_nodes(const model::Graph& graph, Tracker& tracker) {
  return Drafting(graph, tracker).run();
}

void count_stash(const model::Graph& graph, const Tracker& tracker, Drafts& drafts) {
  std::set<int> counted;
  const auto keep = [&](Draft& draft, int tensor) {
    tensor = viewed(graph, tracker, tensor);
    if (tensor >= 0 && counted.insert(tensor).second)
      draft.node.stash += model::elements(graph.tensors[at(tensor)].shape);
  };
  std::vector<bool> trained;  // something before it, or itself, has parameters
  for (Draft& draft : drafts.drafts) {
    bool any = draft.node.weights + draft.node.vectors > 0;
    for (const int read : draft.reads) any = any || trained[at(drafts.writer[at(read)])];
    trained.push_back(any);
    if (draft.node.kind != NodeKind::kLayer) continue;
    const model::Operator& main = graph.operators[at(draft.node.operators.front())];
    for (const int input : main.inputs)
      if (input >= 0 && tracker.origin(input) != Origin::kFixed) keep(draft, input);
    // The gates of every step, and the state where it is not the output.
    const std::int64_t gates = main.type == "LSTM" ? 5 : main.type == "GRU" ? 4 : 0;
    draft.node.stash += gates * draft.node.out_elements;
  }
  // Then the operators that nodes stand for, and last what they absorbed: a Relu's output is kept
  // by the pool that reads it.
  for (const bool absorbed : {false, true}) {
    for (std::size_t d = 0; d < drafts.drafts.size(); ++d) {
      Draft& draft = drafts.drafts[d];
      if (!trained[d]) continue;
      if (draft.region_entry >= 0) {
        keep(draft, draft.region_entry);
        continue;
      }
      const std::vector<int>& operators = draft.node.operators;
      const bool layer = draft.node.kind == NodeKind::kLayer;
      const std::size_t from = absorbed ? 1 : 0;
      const std::size_t to = absorbed ? operators.size() : layer ? 0 : 1;
      for (std::size_t i = from; i < to; ++i)
        for (const int tensor : kept_by(graph.operators[at(operators[i])], tracker))
          keep(draft, tensor);
    }
  }
}

}  // namespace penstock::partition::internal
