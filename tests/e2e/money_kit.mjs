// SPDX-License-Identifier: MIT
// What the tests of money share: the program with its three listeners, tokens by the grants that
// the contract names, a journal of what a client was told, a relay that loses replies, and the
// command that looks at the whole ledger.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import * as client from 'openid-client';
import { command, freePort, Portcullis, sleep } from './harness.mjs';

// Contract, section 4: what each route allows a minute. Where a test is about something else, they
// would only be in its way.
const limited = [
  ['GET', '/accounts'],
  ['POST', '/accounts'],
  ['GET', '/accounts/{id}'],
  ['PUT', '/accounts/{id}'],
  ['DELETE', '/accounts/{id}'],
  ['GET', '/accounts/{id}/balance'],
  ['GET', '/transactions'],
  ['POST', '/transactions'],
  ['GET', '/transactions/{id}'],
  ['PUT', '/transactions/{id}'],
  ['GET', '/transactions/accounts/{account_id}'],
];
const own = [
  ['POST', '/users'],
  ['GET', '/users/{id}'],
  ['POST', '/auth/token'],
];
const budgets = `limits:
  routes:
${[...limited, ...limited.map(([method, route]) => [method, `/api/v1${route}`]), ...own]
  .map(([method, route]) => `    - route: ${method} ${route}\n      requests_per_minute: 1000000\n`)
  .join('')}`;

const everything = 'accounts:read accounts:write transactions:read transactions:write';

/**
 * Starts the program: { gate, accounts, transactions, token, user, ... }. `accounts` and
 * `transactions` ask those listeners as `gate` asks the gateway.
 */
export async function startMoney({ env = {}, config = '', limits = false, ...more } = {}) {
  const port = env.AUTH_PORT ?? String(await freePort());
  const gate = await Portcullis.start({
    env: { AUTH_PORT: port, AUTH_JWT_ISSUER: `http://127.0.0.1:${port}`, ...env },
    config: limits ? config : `${budgets}${config}`,
    ...more,
  });
  return new Money(gate, env);
}

export class Money {
  constructor(gate, env) {
    this.gate = gate;
    this.env = env;
    this.accounts = asker(gate, gate.accountPort);
    this.transactions = asker(gate, gate.transactionPort);
  }

  /** openid-client's view of the issuer, for one client. */
  async client(id, secret = 'change-me') {
    const issuer = new URL(`http://127.0.0.1:${this.gate.authPort}`);
    return client.discovery(issuer, id, {}, client.ClientSecretPost(secret), {
      execute: [client.allowInsecureRequests],
    });
  }

  /** An access token by the password grant, as the contract's collection asks for it. */
  async token(username, password, scope = everything) {
    const tokens = await client.genericGrantRequest(await this.client('web-portal'), 'password', {
      username,
      password,
      scope,
    });
    return tokens.access_token;
  }

  /** A client's own token. */
  async machine(id, scope) {
    const config = await this.client(id);
    return (await client.clientCredentialsGrant(config, { scope })).access_token;
  }

  analyst(scope) {
    return this.token('analyst@example.com', 'P@ssw0rd!', scope);
  }

  customer(scope) {
    return this.token('user@example.com', 'user123', scope);
  }

  admin(scope) {
    return this.token('admin@example.com', 'admin123', scope);
  }

  /** Opens an account, with money on it if it must have some. */
  async account(token, { user = 2, currency = 'USD', deposit } = {}) {
    const body = {
      user_id: user,
      account_number: number(),
      account_type: 'checking',
      currency,
      ...(deposit === undefined ? {} : { initial_deposit: deposit }),
    };
    const reply = await this.accounts.post('/accounts', body, { token });
    assert.equal(reply.status, 201, reply.text);
    return reply.json.id;
  }

  /** A new user with these roles: { id, email, session } where session is a gateway token. */
  async person(...roles) {
    const made = await this.gate.register();
    if (roles.length > 0) {
      const args = ['user', 'role', made.email, ...roles];
      const result = await command(args, { data: this.gate.data, env: this.env });
      assert.equal(result.code, 0, result.stderr);
    }
    // Signed in behind the change, so that no cache knows better.
    const { access_token: session } = await this.gate.login(made.email, made.password);
    const me = await this.gate.get('/api/v1/auth/me', { token: session });
    return { ...made, id: me.json.user_id, session };
  }

  async balance(token, id) {
    const reply = await this.accounts.get(`/accounts/${id}`, { token });
    assert.equal(reply.status, 200, reply.text);
    return minor(reply);
  }

  /** What `portcullis ledger check` says of it all: 0 when every cent adds up. */
  async check() {
    const result = await command(['ledger', 'check'], {
      data: this.gate.data,
      env: this.env,
      timeout: 120_000,
    });
    assert.equal(result.code, 0, `${result.stdout}${result.stderr}`);
    return result.stdout;
  }

  stop(signal) {
    return this.gate.stop(signal);
  }
}

