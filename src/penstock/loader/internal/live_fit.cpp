#include "penstock/loader/internal/live_fit.h"

#include <algorithm>

namespace penstock::loader::internal {
namespace {

// What a loader did in a window, or in several.
struct Work {
  double samples = 0;
  double cpu_s = 0;
  double fetch_s = 0;
  double prep_s = 0;
  double bytes = 0;
  double disk_bytes = 0;

  void add(const LoaderWindow& window) {
    const train::LoaderCounters& a = window.begin.counters;
    const train::LoaderCounters& b = window.end.counters;
    samples += window.loaded();
    cpu_s += static_cast<double>(b.cpu_ns - a.cpu_ns) * 1e-9;
    fetch_s += static_cast<double>(b.fetch_ns - a.fetch_ns) * 1e-9;
    prep_s += static_cast<double>(b.prep_ns - a.prep_ns) * 1e-9;
    bytes += static_cast<double>(b.bytes - a.bytes);
    disk_bytes += static_cast<double>(b.disk_bytes - a.disk_bytes);
  }
};

constexpr double kFewestSamples = 16;

}  // namespace

void remember(const LoaderWindow& window, std::vector<LoaderWindow>& windows) {
  constexpr std::size_t kMost = 4;
  std::erase_if(windows, [&](const LoaderWindow& w) { return w.workers == window.workers; });
  if (windows.size() == kMost) windows.erase(windows.begin());
  windows.push_back(window);
}

bool fit_model(const std::vector<LoaderWindow>& windows, JobModel& model) {
  Work all;
  for (const LoaderWindow& window : windows) all.add(window);
  if (all.samples < kFewestSamples || all.cpu_s <= 0) return false;
  const double cpu = all.cpu_s / all.samples;
  const double hits = all.bytes > 0 ? std::clamp(1 - all.disk_bytes / all.bytes, 0.0, 1.0) : 0;
  std::vector<Probe> probes;
  for (const LoaderWindow& window : windows) {
    Work work;
    work.add(window);
    if (work.samples < kFewestSamples) continue;
    // Reading from memory is processor time too and is counted in it; only storage makes one wait.
    const double wait = work.fetch_s / work.samples * (1 - hits);
    probes.push_back({window.workers, window.workers / (cpu + wait)});
  }
  const Result<WorkerCurve> curve = fit_curve(probes);
  if (!curve) return false;
  model.cpu_per_sample = Seconds(cpu);
  model.bytes_per_sample = Bytes(all.bytes / all.samples);
  model.hit_ratio = hits;
  model.curve = *curve;
  return true;
}

std::optional<double> contended_cores(const std::vector<LoaderWindow>& together) {
  Work all;
  double cores = 0;
  for (const LoaderWindow& window : together) {
    all.add(window);
    cores += window.cores();
  }
  // A worker that decodes without a pause has as much processor time as time.
  constexpr double kWaited = 1.2;
  if (cores <= 0 || all.prep_s < kWaited * all.cpu_s) return std::nullopt;
  return cores;
}

}  // namespace penstock::loader::internal
