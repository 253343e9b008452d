// Facts about a candidate that several parts of the page show.

import {crosses} from "./format.js";
import {kActivities} from "./palette.js";

/** "2 × p3.16xlarge"; the market is told apart, so it is cut from the end of the name. */
export function fleetName(candidate) {
  const market = candidate.market ?? "";
  const name = crosses(candidate.name);
  const tail = new RegExp(`[ ,(]+${market.replace("-", "[- ]")}\\)?$`);
  return market ? name.replace(tail, "") : name;
}

export function marketName(candidate) {
  return (candidate.market ?? "").replace("-", " ");
}

export function fullName(candidate) {
  return candidate.market === "spot" ? `${fleetName(candidate)} spot` : fleetName(candidate);
}

/** "8 × V100", or "6 of 8 × V100" where some stay idle. */
export function accelerators(candidate) {
  const {devices, devices_used: used = devices, accelerator = "accelerator"} = candidate;
  if (!devices) return "–";
  return `${used < devices && candidate.fits !== false ? `${used} of ${devices}` : devices} × ${accelerator}`;
}

/** Dollars an hour of all its nodes. */
export function hourly(candidate) {
  return candidate.price_usd_per_h > 0 ? candidate.price_usd_per_h * (candidate.nodes ?? 1) : null;
}

export function isPlaced(candidate) {
  return candidate.time_s > 0 && candidate.cost_usd > 0;
}

/** With a budget of money alone the answer is the fastest fleet, in every other case the cheapest. */
export function wantsFastest(goal) {
  return goal?.budget_cost_usd > 0 && !(goal.budget_time_s > 0);
}

/** Compares candidates by what the planner would take next; those that miss the goal come last. */
export function preference(goal) {
  const value = (candidate) =>
      candidate.feasible && !wantsFastest(goal) ? candidate.cost_usd : candidate.time_s;
  const group = (candidate) => candidate.feasible ? 0 : candidate.fits === false ? 2 : 1;
  return (a, b) => group(a) - group(b) || (value(a) ?? 0) - (value(b) ?? 0)
      || (a.cost_usd ?? 0) - (b.cost_usd ?? 0);
}

/** [{name, time}] of the average resource, in the order of the palette, without zeros. */
export function meanActivities(ledger) {
  const accounts = ledger.accounts ?? [];
  const total = d3.sum(accounts, (account) => account.count ?? 1) || 1;
  const times = new Map();
  for (const account of accounts) {
    for (const [name, time] of Object.entries(account.activities ?? {})) {
      times.set(name, (times.get(name) ?? 0) + time * (account.count ?? 1) / total);
    }
  }
  return inOrder(times);
}

/** The activities of one account in the order of the palette, without zeros. */
export function activitiesOf(account) {
  return inOrder(new Map(Object.entries(account.activities ?? {})));
}

function inOrder(times) {
  const names = kActivities.map((activity) => activity.name);
  for (const name of times.keys()) if (!names.includes(name)) names.push(name);
  return names.filter((name) => times.get(name) > 0).map((name) => ({name, time: times.get(name)}));
}
