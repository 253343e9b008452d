#include "penstock/loader/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "penstock/core/check.h"
#include "penstock/core/clock.h"
#include "penstock/loader/internal/order.h"
#include "penstock/loader/reading.h"

namespace penstock::loader {
namespace {

constexpr Seconds kSlotPatience{0.1};    // between two looks whether to stop
constexpr int kMostReplacements = 1000;  // of one sample
constexpr std::size_t kNamedBad = 5;

// One worker's share of the counters; only the worker writes, anyone reads.
struct Tally {
  std::atomic<std::int64_t> samples{0};
  std::atomic<std::int64_t> bad_samples{0};
  std::atomic<std::int64_t> fetch_ns{0};
  std::atomic<std::int64_t> prep_ns{0};
  std::atomic<std::int64_t> blocked_ns{0};
  std::atomic<std::int64_t> cpu_ns{0};
  std::atomic<std::int64_t> bytes{0};
  std::atomic<std::int64_t> disk_bytes{0};

  static void add(std::atomic<std::int64_t>& to, std::int64_t value) {
    to.store(to.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
  }
  void add_to(train::LoaderCounters& sum) const {
    sum.samples += samples.load(std::memory_order_relaxed);
    sum.bad_samples += bad_samples.load(std::memory_order_relaxed);
    sum.fetch_ns += fetch_ns.load(std::memory_order_relaxed);
    sum.prep_ns += prep_ns.load(std::memory_order_relaxed);
    sum.blocked_ns += blocked_ns.load(std::memory_order_relaxed);
    sum.cpu_ns += cpu_ns.load(std::memory_order_relaxed);
    sum.bytes += bytes.load(std::memory_order_relaxed);
    sum.disk_bytes += disk_bytes.load(std::memory_order_relaxed);
  }
};

struct Worker {
  std::thread thread;
  Tally tally;
  std::atomic<bool> retired{false};
};

// A batch between the acquisition of its slot and its publication.
struct OpenBatch {
  train::BatchSlot slot;
  std::int32_t samples = 0;  // that it will have
  std::int32_t missing = 0;
};

// A sample that a worker has taken on.
struct Claim {
  Ticket ticket;
  std::int64_t batch = 0;
  train::BatchSlot slot;
  std::int32_t place = 0;
  CachedBytes cached;  // else its read is pending
};

}  // namespace

Result<CachePolicy> parse_cache_policy(const std::string& text) {
  for (const CachePolicy policy :
       {CachePolicy::kNone, CachePolicy::kPage, CachePolicy::kMinio, CachePolicy::kLru}) {
    if (text == to_text(policy)) return policy;
  }
  return core::input_error("--cache", "\"" + text + "\" is no cache",
                           "use none, page, minio or lru");
}

std::string to_text(CachePolicy policy) {
  switch (policy) {
    case CachePolicy::kNone:
      return "none";
    case CachePolicy::kPage:
      return "page";
    case CachePolicy::kMinio:
      return "minio";
    case CachePolicy::kLru:
      return "lru";
  }
  return "";
}

MemorySink::MemorySink(const train::BatchShape& shape, Consumer consumer)
    : shape_(shape), consumer_(std::move(consumer)) {
  const auto batch = static_cast<std::size_t>(shape.batch);
  const auto pixels = batch * static_cast<std::size_t>(shape.channels) *
                      static_cast<std::size_t>(shape.height) *
                      static_cast<std::size_t>(shape.width);
  pixels_.assign(static_cast<std::size_t>(shape.slots), std::vector<float>(pixels));
  labels_.assign(static_cast<std::size_t>(shape.slots), std::vector<std::int32_t>(batch));
}

Result<std::optional<train::BatchSlot>> MemorySink::acquire_for(Seconds /*patience*/) {
  // A published batch has been consumed, so slots are only short while the caller holds them all.
  if (acquired_ - std::atomic_ref<std::int64_t>(published_).load() >= shape_.slots) {
    return std::nullopt;
  }
  const auto at = static_cast<std::size_t>(acquired_++ % shape_.slots);
  return train::BatchSlot{pixels_[at].data(), labels_[at].data()};
}

void MemorySink::publish(std::int32_t samples, const train::LoaderCounters& /*counters*/) {
  const auto at = static_cast<std::size_t>(published_ % shape_.slots);
  consumer_({pixels_[at].data(), labels_[at].data(), samples, published_});
  std::atomic_ref<std::int64_t>(published_).fetch_add(1);
}

struct Pipeline::State {
  const Dataset& data;
  const PipelineOptions options;
  BatchSink& sink;
  const train::BatchShape shape;
  const std::int64_t sample_floats;
  std::int64_t end = 0;  // of the stream; 0: none
  std::int64_t allowed_bad = 0;
  std::unique_ptr<SampleCache> cache;
  std::shared_ptr<DiskLimit> limit;

