// A measured job on an instance that was not measured: how long, and what binds there.
//
//   const FleetStep step = predict_on(job, wanted, *catalog.find_instance("p3.8xlarge"), 2,
//   catalog); if (step.runs) fmt::print("{} s, bound by {}\n", step.time.value(), step.binds);
//
// Compute as measured where the instance has the accelerator of the profile, else from operations
// over peak; communication by ring and buckets over the catalogue's links (overlap.h); data by the
// measured seconds of a core for a sample, the instance's storage, and the share of the data set
// that its memory caches (hit_curves.h), not a fully warm cache.
#pragma once

#include <cstdint>
#include <string>

#include "penstock/core/quantity.h"
#include "penstock/hardware/catalog.h"
#include "penstock/profile/hit_curves.h"
#include "penstock/profile/measured_job.h"

namespace penstock::profile {

// The whole training that is to be paid.
struct FleetJob {
  double samples = 0;  // of an epoch
  double epochs = 1;
  double dataset_bytes = 0;  // 0: samples of the measured size
  std::string precision = "fp32";
  double efficiency = 0.7;   // of peak, where compute is not measured
  double model_error = 0.1;  // relative standard error of a computed figure
  CachePolicy policy = CachePolicy::kPageCache;
  double cache_share = 0.8;  // of an instance's memory
  Seconds startup;
  BucketLimits buckets;
};

struct FleetStep {
  bool runs = false;
  std::string refusal;        // why not
  bool measured = false;      // compute is that of the profile
  std::string note;           // what is not known of the instance
  double compute_s = 0;       // of one step
  double interconnect_s = 0;  // exposed
  double network_s = 0;       // exposed
  double prep_s = 0;          // that a step's samples take the cores
  double fetch_s = 0;         // that they take the storage, in steady epochs
  double cold_fetch_s = 0;    // likewise in the first one
  double hits = 0;
  double steady_step_s = 0;
  double cold_step_s = 0;
  std::string binds;          // in steady epochs
  double relative_error = 0;  // standard error of the time
  Seconds time;               // of the whole training, start-up included
};

FleetStep predict_on(const MeasuredJob& job, const FleetJob& wanted,
                     const hardware::Instance& instance, int nodes,
                     const hardware::Catalog& catalog);

// P(time <= budget) where the time is normal around its prediction.
double probability_within(const FleetStep& step, Seconds budget);
// The time that it keeps with probability `confidence`.
Seconds time_with_confidence(const FleetStep& step, double confidence);

}  // namespace penstock::profile
