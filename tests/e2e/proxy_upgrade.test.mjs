// SPDX-License-Identifier: MIT
// WebSocket and other upgrades through the gateway: bytes pass as they are only behind the
// upstream's 101, in a protocol that was asked for (the class of CVE-2026-2833), and every
// protection holds for the request that asks. Client and server are npm's ws; what lies is a
// socket of ours.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import path from 'node:path';
import { after, before } from 'node:test';
import tls from 'node:tls';
import WebSocket, { WebSocketServer } from 'ws';
import { Portcullis, secret, sleep, temporaryFolder, test } from './harness.mjs';
import { startRaw } from './proxy_kit.mjs';

const folder = temporaryFolder();
const file = (name) => path.join(folder, name);
const big = 4 << 20;

let server; // http, with ws on it
let sockets;
let asked; // heads of handshakes
let liar; // answers with what `say` does
let say;
let gate;
let secure;
let token;

const echo = (socket) => socket.on('message', (data, binary) => socket.send(data, { binary }));
let onSocket = echo;

const certificate = () =>
  `gateway: {tls: {certificate: ${file('server.crt')}, key: ${file('server.key')}}}`;

const settings = () => `
upstreams:
  - name: chat
    targets: [{url: "http://127.0.0.1:${server.address().port}"}]
    total_timeout_ms: 1000
    response_timeout_ms: 1000
    idle_timeout_ms: 500
    eject: {failures: 1000}
  - name: liar
    targets: [{url: "http://127.0.0.1:${liar.port}"}]
    response_timeout_ms: 700
    eject: {failures: 1000}
routes:
  - {path: /chat, upstream: chat, access: open, upgrades: [websocket]}
  - {path: /mine, upstream: chat, access: bearer, upgrades: [websocket]}
  - {path: /plain, upstream: chat, access: open}
  - {path: /short, upstream: chat, access: open, upgrades: [websocket], upgrade_idle_seconds: 1}
  - path: /few
    upstream: chat
    access: open
    upgrades: [websocket]
    requests_per_minute: 1
  - path: /liar
    upstream: liar
    access: open
    upgrades: [websocket, x-own/2]
    circuit_breaker: {disabled: true}
  - path: /frail
    upstream: liar
    access: open
    upgrades: [websocket]
    circuit_breaker: {failure_threshold: 1}
`;

