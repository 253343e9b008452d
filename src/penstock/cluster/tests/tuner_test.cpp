#include "penstock/cluster/tuner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "penstock/core/random.h"

namespace penstock::cluster {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
constexpr Time kInterval{kSecond};

double seconds(Time time) { return static_cast<double>(time.ns) * 1e-9; }
Time of_seconds(double s) { return {std::llround(s * 1e9)}; }

Settings with(const std::vector<std::pair<std::string, std::string>>& values) {
  Settings settings;
  for (const auto& [name, text] : values) {
    const Status status = settings.set(name, text);
    EXPECT_TRUE(status.has_value()) << (status ? "" : status.error().text());
  }
  return settings;
}

DelayTuner quantile_tuner(const Settings& settings = {}) {
  return {settings, Tuning::kQuantile, kInterval};
}

// The textbook form, over distinct times: S(t) = product of 1 - granted / waiting.
Time textbook_quantile(const std::vector<WaitSample>& samples, double quantile) {
  std::vector<std::int64_t> times;
  for (const WaitSample& sample : samples) times.push_back(sample.wait.ns);
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  double survival = 1;
  for (const std::int64_t time : times) {
    double waiting = 0;
    double granted = 0;
    for (const WaitSample& sample : samples) {
      waiting += sample.wait.ns >= time ? 1 : 0;
      granted += sample.wait.ns == time && !sample.gave_up ? 1 : 0;
    }
    survival *= 1 - granted / waiting;
    if (granted > 0 && survival <= 1 - quantile + 1e-9) return {time};
  }
  return kNever;
}

std::vector<WaitSample> sorted(std::vector<WaitSample> samples) {
  std::sort(samples.begin(), samples.end(), [](const WaitSample& a, const WaitSample& b) {
    return std::pair(a.wait, a.gave_up) < std::pair(b.wait, b.gave_up);
  });
  return samples;
}

// The timer after `count` waits of a law, a second apart; each wait is cut off where `limit` says.
Time timer_after(int count, const Settings& settings, std::uint64_t seed,
                 const std::function<double(double)>& law,
                 const std::function<double(double)>& limit = nullptr) {
  core::RandomStream random(seed, "waits");
  DelayTuner tuner = quantile_tuner(settings);
  for (int i = 0; i < count; ++i) {
    const double wait = law(random.uniform());
    const double cut = limit ? limit(random.uniform()) : wait;
    tuner.add(
        Tier::kNode, 8,
        {.at = {i * kSecond}, .wait = of_seconds(std::min(wait, cut)), .gave_up = cut < wait});
  }
  return tuner.timer(Tier::kNode, 8, {count * kSecond}).value;
}

double mean_timer_after(int count, const Settings& settings,
                        const std::function<double(double)>& law,
                        const std::function<double(double)>& limit = nullptr) {
  constexpr int kSeeds = 200;
  double sum = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    sum += seconds(timer_after(count, settings, seed, law, limit));
  }
  return sum / kSeeds;
}

double uniform_to_hour(double u) { return 3600 * u; }
double exponential_of_hour(double u) { return -3600 * std::log1p(-u); }

TEST(KaplanMeierTest, GivesThePublishedEstimateOfTheLeukaemiaTrial) {
  // Freireich et al. 1963, 6-MP arm, weeks; negative: censored. Its product-limit estimate stands
  // in many textbooks (Klein and Moeschberger, table 4.1A): S = .857 at 6, .807 at 7, .753 at 10,
  // .690 at 13, .627 at 16, .538 at 22, .448 at 23.
  std::vector<WaitSample> weeks;
  for (const int week :
       {6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35}) {
    weeks.push_back({.at = {}, .wait = {std::abs(week)}, .gave_up = week < 0});
  }
  const std::vector<std::pair<double, std::int64_t>> steps = {
      {1 - .857, 6},  {1 - .807, 7},  {1 - .753, 10}, {1 - .690, 13},
      {1 - .627, 16}, {1 - .538, 22}, {1 - .448, 23}};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto [reached, week] = steps[i];
    EXPECT_EQ(kaplan_meier_quantile(weeks, reached - 0.001).ns, week);
    const std::int64_t next = i + 1 < steps.size() ? steps[i + 1].second : kNever.ns;
    EXPECT_EQ(kaplan_meier_quantile(weeks, reached + 0.001).ns, next);
  }
}

