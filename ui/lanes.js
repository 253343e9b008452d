// Where each accelerator stands in the picture of a cluster: racks below one another, in each its
// nodes, in each its accelerators, as thin as their number needs.

const kWanted = 620;    // pixels of the whole, where the lanes allow it
const kThickest = 13;
const kThinnest = 2;
const kTallest = 12000; // what a canvas surely can be
const kNodeGap = 2;
const kRackGap = 9;

/**
 * {height, lane, nodes: [{name, rack, first, accelerators, y, height}], racks: [{name, y, height}]},
 * in pixels; `lane` is the height of one, `first` the first lane of a node.
 */
export function layoutLanes(cluster) {
  const total = d3.sum(cluster.nodes, (node) => node.accelerators);
  const wanted = Math.max(kThinnest, Math.min(kThickest, kWanted / total));
  const gaps = cluster.nodes.length * kNodeGap + cluster.racks.length * kRackGap;
  // A cluster beyond that has lanes thinner than a pixel, and no gaps.
  const tight = total * kThinnest + gaps > kTallest;
  const lane = tight ? kTallest / total : wanted >= 4 ? Math.floor(wanted) : wanted;
  let first = 0;
  let y = 0;
  let rack = null;
  const nodes = cluster.nodes.map((node) => {
    if (rack !== null && !tight) y += node.rack === rack ? kNodeGap : kRackGap;
    rack = node.rack;
    const place = {...node, first, y, height: node.accelerators * lane};
    first += node.accelerators;
    y += place.height;
    return place;
  });
  const racks = cluster.racks.map((name, index) => {
    const own = nodes.filter((node) => node.rack === index);
    if (own.length === 0) return null;
    const last = own[own.length - 1];
    return {name, y: own[0].y, height: last.y + last.height - own[0].y};
  }).filter(Boolean);
  return {height: Math.max(1, Math.ceil(y)), lane, nodes, racks};
}

const bisectLane = d3.bisector((node) => node.first).right;
const bisectY = d3.bisector((node) => node.y).right;

export function nodeOfLane(layout, lane) {
  return layout.nodes[bisectLane(layout.nodes, lane) - 1];
}

export function laneTop(layout, lane) {
  const node = nodeOfLane(layout, lane);
  return node.y + (lane - node.first) * layout.lane;
}

/** The lane at a height, or -1 between nodes. */
export function laneAt(layout, y) {
  const node = layout.nodes[bisectY(layout.nodes, y) - 1];
  if (!node || y >= node.y + node.height) return -1;
  return node.first + Math.floor((y - node.y) / layout.lane);
}

/** Of labels {y, height, ...} in order, those that stand clear of one another. */
export function clearLabels(labels, lineHeight) {
  let bottom = -Infinity;
  return labels.filter(({y, height}) => {
    const top = y + height / 2 - lineHeight / 2;
    if (top < bottom) return false;
    bottom = top + lineHeight;
    return true;
  });
}
