#include "penstock/core/private_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace penstock::core {
namespace {

// Nobody else's folders are called so: what follows is as long as mkdtemp makes it.
constexpr std::string_view kPrefix = "penstock-run-";
constexpr std::string_view kPattern = "XXXXXX";

// The lock of a folder, or -1 with the reason in errno.
int lock_folder(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0) return -1;
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
  const int failure = errno;
  ::close(descriptor);
  errno = failure;
  return -1;
}

bool is_ours(const std::string& path) {
  struct stat info = {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid();
}

void remove_leftovers(const std::string& parent) {
  std::error_code error;
  std::filesystem::directory_iterator at(parent, error);
  if (error) return;
  for (const std::filesystem::directory_iterator end; at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(kPrefix) || name.size() != kPrefix.size() + kPattern.size()) continue;
    const std::string path = at->path().string();
    if (!is_ours(path)) continue;
    const int lock = lock_folder(path);
    if (lock < 0) continue;
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
    ::close(lock);
  }
}

}  // namespace

Result<PrivateFolder> PrivateFolder::create(std::string parent) {
  if (parent.empty()) {
    const char* temporary = std::getenv("TMPDIR");
    parent = temporary == nullptr || *temporary == '\0' ? "/tmp" : temporary;
  }
  remove_leftovers(parent);
  while (true) {
    std::string path = fmt::format("{}/{}{}", parent, kPrefix, kPattern);
    if (::mkdtemp(path.data()) == nullptr) {
      return missing_error(parent,
                           fmt::format("no folder can be made there: {}", std::strerror(errno)),
                           "set TMPDIR to a folder that can be written");
    }
    const int lock = lock_folder(path);
    // Between its making and its lock it may have looked like a leftover to another process.
    if (lock >= 0 && ::access(path.c_str(), F_OK) == 0) return PrivateFolder(std::move(path), lock);
    if (lock >= 0) ::close(lock);
    const bool is_swept = lock >= 0 || errno == EWOULDBLOCK || errno == ENOENT;
    // Some network file systems have no locks; nobody can sweep there either.
    if (!is_swept) return PrivateFolder(std::move(path), -1);
  }
}

PrivateFolder::PrivateFolder(PrivateFolder&& other) noexcept
    : path_(std::exchange(other.path_, "")), lock_(std::exchange(other.lock_, -1)) {}

PrivateFolder& PrivateFolder::operator=(PrivateFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  return *this;
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace penstock::core
