#include "penstock/core/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "penstock/core/check.h"

namespace penstock::core {

double quantile(std::vector<double> values, double share) {
  PENSTOCK_CHECK(!values.empty());
  PENSTOCK_CHECK(share >= 0);
  PENSTOCK_CHECK(share <= 1);
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], place - std::floor(place));
}

double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

}  // namespace penstock::core
