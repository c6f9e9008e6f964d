// SPDX-License-Identifier: MIT
// Money while many ask at once and answers get lost: one key that two hundred clients hold, a relay
// that drops three answers of ten behind the commit, a program that is killed under all of it, and
// clients on a few accounts that all want the same one. What the clients were told must be what the
// ledger holds, to the cent, on both stores.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { after, before } from 'node:test';
import { freePort, sleep, startPostgres, temporaryFolder, test } from './harness.mjs';
import { ask, cents, each, insist, minor, Relay, startMoney, zipf } from './money_kit.mjs';

let postgres;
before(async () => {
  postgres = await startPostgres();
});
after(() => postgres?.stop());

const stores = [
  ['embedded', () => ({})],
  ['PostgreSQL', () => postgres.env],
];

/** Accounts of user 2 with so many cents on each. */
async function opened(op, token, count, money) {
  const ids = [];
  for (let i = 0; i < count; i++)
    ids.push(await op.account(token, { user: 2, deposit: cents(money) }));
  return ids;
}

const line = (from, to, amount) => ({
  from_account_id: from,
  to_account_id: to,
  amount: cents(amount),
});

// ---- one key, two hundred clients --------------------------------------------------------------

async function storm(env) {
  const op = await startMoney({ env });
  try {
    const token = await op.analyst();
    const [a, b] = await opened(op, token, 2, 1_000_000n);
    const port = op.gate.transactionPort;
    for (let round = 0; round < 3; round++) {
      const before = await op.balance(token, a);
      const key = randomUUID();
      const replies = await Promise.all(
        Array.from({ length: 200 }, () =>
          ask(port, 'POST', '/transfers', { token, key, json: line(a, b, 123n) }),
        ),
      );
      const good = replies.filter(({ status }) => status === 201);
      const running = replies.filter(({ status }) => status === 409);
      assert.equal(good.length + running.length, 200, `${replies.map((one) => one.status)}`);
      assert.ok(good.length >= 1);
      assert.equal(new Set(good.map(({ text }) => text)).size, 1, 'other bytes');
      for (const { text, headers } of running) {
        assert.match(text, /idempotency-key-running/);
        assert.ok(Number(headers['retry-after']) >= 1);
      }
      assert.equal(await op.balance(token, a), before - 123n, 'one effect');
      const changed = await ask(port, 'POST', '/transfers', {
        token,
        key,
        json: line(a, b, 124n),
      });
      assert.equal(changed.status, 422);
      assert.equal(JSON.parse(changed.text).errors[0].field, 'amount');
    }
    await op.check();
  } finally {
    await op.stop();
  }
}

// ---- answers that get lost ---------------------------------------------------------------------

async function lostReplies(env) {
  const op = await startMoney({ env });
  const relay = await Relay.to(op.gate.transactionPort, (chunk, way) =>
    way === 'back' && Math.random() < 0.3 ? 'cut' : 'pass',
  );
  try {
    const token = await op.analyst();
    const ids = await opened(op, token, 6, 10_000n);
    const journal = new Map(ids.map((id) => [id, 10_000n]));
    const seen = { done: 0, refused: 0, tries: 0 };
    await each(Array(400).fill(), 24, async () => {
      const from = ids[Math.floor(Math.random() * ids.length)];
      const to = ids[(ids.indexOf(from) + 1 + Math.floor(Math.random() * 5)) % ids.length];
      const amount = BigInt(1 + Math.floor(Math.random() * 4000));
      const key = randomUUID();
      const { reply, tries } = await insist(() =>
        ask(relay.port, 'POST', '/transfers', { token, key, json: line(from, to, amount) }),
      );
      seen.tries += tries;
      if (reply.status === 201) {
        journal.set(from, journal.get(from) - amount);
        journal.set(to, journal.get(to) + amount);
        seen.done += 1;
      } else {
        assert.equal(reply.status, 409, reply.text);
        assert.match(reply.text, /insufficient_funds/);
        seen.refused += 1;
      }
    });
    assert.ok(seen.tries > 450, `${seen.tries} tries: nothing was lost`);
    for (const [id, balance] of journal) assert.equal(await op.balance(token, id), balance);
    await op.check();
    return seen;
  } finally {
    await relay.close();
    await op.stop();
  }
}

