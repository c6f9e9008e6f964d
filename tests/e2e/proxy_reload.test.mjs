// SPDX-License-Identifier: MIT
// Settings that are swapped while requests are under way: no request notices, nothing is forgotten
// that stays, and a bad file changes nothing. PORTCULLIS_RELOAD_SECONDS=60 reloads for a minute,
// PORTCULLIS_RELOADS=5000 so often while memory is looked at.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before } from 'node:test';
import { Portcullis, command, secret, sleep, test } from './harness.mjs';
import { startUpstream } from './proxy_kit.mjs';

const seconds = Number(process.env.PORTCULLIS_RELOAD_SECONDS ?? 15);
const reloadsMany = Number(process.env.PORTCULLIS_RELOADS ?? 1000);

let one;
let two;
let gate;
const operators = new http.Agent({ keepAlive: true, maxSockets: 1 });

const upstream = (name, targets, more = '') => `  - name: ${name}
${more}    targets:
${targets.map(({ port, weight = 1 }) => `      - {url: "http://127.0.0.1:${port}", weight: ${weight}}`).join('\n')}
`;

const route = (where, name, more = '') => `  - path: ${where}
    upstream: ${name}
    access: open
    rate_exempt: true
${more}`;

const settings = (upstreams, routes) => `upstreams:
${upstreams.join('')}routes:
${routes.join('')}`;

const roundRobin = '    balance: round_robin\n';

const usual = () =>
  settings([upstream('shop', [one, two], roundRobin)], [route('/shop/*', 'shop')]);

const write = (text) => fs.writeFileSync(path.join(gate.data, 'portcullis.yaml'), text);

/** One request at the operators' socket: { status, json }. */
const operate = (method, target) =>
  new Promise((resolve, reject) => {
    const socketPath = path.join(gate.data, 'data', 'admin.sock');
    const req = http.request({ socketPath, method, path: target, agent: operators }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (piece) => (text += piece));
      res.on('end', () => resolve({ status: res.statusCode, json: JSON.parse(text) }));
    });
    req.on('error', reject);
    req.end();
  });

/** Reloads, and knows when it is done. */
async function reload(text) {
  if (text) write(text);
  const reply = await operate('POST', '/reload');
  assert.equal(reply.status, 200, JSON.stringify(reply.json));
  return reply.json;
}

