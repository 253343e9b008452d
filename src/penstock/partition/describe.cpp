#include <fmt/format.h>

#include <map>

#include "penstock/partition/internal/tree_phases.h"
#include "penstock/partition/partition.h"

namespace penstock::partition {
namespace {

std::string state_text(const Node& node, const Split& split, int v) {
  std::string text = node.kind == NodeKind::kLayer
                         ? std::string(type_name(static_cast<Type>(split.states[v])))
                         : std::string(1, layout_letter(static_cast<Layout>(split.states[v])));
  if (split.shares[v] != 0.5) text += fmt::format(" {:.3g}", split.shares[v]);
  return text;
}

// One line for each way down the tree.
void describe_below(const Network& network, const PartitionPlan& plan, const DeviceTree& tree,
                    int index, int v, const std::string& above, std::vector<std::string>& lines) {
  const TreeNode& node = tree.nodes[index];
  const auto extended = [&](const std::string& next) {
    return above.empty() ? next : above + " " + next;
  };
  if (node.leaf()) {
    const MeshPlan& mesh = plan.tree.meshes[index];
    if (mesh.states.empty() || mesh.devices == 1) {
      lines.push_back(above.empty() ? "whole" : above);
      return;
    }
    const MeshSpace space(plan.array.groups[node.group], mesh.devices);
    const MeshState& s = mesh.states[v];
    const bool layer = network.nodes[v].kind == NodeKind::kLayer;
    lines.push_back(extended(layer
                                 ? fmt::format("{} x {} x {}", space.parts(s.rows),
                                               space.parts(s.in), space.parts(s.out))
                                 : fmt::format("{} x {}", space.parts(s.rows), space.parts(s.in))));
    return;
  }
  const Split& split = plan.tree.splits[index];
  if (is_idle(split, 0) || is_idle(split, 1)) {
    describe_below(network, plan, tree, node.children[is_idle(split, 0) ? 1 : 0], v, above, lines);
    return;
  }
  const std::string next = extended(state_text(network.nodes[v], split, v));
  for (int side = 0; side < (node.equal_halves() ? 1 : 2); ++side) {
    describe_below(network, plan, tree, node.children[side], v, next, lines);
  }
}

}  // namespace

std::string describe_split(const Network& network, const PartitionPlan& plan, int node) {
  std::vector<std::string> lines;
  describe_below(network, plan, plan.device_tree(), 0, node, "", lines);
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : " | ") + line;
  return text;
}

std::vector<ledger::Span> timeline(const Network& network, const StrategyResult& result) {
  std::vector<ledger::Span> spans;
  std::map<std::string, std::size_t> index;
  std::vector<Seconds> starts;
  Seconds start;
  for (std::size_t v = 0; v < result.nodes.size(); ++v) {
    index[network.nodes[v].name] = v;
    starts.push_back(start);
    start += result.nodes[v];
  }
  for (const ledger::Account& account : result.ledger.accounts()) {
    std::vector<Seconds> next = starts;
    for (const bool compute : {false, true}) {
      for (const ledger::Entry& entry : account.entries) {
        const auto at = index.find(entry.label);
        if (at == index.end() || entry.activity == ledger::Activity::kIdle) continue;
        if ((entry.activity == ledger::Activity::kCompute) != compute) continue;
        spans.push_back(
            {account.resource, entry.label, entry.activity, next[at->second], entry.time});
        next[at->second] += entry.time;
      }
    }
  }
  return spans;
}

}  // namespace penstock::partition
