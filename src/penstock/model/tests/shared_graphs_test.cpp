// The graphs of real networks: counts against published and hand-made figures, shapes against
// libonnx.
#include <gtest/gtest.h>
#include <onnx/shape_inference/implementation.h>

#include <map>

#include "model_builder.h"
#include "penstock/core/file.h"

namespace penstock::model {
namespace {

// Parameters: torchvision's and onnx/models' published counts (the batch norms' statistics and the
// one-element dummy of the light graphs excluded). MACs: convolutions, then Gemm and MatMul.
struct Expected {
  std::int64_t batch;
  std::int64_t parameters;
  std::int64_t convolution_macs;
  std::int64_t matrix_macs;
};

// Hand-made figures of our own modules.
//
// bert_like: 2 blocks of width 256, 4 heads, 1024 inner features, 2 sequences of 64 tokens.
//   parameters of a block: 768*256 + 768 + 256*256 + 256 + 1024*256 + 1024 + 256*1024 + 256
//   + 4*256 = 789760
//   MACs of a block over 128 tokens: 128*256*768 + 128*256*256 + 2*128*256*1024
//   + 2 products of 64x64x64 for each of 2 * 4 heads
constexpr std::int64_t kBertParameters = 2 * 789760;
constexpr std::int64_t kBertMacs =
    2 * (128 * 256 * 768 + 128 * 256 * 256 + 2 * 128 * 256 * 1024 + 2 * 8 * 64 * 64 * 64);
// dlrm: 8 tables of 100000 x 64, bottom 13-512-64, the products of 9 vectors of 64 with one another
// (36 distinct), top 100-512-1, 128 samples.
constexpr std::int64_t kDlrmParameters =
    8 * 100000 * 64 + (13 * 512 + 512) + (512 * 64 + 64) + (100 * 512 + 512) + (512 + 1);
constexpr std::int64_t kDlrmMacs = 128 * (13 * 512 + 512 * 64 + 100 * 512 + 512) + 128 * 9 * 9 * 64;
// lstm: 128 -> 256 -> 256 -> 1000, 4 sequences of 16 steps, 4 gates and two bias vectors a layer.
constexpr std::int64_t kLstmParameters =
    4 * 256 * (128 + 256 + 2) + 4 * 256 * (256 + 256 + 2) + 256 * 1000 + 1000;
constexpr std::int64_t kLstmMacs =
    64 * (4 * 256 * (128 + 256) + 4 * 256 * (256 + 256) + 256 * 1000);
// gpt2s: 12 blocks of width 768, embeddings of 50257 and 128 rows and an output layer of its own.
constexpr std::int64_t kGptParameters =
    2 * 50257 * 768 + 128 * 768 + 2 * 768 +
    12 * (768 * 2304 + 2304 + 768 * 768 + 768 + 2 * 768 * 3072 + 3072 + 768 + 4 * 768);
// shufflenet: 1420152 counted by libonnx's reader, less statistics and the dummy; see
// CountsStatisticsApart.
constexpr std::int64_t kShufflenetParameters = 1393320;

const std::map<std::string, Expected> kExpected = {
    {"light_bvlc_alexnet", {1, 60965224, 595938432, 58621952}},
    {"light_inception_v1", {1, 6998552, 1430532352, 1024000}},
    {"light_resnet50", {1, 25557032, 4087136256, 2048000}},
    {"light_shufflenet", {1, kShufflenetParameters, 124120528, 544000}},
    {"light_squeezenet", {1, 1235496, 349151936, 0}},
    {"light_vgg19", {1, 143667240, 19508428800, 123633664}},
    {"alexnet_dyn", {1, 61100840, 655566528, 58621952}},
    {"bert_like", {2, kBertParameters, 0, kBertMacs}},
    {"dlrm", {128, kDlrmParameters, 0, kDlrmMacs}},
    {"googlenet", {1, 6624904, 1497352192, 1024000}},
    {"gpt2s", {2, kGptParameters, 0, 32228179968}},
    {"lstm", {4, kLstmParameters, 0, kLstmMacs}},
    {"mobilenet_v2", {1, 3504872, 299494272, 1280000}},
    {"resnet18", {1, 11689512, 1813561344, 512000}},
    {"resnet34", {1, 21797672, 3663249408, 512000}},
    {"resnet50_dyn", {1, 25557032, 4087136256, 2048000}},
    {"resnet50_train", {1, 25557032, 4087136256, 2048000}},
    {"vgg11", {1, 132863336, 7485456384, 123633664}},
    {"vgg13", {1, 133047848, 11184832512, 123633664}},
    {"vgg16_dyn", {1, 138357544, 15346630656, 123633664}},
    {"vit_b_16", {1, 86567656, 115605504, 17448222720}},
};

class SharedGraphTest : public testing::Test {
 protected:
  void SetUp() override {
    paths_ = shared_graphs();
    if (paths_.empty()) GTEST_SKIP() << "the shared graphs are absent; set PENSTOCK_SHARED";
  }
  std::vector<std::string> paths_;
};

std::int64_t macs_of(const Graph& graph, bool convolution) {
  std::int64_t sum = 0;
  for (const Operator& op : graph.operators) {
    if ((op.type == "Conv") == convolution) sum += op.macs;
  }
  return sum;
}

TEST_F(SharedGraphTest, EveryCountIsExact) {
  std::size_t checked = 0;
  for (const std::string& path : paths_) {
    SCOPED_TRACE(path);
    const auto expected = kExpected.find(stem(path));
    if (expected == kExpected.end()) continue;
    const Result<Graph> graph = read_onnx(path);
    ASSERT_TRUE(graph) << graph.error().text();
    EXPECT_EQ(graph->batch, expected->second.batch);
    EXPECT_EQ(graph->parameters, expected->second.parameters);
    EXPECT_EQ(macs_of(*graph, true), expected->second.convolution_macs);
    EXPECT_EQ(macs_of(*graph, false), expected->second.matrix_macs);
    ++checked;
  }
  EXPECT_EQ(checked, kExpected.size());
}

TEST_F(SharedGraphTest, OperatorsSumToTheGraph) {
  for (const std::string& path : paths_) {
    SCOPED_TRACE(path);
    const Result<Graph> graph = read_onnx(path);
    ASSERT_TRUE(graph) << graph.error().text();
    std::int64_t parameters = 0;
    std::int64_t rows = 0;
    std::int64_t weights = 0;
    for (const Operator& op : graph->operators) parameters += op.parameters;
    for (const LayerSummary& layer : layers(*graph)) {
      rows += layer.parameters;
      weights += layer.weight_elements;
    }
    EXPECT_EQ(parameters, graph->parameters);
    EXPECT_EQ(rows, graph->parameters);
    EXPECT_EQ(weights, graph->parameters_in_graph);
  }
}

TEST_F(SharedGraphTest, ExportsWithFoldedBatchNormsCountThemAsTrained) {
  for (const std::string& path : paths_) {
    if (stem(path) != "resnet18") continue;
    const Result<Graph> graph = read_onnx(path);
    ASSERT_TRUE(graph) << graph.error().text();
    // 20 convolutions with 4800 channels in all.
    EXPECT_EQ(graph->parameters_in_graph, 11684712);
    EXPECT_EQ(graph->parameters - graph->parameters_in_graph, 4800);
  }
}

TEST_F(SharedGraphTest, CountsStatisticsApart) {
  const std::map<std::string, std::int64_t> everything = {{"light_resnet50", 25610153},
                                                          {"light_shufflenet", 1420152}};
  for (const std::string& path : paths_) {
    const auto expected = everything.find(stem(path));
    if (expected == everything.end()) continue;
    SCOPED_TRACE(path);
    const Result<Graph> graph = read_onnx(path);
    ASSERT_TRUE(graph) << graph.error().text();
    std::int64_t statistics = 0;
    for (const Tensor& tensor : graph->tensors) {
      if (tensor.kind == TensorKind::kStatistic) statistics += elements(tensor.shape);
    }
    const std::int64_t rest = expected->second - graph->parameters - statistics;
    EXPECT_EQ(rest, stem(path) == "light_resnet50" ? 1 : 0);
  }
}

TEST_F(SharedGraphTest, OnlyDataInputsAreLeft) {
  const std::map<std::string, std::vector<std::string>> expected = {
      {"dlrm", {"onnx::Gemm_0", "idx", "li", "lj"}},
      {"lstm", {"input"}},
      {"bert_like", {"onnx::Transpose_0"}},
  };
  for (const std::string& path : paths_) {
    SCOPED_TRACE(path);
    const Result<Graph> graph = read_onnx(path);
    ASSERT_TRUE(graph) << graph.error().text();
    std::vector<std::string> names;
    for (const int input : graph->inputs) {
      names.push_back(graph->tensors[static_cast<std::size_t>(input)].name);
    }
    const auto found = expected.find(stem(path));
    if (found != expected.end()) {
      EXPECT_EQ(names, found->second);
    } else {
      EXPECT_EQ(names.size(), 1U);
    }
  }
}

TEST_F(SharedGraphTest, RebatchingScalesEveryOperatorExactly) {
  for (const std::string& path : paths_) {
    SCOPED_TRACE(path);
    const Result<Graph> base = read_onnx(path);
    ASSERT_TRUE(base) << base.error().text();
    for (const std::int64_t batch : {std::int64_t{1}, std::int64_t{7}, std::int64_t{512}}) {
      const Result<Graph> graph = read_onnx(path, {.batch = batch});
      ASSERT_TRUE(graph) << graph.error().text();
      EXPECT_EQ(graph->batch, batch);
      EXPECT_EQ(graph->parameters, base->parameters);
      ASSERT_EQ(graph->operators.size(), base->operators.size());
      for (std::size_t i = 0; i < graph->operators.size(); ++i) {
        EXPECT_EQ(graph->operators[i].macs * base->batch, base->operators[i].macs * batch)
            << graph->operators[i].name;
      }
      const Tensor& before = base->tensors[static_cast<std::size_t>(base->outputs.front())];
      const Tensor& after = graph->tensors[static_cast<std::size_t>(graph->outputs.front())];
      EXPECT_EQ(elements(after.shape) * base->batch, elements(before.shape) * batch);
      EXPECT_EQ(after.shape.front(), batch);
    }
  }
}

// In attention the batch is merged with the heads, then with the tokens: both must be found.
TEST_F(SharedGraphTest, RebatchedAttentionKeepsHeadsAndTokensApart) {
  for (const std::string& path : paths_) {
    if (stem(path) != "vit_b_16") continue;
    const Result<Graph> graph = read_onnx(path, {.batch = 7});
    ASSERT_TRUE(graph) << graph.error().text();
    int attentions = 0;
    for (const Operator& op : graph->operators) {
      if (op.type != "Softmax") continue;
      const Tensor& scores = graph->tensors[static_cast<std::size_t>(op.inputs.front())];
      EXPECT_EQ(scores.shape, (Shape{7 * 12, 197, 197}));
      ++attentions;
    }
    EXPECT_EQ(attentions, 12);
  }
}

// Shapes that libonnx infers for activations and that are known in all dimensions.
std::map<std::string, Shape> oracle_shapes(onnx::ModelProto& model) {
  onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(),
                                     onnx::ShapeInferenceOptions(false, 0, true));
  std::map<std::string, Shape> shapes;
  const auto add = [&](const onnx::ValueInfoProto& info) {
    if (!info.type().tensor_type().has_shape()) return;
    Shape shape;
    for (const auto& dimension : info.type().tensor_type().shape().dim()) {
      if (!dimension.has_dim_value()) return;
      shape.push_back(dimension.dim_value());
    }
    shapes[info.name()] = shape;
  };
  for (const auto& info : model.graph().value_info()) add(info);
  for (const auto& info : model.graph().output()) add(info);
  return shapes;
}

TEST_F(SharedGraphTest, EveryShapeThatLibonnxKnowsIsOurs) {
  std::size_t compared = 0;
  for (const std::string& path : paths_) {
    SCOPED_TRACE(path);
    const Result<std::string> bytes = core::read_file(path);
    ASSERT_TRUE(bytes);
    onnx::ModelProto model;
    ASSERT_TRUE(model.ParseFromString(*bytes));
    const std::map<std::string, Shape> oracle = oracle_shapes(model);
    const Result<Graph> graph = read_onnx(path);
    ASSERT_TRUE(graph) << graph.error().text();
    for (const Tensor& tensor : graph->tensors) {
      const auto known = oracle.find(tensor.name);
      if (known == oracle.end()) continue;
      EXPECT_EQ(tensor.shape, known->second) << tensor.name;
      ++compared;
    }
  }
  EXPECT_GT(compared, 2000U);
}

}  // namespace
}  // namespace penstock::model
