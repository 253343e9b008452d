// Operators against two references: finite differences of their own forward pass in double
// precision for the gradients, and closed forms or plain loops for the forward pass.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "../../../model/tests/model_builder.h"
#include "penstock/train/worker/torch_program.h"

namespace penstock::train {
namespace {

using model::Integers;
using model::ModelBuilder;
using ::testing::HasSubstr;

void with_real(ModelBuilder& b, const std::string& name, float value) {
  onnx::NodeProto& node = *b.graph().mutable_node(b.graph().node_size() - 1);
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
}

// One operator between "h", an input times a trained scale, and the output "y".
struct OperatorCase {
  std::string name;
  Integers shape;  // of the input
  std::function<void(ModelBuilder&)> add;
};

Program program_of(const OperatorCase& test) {
  ModelBuilder b(17);
  b.input("x", test.shape).weight("scale", test.shape).node("Mul", {"x", "scale"}, {"h"});
  test.add(b);
  b.output("y");
  const Result<model::Graph> graph = b.read();
  EXPECT_TRUE(graph) << graph.error().text();
  Result<Program> program = Program::build(*graph, {.seed = 3, .type = at::kDouble});
  EXPECT_TRUE(program) << program.error().text();
  return *std::move(program);
}

at::Tensor random_like(const at::Tensor& tensor) {
  return at::rand(tensor.sizes(), at::kDouble) * 2 - 1;
}

const std::vector<OperatorCase>& cases() {
  static const std::vector<OperatorCase> kCases = {
      {"Gemm",
       {3, 4},
       [](ModelBuilder& b) {
         b.weight("w", {5, 4}).weight("c", {5}).node("Gemm", {"h", "w", "c"}, {"y"});
         b.with("transB", 1);
         with_real(b, "alpha", 0.5F);
         with_real(b, "beta", 3.0F);
       }},
      {"GemmOfTransposed",
       {4, 3},
       [](ModelBuilder& b) {
         b.weight("w", {4, 5}).node("Gemm", {"h", "w"}, {"y"}).with("transA", 1);
       }},
      {"MatMul",
       {2, 3, 4},
       [](ModelBuilder& b) {
         b.weight("w", {4, 5}).node("MatMul", {"h", "w"}, {"y"});
       }},
      {"ConvInGroups",
       {2, 4, 7, 6},
       [](ModelBuilder& b) {
         b.weight("w", {6, 2, 3, 2}).weight("c", {6}).node("Conv", {"h", "w", "c"}, {"y"});
         b.with("group", 2).with("strides", Integers{2, 1}).with("pads", Integers{1, 0, 1, 0});
         b.with("dilations", Integers{1, 2});
       }},
      {"ConvPaddedUnevenly",
       {1, 2, 6, 6},
       [](ModelBuilder& b) {
         b.weight("w", {3, 2, 3, 3}).node("Conv", {"h", "w"}, {"y"});
         b.with("strides", Integers{2, 2}).with("pads", Integers{0, 0, 1, 1});
       }},
      {"ConvPaddedToSame",
       {1, 2, 7, 7},
       [](ModelBuilder& b) {
         b.weight("w", {3, 2, 4, 4}).node("Conv", {"h", "w"}, {"y"});
         b.with_text("auto_pad", "SAME_LOWER").with("strides", Integers{2, 2});
       }},
      {"ConvOfOneDimension",
       {2, 3, 9},
       [](ModelBuilder& b) {
         b.weight("w", {4, 3, 3}).node("Conv", {"h", "w"}, {"y"});
       }},
      {"MaxPool",
       {2, 3, 7, 7},
       [](ModelBuilder& b) {
         b.node("MaxPool", {"h"}, {"y"}).with("kernel_shape", Integers{3, 3});
         b.with("strides", Integers{2, 2}).with("pads", Integers{1, 1, 1, 1}).with("ceil_mode", 1);
       }},
      {"MaxPoolPaddedUnevenly",
       {2, 3, 6, 6},
       [](ModelBuilder& b) {
         b.node("MaxPool", {"h"}, {"y"}).with("kernel_shape", Integers{3, 3});
         b.with("strides", Integers{2, 2}).with("pads", Integers{0, 0, 1, 1});
       }},
      {"AveragePool",
       {2, 3, 6, 6},
       [](ModelBuilder& b) {
         b.node("AveragePool", {"h"}, {"y"}).with("kernel_shape", Integers{3, 3});
         b.with("pads", Integers{1, 1, 1, 1});
       }},
      {"AveragePoolPaddedUnevenly",
       {2, 3, 6, 6},
       [](ModelBuilder& b) {
         b.node("AveragePool", {"h"}, {"y"}).with("kernel_shape", Integers{3, 3});
         b.with("pads", Integers{0, 0, 1, 1});
       }},
      {"GlobalAveragePool",
       {2, 3, 4, 5},
       [](ModelBuilder& b) { b.node("GlobalAveragePool", {"h"}, {"y"}); }},
      {"GlobalMaxPool",
       {2, 3, 4, 5},
       [](ModelBuilder& b) { b.node("GlobalMaxPool", {"h"}, {"y"}); }},
      {"BatchNormalization",
       {4, 3, 2, 2},
       [](ModelBuilder& b) {
         b.weight("g", {3}).weight("c", {3}).weight("m", {3}).weight("v", {3});
         b.node("BatchNormalization", {"h", "g", "c", "m", "v"}, {"y"});
       }},
      {"LayerNormalization",
       {4, 3, 5},
       [](ModelBuilder& b) {
         b.weight("g", {5}).weight("c", {5});
         b.node("LayerNormalization", {"h", "g", "c"}, {"y"});
       }},
      {"InstanceNormalization",
       {2, 3, 4, 4},
       [](ModelBuilder& b) {
         b.weight("g", {3}).weight("c", {3});
         b.node("InstanceNormalization", {"h", "g", "c"}, {"y"});
       }},
      {"LRN",
       {2, 7, 2, 3},
       [](ModelBuilder& b) {
         b.node("LRN", {"h"}, {"y"}).with("size", 4);
         with_real(b, "alpha", 0.3F);
         with_real(b, "bias", 2.0F);
       }},
      {"Softmax",
       {2, 3, 4},
       [](ModelBuilder& b) {
         b.node("Softmax", {"h"}, {"p"}).with("axis", 1).node("Tanh", {"p"}, {"y"});
       }},
      {"LogSoftmax", {2, 5}, [](ModelBuilder& b) { b.node("LogSoftmax", {"h"}, {"y"}); }},
      {"ErfOfQuotient",
       {3, 4},
       [](ModelBuilder& b) {
         b.reals("root", {1.4142135F}).node("Div", {"h", "root"}, {"q"}).node("Erf", {"q"}, {"y"});
       }},
      {"LogOfExp",
       {3, 4},
       [](ModelBuilder& b) {
         b.node("Exp", {"h"}, {"e"}).node("Sqrt", {"e"}, {"r"}).node("Log", {"r"}, {"y"});
       }},
      {"PowAndReciprocal",
       {3, 4},
       [](ModelBuilder& b) {
         b.reals("three", {3.0F}).node("Exp", {"h"}, {"e"}).node("Pow", {"e", "three"}, {"p"});
         b.node("Reciprocal", {"p"}, {"y"});
       }},
      {"PowOfTensors",
       {3, 4},
       [](ModelBuilder& b) {
         b.node("Exp", {"h"}, {"e"}).node("Pow", {"e", "h"}, {"y"});
       }},
      {"SigmoidTimesNegative",
       {3, 4},
       [](ModelBuilder& b) {
         b.node("Sigmoid", {"h"}, {"s"}).node("Neg", {"h"}, {"n"});
         b.node("Mul", {"s", "n"}, {"p"}).node("Abs", {"p"}, {"y"});
       }},
      {"SineAndCosine",
       {3, 4},
       [](ModelBuilder& b) {
         b.node("Sin", {"h"}, {"s"}).node("Cos", {"h"}, {"c"}).node("Sub", {"s", "c"}, {"y"});
       }},
      {"ExtremesOfThree",
       {3, 4},
       [](ModelBuilder& b) {
         b.node("Sin", {"h"}, {"s"}).node("Cos", {"h"}, {"c"});
         b.node("Max", {"h", "s", "c"}, {"u"}).node("Min", {"h", "s", "c"}, {"l"});
         b.node("Sum", {"u", "l", "h"}, {"y"});
       }},
      {"Clip",
       {5, 5},
       [](ModelBuilder& b) {
         b.reals("low", {-0.5F}).reals("high", {0.25F});
         b.node("Clip", {"h", "low", "high"}, {"y"});
       }},
      {"ClipFromBelow",
       {5, 5},
       [](ModelBuilder& b) {
         b.reals("low", {-0.5F}).node("Clip", {"h", "low"}, {"y"});
       }},
      {"ReluInPlaceOfASum",
       {5, 5},
       [](ModelBuilder& b) {
         b.weight("c", {5}).node("Add", {"h", "c"}, {"s"}).node("Relu", {"s"}, {"r"});
         b.node("Add", {"h", "r"}, {"t"}).reals("low", {-0.5F}).reals("high", {0.25F});
         b.node("Clip", {"t", "low", "high"}, {"y"});
       }},
      {"ReluOfASumThatIsReadTwice",
       {5, 5},
       [](ModelBuilder& b) {
         b.weight("c", {5}).node("Add", {"h", "c"}, {"s"}).node("Relu", {"s"}, {"r"});
         b.node("Mul", {"s", "r"}, {"y"});
       }},
      {"LeakyRelu",
       {5, 5},
       [](ModelBuilder& b) {
         b.node("LeakyRelu", {"h"}, {"y"});
         with_real(b, "alpha", 0.2F);
       }},
      {"Elu", {5, 5}, [](ModelBuilder& b) { b.node("Elu", {"h"}, {"y"}); }},
      {"HardSigmoid", {5, 5}, [](ModelBuilder& b) { b.node("HardSigmoid", {"h"}, {"y"}); }},
      {"PRelu",
       {2, 3, 4},
       [](ModelBuilder& b) {
         b.weight("slope", {3, 1}).node("PRelu", {"h", "slope"}, {"y"});
       }},
      {"ReduceMean",
       {2, 3, 4},
       [](ModelBuilder& b) { b.node("ReduceMean", {"h"}, {"y"}).with("axes", Integers{-1}); }},
      {"ReduceSum",
       {2, 3, 4},
       [](ModelBuilder& b) {
         b.integers("axes", {0, 2}).node("ReduceSum", {"h", "axes"}, {"y"}).with("keepdims", 0);
       }},
      {"ReduceMax",
       {2, 3, 4},
       [](ModelBuilder& b) { b.node("ReduceMax", {"h"}, {"y"}).with("axes", Integers{1}); }},
      {"TransposeAndReshape",
       {2, 3, 4},
       [](ModelBuilder& b) {
         b.integers("target", {4, -1}).node("Transpose", {"h"}, {"t"});
         b.with("perm", Integers{2, 0, 1}).node("Reshape", {"t", "target"}, {"y"});
       }},
      {"FlattenAndUnsqueeze",
       {2, 3, 4},
       [](ModelBuilder& b) {
         b.integers("two", {2}).node("Flatten", {"h"}, {"f"});
         b.node("Unsqueeze", {"f", "two"}, {"u"}).node("Squeeze", {"u", "two"}, {"y"});
       }},
      {"ConcatAndSplit",
       {2, 6},
       [](ModelBuilder& b) {
         b.node("Tanh", {"h"}, {"t"}).node("Concat", {"h", "t"}, {"j"}).with("axis", 1);
         b.integers("sizes", {5, 7}).node("Split", {"j", "sizes"}, {"p", "q"}).with("axis", 1);
         b.node("MatMul", {"p", "w"}, {"y"}).weight("w", {5, 3});
       }},
      {"SliceByTwo",
       {2, 9},
       [](ModelBuilder& b) {
         b.integers("start", {1}).integers("end", {100}).integers("axis", {1}).integers("by", {2});
         b.node("Slice", {"h", "start", "end", "axis", "by"}, {"y"});
       }},
      {"SliceBackwards",
       {2, 9},
       [](ModelBuilder& b) {
         b.integers("start", {-2}).integers("end", {-100}).integers("axis", {1});
         b.integers("by", {-3}).node("Slice", {"h", "start", "end", "axis", "by"}, {"y"});
       }},
      {"GatherRows",
       {5, 3},
       [](ModelBuilder& b) {
         b.integers("rows", {4, 0, -1, 4}).node("Gather", {"h", "rows"}, {"y"});
       }},
      {"GatherColumns",
       {2, 5, 3},
       [](ModelBuilder& b) {
         b.integers("at", {4, -4}).node("Gather", {"h", "at"}, {"y"}).with("axis", 1);
       }},
      {"ExpandAndTile",
       {2, 1, 3},
       [](ModelBuilder& b) {
         b.integers("target", {2, 4, 3}).node("Expand", {"h", "target"}, {"e"});
         b.integers("times", {1, 2, 3}).node("Tile", {"e", "times"}, {"y"});
       }},
      {"Pad",
       {2, 3},
       [](ModelBuilder& b) {
         b.integers("pads", {1, 0, 2, 3}).reals("value", {0.5F});
         b.node("Pad", {"h", "pads", "value"}, {"p"}).node("Tanh", {"p"}, {"y"});
       }},
      {"Identity", {2, 3}, [](ModelBuilder& b) { b.node("Identity", {"h"}, {"y"}); }},
      {"LSTM",
       {4, 2, 3},
       [](ModelBuilder& b) {
         b.weight("w", {1, 20, 3}).weight("r", {1, 20, 5}).weight("c", {1, 40});
         b.node("LSTM", {"h", "w", "r", "c"}, {"y"}).with("hidden_size", 5);
       }},
      {"LSTMBothWays",
       {4, 2, 3},
       [](ModelBuilder& b) {
         b.weight("w", {2, 20, 3}).weight("r", {2, 20, 5});
         b.node("LSTM", {"h", "w", "r"}, {"y"}).with("hidden_size", 5);
         b.with_text("direction", "bidirectional");
       }},
  };
  return kCases;
}

class OperatorGradientTest : public ::testing::TestWithParam<OperatorCase> {};

TEST_P(OperatorGradientTest, EqualsTheSlopeOfTheForwardPass) {
  at::manual_seed(11);
  const Program program = program_of(GetParam());
  const at::Tensor x =
      random_like(at::empty(GetParam().shape, at::kDouble)).set_requires_grad(true);
  std::vector<at::Tensor> leaves{x};
  for (const Parameter& parameter : program.parameters()) {
    const at::NoGradGuard no_gradients;
    parameter.value.copy_(random_like(parameter.value));
    leaves.push_back(parameter.value);
  }
  const at::Tensor weights = random_like(program.logits({x}).detach());
  const auto value = [&] { return (program.logits({x}) * weights).sum(); };
  value().backward();
  for (const at::Tensor& leaf : leaves) {
    ASSERT_TRUE(leaf.grad().defined());
    const at::Tensor direction = random_like(leaf);
    const double slope = (leaf.grad() * direction).sum().item<double>();
    constexpr double kStep = 1e-6;
    const at::NoGradGuard no_gradients;
    const at::Tensor start = leaf.detach().clone();
    leaf.copy_(start + kStep * direction);
    const double above = value().item<double>();
    leaf.copy_(start - kStep * direction);
    const double below = value().item<double>();
    leaf.copy_(start);
    EXPECT_NEAR((above - below) / (2 * kStep), slope, 1e-6 * std::max(1.0, std::abs(slope)));
  }
}

INSTANTIATE_TEST_SUITE_P(Operators, OperatorGradientTest, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

// The result of `op` on `x` alone: the scale before it starts at 1.
at::Tensor result_of(const std::function<void(ModelBuilder&)>& add, const at::Tensor& x) {
  const Program program = program_of({"", x.sizes().vec(), add});
  return program.logits({x}).detach();
}

double at_place(const at::Tensor& x, std::initializer_list<std::int64_t> place) {
  at::Tensor element = x;
  for (const std::int64_t i : place) element = element[i];
  return element.item<double>();
}

TEST(OperatorTest, ConvolutionPadsWhereTheFileSays) {
  const at::Tensor x = at::arange(16, at::kDouble).view({1, 1, 4, 4});
  const Program program = program_of({"", {1, 1, 4, 4}, [](ModelBuilder& b) {
                                        b.weight("w", {1, 1, 2, 2}).node("Conv", {"h", "w"}, {"y"});
                                        b.with("strides", Integers{2, 2});
                                        b.with("pads", Integers{1, 0, 1, 0});
                                      }});
  const at::Tensor weight = program.parameters()[1].value;
  const at::Tensor y = program.logits({x}).detach().view({3, 2});
  for (std::int64_t row = 0; row < 3; ++row) {
    for (std::int64_t column = 0; column < 2; ++column) {
      double sum = 0;
      for (std::int64_t i = 0; i < 2; ++i) {
        for (std::int64_t j = 0; j < 2; ++j) {
          const std::int64_t from = 2 * row + i - 1;
          if (from < 0 || from >= 4) continue;
          sum += at_place(weight, {0, 0, i, j}) * at_place(x, {0, 0, from, 2 * column + j});
        }
      }
      EXPECT_NEAR(at_place(y, {row, column}), sum, 1e-12);
    }
  }
}

TEST(OperatorTest, AnAverageLeavesPaddingOutOfItsCount) {
  const auto pool = [](const Integers& pads, bool counts) {
    return [=](ModelBuilder& b) {
      b.node("AveragePool", {"h"}, {"y"}).with("kernel_shape", Integers{2, 2});
      b.with("strides", Integers{2, 2})
          .with("pads", pads)
          .with("count_include_pad", counts ? 1 : 0);
    };
  };
  const at::Tensor x = at::full({1, 1, 3, 3}, 6.0, at::kDouble);
  EXPECT_TRUE(result_of(pool({0, 0, 1, 1}, false), x).equal(at::full({2, 2}, 6.0, at::kDouble)));
  EXPECT_EQ(at_place(result_of(pool({0, 0, 1, 1}, true), x), {1, 1}), 1.5);
  EXPECT_EQ(at_place(result_of(pool({0, 0, 1, 1}, true), x), {0, 1}), 3.0);
}

TEST(OperatorTest, ResponsesAreNormalisedOverTheNeighbouringChannels) {
  const at::Tensor x = at::arange(1, 6, at::kDouble).view({1, 5, 1, 1});
  const at::Tensor y = result_of(
      [](ModelBuilder& b) {
        b.node("LRN", {"h"}, {"y"}).with("size", 3);
        with_real(b, "alpha", 0.5F);
        with_real(b, "beta", 2.0F);
        with_real(b, "bias", 1.0F);
      },
      x);
  for (int c = 0; c < 5; ++c) {
    double squares = 0;
    for (int n = std::max(c - 1, 0); n <= std::min(c + 1, 4); ++n) squares += (n + 1.0) * (n + 1.0);
    EXPECT_NEAR(y.flatten()[c].item<double>(), (c + 1.0) / std::pow(1 + 0.5 / 3 * squares, 2),
                1e-12);
  }
}

TEST(OperatorTest, ASliceBackwardsAndNegativeRowsCountFromTheEnd) {
  const at::Tensor x = at::arange(9, at::kDouble).view({1, 9});
  const at::Tensor slice = result_of(
      [](ModelBuilder& b) {
        b.integers("s", {-2}).integers("e", {-100}).integers("a", {1}).integers("by", {-3});
        b.node("Slice", {"h", "s", "e", "a", "by"}, {"y"});
      },
      x);
  EXPECT_TRUE(slice.flatten().equal(at::tensor({7.0, 4.0, 1.0}, at::kDouble)));
  const at::Tensor rows = result_of(
      [](ModelBuilder& b) {
        b.integers("r", {-1, 3}).node("Gather", {"h", "r"}, {"y"}).with("axis", 1);
      },
      x);
  EXPECT_TRUE(rows.flatten().equal(at::tensor({8.0, 3.0}, at::kDouble)));
}

TEST(OperatorTest, TrainingNormalisesABatchByItsOwnStatisticsAndFollowsThem) {
  const at::Tensor x = at::tensor({1.0, 3.0, 5.0, 7.0}, at::kDouble).view({4, 1});
  const at::Tensor y = result_of(
      [](ModelBuilder& b) {
        b.weight("g", {1}).weight("c", {1}).weight("m", {1}).weight("v", {1});
        b.node("BatchNormalization", {"h", "g", "c", "m", "v"}, {"y"});
      },
      x);
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(y.flatten()[i].item<double>(), (2.0 * i - 3.0) / std::sqrt(5.0 + 1e-5), 1e-9);
  }
}

TEST(OperatorTest, DropoutKeepsTheMeanAndDropsTheShare) {
  at::manual_seed(5);
  const at::Tensor y = result_of(
      [](ModelBuilder& b) {
        b.reals("ratio", {0.25F}).node("Dropout", {"h", "ratio"}, {"y"});
      },
      at::ones({1, 40'000}, at::kDouble));
  // 5 standard deviations of the binomial distribution: 5 sqrt(0.25 * 0.75 / 40000) = 0.011.
  EXPECT_NEAR((y == 0).to(at::kDouble).mean().item<double>(), 0.25, 0.011);
  EXPECT_NEAR(y.max().item<double>(), 1 / 0.75, 1e-12);
}

// One step of the LSTM as ONNX defines it, gates in its order: input, output, forget, cell.
TEST(OperatorTest, LstmOrdersItsGatesAsOnnxDoes) {
  at::manual_seed(7);
  const Program program = program_of({"", {3, 2, 4}, [](ModelBuilder& b) {
                                        b.weight("w", {1, 20, 4}).weight("r", {1, 20, 5});
                                        b.weight("c", {1, 40});
                                        b.node("LSTM", {"h", "w", "r", "c"}, {"y"});
                                        b.with("hidden_size", 5);
                                      }});
  const at::NoGradGuard no_gradients;
  for (const Parameter& p : program.parameters()) p.value.copy_(random_like(p.value));
  program.parameters()[0].value.fill_(1.0);  // the scale
  const at::Tensor x = random_like(at::empty({3, 2, 4}, at::kDouble));
  const at::Tensor w = program.parameters()[1].value[0];
  const at::Tensor r = program.parameters()[2].value[0];
  const at::Tensor c = program.parameters()[3].value[0];
  at::Tensor hidden = at::zeros({2, 5}, at::kDouble);
  at::Tensor cell = at::zeros({2, 5}, at::kDouble);
  std::vector<at::Tensor> expected;
  for (int t = 0; t < 3; ++t) {
    const at::Tensor gates =
        x[t].matmul(w.t()) + hidden.matmul(r.t()) + c.slice(0, 0, 20) + c.slice(0, 20, 40);
    const auto gate = [&](std::int64_t i) { return gates.slice(1, 5 * i, 5 * (i + 1)); };
    cell = gate(2).sigmoid() * cell + gate(0).sigmoid() * gate(3).tanh();
    hidden = gate(1).sigmoid() * cell.tanh();
    expected.push_back(hidden);
  }
  EXPECT_TRUE(program.logits({x}).view({3, 2, 5}).allclose(at::stack(expected), 1e-10, 1e-12));
}

TEST(ProgramTest, EveryOperatorThatIsMissingIsNamed) {
  ModelBuilder b;
  b.input("x", {2, 3, 8, 8}).weight("w", {3, 4, 2, 2});
  b.node("ConvTranspose", {"x", "w"}, {"u"}).node("Mish", {"u"}, {"v"}).node("Relu", {"v"}, {"y"});
  b.output("y", {2, 4, 9, 9});
  const Result<model::Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  const Result<Program> program = Program::build(*graph, {});
  ASSERT_FALSE(program);
  EXPECT_THAT(program.error().text(), HasSubstr("cannot train the operators ConvTranspose, Mish"));
}

TEST(ProgramTest, ASoftmaxAtTheEndIsLeftToTheLoss) {
  ModelBuilder b;
  b.input("x", {2, 3}).weight("w", {3, 3}).node("MatMul", {"x", "w"}, {"s"});
  b.node("Softmax", {"s"}, {"y"}).output("y");
  const Result<Program> program = Program::build(*b.read(), {.type = at::kDouble});
  ASSERT_TRUE(program) << program.error().text();
  const at::Tensor x = at::eye(3, at::kDouble).slice(0, 0, 2);
  EXPECT_TRUE(program->logits({x}).equal(program->parameters()[0].value.slice(0, 0, 2)));
  // Mean cross entropy by its definition.
  const at::Tensor labels = at::tensor({2, 0}, at::kLong);
  const at::Tensor s = program->logits({x}).detach();
  double expected = 0;
  for (int i = 0; i < 2; ++i) {
    expected += std::log(s[i].exp().sum().item<double>()) - at_place(s, {i, i == 0 ? 2 : 0});
  }
  EXPECT_NEAR(program->loss({x}, labels).item<double>(), expected / 2, 1e-12);
}

TEST(ProgramTest, OneLogitTellsTwoClassesApart) {
  ModelBuilder b;
  b.input("x", {4, 3}).weight("w", {3, 1}).node("MatMul", {"x", "w"}, {"y"}).output("y");
  const Result<Program> program = Program::build(*b.read(), {.type = at::kDouble});
  ASSERT_TRUE(program) << program.error().text();
  EXPECT_EQ(program->classes(), 2);
  EXPECT_EQ(program->labels(), 4);
  const at::Tensor zeros = at::zeros({4, 3}, at::kDouble);
  EXPECT_NEAR(program->loss({zeros}, at::tensor({0, 1, 1, 0}, at::kLong)).item<double>(),
              std::log(2.0), 1e-12);
}

}  // namespace
}  // namespace penstock::train
