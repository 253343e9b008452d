// The backward half of PlanRun, and its meshes.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "penstock/core/check.h"
#include "penstock/partition/internal/verify_run.h"

namespace penstock::partition::internal {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

}  // namespace

void PlanRun::descend_back(int index, int v, const Block& gradient) {
  const Position& p = positions_[at(index)];
  if (p.leaf()) {
    const std::size_t start = starts_[at(v)][at(index)];
    const std::size_t workers = p.space != nullptr ? p.devices.size() : 1;
    for (std::size_t i = start; i < start + workers; ++i) {
      Item& item = items_[at(v)][i];
      const Lists lists = program_.output_lists(v, item.lists);
      item.gradient = select(gradient, lists.rows, lists.out);
    }
    return;
  }
  for (const int child : p.children) {
    if (child < 0) continue;
    const Lists lists = program_.output_lists(v, positions_[at(child)].lists[at(v)]);
    descend_back(child, v, select(gradient, lists.rows, lists.out));
  }
}

PlanRun::NodeGradient PlanRun::ascend_back(int index, int v) {
  const Position& p = positions_[at(index)];
  if (p.leaf()) {
    if (p.space != nullptr) return ascend_mesh_back(index, v);
    NodeGradients& own = items_[at(v)][starts_[at(v)][at(index)]].gradients;
    return {std::move(own.inputs), std::move(own.parameters)};
  }
  if (!p.splits()) return ascend_back(std::max(p.children[0], p.children[1]), v);
  NodeGradient first = ascend_back(p.children[0], v);
  NodeGradient second = ascend_back(p.children[1], v);
  NodeGradient result;
  const std::vector<int>& edges = network_.nodes[at(v)].in_edges;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    if (network_.edges[at(edges[i])].gradient) {
      result.inputs.push_back(
          join_back(p, edges[i], std::move(first.inputs[i]), std::move(second.inputs[i])));
    } else {
      result.inputs.emplace_back();
    }
  }
  for (std::size_t i = 0; i < first.parameters.size(); ++i) {
    result.parameters.push_back(join_parameter(p, v, i, first.parameters[i], second.parameters[i]));
  }
  return result;
}

Block PlanRun::join_back(const Position& p, int edge, Block first, Block second) {
  const Edge& e = network_.edges[at(edge)];
  const LevelModel model(network_, p.extents, options_);
  const double share_before = split_at(p).shares[at(e.from)];
  const double share = split_at(p).shares[at(e.to)];
  const Lists lists = program_.input_lists(edge, p.lists[at(e.to)]);
  const Rectangle whole{lists.rows, lists.in};
  const bool layer = network_.nodes[at(e.to)].kind == NodeKind::kLayer;
  const bool partial = layer && state(p, e.to) == static_cast<int>(Type::kOut);
  const Layout before = model.input_gradient_layout(e.to, state(p, e.to));
  const Layout after = model.output_gradient_layout(e.from, state(p, e.from));
  Block own[2] = {std::move(first), std::move(second)};
  const auto receive = [&](int side, Movement movement, const Block(&from)[2], const Rectangle& r,
                           Block& to) {
    Block message = select(from[1 - side], r.rows, r.columns);
    const int worker = positions_[at(p.children[side])].worker;
    add(transport_.deliver(worker, movement, std::move(message)), to);
  };
  if (partial && before != Layout::kPartial) {
    // The classic table makes the sums whole inside the node.
    const Block summands[2] = {own[0], own[1]};
    for (int s = 0; s < 2; ++s) receive(s, Movement::kPlanned, summands, whole, own[s]);
  }
  Block converted[2];
  for (int s = 0; s < 2; ++s) {
    const Rectangle needed = part(after, whole, share, s);
    converted[s] = select(own[s], needed.rows, needed.columns);
    if (before == Layout::kPartial) {
      receive(s, Movement::kPlanned, own, needed, converted[s]);
      continue;
    }
    for (const Rectangle& r : lacking(needed, part(before, whole, share, s))) {
      receive(s, Movement::kPlanned, own, r, converted[s]);
    }
  }
  Block moved[2];
  for (int s = 0; s < 2; ++s) {
    const Rectangle needed = part(after, whole, share_before, s);
    moved[s] = select(converted[s], needed.rows, needed.columns);
    for (const Rectangle& r : lacking(needed, part(after, whole, share, s))) {
      receive(s, Movement::kRatioChange, converted, r, moved[s]);
    }
  }
  Block result = empty_block(whole.rows, whole.columns, own[0].unit);
  add(moved[0], result);
  if (after == Layout::kReplicated) {
    gradients_apart_.compare(moved[1].values, moved[0].values);
  } else {
    add(moved[1], result);
  }
  return result;
}

