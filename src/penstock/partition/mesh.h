// Plans over a group of equal devices as an n-ary mesh: each layer cuts batch, input channels and
// output channels by (nB, nI, nO) with nB nI nO = n, and partial sums run over rings.
//
//   const MeshSpace space(group, 128);
//   const MeshPlan plan = plan_mesh(network, whole_extents(network), space, options);
//   const MeshCost cost = evaluate_mesh(network, whole_extents(network), space, plan, options);
//
// The n devices are numbered by axes, one for each prime factor of n, those that cross nodes first.
// A layer gives every axis to one dimension, and a tensor is cut along the axes that its producer
// gave to the batch (rows) and to its output channels (columns). Axis k owns one digit of the index
// of a batch item, and of a channel, whatever the other axes do; so two layouts overlap in exactly
// the items whose digits both fix, and what a device receives is what it needs less that overlap
// (room page "partition" 1.11, where axes are assumed to be aligned; here they are, or the cost
// says so).
#pragma once

#include <cstdint>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/hardware/array.h"
#include "penstock/partition/elimination.h"
#include "penstock/partition/extent.h"
#include "penstock/partition/network.h"

namespace penstock::partition {

using Axes = std::uint16_t;  // bit k: axis k

// Which axes cut which dimension. Of glue, in and out are the same axes: those of the columns.
struct MeshState {
  Axes rows = 0;
  Axes in = 0;
  Axes out = 0;
  bool operator==(const MeshState&) const = default;
};

struct MeshPlan {
  int devices = 1;                // of the group; the rest stay idle
  std::vector<MeshState> states;  // by network node
  bool proven = true;             // the optimum of the space above, memory apart
};

// What is kept on a device beside the values themselves.
struct MemoryModel {
  double bytes_per_weight = 6;  // parameter, gradient and optimizer state together
};

struct MeshOptions {
  double bytes_per_element = 2;
  // Partial sums go straight into the next layout where that is cheaper; false: always made whole
  // first, as room page 1.11 has it.
  bool reduce_scatter = true;
  // Leave devices out where fewer are faster (best_mesh only).
  bool may_idle = false;
  MemoryModel memory;
};

// The axes of n devices of a group, and what moving bytes along them costs.
class MeshSpace {
 public:
  // devices <= group.count; they fill whole nodes as far as possible.
  MeshSpace(const hardware::DeviceGroup& group, int devices);

  int devices() const { return devices_; }
  const hardware::DeviceGroup& group() const { return *group_; }
  const std::vector<int>& radices() const { return radices_; }
  int axes() const { return static_cast<int>(radices_.size()); }
  Axes all() const { return static_cast<Axes>((1u << radices_.size()) - 1u); }
  int parts(Axes axes) const { return parts_[axes]; }
  bool crosses_nodes(Axes axes) const { return (axes & node_axes_) != 0; }
  // Seconds a byte that a device receives over these axes: its own link, or its share of the node's
  // network, which all members of the exchange inside one node use together.
  double seconds_per_byte(Axes axes) const { return seconds_per_byte_[axes]; }
  double step_latency(Axes axes) const { return axes == 0 ? 0 : latency_[crosses_nodes(axes)]; }

  // Digit of `index` that axis k owns; rows count axis 0 fastest, columns the last axis.
  int row_digit(std::int64_t index, int axis) const;
  int column_digit(std::int64_t index, int axis) const;
  int coordinate(int device, int axis) const;
  // How many of `items` the device holds when `axes` cut them.
  std::int64_t rows_of(int device, std::int64_t items, Axes axes) const;
  std::int64_t columns_of(int device, std::int64_t items, Axes axes) const;
  // The most that any device holds.
  std::vector<double> most_rows(std::int64_t items) const;     // by axes
  std::vector<double> most_columns(std::int64_t items) const;  // by axes

 private:
  std::vector<double> most(std::int64_t items, const std::vector<int>& weights) const;
  std::int64_t count(int device, std::int64_t items, Axes axes,
                     const std::vector<int>& weights) const;

  const hardware::DeviceGroup* group_;
  int devices_;
  std::vector<int> radices_;
  std::vector<int> row_weights_;
  std::vector<int> column_weights_;
  Axes node_axes_ = 0;
  std::vector<int> parts_;
  std::vector<double> seconds_per_byte_;
  double latency_[2];
};

// The best plan of the space whose memory fits the group's devices; where none fits, the plan that
// needs least (the evaluator tells). Choices of layers without enough items stay unused: an axis
// may cut nothing, and its devices then repeat one another's work.
MeshPlan plan_mesh(const Network& network, const std::vector<Extent>& extents,
                   const MeshSpace& space, const MeshOptions& options);
// The same over the best number of devices between `least` and `most`, if options.may_idle, else
// over `most`. Sizes above 16 are tried where they have at most two significant bits, so that a
// further device never takes a size away. A plan that does not fit the devices' memory loses to one
// that does. Without states if it cannot beat `limit` and that plan fits, which only a lower bound
// tells: a plan that is returned may still be slower.
MeshPlan best_mesh(const Network& network, const std::vector<Extent>& extents,
                   const hardware::DeviceGroup& group, int least, int most,
                   const MeshOptions& options, Seconds limit = Seconds(kForbidden));
// The tables that plan_mesh minimises, for other solvers of the same problem.
PairwiseProblem mesh_problem(const Network& network, const std::vector<Extent>& extents,
                             const MeshSpace& space, const MeshOptions& options);
// Every layer cut along the batch.
MeshPlan data_parallel_mesh(const Network& network, const std::vector<Extent>& extents,
                            const MeshSpace& space);

// One node of the network on the mesh: the slowest device.
struct MeshPhase {
  double compute = 0;       // seconds
  double interconnect = 0;  // seconds, inside nodes
  double network = 0;       // seconds, between nodes
  double received = 0;      // bytes of that device
};

struct MeshCost {
  std::vector<MeshPhase> phases;  // by network node
  Seconds step;                   // their sum
  Bytes weights;                  // of the device that holds most, optimizer included
  Bytes activations;
  Bytes buffer;
  Bytes memory() const { return weights + activations + buffer; }
};

MeshCost evaluate_mesh(const Network& network, const std::vector<Extent>& extents,
                       const MeshSpace& space, const MeshPlan& plan, const MeshOptions& options);

// Elements that one device receives for one node: partial sums of its gradient, and the conversions
// of its input edges both ways. Exact, for any device.
std::int64_t mesh_received(const Network& network, const std::vector<Extent>& extents,
                           const MeshSpace& space, const MeshPlan& plan, int node, int device,
                           const MeshOptions& options);

}  // namespace penstock::partition
