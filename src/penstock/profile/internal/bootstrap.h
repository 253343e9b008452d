// Means of dependent observations and their variation, by resampling blocks.
#pragma once

#include <vector>

#include "penstock/core/random.h"
#include "penstock/profile/stalls.h"

namespace penstock::profile::internal {

double mean_of(const std::vector<double>& values);

// One resampled mean: whole blocks of neighbouring values, n^(1/3) long and circular, so that
// bursts of slow steps stay together (Politis and Romano, 1992).
double block_bootstrap_mean(const std::vector<double>& values, core::RandomStream& random);

// Student's t with `degrees` of freedom.
double student_t(int degrees, core::RandomStream& random);

// The difference of two means over runs of steps, with its interval: steps are resampled in blocks
// within each run, and every run is moved by a run effect of `run_to_run` times `scale`.
Interval mean_difference(const std::vector<std::vector<double>>& later,
                         const std::vector<std::vector<double>>& earlier, double scale,
                         double run_to_run, const BootstrapOptions& options);

// The central interval of replicates around a point estimate.
Interval central_interval(double value, std::vector<double> replicates, double confidence);

}  // namespace penstock::profile::internal
