#include <map>

#include "penstock/core/json.h"
#include "penstock/plan/plan.h"
#include "penstock/plan/words.h"
#include "penstock/version.h"

namespace penstock::plan {

using core::Json;
using ledger::Activity;
using partition::Network;
using partition::Node;
using partition::NodeKind;

namespace {

Json goal_json(const Goal& goal) {
  Json json = {{"text", goal_text(goal)}};
  if (goal.finish_by) json["budget_time_s"] = goal.finish_by->value();
  if (goal.spend_at_most) json["budget_cost_usd"] = goal.spend_at_most->value();
  return json;
}

Json candidate_json(const Plan& plan, int index, bool on_front) {
  const auto at = static_cast<std::size_t>(index);
  const Candidate& candidate = plan.candidates[at];
  const Offer& offer = plan.offers[at];
  const auto if_runs = [&](double value) { return offer.runs ? Json(value) : Json(); };
  const std::int64_t steps = plan.spec.job.steps();
  Json strategies = Json::array();
  for (const StrategyTime& strategy : candidate.evaluation->strategies) {
    strategies.push_back({{"name", strategy.name}, {"step_time_s", strategy.step.value()}});
  }
  Json json = {
      {"name", candidate.name},
      {"instance", candidate.instance.name},
      {"nodes", candidate.nodes},
      {"market", market_name(candidate.market)},
      {"price_usd_per_h", candidate.price.value() * 3600},
      {"devices", candidate.devices()},
      {"devices_used", offer.runs ? candidate.devices_used() : 0},
      {"accelerator", candidate.instance.accelerator},
      {"step_time_s", if_runs(candidate.evaluation->best.step.value())},
      {"steps", steps},
      {"time_s", if_runs(offer.time.value())},
      {"cost_usd", if_runs(offer.cost.value())},
      {"feasible", meets(offer, plan.spec.goal)},
      {"fits", offer.runs},
      {"verdict", verdict(plan.candidates, plan.offers, plan.spec.goal, index, plan.chosen)},
      {"on_front", on_front},
      {"evidence", evidence_name(ledger::Evidence::kPredicted)},
      {"compute_evidence", candidate.evaluation->measured ? "measured" : "predicted"},
      {"strategies", std::move(strategies)}};
  if (!candidate.evaluation->note.empty()) json["note"] = candidate.evaluation->note;
  if (offer.runs) {
    json["ledger"] =
        job_ledger(candidate, plan.ledger_title(index), steps, plan.shown() == index).to_json();
  }
  return json;
}

Json candidates_json(const Plan& plan) {
  std::vector<bool> on_front(plan.candidates.size(), false);
  for (const int index : plan.front) on_front[static_cast<std::size_t>(index)] = true;
  Json candidates = Json::array();
  for (std::size_t i = 0; i < plan.candidates.size(); ++i) {
    candidates.push_back(candidate_json(plan, static_cast<int>(i), on_front[i]));
  }
  return candidates;
}

Json thresholds_json(const Plan& plan) {
  Json thresholds = Json::array();
  for (const int index : plan.front) {
    const Offer& offer = plan.offers[static_cast<std::size_t>(index)];
    thresholds.push_back({{"budget_time_s", offer.time.value()},
                          {"candidate", index},
                          {"cost_usd", offer.cost.value()},
                          {"time_s", offer.time.value()}});
  }
  return thresholds;
}

struct NodeTime {
  Seconds compute;
  Seconds communication;
};

// Of one step on the device that works longest, by the name of the network's node: a fleet's
// devices are equal, and its first account is of those that work.
std::map<std::string, NodeTime> node_times(const ledger::Ledger& step) {
  std::map<std::string, NodeTime> times;
  for (const ledger::Entry& entry : step.accounts().front().entries) {
    if (entry.activity == Activity::kIdle) continue;
    NodeTime& time = times[entry.label];
    (entry.activity == Activity::kCompute ? time.compute : time.communication) += entry.time;
  }
  return times;
}

const char* kind_name(NodeKind kind) {
  if (kind == NodeKind::kLayer) return "layer";
  return kind == NodeKind::kCopy ? "copy" : "glue";
}

Json graph_json(const Network& network, const partition::StrategyResult& best) {
  std::map<std::string, NodeTime> times = node_times(best.ledger);
  Json nodes = Json::array();
  for (std::size_t v = 0; v < network.nodes.size(); ++v) {
    const Node& node = network.nodes[v];
    const int id = static_cast<int>(v);
    const Cut cut = cut_of(best.plan, id);
    const NodeTime& time = times[node.name];
    nodes.push_back({{"id", id},
                     {"name", node.name},
                     {"type", node.type},
                     {"kind", kind_name(node.kind)},
                     {"split", describe_split(network, best.plan, id)},
                     {"parts", {{"batch", cut.batch}, {"in", cut.in}, {"out", cut.out}}},
                     {"parameters", node.weights + node.vectors},
                     {"macs", node.macs},
                     {"compute_s", time.compute.value()},
                     {"communication_s", time.communication.value()}});
  }
  Json edges = Json::array();
  for (const partition::Edge& edge : network.edges) {
    edges.push_back({{"from", edge.from}, {"to", edge.to}, {"elements", edge.elements}});
  }
  return {{"nodes", std::move(nodes)}, {"edges", std::move(edges)}};
}

}  // namespace

Json plan_document(const Plan& plan) {
  const auto index_or_null = [](std::optional<int> i) { return i ? Json(*i) : Json(); };
  Json document = {{"schema", "penstock-plan/1"},
                   {"version", kVersion},
                   {"seed", plan.seed},
                   {"title", plan.spec.name},
                   {"spec", plan.spec.to_json()},
                   {"catalog_hash", plan.catalog_hash},
                   {"model",
                    {{"name", plan.model.name},
                     {"source", plan.model.source},
                     {"parameters", plan.model.parameters},
                     {"macs", plan.model.macs},
                     {"batch", plan.model.batch}}},
                   {"goal", goal_json(plan.spec.goal)},
                   {"chosen", index_or_null(plan.chosen)},
                   {"nearest", index_or_null(plan.nearest)},
                   {"candidates", candidates_json(plan)},
                   {"thresholds", thresholds_json(plan)},
                   {"assumptions", assumptions(plan.spec)},
                   {"warnings", plan.warnings},
                   {"graph", nullptr},
                   {"partition", nullptr}};
  if (const auto shown = plan.shown()) {
    const Candidate& candidate = plan.candidates[static_cast<std::size_t>(*shown)];
    document["graph"] = graph_json(plan.network, candidate.evaluation->best);
    document["partition"] = plan_to_json(plan.network, candidate.evaluation->best.plan);
  }
  return document;
}

}  // namespace penstock::plan
