// SPDX-License-Identifier: MIT
// Breakers of routes and upstreams: what opens them, whom they keep out, and where each transition
// is told.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before } from 'node:test';
import { assertHeaders, sleep, test } from './harness.mjs';
import { createClient, startIssuer } from './oauth_kit.mjs';
import { startUpstream } from './proxy_kit.mjs';

let upstream;
let op;
let gate;
let reader; // a token
let fails = () => false; // does the next request fail?
let late = 0; // milliseconds until an answer begins

const route = (path, name, breaker) => `  - path: ${path}
    upstream: ${name}
    access: open
    rate_exempt: true
    circuit_breaker: {${breaker}}
`;
const target = (name, more = '') => `  - name: ${name}
    targets: [{url: "http://127.0.0.1:${upstream.port}"}]
    eject: {failures: 1000}
    retries: 0
${more}`;

const errs = 'failure_threshold: 1000, window_seconds: 60, requests_min: 20, error_percent: 60';
const slow = 'requests_min: 5, slow_ms: 150, slow_percent: 50, timeout_seconds: 1';
const both = 'failure_threshold: 3, timeout_seconds: 1, probes_max: 2';
const narrow = '    connections_max: 1\n    queue_max: 0\n';

before(async () => {
  upstream = await startUpstream(async (req, res) => {
    if (late > 0) await sleep(late);
    res.writeHead(fails() ? 500 : 200).end('x');
    return true;
  });
  op = await startIssuer({
    config: `upstreams:
${target('plain')}${target('narrow', narrow)}
${target('shared', `    circuit_breaker: {${both}}\n`)}routes:
${route('/errs', 'plain', errs)}${route('/slow', 'plain', slow)}
${route('/left', 'plain', 'failure_threshold: 2, timeout_seconds: 1')}
${route('/full', 'narrow', 'failure_threshold: 2')}
${route('/one', 'shared', 'disabled: true')}
${route('/other/*', 'shared', 'failure_threshold: 1000')}
`,
  });
  gate = op.gate;
  const { client_id, secret } = await createClient(op, { scopes: ['audit:read'] });
  const grant = { grant_type: 'client_credentials', scope: 'audit:read' };
  const reply = await op.token({ ...grant, client_id, client_secret: secret });
  reader = reply.json.access_token;
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  await upstream?.stop();
});

const state = (reply) => reply.headers['x-circuit-breaker-state'];
const refused = (reply) => {
  assert.equal(reply.status, 503, reply.text);
  assert.equal(reply.json.type, 'urn:portcullis:problem:circuit-open');
  assert.equal(state(reply), 'open');
  assert.ok(Number(reply.headers['retry-after']) > 0);
  assertHeaders(reply);
};

/** Waits for the transitions of a breaker in the audit log, the oldest first. */
async function told(object, expected) {
  const target = '/api/v1/audit/events?action=breaker.moved&limit=100';
  const deadline = Date.now() + 5000;
  let moves;
  do {
    const reply = await gate.get(target, { token: reader });
    assert.equal(reply.status, 200, reply.text);
    moves = reply.json
      .filter((one) => one.resource === object)
      .map(({ metadata: of, reason }) => `${of.number}: ${of.from} ${of.to} ${reason}`)
      .sort();
  } while (moves.length < expected.length && Date.now() < deadline && !(await sleep(50)));
  assert.deepEqual(
    moves,
    expected.map((move, i) => `${i + 1}: ${move}`),
  );
}

