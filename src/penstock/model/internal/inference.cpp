#include "penstock/model/internal/inference.h"

#include <algorithm>

#include "penstock/model/internal/rules.h"

namespace penstock::model::internal {
namespace {

// Folded elements of a whole pass: a file cannot make us hold more.
constexpr std::int64_t kMaxFoldedInAll = 2'000'000;

bool is_made_of_shape(const std::string& type) { return type == "Shape" || type == "Size"; }

class Inference {
 public:
  Inference(const GraphIndex& index, const Roles& roles, const Pass* base,
            const BatchChange* change)
      : index_(index), roles_(roles), base_(base), change_(change) {}

  Result<Pass> run() {
    pass_.tensors.resize(index_.tensors.size());
    pass_.macs.assign(index_.nodes.size(), 0);
    pass_.kept.assign(index_.nodes.size(), false);
    pass_.known.assign(index_.nodes.size(), true);
    find_batch_symbol();
    for (std::size_t id = 0; id < index_.tensors.size(); ++id) {
      PENSTOCK_TRY_STATUS(add_leaf(id));
    }
    for (const int node : index_.order) PENSTOCK_TRY_STATUS(visit(node));
    PENSTOCK_TRY_STATUS(check_outputs());
    if (change_ != nullptr) PENSTOCK_TRY_STATUS(check_macs());
    return std::move(pass_);
  }

 private:
  TensorState& state(int tensor) { return pass_.tensors[static_cast<std::size_t>(tensor)]; }
  const TensorState& base_state(int tensor) const {
    return base_->tensors[static_cast<std::size_t>(tensor)];
  }
  const WireNode& wire_node(int node) const {
    return index_.wire->nodes[static_cast<std::size_t>(node)];
  }
  const IndexedNode& indexed(int node) const {
    return index_.nodes[static_cast<std::size_t>(node)];
  }

  // The symbol of the first data input's leading dimension, if it has one.
  void find_batch_symbol() {
    int first = -1;
    for (std::size_t id = 0; id < index_.tensors.size(); ++id) {
      const int input = index_.tensors[id].input;
      if (!roles_.is_data[id] || (first >= 0 && input > first)) continue;
      first = input;
      const std::vector<WireDimension>& shape = index_.tensors[id].declared->shape;
      pass_.has_batch = !shape.empty();
      if (shape.empty()) continue;
      batch_symbol_ = shape.front().size ? "" : shape.front().symbol;
      pass_.batch = shape.front().size.value_or(1);
      is_batch_fixed_ = shape.front().size.has_value();
    }
    old_batch_ = pass_.batch;
    if (change_ != nullptr) pass_.batch = change_->to;
  }

  bool is_batch(const WireDimension& dimension, std::size_t position) const {
    if (dimension.size) {
      return position == 0 && is_batch_fixed_ && *dimension.size == old_batch_;
    }
    if (is_batch_fixed_) return false;
    return batch_symbol_.empty() ? position == 0 : dimension.symbol == batch_symbol_;
  }

  Status add_leaf(std::size_t id) {
    const IndexedTensor& tensor = index_.tensors[id];
    TensorState& leaf = pass_.tensors[id];
    if (tensor.initializer >= 0) {
      const WireTensor& initializer =
          index_.wire->initializers[static_cast<std::size_t>(tensor.initializer)];
      leaf.known = true;
      leaf.shape = initializer.shape;
      leaf.type = initializer.type;
      leaf.value = initializer.value;
      // A single number is a bound, an exponent or a small addend, never a layer's weights.
      if (leaf.type == ElementType::kFloat && saturating_elements(leaf.shape) > 1) {
        leaf.origin = Origin::kParameter;
      }
    } else if (tensor.input >= 0) {
      PENSTOCK_TRY_STATUS(add_input(id));
    }
    return {};
  }

