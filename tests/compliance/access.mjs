// SPDX-License-Identifier: MIT
// Who may do what: the matrix of route, role, ownership and method, made from the route tables.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { secret } from '../e2e/harness.mjs';
import { basic, createClient, formOf } from '../e2e/oauth_kit.mjs';
import { scopes } from './world.mjs';

const filled = (place) => place.replace(/\{\w+\}/g, '1');
const named = ({ service, method, path }) => `${service} ${method} ${path}`;
const isProtected = ({ access }) => access === 'bearer' || access === 'admin';

/** Asks the listeners themselves, or the gateway through a stand-in at `port`. */
const direct = (world, op) => (o, options) =>
  world.ask(op, o.service, o.method, filled(o.path), options);
const through = (op, port) => (o, options) =>
  op.gate.request(o.method, filled(o.path), { port, ...options });

// ---- no token -----------------------------------------------------------------------------------

const authentication = {
  name: 'token-required',
  about: 'Every operation that is not open refuses a request without a token, on every listener',
  how: 'a stand-in that adds a valid token to each request',
  red: /was let in without a token/,
  async on(world) {
    const op = await world.base();
    return { operations: await world.operations(), ask: direct(world, op) };
  },
  async off(world) {
    const op = await world.base();
    const { token } = await world.person(op, { admin: true });
    const port = await world.standIn(op.gate.port, {
      before: (request) => {
        request.headers.authorization ??= `Bearer ${token}`;
      },
    });
    const all = await world.operations();
    return { operations: all.filter((o) => o.service === 'gateway'), ask: through(op, port) };
  },
  async probe({ operations, ask }) {
    const list = operations.filter(isProtected);
    assert.ok(list.length > 40, 'too few operations are protected');
    for (const o of list) {
      const reply = await ask(o);
      assert.equal(reply.status, 401, `${named(o)} was let in without a token: ${reply.status}`);
      assert.match(reply.headers['www-authenticate'] ?? '', /^Bearer\b/, named(o));
    }
  },
};

// ---- scopes -------------------------------------------------------------------------------------

const scoped = {
  name: 'scope-required',
  about: 'Every operation with a scope refuses a token that lacks it, on every listener',
  how: 'the client is granted every scope',
  red: /was let in without its scope/,
  async on(world) {
    const op = await world.base();
    const reads = await world.machine(op, ['monitoring:read']);
    const other = await world.machine(op, ['orders:read']);
    const tokenOf = (o) => (o.scopes.includes('monitoring:read') ? other : reads);
    return { tokenOf, ask: direct(world, op) };
  },
  async off(world) {
    const op = await world.base();
    const token = await world.machine(op, scopes, {
      roles: ['auditor', 'payments', 'risk'],
    });
    return { tokenOf: () => token, ask: direct(world, op) };
  },
  async probe({ tokenOf, ask }, world) {
    const list = (await world.operations()).filter((o) => isProtected(o) && o.scopes.length > 0);
    assert.ok(list.length > 40, 'too few operations have scopes');
    for (const o of list) {
      const reply = await ask(o, { token: tokenOf(o) });
      const told = `${named(o)} was let in without its scope: ${reply.status}`;
      assert.equal(reply.status, 403, told);
    }
  },
};

// ---- roles --------------------------------------------------------------------------------------

const roles = {
  name: 'function-level',
  about: 'Every operation for a role or for administrators refuses a user without it',
  how: 'the user is granted the roles and made an administrator',
  red: /was let in without its role/,
  on: async (world) => world.person(await world.base()),
  off: async (world) =>
    world.person(await world.base(), { roles: ['payments', 'risk', 'broker'], admin: true }),
  async probe({ token }, world) {
    const op = await world.base();
    const all = await world.operations();
    const list = all.filter((o) => o.roles.length > 0 || o.access === 'admin');
    assert.ok(list.length >= 10, 'too few operations have roles');
    for (const o of list) {
      const reply = await direct(world, op)(o, { token });
      const refused = reply.status === 403 || (o.service !== 'gateway' && reply.status === 401);
      assert.ok(refused, `${named(o)} was let in without its role: ${reply.status}`);
    }
  },
};

