#include "penstock/cluster/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "penstock/cluster/simulate.h"
#include "penstock/cluster/tests/drawn_cases.h"

namespace penstock::cluster {
namespace {

constexpr Time kZero{0};
Time ticks(std::int64_t count) { return {count * kTick}; }

// --- Nodes that fail

JobRequest wants(std::int32_t accelerators) {
  return {.accelerators = accelerators, .work = ticks(100)};
}

TEST(NodeTest, JobsOfALostNodeStartElsewhereAndBeforeOlderPendingOnes) {
  for (const char* order : {"fifo-backfill", "2d-las", "dally"}) {
    SCOPED_TRACE(order);
    const Topology cluster = uniform(1, 2, 4);
    SpeedBook speeds = SpeedBook::flat();
    Scheduler scheduler(cluster, *make_policy(order, "consolidated"), speeds);
    const JobRef first = scheduler.arrive(wants(4), kZero);
    const JobRef second = scheduler.arrive(wants(4), kZero);
    const JobRef third = scheduler.arrive(wants(4), kZero);
    ASSERT_EQ(scheduler.decide(kZero).size(), 2U);
    const std::int32_t node = scheduler.status(first, kZero).placement.parts[0].node;
    scheduler.lost(first, ticks(10));
    scheduler.node_down(node, ticks(10));
    EXPECT_TRUE(scheduler.decide(ticks(10)).empty());
    EXPECT_EQ(scheduler.free_accelerators(), 0);
    EXPECT_EQ(scheduler.pending(), 2);
    EXPECT_EQ(scheduler.status(first, ticks(10)).remaining, ticks(90));
    scheduler.finish(second, ticks(20));
    const std::vector<Decision> decisions = scheduler.decide(ticks(20));
    ASSERT_EQ(decisions.size(), 1U);
    if (std::string(order) != "fifo-backfill") {
      EXPECT_EQ(decisions[0].job, first);
    }
    EXPECT_NE(decisions[0].placement.parts[0].node, node);
    scheduler.node_up(node, ticks(30));
    const std::vector<Decision> after = scheduler.decide(ticks(30));
    ASSERT_EQ(after.size(), 1U);
    EXPECT_EQ(after[0].placement.parts[0].node, node);
    EXPECT_EQ(decisions[0].job + after[0].job, first + third);
  }
}

TEST(NodeTest, TheOrderOfLosingAJobAndItsNodeDoesNotMatter) {
  const Topology cluster = uniform(1, 3, 4);
  for (const bool node_first : {false, true}) {
    SpeedBook speeds = SpeedBook::flat();
    Scheduler scheduler(cluster, *make_policy("2d-las", "no-wait"), speeds);
    const JobRef wide = scheduler.arrive(wants(10), kZero);
    scheduler.decide(kZero);
    if (node_first) scheduler.node_down(1, ticks(1));
    scheduler.lost(wide, ticks(1));
    if (!node_first) scheduler.node_down(1, ticks(1));
    EXPECT_TRUE(scheduler.decide(ticks(1)).empty());
    EXPECT_EQ(scheduler.free_accelerators(), 8);
    scheduler.node_up(1, ticks(2));
    EXPECT_EQ(scheduler.decide(ticks(2)).size(), 1U);
    EXPECT_EQ(scheduler.free_accelerators(), 2);
  }
}

// Nodes fail and come back under a random load; no decision uses what is not there.
TEST(NodeTest, NoJobIsPlacedOnANodeThatIsDownNorMoreThanItHolds) {
  for (const Order& order : orders()) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      SCOPED_TRACE(order.name + " seed " + std::to_string(seed));
      core::RandomStream random(seed, order.name);
      const Topology cluster = drawn_cluster(random, false);
      Policy policy = *make_policy(order.name, seed % 2 == 0 ? "manual" : "no-wait");
      policy.settings.min_run = kZero;
      policy.settings.las_limit_0 = ticks(100);
      policy.settings.las_limit_1 = ticks(500);
      policy.settings.migrate = seed % 4 == 3;
      SpeedBook speeds = SpeedBook::flat();
      Scheduler scheduler(cluster, policy, speeds);
      std::vector<int> held(cluster.nodes.size());
      std::vector<char> down(cluster.nodes.size());
      std::map<JobRef, Placement> running;
      std::vector<JobRef> alive;
      const auto give = [&](JobRef ref) {
        for (const Placement::Part& part : running[ref].parts) {
          held[std::size_t(part.node)] -= part.accelerators;
        }
        running.erase(ref);
      };
      Time now = kZero;
      for (int step = 0; step < 400; ++step) {
        now = now + ticks(std::int64_t(random.below(20)));
        const std::uint64_t what = random.below(10);
        if (what < 6) {
          JobRequest request = wants(
              1 + std::int32_t(random.below(std::uint64_t(std::min(8, cluster.accelerators())))));
          request.work = ticks(1 + std::int64_t(random.below(1000)));
          alive.push_back(scheduler.arrive(request, now));
        } else if (what < 8 && !alive.empty()) {
          const auto at = std::ptrdiff_t(random.below(alive.size()));
          const JobRef ref = alive[std::size_t(at)];
          alive.erase(alive.begin() + at);
          if (running.count(ref) != 0) give(ref);
          scheduler.finish(ref, now);
        } else {
          const auto node = std::size_t(random.below(cluster.nodes.size()));
          if (down[node]) {
            scheduler.node_up(std::int32_t(node), now);
          } else {
            std::vector<JobRef> lost;
            for (const auto& [ref, placement] : running) {
              for (const Placement::Part& part : placement.parts) {
                if (part.node == std::int32_t(node)) lost.push_back(ref);
              }
            }
            for (const JobRef ref : lost) {
              give(ref);
              scheduler.lost(ref, now);
            }
            scheduler.node_down(std::int32_t(node), now);
          }
          down[node] = !down[node];
        }
        for (const Decision& decision : scheduler.decide(now)) {
          if (decision.kind != DecisionKind::kStart) give(decision.job);
          if (decision.kind == DecisionKind::kPreempt) continue;
          for (const Placement::Part& part : decision.placement.parts) {
            ASSERT_FALSE(down[std::size_t(part.node)]);
            held[std::size_t(part.node)] += part.accelerators;
            ASSERT_LE(held[std::size_t(part.node)],
                      cluster.nodes[std::size_t(part.node)].accelerators);
          }
          running[decision.job] = decision.placement;
        }
        ASSERT_EQ(std::size_t(scheduler.pending()) + running.size(), alive.size());
        int free = 0;
        for (std::size_t node = 0; node < held.size(); ++node) {
          if (!down[node]) free += cluster.nodes[node].accelerators - held[node];
        }
        ASSERT_EQ(scheduler.free_accelerators(), free);
      }
    }
  }
}

