#include "penstock/cluster/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "penstock/core/check.h"
#include "penstock/core/json.h"

namespace penstock::cluster {
namespace {

// Accelerators of each rack.
std::vector<int> rack_sizes(const Topology& cluster) {
  std::vector<int> sizes(cluster.racks.size(), 0);
  for (const Topology::Node& node : cluster.nodes) {
    sizes[static_cast<std::size_t>(node.rack)] += node.accelerators;
  }
  return sizes;
}

core::Json link_json(const Link& link) {
  return {{"bandwidth_bytes_per_s", link.bandwidth.value()}, {"latency_s", link.latency.value()}};
}

void add_rack(Topology& cluster, int nodes, int accelerators_per_node) {
  const int rack = static_cast<int>(cluster.racks.size());
  cluster.racks.push_back(fmt::format("rack{}", rack));
  for (int node = 0; node < nodes; ++node) {
    cluster.nodes.push_back(
        {fmt::format("rack{}-node{}", rack, node), rack, accelerators_per_node});
  }
}

}  // namespace

std::string_view tier_name(Tier tier) {
  switch (tier) {
    case Tier::kNode:
      return "node";
    case Tier::kRack:
      return "rack";
    case Tier::kNetwork:
      return "network";
  }
  return "?";
}

int Topology::accelerators() const {
  return std::accumulate(nodes.begin(), nodes.end(), 0,
                         [](int sum, const Node& node) { return sum + node.accelerators; });
}

int Topology::largest_node() const {
  int most = 0;
  for (const Node& node : nodes) most = std::max(most, node.accelerators);
  return most;
}

int Topology::largest_rack() const {
  const std::vector<int> sizes = rack_sizes(*this);
  return sizes.empty() ? 0 : *std::max_element(sizes.begin(), sizes.end());
}

Tier Topology::best_tier(int accelerators_wanted) const {
  if (accelerators_wanted <= largest_node()) return Tier::kNode;
  return accelerators_wanted <= largest_rack() ? Tier::kRack : Tier::kNetwork;
}

void Topology::seal() {
  // FNV-1a over the numbers, 64 bits.
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  const auto take = [&hash](int value) {
    for (int byte = 0; byte < 4; ++byte) {
      hash = (hash ^ (static_cast<std::uint32_t>(value) >> (8 * byte) & 0xffU)) * 0x100000001b3ULL;
    }
  };
  for (const Node& node : nodes) {
    take(node.rack);
    take(node.accelerators);
  }
  fingerprint = hash;
}

core::Json Topology::to_json() const {
  core::Json json;
  json["name"] = name;
  json["accelerator"] = accelerator;
  json["accelerators"] = accelerators();
  core::Json& rack_list = json["racks"] = core::Json::array();
  for (std::size_t rack = 0; rack < racks.size(); ++rack) {
    core::Json sizes = core::Json::array();
    for (const Node& node : nodes) {
      if (node.rack == static_cast<int>(rack)) sizes.push_back(node.accelerators);
    }
    rack_list.push_back({{"name", racks[rack]}, {"node_accelerators", std::move(sizes)}});
  }
  json["links"] = {{"inside", link_json(inside)},
                   {"node_uplink", link_json(node_uplink)},
                   {"rack_uplink", link_json(rack_uplink)}};
  json["price_usd_per_s"] = price.value();
  if (!slowdowns.empty()) {
    core::Json& stated = json["stated_slowdowns"] = core::Json::array();
    for (const StatedSlowdown& one : slowdowns) {
      stated.push_back({{"model", one.model}, {"rack", one.rack}, {"network", one.network}});
    }
  }
  return json;
}

Topology one_node(int accelerators) {
  Topology cluster = uniform(1, 1, accelerators);
  cluster.name = fmt::format("{} accelerators in one node", accelerators);
  return cluster;
}

Topology uniform(int racks, int nodes_per_rack, int accelerators_per_node) {
  PENSTOCK_CHECK(racks >= 1);
  PENSTOCK_CHECK(nodes_per_rack >= 1);
  PENSTOCK_CHECK(accelerators_per_node >= 1);
  Topology cluster;
  cluster.name = fmt::format("{}x{}x{}", racks, nodes_per_rack, accelerators_per_node);
  for (int rack = 0; rack < racks; ++rack) add_rack(cluster, nodes_per_rack, accelerators_per_node);
  cluster.inside = {Bandwidth(150e9), Seconds(1.5e-6)};
  cluster.node_uplink = {Bandwidth(12.5e9), Seconds(2e-6)};
  cluster.rack_uplink = {cluster.node_uplink.bandwidth * (nodes_per_rack / 4.0), Seconds(2e-6)};
  cluster.seal();
  return cluster;
}

Tier tier_of(const Topology& cluster, const Placement& placement) {
  if (placement.parts.size() <= 1) return Tier::kNode;
  const auto rack_of = [&cluster](const Placement::Part& part) {
    return cluster.nodes[static_cast<std::size_t>(part.node)].rack;
  };
  const int first = rack_of(placement.parts.front());
  const bool one_rack = std::all_of(placement.parts.begin(), placement.parts.end(),
                                    [&](const auto& part) { return rack_of(part) == first; });
  return one_rack ? Tier::kRack : Tier::kNetwork;
}

}  // namespace penstock::cluster
