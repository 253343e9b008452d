// The sum over all ranks of a gradient: the seam between the step loop and a transport.
//
// Implemented by the ring over TCP (train/ring.h) and by libtorch's process groups (train/worker/).
#pragma once

#include <cstddef>
#include <cstdint>

#include "penstock/core/result.h"

namespace penstock::train {

class Collective {
 public:
  virtual ~Collective() = default;
  // Starts the sum over all ranks, in place; `data` stays the caller's and must not be touched
  // until wait(). Every rank starts the same sums in the same order; they run one after another in
  // the background. Returns a ticket, increasing.
  virtual std::int64_t start_sum(float* data, std::size_t count) = 0;
  // Returns when that sum is done. Fails where a peer has died or hangs.
  virtual Status wait(std::int64_t ticket) = 0;
  virtual Status barrier() = 0;
  // Payload that this rank has sent and received so far, without protocol headers. A ring
  // all-reduce of S bytes over n ranks: 2(n-1)/n S each way where n divides the count.
  virtual std::int64_t sent_bytes() const = 0;
  virtual std::int64_t received_bytes() const = 0;
};

}  // namespace penstock::train
