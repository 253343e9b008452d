// Which job to serve for the most completions per accelerator-second, when all that is known of the
// jobs is the law of their service: Gittins' index over an empirical law.
//
//   const GittinsIndex law({600, 600, 86400});   // seconds; two of three jobs are short
//   law.cost(0)     // 900 s per completion: serve 600 s, and two of three are done
//   law.cost(600)   // 85800 s: what is left is long
//
// The index of a job that has attained a is the supremum over d of P(S - a <= d | S > a) over
// E[min(S - a, d) | S > a]; the cost is one over it. Gittins, Glazebrook and Weber, Multi-Armed
// Bandit Allocation Indices, chapter 7; Tiresias (NSDI 2019, section 3.2) serves by it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/result.h"

namespace penstock::cluster {

class GittinsIndex {
 public:
  // Services above 0, in any order; at least one.
  explicit GittinsIndex(std::vector<double> services);

  // Service to give for one completion, at the best stopping point; infinite from the largest
  // sample on, where the law says nothing. Smaller goes first. Logarithmic in the samples, plus the
  // corners of a hull that are usually few.
  double cost(double attained) const;

 private:
  // With k of n samples completed: each sample, the service that all got (those that last longer
  // have as much as the k-th), and the next corner of the lower convex hull of (k, spent).
  struct Point {
    double service = 0;
    double spent = 0;
    std::int32_t next = 0;
  };
  std::vector<Point> points_;  // point k is the k-th smallest sample; point 0 is the origin
};

// One number of seconds a line, the first line may be a heading. Every bad line is reported.
Result<std::vector<double>> read_services(const std::string& path);

}  // namespace penstock::cluster
