// SPDX-License-Identifier: MIT
// The catalogue both ways: everything that the contract offers is done once against a running
// program, by its routes and its commands, and then the log holds exactly the events that the
// catalogue names, each with the fields that it promises, no others, and nothing that is secret.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before } from 'node:test';
import { command, sleep, temporaryFolder, test } from './harness.mjs';
import {
  Browser,
  codeOf,
  createClient,
  proof,
  redeem,
  refresh,
  run,
  secretOf,
  startIssuer,
} from './oauth_kit.mjs';

const data = temporaryFolder();
const copy = temporaryFolder(); // of the books
const env = { JWT_SECRET_KEY: null }; // so that the program makes one

// Who writes into the log from outside shows a certificate; they are made by OpenSSL's own command.
const file = (name) => path.join(data, name);
function certificate(name, subject, extension, issuer) {
  const by = issuer ? ['-CA', file(`${issuer}.crt`), '-CAkey', file(`${issuer}.key`)] : [];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const to = ['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)];
  const what = ['-subj', subject, '-addext', extension];
  execFileSync('openssl', ['req', '-x509', ...key, ...what, ...by, ...to], { stdio: 'pipe' });
  fs.chmodSync(file(`${name}.key`), 0o600);
}

const config = () => `upstreams:
  - {name: nowhere, targets: [{url: "http://127.0.0.1:1"}]}
routes:
  - path: /nowhere
    upstream: nowhere
    access: open
    circuit_breaker: {failure_threshold: 1}
jwt:
  grace_seconds: 1
oauth:
  grace_seconds: 1
audit:
  tls:
    certificate: ${file('server.crt')}
    key: ${file('server.key')}
    client_ca: ${file('ca.crt')}
    client_auth: optional
`;

// ---- the catalogue, and what the log holds ------------------------------------------------------

/** { name: { fields: Map(name → always?), … } } of the page that the program prints. */
async function catalogue() {
  const { code, stdout } = await command(['audit', 'catalogue']);
  assert.equal(code, 0);
  const events = {};
  for (const part of stdout.split(/^### /m).slice(1)) {
    const [, name] = /^(\S+)\n/.exec(part);
    const [, severity, source] = /Severity `(\w+)`, source `([\w-]+)`/.exec(part);
    const rows = [...part.matchAll(/^\| `(\w+)` \| (always|sometimes) \|/gm)];
    const fields = new Map(rows.map(([, field, need]) => [field, need === 'always']));
    events[name] = { severity, source, fields };
  }
  assert.ok(Object.keys(events).length > 40);
  return events;
}

function eventsIn(folder) {
  const database = path.join(folder, 'data', 'portcullis.db');
  const columns = 'event, severity, source, outcome, actor, object, reason, details';
  const sql = `SELECT ${columns} FROM trail_events`;
  const text = execFileSync('sqlite3', ['-readonly', '-json', database, sql], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  return JSON.parse(text).map((row) => ({ ...row, details: JSON.parse(row.details ?? '{}') }));
}

/** Waits until the log has so many of these. */
async function until(is, count = 1) {
  const deadline = Date.now() + 10_000;
  while (eventsIn(data).filter(is).length < count) {
    assert.ok(Date.now() < deadline, `not there: ${is}`);
    await sleep(50);
  }
}

const fieldsOf = (event) => [
  ...Object.keys(event.details),
  ...['object', 'reason'].filter((name) => event[name] !== null),
];

// ---- what is not to be found there --------------------------------------------------------------

const secrets = new Set(['admin123', 'user123', 'P@ssw0rd!', 'change-me', '4111111111111111']);
const secret = (text) => {
  assert.ok(text.length > 5);
  secrets.add(text);
  return text;
};
const password = secret('a password that nobody tells');

// ---- doing everything ---------------------------------------------------------------------------

let op;
before(async () => {
  const migrated = await command(['migrate'], { data, env });
  assert.equal(migrated.code, 0, migrated.stderr);
  certificate('ca', '/CN=Test CA', 'keyUsage=critical,keyCertSign');
  certificate('server', '/CN=localhost', 'subjectAltName=IP:127.0.0.1', 'ca');
  certificate('door', '/CN=door', 'extendedKeyUsage=clientAuth', 'ca');
  op = await startIssuer({ data, env, config: config() });
});
after(() => op?.stop());

const ok = (reply, ...wanted) => {
  assert.ok(wanted.includes(reply.status), `${reply.status}: ${reply.text}`);
  return reply.json;
};
const login = async (email, word, from) => {
  const reply = await op.gate.post('/api/v1/auth/login', { email, password: word }, { from });
  for (const token of Object.values(reply.json ?? {})) if (`${token}`.length > 30) secret(token);
  return reply;
};
const session = async (email, word) => ok(await login(email, word), 200);
const api = (method, target, json, token) =>
  op.gate.request(method, `/api/v1${target}`, { json, token });

async function sessions() {
  const made = { username: 'ada', email: 'ada@example.com', password };
  const pair = ok(await op.gate.post('/api/v1/auth/register', made), 201);
  const again = (token) => op.gate.post('/api/v1/auth/refresh', { refresh_token: token });
  secret(pair.access_token);
  const next = ok(await again(secret(pair.refresh_token)), 200);
  secret(next.refresh_token);
  ok(await api('POST', '/auth/logout', undefined, next.access_token), 200);
  const used = await session('ada@example.com', password);
  ok(await again(used.refresh_token), 200);
  await sleep(1500); // the grace is over
  ok(await again(used.refresh_token), 401);
  for (let i = 0; i < 6; i++)
    ok(await login('ada@example.com', secret(`guess number ${i}`), '127.0.9.1'), 401, 429);
}

async function users() {
  const admin = (await session('admin@example.com', 'admin123')).access_token;
  const { users: all } = ok(await api('GET', '/admin/users', undefined, admin), 200);
  const { user_id: id } = all.find(({ email }) => email === 'ada@example.com');
  ok(await api('PATCH', `/admin/users/${id}`, { is_active: false }, admin), 200);
  await run(op, ['user', 'enable', 'ada@example.com']);
  await run(op, ['user', 'role', 'ada@example.com', 'broker']);
  const fresh = secret('another password that nobody tells');
  await run(op, ['user', 'password', 'ada@example.com', '--password-stdin'], {
    input: `${fresh}\n`,
  });
  await run(op, ['user', 'create', 'bob@example.com', '--password-stdin'], {
    input: `${password}\n`,
  });
}

async function clients() {
  const shop = await createClient(op, {
    id: 'shop',
    grants: ['authorization_code', 'refresh_token', 'client_credentials'],
    scopes: ['openid', 'offline_access', 'transactions:read'],
    redirectUris: ['http://127.0.0.1/callback'],
  });
  secret(shop.secret);
  await run(op, ['client', 'update', 'shop', '--name', 'Shop']);
  const rotated = await run(op, ['client', 'rotate-secret', 'shop']);
  shop.secret = secret(secretOf(rotated));
  const own = { grant_type: 'client_credentials', ...proof(shop) };
  ok(await op.token({ ...own, client_secret: 'wrong' }), 401);
  ok(await op.token({ ...own, scope: 'nothing' }), 400);
  return shop;
}

async function codes(shop) {
  const params = { scope: 'openid offline_access' };
  const browser = new Browser(op);
  const got = await codeOf(op, browser, shop, params);
  const tokens = ok(await redeem(op, shop, got), 200);
  secret(got.code);
  secret(tokens.access_token);
  secret(tokens.refresh_token);
  const next = ok(await refresh(op, shop, tokens.refresh_token), 200);
  await sleep(1500);
  ok(await refresh(op, shop, secret(tokens.refresh_token)), 400);
  ok(await redeem(op, shop, got), 400); // the code again
  const other = ok(await redeem(op, shop, await codeOf(op, browser, shop, params)), 200);
  const token = secret(other.refresh_token);
  ok(await op.form('/auth/revoke', { token, ...proof(shop) }), 200);
  assert.ok(next.access_token.length > 30);
  await run(op, ['client', 'disable', 'shop']);
  const made = await run(op, ['apikey', 'create', 'warehouse']);
  secret(/pck_\S{43}/.exec(made.stdout)[0]);
  await run(op, ['apikey', 'revoke', /API key (\d+) of/.exec(made.stdout)[1]]);
}

async function keys() {
  const signing = async () => {
    const { stdout } = await run(op, ['keys', 'list']);
    return /^([\w-]+) RS256 +signing/m.exec(stdout)?.[1];
  };
  const kid = await signing();
  await run(op, ['keys', 'rotate', '--now']);
  while ((await signing()) === kid) await sleep(100);
  await run(op, ['keys', 'retire', '--', kid]);
}

let broker; // and others who move money
let payments;
async function accounts() {
  payments = (await session('analyst@example.com', 'P@ssw0rd!')).access_token;
  broker = (await session('ada@example.com', 'another password that nobody tells')).access_token;
  const open = async (number, deposit) =>
    ok(
      await api(
        'POST',
        '/accounts',
        { user_id: 2, account_number: number, account_type: 'checking', initial_deposit: deposit },
        payments,
      ),
      201,
    ).id;
  const one = await open('77000000000001', '100.00');
  const two = await open('77000000000002', 0);
  const gone = await open('77000000000003', 0);
  ok(await api('PUT', `/accounts/${two}`, { account_type: 'savings' }, payments), 200);
  ok(await api('DELETE', `/accounts/${gone}`, undefined, payments), 204);
  return { one, two };
}

async function money({ one, two }) {
  const move = (json) => api('POST', '/transfers', json, payments);
  const moved = ok(await move({ from_account_id: one, to_account_id: two, amount: '5.00' }), 201);
  ok(await move({ from_account_id: two, to_account_id: one, amount: '5000.00' }), 409);
  ok(await api('POST', `/transfers/${moved.id}/reversals`, { amount: '1.00' }, payments), 201);
  const legs = [
    { account: one, amount: '-1.00' },
    { account: 'position:USD', amount: '0.90' },
    { account: two, amount: '0.10' },
  ];
  ok(await api('POST', '/postings', { legs }, payments), 201);

  const debit = { account_id: one, amount: '1.00', direction: 'debit' };
  const give = (more) => api('POST', '/transactions', { ...debit, ...more }, payments);
  const set = (id, status) => api('PUT', `/transactions/${id}`, { status }, payments);
  const text = 'Card 4111 1111 1111 1111';
  ok(await set(ok(await give({ description: text }), 201).id, 'completed'), 200);
  ok(await set(ok(await give({ hold: true }), 201).id, 'completed'), 200);
  ok(await set(ok(await give({ hold: true }), 201).id, 'cancelled'), 200);
  const soon = new Date(Date.now() + 1200).toISOString();
  ok(await give({ hold: true, hold_expires_at: soon }), 201);
}

async function orders({ one }) {
  const user = (await session('user@example.com', 'user123')).access_token;
  const order = { account_id: one, symbol: 'ACME', side: 'buy', quantity: 2, type: 'limit' };
  const place = async () =>
    ok(await api('POST', '/trading/orders', { ...order, limit_price: '1.00' }, user), 201).id;
  ok(await api('DELETE', `/trading/orders/${await place()}`, undefined, user), 204);
  const fill = { quantity: 2, price: '0.90' };
  ok(await api('POST', `/trading/orders/${await place()}/fills`, fill, broker), 201);
  const no = { reason: 'Too late' };
  ok(await api('POST', `/trading/orders/${await place()}/reject`, no, broker), 200);
}

/** A client's own token for these scopes. */
async function machine(...scopes) {
  const client = await createClient(op, { scopes });
  const own = { grant_type: 'client_credentials', ...proof(client), scope: scopes.join(' ') };
  return secret(ok(await op.token(own), 200).access_token);
}

const outside = 'door.opened'; // an event that another program gives in, under its own name

async function audit() {
  const tls = {
    ca: fs.readFileSync(file('ca.crt')),
    cert: fs.readFileSync(file('door.crt')),
    key: fs.readFileSync(file('door.key')),
  };
  const from = '127.0.0.1';
  const ask = (method, target, token, more) =>
    op.gate.request(method, target, { port: op.gate.auditPort, tls, from, token, ...more });
  const writer = await machine('audit:write');
  const reader = await machine('audit:read');
  const headers = { 'Idempotency-Key': randomUUID() };
  const event = { category: 'security', action: outside, actor: 'Anna', resource: 'door:1' };
  const give = (json) => ask('POST', '/audit/events', writer, { json, headers });
  ok(await give({ ...event, metadata: { text: 'Card 4111 1111 1111 1111' } }), 201);
  ok(await give({ ...event, actor: 'Bert' }), 422);
  ok(await ask('GET', '/audit/events?limit=5', writer), 403);
  ok(await ask('GET', '/audit/events?limit=5', reader), 200);
  await run(op, ['audit', 'export', '--out', file('log.jsonl')]);
  await run(op, ['audit', 'erase', 'Anna', '--basis', 'request 4711']);
}

/** The log cannot be written while another process holds the database, and can again afterwards. */
async function pressure() {
  const holder = spawn('sqlite3', [path.join(data, 'data', 'portcullis.db')]);
  holder.stdin.write('BEGIN IMMEDIATE;\n.print held\n');
  await once(holder.stdout, 'data');
  const deadline = Date.now() + 15_000;
  for (;;) {
    const { status } = await op.gate.get('/api/v1/auth/me');
    if (status === 503) break;
    assert.ok(Date.now() < deadline, 'never refused');
  }
  await sleep(1000);
  holder.stdin.end('ROLLBACK;\n.quit\n');
  await once(holder, 'close');
  await until(({ event }) => event === 'audit.pressure');
}

async function alerts() {
  const scope = 'monitoring:write';
  const manager = { client_id: 'alertmanager', secret: 'change-me' };
  const own = { grant_type: 'client_credentials', ...proof(manager), scope };
  const teller = secret(ok(await op.token(own), 200).access_token);
  const operator = await machine('monitoring:read', 'monitoring:write');
  const port = op.gate.monitoringPort;
  const fire = async (name) => {
    const alert = {
      status: 'firing',
      labels: { alertname: name, severity: 'warning' },
      annotations: { summary: 'Something is wrong' },
      startsAt: new Date().toISOString(),
      endsAt: '0001-01-01T00:00:00Z',
      generatorURL: 'http://prometheus.example/graph',
      fingerprint: randomUUID().replaceAll('-', '').slice(0, 16),
    };
    const note = {
      version: '4',
      groupKey: '{}',
      status: 'firing',
      receiver: 'portcullis',
      groupLabels: {},
      commonLabels: {},
      commonAnnotations: {},
      externalURL: 'http://alertmanager.example',
      truncatedAlerts: 0,
      alerts: [alert],
    };
    ok(await op.gate.request('POST', '/alerts', { port, token: teller, json: note }), 202);
  };
  await fire('DoorStandsOpen');
  const list = await op.gate.get('/alerts', { port, token: operator });
  const { id } = ok(list, 200).find(({ name }) => name === 'DoorStandsOpen');
  const note = { note: 'I look after it' };
  const move = (what) => op.gate.post(`/alerts/${id}/${what}`, note, { port, token: operator });
  ok(await move('acknowledge'), 200);
  ok(await move('resolve'), 200);
}

async function books() {
  await run(op, ['ledger', 'check']);
  await run(op, ['ledger', 'export', file('ledger.jsonl')]);
  for (const email of ['admin', 'user', 'analyst', 'ada']) {
    const made = await command(['user', 'create', `${email}@example.com`, '--password-stdin'], {
      data: copy,
      env,
      input: `${password}\n`,
    });
    assert.equal(made.code, 0, made.stderr);
  }
  const read = await command(['ledger', 'import', file('ledger.jsonl')], {
    data: copy,
    env,
    timeout: 60_000,
  });
  assert.equal(read.code, 0, read.stderr);
}

async function strangers() {
  ok(await op.gate.get('/api/v1/admin/users?card=4111111111111111'), 401);
  const token = secret('eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.');
  ok(await op.gate.get('/api/v1/admin/users', { token }), 401);
  ok(await api('GET', '/admin/users', undefined, payments), 403);
}

/** More than are written one by one, from addresses that each stay within their limit. */
async function crowd() {
  for (let i = 1; i <= 14; i++) {
    const ask = () => op.gate.get('/api/v1/admin/users', { from: `127.0.8.${i}` });
    for (const { status } of await Promise.all(Array.from({ length: 50 }, ask)))
      assert.ok([401, 503].includes(status), `${status}`); // 503: too many at once
  }
}

/** An upstream that is not there. */
async function breakers() {
  assert.equal((await op.gate.get('/nowhere')).status, 502);
  await until(({ event }) => event === 'breaker.moved');
}

/** By the operators' socket. */
async function operators() {
  const target = `/upstreams/nowhere/targets/127.0.0.1:1/drain`;
  const socketPath = path.join(op.gate.data, 'data', 'admin.sock');
  const req = http.request({ socketPath, method: 'POST', path: target, agent: false });
  req.end();
  const [res] = await once(req, 'response');
  res.resume();
  assert.equal(res.statusCode, 200);
  await until(({ event }) => event === 'upstream.target');
}

async function reloads() {
  const settings = file('portcullis.yaml');
  const before = fs.readFileSync(settings, 'utf8');
  const loaded = (wanted, count) =>
    until(({ event, outcome }) => event === 'config.loaded' && outcome === wanted, count);
  fs.writeFileSync(settings, `${before}cors:\n  max_age_seconds: 61\n`);
  op.gate.signal('SIGHUP');
  await loaded('done', 2);
  fs.writeFileSync(settings, `${before}cors:\n  max_age_seconds: minus one\n`);
  op.gate.signal('SIGHUP');
  await loaded('refused', 1);
  fs.writeFileSync(settings, before);
}

test(
  'a run of everything tells what the catalogue names, and nothing else',
  async () => {
    await sessions();
    await users();
    await codes(await clients());
    await keys();
    const some = await accounts();
    await money(some);
    await orders(some);
    await strangers();
    await audit();
    await alerts();
    await pressure();
    await breakers();
    await operators();
    await reloads();
    await until(({ event }) => event === 'ledger.expiry');
    await crowd();
    const misfits = await op.gate.get('/metrics');
    assert.match(misfits.text, /^trail_misfits_total 0$/m);
    assert.equal((await op.stop()).code, 0);
    await books();

    const named = await catalogue();
    const told = [...eventsIn(data), ...eventsIn(copy)];
    const names = new Set(told.map(({ event }) => (event === outside ? 'audit.external' : event)));
    assert.deepEqual([...names].sort(), Object.keys(named).sort());
    for (const text of secrets)
      for (const event of told) assert.ok(!JSON.stringify(event).includes(text), event.event);
    for (const event of told.filter((one) => one.event !== outside)) {
      const { fields, severity } = named[event.event];
      const has = fieldsOf(event);
      const shown = JSON.stringify(event);
      assert.equal(event.severity, severity, shown);
      for (const name of has) assert.ok(fields.has(name), `${name} of ${shown}`);
      for (const [name, always] of fields)
        assert.ok(!always || has.includes(name), `no ${name} in ${shown}`);
    }
  },
  { timeout: 180_000 },
);
