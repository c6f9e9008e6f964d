// SPDX-License-Identifier: MIT
// What an administrator may do, and how soon it holds for everybody else.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import {
  assertHeaders,
  assertInvalid,
  assertProblem,
  assertUnauthorized,
  Portcullis,
  sleep,
  test,
} from './harness.mjs';

let gate;
let admin;
before(async () => {
  gate = await Portcullis.start();
  admin = (await gate.admin()).access_token;
});
after(() => gate?.stop());

const me = async (token) => (await gate.get('/api/v1/auth/me', { token })).json;
const change = (id, body, token = admin) =>
  gate.patch(`/api/v1/admin/users/${id}`, body, { token });

/** Asks until it is refused, and says after how many milliseconds that was. */
async function refusedAfter(ask, statuses) {
  const started = Date.now();
  for (;;) {
    const reply = await ask();
    if (statuses.includes(reply.status)) return Date.now() - started;
    assert.equal(reply.status, 200);
    assert.ok(Date.now() - started < 5000, 'never refused');
    await sleep(20);
  }
}

test('the list of users', async () => {
  const account = await gate.register();
  const reply = await gate.get('/api/v1/admin/users?limit=100', { token: admin });
  assert.equal(reply.status, 200);
  assertHeaders(reply);
  assert.deepEqual(Object.keys(reply.json).sort(), ['admin', 'total', 'users']);
  assert.ok(reply.json.total >= 4);
  assert.equal(reply.json.users.length, reply.json.total);
  for (const user of reply.json.users)
    assert.deepEqual(Object.keys(user).sort(), [
      'email',
      'is_active',
      'is_admin',
      'user_id',
      'username',
    ]);
  const found = reply.json.users.find((user) => user.email === account.email);
  assert.equal(found.is_active, true);
  assert.equal(found.is_admin, false);
  assert.equal(found.username, account.username);
  assert.ok(!/password|hash|\$2|argon/i.test(reply.text));
});

test('the list comes in pages', async () => {
  for (let i = 0; i < 3; i++) await gate.register();
  const seen = [];
  let target = '/api/v1/admin/users?limit=2';
  for (let pages = 0; target; pages++) {
    assert.ok(pages < 50);
    const reply = await gate.get(target, { token: admin });
    assert.equal(reply.status, 200, target);
    assert.ok(reply.json.users.length <= 2);
    seen.push(...reply.json.users.map((user) => user.user_id));
    target = /<([^>]+)>;\s*rel="next"/.exec(reply.headers.link ?? '')?.[1];
    if (target?.startsWith('http')) target = new URL(target).pathname + new URL(target).search;
  }
  const { total } = (await gate.get('/api/v1/admin/users?limit=1', { token: admin })).json;
  assert.equal(seen.length, total);
  assert.equal(new Set(seen).size, total);
});

test('a page of no size or no sense is refused', async () => {
  for (const query of [
    'limit=0',
    'limit=-1',
    'limit=x',
    'limit=99999999999',
    'cursor=%00',
    'cursor=zzz',
  ]) {
    const reply = await gate.get(`/api/v1/admin/users?${query}`, { token: admin });
    assert.ok([400, 422].includes(reply.status), `${query}: ${reply.status}`);
    assertProblem(reply, reply.status);
  }
});

test('others may not', async () => {
  const { tokens } = await gate.register();
  const { user_id: own } = await me(tokens.access_token);
  assertProblem(await gate.get('/api/v1/admin/users', { token: tokens.access_token }), 403);
  assertProblem(await change(own, { is_admin: true }, tokens.access_token), 403);
  assertProblem(await change(999999, { is_admin: true }, tokens.access_token), 403);
  assert.equal((await me(tokens.access_token)).is_admin, false);
});

