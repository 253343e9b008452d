#include "penstock/partition/internal/verify_operators.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "penstock/core/random.h"
#include "penstock/partition/tests/graph_sketch.h"

namespace penstock::partition::internal {
namespace {

using Integers = std::vector<std::int64_t>;

// One operator on random inputs of its whole shapes.
class Trial {
 public:
  Trial(const model::Graph& graph, std::uint64_t seed) : graph_(graph), random_(seed, "operators") {
    const model::Operator& op = graph_.operators[0];
    for (const int input : op.inputs) {
      arrays_.push_back(zeros(frame(input)));
      for (double& v : arrays_.back().values) v = 0.5 + random_.uniform();
    }
    // Gather's indices are integers, not to be differentiated.
    if (op.type == "Gather") {
      for (double& v : arrays_[1].values) v = std::floor(3 * (v - 0.5));
    }
  }

  // The slope of sum(result * weights) along a random direction, by backward and by differences.
  void expect_slopes_agree() {
    const model::Operator& op = graph_.operators[0];
    ASSERT_EQ(obstacle(graph_, op), "") << op.type;
    const Array result = forward(call());
    Array weights = result;
    for (double& v : weights.values) v = random_.normal();
    std::vector<bool> wanted(arrays_.size(), true);
    if (op.type == "Gather") wanted[1] = false;
    // What a graph keeps no value of has no gradient: statistics and exponents.
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const model::TensorKind kind = graph_.tensors[static_cast<std::size_t>(op.inputs[i])].kind;
      if (kind == model::TensorKind::kStatistic || kind == model::TensorKind::kConstant)
        wanted[i] = false;
    }
    const std::vector<Array> gradients = backward(call(), result, weights, wanted);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (!wanted[i]) continue;
      SCOPED_TRACE(fmt::format("{} input {}", op.type, i));
      std::vector<double> direction;
      double slope = 0;
      for (const double g : gradients[i].values) {
        direction.push_back(random_.normal());
        slope += g * direction.back();
      }
      const auto loss = [&](double step) {
        const Array kept = arrays_[i];
        for (std::size_t e = 0; e < direction.size(); ++e)
          arrays_[i].values[e] += step * direction[e];
        const Array moved = forward(call());
        arrays_[i] = kept;
        double sum = 0;
        for (std::size_t e = 0; e < moved.values.size(); ++e)
          sum += moved.values[e] * weights.values[e];
        return sum;
      };
      const double h = 1e-6;
      const double difference = (loss(h) - loss(-h)) / (2 * h);
      EXPECT_NEAR(slope, difference, 2e-7 * std::max(1.0, std::abs(difference)) + 1e-7);
    }
  }

 private:
  Frame frame(int tensor) const {
    return whole_frame(graph_.tensors[static_cast<std::size_t>(tensor)].shape);
  }
  Invocation call() const {
    Invocation call{&graph_, &graph_.operators[0], 0, {}, {}, {}};
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      call.inputs.push_back(&arrays_[i]);
      call.frames.push_back(frame(graph_.operators[0].inputs[i]));
    }
    call.result = frame(graph_.operators[0].outputs[0]);
    return call;
  }

  const model::Graph& graph_;
  core::RandomStream random_;
  std::vector<Array> arrays_;
};

void expect_slopes_agree(const std::string& type, const std::vector<model::Shape>& inputs,
                         const model::Shape& result, const Sketch::Attributes& attributes = {}) {
  Sketch sketch(result.empty() ? 1 : result.front());
  std::vector<int> tensors;
  for (const model::Shape& shape : inputs) tensors.push_back(sketch.input(shape));
  const model::Graph graph = sketch.graph({sketch.op(type, tensors, result, attributes)});
  for (const std::uint64_t seed : {1u, 2u}) Trial(graph, seed).expect_slopes_agree();
}

