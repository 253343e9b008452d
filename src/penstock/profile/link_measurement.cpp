#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "penstock/core/interrupt.h"
#include "penstock/profile/internal/setting.h"
#include "penstock/profile/link_fit.h"

namespace penstock::profile {
namespace {

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Of each counted step the time that the sum took, averaged over ranks.
std::vector<double> sum_times(const train::RunRecord& record, std::int64_t warmup) {
  std::vector<double> times;
  std::size_t steps = record.ranks.front().steps.size();
  for (const train::RankRecord& rank : record.ranks) steps = std::min(steps, rank.steps.size());
  for (auto i = static_cast<std::size_t>(warmup); i < steps; ++i) {
    double sum = 0;
    for (const train::RankRecord& rank : record.ranks) {
      sum += static_cast<double>(rank.steps[i].exposed_ns) * 1e-9;
    }
    times.push_back(sum / static_cast<double>(record.ranks.size()));
  }
  return times;
}

}  // namespace

std::vector<std::int64_t> default_link_sizes() {
  std::vector<std::int64_t> sizes;
  for (std::int64_t size = 8; size <= (64 << 20); size *= 2) sizes.push_back(size);
  return sizes;
}

Result<LinkMeasurement> measure_link(const LinkMeasurementOptions& options) {
  // An accelerator that takes no time and has one gradient: a step is one sum.
  TrainProfile profile;
  profile.options.emulate = EmulatedProfile{"link", 1, Seconds(0), 0, 0, 0};
  profile.options.batch = 1;
  profile.options.ranks = options.ranks;
  profile.options.nodes = options.nodes;
  profile.options.link = options.link;
  profile.options.delay = options.delay;
  profile.options.nodes_in_transport = options.in_transport;
  profile.options.transport = train::Transport::kRing;
  profile.options.overlap = false;
  profile.options.steps = options.repetitions;
  profile.options.warmup = options.warmup;
  PENSTOCK_TRY(const std::unique_ptr<internal::Setting> setting,
               internal::Setting::prepare(profile));
  LinkMeasurement measured;
  measured.nodes_made_by = profile.link_text;
  measured.notes = profile.notes;
  const RunKind kind = options.nodes > 1 ? RunKind::kNodes : RunKind::kRanks;
  for (const std::int64_t size : options.sizes) {
    if (core::interrupted()) {
      measured.interrupted = true;
      break;
    }
    if (options.progress) fmt::print(stderr, "    {} B\n", size);
    setting->set_gradients({size});
    PENSTOCK_TRY(const train::RunRecord record,
                 setting->run(kind, static_cast<int>(measured.points.size())));
    const std::vector<double> times = sum_times(record, options.warmup);
    if (times.empty()) {
      measured.interrupted = record.interrupted;
      break;
    }
    const auto& last = record.ranks.front().steps.back();
    measured.points.push_back({size, median_of(times)});
    measured.sent_bytes.push_back(static_cast<double>(last.sent_bytes));
    if (record.interrupted) {
      measured.interrupted = true;
      break;
    }
  }
  // One size tells nothing of latency and bandwidth.
  if (measured.points.size() < 2 && measured.interrupted) {
    return core::negative("link", "interrupted before two sizes were measured");
  }
  return measured;
}

}  // namespace penstock::profile