test('deactivating holds within a second, and is taken back', async () => {
  const account = await gate.register();
  const token = account.tokens.access_token;
  const { user_id: id } = await me(token);
  const reply = await change(id, { is_active: false });
  assert.equal(reply.status, 200);
  assertHeaders(reply);
  assert.equal(reply.json.is_active, false);
  assert.equal(reply.json.user_id, id);
  const waited = await refusedAfter(() => gate.get('/api/v1/users/profile', { token }), [401, 403]);
  assert.ok(waited <= 1000, `${waited} ms`);
  assertProblem(
    await gate.post('/api/v1/auth/login', { email: account.email, password: account.password }),
    403,
  );
  // Whoever does not know the password does not learn that the account sleeps.
  assertProblem(
    await gate.post('/api/v1/auth/login', { email: account.email, password: 'not this one' }),
    401,
  );
  const refreshed = await gate.post('/api/v1/auth/refresh', {
    refresh_token: account.tokens.refresh_token,
  });
  assert.ok([401, 403].includes(refreshed.status), String(refreshed.status));

  assert.equal((await change(id, { is_active: true })).status, 200);
  assert.ok((await gate.login(account.email, account.password)).access_token);
});

test('the admin role comes and goes within a second', async () => {
  const account = await gate.register();
  const token = account.tokens.access_token;
  const { user_id: id } = await me(token);
  assert.equal((await change(id, { is_admin: true })).json.is_admin, true);
  await sleep(1000);
  const list = await gate.get('/api/v1/admin/users', { token });
  assert.equal(list.status, 200, 'rights come from the store, not from the token');
  assert.equal((await change(id, { is_admin: false })).json.is_admin, false);
  const waited = await refusedAfter(() => gate.get('/api/v1/admin/users', { token }), [403]);
  assert.ok(waited <= 1000, `${waited} ms`);
  assert.equal((await gate.get('/api/v1/users/profile', { token })).status, 200);
});

test('the last active admin stays', async () => {
  const { user_id: id } = await me(admin);
  for (const body of [
    { is_admin: false },
    { is_active: false },
    { is_active: false, is_admin: false },
  ])
    assertProblem(await change(id, body), 409);
  assert.equal((await gate.get('/api/v1/admin/users', { token: admin })).status, 200);
});

test('two admins who dismiss each other at once leave one', async () => {
  const second = await gate.register();
  const [{ user_id: a }, { user_id: b }] = [await me(admin), await me(second.tokens.access_token)];
  assert.equal((await change(b, { is_admin: true })).status, 200);
  const other = (await gate.login(second.email, second.password)).access_token;
  await sleep(1000);
  const replies = await Promise.all([
    change(b, { is_admin: false }, admin),
    change(a, { is_admin: false }, other),
  ]);
  const done = replies.filter((reply) => reply.status === 200);
  assert.equal(done.length, 1, replies.map((reply) => reply.status).join());
  // Bring it back, so that the next test finds its admin.
  const keeper = replies[0].status === 200 ? admin : other;
  await change(a, { is_admin: true }, keeper);
  await change(b, { is_admin: false }, keeper);
  await sleep(1000);
});

test('a change is checked', async () => {
  const { tokens } = await gate.register();
  const { user_id: id } = await me(tokens.access_token);
  assertInvalid(await change(id, { is_active: 'yes-please' }), ['is_active'], ['yes-please']);
  assertInvalid(await change(id, { is_admin: 1 }), ['is_admin']);
  assertProblem(await change(987654321, { is_active: true }), 404);
  for (const wrong of ['abc', '0', '-1', '1.5', '99999999999999999999']) {
    const reply = await change(wrong, { is_active: true });
    assert.ok([400, 404, 422].includes(reply.status), `${wrong}: ${reply.status}`);
    assertProblem(reply, reply.status);
  }
  assertUnauthorized(await gate.patch(`/api/v1/admin/users/${id}`, { is_active: false }));
  assert.equal(
    (await gate.get('/api/v1/users/profile', { token: tokens.access_token })).status,
    200,
  );
});
