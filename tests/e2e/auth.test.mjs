// SPDX-License-Identifier: MIT
// Registering, signing in, staying signed in and leaving: /api/v1/auth and what hangs on it.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import {
  assertHeaders,
  assertInvalid,
  assertPair,
  assertProblem,
  assertUnauthorized,
  Portcullis,
  sleep,
  test,
  unique,
} from './harness.mjs';

let gate;
before(async () => {
  gate = await Portcullis.start();
});
after(() => gate?.stop());

const me = (token) => gate.get('/api/v1/auth/me', { token });
const refresh = (refreshToken) =>
  gate.post('/api/v1/auth/refresh', { refresh_token: refreshToken });

test('the root says what this is', async () => {
  for (const target of ['/', '/api/v1/']) {
    const reply = await gate.get(target);
    assert.equal(reply.status, 200, target);
    assert.equal(reply.json.service, 'Secure Financial API Gateway');
    assert.equal(reply.json.status, 'healthy');
    assert.equal(reply.json.docs, '/api/docs');
    assert.match(reply.json.version, /^\d+\.\d+\.\d+/);
    assertHeaders(reply);
  }
});

test('health has the time in RFC 3339', async () => {
  for (const target of ['/health', '/api/v1/health']) {
    const reply = await gate.get(target);
    assert.equal(reply.status, 200, target);
    assert.equal(reply.json.status, 'healthy');
    assert.equal(reply.json.service, 'api-gateway');
    assert.match(reply.json.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    assert.ok(Math.abs(Date.parse(reply.json.timestamp) - Date.now()) < 5000);
    assertHeaders(reply);
  }
});

test('registering gives a session at once', async () => {
  const name = unique('anna');
  const reply = await gate.post('/api/v1/auth/register', {
    username: name,
    email: `${name}@example.com`,
    password: 'a long enough one',
  });
  assert.equal(reply.status, 201);
  assertPair(reply.json);
  assertHeaders(reply);
  const who = await me(reply.json.access_token);
  assert.equal(who.status, 200);
  assert.deepEqual(Object.keys(who.json).sort(), ['email', 'is_admin', 'user_id', 'username']);
  assert.equal(who.json.username, name);
  assert.equal(who.json.email, `${name}@example.com`);
  assert.equal(who.json.is_admin, false);
  assert.ok(Number.isInteger(who.json.user_id));
});

test('a reply with tokens is kept by nobody on the way', async () => {
  const account = await gate.register();
  const reply = await gate.post('/api/v1/auth/login', {
    email: account.email,
    password: account.password,
  });
  assert.match(reply.headers['cache-control'] ?? '', /no-store/);
  assert.match(
    (await me(reply.json.access_token)).headers['cache-control'] ?? '',
    /no-store|private/,
  );
});

test('members that nobody asked for are ignored, never honoured', async () => {
  const name = unique('eve');
  const reply = await gate.post('/api/v1/auth/register', {
    username: name,
    email: `${name}@example.com`,
    password: 'a long enough one',
    is_admin: true,
    user_id: 1,
    role: 'admin',
  });
  assert.equal(reply.status, 201);
  const who = await me(reply.json.access_token);
  assert.equal(who.json.is_admin, false);
  assert.notEqual(who.json.user_id, 1);
});

test('a taken e-mail is 409, in any case of letters', async () => {
  const account = await gate.register();
  for (const email of [account.email, account.email.toUpperCase()]) {
    const reply = await gate.post('/api/v1/auth/register', {
      username: unique('other'),
      email,
      password: 'a long enough one',
    });
    assertProblem(reply, 409);
    assert.ok(!reply.text.includes(email));
  }
});

test('a taken username is 409, in any case of letters', async () => {
  const account = await gate.register();
  for (const username of [account.username, account.username.toUpperCase()])
    assertProblem(
      await gate.post('/api/v1/auth/register', {
        username,
        email: `${unique('free')}@example.com`,
        password: 'a long enough one',
      }),
      409,
    );
});

test('twenty at once for one e-mail: exactly one wins', async () => {
  const email = `${unique('race')}@example.com`;
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      gate.post('/api/v1/auth/register', {
        username: unique(`racer${i}`),
        email: i % 2 ? email : email.toUpperCase(),
        password: 'a long enough one',
      }),
    ),
  );
  const statuses = replies.map((reply) => reply.status).sort();
  assert.deepEqual(statuses, [201, ...Array(19).fill(409)]);
});