TEST(KaplanMeierTest, EqualsTheTextbookFormOnRandomSamplesWithTies) {
  core::RandomStream random(1, "kaplan-meier");
  int undecided = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<WaitSample> samples(1 + random.below(40));
    for (WaitSample& sample : samples) {
      sample.wait = {static_cast<std::int64_t>(random.below(25))};
      sample.gave_up = random.uniform() < 0.4;
    }
    const double quantile = 0.05 + 0.94 * random.uniform();
    const Time expected = textbook_quantile(samples, quantile);
    ASSERT_EQ(kaplan_meier_quantile(sorted(samples), quantile), expected);
    undecided += expected == kNever ? 1 : 0;
  }
  EXPECT_GT(undecided, 100);
  EXPECT_LT(undecided, 1900);
}

TEST(KaplanMeierTest, WithoutGivingUpIsTheOrderStatistic) {
  std::vector<WaitSample> samples;
  for (int i = 1; i <= 10; ++i) samples.push_back({.at = {}, .wait = {i}});
  EXPECT_EQ(kaplan_meier_quantile(samples, 0.9).ns, 9);
  EXPECT_EQ(kaplan_meier_quantile(samples, 0.91).ns, 10);
  EXPECT_EQ(kaplan_meier_quantile(samples, 0.1).ns, 1);
}

TEST(DelayTunerTest, IsWithinTenPercentOfTheQuantileAfterAHundredSamples) {
  const Settings settings = with({{"tuner-window", "100"}});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_NEAR(seconds(timer_after(100, settings, seed, uniform_to_hour)), 0.9 * 3600,
                0.1 * 0.9 * 3600)
        << "seed " << seed;
  }
  const double exponential = std::log(10.0) * 3600;
  EXPECT_NEAR(mean_timer_after(100, settings, exponential_of_hour), exponential, 0.1 * exponential);
  // The window of 32 is noisier in one run, and as good on average.
  EXPECT_NEAR(mean_timer_after(100, {}, exponential_of_hour), exponential, 0.1 * exponential);
}

TEST(DelayTunerTest, IsNotBiasedByJobsThatGaveUp) {
  const Settings settings = with({{"tuner-window", "400"}});
  const auto patience = [](double u) { return 1.2 * 3.0 * 3600 * u; };
  const double truth = std::log(10.0) * 3600;
  EXPECT_NEAR(mean_timer_after(400, settings, exponential_of_hour, patience), truth, 0.1 * truth);
  // What only looking at successes would give, on the same waits.
  double successes = 0;
  constexpr int kSeeds = 200;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    core::RandomStream random(seed, "waits");
    std::vector<WaitSample> granted;
    for (int i = 0; i < 400; ++i) {
      const double wait = exponential_of_hour(random.uniform());
      if (wait <= patience(random.uniform()))
        granted.push_back({.at = {}, .wait = of_seconds(wait)});
    }
    successes += seconds(kaplan_meier_quantile(sorted(granted), 0.9)) / kSeeds;
  }
  EXPECT_LT(successes, 0.8 * truth);
}

TEST(DelayTunerTest, AnswersWithTheDefaultBelowEightSamples) {
  DelayTuner tuner = quantile_tuner();
  EXPECT_EQ(tuner.timer(Tier::kNode, 8, {}).value.ns, kHour);
  EXPECT_EQ(tuner.timer(Tier::kRack, 8, {}).value.ns, 2 * kHour);
  for (int i = 0; i < 7; ++i) tuner.add(Tier::kNode, 8, {.at = {i}, .wait = {40 * kMinute}});
  const Timer before = tuner.timer(Tier::kNode, 8, {7});
  EXPECT_FALSE(before.tuned);
  EXPECT_EQ(before.samples, 7);
  EXPECT_EQ(before.value.ns, kHour);
  tuner.add(Tier::kNode, 8, {.at = {8}, .wait = {40 * kMinute}});
  const Timer after = tuner.timer(Tier::kNode, 8, {9});
  EXPECT_TRUE(after.tuned);
  EXPECT_EQ(after.value.ns, 40 * kMinute);
}

