// penstock inspect: what a network is made of.
#include <fmt/format.h>

#include <optional>

#include "penstock/cli/command.h"
#include "penstock/core/table.h"
#include "penstock/model/graph.h"
#include "penstock/model/zoo.h"
#include "penstock/version.h"

namespace penstock::cli {
namespace {

using core::Json;
using model::Graph;

constexpr std::int64_t kFloatBytes = 4;

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

// Operators whose result is the same bytes under another shape.
bool is_view(const std::string& type) {
  return type == "Reshape" || type == "Flatten" || type == "Squeeze" || type == "Unsqueeze" ||
         type == "Identity";
}

// What one forward pass leaves for the backward pass if it keeps every result, in 32-bit floats.
std::int64_t activation_bytes(const Graph& graph) {
  std::int64_t bytes = 0;
  for (const model::Operator& op : graph.operators) {
    if (is_view(op.type)) continue;
    for (const int output : op.outputs) {
      if (output < 0) continue;
      const model::Tensor& tensor = graph.tensors[static_cast<std::size_t>(output)];
      const bool is_used = !tensor.consumers.empty() || output == op.outputs.front();
      if (is_used && tensor.type == model::ElementType::kFloat) {
        bytes += kFloatBytes * model::elements(tensor.shape);
      }
    }
  }
  return bytes;
}

Json document(const Graph& graph) {
  Json layers = Json::array();
  for (const model::LayerSummary& layer : model::layers(graph)) {
    layers.push_back(Json{{"name", layer.name},
                          {"type", layer.type},
                          {"input_shape", layer.input},
                          {"output_shape", layer.output},
                          {"parameters", layer.parameters},
                          {"macs", layer.macs},
                          {"weight_bytes", kFloatBytes * layer.weight_elements},
                          {"output_bytes", kFloatBytes * layer.output_elements}});
  }
  return Json{{"model", graph.name},
              {"source", graph.source},
              {"batch", graph.batch},
              {"parameters", graph.parameters},
              {"parameters_in_graph", graph.parameters_in_graph},
              {"macs", graph.macs()},
              {"weight_bytes", kFloatBytes * graph.parameters_in_graph},
              {"activation_bytes", activation_bytes(graph)},
              {"operators", graph.operator_counts},
              {"layers", std::move(layers)},
              {"warnings", graph.warnings},
              {"version", kVersion}};
}

std::string operator_line(const Graph& graph) {
  std::string line;
  std::string text;
  for (const auto& [type, count] : graph.operator_counts) {
    const std::string item = fmt::format("{}{} {}", line.empty() ? "" : ", ", type, count);
    if (line.size() + item.size() > 84) {
      text += line + ",\n              ";
      line = fmt::format("{} {}", type, count);
    } else {
      line += item;
    }
  }
  return text + line;
}

// The end of a long name, which tells layers apart.
std::string short_name(const std::string& name) {
  constexpr std::size_t kLongest = 38;
  return name.size() <= kLongest ? name : ".." + name.substr(name.size() - kLongest + 2);
}

std::string parameter_line(const Graph& graph) {
  if (graph.parameters == graph.parameters_in_graph) return grouped(graph.parameters);
  return fmt::format("{} as trained, {} in the graph: batch norms are folded",
                     grouped(graph.parameters), grouped(graph.parameters_in_graph));
}

std::string human(const Graph& graph) {
  std::string text = fmt::format(
      "{} ({}) at batch {}\n"
      "  parameters  {}\n"
      "  MACs        {} a forward pass\n"
      "  weights     {}\n"
      "  activations {}\n"
      "  operators   {}\n\n",
      graph.name, graph.source, graph.batch, parameter_line(graph), grouped(graph.macs()),
      core::format_quantity(Bytes(static_cast<double>(kFloatBytes * graph.parameters_in_graph))),
      core::format_quantity(Bytes(static_cast<double>(activation_bytes(graph)))),
      operator_line(graph));
  using Align = core::Table::Align;
  core::Table table({{"layer"},
                     {"type"},
                     {"input", Align::kRight},
                     {"output", Align::kRight},
                     {"parameters", Align::kRight},
                     {"MACs", Align::kRight}});
  for (const model::LayerSummary& layer : model::layers(graph)) {
    table.add_row({short_name(layer.name), layer.type, model::shape_text(layer.input),
                   model::shape_text(layer.output), grouped(layer.parameters),
                   grouped(layer.macs)});
  }
  text += table.text();
  for (const std::string& warning : graph.warnings) text += "warning: " + warning + "\n";
  return text;
}

class InspectCommand : public Command {
 public:
  std::string name() const override { return "inspect"; }
  std::string summary() const override {
    return "Shows a network's layers, shapes, parameters, operations and bytes";
  }
  std::string example() const override { return "penstock inspect --zoo resnet50 --batch 32"; }

  void declare(CLI::App& app) override {
    app.add_option("model", path_, "The network as an ONNX file")->type_name("MODEL.onnx");
    app.add_option(
           "--zoo", zoo_,
           "A built-in network instead: " + fmt::format("{}", fmt::join(model::zoo_names(), ", ")))
        ->type_name("NAME");
    app.add_option("--batch", batch_, "Items in one forward pass (default: the file's own)")
        ->type_name("N");
    output_.declare(app);
  }

  Status prepare() override {
    if (path_.empty() == zoo_.empty()) {
      return core::input_error("inspect", "give one network",
                               "name either an ONNX file or --zoo NAME");
    }
    return {};
  }

  Status run() override {
    PENSTOCK_TRY(const Graph graph, zoo_.empty() ? model::read_onnx(path_, {.batch = batch_})
                                                 : model::zoo(zoo_, batch_.value_or(1)));
    return output_.emit(document(graph), human(graph));
  }

 private:
  std::string path_;
  std::string zoo_;
  std::optional<std::int64_t> batch_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_inspect_command() { return std::make_unique<InspectCommand>(); }

}  // namespace penstock::cli