// --- When decisions are made

TEST(DecideTest, ToAskAgainChangesNothing) {
  for (const Order& order : orders()) {
    for (const char* rule : {"no-wait", "manual", "count"}) {
      core::RandomStream random(3, order.name);
      const Topology cluster = drawn_cluster(random, false);
      Policy policy = *make_policy(order.name, rule);
      policy.settings.min_run = kZero;
      SpeedBook speeds = SpeedBook::flat();
      Scheduler scheduler(cluster, policy, speeds);
      Time now = kZero;
      for (int i = 0; i < 60; ++i) {
        now = now + ticks(std::int64_t(random.below(5)));
        JobRequest request = wants(
            1 + std::int32_t(random.below(std::uint64_t(std::min(8, cluster.accelerators())))));
        request.work = ticks(1 + std::int64_t(random.below(1000)));
        scheduler.arrive(request, now);
        scheduler.decide(now);
        const bool again = !scheduler.decide(now).empty();
        // Of two that have attained equally, orders that look at it all the time swap.
        if (!order.changes_while_running && order.running_first) {
          ASSERT_FALSE(again) << order.name << " " << rule << " job " << i;
        }
      }
    }
  }
}

struct Shape {
  std::int64_t submit;
  std::int64_t duration;
  int accelerators;
};

trace::JobTrace jobs_of(const std::vector<Shape>& shapes) {
  trace::JobTrace trace;
  for (const Shape& shape : shapes) {
    trace::TrainingJob job;
    job.name = std::to_string(trace.jobs.size());
    job.submit_ns = shape.submit * kTick;
    job.duration_ns = shape.duration * kTick;
    job.accelerators = shape.accelerators;
    trace.jobs.push_back(job);
  }
  return trace;
}

