// The history of a Slurm cluster, as `sacct -P` prints it: values between bars, a heading, a row
// for each job and one for each of its steps.
#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "penstock/trace/internal/exact.h"
#include "penstock/trace/internal/intake.h"
#include "penstock/trace/internal/readers.h"

namespace penstock::trace::internal {
namespace {

constexpr std::string_view kCommand =
    "call sacct -P -X -o JobID,Submit,Start,End,Elapsed,AllocTRES,ReqTRES,State,Comment";

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// Takes the text before `separator` off `rest`, or all of it.
std::string_view take(std::string_view& rest, std::string_view separators) {
  const std::size_t end = rest.find_first_of(separators);
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return taken;
}

// The number of accelerators in "cpu=8,gres/gpu=4,gres/gpu:v100=4,mem=64G": the untyped entry,
// which counts all types, or else the sum of the typed ones.
std::int64_t accelerators_of(std::string_view tres) {
  std::int64_t typed = 0;
  while (!tres.empty()) {
    const std::string_view entry = take(tres, ",");
    if (!entry.starts_with("gres/gpu")) continue;
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    const auto count = whole_number(entry.substr(equals + 1));
    const std::string_view key = entry.substr(0, equals);
    if (!count || *count > (1 << 20)) continue;
    if (key == "gres/gpu") return *count;
    if (key.starts_with("gres/gpu:")) typed += *count;
  }
  return typed;
}

// "[DD-]HH:MM:SS", or "MM:SS".
std::optional<std::int64_t> elapsed_ns(std::string_view text) {
  std::int64_t days = 0;
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    const auto value = whole_number(text.substr(0, dash));
    if (!value || *value > 36525) return std::nullopt;
    days = *value;
    text.remove_prefix(dash + 1);
  }
  std::int64_t seconds = 0;
  int parts = 0;
  while (!text.empty()) {
    const std::string_view part = take(text, ":");
    const auto value = whole_number(part);
    if (!value || part.size() > 4 || ++parts > 3) return std::nullopt;
    seconds = seconds * 60 + *value;
  }
  if (parts < 2) return std::nullopt;
  return (days * 86400 + seconds) * kSecond;
}

// A date, or seconds since 1970 (SLURM_TIME_FORMAT=%s).
std::optional<std::int64_t> moment_ns(std::string_view text) {
  if (const auto date = calendar_ns(text)) return date;
  const Scaled seconds = scaled_decimal(text, kSecondDigits);
  if (seconds.verdict != Decimal::kGood || seconds.value > kLongest) return std::nullopt;
  return seconds.value;
}

bool is_unknown(std::string_view text) {
  return text.empty() || text == "Unknown" || text == "None" || text == "N/A";
}

struct Columns {
  explicit Columns(Rows& rows)
      : id(rows.column("JobID")),
        submit(rows.column("Submit")),
        start(rows.column_if("Start")),
        end(rows.column_if("End")),
        elapsed(rows.column_if("Elapsed")),
        elapsed_raw(rows.column_if("ElapsedRaw")),
        allocated(rows.column_if("AllocTRES")),
        requested(rows.column_if("ReqTRES")),
        state(rows.column_if("State")),
        comment(rows.column_if("Comment")) {
    if (elapsed < 0 && elapsed_raw < 0) rows.column("Elapsed");
    if (allocated < 0 && requested < 0) rows.column("AllocTRES");
  }
  int id, submit, start, end, elapsed, elapsed_raw, allocated, requested, state, comment;
};

// Nothing if the cell is no span of time.
std::optional<std::int64_t> run_ns(const Rows& rows, const Columns& columns) {
  if (columns.elapsed_raw < 0) return elapsed_ns(rows.text(columns.elapsed));
  const auto seconds = whole_number(rows.text(columns.elapsed_raw));
  if (!seconds || *seconds > kLongest / kSecond) return std::nullopt;
  return *seconds * kSecond;
}

bool is_running(const Rows& rows, const Columns& columns) {
  for (const std::string_view state :
       {"RUNNING", "SUSPENDED", "COMPLETING", "STOPPED", "STAGE_OUT", "SIGNALING", "RESIZING"}) {
    if (rows.text(columns.state) == state) return true;
  }
  return columns.state < 0 && columns.end >= 0 && is_unknown(rows.text(columns.end));
}

// "model=bert batch=64 iterations=20000", between blanks, commas or semicolons. The comment is
// anybody's text: what does not read as one of these says nothing.
void read_comment(std::string_view comment, TrainingJob& job, Intake& intake) {
  while (!comment.empty()) {
    std::string_view value = take(comment, " ,;");
    const std::string_view key = take(value, "=");
    if (key == "model") job.model = intake.model(value);
    const auto number = whole_number(value);
    if (!number) continue;
    if (key == "batch" && *number <= kMostBatch) job.batch = static_cast<std::int32_t>(*number);
    if (key == "iterations" && *number <= kMostIterations) job.iterations = *number;
  }
}

struct Skipped {
  std::size_t never_ran = 0, running = 0, without = 0, started_early = 0;

