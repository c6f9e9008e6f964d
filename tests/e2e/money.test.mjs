// SPDX-License-Identifier: MIT
// Accounts, transactions, transfers and orders as the contract writes them (sections 4 to 6): the
// published collection's own flow, every route with its scopes, roles and limits, whose object is
// whose, pages, and keys that make a request happen once.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import {
  assertHeaders,
  assertInvalid,
  assertProblem,
  assertUnauthorized,
  test,
  uuid,
} from './harness.mjs';
import { minor, number, startMoney } from './money_kit.mjs';

const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

let op;
let analyst; // role payments
let customer; // user 2
let admin;
before(async () => {
  op = await startMoney();
  analyst = await op.analyst();
  customer = await op.customer();
  admin = await op.admin();
});
after(() => op?.stop());

/** A customer nobody has heard of, signed in by the password grant. */
async function newcomer(scope) {
  const account = await op.gate.register();
  return {
    id: (await op.gate.get('/api/v1/auth/me', { token: account.tokens.access_token })).json.user_id,
    session: account.tokens.access_token,
    token: await op.token(account.email, account.password, scope),
  };
}

const nextOf = (reply) => /^<([^>]+)>; rel="next"$/.exec(reply.headers.link ?? '')?.[1];

const pay = (token, from, to, amount, more = {}, options = {}) =>
  op.transactions.post(
    '/transfers',
    { from_account_id: from, to_account_id: to, amount, ...more },
    { token, ...options },
  );

const settle = async (id, status = 'completed') =>
  op.transactions.put(`/transactions/${id}`, { status }, { token: analyst });

// ---- the collection ----------------------------------------------------------------------------

test('the published collection runs as it is written', async () => {
  for (const listener of [op.accounts, op.transactions]) {
    const health = await listener.get('/health');
    assert.equal(health.status, 200);
    assert.deepEqual(health.json, { status: 'ok' });
  }
  const token = analyst;
  const list = await op.accounts.get('/accounts', { token });
  assert.equal(list.status, 200);
  assert.ok(Array.isArray(list.json));
  assertHeaders(list);

  const account_number = number();
  const made = await op.accounts.post(
    '/accounts',
    {
      user_id: 1,
      account_number,
      account_type: 'checking',
      currency: 'USD',
      balance: 1000.5,
      id: 4711,
      role: 'admin',
    },
    { token },
  );
  assert.equal(made.status, 201, made.text);
  const account = made.json;
  assert.equal(account.balance, 0, 'an unknown member is ignored and never honoured');
  assert.notEqual(account.id, 4711);
  assert.equal(account.user_id, 1);
  assert.equal(
    account.account_number,
    '*'.repeat(account_number.length - 4) + account_number.slice(-4),
  );
  assert.equal(account.account_type, 'checking');
  assert.equal(account.currency, 'USD');
  assert.equal(account.status, 'active');
  assert.match(account.created_at, iso);
  assert.match(account.updated_at, iso);
  const read = await op.accounts.get(`/accounts/${account.id}`, { token });
  assert.equal(read.status, 200);
  assert.deepEqual(read.json, account);

  const given = await op.transactions.post(
    '/transactions',
    {
      account_id: account.id,
      amount: 19.95,
      currency: 'USD',
      direction: 'debit',
      description: 'Books, card 4111 1111 1111 1111, thank you',
    },
    { token },
  );
  assert.equal(given.status, 201, given.text);
  const transaction = given.json;
  for (const [name, value] of Object.entries({
    account_id: account.id,
    user_id: 1,
    amount: 19.95,
    amount_minor: 1995,
    currency: 'USD',
    direction: 'debit',
    status: 'pending',
  }))
    assert.equal(transaction[name], value, name);
  assert.match(given.text, /"amount":19\.95[,}]/);
  assert.match(transaction.description, /^Books, card [* ]+1111, thank you$/);
  assert.ok(!given.text.includes('4111'));
  const again = await op.transactions.get(`/transactions/${transaction.id}`, { token });
  assert.equal(again.status, 200);
  assert.deepEqual(again.json, transaction);
  const all = await op.transactions.get('/transactions', { token });
  assert.equal(all.status, 200);
  assert.ok(all.json.some(({ id }) => id === transaction.id));
  const ofAccount = await op.transactions.get(`/transactions/accounts/${account.id}`, { token });
  assert.equal(ofAccount.status, 200);
  assert.deepEqual(ofAccount.json, [transaction]);
  assert.equal(await op.balance(token, account.id), 0n, 'nothing moved');
  assert.ok(!op.gate.output.includes('4111 1111'), 'a card number reached the log');
});

