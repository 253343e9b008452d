#include "penstock/train/step_loop.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "penstock/core/clock.h"
#include "penstock/train/buckets.h"

namespace penstock::train {
namespace {

// The part of a wait for data in which the loader waited for storage: as its workers split their
// time between storage and preparation meanwhile.
std::int64_t fetch_part(std::int64_t wait_ns, const LoaderCounters& before,
                        const LoaderCounters& after) {
  const auto fetch = static_cast<double>(after.fetch_ns - before.fetch_ns);
  const auto prep = static_cast<double>(after.prep_ns - before.prep_ns);
  if (fetch <= 0 || prep < 0) return 0;
  return static_cast<std::int64_t>(static_cast<double>(wait_ns) * fetch / (fetch + prep));
}

class StepLoop {
 public:
  StepLoop(const Job& job, const StepParts& parts)
      : job_(job),
        parts_(parts),
        is_summing_(parts.collective != nullptr && job.all_reduce),
        buckets_(parts.trainer->gradient_elements(), job.first_bucket_bytes, job.bucket_bytes) {}

  Status prepare() {
    if (parts_.reader != nullptr) {
      PENSTOCK_TRY_STATUS(parts_.trainer->accept(parts_.reader->shape()));
      last_ready_ = parts_.reader->counters();
    }
    if (is_summing_) {
      PENSTOCK_TRY(buffer_, parts_.trainer->gather_gradients(buckets_));
    }
    return {};
  }

  // Nothing at the end of the data.
  Result<std::optional<StepRecord>> step(std::int64_t index) {
    StepRecord record;
    record.index = index;
    record.samples = job_.batch;
    const std::int64_t sent = parts_.collective != nullptr ? parts_.collective->sent_bytes() : 0;
    const std::int64_t received =
        parts_.collective != nullptr ? parts_.collective->received_bytes() : 0;
    record.begin_ns = core::now_ns();
    PENSTOCK_TRY(const bool has_batch, load(record));
    if (!has_batch) return std::nullopt;
    PENSTOCK_TRY_STATUS(compute(record));
    PENSTOCK_TRY_STATUS(parts_.trainer->update(is_summing_ ? 1.0 / job_.world : 1.0));
    PENSTOCK_TRY_STATUS(parts_.trainer->synchronize());
    record.end_ns = core::now_ns();
    record.optimizer_ns = record.end_ns - summed_ns_;
    record.loss = parts_.trainer->loss();
    if (parts_.collective != nullptr) {
      record.sent_bytes = parts_.collective->sent_bytes() - sent;
      record.received_bytes = parts_.collective->received_bytes() - received;
    }
    return record;
  }

 private:
  Result<bool> load(StepRecord& record) {
    if (parts_.reader == nullptr) {
      PENSTOCK_TRY_STATUS(parts_.trainer->load_synthetic(record.index));
    } else {
      const LoaderCounters before = parts_.reader->counters();
      PENSTOCK_TRY(const std::optional<BatchView> batch, next_full_batch());
      if (!batch) return false;
      const std::int64_t wait_ns = core::now_ns() - record.begin_ns;
      const LoaderCounters after = parts_.reader->counters();
      // A short wait may see no counter move; then the time since the last batch tells.
      const bool has_moved = after.fetch_ns + after.prep_ns > before.fetch_ns + before.prep_ns;
      record.fetch_ns = fetch_part(wait_ns, has_moved ? before : last_ready_, after);
      record.bad_samples = after.bad_samples;
      last_ready_ = after;
      PENSTOCK_TRY_STATUS(parts_.trainer->load(*batch));
    }
    PENSTOCK_TRY_STATUS(parts_.trainer->synchronize());
    record.ready_ns = core::now_ns();
    if (parts_.reader != nullptr) parts_.reader->release();
    return true;
  }

  // Graphs are made for one batch size, so the short batch at the end of the data is left out.
  Result<std::optional<BatchView>> next_full_batch() {
    while (true) {
      PENSTOCK_TRY(std::optional<BatchView> batch, parts_.reader->next());
      if (!batch || batch->samples == job_.batch) return batch;
      parts_.reader->release();
    }
  }

  Status compute(StepRecord& record) {
    tickets_.clear();
    buckets_.start_pass();
    const std::int64_t taken = parts_.trainer->taken_ns();
    PENSTOCK_TRY_STATUS(parts_.trainer->forward());
    const std::int64_t forward_end = core::now_ns();
    record.forward_ns = forward_end - record.ready_ns;
    const bool is_overlapping = is_summing_ && job_.overlap;
    PENSTOCK_TRY_STATUS(parts_.trainer->backward([&](int tensor) {
      if (is_overlapping) start_sums(buckets_.ready(tensor));
    }));
    PENSTOCK_TRY_STATUS(parts_.trainer->synchronize());
    const std::int64_t backward_end = core::now_ns();
    record.backward_ns = backward_end - forward_end;
    // Two clocks are read one after the other, which may show as less than nothing.
    record.transport_ns = std::max<std::int64_t>(0, parts_.trainer->taken_ns() - taken);
    summed_ns_ = backward_end;
    if (!is_summing_) return {};
    // Without overlap all of them; with it those of tensors that the pass did not reach.
    start_sums(buckets_.rest());
    for (const std::int64_t ticket : tickets_) {
      PENSTOCK_TRY_STATUS(parts_.collective->wait(ticket));
    }
    PENSTOCK_TRY_STATUS(parts_.trainer->synchronize());
    summed_ns_ = core::now_ns();
    record.exposed_ns = summed_ns_ - backward_end;
    return {};
  }

  void start_sums(std::span<const Bucket> buckets) {
    for (const Bucket& bucket : buckets) {
      tickets_.push_back(parts_.collective->start_sum(buffer_ + bucket.offset,
                                                      static_cast<std::size_t>(bucket.count)));
    }
  }

  const Job& job_;
  const StepParts& parts_;
  bool is_summing_;
  Buckets buckets_;
  float* buffer_ = nullptr;
  std::vector<std::int64_t> tickets_;
  std::int64_t summed_ns_ = 0;  // when the last pass's gradients were ready for the update
  LoaderCounters last_ready_;   // when the last batch came
};

}  // namespace

Status run_steps(const Job& job, const StepParts& parts,
                 const std::function<void(const StepRecord&)>& report) {
  StepLoop loop(job, parts);
  PENSTOCK_TRY_STATUS(loop.prepare());
  for (std::int64_t index = 0; index < job.warmup + job.steps; ++index) {
    if (index == job.warmup && parts.collective != nullptr) {
      PENSTOCK_TRY_STATUS(parts.collective->barrier());
    }
    PENSTOCK_TRY(const std::optional<StepRecord> record, loop.step(index));
    if (!record) break;
    report(*record);
  }
  return {};
}

}  // namespace penstock::train
