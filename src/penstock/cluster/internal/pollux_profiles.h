// Step times that Pollux's authors measured for every placement on up to 4 nodes of 4 T4, and for
// equal ones on 6 to 16 nodes.
//
//   PENSTOCK_TRY(const PolluxProfiles profiles, PolluxProfiles::read(folder));
//   const std::optional<StepTime> step = profiles.step(*profiles.find("bert"), {2, 2}, 8);
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "penstock/core/result.h"

namespace penstock::cluster {

struct StepTime {
  double step_s = 0;
  double sync_s = 0;  // the part of it that waits for gradients
};

class PolluxProfiles {
 public:
  // By the batch of one accelerator, ascending.
  using Curve = std::map<int, StepTime>;
  struct Model {
    std::string name;
    std::map<std::vector<int>, Curve> placements;  // by accelerators per node, descending
    std::map<std::pair<int, int>, Curve> scaling;  // by nodes and accelerators; `placements` too
  };

  // `folder` holds <model>_placements.csv and, where measured, <model>_scalability.csv.
  static Result<PolluxProfiles> read(const std::string& folder);
  const std::vector<Model>& models() const { return models_; }
  const Model* find(std::string_view plain) const;

 private:
  std::vector<Model> models_;  // by name
};

// The batches that were measured for a placement, or for those that it is interpolated from.
std::pair<double, double> batch_range(const PolluxProfiles::Model& model,
                                      const std::vector<int>& counts);
// Of the exact placement, between the nearest batches measured.
std::optional<StepTime> measured_step(const PolluxProfiles::Model& model,
                                      const std::vector<int>& counts, double batch);
// Between the nearest numbers of nodes and of accelerators per node measured; where a node holds
// more than any measured, as with the most that was.
StepTime interpolated_step(const PolluxProfiles::Model& model, const std::vector<int>& counts,
                           double batch);
// The batch in the middle of those measured.
double usual_batch(const PolluxProfiles::Model& model);

}  // namespace penstock::cluster
