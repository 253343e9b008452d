#include "penstock/partition/mesh.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "penstock/core/check.h"
#include "penstock/partition/elimination.h"
#include "penstock/partition/internal/mesh_model.h"

namespace penstock::partition {
namespace {

std::vector<int> prime_factors(int n) {
  std::vector<int> factors;
  for (int p = 2; p <= n; ++p) {
    for (; n % p == 0; n /= p) factors.push_back(p);
  }
  std::reverse(factors.begin(), factors.end());
  return factors;
}

}  // namespace

MeshSpace::MeshSpace(const hardware::DeviceGroup& group, int devices)
    : group_(&group), devices_(devices) {
  PENSTOCK_CHECK(devices >= 1);
  PENSTOCK_CHECK(devices <= group.count);
  // Whole nodes, or the widest even use of as few nodes as hold the devices.
  int nodes = (devices + group.per_node - 1) / group.per_node;
  while (devices % nodes != 0) ++nodes;
  radices_ = prime_factors(nodes);
  node_axes_ = static_cast<Axes>((1u << radices_.size()) - 1u);
  const int per_node = devices / nodes;
  for (const int p : prime_factors(per_node)) radices_.push_back(p);
  PENSTOCK_CHECK(radices_.size() <= 16u);

  row_weights_.assign(radices_.size(), 1);
  column_weights_.assign(radices_.size(), 1);
  for (std::size_t k = 1; k < radices_.size(); ++k) {
    row_weights_[k] = row_weights_[k - 1] * radices_[k - 1];
  }
  for (std::size_t k = radices_.size(); k-- > 1;) {
    column_weights_[k - 1] = column_weights_[k] * radices_[k];
  }
  latency_[0] = group.link_latency.value();
  latency_[1] = group.network_latency.value();
  for (unsigned axes = 0; axes <= all(); ++axes) {
    int parts = 1;
    int inside = 1;
    for (std::size_t k = 0; k < radices_.size(); ++k) {
      if ((axes >> k & 1u) == 0) continue;
      parts *= radices_[k];
      if ((node_axes_ >> k & 1u) == 0) inside *= radices_[k];
    }
    parts_.push_back(parts);
    double bandwidth = group.link.value();
    if (crosses_nodes(static_cast<Axes>(axes))) {
      const double share = group.network.value() * inside / per_node;
      bandwidth = per_node == 1 ? share : std::min(bandwidth, share);
    }
    seconds_per_byte_.push_back(axes == 0 ? 0 : 1 / bandwidth);
  }
}

int MeshSpace::row_digit(std::int64_t index, int axis) const {
  return static_cast<int>(index / row_weights_[axis] % radices_[axis]);
}

int MeshSpace::column_digit(std::int64_t index, int axis) const {
  return static_cast<int>(index / column_weights_[axis] % radices_[axis]);
}

int MeshSpace::coordinate(int device, int axis) const {
  return device / row_weights_[axis] % radices_[axis];
}

std::int64_t MeshSpace::count(int device, std::int64_t items, Axes axes,
                              const std::vector<int>& weights) const {
  const std::int64_t rest = items % devices_;
  std::int64_t held = items / devices_ * (devices_ / parts_[axes]);
  if (axes == 0) return held + rest;
  for (std::int64_t i = 0; i < rest; ++i) {
    bool mine = true;
    for (int k = 0; k < this->axes() && mine; ++k) {
      if ((axes >> k & 1u) == 0) continue;
      mine = i / weights[k] % radices_[k] == coordinate(device, k);
    }
    if (mine) ++held;
  }
  return held;
}

std::int64_t MeshSpace::rows_of(int device, std::int64_t items, Axes axes) const {
  return count(device, items, axes, row_weights_);
}

std::int64_t MeshSpace::columns_of(int device, std::int64_t items, Axes axes) const {
  return count(device, items, axes, column_weights_);
}

// Device 0 owns digit 0 of every axis, which no other digit exceeds in number. Items beyond whole
// rounds over all devices count towards every set of axes on which all their digits are 0.
std::vector<double> MeshSpace::most(std::int64_t items, const std::vector<int>& weights) const {
  std::vector<std::int64_t> zero(parts_.size(), 0);
  for (std::int64_t i = 0; i < items % devices_; ++i) {
    unsigned axes = 0;
    for (std::size_t k = 0; k < radices_.size(); ++k) {
      if (i / weights[k] % radices_[k] == 0) axes |= 1u << k;
    }
    ++zero[axes];
  }
  for (std::size_t k = 0; k < radices_.size(); ++k) {
    for (unsigned axes = 0; axes < zero.size(); ++axes) {
      if ((axes >> k & 1u) == 0) zero[axes] += zero[axes | 1u << k];
    }
  }
  std::vector<double> held;
  for (std::size_t axes = 0; axes < zero.size(); ++axes) {
    held.push_back(static_cast<double>(items / devices_ * (devices_ / parts_[axes]) + zero[axes]));
  }
  return held;
}

std::vector<double> MeshSpace::most_rows(std::int64_t items) const {
  return most(items, row_weights_);
}

std::vector<double> MeshSpace::most_columns(std::int64_t items) const {
  return most(items, column_weights_);
}

namespace {

Axes span(int from, int to) { return static_cast<Axes>((1u << to) - (1u << from)); }

// The states of one node: the batch takes the first axes, one side of the channels the next, the
// other the last.
std::vector<MeshState> candidate_states(const Node& node, const Extent& extent,
                                        const MeshSpace& space) {
  const int axes = space.axes();
  const bool layer = node.kind == NodeKind::kLayer;
  const bool grouped = layer && (node.choices & choice(Type::kGroup)) != 0;
  const auto can = [&](bool allowed, Axes a, double items) {
    return a == 0 || (allowed && space.parts(a) <= items);
  };
  const auto allows = [&](auto which) { return (node.choices & choice(which)) != 0; };
  std::vector<MeshState> states;
  std::size_t widest = 0;
  const auto add = [&](MeshState s) {
    const bool rows = layer ? allows(Type::kBatch) : allows(Layout::kRows);
    const bool in = layer ? grouped || allows(Type::kIn) : allows(Layout::kColumns);
    const bool out = layer ? grouped || allows(Type::kOut) : allows(Layout::kColumns);
    if (!can(rows, s.rows, extent.rows) || !can(in, s.in, extent.in) ||
        !can(out, s.out, extent.out)) {
      return;
    }
    const auto used =
        static_cast<std::size_t>(space.parts(static_cast<Axes>(s.rows | s.in | s.out)));
    // A layer leaves axes unused only where it must.
    if (layer && used < widest) return;
    if (layer && used > widest) states.clear();
    widest = std::max(widest, used);
    if (std::find(states.begin(), states.end(), s) == states.end()) states.push_back(s);
  };
  for (int b = 0; b <= axes; ++b) {
    for (int c = 0; b + c <= axes; ++c) {
      if (!layer || grouped) {
        for (const Axes columns : {span(b, b + c), span(axes - c, axes)}) {
          add({span(0, b), columns, columns});
        }
        continue;
      }
      for (int d = 0; b + c + d <= axes; ++d) {
        add({span(0, b), span(b, b + c), span(axes - d, axes)});
        add({span(0, b), span(axes - d, axes), span(b, b + c)});
      }
    }
  }
  return states;
}

class MeshPlanner {
 public:
  explicit MeshPlanner(const MeshModel& model) : model_(model) {
    const Network& network = model_.network();
    for (std::size_t v = 0; v < network.nodes.size(); ++v) {
      const int id = static_cast<int>(v);
      states_.push_back(candidate_states(network.nodes[v], model_.extent(id), model_.space()));
      std::vector<double> seconds;
      std::vector<double> bytes;
      for (const MeshState& state : states_.back()) {
        const MeshPhase phase = model_.node_phase(id, state);
        seconds.push_back(phase.compute + phase.interconnect + phase.network);
        bytes.push_back(memory(id, state));
      }
      seconds_.push_back(std::move(seconds));
      bytes_.push_back(std::move(bytes));
    }
  }

