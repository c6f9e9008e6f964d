// SPDX-License-Identifier: MIT
// Starts the real program for a test file, on free ports and in a folder of its own, and speaks to
// it through plain sockets. Everything here is what a client could know: the contract's routes,
// fields, headers and settings. Programs are stopped by their own process id.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import nodeTest from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export { sleep };

/** A test that ends after a minute at most, unless it says otherwise. */
export const test = (name, run, { timeout = 60_000 } = {}) => nodeTest(name, { timeout }, run);

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const program = process.env.PORTCULLIS ?? path.join(root, 'build/portcullis');
export const secret = 'e2e-Qm9yZGVyLWxpbmUtc2VjcmV0LW9mLXRoZS10ZXN0cw-0123456789-abcdefghijklm';

/** How many times slower the program may be than it is by itself: under valgrind, say. */
const patience = Number(process.env.PORTCULLIS_PATIENCE ?? 1);

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

// Each process draws from two hundred ports of its own, below those that the kernel gives clients:
// what a program leaves for a moment, to be started again, nobody else takes meanwhile. Whoever
// listens on the first of them owns them, and no longer than it runs.
const listening = (port) =>
  new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(null));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });

let own;
let drawn = 0;
async function claimPorts() {
  for (let at = 0; at < 100; at++) {
    const first = 11_000 + ((process.pid + at) % 100) * 200;
    const owner = await listening(first);
    if (owner) return owner.unref() && first;
  }
  throw new Error('no two hundred ports are free');
}

/** Ports nobody listens on now; all are held until the last is found, so none is twice. */
async function freePorts(count) {
  const first = await (own ??= claimPorts());
  const servers = [];
  for (let tries = 0; servers.length < count; tries++) {
    assert.ok(tries < 199, `of the ports from ${first} on too few are free`);
    const server = await listening(first + 1 + (drawn++ % 199));
    if (server) servers.push(server);
  }
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** A port nobody listens on at this moment. */
export const freePort = async () => (await freePorts(1))[0];

const folders = new Set();
process.on('exit', () => {
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
});

/** A folder that is removed when this process ends. */
export function temporaryFolder() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'portcullis-e2e-'));
  folders.add(folder);
  return folder;
}

const portOf = (service) => `${service}_PORT`;

async function environment(data, overrides) {
  const names = ['PORT', ...['AUTH', 'ACCOUNT', 'TRANSACTION', 'AUDIT', 'MONITORING'].map(portOf)];
  // A port that a test chose may be drawn again: it is free until the program takes it.
  const taken = names.map((name) => overrides?.[name]).filter(Boolean);
  const free = (await freePorts(names.length + taken.length)).map(String);
  const fresh = free.filter((port) => !taken.includes(port));
  const ports = Object.fromEntries(names.map((name, at) => [name, fresh[at]]));
  const result = {
    PATH: process.env.PATH,
    HOME: data,
    TZ: 'UTC',
    LANG: 'C.UTF-8',
    HOST: '127.0.0.1',
    PORTCULLIS_DATA: path.join(data, 'data'),
    ENVIRONMENT: 'development',
    JWT_SECRET_KEY: secret,
    RATE_LIMIT_REQUESTS_PER_MINUTE: '60000',
    ...ports,
    ...overrides,
  };
  // What the sanitizers and coverage builds are told from outside must reach the program.
  for (const name of [
    'ASAN_OPTIONS',
    'UBSAN_OPTIONS',
    'LSAN_OPTIONS',
    'TSAN_OPTIONS',
    'LLVM_PROFILE_FILE',
    'GCOV_PREFIX',
  ])
    if (process.env[name]) result[name] = process.env[name];
  for (const name of Object.keys(result))
    if (result[name] === undefined || result[name] === null) delete result[name];
  return result;
}

/**
 * Runs a command of the program to its end: { code, signal, stdout, stderr }. Without a time limit
 * of its own a program that should refuse to start could run for ever.
 */
