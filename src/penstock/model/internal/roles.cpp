#include "penstock/model/internal/roles.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

namespace penstock::model::internal {
namespace {

struct SlotRow {
  std::string_view type;
  std::string_view slots;  // one letter a slot: d data, w weight, s statistic, c control
};

// Slots past the end of a row are data.
constexpr std::array kSlots = {
    SlotRow{"Conv", "dww"},
    SlotRow{"ConvTranspose", "dww"},
    SlotRow{"Gemm", "dww"},
    SlotRow{"BatchNormalization", "dwwss"},
    SlotRow{"InstanceNormalization", "dww"},
    SlotRow{"LayerNormalization", "dww"},
    SlotRow{"GroupNormalization", "dww"},
    SlotRow{"PRelu", "dw"},
    SlotRow{"Gather", "wd"},
    SlotRow{"LSTM", "dwwwcccw"},
    SlotRow{"GRU", "dwwwcc"},
    SlotRow{"RNN", "dwwwcc"},
    SlotRow{"Resize", "dccc"},
    SlotRow{"Upsample", "dc"},
    SlotRow{"Clip", "dcc"},
    SlotRow{"Pad", "dccc"},
    SlotRow{"Pow", "dc"},
    SlotRow{"Dropout", "dcc"},
    SlotRow{"QuantizeLinear", "dcc"},
    SlotRow{"DequantizeLinear", "dcc"},
};

// The leaves of the tensors: a tensor is a leaf where no node, or a node without inputs, makes it.
class Tracer {
 public:
  explicit Tracer(const GraphIndex& index) : index_(index), seen_(index.tensors.size(), 0) {}

  // Calls `visit` for each leaf that `tensor` is made of by nodes that only move elements about.
  // False where something else than leaves is met, so that the tensor is computed from data.
  template <typename Visit>
  bool leaves(int tensor, const Visit& visit) {
    ++epoch_;
    std::vector<int> open{tensor};
    bool only_leaves = true;
    while (!open.empty()) {
      const int id = open.back();
      open.pop_back();
      int& seen = seen_[static_cast<std::size_t>(id)];
      if (seen == epoch_) continue;
      seen = epoch_;
      const int producer = index_.tensors[static_cast<std::size_t>(id)].producer;
      const auto* node = producer < 0 ? nullptr : &index_.nodes[static_cast<std::size_t>(producer)];
      if (node == nullptr || is_source(producer)) {
        visit(id);
      } else if (!moves_elements(index_.wire->nodes[static_cast<std::size_t>(producer)].type)) {
        only_leaves = false;
      } else if (is_gathering(producer)) {
        for (const int input : node->inputs) {
          if (input >= 0) open.push_back(input);
        }
      } else if (!node->inputs.empty() && node->inputs.front() >= 0) {
        open.push_back(node->inputs.front());
      }
    }
    return only_leaves;
  }

  bool is_source(int producer) const {
    const std::string& type = index_.wire->nodes[static_cast<std::size_t>(producer)].type;
    return type == "Constant" || type == "ConstantOfShape";
  }

  static bool moves_elements(const std::string& type) {
    static constexpr std::array<std::string_view, 10> kMovers = {
        "Identity", "Transpose", "Reshape", "Unsqueeze", "Squeeze",
        "Slice",    "Concat",    "Split",   "Expand",    "Cast"};
    return std::find(kMovers.begin(), kMovers.end(), type) != kMovers.end();
  }

 private:
  bool is_gathering(int producer) const {
    return index_.wire->nodes[static_cast<std::size_t>(producer)].type == "Concat";
  }

  const GraphIndex& index_;
  std::vector<int> seen_;
  int epoch_ = 0;
};

class RoleAssigner {
 public:
  explicit RoleAssigner(const GraphIndex& index)
      : index_(index),
        tracer_(index),
        weight_(index.tensors.size(), false),
        fed_(index.tensors.size(), false) {}

  Roles assign() {
    for (std::size_t id = 0; id < index_.tensors.size(); ++id) {
      if (is_plain_input(static_cast<int>(id))) {
        first_input_ = std::min(first_input_, index_.tensors[id].input);
      }
    }
    for (std::size_t n = 0; n < index_.nodes.size(); ++n) mark_node(static_cast<int>(n));
    Roles roles;
    roles.is_data.assign(index_.tensors.size(), false);
    const int first_weight = first_weight_input();
    for (std::size_t id = 0; id < index_.tensors.size(); ++id) {
      const IndexedTensor& tensor = index_.tensors[id];
      if (!is_plain_input(static_cast<int>(id))) continue;
      roles.is_data[id] = is_data(static_cast<int>(id), first_weight);
      if (!roles.is_data[id] && !weight_[id] && tensor.input < first_weight) {
        roles.warnings.push_back("input \"" + printable(tensor.name) +
                                 "\" is counted as a parameter: it lies beside the weights, and "
                                 "its first dimension is 1");
      }
    }
    return roles;
  }

 private:
  bool is_plain_input(int id) const {
    const IndexedTensor& tensor = index_.tensors[static_cast<std::size_t>(id)];
    return tensor.input >= 0 && tensor.initializer < 0;
  }
  bool is_float_input(int id) const {
    const IndexedTensor& tensor = index_.tensors[static_cast<std::size_t>(id)];
    return tensor.declared != nullptr && tensor.declared->type == ElementType::kFloat;
  }

