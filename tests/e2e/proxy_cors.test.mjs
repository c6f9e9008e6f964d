// SPDX-License-Identifier: MIT
// Which scripts of other origins may call a route to an upstream: the route's own decision.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { Portcullis, test } from './harness.mjs';
import { startUpstream } from './proxy_kit.mjs';

const shop = 'https://shop.example.com';
const general = 'https://general.example.com';
let upstream;
let gate;

before(async () => {
  // An upstream that would let in anybody.
  upstream = await startUpstream((req, res) => {
    res
      .writeHead(200, {
        'Access-Control-Allow-Origin': '*',
        'Access-Control-Allow-Credentials': 'true',
      })
      .end('theirs');
    return true;
  });
  gate = await Portcullis.start({
    env: { ALLOWED_ORIGINS: general },
    config: `upstreams:
  - name: shop
    targets:
      - url: http://127.0.0.1:${upstream.port}
routes:
  - path: /shop/*
    upstream: shop
    access: open
    methods: [GET]
    cors:
      allowed_origins: [${shop}]
      allow_credentials: true
      max_age_seconds: 7
      allowed_headers: [X-Shop]
      exposed_headers: [X-Cart]
  - path: /shop/*
    upstream: shop
    access: open
    methods: [DELETE]
  - path: /open/*
    upstream: shop
    access: open
    methods: [GET, OPTIONS]
    cors: {allowed_origins: [${shop}]}
  - path: /any
    upstream: shop
    access: open
    cors: {allowed_origins: ['*']}
  - path: /general
    upstream: shop
    access: open
`,
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  await upstream?.stop();
});

const from = (origin) => ({ headers: { Origin: origin } });
const preflight = (target, origin, method = 'GET') =>
  gate.request('OPTIONS', target, {
    headers: { Origin: origin, 'Access-Control-Request-Method': method },
  });

test('a preflight is answered by the route that it asks for, and by no upstream', async () => {
  const asked = upstream.asked.length;
  const reply = await preflight('/shop/x', shop);
  assert.equal(reply.status, 204);
  assert.equal(reply.headers['access-control-allow-origin'], shop);
  assert.equal(reply.headers['access-control-allow-credentials'], 'true');
  assert.equal(reply.headers['access-control-max-age'], '7');
  assert.match(reply.headers['access-control-allow-headers'], /Authorization.*, X-Shop$/);
  assert.equal(reply.headers['access-control-allow-methods'], 'GET, HEAD, OPTIONS');
  assert.match(reply.headers.vary, /Origin/);
  const refused = await preflight('/shop/x', general);
  assert.equal(refused.status, 403);
  assert.equal(refused.headers['access-control-allow-origin'], undefined);
  // The other route of this path has no decision of its own.
  assert.equal((await preflight('/shop/x', general, 'DELETE')).status, 204);
  assert.equal((await preflight('/shop/x', shop, 'DELETE')).status, 403);
  assert.equal(upstream.asked.length, asked);
});

test('an OPTIONS that is no preflight goes to the upstream that wants it', async () => {
  const asked = upstream.asked.length;
  assert.equal((await preflight('/open/x', shop)).status, 204);
  assert.equal(upstream.asked.length, asked);
  const reply = await gate.request('OPTIONS', '/open/x');
  assert.equal(reply.status, 200);
  assert.equal(upstream.asked.length, asked + 1);
});

test('what the upstream says of origins is replaced', async () => {
  const reply = await gate.get('/shop/x', from(shop));
  assert.equal(reply.status, 200);
  assert.equal(reply.headers['access-control-allow-origin'], shop);
  assert.equal(reply.headers['access-control-allow-credentials'], 'true');
  assert.match(reply.headers['access-control-expose-headers'], /X-Request-ID.*, X-Cart$/);
  for (const origin of [general, 'null', `${shop}.evil.example`, 'https://SHOP.example.com']) {
    const other = await gate.get('/shop/x', from(origin));
    assert.equal(other.headers['access-control-allow-origin'], undefined, origin);
    assert.equal(other.headers['access-control-allow-credentials'], undefined, origin);
    assert.match(other.headers.vary, /Origin/);
  }
});

test('any origin is never let in with credentials', async () => {
  const reply = await gate.get('/any', from('https://anybody.example'));
  assert.equal(reply.headers['access-control-allow-origin'], '*');
  assert.equal(reply.headers['access-control-allow-credentials'], undefined);
});

test('a route without a decision has the general one', async () => {
  const allowed = await gate.get('/general', from(general));
  assert.equal(allowed.headers['access-control-allow-origin'], general);
  const refused = await gate.get('/general', from(shop));
  assert.equal(refused.headers['access-control-allow-origin'], undefined);
});
