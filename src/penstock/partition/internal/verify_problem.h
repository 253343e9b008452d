// The problem that a plan is carried out on: small, and yet in whole items at every split.
#pragma once

#include <cstdint>

#include "penstock/core/result.h"
#include "penstock/model/graph.h"
#include "penstock/partition/network.h"
#include "penstock/partition/partition.h"

namespace penstock::partition::internal {

struct Problem {
  model::Graph graph;
  Network network;
  PartitionPlan plan;         // with shares that leave every device an item of what is cut
  std::int64_t elements = 0;  // of all tensors
  bool smaller = false;       // than the plan's
  int raised_shares = 0;      // shares that had to change for that
};

Result<Problem> smaller_problem(const model::Graph& graph, const Network& network,
                                const PartitionPlan& plan, std::int64_t max_elements);

// How far shares in whole items are from the plan's, relative to the smaller side's; infinite where
// there are fewer items than devices that need one.
struct Rounding {
  double rows = 0;
  double columns = 0;
};

}  // namespace penstock::partition::internal
