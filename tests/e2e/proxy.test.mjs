// SPDX-License-Identifier: MIT
// Routes to upstreams: what passes, what does not, and what a client sees when the server behind is
// slow, gone, or lies.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { after, before } from 'node:test';
import { Portcullis, assertHeaders, freePort, sleep, test } from './harness.mjs';
import { startRaw, startUpstream } from './proxy_kit.mjs';

let upstream;
let second;
let liar; // answers what `say` holds
let say = '';
let gate;
let admin;

const big = Buffer.alloc(8 << 20, 'portcullis ');

const answers = {
  '/no-content': (res) => res.writeHead(204).end(),
  '/not-modified': (res) => res.writeHead(304, { ETag: '"1"' }).end(),
  '/big': (res) => res.writeHead(200, { 'Content-Length': big.length }).end(big),
  '/chunked': (res) => {
    res.writeHead(200, { 'Content-Type': 'text/plain' });
    res.write('one ');
    setTimeout(() => res.end('two'), 50);
  },
  '/own': (res) =>
    res
      .writeHead(200, {
        'Content-Security-Policy': "default-src 'self'",
        'Cache-Control': 'max-age=60',
        'X-Frame-Options': 'SAMEORIGIN',
        'X-Request-ID': 'theirs',
        'Keep-Alive': 'timeout=5',
        'X-Hop': 'not for you',
        Connection: 'keep-alive, X-Hop',
        'Set-Cookie': ['a=1', 'b=2'],
      })
      .end('own'),
  '/middle': (res) => res.writeHead(200, { 'Content-Length': 20_000 }).end(big.subarray(0, 20_000)),
  '/fails': (res) => res.writeHead(500).end('broken'),
  '/slow': () => {},
};

before(async () => {
  const answer = (req, res) => {
    const act = answers[new URL(req.url, 'http://x').pathname];
    if (!act) return false;
    act(res);
    return true;
  };
  upstream = await startUpstream(answer);
  second = await startUpstream();
  liar = await startRaw((socket) => {
    if (say !== undefined) socket.end(say);
  });
  const nowhere = await freePort();
  const shop = (more) => `    upstream: shop\n${more}`;
  gate = await Portcullis.start({
    config: `upstreams:
  - name: shop
    targets:
      - url: http://127.0.0.1:${upstream.port}
    response_timeout_ms: 2000
  - name: pair
    balance: round_robin
    targets:
      - url: http://127.0.0.1:${upstream.port}
      - url: http://127.0.0.1:${second.port}
  - name: gone
    targets:
      - url: http://127.0.0.1:${nowhere}
  - name: half
    retries: 1
    balance: round_robin
    targets:
      - url: http://127.0.0.1:${nowhere}
      - url: http://127.0.0.1:${second.port}
  - name: liar
    targets:
      - url: http://127.0.0.1:${liar.port}
routes:
  - path: /shop/*
${shop('    access: open\n    strip_prefix: /shop\n    circuit_breaker: {disabled: true}\n')}
  - path: /frail/*
${shop('    access: open\n    strip_prefix: /frail\n    circuit_breaker: {failure_threshold: 2}\n')}
  - path: /items/{id}
${shop('    access: open\n    methods: [GET]\n')}
  - path: /mine/*
${shop('    access: bearer\n')}
  - path: /admins
${shop('    access: admin\n')}
  - path: /hosted
${shop('    access: open\n    hosts: [shop.example]\n    preserve_host: true\n')}
  - path: /pair/*
    upstream: pair
    access: open
  - path: /gone
    upstream: gone
    access: open
  - path: /half
    upstream: half
    access: open
  - path: /*
    upstream: pair
    access: open
  - path: /liar
    upstream: liar
    access: open
    circuit_breaker: {disabled: true}
`,
  });
  admin = (await gate.admin()).access_token;
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  for (const one of [upstream, second, liar]) await one?.stop();
});

const problem = (reply, status, type) => {
  assert.equal(reply.status, status, reply.text);
  assert.equal(reply.json.type, `urn:portcullis:problem:${type}`);
  assertHeaders(reply);
};