export async function command(
  args,
  { env = {}, data = temporaryFolder(), timeout = 10_000, input } = {},
) {
  const child = spawn(program, args, {
    env: await environment(data, env),
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  child.stdin?.end(input);
  running.add(child);
  const out = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    out.stderr += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  running.delete(child);
  return { code, signal, ...out };
}

/** Every code of docs/reasons.md that a request may be refused with. */
export const reasons = new Set(
  fs
    .readFileSync(path.join(root, 'docs/reasons.md'), 'utf8')
    .split(/^## /m)
    .filter((part) => part.startsWith('Answers'))
    .flatMap((part) => [...part.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, code]) => code)),
);

// Whatever a test did: no request was refused without a reason, or for one that is not listed. A
// test file fails by it at its end, when all that it started was stopped.
const unexplained = [];
function lookAtReasons(lines) {
  for (const line of lines.filter(({ event }) => event === 'http_request')) {
    const known = line.reason === undefined ? line.status_code < 400 : reasons.has(line.reason);
    const same = !line.error || line.error === 'end' || line.error === line.reason;
    const from = line.reason === undefined || /^(gateway|upstream|client)$/.test(line.source);
    if (!known || !same || !from) unexplained.push(line);
  }
}
process.on('exit', () => {
  if (unexplained.length === 0) return;
  console.error(`refused for no reason of docs/reasons.md:\n${JSON.stringify(unexplained[0])}`);
  process.exitCode = 1;
});

/** The running program. */
export class Portcullis {
  #child;
  #text = '';
  #ended;

  /**
   * Starts it and waits until it is ready. `config` is the text of a portcullis.yaml; `tls` holds
   * what a client needs ({ ca, cert, key }) when that turns HTTPS on; `only` names the services
   * that it serves, all without; `by` is a command that becomes the program.
   */
  static async start({ env = {}, config, data = temporaryFolder(), tls, only, by = [] } = {}) {
    for (let attempt = 1; ; attempt++) {
      const one = new Portcullis();
      one.data = data;
      one.tls = tls;
      await one.#spawn(env, config, only, by);
      if (await one.#ready()) return one;
      // Another program may have taken the port between our look and its start.
      if (attempt === 3 || !/address (already )?in use|EADDRINUSE/i.test(one.output))
        throw new Error(`portcullis did not become ready:\n${one.output}`);
    }
  }

  async #spawn(env, config, only, by) {
    const args = only ? ['serve', '--only', only] : ['serve'];
    if (config !== undefined) {
      const settings = path.join(this.data, 'portcullis.yaml');
      fs.writeFileSync(settings, config);
      args.push('--config', settings);
    }
    const full = await environment(this.data, env);
    this.port = Number(full.PORT);
    this.authPort = Number(full.AUTH_PORT);
    this.accountPort = Number(full.ACCOUNT_PORT);
    this.transactionPort = Number(full.TRANSACTION_PORT);
    this.auditPort = Number(full.AUDIT_PORT);
    this.monitoringPort = Number(full.MONITORING_PORT);
    const [first] = (only ?? 'gateway').split(',');
    this.readyPort = first === 'gateway' ? this.port : this[`${first}Port`];
    this.url = `${this.tls ? 'https' : 'http'}://127.0.0.1:${this.port}`;
    this.agent = new (this.tls ? https : http).Agent({ keepAlive: true, maxSockets: 64 });
    const [file, ...before] = [...by, program];
    this.#child = spawn(file, [...before, ...args], {
      env: full,
      cwd: this.data,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this.#child);
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        this.#text += text;
      });
    this.#ended = once(this.#child, 'close').then(([code, signal]) => {
      running.delete(this.#child);
      return { code, signal };
    });
  }

  async #ready() {
    const deadline = Date.now() + 20_000 * patience;
    while (Date.now() < deadline) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return false;
      try {
        const { status } = await this.request('GET', '/readyz', { port: this.readyPort });
        if (status === 200) return true;
      } catch {
        // not listening yet
      }
      await sleep(20);
    }
    await this.stop('SIGKILL');
    return false;
  }

  get pid() {
    return this.#child.pid;
  }

  /** All it has written so far. */
  get output() {
    return this.#text;
  }

  /** The JSON lines among it. */
  lines() {
    return this.#text.split('\n').flatMap((line) => {
      try {
        const value = JSON.parse(line);
        return value !== null && typeof value === 'object' ? [value] : [];
      } catch {
        return [];
      }
    });
  }

  /** Waits for a JSON line that satisfies `wanted`. */
  async line(wanted, timeout = 3000) {
    const deadline = Date.now() + timeout;
    for (;;) {
      const found = this.lines().find(wanted);
      if (found) return found;
      assert.ok(Date.now() < deadline, `no such log line in:\n${this.#text.slice(-4000)}`);
      await sleep(20);
    }
  }

  signal(name) {
    this.#child.kill(name);
  }

  /** Waits for its end: { code, signal }. */
  ended() {
    return this.#ended;
  }

  async stop(name = 'SIGTERM') {
    this.agent.destroy();
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(name);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 15_000 * patience);
    const result = await this.#ended;
    clearTimeout(timer);
    lookAtReasons(this.lines());
    return result;
  }

  /**
   * One request. `json` is sent as JSON, `body` as it is; `token` becomes a bearer token; `from` is
   * the loopback address to come from (127.0.0.0/8 is all ours), on a connection of its own.
   * `port` and `tls` are those of another listener than the gateway's.
   */
  request(
    method,
    target,
    { json, body, headers = {}, token, from, agent, signal, port = this.port, tls = this.tls } = {},
  ) {
    const all = { ...headers };
    let payload = body;
    if (json !== undefined) {
      payload = JSON.stringify(json);
      all['Content-Type'] ??= 'application/json';
    }
    if (payload !== undefined) all['Content-Length'] ??= Buffer.byteLength(payload);
    if (token !== undefined) all.Authorization = `Bearer ${token}`;
    return new Promise((resolve, reject) => {
      const req = (tls ? https : http).request(
        {
          host: '127.0.0.1',
          port,
          method,
          path: target,
          headers: all,
          signal,
          ...tls,
          agent: from ? false : (agent ?? this.agent),
          localAddress: from,
        },
        (res) => resolve(answer(res)),
      );
      req.on('error', reject);
      req.setTimeout(20_000 * patience, () =>
        req.destroy(new Error(`${method} ${target}: no answer in ${20 * patience} s`)),
      );
      req.end(payload);
    });
  }

  get(target, options) {
    return this.request('GET', target, options);
  }

  post(target, json, options = {}) {
    return this.request('POST', target, { json, ...options });
  }

  put(target, json, options = {}) {
    return this.request('PUT', target, { json, ...options });
  }

  patch(target, json, options = {}) {
    return this.request('PATCH', target, { json, ...options });
  }

  /** Sends raw bytes on a new connection and gives all that comes back until it is closed. */
  async raw(bytes, { timeout = 5000 } = {}) {
    const socket = net.connect(this.port, '127.0.0.1');
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    const timer = setTimeout(() => socket.destroy(), timeout);
    socket.write(bytes);
    await new Promise((resolve) => {
      socket.once('close', resolve); // events.once would take a reset for a failure
    });
    clearTimeout(timer);
    return Buffer.concat(chunks).toString('latin1');
  }

  /** A new account with its token pair: { username, email, password, tokens }. */
  async register(name = unique('user')) {
    const account = {
      username: name,
      email: `${name}@example.com`,
      password: 'correct horse 9 battery',
    };
    const reply = await this.post('/api/v1/auth/register', account);
    assert.equal(reply.status, 201, reply.text);
    return { ...account, tokens: reply.json };
  }

  async login(email, password) {
    const reply = await this.post('/api/v1/auth/login', { email, password });
    assert.equal(reply.status, 200, reply.text);
    return reply.json;
  }

  /** The administrator of the development data. */
  admin() {
    return this.login('admin@example.com', 'admin123');
  }
}

