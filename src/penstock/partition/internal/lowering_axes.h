// Where the batch and the channels lie inside a tensor, while the tensor is reshaped, transposed,
// sliced and joined.
//
// Every axis is a product of factors, outermost first. [B, T, 768] of a transformer is
// [[B rows]] [[T]] [[768 channels]]; reshaped to [B, T, 12, 64] its channels are the 12 heads, and
// the 64 are what one head takes along; merged back to [B*T, 768] it is [[B rows] [T]]
// [[12 channels] [64]]. A split along rows or channels cuts the one factor of that role.
//
// Factors have a size above 1. Rows of a batch of one have no factor: they can be anywhere.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "penstock/model/graph.h"

namespace penstock::partition::internal {

enum class Role : std::uint8_t {
  kPlain,
  kRows,
  kChannels,
  kWithin,  // what remains of the channels inside one grain, once a reshape has cut them
};

struct Factor {
  std::int64_t size = 1;
  Role role = Role::kPlain;
  int set = -1;  // of channels: in ChannelSets
};
using Axis = std::vector<Factor>;

struct Placement {
  std::vector<Axis> axes;
  bool rows = false;   // the batch is known to lie here
  int channels = -1;   // the set of the channels, or -1 where they are not known
  bool loose = false;  // fed by the data loader, in whatever layout is asked for
};

// The channels of tensors that are split alike: one set for all tensors between which a layout C
// passes unchanged. The grains of a set are the greatest common divisor of what its tensors allow.
class ChannelSets {
 public:
  int fresh(std::int64_t size);
  void merge(int a, int b);
  // Channels can be cut only between `pieces` equal parts.
  void limit(int set, std::int64_t pieces);
  // Reads every tensor of the set as `parts` equal chunks, each split alike (queries, keys and
  // values in one projection). False where the grains do not allow it.
  bool chunk(int set, std::int64_t parts);
  std::int64_t grains(int set) const;
  // The placement as later chunks make it.
  Placement resolved(Placement placement) const;

 private:
  struct Set {
    int parent = -1;
    std::int64_t grains = 1;
    std::int64_t parts = 1;
    int chunk = -1;  // the set of one part, where parts > 1
  };
  int root(int set) const;
  int innermost(int set) const;
  std::vector<Set> sets_;
};

// Index of the axis that holds the factor of a role, or -1.
int axis_of(const Placement& placement, Role role);
// One plain factor, or none for a dimension of 1.
Axis plain_axis(std::int64_t size);
Placement plain_placement(const model::Shape& shape);

// Whether the factors of each axis multiply to its size.
bool fits(const Placement& placement, const model::Shape& shape);

// Turns the factors of a role into plain ones.
void forget(Axis& axis, Role role);
void forget(Placement& placement, Role role);
// Makes a whole axis the rows or a new set of channels.
void declare_rows(Placement& placement, int axis, std::int64_t batch);
void declare_channels(Placement& placement, int axis, std::int64_t size, ChannelSets& sets);
// Gives the channels a set of their own, for a tensor whose operator does not pass layout C on.
void detach(Placement& placement, ChannelSets& sets);

// Forgets a role that no factor or more than one has, after a join of tensors that lie differently.
void tidy(Placement& placement, std::int64_t batch, const ChannelSets& sets);

// The placement under another shape of as many elements. What cannot be followed is forgotten.
Placement regroup(const Placement& in, const model::Shape& shape, ChannelSets& sets);

// What an axis of two joined tensors agrees on.
struct Agreement {
  Axis axis;
  bool rows = true;
  bool channels = true;
};
// A loose operand adapts to the other; two others must have the same roles in the same places.
Agreement align(Axis a, bool a_loose, Axis b, bool b_loose, ChannelSets& sets);

}  // namespace penstock::partition::internal
