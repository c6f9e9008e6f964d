// SPDX-License-Identifier: MIT
// The gateway in one process and the services behind it in another, on the same database: a client
// sees what it sees when all are in one.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import {
  Portcullis,
  assertHeaders,
  assertProblem,
  startPostgres,
  test,
  unique,
} from './harness.mjs';

let postgres;
let gate;
let behind;

const shared = { AUTH_JWT_ISSUER: 'https://issuer.example' };
const services = 'auth,account,transaction,audit,monitoring';

before(async () => {
  postgres = await startPostgres();
  behind = await Portcullis.start({
    only: services,
    env: { ...postgres.env, ...shared },
    config: 'trusted_proxies: [127.0.0.1/32]\n',
  });
  const ports = services
    .split(',')
    .map((name) => `    ${name}: http://127.0.0.1:${behind[`${name}Port`]}\n`);
  gate = await Portcullis.start({
    only: 'gateway',
    env: { ...postgres.env, ...shared },
    config: `gateway:\n  behind:\n${ports.join('')}`,
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  await behind?.stop();
  await postgres?.stop();
});

const form = (params, headers = {}) => ({
  headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
  body: new URLSearchParams(params).toString(),
});

/** A client of the development data, by the token endpoint at the gateway. */
async function tokenOf(client_id, scope) {
  const grant = { grant_type: 'client_credentials', client_id, client_secret: 'change-me', scope };
  const reply = await gate.request('POST', '/api/v1/oauth/token', form(grant));
  assert.equal(reply.status, 200, reply.text);
  assertHeaders(reply);
  return reply.json.access_token;
}

test('what is the gateway’s own is answered by the gateway', async () => {
  const { tokens } = await gate.register();
  const me = await gate.get('/api/v1/auth/me', { token: tokens.access_token });
  assert.equal(me.status, 200, me.text);
});

test('tokens, accounts and transactions, by way of the gateway', async () => {
  const write = 'accounts:read accounts:write transactions:read transactions:write';
  const payments = await tokenOf('payments-gateway', 'transactions:read transactions:write');
  const who = await gate.get('/api/v1/oauth/whoami', { token: payments });
  assert.equal(who.json.client_id, 'payments-gateway', who.text);
  const grant = { grant_type: 'password', username: 'analyst@example.com', password: 'P@ssw0rd!' };
  const user = await gate.request(
    'POST',
    '/api/v1/oauth/token',
    form({ ...grant, client_id: 'web-portal', client_secret: 'change-me', scope: write }),
  );
  assert.equal(user.status, 200, user.text);
  const mine = user.json.access_token;

  const account = {
    user_id: 2,
    account_number: unique('').replace(/\D/g, '').padStart(12, '7'),
    account_type: 'checking',
    initial_deposit: '100.00',
  };
  const made = await gate.post('/api/v1/accounts', account, { token: mine });
  assert.equal(made.status, 201, made.text);
  assertHeaders(made);
  assert.equal(made.headers.location, `/api/v1/accounts/${made.json.id}`);
  const read = await gate.get(made.headers.location, { token: mine });
  assert.equal(read.json.balance, made.json.balance, read.text);

  const order = { account_id: made.json.id, amount: '10.00', direction: 'credit' };
  const key = { token: payments, headers: { 'Idempotency-Key': 'one' } };
  const first = await gate.post('/api/v1/transactions', order, key);
  assert.equal(first.status, 201, first.text);
  assert.equal((await gate.post('/api/v1/transactions', order, key)).text, first.text);
  const second = await gate.post('/api/v1/transactions', order, { token: payments });
  assert.equal(second.status, 201);
  const page = await gate.get('/api/v1/transactions?limit=1', { token: payments });
  const next = /^<(.*)>; rel="next"$/.exec(page.headers.link)[1];
  assert.match(next, /^\/api\/v1\/transactions\?/);
  assert.equal((await gate.get(next, { token: payments })).json.length, 1);

  assertProblem(await gate.post('/api/v1/accounts', { user_id: 2 }, { token: mine }), 422);
  assertProblem(await gate.get('/api/v1/accounts', { token: payments }), 403); // not its scope
});

test('whoever may not come in is kept out by the gateway, and written down', async () => {
  const { text } = await behind.request('GET', '/metrics', { port: behind.accountPort });
  const asked = (page) => /^http_requests_total\{[^}]*route="\/accounts",[^}]*\} \d+$/m.exec(page);
  const before = asked(text)?.[0];
  const refused = await gate.get('/api/v1/accounts');
  assertProblem(refused, 401);
  assert.match(refused.headers['www-authenticate'], /^Bearer/);
  const again = await behind.request('GET', '/metrics', { port: behind.accountPort });
  assert.equal(asked(again.text)?.[0], before, 'it never left');
  const sql = "SELECT count(*) FROM trail_events WHERE event = 'access.denied'";
  assert.ok(Number(postgres.query(sql)) > 0);
});

test('the issuer, its pages, audit and monitoring are there', async () => {
  const keys = await gate.get('/.well-known/jwks.json');
  assert.equal(keys.status, 200);
  assert.ok(keys.json.keys.length > 0);
  const metadata = await gate.get('/.well-known/openid-configuration');
  assert.equal(metadata.json.issuer, shared.AUTH_JWT_ISSUER);
  assertProblem(await gate.get('/api/v1/audit/events'), 401);
  assertProblem(await gate.get('/api/v1/monitoring/status'), 401);
  const page = await gate.get('/api/openapi.json');
  const operation = page.json.paths['/api/v1/accounts'].post;
  assert.ok(operation.requestBody, 'the document tells of bodies');
});

test('services that are gone are told as such, and the gateway goes on', async () => {
  const mine = await tokenOf('risk-engine', 'accounts:read');
  await behind.stop();
  const gone = await gate.get('/api/v1/accounts', { token: mine });
  assertProblem(gone, 502);
  assert.equal(gone.json.type, 'urn:portcullis:problem:upstream-unreachable');
  assert.equal((await gate.get('/api/v1/health')).status, 200);
  const { tokens } = await gate.register();
  assert.equal((await gate.get('/api/v1/auth/me', { token: tokens.access_token })).status, 200);
});
