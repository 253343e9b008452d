#include "penstock/cluster/internal/link_model.h"

#include <algorithm>

namespace penstock::cluster {
namespace {

// Where the catalogue does not know the accelerator: NVIDIA's V100, 15.7 TFLOP/s at fp32.
constexpr double kUnknownRate = 15.7e12;
constexpr double kBytesPerGradient = 4;

}  // namespace

Link limiting_link(const Topology& cluster, const Shape& shape) {
  if (shape.one_node()) return cluster.inside;
  Link link = cluster.node_uplink;
  link.latency = link.latency * 2;  // up to the switch and down again
  if (shape.crosses_racks) {
    link.latency += cluster.rack_uplink.latency * 2;
    if (cluster.rack_uplink.bandwidth.value() > 0) {
      link.bandwidth = std::min(link.bandwidth, cluster.rack_uplink.bandwidth);
    }
  }
  return link;
}

ModelledStep modelled_step(const KnownModel& model, double batch, const Topology& cluster,
                           const Shape& shape) {
  const double rate = cluster.rate.value() > 0 ? cluster.rate.value() : kUnknownRate;
  // The backward pass is twice the forward one.
  ModelledStep step;
  step.compute = 3 * model.forward_flop * batch / (rate * kRateReached);
  const int n = shape.accelerators();
  const Link link = limiting_link(cluster, shape);
  if (n < 2 || link.bandwidth.value() <= 0) return step;
  const double volume = model.parameters * kBytesPerGradient * 2 * (n - 1) / n;
  const double sending = volume / (link.bandwidth.value() * kLinkReached);
  const double latency = 2 * (n - 1) * link.latency.value();
  step.sync = std::max(0.0, sending + latency - kOverlap * step.compute);
  if (!shape.one_node()) step.uplink_bytes = volume;
  return step;
}

ModelledStep step_of_share(double network_share, const Topology& cluster, const Shape& shape) {
  ModelledStep step;
  const int n = shape.accelerators();
  const Link link = limiting_link(cluster, shape);
  if (n < 2 || link.bandwidth.value() <= 0) return step;
  const double share = std::clamp(network_share, 0.0, 0.99);
  const double traced = n <= kTracedNode ? kTracedInsideBytesPerS : kTracedUplinkBytesPerS;
  const double bytes = share / (1 - share) * traced;
  step.sync = bytes / (link.bandwidth.value() * kLinkReached);
  if (!shape.one_node()) step.uplink_bytes = bytes;
  return step;
}

}  // namespace penstock::cluster
