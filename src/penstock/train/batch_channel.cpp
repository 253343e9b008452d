#include "penstock/train/batch_channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <ctime>
#include <thread>

#include "penstock/core/check.h"
#include "penstock/core/clock.h"
#include "penstock/core/interrupt.h"

namespace penstock::train {
namespace {

constexpr std::uint32_t kMagic = 0x31434250;  // "PBC1"
constexpr std::size_t kAlignment = 4096;      // of a slot, so that it may be page-locked
constexpr std::size_t kMessageBytes = 480;
// A waiter looks this often whether its peer still lives; a wake-up comes at once.
constexpr std::int64_t kLookNanoseconds = 50'000'000;

enum WriterState : std::uint32_t { kOpen, kClosed, kFailed };
enum ReaderState : std::uint32_t { kAwaited, kReading, kLeft };

// A sequence lock without a data race: a reader that sees a new value sees, by its release, the odd
// number before it too.
struct SharedCounters {
  std::atomic<std::uint32_t> sequence;
  std::atomic<std::int64_t> values[9];
};

// Only lock-free atomics are valid in memory that processes share.
struct Header {
  std::atomic<std::uint32_t> magic;  // written last
  BatchShape shape;
  std::atomic<std::int32_t> writer_pid;
  std::atomic<std::int32_t> reader_pid;
  std::atomic<std::uint32_t> writer_state;
  std::atomic<std::uint32_t> reader_state;
  alignas(64) std::atomic<std::int64_t> published;  // batches so far
  std::atomic<std::uint32_t> writer_event;          // the reader sleeps on it
  alignas(64) std::atomic<std::int64_t> released;
  std::atomic<std::uint32_t> reader_event;  // the writer sleeps on it
  alignas(64) SharedCounters counters;
  char message[kMessageBytes];
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

std::size_t rounded(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

std::size_t pixel_bytes(const BatchShape& shape) {
  return sizeof(float) * static_cast<std::size_t>(shape.batch) *
         static_cast<std::size_t>(shape.channels) * static_cast<std::size_t>(shape.height) *
         static_cast<std::size_t>(shape.width);
}
std::size_t label_bytes(const BatchShape& shape) {
  return sizeof(std::int32_t) * static_cast<std::size_t>(shape.batch);
}
// Pixels, then labels, then the number of samples.
std::size_t slot_bytes(const BatchShape& shape) {
  return rounded(pixel_bytes(shape) + label_bytes(shape) + sizeof(std::int32_t));
}
std::size_t file_bytes(const BatchShape& shape) {
  return rounded(sizeof(Header)) + slot_bytes(shape) * static_cast<std::size_t>(shape.slots);
}

bool is_sane(const BatchShape& shape) {
  const auto within = [](std::int32_t value, std::int32_t most) {
    return value >= 1 && value <= most;
  };
  return within(shape.batch, 1 << 16) && within(shape.channels, 1 << 8) &&
         within(shape.height, 1 << 14) && within(shape.width, 1 << 14) &&
         within(shape.slots, 1 << 12) && file_bytes(shape) < (std::size_t{1} << 42);
}

std::string reason() { return std::strerror(errno); }

void wake(std::atomic<std::uint32_t>& event) {
  event.fetch_add(1, std::memory_order_release);
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&event), FUTEX_WAKE, INT_MAX, nullptr,
            nullptr, 0);
}

void wait_for_change(std::atomic<std::uint32_t>& event, std::uint32_t seen,
                     std::int64_t nanoseconds) {
  const timespec limit = {.tv_sec = nanoseconds / 1'000'000'000,
                          .tv_nsec = nanoseconds % 1'000'000'000};
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&event), FUTEX_WAIT, seen, &limit, nullptr,
            0);
}

// Tells whether a process lives. A descriptor of the process is asked where the kernel gives one,
// because a number may be reused and a zombie still takes signals.
class Peer {
 public:
  Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  void watch(std::int32_t pid) {
    if (pid == pid_) return;
    pid_ = pid;
    descriptor_ = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    gone_ = descriptor_ < 0 && errno == ESRCH;
  }
  bool has_died() {
    if (pid_ == 0 || gone_) return gone_;
    if (descriptor_ >= 0) {
      pollfd query = {.fd = descriptor_, .events = POLLIN, .revents = 0};
      gone_ = ::poll(&query, 1, 0) > 0;
    } else {
      gone_ = ::kill(pid_, 0) != 0 && errno == ESRCH;
    }
    return gone_;
  }
  std::int32_t pid() const { return pid_; }

