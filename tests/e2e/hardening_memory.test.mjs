// SPDX-License-Identifier: MIT
// What people told the program in confidence is not left lying in its memory: passwords, secrets
// of clients and tokens are looked for in all of it, over each way they can come and go, after the
// last answer. What comes next must not have overwritten them by chance: of each kind there are
// many, and the last ones have nothing behind them.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import path from 'node:path';
import {
  command,
  Portcullis,
  sleep,
  startPostgres,
  temporaryFolder,
  test,
  unique,
} from './harness.mjs';
import { children, isMeasurable, search, writable } from './memory_kit.mjs';
import { basic, Browser, codeOf, createClient, startIssuer } from './oauth_kit.mjs';

const routes = [
  'POST /api/v1/auth/register',
  'POST /api/v1/auth/login',
  'POST /api/v1/auth/refresh',
  'POST /api/v1/auth/logout',
];
const unlimited = routes
  .map((route) => `    - {route: ${route}, requests_per_minute: 1000000, burst: 1000000}\n`)
  .join('');

/** The secrets of a test, each with how it came or went. */
class Secrets {
  forms = [];

  add(name, text) {
    this.forms.push([`${name} ${this.forms.length}`, Buffer.from(text)]);
    return text;
  }

  word(name) {
    return this.add(name, `${randomBytes(15).toString('base64url')}-horse-9`);
  }

  /** A token as it is written, and what of it nobody else has. */
  token(name, text) {
    assert.ok(text.length > 30, text);
    this.add(name, text.slice(-32));
    return text;
  }
}

async function until(look, what) {
  const deadline = Date.now() + 30_000;
  while (!look()) {
    assert.ok(Date.now() < deadline, `waited for ${what}`);
    await sleep(20);
  }
}

/** Waits until none of them is anywhere, but for those whose names begin so. */
async function goneFrom(pid, secrets, but) {
  const forms = secrets.forms.filter(([name]) => !but || !name.startsWith(but));
  const deadline = Date.now() + 40_000;
  for (;;) {
    const found = search(pid, forms);
    if (found.length === 0) return;
    assert.ok(Date.now() < deadline, `still in memory: ${found.join(', ')}`);
    await sleep(100);
  }
}

const each = (count, run) => Promise.all(Array.from({ length: count }, (_, i) => run(i)));

/** Logging in, wrongly and rightly, and ending it, by whatever `ask(method, target, json)` does. */
async function visits(ask, secrets, count) {
  await each(count, async () => {
    const username = unique('memory');
    const email = `${username}@example.com`;
    const password = secrets.word('password');
    const made = await ask('POST', '/api/v1/auth/register', { username, email, password });
    assert.equal(made.status, 201, made.text);
    const wrong = secrets.word('wrong password');
    const refused = await ask('POST', '/api/v1/auth/login', { email, password: wrong });
    assert.ok([401, 429].includes(refused.status), refused.text);
    const login = await ask('POST', '/api/v1/auth/login', { email, password });
    assert.equal(login.status, 200, login.text);
    const pair = JSON.parse(login.text);
    secrets.token('access token', pair.access_token);
    secrets.token('refresh token', pair.refresh_token);
    const turned = await ask('POST', '/api/v1/auth/refresh', { refresh_token: pair.refresh_token });
    assert.equal(turned.status, 200, turned.text);
    const next = JSON.parse(turned.text);
    secrets.token('access token', next.access_token);
    secrets.token('refresh token', next.refresh_token);
    const profile = await ask('GET', '/api/v1/users/profile', undefined, next.access_token);
    assert.equal(profile.status, 200, profile.text);
  });
}

