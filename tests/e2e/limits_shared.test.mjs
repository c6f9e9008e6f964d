// SPDX-License-Identifier: MIT
// Limits that three gateways keep together in one Redis, and what holds while it is away: killed,
// stopped, refusing to write, and back again.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { after, before } from 'node:test';
import { assertProblem, sleep, temporaryFolder, test } from './harness.mjs';
import {
  Redis,
  answersOf,
  connected,
  hammer,
  redisSay,
  startGateways,
  until,
} from './limits_shared_kit.mjs';
import { startUpstream } from './proxy_kit.mjs';

const gateways = 3;
const limit = 300; // a minute, of each route
const percent = 10; // of it is a lease
let redis;
let upstream;
let gates;

const route = (path, more, limits = `[{per: minute, requests: ${limit}, key: route}]`) =>
  `  - {path: ${path}, upstream: behind, access: open, limits: ${limits}, shared: {${more}}}\n`;

before(async () => {
  redis = await Redis.start();
  upstream = await startUpstream((req) => {
    if (req.headers['x-left'] === undefined) return false;
    req.on('error', () => {}).resume(); // whose client left in the middle of its body
    return true;
  });
  gates = await startGateways(gateways, {
    redis,
    upstream,
    shared: `    lease_percent: ${percent}\n`,
    routes: [
      route('/exact', 'mode: exact'),
      route('/exact-kill', 'mode: exact'),
      '  - {path: /own, upstream: behind, access: open, requests_per_minute: 6,\n',
      '     shared: {mode: exact}}\n',
      route('/leased', 'mode: leased'),
      route('/leased-kill', 'mode: leased'),
      route('/share', 'mode: exact, on_outage: local_share'),
      route('/deny', 'mode: exact, on_outage: deny'),
      route('/allow', 'mode: exact, on_outage: allow'),
      route('/stalled', 'mode: exact, on_outage: allow'),
      route(
        '/several',
        'mode: exact',
        `[{per: second, requests: 1000, key: address}, {per: day, requests: 500, key: route},
            {per: minute, requests: 4, key: "header:X-Key"}]`,
      ),
      route(
        '/local',
        'mode: "off"',
        '[{per: minute, requests: 50, key: address}, {per: day, requests: 3, key: route}]',
      ),
    ].join(''),
  });
  await connected(gates);
});

after(async () => {
  await Promise.all((gates ?? []).map((gate) => gate.stop()));
  await upstream?.stop();
  await redis?.stop();
});

/** What a bucket of `limit` a minute gives in that time. */
const most = (seconds) => limit + (limit / 60) * seconds;

test('three gateways admit what one limit allows', async () => {
  const { statuses, admitted, seconds } = await hammer(gates, '/exact', { total: 3 * limit });
  assert.deepEqual(Object.keys(statuses).sort(), ['200', '429']);
  assert.ok(admitted >= limit, `${admitted} admitted`);
  assert.ok(admitted <= most(seconds) * 1.01 + 1, `${admitted} admitted in ${seconds} s`);
});

test("a route's own rate is shared like a list", async () => {
  const { admitted, seconds } = await hammer(gates, '/own', { total: 18, workers: 1 });
  assert.ok(admitted >= 6 && admitted <= 6 + seconds / 10 + 1, `${admitted} admitted`);
});

test('leases admit the limit and at most one lease for each gateway', async () => {
  const asked = await redis.asked();
  const { statuses, admitted, seconds } = await hammer(gates, '/leased', { total: 3 * limit });
  assert.deepEqual(Object.keys(statuses).sort(), ['200', '429']);
  const leases = (gateways * limit * percent) / 100;
  assert.ok(admitted >= limit - leases, `${admitted} admitted`);
  assert.ok(admitted <= most(seconds) + leases + 1, `${admitted} admitted in ${seconds} s`);
  const now = (await redis.asked()) - asked;
  assert.ok(now < limit, `${now} round trips for ${3 * limit} requests`);
});

test('a request that one limit refuses costs the others nothing', async () => {
  const ask = (gate, key) => gate.request('GET', '/several', { headers: { 'X-Key': key } });
  for (let i = 0; i < 4; i++) {
    const reply = await ask(gates[i % gateways], 'one');
    assert.equal(reply.status, 200);
    assert.equal(reply.headers['x-ratelimit-limit'], '4'); // the tightest of the three
    assert.equal(reply.headers['x-ratelimit-remaining'], `${3 - i}`);
    assert.equal(reply.headers['ratelimit-policy'], '"default";q=4;w=60');
  }
  for (let i = 0; i < 20; i++) {
    const reply = await ask(gates[i % gateways], 'one');
    assertProblem(reply, 429);
    const wait = Number(reply.headers['retry-after']);
    assert.ok(wait >= 1 && wait <= 15, `Retry-After: ${wait}`);
  }
  const asked = Number((await redisSay(redis.port, 'DBSIZE')).slice(1));
  assert.ok(asked > 0);
  // The day's limit has paid for four and one more, so 495 are left of its 500: another key's own
  // four are the tightest again.
  const other = await ask(gates[0], 'two');
  assert.equal(other.headers['x-ratelimit-limit'], '4');
  assert.equal(other.headers['x-ratelimit-remaining'], '3');
});

