#include "penstock/plan/advise.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "penstock/core/json.h"
#include "penstock/core/table.h"
#include "penstock/plan/candidate.h"
#include "penstock/plan/words.h"
#include "penstock/version.h"

namespace penstock::plan {
namespace {

using core::format_quantity;
using core::Json;
using core::Table;
using profile::FleetStep;
using profile::MeasuredJob;

std::string measured_on(const MeasuredJob& job) {
  return fmt::format("{}, {} rank{} of batch {}", job.accelerator, job.ranks,
                     job.ranks == 1 ? "" : "s", job.batch);
}

// A fleet of as many of the same devices for the same money that is faster.
std::optional<int> better_joined(const Advice& advice, int index) {
  const AdvisedFleet& self = advice.fleets[static_cast<std::size_t>(index)];
  constexpr double kSamePrice = 1e-6;  // prices are given to a tenth of a cent
  std::optional<int> best;
  for (std::size_t i = 0; i < advice.fleets.size(); ++i) {
    const AdvisedFleet& other = advice.fleets[i];
    const double ratio = (other.price * static_cast<double>(other.nodes)) /
                         (self.price * static_cast<double>(self.nodes));
    if (!other.step.runs || other.instance.accelerator != self.instance.accelerator ||
        other.market != self.market || std::abs(ratio - 1) > kSamePrice ||
        other.instance.accelerators * other.nodes != self.instance.accelerators * self.nodes) {
      continue;
    }
    const auto bar = static_cast<std::size_t>(best.value_or(index));
    if (other.step.time < advice.fleets[bar].step.time) best = static_cast<int>(i);
  }
  return best;
}

std::string reason_text(const Advice& advice, const AdviceOptions& options, int index) {
  const auto at = static_cast<std::size_t>(index);
  const AdvisedFleet& fleet = advice.fleets[at];
  if (!fleet.step.runs) return fleet.step.refusal;
  if (advice.chosen == index) return "<- this one";
  std::string text = missed_text(advice.offers[at], options.goal);
  if (const auto joined = better_joined(advice, index)) {
    text += fmt::format("{}costs the same as {} and only adds {} stall", text.empty() ? "" : "; ",
                        advice.fleets[static_cast<std::size_t>(*joined)].name,
                        fleet.step.network_s > 0 ? "network" : "interconnect");
  }
  return text;
}

// Answers first, then by what the goal asks, those that cannot run last.
std::vector<int> reading_order(const Advice& advice, const AdviceOptions& options) {
  std::vector<int> order;
  for (std::size_t i = 0; i < advice.fleets.size(); ++i) order.push_back(static_cast<int>(i));
  const auto key = [&](int i) {
    const Offer& offer = advice.offers[static_cast<std::size_t>(i)];
    if (!offer.runs) return std::make_pair(3, 0.0);
    if (advice.chosen == i) return std::make_pair(0, 0.0);
    if (!meets(offer, options.goal)) return std::make_pair(2, excess(offer, options.goal));
    return std::make_pair(1,
                          options.goal.wants_fastest() ? offer.time.value() : offer.cost.value());
  };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return key(a) < key(b); });
  return order;
}

Json step_json(const FleetStep& step) {
  return {{"step_s", step.steady_step_s},
          {"first_epoch_step_s", step.cold_step_s},
          {"compute_s", step.compute_s},
          {"interconnect_s", step.interconnect_s},
          {"network_s", step.network_s},
          {"prep_s", step.prep_s},
          {"fetch_s", step.fetch_s},
          {"hits", step.hits},
          {"binds", step.binds},
          {"compute_evidence", step.measured ? "measured" : "predicted"},
          {"relative_error", step.relative_error}};
}

}  // namespace

