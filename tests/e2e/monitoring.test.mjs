// SPDX-License-Identifier: MIT
// Alerts and the state of the nodes, on two nodes over one SQLite folder and over one PostgreSQL:
// what Alertmanager sends, what operators do, who is missing, and a store that takes no writes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { after, before, describe } from 'node:test';
import {
  assertProblem,
  Portcullis,
  sleep,
  startPostgres,
  temporaryFolder,
  test,
  unique,
} from './harness.mjs';

const webhookToken = 'e2e-d2ViaG9vay1iZWFyZXI-4c1f-9a7e-20b6-k3';

/** Asks until `wanted` says so; fails after `timeout` ms. Gives how long it took. */
async function until(wanted, what, timeout) {
  const started = Date.now();
  for (;;) {
    const found = await wanted();
    if (found) return { found, took: Date.now() - started };
    assert.ok(Date.now() - started < timeout, `${what}: not within ${timeout} ms`);
    await sleep(50);
  }
}

const notification = (alerts) => ({
  receiver: 'portcullis',
  status: 'firing',
  alerts,
  groupLabels: {},
  commonLabels: {},
  commonAnnotations: {},
  externalURL: 'http://alertmanager.example.com',
  version: '4',
  groupKey: '{}:{}',
  truncatedAlerts: 0,
});

const alertOf = (name, more = {}) => ({
  status: 'firing',
  labels: { alertname: name, severity: 'warning', instance: 'a:1' },
  annotations: { summary: 'It is so' },
  startsAt: '2026-02-03T04:05:06.789Z',
  endsAt: '0001-01-01T00:00:00Z',
  generatorURL: 'http://prometheus.example.com/graph?g0.expr=up',
  ...more,
});

/** A store for two nodes: { env, block } where block() makes it refuse writes until undone. */
const stores = {
  sqlite: async () => {
    const data = path.join(temporaryFolder(), 'data');
    return {
      env: { PORTCULLIS_DATA: data },
      async block() {
        const holder = spawn(
          'python3',
          [
            '-c',
            'import sqlite3, sys\n' +
              'db = sqlite3.connect(sys.argv[1], isolation_level=None)\n' +
              'db.execute("BEGIN IMMEDIATE"); print("held", flush=True); sys.stdin.read()',
            path.join(data, 'portcullis.db'),
          ],
          { stdio: ['pipe', 'pipe', 'inherit'] },
        );
        await new Promise((resolve) => holder.stdout.once('data', resolve));
        return () => holder.stdin.end();
      },
      stop: async () => {},
    };
  },
  postgresql: async () => {
    const server = await startPostgres();
    const set = (value) =>
      server.query(
        'SET transaction_read_only = off; ' +
          "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I " +
          `SET default_transaction_read_only = ${value}', ` +
          'current_database()); END $$; ' +
          'SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity ' +
          'WHERE datname = current_database() AND pid <> pg_backend_pid()',
      );
    return {
      env: server.env,
      block: async () => {
        set('on');
        return () => set('off');
      },
      stop: () => server.stop(),
    };
  },
};

