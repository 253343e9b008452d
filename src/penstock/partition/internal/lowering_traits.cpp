#include <array>
#include <string_view>

#include "penstock/partition/internal/lowering_rules.h"

namespace penstock::partition::internal {
namespace {

struct Entry {
  std::string_view type;
  Trait trait;
};

using F = Family;
using K = Keeps;

// Dropout and Cast count as relayouts: each element stands for itself.
constexpr std::array kEntries = {
    Entry{"Abs", {F::kElementwise, K::kInput}},
    Entry{"Add", {F::kElementwise, K::kNothing}},
    Entry{"And", {F::kElementwise, K::kNothing}},
    Entry{"AveragePool", {F::kSpatial, K::kNothing}},
    Entry{"BatchNormalization", {F::kBatchNorm, K::kInput}},
    Entry{"Cast", {F::kRelayout, K::kNothing}},
    Entry{"Ceil", {F::kElementwise, K::kNothing}},
    Entry{"Celu", {F::kElementwise, K::kOutput}},
    Entry{"Clip", {F::kElementwise, K::kOutput}},
    Entry{"Concat", {F::kConcat, K::kNothing}},
    Entry{"Conv", {F::kConv, K::kInput}},
    Entry{"ConvTranspose", {F::kConv, K::kInput}},
    Entry{"Cos", {F::kElementwise, K::kInput}},
    Entry{"Div", {F::kElementwise, K::kFactors}},
    Entry{"Dropout", {F::kRelayout, K::kNothing}},
    Entry{"Einsum", {F::kEinsum, K::kFactors}},
    Entry{"Elu", {F::kElementwise, K::kOutput}},
    Entry{"Equal", {F::kElementwise, K::kNothing}},
    Entry{"Erf", {F::kElementwise, K::kInput}},
    Entry{"Exp", {F::kElementwise, K::kOutput}},
    Entry{"Expand", {F::kExpand, K::kNothing}},
    Entry{"Flatten", {F::kRelayout, K::kNothing}},
    Entry{"Floor", {F::kElementwise, K::kNothing}},
    Entry{"GRU", {F::kRecurrent, K::kInput}},
    Entry{"Gather", {F::kGather, K::kNothing}},
    Entry{"Gelu", {F::kElementwise, K::kInput}},
    Entry{"Gemm", {F::kGemm, K::kFactors}},
    Entry{"GlobalAveragePool", {F::kSpatial, K::kNothing}},
    Entry{"GlobalMaxPool", {F::kSpatial, K::kInput}},
    Entry{"Greater", {F::kElementwise, K::kNothing}},
    Entry{"GreaterOrEqual", {F::kElementwise, K::kNothing}},
    Entry{"HardSigmoid", {F::kElementwise, K::kOutput}},
    Entry{"HardSwish", {F::kElementwise, K::kInput}},
    Entry{"Identity", {F::kRelayout, K::kNothing}},
    Entry{"InstanceNormalization", {F::kSpatial, K::kInput}},
    Entry{"LRN", {F::kCrossChannel, K::kInput}},
    Entry{"LSTM", {F::kRecurrent, K::kInput}},
    Entry{"LayerNormalization", {F::kNormalise, K::kInput}},
    Entry{"LeakyRelu", {F::kElementwise, K::kOutput}},
    Entry{"Less", {F::kElementwise, K::kNothing}},
    Entry{"LessOrEqual", {F::kElementwise, K::kNothing}},
    Entry{"Log", {F::kElementwise, K::kInput}},
    Entry{"LogSoftmax", {F::kNormalise, K::kOutput}},
    Entry{"LpPool", {F::kSpatial, K::kInput}},
    Entry{"MatMul", {F::kMatMul, K::kFactors}},
    Entry{"Max", {F::kElementwise, K::kFactors}},
    Entry{"MaxPool", {F::kSpatial, K::kInput}},
    Entry{"Mean", {F::kElementwise, K::kNothing}},
    Entry{"Min", {F::kElementwise, K::kFactors}},
    Entry{"Mish", {F::kElementwise, K::kInput}},
    Entry{"Mul", {F::kElementwise, K::kFactors}},
    Entry{"Neg", {F::kElementwise, K::kNothing}},
    Entry{"Not", {F::kElementwise, K::kNothing}},
    Entry{"Or", {F::kElementwise, K::kNothing}},
    Entry{"PRelu", {F::kElementwise, K::kInput}},
    Entry{"Pad", {F::kPad, K::kNothing}},
    Entry{"Pow", {F::kElementwise, K::kInput}},
    Entry{"RNN", {F::kRecurrent, K::kInput}},
    Entry{"Reciprocal", {F::kElementwise, K::kOutput}},
    Entry{"ReduceL1", {F::kReduction, K::kInput}},
    Entry{"ReduceL2", {F::kReduction, K::kInput}},
    Entry{"ReduceLogSumExp", {F::kReduction, K::kInput}},
    Entry{"ReduceMax", {F::kReduction, K::kInput}},
    Entry{"ReduceMean", {F::kReduction, K::kNothing}},
    Entry{"ReduceMin", {F::kReduction, K::kInput}},
    Entry{"ReduceSum", {F::kReduction, K::kNothing}},
    Entry{"ReduceSumSquare", {F::kReduction, K::kInput}},
    Entry{"Relu", {F::kElementwise, K::kOutput}},
    Entry{"Reshape", {F::kRelayout, K::kNothing}},
    Entry{"Resize", {F::kSpatial, K::kNothing}},
    Entry{"Round", {F::kElementwise, K::kNothing}},
    Entry{"Selu", {F::kElementwise, K::kOutput}},
    Entry{"Sigmoid", {F::kElementwise, K::kOutput}},
    Entry{"Sign", {F::kElementwise, K::kNothing}},
    Entry{"Sin", {F::kElementwise, K::kInput}},
    Entry{"Slice", {F::kSlice, K::kNothing}},
    Entry{"Softmax", {F::kNormalise, K::kOutput}},
    Entry{"Softplus", {F::kElementwise, K::kInput}},
    Entry{"Softsign", {F::kElementwise, K::kInput}},
    Entry{"Split", {F::kSplit, K::kNothing}},
    Entry{"Sqrt", {F::kElementwise, K::kOutput}},
    Entry{"Squeeze", {F::kRelayout, K::kNothing}},
    Entry{"Sub", {F::kElementwise, K::kNothing}},
    Entry{"Sum", {F::kElementwise, K::kNothing}},
    Entry{"Tanh", {F::kElementwise, K::kOutput}},
    Entry{"Transpose", {F::kRelayout, K::kNothing}},
    Entry{"Unsqueeze", {F::kRelayout, K::kNothing}},
    Entry{"Upsample", {F::kSpatial, K::kNothing}},
    Entry{"Where", {F::kElementwise, K::kNothing}},
    Entry{"Xor", {F::kElementwise, K::kNothing}},
};

}  // namespace

Trait trait(const model::Operator& op) {
  if (!op.known) return {};
  for (const Entry& entry : kEntries)
    if (entry.type == op.type) return entry.trait;
  return {};
}

}  // namespace penstock::partition::internal
