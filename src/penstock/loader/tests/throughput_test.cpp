#include "penstock/loader/throughput.h"

#include <gtest/gtest.h>

#include <cmath>

namespace penstock::loader {
namespace {

TEST(ThroughputTest, ASharpKneeIsRecoveredFromThreeProbes) {
  // Two milliseconds a sample, and nothing faster than 1200 samples/s.
  const auto curve = fit_curve({{1, 500}, {2, 1000}, {4, 1200}});
  ASSERT_TRUE(curve);
  for (const int n : {1, 2, 4}) {
    EXPECT_NEAR(curve->rate(n), std::min(500.0 * n, 1200.0), 0.01 * std::min(500.0 * n, 1200.0));
  }
  EXPECT_NEAR(curve->ceiling, 1200, 12);
  EXPECT_NEAR(curve->sample_time.value(), 0.002, 0.00002);
  ASSERT_EQ(curve->residuals.size(), 3u);
  for (const double residual : curve->residuals) EXPECT_LT(std::abs(residual), 0.01);
}

TEST(ThroughputTest, ASoftKneeIsRecoveredExactlyWhereTheFamilyHoldsIt) {
  WorkerCurve truth;
  truth.sample_time = Seconds(0.003);
  truth.ceiling = 900;
  for (const double sharpness : {1.0, 2.0, 4.0, 8.0}) {
    truth.sharpness = sharpness;
    const auto curve =
        fit_curve({{1, truth.rate(1)}, {2, truth.rate(2)}, {3, truth.rate(3)}, {6, truth.rate(6)}});
    ASSERT_TRUE(curve);
    EXPECT_EQ(curve->sharpness, sharpness);
    EXPECT_NEAR(curve->ceiling, truth.ceiling, 1e-3);
    EXPECT_NEAR(curve->sample_time.value(), truth.sample_time.value(), 1e-8);
  }
}

TEST(ThroughputTest, ProbesInAStraightLineShowNoCeiling) {
  const auto curve = fit_curve({{1, 100}, {2, 200}, {3, 300}});
  ASSERT_TRUE(curve);
  EXPECT_NEAR(curve->rate(30), 3000, 1);
}

TEST(ThroughputTest, TheCurveIsIncreasingConcaveAndBelowBothItsLimits) {
  WorkerCurve curve;
  curve.sample_time = Seconds(0.01);
  curve.ceiling = 450;
  for (const double sharpness : {1.0, 1.5, 3.0, 32.0}) {
    curve.sharpness = sharpness;
    double gain = 1e18;
    for (int n = 1; n < 20; ++n) {
      EXPECT_LE(curve.rate(n), std::min(100.0 * n, 450.0));
      const double next = curve.rate(n + 1) - curve.rate(n);
      EXPECT_GE(next, 0);
      EXPECT_LE(next, gain + 1e-9);
      gain = next;
    }
  }
}

TEST(ThroughputTest, ResidualsTellAFitThatCannotBe) {
  // Twice the workers, half the rate: no curve of the family falls.
  const auto curve = fit_curve({{1, 400}, {2, 200}});
  ASSERT_TRUE(curve);
  EXPECT_GT(std::abs(curve->residuals[0]), 0.2);
}

TEST(ThroughputTest, ProbesThatSawNothingAreRefused) {
  EXPECT_FALSE(fit_curve({}));
  EXPECT_FALSE(fit_curve({{0, 100}}));
  EXPECT_FALSE(fit_curve({{1, 0}}));
}

JobModel model() {
  JobModel job;
  job.name = "a";
  job.accelerators = 2;
  job.batch = 50;
  job.step = Seconds(0.1);
  job.cpu_per_sample = Seconds(0.004);
  job.bytes_per_sample = Bytes(100e3);
  job.hit_ratio = 0.5;
  job.curve.sample_time = Seconds(0.005);
  return job;
}

TEST(ThroughputTest, TheFullRateIsOneBatchForEachAcceleratorInAStep) {
  EXPECT_DOUBLE_EQ(model().full_rate(), 1000);
  // 5 ms a sample: five workers make 1000 samples/s, and 1 % below that counts as reached.
  EXPECT_EQ(model().workers_for_full_rate(), 5);
  JobModel bound = model();
  bound.curve.ceiling = 900;
  EXPECT_EQ(bound.workers_for_full_rate(), 0);
}

TEST(ThroughputTest, TheSmallestOfWorkersCoresStorageAndAcceleratorsBinds) {
  const JobModel job = model();
  const Bandwidth plenty(1e12);
  EXPECT_DOUBLE_EQ(job.rate(3, 100, plenty), 600);           // 3 / 5 ms
  EXPECT_DOUBLE_EQ(job.rate(3, 2, plenty), 500);             // 2 cores / 4 ms
  EXPECT_DOUBLE_EQ(job.rate(3, 100, Bandwidth(10e6)), 200);  // 10 MB/s / 50 kB missed
  EXPECT_DOUBLE_EQ(job.rate(30, 100, plenty), 1000);
  EXPECT_DOUBLE_EQ(job.loader_rate(30, 100, plenty), 6000);
  EXPECT_DOUBLE_EQ(job.idle_fraction(250), 0.75);
}

}  // namespace
}  // namespace penstock::loader
