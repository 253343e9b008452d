// Nodes on one machine: network namespaces joined by virtual Ethernet whose rate a token-bucket
// filter limits. Needs root; where it is absent the ring's own limit (train/job.h) stands in, and
// the report says so. Only the rate is emulated: a delay would take netem, which many kernels are
// built without, so nodes are as far apart as two processes. The ring's own limit has a delay.
//
//   if (can_emulate_nodes()) {
//     PENSTOCK_TRY(NodeNetwork network, NodeNetwork::create(2, Bandwidth(1.25e9)));
//     rank.network_namespace = network.nodes()[1].network_namespace;
//   }
//
// Nothing stays behind: names carry our process number, the destructor removes them, and create()
// begins with remove_leftover_nodes().
#pragma once

#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::train {

struct Node {
  std::string network_namespace;
  std::string interface;  // inside it
  std::string address;    // IPv4
};

// Whether this process may make namespaces and limit their links; else why not.
Status can_emulate_nodes();

// Removes the namespaces that processes which no longer exist, killed ones, have left.
void remove_leftover_nodes();

class NodeNetwork {
 public:
  // Every node's link sends at most `rate` (0: unlimited). Nodes reach each other over one bridge.
  static Result<NodeNetwork> create(int nodes, Bandwidth rate);
  NodeNetwork(NodeNetwork&& other) noexcept;
  NodeNetwork& operator=(NodeNetwork&& other) noexcept;
  ~NodeNetwork();
  const std::vector<Node>& nodes() const { return nodes_; }

 private:
  NodeNetwork() = default;
  std::vector<Node> nodes_;
  std::string bridge_;  // its namespace; empty where nothing was made
};

}  // namespace penstock::train
