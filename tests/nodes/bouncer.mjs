// SPDX-License-Identifier: MIT
// PgBouncer as docs/scaling.md says it: a session of the pool for each connection.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { freePort } from '../e2e/harness.mjs';
import { here, reached } from './cables.mjs';
import { until } from './nodes_kit.mjs';

export class Bouncer {
  static async start(postgres) {
    const one = new Bouncer();
    const { username, password, port } = new URL(postgres);
    one.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'portcullis-bouncer-'));
    one.port = await freePort();
    const users = path.join(one.folder, 'users');
    const file = path.join(one.folder, 'pgbouncer.ini');
    fs.writeFileSync(users, `"${username}" "${password}"\n`, { mode: 0o600 });
    fs.writeFileSync(
      file,
      `[databases]
* = host=127.0.0.1 port=${port}
[pgbouncer]
listen_addr = ${here('store')}
listen_port = ${one.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = session
server_login_retry = 1
`,
    );
    // It refuses to run as root.
    const drop = ['--reuid=nobody', '--regid=nogroup', '--clear-groups', '--', 'pgbouncer'];
    const root = process.getuid() === 0;
    if (root) execFileSync('chown', ['-R', 'nobody:nogroup', one.folder]);
    const [name, ...words] = root ? ['setpriv', ...drop, file] : ['pgbouncer', file];
    one.child = spawn(name, words, {
      stdio: 'ignore',
      env: { PATH: `${process.env.PATH}:/usr/sbin` },
    });
    process.on('exit', () => one.child.kill('SIGKILL'));
    await until(() => reached(here('store'), one.port), 'PgBouncer listens');
    return one;
  }

  async stop() {
    if (this.child.exitCode === null && this.child.kill('SIGKILL')) await once(this.child, 'close');
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
