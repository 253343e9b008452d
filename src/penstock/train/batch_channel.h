// Batches from a loader's process to a training process, through shared memory and in order.
//
//   PENSTOCK_TRY(BatchWriter writer, BatchWriter::create(path, {.batch = 32, .slots = 4}));
//   PENSTOCK_TRY(BatchSlot slot, writer.acquire());        // waits until a slot is free
//   ... fill slot.pixels and slot.labels ...
//   writer.publish(slot.samples);
//
//   PENSTOCK_TRY(BatchReader reader, BatchReader::open(path, Seconds(10)));
//   while (true) {
//     PENSTOCK_TRY(const std::optional<BatchView> batch, reader.next());  // waits
//     if (!batch) break;                                                  // the loader has ended
//     ... use it ...
//     reader.release();                                                   // its slot is free again
//   }
//
// A file mapped by both sides (in /dev/shm, as a rule), `slots` batches long, which bounds the
// memory. A side that dies is noticed by the other, which says so; the writer removes the file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::train {

// Float32 pixels [batch, channels, height, width], int32 labels [batch].
struct BatchShape {
  std::int32_t batch = 32;
  std::int32_t channels = 3;
  std::int32_t height = 224;
  std::int32_t width = 224;
  std::int32_t slots = 4;
};

struct BatchSlot {
  float* pixels = nullptr;
  std::int32_t* labels = nullptr;
};

struct BatchView {
  const float* pixels = nullptr;
  const std::int32_t* labels = nullptr;
  std::int32_t samples = 0;  // fewer than the batch only at the end of the data
  std::int64_t sequence = 0;
};

// What the loader has done so far, summed over its workers. Read at any time by the other side, for
// the estimate of what a wait was spent on.
struct LoaderCounters {
  std::int64_t samples = 0;
  std::int64_t bad_samples = 0;
  std::int64_t fetch_ns = 0;    // workers waiting for storage
  std::int64_t prep_ns = 0;     // workers decoding and transforming
  std::int64_t blocked_ns = 0;  // workers waiting for a free slot
  std::int64_t cpu_ns = 0;
  std::int64_t bytes = 0;       // of samples delivered
  std::int64_t disk_bytes = 0;  // of these, not from the loader's cache
  std::int32_t workers = 0;     // now
};

class BatchWriter {
 public:
  static Result<BatchWriter> create(const std::string& path, const BatchShape& shape);
  BatchWriter(BatchWriter&&) noexcept;
  BatchWriter& operator=(BatchWriter&&) noexcept;
  ~BatchWriter();  // closes, and removes the file
  // Waits for a free slot. Negative where the reader has gone. Several slots may be held at once;
  // they are published in the order of their acquisition.
  Result<BatchSlot> acquire();
  // The same, or nothing where no slot became free in time.
  Result<std::optional<BatchSlot>> acquire_for(Seconds patience);
  void publish(std::int32_t samples);  // the slot that has been held longest
  bool has_reader() const;             // one has opened the channel, whether or not it still lives
  bool reader_left() const;            // of its own will, as against a death
  void set_counters(const LoaderCounters& counters);
  void close();                           // no more batches
  void fail(const std::string& message);  // the reader's next() gives this error
  const BatchShape& shape() const;

 private:
  struct State;
  explicit BatchWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class BatchReader {
 public:
  // Waits up to `patience` for the writer to create the file.
  static Result<BatchReader> open(const std::string& path, Seconds patience);
  BatchReader(BatchReader&&) noexcept;
  BatchReader& operator=(BatchReader&&) noexcept;
  ~BatchReader();
  // Waits for the next batch; nothing at the end. One batch is held at a time.
  Result<std::optional<BatchView>> next();
  void release();
  LoaderCounters counters() const;
  const BatchShape& shape() const;

 private:
  struct State;
  explicit BatchReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace penstock::train
