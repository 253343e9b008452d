// How the ranks of a ring find each other.
#pragma once

#include <cstdint>
#include <string>

#include "penstock/core/result.h"
#include "penstock/train/internal/tcp.h"
#include "penstock/train/ring.h"

namespace penstock::train::internal {

struct Peer {
  int rank = 0;
  std::int64_t pid = 0;
};
// "rank 1 (pid 4711)".
std::string to_text(const Peer& peer);

// A rank's two connections; bytes go one way around the ring.
struct Neighbours {
  Socket to_next;
  Socket from_previous;
  Peer next;
  Peer previous;
};

Result<Neighbours> meet(const RingOptions& options);

}  // namespace penstock::train::internal
