// Simulated time: a whole number of nanoseconds, so that sums are exact and runs repeat.
//
//   const Time finish = now + duration_of(Seconds(work / rate));
#pragma once

#include <compare>
#include <cstdint>

#include "penstock/core/quantity.h"

namespace penstock::sim {

// Nanoseconds since the start of the simulation, or between two moments of it.
struct Time {
  std::int64_t ns = 0;

  constexpr auto operator<=>(const Time&) const = default;
  constexpr Time operator+(Time other) const { return {ns + other.ns}; }
  constexpr Time operator-(Time other) const { return {ns - other.ns}; }
};

// Rounded up, so that work which takes any time ends later than it began. Times past 146 years are
// that long: a rate near zero gives an end that is never reached, not one that overflows.
Time duration_of(Seconds seconds);
Seconds seconds_of(Time time);

}  // namespace penstock::sim