test('the same under the gateway', async () => {
  const made = await op.gate.post(
    '/api/v1/accounts',
    { user_id: 2, account_number: number(), account_type: 'savings' },
    { token: analyst },
  );
  assert.equal(made.status, 201, made.text);
  assert.equal(made.json.currency, 'USD');
  const read = await op.gate.get(`/api/v1/accounts/${made.json.id}`, { token: customer });
  assert.deepEqual(read.json, made.json);
  const given = await op.gate.post(
    '/api/v1/transactions',
    { account_id: made.json.id, amount: '20.00', direction: 'credit' },
    { token: analyst },
  );
  assert.equal(given.status, 201, given.text);
  const done = await op.gate.put(
    `/api/v1/transactions/${given.json.id}`,
    { status: 'completed' },
    { token: analyst },
  );
  assert.equal(done.status, 200);
  const other = await op.account(analyst, { user: 3 });
  const moved = await op.gate.post(
    '/api/v1/transfers',
    { from_account_id: made.json.id, to_account_id: other, amount: 5 },
    { token: customer },
  );
  assert.equal(moved.status, 201, moved.text);
  assert.equal(await op.balance(analyst, other), 500n);
});

// ---- who may -----------------------------------------------------------------------------------

test('no token is 401, another scope or role is 403, on every route', async () => {
  const id = await op.account(analyst);
  const read = 'accounts:read transactions:read';
  const write = 'accounts:write transactions:write';
  const [reader, writer] = [await op.analyst(read), await op.analyst(write)];
  const body = { status: 'frozen' };
  const routes = [
    [op.accounts, 'GET', '/accounts', read],
    [op.accounts, 'POST', '/accounts', write, {}],
    [op.accounts, 'GET', `/accounts/${id}`, read],
    [op.accounts, 'PUT', `/accounts/${id}`, write, body],
    [op.accounts, 'DELETE', '/accounts/999999', write],
    [op.accounts, 'POST', '/users', write, {}],
    [op.accounts, 'GET', '/users/2', read],
    [op.transactions, 'GET', '/transactions', read],
    [op.transactions, 'POST', '/transactions', write, {}],
    [op.transactions, 'GET', '/transactions/1', read],
    [op.transactions, 'GET', `/transactions/accounts/${id}`, read],
    [op.transactions, 'PUT', '/transactions/1', write, {}],
    [op.transactions, 'POST', '/transfers', write, {}],
    [op.transactions, 'POST', '/transfers/batch', write, {}],
  ];
  for (const [listener, method, target, scope, json] of routes) {
    const name = `${method} ${target}`;
    assertUnauthorized(await listener.request(method, target, { json }));
    assertUnauthorized(await listener.request(method, target, { json, token: 'x.y.z' }));
    const without = await listener.request(method, target, {
      json,
      token: scope === read ? writer : reader,
    });
    assertProblem(without, 403);
    assert.match(without.headers['www-authenticate'] ?? '', /insufficient_scope/, name);
    const within = await listener.request(method, target, {
      json,
      token: scope === read ? reader : writer,
    });
    assert.ok(![401, 403, 405].includes(within.status), `${name}: ${within.status}`);
  }
  for (const [method, target] of [
    ['POST', '/transactions'],
    ['PUT', '/transactions/1'],
  ])
    assertProblem(
      await op.transactions.request(method, target, {
        json: { account_id: id, amount: 1, direction: 'credit' },
        token: customer,
      }),
      403,
    );
});

