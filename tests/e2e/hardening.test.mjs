// SPDX-License-Identifier: MIT
// What the running program has given up, as the kernel tells it: no core dumps, no new privileges,
// no capabilities, a filter of system calls on every thread, and root where a user is named.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach } from 'node:test';
import { command, Portcullis, temporaryFolder, test, unique } from './harness.mjs';

const isRoot = process.getuid() === 0;
/** Only root can become somebody else. */
const asRoot = isRoot ? test : () => {};

/** /proc/PID/status (or that of a thread) as an object. */
function status(gate, thread = '') {
  const text = fs.readFileSync(`/proc/${gate.pid}/${thread}status`, 'utf8');
  return Object.fromEntries(text.split('\n').map((line) => line.split(/:\s*/)));
}

const threads = (gate) =>
  fs.readdirSync(`/proc/${gate.pid}/task`).map((id) => status(gate, `task/${id}/`));

const started = [];
async function start(options) {
  const gate = await Portcullis.start(options);
  started.push(gate);
  return gate;
}
afterEach(async () => {
  for (const gate of started.splice(0)) await gate.stop('SIGKILL');
});

const none = '0000000000000000';

test('every thread of the program is filtered and can gain no privileges', async () => {
  const gate = await start();
  const all = threads(gate);
  assert.ok(all.length > 4, `${all.length} threads`);
  for (const thread of all) {
    assert.equal(thread.NoNewPrivs, '1', thread.Name);
    assert.equal(thread.Seccomp, '2', thread.Name);
    assert.equal(thread.CapBnd, none, thread.Name);
    assert.equal(thread.CapAmb, none, thread.Name);
    assert.equal(thread.CapInh, none, thread.Name);
  }
  const limits = fs.readFileSync(`/proc/${gate.pid}/limits`, 'utf8');
  assert.match(limits, /^Max core file size\s+0\s+0\s/m);
  // The files of a process that may not be dumped belong to root, whoever runs it.
  assert.equal(fs.statSync(`/proc/${gate.pid}/mem`).uid, 0);
  assert.equal((await gate.get('/livez')).status, 200);
  assert.deepEqual(await gate.stop(), { code: 0, signal: null });
});

test('hardening can be switched off, and check tells which it is', async () => {
  const env = { PORTCULLIS_HARDENING: 'off' };
  const gate = await start({ env });
  assert.equal(status(gate).Seccomp, '0');
  assert.equal(status(gate).NoNewPrivs, '0');
  await gate.stop();
  const off = await command(['check', '--explain'], { env });
  assert.match(off.stdout, /process\.hardening\s+off/);
  const strict = await command(['check', '--explain']);
  assert.match(strict.stdout, /process\.hardening\s+strict/);
  const wrong = await command(['check'], { env: { PORTCULLIS_HARDENING: 'sometimes' } });
  assert.equal(wrong.code, 1);
});

asRoot('root becomes the user that is named, and goes on as it', async () => {
  const data = temporaryFolder();
  const [uid, gid] = ['-u', '-g'].map((of) =>
    Number(execFileSync('id', [of, 'nobody'], { encoding: 'utf8' })),
  );
  fs.chownSync(data, uid, gid);
  const gate = await start({ data, env: { PORTCULLIS_USER: 'nobody' } });
  for (const thread of threads(gate)) {
    assert.equal(thread.Uid, Array(4).fill(uid).join('\t'), thread.Name);
    assert.equal(thread.Gid, Array(4).fill(gid).join('\t'), thread.Name);
    for (const set of ['CapEff', 'CapPrm', 'CapBnd', 'CapInh', 'CapAmb'])
      assert.equal(thread[set], none, `${set} of ${thread.Name}`);
  }
  assert.equal(fs.statSync(path.join(data, 'data/keys')).uid, uid);
  const username = unique('nora');
  const made = await gate.post('/api/v1/auth/register', {
    username,
    email: `${username}@example.com`,
    password: 'a rather long pass phrase 7',
  });
  assert.ok(made.status === 200 || made.status === 201, made.text);
  gate.signal('SIGHUP');
  await gate.line(({ event }) => event === 'configuration_reloaded', 30_000);
  assert.deepEqual(await gate.stop(), { code: 0, signal: null });
});

asRoot('a low port is bound by who may not bind it later', async () => {
  const data = temporaryFolder();
  const id = (of) => Number(execFileSync('id', [of, 'nobody'], { encoding: 'utf8' }));
  const lowest = Number(
    fs.readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').trim(),
  );
  const taken = [987, 986, 985].find((port) => port >= 1 && lowest > port);
  if (taken === undefined) return; // here every port is anybody's
  fs.chownSync(data, id('-u'), id('-g'));
  const gate = await start({
    data,
    env: { PORTCULLIS_USER: 'nobody', PORT: String(taken) },
  });
  for (const thread of threads(gate)) assert.equal(thread.CapEff, none, thread.Name);
  assert.equal(status(gate).CapPrm, none);
  assert.equal((await gate.get('/livez')).status, 200);
  await gate.stop();
});

asRoot('a user that is not there is told before anything is made', async () => {
  const data = temporaryFolder();
  const env = { PORTCULLIS_USER: 'nobody-of-this-name' };
  const refused = await command(['serve'], { data, env });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /process\.user.*nobody-of-this-name/);
  assert.equal(fs.existsSync(path.join(data, 'data')), false);
});