Array PlanRun::join_parameter(const Position& p, int v, std::size_t number, const Array& first,
                              const Array& second) {
  const Parameter& parameter = program_.node(v).parameters[number];
  const Array* own[2] = {&first, &second};
  Frame frames[2];
  for (int s = 0; s < 2; ++s) {
    const Lists& lists = positions_[at(p.children[s])].lists[at(v)];
    frames[s] = program_.parameter_frame(v, parameter, lists);
  }
  if (frames[0] != frames[1]) {
    const Frame whole = program_.parameter_frame(v, parameter, p.lists[at(v)]);
    Array all = zeros(whole);
    for (int s = 0; s < 2; ++s) add_part(*own[s], frames[s], whole, all);
    return all;
  }
  const bool layer = network_.nodes[at(v)].kind == NodeKind::kLayer;
  const int state_here = state(p, v);
  const bool rows = layer ? state_here == static_cast<int>(Type::kBatch)
                          : state_here == static_cast<int>(Layout::kRows);
  const bool replicated =
      layer ? state_here == static_cast<int>(Type::kIn) && parameter.kind == Operand::kOffset
            : state_here == static_cast<int>(Layout::kReplicated);
  if (replicated) {
    gradients_apart_.compare(second.values, first.values);
    return first;
  }
  const Movement movement = rows ? Movement::kPlanned : Movement::kScaleGradient;
  Array totals[2] = {first, second};
  for (int s = 0; s < 2; ++s) {
    std::vector<double> message = own[1 - s]->values;
    transport_.deliver(positions_[at(p.children[s])].worker, movement, message);
    for (std::size_t i = 0; i < message.size(); ++i) totals[s].values[i] += message[i];
  }
  gradients_apart_.compare(totals[1].values, totals[0].values);
  return totals[0];
}

void PlanRun::descend_mesh(int index, int v, const std::vector<Pieces>& inputs) {
  const Position& p = positions_[at(index)];
  const MeshPlan& mesh = mesh_at(p);
  const Node& node = network_.nodes[at(v)];
  const MeshState& state = mesh.states[at(v)];
  const Lists& lists = p.lists[at(v)];
  const MeshExchange& exchange = *p.exchange;
  std::vector<Item> items(p.devices.size());
  const MeshLayout out = forward_out(node, state);
  for (int d = 0; d < exchange.devices(); ++d) {
    Item& item = items[at(d)];
    item.lists = {exchange.rows_of(d, lists.rows, state.rows),
                  exchange.columns_of(d, lists.in, state.in),
                  exchange.columns_of(d, lists.out, state.out)};
    item.first = p.first[at(v)] && exchange.rank_in(d, out.partial) == 0;
  }
  for (std::size_t i = 0; i < node.in_edges.size(); ++i) {
    const int edge = node.in_edges[i];
    const int from = network_.edges[at(edge)].from;
    const MeshLayout before = forward_out(network_.nodes[at(from)], mesh.states[at(from)]);
    const Lists whole = program_.input_lists(edge, lists);
    const std::int64_t unit = program_.grid(program_.edge_tensor(edge)).unit();
    std::vector<Block> blocks;
    for (int d = 0; d < exchange.devices(); ++d) {
      const int rank = exchange.rank_in(d, before.partial);
      Pieces own;
      for (const Piece& piece : inputs[i]) {
        const int place = piece.lane.empty() ? kAll : piece.lane.front();
        if (place == rank || (place == kAll && rank == 0)) own.push_back(piece);
      }
      blocks.push_back(sum(own, exchange.rows_of(d, whole.rows, before.rows),
                           exchange.columns_of(d, whole.in, before.columns), unit));
    }
    blocks = exchange.convert(
        convert(before, forward_in(node, state), plan_.mesh_options.reduce_scatter),
        std::move(blocks), whole.rows, whole.in);
    for (std::size_t d = 0; d < items.size(); ++d) items[d].inputs.push_back(std::move(blocks[d]));
  }
  for (Item& item : items) items_[at(v)].push_back(std::move(item));
}

Pieces PlanRun::ascend_mesh(int index, int v) {
  const Position& p = positions_[at(index)];
  const Node& node = network_.nodes[at(v)];
  const MeshExchange& exchange = *p.exchange;
  MeshLayout out = forward_out(node, mesh_at(p).states[at(v)]);
  const std::size_t start = starts_[at(v)][at(index)];
  const auto output = [&](int d) -> Block& { return items_[at(v)][start + at(d)].output; };
  if (node.out_edges.empty() && out.partial != 0) {
    std::vector<std::vector<double>*> arrays;
    for (int d = 0; d < exchange.devices(); ++d) arrays.push_back(&output(d).values);
    exchange.all_reduce(out.partial, Movement::kPlanned, std::move(arrays));
    out.partial = 0;
  }
  const Lists lists = program_.output_lists(v, p.lists[at(v)]);
  const auto cut = static_cast<Axes>(out.rows | out.columns | out.partial);
  std::map<int, int> holders;
  std::map<int, Block> summands;
  for (int d = 0; d < exchange.devices(); ++d) {
    const auto [holder, added] = holders.try_emplace(exchange.rank_in(d, cut), d);
    if (!added) {
      outputs_apart_.compare(output(d).values, output(holder->second).values);
      continue;
    }
    const int rank = exchange.rank_in(d, out.partial);
    auto known = summands.find(rank);
    if (known == summands.end()) {
      known = summands.emplace(rank, empty_block(lists.rows, lists.out, output(d).unit)).first;
    }
    add(output(d), known->second);
  }
  Pieces pieces;
  for (auto& [rank, block] : summands) {
    const auto place = out.partial == 0 ? kAll : static_cast<std::int16_t>(rank);
    pieces.push_back({{place}, std::move(block)});
  }
  return pieces;
}

