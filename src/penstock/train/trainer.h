// What the step loop trains with: the seam between the loop and what computes.
//
// Implemented with libtorch (worker/torch_trainer.h) and by an emulated accelerator that keeps
// given times (worker/emulated_trainer.h).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "penstock/core/result.h"
#include "penstock/train/batch_channel.h"
#include "penstock/train/buckets.h"

namespace penstock::train {

class Trainer {
 public:
  virtual ~Trainer() = default;

  // Elements of each gradient, in the order of the forward pass.
  virtual std::vector<std::int64_t> gradient_elements() const = 0;
  // From now on a backward pass leaves the gradients in the buffer that this gives, each at its
  // offset; update() takes them from there. The buffer is the trainer's, where the transport can
  // reach it. Not called where nothing is summed.
  virtual Result<float*> gather_gradients(const Buckets& buckets) = 0;

  // Whether batches of this shape can be trained on.
  virtual Status accept(const BatchShape& shape) = 0;
  // Copies a batch to the device; the view may be released afterwards.
  virtual Status load(const BatchView& batch) = 0;
  // Likewise number `index` of the synthetic batches, which lie in host memory since the start.
  virtual Status load_synthetic(std::int64_t index) = 0;

  virtual Status forward() = 0;
  // Calls `ready` once for each gradient as soon as it is in the buffer; from any thread, but never
  // from two at once.
  virtual Status backward(const std::function<void(int tensor)>& ready) = 0;
  // One step of the optimizer, with the gradients times `scale`.
  virtual Status update(double scale) = 0;
  // Returns when the device has done what it was given.
  virtual Status synchronize() = 0;
  // Of the last forward pass; not a number where there is none.
  virtual double loss() = 0;

  // Processor time so far of this process's other threads, where they run on the very processors
  // that the calling thread computes with: what a transport takes from computing.
  virtual std::int64_t taken_ns() const { return 0; }
};

}  // namespace penstock::train
