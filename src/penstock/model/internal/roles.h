// Which plain graph inputs are fed with data and which are parameters, and which operand slots hold
// weights: by use, because exports without weights list both alike.
#pragma once

#include <string>
#include <vector>

#include "penstock/model/internal/graph_index.h"

namespace penstock::model::internal {

enum class Slot {
  kData,       // an activation where it is computed from data; else a trained or constant operand
  kWeight,     // trained wherever it comes from
  kStatistic,  // kept with the weights, not trained
  kControl,    // sizes, bounds, initial states: never trained
};
Slot slot_of(const std::string& operator_type, std::size_t slot);

struct Roles {
  std::vector<bool> is_data;  // by tensor: a plain graph input that is fed with data
  std::vector<std::string> warnings;
};
Roles assign_roles(const GraphIndex& index);

}  // namespace penstock::model::internal
