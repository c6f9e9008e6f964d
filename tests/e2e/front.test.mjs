// SPDX-License-Identifier: MIT
// What stands in front of the gateway: a proxy that says who its clients are (the PROXY protocol),
// and the listener in clear that sends everybody to HTTPS.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { after, before } from 'node:test';
import tls from 'node:tls';
import { Portcullis, command, freePort, test, unique } from './harness.mjs';
import { startUpstream } from './proxy_kit.mjs';
import { Authority } from './tls_kit.mjs';

const authority = new Authority();
let gate;
let upstream;
let authPort;
let redirectPort;

before(async () => {
  authority.issue('own', { names: 'DNS:own.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1' });
  upstream = await startUpstream();
  authPort = await freePort();
  redirectPort = await freePort();
  gate = await Portcullis.start({
    env: { AUTH_PORT: String(authPort) },
    config: `gateway:
  redirect_port: ${redirectPort}
  redirect_to_port: 443
  tls:
    certificate: ${authority.file('own.crt')}
    key: ${authority.file('own.key')}
auth:
  proxy_protocol: true
  proxy_protocol_from: [127.0.0.1/32]
account:
  proxy_protocol: true
  tls:
    certificate: ${authority.file('own.crt')}
    key: ${authority.file('own.key')}
trusted_proxies: [127.0.0.2/32]
upstreams:
  - name: shop
    targets: [{url: "http://127.0.0.1:${upstream.port}"}]
routes:
  - path: /shop
    upstream: shop
    access: open
`,
    tls: { ca: authority.ca },
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  await upstream?.stop();
});

const request = (id) =>
  `GET /livez HTTP/1.1\r\nHost: a\r\nX-Request-ID: ${id}\r\nConnection: close\r\n\r\n`;
const line = (text) => Buffer.from(`PROXY ${text}\r\n`, 'latin1');
const binary = (kind, rest, command_ = 0x21) =>
  Buffer.concat([
    Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
    Buffer.from([command_, kind, rest.length >> 8, rest.length & 255]),
    Buffer.from(rest),
  ]);
const v4 = [192, 0, 2, 9, 10, 0, 0, 1, 0x30, 0x39, 0, 80];

/** All that comes back to these pieces, sent one by one. */
async function talk(pieces, { port = authPort, from = '127.0.0.1', secure = false } = {}) {
  const socket = net.connect({ port, host: '127.0.0.1', localAddress: from });
  let text = '';
  socket.on('error', () => {});
  socket.setNoDelay(true);
  await once(socket, 'connect');
  const closed = once(socket, 'close').catch(() => {});
  for (const piece of pieces.slice(0, -1)) {
    socket.write(piece);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  const end = secure
    ? tls.connect({ socket, ca: authority.ca, servername: 'own.test' })
    : socket;
  end.on('error', () => {});
  end.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  end.write(pieces.at(-1));
  await closed;
  return text;
}

const clientOf = async (id) => (await gate.line((entry) => entry.request_id === id)).client;

test('the client is who a trusted proxy says', async () => {
  const rows = [
    [line('TCP4 192.0.2.1 10.0.0.1 56324 443'), '192.0.2.1'],
    [line('TCP6 2001:db8::7 ::1 1 443'), '2001:db8::7'],
    [line('UNKNOWN'), '127.0.0.1'],
    [binary(0x11, v4), '192.0.2.9'],
    [binary(0x00, [], 0x20), '127.0.0.1'],
    [binary(0x11, [...v4, 4, 0, 2, 0, 0]), '192.0.2.9'],
  ];
  for (const [header, client] of rows) {
    for (const split of [header.length, 1, 5, 14, header.length - 1]) {
      const id = unique('front-');
      const parts = [header.subarray(0, split), header.subarray(split)].filter((p) => p.length);
      const text = await talk([...parts, request(id)]);
      assert.match(text, /^HTTP\/1.1 200 /, header.toString('latin1'));
      assert.equal(await clientOf(id), client);
    }
    const id = unique('front-');
    assert.match(await talk([Buffer.concat([header, Buffer.from(request(id))])]), /^HTTP\/1.1 200/);
    assert.equal(await clientOf(id), client);
  }
});

test('it comes before TLS, from trusted_proxies when none are named', async () => {
  const port = gate.accountPort;
  const id = unique('front-');
  const header = line('TCP4 192.0.2.77 10.0.0.1 56324 443');
  const text = await talk([header, request(id)], { port, from: '127.0.0.2', secure: true });
  assert.match(text, /^HTTP\/1.1 200 /);
  assert.equal(await clientOf(id), '192.0.2.77');
  assert.equal(await talk([header, request(id)], { port, secure: true }), '');
});

test('nobody else may say so, and nothing but a whole header is taken', async () => {
  const good = line('TCP4 192.0.2.1 10.0.0.1 56324 443');
  assert.equal(await talk([good, request('a')], { from: '127.0.0.3' }), '');
  const told = await gate.line((entry) => entry.event === 'connection_refused');
  assert.equal(told.what, 'proxy_protocol');
  for (const bad of [
    Buffer.from(request('a')),
    line('TCP4 192.0.2.1 10.0.0.1 56324'),
    line('TCP4 ::1 10.0.0.1 1 1'),
    Buffer.from(`PROXY ${'x'.repeat(200)}`),
    binary(0x12, v4),
    binary(0x11, v4.slice(1)),
    binary(0x11, [...v4, 3, 0, 4, 1, 2, 3, 4]),
    binary(0x11, v4, 0x31),
  ])
    assert.equal(await talk([bad, request('a')]), '', bad.toString('latin1'));
  assert.match(
    await talk([good, request(unique('front-'))]),
    /^HTTP\/1.1 200 /,
    'and others are still served',
  );
});

/** One request in clear: { status, location, type }. */
function ask(target, host, method = 'GET') {
  return new Promise((resolve, reject) => {
    const req = http.request(
      {
        host: '127.0.0.1',
        port: redirectPort,
        method,
        path: target,
        agent: false,
        headers: { Host: host, ...(method === 'POST' && { 'Content-Length': 4 }) },
      },
      (res) => {
        let text = '';
        res.on('data', (bytes) => {
          text += bytes;
        });
        res.on('end', () =>
          resolve({
            status: res.statusCode,
            location: res.headers.location,
            type: text && JSON.parse(text).type,
            headers: res.headers,
          }),
        );
      },
    );
    req.on('error', reject);
    req.end(method === 'POST' ? 'body' : undefined);
  });
}

test('in clear, everybody is sent to HTTPS', async () => {
  const rows = [
    ['/', 'own.test', 'https://own.test/'],
    ['/a/b?c=d&e', 'own.test:8080', 'https://own.test/a/b?c=d&e'],
    ['/health', 'a.wild.test', 'https://a.wild.test/health'],
    ['/livez', '127.0.0.1', 'https://127.0.0.1/livez'],
    ['/metrics', '[::1]:80', 'https://[::1]/metrics'],
    ['//evil.test/', 'own.test', 'https://own.test//evil.test/'],
    ['/api/v1/auth/login', 'OWN.test', 'https://OWN.test/api/v1/auth/login'],
  ];
  for (const [target, host, location] of rows)
    for (const method of ['GET', 'POST', 'HEAD', 'DELETE']) {
      const reply = await ask(target, host, method);
      assert.equal(reply.status, 308, `${method} ${host}`);
      assert.equal(reply.location, location);
      assert.equal(reply.headers['cache-control'], 'no-store');
    }
});

test('a host that is not ours, or none, is refused', async () => {
  for (const host of [
    'evil.test',
    'own.test.evil.test',
    'own.test@evil.test',
    'own.test:x',
    'own.test:',
    'evil.test#.wild.test',
    'evil.test/.wild.test',
    'a.b.wild.test',
    '[::1',
    '[::2]',
    '127.0.0.2',
    '*.wild.test',
  ]) {
    const reply = await ask('/', host);
    assert.equal(reply.status, 400, `"${host}"`);
    assert.equal(reply.location, undefined);
    assert.match(reply.type, /^urn:portcullis:problem:bad-(host|request)$/);
  }
  for (const target of ['http://evil.test/', '*', '/a"b'])
    assert.equal((await ask(target, 'own.test')).location, undefined, target);
  const raw = async (bytes) => {
    const socket = net.connect(redirectPort, '127.0.0.1');
    let text = '';
    socket.on('data', (piece) => {
      text += piece;
    });
    socket.end(bytes);
    await once(socket, 'close');
    return text;
  };
  assert.match(await raw('GET / HTTP/1.1\r\nHost: own.test\r\nHost: own.test\r\n\r\n'), / 400 /);
  assert.match(await raw('GET / HTTP/1.1\r\nHost:\r\n\r\n'), / 400 /);
  assert.match(await raw('GET / HTTP/1.0\r\n\r\n'), / 400 /);
  assert.match(await raw('nonsense\r\n\r\n'), / 400 /);
});

test('what is refused in clear is counted by reason, as everywhere', async () => {
  const counted = async (reason) => {
    const { text } = await gate.get('/metrics');
    const labels = `service="redirect",source="gateway",reason="${reason}"`;
    const line = text.split('\n').find((l) => l.startsWith(`http_refusals_total{${labels}}`));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  const before_ = [await counted('bad-host'), await counted('bad-request')];
  assert.equal((await ask('/', 'evil.test')).status, 400);
  assert.equal((await ask('/a"b', 'own.test')).status, 400);
  assert.deepEqual([await counted('bad-host'), await counted('bad-request')], [
    before_[0] + 1,
    before_[1] + 1,
  ]);
});

test('settings that cannot work are refused', async () => {
  for (const [env, why] of [
    ['gateway:\n  redirect_port: 80\n', /needs gateway.tls.certificate/],
    ['auth:\n  proxy_protocol: true\n', /lets nobody in/],
  ]) {
    const file = authority.file('bad.yaml');
    fs.writeFileSync(file, env);
    const result = await command(['check', '--config', file]);
    assert.equal(result.code, 1);
    assert.match(result.stderr + result.stdout, why);
  }
});
