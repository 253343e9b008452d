// Muri's traces and those of the Tiresias simulator, from which Muri's columns come: the one counts
// milliseconds and has resource times, the other counts seconds and has none.
#include <algorithm>

#include "penstock/trace/internal/exact.h"
#include "penstock/trace/internal/intake.h"
#include "penstock/trace/internal/readers.h"

namespace penstock::trace::internal {
namespace {

// resource_time_2 is the network's busy time in an iteration. It is divided by the iteration's time
// and not by the sum of the three resource times, because they overlap: in the published traces the
// sum reaches 1.78 iterations, and the first alone 1.09.
float network_share(Rows& rows, int iteration_time, int network_time) {
  const std::int64_t iteration = rows.duration_ns(iteration_time, kMilliDigits);
  const std::int64_t network = rows.time_ns(network_time, kMilliDigits);
  const double share = static_cast<double>(network) / static_cast<double>(iteration);
  return static_cast<float>(std::min(share, 1.0));
}

Result<JobTrace> read(const Source& source, int digits, bool has_resources,
                      bool work_from_iterations) {
  Rows rows(source.text, source.name, {.has_quotes = true});
  const int id = rows.column("job_id");
  const int gpus = rows.column("num_gpu");
  const int submit = rows.column("submit_time");
  const int iterations = rows.column("iterations");
  const int model = rows.column("model_name");
  const int duration = rows.column("duration");
  const int batch = rows.column_if("batch_size");
  const int iteration_time = has_resources ? rows.column("iteration_time") : -1;
  const int network_time = has_resources ? rows.column("resource_time_2") : -1;
  Intake intake(rows, id);
  while (rows.next()) {
    TrainingJob job;
    job.accelerators = rows.accelerators(gpus);
    job.submit_ns = rows.time_ns(submit, digits);
    job.iterations = rows.count(iterations, 1, kMostIterations);
    job.model = intake.model(rows.text(model));
    if (batch >= 0) job.batch = static_cast<std::int32_t>(rows.count(batch, 1, kMostBatch));
    job.duration_ns = rows.duration_ns(duration, digits);
    if (work_from_iterations) {
      const std::int64_t iteration = rows.duration_ns(iteration_time, kMilliDigits);
      if (job.iterations > kLongest / std::max<std::int64_t>(iteration, 1)) {
        rows.wrong(iterations, "iterations times iteration_time lie beyond 100 years",
                   "mend one of them");
      } else {
        job.duration_ns = job.iterations * iteration;
      }
    }
    if (has_resources) job.network_share = network_share(rows, iteration_time, network_time);
    intake.add(std::move(job));
  }
  return intake.finish(Origin::kEarliest);
}

}  // namespace

Result<JobTrace> read_muri(const Source& source) {
  return read(source, kMilliDigits, true, source.format.work_from_iterations);
}

Result<JobTrace> read_tiresias(const Source& source) {
  return read(source, kSecondDigits, false, false);
}

}  // namespace penstock::trace::internal
