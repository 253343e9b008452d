// One mix of real loaders on real cores: every allocation of the workers measured, and what the
// policies choose beside the best of them.
//
// A job's rate is what its loader delivers once the queue has settled, at most its full rate; an
// allocation is as good as the mean of the jobs' rates over their full rates. In this order:
//   probes   each job with many workers and with few while the others run; all that `gain` sees
//   sweep    every allocation of all workers once, in random order; the best is the oracle
//   rounds   what the policies chose, and the oracle, measured afresh in turns; only this counts
//   ends     each policy runs all jobs to their end, sharing anew whenever one ends
// What any allocation does after a job has ended is not in the sweep, so the oracle of the ends is
// the one that tries every allocation on the fitted model at each decision.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "penstock/core/private_folder.h"
#include "penstock/core/quantity.h"
#include "penstock/core/random.h"
#include "penstock/core/result.h"
#include "penstock/loader/allocation.h"
#include "penstock/loader/bench/mix.h"
#include "penstock/loader/daemon.h"

namespace penstock::loader {

struct TrialOptions {
  std::string program;  // penstock
  MachineBudget machine;
  Seconds length{33};  // of a mix, about
};

struct MeasuredAllocation {
  std::vector<int> workers;
  double predicted = 0;       // mean fraction, by the fitted model
  double swept = 0;           // mean fraction
  std::vector<double> fresh;  // likewise, of each round
};

struct PolicyOutcome {
  AllocationPolicy policy = AllocationPolicy::kEven;
  std::vector<int> workers;
  double fraction = 0;  // mean over the rounds
  Seconds makespan;
};

struct MixResult {
  std::vector<JobModel> models;  // as fitted
  double cores = 0;              // that there were for loaders
  std::vector<MeasuredAllocation> allocations;
  std::vector<PolicyOutcome> policies;  // of compared_policies()
  Seconds makespan_bound;               // of the model: no allocation ends sooner
};

// Even, proportional, gain, oracle.
const std::vector<AllocationPolicy>& compared_policies();

// What an image of this size costs the loader here.
Result<SampleCost> measure_cost(const std::string& data, int size, const TrialOptions& options,
                                const core::PrivateFolder& folder);

// `advance` is called with the share of the mix that has been done.
Result<MixResult> run_mix(const std::vector<JobSpec>& jobs, const std::vector<double>& lengths,
                          const TrialOptions& options, const core::PrivateFolder& folder,
                          core::RandomStream& random, const std::function<void(double)>& advance);

}  // namespace penstock::loader
