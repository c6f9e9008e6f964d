// SPDX-License-Identifier: MIT
// Two programs post to one PostgreSQL at once, on one hot account, while its backends are killed,
// the whole server is killed, and the connection is cut in the middle of COMMIT. Clients send the
// same key until they are answered: whatever was answered happened, and happened once.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before } from 'node:test';
import { sleep, startPostgres, test } from './harness.mjs';
import { ask, cents, each, insist, Relay, startMoney } from './money_kit.mjs';

let postgres;
before(async () => {
  postgres = await startPostgres();
});
after(() => postgres?.stop());

const start = 100_000n;

/** Two nodes on one store, each through a relay of its own to PostgreSQL. */
async function startNodes(judge) {
  const relays = [];
  const nodes = [];
  for (let i = 0; i < 2; i++) {
    relays.push(await Relay.to(postgres.port, judge));
    nodes.push(
      await startMoney({ env: { ...postgres.through(relays[i].port), ...shared } }),
    );
  }
  return { nodes, relays };
}

// A breaker that opened for a minute would be all that is seen of the trouble.
const shared = { AUTH_JWT_ISSUER: 'https://two-nodes.example', CIRCUIT_BREAKER_TIMEOUT: '1' };

/**
 * Transfers from and to one hot account at both nodes, for as long as `trouble` runs; then the
 * clients' journal is held against the ledger.
 */
async function transfersUnder(trouble, judge = () => 'pass') {
  const { nodes, relays } = await startNodes(judge);
  try {
    const token = await tokenOf(nodes[0]);
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push(await nodes[0].account(token, { deposit: cents(start) }));
    const [hot, ...others] = ids;
    const journal = new Map(ids.map((id) => [id, start]));
    const seen = { done: 0, refused: 0, tries: 0 };
    let over = false;
    const client = async (_, i) => {
      for (let n = 0; !over; n++) {
        const other = others[(i + n) % others.length];
        const [from, to] = n % 2 ? [hot, other] : [other, hot];
        const amount = BigInt(1 + Math.floor(Math.random() * 300));
        const key = randomUUID();
        const json = { from_account_id: from, to_account_id: to, amount: cents(amount) };
        let turn = i + n;
        // Now at one node, now at the other: a key is good at both.
        const { reply, tries } = await insist(() =>
          ask(nodes[turn++ % 2].gate.transactionPort, 'POST', '/transfers', { token, key, json }),
        );
        seen.tries += tries;
        if (reply.status === 201) {
          journal.set(from, journal.get(from) - amount);
          journal.set(to, journal.get(to) + amount);
          seen.done += 1;
        } else {
          assert.equal(reply.status, 409, reply.text);
          seen.refused += 1;
        }
      }
    };
    const clients = each(Array(16).fill(), 16, client);
    try {
      await Promise.race([trouble({ relays, seen }), clients]);
    } finally {
      over = true;
    }
    await clients;
    assert.ok(seen.done > 20, JSON.stringify(seen));
    for (const [id, balance] of journal) {
      const { reply } = await insist(() =>
        ask(nodes[0].gate.accountPort, 'GET', `/accounts/${id}`, { token }),
      );
      const told = BigInt(JSON.parse(reply.text).balance_minor);
      assert.equal(told, balance, `account ${id}`);
    }
    await nodes[1].check();
    return seen;
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
    await Promise.all(relays.map((relay) => relay.close()));
  }
}

/** Both nodes know it: they share the issuer's name and, in the store, its keys. */
const tokenOf = async (node) => {
  const reply = await node.gate.request('POST', '/auth/token', {
    port: node.gate.authPort,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'password',
      client_id: 'web-portal',
      client_secret: 'change-me',
      username: 'analyst@example.com',
      password: 'P@ssw0rd!',
      scope: 'accounts:read accounts:write transactions:read transactions:write',
    }).toString(),
  });
  assert.equal(reply.status, 200, reply.text);
  return reply.json.access_token;
};

test('two nodes post to one hot account at once', async (t) => {
  const seen = await transfersUnder(() => sleep(2000));
  t.diagnostic(JSON.stringify(seen));
  assert.equal(seen.tries, seen.done + seen.refused, 'without trouble each is answered at once');
});

test('backends are killed while they work', async (t) => {
  const seen = await transfersUnder(async () => {
    for (let i = 0; i < 8; i++) {
      await sleep(250);
      postgres.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity ' +
          "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
      );
    }
  });
  t.diagnostic(JSON.stringify(seen));
});

test('the server is killed and comes back', async (t) => {
  const seen = await transfersUnder(async () => {
    for (let i = 0; i < 2; i++) {
      await sleep(700);
      postgres.control('crash');
      await sleep(300);
      postgres.control('start');
      await sleep(1200);
    }
  });
  t.diagnostic(JSON.stringify(seen));
});

// The wire protocol sends COMMIT as a query or a parsed statement: its text is in the bytes.
const commits = /\bCOMMIT\b/;

test('the connection is cut when COMMIT was sent, before it is answered', async (t) => {
  let cuts = 0;
  let armed = false;
  const committing = new WeakSet();
  const judge = (chunk, way, pair) => {
    if (way === 'there') {
      if (armed && commits.test(chunk.toString('latin1')) && Math.random() < 0.1)
        committing.add(pair);
      return 'pass';
    }
    if (!committing.has(pair)) return 'pass';
    cuts += 1;
    return 'cut'; // the server did it, and nobody here was told
  };
  const seen = await transfersUnder(async () => {
    armed = true;
    await sleep(2500);
    armed = false;
  }, judge);
  t.diagnostic(JSON.stringify({ ...seen, cuts }));
  assert.ok(cuts >= 5, `${cuts} cuts`);
});

test('the connection is cut before COMMIT arrives', async (t) => {
  let cuts = 0;
  let armed = false;
  const judge = (chunk, way) => {
    if (way === 'back' || !armed || !commits.test(chunk.toString('latin1'))) return 'pass';
    if (Math.random() >= 0.1) return 'pass';
    cuts += 1;
    return 'cut'; // the server never heard of it
  };
  const seen = await transfersUnder(async () => {
    armed = true;
    await sleep(2500);
    armed = false;
  }, judge);
  t.diagnostic(JSON.stringify({ ...seen, cuts }));
  assert.ok(cuts >= 5, `${cuts} cuts`);
});
