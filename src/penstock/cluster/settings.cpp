#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>
#include <variant>

#include "penstock/cluster/policy.h"
#include "penstock/core/check.h"
#include "penstock/core/nearest.h"

namespace penstock::cluster {
namespace {

using Member =
    std::variant<Time Settings::*, double Settings::*, std::int64_t Settings::*, bool Settings::*>;

struct Row {
  Parameter parameter;
  Member member;
};

constexpr double kYear = 365.0 * 86400;

// The largest unit in which the time is a whole number, so that set() reads the same time.
std::string time_text(Time time) {
  constexpr std::array<std::pair<const char*, std::int64_t>, 7> kUnits = {
      {{"d", 86'400'000'000'000},
       {"h", 3'600'000'000'000},
       {"min", 60'000'000'000},
       {"s", 1'000'000'000},
       {"ms", 1'000'000},
       {"us", 1'000},
       {"ns", 1}}};
  if (time.ns == 0) return "0 s";
  for (const auto& [unit, ns] : kUnits) {
    if (time.ns % ns == 0) return fmt::format("{} {}", time.ns / ns, unit);
  }
  return "";
}

Time time_of(double seconds) { return {std::llround(seconds * 1e9)}; }

Row time_row(const char* name, const char* initial, double max, const char* meaning,
             Time Settings::*member, double min = 0) {
  return {{name, "time", initial, min, max, meaning}, member};
}

std::vector<Row> make_rows() {
  std::vector<Row> rows;
  rows.push_back(time_row("delay-node", "1 h", kYear,
                          "how long a job declines what is not within one node (manual; the "
                          "default of auto)",
                          &Settings::delay_node));
  rows.push_back(time_row("delay-rack", "2 h", kYear,
                          "and then how long what is not within one rack", &Settings::delay_rack));
  rows.push_back(time_row("slurm-wait", "300 s", kYear,
                          "slurm: the time of --switches=1@time (Slurm's max_switch_wait is 300 s)",
                          &Settings::slurm_wait));
  rows.push_back({{"price-cap", "number", "8", 0, 1000,
                   "priced: no wait is longer than so many manual delays"},
                  &Settings::price_cap});
  rows.push_back(time_row("las-limit-0", "3250 s", 10 * kYear,
                          "accelerator-time at which a job leaves the first queue (Tiresias)",
                          &Settings::las_limit_0));
  rows.push_back(time_row("las-limit-1", "7200 s", 10 * kYear,
                          "accelerator-time at which a job leaves the second queue",
                          &Settings::las_limit_1));
  rows.push_back(time_row("quantum", "60 s", kYear,
                          "how often las and gittins compare the jobs that run", &Settings::quantum,
                          1e-3));
  rows.push_back(time_row("min-run", "2 min", kYear,
                          "a job is not preempted before it has run so long (default: twice the "
                          "cost of a restart)",
                          &Settings::min_run));
  rows.push_back(
      time_row("checkpoint", "30 s", kYear, "what it takes to save a job", &Settings::checkpoint));
  rows.push_back(time_row("restore", "30 s", kYear, "what it takes to start a saved job again",
                          &Settings::restore));
  rows.push_back({{"migrate", "yes or no", "no", 0, 1,
                   "move a running job to a closer tier that has become free"},
                  &Settings::migrate});
  rows.push_back(time_row("migrate-margin", "60 s", kYear,
                          "what a migration must save above its own cost",
                          &Settings::migrate_margin));
  rows.push_back({{"whole-nodes", "yes or no", "no", 0, 1,
                   "a job larger than a node takes whole nodes, as batch systems give them"},
                  &Settings::whole_nodes});
  rows.push_back(time_row("reserve-after", "0 s", kYear,
                          "nodes are held back for a job that has declined for so long; 0 s: never",
                          &Settings::reserve_after));
  rows.push_back({{"tuner-quantile", "number", "0.9", 0.01, 0.999,
                   "auto: the part of jobs that would get the closer tier within the delay"},
                  &Settings::tuner_quantile});
  rows.push_back(
      {{"tuner-window", "count", "32", 1, 10000, "the delays come from the last so many waits"},
       &Settings::tuner_window});
  rows.push_back(time_row("tuner-age", "24 h", 10 * kYear, "and from none that ended longer ago",
                          &Settings::tuner_age, 1e-3));
  rows.push_back({{"tuner-confidence", "count", "8", 1, 10000,
                   "with fewer waits than this the delays are the manual ones"},
                  &Settings::tuner_confidence});
  rows.push_back({{"skew", "number", "0.5", 0, 1,
                   "tiresias: a job is consolidated from this part of its bytes in one tensor on"},
                  &Settings::skew});
  return rows;
}

const std::vector<Row>& rows() {
  static const std::vector<Row> all = make_rows();
  return all;
}

std::string range_text(const Parameter& parameter) {
  if (parameter.unit != "time") return fmt::format("{} to {}", parameter.min, parameter.max);
  return time_text(time_of(parameter.min)) + " to " + time_text(time_of(parameter.max));
}

Status check_range(const Parameter& parameter, std::string_view text, double value) {
  if (value >= parameter.min && value <= parameter.max) return {};
  return core::input_error(parameter.name, fmt::format("\"{}\" is out of range", text),
                           "give " + range_text(parameter));
}

template <typename Number>
Status set_number(Number& value, const Parameter& parameter, std::string_view text) {
  Number number{};
  const auto [stop, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto as_double = static_cast<double>(number);
  if (status != std::errc() || stop != text.data() + text.size() || !std::isfinite(as_double)) {
    return core::input_error(parameter.name, fmt::format("\"{}\" is no {}", text, parameter.unit),
                             "give " + range_text(parameter));
  }
  PENSTOCK_TRY_STATUS(check_range(parameter, text, as_double));
  value = number;
  return {};
}

Status set_value(double& value, const Parameter& parameter, std::string_view text) {
  return set_number(value, parameter, text);
}

Status set_value(std::int64_t& value, const Parameter& parameter, std::string_view text) {
  return set_number(value, parameter, text);
}

Status set_value(bool& value, const Parameter& parameter, std::string_view text) {
  if (text != "yes" && text != "no") {
    return core::input_error(parameter.name, fmt::format("\"{}\" is neither yes nor no", text),
                             "give yes or no");
  }
  value = text == "yes";
  return {};
}

Status set_value(Time& value, const Parameter& parameter, std::string_view text) {
  Result<Seconds> seconds = core::parse_quantity<Seconds>(text);
  if (!seconds) {
    Error error = std::move(seconds).error();
    error.where = parameter.name;
    return core::fail(std::move(error));
  }
  PENSTOCK_TRY_STATUS(check_range(parameter, text, seconds->value()));
  value = time_of(seconds->value());
  return {};
}

std::string value_text(double value) { return fmt::format("{}", value); }
std::string value_text(std::int64_t value) { return fmt::format("{}", value); }
std::string value_text(bool value) { return value ? "yes" : "no"; }
std::string value_text(Time value) { return time_text(value); }

const Row* find_row(std::string_view name) {
  const auto found = std::find_if(rows().begin(), rows().end(),
                                  [&](const Row& row) { return row.parameter.name == name; });
  return found == rows().end() ? nullptr : &*found;
}

Status set_row(Settings& settings, const Row& row, std::string_view text) {
  return std::visit([&](auto member) { return set_value(settings.*member, row.parameter, text); },
                    row.member);
}

}  // namespace

const std::vector<Parameter>& parameter_table() {
  static const std::vector<Parameter> table = [] {
    std::vector<Parameter> parameters;
    for (const Row& row : rows()) parameters.push_back(row.parameter);
    return parameters;
  }();
  return table;
}

Settings::Settings() {
  for (const Row& row : rows()) {
    PENSTOCK_CHECK(set_row(*this, row, row.parameter.initial).has_value());
  }
}

Status Settings::set(std::string_view name, std::string_view text) {
  if (const Row* row = find_row(name)) return set_row(*this, *row, text);
  std::vector<std::string> names;
  std::string list;
  for (const Row& row : rows()) {
    names.push_back(row.parameter.name);
    list += (list.empty() ? "" : ", ") + row.parameter.name;
  }
  const std::string near = core::did_you_mean(name, names);
  return core::input_error("policy", fmt::format("unknown parameter \"{}\"", name),
                           near.empty() ? "use one of " + list : near);
}

std::string Settings::text(std::string_view name) const {
  const Row* row = find_row(name);
  PENSTOCK_CHECK(row != nullptr);
  return std::visit([&](auto member) { return value_text(this->*member); }, row->member);
}

}  // namespace penstock::cluster
