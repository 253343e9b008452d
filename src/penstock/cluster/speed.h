// How fast a job runs where it is placed: stated, from measured placements, from what was measured
// between them, from a model of its gradients and links, or from its class.
//
//   PENSTOCK_TRY(SpeedBook speeds, SpeedBook::read(files));
//   const int job_class = speeds.job_class("bert", 8, 64, network_share);
//   const Speed speed = speeds.at(job_class, cluster, placement);
//   // speed.slowdown = 1.99: an iteration takes 1.99 times that of the best placement
//
// T(p) = T_compute + T_sync(p). The multiset of accelerators per node decides, not the number of
// nodes: two plus two can be slower than four ones, because accelerators of a node share its uplink
// (measured by Pollux).
//
// The first source that knows the job decides, for all its placements:
//   1. stated slowdowns (a cluster file's [slowdown.MODEL], or state());
//   2. Pollux's placements, where the cluster has their accelerator (T4) or names none: the exact
//      multiset at the job's batch per accelerator, else between those measured;
//   3. the network share that the job's own trace measured, moved from the trace's links to the
//      cluster's (internal/link_model.h);
//   4. Gavel's throughputs for the cluster's accelerator (V100 where it names none): one node
//      against several;
//   5. Pollux's placements, though measured on another accelerator and network;
//   6. the gradients and work of a well-known model on the cluster's links;
//   7. its class: the middle slowdown of all models that 2, 4 and 5 know, or of all of 6.
// Sensitivity depends on the accelerator as much as on the model (Gavel: LM 4.8-9.6 times slower
// apart on V100, 0.9-1.2 on K80), so what was measured elsewhere comes late.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "penstock/cluster/topology.h"
#include "penstock/core/result.h"

namespace penstock::cluster {

enum class SpeedSource : std::uint8_t {
  kStated,
  kMeasured,      // this multiset on this accelerator
  kInterpolated,  // between multisets, batches or counts measured on this accelerator
  kElsewhere,     // measured or interpolated, on another accelerator
  kModelled,
  kClass,
};
inline constexpr int kSpeedSources = 6;
std::string_view speed_source_name(SpeedSource source);

struct Speed {
  double slowdown = 1;       // T(p) / T(best placement of this job on this cluster), at least 1
  double compute_share = 1;  // T_compute / T(p): the network score nw of the placement
  // Mean bytes per second over each uplink that the job crosses, when nothing else uses it; what
  // the fluid model of contention shares out. Zero inside a node. Measured times give no bytes: the
  // part of a step by which it exceeds the one-node step fills the cluster's uplink.
  double uplink_bytes_per_s = 0;
  SpeedSource source = SpeedSource::kClass;
};

struct SpeedFiles {
  std::string pollux;  // folder of <model>_placements.csv and <model>_scalability.csv, or empty
  std::string gavel;   // simulation_throughputs.json, or empty
};

// The largest tensor's part of a well-known model, by bytes, what Tiresias' rule asks for; 0:
// unknown. Names are read as the book reads them: "ResNet-50" and "resnet_50" are one.
double model_skew(const std::string& model);

class SpeedBook {
 public:
  SpeedBook();  // public figures of well-known models only
  ~SpeedBook();
  SpeedBook(SpeedBook&&) noexcept;
  SpeedBook& operator=(SpeedBook&&) noexcept;
  static Result<SpeedBook> read(const SpeedFiles& files);
  // Every placement at full speed: for exact oracles and for reductions.
  static SpeedBook flat();
  // The same data and job classes with caches of its own: a book serves one thread.
  SpeedBook clone() const;
  // Stated slowdowns, T(tier)/T(one node), for a model; the empty model stands for all others.
  void state(const std::string& model, double rack, double network);

  // Jobs of equal class run equally fast on equal placements. `model` may be empty (then the class
  // median), `batch` is over all accelerators (0: unknown, the model's usual one), network_share <
  // 0: unknown. Cheap: looked up, not computed, when seen before.
  int job_class(const std::string& model, int accelerators, int batch, double network_share);
  // Cached by class and multiset; the reference is the best placement on `cluster` that the source
  // knows. The cluster must be sealed, as those of topology.h are.
  Speed at(int job_class, const Topology& cluster, const Placement& placement);
  // The slowdown at a tier before a placement is known: of the densest placement there; of the next
  // tier that holds the job where this one does not.
  double slowdown(int job_class, const Topology& cluster, Tier tier);

 private:
  struct State;
  explicit SpeedBook(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace penstock::cluster
