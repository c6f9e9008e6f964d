// SPDX-License-Identifier: MIT
// What the tests of the audit log under pressure share: the log read by the databases' own tools,
// money that moves from many hands, and what must hold afterwards.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { sleep } from './harness.mjs';
import { ask, cents } from './money_kit.mjs';

/** Whether a tool is there that a test cannot do without. */
export function has(...words) {
  try {
    execFileSync(words[0], words.slice(1), { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Asks a SQLite file beside the running program: rows as arrays of texts. */
export function sqlite(file) {
  const ask = (sql) =>
    execFileSync('sqlite3', ['-batch', '-separator', '\t', '-cmd', '.timeout 5000', file, sql], {
      encoding: 'utf8',
    })
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t'));
  // The head is of the last 256 leaves; the last row of each commit behind them goes on from it.
  ask.treeSize = `SELECT max(size, coalesce((SELECT max(seq) + 1 FROM trail_events
                                             WHERE roots IS NOT NULL), 0)) FROM trail_head`;
  return ask;
}

/** The same of a PostgreSQL server of startPostgres. */
export function psql(postgres) {
  const ask = (sql) =>
    execFileSync('psql', ['-XAtq', '-F', '\t', postgres.url, '-c', sql], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t'));
  ask.treeSize = 'SELECT size FROM trail_head';
  return ask;
}

export const inData = (op, name) => path.join(op.gate.data, 'data', name);

/** A token, and an account with money beside one without. */
export async function opened(op) {
  const token = await op.analyst();
  const from = await op.account(token, { deposit: '1000000.00' });
  return { token, pair: [from, await op.account(token)] };
}

export async function transfer(op, token, [from, to], { amount = '0.01', timeout = 20_000 } = {}) {
  const reply = await ask(op.gate.transactionPort, 'POST', '/transfers', {
    token,
    key: randomUUID(),
    json: { from_account_id: from, to_account_id: to, amount },
    timeout,
  });
  return { ...reply, json: JSON.parse(reply.text) };
}

/**
 * Transfers from many hands until `until()`, or for so many ms: a list of { reply, took }. What was
 * lost has no reply.
 */
export async function moves(op, token, pair, until, { width = 4, pause = 10, most = 40_000 } = {}) {
  const journal = [];
  const end = Date.now() + most;
  const one = async () => {
    while (!until() && Date.now() < end) {
      const entry = { amount: 1n };
      const began = performance.now();
      journal.push(entry);
      try {
        entry.reply = await transfer(op, token, pair, { amount: cents(entry.amount) });
      } catch {
        entry.reply = undefined;
      }
      entry.took = performance.now() - began;
      if (entry.reply?.status !== 201) await sleep(pause);
    }
  };
  await Promise.all(Array.from({ length: width }, one));
  return journal;
}

export const told = (journal, status) =>
  journal.filter(({ reply }) => reply?.status === status).length;

/** Waits until `look()` gives something, and returns it. */
export async function until(look, what, timeout = 15_000) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < deadline, `not within ${timeout} ms: ${what}`);
    await sleep(50);
  }
}

/** Writes are refused with this problem: the answer. */
export async function refused(op, token, pair, slugs, timeout) {
  const reply = await until(
    async () => {
      const one = await transfer(op, token, pair);
      if (one.status === 201) return undefined;
      assert.equal(one.status, 503, one.text);
      return slugs.some((slug) => one.json.type.endsWith(`:${slug}`)) ? one : undefined;
    },
    `a refusal by ${slugs}`,
    timeout,
  );
  assert.match(reply.headers['content-type'], /^application\/problem\+json/);
  assert.ok(Number(reply.headers['retry-after']) >= 1, 'no Retry-After');
  assert.ok(reply.json.title.length > 20, reply.text);
  return reply;
}

/** Writes go again; how long that took, in ms. */
export async function taken(op, token, pair, timeout) {
  const began = performance.now();
  await until(
    async () => (await transfer(op, token, pair)).status === 201,
    'a transfer that is taken',
    timeout,
  );
  return Math.round(performance.now() - began);
}

/** The value of a metric without labels. */
export async function metric(op, name) {
  const reply = await op.gate.get('/metrics');
  const line = reply.text.split('\n').find((one) => one.startsWith(`${name} `));
  assert.ok(line, `${name} is no metric`);
  return Number(line.slice(name.length + 1));
}

/**
 * All that was carried: nothing waits any more. A disk that was full leaves seconds of work behind,
 * which a busy machine carries slowly.
 */
export function empty(business) {
  const count = () => business('SELECT count(*) FROM trail_outbox')[0][0];
  return until(() => count() === '0', 'an empty outbox', 60_000);
}

/**
 * Each transfer that is booked has its event in the log, once, and the log has no others; it has no
 * gap and its times never go back.
 */
export function agree(business, log) {
  const booked = business("SELECT count(*) FROM ledger_posts WHERE kind = 'transfer'")[0][0];
  const [[events]] = log(
    "SELECT count(*) FROM trail_events WHERE event = 'ledger.transfer' AND outcome = 'done'",
  );
  assert.equal(events, booked, 'transfers in the log, and in the ledger');
  const [[count, size]] = log(
    `SELECT (SELECT count(*) FROM trail_events), (${log.treeSize})`,
  );
  assert.equal(count, size, 'the tree is not as large as the log');
  const [[disorder]] = log(
    `SELECT count(*) FROM trail_events a JOIN trail_events b ON b.seq = a.seq + 1
     WHERE b.at < a.at`,
  );
  assert.equal(disorder, '0', 'times go back');
  const [[twice]] = log(
    `SELECT count(*) FROM (SELECT id FROM trail_events GROUP BY id HAVING count(*) > 1)
     AS twice`,
  );
  assert.equal(twice, '0', 'an event is there twice');
  return Number(booked);
}

/**
 * The one event of trouble for this reason: { reason, since, lasted, refusing, refused }.
 * A slow start may have had some of its own before.
 */
export async function toldOf(log, reason) {
  const [row, ...more] = await until(() => {
    const rows = log(
      `SELECT reason, details FROM trail_events WHERE event = 'audit.pressure'
       AND reason = '${reason}'`,
    );
    return rows.length > 0 ? rows : undefined;
  }, `the event of ${reason}`);
  assert.equal(more.length, 0, 'it is told twice');
  const details = JSON.parse(row[1]);
  return {
    reason: row[0],
    since: Date.parse(details.since),
    lasted: Number(details.lasted_ms),
    refusing: Number(details.refused_ms),
    refused: Number(details.refused),
  };
}
