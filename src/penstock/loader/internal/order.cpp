#include "penstock/loader/internal/order.h"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "penstock/core/random.h"

namespace penstock::loader {

SampleOrder::SampleOrder(std::int64_t samples, std::uint64_t seed, int rank, int world)
    : samples_(samples), seed_(seed), rank_(rank), world_(world), per_epoch_(samples / world) {}

void SampleOrder::shuffle() {
  permutation_.resize(static_cast<std::size_t>(samples_));
  std::iota(permutation_.begin(), permutation_.end(), 0U);
  core::RandomStream random(seed_, fmt::format("order {}", stream_ / per_epoch_));
  for (std::size_t i = permutation_.size(); i > 1; --i) {
    std::swap(permutation_[i - 1], permutation_[random.below(i)]);
  }
}

Ticket SampleOrder::next() {
  const std::int64_t at = stream_ % per_epoch_;
  if (at == 0) shuffle();
  const auto place = static_cast<std::size_t>(at * world_ + rank_);
  const Ticket ticket = {stream_, stream_ / per_epoch_, permutation_[place]};
  ++stream_;
  return ticket;
}

std::int64_t replacement_for(const Ticket& ticket, std::uint64_t seed, int attempt,
                             std::int64_t samples) {
  core::RandomStream random(
      seed, fmt::format("replacement {} {} {}", ticket.epoch, ticket.sample, attempt));
  return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(samples)));
}

}  // namespace penstock::loader
