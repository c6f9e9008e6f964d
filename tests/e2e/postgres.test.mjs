// SPDX-License-Identifier: MIT
// Two programs on one PostgreSQL: what one is told, the other knows; what both are asked at once
// happens once; and when the server goes away they say so, and come back with it.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  assertPair,
  assertProblem,
  assertUnauthorized,
  command,
  freePort,
  Portcullis,
  sleep,
  test,
  unique,
} from './harness.mjs';

const harness = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../with_postgres');

let keeper; // holds the server while its standard input is open
let url;
let one;
let two;

before(async () => {
  keeper = spawn(
    harness,
    ['sh', '-c', 'echo "$PORTCULLIS_TEST_POSTGRES_URL"; env; echo END; cat'],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  keeper.environment = {};
  let text = '';
  keeper.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  const ended = once(keeper, 'close').then(([code]) => {
    throw new Error(`with_postgres ended with ${code}`);
  });
  ended.catch(() => {});
  while (!/^END$/m.test(text)) await Promise.race([sleep(50), ended]);
  url = text.split('\n')[0];
  for (const line of text.split('\n').slice(1)) {
    const at = line.indexOf('=');
    if (at > 0) keeper.environment[line.slice(0, at)] = line.slice(at + 1);
  }
  const env = { DATABASE_URL: url, DATABASE_SSLMODE: 'disable' };
  one = await Portcullis.start({ env });
  two = await Portcullis.start({ env });
});
after(async () => {
  await Promise.all([one?.stop(), two?.stop()]);
  keeper?.stdin.end();
  if (keeper?.exitCode === null) await once(keeper, 'close');
});

const control = (what) =>
  execFileSync(keeper.environment.PORTCULLIS_TEST_POSTGRES, ['--control', what], {
    env: keeper.environment,
  });
const me = (gate, token) => gate.get('/api/v1/auth/me', { token });
const refresh = (gate, token) => gate.post('/api/v1/auth/refresh', { refresh_token: token });

/** Asks until it is refused, and says after how many milliseconds that was. */
async function refusedAfter(ask) {
  const started = Date.now();
  while ((await ask()).status === 200) {
    assert.ok(Date.now() - started < 5000, 'never refused');
    await sleep(20);
  }
  return Date.now() - started;
}

test('who registers at one is known at the other', async () => {
  const account = await one.register();
  assert.equal((await me(two, account.tokens.access_token)).status, 200);
  assertPair(await two.login(account.email, account.password));
  const next = await refresh(two, account.tokens.refresh_token);
  assert.equal(next.status, 200);
  const again = await refresh(one, account.tokens.refresh_token);
  assert.equal(again.text, next.text, 'a lost reply is answered alike by the other');
});

test('who leaves at one has left at the other within a second', async () => {
  const { tokens } = await one.register();
  assert.equal((await me(two, tokens.access_token)).status, 200);
  await one.request('POST', '/api/v1/auth/logout', { token: tokens.access_token });
  assertUnauthorized(await me(one, tokens.access_token));
  const waited = await refusedAfter(() => me(two, tokens.access_token));
  assert.ok(waited <= 1000, `${waited} ms`);
  assert.equal((await refresh(two, tokens.refresh_token)).status, 401);
});

test('who is deactivated at one is refused at the other within a second', async () => {
  const { tokens } = await two.register();
  const { user_id: id } = (await me(two, tokens.access_token)).json;
  const admin = (await one.admin()).access_token;
  const reply = await one.patch(
    `/api/v1/admin/users/${id}`,
    { is_active: false },
    { token: admin },
  );
  assert.equal(reply.status, 200);
  const waited = await refusedAfter(() => me(two, tokens.access_token));
  assert.ok(waited <= 1000, `${waited} ms`);
});

test('forty at both for one e-mail: exactly one wins', async () => {
  const email = `${unique('race')}@example.com`;
  const replies = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      (i % 2 ? one : two).post('/api/v1/auth/register', {
        username: unique('racer'),
        email,
        password: 'a long enough one',
      }),
    ),
  );
  const statuses = replies.map((reply) => reply.status).sort();
  assert.deepEqual(statuses, [201, ...Array(39).fill(409)]);
});

