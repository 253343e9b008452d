// The span of time that charts one above the other show, and the buttons that move it.

import {duration} from "./format.js";
import {timeTicks} from "./ticks.js";

const kClosest = 2000;  // of the whole
const kDragged = 8;     // pixels from which on a press is a drag

/** `whole` seconds; listeners are called whenever the span changes. */
export class TimeWindow {
  constructor(whole) {
    this.whole = whole;
    this.from = 0;
    this.to = whole;
    this.listeners = [];
  }

  set(from, to) {
    const span = Math.min(this.whole, Math.max(this.whole / kClosest, to - from));
    this.from = Math.max(0, Math.min(this.whole - span, from + (to - from - span) / 2));
    this.to = this.from + span;
    for (const listener of this.listeners) listener();
  }

  /** `factor` below 1 comes closer. */
  zoom(factor) {
    const middle = (this.from + this.to) / 2;
    const half = (this.to - this.from) / 2 * factor;
    this.set(middle - half, middle + half);
  }

  shift(part) {
    const by = Math.max(-this.from, Math.min(this.whole - this.to, part * (this.to - this.from)));
    this.set(this.from + by, this.to + by);
  }

  scale(width) {
    return d3.scaleLinear().domain([this.from, this.to]).range([0, width]);
  }

  ticks(width) {
    const ticks = timeTicks(this.to - this.from, Math.max(2, Math.floor(width / 110)));
    const step = ticks.length > 1 ? ticks[1] - ticks[0] : this.to - this.from;
    return d3.range(Math.ceil(this.from / step - 1e-9) * step, this.to * (1 + 1e-9), step);
  }
}

export function drawWindowButtons(place, view) {
  const tools = place.append("div").attr("class", "tools").attr("role", "group")
      .attr("aria-label", "Span of time");
  const button = (text, label, act) => tools.append("button").attr("type", "button")
      .attr("class", "more").attr("aria-label", label).text(text).on("click", act);
  button("−", "show more time", () => view.zoom(3));
  button("+", "show less time", () => view.zoom(1 / 3));
  const moves = [button("←", "earlier", () => view.shift(-0.5)),
                 button("→", "later", () => view.shift(0.5))];
  const all = button("All", "show all the time", () => view.set(0, view.whole));
  const shown = tools.append("span").attr("class", "quiet").attr("aria-live", "polite");
  const update = () => {
    const zoomed = view.to - view.from < view.whole * (1 - 1e-9);
    for (const move of moves) move.attr("disabled", zoomed ? null : "");
    all.attr("disabled", zoomed ? null : "");
    shown.text(zoomed ? `${duration(view.from)} to ${duration(view.to)}` : "");
  };
  view.listeners.push(update);
  update();
}

/** A drag over `surface` comes closer to what it covers; a press calls `press(event)`. */
export function draggable(surface, view, press = () => {}) {
  const node = surface.node();
  let begin = null;
  let veil = null;
  const inside = (event) => {
    const edge = node.getBoundingClientRect();
    return Math.max(0, Math.min(edge.width, event.clientX - edge.left));
  };
  const end = () => {
    begin = null;
    veil?.remove();
    veil = null;
  };
  node.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    begin = inside(event);
  });
  node.addEventListener("pointermove", (event) => {
    if (begin === null || (!veil && Math.abs(inside(event) - begin) < kDragged)) return;
    if (!veil) {
      node.setPointerCapture(event.pointerId);
      veil = d3.select(node.parentNode).append("div").attr("class", "veil");
    }
    const at = inside(event);
    veil.style("left", `${node.offsetLeft + Math.min(begin, at)}px`)
        .style("width", `${Math.abs(at - begin)}px`);
  });
  node.addEventListener("pointerup", (event) => {
    if (begin === null) return;
    const [from, to] = [begin, inside(event)].sort((a, b) => a - b);
    const dragged = Boolean(veil);
    end();
    const time = view.scale(node.getBoundingClientRect().width).invert;
    if (dragged) view.set(time(from), time(to));
    else press(event);
  });
  node.addEventListener("pointercancel", end);
}
