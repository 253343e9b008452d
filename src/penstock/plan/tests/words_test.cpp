#include "penstock/plan/words.h"

#include <gtest/gtest.h>

namespace penstock::plan {
namespace {

constexpr double kHour = 3600;

Candidate fleet(const std::string& name, int nodes, int accelerators, double dollars_per_hour) {
  Candidate candidate;
  candidate.instance.name = name;
  candidate.instance.accelerator = "V100";
  candidate.instance.accelerators = accelerators;
  candidate.nodes = nodes;
  candidate.name = name;
  candidate.price = Price(dollars_per_hour / kHour);
  Evaluation evaluation;
  partition::DeviceCost device;
  device.count = candidate.devices();
  device.compute = Seconds(1);
  evaluation.best.devices = {device};
  candidate.evaluation = std::make_shared<const Evaluation>(std::move(evaluation));
  return candidate;
}

Offer offer(double hours, double dollars) {
  return {.runs = true, .time = Seconds(kHour * hours), .cost = Dollars(dollars), .nodes = 1};
}

TEST(WordsTest, BudgetsOfAFewDaysReadInHours) {
  EXPECT_EQ(duration_text(Seconds(24 * kHour)), "24 h");
  EXPECT_EQ(duration_text(Seconds(90 * kHour)), "90 h");
  EXPECT_EQ(duration_text(Seconds(10 * 24 * kHour)), "10 d");
  EXPECT_EQ(duration_text(Seconds(90)), "1.5 min");
}

TEST(WordsTest, TheVerdictSaysByHowMuchABudgetIsMissed) {
  const std::vector<Candidate> candidates = {fleet("a", 1, 8, 10), fleet("b", 1, 4, 5)};
  const std::vector<Offer> offers = {offer(20, 200), offer(27.1, 520)};
  const Goal time{.finish_by = Seconds(24 * kHour), .spend_at_most = {}};
  EXPECT_EQ(verdict(candidates, offers, time, 0, 0), "chosen");
  EXPECT_EQ(verdict(candidates, offers, time, 1, 0), "misses 24 h by 3.1 h");
  const Goal both{.finish_by = Seconds(24 * kHour), .spend_at_most = Dollars(500)};
  EXPECT_EQ(verdict(candidates, offers, both, 1, 0),
            "misses 24 h by 3.1 h, costs 20.00 $ over 500.00 $");
}

TEST(WordsTest, TheVerdictSaysHowMuchDearerOrSlowerALoserIs) {
  const std::vector<Candidate> candidates = {fleet("a", 1, 8, 10), fleet("b", 1, 4, 5)};
  EXPECT_EQ(verdict(candidates, {offer(20, 100), offer(15, 320)}, {}, 1, 0),
            "3.2x dearer, 5 h sooner");
  EXPECT_EQ(verdict(candidates, {offer(20, 1), offer(21, 120)}, {}, 1, 0), "120x dearer");
  EXPECT_EQ(verdict(candidates, {offer(20, 100), offer(25, 110)}, {}, 1, 0), "10 % dearer");
  EXPECT_EQ(verdict(candidates, {offer(20, 100), offer(25, 100)}, {}, 1, 0),
            "as cheap, 25 % slower");
  const Goal money{.finish_by = {}, .spend_at_most = Dollars(500)};
  EXPECT_EQ(verdict(candidates, {offer(20, 100), offer(50, 90)}, money, 1, 0),
            "2.5x slower, saves 10.00 $");
}

TEST(WordsTest, TheVerdictNamesTheJoinedFleetThatCostsTheSameAndIsFaster) {
  const std::vector<Candidate> candidates = {fleet("p3.16xlarge", 1, 8, 24.48),
                                             fleet("2 x p3.8xlarge", 2, 4, 12.24),
                                             fleet("p3.2xlarge", 1, 1, 3.06)};
  const std::vector<Offer> offers = {offer(10, 244.8), offer(15, 367.2), offer(70, 214.2)};
  const Goal goal{.finish_by = Seconds(24 * kHour), .spend_at_most = {}};
  EXPECT_EQ(verdict(candidates, offers, goal, 1, 0),
            "50 % dearer; same money as p3.16xlarge, 50 % slower");
  EXPECT_EQ(verdict(candidates, offers, goal, 2, 0), "misses 24 h by 46 h");
}

TEST(WordsTest, TheVerdictCountsDevicesThatAreBetterLeftIdle) {
  std::vector<Candidate> candidates = {fleet("a", 1, 8, 10), fleet("2 x a", 2, 8, 10)};
  Evaluation half = *candidates[1].evaluation;
  half.best.devices[0].count = 8;
  candidates[1].evaluation = std::make_shared<const Evaluation>(half);
  EXPECT_EQ(verdict(candidates, {offer(20, 100), offer(20, 200)}, {}, 1, 0),
            "2.0x dearer; 8 of 16 devices idle");
}

TEST(WordsTest, AGoalReadsAsASentence) {
  EXPECT_EQ(goal_text({}), "as cheap as possible");
  EXPECT_EQ(goal_text({.finish_by = Seconds(24 * kHour), .spend_at_most = {}}),
            "finish by 24 h, as cheap as possible");
  EXPECT_EQ(goal_text({.finish_by = {}, .spend_at_most = Dollars(500)}),
            "spend at most 500.00 $, as fast as possible");
  EXPECT_EQ(goal_text({.finish_by = Seconds(24 * kHour), .spend_at_most = Dollars(500)}),
            "finish by 24 h for at most 500.00 $");
}

// A chain of layers on eight equal devices, each cut as `rows`, `in` and `out` axes of three.
partition::Network layers(const std::vector<std::string>& names) {
  partition::Network network;
  for (const std::string& name : names) {
    partition::Node node;
    node.name = name;
    node.kind = partition::NodeKind::kLayer;
    network.nodes.push_back(node);
  }
  return network;
}

partition::PartitionPlan on_eight(std::vector<partition::MeshState> states) {
  hardware::DeviceGroup group;
  group.count = group.per_node = 8;
  group.link = Bandwidth(1e9);
  partition::PartitionPlan plan;
  plan.array.groups = {group};
  plan.tree.splits.resize(1);
  plan.tree.meshes.resize(1);
  plan.tree.meshes[0].devices = 8;
  plan.tree.meshes[0].states = std::move(states);
  return plan;
}

TEST(WordsTest, LayersThatAreCutAlikeReadAsOne) {
  const auto network = layers({"conv1", "conv2", "conv3", "fc1", "fc2", "fc3"});
  const auto plan = on_eight({{7, 0, 0}, {7, 0, 0}, {7, 0, 0}, {1, 2, 4}, {1, 2, 4}, {0, 0, 7}});
  EXPECT_EQ(split_text(network, plan),
            "conv1 to conv3 (3 layers) by batch 8 ways; fc1 and fc2 2x2x2; fc3 1x1x8");
}

TEST(WordsTest, ManyRunsOfLayersAreCounted) {
  const auto network = layers({"a", "b", "c", "d", "e", "f", "g", "h"});
  std::vector<partition::MeshState> states;
  for (int i = 0; i < 7; ++i) {
    states.push_back(i % 2 == 0 ? partition::MeshState{7, 0, 0} : partition::MeshState{3, 0, 4});
  }
  states.push_back({0, 0, 0});
  EXPECT_EQ(split_text(network, on_eight(states)),
            "4 layers by batch 8 ways; 3 layers 4x1x2; 1 layer whole");
}

}  // namespace
}  // namespace penstock::plan
