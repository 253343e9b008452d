#include "penstock/profile/tests/simulated_pipeline.h"

#include <algorithm>

#include "penstock/core/check.h"

namespace penstock::profile {

std::vector<StageTimes> simulate_pipeline(const std::vector<PipelineStage>& stages,
                                          std::int64_t batches) {
  PENSTOCK_CHECK(!stages.empty());
  const std::size_t count = stages.size();
  const auto total = static_cast<std::size_t>(batches);
  std::vector<StageTimes> times(count);
  // When a server of the stage is rid of the batch: at its end, or when the queue has room.
  std::vector<std::vector<double>> left(count, std::vector<double>(total));
  for (StageTimes& stage : times) {
    stage.begin_s.resize(total);
    stage.end_s.resize(total);
  }
  for (std::size_t i = 0; i < total; ++i) {
    for (std::size_t j = 0; j < count; ++j) {
      const auto servers = static_cast<std::size_t>(stages[j].servers);
      double begin = j == 0 ? 0 : left[j - 1][i];
      if (i >= servers) begin = std::max(begin, left[j][i - servers]);
      times[j].begin_s[i] = begin;
      times[j].end_s[i] = begin + stages[j].service_s(static_cast<std::int64_t>(i));
      left[j][i] = times[j].end_s[i];
      if (i > 0) left[j][i] = std::max(left[j][i], left[j][i - 1]);  // in order
      // Room behind this stage: batch i enters the queue when batch i - queue has begun downstream.
      const auto queue = static_cast<std::size_t>(stages[j].queue);
      if (j + 1 < count && i >= queue) {
        left[j][i] = std::max(left[j][i], times[j + 1].begin_s[i - queue]);
      }
    }
  }
  return times;
}

std::vector<double> step_periods(const StageTimes& last, std::int64_t warmup) {
  std::vector<double> periods;
  for (auto i = static_cast<std::size_t>(std::max<std::int64_t>(1, warmup)); i < last.end_s.size();
       ++i) {
    periods.push_back(last.end_s[i] - last.end_s[i - 1]);
  }
  return periods;
}

}  // namespace penstock::profile
