// SPDX-License-Identifier: MIT
// No card data gets out and none is kept. Card numbers that nothing else can produce, IBANs, track
// data and verification values are sent into every field, header and path that takes text, on both
// stores; then everything the program wrote or said is searched: the whole data folder with its
// write-ahead log, or a dump of the database, the log, the metrics of every listener, every answer.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { command, startPostgres, test } from './harness.mjs';
import { number, startMoney } from './money_kit.mjs';

// ---- canaries ----------------------------------------------------------------------------------

function luhn(digits) {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    sum += i % 2 === 1 ? digit : digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
  }
  return digits + String((10 - (sum % 10)) % 10);
}

/** Hands out numbers, each for one place, so that a find tells where it came from. */
class Canaries {
  placed = new Map(); // what must be found nowhere: where it was put
  #next = 0;

  #digits() {
    this.#next += 1;
    return String(70_193_000 + this.#next * 37);
  }

  #keep(place, secret, written) {
    this.placed.set(secret, place);
    if (written !== secret) this.placed.set(written, place);
    return written;
  }

  /** A Visa, plain or in groups. */
  pan(place, separator = '') {
    const pan = luhn(`4929${this.#digits()}183`);
    return this.#keep(place, pan.slice(0, 12), pan.match(/.{4}/g).join(separator));
  }

  wide(place) {
    const pan = this.pan(place);
    return this.#keep(
      place,
      pan,
      [...pan].map((digit) => String.fromCodePoint(0xff10 + Number(digit))).join(''),
    );
  }

  iban(place) {
    const bank = `370400${this.#digits()}0130`;
    const check = 98n - (BigInt(`${bank}131400`) % 97n);
    return this.#keep(place, bank, `DE${String(check).padStart(2, '0')}${bank}`);
  }

  track(place) {
    return this.#keep(place, 'no such track', `;${this.pan(place)}=29011010000${this.#digits()}?`);
  }

  value(place) {
    return this.#keep(place, 'no such value', `security code: 9${this.#digits().slice(-3)}`);
  }

  /** All kinds in one text. */
  text(place) {
    return [
      this.pan(place),
      this.pan(place, ' '),
      this.pan(place, '-'),
      this.wide(place),
      this.iban(place),
      this.value(place),
      this.track(place),
    ].join(', ');
  }

  /** Within 100 characters. */
  brief(place) {
    return `${this.pan(place)}, ${this.pan(place, ' ')}, ${this.iban(place)}, ${this.value(place)}`;
  }

  /** The places whose canary is in these bytes. */
  found(bytes) {
    const places = new Set();
    for (const [secret, place] of this.placed)
      if (bytes.includes(Buffer.from(secret))) places.add(`${place} (${secret})`);
    return [...places];
  }
}

// ---- everything that takes text ----------------------------------------------------------------

/** Sends and remembers every answer; `expected` is a status or a list of them. */
class Sender {
  answers = [];

  constructor(op) {
    this.op = op;
  }

  async send(port, method, target, options, expected) {
    const reply = await this.op.gate.request(method, target, { port, ...options });
    this.answers.push({ what: `${method} ${target}`, reply });
    assert.ok(
      [expected].flat().includes(reply.status),
      `${method} ${target}: ${reply.status} ${reply.text}`,
    );
    return reply;
  }
}

