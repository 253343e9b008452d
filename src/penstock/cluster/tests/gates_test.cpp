// Laws that every policy obeys, and runs that different policies must share (rooms/cluster.md, 10).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "penstock/cluster/simulate.h"
#include "penstock/cluster/tests/drawn_cases.h"

namespace penstock::cluster {
namespace {

constexpr Time kZero{0};

Time ticks(std::int64_t count) { return {count * kTick}; }

SpeedBook stated_speeds() {
  SpeedBook speeds;
  speeds.state("even", 1, 2);
  speeds.state("skewed", 2, 4);
  speeds.state("wide", 4, 8);
  return speeds;
}

Policy crowded_policy(const std::string& order, const std::string& rule) {
  Policy policy = *make_policy(order, rule);
  policy.settings.las_limit_0 = ticks(480);
  policy.settings.las_limit_1 = ticks(4800);
  policy.settings.delay_node = ticks(100);
  policy.settings.delay_rack = ticks(150);
  policy.settings.quantum = ticks(40);
  policy.settings.checkpoint = policy.settings.restore = ticks(10);
  policy.settings.min_run = ticks(40);
  return policy;
}

SimulationResult run(const Simulation& simulation, SpeedBook speeds) {
  Result<SimulationResult> result = simulate(simulation, speeds);
  if (!result) ADD_FAILURE() << result.error().text();
  return result ? *std::move(result) : SimulationResult{};
}

bool equal_stays(const SimulationResult& a, const SimulationResult& b, bool placements) {
  if (a.episodes.size() != b.episodes.size()) return false;
  for (std::size_t i = 0; i < a.episodes.size(); ++i) {
    const Episode& left = a.episodes[i];
    const Episode& right = b.episodes[i];
    if (left.job != right.job || left.start != right.start || left.end != right.end) return false;
    if (placements && left.placement != right.placement) return false;
  }
  return true;
}

// --- Conservation

void expect_no_accelerator_held_twice(const Topology& cluster,
                                      const std::vector<Episode>& episodes) {
  std::vector<std::map<Time, int>> changes(cluster.nodes.size());
  for (const Episode& episode : episodes) {
    for (const Placement::Part& part : episode.placement.parts) {
      EXPECT_GT(part.accelerators, 0);
      changes[std::size_t(part.node)][episode.start] += part.accelerators;
      changes[std::size_t(part.node)][episode.end] -= part.accelerators;
    }
  }
  for (std::size_t node = 0; node < changes.size(); ++node) {
    int held = 0;
    for (const auto& [at, change] : changes[node]) {
      held += change;
      ASSERT_GE(held, 0);
      ASSERT_LE(held, cluster.nodes[node].accelerators) << "node " << node << " at " << at.ns;
    }
  }
}

struct Stays {
  std::int64_t held = 0;
  double work = 0;  // done, at the best placement's speed
  int count = 0;
  Time last_end = kZero;
};

void expect_conservation(const Simulation& in, const SimulationResult& result) {
  ASSERT_EQ(result.outcomes.size(), in.trace.jobs.size());
  ASSERT_EQ(result.metrics.jobs, std::int64_t(in.trace.jobs.size()));
  expect_no_accelerator_held_twice(in.cluster, result.episodes);
  SpeedBook speeds = stated_speeds();
  const double factor = in.contention == Contention::kFactor ? in.congestion : 1;
  const Settings& settings = in.policy.settings;
  const double restart = double((settings.checkpoint + settings.restore).ns);
  std::vector<Stays> stays(in.trace.jobs.size());
  double held = 0;
  for (const Episode& episode : result.episodes) {
    const trace::TrainingJob& job = in.trace.jobs[std::size_t(episode.job)];
    Stays& sum = stays[std::size_t(episode.job)];
    ASSERT_GE(episode.start, sum.last_end) << "job " << episode.job << " runs twice at a time";
    ASSERT_GE(episode.start.ns, job.submit_ns);
    sum.last_end = episode.end;
    sum.held += (episode.end - episode.start).ns;
    int accelerators = 0;
    for (const Placement::Part& part : episode.placement.parts) accelerators += part.accelerators;
    ASSERT_EQ(accelerators, job.accelerators);
    held += double((episode.end - episode.start).ns) * accelerators;
    const int job_class =
        speeds.job_class(in.trace.models[std::size_t(job.model)], job.accelerators, 0, -1);
    const double slowdown =
        in.cluster.nodes.size() == 1
            ? 1
            : 1 + factor * (speeds.at(job_class, in.cluster, episode.placement).slowdown - 1);
    const double lost = (sum.count++ > 0 ? restart : 0) + double(in.start_cost.ns);
    sum.work += std::max(0.0, double((episode.end - episode.start).ns) - lost) / slowdown;
  }
  for (const JobOutcome& outcome : result.outcomes) {
    const Stays& sum = stays[std::size_t(outcome.job)];
    ASSERT_EQ(sum.count, outcome.starts + outcome.migrations);
    ASSERT_EQ(outcome.starts, outcome.preemptions + 1);
    ASSERT_EQ(sum.held, outcome.held.ns);
    ASSERT_EQ(sum.last_end, outcome.end);
    const double work = double(in.trace.jobs[std::size_t(outcome.job)].duration_ns);
    if (in.contention == Contention::kFluid) {
      ASSERT_GE(sum.work, work - 2 * sum.count);  // shares of links only slow it
    } else {
      ASSERT_NEAR(sum.work, work, 2 * sum.count) << "job " << outcome.job;
    }
  }
  const double there = result.metrics.makespan_s * in.cluster.accelerators();
  EXPECT_NEAR(result.metrics.utilisation * there, held / 1e9, 1e-6 * there);
  EXPECT_LE(result.metrics.utilisation, 1 + 1e-9);
}

class ConservationTest : public testing::TestWithParam<std::string> {};

TEST_P(ConservationTest, JobsWorkAndAcceleratorsAreKeptUnderEveryRuleAndContention) {
  for (const PatienceRule& rule : patience_rules()) {
    for (const Contention contention :
         {Contention::kNone, Contention::kFactor, Contention::kFluid}) {
      for (std::uint64_t seed = 0; seed < 6; ++seed) {
        core::RandomStream random(seed, GetParam() + rule.name);
        const Topology cluster = drawn_cluster(random, seed == 0);
        const trace::JobTrace trace =
            drawn_jobs(random, 80, cluster.accelerators(), seed % 3 == 0 ? 2 : 0.8);
        Policy policy = crowded_policy(GetParam(), rule.name);
        policy.settings.migrate = seed % 2 == 1;
        policy.settings.reserve_after = ticks(seed % 3 == 2 ? 200 : 0);
        if (seed == 5) policy.settings.min_run = kZero;
        const Simulation simulation{.trace = trace,
                                    .cluster = cluster,
                                    .policy = policy,
                                    .contention = contention,
                                    .congestion = 3,
                                    .round = ticks(seed == 4 ? 30 : 0),
                                    .start_cost = ticks(seed == 3 ? 5 : 0),
                                    .keep_episodes = true};
        SCOPED_TRACE(rule.name + " seed " + std::to_string(seed) + " contention " +
                     std::to_string(int(contention)));
        expect_conservation(simulation, run(simulation, stated_speeds()));
        if (HasFatalFailure()) return;
      }
    }
  }
}

std::vector<std::string> order_names() {
  std::vector<std::string> names;
  for (const Order& order : orders()) names.push_back(order.name);
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& row) {
  std::string name = row.param;
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Orders, ConservationTest, testing::ValuesIn(order_names()), test_name);

// --- Reduction

TEST(ReductionTest, WithoutSlowdownsAndCostsDallyIsTwoDimensionalLas) {
  for (const char* rule : {"no-wait", "count", "manual", "consolidated"}) {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
      core::RandomStream random(seed, "reduction");
      const Topology cluster = drawn_cluster(random, seed % 2 == 0);
      const trace::JobTrace trace = drawn_jobs(random, 150, cluster.accelerators(), 1.2);
      Policy dally = crowded_policy("dally", rule);
      Policy las = crowded_policy("2d-las", rule);
      for (Policy* policy : {&dally, &las}) {
        policy->settings.checkpoint = policy->settings.restore = kZero;
      }
      const SimulationResult a =
          run({.trace = trace, .cluster = cluster, .policy = dally, .keep_episodes = true},
              SpeedBook::flat());
      const SimulationResult b =
          run({.trace = trace, .cluster = cluster, .policy = las, .keep_episodes = true},
              SpeedBook::flat());
      ASSERT_TRUE(equal_stays(a, b, true)) << rule << " seed " << seed;
    }
  }
}

TEST(ReductionTest, TimersOfZeroAreNoWaitAndEndlessOnesConsolidate) {
  for (const std::string& order : order_names()) {
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      core::RandomStream random(seed, order);
      const Topology cluster = drawn_cluster(random, seed % 2 == 0);
      const trace::JobTrace trace = drawn_jobs(random, 120, cluster.accelerators(), 1.1);
      const auto stays = [&](const std::string& rule, Time node, Time rack) {
        Policy policy = crowded_policy(order, rule);
        policy.settings.delay_node = node;
        policy.settings.delay_rack = rack;
        return run({.trace = trace, .cluster = cluster, .policy = policy, .keep_episodes = true},
                   stated_speeds());
      };
      ASSERT_TRUE(equal_stays(stays("manual", kZero, kZero), stays("no-wait", kZero, kZero), true))
          << order << " seed " << seed;
      ASSERT_TRUE(
          equal_stays(stays("manual", kNever, kNever), stays("consolidated", kNever, kNever), true))
          << order << " seed " << seed;
    }
  }
}

