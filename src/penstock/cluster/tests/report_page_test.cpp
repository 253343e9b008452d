#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "penstock/cluster/internal/lane_blocks.h"
#include "penstock/cluster/internal/usage.h"
#include "penstock/cluster/report.h"
#include "penstock/core/json.h"

namespace penstock::cluster {
namespace {

using core::Json;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kSecond = 1'000'000'000;

struct Replay {
  trace::JobTrace trace;
  Topology cluster;
  SimulationResult result;
  Time begin{};
  Time end{};
};

Replay replay(int jobs, const std::string& order, const std::string& placement) {
  Replay out;
  out.trace = trace::generate_jobs({.law = "bursty",
                                    .jobs = jobs,
                                    .accelerators = {1, 1, 2, 3, 4, 8, 16},
                                    .models = {"vgg16", "resnet50", "bert"}},
                                   11)
                  .value();
  out.cluster = uniform(2, 4, 8);
  SpeedBook speeds;
  out.result = simulate({.trace = out.trace,
                         .cluster = out.cluster,
                         .policy = make_policy(order, placement).value(),
                         .keep_episodes = true,
                         .keep_timers = true},
                        speeds)
                   .value();
  out.begin = {out.trace.jobs.front().submit_ns};
  for (const JobOutcome& outcome : out.result.outcomes) out.end = std::max(out.end, outcome.end);
  return out;
}

double accelerator_seconds(const std::vector<internal::LaneBlock>& blocks) {
  double sum = 0;
  for (const auto& block : blocks)
    sum += block.lanes * sim::seconds_of(block.end - block.start).value();
  return sum;
}

// Blocks of each lane, by start.
std::map<std::int64_t, std::vector<internal::LaneBlock>> by_lane(
    const std::vector<internal::LaneBlock>& blocks) {
  std::map<std::int64_t, std::vector<internal::LaneBlock>> lanes;
  for (const auto& block : blocks) {
    for (std::int32_t i = 0; i < block.lanes; ++i) lanes[block.lane + i].push_back(block);
  }
  for (auto& [lane, list] : lanes) {
    std::sort(list.begin(), list.end(),
              [](const auto& a, const auto& b) { return a.start < b.start; });
  }
  return lanes;
}

TEST(LaneBlocksTest, EveryAcceleratorHasOneJobAtATimeAndNoSecondIsLost) {
  const Replay run = replay(400, "2d-las", "no-wait");
  const auto blocks = internal::lane_blocks(run.cluster, run.result.episodes);
  double held = 0;
  for (const JobOutcome& outcome : run.result.outcomes) {
    held += run.trace.jobs[std::size_t(outcome.job)].accelerators *
            sim::seconds_of(outcome.held).value();
  }
  EXPECT_NEAR(accelerator_seconds(blocks), held, 1e-9 * held);
  for (const auto& [lane, list] : by_lane(blocks)) {
    EXPECT_LT(lane, run.cluster.accelerators());
    for (std::size_t i = 1; i < list.size(); ++i) {
      EXPECT_LE(list[i - 1].end, list[i].start);
    }
  }
}

TEST(LaneBlocksTest, AJobStandsOnNeighboursWhereANodeHasThem) {
  const Topology cluster = uniform(1, 1, 8);
  const auto stay = [](std::int32_t job, std::int64_t from, std::int64_t to, std::int32_t n) {
    return Episode{.job = job, .start = {from}, .end = {to}, .placement = {{{0, n}}}};
  };
  // Job 1 leaves lanes 2 to 4 to job 3, though lane 7 is free too.
  const auto blocks = internal::lane_blocks(
      cluster, {stay(0, 0, 100, 2), stay(1, 0, 50, 3), stay(2, 0, 100, 2), stay(3, 60, 90, 3)});
  ASSERT_EQ(blocks.size(), 4U);
  EXPECT_EQ(blocks[3].lane, 2);
  EXPECT_EQ(blocks[3].lanes, 3);
}

TEST(LaneBlocksTest, AStayOfNoLengthHoldsNothing) {
  const Topology cluster = uniform(1, 1, 2);
  const auto blocks = internal::lane_blocks(
      cluster, {{.job = 0, .start = {5}, .end = {5}, .placement = {{{0, 2}}}},
                {.job = 1, .start = {5}, .end = {9}, .placement = {{{0, 2}}}}});
  ASSERT_EQ(blocks.size(), 1U);
  EXPECT_EQ(blocks[0].job, 1);
}

TEST(LaneBlocksTest, WhatFitsIsNotMerged) {
  const Replay run = replay(100, "fifo", "no-wait");
  const auto blocks = internal::lane_blocks(run.cluster, run.result.episodes);
  const auto seen =
      internal::thin(blocks, run.end - run.begin, blocks.size(), [](std::int32_t) { return true; });
  EXPECT_EQ(seen.blocks.size(), blocks.size());
  EXPECT_EQ(seen.merged, 0);
  EXPECT_EQ(seen.shortest.ns, 0);
}

TEST(LaneBlocksTest, MergingCountsEveryStayAndCoversItsTime) {
  const Replay run = replay(400, "2d-las", "no-wait");
  const auto blocks = internal::lane_blocks(run.cluster, run.result.episodes);
  std::int64_t stays = 0;
  for (const auto& block : blocks) stays += block.lanes;
  const auto seen = internal::thin(blocks, run.end - run.begin, blocks.size() / 2,
                                   [](std::int32_t) { return true; });
  ASSERT_GT(seen.merged, 0);
  EXPECT_EQ(seen.left_out, 0);
  EXPECT_LE(seen.blocks.size(), blocks.size() / 2);
  std::int64_t seen_stays = 0;
  for (const auto& block : seen.blocks) {
    seen_stays += std::int64_t(block.stays) * block.lanes;
    if (block.job < 0) continue;
    EXPECT_GE(block.end - block.start, seen.shortest);
  }
  EXPECT_EQ(seen_stays, stays);
  EXPECT_GE(accelerator_seconds(seen.blocks), accelerator_seconds(blocks));
  for (const auto& [lane, list] : by_lane(seen.blocks)) {
    for (std::size_t i = 1; i < list.size(); ++i) {
      EXPECT_LE(list[i - 1].end, list[i].start);
    }
  }
}

TEST(TimeBinsTest, MeansAreThoseOfTheIntervals) {
  internal::TimeBins bins({0}, {10 * kSecond}, 5);
  bins.add({1 * kSecond}, {7 * kSecond}, 2);  // half of bin 0, bins 1 and 2, half of bin 3
  bins.add({8 * kSecond}, {9 * kSecond}, 4);
  bins.add({20 * kSecond}, {30 * kSecond}, 9);  // beyond
  EXPECT_THAT(bins.means(), testing::ElementsAre(1, 2, 2, 1, 2));
}

TEST(UsageTest, ItsMeansAreTheUtilisationAndTheMeanQueue) {
  const Replay run = replay(400, "dally", "auto");
  const internal::Usage usage =
      internal::usage(run.trace, run.cluster, run.result, run.begin, run.end, 97);
  double busy = 0;
  double pending = 0;
  for (std::size_t i = 0; i < 97; ++i) {
    for (const auto& tier : usage.busy) busy += tier[i];
    pending += usage.pending_jobs[i];
    EXPECT_GE(usage.wanted[i], -1e-6);
  }
  EXPECT_NEAR(busy / 97 / run.cluster.accelerators(), run.result.metrics.utilisation, 1e-9);
  // Little's law: jobs waiting on average = arrivals a second x mean wait.
  const double arrivals = 400 / run.result.metrics.makespan_s;
  EXPECT_NEAR(pending / 97, arrivals * run.result.metrics.mean_wait_s, 1e-6);
}

TEST(ReportPageTest, ClassesAreTheWholeInParts) {
  const Replay run = replay(400, "dally", "auto");
  const Json report = report_json(run.result.metrics.to_json(), run.trace, run.cluster, run.result);
  const Json& classes = report["classes"];
  ASSERT_EQ(classes.size(), 6U);  // all; 1, 2, 3 to 4, 5 to 8, 9 to 16
  EXPECT_EQ(classes[0]["class"], nullptr);
  EXPECT_NEAR(classes[0]["mean_s"].get<double>(), run.result.metrics.mean_jct_s, 1);
  EXPECT_NEAR(classes[0]["p99_s"].get<double>(), run.result.metrics.p99_jct_s, 1);
  std::int64_t jobs = 0;
  double time = 0;
  for (std::size_t i = 1; i < classes.size(); ++i) {
    const auto n = classes[i]["jobs"].get<std::int64_t>();
    jobs += n;
    time += double(n) * classes[i]["mean_s"].get<double>();
    double last = 0;
    for (const Json& point : classes[i]["law"]) {
      EXPECT_GE(point[0].get<double>(), last);
      last = point[0].get<double>();
    }
    EXPECT_EQ(classes[i]["law"].back()[1], 1);
  }
  EXPECT_EQ(jobs, 400);
  EXPECT_NEAR(time / 400, run.result.metrics.mean_jct_s, 1);
}

TEST(ReportPageTest, APageOfALongTraceStaysSmall) {
  const Replay thousand = replay(1'000, "2d-las", "no-wait");
  const Replay many = replay(30'000, "2d-las", "no-wait");
  for (const Replay* run : {&thousand, &many}) {
    const Json report =
        report_json(run->result.metrics.to_json(), run->trace, run->cluster, run->result);
    EXPECT_LT(report_html(report).size(), 3'000'000U);
    EXPECT_LE(report["jobs"]["name"].size(), 10'000U);
  }
}

TEST(ReportPageTest, ANameCannotEndItsElement) {
  Replay run = replay(20, "fifo", "no-wait");
  run.cluster.name = "</title><script>";
  run.trace.jobs[0].name = "</script><!--";
  const std::string html =
      report_html(report_json(run.result.metrics.to_json(), run.trace, run.cluster, run.result));
  EXPECT_THAT(html, Not(HasSubstr("</title><script>")));
  EXPECT_THAT(html, Not(HasSubstr("</script><!--")));
  EXPECT_THAT(html, HasSubstr("\\u003c/script>\\u003c!--"));
}

}  // namespace
}  // namespace penstock::cluster
