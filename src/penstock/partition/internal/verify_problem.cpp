#include "penstock/partition/internal/verify_problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "penstock/partition/internal/level_model.h"
#include "penstock/partition/internal/tree_phases.h"
#include "penstock/partition/internal/verify_reduce.h"

namespace penstock::partition::internal {
namespace {

// Problems below both are run as they are.
constexpr std::int64_t kSmallElements = 1 << 20;
constexpr std::int64_t kSmallMacs = 1 << 29;

// A few seconds on one core. Beyond, shares are kept less closely rather than more channels run.
constexpr std::int64_t kManyMacs = 2'000'000'000;

// A deviation from the plan's ratio that still counts as the same ratio.
constexpr double kClose = 0.2;

enum class Dimension { kRows, kIn, kOut };
constexpr Dimension kDimensions[] = {Dimension::kRows, Dimension::kIn, Dimension::kOut};

double items(const Extent& extent, Dimension dimension) {
  switch (dimension) {
    case Dimension::kRows:
      return extent.rows;
    case Dimension::kIn:
      return extent.in;
    case Dimension::kOut:
      return extent.out;
  }
  return 0;
}

bool cuts(const Node& node, int state, Dimension dimension) {
  if (node.kind != NodeKind::kLayer) {
    return state ==
           static_cast<int>(dimension == Dimension::kRows ? Layout::kRows : Layout::kColumns);
  }
  if (state == static_cast<int>(Type::kGroup)) return dimension != Dimension::kRows;
  constexpr Type kTypes[] = {Type::kBatch, Type::kIn, Type::kOut};
  return state == static_cast<int>(kTypes[static_cast<int>(dimension)]);
}

// Fits a plan's shares to whole items.
class Fitting {
 public:
  Fitting(const Network& network, const PartitionPlan& plan)
      : network_(network), plan_(plan), tree_(plan.device_tree()) {
    plan_.tree_options.whole_items = true;
  }

  Rounding fit(std::int64_t batch) {
    std::vector<Extent> extents = whole_extents(network_);
    for (std::size_t v = 0; v < extents.size(); ++v) {
      if (network_.nodes[v].rows == network_.batch) extents[v].rows = static_cast<double>(batch);
    }
    walk(0, extents);
    return worst_;
  }

  PartitionPlan take() { return std::move(plan_); }
  int raised() const { return raised_; }

 private:
  const Split& split_at(int index) const {
    return plan_.tree.splits[static_cast<std::size_t>(index)];
  }

  // Items of a node's dimension that the devices below need to have one each.
  double needed(int index, int v, Dimension dimension) const {
    const TreeNode& node = tree_.nodes[static_cast<std::size_t>(index)];
    if (node.leaf()) return needed_by_mesh(index, v, dimension);
    const Split& split = split_at(index);
    double each[2] = {0, 0};
    for (int side = 0; side < 2; ++side) {
      if (!is_idle(split, side)) each[side] = needed(node.children[side], v, dimension);
    }
    const bool cut = cuts(network_.nodes[static_cast<std::size_t>(v)],
                          split.states[static_cast<std::size_t>(v)], dimension);
    return cut ? each[0] + each[1] : std::max(each[0], each[1]);
  }

  double needed_by_mesh(int index, int v, Dimension dimension) const {
    const MeshPlan& mesh = plan_.tree.meshes[static_cast<std::size_t>(index)];
    if (mesh.states.empty()) return 1;
    const int group = tree_.nodes[static_cast<std::size_t>(index)].group;
    const MeshSpace space(plan_.array.groups[static_cast<std::size_t>(group)], mesh.devices);
    const MeshState& state = mesh.states[static_cast<std::size_t>(v)];
    return space.parts(dimension == Dimension::kRows ? state.rows
                       : dimension == Dimension::kIn ? state.in
                                                     : state.out);
  }

  void note(Dimension dimension, double off) {
    double& worst = dimension == Dimension::kRows ? worst_.rows : worst_.columns;
    worst = std::max(worst, off);
  }

  void fit_share(int index, int v, Dimension dimension, double whole) {
    const TreeNode& node = tree_.nodes[static_cast<std::size_t>(index)];
    double& share =
        plan_.tree.splits[static_cast<std::size_t>(index)].shares[static_cast<std::size_t>(v)];
    const double least = needed(node.children[0], v, dimension);
    const double rest = needed(node.children[1], v, dimension);
    if (whole < least + rest) return note(dimension, INFINITY);
    const double wanted = std::floor(whole * share + 0.5);
    const double first = std::clamp(wanted, least, whole - rest);
    // Plans in whole items have the items they need; only the paper's shares are of any size.
    if (first != wanted && plan_.mode != Mode::kPaper) return note(dimension, INFINITY);
    note(dimension, std::abs(first / whole - share) / std::min(share, 1 - share));
    // A split into equal halves is one for all its positions in the tree.
    if (first == wanted || node.equal_halves()) return;
    share = first / whole;
    ++raised_;
  }

