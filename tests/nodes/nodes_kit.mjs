// SPDX-License-Identifier: MIT
// Three nodes on one PostgreSQL and one Redis, each with a data folder and a place of its own.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import {
  command,
  program,
  secret,
  sleep,
  startPostgres,
  temporaryFolder,
} from '../e2e/harness.mjs';
import { Redis } from '../e2e/limits_shared_kit.mjs';
import { Bouncer } from './bouncer.mjs';
import { here, makeSwitches, Place } from './cables.mjs';

export const ports = { gateway: 8000, auth: 8001, account: 8002, transaction: 8003 };
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Until what `look` gives is true. */
export async function until(look, what, ms = 60_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, `waited in vain: ${what}`);
    await sleep(20);
  }
}

export const pick = (list) => list[Math.floor(Math.random() * list.length)];

// ---- a node -------------------------------------------------------------------------------------

export class Node {
  constructor(place, env, config) {
    this.place = place;
    this.data = temporaryFolder();
    this.env = { ...env, HOST: place.address, PORTCULLIS_DATA: path.join(this.data, 'data') };
    this.file = path.join(this.data, 'portcullis.yaml');
    fs.writeFileSync(this.file, config);
    this.name = `node ${place.number}`;
    this.log = '';
  }

  async start() {
    const words = [...this.place.enter, program, 'serve', '--config', this.file];
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
    this.child = spawn('nsenter', words, {
      env: { PATH: process.env.PATH, HOME: this.data, TZ: 'UTC', LANG: 'C.UTF-8', ...this.env },
      cwd: this.data,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this.child);
    for (const stream of [this.child.stdout, this.child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        this.log = (this.log + text).slice(-4_000_000);
      });
    this.ended = once(this.child, 'close').then((how) => {
      running.delete(this.child);
      return how;
    });
    await this.ready();
  }

  async ready() {
    await until(async () => {
      assert.equal(this.child.exitCode, null, `${this.name} ended:\n${this.log.slice(-3000)}`);
      return (await this.ask('gateway', 'GET', '/readyz').catch(() => ({}))).status === 200;
    }, `${this.name} is ready`);
  }

  /** Ends it with a signal: [code, signal]. */
  async end(signal) {
    if (this.child && this.child.exitCode === null && this.child.signalCode === null)
      this.child.kill(signal);
    const how = await this.ended;
    this.agent?.destroy();
    return how;
  }

  /** One request of a client: { status, headers, text }; a rejection says that nothing came. */
  ask(service, method, target, { json, form, token, headers = {}, timeout = 10_000, agent } = {}) {
    const body = form ? new URLSearchParams(form).toString() : json && JSON.stringify(json);
    const all = { ...headers };
    if (body !== undefined) {
      all['Content-Type'] = form ? 'application/x-www-form-urlencoded' : 'application/json';
      all['Content-Length'] = Buffer.byteLength(body);
    }
    if (token !== undefined) all.Authorization = `Bearer ${token}`;
    return new Promise((resolve, reject) => {
      const req = http.request(
        {
          host: this.place.address,
          port: ports[service],
          method,
          path: target,
          headers: all,
          agent: agent ?? this.agent,
        },
        (res) => {
          const chunks = [];
          res.on('data', (chunk) => chunks.push(chunk));
          res.on('error', reject);
          res.on('close', () => {
            if (!res.complete) return reject(new Error('cut'));
            const text = Buffer.concat(chunks).toString('utf8');
            return resolve({ status: res.statusCode, headers: res.headers, text });
          });
        },
      );
      req.on('error', reject);
      req.setTimeout(timeout, () => req.destroy(new Error('no answer')));
      req.end(body);
    });
  }
}

// ---- all of them --------------------------------------------------------------------------------

export const perMinute = 120; // of each limited route, by all nodes
const unlimited = [
  ['POST', '/transfers'],
  ['POST', '/auth/token'],
  ['POST', '/auth/revoke'],
  ['POST', '/api/v1/auth/logout'],
  ['GET', '/accounts/{id}'],
  ['POST', '/accounts'],
];

const configOf = (port) => `workers: {loops: 1}
jwt: {grace_seconds: 0}
shutdown: {notice_seconds: 2}
redis: {timeout_ms: 1000}
circuit_breaker: {timeout_seconds: 1}
limits:
  shared: {nodes: 3}
  routes:
${unlimited
  .map(([method, at]) => `    - {route: "${method} ${at}", requests_per_minute: 1000000}\n`)
  .join('')}upstreams:
  - name: behind
    targets: [{url: "http://${here('front')}:${port}"}]
routes:
${['deny', 'local_share']
  .map(
    (outage) => `  - {path: /${outage}, upstream: behind, access: open,
     limits: [{per: minute, requests: ${perMinute}, key: route}],
     shared: {mode: exact, on_outage: ${outage}}}
`,
  )
  .join('')}`;

export class World {
  static async start() {
    const world = new World();
    makeSwitches();
    world.postgres = await startPostgres({ listen: here('store') });
    world.bouncer = await Bouncer.start(world.postgres.url);
    world.redis = await Redis.start({ listen: here('limits'), durable: true });
    world.behind = http.createServer((req, res) => res.end('behind')).listen(0, here('front'));
    await once(world.behind, 'listening');
    const shared = temporaryFolder();
    world.key = path.join(shared, 'audit.pem');
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', world.key]);
    world.env = {
      ENVIRONMENT: 'development',
      JWT_SECRET_KEY: secret,
      DATABASE_SSLMODE: 'disable',
      AUTH_JWT_ISSUER: 'https://three-nodes.example',
      AUDIT_KEY_PATH: world.key,
      RATE_LIMIT_REQUESTS_PER_MINUTE: '1000000',
    };
    const url = new URL(world.postgres.url);
    url.hostname = here('store');
    const env = {
      ...world.env,
      REDIS_URL: `redis://${here('limits')}:${world.redis.port}`,
    };
    world.nodes = [];
    for (const number of [1, 2, 3]) {
      const place = await Place.make(number);
      const config = configOf(world.behind.address().port);
      if (number === 3) url.port = world.bouncer.port; // that one goes by way of it
      const own = { DATABASE_URL: url.href, PORTCULLIS_NODE: `node-${number}` };
      world.nodes.push(new Node(place, { ...env, ...own }, config));
    }
    await Promise.all(world.nodes.map((node) => node.start()));
    return world;
  }

