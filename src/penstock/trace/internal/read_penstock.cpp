// Our own format: comma-separated values with a heading, seconds exact to the nanosecond.
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "penstock/core/nearest.h"
#include "penstock/trace/internal/exact.h"
#include "penstock/trace/internal/intake.h"
#include "penstock/trace/internal/readers.h"

namespace penstock::trace {
namespace internal {
namespace {

const std::vector<std::string>& known_columns() {
  static const std::vector<std::string> kColumns = {
      "name",  "submit_s",   "duration_s", "accelerators",  "model",
      "batch", "iterations", "deadline_s", "network_share", "start_s"};
  return kColumns;
}

float share(Rows& rows, int column) {
  const std::string_view cell = rows.text(column);
  float value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error == std::errc() && end == cell.data() + cell.size() && value >= 0 && value <= 1) {
    return value;
  }
  rows.wrong(column, "is no share", "write a number from 0 to 1, or leave it empty");
  return 0;
}

struct Columns {
  explicit Columns(Rows& rows)
      : name(rows.column_if("name")),
        submit(rows.column("submit_s")),
        duration(rows.column("duration_s")),
        accelerators(rows.column("accelerators")),
        model(rows.column_if("model")),
        batch(rows.column_if("batch")),
        iterations(rows.column_if("iterations")),
        deadline(rows.column_if("deadline_s")),
        network_share(rows.column_if("network_share")),
        start(rows.column_if("start_s")) {
    for (const std::string& column : rows.columns()) {
      const auto& known = known_columns();
      if (std::find(known.begin(), known.end(), column) != known.end()) continue;
      const std::string nearest = core::did_you_mean(column, known);
      rows.wrong(-1, fmt::format("the column \"{}\" is unknown", shown(column)),
                 nearest.empty() ? fmt::format("known are {}", fmt::join(known, ", ")) : nearest);
    }
  }
  int name, submit, duration, accelerators, model, batch, iterations, deadline, network_share,
      start;
};

}  // namespace

Result<JobTrace> read_penstock(const Source& source) {
  Rows rows(source.text, source.name, {.has_quotes = true, .has_remarks = true});
  const Columns columns(rows);
  Intake intake(rows, columns.name);
  while (rows.next()) {
    const auto has = [&](int column) { return !rows.text(column).empty(); };
    TrainingJob job;
    job.submit_ns = rows.time_ns(columns.submit, kSecondDigits);
    job.duration_ns = rows.duration_ns(columns.duration, kSecondDigits);
    job.accelerators = rows.accelerators(columns.accelerators);
    job.model = intake.model(rows.text(columns.model));
    if (has(columns.batch)) {
      job.batch = static_cast<std::int32_t>(rows.count(columns.batch, 1, kMostBatch));
    }
    if (has(columns.iterations)) {
      job.iterations = rows.count(columns.iterations, 1, kMostIterations);
    }
    if (has(columns.deadline)) job.deadline_ns = rows.time_ns(columns.deadline, kSecondDigits);
    if (has(columns.network_share)) job.network_share = share(rows, columns.network_share);
    if (has(columns.start)) {
      job.start_ns = rows.time_ns(columns.start, kSecondDigits);
      if (rows.is_good() && job.start_ns < job.submit_ns) {
        rows.wrong(columns.start, "lies before the submission", "mend one of the two");
      }
    }
    intake.add(std::move(job));
  }
  return intake.finish(Origin::kStated);
}

namespace {

template <typename Integer>
void append_number(std::string& out, Integer value) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

void append_text(std::string& out, const std::string& text) {
  const bool is_plain = !text.empty() && text.find_first_of(",\"\r") == std::string::npos &&
                        text.front() != ' ' && text.front() != '\t' && text.front() != '#' &&
                        text.back() != ' ' && text.back() != '\t';
  if (is_plain || text.empty()) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    out += c;
    if (c == '"') out += c;
  }
  out += '"';
}

}  // namespace
}  // namespace internal

std::string jobs_text(const JobTrace& trace) {
  using internal::append_number;
  using internal::append_seconds;
  using internal::append_text;
  std::string out = fmt::format("{}\n", fmt::join(internal::known_columns(), ","));
  out.reserve(out.size() + trace.jobs.size() * 64);
  for (const TrainingJob& job : trace.jobs) {
    append_text(out, job.name);
    out += ',';
    append_seconds(out, job.submit_ns);
    out += ',';
    append_seconds(out, job.duration_ns);
    out += ',';
    append_number(out, job.accelerators);
    out += ',';
    if (job.model >= 0) append_text(out, trace.models[static_cast<std::size_t>(job.model)]);
    out += ',';
    if (job.batch > 0) append_number(out, job.batch);
    out += ',';
    if (job.iterations > 0) append_number(out, job.iterations);
    out += ',';
    if (job.deadline_ns >= 0) append_seconds(out, job.deadline_ns);
    out += ',';
    if (job.network_share >= 0) append_number(out, job.network_share);
    out += ',';
    if (job.start_ns >= 0) append_seconds(out, job.start_ns);
    out += '\n';
  }
  return out;
}

}  // namespace penstock::trace
