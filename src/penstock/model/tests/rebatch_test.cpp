// Re-batching: every shape and count follows the batch exactly, or the node that stands in the way
// is named.
#include <gtest/gtest.h>

#include "model_builder.h"

namespace penstock::model {
namespace {

void expect_shape(const ModelBuilder& builder, std::int64_t batch, const std::string& name,
                  const Shape& expected) {
  const Result<Graph> graph = builder.read({.batch = batch});
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_EQ(graph->batch, batch);
  ASSERT_NE(find_tensor(*graph, name), nullptr);
  EXPECT_EQ(find_tensor(*graph, name)->shape, expected);
}

void expect_refused(const ModelBuilder& builder, std::int64_t batch, const std::string& node) {
  const Result<Graph> graph = builder.read({.batch = batch});
  ASSERT_FALSE(graph);
  EXPECT_EQ(graph.error().kind, ErrorKind::kInput);
  EXPECT_NE(graph.error().text().find("\"" + node + "\""), std::string::npos)
      << graph.error().text();
  EXPECT_NE(graph.error().text().find("batch"), std::string::npos) << graph.error().text();
}

TEST(RebatchTest, AReshapeThatPinsTheBatchIsRewritten) {
  for (const Integers& target :
       {Integers{2, 48}, Integers{2, -1}, Integers{-1, 48}, Integers{0, 48}}) {
    ModelBuilder b;
    b.input("x", {2, 3, 4, 4})
        .integers("t", target)
        .weight("w", {48, 10})
        .node("Reshape", {"x", "t"}, {"f"})
        .node("MatMul", {"f", "w"}, {"y"})
        .output("y");
    expect_shape(b, 7, "f", {7, 48});
    expect_shape(b, 1, "y", {1, 10});
  }
}

TEST(RebatchTest, ABatchOfOneIsFoundToo) {
  for (const Integers& target : {Integers{1, 48}, Integers{1, -1}, Integers{-1, 48}}) {
    ModelBuilder b;
    b.input("x", {1, 3, 4, 4})
        .integers("t", target)
        .weight("w", {48, 10})
        .node("Reshape", {"x", "t"}, {"f"})
        .node("MatMul", {"f", "w"}, {"y"})
        .output("y");
    expect_shape(b, 512, "f", {512, 48});
  }
}

TEST(RebatchTest, ABatchMergedWithTokensAndTakenApartAgainIsFollowed) {
  ModelBuilder b;
  b.input("x", {2, 5, 8})
      .integers("merge", {10, 8})
      .integers("apart", {5, 2, 8})
      .weight("w", {8, 8})
      .node("Transpose", {"x"}, {"t"})
      .with("perm", Integers{1, 0, 2})
      .node("Reshape", {"t", "merge"}, {"m"})
      .node("MatMul", {"m", "w"}, {"p"})
      .node("Reshape", {"p", "apart"}, {"y"})
      .output("y");
  expect_shape(b, 7, "m", {35, 8});
  expect_shape(b, 7, "y", {5, 7, 8});
}

TEST(RebatchTest, AReshapeThatMixesTheBatchIsRefused) {
  ModelBuilder b;
  b.input("x", {4, 6}).integers("t", {2, 12}).node("Reshape", {"x", "t"}, {"y"}).output("y");
  expect_refused(b, 8, "y");
}

TEST(RebatchTest, WorkThatIsNotProportionalIsRefused) {
  ModelBuilder b;
  b.input("x", {4, 6})
      .node("Transpose", {"x"}, {"t"})
      .node("MatMul", {"x", "t"}, {"y"})
      .output("y");
  expect_refused(b, 8, "y");
}

TEST(RebatchTest, ASliceOfTheBatchIsRefusedAndAWholeOneFollows) {
  const auto slice = [](std::int64_t end) {
    ModelBuilder b;
    b.input("x", {4, 6})
        .integers("s", {0})
        .integers("e", {end})
        .node("Slice", {"x", "s", "e"}, {"y"})
        .output("y");
    return b;
  };
  expect_refused(slice(2), 8, "y");
  expect_shape(slice(4), 8, "y", {8, 6});
}

TEST(RebatchTest, OneItemTakenFromTheBatchIsRefused) {
  ModelBuilder b;
  b.input("x", {1, 6}).integers("i", {0}).node("Gather", {"x", "i"}, {"y"}).output("y");
  expect_refused(b, 8, "y");
}

TEST(RebatchTest, AnExpandedTokenGrowsWithTheBatch) {
  ModelBuilder b;
  b.input("x", {2, 6, 4}).weight("token", {1, 1, 4}).integers("t", {2, -1, -1}).weight("w", {4, 4});
  b.graph().mutable_initializer(1)->set_int64_data(1, 1);
  b.graph().mutable_initializer(1)->set_int64_data(2, 1);
  b.node("Expand", {"token", "t"}, {"tokens"})
      .node("Concat", {"tokens", "x"}, {"c"})
      .with("axis", 1)
      .node("MatMul", {"c", "w"}, {"y"})
      .output("y");
  expect_shape(b, 7, "y", {7, 7, 4});
  const Result<Graph> graph = b.read({.batch = 7});
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->parameters, 4 + 16);
  EXPECT_EQ(graph->macs(), 7 * 7 * 16);
}

TEST(RebatchTest, AStoredOperandOfTheOldBatchIsRefused) {
  ModelBuilder b;
  b.input("x", {2, 6}).weight("noise", {2, 6}).node("Add", {"x", "noise"}, {"y"}).output("y");
  expect_refused(b, 7, "y");
  EXPECT_TRUE(b.read({.batch = 2}));
}

TEST(RebatchTest, InitialStatesOfZeroGrowWithTheBatch) {
  ModelBuilder b;
  b.input("x", {4, 16, 10})
      .integers("t", {1, 4, 20})
      .weight("w", {1, 80, 10})
      .weight("r", {1, 80, 20})
      .node("Transpose", {"x"}, {"steps"})
      .with("perm", Integers{1, 0, 2})
      .node("ConstantOfShape", {"t"}, {"h"})
      .node("LSTM", {"steps", "w", "r", "", "", "h", "h"}, {"y"})
      .with("hidden_size", 20)
      .output("y");
  expect_shape(b, 7, "y", {16, 1, 7, 20});
}

// The stored state has the old batch; its value must not be read with the new batch's indices.
TEST(RebatchTest, AStoredStateOfEqualElementsGrowsWithTheBatch) {
  const auto model = [](float last) {
    ModelBuilder b;
    b.input("x", {3, 2, 2}).weight("w", {1, 8, 2}).weight("r", {1, 8, 2}).integers("one", {1});
    b.integers("head", {1}).integers("tail", {2});
    b.node("Transpose", {"x"}, {"steps"}).with("perm", Integers{1, 0, 2});
    b.node("Shape", {"steps"}, {"s"}).node("Gather", {"s", "one"}, {"batch"});
    b.node("Concat", {"head", "batch", "tail"}, {"target"}).with("axis", 0);
    b.integers("old", {1, 3, 2}).reals("h3", {0, 0, 0, 0, 0, last});
    b.node("Reshape", {"h3", "old"}, {"state"}).node("Expand", {"state", "target"}, {"wide"});
    b.node("LSTM", {"steps", "w", "r", "", "", "wide", "wide"}, {"y"}).with("hidden_size", 2);
    b.output("y");
    return b;
  };
  expect_shape(model(0), 7, "y", {2, 1, 7, 2});
  expect_refused(model(1), 7, "wide");
}

TEST(RebatchTest, AReductionMayEndTheBatch) {
  ModelBuilder b;
  b.input("x", {2, 6})
      .node("ReduceMean", {"x"}, {"y"})
      .with("axes", Integers{0})
      .with("keepdims", 0)
      .output("y");
  expect_shape(b, 9, "y", {6});
}

TEST(RebatchTest, InputsOfAnotherLeadingDimensionStay) {
  ModelBuilder b;
  b.input("x", {4, 9})
      .input("i", {3}, onnx::TensorProto::INT64)
      .node("Gather", {"x", "i"}, {"y"})
      .with("axis", 1)
      .output("y");
  expect_shape(b, 7, "y", {7, 3});
  expect_shape(b, 7, "i", {3});
}

TEST(RebatchTest, ASymbolicBatchIsOneUnlessSet) {
  ModelBuilder b;
  b.input("x", {1, 6}).weight("w", {6, 5}).node("MatMul", {"x", "w"}, {"y"}).output("y");
  b.graph()
      .mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_param("N");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->batch, 1);
  EXPECT_TRUE(graph->warnings.empty());
  expect_shape(b, 33, "y", {33, 5});
}

