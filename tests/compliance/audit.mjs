// SPDX-License-Identifier: MIT
// What is written down of what happens (PCI DSS 10.2), what an event holds, and that nobody can
// change the log without being found out. Logging is switched off by somebody who may write the
// database: a trigger there drops every event.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { command, temporaryFolder } from '../e2e/harness.mjs';
import { createClient, run } from '../e2e/oauth_kit.mjs';
import { keyLine } from '../e2e/audit_verify.mjs';

const read = (world, op) =>
  world.once(`audit reader ${op.port}`, () => world.machine(op, ['audit:read']));

/** What the log says, asked by these filters. */
async function events(world, op, query = {}) {
  const token = await read(world, op);
  const target = `/api/v1/audit/events?${new URLSearchParams({ limit: '500', ...query })}`;
  const reply = await op.gate.get(target, { token });
  assert.equal(reply.status, 200, `the log does not tell it: ${reply.status} ${reply.text}`);
  return reply.json;
}

/** The event that `is`, found by its action. */
async function told(world, op, action, is = () => true) {
  const list = await events(world, op, { action });
  const found = list.find(is);
  assert.ok(found, `the log does not tell it: no ${action} among ${list.length}`);
  return found;
}

const logged = (name, about, work) => ({
  name,
  about,
  how: 'a trigger in the database that drops every event',
  red: /the log does not tell it/,
  on: (world) => world.base(),
  off: (world) => world.logless(),
  probe: (op, world) => work(op, world),
});

const done = (reply, ...statuses) =>
  assert.ok(statuses.includes(reply.status), `the log does not tell it: refused ${reply.text}`);

const admins = logged(
  'log-admin-actions',
  'What an administrator does to users is in the log, with who did it to whom',
  async (op, world) => {
    const { user_id: id } = await userOf(op);
    const { access_token: token } = await op.gate.admin();
    const change = { is_active: false };
    done(await op.gate.patch(`/api/v1/admin/users/${id}`, change, { token }), 200);
    const event = await told(world, op, 'user.changed', (one) => one.resource === `user:${id}`);
    assert.equal(event.actor, '1');
    assert.equal(event.outcome, 'done');
  },
);

async function userOf(op) {
  const { tokens } = await op.gate.register();
  const { json } = await op.gate.get('/api/v1/auth/me', { token: tokens.access_token });
  return { ...json, tokens };
}

const readers = logged(
  'log-audit-reads',
  'Reading the audit log is itself in the audit log',
  async (op, world) => {
    await events(world, op, { limit: '1' });
    await told(world, op, 'audit.read');
  },
);

const refusals = logged(
  'log-refused-access',
  'Refused access is in the log: no token, too few rights, a wrong password',
  async (op, world) => {
    const { email, tokens } = await userOf(op);
    const ask = (token) => op.gate.get('/api/v1/admin/users', { token });
    const strange = await ask();
    const few = await ask(tokens.access_token);
    done(strange, 401);
    done(few, 403);
    done(await op.gate.post('/api/v1/auth/login', { email, password: 'wrong' }), 401);
    for (const reply of [strange, few]) {
      const id = reply.headers['x-request-id'];
      const event = await told(world, op, 'access.denied', (one) => one.request_id === id);
      assert.equal(event.outcome, 'refused');
    }
    await told(world, op, 'user.login', (one) => one.outcome === 'refused');
  },
);

const credentials = logged(
  'log-credential-changes',
  'New users, new passwords, new secrets of clients and new rights are in the log',
  async (op, world) => {
    const { email, user_id: id } = await userOf(op);
    const input = 'another long password 7\n';
    await run(op, ['user', 'password', email, '--password-stdin'], { input });
    await run(op, ['user', 'role', email, 'risk']);
    const client = await createClient(op);
    await run(op, ['client', 'rotate-secret', client.client_id]);
    const mine = (one) => one.resource === `user:${id}`;
    await told(world, op, 'user.registered', (one) => JSON.stringify(one).includes(String(id)));
    await told(world, op, 'user.password', mine);
    await told(world, op, 'user.changed', mine);
    const its = (one) => one.resource === `client:${client.client_id}`;
    await told(world, op, 'client.created', its);
    await told(world, op, 'client.secret', its);
  },
);

