// Random streams split from one seed by name, so that a new consumer moves no other one.
//
//   RandomStream arrivals(seed, "arrivals");
//   const double u = arrivals.uniform();
#pragma once

#include <cstdint>
#include <string_view>

namespace penstock::core {

// xoshiro256** (Blackman and Vigna), seeded by splitmix64 over the seed and the name. The same
// numbers on every machine: no standard-library distribution is involved.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::string_view name);
  std::uint64_t bits();
  double uniform();                          // in [0, 1)
  double normal();                           // mean 0, variance 1
  std::uint64_t below(std::uint64_t bound);  // in [0, bound), unbiased; bound > 0

 private:
  std::uint64_t state_[4];
};

}  // namespace penstock::core
