// Parameters are classified and counted by use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model_builder.h"

namespace penstock::model {
namespace {

TensorKind kind_of(const Graph& graph, const std::string& name) {
  const Tensor* tensor = find_tensor(graph, name);
  EXPECT_NE(tensor, nullptr) << name;
  return tensor == nullptr ? TensorKind::kConstant : tensor->kind;
}

TEST(ParameterTest, TheSameTensorUsedTwiceCountsOnce) {
  ModelBuilder b;
  b.input("x", {1, 8})
      .weight("w", {8, 8})
      .node("MatMul", {"x", "w"}, {"h"})
      .node("MatMul", {"h", "w"}, {"y"})
      .output("y");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_EQ(graph->parameters, 64);
  EXPECT_EQ(graph->operators[0].parameters, 64);
  EXPECT_EQ(graph->operators[1].parameters, 0);
}

TEST(ParameterTest, EveryIdentityIsAParameterThatTheExporterMerged) {
  ModelBuilder b;
  b.input("x", {1, 8})
      .weight("w", {8, 8})
      .node("Identity", {"w"}, {"v"})
      .node("MatMul", {"x", "w"}, {"h"})
      .node("MatMul", {"h", "v"}, {"y"})
      .output("y");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_EQ(graph->parameters, 128);
  EXPECT_EQ(kind_of(*graph, "v"), TensorKind::kParameter);
}

TEST(ParameterTest, MovedAndSlicedWeightsCountWhole) {
  ModelBuilder b;
  b.input("x", {1, 8})
      .weight("w", {12, 8})
      .integers("zero", {0})
      .integers("four", {4})
      .integers("twelve", {12})
      .node("Slice", {"w", "zero", "four"}, {"first"})
      .node("Slice", {"w", "four", "twelve"}, {"second"})
      .node("Concat", {"second", "first"}, {"turned"})
      .with("axis", 0)
      .node("Transpose", {"turned"}, {"t"})
      .node("MatMul", {"x", "t"}, {"y"})
      .output("y");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_EQ(graph->parameters, 96);
  EXPECT_EQ(graph->operators.size(), 1U);
  EXPECT_EQ(find_tensor(*graph, "t")->shape, (Shape{8, 12}));
}

TEST(ParameterTest, WeightsMadeByConstantOfShapeAreTrained) {
  ModelBuilder b(9);
  b.input("x", {1, 3, 8, 8})
      .integers("shape", {4, 3, 3, 3})
      .node("ConstantOfShape", {"shape"}, {"w"})
      .node("Conv", {"x", "w"}, {"y"})
      .output("y");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_EQ(graph->parameters, 108);
}

TEST(ParameterTest, PlainInputsOfAnExportWithoutWeightsAreClassifiedByUse) {
  ModelBuilder b;
  b.input("x", {2, 8})
      .input("table", {100, 8})
      .input("ids", {2}, onnx::TensorProto::INT64)
      .input("w", {4, 8})
      .input("b", {4})
      .input("scale", {4})
      .node("Gather", {"table", "ids"}, {"e"})
      .node("Add", {"x", "e"}, {"s"})
      .node("Gemm", {"s", "w", "b"}, {"g"})
      .with("transB", 1)
      .node("Mul", {"scale", "g"}, {"y"})
      .output("y");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_EQ(graph->parameters, 800 + 32 + 4 + 4);
  EXPECT_EQ(kind_of(*graph, "x"), TensorKind::kInput);
  EXPECT_EQ(kind_of(*graph, "ids"), TensorKind::kInput);
  EXPECT_EQ(kind_of(*graph, "scale"), TensorKind::kParameter);
  EXPECT_EQ(graph->inputs.size(), 2U);
}

TEST(ParameterTest, PlainInputsBesideStoredWeightsAreData) {
  ModelBuilder b;
  b.input("x", {2, 8})
      .input("mask", {1, 8})
      .weight("w", {8, 4})
      .node("Mul", {"x", "mask"}, {"m"})
      .node("MatMul", {"m", "w"}, {"y"})
      .output("y");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_EQ(graph->parameters, 32);
  EXPECT_EQ(kind_of(*graph, "mask"), TensorKind::kInput);
}

TEST(ParameterTest, ASecondImageIsDataAndAClassTokenIsNot) {
  ModelBuilder b;
  b.input("x", {1, 3, 8, 8})
      .input("z", {1, 3, 8, 8})
      .input("token", {1, 4, 1})
      .input("w", {4, 3, 3, 3})
      .integers("t", {1, 4, -1})
      .node("Conv", {"x", "w"}, {"a"})
      .node("Conv", {"z", "w"}, {"c"})
      .node("Add", {"a", "c"}, {"s"})
      .node("Reshape", {"s", "t"}, {"r"})
      .node("Concat", {"token", "r"}, {"y"})
      .with("axis", 2)
      .output("y");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_EQ(kind_of(*graph, "z"), TensorKind::kInput);
  EXPECT_EQ(kind_of(*graph, "token"), TensorKind::kParameter);
  EXPECT_EQ(graph->parameters, 108 + 4);
  ASSERT_EQ(graph->warnings.size(), 1U);
  EXPECT_NE(graph->warnings.front().find("\"token\""), std::string::npos);
}

TEST(ParameterTest, StatisticsAndBoundsAreNotTrained) {
  ModelBuilder b;
  b.input("x", {2, 5, 3})
      .weight("s", {5})
      .weight("b", {5})
      .weight("m", {5})
      .weight("v", {5})
      .reals("low", {0})
      .reals("high", {6})
      .node("BatchNormalization", {"x", "s", "b", "m", "v"}, {"n"})
      .node("Clip", {"n", "low", "high"}, {"y"})
      .output("y");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_EQ(graph->parameters, 10);
  EXPECT_EQ(kind_of(*graph, "m"), TensorKind::kStatistic);
  EXPECT_EQ(kind_of(*graph, "s"), TensorKind::kParameter);
  EXPECT_EQ(kind_of(*graph, "high"), TensorKind::kConstant);
}

TEST(ParameterTest, ABiasOfAFoldedBatchNormStandsForTwoVectors) {
  const auto model = [](const std::string& weight, const std::string& bias) {
    ModelBuilder b;
    b.input("x", {1, 3, 8, 8})
        .weight(weight, {4, 3, 3, 3})
        .weight(bias, {4})
        .node("Conv", {"x", weight, bias}, {"y"})
        .output("y");
    return b.read();
  };
  const Result<Graph> folded = model("onnx::Conv_193", "onnx::Conv_194");
  ASSERT_TRUE(folded);
  EXPECT_EQ(folded->parameters_in_graph, 112);
  EXPECT_EQ(folded->parameters, 116);
  const std::vector<LayerSummary> rows = layers(*folded);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].parameters, 116);
  EXPECT_EQ(rows[0].weight_elements, 112);
  const Result<Graph> named = model("conv.weight", "conv.bias");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->parameters, 112);
}

}  // namespace
}  // namespace penstock::model
