// Reads the document of the page and draws it: a plan, or a lone ledger.

import {duration} from "./format.js";
import {fullName} from "./fleet.js";
import {drawHeadline} from "./headline.js";
import {drawLedger, drawLoneLedger} from "./stacked_bars.js";
import {drawComparison} from "./comparison.js";
import {drawPareto} from "./pareto.js";
import {drawThresholds} from "./thresholds.js";
import {drawGraph} from "./graph_view.js";
import {drawTable} from "./candidate_table.js";

const kSelected = /^#candidate=(\d+)$/;

function spanOf(candidate) {
  const near = (value) => Math.abs(candidate.ledger.whole_s - value) <= 1e-3 * value;
  if (near(candidate.step_time_s)) return "one training step";
  return near(candidate.time_s) ? "the whole job" : "the same span";
}

function drawSelected(section, candidate, chosen, select) {
  section.html("");
  const head = section.append("div").attr("class", "section-head");
  head.append("h2").attr("id", "ledger-title").text("Where the time goes");
  head.append("span").attr("class", "tag").text(fullName(candidate));
  if (chosen && candidate !== chosen) {
    head.append("button").attr("type", "button").attr("class", "more")
        .text(`Back to ${fullName(chosen)}`).on("click", () => select(chosen));
  }
  const ledger = candidate.ledger;
  if (!ledger?.accounts?.length) {
    section.append("p").attr("class", "lead").text(candidate.verdict || "It has no ledger.");
    return;
  }
  section.append("p").attr("class", "lead")
      .text(`Each bar is ${spanOf(candidate)}: ${duration(ledger.whole_s)}, ${ledger.evidence}.`);
  drawLedger(section, ledger);
}

function drawFront(page, plan, chosen, select) {
  const section = page.append("section").attr("id", "front").attr("aria-labelledby", "front-title");
  section.append("h2").attr("id", "front-title").text("Time against cost");
  section.append("p").attr("class", "lead")
      .text("The line joins the fleets that no other beats on both; the field meets the goal.");
  const columns = section.append("div").attr("class", "columns");
  const figure = columns.append("figure");
  const legend = figure.append("figcaption").append("ul").attr("class", "legend");
  const markets = new Set(plan.candidates.map((candidate) => candidate.market));
  if (markets.has("on-demand")) legend.append("li").text("● on demand");
  if (markets.has("spot")) legend.append("li").text("◆ spot");
  legend.append("li").text("pale: misses the goal");
  drawThresholds(columns.append("aside").attr("aria-label", "When the answer changes"), plan);
  const draw = () => drawPareto(figure, plan, chosen, select);
  draw();
  let width = figure.node().clientWidth;
  addEventListener("resize", () => {
    if (figure.node().clientWidth === width) return;
    width = figure.node().clientWidth;
    draw();
  });
}

function drawNotes(page, plan) {
  for (const [key, title] of [["warnings", "Warnings"], ["assumptions", "What this rests on"]]) {
    if (!plan[key]?.length) continue;
    const section = page.append("section").attr("id", key).attr("aria-labelledby", `${key}-title`);
    section.append("h2").attr("id", `${key}-title`).text(title);
    section.append("ul").attr("class", "notes").selectAll("li").data(plan[key]).enter().append("li")
        .text((note) => note);
  }
}

function drawPlan(page, plan) {
  const chosen = plan.candidates[plan.chosen ?? plan.nearest ?? -1] ?? null;
  drawHeadline(page, plan, chosen);
  const bars = page.append("section").attr("id", "ledger").attr("aria-labelledby", "ledger-title");
  let mark = () => {};
  const show = () => {
    const index = Number(kSelected.exec(location.hash)?.[1] ?? -1);
    const candidate = plan.candidates[index] ?? chosen ?? plan.candidates[0];
    if (candidate) drawSelected(bars, candidate, chosen, select);
    mark(candidate);
  };
  const select = (candidate) => {
    location.hash = candidate === chosen ? "" : `candidate=${plan.candidates.indexOf(candidate)}`;
    bars.node().scrollIntoView({block: "nearest", behavior: "smooth"});
  };
  drawComparison(page, plan, chosen);
  if (plan.candidates.some((candidate) => candidate.time_s > 0)) drawFront(page, plan, chosen, select);
  if (plan.graph?.nodes?.length) drawGraph(page, plan, chosen);
  mark = drawTable(page, plan, chosen, select);
  drawNotes(page, plan);
  addEventListener("hashchange", show);
  show();
}

function drawFooter(page, document) {
  const version = document.version ? ` ${document.version}` : "";
  page.append("footer").text(`Made by Penstock${version} · ${document.schema}`);
}

const documentOfPage = JSON.parse(document.getElementById("plan").textContent);
const pageOfDocument = d3.select("#page");
if (documentOfPage.schema === "penstock-ledger/1") drawLoneLedger(pageOfDocument, documentOfPage);
else drawPlan(pageOfDocument, documentOfPage);
drawFooter(pageOfDocument, documentOfPage);
document.documentElement.dataset.drawn = documentOfPage.schema;
document.documentElement.dataset.height = Math.ceil(document.body.getBoundingClientRect().height);
