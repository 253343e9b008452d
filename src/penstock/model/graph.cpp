#include "penstock/model/graph.h"

#include "penstock/model/internal/assemble.h"

namespace penstock::model {

std::int64_t elements(const Shape& shape) { return internal::saturating_elements(shape); }

std::string shape_text(const Shape& shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (const std::int64_t size : shape) {
    if (!text.empty()) text += 'x';
    text += std::to_string(size);
  }
  return text;
}

std::int64_t Operator::integer(const std::string& attribute, std::int64_t fallback) const {
  const auto found = attributes.find(attribute);
  if (found == attributes.end()) return fallback;
  const auto* value = std::get_if<std::int64_t>(&found->second);
  return value == nullptr ? fallback : *value;
}

std::vector<std::int64_t> Operator::integers(const std::string& attribute,
                                             std::vector<std::int64_t> fallback) const {
  const auto found = attributes.find(attribute);
  if (found == attributes.end()) return fallback;
  const auto* value = std::get_if<std::vector<std::int64_t>>(&found->second);
  return value == nullptr ? fallback : *value;
}

std::int64_t Graph::macs() const {
  std::int64_t sum = 0;
  for (const Operator& op : operators) sum = internal::saturating_add(sum, op.macs);
  return sum;
}

std::vector<LayerSummary> layers(const Graph& graph) {
  const auto shape_of = [&](int tensor) {
    return tensor < 0 ? Shape() : graph.tensors[static_cast<std::size_t>(tensor)].shape;
  };
  std::vector<LayerSummary> rows;
  for (const Operator& op : graph.operators) {
    if (op.macs == 0 && op.parameters == 0) continue;
    LayerSummary row;
    row.name = op.name;
    row.type = op.type;
    for (const int input : op.inputs) {
      if (input < 0) continue;
      const Tensor& tensor = graph.tensors[static_cast<std::size_t>(input)];
      const bool is_data =
          tensor.kind == TensorKind::kInput || tensor.kind == TensorKind::kActivation;
      if (is_data && tensor.type == ElementType::kFloat) {
        row.input = tensor.shape;
        break;
      }
      if (is_data && row.input.empty()) row.input = tensor.shape;
    }
    if (!op.outputs.empty()) row.output = shape_of(op.outputs.front());
    row.parameters = op.parameters;
    row.macs = op.macs;
    row.weight_elements = op.parameters;
    if (internal::has_folded_batch_norm(graph, op)) {
      row.weight_elements -= elements(shape_of(op.inputs[2]));
    }
    row.output_elements = elements(row.output);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace penstock::model
