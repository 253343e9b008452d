// Damaged files: a one-line error or a valid graph, whatever the damage.
#include <gtest/gtest.h>

#include <algorithm>

#include "model_builder.h"
#include "penstock/core/file.h"
#include "penstock/core/random.h"

namespace penstock::model {
namespace {

constexpr int kMutations = 10'000;

std::string own_model() {
  ModelBuilder b(13);
  b.input("x", {1, 3, 8, 8})
      .weight("w", {4, 3, 3, 3})
      .weight("b", {4})
      .integers("flat", {1, 144})
      .integers("axes", {1})
      .weight("fc", {144, 10})
      .node("Conv", {"x", "w", "b"}, {"c"})
      .with("strides", Integers{1, 1})
      .node("Relu", {"c"}, {"r"})
      .node("Shape", {"r"}, {"s"})
      .node("ConstantOfShape", {"s"}, {"zeros"})
      .node("Add", {"r", "zeros"}, {"sum"})
      .node("Reshape", {"sum", "flat"}, {"f"})
      .node("MatMul", {"f", "fc"}, {"m"})
      .node("Unsqueeze", {"m", "axes"}, {"u"})
      .node("Einsum", {"u", "u"}, {"y"})
      .with_text("equation", "bij,bkj->bik")
      .output("y");
  return b.bytes();
}

std::string mutate(std::string bytes, core::RandomStream& random) {
  const std::uint64_t kind = random.below(4);
  if (kind == 0) return bytes.substr(0, random.below(bytes.size()));
  const std::uint64_t hits = kind == 1 ? 1 : 1 + random.below(16);
  for (std::uint64_t i = 0; i < hits; ++i) {
    char& byte = bytes[random.below(bytes.size())];
    if (kind == 3) {
      byte = static_cast<char>(random.below(256));
    } else {
      byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << random.below(8)));
    }
  }
  return bytes;
}

void expect_valid(const Graph& graph) {
  const int tensors = static_cast<int>(graph.tensors.size());
  for (std::size_t i = 0; i < graph.operators.size(); ++i) {
    const Operator& op = graph.operators[i];
    ASSERT_GE(op.macs, 0);
    ASSERT_GE(op.parameters, 0);
    for (const int input : op.inputs) {
      ASSERT_LT(input, tensors);
      if (input < 0) continue;
      const Tensor& tensor = graph.tensors[static_cast<std::size_t>(input)];
      ASSERT_LT(tensor.producer, static_cast<int>(i));
    }
    for (const int output : op.outputs) ASSERT_LT(output, tensors);
  }
  for (const Tensor& tensor : graph.tensors) {
    for (const std::int64_t size : tensor.shape) ASSERT_GE(size, 0);
  }
  ASSERT_GE(graph.macs(), 0);
  ASSERT_GE(graph.parameters, graph.parameters_in_graph);
}

void expect_one_line(const Error& error) {
  EXPECT_EQ(error.kind, ErrorKind::kInput) << error.text();
  const std::string text = error.text();
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  EXPECT_EQ(text.find("mutant"), 0U) << text;
}

void fuzz(const std::vector<std::string>& models, int mutations) {
  core::RandomStream random(2024, "onnx mutations");
  int refused = 0;
  for (int i = 0; i < mutations; ++i) {
    const std::string& original = models[random.below(models.size())];
    ReadOptions options;
    if (random.below(2) == 0) options.batch = static_cast<std::int64_t>(1 + random.below(600));
    const Result<Graph> graph = parse_onnx(mutate(original, random), "mutant", options);
    if (graph) {
      expect_valid(*graph);
    } else {
      expect_one_line(graph.error());
      ++refused;
    }
    if (testing::Test::HasFatalFailure()) FAIL() << "mutation " << i;
  }
  // The damage is real: a good part of it must be noticed.
  EXPECT_GT(refused, mutations / 4);
}

TEST(FuzzTest, DamagedSmallModelsAreErrorsOrGraphs) { fuzz({own_model()}, kMutations); }

TEST(FuzzSlowTest, DamagedRealGraphsAreErrorsOrGraphs) {
  std::vector<std::string> models;
  for (const std::string& path : shared_graphs()) {
    const Result<std::string> bytes = core::read_file(path);
    ASSERT_TRUE(bytes);
    models.push_back(*bytes);
  }
  if (models.empty()) GTEST_SKIP() << "the shared graphs are absent; set PENSTOCK_SHARED";
  fuzz(models, kMutations);
}

// Every prefix, since a file cut at a field's end still parses.
TEST(FuzzTest, EveryPrefixIsAnErrorOrAGraph) {
  const std::string whole = own_model();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Result<Graph> graph = parse_onnx(whole.substr(0, size), "mutant");
    if (graph) {
      expect_valid(*graph);
    } else {
      expect_one_line(graph.error());
    }
  }
  EXPECT_TRUE(parse_onnx(whole, "mutant"));
}

}  // namespace
}  // namespace penstock::model
