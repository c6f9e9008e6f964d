// SPDX-License-Identifier: MIT
// What an operator sets is what clients meet: limits for some, proxies that are believed, who may
// read metrics, where the log goes, how passwords are kept, and taking all that over on SIGHUP.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { assertProblem, Portcullis, sleep, temporaryFolder, test, unique } from './harness.mjs';

const rewrite = (gate, text) => fs.writeFileSync(path.join(gate.data, 'portcullis.yaml'), text);

async function withGate(options, run) {
  const gate = await Portcullis.start(options);
  try {
    await run(gate);
  } finally {
    await gate.stop();
  }
}

/** How many of `most` requests pass before the limit says no. */
async function passes(gate, target, most, options) {
  for (let i = 0; i < most; i++) if ((await gate.get(target, options)).status === 429) return i;
  return most;
}

test('a route, a user and a plan have limits of their own', async () => {
  const config = [
    'limits:',
    '  requests_per_minute: 50',
    '  routes:',
    '    - route: GET /api/v1/trading/orders',
    '      requests_per_minute: 3',
    '  plans:',
    '    - plan: small',
    '      requests_per_minute: 5',
    '  users:',
    '    - user: 2',
    '      plan: small',
    '    - user: 3',
    '      requests_per_minute: 7',
  ].join('\n');
  await withGate({ config, env: { RATE_LIMIT_REQUESTS_PER_MINUTE: null } }, async (gate) => {
    const [admin, small, own] = await Promise.all([
      gate.admin(),
      gate.login('user@example.com', 'user123'),
      gate.login('analyst@example.com', 'P@ssw0rd!'),
    ]);
    const profile = '/api/v1/users/profile';
    assert.equal(await passes(gate, profile, 20, { token: small.access_token }), 5);
    assert.equal(await passes(gate, profile, 20, { token: own.access_token }), 7);
    assert.equal(await passes(gate, profile, 20, { token: admin.access_token }), 20);
    const orders = '/api/v1/trading/orders';
    assert.equal(await passes(gate, orders, 20, { token: admin.access_token }), 3);
    const told = await gate.get(orders, { token: admin.access_token });
    assert.equal(told.headers['x-ratelimit-limit'], '3');
  });
});

test('X-Forwarded-For is believed from trusted proxies, read from the right', async () => {
  const env = { RATE_LIMIT_REQUESTS_PER_MINUTE: '3', TRUSTED_PROXIES: '127.0.6.0/24' };
  await withGate({ env }, async (gate) => {
    const ask = (chain, from) =>
      gate.get('/api/v1/auth/me', { from, headers: { 'X-Forwarded-For': chain } });
    // Behind the proxy each client has a budget of its own.
    for (let i = 1; i <= 5; i++)
      assert.equal((await ask(`203.0.113.${i}`, '127.0.6.1')).status, 401);
    // What stands left of the first untrusted address is the client's own invention.
    const statuses = [];
    for (let i = 1; i <= 5; i++)
      statuses.push((await ask(`198.51.100.${i}, 203.0.113.77, 127.0.6.2`, '127.0.6.1')).status);
    assert.deepEqual(statuses, [401, 401, 401, 429, 429]);
    // Who is no proxy is himself.
    const own = [];
    for (let i = 1; i <= 5; i++) own.push((await ask(`203.0.113.${100 + i}`, '127.0.7.1')).status);
    assert.deepEqual(own, [401, 401, 401, 429, 429]);
    // The log names the client, not the proxy.
    const id = unique('behind-');
    await gate.get('/health', {
      from: '127.0.6.1',
      headers: { 'X-Forwarded-For': '203.0.113.9', 'X-Request-ID': id },
    });
    assert.equal((await gate.line((line) => line.request_id === id)).client, '203.0.113.9');
  });
});

test('metrics are for the networks that may read them', async () => {
  await withGate({ config: 'metrics:\n  allow: [127.0.8.0/24]\n' }, async (gate) => {
    assert.equal((await gate.get('/metrics', { from: '127.0.8.1' })).status, 200);
    const refused = await gate.get('/metrics', {
      from: '127.0.9.1',
      headers: { 'X-Forwarded-For': '127.0.8.1' },
    });
    assert.ok([403, 404].includes(refused.status), String(refused.status));
    assertProblem(refused, refused.status);
  });
});

