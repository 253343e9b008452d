// The layers of the chosen plan: the graph at the left, and on the same rows how each is split and
// what it costs.

import {count, duration, percent, times} from "./format.js";
import {activityColour, kSplits, splitColour, splitDimensions} from "./palette.js";
import {layoutGraph} from "./graph_layout.js";
import {rove} from "./keyboard.js";
import {tipped} from "./tip.js";

const kRowHeights = {layer: 28, glue: 21, copy: 13};
const kLane = 18;
const kLanesWidth = 150;  // more lanes stand closer
const kMark = 15;         // side of a layer's mark

function timeOf(node) {
  return (node.compute_s ?? 0) + (node.communication_s ?? 0);
}

function splitText(node) {
  const dimensions = splitDimensions(node);
  if (dimensions.length === 0) return node.parts ? "not split" : node.split ?? "";
  return dimensions.map((d) => `${d.label} ${d.parts}`).join(" · ");
}

function describeLayer(node, step) {
  return {
    title: node.kind === "copy" ? `copy of a tensor (${node.name})` : node.name,
    rows: [
      ["operator", node.kind === "copy" ? "" : node.type],
      ["split", node.split || splitText(node)],
      ["output", node.output_shape ? shapeText(node.output_shape) : ""],
      ["parameters", node.parameters ? count(node.parameters) : ""],
      ["MAC", node.macs ? count(node.macs) : ""],
      ["compute", node.compute_s ? duration(node.compute_s) : ""],
      ["communication", node.communication_s ? duration(node.communication_s) : ""],
      ["share of the step", timeOf(node) > 0 && step > 0 ? percent(timeOf(node) / step) : ""],
    ].filter(([, value]) => value),
  };
}

function shapeText(shape) {
  return Array.isArray(shape) ? shape.join(" × ") : String(shape);
}

/** "13 of 16 layers are split along the batch, 2 along channels, 1 along both." */
function summary(nodes) {
  const layers = nodes.filter((node) => node.kind === "layer");
  const kindOf = (node) => {
    const names = splitDimensions(node).map((dimension) => dimension.name);
    const channels = names.some((name) => name !== "batch");
    return !channels ? (names.length > 0 ? "along the batch" : "not at all")
        : names.includes("batch") ? "along both batch and channels" : "along channels";
  };
  const groups = d3.nest().key(kindOf).rollup((members) => members.length).entries(layers)
      .sort((a, b) => b.value - a.value);
  if (groups.length === 0) return "";
  const [first, ...rest] = groups;
  const verb = layers.length === 1 ? "layer is" : "layers are";
  return `${first.value} of ${layers.length} ${verb} split ${first.key}`
      + `${rest.map(({key, value}) => `, ${value} ${key}`).join("")}.`;
}

function drawLegend(place, nodes, communication) {
  const used = new Set(nodes.flatMap((node) => {
    const dimensions = splitDimensions(node);
    return dimensions.length > 0 ? dimensions.map((d) => d.name) : ["whole"];
  }));
  const items = [
    ...kSplits.filter((split) => used.has(split.name))
        .map((split) => ({label: split.label, colour: splitColour(split.name), mark: "swatch"})),
    ...(nodes.some((node) => node.kind === "copy")
        ? [{label: "copy of a tensor", colour: "var(--quiet)", mark: "swatch dot"}] : []),
    {label: "compute", colour: activityColour("compute"), mark: "swatch bar-mark first-bar"},
    {label: "communication", colour: communication, mark: "swatch bar-mark"},
  ];
  const legend = place.append("ul").attr("class", "legend").selectAll("li").data(items).enter()
      .append("li");
  legend.append("span").attr("class", (item) => item.mark).style("background", (item) => item.colour);
  legend.append("span").text((item) => item.label);
}

/** From row to row within a lane, with one bend at each change of lane. */
function edgePath({lane, from, to}, rows, laneX) {
  const [start, end] = [rows[from], rows[to]];
  const bend = (x0, y0, x1, y1) => x0 === x1 ? `L${x1},${y1}`
      : `C${x0},${(y0 + y1) / 2} ${x1},${(y0 + y1) / 2} ${x1},${y1}`;
  const begin = `M${laneX(start.lane)},${start.y}`;
  if (to - from < 2) return begin + bend(laneX(start.lane), start.y, laneX(end.lane), end.y);
  const x = laneX(lane);
  const [first, last] = [rows[from + 1].y, rows[to - 1].y];
  return begin + bend(laneX(start.lane), start.y, x, first) + `L${x},${last}`
      + bend(x, last, laneX(end.lane), end.y);
}

/** A layer's mark is cut into its dimensions, each as wide as the logarithm of its parts. */
function drawMark(mark) {
  const node = mark.datum().node;
  const dimensions = splitDimensions(node);
  const pieces = dimensions.length > 0 ? dimensions : [{name: "whole", parts: 2}];
  if (node.kind !== "layer") {
    mark.append("circle").attr("class", "outline").attr("r", node.kind === "copy" ? 3.5 : 4.5)
        .style("fill", node.kind === "copy" ? "var(--quiet)" : splitColour(pieces[0].name));
    return;
  }
  const sum = d3.sum(pieces, (piece) => Math.log2(piece.parts));
  let x = -kMark / 2;
  for (const piece of pieces) {
    const width = kMark * Math.log2(piece.parts) / sum;
    mark.append("rect").attr("x", x).attr("y", -kMark / 2).attr("width", width)
        .attr("height", kMark).style("fill", splitColour(piece.name));
    x += width;
  }
  mark.append("rect").attr("class", "outline hollow").attr("x", -kMark / 2).attr("y", -kMark / 2)
      .attr("width", kMark).attr("height", kMark);
}

