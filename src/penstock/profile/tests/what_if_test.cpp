#include "penstock/profile/what_if.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "penstock/profile/tests/simulated_pipeline.h"

namespace penstock::profile {
namespace {

// One rank; G = 1000, 100 samples/s a core, 100 kB a sample.
PipelineFacts facts() {
  PipelineFacts f;
  f.batch = 100;
  f.step_s = 0.1;
  f.backward_s = 0.06;
  f.prep_cpu_s = 0.01;
  f.sample_bytes = 1e5;
  f.dataset_bytes = 1e9;
  return f;
}

Conditions conditions(double cores, double disk_bytes_per_s, double cache_bytes,
                      CachePolicy policy) {
  Conditions c;
  c.cores = cores;
  c.disk_bytes_per_s = disk_bytes_per_s;
  c.cache_bytes = cache_bytes;
  c.policy = policy;
  return c;
}

TEST(WhatIfTest, TheLowestRateOfComputePrepAndFetchBinds) {
  EXPECT_EQ(predict(facts(), conditions(20, 0, 0, CachePolicy::kNone)).binds, "compute");
  const Prediction prep = predict(facts(), conditions(4, 0, 0, CachePolicy::kNone));
  EXPECT_EQ(prep.binds, "prep");
  EXPECT_DOUBLE_EQ(prep.samples_per_s, 400);
  const Prediction fetch = predict(facts(), conditions(4, 25e6, 0, CachePolicy::kNone));
  EXPECT_EQ(fetch.binds, "fetch");
  EXPECT_NEAR(fetch.samples_per_s, 250, 1e-9);
}

TEST(WhatIfTest, FetchFollowsThePolicyNotOnlyTheDisk) {
  // Half of the data fit; the disk alone gives 250/s.
  const Conditions lru = conditions(20, 25e6, 5e8, CachePolicy::kLru);
  const Prediction ours = predict(facts(), lru);
  EXPECT_NEAR(ours.hits, 0.5 + 0.5 * std::log(0.5), 1e-12);
  EXPECT_NEAR(ours.samples_per_s, 250 / (1 - ours.hits), 1e-9);
  const Prediction theirs = predict_as_ds_analyzer(facts(), lru);
  EXPECT_NEAR(theirs.samples_per_s, 500, 1e-9);
}

TEST(WhatIfTest, PrepBindsWhereAnEpochHitsAndTheDiskWhereItMisses) {
  // 0.8 of the data fit; place a of an epoch hits with 1 - 0.2/(1-a) up to 0.8, then never. The
  // disk alone gives 250/s, four cores prepare 400/s: with hits below 0.375, from a = 0.68, the
  // disk binds.
  const Prediction lru = predict(facts(), conditions(4, 25e6, 8e8, CachePolicy::kLru));
  double seconds = 0;
  constexpr int kPlaces = 100'000;
  for (int i = 0; i < kPlaces; ++i) {
    const double a = (i + 0.5) / kPlaces;
    const double hits = std::max(0.0, 1 - 0.2 / (1 - a));
    seconds += std::max(1.0 / 400, (1 - hits) / 250) / kPlaces;
  }
  EXPECT_NEAR(lru.samples_per_s * seconds, 1, 0.001);
  EXPECT_LT(lru.samples_per_s, 370);
  // On average the disk would give more than the cores prepare.
  EXPECT_GT(250 / (1 - lru.hits), 400);
  EXPECT_DOUBLE_EQ(predict(facts(), conditions(4, 25e6, 8e8, CachePolicy::kMinio)).samples_per_s,
                   400);
}

TEST(WhatIfTest, TheSmallestCacheThatHidesTheDiskDoesJustThat) {
  // Four cores prepare 400/s, the disk gives 250/s: MinIO misses at most 250/400, and 1 % more.
  const Conditions minio = conditions(4, 25e6, 0, CachePolicy::kMinio);
  EXPECT_NEAR(cache_to_hide_fetch(facts(), minio) / 1e9, 1 - 250 / (0.99 * 400), 1e-3);
  for (const CachePolicy policy : {CachePolicy::kMinio, CachePolicy::kLru}) {
    Conditions with = conditions(4, 25e6, 0, policy);
    const double bytes = cache_to_hide_fetch(facts(), with);
    with.cache_bytes = bytes;
    EXPECT_GE(predict(facts(), with).samples_per_s, 0.99 * 400);
    with.cache_bytes = bytes - 2e-3 * facts().dataset_bytes;
    EXPECT_LT(predict(facts(), with).samples_per_s, 0.99 * 400);
  }
  EXPECT_DOUBLE_EQ(cache_to_hide_fetch(facts(), conditions(4, 50e6, 0, CachePolicy::kNone)), 0);
  EXPECT_DOUBLE_EQ(cache_to_hide_fetch(facts(), conditions(4, 25e6, 0, CachePolicy::kNone)), 1e9);
}

TEST(WhatIfTest, CoresToHidePrepAreTheCeilingOfTheRatio) {
  EXPECT_EQ(cores_to_hide_prep(facts(), conditions(1, 0, 0, CachePolicy::kNone)), 10);
  PipelineFacts slower = facts();
  slower.step_s = 0.101;
  EXPECT_EQ(cores_to_hide_prep(slower, conditions(1, 0, 0, CachePolicy::kNone)), 10);
  slower.step_s = 0.099;
  EXPECT_EQ(cores_to_hide_prep(slower, conditions(1, 0, 0, CachePolicy::kNone)), 11);
}

TEST(WhatIfTest, OnlyWhatBindsIsWorthBuying) {
  const Elasticities prep = elasticities(facts(), conditions(4, 1e9, 0, CachePolicy::kMinio));
  EXPECT_NEAR(prep.per_core, 100, 1e-9);
  EXPECT_DOUBLE_EQ(prep.per_disk_mb_per_s, 0);
  const Elasticities disk = elasticities(facts(), conditions(20, 25e6, 0, CachePolicy::kMinio));
  EXPECT_NEAR(disk.per_disk_mb_per_s, 10, 1e-9);
  EXPECT_GT(disk.per_cache_gb, 0);
  EXPECT_DOUBLE_EQ(disk.per_core, 0);
}

TEST(WhatIfTest, OverlapAndBucketsChangeWhatCommunicationShows) {
  PipelineFacts f = facts();
  f.ranks = 2;
  f.gradient_bytes = std::vector<std::int64_t>(10, 10 << 20);
  Conditions c = conditions(100, 0, 0, CachePolicy::kNone);
  c.link = {0, 10.0 * (10 << 20) / 0.05};  // all gradients in 50 ms
  c.overlap = false;
  const Prediction apart = predict(f, c);
  EXPECT_NEAR(apart.exposed_s, 0.05, 1e-12);
  c.overlap = true;
  c.buckets = {1, 1};
  const Prediction hidden = predict(f, c);
  EXPECT_NEAR(hidden.exposed_s, 0.005,
              1e-12);  // only the last tensor comes after the backward pass
  c.buckets = {1 << 30, 1 << 30};
  EXPECT_NEAR(predict(f, c).exposed_s, 0.05, 1e-12);  // one bucket hides nothing
}

// The runs of a job whose compute, prep and fetch are emulated at known rates.
std::vector<TimedRun> emulated_runs(double compute_s, double prep_s, double fetch_s) {
  constexpr std::int64_t kBatches = 400;
  const auto stage = [](double seconds) {
    return PipelineStage{[seconds](std::int64_t) { return seconds; }, 1, 4};
  };
  const auto run = [&](RunKind kind, double prep, double fetch) {
    const auto times = simulate_pipeline({stage(fetch), stage(prep), stage(compute_s)}, kBatches);
    return TimedRun{kind, step_periods(times.back(), 100)};
  };
  return {run(RunKind::kSingle, 0, 0), run(RunKind::kWarm, prep_s, 0),
          run(RunKind::kCold, prep_s, fetch_s)};
}

TEST(EmulatedComponentsTest, GiveTheStallsOfMaxPlusArithmetic) {
  // G = 1000, P = 400, F = 250 samples/s.
  const auto d = decompose(emulated_runs(1.0 / 1000, 1.0 / 400, 1.0 / 250), {});
  ASSERT_TRUE(d);
  EXPECT_NEAR(1 / d->whole_s.value, 250, 2.5);
  EXPECT_NEAR(d->find(Stall::kPrep)->paper_share, 0.6, 0.006);
  EXPECT_NEAR(d->find(Stall::kFetch)->paper_share, 0.375, 0.00375);
}

TEST(EmulatedComponentsTest, AHiddenBottleneckShowsAsNothingButItsSlackIsKnown) {
  // Prep is slower than compute, but the disk is slower still when the cache is cold.
  const auto d = decompose(emulated_runs(4e-3, 2e-3, 8e-3), {});
  ASSERT_TRUE(d);
  EXPECT_NEAR(d->find(Stall::kPrep)->time_s.value, 0, 1e-9);
  EXPECT_NEAR(d->find(Stall::kFetch)->time_s.value, 4e-3, 4e-5);
  const auto slack =
      slack_of({{"compute", 250}, {"prep", 500}, {"fetch", 125}}, 1 / d->whole_s.value);
  EXPECT_NEAR(slack[2].gain, 1.0, 0.01);
  EXPECT_EQ(slack[2].binds, "compute");
}

TEST(EmulatedComponentsTest, SeveralServersPrepareAsFastAsTheirSum) {
  const std::vector<PipelineStage> stages = {{[](std::int64_t) { return 8e-3; }, 4, 4},
                                             {[](std::int64_t) { return 1e-3; }, 1, 1}};
  const auto steps = step_periods(simulate_pipeline(stages, 400).back(), 100);
  double sum = 0;
  for (const double step : steps) sum += step;
  EXPECT_NEAR(sum / static_cast<double>(steps.size()), 2e-3, 2e-5);
}

}  // namespace
}  // namespace penstock::profile
