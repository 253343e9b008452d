#include "penstock/trace/jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "penstock/core/file.h"
#include "penstock/core/nearest.h"
#include "penstock/trace/internal/readers.h"

namespace penstock::trace {
namespace {

struct Format {
  std::string_view name;
  Result<JobTrace> (*read)(const internal::Source&);
};
constexpr std::array<Format, 8> kFormats = {{
    {"philly", internal::read_philly},
    {"muri", internal::read_muri},
    {"tiresias", internal::read_tiresias},
    {"gavel", internal::read_gavel},
    {"pollux", internal::read_pollux},
    {"shockwave", internal::read_shockwave},
    {"sacct", internal::read_sacct},
    {"penstock", internal::read_penstock},
}};

Result<const Format*> find_format(const std::string& name) {
  for (const Format& format : kFormats) {
    if (format.name == name) return &format;
  }
  const std::string nearest = core::did_you_mean(name, job_formats());
  return core::input_error("", fmt::format("no format of job traces is called \"{}\"", name),
                           nearest.empty()
                               ? fmt::format("the formats are {}", fmt::join(job_formats(), ", "))
                               : nearest);
}

}  // namespace

const std::vector<std::string>& job_formats() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const Format& format : kFormats) names.emplace_back(format.name);
    return names;
  }();
  return kNames;
}

Result<JobTrace> parse_jobs(std::string_view text, const std::string& name,
                            const JobFormat& format) {
  PENSTOCK_TRY(const Format* reader, find_format(format.format));
  // Jobs and lines are counted in 32 bits.
  if (text.size() > std::numeric_limits<std::uint32_t>::max()) {
    return core::input_error(name, "is over 4 GiB long", "split it");
  }
  PENSTOCK_TRY(JobTrace trace, reader->read({text, name, format}));
  trace.source = name;
  return trace;
}

Result<JobTrace> read_jobs(const std::string& path, const JobFormat& format) {
  PENSTOCK_TRY([[maybe_unused]] const Format* known, find_format(format.format));
  PENSTOCK_TRY(const std::string text, core::read_file(path));
  return parse_jobs(text, path, format);
}

}  // namespace penstock::trace
