// SPDX-License-Identifier: MIT
// The program's own checker and one that shares nothing with it look at the log of a running
// program, on both stores, and agree: on the log as it is, and on every falsified copy.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { command, Portcullis, sleep, startPostgres, test } from './harness.mjs';
import {
  keyLine,
  leafHash,
  openNote,
  recordOf,
  verifyExport,
  verifyProof,
} from './audit_verify.mjs';
import { ask, cents, startMoney } from './money_kit.mjs';

let postgres;
before(async () => {
  postgres = await startPostgres();
});
after(() => postgres?.stop());

/** A program that has something to tell of. */
async function busy(env) {
  const op = await startMoney({ env });
  const token = await op.analyst();
  const a = await op.account(token, { deposit: cents(100_000n) });
  const b = await op.account(token, {});
  for (let i = 0; i < 40; i++)
    await ask(op.gate.transactionPort, 'POST', '/transfers', {
      token,
      json: { from_account_id: a, to_account_id: b, amount: cents(BigInt(1 + i)) },
    });
  for (let i = 0; i < 10; i++) {
    await op.gate.post('/api/v1/auth/login', { email: 'user@example.com', password: `wrong${i}` });
    await op.gate.register();
  }
  return op;
}

const key = (op) =>
  keyLine(fs.readFileSync(path.join(op.gate.data, 'data/keys/audit.pem')), 'portcullis');

async function run(op, env, ...args) {
  return command(['audit', ...args], { data: op.gate.data, env, timeout: 30_000 });
}

async function checkpoint(op, env) {
  for (const deadline = Date.now() + 10_000; ; await sleep(100)) {
    const { code, stdout, stderr } = await run(op, env, 'checkpoint');
    if (code === 0) return stdout;
    assert.ok(Date.now() < deadline, stderr);
  }
}

/**
 * The log up to a genuine note of before, and behind it lines of somebody who can hash and cannot
 * sign: one is another, one is new, and the note at the end is gone.
 */
