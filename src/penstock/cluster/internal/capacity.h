// Which accelerators are free, and the densest way to give some of them to a job.
#pragma once

#include <cstdint>
#include <vector>

#include "penstock/cluster/speed.h"
#include "penstock/cluster/topology.h"

namespace penstock::cluster::internal {

class Capacity {
 public:
  // `whole_nodes`: a job larger than a node takes only nodes that are free as a whole.
  Capacity(const Topology& cluster, bool whole_nodes);

  int free() const { return free_; }
  int free_on(std::int32_t node) const { return nodes_[std::size_t(node)]; }
  void take(const Placement& placement);
  void give(const Placement& placement);
  // A node that is down has nothing free; what its jobs held comes back with it.
  void set_down(std::int32_t node, bool down);
  bool down(std::int32_t node) const { return down_[std::size_t(node)]; }
  // Hides what is free on a node from find(), but for its owner; -1: none.
  void reserve(std::int32_t node) { reserved_ = node; }
  std::int32_t reserved() const { return reserved_; }

  // The node with the least free that is enough; -1: none. Equal ones by index.
  std::int32_t best_node(int accelerators) const;
  // Likewise of racks.
  std::int32_t best_rack(int accelerators) const;
  // Exactly within the tier; false: not so many free. Within a rack the fewest nodes, the last one
  // the fullest that fits; over the network the fewest racks.
  bool find(int accelerators, Tier tier, Placement& placement) const;
  // Equal parts on `parts` nodes, of one rack (the first that can) or of any. False: not possible.
  bool find_even(int accelerators, int parts, Tier tier, Placement& placement) const;

  const Topology& cluster() const { return cluster_; }
  std::int32_t rack_begin(std::int32_t rack) const { return rack_begin_[std::size_t(rack)]; }
  std::int32_t racks() const { return std::int32_t(rack_begin_.size()) - 1; }
  // What a job of so many accelerators may take of a node, and of a rack.
  int open_on(std::int32_t node, int accelerators) const;
  int open_in_rack(std::int32_t rack, int accelerators) const;
  bool wants_whole_nodes(int accelerators) const { return whole_nodes_ && accelerators > largest_; }

 private:
  void change(std::int32_t node, int by);
  // `part` of the job's accelerators.
  void fill_from_rack(std::int32_t rack, int part, int accelerators, Placement& placement) const;

  const Topology& cluster_;
  bool whole_nodes_;
  int largest_;                          // accelerators of the largest node
  std::vector<std::int32_t> nodes_;      // free
  std::vector<std::int32_t> held_down_;  // given back while down
  std::vector<char> down_;
  std::vector<std::int32_t> racks_;       // free
  std::vector<std::int32_t> rack_begin_;  // first node of each rack, and the end
  // by_free_[f]: the nodes with exactly f free, one bit each
  std::vector<std::vector<std::uint64_t>> by_free_;
  std::vector<std::int32_t> count_by_free_;
  int free_ = 0;
  std::int32_t reserved_ = -1;
};

}  // namespace penstock::cluster::internal