test("what is another customer's is as unknown as what does not exist", async () => {
  const stranger = await newcomer();
  const [mine, theirs] = [
    await op.account(analyst, { deposit: 10 }),
    await op.account(analyst, { user: stranger.id, deposit: 10 }),
  ];
  const given = await op.transactions.post(
    '/transactions',
    { account_id: theirs, amount: 1, direction: 'debit' },
    { token: analyst },
  );
  assert.equal(given.status, 201);
  const moved = await pay(stranger.token, theirs, mine, 1);
  assert.equal(moved.status, 201, moved.text);
  const alike = async (listener, method, theirTarget, unknownTarget, json) => {
    const [one, two] = [
      await listener.request(method, theirTarget, { json, token: customer }),
      await listener.request(method, unknownTarget, { json, token: customer }),
    ];
    assertProblem(one, 404);
    assert.equal(two.status, 404);
    const bare = ({ json: { instance, traceId, ...rest } }) => rest;
    assert.deepEqual(bare(one), bare(two), `${method} ${theirTarget}`);
  };
  await alike(op.accounts, 'GET', `/accounts/${theirs}`, '/accounts/999999');
  await alike(op.accounts, 'PUT', `/accounts/${theirs}`, '/accounts/999999', {
    account_type: 'savings',
  });
  await alike(op.accounts, 'DELETE', `/accounts/${theirs}`, '/accounts/999999');
  await alike(
    op.transactions,
    'GET',
    `/transactions/${given.json.id}`,
    '/transactions/99999999',
  );
  await alike(
    op.transactions,
    'GET',
    `/transactions/accounts/${theirs}`,
    '/transactions/accounts/999999',
  );
  assertProblem(await pay(customer, theirs, mine, 1), 404);
  assertProblem(await pay(customer, 999999, mine, 1), 404);
  for (const [listener, target] of [
    [op.accounts, '/accounts'],
    [op.transactions, '/transactions'],
  ]) {
    const reply = await listener.get(`${target}?limit=500`, { token: stranger.token });
    assert.equal(reply.status, 200);
    assert.ok(reply.json.length > 0);
    for (const row of reply.json) assert.equal(row.user_id, stranger.id);
  }
  const seen = await op.accounts.get(`/accounts/${theirs}`, { token: admin });
  assert.equal(seen.status, 200, 'an administrator sees it');
});

test('a customer opens accounts for themselves, without money', async () => {
  const body = { account_type: 'checking' };
  const open = (more) =>
    op.accounts.post(
      '/accounts',
      { account_number: number(), ...body, ...more },
      { token: customer },
    );
  assert.equal((await open({ user_id: 2 })).status, 201);
  assertProblem(await open({ user_id: 1 }), 404);
  assertProblem(await open({ user_id: 999999 }), 404);
  assertProblem(await open({ user_id: 2, initial_deposit: 5 }), 403);
  const taken = number();
  assert.equal((await open({ user_id: 2, account_number: taken })).status, 201);
  assertProblem(await open({ user_id: 2, account_number: taken }), 409);
  assertProblem(
    await op.accounts.post(
      '/accounts',
      { user_id: 999999, account_number: number(), ...body },
      { token: analyst },
    ),
    404,
  );
});

test('users are made with their accounts to be seen', async () => {
  const email = `money${process.pid}@example.com`;
  const made = await op.accounts.post(
    '/users',
    { email, full_name: 'Mona Nee', password: 'an honest long one' },
    { token: analyst },
  );
  assert.equal(made.status, 201, made.text);
  assert.ok(!made.text.includes('honest'));
  const id = await op.account(analyst, { user: made.json.id });
  const read = await op.accounts.get(`/users/${made.json.id}`, { token: analyst });
  assert.equal(read.status, 200);
  assert.equal(read.json.email, email);
  assert.deepEqual(
    read.json.accounts.map((account) => account.id),
    [id],
  );
  assertInvalid(
    await op.accounts.post(
      '/users',
      { email: 'x@example.com', full_name: 'X', password: 'pAss9!' },
      { token: analyst },
    ),
    ['password'],
    ['pAss9!'],
  );
  assertProblem(await op.accounts.get('/users/999999', { token: analyst }), 404);
});

