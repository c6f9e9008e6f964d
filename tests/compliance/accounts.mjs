// SPDX-License-Identifier: MIT
// Accounts of users: passwords, guessing, sessions, and what becomes of those who are shut out.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { command, unique } from '../e2e/harness.mjs';

const configured = (world, name, config, env) =>
  world.once(`configured ${name}`, async () => ({ gate: await world.plain({ config, env }) }));
const registered = (gate, password) => {
  const username = unique('person');
  const email = `${username}@example.com`;
  return gate.post('/api/v1/auth/register', { username, email, password });
};

const length = {
  name: 'password-length',
  about: 'A new password is at least as long as the setting says, here twelve characters',
  how: 'password.length_min: 8',
  red: /a password of eleven characters was taken/,
  on: (world) => configured(world, 'strict', 'password:\n  length_min: 12\n'),
  off: (world) => configured(world, 'lax', 'password:\n  length_min: 8\n  common: allow\n'),
  async probe({ gate }) {
    const short = await registered(gate, 'Zq7!xw-Lk4v');
    const told = `a password of eleven characters was taken: ${short.status}`;
    assert.equal(short.status, 422, told);
    assert.equal((await registered(gate, 'Zq7!xw-Lk4vT')).status, 201);
  },
};

const common = {
  name: 'password-common',
  about: 'A new password that stands in a dictionary of common ones is refused',
  how: 'password.common: allow',
  red: /a common password was taken/,
  on: (world) => configured(world, 'strict', 'password:\n  length_min: 12\n'),
  off: (world) => configured(world, 'lax', 'password:\n  length_min: 8\n  common: allow\n'),
  async probe({ gate }) {
    for (const password of ['constitutional', 'administrator', 'troubleshooting']) {
      const { status } = await registered(gate, password);
      assert.equal(status, 422, `a common password was taken: ${status}`);
    }
  },
};

const hashed = {
  name: 'password-hash',
  about: 'Passwords are kept only as Argon2id hashes of at least 19 MiB and two passes',
  how: 'password.argon2_memory_kib: 1024',
  red: /kept with too little work/,
  on: (world) => configured(world, 'strict', 'password:\n  length_min: 12\n'),
  off: (world) => configured(world, 'weak hash', 'password:\n  argon2_memory_kib: 1024\n'),
  async probe({ gate }) {
    const password = 'a Horse, Battery 94';
    assert.equal((await registered(gate, password)).status, 201);
    const database = path.join(gate.data, 'data/portcullis.db');
    const args = ['-readonly', database, '.dump users'];
    const dump = execFileSync('sqlite3', args, { encoding: 'utf8' });
    assert.ok(!dump.includes(password), 'the password itself was kept');
    const hashes = [...dump.matchAll(/\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/g)];
    assert.ok(hashes.length > 0, 'kept with too little work: no Argon2id');
    for (const [, memory, passes] of hashes)
      assert.ok(Number(memory) >= 19456 && Number(passes) >= 2, 'kept with too little work');
  },
};

const guessing = {
  name: 'password-guessing',
  about: 'Who guesses the password of a user is stopped after at most ten tries',
  how: 'a stand-in that lets every guess come from another address',
  red: /ten guesses and no end/,
  on: async (world) => ({ gate: (await world.base()).gate, port: (await world.base()).gate.port }),
  async off(world) {
    const { gate } = await world.base();
    let next = 1;
    const port = await world.standIn(gate.port, {
      before: (request) => {
        next += 1;
        request.localAddress = `127.0.77.${next}`;
      },
    });
    return { gate, port };
  },
  async probe({ gate, port }) {
    const { email } = await gate.register();
    for (let i = 0; i < 10; i++) {
      const wrong = { email, password: `guess number ${i}` };
      const reply = await gate.post('/api/v1/auth/login', wrong, { port, agent: false });
      if (reply.status === 429) return;
      assert.equal(reply.status, 401, reply.text);
    }
    assert.fail('ten guesses and no end');
  },
};

/** A stand-in that says yes to what it does not pass on. */
const swallowing = (world, gate, method, pattern) =>
  world.standIn(gate.port, {
    before: ({ method: asked, url }) =>
      asked === method && pattern.test(url)
        ? {
            status: 200,
            headers: { 'content-type': 'application/json' },
            body: Buffer.from('{}'),
          }
        : undefined,
  });