/**
 * A PostgreSQL server of its own: { env, url, port, through, control, query, stop }. It listens on
 * loopback, and on the address `listen` beside it.
 */
export async function startPostgres({ listen } = {}) {
  const more = listen ? ['--listen', listen] : [];
  const keeper = spawn(
    path.join(root, 'tests/with_postgres'),
    ['--no-fsync', ...more, 'sh', '-c', 'echo "$PORTCULLIS_TEST_POSTGRES_URL"; env; echo END; cat'],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  let text = '';
  keeper.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  const ended = once(keeper, 'close').then(([code]) => {
    throw new Error(`with_postgres ended with ${code}`);
  });
  ended.catch(() => {});
  while (!/^END$/m.test(text)) await Promise.race([sleep(50), ended]);
  const [url, ...lines] = text.split('\n');
  const environment = {};
  for (const line of lines) {
    const at = line.indexOf('=');
    if (at > 0) environment[line.slice(0, at)] = line.slice(at + 1);
  }
  return {
    url,
    port: Number(new URL(url).port),
    env: { DATABASE_URL: url, DATABASE_SSLMODE: 'disable' },
    /** The same, by way of another port. */
    through: (port) => {
      const other = new URL(url);
      other.port = String(port);
      return { DATABASE_URL: other.href, DATABASE_SSLMODE: 'disable' };
    },
    control: (what) =>
      execFileSync(environment.PORTCULLIS_TEST_POSTGRES, ['--control', what], {
        env: environment,
      }),
    /** One statement by psql, as text. */
    query: (sql) => execFileSync('psql', ['-XAtq', url, '-c', sql], { encoding: 'utf8' }).trim(),
    async stop() {
      keeper.stdin.end();
      if (keeper.exitCode === null) await once(keeper, 'close');
    },
  };
}

async function answer(res) {
  const chunks = [];
  for await (const chunk of res) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const result = {
    status: res.statusCode,
    headers: res.headers,
    raw: res.rawHeaders,
    bytes,
    text: bytes.toString('utf8'),
    json: undefined,
  };
  if (/[/+]json\b/.test(res.headers['content-type'] ?? '') && bytes.length > 0)
    result.json = JSON.parse(result.text);
  return result;
}

let counter = 0;
/** A name no other test of this run uses. */
export function unique(prefix) {
  counter += 1;
  return `${prefix}${process.pid}x${counter}`;
}

export const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const fixed = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'x-xss-protection': '1; mode=block',
  'strict-transport-security': 'max-age=63072000; includeSubDomains; preload',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
};

