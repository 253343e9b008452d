// What decides how fast a placement is, apart from which nodes exactly: how many accelerators it
// has on each node, and whether it crosses racks.
#pragma once

#include <optional>
#include <vector>

#include "penstock/cluster/topology.h"

namespace penstock::cluster {

struct Shape {
  std::vector<int> counts;  // accelerators per node, descending
  bool crosses_racks = false;

  int accelerators() const;
  bool one_node() const { return counts.size() == 1; }
};

Shape shape_of(const Topology& cluster, const Placement& placement);
// The densest shape of `accelerators` at exactly this tier in an empty cluster: the fewest nodes,
// each filled before the next; where one node would do and the tier asks for more, two halves.
// Empty where the tier cannot hold them.
std::optional<Shape> densest(const Topology& cluster, int accelerators, Tier tier);
// Whether an empty cluster has nodes for `counts` (descending), and if so whether one rack does.
std::optional<Shape> fitted(const Topology& cluster, const std::vector<int>& counts);

}  // namespace penstock::cluster
