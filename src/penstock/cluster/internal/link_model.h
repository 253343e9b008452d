// Step times from a model of the links: a ring all-reduce sends 2(n-1)/n of the gradients over the
// slowest link of the placement, part of it behind the computation.
#pragma once

#include "penstock/cluster/internal/known_models.h"
#include "penstock/cluster/internal/shape.h"
#include "penstock/cluster/topology.h"

namespace penstock::cluster {

// The part of a link's stated bandwidth that an all-reduce moves. Between nodes, Muri's traces move
// 4.4 to 9.6 GB/s by the formula above (BERT, GPT-2, VGG-16 and VGG-19 with public parameter counts
// on 16 and 32 accelerators; middle 8.1): 0.65 of 100 Gbit/s, which is what we take its network to
// be.
inline constexpr double kLinkReached = 0.65;
// Inside a node of 8 accelerators the same four move 13 to 18 GB/s, middle 16.5 GB/s.
inline constexpr double kTracedInsideBytesPerS = 16.5e9;
inline constexpr double kTracedUplinkBytesPerS = 8.1e9;
inline constexpr int kTracedNode = 8;
// The part of the computation behind which gradients are sent: in Pollux's profiles, waiting for
// gradients falls by 0.5 s for each second that a larger batch computes longer (ResNet-18, 6
// nodes).
inline constexpr double kOverlap = 0.5;
// Of an accelerator's fp32 peak: Gavel's V100 does 281 images/s of ResNet-50 at batch 64.
inline constexpr double kRateReached = 0.45;

// What limits an all-reduce over `shape`; zero bandwidth: nothing stated, so nothing limits it.
Link limiting_link(const Topology& cluster, const Shape& shape);

// T_sync and T_compute of one step in seconds, or in multiples of T_compute.
struct ModelledStep {
  double compute = 1;
  double sync = 0;
  double uplink_bytes = 0;  // over each uplink, in one step (per T_compute where that is 1)
};
// T_sync = max(0, V 2(n-1)/n / B + 2(n-1) L - overlap T_compute), from public figures.
ModelledStep modelled_step(const KnownModel& model, double batch, const Topology& cluster,
                           const Shape& shape);
// From the part of a step that was network time where the trace ran the job: packed on nodes of
// eight. T_sync scales with the bandwidth there over the bandwidth here; what the trace calls
// network time was not hidden behind computation there, and is not here.
ModelledStep step_of_share(double network_share, const Topology& cluster, const Shape& shape);

}  // namespace penstock::cluster