// ---- what a transaction and an account go through ----------------------------------------------

test('a transaction moves money when it is completed, and no other way', async () => {
  const id = await op.account(analyst, { deposit: 50 });
  const give = async (more) => {
    const reply = await op.transactions.post(
      '/transactions',
      { account_id: id, direction: 'debit', ...more },
      { token: analyst },
    );
    assert.equal(reply.status, 201, reply.text);
    return reply.json.id;
  };
  const debit = await give({ amount: 20 });
  assert.equal(await op.balance(analyst, id), 5000n);
  const done = await settle(debit);
  assert.equal(done.status, 200, done.text);
  assert.equal(done.json.status, 'completed');
  assert.equal(await op.balance(analyst, id), 3000n);
  for (const status of ['pending', 'cancelled', 'failed'])
    assertProblem(await settle(debit, status), 409);
  const back = await settle(debit, 'reversed');
  assert.equal(back.status, 200, back.text);
  assert.equal(await op.balance(analyst, id), 5000n);
  for (const status of ['completed', 'pending', 'cancelled'])
    assertProblem(await settle(debit, status), 409);

  const much = await give({ amount: 50.01 });
  const poor = await settle(much);
  assertProblem(poor, 409);
  assert.match(poor.json.type, /insufficient_funds$/);
  assert.equal((await settle(much, 'failed')).status, 200);
  assertProblem(await settle(much), 409);

  const credit = await give({ amount: '7.50', direction: 'credit' });
  assert.equal((await settle(credit)).status, 200);
  assert.equal(await op.balance(analyst, id), 5750n);
  const never = await give({ amount: 1 });
  assert.equal((await settle(never, 'cancelled')).status, 200);
  assertProblem(await settle(never), 409);
  assert.equal(await op.balance(analyst, id), 5750n);

  const renamed = await op.transactions.put(
    `/transactions/${never}`,
    { description: 'pan 4111111111111111' },
    { token: analyst },
  );
  assert.ok(!renamed.text.includes('4111111'));
  assertInvalid(
    await op.transactions.put(`/transactions/${never}`, { status: 'done' }, { token: analyst }),
    ['status'],
  );
});

test('a hold takes the money aside until it is settled or let go', async () => {
  const id = await op.account(analyst, { deposit: 30 });
  const hold = (amount) =>
    op.transactions.post(
      '/transactions',
      { account_id: id, amount, direction: 'debit', hold: true },
      { token: analyst },
    );
  const first = await hold(20);
  assert.equal(first.status, 201, first.text);
  const second = await hold(10.01);
  assertProblem(second, 409);
  assert.match(second.json.type, /insufficient_funds$/);
  const other = await op.account(analyst, { user: 3 });
  assertProblem(await pay(customer, id, other, 10.01), 409);
  assert.equal((await settle(first.json.id, 'cancelled')).status, 200);
  const third = await hold(30);
  assert.equal(third.status, 201);
  assert.equal((await settle(third.json.id)).status, 200);
  assert.equal(await op.balance(analyst, id), 0n);
});

test('an account is frozen, thawed, emptied and closed', async () => {
  const id = await op.account(analyst, { deposit: 10 });
  const to = await op.account(analyst, { user: 3 });
  const change = (json, token = analyst) => op.accounts.put(`/accounts/${id}`, json, { token });
  assertProblem(await change({ status: 'frozen' }, customer), 403);
  assert.equal((await change({ account_type: 'savings' }, customer)).json.account_type, 'savings');
  assert.equal((await change({ status: 'frozen' })).json.status, 'frozen');
  assertProblem(await pay(customer, id, to, 1), 409);
  const back = await pay(analyst, to, id, 1);
  assert.equal(back.status, 409, 'nothing on the other');
  assert.equal((await change({ status: 'active' })).status, 200);
  assertProblem(await op.accounts.delete(`/accounts/${id}`, { token: customer }), 409);
  assert.equal((await pay(customer, id, to, 10)).status, 201);
  assert.equal((await op.accounts.delete(`/accounts/${id}`, { token: customer })).status, 204);
  const closed = await op.accounts.get(`/accounts/${id}`, { token: customer });
  assert.equal(closed.json.status, 'closed', 'history is never deleted');
  assertProblem(await pay(analyst, to, id, 1), 409);
  assertInvalid(await change({ status: 'asleep' }), ['status']);
});