async function fillFields(op, to, canaries) {
  const analyst = await op.analyst();
  const admin = await op.admin();
  const mine = await op.account(analyst, { user: 2, deposit: '1000.00' });
  const other = await op.account(analyst, { user: 1, deposit: '1000.00' });
  const { accountPort, transactionPort } = op.gate;
  const session = (await op.gate.login('user@example.com', 'user123')).access_token;
  const broker = await brokerOf(op);
  const money = (method, target, json, expected, headers = {}) =>
    to.send(transactionPort, method, target, { json, token: analyst, headers }, expected);
  const accounts = (method, target, json, expected, token = analyst) =>
    to.send(accountPort, method, target, { json, token }, expected);
  const gateway = (method, target, json, expected, token = session) =>
    to.send(op.gate.port, method, target, { json, token }, expected);
  const text = (place) => canaries.text(place);

  const paid = await money(
    'POST',
    '/transactions',
    {
      account_id: mine,
      amount: '1.00',
      direction: 'debit',
      description: text('transaction.description'),
      note: text('transaction, unknown member'),
      [canaries.pan('transaction, name of a member')]: 1,
    },
    201,
    { 'Idempotency-Key': canaries.pan('Idempotency-Key') },
  );
  assert.match(paid.json.description, /\*{12}\d{4}/, 'what is left is told');
  const one = `/transactions/${paid.json.id}`;
  await money('PUT', one, { description: text('PUT transaction') }, 200);
  await money('PUT', one, { status: 'completed' }, 200);
  await money('PUT', one, { status: text('status') }, 422);
  await money(
    'POST',
    `${one}/reversals`,
    { amount: '0.50', description: text('reversal of a transaction') },
    201,
  );
  for (const [name, value] of [
    ['account_id', canaries.pan('account_id as text')],
    ['account_id', Number(canaries.pan('account_id as number'))],
    ['amount', `${canaries.pan('amount')}.123`],
    ['amount', text('amount as text')],
    ['currency', canaries.pan('currency')],
    ['direction', text('direction')],
    ['user_id', canaries.pan('user_id')],
    ['effective_at', text('effective_at')],
    ['hold', canaries.pan('hold')],
  ])
    await money(
      'POST',
      '/transactions',
      { account_id: mine, amount: '1.00', direction: 'debit', [name]: value },
      [404, 409, 422],
    );
  const moved = await money(
    'POST',
    '/transfers',
    {
      from_account_id: mine,
      to_account_id: other,
      amount: '1.00',
      description: text('transfer.description'),
    },
    201,
  );
  await money('GET', `/transfers/${moved.json.id}`, undefined, 200);
  await money(
    'POST',
    `/transfers/${moved.json.id}/reversals`,
    { description: text('reversal of a transfer') },
    201,
  );
  for (const atomic of [true, false])
    await money(
      'POST',
      '/transfers/batch',
      {
        atomic,
        transfers: [
          {
            from_account_id: mine,
            to_account_id: other,
            amount: '1.00',
            description: text(`batch, first, atomic ${atomic}`),
          },
          {
            from_account_id: mine,
            to_account_id: other,
            amount: '1000000.00',
            description: text(`batch, refused, atomic ${atomic}`),
          },
        ],
      },
      [200, 201, 207, 409],
    );
  await money(
    'POST',
    '/postings',
    {
      legs: [
        { account: String(mine), amount: '-1.00' },
        { account: String(other), amount: '1.00' },
      ],
      description: text('posting.description'),
    },
    201,
  );
  await money(
    'POST',
    '/postings',
    {
      legs: [
        { account: canaries.pan('leg.account'), amount: '-1.00' },
        { account: text('leg.account as text'), amount: '1.00' },
      ],
    },
    [404, 422],
  );
  for (const list of ['/transactions', '/transfers', '/postings'])
    await money('GET', list, undefined, [200, 405]);

  await accounts(
    'POST',
    '/users',
    {
      email: `cards${process.pid}${Date.now()}@example.com`,
      full_name: canaries.brief('full_name'),
      password: 'correct horse 9 battery',
    },
    201,
    admin,
  );
  for (const account_type of [text('account_type'), canaries.pan('account_type, plain')])
    await accounts(
      'POST',
      '/accounts',
      { user_id: 2, account_number: number(), account_type },
      [201, 422],
    );
  const retyped = { account_type: text('PUT account_type') };
  await accounts('PUT', `/accounts/${mine}`, retyped, [200, 422]);
  await accounts('GET', `/accounts/${mine}/statement`, undefined, 200);
  await to.send(
    accountPort,
    'GET',
    `/accounts/${mine}/statement?format=csv`,
    { token: analyst },
    200,
  );

  const order = { account_id: mine, side: 'buy', quantity: 1, type: 'limit', limit_price: '1.00' };
  const placed = await gateway('POST', '/api/v1/trading/orders', { ...order, symbol: 'ACME' }, 201);
  await gateway('POST', '/api/v1/trading/orders', { ...order, symbol: text('symbol') }, 422);
  await gateway(
    'POST',
    '/api/v1/trading/orders',
    { ...order, symbol: canaries.pan('symbol, plain') },
    [201, 422],
  );
  await gateway(
    'POST',
    `/api/v1/trading/orders/${placed.json.id}/reject`,
    { reason: canaries.brief('reason') },
    200,
    broker,
  );
  await gateway('GET', '/api/v1/trading/orders', undefined, 200);
}

