// From a spec to a plan: which fleet to rent, how the model is split over it, what that takes and
// costs, and why every other fleet lost.
//
//   PENSTOCK_TRY(const Plan plan, make_plan(*read_spec("examples/train-vgg16.toml"), {}));
//   fmt::print("{}", plan_text(plan));
//   if (!plan.chosen) return core::fail(missed_goal(plan));
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/core/result.h"
#include "penstock/hardware/catalog.h"
#include "penstock/partition/network.h"
#include "penstock/plan/candidate.h"
#include "penstock/plan/choose.h"
#include "penstock/plan/spec.h"

namespace penstock::plan {

struct ModelSummary {
  std::string name;
  std::string source;  // the file, or "zoo:NAME"
  std::int64_t parameters = 0;
  std::int64_t macs = 0;  // of one forward pass of the batch
  std::int64_t batch = 0;
};

struct Plan {
  PlanSpec spec;
  std::uint64_t seed = 0;
  std::string catalog_hash;
  ModelSummary model;
  partition::Network network;
  std::vector<Candidate> candidates;
  std::vector<Offer> offers;   // by candidate
  std::vector<int> front;      // candidates, fastest first
  std::optional<int> chosen;   // empty: no fleet meets the goal
  std::optional<int> nearest;  // where none is chosen: what misses least; empty if nothing runs
  std::vector<std::string> warnings;  // of the model

  // The candidate whose ledger and split are shown: chosen, else nearest.
  std::optional<int> shown() const { return chosen ? chosen : nearest; }
  std::string ledger_title(int candidate) const;
};

struct PlanOptions {
  std::uint64_t seed = 0;  // kept in the document; nothing in a plan is random today
  EvaluateOptions evaluate{};
  std::string book = {};  // whose measured rates replace computed ones; empty or absent: none
};

// Fails on bad input; a goal that nothing meets is a plan without a choice.
Result<Plan> make_plan(PlanSpec spec, const PlanOptions& options);

// Schema "penstock-plan/1"; docs/plan.md describes it.
core::Json plan_document(const Plan& plan);
// For people; within 100 columns.
std::string plan_text(const Plan& plan);
// Exit code 1, with what misses the goal least and by how much. Only without a choice.
Error missed_goal(const Plan& plan);
// What the prediction rests on and what is not in it, a sentence each.
std::vector<std::string> assumptions(const PlanSpec& spec);

}  // namespace penstock::plan
