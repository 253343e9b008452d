#include "penstock/loader/internal/live_fit.h"

#include <algorithm>

namespace penstock::loader::internal {

bool fit_costs(const LoaderWindow& window, JobModel& model) {
  const train::LoaderCounters& a = window.begin.counters;
  const train::LoaderCounters& b = window.end.counters;
  const double samples = window.loaded();
  constexpr double kFewest = 16;
  if (samples < kFewest || b.cpu_ns <= a.cpu_ns) return false;
  const auto each = [&](std::int64_t from, std::int64_t to) {
    return static_cast<double>(to - from) / samples;
  };
  model.cpu_per_sample = Seconds(each(a.cpu_ns, b.cpu_ns) * 1e-9);
  model.bytes_per_sample = Bytes(each(a.bytes, b.bytes));
  const double bytes = model.bytes_per_sample.value();
  model.hit_ratio =
      bytes > 0 ? std::clamp(1 - each(a.disk_bytes, b.disk_bytes) / bytes, 0.0, 1.0) : 0;
  // Reading from memory is processor time too and is counted above; only storage makes one wait.
  const double fetch = each(a.fetch_ns, b.fetch_ns) * 1e-9 * (1 - model.hit_ratio);
  model.curve.sample_time = model.cpu_per_sample + Seconds(fetch);
  return true;
}

Probe probe_of(const LoaderWindow& window, int workers) {
  const auto busy = [](const train::LoaderCounters& c) {
    return static_cast<double>(c.fetch_ns + c.prep_ns) * 1e-9;
  };
  const double time = busy(window.end.counters) - busy(window.begin.counters);
  return {workers, time > 0 ? workers * window.loaded() / time : 0};
}

}  // namespace penstock::loader::internal
