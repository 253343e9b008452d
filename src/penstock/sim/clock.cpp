#include "penstock/sim/clock.h"

#include <cmath>

namespace penstock::sim {

Time duration_of(Seconds seconds) {
  // Half of what 64 bits hold, so that one more addition does not overflow.
  constexpr double kLongest = 4.6e18;
  const double ns = std::ceil(seconds.value() * 1e9);
  return {ns < kLongest ? static_cast<std::int64_t>(ns) : static_cast<std::int64_t>(kLongest)};
}

Seconds seconds_of(Time time) { return Seconds(static_cast<double>(time.ns) * 1e-9); }

}  // namespace penstock::sim