TEST(ReductionTest, InOneNodeAllPatienceRulesAreEqual) {
  const Topology cluster = one_node(12);
  for (const std::string& order : order_names()) {
    core::RandomStream random(4, order);
    const trace::JobTrace trace = drawn_jobs(random, 200, 12, 1.1);
    const auto stays = [&](const std::string& rule) {
      return run({.trace = trace,
                  .cluster = cluster,
                  .policy = crowded_policy(order, rule),
                  .keep_episodes = true},
                 stated_speeds());
    };
    const SimulationResult first = stays("count");
    for (const PatienceRule& rule : patience_rules()) {
      ASSERT_TRUE(equal_stays(first, stays(rule.name), true)) << order << " " << rule.name;
    }
  }
}

// With one accelerator a node every set of nodes of a rack is as close as any other.
TEST(ReductionTest, InOneRackOfSingleAcceleratorsAllPatienceRulesStartAndEndEqually) {
  const Topology cluster = uniform(1, 12, 1);
  for (const std::string& order : order_names()) {
    core::RandomStream random(4, order);
    const trace::JobTrace trace = drawn_jobs(random, 200, 12, 1.1);
    const auto stays = [&](const std::string& rule) {
      Policy policy = crowded_policy(order, rule);
      policy.settings.min_run = kZero;
      return run({.trace = trace, .cluster = cluster, .policy = policy, .keep_episodes = true},
                 SpeedBook::flat());
    };
    const SimulationResult first = stays("no-wait");
    for (const PatienceRule& rule : patience_rules()) {
      // Walks that preempt by count look for other victims.
      if (rule.by_count && make_policy(order, "")->order.preemptive) continue;
      if (rule.anew) continue;  // moves running jobs, which costs them a restart
      ASSERT_TRUE(equal_stays(first, stays(rule.name), true)) << order << " " << rule.name;
    }
  }
}

