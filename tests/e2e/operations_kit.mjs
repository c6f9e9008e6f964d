// SPDX-License-Identifier: MIT
// Debian's Prometheus and Alertmanager beside the program, from the files of deploy/. A test cannot
// wait five minutes for a rate of five minutes, so they run copies: every time is divided by one
// number, and ports are free ones. That nothing else differs is looked at for each file.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, sleep, temporaryFolder } from './harness.mjs';

const deploy = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../deploy');
const faster = 15;

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const keys =
  'scrape_interval|scrape_timeout|evaluation_interval|refresh_interval|for|group_wait|' +
  'group_interval|repeat_interval';
// A setting that is a time, a range, an offset; then our ports and those of the two servers.
const times = new RegExp(`((?:${keys}): |\\[|\\boffset )(\\d+)(ms|s|m|h|d)\\b`, 'g');
const ports = /\b(127\.0\.0\.1:)(\d+)\b/g;

const quicker = (text) =>
  text.replace(times, (_, before, number, unit) => {
    const ms = Math.ceil((Number(number) * units[unit]) / faster);
    return `${before}${ms}ms`;
  });
const neutral = (text) => text.replace(times, '$1T').replace(ports, '$1P');

/** Copies a file of deploy/; `place` gives the free port for a usual one. */
function copy(from, to, place) {
  const shipped = fs.readFileSync(path.join(deploy, from), 'utf8');
  const made = quicker(shipped).replace(ports, (_, before, port) => {
    assert.ok(place[port], `${from} names the port ${port}`);
    return `${before}${place[port]}`;
  });
  assert.equal(neutral(made), neutral(shipped), `${from}: only times and ports differ`);
  assert.notEqual(made, shipped);
  fs.mkdirSync(path.dirname(to), { recursive: true });
  fs.writeFileSync(to, made);
}

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A server of ours, stopped by its own process id. */
class Server {
  #child;
  #ended;
  output = '';

  constructor(program, args, cwd) {
    this.#child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.#child);
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        this.output += text;
      });
    this.#ended = Promise.race([once(this.#child, 'close'), once(this.#child, 'error')]).then(
      (what) => {
        running.delete(this.#child);
        if (what[0] instanceof Error) this.output += String(what[0]);
      },
    );
  }

  get alive() {
    return running.has(this.#child);
  }

  async stop() {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** GET of JSON (or text) from a server on this machine. */
export function fetchFrom(port, target) {
  return new Promise((resolve, reject) => {
    const req = http.get({ host: '127.0.0.1', port, path: target, agent: false }, async (res) => {
      let text = '';
      for await (const chunk of res.setEncoding('utf8')) text += chunk;
      const json = /json/.test(res.headers['content-type'] ?? '') ? JSON.parse(text) : undefined;
      resolve({ status: res.statusCode, text, json });
    });
    req.on('error', reject);
    req.setTimeout(5000, () => req.destroy(new Error(`${target}: no answer in 5 s`)));
  });
}

/** Asks until `wanted` gives something; what was last thrown tells why not. */
export async function until(what, wanted, { timeout = 40_000, every = 100 } = {}) {
  const deadline = Date.now() + timeout;
  let why = 'nothing';
  for (;;) {
    try {
      const found = await wanted();
      if (found) return found;
    } catch (error) {
      why = error.message;
    }
    assert.ok(Date.now() < deadline, `${what}: not within ${timeout} ms; ${why}`);
    await sleep(every);
  }
}

/** Both servers for one running program. */
export class Watch {
  static async start(gate, alertmanagerFile, secrets) {
    const watch = new Watch();
    watch.folder = temporaryFolder();
    watch.prometheusPort = await freePort();
    watch.alertmanagerPort = await freePort();
    watch.place = {
      8000: gate.port,
      8001: gate.authPort,
      8002: gate.accountPort,
      8003: gate.transactionPort,
      8004: gate.auditPort,
      8005: gate.monitoringPort,
      9090: watch.prometheusPort,
      9093: watch.alertmanagerPort,
    };
    for (const [name, text] of Object.entries(secrets)) {
      const file = path.join(watch.folder, 'secrets', name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, text, { mode: 0o600 });
    }
    for (const name of ['prometheus.yml', 'targets/portcullis.yml', ...watch.#rules()])
      copy(`prometheus/${name}`, path.join(watch.folder, name), watch.place);
    await watch.#prometheus();
    await watch.alertmanagerStart(alertmanagerFile);
    return watch;
  }

  #rules() {
    const names = fs.readdirSync(path.join(deploy, 'prometheus/rules')).sort();
    return names.map((name) => `rules/${name}`);
  }

  async #ready(server, port, name) {
    await until(`${name} is ready`, async () => {
      if (!server.alive) throw new Error(server.output.slice(-3000));
      return (await fetchFrom(port, '/-/ready')).status === 200;
    });
  }

  async #prometheus() {
    this.prometheus = new Server(
      'prometheus',
      [
        '--config.file=prometheus.yml',
        '--storage.tsdb.path=prometheus-data',
        '--rules.alert.resend-delay=1s',
        `--web.listen-address=127.0.0.1:${this.prometheusPort}`,
      ],
      this.folder,
    );
    await this.#ready(this.prometheus, this.prometheusPort, 'Prometheus');
  }

  async alertmanagerStart(file) {
    copy(`alertmanager/${file}`, path.join(this.folder, file), this.place);
    this.alertmanager = new Server(
      'prometheus-alertmanager',
      [
        `--config.file=${file}`,
        `--storage.path=${file}-data`,
        '--cluster.listen-address=',
        `--web.listen-address=127.0.0.1:${this.alertmanagerPort}`,
      ],
      this.folder,
    );
    await this.#ready(this.alertmanager, this.alertmanagerPort, 'Alertmanager');
  }

  /** What a PromQL expression is now: [{ metric, value }]. */
  async query(expression) {
    const reply = await fetchFrom(
      this.prometheusPort,
      `/api/v1/query?query=${encodeURIComponent(expression)}`,
    );
    assert.equal(reply.status, 200, reply.text);
    return reply.json.data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  async rules() {
    const reply = await fetchFrom(this.prometheusPort, '/api/v1/rules');
    return reply.json.data.groups.flatMap((group) => group.rules);
  }

  async stop() {
    await Promise.all([this.prometheus?.stop(), this.alertmanager?.stop()]);
  }
}