TEST(DelayTunerTest, NeverMoreThanDoublesOrHalvesWithOneSample) {
  DelayTuner tuner = quantile_tuner();
  std::int64_t last = kHour;
  core::RandomStream random(7, "hysteresis");
  bool halved = false;
  bool doubled = false;
  for (int i = 0; i < 400; ++i) {
    const bool slow = i % 100 >= 50;
    const auto wait = static_cast<std::int64_t>((slow ? 6e12 : 3e9) * random.uniform()) * 4;
    tuner.add(Tier::kNode, 8, {.at = {i * kSecond}, .wait = {wait}});
    const std::int64_t value = tuner.timer(Tier::kNode, 8, {i * kSecond}).value.ns;
    EXPECT_LE(value, 2 * last);
    EXPECT_GE(value, last / 2);
    halved |= value == last / 2;
    doubled |= value == 2 * last;
    last = value;
  }
  EXPECT_TRUE(halved);
  EXPECT_TRUE(doubled);
}

TEST(DelayTunerTest, DoesNotDependOnWhoAsksInBetween) {
  DelayTuner asked = quantile_tuner(with({{"tuner-age", "5 min"}}));
  DelayTuner quiet = asked;
  core::RandomStream random(3, "asking");
  for (int i = 0; i < 500; ++i) {
    const Time at{i * 10 * kSecond};
    const WaitSample sample{.at = at,
                            .wait = of_seconds(exponential_of_hour(random.uniform())),
                            .gave_up = random.uniform() < 0.3};
    asked.add(Tier::kRack, 16, sample);
    quiet.add(Tier::kRack, 16, sample);
    for (int ask = 0; ask < i % 4; ++ask) {
      asked.timer(Tier::kRack, 16, at + Time{ask * 2 * kSecond});
    }
  }
  const Time end{5030 * kSecond};
  EXPECT_EQ(asked.timer(Tier::kRack, 16, end).value, quiet.timer(Tier::kRack, 16, end).value);
  EXPECT_TRUE(quiet.timer(Tier::kRack, 16, end).tuned);
}

TEST(DelayTunerTest, ForgetsWhatIsOlderThanADay) {
  DelayTuner tuner = quantile_tuner();
  for (int i = 0; i < 8; ++i) {
    tuner.add(Tier::kNode, 8, {.at = {i * kHour}, .wait = {50 * kMinute}});
  }
  EXPECT_TRUE(tuner.timer(Tier::kNode, 8, {24 * kHour}).tuned);
  EXPECT_EQ(tuner.samples(Tier::kNode, 8, {24 * kHour + 1}).size(), 7u);
  const Timer later = tuner.timer(Tier::kNode, 8, {24 * kHour + 1});
  EXPECT_FALSE(later.tuned);
  EXPECT_EQ(later.samples, 7);
  EXPECT_EQ(later.value.ns, kHour);
}

TEST(DelayTunerTest, KeepsOnlyTheLastSamplesOfTheWindow) {
  DelayTuner tuner = quantile_tuner();
  for (int i = 0; i < 32; ++i) tuner.add(Tier::kNode, 8, {.at = {i}, .wait = {2 * kHour}});
  for (int i = 32; i < 64; ++i) tuner.add(Tier::kNode, 8, {.at = {i}, .wait = {20 * kMinute}});
  const Timer timer = tuner.timer(Tier::kNode, 8, {64});
  EXPECT_EQ(timer.samples, 32);
  EXPECT_EQ(timer.value.ns, 20 * kMinute);
  EXPECT_EQ(tuner.samples(Tier::kNode, 8, {64}).front().at.ns, 32);
}