/** Every header that every answer carries, each of them once. */
export function assertHeaders(reply, { page = false } = {}) {
  for (const [name, value] of Object.entries(fixed)) {
    if (page && name === 'content-security-policy')
      assert.match(reply.headers[name], /^default-src 'none'; script-src 'self';/);
    else assert.equal(reply.headers[name], value, name);
  }
  assert.match(reply.headers['x-request-id'] ?? '', /^[A-Za-z0-9._~+/=-]{1,128}$/);
  assert.match(reply.headers['x-process-time'] ?? '', /^\d+(\.\d+)?$/);
  const names = reply.raw.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  for (const name of [
    ...Object.keys(fixed),
    'x-request-id',
    'x-process-time',
    'content-type',
    'content-length',
  ])
    assert.ok(names.filter((other) => other === name).length <= 1, `${name} is repeated`);
  assert.doesNotMatch(reply.headers.server ?? '', /\d/, "the version is nobody's business");
}

/** A problem of RFC 9457 with the contract's members. */
export function assertProblem(reply, status) {
  assert.equal(reply.status, status, reply.text);
  assert.match(reply.headers['content-type'] ?? '', /^application\/problem\+json\b/);
  assert.equal(reply.json.status, status);
  for (const name of ['type', 'title', 'detail', 'instance', 'traceId'])
    assert.equal(typeof reply.json[name], 'string', `${name} of ${reply.text}`);
  assert.ok(reply.json.title.length > 0);
  assertHeaders(reply);
}

/** A 401 says how to authenticate (RFC 6750, 3). */
export function assertUnauthorized(reply) {
  assertProblem(reply, 401);
  assert.match(reply.headers['www-authenticate'] ?? '', /^Bearer\b/);
}

/** A 422 names the fields, and repeats nothing of what was sent. */
export function assertInvalid(reply, fields, sent = []) {
  assertProblem(reply, 422);
  assert.deepEqual(
    [...new Set(reply.json.errors.map((error) => error.field))].sort(),
    [...fields].sort(),
  );
  for (const error of reply.json.errors) assert.ok(error.message.length > 0);
  for (const value of sent) assert.ok(!reply.text.includes(value), `${value} was repeated`);
}

/** The shape of a token pair. */
export function assertPair(pair, seconds = 1800) {
  assert.deepEqual(Object.keys(pair).sort(), [
    'access_token',
    'expires_in',
    'refresh_token',
    'token_type',
  ]);
  assert.equal(pair.token_type, 'bearer');
  assert.equal(pair.expires_in, seconds);
  assert.match(pair.access_token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
  assert.ok(pair.refresh_token.length >= 32);
  assert.notEqual(pair.refresh_token, pair.access_token);
}
