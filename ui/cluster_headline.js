// What the simulated cluster did, in a sentence and its figures.

import {count, dollars, duration, percent} from "./format.js";

const kSecondsOfHour = 3600;

function whole(value) {
  return Math.round(value).toLocaleString("en-US");
}

function source(spec) {
  if (spec.trace) return ` of ${spec.trace.file.split("/").pop()}`;
  return spec.drawn ? `, drawn ${spec.drawn.law}` : "";
}

function tilesOf(run, report) {
  const accelerators = d3.sum(report.cluster.nodes, (node) => node.accelerators);
  const there = accelerators * run.makespan_s / kSecondsOfHour;
  const declined = [[run.declined_for_node_s, "node"], [run.declined_for_rack_s, "rack"]]
      .filter(([seconds]) => seconds > 0)
      .map(([seconds, what]) => `${duration(seconds)} for a ${what}`);
  const lost = run.communication_loss_accelerator_h;
  const tiles = [
    {name: "Median", value: duration(run.p50_jct_s), note: `99% within ${duration(run.p99_jct_s)}`},
    {name: "Mean wait", value: duration(run.mean_wait_s),
     note: declined.length ? `declined ${declined.join(", ")}` : "nothing declined"},
    {name: "All jobs done", value: duration(run.makespan_s), note: "after the first came"},
    {name: "Utilisation", value: percent(run.utilisation), part: run.utilisation,
     note: `${percent(run.fragmentation)} free though a job would fit`},
    {name: "Lost to placement", value: `${lost < 1000 ? count(lost, 3) : whole(lost)}\u00a0h`,
     note: `of accelerators, ${percent(lost / there)} of all`, part: lost / there},
    {name: "Preemptions", value: whole(run.preemptions),
     note: run.migrations > 0 ? `and ${whole(run.migrations)} migrations` : ""},
    {name: "Fairness", value: run.mean_fairness.toFixed(2),
     note: `worst ${run.worst_fairness.toFixed(2)}; 1 is an even share`},
  ];
  if (run.cost_usd > 0) {
    tiles.push({name: "Cost", value: dollars(run.cost_usd), note: "of the cluster"});
  }
  return tiles;
}

export function drawClusterHeadline(page, report) {
  const {run} = report;
  const spec = run.spec ?? {};
  const head = page.append("header");
  head.append("p").attr("class", "overline").text("Penstock cluster · simulated");
  const plural = (n, what) => `${whole(n)} ${what}${n === 1 ? "" : "s"}`;
  head.append("h1").text(`${plural(run.jobs, "job")} on ${report.cluster.name}`);
  const {nodes, racks} = report.cluster;
  const accelerators = d3.sum(nodes, (node) => node.accelerators);
  const factor = spec.contention === "factor" ? ` ${spec.congestion}` : "";
  const facts = [
    plural(accelerators, "accelerator"),
    `${plural(nodes.length, "node")} in ${plural(racks.length, "rack")}`,
    report.cluster.accelerator, spec.seed !== undefined && `seed ${spec.seed}`,
    spec.contention && (spec.contention === "none" ? "no contention"
        : `${spec.contention} contention${factor}`),
  ].filter(Boolean);
  head.append("ul").attr("class", "facts").selectAll("li").data(facts).enter().append("li")
      .text((fact) => fact);

  const hero = page.append("section").attr("class", "hero plain").attr("aria-labelledby", "answer");
  hero.append("h2").attr("id", "answer").text(`Mean completion time ${duration(run.mean_jct_s)}`);
  hero.append("p").attr("class", "consequence")
      .text(`${plural(run.jobs, "job")}${source(spec)}, under ${report.order.name} `
          + `with placement ${report.placement.name}.`);
  const tiles = hero.append("dl").attr("class", "tiles").selectAll("div")
      .data(tilesOf(run, report)).enter().append("div").attr("class", "tile");
  tiles.append("dt").text((tile) => tile.name);
  tiles.append("dd").attr("class", "value").text((tile) => tile.value);
  tiles.append("dd").attr("class", "note").text((tile) => tile.note);
  tiles.append("div").attr("class", "meter").attr("aria-hidden", "true")
      .classed("empty", (tile) => tile.part === undefined)
      .append("span").style("width", (tile) => `${100 * Math.min(1, tile.part ?? 0)}%`);
}
