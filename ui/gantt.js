// Every accelerator over time. A canvas, because a trace has tens of thousands of stays; what it
// shows is told by the box at the pointer, and for one job by a sentence below.

import {duration} from "./format.js";
import {clearLabels, laneAt, laneTop, layoutLanes, nodeOfLane} from "./lanes.js";
import {colourings, jobRows, jobStory, jobTitle, kTiers, rowsOf} from "./jobs.js";
import {draggable} from "./time_window.js";
import {hideTip, showTip} from "./tip.js";
import {drawTimeAxis} from "./usage.js";

const kLabelHeight = 15;
const kEdgeFrom = 5;       // pixels of lane and length from which on a stay has an edge of its own
const kNarrowestStay = 0.6;
const kMostPixels = 16384; // of a canvas, in either direction
const kPaledAlpha = 0.16;

function blocksByLane(blocks) {
  const lanes = new Map();
  for (const block of blocks) {
    for (let i = 0; i < block.lanes; ++i) {
      if (!lanes.has(block.lane + i)) lanes.set(block.lane + i, []);
      lanes.get(block.lane + i).push(block);
    }
  }
  for (const list of lanes.values()) list.sort((a, b) => a.start_s - b.start_s);
  return lanes;
}

const bisectStart = d3.bisector((block) => block.start_s).right;

export class Gantt {
  constructor(place, report, jobs, view) {
    this.report = report;
    this.jobs = jobs;
    this.view = view;
    this.blocks = rowsOf(report.blocks.columns);
    this.byLane = blocksByLane(this.blocks);
    this.layout = layoutLanes(report.cluster);
    this.colourings = colourings(report, jobs);
    this.colouring = this.colourings[0];
    this.selected = null;
    this.drawControls(place);
    const box = place.append("div").attr("class", "lanes-box");
    const grid = box.append("div").attr("class", "lanes");
    this.labels = grid.append("div").attr("class", "lane-labels");
    this.surface = grid.append("div").attr("class", "lane-surface");
    this.canvas = this.surface.append("canvas").attr("role", "img")
        .attr("aria-label", `${this.layout.nodes.length} nodes with their accelerators over time, `
            + `${this.blocks.length} stays of ${jobs.length} jobs`);
    this.drawLabels();
    drawTimeAxis(place, view);
    this.story = place.append("p").attr("class", "story").attr("aria-live", "polite");
    this.listen();
    view.listeners.push(() => this.draw());
    this.draw();
    this.tell();
  }

  drawControls(place) {
    const controls = place.append("div").attr("class", "gantt-controls");
    const choice = controls.append("div").attr("class", "tools").attr("role", "group")
        .attr("aria-label", "Colours");
    choice.append("span").attr("class", "quiet").text("Colour by");
    const buttons = choice.selectAll("button").data(this.colourings).enter().append("button")
        .attr("type", "button").attr("class", "more").text((colouring) => colouring.label);
    const mark = () => buttons.attr("aria-pressed", (colouring) => colouring === this.colouring);
    buttons.on("click", (colouring) => {
      this.colouring = colouring;
      mark();
      this.drawLegend();
      this.draw();
    });
    mark();
    const find = controls.append("label").attr("class", "find");
    find.append("span").attr("class", "quiet").text("Find a job");
    this.find = find.append("input").attr("type", "search").attr("size", 12);
    this.find.on("change", () => {
      const name = this.find.node().value.trim();
      const job = this.jobs.find((it) => it.name === name);
      this.select(job ?? null);
      if (name && !job) this.story.text(`No job shown here is called “${name}”.`);
    });
    this.legend = place.append("ul").attr("class", "legend");
    this.drawLegend();
  }

  drawLegend() {
    const entries = [...this.colouring.entries];
    if (this.report.blocks.merged > 0) {
      entries.push({label: "several short stays", colour: "--several"});
    }
    const items = this.legend.html("").selectAll("li").data(entries).enter().append("li");
    items.append("span").attr("class", "swatch")
        .style("background", (entry) => `var(${entry.colour})`);
    items.append("span").text((entry) => entry.label);
  }

  drawLabels() {
    const {nodes, racks, height} = this.layout;
    this.labels.style("height", `${height}px`);
    // Nodes where they are tall enough for their names, else racks.
    const tall = clearLabels(nodes, kLabelHeight).length === nodes.length;
    const shown = tall ? nodes : clearLabels(racks, kLabelHeight);
    this.labels.selectAll("span").data(shown).enter().append("span").attr("class", "lane-label")
        .style("top", (it) => `${it.y + it.height / 2 - kLabelHeight / 2}px`)
        .attr("title", (it) => it.name).append("bdi").text((it) => it.name);
  }