test('batches move all or each by itself', async () => {
  const [a, b] = [await op.account(analyst, { deposit: 10 }), await op.account(analyst)];
  const batch = (transfers, more = {}) =>
    op.transactions.post('/transfers/batch', { transfers, ...more }, { token: analyst });
  const line = (amount, from = a, to = b) => ({ from_account_id: from, to_account_id: to, amount });
  assertProblem(await batch([line(6), line(5)]), 409);
  assert.equal(await op.balance(analyst, a), 1000n, 'all or nothing');
  const some = await batch([line(6), line(5), line(4)], { atomic: false });
  assert.ok(some.status < 300, some.text);
  assert.equal(await op.balance(analyst, a), 0n);
  assert.equal(await op.balance(analyst, b), 1000n);
  const there = Array.from({ length: 500 }, () => line('0.01', b, a));
  const back = Array.from({ length: 500 }, () => line('0.01', a, b));
  const thousand = await batch([...there, ...back]);
  assert.equal(thousand.status, 201, thousand.text.slice(0, 300));
  assertProblem(await batch([...there, ...back, line(1)]), 422);
  assertProblem(await batch([]), 422);
  assertProblem(
    await op.transactions.post('/transfers/batch', { transfers: [line(1)] }, { token: customer }),
    409,
  );
});

// ---- orders ------------------------------------------------------------------------------------

test('an order holds its cost until it is cancelled', async () => {
  const { access_token: session } = await op.gate.login('user@example.com', 'user123');
  const id = await op.account(analyst, { deposit: 100 });
  const made = await op.gate.post(
    '/api/v1/trading/orders',
    {
      account_id: id,
      symbol: 'ACME',
      side: 'buy',
      quantity: 4,
      type: 'limit',
      limit_price: 25,
      currency: 'USD',
    },
    { token: session },
  );
  assert.equal(made.status, 201, made.text);
  const order = made.json;
  assert.match(order.id, uuid);
  for (const [name, value] of Object.entries({
    symbol: 'ACME',
    side: 'buy',
    quantity: 4,
    type: 'limit',
    limit_price: 25,
    currency: 'USD',
    account_id: id,
    status: 'open',
  }))
    assert.equal(order[name], value, name);
  assert.match(order.created_at, iso);
  const to = await op.account(analyst, { user: 3 });
  assertProblem(await pay(customer, id, to, '0.01'), 409);
  const target = `/api/v1/trading/orders/${order.id}`;
  assert.equal((await op.gate.get(target, { token: session })).json.status, 'open');
  const stranger = await newcomer();
  assertProblem(await op.gate.get(target, { token: stranger.session }), 404);
  assertProblem(await op.gate.request('DELETE', target, { token: stranger.session }), 404);
  const fill = await op.gate.post(
    `${target}/fills`,
    { quantity: 1, price: 25 },
    { token: session },
  );
  assertProblem(fill, 403);
  assert.equal((await op.gate.request('DELETE', target, { token: session })).status, 204);
  assertProblem(await op.gate.request('DELETE', target, { token: session }), 409);
  assert.equal((await pay(customer, id, to, 100)).status, 201);
  const listed = await op.gate.get('/api/v1/trading/orders', { token: session });
  assert.equal(listed.json.user_id, 2);
  assert.equal(listed.json.orders[0].id, order.id);
  assert.equal(listed.json.orders[0].status, 'cancelled');
});

const orders = '/api/v1/trading/orders';

