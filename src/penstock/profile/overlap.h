// Gradients sent while the backward pass runs on: when each bucket is through, and what of it
// shows.
//
//   const auto cost = [&](double bytes) { return ring_time(link, ranks, bytes); };
//   const Overlap overlap = overlap_of(fill_buckets(gradients, limits), backward_end_s, cost);
//   // overlap.exposed_s is the stall
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace penstock::profile {

// The cost of one message: latency and bytes over bandwidth (alpha-beta, Hockney 1994).
struct LinkModel {
  double alpha_s = 0;
  double beta_bytes_per_s = 0;  // 0: infinitely fast
};

// A ring all-reduce of `bytes` over n ranks: 2(n-1) messages of bytes/n each.
double ring_time(const LinkModel& link, int ranks, double bytes);
// Reduce-scatter inside each node, a ring across the nodes, all-gather inside: each node sends and
// receives 2(m-1)/m of the bytes over its one link.
double hierarchical_time(const LinkModel& inside, int ranks_per_node, const LinkModel& across,
                         int nodes, double bytes);

struct GradientTensor {
  double ready_s = 0;  // since the start of the backward pass
  std::int64_t bytes = 0;
};

struct Bucket {
  double ready_s = 0;
  std::int64_t bytes = 0;
  int tensors = 0;
};

struct BucketLimits {
  std::int64_t first_bytes = 1 << 20;  // as PyTorch's DistributedDataParallel
  std::int64_t bytes = 25 << 20;
};

// Tensors in the order in which they become ready; a bucket closes once it holds its limit, and no
// tensor is split.
std::vector<Bucket> fill_buckets(const std::vector<GradientTensor>& tensors,
                                 const BucketLimits& limits);

struct Overlap {
  std::vector<double> done_s;  // by bucket
  double exposed_s = 0;        // after the backward pass
  double busy_s = 0;           // of the link
};

// d_i = max(r_i, d_{i-1}) + t(S_i), one bucket at a time; exposed = max(0, d_last - backward_end).
Overlap overlap_of(const std::vector<Bucket>& buckets, double backward_end_s,
                   const std::function<double(double)>& time_of_bytes);

// Gradients of a network whose layers take equally long: the last tensor is ready first.
std::vector<GradientTensor> evenly_ready(const std::vector<std::int64_t>& forward_order_bytes,
                                         double backward_s);

}  // namespace penstock::profile
