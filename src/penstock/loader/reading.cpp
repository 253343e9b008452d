#include "penstock/loader/reading.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <liburing.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "penstock/core/check.h"
#include "penstock/core/clock.h"

namespace penstock::loader {
namespace {

constexpr std::int64_t kAlignment = 4096;  // that direct I/O asks of any block device in use
constexpr std::int64_t kLongestSample = std::int64_t{1} << 30;

std::int64_t round_down(std::int64_t value) { return value / kAlignment * kAlignment; }
std::int64_t round_up(std::int64_t value) { return round_down(value + kAlignment - 1); }

struct Free {
  void operator()(std::uint8_t* bytes) const { std::free(bytes); }
};

class AlignedBuffer {
 public:
  // What is in it is lost where it grows.
  bool reserve(std::int64_t bytes) {
    if (bytes <= capacity_) return true;
    const std::int64_t wanted = round_up(bytes + bytes / 2);
    bytes_.reset(static_cast<std::uint8_t*>(std::aligned_alloc(static_cast<std::size_t>(kAlignment),
                                                               static_cast<std::size_t>(wanted))));
    capacity_ = bytes_ ? wanted : 0;
    return bytes_ != nullptr;
  }
  std::uint8_t* data() const { return bytes_.get(); }

 private:
  std::unique_ptr<std::uint8_t, Free> bytes_;
  std::int64_t capacity_ = 0;
};

// One read between start and finish.
struct Read {
  std::int64_t sample = 0;
  int descriptor = -1;
  int failure = 0;  // an errno
  bool direct = false;
  bool queued = false;  // in the ring
  bool completed = false;
  std::int64_t begin = 0;   // in the file, aligned where the read is direct
  std::int64_t wanted = 0;  // bytes from `begin` on
  std::int64_t got = 0;
  std::int64_t disk_bytes = 0;
  std::int64_t free_ns = 0;  // when the limit lets it end
  AlignedBuffer buffer;
};

}  // namespace

std::int64_t DiskLimit::reserve(std::int64_t bytes, std::int64_t now_ns) {
  const auto cost = static_cast<std::int64_t>(static_cast<double>(bytes) / rate_.value() * 1e9);
  const std::lock_guard lock(mutex_);
  free_ns_ = std::max(free_ns_, now_ns) + cost;
  return free_ns_;
}

struct SampleReader::State {
  const Dataset& data;
  ReadOptions options;
  std::vector<Read> reads;  // a ring of `depth`
  std::size_t oldest = 0;
  std::size_t pending = 0;
  std::vector<int> shards;  // descriptors, kept open
  io_uring ring = {};
  bool has_ring = false;
  bool can_ask_cache = true;  // whether the file system knows RWF_NOWAIT

