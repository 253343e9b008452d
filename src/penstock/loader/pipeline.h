// The loader: workers that read, decode and transform samples into batches, in an order that
// depends on the seed alone.
//
//   MemorySink sink({.batch = 32}, [](const train::BatchView& batch) { ... });
//   PENSTOCK_TRY(const std::unique_ptr<Pipeline> pipeline,
//                Pipeline::start(data, {.workers = 4, .epochs = 1}, sink));
//   pipeline->set_workers(2);                 // at any time, without a restart
//   PENSTOCK_TRY_STATUS(pipeline->wait());    // until the end of the data
//
// The order of an epoch is a permutation drawn from (seed, epoch), a sample's augmentation from
// (seed, epoch, sample); neither knows of workers. Workers take single samples and write straight
// into the slot of the batch that they belong to, so a slow sample holds nobody up; batches leave
// in order, and the sink's slots bound the memory.
//
// A sample that cannot be read or decoded is counted and replaced by another one, drawn from (seed,
// epoch, sample); too many different ones end the run, by name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/loader/cache.h"
#include "penstock/loader/dataset.h"
#include "penstock/loader/images.h"
#include "penstock/train/batch_channel.h"

namespace penstock::loader {

enum class CachePolicy {
  kNone,   // direct reads, nothing kept
  kPage,   // buffered reads: the kernel's page cache
  kMinio,  // direct reads, our own cache that never evicts
  kLru,    // direct reads, our own cache that evicts the least recently used
};
Result<CachePolicy> parse_cache_policy(const std::string& text);
std::string to_text(CachePolicy policy);

struct PipelineOptions {
  int workers = 1;
  std::int64_t epochs = 0;  // 0: for ever
  std::uint64_t seed = 0;
  int rank = 0;  // takes every world-th sample of an epoch; the remainder is left out
  int world = 1;
  ImageOptions image;
  CachePolicy cache = CachePolicy::kPage;
  Bytes cache_size;       // of kMinio and kLru
  Bandwidth disk_limit;   // 0: none
  double max_bad = 0.01;  // of the samples, rounded up; more different bad ones are an error
  int read_ahead = 4;     // reads that a worker has in flight, of direct ones
};

// Where batches go.
class BatchSink {
 public:
  virtual ~BatchSink() = default;
  virtual train::BatchShape shape() const = 0;
  // A free slot, or nothing within `patience`. Slots are published in the order of acquisition.
  virtual Result<std::optional<train::BatchSlot>> acquire_for(Seconds patience) = 0;
  virtual void publish(std::int32_t samples, const train::LoaderCounters& counters) = 0;
};

// To another process.
class ChannelSink : public BatchSink {
 public:
  explicit ChannelSink(train::BatchWriter& writer) : writer_(writer) {}
  train::BatchShape shape() const override { return writer_.shape(); }
  Result<std::optional<train::BatchSlot>> acquire_for(Seconds patience) override {
    return writer_.acquire_for(patience);
  }
  void publish(std::int32_t samples, const train::LoaderCounters& counters) override {
    writer_.set_counters(counters);
    writer_.publish(samples);
  }

 private:
  train::BatchWriter& writer_;
};

// To a function, which is called with one batch at a time, in order.
class MemorySink : public BatchSink {
 public:
  using Consumer = std::function<void(const train::BatchView&)>;
  MemorySink(const train::BatchShape& shape, Consumer consumer);
  train::BatchShape shape() const override { return shape_; }
  Result<std::optional<train::BatchSlot>> acquire_for(Seconds patience) override;
  void publish(std::int32_t samples, const train::LoaderCounters& counters) override;

 private:
  train::BatchShape shape_;
  Consumer consumer_;
  std::vector<std::vector<float>> pixels_;
  std::vector<std::vector<std::int32_t>> labels_;
  std::int64_t acquired_ = 0;
  std::int64_t published_ = 0;
};

struct PipelineState {
  train::LoaderCounters counters;
  CacheCounters cache;
  std::int64_t epoch = 0;        // of the sample taken last
  std::vector<std::string> bad;  // the first ones: "name: reason"
  std::int64_t bad_files = 0;    // different ones
  bool io_uring = false;         // whether reads go through it
};

class Pipeline {
 public:
  // `data` and `sink` must outlive the pipeline.
  static Result<std::unique_ptr<Pipeline>> start(const Dataset& data,
                                                 const PipelineOptions& options, BatchSink& sink);
  ~Pipeline();  // stops
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  void set_workers(int workers);  // at least 1; returns when those removed have ended
  PipelineState state() const;
  // Waits until the data have ended, at most `patience`; then the outcome.
  std::optional<Status> wait_for(Seconds patience);
  Status wait();
  void stop();  // ends the workers where they are

 private:
  struct State;
  explicit Pipeline(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace penstock::loader
