#include "penstock/profile/overlap.h"

#include <algorithm>

#include "penstock/core/check.h"

namespace penstock::profile {

double ring_time(const LinkModel& link, int ranks, double bytes) {
  PENSTOCK_CHECK(ranks >= 1);
  const double messages = 2.0 * (ranks - 1);
  const double volume = messages / ranks * bytes;
  return messages * link.alpha_s +
         (link.beta_bytes_per_s > 0 ? volume / link.beta_bytes_per_s : 0.0);
}

double hierarchical_time(const LinkModel& inside, int ranks_per_node, const LinkModel& across,
                         int nodes, double bytes) {
  return ring_time(inside, ranks_per_node, bytes) + ring_time(across, nodes, bytes);
}

std::vector<Bucket> fill_buckets(const std::vector<GradientTensor>& tensors,
                                 const BucketLimits& limits) {
  std::vector<Bucket> buckets;
  Bucket open;
  const auto close = [&] {
    buckets.push_back(open);
    open = Bucket{};
  };
  for (const GradientTensor& tensor : tensors) {
    open.ready_s = tensor.ready_s;
    open.bytes += tensor.bytes;
    ++open.tensors;
    if (open.bytes >= (buckets.empty() ? limits.first_bytes : limits.bytes)) close();
  }
  if (open.tensors > 0) close();
  return buckets;
}

Overlap overlap_of(const std::vector<Bucket>& buckets, double backward_end_s,
                   const std::function<double(double)>& time_of_bytes) {
  Overlap overlap;
  double done = 0;
  for (const Bucket& bucket : buckets) {
    const double time = time_of_bytes(static_cast<double>(bucket.bytes));
    done = std::max(bucket.ready_s, done) + time;
    overlap.done_s.push_back(done);
    overlap.busy_s += time;
  }
  overlap.exposed_s = std::max(0.0, done - backward_end_s);
  return overlap;
}

std::vector<GradientTensor> evenly_ready(const std::vector<std::int64_t>& forward_order_bytes,
                                         double backward_s) {
  std::vector<GradientTensor> tensors;
  const auto count = static_cast<double>(forward_order_bytes.size());
  for (auto bytes = forward_order_bytes.rbegin(); bytes != forward_order_bytes.rend(); ++bytes) {
    const auto place = static_cast<double>(tensors.size() + 1);
    tensors.push_back({backward_s * place / count, *bytes});
  }
  return tensors;
}

}  // namespace penstock::profile
