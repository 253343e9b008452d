// Which integers may be fed to a graph.
#pragma once

#include <cstdint>

#include "penstock/model/graph.h"

namespace penstock::train {

// Values from 0 up to, not including, this are in range wherever the graph picks rows by the
// integer input `tensor`, also where it first computes with it; 2 where it picks none.
std::int64_t index_bound(const model::Graph& graph, int tensor);

}  // namespace penstock::train
