// A cluster: network > rack > node > accelerator, with the links between them.
//
//   PENSTOCK_TRY(const Topology cluster, read_topology("examples/clusters/2x4x8.toml"));
//   const Topology flat = one_node(64);
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::cluster {

// How far apart the accelerators of one job are: in one node, in one rack, anywhere.
enum class Tier : std::uint8_t { kNode = 0, kRack = 1, kNetwork = 2 };
inline constexpr int kTiers = 3;
std::string_view tier_name(Tier tier);  // "node", "rack", "network"

// One direction.
struct Link {
  Bandwidth bandwidth;
  Seconds latency;
};

// T(tier) / T(one node) of a model, stated by a cluster file; the empty model stands for all
// others.
struct StatedSlowdown {
  std::string model;
  double rack = 1;
  double network = 1;
};

struct Topology {
  struct Node {
    std::string name;
    int rack = 0;
    int accelerators = 0;
  };
  std::string name;
  std::string accelerator;  // "v100"; the key of measured speeds
  std::vector<Node> nodes;  // by rack, so that a rack's nodes are neighbours
  std::vector<std::string> racks;
  Link inside;       // one accelerator's, within a node
  Link node_uplink;  // one node's, to its rack's switch
  Link rack_uplink;  // one rack's, to the network; oversubscription is in its figure
  Price price;       // of one accelerator; zero: unknown
  FlopRate rate;     // of one accelerator at fp32; zero: not in the catalogue
  std::vector<StatedSlowdown> slowdowns;
  // Of the nodes' racks and sizes, so that what is computed for one cluster is not taken for
  // another's. seal() sets it; so do the functions below that make a Topology.
  std::uint64_t fingerprint = 0;

  void seal();
  int accelerators() const;
  int largest_node() const;
  int largest_rack() const;  // accelerators of the rack that has most
  // The closest tier that `accelerators` could have in an empty cluster.
  Tier best_tier(int accelerators) const;
  core::Json to_json() const;
};

// A cluster file; every error by line. README.md of this room describes the format.
Result<Topology> read_topology(const std::string& path);
// `accelerators` behind one switch: placement cannot matter.
Topology one_node(int accelerators);
// racks x nodes x accelerators, all equal, links of a 2018 cluster: NVLink 150 GB/s, 100 Gbit/s a
// node, rack uplinks oversubscribed 4:1.
Topology uniform(int racks, int nodes_per_rack, int accelerators_per_node);

// Which accelerators of which nodes one job holds.
struct Placement {
  struct Part {
    std::int32_t node = 0;
    std::int32_t accelerators = 0;
    bool operator==(const Part&) const = default;
  };
  std::vector<Part> parts;  // by node; no node twice
  bool operator==(const Placement&) const = default;
};
Tier tier_of(const Topology& cluster, const Placement& placement);

}  // namespace penstock::cluster