test('a request and its answer pass', async () => {
  const reply = await gate.get('/shop/a%20b/c?x=1&y=%20', { headers: { 'X-Own': 'v' } });
  assert.equal(reply.status, 200, reply.text);
  assertHeaders(reply);
  assert.equal(reply.json.url, '/a%20b/c?x=1&y=%20');
  assert.equal(reply.json.headers.host, `127.0.0.1:${upstream.port}`);
  assert.equal(reply.json.headers['x-own'], 'v');
  const given = { a: 1 };
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    const sent = await gate.request(method, '/shop/x', { json: given });
    assert.equal(sent.status, 200, sent.text);
    assert.equal(sent.json.method, method);
    assert.deepEqual(JSON.parse(sent.json.body), given);
  }
});

test('prefixes, parameters, hosts and methods find their route', async () => {
  assert.equal((await gate.get('/shop')).json.url, '/');
  assert.equal((await gate.get('/items/17')).json.url, '/items/17');
  assert.equal((await gate.get('/items/17/more')).json.url, '/items/17/more'); // takes all the rest
  const refused = await gate.post('/items/17', {});
  problem(refused, 405, 'method-not-allowed');
  assert.match(refused.headers.allow, /GET/);
  assert.notEqual((await gate.get('/hosted')).json.headers.host, `127.0.0.1:${gate.port}`);
  const hosted = await gate.get('/hosted', { headers: { Host: 'Shop.Example:8000' } });
  assert.equal(hosted.status, 200, hosted.text);
  assert.equal(hosted.json.headers.host, 'Shop.Example:8000');
});

test('what is the gateway’s own is nobody else’s', async () => {
  const before = upstream.asked.length + second.asked.length;
  for (const path of ['/api/v1/nothing', '/console/a/b/c', '/oauth/x', '/api/docs/x'])
    problem(await gate.get(path), 404, 'not-found');
  assert.equal((await gate.get('/livez')).status, 200);
  assert.equal(upstream.asked.length + second.asked.length, before);
  assert.equal((await gate.get('/api/other')).json.url, '/api/other');
});

test('a route keeps out whom it does not let in', async () => {
  const before = upstream.asked.length;
  problem(await gate.get('/mine/x'), 401, 'unauthenticated');
  problem(await gate.get('/mine/x', { token: 'nonsense' }), 401, 'invalid-token');
  const { tokens } = await gate.register();
  problem(await gate.get('/admins', { token: tokens.access_token }), 403, 'forbidden');
  assert.equal(upstream.asked.length, before, 'what is refused never leaves');
  const mine = await gate.get('/mine/x', { token: tokens.access_token });
  assert.equal(mine.status, 200, mine.text);
  assert.match(mine.json.headers['x-portcullis-user'], /^\d+$/);
  assert.equal((await gate.get('/admins', { token: admin })).status, 200);
});

test('who a client is, and where from, only we say', async () => {
  const lies = {
    'X-Forwarded-For': '1.2.3.4',
    'X-Forwarded-Proto': 'https',
    Forwarded: 'for=1.2.3.4',
    'X-Real-IP': '1.2.3.4',
    'X-Portcullis-User': '1',
    'X-Portcullis-Roles': 'admin',
    'X-Mtls-Client-CN': 'bank',
    X_Portcullis_User: '1',
    Connection: 'close, X-Forwarded-For, Authorization, Content-Type',
    'Content-Type': 'text/plain',
    TE: 'trailers',
  };
  const { headers } = (await gate.get('/shop/x', { headers: lies })).json;
  assert.equal(headers['x-forwarded-for'], '127.0.0.1');
  assert.equal(headers['x-forwarded-proto'], 'http');
  assert.match(headers.forwarded, /^for=127\.0\.0\.1;proto=http;host="127\.0\.0\.1:\d+"$/);
  assert.equal(headers.via, '1.1 portcullis');
  assert.equal(headers['content-type'], 'text/plain', 'Connection cannot take it away');
  for (const name of [
    'x-real-ip',
    'x-portcullis-user',
    'x-portcullis-roles',
    'x-mtls-client-cn',
    'x_portcullis_user',
    'te',
  ])
    assert.equal(headers[name], undefined, name);
});

