// SPDX-License-Identifier: MIT
// A Redis of Debian's for the tests of shared limits: started, killed, stopped for a while and
// started again on the same port; and gateways that share it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { Portcullis, freePort, sleep, temporaryFolder } from './harness.mjs';

const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** One command, its answer as text. */
export async function redisSay(port, ...words) {
  const socket = net.connect(port, '127.0.0.1');
  const line = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('');
  socket.end(`*${words.length}\r\n${line}`);
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

export class Redis {
  /**
   * `tls` holds the files { ca, cert, key } of one that speaks TLS beside, on `tlsPort`; `listen`
   * is an address beside loopback. One that is `durable` keeps what it knew when it is killed.
   */
  static async start({ tls, password, listen, durable } = {}) {
    const one = new Redis();
    one.dir = temporaryFolder();
    one.more = password ? ['--requirepass', password] : [];
    one.addresses = listen ? ['127.0.0.1', listen] : ['127.0.0.1'];
    if (listen) one.more.push('--protected-mode', 'no');
    one.appendonly = durable ? 'yes' : 'no';
    if (durable) one.more.push('--appendfsync', 'always');
    one.port = await freePort();
    if (tls) {
      one.tlsPort = await freePort();
      one.more.push('--tls-port', `${one.tlsPort}`, '--tls-auth-clients', 'no');
      one.more.push('--tls-cert-file', tls.cert, '--tls-key-file', tls.key);
      one.more.push('--tls-ca-cert-file', tls.ca);
    }
    one.url = `redis://127.0.0.1:${one.port}`;
    await one.start();
    return one;
  }

  async start() {
    const options = ['--bind', ...this.addresses, '--port', `${this.port}`, '--dir', this.dir];
    const words = [...options, '--save', '', '--appendonly', this.appendonly, ...this.more];
    this.child = spawn('redis-server', words, { stdio: 'ignore' });
    children.add(this.child);
    this.ended = once(this.child, 'close').then(() => children.delete(this.child));
    for (;;) {
      try {
        if (/^(\+PONG|-NOAUTH)/.test(await redisSay(this.port, 'PING'))) return;
      } catch {
        // not listening yet
      }
      if (this.child.exitCode !== null) throw new Error('redis-server ended');
      await sleep(20);
    }
  }

  signal(name) {
    process.kill(this.child.pid, name);
  }

  async kill() {
    this.signal('SIGKILL');
    await this.ended;
  }

  /** How often the script was asked for. */
  async asked() {
    const text = await redisSay(this.port, 'INFO', 'commandstats');
    const count = (name) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(text)?.[1] ?? 0);
    return count('evalsha') + count('eval');
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill();
  }
}

/** Gateways alike, whose routes lead to `upstream`; `routes` and `shared` are YAML. */
export const startGateways = (count, { redis, upstream, routes, shared = '', url, more = '' }) =>
  Promise.all(
    Array.from({ length: count }, () =>
      Portcullis.start({
        config: `redis:
  url: ${url ?? redis.url}
${more}workers: {loops: 2}
limits:
  requests_per_minute: 1000000
  shared:
    nodes: ${count}
${shared}upstreams:
  - name: behind
    targets: [{url: "http://127.0.0.1:${upstream.port}"}]
routes:
${routes}`,
      }),
    ),
  );

/** Until what `look` gives is true. */
export async function until(look, what, ms = 20_000) {
  const end = Date.now() + ms;
  while (!(await look())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await sleep(20);
  }
}

const metric = async (gate, line) => {
  const { text } = await gate.request('GET', '/metrics');
  const found = text.split('\n').find((one) => one.startsWith(`${line} `));
  return found ? Number(found.slice(line.length + 1)) : 0;
};

/** All loops of all gateways have their connection, or none has. */
export const connected = (gates, wanted = 2) =>
  until(async () => {
    for (const gate of gates)
      if ((await metric(gate, 'limits_shared_connections')) !== wanted) return false;
    return true;
  }, `${wanted} connections to Redis`);

export const answersOf = (gate, outcome) =>
  metric(gate, `limits_shared_answers_total{outcome="${outcome}"}`);

/**
 * `workers` a gateway ask `path` one after the other until `total` are answered: how many by which
 * status, and the seconds it took. `between` runs once, when half is answered.
 */
export async function hammer(gates, path, { total, workers = 8, between }) {
  const statuses = {};
  const begun = Date.now();
  let left = total;
  let answered = 0;
  const work = async (gate) => {
    while (left > 0) {
      left -= 1;
      const { status } = await gate.request('GET', path);
      statuses[status] = (statuses[status] ?? 0) + 1;
      answered += 1;
      if (between && answered >= total / 2) {
        const run = between;
        between = undefined;
        await run();
      }
    }
  };
  await Promise.all(gates.flatMap((gate) => Array.from({ length: workers }, () => work(gate))));
  return { statuses, admitted: statuses[200] ?? 0, seconds: (Date.now() - begun) / 1000 };
}