/** What the process has of memory, in KiB. */
const memory = () =>
  Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${gate.pid}/status`, 'utf8'))[1]);

before(async () => {
  const answer = (req, res) => {
    const url = new URL(req.url, 'http://x');
    if (url.pathname.endsWith('/slow')) {
      res.write('begun ');
      setTimeout(() => res.end('done'), Number(url.searchParams.get('ms')));
      return true;
    }
    if (url.pathname.endsWith('/half') && req.socket.localPort === two.port) {
      res.writeHead(503).end();
      return true;
    }
    return false;
  };
  one = await startUpstream(answer);
  two = await startUpstream(answer);
  gate = await Portcullis.start({ config: usual() });
});

after(async () => {
  operators.destroy();
  await gate?.stop();
  await one?.stop();
  await two?.stop();
});

const portsOf = async (target, times) => {
  const ports = [];
  for (let i = 0; i < times; i++) ports.push((await gate.get(target)).json.port);
  return ports;
};

test('routes and upstreams come and go', async () => {
  assert.equal((await gate.get('/new/a')).status, 404);
  await reload(
    settings(
      [upstream('shop', [one, two], roundRobin), upstream('new', [two])],
      [route('/shop/*', 'shop'), route('/new/*', 'new')],
    ),
  );
  assert.equal((await gate.get('/new/a')).json.port, two.port);
  assert.equal((await gate.get('/shop/a')).status, 200);
  await reload(usual());
  assert.equal((await gate.get('/new/a')).status, 404);
});

test('weights take effect with the answer of the reload', async () => {
  await reload(
    settings(
      [upstream('shop', [{ port: one.port, weight: 3 }, two], roundRobin)],
      [route('/shop/*', 'shop')],
    ),
  );
  const ports = await portsOf('/shop/a', 40);
  const share = ports.filter((port) => port === one.port).length;
  assert.ok(share >= 28 && share <= 32, `${share} of 40`);
  await reload(usual());
});

test('a target that goes ends what it has begun, and is let go of', async () => {
  const slow = await Promise.all([gate.get('/shop/a'), gate.get('/shop/a')]);
  assert.ok(slow.every((reply) => reply.status === 200));
  const before = two.asked.length;
  const running = Promise.all(
    [1, 2, 3, 4].map(() => gate.get('/shop/slow?ms=400', { agent: false })),
  );
  while (two.asked.length === before) await sleep(5);
  await reload(settings([upstream('shop', [one], roundRobin)], [route('/shop/*', 'shop')]));
  const asked = two.asked.length;
  assert.ok((await portsOf('/shop/a', 20)).every((port) => port === one.port));
  for (const reply of await running) assert.equal(reply.text, 'begun done');
  assert.equal(two.asked.length, asked);
  const deadline = Date.now() + 5000;
  while (two.sockets.size > 0) {
    assert.ok(Date.now() < deadline, `${two.sockets.size} connections are left`);
    await sleep(10);
  }
  await reload(usual());
});

test('a target that is ejected stays so, and connections are kept', async () => {
  const ejecting = (weight) =>
    settings(
      [
        upstream(
          'shop',
          [{ port: one.port, weight }, two],
          `${roundRobin}    eject: {failures: 2, seconds: 60, panic_percent: 1}\n`,
        ),
      ],
      [route('/shop/*', 'shop', '    circuit_breaker: {disabled: true}\n')],
    );
  await reload(ejecting(1));
  const statuses = [];
  for (let i = 0; i < 8; i++) statuses.push((await gate.get('/shop/half')).status);
  assert.equal(statuses.filter((status) => status === 503).length, 2, 'two is ejected');
  const { connections } = one;
  for (const weight of [2, 3, 4]) {
    await reload(ejecting(weight));
    assert.ok((await portsOf('/shop/a', 10)).every((port) => port === one.port));
  }
  assert.equal(one.connections, connections);
  await reload(usual());
});

test('a bad file changes nothing, and says where it is wrong', async () => {
  write(usual().replace('round_robin', 'square_robin'));
  const reply = await operate('POST', '/reload');
  assert.equal(reply.status, 422);
  assert.match(reply.json.errors[0], /portcullis\.yaml:3:\d+: .*square_robin/);
  assert.equal((await gate.get('/shop/a')).status, 200);
  const config = ['--config', path.join(gate.data, 'portcullis.yaml')];
  const socket = ['--socket', path.join(gate.data, 'data', 'admin.sock')];
  for (const way of [config, socket]) {
    const told = await command(['reload', ...way], { data: gate.data });
    assert.equal(told.code, 1);
    assert.match(told.stderr, /portcullis\.yaml:3:\d+: .*square_robin/);
  }
  const before = gate.output.length;
  gate.signal('SIGHUP');
  const deadline = Date.now() + 5000;
  while (!gate.output.slice(before).includes('former settings stay')) {
    assert.ok(Date.now() < deadline, gate.output.slice(before));
    await sleep(10);
  }
  assert.match(gate.output.slice(before), /portcullis\.yaml:3:\d+: .*square_robin/);
  assert.equal((await gate.get('/shop/a')).status, 200);
  write(usual());
});

test('what is gone is gone from the metrics, and what stays counts on', async () => {
  const told = async (pattern) =>
    (await gate.get('/metrics')).text.split('\n').filter((line) => pattern.test(line));
  const requests = async () =>
    Number(
      /http_requests_total\{[^}]*route="\/shop\/\*",method="GET",status="200"\} (\d+)/.exec(
        (await gate.get('/metrics')).text,
      )[1],
    );
  const passing = /passing/;
  const breaker = '    circuit_breaker: {failure_threshold: 5}\n';
  const more = settings(
    [upstream('shop', [one, two], roundRobin), upstream('passing', [two], breaker)],
    [route('/shop/*', 'shop'), route('/passing/*', 'passing')],
  );
  await reload(more);
  assert.equal((await gate.get('/passing/a')).status, 200);
  assert.equal((await gate.get('/shop/a')).status, 200);
  const lines = await told(passing);
  for (const name of [
    'http_requests_total',
    'http_request_duration_seconds_count',
    'circuit_breaker_state',
    'upstream_attempts_total',
    'upstream_target_well',
  ])
    assert.ok(
      lines.some((line) => line.startsWith(name)),
      name,
    );
  const before = await requests();
  await reload(usual());
  const deadline = Date.now() + 30_000;
  while ((await told(passing)).length > 0) {
    assert.ok(Date.now() < deadline, (await told(passing)).join('\n'));
    await sleep(50);
    await reload(); // ends what its last request has left
  }
  assert.equal((await gate.get('/shop/a')).status, 200);
  assert.equal(await requests(), before + 1);
  await reload(more);
  assert.ok((await told(passing)).length > 0);
  await reload(usual());
});

test('general thresholds of breakers take effect with a reload', async () => {
  const guarded = upstream('guarded', [two], '    circuit_breaker: {timeout_seconds: 3600}\n');
  const text = (failures) =>
    `circuit_breaker: {failure_threshold: ${failures}}\n${settings(
      [upstream('shop', [two]), guarded],
      [
        route('/shop/*', 'shop'),
        route('/guarded/*', 'guarded', '    circuit_breaker: {disabled: true}\n'),
      ],
    )}`;
  const openedAfter = async (target) => {
    for (let i = 1; i <= 20; i++) {
      const { status, headers } = await gate.get(target);
      assert.equal(status, 503);
      if (headers['x-circuit-breaker-state'] === 'open') return i;
    }
    return undefined;
  };
  await reload(text(9));
  const { changes } = await reload(text(3));
  assert.deepEqual(changes, ['~ setting circuit_breaker.failure_threshold: 9 -> 3']);
  // Its head has left when the third failure opens it: the next one is told.
  assert.equal(await openedAfter('/shop/half'), 4);
  assert.equal(await openedAfter('/guarded/half'), 4);
  await reload(text(3));
  assert.equal(await openedAfter('/guarded/half'), 1, 'it stays open while nothing changes');
  await reload(usual());
});

test('the commands tell what changes', async () => {
  const files = ['old', 'new'].map((name) => path.join(gate.data, `${name}.yaml`));
  fs.writeFileSync(files[0], usual());
  const next = settings(
    [upstream('shop', [one], roundRobin), upstream('new', [two])],
    [route('/shop/*', 'shop'), route('/new/*', 'new')],
  );
  fs.writeFileSync(files[1], `${next}limits: {burst: 9}\nhttp: {idle_timeout_ms: 5000}\n`);
  const told = await command(['diff', ...files], { data: gate.data });
  assert.equal(told.code, 0, told.stderr);
  assert.deepEqual(told.stdout.trim().split('\n'), [
    `~ upstream shop: targets -http://127.0.0.1:${two.port}; affects /shop/*`,
    '+ upstream new',
    '+ route /new/*: upstream new',
    '~ setting http.idle_timeout_ms: 60000 -> 5000 (waits for a restart)',
    '~ setting limits.burst: 0 -> 9',
  ]);
  write(next);
  const config = ['--config', path.join(gate.data, 'portcullis.yaml')];
  const done = await command(['reload', ...config], { data: gate.data });
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /^\+ route \/new\/\*: upstream new$/m);
  assert.equal((await gate.get('/new/a')).json.port, two.port);
  await reload(usual());
});

