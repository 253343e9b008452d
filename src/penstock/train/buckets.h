// Which gradients are summed over the ranks together. Buckets are filled against the order of the
// forward pass, as gradients appear in the backward pass, and are summed in that order, so that all
// ranks start the same sums.
//
//   Buckets buckets(elements, job.first_bucket_bytes, job.bucket_bytes);
//   buckets.start_pass();
//   for (const Bucket& bucket : buckets.ready(tensor)) {     // whenever a gradient is there
//     collective.start_sum(buffer + bucket.offset, bucket.count);
//   }
//
// PyTorch's rule (torch/csrc/distributed/c10d/reducer.cpp, compute_bucket_assignment_by_size): a
// bucket is closed by the tensor that brings it to its size, and a tensor is never split.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace penstock::train {

// A range of the buffer that holds all gradients, in elements.
struct Bucket {
  std::int64_t offset = 0;
  std::int64_t count = 0;
  int first_tensor = 0;  // tensors first_tensor .. last_tensor, both included, in forward order
  int last_tensor = 0;
};

class Buckets {
 public:
  // `elements` of each gradient, in the order of the forward pass; 4 bytes each.
  Buckets(const std::vector<std::int64_t>& elements, std::int64_t first_bucket_bytes,
          std::int64_t bucket_bytes);

  const std::vector<Bucket>& buckets() const { return buckets_; }
  std::int64_t total_elements() const { return total_; }
  // Where a gradient lies in the buffer.
  std::int64_t offset(int tensor) const { return offsets_[static_cast<std::size_t>(tensor)]; }

  // Begins a backward pass: no gradient is ready.
  void start_pass();
  // A gradient has been written to the buffer. Gives the buckets that may be summed now: complete,
  // and all before them given earlier.
  std::span<const Bucket> ready(int tensor);
  // The buckets that this pass has not given yet; after a pass that reached every tensor, none.
  std::span<const Bucket> rest();

 private:
  std::vector<std::int64_t> offsets_;   // by tensor
  std::vector<std::size_t> bucket_of_;  // by tensor
  std::vector<Bucket> buckets_;
  std::int64_t total_ = 0;

  std::vector<bool> is_ready_;  // by tensor
  std::vector<int> missing_;    // by bucket: tensors that are not ready
  std::size_t given_ = 0;       // buckets
};

}  // namespace penstock::train
