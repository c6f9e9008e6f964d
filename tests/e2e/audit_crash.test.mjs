// SPDX-License-Identifier: MIT
// The program is killed again and again under load. Every transfer and login that a client was told
// of has its leaf, and the log is still the one of every checkpoint that was fetched before.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before } from 'node:test';
import { command, freePort, sleep, startPostgres, temporaryFolder, test } from './harness.mjs';
import { keyLine, verifyExport } from './audit_verify.mjs';
import { cents, startMoney } from './money_kit.mjs';

const kills = Number(process.env.PORTCULLIS_KILLS ?? 6);

let postgres;
before(async () => {
  postgres = await startPostgres();
});
after(() => postgres?.stop());

async function checkpoint(data, env) {
  const { code, stdout } = await command(['audit', 'checkpoint'], { data, env, timeout: 30_000 });
  return code === 0 ? stdout : undefined;
}

async function killedUnderLoad(env) {
  const data = temporaryFolder();
  const same = { ...env, AUTH_PORT: String(await freePort()) };
  const start = () => startMoney({ data, env: same });
  const told = new Map(); // the answer's request id -> event
  const kept = [];
  let op = await start();
  try {
    const token = await op.analyst();
    const a = await op.account(token, { deposit: cents(10_000_000n) });
    const b = await op.account(token, {});
    for (let round = 0; round < kills; round++) {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
      let dead = false;
      const transfers = async () => {
        while (!dead) {
          const json = { from_account_id: a, to_account_id: b, amount: cents(1n) };
          const reply = await op.gate
            .request('POST', '/transfers', {
              port: op.gate.transactionPort,
              token,
              agent,
              json,
            })
            .catch(() => undefined);
          if (reply?.status === 201) told.set(reply.headers['x-request-id'], 'ledger.transfer');
        }
      };
      const logins = async () => {
        while (!dead) {
          const json = { email: 'user@example.com', password: 'user123' };
          const reply = await op.gate.post('/api/v1/auth/login', json).catch(() => undefined);
          if (reply?.status === 200) told.set(reply.headers['x-request-id'], 'user.login');
        }
      };
      const workers = [...Array.from({ length: 12 }, transfers), logins(), logins()];
      await sleep(300 + Math.random() * 400);
      const note = await checkpoint(data, env);
      if (note) kept.push(note);
      await op.stop('SIGKILL');
      dead = true;
      await Promise.all(workers);
      agent.destroy();
      op = await start();
    }
    await op.stop(); // what came last is signed for
    const file = path.join(data, 'log.jsonl');
    const exported = await command(['audit', 'export', '--out', file], {
      data,
      env,
      timeout: 60_000,
    });
    assert.equal(exported.code, 0, exported.stderr);
    const key = keyLine(fs.readFileSync(path.join(data, 'data/keys/audit.pem')), 'portcullis');
    const { findings, lines } = verifyExport(fs.readFileSync(file, 'utf8'), {
      key,
      checkpoints: kept,
    });
    assert.deepEqual(findings, []);
    const args = ['audit', 'verify', file, '--key', key];
    kept.forEach((note, i) => {
      const name = path.join(data, `kept${i}.txt`);
      fs.writeFileSync(name, note);
      if (i < 15) args.push('--checkpoint', name);
    });
    const verified = await command(args, { data, timeout: 60_000 });
    assert.equal(verified.code, 0, verified.stdout);
    const leaves = new Set(lines.map((one) => `${one.request_id} ${one.event}`));
    for (const [id, event] of told) assert.ok(leaves.has(`${id} ${event}`), `${event} has no leaf`);
    assert.ok(told.size > 20 * kills, `${told.size} answers`);
    assert.ok(kept.length > kills / 2, `${kept.length} checkpoints`);
    return { answers: told.size, leaves: lines.length, checkpoints: kept.length };
  } finally {
    await op.stop('SIGKILL');
  }
}

for (const [name, env] of [
  ['embedded', () => ({})],
  ['PostgreSQL', () => postgres.env],
])
  test(
    `${name}: killed under load, ${kills} times: every answer has its leaf`,
    async (t) => t.diagnostic(JSON.stringify(await killedUnderLoad(env()))),
    { timeout: 90_000 + kills * 6000 },
  );
