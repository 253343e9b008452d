#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "penstock/core/interrupt.h"
#include "penstock/profile/internal/setting.h"
#include "penstock/profile/link_fit.h"

namespace penstock::profile {
namespace {

// Of each counted step the time of the sum: since the last rank was there, until the last one had
// it. The ranks share one machine and its clock.
std::vector<double> sum_times(const train::RunRecord& record, std::int64_t warmup) {
  std::vector<double> times;
  std::size_t steps = record.ranks.front().steps.size();
  for (const train::RankRecord& rank : record.ranks) steps = std::min(steps, rank.steps.size());
  for (auto i = static_cast<std::size_t>(warmup); i < steps; ++i) {
    std::int64_t begin_ns = 0;
    std::int64_t end_ns = 0;
    for (const train::RankRecord& rank : record.ranks) {
      const train::StepRecord& step = rank.steps[i];
      const std::int64_t summed_ns = step.end_ns - step.optimizer_ns;
      begin_ns = std::max(begin_ns, summed_ns - step.exposed_ns);
      end_ns = std::max(end_ns, summed_ns);
    }
    times.push_back(static_cast<double>(end_ns - begin_ns) * 1e-9);
  }
  return times;
}

// What is known of a size after some rounds.
struct Timed {
  std::vector<double> times;
  double sent_bytes = 0;
};

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
  profile.options.steps = (options.repetitions + 1) / 2;  // of a round
  profile.options.warmup = options.warmup;
  PENSTOCK_TRY(const std::unique_ptr<internal::Setting> setting,
               internal::Setting::prepare(profile));
  LinkMeasurement measured;
  measured.nodes_made_by = profile.link_text;
  measured.notes = profile.notes;
  const RunKind kind = options.nodes > 1 ? RunKind::kNodes : RunKind::kRanks;
  // A size that a busy moment of the host fell on is timed again at another one.
  std::vector<std::int64_t> order = options.sizes;
  order.insert(order.end(), options.sizes.rbegin(), options.sizes.rend());
  std::map<std::int64_t, Timed> timed;
  for (std::size_t i = 0; i < order.size() && !measured.interrupted; ++i) {
    measured.interrupted = core::interrupted();
    if (measured.interrupted) break;
    if (options.progress) fmt::print(stderr, "    {} B\n", order[i]);
    setting->set_gradients({order[i]});
    PENSTOCK_TRY(const train::RunRecord record, setting->run(kind, static_cast<int>(i)));
    measured.interrupted = record.interrupted;
    const std::vector<double> times = sum_times(record, options.warmup);
    if (times.empty()) continue;
    Timed& one = timed[order[i]];
    one.times.insert(one.times.end(), times.begin(), times.end());
    one.sent_bytes = static_cast<double>(record.ranks.front().steps.back().sent_bytes);
  }
  for (const auto& [size, one] : timed) {
    measured.points.push_back({size, undisturbed_time(one.times)});
    measured.sent_bytes.push_back(one.sent_bytes);
  }
  // One size tells nothing of latency and bandwidth.
  if (measured.points.size() < 2 && measured.interrupted) {
    return core::negative("link", "interrupted before two sizes were measured");
  }
  return measured;
}

}  // namespace penstock::profile
