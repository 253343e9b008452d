// The members of a tar file: POSIX ustar with pax records, and GNU's long names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/result.h"

namespace penstock::loader {

struct TarMember {
  std::string name;
  std::int64_t offset = 0;  // of its bytes
  std::int64_t bytes = 0;
};

// Plain files, in order. Reads headers only. Damage and a missing tail are errors with the place.
Result<std::vector<TarMember>> read_tar_members(const std::string& path);

// One header block of 512 bytes for a plain file, for writers. `name` has at most 99 characters.
std::string tar_header(const std::string& name, std::int64_t bytes);

}  // namespace penstock::loader
