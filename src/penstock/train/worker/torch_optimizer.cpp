#include "penstock/train/worker/torch_optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace penstock::train {
namespace {

// Adam's constants, as its authors give them (Kingma and Ba, ICLR 2015, algorithm 1).
constexpr double kAdamMomentum = 0.9;
constexpr double kAdamSquares = 0.999;
constexpr double kAdamEpsilon = 1e-8;

// A step passes over its tensors several times; on a processor, parts of 512 KiB stay in its
// cache from one pass to the next.
constexpr std::int64_t kPart = 1 << 17;

}  // namespace

OptimizerState::OptimizerState(const Job& job, const std::vector<at::Tensor>& parameters)
    : kind_(job.optimizer), learning_rate_(job.learning_rate), momentum_(job.momentum) {
  for (const at::Tensor& parameter : parameters) {
    values_.push_back(parameter.detach().view({-1}));
    momenta_.push_back(at::zeros_like(values_.back()));
    if (kind_ == Optimizer::kAdam) squares_.push_back(at::zeros_like(values_.back()));
  }
}

void OptimizerState::step(const std::vector<at::Tensor>& gradients, double scale) {
  const at::NoGradGuard no_gradients;
  ++steps_;
  std::vector<at::Tensor> values;
  std::vector<at::Tensor> slopes;
  std::vector<at::Tensor> momenta;
  std::vector<at::Tensor> squares;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (!gradients[i].defined()) continue;
    const at::Tensor flat = gradients[i].reshape({-1});
    const std::int64_t part = values_[i].is_cpu() ? kPart : std::max<std::int64_t>(flat.numel(), 1);
    for (std::int64_t start = 0; start < flat.numel(); start += part) {
      const std::int64_t count = std::min(part, flat.numel() - start);
      values.push_back(values_[i].narrow(0, start, count));
      slopes.push_back(flat.narrow(0, start, count));
      momenta.push_back(momenta_[i].narrow(0, start, count));
      if (!squares_.empty()) squares.push_back(squares_[i].narrow(0, start, count));
      if (!values_[i].is_cpu()) continue;
      step_on(values, slopes, momenta, squares, scale);
      values.clear();
      slopes.clear();
      momenta.clear();
      squares.clear();
    }
  }
  // Where launches cost more than passes, all tensors at once.
  if (!values.empty()) step_on(values, slopes, momenta, squares, scale);
}

void OptimizerState::step_on(at::TensorList values, at::TensorList gradients,
                             at::TensorList momenta, at::TensorList squares, double scale) {
  if (kind_ == Optimizer::kSgd) {
    at::_foreach_mul_(momenta, momentum_);
    at::_foreach_add_(momenta, gradients, scale);
    at::_foreach_add_(values, momenta, -learning_rate_);
    return;
  }
  const double steps = static_cast<double>(steps_);
  const double square_bias = 1.0 - std::pow(kAdamSquares, steps);
  at::_foreach_mul_(momenta, kAdamMomentum);
  at::_foreach_add_(momenta, gradients, scale * (1.0 - kAdamMomentum));
  at::_foreach_mul_(squares, kAdamSquares);
  at::_foreach_addcmul_(squares, gradients, gradients, scale * scale * (1.0 - kAdamSquares));
  std::vector<at::Tensor> roots = at::_foreach_sqrt(squares);
  at::_foreach_div_(roots, std::sqrt(square_bias));
  at::_foreach_add_(roots, kAdamEpsilon);
  at::_foreach_addcdiv_(values, momenta, roots,
                        -learning_rate_ / (1.0 - std::pow(kAdamMomentum, steps)));
}

}  // namespace penstock::train
