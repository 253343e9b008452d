// The jobs of a simulated cluster: rows of the document's columns, how many accelerators make a
// class, what has which colour, and why a job waited. Colours are in cluster.css.

import {duration, times} from "./format.js";

/** As the delay tuner has them: up to 1, 2, 4, ...; the last is open. */
export const kDemands = ["1", "2", "3–4", "5–8", "9–16", "17–32", "33–64", "65 or more"];
export const kTiers = [
  {name: "node", label: "within one node"},
  {name: "rack", label: "over nodes of one rack"},
  {name: "network", label: "over racks"},
];
const kModelColours = 10;  // the models after these share the last colour

export function demandOf(accelerators) {
  return Math.min(kDemands.length - 1, Math.ceil(Math.log2(accelerators)));
}

export function demandColour(demand) {
  return `var(--demand-${demand})`;
}

export function tierColour(tier) {
  return `var(--tier-${kTiers[tier].name})`;
}

/** [{time: value, ...}] of {time: [value, ...], ...}. */
export function rowsOf(columns) {
  const names = Object.keys(columns);
  return (columns[names[0]] ?? []).map((_, i) =>
      Object.fromEntries(names.map((name) => [name, columns[name][i]])));
}

/** The models by the accelerator-time that their jobs held, most first, as {index, name, label}. */
function rankedModels(report, jobs) {
  const held = new Map();
  for (const job of jobs) {
    held.set(job.model, (held.get(job.model) ?? 0) + job.held_s * job.accelerators);
  }
  return [...held.keys()].filter((model) => model >= 0).sort((a, b) => held.get(b) - held.get(a))
      .map((index) => ({index, label: report.models[index]}));
}

/**
 * The ways to colour a stay: {name, label, entries: [{label, colour}], entryOf(job, block)}. The
 * first that tells jobs apart comes first.
 */
export function colourings(report, jobs) {
  const ranked = rankedModels(report, jobs);
  const named = ranked.slice(0, kModelColours);
  const ranks = new Map(named.map((model, i) => [model.index, i]));
  const rest = ranked.length > named.length || jobs.some((job) => job.model < 0);
  const demands = [...new Set(jobs.map((job) => demandOf(job.accelerators)))].sort((a, b) => a - b);
  const model = {
    name: "model", label: "Model",
    entries: [...named.map(({label}, i) => ({label, colour: `--model-${i}`})),
              ...rest ? [{label: ranked.length > named.length ? "other models" : "no model told",
                          colour: "--model-rest"}] : []],
    entryOf: (job) => ranks.get(job.model) ?? named.length,
  };
  const demand = {
    name: "demand", label: "Accelerators",
    entries: demands.map((d) => ({label: kDemands[d], colour: `--demand-${d}`})),
    entryOf: (job) => demands.indexOf(demandOf(job.accelerators)),
  };
  const placement = {
    name: "placement", label: "Placement",
    entries: kTiers.map(({name, label}) => ({label, colour: `--tier-${name}`})),
    entryOf: (_, block) => block.tier,
  };
  return [...ranked.length > 1 ? [model] : [], demand,
          ...report.cluster.nodes.length > 1 ? [placement] : []];
}

export function jobTitle(report, job) {
  const model = job.model >= 0 ? `, ${report.models[job.model]}` : "";
  return `Job ${job.name}${model}`;
}

/** [reason, seconds] of a job's waiting, those that were. */
export function waitsOf(job) {
  const waited = Math.max(0, job.end_s - job.submit_s - job.held_s);
  const node = Math.min(waited, job.declined_for_node_s);
  const rack = Math.min(waited - node, job.declined_for_rack_s);
  return {waited, reasons: [
    ["declined, for one node", node],
    ["declined, for one rack", rack],
    ["too few were free", waited - node - rack],
  ].filter(([, seconds]) => seconds > 0)};
}

/** Rows for a tip. */
export function jobRows(job) {
  const {waited, reasons} = waitsOf(job);
  const rows = [
    ["accelerators", job.accelerators],
    ["submitted at", duration(job.submit_s)],
    ["completed in", duration(job.end_s - job.submit_s)],
    ["slowdown", times((job.end_s - job.submit_s) / job.work_s)],
    ["waited", duration(waited)],
    ...reasons.map(([reason, seconds]) => [`– ${reason}`, duration(seconds)]),
  ];
  if (job.restart_s > 0) rows.push(["saving and restoring", duration(job.restart_s)]);
  if (job.preemptions > 0) rows.push(["preempted", `${job.preemptions} ×`]);
  if (job.migrations > 0) rows.push(["moved", `${job.migrations} ×`]);
  return rows;
}

/** The same as a sentence. */
export function jobStory(report, job) {
  const {waited, reasons} = waitsOf(job);
  const why = reasons.length === 1 ? reasons[0][0]
      : reasons.map(([reason, seconds]) => `${duration(seconds)} ${reason}`).join("; ");
  const often = [[job.preemptions, "preempted"], [job.migrations, "moved"]]
      .filter(([count]) => count > 0).map(([count, what]) => `${what} ${count} ×`).join(", ");
  const taken = job.end_s - job.submit_s;
  const plural = job.accelerators > 1 ? "s" : "";
  return `${jobTitle(report, job)}, ${job.accelerators} accelerator${plural}: `
      + `submitted at ${duration(job.submit_s)}, completed in ${duration(taken)}, `
      + `${times(taken / job.work_s)} its work alone. `
      + (waited > 0 ? `Waited ${duration(waited)}${why ? `: ${why}` : ""}.` : "Never waited.")
      + (often ? ` Was ${often}.` : "");
}
