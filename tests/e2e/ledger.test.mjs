// SPDX-License-Identifier: MIT
// The ledger and its machine: the disk fills up and is freed, its sync fails, the program is killed
// and must be back at once, and the books move to another database as a file. What a client was
// told must be there each time, to the cent, and the check must be clean.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { command, freePort, sleep, startPostgres, temporaryFolder, test } from './harness.mjs';
import { ask, cents, insist, startMoney } from './money_kit.mjs';

let postgres;
before(async () => {
  postgres = await startPostgres();
});
after(() => postgres?.stop());

/** Whether a tool is there that this test cannot do without. */
function has(...words) {
  try {
    execFileSync(words[0], words.slice(1), { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Transfers from many hands until `until()` says so; the journal holds what each was told. */
async function moves(op, token, [from, to], until, { width = 8 } = {}) {
  const journal = [];
  const one = async () => {
    while (!until()) {
      const entry = { key: randomUUID(), amount: 1n + BigInt(journal.length % 50) };
      journal.push(entry);
      try {
        entry.reply = await ask(op.gate.transactionPort, 'POST', '/transfers', {
          token,
          key: entry.key,
          json: { from_account_id: from, to_account_id: to, amount: cents(entry.amount) },
          timeout: 20_000,
        });
      } catch {
        entry.reply = undefined; // lost with the program
      }
      if (entry.reply?.status !== 201) await sleep(10);
    }
  };
  await Promise.all(Array.from({ length: width }, one));
  return journal;
}

/** Every entry is done at last, once, with the bytes that were told before; the sum is there. */
async function settled(op, token, [from, to], journal, had) {
  let sum = 0n;
  for (const entry of journal) {
    const { reply } = await insist(() =>
      ask(op.gate.transactionPort, 'POST', '/transfers', {
        token,
        key: entry.key,
        json: { from_account_id: from, to_account_id: to, amount: cents(entry.amount) },
      }),
    );
    assert.equal(reply.status, 201, reply.text);
    if (entry.reply?.status === 201) {
      assert.equal(reply.text, entry.reply.text, 'other bytes');
      assert.equal(reply.headers['idempotency-replayed'], 'true', 'it was acknowledged and gone');
    }
    sum += entry.amount;
  }
  assert.equal(await op.balance(token, to), had + sum);
  await op.check();
}

const told = (journal, status) => journal.filter(({ reply }) => reply?.status === status).length;

async function opened(op) {
  const token = await op.analyst();
  const from = await op.account(token, { deposit: '1000000.00' });
  return { token, pair: [from, await op.account(token)] };
}

// ---- a full disk -------------------------------------------------------------------------------

async function smallDisk(bytes) {
  const folder = temporaryFolder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder]);
  process.on('exit', () => has('umount', '-l', folder));
  return folder;
}

async function fullDisk(t) {
  const data = await smallDisk('256m'); // the log alone may take 80 MiB
  const env = { LOG_LEVEL: 'error', CIRCUIT_BREAKER_TIMEOUT: '1' };
  const op = await startMoney({ data, env });
  const ballast = path.join(data, 'ballast');
  try {
    const { token, pair } = await opened(op);
    let full = false;
    const filling = moves(op, token, pair, () => full);
    await sleep(300);
    const file = fs.openSync(ballast, 'w');
    try {
      for (;;) fs.writeSync(file, Buffer.alloc(64 * 1024));
    } catch (error) {
      assert.equal(error.code, 'ENOSPC');
    }
    fs.closeSync(file);
    await sleep(1500);
    // Nothing more can be moved; what is there can be read.
    const refused = await ask(op.gate.transactionPort, 'POST', '/transfers', {
      token,
      json: { from_account_id: pair[0], to_account_id: pair[1], amount: '0.01' },
    });
    assert.ok([503, 507].includes(refused.status), refused.text);
    assert.match(refused.headers['content-type'], /^application\/problem\+json/);
    await op.balance(token, pair[1]);
    full = true;
    const journal = await filling;
    fs.unlinkSync(ballast);
    await settled(op, token, pair, journal, 0n);
    t.diagnostic(`${told(journal, 201)} of ${journal.length} were told before it was full`);
    assert.ok(told(journal, 201) > 0 && told(journal, 201) < journal.length);
  } finally {
    await op.stop('SIGKILL');
    execFileSync('umount', ['-l', data]);
  }
}

test('a full disk refuses money, lets it be read, and all goes on when it is freed', async (t) => {
  const folder = temporaryFolder();
  if (!has('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder))
    return t.skip('no file systems can be mounted here');
  execFileSync('umount', [folder]);
  return fullDisk(t);
});

// ---- a disk whose sync fails -------------------------------------------------------------------

async function failingSync(t) {
  const data = temporaryFolder();
  const env = { AUTH_PORT: String(await freePort()), LOG_LEVEL: 'error' };
  let op = await startMoney({ data, env });
  try {
    const { token, pair } = await opened(op);
    let over = false;
    const moving = moves(op, token, pair, () => over);
    await sleep(300);
    const faults = ['fdatasync', 'fsync'].flatMap((call) => ['-e', `inject=${call}:error=EIO`]);
    const tracer = spawn('strace', ['-f', '-qq', '-o', '/dev/null', ...faults, '-p', op.gate.pid], {
      stdio: 'ignore',
    });
    await sleep(1500);
    tracer.kill('SIGTERM');
    await once(tracer, 'close');
    await sleep(300);
    over = true;
    await op.stop('SIGKILL'); // with whatever it believed
    const journal = await moving;
    op = await startMoney({ data, env });
    await settled(op, token, pair, journal, 0n);
    t.diagnostic(`${told(journal, 201)} of ${journal.length} were told`);
    assert.ok(told(journal, 201) > 0 && told(journal, 201) < journal.length);
  } finally {
    await op.stop('SIGKILL');
  }
}

test('a sync that fails is no acknowledgement', (t) => {
  if (!has('strace', '-qq', '-o', '/dev/null', 'true'))
    return t.skip('strace is missing, or may not trace');
  return failingSync(t);
});

// ---- killed, and back --------------------------------------------------------------------------

test('after kill -9 in the middle of it, it is back within two seconds', async (t) => {
  const data = temporaryFolder();
  const env = { AUTH_PORT: String(await freePort()), LOG_LEVEL: 'error' };
  let op = await startMoney({ data, env });
  const times = [];
  try {
    const { token, pair } = await opened(op);
    let had = 0n;
    for (let round = 0; round < 5; round++) {
      const end = Date.now() + 300;
      const moving = moves(op, token, pair, () => Date.now() > end);
      await sleep(200);
      await op.stop('SIGKILL');
      const journal = await moving;
      const from = performance.now();
      op = await startMoney({ data, env });
      times.push(Math.round(performance.now() - from));
      await settled(op, token, pair, journal, had);
      had = await op.balance(token, pair[1]);
    }
    t.diagnostic(`back after ${times.join(', ')} ms`);
    assert.ok(Math.min(...times) < 2000, `${times}`);
  } finally {
    await op.stop('SIGKILL');
  }
});

// ---- the books as a file -----------------------------------------------------------------------

test('the books move from SQLite to PostgreSQL and back, and are the same', async () => {
  const op = await startMoney({ env: { LOG_LEVEL: 'error' } });
  const book = path.join(op.gate.data, 'book.jsonl');
  const again = path.join(op.gate.data, 'again.jsonl');
  const run = async (args, options) => {
    const result = await command(args, { timeout: 30_000, ...options });
    assert.equal(result.code, 0, `${args.join(' ')}: ${result.stdout}${result.stderr}`);
    return result.stdout;
  };
  try {
    const { token, pair } = await opened(op);
    const held = await op.transactions.post(
      '/transactions',
      { account_id: pair[0], amount: '7.50', direction: 'debit', hold: true },
      { token },
    );
    assert.equal(held.status, 201, held.text);
    const end = Date.now() + 500;
    const journal = await moves(op, token, pair, () => Date.now() > end);
    await settled(op, token, pair, journal, 0n);

    const here = { data: op.gate.data };
    await run(['ledger', 'export', book], here); // beside the running program
    const other = { data: temporaryFolder(), env: postgres.env };
    const early = await command(['ledger', 'import', book], other);
    assert.equal(early.code, 1, early.stdout);
    assert.match(early.stderr, /e-mail addresse? ?.*no user here: user@example\.com/);
    for (const email of ['user@example.com', 'analyst@example.com'])
      await run(['user', 'create', email, '--password-stdin'], {
        ...other,
        input: 'correct horse 9 battery\n',
      });
    assert.match(await run(['ledger', 'import', book], other), /Every invariant holds\./);
    await run(['ledger', 'check'], other);
    await run(['ledger', 'export', again], other);
    assert.ok(fs.readFileSync(book).equals(fs.readFileSync(again)), 'other bytes');

    // One cent more, anywhere: refused, with nothing changed.
    const text = fs.readFileSync(book, 'utf8').replace(/"posted":-(\d+)/, '"posted":-1$1');
    fs.writeFileSync(again, text);
    const third = { data: temporaryFolder() };
    for (const email of ['user@example.com', 'analyst@example.com'])
      await run(['user', 'create', email, '--password-stdin'], {
        ...third,
        input: 'correct horse 9 battery\n',
      });
    const wrong = await command(['ledger', 'import', again], third);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /the book is not whole: I\d/);
    await run(['ledger', 'import', book], third);
  } finally {
    await op.stop();
  }
});