test('twenty at once for one username: exactly one wins', async () => {
  const username = unique('single');
  const replies = await Promise.all(
    Array.from({ length: 20 }, () =>
      gate.post('/api/v1/auth/register', {
        username,
        email: `${unique('many')}@example.com`,
        password: 'a long enough one',
      }),
    ),
  );
  const statuses = replies.map((reply) => reply.status).sort();
  assert.deepEqual(statuses, [201, ...Array(19).fill(409)]);
});

test('a body is checked field by field', async () => {
  const post = (body) => gate.post('/api/v1/auth/register', body);
  assertInvalid(await post({}), ['email', 'password', 'username']);
  assertInvalid(
    await post({ username: 'ab', email: 'no-mail-here', password: 'hunter2secret-x' }),
    ['email', 'username'],
    ['no-mail-here', 'hunter2secret-x'],
  );
  assertInvalid(
    await post({ username: 'x'.repeat(51), email: 'a@example.com', password: 'a long enough one' }),
    ['username'],
    ['x'.repeat(51)],
  );
  assertInvalid(
    await post({ username: 'valid', email: 'a@example.com', password: 'tiny7!' }),
    ['password'],
    ['tiny7!'],
  );
  assertInvalid(
    await post({ username: 'valid', email: 'a@example.com', password: 12345678901 }),
    ['password'],
    ['12345678901'],
  );
  assertInvalid(await post({ username: null, email: ['a@example.com'], password: { a: 1 } }), [
    'email',
    'password',
    'username',
  ]);
  assertInvalid(await gate.post('/api/v1/auth/login', {}), ['email', 'password']);
  assertInvalid(await gate.post('/api/v1/auth/refresh', { refresh_token: 7 }), ['refresh_token']);
});

test('what is no JSON object is refused before its members', async () => {
  const send = (body, type = 'application/json') =>
    gate.request('POST', '/api/v1/auth/login', { body, headers: { 'Content-Type': type } });
  for (const body of [
    '{',
    '{"email":"a"',
    '{"email":1,"email":2}',
    "{'email':1}",
    '{"a":1}x',
    '\u0000',
  ])
    assertProblem(await send(body), 400);
  for (const body of ['', '[]', '"text"', '7', 'null']) {
    const reply = await send(body);
    assert.ok([400, 422].includes(reply.status), `${body}: ${reply.status}`);
    assertProblem(reply, reply.status);
  }
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx'])
    assertProblem(await send('{"email":"a@example.com","password":"x"}', type), 415);
  const charset = await send(
    '{"email":"nobody@example.com","password":"wrong one"}',
    'application/json; charset=utf-8',
  );
  assert.equal(charset.status, 401);
});

test('signing in with the development data', async () => {
  for (const [email, password, id, admin] of [
    ['admin@example.com', 'admin123', 1, true],
    ['user@example.com', 'user123', 2, false],
    ['analyst@example.com', 'P@ssw0rd!', 3, false],
  ]) {
    const pair = await gate.login(email, password);
    assertPair(pair);
    const who = await me(pair.access_token);
    assert.equal(who.json.user_id, id);
    assert.equal(who.json.email, email);
    assert.equal(who.json.is_admin, admin);
  }
});

test("the letters' case of an e-mail does not matter at sign-in", async () => {
  const account = await gate.register();
  assertPair(await gate.login(account.email.toUpperCase(), account.password));
});

