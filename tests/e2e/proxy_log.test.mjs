// SPDX-License-Identifier: MIT
// What the access log says of a request that was passed on: who was asked, how long it took.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { Portcullis, freePort, test } from './harness.mjs';
import { startUpstream } from './proxy_kit.mjs';

let gate;
let shop;
let nowhere;

before(async () => {
  shop = await startUpstream();
  nowhere = await freePort();
  gate = await Portcullis.start({
    config: `upstreams:
  - {name: shop, targets: [{url: "http://127.0.0.1:${shop.port}"}]}
  - {name: gone, targets: [{url: "http://127.0.0.1:${nowhere}"}]}
  - name: half
    retries: 1
    balance: round_robin
    targets:
      - {url: "http://127.0.0.1:${nowhere}"}
      - {url: "http://127.0.0.1:${shop.port}"}
routes:
  - {path: /shop, upstream: shop, access: open}
  - {path: /gone, upstream: gone, access: open}
  - {path: /half, upstream: half, access: open}
`,
  });
});

after(async () => {
  await gate?.stop();
  await shop?.stop();
});

const lineOf = (reply) => {
  const id = reply.headers['x-request-id'];
  return gate.line((line) => line.event === 'http_request' && line.request_id === id);
};

test('the log tells who was asked, how long it took and how often', async () => {
  const line = await lineOf(await gate.get('/shop'));
  assert.equal(line.upstream, 'shop');
  assert.equal(line.target, `http://127.0.0.1:${shop.port}`);
  assert.equal(typeof line.upstream_ms, 'number');
  assert.ok(line.upstream_ms <= line.duration_ms);
  assert.equal(line.retries, 0);
});

test('who could not be reached is told with the reason', async () => {
  const reply = await gate.get('/gone');
  assert.equal(reply.status, 502);
  const line = await lineOf(reply);
  assert.equal(line.target, `http://127.0.0.1:${nowhere}`);
  assert.ok(line.error);
});

test('retries are counted', async () => {
  const lines = [];
  // Each loop has turns of its own.
  for (let i = 0; i < 12; i++) lines.push(await lineOf(await gate.get('/half')));
  assert.deepEqual([...new Set(lines.map(({ retries }) => retries))].sort(), [0, 1]);
  for (const { target } of lines) assert.equal(target, `http://127.0.0.1:${shop.port}`);
});

test('what nobody was asked for tells of nobody', async () => {
  assert.equal((await lineOf(await gate.get('/health'))).upstream, undefined);
});
