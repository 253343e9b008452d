// A training pipeline of emulated components with known rates, in simulated time.
//
//   const auto times = simulate_pipeline({fetch, prep, step}, 200);
//   const std::vector<double> steps = step_periods(times.back(), 50);
//
// fetch -> queue -> prep -> queue -> step, each with its servers and bounded queues: what an
// accelerator without hardware, a loader without files and a disk without bytes would do. It stands
// in for real runs where the arithmetic of stalls is to be checked.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace penstock::profile {

struct PipelineStage {
  std::function<double(std::int64_t)> service_s;  // of batch i
  int servers = 1;
  int queue = 4;  // batches that may wait behind it for the next stage
};

struct StageTimes {
  std::vector<double> begin_s;  // by batch
  std::vector<double> end_s;
};

// The last stage's output leaves at once. A server that finds the queue behind it full waits with
// its batch in hand. Batches keep their order.
std::vector<StageTimes> simulate_pipeline(const std::vector<PipelineStage>& stages,
                                          std::int64_t batches);

// Periods of the last stage: end(i) - end(i-1), without the first `warmup`.
std::vector<double> step_periods(const StageTimes& last, std::int64_t warmup);

}  // namespace penstock::profile
