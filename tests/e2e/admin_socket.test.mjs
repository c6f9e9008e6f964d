// SPDX-License-Identifier: MIT
// The socket that `portcullis admin` speaks to belongs to the user who runs the program: by its
// mode, and, where somebody changed that, by who connects. Another system user is played with
// setpriv, which only root may do.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { Portcullis, command, test } from './harness.mjs';

const nobody = 65534;
const isRoot = process.getuid() === 0;
let gate;
let socket;

before(async () => {
  gate = await Portcullis.start();
  socket = path.join(gate.data, 'data', 'admin.sock');
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
});

/** Connects, asks and waits for the end, as another user: 'refused CODE' or 'heard BYTES'. */
function askAsNobody() {
  const script = `
    const socket = require('node:net').connect(${JSON.stringify(socket)});
    let bytes = 0;
    socket.on('connect', () => socket.write('GET /upstreams HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n'));
    socket.on('data', (more) => { bytes += more.length; });
    socket.on('error', (error) => { console.log('refused ' + error.code); process.exit(0); });
    socket.on('close', () => { console.log('heard ' + bytes); process.exit(0); });
    setTimeout(() => { console.log('kept ' + bytes); process.exit(0); }, 30_000);`;
  const as = [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
  return new Promise((resolve, reject) => {
    execFile('setpriv', [...as, process.execPath, '-e', script], (error, stdout, stderr) =>
      error ? reject(new Error(stderr)) : resolve(stdout.trim()),
    );
  });
}

test('nobody else may open the socket', async () => {
  const { mode, uid } = fs.statSync(socket);
  assert.equal(mode & 0o777, 0o600);
  assert.equal(uid, process.getuid());
});

testAsRoot('another user is kept out by the mode of the file', async () => {
  openTheWay();
  assert.equal(await askAsNobody(), 'refused EACCES');
});

testAsRoot('another user is kept out when the file is open to all', async () => {
  openTheWay();
  fs.chmodSync(socket, 0o666);
  try {
    assert.match(await askAsNobody(), /^(heard 0|refused (EPIPE|ECONNRESET))$/);
    const line = await gate.line(({ event }) => event === 'admin_refused', 30_000);
    assert.equal(line.why, 'another user');
    // Whose it is still gets in.
    const asked = await command(['admin', 'upstreams', '--socket', socket], { data: gate.data });
    assert.equal(asked.code, 0, asked.stderr);
  } finally {
    fs.chmodSync(socket, 0o600);
  }
});

/** The folders on the way to the socket let everybody pass; they are not what is looked at here. */
function openTheWay() {
  fs.chmodSync(gate.data, 0o755);
  fs.chmodSync(path.join(gate.data, 'data'), 0o755);
}

function testAsRoot(name, run) {
  test(isRoot ? name : `${name} # SKIP only root can be somebody else`, isRoot ? run : () => {});
}
