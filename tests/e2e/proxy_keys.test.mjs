// SPDX-License-Identifier: MIT
// API keys on routes to upstreams: made and taken back by commands beside the running program.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before } from 'node:test';
import { Portcullis, assertProblem, command, sleep, test } from './harness.mjs';
import { startRaw, startUpstream } from './proxy_kit.mjs';

let upstream;
let echo; // says 101 to what it hears first, and then the same again
let gate;

before(async () => {
  upstream = await startUpstream();
  echo = await startRaw((socket, text) => {
    const asks = text.startsWith('GET ');
    const taken = 'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    socket.write(asks ? taken : text);
  });
  gate = await Portcullis.start({
    config: `upstreams:
  - name: shop
    targets:
      - url: http://127.0.0.1:${upstream.port}
  - name: echo
    targets:
      - url: http://127.0.0.1:${echo.port}
routes:
  - path: /talk
    upstream: echo
    access: api_key
    upgrades: [websocket]
  - path: /keyed/*
    upstream: shop
    access: api_key
  - path: /scoped/*
    upstream: shop
    access: api_key
    api_key_header: X-Shop-Key
    scopes: [orders:read]
    roles: [clerk]
  - path: /limited
    upstream: shop
    access: api_key
    requests_per_minute: 3
  - path: /own/*
    upstream: shop
    access: bearer
`,
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  await upstream?.stop();
  await echo?.stop();
});

const run = (...args) => command(args, { data: gate.data });

async function create(owner, ...more) {
  const { code, stdout, stderr } = await run('apikey', 'create', owner, ...more);
  assert.equal(code, 0, stderr);
  const [, id] = /API key (\d+) of/.exec(stdout);
  const [, key] = /shown this once: (pck_\S{43})\n/.exec(stdout);
  return { id, key };
}

const get = (target, key, headers = {}) =>
  gate.get(target, { headers: key === undefined ? headers : { 'X-API-Key': key, ...headers } });

test('a key lets its owner in, and the target sees who, never the key', async () => {
  const { id, key } = await create('warehouse', '--scope', 'orders:read,b', '--role', 'clerk');
  const reply = await get('/keyed/x', key, { 'X-Portcullis-Subject': 'root' });
  assert.equal(reply.status, 200, reply.text);
  const { headers } = reply.json;
  assert.equal(headers['x-portcullis-subject'], 'warehouse');
  assert.equal(headers['x-portcullis-client'], `key:${id}`);
  assert.equal(headers['x-portcullis-scope'], 'orders:read b');
  assert.equal(headers['x-portcullis-roles'], 'clerk');
  assert.equal(headers['x-api-key'], undefined);
  assert.ok(!reply.text.includes(key));
});

test('a key that never ends keeps a tunnel open', async () => {
  const { key } = await create('talker');
  const socket = net.connect(gate.port, '127.0.0.1');
  const asks = 'Connection: Upgrade\r\nUpgrade: websocket';
  socket.write(`GET /talk HTTP/1.1\r\nHost: a\r\n${asks}\r\nX-API-Key: ${key}\r\n\r\n`);
  const closed = once(socket, 'close').then(() => ['closed']);
  const heard = async () => String((await Promise.race([once(socket, 'data'), closed]))[0]);
  assert.match(await heard(), /^HTTP\/1.1 101 /);
  await sleep(1500); // longer than what has ended is given
  socket.write('still here');
  assert.equal(await heard(), 'still here');
  socket.destroy();
});

test('scopes and roles of the key decide; the header is the one of the settings', async () => {
  const { key } = await create('both', '--scope', 'orders:read', '--role', 'clerk');
  const { key: weak } = await create('weak', '--role', 'clerk');
  const shown = (one) => ({ headers: { 'X-Shop-Key': one } });
  const ask = async (one) => (await gate.get('/scoped/x', shown(one))).status;
  assert.equal(await ask(key), 200);
  assert.equal(await ask(weak), 403);
  assert.equal((await get('/scoped/x', key)).status, 401);
});

test('what is no key is refused, and a key is no token', async () => {
  const { key } = await create('a');
  const { tokens } = await gate.register();
  const wrong = key.slice(0, -2) + (key.endsWith('AA') ? 'BA' : 'AA');
  assert.equal((await get('/keyed/x', key)).status, 200);
  for (const one of [undefined, '', 'x', wrong, key.toUpperCase(), tokens.access_token]) {
    const reply = await get('/keyed/x', one);
    assertProblem(reply, 401);
    assert.match(reply.headers['www-authenticate'], /^ApiKey/);
    assert.ok(!reply.text.includes('pck_'));
  }
  const doubled = await gate.raw(
    `GET /keyed/x HTTP/1.1\r\nHost: a\r\nX-API-Key: ${key}\r\nX-API-Key: ${key}\r\n` +
      'Connection: close\r\n\r\n',
  );
  assert.match(doubled, /^HTTP\/1.1 401 /);
  for (const target of ['/own/x', '/api/v1/auth/me'])
    assert.equal((await gate.get(target, { token: key })).status, 401);
  assert.equal((await gate.get('/keyed/x', { token: tokens.access_token })).status, 401);
});

test('title, detail and challenge speak of the key', async () => {
  const { id, key } = await create('taken-back');
  const { key: weak } = await create('unscoped', '--role', 'clerk');
  const words = (reply) => [reply.json.title, reply.json.detail, reply.json.type];
  const type = 'urn:portcullis:problem:';
  assert.deepEqual(words(await get('/keyed/x')), [
    'An API key is required',
    'Send an API key.',
    `${type}unauthenticated`,
  ]);
  assert.deepEqual(words(await get('/keyed/x', 'x')), [
    'The API key is not valid',
    'The API key is not valid',
    `${type}invalid-token`,
  ]);
  assert.equal((await run('apikey', 'revoke', id)).code, 0);
  assert.deepEqual(words(await get('/keyed/x', key)), [
    'The API key has been revoked',
    'The API key has been revoked',
    `${type}revoked-token`,
  ]);
  const lacks = await gate.get('/scoped/x', { headers: { 'X-Shop-Key': weak } });
  assert.equal(lacks.json.title, 'The API key lacks a scope that this needs');
  assert.match(lacks.headers['www-authenticate'], /^ApiKey/);
  const bearer = await gate.get('/own/x');
  assert.equal(bearer.json.title, 'A bearer token is required');
  assert.match(bearer.headers['www-authenticate'], /^Bearer/);
});

test('a key that is taken back is refused within a second', async () => {
  const { id, key } = await create('gone');
  assert.equal((await get('/keyed/x', key)).status, 200);
  const { code } = await run('apikey', 'revoke', id);
  assert.equal(code, 0);
  const deadline = Date.now() + 1500;
  while ((await get('/keyed/x', key)).status !== 401) {
    assert.ok(Date.now() < deadline, 'it is still let in');
    await sleep(20);
  }
  assert.equal((await run('apikey', 'revoke', '424242')).code, 1);
  assert.equal((await run('apikey', 'revoke', 'x')).code, 2);
});

test('keys of one owner share the limit', async () => {
  const one = await create('sharer');
  const two = await create('sharer');
  const other = await create('loner');
  const statuses = [];
  for (const { key } of [one, two, one, two, one])
    statuses.push((await get('/limited', key)).status);
  assert.deepEqual(statuses, [200, 200, 200, 429, 429]);
  assert.equal((await get('/limited', other.key)).status, 200);
});

test('keys are listed without what they are, and are nowhere to be found', async () => {
  const { id, key } = await create('listed', '--days', '30');
  const { stdout } = await run('apikey', 'list', '--json');
  const row = JSON.parse(stdout).find((one) => String(one.id) === id);
  assert.equal(row.owner, 'listed');
  assert.equal(row.state, 'active');
  assert.ok(Date.parse(row.expires_at) > Date.now() + 29 * 86_400_000);
  assert.ok(!stdout.includes('pck_'));
  assert.match((await run('apikey', 'list')).stdout, /gone +revoked/);
  await get('/keyed/x', key);
  assert.ok(!gate.output.includes('pck_'));
  for (const name of fs.readdirSync(gate.data)) {
    const file = path.join(gate.data, name);
    if (fs.statSync(file).isFile()) assert.ok(!fs.readFileSync(file).includes(key), name);
  }
});

test('making and taking back are told to the audit log', async () => {
  const { access_token: token } = await gate.admin();
  const { json: events } = await gate.get('/api/v1/audit/events?limit=500', { token });
  const made = events.filter((event) => event.action === 'apikey.created');
  assert.ok(made.length >= 5);
  assert.ok(events.some((event) => event.action === 'apikey.revoked'));
  assert.ok(!JSON.stringify(events).includes('pck_'));
});

test('owners that would break a header line are refused', async () => {
  for (const owner of ['two words', 'a"b', ''])
    assert.equal((await run('apikey', 'create', owner)).code, 2, owner);
});
