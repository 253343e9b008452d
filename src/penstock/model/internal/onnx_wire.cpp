#include "penstock/model/internal/onnx_wire.h"

#include <google/protobuf/stubs/logging.h>
#include <onnx/onnx_pb.h>

#include <cstring>
#include <limits>
#include <unordered_set>
#include <utility>

namespace penstock::model::internal {
namespace {

using onnx::TensorProto;

ElementType element_type(int wire_type) {
  switch (wire_type) {
    case TensorProto::FLOAT:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
    case TensorProto::DOUBLE:
    case TensorProto::COMPLEX64:
    case TensorProto::COMPLEX128:
      return ElementType::kFloat;
    case TensorProto::BOOL:
      return ElementType::kBool;
    default:
      return ElementType::kInteger;
  }
}

// Bytes of one element in raw_data; 0 where the format fixes none.
std::size_t element_bytes(int wire_type) {
  switch (wire_type) {
    case TensorProto::UINT8:
    case TensorProto::INT8:
    case TensorProto::BOOL:
      return 1;
    case TensorProto::UINT16:
    case TensorProto::INT16:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return 2;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return 4;
    case TensorProto::INT64:
    case TensorProto::UINT64:
    case TensorProto::DOUBLE:
    case TensorProto::COMPLEX64:
      return 8;
    case TensorProto::COMPLEX128:
      return 16;
    default:
      return 0;
  }
}

template <typename T>
std::vector<T> raw_elements(const std::string& raw) {
  std::vector<T> elements(raw.size() / sizeof(T));
  if (!elements.empty()) std::memcpy(elements.data(), raw.data(), elements.size() * sizeof(T));
  return elements;
}

template <typename T>
Value integers_from_raw(const std::string& raw) {
  Value value;
  for (const T element : raw_elements<T>(raw)) {
    value.integers.push_back(static_cast<std::int64_t>(element));
  }
  return value;
}

template <typename Range>
Value integers_from(const Range& range) {
  Value value;
  for (const auto element : range) value.integers.push_back(static_cast<std::int64_t>(element));
  return value;
}

template <typename Range>
Value reals_from(const Range& range) {
  Value value;
  value.is_real = true;
  value.reals.assign(range.begin(), range.end());
  return value;
}

// The value of the element types that shape arithmetic uses.
std::optional<Value> tensor_value(const TensorProto& proto) {
  const std::string& raw = proto.raw_data();
  const bool is_raw = proto.has_raw_data() && !raw.empty();
  switch (proto.data_type()) {
    case TensorProto::INT64:
      return is_raw ? integers_from_raw<std::int64_t>(raw) : integers_from(proto.int64_data());
    case TensorProto::INT32:
      return is_raw ? integers_from_raw<std::int32_t>(raw) : integers_from(proto.int32_data());
    case TensorProto::INT16:
      return is_raw ? integers_from_raw<std::int16_t>(raw) : integers_from(proto.int32_data());
    case TensorProto::INT8:
      return is_raw ? integers_from_raw<std::int8_t>(raw) : integers_from(proto.int32_data());
    case TensorProto::UINT8:
    case TensorProto::BOOL:
      return is_raw ? integers_from_raw<std::uint8_t>(raw) : integers_from(proto.int32_data());
    case TensorProto::FLOAT:
      return is_raw ? reals_from(raw_elements<float>(raw)) : reals_from(proto.float_data());
    case TensorProto::DOUBLE:
      return is_raw ? reals_from(raw_elements<double>(raw)) : reals_from(proto.double_data());
    default:
      return std::nullopt;
  }
}

Result<Shape> tensor_shape(const TensorProto& proto, const std::string& where) {
  if (static_cast<std::size_t>(proto.dims_size()) > kMaxRank) {
    return input_error(where, "the tensor has " + std::to_string(proto.dims_size()) +
                                  " dimensions; at most " + std::to_string(kMaxRank) +
                                  " are understood");
  }
  Shape shape(proto.dims().begin(), proto.dims().end());
  for (const std::int64_t size : shape) {
    if (size < 0) return input_error(where, "the tensor has the dimension " + std::to_string(size));
  }
  if (saturating_elements(shape) > kMaxCount) {
    return input_error(where, "the tensor " + shape_text(shape) + " is too large to count");
  }
  return shape;
}

Result<WireTensor> convert_tensor(const TensorProto& proto, const std::string& where) {
  WireTensor tensor;
  tensor.name = proto.name();
  tensor.type = element_type(proto.data_type());
  PENSTOCK_TRY(tensor.shape, tensor_shape(proto, where));
  const std::int64_t count = saturating_elements(tensor.shape);
  const std::size_t bytes = element_bytes(proto.data_type());
  const bool external = proto.data_location() == TensorProto::EXTERNAL;
  if (!external && proto.has_raw_data() && !proto.raw_data().empty() && bytes > 0 &&
      (static_cast<std::size_t>(count) != proto.raw_data().size() / bytes ||
       proto.raw_data().size() % bytes != 0)) {
    return input_error(where, "the tensor " + shape_text(tensor.shape) + " has " +
                                  std::to_string(proto.raw_data().size()) + " bytes of data");
  }
  if (external || !is_foldable(tensor.type, count)) return tensor;
  std::optional<Value> value = tensor_value(proto);
  if (value && value->size() == static_cast<std::size_t>(count)) {
    tensor.value = std::move(value);
  } else if (value && value->size() != 0) {
    return input_error(where, "the tensor " + shape_text(tensor.shape) + " has " +
                                  std::to_string(value->size()) + " elements of data");
  }
  return tensor;
}

WireValue convert_value(const onnx::ValueInfoProto& proto) {
  WireValue value;
  value.name = proto.name();
  if (!proto.type().has_tensor_type()) return value;
  const onnx::TypeProto::Tensor& type = proto.type().tensor_type();
  value.is_tensor = true;
  value.type = element_type(type.elem_type());
  value.has_shape = type.has_shape();
  for (const auto& dimension : type.shape().dim()) {
    WireDimension converted;
    if (dimension.has_dim_value()) converted.size = dimension.dim_value();
    converted.symbol = dimension.dim_param();
    value.shape.push_back(std::move(converted));
  }
  return value;
}

Status convert_attribute(const onnx::AttributeProto& proto, const std::string& where,
                         WireNode& node) {
  const std::string& name = proto.name();
  switch (proto.type()) {
    case onnx::AttributeProto::INT:
      node.attributes[name] = static_cast<std::int64_t>(proto.i());
      break;
    case onnx::AttributeProto::FLOAT:
      node.attributes[name] = static_cast<double>(proto.f());
      break;
    case onnx::AttributeProto::STRING:
      node.attributes[name] = proto.s();
      break;
    case onnx::AttributeProto::INTS:
      node.attributes[name] = std::vector<std::int64_t>(proto.ints().begin(), proto.ints().end());
      break;
    case onnx::AttributeProto::FLOATS:
      node.reals[name].assign(proto.floats().begin(), proto.floats().end());
      break;
    case onnx::AttributeProto::TENSOR: {
      PENSTOCK_TRY(node.tensors[name],
                   convert_tensor(proto.t(), where + ": attribute \"" + printable(name) + "\""));
      break;
    }
    default:
      break;  // graphs, sparse tensors and types: no operator that we know reads them
  }
  return {};
}

Result<WireNode> convert_node(const onnx::NodeProto& proto, const std::string& file) {
  WireNode node;
  node.name = proto.name();
  node.type = proto.op_type();
  node.domain = proto.domain();
  node.inputs.assign(proto.input().begin(), proto.input().end());
  node.outputs.assign(proto.output().begin(), proto.output().end());
  const std::string where = file + ": " + node_label(node);
  if (node.type.empty()) return input_error(where, "the node has no operator type");
  for (const auto& attribute : proto.attribute()) {
    PENSTOCK_TRY_STATUS(convert_attribute(attribute, where, node));
  }
  return node;
}

}  // namespace

Result<WireGraph> parse_wire(const std::string& bytes, const std::string& file) {
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return input_error(file, "the file is larger than protobuf's limit of 2 GiB",
                       "save the model with external data");
  }
  const google::protobuf::LogSilencer silencer;
  onnx::ModelProto model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !model.has_graph()) {
    return input_error(file, "this is not a whole ONNX model",
                       "check that the file is complete and no Git LFS pointer");
  }
  WireGraph graph;
  graph.file = file;
  graph.name = model.graph().name();
  for (const auto& opset : model.opset_import()) {
    if (opset.domain().empty() || opset.domain() == "ai.onnx") graph.opset = opset.version();
  }
  for (const auto& input : model.graph().input()) graph.inputs.push_back(convert_value(input));
  for (const auto& output : model.graph().output()) graph.outputs.push_back(convert_value(output));
  for (const auto& info : model.graph().value_info()) {
    graph.value_info.push_back(convert_value(info));
  }
  for (const auto& proto : model.graph().initializer()) {
    const std::string where = file + ": initializer \"" + printable(proto.name()) + "\"";
    PENSTOCK_TRY(WireTensor tensor, convert_tensor(proto, where));
    graph.initializers.push_back(std::move(tensor));
  }
  for (const auto& proto : model.graph().sparse_initializer()) {
    const std::string& name = proto.values().name();
    const std::string where = file + ": sparse initializer \"" + printable(name) + "\"";
    TensorProto dense;  // only its name and shape
    dense.set_name(name);
    dense.set_data_type(proto.values().data_type());
    for (const auto size : proto.dims()) dense.add_dims(size);
    PENSTOCK_TRY(WireTensor tensor, convert_tensor(dense, where));
    graph.initializers.push_back(std::move(tensor));
  }
  graph.nodes.reserve(static_cast<std::size_t>(model.graph().node_size()));
  for (const auto& proto : model.graph().node()) {
    PENSTOCK_TRY(WireNode node, convert_node(proto, file));
    graph.nodes.push_back(std::move(node));
  }
  if (graph.nodes.empty()) return input_error(file, "the graph has no operators");
  return graph;
}

}  // namespace penstock::model::internal
