#include "penstock/core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace penstock::core {
namespace {
std::string reason() { return std::strerror(errno); }
}  // namespace

Result<std::string> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return missing_error(path, "no such file");
    return missing_error(path, "cannot be opened: " + reason());
  }
  struct stat info = {};
  if (::fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
    ::close(fd);
    return input_error(path, "is a directory", "name a file");
  }
  std::string bytes;
  // A plain file says how long it is; a pipe says 0.
  if (info.st_size > 0) bytes.reserve(static_cast<std::size_t>(info.st_size));
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0) {
      if (errno == EINTR) continue;
      const std::string why = reason();
      ::close(fd);
      return missing_error(path, "cannot be read: " + why);
    }
    if (n == 0) break;
    bytes.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(fd);
  return bytes;
}

namespace {

// Writes everything and closes; the errno of what failed, or 0.
int write_all(int fd, std::string_view bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int failure = errno;
      ::close(fd);
      return failure;
    }
    done += static_cast<std::size_t>(n);
  }
  return ::close(fd) == 0 ? 0 : errno;
}

tl::unexpected<Error> unwritable(const std::string& path, int failure) {
  const bool is_full = failure == ENOSPC || failure == EDQUOT;
  return missing_error(
      path, std::string("cannot be written: ") + std::strerror(failure),
      is_full ? "make room, or name a file on another disk" : "name a file in a writable folder");
}

}  // namespace

Status write_file(const std::string& path, std::string_view bytes) {
  struct stat info = {};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) return input_error(path, "is a directory", "name a file");
  // A rename would replace a device or a pipe (/dev/null!) by a plain file.
  if (exists && !S_ISREG(info.st_mode)) {
    const int device = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    const int failure = device < 0 ? errno : write_all(device, bytes);
    if (failure != 0) return unwritable(path, failure);
    return {};
  }
  const std::string temporary = fmt::format("{}.{}.partial", path, ::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return unwritable(path, errno);
  int failure = write_all(fd, bytes);
  if (failure == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) failure = errno;
  if (failure == 0) return {};
  ::unlink(temporary.c_str());
  return unwritable(path, failure);
}

std::string content_hash(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace penstock::core
