// SPDX-License-Identifier: MIT
// The answer of GET /monitoring/status as the views want it: a list of services and one of routes
// over all nodes, each with a key of its own, times in seconds, and nothing that is null.

const list = (value) => (Array.isArray(value) ? value : []);
const given = (value) => value ?? undefined;
const seconds = (ms) => (ms === null || ms === undefined ? undefined : Number(ms) / 1000);

/** Of a minute: percentiles mean something only when something was asked. */
function minuteOf(rates) {
  const requests = rates?.requests ?? 0;
  const known = (ms) => (requests > 0 ? seconds(ms) : undefined);
  return {
    requests,
    errorRate: requests > 0 ? Number(rates.error_rate) : undefined,
    p50: known(rates?.p50_ms),
    p95: known(rates?.p95_ms),
    p99: known(rates?.p99_ms),
  };
}

const counted = (one) => ({
  requests: one.start?.requests ?? 0,
  errors: one.start?.errors ?? 0,
  minute: minuteOf(one.minute),
});

const serviceOf = (node, one) => ({
  key: `${node}\n${one.service}`,
  node,
  service: one.service,
  address: given(one.address),
  health: one.health,
  ...counted(one),
});

const routeKey = (node, service, one) => [node, service, one.method, one.route].join('\n');

const routeOf = (node, service, one) => ({
  key: routeKey(node, service, one),
  node,
  service,
  method: one.method,
  path: one.route,
  breaker: given(one.breaker),
  ...counted(one),
});

const breakerOf = (node, one) => ({
  key: routeKey(node, one.service, one),
  node,
  service: one.service,
  method: one.method,
  path: one.route,
  state: one.state,
});

const limitsOf = (one) => ({ allowed: one?.allowed ?? 0, refused: one?.refused ?? 0 });

function auditOf(one = {}) {
  return {
    size: given(one.tree_size),
    signed: given(one.signed_size),
    lag: seconds(one.lag_ms),
    outbox: given(one.outbox),
    keeper: given(one.keeper),
    pressure: given(one.pressure),
    pressureAt: given(one.pressure_at),
  };
}

function storeOf(one = {}) {
  return {
    kind: given(one.kind),
    place: given(one.place),
    reads: given(one.reads),
    writes: given(one.writes),
    bytes: given(one.bytes),
    logBytes: given(one.log_bytes),
    freeBytes: given(one.free_bytes),
    commits: given(one.commits),
    failures: given(one.failures),
  };
}

/** What a node last told; of one that is gone only that, and it counts for nothing now. */
function nodeOf({ node, state, reported_at: reportedAt, age_s: age, report }) {
  const one = report ?? {};
  const now = state === 'up' ? one : {};
  return {
    name: node,
    health: state === 'up' ? (given(one.health) ?? 'starting') : state,
    version: given(one.version),
    configuration: given(one.configuration),
    reportedAt,
    age,
    startedAt: given(one.started_at),
    alerts: now.alerts ?? 0,
    services: list(now.services).map((service) => serviceOf(node, service)),
    routes: list(now.services).flatMap((service) =>
      list(service.routes).map((route) => routeOf(node, service.service, route)),
    ),
    breakers: list(now.breakers).map((breaker) => breakerOf(node, breaker)),
    breakerStates: {
      closed: now.breakers_closed ?? 0,
      open: now.breakers_open ?? 0,
      halfOpen: now.breakers_half_open ?? 0,
    },
    limits: { minute: limitsOf(now.limits_minute), start: limitsOf(now.limits_start) },
    queues: list(now.queues),
    expiries: list(one.expiries).map((expiry) => ({
      kind: expiry.kind,
      name: expiry.name,
      at: given(expiry.expires_at),
      days: given(expiry.days_left),
    })),
    store: storeOf(one.store),
    audit: auditOf(one.audit),
  };
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const sums = (list, names) =>
  Object.fromEntries(names.map((name) => [name, sum(list.map((one) => one[name]))]));

export function modelOf(status) {
  const nodes = list(status.nodes).map(nodeOf);
  const decisions = ['allowed', 'refused'];
  return {
    health: status.status,
    nodes,
    services: nodes.flatMap((node) => node.services),
    routes: nodes.flatMap((node) => node.routes),
    breakers: nodes.flatMap((node) => node.breakers),
    breakerStates: sums(
      nodes.map((node) => node.breakerStates),
      ['closed', 'open', 'halfOpen'],
    ),
    limits: {
      minute: sums(
        nodes.map((node) => node.limits.minute),
        decisions,
      ),
      start: sums(
        nodes.map((node) => node.limits.start),
        decisions,
      ),
    },
    alerts: { firing: status.alerts?.firing ?? 0 },
  };
}