// --- One wide job among narrow ones

// Narrow jobs hold parts of nodes until different times; then a wide job comes, and nobody after
// it.
struct OneWideJob {
  Topology cluster = uniform(2, 3, 4);
  trace::JobTrace trace;

  OneWideJob(std::uint64_t seed, int accelerators) {
    core::RandomStream random(seed, "one wide job");
    trace.models = {"even", "skewed", "wide"};
    for (int node = 0; node < 6; ++node) {  // four at a time fill a node
      for (int i = 0; i < 4; ++i) {
        add(0, 1, 100 + std::int64_t(random.below(random.below(3) == 0 ? 2 : 4000)));
      }
    }
    add(101, accelerators, 200 + std::int64_t(random.below(4000)));
    trace.jobs.back().model = std::int32_t(random.below(3));
  }

  void add(std::int64_t submit, int accelerators, std::int64_t duration) {
    trace::TrainingJob job;
    job.name = std::to_string(trace.jobs.size());
    job.submit_ns = submit * kTick;
    job.duration_ns = duration * kTick;
    job.accelerators = accelerators;
    job.model = 0;
    trace.jobs.push_back(job);
  }

  // What the wide job lost to waiting and to its placement.
  struct Cost {
    double waited = 0;
    double lost = 0;
  };
  Cost cost(const std::string& rule, Time node, Time rack, double price_cap = 8) const {
    Policy policy = *make_policy("fifo-backfill", rule);
    policy.settings.delay_node = node;
    policy.settings.delay_rack = rack;
    policy.settings.price_cap = price_cap;
    const SimulationResult result =
        run({.trace = trace, .cluster = cluster, .policy = policy}, stated_speeds());
    const JobOutcome& wide = result.outcomes.back();
    const trace::TrainingJob& job = trace.jobs[std::size_t(wide.job)];
    const auto declined = double((wide.declined_for_node + wide.declined_for_rack).ns);
    return {declined, double(wide.held.ns - job.duration_ns)};
  }
};

