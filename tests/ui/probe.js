// Runs in the page after it has drawn itself, and writes what it finds as JSON into the page, where
// the test reads it (page_test.cpp).

const all = (query) => [...document.querySelectorAll(query)];
// Numbers have spaces that do not break; claims are easier to read with plain ones.
const text = (node) => node ? node.textContent.replace(/\u00a0/g, " ").trim() : null;
const texts = (query) => all(query).map(text);
const widthOf = (node) => node.getBoundingClientRect().width;

function bars(section) {
  return all(`${section} li.bar-row`).map((row) => {
    const whole = widthOf(row.querySelector(".bar"));
    return Object.fromEntries([...row.querySelectorAll(".segment")]
        .map((segment) => [segment.dataset.activity, widthOf(segment) / whole]));
  });
}

function overlapping(query) {
  const boxes = all(query).map((node) => ({name: text(node), box: node.getBoundingClientRect()}));
  return boxes.flatMap((a, i) => boxes.slice(i + 1)
      .filter((b) => a.box.left < b.box.right && b.box.left < a.box.right
          && a.box.top < b.box.bottom && b.box.top < a.box.bottom)
      .map((b) => `${a.name} / ${b.name}`));
}

function graphNodes() {
  return all("#graph li.layer-row").map((row, i) => {
    const mark = all("#graph .wires .node")[i].getBoundingClientRect();
    return {name: text(row.querySelector(".layer-name")), label: row.getAttribute("aria-label"),
            kind: row.classList[1], split: text(row.querySelector(".layer-split")),
            x: mark.left + mark.width / 2, y: mark.top + mark.height / 2};
  });
}

function points() {
  return all("#front .point").map((node) => {
    const [x, y] = node.getAttribute("transform").match(/[-\d.]+/g).map(Number);
    return {name: node.__data__.name, x, y, front: node.classList.contains("front"),
            chosen: node.classList.contains("chosen")};
  });
}

function press(node, key) {
  node.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
}

/** Takes another row with the keyboard alone; gives the fleet whose ledger is shown before, after. */
async function selectSecondRow() {
  const row = all("#candidates tbody tr")[1];
  const shown = () => text(document.querySelector("#ledger .tag"));
  if (!row) return null;
  const before = shown();
  const changed = new Promise((done) => addEventListener("hashchange", done, {once: true}));
  row.focus();
  press(row, "Enter");
  await changed;
  return {before, after: shown(), selected: texts("#candidates .selected > th"), hash: location.hash};
}

function walkSegments() {
  const segments = all("#ledger .segment");
  if (segments.length < 2) return null;
  segments[0].focus();
  press(segments[0], "ArrowRight");
  return {moved: document.activeElement === segments[1],
          stops: segments.filter((segment) => segment.tabIndex === 0).length};
}

function pointAtSegment() {
  const segment = document.querySelector("#ledger .segment");
  segment?.dispatchEvent(new MouseEvent("pointerenter", {clientX: 300, clientY: 300}));
  return text(document.querySelector("#tip.shown strong"));
}

function sortByCost() {
  const heads = all("#candidates thead button");
  heads.find((head) => text(head) === "Cost")?.click();
  return texts("#candidates tbody td:nth-child(7)");
}

const root = document.documentElement;
const facts = {
  drawn: root.dataset.drawn ?? null,
  answer: text(document.querySelector("#answer")),
  consequence: text(document.querySelector(".consequence")),
  goal: text(document.querySelector(".goal .mark")),
  tiles: texts(".tile .value"),
  title: text(document.querySelector("h1")),
  sections: all("main > section[id]").map((section) => section.id),
  bars: bars("#ledger"),
  comparison: bars("#runners-up"),
  compared: texts("#runners-up .bar-label"),
  sums: texts("#ledger .sums tbody th"),
  summary: text(document.querySelector("#graph .lead")),
  nodes: graphNodes(),
  edges: all("#graph .edge").length,
  points: points(),
  labels: texts("#front .point-label"),
  overlaps: overlapping("#front .point-label"),
  thresholds: texts("#front .thresholds li"),
  current: texts("#front .thresholds .current strong"),
  notes: texts(".notes li"),
  rows: all("#candidates tbody tr").length,
  shownRows: all("#candidates tbody tr").filter((row) => row.offsetHeight > 0).length,
  background: getComputedStyle(root).backgroundColor,
  overflow: root.scrollWidth - root.clientWidth,
  requests: performance.getEntriesByType("resource").map((entry) => entry.name),
  tip: pointAtSegment(),
  walk: walkSegments(),
  selection: await selectSecondRow(),
  costs: sortByCost(),
  error: null,
};
facts.error = root.dataset.error ?? null;
const place = document.createElement("script");
place.type = "application/json";
place.id = "facts";
place.textContent = JSON.stringify(facts).replace(/</g, "\\u003c");
document.body.append(place);
