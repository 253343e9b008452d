#include "penstock/partition/internal/verify_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <utility>

#include "penstock/core/check.h"
#include "penstock/partition/internal/tree_phases.h"

namespace penstock::partition::internal {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

}  // namespace

PlanRun::PlanRun(const Program& program, const PartitionPlan& plan, std::int64_t lost_element,
                 int threads)
    : program_(program),
      network_(program.network()),
      plan_(plan),
      tree_(plan.device_tree()),
      options_(plan.tree_options),
      threads_(threads > 0 ? threads
                           : std::max(1, static_cast<int>(std::thread::hardware_concurrency()))),
      transport_(lost_element),
      items_(network_.nodes.size()),
      starts_(network_.nodes.size()),
      outputs_(network_.nodes.size()),
      edge_gradients_(network_.edges.size()),
      parameter_gradients_(program.graph().tensors.size()) {
  options_.whole_items = true;
  std::vector<Lists> lists;
  for (const Node& node : network_.nodes) lists.push_back(whole_lists(node));
  add_position(0, -1, 0, std::move(lists), std::vector<bool>(network_.nodes.size(), true));
}

Indices PlanRun::half(const Indices& list, double share, int side) const {
  const auto items = static_cast<double>(list.size());
  const auto first = static_cast<std::ptrdiff_t>(std::floor(items * share + 0.5));
  return side == 0 ? Indices(list.begin(), list.begin() + first)
                   : Indices(list.begin() + first, list.end());
}

Rectangle PlanRun::part(Layout layout, const Rectangle& whole, double share, int side) const {
  Rectangle part = whole;
  if (layout == Layout::kRows) part.rows = half(whole.rows, share, side);
  if (layout == Layout::kColumns) part.columns = half(whole.columns, share, side);
  return part;
}

Lists PlanRun::side_lists(int v, const Lists& lists, const Split& split, int side) const {
  const bool layer = network_.nodes[at(v)].kind == NodeKind::kLayer;
  const int state = split.states[at(v)];
  const double share = split.shares[at(v)];
  const auto is = [&](Type type, Layout layout) {
    return layer ? state == static_cast<int>(type) : state == static_cast<int>(layout);
  };
  const bool group = layer && state == static_cast<int>(Type::kGroup);
  Lists child = lists;
  if (is(Type::kBatch, Layout::kRows)) child.rows = half(lists.rows, share, side);
  if (group || is(Type::kIn, Layout::kColumns)) child.in = half(lists.in, share, side);
  if (group || is(Type::kOut, Layout::kColumns)) child.out = half(lists.out, share, side);
  return child;
}

int PlanRun::add_position(int tree, int parent, int side, std::vector<Lists> lists,
                          std::vector<bool> first) {
  const int self = static_cast<int>(positions_.size());
  positions_.emplace_back();
  {
    Position& p = positions_.back();
    p.tree = tree;
    p.parent = parent;
    p.side = side;
    for (const Lists& l : lists) {
      p.extents.push_back({static_cast<double>(l.rows.size()), static_cast<double>(l.in.size()),
                           static_cast<double>(l.out.size())});
    }
    p.name = parent < 0 ? "all" : fmt::format("{}.{}", positions_[at(parent)].name, side);
    // Who is alone receives nothing and needs no name of its own.
    if (parent >= 0) p.worker = transport_.add_worker();
    p.lists = lists;
    p.first = first;
  }
  const TreeNode& node = tree_.nodes[at(tree)];
  if (node.leaf()) {
    if (!plan_.tree.meshes[at(tree)].states.empty()) add_mesh(positions_[at(self)]);
    return self;
  }
  const Split& split = plan_.tree.splits[at(tree)];
  for (int s = 0; s < 2; ++s) {
    if (is_idle(split, s)) continue;
    const bool alone = is_idle(split, 1 - s);
    std::vector<Lists> child;
    std::vector<bool> child_first = first;
    for (std::size_t v = 0; v < lists.size(); ++v) {
      child.push_back(alone ? lists[v] : side_lists(static_cast<int>(v), lists[v], split, s));
      const bool summand = network_.nodes[v].kind == NodeKind::kLayer &&
                           split.states[v] == static_cast<int>(Type::kIn);
      if (summand && s == 1 && !alone) child_first[v] = false;
    }
    const int id =
        add_position(node.children[s], self, s, std::move(child), std::move(child_first));
    positions_[at(self)].children[s] = id;
  }
  return self;
}

