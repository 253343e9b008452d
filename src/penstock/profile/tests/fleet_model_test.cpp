#include "penstock/profile/fleet_model.h"

#include <gmock/gmock.h>

#include <cmath>

namespace penstock::profile {
namespace {

using hardware::Catalog;
using hardware::Instance;

// A device of 10 TFLOP/s; boxes of 4 and of 8 over a link of 10 GB/s and a network of 1 GB/s.
Catalog small_catalog() {
  Catalog catalog;
  hardware::Accelerator device;
  device.name = "X";
  device.peak["fp32"] = FlopRate(10e12);
  catalog.accelerators = {device};
  hardware::Link link;
  link.name = "bus";
  link.bandwidth = Bandwidth(10e9);
  catalog.links = {link};
  Instance four;
  four.name = "four";
  four.accelerator = "X";
  four.accelerators = 4;
  four.link = "bus";
  four.vcpus = 32;
  four.memory = Bytes(200e9);
  four.network = Bandwidth(1e9);
  four.storage = Bandwidth(1e9);
  four.on_demand = Price(12.0 / 3600);
  Instance eight = four;
  eight.name = "eight";
  eight.accelerators = 8;
  eight.vcpus = 64;
  eight.on_demand = four.on_demand * 2;
  catalog.instances = {eight, four};
  return catalog;
}

MeasuredJob measured() {
  MeasuredJob job;
  job.model = "net";
  job.accelerator = "cpu";
  job.batch = 32;
  job.step_s = job.single_step_s = 1;
  job.gradient_bytes = std::vector<std::int64_t>(50, 2 << 20);
  job.macs_per_sample = 4e9;
  job.prep_cores = 2;
  job.prep_rate = 1000;
  job.sample_bytes = 1e5;
  return job;
}

FleetJob wanted() {
  FleetJob job;
  job.samples = 1e6;
  job.epochs = 10;
  job.efficiency = 0.5;
  return job;
}

TEST(FleetModelTest, ComputesWhatWasNotMeasuredFromOperationsOverPeak) {
  const Catalog catalog = small_catalog();
  const FleetStep step = predict_on(measured(), wanted(), catalog.instances[0], 1, catalog);
  ASSERT_TRUE(step.runs) << step.refusal;
  EXPECT_FALSE(step.measured);
  EXPECT_NEAR(step.compute_s, 6 * 4e9 * 32 / 5e12, 1e-12);
  EXPECT_DOUBLE_EQ(step.relative_error, 0.1);
}

TEST(FleetModelTest, MeasuredRatesReplaceComputedOnes) {
  const Catalog catalog = small_catalog();
  MeasuredJob job = measured();
  job.accelerator = "X";
  job.single_step_s = 0.2;
  job.step_error = 0.01;
  const FleetStep step = predict_on(job, wanted(), catalog.instances[0], 1, catalog);
  EXPECT_TRUE(step.measured);
  EXPECT_DOUBLE_EQ(step.compute_s, 0.2);
  EXPECT_DOUBLE_EQ(step.relative_error, 0.01);
}

TEST(FleetModelTest, TheFirstEpochIsColdAndTheOthersHitWhatMemoryHolds) {
  const Catalog catalog = small_catalog();
  FleetJob job = wanted();
  job.dataset_bytes = 320e9;  // half of it fits into 0.8 of 200 GB
  job.policy = CachePolicy::kLru;
  MeasuredJob slow_disk = measured();
  slow_disk.sample_bytes = 320e9 / 1e6;
  const FleetStep step = predict_on(slow_disk, job, catalog.instances[1], 1, catalog);
  ASSERT_TRUE(step.runs);
  EXPECT_NEAR(step.hits, lru_hit_ratio(0.5), 1e-12);
  const double cold = 128 * 320e3 / 1e9;
  EXPECT_NEAR(step.cold_step_s, std::max(cold, step.compute_s + step.interconnect_s), 1e-12);
  EXPECT_NEAR(step.fetch_s, cold * (1 - lru_hit_ratio(0.5)), 1e-12);
  const double steps = std::ceil(1e6 / 128);
  EXPECT_NEAR(step.time.value(), steps * (step.cold_step_s + 9 * step.steady_step_s), 1e-6);
}

TEST(FleetModelTest, TwoNodesAtTheSamePriceOnlyAddNetworkStall) {
  const Catalog catalog = small_catalog();
  const FleetStep one = predict_on(measured(), wanted(), catalog.instances[0], 1, catalog);
  const FleetStep two = predict_on(measured(), wanted(), catalog.instances[1], 2, catalog);
  ASSERT_TRUE(two.runs);
  EXPECT_GT(two.network_s, 0);
  EXPECT_DOUBLE_EQ(one.network_s, 0);
  EXPECT_GT(two.time, one.time);
}

TEST(FleetModelTest, FewCoresBindInPrep) {
  Catalog catalog = small_catalog();
  catalog.instances[0].vcpus = 2;
  const FleetStep step = predict_on(measured(), wanted(), catalog.instances[0], 1, catalog);
  EXPECT_EQ(step.binds, "prep");
  EXPECT_NEAR(step.steady_step_s, 256 * 0.002 / 2, 1e-12);
}

TEST(FleetModelTest, ProbabilityAndConfidenceAreInverse) {
  FleetStep step;
  step.runs = true;
  step.time = Seconds(100);
  step.relative_error = 0.1;
  EXPECT_NEAR(probability_within(step, Seconds(100)), 0.5, 1e-12);
  EXPECT_NEAR(probability_within(step, Seconds(119.6)), 0.975, 1e-4);
  for (const double confidence : {0.5, 0.9, 0.99}) {
    EXPECT_NEAR(probability_within(step, time_with_confidence(step, confidence)), confidence, 1e-9);
  }
}

TEST(FleetModelTest, SaysWhyAnInstanceIsLeftOut) {
  Catalog catalog = small_catalog();
  catalog.instances[1].network = Bandwidth(0);
  EXPECT_EQ(predict_on(measured(), wanted(), catalog.instances[1], 2, catalog).refusal,
            "its network is not known");
  MeasuredJob no_graph = measured();
  no_graph.macs_per_sample = 0;
  EXPECT_FALSE(predict_on(no_graph, wanted(), catalog.instances[0], 1, catalog).runs);
}

}  // namespace
}  // namespace penstock::profile
