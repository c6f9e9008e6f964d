// SPDX-License-Identifier: MIT
// HTTP/2 on the gateway, as Node, curl, nghttp and h2load speak it: the same answers as by
// HTTP/1.1, a hundred at once; floods that end; a shutdown that loses no answer.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http2 from 'node:http2';
import path from 'node:path';
import { before } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { assertHeaders, Portcullis, temporaryFolder, test, unique } from './harness.mjs';

const folder = temporaryFolder();
const file = (name) => path.join(folder, name);
const run = promisify(execFile);
const calm = http2.constants.NGHTTP2_ENHANCE_YOUR_CALM;

before(() => {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
  const to = ['-keyout', file('server.key'), '-out', file('server.crt')];
  execFileSync('openssl', ['req', '-x509', ...key, '-days', '2', ...name, ...to], {
    stdio: 'pipe',
  });
  fs.chmodSync(file('server.key'), 0o600);
});

const ca = () => fs.readFileSync(file('server.crt'));

async function start(env = {}) {
  const settings = [
    'gateway:',
    '  tls:',
    `    certificate: ${file('server.crt')}`,
    `    key: ${file('server.key')}`,
  ];
  return Portcullis.start({ config: `${settings.join('\n')}\n`, env, tls: { ca: ca() } });
}

async function connect(gate) {
  const session = http2.connect(gate.url, { ca: ca() });
  session.on('error', () => {});
  await once(session, 'connect');
  assert.equal(session.alpnProtocol, 'h2');
  return session;
}

function newcomer() {
  const name = unique('h2');
  return { username: name, email: `${name}@example.com`, password: 'correct horse 9 battery' };
}

/** One request: { status, headers, text, json }. */
function ask(session, method, target, { json, body, token, headers = {} } = {}) {
  const payload = json === undefined ? body : JSON.stringify(json);
  const all = { ':method': method, ':path': target, ...headers };
  if (json !== undefined) all['content-type'] = 'application/json';
  if (token !== undefined) all.authorization = `Bearer ${token}`;
  return new Promise((resolve, reject) => {
    const stream = session.request(all, { endStream: payload === undefined });
    const chunks = [];
    let head;
    let raw;
    stream.on('response', (it, _flags, fields) => {
      head = it;
      raw = fields;
    });
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      const text = Buffer.concat(chunks).toString();
      if (!head) reject(new Error(`no answer: reset with ${stream.rstCode}`));
      else resolve({ status: head[':status'], headers: head, raw, text });
    });
    if (payload !== undefined) stream.end(payload);
  });
}

test('a customer is served by HTTP/2 as by HTTP/1.1', async () => {
  const gate = await start();
  const session = await connect(gate);
  try {
    const account = newcomer();
    const registered = await ask(session, 'POST', '/api/v1/auth/register', { json: account });
    assert.equal(registered.status, 201, registered.text);
    assertHeaders(registered);
    const login = await ask(session, 'POST', '/api/v1/auth/login', {
      json: { email: account.email, password: account.password },
    });
    assert.equal(login.status, 200, login.text);
    const token = JSON.parse(login.text).access_token;
    const profile = await ask(session, 'GET', '/api/v1/users/profile', { token });
    assert.equal(profile.status, 200);
    assert.equal(JSON.parse(profile.text).email, account.email);
    assert.equal(profile.text, (await gate.get('/api/v1/users/profile', { token })).text);
    const stranger = await ask(session, 'GET', '/api/v1/users/profile');
    assert.equal(stranger.status, 401);
    assert.match(stranger.headers['www-authenticate'], /^Bearer/);
    const head = await ask(session, 'HEAD', '/health');
    assert.equal(head.status, 200);
    assert.equal(head.text, '');
    assert.equal(
      Number(head.headers['content-length']),
      Number((await ask(session, 'GET', '/health')).headers['content-length']),
    );
    const large = await ask(session, 'POST', '/api/v1/auth/login', {
      body: 'x'.repeat(3_000_000),
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(large.status, 413, large.text);
    assert.equal((await ask(session, 'GET', '/nowhere')).status, 404);
    assert.equal((await ask(session, 'FROB', '/health')).status, 501);
    const line = await gate.line((it) => it.request_id === profile.headers['x-request-id']);
    assert.equal(line.status_code, 200);
  } finally {
    session.destroy();
    await gate.stop();
  }
});

test('a hundred streams at once, some of them cancelled', async () => {
  const gate = await start();
  const session = await connect(gate);
  try {
    assert.equal(session.remoteSettings.maxConcurrentStreams, 100);
    const all = await Promise.all(
      Array.from({ length: 100 }, () => ask(session, 'GET', '/health')),
    );
    assert.ok(all.every((it) => it.status === 200));
    const wrong = { email: 'nobody@example.com', password: 'wrong horse 9 battery' };
    for (let i = 0; i < 20; i++) {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/api/v1/auth/login',
        'content-type': 'application/json',
      });
      stream.on('error', () => {});
      stream.end(JSON.stringify(wrong));
      setImmediate(() => stream.close(http2.constants.NGHTTP2_CANCEL));
    }
    assert.equal((await ask(session, 'GET', '/health')).status, 200);
    const crowd = await Promise.all(
      Array.from({ length: 300 }, () =>
        ask(session, 'POST', '/api/v1/auth/login', { json: wrong }),
      ),
    );
    const limited = crowd.find((it) => it.status === 429);
    assert.ok(limited, 'somebody is told to wait');
    assert.ok(Number(limited.headers['retry-after']) > 0);
  } finally {
    session.destroy();
    await gate.stop();
  }
});

