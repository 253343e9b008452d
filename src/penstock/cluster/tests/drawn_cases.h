// Clusters and traces drawn at random, small and crowded, so that every rule of the scheduler is
// reached within a few hundred jobs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "penstock/cluster/topology.h"
#include "penstock/core/random.h"
#include "penstock/trace/jobs.h"

namespace penstock::cluster {

// Lengths of time are multiples of this, 2^30 ns: rates that are powers of two then leave no
// remainders, and simulators that round at different moments agree to the nanosecond.
inline constexpr std::int64_t kTick = std::int64_t{1} << 30;

// One to three racks of one to four nodes, of one to eight accelerators each.
inline Topology drawn_cluster(core::RandomStream& random, bool equal_nodes) {
  Topology cluster = uniform(1, 1, 1);
  cluster.nodes.clear();
  cluster.racks.clear();
  const int size = 1 << random.below(4);
  const auto racks = 1 + int(random.below(3));
  for (int rack = 0; rack < racks; ++rack) {
    cluster.racks.push_back("rack" + std::to_string(rack));
    const auto nodes = 1 + int(random.below(4));
    for (int node = 0; node < nodes; ++node) {
      cluster.nodes.push_back({.name = "r" + std::to_string(rack) + "n" + std::to_string(node),
                               .rack = rack,
                               .accelerators = equal_nodes ? size : 1 + int(random.below(8))});
    }
  }
  cluster.seal();
  return cluster;
}

// `crowding`: mean accelerator-time asked for, over what there is. A quarter of the jobs arrive in
// the same moment as the one before.
inline trace::JobTrace drawn_jobs(core::RandomStream& random, int jobs, int accelerators,
                                  double crowding) {
  trace::JobTrace trace;
  trace.models = {"even", "skewed", "wide"};
  // All of them divide 48, so that shares of a limit of 48 have no remainders either.
  const std::vector<int> demands{1, 2, 3, 4, 6, 8, 12, 16};
  const auto choices = std::uint64_t(
      std::upper_bound(demands.begin(), demands.end(), accelerators) - demands.begin());
  double asked = 0;
  for (int i = 0; i < jobs; ++i) {
    trace::TrainingJob job;
    job.name = std::to_string(i);
    job.accelerators = demands[random.below(random.below(2) == 0 ? choices : (choices + 1) / 2)];
    job.duration_ns = kTick * (1 + std::int64_t(random.below(random.below(5) == 0 ? 8000 : 500)));
    job.model = std::int32_t(random.below(3));
    asked += double(job.duration_ns / kTick) * job.accelerators;
    trace.jobs.push_back(job);
  }
  const double gap = asked / jobs / accelerators / crowding;
  std::int64_t submit = 0;
  for (trace::TrainingJob& job : trace.jobs) {
    if (random.below(4) != 0) submit += std::int64_t(2 * gap * random.uniform() * 4 / 3);
    job.submit_ns = submit * kTick;
  }
  return trace;
}

}  // namespace penstock::cluster
