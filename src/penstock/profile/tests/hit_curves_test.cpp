#include "penstock/profile/hit_curves.h"

#include <gmock/gmock.h>

#include <cmath>

namespace penstock::profile {
namespace {

int cached(double fraction) { return static_cast<int>(std::lround(4000 * fraction)); }

TEST(HitCurvesTest, SimulatedLruIsWithinOnePerCentOfTheClosedForm) {
  for (const double x : {0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9}) {
    EXPECT_NEAR(simulated_hit_ratio(CachePolicy::kLru, cached(x), {}), lru_hit_ratio(x), 0.01) << x;
  }
}

TEST(HitCurvesTest, AnLruEpochHitsAtItsBeginningAsSimulated) {
  for (const double x : {0.2, 0.5, 0.8}) {
    const std::vector<double> form = hit_profile(CachePolicy::kLru, x, 10);
    const std::vector<double> simulated =
        simulated_hit_profile(CachePolicy::kLru, cached(x), 10, {.epochs = 23});
    double mean = 0;
    for (std::size_t i = 0; i < form.size(); ++i) {
      EXPECT_NEAR(form[i], simulated[i], 0.02) << x << " at " << i;
      mean += form[i] / 10;
    }
    EXPECT_NEAR(mean, lru_hit_ratio(x), 1e-12);
  }
}

TEST(HitCurvesTest, MinioHitsExactlyWhatItHolds) {
  for (const int items : {0, 1, 777, 2000, 4000}) {
    EXPECT_DOUBLE_EQ(simulated_hit_ratio(CachePolicy::kMinio, items, {}), items / 4000.0);
  }
  EXPECT_DOUBLE_EQ(hit_ratio(CachePolicy::kMinio, 0.35), 0.35);
}

TEST(HitCurvesTest, FifoAndRandomEvictionAgreeWithAnIndependentSimulation) {
  // Room page "profiling", 2.4: 4000 items, made in another language.
  const struct {
    double x, fifo, random;
  } kTable[] = {
      {0.20, 0.023, 0.046}, {0.35, 0.081, 0.141}, {0.50, 0.191, 0.284}, {0.65, 0.400, 0.464}};
  for (const auto& row : kTable) {
    EXPECT_NEAR(simulated_hit_ratio(CachePolicy::kFifo, cached(row.x), {}), row.fifo, 0.012);
    EXPECT_NEAR(simulated_hit_ratio(CachePolicy::kRandom, cached(row.x), {}), row.random, 0.012);
  }
}

TEST(HitCurvesTest, ThePageCacheComesOutAsMeasuredOnLinux) {
  // Room page "profiling", 2.4: a file of 1 GiB read at random in 128 KiB under a memory limit.
  // The limit also holds what the group needs besides pages, so that somewhat less fits.
  constexpr double kOther = 0.02;
  EXPECT_NEAR(hit_ratio(CachePolicy::kPageCache, 0.375 - kOther), 0.125, 0.03);
  EXPECT_NEAR(hit_ratio(CachePolicy::kPageCache, 0.625 - kOther), 0.33, 0.04);
  EXPECT_NEAR(hit_ratio(CachePolicy::kPageCache, 0.875 - kOther), 0.685, 0.04);
}

TEST(HitCurvesSlowTest, ThePageCacheOfThisMachineLiesBetweenLruAndNoEviction) {
  // The kernel's active list grows over some epochs and then falls back (seen on Linux 6.18: 0.26,
  // 0.42, 0.51, 0.57, 0.59, 0.57, 0.30 at 0.625), so that single epochs lie far apart.
  const auto measured = measure_page_cache(
      {.folder = testing::TempDir(), .file_bytes = 128 << 20, .fractions = {0.375, 0.625, 0.875}});
  if (!measured) GTEST_SKIP() << measured.error().text();
  for (const PageCacheMeasurement& m : *measured) {
    EXPECT_GT(m.hits, lru_hit_ratio(m.fraction) - 0.05) << m.fraction;
    EXPECT_LT(m.hits, m.fraction + 0.05) << m.fraction;
  }
}

TEST(HitCurvesTest, EveryPolicyRisesFromNothingToAll) {
  for (const CachePolicy policy : {CachePolicy::kMinio, CachePolicy::kLru, CachePolicy::kFifo,
                                   CachePolicy::kRandom, CachePolicy::kPageCache}) {
    double last = 0;
    for (const double x : {0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0}) {
      const double hits = hit_ratio(policy, x);
      EXPECT_GE(hits, last) << cache_policy_name(policy) << " at " << x;
      EXPECT_LE(hits, x + 1e-12) << cache_policy_name(policy)
                                 << " beats the policy without eviction";
      last = hits;
    }
    EXPECT_DOUBLE_EQ(last, 1);
    EXPECT_EQ(cache_policy_from_name(cache_policy_name(policy)).value(), policy);
  }
  EXPECT_DOUBLE_EQ(hit_ratio(CachePolicy::kNone, 0.9), 0);
}

TEST(HitCurvesTest, AnUnknownPolicyIsAnErrorThatListsTheKnownOnes) {
  EXPECT_THAT(cache_policy_from_name("arc").error().text(), testing::HasSubstr("none, minio, lru"));
}

}  // namespace
}  // namespace penstock::profile
