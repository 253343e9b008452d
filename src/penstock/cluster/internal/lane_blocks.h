// Who held which accelerator when, as rectangles to draw: a lane is an accelerator, lanes are
// counted over the nodes in their order.
//
//   std::vector<LaneBlock> blocks = lane_blocks(cluster, result.episodes);
//   const Thinned seen = thin(std::move(blocks), horizon, 40'000, is_named);
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "penstock/cluster/simulate.h"
#include "penstock/cluster/topology.h"

namespace penstock::cluster::internal {

struct LaneBlock {
  std::int64_t lane = 0;   // the first
  std::int32_t lanes = 1;  // neighbours
  std::int32_t job = 0;    // -1: `stays` short ones, maybe of several jobs
  Tier tier = Tier::kNode;
  std::int32_t stays = 1;
  Time start;
  Time end;
};

// In the order of the episodes, which is that of their starts. The accelerators of a node are
// alike, so each job gets the smallest gap of neighbours that holds it, and several gaps only where
// none does.
std::vector<LaneBlock> lane_blocks(const Topology& cluster, const std::vector<Episode>& episodes);

struct Thinned {
  std::vector<LaneBlock> blocks;
  Time shortest;              // stays shorter than this were merged; zero: none was
  std::int64_t merged = 0;    // blocks that went into others
  std::int64_t left_out = 0;  // blocks that even so were too many; those that held least
};

// At most `most` blocks. Merges stays of each lane that are short, with short gaps, "short" growing
// until the rest fits; and the stays of all jobs for which `named` is false.
Thinned thin(std::vector<LaneBlock> blocks, Time horizon, std::size_t most,
             const std::function<bool(std::int32_t)>& named);

}  // namespace penstock::cluster::internal
