// The joint optimum as splits of a subtree of equal halves.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "penstock/partition/internal/level_model.h"

namespace penstock::partition {

// Empty where the method does not apply: a network that is no chain, unequal halves, or more than
// kMaxJointLevels.
std::optional<std::vector<std::pair<int, Split>>> joint_splits(const Network& network,
                                                               const DeviceTree& tree, int index,
                                                               const std::vector<Extent>& extents,
                                                               const TreeOptions& options);

}  // namespace penstock::partition
