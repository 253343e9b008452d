#include "penstock/model/zoo.h"

#include <array>
#include <string_view>

#include "penstock/core/nearest.h"

namespace penstock::model {
namespace {

// Appends layers to a graph; `x` is the tensor that flows from one to the next.
class Builder {
 public:
  Builder(const std::string& name, Shape input) {
    graph_.name = name;
    graph_.source = "zoo";
    graph_.batch = input.front();
    x_ = add_tensor("input", std::move(input), TensorKind::kInput);
    graph_.inputs = {x_};
  }

  int x() const { return x_; }
  void set_x(int tensor) { x_ = tensor; }

  void convolution(const std::string& name, std::int64_t channels, std::int64_t kernel,
                   std::int64_t stride, std::int64_t pad) {
    const Shape in = shape(x_);
    const Shape out{in[0], channels, slid(in[2], kernel, stride, pad),
                    slid(in[3], kernel, stride, pad)};
    const Shape weight{channels, in[1], kernel, kernel};
    Operator op = make(name, "Conv");
    op.attributes = {{"group", std::int64_t{1}},
                     {"kernel_shape", std::vector<std::int64_t>{kernel, kernel}},
                     {"pads", std::vector<std::int64_t>(4, pad)},
                     {"strides", std::vector<std::int64_t>{stride, stride}}};
    op.macs = elements(out) * in[1] * kernel * kernel;
    append(std::move(op), {x_, add_weight(name, weight)}, out);
  }

  void linear(const std::string& name, std::int64_t features) {
    const Shape in = shape(x_);
    Operator op = make(name, "Gemm");
    op.attributes = {{"transB", std::int64_t{1}}};
    op.macs = in[0] * in[1] * features;
    append(std::move(op), {x_, add_weight(name, {features, in[1]})}, {in[0], features});
  }

  void relu(const std::string& name) { append(make(name, "Relu"), {x_}, shape(x_)); }

  void max_pool(const std::string& name, std::int64_t kernel, std::int64_t stride,
                std::int64_t pad = 0) {
    const Shape in = shape(x_);
    Operator op = make(name, "MaxPool");
    op.attributes = {{"kernel_shape", std::vector<std::int64_t>{kernel, kernel}},
                     {"pads", std::vector<std::int64_t>(4, pad)},
                     {"strides", std::vector<std::int64_t>{stride, stride}}};
    append(std::move(op), {x_},
           {in[0], in[1], slid(in[2], kernel, stride, pad), slid(in[3], kernel, stride, pad)});
  }

  void global_average_pool(const std::string& name) {
    const Shape in = shape(x_);
    append(make(name, "GlobalAveragePool"), {x_}, {in[0], in[1], 1, 1});
  }

  void flatten(const std::string& name) {
    const Shape in = shape(x_);
    Operator op = make(name, "Flatten");
    op.attributes = {{"axis", std::int64_t{1}}};
    append(std::move(op), {x_}, {in[0], in[1] * in[2] * in[3]});
  }

  void add(const std::string& name, int other) {
    append(make(name, "Add"), {x_, other}, shape(x_));
  }

  Graph finish() {
    graph_.outputs = {x_};
    graph_.parameters_in_graph = graph_.parameters;
    return std::move(graph_);
  }

 private:
  static Operator make(const std::string& name, const std::string& type) {
    Operator op;
    op.name = name;
    op.type = type;
    return op;
  }
  static std::int64_t slid(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                           std::int64_t pad) {
    return (size + 2 * pad - kernel) / stride + 1;
  }
  const Shape& shape(int tensor) const {
    return graph_.tensors[static_cast<std::size_t>(tensor)].shape;
  }
  int add_tensor(const std::string& name, Shape shape, TensorKind kind) {
    Tensor tensor;
    tensor.name = name;
    tensor.shape = std::move(shape);
    tensor.kind = kind;
    graph_.tensors.push_back(std::move(tensor));
    return static_cast<int>(graph_.tensors.size()) - 1;
  }
  int add_weight(const std::string& layer, Shape shape) {
    return add_tensor(layer + ".weight", std::move(shape), TensorKind::kParameter);
  }

  void append(Operator op, std::vector<int> inputs, Shape output) {
    const int place = static_cast<int>(graph_.operators.size());
    for (const int input : inputs) {
      Tensor& tensor = graph_.tensors[static_cast<std::size_t>(input)];
      tensor.consumers.push_back(place);
      if (tensor.kind == TensorKind::kParameter) op.parameters += elements(tensor.shape);
    }
    x_ = add_tensor(op.name + ".out", std::move(output), TensorKind::kActivation);
    graph_.tensors.back().producer = place;
    graph_.parameters += op.parameters;
    ++graph_.operator_counts[op.type];
    op.inputs = std::move(inputs);
    op.outputs = {x_};
    graph_.operators.push_back(std::move(op));
  }