TEST(RebatchTest, AnotherSymbolicDimensionIsTakenAsOneWithAWarning) {
  ModelBuilder b;
  b.input("x", {2, 6, 4}).node("Relu", {"x"}, {"y"}).output("y");
  b.graph()
      .mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(1)
      ->set_dim_param("tokens");
  const Result<Graph> graph = b.read();
  ASSERT_TRUE(graph);
  ASSERT_EQ(graph->warnings.size(), 1U);
  EXPECT_NE(graph->warnings.front().find("\"tokens\""), std::string::npos);
}

TEST(RebatchTest, AnUnknownOperatorOnTheBatchIsRefused) {
  ModelBuilder b;
  b.input("x", {2, 6}).node("Frobnicate", {"x"}, {"y"}).output("y", {2, 6});
  EXPECT_TRUE(b.read());
  expect_refused(b, 3, "y");
}

TEST(RebatchTest, BatchesOutOfRangeAreRefused) {
  ModelBuilder b;
  b.input("x", {2, 6}).node("Relu", {"x"}, {"y"}).output("y");
  EXPECT_FALSE(b.read({.batch = 0}));
  EXPECT_FALSE(b.read({.batch = -1}));
  EXPECT_FALSE(b.read({.batch = std::int64_t{1} << 40}));
}

}  // namespace
}  // namespace penstock::model
