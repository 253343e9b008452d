// A layered drawing of a graph, top-down: one node a row in the order of computation, side branches
// in lanes of their own, as a history of versions is drawn. Pure: no page, no D3.

/** Nodes on the longest way from each node to the end, by id. */
function depths(order, out) {
  const depth = new Map();
  for (const node of [...order].reverse()) {
    depth.set(node.id, 1 + Math.max(0, ...out.get(node.id).map((edge) => depth.get(edge.to) ?? 0)));
  }
  return depth;
}

/** Depth first, so that a branch stays together; the longest branch comes first. */
function sortNodes(nodes, out, incoming, rank) {
  const missing = new Map(nodes.map((node) => [node.id, incoming.get(node.id).length]));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const stack = nodes.filter((node) => missing.get(node.id) === 0).reverse();
  const order = [];
  while (stack.length > 0) {
    const node = stack.pop();
    order.push(node);
    const ready = [];
    for (const edge of out.get(node.id)) {
      missing.set(edge.to, missing.get(edge.to) - 1);
      if (missing.get(edge.to) === 0) ready.push(byId.get(edge.to));
    }
    ready.sort((a, b) => rank(a.id) - rank(b.id));  // the longest on top of the stack
    stack.push(...ready);
  }
  if (order.length < nodes.length) throw new Error("the graph of the plan has a cycle");
  return order;
}

function firstFree(lanes) {
  const free = lanes.findIndex((user) => user === undefined);
  return free < 0 ? lanes.length : free;
}

/**
 * {rows: [{node, lane}], edges: [{edge, lane, from, to}], lanes}: an edge leaves row `from`, runs
 * down in its lane, and joins row `to`.
 */
export function layoutGraph(graph) {
  const out = new Map(graph.nodes.map((node) => [node.id, []]));
  const incoming = new Map(graph.nodes.map((node) => [node.id, []]));
  for (const edge of graph.edges) {
    out.get(edge.from).push(edge);
    incoming.get(edge.to).push(edge);
  }
  const plain = sortNodes(graph.nodes, out, incoming, () => 0);
  const depth = depths(plain, out);
  const order = sortNodes(graph.nodes, out, incoming, (id) => depth.get(id));

  const lanes = [];  // the edge that runs in each lane just now
  const laneOf = new Map();
  const rowOf = new Map(order.map((node, row) => [node.id, row]));
  let widest = 0;
  const rows = order.map((node) => {
    const into = incoming.get(node.id).map((edge) => laneOf.get(edge));
    const lane = into.length > 0 ? Math.min(...into) : firstFree(lanes);
    for (const used of into) lanes[used] = undefined;
    const leaving = [...out.get(node.id)].sort((a, b) => depth.get(b.to) - depth.get(a.to));
    leaving.forEach((edge, i) => {
      const own = i === 0 ? lane : firstFree(lanes);
      lanes[own] = edge;
      laneOf.set(edge, own);
      widest = Math.max(widest, own);
    });
    widest = Math.max(widest, lane);
    return {node, lane};
  });
  const edges = graph.edges.map((edge) => ({
    edge, lane: laneOf.get(edge), from: rowOf.get(edge.from), to: rowOf.get(edge.to),
  }));
  return {rows, edges, lanes: widest + 1};
}