  Status add_input(std::size_t id) {
    const IndexedTensor& tensor = index_.tensors[id];
    const WireValue& declared = *tensor.declared;
    const std::string where = index_.wire->file + ": input \"" + printable(tensor.name) + "\"";
    if (!declared.is_tensor || !declared.has_shape) {
      return input_error(where, "has no tensor shape", "export the model with input shapes");
    }
    if (declared.shape.size() > kMaxRank) return input_error(where, "has too many dimensions");
    TensorState& leaf = pass_.tensors[id];
    leaf.known = true;
    leaf.type = declared.type;
    leaf.origin = roles_.is_data[id] ? Origin::kActivation : Origin::kParameter;
    for (std::size_t d = 0; d < declared.shape.size(); ++d) {
      const WireDimension& dimension = declared.shape[d];
      if (dimension.size.value_or(1) < 1) {
        return input_error(where, "has the dimension " + std::to_string(*dimension.size));
      }
      const bool batched = roles_.is_data[id] && is_batch(dimension, d);
      if (!dimension.size && !batched && change_ == nullptr) {
        pass_.warnings.push_back("input \"" + printable(tensor.name) + "\": its dimension " +
                                 std::to_string(d) + " \"" + printable(dimension.symbol) +
                                 "\" is symbolic and taken as 1");
      }
      is_any_assumed_ |= !dimension.size;
      leaf.shape.push_back(batched ? pass_.batch : dimension.size.value_or(1));
      if (batched && change_ != nullptr) leaf.carrier = static_cast<int>(d);
    }
    if (saturating_elements(leaf.shape) > kMaxCount) {
      return input_error(where, "the shape " + shape_text(leaf.shape) + " is too large to count");
    }
    return {};
  }

  Status visit(int node) {
    const WireNode& wire = wire_node(node);
    const Rule rule = find_rule(wire.domain, wire.type);
    if (rule == nullptr) return visit_unknown(node);
    bool on_activations = false;
    for (const int input : indexed(node).inputs) {
      if (input < 0) continue;
      if (!state(input).known) return unknown_shape(input, index_.where(node));
      on_activations |= state(input).origin == Origin::kActivation;
    }
    const bool kept = on_activations && !is_made_of_shape(wire.type);
    pass_.kept[static_cast<std::size_t>(node)] = kept;
    NodeContext context(index_, node, pass_, base_, change_);
    if (change_ != nullptr) PENSTOCK_TRY_STATUS(widen_operands(node, context));
    if (Status status = rule(context); !status) {
      return change_ == nullptr ? status
                                : core::fail(std::move(status).error().within(rebatching()));
    }
    if (context.macs() > kMaxCount) return context.error("its operations are too many to count");
    pass_.macs[static_cast<std::size_t>(node)] = kept ? context.macs() : 0;
    for (std::size_t slot = 0; slot < indexed(node).outputs.size(); ++slot) {
      PENSTOCK_TRY_STATUS(set_output(node, slot, kept, context));
    }
    if (change_ != nullptr && kept) PENSTOCK_TRY_STATUS(check_batch_kept(node, context));
    return {};
  }

  Status set_output(int node, std::size_t slot, bool kept, const NodeContext& context) {
    const int id = indexed(node).outputs[slot];
    if (id < 0 || !context.is_set()[slot]) return {};
    const NodeContext::Output& output = context.outputs()[slot];
    if (output.shape.size() > kMaxRank) return context.error("its result has too many dimensions");
    for (const std::int64_t size : output.shape) {
      if (size < 0 || (size == 0 && kept)) {
        return context.error("its result would be " + shape_text(output.shape));
      }
    }
    if (saturating_elements(output.shape) > kMaxCount) {
      return context.error("its result " + shape_text(output.shape) + " is too large to count");
    }
    TensorState& result = state(id);
    result.known = true;
    result.shape = output.shape;
    result.type = output.type;
    result.origin = kept ? Origin::kActivation : Origin::kConstant;
    if (!kept) {
      if (output.type == ElementType::kFloat && !is_made_of_shape(wire_node(node).type)) {
        for (const int input : indexed(node).inputs) {
          if (input >= 0 && state(input).origin == Origin::kParameter) {
            result.origin = Origin::kParameter;
          }
        }
      }
      fold_output(slot, context, result);
    }
    return change_ == nullptr ? Status() : locate_batch(node, slot, context, result);
  }

  void fold_output(std::size_t slot, const NodeContext& context, TensorState& result) {
    const std::int64_t count = saturating_elements(result.shape);
    if (!is_foldable(result.type, count) || folded_ + count > kMaxFoldedInAll) return;
    result.value = fold(context, slot);
    if (result.value) folded_ += count;
  }

