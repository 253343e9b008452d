#include "penstock/loader/throughput.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace penstock::loader {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

// Weighted least squares of y = slope x + offset with neither below zero.
struct Line {
  double slope = 0;
  double offset = 0;
};

Line fit_line(const std::vector<double>& x, const std::vector<double>& y,
              const std::vector<double>& weight) {
  double w = 0, wx = 0, wy = 0, wxx = 0, wxy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    w += weight[i];
    wx += weight[i] * x[i];
    wy += weight[i] * y[i];
    wxx += weight[i] * x[i] * x[i];
    wxy += weight[i] * x[i] * y[i];
  }
  const double determinant = w * wxx - wx * wx;
  if (determinant > 1e-12 * w * wxx) {
    const Line line{(w * wxy - wx * wy) / determinant, (wxx * wy - wx * wxy) / determinant};
    if (line.slope >= 0 && line.offset >= 0) return line;
    if (line.slope < 0) return {0, wy / w};
  }
  return {wxy / wxx, 0};
}

WorkerCurve curve_of_sharpness(const std::vector<Probe>& probes, double p) {
  // Rates relative to the largest, so that no power overflows.
  double largest = 0;
  for (const Probe& probe : probes) largest = std::max(largest, probe.rate);
  std::vector<double> x, y, weight;
  for (const Probe& probe : probes) {
    x.push_back(std::pow(probe.workers, -p));
    y.push_back(std::pow(probe.rate / largest, -p));
    // d(r^-p) = -p r^-p (dr / r): equal relative errors of r are in proportion to r^-p.
    weight.push_back(1 / (y.back() * y.back()));
  }
  const Line line = fit_line(x, y, weight);
  WorkerCurve curve;
  curve.sharpness = p;
  // No slope: the ceiling binds from the first worker on, and is all that is known of one.
  curve.sample_time = Seconds(std::pow(line.slope > 0 ? line.slope : line.offset, 1 / p) / largest);
  curve.ceiling = line.offset > 0 ? std::pow(line.offset, -1 / p) * largest : kUnlimited;
  for (const Probe& probe : probes) {
    curve.residuals.push_back(curve.rate(probe.workers) / probe.rate - 1);
  }
  return curve;
}

double squares(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return sum;
}

}  // namespace

double WorkerCurve::rate(double workers) const {
  const double alone = workers / sample_time.value();
  if (!std::isfinite(ceiling)) return alone;
  const double low = std::min(alone, ceiling);
  const double high = std::max(alone, ceiling);
  return low * std::pow(1 + std::pow(low / high, sharpness), -1 / sharpness);
}

Result<WorkerCurve> fit_curve(const std::vector<Probe>& probes) {
  if (probes.empty()) return core::input_error("", "a throughput model needs at least one probe");
  for (const Probe& probe : probes) {
    if (probe.workers < 1 || !(probe.rate > 0) || !std::isfinite(probe.rate)) {
      return core::input_error(
          "", fmt::format("a probe of {} workers saw {} samples/s", probe.workers, probe.rate),
          "probe with at least one worker until samples come");
    }
  }
  // From sharp to soft, so that a knee that no probe tells stays sharp.
  constexpr double kSharpnesses[] = {32, 16, 12, 8, 6, 4, 3, 2, 1.5, 1};
  constexpr double kTelling = 1 - 1e-6;
  WorkerCurve best = curve_of_sharpness(probes, kSharpnesses[0]);
  for (const double sharpness : kSharpnesses) {
    WorkerCurve curve = curve_of_sharpness(probes, sharpness);
    if (squares(curve.residuals) < squares(best.residuals) * kTelling) best = std::move(curve);
  }
  return best;
}

double JobModel::full_rate() const {
  return step.value() > 0
             ? static_cast<double>(accelerators) * static_cast<double>(batch) / step.value()
             : kUnlimited;
}

double JobModel::storage_bytes() const { return bytes_per_sample.value() * (1 - hit_ratio); }

double JobModel::loader_rate(double workers, double cores, Bandwidth storage) const {
  double rate = curve.rate(workers);
  if (cpu_per_sample.value() > 0) rate = std::min(rate, cores / cpu_per_sample.value());
  if (storage_bytes() > 0) rate = std::min(rate, storage.value() / storage_bytes());
  return rate;
}

double JobModel::rate(double workers, double cores, Bandwidth storage) const {
  return std::min(full_rate(), loader_rate(workers, cores, storage));
}

double JobModel::rate(double workers) const {
  return rate(workers, kUnlimited, Bandwidth(kUnlimited));
}

double JobModel::idle_fraction(double rate) const { return 1 - rate / full_rate(); }

int JobModel::workers_for_full_rate() const {
  constexpr double kReached = 0.99;
  const double wanted = kReached * full_rate();
  if (!std::isfinite(wanted) || curve.ceiling < wanted) return 0;
  // The curve increases: bisect between none and a number that reaches the rate.
  int high = 1;
  constexpr int kMost = 1 << 20;
  while (curve.rate(high) < wanted) {
    high *= 2;
    if (high > kMost) return 0;
  }
  int low = high / 2;
  while (high - low > 1) {
    const int middle = low + (high - low) / 2;
    (curve.rate(middle) < wanted ? low : high) = middle;
  }
  return high;
}

}  // namespace penstock::loader
