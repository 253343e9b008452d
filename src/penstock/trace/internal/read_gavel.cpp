// Gavel's traces and those of its successor Shockwave: values between tabs, no heading, and a
// number of columns that tells the layout.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "penstock/trace/internal/exact.h"
#include "penstock/trace/internal/gavel_rates.h"
#include "penstock/trace/internal/intake.h"
#include "penstock/trace/internal/readers.h"

namespace penstock::trace::internal {
namespace {

using Names = std::vector<std::string>;

// Gavel's traces for its physical cluster; the same without the working directory, as its
// simulator reads them (utils.py, parse_trace); and those made from Microsoft's trace (msr).
const std::vector<Names>& gavel_layouts() {
  static const std::vector<Names> kLayouts = {
      {"job_type", "command", "working_directory", "steps_argument", "needs_data", "total_steps",
       "scale_factor", "priority", "slo", "arrival"},
      {"job_type", "command", "steps_argument", "needs_data", "total_steps", "scale_factor",
       "priority", "slo", "arrival"},
      {"job_type", "command", "steps_argument", "needs_data", "total_steps", "arrival",
       "scale_factor"},
  };
  return kLayouts;
}

const std::vector<Names>& shockwave_layouts() {
  static const std::vector<Names> kLayouts = {
      {"job_type", "command", "working_directory", "steps_argument", "needs_data", "total_steps",
       "scale_factor", "mode", "priority", "slo", "duration", "arrival"},
  };
  return kLayouts;
}

// The traces made from Microsoft's alone have neither priority nor SLO. Their steps are the Philly
// duration times the rate of ONE device, whatever the scale factor: against the durations of the
// same jobs in ElasticFlow's philly_103959.csv, steps per second are the same at scale 1, 2 and 4
// for every job type. So they are divided by the rate of one device; there is no measured rate for
// a good part of their scale factors anyway.
bool counts_steps_of_one_device(const Rows& rows) { return rows.column_if("priority") < 0; }

// Names the columns by their number; a file of another layout is an error.
Status choose_layout(Rows& rows, const std::vector<Names>& layouts, const std::string& format) {
  const std::size_t cells = rows.cells_of_first_row();
  if (cells == 0) return {};
  std::vector<std::size_t> widths;
  for (const Names& names : layouts) {
    if (names.size() == cells) {
      rows.name_columns(names);
      return {};
    }
    widths.push_back(names.size());
  }
  return core::input_error(rows.file() + ":1", fmt::format("{} values between tabs", cells),
                           fmt::format("the format {} has {}", format, fmt::join(widths, ", or ")));
}

struct JobType {
  std::string_view model;
  std::int32_t batch = 0;
};

// "ResNet-50 (batch size 64)"; some types have no batch.
std::optional<JobType> parse_job_type(std::string_view text) {
  constexpr std::string_view kBatch = " (batch size ";
  const std::size_t at = text.find(kBatch);
  if (at == std::string_view::npos) return JobType{text, 0};
  const std::string_view rest = text.substr(at + kBatch.size());
  JobType type{text.substr(0, at), 0};
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), type.batch);
  if (error != std::errc() || type.batch < 1 || end != rest.data() + rest.size() - 1 ||
      *end != ')') {
    return std::nullopt;
  }
  return type;
}

// What both formats say in the same way.
struct Columns {
  explicit Columns(Rows& rows)
      : job_type(rows.column("job_type")),
        steps(rows.column("total_steps")),
        scale(rows.column("scale_factor")),
        arrival(rows.column("arrival")),
        slo(rows.column_if("slo")) {}
  int job_type, steps, scale, arrival, slo;
};

TrainingJob read_job(Rows& rows, const Columns& columns, Intake& intake) {
  TrainingJob job;
  const auto type = parse_job_type(rows.text(columns.job_type));
  if (!type || type->model.empty()) {
    rows.wrong(columns.job_type, "is no job type", "write it as \"ResNet-50 (batch size 64)\"");
  } else {
    job.model = intake.model(type->model);
    job.batch = type->batch;
  }
  job.iterations = rows.count(columns.steps, 1, kMostIterations);
  job.accelerators = rows.accelerators(columns.scale);
  job.submit_ns = rows.time_ns(columns.arrival, kSecondDigits);
  return job;
}

void note_slos(Intake& intake, std::size_t slos) {
  if (slos == 0) return;
  intake.note(fmt::format(
      "{} with an SLO, which the format does not define as a time: no deadline is read from it",
      slos == 1 ? "1 job" : fmt::format("{} jobs", slos)));
}

bool has_slo(const Rows& rows, const Columns& columns) {
  const std::string_view slo = rows.text(columns.slo);
  return !slo.empty() && !slo.starts_with('-');
}

}  // namespace

Result<JobTrace> read_gavel(const Source& source) {
  if (source.format.throughputs.empty()) {
    return core::input_error(source.name, "counts work in steps, which take no time by themselves",
                             "give Gavel's simulation_throughputs.json as --throughputs FILE");
  }
  PENSTOCK_TRY(const GavelRates rates,
               GavelRates::read(source.format.throughputs, source.format.device));
  Rows rows(source.text, source.name, {.separator = '\t', .has_heading = false});
  PENSTOCK_TRY_STATUS(choose_layout(rows, gavel_layouts(), "gavel"));
  const Columns columns(rows);
  Intake intake(rows, -1);
  const bool is_of_one = counts_steps_of_one_device(rows);
  std::size_t slos = 0;
  while (rows.next()) {
    TrainingJob job = read_job(rows, columns, intake);
    if (rows.is_good()) {
      const auto rate = rates.steps_per_second(std::string(rows.text(columns.job_type)),
                                               is_of_one ? 1 : job.accelerators);
      if (!rate) {
        rows.wrong(-1, rate.error().message, rate.error().mend);
      } else {
        const double ns = static_cast<double>(job.iterations) / *rate * 1e9;
        if (ns < 1 || ns > static_cast<double>(kLongest)) {
          rows.wrong(columns.steps, "takes no time, or over 100 years", "check the number");
        } else {
          job.duration_ns = std::llround(ns);
        }
      }
    }
    if (has_slo(rows, columns)) ++slos;
    intake.add(std::move(job));
  }
  note_slos(intake, slos);
  return intake.finish(Origin::kEarliest);
}

Result<JobTrace> read_shockwave(const Source& source) {
  Rows rows(source.text, source.name, {.separator = '\t', .has_heading = false});
  PENSTOCK_TRY_STATUS(choose_layout(rows, shockwave_layouts(), "shockwave"));
  const Columns columns(rows);
  const int duration = rows.column("duration");
  Intake intake(rows, -1);
  std::size_t slos = 0;
  while (rows.next()) {
    TrainingJob job = read_job(rows, columns, intake);
    job.duration_ns = rows.duration_ns(duration, kSecondDigits);
    if (has_slo(rows, columns)) ++slos;
    intake.add(std::move(job));
  }
  note_slos(intake, slos);
  return intake.finish(Origin::kEarliest);
}

}  // namespace penstock::trace::internal
