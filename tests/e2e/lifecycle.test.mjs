// SPDX-License-Identifier: MIT
// Starting, stopping, being watched: signals, durability, logs, metrics, refusal to start unsafe.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before } from 'node:test';
import {
  assertHeaders,
  assertProblem,
  command,
  Portcullis,
  sleep,
  temporaryFolder,
  test,
  unique,
  uuid,
} from './harness.mjs';

let gate;
before(async () => {
  gate = await Portcullis.start();
});
after(() => gate?.stop());

test('alive and ready need no token', async () => {
  for (const target of ['/livez', '/readyz']) {
    const reply = await gate.get(target);
    assert.equal(reply.status, 200);
    assertHeaders(reply);
  }
});

test('the first start in development tells its example users once', async () => {
  assert.match(gate.output, /admin@example\.com/);
  const again = await Portcullis.start({ data: temporaryFolder() });
  const { data } = again;
  await again.stop();
  const second = await Portcullis.start({ data });
  assert.doesNotMatch(second.output, /admin123/);
  await second.stop();
});

test('a request leaves one line that says what was done, and nothing secret', async () => {
  const account = await gate.register(unique('logged'));
  const id = unique('line-');
  await gate.get('/api/v1/users/profile?email=leak@example.com', {
    token: account.tokens.access_token,
    headers: { 'X-Request-ID': id, 'x-mtls-client-cn': 'forged' },
  });
  const line = await gate.line(
    (entry) => entry.event === 'http_request' && entry.request_id === id,
  );
  assert.equal(line.method, 'GET');
  assert.equal(line.path, '/api/v1/users/profile');
  assert.equal(line.route, '/api/v1/users/profile');
  assert.equal(line.status_code, 200);
  assert.equal(typeof line.duration_ms, 'number');
  assert.match(line.trace_id, /^[0-9a-f]{32}$/);
  assert.ok(line.client);
  assert.equal(typeof line.service, 'string');
  assert.equal(typeof line.compliance, 'object');
  assert.ok(Array.isArray(line.compliance.regimes));
  assert.equal(typeof line.compliance.data_classification, 'string');
  assert.ok('mtls_subject' in line);
  assert.notEqual(line.mtls_subject, 'forged');
  assert.match(line.ts, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
  assert.equal(
    gate.lines().filter((entry) => entry.request_id === id && entry.event === 'http_request')
      .length,
    1,
  );
  for (const secret of [
    account.password,
    account.tokens.access_token,
    account.tokens.refresh_token,
  ])
    assert.ok(!gate.output.includes(secret));
});

test('the trace a client is in goes on', async () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const id = unique('trace-');
  await gate.get('/health', {
    headers: { 'X-Request-ID': id, 'traceparent': `00-${trace}-00f067aa0ba902b7-01` },
  });
  assert.equal((await gate.line((entry) => entry.request_id === id)).trace_id, trace);
});

test('a path that does not exist is logged without becoming a route', async () => {
  const id = unique('lost-');
  await gate.get('/wp-admin/setup.php', { headers: { 'X-Request-ID': id } });
  const line = await gate.line((entry) => entry.request_id === id);
  assert.equal(line.status_code, 404);
  assert.equal(line.path, '/wp-admin/setup.php');
  assert.notEqual(line.route, '/wp-admin/setup.php');
});

test('a line cannot be broken by what a client sends', async () => {
  const id = unique('inject-');
  await gate.get('/health/%0a%7b%22event%22%3a%22forged%22%7d', {
    headers: { 'X-Request-ID': id },
  });
  await gate.get('/health', {
    headers: { 'X-Request-ID': `${id}b`, 'User-Agent': '\x80\xff"}{"event":"forged"' },
  });
  await gate.line((entry) => entry.request_id === `${id}b`);
  assert.equal(gate.lines().filter((entry) => entry.event === 'forged').length, 0);
});

const metricName = '[a-z_:][a-z0-9_:]*';
const metricLabels = '(\\{([a-z_]+="([^"\\\\\\n]|\\\\.)*",?)*\\})?';
const metricLine = new RegExp(
  `^(# (HELP|TYPE) ${metricName} .+|${metricName}${metricLabels} [-+.\\dNaInfe]+)$`,
);

test('metrics count requests by route, never by path or person', async () => {
  const account = await gate.register();
  await gate.get('/api/v1/users/profile', { token: account.tokens.access_token });
  for (let i = 0; i < 20; i++) await gate.get(`/random/${i}/path`);
  const reply = await gate.get('/metrics');
  assert.equal(reply.status, 200);
  assert.match(reply.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  assertHeaders(reply);
  const text = reply.text;
  assert.match(text, /^# TYPE http_requests_total counter$/m);
  assert.match(text, /^http_requests_total\{[^}]*route="\/api\/v1\/users\/profile"[^}]*\} \d+$/m);
  const row = text
    .split('\n')
    .find((line) => line.startsWith('http_requests_total{') && line.includes('/users/profile'));
  for (const label of ['service', 'route', 'method', 'status'])
    assert.match(row, new RegExp(`[{,]${label}="[^"]+"`));
  assert.match(text, /^# TYPE http_request_duration_seconds histogram$/m);
  assert.match(text, /^http_request_duration_seconds_bucket\{[^}]*le="\+Inf"[^}]*\} \d+$/m);
  assert.match(text, /^http_request_duration_seconds_sum/m);
  assert.match(text, /^http_request_duration_seconds_count/m);
  for (const word of ['breaker', 'rate_limit', 'queue'])
    assert.match(text, new RegExp(`^[a-z_]*${word}[a-z_]*`, 'm'), word);
  assert.ok(!text.includes('/random/'));
  assert.ok(!text.includes(account.username));
  assert.ok(!text.includes('127.0.0.1'));
  for (const line of text.split('\n').filter(Boolean))
    assert.match(
      line,
      metricLine,
    );
});