  // No plan of this mesh is faster: compute and gradient exchange of each node by itself, and the
  // least that its partial sums can cost.
  double bound() const {
    double sum = 0;
    for (std::size_t v = 0; v < states_.size(); ++v) {
      double least = kForbidden;
      for (std::size_t s = 0; s < states_[v].size(); ++s) {
        least = std::min(least,
                         seconds_[v][s] + least_partial_sums(static_cast<int>(v), states_[v][s]));
      }
      sum += least;
    }
    return sum;
  }

  void make_tables() {
    const Network& network = model_.network();
    for (std::size_t e = 0; e < network.edges.size(); ++e) tables_.push_back(edge_table(e));
  }

  // At a price on each byte held; after make_tables().
  PairwiseProblem problem(double price) const {
    PairwiseProblem problem;
    for (std::size_t v = 0; v < states_.size(); ++v) {
      std::vector<double> costs = seconds_[v];
      for (std::size_t s = 0; s < costs.size(); ++s) costs[s] += price * bytes_[v][s];
      problem.add_variable(std::move(costs));
    }
    const Network& network = model_.network();
    for (std::size_t e = 0; e < tables_.size(); ++e) {
      problem.add_pair(network.edges[e].from, network.edges[e].to, made_[tables_[e]]);
    }
    return problem;
  }