  mutable std::mutex mutex;
  std::condition_variable changed;
  SampleOrder order;
  std::int64_t next_stream = 0;
  std::int64_t epoch = 0;
  std::deque<OpenBatch> open;  // the first is batch number `published`
  std::int64_t published = 0;
  bool acquiring = false;                  // a worker waits for a slot
  std::map<std::string, std::string> bad;  // by name; the reason
  std::optional<Error> failure;
  bool finished = false;
  std::atomic<bool> stopping{false};
  train::LoaderCounters past;  // of the workers that are gone
  std::atomic<bool> io_uring{false};

  std::mutex resizing;  // one at a time; never taken by a worker
  std::vector<std::unique_ptr<Worker>> workers;

  State(const Dataset& dataset, const PipelineOptions& wanted, BatchSink& to)
      : data(dataset),
        options(wanted),
        sink(to),
        shape(to.shape()),
        sample_floats(std::int64_t{3} * shape.height * shape.width),
        order(static_cast<std::int64_t>(dataset.samples().size()), wanted.seed, wanted.rank,
              wanted.world) {
    if (options.epochs > 0) end = options.epochs * order.per_epoch();
    allowed_bad = static_cast<std::int64_t>(
        std::ceil(options.max_bad * static_cast<double>(data.samples().size())));
    if (options.cache == CachePolicy::kMinio) cache = make_minio_cache(options.cache_size);
    if (options.cache == CachePolicy::kLru) cache = make_lru_cache(options.cache_size);
    if (options.disk_limit.value() > 0) limit = std::make_shared<DiskLimit>(options.disk_limit);
  }

  ReadOptions read_options() const {
    const bool direct = options.cache != CachePolicy::kPage;
    return {.direct = direct, .depth = direct ? options.read_ahead : 1, .limit = limit};
  }
  bool is_over() const { return finished || failure || stopping; }
  std::int64_t claimed_batches() const {
    return published + static_cast<std::int64_t>(open.size());
  }

  std::optional<Claim> claim(const Worker& worker, bool wait, Tally& tally);
  bool has_slot(std::unique_lock<std::mutex>& lock);
  void complete(const Claim& claim);
  void note_bad(std::int64_t sample, const std::string& reason);
  void fail(const tl::unexpected<Error>& error);
  void work(Worker& worker);
  void add_worker();
  train::LoaderCounters counters_locked() const;
};

// Makes sure that the next sample's batch has a slot, or returns false after a while without one.
bool Pipeline::State::has_slot(std::unique_lock<std::mutex>& lock) {
  if (next_stream / shape.batch < claimed_batches()) return true;
  if (acquiring || static_cast<std::int32_t>(open.size()) >= shape.slots) {
    changed.wait_for(lock, std::chrono::milliseconds(100));
    return false;
  }
  acquiring = true;
  lock.unlock();
  Result<std::optional<train::BatchSlot>> slot = sink.acquire_for(kSlotPatience);
  lock.lock();
  acquiring = false;
  if (!slot) {
    if (!failure) failure = slot.error();
  } else if (*slot) {
    const std::int64_t first = claimed_batches() * shape.batch;
    const std::int64_t left = end == 0 ? shape.batch : end - first;
    const auto samples = static_cast<std::int32_t>(std::min<std::int64_t>(shape.batch, left));
    open.push_back({**slot, samples, samples});
  }
  changed.notify_all();
  return slot && *slot;
}

// The next sample, or nothing: at the end, when this worker is to go, or, without `wait`, where no
// slot is free at once.
std::optional<Claim> Pipeline::State::claim(const Worker& worker, bool wait, Tally& tally) {
  std::unique_lock lock(mutex);
  const std::int64_t from = core::now_ns();
  for (;;) {
    if (is_over() || worker.retired || (end != 0 && next_stream == end)) return std::nullopt;
    if (next_stream / shape.batch < claimed_batches()) break;
    if (!wait) return std::nullopt;
    has_slot(lock);
  }
  Tally::add(tally.blocked_ns, core::now_ns() - from);
  const Ticket ticket = order.next();
  epoch = ticket.epoch;
  ++next_stream;
  const std::int64_t batch = ticket.stream / shape.batch;
  return Claim{ticket, batch, open[static_cast<std::size_t>(batch - published)].slot,
               static_cast<std::int32_t>(ticket.stream % shape.batch), nullptr};
}

train::LoaderCounters Pipeline::State::counters_locked() const {
  train::LoaderCounters sum = past;
  for (const auto& worker : workers) {
    worker->tally.add_to(sum);
    if (!worker->retired) ++sum.workers;
  }
  return sum;
}

void Pipeline::State::complete(const Claim& claim) {
  const std::lock_guard lock(mutex);
  --open[static_cast<std::size_t>(claim.batch - published)].missing;
  bool is_published = false;
  while (!open.empty() && open.front().missing == 0) {
    sink.publish(open.front().samples, counters_locked());
    open.pop_front();
    ++published;
    is_published = true;
  }
  if (end != 0 && published * shape.batch >= end) finished = true;
  if (is_published) changed.notify_all();
}

void Pipeline::State::fail(const tl::unexpected<Error>& error) {
  const std::lock_guard lock(mutex);
  if (!failure) failure = error.value();
  changed.notify_all();
}

void Pipeline::State::note_bad(std::int64_t sample, const std::string& reason) {
  const std::string name = data.name(sample);
  const std::lock_guard lock(mutex);
  bad.emplace(name, reason);
  const auto count = static_cast<std::int64_t>(bad.size());
  if (count <= allowed_bad || failure) return;
  std::string names;
  for (const auto& [file, why] : bad) {
    if (!names.empty()) names += "; ";
    names += file + ": " + why;
    if (names.size() > 400) break;
  }
  failure = core::negative(data.root(),
                           fmt::format("{} of {} images are bad, more than {} are not accepted: {}",
                                       count, data.samples().size(), allowed_bad, names),
                           "mend or remove them, or raise --max-bad")
                .value();
  changed.notify_all();
}

namespace {

// What one worker has of its own.
class SampleWork {
 public:
  SampleWork(const Dataset& data, const PipelineOptions& options, const ReadOptions& read,
             SampleCache* cache, Tally& tally)
      : data_(data),
        options_(options),
        cache_(cache),
        tally_(tally),
        reader_(data, read),
        decoder_(options.image),
        cpu_ns_(core::clock_ns(CLOCK_THREAD_CPUTIME_ID)) {}