  /** A command of the program beside the nodes, over loopback. */
  command(...args) {
    return this.commandAt(undefined, ...args);
  }

  /** The same with the data folder of a node. */
  async commandAt(node, ...args) {
    const env = { ...this.env, ...this.postgres.env };
    const done = await command(args, { env, timeout: 60_000, ...(node && { data: node.data }) });
    assert.equal(done.code, 0, `${args.join(' ')}: ${done.stdout}${done.stderr}`);
    return done.stdout;
  }

  async ready() {
    await Promise.all(this.nodes.map((node) => node.ready()));
  }

  async stop() {
    await Promise.all((this.nodes ?? []).map((node) => node.end('SIGKILL')));
    await Promise.all((this.nodes ?? []).map((node) => node.place.remove()));
    this.behind?.close();
    await this.redis?.stop();
    await this.bouncer?.stop();
    await this.postgres?.stop();
  }
}

/** An access token by the password grant: its issuer is any node, and all take it. */
export async function tokenOf(node) {
  const form = {
    grant_type: 'password',
    client_id: 'web-portal',
    client_secret: 'change-me',
    username: 'analyst@example.com',
    password: 'P@ssw0rd!',
    scope: 'accounts:read accounts:write transactions:read transactions:write',
  };
  const reply = await node.ask('auth', 'POST', '/auth/token', { form });
  assert.equal(reply.status, 200, reply.text);
  return JSON.parse(reply.text).access_token;
}
