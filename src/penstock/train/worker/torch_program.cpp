#include "penstock/train/worker/torch_program.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "penstock/train/worker/initial_weights.h"

namespace penstock::train {
namespace {

using model::ElementType;
using model::Graph;
using model::Operator;
using model::TensorKind;

std::size_t at_index(int index) { return static_cast<std::size_t>(index); }

// The reader counts the two vectors of a folded norm with the convolution, which holds one.
bool has_folded_norm(const Graph& graph, const Operator& op) {
  if (op.type != "Conv" || op.inputs.size() < 3 || op.inputs[2] < 0) return false;
  const std::int64_t weight = model::elements(graph.tensors[at_index(op.inputs[1])].shape);
  const std::int64_t bias = model::elements(graph.tensors[at_index(op.inputs[2])].shape);
  return op.parameters == weight + 2 * bias;
}

// Slots 5 and 6 of an LSTM: exporters write zeros that may be too large for the reader to keep.
bool is_initial_state(const Graph& graph, int tensor) {
  const std::vector<int>& users = graph.tensors[at_index(tensor)].consumers;
  return !users.empty() && std::all_of(users.begin(), users.end(), [&](int user) {
    const Operator& op = graph.operators[at_index(user)];
    const auto slot = std::find(op.inputs.begin(), op.inputs.end(), tensor) - op.inputs.begin();
    return op.type == "LSTM" && (slot == 5 || slot == 6);
  });
}

at::Tensor initial_tensor(const Graph& graph, int tensor, const model::Shape& shape,
                          const ProgramOptions& options) {
  at::Tensor values = at::empty(shape, at::kFloat);
  initial_values(graph, tensor, options.seed,
                 {values.data_ptr<float>(), static_cast<std::size_t>(values.numel())});
  return values.to(options.device, options.type);
}

at::Tensor constant_tensor(const model::Tensor& tensor, const ProgramOptions& options) {
  if (tensor.type == ElementType::kFloat) {
    at::Tensor values = at::empty(tensor.shape, at::kDouble);
    std::copy(tensor.reals.begin(), tensor.reals.end(), values.data_ptr<double>());
    return values.to(options.device, options.type);
  }
  at::Tensor values = at::empty(tensor.shape, at::kLong);
  std::copy(tensor.value.begin(), tensor.value.end(), values.data_ptr<std::int64_t>());
  return values.to(options.device, tensor.type == ElementType::kBool ? at::kBool : at::kLong);
}

}  // namespace

Result<Program> Program::build(Graph graph, const ProgramOptions& options) {
  Program program;
  program.graph_ = std::move(graph);
  PENSTOCK_TRY_STATUS(program.find_functions());
  if (program.graph_.outputs.empty() || program.graph_.inputs.empty()) {
    return core::input_error(program.graph_.source, "the model has no input or no output to train");
  }
  program.result_ = program.graph_.outputs.back();
  const int producer = program.graph_.tensors[at_index(program.result_)].producer;
  if (producer >= 0 && program.graph_.operators[at_index(producer)].type == "Softmax") {
    program.result_ = program.graph_.operators[at_index(producer)].inputs[0];
  }
  program.held_.resize(program.graph_.tensors.size());
  PENSTOCK_TRY_STATUS(program.make_constants(options));
  program.make_parameters(options);
  program.plan_releases();
  program.plan_overwriting();
  if (program.parameters_.empty()) {
    return core::input_error(program.graph_.source, "the model has no parameters to train");
  }
  return program;
}

Status Program::find_functions() {
  std::set<std::string> missing;
  steps_.resize(graph_.operators.size());
  for (std::size_t i = 0; i < graph_.operators.size(); ++i) {
    steps_[i].execute = find_operator(graph_.operators[i].type);
    if (steps_[i].execute == nullptr) missing.insert(graph_.operators[i].type);
  }
  if (missing.empty()) return {};
  return core::input_error(
      graph_.source, fmt::format("cannot train the operators {}", fmt::join(missing, ", ")),
      "profile the program that trains this model through step markers (clients/) instead");
}

Status Program::make_constants(const ProgramOptions& options) {
  for (std::size_t i = 0; i < graph_.tensors.size(); ++i) {
    const model::Tensor& tensor = graph_.tensors[i];
    if (tensor.kind != TensorKind::kConstant || tensor.producer >= 0) continue;
    const auto kept = static_cast<std::int64_t>(
        tensor.type == ElementType::kFloat ? tensor.reals.size() : tensor.value.size());
    if (kept == model::elements(tensor.shape)) {
      held_[i] = constant_tensor(tensor, options);
    } else if (is_initial_state(graph_, static_cast<int>(i))) {
      held_[i] = at::zeros(tensor.shape, at::dtype(options.type).device(options.device));
    } else {
      return core::input_error(
          graph_.source, fmt::format("the constant \"{}\" of {} elements is too large to be kept",
                                     tensor.name, model::elements(tensor.shape)));
    }
  }
  return {};
}

void Program::make_parameters(const ProgramOptions& options) {
  for (std::size_t i = 0; i < graph_.operators.size(); ++i) {
    for (const int input : graph_.operators[i].inputs) {
      if (input < 0 || held_[at_index(input)].defined()) continue;
      const model::Tensor& tensor = graph_.tensors[at_index(input)];
      if (tensor.kind != TensorKind::kParameter && tensor.kind != TensorKind::kStatistic) continue;
      at::Tensor& held = held_[at_index(input)];
      const model::Shape shape = trained_shape(graph_.operators[i], input);
      if (shape != tensor.shape) repeated_.push_back(input);
      held = initial_tensor(graph_, input, shape, options);
      if (tensor.kind == TensorKind::kStatistic) continue;
      held.set_requires_grad(true);
      parameters_.push_back({tensor.name, held});
    }
    if (has_folded_norm(graph_, graph_.operators[i])) unfold_norm(i, options);
  }
}

// A class token is one vector, which the file expands to the batch before its first use; the
// operator's count of parameters has it once.
model::Shape Program::trained_shape(const Operator& op, int tensor) const {
  model::Shape shape = graph_.tensors[at_index(tensor)].shape;
  const bool is_repeated = graph_.batch > 1 && !shape.empty() && shape[0] == graph_.batch &&
                           op.parameters * graph_.batch == model::elements(shape);
  if (is_repeated) shape[0] = 1;
  return shape;
}

void Program::unfold_norm(std::size_t op, const ProgramOptions& options) {
  const int bias = graph_.operators[op].inputs[2];
  const at::Tensor ones = at::ones(graph_.tensors[at_index(bias)].shape,
                                   at::dtype(options.type).device(options.device));
  steps_[op].norm_scale = ones.clone().set_requires_grad(true);
  steps_[op].norm_mean = at::zeros_like(ones);
  steps_[op].norm_variance = ones;
  // The bias, made just before, is the norm's offset.
  parameters_.insert(parameters_.end() - 1,
                     {graph_.operators[op].name + ".norm_scale", steps_[op].norm_scale});
}

void Program::plan_releases() {
  std::vector<bool> is_seen(graph_.tensors.size(), false);
  is_seen[at_index(result_)] = true;
  for (std::size_t left = graph_.operators.size(); left > 0; --left) {
    for (const int input : graph_.operators[left - 1].inputs) {
      if (input < 0 || is_seen[at_index(input)]) continue;
      is_seen[at_index(input)] = true;
      if (graph_.tensors[at_index(input)].producer >= 0) {
        steps_[left - 1].last_uses.push_back(input);
      }
    }
  }
}

// Of results that one operator reads, and that their own maker's derivative does not need.
void Program::plan_overwriting() {
  static const std::set<std::string> kMakers = {"Conv", "BatchNormalization", "Add", "Gemm"};
  for (std::size_t i = 0; i < graph_.operators.size(); ++i) {
    const std::vector<int>& inputs = graph_.operators[i].inputs;
    if (inputs.empty() || inputs[0] < 0 || inputs[0] == result_) continue;
    const model::Tensor& first = graph_.tensors[at_index(inputs[0])];
    steps_[i].may_overwrite = first.producer >= 0 && first.consumers.size() == 1 &&
                              std::count(inputs.begin(), inputs.end(), inputs[0]) == 1 &&
                              kMakers.contains(graph_.operators[at_index(first.producer)].type);
  }
}

model::Shape Program::flat_result() const {
  model::Shape shape = graph_.tensors[at_index(result_)].shape;
  while (shape.size() > 2 && shape.back() == 1) shape.pop_back();
  if (shape.empty()) shape.push_back(1);
  return shape;
}

std::int64_t Program::classes() const { return std::max<std::int64_t>(flat_result().back(), 2); }

std::int64_t Program::labels() const {
  const model::Shape shape = flat_result();
  return model::elements(shape) / shape.back();
}

std::vector<at::Tensor> Program::execute(std::size_t op, const Invocation& call) const {
  const Step& step = steps_[op];
  if (!step.norm_scale.defined()) return step.execute(call);
  Invocation convolution = call;
  convolution.inputs.pop_back();
  const at::Tensor y = step.execute(convolution).front();
  // PyTorch's defaults: momentum 0.1, epsilon 1e-5.
  return {at::batch_norm(y, step.norm_scale, call.inputs[2], step.norm_mean, step.norm_variance,
                         /*training=*/true, 0.1, 1e-5, /*cudnn_enabled=*/true)};
}

at::Tensor Program::logits(const std::vector<at::Tensor>& inputs) const {
  std::vector<at::Tensor> values = held_;
  for (const int tensor : repeated_) {
    values[at_index(tensor)] =
        held_[at_index(tensor)].expand(graph_.tensors[at_index(tensor)].shape);
  }
  for (std::size_t i = 0; i < graph_.inputs.size(); ++i) {
    values[at_index(graph_.inputs[i])] = inputs[i];
  }
  for (std::size_t i = 0; i < graph_.operators.size(); ++i) {
    const Operator& op = graph_.operators[i];
    Invocation call{
        .graph = &graph_, .op = &op, .inputs = {}, .may_overwrite = steps_[i].may_overwrite};
    for (const int input : op.inputs) {
      call.inputs.push_back(input < 0 ? at::Tensor() : values[at_index(input)]);
    }
    const std::vector<at::Tensor> made = execute(i, call);
    for (std::size_t o = 0; o < std::min(made.size(), op.outputs.size()); ++o) {
      if (op.outputs[o] < 0) continue;
      TORCH_CHECK(made[o].sizes().vec() == call.result_shape(o), op.type, " \"", op.name,
                  "\" gives ", made[o].sizes(), " where the file says ", call.result_shape(o));
      values[at_index(op.outputs[o])] = made[o];
    }
    for (const int tensor : steps_[i].last_uses) values[at_index(tensor)].reset();
    if (op.outputs[0] == result_) break;
  }
  return values[at_index(result_)].reshape({labels(), flat_result().back()});
}

at::Tensor Program::loss(const std::vector<at::Tensor>& inputs, const at::Tensor& labels) const {
  const at::Tensor result = logits(inputs);
  if (result.size(1) == 1) {
    return at::binary_cross_entropy_with_logits(result.squeeze(1), labels.to(result.dtype()));
  }
  return at::cross_entropy_loss(result, labels);
}

}  // namespace penstock::train