PlanRun::NodeGradient PlanRun::ascend_mesh_back(int index, int v) {
  const Position& p = positions_[at(index)];
  const Node& node = network_.nodes[at(v)];
  const MeshPlan& mesh = mesh_at(p);
  const MeshExchange& exchange = *p.exchange;
  const std::size_t start = starts_[at(v)][at(index)];
  NodeGradient result;
  for (std::size_t i = 0; i < node.in_edges.size(); ++i) {
    const int edge = node.in_edges[i];
    result.inputs.emplace_back();
    if (!network_.edges[at(edge)].gradient) continue;
    const int from = network_.edges[at(edge)].from;
    const MeshLayout after = backward_in(network_.nodes[at(from)], mesh.states[at(from)]);
    const Lists whole = program_.input_lists(edge, p.lists[at(v)]);
    std::vector<Block> blocks;
    for (std::size_t d = 0; d < p.devices.size(); ++d) {
      blocks.push_back(std::move(items_[at(v)][start + d].gradients.inputs[i]));
    }
    blocks = exchange.convert(
        convert(backward_out(node, mesh.states[at(v)]), after, plan_.mesh_options.reduce_scatter),
        std::move(blocks), whole.rows, whole.in);
    Block all = empty_block(whole.rows, whole.in, blocks.front().unit);
    std::map<int, int> holders;
    for (int d = 0; d < exchange.devices(); ++d) {
      const auto cut = static_cast<Axes>(after.rows | after.columns);
      const auto [holder, added] = holders.try_emplace(exchange.rank_in(d, cut), d);
      if (added) {
        add(blocks[at(d)], all);
      } else {
        gradients_apart_.compare(blocks[at(d)].values, blocks[at(holder->second)].values);
      }
    }
    result.inputs.back() = std::move(all);
  }
  result.parameters = mesh_parameters(p, v);
  return result;
}

std::vector<Array> PlanRun::mesh_parameters(const Position& p, int v) {
  const std::vector<Parameter>& parameters = program_.node(v).parameters;
  const MeshState& state = mesh_at(p).states[at(v)];
  const MeshExchange& exchange = *p.exchange;
  const std::size_t start = starts_[at(v)][static_cast<std::size_t>(&p - positions_.data())];
  const Axes partial = forward_out(network_.nodes[at(v)], state).partial;
  const auto own = [&](int d) -> std::vector<Array>& {
    return items_[at(v)][start + at(d)].gradients.parameters;
  };
  // All gradients of a node travel together.
  const auto reduce = [&](Axes axes, Movement movement, auto which) {
    std::vector<std::vector<double>> together(p.devices.size());
    std::vector<std::vector<double>*> arrays;
    for (int d = 0; d < exchange.devices(); ++d) {
      std::vector<double>& flat = together[at(d)];
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        if (!which(parameters[i])) continue;
        flat.insert(flat.end(), own(d)[i].values.begin(), own(d)[i].values.end());
      }
      arrays.push_back(&flat);
    }
    exchange.all_reduce(axes, movement, std::move(arrays));
    for (int d = 0; d < exchange.devices(); ++d) {
      auto from = together[at(d)].begin();
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        if (!which(parameters[i])) continue;
        for (double& value : own(d)[i].values) value = *from++;
      }
    }
  };
  reduce(state.rows, Movement::kPlanned, [](const Parameter&) { return true; });
  reduce(partial, Movement::kScaleGradient,
         [](const Parameter& q) { return q.kind == Operand::kScale; });
  std::vector<Array> result;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Frame whole = program_.parameter_frame(v, parameters[i], p.lists[at(v)]);
    Array all = zeros(whole);
    std::map<Frame, int> holders;
    for (int d = 0; d < exchange.devices(); ++d) {
      const Frame frame =
          program_.parameter_frame(v, parameters[i], items_[at(v)][start + at(d)].lists);
      const auto [holder, added] = holders.try_emplace(frame, d);
      if (added) {
        add_part(own(d)[i], frame, whole, all);
      } else {
        gradients_apart_.compare(own(d)[i].values, own(holder->second)[i].values);
      }
    }
    result.push_back(std::move(all));
  }
  return result;
}

}  // namespace penstock::partition::internal