  State(const Dataset& dataset, const ReadOptions& wanted) : data(dataset), options(wanted) {
    options.depth = std::max(1, options.depth);
    reads.resize(static_cast<std::size_t>(options.depth));
    if (data.is_sharded()) shards.assign(data.files().size(), -1);
    if (options.direct && options.io_uring) {
      has_ring = ::io_uring_queue_init(static_cast<unsigned>(options.depth), &ring, 0) == 0;
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    while (pending > 0) take_oldest();
    if (has_ring) ::io_uring_queue_exit(&ring);
    for (const int descriptor : shards) {
      if (descriptor >= 0) ::close(descriptor);
    }
  }

  void open(Read& read);
  void read_buffered(Read& read);
  void read_rest(Read& read);
  void wait_for(Read& read);
  Read& take_oldest();
  tl::unexpected<Error> error_of(const Read& read, const std::string& message) const {
    return core::missing_error(data.name(read.sample), message);
  }
};

// The file's descriptor, direct where that is asked for and can be had.
void SampleReader::State::open(Read& read) {
  const auto file =
      static_cast<std::size_t>(data.samples()[static_cast<std::size_t>(read.sample)].file);
  read.direct = options.direct;
  if (data.is_sharded() && shards[file] >= 0) {
    read.descriptor = shards[file];
    return;
  }
  const char* path = data.files()[file].c_str();
  read.descriptor = ::open(path, O_RDONLY | O_CLOEXEC | (options.direct ? O_DIRECT : 0));
  if (read.descriptor < 0 && errno == EINVAL && options.direct) {
    read.direct = false;  // a file system without direct I/O, such as older tmpfs
    read.descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
  }
  read.failure = read.descriptor < 0 ? errno : 0;
  if (data.is_sharded()) shards[file] = read.descriptor;
}

SampleReader::SampleReader(const Dataset& data, const ReadOptions& options)
    : state_(std::make_unique<State>(data, options)) {}
SampleReader::SampleReader(SampleReader&&) noexcept = default;
SampleReader::~SampleReader() = default;

void SampleReader::start(std::int64_t sample) {
  State& s = *state_;
  PENSTOCK_CHECK(s.pending < s.reads.size());
  Read& read = s.reads[(s.oldest + s.pending++) % s.reads.size()];
  const Sample& place = s.data.samples()[static_cast<std::size_t>(sample)];
  read.sample = sample;
  read.queued = read.completed = false;
  read.got = read.disk_bytes = read.free_ns = 0;
  s.open(read);
  if (read.failure != 0) return;
  read.begin = read.direct ? round_down(place.offset) : place.offset;
  read.wanted = place.offset + place.bytes - read.begin;
  if (place.bytes > kLongestSample) {
    read.failure = EFBIG;
  } else if (!read.buffer.reserve(round_up(read.wanted))) {
    read.failure = ENOMEM;
  }
  if (read.failure != 0 || !read.direct) return;
  if (s.options.limit) read.free_ns = s.options.limit->reserve(place.bytes, core::now_ns());
  io_uring_sqe* entry = s.has_ring ? ::io_uring_get_sqe(&s.ring) : nullptr;
  if (entry == nullptr) return;
  ::io_uring_prep_read(entry, read.descriptor, read.buffer.data(),
                       static_cast<unsigned>(round_up(read.wanted)),
                       static_cast<std::uint64_t>(read.begin));
  ::io_uring_sqe_set_data(entry, &read);
  read.queued = ::io_uring_submit(&s.ring) == 1;
}

void SampleReader::State::wait_for(Read& read) {
  while (!read.completed) {
    io_uring_cqe* event = nullptr;
    const int code = ::io_uring_wait_cqe(&ring, &event);
    if (code == -EINTR) continue;
    if (code < 0) {
      read.failure = -code;
      return;
    }
    auto& done = *static_cast<Read*>(::io_uring_cqe_get_data(event));
    done.completed = true;
    if (event->res < 0) {
      done.failure = -event->res;
    } else {
      done.got = event->res;
    }
    ::io_uring_cqe_seen(&ring, event);
  }
}

// What the page cache holds comes at once; the rest is the disk's, and counted as such.
void SampleReader::State::read_buffered(Read& read) {
  while (can_ask_cache && read.got < read.wanted) {
    const iovec to = {read.buffer.data() + read.got,
                      static_cast<std::size_t>(read.wanted - read.got)};
    const ssize_t got = ::preadv2(read.descriptor, &to, 1, read.begin + read.got, RWF_NOWAIT);
    if (got < 0 && errno == EOPNOTSUPP) can_ask_cache = false;
    if (got <= 0) break;
    read.got += got;
  }
  read.disk_bytes = read.wanted - read.got;
  if (options.limit && read.disk_bytes > 0) {
    read.free_ns = options.limit->reserve(read.disk_bytes, core::now_ns());
  }
}

void SampleReader::State::read_rest(Read& read) {
  while (read.got < read.wanted && read.failure == 0) {
    // A direct read goes on at an aligned place.
    if (read.direct) read.got = round_down(read.got);
    const std::int64_t bytes = (read.direct ? round_up(read.wanted) : read.wanted) - read.got;
    const ssize_t got = ::pread(read.descriptor, read.buffer.data() + read.got,
                                static_cast<std::size_t>(bytes), read.begin + read.got);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) read.failure = errno;
    if (got <= 0) return;
    read.got += got;
    if (read.direct && read.got < read.wanted && got % kAlignment != 0) return;  // the file's end
  }
}

Read& SampleReader::State::take_oldest() {
  Read& read = reads[oldest];
  if (read.queued) wait_for(read);
  oldest = (oldest + 1) % reads.size();
  --pending;
  return read;
}

Result<SampleBytes> SampleReader::finish() {
  State& s = *state_;
  PENSTOCK_CHECK(s.pending > 0u);
  Read& read = s.take_oldest();
  const Sample& place = s.data.samples()[static_cast<std::size_t>(read.sample)];
  if (read.failure == 0) {
    if (read.direct) {
      read.disk_bytes = place.bytes;
    } else {
      s.read_buffered(read);
    }
    s.read_rest(read);
    if (read.free_ns > core::now_ns()) core::wait_until_ns(read.free_ns);
  }
  if (!s.data.is_sharded() && read.descriptor >= 0) ::close(read.descriptor);
  if (read.failure != 0) {
    return s.error_of(read, std::string("cannot be read: ") + std::strerror(read.failure));
  }
  if (read.got < read.wanted) {
    return s.error_of(read, fmt::format("ends after {} of {} bytes",
                                        read.got - (place.offset - read.begin), place.bytes));
  }
  const std::uint8_t* first = read.buffer.data() + (place.offset - read.begin);
  return SampleBytes{read.sample, {first, static_cast<std::size_t>(place.bytes)}, read.disk_bytes};
}

int SampleReader::pending() const { return static_cast<int>(state_->pending); }
bool SampleReader::uses_io_uring() const { return state_->has_ring; }

Status drop_page_cache(const Dataset& data) {
  for (const std::string& path : data.files()) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) continue;  // the loader will count it as bad
    // Pages that are yet to be written stay, so they are written first.
    ::fdatasync(descriptor);
    const int failure = ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    ::close(descriptor);
    if (failure != 0) {
      return core::missing_error(
          path, std::string("cannot be dropped from the page cache: ") + std::strerror(failure));
    }
  }
  return {};
}

}  // namespace penstock::loader