  void note(Intake& intake) const {
    const auto say = [&](std::size_t count, std::string_view what) {
      if (count > 0) intake.note(fmt::format("{} {} {}", count, count == 1 ? "job" : "jobs", what));
    };
    say(never_ran, "left out that never ran");
    say(running, "left out that had not ended");
    say(without, "left out that held no accelerator (gres/gpu in AllocTRES)");
    say(started_early, "with a start before the submission (the clock was set back): wait unknown");
  }
};

void read_job(Rows& rows, const Columns& columns, Intake& intake, Skipped& skipped) {
  TrainingJob job;
  if (rows.text(columns.id).empty()) rows.wrong(columns.id, "is no job", kCommand);
  const auto run = run_ns(rows, columns);
  if (!run || *run > kLongest) {
    rows.wrong(columns.elapsed_raw < 0 ? columns.elapsed : columns.elapsed_raw,
               "is no span of time", "write it as 1-02:03:04");
  }
  const auto submit = moment_ns(rows.text(columns.submit));
  if (!submit) rows.wrong(columns.submit, "is no time", "write it as 2026-01-31T08:00:00");
  if (!rows.is_good()) return intake.add(std::move(job));
  if (*run == 0 || rows.text(columns.state) == "PENDING") return void(++skipped.never_ran);
  if (is_running(rows, columns)) return void(++skipped.running);
  std::int64_t accelerators = accelerators_of(rows.text(columns.allocated));
  if (accelerators == 0) accelerators = accelerators_of(rows.text(columns.requested));
  if (accelerators == 0) return void(++skipped.without);
  if (accelerators > (1 << 20)) {
    rows.wrong(columns.allocated < 0 ? columns.requested : columns.allocated,
               "holds over a million accelerators", "mend it, or delete the row");
  }
  job.accelerators = static_cast<std::int32_t>(accelerators);
  job.submit_ns = *submit;
  job.duration_ns = *run;
  if (const auto start = moment_ns(rows.text(columns.start))) {
    if (*start >= *submit) {
      job.start_ns = *start;
    } else {
      ++skipped.started_early;
    }
  }
  read_comment(rows.text(columns.comment), job, intake);
  intake.add(std::move(job));
}

}  // namespace

Result<JobTrace> read_sacct(const Source& source) {
  const std::string_view heading = source.text.substr(0, source.text.find('\n'));
  const bool has_bars = heading.find('|') != std::string_view::npos;
  const bool has_tabs = heading.find('\t') != std::string_view::npos;
  if (!source.text.empty() && !has_bars && !has_tabs) {
    return core::input_error(source.name + ":1", "the heading has no bars between its columns",
                             std::string(kCommand));
  }
  Rows rows(source.text, source.name, {.separator = has_bars ? '|' : '\t'});
  const Columns columns(rows);
  Intake intake(rows, columns.id);
  Skipped skipped;
  while (rows.next()) {
    // A step of a job, "123.batch".
    if (rows.text(columns.id).find('.') != std::string_view::npos) continue;
    read_job(rows, columns, intake, skipped);
  }
  skipped.note(intake);
  return intake.finish(Origin::kEarliest);
}

}  // namespace penstock::trace::internal
