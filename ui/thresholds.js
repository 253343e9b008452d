// The budgets at which the answer changes, as sentences: budgets of time, or of money where the goal
// is to be fast.

import {dollars, duration} from "./format.js";
import {fullName, wantsFastest} from "./fleet.js";

/** How the kind of budget that the goal gives is read and told. */
function budgetKind(goal) {
  return wantsFastest(goal)
      ? {of: (step) => step.cost_usd, text: dollars, budget: goal.budget_cost_usd,
         outcome: (step) => `: ${duration(step.time_s)}`,
         none: "No fleet of these is that cheap."}
      : {of: (step) => step.budget_time_s, text: duration, budget: goal?.budget_time_s,
         outcome: (step) => ` for ${dollars(step.cost_usd)}`,
         none: "No fleet of these is that fast."};
}

export function drawThresholds(place, plan) {
  const {of, text, budget, outcome, none} = budgetKind(plan.goal);
  const steps = [...plan.thresholds ?? []].sort((a, b) => of(a) - of(b));
  if (steps.length === 0) return;
  const current = budget > 0 ? d3.bisector(of).right(steps, budget) - 1 : null;
  place.append("h3").text("When the answer changes");
  const list = place.append("ol").attr("class", "thresholds");
  const least = list.append("li").classed("current", current === -1);
  least.append("strong").text(`Less than ${text(of(steps[0]))}`);
  least.append("span").text(none);
  const items = list.selectAll("li.step").data(steps).enter().append("li")
      .attr("class", "step").classed("current", (_, i) => i === current);
  items.append("strong").text((step) => `${text(of(step))} or more`);
  items.append("span").text((step) =>
      `Rent ${fullName(plan.candidates[step.candidate])}${outcome(step)}.`);
  list.selectAll("li.current").append("span").attr("class", "tag")
      .text(`your budget: ${text(budget)}`);
}