  Status visit_unknown(int node) {
    pass_.known[static_cast<std::size_t>(node)] = false;
    pass_.kept[static_cast<std::size_t>(node)] = true;
    if (change_ == nullptr) {
      pass_.warnings.push_back(index_.where(node) +
                               " is unknown: a barrier, and its operations "
                               "are not counted");
    } else {
      for (const int input : indexed(node).inputs) {
        if (input >= 0 && state(input).carrier >= 0) {
          return input_error(index_.where(node), "cannot be re-batched: the operator is unknown");
        }
      }
    }
    for (const int id : indexed(node).outputs) {
      if (id < 0) continue;
      TensorState& result = state(id);
      result.origin = Origin::kActivation;
      const WireValue* declared = index_.tensors[static_cast<std::size_t>(id)].declared;
      if (declared == nullptr || !declared->has_shape || declared->shape.size() > kMaxRank)
        continue;
      result.type = declared->type;
      bool fixed = true;
      for (std::size_t d = 0; d < declared->shape.size(); ++d) {
        const WireDimension& dimension = declared->shape[d];
        const bool batched = !dimension.size && is_batch(dimension, d);
        fixed &= batched || dimension.size.value_or(0) > 0;
        result.shape.push_back(batched ? old_batch_ : dimension.size.value_or(0));
      }
      result.known = fixed && saturating_elements(result.shape) <= kMaxCount;
    }
    return {};
  }

  tl::unexpected<Error> unknown_shape(int tensor, const std::string& reader) const {
    const IndexedTensor& missing = index_.tensors[static_cast<std::size_t>(tensor)];
    const std::string maker =
        missing.producer < 0 ? "nothing" : node_label(wire_node(missing.producer));
    return input_error(reader,
                       "needs the shape of \"" + printable(missing.name) + "\", which " + maker +
                           " makes and the file does not declare",
                       "save the model with inferred shapes");
  }

  // Constants that pin the old batch beside data that carries the new one: initial states, class
  // tokens and the like that the exporter expanded to the batch it saw.
  Status widen_operands(int node, NodeContext& context) {
    const std::string& type = wire_node(node).type;
    const bool joins = type == "Concat";
    const bool recurs = type == "LSTM" || type == "GRU" || type == "RNN";
    static constexpr std::string_view kBroadcasting[] = {"Add", "Sub",   "Mul", "Div",  "Min",
                                                         "Max", "Where", "Sum", "Mean", "Pow"};
    const bool broadcasts = std::find(std::begin(kBroadcasting), std::end(kBroadcasting), type) !=
                            std::end(kBroadcasting);
    if (!joins && !recurs && !broadcasts) return {};
    const std::vector<int>& inputs = indexed(node).inputs;
    std::size_t carrier_slot = inputs.size();
    for (std::size_t slot = inputs.size(); slot > 0; --slot) {
      if (context.has(slot - 1) && context.in(slot - 1).carrier >= 0) carrier_slot = slot - 1;
    }
    if (carrier_slot == inputs.size()) return {};
    const TensorState& data = context.in(carrier_slot);
    const auto carrier = static_cast<std::size_t>(data.carrier);
    const std::int64_t old_size = context.base_in(carrier_slot).shape[carrier];
    for (std::size_t slot = recurs ? 5 : 0; slot < inputs.size(); ++slot) {
      if (!context.has(slot) || context.in(slot).origin == Origin::kActivation) continue;
      const Shape& shape = context.in(slot).shape;
      // A state is [directions, batch, hidden], or with `layout` 1 [batch, directions, hidden].
      std::size_t at = carrier;
      if (broadcasts) at = shape.size() + carrier - data.shape.size();  // wraps where it has none
      if (at >= shape.size() || shape[at] != old_size) continue;
      if (broadcasts && shape[at] == 1) continue;
      Shape wide = shape;
      wide[at] = data.shape[carrier];
      if (shape[at] != 1 && !is_uniform(context.in(slot)) &&
          !is_expanded(inputs[slot], shape.size() - at)) {
        return context.error_rebatch("its constant operand " + shape_text(shape) +
                                     " pins the batch");
      }
      // A tensor of the graph is seen by its later readers with its new shape; a leaf keeps the
      // shape that it is stored with.
      if (index_.tensors[static_cast<std::size_t>(inputs[slot])].producer >= 0) {
        TensorState& made = state(inputs[slot]);
        made.shape = wide;
        made.value.reset();
      }
      context.widen(slot, std::move(wide));
    }
    return {};
  }

  // Made by repeating one item along the dimension that is `from_end` from the last.
  bool is_expanded(int tensor, std::size_t from_end) const {
    const int producer = index_.tensors[static_cast<std::size_t>(tensor)].producer;
    if (producer < 0) return false;
    if (wire_node(producer).type == "ConstantOfShape") return true;
    if (wire_node(producer).type != "Expand") return false;
    const Shape& item = base_state(indexed(producer).inputs.front()).shape;
    return item.size() < from_end || item[item.size() - from_end] == 1;
  }