// ---- ownership ----------------------------------------------------------------------------------

const areas = { accounts: 'account', transactions: 'transaction', transfers: 'transfer' };

/** What belongs to a customer: the ids by the table's areas. */
async function belongings(world, op) {
  const owner = await world.person(op);
  const teller = await world.teller(op);
  const one = await world.account(op, teller.token, owner.id, { initial_deposit: '100.00' });
  const two = await world.account(op, teller.token, owner.id);
  const post = async (target, json, token) => {
    const reply = await op.gate.post(`/api/v1${target}`, json, { token });
    assert.equal(reply.status, 201, reply.text);
    return reply.json.id;
  };
  const move = { from_account_id: one.id, to_account_id: two.id, amount: '1.00' };
  const debit = { account_id: one.id, amount: '1.00', direction: 'debit' };
  const order = { symbol: 'ACME', side: 'buy', quantity: 1, type: 'limit', limit_price: '1.00' };
  return {
    owner,
    ids: {
      accounts: one.id,
      transfers: await post('/transfers', move, owner.token),
      transactions: await post('/transactions', debit, teller.token),
      orders: await post('/trading/orders', { account_id: one.id, ...order }, owner.token),
    },
  };
}

/** The id that an operation's path takes. */
function idFor({ path: place }, ids) {
  if (place.includes('{account_id}')) return ids.accounts;
  const area = Object.keys(ids).find((name) => place.includes(`/${name}/{id}`));
  return area && ids[area];
}

const objects = {
  name: 'object-level',
  about: "Another customer's object is answered like one that is not there, on every operation",
  how: "the asking customer is granted the role auditor, which sees everybody's",
  red: /another's object was answered/,
  on: async (world) => world.person(await world.base()),
  off: async (world) => world.person(await world.base(), { roles: ['auditor'] }),
  async probe({ token }, world) {
    const op = await world.base();
    const { owner, ids } = await belongings(world, op);
    const all = (await world.operations()).filter((o) => o.service === 'gateway');
    const list = all.filter((o) => o.roles.length === 0 && idFor(o, ids) !== undefined);
    assert.ok(list.length >= 9, 'too few operations take an id');
    let seen = 0;
    for (const o of list) {
      const at = (id) => o.path.replace(/\{\w+\}/, id);
      const json = o.method === 'PUT' ? { account_type: 'savings' } : undefined;
      const filling = o.path.endsWith('/fills') ? { quantity: 1, price: '1.00' } : { reason: 'x' };
      const body = o.method === 'POST' ? filling : json;
      const ask = (id, who) => op.gate.request(o.method, at(id), { json: body, token: who });
      const reply = await ask(idFor(o, ids), token);
      const none = await ask(999999999, token);
      const told = `${named(o)}: another's object was answered ${reply.status}, not ${none.status}`;
      assert.ok([403, 404].includes(reply.status), told);
      assert.equal(reply.status, none.status, told);
      if (o.method !== 'GET') continue;
      assert.equal(reply.status, 404, told);
      const mine = await ask(idFor(o, ids), owner.token);
      assert.equal(mine.status, 200, `${named(o)}: the owner was refused: ${mine.text}`);
      seen += 1;
    }
    assert.ok(seen >= Object.keys(areas).length, 'too few reads');
  },
};

// ---- methods ------------------------------------------------------------------------------------

