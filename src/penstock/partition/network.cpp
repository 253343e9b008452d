#include "penstock/partition/network.h"

#include <algorithm>

namespace penstock::partition {

bool Network::is_chain() const {
  return std::all_of(nodes.begin(), nodes.end(),
                     [](const Node& node) {
                       return node.in_edges.size() <= 1 && node.out_edges.size() <= 1;
                     }) &&
         edges.size() + 1 == nodes.size();
}

}  // namespace penstock::partition
