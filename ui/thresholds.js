// The budgets at which the answer changes, as sentences.

import {dollars, duration} from "./format.js";
import {fullName} from "./fleet.js";

export function drawThresholds(place, plan) {
  const steps = [...plan.thresholds ?? []].sort((a, b) => a.budget_time_s - b.budget_time_s);
  if (steps.length === 0) return;
  const budget = plan.goal?.budget_time_s;
  const current = budget > 0 ? d3.bisector((step) => step.budget_time_s).right(steps, budget) - 1
      : null;
  place.append("h3").text("When the answer changes");
  const list = place.append("ol").attr("class", "thresholds");
  list.append("li").classed("current", current === -1).call((item) => {
    item.append("strong").text(`Less than ${duration(steps[0].budget_time_s)}`);
    item.append("span").text("No fleet of these is that fast.");
  });
  const items = list.selectAll("li.step").data(steps).enter().append("li")
      .attr("class", "step").classed("current", (_, i) => i === current);
  items.append("strong").text((step) => `${duration(step.budget_time_s)} or more`);
  items.append("span").text((step) =>
      `Rent ${fullName(plan.candidates[step.candidate])} for ${dollars(step.cost_usd)}.`);
  list.selectAll("li.current").append("span").attr("class", "tag")
      .text(`your budget: ${duration(budget)}`);
}