  void walk(int index, const std::vector<Extent>& extents) {
    const TreeNode& node = tree_.nodes[static_cast<std::size_t>(index)];
    if (node.leaf()) {
      for (std::size_t v = 0; v < extents.size(); ++v) {
        for (const Dimension d : kDimensions) {
          if (needed(index, static_cast<int>(v), d) > items(extents[v], d)) note(d, INFINITY);
        }
      }
      return;
    }
    const bool idle[2] = {is_idle(split_at(index), 0), is_idle(split_at(index), 1)};
    for (std::size_t v = 0; v < extents.size() && !idle[0] && !idle[1]; ++v) {
      for (const Dimension d : kDimensions) {
        // The two sides of grouped channels and of glue are cut alike.
        if (d == Dimension::kOut &&
            cuts(network_.nodes[v], split_at(index).states[v], Dimension::kIn)) {
          continue;
        }
        if (cuts(network_.nodes[v], split_at(index).states[v], d)) {
          fit_share(index, static_cast<int>(v), d, items(extents[v], d));
        }
      }
    }
    for (int side = 0; side < 2; ++side) {
      if (idle[side]) continue;
      walk(node.children[side],
           child_extents(network_, extents, split_at(index), side, plan_.tree_options));
    }
  }

  const Network& network_;
  PartitionPlan plan_;
  DeviceTree tree_;
  Rounding worst_;
  int raised_ = 0;
};

bool same_structure(const Network& a, const Network& b) {
  if (a.nodes.size() != b.nodes.size() || a.edges.size() != b.edges.size()) return false;
  for (std::size_t v = 0; v < a.nodes.size(); ++v) {
    if (a.nodes[v].name != b.nodes[v].name || a.nodes[v].kind != b.nodes[v].kind) return false;
  }
  for (std::size_t e = 0; e < a.edges.size(); ++e) {
    if (a.edges[e].from != b.edges[e].from || a.edges[e].to != b.edges[e].to) return false;
  }
  return true;
}

// Whether the smaller network may take the plan's states.
bool allows(const Network& network, const PartitionPlan& plan) {
  for (const Split& split : plan.tree.splits) {
    for (std::size_t v = 0; v < split.states.size(); ++v) {
      const bool splits = split.shares[v] > 0 && split.shares[v] < 1;
      if (splits && (network.nodes[v].choices >> split.states[v] & 1u) == 0) return false;
    }
  }
  return true;
}

std::int64_t total_elements(const model::Graph& graph) {
  std::int64_t sum = 0;
  for (const model::Tensor& tensor : graph.tensors) sum += model::elements(tensor.shape);
  return sum;
}

std::vector<std::int64_t> batches(std::int64_t batch) {
  std::vector<std::int64_t> sizes;
  for (std::int64_t b = 2; b <= 64 && b < batch; ++b) sizes.push_back(b);
  for (const std::int64_t b : {80, 96, 100, 128, 160, 192, 200, 256, 320, 384, 400, 512, 640, 768,
                               800, 1000, 1024, 2000, 4000}) {
    if (b < batch) sizes.push_back(b);
  }
  sizes.push_back(batch);
  return sizes;
}

// The smallest batch that keeps the ratios, exactly if that takes not many times more.
std::int64_t smallest_batch(const Network& network, const PartitionPlan& plan) {
  const double close = std::max(kClose, 2 * Fitting(network, plan).fit(network.batch).rows);
  std::int64_t found = 0;
  for (const std::int64_t batch : batches(network.batch)) {
    const double off = Fitting(network, plan).fit(batch).rows;
    if (off < 1e-9)
      return found > 0 && batch > std::max<std::int64_t>(100, 2 * found) ? found : batch;
    if (off <= close && found == 0) found = batch;
  }
  return found > 0 ? found : network.batch;
}

}  // namespace

Result<Problem> smaller_problem(const model::Graph& graph, const Network& network,
                                const PartitionPlan& plan, std::int64_t max_elements) {
  const bool small = total_elements(graph) <= kSmallElements && graph.macs() <= kSmallMacs;
  const std::int64_t batch = small ? graph.batch : smallest_batch(network, plan);
  Error last;
  std::optional<Problem> best;
  double least = INFINITY;
  const double close = std::max(kClose, 2 * Fitting(network, plan).fit(network.batch).columns);
  for (const std::int64_t divisor : {64, 32, 16, 8, 4, 2, 1}) {
    if (small && divisor > 1) continue;
    Reduction reduction{batch, divisor, 4, small ? 0 : 4};
    Result<model::Graph> reduced = reduce_graph(graph, reduction);
    // The smallest maps that every window fits.
    for (; !reduced && reduction.pixels > 0 && reduction.pixels < 512; ++reduction.pixels) {
      reduced = reduce_graph(graph, reduction);
    }
    if (!reduced) {
      last = reduced.error();
      continue;
    }
    Result<Network> lowered = lower(*reduced);
    if (!lowered || !same_structure(*lowered, network) || !allows(*lowered, plan)) {
      last = core::negative(
                 graph.source,
                 fmt::format("a smaller problem than batch {} has another structure", graph.batch),
                 "verify the network at a batch small enough to run as it is")
                 .value();
      continue;
    }
    Fitting fitting(*lowered, plan);
    const double off = fitting.fit(batch).columns;
    Problem problem{*std::move(reduced), {}, fitting.take(), 0, !small, fitting.raised()};
    problem.network = *std::move(lowered);
    problem.elements = total_elements(problem.graph);
    if (problem.elements > max_elements) {
      last =
          core::negative(
              graph.source,
              fmt::format("no problem of {} at batch {} that keeps the plan in whole items has at "
                          "most {} elements",
                          network.name, batch, max_elements),
              "raise the limit on elements, or plan for fewer devices")
              .value();
      break;
    }
    if (best && std::isfinite(least) && problem.graph.macs() > kManyMacs) break;
    if (off < least || least == INFINITY) {
      least = off;
      best = std::move(problem);
    }
    if (off <= close) break;
  }
  if (best) return *std::move(best);
  return core::fail(std::move(last));
}

}  // namespace penstock::partition::internal