// ---- brokers -----------------------------------------------------------------------------------

/** Many brokers at many orders while their owner cancels: nothing is filled twice, or for more. */
async function brokers(env) {
  const op = await startMoney({ env });
  try {
    const token = await op.analyst();
    const [id] = await opened(op, token, 1, 1_000_000n);
    const { session: broker } = await op.person('broker');
    const { access_token: owner } = await op.gate.login('user@example.com', 'user123');
    const orders = '/api/v1/trading/orders';
    const targets = [];
    for (let i = 0; i < 8; i++) {
      const json = { account_id: id, symbol: 'ACME', side: i % 4 ? 'buy' : 'sell', quantity: 20 };
      const reply = await op.gate.post(
        orders,
        { ...json, type: 'limit', limit_price: '10.00' },
        { token: owner },
      );
      assert.equal(reply.status, 201, reply.text);
      targets.push(`${orders}/${reply.json.id}`);
    }
    const filled = new Map(targets.map((target) => [target, 0]));
    await each(Array(300).fill(), 32, async (_, i) => {
      const target = targets[i % targets.length];
      if (i === 200) await op.gate.request('DELETE', targets[1], { token: owner });
      const quantity = 1 + (i % 3);
      const reply = await op.gate.post(
        `${target}/fills`,
        { quantity, price: '10.00' },
        { token: broker },
      );
      if (reply.status === 201) filled.set(target, filled.get(target) + quantity);
      else assert.equal(reply.status, 409, reply.text);
    });
    let spent = 0n;
    for (const target of targets) {
      const { json } = await op.gate.get(target, { token: owner });
      assert.equal(json.filled_quantity, filled.get(target));
      assert.ok(json.filled_quantity <= 20);
      assert.equal(json.status === 'filled', json.filled_quantity === 20);
      const whole = json.fills.reduce((sum, one) => sum + one.quantity, 0);
      assert.equal(whole, json.filled_quantity);
      spent += BigInt(json.filled_quantity) * (json.side === 'buy' ? 1000n : -1000n);
    }
    assert.equal(await op.balance(token, id), 1_000_000n - spent);
    await op.check();
  } finally {
    await op.stop();
  }
}

// ---- killed ------------------------------------------------------------------------------------

const kills = Number(process.env.PORTCULLIS_KILLS ?? 6);

/** One transfer until there is an answer or the program is gone; true when there was one. */
async function tryOnce(op, token, agent, wish, journal) {
  let reply;
  try {
    reply = await ask(op.gate.transactionPort, 'POST', '/transfers', { token, agent, ...wish });
  } catch {
    return false;
  }
  if (reply.status >= 500 || /idempotency-key-running/.test(reply.text)) return false;
  if (wish.answer !== undefined) assert.equal(reply.text, wish.answer, 'two answers to one key');
  else if (reply.status === 201) {
    journal.set(wish.from, journal.get(wish.from) - wish.amount);
    journal.set(wish.to, journal.get(wish.to) + wish.amount);
  } else assert.match(reply.text, /insufficient_funds/);
  wish.answer = reply.text;
  return true;
}

async function killedInFlight(env) {
  const data = temporaryFolder();
  const same = { ...env, AUTH_PORT: String(await freePort()) };
  const start = () => startMoney({ data, env: same });
  let op = await start();
  try {
    const token = await op.analyst();
    const ids = await opened(op, token, 5, 20_000n);
    const journal = new Map(ids.map((id) => [id, 20_000n]));
    const seen = { answered: 0, pending: 0 };
    for (let round = 0; round < kills; round++) {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
      const answered = [];
      const pending = [];
      let dead = false;
      const worker = async () => {
        while (!dead) {
          const from = ids[Math.floor(Math.random() * ids.length)];
          const to = ids[(ids.indexOf(from) + 1) % ids.length];
          const amount = BigInt(1 + Math.floor(Math.random() * 500));
          const wish = { from, to, amount, key: randomUUID(), json: line(from, to, amount) };
          if (await tryOnce(op, token, agent, wish, journal)) answered.push(wish);
          else pending.push(wish);
        }
      };
      const workers = Array.from({ length: 16 }, worker);
      await sleep(150 + Math.random() * 250);
      await op.stop('SIGKILL');
      dead = true;
      await Promise.all(workers);
      agent.destroy();
      op = await start();
      seen.answered += answered.length;
      seen.pending += pending.length;
      // What was killed is absent or whole. In a long run all of it is looked at now and then.
      if (round < 10 || round % 10 === 0) await op.check();
      const fresh = new http.Agent({ keepAlive: true, maxSockets: 8 });
      await each([...pending, ...answered.slice(-20)], 8, async (wish) => {
        assert.ok(await tryOnce(op, token, fresh, wish, journal), 'no answer after the restart');
      });
      fresh.destroy();
      for (const [id, balance] of journal) assert.equal(await op.balance(token, id), balance);
    }
    await op.check();
    assert.ok(seen.answered > 10 * kills && seen.pending > 0, JSON.stringify(seen));
    return seen;
  } finally {
    await op.stop('SIGKILL');
  }
}

