#include "penstock/cluster/compare.h"

#include <gtest/gtest.h>

#include <cmath>

#include "penstock/core/random.h"

namespace penstock::cluster {
namespace {

trace::JobTrace drawn(int jobs, std::uint64_t seed) {
  return *trace::generate_jobs({.law = "poisson",
                                .jobs = jobs,
                                .mean_gap = Seconds(300),
                                .accelerators = {1, 2, 4, 8, 16},
                                .models = {"vgg16", "resnet50", "bert"}},
                               seed);
}

std::vector<RunFigures> simulated(const std::vector<Policy>& policies, const trace::JobTrace& trace,
                                  const Topology& cluster, int threads) {
  std::vector<RunFigures> runs(policies.size());
  const auto make = [&](std::size_t i) {
    return Simulation{.trace = trace,
                      .cluster = cluster,
                      .policy = policies[i],
                      .contention = Contention::kFluid};
  };
  const auto take = [&](std::size_t i, const SimulationResult& result) -> Status {
    runs[i] = figures_of(make(i), result);
    return {};
  };
  EXPECT_TRUE(simulate_each(policies.size(), make, take, SpeedBook(), {.threads = threads}));
  return runs;
}

// A run whose jobs took `jct` seconds.
RunFigures run_of(const std::vector<float>& jct) {
  RunFigures run;
  double sum = 0;
  for (const float it : jct) sum += double(it);
  run.figures[std::size_t(Figure::kMeanJct)] = sum / double(jct.size());
  run.jct_s = run.wait_s = run.loss_accelerator_h = jct;
  return run;
}

TEST(SideBySideTest, AnyNumberOfThreadsGivesTheSameFiguresToTheLastBit) {
  const trace::JobTrace trace = drawn(400, 5);
  const Topology cluster = uniform(2, 4, 8);
  std::vector<Policy> policies;
  for (const char* rule : {"no-wait", "consolidated", "auto", "priced", "slurm", "manual"}) {
    policies.push_back(*make_policy("dally", rule));
    policies.push_back(*make_policy("2d-las", rule));
  }
  const std::vector<RunFigures> alone = simulated(policies, trace, cluster, 1);
  for (const int threads : {2, 4}) {
    const std::vector<RunFigures> together = simulated(policies, trace, cluster, threads);
    for (std::size_t i = 0; i < policies.size(); ++i) {
      EXPECT_EQ(together[i].figures, alone[i].figures) << policies[i].rule.name;
      EXPECT_EQ(together[i].jct_s, alone[i].jct_s) << policies[i].rule.name;
    }
  }
}

TEST(SideBySideTest, AnErrorOfOneSimulationEndsAllAndIsTold) {
  trace::JobTrace trace = drawn(10, 1);
  const Topology small = uniform(1, 1, 8);
  trace.jobs.front().accelerators = 9;
  int taken = 0;
  const Status status = simulate_each(
      5, [&](std::size_t) { return Simulation{.trace = trace, .cluster = small, .policy = {}}; },
      [&](std::size_t, const SimulationResult&) -> Status {
        ++taken;
        return {};
      },
      SpeedBook(), {.threads = 2});
  ASSERT_FALSE(status);
  EXPECT_EQ(taken, 0);
  EXPECT_NE(status.error().message.find("wants 9 accelerators"), std::string::npos);
}

TEST(CompareTest, IntervalsOfIndependentJobsAreThoseOfTheNormalLaw) {
  core::RandomStream random(3, "jobs");
  std::vector<float> jct(20000);
  for (float& it : jct) it = float(100 + 10 * random.normal());
  const std::vector<Compared> compared = compare({{run_of(jct)}}, {});
  const Interval interval = *compared[0].intervals[std::size_t(Figure::kMeanJct)];
  const double deviation = 10 / std::sqrt(20000.0);
  EXPECT_NEAR(interval.value, 100, 5 * deviation);
  // A deviation estimated from 2,000 replicates of 714 blocks is within 10 %.
  EXPECT_NEAR(interval.high - interval.low, 2 * 1.96 * deviation, 0.1 * 2 * 1.96 * deviation);
}

TEST(CompareTest, BlocksSeeThatNeighboursWaitForOneAnother) {
  // Runs of 25 equal jobs: an eighth of that, seen alone, would make the interval five times as
  // narrow as it is.
  core::RandomStream random(4, "jobs");
  std::vector<float> jct(20000);
  for (std::size_t i = 0; i < jct.size(); i += 25) {
    const auto value = float(100 + 10 * random.normal());
    for (std::size_t j = i; j < i + 25; ++j) jct[j] = value;
  }
  const Interval interval =
      *compare({{run_of(jct)}}, {})[0].intervals[std::size_t(Figure::kMeanJct)];
  const double alone = 2 * 1.96 * 10 / std::sqrt(20000.0);
  EXPECT_GT(interval.high - interval.low, 3 * alone);
}

TEST(CompareTest, PairedDifferencesAreExactWhereEveryJobGainsTheSame) {
  core::RandomStream random(5, "jobs");
  std::vector<float> before(1000);
  for (float& it : before) it = float(1 + 1000 * random.uniform());
  std::vector<float> after = before;
  for (float& it : after) it *= 0.75F;
  const std::vector<Compared> compared = compare({{run_of(before)}, {run_of(after)}}, {});
  const Interval change = *compared[1].against_first[std::size_t(Figure::kMeanJct)];
  EXPECT_NEAR(change.value, -0.25, 1e-6);
  EXPECT_NEAR(change.low, -0.25, 1e-6);
  EXPECT_NEAR(change.high, -0.25, 1e-6);
  EXPECT_EQ(compared[0].against_first[std::size_t(Figure::kMeanJct)]->high, 0);
}

TEST(CompareTest, OneTracesMakespanHasNoIntervalAndThatOfSeveralHasOne) {
  RunFigures run = run_of({1, 2, 3, 4});
  const auto makespan = std::size_t(Figure::kMakespan);
  run.figures[makespan] = 10;
  EXPECT_FALSE(compare({{run}}, {})[0].intervals[makespan]);
  RunFigures longer = run;
  longer.figures[makespan] = 20;
  const Compared several = compare({{run, longer, run}}, {})[0];
  ASSERT_TRUE(several.intervals[makespan]);
  EXPECT_NEAR(several.of(Figure::kMakespan), 40.0 / 3, 1e-12);
  EXPECT_EQ(several.intervals[makespan]->low, 10);
  EXPECT_EQ(several.intervals[makespan]->high, 20);
}

TEST(VariationTest, TwiceTheLoadHalvesTheGapsAndKeepsTheSlack) {
  trace::JobTrace trace;
  trace.jobs.resize(2);
  trace.jobs[1].submit_ns = 1000;
  trace.jobs[1].deadline_ns = 1500;
  trace.jobs[1].start_ns = 1100;
  const trace::JobTrace twice = at_load(trace, 2);
  EXPECT_EQ(twice.jobs[1].submit_ns, 500);
  EXPECT_EQ(twice.jobs[1].deadline_ns, 1000);
  EXPECT_EQ(twice.jobs[1].start_ns, -1);
}

TEST(VariationTest, AnotherShapeKeepsLinksAndOversubscription) {
  Topology cluster = oversubscribed(uniform(2, 4, 8), 8);
  cluster.accelerator = "v100";
  EXPECT_EQ(cluster.rack_uplink.bandwidth, cluster.node_uplink.bandwidth * 0.5);
  const Topology other = reshaped(cluster, 4, 16, 2);
  EXPECT_EQ(other.accelerators(), 128);
  EXPECT_EQ(other.accelerator, "v100");
  EXPECT_EQ(other.node_uplink.bandwidth, cluster.node_uplink.bandwidth);
  EXPECT_EQ(other.rack_uplink.bandwidth, cluster.node_uplink.bandwidth * 2);
}

TEST(VariationTest, TimersScaleTogether) {
  const Policy policy = with_timers(*make_policy("dally", "manual"), 0.1);
  EXPECT_EQ(policy.settings.text("delay-node"), "6 min");
  EXPECT_EQ(policy.settings.text("delay-rack"), "12 min");
  EXPECT_EQ(policy.settings.text("slurm-wait"), "30 s");
}

TEST(SkewTest, OneTensorDominatesVggAndNotResNet) {
  EXPECT_NEAR(model_skew("VGG-16"), 102.76 / 138.36, 1e-9);
  EXPECT_NEAR(model_skew("resnet_50"), 2.36 / 25.56, 1e-9);
  EXPECT_EQ(model_skew("a model of nobody"), 0);
}

TEST(SkewTest, TheTiresiasRuleConsolidatesVggAndSpreadsResNet) {
  // Two nodes with one accelerator free each: a VGG declines them, a ResNet takes them.
  const Topology cluster = uniform(1, 2, 3);
  const auto start_of = [&](int model) {
    trace::JobTrace trace;
    trace.models = {"resnet50", "vgg16"};
    const auto add = [&](int submit_s, int duration_s, int which) {
      trace::TrainingJob job;
      job.submit_ns = std::int64_t(submit_s) * 1'000'000'000;
      job.duration_ns = std::int64_t(duration_s) * 1'000'000'000;
      job.accelerators = 2;
      job.model = which;
      trace.jobs.push_back(job);
    };
    add(0, 1000, 0);
    add(0, 3000, 0);
    add(10, 500, model);
    SpeedBook speeds;
    const Policy policy = *make_policy("fifo-backfill", "tiresias");
    const Result<SimulationResult> result =
        simulate({.trace = trace, .cluster = cluster, .policy = policy}, speeds);
    EXPECT_TRUE(result);
    return result->outcomes[2].start.ns / 1'000'000'000;
  };
  EXPECT_EQ(start_of(0), 10);
  EXPECT_EQ(start_of(1), 1000);
}

}  // namespace
}  // namespace penstock::cluster
