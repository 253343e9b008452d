#include "penstock/partition/internal/lowering_regions.h"

#include <algorithm>
#include <map>
#include <set>

namespace penstock::partition::internal {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

bool eligible(const model::Operator& op) {
  const Family family = trait(op).family;
  const bool reshapes = op.type == "Squeeze" || op.type == "Unsqueeze" || op.type == "Identity" ||
                        op.type == "Cast" || op.type == "Dropout";
  return family == Family::kElementwise || family == Family::kReduction || reshapes;
}

class Search {
 public:
  Search(const model::Graph& graph, const Tracker& tracker, const std::vector<bool>& live)
      : graph_(graph), tracker_(tracker), readers_(graph.tensors.size()) {
    for (std::size_t i = 0; i < graph.operators.size(); ++i) {
      if (!live[i]) continue;
      for (const int input : graph.operators[i].inputs)
        if (tracker.activation(input)) readers_[at(input)].insert(static_cast<int>(i));
    }
    for (const int output : graph.outputs) readers_[at(output)].insert(kOutside);
  }

  // The largest region that starts at a tensor; without operators if there is none.
  Region from(int entry, const std::vector<int>& region_of) const {
    const std::vector<int> reached = closure(entry, region_of);
    Region largest;
    for (const int last : reached) {
      if (activations(last).size() < 2) continue;
      Region region{entry, graph_.operators[at(last)].outputs[0], ancestors(last, entry, reached)};
      if (closed(region)) largest = std::move(region);
    }
    return largest;
  }

  bool branches(int tensor) const { return readers_[at(tensor)].size() > 1; }

 private:
  static constexpr int kOutside = -1;

  std::vector<int> activations(int op) const {
    std::vector<int> inputs;
    for (const int input : graph_.operators[at(op)].inputs)
      if (tracker_.activation(input)) inputs.push_back(input);
    return inputs;
  }

  // Eligible operators all of whose activations come from the entry, ascending.
  std::vector<int> closure(int entry, const std::vector<int>& region_of) const {
    std::set<int> known = {entry};
    std::set<int> candidates(readers_[at(entry)].begin(), readers_[at(entry)].end());
    std::vector<int> reached;
    while (!candidates.empty()) {
      const int op = *candidates.begin();
      candidates.erase(candidates.begin());
      if (op == kOutside || region_of[at(op)] >= 0 || !eligible(graph_.operators[at(op)])) continue;
      const std::vector<int> inputs = activations(op);
      if (!std::all_of(inputs.begin(), inputs.end(), [&](int t) { return known.contains(t); }))
        continue;
      reached.push_back(op);
      const int result = graph_.operators[at(op)].outputs[0];
      known.insert(result);
      candidates.insert(readers_[at(result)].begin(), readers_[at(result)].end());
    }
    return reached;
  }

  std::vector<int> ancestors(int last, int entry, const std::vector<int>& reached) const {
    std::set<int> wanted = {last};
    for (auto op = reached.rbegin(); op != reached.rend(); ++op) {
      if (!wanted.contains(*op)) continue;
      for (const int input : activations(*op))
        if (input != entry) wanted.insert(graph_.tensors[at(input)].producer);
    }
    return {wanted.begin(), wanted.end()};
  }

  bool closed(const Region& region) const {
    const std::set<int> inside(region.operators.begin(), region.operators.end());
    for (const int op : region.operators) {
      const int result = graph_.operators[at(op)].outputs[0];
      if (result == region.exit) continue;
      const std::set<int>& readers = readers_[at(result)];
      if (!std::includes(inside.begin(), inside.end(), readers.begin(), readers.end()))
        return false;
    }
    return region.operators.size() > 1;
  }

  const model::Graph& graph_;
  const Tracker& tracker_;
  std::vector<std::set<int>> readers_;
};

}  // namespace

std::vector<Region> find_regions(const model::Graph& graph, const Tracker& tracker,
                                 const std::vector<bool>& live, std::vector<int>& region_of) {
  const Search search(graph, tracker, live);
  region_of.assign(graph.operators.size(), -1);
  std::vector<Region> regions;
  for (std::size_t i = 0; i < graph.operators.size(); ++i) {
    if (!live[i]) continue;
    for (const int output : graph.operators[i].outputs) {
      if (!tracker.activation(output) || !search.branches(output)) continue;
      Region region = search.from(output, region_of);
      if (region.operators.empty()) continue;
      for (const int op : region.operators) region_of[at(op)] = static_cast<int>(regions.size());
      regions.push_back(std::move(region));
    }
  }
  return regions;
}

}  // namespace penstock::partition::internal