  listen() {
    const node = this.canvas.node();
    draggable(this.canvas, this.view, (event) => {
      const block = this.blockAt(event);
      const job = block?.job >= 0 ? this.jobs[block.job] : null;
      this.select(job === this.selected ? null : job);
    });
    node.addEventListener("pointermove", (event) => {
      const block = this.blockAt(event);
      node.style.cursor = block?.job >= 0 ? "pointer" : "crosshair";
      if (block) showTip(this.describe(block, event), event.clientX, event.clientY);
      else hideTip();
    });
    node.addEventListener("pointerleave", hideTip);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    let width = 0;
    new ResizeObserver(() => {
      if (node.parentNode.clientWidth === width) return;
      width = node.parentNode.clientWidth;
      this.draw();
    }).observe(node.parentNode);
  }

  blockAt(event) {
    const edge = this.canvas.node().getBoundingClientRect();
    const time = this.view.scale(edge.width).invert(event.clientX - edge.left);
    const stays = this.byLane.get(laneAt(this.layout, event.clientY - edge.top)) ?? [];
    // A stay narrower than a pixel is found in the pixel beside it.
    const pixel = (this.view.to - this.view.from) / edge.width;
    const block = stays[bisectStart(stays, time + pixel / 2) - 1];
    return block && time < block.start_s + block.time_s + pixel ? block : null;
  }

  describe(block, event) {
    const edge = this.canvas.node().getBoundingClientRect();
    const lane = laneAt(this.layout, event.clientY - edge.top);
    const node = nodeOfLane(this.layout, lane);
    const where = `${node.name}, ${this.report.cluster.racks[node.rack]}`;
    if (block.job < 0) {
      return {title: `${block.stays} short stay${block.stays > 1 ? "s" : ""}`,
              rows: [["on", where], ["in", duration(block.time_s)]],
              note: "Come closer, or see the table of jobs that --jobs-out writes."};
    }
    const job = this.jobs[block.job];
    const rows = [["on", where], ["here for", duration(block.time_s)]];
    if (this.layout.nodes.length > 1) rows.push(["placed", kTiers[block.tier].label]);
    return {title: jobTitle(this.report, job), rows: [...rows, ...jobRows(job)]};
  }

  select(job) {
    this.selected = job;
    this.find.node().value = job?.name ?? "";
    this.tell();
    this.draw();
  }

  tell() {
    this.story.text(this.selected ? jobStory(this.report, this.selected)
        : "Point at a stay to see its job; press on it to see all its stays; drag to come closer.");
    this.story.classed("quiet", !this.selected);
  }

  draw() {
    const node = this.canvas.node();
    const width = Math.max(1, this.surface.node().clientWidth);
    const {height} = this.layout;
    const ratio = Math.min(devicePixelRatio || 1, kMostPixels / height, kMostPixels / width);
    node.width = Math.round(width * ratio);
    node.height = Math.round(height * ratio);
    node.style.height = `${height}px`;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const brush = node.getContext("2d");
    brush.scale(ratio, ratio);
    brush.fillStyle = colour("--lane");
    for (const {y, height: tall} of this.layout.nodes) brush.fillRect(0, y, width, tall);
    this.drawGrid(brush, width, colour("--ground"));
    const colours = this.colouring.entries.map((entry) => colour(entry.colour));
    const several = colour("--several");
    const x = this.view.scale(width);
    for (const block of this.blocks) {
      if (block.start_s > this.view.to || block.start_s + block.time_s < this.view.from) continue;
      const job = block.job < 0 ? null : this.jobs[block.job];
      brush.globalAlpha = this.selected && job !== this.selected ? kPaledAlpha : 1;
      brush.fillStyle = job ? colours[this.colouring.entryOf(job, block)] : several;
      this.fillBlock(brush, block, x, width);
    }
    brush.globalAlpha = 1;
  }

  drawGrid(brush, width, colour) {
    const x = this.view.scale(width);
    brush.fillStyle = colour;
    for (const tick of this.view.ticks(width)) {
      brush.fillRect(Math.round(x(tick)), 0, 1, this.layout.height);
    }
  }

  fillBlock(brush, block, x, width) {
    const left = Math.max(0, x(block.start_s));
    const right = Math.min(width, x(block.start_s + block.time_s));
    const tall = block.lanes * this.layout.lane;
    const edge = this.layout.lane >= kEdgeFrom ? 1 : tall >= kEdgeFrom ? 0.5 : 0;
    const gap = right - left >= kEdgeFrom ? Math.min(1, edge || 0.5) : 0;
    const wide = Math.max(kNarrowestStay, right - left - gap);
    brush.fillRect(left, laneTop(this.layout, block.lane), wide, tall - edge);
  }
}
