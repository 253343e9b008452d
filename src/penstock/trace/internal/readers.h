// The reader of each format. docs/job_traces.md says what the columns mean.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "penstock/trace/jobs.h"

namespace penstock::trace::internal {

struct Source {
  std::string_view text;
  const std::string& name;  // of the file, for errors
  const JobFormat& format;
};

Result<JobTrace> read_philly(const Source& source);
Result<JobTrace> read_muri(const Source& source);
Result<JobTrace> read_tiresias(const Source& source);
Result<JobTrace> read_gavel(const Source& source);
Result<JobTrace> read_shockwave(const Source& source);
Result<JobTrace> read_pollux(const Source& source);
Result<JobTrace> read_sacct(const Source& source);
Result<JobTrace> read_penstock(const Source& source);

inline constexpr std::int64_t kMostIterations = std::int64_t{1} << 50;
inline constexpr std::int64_t kMostBatch = (std::int64_t{1} << 31) - 1;

}  // namespace penstock::trace::internal
