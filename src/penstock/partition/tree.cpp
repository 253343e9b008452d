#include "penstock/partition/tree.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "penstock/core/check.h"
#include "penstock/partition/elimination.h"
#include "penstock/partition/internal/joint_splits.h"
#include "penstock/partition/internal/level_model.h"
#include "penstock/partition/internal/tree_phases.h"
#include "penstock/partition/joint_chain.h"
#include "penstock/partition/ratio.h"

namespace penstock::partition {

std::string_view strategy_name(Strategy strategy) {
  constexpr std::string_view kNames[] = {"data", "owt", "hypar", "accpar"};
  return kNames[static_cast<int>(strategy)];
}

std::vector<Strategy> all_strategies() {
  return {Strategy::kData, Strategy::kOwt, Strategy::kHypar, Strategy::kAccpar};
}

TreeOptions paper_options() { return {}; }

TreeOptions fused_options() {
  TreeOptions options;
  options.table = Table::kFused;
  options.whole_items = true;
  options.shared_ratio = true;
  options.may_idle = true;
  return options;
}

namespace {

enum class Objective { kVolume, kTime };

// The types that a strategy considers for a layer, as a mask; glue is always free, except under
// data parallelism.
Choices strategy_choices(Strategy strategy, const Node& node) {
  const Choices batch = choice(Type::kBatch);
  if (node.kind != NodeKind::kLayer) {
    return strategy == Strategy::kData ? choice(Layout::kRows) : kAnyLayout;
  }
  switch (strategy) {
    case Strategy::kData:
      return batch;
    case Strategy::kOwt:
      return node.type == "Gemm" || node.type == "MatMul" ? choice(Type::kIn) : batch;
    case Strategy::kHypar:
      return batch | choice(Type::kIn);
    case Strategy::kAccpar:
      return ~0u;
  }
  return batch;
}

// A plan for the devices below one tree node, and what it costs there.
struct SubPlan {
  std::vector<std::pair<int, Split>> splits;     // by tree node
  std::vector<std::pair<int, MeshPlan>> meshes;  // likewise
  std::vector<double> phases;                    // seconds by network node
  bool proven = true;

  double price = 0;  // of the memory held, under TreeOptions::memory_price

  bool empty() const { return phases.empty(); }
  double total() const {
    return empty() ? kForbidden : std::accumulate(phases.begin(), phases.end(), price);
  }
};

class TreePlanner {
 public:
  TreePlanner(const Network& network, const DeviceTree& tree, const hardware::Array& array,
              Strategy strategy, const TreeOptions& options, const MeshOptions& mesh)
      : network_(network),
        tree_(tree),
        array_(array),
        strategy_(strategy),
        options_(options),
        mesh_(mesh) {}

  TreePlan plan() {
    SubPlan whole = plan_below(0, whole_extents(network_));
    TreePlan plan;
    plan.proven = whole.proven;
    plan.splits.resize(tree_.nodes.size());
    plan.meshes.resize(tree_.nodes.size());
    for (auto& [index, split] : whole.splits) plan.splits[index] = std::move(split);
    for (auto& [index, mesh] : whole.meshes) plan.meshes[index] = std::move(mesh);
    return plan;
  }

 private:
  SubPlan plan_below(int index, const std::vector<Extent>& extents) {
    const TreeNode& node = tree_.nodes[index];
    SubPlan best;
    if (node.leaf() && (node.devices > 1 || tree_.of_groups)) return plan_group(index, extents);
    if (node.leaf()) {
      best.phases = leaf_phases(network_, extents, node, options_);
      best.price = options_.memory_price * memory_on_device(network_, extents, options_);
      return best;
    }
    if (strategy_ == Strategy::kAccpar && options_.shared_ratio) {
      return plan_shared_ratio(index, extents);
    }
    return plan_at(index, extents, solve(index, extents, 0.5));
  }

  // A whole group: the mesh planner's.
  SubPlan plan_group(int index, const std::vector<Extent>& extents) {
    const TreeNode& node = tree_.nodes[index];
    const hardware::DeviceGroup& group = array_.groups[node.group];
    const int least = std::max(1, node.devices / 2);
    MeshPlan mesh = best_mesh(network_, extents, group, least, node.devices, mesh_);
    const MeshCost cost =
        evaluate_mesh(network_, extents, MeshSpace(group, mesh.devices), mesh, mesh_);
    SubPlan plan;
    plan.proven = mesh.proven;
    for (const MeshPhase& p : cost.phases) {
      plan.phases.push_back(p.compute + p.interconnect + p.network);
    }
    // Far dearer than any plan that fits, and the less so the less is missing.
    const double excess = (cost.memory() - group.memory).value();
    if (group.memory.value() > 0 && excess > 0)
      plan.price = 1e6 * (1 + excess / group.memory.value());
    plan.meshes.emplace_back(index, std::move(mesh));
    return plan;
  }

