// The fleets that may be rented, and what the job takes on each.
//
//   PENSTOCK_TRY(std::vector<Candidate> candidates, find_candidates(spec, catalog));
//   PENSTOCK_TRY_STATUS(evaluate(spec, network, catalog, {.threads = 4}, candidates));
//
// A fleet that cannot run the job stays in the list with the reason.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "penstock/hardware/catalog.h"
#include "penstock/ledger/book.h"
#include "penstock/partition/partition.h"
#include "penstock/plan/choose.h"
#include "penstock/plan/spec.h"

namespace penstock::plan {

struct StrategyTime {
  std::string name;
  Seconds step;
};

// One training step on some nodes of one instance type, whatever they cost.
struct Evaluation {
  std::string refusal;    // why the job cannot run there; empty if it can
  std::string note;       // what is different there: "computes in fp32"
  bool measured = false;  // compute runs at the rate of a profile in the book
  partition::StrategyResult best;
  std::vector<StrategyTime> strategies;
};

struct Candidate {
  hardware::Instance instance;
  int nodes = 1;
  Market market = Market::kOnDemand;
  std::string name;                              // "2 x p3.8xlarge", "p3.2xlarge (spot)"
  Price price;                                   // of one node
  std::shared_ptr<const Evaluation> evaluation;  // shared between markets

  int devices() const { return nodes * instance.accelerators; }
  int devices_used() const;
  Offer offer(std::int64_t steps) const;
};

// Instances in the order of the catalogue, then nodes, then markets. Fails where a pattern matches
// nothing, and where no matching instance has a price in the market.
Result<std::vector<Candidate>> find_candidates(const PlanSpec& spec,
                                               const hardware::Catalog& catalog);

// What profiles in the book say an accelerator reaches on this very model.
struct MeasuredRate {
  FlopRate rate;
  std::string source;  // "entry 7"
};
// From profiles of kind "profile" whose model is the spec's, the last one of each accelerator. In
// 32 bits, as our workers compute; another precision finds nothing.
Result<std::map<std::string, MeasuredRate>> measured_rates(const PlanSpec& spec,
                                                           ledger::Book& book);

struct EvaluateOptions {
  int threads = 0;                                    // 0: one a core
  bool progress = false;                              // on standard error
  std::map<std::string, MeasuredRate> measured = {};  // by accelerator: replaces the efficiency
};

// Fills in the evaluations; the same at any number of threads. Fails when interrupted.
Status evaluate(const PlanSpec& spec, const partition::Network& network,
                const hardware::Catalog& catalog, const EvaluateOptions& options,
                std::vector<Candidate>& candidates);

// The candidate's predicted ledger of the whole job: one step times `steps`, with the cost. Devices
// that the plan leaves out stand idle in it. `by_layer` keeps an entry for each layer.
ledger::Ledger job_ledger(const Candidate& candidate, const std::string& title, std::int64_t steps,
                          bool by_layer);

}  // namespace penstock::plan