  Graph graph_;
  int x_ = -1;
};

// "fc1" to "fcN" with a Relu between them.
void classifier(Builder& b, const std::vector<std::int64_t>& features) {
  b.flatten("flatten");
  for (std::size_t i = 0; i < features.size(); ++i) {
    const std::string layer = "fc" + std::to_string(i + 1);
    b.linear(layer, features[i]);
    if (i + 1 < features.size()) b.relu(layer + ".relu");
  }
}

Graph lenet(std::int64_t batch) {
  Builder b("lenet", {batch, 1, 28, 28});
  b.convolution("conv1", 20, 5, 1, 0);
  b.max_pool("pool1", 2, 2);
  b.convolution("conv2", 50, 5, 1, 0);
  b.max_pool("pool2", 2, 2);
  classifier(b, {500, 10});
  return b.finish();
}

Graph alexnet(std::int64_t batch) {
  Builder b("alexnet", {batch, 3, 224, 224});
  const auto block = [&](const std::string& name, std::int64_t channels, std::int64_t kernel,
                         std::int64_t stride, std::int64_t pad) {
    b.convolution(name, channels, kernel, stride, pad);
    b.relu(name + ".relu");
  };
  block("conv1", 96, 11, 4, 2);
  b.max_pool("pool1", 3, 2);
  block("conv2", 256, 5, 1, 2);
  b.max_pool("pool2", 3, 2);
  block("conv3", 384, 3, 1, 1);
  block("conv4", 384, 3, 1, 1);
  block("conv5", 256, 3, 1, 1);
  b.max_pool("pool5", 3, 2);
  classifier(b, {4096, 4096, 1000});
  return b.finish();
}

// Simonyan and Zisserman, arXiv:1409.1556, table 1: configurations A, B, D and E.
Graph vgg(const std::string& name, const std::array<int, 5>& depths, std::int64_t batch) {
  constexpr std::array<std::int64_t, 5> kChannels = {64, 128, 256, 512, 512};
  Builder b(name, {batch, 3, 224, 224});
  for (std::size_t stage = 0; stage < depths.size(); ++stage) {
    for (int i = 1; i <= depths[stage]; ++i) {
      const std::string layer = "conv" + std::to_string(stage + 1) + "_" + std::to_string(i);
      b.convolution(layer, kChannels[stage], 3, 1, 1);
      b.relu(layer + ".relu");
    }
    b.max_pool("pool" + std::to_string(stage + 1), 2, 2);
  }
  classifier(b, {4096, 4096, 1000});
  return b.finish();
}

struct Resnet {
  std::array<int, 4> depths;
  bool has_bottleneck;
};

// One residual block; as in torchvision a bottleneck strides in its 3x3 convolution.
void residual(Builder& b, const std::string& name, const Resnet& net, std::int64_t channels,
              std::int64_t stride, bool projects) {
  const int shortcut = b.x();
  const auto layer = [&](const std::string& part, std::int64_t width, std::int64_t kernel,
                         std::int64_t step) {
    b.convolution(name + part, width, kernel, step, kernel / 2);
  };
  if (net.has_bottleneck) {
    layer(".conv1", channels, 1, 1);
    b.relu(name + ".relu1");
    layer(".conv2", channels, 3, stride);
    b.relu(name + ".relu2");
    layer(".conv3", 4 * channels, 1, 1);
  } else {
    layer(".conv1", channels, 3, stride);
    b.relu(name + ".relu1");
    layer(".conv2", channels, 3, 1);
  }
  const int branch = b.x();
  if (projects) {
    b.set_x(shortcut);
    layer(".downsample", (net.has_bottleneck ? 4 : 1) * channels, 1, stride);
    const int projected = b.x();
    b.set_x(branch);
    b.add(name + ".add", projected);
  } else {
    b.add(name + ".add", shortcut);
  }
  b.relu(name + ".relu");
}

// He et al., arXiv:1512.03385, table 1.
Graph resnet(const std::string& name, const Resnet& net, std::int64_t batch) {
  Builder b(name, {batch, 3, 224, 224});
  b.convolution("conv1", 64, 7, 2, 3);
  b.relu("conv1.relu");
  b.max_pool("pool1", 3, 2, 1);
  std::int64_t channels = 64;
  for (std::size_t stage = 0; stage < net.depths.size(); ++stage, channels *= 2) {
    for (int i = 0; i < net.depths[stage]; ++i) {
      const bool is_first = i == 0;
      const bool projects = is_first && (stage > 0 || net.has_bottleneck);
      residual(b, "layer" + std::to_string(stage + 1) + "." + std::to_string(i), net, channels,
               is_first && stage > 0 ? 2 : 1, projects);
    }
  }
  b.global_average_pool("pool");
  classifier(b, {1000});
  return b.finish();
}

}  // namespace

std::vector<std::string> zoo_names() {
  return {"lenet", "alexnet",  "vgg11",    "vgg13",   "vgg16",
          "vgg19", "resnet18", "resnet34", "resnet50"};
}

Result<Graph> zoo(const std::string& name, std::int64_t batch) {
  constexpr std::int64_t kMaxBatch = std::int64_t{1} << 28;  // keeps every count below 2^63
  if (batch < 1 || batch > kMaxBatch) {
    return core::input_error("zoo", "the batch " + std::to_string(batch) + " is out of range",
                             "give a batch from 1 to " + std::to_string(kMaxBatch));
  }
  if (name == "lenet") return lenet(batch);
  if (name == "alexnet") return alexnet(batch);
  if (name == "vgg11") return vgg(name, {1, 1, 2, 2, 2}, batch);
  if (name == "vgg13") return vgg(name, {2, 2, 2, 2, 2}, batch);
  if (name == "vgg16") return vgg(name, {2, 2, 3, 3, 3}, batch);
  if (name == "vgg19") return vgg(name, {2, 2, 4, 4, 4}, batch);
  if (name == "resnet18") return resnet(name, {{2, 2, 2, 2}, false}, batch);
  if (name == "resnet34") return resnet(name, {{3, 4, 6, 3}, false}, batch);
  if (name == "resnet50") return resnet(name, {{3, 4, 6, 3}, true}, batch);
  return core::input_error("zoo", "there is no network \"" + name + "\"",
                           core::did_you_mean(name, zoo_names()));
}

}  // namespace penstock::model