  // What a split costs at least: its own exchange, and the halves' compute spread evenly.
  double lower_bound(int index, const std::vector<Extent>& extents, const Split& split) const {
    const TreeNode& node = tree_.nodes[index];
    std::vector<std::vector<double>> below;
    for (int side = 0; side < (node.equal_halves() ? 1 : 2); ++side) {
      below.emplace_back(network_.nodes.size(), 0.0);
      if (is_idle(split, side)) continue;
      const std::vector<Extent> half = child_extents(network_, extents, split, side, options_);
      below.back() = leaf_phases(network_, half, tree_.nodes[node.children[side]], options_);
    }
    const std::vector<double> phases =
        split_phases(network_, extents, node, split, below, options_);
    return std::accumulate(phases.begin(), phases.end(), 0.0);
  }

  // Plans the halves below a split that is already chosen; nothing if that cannot beat `limit`.
  SubPlan plan_at(int index, const std::vector<Extent>& extents, std::pair<Split, bool> chosen,
                  double limit = kForbidden) {
    const TreeNode& node = tree_.nodes[index];
    SubPlan plan;
    if (limit < kForbidden && lower_bound(index, extents, chosen.first) >= limit) return plan;
    plan.proven = chosen.second;
    std::vector<std::vector<double>> below;
    for (int side = 0; side < (node.equal_halves() ? 1 : 2); ++side) {
      if (is_idle(chosen.first, side)) {
        below.emplace_back(network_.nodes.size(), 0.0);
        continue;
      }
      SubPlan half = plan_below(node.children[side],
                                child_extents(network_, extents, chosen.first, side, options_));
      plan.proven = plan.proven && half.proven;
      plan.price = std::max(plan.price, half.price);
      for (auto& split : half.splits) plan.splits.push_back(std::move(split));
      for (auto& mesh : half.meshes) plan.meshes.push_back(std::move(mesh));
      below.push_back(std::move(half.phases));
    }
    plan.phases = split_phases(network_, extents, node, chosen.first, below, options_);
    plan.splits.emplace_back(index, std::move(chosen.first));
    return plan;
  }

  // One ratio for all nodes, found on the simulated total; a side may stay idle.
  SubPlan plan_shared_ratio(int index, const std::vector<Extent>& extents) {
    const TreeNode& node = tree_.nodes[index];
    SubPlan best;
    if (options_.may_idle) {
      for (int idle = 0; idle < (node.equal_halves() ? 1 : 2); ++idle) {
        // Where both halves are alike the second one rests.
        const double share = node.equal_halves() || idle == 1 ? 1.0 : 0.0;
        SubPlan alone = plan_at(index, extents, {idle_split(share), true}, best.total());
        if (alone.total() < best.total()) best = std::move(alone);
      }
    }
    SubPlan both = node.equal_halves() ? plan_halves(index, extents, best.total())
                                       : scan_ratio(index, extents, best.total());
    return both.total() < best.total() ? both : best;
  }

  SubPlan scan_ratio(int index, const std::vector<Extent>& extents, double limit) {
    const TreeNode& node = tree_.nodes[index];
    const double balanced = tree_.nodes[node.children[0]].rate / node.rate;
    SubPlan best;
    double best_share = balanced;
    const auto consider = [&](double share) {
      if (share <= 0 || share >= 1) return;
      for (const bool rows : {false, true}) {
        if (rows && !has_meshes()) continue;
        SubPlan plan = plan_at(
            index, extents, rows ? split_rows(index, extents, share) : solve(index, extents, share),
            std::min(limit, best.total()));
        if (plan.total() < best.total()) {
          best = std::move(plan);
          best_share = share;
        }
      }
    };
    consider(balanced);
    // Groups take longer to plan than single devices, and their time is smoother in the ratio.
    const bool groups = tree_.nodes[node.children[0]].devices > 1;
    const int steps = groups ? 8 : 16;
    for (int i = 1; i < steps; ++i) consider(static_cast<double>(i) / steps);
    for (double step = 0.5 / steps; step > (groups ? 8e-3 : 1e-3); step /= 2) {
      const double centre = best_share;
      consider(centre - step);
      consider(centre + step);
    }
    return best;
  }