test('operators see targets and drain them, whatever the settings say', async () => {
  const { mode, uid } = fs.statSync(path.join(gate.data, 'data', 'admin.sock'));
  assert.equal(mode & 0o777, 0o600);
  assert.equal(uid, process.getuid());
  const stateOf = async ({ port }) => {
    const { json } = await operate('GET', '/upstreams');
    return json.upstreams[0].targets.find(({ url }) => url.endsWith(`:${port}`));
  };
  const url = `/upstreams/shop/targets/127.0.0.1:${two.port}`;
  assert.equal((await operate('POST', `${url}/drain`)).status, 200);
  assert.ok((await portsOf('/shop/a', 10)).every((port) => port === one.port));
  assert.equal((await stateOf(two)).state, 'drained');
  await reload(settings([upstream('shop', [one, two])], [route('/shop/*', 'shop')]));
  assert.equal((await stateOf(two)).state, 'drained');
  assert.ok((await portsOf('/shop/a', 10)).every((port) => port === one.port));
  await reload(usual());
  const encoded = encodeURIComponent(`http://127.0.0.1:${two.port}`);
  assert.equal((await operate('POST', `/upstreams/shop/targets/${encoded}/undrain`)).status, 200);
  assert.ok((await portsOf('/shop/a', 10)).includes(two.port));
  assert.equal((await operate('POST', '/upstreams/shop/targets/nobody/drain')).status, 404);
  assert.equal((await operate('GET', `${url}/drain`)).status, 405);
  assert.equal((await operate('GET', '/nothing')).status, 404);
  for (const target of ['/', '/breakers', '/limits'])
    assert.equal((await operate('GET', target)).status, 200);
  const limits = '    limits: [{per: hour, requests: 9, key: route}]\n';
  const own = route('/shop/*', 'shop').replace('    rate_exempt: true\n', limits);
  await reload(settings([upstream('shop', [one, two])], [own]));
  const limited = { route: '/shop/*', exempt: false, requests_per_minute: 0 };
  limited.limits = [{ key: 'route', requests: 9, period_s: 3600, burst: 9 }];
  assert.deepEqual((await operate('GET', '/limits')).json.upstream_routes, [limited]);
  await reload(usual());
  const { json } = await operate('GET', '/config');
  assert.equal(json.settings.upstreams, '1 item');
  assert.ok(!JSON.stringify(json).includes(secret), 'a secret is shown');
  const asked = ['admin', 'upstreams', '--socket', path.join(gate.data, 'data', 'admin.sock')];
  assert.match((await command(asked, { data: gate.data })).stdout, /well +http:\/\/127\.0\.0\.1/);
});

