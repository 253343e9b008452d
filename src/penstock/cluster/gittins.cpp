#include "penstock/cluster/gittins.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "penstock/core/check.h"
#include "penstock/core/file.h"

namespace penstock::cluster {

GittinsIndex::GittinsIndex(std::vector<double> services) {
  std::sort(services.begin(), services.end());
  PENSTOCK_CHECK(services.size() > 0u);
  PENSTOCK_CHECK(services.front() > 0);
  const std::size_t count = services.size();
  points_.resize(count + 1);
  double completed = 0;
  for (std::size_t k = 1; k <= count; ++k) {
    const double service = services[k - 1];
    completed += service;
    points_[k] = {service, completed + static_cast<double>(count - k) * service, 0};
  }
  // Lower hulls of all suffixes at once: a corner stays the successor of the points before it until
  // a later point lies above the line.
  for (std::size_t k = count; k-- > 0;) {
    std::size_t next = k + 1;
    const auto slope = [&](std::size_t to) {
      return (points_[to].spent - points_[k].spent) / static_cast<double>(to - k);
    };
    while (next < count) {
      const auto further = static_cast<std::size_t>(points_[next].next);
      if (slope(further) > slope(next)) break;
      next = further;
    }
    points_[k].next = static_cast<std::int32_t>(next);
  }
}

// A job that stops at the k-th sample costs (spent_k - spent) per (k - done) completions, all of it
// over those that were not done: the slope from where it stands to the k-th point. The least slope
// touches the hull of the points to come.
double GittinsIndex::cost(double attained) const {
  const auto above =
      std::upper_bound(points_.begin() + 1, points_.end(), attained,
                       [](double a, const Point& point) { return a < point.service; });
  if (above == points_.end()) return std::numeric_limits<double>::infinity();
  auto k = static_cast<std::size_t>(above - points_.begin());
  const std::size_t done = k - 1;
  const std::size_t count = points_.size() - 1;
  // From the attained service on: the samples to come get it one and all.
  const double spent =
      points_[done].spent + static_cast<double>(count - done) * (attained - points_[done].service);
  const auto slope = [&](std::size_t to) {
    return (points_[to].spent - spent) / static_cast<double>(to - done);
  };
  double least = slope(k);
  while (k < count) {
    k = static_cast<std::size_t>(points_[k].next);
    const double further = slope(k);
    if (further > least) break;
    least = further;
  }
  return least;
}

Result<std::vector<double>> read_services(const std::string& path) {
  PENSTOCK_TRY(const std::string text, core::read_file(path));
  std::vector<double> services;
  std::vector<Error> errors;
  std::string_view rest = text;
  for (int line = 1; !rest.empty(); ++line) {
    const std::size_t end = rest.find('\n');
    std::string_view row = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (row.ends_with('\r')) row.remove_suffix(1);
    double value = 0;
    const auto [stop, status] = std::from_chars(row.data(), row.data() + row.size(), value);
    const bool is_number = status == std::errc() && stop == row.data() + row.size();
    if (is_number && std::isfinite(value) && value > 0) {
      services.push_back(value);
    } else if (line > 1 || is_number) {
      errors.push_back(core::input_error(fmt::format("{}:{}", path, line),
                                         fmt::format("\"{}\" is no number of seconds above 0", row),
                                         "write one number a line")
                           .value());
    }
  }
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
  if (services.empty()) {
    return core::input_error(path, "holds no service time", "write one number of seconds a line");
  }
  return services;
}

}  // namespace penstock::cluster