  MeshPlan plan() {
    make_tables();
    const double capacity = model_.space().group().memory.value();
    MeshPlan best = solve(0);
    if (capacity <= 0 || held(best) <= capacity) return best;
    // A price on bytes keeps the problem exact for that price; the lowest price that fits wins.
    double low = 0;
    double high = 1e-9;  // seconds a byte
    MeshPlan fits = solve(high);
    for (; held(fits) > capacity && high < 1; fits = solve(high)) {
      low = high;
      high *= 8;
    }
    if (held(fits) > capacity) return fits;
    for (int i = 0; i < 12; ++i) {
      const double price = low == 0 ? high / 16 : std::sqrt(low * high);
      MeshPlan plan = solve(price);
      if (held(plan) <= capacity) {
        high = price;
        fits = std::move(plan);
      } else {
        low = price;
      }
    }
    fits.proven = false;
    return fits;
  }

 private:
  // A reduce-scatter of either result, over the fastest link that the axes could use.
  double least_partial_sums(int v, const MeshState& state) const {
    const Node& node = model_.network().nodes[v];
    const MeshSpace& space = model_.space();
    const auto least = [&](Axes partial, const MeshTensor& tensor, const MeshLayout& layout) {
      if (partial == 0) return 0.0;
      const double n = space.parts(partial);
      const double block = tensor.rows[layout.rows] * tensor.columns[layout.columns] * tensor.unit;
      return block * model_.options().bytes_per_element * (n - 1) / n *
             space.seconds_per_byte(space.all()) * 0.5;
    };
    const MeshLayout out = forward_out(node, state);
    double sum = 0;
    if (!node.out_edges.empty()) sum += least(out.partial, model_.output_tensor(v), out);
    return sum;
  }

  double memory(int node, const MeshState& state) const {
    return model_.parameters(node, state) * model_.options().memory.bytes_per_weight +
           model_.stash(node, state) * model_.options().bytes_per_element;
  }

  double held(const MeshPlan& plan) const {
    double sum = 0;
    for (std::size_t v = 0; v < plan.states.size(); ++v) {
      sum += memory(static_cast<int>(v), plan.states[v]);
    }
    return sum;
  }

  // Tables repeat along a deep network; equal ones are computed once.
  int edge_table(std::size_t e) {
    const Network& network = model_.network();
    const Edge& edge = network.edges[e];
    const Extent& extent = model_.extent(edge.to);
    const Node& from = network.nodes[edge.from];
    const Node& to = network.nodes[edge.to];
    const Extent& source = model_.extent(edge.from);
    const Key key{from.choices,
                  static_cast<int>(from.kind),
                  source.rows,
                  source.in,
                  source.out,
                  to.choices,
                  static_cast<int>(to.kind),
                  extent.rows,
                  extent.in,
                  extent.out,
                  model_.edge_unit(static_cast<int>(e)),
                  model_.edge_columns(static_cast<int>(e)),
                  edge.gradient};
    const auto known = known_.find(key);
    if (known != known_.end()) return known->second;
    const MeshTensor tensor = model_.edge_tensor(static_cast<int>(e));
    const bool scatter = model_.options().reduce_scatter;
    const double scale = model_.options().bytes_per_element;
    // Layouts of the consumer's states, found once.
    std::vector<std::pair<MeshLayout, MeshLayout>> ends;
    for (const MeshState& t : states_[edge.to]) {
      ends.emplace_back(forward_in(to, t), backward_out(to, t));
    }
    std::vector<double> costs;
    costs.reserve(states_[edge.from].size() * ends.size());
    for (const MeshState& p : states_[edge.from]) {
      const MeshLayout out = forward_out(from, p);
      const MeshLayout back = backward_in(from, p);
      for (const auto& [in, gradient] : ends) {
        double seconds =
            exchange(model_.space(), tensor, convert(out, in, scatter), scale).seconds();
        if (edge.gradient) {
          seconds +=
              exchange(model_.space(), tensor, convert(gradient, back, scatter), scale).seconds();
        }
        costs.push_back(seconds);
      }
    }
    made_.push_back(std::make_shared<const std::vector<double>>(std::move(costs)));
    known_[key] = static_cast<int>(made_.size()) - 1;
    return known_[key];
  }

  MeshPlan solve(double price) const {
    const Assignment best = problem(price).minimise();
    MeshPlan plan;
    plan.proven = best.proven;
    for (std::size_t v = 0; v < states_.size(); ++v) {
      plan.states.push_back(states_[v][best.states[v]]);
    }
    return plan;
  }