test('a wrong password and an unknown user look the same', async () => {
  const account = await gate.register();
  const wrong = await gate.post('/api/v1/auth/login', {
    email: account.email,
    password: 'not this one',
  });
  const unknown = await gate.post('/api/v1/auth/login', {
    email: `${unique('ghost')}@example.com`,
    password: 'not this one',
  });
  for (const reply of [wrong, unknown]) {
    assertProblem(reply, 401);
    assert.ok(!reply.text.includes('not this one'));
  }
  assert.equal(wrong.json.title, unknown.json.title);
  assert.equal(wrong.json.detail, unknown.json.detail);
  assert.equal(wrong.json.type, unknown.json.type);
});

test('a wrong password and an unknown user take about the same time', async () => {
  const account = await gate.register();
  const times = { known: [], unknown: [] };
  for (let i = 0; i < 4; i++)
    for (const kind of ['known', 'unknown']) {
      const email = kind === 'known' ? account.email : `${unique('ghost')}@example.com`;
      const started = process.hrtime.bigint();
      const reply = await gate.post('/api/v1/auth/login', { email, password: 'not this one' });
      times[kind].push(Number(process.hrtime.bigint() - started) / 1e6);
      assert.equal(reply.status, 401);
    }
  const least = (list) => Math.min(...list);
  const ratio = least(times.known) / least(times.unknown);
  assert.ok(ratio > 0.4 && ratio < 2.5, `${JSON.stringify(times)}`);
});

test('the profile is the same as me', async () => {
  const { tokens } = await gate.register();
  const profile = await gate.get('/api/v1/users/profile', { token: tokens.access_token });
  assert.equal(profile.status, 200);
  assert.deepEqual(profile.json, (await me(tokens.access_token)).json);
  assertHeaders(profile);
});

test('a new user has no orders', async () => {
  const { tokens } = await gate.register();
  const who = (await me(tokens.access_token)).json;
  for (const query of ['', '?limit=10']) {
    const reply = await gate.get(`/api/v1/trading/orders${query}`, { token: tokens.access_token });
    assert.equal(reply.status, 200);
    assert.deepEqual(reply.json, { orders: [], total: 0, user_id: who.user_id });
    assertHeaders(reply);
  }
});

test('every protected route refuses who does not say who he is', async () => {
  for (const [method, target] of [
    ['GET', '/api/v1/auth/me'],
    ['POST', '/api/v1/auth/logout'],
    ['GET', '/api/v1/users/profile'],
    ['GET', '/api/v1/trading/orders'],
    ['GET', '/api/v1/admin/users'],
    ['PATCH', '/api/v1/admin/users/2'],
  ]) {
    const missing = await gate.request(method, target);
    assertUnauthorized(missing);
    // RFC 6750, 3.1: no error code where no credentials were sent
    assert.doesNotMatch(missing.headers['www-authenticate'], /error=/);
    const broken = await gate.request(method, target, { token: 'abc' });
    assertUnauthorized(broken);
    assert.match(broken.headers['www-authenticate'], /error="invalid_token"/);
    assertUnauthorized(
      await gate.request(method, target, { headers: { Authorization: 'Basic YTpi' } }),
    );
    assertUnauthorized(
      await gate.request(method, target, { headers: { Authorization: 'Bearer' } }),
    );
  }
});

test('a token in the query is not a token', async () => {
  const { tokens } = await gate.register();
  assertUnauthorized(await gate.get(`/api/v1/auth/me?access_token=${tokens.access_token}`));
});

test("the scheme's name may be written in any case", async () => {
  const { tokens } = await gate.register();
  for (const scheme of ['bearer', 'BEARER'])
    assert.equal(
      (
        await gate.get('/api/v1/auth/me', {
          headers: { Authorization: `${scheme} ${tokens.access_token}` },
        })
      ).status,
      200,
    );
});

