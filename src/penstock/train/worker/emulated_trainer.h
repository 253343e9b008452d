// An accelerator that takes given times instead of computing: MLPerf Storage's rule, with gradients
// that appear evenly spread over the backward pass, the last one first.
//
//   EmulatedTrainer trainer(job.accelerator);
//
// Sleeps end at deadlines. What a sleep overruns is taken off the next one, so that no error adds
// up over the steps.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "penstock/train/job.h"
#include "penstock/train/trainer.h"

namespace penstock::train {

// Time in nanoseconds, and sleep until a time; a sleep may end late.
struct SleepClock {
  std::function<double()> now_ns;
  std::function<void(double deadline_ns)> wait_until;
};
SleepClock monotonic_clock();

class EmulatedTrainer : public Trainer {
 public:
  explicit EmulatedTrainer(const EmulatedAccelerator& accelerator,
                           SleepClock clock = monotonic_clock());

  std::vector<std::int64_t> gradient_elements() const override { return elements_; }
  Result<float*> gather_gradients(const Buckets& buckets) override;
  Status accept(const BatchShape& shape) override;
  Status load(const BatchView& batch) override;
  Status load_synthetic(std::int64_t index) override;
  Status forward() override;
  Status backward(const std::function<void(int tensor)>& ready) override;
  Status update(double scale) override;
  Status synchronize() override;
  double loss() override;

 private:
  void busy(double ns);

  SleepClock clock_;
  std::vector<std::int64_t> elements_;
  double forward_ns_;
  double backward_ns_;
  double overrun_ns_ = 0;
  std::vector<float> buffer_;
};

}  // namespace penstock::train
