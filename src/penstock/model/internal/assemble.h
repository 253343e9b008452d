// From the passes over a file to the Graph that other rooms see.
#pragma once

#include "penstock/model/internal/inference.h"

namespace penstock::model::internal {

Graph assemble(const GraphIndex& index, const Roles& roles, Pass pass);

// 1 where the export folded a batch norm into this convolution, so that its bias vector stands for
// the two trained vectors of the batch norm. The exporter of torch then names both operands
// "onnx::Conv_<number>"; operands that were trained as such keep their module's name.
bool has_folded_batch_norm(const Graph& graph, const Operator& op);

}  // namespace penstock::model::internal
