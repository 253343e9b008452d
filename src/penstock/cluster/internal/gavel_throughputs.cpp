#include "penstock/cluster/internal/gavel_throughputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <regex>

#include "penstock/cluster/internal/log_axis.h"
#include "penstock/core/json.h"

namespace penstock::cluster {
namespace {

constexpr const char* kApart = "_unconsolidated";

struct Label {
  std::string model;
  int batch = 0;  // 0: the model has one
  int accelerators = 0;
  auto operator<=>(const Label&) const = default;
};

// "('ResNet-18 (batch size 16)', 2)"
std::optional<Label> parse_label(const std::string& text) {
  static const std::regex kLabel(R"(\('([^'(]*?)(?: \(batch size (\d{1,6})\))?', (\d{1,4})\))");
  std::smatch parts;
  if (!std::regex_match(text, parts, kLabel)) return std::nullopt;
  return Label{parts[1], parts[2].matched ? std::stoi(parts[2]) : 0, std::stoi(parts[3])};
}

// Steps per second with nothing else on the accelerators.
Result<std::map<Label, double>> read_alone(const core::Json& device, const std::string& where) {
  if (!device.is_object()) return core::input_error(where, "is not an object of jobs");
  std::map<Label, double> alone;
  for (const auto& [key, pairs] : device.items()) {
    const std::optional<Label> label = parse_label(key);
    if (!label) {
      return core::input_error(where, fmt::format("\"{}\" is not (model, accelerators)", key));
    }
    PENSTOCK_TRY(alone[*label],
                 core::json_member<double>(pairs, "null", fmt::format("{}.{}", where, key)));
  }
  return alone;
}

}  // namespace

Result<GavelThroughputs> GavelThroughputs::read(const std::string& path) {
  PENSTOCK_TRY(const core::Json json, core::read_json(path));
  GavelThroughputs result;
  if (!json.is_object()) return core::input_error(path, "is not an object of devices");
  for (const auto& [device, jobs] : json.items()) {
    const std::string apart_key = device + kApart;
    if (!json.contains(apart_key)) continue;
    PENSTOCK_TRY(const auto together, read_alone(jobs, path + ": " + device));
    PENSTOCK_TRY(const auto apart, read_alone(json.at(apart_key), path + ": " + apart_key));
    for (const auto& [label, rate] : together) {
      const auto spread = apart.find(label);
      const auto single = together.find({label.model, label.batch, 1});
      // 0 steps per second: it did not fit in memory.
      if (label.accelerators < 2 || rate <= 0 || spread == apart.end() || spread->second <= 0 ||
          single == together.end() || single->second <= 0) {
        continue;
      }
      // The file counts the steps of all accelerators together.
      const double efficiency = rate / (label.accelerators * single->second);
      result.curves_[{device, label.model}][label.accelerators][label.batch] = {
          std::max(1.0, rate / spread->second), std::min(1.0, efficiency)};
    }
  }
  if (result.curves_.empty()) {
    return core::input_error(path, "has no device with and without \"" + std::string(kApart) + "\"",
                             "name Gavel's simulation_throughputs.json");
  }
  return result;
}

bool GavelThroughputs::knows(const std::string& device) const {
  return std::any_of(curves_.begin(), curves_.end(),
                     [&](const auto& entry) { return entry.first.first == device; });
}

std::optional<GavelRatio> GavelThroughputs::ratio(const std::string& device,
                                                  const std::string& model, int accelerators,
                                                  double batch) const {
  const auto found = curves_.find({device, model});
  if (found == curves_.end()) return std::nullopt;
  const auto [few, many] = around(found->second, accelerators);
  GavelRatio ratio{.slowdown = 0, .compute_share = 0};
  ratio.measured = few->first == accelerators;
  const double part = log_part(few->first, many->first, accelerators);
  for (const auto& [curve, weight] :
       {std::pair(&few->second, 1 - part), std::pair(&many->second, part)}) {
    const double size =
        batch > 0
            ? batch
            : std::next(curve->begin(), static_cast<std::ptrdiff_t>(curve->size() / 2))->first;
    const auto [small, large] = around(*curve, size);
    const double along = log_part(small->first, large->first, size);
    const Point& a = small->second;
    const Point& b = large->second;
    ratio.slowdown += weight * (a.slowdown + along * (b.slowdown - a.slowdown));
    ratio.compute_share += weight * (a.compute_share + along * (b.compute_share - a.compute_share));
    if (size < curve->begin()->first || size > curve->rbegin()->first) ratio.measured = false;
  }
  return ratio;
}

}  // namespace penstock::cluster
