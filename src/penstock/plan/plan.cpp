#include "penstock/plan/plan.h"

#include <fmt/format.h>

#include <filesystem>

#include "penstock/model/training_bytes.h"
#include "penstock/plan/words.h"

namespace penstock::plan {

std::string Plan::ledger_title(int candidate) const {
  return fmt::format("{} on {}", spec.name, candidates[static_cast<std::size_t>(candidate)].name);
}

Result<Plan> make_plan(PlanSpec spec, const PlanOptions& options) {
  Plan plan;
  plan.spec = std::move(spec);
  plan.seed = options.seed;
  PENSTOCK_TRY(const hardware::Catalog catalog, hardware::load_catalog(plan.spec.fleets.catalogs));
  plan.catalog_hash = catalog.hash;
  PENSTOCK_TRY(plan.candidates, find_candidates(plan.spec, catalog));
  PENSTOCK_TRY(const model::Graph graph, read_model(plan.spec));
  PENSTOCK_TRY(plan.network, partition::lower(graph));
  const std::string source = plan.spec.job.zoo.empty() ? graph.source : "zoo:" + plan.spec.job.zoo;
  plan.model = {graph.name, source, graph.parameters, graph.macs(), graph.batch};
  plan.warnings = graph.warnings;
  plan.warnings.insert(plan.warnings.end(), plan.network.warnings.begin(),
                       plan.network.warnings.end());
  EvaluateOptions evaluation = options.evaluate;
  if (!options.book.empty() && std::filesystem::exists(options.book)) {
    PENSTOCK_TRY(ledger::Book book, ledger::Book::open_existing(options.book));
    PENSTOCK_TRY(evaluation.measured, measured_rates(plan.spec, book));
  }
  PENSTOCK_TRY_STATUS(evaluate(plan.spec, plan.network, catalog, evaluation, plan.candidates));
  for (const Candidate& candidate : plan.candidates) {
    plan.offers.push_back(candidate.offer(plan.spec.job.steps()));
  }
  plan.front = front(plan.offers);
  plan.chosen = choose(plan.offers, plan.spec.goal);
  if (!plan.chosen) plan.nearest = nearest(plan.offers, plan.spec.goal);
  return plan;
}

Error missed_goal(const Plan& plan) {
  if (!plan.nearest) {
    return core::negative(plan.spec.path, "no fleet can run the job",
                          "the table says why; allow more nodes or instances, or lower the batch")
        .value();
  }
  const int nearest = *plan.nearest;
  return core::negative(plan.spec.path,
                        fmt::format("no fleet meets the goal; the nearest is {}, which {}",
                                    plan.candidates[static_cast<std::size_t>(nearest)].name,
                                    missed_text(plan.offers[static_cast<std::size_t>(nearest)],
                                                plan.spec.goal)),
                        "relax the goal, or allow more nodes or instances")
      .value();
}

std::vector<std::string> assumptions(const PlanSpec& spec) {
  std::vector<std::string> list = {
      fmt::format("kernels reach {:.3g} % of peak and of memory bandwidth, and take {} at least",
                  100 * spec.fleets.efficiency, core::format_quantity(spec.fleets.launch)),
      "communication does not overlap with compute, and links reach their catalogue bandwidth",
      "each layer exchanges its gradient by itself; buckets over layers would pay latency less "
      "often",
      fmt::format("a weight takes {:g} bytes with its gradient and optimizer state ({}, {})",
                  model::bytes_per_weight(spec.job.optimizer), spec.job.optimizer,
                  spec.job.precision),
      "not in the time: stalls of data loading, start-up, evaluation and checkpoints",
      "not in the cost: storage, traffic, and what is paid beyond the job's own time"};
  for (const Market market : spec.fleets.markets) {
    if (market != Market::kSpot) continue;
    list.push_back("spot: neither interruptions nor changes of the price are allowed for");
  }
  return list;
}

}  // namespace penstock::plan