  void mark_node(int n) {
    const std::string& type = index_.wire->nodes[static_cast<std::size_t>(n)].type;
    const std::vector<int>& inputs = index_.nodes[static_cast<std::size_t>(n)].inputs;
    if (type == "MatMul" && inputs.size() == 2) {
      // The operand made of leaves alone is the weight; of two such, the one that the first input
      // does not reach, else the second.
      const bool first = is_leaf_only(inputs[0]);
      const bool second = is_leaf_only(inputs[1]);
      if (first && second) {
        const bool swapped = reaches_first_input(inputs[1]);
        mark(inputs[swapped ? 0 : 1]);
        mark_fed(inputs[swapped ? 1 : 0]);
      } else if (first || second) {
        mark(first ? inputs[0] : inputs[1]);
      }
      return;
    }
    for (std::size_t slot = 0; slot < inputs.size(); ++slot) {
      const Slot use = slot_of(type, slot);
      if (use == Slot::kWeight || use == Slot::kStatistic) mark(inputs[slot]);
      if (use == Slot::kData && !may_broadcast(type)) mark_fed(inputs[slot]);
    }
  }

  // Operators that take an activation and a parameter alike, in any order.
  static bool may_broadcast(const std::string& type) {
    return type == "Add" || type == "Sub" || type == "Mul" || type == "Div" || type == "Where" ||
           Tracer::moves_elements(type);
  }

  bool is_leaf_only(int tensor) {
    return tensor >= 0 && tracer_.leaves(tensor, [](int) {});
  }
  bool reaches_first_input(int tensor) {
    bool reached = false;
    tracer_.leaves(tensor, [&](int leaf) {
      reached |= index_.tensors[static_cast<std::size_t>(leaf)].input == first_input_;
    });
    return reached;
  }

  void mark(int tensor) {
    if (tensor < 0) return;
    if (!is_leaf_only(tensor)) return;
    tracer_.leaves(tensor, [&](int leaf) {
      if (is_plain_input(leaf)) {
        const bool is_first = index_.tensors[static_cast<std::size_t>(leaf)].input == first_input_;
        if (is_float_input(leaf) && !is_first) weight_[static_cast<std::size_t>(leaf)] = true;
      } else {
        carries_weights_ |= is_float_source(leaf);
      }
    });
  }

  void mark_fed(int tensor) {
    if (tensor < 0 || !is_leaf_only(tensor)) return;
    tracer_.leaves(tensor, [&](int leaf) { fed_[static_cast<std::size_t>(leaf)] = true; });
  }

  bool is_float_source(int leaf) const {
    const IndexedTensor& tensor = index_.tensors[static_cast<std::size_t>(leaf)];
    if (tensor.initializer >= 0) {
      const auto& initializers = index_.wire->initializers;
      return initializers[static_cast<std::size_t>(tensor.initializer)].type == ElementType::kFloat;
    }
    if (tensor.producer < 0) return false;
    const WireNode& node = index_.wire->nodes[static_cast<std::size_t>(tensor.producer)];
    const auto value = node.tensors.find("value");
    if (value == node.tensors.end()) return node.type == "ConstantOfShape";
    return value->second.type == ElementType::kFloat;
  }

  int first_weight_input() const {
    int first = std::numeric_limits<int>::max();
    for (std::size_t id = 0; id < weight_.size(); ++id) {
      if (weight_[id]) first = std::min(first, index_.tensors[id].input);
    }
    return first;
  }

  // A file that carries weights lists only data as plain inputs. In an export without weights the
  // exporter lists data first, so what follows the first weight is a parameter; what precedes it is
  // data, save where its first dimension of 1 tells a broadcast operand such as a class token.
  bool is_data(int id, int first_weight) const {
    if (!is_float_input(id) || carries_weights_) return true;
    if (weight_[static_cast<std::size_t>(id)]) return false;
    const IndexedTensor& tensor = index_.tensors[static_cast<std::size_t>(id)];
    if (first_weight == std::numeric_limits<int>::max()) return true;
    if (tensor.input > first_weight) return false;
    if (tensor.input == first_input_ || fed_[static_cast<std::size_t>(id)]) return true;
    const std::vector<WireDimension>& shape = tensor.declared->shape;
    return shape.size() < 3 || shape.front().size != std::int64_t{1};
  }

  const GraphIndex& index_;
  Tracer tracer_;
  std::vector<bool> weight_;  // by tensor: a plain input that a weight slot reads
  std::vector<bool> fed_;     // by tensor: a leaf that an operator reads as its data
  int first_input_ = std::numeric_limits<int>::max();  // the first plain one; always data
  bool carries_weights_ = false;  // some weight slot reads an initialiser or a made constant
};

}  // namespace

Slot slot_of(const std::string& operator_type, std::size_t slot) {
  const auto* row = std::find_if(kSlots.begin(), kSlots.end(),
                                 [&](const SlotRow& r) { return r.type == operator_type; });
  if (row == kSlots.end() || slot >= row->slots.size()) return Slot::kData;
  switch (row->slots[slot]) {
    case 'w':
      return Slot::kWeight;
    case 's':
      return Slot::kStatistic;
    case 'c':
      return Slot::kControl;
    default:
      return Slot::kData;
  }
}

Roles assign_roles(const GraphIndex& index) { return RoleAssigner(index).assign(); }

}  // namespace penstock::model::internal
