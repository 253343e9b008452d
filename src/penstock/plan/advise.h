// Which instance to rent for a job that was profiled, within a budget of time or of money.
//
//   PENSTOCK_TRY(const Advice advice, advise(job, options, catalog));
//   fmt::print("{}", advice_text(advice, options));
//
// Each candidate's time comes from the measured rates (profile/fleet_model.h); a budget of time
// counts as met where it is kept with the asked probability. Choice, front and thresholds are those
// of plans (choose.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/core/result.h"
#include "penstock/hardware/catalog.h"
#include "penstock/plan/choose.h"
#include "penstock/plan/spec.h"
#include "penstock/profile/comm_model.h"
#include "penstock/profile/fleet_model.h"
#include "penstock/profile/measured_job.h"

namespace penstock::plan {

struct AdviceOptions {
  profile::FleetJob job;
  Goal goal;
  double confidence = 0.9;
  Fleets fleets;  // instances, nodes and markets
};

struct AdvisedFleet {
  std::string name;
  hardware::Instance instance;
  int nodes = 1;
  Market market = Market::kOnDemand;
  Price price;  // of one node
  profile::FleetStep step;
  double probability = 1;  // of keeping the budget of time; 1 without one
};

struct Advice {
  std::string model;
  std::string measured_on;
  std::string catalog_hash;
  std::vector<AdvisedFleet> fleets;
  std::vector<Offer> offers;  // time at the asked confidence, cost at the expected time
  std::vector<int> front;
  std::optional<int> chosen;
  std::optional<int> nearest;
};

Result<Advice> advise(const profile::MeasuredJob& job, const AdviceOptions& options,
                      const hardware::Catalog& catalog);

core::Json advice_document(const Advice& advice, const AdviceOptions& options);
std::string advice_text(const Advice& advice, const AdviceOptions& options);
// Exit code 1, with what misses the goal least.
Error missed_goal(const Advice& advice, const AdviceOptions& options);

// What the profiles of several models say of communication on one link, as far as they do.
struct LinkModelFit {
  std::string link;  // "2 ranks on 2 nodes at 1.25 GB/s (gloo)"
  std::vector<std::string> models;
  Result<profile::CommModel> fit;
};
std::vector<LinkModelFit> fit_links(const std::vector<profile::MeasuredJob>& jobs);

}  // namespace penstock::plan