const objects = logged(
  'log-objects-made-and-gone',
  'Objects that are made and ended are in the log: accounts, sessions, movements of money',
  async (op, world) => {
    const { user_id: user } = await userOf(op);
    const teller = await world.teller(op);
    const { id } = await world.account(op, teller.token, user);
    done(await op.gate.request('DELETE', `/api/v1/accounts/${id}`, { token: teller.token }), 204);
    const its = (one) => one.resource === `account:${id}`;
    await told(world, op, 'account.opened', its);
    await told(world, op, 'account.closed', its);
  },
);

const starting = {
  ...logged(
    'log-start-and-stop',
    'The start of the program and its log, its stop, and each configuration it took are in the log',
    async (op, world) => {
      for (const action of ['program.started', 'program.stopped', 'config.loaded'])
        await told(world, op, action);
    },
  ),
  async on(world) {
    return world.once('restarted', async () => {
      const first = await world.start();
      await first.stop();
      return world.start({ data: first.gate.data });
    });
  },
};

const content = {
  name: 'log-content',
  about: 'Every event says who, what, when, with which outcome, from where, and on what',
  how: 'a stand-in that takes the address out of the answers',
  red: /an event lacks/,
  on: async (world) => ({ port: (await world.base()).gate.port }),
  off: async (world) => ({
    port: await world.standIn((await world.base()).gate.port, {
      after: (answer) => {
        const text = answer.body.toString().replace(/"address":"[^"]*"/g, '"address":null');
        answer.body = Buffer.from(text);
      },
    }),
  }),
  async probe({ port }, world) {
    const op = await world.base();
    await op.gate.get('/api/v1/admin/users');
    await op.gate.register();
    const token = await read(world, op);
    const reply = await op.gate.get('/api/v1/audit/events?limit=500', { token, port });
    assert.equal(reply.status, 200, reply.text);
    assert.ok(reply.json.length > 10, 'too few events');
    for (const event of reply.json) {
      const names = ['id', 'action', 'category', 'created_at', 'outcome', 'source_service'];
      if (event.actor_kind !== 'system') names.push('actor_kind');
      if (event.request_id) names.push('address');
      if (event.action.startsWith('user.')) names.push('actor');
      for (const name of names)
        assert.ok(event[name], `an event lacks ${name}: ${JSON.stringify(event)}`);
    }
  },
};

const review = logged(
  'audit-review',
  'The log is searched by actor, object, outcome and time, and followed by the id of a request',
  async (op, world) => {
    const { user_id: id, tokens } = await userOf(op);
    const from = new Date(Date.now() - 3_600_000).toISOString();
    const denied = await op.gate.get('/api/v1/admin/users', { token: tokens.access_token });
    const list = await events(world, op, { actor: String(id), outcome: 'refused', from });
    assert.ok(list.length > 0, 'the log does not tell it: nothing of that actor');
    assert.ok(list.every((one) => one.actor === String(id) && one.outcome === 'refused'));
    const request = denied.headers['x-request-id'];
    assert.ok(list.some((one) => one.request_id === request));
    const later = new Date(Date.now() + 3_600_000).toISOString();
    assert.deepEqual(await events(world, op, { from: later }), []);
  },
);

const requests = {
  name: 'log-data-access',
  about: 'Every access to data is a line of the access log: who, which route, which class of data',
  how: 'log.access: false',
  red: /no line tells of the access/,
  on: (world) => world.base(),
  off: (world) =>
    world.once('no access log', () => world.start({ config: 'log:\n  access: false\n' })),
  async probe(op, world) {
    const { user_id: user, tokens } = await userOf(op);
    const teller = await world.teller(op);
    const { id } = await world.account(op, teller.token, user);
    const target = `/api/v1/accounts/${id}`;
    const { status, headers } = await op.gate.get(target, { token: tokens.access_token });
    assert.equal(status, 200);
    const wanted = (one) =>
      one.event === 'http_request' && one.request_id === headers['x-request-id'];
    const deadline = Date.now() + 5000;
    while (!op.gate.lines().some(wanted) && Date.now() < deadline)
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    const line = op.gate.lines().find(wanted);
    assert.ok(line, 'no line tells of the access');
    assert.equal(line.route, '/api/v1/accounts/{id}');
    assert.ok(line.compliance?.data_classification, JSON.stringify(line));
    assert.match(JSON.stringify(line), new RegExp(`"${user}"|:${user}\\b`));
    assert.ok(!JSON.stringify(line).includes(tokens.access_token.slice(-40)), 'a token is logged');
  },
};