 private:
  std::int32_t pid_ = 0;
  int descriptor_ = -1;
  bool gone_ = false;
};

// The mapped file.
class Mapping {
 public:
  Mapping(void* address, std::size_t bytes)
      : address_(static_cast<char*>(address)), bytes_(bytes) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { ::munmap(address_, bytes_); }
  Header& header() const { return *reinterpret_cast<Header*>(address_); }
  char* slot(std::int64_t sequence) const {
    const BatchShape& shape = header().shape;
    return address_ + rounded(sizeof(Header)) +
           slot_bytes(shape) * static_cast<std::size_t>(sequence % shape.slots);
  }
  float* pixels(std::int64_t sequence) const { return reinterpret_cast<float*>(slot(sequence)); }
  std::int32_t* labels(std::int64_t sequence) const {
    return reinterpret_cast<std::int32_t*>(slot(sequence) + pixel_bytes(header().shape));
  }
  std::int32_t& samples(std::int64_t sequence) const {
    return labels(sequence)[header().shape.batch];
  }

 private:
  char* address_;
  std::size_t bytes_;
};

Result<std::unique_ptr<Mapping>> map_file(int descriptor, std::size_t bytes,
                                          const std::string& path) {
  void* address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (address == MAP_FAILED) {
    return core::missing_error(path, "the batch channel cannot be mapped: " + reason());
  }
  return std::make_unique<Mapping>(address, bytes);
}

// Nothing, or why `path` cannot become a channel: a living writer's, or no channel at all.
Status check_replaceable(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return {};
  alignas(Header) char bytes[sizeof(Header)];
  const ssize_t got = ::pread(descriptor, bytes, sizeof bytes, 0);
  ::close(descriptor);
  const auto* header = reinterpret_cast<const Header*>(bytes);
  if (got != static_cast<ssize_t>(sizeof bytes) || header->magic.load() != kMagic) {
    return core::input_error(path, "exists and is no batch channel", "name another path");
  }
  const std::int32_t pid = header->writer_pid.load();
  if (pid > 0 && ::kill(pid, 0) == 0) {
    return core::input_error(path, fmt::format("process {} already writes to this channel", pid),
                             "name another path");
  }
  return {};
}

}  // namespace

struct BatchWriter::State {
  std::string path;
  std::unique_ptr<Mapping> mapping;
  Peer reader;
  std::int64_t acquired = 0;
  BatchShape shape;

  Header& header() const { return mapping->header(); }
};

Result<BatchWriter> BatchWriter::create(const std::string& path, const BatchShape& shape) {
  if (!is_sane(shape)) {
    return core::input_error(
        path, fmt::format("a batch channel of {} x {} x {} x {}, {} slots, is "
                          "out of range",
                          shape.batch, shape.channels, shape.height, shape.width, shape.slots));
  }
  PENSTOCK_TRY_STATUS(check_replaceable(path));
  // Renamed when complete, so that a reader never sees half a header.
  const std::string temporary = fmt::format("{}.{}.partial", path, ::getpid());
  const int descriptor = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return core::missing_error(path, "the batch channel cannot be made: " + reason(),
                               "name a path in a writable folder, for example in /dev/shm");
  }
  const std::size_t bytes = file_bytes(shape);
  // Reserved now: a full memory file system would end us by a signal later.
  const int failure = ::posix_fallocate(descriptor, 0, static_cast<off_t>(bytes));
  if (failure != 0) {
    ::close(descriptor);
    ::unlink(temporary.c_str());
    return core::missing_error(path,
                               fmt::format("the batch channel needs {} here: {}",
                                           core::format_quantity(Bytes(static_cast<double>(bytes))),
                                           std::strerror(failure)),
                               "use fewer slots or a smaller batch, or name a path with room");
  }
  auto mapping = map_file(descriptor, bytes, path);
  ::close(descriptor);
  if (!mapping) {
    ::unlink(temporary.c_str());
    return core::fail(mapping.error());
  }
  auto* header = new (&(*mapping)->header()) Header{};
  header->shape = shape;
  header->writer_pid.store(::getpid());
  header->magic.store(kMagic, std::memory_order_release);
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const std::string why = reason();
    ::unlink(temporary.c_str());
    return core::missing_error(path, "the batch channel cannot be made: " + why);
  }
  auto state = std::make_unique<State>();
  state->path = path;
  state->mapping = std::move(*mapping);
  state->shape = shape;
  return BatchWriter(std::move(state));
}

