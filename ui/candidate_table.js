// Every fleet that was tried, with its verdict; the headings sort.

import {crosses, dollars, duration} from "./format.js";
import {accelerators, fleetName, hourly, marketName, preference} from "./fleet.js";
import {pressable} from "./keyboard.js";

const kRows = 14;  // more hide behind a button
const kColumns = [
  {name: "Fleet", key: fleetName, text: fleetName},
  {name: "Market", key: marketName, text: marketName},
  {name: "Accelerators", number: true, key: (c) => c.devices, text: accelerators},
  {name: "Price per h", number: true, key: hourly, text: (c) => dollars(hourly(c))},
  {name: "Step", number: true, key: (c) => c.step_time_s, text: (c) => duration(c.step_time_s)},
  {name: "Time", number: true, key: (c) => c.time_s, text: (c) => duration(c.time_s)},
  {name: "Cost", number: true, key: (c) => c.cost_usd, text: (c) => dollars(c.cost_usd)},
  {name: "Verdict", key: (c) => c.verdict, text: (c) => crosses(c.verdict)},
];

function ascending(key) {
  return (a, b) => {
    const [x, y] = [key(a) ?? null, key(b) ?? null];
    if (x === null || y === null) return (x === null) - (y === null);
    return d3.ascending(x, y);
  };
}

function makeHead(table, sort) {
  const heads = table.append("thead").append("tr").selectAll("th").data(kColumns).enter()
      .append("th").attr("scope", "col").classed("number", (column) => column.number);
  heads.append("button").attr("type", "button").text((column) => column.name)
      .on("click", sort);
  return heads;
}

function status(candidate, chosen) {
  if (candidate === chosen && chosen.feasible) return ["★", "chosen"];
  if (candidate.feasible) return ["✓", "meets the goal"];
  return candidate.fits === false ? ["–", "does not fit"] : ["✗", "misses the goal"];
}

function makeRows(table, plan, chosen, select) {
  const first = (a, b) => (b === chosen) - (a === chosen);
  const compare = preference(plan.goal);
  const rows = table.append("tbody").selectAll("tr")
      .data([...plan.candidates].sort((a, b) => first(a, b) || compare(a, b))).enter()
      .append("tr").attr("tabindex", 0)
      .classed("chosen", (candidate) => candidate === chosen)
      .classed("infeasible", (candidate) => !candidate.feasible);
  kColumns.forEach((column, i) => {
    const cells = rows.append(i === 0 ? "th" : "td").classed("number", Boolean(column.number));
    if (i === 0) {
      cells.attr("scope", "row").append("span").attr("class", "status").attr("role", "img")
          .attr("aria-label", (candidate) => status(candidate, chosen)[1])
          .text((candidate) => status(candidate, chosen)[0]);
    }
    cells.append("span").text(column.text);
  });
  pressable(rows, select);
  return rows;
}

/** Gives what marks a candidate as selected. */
export function drawTable(page, plan, chosen, select) {
  const section = page.append("section").attr("id", "candidates")
      .attr("aria-labelledby", "candidates-title");
  section.append("h2").attr("id", "candidates-title").text("All candidates");
  section.append("p").attr("class", "lead")
      .text("Choose a row to see where its time goes. The headings sort.");
  const table = section.append("div").attr("class", "scroll").append("table")
      .attr("class", "candidates");
  let order = null;
  let open = false;
  const heads = makeHead(table, (column) => {
    const down = order?.column === column && !order.down;
    order = {column, down};
    const compare = ascending(column.key);
    rows = rows.sort((a, b) => (down ? -1 : 1) * compare(a, b));
    heads.attr("aria-sort", (d) => d !== column ? null : down ? "descending" : "ascending");
    cut();
  });
  let rows = makeRows(table, plan, chosen, select);
  const cut = () => table.selectAll("tbody tr").classed("extra", (_, i) => !open && i >= kRows);
  cut();
  if (plan.candidates.length > kRows) {
    section.append("button").attr("type", "button").attr("class", "more")
        .text(`Show all ${plan.candidates.length} candidates`)
        .on("click", function() {
          open = true;
          cut();
          d3.select(this).remove();
        });
  }
  return (selected) => rows.classed("selected", (candidate) => candidate === selected)
      .attr("aria-selected", (candidate) => candidate === selected ? "true" : null);
}