test('the log goes to a file, and to a new one after it was moved away', async () => {
  const file = path.join(temporaryFolder(), 'access.log');
  const lines = (name) => fs.readFileSync(name, 'utf8').split('\n').filter(Boolean);
  const holds = async (name, id) => {
    const deadline = Date.now() + 5000;
    while (!fs.existsSync(name) || !lines(name).some((line) => line.includes(id))) {
      assert.ok(Date.now() < deadline, `${id} is not in ${name}`);
      await sleep(20);
    }
  };
  await withGate({ config: `log:\n  path: ${file}\n` }, async (gate) => {
    const ask = (id) => gate.get('/health', { headers: { 'X-Request-ID': id } });
    await ask('before-the-move');
    await holds(file, 'before-the-move');
    fs.renameSync(file, `${file}.1`);
    await ask('still-in-the-old-file');
    await holds(`${file}.1`, 'still-in-the-old-file');
    gate.signal('SIGHUP');
    const deadline = Date.now() + 5000;
    while (!fs.existsSync(file)) {
      assert.ok(Date.now() < deadline, 'no new file');
      await sleep(20);
    }
    await ask('in-the-new-file');
    await holds(file, 'in-the-new-file');
    for (const line of [...lines(file), ...lines(`${file}.1`)]) JSON.parse(line);
    assert.equal(fs.statSync(file).mode & 0o007, 0, 'a log is not for everybody');
  });
});

test('SIGHUP takes over new settings, and keeps the old ones when they are wrong', async () => {
  const env = { RATE_LIMIT_REQUESTS_PER_MINUTE: null, ALLOWED_ORIGINS: null };
  await withGate({ config: 'limits:\n  requests_per_minute: 40\n', env }, async (gate) => {
    const limit = async (from) =>
      (await gate.get('/api/v1/auth/me', { from })).headers['x-ratelimit-limit'];
    const becomes = async (wanted, from) => {
      const deadline = Date.now() + 5000;
      while ((await limit(from)) !== wanted) {
        assert.ok(Date.now() < deadline, `never ${wanted}`);
        await sleep(50);
      }
    };
    assert.equal(await limit('127.0.11.1'), '40');
    rewrite(
      gate,
      'limits:\n  requests_per_minute: 90\ncors:\n  allowed_origins: [https://new.example]\n',
    );
    gate.signal('SIGHUP');
    await becomes('90', '127.0.11.2');
    const reply = await gate.get('/health', { headers: { Origin: 'https://new.example' } });
    assert.equal(reply.headers['access-control-allow-origin'], 'https://new.example');

    rewrite(gate, 'limits:\n  requests_per_minute: minus one\n');
    gate.signal('SIGHUP');
    await sleep(300);
    assert.equal(await limit('127.0.11.3'), '90');
    assert.match(gate.output, /portcullis\.yaml:2/);
  });
});

test('a password that was kept in another form is still the password', async () => {
  const data = temporaryFolder();
  const bcrypt = 'password:\n  scheme: bcrypt\n  bcrypt_cost: 10\n';
  const argon = 'password:\n  scheme: argon2id\n';
  let account;
  await withGate({ data, config: bcrypt }, async (gate) => {
    account = await gate.register();
  });
  for (const config of [argon, argon, bcrypt])
    await withGate({ data, config }, async (gate) => {
      assert.ok((await gate.login(account.email, account.password)).access_token);
      const wrong = { email: account.email, password: `${account.password}!` };
      assert.equal((await gate.post('/api/v1/auth/login', wrong)).status, 401);
    });
});

test('a secret that is changed ends every session it signed', async () => {
  const data = temporaryFolder();
  let account;
  await withGate({ data }, async (gate) => {
    account = await gate.register();
  });
  const env = { JWT_SECRET_KEY: 'another-Zk3p9Qw7Lx2Vb8Nm4Rt6Yh1Jc5Gd0Fs-secret-of-the-test' };
  await withGate({ data, env }, async (gate) => {
    const { access_token: token, refresh_token: refresh } = account.tokens;
    assert.equal((await gate.get('/api/v1/auth/me', { token })).status, 401);
    const reply = await gate.post('/api/v1/auth/refresh', { refresh_token: refresh });
    assert.equal(reply.status, 401);
    assert.ok((await gate.login(account.email, account.password)).access_token);
  });
});

test('without a secret development makes one and keeps it', async () => {
  const data = temporaryFolder();
  const env = { JWT_SECRET_KEY: null };
  let account;
  await withGate({ data, env }, async (gate) => {
    account = await gate.register();
  });
  await withGate({ data, env }, async (gate) => {
    const reply = await gate.get('/api/v1/auth/me', { token: account.tokens.access_token });
    assert.equal(reply.status, 200);
  });
});