const logout = {
  name: 'session-ended',
  about: 'After a logout the tokens of the session are refused',
  how: 'a stand-in that answers the logout and does not pass it on',
  red: /worked after the logout/,
  on: async (world) => ({ port: (await world.base()).gate.port }),
  off: async (world) => ({
    port: await swallowing(world, (await world.base()).gate, 'POST', /\/auth\/logout$/),
  }),
  async probe({ port }, world) {
    const { gate } = await world.base();
    const { tokens } = await gate.register();
    const token = tokens.access_token;
    const left = await gate.post('/api/v1/auth/logout', undefined, { token, port, agent: false });
    assert.equal(left.status, 200, left.text);
    const again = await gate.get('/api/v1/auth/me', { token });
    assert.equal(again.status, 401, `the token worked after the logout: ${again.status}`);
    const { refresh_token } = tokens;
    const next = await gate.post('/api/v1/auth/refresh', { refresh_token });
    assert.equal(next.status, 401, `the refresh token worked after the logout: ${next.status}`);
  },
};

const deactivated = {
  name: 'user-deactivated',
  about: 'A deactivated user is refused, with the tokens at hand and at the next sign-in',
  how: 'a stand-in that answers the change and does not pass it on',
  red: /a deactivated user was let in/,
  on: async (world) => ({ port: (await world.base()).gate.port }),
  off: async (world) => ({
    port: await swallowing(world, (await world.base()).gate, 'PATCH', /\/admin\/users\//),
  }),
  async probe({ port }, world) {
    const op = await world.base();
    const person = await world.person(op);
    const { access_token: token } = await op.gate.admin();
    const change = { is_active: false };
    const target = `/api/v1/admin/users/${person.id}`;
    const done = await op.gate.patch(target, change, { token, port, agent: false });
    assert.equal(done.status, 200, done.text);
    for (let i = 0; i < 60; i++) {
      const { status } = await op.gate.get('/api/v1/auth/me', { token: person.token });
      if (status === 401) break;
      assert.ok(i < 59, `a deactivated user was let in: ${status}`);
      await new Promise((resolve) => {
        setTimeout(resolve, 100);
      });
    }
    const { email, password } = person;
    const { status } = await op.gate.post('/api/v1/auth/login', { email, password });
    assert.equal(status, 403, `a deactivated user was let in: ${status}`);
  },
};

const replay = {
  name: 'refresh-replay',
  about: 'A refresh token works once; the second use ends the session',
  how: 'jwt.grace_seconds: 60, so that a second use is answered again',
  red: /a used refresh token was taken/,
  on: (world) => configured(world, 'no grace', 'jwt:\n  grace_seconds: 0\n'),
  off: (world) => configured(world, 'grace', 'jwt:\n  grace_seconds: 60\n'),
  async probe({ gate }) {
    const { tokens } = await gate.register();
    const refresh = (refresh_token) => gate.post('/api/v1/auth/refresh', { refresh_token });
    const next = await refresh(tokens.refresh_token);
    assert.equal(next.status, 200, next.text);
    const again = await refresh(tokens.refresh_token);
    assert.equal(again.status, 401, `a used refresh token was taken: ${again.status}`);
    const family = await refresh(next.json.refresh_token);
    assert.equal(family.status, 401, `a used refresh token was taken: ${family.status}`);
  },
};

const life = {
  name: 'token-life',
  about: 'Access tokens live half an hour at most',
  how: 'ACCESS_TOKEN_EXPIRE_MINUTES=1440',
  red: /lives longer than half an hour/,
  on: async (world) => ({ gate: (await world.base()).gate }),
  off: (world) => configured(world, 'long', '', { ACCESS_TOKEN_EXPIRE_MINUTES: '1440' }),
  async probe({ gate }) {
    const { tokens } = await gate.register();
    const [, body] = tokens.access_token.split('.');
    const { iat, exp } = JSON.parse(Buffer.from(body, 'base64url').toString());
    assert.ok(exp - iat <= 1800, `a token lives longer than half an hour: ${exp - iat} s`);
  },
};

const production = {
  name: 'production-refuses',
  about: 'Production does not start with a known secret, in plain HTTP or with open CORS',
  how: 'ENVIRONMENT=development',
  red: /unsafe settings were taken/,
  on: () => 'production',
  off: () => 'development',
  async probe(environment) {
    const strong = {
      ENVIRONMENT: environment,
      TLS_TERMINATED_IN_FRONT: 'true',
      AUTH_JWT_ISSUER: 'https://auth.example.com',
      ALLOWED_ORIGINS: 'https://app.example.com',
    };
    const check = (env) => command(['check'], { env: { ...strong, ...env } });
    const whole = await check({});
    assert.equal(whole.code, 0, `good settings were refused: ${whole.stderr}`);
    for (const weak of [
      { JWT_SECRET_KEY: 'change-me' },
      { JWT_SECRET_KEY: undefined },
      { TLS_TERMINATED_IN_FRONT: undefined },
    ]) {
      const { code } = await check(weak);
      assert.equal(code, 1, `unsafe settings were taken: ${JSON.stringify(Object.keys(weak))}`);
    }
  },
};

export const checks = [
  length,
  common,
  hashed,
  guessing,
  logout,
  deactivated,
  replay,
  life,
  production,
];
