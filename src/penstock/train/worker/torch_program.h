// A graph as a libtorch program: its parameters, and the forward pass that autograd follows.
//
//   PENSTOCK_TRY(Program program, Program::build(graph, {.seed = job.seed}));
//   const at::Tensor loss = program.loss(inputs, labels);
//   loss.backward();                       // program.parameters()[i].value.grad()
//
// Networks are trained as they were before export: where the file folded a batch norm into a
// convolution (model/graph.h, Graph::parameters), it is unfolded again; norms use the batch's own
// statistics; a Softmax at the end is left to the loss.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/result.h"
#include "penstock/model/graph.h"
#include "penstock/train/worker/torch_operators.h"

namespace penstock::train {

struct ProgramOptions {
  std::uint64_t seed = 0;
  at::ScalarType type = at::kFloat;
  at::Device device = at::kCPU;
};

struct Parameter {
  std::string name;
  at::Tensor value;  // a leaf of autograd
};

class Program {
 public:
  // Fails where operators have no function here, naming them all, or where the graph holds a
  // constant whose value the reader did not keep.
  static Result<Program> build(model::Graph graph, const ProgramOptions& options);

  const model::Graph& graph() const { return graph_; }
  // In the order in which the forward pass first uses them.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  // Classes that the labels tell apart: the size of the result's last dimension, but 2 where that
  // is 1. A result of one row an item and 1x1 pixels counts as flat.
  std::int64_t classes() const;
  // Labels that one batch needs: one for each vector along the last dimension.
  std::int64_t labels() const;

  // What the network gives for `inputs` (as graph().inputs), [labels(), last dimension]. Throws
  // c10::Error.
  at::Tensor logits(const std::vector<at::Tensor>& inputs) const;
  // Mean cross entropy with integer labels [labels()]; of two classes from one logit, the binary
  // one.
  at::Tensor loss(const std::vector<at::Tensor>& inputs, const at::Tensor& labels) const;

 private:
  struct Step {
    Execute execute = nullptr;
    std::vector<int> last_uses;  // tensors that nothing reads after this operator
    bool may_overwrite = false;  // Invocation::may_overwrite
    // Of a batch norm that the export folded into this convolution; else undefined.
    at::Tensor norm_scale;
    at::Tensor norm_mean;
    at::Tensor norm_variance;
  };

  Program() = default;
  Status find_functions();
  Status make_constants(const ProgramOptions& options);
  void make_parameters(const ProgramOptions& options);
  model::Shape trained_shape(const model::Operator& op, int tensor) const;
  void unfold_norm(std::size_t op, const ProgramOptions& options);
  void plan_releases();
  void plan_overwriting();
  std::vector<at::Tensor> execute(std::size_t op, const Invocation& call) const;
  model::Shape flat_result() const;

  model::Graph graph_;
  int result_ = -1;               // the tensor that the loss reads
  std::vector<at::Tensor> held_;  // by tensor: parameters, statistics and constants
  std::vector<int> repeated_;     // parameters that the file repeats for every item of a batch
  std::vector<Step> steps_;       // by operator
  std::vector<Parameter> parameters_;
};

}  // namespace penstock::train
