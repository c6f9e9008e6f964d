// SPDX-License-Identifier: MIT
// What `portcullis admin` prints: tables for people, and with --json what the node says.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before } from 'node:test';
import { Portcullis, command, freePort, test } from './harness.mjs';

let gate;

before(async () => {
  const nobody = await freePort();
  gate = await Portcullis.start({
    config: `upstreams:
  - name: shop
    targets: [{url: "http://127.0.0.1:${nobody}"}]
    eject: {failures: 1000}
routes:
  - path: /shop
    upstream: shop
    access: open
    circuit_breaker: {failure_threshold: 1, timeout_seconds: 600}
    limits: [{per: hour, requests: 500, key: address}, {per: "seconds:10", requests: 7, key: route}]
  - {path: /free, upstream: shop, access: open, rate_exempt: true}
limits:
  routes: [{route: GET /api/v1/alerts, requests_per_minute: 30}]
`,
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
});

async function admin(...args) {
  const socket = path.join(gate.data, 'data', 'admin.sock');
  const asked = await command(['admin', ...args, '--socket', socket], { data: gate.data });
  assert.equal(asked.code, 0, asked.stderr);
  return asked.stdout;
}

test('breakers are a line each', async () => {
  assert.match(await admin('breakers'), /^closed: \d+\n$/);
  assert.equal((await gate.get('/shop')).status, 502);
  const lines = (await admin('breakers')).split('\n');
  assert.match(lines[0], /^open +GET +\/shop {2}\(api-gateway\) {2}tried again in \d+ s$/);
  assert.match(lines.at(-2), /^closed: \d+$/);
  const told = JSON.parse(await admin('breakers', '--json'));
  assert.equal(told.breakers[0].route, '/shop');
  assert.equal(told.breakers[0].state, 'open');
});

test('limits are a line each', async () => {
  const text = await admin('limits');
  assert.match(text, /^default +\d+ a minute, burst \d+$/m);
  assert.match(text, /^route +GET \/api\/v1\/alerts +30 a minute, burst \d+$/m);
  assert.match(text, /^upstream \/shop +500 an hour, burst \d+, by address$/m);
  assert.match(text, /^upstream \/shop +7 in 10 s, burst \d+, by route$/m);
  assert.match(text, /^upstream \/free +without a limit$/m);
  const told = JSON.parse(await admin('limits', '--json'));
  assert.equal(told.default.period_s, 60);
});

test('upstreams and settings are there for programs, too', async () => {
  assert.match(await admin('upstreams'), /^shop\n {2}\w+ +http:/);
  assert.equal(JSON.parse(await admin('upstreams', '--json')).upstreams[0].name, 'shop');
  const settings = JSON.parse(await admin('config'));
  assert.match(settings.settings['limits.requests_per_minute'], /^\d+$/);
  assert.deepEqual(JSON.parse(await admin('config', '--json')), settings);
});
