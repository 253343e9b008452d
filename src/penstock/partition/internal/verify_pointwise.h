// Operators that work element by element, operands repeated along axes where they have one
// position.
#pragma once

#include "penstock/partition/internal/verify_operators.h"

namespace penstock::partition::internal {

bool pointwise(const std::string& type);
Array pointwise_forward(const Invocation& call);
std::vector<Array> pointwise_back(const Invocation& call, const Array& output,
                                  const Array& gradient, const std::vector<bool>& wanted);

}  // namespace penstock::partition::internal