BatchWriter::BatchWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
BatchWriter::BatchWriter(BatchWriter&&) noexcept = default;
BatchWriter& BatchWriter::operator=(BatchWriter&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
BatchWriter::~BatchWriter() {
  if (!state_) return;
  close();
  ::unlink(state_->path.c_str());
}

Result<std::optional<BatchSlot>> BatchWriter::acquire_for(Seconds patience) {
  Header& header = state_->header();
  const std::int64_t deadline = core::now_ns() + static_cast<std::int64_t>(patience.value() * 1e9);
  for (;;) {
    const std::uint32_t seen = header.reader_event.load(std::memory_order_acquire);
    if (header.reader_state.load(std::memory_order_acquire) == kLeft) {
      return core::negative(state_->path, "the reader of the batch channel has left");
    }
    if (state_->acquired - header.released.load(std::memory_order_acquire) < state_->shape.slots) {
      const std::int64_t sequence = state_->acquired++;
      return BatchSlot{state_->mapping->pixels(sequence), state_->mapping->labels(sequence)};
    }
    state_->reader.watch(header.reader_pid.load(std::memory_order_acquire));
    if (state_->reader.has_died()) {
      return core::negative(state_->path, fmt::format("process {}, which read the batch channel, "
                                                      "has died",
                                                      state_->reader.pid()));
    }
    const std::int64_t left = deadline - core::now_ns();
    if (left <= 0) return std::nullopt;
    wait_for_change(header.reader_event, seen, std::min(left, kLookNanoseconds));
  }
}

Result<BatchSlot> BatchWriter::acquire() {
  for (;;) {
    PENSTOCK_TRY(const std::optional<BatchSlot> slot, acquire_for(Seconds(1)));
    if (slot) return *slot;
    if (core::interrupted()) return core::negative(state_->path, "interrupted");
  }
}

void BatchWriter::publish(std::int32_t samples) {
  Header& header = state_->header();
  const std::int64_t sequence = header.published.load(std::memory_order_relaxed);
  PENSTOCK_CHECK(sequence < state_->acquired);
  state_->mapping->samples(sequence) = samples;
  header.published.store(sequence + 1, std::memory_order_release);
  wake(header.writer_event);
}

bool BatchWriter::has_reader() const {
  return state_->header().reader_state.load(std::memory_order_acquire) != kAwaited;
}

bool BatchWriter::reader_left() const {
  return state_->header().reader_state.load(std::memory_order_acquire) == kLeft;
}

void BatchWriter::set_counters(const LoaderCounters& c) {
  SharedCounters& shared = state_->header().counters;
  const std::int64_t values[] = {c.samples, c.bad_samples, c.fetch_ns,   c.prep_ns, c.blocked_ns,
                                 c.cpu_ns,  c.bytes,       c.disk_bytes, c.workers};
  const std::uint32_t sequence = shared.sequence.load(std::memory_order_relaxed);
  shared.sequence.store(sequence + 1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < std::size(values); ++i) {
    shared.values[i].store(values[i], std::memory_order_release);
  }
  shared.sequence.store(sequence + 2, std::memory_order_release);
}

void BatchWriter::close() {
  std::uint32_t open = kOpen;
  if (state_->header().writer_state.compare_exchange_strong(open, kClosed)) {
    wake(state_->header().writer_event);
  }
}

void BatchWriter::fail(const std::string& message) {
  Header& header = state_->header();
  if (header.writer_state.load() != kOpen) return;
  const std::size_t length = std::min(message.size(), kMessageBytes - 1);
  std::memcpy(header.message, message.data(), length);
  header.message[length] = '\0';
  header.writer_state.store(kFailed, std::memory_order_release);
  wake(header.writer_event);
}

const BatchShape& BatchWriter::shape() const { return state_->shape; }

struct BatchReader::State {
  std::string path;
  std::unique_ptr<Mapping> mapping;
  Peer writer;
  BatchShape shape;
  std::int64_t sequence = 0;  // of the next batch
  bool holds = false;

  Header& header() const { return mapping->header(); }
};

namespace {

// A channel's mapping, or nothing where there is none yet.
Result<std::unique_ptr<Mapping>> map_channel(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0 && errno == ENOENT) return nullptr;
  if (descriptor < 0) {
    return core::missing_error(path, "the batch channel cannot be opened: " + reason());
  }
  struct stat info = {};
  alignas(Header) char bytes[sizeof(Header)];
  const bool has_header =
      ::fstat(descriptor, &info) == 0 &&
      ::pread(descriptor, bytes, sizeof bytes, 0) == static_cast<ssize_t>(sizeof bytes);
  const auto* header = reinterpret_cast<const Header*>(bytes);
  if (!has_header || header->magic.load() != kMagic || !is_sane(header->shape) ||
      static_cast<std::size_t>(info.st_size) != file_bytes(header->shape)) {
    ::close(descriptor);
    return core::input_error(path, "is no batch channel of this version of Penstock",
                             "name the path that the loader was given");
  }
  auto mapping = map_file(descriptor, file_bytes(header->shape), path);
  ::close(descriptor);
  return mapping;
}

}  // namespace