Result<Advice> advise(const MeasuredJob& job, const AdviceOptions& options,
                      const hardware::Catalog& catalog) {
  Advice advice;
  advice.model = job.model;
  advice.measured_on = measured_on(job);
  advice.catalog_hash = catalog.hash;
  PlanSpec spec;
  spec.path = "advise";
  spec.fleets = options.fleets;
  PENSTOCK_TRY(const std::vector<Candidate> candidates, find_candidates(spec, catalog));
  for (const Candidate& candidate : candidates) {
    AdvisedFleet fleet{candidate.name,
                       candidate.instance,
                       candidate.nodes,
                       candidate.market,
                       candidate.price,
                       {},
                       1};
    fleet.step = predict_on(job, options.job, candidate.instance, candidate.nodes, catalog);
    Offer offer;
    offer.runs = fleet.step.runs;
    offer.nodes = fleet.nodes;
    if (offer.runs) {
      offer.time = time_with_confidence(fleet.step, options.confidence);
      offer.cost = (fleet.price * static_cast<double>(fleet.nodes)) * fleet.step.time;
      if (options.goal.finish_by) {
        fleet.probability = probability_within(fleet.step, *options.goal.finish_by);
      }
    }
    advice.offers.push_back(offer);
    advice.fleets.push_back(std::move(fleet));
  }
  advice.front = front(advice.offers);
  advice.chosen = choose(advice.offers, options.goal);
  if (!advice.chosen) advice.nearest = nearest(advice.offers, options.goal);
  return advice;
}

Json advice_document(const Advice& advice, const AdviceOptions& options) {
  const auto index_or_null = [](std::optional<int> i) { return i ? Json(*i) : Json(); };
  Json goal = {{"text", goal_text(options.goal)}, {"confidence", options.confidence}};
  if (options.goal.finish_by) goal["finish_by_s"] = options.goal.finish_by->value();
  if (options.goal.spend_at_most) goal["spend_at_most_usd"] = options.goal.spend_at_most->value();
  Json fleets = Json::array();
  for (std::size_t i = 0; i < advice.fleets.size(); ++i) {
    const AdvisedFleet& fleet = advice.fleets[i];
    const bool on_front = std::find(advice.front.begin(), advice.front.end(),
                                    static_cast<int>(i)) != advice.front.end();
    Json entry = {{"name", fleet.name},
                  {"instance", fleet.instance.name},
                  {"nodes", fleet.nodes},
                  {"market", market_name(fleet.market)},
                  {"price_usd_per_h", fleet.price.value() * 3600},
                  {"runs", fleet.step.runs}};
    if (fleet.step.runs) {
      entry["time_s"] = fleet.step.time.value();
      entry["time_with_confidence_s"] = advice.offers[i].time.value();
      entry["cost_usd"] = advice.offers[i].cost.value();
      entry["probability"] = fleet.probability;
      entry["feasible"] = meets(advice.offers[i], options.goal);
      entry["on_front"] = on_front;
      entry.update(step_json(fleet.step));
      if (!fleet.step.note.empty()) entry["note"] = fleet.step.note;
    }
    entry["reason"] = reason_text(advice, options, static_cast<int>(i));
    fleets.push_back(std::move(entry));
  }
  Json thresholds = Json::array();
  for (const int index : advice.front) {
    const Offer& offer = advice.offers[static_cast<std::size_t>(index)];
    thresholds.push_back({{"candidate", index},
                          {"budget_time_s", offer.time.value()},
                          {"budget_cost_usd", offer.cost.value()}});
  }
  return {{"schema", "penstock-advice/1"},
          {"version", kVersion},
          {"model", advice.model},
          {"measured_on", advice.measured_on},
          {"catalog_hash", advice.catalog_hash},
          {"goal", std::move(goal)},
          {"job",
           {{"samples", options.job.samples},
            {"epochs", options.job.epochs},
            {"dataset_bytes", options.job.dataset_bytes},
            {"precision", options.job.precision},
            {"efficiency", options.job.efficiency},
            {"cache", profile::cache_policy_name(options.job.policy)},
            {"startup_s", options.job.startup.value()}}},
          {"chosen", index_or_null(advice.chosen)},
          {"nearest", index_or_null(advice.nearest)},
          {"front", advice.front},
          {"thresholds", std::move(thresholds)},
          {"fleets", std::move(fleets)}};
}

