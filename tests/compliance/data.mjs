// SPDX-License-Identifier: MIT
// What is kept and shown of accounts, cards and money.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { command } from '../e2e/harness.mjs';
import { number } from '../e2e/money_kit.mjs';

function luhn(digits) {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    sum += i % 2 === 1 ? digit : digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
  }
  return digits + String((10 - (sum % 10)) % 10);
}

const accountNumber = {
  name: 'mask-account-number',
  about: 'An account number is shown by its last four digits only, to every role, in every answer',
  how: 'a stand-in that puts the number back',
  red: /a whole account number was shown/,
  on: async (world) => ({ port: (await world.base()).gate.port }),
  async off(world) {
    const { gate } = await world.base();
    const seen = new Map();
    const port = await world.standIn(gate.port, {
      before: ({ method, body }) => {
        if (method !== 'POST') return;
        const { account_number: whole } = JSON.parse(body.toString());
        seen.set(whole.slice(-4), whole);
      },
      after: (answer) => {
        const back = (masked, last) => seen.get(last) ?? masked;
        answer.body = Buffer.from(answer.body.toString().replace(/\*+(\d{4})/g, back));
      },
    });
    return { port };
  },
  async probe({ port }, world) {
    const op = await world.base();
    const owner = await world.person(op);
    const auditor = await world.person(op, { roles: ['auditor'] });
    const { token } = await world.teller(op);
    const whole = number();
    const body = { user_id: owner.id, account_number: whole, account_type: 'checking' };
    const made = await op.gate.post('/api/v1/accounts', body, { token, port, agent: false });
    assert.equal(made.status, 201, made.text);
    const { id } = made.json;
    for (const who of [token, owner.token, auditor.token])
      for (const target of [`/api/v1/accounts/${id}`, '/api/v1/accounts?limit=100']) {
        const reply = await op.gate.get(target, { token: who, port, agent: false });
        assert.equal(reply.status, 200, reply.text);
        assert.ok(reply.text.includes(`*${whole.slice(-4)}`) || reply.text.includes(whole));
        assert.ok(!reply.text.includes(whole), 'a whole account number was shown');
      }
    assert.ok(!made.text.includes(whole), 'a whole account number was shown');
  },
};

/** Every file below a folder, as bytes. */
function filesOf(folder) {
  return fs.readdirSync(folder, { withFileTypes: true, recursive: false }).flatMap((entry) => {
    const at = path.join(folder, entry.name);
    if (entry.isDirectory()) return filesOf(at);
    return entry.isFile() ? [[at, fs.readFileSync(at)]] : [];
  });
}

const cards = {
  name: 'mask-cards',
  about: 'A card number in free text is masked before it is answered, kept or logged',
  how: 'the number is written into the data folder past the program',
  red: /a card number was found/,
  on: () => ({ spill: false }),
  off: () => ({ spill: true }),
  async probe({ spill }, world) {
    const op = await world.base();
    const owner = await world.person(op);
    const { token } = await world.teller(op);
    const account = await world.account(op, token, owner.id, { initial_deposit: '10.00' });
    const last = String(process.pid % 1000).padStart(3, '0');
    const mine = luhn(`4929${String(Date.now()).slice(-8)}${last}`);
    const description = `card ${mine}, ${mine.match(/.{4}/g).join(' ')}`;
    const body = { account_id: account.id, amount: '1.00', direction: 'debit', description };
    const made = await op.gate.post('/api/v1/transactions', body, { token });
    assert.equal(made.status, 201, made.text);
    const wrong = { ...body, direction: mine, description: 7 };
    const refused = await op.gate.post('/api/v1/transactions', wrong, { token });
    assert.equal(refused.status, 422, refused.text);
    const spilled = path.join(op.gate.data, 'data', 'spilled.txt');
    if (spill) fs.writeFileSync(spilled, mine);
    try {
      const places = [
        ['an answer', made.bytes],
        ['a refusal', refused.bytes],
        ['the log', Buffer.from(op.gate.output)],
        ...filesOf(path.join(op.gate.data, 'data')),
      ];
      for (const text of [mine, mine.match(/.{4}/g).join(' ')])
        for (const [where, bytes] of places)
          assert.ok(!bytes.includes(text), `a card number was found in ${where}`);
    } finally {
      fs.rmSync(spilled, { force: true });
    }
  },
};

const once = {
  name: 'money-once',
  about: 'A movement of money that is sent twice under one key happens once',
  how: 'the second request comes under another key',
  red: /the money moved twice/,
  on: () => ({ same: true }),
  off: () => ({ same: false }),
  async probe({ same }, world) {
    const op = await world.base();
    const owner = await world.person(op);
    const { token } = await world.teller(op);
    const one = await world.account(op, token, owner.id, { initial_deposit: '10.00' });
    const two = await world.account(op, token, owner.id);
    const json = { from_account_id: one.id, to_account_id: two.id, amount: '1.00' };
    const key = randomUUID();
    for (const name of [key, same ? key : randomUUID()]) {
      const headers = { 'Idempotency-Key': name };
      const reply = await op.gate.post('/api/v1/transfers', json, { token, headers });
      assert.equal(reply.status, 201, reply.text);
    }
    const { json: now } = await op.gate.get(`/api/v1/accounts/${two.id}`, { token });
    assert.equal(now.balance, 1, `the money moved twice: ${now.balance}`);
  },
};

