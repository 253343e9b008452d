// Who gets the loader workers of a machine that several training jobs share: pure functions from a
// state to decisions, called alike by the simulator (loader/allocation_sim.h) and the daemon
// (loader/daemon.h).
//
//   AllocationState state{.machine = {.cores = 2, .workers = 6}, .jobs = {{model_a}, {model_b}}};
//   const std::vector<int> workers = allocate(AllocationPolicy::kGain, state, {});
//   const std::vector<double> rates = shared_rates(state, workers);   // samples/s of each job
//
// The machine does not hold back what one job leaves: cores are shared as Linux shares them,
// equally among workers that want them, and so is storage. Throughout, a job's fraction is its rate
// over its full rate (loader/throughput.h).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/loader/throughput.h"

namespace penstock::loader {

struct MachineBudget {
  double cores = 1;
  int workers = 1;  // of all jobs; a job has at least one, so more jobs than workers go above it
  Bandwidth storage{std::numeric_limits<double>::infinity()};
};

struct AllocatedJob {
  JobModel model;
  double remaining = 0;  // samples
  int workers = 0;       // now; 0: it has just arrived
};

struct AllocationState {
  MachineBudget machine;
  std::vector<AllocatedJob> jobs;  // with different names
};

enum class AllocationPolicy {
  kEven,          // the same for every job
  kProportional,  // to its accelerators
  kStatic,        // cores per accelerator, fixed without a look at the others
  kGain,          // ours: greedy marginal gain and the exact fractional optimum, then repaired
  kOracle,        // every allocation tried on the model
};
std::string_view policy_name(AllocationPolicy policy);  // "even", "proportional", ...
std::optional<AllocationPolicy> policy_from_name(std::string_view name);
const std::vector<AllocationPolicy>& all_policies();

enum class Objective {
  kThroughput,  // the sum of the jobs' fractions
  kFairness,    // the least fraction, then the next
  kMakespan,    // the time until the last job ends
};
std::string_view objective_name(Objective objective);  // "throughput", "fairness", "makespan"
std::optional<Objective> objective_from_name(std::string_view name);

struct AllocationParameters {
  Objective objective = Objective::kThroughput;
  double workers_per_accelerator = 3;  // of the static policy
  double switch_cost_s = 0.05;
  double horizon_s = 10;
  double drift_fraction = 0.1;
  double drift_steps = 5;
};
// The numbers above, declared once: the jobs file, its errors and the pages read this table.
struct ParameterDeclaration {
  std::string_view name;
  std::string_view unit;
  double AllocationParameters::*value;
  double low;
  double high;
  std::string_view sentence;
};
const std::vector<ParameterDeclaration>& allocation_parameters();

// Samples per second of each job with these workers, all on the machine together.
std::vector<double> shared_rates(const AllocationState& state, const std::vector<int>& workers);

// How good these rates are: compared element by element, larger is better (better_score()).
std::vector<double> allocation_score(Objective objective, const AllocationState& state,
                                     const std::vector<double>& rates);
bool better_score(const std::vector<double>& left, const std::vector<double>& right);

// How many allocations the oracle would try; allocate() wants at most kMostOracleTrials.
double oracle_trials(const AllocationState& state);
inline constexpr double kMostOracleTrials = 2e6;

// Workers of each job; depends on the jobs' names where all else is equal, not on their order.
std::vector<int> allocate(AllocationPolicy policy, const AllocationState& state,
                          const AllocationParameters& parameters);

// The same, but keeps what the jobs have where the gain over the horizon is less than moving the
// workers costs. A job that has none yet, or a budget overrun, always moves.
std::vector<int> reallocate(AllocationPolicy policy, const AllocationState& state,
                            const AllocationParameters& parameters);

// The exact optimum where shares of cores and storage may be any fraction: no allocation of workers
// does better. The prices say what to buy next.
struct FractionalOptimum {
  std::vector<double> rates;
  double value = 0;          // sum of fractions, least fraction, or makespan in seconds
  double core_price = 0;     // gain of the sum of fractions for one more core
  double storage_price = 0;  // likewise for one more byte/s
};
FractionalOptimum fractional_optimum(Objective objective, const AllocationState& state);

}  // namespace penstock::loader
