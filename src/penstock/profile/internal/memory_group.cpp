#include "penstock/profile/internal/memory_group.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace penstock::profile::internal {
namespace {

struct Controller {
  std::string folder;
  const char* limit_file = nullptr;
};

bool has_word(const std::string& text, char separator, const std::string& word) {
  std::istringstream words(text);
  std::string one;
  while (std::getline(words, one, separator)) {
    if (one == word) return true;
  }
  return false;
}

// Where the memory controller is, in either version.
Controller find_controller() {
  std::ifstream mounts("/proc/mounts");
  std::string device;
  std::string folder;
  std::string type;
  std::string options;
  std::string rest;
  Controller found;
  while (mounts >> device >> folder >> type >> options && std::getline(mounts, rest)) {
    if (type == "cgroup" && has_word(options, ',', "memory")) {
      return {folder, "memory.limit_in_bytes"};
    }
    if (type != "cgroup2") continue;
    std::ifstream file(folder + "/cgroup.controllers");
    std::string controllers;
    std::getline(file, controllers);
    if (has_word(controllers, ' ', "memory")) found = {folder, "memory.max"};
  }
  return found;
}

constexpr std::string_view kPrefix = "penstock-";

// Groups whose makers, by the number in their name, no longer exist. A group that still holds a
// process cannot be removed, and stays.
void remove_leftovers(const std::string& parent) {
  std::error_code error;
  std::filesystem::directory_iterator at(parent, error);
  for (const std::filesystem::directory_iterator end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    const char* const first = name.data() + kPrefix.size();
    const char* const last = name.data() + name.size();
    pid_t maker = 0;
    const auto [rest, failure] = std::from_chars(first, last, maker);
    if (failure != std::errc() || rest == last || *rest != '-' || maker <= 0) continue;
    if (::kill(maker, 0) == 0 || errno != ESRCH) continue;
    ::rmdir(at->path().c_str());
  }
}

bool write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

}  // namespace

Result<MemoryGroup> MemoryGroup::create(std::int64_t limit_bytes) {
  const Controller controller = find_controller();
  if (controller.folder.empty()) {
    return core::missing_error("control groups",
                               "no memory controller is mounted, of version 1 or 2",
                               "the page cache is then only simulated");
  }
  remove_leftovers(controller.folder);
  static int number = 0;
  const std::string folder =
      fmt::format("{}/{}{}-{}", controller.folder, kPrefix, getpid(), ++number);
  if (::mkdir(folder.c_str(), 0755) != 0) {
    return core::missing_error(folder, std::strerror(errno), "needs root");
  }
  MemoryGroup group(folder);
  const std::string limit_file = folder + "/" + controller.limit_file;
  if (!write_text(limit_file, std::to_string(limit_bytes))) {
    // Version 2 hands the controller down only where the parent says so.
    write_text(controller.folder + "/cgroup.subtree_control", "+memory");
    if (!write_text(limit_file, std::to_string(limit_bytes))) {
      return core::missing_error(limit_file, "cannot be written",
                                 "the page cache is then only simulated");
    }
  }
  return group;
}

MemoryGroup::MemoryGroup(MemoryGroup&& other) noexcept
    : folder_(std::exchange(other.folder_, std::string())) {}

MemoryGroup::~MemoryGroup() {
  if (!folder_.empty()) ::rmdir(folder_.c_str());
}

}  // namespace penstock::profile::internal
