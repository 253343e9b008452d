// Sums of products over named axes.
#pragma once

#include "penstock/partition/internal/verify_operators.h"

namespace penstock::partition::internal {

// Whether every axis of an operand has a letter that no other axis of it has.
bool sums_products(const model::Graph& graph, const model::Operator& op);

Array einsum(const Invocation& call);
std::vector<Array> einsum_back(const Invocation& call, const Array& gradient,
                               const std::vector<bool>& wanted);

// Where a worker has the operand, from where it has the result.
Frame einsum_frame(const model::Graph& graph, const model::Operator& op, std::size_t input,
                   const Frame& result);

}  // namespace penstock::partition::internal
