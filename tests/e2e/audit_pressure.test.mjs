// SPDX-License-Identifier: MIT
// The audit log under pressure: its disk is full, read-only, slow or locked, or its own database is
// away. Within bounds nothing is lost; past them business writes are refused with a clear problem,
// reads are answered, all goes on unaided, and the log itself tells how long it lasted.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach } from 'node:test';
import { command, freePort, sleep, startPostgres, temporaryFolder, test } from './harness.mjs';
import { startMoney } from './money_kit.mjs';
import {
  agree,
  empty,
  has,
  inData,
  metric,
  moves,
  opened,
  psql,
  refused,
  sqlite,
  taken,
  told,
  toldOf,
  until,
} from './audit_pressure_kit.mjs';

let postgres;
before(async () => {
  postgres = await startPostgres();
});
beforeEach(() =>
  postgres.query(
    'SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public',
  ),
);
after(() => postgres?.stop());

// Here it is the store's own refusals that are looked at, not the breaker's behind them.
const quiet = {
  LOG_LEVEL: 'info',
  CIRCUIT_BREAKER_TIMEOUT: '1',
  CIRCUIT_BREAKER_FAILURE_THRESHOLD: '1000',
};
const mounts = () => {
  const folder = temporaryFolder();
  if (!has('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder)) return false;
  execFileSync('umount', [folder]);
  return true;
};

/** A small disk of its own. */
function smallDisk(size) {
  const folder = temporaryFolder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
  process.on('exit', () => has('umount', '-l', folder));
  return folder;
}

/** Writes into a file until the disk is full: gives the file. */
function fill(folder) {
  const ballast = path.join(folder, 'ballast');
  const file = fs.openSync(ballast, 'w');
  try {
    for (;;) fs.writeSync(file, Buffer.alloc(4096));
  } catch (error) {
    assert.equal(error.code, 'ENOSPC');
  }
  fs.closeSync(file);
  return ballast;
}

/** Whether this alert fires. */
async function raised(op, token, name) {
  const reply = await op.gate.get('/api/v1/alerts', { token });
  assert.equal(reply.status, 200, reply.text);
  return reply.json.some(
    (alert) => alert.status === 'firing' && alert.labels.alertname === name,
  );
}

// ---- a database of its own ---------------------------------------------------------------------

test('events are carried to a database of their own, and none is lost to kill -9', async (t) => {
  const data = temporaryFolder();
  const env = {
    ...quiet,
    AUTH_PORT: String(await freePort()),
    AUDIT_DATABASE_URL: 'sqlite:audit.db',
  };
  let op = await startMoney({ data, env });
  try {
    const { token, pair } = await opened(op);
    const business = sqlite(inData(op, 'portcullis.db'));
    const log = sqlite(inData(op, 'audit.db'));
    let acknowledged = 0;
    for (let round = 0; round < 6; round++) {
      const end = Date.now() + 400;
      const moving = moves(op, token, pair, () => Date.now() > end);
      await sleep(80 + Math.random() * 250);
      await op.stop('SIGKILL');
      acknowledged += told(await moving, 201);
      op = await startMoney({ data, env });
    }
    await empty(business);
    const booked = agree(business, log);
    assert.ok(booked >= acknowledged && acknowledged > 0, `${booked} of ${acknowledged}`);
    assert.equal(business('SELECT count(*) FROM trail_events')[0][0], '0');
    t.diagnostic(`${acknowledged} transfers were acknowledged, ${booked} are booked and logged`);
  } finally {
    await op.stop('SIGKILL');
  }
});

test('what commands leave in the outbox is carried by the next start', async () => {
  const data = temporaryFolder();
  const apart = { AUDIT_DATABASE_URL: 'sqlite:audit.db' };
  const create = async (email) => {
    const result = await command(['user', 'create', email, '--password-stdin'], {
      data,
      env: apart,
      input: 'correct horse 9 battery\n',
    });
    assert.equal(result.code, 0, result.stderr);
  };
  const business = sqlite(path.join(data, 'data', 'portcullis.db'));
  const registered = `SELECT count(*) FROM trail_events WHERE event = 'user.registered'
    AND actor_kind = 'system' AND object IS NOT NULL`;
  await create('one@example.com');
  assert.ok(Number(business('SELECT count(*) FROM trail_outbox')[0][0]) >= 1);
  let op = await startMoney({ data, env: { ...quiet, ...apart } });
  await empty(business);
  await op.stop();
  const log = sqlite(path.join(data, 'data', 'audit.db'));
  const carried = log(registered)[0][0];
  assert.ok(Number(carried) >= 1);
  assert.equal(business(registered)[0][0], '0');
  await create('two@example.com');
  op = await startMoney({ data, env: quiet });
  try {
    await empty(business);
    assert.ok(Number(business(registered)[0][0]) >= 1);
    assert.equal(log(registered)[0][0], carried);
  } finally {
    await op.stop('SIGKILL');
  }
});

test('without the database of its log it does not start, and says so', async () => {
  const port = await freePort();
  const result = await command(['serve'], {
    env: { AUDIT_DATABASE_URL: `postgresql://x@127.0.0.1:${port}/x?sslmode=disable` },
    timeout: 30_000,
  });
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /the audit log: .*(127\.0\.0\.1|reach|connect)/);
});

test('the audit database is away, and comes back', async (t) => {
  const env = {
    ...quiet,
    AUDIT_DATABASE_URL: postgres.url,
    AUDIT_DATABASE_SSLMODE: 'disable',
  };
  const op = await startMoney({
    env,
    config: 'audit: {outbox_max: 100000, outbox_wait_s: 4}\n',
  });
  const log = psql(postgres);
  try {
    const { token, pair } = await opened(op);
    const business = sqlite(inData(op, 'portcullis.db'));
    await empty(business);
    const { access_token: admin } = await op.gate.admin();
    await until(async () => !(await raised(op, admin, 'AuditPressure')), 'no alert yet');
    postgres.control('crash');
    const began = Date.now();
    let over = false;
    const moving = moves(op, token, pair, () => over);
    // At first they wait in the outbox, then the oldest has waited too long.
    await until(
      async () => (await metric(op, 'portcullis_audit_outbox_events')) > 0,
      'events that wait',
      1500,
    );
    await until(() => raised(op, admin, 'AuditPressure'), 'the alert of it', 5000);
    t.diagnostic(`the alert was there ${Date.now() - began} ms after the database was not`);
    assert.equal(await metric(op, 'portcullis_audit_pressure'), 1);
    const problem = await refused(op, token, pair, ['audit-behind'], 8000);
    assert.ok(Date.now() - began > 3500, 'refused before the oldest had waited long enough');
    assert.match(problem.json.title, /audit log cannot take more events/);
    await op.balance(token, pair[1]); // reads go on
    await until(
      async () => (await metric(op, 'portcullis_audit_refusing')) === 1,
      'the metric of refusing',
      2000,
    );
    await sleep(1500);
    over = true;
    const journal = await moving;
    assert.ok(told(journal, 201) > 0 && told(journal, 503) > 0);
    for (const { took } of journal) assert.ok(took < 8000, `an answer after ${took} ms`);
    const waiting = business('SELECT count(*) FROM trail_outbox')[0][0];
    assert.ok(Number(waiting) > 0);

    postgres.control('start');
    const back = await taken(op, token, pair, 15_000);
    await empty(business);
    agree(business, log);
    const story = await toldOf(log, 'store-unavailable');
    assert.ok(story.lasted >= 4000 && story.lasted < 30_000, `${story.lasted} ms`);
    assert.ok(story.refusing >= 1000 && story.refusing < story.lasted, `${story.refusing} ms`);
    assert.ok(story.refused > 0);
    assert.ok(Math.abs(story.since - began) < 5000, `since ${story.since}, began ${began}`);
    await until(
      async () => (await metric(op, 'portcullis_audit_pressure')) === 0,
      'the metric of it',
    );
    assert.ok((await metric(op, 'portcullis_audit_pressure_seconds_total')) >= 4);
    await op.gate.line(({ event }) => event === 'audit_pressure_began');
    await op.gate.line(({ event }) => event === 'audit_pressure_ended');
    t.diagnostic(`${waiting} events waited; taken again ${back} ms after the server was`);
  } finally {
    await op.stop('SIGKILL');
  }
});

test('so many events may wait, then writes are refused', async () => {
  const op = await startMoney({
    env: { ...quiet, AUDIT_DATABASE_URL: postgres.url, AUDIT_DATABASE_SSLMODE: 'disable' },
    config: 'audit: {outbox_max: 20, outbox_wait_s: 3600}\n',
  });
  try {
    const { token, pair } = await opened(op);
    const business = sqlite(inData(op, 'portcullis.db'));
    await empty(business);
    postgres.control('freeze');
    try {
      let over = false;
      const moving = moves(op, token, pair, () => over);
      await refused(op, token, pair, ['audit-behind'], 10_000);
      over = true;
      await moving;
      assert.ok(Number(business('SELECT count(*) FROM trail_outbox')[0][0]) <= 20);
      await op.balance(token, pair[0]);
    } finally {
      postgres.control('thaw');
    }
    await taken(op, token, pair, 30_000);
    await empty(business);
    agree(business, psql(postgres));
  } finally {
    await op.stop('SIGKILL');
  }
});

test('the audit database has a full disk', async (t) => {
  if (!mounts()) return t.skip('no file systems can be mounted here');
  // Room for far more than can wait for it meanwhile, or it would be full in earnest afterwards.
  const disk = smallDisk('256m');
  const op = await startMoney({
    env: { ...quiet, AUDIT_DATABASE_URL: `sqlite:${path.join(disk, 'audit.db')}` },
    config: 'audit: {outbox_max: 100000, outbox_wait_s: 5}\n',
  });
  try {
    const { token, pair } = await opened(op);
    const business = sqlite(inData(op, 'portcullis.db'));
    const log = sqlite(path.join(disk, 'audit.db'));
    const ballast = fill(disk);
    let over = false;
    const moving = moves(op, token, pair, () => over);
    await refused(op, token, pair, ['audit-behind'], 20_000);
    await op.balance(token, pair[1]);
    over = true;
    assert.ok(told(await moving, 201) > 0);
    fs.unlinkSync(ballast);
    await taken(op, token, pair, 15_000);
    await empty(business);
    agree(business, log);
    const story = await toldOf(log, 'store-full');
    assert.ok(story.lasted > 500, `${story.lasted} ms`);
  } finally {
    await op.stop('SIGKILL');
    execFileSync('umount', ['-l', disk]);
  }
});

// ---- one database ------------------------------------------------------------------------------

test('the one disk is full', async (t) => {
  if (!mounts()) return t.skip('no file systems can be mounted here');
  const data = smallDisk('256m');
  const op = await startMoney({ data, env: quiet });
  try {
    const { token, pair } = await opened(op);
    const log = sqlite(inData(op, 'portcullis.db'));
    let over = false;
    const moving = moves(op, token, pair, () => over);
    await sleep(300);
    const ballast = fill(data);
    const began = Date.now();
    await refused(op, token, pair, ['store-full'], 10_000);
    await until(
      async () => (await metric(op, 'portcullis_audit_pressure')) === 1,
      'the metric of it',
      5000,
    );
    await op.balance(token, pair[1]);
    await sleep(1000);
    over = true;
    await moving;
    fs.unlinkSync(ballast);
    await taken(op, token, pair, 15_000);
    const story = await toldOf(log, 'store-full');
    assert.ok(story.lasted >= 1000 && story.lasted < Date.now() - began + 1000);
    agree(log, log);
    await op.check();
  } finally {
    await op.stop('SIGKILL');
    execFileSync('umount', ['-l', data]);
  }
});

test('the one database is read-only for a while', async () => {
  const op = await startMoney({ env: { ...quiet, ...postgres.env } });
  const log = psql(postgres);
  const mode = (value) => {
    postgres.query(`ALTER SYSTEM SET default_transaction_read_only = ${value}`);
    postgres.query('SELECT pg_reload_conf()');
  };
  try {
    const { token, pair } = await opened(op);
    mode('on');
    try {
      await refused(op, token, pair, ['store-read-only'], 10_000);
      await until(
        async () => (await metric(op, 'portcullis_audit_pressure')) === 1,
        'the metric of it',
        5000,
      );
      await op.balance(token, pair[1]);
    } finally {
      execFileSync('psql', [
        '-XAtq',
        postgres.url,
        '-c',
        'SET default_transaction_read_only = off',
        '-c',
        'ALTER SYSTEM RESET default_transaction_read_only',
      ]);
      postgres.query('SELECT pg_reload_conf()');
    }
    await taken(op, token, pair, 15_000);
    await toldOf(log, 'store-read-only');
  } finally {
    await op.stop('SIGKILL');
  }
});

test('another process holds the lock of the one database', async () => {
  const op = await startMoney({ env: quiet });
  let holder;
  try {
    const { token, pair } = await opened(op);
    const file = inData(op, 'portcullis.db');
    holder = spawn('sqlite3', ['-batch', file], { stdio: ['pipe', 'pipe', 'inherit'] });
    holder.stdin.write("BEGIN IMMEDIATE;\nSELECT 'held';\n");
    await once(holder.stdout, 'data');
    let over = false;
    const moving = moves(op, token, pair, () => over);
    await refused(op, token, pair, ['store-slow'], 12_000);
    await until(
      async () => (await metric(op, 'portcullis_audit_pressure')) === 1,
      'the metric of it',
      8000,
    );
    await op.balance(token, pair[1]);
    await sleep(3000);
    over = true;
    const journal = await moving;
    for (const { took } of journal) assert.ok(took < 12_000, `an answer after ${took} ms`);
    holder.stdin.end('ROLLBACK;\n');
    await once(holder, 'close');
    await taken(op, token, pair, 15_000);
    assert.ok((await toldOf(sqlite(file), 'store-slow')).lasted > 1000);
    agree(sqlite(file), sqlite(file));
  } finally {
    holder?.kill('SIGKILL');
    await op.stop('SIGKILL');
  }
});

test('the one disk is slow', async (t) => {
  if (!has('strace', '-qq', '-o', '/dev/null', 'true'))
    return t.skip('strace is missing, or may not trace');
  const op = await startMoney({ env: quiet });
  try {
    const { token, pair } = await opened(op);
    const log = sqlite(inData(op, 'portcullis.db'));
    const slow = ['fdatasync', 'fsync'].flatMap((call) => [
      '-e',
      `inject=${call}:delay_enter=5000000`,
    ]);
    const tracer = spawn('strace', ['-f', '-qq', '-o', '/dev/null', ...slow, '-p', op.gate.pid], {
      stdio: 'ignore',
    });
    await sleep(500);
    let over = false;
    const moving = moves(op, token, pair, () => over, { width: 16 });
    await refused(op, token, pair, ['store-slow'], 15_000);
    await until(
      async () => (await metric(op, 'portcullis_audit_pressure')) === 1,
      'the metric of it',
      8000,
    );
    await op.balance(token, pair[1]);
    await sleep(2000);
    over = true;
    tracer.kill('SIGTERM');
    await once(tracer, 'close');
    const journal = await moving;
    // What is being committed waits for the disk; the others are told.
    for (const { took } of journal) assert.ok(took < 20_000, `an answer after ${took} ms`);
    assert.ok(told(journal, 503) > 0);
    await taken(op, token, pair, 15_000);
    await toldOf(log, 'store-slow');
    agree(log, log);
  } finally {
    await op.stop('SIGKILL');
  }
});
