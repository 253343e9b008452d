// Pollux's measured step times: for one application, how long a step takes on a number of replicas
// at a batch per replica, on the fastest placement of those that were measured.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "penstock/core/result.h"

namespace penstock::trace::internal {

class PolluxSteps {
 public:
  // Reads <folder>/<application>_placements.csv and, if it is there, <application>_scalability.csv.
  static Result<PolluxSteps> read(const std::string& folder, const std::string& application);
  // Seconds for one step over `batch` samples in all. A batch per replica between two measured ones
  // is interpolated, one below the smallest takes as long as the smallest, one above the largest
  // accumulates gradients over several passes, of which only the last one communicates (as in
  // applications.py of Pollux). The error has no place.
  Result<double> step_s(std::int32_t replicas, std::int32_t batch) const;

 private:
  struct Time {
    double step = 0;
    double sync = 0;  // part of step
  };
  void put(int replicas, std::int64_t local_batch, Time time);
  Status read_table(const std::string& path, bool has_placements);

  std::string application_;
  std::map<int, std::map<std::int64_t, Time>> times_;  // by replicas, by batch per replica
};

}  // namespace penstock::trace::internal
