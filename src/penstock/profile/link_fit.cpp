#include "penstock/profile/link_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "penstock/core/check.h"
#include "penstock/core/statistics.h"

namespace penstock::profile {
namespace {

// time = start + slope x bytes.
struct Line {
  double start = 0;
  double slope = 0;
};

// Weighted least squares of relative errors: each row of t = u + v S is divided by t, to minimise
// sum w (u/t + v S/t - 1)^2.
Line weighted_line(const std::vector<LinkPoint>& points, const std::vector<double>& weights) {
  double uu = 0, uv = 0, vv = 0, u1 = 0, v1 = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double a = 1 / points[i].time_s;
    const double b = static_cast<double>(points[i].bytes) / points[i].time_s;
    uu += weights[i] * a * a;
    uv += weights[i] * a * b;
    vv += weights[i] * b * b;
    u1 += weights[i] * a;
    v1 += weights[i] * b;
  }
  const double determinant = uu * vv - uv * uv;
  const Line line{(u1 * vv - v1 * uv) / determinant, (v1 * uu - u1 * uv) / determinant};
  return line.start < 0 ? Line{0, v1 / vv} : line;
}

// Relative, without sign.
std::vector<double> errors_of(const Line& line, const std::vector<LinkPoint>& points) {
  std::vector<double> errors;
  for (const LinkPoint& point : points) {
    const double fitted = line.start + line.slope * static_cast<double>(point.bytes);
    errors.push_back(std::abs(fitted - point.time_s) / point.time_s);
  }
  return errors;
}

// Huber's estimate by least squares with the weights of the last round's errors.
Line fit_line(const std::vector<LinkPoint>& points) {
  constexpr int kRounds = 50;
  constexpr double kSigmas = 1.345;          // 95 % as efficient as least squares on normal errors
  constexpr double kSigmaOfMedian = 1.4826;  // of the absolute error of normal ones
  std::vector<double> weights(points.size(), 1.0);
  Line line = weighted_line(points, weights);
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<double> errors = errors_of(line, points);
    const double bound = kSigmas * kSigmaOfMedian * core::median(errors);
    for (std::size_t i = 0; i < points.size(); ++i) {
      weights[i] = errors[i] > bound && bound > 0 ? bound / errors[i] : 1;
    }
    line = weighted_line(points, weights);
  }
  return line;
}

}  // namespace

double bus_factor(CollectiveKind kind, int ranks) {
  PENSTOCK_CHECK(ranks >= 1);
  const double others = static_cast<double>(ranks - 1) / ranks;
  switch (kind) {
    case CollectiveKind::kAllReduce:
      return 2 * others;
    case CollectiveKind::kAllGather:
    case CollectiveKind::kReduceScatter:
    case CollectiveKind::kAllToAll:
      return others;
    case CollectiveKind::kBroadcast:
    case CollectiveKind::kReduce:
    case CollectiveKind::kSendReceive:
      break;
  }
  return 1;
}

Bandwidth algorithm_bandwidth(const LinkPoint& point) {
  return Bandwidth(static_cast<double>(point.bytes) / point.time_s);
}

Bandwidth bus_bandwidth(const LinkPoint& point, CollectiveKind kind, int ranks) {
  return algorithm_bandwidth(point) * bus_factor(kind, ranks);
}

double undisturbed_time(const std::vector<double>& repetitions) {
  return core::quantile(repetitions, 0.1);
}

Result<LinkFit> fit_link(const std::vector<LinkPoint>& points, int ranks) {
  if (ranks < 2) return core::input_error("link", "one rank sends nothing", "use --ranks 2");
  std::set<std::int64_t> sizes;
  for (const LinkPoint& point : points) {
    if (!(point.time_s > 0)) {
      return core::input_error("link",
                               fmt::format("{} bytes took {} s", point.bytes, point.time_s));
    }
    sizes.insert(point.bytes);
  }
  if (sizes.size() < 2) {
    return core::input_error("link", "latency and bandwidth need two sizes", "add one to --sizes");
  }
  const Line line = fit_line(points);
  if (!(line.slope > 0)) {
    return core::negative("link", "larger messages took no longer than small ones",
                          "use larger --sizes; at these, only latency shows");
  }
  LinkFit fit;
  fit.model.alpha_s = line.start / (2.0 * (ranks - 1));
  fit.model.beta_bytes_per_s = bus_factor(CollectiveKind::kAllReduce, ranks) / line.slope;
  const std::vector<double> errors = errors_of(line, points);
  fit.worst_error = *std::max_element(errors.begin(), errors.end());
  fit.median_error = core::median(errors);
  return fit;
}

LinkVerdict judge_link(const LinkFit& fit, const LinkPoint& largest, int ranks,
                       const std::string& link, Bandwidth expected) {
  constexpr double kNormal = 0.8;
  constexpr double kStraight = 0.1;
  LinkVerdict verdict;
  const bool straight = fit.median_error <= kStraight;
  const Bandwidth found = straight ? Bandwidth(fit.model.beta_bytes_per_s)
                                   : bus_bandwidth(largest, CollectiveKind::kAllReduce, ranks);
  verdict.fraction = found / expected;
  verdict.normal = verdict.fraction >= kNormal;
  const std::string measured = fmt::format(
      "{}{} is {:.0f} % of the {} that {} promises", straight ? "" : "the largest message's ",
      core::format_quantity(found), verdict.fraction * 100, core::format_quantity(expected), link);
  verdict.text = verdict.normal ? "normal: " + measured
                                : "below normal: " + measured +
                                      "; look for another route, a busy host or a shared link";
  return verdict;
}

}  // namespace penstock::profile
