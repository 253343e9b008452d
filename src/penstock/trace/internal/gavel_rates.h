// Gavel's file of measured steps per second: device > "('ResNet-18 (batch size 16)', 1)" > "null"
// for the job alone, or the key of a second job that shares the device.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "penstock/core/result.h"

namespace penstock::trace::internal {

class GavelRates {
 public:
  static Result<GavelRates> read(const std::string& path, const std::string& device);
  // Alone and consolidated, on that many devices; above 0. The error has no place.
  Result<double> steps_per_second(const std::string& job_type, int scale_factor) const;

 private:
  std::string device_;
  std::map<std::string, std::map<int, double>, std::less<>> rates_;
  std::vector<std::string> job_types_;
};

}  // namespace penstock::trace::internal
