// Runs in the page of a simulated cluster after it has drawn itself, and writes what it finds as
// JSON into the page, where the test reads it (cluster_page_test.cpp).

const all = (query) => [...document.querySelectorAll(query)];
const one = (query) => document.querySelector(query);
const text = (node) => node ? node.textContent.replace(/\u00a0/g, " ").trim() : null;
const texts = (query) => all(query).map(text);

function overlapping(query) {
  const boxes = all(query).map((node) => ({name: text(node), box: node.getBoundingClientRect()}));
  return boxes.flatMap((a, i) => boxes.slice(i + 1)
      .filter((b) => a.box.left < b.box.right && b.box.left < a.box.right
          && a.box.top < b.box.bottom && b.box.top < a.box.bottom)
      .map((b) => `${a.name} / ${b.name}`));
}

function tipAt(node, x, y) {
  node.dispatchEvent(new PointerEvent("pointermove", {clientX: x, clientY: y, bubbles: true}));
  const title = text(one("#tip.shown strong"));
  const rows = texts("#tip.shown dt");
  const values = texts("#tip.shown dd");
  node.dispatchEvent(new PointerEvent("pointerleave", {clientX: x, clientY: y}));
  return {title, rows: Object.fromEntries(rows.map((row, i) => [row, values[i]]))};
}

const report = JSON.parse(one("#plan").textContent);
const columns = report.blocks.columns;
const canvas = one("#lanes canvas");

/** Where a lane is, from the places of the labels: nodes are alike, two pixels stand between. */
function laneCentre(lane) {
  const centre = (label) => {
    const box = label.getBoundingClientRect();
    return box.top + box.height / 2;
  };
  const labels = all(".lane-label");
  const {accelerators} = report.cluster.nodes[0];
  const thick = (centre(labels[1]) - centre(labels[0]) - 2) / accelerators;
  const node = Math.floor(lane / accelerators);
  return centre(labels[node]) + (lane % accelerators - (accelerators - 1) / 2) * thick;
}

/** The colour and the tip in the middle of stays that are wide enough to have one. */
function samples() {
  const edge = canvas.getBoundingClientRect();
  const brush = canvas.getContext("2d");
  const ratio = canvas.width / edge.width;
  const swatches = new Map(all("#lanes .legend li").map((entry) =>
      [text(entry), getComputedStyle(entry.querySelector(".swatch")).backgroundColor]));
  return columns.job.map((job, i) => {
    const wide = columns.time_s[i] / report.horizon_s * edge.width;
    if (job < 0 || wide < 8) return null;
    const x = (columns.start_s[i] + columns.time_s[i] / 2) / report.horizon_s * edge.width;
    const y = laneCentre(columns.lane[i]) - edge.top;
    const [red, green, blue] =
        brush.getImageData(Math.floor(x * ratio), Math.floor(y * ratio), 1, 1).data;
    return {job: report.jobs.name[job], lane: columns.lane[i],
            drawn: `rgb(${red}, ${green}, ${blue})`,
            wanted: swatches.get(report.models[report.jobs.model[job]]),
            tip: tipAt(canvas, edge.left + x, edge.top + y).title};
  }).filter(Boolean);
}

function strip() {
  const surface = one('[data-strip="Accelerators at work"] .strip-surface');
  const edge = surface.getBoundingClientRect();
  return tipAt(surface, edge.left + edge.width / 2, edge.top + 40);
}

function zoom() {
  const press = (label) => one(`.tools button[aria-label="${label}"]`).click();
  const shown = () => text(one(".tools [aria-live]"));
  const before = texts("#lanes .ticks span");
  press("show less time");
  const closer = {shown: shown(), ticks: texts("#lanes .ticks span")};
  press("later");
  const later = shown();
  press("show all the time");
  return {before, closer, later, after: texts("#lanes .ticks span"), shown: shown()};
}

/** The last thing that is asked, since it changes the picture. */
function selectByPress(sample) {
  const edge = canvas.getBoundingClientRect();
  const i = columns.job.findIndex((job) => report.jobs.name[job] === sample.job);
  const time = columns.start_s[i] + columns.time_s[i] / 2;
  const at = {clientX: edge.left + time / report.horizon_s * edge.width,
              clientY: laneCentre(columns.lane[i]), bubbles: true, button: 0};
  canvas.dispatchEvent(new PointerEvent("pointerdown", at));
  canvas.dispatchEvent(new PointerEvent("pointerup", at));
  return {story: text(one(".story")), found: one(".find input").value};
}

const root = document.documentElement;
const facts = {
  drawn: root.dataset.drawn ?? null,
  title: text(one("h1")),
  answer: text(one("#answer")),
  consequence: text(one(".consequence")),
  tiles: texts(".tile dt"),
  sections: all("main > section[id]").map((section) => section.id),
  story: text(one(".story")),
  nodes: texts(".lane-label"),
  colourings: texts("#lanes .gantt-controls button"),
  legend: texts("#lanes .legend li"),
  laws: all("#completion .law").map((path) => path.dataset.class),
  classes: texts("#completion tbody th"),
  panels: texts("#timers h3"),
  dots: all("#timers .timer-dot").length,
  hollow: all("#timers .timer-dot").filter((dot) => dot.style.fill === "var(--ground)").length,
  timerClasses: [...new Set(all("#timers .timer.tuned").map((path) => path.dataset.class))],
  timersLead: text(one("#timers .lead")),
  notes: texts("#notes li"),
  overlaps: [".lane-label", "#lanes .ticks span", "#timeline .strip-axis text",
             "#completion .axis text", '#timers [data-tier="node"] .axis text',
             '#timers [data-tier="rack"] .axis text',
             ".tile .value", "#ledger .ticks span"].flatMap(overlapping),
  spilt: all(".tile .value").filter((node) => node.scrollWidth > node.clientWidth + 1).map(text),
  background: getComputedStyle(root).backgroundColor,
  overflow: root.scrollWidth - root.clientWidth,
  requests: performance.getEntriesByType("resource").map((entry) => entry.name),
  strip: strip(),
  zoom: zoom(),
  // Of racks alike, since their labels tell where lanes are; and of nothing pale.
  samples: report.cluster.nodes.length > 1 && !location.hash ? samples() : [],
  error: null,
};
facts.pressed = facts.samples.length > 0 ? selectByPress(facts.samples[0]) : null;
facts.error = root.dataset.error ?? null;
const place = document.createElement("script");
place.type = "application/json";
place.id = "facts";
place.textContent = JSON.stringify(facts).replace(/</g, "\\u003c");
document.body.append(place);