for (const [kind, make] of Object.entries(stores))
  describe(kind, () => {
    let store;
    let one;
    let two;
    let token;
    const nodeOne = unique('one');
    const nodeTwo = unique('two');
    const start = (node) =>
      Portcullis.start({
        env: { ...store.env, PORTCULLIS_NODE: node, MONITORING_WEBHOOK_TOKEN: webhookToken },
      });

    before(async () => {
      store = await make();
      one = await start(nodeOne);
      two = await start(nodeTwo);
      token = (await one.admin()).access_token;
    });
    after(async () => {
      await Promise.all([one?.stop(), two?.stop()]);
      await store?.stop();
    });

    const monitoring = (gate) => ({ port: gate.monitoringPort });
    const status = async (gate = one) => {
      const reply = await gate.get('/monitoring/status', { token, ...monitoring(gate) });
      assert.equal(reply.status, 200, reply.text);
      return reply.json;
    };
    const alerts = async (query, gate = one) => {
      const reply = await gate.get(`/alerts?${query}`, { token, ...monitoring(gate) });
      assert.equal(reply.status, 200, reply.text);
      return reply.json;
    };
    const send = (gate, bearer, list) =>
      gate.post('/alerts', notification(list), { token: bearer, ...monitoring(gate) });

    test('Alertmanager comes with a token of its client or with the constant bearer', async () => {
      const reply = await one.request('POST', '/auth/token', {
        port: one.authPort,
        body: 'grant_type=client_credentials&client_id=alertmanager&client_secret=change-me',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      });
      const name = unique('Sent');
      for (const [gate, bearer] of [
        [one, reply.json.access_token],
        [two, webhookToken],
      ]) {
        const sent = await send(gate, bearer, [alertOf(name)]);
        assert.equal(sent.status, 202, sent.text);
        assert.deepEqual(sent.json, { status: 'received' });
      }
      const [alert, ...more] = await alerts(`name=${name}`);
      assert.deepEqual(more, []);
      assert.equal(alert.times, 2);
      assert.equal(alert.severity, 'warning');
      assert.equal(alert.starts_at, '2026-02-03T04:05:06.789000Z');
      assert.equal(alert.ends_at, null);
    });

    test('the constant bearer is good for the webhook alone', async () => {
      assertProblem(await send(one, `${webhookToken}x`, []), 401);
      for (const [gate, method, target, port] of [
        [one, 'GET', '/alerts', one.monitoringPort],
        [one, 'GET', '/monitoring/status', one.monitoringPort],
        [one, 'POST', '/alerts/1/resolve', one.monitoringPort],
        [one, 'GET', '/health', one.monitoringPort],
        [one, 'GET', '/api/v1/alerts', one.port],
        [one, 'GET', '/accounts', one.accountPort],
      ]) {
        const json = method === 'POST' ? {} : undefined;
        const reply = await gate.request(method, target, { token: webhookToken, port, json });
        assertProblem(reply, 401);
      }
      assertProblem(await one.post('/api/v1/alerts', notification([]), { token }), 405);
    });

    test('operators take and close alerts at the gateway, and the history tells', async () => {
      const name = unique('Handled');
      await send(one, webhookToken, [alertOf(name)]);
      const [{ id }] = (await two.get(`/api/v1/alerts?name=${name}`, { token })).json;
      const note = { note: 'card 4111 1111 1111 1111 in the log' };
      const taken = await two.post(`/api/v1/alerts/${id}/acknowledge`, note, { token });
      assert.equal(taken.status, 200, taken.text);
      assert.equal(taken.json.acknowledged_by, 'user:1');
      assertProblem(await one.post(`/api/v1/alerts/${id}/acknowledge`, {}, { token }), 409);
      await send(two, webhookToken, [
        alertOf(name, { annotations: { summary: 'It is more so' } }),
        alertOf(name, { status: 'resolved', endsAt: '2026-02-03T05:00:00Z' }),
      ]);
      const whole = (await one.get(`/api/v1/alerts/${id}`, { token })).json;
      assert.equal(whole.status, 'resolved');
      assert.equal(whole.ends_at, '2026-02-03T05:00:00.000000Z');
      assert.deepEqual(
        whole.history.map((step) => step.what),
        ['fired', 'acknowledged', 'changed', 'resolved'],
      );
      assert.equal(whole.history[1].note, 'card **** **** **** 1111 in the log');
      assert.equal(whole.history[2].was.annotations.summary, 'It is so');
      assertProblem(await one.post(`/api/v1/alerts/${id}/resolve`, {}, { token }), 409);
    });

    test('each node tells of both', async () => {
      for (const gate of [one, two]) {
        const { found } = await until(
          async () => {
            const told = await status(gate);
            const whole = told.nodes.filter((node) => node.report?.store.bytes > 0);
            return whole.length === 2 && told;
          },
          'both nodes',
          10_000,
        );
        assert.deepEqual(found.nodes.map((node) => node.node).sort(), [nodeOne, nodeTwo].sort());
        assert.deepEqual(
          found.nodes.map((node) => node.state),
          ['up', 'up'],
        );
        for (const { report } of found.nodes) {
          assert.equal(report.store.writes, 'ok');
          assert.equal(report.store.kind, kind);
          assert.deepEqual(
            report.services.map((service) => service.service),
            [
              'api-gateway',
              'auth-service',
              'account-service',
              'transaction-service',
              'audit-service',
              'monitoring-service',
            ],
          );
          assert.ok(report.queues.some((queue) => queue.name === 'store.writes' && queue.max > 0));
        }
      }
      const own = (await status()).nodes.find((node) => node.self).report;
      const service = own.services.find((each) => each.service === 'monitoring-service');
      const route = service.routes.find((each) => each.route === '/monitoring/status');
      assert.ok(route.start.requests > 0 && route.start.p99_ms > 0);
      assert.equal(own.health, 'ok');
    });

    test('a store that takes no writes is told within 5 s, and over by itself', async () => {
      const quiet = () => alerts('name=StoreNotWritable&status=firing');
      await until(async () => (await quiet()).length === 0, 'quiet', 10_000);
      const undo = await store.block();
      let fired;
      try {
        fired = await until(
          async () => (await quiet()).find((alert) => alert.labels.node === nodeOne),
          'StoreNotWritable',
          9000,
        );
        assert.equal(fired.found.source, 'portcullis');
        assert.equal(fired.found.id, null); // told from memory: nothing can be stored
        assert.ok(fired.took < 6000, `after ${fired.took} ms`);
        const told = await status();
        assert.equal(told.status, 'failing');
        assert.notEqual(told.nodes.find((node) => node.self).report.store.writes, 'ok');
      } finally {
        undo();
      }
      await until(async () => (await quiet()).length === 0, 'over', 20_000);
      const { found } = await until(
        async () =>
          (await alerts('name=StoreNotWritable&status=resolved')).find(
            (alert) => alert.labels.node === nodeOne && alert.id !== null,
          ),
        'stored',
        20_000,
      );
      assert.equal(found.fingerprint, fired.found.fingerprint);
      assert.equal(found.resolved_by, 'system');
    });

    test(
      'a node that dies is missing until it is back',
      async () => {
        await two.stop('SIGKILL');
        await until(
          async () =>
            (await status()).nodes.find((node) => node.node === nodeTwo).state === 'missing',
          'missing',
          30_000,
        );
        const [alert] = (
          await until(
            async () => {
              const list = await alerts('name=NodeMissing&status=firing');
              return list.length > 0 && list;
            },
            'NodeMissing',
            5000,
          )
        ).found;
        assert.equal(alert.labels.node, nodeTwo);
        two = await start(nodeTwo);
        await until(
          async () => (await alerts('name=NodeMissing&status=firing')).length === 0,
          'back',
          15_000,
        );
        await two.stop();
        await until(
          async () =>
            (await status()).nodes.find((node) => node.node === nodeTwo).state === 'stopped',
          'stopped',
          10_000,
        );
      },
      { timeout: 90_000 },
    );
  });