test('an upstream that fails six times of ten is left alone', async () => {
  let count = 0;
  fails = () => [1, 2, 4, 6, 7, 9].includes(count++ % 10);
  const statuses = [];
  for (let i = 0; i < 19; i++) {
    const reply = await gate.get('/errs');
    statuses.push(reply.status);
    assert.equal(state(reply), 'closed');
  }
  assert.ok(statuses.includes(200) && statuses.includes(500), String(statuses));
  await gate.get('/errs'); // the twentieth: twelve of them failed
  const before = upstream.asked.length;
  refused(await gate.get('/errs'));
  assert.equal(upstream.asked.length, before);
  fails = () => false;
  assert.equal((await gate.get('/slow')).status, 200, 'another route has a breaker of its own');
  const { text } = await gate.get('/metrics');
  assert.match(text, /^circuit_breaker_state\{[^}]*route="\/errs",method="GET"\} 1$/m);
  await gate.line((line) => line.event === 'circuit_breaker' && line.why === 'error_rate');
  await told('breaker:GET /errs', ['closed open error_rate']);
});

test('an upstream that answers late is left alone, and asked again', async () => {
  late = 200;
  let reply;
  for (let i = 0; i < 6; i++) reply = await gate.get('/slow');
  late = 0;
  refused(await gate.get('/slow'));
  assert.ok(reply.status === 200 || reply.status === 503);
  let answer = await gate.get('/slow');
  while (answer.status === 503) {
    await sleep(100);
    answer = await gate.get('/slow');
  }
  assert.equal(state(await gate.get('/slow')), 'closed');
  await told('breaker:GET /slow', [
    'closed open slow_rate',
    'open half_open time',
    'half_open closed probes_passed',
  ]);
});

test('routes to one upstream share its breaker', async () => {
  fails = () => true;
  assert.equal((await gate.get('/one')).status, 500);
  assert.equal((await gate.get('/other/x')).status, 500);
  assert.equal(state(await gate.get('/one')), 'closed'); // its head left before its end
  const before = upstream.asked.length;
  refused(await gate.get('/one'));
  refused(await gate.get('/other/x'));
  assert.equal(upstream.asked.length, before);
  const { text } = await gate.get('/metrics');
  assert.match(text, /^circuit_breaker_state\{[^}]*route="upstream:shared"[^}]*\} 1$/m);
  fails = () => false;
  let answer = await gate.get('/one');
  while (answer.status === 503) {
    await sleep(100);
    answer = await gate.get('/one');
  }
  // Exactly two probes: one after the other here.
  assert.equal(state(await gate.get('/other/x')), 'half_open');
  assert.equal(state(await gate.get('/one')), 'closed');
  await told('breaker:upstream:shared', [
    'closed open failures',
    'open half_open time',
    'half_open closed probes_passed',
  ]);
});

/** A client that leaves as soon as the upstream has its request. */
async function leave(path) {
  const before = upstream.asked.length;
  const request = http.get({ host: '127.0.0.1', port: gate.port, path });
  request.on('error', () => {});
  while (upstream.asked.length === before) await sleep(5);
  const sockets = [...upstream.sockets];
  request.destroy();
  await Promise.race(sockets.map((socket) => once(socket, 'close')));
}

test('clients that leave open nothing, and take no probe with them', async () => {
  late = 5000;
  for (let i = 0; i < 4; i++) await leave('/left');
  late = 0;
  assert.equal(state(await gate.get('/left')), 'closed');
  fails = () => true;
  for (let i = 0; i < 2; i++) await gate.get('/left');
  refused(await gate.get('/left'));
  fails = () => false;
  late = 5000;
  await sleep(1100);
  await leave('/left'); // it was the probe
  late = 0;
  assert.equal((await gate.get('/left')).status, 200);
  assert.equal(state(await gate.get('/left')), 'closed');
});

test('what we refuse ourselves opens nothing', async () => {
  late = 1500;
  // Each loop has its one connection; the others find it taken.
  const replies = await Promise.all(Array.from({ length: 40 }, () => gate.get('/full')));
  late = 0;
  const busy = replies.filter((reply) => reply.status === 503);
  assert.ok(busy.length >= 2, `${busy.length}`);
  for (const reply of busy) {
    assert.equal(reply.json.type, 'urn:portcullis:problem:upstream-busy');
    assert.equal(state(reply), 'closed');
  }
  assert.equal((await gate.get('/full')).status, 200);
});
