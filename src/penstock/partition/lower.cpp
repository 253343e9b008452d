#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "penstock/partition/internal/lowering_drafts.h"
#include "penstock/partition/network.h"

namespace penstock::partition {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

class Wiring {
 public:
  Wiring(const model::Graph& graph, const internal::Tracker& tracker, internal::Drafts drafts)
      : graph_(graph), tracker_(tracker), drafts_(std::move(drafts)) {
    readers_.resize(drafts_.drafts.size());
    for (std::size_t d = 0; d < drafts_.drafts.size(); ++d)
      for (const int read : drafts_.drafts[d].reads)
        readers_[at(drafts_.writer[at(read)])].push_back(static_cast<int>(d));
  }

  Network run() {
    network_.name = graph_.name;
    network_.batch = graph_.batch;
    network_.warnings = std::move(drafts_.warnings);
    sources_.resize(drafts_.drafts.size());
    for (std::size_t d = 0; d < drafts_.drafts.size(); ++d) {
      const internal::Draft& draft = drafts_.drafts[d];
      const int node = add(columns(draft));
      for (const int read : draft.reads) connect(read, node);
      trained_[at(node)] = trained_[at(node)] || draft.node.weights + draft.node.vectors > 0;
      sources_[d] = node;
      if (readers_[d].size() < 2) continue;
      const int copy = add(copy_of(draft));
      connect(draft.writes, copy);
      sources_[d] = copy;
    }
    return std::move(network_);
  }

 private:
  int add(Node node) {
    const std::string name = node.name;
    for (int i = 2; !names_.insert(node.name).second; ++i)
      node.name = fmt::format("{} {}", name, i);
    network_.nodes.push_back(std::move(node));
    trained_.push_back(false);
    return static_cast<int>(network_.nodes.size()) - 1;
  }

  void connect(int tensor, int to) {
    const int from = sources_[at(drafts_.writer[at(tensor)])];
    const model::Tensor& data = graph_.tensors[at(tensor)];
    Edge edge;
    edge.from = from;
    edge.to = to;
    edge.elements = model::elements(data.shape);
    const int channels = tracker_.placement(tensor).channels;
    const std::int64_t own = channels >= 0 ? tracker_.grains(channels) : 1;
    if (own != network_.nodes[at(to)].in_columns) edge.columns = own;
    edge.gradient = trained_[at(from)] && data.type == model::ElementType::kFloat;
    if (edge.gradient) trained_[at(to)] = true;
    const int index = static_cast<int>(network_.edges.size());
    network_.nodes[at(from)].out_edges.push_back(index);
    network_.nodes[at(to)].in_edges.push_back(index);
    network_.edges.push_back(edge);
  }

  Node columns(const internal::Draft& draft) const {
    Node node = draft.node;
    const internal::Placement out = tracker_.placement(draft.writes);
    node.out_columns = out.channels >= 0 ? tracker_.grains(out.channels) : 1;
    node.in_columns = node.out_columns;
    if (node.kind == NodeKind::kLayer) {
      node.in_columns =
          draft.rule.in_set >= 0 ? tracker_.grains(draft.rule.in_set) : draft.rule.in_columns;
    }
    return node;
  }

  Node copy_of(const internal::Draft& draft) const {
    const internal::Placement out = tracker_.placement(draft.writes);
    Node node;
    node.name = draft.node.name + "/copy";
    node.type = "copy";
    node.kind = NodeKind::kCopy;
    node.choices = choice(Layout::kReplicated);
    if (out.rows) node.choices |= choice(Layout::kRows);
    if (out.channels >= 0) node.choices |= choice(Layout::kColumns);
    node.rows = out.rows ? graph_.batch : 1;
    node.in_columns = node.out_columns = out.channels >= 0 ? tracker_.grains(out.channels) : 1;
    node.out_elements = draft.node.out_elements;
    return node;
  }

  const model::Graph& graph_;
  const internal::Tracker& tracker_;
  internal::Drafts drafts_;
  std::vector<std::vector<int>> readers_;  // per draft
  std::vector<int> sources_;               // per draft: the node that its readers read
  std::vector<bool> trained_;              // per node: parameters in it or before it
  std::set<std::string> names_;
  Network network_;
};

}  // namespace

Result<Network> lower(const model::Graph& graph) {
  internal::Tracker tracker(graph);
  internal::Drafts drafts = internal::draft_nodes(graph, tracker);
  internal::count_stash(graph, tracker, drafts);
  const bool layers =
      std::any_of(drafts.drafts.begin(), drafts.drafts.end(),
                  [](const internal::Draft& draft) { return draft.node.kind == NodeKind::kLayer; });
  if (!layers)
    return core::input_error(graph.source,
                             "no layer with a weight matrix between the graph's "
                             "inputs and outputs, so nothing can be split",
                             "give a network with Conv, Gemm, MatMul or embedding layers");
  return Wiring(graph, tracker, std::move(drafts)).run();
}

}  // namespace penstock::partition