  using Key = std::tuple<Choices, int, double, double, double, Choices, int, double, double, double,
                         double, double, bool>;
  const MeshModel& model_;
  std::vector<std::vector<MeshState>> states_;
  std::vector<std::vector<double>> seconds_;
  std::vector<std::vector<double>> bytes_;
  std::map<Key, int> known_;
  std::vector<PairwiseProblem::Costs> made_;
  std::vector<int> tables_;  // by edge, into made_
};

}  // namespace

MeshPlan plan_mesh(const Network& network, const std::vector<Extent>& extents,
                   const MeshSpace& space, const MeshOptions& options) {
  const MeshModel model(network, extents, space, options);
  MeshPlan plan = MeshPlanner(model).plan();
  plan.devices = space.devices();
  return plan;
}

PairwiseProblem mesh_problem(const Network& network, const std::vector<Extent>& extents,
                             const MeshSpace& space, const MeshOptions& options) {
  const MeshModel model(network, extents, space, options);
  MeshPlanner planner(model);
  planner.make_tables();
  return planner.problem(0);
}

namespace {

// Whether a mesh of so many devices is tried: every size up to 16, beyond it those with at most
// four significant bits.
bool is_round(int devices) {
  int odd = devices;
  while (odd > 0 && odd % 2 == 0) odd /= 2;
  return devices <= 16 || odd < 4;
}

}  // namespace

MeshPlan best_mesh(const Network& network, const std::vector<Extent>& extents,
                   const hardware::DeviceGroup& group, int least, int most,
                   const MeshOptions& options, Seconds limit) {
  if (!options.may_idle) return plan_mesh(network, extents, MeshSpace(group, most), options);
  MeshPlan best;
  double best_seconds = kForbidden;
  double best_excess = kForbidden;  // bytes over the devices' memory
  for (int devices = most; devices >= std::max(1, least); --devices) {
    if (!is_round(devices)) continue;
    const MeshSpace space(group, devices);
    const MeshModel model(network, extents, space, options);
    MeshPlanner planner(model);
    const double rival = best_excess == 0 ? std::min(best_seconds, limit.value()) : limit.value();
    if (planner.bound() >= rival) continue;
    MeshPlan plan = planner.plan();
    plan.devices = devices;
    const MeshCost cost = evaluate_mesh(network, extents, space, plan, options);
    const double excess =
        group.memory.value() > 0 ? std::max(0.0, (cost.memory() - group.memory).value()) : 0;
    const bool better =
        excess < best_excess || (excess == best_excess && cost.step.value() < best_seconds);
    if (!better) continue;
    best = std::move(plan);
    best_seconds = cost.step.value();
    best_excess = excess;
  }
  return best;
}

MeshPlan data_parallel_mesh(const Network& network, const std::vector<Extent>& extents,
                            const MeshSpace& space) {
  MeshPlan plan;
  plan.devices = space.devices();
  for (std::size_t v = 0; v < network.nodes.size(); ++v) {
    const Node& node = network.nodes[v];
    const bool allowed =
        (node.kind == NodeKind::kLayer ? node.choices & choice(Type::kBatch)
                                       : node.choices & choice(Layout::kRows)) != 0;
    int axes = allowed ? space.axes() : 0;
    while (axes > 0 && space.parts(span(0, axes)) > extents[v].rows) --axes;
    plan.states.push_back({span(0, axes), 0, 0});
  }
  return plan;
}

MeshCost evaluate_mesh(const Network& network, const std::vector<Extent>& extents,
                       const MeshSpace& space, const MeshPlan& plan, const MeshOptions& options) {
  const MeshModel model(network, extents, space, options);
  MeshCost cost;
  double weights = 0;
  double activations = 0;
  double buffer = 0;
  for (std::size_t v = 0; v < network.nodes.size(); ++v) {
    const int id = static_cast<int>(v);
    const Node& node = network.nodes[v];
    MeshPhase phase = model.node_phase(id, plan.states[v]);
    Exchange sum;
    for (const int e : node.in_edges) {
      const Edge& edge = network.edges[e];
      const MeshTensor tensor = model.edge_tensor(e);
      const Node& from = network.nodes[edge.from];
      const MeshState& p = plan.states[edge.from];
      const Exchange forward = exchange(
          space, tensor,
          convert(forward_out(from, p), forward_in(node, plan.states[v]), options.reduce_scatter),
          options.bytes_per_element);
      buffer = std::max(buffer, forward.bytes);
      sum += forward;
      if (!edge.gradient) continue;
      const Exchange backward = exchange(
          space, tensor,
          convert(backward_out(node, plan.states[v]), backward_in(from, p), options.reduce_scatter),
          options.bytes_per_element);
      buffer = std::max(buffer, backward.bytes);
      sum += backward;
    }
    phase.interconnect += sum.interconnect;
    phase.network += sum.network;
    phase.received += sum.bytes;
    cost.step += Seconds(phase.compute + phase.interconnect + phase.network);
    cost.phases.push_back(phase);
    weights += model.parameters(id, plan.states[v]) * options.memory.bytes_per_weight;
    activations += model.stash(id, plan.states[v]) * options.bytes_per_element;
  }
  cost.weights = Bytes(weights);
  cost.activations = Bytes(activations);
  cost.buffer = Bytes(buffer);
  return cost;
}

namespace {

// Elements of chunk k of n.
std::int64_t chunk(std::int64_t elements, std::int64_t k, std::int64_t n) {
  return (k + 1) * elements / n - k * elements / n;
}

class DeviceBytes {
 public:
  DeviceBytes(const MeshSpace& space, int device) : space_(space), device_(device) {}

