// When jobs completed: the part of them that had by each time, by how many accelerators they hold,
// and the means behind the lines.

import {duration, percent, times} from "./format.js";
import {demandColour, kDemands} from "./jobs.js";
import {logTimeTicks, spacedTicks} from "./ticks.js";
import {hideTip, showTip} from "./tip.js";

const kLawHeight = 340;
const kLawMargin = {top: 10, right: 18, bottom: 44, left: 46};

function nameOf(row) {
  return row.class === null ? "all jobs" : kDemands[row.class];
}

function colourOf(row) {
  return row.class === null ? "var(--ink)" : demandColour(row.class);
}

/** The part of a class that had completed by `time`. */
function doneBy(row, time) {
  const at = d3.bisector(([seconds]) => seconds).right(row.law, time);
  return at === 0 ? 0 : row.law[at - 1][1];
}

function drawLines(figure, rows) {
  const wide = Math.max(280, figure.node().clientWidth);
  const width = wide - kLawMargin.left - kLawMargin.right;
  const height = kLawHeight - kLawMargin.top - kLawMargin.bottom;
  const shown = rows.flatMap((row) => row.law.map(([seconds]) => seconds)).filter((s) => s > 0);
  const [least, most] = d3.extent(shown);
  const x = d3.scaleLog().domain([least / 1.2, most * 1.2]).range([0, width]).clamp(true);
  const y = d3.scaleLinear().domain([0, 1]).range([height, 0]);
  figure.selectAll("svg").remove();
  const chart = figure.append("svg").attr("viewBox", `0 0 ${wide} ${kLawHeight}`)
      .attr("width", wide).attr("height", kLawHeight)
      .attr("role", "img").attr("aria-label", "Completion times by demand")
      .append("g").attr("transform", `translate(${kLawMargin.left},${kLawMargin.top})`);
  chart.append("g").attr("class", "axis grid").attr("transform", `translate(0,${height})`)
      .call(d3.axisBottom(x).tickValues(spacedTicks(logTimeTicks(x.domain()), x, 62))
          .tickFormat(duration).tickSize(-height).tickPadding(12));
  chart.append("g").attr("class", "axis grid")
      .call(d3.axisLeft(y).ticks(5).tickFormat(percent).tickSize(-width).tickPadding(8));
  chart.append("text").attr("class", "axis-name").attr("x", width).attr("y", height + 40)
      .attr("text-anchor", "end").text("time from submission to completion (logarithmic) →");
  const line = d3.line().x(([seconds]) => x(Math.max(least / 1.2, seconds)))
      .y(([, part]) => y(part)).curve(d3.curveStepAfter);
  // All jobs last, above the classes.
  for (const row of [...rows].reverse()) {
    chart.append("path").attr("class", "law").classed("whole", row.class === null)
        .attr("data-class", nameOf(row)).style("stroke", colourOf(row))
        .attr("d", line([[row.law[0][0], 0], ...row.law, [most * 1.2, 1]]));
  }
  const veil = chart.append("rect").attr("class", "pointing")
      .attr("width", width).attr("height", height);
  veil.on("pointermove", () => {
    const [at] = d3.mouse(veil.node());
    const time = x.invert(at);
    chart.selectAll(".pointer").data([0]).join("line").attr("class", "pointer")
        .attr("x1", at).attr("x2", at).attr("y2", height);
    showTip({title: `Completed within ${duration(time)}`,
             rows: rows.map((row) => [nameOf(row), percent(doneBy(row, time))])},
            d3.event.clientX, d3.event.clientY);
  }).on("pointerleave", () => {
    hideTip();
    chart.select(".pointer").remove();
  });
}

const kColumns = [
  ["Jobs", (row) => row.jobs.toLocaleString("en-US")],
  ["Mean", (row) => duration(row.mean_s)],
  ["Median", (row) => duration(row.p50_s)],
  ["99%", (row) => duration(row.p99_s)],
  ["Slowdown", (row) => times(row.stretch)],
  ["Mean wait", (row) => duration(row.wait_s)],
  ["– for a node", (row) => duration(row.declined_for_node_s)],
  ["– for a rack", (row) => duration(row.declined_for_rack_s)],
  ["Preempted", (row) => row.preemptions.toLocaleString("en-US")],
];

function drawClassTable(place, rows) {
  const table = place.append("div").attr("class", "scroll").append("table")
      .attr("class", "classes");
  table.append("caption").attr("class", "hidden").text("Completion by the accelerators of a job");
  const head = table.append("thead").append("tr");
  head.append("th").attr("scope", "col").text("Accelerators");
  head.selectAll(".number").data(kColumns).enter().append("th").attr("scope", "col")
      .attr("class", "number").text(([name]) => name);
  const lines = table.append("tbody").selectAll("tr").data(rows).enter().append("tr")
      .classed("whole", (row) => row.class === null);
  const names = lines.append("th").attr("scope", "row");
  names.append("span").attr("class", "swatch").style("background", colourOf);
  names.append("span").text(nameOf);
  for (const [, text] of kColumns) lines.append("td").attr("class", "number").text(text);
}

export function drawCompletion(page, report) {
  const section = page.append("section").attr("id", "completion")
      .attr("aria-labelledby", "completion-title");
  section.append("h2").attr("id", "completion-title").text("When jobs completed");
  section.append("p").attr("class", "lead")
      .text("The part of the jobs that had completed within each time, by how many accelerators "
          + "they hold. The slowdown is that time over the work alone; a wait is in part declined "
          + "offers, for a node's or a rack's sake.");
  // One class alone is all jobs.
  const rows = report.classes.length === 2 ? report.classes.slice(0, 1) : report.classes;
  const figure = section.append("figure");
  drawLines(figure, rows);
  let width = figure.node().clientWidth;
  new ResizeObserver(() => {
    if (figure.node().clientWidth === width) return;
    width = figure.node().clientWidth;
    drawLines(figure, rows);
  }).observe(figure.node());
  drawClassTable(section, rows);
}