test('users, sessions and what ended them survive a restart', async () => {
  const data = temporaryFolder();
  const first = await Portcullis.start({ data });
  const [stays, leaves] = [await first.register(), await first.register()];
  await first.request('POST', '/api/v1/auth/logout', { token: leaves.tokens.access_token });
  await first.stop();
  const second = await Portcullis.start({ data });
  try {
    assert.ok((await second.login(stays.email, stays.password)).access_token);
    assert.equal(
      (await second.get('/api/v1/auth/me', { token: stays.tokens.access_token })).status,
      200,
    );
    assert.equal(
      (await second.post('/api/v1/auth/refresh', { refresh_token: stays.tokens.refresh_token }))
        .status,
      200,
    );
    assert.equal(
      (await second.get('/api/v1/auth/me', { token: leaves.tokens.access_token })).status,
      401,
    );
    assert.equal(
      (await second.post('/api/v1/auth/refresh', { refresh_token: leaves.tokens.refresh_token }))
        .status,
      401,
    );
  } finally {
    await second.stop();
  }
});

test('an answered registration survives being killed', async () => {
  const data = temporaryFolder();
  const first = await Portcullis.start({ data });
  const account = await first.register();
  first.signal('SIGKILL');
  await first.ended();
  const second = await Portcullis.start({ data });
  try {
    assert.ok((await second.login(account.email, account.password)).access_token);
  } finally {
    await second.stop();
  }
});

test('the data folder is for its owner alone', async () => {
  const folder = path.join(gate.data, 'data');
  assert.equal(fs.statSync(folder).mode & 0o777, 0o700);
  for (const name of fs.readdirSync(folder))
    assert.equal(fs.statSync(path.join(folder, name)).mode & 0o077, 0, name);
});