function rewriteBehind(text, note, line) {
  const lines = text.split('\n').filter((one) => !one.startsWith('{"checkpoint"'));
  const { size } = openNote(note, line);
  const forge = (one, seq) => {
    const other = one
      .replace(/^\{"seq":\d+/, `{"seq":${seq}`)
      .replace(/"id":"..../, '"id":"ffff')
      .replace(/"leaf":"[^"]*"/, '"leaf":""');
    const leaf = leafHash(recordOf(other)).toString('base64url');
    return other.replace('"leaf":""', `"leaf":"${leaf}"`);
  };
  lines.pop();
  const count = lines.length - 1;
  lines[0] = lines[0].replace(/"to":\d+/, `"to":${count + 1}`);
  lines[size + 1] = forge(lines[size + 1], size);
  lines.push(forge(lines[count], count));
  lines.splice(size + 1, 0, JSON.stringify({ checkpoint: note }));
  return `${lines.join('\n')}\n`;
}

/** Somebody who can write a file does something to it. */
const pick = (below) => Math.floor(Math.random() * below);
const forgeries = {
  edit(lines) {
    const at = 1 + pick(lines.length - 2);
    const words = [...lines[at].matchAll(/"(?:value|event|at_ns|source|id|leaf)":"([^"]+)"/g)];
    const word = words[pick(words.length)];
    const place = word.index + word[0].length - 1 - 1 - pick(word[1].length);
    const letter = lines[at][place] === 'a' ? 'b' : 'a';
    lines[at] = lines[at].slice(0, place) + letter + lines[at].slice(place + 1);
  },
  delete(lines) {
    lines.splice(1 + pick(lines.length - 2), 1);
  },
  insert(lines) {
    lines.splice(1 + pick(lines.length - 2), 0, lines[1 + pick(lines.length - 2)]);
  },
  reorder(lines) {
    const at = 1 + pick(lines.length - 3);
    [lines[at], lines[at + 1]] = [lines[at + 1], lines[at]];
  },
  renumber(lines) {
    const at = 1 + pick(lines.length - 3);
    lines.splice(at, 1);
    for (let i = at; i < lines.length; i++)
      lines[i] = lines[i].replace(/^\{"seq":(\d+)/, (_, seq) => `{"seq":${seq - 1}`);
    lines[0] = lines[0].replace(/"to":(\d+)/, (_, to) => `"to":${to - 1}`);
  },
  truncate(lines) {
    const left = 1 + pick(lines.length - 2);
    lines.length = left;
    lines[0] = lines[0].replace(/"to":\d+/, `"to":${left - 1}`);
  },
};

async function bothAgree(env) {
  const op = await busy(env);
  try {
    const line = key(op);
    const early = await checkpoint(op, env);
    const file = path.join(op.gate.data, 'log.jsonl');
    const kept = path.join(op.gate.data, 'kept.txt');
    await op.gate.register();
    await sleep(600); // until it is signed for
    fs.writeFileSync(kept, await checkpoint(op, env));
    assert.equal((await run(op, env, 'export', '--out', file)).code, 0);
    const text = fs.readFileSync(file, 'utf8');
    const checkpoints = [early, fs.readFileSync(kept, 'utf8')];

    const mine = verifyExport(text, { key: line, checkpoints });
    assert.deepEqual(mine.findings, []);
    assert.ok(mine.leaves.length > 60, `${mine.leaves.length} leaves`);
    const theirs = await run(op, env, 'verify', file, '--checkpoint', kept, '--key', line);
    assert.equal(theirs.code, 0, theirs.stdout);
    assert.match(theirs.stdout, new RegExp(`^${mine.leaves.length} events from seq 0 `));

    const forged = path.join(op.gate.data, 'forged.jsonl');
    for (const [name, forge] of Object.entries(forgeries)) {
      for (let i = 0; i < 12; i++) {
        const lines = text.split('\n');
        lines.pop();
        forge(lines);
        const copy = `${lines.join('\n')}\n`;
        if (copy === text) continue;
        fs.writeFileSync(forged, copy);
        const found = verifyExport(copy, { key: line, checkpoints }).findings;
        assert.ok(found.length > 0, name);
        const { code, stdout } = await run(op, env, 'verify', forged, '--checkpoint', kept);
        assert.equal(code, 1, `${name}: ${stdout}`);
        assert.match(stdout, /findings: this is not the log/);
      }
    }

    const first = path.join(op.gate.data, 'early.txt');
    const behind = rewriteBehind(text, early, line);
    fs.writeFileSync(first, early);
    fs.writeFileSync(forged, behind);
    for (const checkpoints of [[], [early]]) {
      const { findings } = verifyExport(behind, { key: line, checkpoints });
      assert.equal(findings.length, 1, findings.join());
      assert.match(findings[0], /nothing signed vouches/);
    }
    for (const more of [[], ['--checkpoint', first]]) {
      const { code, stdout } = await run(op, env, 'verify', forged, '--key', line, ...more);
      assert.equal(code, 1, stdout);
      assert.match(stdout, /^events seq \d+ to seq \d+ are behind the last checkpoint/);
      assert.match(stdout, /\n1 findings: this is not the log/);
    }

    for (const seq of [0, 1, 7, Math.floor(mine.leaves.length / 2), mine.leaves.length - 1]) {
      const proof = path.join(op.gate.data, 'p.tlog-proof');
      const made = await run(op, env, 'prove', '--seq', String(seq), '--out', proof);
      assert.equal(made.code, 0, made.stderr);
      const proved = verifyProof(fs.readFileSync(proof, 'utf8'), line);
      assert.deepEqual(proved.line, mine.lines[seq]);
      const again = await run(op, env, 'verify', '--proof', proof, '--key', line);
      assert.equal(again.code, 0, again.stdout);
      assert.match(again.stdout, new RegExp(`This is seq ${seq} of the log portcullis`));
    }
    const since = await run(op, env, 'checkpoint', '--since', kept, '--key', line);
    assert.equal(since.code, 0, since.stderr);
  } finally {
    await op.stop();
  }
}

test('embedded: two checkers agree on the log', () => bothAgree({}), { timeout: 180_000 });
test('PostgreSQL: two checkers agree on the log', () => bothAgree(postgres.env), {
  timeout: 180_000,
});

/** Each with a data folder of its own: those of before, or new ones. */
const startAll = (env, folders) =>
  Promise.all(folders.map((data) => Portcullis.start({ env, ...(data && { data }) })));

/** Lets all of them look for a note at the same moment, so that each finds none. */
async function atOnce(postgres, start, count) {
  const holder = spawn('psql', ['-XAtq', postgres.url], { stdio: ['pipe', 'ignore', 'inherit'] });
  const until = async (where, wanted) => {
    for (const deadline = Date.now() + 20_000; ; await sleep(20)) {
      const locks = `SELECT count(*) FROM pg_locks WHERE ${where}`;
      if (Number(postgres.query(locks)) === wanted) return;
      assert.ok(Date.now() < deadline, where);
    }
  };
  holder.stdin.write('BEGIN; LOCK TABLE trail_checkpoints IN ACCESS EXCLUSIVE MODE;\n');
  await until("mode = 'AccessExclusiveLock' AND granted AND locktype = 'relation'", 1);
  const started = start();
  await until('NOT granted', count);
  holder.stdin.end('COMMIT;\n');
  return started;
}

test(
  'of nodes that start at once one has the key, and none refuses the log',
  async () => {
    const fresh = await startPostgres();
    let nodes = [];
    try {
      assert.equal((await command(['migrate'], { env: fresh.env })).code, 0);
      for (let round = 0; round < 2; round++) {
        const folders = nodes.length ? nodes.map((one) => one.data) : [0, 0, 0];
        const start = () => startAll(fresh.env, folders);
        nodes = await (round === 0 ? atOnce(fresh, start, folders.length) : start());
        for (const one of nodes) await one.register();
        await sleep(600); // a round of each keeper
        await Promise.all(nodes.map((one) => one.stop()));
        const known = nodes.map((one) => path.join(one.data, 'data/keys/audit.pem'));
        assert.equal(known.filter((file) => fs.existsSync(file)).length, 1);
        const said = (event) =>
          nodes.filter((one) => one.lines().some((line) => line.event === event)).length;
        assert.equal(said('audit_log_refused'), 0);
        assert.equal(said('audit_key_missing'), 2);
      }
    } finally {
      await Promise.all(nodes.map((one) => one.stop()));
      await fresh.stop();
    }
  },
  { timeout: 120_000 },
);
