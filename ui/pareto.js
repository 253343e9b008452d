// Time against cost: every fleet a point, those that no other beats on one line, the goal as a field.

import {dollars, duration} from "./format.js";
import {accelerators, fullName, isPlaced} from "./fleet.js";
import {placeLabels} from "./label_layout.js";
import {pressable, rove} from "./keyboard.js";
import {logTicks, logTimeTicks, timeTicks} from "./ticks.js";
import {tipped} from "./tip.js";

const kHeight = 440;
const kMargin = {top: 18, right: 16, bottom: 46, left: 76};
const kAllNamed = 24;  // of more points only the chosen and the front have names
const kLogFrom = 5;  // largest over smallest, from which on an axis is logarithmic
function makeScale(values, range) {
  const [least, most] = d3.extent(values);
  if (most / least > kLogFrom) {
    const pad = (most / least) ** 0.07;
    return {scale: d3.scaleLog().domain([least / pad, most * pad]).range(range), log: true};
  }
  return {scale: d3.scaleLinear().domain([0, most * 1.08]).range(range), log: false};
}

function ticksOf({scale, log}, logarithmic, linear) {
  return log ? logarithmic(scale.domain()) : linear(scale.domain()[1]);
}

function drawAxes(chart, x, y, width, height) {
  const money = (value) => value >= 1 || value === 0 ? `${value.toLocaleString("en-US")}\u00a0$` : dollars(value);
  chart.append("g").attr("class", "axis grid").attr("transform", `translate(0,${height})`)
      .call(d3.axisBottom(x.scale).tickValues(ticksOf(x, logTimeTicks, (most) => timeTicks(most, 7)))
          .tickFormat(duration).tickSize(-height).tickPadding(8));
  chart.append("g").attr("class", "axis grid")
      .call(d3.axisLeft(y.scale).tickValues(ticksOf(y, logTicks, (most) => d3.ticks(0, most, 7)))
          .tickFormat(money).tickSize(-width).tickPadding(8));
  chart.append("text").attr("class", "axis-name").attr("x", width).attr("y", height + 40)
      .attr("text-anchor", "end").text(`time of the job${x.log ? " (logarithmic)" : ""} →`);
  chart.append("text").attr("class", "axis-name").attr("x", -kMargin.left + 2).attr("y", -6)
      .text(`↑ cost${y.log ? " (logarithmic)" : ""}`);
}

/** The field that meets the goal, its borders and their names; gives the boxes that they take. */
function drawGoal(chart, goal, x, y, width, height) {
  const {budget_time_s: time, budget_cost_usd: cost} = goal;
  if (!time && !cost) return [];
  const right = time ? Math.min(width, x.scale(time)) : width;
  const top = cost ? Math.max(0, y.scale(cost)) : 0;
  chart.append("rect").attr("class", "goal-field").attr("x", 0).attr("y", top)
      .attr("width", Math.max(0, right)).attr("height", Math.max(0, height - top));
  const taken = [];
  const name = (text, at, line, turn) => {
    chart.append("line").attr("class", "budget").attr("x1", line[0]).attr("y1", line[1])
        .attr("x2", line[2]).attr("y2", line[3]);
    taken.push(lineBox(...line));
    const label = chart.append("text").attr("class", "budget-name").attr("x", at[0])
        .attr("y", at[1]).attr("text-anchor", turn).text(text);
    const {x: left, y: up, width: wide, height: high} = label.node().getBBox();
    taken.push({x: left - 3, y: up - 1, width: wide + 6, height: high + 2});
  };
  if (time && right < width) {
    const late = right > width - 130;
    name(`budget ${duration(time)}`, [right + (late ? -6 : 6), 12], [right, 0, right, height],
         late ? "end" : "start");
  }
  if (cost && top > 0) name(`budget ${dollars(cost)}`, [width - 4, top - 5], [0, top, width, top], "end");
  return taken;
}

function lineBox(x1, y1, x2, y2) {
  return {x: Math.min(x1, x2) - 1, y: Math.min(y1, y2) - 1,
          width: Math.abs(x2 - x1) + 2, height: Math.abs(y2 - y1) + 2};
}

/** Gives the boxes of its pieces. */
function drawFrontLine(chart, placed, x, y) {
  const front = placed.filter((candidate) => candidate.on_front)
      .sort((a, b) => a.time_s - b.time_s);
  const line = d3.line().x((c) => x.scale(c.time_s)).y((c) => y.scale(c.cost_usd))
      .curve(d3.curveStepAfter);
  if (front.length > 1) chart.append("path").attr("class", "front-line").attr("d", line(front));
  return d3.pairs(front).flatMap(([from, to]) => {
    const [x1, y1] = [x.scale(from.time_s), y.scale(from.cost_usd)];
    const [x2, y2] = [x.scale(to.time_s), y.scale(to.cost_usd)];
    return [lineBox(x1, y1, x2, y1), lineBox(x2, y1, x2, y2)];
  });
}

