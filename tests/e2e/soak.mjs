// SPDX-License-Identifier: MIT
// A bounded time of everything at once: people sign in, requests are passed on, money moves,
// settings are read again, the audit log is read. scripts/soak runs it three times: by
// itself, where memory must stay, under ThreadSanitizer and under valgrind, which must say nothing.
//
//   PORTCULLIS=... SOAK_SECONDS=60 [SOAK_FLAT_KIB=8192] node tests/e2e/soak.mjs
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import * as client from 'openid-client';
import { sleep } from './harness.mjs';
import { cents, startMoney } from './money_kit.mjs';
import { createClient } from './oauth_kit.mjs';
import { startUpstream } from './proxy_kit.mjs';

const seconds = Number(process.env.SOAK_SECONDS ?? 60);
const flat = Number(process.env.SOAK_FLAT_KIB ?? 0);

const upstream = await startUpstream((req, res) => {
  upstream.asked.length = 0;
  res.end('{}');
  return true;
});
const op = await startMoney({
  env: { LOG_LEVEL: 'error' },
  config: `upstreams:
  - name: shop
    targets:
      - {url: "http://127.0.0.1:${upstream.port}"}
routes:
  - path: /shop/*
    upstream: shop
    access: open
    rate_exempt: true
`,
});
const { gate } = op;
const admin = await gate.admin();
const analyst = await op.analyst();
const made = await createClient(op, { scopes: ['audit:read'] });
const scope = 'audit:read';
const reading = await client.clientCredentialsGrant(await op.client(made.client_id, made.secret), {
  scope,
});
const reader = reading.access_token;
const accounts = [];
for (let i = 0; i < 8; i++) accounts.push(await op.account(analyst, { deposit: '100000.00' }));

const memory = () =>
  Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${gate.pid}/status`, 'utf8'))[1]);

const operators = new http.Agent({ keepAlive: true, maxSockets: 1 });
const reload = () =>
  new Promise((resolve, reject) => {
    const socketPath = path.join(gate.data, 'data', 'admin.sock');
    const req = http.request(
      { socketPath, method: 'POST', path: '/reload', agent: operators },
      (res) => res.resume().on('end', () => resolve({ status: res.statusCode })),
    );
    req.on('error', reject);
    req.end();
  });

const any = (list) => list[Math.floor(Math.random() * list.length)];

function transfer() {
  const from = any(accounts);
  const to = any(accounts.filter((id) => id !== from));
  const json = { from_account_id: from, to_account_id: to, amount: cents(1n), currency: 'USD' };
  return op.transactions.post('/transfers', json, { token: analyst });
}

const events = '/audit/events?limit=100';

/** name: [how many at once, what is done, how long it rests after each] */
const login = (email, password) => gate.post('/api/v1/auth/login', { email, password });

const doings = {
  'sign in': [1, () => login('admin@example.com', 'admin123'), 200],
  'wrong password': [1, () => login(`${Math.random()}@example.com`, 'no'), 500],
  'pass on': [4, () => gate.get('/shop/a'), 2],
  profile: [2, () => gate.get('/api/v1/auth/me', { token: admin.access_token }), 2],
  transfer: [4, transfer, 2],
  statement: [1, () => op.accounts.get(`/accounts/${any(accounts)}`, { token: analyst }), 10],
  reload: [1, reload, 300],
  metrics: [1, () => gate.get('/metrics'), 200],
  audit: [1, () => gate.get(events, { port: gate.auditPort, token: reader }), 100],
};

const said = {};
const ends = Date.now() + seconds * 1000;
async function keepDoing(name, work, rest) {
  while (Date.now() < ends) {
    const { status } = await work();
    said[`${name} ${status}`] = (said[`${name} ${status}`] ?? 0) + 1;
    assert.ok(status < 500, `${name}: ${status}`);
    await sleep(rest);
  }
}

const samples = [];
async function watch() {
  while (Date.now() < ends) {
    samples.push(memory());
    await sleep(Math.min(1000, seconds * 10));
  }
}
await Promise.all([
  watch(),
  ...Object.entries(doings).flatMap(([name, [width, work, rest]]) =>
    Array.from({ length: width }, () => keepDoing(name, work, rest)),
  ),
]);
const { code, signal } = await gate.stop();
await op.check(); // every cent adds up
await upstream.stop();
operators.destroy();

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const part = (from, to) =>
  median(samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to)));
const grown = part(0.75, 1) - part(0.25, 0.5);
console.log(`# ${JSON.stringify(said)}`);
console.log(`# memory: ${part(0.25, 0.5)} KiB in the second quarter, then ${grown} KiB more`);
assert.deepEqual({ code, signal }, { code: 0, signal: null }, gate.output.slice(-6000));
for (const wanted of ['sign in 200', 'pass on 200', 'transfer 201', 'reload 200', 'audit 200'])
  assert.ok(said[wanted] > 0, `none: ${wanted}`);
if (flat) assert.ok(grown <= flat, `${grown} KiB more than ${flat}`);
