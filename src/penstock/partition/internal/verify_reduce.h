// A smaller graph of the same structure: fewer batch items, channels and pixels.
#pragma once

#include <cstdint>

#include "penstock/core/result.h"
#include "penstock/model/graph.h"

namespace penstock::partition::internal {

struct Reduction {
  std::int64_t batch = 1;
  // A power of two: every layer's output channels are divided by it, or by as many twos of it as
  // divide them and leave `least_channels`.
  std::int64_t channel_divisor = 1;
  std::int64_t least_channels = 1;
  std::int64_t pixels = 0;  // of the input maps along each axis; 0: as they are
};

// Shapes are inferred anew from the operators; fails where the smaller sizes do not fit an
// operator.
Result<model::Graph> reduce_graph(const model::Graph& graph, const Reduction& reduction);

}  // namespace penstock::partition::internal
