// The weights that training starts from: by seed and name, so that every rank makes the same ones
// and an added tensor changes no other.
//
//   std::vector<float> values(elements(tensor.shape));
//   initial_values(graph, id, job.seed, values);
//
// By use: convolutions uniform within sqrt(6 / fan_in), after Kaiming (He et al., ICCV 2015,
// equation 14); matrices within sqrt(1 / fan_in), PyTorch's default for its Linear; recurrent
// weights within sqrt(1 / hidden), its default for LSTM; scales of norms 1, offsets 0; look-up
// tables and positions with GPT-2's standard deviation of 0.02.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "penstock/model/graph.h"

namespace penstock::train {

// Of a tensor of kind kParameter or kStatistic.
void initial_values(const model::Graph& graph, int tensor, std::uint64_t seed,
                    std::span<float> values);

}  // namespace penstock::train