test(
  'memory stays as it was',
  async () => {
    const some = async (count) => {
      for (let i = 0; i < count; i++) {
        const targets = i % 3 ? [one, two] : [{ port: one.port, weight: 1 + (i % 7) }];
        const routes = [route('/shop/*', 'shop'), route(`/r${i % 5}`, 'shop')];
        await reload(settings([upstream('shop', targets)], routes));
        if (i % 10 === 0) assert.equal((await gate.get('/shop/a')).status, 200);
      }
    };
    // Each reload is an event of the audit log, and its store's caches grow with events until they
    // are full: a long run fills them first.
    const target = `/upstreams/shop/targets/127.0.0.1:${two.port}`;
    for (let i = 0; reloadsMany > 1000 && i < 20_000; i++)
      await operate('POST', `${target}/${i % 2 ? 'un' : ''}drain`);
    const slow = gate.get('/shop/slow?ms=3000', { agent: false });
    await some(300);
    const begin = memory();
    await some(reloadsMany);
    const grown = memory() - begin;
    assert.equal((await slow).text, 'begun done');
    console.log(`# ${reloadsMany} reloads, ${begin} KiB before, ${grown} KiB more`);
    assert.ok(grown < 1024, `${grown} KiB more after ${reloadsMany} reloads`);
    await reload(usual());
  },
  { timeout: 600_000 },
);

/** One client after another request, as long idle as busy: half of the load. */
async function load(until, agent, counts) {
  const ask = () =>
    new Promise((resolve) => {
      const options = { host: '127.0.0.1', port: gate.port, path: '/shop/a', agent };
      const req = http.get(options, (res) => {
        res.on('data', () => {});
        res.on('end', () => {
          counts[res.statusCode] = (counts[res.statusCode] ?? 0) + 1;
          resolve();
        });
      });
      req.on('error', (error) => {
        counts[error.code] = (counts[error.code] ?? 0) + 1;
        resolve();
      });
    });
  while (Date.now() < until) {
    const begun = process.hrtime.bigint();
    await ask();
    const took = Number(process.hrtime.bigint() - begun) / 1e6;
    await sleep(Math.min(took, 50));
  }
}

test(
  'ten reloads a second fail no request',
  async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
    const until = Date.now() + seconds * 1000;
    const counts = {};
    const clients = Array.from({ length: 16 }, () => load(until, agent, counts));
    let count = 0;
    while (Date.now() < until) {
      const next = Date.now() + 100;
      const weight = 1 + (count % 3);
      const targets = count % 5 === 4 ? [one] : [{ port: one.port, weight }, two];
      await reload(settings([upstream('shop', targets)], [route('/shop/*', 'shop')]));
      count += 1;
      await sleep(Math.max(0, next - Date.now()));
    }
    await Promise.all(clients);
    agent.destroy();
    assert.deepEqual(Object.keys(counts), ['200'], JSON.stringify(counts));
    assert.ok(count > seconds * 4, `${count} reloads in ${seconds} s`);
    assert.ok(counts[200] > seconds * 50, `${counts[200]} requests`);
    console.log(`# ${count} reloads, ${counts[200]} requests in ${seconds} s`);
    await reload(usual());
  },
  { timeout: (seconds + 60) * 1000 },
);
