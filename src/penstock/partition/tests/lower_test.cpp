#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "penstock/model/graph.h"
#include "penstock/model/zoo.h"
#include "penstock/partition/network.h"
#include "penstock/partition/tests/graph_sketch.h"

namespace penstock::partition {
namespace {

using model::Graph;
using model::Shape;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Choices kRowsOrWhole = choice(Layout::kRows) | choice(Layout::kReplicated);
constexpr Choices kWhole = choice(Layout::kReplicated);

std::size_t at(int i) { return static_cast<std::size_t>(i); }

Network lowered(const Graph& graph) {
  Result<Network> network = lower(graph);
  if (!network) ADD_FAILURE() << network.error().text();
  return network ? *network : Network{};
}

std::vector<std::string> types_of(const Network& network) {
  std::vector<std::string> types;
  for (const Node& node : network.nodes) types.push_back(node.type);
  return types;
}

std::vector<std::string> operators_of(const Graph& graph, const Node& node) {
  std::vector<std::string> types;
  for (const int op : node.operators) types.push_back(graph.operators[at(op)].type);
  return types;
}

// The nth node of a type.
const Node& find(const Network& network, const std::string& type, int nth = 0) {
  for (const Node& node : network.nodes)
    if (node.type == type && nth-- == 0) return node;
  static const Node kNone;
  ADD_FAILURE() << "no node " << type;
  return kNone;
}

template <typename Count>
std::int64_t total(const Network& network, Count count) {
  std::int64_t sum = 0;
  for (const Node& node : network.nodes) sum += count(node);
  return sum;
}

// What holds for every network that lower() returns.
void expect_well_formed(const Graph& graph, const Network& network) {
  std::set<std::string> names;
  for (std::size_t n = 0; n < network.nodes.size(); ++n) {
    const Node& node = network.nodes[n];
    SCOPED_TRACE(node.name);
    EXPECT_TRUE(names.insert(node.name).second) << "a second node of this name";
    EXPECT_NE(node.choices, 0u);
    EXPECT_GE(std::min({node.rows, node.in_columns, node.out_columns}), 1);
    if (node.kind == NodeKind::kCopy) {
      EXPECT_GE(node.out_edges.size(), 2u);
      EXPECT_EQ(node.in_edges.size(), 1u);
    } else {
      EXPECT_LE(node.out_edges.size(), 1u);
    }
    if (node.kind == NodeKind::kLayer) {
      EXPECT_NE(node.choices & choice(Type::kBatch), 0u);
    } else {
      EXPECT_EQ(node.in_columns, node.out_columns);
      EXPECT_EQ(node.weights, 0);
    }
    for (const int e : node.in_edges) {
      const Edge& edge = network.edges[at(e)];
      EXPECT_EQ(edge.to, static_cast<int>(n));
      EXPECT_LT(edge.from, edge.to) << "not in topological order";
      EXPECT_EQ(edge.elements, network.nodes[at(edge.from)].out_elements);
    }
    for (const int e : node.out_edges) EXPECT_EQ(network.edges[at(e)].from, static_cast<int>(n));
  }
  EXPECT_EQ(total(network, [](const Node& node) { return node.macs; }), graph.macs());
}

// Wherever columns can pass an edge unchanged, both ends count them alike.
void expect_columns_agree(const Network& network) {
  for (const Edge& edge : network.edges) {
    const Node& from = network.nodes[at(edge.from)];
    const Node& to = network.nodes[at(edge.to)];
    const bool layer_out = from.kind == NodeKind::kLayer;
    const bool layer_in = to.kind == NodeKind::kLayer;
    const Choices leaves =
        layer_out ? choice(Type::kOut) | choice(Type::kGroup) : choice(Layout::kColumns);
    const Choices reads =
        layer_in ? choice(Type::kIn) | choice(Type::kGroup) : choice(Layout::kColumns);
    if ((from.choices & leaves) == 0 || (to.choices & reads) == 0) continue;
    EXPECT_EQ(from.out_columns, to.in_columns) << from.name << " to " << to.name;
  }
}

void expect_sound(const Graph& graph, const Network& network) {
  expect_well_formed(graph, network);
  expect_columns_agree(network);
  EXPECT_EQ(total(network, [](const Node& node) { return node.weights + node.vectors; }),
            graph.parameters_in_graph);
}

TEST(LowerTest, AChainAbsorbsWhatIsElementWiseAndKeepsItsChannelsThroughFlatten) {
  Sketch sketch(8);
  const int x = sketch.input({8, 3, 8, 8});
  const int relu = sketch.follow("Relu", sketch.conv(x, 16));
  const int pool = sketch.op("MaxPool", {relu}, {8, 16, 4, 4});
  const int flat = sketch.op("Flatten", {pool}, {8, 256});
  const int bias = sketch.op("Add", {sketch.linear(flat, 10), sketch.parameter({10})}, {8, 10});
  const Graph graph = sketch.graph({bias});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  EXPECT_TRUE(network.is_chain());
  EXPECT_THAT(types_of(network), ElementsAre("Conv", "MaxPool", "MatMul"));
  const Node& conv = network.nodes[0];
  EXPECT_THAT(operators_of(graph, conv), ElementsAre("Conv", "Relu"));
  EXPECT_EQ(conv.choices, kDenseTypes);
  EXPECT_EQ(conv.rows, 8);
  EXPECT_EQ(conv.in_columns, 3);
  EXPECT_EQ(conv.out_columns, 16);
  EXPECT_EQ(conv.weights, 16 * 3 * 9);
  EXPECT_EQ(conv.stash, 8 * 3 * 64);
  EXPECT_EQ(network.nodes[1].choices, kAnyLayout);
  EXPECT_EQ(network.nodes[1].stash, 8 * 16 * 64);
  EXPECT_THAT(operators_of(graph, network.nodes[1]), ElementsAre("MaxPool", "Flatten"));
  // 256 input features, but a channel's 16 lie on one side.
  EXPECT_EQ(network.nodes[2].in_columns, 16);
  EXPECT_EQ(network.nodes[2].vectors, 10);
  EXPECT_EQ(network.nodes[2].stash, 8 * 256);
}

TEST(LowerTest, AResidualBlockFansOutThroughACopyAndJoinsInAdd) {
  Sketch sketch(4);
  const int x = sketch.follow("Relu", sketch.conv(sketch.input({4, 3, 8, 8}), 16));
  const int branch = sketch.conv(sketch.follow("Relu", sketch.conv(x, 16)), 16);
  const int sum = sketch.op("Add", {branch, x}, {4, 16, 8, 8});
  const Graph graph = sketch.graph({sketch.follow("Relu", sum)});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  EXPECT_FALSE(network.is_chain());
  EXPECT_THAT(types_of(network), ElementsAre("Conv", "copy", "Conv", "Conv", "Add"));
  const Node& add = network.nodes[4];
  EXPECT_THAT(operators_of(graph, add), ElementsAre("Add", "Relu"));
  EXPECT_EQ(add.choices, kAnyLayout);
  // In the order of the operator's inputs: the branch, then the copy.
  ASSERT_EQ(add.in_edges.size(), 2u);
  EXPECT_EQ(network.edges[at(add.in_edges[0])].from, 3);
  EXPECT_EQ(network.edges[at(add.in_edges[1])].from, 1);
}

TEST(LowerTest, ConcatenatedChannelsAreCutAfresh) {
  Sketch sketch(4);
  const int x = sketch.conv(sketch.input({4, 3, 8, 8}), 16);
  const int joined =
      sketch.op("Concat", {sketch.conv(x, 24), sketch.conv(x, 8)}, {4, 32, 8, 8}, {{"axis", 1L}});
  const Graph graph = sketch.graph({sketch.conv(joined, 8)});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  const Node& concat = find(network, "Concat");
  EXPECT_EQ(concat.choices, kRowsOrWhole);
  EXPECT_EQ(concat.in_columns, 32);
  EXPECT_EQ(network.edges[at(concat.in_edges[0])].elements, 4 * 24 * 64);
  EXPECT_EQ(network.edges[at(concat.in_edges[1])].elements, 4 * 8 * 64);
  EXPECT_EQ(network.nodes.back().choices, kDenseTypes);
  EXPECT_EQ(network.nodes.back().in_columns, 32);
}

TEST(LowerTest, ATransformerBlockSplitsItsHeadsFromProjectionToProjection) {
  for (const std::int64_t batch : {1, 4}) {
    const Graph graph = transformer(batch, false);
    const Network network = lowered(graph);
    expect_sound(graph, network);
    EXPECT_THAT(types_of(network),
                ElementsAre("MatMul", "copy", "ReduceMean", "MatMul", "copy", "Slice", "Slice",
                            "Slice", "MatMul", "Softmax", "MatMul", "MatMul", "Add", "copy",
                            "ReduceMean", "MatMul", "Div", "MatMul", "Add"));
    const Node& norm = network.nodes[2];
    EXPECT_THAT(operators_of(graph, norm), ElementsAre("ReduceMean", "Sub", "Pow", "ReduceMean",
                                                       "Add", "Sqrt", "Div", "Mul", "Add"));
    EXPECT_EQ(norm.choices, kRowsOrWhole) << "it needs whole channels";
    EXPECT_EQ(norm.vectors, 64);
    EXPECT_EQ(norm.stash, norm.out_elements) << "its input";
    EXPECT_EQ(network.nodes[3].choices, kDenseTypes);
    EXPECT_EQ(network.nodes[3].in_columns, 32);
    for (std::size_t i = 4; i <= 10; ++i) {
      EXPECT_EQ(network.nodes[i].choices, kAnyLayout) << network.nodes[i].name;
      EXPECT_EQ(network.nodes[i].in_columns, 4) << network.nodes[i].name << ": heads";
    }
    EXPECT_EQ(network.nodes[3].out_columns, 4) << "heads";
    EXPECT_EQ(network.nodes[8].macs, batch * 4 * 6 * 6 * 8);
    EXPECT_EQ(network.nodes[11].in_columns, 4) << "heads";
    EXPECT_EQ(network.nodes[11].out_columns, 32);
    const Node& gelu = network.nodes[16];
    EXPECT_THAT(operators_of(graph, gelu), ElementsAre("Div", "Erf", "Add", "Mul", "Mul"));
    EXPECT_EQ(gelu.choices, kAnyLayout);
    EXPECT_EQ(gelu.in_columns, 128);
  }
}

TEST(LowerTest, QueriesKeysAndValuesTakenApartByIndexKeepTheirHeads) {
  const Graph graph = transformer(4, true);
  const Network network = lowered(graph);
  expect_sound(graph, network);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(find(network, "Gather", i).choices, kAnyLayout);
    EXPECT_EQ(find(network, "Gather", i).in_columns, 4);
  }
  EXPECT_EQ(network.nodes[3].out_columns, 4);
  EXPECT_EQ(find(network, "Softmax").in_columns, 4);
}

TEST(LowerTest, AGroupedConvolutionSplitsByRowsOrGroups) {
  Sketch sketch(2);
  const int wide = sketch.conv(sketch.input({2, 3, 8, 8}), 12);
  const int depthwise = sketch.follow("Relu", sketch.conv(wide, 12, 12));
  const int grouped = sketch.conv(sketch.conv(depthwise, 12), 24, 4);
  const Graph graph = sketch.graph({grouped});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  EXPECT_EQ(network.nodes[1].choices, choice(Type::kBatch) | choice(Type::kGroup));
  EXPECT_EQ(network.nodes[1].in_columns, 12);
  EXPECT_EQ(network.nodes[1].out_columns, 12);
  EXPECT_EQ(network.nodes[1].weights, 12 * 9);
  EXPECT_EQ(network.nodes[2].out_columns, 4) << "what follows takes whole groups";
  EXPECT_EQ(network.nodes[3].choices, choice(Type::kBatch) | choice(Type::kGroup));
  EXPECT_EQ(network.nodes[3].out_columns, 4);
  EXPECT_EQ(network.nodes[3].weights, 24 * 3 * 9);
}

TEST(LowerTest, AJoinTakesTheGrainsThatBothSidesAllow) {
  Sketch sketch(2);
  const int x = sketch.input({2, 3, 8, 8});
  const int sixths = sketch.conv(sketch.conv(x, 12), 12, 6);
  const int quarters = sketch.conv(sketch.conv(x, 12), 12, 4);
  const Graph graph = sketch.graph({sketch.op("Add", {sixths, quarters}, {2, 12, 8, 8})});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  for (const Node& node : network.nodes) EXPECT_EQ(node.out_columns, 2) << node.name;
}

TEST(LowerTest, AJoinTakesTheGrainsThatAnotherReaderOfOneSideAllows) {
  Sketch sketch(2);
  const int x = sketch.input({2, 3, 8, 8});
  const int read_by_groups = sketch.conv(x, 12);
  const int grouped = sketch.conv(read_by_groups, 12, 6);
  const int sum = sketch.op("Add", {sketch.conv(x, 12), read_by_groups}, {2, 12, 8, 8});
  const Graph graph = sketch.graph({grouped, sum});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  for (const Node& node : network.nodes) EXPECT_EQ(node.out_columns, 6) << node.name;
}

TEST(LowerTest, ANormThatNeedsWholeChannelsDoesNotPassItsReadersGrainsBack) {
  Sketch sketch(2);
  const int norm = sketch.layer_norm(sketch.linear(sketch.input({2, 6, 5}), 32));
  const Graph graph = sketch.graph({sketch.op("Reshape", {norm}, {2, 6, 4, 8})});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  ASSERT_EQ(network.nodes.size(), 2u);
  EXPECT_EQ(network.nodes[0].out_columns, 32);
  EXPECT_EQ(network.nodes[1].out_columns, 4);
}

TEST(LowerTest, AChannelShuffleIsOneNodeThatNeedsWholeChannels) {
  Sketch sketch(2);
  const int x = sketch.conv(sketch.input({2, 3, 8, 8}), 12);
  const int split = sketch.op("Reshape", {x}, {2, 3, 4, 8, 8});
  const int turned = sketch.op("Transpose", {split}, {2, 4, 3, 8, 8},
                               {{"perm", std::vector<std::int64_t>{0, 2, 1, 3, 4}}});
  const int shuffled = sketch.op("Reshape", {turned}, {2, 12, 8, 8});
  const Graph graph = sketch.graph({sketch.conv(shuffled, 12, 12)});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  EXPECT_THAT(types_of(network), ElementsAre("Conv", "Reshape", "Conv"));
  EXPECT_EQ(network.nodes[0].out_columns, 12) << "not coarsened by what it cannot pass";
  EXPECT_THAT(operators_of(graph, network.nodes[1]),
              ElementsAre("Reshape", "Transpose", "Reshape"));
  EXPECT_EQ(network.nodes[1].choices, kRowsOrWhole);
  EXPECT_EQ(network.nodes[2].choices, choice(Type::kBatch) | choice(Type::kGroup));
}

TEST(LowerTest, NormalisationAcrossChannelsNeedsThemWhole) {
  Sketch sketch(2);
  const int x = sketch.conv(sketch.input({2, 3, 8, 8}), 12);
  const int local = sketch.follow("LRN", x);
  const int instance =
      sketch.op("InstanceNormalization", {local, sketch.parameter({12}), sketch.parameter({12})},
                {2, 12, 8, 8});
  const Graph graph =
      sketch.graph({sketch.op("Softmax", {instance}, {2, 12, 8, 8}, {{"axis", 1L}})});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  EXPECT_EQ(find(network, "LRN").choices, kRowsOrWhole);
  EXPECT_EQ(find(network, "InstanceNormalization").choices, kAnyLayout);
  EXPECT_EQ(find(network, "InstanceNormalization").vectors, 24);
  EXPECT_EQ(find(network, "Softmax").choices, kRowsOrWhole);
}

TEST(LowerTest, BatchNormIsANodeInTrainingAndAScaleInInference) {
  for (const bool training : {false, true}) {
    Sketch sketch(2);
    const int x = sketch.conv(sketch.input({2, 3, 8, 8}), 12);
    const int norm =
        sketch.op("BatchNormalization", {x, sketch.parameter({12}), sketch.parameter({12})},
                  {2, 12, 8, 8}, {{"training_mode", training ? 1L : 0L}});
    const Graph graph = sketch.graph({sketch.follow("Relu", norm)});
    const Network network = lowered(graph);
    expect_sound(graph, network);
    if (training) {
      EXPECT_THAT(types_of(network), ElementsAre("Conv", "BatchNormalization"));
      EXPECT_EQ(network.nodes[1].choices, kAnyLayout);
      EXPECT_EQ(network.nodes[1].vectors, 24);
    } else {
      EXPECT_THAT(types_of(network), ElementsAre("Conv"));
      EXPECT_EQ(network.nodes[0].vectors, 24);
    }
  }
}

TEST(LowerTest, AnUnknownOperatorIsABarrierWithAWarningAndWhatFollowsSplitsAgain) {
  Sketch sketch(4);
  const int x = sketch.linear(sketch.input({4, 16}), 8);
  const int odd = sketch.op("Frobnicate", {x}, {4, 8});
  sketch.last().known = false;
  const Graph graph = sketch.graph({sketch.linear(odd, 4)});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  EXPECT_THAT(types_of(network), ElementsAre("MatMul", "Frobnicate", "MatMul"));
  EXPECT_TRUE(network.nodes[1].barrier);
  EXPECT_EQ(network.nodes[1].choices, kWhole);
  EXPECT_THAT(network.warnings, ElementsAre(HasSubstr("Frobnicate1 (Frobnicate)")));
  EXPECT_THAT(network.warnings.front(), HasSubstr("sketch.onnx"));
  EXPECT_FALSE(network.nodes[2].barrier);
  EXPECT_EQ(network.nodes[2].choices & choice(Type::kBatch), choice(Type::kBatch));
  EXPECT_EQ(network.nodes[2].choices & choice(Type::kIn), 0u) << "its channels are not known";
}

TEST(LowerTest, ALayerWithoutTheBatchAmongItsRowsIsABarrierThatKeepsItsParameters) {
  for (const bool cut : {false, true}) {
    Sketch sketch(4);
    const int x = sketch.linear(sketch.input({4, 16}), 8);
    const int mixed =
        cut ? sketch.op("Reshape", {x}, {2, 16}) : sketch.op("Transpose", {x}, {8, 4});
    const Graph graph = sketch.graph({sketch.linear(mixed, 5)});
    const Network network = lowered(graph);
    expect_sound(graph, network);
    EXPECT_TRUE(network.nodes.back().barrier);
    EXPECT_EQ(network.nodes.back().kind, NodeKind::kGlue);
    EXPECT_EQ(network.nodes.back().vectors, (cut ? 16 : 4) * 5);
    EXPECT_THAT(network.warnings, testing::Contains(HasSubstr(network.nodes.back().name)));
  }
}

TEST(LowerTest, AnEmbeddingTableSplitsByItsDimensionAndPositionsAreItsVectors) {
  Sketch sketch(2);
  const int words = sketch.input({2, 6}, model::ElementType::kInteger);
  const int table = sketch.parameter({100, 32});
  const int embedded = sketch.op("Gather", {table, words}, {2, 6, 32});
  const int positions = sketch.op(
      "Gather", {sketch.parameter({6, 32}), sketch.constant({0, 1, 2, 3, 4, 5})}, {6, 32});
  const int sum = sketch.op("Add", {embedded, positions}, {2, 6, 32});
  const Graph graph = sketch.graph({sketch.linear(sum, 8)});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  EXPECT_THAT(types_of(network), ElementsAre("Gather", "MatMul"));
  EXPECT_EQ(network.nodes[0].choices, choice(Type::kBatch) | choice(Type::kOut));
  EXPECT_EQ(network.nodes[0].out_columns, 32);
  EXPECT_EQ(network.nodes[0].weights, 3200);
  EXPECT_EQ(network.nodes[0].vectors, 6 * 32);
  EXPECT_THAT(network.nodes[0].in_edges, ElementsAre()) << "indices come from the loader";
}

TEST(LowerTest, ARecurrentLayerSplitsByRowsWhereverTheBatchLies) {
  Sketch sketch(4);
  const int x = sketch.op("Transpose", {sketch.input({4, 6, 8})}, {6, 4, 8},
                          {{"perm", std::vector<std::int64_t>{1, 0, 2}}});
  const std::vector<int> out =
      sketch.ops("LSTM", {x, sketch.parameter({1, 64, 8}), sketch.parameter({1, 64, 16})},
                 {{6, 1, 4, 16}, {1, 4, 16}}, {}, 6 * 4 * 64 * 24);
  const int squeezed = sketch.op("Squeeze", {out[0]}, {6, 4, 16});
  const int state = sketch.op("Squeeze", {out[1]}, {4, 16});
  const Graph graph = sketch.graph({sketch.linear(squeezed, 5), sketch.linear(state, 3)});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  EXPECT_EQ(network.nodes[0].choices, choice(Type::kBatch));
  EXPECT_EQ(network.nodes[0].rows, 4);
  EXPECT_EQ(network.nodes[0].weights, 64 * 24);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(find(network, "MatMul", i).choices, kDenseTypes);
  EXPECT_TRUE(network.warnings.empty());
}

TEST(LowerTest, EachOutputOfASplitIsANode) {
  Sketch sketch(4);
  const int x = sketch.linear(sketch.input({4, 6, 8}), 24);
  const std::vector<int> parts =
      sketch.ops("Split", {x}, {{4, 6, 8}, {4, 6, 8}, {4, 6, 8}}, {{"axis", -1L}});
  const int sum = sketch.op("Sum", {parts[0], parts[1], parts[2]}, {4, 6, 8});
  const Graph graph = sketch.graph({sum});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  EXPECT_THAT(types_of(network), ElementsAre("MatMul", "copy", "Split", "Split", "Split", "Sum"));
  EXPECT_EQ(network.nodes[0].out_columns, 8) << "three chunks of eight";
  EXPECT_EQ(network.nodes[5].choices, kAnyLayout);
}

TEST(LowerTest, NoGradientFlowsWhereNothingBeforeHasParameters) {
  Sketch sketch(4);
  const int a = sketch.input({4, 6, 8});
  const int b = sketch.input({4, 8, 6});
  const int product = sketch.op("MatMul", {a, b}, {4, 6, 6}, {}, 4 * 6 * 6 * 8);
  const int first = sketch.linear(product, 8);
  const Graph graph = sketch.graph({sketch.linear(first, 8)});
  const Network network = lowered(graph);
  expect_sound(graph, network);
  ASSERT_EQ(network.edges.size(), 2u);
  EXPECT_FALSE(network.edges[0].gradient);
  EXPECT_TRUE(network.edges[1].gradient);
  EXPECT_EQ(network.nodes[0].stash, 0);
  EXPECT_EQ(network.nodes[1].stash, 4 * 6 * 6);
}

TEST(LowerTest, OperatorsThatNoOutputNeedsAreDropped) {
  Sketch sketch(4);
  const int x = sketch.linear(sketch.input({4, 8}), 8);
  const Graph whole = sketch.graph({sketch.linear(x, 8)});
  sketch.follow("Relu", x);
  Graph graph = sketch.graph(whole.outputs);
  EXPECT_EQ(lowered(graph).nodes.size(), lowered(whole).nodes.size());
}

TEST(LowerTest, AGraphWithoutLayersIsAnErrorThatNamesTheFile) {
  Sketch sketch(4);
  const Graph graph = sketch.graph({sketch.follow("Relu", sketch.input({4, 8}))});
  const Result<Network> network = lower(graph);
  ASSERT_FALSE(network.has_value());
  EXPECT_EQ(network.error().kind, ErrorKind::kInput);
  EXPECT_THAT(network.error().text(), HasSubstr("sketch.onnx"));
}

TEST(LowerZooTest, AllNineNetworksKeepTheirMacsAndWeightsAndHaveNoBarrier) {
  for (const std::string& name : model::zoo_names()) {
    SCOPED_TRACE(name);
    const Result<Graph> graph = model::zoo(name, 512);
    ASSERT_TRUE(graph.has_value()) << graph.error().text();
    const Network network = lowered(*graph);
    expect_sound(*graph, network);
    EXPECT_TRUE(network.warnings.empty());
    EXPECT_EQ(network.is_chain(), name.substr(0, 6) != "resnet");
  }
}

TEST(LowerZooTest, Vgg16FirstDenseLayerReadsItsFeaturesByMap) {
  const Result<Graph> graph = model::zoo("vgg16", 512);
  ASSERT_TRUE(graph.has_value());
  const Network network = lowered(*graph);
  EXPECT_EQ(network.nodes.size(), 21u);  // 13 convolutions, 5 pools, 3 dense layers
  const Node& dense = network.nodes[18];
  EXPECT_EQ(dense.weights, 25088 * 4096);
  EXPECT_EQ(dense.in_columns, 512);
  EXPECT_EQ(dense.out_columns, 4096);
  EXPECT_EQ(network.nodes[16].out_columns, 512);
}

std::filesystem::path shared_graphs() {
  const char* root = std::getenv("PENSTOCK_SHARED");
  const std::filesystem::path shared =
      root != nullptr ? root : std::filesystem::path(PENSTOCK_SOURCE_DIR) / ".." / "shared";
  return shared / "data" / "onnx";
}

std::vector<std::filesystem::path> graph_files() {
  std::vector<std::filesystem::path> files;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(shared_graphs(), ignored))
    if (entry.path().extension() == ".onnx") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

TEST(LowerFilesTest, EveryGraphIsSoundAndNeedsNoBarrier) {
  if (graph_files().empty()) GTEST_SKIP() << "no graphs in " << shared_graphs();
  // Layers, glue, copies.
  const std::map<std::string, std::vector<int>> counts = {
      {"vgg16_dyn", {16, 6, 0}},         // 5 pools and the adaptive pool that keeps the size
      {"resnet50_dyn", {54, 18, 16}},    // 16 Add, 2 pools
      {"resnet50_train", {54, 71, 16}},  // and 53 batch norms
      {"gpt2s",
       {50, 133, 36}},  // of 12 blocks: 2 norms, 3 slices, 2 products, softmax, GELU, 2 Add
      {"lstm", {3, 0, 0}},
      {"light_squeezenet", {26, 13, 8}},  // 8 Concat, 4 pools, softmax
  };
  for (const std::filesystem::path& file : graph_files()) {
    SCOPED_TRACE(file.string());
    const Result<Graph> graph = model::read_onnx(file.string());
    ASSERT_TRUE(graph.has_value()) << graph.error().text();
    const Network network = lowered(*graph);
    expect_well_formed(*graph, network);
    expect_columns_agree(network);
    // Where an export folded a batch norm into its convolution, the operator is the user of the two
    // vectors that were trained.
    EXPECT_EQ(total(network, [](const Node& node) { return node.weights + node.vectors; }),
              graph->parameters);
    EXPECT_TRUE(network.warnings.empty()) << network.warnings.front();
    const auto expected = counts.find(file.stem().string());
    if (expected == counts.end()) continue;
    std::vector<int> kinds(3, 0);
    for (const Node& node : network.nodes) ++kinds[static_cast<std::size_t>(node.kind)];
    EXPECT_EQ(kinds, expected->second);
  }
}

TEST(LowerFilesTest, TheBatchChangesNothingButRowsAndSizes) {
  if (graph_files().empty()) GTEST_SKIP() << "no graphs in " << shared_graphs();
  int compared = 0;
  for (const std::filesystem::path& file : graph_files()) {
    SCOPED_TRACE(file.string());
    const Result<Graph> one = model::read_onnx(file.string(), {.batch = 1});
    const Result<Graph> six = model::read_onnx(file.string(), {.batch = 6});
    if (!one || !six) continue;  // refused by name: the reader's tests say which
    const Network a = lowered(*one);
    const Network b = lowered(*six);
    ASSERT_EQ(a.nodes.size(), b.nodes.size());
    ++compared;
    for (std::size_t n = 0; n < a.nodes.size(); ++n) {
      SCOPED_TRACE(a.nodes[n].name);
      EXPECT_EQ(a.nodes[n].name, b.nodes[n].name);
      EXPECT_EQ(a.nodes[n].choices, b.nodes[n].choices);
      EXPECT_EQ(a.nodes[n].in_columns, b.nodes[n].in_columns);
      EXPECT_EQ(a.nodes[n].out_columns, b.nodes[n].out_columns);
      EXPECT_EQ(a.nodes[n].weights, b.nodes[n].weights);
      EXPECT_EQ(a.nodes[n].vectors, b.nodes[n].vectors);
      EXPECT_EQ(b.nodes[n].out_elements, 6 * a.nodes[n].out_elements);
      EXPECT_EQ(b.nodes[n].stash, 6 * a.nodes[n].stash);
      EXPECT_EQ(b.nodes[n].rows, 6);
    }
  }
  EXPECT_GT(compared, 15);
}

}  // namespace
}  // namespace penstock::partition