function describeFleet(candidate) {
  return {
    title: fullName(candidate),
    rows: [["time", duration(candidate.time_s)], ["cost", dollars(candidate.cost_usd)],
           ["accelerators", accelerators(candidate)]],
    note: candidate.verdict,
  };
}

function radius(candidate, chosen) {
  return candidate === chosen ? 8 : candidate.on_front ? 5.5 : 4.5;
}

function drawPoints(chart, candidates, chosen, x, y, select) {
  const symbol = (candidate) => d3.symbol()
      .type(candidate.market === "spot" ? d3.symbolDiamond : d3.symbolCircle)
      .size(Math.PI * radius(candidate, chosen) ** 2 * (candidate.market === "spot" ? 1.1 : 1))();
  const points = chart.append("g").attr("class", "points").selectAll("g").data(candidates).enter()
      .append("g").attr("class", "point").attr("role", "button")
      .attr("transform", (c) => `translate(${x.scale(c.time_s)},${y.scale(c.cost_usd)})`)
      .classed("front", (c) => c.on_front)
      .classed("chosen", (c) => c === chosen)
      .classed("infeasible", (c) => !c.feasible);
  points.append("circle").attr("class", "ring").attr("r", (c) => radius(c, chosen) + 4);
  points.append("path").attr("d", symbol);
  tipped(points, describeFleet);
  pressable(points, select);
  rove(points);
}

function drawLabels(chart, candidates, chosen, x, y, taken, bounds) {
  const rank = (c) => c === chosen ? 0 : c.on_front ? 1 : c.feasible ? 2 : 3;
  const order = candidates.filter((c) => rank(c) < 2 || candidates.length <= kAllNamed)
      .sort((a, b) => rank(a) - rank(b) || a.cost_usd - b.cost_usd);
  const labels = chart.append("g").attr("class", "labels").selectAll("text").data(order).enter()
      .append("text").attr("class", "point-label").text(fullName)
      .classed("front", (c) => c.on_front).classed("chosen", (c) => c === chosen);
  const items = labels.nodes().map((node, i) => {
    const {width, height} = node.getBBox();
    return {x: x.scale(order[i].time_s), y: y.scale(order[i].cost_usd),
            radius: radius(order[i], chosen), width, height, reach: [42, 42, 12, 0][rank(order[i])]};
  });
  const marks = candidates.map((c) => ({
    x: x.scale(c.time_s) - radius(c, chosen), y: y.scale(c.cost_usd) - radius(c, chosen),
    width: 2 * radius(c, chosen), height: 2 * radius(c, chosen),
  }));
  const boxes = placeLabels(items, [...taken, ...marks], bounds);
  const leaders = chart.insert("g", ".points").attr("class", "leaders");
  labels.each(function(_, i) {
    const box = boxes[i];
    if (!box) return void d3.select(this).remove();
    d3.select(this).attr("x", box.x).attr("y", box.y + 0.78 * box.height);
    if (!box.leader) return;
    const near = (from, length, at) => Math.max(from, Math.min(from + length, at));
    leaders.append("line").attr("x1", items[i].x).attr("y1", items[i].y)
        .attr("x2", near(box.x, box.width, items[i].x))
        .attr("y2", near(box.y, box.height, items[i].y));
  });
}

/** Draws into `figure` at its present width. `select(candidate)` follows a click. */
export function drawPareto(figure, plan, chosen, select) {
  const placed = plan.candidates.filter(isPlaced);
  const wide = Math.max(320, figure.node().clientWidth);
  const width = wide - kMargin.left - kMargin.right;
  const height = kHeight - kMargin.top - kMargin.bottom;
  const goal = plan.goal ?? {};
  const times = [...placed.map((c) => c.time_s), goal.budget_time_s].filter((v) => v > 0);
  const costs = [...placed.map((c) => c.cost_usd), goal.budget_cost_usd].filter((v) => v > 0);
  const x = makeScale(times, [0, width]);
  const y = makeScale(costs, [height, 0]);

  figure.selectAll("svg").remove();
  const chart = figure.insert("svg", "figcaption")
      .attr("viewBox", `0 0 ${wide} ${kHeight}`).attr("width", wide).attr("height", kHeight)
      .attr("role", "group").attr("aria-label", `Time against cost of ${placed.length} fleets`)
      .append("g").attr("transform", `translate(${kMargin.left},${kMargin.top})`);
  drawAxes(chart, x, y, width, height);
  const taken = drawGoal(chart, goal, x, y, width, height);
  taken.push(...drawFrontLine(chart, placed, x, y));
  // Those of most weight are drawn last, above the others.
  const weight = (c) => c === chosen ? 2 : c.on_front ? 1 : 0;
  drawPoints(chart, [...placed].sort((a, b) => weight(a) - weight(b)), chosen, x, y, select);
  drawLabels(chart, placed, chosen, x, y, taken, {x: 2, y: 2, width: width - 4, height: height - 4});
}
