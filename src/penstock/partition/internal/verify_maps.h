// Pools, reductions and norms.
#pragma once

#include "penstock/partition/internal/verify_operators.h"

namespace penstock::partition::internal {

bool reduces_or_normalises(const std::string& type);
Array map_forward(const Invocation& call);
std::vector<Array> map_back(const Invocation& call, const Array& output, const Array& gradient,
                            const std::vector<bool>& wanted);

}  // namespace penstock::partition::internal
