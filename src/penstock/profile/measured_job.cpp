#include "penstock/profile/measured_job.h"

#include <algorithm>

#include "penstock/core/json.h"

namespace penstock::profile {
namespace {

using core::Json;

double stall_of(const TrainProfile& profile, Stall stall) {
  const StallEstimate* found = profile.stalls.find(stall);
  return found == nullptr ? 0 : found->time_s.value;
}

}  // namespace

PipelineFacts MeasuredJob::facts() const {
  PipelineFacts f;
  f.batch = static_cast<double>(batch);
  f.ranks = ranks;
  f.step_s = step_s;
  f.backward_s = backward_s;
  f.gradient_bytes = gradient_bytes;
  if (prep_rate > 0) f.prep_cpu_s = prep_cores / prep_rate;
  f.sample_bytes = sample_bytes;
  f.dataset_bytes = dataset_bytes;
  return f;
}

Conditions MeasuredJob::conditions() const {
  Conditions c;
  c.cores = prep_cores;
  c.disk_bytes_per_s = fetch_rate * sample_bytes;
  c.cache_bytes = dataset_bytes;  // a warm cache holds everything
  c.link.beta_bytes_per_s = link_bytes_per_s;
  return c;
}

MeasuredJob measured_job(const TrainProfile& profile) {
  MeasuredJob job;
  job.model = profile.model;
  job.accelerator = profile.accelerator;
  job.batch = profile.options.batch;
  job.ranks = profile.options.ranks;
  job.nodes = profile.options.nodes;
  const RunSummary* alone = profile.stalls.find(RunKind::kSingle);
  const RunSummary* together = profile.stalls.find(RunKind::kContention);
  const RunSummary* step = together != nullptr ? together : alone;
  job.step_s = step->step_s.value;
  constexpr double kStandardErrors = 1.96;  // in half a 95 % interval
  job.step_error = step->step_s.half_width() / kStandardErrors / step->step_s.value;
  job.single_step_s = alone->step_s.value;
  for (const Phases& phases : profile.phases) {
    if (phases.kind == RunKind::kSingle || phases.kind == RunKind::kContention) {
      job.backward_s = phases.backward_s;
    }
  }
  job.interconnect_s = stall_of(profile, Stall::kInterconnect);
  job.network_s = stall_of(profile, Stall::kNetwork);
  job.link_bytes_per_s = profile.options.link.value();
  job.transport = profile.transport;
  job.gradient_bytes = profile.gradient_bytes;
  job.macs_per_sample = profile.macs_per_sample;
  job.prep_cores = std::min(profile.cores, profile.workers * profile.options.ranks);
  job.prep_rate = profile.prep_rate;
  job.fetch_rate = profile.fetch_rate;
  job.sample_bytes = profile.sample_bytes;
  job.dataset_bytes = profile.dataset_bytes;
  job.samples_per_s = profile.samples_per_s();
  return job;
}

Json rates_to_json(const MeasuredJob& job) {
  return {{"model", job.model},
          {"accelerator", job.accelerator},
          {"batch", job.batch},
          {"ranks", job.ranks},
          {"nodes", job.nodes},
          {"step_s", job.step_s},
          {"step_relative_error", job.step_error},
          {"single_step_s", job.single_step_s},
          {"backward_s", job.backward_s},
          {"interconnect_s", job.interconnect_s},
          {"network_s", job.network_s},
          {"link_bytes_per_s", job.link_bytes_per_s},
          {"transport", job.transport},
          {"gradient_bytes", job.gradient_bytes},
          {"macs_per_sample", job.macs_per_sample},
          {"prep_cores", job.prep_cores},
          {"prep_samples_per_s", job.prep_rate},
          {"fetch_samples_per_s", job.fetch_rate},
          {"sample_bytes", job.sample_bytes},
          {"dataset_bytes", job.dataset_bytes},
          {"samples_per_s", job.samples_per_s}};
}

Result<MeasuredJob> measured_job_from_document(const Json& document, const std::string& where) {
  PENSTOCK_TRY(const Json rates, core::json_member<Json>(document, "rates", where));
  MeasuredJob job;
  std::vector<Error> errors;
  const auto read = [&](const char* key, auto& value) {
    auto member = core::json_member<std::decay_t<decltype(value)>>(rates, key, where + ": rates");
    if (member) {
      value = *std::move(member);
    } else {
      errors.push_back(std::move(member).error());
    }
  };
  read("model", job.model);
  read("accelerator", job.accelerator);
  read("batch", job.batch);
  read("ranks", job.ranks);
  read("nodes", job.nodes);
  read("step_s", job.step_s);
  read("step_relative_error", job.step_error);
  read("single_step_s", job.single_step_s);
  read("backward_s", job.backward_s);
  read("interconnect_s", job.interconnect_s);
  read("network_s", job.network_s);
  read("link_bytes_per_s", job.link_bytes_per_s);
  read("transport", job.transport);
  read("gradient_bytes", job.gradient_bytes);
  read("macs_per_sample", job.macs_per_sample);
  read("prep_cores", job.prep_cores);
  read("prep_samples_per_s", job.prep_rate);
  read("fetch_samples_per_s", job.fetch_rate);
  read("sample_bytes", job.sample_bytes);
  read("dataset_bytes", job.dataset_bytes);
  read("samples_per_s", job.samples_per_s);
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
  if (!(job.step_s > 0) || job.batch < 1 || job.ranks < 1) {
    return core::input_error(where, "its rates are not those of a job",
                             "profile the job again: penstock profile train");
  }
  return job;
}

}  // namespace penstock::profile
