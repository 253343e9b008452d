#include "penstock/train/buckets.h"

#include "penstock/core/check.h"

namespace penstock::train {

Buckets::Buckets(const std::vector<std::int64_t>& elements, std::int64_t first_bucket_bytes,
                 std::int64_t bucket_bytes)
    : offsets_(elements.size()), bucket_of_(elements.size()), is_ready_(elements.size()) {
  bool is_open = false;
  for (std::size_t left = elements.size(); left > 0; --left) {
    const std::size_t tensor = left - 1;
    if (!is_open) {
      buckets_.push_back({.offset = total_, .count = 0, .last_tensor = static_cast<int>(tensor)});
      missing_.push_back(0);
    }
    Bucket& bucket = buckets_.back();
    offsets_[tensor] = total_;
    bucket_of_[tensor] = buckets_.size() - 1;
    bucket.first_tensor = static_cast<int>(tensor);
    bucket.count += elements[tensor];
    total_ += elements[tensor];
    const std::int64_t limit = buckets_.size() == 1 ? first_bucket_bytes : bucket_bytes;
    is_open = bucket.count * static_cast<std::int64_t>(sizeof(float)) < limit;
  }
  start_pass();
}

void Buckets::start_pass() {
  is_ready_.assign(is_ready_.size(), false);
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    missing_[b] = buckets_[b].last_tensor - buckets_[b].first_tensor + 1;
  }
  given_ = 0;
}

std::span<const Bucket> Buckets::ready(int tensor) {
  const auto at = static_cast<std::size_t>(tensor);
  PENSTOCK_CHECK(at < is_ready_.size());
  PENSTOCK_CHECK(!is_ready_[at]);
  is_ready_[at] = true;
  --missing_[bucket_of_[at]];
  const std::size_t first = given_;
  while (given_ < buckets_.size() && missing_[given_] == 0) ++given_;
  return std::span(buckets_).subspan(first, given_ - first);
}

std::span<const Bucket> Buckets::rest() {
  const std::size_t first = given_;
  given_ = buckets_.size();
  return std::span(buckets_).subspan(first);
}

}  // namespace penstock::train
