// One small graph for each shape rule, against closed forms and, where it knows the operator,
// libonnx.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/shape_inference/implementation.h>

#include "model_builder.h"

namespace penstock::model {
namespace {

using testing::ElementsAre;

// Builds a graph whose first input is "x" and whose result is "y"; checks y against `expected` and,
// unless libonnx 1.12 has no answer, against libonnx.
struct Case {
  std::string name;
  ModelBuilder builder;
  Shape expected;
  std::int64_t macs = 0;
};

std::optional<Shape> oracle_shape(const ModelBuilder& builder, const std::string& name) {
  onnx::ModelProto model;
  model.ParseFromString(builder.bytes());
  onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(),
                                     onnx::ShapeInferenceOptions(false, 0, true));
  for (const auto& info : model.graph().output()) {
    if (info.name() != name || !info.type().tensor_type().has_shape()) continue;
    Shape shape;
    for (const auto& dimension : info.type().tensor_type().shape().dim()) {
      if (!dimension.has_dim_value()) return std::nullopt;
      shape.push_back(dimension.dim_value());
    }
    return shape;
  }
  return std::nullopt;
}

void check(Case c) {
  SCOPED_TRACE(c.name);
  c.builder.output("y");
  const Result<Graph> graph = c.builder.read();
  ASSERT_TRUE(graph) << graph.error().text();
  const Tensor* y = find_tensor(*graph, "y");
  ASSERT_NE(y, nullptr);
  EXPECT_EQ(y->shape, c.expected);
  EXPECT_EQ(graph->macs(), c.macs);
  EXPECT_TRUE(graph->warnings.empty()) << graph->warnings.front();
  const std::optional<Shape> oracle = oracle_shape(c.builder, "y");
  if (oracle) {
    EXPECT_EQ(y->shape, *oracle) << "libonnx";
  }
}

ModelBuilder on(const Integers& shape, std::int64_t opset = 14) {
  ModelBuilder b(opset);
  b.input("x", shape);
  return b;
}

TEST(ShapeRuleTest, ConvolutionsFollowStridePadDilationAndGroups) {
  check({"plain",
         on({2, 3, 32, 30}).weight("w", {8, 3, 5, 3}).node("Conv", {"x", "w"}, {"y"}),
         {2, 8, 28, 28},
         2 * 8 * 28 * 28 * 3 * 15});
  check({"strided and padded",
         on({1, 3, 224, 224})
             .weight("w", {96, 3, 11, 11})
             .node("Conv", {"x", "w"}, {"y"})
             .with("strides", Integers{4, 4})
             .with("pads", Integers{2, 2, 2, 2}),
         {1, 96, 55, 55},
         std::int64_t{96} * 55 * 55 * 3 * 121});
  check({"dilated",
         on({1, 1, 16})
             .weight("w", {1, 1, 3})
             .node("Conv", {"x", "w"}, {"y"})
             .with("dilations", Integers{3}),
         {1, 1, 10},
         10 * 3});
  check(
      {"depthwise",
       on({1, 6, 8, 8}).weight("w", {6, 1, 3, 3}).node("Conv", {"x", "w"}, {"y"}).with("group", 6),
       {1, 6, 6, 6},
       6 * 36 * 9});
  check({"same padding",
         on({1, 2, 7, 7})
             .weight("w", {4, 2, 3, 3})
             .node("Conv", {"x", "w"}, {"y"})
             .with("strides", Integers{2, 2})
             .with_text("auto_pad", "SAME_UPPER"),
         {1, 4, 4, 4},
         4 * 16 * 18});
  check({"transposed",
         on({1, 4, 5, 5})
             .weight("w", {4, 3, 3, 3})
             .node("ConvTranspose", {"x", "w"}, {"y"})
             .with("strides", Integers{2, 2})
             .with("pads", Integers{1, 1, 1, 1})
             .with("output_padding", Integers{1, 1}),
         {1, 3, 10, 10},
         4 * 25 * 3 * 9});
}

TEST(ShapeRuleTest, PoolsRoundAsAsked) {
  const auto pool = [](std::int64_t ceil) {
    return on({1, 2, 112, 112})
        .node("MaxPool", {"x"}, {"y"})
        .with("kernel_shape", Integers{3, 3})
        .with("strides", Integers{2, 2})
        .with("ceil_mode", ceil);
  };
  check({"down", pool(0), {1, 2, 55, 55}});
  check({"up", pool(1), {1, 2, 56, 56}});
  check({"global", on({3, 5, 7, 9}).node("GlobalAveragePool", {"x"}, {"y"}), {3, 5, 1, 1}});
}

TEST(ShapeRuleTest, MatrixProductsCountEveryMultiplication) {
  check({"gemm",
         on({4, 10})
             .weight("w", {6, 10})
             .weight("b", {6})
             .node("Gemm", {"x", "w", "b"}, {"y"})
             .with("transB", 1),
         {4, 6},
         240});
  check({"gemm on both sides turned",
         on({10, 4})
             .weight("w", {6, 10})
             .node("Gemm", {"x", "w"}, {"y"})
             .with("transA", 1)
             .with("transB", 1),
         {4, 6},
         240});
  check({"batched",
         on({2, 3, 4, 5}).weight("w", {3, 5, 6}).node("MatMul", {"x", "w"}, {"y"}),
         {2, 3, 4, 6},
         6 * 4 * 5 * 6});
  check({"vector", on({7, 5}).weight("w", {5}).node("MatMul", {"x", "w"}, {"y"}), {7}, 35});
  check({"einsum",
         on({2, 3, 5})
             .weight("w", {4, 5})
             .node("Einsum", {"x", "w"}, {"y"})
             .with_text("equation", "bij, kj -> bik"),
         {2, 3, 4},
         2 * 3 * 5 * 4});
  check({"einsum with ellipsis",
         on({2, 3, 5})
             .weight("w", {5, 4})
             .node("Einsum", {"x", "w"}, {"y"})
             .with_text("equation", "...j,jk->...k"),
         {2, 3, 4},
         2 * 3 * 5 * 4});
  check({"einsum without result",
         on({3, 5})
             .weight("w", {5, 4})
             .node("Einsum", {"x", "w"}, {"y"})
             .with_text("equation", "bj,ja"),
         {4, 3},
         60});
}

TEST(ShapeRuleTest, RecurrentLayersCountTheirGates) {
  const auto recurrent = [](const std::string& type, std::int64_t gates, std::int64_t directions) {
    return on({16, 4, 10})
        .weight("w", {directions, gates * 20, 10})
        .weight("r", {directions, gates * 20, 20})
        .node(type, {"x", "w", "r"}, {"y"})
        .with("hidden_size", 20)
        .with_text("direction", directions == 2 ? "bidirectional" : "forward");
  };
  check({"lstm", recurrent("LSTM", 4, 1), {16, 1, 4, 20}, 64 * 4 * 20 * 30});
  check({"gru", recurrent("GRU", 3, 2), {16, 2, 4, 20}, 2 * 64 * 3 * 20 * 30});
  check({"rnn", recurrent("RNN", 1, 1), {16, 1, 4, 20}, 64 * 20 * 30});
}

TEST(ShapeRuleTest, ReshapesKeepTheElements) {
  const auto reshape = [](const Integers& target) {
    return on({2, 3, 4}).integers("t", target).node("Reshape", {"x", "t"}, {"y"});
  };
  check({"free", reshape({6, -1}), {6, 4}});
  check({"copied", reshape({0, 12}), {2, 12}});
  check({"flatten", on({2, 3, 4}).node("Flatten", {"x"}, {"y"}), {2, 12}});
  check({"flatten from the end",
         on({2, 3, 4}).node("Flatten", {"x"}, {"y"}).with("axis", -1),
         {6, 4}});
  check({"transpose",
         on({2, 3, 4}).node("Transpose", {"x"}, {"y"}).with("perm", Integers{2, 0, 1}),
         {4, 2, 3}});
  check({"reversed", on({2, 3, 4}).node("Transpose", {"x"}, {"y"}), {4, 3, 2}});
  check({"depth to space",
         on({1, 8, 2, 3}).node("DepthToSpace", {"x"}, {"y"}).with("blocksize", 2),
         {1, 2, 4, 6}});
}

// Before opset 13 the axes are attributes, since then inputs.
TEST(ShapeRuleTest, AxesComeAsAttributesOrInputs) {
  check({"squeeze 11",
         on({1, 3, 1}, 11).node("Squeeze", {"x"}, {"y"}).with("axes", Integers{2}),
         {1, 3}});
  check({"squeeze 13",
         on({1, 3, 1}, 13).integers("a", {-1}).node("Squeeze", {"x", "a"}, {"y"}),
         {1, 3}});
  check({"unsqueeze 11",
         on({3, 4}, 11).node("Unsqueeze", {"x"}, {"y"}).with("axes", Integers{0, 3}),
         {1, 3, 4, 1}});
  check({"unsqueeze 13",
         on({3, 4}, 13).integers("a", {0, -1}).node("Unsqueeze", {"x", "a"}, {"y"}),
         {1, 3, 4, 1}});
  check(
      {"sum 11", on({3, 4}, 11).node("ReduceSum", {"x"}, {"y"}).with("axes", Integers{1}), {3, 1}});
  check({"sum 13",
         on({3, 4}, 13).integers("a", {1}).node("ReduceSum", {"x", "a"}, {"y"}).with("keepdims", 0),
         {3}});
  check({"slice 9",
         on({10, 8}, 9)
             .node("Slice", {"x"}, {"y"})
             .with("starts", Integers{2})
             .with("ends", Integers{-1})
             .with("axes", Integers{0}),
         {7, 8}});
  check({"slice 13",
         on({10, 8}, 13)
             .integers("s", {9, 7})
             .integers("e", {-99, 0})
             .integers("a", {0, 1})
             .integers("t", {-3, -2})
             .node("Slice", {"x", "s", "e", "a", "t"}, {"y"}),
         {4, 4}});
  check({"split 11",
         on({10, 4}, 11).node("Split", {"x"}, {"y", "z"}).with("split", Integers{3, 7}),
         {3, 4}});
  check({"split 13",
         on({10, 4}, 13).integers("p", {3, 7}).node("Split", {"x", "p"}, {"y", "z"}),
         {3, 4}});
  check({"pad 2",
         on({1, 2, 3}, 10).node("Pad", {"x"}, {"y"}).with("pads", Integers{0, 1, 2, 0, 1, 0}),
         {1, 4, 5}});
  check({"pad 13",
         on({1, 2, 3}, 13).integers("p", {0, 1, 2, 0, 1, 0}).node("Pad", {"x", "p"}, {"y"}),
         {1, 4, 5}});
}

TEST(ShapeRuleTest, SelectionsAndRepetitionsHaveTheirSizes) {
  check({"concat", on({2, 3}).node("Concat", {"x", "x"}, {"y"}).with("axis", -1), {2, 6}});
  check({"gather",
         on({5, 6, 7}).integers("i", {0, 2}).node("Gather", {"x", "i"}, {"y"}).with("axis", 1),
         {5, 2, 7}});
  check(
      {"expand", on({3, 1}).integers("t", {2, 1, 4}).node("Expand", {"x", "t"}, {"y"}), {2, 3, 4}});
  check({"tile", on({3, 2}).integers("t", {2, 3}).node("Tile", {"x", "t"}, {"y"}), {6, 6}});
  check({"resize by scale",
         on({1, 3, 5, 5}, 13).reals("s", {1, 1, 2, 1.5F}).node("Resize", {"x", "", "s"}, {"y"}),
         {1, 3, 10, 7}});
  check({"resize to size",
         on({1, 3, 5, 5}, 13).integers("s", {1, 3, 8, 9}).node("Resize", {"x", "", "", "s"}, {"y"}),
         {1, 3, 8, 9}});
  check({"top k", on({4, 9}).integers("k", {3}).node("TopK", {"x", "k"}, {"y", "i"}), {4, 3}});
  check({"arg max",
         on({4, 9}).node("ArgMax", {"x"}, {"y"}).with("axis", 1).with("keepdims", 0),
         {4}});
}

TEST(ShapeRuleTest, NormalizationsAndActivationsKeepTheShape) {
  for (const char* type : {"Relu", "LeakyRelu", "Sigmoid", "Tanh", "Erf", "Sqrt", "Softmax",
                           "LogSoftmax", "Identity", "Exp", "HardSwish", "Elu"}) {
    check({type, on({2, 5}).node(type, {"x"}, {"y"}), {2, 5}});
  }
  check({"batch norm",
         on({2, 5, 3}).weight("s", {5}).weight("b", {5}).weight("m", {5}).weight("v", {5}).node(
             "BatchNormalization", {"x", "s", "b", "m", "v"}, {"y"}),
         {2, 5, 3}});
  check({"layer norm",
         on({2, 5, 8}, 17)
             .weight("s", {8})
             .weight("b", {8})
             .node("LayerNormalization", {"x", "s", "b"}, {"y"}),
         {2, 5, 8}});
  check({"broadcast", on({2, 1, 5}).weight("b", {4, 1}).node("Add", {"b", "x"}, {"y"}), {2, 4, 5}});
  check({"compare", on({2, 5}).weight("b", {5}).node("Greater", {"x", "b"}, {"y"}), {2, 5}});
}

// The arithmetic that exporters write round a reshape: heads = width / 3 of a fused projection.
TEST(ShapeRuleTest, ArithmeticOnShapesIsFolded) {
  ModelBuilder b = on({2, 6, 12});
  b.integers("last", {-1})
      .integers("three", {3})
      .integers("zero", {0})
      .integers("one", {1})
      .integers("two", {2})
      .integers("axis0", {0})
      .node("Shape", {"x"}, {"s"})
      .node("Gather", {"s", "last"}, {"width"})
      .node("Div", {"width", "three"}, {"third"})
      .node("Mul", {"third", "two"}, {"upto"})
      .node("Slice", {"x", "third", "upto", "two"}, {"part"})
      .node("Gather", {"s", "zero"}, {"items"})
      .node("Cast", {"third"}, {"as_float"})
      .with("to", 1)
      .node("Floor", {"as_float"}, {"floor"})
      .node("Cast", {"floor"}, {"again"})
      .with("to", 7)
      .node("Equal", {"again", "third"}, {"same"})
      .node("Where", {"same", "last", "three"}, {"free"})
      .node("Concat", {"items", "free", "two"}, {"target"})
      .with("axis", 0)
      .node("Reshape", {"part", "target"}, {"y"});
  b.output("y");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_THAT(find_tensor(*graph, "y")->shape, ElementsAre(2, 12, 2));
  ASSERT_EQ(graph->operators.size(), 2U);  // Slice and Reshape: the rest is arithmetic on shapes
  EXPECT_THAT(find_tensor(*graph, "target")->value, ElementsAre(2, -1, 2));
  EXPECT_EQ(graph->operator_counts.at("Gather"), 2);
}

TEST(ShapeRuleTest, RangesAndConstantsOfShapeHaveValues) {
  ModelBuilder b = on({4, 6});
  b.integers("t", {2}).integers("all", {6});
  b.node("Constant", {}, {"start"}).with("value_int", 1);
  b.node("Constant", {}, {"end"}).with("value_int", 8);
  b.node("Constant", {}, {"step"}).with("value_int", 3);
  b.node("Range", {"start", "end", "step"}, {"r"});
  b.node("Gather", {"x", "r"}, {"y"}).with("axis", 1);
  b.output("y");
  const Result<Graph> failing = b.read();
  ASSERT_FALSE(failing);  // 1, 4, 7: the last lies outside
  EXPECT_NE(failing.error().text().find("the index 7"), std::string::npos)
      << failing.error().text();
}

TEST(ShapeRuleTest, SmallRealConstantsKeepTheirValues) {
  ModelBuilder b = on({4, 6});
  b.integers("sixteen", {16}).reals("half", {-0.5F});
  b.node("Cast", {"sixteen"}, {"size"}).with("to", 1);
  b.node("Pow", {"size", "half"}, {"exponent"});  // as exporters write 1 / sqrt(size)
  b.node("Pow", {"x", "exponent"}, {"y"});
  b.output("y");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_THAT(find_tensor(*graph, "exponent")->reals, ElementsAre(0.25));
  EXPECT_TRUE(find_tensor(*graph, "exponent")->value.empty());
}

}  // namespace
}  // namespace penstock::model
