// Operators that compute nothing: they move, join and pick elements.
#pragma once

#include "penstock/partition/internal/verify_operators.h"

namespace penstock::partition::internal {

bool moves_elements(const std::string& type);
Array move_forward(const Invocation& call);
std::vector<Array> move_back(const Invocation& call, const Array& gradient,
                             const std::vector<bool>& wanted);

}  // namespace penstock::partition::internal