TEST(VerifyOperatorsTest, BackwardOfProductsIsTheSlopeOfForward) {
  expect_slopes_agree("Conv", {{2, 3, 5, 6}, {4, 3, 3, 2}, {4}}, {2, 4, 3, 3},
                      {{"strides", Integers{2, 2}}, {"pads", Integers{1, 0, 1, 1}}});
  expect_slopes_agree("Conv", {{2, 4, 7, 5}, {6, 2, 3, 3}}, {2, 6, 3, 1},
                      {{"group", 2L}, {"dilations", Integers{2, 2}}});
  expect_slopes_agree("Conv", {{2, 3, 6}, {4, 3, 3}}, {2, 4, 3},
                      {{"strides", Integers{2}}, {"auto_pad", std::string("SAME_UPPER")}});
  for (const std::int64_t a : {0, 1}) {
    for (const std::int64_t b : {0, 1}) {
      expect_slopes_agree("Gemm",
                          {a == 0 ? model::Shape{3, 4} : model::Shape{4, 3},
                           b == 0 ? model::Shape{4, 5} : model::Shape{5, 4},
                           {5}},
                          {3, 5}, {{"transA", a}, {"transB", b}, {"alpha", 0.5}, {"beta", 2.0}});
    }
  }
  expect_slopes_agree("MatMul", {{2, 3, 4}, {4, 5}}, {2, 3, 5});
  expect_slopes_agree("MatMul", {{2, 1, 3, 4}, {2, 2, 4, 5}}, {2, 2, 3, 5});
}

TEST(VerifyOperatorsTest, BackwardOfEinsumsIsTheSlopeOfForward) {
  const auto expect = [](const std::string& equation, const std::vector<model::Shape>& inputs,
                         const model::Shape& result) {
    SCOPED_TRACE(equation);
    expect_slopes_agree("Einsum", inputs, result, {{"equation", equation}});
  };
  expect("bij,bjk->bik", {{2, 3, 4}, {2, 4, 5}}, {2, 3, 5});
  expect("bi, eio -> beo", {{2, 3}, {4, 3, 2}}, {2, 4, 2});
  expect("ij,kj,j->ki", {{2, 3}, {4, 3}, {3}}, {4, 2});
  expect("bij->bj", {{2, 3, 4}}, {2, 4});
}

// The same products as MatMul, which Eigen does.
TEST(VerifyOperatorsTest, EinsumOfMatricesEqualsTheirProduct) {
  Sketch sketch(2);
  const int a = sketch.input({2, 3, 4});
  const int b = sketch.input({2, 4, 5});
  const model::Graph graph = sketch.graph(
      {sketch.op("Einsum", {a, b}, {2, 3, 5}, {{"equation", std::string("bij,bjk->bik")}}),
       sketch.op("MatMul", {a, b}, {2, 3, 5})});
  core::RandomStream random(8, "einsum");
  Array left = zeros(whole_frame({2, 3, 4}));
  Array right = zeros(whole_frame({2, 4, 5}));
  for (double& v : left.values) v = random.normal();
  for (double& v : right.values) v = random.normal();
  Array results[2];
  for (const std::size_t i : {0u, 1u}) {
    Invocation call{&graph, &graph.operators[i], 0, {&left, &right}, {}, {}};
    call.frames = {whole_frame(left.shape), whole_frame(right.shape)};
    call.result = whole_frame({2, 3, 5});
    results[i] = forward(call);
  }
  for (std::size_t i = 0; i < results[0].values.size(); ++i)
    EXPECT_NEAR(results[0].values[i], results[1].values[i], 1e-13);
}

TEST(VerifyOperatorsTest, BackwardOfFunctionsIsTheSlopeOfForward) {
  for (const char* type :
       {"Abs",         "Clip",      "Cos",       "Elu",      "Erf",      "Exp",        "Gelu",
        "HardSigmoid", "HardSwish", "LeakyRelu", "Log",      "Neg",      "Reciprocal", "Relu",
        "Selu",        "Sigmoid",   "Sin",       "Softplus", "Softsign", "Sqrt",       "Tanh"}) {
    expect_slopes_agree(type, {{3, 4}}, {3, 4});
  }
  for (const char* type : {"Add", "Sub", "Mul", "Div", "PRelu"}) {
    expect_slopes_agree(type, {{2, 3, 4}, {3, 1}}, {2, 3, 4});
  }
  expect_slopes_agree("Sum", {{2, 3}, {3}, {2, 1}}, {2, 3});
  expect_slopes_agree("Mean", {{2, 3}, {2, 3}}, {2, 3});
}