test('a broker fills an order in parts, and the rest of the hold comes back', async () => {
  const { session: broker } = await op.person('broker');
  const { access_token: session } = await op.gate.login('user@example.com', 'user123');
  const id = await op.account(analyst, { deposit: 100 });
  const place = async (more) => {
    const reply = await op.gate.post(
      orders,
      { account_id: id, symbol: 'ACME', side: 'buy', quantity: 4, ...more },
      { token: session },
    );
    assert.equal(reply.status, 201, reply.text);
    assert.equal(reply.headers.location, `${orders}/${reply.json.id}`);
    return `${orders}/${reply.json.id}`;
  };
  const fill = (target, quantity, price) =>
    op.gate.post(`${target}/fills`, { quantity, price }, { token: broker });
  const held = async () =>
    minor(await op.accounts.get(`/accounts/${id}/balance`, { token: analyst }), 'held');

  const limit = await place({ type: 'limit', limit_price: 20 });
  assert.equal(await held(), 8000n);
  assertProblem(await fill(limit, 1, '20.01'), 409);
  assertProblem(await fill(limit, 5, 20), 409);
  assert.equal((await fill(limit, 1, '19.50')).status, 201);
  assert.equal(await op.balance(analyst, id), 8050n);
  assert.equal(await held(), 6050n);
  assert.equal((await op.gate.get(limit, { token: session })).json.status, 'open');
  assert.equal((await fill(limit, 3, 20)).status, 201);
  const filled = (await op.gate.get(limit, { token: session })).json;
  assert.equal(filled.status, 'filled');
  assert.equal(await op.balance(analyst, id), 2050n);
  assert.equal(await held(), 0n, 'what was cheaper is free again');
  assertProblem(await fill(limit, 1, 20), 409);
  assertProblem(await op.gate.request('DELETE', limit, { token: session }), 409);

  const sell = await place({ side: 'sell', type: 'market' });
  assert.equal(await held(), 0n);
  assert.equal((await fill(sell, 4, 10)).status, 201);
  assert.equal(await op.balance(analyst, id), 6050n);

  const refused = await place({ type: 'market', max_cost: '60.50' });
  assert.equal(await held(), 6050n);
  const reject = await op.gate.post(
    `${refused}/reject`,
    { reason: 'closed, ask 4111-1111-1111-1111' },
    { token: broker },
  );
  assert.equal(reject.status, 200, reject.text);
  assert.equal(await held(), 0n);
  const told = await op.gate.get(refused, { token: session });
  assert.equal(told.json.status, 'rejected');
  assert.ok(!told.text.includes('4111'));
  for (const [method, more, json] of [
    ['POST', '/fills', { quantity: 1, price: 1 }],
    ['POST', '/reject', { reason: 'x' }],
  ])
    assertProblem(
      await op.gate.request(method, `${refused}${more}`, { json, token: session }),
      403,
    );
  const all = await op.gate.get(`${orders}?all=true&account_id=${id}&limit=2`, { token: broker });
  assert.equal(all.json.total, 3);
  const rest = await op.gate.get(nextOf(all), { token: broker });
  assert.equal(rest.json.orders.length, 1);
  assert.equal(rest.json.total, 3, 'the link keeps the filter');
});

test('what is made says where it is, on every listener', async () => {
  const body = () => ({ user_id: 2, account_number: number(), account_type: 'checking' });
  const own = await op.accounts.post('/accounts', body(), { token: analyst });
  assert.equal(own.headers.location, `/accounts/${own.json.id}`);
  const mounted = await op.gate.post('/api/v1/accounts', body(), { token: analyst });
  assert.equal(mounted.headers.location, `/api/v1/accounts/${mounted.json.id}`);
  for (const [listener, prefix] of [
    [op.transactions, ''],
    [op.gate, '/api/v1'],
  ]) {
    const given = await listener.post(
      `${prefix}/transactions`,
      { account_id: own.json.id, amount: 1, direction: 'credit' },
      { token: analyst },
    );
    assert.equal(given.headers.location, `${prefix}/transactions/${given.json.id}`);
    const page = await listener.get(`${prefix}/transactions?limit=1&status=pending`, {
      token: analyst,
    });
    assert.ok(nextOf(page).startsWith(`${prefix}/transactions?`), nextOf(page));
    assert.equal((await listener.get(nextOf(page), { token: analyst })).status, 200);
  }
});

