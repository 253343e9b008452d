// A ledger as stacked bars: one bar an account, one segment an activity, and the table that says the
// same in numbers.

import {dollars, duration, percent} from "./format.js";
import {activityColour, activityOf} from "./palette.js";
import {activitiesOf, meanActivities} from "./fleet.js";
import {rove} from "./keyboard.js";
import {timeTicks} from "./ticks.js";
import {tipped} from "./tip.js";

const kNarrowest = 0.055;  // of the bar: what a percentage still fits into
const kLabelled = 3;       // entries that a tip names
const kBars = 12;          // more accounts hide behind a button

/** `bar` gets one segment for each {name, time, whole, scale, who, entries}. */
export function drawSegments(bar, items) {
  const segments = bar.selectAll("span").data(items).enter().append("span")
      .attr("class", "segment")
      .attr("role", "img")
      .attr("data-activity", (item) => item.name)
      .style("width", (item) => `${100 * item.time / item.scale}%`)
      .style("background", (item) => activityColour(item.name))
      .style("color", (item) => `var(--on-${activityOf(item.name).name})`);
  segments.append("span").attr("class", "share")
      .text((item) => item.time / item.scale >= kNarrowest ? percent(item.time / item.whole) : "");
  tipped(segments, (item) => ({
    title: `${activityOf(item.name).label}: ${duration(item.time)}`,
    rows: [["share", percent(item.time / item.whole)], ["of", item.who],
           ...largest(item.entries ?? []).map((entry) => [entry.label, duration(entry.time_s)])],
  }));
  return segments;
}

function largest(entries) {
  return entries.filter((entry) => entry.label).sort((a, b) => b.time_s - a.time_s)
      .slice(0, kLabelled);
}

function drawRow(list, account, whole) {
  const row = list.append("li").attr("class", "bar-row");
  const label = row.append("span").attr("class", "bar-label");
  label.append("span").text(account.resource);
  if (account.count > 1) label.append("span").attr("class", "quiet").text(`× ${account.count}`);
  const items = activitiesOf(account).map((item) => ({
    ...item, whole, scale: whole, who: account.resource,
    entries: (account.entries ?? []).filter((entry) => entry.activity === item.name),
  }));
  drawSegments(row.append("div").attr("class", "bar"), items);
  const busy = d3.sum(items.filter((item) => item.name !== "idle"), (item) => item.time);
  row.append("span").attr("class", "bar-total").text(duration(busy))
      .attr("aria-label", `busy for ${duration(busy)}`);
}

/** The entries of all accounts by activity, each the time of the average resource. */
function meanEntries(ledger) {
  const total = d3.sum(ledger.accounts, (account) => account.count ?? 1) || 1;
  const byActivity = new Map();
  for (const account of ledger.accounts) {
    for (const {activity, label, time_s: time} of account.entries ?? []) {
      if (!byActivity.has(activity)) byActivity.set(activity, new Map());
      const labels = byActivity.get(activity);
      labels.set(label, (labels.get(label) ?? 0) + time * (account.count ?? 1) / total);
    }
  }
  return (name) => largest([...byActivity.get(name) ?? []]
      .map(([label, time]) => ({label, time_s: time})));
}

function drawSums(place, ledger) {
  const entriesOf = meanEntries(ledger);
  const table = place.append("table").attr("class", "sums");
  const many = d3.sum(ledger.accounts, (account) => account.count ?? 1) > 1;
  table.append("caption").attr("class", "hidden").text("Time by activity");
  table.append("thead").append("tr").selectAll("th")
      .data([["Activity", ""], [many ? "Mean time" : "Time", "number"], ["Share", "number"],
             ["Most of it", ""]])
      .enter().append("th").attr("scope", "col").attr("class", (d) => d[1]).text((d) => d[0]);
  const rows = table.append("tbody").selectAll("tr").data(meanActivities(ledger)).enter().append("tr")
      .attr("data-activity", (item) => item.name);
  const head = rows.append("th").attr("scope", "row");
  head.append("span").attr("class", "swatch")
      .style("background", (item) => activityColour(item.name));
  head.append("span").text((item) => activityOf(item.name).label);
  rows.append("td").attr("class", "number").text((item) => duration(item.time));
  rows.append("td").attr("class", "number").text((item) => percent(item.time / ledger.whole_s));
  rows.append("td").attr("class", "quiet").text((item) => {
    const entries = entriesOf(item.name);
    if (entries.length === 0) return activityOf(item.name).meaning;
    return entries.map((entry) => `${entry.label} ${duration(entry.time_s)}`).join(" · ");
  });
}

export function drawLedger(place, ledger) {
  const rows = place.append("ul").attr("class", "bars").attr("aria-label", "Ledger");
  for (const account of ledger.accounts) drawRow(rows, account, ledger.whole_s);
  rows.selectAll("li").classed("extra", (_, i) => i >= kBars);
  const axis = place.append("div").attr("class", "bar-row axis").attr("aria-hidden", "true");
  axis.append("span");
  const ticks = axis.append("div").attr("class", "ticks");
  for (const time of timeTicks(ledger.whole_s, 6)) {
    ticks.append("span").style("left", `${100 * time / ledger.whole_s}%`).text(duration(time));
  }
  axis.append("span").attr("class", "bar-total").text("busy");
  if (ledger.accounts.length > kBars) {
    place.append("button").attr("type", "button").attr("class", "more")
        .text(`Show all ${ledger.accounts.length} accounts`)
        .on("click", function() {
          rows.selectAll("li").classed("extra", false);
          d3.select(this).remove();
        });
  }
  rove(rows.selectAll(".segment"));
  drawSums(place, ledger);
}

/** A page for one ledger alone. */
export function drawLoneLedger(page, ledger) {
  const head = page.append("header");
  head.append("p").attr("class", "overline")
      .text(["Penstock ledger", ledger.evidence].filter(Boolean).join(" · "));
  head.append("h1").text(ledger.title || "Ledger");
  const facts = [`${duration(ledger.whole_s)} in all`];
  if (typeof ledger.cost_usd === "number") facts.push(dollars(ledger.cost_usd));
  head.append("ul").attr("class", "facts").selectAll("li").data(facts).enter().append("li")
      .text((fact) => fact);
  const section = page.append("section").attr("id", "ledger").attr("aria-label", "Ledger");
  drawLedger(section, ledger);
}
