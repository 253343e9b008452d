// SGD with momentum and Adam, in place.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "penstock/train/job.h"

namespace penstock::train {

class OptimizerState {
 public:
  OptimizerState(const Job& job, const std::vector<at::Tensor>& parameters);

  // One step with `gradients` times `scale`, one for each parameter; an undefined one leaves its
  // parameter as it is. Throws c10::Error.
  void step(const std::vector<at::Tensor>& gradients, double scale);

 private:
  void step_on(at::TensorList values, at::TensorList gradients, at::TensorList momenta,
               at::TensorList squares, double scale);

  Optimizer kind_;
  double learning_rate_;
  double momentum_;
  std::int64_t steps_ = 0;
  std::vector<at::Tensor> values_;   // flat
  std::vector<at::Tensor> momenta_;  // likewise
  std::vector<at::Tensor> squares_;  // of Adam
};

}  // namespace penstock::train