std::string advice_text(const Advice& advice, const AdviceOptions& options) {
  using A = Table::Align;
  std::string text = fmt::format("{}: {}\nmeasured on {}\n\n", advice.model,
                                 goal_text(options.goal), advice.measured_on);
  Table table({{"fleet"},
               {"step", A::kRight},
               {"time", A::kRight},
               {"cost", A::kRight},
               {"in time", A::kRight},
               {"binds"},
               {"compute"},
               {""}});
  constexpr std::size_t kShown = 14;
  const std::vector<int> order = reading_order(advice, options);
  for (std::size_t i = 0; i < std::min(order.size(), kShown); ++i) {
    const auto at = static_cast<std::size_t>(order[i]);
    const AdvisedFleet& fleet = advice.fleets[at];
    const auto if_runs = [&](std::string cell) { return fleet.step.runs ? cell : "-"; };
    table.add_row(
        {fleet.name, if_runs(format_quantity(Seconds(fleet.step.steady_step_s))),
         if_runs(duration_text(fleet.step.time)), if_runs(format_quantity(advice.offers[at].cost)),
         if_runs(options.goal.finish_by ? fmt::format("{:.0f} %", 100 * fleet.probability) : "-"),
         fleet.step.binds, if_runs(fleet.step.measured ? "measured" : "computed"),
         reason_text(advice, options, order[i])});
  }
  text += table.text();
  if (order.size() > kShown) {
    text += fmt::format("and {} more: --json lists all\n", order.size() - kShown);
  }
  const bool money = options.goal.wants_fastest();
  text += fmt::format("\nBudgets of {} at which the answer changes\n", money ? "money" : "time");
  Table thresholds({{"budget from", A::kRight}, {"fleet"}, {money ? "time" : "cost", A::kRight}});
  std::vector<int> along = advice.front;
  if (money) std::reverse(along.begin(), along.end());
  for (const int index : along) {
    const Offer& offer = advice.offers[static_cast<std::size_t>(index)];
    const std::string time = duration_text(offer.time);
    const std::string cost = format_quantity(offer.cost);
    thresholds.add_row({money ? cost : time, advice.fleets[static_cast<std::size_t>(index)].name,
                        money ? time : cost});
  }
  return text + thresholds.text();
}

Error missed_goal(const Advice& advice, const AdviceOptions& options) {
  if (!advice.nearest) {
    return core::negative("advise", "no instance can run the job",
                          "the table says why; allow more instances or nodes")
        .value();
  }
  const auto at = static_cast<std::size_t>(*advice.nearest);
  return core::negative("advise",
                        fmt::format("nothing meets the goal with probability {:g}; the nearest is "
                                    "{}, which {}",
                                    options.confidence, advice.fleets[at].name,
                                    missed_text(advice.offers[at], options.goal)),
                        "relax the goal, or allow more nodes or instances")
      .value();
}

std::vector<LinkModelFit> fit_links(const std::vector<MeasuredJob>& jobs) {
  std::map<std::string, std::vector<profile::CommSample>> by_link;
  for (const MeasuredJob& job : jobs) {
    if (job.ranks < 2 || job.gradient_bytes.empty()) continue;
    const std::string link = fmt::format(
        "{} ranks on {} node{}{} ({}, batch {}, {})", job.ranks, job.nodes,
        job.nodes == 1 ? "" : "s",
        job.link_bytes_per_s > 0 ? " at " + core::format_quantity(Bandwidth(job.link_bytes_per_s))
                                 : "",
        job.transport, job.batch, job.accelerator);
    double bytes = 0;
    for (const std::int64_t one : job.gradient_bytes) bytes += static_cast<double>(one);
    auto& samples = by_link[link];
    // The last profile of a model replaces those before it.
    std::erase_if(samples, [&](const auto& sample) { return sample.model == job.model; });
    samples.push_back({job.model,
                       {static_cast<double>(job.gradient_bytes.size()), bytes},
                       job.interconnect_s + job.network_s});
  }
  std::vector<LinkModelFit> fits;
  for (const auto& [link, samples] : by_link) {
    LinkModelFit fit{link, {}, profile::fit_comm_model(samples)};
    for (const auto& sample : samples) fit.models.push_back(sample.model);
    fits.push_back(std::move(fit));
  }
  return fits;
}

}  // namespace penstock::plan
