// SPDX-License-Identifier: MIT
// Every refusal has a code of docs/reasons.md, the same in the answer, the log and the metrics, and
// tells who refused. That nothing else ever gives another code is looked at by the
// harness, whatever a test does.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before } from 'node:test';
import { Portcullis, command, freePort, reasons, sleep, test } from './harness.mjs';
import { startRaw, startUpstream } from './proxy_kit.mjs';

let gate;
let shop;
let cut;
let silent;

before(async () => {
  shop = await startUpstream((req, res) => {
    const status = Number(req.url.split('/').pop());
    if (!status) return false;
    res.writeHead(status).end('no');
    return true;
  });
  cut = await startRaw((socket) => socket.destroy());
  silent = await startRaw(() => {});
  const nowhere = await freePort();
  const upstream = (name, port) =>
    `  - {name: ${name}, retries: 0, targets: [{url: "http://127.0.0.1:${port}"}]}\n`;
  gate = await Portcullis.start({
    config: `upstreams:
${upstream('shop', shop.port)}${upstream('gone', nowhere)}${upstream('cut', cut.port)}
${upstream('silent', silent.port)}
routes:
  - {path: /shop/*, upstream: shop, access: open}
  - {path: /mine, upstream: shop, access: bearer}
  - {path: /gone, upstream: gone, access: open, circuit_breaker: {failure_threshold: 1}}
  - {path: /cut, upstream: cut, access: open}
  - {path: /silent, upstream: silent, access: open, timeouts: {total_ms: 1000}}
  - {path: /hold, upstream: silent, access: open}
`,
  });
});

after(async () => {
  await gate?.stop();
  for (const server of [shop, cut, silent]) await server?.stop();
});

const lineOf = (reply) => {
  const id = reply.headers['x-request-id'];
  return gate.line((line) => line.event === 'http_request' && line.request_id === id, 30_000);
};

/** How many refusals were counted: { 'source reason': count } of the gateway. */
async function counted() {
  const { text } = await gate.get('/metrics');
  const wanted =
    /^http_refusals_total\{service="api-gateway",source="(\w+)",reason="([\w-]+)"\} (\d+)/gm;
  return Object.fromEntries(
    [...text.matchAll(wanted)].map(([, source, reason, count]) => [
      `${source} ${reason}`,
      Number(count),
    ]),
  );
}

test('the list is the one that the program prints', async () => {
  const { code, stdout } = await command(['reasons']);
  assert.equal(code, 0);
  assert.ok(reasons.size > 60);
  for (const reason of reasons) assert.ok(stdout.includes(`| \`${reason}\` |`), reason);
});

test('what the gateway refuses has one code in answer, log and metrics', async () => {
  const before = await counted();
  const broken = { body: '{', headers: { 'Content-Type': 'application/json' } };
  const cases = [
    ['GET', '/nothing/here', 404, 'not-found'],
    ['DELETE', '/api/v1/health', 405, 'method-not-allowed'],
    ['GET', '/mine', 401, 'unauthenticated'],
    ['GET', '/mine', 401, 'invalid-token', { token: 'a.b.c' }],
    ['POST', '/api/v1/auth/login', 400, 'malformed-json', broken],
    ['POST', '/api/v1/auth/login', 422, 'validation-failed', { json: {} }],
    ['GET', '/cut', 502, 'upstream-broke-off'],
    ['GET', '/silent', 504, 'upstream-timeout'],
    ['GET', '/gone', 502, 'upstream-unreachable'],
    ['GET', '/gone', 503, 'circuit-open'],
  ];
  for (const [method, path, status, code, options] of cases) {
    const reply = await gate.request(method, path, options);
    assert.equal(reply.status, status, `${path}: ${reply.text}`);
    assert.equal(reply.json.type, `urn:portcullis:problem:${code}`);
    const line = await lineOf(reply);
    assert.equal(line.reason, code);
    assert.equal(line.source, 'gateway');
  }
  const now = await counted();
  for (const [, , , code] of cases)
    assert.equal(now[`gateway ${code}`] - (before[`gateway ${code}`] ?? 0), 1, code);
});

test('what the service behind answers is told apart', async () => {
  for (const [status, reason] of [
    [404, 'upstream-answered-4xx'],
    [503, 'upstream-answered-5xx'],
    [504, 'upstream-answered-5xx'],
  ]) {
    const before = (await counted())[`upstream ${reason}`] ?? 0;
    const reply = await gate.get(`/shop/${status}`);
    assert.equal(reply.status, status);
    const line = await lineOf(reply);
    assert.equal(line.reason, reason);
    assert.equal(line.source, 'upstream');
    assert.equal(line.error, undefined);
    assert.equal((await counted())[`upstream ${reason}`], before + 1);
  }
});

test('what is served is no refusal', async () => {
  const before = await counted();
  const line = await lineOf(await gate.get('/shop/a'));
  assert.equal(line.status_code, 200);
  assert.equal(line.reason, undefined);
  assert.equal(line.source, undefined);
  assert.deepEqual(await counted(), before);
});

test('who leaves is told as gone', async () => {
  const asked = silent.pieces.length;
  const socket = net.connect(gate.port, '127.0.0.1');
  socket.write('GET /hold HTTP/1.1\r\nHost: x\r\n\r\n');
  while (!silent.pieces.slice(asked).join('').includes('/hold')) await sleep(10);
  socket.destroy();
  const line = await gate.line(({ reason }) => reason === 'client-gone', 30_000);
  assert.equal(line.source, 'client');
  assert.ok((await counted())['client client-gone'] >= 1);
});