TEST(VerifyOperatorsTest, BackwardOfPoolsAndNormsIsTheSlopeOfForward) {
  for (const char* type : {"MaxPool", "AveragePool"}) {
    expect_slopes_agree(type, {{2, 3, 5, 4}}, {2, 3, 3, 2},
                        {{"kernel_shape", Integers{3, 2}},
                         {"strides", Integers{2, 2}},
                         {"pads", Integers{1, 0, 1, 0}}});
  }
  for (const char* type : {"GlobalAveragePool", "GlobalMaxPool"})
    expect_slopes_agree(type, {{2, 3, 4, 2}}, {2, 3, 1, 1});
  for (const char* type : {"Softmax", "LogSoftmax"})
    for (const std::int64_t axis : {1, -1})
      expect_slopes_agree(type, {{2, 3, 4}}, {2, 3, 4}, {{"axis", axis}});
  expect_slopes_agree("LayerNormalization", {{2, 3, 4}, {4}, {4}}, {2, 3, 4});
  expect_slopes_agree("LRN", {{2, 6, 2, 2}}, {2, 6, 2, 2},
                      {{"size", 4L}, {"alpha", 0.3}, {"beta", 0.75}, {"bias", 1.5}});
  expect_slopes_agree("ReduceMean", {{2, 3, 4}}, {2, 1, 4}, {{"axes", Integers{1}}});
  expect_slopes_agree("ReduceSum", {{2, 3, 4}}, {3}, {{"axes", Integers{0, 2}}, {"keepdims", 0L}});
}

TEST(VerifyOperatorsTest, BackwardOfMovesIsTheSlopeOfForward) {
  expect_slopes_agree("Transpose", {{2, 3, 4}}, {4, 2, 3}, {{"perm", Integers{2, 0, 1}}});
  expect_slopes_agree("Concat", {{2, 3}, {2, 4}}, {2, 7}, {{"axis", 1L}});
  expect_slopes_agree("Reshape", {{2, 6}}, {4, 3});
  expect_slopes_agree("Gather", {{3, 4}, {2, 5}}, {2, 5, 4});
  expect_slopes_agree("Expand", {{3, 1}}, {2, 3, 4});
  expect_slopes_agree("Slice", {{4, 6}}, {2, 6},
                      {{"starts", Integers{1}}, {"ends", Integers{3}}, {"axes", Integers{0}}});
}

// Against sums written out.
TEST(VerifyOperatorsTest, ConvolutionEqualsItsDefinition) {
  Sketch sketch(2);
  const int x = sketch.input({2, 4, 5, 6});
  const int w = sketch.parameter({6, 2, 3, 2});
  const model::Graph graph = sketch.graph(
      {sketch.op("Conv", {x, w}, {2, 6, 3, 3},
                 {{"group", 2L}, {"strides", Integers{2, 2}}, {"pads", Integers{1, 0, 1, 1}}})});
  core::RandomStream random(7, "convolution");
  Array input = zeros(whole_frame({2, 4, 5, 6}));
  Array weight = zeros(whole_frame({6, 2, 3, 2}));
  for (double& v : input.values) v = random.normal();
  for (double& v : weight.values) v = random.normal();
  Invocation call{&graph, &graph.operators[0], 0, {&input, &weight}, {}, {}};
  call.frames = {whole_frame(input.shape), whole_frame(weight.shape)};
  call.result = whole_frame({2, 6, 3, 3});
  const Array result = forward(call);
  std::size_t at = 0;
  for (int n = 0; n < 2; ++n) {
    for (int o = 0; o < 6; ++o) {
      for (int y = 0; y < 3; ++y) {
        for (int z = 0; z < 3; ++z, ++at) {
          double sum = 0;
          for (int i = 0; i < 2; ++i) {
            for (int k = 0; k < 3; ++k) {
              for (int l = 0; l < 2; ++l) {
                const int row = 2 * y + k - 1;
                const int column = 2 * z + l;
                if (row < 0 || row >= 5 || column >= 6) continue;
                const int channel = o / 3 * 2 + i;
                sum += input.values[static_cast<std::size_t>(((n * 4 + channel) * 5 + row) * 6 +
                                                             column)] *
                       weight.values[static_cast<std::size_t>(((o * 2 + i) * 3 + k) * 2 + l)];
              }
            }
          }
          EXPECT_NEAR(result.values[at], sum, 1e-13);
        }
      }
    }
  }
}

}  // namespace
}  // namespace penstock::partition::internal
