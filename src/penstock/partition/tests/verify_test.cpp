#include "penstock/partition/verify.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "penstock/model/zoo.h"
#include "penstock/partition/tests/graph_sketch.h"
#include "penstock/partition/tests/network_sketch.h"

namespace penstock::partition {
namespace {

constexpr double kShares[] = {0.5, 0.3, 0.01};
constexpr std::int64_t kWide = 100;  // splits 1 to 99

using Integers = std::vector<std::int64_t>;

// A 3x3 convolution with stride 2 and padding 1 on both sides, as exporters write it.
int strided(Sketch& sketch, int x, std::int64_t out) {
  const model::Shape in = sketch.shape(x);
  const model::Shape result = {in[0], out, (in[2] - 1) / 2 + 1, (in[3] - 1) / 2 + 1};
  return sketch.op("Conv", {x, sketch.parameter({out, in[1], 3, 3}), sketch.parameter({out})},
                   result, {{"strides", Integers{2, 2}}, {"pads", Integers{1, 1, 1, 1}}},
                   model::elements(result) * in[1] * 9);
}

model::Graph two_linear(const char* activation = "Relu") {
  Sketch sketch(kWide);
  const int hidden = sketch.follow(activation, sketch.linear(sketch.input({kWide, kWide}), kWide));
  return sketch.graph({sketch.linear(hidden, kWide)});
}

model::Graph two_convolutions() {
  Sketch sketch(kWide);
  const int hidden =
      sketch.follow("Relu", strided(sketch, sketch.input({kWide, kWide, 3, 4}), kWide));
  return sketch.graph({strided(sketch, hidden, kWide)});
}

model::Graph convolution_pool_linear() {
  Sketch sketch(kWide);
  const int conv =
      sketch.follow("Tanh", strided(sketch, sketch.input({kWide, kWide, 3, 4}), kWide));
  const int pool = sketch.op("MaxPool", {conv}, {kWide, kWide, 2, 1},
                             {{"kernel_shape", Integers{2, 2}}, {"pads", Integers{0, 0, 1, 0}}});
  const int flat = sketch.op("Flatten", {pool}, {kWide, kWide * 2}, {{"axis", 1L}});
  return sketch.graph({sketch.linear(flat, kWide)});
}

PartitionPlan tree_plan(Table table, int devices) {
  PartitionPlan plan;
  plan.mode = table == Table::kFused ? Mode::kFused : Mode::kPaper;
  plan.tree_options = table == Table::kFused ? fused_options() : paper_options();
  plan.array = array_of({device_group("d", devices, 1e12, 1e9)});
  const std::size_t nodes = plan.device_tree().nodes.size();
  plan.tree.splits.resize(nodes);
  plan.tree.meshes.resize(nodes);
  return plan;
}

PartitionPlan pair_plan(Table table, std::vector<std::uint8_t> states, double share) {
  PartitionPlan plan = tree_plan(table, 2);
  plan.tree.splits[0].shares.assign(states.size(), share);
  plan.tree.splits[0].states = std::move(states);
  return plan;
}

std::string text_of(const VerifyReport& report) {
  std::string text =
      fmt::format("outputs {} gradients {}\n", report.output_error, report.gradient_error);
  for (const auto& worker : report.workers) {
    text += fmt::format("{}: received {} predicted {}\n", worker.name, worker.received_bytes,
                        worker.predicted_bytes);
  }
  return text;
}

VerifyReport expect_holds(const model::Graph& graph, const PartitionPlan& plan) {
  const Result<Network> network = lower(graph);
  EXPECT_TRUE(network) << network.error().text();
  const Result<VerifyReport> report = verify_plan(graph, *network, plan);
  EXPECT_TRUE(report) << report.error().text();
  if (!report) return {};
  EXPECT_TRUE(report->ok) << text_of(*report);
  return *report;
}

std::uint8_t code(Type type) { return static_cast<std::uint8_t>(type); }
std::uint8_t code(Layout layout) { return static_cast<std::uint8_t>(layout); }

// Every pair of types of a graph's first and last node; the states between them are given.
void expect_all_pairs_hold(const model::Graph& graph, const std::vector<std::uint8_t>& between) {
  for (const Table table : {Table::kClassic, Table::kFused}) {
    for (const double share : kShares) {
      for (int first = 0; first < 3; ++first) {
        for (int last = 0; last < 3; ++last) {
          std::vector<std::uint8_t> states = {static_cast<std::uint8_t>(first)};
          states.insert(states.end(), between.begin(), between.end());
          states.push_back(static_cast<std::uint8_t>(last));
          SCOPED_TRACE(fmt::format("{} share {} types {} {}",
                                   table == Table::kFused ? "fused" : "classic", share, first,
                                   last));
          expect_holds(graph, pair_plan(table, states, share));
        }
      }
    }
  }
}

TEST(VerifyTest, HoldsForAllPairsOfTypesOfLinearLayers) { expect_all_pairs_hold(two_linear(), {}); }

TEST(VerifySlowTest, HoldsForAllPairsOfTypesOfStridedConvolutions) {
  expect_all_pairs_hold(two_convolutions(), {});
}

TEST(VerifySlowTest, HoldsForAllPairsOfTypesAcrossAPool) {
  for (const Layout layout : {Layout::kRows, Layout::kColumns, Layout::kReplicated}) {
    SCOPED_TRACE(layout_letter(layout));
    expect_all_pairs_hold(convolution_pool_linear(), {code(layout)});
  }
}

// Depthwise and grouped convolutions with a bias, between dense ones.
model::Graph grouped(std::int64_t batch, std::int64_t channels, std::int64_t groups) {
  Sketch sketch(batch);
  const int first = sketch.conv(sketch.input({batch, 6, 4, 3}), channels);
  const int middle = sketch.follow("Sigmoid", sketch.conv(first, channels, groups));
  return sketch.graph({sketch.conv(middle, channels)});
}

TEST(VerifyTest, HoldsForGroupedConvolutions) {
  const std::uint8_t all[] = {code(Type::kBatch), code(Type::kIn), code(Type::kOut)};
  for (const std::int64_t groups : {4, 8, 20}) {
    const model::Graph graph = grouped(10, groups == 8 ? 16 : 20, groups);
    for (const Table table : {Table::kClassic, Table::kFused}) {
      for (const double share : {0.5, 0.25}) {
        for (const Type type : {Type::kBatch, Type::kGroup}) {
          for (const std::uint8_t first : all) {
            for (const std::uint8_t last : all) {
              SCOPED_TRACE(fmt::format("{} groups, type {}", groups, type_name(type)));
              expect_holds(graph, pair_plan(table, {first, code(type), last}, share));
            }
          }
        }
      }
    }
  }
}

// conv -> copy -> (conv -> conv, itself) -> add -> concat with itself pooled -> fc, with batch
// norms.
model::Graph residual(std::int64_t batch, std::int64_t channels) {
  Sketch sketch(batch);
  const auto norm = [&](int x) {
    const model::Shape shape = sketch.shape(x);
    const int scale = sketch.parameter({shape[1]});
    const int shift = sketch.parameter({shape[1]});
    return sketch.op("BatchNormalization",
                     {x, scale, shift, sketch.statistic({shape[1]}), sketch.statistic({shape[1]})},
                     shape);
  };
  const int first =
      sketch.follow("Relu", norm(sketch.conv(sketch.input({batch, 3, 4, 4}), channels)));
  const int inner = sketch.follow("LeakyRelu", sketch.conv(first, channels));
  const int second = norm(sketch.conv(inner, channels));
  const int sum = sketch.follow("Relu", sketch.op("Add", {first, second}, sketch.shape(first)));
  const int pool = sketch.op("GlobalAveragePool", {sum}, {batch, channels, 1, 1});
  const int flat = sketch.op("Flatten", {pool}, {batch, channels}, {{"axis", 1L}});
  return sketch.graph({sketch.linear(flat, channels)});
}

// The plan's states at random from what the nodes allow.
std::vector<std::uint8_t> random_states(core::RandomStream& random, const Network& network) {
  std::vector<std::uint8_t> states;
  for (const Node& node : network.nodes) {
    std::uint64_t state = random.below(4);
    while ((node.choices >> state & 1u) == 0) state = random.below(4);
    states.push_back(static_cast<std::uint8_t>(state));
  }
  return states;
}

TEST(VerifyTest, HoldsForResidualBlocksInRandomStates) {
  core::RandomStream random(3, "residual");
  const model::Graph graph = residual(10, 20);
  const Network network = *lower(graph);
  for (int trial = 0; trial < 40; ++trial) {
    SCOPED_TRACE(trial);
    const Table table = trial % 2 == 0 ? Table::kClassic : Table::kFused;
    expect_holds(graph,
                 pair_plan(table, random_states(random, network), trial % 3 == 0 ? 0.5 : 0.3));
  }
}

TEST(VerifyTest, HoldsForTreesOfRandomStates) {
  core::RandomStream random(4, "trees");
  const model::Graph graphs[] = {residual(16, 32), convolution_pool_linear(), two_linear()};
  for (int trial = 0; trial < 24; ++trial) {
    SCOPED_TRACE(trial);
    const model::Graph& graph = graphs[trial % 3];
    const Network network = *lower(graph);
    const Table table = trial % 2 == 0 ? Table::kClassic : Table::kFused;
    PartitionPlan plan = tree_plan(table, trial % 4 < 2 ? 4 : 8);
    if (trial >= 12) {
      // Unlike groups: the two sides have their own states and depths.
      plan.array = array_of({device_group("a", 2, 1e12, 1e9), device_group("b", 4, 1e12, 1e9)});
      plan.tree.splits.assign(plan.device_tree().nodes.size(), {});
      plan.tree.meshes.resize(plan.tree.splits.size());
    }
    const DeviceTree tree = plan.device_tree();
    for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
      if (tree.nodes[i].leaf()) continue;
      plan.tree.splits[i].states = random_states(random, network);
      plan.tree.splits[i].shares.assign(network.nodes.size(), i == 0 ? 0.375 : 0.5);
    }
    expect_holds(graph, plan);
  }
}

TEST(VerifyTest, CountsRatioChangesOfPaperPlansApart) {
  PartitionPlan plan = pair_plan(Table::kClassic, {code(Type::kBatch), code(Type::kBatch)}, 0.5);
  plan.tree.splits[0].shares = {0.25, 0.75};
  const VerifyReport report = expect_holds(two_linear(), plan);
  // Half of the hidden tensor forward to the first side and backward to the second.
  EXPECT_EQ(report.ratio_change_bytes, 2 * (kWide * kWide / 2) * 2);
  plan.mode = Mode::kFused;
  plan.tree_options = fused_options();
  const model::Graph graph = two_linear();
  EXPECT_FALSE(verify_plan(graph, *lower(graph), plan)->ok);
}

TEST(VerifyTest, HoldsForASideThatRests) {
  for (const double share : {0.0, 1.0}) {
    const PartitionPlan plan =
        pair_plan(Table::kFused, {code(Type::kBatch), code(Type::kIn)}, share);
    const VerifyReport report = expect_holds(two_linear(), plan);
    for (const auto& worker : report.workers) EXPECT_EQ(worker.received_bytes, 0);
  }
}

PartitionPlan mesh_plan(std::vector<hardware::DeviceGroup> groups) {
  PartitionPlan plan;
  plan.mode = Mode::kMesh;
  plan.tree_options = fused_options();
  plan.array = array_of(std::move(groups));
  plan.tree.splits.resize(plan.device_tree().nodes.size());
  plan.tree.meshes.resize(plan.tree.splits.size());
  return plan;
}

// Every axis goes to one of the dimensions that the node can cut, or to none.
MeshPlan random_mesh(core::RandomStream& random, const Network& network, const MeshSpace& space) {
  MeshPlan plan;
  plan.devices = space.devices();
  for (const Node& node : network.nodes) {
    const bool layer = node.kind == NodeKind::kLayer;
    const bool grouped = layer && (node.choices & choice(Type::kGroup)) != 0;
    MeshState state;
    for (int k = 0; k < space.axes(); ++k) {
      const auto axis = static_cast<Axes>(1u << k);
      const auto pick = random.below(4);
      if (pick == 0) state.rows |= axis;
      if (pick == 1 && (!layer || grouped)) {
        if (grouped || (node.choices & choice(Layout::kColumns)) != 0) state.in |= axis;
      } else if (pick == 1 && (node.choices & choice(Type::kIn)) != 0) {
        state.in |= axis;
      }
      if (pick == 2 && layer && (node.choices & choice(Type::kOut)) != 0) state.out |= axis;
    }
    if (!layer || grouped) state.out = state.in;
    plan.states.push_back(state);
  }
  return plan;
}

TEST(VerifyTest, HoldsForMeshesOfRandomStates) {
  core::RandomStream random(5, "meshes");
  // Rows and channels that the devices do not divide.
  const model::Graph graphs[] = {residual(11, 13), grouped(9, 24, 12), residual(16, 24)};
  for (const int devices : {2, 3, 4, 6, 8, 12}) {
    for (int trial = 0; trial < 8; ++trial) {
      SCOPED_TRACE(fmt::format("{} devices, trial {}", devices, trial));
      const model::Graph& graph = graphs[trial % 3];
      const Network network = *lower(graph);
      PartitionPlan plan = mesh_plan({device_group("m", devices, 1e12, 1e9)});
      plan.mesh_options.reduce_scatter = trial % 2 == 0;
      plan.tree.meshes[0] = random_mesh(random, network, MeshSpace(plan.array.groups[0], devices));
      expect_holds(graph, plan);
    }
  }
}

TEST(VerifyTest, HoldsForTwoGroupsOfMeshes) {
  core::RandomStream random(6, "groups");
  for (int trial = 0; trial < 24; ++trial) {
    SCOPED_TRACE(trial);
    const model::Graph graph = residual(16, 32);
    const Network network = *lower(graph);
    PartitionPlan plan =
        mesh_plan({device_group("a", 4, 1e12, 1e9), device_group("b", 6, 2e12, 1e9)});
    const DeviceTree tree = plan.device_tree();
    for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
      if (tree.nodes[i].leaf()) {
        const hardware::DeviceGroup& group =
            plan.array.groups[static_cast<std::size_t>(tree.nodes[i].group)];
        plan.tree.meshes[i] = random_mesh(random, network, MeshSpace(group, group.count));
      } else {
        plan.tree.splits[i].states = random_states(random, network);
        plan.tree.splits[i].shares.assign(network.nodes.size(), 0.375);
      }
    }
    expect_holds(graph, plan);
  }
}