TEST(RoundTest, DecisionsFallOnMultiplesOfTheRoundAndNowhereElse) {
  core::RandomStream random(5, "rounds");
  const Topology cluster = uniform(2, 2, 4);
  const trace::JobTrace trace = drawn_jobs(random, 200, 16, 1);
  for (const Order& order : orders()) {
    const Policy policy = *make_policy(order.name, "manual");
    SpeedBook speeds = SpeedBook::flat();
    const auto result = simulate({.trace = trace,
                                  .cluster = cluster,
                                  .policy = policy,
                                  .round = ticks(360),
                                  .keep_episodes = true},
                                 speeds);
    ASSERT_TRUE(result);
    for (const Episode& episode : result->episodes) {
      ASSERT_EQ(episode.start.ns % (360 * kTick), 0) << order.name;
    }
    ASSERT_EQ(result->metrics.jobs, 200);
  }
}

TEST(StartCostTest, EveryStartCostsItAndNothingElseDoes) {
  const trace::JobTrace trace = jobs_of({{0, 100, 4}, {50, 10, 4}, {1000, 5, 2}});
  const Topology cluster = one_node(4);
  SpeedBook speeds = SpeedBook::flat();
  const auto result = simulate({.trace = trace,
                                .cluster = cluster,
                                .policy = *make_policy("fifo", ""),
                                .start_cost = ticks(7)},
                               speeds);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcomes[0].end, ticks(107));
  EXPECT_EQ(result->outcomes[1].start, ticks(107));
  EXPECT_EQ(result->outcomes[1].end, ticks(124));
  EXPECT_EQ(result->outcomes[2].end, ticks(1012));
  EXPECT_EQ(result->outcomes[2].restart, ticks(7));
}

TEST(StartCostTest, APreemptedJobIsSavedAndRestored) {
  const trace::JobTrace trace = jobs_of({{0, 100, 4}, {50, 10, 4}});
  const Topology cluster = one_node(4);
  Policy policy = *make_policy("srtf", "");
  policy.settings.checkpoint = ticks(2);
  policy.settings.restore = ticks(3);
  SpeedBook speeds = SpeedBook::flat();
  const auto result = simulate({.trace = trace, .cluster = cluster, .policy = policy}, speeds);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcomes[1].end, ticks(60));
  EXPECT_EQ(result->outcomes[0].end, ticks(60 + 5 + 50));
  EXPECT_EQ(result->outcomes[0].restart, ticks(5));
}

// --- Runs end

// A restart may cost more than a quantum, or than min-run: who is preempted before it has done
// anything would never end.
TEST(TerminationTest, EveryRunEndsHoweverDearRestartsAre) {
  for (const Order& order : orders()) {
    for (const char* rule : {"count", "no-wait", "manual"}) {
      for (const bool one : {true, false}) {
        const Topology cluster = one ? one_node(1) : uniform(1, 2, 1);
        const trace::JobTrace trace =
            jobs_of({{0, 900, 1}, {0, 900, 1}, {0, 900, 1}, {1, 900, 1}, {2, 500, 1}});
        Policy policy = *make_policy(order.name, rule);
        policy.settings.checkpoint = policy.settings.restore = ticks(300);
        policy.settings.min_run = kZero;
        policy.settings.las_limit_0 = ticks(1);
        policy.settings.las_limit_1 = ticks(2);
        SpeedBook speeds = SpeedBook::flat();
        std::int64_t reports = 0;
        const auto result =
            simulate({.trace = trace,
                      .cluster = cluster,
                      .policy = policy,
                      .progress = [&](Time, std::int64_t) { return ++reports < 20; }},
                     speeds);
        ASSERT_TRUE(result) << order.name << " " << rule << " does not end";
        EXPECT_EQ(result->metrics.jobs, 5);
      }
    }
  }
}

TEST(TerminationTest, AJobLargerThanTheClusterIsNamed) {
  const trace::JobTrace trace = jobs_of({{0, 5, 4}, {0, 5, 5}});
  const Topology cluster = uniform(1, 2, 2);
  SpeedBook speeds = SpeedBook::flat();
  const auto result =
      simulate({.trace = trace, .cluster = cluster, .policy = *make_policy("fifo", "")}, speeds);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().text().find("job 1 wants 5 accelerators and the cluster has 4"),
            std::string::npos)
      << result.error().text();
}