  bool has_meshes() const {
    return std::any_of(tree_.nodes.begin(), tree_.nodes.end(),
                       [](const TreeNode& n) { return n.leaf() && n.devices > 1; });
  }

  // Data parallelism between the two sides, which the split's own objective cannot see to be better
  // when the groups' inner exchange dominates.
  std::pair<Split, bool> split_rows(int index, const std::vector<Extent>& extents, double share) {
    return TreePlanner(network_, tree_, array_, Strategy::kData, options_, mesh_)
        .solve(index, extents, share);
  }

  // Equal halves all the way down: on chains the joint optimum over all levels, elsewhere level by
  // level.
  SubPlan plan_halves(int index, const std::vector<Extent>& extents, double limit) {
    SubPlan greedy = plan_at(index, extents, solve(index, extents, 0.5), limit);
    // The joint method knows no price on memory.
    if (options_.memory_price > 0) return greedy;
    const auto joint = joint_splits(network_, tree_, index, extents, options_);
    if (!joint) return greedy;
    SubPlan exact;
    exact.phases = joint_phases(index, extents, *joint);
    exact.splits = *joint;
    return exact.total() < greedy.total() ? exact : greedy;
  }

  std::vector<double> joint_phases(int index, const std::vector<Extent>& extents,
                                   const std::vector<std::pair<int, Split>>& splits) {
    const TreeNode& node = tree_.nodes[index];
    if (node.leaf()) return leaf_phases(network_, extents, node, options_);
    for (const auto& [where, split] : splits) {
      if (where != index) continue;
      const std::vector<std::vector<double>> below = {joint_phases(
          node.children[0], child_extents(network_, extents, split, 0, options_), splits)};
      return split_phases(network_, extents, node, split, below, options_);
    }
    PENSTOCK_CHECK(false);
    return {};
  }

  Split idle_split(double share) const {
    Split split;
    split.states.assign(network_.nodes.size(), 0);
    split.shares.assign(network_.nodes.size(), share);
    return split;
  }

  // The states of all nodes at one split, and the shares that go with them.
  std::pair<Split, bool> solve(int index, const std::vector<Extent>& extents, double share) {
    const TreeNode& node = tree_.nodes[index];
    const LevelModel model(network_, extents, options_);
    const bool own_ratios =
        strategy_ == Strategy::kAccpar && !options_.shared_ratio && !node.equal_halves();
    PairwiseProblem problem;
    for (std::size_t v = 0; v < network_.nodes.size(); ++v)
      add_node(model, node, v, share, own_ratios, problem);
    for (std::size_t e = 0; e < network_.edges.size(); ++e)
      add_edge(model, node, e, share, own_ratios, problem);
    const Assignment best = problem.minimise();
    PENSTOCK_CHECK(best.cost < kForbidden);
    Split split;
    for (std::size_t v = 0; v < network_.nodes.size(); ++v) {
      split.states.push_back(static_cast<std::uint8_t>(best.states[v]));
      split.shares.push_back(own_ratios ? own_ratio(model, node, static_cast<int>(v), best.states)
                                        : share);
    }
    return {std::move(split), best.proven};
  }

  Objective objective() const {
    return strategy_ == Strategy::kAccpar ? Objective::kTime : Objective::kVolume;
  }

  Choices open_states(const LevelModel& model, int v, double share) const {
    const Node& node = network_.nodes[v];
    Choices wanted = 0;
    Choices possible = 0;
    for (int state = 0; state < LevelModel::states(node); ++state) {
      if (!model.allowed(v, state, share)) continue;
      possible |= 1u << state;
      if ((strategy_choices(strategy_, node) >> state & 1u) != 0) wanted |= 1u << state;
    }
    if (wanted != 0) return wanted;
    return possible != 0 ? possible : node.choices;
  }

  // A node with one input is paid for together with that edge, so that both sides' time is
  // compared once for the whole layer; with none or several, by itself.
  bool paid_with_edge(int v) const { return network_.nodes[v].in_edges.size() == 1; }

