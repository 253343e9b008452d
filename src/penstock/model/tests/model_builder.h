// Builds ONNX models through protobuf, node by node.
#pragma once

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "penstock/model/graph.h"

namespace penstock::model {

using Integers = std::vector<std::int64_t>;

class ModelBuilder {
 public:
  explicit ModelBuilder(std::int64_t opset = 14) {
    model_.set_ir_version(7);
    model_.add_opset_import()->set_version(opset);
    model_.mutable_graph()->set_name("test");
  }

  onnx::ModelProto& proto() { return model_; }
  onnx::GraphProto& graph() { return *model_.mutable_graph(); }
  std::string bytes() const { return model_.SerializeAsString(); }
  Result<Graph> read(const ReadOptions& options = {}) const {
    return parse_onnx(bytes(), "test.onnx", options);
  }

  ModelBuilder& input(const std::string& name, const Integers& shape,
                      int type = onnx::TensorProto::FLOAT) {
    describe(*graph().add_input(), name, shape, type);
    return *this;
  }
  ModelBuilder& output(const std::string& name) {
    graph().add_output()->set_name(name);
    return *this;
  }
  ModelBuilder& output(const std::string& name, const Integers& shape) {
    describe(*graph().add_output(), name, shape, onnx::TensorProto::FLOAT);
    return *this;
  }
  // Trained values without data: readers need only the shape.
  ModelBuilder& weight(const std::string& name, const Integers& shape) {
    onnx::TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const auto size : shape) tensor.add_dims(size);
    return *this;
  }
  ModelBuilder& integers(const std::string& name, const Integers& values) {
    onnx::TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::INT64);
    tensor.add_dims(static_cast<std::int64_t>(values.size()));
    for (const auto value : values) tensor.add_int64_data(value);
    return *this;
  }
  ModelBuilder& reals(const std::string& name, const std::vector<float>& values) {
    onnx::TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    tensor.add_dims(static_cast<std::int64_t>(values.size()));
    for (const auto value : values) tensor.add_float_data(value);
    return *this;
  }

  ModelBuilder& node(const std::string& type, const std::vector<std::string>& inputs,
                     const std::vector<std::string>& outputs) {
    onnx::NodeProto& node = *graph().add_node();
    node.set_op_type(type);
    for (const auto& name : inputs) node.add_input(name);
    for (const auto& name : outputs) node.add_output(name);
    return *this;
  }
  // Attributes of the node that was added last.
  ModelBuilder& with(const std::string& name, std::int64_t value) {
    onnx::AttributeProto& attribute = add_attribute(name, onnx::AttributeProto::INT);
    attribute.set_i(value);
    return *this;
  }
  ModelBuilder& with(const std::string& name, const Integers& values) {
    onnx::AttributeProto& attribute = add_attribute(name, onnx::AttributeProto::INTS);
    for (const auto value : values) attribute.add_ints(value);
    return *this;
  }
  ModelBuilder& with_text(const std::string& name, const std::string& value) {
    add_attribute(name, onnx::AttributeProto::STRING).set_s(value);
    return *this;
  }

 private:
  static void describe(onnx::ValueInfoProto& info, const std::string& name, const Integers& shape,
                       int type) {
    info.set_name(name);
    auto& tensor = *info.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type);
    tensor.mutable_shape();
    for (const auto size : shape) tensor.mutable_shape()->add_dim()->set_dim_value(size);
  }
  onnx::AttributeProto& add_attribute(const std::string& name,
                                      onnx::AttributeProto::AttributeType type) {
    onnx::NodeProto& node = *graph().mutable_node(graph().node_size() - 1);
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(type);
    return attribute;
  }

  onnx::ModelProto model_;
};

// The graphs that the project shares outside its repository; empty where they are absent.
inline std::vector<std::string> shared_graphs() {
  const char* root = std::getenv("PENSTOCK_SHARED");
  const std::filesystem::path folder =
      std::filesystem::path(root != nullptr ? root : PENSTOCK_SOURCE_DIR "/../shared") / "data" /
      "onnx";
  std::vector<std::string> paths;
  for (const char* part : {"light", "exported"}) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder / part, error)) {
      if (entry.path().extension() == ".onnx") paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

inline std::string stem(const std::string& path) {
  return std::filesystem::path(path).stem().string();
}

inline const Tensor* find_tensor(const Graph& graph, const std::string& name) {
  for (const Tensor& tensor : graph.tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

}  // namespace penstock::model
