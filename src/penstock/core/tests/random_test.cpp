#include "penstock/core/random.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <set>
#include <string>

namespace penstock::core {
namespace {

// xoshiro256** over splitmix64(0): the vector that the authors' C code gives, as printed in the
// documentation of several other implementations.
TEST(RandomStreamTest, MatchesThePublishedGeneratorWithoutAName) {
  RandomStream stream(0, "");
  EXPECT_EQ(stream.bits(), 0x99ec5f36cb75f2b4u);
  EXPECT_EQ(stream.bits(), 0xbf6e1f784956452au);
  EXPECT_EQ(stream.bits(), 0x1a5f849d4933e6e0u);
}

// From an independent implementation in Python with unbounded integers.
TEST(RandomStreamTest, GivesTheSameNumbersOnEveryMachine) {
  RandomStream stream(42, "arrivals");
  EXPECT_EQ(stream.bits(), 0x692d2b2124430167u);
  EXPECT_EQ(stream.bits(), 0xb2a645b44e594dcau);
  EXPECT_EQ(stream.bits(), 0x1e51d54448dc6804u);
  EXPECT_EQ(stream.bits(), 0xd4a4ffd76b614206u);
}

TEST(RandomStreamTest, SplitsByNameAndSeedWithoutACollision) {
  std::set<std::uint64_t> first;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    for (int i = 0; i < 50; ++i) {
      first.insert(RandomStream(seed, "worker" + std::to_string(i)).bits());
    }
  }
  EXPECT_EQ(first.size(), 200u * 50u);
}

TEST(RandomStreamTest, DrawsUniformNumbersWithTheRightMeanAndSpread) {
  RandomStream stream(1, "uniform");
  constexpr int kDraws = 1000000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double u = stream.uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    squares += u * u;
  }
  // Five standard errors of the mean (sqrt(1/12/n)) and of the second moment (sqrt(4/45/n)).
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * std::sqrt(1.0 / 12 / kDraws));
  EXPECT_NEAR(squares / kDraws, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / kDraws));
}

TEST(RandomStreamTest, DrawsNormalNumbersWithTheRightMoments) {
  RandomStream stream(1, "normal");
  constexpr int kDraws = 400000;
  std::array<double, 5> moment = {};
  for (int i = 0; i < kDraws; ++i) {
    const double x = stream.normal();
    double power = 1;
    for (double& m : moment) m += (power *= x) / kDraws;
  }
  // Moments of N(0, 1) are 0, 1, 0, 3, 0; the variance of x^k is (2k-1)!! less the square.
  EXPECT_NEAR(moment[0], 0, 5 * std::sqrt(1.0 / kDraws));
  EXPECT_NEAR(moment[1], 1, 5 * std::sqrt(2.0 / kDraws));
  EXPECT_NEAR(moment[2], 0, 5 * std::sqrt(15.0 / kDraws));
  EXPECT_NEAR(moment[3], 3, 5 * std::sqrt(96.0 / kDraws));
  EXPECT_NEAR(moment[4], 0, 5 * std::sqrt(945.0 / kDraws));
}

TEST(RandomStreamTest, DrawsEveryValueBelowABoundEquallyOften) {
  RandomStream stream(1, "dice");
  constexpr int kDraws = 60000;
  std::array<int, 6> count = {};
  for (int i = 0; i < kDraws; ++i) ++count.at(stream.below(6));
  double chi_squared = 0;
  for (const int n : count) chi_squared += (n - 10000.0) * (n - 10000.0) / 10000.0;
  EXPECT_LT(chi_squared, 25.7);  // 5 degrees of freedom, p = 0.0001
  EXPECT_EQ(stream.below(1), 0u);
}

}  // namespace
}  // namespace penstock::core