TEST(MonotoneTest, LossToPlacementNeverRisesWithTheTimer) {
  int falls = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const OneWideJob instance(seed, 2 + int(seed % 9));
    double last = instance.cost("no-wait", kZero, kZero).lost;
    for (const std::int64_t timer : {0, 10, 40, 160, 640, 2560, 10240}) {
      const double lost = instance.cost("manual", ticks(timer), ticks(2 * timer)).lost;
      ASSERT_LE(lost, last) << "seed " << seed << " timer " << timer;
      falls += lost < last;
      last = lost;
    }
    ASSERT_EQ(instance.cost("consolidated", kZero, kZero).lost, last);
  }
  EXPECT_GT(falls, 30);  // the timers did something
}

TEST(MonotoneTest, WithoutCongestionNoPlacementLosesAnything) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    core::RandomStream random(seed, "no congestion");
    const Topology cluster = drawn_cluster(random, false);
    const trace::JobTrace trace = drawn_jobs(random, 100, cluster.accelerators(), 1);
    for (const char* rule : {"no-wait", "manual", "consolidated"}) {
      const Policy policy = crowded_policy("fifo-backfill", rule);
      const SimulationResult result = run({.trace = trace,
                                           .cluster = cluster,
                                           .policy = policy,
                                           .contention = Contention::kFactor,
                                           .congestion = 0},
                                          stated_speeds());
      EXPECT_EQ(result.metrics.communication_loss_accelerator_h, 0) << rule << " seed " << seed;
    }
  }
}