// Two branches of unlike channels, joined along the channels: each is cut by its own, and what
// reads the join never by channels.
TEST(VerifyTest, HoldsForJoinsOfUnlikeBranches) {
  Sketch sketch(12);
  const int first = sketch.conv(sketch.input({12, 3, 3, 3}), 9);
  const int left = sketch.follow("Relu", sketch.conv(first, 10));
  const int right = sketch.follow("Tanh", sketch.conv(first, 7));
  const int join = sketch.op("Concat", {left, right, first}, {12, 26, 3, 3}, {{"axis", 1L}});
  const int norm = sketch.op("LRN", {join}, {12, 26, 3, 3}, {{"size", 3L}});
  const model::Graph graph = sketch.graph({sketch.conv(norm, 11)});
  const Network network = *lower(graph);
  core::RandomStream random(9, "joins");
  for (int trial = 0; trial < 24; ++trial) {
    SCOPED_TRACE(trial);
    const Table table = trial % 2 == 0 ? Table::kClassic : Table::kFused;
    expect_holds(graph,
                 pair_plan(table, random_states(random, network), trial % 3 == 0 ? 0.5 : 0.3));
    PartitionPlan plan = mesh_plan({device_group("m", trial % 2 == 0 ? 4 : 6, 1e12, 1e9)});
    plan.mesh_options.reduce_scatter = trial % 3 == 0;
    plan.tree.meshes[0] =
        random_mesh(random, network, MeshSpace(plan.array.groups[0], plan.array.groups[0].count));
    expect_holds(graph, plan);
  }
}

