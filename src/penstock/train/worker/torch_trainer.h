// Trains an ONNX file with libtorch: on the CUDA device of this rank's place on its node where
// there is one, else on job.threads processors.
#pragma once

#include <c10/core/Device.h>

#include <memory>

#include "penstock/core/result.h"
#include "penstock/train/job.h"
#include "penstock/train/trainer.h"

namespace penstock::train {

// Where the rank computes: its place among the ranks of its node says which CUDA device.
c10::Device compute_device(const Job& job);

Result<std::unique_ptr<Trainer>> make_torch_trainer(const Job& job);

}  // namespace penstock::train
