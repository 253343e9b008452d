#include "penstock/model/internal/graph_index.h"

#include <functional>
#include <queue>

namespace penstock::model::internal {
namespace {

class Indexer {
 public:
  explicit Indexer(const WireGraph& wire) { index_.wire = &wire; }

  Result<GraphIndex> build() {
    PENSTOCK_TRY_STATUS(add_leaves());
    PENSTOCK_TRY_STATUS(add_nodes());
    PENSTOCK_TRY_STATUS(resolve_inputs());
    PENSTOCK_TRY_STATUS(sort());
    return std::move(index_);
  }

 private:
  const WireGraph& wire() const { return *index_.wire; }

  // The tensor of that name, made where there is none yet.
  int intern(const std::string& name) {
    const auto [found, is_new] = ids_.try_emplace(name, static_cast<int>(index_.tensors.size()));
    if (is_new) index_.tensors.emplace_back().name = name;
    return found->second;
  }
  IndexedTensor& tensor(int id) { return index_.tensors[static_cast<std::size_t>(id)]; }

  Status add_leaves() {
    for (std::size_t i = 0; i < wire().inputs.size(); ++i) {
      IndexedTensor& input = tensor(intern(wire().inputs[i].name));
      if (input.input >= 0) return defined_twice(input.name);
      input.input = static_cast<int>(i);
      input.declared = &wire().inputs[i];
    }
    for (std::size_t i = 0; i < wire().initializers.size(); ++i) {
      IndexedTensor& initializer = tensor(intern(wire().initializers[i].name));
      if (initializer.initializer >= 0) return defined_twice(initializer.name);
      initializer.initializer = static_cast<int>(i);
    }
    return {};
  }

  Status add_nodes() {
    for (std::size_t n = 0; n < wire().nodes.size(); ++n) {
      IndexedNode node;
      for (const std::string& name : wire().nodes[n].outputs) {
        if (name.empty()) {
          node.outputs.push_back(-1);
          continue;
        }
        const int id = intern(name);
        IndexedTensor& output = tensor(id);
        if (output.producer >= 0 || output.input >= 0 || output.initializer >= 0) {
          return defined_twice(name);
        }
        output.producer = static_cast<int>(n);
        node.outputs.push_back(id);
      }
      index_.nodes.push_back(std::move(node));
    }
    return {};
  }

  Status resolve_inputs() {
    for (std::size_t n = 0; n < wire().nodes.size(); ++n) {
      for (const std::string& name : wire().nodes[n].inputs) {
        int id = -1;
        if (!name.empty()) {
          const auto found = ids_.find(name);
          if (found == ids_.end()) {
            return input_error(index_.where(static_cast<int>(n)),
                               "reads \"" + printable(name) + "\", which nothing defines");
          }
          id = found->second;
        }
        index_.nodes[n].inputs.push_back(id);
      }
    }
    for (const WireValue& output : wire().outputs) {
      const auto found = ids_.find(output.name);
      if (found == ids_.end()) {
        return input_error(wire().file,
                           "the output \"" + printable(output.name) + "\" is computed by no node");
      }
      index_.outputs.push_back(found->second);
      declare(output);
    }
    for (const WireValue& info : wire().value_info) declare(info);
    return {};
  }

  void declare(const WireValue& value) {
    const auto found = ids_.find(value.name);
    if (found == ids_.end()) return;
    IndexedTensor& described = tensor(found->second);
    if (described.declared == nullptr) described.declared = &value;
  }

  // Kahn's algorithm; among ready nodes the file's order, so that the result is the file's own
  // order wherever that is valid.
  Status sort() {
    const std::size_t count = index_.nodes.size();
    std::vector<std::vector<int>> readers(count);
    std::vector<int> missing(count, 0);
    for (std::size_t n = 0; n < count; ++n) {
      for (const int input : index_.nodes[n].inputs) {
        const int producer = input < 0 ? -1 : tensor(input).producer;
        if (producer < 0) continue;
        readers[static_cast<std::size_t>(producer)].push_back(static_cast<int>(n));
        ++missing[n];
      }
    }
    std::priority_queue<int, std::vector<int>, std::greater<>> ready;
    for (std::size_t n = 0; n < count; ++n) {
      if (missing[n] == 0) ready.push(static_cast<int>(n));
    }
    while (!ready.empty()) {
      const int n = ready.top();
      ready.pop();
      index_.order.push_back(n);
      for (const int reader : readers[static_cast<std::size_t>(n)]) {
        if (--missing[static_cast<std::size_t>(reader)] == 0) ready.push(reader);
      }
    }
    if (index_.order.size() == count) return {};
    std::size_t stuck = 0;
    while (missing[stuck] == 0) ++stuck;
    return input_error(index_.where(static_cast<int>(stuck)),
                       "is part of a cycle, or waits for one");
  }

  tl::unexpected<Error> defined_twice(const std::string& name) const {
    return input_error(wire().file, "the tensor \"" + printable(name) + "\" is defined twice");
  }

  GraphIndex index_;
  std::unordered_map<std::string_view, int> ids_;  // views into *index_.wire
};

}  // namespace

std::string GraphIndex::where(int node) const {
  return wire->file + ": " + node_label(wire->nodes[static_cast<std::size_t>(node)]);
}

Result<GraphIndex> index_graph(const WireGraph& wire) { return Indexer(wire).build(); }

}  // namespace penstock::model::internal
