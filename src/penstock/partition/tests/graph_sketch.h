// Writes model graphs by hand, for tests of what reads them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "penstock/model/graph.h"

namespace penstock::partition {

// Writes a graph operator by operator. Shapes are given, as the reader would have inferred them.
class Sketch {
 public:
  using Attributes = std::map<std::string, model::Attribute>;

  explicit Sketch(std::int64_t batch) {
    graph_.name = "sketch";
    graph_.source = "sketch.onnx";
    graph_.batch = batch;
  }

  int input(model::Shape shape, model::ElementType type = model::ElementType::kFloat) {
    graph_.inputs.push_back(tensor(std::move(shape), model::TensorKind::kInput));
    graph_.tensors.back().type = type;
    return graph_.inputs.back();
  }
  int parameter(model::Shape shape) {
    return tensor(std::move(shape), model::TensorKind::kParameter);
  }
  int statistic(model::Shape shape) {
    return tensor(std::move(shape), model::TensorKind::kStatistic);
  }
  int constant(std::vector<std::int64_t> value) {
    const int id = tensor({static_cast<std::int64_t>(value.size())}, model::TensorKind::kConstant);
    graph_.tensors[index(id)].value = std::move(value);
    return id;
  }
  int scalar() { return tensor({}, model::TensorKind::kConstant); }

  // Adds an operator with one result; its parameters are the ones that none had before it.
  int op(const std::string& type, std::vector<int> inputs, model::Shape result,
         Attributes attributes = {}, std::int64_t macs = 0) {
    return ops(type, std::move(inputs), {std::move(result)}, std::move(attributes), macs).front();
  }
  std::vector<int> ops(const std::string& type, std::vector<int> inputs,
                       const std::vector<model::Shape>& results, Attributes attributes = {},
                       std::int64_t macs = 0) {
    model::Operator added;
    added.type = type;
    added.name = type + std::to_string(graph_.operators.size());
    added.attributes = std::move(attributes);
    added.macs = macs;
    const int number = static_cast<int>(graph_.operators.size());
    for (const int in : inputs) {
      graph_.tensors[index(in)].consumers.push_back(number);
      const bool trained = graph_.tensors[index(in)].kind == model::TensorKind::kParameter;
      if (trained && counted_.insert(in).second)
        added.parameters += model::elements(graph_.tensors[index(in)].shape);
    }
    graph_.parameters_in_graph += added.parameters;
    added.inputs = std::move(inputs);
    for (const model::Shape& shape : results) {
      added.outputs.push_back(tensor(shape, model::TensorKind::kActivation));
      graph_.tensors.back().producer = number;
    }
    graph_.operators.push_back(added);
    return added.outputs;
  }

  int conv(int x, std::int64_t out, std::int64_t groups = 1) {
    const model::Shape in = shape(x);
    const model::Shape result = {in[0], out, in[2], in[3]};
    const std::int64_t per_group = in[1] / groups;
    return op("Conv", {x, parameter({out, per_group, 3, 3})}, result, {{"group", groups}},
              model::elements(result) * per_group * 9);
  }
  int linear(int x, std::int64_t out) {
    model::Shape result = shape(x);
    const std::int64_t in = result.back();
    result.back() = out;
    return op("MatMul", {x, parameter({in, out})}, result, {}, model::elements(result) * in);
  }
  int follow(const std::string& type, int x) { return op(type, {x}, shape(x)); }
  // Layer norm along the last axis, as exporters write it out.
  int layer_norm(int x) {
    const model::Shape whole = shape(x);
    model::Shape mean = whole;
    mean.back() = 1;
    const Attributes last = {{"axes", std::vector<std::int64_t>{-1}}};
    const int centred = op("Sub", {x, op("ReduceMean", {x}, mean, last)}, whole);
    const int square = op("Pow", {centred, scalar()}, whole);
    const int variance = op("ReduceMean", {square}, mean, last);
    const int root = op("Sqrt", {op("Add", {variance, scalar()}, mean)}, mean);
    const int normal = op("Div", {centred, root}, whole);
    const int scaled = op("Mul", {normal, parameter({whole.back()})}, whole);
    return op("Add", {scaled, parameter({whole.back()})}, whole);
  }
  int gelu(int x) {
    const model::Shape whole = shape(x);
    const int error = op("Erf", {op("Div", {x, scalar()}, whole)}, whole);
    const int gate = op("Mul", {x, op("Add", {error, scalar()}, whole)}, whole);
    return op("Mul", {gate, scalar()}, whole);
  }

