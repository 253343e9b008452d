// A control group that limits the memory of the processes in it. Its name carries our process
// number; what killed processes have left goes when the next one is made.
#pragma once

#include <cstdint>
#include <string>

#include "penstock/core/result.h"

namespace penstock::profile::internal {

class MemoryGroup {
 public:
  // Version 1 where its memory controller is mounted, else version 2; an error where neither can be
  // used, which says what was looked for.
  static Result<MemoryGroup> create(std::int64_t limit_bytes);
  MemoryGroup(MemoryGroup&& other) noexcept;
  MemoryGroup& operator=(MemoryGroup&&) = delete;
  ~MemoryGroup();  // removes it; its processes must be gone
  // The file that a process writes "0" to in order to join.
  std::string join_file() const { return folder_ + "/cgroup.procs"; }

 private:
  explicit MemoryGroup(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace penstock::profile::internal
