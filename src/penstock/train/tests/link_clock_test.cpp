#include "penstock/train/link_clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace penstock::train {
namespace {

TEST(LinkClockTest, AMessageTakesItsBytesOverTheRateAndTheDelay) {
  LinkClock link({Bandwidth(1e9), Seconds(50e-6)});
  EXPECT_EQ(link.deliver(1000, 2000), 1000 + 2000 + 50'000);
}

TEST(LinkClockTest, AMessageWaitsForTheOneBeforeItButNotForItsDelay) {
  LinkClock link({Bandwidth(1e9), Seconds(50e-6)});
  link.deliver(0, 2000);
  EXPECT_EQ(link.deliver(500, 100), 2000 + 100 + 50'000);
  EXPECT_EQ(link.deliver(9000, 100), 9000 + 100 + 50'000);
}

TEST(LinkClockTest, WithoutALimitNothingTakesTime) {
  LinkClock link({});
  EXPECT_EQ(link.deliver(7, 1 << 30), 7);
}

// A ring all-reduce on simulated time: in each step every rank sends a part when it has received
// the one before.
double simulated_sum_s(int world, std::int64_t bytes, const LinkLimit& limit) {
  std::vector<LinkClock> from_previous(static_cast<std::size_t>(world), LinkClock(limit));
  std::vector<std::int64_t> ready(static_cast<std::size_t>(world), 0);
  for (int step = 0; step < 2 * (world - 1); ++step) {
    std::vector<std::int64_t> next(ready.size());
    for (std::size_t rank = 0; rank < ready.size(); ++rank) {
      const std::size_t previous = (rank + ready.size() - 1) % ready.size();
      next[rank] = from_previous[rank].deliver(ready[previous], bytes / world);
    }
    ready = next;
  }
  return static_cast<double>(*std::max_element(ready.begin(), ready.end())) * 1e-9;
}

TEST(LinkClockTest, SimulatedSumsGiveBackAlphaAndBetaOfTheLink) {
  for (const double rate : {1.25e7, 1.25e8, 1.25e9}) {
    for (const double delay : {5e-6, 50e-6, 5e-3}) {
      for (const int world : {2, 3, 4, 8}) {
        const LinkLimit limit = {Bandwidth(rate), Seconds(delay)};
        const std::int64_t small = 4 * world;
        const std::int64_t large = 1'000'000 * world;
        const double t_small = simulated_sum_s(world, small, limit);
        const double t_large = simulated_sum_s(world, large, limit);
        // t(S) = 2(n-1) alpha + 2(n-1)/n S/beta
        const double per_byte = (t_large - t_small) / static_cast<double>(large - small);
        const double beta = 2.0 * (world - 1) / world / per_byte;
        const double alpha =
            (t_small - per_byte * static_cast<double>(small)) / (2.0 * (world - 1));
        EXPECT_NEAR(alpha, delay, 0.02 * delay) << rate << " " << world;
        EXPECT_NEAR(beta, rate, 0.02 * rate) << delay << " " << world;
      }
    }
  }
}

}  // namespace
}  // namespace penstock::train
