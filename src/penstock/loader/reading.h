// Samples from storage, several reads in flight: io_uring with direct I/O where the kernel and the
// file system allow it, else pread.
//
//   SampleReader reader(data, {.direct = true, .depth = 4, .limit = limit});   // one a worker
//   reader.start(17);
//   reader.start(4);
//   PENSTOCK_TRY(const SampleBytes first, reader.finish());   // of sample 17
//
// Direct reads pass the page cache by, so that a cold epoch is cold; buffered ones use it, and
// count what they found in it (RWF_NOWAIT). A limit shared by the workers stands in for a slower
// disk.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/loader/dataset.h"

namespace penstock::loader {

// A disk of a given rate: reads queue, and each ends when its bytes have passed.
class DiskLimit {
 public:
  explicit DiskLimit(Bandwidth rate) : rate_(rate) {}
  // The time (CLOCK_MONOTONIC) at which a read of `bytes` that is asked for `now` may end.
  std::int64_t reserve(std::int64_t bytes, std::int64_t now_ns);

 private:
  const Bandwidth rate_;
  std::mutex mutex_;
  std::int64_t free_ns_ = 0;
};

struct ReadOptions {
  bool direct = false;
  bool io_uring = true;  // where it is there; only for direct reads
  int depth = 1;         // reads in flight
  std::shared_ptr<DiskLimit> limit = nullptr;
};

struct SampleBytes {
  std::int64_t sample = 0;
  std::span<const std::uint8_t> bytes;  // until the next finish()
  std::int64_t disk_bytes = 0;          // of these, not from the page cache
};

class SampleReader {
 public:
  SampleReader(const Dataset& data, const ReadOptions& options);
  SampleReader(SampleReader&&) noexcept;
  ~SampleReader();
  // Fewer than `depth` reads may be pending. Errors come with finish().
  void start(std::int64_t sample);
  // Waits for the read that was started first.
  Result<SampleBytes> finish();
  int pending() const;
  bool uses_io_uring() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Writes back and drops the page cache's copy of the data set's files; others' stay.
Status drop_page_cache(const Dataset& data);

}  // namespace penstock::loader