const funds = {
  name: 'money-covered',
  about: 'An account gives no more than it has, also when many ask at once',
  how: 'the account is allowed an overdraft',
  red: /more money left than there was/,
  on: () => ({}),
  off: () => ({ overdraft: '100.00' }),
  async probe({ overdraft }, world) {
    const op = await world.base();
    const owner = await world.person(op);
    const { token } = await world.teller(op);
    const one = await world.account(op, token, owner.id, { initial_deposit: '5.00' });
    const two = await world.account(op, token, owner.id);
    if (overdraft) {
      const risk = await world.person(op, { roles: ['risk'], admin: true });
      const limit = { overdraft_limit: overdraft };
      const set = await op.gate.put(`/api/v1/accounts/${one.id}`, limit, { token: risk.token });
      assert.equal(set.status, 200, set.text);
    }
    const json = { from_account_id: one.id, to_account_id: two.id, amount: '1.00' };
    const move = () => op.gate.post('/api/v1/transfers', json, { token });
    const replies = await Promise.all(Array.from({ length: 12 }, move));
    const moved = replies.filter(({ status }) => status === 201).length;
    assert.ok(moved <= 5, `more money left than there was: ${moved}`);
    assert.equal(moved, 5);
  },
};

const assignment = {
  name: 'members-not-honoured',
  about: 'Members of a body that nobody offers are not honoured: balance, id, status of an order',
  how: 'a stand-in that turns balance into an initial deposit',
  red: /a member was honoured/,
  on: async (world) => ({ port: (await world.base()).gate.port }),
  off: async (world) => ({
    port: await world.standIn((await world.base()).gate.port, {
      before: (request) => {
        const text = request.body.toString().replace('"balance"', '"initial_deposit"');
        request.body = Buffer.from(text);
      },
    }),
  }),
  async probe({ port }, world) {
    const op = await world.base();
    const owner = await world.person(op);
    const { token } = await world.teller(op);
    const wanted = { user_id: owner.id, account_number: number(), account_type: 'checking' };
    const json = { ...wanted, balance: '1000000.00', id: 777777 };
    const reply = await op.gate.post('/api/v1/accounts', json, { token, port, agent: false });
    assert.equal(reply.status, 201, reply.text);
    assert.equal(reply.json.balance, 0, `a member was honoured: balance ${reply.json.balance}`);
    assert.notEqual(reply.json.id, 777777, 'a member was honoured: id');
    const user = { username: `u${Date.now()}`, email: `u${Date.now()}@example.com` };
    const grab = { ...user, password: 'correct horse 9 battery', is_admin: true };
    const made = await op.gate.post('/api/v1/auth/register', grab);
    assert.equal(made.status, 201, made.text);
    const me = await op.gate.get('/api/v1/auth/me', { token: made.json.access_token });
    assert.equal(me.json.is_admin, false, 'a member was honoured: is_admin');
  },
};

const files = {
  name: 'keys-private',
  about: 'The data folder and the key files in it are for their owner alone',
  how: 'chmod of a key file and of the folder',
  red: /may be read by others/,
  on: (world) => world.once('key files', async () => ({ folder: await keyed(world) })),
  off: (world) =>
    world.once('key files open', async () => {
      const folder = await keyed(world);
      fs.chmodSync(path.join(folder, 'keys/audit.pem'), 0o644);
      return { folder };
    }),
  async probe({ folder }) {
    const look = (at) => {
      const { mode } = fs.statSync(at);
      const told = `${path.basename(at)} may be read by others: ${mode.toString(8)}`;
      assert.equal(mode & 0o077, 0, told);
    };
    look(folder);
    const keys = path.join(folder, 'keys');
    const names = fs.readdirSync(keys).filter((name) => /\.(pem|key|secret)$/.test(name));
    assert.ok(names.length > 0, 'there are no keys');
    for (const name of names) look(path.join(keys, name));
  },
};

async function keyed(world) {
  const op = await world.start();
  await op.stop();
  return path.join(op.gate.data, 'data');
}

const books = {
  name: 'books-balance',
  about: 'Every balance is the sum of its entries; one command looks at all of them',
  how: 'a balance is changed in the database past the program',
  red: /the books do not balance/,
  on: (world) => booked(world, 'whole'),
  async off(world) {
    const { op, account } = await booked(world, 'changed');
    const database = path.join(op.gate.data, 'data/portcullis.db');
    const args = [database, '.schema ledger_accounts'];
    const schema = execFileSync('sqlite3', args, { encoding: 'utf8' });
    const column = /\b(balance\w*|posted\w*)\b/.exec(schema)?.[1];
    assert.ok(column, schema);
    execFileSync('sqlite3', [database, `UPDATE ledger_accounts SET ${column} = ${column} + 1`]);
    return { op, account };
  },
  async probe({ op }) {
    const args = { data: op.gate.data, env: op.env, timeout: 60_000 };
    const { code, stdout, stderr } = await command(['ledger', 'check'], args);
    assert.equal(code, 0, `the books do not balance: ${stdout}${stderr}`);
  },
};

const booked = (world, name) =>
  world.once(`booked ${name}`, async () => {
    const op = await world.start();
    const owner = await world.person(op);
    const { token } = await world.teller(op);
    const account = await world.account(op, token, owner.id, { initial_deposit: '5.00' });
    await op.stop();
    return { op, account };
  });

export const checks = [accountNumber, cards, once, funds, assignment, files, books];