  bool uses_io_uring() const { return reader_.uses_io_uring(); }

  void begin(Claim& claim) {
    if (cache_ != nullptr) claim.cached = cache_->find(claim.ticket.sample);
    if (!claim.cached) reader_.start(claim.ticket.sample);
  }

  // Fills the claim's place; the reason where the sample is bad.
  Status finish(const Claim& claim, std::int64_t sample, float* pixels) {
    std::span<const std::uint8_t> bytes;
    if (claim.cached) {
      bytes = *claim.cached;
    } else {
      const std::int64_t from = core::now_ns();
      const Result<SampleBytes> read = reader_.finish();
      Tally::add(tally_.fetch_ns, core::now_ns() - from);
      if (!read) return core::fail(read.error());
      bytes = read->bytes;
      Tally::add(tally_.disk_bytes, read->disk_bytes);
      if (cache_ != nullptr) cache_->offer(sample, bytes);
    }
    Tally::add(tally_.bytes, static_cast<std::int64_t>(bytes.size()));
    const std::int64_t from = core::now_ns();
    Status status = transform(claim.ticket.epoch, sample, bytes, pixels);
    Tally::add(tally_.prep_ns, core::now_ns() - from);
    return status;
  }

  void count_sample() {
    Tally::add(tally_.samples, 1);
    const std::int64_t cpu = core::clock_ns(CLOCK_THREAD_CPUTIME_ID);
    Tally::add(tally_.cpu_ns, cpu - cpu_ns_);
    cpu_ns_ = cpu;
  }

 private:
  Status transform(std::int64_t epoch, std::int64_t sample, std::span<const std::uint8_t> bytes,
                   float* pixels) {
    PENSTOCK_TRY(const ImageSize size, decoder_.open(bytes));
    core::RandomStream random(options_.seed, fmt::format("augment {} {}", epoch, sample));
    return decoder_.decode(random_resized_crop(size, random), pixels);
  }

