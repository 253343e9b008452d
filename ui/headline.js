// The answer in words, and its five figures.

import {count, crosses, dollars, duration, percent} from "./format.js";
import {accelerators, fleetName, fullName, hourly, meanActivities} from "./fleet.js";

function modelFacts(model) {
  if (!model) return [];
  return [
    model.name && crosses(model.name),
    model.parameters && `${count(model.parameters)} parameters`,
    model.macs && `${count(model.macs)} MAC forward`,
    model.batch && `batch ${model.batch.toLocaleString("en-US")}`,
    model.source && model.source.split("/").pop(),
  ].filter(Boolean);
}

function answer(chosen, meets) {
  if (!chosen) return "No fleet can run this job";
  if (!meets) return "No fleet meets the goal";
  const market = chosen.market === "spot" ? " on the spot market"
      : chosen.market === "on-demand" ? " on demand" : "";
  return `Rent ${fleetName(chosen)}${market}`;
}

function consequence(chosen, meets) {
  const figures = `${duration(chosen.time_s)} for ${dollars(chosen.cost_usd)}`;
  return meets ? `Done in ${figures}.` : `The nearest is ${fullName(chosen)}: ${figures}.`;
}

function ofBudget(value, budget, text) {
  return budget > 0 ? {note: `${percent(value / budget)} of ${text(budget)}`, part: value / budget}
      : {note: ""};
}

function figures(plan, chosen) {
  const goal = plan.goal ?? {};
  const tiles = [
    {name: "Time", value: duration(chosen.time_s),
     ...ofBudget(chosen.time_s, goal.budget_time_s, duration)},
    {name: "Cost", value: dollars(chosen.cost_usd),
     ...ofBudget(chosen.cost_usd, goal.budget_cost_usd, dollars)},
  ];
  if (hourly(chosen) && !tiles[1].note) tiles[1].note = `${dollars(hourly(chosen))} per hour`;
  if (chosen.step_time_s) {
    tiles.push({name: "Step", value: duration(chosen.step_time_s),
                note: chosen.steps ? `${chosen.steps.toLocaleString("en-US")} steps` : ""});
  }
  if (chosen.devices) {
    tiles.push({name: "Accelerators", value: accelerators(chosen),
                note: chosen.nodes > 1 ? `in ${chosen.nodes} nodes` : "in one node"});
  }
  if (chosen.ledger?.whole_s > 0) {
    const compute = meanActivities(chosen.ledger).find((item) => item.name === "compute")?.time ?? 0;
    tiles.push({name: "Useful work", value: percent(compute / chosen.ledger.whole_s),
                note: "of the accelerators' time", part: compute / chosen.ledger.whole_s});
  }
  return tiles;
}

/** `chosen` is the plan's choice; where nothing meets the goal, what misses it least; or null. */
export function drawHeadline(page, plan, chosen) {
  const head = page.append("header");
  head.append("p").attr("class", "overline")
      .text(["Penstock plan", chosen?.evidence].filter(Boolean).join(" · "));
  head.append("h1").text(crosses(plan.title ?? plan.model?.name ?? "Plan"));
  const facts = head.append("ul").attr("class", "facts");
  facts.selectAll("li").data(modelFacts(plan.model)).enter().append("li").text((fact) => fact);

  const hero = page.append("section").attr("class", "hero").attr("aria-labelledby", "answer");
  const meets = Boolean(chosen?.feasible);
  hero.classed("missed", !meets);
  hero.append("h2").attr("id", "answer").text(answer(chosen, meets));
  if (chosen) hero.append("p").attr("class", "consequence").text(consequence(chosen, meets));
  if (plan.goal?.text) {
    const line = hero.append("p").attr("class", "goal");
    line.append("span").attr("class", "mark").text(meets ? "✓ Meets the goal" : "✗ Misses the goal");
    line.append("span").text(crosses(plan.goal.text));
  }
  if (!chosen) return;
  const tiles = hero.append("dl").attr("class", "tiles").selectAll("div")
      .data(figures(plan, chosen)).enter().append("div").attr("class", "tile");
  tiles.append("dt").text((tile) => tile.name);
  tiles.append("dd").attr("class", "value").text((tile) => tile.value);
  tiles.append("dd").attr("class", "note").text((tile) => tile.note);
  tiles.append("div").attr("class", "meter").attr("aria-hidden", "true")
      .classed("empty", (tile) => tile.part === undefined)
      .append("span").style("width", (tile) => `${100 * Math.min(1, tile.part ?? 0)}%`)
      .classed("over", (tile) => tile.part > 1);
}
