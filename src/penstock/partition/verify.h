// Carries a plan out on virtual workers, in double precision, and holds it against the unsplit run
// and against its own prediction: outputs and gradients equal, and every worker received exactly
// the bytes that the plan says.
//
//   PENSTOCK_TRY(VerifyReport report, verify_plan(graph, network, plan, {}));
//   if (!report.ok) ...
//
// The run is on a smaller problem of the same structure: fewer batch items, channels and pixels,
// but as many as the plan's shares need to stay whole items in their ratio. Prediction and
// execution are both of that problem.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/result.h"
#include "penstock/model/graph.h"
#include "penstock/partition/network.h"
#include "penstock/partition/partition.h"

namespace penstock::partition {

struct VerifyOptions {
  std::uint64_t seed = 0;                  // of inputs, parameters and loss
  std::int64_t max_elements = 64'000'000;  // of all tensors of the smaller problem together
  int threads = 0;                         // 0: as many as the machine has
  double tolerance = 1e-12;                // of the relative errors
  std::int64_t lose_element = -1;          // loses that one of all elements moved, to see it caught
};

struct VerifyReport {
  bool ok = false;
  double output_error = 0;  // largest difference to the unsplit run, relative to the largest value
  double gradient_error = 0;  // likewise, of any parameter
  // A side of a split ("all.0.1": the second half of the first half), or a device of a mesh
  // ("all.1/3"). Prediction that is no whole number of bytes counts as wrong.
  struct Worker {
    std::string name;
    std::int64_t received_bytes = 0;
    std::int64_t predicted_bytes = 0;
  };
  std::vector<Worker> workers;
  std::int64_t batch = 0;     // of the smaller problem
  std::int64_t elements = 0;  // of all its tensors
  // Between unlike ratios: not predicted, since the paper's table leaves them out; wrong elsewhere.
  std::int64_t ratio_change_bytes = 0;
  // Gradients of scales behind partial sums, which no mode predicts.
  std::int64_t scale_gradient_bytes = 0;
  std::vector<std::string> notes;
};

// `network` is the graph's, and the plan's. Fails with ErrorKind::kNegative where an operator has
// no execution here, or the plan splits finer than max_elements allow.
Result<VerifyReport> verify_plan(const model::Graph& graph, const Network& network,
                                 const PartitionPlan& plan, const VerifyOptions& options = {});

}  // namespace penstock::partition
