// Steps per second that Gavel's authors measured with a job's accelerators in one node and on
// nodes apart, on V100, P100 and K80.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "penstock/core/result.h"

namespace penstock::cluster {

struct GavelRatio {
  // T(apart) / T(one node). Below 1 the measurement is noise: it is clipped to 1.
  double slowdown = 1;
  double compute_share = 1;  // in one node: what it takes alone over what a step takes together
  bool measured = false;     // for this number of accelerators and within the batches
};

class GavelThroughputs {
 public:
  // simulation_throughputs.json
  static Result<GavelThroughputs> read(const std::string& path);
  bool knows(const std::string& device) const;
  // `batch` of one accelerator; 0: the middle one. Between measured batches and numbers of
  // accelerators on logarithmic axes, beyond them as at the nearest.
  std::optional<GavelRatio> ratio(const std::string& device, const std::string& model,
                                  int accelerators, double batch) const;

 private:
  struct Point {
    double slowdown = 1;
    double compute_share = 1;
  };
  using Curve = std::map<int, Point>;  // by batch
  // By device and model, then number of accelerators.
  std::map<std::pair<std::string, std::string>, std::map<int, Curve>> curves_;
};

}  // namespace penstock::cluster
