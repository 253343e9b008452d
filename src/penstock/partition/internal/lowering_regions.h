// Regions of element-wise operators and reductions that depend on one tensor and leave one: layer
// norm and GELU as exporters write them out, x * sigmoid(x). As one kernel each would run them.
#pragma once

#include <vector>

#include "penstock/partition/internal/lowering_rules.h"

namespace penstock::partition::internal {

struct Region {
  int entry = -1;              // tensor
  int exit = -1;               // tensor
  std::vector<int> operators;  // ascending
};

// Finds them among the live operators; the origins of all tensors must be settled. `region_of`
// gets the index of each operator's region, or -1.
std::vector<Region> find_regions(const model::Graph& graph, const Tracker& tracker,
                                 const std::vector<bool>& live, std::vector<int>& region_of);

}  // namespace penstock::partition::internal
