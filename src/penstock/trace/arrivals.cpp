#include "penstock/trace/arrivals.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "penstock/core/check.h"
#include "penstock/core/file.h"
#include "penstock/core/random.h"

namespace penstock::trace {
namespace {

constexpr std::string_view kHeading = "name,arrival_s,accelerators,samples,loader";
constexpr std::size_t kColumns = 5;

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> cells;
  while (true) {
    const std::size_t comma = line.find(',');
    std::string_view cell = line.substr(0, comma);
    cell.remove_prefix(std::min(cell.find_first_not_of(" \t"), cell.size()));
    cell = cell.substr(0, cell.find_last_not_of(" \t") + 1);
    cells.push_back(cell);
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

class Reader {
 public:
  explicit Reader(std::string name) : name_(std::move(name)) {}

  void row(std::string_view line, std::size_t number_of_line) {
    line_ = number_of_line;
    const std::vector<std::string_view> cells = split(line);
    if (cells.size() != kColumns) {
      return wrong(fmt::format("has {} values", cells.size()),
                   fmt::format("write {}: {}", kColumns, kHeading));
    }
    JobArrival job;
    job.name = cells[0];
    if (job.name.empty()) wrong("has no name", "give every job a name of its own");
    const auto [first, is_new] = lines_.emplace(job.name, line_);
    if (!is_new) {
      wrong(fmt::format("names \"{}\" again, as line {} does", job.name, first->second),
            "give every job a name of its own");
    }
    const auto arrival = number<double>(cells[1]);
    if (!arrival || !std::isfinite(*arrival) || *arrival < 0) {
      wrong(fmt::format("arrival_s \"{}\" is no time", cells[1]), "write seconds from 0 on");
    }
    job.arrival = Seconds(arrival.value_or(0));
    job.accelerators = static_cast<int>(count(cells[2], "accelerators", 1 << 20));
    job.samples = count(cells[3], "samples", std::int64_t{1} << 50);
    job.loader = cells[4];
    if (job.loader.empty()) wrong("has no loader", "name a loader profile");
    trace_.jobs.push_back(std::move(job));
  }

  void wrong(std::string message, std::string mend) {
    errors_.push_back({ErrorKind::kInput,
                       std::move(message),
                       fmt::format("{}:{}", name_, line_),
                       std::move(mend),
                       {},
                       {}});
  }

  void heading(std::string_view line, std::size_t number_of_line) {
    line_ = number_of_line;
    if (line != kHeading) {
      wrong(fmt::format("begins with \"{}\"", line.substr(0, 60)),
            fmt::format("begin with the line {}", kHeading));
    }
  }

  Result<ArrivalTrace> finish() {
    if (!errors_.empty()) return core::fail(core::join_errors(std::move(errors_)));
    if (trace_.jobs.empty()) {
      return core::input_error(name_, "holds no job",
                               fmt::format("write the line {} and a row for each job", kHeading));
    }
    std::stable_sort(
        trace_.jobs.begin(), trace_.jobs.end(),
        [](const JobArrival& a, const JobArrival& b) { return a.arrival < b.arrival; });
    return std::move(trace_);
  }

 private:
  std::int64_t count(std::string_view cell, std::string_view column, std::int64_t most) {
    const auto value = number<std::int64_t>(cell);
    if (value && *value >= 1 && *value <= most) return *value;
    wrong(fmt::format("{} \"{}\" is no whole number from 1 to {}", column, cell, most),
          "write a number of at least one");
    return 1;
  }

  std::string name_;
  std::size_t line_ = 0;
  std::map<std::string, std::size_t> lines_;
  ArrivalTrace trace_;
  std::vector<Error> errors_;
};

}  // namespace

Result<ArrivalTrace> parse_arrivals(std::string_view text, const std::string& name) {
  Reader reader(name);
  bool has_heading = false;
  for (std::size_t line_number = 1; !text.empty(); ++line_number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
    if (line.empty() || line.starts_with('#')) continue;
    if (has_heading) {
      reader.row(line, line_number);
    } else {
      reader.heading(line, line_number);
      has_heading = true;
    }
  }
  return reader.finish();
}

Result<ArrivalTrace> read_arrivals(const std::string& path) {
  PENSTOCK_TRY(const std::string text, core::read_file(path));
  return parse_arrivals(text, path);
}

std::string arrivals_text(const ArrivalTrace& trace) {
  std::string text = std::string(kHeading) + "\n";
  for (const JobArrival& job : trace.jobs) {
    text += fmt::format("{},{},{},{},{}\n", job.name, job.arrival.value(), job.accelerators,
                        job.samples, job.loader);
  }
  return text;
}

ArrivalTrace poisson_arrivals(const PoissonArrivals& process, std::uint64_t seed) {
  PENSTOCK_CHECK(!process.accelerators.empty());
  PENSTOCK_CHECK(!process.loaders.empty());
  core::RandomStream gaps(seed, "arrival gaps");
  core::RandomStream work(seed, "arrival work");
  core::RandomStream kinds(seed, "arrival kinds");
  // 1 - uniform() is never 0.
  const auto exponential = [](core::RandomStream& stream, double mean) {
    return -mean * std::log(1 - stream.uniform());
  };
  ArrivalTrace trace;
  Seconds now;
  for (int i = 0; i < process.jobs; ++i) {
    if (i > 0) now += Seconds(exponential(gaps, process.mean_gap.value()));
    JobArrival job;
    job.name = fmt::format("job-{}", i);
    job.arrival = now;
    job.samples = std::max<std::int64_t>(1, std::llround(exponential(work, process.mean_samples)));
    job.accelerators = process.accelerators[kinds.below(process.accelerators.size())];
    job.loader = process.loaders[kinds.below(process.loaders.size())];
    trace.jobs.push_back(std::move(job));
  }
  return trace;
}

}  // namespace penstock::trace
