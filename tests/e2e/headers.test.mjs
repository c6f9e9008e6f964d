// SPDX-License-Identifier: MIT
// What every answer carries, whatever was asked: headers, problems, CORS, methods.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { assertHeaders, assertProblem, Portcullis, test, uuid } from './harness.mjs';

let gate;
before(async () => {
  gate = await Portcullis.start({
    env: { ALLOWED_ORIGINS: 'http://localhost:3000,https://app.example.com' },
  });
});
after(() => gate?.stop());

const origin = 'https://app.example.com';

test('every answer carries every header, errors too', async () => {
  const { tokens } = await gate.register();
  const cases = [
    ['GET', '/', {}, 200],
    ['GET', '/health', {}, 200],
    ['GET', '/livez', {}, 200],
    ['GET', '/readyz', {}, 200],
    ['GET', '/metrics', {}, 200],
    ['GET', '/api/openapi.json', {}, 200],
    ['GET', '/api/openapi.yaml', {}, 200],
    ['HEAD', '/health', {}, 200],
    ['HEAD', '/api/v1/users/profile', { token: tokens.access_token }, 200],
    ['GET', '/api/v1/users/profile', { token: tokens.access_token }, 200],
    ['GET', '/api/v1/users/profile', {}, 401],
    ['GET', '/api/v1/admin/users', { token: tokens.access_token }, 403],
    ['GET', '/nothing/here', {}, 404],
    ['GET', '/api/v1/nothing', {}, 404],
    ['GET', '/api/docs/nothing.js', {}, 404],
    ['DELETE', '/health', {}, 405],
    ['GET', '/api/v1/auth/login', {}, 405],
    ['PUT', '/api/v1/auth/login', { json: {} }, 405],
    [
      'POST',
      '/api/v1/auth/login',
      { body: '{', headers: { 'Content-Type': 'application/json' } },
      400,
    ],
    ['POST', '/api/v1/auth/login', { body: 'a=b', headers: { 'Content-Type': 'text/plain' } }, 415],
    ['POST', '/api/v1/auth/login', { json: {} }, 422],
    ['POST', '/api/v1/auth/login', { json: { email: 'x'.repeat(40_000) } }, 413],
    ['GET', `/${'a'.repeat(9000)}`, {}, 414],
    ['GET', '/health', { headers: { 'X-Big': 'x'.repeat(17000) } }, 431],
    ['GET', '/%2e%2e/%2e%2e/etc/passwd%00', {}, 400],
  ];
  for (const [method, target, options, status] of cases) {
    const reply = await gate.request(method, target, { ...options, from: '127.0.0.1' });
    assert.equal(reply.status, status, `${method} ${target.slice(0, 60)}`);
    assertHeaders(reply);
    if (status >= 400 && method !== 'HEAD') assertProblem(reply, status);
  }
});

test('even bytes that are no request get the headers and a problem', async () => {
  for (const bytes of [
    'nonsense\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/9.9\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n',
  ]) {
    const text = await gate.raw(bytes);
    assert.match(text, /^HTTP\/1\.1 (400|505) /, bytes);
    for (const name of [
      'x-request-id',
      'x-process-time',
      'x-content-type-options',
      'x-frame-options',
      'x-xss-protection',
      'strict-transport-security',
      'content-security-policy',
      'referrer-policy',
      'permissions-policy',
    ])
      assert.match(text, new RegExp(`^${name}: `, 'im'), `${name} after ${bytes}`);
    assert.match(text, /^content-type: application\/problem\+json/im);
    assert.match(text, /^connection: close/im);
  }
});

test('a 404 and a 405 are problems that name no file and no software', async () => {
  const missing = await gate.get('/api/v1/nothing?secret=1');
  assertProblem(missing, 404);
  assert.ok(!missing.text.includes('secret=1'), 'a query may hold what nobody should read');
  const wrong = await gate.request('DELETE', '/api/v1/auth/login');
  assertProblem(wrong, 405);
  assert.deepEqual(
    wrong.headers.allow.split(/,\s*/).filter((method) => method !== 'OPTIONS'),
    ['POST'],
  );
  const page = await gate.request('POST', '/health', { json: {} });
  assertProblem(page, 405);
  assert.match(page.headers.allow, /\bGET\b/);
  assert.match(page.headers.allow, /\bHEAD\b/);
});

test('HEAD is GET without the body', async () => {
  for (const target of ['/', '/health', '/api/openapi.json', '/api/docs']) {
    const [get, head] = [await gate.get(target), await gate.request('HEAD', target)];
    assert.equal(head.status, get.status);
    assert.equal(head.bytes.length, 0);
    assert.equal(head.headers['content-type'], get.headers['content-type']);
    if (target !== '/health')
      assert.equal(head.headers['content-length'], get.headers['content-length'], target);
  }
});

