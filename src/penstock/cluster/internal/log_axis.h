// Interpolation between measured points on a logarithmic axis: batches and counts grow by factors.
#pragma once

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace penstock::cluster {

// Where `x` lies between `low` and `high`, in [0, 1].
inline double log_part(double low, double high, double x) {
  if (high <= low || low <= 0) return 0;
  return std::clamp(std::log(x / low) / std::log(high / low), 0.0, 1.0);
}

// The last point of a map at or below `x` and the first at or above it; twice the end where there
// is none. The map is not empty.
template <typename Map>
auto around(const Map& map, double x) {
  const auto high = std::find_if(map.begin(), map.end(), [x](const auto& point) {
    return static_cast<double>(point.first) >= x;
  });
  if (high == map.end()) return std::pair(std::prev(high), std::prev(high));
  const bool end = high == map.begin() || static_cast<double>(high->first) <= x;
  return std::pair(end ? high : std::prev(high), high);
}

}  // namespace penstock::cluster
