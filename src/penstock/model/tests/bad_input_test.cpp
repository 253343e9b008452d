// What is no graph is an error of one line that names file and place.
#include <gtest/gtest.h>

#include "model_builder.h"

namespace penstock::model {
namespace {

void expect_error(const Result<Graph>& graph, const std::vector<std::string>& parts) {
  ASSERT_FALSE(graph);
  const std::string text = graph.error().text();
  EXPECT_EQ(graph.error().kind, ErrorKind::kInput) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  for (const std::string& part : parts) {
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks: " << part;
  }
}

TEST(BadInputTest, AMissingFileIsMissing) {
  const Result<Graph> graph = read_onnx("/nowhere/model.onnx");
  ASSERT_FALSE(graph);
  EXPECT_EQ(graph.error().kind, ErrorKind::kMissing);
}

TEST(BadInputTest, OtherFilesAreNoModels) {
  expect_error(parse_onnx("", "empty.onnx"), {"empty.onnx", "not a whole ONNX model"});
  expect_error(parse_onnx("version https://git-lfs.github.com/spec/v1\n", "lfs.onnx"),
               {"lfs.onnx", "Git LFS"});
}

TEST(BadInputTest, ACycleNamesANodeOnIt) {
  ModelBuilder b;
  b.input("x", {2, 3}).node("Add", {"x", "b"}, {"a"}).node("Relu", {"a"}, {"b"}).output("b");
  expect_error(b.read(), {"test.onnx", "node \"a\" (Add)", "cycle"});
}

TEST(BadInputTest, NodesInAnyOrderAreSorted) {
  ModelBuilder b;
  b.input("x", {2, 3}).node("Relu", {"a"}, {"y"}).node("Sigmoid", {"x"}, {"a"}).output("y");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_EQ(graph->operators[0].type, "Sigmoid");
  EXPECT_EQ(graph->operators[1].type, "Relu");
}

TEST(BadInputTest, UndefinedAndDoublyDefinedTensorsAreNamed) {
  ModelBuilder undefined;
  undefined.input("x", {2, 3}).node("Add", {"x", "ghost"}, {"y"}).output("y");
  expect_error(undefined.read(), {"node \"y\" (Add)", "\"ghost\"", "nothing defines"});
  ModelBuilder twice;
  twice.input("x", {2, 3}).node("Relu", {"x"}, {"y"}).node("Tanh", {"x"}, {"y"}).output("y");
  expect_error(twice.read(), {"\"y\"", "defined twice"});
  ModelBuilder output;
  output.input("x", {2, 3}).node("Relu", {"x"}, {"y"}).output("z");
  expect_error(output.read(), {"output \"z\"", "no node"});
}

TEST(BadInputTest, ContradictingShapesNameTheNode) {
  ModelBuilder convolution;
  convolution.input("x", {1, 3, 8, 8})
      .weight("w", {4, 5, 3, 3})
      .node("Conv", {"x", "w"}, {"y"})
      .output("y");
  expect_error(convolution.read(), {"node \"y\" (Conv)", "4x5x3x3", "1x3x8x8"});
  ModelBuilder product;
  product.input("x", {2, 3}).weight("w", {4, 5}).node("MatMul", {"x", "w"}, {"y"}).output("y");
  expect_error(product.read(), {"node \"y\" (MatMul)", "2x3", "4x5"});
  ModelBuilder sum;
  sum.input("x", {2, 3}).weight("w", {4}).node("Add", {"x", "w"}, {"y"}).output("y");
  expect_error(sum.read(), {"node \"y\" (Add)", "do not fit"});
  ModelBuilder reshape;
  reshape.input("x", {2, 3}).integers("t", {5, -1}).node("Reshape", {"x", "t"}, {"y"}).output("y");
  expect_error(reshape.read(), {"node \"y\" (Reshape)", "2x3", "5x-1"});
  ModelBuilder declared;
  declared.input("x", {2, 3}).node("Relu", {"x"}, {"y"}).output("y", {2, 4});
  expect_error(declared.read(), {"output \"y\"", "contradicts"});
}

TEST(BadInputTest, AKernelLargerThanItsInputIsAnError) {
  ModelBuilder b;
  b.input("x", {1, 1, 4, 4}).weight("w", {1, 1, 5, 5}).node("Conv", {"x", "w"}, {"y"}).output("y");
  expect_error(b.read(), {"node \"y\" (Conv)", "does not fit"});
}

TEST(BadInputTest, NegativeZeroAndHugeDimensionsAreRefused) {
  for (const std::int64_t size : {std::int64_t{-1}, std::int64_t{0}}) {
    ModelBuilder b;
    b.input("x", {2, size}).node("Relu", {"x"}, {"y"}).output("y");
    expect_error(b.read(), {"input \"x\"", "dimension " + std::to_string(size)});
  }
  ModelBuilder huge;
  huge.input("x", {std::int64_t{1} << 40, std::int64_t{1} << 40})
      .node("Relu", {"x"}, {"y"})
      .output("y");
  expect_error(huge.read(), {"too large to count"});
  ModelBuilder work;
  work.input("x", {std::int64_t{1} << 30, std::int64_t{1} << 20})
      .weight("w", {std::int64_t{1} << 20, std::int64_t{1} << 20})
      .node("MatMul", {"x", "w"}, {"y"})
      .output("y");
  expect_error(work.read(), {"node \"y\" (MatMul)", "too many to count"});
}

TEST(BadInputTest, AHugeConstantIsNotMade) {
  ModelBuilder b;
  b.input("x", {2, 3})
      .integers("t", {std::int64_t{1} << 20, std::int64_t{1} << 20})
      .node("ConstantOfShape", {"t"}, {"c"})
      .node("Shape", {"c"}, {"s"})
      .node("Expand", {"x", "s"}, {"y"})
      .output("y");
  expect_error(b.read(), {"node \"y\" (Expand)", "do not fit"});
}

TEST(BadInputTest, AShapeThatDependsOnDataIsRefused) {
  ModelBuilder b;
  b.input("x", {2, 3})
      .input("t", {2}, onnx::TensorProto::INT64)
      .node("Reshape", {"x", "t"}, {"y"})
      .output("y");
  expect_error(b.read(), {"node \"y\" (Reshape)", "no small integer constant"});
}

TEST(BadInputTest, AnUnknownOperatorIsABarrierWithAWarning) {
  ModelBuilder b;
  b.input("x", {2, 3}).node("Frobnicate", {"x"}, {"f"}).node("Relu", {"f"}, {"y"}).output("y");
  expect_error(b.read(), {"node \"y\" (Relu)", "(Frobnicate)", "does not declare"});
  ModelBuilder declared = b;
  auto& info = *declared.graph().add_value_info();
  info.set_name("f");
  auto& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx::TensorProto::FLOAT);
  tensor.mutable_shape()->add_dim()->set_dim_value(2);
  tensor.mutable_shape()->add_dim()->set_dim_value(5);
  const Result<Graph> graph = declared.read();
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_FALSE(graph->operators[0].known);
  EXPECT_TRUE(graph->operators[1].known);
  EXPECT_EQ(find_tensor(*graph, "y")->shape, (Shape{2, 5}));
  ASSERT_EQ(graph->warnings.size(), 1U);
  EXPECT_EQ(graph->warnings.front().find("test.onnx: node \"f\" (Frobnicate)"), 0U)
      << graph->warnings.front();
}

TEST(BadInputTest, DataOfTheWrongSizeNamesTheInitializer) {
  ModelBuilder b;
  b.input("x", {2, 3}).weight("w", {3, 4}).node("MatMul", {"x", "w"}, {"y"}).output("y");
  b.graph().mutable_initializer(0)->set_raw_data("abc");
  expect_error(b.read(), {"initializer \"w\"", "3x4", "3 bytes"});
}

TEST(BadInputTest, ControlBytesInNamesDoNotReachTheScreen) {
  ModelBuilder b;
  b.input("x", {2, 3}).node("Relu", {"gh\nost\x01"}, {"y"}).output("y");
  expect_error(b.read(), {"\"gh?ost?\""});
}

TEST(BadInputTest, OperatorsOfTheSameNameAreToldApart) {
  ModelBuilder b;
  b.input("x", {2, 3}).node("Relu", {"x"}, {"a"}).node("Relu", {"a"}, {"y"}).output("y");
  for (auto& node : *b.graph().mutable_node()) node.set_name("relu");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->operators[0].name, "relu");
  EXPECT_EQ(graph->operators[1].name, "relu#2");
}

}  // namespace
}  // namespace penstock::model
