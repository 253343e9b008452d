#include "penstock/partition/internal/wide.h"

namespace penstock::partition {

PENSTOCK_WIDE void lower_by(double weight, const double* source, double* target,
                            std::size_t count) {
  for (std::size_t s = 0; s < count; ++s) {
    const double sum = source[s] + weight;
    target[s] = sum < target[s] ? sum : target[s];
  }
}

}  // namespace penstock::partition