  const model::Shape& shape(int id) const { return graph_.tensors[index(id)].shape; }
  model::Operator& last() { return graph_.operators.back(); }
  model::Graph graph(std::vector<int> outputs) {
    graph_.outputs = std::move(outputs);
    return graph_;
  }

 private:
  static std::size_t index(int id) { return static_cast<std::size_t>(id); }
  int tensor(model::Shape shape, model::TensorKind kind) {
    model::Tensor added;
    added.name = "t" + std::to_string(graph_.tensors.size());
    added.shape = std::move(shape);
    added.kind = kind;
    graph_.tensors.push_back(std::move(added));
    return static_cast<int>(graph_.tensors.size()) - 1;
  }

  model::Graph graph_;
  std::set<int> counted_;
};

// One block of a transformer, sequence first or batch first, with 4 heads of 8.
inline model::Graph transformer(std::int64_t batch, bool take_apart_by_index) {
  constexpr std::int64_t kSteps = 6, kHeads = 4, kSize = 8, kWidth = kHeads * kSize;
  Sketch sketch(batch);
  const int x = sketch.linear(sketch.input({batch, kSteps, 5}), kWidth);
  const int qkv = sketch.linear(sketch.layer_norm(x), 3 * kWidth);
  const model::Shape heads = {batch, kSteps, kHeads, kSize};
  const model::Shape turned = {batch, kHeads, kSteps, kSize};
  const auto order = [](std::vector<std::int64_t> perm) {
    return Sketch::Attributes{{"perm", std::move(perm)}};
  };
  int part[3];
  int apart = -1;
  if (take_apart_by_index) {
    const int five = sketch.op("Reshape", {qkv}, {batch, kSteps, 3, kHeads, kSize});
    apart =
        sketch.op("Transpose", {five}, {3, batch, kHeads, kSteps, kSize}, order({2, 0, 3, 1, 4}));
  }
  for (std::int64_t i = 0; i < 3; ++i) {
    if (take_apart_by_index) {
      part[i] = sketch.op("Gather", {apart, sketch.scalar()}, turned, {{"axis", 0L}});
    } else {
      const int slice = sketch.op("Slice",
                                  {qkv, sketch.constant({i * kWidth}),
                                   sketch.constant({(i + 1) * kWidth}), sketch.constant({-1})},
                                  {batch, kSteps, kWidth});
      part[i] = sketch.op("Transpose", {sketch.op("Reshape", {slice}, heads)}, turned,
                          order({0, 2, 1, 3}));
    }
  }
  const int key =
      sketch.op("Transpose", {part[1]}, {batch, kHeads, kSize, kSteps}, order({0, 1, 3, 2}));
  const std::int64_t macs = batch * kHeads * kSteps * kSteps * kSize;
  const int scores = sketch.op("MatMul", {part[0], key}, {batch, kHeads, kSteps, kSteps}, {}, macs);
  const int scaled = sketch.op("Mul", {scores, sketch.scalar()}, sketch.shape(scores));
  const int soft = sketch.op("Softmax", {scaled}, sketch.shape(scaled), {{"axis", -1L}});
  const int mixed = sketch.op("MatMul", {soft, part[2]}, turned, {}, macs);
  const int together =
      sketch.op("Reshape", {sketch.op("Transpose", {mixed}, heads, order({0, 2, 1, 3}))},
                {batch, kSteps, kWidth});
  const int attended =
      sketch.op("Add", {x, sketch.linear(together, kWidth)}, {batch, kSteps, kWidth});
  const int wide = sketch.gelu(sketch.linear(sketch.layer_norm(attended), 4 * kWidth));
  const int out = sketch.op("Add", {attended, sketch.linear(wide, kWidth)}, sketch.shape(x));
  return sketch.graph({out});
}

}  // namespace penstock::partition
