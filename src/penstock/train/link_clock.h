// A limited link as arithmetic, without a clock of its own: the ring sleeps until the times that it
// gives, and tests run it on simulated time.
//
//   LinkClock link({.rate = Bandwidth(1.25e9), .delay = Seconds(50e-6)});
//   const std::int64_t arrival_ns = link.deliver(ready_ns, bytes);
//
// Messages go one after another: one that is ready at t leaves at max(t, link free), holds the link
// for bytes/rate, and has wholly arrived one delay later.
#pragma once

#include <cstdint>

#include "penstock/train/job.h"

namespace penstock::train {

class LinkClock {
 public:
  explicit LinkClock(const LinkLimit& limit) : limit_(limit) {}
  // Times in nanoseconds of any one clock; calls in the order of sending.
  std::int64_t deliver(std::int64_t ready_ns, std::int64_t bytes);

 private:
  LinkLimit limit_;
  std::int64_t free_ns_ = 0;
};

}  // namespace penstock::train
