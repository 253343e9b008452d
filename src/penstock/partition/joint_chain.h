// The exact joint optimum over all levels of equal halves, for networks that are chains.
//
// The state of a node is a vector of one type (or layout) a level. What an edge moves at level h
// depends on the consumer's states above h and on the two states at h only, so the transition over
// all 3^H x 3^H pairs factorises into one contraction a level: H 3^(H+1) steps a node instead of
// 9^H (our derivation, room page "partition" 1.8).
#pragma once

#include <cstdint>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/partition/network.h"
#include "penstock/partition/tree.h"

namespace penstock::partition {

struct JointPlan {
  Seconds step;  // communication and compute of the network over all levels, shares of one half
  std::vector<std::vector<std::uint8_t>> states;  // [level][node], levels from the top
};

inline constexpr int kMaxJointLevels = 10;

// `links` has one entry a level, from the top; at most kMaxJointLevels. `rate` is one device's.
// The network must be a chain. Shares are exactly one half: options.whole_items is ignored.
JointPlan joint_chain(const Network& network, const std::vector<Bandwidth>& links, FlopRate rate,
                      const TreeOptions& options);

}  // namespace penstock::partition
