// How fast a job runs where it is placed: from measured placements, from what was measured between
// them, from a model of its gradients and links, or from its class.
//
//   PENSTOCK_TRY(SpeedBook speeds, SpeedBook::read(files));
//   const int job_class = speeds.job_class("bert", 8, 64, network_share);
//   const Speed speed = speeds.at(job_class, cluster, placement);
//   // speed.slowdown = 1.99: an iteration takes 1.99 times that of the best placement
//
// T(p) = T_compute + T_sync(p). The multiset of accelerators per node decides, not the number of
// nodes: two plus two can be slower than four ones, because accelerators of a node share its uplink
// (measured by Pollux; rooms/cluster.md says how much).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "penstock/cluster/topology.h"
#include "penstock/core/result.h"

namespace penstock::cluster {

enum class SpeedSource : std::uint8_t { kMeasured, kInterpolated, kModelled, kClass };
std::string_view speed_source_name(SpeedSource source);

struct Speed {
  double slowdown = 1;       // T(p) / T(best placement of this job on this cluster), at least 1
  double compute_share = 1;  // T_compute / T(p): the network score nw of the placement
  // Mean bytes per second over each uplink that the job crosses, when nothing else uses it; what
  // the fluid model of contention shares out. Zero inside a node.
  double uplink_bytes_per_s = 0;
  SpeedSource source = SpeedSource::kClass;
};

struct SpeedFiles {
  std::string pollux;  // folder of <model>_placements.csv and <model>_scalability.csv, or empty
  std::string gavel;   // simulation_throughputs.json, or empty
};

class SpeedBook {
 public:
  SpeedBook();  // classes only
  ~SpeedBook();
  SpeedBook(SpeedBook&&) noexcept;
  SpeedBook& operator=(SpeedBook&&) noexcept;
  static Result<SpeedBook> read(const SpeedFiles& files);
  // Every placement at full speed: for exact oracles and for reductions.
  static SpeedBook flat();
  // Stated slowdowns, T(tier)/T(best), for a model: from a cluster file, or a test.
  void state(const std::string& model, double rack, double network);

  // Jobs of equal class run equally fast on equal placements. `model` may be empty (then the class
  // median); network_share < 0: unknown. Cheap: looked up, not computed, when seen before.
  int job_class(const std::string& model, int accelerators, int batch, double network_share);
  // Cached by class and multiset; the reference is the best placement on `cluster`.
  Speed at(int job_class, const Topology& cluster, const Placement& placement);
  // The slowdown at a tier before a placement is known: of the densest placement there.
  double slowdown(int job_class, const Topology& cluster, Tier tier);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock::cluster
