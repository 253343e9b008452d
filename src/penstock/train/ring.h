// Sums over ranks by a ring of TCP connections: reduce-scatter, then all-gather.
//
//   PENSTOCK_TRY(const std::unique_ptr<Collective> ring, connect_ring(ring_options(job)));
//   const std::int64_t ticket = ring->start_sum(gradient.data(), gradient.size());
//   ... more of the backward pass ...
//   PENSTOCK_TRY_STATUS(ring->wait(ticket));
//
// A sum of S bytes over n ranks takes 2(n-1) steps. In each, a rank sends one of n parts, as equal
// as whole floats go, and receives another (Patarasuk and Yuan, "Bandwidth optimal all-reduce
// algorithms for clusters of workstations", 2009). Part p is added up from rank p onwards, so the
// result has the same bits on every rank and in every run.
//
// Links between nodes may be limited in the process (LinkLimit): with every link limited to `rate`
// and `delay`, a sum takes 2(n-1) (delay + S/(n rate)). That needs no root, but ranks on one
// machine, whose monotonic clock they share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/train/collective.h"
#include "penstock/train/job.h"

namespace penstock::train {

struct RingOptions {
  int rank = 0;
  int world = 1;
  // A path, fresh for each run, beside which every rank leaves a file with its address until all
  // have met; or "tcp:HOST:PORT", where rank 0 listens.
  std::string rendezvous;
  std::string interface;          // empty: loopback, or the way to HOST
  std::vector<int> node_of_rank;  // empty: `limit` holds for every link
  LinkLimit limit;
  // For a byte of a peer, while a sum is under way; or three times the longest that this rank
  // itself has been busy between two sums, if that is more.
  Seconds patience{45};
  Seconds start_patience{120};  // until all ranks have met
};

RingOptions ring_options(const Job& job);

// Returns when all ranks have met.
Result<std::unique_ptr<Collective>> connect_ring(const RingOptions& options);

}  // namespace penstock::train