TEST(DelayTunerTest, LearnsApartForEachTierAndPowerOfTwo) {
  DelayTuner tuner = quantile_tuner();
  for (int i = 0; i < 8; ++i) tuner.add(Tier::kNode, 3, {.at = {i}, .wait = {40 * kMinute}});
  EXPECT_TRUE(tuner.timer(Tier::kNode, 4, {9}).tuned);
  EXPECT_FALSE(tuner.timer(Tier::kNode, 2, {9}).tuned);
  EXPECT_FALSE(tuner.timer(Tier::kNode, 5, {9}).tuned);
  EXPECT_FALSE(tuner.timer(Tier::kRack, 4, {9}).tuned);
}

TEST(DelayTunerTest, GrowsToTwiceWhatWasTriedWhereAllGaveUpAndStopsAtEightDefaults) {
  DelayTuner tuner = quantile_tuner();
  for (int i = 0; i < 8; ++i) {
    tuner.add(Tier::kNode, 8, {.at = {i}, .wait = {kHour}, .gave_up = true});
  }
  EXPECT_EQ(tuner.timer(Tier::kNode, 8, {8}).value.ns, 2 * kHour);
  EXPECT_EQ(tuner.timer(Tier::kNode, 8, {8}).gave_up, 8);
  for (int i = 8; i < 200; ++i) {
    const Time given = tuner.timer(Tier::kNode, 8, {i}).value;
    tuner.add(Tier::kNode, 8, {.at = {i}, .wait = given, .gave_up = true});
  }
  EXPECT_EQ(tuner.timer(Tier::kNode, 8, {200}).value.ns, 8 * kHour);
}

TEST(DelayTunerTest, NeverFallsBelowTheInterval) {
  DelayTuner tuner(Settings{}, Tuning::kQuantile, {5 * kMinute});
  for (int i = 0; i < 100; ++i) tuner.add(Tier::kNode, 8, {.at = {i}, .wait = {}});
  EXPECT_EQ(tuner.timer(Tier::kNode, 8, {100}).value.ns, 5 * kMinute);
}

TEST(DelayTunerTest, ADefaultOfZeroStaysZero) {
  DelayTuner tuner = quantile_tuner(with({{"delay-node", "0 s"}}));
  for (int i = 0; i < 20; ++i) tuner.add(Tier::kNode, 8, {.at = {i}, .wait = {kHour}});
  EXPECT_EQ(tuner.timer(Tier::kNode, 8, {20}).value.ns, 0);
}

TEST(DelayTunerTest, MeanModeAddsTwoDeviationsOfTheGrantedWaits) {
  DelayTuner tuner(Settings{}, Tuning::kMeanAndDeviation, kInterval);
  // 10, 20, ... 80 min: mean 45 min, sample variance 600 min^2.
  for (int i = 1; i <= 8; ++i) {
    tuner.add(Tier::kNode, 8, {.at = {2 * i}, .wait = {kDay}, .gave_up = true});
    tuner.add(Tier::kNode, 8, {.at = {2 * i + 1}, .wait = {i * 10 * kMinute}});
    EXPECT_EQ(tuner.timer(Tier::kNode, 8, {20}).tuned, i == 8);
  }
  EXPECT_NEAR(seconds(tuner.timer(Tier::kNode, 8, {20}).value), 60 * (45 + 2 * std::sqrt(600.0)),
              1e-6);
}

TEST(DelayTunerTest, WithoutTuningTheDefaultsStand) {
  DelayTuner tuner(Settings{}, Tuning::kNone, kInterval);
  for (int i = 0; i < 50; ++i) tuner.add(Tier::kNode, 8, {.at = {i}, .wait = {10 * kMinute}});
  const Timer timer = tuner.timer(Tier::kNode, 8, {50});
  EXPECT_EQ(timer.value.ns, kHour);
  EXPECT_FALSE(timer.tuned);
}

}  // namespace
}  // namespace penstock::cluster