Result<BatchReader> BatchReader::open(const std::string& path, Seconds patience) {
  const std::int64_t deadline = core::now_ns() + static_cast<std::int64_t>(patience.value() * 1e9);
  std::unique_ptr<Mapping> mapping;
  for (;;) {
    PENSTOCK_TRY(mapping, map_channel(path));
    if (mapping) break;
    if (core::interrupted()) return core::negative(path, "interrupted");
    if (core::now_ns() >= deadline) {
      return core::missing_error(
          path, "no loader has made this batch channel within " + core::format_quantity(patience),
          "start penstock load run with --channel " + path);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  Header& header = mapping->header();
  std::int32_t nobody = 0;
  if (!header.reader_pid.compare_exchange_strong(nobody, ::getpid())) {
    return core::input_error(path, fmt::format("process {} already reads this channel", nobody),
                             "give each reader a loader of its own");
  }
  header.reader_state.store(kReading, std::memory_order_release);
  auto state = std::make_unique<State>();
  state->path = path;
  state->shape = header.shape;
  state->mapping = std::move(mapping);
  state->writer.watch(header.writer_pid.load());
  return BatchReader(std::move(state));
}

BatchReader::BatchReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
BatchReader::BatchReader(BatchReader&&) noexcept = default;
BatchReader& BatchReader::operator=(BatchReader&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
BatchReader::~BatchReader() {
  if (!state_) return;
  state_->header().reader_state.store(kLeft, std::memory_order_release);
  wake(state_->header().reader_event);
}

Result<std::optional<BatchView>> BatchReader::next() {
  PENSTOCK_CHECK(!state_->holds);
  Header& header = state_->header();
  const std::int64_t wanted = state_->sequence;
  for (bool writer_died = false;;) {
    const std::uint32_t seen = header.writer_event.load(std::memory_order_acquire);
    // The state before the count: what a writer published before it closed is still delivered.
    const std::uint32_t writer_state = header.writer_state.load(std::memory_order_acquire);
    if (header.published.load(std::memory_order_acquire) != wanted) {
      state_->holds = true;
      return BatchView{state_->mapping->pixels(wanted), state_->mapping->labels(wanted),
                       state_->mapping->samples(wanted), state_->sequence++};
    }
    if (writer_state == kClosed) return std::nullopt;
    if (writer_state == kFailed) {
      return core::negative(state_->path, fmt::format("the loader failed: {}", header.message));
    }
    if (writer_died) {
      return core::negative(state_->path, fmt::format("process {}, which loads the data, has died",
                                                      state_->writer.pid()));
    }
    // Looks once more after the death, for what was published just before it.
    writer_died = state_->writer.has_died();
    if (writer_died) continue;
    if (core::interrupted()) return core::negative(state_->path, "interrupted");
    wait_for_change(header.writer_event, seen, kLookNanoseconds);
  }
}

void BatchReader::release() {
  PENSTOCK_CHECK(state_->holds);
  state_->holds = false;
  Header& header = state_->header();
  header.released.store(state_->sequence, std::memory_order_release);
  wake(header.reader_event);
}

LoaderCounters BatchReader::counters() const {
  const SharedCounters& shared = state_->header().counters;
  std::int64_t v[std::size(SharedCounters{}.values)];
  for (int attempt = 0; attempt < 1'000'000; ++attempt) {
    const std::uint32_t before = shared.sequence.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < std::size(v); ++i) {
      v[i] = shared.values[i].load(std::memory_order_acquire);
    }
    if (before % 2 == 0 && shared.sequence.load(std::memory_order_relaxed) == before) break;
    std::this_thread::yield();  // a writer that died in between leaves its last values
  }
  return {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], static_cast<std::int32_t>(v[8])};
}

const BatchShape& BatchReader::shape() const { return state_->shape; }

}  // namespace penstock::train
