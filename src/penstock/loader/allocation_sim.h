// Jobs that arrive and end over simulated time, their loaders shared by a policy: the same
// functions that the daemon calls (loader/allocation.h), on the model instead of the machine.
//
//   PENSTOCK_TRY(const SimulationReport report,
//                simulate_allocation(profiles, trace, {.policy = AllocationPolicy::kGain}));
#pragma once

#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/ledger/ledger.h"
#include "penstock/loader/allocation.h"
#include "penstock/trace/arrivals.h"

namespace penstock::loader {

struct SimulationOptions {
  MachineBudget machine;
  AllocationPolicy policy = AllocationPolicy::kGain;
  AllocationParameters parameters;
};

struct SimulatedJob {
  std::string name;
  Seconds arrival;
  Seconds end;
  double samples = 0;
  Seconds compute;  // useful time of its accelerators
  Seconds prep;     // waiting for processing
  Seconds fetch;    // waiting for storage
  int resizes = 0;
};

struct SimulationReport {
  std::vector<SimulatedJob> jobs;  // in the order of the trace
  Seconds makespan;
  Seconds mean_completion;   // from arrival to end
  double mean_fraction = 0;  // of the full rate while a job is there, by time
  double samples_per_s = 0;  // of all jobs, over the makespan
  int decisions = 0;
  ledger::Ledger ledger;
};

// `profiles` are the loaders that the trace names; a job takes its accelerators from the trace, and
// a step of the same length. A loader that no profile names is an error for each job.
Result<SimulationReport> simulate_allocation(const std::vector<JobModel>& profiles,
                                             const trace::ArrivalTrace& trace,
                                             const SimulationOptions& options);

}  // namespace penstock::loader
