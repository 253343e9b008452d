#include "penstock/trace/internal/gavel_rates.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "penstock/core/json.h"
#include "penstock/core/nearest.h"

namespace penstock::trace::internal {
namespace {

// "('LM (batch size 5)', 2)", a tuple as Python prints it.
std::optional<std::pair<std::string, int>> job_key(std::string_view key) {
  if (!key.starts_with("('") || !key.ends_with(')')) return std::nullopt;
  const std::size_t quote = key.rfind("', ");
  if (quote == std::string_view::npos || quote < 2) return std::nullopt;
  const std::string_view digits = key.substr(quote + 3, key.size() - quote - 4);
  int scale = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), scale);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return std::pair(std::string(key.substr(2, quote - 2)), scale);
}

std::vector<std::string> keys(const core::Json& object) {
  std::vector<std::string> names;
  for (const auto& [key, value] : object.items()) names.push_back(key);
  return names;
}

}  // namespace

Result<GavelRates> GavelRates::read(const std::string& path, const std::string& device) {
  PENSTOCK_TRY(const core::Json document, core::read_json(path));
  if (!document.is_object() || !document.contains(device) || !document[device].is_object()) {
    const std::vector<std::string> devices = document.is_object() ? keys(document) : keys({});
    return core::input_error(path, fmt::format("no rates for the device \"{}\"", device),
                             fmt::format("it has {}", fmt::join(devices, ", ")));
  }
  GavelRates rates;
  rates.device_ = device;
  for (const auto& [key, entry] : document[device].items()) {
    const auto job = job_key(key);
    if (!job || !entry.is_object() || !entry.contains("null") || !entry["null"].is_number()) {
      return core::input_error(fmt::format("{}: {}.{}", path, device, key),
                               "is no job type with a rate alone",
                               "write \"('TYPE', SCALE)\": {\"null\": STEPS_PER_SECOND}");
    }
    std::map<int, double>& scales = rates.rates_[job->first];
    if (scales.empty()) rates.job_types_.push_back(job->first);
    scales[job->second] = entry["null"].get<double>();
  }
  return rates;
}

Result<double> GavelRates::steps_per_second(const std::string& job_type, int scale_factor) const {
  const auto scales = rates_.find(job_type);
  if (scales == rates_.end()) {
    const std::string nearest = core::did_you_mean(job_type, job_types_);
    return core::input_error(
        "", fmt::format("the job type \"{}\" has no measured rate on {}", job_type, device_),
        nearest.empty() ? "add it to the file of rates" : nearest);
  }
  const auto rate = scales->second.find(scale_factor);
  if (rate == scales->second.end()) {
    std::vector<int> measured;
    for (const auto& [scale, steps] : scales->second) measured.push_back(scale);
    return core::input_error("",
                             fmt::format("\"{}\" has no measured rate at scale factor {} on {}",
                                         job_type, scale_factor, device_),
                             fmt::format("measured are {}", fmt::join(measured, ", ")));
  }
  if (!std::isfinite(rate->second) || rate->second <= 0) {
    return core::input_error("",
                             fmt::format("\"{}\" at scale factor {} ran at {} steps per second on "
                                         "{}: it does not fit there",
                                         job_type, scale_factor, rate->second, device_),
                             "name another device");
  }
  return rate->second;
}

}  // namespace penstock::trace::internal