// ---- sixty-four clients ------------------------------------------------------------------------

/** Everything that moves money, by chance; gives how the answer came out. */
async function oneMove(op, token, agent, pick) {
  const port = op.gate.transactionPort;
  const amount = BigInt(1 + Math.floor(Math.random() * 900));
  const post = (target, json) => ask(port, 'POST', target, { token, agent, json });
  const dice = Math.random();
  if (dice < 0.6) {
    const from = pick();
    let to = pick();
    while (to === from) to = pick();
    return post('/transfers', line(from, to, amount));
  }
  const direction = Math.random() < 0.5 ? 'debit' : 'credit';
  const given = await post('/transactions', {
    account_id: pick(),
    amount: cents(amount),
    direction,
    hold: direction === 'debit' && Math.random() < 0.5,
  });
  if (given.status !== 201) return given;
  const put = (status) =>
    ask(port, 'PUT', `/transactions/${JSON.parse(given.text).id}`, {
      token,
      agent,
      json: { status },
    });
  const done = await put(Math.random() < 0.8 ? 'completed' : 'cancelled');
  return done.status === 200 && dice > 0.95 ? put('reversed') : done;
}

async function crowd(env, duration) {
  const op = await startMoney({ env });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  try {
    const token = await op.analyst();
    const ids = await opened(op, token, 40, 5_000n);
    const rank = zipf(ids.length);
    const hot = ids[0];
    const pick = () => (Math.random() < 0.2 ? hot : ids[rank()]);
    const until = Date.now() + duration;
    const seen = { done: 0, refused: 0, checks: 0 };
    const worker = async () => {
      while (Date.now() < until) {
        const reply = await oneMove(op, token, agent, pick);
        if (reply.status < 300) seen.done += 1;
        else {
          assert.equal(reply.status, 409, reply.text);
          seen.refused += 1;
        }
      }
    };
    // The whole ledger is looked at while they are at it: on a live store, of one moment.
    const reader = async () => {
      for (; Date.now() < until; await sleep(200)) {
        await op.check();
        seen.checks += 1;
      }
    };
    await Promise.all([reader(), ...Array.from({ length: 64 }, worker)]);
    assert.ok(seen.done > 200, JSON.stringify(seen));
    assert.ok(seen.checks >= 1, JSON.stringify(seen));
    for (const id of ids) {
      const reply = await op.accounts.get(`/accounts/${id}/balance`, { token });
      assert.equal(reply.status, 200, reply.text);
      assert.ok(minor(reply, 'available') >= 0n, 'overdrawn');
    }
    await op.check();
    return seen;
  } finally {
    agent.destroy();
    await op.stop();
  }
}

for (const [store, env] of stores) {
  test(`${store}: two hundred clients with one key have one effect`, () => storm(env()));
  test(`${store}: what was answered is what it holds, though replies are lost`, async (t) => {
    t.diagnostic(JSON.stringify(await lostReplies(env())));
  });
  test(`${store}: brokers fill what there is, once`, () => brokers(env()));
  test(
    `${store}: killed in flight, ${kills} times`,
    async (t) => t.diagnostic(JSON.stringify(await killedInFlight(env()))),
    { timeout: 60_000 + kills * 4000 },
  );
  test(`${store}: sixty-four clients and one hot account add up at every moment`, async (t) => {
    t.diagnostic(JSON.stringify(await crowd(env(), 3000)));
  });
}
