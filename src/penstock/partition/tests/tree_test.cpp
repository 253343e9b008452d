#include "penstock/partition/tree.h"

#include <gtest/gtest.h>

#include <cmath>

#include "penstock/partition/joint_chain.h"
#include "penstock/partition/partition.h"
#include "penstock/partition/tests/network_sketch.h"

namespace penstock::partition {
namespace {

using hardware::Array;

int states_of(const Node& node) { return node.kind == NodeKind::kLayer ? kTypes : kLayouts; }

// The best of all plans over equal halves, `levels` deep, one state a node and level: 3^L, 9^L.
double brute_force(const Network& network, const DeviceTree& tree, const Array& array,
                   const TreeOptions& options) {
  TreePlan plan;
  plan.splits.resize(tree.nodes.size());
  plan.meshes.resize(tree.nodes.size());
  std::vector<std::pair<std::size_t, std::size_t>> digits;  // tree node, network node
  for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
    if (tree.nodes[i].leaf()) continue;
    plan.splits[i].states.assign(network.nodes.size(), 0);
    plan.splits[i].shares.assign(network.nodes.size(), 0.5);
    for (std::size_t v = 0; v < network.nodes.size(); ++v) digits.emplace_back(i, v);
  }
  const auto allowed = [&](std::size_t i, std::size_t v) {
    return (network.nodes[v].choices >> plan.splits[i].states[v] & 1u) != 0;
  };
  double best = INFINITY;
  for (;;) {
    bool valid = true;
    for (const auto& [i, v] : digits) valid = valid && allowed(i, v);
    if (valid) {
      best = std::min(best, evaluate_tree(network, tree, plan, array, options).step.value());
    }
    std::size_t d = 0;
    for (; d < digits.size(); ++d) {
      auto& state = plan.splits[digits[d].first].states[digits[d].second];
      if (++state < states_of(network.nodes[digits[d].second])) break;
      state = 0;
    }
    if (d == digits.size()) return best;
  }
}

TreeOptions options_of(Table table) {
  TreeOptions options = paper_options();
  options.table = table;
  return options;
}

double planned(const Network& network, const Array& array, Strategy strategy,
               const TreeOptions& options) {
  const DeviceTree tree = build_tree(array);
  const TreePlan plan = plan_tree(network, tree, array, strategy, options);
  return evaluate_tree(network, tree, plan, array, options).step.value();
}

TEST(TreeTest, OneLevelEqualsAllPlansOfRandomChains) {
  core::RandomStream random(4, "chains");
  for (int trial = 0; trial < 24; ++trial) {
    const Network network = random_chain(random, static_cast<int>(1 + random.below(6)),
                                         static_cast<std::int64_t>(8 * (1 + random.below(64))));
    const Array array = array_of({device_group("d", 2, 1e13, 1e9 * (0.5 + random.uniform()))});
    for (const Table table : {Table::kClassic, Table::kFused}) {
      const TreeOptions options = options_of(table);
      const double expected = brute_force(network, build_tree(array), array, options);
      EXPECT_NEAR(planned(network, array, Strategy::kAccpar, options), expected, 1e-12 * expected);
    }
  }
}

TEST(TreeTest, OneLevelEqualsAllPlansOfRandomSeriesParallelGraphs) {
  core::RandomStream random(5, "series-parallel");
  for (int trial = 0; trial < 12; ++trial) {
    const Network network = random_series_parallel(random, 8);
    const Array array = array_of({device_group("d", 2, 1e13, 1e9)});
    const TreeOptions options = options_of(trial % 2 == 0 ? Table::kClassic : Table::kFused);
    const double expected = brute_force(network, build_tree(array), array, options);
    EXPECT_NEAR(planned(network, array, Strategy::kAccpar, options), expected, 1e-12 * expected);
  }
}

TEST(TreeTest, TheJointOptimumOfTwoLevelsEqualsAllPlans) {
  core::RandomStream random(6, "joint");
  for (int trial = 0; trial < 6; ++trial) {
    const Network network = random_chain(random, 3, 64);
    const Array array = array_of({device_group("d", 4, 1e13, 1e9)});
    const std::vector<Bandwidth> links(2, array.groups[0].link);
    for (const Table table : {Table::kClassic, Table::kFused}) {
      const TreeOptions options = options_of(table);
      const double expected = brute_force(network, build_tree(array), array, options);
      const JointPlan joint = joint_chain(network, links, array.groups[0].peak, options);
      EXPECT_NEAR(joint.step.value(), expected, 1e-12 * expected);
    }
  }
}

TEST(TreeTest, TheJointOptimumCostsWhatItsPlanCosts) {
  core::RandomStream random(7, "joint plan");
  for (const int levels : {1, 3, 5}) {
    const Network network = random_chain(random, 9, 256);
    const Array array = array_of({device_group("d", 1 << levels, 1e13, 1e9)});
    const DeviceTree tree = build_tree(array);
    const TreeOptions options = options_of(Table::kFused);
    const JointPlan joint = joint_chain(
        network, std::vector<Bandwidth>(static_cast<std::size_t>(levels), array.groups[0].link),
        array.groups[0].peak, options);
    TreePlan plan;
    plan.splits.resize(tree.nodes.size());
    plan.meshes.resize(tree.nodes.size());
    int at = 0;
    for (const auto& states : joint.states) {
      plan.splits[at].states = states;
      plan.splits[at].shares.assign(network.nodes.size(), 0.5);
      at = tree.nodes[at].children[0];
    }
    EXPECT_NEAR(evaluate_tree(network, tree, plan, array, options).step.value(), joint.step.value(),
                1e-12 * joint.step.value());
  }
}

// Fully connected tail of AlexNet, one level: room page section 6, item 3.
TEST(TreeTest, FullyConnectedTailFlipsToDataParallelismAtLargeBatches) {
  const auto volume = [](std::int64_t batch) {
    NetworkSketch sketch(batch);
    int at = sketch.layer(sketch.source(9216), 9216, 4096);
    at = sketch.layer(at, 4096, 4096);
    sketch.layer(at, 4096, 1000);
    // One element a second and no compute worth naming: the step time is the volume.
    TreeOptions options = paper_options();
    options.bytes_per_element = 1;
    const Array array = array_of({device_group("d", 2, 1e30, 1)});
    const Network network = sketch.take();
    const DeviceTree tree = build_tree(array);
    const TreePlan plan = plan_tree(network, tree, array, Strategy::kAccpar, options);
    return std::make_pair(plan.splits[0].states,
                          evaluate_tree(network, tree, plan, array, options).step.value());
  };
  const std::vector<std::uint8_t> model = {1, 1, 2, 1};  // C, II III II
  const std::vector<std::uint8_t> data = {0, 0, 0, 0};
  EXPECT_EQ(volume(32).first, model);
  EXPECT_NEAR(volume(32).second, 294144, 1e-3);
  EXPECT_NEAR(volume(512).second, 4706304, 1e-3);
  EXPECT_NEAR(volume(4096).second, 37650432, 1e-3);
  EXPECT_EQ(volume(32768).first, data);
  EXPECT_NEAR(volume(32768).second, 58621952, 1e-3);
}

TEST(TreeTest, ThreeTypesNeverLoseToTwoNorTwoToOne) {
  core::RandomStream random(8, "dominance");
  for (int trial = 0; trial < 20; ++trial) {
    const Network network = random_series_parallel(random, 20);
    const Array array = array_of({device_group("d", 2, 1e12, 1e9)});
    const TreeOptions options = paper_options();
    const double three = planned(network, array, Strategy::kAccpar, options);
    const double two = planned(network, array, Strategy::kHypar, options);
    const double one = planned(network, array, Strategy::kData, options);
    EXPECT_LE(three, two * (1 + 1e-12));
    EXPECT_LE(two, one * (1 + 1e-12));
  }
}

TEST(TreeTest, FusedNeverLosesToClassic) {
  core::RandomStream random(9, "fused");
  for (int trial = 0; trial < 20; ++trial) {
    const Network network = random_series_parallel(random, 20);
    const Array array = array_of({device_group("d", 2, 1e12, 1e9)});
    EXPECT_LE(
        planned(network, array, Strategy::kAccpar, options_of(Table::kFused)),
        planned(network, array, Strategy::kAccpar, options_of(Table::kClassic)) * (1 + 1e-12));
  }
}

TEST(TreeTest, EqualDevicesShareInExactHalvesAndUnequalOnesDoNot) {
  core::RandomStream random(10, "halves");
  const Network network = random_chain(random, 4, 4096);
  const auto shares = [&](const Array& array) {
    return plan_tree(network, build_tree(array), array, Strategy::kAccpar, paper_options())
        .splits[0]
        .shares;
  };
  const auto device = [](double rate) { return device_group("d", 1, rate, 1e12); };
  for (const double share : shares(array_of({device_group("d", 2, 1e12, 1e12)}))) {
    EXPECT_EQ(share, 0.5);
  }
  for (const double share : shares(array_of({device(1e12), device(3e12)}))) EXPECT_LT(share, 0.5);
}

TEST(TreeTest, TheOrderOfGroupsChangesNothing) {
  core::RandomStream random(11, "order");
  const Network network = random_series_parallel(random, 20);
  const auto a = device_group("a", 2, 1e12, 1e9);
  const auto b = device_group("b", 4, 3e12, 2e9);
  for (const TreeOptions& options : {paper_options(), fused_options()}) {
    EXPECT_EQ(planned(network, array_of({a, b}), Strategy::kAccpar, options),
              planned(network, array_of({b, a}), Strategy::kAccpar, options));
  }
}

TEST(TreeTest, ScalingSpeedAndLinksScalesTime) {
  core::RandomStream random(12, "scale");
  const Network network = random_series_parallel(random, 16);
  const double once = planned(network, array_of({device_group("d", 8, 1e12, 1e9)}),
                              Strategy::kAccpar, paper_options());
  const double thrice = planned(network, array_of({device_group("d", 8, 3e12, 3e9)}),
                                Strategy::kAccpar, paper_options());
  EXPECT_NEAR(once / thrice, 3, 1e-12);
}

TEST(TreeTest, TheLedgerSumsToTheStepOnEveryDevice) {
  core::RandomStream random(13, "ledger");
  const Network network = random_series_parallel(random, 20);
  const Array array = array_of({device_group("a", 2, 1e12, 1e9), device_group("b", 4, 3e12, 2e9)});
  const DeviceTree tree = build_tree(array);
  const TreePlan plan = plan_tree(network, tree, array, Strategy::kAccpar, paper_options());
  const TreeCost cost = evaluate_tree(network, tree, plan, array, paper_options());
  int devices = 0;
  for (const ledger::Account& account : cost.ledger.accounts()) {
    EXPECT_NEAR(account.total().value(), cost.step.value(), 1e-9 * cost.step.value());
    devices += account.count;
  }
  EXPECT_EQ(devices, 6);
}

TEST(TreeTest, SharesOfTheFusedModeAreWholeItems) {
  NetworkSketch sketch(10);
  int at = sketch.layer(-1, 30, 50);
  sketch.layer(at, 50, 70);
  const Network network = sketch.take();
  const Array array = array_of({device_group("a", 1, 1e9, 1e12), device_group("b", 1, 2e9, 1e12)});
  TreeOptions options = fused_options();
  const DeviceTree tree = build_tree(array);
  const TreePlan plan = plan_tree(network, tree, array, Strategy::kAccpar, options);
  const TreeCost cost = evaluate_tree(network, tree, plan, array, options);
  // Whatever the cut, each side's work is a whole number of items: the steps add up to the whole.
  double work = 0;
  for (const DeviceCost& device : cost.devices) {
    work += device.compute.value() * array.groups[device.group].peak.value();
  }
  EXPECT_NEAR(work, 6.0 * 10 * (30 * 50 + 50 * 70), 1e-3);
}

}  // namespace
}  // namespace penstock::partition
