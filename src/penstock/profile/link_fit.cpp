#include "penstock/profile/link_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "penstock/core/check.h"

namespace penstock::profile {

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
  // t = u + v S, each row divided by t: minimise sum (u/t + v S/t - 1)^2.
  double uu = 0, uv = 0, vv = 0, u1 = 0, v1 = 0;
  for (const LinkPoint& point : points) {
    const double a = 1 / point.time_s;
    const double b = static_cast<double>(point.bytes) / point.time_s;
    uu += a * a;
    uv += a * b;
    vv += b * b;
    u1 += a;
    v1 += b;
  }
  const double determinant = uu * vv - uv * uv;
  double u = (u1 * vv - v1 * uv) / determinant;
  double v = (v1 * uu - u1 * uv) / determinant;
  if (u < 0) {
    u = 0;
    v = v1 / vv;
  }
  if (!(v > 0)) {
    return core::negative("link", "larger messages took no longer than small ones",
                          "use larger --sizes; at these, only latency shows");
  }
  LinkFit fit;
  fit.model.alpha_s = u / (2.0 * (ranks - 1));
  fit.model.beta_bytes_per_s = bus_factor(CollectiveKind::kAllReduce, ranks) / v;
  std::vector<double> errors;
  for (const LinkPoint& point : points) {
    const double fitted = u + v * static_cast<double>(point.bytes);
    errors.push_back(std::abs(fitted - point.time_s) / point.time_s);
  }
  std::sort(errors.begin(), errors.end());
  fit.worst_error = errors.back();
  fit.median_error = errors[errors.size() / 2];
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