  // A ring all-reduce: every chunk but one arrives while reducing, every chunk but one while
  // gathering.
  std::int64_t all_reduce(Axes axes, std::int64_t elements) const {
    const std::int64_t n = space_.parts(axes);
    if (n == 1) return 0;
    const std::int64_t rank = rank_in(axes);
    return 2 * elements - chunk(elements, rank, n) - chunk(elements, (rank + 1) % n, n);
  }

  std::int64_t conversion(std::int64_t rows, std::int64_t columns, std::int64_t unit,
                          const Conversion& c) const {
    const auto block = [&](Axes r, Axes k) {
      return space_.rows_of(device_, rows, r) * space_.columns_of(device_, columns, k) * unit;
    };
    const std::int64_t middle = block(c.middle.rows, c.middle.columns);
    std::int64_t sum = (space_.parts(c.scatter) - 1) * middle + all_reduce(c.reduce, middle);
    if (c.fetch != 0) {
      sum += block(c.after.rows, c.after.columns) -
             block(static_cast<Axes>(c.middle.rows | c.after.rows),
                   static_cast<Axes>(c.middle.columns | c.after.columns));
    }
    return sum;
  }

  std::int64_t rank_in(Axes axes) const {
    std::int64_t rank = 0;
    for (int k = 0; k < space_.axes(); ++k) {
      if ((axes >> k & 1u) != 0) rank = rank * space_.radices()[k] + space_.coordinate(device_, k);
    }
    return rank;
  }

 private:
  const MeshSpace& space_;
  int device_;
};

}  // namespace

std::int64_t mesh_received(const Network& network, const std::vector<Extent>& extents,
                           const MeshSpace& space, const MeshPlan& plan, int node, int device,
                           const MeshOptions& options) {
  const MeshModel model(network, extents, space, options);
  const DeviceBytes bytes(space, device);
  const Node& n = network.nodes[node];
  const MeshState& state = plan.states[node];
  const std::int64_t rows = std::llround(extents[node].rows);
  const std::int64_t in = std::llround(extents[node].in);
  const std::int64_t out = std::llround(extents[node].out);

  const std::int64_t own_out = space.columns_of(device, out, state.out);
  const std::int64_t own_in = model.grouped(node) ? 1 : space.columns_of(device, in, state.in);
  const std::int64_t parameters = std::llround(model.weight_unit(node)) * own_in * own_out +
                                  std::llround(model.vector_unit(node)) * own_out;
  std::int64_t sum = bytes.all_reduce(state.rows, parameters);
  const MeshLayout result = forward_out(n, state);
  if (n.out_edges.empty()) {
    sum += bytes.all_reduce(result.partial, space.rows_of(device, rows, result.rows) * own_out *
                                                std::llround(model.output_unit(node)));
  }
  for (const int e : n.in_edges) {
    const Edge& edge = network.edges[e];
    const Node& from = network.nodes[edge.from];
    const std::int64_t unit = std::llround(model.edge_unit(e));
    const std::int64_t columns = std::llround(model.edge_columns(e));
    sum += bytes.conversion(rows, columns, unit,
                            convert(forward_out(from, plan.states[edge.from]), forward_in(n, state),
                                    options.reduce_scatter));
    if (!edge.gradient) continue;
    sum +=
        bytes.conversion(rows, columns, unit,
                         convert(backward_out(n, state), backward_in(from, plan.states[edge.from]),
                                 options.reduce_scatter));
  }
  return sum;
}

}  // namespace penstock::partition
