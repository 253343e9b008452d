// How much of each network node a set of devices works on.
#pragma once

#include <vector>

#include "penstock/partition/network.h"

namespace penstock::partition {

// Batch items, input channels and output channels, of the node's rows, in_columns and out_columns.
// Whole numbers where shares are whole items.
struct Extent {
  double rows = 1;
  double in = 1;
  double out = 1;
};

std::vector<Extent> whole_extents(const Network& network);

}  // namespace penstock::partition
