// The time of each network node at one split of the tree: the pieces that planner and evaluator
// share.
#pragma once

#include <vector>

#include "penstock/partition/internal/level_model.h"

namespace penstock::partition {

// True if the split leaves the side without work.
bool is_idle(const Split& split, int side);

std::vector<Extent> child_extents(const Network& network, const std::vector<Extent>& extents,
                                  const Split& split, int side, const TreeOptions& options);

// Bytes that a side receives for one node: its partial sums and its input edges' conversions.
double node_received(const Network& network, const LevelModel& model, const Split& split, int v,
                     int side);

// Bytes that one device holds.
double memory_on_device(const Network& network, const std::vector<Extent>& extents,
                        const TreeOptions& options);

// Seconds by network node on a single device.
std::vector<double> leaf_phases(const Network& network, const std::vector<Extent>& extents,
                                const TreeNode& leaf, const TreeOptions& options);

// Seconds by network node at a split, from those of its halves (`below` has one entry where the
// halves are alike).
std::vector<double> split_phases(const Network& network, const std::vector<Extent>& extents,
                                 const TreeNode& node, const Split& split,
                                 const std::vector<std::vector<double>>& below,
                                 const TreeOptions& options);

}  // namespace penstock::partition
