// Which sample comes when: a stream over epochs, each a permutation of the data of its own.
#pragma once

#include <cstdint>
#include <vector>

namespace penstock::loader {

struct Ticket {
  std::int64_t stream = 0;  // position in all epochs of this rank, from 0
  std::int64_t epoch = 0;
  std::int64_t sample = 0;
};

class SampleOrder {
 public:
  SampleOrder(std::int64_t samples, std::uint64_t seed, int rank, int world);
  std::int64_t per_epoch() const { return per_epoch_; }  // of this rank
  // The next ticket; draws a permutation at the start of each epoch.
  Ticket next();

 private:
  void shuffle();

  std::int64_t samples_;
  std::uint64_t seed_;
  int rank_;
  int world_;
  std::int64_t per_epoch_;
  std::int64_t stream_ = 0;
  std::vector<std::uint32_t> permutation_;
};

// The sample that stands in for a bad one, from (seed, epoch, sample, attempt) alone.
std::int64_t replacement_for(const Ticket& ticket, std::uint64_t seed, int attempt,
                             std::int64_t samples);

}  // namespace penstock::loader
