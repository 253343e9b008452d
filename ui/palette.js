// What has a colour: activities of a ledger, and the dimensions that a layer is split along. The
// colours themselves are in report.css, as --activity-NAME and --split-NAME.

/** In the order of every bar: useful work, then stalls, then nothing. */
export const kActivities = [
  {name: "compute", label: "Compute", meaning: "useful work"},
  {name: "prep", label: "Prep", meaning: "prepares data: decoding, augmenting"},
  {name: "fetch", label: "Fetch", meaning: "reads data from storage"},
  {name: "interconnect", label: "Interconnect", meaning: "exchanges data inside a node"},
  {name: "network", label: "Network", meaning: "exchanges data between nodes"},
  {name: "memory", label: "Memory", meaning: "moves data within its memory"},
  {name: "queue", label: "Queue", meaning: "waits its turn"},
  {name: "batch-wait", label: "Batch wait", meaning: "waits for a batch to fill"},
  {name: "cold-start", label: "Cold start", meaning: "starts an instance or loads a model"},
  {name: "preemption", label: "Preemption", meaning: "loses work to a preemption, or restores it"},
  {name: "idle", label: "Idle", meaning: "waits for the others, or is left out"},
];

/** An activity that a newer ledger may know and this page does not. */
export function activityOf(name) {
  return kActivities.find((activity) => activity.name === name)
      ?? {name: "idle", label: name, meaning: "an activity that this page does not know"};
}

export function activityColour(name) {
  return `var(--activity-${activityOf(name).name})`;
}

export const kSplits = [
  {name: "batch", label: "batch", meaning: "each part works on some items of the batch"},
  {name: "in", label: "input channels", meaning: "each part sums over some input channels"},
  {name: "out", label: "output channels", meaning: "each part makes some output channels"},
  {name: "whole", label: "not split", meaning: "every part works on the whole"},
];

export function splitColour(name) {
  return `var(--split-${name})`;
}

/**
 * [{name, label, parts}] of the dimensions along which a node is cut, the one with most parts first.
 * Only a layer tells its input channels from its output channels.
 */
export function splitDimensions({parts, kind}) {
  const labels = kind === "layer" ? {batch: "batch", in: "in", out: "out"}
      : {batch: "batch", out: "channels"};
  return Object.entries(labels)
      .map(([name, label]) => ({name, label, parts: parts?.[name] ?? 1}))
      .filter((dimension) => dimension.parts > 1)
      .sort((a, b) => b.parts - a.parts);
}
