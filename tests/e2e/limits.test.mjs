// SPDX-License-Identifier: MIT
// The rate limit as a client sees it. Each test comes from an address of its own.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { assertProblem, Portcullis, sleep, test } from './harness.mjs';

const limit = 6;
let gate;
before(async () => {
  gate = await Portcullis.start({ env: { RATE_LIMIT_REQUESTS_PER_MINUTE: String(limit) } });
});
after(() => gate?.stop());

test('the sixth of six is answered, the seventh is refused', async () => {
  const from = '127.0.4.1';
  for (let i = 1; i <= limit; i++) {
    const reply = await gate.get('/api/v1/auth/me', { from });
    assert.equal(reply.status, 401);
    assert.equal(reply.headers['x-ratelimit-limit'], String(limit));
    assert.equal(reply.headers['x-ratelimit-remaining'], String(limit - i));
    assert.equal(reply.headers['retry-after'], undefined);
    const reset = Number(reply.headers['x-ratelimit-reset']) - Date.now() / 1000;
    assert.ok(reset > -1.5 && reset <= 62, `full again in ${reset} s`);
    assert.ok(reply.headers.ratelimit, 'RateLimit');
    assert.ok(reply.headers['ratelimit-policy'], 'RateLimit-Policy');
  }
  const over = await gate.get('/api/v1/auth/me', { from });
  assertProblem(over, 429);
  assert.equal(over.headers['x-ratelimit-remaining'], '0');
  const wait = Number(over.headers['retry-after']);
  assert.ok(wait >= 1 && wait <= 60 / limit + 1, `retry after ${wait}`);
  assert.equal(over.json.retry_after, wait);
});

test('one address does not use up what another has', async () => {
  for (let i = 0; i <= limit; i++) await gate.get('/api/v1/auth/me', { from: '127.0.4.2' });
  assert.equal((await gate.get('/api/v1/auth/me', { from: '127.0.4.2' })).status, 429);
  assert.equal((await gate.get('/api/v1/auth/me', { from: '127.0.4.3' })).status, 401);
});

test('a forged X-Forwarded-For does not make a new client', async () => {
  const statuses = [];
  for (let i = 0; i < limit + 3; i++)
    statuses.push(
      (
        await gate.get('/api/v1/auth/me', {
          from: '127.0.4.4',
          headers: {
            'X-Forwarded-For': `10.9.8.${i}`,
            'X-Real-IP': `10.9.8.${i}`,
            'Forwarded': `for=10.9.8.${i}`,
          },
        })
      ).status,
    );
  assert.equal(statuses.filter((status) => status === 429).length, 3, statuses.join());
});

test('what is exempt stays open', async () => {
  const from = '127.0.4.5';
  for (let i = 0; i <= limit; i++) await gate.get('/api/v1/auth/me', { from });
  assert.equal((await gate.get('/api/v1/auth/me', { from })).status, 429);
  for (const target of [
    '/',
    '/health',
    '/livez',
    '/readyz',
    '/api/docs',
    '/api/redoc',
    '/api/openapi.json',
  ])
    assert.equal((await gate.get(target, { from })).status, 200, target);
});

test('paths that do not exist are counted too', async () => {
  const from = '127.0.4.6';
  for (let i = 0; i < limit; i++)
    assert.equal((await gate.get(`/no/such/${i}`, { from })).status, 404);
  assert.equal((await gate.get('/no/such', { from })).status, 429);
});

test('after signing in the user is counted, from wherever he comes', async () => {
  const reply = await gate.post(
    '/api/v1/auth/login',
    { email: 'user@example.com', password: 'user123' },
    { from: '127.0.4.7' },
  );
  assert.equal(reply.status, 200);
  const token = reply.json.access_token;
  const statuses = [];
  for (let i = 0; i < limit + 2; i++)
    statuses.push(
      (await gate.get('/api/v1/users/profile', { token, from: `127.0.5.${i + 1}` })).status,
    );
  assert.deepEqual(statuses, [...Array(limit).fill(200), 429, 429]);
  // Another user behind the same address has a budget of his own.
  const other = await gate.post(
    '/api/v1/auth/login',
    { email: 'analyst@example.com', password: 'P@ssw0rd!' },
    { from: '127.0.4.8' },
  );
  assert.equal(
    (await gate.get('/api/v1/users/profile', { token: other.json.access_token, from: '127.0.5.1' }))
      .status,
    200,
  );
});

test('exactly as many pass when all come at once', async () => {
  const replies = await Promise.all(
    Array.from({ length: 40 }, () => gate.get('/api/v1/auth/me', { from: '127.0.4.9' })),
  );
  assert.equal(replies.filter((reply) => reply.status === 401).length, limit);
  assert.equal(replies.filter((reply) => reply.status === 429).length, 40 - limit);
});

test('after the told time the next request passes', async () => {
  const fast = await Portcullis.start({ env: { RATE_LIMIT_REQUESTS_PER_MINUTE: '60' } });
  try {
    const all = await Promise.all(
      Array.from({ length: 64 }, () => fast.get('/api/v1/auth/me', { from: '127.0.4.10' })),
    );
    const over = all.find((reply) => reply.status === 429);
    assert.ok(over);
    await sleep(Number(over.headers['retry-after']) * 1000 + 50);
    assert.equal((await fast.get('/api/v1/auth/me', { from: '127.0.4.10' })).status, 401);
  } finally {
    await fast.stop();
  }
});