test('a trace goes on, and one begins where there is none', async () => {
  const id = '4bf92f3577b34da6a3ce929d0e0e4736';
  const traceparent = `00-${id}-00f067aa0ba902b7-01`;
  const on = await gate.get('/shop/x', { headers: { traceparent, tracestate: 'a=b' } });
  const goesOn = new RegExp(`^00-${id}-(?!00f067aa0ba902b7)\\w{16}-01$`);
  assert.match(on.json.headers.traceparent, goesOn);
  const fresh = await gate.get('/shop/x');
  assert.match(fresh.json.headers.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  assert.equal(fresh.json.headers['x-request-id'], fresh.headers['x-request-id']);
});

test('answers of every shape pass', async () => {
  const none = await gate.get('/shop/no-content');
  assert.deepEqual([none.status, none.text], [204, '']);
  const same = await gate.get('/shop/not-modified');
  assert.deepEqual([same.status, same.headers.etag], [304, '"1"']);
  const head = await gate.request('HEAD', '/shop/big');
  assert.deepEqual([head.headers['content-length'], head.bytes.length], [`${big.length}`, 0]);
  assert.equal((await gate.get('/shop/chunked')).text, 'one two');
  const all = await gate.get('/shop/big');
  assert.ok(all.bytes.equals(big));
  const own = await gate.get('/shop/own');
  assert.equal(own.status, 200, own.text);
  assert.equal(own.headers['content-security-policy'], "default-src 'self'");
  assert.equal(own.headers['cache-control'], 'max-age=60');
  assert.equal(own.headers['x-frame-options'], 'DENY');
  assert.notEqual(own.headers['x-request-id'], 'theirs');
  assert.equal(own.headers['x-hop'], undefined);
  assert.deepEqual(own.headers['set-cookie'], ['a=1', 'b=2']);
});

test('an answer of one large piece ends, and its connection serves on', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; i < 5; i++) {
    const reply = await gate.get('/shop/middle', { agent });
    assert.deepEqual([reply.status, reply.bytes.length], [200, 20_000]);
  }
  agent.destroy();
});

test('clients that break off in the middle harm nobody', async () => {
  const leave = async () => {
    const client = net.connect(gate.port, '127.0.0.1');
    client.on('error', () => {});
    client.write('GET /shop/big HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(client, 'data');
    client.resetAndDestroy();
    await once(client, 'close');
  };
  for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 10 }, leave));
  assert.equal((await gate.get('/shop/x')).status, 200);
});

test('large and chunked bodies pass', async () => {
  const body = big.subarray(0, 900_000);
  const whole = await gate.request('POST', '/shop/x', { body });
  assert.equal(whole.status, 200, whole.text.slice(0, 200));
  assert.equal(whole.json.body.length, body.length);
  const chunked = await gate.raw(
    'POST /shop/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n' +
      '3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n',
  );
  assert.match(chunked, /"body":"abcdefg"/);
  assert.match(chunked, /"transfer-encoding":"chunked"/);
  problem(await gate.request('POST', '/shop/x', { body: big }), 413, 'body-too-large');
});

test('connections are kept and used again', async () => {
  await gate.get('/shop/x');
  const before = upstream.connections;
  for (let i = 0; i < 50; i++) assert.equal((await gate.get('/shop/x')).status, 200);
  assert.ok(upstream.connections - before <= 2, `${upstream.connections - before} new ones`);
  for (const socket of upstream.sockets) socket.destroy(); // each is noticed, none is fallen for
  for (let i = 0; i < 5; i++) assert.equal((await gate.get('/shop/x')).status, 200);
});

test('targets take turns', async () => {
  const ports = new Set();
  for (let i = 0; i < 8; i++) ports.add((await gate.get('/pair/x')).json.port);
  assert.equal(ports.size, 2);
});

test('a target that is gone is another one’s work, or 502', async () => {
  problem(await gate.get('/gone'), 502, 'upstream-unreachable');
  for (let i = 0; i < 6; i++) assert.equal((await gate.get('/half')).status, 200);
  for (let i = 0; i < 3; i++) assert.equal((await gate.post('/half', { i })).status, 200);
});