/** Clients of the issuer, and people at its pages. */
async function grants(op, secrets, count) {
  await each(count, async () => {
    const wrong = secrets.word('wrong secret of a client');
    const header = basic('web-portal', wrong);
    secrets.add('its header', header.Authorization.slice(24, -4));
    const form = { grant_type: 'client_credentials', scope: 'accounts:read' };
    assert.equal((await op.token(form, { headers: header })).status, 401);
    const inForm = secrets.word('wrong secret of a client');
    const reply = await op.token({ ...form, client_id: 'web-portal', client_secret: inForm });
    assert.equal(reply.status, 401);
    const refused = await op.token(
      { grant_type: 'password', username: 'analyst@example.com', password: secrets.word('grant') },
      { headers: basic('web-portal', 'change-me') },
    );
    assert.ok([400, 429].includes(refused.status), refused.text); // guessing becomes slow
  });
  const client = await createClient(op, {
    grants: ['authorization_code', 'refresh_token'],
    scopes: ['openid', 'profile', 'offline_access'],
    redirectUris: ['https://app.example.com/back'],
  });
  secrets.add('secret of a client', client.secret);
  const browser = new Browser(op);
  const got = await codeOf(op, browser, client);
  secrets.add('code', got.code);
  for (const [name, value] of browser.cookies) secrets.add(`cookie ${name}`, value.slice(-32));
  const redeemed = await op.token({
    grant_type: 'authorization_code',
    code: got.code,
    redirect_uri: got.redirect_uri,
    code_verifier: secrets.add('verifier', got.verifier),
    client_id: client.client_id,
    client_secret: client.secret,
  });
  assert.equal(redeemed.status, 200, redeemed.text);
  for (const name of ['access_token', 'refresh_token', 'id_token'])
    secrets.token(name, redeemed.json[name]);
}