// Karlin et al., Algorithmica 1988; the price alone decides when the cap is out of the way.
TEST(SkiRentalTest, PricedWaitingCostsAtMostTwiceTheBestInHindsight) {
  double worst = 1;
  for (std::uint64_t seed = 0; seed < 80; ++seed) {
    const OneWideJob instance(seed, 2 + int(seed % 9));
    const auto total = [](const OneWideJob::Cost& cost) { return cost.waited + cost.lost; };
    double best = total(instance.cost("consolidated", kZero, kZero));
    std::vector<std::int64_t> moments{0};  // after the wide job has come, when something ends
    for (const trace::TrainingJob& job : instance.trace.jobs) {
      const std::int64_t since = job.duration_ns / kTick - 101;
      if (job.submit_ns == 0 && since > 0) moments.push_back(since);
    }
    std::sort(moments.begin(), moments.end());
    for (std::size_t i = 0; i < moments.size(); i += 3) {
      for (std::size_t k = i; k < moments.size(); k += 3) {
        best = std::min(best, total(instance.cost("manual", ticks(moments[i]),
                                                  ticks(moments[k] - moments[i]))));
      }
    }
    const double priced = total(instance.cost("priced", ticks(10000), ticks(10000), 1000));
    ASSERT_LE(priced, 2 * best + 1) << "seed " << seed;
    if (best > 0) worst = std::max(worst, priced / best);
  }
  EXPECT_GT(worst, 1.2);  // the bound was approached
}

// --- The delay clock

// Were waits counted from submission, every timer of a batch would expire in the queue
// (rooms/cluster.md, 3.4).
TEST(ClockTest, WhenAllJobsAreSubmittedAtOnceTimersStillMatter) {
  core::RandomStream random(1, "batch");
  const Topology cluster = uniform(2, 4, 8);
  trace::JobTrace trace = drawn_jobs(random, 300, 64, 1);
  for (trace::TrainingJob& job : trace.jobs) job.submit_ns = 0;
  const auto metrics = [&](const char* rule) {
    Policy policy = crowded_policy("fifo-backfill", rule);
    return run({.trace = trace,
                .cluster = cluster,
                .policy = policy,
                .contention = Contention::kFactor,
                .congestion = 2},
               stated_speeds())
        .metrics;
  };
  const Metrics at_once = metrics("no-wait");
  const Metrics waiting = metrics("manual");
  EXPECT_NE(waiting.communication_loss_accelerator_h, at_once.communication_loss_accelerator_h);
  EXPECT_NE(waiting.mean_jct_s, at_once.mean_jct_s);
  EXPECT_EQ(at_once.declined_for_node_s, 0);
  EXPECT_GT(waiting.declined_for_node_s, 0);
}

TEST(ClockTest, InStrictOrderOnlyTheHeadOfTheLineDeclines) {
  // Two nodes of four with two held on each until 100. Then three jobs of four come at 10: the
  // second and third see an offer when the first has gone, not before.
  trace::JobTrace trace;
  const auto add = [&](std::int64_t submit, int accelerators, std::int64_t duration) {
    trace::TrainingJob job;
    job.name = std::to_string(trace.jobs.size());
    job.submit_ns = submit * kTick;
    job.duration_ns = duration * kTick;
    job.accelerators = accelerators;
    trace.jobs.push_back(job);
  };
  add(0, 3, 1000);
  add(0, 3, 1000);
  for (int i = 0; i < 3; ++i) add(10, 2, 500);
  const Topology cluster = uniform(1, 2, 4);
  Policy policy = *make_policy("fifo", "manual");
  policy.settings.delay_node = ticks(50);
  const SimulationResult result =
      run({.trace = trace, .cluster = cluster, .policy = policy}, SpeedBook::flat());
  EXPECT_EQ(result.outcomes[2].declined_for_node, ticks(50));
  EXPECT_EQ(result.outcomes[2].start, ticks(60));
  // One and one are free again at 560: the next declines them for a timer of its own.
  EXPECT_EQ(result.outcomes[3].declined_for_node, ticks(50));
  EXPECT_EQ(result.outcomes[3].start, ticks(610));
}

}  // namespace
}  // namespace penstock::cluster
