#include "penstock/profile/internal/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "penstock/core/statistics.h"

namespace penstock::profile::internal {

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double block_bootstrap_mean(const std::vector<double>& values, core::RandomStream& random) {
  const std::size_t count = values.size();
  const auto block = static_cast<std::size_t>(std::ceil(std::cbrt(static_cast<double>(count))));
  double sum = 0;
  for (std::size_t taken = 0; taken < count;) {
    const auto start = static_cast<std::size_t>(random.below(count));
    for (std::size_t i = 0; i < block && taken < count; ++i, ++taken) {
      sum += values[(start + i) % count];
    }
  }
  return sum / static_cast<double>(count);
}

double student_t(int degrees, core::RandomStream& random) {
  double chi_square = 0;
  for (int i = 0; i < degrees; ++i) {
    const double z = random.normal();
    chi_square += z * z;
  }
  return random.normal() / std::sqrt(chi_square / degrees);
}

Interval central_interval(double value, std::vector<double> replicates, double confidence) {
  return {value, core::quantile(replicates, (1 - confidence) / 2),
          core::quantile(replicates, (1 + confidence) / 2)};
}

Interval mean_difference(const std::vector<std::vector<double>>& later,
                         const std::vector<std::vector<double>>& earlier, double scale,
                         double run_to_run, const BootstrapOptions& options) {
  core::RandomStream random(options.seed, "direct");
  const auto mean = [](const std::vector<std::vector<double>>& runs) {
    double sum = 0;
    for (const auto& run : runs) sum += mean_of(run) / static_cast<double>(runs.size());
    return sum;
  };
  const auto resampled = [&](const std::vector<std::vector<double>>& runs) {
    double sum = 0;
    for (const auto& run : runs) {
      sum += block_bootstrap_mean(run, random) + run_to_run * scale * random.normal();
    }
    return sum / static_cast<double>(runs.size());
  };
  std::vector<double> replicates;
  for (int r = 0; r < options.replicates; ++r) {
    replicates.push_back(resampled(later) - resampled(earlier));
  }
  return central_interval(mean(later) - mean(earlier), std::move(replicates), options.confidence);
}

}  // namespace penstock::profile::internal
