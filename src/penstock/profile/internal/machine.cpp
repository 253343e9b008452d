#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "penstock/profile/internal/setting.h"

namespace penstock::profile::internal {

std::vector<int> allowed_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> allowed;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) allowed.push_back(cpu);
    }
  }
  if (allowed.empty()) allowed.push_back(0);
  return allowed;
}

Result<FolderContent> measure_folder(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, fs::directory_options::follow_directory_symlink,
                                      error);
  if (error) return core::missing_error(folder, error.message(), "--data names a folder of images");
  FolderContent content;
  for (const fs::recursive_directory_iterator end; at != end; at.increment(error)) {
    std::error_code ignored;
    if (!at->is_regular_file(ignored)) continue;
    const std::string extension = at->path().extension().string();
    if (extension != ".jpg" && extension != ".jpeg" && extension != ".JPEG" &&
        extension != ".JPG") {
      continue;
    }
    const auto size = at->file_size(ignored);
    if (ignored) continue;
    ++content.files;
    content.bytes += static_cast<double>(size);
  }
  // A step that fails ends the walk.
  if (error) return core::missing_error(folder, error.message(), "make its folders readable");
  return content;
}

bool can_drop_all_caches() { return access("/proc/sys/vm/drop_caches", W_OK) == 0; }

void drop_caches(const std::string& folder) {
  if (can_drop_all_caches()) {
    ::sync();
    std::ofstream("/proc/sys/vm/drop_caches") << "3\n";
    return;
  }
  namespace fs = std::filesystem;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error);
  for (const fs::recursive_directory_iterator end; at != end; at.increment(error)) {
    const int file = ::open(at->path().c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    ::close(file);
  }
}

}  // namespace penstock::profile::internal
