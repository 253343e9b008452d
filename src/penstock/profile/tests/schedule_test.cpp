#include "penstock/profile/schedule.h"

#include <gmock/gmock.h>

#include "penstock/core/random.h"

namespace penstock::profile {
namespace {

using testing::ElementsAre;

const std::vector<RunKind> kThree = {RunKind::kSingle, RunKind::kRanks, RunKind::kWarm};

// Runs whose steps are normal around the mean of their kind, a second each.
class Machine {
 public:
  Machine(double single, double ranks, double warm, double noise)
      : means_{{RunKind::kSingle, single}, {RunKind::kRanks, ranks}, {RunKind::kWarm, warm}},
        noise_(noise),
        random_(1, "machine") {}
  MadeRun run(RunKind kind) {
    MadeRun made{{kind, {}}, Seconds(1)};
    for (const auto& [known, mean] : means_) {
      if (known != kind) continue;
      for (int i = 0; i < 10; ++i) {
        made.run.step_s.push_back(mean * (1 + noise_ * random_.normal()));
      }
    }
    return made;
  }

 private:
  std::vector<std::pair<RunKind, double>> means_;
  double noise_;
  core::RandomStream random_;
};

std::vector<RunKind> all_runs(Machine machine, const ScheduleGoal& goal, StopReason& reason) {
  std::vector<MadeRun> made;
  std::vector<RunKind> order;
  while (true) {
    const NextRun next = next_run(kThree, made, Seconds(static_cast<double>(made.size())), goal);
    reason = next.reason;
    if (!next.kind) return order;
    order.push_back(*next.kind);
    made.push_back(machine.run(*next.kind));
  }
}

TEST(ScheduleTest, InterleavesRoundsForthAndBack) {
  StopReason reason{};
  const auto order = all_runs(Machine(10, 12, 20, 1e-4), {}, reason);
  EXPECT_THAT(order, ElementsAre(RunKind::kSingle, RunKind::kRanks, RunKind::kWarm, RunKind::kWarm,
                                 RunKind::kRanks, RunKind::kSingle));
  EXPECT_EQ(reason, StopReason::kPrecise);
}

TEST(ScheduleTest, RepeatsUntilEveryDifferenceIsPrecise) {
  StopReason reason{};
  const auto rough = all_runs(Machine(10, 12, 20, 0.2), {.precision = 0.2}, reason);
  EXPECT_EQ(reason, StopReason::kPrecise);
  const auto fine = all_runs(Machine(10, 12, 20, 0.2), {.precision = 0.05}, reason);
  EXPECT_EQ(reason, StopReason::kPrecise);
  EXPECT_GT(fine.size(), rough.size());
}

TEST(ScheduleTest, StopsAtTheTimeLimitButMakesEveryRunOnce) {
  StopReason reason{};
  const auto order =
      all_runs(Machine(10, 12, 20, 0.2), {.precision = 1e-4, .time_limit = Seconds(5)}, reason);
  EXPECT_EQ(order.size(), 5U);
  EXPECT_EQ(reason, StopReason::kTimeLimit);
  const auto least =
      all_runs(Machine(10, 12, 20, 0.2), {.precision = 1e-4, .time_limit = Seconds(0)}, reason);
  EXPECT_EQ(least, kThree);
}

TEST(ScheduleTest, StopsAtTheLimitOfRounds) {
  StopReason reason{};
  const auto order =
      all_runs(Machine(10, 12, 20, 0.2), {.precision = 1e-4, .max_rounds = 3}, reason);
  EXPECT_EQ(order.size(), 9U);
  EXPECT_EQ(reason, StopReason::kRounds);
}

TEST(ScheduleTest, LaterRoundsRepeatOnlyWhatIsWide) {
  // The run of a single rank and that of k ranks are exact, the warm one is not.
  std::vector<MadeRun> made;
  core::RandomStream random(1, "warm");
  for (const RunKind kind : {RunKind::kSingle, RunKind::kRanks, RunKind::kWarm, RunKind::kWarm,
                             RunKind::kRanks, RunKind::kSingle}) {
    MadeRun run{{kind, {}}, Seconds(1)};
    for (int i = 0; i < 10; ++i) {
      run.run.step_s.push_back(kind == RunKind::kWarm ? 20 + 8 * random.normal()
                                                      : (kind == RunKind::kRanks ? 12 : 10));
    }
    made.push_back(run);
  }
  const NextRun next = next_run(kThree, made, Seconds(6), {});
  EXPECT_THAT(next.round, ElementsAre(RunKind::kRanks, RunKind::kWarm));
  EXPECT_EQ(next.kind, RunKind::kRanks);
  EXPECT_DOUBLE_EQ(next.remaining.value(), 2);
}

TEST(ScheduleTest, WithoutADifferenceThePrecisionIsThatOfTheStep) {
  Decomposition found;
  found.compute_s = found.whole_s = {2, 1.9, 2.1};
  EXPECT_NEAR(worst_precision(found), 0.05, 1e-12);
}

}  // namespace
}  // namespace penstock::profile
