#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "penstock/cluster/simulate.h"
#include "penstock/cluster/tests/drawn_cases.h"
#include "penstock/cluster/tests/reference_placement.h"

namespace penstock::cluster {
namespace {

struct PlaceCase {
  const char* order;
  const char* rule;
  bool slowed;
};

void PrintTo(const PlaceCase& value, std::ostream* out) {
  *out << value.order << " " << value.rule << (value.slowed ? " slowed" : "");
}

class PlaceTest : public testing::TestWithParam<PlaceCase> {};

SpeedBook stated_speeds(bool slowed) {
  if (!slowed) return SpeedBook::flat();
  SpeedBook speeds;
  speeds.state("even", 1, 2);
  speeds.state("skewed", 2, 4);
  speeds.state("wide", 4, 8);
  return speeds;
}

Policy policy_in_ticks(const PlaceCase& which, std::uint64_t seed) {
  Policy policy = *make_policy(which.order, which.rule);
  Settings& settings = policy.settings;
  const auto ticks = [](std::int64_t count) { return Time{count * kTick}; };
  settings.las_limit_0 = ticks(seed % 7 == 0 ? 0 : 48 * 10);
  settings.las_limit_1 = ticks(48 * 100);
  settings.delay_node = ticks(std::int64_t(100 * (seed % 3)));
  settings.delay_rack = ticks(150);
  settings.checkpoint = settings.restore = ticks(std::int64_t(8 * (seed % 2)));
  settings.min_run = ticks(std::int64_t(32 * (seed % 4)));
  return policy;
}

std::vector<Stay> stays_of(const SimulationResult& result) {
  std::vector<Stay> stays;
  for (const Episode& episode : result.episodes) {
    Stay stay{episode.start.ns, episode.end.ns, std::size_t(episode.job), {}};
    for (const Placement::Part& part : episode.placement.parts) {
      stay.parts.emplace_back(part.node, part.accelerators);
    }
    stays.push_back(std::move(stay));
  }
  std::sort(stays.begin(), stays.end());
  return stays;
}

PlacementRules rules_of(const Policy& policy, const std::string& rule) {
  const Settings& settings = policy.settings;
  PlacementRules rules;
  rules.preemptive = policy.order.preemptive;
  rules.useful = policy.order.service == Service::kUseful;
  rules.limits = {settings.las_limit_0.ns, settings.las_limit_1.ns};
  if (rule == "manual") {
    rules.until_rack = settings.delay_node.ns;
    rules.until_network = (settings.delay_node + settings.delay_rack).ns;
  } else if (rule == "consolidated") {
    rules.until_rack = rules.until_network = ReferencePlacement::kForever;
  }
  rules.min_run = settings.min_run.ns;
  rules.restart = (settings.checkpoint + settings.restore).ns;
  return rules;
}

TEST_P(PlaceTest, AgreesStayByStayWithTheReferenceOnRandomTraces) {
  const PlaceCase& which = GetParam();
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    core::RandomStream random(seed, which.order);
    Topology cluster = drawn_cluster(random, seed % 4 == 0);
    while (cluster.nodes.size() == 1) cluster = drawn_cluster(random, false);  // by count alone
    trace::JobTrace trace =
        drawn_jobs(random, 120, cluster.accelerators(), seed % 5 == 0 ? 3 : 0.9);
    if (seed % 5 == 1) {  // a batch
      for (trace::TrainingJob& job : trace.jobs) job.submit_ns = 0;
    }
    const Policy policy = policy_in_ticks(which, seed);
    std::vector<PlacedJob> jobs;
    for (const trace::TrainingJob& job : trace.jobs) {
      PlacedJob placed{
          .submit = job.submit_ns, .work = job.duration_ns, .accelerators = job.accelerators};
      if (which.slowed) {
        const std::array<std::array<std::int64_t, 3>, 3> stated{{{1, 1, 2}, {1, 2, 4}, {1, 4, 8}}};
        const auto& slowdowns = stated[std::size_t(job.model)];
        const std::int64_t best = slowdowns[std::size_t(cluster.best_tier(job.accelerators))];
        for (std::size_t tier = 0; tier < 3; ++tier) {
          placed.slowdown[tier] = std::max<std::int64_t>(1, slowdowns[tier] / best);
        }
      }
      jobs.push_back(placed);
    }
    const std::vector<Stay> theirs =
        ReferencePlacement(cluster, rules_of(policy, which.rule), jobs).run();
    SpeedBook speeds = stated_speeds(which.slowed);
    const Result<SimulationResult> result = simulate(
        {.trace = trace, .cluster = cluster, .policy = policy, .keep_episodes = true}, speeds);
    ASSERT_TRUE(result) << result.error().text();
    const std::vector<Stay> ours = stays_of(*result);
    for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
      ASSERT_EQ(ours[i], theirs[i])
          << "seed " << seed << " stay " << i << ": job " << ours[i].job << " from "
          << ours[i].start / kTick << " to " << ours[i].end / kTick << ", reference "
          << theirs[i].job << " from " << theirs[i].start / kTick << " to "
          << theirs[i].end / kTick;
    }
    ASSERT_EQ(ours.size(), theirs.size()) << "seed " << seed;
  }
}

std::vector<PlaceCase> place_cases() {
  std::vector<PlaceCase> cases;
  for (const char* order : {"fifo-backfill", "2d-las", "dally"}) {
    for (const char* rule : {"no-wait", "manual", "consolidated"}) {
      for (const bool slowed : {false, true}) cases.push_back({order, rule, slowed});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, PlaceTest, testing::ValuesIn(place_cases()), [](const auto& row) {
  std::string name = std::string(row.param.order) + row.param.rule;
  if (row.param.slowed) name += "slowed";
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace penstock::cluster