void PlanRun::add_mesh(Position& p) {
  const MeshPlan& mesh = plan_.tree.meshes[at(p.tree)];
  const int group = tree_.nodes[at(p.tree)].group;
  p.space = std::make_shared<MeshSpace>(plan_.array.groups[at(group)], mesh.devices);
  for (int d = 0; d < mesh.devices; ++d) p.devices.push_back(transport_.add_worker());
  p.exchange = std::make_shared<MeshExchange>(*p.space, p.devices, transport_);
}

int PlanRun::state(const Position& position, int v) const {
  return split_at(position).states[at(v)];
}

// The order in which workers compute changes nothing: they share no memory.
template <typename Work>
void PlanRun::in_parallel(std::size_t count, const Work& work) const {
  const std::size_t threads = std::min(count, static_cast<std::size_t>(threads_));
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::thread> pool;
  for (std::size_t t = 1; t < threads; ++t) pool.emplace_back(loop);
  loop();
  for (std::thread& thread : pool) thread.join();
}

void PlanRun::run() {
  const int nodes = static_cast<int>(network_.nodes.size());
  for (int v = 0; v < nodes; ++v) forward(v);
  for (int v = nodes; v-- > 0;) backward(v);
  for (std::size_t t = 0; t < parameter_gradients_.size(); ++t) {
    if (parameter_gradients_[t].values.empty()) continue;
    gradients_apart_.compare(parameter_gradients_[t].values,
                             program_.gradient(static_cast<int>(t)).values);
  }
}

void PlanRun::forward(int v) {
  const Node& node = network_.nodes[at(v)];
  std::vector<Pieces> inputs;
  for (const int e : node.in_edges) inputs.push_back(outputs_[at(network_.edges[at(e)].from)]);
  starts_[at(v)].assign(positions_.size(), 0);
  descend(0, v, std::move(inputs));
  std::vector<Item>& items = items_[at(v)];
  in_parallel(items.size(), [&](std::size_t i) {
    items[i].output = program_.run(v, items[i].lists, items[i].first, items[i].inputs);
  });
  outputs_[at(v)] = ascend(0, v);
  for (Item& item : items) item.output = {};
  for (const int e : node.in_edges) {
    const int from = network_.edges[at(e)].from;
    if (network_.nodes[at(from)].out_edges.size() == 1) outputs_[at(from)].clear();
  }
  if (!node.out_edges.empty()) return;
  const int last = program_.node(v).exit;
  const Lists whole = program_.output_lists(v, whole_lists(node));
  const Grid& grid = program_.grid(last);
  const Block out = sum(outputs_[at(v)], whole.rows, whole.out, grid.unit());
  outputs_apart_.compare(grid.to_array(out).values, program_.value(last).values);
}

void PlanRun::descend(int index, int v, std::vector<Pieces> inputs) {
  const Position& p = positions_[at(index)];
  if (p.leaf()) {
    starts_[at(v)][at(index)] = items_[at(v)].size();
    if (p.space != nullptr) return descend_mesh(index, v, inputs);
    Item item;
    item.lists = p.lists[at(v)];
    item.first = p.first[at(v)];
    const std::vector<int>& edges = network_.nodes[at(v)].in_edges;
    for (std::size_t i = 0; i < edges.size(); ++i) {
      const Lists lists = program_.input_lists(edges[i], item.lists);
      const Grid& grid = program_.grid(program_.edge_tensor(edges[i]));
      item.inputs.push_back(sum(inputs[i], lists.rows, lists.in, grid.unit()));
    }
    items_[at(v)].push_back(std::move(item));
    return;
  }
  if (!p.splits()) {
    for (Pieces& pieces : inputs) pieces = below(std::move(pieces));
    return descend(std::max(p.children[0], p.children[1]), v, std::move(inputs));
  }
  std::vector<Pieces> sides[2];
  const std::vector<int>& edges = network_.nodes[at(v)].in_edges;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    std::vector<Pieces> halves = halve(p, edges[i], inputs[i]);
    for (int s = 0; s < 2; ++s) sides[s].push_back(std::move(halves[at(s)]));
  }
  for (int s = 0; s < 2; ++s) descend(p.children[s], v, std::move(sides[s]));
}

