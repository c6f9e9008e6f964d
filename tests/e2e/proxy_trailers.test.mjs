// SPDX-License-Identifier: MIT
// Trailers through the gateway, over HTTP/1.1 and HTTP/2: on routes that allow them, to those who
// look at them, and never what would mean more in a head.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import path from 'node:path';
import { after, before } from 'node:test';
import { Portcullis, temporaryFolder, test } from './harness.mjs';

const folder = temporaryFolder();
const file = (name) => path.join(folder, name);
let upstream;
let gate;
let seen; // the last request: { headers, trailers, body }

const sent = {
  'X-Sum': '42',
  'Server-Timing': 'a;dur=1',
  'X-Secret': 's',
  'X-Forwarded-For': '192.0.2.9',
  'X-User-Id': '7',
  'Set-Cookie': 'a=b',
  Authorization: 'Bearer x',
};

before(async () => {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const to = ['-keyout', file('server.key'), '-out', file('server.crt')];
  execFileSync('openssl', ['req', '-x509', ...key, '-days', '2', ...name, ...to], {
    stdio: 'pipe',
  });
  fs.chmodSync(file('server.key'), 0o600);
  upstream = http.createServer(async (req, res) => {
    const chunks = [];
    try {
      for await (const chunk of req) chunks.push(chunk);
    } catch {
      return; // cut by the gateway
    }
    seen = {
      headers: req.headers,
      trailers: req.trailers,
      body: Buffer.concat(chunks).toString(),
    };
    res.setHeader('Trailer', 'X-Sum, X-Secret, Authorization, X-Hop');
    res.setHeader('Connection', 'keep-alive, x-hop');
    if (!req.url.includes('empty')) res.write('some ');
    if (req.url.includes('large')) res.write(Buffer.alloc(1 << 20, 'x'));
    res.addTrailers({ ...sent, 'X-Hop': 'h' }); // for the next hop alone
    res.end();
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const route = (where, more) =>
    `  - {path: ${where}, upstream: shop, access: open${more}, ` +
    'request_headers: {remove: [X-Secret]}, response_headers: {remove: [X-Secret]}}';
  gate = await Portcullis.start({
    config: `gateway: {tls: {certificate: ${file('server.crt')}, key: ${file('server.key')}}}
upstreams:
  - {name: shop, targets: [{url: "http://127.0.0.1:${upstream.address().port}"}]}
routes:
${route('/with/*', ', trailers: true')}
${route('/without/*', '')}
`,
    tls: { ca: fs.readFileSync(file('server.crt')) },
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  upstream?.close();
  upstream?.closeAllConnections?.();
});

function ask1(target, { headers = {}, trailers } = {}) {
  return new Promise((resolve, reject) => {
    const req = https.request(
      { port: gate.port, host: '127.0.0.1', path: target, method: 'POST', headers, ...gate.tls },
      (res) => {
        const chunks = [];
        res.on('data', (chunk) => chunks.push(chunk));
        res.on('end', () =>
          resolve({
            status: res.statusCode,
            headers: res.headers,
            trailers: res.trailers,
            bytes: Buffer.concat(chunks).length,
          }),
        );
      },
    );
    req.on('error', reject);
    req.write('body');
    if (trailers) req.addTrailers(trailers);
    req.end();
  });
}

async function ask2(session, target, { headers = {}, trailers } = {}) {
  const req = session.request(
    { ':method': 'POST', ':path': target, ...headers },
    { waitForTrailers: trailers !== undefined },
  );
  const got = { trailers: {}, bytes: 0 };
  req.on('wantTrailers', () => req.sendTrailers(trailers));
  req.on('response', (all) => Object.assign(got, { status: all[':status'], headers: all }));
  req.on('trailers', (all) => Object.assign(got.trailers, all));
  req.on('data', (chunk) => {
    got.bytes += chunk.length;
  });
  req.end('body');
  await once(req, 'close');
  return got;
}

const plain = (object) => Object.fromEntries(Object.entries(object));
const te = { TE: 'trailers', Connection: 'TE' };
const good = { 'x-sum': '42', 'server-timing': 'a;dur=1' };

test('trailers of an answer reach a client of HTTP/1.1 that looks at them', async () => {
  for (const [target, bytes] of [
    ['/with/a', 5],
    ['/with/large', (1 << 20) + 5],
    ['/with/empty', 0],
  ]) {
    const reply = await ask1(target, { headers: te });
    assert.equal(reply.status, 200);
    assert.equal(reply.bytes, bytes);
    assert.deepEqual(plain(reply.trailers), good);
    assert.equal(reply.headers.trailer, 'x-sum');
    assert.equal(seen.headers.te, 'trailers');
    assert.equal(seen.headers.connection, 'TE');
  }
});

test('they reach nobody else', async () => {
  for (const [target, headers] of [
    ['/with/a', {}],
    ['/with/empty', {}],
    ['/with/a', { TE: 'gzip' }],
    ['/without/a', te],
  ]) {
    const reply = await ask1(target, { headers });
    assert.equal(reply.status, 200);
    assert.deepEqual(plain(reply.trailers), {});
    assert.equal(reply.headers.trailer, undefined);
    assert.equal(seen.headers.te, undefined);
  }
});

test('trailers of a request reach the upstream', async () => {
  const headers = { 'Transfer-Encoding': 'chunked', Trailer: 'X-Sum, X-Secret, Host' };
  assert.equal((await ask1('/with/a', { headers, trailers: sent })).status, 200);
  assert.equal(seen.body, 'body');
  assert.deepEqual(plain(seen.trailers), good);
  assert.equal(seen.headers.trailer, 'x-sum');
  await ask1('/without/a', { headers, trailers: sent });
  assert.deepEqual(plain(seen.trailers), {});
  assert.equal(seen.headers.trailer, undefined);
});

test('the same over HTTP/2', async () => {
  const session = http2.connect(gate.url, gate.tls);
  session.on('error', () => {});
  for (const [target, bytes] of [
    ['/with/a', 5],
    ['/with/large', (1 << 20) + 5],
    ['/with/empty', 0],
  ]) {
    const reply = await ask2(session, target, { headers: { te: 'trailers' } });
    assert.equal(reply.status, 200);
    assert.equal(reply.bytes, bytes);
    assert.deepEqual(plain(reply.trailers), good);
  }
  for (const [target, headers] of [
    ['/with/a', {}],
    ['/without/a', { te: 'trailers' }],
  ])
    assert.deepEqual(plain((await ask2(session, target, { headers })).trailers), {});
  const lower = { 'x-sum': '42', 'x-user-id': '7', 'x_sum': '1', authorization: 'Bearer x' };
  assert.equal((await ask2(session, '/with/a', { trailers: lower })).status, 200);
  assert.equal(seen.body, 'body');
  assert.deepEqual(plain(seen.trailers), { 'x-sum': '42' });
  session.close();
});

test('too many trailers, or too long ones, are refused', async () => {
  const many = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`X-${i}`, '1']));
  for (const trailers of [many, { 'X-Long': 'x'.repeat(40_000) }]) {
    const headers = { 'Transfer-Encoding': 'chunked' };
    const reply = await ask1('/with/a', { headers, trailers }).catch((error) => error);
    assert.ok(reply.status === 431 || reply.code === 'ECONNRESET', JSON.stringify(reply));
  }
});