// ---- the log itself -----------------------------------------------------------------------------

/** The log in a file, its checkpoint and its key: { file, checkpoint, key }. */
const exported = (world) =>
  world.once('exported', async () => {
    const op = await world.start();
    for (let i = 0; i < 5; i++) await op.gate.register();
    await world.checkpoint(op);
    const folder = temporaryFolder();
    const file = path.join(folder, 'log.jsonl');
    await op.stop(); // its last checkpoint covers all
    await run(op, ['audit', 'export', '--out', file]);
    const { stdout } = await run(op, ['audit', 'checkpoint']);
    fs.writeFileSync(path.join(folder, 'checkpoint.txt'), stdout);
    const pem = fs.readFileSync(path.join(op.gate.data, 'data/keys/audit.pem'));
    const key = keyLine(pem, 'portcullis');
    return { file, checkpoint: path.join(folder, 'checkpoint.txt'), key };
  });

const tampered = async (world) => {
  const { file, ...rest } = await exported(world);
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  const at = lines.findIndex((line) => line.includes('user.registered'));
  assert.ok(at > 0, 'the export has no such line');
  const edited = [...lines];
  edited[at] = edited[at].replace('user.registered', 'user.logout');
  const swapped = [...lines];
  [swapped[at], swapped[at + 1]] = [swapped[at + 1], swapped[at]];
  const variants = {
    edited,
    deleted: lines.filter((_, i) => i !== at),
    doubled: [...lines.slice(0, at), lines[at], ...lines.slice(at)],
    swapped,
    cut: lines.slice(0, at),
  };
  return Object.entries(variants).map(([name, list]) => {
    const copy = `${file}.${name}`;
    fs.writeFileSync(copy, list.join('\n'));
    return { file: copy, ...rest };
  });
};

const whole = {
  name: 'audit-tamper',
  about: 'The log is checked without its server, against a signed checkpoint kept elsewhere',
  how: 'a line of the log edited, deleted, doubled, swapped with the next, or the rest cut off',
  red: /the log is not the one that was signed/,
  on: exported,
  off: tampered,
  async probe({ file, checkpoint, key }) {
    const args = ['audit', 'verify', file, '--checkpoint', checkpoint, '--key', key];
    const { code, stdout } = await command(args);
    assert.equal(code, 0, `the log is not the one that was signed: ${stdout}`);
  },
};

const signature = {
  name: 'audit-checkpoint-signed',
  about: "Checkpoints of the log bear the signature of the log's own key",
  how: 'a checkpoint by a log with another key',
  red: /nobody known has signed it/,
  on: exported,
  async off(world) {
    const op = await world.start();
    const text = await world.checkpoint(op);
    const { file, checkpoint, key } = await exported(world);
    fs.writeFileSync(`${checkpoint}.other`, text);
    return { file, checkpoint: `${checkpoint}.other`, key };
  },
  async probe({ file, checkpoint, key }) {
    const args = ['audit', 'verify', file, '--checkpoint', checkpoint, '--key', key];
    const { code, stdout, stderr } = await command(args);
    assert.equal(code, 0, `nobody known has signed it: ${stdout}${stderr}`);
  },
};

const rights = {
  name: 'audit-read-right',
  about: 'The audit log is read by those who may, which excludes customers and tellers',
  how: 'the user is granted the role auditor',
  red: /the audit log was shown/,
  on: async (world) => world.person(await world.base(), { roles: ['payments'] }),
  off: async (world) => world.person(await world.base(), { roles: ['auditor'] }),
  async probe({ token }, world) {
    const op = await world.base();
    for (const place of ['events', 'export', 'checkpoint']) {
      const { status } = await op.gate.get(`/api/v1/audit/${place}`, { token });
      assert.equal(status, 403, `the audit log was shown: ${place} ${status}`);
    }
  },
};

