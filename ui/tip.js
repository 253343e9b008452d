// The one box that follows the pointer, or stands beside the mark that has the focus.

let box = null;

function fill({title, rows = [], note}) {
  box.text("");
  box.append("strong").text(title);
  const list = box.append("dl");
  for (const [name, value] of rows) {
    list.append("dt").text(name);
    list.append("dd").text(value);
  }
  if (note) box.append("p").text(note);
}

/** Keeps the box inside the window. */
function place(x, y) {
  const {offsetWidth: width, offsetHeight: height} = box.node();
  const left = Math.min(x + 14, innerWidth - width - 8);
  const top = y + 18 + height > innerHeight ? y - height - 12 : y + 18;
  box.style("left", `${Math.max(8, left)}px`).style("top", `${Math.max(8, top)}px`);
}

/** `content` as tipped() describes it, at a place in the window. */
export function showTip(content, x, y) {
  box ??= d3.select(document.body).append("div").attr("id", "tip").attr("role", "tooltip");
  fill(content);
  box.classed("shown", true);
  place(x, y);
}

export function hideTip() {
  box?.classed("shown", false);
}

/** `describe(datum)` gives {title, rows: [[name, value]], note}; it is the mark's label too. */
export function tipped(marks, describe) {
  marks
      .attr("aria-label", (datum) => {
        const {title, rows = [], note} = describe(datum);
        return [title, ...rows.map(([name, value]) => `${name} ${value}`), note]
            .filter(Boolean).join(", ");
      })
      .on("pointerenter.tip pointermove.tip",
          (datum) => showTip(describe(datum), d3.event.clientX, d3.event.clientY))
      .on("pointerleave.tip blur.tip", hideTip)
      .on("keydown.tip", () => d3.event.key === "Escape" && hideTip())
      .on("focus.tip", function(datum) {
        if (!this.matches(":focus-visible")) return;
        const edge = this.getBoundingClientRect();
        showTip(describe(datum), edge.left + edge.width / 2, edge.bottom - 12);
      });
}
