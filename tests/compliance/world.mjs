// SPDX-License-Identifier: MIT
// What checks share: servers that are started when the first check asks for them, people and
// clients with chosen rights, and a stand-in before the gateway that takes a protection away.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { command, Portcullis, sleep, temporaryFolder } from '../e2e/harness.mjs';
import { createClient, formOf, proof, run, startIssuer } from '../e2e/oauth_kit.mjs';
import { number } from '../e2e/money_kit.mjs';

export const services = ['gateway', 'auth', 'account', 'transaction', 'audit', 'monitoring'];
export const scopes = [
  'accounts:read',
  'accounts:write',
  'transactions:read',
  'transactions:write',
  'orders:read',
  'orders:write',
  'audit:read',
  'audit:write',
  'monitoring:read',
  'monitoring:write',
];

/** The API document of a listener, as the program's tables tell it. */
async function documentOf(service) {
  const { code, stdout, stderr } = await command(['openapi', service]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

function operationsOf(service, document) {
  return Object.entries(document.paths).flatMap(([place, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => operation.responses)
      .map(([method, operation]) => ({
        service,
        method: method.toUpperCase(),
        path: place,
        access: operation['x-access'],
        roles: operation['x-roles'] ?? [],
        security: operation.security,
        scopes: [...new Set(operation.security.flatMap((one) => Object.values(one).flat()))],
        certificate: operation.security.some((one) => 'mutualTLS' in one),
        limited: operation.responses[429] !== undefined,
      })),
  );
}

/** So that a check never meets a rate limit that it is not about. */
function budgets(operations) {
  const limited = operations.filter((o) => o.limited);
  const routes = [...new Set(limited.map((o) => `${o.method} ${o.path}`))];
  const rows = routes.map((one) => `    - route: ${one}\n      requests_per_minute: 1000000\n`);
  return `limits:\n  routes:\n${rows.join('')}`;
}

const minute = 60_000;

export class World {
  #made = new Map();
  #running = new Set();

  /** Made once, whoever asks first. */
  once(name, make) {
    if (!this.#made.has(name)) this.#made.set(name, make());
    return this.#made.get(name);
  }

  operations() {
    return this.once('operations', async () => {
      const lists = services.map(async (one) => operationsOf(one, await documentOf(one)));
      return (await Promise.all(lists)).flat();
    });
  }

  /** Authorities and certificates of development: ca, server, robot. */
  certificates() {
    return this.once('certificates', async () => {
      const folder = temporaryFolder();
      const made = await command(['certs', 'dev', '--folder', folder, 'robot']);
      assert.equal(made.code, 0, made.stderr);
      const file = (name) => path.join(folder, name);
      const read = (name) => fs.readFileSync(file(name));
      return {
        file,
        ca: { ca: read('ca.crt') },
        robot: { ca: read('ca.crt'), cert: read('robot.crt'), key: read('robot.key') },
      };
    });
  }

  /** A program with its issuer; its audit listener speaks TLS and looks at certificates. */
  async start({ config = '', env = {}, ...more } = {}) {
    const { file } = await this.certificates();
    const audit = `audit:
  tls:
    certificate: ${file('server.crt')}
    key: ${file('server.key')}
    client_ca: ${file('ca.crt')}
    client_auth: optional
`;
    const op = await startIssuer({
      config: `${budgets(await this.operations())}${audit}${config}`,
      env,
      limited: true,
      ...more,
    });
    this.#running.add(op);
    return op;
  }

  /** One that needs no more than what is given. */
  async plain(options = {}) {
    const gate = await Portcullis.start(options);
    this.#running.add(gate);
    return gate;
  }

  base() {
    return this.once('base', () => this.start());
  }

  /** The same, but its log has been switched off by somebody who can write the database. */
  logless() {
    return this.once('logless', async () => {
      const op = await this.start();
      const database = path.join(op.gate.data, 'data/portcullis.db');
      execFileSync('sqlite3', [
        '-cmd',
        '.timeout 20000',
        database,
        `CREATE TRIGGER no_log BEFORE INSERT ON trail_events BEGIN SELECT RAISE(IGNORE); END`,
      ]);
      return op;
    });
  }

  async stop() {
    await Promise.all([...this.#running].map((one) => one.stop()));
  }

  closing(one) {
    this.#running.add(one);
    return one;
  }

  // ---- people and clients ----

  /** A new user with roles: { id, email, password, token }. */
  async person(op, { roles = [], admin = false } = {}) {
    const made = await op.gate.register();
    const me = await op.gate.get('/api/v1/auth/me', { token: made.tokens.access_token });
    assert.equal(me.status, 200, me.text);
    const { user_id: id } = me.json;
    if (roles.length > 0) await run(op, ['user', 'role', made.email, ...roles]);
    if (admin) await this.setUser(op, id, { is_admin: true });
    const { access_token: token } = await op.gate.login(made.email, made.password);
    return { ...made, id, token };
  }

  async setUser(op, id, change) {
    const { access_token: token } = await op.gate.admin();
    const reply = await op.gate.patch(`/api/v1/admin/users/${id}`, change, { token });
    assert.equal(reply.status, 200, reply.text);
  }

  /** A client's own token with exactly these scopes. */
  async machine(op, wanted, more = {}) {
    const client = await createClient(op, { scopes: wanted, ...more });
    const form = { grant_type: 'client_credentials', ...proof(client), scope: wanted.join(' ') };
    const reply = await op.token(form);
    assert.equal(reply.status, 200, reply.text);
    return reply.json.access_token;
  }

  async account(op, token, user, more = {}) {
    const body = { user_id: user, account_number: number(), account_type: 'checking', ...more };
    const reply = await op.gate.post('/api/v1/accounts', body, { token });
    assert.equal(reply.status, 201, reply.text);
    return reply.json;
  }

  /** Somebody who moves everybody's money. */
  teller(op) {
    return this.once(`teller ${op.port}`, () => this.person(op, { roles: ['payments', 'broker'] }));
  }

  // ---- asking ----

  /** Asks the listener of a service. */
  async ask(op, service, method, target, options = {}) {
    const { ca, robot } = await this.certificates();
    const port = { gateway: op.gate.port, auth: op.port }[service] ?? op.gate[`${service}Port`];
    const tls = service === 'audit' ? (options.certificate ? robot : ca) : undefined;
    const from = service === 'audit' ? '127.0.0.1' : undefined; // its certificates are its own
    return op.gate.request(method, target, { port, tls, from, ...options });
  }

  /** Waits until `look` gives something, half a minute at most. */
  async until(look, what) {
    for (const deadline = Date.now() + minute / 2; ; await sleep(50)) {
      const found = await look();
      if (found) return found;
      assert.ok(Date.now() < deadline, what);
    }
  }

  /** The newest checkpoint once there is one that covers the log as it is now. */
  checkpoint(op) {
    return this.until(async () => {
      const made = await command(['audit', 'checkpoint'], { data: op.gate.data, env: op.env });
      return made.code === 0 && made.stdout;
    }, 'no checkpoint was signed');
  }

  // ---- a stand-in ----

  /**
   * Listens in front of a port of the program, and lets `before(request)` and `after(answer,
   * request)` change what passes; an answer that `before` gives is not asked for any more.
   */
  async standIn(port, { before = () => {}, after = () => {}, tls } = {}) {
    const pass = (request) =>
      new Promise((resolve, reject) => {
        const { method, url, headers, body, localAddress } = request;
        const given = { ...headers };
        delete given['content-length'];
        delete given['transfer-encoding'];
        if (body.length > 0) given['content-length'] = body.length;
        const agent = false;
        const req = (tls ? https : http).request(
          {
            host: '127.0.0.1',
            port,
            method,
            path: url,
            headers: given,
            agent,
            localAddress,
            ...tls,
          },
          async (res) => {
            const chunks = [];
            for await (const chunk of res) chunks.push(chunk);
            const { 'content-length': _, 'transfer-encoding': __, ...rest } = res.headers;
            resolve({ status: res.statusCode, headers: rest, body: Buffer.concat(chunks) });
          },
        );
        req.on('error', reject);
        req.end(body);
      });
    const server = http.createServer(async (req, res) => {
      try {
        const chunks = [];
        for await (const chunk of req) chunks.push(chunk);
        const { method, url, headers } = req;
        const request = { method, url, headers: { ...headers }, body: Buffer.concat(chunks) };
        const answer = (await before(request)) ?? (await pass(request));
        await after(answer, request);
        res.writeHead(answer.status, answer.headers);
        res.end(answer.body);
      } catch (error) {
        res.destroy(error);
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.closing({ stop: () => server.close() && server.closeAllConnections?.() });
    return server.address().port;
  }
}

export { formOf, proof };