const methods = {
  name: 'methods-declared',
  about: 'No path answers to a method that its tables do not declare, also for administrators',
  how: 'a stand-in that turns every method into GET',
  red: /answers to an undeclared method/,
  on: async (world) => ({ port: (await world.base()).gate.port }),
  off: async (world) => ({
    port: await world.standIn((await world.base()).gate.port, {
      before: (request) => {
        request.method = 'GET';
      },
    }),
  }),
  async probe({ port }, world) {
    const op = await world.base();
    const { token } = await world.person(op, { roles: ['auditor', 'payments'], admin: true });
    const declared = new Map();
    for (const o of (await world.operations()).filter(({ service }) => service === 'gateway'))
      declared.set(o.path, [...(declared.get(o.path) ?? []), o.method]);
    for (const [place, known] of declared)
      for (const method of ['PUT', 'PATCH', 'DELETE', 'POST', 'TRACE']) {
        const form = place.startsWith('/oauth/') && method === 'POST'; // of the issuer's own pages
        if (known.includes(method) || form) continue;
        const reply = await op.gate.request(method, filled(place), { port, token });
        const told = `${method} ${place} answers to an undeclared method: ${reply.status}`;
        assert.ok([404, 405, 501].includes(reply.status), told);
      }
  },
};

// ---- what nobody declared -----------------------------------------------------------------------

