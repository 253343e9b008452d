#include "penstock/trace/internal/pollux_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <vector>

#include "penstock/core/file.h"
#include "penstock/trace/internal/rows.h"

namespace penstock::trace::internal {
namespace {

// "24": two on one node, four on another. 0 if it is no placement.
int replicas_of(std::string_view placement) {
  int replicas = 0;
  for (const char c : placement) {
    if (c < '1' || c > '9') return 0;
    replicas += c - '0';
  }
  return replicas;
}

std::int64_t divided_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

void PolluxSteps::put(int replicas, std::int64_t local_batch, Time time) {
  const auto [entry, is_new] = times_[replicas].emplace(local_batch, time);
  if (!is_new && time.step < entry->second.step) entry->second = time;
}

Status PolluxSteps::read_table(const std::string& path, bool has_placements) {
  PENSTOCK_TRY(const std::string text, core::read_file(path));
  Rows rows(text, path, {.has_quotes = true});
  const int replicas = rows.column(has_placements ? "placement" : "num_replicas");
  const int local_batch = rows.column("local_bsz");
  const int step = rows.column("step_time");
  const int sync = rows.column("sync_time");
  while (rows.next()) {
    int n = 0;
    if (has_placements) {
      n = replicas_of(rows.text(replicas));
      if (n == 0)
        rows.wrong(replicas, "is no placement", "write a digit from 1 to 9 for each node");
    } else {
      n = rows.accelerators(replicas);
    }
    const std::int64_t local = rows.count(local_batch, 1, 1 << 30);
    const Time time{rows.number(step), rows.number(sync)};
    if (rows.is_good()) put(n, local, {time.step, std::min(time.sync, time.step)});
  }
  if (rows.has_errors()) return core::fail(rows.error());
  return {};
}

Result<PolluxSteps> PolluxSteps::read(const std::string& folder, const std::string& application) {
  PolluxSteps steps;
  steps.application_ = application;
  const std::string stem = folder + "/" + application;
  PENSTOCK_TRY_STATUS(steps.read_table(stem + "_placements.csv", true));
  const Status more = steps.read_table(stem + "_scalability.csv", false);
  if (!more && more.error().kind != ErrorKind::kMissing) return core::fail(more.error());
  return steps;
}

Result<double> PolluxSteps::step_s(std::int32_t replicas, std::int32_t batch) const {
  const auto found = times_.find(replicas);
  if (found == times_.end()) {
    std::vector<int> measured;
    for (const auto& [n, curve] : times_) measured.push_back(n);
    return core::input_error(
        "", fmt::format("{} was not measured on {} replicas", application_, replicas),
        fmt::format("measured are {}", fmt::join(measured, ", ")));
  }
  const std::map<std::int64_t, Time>& curve = found->second;
  const std::int64_t whole = divided_up(batch, replicas);
  const std::int64_t passes = divided_up(whole, curve.rbegin()->first);
  const std::int64_t local = divided_up(whole, passes);
  const auto above = curve.lower_bound(local);
  Time time = above->second;  // not past the end: local is at most the largest
  if (above != curve.begin() && above->first != local) {
    const auto below = std::prev(above);
    const double part = static_cast<double>(local - below->first) /
                        static_cast<double>(above->first - below->first);
    time.step = below->second.step + part * (above->second.step - below->second.step);
    time.sync = below->second.sync + part * (above->second.sync - below->second.sync);
  }
  return time.step + static_cast<double>(passes - 1) * (time.step - time.sync);
}

}  // namespace penstock::trace::internal
