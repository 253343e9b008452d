#include "penstock/train/worker/emulated_trainer.h"

#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <limits>
#include <utility>

#include "penstock/core/clock.h"

namespace penstock::train {

SleepClock monotonic_clock() {
  // Linux delays timers of normal threads by up to 50 us to gather them; 1 ns is the least.
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  SleepClock clock;
  clock.now_ns = [] { return static_cast<double>(core::now_ns()); };
  clock.wait_until = [](double deadline_ns) {
    core::wait_until_ns(static_cast<std::int64_t>(deadline_ns));
  };
  return clock;
}

EmulatedTrainer::EmulatedTrainer(const EmulatedAccelerator& accelerator, SleepClock clock)
    : clock_(std::move(clock)),
      forward_ns_(accelerator.forward.value() * 1e9),
      backward_ns_(accelerator.backward.value() * 1e9) {
  for (const std::int64_t bytes : accelerator.gradient_bytes) {
    elements_.push_back(bytes / static_cast<std::int64_t>(sizeof(float)));
  }
}

Result<float*> EmulatedTrainer::gather_gradients(const Buckets& buckets) {
  buffer_.assign(static_cast<std::size_t>(buckets.total_elements()), 0.0F);
  return buffer_.data();
}

Status EmulatedTrainer::accept(const BatchShape& /*shape*/) { return {}; }
Status EmulatedTrainer::load(const BatchView& /*batch*/) { return {}; }
Status EmulatedTrainer::load_synthetic(std::int64_t /*index*/) { return {}; }

Status EmulatedTrainer::forward() {
  busy(forward_ns_);
  return {};
}

Status EmulatedTrainer::backward(const std::function<void(int tensor)>& ready) {
  if (elements_.empty()) busy(backward_ns_);
  for (std::size_t left = elements_.size(); left > 0; --left) {
    busy(backward_ns_ / static_cast<double>(elements_.size()));
    ready(static_cast<int>(left - 1));
  }
  return {};
}

Status EmulatedTrainer::update(double /*scale*/) { return {}; }
Status EmulatedTrainer::synchronize() { return {}; }
double EmulatedTrainer::loss() { return std::numeric_limits<double>::quiet_NaN(); }

void EmulatedTrainer::busy(double ns) {
  const double begin = clock_.now_ns();
  const double wanted = ns - overrun_ns_;
  if (wanted > 0) clock_.wait_until(begin + wanted);
  overrun_ns_ = clock_.now_ns() - begin - wanted;
}

}  // namespace penstock::train