  std::string rebatching() const {
    return "re-batching from " + std::to_string(change_->from) + " to " +
           std::to_string(change_->to);
  }

  // The dimension that differs from the first pass carries the batch.
  Status locate_batch(int node, std::size_t slot, const NodeContext& context, TensorState& result) {
    const TensorState& before = base_state(indexed(node).outputs[slot]);
    if (before.shape.size() != result.shape.size()) {
      return context.error_rebatch("its result changes from " + shape_text(before.shape) + " to " +
                                   shape_text(result.shape));
    }
    for (std::size_t d = 0; d < result.shape.size(); ++d) {
      if (result.shape[d] == before.shape[d]) continue;
      const bool in_proportion = saturating_multiply(before.shape[d], change_->to) ==
                                 saturating_multiply(result.shape[d], change_->from);
      if (result.carrier >= 0 || !in_proportion) {
        return context.error_rebatch("its result changes from " + shape_text(before.shape) +
                                     " to " + shape_text(result.shape));
      }
      result.carrier = static_cast<int>(d);
    }
    if (result.carrier < 0) return {};
    const std::int64_t old_size = before.shape[static_cast<std::size_t>(result.carrier)];
    result.inner = context.inner();
    for (std::size_t i = 0; i < indexed(node).inputs.size() && result.inner == 0; ++i) {
      if (!context.has(i) || context.in(i).carrier < 0) continue;
      const auto carrier = static_cast<std::size_t>(context.in(i).carrier);
      if (context.base_in(i).shape[carrier] == old_size) result.inner = context.in(i).inner;
    }
    if (result.inner == 0) result.inner = 1;
    return {};
  }

  // Data that carried the batch must still carry it, save through a reduction.
  Status check_batch_kept(int node, const NodeContext& context) {
    if (may_drop_batch(wire_node(node).type)) return {};
    bool carried = false;
    for (const int input : indexed(node).inputs) {
      carried |=
          input >= 0 && state(input).carrier >= 0 && state(input).origin == Origin::kActivation;
    }
    const int output = indexed(node).outputs.empty() ? -1 : indexed(node).outputs.front();
    if (!carried || output < 0 || state(output).carrier >= 0) return {};
    return context.error_rebatch("its result does not grow with the batch");
  }

  Status check_outputs() {
    for (std::size_t i = 0; i < index_.outputs.size(); ++i) {
      const int id = index_.outputs[i];
      const WireValue& declared = index_.wire->outputs[i];
      const std::string where = index_.wire->file + ": output \"" + printable(declared.name) + "\"";
      const TensorState& output = state(id);
      if (!output.known) return unknown_shape(id, where);
      if (change_ != nullptr || is_any_assumed_ || !declared.has_shape) continue;
      bool agrees = declared.shape.size() == output.shape.size();
      for (std::size_t d = 0; agrees && d < output.shape.size(); ++d) {
        agrees = declared.shape[d].size.value_or(output.shape[d]) == output.shape[d];
      }
      if (!agrees) {
        return input_error(where, "is " + shape_text(output.shape) +
                                      ", which contradicts the shape that the file declares");
      }
    }
    return {};
  }

  // Never a silently wrong count: the work of what sees the batch grows with it exactly.
  Status check_macs() {
    for (const int node : index_.order) {
      const auto n = static_cast<std::size_t>(node);
      bool carried = false;
      for (const int input : indexed(node).inputs) {
        carried |= input >= 0 && state(input).carrier >= 0;
      }
      const __int128 before = base_->macs[n];
      const __int128 after = pass_.macs[n];
      const bool agrees = carried ? before * change_->to == after * change_->from : before == after;
      if (agrees) continue;
      return NodeContext(index_, node, pass_, base_, change_)
          .error_rebatch("its work would not grow with the batch");
    }
    return {};
  }

  const GraphIndex& index_;
  const Roles& roles_;
  const Pass* base_;
  const BatchChange* change_;
  Pass pass_;
  std::string batch_symbol_;
  bool is_batch_fixed_ = true;
  bool is_any_assumed_ = false;
  std::int64_t old_batch_ = 1;
  std::int64_t folded_ = 0;
};

}  // namespace

Result<Pass> infer(const GraphIndex& index, const Roles& roles) {
  return Inference(index, roles, nullptr, nullptr).run();
}

Result<Pass> infer_rebatched(const GraphIndex& index, const Roles& roles, const Pass& base,
                             const BatchChange& change) {
  return Inference(index, roles, &base, &change).run();
}

}  // namespace penstock::model::internal