test('several limits hold without Redis too', async () => {
  const gate = gates[0];
  for (let i = 0; i < 3; i++) {
    const reply = await gate.request('GET', '/local');
    assert.equal(reply.status, 200);
    assert.equal(reply.headers['x-ratelimit-remaining'], `${2 - i}`);
    assert.equal(reply.headers['ratelimit-policy'], '"default";q=3;w=86400');
  }
  const refused = await gate.request('GET', '/local');
  assertProblem(refused, 429);
  assert.ok(Number(refused.headers['retry-after']) > 3600);
  assert.equal((await gates[1].request('GET', '/local')).status, 200); // each has its own
});

test('a script that Redis forgot is sent again', async () => {
  assert.match(await redisSay(redis.port, 'SCRIPT', 'FLUSH'), /^\+OK/);
  const away = await Promise.all(gates.map((gate) => answersOf(gate, 'away')));
  for (const gate of gates) assert.equal((await gate.request('GET', '/allow')).status, 200);
  assert.deepEqual(await Promise.all(gates.map((gate) => answersOf(gate, 'away'))), away);
});

const loggedAway = (gate) => gate.output.split('"limits_shared_away"').length - 1;
const loggedBack = (gate) => gate.output.split('"limits_shared_back"').length - 1;

test('Redis that stands still is away, and back when it goes on', async () => {
  const before = gates.map(loggedAway);
  redis.signal('SIGSTOP');
  try {
    const begun = Date.now();
    const { statuses } = await hammer(gates, '/stalled', { total: 600 });
    assert.deepEqual(statuses, { 200: 600 });
    assert.ok(Date.now() - begun < 30_000);
    for (const [i, gate] of gates.entries()) {
      assert.ok((await answersOf(gate, 'away')) > 0);
      assert.equal(loggedAway(gate), before[i] + 1);
    }
  } finally {
    redis.signal('SIGCONT');
  }
  await connected(gates);
  const away = await answersOf(gates[0], 'away');
  assert.equal((await gates[0].request('GET', '/allow')).status, 200);
  assert.equal(await answersOf(gates[0], 'away'), away);
});

/** A request whose body comes in pieces; what the upstream says it was sent. */
const send = (gate, text, headers = {}) =>
  new Promise((resolve, reject) => {
    const options = { method: 'POST', headers, agent: false };
    const req = http.request(`${gate.url}/stalled`, options, async (res) => {
      let heard = '';
      for await (const chunk of res) heard += chunk;
      resolve({ status: res.statusCode, body: JSON.parse(heard).body });
    });
    req.on('error', reject);
    const half = text.length / 2;
    const give = () => {
      req.write(text.slice(0, half));
      setTimeout(() => req.end(text.slice(half)), 10);
    };
    if (headers.Expect) req.on('continue', give).flushHeaders();
    else give();
  });

test('bodies that come while a request waits for Redis arrive whole', async () => {
  const text = 'portcullis '.repeat(4000);
  redis.signal('SIGSTOP');
  try {
    const whole = { 'Content-Length': `${text.length}` };
    const kinds = [{}, whole, { ...whole, Expect: '100-continue' }];
    for (const answer of await Promise.all(
      gates.flatMap((gate) => kinds.map((headers) => send(gate, text, headers))),
    ))
      assert.deepEqual(answer, { status: 200, body: text });
  } finally {
    redis.signal('SIGCONT');
  }
  await connected(gates);
});

test('clients that leave while their request waits do no harm', async () => {
  redis.signal('SIGSTOP');
  try {
    for (let i = 0; i < 60; i++) {
      const socket = net.connect(gates[i % gateways].port, '127.0.0.1');
      socket.on('error', () => {});
      const how = i % 3 ? 'closed' : 'reset';
      socket.write(`${i % 2 ? 'GET' : 'POST'} /stalled HTTP/1.1\r\nHost: a\r\nX-Left: ${how}\r\n`);
      socket.write(i % 2 ? '\r\n' : 'Content-Length: 1000\r\n\r\nsome');
      setTimeout(() => (i % 3 ? socket.destroy() : socket.resetAndDestroy()), i % 40);
    }
    await sleep(100);
  } finally {
    redis.signal('SIGCONT');
  }
  await connected(gates);
  for (const gate of gates) assert.equal((await gate.request('GET', '/allow')).status, 200);
  const reset = upstream.asked.filter(({ headers }) => headers['x-left'] === 'reset');
  assert.equal(reset.length, 0, 'nobody waits for it, so the upstream is not asked');
});