// A side's other half sends what the rectangles cover. What it sends is whole: the summands that
// lie below it are added first.
Pieces PlanRun::cross(const Position& position, int side, Movement movement, const Pieces& from,
                      const std::vector<Rectangle>& rectangles) {
  Pieces arrived;
  for (const Rectangle& r : rectangles) {
    if (from.empty()) break;
    Block message = sum(from, r.rows, r.columns, from.front().block.unit);
    const int worker = positions_[at(position.children[side])].worker;
    arrived.push_back({{}, transport_.deliver(worker, movement, std::move(message))});
  }
  return arrived;
}

std::vector<Pieces> PlanRun::halve(const Position& p, int edge, const Pieces& tensor) {
  const Edge& e = network_.edges[at(edge)];
  const LevelModel model(network_, p.extents, options_);
  const Layout before = model.output_layout(e.from, state(p, e.from));
  const Layout after = model.input_layout(e.to, state(p, e.to));
  const double share_before = split_at(p).shares[at(e.from)];
  const double share = split_at(p).shares[at(e.to)];
  const Lists lists = program_.input_lists(edge, p.lists[at(e.to)]);
  const Rectangle whole{lists.rows, lists.in};
  Pieces own[2];
  if (before == Layout::kPartial) {
    for (const Piece& piece : tensor) {
      const bool second = !piece.lane.empty() && piece.lane.front() == 1;
      own[second].push_back(piece);
    }
    for (Pieces& pieces : own) pieces = below(std::move(pieces));
  } else {
    const Pieces all = below(tensor);
    Pieces made[2];
    for (int s = 0; s < 2; ++s) {
      const Rectangle held = part(before, whole, share_before, s);
      made[s] = select(all, held.rows, held.columns);
    }
    for (int s = 0; s < 2; ++s) {
      const Rectangle held = part(before, whole, share_before, s);
      const Rectangle wanted = part(before, whole, share, s);
      own[s] = select(made[s], wanted.rows, wanted.columns);
      for (Piece& piece : cross(p, s, Movement::kRatioChange, made[1 - s], lacking(wanted, held))) {
        own[s].push_back(std::move(piece));
      }
    }
  }
  std::vector<Pieces> sides(2);
  for (int s = 0; s < 2; ++s) {
    const Rectangle needed = part(after, whole, share, s);
    std::vector<Rectangle> rectangles;
    if (before == Layout::kPartial) {
      if (!needed.rows.empty() && !needed.columns.empty()) rectangles.push_back(needed);
    } else {
      rectangles = lacking(needed, part(before, whole, share, s));
    }
    sides[at(s)] = select(own[s], needed.rows, needed.columns);
    for (Piece& piece : cross(p, s, Movement::kPlanned, own[1 - s], rectangles)) {
      sides[at(s)].push_back(std::move(piece));
    }
  }
  return sides;
}

