#include "penstock/partition/ratio.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "penstock/core/random.h"

namespace penstock::partition {
namespace {

// FC 4096 x 4096 at batch 512 in two-byte elements (room page 1.6).
constexpr double kWork = 6.0 * 512 * 4096 * 4096;
constexpr double kWeights = 2.0 * 4096 * 4096;
constexpr double kTensor = 2.0 * 512 * 4096;
const Party kSlow{FlopRate(180e12), Bandwidth(1e12)};
const Party kFast{FlopRate(420e12), Bandwidth(2e12)};

TEST(RatioTest, GivesTheInteriorValuesOfTheRoomPage) {
  const Ratio batch = best_ratio({Flop(kWork), Bytes(kWeights), {}, {}}, kSlow, kFast, 0);
  EXPECT_NEAR(batch.share, 0.258984375, 1e-9);
  EXPECT_NEAR(batch.time.value(), 1.077097267e-4, 1e-12);
  const Ratio in = best_ratio({Flop(kWork), Bytes(kTensor), {}, {}}, kSlow, kFast, 0);
  EXPECT_NEAR(in.share, 0.294873047, 1e-9);
  EXPECT_NEAR(in.time.value(), 8.862564352e-5, 1e-13);
}

TEST(RatioTest, EqualPartiesShareInHalves) {
  EXPECT_EQ(best_ratio({Flop(1e12), Bytes(1e6), Bytes(3e6), Bytes(5e6)}, kSlow, kSlow, 0).share,
            0.5);
}

TEST(RatioTest, ComputeAloneIsSharedBySpeed) {
  EXPECT_NEAR(best_ratio({Flop(1e12), {}, {}, {}}, kSlow, kFast, 0).share, 0.3, 1e-12);
}

TEST(RatioTest, StaysAtTheBorderWhereTheBalanceLiesOutside) {
  const Party slow{FlopRate(180e12), Bandwidth(1e9)};
  const Party fast{FlopRate(420e12), Bandwidth(2e9)};
  EXPECT_EQ(best_ratio({Flop(kWork), Bytes(kWeights), {}, {}}, slow, fast, 0.001).share, 0.001);
}

TEST(RatioTest, NeverLosesToAFineGridOfShares) {
  core::RandomStream random(3, "ratio");
  for (int trial = 0; trial < 500; ++trial) {
    const SharedCost cost{Flop(1e12 * random.uniform()), Bytes(1e8 * random.uniform()),
                          Bytes(1e8 * random.uniform() * static_cast<double>(random.below(2))),
                          Bytes(1e8 * random.uniform() * static_cast<double>(random.below(2)))};
    const Party first{FlopRate(1e13 * (0.1 + random.uniform())),
                      Bandwidth(1e9 * (0.1 + random.uniform()))};
    const Party second{FlopRate(1e13 * (0.1 + random.uniform())),
                       Bandwidth(1e9 * (0.1 + random.uniform()))};
    const Ratio best = best_ratio(cost, first, second, 0.001);
    EXPECT_GE(best.share, 0.001);
    EXPECT_LE(best.share, 0.999);
    for (int i = 1; i < 1000; ++i) {
      const double a = i / 1000.0;
      const Seconds t = std::max(time_of(cost, a, first), time_of(cost, 1 - a, second));
      EXPECT_LE(best.time.value(), t.value() * (1 + 1e-12));
    }
  }
}

}  // namespace
}  // namespace penstock::partition