test('a well-formed request id is kept, another is replaced', async () => {
  for (const id of ['abc-123', '3f2c1b0a-1111-4222-8333-abcdefabcdef', 'A.b_c-9'])
    assert.equal(
      (await gate.get('/health', { headers: { 'X-Request-ID': id } })).headers['x-request-id'],
      id,
    );
  for (const id of ['', 'has space', 'x'.repeat(300), '<script>', 'a"b', 'ünïcode', '{"a":1}']) {
    const reply = await gate.get('/health', {
      headers: { 'X-Request-ID': Buffer.from(id).toString('latin1') },
    });
    assert.match(reply.headers['x-request-id'], uuid, `for ${id.slice(0, 20)}`);
  }
  const [a, b] = [await gate.get('/health'), await gate.get('/health')];
  assert.match(a.headers['x-request-id'], uuid);
  assert.notEqual(a.headers['x-request-id'], b.headers['x-request-id']);
});

test('a problem says which request it was', async () => {
  const reply = await gate.get('/nothing', { headers: { 'X-Request-ID': 'find-me-again' } });
  assert.equal(reply.headers['x-request-id'], 'find-me-again');
  assert.ok(reply.json.traceId.length > 0);
});

test('the time it took is in seconds', async () => {
  const reply = await gate.post('/api/v1/auth/login', {
    email: 'nobody@example.com',
    password: 'wrong one',
  });
  const seconds = Number(reply.headers['x-process-time']);
  assert.ok(seconds > 0.001 && seconds < 10, String(seconds));
});

test('CORS: an allowed origin is named, another is not', async () => {
  const good = await gate.get('/health', { headers: { Origin: origin } });
  assert.equal(good.headers['access-control-allow-origin'], origin);
  assert.match(good.headers.vary ?? '', /\bOrigin\b/i);
  const exposed = (good.headers['access-control-expose-headers'] ?? '').toLowerCase();
  for (const name of [
    'x-request-id',
    'x-ratelimit-limit',
    'x-ratelimit-remaining',
    'x-ratelimit-reset',
  ])
    assert.ok(exposed.includes(name), name);
  for (const other of [
    'https://evil.example',
    'null',
    'https://app.example.com.evil.example',
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://APP.example.com/',
  ]) {
    const reply = await gate.get('/health', { headers: { Origin: other } });
    assert.equal(reply.status, 200);
    assert.equal(reply.headers['access-control-allow-origin'], undefined, other);
    assert.equal(reply.headers['access-control-allow-credentials'], undefined, other);
    assert.match(reply.headers.vary ?? '', /\bOrigin\b/i, 'a cache must not mix the two');
  }
});

test('CORS: errors can be read by the page too', async () => {
  for (const target of ['/api/v1/auth/me', '/nothing']) {
    const reply = await gate.get(target, { headers: { Origin: origin } });
    assert.equal(reply.headers['access-control-allow-origin'], origin);
  }
});

test('CORS: the preflight is answered before anybody signs in', async () => {
  const ask = (target, headers) => gate.request('OPTIONS', target, { headers });
  const reply = await ask('/api/v1/admin/users/2', {
    'Origin': origin,
    'Access-Control-Request-Method': 'PATCH',
    'Access-Control-Request-Headers': 'authorization, content-type',
  });
  assert.ok([200, 204].includes(reply.status), String(reply.status));
  assertHeaders(reply);
  assert.equal(reply.headers['access-control-allow-origin'], origin);
  assert.match(reply.headers['access-control-allow-methods'], /\bPATCH\b/);
  const allowed = reply.headers['access-control-allow-headers'].toLowerCase();
  assert.ok(allowed.includes('authorization') && allowed.includes('content-type'), allowed);
  assert.match(reply.headers['access-control-max-age'], /^\d+$/);
  assert.match(reply.headers.vary, /\bOrigin\b/i);

  const evil = await ask('/api/v1/admin/users/2', {
    'Origin': 'https://evil.example',
    'Access-Control-Request-Method': 'PATCH',
  });
  assert.equal(evil.headers['access-control-allow-origin'], undefined);
  assert.equal(evil.headers['access-control-allow-methods'], undefined);
});

test('CORS: credentials never go together with any origin', async () => {
  const open = await Portcullis.start({
    env: { ALLOWED_ORIGINS: '*', CORS_ALLOW_CREDENTIALS: 'false' },
  });
  try {
    const reply = await open.get('/health', { headers: { Origin: 'https://anywhere.example' } });
    assert.equal(reply.headers['access-control-allow-origin'], '*');
    assert.equal(reply.headers['access-control-allow-credentials'], undefined);
  } finally {
    await open.stop();
  }
});

test('paths have one spelling', async () => {
  // Resolved once, before any decision is made, or refused: never passed a guard half-way.
  for (const target of [
    '/api/v1/x/../admin/users',
    '/api/v1/%61dmin/users',
    '/api/v1/./admin/users',
  ])
    assert.ok([400, 401, 404].includes((await gate.get(target)).status), target);
  for (const target of [
    '/api/v1//admin/users',
    '/api/v1/admin%2fusers',
    '/api/v1/admin/users;a=b',
    '/api/v1/admin\\users',
    '/api/v1/admin/users%00',
    '/api/v1/%c0%afadmin',
    '/api/v1/admin/users/',
  ])
    assert.ok([400, 401, 404].includes((await gate.get(target)).status), target);
});