Pieces PlanRun::ascend(int index, int v) {
  const Position& p = positions_[at(index)];
  if (p.leaf()) {
    if (p.space != nullptr) return ascend_mesh(index, v);
    return {{{}, items_[at(v)][starts_[at(v)][at(index)]].output}};
  }
  if (!p.splits()) return above(ascend(std::max(p.children[0], p.children[1]), v), kAll);
  Pieces first = ascend(p.children[0], v);
  Pieces second = ascend(p.children[1], v);
  const Node& node = network_.nodes[at(v)];
  const bool layer = node.kind == NodeKind::kLayer;
  if (layer && state(p, v) == static_cast<int>(Type::kIn)) {
    if (options_.table == Table::kFused && !node.out_edges.empty()) {
      Pieces both = above(std::move(first), 0);
      for (Piece& piece : above(std::move(second), 1)) both.push_back(std::move(piece));
      return both;
    }
    return reduce(p, v, first, second);
  }
  if (!layer && state(p, v) == static_cast<int>(Layout::kReplicated)) {
    const Lists lists = program_.output_lists(v, p.lists[at(v)]);
    const std::int64_t unit = program_.grid(program_.node(v).exit).unit();
    outputs_apart_.compare(sum(first, lists.rows, lists.out, unit).values,
                           sum(second, lists.rows, lists.out, unit).values);
    return above(std::move(first), kAll);
  }
  return joined(above(std::move(first), kAll), above(std::move(second), kAll));
}

// Partial sums made whole inside the node: on both sides, or the last of the network under the
// fused table by rows, as the loss reads them.
Pieces PlanRun::reduce(const Position& p, int v, const Pieces& first, const Pieces& second) {
  const Lists lists = program_.output_lists(v, p.lists[at(v)]);
  const Rectangle whole{lists.rows, lists.out};
  const std::int64_t unit = program_.grid(program_.node(v).exit).unit();
  const bool by_rows = options_.table == Table::kFused;
  const Pieces* own[2] = {&first, &second};
  Block totals[2];
  for (int s = 0; s < 2; ++s) {
    const Rectangle kept =
        by_rows ? part(Layout::kRows, whole, split_at(p).shares[at(v)], s) : whole;
    totals[s] = sum(*own[s], kept.rows, kept.columns, unit);
    if (totals[s].values.empty()) continue;
    for (const Piece& piece : cross(p, s, Movement::kPlanned, *own[1 - s], {kept})) {
      add(piece.block, totals[s]);
    }
  }
  if (!by_rows) {
    outputs_apart_.compare(totals[0].values, totals[1].values);
    return above({{{}, std::move(totals[0])}}, kAll);
  }
  return above(joined({{{}, std::move(totals[0])}}, {{{}, std::move(totals[1])}}), kAll);
}

void PlanRun::backward(int v) {
  const Node& node = network_.nodes[at(v)];
  const Lists whole = program_.output_lists(v, whole_lists(node));
  const int last = program_.node(v).exit;
  const Grid& grid = program_.grid(last);
  Block gradient;
  if (node.out_edges.empty()) {
    gradient = grid.to_block(program_.gradient(last), whole.rows, whole.out);
  } else {
    gradient = empty_block(whole.rows, whole.out, grid.unit());
    bool flows = false;
    for (const int e : node.out_edges) {
      if (!network_.edges[at(e)].gradient) continue;
      add(std::exchange(edge_gradients_[at(e)], {}), gradient);
      flows = true;
    }
    if (!flows) return;
  }
  descend_back(0, v, gradient);
  std::vector<Item>& items = items_[at(v)];
  in_parallel(items.size(), [&](std::size_t i) {
    Item& item = items[i];
    item.gradients = program_.run_back(v, item.lists, item.first, item.inputs, item.gradient);
  });
  NodeGradient result = ascend_back(0, v);
  items.clear();
  for (std::size_t i = 0; i < node.in_edges.size(); ++i) {
    edge_gradients_[at(node.in_edges[i])] = std::move(result.inputs[i]);
  }
  compare_parameters(v, result);
}

void PlanRun::compare_parameters(int v, const NodeGradient& gradient) {
  const Lists whole = whole_lists(network_.nodes[at(v)]);
  for (std::size_t i = 0; i < gradient.parameters.size(); ++i) {
    const Parameter& parameter = program_.node(v).parameters[i];
    const Frame frame = whole_frame(program_.graph().tensors[at(parameter.tensor)].shape);
    Array& sum = parameter_gradients_[at(parameter.tensor)];
    if (sum.values.empty()) sum = zeros(frame);
    add_part(gradient.parameters[i], program_.parameter_frame(v, parameter, whole), frame, sum);
  }
}

}  // namespace penstock::partition::internal
