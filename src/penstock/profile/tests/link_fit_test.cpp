#include "penstock/profile/link_fit.h"

#include <gmock/gmock.h>

#include <cmath>

#include "penstock/core/random.h"

namespace penstock::profile {
namespace {

std::vector<LinkPoint> points_of(const LinkModel& link, int ranks, double noise = 0) {
  core::RandomStream random(1, "noise");
  std::vector<LinkPoint> points;
  for (std::int64_t bytes = 8; bytes <= (64 << 20); bytes *= 2) {
    const double exact = ring_time(link, ranks, static_cast<double>(bytes));
    points.push_back({bytes, exact * (1 + noise * random.normal())});
  }
  return points;
}

TEST(LinkFitTest, RecoversLatencyAndBandwidthExactlyWithoutNoise) {
  const LinkModel link{50e-6, 1.25e9};
  for (const int ranks : {2, 3, 8}) {
    const auto fit = fit_link(points_of(link, ranks), ranks);
    ASSERT_TRUE(fit);
    EXPECT_NEAR(fit->model.alpha_s / link.alpha_s, 1, 1e-9);
    EXPECT_NEAR(fit->model.beta_bytes_per_s / link.beta_bytes_per_s, 1, 1e-9);
    EXPECT_LT(fit->worst_error, 1e-9);
  }
}

TEST(LinkFitTest, StaysWithinTwoPerCentUnderThreePerCentOfNoise) {
  const LinkModel link{500e-6, 125e6};
  const auto fit = fit_link(points_of(link, 2, 0.03), 2);
  ASSERT_TRUE(fit);
  EXPECT_NEAR(fit->model.alpha_s / link.alpha_s, 1, 0.02);
  EXPECT_NEAR(fit->model.beta_bytes_per_s / link.beta_bytes_per_s, 1, 0.02);
}

// A host that others use: every repetition is a little late, three in ten are much later, and four
// sizes are measured while somebody compiles.
std::vector<LinkPoint> points_of_busy_host(const LinkModel& link, int ranks, std::uint64_t seed) {
  constexpr int kRepetitions = 20;
  core::RandomStream random(seed, "busy host");
  const auto late = [&](double mean) { return -mean * std::log(1 - random.uniform()); };
  std::vector<LinkPoint> points;
  for (std::int64_t bytes = 8; bytes <= (64 << 20); bytes *= 2) {
    const double exact = ring_time(link, ranks, static_cast<double>(bytes));
    const bool is_compiling = points.size() % 6 == seed % 6;
    std::vector<double> times;
    for (int i = 0; i < kRepetitions; ++i) {
      double factor = 1 + late(0.01);
      if (random.uniform() < 0.3) factor += late(0.5);
      if (is_compiling) factor += 0.1 + late(0.2);
      times.push_back(exact * factor);
    }
    points.push_back({bytes, undisturbed_time(times)});
  }
  return points;
}

TEST(LinkFitTest, StaysWithinTwoPerCentOnAHostThatOthersUse) {
  const LinkModel link{500e-6, 125e6};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto fit = fit_link(points_of_busy_host(link, 2, seed), 2);
    ASSERT_TRUE(fit);
    EXPECT_NEAR(fit->model.alpha_s / link.alpha_s, 1, 0.02) << seed;
    EXPECT_NEAR(fit->model.beta_bytes_per_s / link.beta_bytes_per_s, 1, 0.02) << seed;
  }
}

TEST(LinkFitTest, ASizeFarOffTheLineMovesItLittle) {
  const LinkModel link{50e-6, 1.25e9};
  std::vector<LinkPoint> points = points_of(link, 2);
  points[3].time_s *= 2;
  points[20].time_s *= 2;
  const auto fit = fit_link(points, 2);
  ASSERT_TRUE(fit);
  EXPECT_NEAR(fit->model.alpha_s / link.alpha_s, 1, 1e-3);
  EXPECT_NEAR(fit->model.beta_bytes_per_s / link.beta_bytes_per_s, 1, 1e-3);
}

TEST(LinkFitTest, BusFactorsAreThoseOfNcclTests) {
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveKind::kAllReduce, 4), 1.5);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveKind::kAllGather, 4), 0.75);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveKind::kReduceScatter, 4), 0.75);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveKind::kAllToAll, 4), 0.75);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveKind::kBroadcast, 4), 1);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveKind::kSendReceive, 4), 1);
}

TEST(LinkFitTest, BusBandwidthOfALargeMessageIsTheLinksRate) {
  const LinkModel link{1e-6, 1e9};
  const LinkPoint point{1 << 30, ring_time(link, 8, 1 << 30)};
  EXPECT_NEAR(bus_bandwidth(point, CollectiveKind::kAllReduce, 8).value(), 1e9, 1e5);
}

TEST(LinkFitTest, JudgesAgainstTheCatalogue) {
  LinkFit fit;
  fit.model = {0, 1.19e9};
  EXPECT_TRUE(judge_link(fit, {}, 2, "10 GbE", Bandwidth(1.25e9)).normal);
  const LinkVerdict slow = judge_link(fit, {}, 2, "25 GbE", Bandwidth(3.125e9));
  EXPECT_FALSE(slow.normal);
  EXPECT_THAT(slow.text, testing::HasSubstr("38 % of the 3.125 GB/s that 25 GbE promises"));
}

TEST(LinkFitTest, JudgesTheLargestMessageWhereTheFitIsNoLine) {
  LinkFit fit;
  fit.model = {0, 3e9};  // small messages passed as a burst
  fit.median_error = 0.3;
  const LinkPoint largest{1 << 26, (1 << 26) / 1.2e9};
  const LinkVerdict verdict = judge_link(fit, largest, 2, "10 GbE", Bandwidth(1.25e9));
  EXPECT_NEAR(verdict.fraction, 0.96, 1e-9);
}

TEST(LinkFitTest, HoldsALatencyAtZeroThatNoiseWouldMakeNegative) {
  const auto fit = fit_link({{1000, 1e-3}, {2000, 3e-3}}, 2);
  ASSERT_TRUE(fit);
  EXPECT_DOUBLE_EQ(fit->model.alpha_s, 0);
}

TEST(LinkFitTest, RefusesWhatCannotTellLatencyFromBandwidth) {
  EXPECT_FALSE(fit_link({{8, 1e-3}, {8, 1e-3}}, 2));
  EXPECT_FALSE(fit_link({{8, 1e-3}, {1024, 1e-3}}, 1));
  EXPECT_THAT(fit_link({{8, 2e-3}, {1024, 1e-4}}, 2).error().text(),
              testing::HasSubstr("larger messages took no longer"));
}

}  // namespace
}  // namespace penstock::profile
