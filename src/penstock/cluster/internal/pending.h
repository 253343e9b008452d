// Pending jobs, in lists of equal demand, queue and allowed tier: where the first of a list cannot
// start, none of it can, so that a walk over ten thousand waiting jobs looks at a few dozen.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "penstock/cluster/topology.h"

namespace penstock::cluster::internal {

struct PendingEntry {
  double key = 0;
  std::int64_t sequence = 0;
  std::int32_t job = 0;
  std::uint32_t version = 0;

  bool before(const PendingEntry& other) const {
    return key != other.key ? key < other.key : sequence < other.sequence;
  }
};

struct PendingList {
  std::int32_t accelerators = 0;
  Tier allowed = Tier::kNode;
  std::vector<PendingEntry> heap;  // the first in front; stale entries are dropped when reached
  std::vector<PendingEntry> unoffered;  // whose delay clock does not run yet, stale ones included
  std::int32_t live = 0;                // entries that are not stale
  bool failed = false;                  // in this walk

  static bool later(const PendingEntry& a, const PendingEntry& b) { return b.before(a); }
  void push(const PendingEntry& entry) {
    heap.push_back(entry);
    std::push_heap(heap.begin(), heap.end(), later);
  }
  void pop() {
    std::pop_heap(heap.begin(), heap.end(), later);
    heap.pop_back();
  }
};

}  // namespace penstock::cluster::internal
