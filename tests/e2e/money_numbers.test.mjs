// SPDX-License-Identifier: MIT
// Amounts at their edges, as the contract writes them (section 5): exact decimals of the currency,
// as numbers or texts, or a 422 that names the field and repeats nothing.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { assertInvalid, assertProblem, test } from './harness.mjs';
import { minor, startMoney } from './money_kit.mjs';

let op;
let analyst; // role payments
before(async () => {
  op = await startMoney();
  analyst = await op.analyst();
});
after(() => op?.stop());

const settle = async (id, status = 'completed') =>
  op.transactions.put(`/transactions/${id}`, { status }, { token: analyst });

test('amounts are exact or they are refused', async () => {
  const of = {};
  for (const currency of ['USD', 'JPY', 'KWD', 'CLF'])
    of[currency] = await op.account(analyst, { currency });
  const credit = (currency, literal) =>
    op.transactions.request('POST', '/transactions', {
      body:
        `{"account_id":${of[currency]},"currency":"${currency}",` +
        `"direction":"credit","amount":${literal}}`,
      headers: { 'Content-Type': 'application/json' },
      token: analyst,
    });
  const good = [
    ['USD', '19.95', '19.95', 1995n],
    ['USD', '"19.95"', '19.95', 1995n],
    ['USD', '20', '20.00', 2000n],
    ['USD', '0.01', '0.01', 1n],
    ['USD', '0.1', '0.10', 10n],
    ['JPY', '1500', '1500', 1500n],
    ['KWD', '0.001', '0.001', 1n],
    ['KWD', '1.5', '1.500', 1500n],
    ['CLF', '0.0001', '0.0001', 1n],
    ['USD', '90071992547409.93', '90071992547409.93', 9007199254740993n],
    ['USD', '92233720368547758.07', '92233720368547758.07', 9223372036854775807n],
    ['JPY', '9223372036854775807', '9223372036854775807', 9223372036854775807n],
  ];
  for (const [currency, literal, shown, units] of good) {
    const reply = await credit(currency, literal);
    assert.equal(reply.status, 201, `${currency} ${literal}: ${reply.text}`);
    assert.ok(new RegExp(`"amount":${shown.replace('.', '\\.')}[,}]`).test(reply.text), reply.text);
    assert.equal(minor(reply, 'amount_minor'), units);
  }
  const bad = [
    ['USD', '19.999'],
    ['USD', '19.990'],
    ['USD', '1e400'],
    ['USD', '1e2'],
    ['USD', '"1e2"'],
    ['USD', '-0'],
    ['USD', '-0.00'],
    ['USD', '0'],
    ['USD', '0.00'],
    ['USD', '-5'],
    ['USD', 'null'],
    ['USD', 'true'],
    ['USD', '"NaN"'],
    ['USD', '"Infinity"'],
    ['USD', '" 1"'],
    ['USD', '"1,5"'],
    ['USD', '"0x10"'],
    ['USD', '""'],
    ['USD', '[1]'],
    ['USD', '92233720368547758.08'],
    ['USD', '9223372036854775807'],
    ['USD', `${'9'.repeat(400)}`],
    ['JPY', '1.5'],
    ['JPY', '1.0'],
    ['JPY', '9223372036854775808'],
    ['KWD', '0.0001'],
    ['CLF', '0.00001'],
  ];
  for (const [currency, literal] of bad) {
    const reply = await credit(currency, literal);
    assertInvalid(reply, ['amount']);
    const told = literal.length > 5 && literal !== '9223372036854775807';
    assert.ok(!told || !reply.text.includes(literal), `${literal} was repeated: ${reply.text}`);
  }
  for (const literal of ['NaN', 'Infinity', '+1', '01', '.5', '5.', '0x10'])
    assertProblem(await credit('USD', literal), 400);
  const mismatch = await op.transactions.post(
    '/transactions',
    { account_id: of.USD, amount: 5, currency: 'EUR', direction: 'credit' },
    { token: analyst },
  );
  assertProblem(mismatch, 422);
});

test('a balance has its edge, and nothing goes over it', async () => {
  const id = await op.account(analyst, { currency: 'JPY' });
  const credit = async (amount) => {
    const given = await op.transactions.post(
      '/transactions',
      { account_id: id, amount, currency: 'JPY', direction: 'credit' },
      { token: analyst },
    );
    assert.equal(given.status, 201, given.text);
    return settle(given.json.id);
  };
  const half = 4611686018427387904n;
  assert.equal((await credit(`${half}`)).status, 200);
  assert.equal((await credit(`${half - 1n}`)).status, 200);
  assert.equal(await op.balance(analyst, id), 9223372036854775807n);
  assertProblem(await credit('1'), 409);
  assert.equal(await op.balance(analyst, id), 9223372036854775807n);
});

test('what all of this did adds up to the cent', async () => {
  await op.check();
});