test('refreshing gives a new pair of the same person', async () => {
  const { tokens } = await gate.register();
  const reply = await refresh(tokens.refresh_token);
  assert.equal(reply.status, 200);
  assertPair(reply.json);
  assertHeaders(reply);
  assert.notEqual(reply.json.refresh_token, tokens.refresh_token);
  assert.notEqual(reply.json.access_token, tokens.access_token);
  assert.deepEqual((await me(reply.json.access_token)).json, (await me(tokens.access_token)).json);
});

test('a lost reply may be asked for again: the same bytes', async () => {
  const { tokens } = await gate.register();
  const first = await refresh(tokens.refresh_token);
  const again = await Promise.all([refresh(tokens.refresh_token), refresh(tokens.refresh_token)]);
  for (const reply of again) {
    assert.equal(reply.status, 200);
    assert.equal(reply.text, first.text);
  }
  assert.equal((await refresh(first.json.refresh_token)).status, 200);
});

test('twenty refreshes at once give one pair', async () => {
  const { tokens } = await gate.register();
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => refresh(tokens.refresh_token)),
  );
  assert.deepEqual([...new Set(replies.map((reply) => reply.status))], [200]);
  assert.equal(new Set(replies.map((reply) => reply.text)).size, 1);
});

test('what is no refresh token is refused', async () => {
  const { tokens } = await gate.register();
  for (const token of [
    tokens.access_token,
    'abc',
    '',
    `${tokens.refresh_token}x`,
    tokens.refresh_token.slice(0, -2),
  ]) {
    const reply = await refresh(token);
    assert.ok([401, 422].includes(reply.status), `${token.slice(0, 10)}: ${reply.status}`);
    if (token !== '') assertProblem(reply, 401);
    assert.ok(token.length < 8 || !reply.text.includes(token));
  }
  assertUnauthorized(await me(tokens.refresh_token));
  assert.equal((await refresh(tokens.refresh_token)).status, 200);
});

test('a refresh token used again after its grace ends the whole family', async () => {
  const short = await Portcullis.start({ config: 'jwt:\n  grace_seconds: 1\n' });
  try {
    const { tokens } = await short.register();
    const ask = (token) => short.post('/api/v1/auth/refresh', { refresh_token: token });
    const second = (await ask(tokens.refresh_token)).json;
    const third = (await ask(second.refresh_token)).json;
    await sleep(2100);
    assertProblem(await ask(tokens.refresh_token), 401);
    assertProblem(await ask(third.refresh_token), 401);
    await sleep(1000);
    assertUnauthorized(await short.get('/api/v1/auth/me', { token: third.access_token }));
  } finally {
    await short.stop();
  }
});

test('leaving ends this session at once, and only this one', async () => {
  const account = await gate.register();
  const other = await gate.login(account.email, account.password);
  const token = account.tokens.access_token;
  const who = (await me(token)).json;
  const reply = await gate.request('POST', '/api/v1/auth/logout', { token });
  assert.equal(reply.status, 200);
  assert.deepEqual(reply.json, { message: 'Successfully logged out', user_id: who.user_id });
  assertHeaders(reply);
  for (let i = 0; i < 10; i++)
    assertUnauthorized(await gate.get('/api/v1/auth/me', { token, from: `127.0.2.${i + 1}` }));
  assertProblem(await refresh(account.tokens.refresh_token), 401);
  assert.equal((await me(other.access_token)).status, 200);
});

test('leaving ends the pairs that a refresh gave in the same session', async () => {
  const { tokens } = await gate.register();
  const next = (await refresh(tokens.refresh_token)).json;
  assert.equal(
    (await gate.request('POST', '/api/v1/auth/logout', { token: next.access_token })).status,
    200,
  );
  assertUnauthorized(await me(tokens.access_token));
  assert.equal((await refresh(next.refresh_token)).status, 401);
  assert.equal((await refresh(tokens.refresh_token)).status, 401);
});