TEST(VerifyTest, HoldsForTransformerBlocks) {
  core::RandomStream random(7, "transformer");
  for (const bool by_index : {false, true}) {
    const model::Graph graph = transformer(6, by_index);
    const Network network = *lower(graph);
    for (int trial = 0; trial < 8; ++trial) {
      SCOPED_TRACE(trial);
      const Table table = trial % 2 == 0 ? Table::kClassic : Table::kFused;
      expect_holds(graph, pair_plan(table, random_states(random, network), 0.5));
    }
  }
}

PartitionPlan planned(const Network& network, Mode mode,
                      std::vector<hardware::DeviceGroup> groups) {
  PartitionOptions options;
  options.mode = mode;
  options.strategies = {Strategy::kAccpar};
  const Result<PartitionResult> result =
      partition_network(network, array_of(std::move(groups)), options);
  EXPECT_TRUE(result);
  for (const StrategyResult& strategy : result->strategies) {
    if (strategy.name == "mesh" || strategy.name == "accpar") return strategy.plan;
  }
  return {};
}

TEST(VerifySlowTest, HoldsForThePlansOfRealNetworksOnASmallerProblem) {
  for (const char* name : {"lenet", "alexnet", "resnet18"}) {
    const model::Graph graph = *model::zoo(name, 512);
    const Network network = *lower(graph);
    for (const Mode mode : {Mode::kPaper, Mode::kFused, Mode::kMesh}) {
      SCOPED_TRACE(fmt::format("{} {}", name, mode_name(mode)));
      const PartitionPlan plan = planned(
          network, mode, {device_group("a", 2, 180e12, 60e9), device_group("b", 2, 420e12, 60e9)});
      const VerifyReport report = expect_holds(graph, plan);
      EXPECT_LE(report.batch, 512);
      EXPECT_LT(report.elements, 64'000'000);
    }
  }
}

