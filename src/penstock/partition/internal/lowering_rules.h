// What the planner may do with one operator: how it can be split, and where the batch and the
// channels lie in what it leaves.
//
// The families of operators, and what each allows (layouts R rows, C channels, D replicated):
//   Conv, Gemm, MatMul by a parameter   types I, II, III; grouped convolution I and G
//   Gather from a parameter             an embedding table: types I and III
//   LSTM, GRU, RNN, Einsum              type I
//   element-wise                        R, C, D, where all activations lie alike
//   pools, resizing, reductions         R and C unless the axis of either is worked along
//   Softmax, LayerNorm, LRN             likewise; so D and R where they run along the channels
//   BatchNormalization in training      R, C, D; split by rows, its statistics are those of the
//                                       local rows, as in data-parallel training
//   Concat                              R and D along the channels, else R, C, D
//   MatMul of two activations           R and C where both carry them as a batch dimension
// All else is a barrier.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "penstock/model/graph.h"
#include "penstock/partition/internal/lowering_axes.h"

namespace penstock::partition::internal {

enum class Family {
  kUnknown,
  kElementwise,
  kRelayout,      // the same elements in another order or shape
  kReduction,     // along `axes`
  kNormalise,     // along `axis` or all from it on, keeps the shape
  kCrossChannel,  // mixes neighbouring channels
  kSpatial,       // pools and the like: works on the axes after the channels
  kBatchNorm,
  kConcat,
  kSlice,
  kSplit,
  kExpand,
  kPad,
  kConv,
  kGemm,
  kMatMul,
  kGather,
  kRecurrent,
  kEinsum,
};

// What the backward pass of an operator needs of the forward pass.
enum class Keeps {
  kNothing,
  kInput,
  kOutput,
  kFactors,  // every operand that another operand's gradient is multiplied by
};

struct Trait {
  Family family = Family::kUnknown;
  Keeps keeps = Keeps::kNothing;
};
Trait trait(const model::Operator& op);

// Of an Einsum, "bij,bjk->bik": one letter for each axis of an operand and of the result.
struct Equation {
  std::vector<std::string> operands;
  std::string result;
};
// Nothing for an ellipsis or an implicit result, which we have not met.
std::optional<Equation> equation_of(const model::Operator& op);

// Where a tensor's value comes from.
enum class Origin {
  kFixed,       // parameters and constants, and what is computed from them alone
  kFed,         // data, and what the loader can compute from data: no parameters, no MACs
  kActivation,  // computed by a node
};

struct Rule {
  enum class Form { kLayer, kGlue };
  Form form = Form::kGlue;
  bool absorbable = false;      // element-wise on one activation: joins the node before it
  bool rows = false;            // R; of a layer: type I
  bool channels = false;        // C; of a layer: type II
  bool out_channels = false;    // of a layer: type III
  bool grouped = false;         // of a layer: type G
  int in_set = -1;              // channels of the input, where they are a set
  std::int64_t in_columns = 1;  // their number, where they are not
  std::int64_t weights = 0;
  Placement out;
};

// Follows placements through a graph. Operators are to be visited in topological order.
class Tracker {
 public:
  explicit Tracker(const model::Graph& graph);

  Origin origin(int tensor) const { return origins_[index(tensor)]; }
  bool activation(int tensor) const { return tensor >= 0 && origin(tensor) == Origin::kActivation; }
  // Sorts the operator's outputs: true if they are fixed or fed, so that it is no part of a node.
  bool settle(const model::Operator& op);

  // The rule for output `output` of an operator; places that output.
  Rule visit(const model::Operator& op, int output);
  // The rule for relayouts that follow each other with no other reader in between; places their
  // outputs. Undoes what it learnt about the channels where they are lost in the end.
  Rule visit_chain(const std::vector<int>& chain);

  Placement placement(int tensor) const { return sets_.resolved(placements_[index(tensor)]); }
  void place(int tensor, Placement placement) { placements_[index(tensor)] = std::move(placement); }
  std::int64_t grains(int set) const { return sets_.grains(set); }
  std::int64_t batch() const { return graph_.batch; }

 private:
  static std::size_t index(int tensor) { return static_cast<std::size_t>(tensor); }
  const model::Shape& shape(int tensor) const { return graph_.tensors[index(tensor)].shape; }
  // The tensors of an operator that are not fixed, each once.
  std::vector<int> data(const model::Operator& op) const;
  Placement relayout(const model::Operator& op, const Placement& in);
  bool picked_apart(int tensor, int axis) const;
  void place_fed(const model::Operator& op);
  // Rows where they are not known: anything replicated can be split along its first axis, if what
  // follows treats that as the batch.
  void redeclare(Placement& placement, int tensor) const;

  // For each axis of a result of several operands: whether one has given its placement, and
  // whether all that did were loose.
  struct Joined {
    explicit Joined(std::size_t rank) : filled(rank, false), loose(rank, true) {}
    std::vector<bool> filled;
    std::vector<bool> loose;
  };
  // What an operand leaves of the rule, before its axes are looked at.
  static void join_roles(const Placement& in, Rule& rule);
  // An operand's axis becomes axis `to` of the output, or has to agree with what is there.
  void join_axis(const Axis& axis, bool loose, std::size_t to, Joined& joined, Rule& rule);

  Rule elementwise(const model::Operator& op, int output);
  Rule along(const model::Operator& op, int output, const std::vector<bool>& worked);
  Rule reduction(const model::Operator& op, int output);
  Rule normalise(const model::Operator& op, int output);
  Rule cross_channel(const model::Operator& op, int output);
  Rule spatial(const model::Operator& op, int output);
  Rule batch_norm(const model::Operator& op, int output);
  Rule concat(const model::Operator& op, int output);
  Rule slice(const model::Operator& op, int output);
  Rule resized(const model::Operator& op, int output);  // Expand and Pad
  Rule pick(const model::Operator& op, int output);     // Gather from an activation
  Rule barrier(int output);

  Rule convolution(const model::Operator& op, int output);
  void group(const model::Operator& op, Placement in, Rule& rule);
  Rule multiply(const model::Operator& op, int output);
  Rule dense(const model::Operator& op, int output, int data, int weight, int contracted,
             int produced);
  Rule embedding(const model::Operator& op, int output);
  Rule recurrent(const model::Operator& op, int output);
  Rule einsum(const model::Operator& op, int output);
  // Products named by labels, one letter for each axis. A fixed operand has no part in the split.
  Rule product(const model::Operator& op, int output, const std::vector<std::string>& operands,
               const std::string& result);

  const model::Graph& graph_;
  std::vector<Origin> origins_;
  std::vector<Placement> placements_;
  ChannelSets sets_;
};

}  // namespace penstock::partition::internal
