#include "penstock/cluster/internal/pollux_profiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <functional>
#include <numeric>

#include "penstock/cluster/internal/known_models.h"
#include "penstock/cluster/internal/log_axis.h"
#include "penstock/core/file.h"

namespace penstock::cluster {
namespace {

using Model = PolluxProfiles::Model;
using Curve = PolluxProfiles::Curve;
namespace fs = std::filesystem;

constexpr std::string_view kPlacements = "_placements.csv";
constexpr std::string_view kScalability = "_scalability.csv";

// Rows that stand for one point are averaged: orders of one multiset.
struct Sum {
  StepTime total;
  int rows = 0;
};
template <typename Key>
using Sums = std::map<Key, std::map<int, Sum>>;

template <typename T>
bool parse(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> cells;
  while (true) {
    const std::size_t comma = line.find(',');
    cells.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

// Calls `row` with each line's cells; an answer that is not empty is an error of that line.
Status read_rows(const std::string& path, const std::string& header,
                 const std::function<std::string(const std::vector<std::string_view>&)>& row) {
  PENSTOCK_TRY(const std::string text, core::read_file(path));
  std::vector<Error> errors;
  std::string_view rest = text;
  const std::size_t columns = split(header).size();
  for (int number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const std::string where = fmt::format("{}:{}", path, number);
    if (number == 1) {
      if (line != header) return core::input_error(where, "columns are not \"" + header + "\"");
      continue;
    }
    const std::vector<std::string_view> cells = split(line);
    std::string wrong = cells.size() == columns
                            ? row(cells)
                            : fmt::format("has {} cells, not {}", cells.size(), columns);
    if (!wrong.empty()) errors.push_back(core::input_error(where, std::move(wrong)).value());
  }
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
  return {};
}

bool parse_times(std::string_view step, std::string_view sync, StepTime& time) {
  return parse(step, time.step_s) && parse(sync, time.sync_s) && std::isfinite(time.step_s) &&
         time.step_s > 0 && time.sync_s >= 0 && time.sync_s <= time.step_s;
}

void add(std::map<int, Sum>& curve, int batch, const StepTime& time) {
  Sum& sum = curve[batch];
  sum.total.step_s += time.step_s;
  sum.total.sync_s += time.sync_s;
  ++sum.rows;
}

template <typename Key>
void average(const Sums<Key>& sums, std::map<Key, Curve>& curves) {
  for (const auto& [key, batches] : sums) {
    for (const auto& [batch, sum] : batches) {
      curves[key][batch] = {sum.total.step_s / sum.rows, sum.total.sync_s / sum.rows};
    }
  }
}

Result<Model> read_model(const fs::path& folder, const std::string& name) {
  Sums<std::vector<int>> placements;
  Sums<std::pair<int, int>> scaling;
  PENSTOCK_TRY_STATUS(read_rows(
      (folder / (name + std::string(kPlacements))).string(),
      "placement,local_bsz,step_time,sync_time", [&](const auto& cells) -> std::string {
        std::vector<int> counts;
        for (const char digit : cells[0]) counts.push_back(digit - '0');
        const bool digits = std::all_of(counts.begin(), counts.end(),
                                        [](int count) { return count >= 1 && count <= 9; });
        int batch = 0;
        StepTime time;
        if (counts.empty() || !digits) return "placement is not a digit for each node";
        if (!parse(cells[1], batch) || batch < 1) return "local_bsz is not a number above 0";
        if (!parse_times(cells[2], cells[3], time)) return "times are not 0 <= sync <= step";
        std::sort(counts.begin(), counts.end(), std::greater<>());
        add(placements[counts], batch, time);
        const int all = std::accumulate(counts.begin(), counts.end(), 0);
        add(scaling[{static_cast<int>(counts.size()), all}], batch, time);
        return "";
      }));
  const fs::path more = folder / (name + std::string(kScalability));
  if (fs::exists(more)) {
    PENSTOCK_TRY_STATUS(
        read_rows(more.string(), "num_nodes,num_replicas,local_bsz,step_time,sync_time",
                  [&](const auto& cells) -> std::string {
                    int nodes = 0, all = 0, batch = 0;
                    StepTime time;
                    if (!parse(cells[0], nodes) || !parse(cells[1], all) ||
                        !parse(cells[2], batch) || nodes < 1 || all < nodes || batch < 1) {
                      return "num_nodes, num_replicas and local_bsz are not counts";
                    }
                    if (!parse_times(cells[3], cells[4], time)) {
                      return "times are not 0 <= sync <= step";
                    }
                    add(scaling[{nodes, all}], batch, time);
                    return "";
                  }));
  }
  if (placements.empty()) {
    return core::input_error((folder / (name + std::string(kPlacements))).string(), "has no row");
  }
  Model model;
  model.name = name;
  average(placements, model.placements);
  average(scaling, model.scaling);
  return model;
}

StepTime mix(const StepTime& a, const StepTime& b, double part_b) {
  return {a.step_s + (b.step_s - a.step_s) * part_b, a.sync_s + (b.sync_s - a.sync_s) * part_b};
}

StepTime at_batch(const Curve& curve, double batch) {
  const auto [low, high] = around(curve, batch);
  return mix(low->second, high->second, log_part(low->first, high->first, batch));
}

// Curves at the accelerators per node that were measured on `nodes` nodes.
std::map<double, const Curve*> curves_of(const Model& model, int nodes) {
  std::map<double, const Curve*> curves;
  for (const auto& [point, curve] : model.scaling) {
    if (point.first == nodes) curves[static_cast<double>(point.second) / nodes] = &curve;
  }
  return curves;
}

double mean_count(const std::vector<int>& counts) {
  return std::accumulate(counts.begin(), counts.end(), 0.0) / static_cast<double>(counts.size());
}

// The measured curves around a placement: at most two numbers of nodes, two densities each.
struct Corner {
  const Curve* curve = nullptr;
  double weight = 0;
};

std::vector<Corner> corners(const Model& model, const std::vector<int>& counts) {
  std::map<int, int> nodes;
  for (const auto& [point, curve] : model.scaling) nodes[point.first] = 0;
  const double wanted = static_cast<double>(counts.size());
  const auto [few, many] = around(nodes, wanted);
  const double part = log_part(few->first, many->first, wanted);
  std::vector<Corner> result;
  for (const auto& [number, weight] :
       {std::pair(few->first, 1 - part), std::pair(many->first, part)}) {
    if (weight <= 0) continue;
    const std::map<double, const Curve*> curves = curves_of(model, number);
    const double density = mean_count(counts);
    const auto [low, high] = around(curves, density);
    const double dense = log_part(low->first, high->first, density);
    if (dense < 1) result.push_back({low->second, weight * (1 - dense)});
    if (dense > 0) result.push_back({high->second, weight * dense});
  }
  return result;
}

}  // namespace

Result<PolluxProfiles> PolluxProfiles::read(const std::string& folder) {
  std::error_code code;
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, code)) {
    const std::string file = entry.path().filename().string();
    if (file.size() <= kPlacements.size() || !file.ends_with(kPlacements)) continue;
    names.push_back(file.substr(0, file.size() - kPlacements.size()));
  }
  if (code) {
    return core::missing_error(folder, "cannot be listed: " + code.message(),
                               "name the folder of <model>_placements.csv");
  }
  if (names.empty()) {
    return core::missing_error(folder, "holds no <model>_placements.csv",
                               "name the folder of measured placements");
  }
  std::sort(names.begin(), names.end());
  PolluxProfiles profiles;
  for (const std::string& name : names) {
    PENSTOCK_TRY(Model model, read_model(folder, name));
    profiles.models_.push_back(std::move(model));
  }
  return profiles;
}

const Model* PolluxProfiles::find(std::string_view plain) const {
  for (const Model& model : models_) {
    if (plain_name(model.name) == plain) return &model;
  }
  return nullptr;
}

std::pair<double, double> batch_range(const Model& model, const std::vector<int>& counts) {
  if (const auto exact = model.placements.find(counts); exact != model.placements.end()) {
    return {exact->second.begin()->first, exact->second.rbegin()->first};
  }
  std::pair<double, double> range{1, 1e18};
  for (const Corner& corner : corners(model, counts)) {
    range.first = std::max<double>(range.first, corner.curve->begin()->first);
    range.second = std::min<double>(range.second, corner.curve->rbegin()->first);
  }
  return range;
}

std::optional<StepTime> measured_step(const Model& model, const std::vector<int>& counts,
                                      double batch) {
  const auto exact = model.placements.find(counts);
  if (exact == model.placements.end()) return std::nullopt;
  return at_batch(exact->second, batch);
}

StepTime interpolated_step(const Model& model, const std::vector<int>& counts, double batch) {
  StepTime sum;
  for (const Corner& corner : corners(model, counts)) {
    const StepTime step = at_batch(*corner.curve, batch);
    sum.step_s += corner.weight * step.step_s;
    sum.sync_s += corner.weight * step.sync_s;
  }
  return sum;
}

double usual_batch(const Model& model) {
  const Curve& curve = model.placements.begin()->second;
  return std::next(curve.begin(), static_cast<std::ptrdiff_t>(curve.size() / 2))->first;
}

}  // namespace penstock::cluster