  const Dataset& data_;
  const PipelineOptions& options_;
  SampleCache* cache_;
  Tally& tally_;
  SampleReader reader_;
  ImageDecoder decoder_;
  std::int64_t cpu_ns_;
};

}  // namespace

void Pipeline::State::work(Worker& worker) {
  SampleWork stream(data, options, read_options(), cache.get(), worker.tally);
  std::optional<SampleWork> aside;  // replacements must not disturb the reads in flight
  io_uring = stream.uses_io_uring();
  std::deque<Claim> claims;
  const auto depth = static_cast<std::size_t>(read_options().depth);
  for (;;) {
    while (claims.size() < depth) {
      std::optional<Claim> next = claim(worker, claims.empty(), worker.tally);
      if (!next) break;
      stream.begin(*next);
      claims.push_back(std::move(*next));
    }
    if (claims.empty() || stopping) return;
    const Claim claim = std::move(claims.front());
    claims.pop_front();
    std::int64_t sample = claim.ticket.sample;
    float* pixels = claim.slot.pixels + claim.place * sample_floats;
    Status status = stream.finish(claim, sample, pixels);
    for (int attempt = 0; !status; ++attempt) {
      Tally::add(worker.tally.bad_samples, 1);
      note_bad(sample, status.error().message);
      if (attempt == kMostReplacements) {
        return fail(
            core::negative(data.root(), "no good image stands in for " + data.name(sample)));
      }
      {
        const std::lock_guard lock(mutex);
        if (is_over()) return;
      }
      if (!aside) aside.emplace(data, options, read_options(), cache.get(), worker.tally);
      sample = replacement_for(claim.ticket, options.seed, attempt,
                               static_cast<std::int64_t>(data.samples().size()));
      Claim other = claim;
      other.ticket.sample = sample;
      other.cached = nullptr;
      aside->begin(other);
      status = aside->finish(other, sample, pixels);
    }
    claim.slot.labels[claim.place] = data.samples()[static_cast<std::size_t>(sample)].label;
    stream.count_sample();
    complete(claim);
  }
}

void Pipeline::State::add_worker() {
  auto worker = std::make_unique<Worker>();
  Worker& added = *worker;
  {
    const std::lock_guard lock(mutex);
    workers.push_back(std::move(worker));
  }
  added.thread = std::thread([this, &added] {
    try {
      work(added);
    } catch (const std::exception& e) {  // out of memory
      fail(core::missing_error("loader", std::string("a worker failed: ") + e.what(),
                               "use fewer workers or a smaller cache"));
    }
  });
}

Result<std::unique_ptr<Pipeline>> Pipeline::start(const Dataset& data,
                                                  const PipelineOptions& options, BatchSink& sink) {
  const auto samples = static_cast<std::int64_t>(data.samples().size());
  if (options.world < 1 || options.rank < 0 || options.rank >= options.world) {
    return core::input_error("--rank",
                             fmt::format("{} of {} is no rank", options.rank, options.world),
                             "ranks count from 0 to --world less one");
  }
  if (samples < options.world) {
    return core::input_error(
        data.root(), fmt::format("{} images are too few for {} ranks", samples, options.world));
  }
  const train::BatchShape shape = sink.shape();
  PENSTOCK_CHECK(shape.channels == 3);
  PENSTOCK_CHECK(shape.height == options.image.size);
  PENSTOCK_CHECK(shape.width == options.image.size);
  auto pipeline =
      std::unique_ptr<Pipeline>(new Pipeline(std::make_unique<State>(data, options, sink)));
  pipeline->set_workers(std::max(1, options.workers));
  return pipeline;
}

Pipeline::Pipeline(std::unique_ptr<State> state) : state_(std::move(state)) {}

Pipeline::~Pipeline() { stop(); }

void Pipeline::set_workers(int wanted) {
  State& s = *state_;
  const std::lock_guard resize(s.resizing);
  const auto count = static_cast<std::size_t>(std::max(1, wanted));
  while (s.workers.size() < count) s.add_worker();
  {
    const std::lock_guard lock(s.mutex);
    for (std::size_t i = count; i < s.workers.size(); ++i) s.workers[i]->retired = true;
    s.changed.notify_all();
  }
  while (s.workers.size() > count) {
    s.workers.back()->thread.join();
    const std::lock_guard lock(s.mutex);
    s.workers.back()->tally.add_to(s.past);
    s.workers.pop_back();
  }
}

PipelineState Pipeline::state() const {
  const State& s = *state_;
  PipelineState state;
  if (s.cache) state.cache = s.cache->counters();
  state.io_uring = s.io_uring;
  const std::lock_guard lock(s.mutex);
  state.counters = s.counters_locked();
  state.epoch = s.epoch;
  state.bad_files = static_cast<std::int64_t>(s.bad.size());
  for (const auto& [name, reason] : s.bad) {
    if (state.bad.size() == kNamedBad) break;
    state.bad.push_back(name + ": " + reason);
  }
  return state;
}

std::optional<Status> Pipeline::wait_for(Seconds patience) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  s.changed.wait_for(lock, std::chrono::duration<double>(patience.value()),
                     [&s] { return s.is_over(); });
  if (s.failure) return Status(core::fail(*s.failure));
  if (s.is_over()) return Status();
  return std::nullopt;
}

Status Pipeline::wait() {
  for (;;) {
    if (const std::optional<Status> outcome = wait_for(Seconds(3600))) return *outcome;
  }
}

void Pipeline::stop() {
  State& s = *state_;
  const std::lock_guard resize(s.resizing);
  {
    const std::lock_guard lock(s.mutex);
    s.stopping = true;
    s.changed.notify_all();
  }
  for (const auto& worker : s.workers) {
    if (worker->thread.joinable()) worker->thread.join();
  }
  const std::lock_guard lock(s.mutex);
  for (const auto& worker : s.workers) worker->tally.add_to(s.past);
  s.workers.clear();
}

}  // namespace penstock::loader