test('twenty refreshes at both give one pair', async () => {
  const { tokens } = await one.register();
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, i) => refresh(i % 2 ? one : two, tokens.refresh_token)),
  );
  assert.deepEqual([...new Set(replies.map((reply) => reply.status))], [200]);
  assert.equal(new Set(replies.map((reply) => reply.text)).size, 1);
});

test('without its database it lives, is not ready, and says when to come back', async () => {
  const account = await one.register();
  control('crash');
  try {
    const deadline = Date.now() + 5000;
    while ((await one.get('/readyz')).status !== 503) {
      assert.ok(Date.now() < deadline, 'still ready');
      await sleep(50);
    }
    assertProblem(await one.get('/readyz'), 503);
    assert.equal((await one.get('/livez')).status, 200);
    assert.equal((await one.get('/health')).status, 200);
    const login = { email: account.email, password: account.password };
    const reply = await one.post('/api/v1/auth/login', login);
    assertProblem(reply, 503);
    assert.match(reply.headers['retry-after'] ?? '', /^\d+$/);
    // What was true a moment ago may have changed since: nobody gets in on memory alone for long.
    await sleep(1500);
    assertProblem(await me(one, account.tokens.access_token), 503);
  } finally {
    control('start');
  }
  const deadline = Date.now() + 15_000;
  while ((await one.get('/readyz')).status !== 200) {
    assert.ok(Date.now() < deadline, 'never ready again');
    await sleep(50);
  }
  assertPair(await one.login(account.email, account.password));
  assert.equal((await me(one, account.tokens.access_token)).status, 200);
});

test('a breaker opens on failures in a row, and closes after a probe', async () => {
  const gate = await Portcullis.start({
    env: {
      DATABASE_URL: url,
      DATABASE_SSLMODE: 'disable',
      CIRCUIT_BREAKER_FAILURE_THRESHOLD: '3',
      CIRCUIT_BREAKER_TIMEOUT: '2',
    },
  });
  try {
    const login = () =>
      gate.post('/api/v1/auth/login', { email: 'user@example.com', password: 'user123' });
    const state = (reply) => reply.headers['x-circuit-breaker-state'];
    assert.equal(state(await login()), 'closed');
    assert.equal((await gate.get('/health')).headers['x-circuit-breaker-state'], undefined);
    control('crash');
    try {
      for (let i = 0; i < 3; i++) assertProblem(await login(), 503);
      const open = await login();
      assertProblem(open, 503);
      assert.equal(state(open), 'open');
      // Two seconds, rounded up between two clocks.
      const wait = Number(open.headers['retry-after']);
      assert.ok(wait >= 1 && wait <= 3, String(wait));
      assert.match((await gate.get('/metrics')).text, /^[a-z_]*breaker_state\{.*login.*\} [12]$/m);
    } finally {
      control('start');
    }
    // A route of its own has a breaker of its own.
    const other = await gate.post('/api/v1/auth/refresh', { refresh_token: 'none' });
    assert.equal(state(other), 'closed');
    const deadline = Date.now() + 15_000;
    let reply;
    do {
      await sleep(200);
      reply = await login();
      assert.ok(Date.now() < deadline, 'never closed again');
    } while (reply.status !== 200);
    assert.equal(state(await login()), 'closed');
  } finally {
    await gate.stop();
  }
});

test('a database that is not there stops the start with one sentence', async () => {
  const port = await freePort();
  const secret = 'pa55-of-the-database';
  const { code, stdout, stderr } = await command(['serve'], {
    env: { DATABASE_URL: `postgresql://me:${secret}@127.0.0.1:${port}/x?sslmode=disable` },
  });
  assert.ok([1, 2].includes(code), `${code}: ${stderr}`);
  assert.match(stdout + stderr, new RegExp(`127\\.0\\.0\\.1.*${port}|${port}`));
  assert.ok(!(stdout + stderr).includes(secret));
});
