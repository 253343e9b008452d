#include "penstock/profile/stalls.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "penstock/core/random.h"

namespace penstock::profile {
namespace {

using testing::HasSubstr;

TimedRun steady(RunKind kind, double step_s, int steps = 10) {
  return {kind, std::vector<double>(static_cast<std::size_t>(steps), step_s)};
}

TimedRun noisy(RunKind kind, double step_s, double deviation, int steps, std::uint64_t seed) {
  core::RandomStream random(seed, std::string(run_kind_name(kind)));
  TimedRun run{kind, {}};
  for (int i = 0; i < steps; ++i) run.step_s.push_back(step_s + deviation * random.normal());
  return run;
}

Decomposition found(const std::vector<TimedRun>& runs) {
  auto result = decompose(runs, {});
  EXPECT_TRUE(result) << (result ? "" : result.error().text());
  return result ? *result : Decomposition{};
}

// Defects of the released profiler (room page "profiling", 1.4), numbered as there.

TEST(StallDefectsTest, OneFetchIsColdLessWarmNotColdLessPrep) {
  const Decomposition d = found(
      {steady(RunKind::kSingle, 100), steady(RunKind::kWarm, 120), steady(RunKind::kCold, 150)});
  EXPECT_NEAR(d.find(Stall::kFetch)->share, 0.20, 1e-12);
  EXPECT_NEAR(d.find(Stall::kFetch)->paper_share, 0.20, 1e-12);
  EXPECT_NEAR(d.find(Stall::kPrep)->paper_share, 1.0 / 6, 1e-12);
}

TEST(StallDefectsTest, TwoRunsOfUnequalLengthGiveTheSameStalls) {
  const Decomposition same = found({steady(RunKind::kSingle, 100), steady(RunKind::kWarm, 120)});
  const Decomposition longer =
      found({steady(RunKind::kSingle, 100, 5), steady(RunKind::kWarm, 120, 500)});
  EXPECT_NEAR(same.find(Stall::kPrep)->paper_share, longer.find(Stall::kPrep)->paper_share, 1e-12);
}

TEST(StallDefectsTest, ThreeRepeatsAreDividedByTheirNumber) {
  const Decomposition d = found({steady(RunKind::kSingle, 90), steady(RunKind::kSingle, 100),
                                 steady(RunKind::kSingle, 110), steady(RunKind::kWarm, 150)});
  EXPECT_NEAR(d.compute_s.value, 100, 1e-9);
  EXPECT_NEAR(d.find(Stall::kPrep)->time_s.value, 50, 1e-9);
}

TEST(StallDefectsTest, FourTheSmallestStepIsNotTheLargest) {
  const Decomposition d = found({{RunKind::kSingle, {3, 1, 2}}});
  EXPECT_DOUBLE_EQ(d.runs.front().min_s, 1);
  EXPECT_DOUBLE_EQ(d.runs.front().max_s, 3);
}

TEST(StallDefectsTest, SixTheOrderOfRunsChangesNothing) {
  const std::vector<TimedRun> runs = {
      noisy(RunKind::kSingle, 10, 1, 20, 1), noisy(RunKind::kContention, 12, 1, 20, 1),
      noisy(RunKind::kRanks, 15, 1, 20, 1), noisy(RunKind::kNodes, 25, 1, 20, 1)};
  std::vector<TimedRun> reversed = runs;
  std::reverse(reversed.begin(), reversed.end());
  const Decomposition forth = found(runs);
  const Decomposition back = found(reversed);
  ASSERT_NE(forth.find(Stall::kNetwork), nullptr);
  for (std::size_t i = 0; i < forth.stalls.size(); ++i) {
    EXPECT_DOUBLE_EQ(forth.stalls[i].time_s.value, back.stalls[i].time_s.value);
    EXPECT_DOUBLE_EQ(forth.stalls[i].time_s.low, back.stalls[i].time_s.low);
  }
}

TEST(StallDefectsTest, SevenANegativeDifferenceStaysNegative) {
  const Decomposition d = found(
      {steady(RunKind::kSingle, 100), steady(RunKind::kWarm, 98), steady(RunKind::kCold, 103)});
  EXPECT_NEAR(d.find(Stall::kPrep)->time_s.value, -2, 1e-12);
  EXPECT_NEAR(d.find(Stall::kFetch)->time_s.value, 5, 1e-12);
}

TEST(StallDefectsTest, SevenANegativeDifferenceOfNoiseIsCalledNoise) {
  const Decomposition d =
      found({noisy(RunKind::kSingle, 100, 10, 40, 4), noisy(RunKind::kWarm, 99.5, 10, 40, 5)});
  EXPECT_TRUE(d.find(Stall::kPrep)->noise());
}

TEST(StallDefectsTest, EightContentionIsNotCountedAsInterconnect) {
  const Decomposition d = found({steady(RunKind::kSingle, 500), steady(RunKind::kContention, 639),
                                 steady(RunKind::kRanks, 1015)});
  EXPECT_NEAR(d.find(Stall::kContention)->time_s.value, 139, 1e-9);
  EXPECT_NEAR(d.find(Stall::kInterconnect)->time_s.value, 376, 1e-9);
  EXPECT_NEAR(d.find(Stall::kContention)->paper_share, 139.0 / 1015, 1e-12);
}

TEST(StallDefectsTest, TenTheVarianceOfADifferenceIsTheSumOfBoth) {
  // Independent normal steps: the interval of the difference has half-width 1.96 sqrt(s1^2 + s2^2).
  constexpr int kSteps = 4000;
  const Decomposition d =
      found({noisy(RunKind::kSingle, 100, 3, kSteps, 1), noisy(RunKind::kWarm, 120, 4, kSteps, 2)});
  const double expected = 1.96 * 5 / std::sqrt(kSteps);
  EXPECT_NEAR(d.find(Stall::kPrep)->time_s.half_width() / expected, 1, 0.15);
}

TEST(StallsTest, TelescopeToTheWholeStep) {
  const Decomposition d = found({steady(RunKind::kSingle, 10), steady(RunKind::kContention, 11),
                                 steady(RunKind::kRanks, 14), steady(RunKind::kNodes, 20),
                                 steady(RunKind::kWarm, 19), steady(RunKind::kCold, 33)});
  double sum = d.compute_s.value;
  double shares = d.compute_share;
  for (const StallEstimate& stall : d.stalls) {
    sum += stall.time_s.value;
    shares += stall.share;
  }
  EXPECT_NEAR(sum, 33, 1e-9);
  EXPECT_NEAR(shares, 1, 1e-12);
}

TEST(StallsTest, DivideAsThePaperDoes) {
  const Decomposition d = found(
      {steady(RunKind::kSingle, 1), steady(RunKind::kRanks, 10), steady(RunKind::kNodes, 50)});
  EXPECT_NEAR(d.find(Stall::kInterconnect)->paper_share, 0.9, 1e-12);  // at most 100 %
  EXPECT_NEAR(d.find(Stall::kNetwork)->paper_share, 4.0, 1e-12);       // 5x slower is 400 %
}

TEST(StallsTest, VariationBetweenRunsWidensTheInterval) {
  // Steps within a run are exact, but the runs of a kind disagree by 10 %.
  const Decomposition d = found({steady(RunKind::kSingle, 95), steady(RunKind::kSingle, 105),
                                 steady(RunKind::kWarm, 115), steady(RunKind::kWarm, 125)});
  EXPECT_TRUE(d.run_to_run_known);
  EXPECT_NEAR(d.run_to_run, 0.066, 0.01);
  EXPECT_GT(d.find(Stall::kPrep)->time_s.half_width(), 10);
  const Decomposition once = found({steady(RunKind::kSingle, 100), steady(RunKind::kWarm, 120)});
  EXPECT_FALSE(once.run_to_run_known);
}

TEST(StallsTest, IntervalsOfRepeatedExperimentsCoverTheTruth) {
  // With variation between runs, a 95 % interval should hold the true difference of 20 in about
  // 95 of 100 experiments.
  int covered = 0;
  constexpr int kExperiments = 100;
  for (std::uint64_t e = 0; e < kExperiments; ++e) {
    core::RandomStream random(e, "experiment");
    std::vector<TimedRun> runs;
    for (const auto& [kind, mean] :
         {std::pair(RunKind::kSingle, 100.0), std::pair(RunKind::kRanks, 110.0),
          std::pair(RunKind::kWarm, 130.0)}) {
      for (int r = 0; r < 3; ++r) {
        TimedRun run{kind, {}};
        const double level = mean * (1 + 0.03 * random.normal());
        for (int i = 0; i < 20; ++i) run.step_s.push_back(level + 4 * random.normal());
        runs.push_back(std::move(run));
      }
    }
    const auto d = decompose(runs, {.replicates = 400});
    ASSERT_TRUE(d);
    const Interval& prep = d->find(Stall::kPrep)->time_s;
    if (prep.low <= 20 && prep.high >= 20) ++covered;
  }
  EXPECT_GE(covered, 88);
}

TEST(StallsTest, TheSameSeedGivesTheSameIntervals) {
  const std::vector<TimedRun> runs = {noisy(RunKind::kSingle, 10, 1, 30, 1),
                                      noisy(RunKind::kWarm, 12, 1, 30, 2)};
  const auto first = decompose(runs, {.seed = 7});
  const auto again = decompose(runs, {.seed = 7});
  const auto other = decompose(runs, {.seed = 8});
  EXPECT_DOUBLE_EQ(first->stalls[0].time_s.low, again->stalls[0].time_s.low);
  EXPECT_NE(first->stalls[0].time_s.low, other->stalls[0].time_s.low);
}

TEST(StallsTest, NamesTheRunThatCannotBeUsed) {
  EXPECT_THAT(decompose({steady(RunKind::kWarm, 1)}, {}).error().text(), HasSubstr("single"));
  EXPECT_THAT(decompose({{RunKind::kSingle, {}}}, {}).error().text(),
              HasSubstr("run \"single\": has no counted step"));
  EXPECT_FALSE(decompose({{RunKind::kSingle, {1, -1}}}, {}));
}

TEST(SlackTest, SaysWhatOneGainsBeforeTheNextBinds) {
  const auto slack = slack_of({{"compute", 1000}, {"prep", 400}, {"fetch", 524, true}}, 400);
  ASSERT_EQ(slack.size(), 3U);
  EXPECT_DOUBLE_EQ(slack[0].slack, 2.5);
  EXPECT_DOUBLE_EQ(slack[0].gain, 0);
  EXPECT_EQ(slack[1].binds, "fetch");
  EXPECT_NEAR(slack[1].gain, 0.31, 1e-12);
  EXPECT_TRUE(slack[2].at_least);
}

TEST(SlackTest, WhatAddsUpInTheStepBindsTogether) {
  // 10 ms of computing and then 30 ms of communication: 25 samples/s, and the loader gives 50.
  const std::vector<ResourceRate> rates = {
      {"compute", 100, false, true}, {"communication", 100.0 / 3, false, true}, {"prep", 50}};
  const auto slack = slack_of(rates, 25);
  EXPECT_NEAR(slack[0].gain, 1.0 / 3, 1e-12);
  EXPECT_EQ(slack[0].binds, "communication");
  EXPECT_NEAR(slack[1].gain, 1, 1e-12);
  EXPECT_EQ(slack[1].binds, "prep");
  EXPECT_NEAR(slack[2].gain, 0, 1e-12);
}

}  // namespace
}  // namespace penstock::profile