test('SIGTERM finishes what is under way, then ends well', async () => {
  const one = await Portcullis.start();
  const account = await one.register();
  const body = JSON.stringify({ email: account.email, password: account.password });
  const socket = net.connect(one.port, '127.0.0.1');
  const idle = net.connect(one.port, '127.0.0.1');
  await Promise.all([once(socket, 'connect'), once(idle, 'connect')]);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  idle.on('error', () => {});
  socket.write(
    'POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n' +
      `Content-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
  );
  await sleep(200);
  one.signal('SIGTERM');
  await sleep(300);
  socket.write(body.slice(10));
  await once(socket, 'close');
  assert.match(text, /^HTTP\/1\.1 200 /);
  assert.match(text, /access_token/);
  assert.match(text, /^connection: close/im);
  const { code, signal } = await one.ended();
  assert.equal(signal, null);
  assert.equal(code, 0);
  await assert.rejects(one.request('GET', '/health', { agent: false }));
  one.agent.destroy();
});

test('SIGTERM with notice: /readyz says it, and everything else is answered', async () => {
  const one = await Portcullis.start({ config: 'shutdown: {notice_seconds: 600}\n' });
  const account = await one.register();
  one.signal('SIGTERM');
  await one.line(({ event }) => event === 'leaving', 30_000);
  const ready = await one.get('/readyz');
  assertProblem(ready, 503);
  assert.match(ready.json.type, /:draining$/);
  assert.equal((await one.get('/livez')).status, 200);
  const login = { email: account.email, password: account.password };
  const reply = await one.post('/api/v1/auth/login', login);
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.connection, 'close');
  one.signal('SIGHUP'); // is no reason to hurry
  assert.equal((await one.get('/livez')).status, 200);
  assert.deepEqual(await one.stop('SIGTERM'), { code: 0, signal: null });
});

test('SIGTERM does not wait for who only sits there', async () => {
  const one = await Portcullis.start();
  const idle = net.connect(one.port, '127.0.0.1');
  await once(idle, 'connect');
  idle.on('error', () => {});
  const started = Date.now();
  assert.deepEqual(await one.stop('SIGTERM'), { code: 0, signal: null });
  assert.ok(Date.now() - started < 3000, `${Date.now() - started} ms`);
});

test('SIGHUP drops no request and no session', async () => {
  const one = await Portcullis.start();
  try {
    const { tokens } = await one.register();
    let going = true;
    const statuses = new Set();
    const traffic = Array.from({ length: 4 }, async () => {
      while (going)
        statuses.add(
          (await one.get('/api/v1/users/profile', { token: tokens.access_token })).status,
        );
    });
    for (let i = 0; i < 5; i++) {
      one.signal('SIGHUP');
      await sleep(100);
    }
    going = false;
    await Promise.all(traffic);
    assert.deepEqual([...statuses], [200]);
  } finally {
    assert.deepEqual(await one.stop(), { code: 0, signal: null });
  }
});

const strong = 'Zk3p9Qw7Lx2Vb8Nm4Rt6Yh1Jc5Gd0Fs-unguessable-and-long-enough';
const production = {
  ENVIRONMENT: 'production',
  TLS_TERMINATED_IN_FRONT: 'true',
  ALLOWED_ORIGINS: 'https://app.example.com',
  AUTH_JWT_ISSUER: 'https://auth.example.com',
};

test('production does not start on a weak, known or missing secret', async () => {
  for (const weak of [
    null,
    '',
    'secret',
    'changeme',
    'your-secret-key-change-in-production',
    'short',
    'a'.repeat(64),
    'your-super-secret-key',
  ]) {
    const { code, stdout, stderr } = await command(['serve'], {
      env: { ...production, JWT_SECRET_KEY: weak },
    });
    const text = stdout + stderr;
    assert.ok(code === 1 || code === 2, `code ${code} for ${weak}: ${text}`);
    assert.match(text, /JWT_SECRET_KEY|jwt\.secret/, `for ${weak}`);
    if (weak?.length > 6) assert.ok(!text.includes(weak), `the secret was printed: ${text}`);
    assert.ok(text.length < 2000, 'a clear sentence is short');
  }
});

test('production does not start with any origin or in plain HTTP', async () => {
  const origins = await command(['serve'], {
    env: { ...production, JWT_SECRET_KEY: strong, ALLOWED_ORIGINS: '*' },
  });
  assert.ok([1, 2].includes(origins.code), origins.stderr);
  assert.match(origins.stdout + origins.stderr, /origin/i);
  const plain = await command(['serve'], {
    env: { ...production, JWT_SECRET_KEY: strong, TLS_TERMINATED_IN_FRONT: null },
  });
  assert.ok([1, 2].includes(plain.code), plain.stderr);
  assert.match(plain.stdout + plain.stderr, /TLS|HTTPS/);
});

test('production does not start with the issuer that everybody knows', async () => {
  for (const issuer of [null, 'https://auth-service.local', 'http://auth.example.com']) {
    const { code, stderr } = await command(['serve'], {
      env: { ...production, JWT_SECRET_KEY: strong, AUTH_JWT_ISSUER: issuer },
    });
    assert.equal(code, 1, stderr);
    assert.match(stderr, /oauth\.issuer: .*(AUTH_JWT_ISSUER|HTTPS)/);
  }
});

test('production starts on a strong secret, with no example user', async () => {
  const one = await Portcullis.start({ env: { ...production, JWT_SECRET_KEY: strong } });
  try {
    for (const [email, password] of [
      ['admin@example.com', 'admin123'],
      ['user@example.com', 'user123'],
    ])
      assert.equal((await one.post('/api/v1/auth/login', { email, password })).status, 401);
    assert.doesNotMatch(one.output, /admin123/);
    assert.ok(!one.output.includes(strong));
    // The first admin comes from the command line, beside the running program.
  } finally {
    await one.stop();
  }
});

test('a taken port is said in one sentence', async () => {
  const { code, stdout, stderr } = await command(['serve'], { env: { PORT: String(gate.port) } });
  assert.ok([1, 2].includes(code), `${code}: ${stderr}`);
  assert.match(stdout + stderr, new RegExp(String(gate.port)));
  assert.match(stdout + stderr, /in use/i);
});

test('a bad setting is said with its name', async () => {
  for (const [name, value] of [
    ['PORT', 'eighty'],
    ['RATE_LIMIT_REQUESTS_PER_MINUTE', '-5'],
    ['JWT_ALGORITHM', 'none'],
    ['DATABASE_URL', 'mysql://x'],
    ['ACCESS_TOKEN_EXPIRE_MINUTES', '0'],
  ]) {
    const { code, stdout, stderr } = await command(['serve'], { env: { [name]: value } });
    assert.ok([1, 2].includes(code), `${name}=${value}: ${code} ${stderr}`);
    assert.match(stdout + stderr, new RegExp(name), `${name}=${value}`);
  }
});

test('the life of an access token is a setting', async () => {
  const one = await Portcullis.start({ env: { ACCESS_TOKEN_EXPIRE_MINUTES: '5' } });
  try {
    assert.equal((await one.admin()).expires_in, 300);
  } finally {
    await one.stop();
  }
});

test('request ids are never given twice', async () => {
  const seen = new Set();
  const replies = await Promise.all(Array.from({ length: 300 }, () => gate.get('/health')));
  for (const reply of replies) {
    assert.match(reply.headers['x-request-id'], uuid);
    seen.add(reply.headers['x-request-id']);
  }
  assert.equal(seen.size, replies.length);
});
