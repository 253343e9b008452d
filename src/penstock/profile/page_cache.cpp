#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <numeric>
#include <utility>
#include <vector>

#include "penstock/core/interrupt.h"
#include "penstock/core/random.h"
#include "penstock/profile/hit_curves.h"
#include "penstock/profile/internal/memory_group.h"

namespace penstock::profile {
namespace {

// What the reading process holds besides the file's pages: its stack, heap and page tables.
constexpr std::int64_t kOwnBytes = 3 << 20;

// A file without a name, so that nothing of it outlives the process.
class TestFile {
 public:
  static Result<TestFile> create(const std::string& folder, std::int64_t bytes) {
    std::string path = folder + "/penstock-pages-XXXXXX";
    const int descriptor = ::mkstemp(path.data());
    if (descriptor < 0) {
      return core::missing_error(folder, std::strerror(errno), "name a folder that can be written");
    }
    ::unlink(path.c_str());
    TestFile file(descriptor);
    core::RandomStream random(1, "file");
    std::vector<std::uint64_t> block((1 << 20) / sizeof(std::uint64_t));
    for (std::uint64_t& word : block) word = random.bits();
    for (std::int64_t at = 0; at < bytes; at += 1 << 20) {
      if (::write(descriptor, block.data(), 1 << 20) != 1 << 20) {
        return core::missing_error(folder, std::strerror(errno), "it needs room for a test file");
      }
    }
    ::fsync(descriptor);
    return file;
  }
  TestFile(TestFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  TestFile& operator=(TestFile&&) = delete;
  ~TestFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int descriptor() const { return descriptor_; }
  void drop() const { ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED); }

 private:
  explicit TestFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

// Bytes that the kernel has fetched from storage for this process (proc(5)).
std::int64_t storage_bytes() {
  std::ifstream io("/proc/self/io");
  std::string key;
  std::int64_t value = 0;
  while (io >> key >> value) {
    if (key == "read_bytes:") return value;
  }
  return -1;
}

// In the limited process: the share of hits, or a negative number.
double read_epochs(int file, const PageCacheOptions& options, std::vector<std::int64_t>& order,
                   std::vector<char>& buffer) {
  core::RandomStream random(options.seed, "page permutations");
  std::int64_t before = 0;
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    if (epoch == options.warmup_epochs) before = storage_bytes();
    for (std::size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[random.below(i)]);
    }
    for (const std::int64_t chunk : order) {
      if (core::interrupted()) return -1;
      if (::pread(file, buffer.data(), buffer.size(), chunk * options.read_bytes) < 0) return -1;
    }
  }
  const double read = static_cast<double>(options.read_bytes) * static_cast<double>(order.size()) *
                      (options.epochs - options.warmup_epochs);
  return 1 - static_cast<double>(storage_bytes() - before) / read;
}

Result<double> measure_limited(const TestFile& file, const PageCacheOptions& options,
                               double fraction) {
  const auto limit =
      static_cast<std::int64_t>(fraction * static_cast<double>(options.file_bytes)) + kOwnBytes;
  PENSTOCK_TRY(const internal::MemoryGroup group, internal::MemoryGroup::create(limit));
  file.drop();
  ::posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_RANDOM);  // no readahead
  // Made before the fork, so that the child allocates next to nothing.
  std::vector<std::int64_t> order(
      static_cast<std::size_t>(options.file_bytes / options.read_bytes));
  std::iota(order.begin(), order.end(), 0);
  std::vector<char> buffer(static_cast<std::size_t>(options.read_bytes));
  int pipe[2];
  if (::pipe(pipe) != 0) return core::missing_error("page cache", std::strerror(errno));
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::FILE* join = std::fopen(group.join_file().c_str(), "w");
    const bool joined = join != nullptr && std::fputs("0", join) >= 0 && std::fclose(join) == 0;
    const double hits = joined ? read_epochs(file.descriptor(), options, order, buffer) : -1;
    const ssize_t sent = ::write(pipe[1], &hits, sizeof hits);
    ::_exit(sent == sizeof hits ? 0 : 1);
  }
  ::close(pipe[1]);
  double hits = -1;
  const bool came = child > 0 && ::read(pipe[0], &hits, sizeof hits) == sizeof hits;
  ::close(pipe[0]);
  if (child > 0) ::waitpid(child, nullptr, 0);
  if (!came || hits < 0) {
    return core::negative("page cache", fmt::format("cannot be measured at {:.3f}", fraction),
                          core::interrupted() ? "interrupted" : "is the disk full, or no root?");
  }
  return hits;
}

}  // namespace

Result<std::vector<PageCacheMeasurement>> measure_page_cache(const PageCacheOptions& options) {
  PENSTOCK_TRY(const TestFile file, TestFile::create(options.folder, options.file_bytes));
  std::vector<PageCacheMeasurement> all;
  for (const double fraction : options.fractions) {
    PENSTOCK_TRY(const double hits, measure_limited(file, options, fraction));
    all.push_back({fraction, hits});
  }
  return all;
}

}  // namespace penstock::profile