test('a Redis that may not write is away', async () => {
  assert.match(await redisSay(redis.port, 'REPLICAOF', '127.0.0.1', '1'), /^\+OK/);
  try {
    for (const gate of gates)
      for (let i = 0; i < 5; i++) assertProblem(await gate.request('GET', '/deny'), 503);
  } finally {
    await redisSay(redis.port, 'REPLICAOF', 'NO', 'ONE');
  }
  await connected(gates);
  assert.equal((await gates[0].request('GET', '/deny')).status, 200);
});

test('Redis killed in the middle: the limit holds, and nobody waits', async () => {
  const run = (path) => hammer(gates, path, { total: 2 * limit, between: () => redis.kill() });
  for (const path of ['/exact-kill', '/leased-kill']) {
    const { statuses, admitted, seconds } = await run(path);
    const leases = (gateways * limit * percent) / 100;
    assert.deepEqual(Object.keys(statuses).sort(), ['200', '429'], path);
    // What was admitted before counts against each node's share, so that nothing begins anew; a
    // gateway whose part of the load was larger than its share owes nothing to the others.
    assert.ok(admitted <= most(seconds) + limit / 3 + leases, `${path}: ${admitted} admitted`);
    await redis.start();
    await connected(gates);
  }
});

test('while Redis is away each route does what it was told', async () => {
  const back = gates.map(loggedBack);
  await redis.kill();
  await connected(gates, 0);
  const share = await hammer([gates[0]], '/share', { total: limit });
  assert.ok(share.admitted >= limit / gateways, `${share.admitted} admitted`);
  assert.ok(share.admitted <= limit / gateways + (limit / 60 / gateways) * share.seconds + 1);
  const denied = await gates[0].request('GET', '/deny');
  assertProblem(denied, 503);
  assert.match(denied.json.type, /limits-unavailable$/);
  assert.ok(Number(denied.headers['retry-after']) >= 1);
  const { statuses } = await hammer([gates[0]], '/allow', { total: limit + 50 });
  assert.deepEqual(statuses, { 200: limit + 50 });
  for (const gate of gates) assert.ok(loggedAway(gate) > 0);

  await redis.start();
  await connected(gates);
  assert.equal((await gates[0].request('GET', '/deny')).status, 200);
  for (const [i, gate] of gates.entries())
    await until(() => loggedBack(gate) > back[i], 'limits_shared_back in the log');
});

test('a name is as good as an address', async (t) => {
  const [gate] = await startGateways(1, {
    upstream,
    url: `redis://localhost:${redis.port}`,
    routes: route('/deny', 'mode: exact, on_outage: deny'),
  });
  t.after(() => gate.stop());
  await connected([gate]);
  assert.equal((await gate.request('GET', '/deny')).status, 200);
});

test('Redis is asked over TLS, and only the one that was meant', async (t) => {
  const dir = temporaryFolder();
  const file = (name) => path.join(dir, name);
  const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const authority = (name) =>
    openssl('req', '-x509', ...curve, '-subj', `/CN=${name}`, '-keyout', file(`${name}.key`),
      '-out', file(`${name}.pem`));
  authority('ca');
  authority('other');
  fs.writeFileSync(file('extensions'), 'subjectAltName=IP:127.0.0.1\n');
  openssl('req', ...curve, '-subj', '/CN=redis', '-keyout', file('redis.key'), '-out', file('csr'));
  openssl('x509', '-req', '-in', file('csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'),
    '-CAcreateserial', '-days', '2', '-extfile', file('extensions'), '-out', file('redis.pem'));

  const own = await Redis.start({
    tls: { ca: file('ca.pem'), cert: file('redis.pem'), key: file('redis.key') },
    password: 'p@ss/word',
  });
  t.after(() => own.stop());
  const begin = async (ca) => {
    const [gate] = await startGateways(1, {
      upstream,
      url: `rediss://:p%40ss%2Fword@127.0.0.1:${own.tlsPort}/2`,
      more: `  ca: ${file(`${ca}.pem`)}\n`,
      routes: route('/deny', 'mode: exact, on_outage: deny'),
    });
    t.after(() => gate.stop());
    return gate;
  };
  const good = await begin('ca');
  await connected([good]);
  assert.equal((await good.request('GET', '/deny')).status, 200);
  const bad = await begin('other');
  await until(() => loggedAway(bad) === 1, 'limits_shared_away in the log');
  assertProblem(await bad.request('GET', '/deny'), 503);
});
