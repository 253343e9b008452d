// Order statistics of a sample.
//
//   const double typical = median(times);
//   const double undisturbed = quantile(times, 0.1);
#pragma once

#include <vector>

namespace penstock::core {

// Linear between the two nearest values (type 7 of Hyndman and Fan, 1996). `share` is in [0, 1];
// there must be a value.
double quantile(std::vector<double> values, double share);
double median(std::vector<double> values);

}  // namespace penstock::core