/** Requests of one connection, written at once or in two halves, or never ended. */
async function oddly(gate, secrets) {
  const request = (password) => {
    const body = JSON.stringify({ email: 'nobody@example.com', password });
    const head = [
      'POST /api/v1/auth/login HTTP/1.1',
      `Host: 127.0.0.1:${gate.port}`,
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
    ];
    return `${head.join('\r\n')}\r\n\r\n${body}`;
  };
  const open = async () => {
    const socket = net.connect(gate.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('data', () => {});
    await once(socket, 'connect');
    return socket;
  };
  const pipelined = await open();
  let answers = 0;
  pipelined.on('data', (bytes) => {
    answers += bytes.toString('latin1').split('HTTP/1.1 401').length - 1;
  });
  pipelined.write(Array.from({ length: 4 }, () => request(secrets.word('pipelined'))).join(''));
  await until(() => answers >= 4, 'four answers');
  pipelined.destroy();

  // While a request waits for its end, its password is there; the search can find one.
  const waits = new Secrets();
  const text = request(waits.word('half a request'));
  const half = await open();
  half.write(text.slice(0, -2));
  await until(() => search(gate.pid, waits.forms).length > 0, 'the search to find what is there');
  half.destroy();
  secrets.forms.push(...waits.forms);
}

/** The same by HTTP/2: `ask(method, target, json, token)`. */
async function overHttp2(gate) {
  const session = http2.connect(gate.url, gate.tls);
  session.on('error', () => {});
  await once(session, 'connect');
  assert.equal(session.alpnProtocol, 'h2');
  const ask = (method, target, json, token) =>
    new Promise((resolve, reject) => {
      const headers = { ':method': method, ':path': target };
      if (json !== undefined) headers['content-type'] = 'application/json';
      if (token !== undefined) headers.authorization = `Bearer ${token}`;
      const stream = session.request(headers, { endStream: json === undefined });
      const chunks = [];
      let status;
      stream.on('response', (head) => (status = head[':status']));
      stream.on('data', (chunk) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('close', () => resolve({ status, text: Buffer.concat(chunks).toString() }));
      stream.end(json === undefined ? undefined : JSON.stringify(json));
    });
  return { ask, close: () => session.close() };
}

const askOf = (gate) => (method, target, json, token) =>
  gate.request(method, target, { json, token });

test('nothing secret stays in memory after its answer', async () => {
  if (!isMeasurable) return;
  const op = await startIssuer({ config: unlimited });
  const secrets = new Secrets();
  try {
    await grants(op, secrets, 20);
    await visits(askOf(op.gate), secrets, 20);
    await oddly(op.gate, secrets);
    await goneFrom(op.gate.pid, secrets);
  } finally {
    await op.stop();
  }
});

test('nor what came through TLS, by HTTP/1.1 and HTTP/2, to a store in PostgreSQL', async () => {
  if (!isMeasurable) return;
  const folder = temporaryFolder();
  const made = await command(['certs', 'dev', '--folder', folder]);
  assert.equal(made.code, 0, made.stderr);
  const [key, certificate, ca] = ['server.key', 'server.crt', 'ca.crt'].map((name) =>
    path.join(folder, name),
  );
  const postgres = await startPostgres();
  const both = ['gateway', 'auth']
    .map((who) => `${who}:\n  tls: {certificate: ${certificate}, key: ${key}}\n`)
    .join('');
  const op = await startIssuer({
    config: `${unlimited}${both}`,
    env: { DATABASE_URL: postgres.url },
    tls: { ca: fs.readFileSync(ca) },
  });
  const secrets = new Secrets();
  try {
    await grants(op, secrets, 10);
    await visits(askOf(op.gate), secrets, 10);
    const second = await overHttp2(op.gate);
    await visits(second.ask, secrets, 10);
    // A connection of HTTP/2 remembers the headers of its last requests, as HPACK has it.
    await goneFrom(op.gate.pid, secrets, 'access token');
    second.close();
    await goneFrom(op.gate.pid, secrets);
  } finally {
    await op.stop();
    await postgres.stop();
  }
}, { timeout: 180_000 });

const signsByKey = { JWT_ALGORITHM: 'ES256', JWT_SECRET_KEY: undefined };
const isLocked = ({ flags }) => flags.includes('lo');

test('no memory of it is written to swap', async () => {
  if (!isMeasurable) return; // only root may raise the limit
  const gate = await Portcullis.start({ env: { ...signsByKey, PORTCULLIS_SWAP: 'forbidden' } });
  try {
    const all = [gate.pid, ...children(gate.pid)];
    assert.equal(all.length, 2);
    for (const pid of all) {
      const parts = writable(pid);
      assert.ok(parts.length > 5, `${parts.length} parts`);
      assert.deepEqual(parts.filter((part) => !isLocked(part)), []);
    }
  } finally {
    await gate.stop();
  }
});

test('with a limit of locked memory it is the private keys, or it does not start', async () => {
  if (!isMeasurable) return;
  const limit = ['prlimit', '--memlock=2097152:2097152'];
  const by = [...limit, 'setpriv', '--bounding-set=-sys_resource,-ipc_lock', '--'];
  const data = temporaryFolder();
  const gate = await Portcullis.start({ data, env: signsByKey, by });
  try {
    const [keeper] = children(gate.pid);
    assert.ok(!writable(gate.pid).some(isLocked));
    const locked = writable(keeper).filter(isLocked);
    assert.equal(locked.length, 1);
    const [{ from, to, flags }] = locked;
    assert.equal(Number(BigInt(`0x${to}`) - BigInt(`0x${from}`)), 1024 * 1024);
    assert.ok(flags.includes('dd'), 'left out of core dumps'); // VM_DONTDUMP
  } finally {
    await gate.stop();
  }
  await assert.rejects(
    Portcullis.start({ data, env: { ...signsByKey, PORTCULLIS_SWAP: 'forbidden' }, by }),
    /process\.swap: memory cannot be locked: its limit must be infinite/,
  );
  const allowed = { ...signsByKey, PORTCULLIS_SWAP: 'allowed' };
  const free = await Portcullis.start({ data, env: allowed });
  try {
    for (const pid of [free.pid, ...children(free.pid)]) assert.ok(!writable(pid).some(isLocked));
  } finally {
    await free.stop();
  }
});
