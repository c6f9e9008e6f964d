// SPDX-License-Identifier: MIT
// From counters that only grow to what happened between two answers. A counter that went back is a
// node that began anew: then there is nothing to say about that step. Percentiles come from the
// nodes, each over its last minute; of several the slowest counts, for two cannot be added up.

/** One thing that is counted (a route, or a whole service) between two reports of its node. */
function step(before, after, seconds) {
  const requests = after.requests - (before?.requests ?? 0);
  const errors = after.errors - (before?.errors ?? 0);
  if (requests < 0 || errors < 0 || !(seconds > 0)) return undefined;
  const { p50, p95 } = after.minute;
  return { rate: requests / seconds, errorRate: errors / seconds, p50, p95 };
}

/** How long each node that is in both answers took from one report to the other. */
function secondsOf(before, after) {
  const old = new Map(before.nodes.map((node) => [node.name, Date.parse(node.reportedAt)]));
  return new Map(
    after.nodes
      .filter((node) => old.has(node.name))
      .map((node) => [node.name, (Date.parse(node.reportedAt) - old.get(node.name)) / 1000]),
  );
}

/**
 * What each of them did between two answers, by its key. They are { key, node, requests, errors,
 * minute: { requests, p50, p95 } }, counted since the node began; those quiet for a minute are left
 * out.
 */
export function stepsBetween(before, after) {
  const old = new Map([...before.routes, ...before.services].map((one) => [one.key, one]));
  const seconds = secondsOf(before, after);
  return new Map(
    [...after.routes, ...after.services]
      .filter((one) => one.minute.requests > 0)
      .map((one) => [one.key, step(old.get(one.key), one, seconds.get(one.node))])
      .filter(([, found]) => found),
  );
}

const largest = (values) => {
  const known = values.filter((value) => value !== undefined);
  return known.length > 0 ? Math.max(...known) : undefined;
};

/** A point for each step of the history ({ at, steps }), of those keys together. */
export const pointsOf = (history, keys) =>
  history.map(({ at, steps }) => {
    const found = keys.map((key) => steps.get(key)).filter(Boolean);
    const total = (name) => found.reduce((value, one) => value + one[name], 0);
    return {
      at,
      rate: total('rate'),
      errorRate: total('errorRate'),
      p50: largest(found.map((one) => one.p50)),
      p95: largest(found.map((one) => one.p95)),
    };
  });

/** A column of a chart; what is not known is a gap. */
export const column = (points, name) => points.map((point) => point[name] ?? null);
