// The chosen fleet and the runners-up, one bar each on one scale: what the others stall on.

import {dollars, duration} from "./format.js";
import {fleetName, fullName, meanActivities, preference} from "./fleet.js";
import {drawSegments} from "./stacked_bars.js";
import {rove} from "./keyboard.js";

const kRunnersUp = 6;

/** One of each fleet: on demand or spot, its ledger is the same. */
export function runnersUp(plan, first) {
  const seen = new Set(first ? [fleetName(first)] : []);
  const others = plan.candidates
      .filter((candidate) => candidate !== first && candidate.ledger?.whole_s > 0)
      .sort(preference(plan.goal))
      .filter((candidate) => !seen.has(fleetName(candidate)) && seen.add(fleetName(candidate)));
  return others.slice(0, kRunnersUp);
}

export function drawComparison(place, plan, first) {
  const rivals = runnersUp(plan, first);
  if (rivals.length === 0) return;
  const all = first?.ledger?.whole_s > 0 ? [first, ...rivals] : rivals;
  const longest = d3.max(all, (candidate) => candidate.ledger.whole_s);

  const section = place.append("section").attr("id", "runners-up")
      .attr("aria-labelledby", "runners-up-title");
  section.append("h2").attr("id", "runners-up-title").text("Beside the runners-up");
  section.append("p").attr("class", "lead")
      .text("The same work on other fleets, all on one scale: the mean of each fleet's accelerators.");
  const rows = section.append("ul").attr("class", "bars compared").selectAll("li").data(all).enter()
      .append("li").attr("class", "bar-row").classed("first", (candidate) => candidate === first);
  rows.append("span").attr("class", "bar-label").text(fullName);
  rows.append("div").attr("class", "bar").each(function(candidate) {
    const whole = candidate.ledger.whole_s;
    drawSegments(d3.select(this), meanActivities(candidate.ledger).map((item) => ({
      ...item, whole, scale: longest, who: fullName(candidate),
    })));
  });
  rows.append("span").attr("class", "bar-total")
      .text((candidate) => duration(candidate.ledger.whole_s));
  rows.append("span").attr("class", "bar-cost").text((candidate) => dollars(candidate.cost_usd));
  rove(section.selectAll(".segment"));
}
