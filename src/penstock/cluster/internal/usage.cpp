#include "penstock/cluster/internal/usage.h"

#include <algorithm>
#include <cmath>

#include "penstock/core/check.h"

namespace penstock::cluster::internal {

TimeBins::TimeBins(Time begin, Time end, std::size_t bins)
    : begin_(begin),
      end_(end),
      width_ns_(double((end - begin).ns) / double(bins)),
      parts_(bins),
      change_(bins + 1) {
  PENSTOCK_CHECK(begin < end);
}

void TimeBins::add(Time from, Time to, double value) {
  from = std::max(from, begin_);
  to = std::min(to, end_);
  if (from >= to) return;
  const double a = double((from - begin_).ns) / width_ns_;
  const double b = double((to - begin_).ns) / width_ns_;
  const auto first = std::min(parts_.size() - 1, std::size_t(a));
  const auto last = std::min(parts_.size() - 1, std::size_t(b));
  if (first == last) {
    parts_[first] += value * (b - a);
    return;
  }
  parts_[first] += value * (double(first + 1) - a);
  parts_[last] += value * (b - double(last));
  change_[first + 1] += value;
  change_[last] -= value;
}

std::vector<double> TimeBins::means() const {
  std::vector<double> means(parts_);
  double whole = 0;
  for (std::size_t i = 0; i < means.size(); ++i) {
    whole += change_[i];
    means[i] += whole;
  }
  return means;
}

Usage usage(const trace::JobTrace& trace, const Topology& cluster, const SimulationResult& result,
            Time begin, Time end, std::size_t bins) {
  std::vector<TimeBins> busy(kTiers, TimeBins(begin, end, bins));
  TimeBins pending_jobs(begin, end, bins);
  TimeBins wanted(begin, end, bins);
  for (const JobOutcome& outcome : result.outcomes) {
    const trace::TrainingJob& job = trace.jobs[std::size_t(outcome.job)];
    pending_jobs.add({job.submit_ns}, outcome.end, 1);
    wanted.add({job.submit_ns}, outcome.end, job.accelerators);
  }
  for (const Episode& episode : result.episodes) {
    const double accelerators = trace.jobs[std::size_t(episode.job)].accelerators;
    const auto tier = std::size_t(tier_of(cluster, episode.placement));
    busy[tier].add(episode.start, episode.end, accelerators);
    pending_jobs.add(episode.start, episode.end, -1);
    wanted.add(episode.start, episode.end, -accelerators);
  }
  Usage out;
  for (std::size_t tier = 0; tier < kTiers; ++tier) out.busy[tier] = busy[tier].means();
  out.pending_jobs = pending_jobs.means();
  out.wanted = wanted.means();
  return out;
}

}  // namespace penstock::cluster::internal
