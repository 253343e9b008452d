// The Philly trace of Microsoft in two forms: the job table that Pollux and ElasticFlow derived
// from it, and ElasticFlow's traces of one virtual cluster, with models and deadlines attached.
#include "penstock/trace/internal/exact.h"
#include "penstock/trace/internal/intake.h"
#include "penstock/trace/internal/readers.h"

namespace penstock::trace::internal {
namespace {

// timestamp,duration,num_gpus,gpu_time,cluster
Result<JobTrace> read_table(Rows& rows) {
  const int timestamp = rows.column("timestamp");
  const int duration = rows.column("duration");
  const int gpus = rows.column("num_gpus");
  Intake intake(rows, -1);
  while (rows.next()) {
    TrainingJob job;
    const auto submit = calendar_ns(rows.text(timestamp));
    if (!submit) rows.wrong(timestamp, "is no time", "write it as 2017-10-09 06:13:03");
    job.submit_ns = submit.value_or(0);
    job.duration_ns = rows.duration_ns(duration, kSecondDigits);
    job.accelerators = rows.accelerators(gpus);
    intake.add(std::move(job));
  }
  return intake.finish(Origin::kEarliest);
}

// job_id,submit_time,real_iteration,model_name,ddl,batch_size,num_gpu,real_duration,duration,
// iteration; what ElasticFlow's own generator writes has no real_* and a last column best_effort.
Result<JobTrace> read_with_models(Rows& rows) {
  const int id = rows.column("job_id");
  const int submit = rows.column("submit_time");
  const int duration = rows.column("duration");
  const int gpus = rows.column("num_gpu");
  const int model = rows.column("model_name");
  const int batch = rows.column("batch_size");
  const int iterations = rows.column("iteration");
  // A point in time, not a span: generate_trace.py of ElasticFlow adds the arrival to it.
  const int deadline = rows.column_if("ddl");
  const int best_effort = rows.column_if("best_effort");
  Intake intake(rows, id);
  while (rows.next()) {
    TrainingJob job;
    job.submit_ns = rows.time_ns(submit, kSecondDigits);
    job.duration_ns = rows.duration_ns(duration, kSecondDigits);
    job.accelerators = rows.accelerators(gpus);
    job.model = intake.model(rows.text(model));
    job.batch = static_cast<std::int32_t>(rows.count(batch, 1, kMostBatch));
    job.iterations = rows.count(iterations, 1, kMostIterations);
    if (deadline >= 0 && rows.text(best_effort) != "1") {
      job.deadline_ns = rows.time_ns(deadline, kSecondDigits);
    }
    intake.add(std::move(job));
  }
  return intake.finish(Origin::kEarliest);
}

}  // namespace

Result<JobTrace> read_philly(const Source& source) {
  Rows rows(source.text, source.name, {.has_quotes = true});
  return rows.column_if("ddl") >= 0 || rows.column_if("model_name") >= 0 ? read_with_models(rows)
                                                                         : read_table(rows);
}

}  // namespace penstock::trace::internal