  void add_node(const LevelModel& model, const TreeNode& node, std::size_t v, double share,
                bool own_ratios, PairwiseProblem& problem) {
    const int id = static_cast<int>(v);
    const Choices open = open_states(model, id, share);
    std::vector<double> costs(static_cast<std::size_t>(LevelModel::states(network_.nodes[v])),
                              kForbidden);
    for (std::size_t state = 0; state < costs.size(); ++state) {
      if ((open >> state & 1u) == 0) continue;
      costs[state] = paid_with_edge(id) ? 0
                                        : phase(model, node, id, -1, 0, static_cast<int>(state),
                                                share, own_ratios);
    }
    problem.add_variable(std::move(costs));
  }

  void add_edge(const LevelModel& model, const TreeNode& node, std::size_t e, double share,
                bool own_ratios, PairwiseProblem& problem) {
    const Edge& edge = network_.edges[e];
    const int rows = LevelModel::states(network_.nodes[edge.from]);
    const int columns = LevelModel::states(network_.nodes[edge.to]);
    std::vector<double> costs;
    for (int p = 0; p < rows; ++p) {
      for (int t = 0; t < columns; ++t) {
        const int v = paid_with_edge(edge.to) ? edge.to : -1;
        costs.push_back(phase(model, node, v, static_cast<int>(e), p, t, share, own_ratios));
      }
    }
    problem.add_pair(edge.from, edge.to, std::move(costs));
  }

  SharedCost shared_cost(const LevelModel& model, int v, int e, int p, int t) const {
    SharedCost cost;
    if (v >= 0) {
      cost.work = Flop(model.flops(v));
      cost.fixed = Bytes(model.node_bytes(v, t, 0.5, 0));
    }
    if (e >= 0) {
      const LevelModel::Coefficients c = model.edge_coefficients(e, p, t);
      cost.falling = Bytes(c.falling);
      cost.mixed = Bytes(c.mixed);
    }
    return cost;
  }

  // What the objective charges for node v (if any) in state t and edge e (if any) from state p.
  double phase(const LevelModel& model, const TreeNode& node, int v, int e, int p, int t,
               double share, bool own_ratios) const {
    const TreeNode* halves[2] = {&tree_.nodes[node.children[0]], &tree_.nodes[node.children[1]]};
    // The fuller side's memory, as far down as this split cuts it.
    const double held =
        v >= 0 && options_.memory_price > 0
            ? options_.memory_price * model.held_bytes(v, t, std::max(share, 1 - share))
            : 0;
    if (own_ratios) {
      return held + best_ratio(shared_cost(model, v, e, p, t), {halves[0]->rate, node.own[0]},
                               {halves[1]->rate, node.own[1]}, options_.least_share)
                        .time.value();
    }
    double slower = 0;
    double volume = 0;
    for (int side = 0; side < 2; ++side) {
      double bytes = 0;
      double work = 0;
      if (v >= 0) {
        bytes += model.node_bytes(v, t, share, side);
        work += model.flops(v) * model.flops_fraction(v, t, share, side);
      }
      if (e >= 0) bytes += model.edge_bytes(e, p, t, share, side);
      volume += bytes;
      slower =
          std::max(slower, bytes / node.charged[side].value() + work / halves[side]->rate.value());
    }
    return objective() == Objective::kVolume ? volume : slower + held;
  }

  double own_ratio(const LevelModel& model, const TreeNode& node, int v,
                   const std::vector<int>& states) const {
    const std::vector<int>& edges = network_.nodes[v].in_edges;
    SharedCost cost = shared_cost(model, v, -1, 0, states[v]);
    for (const int e : edges) {
      const SharedCost part = shared_cost(model, -1, e, states[network_.edges[e].from], states[v]);
      cost.falling += part.falling;
      cost.mixed += part.mixed;
    }
    return best_ratio(cost, {tree_.nodes[node.children[0]].rate, node.own[0]},
                      {tree_.nodes[node.children[1]].rate, node.own[1]}, options_.least_share)
        .share;
  }

  const Network& network_;
  const DeviceTree& tree_;
  const hardware::Array& array_;
  Strategy strategy_;
  const TreeOptions& options_;
  const MeshOptions& mesh_;
};

}  // namespace

TreePlan plan_tree(const Network& network, const DeviceTree& tree, const hardware::Array& array,
                   Strategy strategy, const TreeOptions& options, const MeshOptions& mesh) {
  return TreePlanner(network, tree, array, strategy, options, mesh).plan();
}

}  // namespace penstock::partition