before(async () => {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const to = ['-keyout', file('server.key'), '-out', file('server.crt')];
  execFileSync('openssl', ['req', '-x509', ...key, '-days', '2', ...name, ...to], {
    stdio: 'pipe',
  });
  fs.chmodSync(file('server.key'), 0o600);
  sockets = new Set();
  asked = [];
  server = http.createServer((req, res) => {
    asked.push({ url: req.url, headers: req.headers });
    res.end(JSON.stringify(req.headers));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const speaker = new WebSocketServer({
    server,
    maxPayload: 64 << 20,
    handleProtocols: (wanted) => [...wanted][0],
  });
  speaker.on('connection', (socket, req) => {
    asked.push({ url: req.url, headers: req.headers });
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  liar = await startRaw((socket, text) => say(socket, text));
  gate = await Portcullis.start({ config: settings() });
  token = (await gate.admin()).access_token;
  secure = await Portcullis.start({
    config: `${certificate()}\n${settings()}`,
    tls: { ca: fs.readFileSync(file('server.crt')) },
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  assert.equal((await secure?.stop())?.code, 0);
  for (const socket of sockets) socket.destroy();
  server?.close();
  await liar?.stop();
});

/** An open WebSocket, or an error that tells the status. */
async function dial(target, { from = gate, headers, protocols, ...more } = {}) {
  const url = `${from.tls ? 'wss' : 'ws'}://127.0.0.1:${from.port}${target}`;
  const socket = new WebSocket(url, protocols, { headers, ...from.tls, ...more });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
    socket.once('unexpected-response', (req, res) => {
      res.resume();
      reject(Object.assign(new Error('refused'), { status: res.statusCode, res }));
    });
  });
  socket.on('error', () => {});
  return socket;
}

const refused = async (target, status, options) => {
  const error = await dial(target, options).then(
    () => assert.fail('it was let through'),
    (reason) => reason,
  );
  assert.equal(error.status, status, error.message);
  return error.res;
};

const nextOf = async (socket) => (await once(socket, 'message'))[0];
const ended = (socket) => (socket.readyState === 3 ? undefined : once(socket, 'close'));

const handshake = (target, more = '', protocol = 'websocket') =>
  `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;

const switching = (protocol = 'websocket', more = '') =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${more}\r\n`;

/** A raw connection to the gateway: { socket, text(), until(wanted) , over }. */
async function connect(from = gate) {
  const to = { port: from.port, host: '127.0.0.1', allowHalfOpen: true };
  const socket = from.tls ? tls.connect({ ...to, ...from.tls }) : net.connect(to);
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  socket.on('error', () => {});
  const over = new Promise((resolve) => {
    socket.once('close', resolve);
    socket.once('end', resolve);
  });
  await once(socket, from.tls ? 'secureConnect' : 'connect');
  const until = async (wanted) => {
    for (let i = 0; i < 500 && !text.includes(wanted); i++) await sleep(10);
    assert.ok(text.includes(wanted), `${JSON.stringify(wanted)} is not in ${JSON.stringify(text)}`);
  };
  return { socket, text: () => text, until, over };
}

test('a WebSocket opens, speaks both ways, and closes with its code', async () => {
  for (const from of [gate, secure]) {
    const socket = await dial('/chat?x=1', { from, protocols: ['one', 'two'] });
    assert.equal(socket.protocol, 'one');
    const seen = asked.at(-1);
    assert.equal(seen.url, '/chat?x=1');
    assert.equal(seen.headers.connection, 'Upgrade');
    assert.equal(seen.headers.upgrade, 'websocket');
    assert.equal(seen.headers['sec-websocket-version'], '13');
    assert.equal(seen.headers['x-forwarded-proto'], from.tls ? 'https' : 'http');
    for (const text of ['hello', 'again']) {
      socket.send(text);
      assert.equal(String(await nextOf(socket)), text);
    }
    socket.close(4001, 'enough');
    const [code] = await once(socket, 'close');
    assert.equal(code, 4001);
    const line = await from.line((l) => l.event === 'http_request' && l.upgrade === 'websocket');
    assert.equal(line.status_code, 101);
    assert.equal(line.path, '/chat');
    assert.equal(line.error, undefined);
    assert.ok(line.bytes_in > 15 && line.bytes_out > 14, JSON.stringify(line));
    const lines = from.lines().filter((l) => l.request_id === line.request_id);
    assert.equal(lines.length, 1);
  }
});

test('the answer has our headers, and no length', async () => {
  const one = await connect();
  one.socket.write(handshake('/chat'));
  await one.until('\r\n\r\n');
  const [status, ...lines] = one.text().split('\r\n\r\n')[0].split('\r\n');
  assert.equal(status, 'HTTP/1.1 101 Switching Protocols');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.split(': ')[1]]),
  );
  assert.equal(headers.upgrade, 'websocket');
  assert.equal(headers.connection, 'Upgrade');
  assert.equal(headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  assert.ok(headers['x-request-id']);
  assert.equal(headers['content-length'], undefined);
  assert.equal(headers['transfer-encoding'], undefined);
  one.socket.destroy();
});

test('a route that names no upgrade passes the request without it', async () => {
  await refused('/plain', 200);
  const seen = asked.at(-1).headers;
  assert.equal(seen.upgrade, undefined);
  assert.equal(seen.connection, undefined);
  // Nor does an HTTP/1.0 request, one with a body, another method or another protocol.
  for (const text of [
    handshake('/chat').replace('HTTP/1.1', 'HTTP/1.0'),
    handshake('/chat', 'Content-Length: 1\r\n') + 'x',
    handshake('/chat').replace('GET', 'DELETE'),
    handshake('/chat', '', 'h2c'),
    handshake('/chat', '', 'websocket/13'),
    handshake('/chat').replace('Connection: Upgrade', 'Connection: close'),
  ]) {
    const one = await connect();
    one.socket.write(text);
    await one.until('\r\n\r\n');
    assert.match(one.text(), /^HTTP\/1.1 200 /, text);
    assert.equal(asked.at(-1).headers.upgrade, undefined);
    one.socket.destroy();
  }
});

test('access, limits and the breaker hold for the handshake', async () => {
  await refused('/mine', 401);
  const socket = await dial('/mine', { headers: { Authorization: `Bearer ${token}` } });
  socket.terminate();
  (await dial('/few')).terminate();
  await refused('/few', 429);
  say = (s) => s.end('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n');
  await refused('/frail', 500);
  await refused('/frail', 503);
});

test('a tunnel ends with the token that opened it', async () => {
  const [head, payload] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  claims.exp = Math.floor(Date.now() / 1000) + 2;
  const input = `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  const brief = `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  const socket = await dial('/mine', { headers: { Authorization: `Bearer ${brief}` } });
  const long = await dial('/mine', { headers: { Authorization: `Bearer ${token}` } });
  socket.send('x');
  assert.equal(String(await nextOf(socket)), 'x');
  const [code] = await once(socket, 'close');
  assert.equal(code, 1006);
  const line = await gate.line((l) => l.path === '/mine' && l.error === 'expired-token');
  assert.equal(line.status_code, 101);
  long.send('y');
  assert.equal(String(await nextOf(long)), 'y');
  long.terminate();
});

test('a tunnel ends when its token is revoked, and no other does', async () => {
  const { email, password, tokens } = await gate.register();
  const other = await gate.login(email, password);
  const open = (one) =>
    dial('/mine', { headers: { Authorization: `Bearer ${one.access_token}` } });
  const ends = await open(tokens);
  const stays = await open(other);
  const closed = once(ends, 'close');
  const out = await gate.post('/api/v1/auth/logout', undefined, { token: tokens.access_token });
  assert.equal(out.status, 200, out.text);
  const [code] = await closed;
  assert.equal(code, 1006);
  const line = await gate.line((l) => l.path === '/mine' && l.error === 'revoked-token', 30_000);
  assert.equal(line.status_code, 101);
  stays.send('z');
  assert.equal(String(await nextOf(stays)), 'z');
  stays.terminate();
});

test('large messages pass whole both ways, each side slow for a while', async () => {
  for (const from of [gate, secure]) {
    onSocket = (socket) => {
      echo(socket);
      socket.pause();
      setTimeout(() => socket.resume(), 300);
    };
    const socket = await dial('/chat', { from, maxPayload: 64 << 20 });
    onSocket = echo;
    const given = Buffer.alloc(big, 'portcullis ');
    for (let i = 0; i < 4; i++) socket.send(given);
    socket.pause();
    setTimeout(() => socket.resume(), 600);
    for (let i = 0; i < 4; i++) assert.ok((await nextOf(socket)).equals(given));
    socket.close();
    await ended(socket);
  }
});

test('a tunnel outlives the times of an answer, and ends when both ways are silent', async () => {
  const socket = await dial('/short');
  for (let i = 0; i < 5; i++) {
    await sleep(400);
    socket.send(String(i));
    assert.equal(String(await nextOf(socket)), String(i));
  }
  const [code] = await once(socket, 'close');
  assert.equal(code, 1006);
  const line = await gate.line((l) => l.path === '/short' && l.status_code === 101);
  assert.equal(line.error, 'request-timeout');
});

test('bytes that come too early wait for the 101', async () => {
  let release;
  say = (socket, text) => {
    if (text.startsWith('GET')) release = () => socket.write(switching());
    else socket.write(`got ${text}`);
  };
  const one = await connect();
  one.socket.write(handshake('/liar') + 'early');
  while (!release) await sleep(10);
  await sleep(100);
  assert.ok(!liar.pieces.at(-1).includes('early'));
  release();
  await one.until('got early');
  one.socket.destroy();
  // Where there is no 101 they are the next request, and an upstream never sees them raw.
  say = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno');
  const before = liar.pieces.length;
  const other = await connect();
  other.socket.write(`${handshake('/liar')}\x81\x05GET /`);
  await other.over;
  assert.match(other.text(), /^HTTP\/1.1 200 [^]*\r\n\r\nnoHTTP\/1.1 400 /);
  assert.equal(liar.pieces.length, before + 1);
});

test('an upstream that lies is answered for with 502', async () => {
  const bad = {
    'another protocol': switching('x-other'),
    'a list of protocols': switching('websocket, x-own/2'),
    'two Upgrade lines': switching('websocket', 'Upgrade: x-own/2\r\n'),
    'no Upgrade': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n',
    'no Connection': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n',
    'HTTP/1.0': switching().replace('HTTP/1.1', 'HTTP/1.0'),
    'a protocol the client did not name': switching('x-own/2'),
    'bytes before it': `\x81\x05hello${switching()}`,
  };
  for (const [why, text] of Object.entries(bad)) {
    say = (socket) => socket.write(text, 'latin1');
    const one = await connect();
    one.socket.write(handshake('/liar'));
    await one.until('\r\n\r\n');
    assert.match(one.text(), /^HTTP\/1.1 502 [^]*upstream-bad-answer/, `${why}: ${one.text()}`);
    one.socket.destroy();
  }
  // Nobody asked for one.
  say = (socket) => socket.write(switching());
  assert.equal((await gate.get('/liar')).status, 502);
  // Silence, and a reset.
  say = () => {};
  await refused('/liar', 504);
  say = (socket) => socket.resetAndDestroy();
  await refused('/liar', 502);
});

test('an answer that is not 101 is passed on, and the connection goes on', async () => {
  say = (socket, text) =>
    socket.write(
      `HTTP/1.1 ${text.includes('Upgrade') ? '426 Upgrade Required' : '200 OK'}\r\n` +
        'Content-Length: 2\r\n\r\nno',
    );
  const one = await connect();
  one.socket.write(handshake('/liar'));
  await one.until('\r\n\r\nno');
  assert.match(one.text(), /^HTTP\/1.1 426 /);
  one.socket.write('GET /liar HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  await one.over;
  assert.match(one.text(), /noHTTP\/1.1 200 OK/);
});

test('the version of a protocol is part of its name', async () => {
  say = (socket, text) => socket.write(text.startsWith('GET') ? switching('X-Own/2') : 'yes');
  const one = await connect();
  one.socket.write(handshake('/liar', '', 'x-own/1, X-OWN/2'));
  await one.until('101');
  assert.match(liar.pieces.at(-1), /\r\nUpgrade: x-own\/2\r\n/);
  one.socket.write('?');
  await one.until('yes');
  one.socket.destroy();
});

test('each way has an end of its own', async () => {
  for (const from of [gate, secure]) {
    // The client ends first.
    say = (socket, text) => {
      if (!text.startsWith('GET')) return;
      socket.allowHalfOpen = true;
      socket.write(switching());
      socket.once('end', () => setTimeout(() => socket.end('and the last word'), 100));
    };
    const one = await connect(from);
    one.socket.write(handshake('/liar'));
    await one.until('101');
    one.socket.end('first');
    await one.over;
    assert.ok(one.text().endsWith('and the last word'), one.text());
    assert.equal(liar.pieces.at(-1), 'first');
    // The upstream ends first.
    say = (socket, text) => {
      if (!text.startsWith('GET')) return;
      socket.allowHalfOpen = true;
      socket.end(`${switching()}bye`);
    };
    const two = await connect(from);
    two.socket.write(handshake('/liar'));
    await two.over;
    assert.ok(two.text().endsWith('bye'));
    two.socket.end('still here');
    for (let i = 0; i < 300 && liar.pieces.at(-1) !== 'still here'; i++) await sleep(10);
    assert.equal(liar.pieces.at(-1), 'still here');
  }
});

test('a reset on one side cuts the other', async () => {
  let far;
  say = (socket, text) => {
    if (!text.startsWith('GET')) return;
    far = socket;
    socket.write(`${switching()}open`);
  };
  const one = await connect();
  one.socket.write(handshake('/liar'));
  await one.until('open');
  far.resetAndDestroy();
  await one.over;
  const two = await connect();
  two.socket.write(handshake('/liar'));
  await two.until('open');
  const gone = once(far, 'close');
  two.socket.resetAndDestroy();
  await gone;
  const lines = () => gate.lines().filter((l) => l.path === '/liar' && l.upgrade && l.error);
  for (let i = 0; i < 300 && lines().length < 2; i++) await sleep(10);
  assert.deepEqual(lines().slice(-2).map((l) => l.error).sort(), ['end', 'upstream-broke-off']);
});

test('HTTP/2 and CONNECT are refused plainly', async () => {
  const session = http2.connect(secure.url, secure.tls);
  session.on('error', () => {});
  await once(session, 'connect');
  assert.equal(session.remoteSettings.enableConnectProtocol ?? false, false);
  const req = session.request({ ':method': 'CONNECT', ':authority': 'x' });
  const [headers] = await once(req, 'response');
  assert.equal(headers[':status'], 501);
  session.destroy();
  const answer = await gate.raw('CONNECT /chat HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.match(answer, /^HTTP\/1.1 501 /);
});

test('HTTP/2 is not offered where it is turned off', async () => {
  const ca = fs.readFileSync(file('server.crt'));
  const config = `${certificate()}\nhttp: {http2: false}\n`;
  const one = await Portcullis.start({ config, tls: { ca } });
  const offered = (from) =>
    new Promise((resolve, reject) => {
      const socket = tls.connect({ port: from.port, ca, ALPNProtocols: ['h2', 'http/1.1'] }, () => {
        resolve(socket.alpnProtocol);
        socket.destroy();
      });
      socket.on('error', reject);
    });
  assert.equal(await offered(one), 'http/1.1');
  assert.equal(await offered(secure), 'h2');
  assert.equal((await one.stop()).code, 0);
});

test('shutting down ends what is silent at once, and what speaks at the end', async () => {
  const one = await Portcullis.start({ config: settings() });
  const socket = await dial('/chat', { from: one });
  socket.send('x');
  await nextOf(socket);
  const began = Date.now();
  const closed = once(socket, 'close');
  assert.equal((await one.stop()).code, 0);
  await closed;
  assert.ok(Date.now() - began < 8000);
  const line = one.lines().find((l) => l.upgrade === 'websocket');
  assert.equal(line.error, 'draining');
});

test('nothing is left behind', async () => {
  const metric = async (name) => {
    const lines = (await gate.get('/metrics')).text.split('\n');
    return Number(lines.find((line) => line.startsWith(`${name} `)).split(' ')[1]);
  };
  const open = () => metric('portcullis_net_upstream_connections_open');
  for (let i = 0; i < 300 && (await metric('http_tunnels_open')) > 0; i++) await sleep(10);
  const kept = await open();
  const many = await Promise.all(Array.from({ length: 20 }, () => dial('/chat')));
  assert.equal(await open(), kept + 20);
  assert.equal(await metric('http_tunnels_open'), 20);
  for (const socket of many) socket.terminate();
  for (let i = 0; i < 300 && (await open()) > kept; i++) await sleep(10);
  assert.ok((await open()) <= kept);
  assert.equal(await metric('http_tunnels_open'), 0);
  assert.ok((await metric('http_tunnel_bytes_total{direction="out"}')) > 4 * big);
});
