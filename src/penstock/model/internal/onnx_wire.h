// What an ONNX file says, in plain structs. The .cpp is the only file of the room that includes
// protobuf.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "penstock/model/graph.h"

namespace penstock::model::internal {

using core::input_error;

// Larger constants keep their shape but not their value: shapes are computed from short vectors.
inline constexpr std::int64_t kMaxFoldedElements = 100'000;
// Reals matter only as bounds, scales and initial states.
inline constexpr std::int64_t kMaxFoldedReals = 4'096;
// Products beyond this are refused, so that sums of two of them still fit 64 bits.
inline constexpr std::int64_t kMaxCount = std::int64_t{1} << 62;
inline constexpr std::size_t kMaxRank = 32;

// The elements of a small constant: integers (and bools), or reals.
struct Value {
  bool is_real = false;
  std::vector<std::int64_t> integers;
  std::vector<double> reals;

  std::size_t size() const { return is_real ? reals.size() : integers.size(); }
};

struct WireTensor {
  std::string name;
  Shape shape;
  ElementType type = ElementType::kFloat;
  std::optional<Value> value;
};

// Fixed, symbolic, or neither.
struct WireDimension {
  std::optional<std::int64_t> size;
  std::string symbol;
};

struct WireValue {
  std::string name;
  bool is_tensor = false;
  bool has_shape = false;
  ElementType type = ElementType::kFloat;
  std::vector<WireDimension> shape;
};

struct WireNode {
  std::string name;
  std::string type;
  std::string domain;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::map<std::string, Attribute> attributes;
  std::map<std::string, WireTensor> tensors;         // attributes that hold a tensor
  std::map<std::string, std::vector<double>> reals;  // attributes that hold several floats
};

struct WireGraph {
  std::string file;  // for errors
  std::string name;
  std::int64_t opset = 1;  // of the default domain
  std::vector<WireValue> inputs;
  std::vector<WireValue> outputs;
  std::vector<WireValue> value_info;
  std::vector<WireTensor> initializers;
  std::vector<WireNode> nodes;
};

Result<WireGraph> parse_wire(const std::string& bytes, const std::string& file);

// Text from the file made fit for one line of output: no control bytes, no broken UTF-8.
// Whether a constant of that many elements keeps its value.
bool is_foldable(ElementType type, std::int64_t count);
std::string printable(const std::string& text);
// "node "conv1" (Conv)"; an unnamed node is called by its first output.
std::string node_label(const WireNode& node);

// For counts that are not negative: the exact result, or the largest integer.
std::int64_t saturating_multiply(std::int64_t a, std::int64_t b);
std::int64_t saturating_add(std::int64_t a, std::int64_t b);
std::int64_t saturating_elements(const Shape& shape);

}  // namespace penstock::model::internal