// ---- pages -------------------------------------------------------------------------------------

test('pages show each row once while rows are added', async () => {
  const id = await op.account(analyst);
  const add = async () => {
    const reply = await op.transactions.post(
      '/transactions',
      { account_id: id, amount: 1, direction: 'credit' },
      { token: analyst },
    );
    assert.equal(reply.status, 201);
    return reply.json.id;
  };
  const wanted = [];
  for (let i = 0; i < 23; i++) wanted.push(await add());
  for (const first of [
    `/transactions/accounts/${id}?limit=5`,
    `/transactions?account_id=${id}&status=pending&limit=5`,
  ]) {
    const seen = [];
    for (let target = first; target; ) {
      const reply = await op.transactions.get(target, { token: analyst });
      assert.equal(reply.status, 200, reply.text);
      assert.ok(reply.json.length <= 5);
      seen.push(...reply.json.map((row) => row.id));
      target = nextOf(reply);
      await add();
    }
    assert.deepEqual(
      seen.filter((one) => wanted.includes(one)),
      [...wanted].reverse(),
      first,
    );
    assert.equal(new Set(seen).size, seen.length);
    for (const extra of seen.slice(wanted.length)) wanted.push(extra);
    const now = await op.transactions.get(`/transactions/accounts/${id}?limit=500`, {
      token: analyst,
    });
    wanted.splice(0, wanted.length, ...now.json.map((row) => row.id).reverse());
  }
  for (const bad of ['limit=0', 'limit=x', 'limit=501', 'cursor=nonsense'])
    assertProblem(await op.transactions.get(`/transactions?${bad}`, { token: analyst }), 422);
  const page = await op.accounts.get('/accounts?limit=2', { token: analyst });
  assert.equal(page.json.length, 2);
  const next = await op.accounts.get(nextOf(page), { token: analyst });
  assert.equal(next.status, 200);
  assert.ok(!next.json.some(({ id: one }) => page.json.some((row) => row.id === one)));
});

// ---- keys --------------------------------------------------------------------------------------

test('a key makes a request happen once, and answers with the same bytes', async () => {
  const [a, b] = [await op.account(analyst, { deposit: 100 }), await op.account(analyst)];
  const key = (value) => ({ headers: { 'Idempotency-Key': value } });
  const first = await pay(customer, a, b, 10, { description: 'rent' }, key('k-1'));
  assert.equal(first.status, 201, first.text);
  const again = await pay(customer, a, b, 10, { description: 'rent' }, key('k-1'));
  assert.equal(again.status, 201);
  assert.equal(again.text, first.text);
  assert.equal(again.headers['content-type'], first.headers['content-type']);
  assert.equal(await op.balance(analyst, a), 9000n);

  // The same body in another order and with other blanks is the same request.
  const other = await op.transactions.request('POST', '/transfers', {
    body: `{ "description":"rent",  "amount": 10, "to_account_id":${b},"from_account_id": ${a} }`,
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'k-1' },
    token: customer,
  });
  assert.equal(other.text, first.text);

  const changed = await pay(customer, a, b, 11, { description: 'rent' }, key('k-1'));
  assertInvalid(changed, ['amount']);
  assertInvalid(await pay(customer, a, b, 10, { description: 'Rent' }, key('k-1')), [
    'description',
  ]);
  assert.equal(await op.balance(analyst, a), 9000n);

  // Somebody else's key of the same name is another key.
  const theirs = await pay(analyst, a, b, 10, { description: 'rent' }, key('k-1'));
  assert.equal(theirs.status, 201);
  assert.notEqual(theirs.text, first.text);
  assert.equal(await op.balance(analyst, a), 8000n);

  // A refusal is remembered, even when it would be granted by now.
  const poor = await pay(customer, b, a, 500, {}, key('k-2'));
  assertProblem(poor, 409);
  const credit = await op.transactions.post(
    '/transactions',
    { account_id: b, amount: 1000, direction: 'credit' },
    { token: analyst },
  );
  assert.equal((await settle(credit.json.id)).status, 200);
  const still = await pay(customer, b, a, 500, {}, key('k-2'));
  assert.equal(still.status, 409);
  assert.equal(still.text, poor.text);
  assert.equal((await pay(customer, b, a, 500, {}, key('k-3'))).status, 201);

  for (const bad of ['', 'x'.repeat(256), 'spa ce', 'caf\u00e9'])
    assertProblem(await pay(customer, a, b, 1, {}, key(bad)), 422);
  assert.equal((await pay(customer, a, b, 1, {}, key('x'.repeat(255)))).status, 201);
});