/** An upstream that tells what it was asked, and a gateway with one route to it. */
async function behind(world, name, { access, more = '' }) {
  return world.once(`behind ${name}`, async () => {
    const server = http.createServer((req, res) => {
      res.setHeader('Content-Type', 'application/json');
      res.end(JSON.stringify(req.headers));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    world.closing({ stop: () => server.close() });
    const { port } = server.address();
    const config = `upstreams:
  - {name: back, targets: [{url: "http://127.0.0.1:${port}"}]}
routes:
  - path: /internal/*
    upstream: back
    access: ${access}
${more}`;
    return { gate: await world.plain({ config }), port };
  });
}

const denied = {
  name: 'deny-by-default',
  about: 'What no table declares is not answered, however its path is written',
  how: 'an operator opens a route to the same paths',
  red: /answered though nobody declared it/,
  on: async (world) => ({ gate: (await world.base()).gate }),
  off: (world) => behind(world, 'open', { access: 'open' }),
  async probe({ gate }) {
    for (const target of [
      '/internal/users',
      '/internal/',
      '/.git/config',
      '/api/v1/admin',
      '/api/v2/admin/users',
      '/API/V1/ADMIN/USERS',
      '//api/v1/admin/users',
      '/api/v1/x/../admin/users',
      '/api/v1/%2e%2e/v1/admin/users',
      '/api/v1/admin%2fusers',
      '/api/v1/health/../admin/users',
      '/api/v1/admin/users;x=1',
    ]) {
      const { status } = await gate.get(target, { agent: false });
      const told = `${target} was answered though nobody declared it: ${status}`;
      assert.ok([400, 401, 404].includes(status), told);
    }
  },
};

const routed = {
  name: 'route-access',
  about: 'A route to an upstream is for those alone whom its row lets in',
  how: "the route's row says access: open",
  red: /the upstream was reached without a token/,
  on: (world) => behind(world, 'bearer', { access: 'bearer' }),
  off: (world) => behind(world, 'open', { access: 'open' }),
  async probe({ gate }) {
    const { status } = await gate.get('/internal/users');
    assert.equal(status, 401, `the upstream was reached without a token: ${status}`);
    const { tokens } = await gate.register();
    const let_in = await gate.get('/internal/users', { token: tokens.access_token });
    assert.equal(let_in.status, 200, let_in.text);
  },
};

const forged = {
  name: 'identity-not-forged',
  about: 'Headers that say who somebody is reach an upstream from the gateway alone',
  how: 'the same request goes straight to the upstream',
  red: /a forged header arrived/,
  async on(world) {
    const { gate } = await behind(world, 'open', { access: 'open' });
    return { gate, port: gate.port };
  },
  off: (world) => behind(world, 'open', { access: 'open' }),
  async probe({ gate, port }) {
    const headers = {
      'X-MTLS-Client-CN': 'forged-value',
      'X-Portcullis-User': 'forged-value',
      'X-Portcullis-Roles': 'forged-value',
      'X-Forwarded-For': '198.51.100.7',
    };
    const reply = await gate.get('/internal/who', { headers, port, agent: false });
    assert.equal(reply.status, 200, reply.text);
    assert.doesNotMatch(reply.text, /forged-value|198\.51\.100\.7/, 'a forged header arrived');
  },
};

// ---- tokens -------------------------------------------------------------------------------------

const known = 'a-secret-that-stands-in-a-public-repository-0123456789-abcdefghijklmnop';
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
function signed(header, payload, key) {
  const text = `${encoded(header)}.${encoded(payload)}`;
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

const forgery = {
  name: 'token-forgery',
  about: 'A token is taken only as it was signed: none, another key, changed, expired are refused',
  how: 'the secret is one that everybody knows',
  red: /a forged token was taken/,
  on: async (world) => ({ gate: (await world.base()).gate }),
  off: (world) =>
    world.once('known secret', async () => ({
      gate: await world.plain({ env: { JWT_SECRET_KEY: known } }),
    })),
  async probe({ gate }) {
    const { tokens } = await gate.register();
    const [head, body, signature] = tokens.access_token.split('.');
    const read = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());
    const header = read(head);
    const payload = read(body);
    const before = { ...payload, iat: payload.iat - 7200, exp: payload.iat - 3600 };
    const cases = {
      unsigned: `${encoded({ ...header, alg: 'none' })}.${body}.`,
      'signed with a known secret': signed(header, payload, known),
      changed: `${head}.${encoded({ ...payload, is_admin: true })}.${signature}`,
      expired: signed(header, before, secret),
      'of another issuer': signed(header, { ...payload, iss: 'elsewhere' }, secret),
    };
    for (const [what, token] of Object.entries(cases)) {
      const { status } = await gate.get('/api/v1/auth/me', { token });
      assert.equal(status, 401, `a forged token was taken (${what}): ${status}`);
    }
    const whole = await gate.get('/api/v1/auth/me', { token: tokens.access_token });
    assert.equal(whole.status, 200, whole.text);
  },
};

const clientScope = {
  name: 'client-least-privilege',
  about: 'A client gets no scope that it is not registered for',
  how: 'the client is registered with the scope',
  red: /more than it is registered for/,
  on: async (world) => createClient(await world.base(), { scopes: ['accounts:read'] }),
  off: async (world) =>
    createClient(await world.base(), { scopes: ['accounts:read', 'transactions:write'] }),
  async probe(client, world) {
    const op = await world.base();
    const headers = basic(client.client_id, client.secret);
    const ask = (scope) =>
      op.request(
        'POST',
        '/auth/token',
        formOf({ grant_type: 'client_credentials', scope }, { headers }),
      );
    assert.equal((await ask('accounts:read')).status, 200);
    const reply = await ask('accounts:read transactions:write');
    const told = `a client got more than it is registered for: ${reply.status}`;
    assert.equal(reply.status, 400, told);
    assert.equal(reply.json.error, 'invalid_scope');
  },
};

const clientSecret = {
  name: 'client-authentication',
  about: 'A client that cannot prove who it is gets no token',
  how: 'a stand-in that proves it in its place',
  red: /a client without its secret got a token/,
  async on(world) {
    const op = await world.base();
    return { port: op.port, client: await createClient(op, { scopes: ['accounts:read'] }) };
  },
  async off(world) {
    const op = await world.base();
    const client = await createClient(op, { scopes: ['accounts:read'] });
    const { Authorization } = basic(client.client_id, client.secret);
    const port = await world.standIn(op.port, {
      before: (request) => {
        request.headers.authorization = Authorization;
      },
    });
    return { port, client };
  },
  async probe({ port, client }, world) {
    const op = await world.base();
    const form = { grant_type: 'client_credentials', scope: 'accounts:read' };
    const headers = basic(client.client_id, 'not the secret');
    const reply = await op.request('POST', '/auth/token', { ...formOf(form, { headers }), port });
    assert.equal(reply.status, 401, `a client without its secret got a token: ${reply.status}`);
  },
};

export const checks = [
  authentication,
  scoped,
  roles,
  objects,
  methods,
  denied,
  routed,
  forged,
  forgery,
  clientScope,
  clientSecret,
];
