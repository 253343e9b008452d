#include "penstock/partition/partition.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "penstock/core/file.h"
#include "penstock/core/json.h"
#include "penstock/model/zoo.h"
#include "penstock/partition/elimination.h"
#include "penstock/partition/internal/tree_phases.h"
#include "penstock/partition/tests/network_sketch.h"

namespace penstock::partition {
namespace {

using core::Json;
using hardware::Array;
using testing::HasSubstr;

Network zoo_network(const std::string& name, std::int64_t batch = 512) {
  return *lower(*model::zoo(name, batch));
}

const StrategyResult& find(const PartitionResult& result, const std::string& name) {
  for (const StrategyResult& s : result.strategies) {
    if (s.name == name) return s;
  }
  ADD_FAILURE() << "no strategy " << name;
  return result.strategies.front();
}

PartitionOptions in_mode(Mode mode) {
  PartitionOptions options;
  options.mode = mode;
  return options;
}

Array small_array() {
  Array array = array_of({device_group("a", 4, 1e12, 1e9), device_group("b", 8, 3e12, 2e9)});
  for (auto& g : array.groups) g.memory = Bytes(64e9);
  return array;
}

TEST(PartitionTest, MeshModeIsReportedBesideOneDeviceRingAndBestSubset) {
  const Network network = zoo_network("resnet18", 64);
  const auto result = partition_network(network, small_array(), in_mode(Mode::kMesh));
  ASSERT_TRUE(result.has_value()) << result.error().text();
  const StrategyResult& best = find(*result, "best");
  EXPECT_LE(best.step, find(*result, "one-device").step);
  EXPECT_LE(best.step, find(*result, "mesh").step);
  EXPECT_LE(best.step, find(*result, "ring-data").step);
  EXPECT_EQ(result->strategies[result->best].step, best.step);
}

TEST(PartitionTest, OnSlowLinksTheBestSubsetIsOneDevice) {
  const Network network = zoo_network("resnet50", 32);
  Array array = array_of({device_group("a", 8, 400e12, 1e8)});
  const auto result = partition_network(network, array, in_mode(Mode::kMesh));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(find(*result, "best").step, find(*result, "one-device").step);
}

TEST(PartitionTest, AGroupOfOneDeviceIsHeldToItsMemoryBandwidthAndLaunchesToo) {
  const Network network = zoo_network("resnet18", 64);
  Array alone = array_of({device_group("a", 1, 1e12, 1e9)});
  alone.groups[0].memory_bandwidth = Bandwidth(1e9);
  alone.groups[0].launch = Seconds(1e-3);
  const auto result = partition_network(network, alone, in_mode(Mode::kMesh));
  ASSERT_TRUE(result.has_value()) << result.error().text();
  for (const StrategyResult& s : result->strategies) {
    EXPECT_EQ(s.step, find(*result, "one-device").step) << s.name;
  }
  Array pair = array_of({device_group("a", 1, 1e12, 1e9), device_group("b", 1, 1e12, 1e9)});
  const auto swift = partition_network(network, pair, in_mode(Mode::kMesh));
  for (auto& g : pair.groups) g.memory_bandwidth = Bandwidth(1e9);
  const auto bound = partition_network(network, pair, in_mode(Mode::kMesh));
  ASSERT_TRUE(swift.has_value() && bound.has_value());
  EXPECT_GT(find(*bound, "mesh").step, 1.5 * find(*swift, "mesh").step);
}

TEST(PartitionTest, APlanIsTheSameTextAfterReadingIt) {
  const Network network = zoo_network("resnet18", 64);
  for (const Mode mode : {Mode::kPaper, Mode::kFused, Mode::kMesh}) {
    const auto result = partition_network(network, small_array(), in_mode(mode));
    ASSERT_TRUE(result.has_value());
    for (const StrategyResult& s : result->strategies) {
      if (!s.has_plan) continue;
      const Json json = plan_to_json(network, s.plan);
      const auto read = plan_from_json(json, network, "plan");
      ASSERT_TRUE(read.has_value()) << read.error().text();
      EXPECT_EQ(core::json_text(plan_to_json(network, *read)), core::json_text(json));
      EXPECT_EQ(as_result(network, *read).step, s.step);
    }
  }
}

TEST(PartitionTest, APlanReEvaluatesAtAnotherBatch) {
  const Network network = zoo_network("vgg11", 128);
  const auto result = partition_network(network, small_array(), in_mode(Mode::kMesh));
  ASSERT_TRUE(result.has_value());
  const PartitionPlan& plan = find(*result, "mesh").plan;
  const Network larger = zoo_network("vgg11", 256);
  const auto moved = plan_from_json(plan_to_json(network, plan), larger, "plan");
  ASSERT_TRUE(moved.has_value());
  EXPECT_GT(as_result(larger, *moved).step, as_result(network, plan).step);
}

TEST(PartitionTest, DamagedPlansAreRefusedByPlace) {
  const Network network = zoo_network("lenet", 64);
  const auto result = partition_network(network, small_array(), in_mode(Mode::kFused));
  ASSERT_TRUE(result.has_value());
  const Json good = plan_to_json(network, find(*result, "data").plan);
  const auto refusal = [&](const std::function<void(Json&)>& damage) {
    Json bad = good;
    damage(bad);
    const auto read = plan_from_json(bad, network, "p.json");
    if (read.has_value()) return std::string("accepted");
    EXPECT_EQ(read.error().kind, ErrorKind::kInput);
    return read.error().text();
  };
  EXPECT_THAT(refusal([](Json& j) { j["schema"] = "x"; }), HasSubstr("p.json: has the schema"));
  EXPECT_THAT(refusal([](Json& j) { j.erase("nodes"); }), HasSubstr("\"nodes\" is missing"));
  EXPECT_THAT(refusal([](Json& j) { j["nodes"][0] = "other"; }), HasSubstr("node 0 is other"));
  EXPECT_THAT(refusal([](Json& j) { j["splits"][0]["states"][0] = "IV"; }),
              HasSubstr("splits[0]: \"IV\" is no state"));
  EXPECT_THAT(refusal([](Json& j) { j["splits"][0]["share"] = 1.5; }), HasSubstr("\"share\""));
  EXPECT_THAT(refusal([](Json& j) { j["splits"][0]["at"] = 99; }), HasSubstr("\"at\" is 99"));
  EXPECT_THAT(refusal([](Json& j) { j["splits"].erase(1); }), HasSubstr("has no split"));
  EXPECT_THAT(refusal([](Json& j) { j["array"]["groups"][0]["count"] = -1; }),
              HasSubstr("array.groups[0]"));
  EXPECT_THAT(refusal([](Json& j) { j["array"] = 3; }), HasSubstr("array"));
  EXPECT_THAT(refusal([](Json& j) { j = Json::array(); }), HasSubstr("p.json"));
}

TEST(PartitionTest, AnArrayThatCannotHoldTheModelIsTheAnswerNo) {
  const Network network = zoo_network("vgg16", 64);
  Array array = small_array();
  for (auto& g : array.groups) g.memory = Bytes(16e6);
  for (const Mode mode : {Mode::kFused, Mode::kMesh}) {
    const auto result = partition_network(network, array, in_mode(mode));
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().kind, ErrorKind::kNegative);
    EXPECT_THAT(result.error().text(), HasSubstr("cannot hold"));
  }
}

TEST(PartitionTest, FusedModeRespectsMemory) {
  const Network network = wide_batch_network();
  Array array = array_of({device_group("d", 4, 1e12, 1e11)});
  PartitionOptions options = in_mode(Mode::kFused);
  options.strategies = {Strategy::kAccpar};
  options.memory.bytes_per_weight = 16;
  const auto free_plan = partition_network(network, array, options);
  ASSERT_TRUE(free_plan.has_value());
  Bytes most;
  for (const DeviceCost& d : free_plan->strategies[0].devices) most = std::max(most, d.memory());
  array.groups[0].memory = most * 0.6;
  const auto tight = partition_network(network, array, options);
  ASSERT_TRUE(tight.has_value()) << tight.error().text();
  EXPECT_TRUE(tight->strategies[0].fits);
  EXPECT_GT(tight->strategies[0].step, free_plan->strategies[0].step);
}

TEST(PartitionTest, TheTimelineFillsEveryDeviceUpToTheStep) {
  const Network network = zoo_network("alexnet", 64);
  const auto result = partition_network(network, small_array(), in_mode(Mode::kPaper));
  ASSERT_TRUE(result.has_value());
  const StrategyResult& s = result->strategies[result->best];
  double busy = 0;
  for (const ledger::Span& span : timeline(network, s)) {
    EXPECT_GE(span.start.value(), 0);
    EXPECT_LE((span.start + span.duration).value(), s.step.value() * (1 + 1e-9));
    busy += span.duration.value();
  }
  double expected = 0;
  for (const ledger::Account& a : s.ledger.accounts()) {
    expected += (a.total() - a.of(ledger::Activity::kIdle)).value();
  }
  EXPECT_NEAR(busy, expected, 1e-9 * expected);
}

// An independent, exact solver of the same one-level problem.
class ToulbarTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v toulbar2 >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "toulbar2 is not installed (Debian package toulbar2)";
    }
  }

  // Cost of the optimum that toulbar2 proves, in the problem's own unit.
  static double optimum(const Network& network, const Array& array) {
    const DeviceTree tree = build_tree(array);
    const TreeOptions options = paper_options();
    const std::vector<Extent> extents = whole_extents(network);
    const LevelModel model(network, extents, options);
    const TreeNode& root = tree.nodes[0];
    const double rate = tree.nodes[root.children[0]].rate.value();
    const auto domain = [&](const Node& n) {
      std::vector<int> states;
      for (int s = 0; s < LevelModel::states(n); ++s) {
        if ((n.choices >> s & 1u) != 0) states.push_back(s);
      }
      return states;
    };
    // Its reader knows no exponents: nine fixed decimals of a millisecond.
    std::string variables;
    std::string functions;
    const auto add = [](std::string& list, const std::string& item) {
      list += (list.empty() ? "" : ",\n") + item;
    };
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      const int v = static_cast<int>(i);
      const auto states = domain(network.nodes[i]);
      add(variables, fmt::format("\"v{}\": {}", v, states.size()));
      std::vector<double> costs;
      for (const int s : states) {
        costs.push_back(1e3 * (model.node_bytes(v, s, 0.5, 0) / root.charged[0].value() +
                               model.flops(v) * model.flops_fraction(v, s, 0.5, 0) / rate));
      }
      add(functions, fmt::format("\"f{0}\": {{\"scope\": [\"v{0}\"], \"costs\": [{1:.9f}]}}", v,
                                 fmt::join(costs, ", ")));
    }
    for (std::size_t e = 0; e < network.edges.size(); ++e) {
      const Edge& edge = network.edges[e];
      std::vector<double> costs;
      for (const int p : domain(network.nodes[edge.from])) {
        for (const int t : domain(network.nodes[edge.to])) {
          costs.push_back(1e3 * model.edge_bytes(static_cast<int>(e), p, t, 0.5, 0) /
                          root.charged[0].value());
        }
      }
      add(functions, fmt::format("\"e{}\": {{\"scope\": [\"v{}\", \"v{}\"], \"costs\": [{:.9f}]}}",
                                 e, edge.from, edge.to, fmt::join(costs, ", ")));
    }
    const std::string problem = fmt::format(
        "{{\"problem\": {{\"name\": \"partition\", \"mustbe\": \"<1000000.000000000\"}},\n"
        "\"variables\": {{{}}},\n\"functions\": {{{}}}}}\n",
        variables, functions);
    const auto folder =
        std::filesystem::temp_directory_path() / fmt::format("penstock-toulbar-{}", ::getpid());
    std::filesystem::create_directory(folder);
    const std::string file = folder / "problem.cfn";
    EXPECT_TRUE(core::write_file(file, problem).has_value());
    const std::string command = "toulbar2 " + file + " 2>&1";
    std::string output;
    if (FILE* pipe = ::popen(command.c_str(), "r")) {
      char buffer[4096];
      while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) output += buffer;
      ::pclose(pipe);
    }
    std::filesystem::remove_all(folder);
    const std::size_t at = output.find("Optimum: ");
    EXPECT_NE(at, std::string::npos) << output;
    return at == std::string::npos ? 0 : std::stod(output.substr(at + 9));
  }

  static void expect_agreement(const Network& network) {
    const Array array = array_of({device_group("v3", 2, 420e12, 2e9)});
    const DeviceTree tree = build_tree(array);
    const TreePlan plan = plan_tree(network, tree, array, Strategy::kAccpar, paper_options());
    EXPECT_TRUE(plan.proven);
    const double ours =
        evaluate_tree(network, tree, plan, array, paper_options()).step.value() * 1e3;
    EXPECT_NEAR(ours, optimum(network, array), 1e-6 * ours) << network.name;
  }
};

TEST_F(ToulbarTest, AgreesOnTheZoo) {
  for (const std::string& name : model::zoo_names()) expect_agreement(zoo_network(name));
}

TEST_F(ToulbarTest, AgreesOnEveryRealGraph) {
  const char* given = std::getenv("PENSTOCK_SHARED");
  const std::filesystem::path shared = given != nullptr ? given : PENSTOCK_SOURCE_DIR "/../shared";
  if (!std::filesystem::exists(shared / "data/onnx")) {
    GTEST_SKIP() << shared << " holds no ONNX graphs; set PENSTOCK_SHARED";
  }
  int graphs = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(shared / "data/onnx")) {
    if (entry.path().extension() != ".onnx") continue;
    const auto graph = model::read_onnx(entry.path());
    ASSERT_TRUE(graph.has_value()) << graph.error().text();
    const auto network = lower(*graph);
    ASSERT_TRUE(network.has_value()) << network.error().text();
    expect_agreement(*network);
    ++graphs;
  }
  EXPECT_EQ(graphs, 21);
}

}  // namespace
}  // namespace penstock::partition
