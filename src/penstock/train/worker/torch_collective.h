// Sums over ranks by libtorch's process groups: Gloo in host memory, NCCL in that of CUDA devices.
//
// Bytes are those that a ring all-reduce takes, computed from what is handed over: the libraries
// count none. Those of our own ring (train/ring.h) are counted.
#pragma once

#include <memory>

#include "penstock/core/result.h"
#include "penstock/train/collective.h"
#include "penstock/train/job.h"

namespace penstock::train {

// Of job.transport kGloo or kNccl. Returns when all ranks have met.
Result<std::unique_ptr<Collective>> make_torch_collective(const Job& job);

}  // namespace penstock::train
