#include "penstock/partition/internal/level_model.h"

#include <algorithm>
#include <cmath>

namespace penstock::partition {
namespace {

bool is_grouped(const Node& node) { return (node.choices & choice(Type::kGroup)) != 0; }

// The fraction of the node's weights and multiply-accumulates that an extent holds.
double channel_fraction(const Node& node, const Extent& extent) {
  const double out = extent.out / static_cast<double>(node.out_columns);
  if (node.kind != NodeKind::kLayer || is_grouped(node)) return out;
  return out * extent.in / static_cast<double>(node.in_columns);
}

}  // namespace

std::vector<Extent> whole_extents(const Network& network) {
  std::vector<Extent> extents;
  for (const Node& node : network.nodes) {
    extents.push_back({static_cast<double>(node.rows), static_cast<double>(node.in_columns),
                       static_cast<double>(node.out_columns)});
  }
  return extents;
}

LevelModel::LevelModel(const Network& network, const std::vector<Extent>& extents,
                       const TreeOptions& options)
    : network_(network), extents_(extents), options_(options) {}

double LevelModel::side_items(double items, double share, int side) const {
  const double first = options_.whole_items ? std::floor(items * share + 0.5) : items * share;
  return side == 0 ? first : items - first;
}

bool LevelModel::allowed(int node, int state, double share) const {
  const Node& n = network_.nodes[node];
  if ((n.choices >> state & 1u) == 0) return false;
  if (!options_.whole_items) return true;
  const Extent& e = extents_[node];
  const auto splits = [&](double items) {
    return side_items(items, share, 0) >= 1 && side_items(items, share, 1) >= 1;
  };
  if (n.kind == NodeKind::kLayer) {
    switch (static_cast<Type>(state)) {
      case Type::kBatch:
        return splits(e.rows);
      case Type::kIn:
        return splits(e.in);
      case Type::kOut:
      case Type::kGroup:
        return splits(e.out);
    }
  }
  switch (static_cast<Layout>(state)) {
    case Layout::kRows:
      return splits(e.rows);
    case Layout::kColumns:
      return splits(e.out);
    default:
      return true;
  }
}

Share LevelModel::share_of_input(int node, double share, int side) const {
  const Extent& e = extents_[node];
  return {side_items(e.rows, share, side) / e.rows, side_items(e.in, share, side) / e.in};
}

Share LevelModel::share_of_output(int node, double share, int side) const {
  const Extent& e = extents_[node];
  return {side_items(e.rows, share, side) / e.rows, side_items(e.out, share, side) / e.out};
}

double LevelModel::edge_elements(int edge) const {
  const Edge& e = network_.edges[edge];
  const Node& to = network_.nodes[e.to];
  const Extent& extent = extents_[e.to];
  return static_cast<double>(e.elements) * (extent.rows / static_cast<double>(to.rows)) *
         (extent.in / static_cast<double>(to.in_columns));
}

double LevelModel::output_elements(int node) const {
  const Node& n = network_.nodes[node];
  const Extent& e = extents_[node];
  return static_cast<double>(n.out_elements) * (e.rows / static_cast<double>(n.rows)) *
         (e.out / static_cast<double>(n.out_columns));
}

double LevelModel::weight_elements(int node) const {
  const Node& n = network_.nodes[node];
  return static_cast<double>(n.weights) * channel_fraction(n, extents_[node]);
}

double LevelModel::vector_elements(int node) const {
  const Node& n = network_.nodes[node];
  return static_cast<double>(n.vectors) * (extents_[node].out / static_cast<double>(n.out_columns));
}

double LevelModel::input_gradient_elements(int node) const {
  double sum = 0;
  for (const int e : network_.nodes[node].in_edges) {
    if (network_.edges[e].gradient) sum += edge_elements(e);
  }
  return sum;
}

Held held_parts(const Network& network, int node, const Extent& e, const TreeOptions& options) {
  const Node& n = network.nodes[node];
  const double out = e.out / static_cast<double>(n.out_columns);
  const double parameters = static_cast<double>(n.weights) * channel_fraction(n, e) +
                            static_cast<double>(n.vectors) * out;
  const double columns =
      n.kind == NodeKind::kLayer ? e.in / static_cast<double>(n.in_columns) : out;
  const double kept =
      static_cast<double>(n.stash) * (e.rows / static_cast<double>(n.rows)) * columns;
  return {parameters * options.memory.bytes_per_weight, kept * options.bytes_per_element};
}

double LevelModel::held_bytes(int node, int state, double share) const {
  const Held held = held_parts(network_, node, child_extent(node, state, share, 0), options_);
  return held.weights + held.activations;
}

double LevelModel::flops(int node) const {
  const Node& n = network_.nodes[node];
  const Extent& e = extents_[node];
  return 6.0 * static_cast<double>(n.macs) * (e.rows / static_cast<double>(n.rows)) *
         channel_fraction(n, e);
}

double LevelModel::flops_fraction(int node, int state, double share, int side) const {
  const Node& n = network_.nodes[node];
  if (n.kind == NodeKind::kLayer) {
    switch (static_cast<Type>(state)) {
      case Type::kBatch:
        return share_of_input(node, share, side).rows;
      case Type::kIn:
        return share_of_input(node, share, side).columns;
      default:
        return share_of_output(node, share, side).columns;
    }
  }
  switch (static_cast<Layout>(state)) {
    case Layout::kRows:
      return share_of_output(node, share, side).rows;
    case Layout::kColumns:
      return share_of_output(node, share, side).columns;
    default:
      return 1;
  }
}

Extent LevelModel::child_extent(int node, int state, double share, int side) const {
  const Node& n = network_.nodes[node];
  Extent e = extents_[node];
  const bool layer = n.kind == NodeKind::kLayer;
  const bool rows =
      layer ? state == static_cast<int>(Type::kBatch) : state == static_cast<int>(Layout::kRows);
  const bool in =
      layer ? state == static_cast<int>(Type::kIn) || state == static_cast<int>(Type::kGroup)
            : state == static_cast<int>(Layout::kColumns);
  const bool out =
      layer ? state == static_cast<int>(Type::kOut) || state == static_cast<int>(Type::kGroup)
            : state == static_cast<int>(Layout::kColumns);
  if (rows) e.rows = side_items(e.rows, share, side);
  if (in) e.in = side_items(e.in, share, side);
  if (out) e.out = side_items(e.out, share, side);
  return e;
}

Layout LevelModel::output_layout(int node, int state) const {
  if (network_.nodes[node].kind != NodeKind::kLayer) return static_cast<Layout>(state);
  const Layout layout = forward_out(static_cast<Type>(state));
  const bool deferred = options_.table == Table::kFused;
  return layout == Layout::kPartial && !deferred ? Layout::kReplicated : layout;
}

Layout LevelModel::input_layout(int node, int state) const {
  if (network_.nodes[node].kind != NodeKind::kLayer) return static_cast<Layout>(state);
  return forward_in(static_cast<Type>(state));
}

Layout LevelModel::output_gradient_layout(int node, int state) const {
  if (network_.nodes[node].kind != NodeKind::kLayer) return static_cast<Layout>(state);
  return backward_in(static_cast<Type>(state));
}

Layout LevelModel::input_gradient_layout(int node, int state) const {
  if (network_.nodes[node].kind != NodeKind::kLayer) return static_cast<Layout>(state);
  const Layout layout = backward_out(static_cast<Type>(state));
  const bool deferred = options_.table == Table::kFused;
  return layout == Layout::kPartial && !deferred ? Layout::kReplicated : layout;
}

double LevelModel::node_bytes(int node, int state, double share, int side) const {
  const Node& n = network_.nodes[node];
  const double s = options_.bytes_per_element;
  if (n.kind != NodeKind::kLayer) {
    return static_cast<Layout>(state) == Layout::kRows ? s * vector_elements(node) : 0;
  }
  const bool fused = options_.table == Table::kFused;
  switch (static_cast<Type>(state)) {
    case Type::kBatch:
      return s * (weight_elements(node) + vector_elements(node));
    case Type::kIn:
      if (!fused) return s * output_elements(node);
      // The loss reads rows, so the last partial sums are reduced into rows.
      return n.out_edges.empty() ? s * output_elements(node) *
                                       received(Layout::kPartial, Layout::kRows, {},
                                                share_of_output(node, share, side))
                                 : 0;
    case Type::kOut:
      return fused ? 0 : s * input_gradient_elements(node);
    case Type::kGroup:
      return 0;
  }
  return 0;
}

double LevelModel::edge_bytes(int edge, int from_state, int to_state, double share,
                              int side) const {
  const Edge& e = network_.edges[edge];
  Share part = share_of_input(e.to, share, side);
  if (e.columns > 0) {
    const auto columns = static_cast<double>(e.columns);
    part.columns = side_items(columns, share, side) / columns;
  }
  double fraction =
      received(output_layout(e.from, from_state), input_layout(e.to, to_state), part, part);
  if (e.gradient) {
    fraction += received(input_gradient_layout(e.to, to_state),
                         output_gradient_layout(e.from, from_state), part, part);
  }
  return options_.bytes_per_element * edge_elements(edge) * fraction;
}

LevelModel::Coefficients LevelModel::edge_coefficients(int edge, int from_state,
                                                       int to_state) const {
  const Edge& e = network_.edges[edge];
  Coefficients sum;
  const double bytes = options_.bytes_per_element * edge_elements(edge);
  const auto add = [&](Layout from, Layout to) {
    if (from == to || from == Layout::kReplicated) return;
    if (to == Layout::kReplicated) {
      sum.falling += bytes;
    } else {
      sum.mixed += bytes;
    }
  };
  add(output_layout(e.from, from_state), input_layout(e.to, to_state));
  if (e.gradient) {
    add(input_gradient_layout(e.to, to_state), output_gradient_layout(e.from, from_state));
  }
  return sum;
}

}  // namespace penstock::partition