test('curl, nghttp and h2load are understood; who wants HTTP/1.1 gets it', async () => {
  const gate = await start({ RATE_LIMIT_PER_MINUTE: '1000000' });
  try {
    for (const [wish, version] of [
      ['--http2', '2'],
      ['--http1.1', '1.1'],
    ]) {
      const told = ['--write-out', '\n%{http_version} %{http_code}'];
      const trusted = ['--silent', '--cacert', file('server.crt')];
      const { stdout } = await run('curl', [...trusted, wish, ...told, `${gate.url}/health`]);
      assert.match(stdout, new RegExp(`healthy[^]*\n${version} 200$`));
    }
    const nghttp = await run('nghttp', ['-nv', `${gate.url}/health`]);
    assert.match(nghttp.stdout, /The negotiated protocol: h2/);
    assert.match(nghttp.stdout, /:status: 200/);
    const load = await run('h2load', ['-n', '2000', '-c', '4', '-m', '50', `${gate.url}/livez`]);
    assert.match(load.stdout, /2000 done, \d+ succeeded, 0 failed, 0 errored/);
  } finally {
    await gate.stop();
  }
});

/** A frame. */
function frame(type, flags, id, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

/** Sends frames by hand until the server hangs up; the code of its GOAWAY. */
async function flood(gate, round) {
  const socket = tls.connect({
    host: '127.0.0.1',
    port: gate.port,
    ca: ca(),
    ALPNProtocols: ['h2'],
  });
  const chunks = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  const closed = new Promise((resolve) => {
    socket.once('close', resolve);
    socket.once('end', resolve);
  });
  await once(socket, 'secureConnect');
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0)]));
  for (let i = 0; i < 1000 && !socket.destroyed; i++) socket.write(round(i));
  await closed;
  socket.destroy();
  const all = Buffer.concat(chunks);
  for (let at = 0; at + 9 <= all.length; at += 9 + all.readUIntBE(at, 3))
    if (all[at + 3] === 7) return all.readUInt32BE(at + 13);
  return undefined;
}

test('floods are told to calm down, and counted', async () => {
  const gate = await start();
  try {
    // :method GET, :scheme https, :path /, all by index, and :authority a
    const get = Buffer.from([0x82, 0x87, 0x84, 0x41, 0x01, 0x61]);
    const cancel = Buffer.from([0, 0, 0, 8]);
    const rapid = (i) =>
      Buffer.concat([frame(1, 5, 2 * i + 1, get), frame(3, 0, 2 * i + 1, cancel)]);
    assert.equal(await flood(gate, rapid), calm);
    const pings = () => frame(6, 0, 0, Buffer.alloc(8));
    assert.equal(await flood(gate, pings), calm);
    const endless = (i) => frame(i === 0 ? 1 : 9, 0, 1, Buffer.from([0, 1, 0x61, 1, 0x62]));
    assert.equal(await flood(gate, endless), calm);
    const metrics = (await gate.get('/metrics')).text;
    for (const kind of ['reset', 'ping', 'headers'])
      assert.ok(metrics.includes(`portcullis_net_http2_floods_total{kind="${kind}"} 1\n`), kind);
  } finally {
    await gate.stop();
  }
});

test('a shutdown loses no answer', async () => {
  const gate = await start();
  const session = await connect(gate);
  gate.agent.destroy();
  const said = once(session, 'goaway');
  const asked = Array.from({ length: 8 }, () =>
    ask(session, 'POST', '/api/v1/auth/register', { json: newcomer() }),
  );
  await ask(session, 'GET', '/health'); // what was sent before it is there
  gate.signal('SIGTERM');
  for (const reply of await Promise.all(asked)) assert.equal(reply.status, 201, reply.text);
  const [code] = await said;
  assert.equal(code, http2.constants.NGHTTP2_NO_ERROR);
  assert.equal((await gate.ended()).code, 0);
});