TEST(VerifyTest, CatchesOneLostElement) {
  // Every element matters; a lost zero would only show in the count.
  const model::Graph graph = two_linear("Tanh");
  const Network network = *lower(graph);
  const PartitionPlan plans[] = {
      pair_plan(Table::kFused, {code(Type::kIn), code(Type::kOut)}, 0.3),
      pair_plan(Table::kClassic, {code(Type::kOut), code(Type::kBatch)}, 0.3)};
  for (const PartitionPlan& plan : plans) {
    for (const std::int64_t lost : {0, 1234, 15000}) {
      SCOPED_TRACE(lost);
      VerifyOptions options;
      options.lose_element = lost;
      const VerifyReport report = *verify_plan(graph, network, plan, options);
      EXPECT_FALSE(report.ok);
      EXPECT_GT(std::max(report.output_error, report.gradient_error), options.tolerance);
      std::int64_t missing = 0;
      for (const auto& worker : report.workers)
        missing += worker.predicted_bytes - worker.received_bytes;
      EXPECT_EQ(missing, 2) << text_of(report);
    }
  }
}

TEST(VerifyTest, GivesTheSameReportAtAnyNumberOfThreads) {
  const model::Graph graph = residual(16, 32);
  const Network network = *lower(graph);
  core::RandomStream random(8, "threads");
  PartitionPlan plan = mesh_plan({device_group("m", 8, 1e12, 1e9)});
  plan.tree.meshes[0] = random_mesh(random, network, MeshSpace(plan.array.groups[0], 8));
  VerifyOptions options;
  options.threads = 1;
  const std::string alone = text_of(*verify_plan(graph, network, plan, options));
  options.threads = 7;
  EXPECT_EQ(text_of(*verify_plan(graph, network, plan, options)), alone);
}

