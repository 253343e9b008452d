// What a profile in the book says of a job, for predictions elsewhere.
//
//   PENSTOCK_TRY(const MeasuredJob job, measured_job_from_document(payload, "book entry 7"));
//   const Prediction now = predict(job.facts(), job.conditions());
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/core/result.h"
#include "penstock/profile/train_profile.h"
#include "penstock/profile/what_if.h"

namespace penstock::profile {

struct MeasuredJob {
  std::string model;
  std::string accelerator;  // name in the catalogue, "cpu", or of an emulated one
  std::int64_t batch = 0;   // of a rank
  int ranks = 1;
  int nodes = 1;
  double step_s = 0;         // of every rank at once, without communication
  double step_error = 0;     // standard error of it, relative
  double single_step_s = 0;  // of one rank alone
  double backward_s = 0;
  double interconnect_s = 0;  // stalls of a step; 0 where not measured
  double network_s = 0;
  double link_bytes_per_s = 0;  // between nodes; 0: unlimited, or one node
  std::string transport;
  std::vector<std::int64_t> gradient_bytes;  // in the order of the forward pass
  double macs_per_sample = 0;
  double prep_cores = 0;  // that prepared `prep_rate`
  double prep_rate = 0;   // samples/s; 0: no data
  double fetch_rate = 0;
  double sample_bytes = 0;
  double dataset_bytes = 0;
  double samples_per_s = 0;  // reached, with every stall that was measured

  PipelineFacts facts() const;
  // Those under which it was measured, the link aside, which a fit must give.
  Conditions conditions() const;
};

MeasuredJob measured_job(const TrainProfile& profile);
// The member "rates" of a profile's document.
core::Json rates_to_json(const MeasuredJob& job);
Result<MeasuredJob> measured_job_from_document(const core::Json& document,
                                               const std::string& where);

}  // namespace penstock::profile
