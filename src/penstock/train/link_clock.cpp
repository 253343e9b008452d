#include "penstock/train/link_clock.h"

#include <algorithm>
#include <cmath>

namespace penstock::train {

std::int64_t LinkClock::deliver(std::int64_t ready_ns, std::int64_t bytes) {
  const double rate = limit_.rate.value();
  const double holds_ns = rate > 0 ? static_cast<double>(bytes) / rate * 1e9 : 0;
  free_ns_ = std::max(ready_ns, free_ns_) + std::llround(holds_ns);
  return free_ns_ + std::llround(limit_.delay.value() * 1e9);
}

}  // namespace penstock::train