test('every POST that moves money takes a key', async () => {
  const [a, b] = [await op.account(analyst, { deposit: 100 }), await op.account(analyst)];
  const { access_token: session } = await op.gate.login('user@example.com', 'user123');
  const headers = { 'Idempotency-Key': 'every-post' };
  const line = { from_account_id: a, to_account_id: b, amount: 1 };
  const requests = [
    () => op.transactions.post('/transfers', line, { token: analyst, headers }),
    () =>
      op.transactions.post(
        '/transfers/batch',
        { transfers: [line, line] },
        { token: analyst, headers },
      ),
    () =>
      op.transactions.post(
        '/transactions',
        { account_id: a, amount: 1, direction: 'debit', hold: true },
        { token: analyst, headers },
      ),
    () =>
      op.gate.post(
        '/api/v1/trading/orders',
        {
          account_id: a,
          symbol: 'ACME',
          side: 'buy',
          quantity: 1,
          type: 'market',
          max_cost: 5,
        },
        { token: session, headers },
      ),
  ];
  for (const request of requests) {
    const [one, two] = [await request(), await request()];
    assert.equal(one.status, 201, one.text);
    assert.equal(two.text, one.text);
    assert.equal(two.status, 201);
  }
  assert.equal(await op.balance(analyst, b), 300n);
});

// ---- limits ------------------------------------------------------------------------------------

test('each route is limited by the minute as the contract says', async () => {
  const tight = await startMoney({ limits: true });
  try {
    const token = await tight.analyst();
    const id = await tight.account(token);
    const routes = [
      [tight.accounts, 'GET', '/accounts', 30],
      [tight.accounts, 'POST', '/accounts', 9, {}], // one was opened
      [tight.accounts, 'GET', `/accounts/${id}`, 30],
      [tight.accounts, 'PUT', `/accounts/${id}`, 10, { account_type: 'savings' }],
      [tight.accounts, 'DELETE', '/accounts/999999', 5],
      [tight.accounts, 'POST', '/users', 10, {}],
      [tight.accounts, 'GET', '/users/2', 30],
      [tight.transactions, 'GET', '/transactions', 50],
      [tight.transactions, 'POST', '/transactions', 15, {}],
      [tight.transactions, 'GET', '/transactions/999999', 50],
      [tight.transactions, 'GET', `/transactions/accounts/${id}`, 30],
      [tight.transactions, 'PUT', '/transactions/999999', 15, { status: 'failed' }],
    ];
    for (const [listener, method, target, limit, json] of routes) {
      const replies = await Promise.all(
        Array.from({ length: limit + 4 }, () => listener.request(method, target, { json, token })),
      );
      const refused = replies.filter((reply) => reply.status === 429);
      const name = `${method} ${target}`;
      assert.ok(refused.length >= 3 && refused.length <= 4, `${name}: ${refused.length} refused`);
      assert.ok(Number(refused[0].headers['retry-after']) >= 1, name);
      assert.ok(refused[0].json.retry_after >= 1, name);
      assert.equal(replies[0].headers['x-ratelimit-remaining'] !== undefined, true, name);
    }
  } finally {
    await tight.stop();
  }
});

// ---- and it all adds up ------------------------------------------------------------------------

test('what all of this did adds up to the cent', async () => {
  await op.check();
});
