// How many accelerators work and how many jobs wait, over the same span of time as the lanes below.

import {duration, percent} from "./format.js";
import {kTiers, tierColour} from "./jobs.js";
import {draggable} from "./time_window.js";
import {hideTip, showTip} from "./tip.js";

const kStripMargin = {top: 8, bottom: 4};
const kLabelRoom = 14;  // pixels between two names of an axis, at least

function number(value) {
  return value.toLocaleString("en-US", {maximumFractionDigits: 1});
}

class Strip {
  constructor(place, {name, height, most, layers, view, bin, describe}) {
    Object.assign(this, {height, most, layers, view, bin});
    place.append("p").attr("class", "strip-name").text(name);
    const row = place.append("div").attr("class", "strip").attr("data-strip", name);
    this.axis = row.append("div").attr("class", "strip-axis").append("svg")
        .attr("height", height).attr("aria-hidden", "true");
    this.surface = row.append("div").attr("class", "strip-surface");
    this.svg = this.surface.append("svg").attr("height", height).attr("role", "img")
        .attr("aria-label", name);
    draggable(this.surface, view);
    this.surface.on("pointermove", () => this.point(describe))
        .on("pointerleave", () => {
          hideTip();
          this.svg.select(".pointer").remove();
        });
    view.listeners.push(() => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.surface.node());
  }

  point(describe) {
    const [at] = d3.mouse(this.surface.node());
    const width = this.surface.node().clientWidth;
    const time = Math.max(0, Math.min(this.view.whole, this.view.scale(width).invert(at)));
    const bin = Math.min(this.layers[0].values.length - 1, Math.floor(time / this.bin));
    this.svg.selectAll(".pointer").data([0]).join("line").attr("class", "pointer")
        .attr("x1", at).attr("x2", at).attr("y1", 0).attr("y2", this.height);
    const {clientX, clientY} = d3.event;
    showTip({title: `At ${duration(time)}`, rows: describe(bin)}, clientX, clientY);
  }

  draw() {
    const width = this.surface.node().clientWidth;
    const y = d3.scaleLinear().domain([0, this.most || 1])
        .range([this.height - kStripMargin.bottom, kStripMargin.top]);
    const x = this.view.scale(width);
    const ticks = d3.ticks(0, this.most || 1, Math.floor(this.height / (2.4 * kLabelRoom)))
        .filter(Number.isInteger);
    this.axis.html("").selectAll("text").data(ticks).enter().append("text").attr("x", "100%")
        .attr("text-anchor", "end").attr("y", (tick) => Math.max(10, y(tick) + 4)).text(number);
    this.svg.html("").attr("width", width).attr("viewBox", `0 0 ${width} ${this.height}`);
    this.svg.append("g").attr("class", "grid").selectAll("line").data(ticks).enter().append("line")
        .attr("x2", width).attr("y1", y).attr("y2", y);
    const below = new Array(this.layers[0].values.length).fill(0);
    for (const {name, values, colour} of this.layers) {
      const bounds = values.map((value, i) => [below[i], below[i] += value]);
      const area = d3.area().curve(d3.curveStepAfter).x((_, i) => x(i * this.bin))
          .y0(([low]) => y(low)).y1(([, high]) => y(high));
      this.svg.append("path").attr("class", "layer").attr("data-layer", name).style("fill", colour)
          .attr("d", area([...bounds, bounds[bounds.length - 1]]));
    }
  }
}

export function drawUsage(place, report, view) {
  const {busy, pending_jobs: pending, wanted, bin_s: bin} = report.usage;
  const total = d3.sum(report.cluster.nodes, (node) => node.accelerators);
  const many = report.cluster.nodes.length > 1;
  const layers = kTiers
      .map(({name, label}, tier) => ({name, label, values: busy[name], colour: tierColour(tier)}))
      .filter(({values}, tier) => tier === 0 || d3.max(values) > 0);
  const describe = (i) => {
    const works = d3.sum(layers, ({values}) => values[i]);
    return [["accelerators at work", `${number(works)} (${percent(works / total)})`],
            ...many ? layers.map(({label, values}) => [`– ${label}`, number(values[i])]) : [],
            ["jobs waiting", number(pending[i])], ["accelerators they ask for", number(wanted[i])]];
  };
  if (many) {
    const legend = place.append("ul").attr("class", "legend").selectAll("li").data(layers).enter()
        .append("li");
    legend.append("span").attr("class", "swatch").style("background", ({colour}) => colour);
    legend.append("span").text(({label}) => `jobs ${label}`);
  }
  const same = {view, bin, describe};
  new Strip(place, {...same, name: "Accelerators at work", height: 120, most: total, layers});
  new Strip(place, {...same, name: "Jobs waiting", height: 84, most: d3.max(pending),
                    layers: [{name: "pending", values: pending, colour: "var(--activity-queue)"}]});
}

/** The axis of time below or above the charts. */
export function drawTimeAxis(place, view) {
  const row = place.append("div").attr("class", "strip time-axis").attr("aria-hidden", "true");
  row.append("div").attr("class", "strip-axis");
  const ticks = row.append("div").attr("class", "strip-surface ticks");
  const draw = () => {
    const width = ticks.node().clientWidth;
    const x = view.scale(width);
    // A name must not leave the chart at its right end.
    const shown = view.ticks(width).filter((tick) => x(tick) <= width - 34 || x(tick) === width);
    ticks.html("").selectAll("span").data(shown).enter().append("span")
        .classed("at-start", (tick) => x(tick) < 20).style("left", (tick) => `${x(tick)}px`)
        .text(duration);
  };
  view.listeners.push(draw);
  new ResizeObserver(draw).observe(ticks.node());
}
