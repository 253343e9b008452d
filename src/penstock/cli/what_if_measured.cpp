#include "penstock/cli/internal/what_if_measured.h"

#include <fmt/format.h>

#include <cmath>

#include "penstock/core/statistics.h"
#include "penstock/core/table.h"
#include "penstock/version.h"

namespace penstock::cli::internal {
namespace {

using core::Json;
using core::Table;
using profile::CachePolicy;
using profile::ThrottledCase;
using profile::ValidationCase;

constexpr auto kRight = Table::Align::kRight;

double error_of(double predicted, double measured) { return std::abs(predicted / measured - 1); }

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

double median_error(const std::vector<ValidationCase>& cases, double ValidationCase::*predicted) {
  std::vector<double> errors;
  for (const ValidationCase& one : cases) errors.push_back(error_of(one.*predicted, one.measured));
  return core::median(std::move(errors));
}

Status show_throttled(const char* what, const std::vector<ThrottledCase>& cases,
                      const OutputOptions& output) {
  Table table({{"throttle"}, {"measured", kRight}, {"predicted", kRight}, {"off", kRight}});
  Json points = Json::array();
  std::vector<double> errors;
  for (const ThrottledCase& one : cases) {
    errors.push_back(error_of(one.predicted, one.measured));
    table.add_row({one.conditions, fmt::format("{:.1f}/s", one.measured),
                   fmt::format("{:.1f}/s", one.predicted), percent(errors.back())});
    points.push_back({{"conditions", one.conditions},
                      {"measured_samples_per_s", one.measured},
                      {"predicted_samples_per_s", one.predicted},
                      {"error", errors.back()}});
  }
  const double median = core::median(errors);
  return output.emit({{"schema", "penstock-what-if-validation/1"},
                      {"version", kVersion},
                      {"of", what},
                      {"median_error", median},
                      {"cases", std::move(points)}},
                     table.text() + fmt::format("\nmedian error {}\n", percent(median)));
}

}  // namespace

Status show_page_cache(const profile::PageCacheOptions& options, const OutputOptions& output) {
  PENSTOCK_TRY(const std::vector<profile::PageCacheMeasurement> measured,
               profile::measure_page_cache(options));
  Table table({{"fits", kRight},
               {"measured", kRight},
               {"page cache, simulated", kRight},
               {"LRU", kRight},
               {"MinIO", kRight}});
  Json points = Json::array();
  for (const profile::PageCacheMeasurement& one : measured) {
    const double pages = hit_ratio(CachePolicy::kPageCache, one.fraction);
    const double lru = profile::lru_hit_ratio(one.fraction);
    table.add_row({fmt::format("{:.3f}", one.fraction), fmt::format("{:.3f}", one.hits),
                   fmt::format("{:.3f}", pages), fmt::format("{:.3f}", lru),
                   fmt::format("{:.3f}", one.fraction)});
    points.push_back({{"fraction", one.fraction},
                      {"measured", one.hits},
                      {"simulated", pages},
                      {"lru", lru},
                      {"minio", one.fraction}});
  }
  return output.emit(
      {{"schema", "penstock-page-cache/1"}, {"version", kVersion}, {"points", std::move(points)}},
      table.text());
}

Status show_caches(const profile::ValidationOptions& options, const OutputOptions& output) {
  PENSTOCK_TRY(const std::vector<ValidationCase> cases, profile::validate_caches(options));
  Table table({{"cache"},
               {"fits", kRight},
               {"disk", kRight},
               {"measured", kRight},
               {"predicted", kRight},
               {"off", kRight},
               {"DS-Analyzer", kRight},
               {"off", kRight}});
  Json points = Json::array();
  for (const ValidationCase& one : cases) {
    table.add_row({std::string(cache_policy_name(one.policy)), fmt::format("{:.2f}", one.fraction),
                   core::format_quantity(Bandwidth(one.disk_bytes_per_s)),
                   fmt::format("{:.1f}/s", one.measured), fmt::format("{:.1f}/s", one.predicted),
                   percent(error_of(one.predicted, one.measured)),
                   fmt::format("{:.1f}/s", one.as_ds_analyzer),
                   percent(error_of(one.as_ds_analyzer, one.measured))});
    points.push_back({{"cache", cache_policy_name(one.policy)},
                      {"fraction", one.fraction},
                      {"disk_bytes_per_s", one.disk_bytes_per_s},
                      {"measured_samples_per_s", one.measured},
                      {"predicted_samples_per_s", one.predicted},
                      {"ds_analyzer_samples_per_s", one.as_ds_analyzer}});
  }
  const double ours = median_error(cases, &ValidationCase::predicted);
  const double theirs = median_error(cases, &ValidationCase::as_ds_analyzer);
  return output.emit({{"schema", "penstock-what-if-validation/1"},
                      {"version", kVersion},
                      {"of", "caches"},
                      {"median_error", ours},
                      {"ds_analyzer_median_error", theirs},
                      {"cases", std::move(points)}},
                     table.text() + fmt::format("\nmedian error {}; DS-Analyzer's rule {}\n",
                                                percent(ours), percent(theirs)));
}

Status show_workers(const profile::ValidationOptions& options, const OutputOptions& output) {
  PENSTOCK_TRY(const std::vector<ThrottledCase> cases, profile::validate_workers(options));
  return show_throttled("workers", cases, output);
}

Status show_links(const profile::LinkValidationOptions& options, const OutputOptions& output) {
  PENSTOCK_TRY(const std::vector<ThrottledCase> cases, profile::validate_links(options));
  return show_throttled("links", cases, output);
}

}  // namespace penstock::cli::internal
