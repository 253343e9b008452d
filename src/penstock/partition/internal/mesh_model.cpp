#include "penstock/partition/internal/mesh_model.h"

#include <algorithm>
#include <cmath>

namespace penstock::partition {

MeshLayout forward_in(const Node&, const MeshState& s) { return {s.rows, s.in, 0}; }

MeshLayout forward_out(const Node& node, const MeshState& s) {
  // A grouped layer cuts both sides of its channels along the same axes and sums nothing.
  const Axes partial = node.kind == NodeKind::kLayer ? static_cast<Axes>(s.in & ~s.out) : Axes{0};
  return {s.rows, s.out, partial};
}

MeshLayout backward_in(const Node&, const MeshState& s) { return {s.rows, s.out, 0}; }

MeshLayout backward_out(const Node& node, const MeshState& s) {
  const Axes partial = node.kind == NodeKind::kLayer ? static_cast<Axes>(s.out & ~s.in) : Axes{0};
  return {s.rows, s.in, partial};
}

Exchange& Exchange::operator+=(const Exchange& other) {
  interconnect += other.interconnect;
  network += other.network;
  bytes += other.bytes;
  return *this;
}

Exchange all_reduce(const MeshSpace& space, Axes axes, double elements, double bytes_per_element) {
  Exchange sum;
  const int n = space.parts(axes);
  if (n > 1 && elements > 0) {
    charge(space, axes, 2 * elements * bytes_per_element * (n - 1) / n, 2 * (n - 1), sum);
  }
  return sum;
}

MeshModel::MeshModel(const Network& network, const std::vector<Extent>& extents,
                     const MeshSpace& space, const MeshOptions& options)
    : network_(network), extents_(extents), space_(space), options_(options) {
  for (const Extent& e : extents) {
    const std::int64_t items = std::llround(e.rows);
    if (most_rows_.count(items) == 0) most_rows_[items] = space.most_rows(items);
    for (const std::int64_t channels : {std::llround(e.in), std::llround(e.out)}) {
      if (most_columns_.count(channels) == 0) {
        most_columns_[channels] = space.most_columns(channels);
      }
    }
  }
  for (const Edge& e : network.edges) {
    if (e.columns > 0) most_columns_[e.columns] = space.most_columns(e.columns);
  }
}

const double* MeshModel::rows(double items) const {
  return most_rows_.at(std::llround(items)).data();
}

const double* MeshModel::columns(double items) const {
  return most_columns_.at(std::llround(items)).data();
}

bool MeshModel::grouped(int node) const {
  return (network_.nodes[node].choices & choice(Type::kGroup)) != 0 &&
         network_.nodes[node].kind == NodeKind::kLayer;
}

double MeshModel::edge_unit(int edge) const {
  const Edge& e = network_.edges[edge];
  const Node& to = network_.nodes[e.to];
  return static_cast<double>(e.elements) / static_cast<double>(to.rows) /
         static_cast<double>(e.columns > 0 ? e.columns : to.in_columns);
}

double MeshModel::edge_columns(int edge) const {
  const Edge& e = network_.edges[edge];
  return e.columns > 0 ? static_cast<double>(e.columns) : extents_[e.to].in;
}

double MeshModel::output_unit(int node) const {
  const Node& n = network_.nodes[node];
  return static_cast<double>(n.out_elements) / static_cast<double>(n.rows) /
         static_cast<double>(n.out_columns);
}

double MeshModel::weight_unit(int node) const {
  const Node& n = network_.nodes[node];
  const double per_output = static_cast<double>(n.weights) / static_cast<double>(n.out_columns);
  return grouped(node) ? per_output : per_output / static_cast<double>(n.in_columns);
}

double MeshModel::vector_unit(int node) const {
  const Node& n = network_.nodes[node];
  return static_cast<double>(n.vectors) / static_cast<double>(n.out_columns);
}

MeshTensor MeshModel::edge_tensor(int edge) const {
  const Extent& e = extents_[network_.edges[edge].to];
  return {rows(e.rows), columns(edge_columns(edge)), edge_unit(edge)};
}

MeshTensor MeshModel::output_tensor(int node) const {
  const Extent& e = extents_[node];
  return {rows(e.rows), columns(e.out), output_unit(node)};
}

double MeshModel::parameters(int node, const MeshState& state) const {
  const Extent& e = extents_[node];
  const double out = columns(e.out)[state.out];
  double weights = weight_unit(node) * out;
  if (!grouped(node)) weights *= columns(e.in)[state.in];
  return weights + vector_unit(node) * out;
}

double MeshModel::stash(int node, const MeshState& state) const {
  const Node& n = network_.nodes[node];
  const Extent& e = extents_[node];
  const bool layer = n.kind == NodeKind::kLayer;
  const double whole =
      static_cast<double>(n.rows) * static_cast<double>(layer ? n.in_columns : n.out_columns);
  const double held =
      rows(e.rows)[state.rows] * (layer ? columns(e.in)[state.in] : columns(e.out)[state.out]);
  return static_cast<double>(n.stash) / whole * held;
}

double MeshModel::compute_seconds(int node, const MeshState& state) const {
  const Node& n = network_.nodes[node];
  if (n.kind == NodeKind::kCopy) return 0;
  const hardware::DeviceGroup& group = space_.group();
  const Extent& e = extents_[node];
  const double own_rows = rows(e.rows)[state.rows];
  const double in = columns(e.in)[state.in];
  const double out = columns(e.out)[state.out];
  const bool dense = n.kind == NodeKind::kLayer && !grouped(node);
  double work = 6.0 * static_cast<double>(n.macs) * (own_rows / static_cast<double>(n.rows)) *
                (out / static_cast<double>(n.out_columns));
  if (dense) work *= in / static_cast<double>(n.in_columns);
  double seconds = work / group.sustained().value();
  if (group.memory_bandwidth.value() > 0) {
    double read = 0;
    for (const int edge : n.in_edges) {
      const bool own_columns = network_.edges[edge].columns > 0;
      read += edge_unit(edge) * own_rows * (own_columns ? edge_columns(edge) : in);
    }
    const double written = output_unit(node) * own_rows * out;
    // A layer runs three products, each over two of input, output and weights with the third as
    // its result; other operators run forward and backward.
    const double moved = n.kind == NodeKind::kLayer ? 3 * (read + written + parameters(node, state))
                                                    : 2 * (read + written);
    const double bandwidth = group.memory_bandwidth.value() * group.efficiency;
    seconds = std::max(seconds, moved * options_.bytes_per_element / bandwidth);
  }
  const int kernels = n.kind == NodeKind::kLayer ? 3 : 2;
  return seconds + kernels * group.launch.value();
}

MeshPhase MeshModel::node_phase(int node, const MeshState& state) const {
  const Node& n = network_.nodes[node];
  MeshPhase phase;
  phase.compute = compute_seconds(node, state);
  const double s = options_.bytes_per_element;
  Exchange sum = all_reduce(space_, state.rows, parameters(node, state), s);
  const MeshLayout out = forward_out(n, state);
  if (n.out_edges.empty() && out.partial != 0) {
    const MeshTensor tensor = output_tensor(node);
    sum += all_reduce(space_, out.partial,
                      tensor.rows[out.rows] * tensor.columns[out.columns] * tensor.unit, s);
  }
  phase.interconnect = sum.interconnect;
  phase.network = sum.network;
  phase.received = sum.bytes;
  return phase;
}

}  // namespace penstock::partition
