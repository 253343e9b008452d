#include "penstock/loader/internal/live_fit.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace penstock::loader::internal {
namespace {

constexpr double kCpu = 0.002;  // s a sample
constexpr double kBytes = 100e3;

// A second of a loader whose workers wait `fetch` for each sample, and take `stretch` times as long
// as the processor time they get.
LoaderWindow window_of(int workers, double samples, double fetch, double stretch, double disk = 1) {
  const auto ns = [](double seconds) { return static_cast<std::int64_t>(seconds * 1e9); };
  LoaderWindow window;
  window.workers = workers;
  window.begin.counters.samples = 1000;
  window.begin.at = Seconds(5);
  window.end.at = Seconds(6);
  train::LoaderCounters& c = window.end.counters;
  c.samples = 1000 + static_cast<std::int64_t>(samples);
  c.cpu_ns = ns(kCpu * samples);
  c.prep_ns = ns(kCpu * stretch * samples);
  c.fetch_ns = ns(fetch * samples);
  c.bytes = static_cast<std::int64_t>(kBytes * samples);
  c.disk_bytes = static_cast<std::int64_t>(disk * kBytes * samples);
  return window;
}

TEST(LiveFitTest, CostsAreThoseOfASampleWhateverElseUsesTheCores) {
  for (const double stretch : {1.0, 3.0}) {
    JobModel model;
    ASSERT_TRUE(fit_model({window_of(2, 400, 0.001, stretch)}, model));
    EXPECT_NEAR(model.cpu_per_sample.value(), kCpu, 1e-9);
    EXPECT_NEAR(model.bytes_per_sample.value(), kBytes, 1e-6);
    EXPECT_NEAR(model.curve.rate(3), 3 / (kCpu + 0.001), 1e-6);
  }
}

TEST(LiveFitTest, ReadingFromMemoryIsNoWaitForStorage) {
  JobModel model;
  ASSERT_TRUE(fit_model({window_of(1, 400, 0.0005, 1, 0)}, model));
  EXPECT_EQ(model.hit_ratio, 1);
  EXPECT_NEAR(model.curve.rate(1), 1 / kCpu, 1e-6);
}

TEST(LiveFitTest, AStorageCeilingShowsInTwoNumbersOfWorkers) {
  // Storage gives 700 samples/s: one worker has 500 without a wait, four share the 700.
  constexpr double kCeiling = 700;
  JobModel model;
  ASSERT_TRUE(
      fit_model({window_of(1, 500, 0, 1), window_of(4, 700, 4 / kCeiling - kCpu, 1)}, model));
  EXPECT_NEAR(model.curve.rate(1), 500, 5);
  EXPECT_NEAR(model.curve.rate(4), kCeiling, 7);
  EXPECT_NEAR(model.curve.rate(6), kCeiling, 14);
}

TEST(LiveFitTest, TooFewSamplesChangeNothing) {
  JobModel model;
  model.cpu_per_sample = Seconds(7);
  EXPECT_FALSE(fit_model({window_of(1, 15, 0, 1)}, model));
  EXPECT_FALSE(fit_model({}, model));
  EXPECT_EQ(model.cpu_per_sample.value(), 7);
}

TEST(LiveFitTest, ANewWindowReplacesTheOldOneOfAsManyWorkers) {
  std::vector<LoaderWindow> windows;
  remember(window_of(1, 100, 0, 1), windows);
  remember(window_of(2, 100, 0, 1), windows);
  remember(window_of(1, 300, 0, 1), windows);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[1].workers, 1);
  EXPECT_EQ(windows[1].loaded(), 300);
  for (int workers = 3; workers < 9; ++workers) remember(window_of(workers, 100, 0, 1), windows);
  EXPECT_EQ(windows.size(), 4u);
  EXPECT_EQ(windows.back().workers, 8);
}

TEST(LiveFitTest, CoresAreWhatWorkersHadWhereTheyWaitedForOne) {
  // 400 and 300 samples of 2 ms in a second: 1.4 cores.
  const auto cores = contended_cores({window_of(3, 400, 0, 2), window_of(3, 300, 0, 2)});
  ASSERT_TRUE(cores);
  EXPECT_NEAR(*cores, 1.4, 1e-6);
}

TEST(LiveFitTest, CoresThatNobodyWaitedForMayBeMore) {
  EXPECT_FALSE(contended_cores({window_of(1, 400, 0, 1), window_of(1, 300, 0, 1)}));
}

}  // namespace
}  // namespace penstock::loader::internal