TEST(TerminationTest, AnEmptyTraceIsAnError) {
  const trace::JobTrace trace;
  const Topology cluster = one_node(2);
  SpeedBook speeds = SpeedBook::flat();
  const auto result =
      simulate({.trace = trace, .cluster = cluster, .policy = *make_policy("fifo", "")}, speeds);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().text().find("no job"), std::string::npos);
}

// --- Small optimum

// Least sum of completion times when in every unit of time any jobs that fit may run, for whole
// submissions and durations: no schedule that changes at whole times only does better.
class BestSchedule {
 public:
  BestSchedule(const std::vector<Shape>& jobs, int accelerators)
      : jobs_(jobs), accelerators_(accelerators) {}

  std::int64_t sum_of_completions() {
    std::vector<std::int64_t> left;
    for (const Shape& job : jobs_) left.push_back(job.duration);
    return best(0, left);
  }

 private:
  std::int64_t best(std::int64_t now, const std::vector<std::int64_t>& left) {
    if (std::all_of(left.begin(), left.end(), [](std::int64_t l) { return l == 0; })) return 0;
    const auto key = std::pair(now, left);
    if (const auto known = known_.find(key); known != known_.end()) return known->second;
    std::int64_t least = std::int64_t{1} << 60;
    bool idle = true;
    for (const Shape& job : jobs_) idle = idle && (job.submit > now);
    for (unsigned set = idle ? 0 : 1; set < (1U << jobs_.size()); ++set) {
      int used = 0;
      std::int64_t ended = 0;
      bool possible = true;
      std::vector<std::int64_t> after = left;
      for (std::size_t i = 0; i < jobs_.size() && possible; ++i) {
        if ((set >> i & 1U) == 0) continue;
        used += jobs_[i].accelerators;
        possible = used <= accelerators_ && left[i] > 0 && jobs_[i].submit <= now;
        if (--after[i] == 0) ended += now + 1;
      }
      if (possible) least = std::min(least, ended + best(now + 1, after));
      if (idle) break;
    }
    if (least == std::int64_t{1} << 60) least = best(now + 1, left);  // all that came have ended
    return known_[key] = least;
  }

  const std::vector<Shape>& jobs_;
  const int accelerators_;
  std::map<std::pair<std::int64_t, std::vector<std::int64_t>>, std::int64_t> known_;
};

TEST(SmallOptimumTest, NoOrderBeatsTheBestScheduleAndSrtfMeetsItOnOneAccelerator) {
  std::map<std::string, double> gap;
  constexpr int kInstances = 60;
  for (std::uint64_t seed = 0; seed < kInstances; ++seed) {
    core::RandomStream random(seed, "small");
    const int accelerators = seed % 3 == 0 ? 1 : 3;
    std::vector<Shape> shapes;
    for (std::uint64_t i = 0; i < 3 + seed % 3; ++i) {
      shapes.push_back({std::int64_t(random.below(4)), 1 + std::int64_t(random.below(4)),
                        1 + int(random.below(std::uint64_t(accelerators)))});
    }
    std::sort(shapes.begin(), shapes.end(),
              [](const Shape& a, const Shape& b) { return a.submit < b.submit; });
    const std::int64_t least = BestSchedule(shapes, accelerators).sum_of_completions();
    const trace::JobTrace trace = jobs_of(shapes);
    const Topology cluster = one_node(accelerators);
    for (const Order& order : orders()) {
      Policy policy = *make_policy(order.name, "");
      policy.settings.checkpoint = policy.settings.restore = policy.settings.min_run = kZero;
      policy.settings.quantum = ticks(1);
      policy.settings.las_limit_0 = ticks(6);
      policy.settings.las_limit_1 = ticks(12);
      SpeedBook speeds = SpeedBook::flat();
      const auto result = simulate({.trace = trace, .cluster = cluster, .policy = policy}, speeds);
      ASSERT_TRUE(result);
      std::int64_t sum = 0;
      for (const JobOutcome& outcome : result->outcomes) sum += outcome.end.ns;
      ASSERT_GE(sum, least * kTick) << order.name << " seed " << seed;
      if (order.name == "srtf" && accelerators == 1) {
        ASSERT_EQ(sum, least * kTick) << seed;
      }
      gap[order.name] += (double(sum) / double(least * kTick) - 1) / kInstances;
    }
  }
  for (const auto& [order, mean] : gap) {
    RecordProperty("mean_gap_percent_" + order, std::to_string(100 * mean));
  }
}

}  // namespace
}  // namespace penstock::cluster
