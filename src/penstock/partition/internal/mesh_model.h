// What one network node and one edge cost on a mesh, by state. Shared by the planner and the
// evaluator.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "penstock/partition/mesh.h"

namespace penstock::partition {

// A layout on a mesh; `partial` axes hold summands.
struct MeshLayout {
  Axes rows = 0;
  Axes columns = 0;
  Axes partial = 0;
};

MeshLayout forward_in(const Node& node, const MeshState& state);
MeshLayout forward_out(const Node& node, const MeshState& state);
MeshLayout backward_in(const Node& node, const MeshState& state);
MeshLayout backward_out(const Node& node, const MeshState& state);

// The steps that bring a tensor from one layout to another: reduce-scatter along the axes of
// `scatter` (which `after` cuts), all-reduce along those of `reduce`, then each device fetches what
// it lacks from along `fetch`.
struct Conversion {
  Axes scatter = 0;
  Axes reduce = 0;
  Axes fetch = 0;
  MeshLayout middle;  // after the reductions
  MeshLayout after;
};
inline Conversion convert(const MeshLayout& before, const MeshLayout& after, bool reduce_scatter) {
  Conversion c;
  c.after = after;
  c.middle = {before.rows, before.columns, 0};
  if (reduce_scatter) {
    const Axes rows = static_cast<Axes>(before.partial & after.rows);
    const Axes columns = static_cast<Axes>(before.partial & after.columns);
    c.scatter = static_cast<Axes>(rows | columns);
    c.middle.rows = static_cast<Axes>(c.middle.rows | rows);
    c.middle.columns = static_cast<Axes>(c.middle.columns | columns);
  }
  c.reduce = static_cast<Axes>(before.partial & ~c.scatter);
  c.fetch = static_cast<Axes>((c.middle.rows & ~after.rows) | (c.middle.columns & ~after.columns));
  return c;
}

// A tensor's items on the mesh: how many rows and columns the fullest device holds under each set
// of axes, and the elements of one row and column together.
struct MeshTensor {
  const double* rows = nullptr;     // by axes
  const double* columns = nullptr;  // by axes
  double unit = 1;
};

// Seconds and bytes of one exchange on the fullest device.
struct Exchange {
  double interconnect = 0;
  double network = 0;
  double bytes = 0;

  double seconds() const { return interconnect + network; }
  Exchange& operator+=(const Exchange& other);
};

// Receives `bytes` along `axes` in so many steps.
inline void charge(const MeshSpace& space, Axes axes, double bytes, int steps, Exchange& sum) {
  const double seconds =
      bytes * space.seconds_per_byte(axes) + static_cast<double>(steps) * space.step_latency(axes);
  (space.crosses_nodes(axes) ? sum.network : sum.interconnect) += seconds;
  sum.bytes += bytes;
}

inline Exchange exchange(const MeshSpace& space, const MeshTensor& tensor, const Conversion& c,
                         double bytes_per_element) {
  Exchange sum;
  const double scale = tensor.unit * bytes_per_element;
  const double middle = tensor.rows[c.middle.rows] * tensor.columns[c.middle.columns] * scale;
  if (c.scatter != 0) {
    const int n = space.parts(c.scatter);
    charge(space, c.scatter, middle * (n - 1), n - 1, sum);
  }
  if (c.reduce != 0) {
    const int n = space.parts(c.reduce);
    charge(space, c.reduce, 2 * middle * (n - 1) / n, 2 * (n - 1), sum);
  }
  if (c.fetch != 0) {
    const double needed = tensor.rows[c.after.rows] * tensor.columns[c.after.columns];
    const double held = tensor.rows[c.middle.rows | c.after.rows] *
                        tensor.columns[c.middle.columns | c.after.columns];
    charge(space, c.fetch, (needed - held) * scale, space.parts(c.fetch) - 1, sum);
  }
  return sum;
}
// A ring all-reduce of `elements` along `axes`.
Exchange all_reduce(const MeshSpace& space, Axes axes, double elements, double bytes_per_element);

// The sizes of the part of the network that the mesh works on.
class MeshModel {
 public:
  MeshModel(const Network& network, const std::vector<Extent>& extents, const MeshSpace& space,
            const MeshOptions& options);

  const Network& network() const { return network_; }
  const MeshSpace& space() const { return space_; }
  const MeshOptions& options() const { return options_; }
  const Extent& extent(int node) const { return extents_[node]; }

  MeshTensor edge_tensor(int edge) const;  // as its consumer sees it
  MeshTensor output_tensor(int node) const;
  double edge_unit(int edge) const;  // elements of one row and one column
  double edge_columns(int edge) const;
  double output_unit(int node) const;
  double weight_unit(int node) const;  // elements of one input and one output column
  double vector_unit(int node) const;  // elements of one output column
  bool grouped(int node) const;

  // Compute and gradient exchange of a node, and of its last partial sums where it has no consumer.
  MeshPhase node_phase(int node, const MeshState& state) const;
  // Elements of weights and vectors, and of what is kept for the backward pass, on one device.
  double parameters(int node, const MeshState& state) const;
  double stash(int node, const MeshState& state) const;

 private:
  double compute_seconds(int node, const MeshState& state) const;
  const double* rows(double items) const;
  const double* columns(double items) const;

  const Network& network_;
  const std::vector<Extent>& extents_;
  const MeshSpace& space_;
  const MeshOptions& options_;
  // What the fullest device holds of so many items, by axes.
  std::map<std::int64_t, std::vector<double>> most_rows_;
  std::map<std::int64_t, std::vector<double>> most_columns_;
};

}  // namespace penstock::partition
