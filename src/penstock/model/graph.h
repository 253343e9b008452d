// A network as a graph of operators with known shapes: what is to be run.
//
//   PENSTOCK_TRY(Graph graph, read_onnx("resnet50.onnx", {.batch = 512}));
//   for (const Operator& op : graph.operators) total += op.macs;
//
// Only operators that run on activations are kept: arithmetic on shapes and on constants is folded
// while reading (its results are tensors with a value), and parameters are followed through
// Identity, Transpose and the like to the operator that uses them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::model {

using Shape = std::vector<std::int64_t>;
std::int64_t elements(const Shape& shape);   // 1 for a scalar
std::string shape_text(const Shape& shape);  // "512x3x224x224"

enum class ElementType { kFloat, kInteger, kBool };

enum class TensorKind {
  kInput,       // fed with data
  kActivation,  // computed from data
  kParameter,   // trained
  kStatistic,   // kept with the parameters but not trained: batch-norm mean and variance
  kConstant,    // fixed by the graph
};

struct Tensor {
  std::string name;
  Shape shape;
  ElementType type = ElementType::kFloat;
  TensorKind kind = TensorKind::kActivation;
  int producer = -1;                // index into operators; -1 for inputs, parameters and constants
  std::vector<int> consumers;       // indices into operators, ascending; graph outputs not counted
  std::vector<std::int64_t> value;  // of small integer constants, else empty
  std::vector<double> reals;        // likewise of real ones
};

using Attribute = std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>>;

struct Operator {
  std::string name;          // unique; made from the output's name where the file has none
  std::string type;          // ONNX operator type: "Conv"
  std::vector<int> inputs;   // indices into tensors; -1 for an omitted optional input
  std::vector<int> outputs;  // likewise
  std::map<std::string, Attribute> attributes;
  std::int64_t macs = 0;        // multiply-accumulates of one forward pass at the graph's batch
  std::int64_t parameters = 0;  // trained elements that this operator is the user of
  bool known = true;            // false: a barrier to every later analysis; shape taken on trust

  std::int64_t integer(const std::string& attribute, std::int64_t fallback) const;
  std::vector<std::int64_t> integers(const std::string& attribute,
                                     std::vector<std::int64_t> fallback) const;
};

struct Graph {
  std::string name;
  std::string source;  // the file, or "zoo"
  std::int64_t batch = 1;
  std::vector<Tensor> tensors;
  std::vector<Operator> operators;  // in topological order
  std::vector<int> inputs;          // tensors fed with data
  std::vector<int> outputs;
  std::vector<std::string> warnings;
  std::map<std::string, std::int64_t> operator_counts;  // of the file as it is, by type
  // Trained parameters of the network as it was trained. Where an export folded a batch norm into a
  // convolution, its two vectors count as trained although the graph holds one.
  std::int64_t parameters = 0;
  std::int64_t parameters_in_graph = 0;

  std::int64_t macs() const;
};

// Everything that a layer table shows: one row for each operator with MACs or parameters.
struct LayerSummary {
  std::string name;
  std::string type;
  Shape input;
  Shape output;
  std::int64_t parameters = 0;
  std::int64_t macs = 0;
  std::int64_t weight_elements = 0;
  std::int64_t output_elements = 0;
};
std::vector<LayerSummary> layers(const Graph& graph);

struct ReadOptions {
  // Re-batches the graph: the first dimension of every data input that shares the first input's
  // leading dimension. A constant Reshape that pins the batch is rewritten, or refused by name.
  // Absent: the file's own batch, or 1 where it is symbolic.
  std::optional<std::int64_t> batch;
};

// Reads an ONNX file. Fails with exit code 2 and one line on a file that is truncated, cyclic, uses
// an undefined tensor, or whose shapes contradict each other; never throws and never crashes.
Result<Graph> read_onnx(const std::string& path, const ReadOptions& options = {});
// The same from bytes; `name` stands for the file in errors.
Result<Graph> parse_onnx(const std::string& bytes, const std::string& name,
                         const ReadOptions& options = {});

}  // namespace penstock::model