/** Someone with the role broker, who may reject an order. */
async function brokerOf(op) {
  const { email, password } = await op.gate.register();
  const { code, stderr } = await command(['user', 'role', email, 'broker'], {
    data: op.gate.data,
    env: op.env,
  });
  assert.equal(code, 0, stderr);
  return (await op.gate.login(email, password)).access_token;
}

async function fillTheRest(op, to, canaries) {
  const analyst = await op.analyst();
  const { accountPort, transactionPort, authPort, port } = op.gate;
  const pan = (place) => canaries.pan(place);
  const text = (place) => canaries.text(place);

  // Headers; those that are written down or said again are among them.
  for (const name of [
    'User-Agent',
    'Referer',
    'Cookie',
    'X-Request-ID',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Data-Scope',
    'X-MTLS-Client-CN',
    'Origin',
    'traceparent',
    'tracestate',
    'Accept',
    'Accept-Language',
    'Authorization',
  ])
    for (const [at, target] of [
      [transactionPort, '/transactions'],
      [accountPort, '/accounts'],
      [port, '/api/v1/transactions'],
    ])
      await to.send(
        at,
        'GET',
        target,
        { headers: { Authorization: `Bearer ${analyst}`, [name]: pan(`header ${name}`) } },
        [200, 400, 401, 403, 406],
      );
  await to.send(port, 'GET', '/', { headers: { Host: pan('Host') } }, [200, 400, 421]);

  // Paths and queries, plain and encoded.
  const percent = (value) => [...value].map((c) => `%${c.charCodeAt(0).toString(16)}`).join('');
  for (const [at, target] of [
    [accountPort, `/accounts/${pan('path of an account')}`],
    [accountPort, `/accounts/${pan('path of a balance')}/balance`],
    [accountPort, `/users/${pan('path of a user')}`],
    [transactionPort, `/transactions/${pan('path of a transaction')}`],
    [transactionPort, `/transfers/${pan('path of a transfer')}`],
    [transactionPort, `/nowhere/${pan('unknown path')}/x`],
    [port, `/api/v1/nowhere/${canaries.pan('unknown path, dashes', '-')}`],
    [port, `/api/v1/nowhere/${canaries.pan('unknown path, blanks', '%20')}`],
    [port, `/api/v1/nowhere/${percent(pan('unknown path, encoded'))}`],
    [port, `/api/v1/nowhere/${encodeURIComponent(text('unknown path, all kinds'))}`],
    [transactionPort, `/transactions?account_id=${pan('query account_id')}`],
    [transactionPort, `/transactions?cursor=${pan('query cursor')}`],
    [transactionPort, `/transactions?limit=${pan('query limit')}`],
    [transactionPort, `/transactions?currency=${pan('query currency')}`],
    [transactionPort, `/transactions?card=${pan('query unknown')}`],
    [accountPort, `/accounts?x=${encodeURIComponent(text('query, all kinds'))}`],
  ])
    await to.send(at, 'GET', target, { token: analyst }, [200, 400, 404, 422]);

  // Bodies that are none.
  const json = { 'Content-Type': 'application/json' };
  for (const body of [
    `{"description":"${text('body cut short')}`,
    `{"amount":${pan('bare number')},}`,
    `{"${pan('name twice')}":1,"a":1,"a":2}`,
    `${pan('body that is a number')}`,
    `"${text('body that is a text')}"`,
    `[${pan('body that is a list')}]`,
    `card=${pan('body that is a form')}`,
  ])
    for (const target of ['/transactions', '/transfers', '/transfers/batch', '/postings'])
      await to.send(
        transactionPort,
        'POST',
        target,
        { body, headers: json, token: analyst },
        [400, 422],
      );
  await to.send(
    transactionPort,
    'POST',
    '/transactions',
    { body: '{}', headers: { 'Content-Type': pan('Content-Type') }, token: analyst },
    415,
  );
  await to.send(port, 'POST', '/api/v1/auth/login', {
    json: { email: `${pan('login email')}@example.com`, password: pan('login password') },
  }, 401);
  await to.send(port, 'POST', '/api/v1/auth/refresh', {
    json: { refresh_token: pan('refresh_token') },
  }, [401, 422]);
  const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
  for (const name of ['client_id', 'client_secret', 'username', 'password', 'scope', 'grant_type'])
    await to.send(
      authPort,
      'POST',
      '/auth/token',
      {
        headers: form,
        body: new URLSearchParams({
          grant_type: 'password',
          client_id: 'web-portal',
          client_secret: 'change-me',
          username: 'user@example.com',
          password: 'user123',
          [name]: pan(`token request, ${name}`),
        }).toString(),
      },
      [400, 401],
    );
  await to.send(authPort, 'GET', `/oauth/authorize?client_id=${pan('authorize')}`, {}, [400]);

  // The same key with another body: the answer names a member and no value.
  const key = pan('key used twice');
  for (const [description, expected] of [
    [text('first with the key'), 422],
    [text('second with the key'), 422],
  ])
    await to.send(
      transactionPort,
      'POST',
      '/transfers',
      {
        json: { from_account_id: 1, to_account_id: 1, amount: '1.00', description },
        headers: { 'Idempotency-Key': key },
        token: analyst,
      },
      [expected, 404],
    );
}

