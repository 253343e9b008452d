// Single operators in double precision, forward and backward, on whole tensors or on a worker's
// part.
#pragma once

#include <string>
#include <vector>

#include "penstock/model/graph.h"
#include "penstock/partition/internal/verify_block.h"

namespace penstock::partition::internal {

// One operator on the positions that a worker holds.
struct Invocation {
  const model::Graph* graph = nullptr;
  const model::Operator* op = nullptr;
  int output = 0;                    // which of the operator's outputs
  std::vector<const Array*> inputs;  // null where omitted, or where only its integers matter
  std::vector<Frame> frames;         // of the inputs
  Frame result;

  const model::Shape& whole_shape(int tensor) const {
    return graph->tensors[static_cast<std::size_t>(tensor)].shape;
  }
  double number(const std::string& attribute, double fallback) const;
  std::string text(const std::string& attribute) const;
  // A list that older operator sets hold in an attribute and newer ones in an input.
  std::vector<std::int64_t> listed(const std::string& attribute, std::size_t input) const;
  // An axis number counted from the front.
  std::size_t axis(std::int64_t from_either_end, std::size_t rank) const;
};

// Why an operator cannot be executed, after its name; empty where both directions can.
std::string obstacle(const model::Graph& graph, const model::Operator& op);

// Linear in its activations but for an offset: the offsets of these operands of such an operator
// belong to one summand of a partial sum only.
bool linear(const model::Operator& op);
// What an input of an operator is, where it is a parameter.
enum class Operand { kWeight, kOffset, kScale };
Operand operand_kind(const model::Operator& op, std::size_t input);

Array forward(const Invocation& call);
// Gradients of the inputs that are wanted; the others stay empty.
std::vector<Array> backward(const Invocation& call, const Array& output, const Array& gradient,
                            const std::vector<bool>& wanted);

}  // namespace penstock::partition::internal
