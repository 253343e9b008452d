// One tab stop for many marks: arrow keys go from mark to mark (WAI-ARIA practices, roving tabindex).

const kSteps = {ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1};

/** `marks` is a D3 selection in the order of reading. */
export function rove(marks) {
  const nodes = marks.nodes();
  const focus = (index) => {
    const next = Math.max(0, Math.min(nodes.length - 1, index));
    nodes.forEach((node, i) => node.setAttribute("tabindex", i === next ? 0 : -1));
    nodes[next].focus();
  };
  nodes.forEach((node, i) => {
    node.setAttribute("tabindex", i === 0 ? 0 : -1);
    node.addEventListener("keydown", (event) => {
      if (event.key in kSteps) focus(i + kSteps[event.key]);
      else if (event.key === "Home") focus(0);
      else if (event.key === "End") focus(nodes.length - 1);
      else return;
      event.preventDefault();
    });
  });
}

/** Enter and the space bar do what a click does. */
export function pressable(marks, act) {
  marks.on("click.press", act).on("keydown.press", (datum) => {
    const event = d3.event;
    if (event.target !== event.currentTarget || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    act(datum);
  });
}
