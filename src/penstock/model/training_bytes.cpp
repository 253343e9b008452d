#include "penstock/model/training_bytes.h"

#include <algorithm>

#include "penstock/core/check.h"

namespace penstock::model {

const std::vector<std::string>& optimizers() {
  static const std::vector<std::string> names = {"sgd", "momentum", "adam"};
  return names;
}

double bytes_per_weight(const std::string& optimizer) {
  constexpr double kWeightAndGradient = 8;
  constexpr double kState = 4;
  const auto found = std::find(optimizers().begin(), optimizers().end(), optimizer);
  PENSTOCK_CHECK(found != optimizers().end());
  // The names are in the order of their number of states.
  return kWeightAndGradient + kState * static_cast<double>(found - optimizers().begin());
}

double bytes_per_element(const std::string& precision) {
  if (precision == "fp8") return 1;
  return precision == "fp32" || precision == "tf32" ? 4 : 2;
}

}  // namespace penstock::model