// ---- the search --------------------------------------------------------------------------------

function* files(folder) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* files(full);
    else if (entry.isFile()) yield full;
  }
}

async function search(op, to, canaries, dump) {
  const seen = [];
  const look = (where, bytes) => {
    for (const place of canaries.found(bytes)) seen.push(`${place} is in ${where}`);
  };
  for (const { what, reply } of to.answers) {
    look(`the answer to ${what.replace(/\d/g, '9')}`, reply.bytes);
    look(`the headers of ${what.replace(/\d/g, '9')}`, Buffer.from(reply.raw.join('\n')));
  }
  const { port, authPort, accountPort, transactionPort } = op.gate;
  for (const at of [port, authPort, accountPort, transactionPort]) {
    const metrics = await op.gate.get('/metrics', { port: at });
    assert.equal(metrics.status, 200);
    look(`the metrics of ${at}`, metrics.bytes);
  }
  let count = 0;
  for (const file of files(op.gate.data)) {
    look(path.relative(op.gate.data, file), fs.readFileSync(file));
    count += 1;
  }
  assert.ok(count > 0);
  if (dump) look('the database', dump());
  await op.stop();
  for (const file of files(op.gate.data))
    look(`${path.relative(op.gate.data, file)} after the end`, fs.readFileSync(file));
  look('the log', Buffer.from(op.gate.output));
  assert.ok(op.gate.lines().length > 100, 'the log was written');
  assert.deepEqual([...new Set(seen)], []);
}

async function run(options, dump) {
  const op = await startMoney(options);
  const canaries = new Canaries();
  const to = new Sender(op);
  try {
    await fillFields(op, to, canaries);
    await fillTheRest(op, to, canaries);
    await search(op, to, canaries, dump);
  } finally {
    await op.stop();
  }
}

test('the search finds what is there', () => {
  const canaries = new Canaries();
  const text = canaries.text('here');
  assert.equal(canaries.found(Buffer.from(`x${text}x`)).length > 5, true);
  assert.deepEqual(canaries.found(Buffer.from('nothing')), []);
});

test('no card data is kept, logged, counted or answered', () => run({}));

test('nor with PostgreSQL', async () => {
  const postgres = await startPostgres();
  try {
    await run({ env: postgres.env }, () =>
      execFileSync('pg_dump', ['--data-only', '--dbname', postgres.url], { maxBuffer: 1 << 28 }),
    );
  } finally {
    await postgres.stop();
  }
});