function asker(gate, port) {
  const request = (method, target, options = {}) =>
    gate.request(method, target, { port, ...options });
  return {
    request,
    get: (target, options) => request('GET', target, options),
    post: (target, json, options = {}) => request('POST', target, { json, ...options }),
    put: (target, json, options = {}) => request('PUT', target, { json, ...options }),
    delete: (target, options) => request('DELETE', target, options),
  };
}

/** The balance as the text has it, in whole minor units: no float comes near it. */
export function minor(reply, name = 'balance') {
  const found = new RegExp(`"${name}":"?(-?)(\\d+)(?:\\.(\\d+))?"?[,}]`).exec(reply.text);
  assert.ok(found, `${name} in ${reply.text}`);
  return BigInt(`${found[1]}${found[2]}${found[3] ?? ''}`);
}

let numbers = 0;
/** An account number nobody else has. */
export function number() {
  numbers += 1;
  const text = (value, digits) => String(value).padStart(digits, '0').slice(-digits);
  return text(process.pid, 7) + text(Date.now(), 7) + text(numbers, 6);
}

export const cents = (n) => `${n / 100n}.${String(n % 100n).padStart(2, '0')}`;

/** All of `list`, so many at once. */
export async function each(list, width, work) {
  const left = [...list.entries()];
  const one = async () => {
    for (let next = left.shift(); next; next = left.shift()) await work(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: width }, one));
}

/** Zipf: the first few are asked for most of the time. */
export function zipf(count, exponent = 0.99) {
  const weights = Array.from({ length: count }, (_, i) => 1 / (i + 1) ** exponent);
  const whole = weights.reduce((a, b) => a + b, 0);
  return () => {
    let at = Math.random() * whole;
    let i = 0;
    while (i < count - 1 && (at -= weights[i]) > 0) i += 1;
    return i;
  };
}

// ---- a relay -----------------------------------------------------------------------------------

/**
 * Passes bytes on to `port`, and asks `judge(chunk, way)` of each: 'pass', 'cut' (both sides are
 * closed, the bytes are gone), or 'hold' (they wait until release() or cut()). `way` is 'there' or
 * 'back'.
 */
export class Relay {
  pairs = new Set();

  static async to(port, judge) {
    const relay = new Relay();
    relay.judge = judge;
    relay.server = net.createServer((near) => relay.#open(near, port));
    relay.server.listen(0, '127.0.0.1');
    await once(relay.server, 'listening');
    relay.port = relay.server.address().port;
    return relay;
  }

  #open(near, port) {
    const far = net.connect(port, '127.0.0.1');
    const pair = { near, far };
    this.pairs.add(pair);
    const close = () => {
      this.pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    const pass = (from, to, way) => {
      from.on('data', (chunk) => {
        if (this.judge(chunk, way, pair) === 'cut') return close();
        if (!to.destroyed) to.write(chunk);
      });
      from.on('error', () => {});
      from.on('close', close);
    };
    pass(near, far, 'there');
    pass(far, near, 'back');
    near.setNoDelay();
    far.setNoDelay();
  }

  /** Cuts whatever is connected now. */
  cut() {
    for (const { near, far } of this.pairs) {
      near.destroy();
      far.destroy();
    }
  }

  async close() {
    this.cut();
    this.server.close();
    await once(this.server, 'close');
  }
}

/**
 * Asks until there is an answer that is not of the 5xx or "still running" kind: what a careful
 * client does that sends the same Idempotency-Key each time. Gives the answer and how often it
 * asked.
 */
export async function insist(ask, { patience = 20_000, again = [409] } = {}) {
  const until = Date.now() + patience;
  for (let tries = 1; ; tries++) {
    let reply;
    try {
      reply = await ask();
    } catch {
      reply = undefined; // lost: whether it was done is not known
    }
    const running =
      reply && again.includes(reply.status) && /idempotency-key-running/.test(reply.text);
    if (reply && reply.status < 500 && !running) return { reply, tries };
    assert.ok(Date.now() < until, `no answer after ${tries} tries: ${reply?.text}`);
    await sleep(reply?.status === 503 ? 50 : 5 + Math.random() * 20);
  }
}

/** A request by Node's own client to a port, on a connection of its own unless it has an agent. */
export function ask(port, method, target, { token, key, json, agent, timeout = 10_000 } = {}) {
  const payload = json === undefined ? undefined : JSON.stringify(json);
  const headers = { Authorization: `Bearer ${token}` };
  if (payload !== undefined) {
    headers['Content-Type'] = 'application/json';
    headers['Content-Length'] = Buffer.byteLength(payload);
  }
  if (key !== undefined) headers['Idempotency-Key'] = key;
  return new Promise((resolve, reject) => {
    const req = http.request(
      { host: '127.0.0.1', port, method, path: target, headers, agent: agent ?? false },
      (res) => {
        const chunks = [];
        res.on('data', (chunk) => chunks.push(chunk));
        res.on('error', reject);
        res.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          if (!res.complete) return reject(new Error('cut'));
          return resolve({ status: res.statusCode, headers: res.headers, text });
        });
        res.on('close', () => reject(new Error('cut')));
      },
    );
    req.on('error', reject);
    req.setTimeout(timeout, () => req.destroy(new Error('no answer')));
    req.end(payload);
  });
}
