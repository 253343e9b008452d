#include "penstock/core/random.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "penstock/core/check.h"

namespace penstock::core {
namespace {
std::uint64_t splitmix64(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
}  // namespace

RandomStream::RandomStream(std::uint64_t seed, std::string_view name) {
  std::uint64_t mixed = seed;
  // Scrambled before each character, so that seed 0 with "worker1" and seed 1 with "worker0"
  // differ.
  for (const char c : name) mixed = splitmix64(mixed) ^ static_cast<unsigned char>(c);
  for (std::uint64_t& word : state_) word = splitmix64(mixed);
}

std::uint64_t RandomStream::bits() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

double RandomStream::uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }

double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::uint64_t RandomStream::below(std::uint64_t bound) {
  PENSTOCK_CHECK(bound > 0u);
  const std::uint64_t limit = (0 - bound) % bound;  // the values that would be favoured
  for (;;) {
    const std::uint64_t value = bits();
    if (value >= limit) return value % bound;
  }
}

}  // namespace penstock::core