test('a target that says nothing is given up', async () => {
  problem(await gate.get('/shop/slow'), 504, 'upstream-timeout');
});

test('failures open the breaker, and then nothing is sent', async () => {
  for (let i = 0; i < 2; i++) assert.equal((await gate.get('/frail/fails')).status, 500);
  const before = upstream.asked.length;
  const refused = await gate.get('/frail/fails');
  problem(refused, 503, 'circuit-open');
  assert.equal(refused.headers['x-circuit-breaker-state'], 'open');
  assert.ok(Number(refused.headers['retry-after']) > 0);
  assert.equal(upstream.asked.length, before);
});

test('what was tried is counted', async () => {
  const { text } = await gate.get('/metrics');
  const line = (name, labels) => new RegExp(`^${name}\\{${labels}\\} [1-9]`, 'm');
  const target = `target="http://127.0.0.1:${upstream.port}"`;
  const attempts = (outcome) =>
    line('upstream_attempts_total', `upstream="shop",${target},outcome="${outcome}"`);
  assert.match(text, attempts('well'));
  assert.match(text, attempts('failed'));
  assert.match(text, line('upstream_target_well', `upstream="shop",${target}`));
});

test('whoever lies about an answer is not believed', async () => {
  const ok = 'HTTP/1.1 200 OK\r\n';
  const lies = {
    nothing: '',
    'no status': 'Hello\r\n\r\n',
    'two lengths': `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
    'length and chunks': `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'a bare LF': 'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
    'a folded line': `${ok}A: b\r\n c\r\nContent-Length: 0\r\n\r\n`,
    'a switch nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
    'half a head': `${ok}Content-Le`,
  };
  for (const [what, bytes] of Object.entries(lies)) {
    say = bytes;
    const reply = await gate.get('/liar');
    assert.equal(reply.status, 502, what);
    assert.match(reply.json.type, /upstream-(bad-answer|broke-off)$/, what);
  }
});

test('an answer that breaks off is cut, not ended', async () => {
  for (const head of ['Content-Length: 10', 'Transfer-Encoding: chunked']) {
    say = `HTTP/1.1 200 OK\r\n${head}\r\n\r\n3\r\nabc\r\n`;
    await assert.rejects(gate.get('/liar'), /aborted|ECONNRESET|socket hang up/);
  }
  say = 'HTTP/1.1 200 OK\r\n\r\nup to the end';
  assert.equal((await gate.get('/liar')).text, 'up to the end');
});

test('events arrive when they are sent', async () => {
  const sse = await startRaw((socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n');
  });
  assert.equal((await gate.stop()).code, 0);
  gate = await Portcullis.start({
    config: `upstreams:
  - name: events
    targets:
      - url: http://127.0.0.1:${sse.port}
routes:
  - path: /events
    upstream: events
    access: open
`,
  });
  const req = http.get({ port: gate.port, path: '/events', agent: false });
  const [res] = await once(req, 'response');
  const [first] = await once(res, 'data');
  assert.equal(first.toString(), 'data: 1\n\n');
  const [socket] = sse.sockets;
  socket.write('data: 2\n\n');
  const [next] = await once(res, 'data');
  assert.equal(next.toString(), 'data: 2\n\n');
  req.destroy();
  await once(socket, 'close'); // the client’s going is told on
  await sse.stop();
});

test('a client that goes takes its request along', async () => {
  const quiet = await startRaw(() => {});
  assert.equal((await gate.stop()).code, 0);
  gate = await Portcullis.start({
    config: `upstreams:
  - name: quiet
    targets:
      - url: http://127.0.0.1:${quiet.port}
routes:
  - path: /quiet
    upstream: quiet
    access: open
`,
  });
  const client = net.connect(gate.port, '127.0.0.1');
  client.write('GET /quiet HTTP/1.1\r\nHost: a\r\n\r\n');
  while (quiet.sockets.size === 0) await sleep(10);
  const [socket] = quiet.sockets;
  client.destroy();
  await once(socket, 'close');
  await gate.line((line) => line.event === 'http_request' && line.status_code === 499);
  await quiet.stop();
});
