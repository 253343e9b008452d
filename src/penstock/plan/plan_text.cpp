#include <fmt/format.h>

#include <algorithm>

#include "penstock/core/table.h"
#include "penstock/plan/plan.h"
#include "penstock/plan/words.h"

namespace penstock::plan {
namespace {

using core::format_quantity;
using core::Table;

constexpr std::size_t kPage = 100;
constexpr std::size_t kRunnersUp = 8;

// "text" broken at spaces, its further lines indented by `indent`.
std::string wrapped(const std::string& text, std::size_t indent) {
  std::string result;
  std::size_t column = indent;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    const std::size_t length = end - start;
    if (column > indent && column + 1 + length > kPage) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += " ";
      ++column;
    }
    result.append(text, start, length);
    column += length;
    start = end + 1;
  }
  return result;
}

std::string line(const std::string& name, const std::string& text) {
  return fmt::format("  {:<9}{}\n", name, wrapped(text, 11));
}

std::string slack(const Offer& offer, const Goal& goal) {
  if (goal.finish_by && offer.time <= *goal.finish_by) {
    return fmt::format(", {} before the {} are over", duration_text(*goal.finish_by - offer.time),
                       duration_text(*goal.finish_by));
  }
  return "";
}

std::string rest(const Offer& offer, const Goal& goal) {
  if (goal.spend_at_most && offer.cost <= *goal.spend_at_most) {
    return fmt::format(", {} below the {}", format_quantity(*goal.spend_at_most - offer.cost),
                       format_quantity(*goal.spend_at_most));
  }
  return "";
}

std::string fleet_lines(const Plan& plan, int index) {
  const auto at = static_cast<std::size_t>(index);
  const Candidate& candidate = plan.candidates[at];
  const Offer& offer = plan.offers[at];
  const Goal& goal = plan.spec.goal;
  const partition::StrategyResult& best = candidate.evaluation->best;
  std::string text = line(
      "rent", fmt::format("{}: {} x {}, {}, {}", candidate.name, candidate.devices(),
                          candidate.instance.accelerator, market_name(candidate.market),
                          format_quantity(candidate.price * static_cast<double>(candidate.nodes))));
  text += line("step", fmt::format("{}; {} steps of {} samples", format_quantity(best.step),
                                   plan.spec.job.steps(), plan.spec.job.batch));
  text += line("time", duration_text(offer.time) + slack(offer, goal));
  text += line("cost", format_quantity(offer.cost) + rest(offer, goal));
  const int used = candidate.devices_used();
  text += line("split", (used < candidate.devices()
                             ? fmt::format("over {} of {} devices: ", used, candidate.devices())
                             : std::string()) +
                            split_text(plan.network, best.plan) +
                            (used > 1 ? " (batch x input x output channels)" : ""));
  if (!candidate.evaluation->note.empty()) text += line("note", candidate.evaluation->note);
  return text;
}

// Those that meet the goal, by what it wants least of; then those that miss it, nearest first; then
// those that cannot run.
std::vector<int> others(const Plan& plan) {
  std::vector<int> order;
  for (std::size_t i = 0; i < plan.candidates.size(); ++i) {
    if (plan.shown() != static_cast<int>(i)) order.push_back(static_cast<int>(i));
  }
  const Goal& goal = plan.spec.goal;
  const auto key = [&](int i) {
    const Offer& offer = plan.offers[static_cast<std::size_t>(i)];
    if (!offer.runs) return std::make_pair(2, 0.0);
    if (!meets(offer, goal)) return std::make_pair(1, excess(offer, goal));
    return std::make_pair(0, goal.wants_fastest() ? offer.time.value() : offer.cost.value());
  };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return key(a) < key(b); });
  return order;
}

std::string runners_up(const Plan& plan) {
  using A = Table::Align;
  const std::vector<int> order = others(plan);
  if (order.empty()) return "";
  Table table(
      {{"fleet"}, {"step", A::kRight}, {"time", A::kRight}, {"cost", A::kRight}, {"why not"}});
  for (std::size_t i = 0; i < std::min(order.size(), kRunnersUp); ++i) {
    const auto at = static_cast<std::size_t>(order[i]);
    const Candidate& candidate = plan.candidates[at];
    const Offer& offer = plan.offers[at];
    const auto if_runs = [&](const std::string& text) { return offer.runs ? text : "-"; };
    table.add_row({candidate.name, if_runs(format_quantity(candidate.evaluation->best.step)),
                   if_runs(duration_text(offer.time)), if_runs(format_quantity(offer.cost)),
                   verdict(plan.candidates, plan.offers, plan.spec.goal, order[i], plan.chosen)});
  }
  std::string text = "\nRunners-up\n" + table.text(kPage);
  if (order.size() > kRunnersUp) {
    text += fmt::format("and {} more: --json lists all\n", order.size() - kRunnersUp);
  }
  return text;
}

std::string thresholds(const Plan& plan) {
  if (plan.front.empty()) return "";
  const bool money = plan.spec.goal.wants_fastest();
  std::vector<int> order = plan.front;
  if (money) std::reverse(order.begin(), order.end());
  using A = Table::Align;
  Table table({{"budget from", A::kRight}, {"fleet"}, {money ? "time" : "cost", A::kRight}});
  for (const int index : order) {
    const Offer& offer = plan.offers[static_cast<std::size_t>(index)];
    const std::string time = duration_text(offer.time);
    const std::string cost = format_quantity(offer.cost);
    table.add_row({money ? cost : time, plan.candidates[static_cast<std::size_t>(index)].name,
                   money ? time : cost});
  }
  return fmt::format("\nBudgets of {} at which the answer changes\n", money ? "money" : "time") +
         table.text(kPage);
}

}  // namespace

std::string plan_text(const Plan& plan) {
  std::string text = fmt::format("{}: {}\n\n", plan.spec.name, goal_text(plan.spec.goal));
  if (const auto shown = plan.shown()) {
    if (!plan.chosen) {
      text +=
          fmt::format("No fleet meets the goal. The nearest {}:\n",
                      missed_text(plan.offers[static_cast<std::size_t>(*shown)], plan.spec.goal));
    }
    text += fleet_lines(plan, *shown);
    const ledger::Ledger ledger =
        job_ledger(plan.candidates[static_cast<std::size_t>(*shown)], plan.ledger_title(*shown),
                   plan.spec.job.steps(), true);
    text += "\n" + ledger.heading() + "\n" + ledger.table();
  } else {
    text += "No fleet can run the job.\n";
  }
  text += runners_up(plan) + thresholds(plan) + "\nAssumed\n";
  for (const std::string& assumption : assumptions(plan.spec)) {
    text += "- " + wrapped(assumption, 2) + "\n";
  }
  return text;
}

}  // namespace penstock::plan
