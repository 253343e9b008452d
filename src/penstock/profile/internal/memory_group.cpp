#include "penstock/profile/internal/memory_group.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
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
  static int number = 0;
  const std::string folder =
      fmt::format("{}/penstock-{}-{}", controller.folder, getpid(), ++number);
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