function drawPicture(list, layout, laneX, width, height) {
  const svg = list.append("svg").attr("class", "wires").attr("width", width).attr("height", height)
      .attr("aria-hidden", "true");
  const largest = d3.max(layout.edges, (item) => item.edge.elements ?? 0) || 1;
  svg.append("g").selectAll("path").data(layout.edges).enter().append("path").attr("class", "edge")
      .attr("d", (item) => edgePath(item, layout.rows, laneX))
      .style("stroke-width", (item) => 1.2 + 3 * Math.sqrt((item.edge.elements ?? 0) / largest));
  svg.append("g").selectAll("g").data(layout.rows).enter().append("g")
      .attr("class", (row) => `node ${row.node.kind}`)
      .attr("transform", (row) => `translate(${laneX(row.lane)},${row.y})`)
      .each(function() { drawMark(d3.select(this)); });
}

function drawCells(rows, longest, communication) {
  rows.append("span").attr("class", "layer-name").text((row) => row.node.name);
  rows.append("span").attr("class", "layer-type quiet").text((row) => row.node.type);
  rows.append("span").attr("class", "layer-split").each(function({node}) {
    const cell = d3.select(this);
    const dimensions = splitDimensions(node);
    if (node.kind !== "layer" || dimensions.length === 0) return void cell.text(splitText(node));
    const chips = cell.selectAll("span").data(dimensions).enter().append("span").attr("class", "chip");
    chips.append("span").attr("class", "swatch").style("background", (d) => splitColour(d.name));
    chips.append("span").text((d) => `${d.label} ${d.parts}`);
  });
  rows.append("span").attr("class", "layer-shape number quiet")
      .text((row) => row.node.output_shape ? shapeText(row.node.output_shape) : "");
  rows.append("span").attr("class", "layer-count number quiet")
      .text((row) => row.node.parameters ? count(row.node.parameters, 3) : "");
  const bar = rows.append("span").attr("class", "layer-bar");
  const part = (value, colour) => bar.append("span")
      .style("width", (row) => `${100 * (row.node[value] ?? 0) / longest}%`)
      .style("background", colour);
  part("compute_s", activityColour("compute"));
  part("communication_s", communication);
  rows.append("span").attr("class", "layer-time number")
      .text((row) => timeOf(row.node) > 0 ? duration(timeOf(row.node)) : "");
}

/** What the same fleet takes under simpler splits. */
function drawStrategies(place, chosen) {
  // The best of all is one of the others.
  const strategies = (chosen?.strategies ?? []).filter((strategy) => strategy.name !== "best");
  if (strategies.length < 2) return;
  const best = chosen.step_time_s;
  const list = place.append("ul").attr("class", "strategies");
  list.append("li").attr("class", "quiet").text("A step on this fleet by strategy:");
  const items = list.selectAll("li.strategy").data(strategies).enter().append("li")
      .attr("class", "strategy").classed("own", (strategy) => strategy.step_time_s === best);
  items.append("span").text((strategy) => `${strategy.name} ${duration(strategy.step_time_s)}`);
  items.append("span").attr("class", "quiet").text((strategy) =>
      strategy.step_time_s === best ? "" : ` ${times(strategy.step_time_s / best)}`);
}

export function drawGraph(page, plan, chosen) {
  const graph = plan.graph;
  const activities = chosen?.ledger?.accounts?.map((account) => account.activities ?? {}) ?? [];
  const total = (name) => d3.sum(activities, (times) => times[name] ?? 0);
  const communication =
      activityColour(total("interconnect") > total("network") ? "interconnect" : "network");
  const step = d3.sum(graph.nodes, timeOf);
  const layout = layoutGraph(graph);
  let height = 6;
  for (const row of layout.rows) {
    row.height = kRowHeights[row.node.kind] ?? kRowHeights.glue;
    row.y = height + row.height / 2;
    height += row.height;
  }
  const lane = Math.min(kLane, kLanesWidth / layout.lanes);
  const laneX = (index) => 16 + index * lane;
  const width = laneX(layout.lanes - 1) + 18;

  const section = page.append("section").attr("id", "graph").attr("aria-labelledby", "graph-title");
  section.append("h2").attr("id", "graph-title").text("How each layer is split");
  section.append("p").attr("class", "lead").text(summary(graph.nodes));
  drawStrategies(section, chosen);
  drawLegend(section, graph.nodes, communication);
  const frame = section.append("div").attr("class", "layers")
      .classed("shapeless", !graph.nodes.some((node) => node.output_shape)).style("--wires", `${width}px`)
      .attr("tabindex", 0).attr("role", "region").attr("aria-label", "Layers");
  const head = frame.append("div").attr("class", "layer-row layer-head").attr("aria-hidden", "true");
  for (const [name, kind] of [["Layer", "layer-name"], ["Operator", "layer-type"],
                              ["Split", "layer-split"], ["Output", "layer-shape number"],
                              ["Parameters", "layer-count number"], ["Time of a step", "layer-bar"],
                              ["", "layer-time number"]]) {
    head.append("span").attr("class", kind).text(name);
  }
  const list = frame.append("div").attr("class", "layer-list").style("height", `${height + 6}px`);
  drawPicture(list, layout, laneX, width, height + 6);
  const rows = list.append("ol").selectAll("li").data(layout.rows).enter().append("li")
      .attr("class", (row) => `layer-row ${row.node.kind}`)
      .style("height", (row) => `${row.height}px`);
  const longest = d3.max(graph.nodes, timeOf) || 1;
  drawCells(rows.filter((row) => row.node.kind !== "copy"), longest, communication);
  tipped(rows, (row) => describeLayer(row.node, step));
  rove(rows);
}
