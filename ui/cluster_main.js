// Reads the document of a simulated cluster and draws it.

import {duration} from "./format.js";
import {drawClusterHeadline} from "./cluster_headline.js";
import {drawCompletion} from "./completion.js";
import {Gantt} from "./gantt.js";
import {rowsOf} from "./jobs.js";
import {drawLedger} from "./stacked_bars.js";
import {drawUsage} from "./usage.js";
import {drawTimers} from "./timers.js";
import {TimeWindow, drawWindowButtons} from "./time_window.js";

const kJob = /^#job=(.+)$/;

function drawTimeline(page, report, jobs) {
  const section = page.append("section").attr("id", "timeline")
      .attr("aria-labelledby", "timeline-title");
  section.append("h2").attr("id", "timeline-title").text("The cluster over time");
  section.append("p").attr("class", "lead")
      .text(`From the first submission to the last completion, ${duration(report.horizon_s)}.`);
  const view = new TimeWindow(report.horizon_s);
  drawWindowButtons(section, view);
  drawUsage(section, report, view);
  const gantt = new Gantt(section.append("div").attr("id", "lanes"), report, jobs, view);
  const show = () => {
    const name = decodeURIComponent(kJob.exec(location.hash)?.[1] ?? "");
    if (name) gantt.select(jobs.find((job) => job.name === name) ?? null);
  };
  addEventListener("hashchange", show);
  show();
}

function drawCosts(page, report) {
  if (!report.run.ledger?.accounts?.length) return;
  const section = page.append("section").attr("id", "ledger")
      .attr("aria-labelledby", "ledger-title");
  section.append("h2").attr("id", "ledger-title").text("Where the time went");
  section.append("p").attr("class", "lead")
      .text("The average accelerator from the first submission to the last completion.");
  drawLedger(section, report.run.ledger);
}

function notesOf(report) {
  const {blocks, run, jobs} = report;
  const whole = (value) => value.toLocaleString("en-US");
  const notes = [...run.notes ?? []];
  const sources = Object.entries(run.speeds ?? {}).filter(([, starts]) => starts > 0)
      .map(([name, starts]) => `${whole(starts)} ${name}`);
  notes.push(sources.length ? `Speeds of starts: ${sources.join(", ")}.`
      : "Placement does not matter on this cluster: every job ran at full speed.");
  const named = jobs.name?.length ?? 0;
  if (named < run.jobs) {
    notes.push(`Of ${whole(run.jobs)} jobs the ${whole(named)} that held most are named in the `
        + "picture; all are in the figures.");
  }
  if (blocks.merged > 0) {
    notes.push(`In the picture ${whole(blocks.merged)} stays shorter than `
        + `${duration(blocks.shortest_s)} ${named < run.jobs ? "or of unnamed jobs " : ""}`
        + "are drawn together with their neighbours.");
  }
  if (blocks.left_out > 0) {
    notes.push(`${whole(blocks.left_out)} stays that held least are left out of the picture.`);
  }
  notes.push(`Order ${report.order.name}: ${report.order.summary}.`);
  notes.push(`Placement ${report.placement.name}: ${report.placement.summary}.`);
  return notes;
}

function drawClusterNotes(page, report) {
  const section = page.append("section").attr("id", "notes").attr("aria-labelledby", "notes-title");
  section.append("h2").attr("id", "notes-title").text("What this rests on");
  section.append("ul").attr("class", "notes").selectAll("li").data(notesOf(report)).enter()
      .append("li").text((note) => note);
}

function drawCluster(page, report) {
  const jobs = rowsOf(report.jobs);
  drawClusterHeadline(page, report);
  drawTimeline(page, report, jobs);
  drawCompletion(page, report);
  drawTimers(page, report);
  drawCosts(page, report);
  drawClusterNotes(page, report);
  page.append("footer").text(`Made by Penstock ${report.version} · ${report.schema}`);
}

const reportOfPage = JSON.parse(document.getElementById("plan").textContent);
drawCluster(d3.select("#page"), reportOfPage);
document.documentElement.dataset.drawn = reportOfPage.schema;
document.documentElement.dataset.height = Math.ceil(document.body.getBoundingClientRect().height);