// A product of activations between layers, and one with weights of several experts.
TEST(VerifyTest, HoldsForEinsums) {
  Sketch sketch(10);
  const int x = sketch.linear(sketch.input({10, 4, 6}), 8);
  const int y = sketch.follow("Tanh", sketch.linear(x, 8));
  const int scores = sketch.op("Einsum", {x, y}, {10, 4, 4},
                               {{"equation", std::string("bid,bjd->bij")}}, 10 * 4 * 4 * 8);
  const int experts = sketch.op("Einsum", {scores, sketch.parameter({3, 4, 5})}, {10, 4, 3, 5},
                                {{"equation", std::string("bij,ejo->bieo")}}, 10 * 4 * 4 * 3 * 5);
  const model::Graph graph = sketch.graph({sketch.linear(experts, 6)});
  const Network network = *lower(graph);
  core::RandomStream random(10, "einsum");
  for (int trial = 0; trial < 12; ++trial) {
    SCOPED_TRACE(trial);
    const Table table = trial % 2 == 0 ? Table::kClassic : Table::kFused;
    expect_holds(graph,
                 pair_plan(table, random_states(random, network), trial % 3 == 0 ? 0.5 : 0.3));
  }
}

TEST(VerifyTest, SaysWhyItCannotExecuteARecurrentOperator) {
  Sketch sketch(4);
  const int lstm = sketch.op(
      "LSTM", {sketch.input({4, 5, 3}), sketch.parameter({1, 8, 3}), sketch.parameter({1, 8, 2})},
      {4, 5, 1, 2}, {{"hidden_size", 2L}, {"layout", 1L}}, 5 * 4 * 8 * (3 + 2));
  const model::Graph graph = sketch.graph({lstm});
  const Result<Network> network = lower(graph);
  ASSERT_TRUE(network) << network.error().text();
  ASSERT_EQ(network->nodes.size(), 1u);
  const Result<VerifyReport> report =
      verify_plan(graph, *network, pair_plan(Table::kFused, {code(Type::kBatch)}, 0.5));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::kNegative);
  EXPECT_NE(report.error().text().find("cannot execute LSTM: it has no double-precision passes"),
            std::string::npos)
      << report.error().text();
}

TEST(VerifyTest, NamesAnOperatorThatItCannotExecute) {
  Sketch sketch(4);
  const int x = sketch.linear(sketch.input({4, 3, 8}), 8);
  const int result = sketch.op("Mish", {x}, {4, 3, 8});
  const model::Graph graph = sketch.graph({result});
  const Network network = *lower(graph);
  const Result<VerifyReport> report =
      verify_plan(graph, network, pair_plan(Table::kFused, {code(Type::kBatch)}, 0.5));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::kNegative);
  EXPECT_NE(report.error().text().find("Mish"), std::string::npos);
}

}  // namespace
}  // namespace penstock::partition