const appended = {
  name: 'audit-append-only',
  about: 'No request changes or deletes an event, whoever asks',
  how: 'a stand-in that answers such a request as if it were done',
  red: /an event could be changed/,
  on: async (world) => ({ port: (await world.base()).gate.port }),
  off: async (world) => ({
    port: await world.standIn((await world.base()).gate.port, {
      before: ({ method }) =>
        method === 'DELETE' ? { status: 204, headers: {}, body: Buffer.alloc(0) } : undefined,
    }),
  }),
  async probe({ port }, world) {
    const op = await world.base();
    const { token } = await world.person(op, { roles: ['auditor'], admin: true });
    const [event] = await events(world, op, { limit: '1' });
    for (const target of ['/api/v1/audit/events', `/api/v1/audit/events/${event.id}`])
      for (const method of ['PUT', 'PATCH', 'DELETE']) {
        const json = method === 'DELETE' ? undefined : { action: 'nothing' };
        const options = { port, token, json, agent: false };
        const { status } = await op.gate.request(method, target, options);
        assert.ok([404, 405].includes(status), `an event could be changed: ${method} ${status}`);
      }
    const same = await op.gate.get(`/api/v1/audit/events/${event.id}`, {
      token: await read(world, op),
    });
    assert.deepEqual(same.json, event);
  },
};

const bound = {
  name: 'audit-source-identity',
  about: 'Events from outside are taken with a verified client certificate only',
  how: 'a stand-in that shows its own certificate for everybody',
  red: /an event was taken without a certificate/,
  on: async () => ({}),
  async off(world) {
    const op = await world.base();
    const { robot } = await world.certificates();
    return { port: await world.standIn(op.gate.auditPort, { tls: robot }) };
  },
  async probe({ port }, world) {
    const op = await world.base();
    const token = await world.machine(op, ['audit:write']);
    const json = { category: 'security', action: 'door.opened', actor: 'Anna' };
    const headers = { 'Idempotency-Key': randomUUID() };
    const options = { token, json, headers };
    const ask = (more) => world.ask(op, 'audit', 'POST', '/audit/events', { ...options, ...more });
    const { status } = port
      ? await op.gate.request('POST', '/audit/events', { ...options, port, agent: false })
      : await ask({});
    assert.ok([401, 403].includes(status), `an event was taken without a certificate: ${status}`);
    const taken = await ask({ certificate: true });
    assert.equal(taken.status, 201, taken.text);
  },
};

const clock = {
  name: 'audit-time',
  about: 'Events bear the time in UTC to the microsecond, close to now, and never go back',
  how: 'a stand-in whose clock is an hour late',
  red: /not the time of now/,
  on: async (world) => ({ port: (await world.base()).gate.port }),
  off: async (world) => ({
    port: await world.standIn((await world.base()).gate.port, {
      after: (answer) => {
        const late = (_, at) => {
          const moved = new Date(Date.parse(at) - 3_600_000).toISOString();
          return `"created_at":"${moved.replace('Z', '000Z')}"`;
        };
        const text = answer.body.toString().replace(/"created_at":"([^"]+)"/g, late);
        answer.body = Buffer.from(text);
      },
    }),
  }),
  async probe({ port }, world) {
    const op = await world.base();
    await op.gate.register();
    const token = await read(world, op);
    const { json } = await op.gate.get('/api/v1/audit/events?limit=200', { token, port });
    const forms = json.every((one) => /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z$/.test(one.created_at));
    assert.ok(forms, `not RFC 3339 in UTC: ${json[0].created_at}`);
    const newest = Math.max(...json.map((one) => Date.parse(one.created_at)));
    assert.ok(Math.abs(Date.now() - newest) < 300_000, 'not the time of now');
    const order = [...json].sort((a, b) => a.seq - b.seq).map((one) => one.created_at);
    assert.deepEqual(order, [...order].sort());
  },
};

export const checks = [
  admins,
  readers,
  refusals,
  credentials,
  objects,
  starting,
  content,
  review,
  requests,
  whole,
  signature,
  rights,
  appended,
  bound,
  clock,
];
