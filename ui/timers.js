// The delay timers over time: how long a job of each demand was told to wait for one node, and for
// one rack.

import {duration} from "./format.js";
import {demandColour, kDemands} from "./jobs.js";
import {logTimeTicks, spacedTicks, timeTicks} from "./ticks.js";
import {tipped} from "./tip.js";

const kTimerHeight = 250;
const kTimerMargin = {top: 10, right: 14, bottom: 40, left: 70};
const kDots = 60;  // more points of one timer are only a line
const kTitles = {node: "To wait for one node", rack: "And then for one rack"};

function pointsOf(timer) {
  return timer.at_s.map((at, i) => ({at, value: timer.value_s[i], tuned: timer.tuned[i], timer}));
}

/** One path of the steps that begin at points for which `tuned` is as asked. */
function steps(points, x, y, tuned) {
  return d3.pairs(points).filter(([from]) => from.tuned === tuned)
      .map(([from, to]) => `M${x(from.at)},${y(from.value)}H${x(to.at)}V${y(to.value)}`).join("");
}

function drawPanel(figure, timers, end, domain) {
  const wide = Math.max(260, figure.node().clientWidth);
  const width = wide - kTimerMargin.left - kTimerMargin.right;
  const height = kTimerHeight - kTimerMargin.top - kTimerMargin.bottom;
  const x = d3.scaleLinear().domain([0, end]).range([0, width]);
  const y = d3.scaleLog().domain(domain).range([height, 0]);
  figure.selectAll("svg").remove();
  const chart = figure.append("svg").attr("viewBox", `0 0 ${wide} ${kTimerHeight}`)
      .attr("width", wide).attr("height", kTimerHeight)
      .append("g").attr("transform", `translate(${kTimerMargin.left},${kTimerMargin.top})`);
  const high = [...logTimeTicks(domain)].reverse();
  chart.append("g").attr("class", "axis grid").attr("transform", `translate(0,${height})`)
      .call(d3.axisBottom(x).tickValues(timeTicks(end, Math.max(2, Math.floor(width / 90))))
          .tickFormat(duration).tickSize(-height).tickPadding(12));
  chart.append("g").attr("class", "axis grid")
      .call(d3.axisLeft(y).tickValues(spacedTicks(high, y, 22)).tickFormat(duration)
          .tickSize(-width).tickPadding(8));
  for (const timer of timers) {
    const points = pointsOf(timer);
    const colour = demandColour(timer.class);
    for (const tuned of [false, true]) {
      chart.append("path").attr("class", tuned ? "timer tuned" : "timer initial")
          .style("stroke", colour).attr("data-class", kDemands[timer.class])
          .attr("d", steps(points, x, y, tuned));
    }
    const dotted = points.length <= kDots ? points : [points[0], points[points.length - 1]];
    const dots = chart.append("g").selectAll("circle").data(dotted).enter().append("circle")
        .attr("class", "timer-dot").attr("r", 3.5).attr("cx", (point) => x(point.at))
        .attr("cy", (point) => y(point.value)).style("stroke", colour)
        .style("fill", (point) => point.tuned ? colour : "var(--ground)");
    tipped(dots, (point) => ({
      title: `${duration(point.value)}, ${point.tuned ? "tuned" : "the default"}`,
      rows: [["accelerators", kDemands[timer.class]], ["at", duration(point.at)]],
    }));
  }
}

function drawTimerLegend(place, timers) {
  const legend = place.append("ul").attr("class", "legend");
  const classes = [...new Set(timers.map((timer) => timer.class))].sort((a, b) => a - b);
  const items = legend.selectAll("li").data(classes).enter().append("li");
  items.append("span").attr("class", "swatch").style("background", demandColour);
  items.append("span").text((demand) => `${kDemands[demand]} accelerator${demand ? "s" : ""}`);
  legend.append("li").text("dashed, hollow: the default, for want of samples");
}

export function drawTimers(page, report) {
  const {placement, timers} = report;
  const section = page.append("section").attr("id", "timers")
      .attr("aria-labelledby", "timers-title");
  section.append("h2").attr("id", "timers-title").text("How long jobs were told to wait");
  const shown = placement.tunes
      ? timers.filter((timer) => timer.value_s.some((value) => value > 0)) : [];
  if (shown.length === 0) {
    section.append("p").attr("class", "lead").text(placement.tunes
        ? "No job declined what was free, so no timer was asked for."
        : `Placement ${placement.name}: ${placement.summary}. It tunes no timer.`);
    return;
  }
  section.append("p").attr("class", "lead")
      .text("The timer that each job was given when it had declined what was free, by its demand.");
  drawTimerLegend(section, shown);
  const panels = section.append("div").attr("class", "panels");
  // Both panels on one scale, so that they compare.
  const [least, most] = d3.extent(shown.flatMap((timer) => timer.value_s).filter((s) => s > 0));
  const domain = [least >= 1 ? Math.max(1, least / 1.5) : least / 1.5, most * 1.5];
  const last = 1.03 * d3.max(shown, (timer) => d3.max(timer.at_s));
  for (const tier of ["node", "rack"]) {
    const own = shown.filter((timer) => timer.tier === tier);
    if (own.length === 0) continue;
    const figure = panels.append("figure").attr("data-tier", tier);
    figure.append("h3").text(kTitles[tier]);
    let width = -1;
    new ResizeObserver(() => {
      if (figure.node().clientWidth === width) return;
      width = figure.node().clientWidth;
      drawPanel(figure, own, last, domain);
    }).observe(figure.node());
    width = figure.node().clientWidth;
    drawPanel(figure, own, last, domain);
  }
}
