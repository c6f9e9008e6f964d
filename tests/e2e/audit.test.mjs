// SPDX-License-Identifier: MIT
// The audit service over mutual TLS: who writes shows a certificate, who reads is in the log, a
// SIEM can follow it without a gap, and an export by HTTP satisfies the offline check.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { command, sleep, temporaryFolder, test, unique } from './harness.mjs';
import { createClient, startIssuer } from './oauth_kit.mjs';

const folder = temporaryFolder();
const file = (name) => path.join(folder, name);
const pem = (name) => fs.readFileSync(file(name));
const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });

/** A client certificate of the listener's authority, whatever its subject. */
function certify(name, subject) {
  openssl(
    ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-utf8', '-subj', subject, '-keyout', `${name}.key`, '-out', `${name}.csr`],
  );
  fs.writeFileSync(file(`${name}.ext`), 'extendedKeyUsage=clientAuth\n');
  openssl(
    ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key'],
    ...['-extfile', `${name}.ext`, '-days', '1', '-out', `${name}.crt`],
  );
}

const identity = (name) => ({
  ca: pem('ca.crt'),
  cert: pem(`${name}.crt`),
  key: pem(`${name}.key`),
});

const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
let op;
let nobody; // TLS without a client certificate
let scanner;
let writer; // tokens
let reader;
before(async () => {
  const made = await command(['certs', 'dev', '--folder', folder, 'scanner', 'ledger-2']);
  assert.equal(made.code, 0, made.stderr);
  nobody = { ca: pem('ca.crt') };
  scanner = identity('scanner');
  op = await startIssuer({
    config: [
      'audit:',
      '  tls:',
      `    certificate: ${file('server.crt')}`,
      `    key: ${file('server.key')}`,
      `    client_ca: ${file('ca.crt')}`,
      '    client_auth: optional\n',
    ].join('\n'),
  });
  writer = await tokenFor(['audit:write']);
  reader = await tokenFor(['audit:read']);
});
after(() => op?.stop());

async function tokenFor(scopes) {
  const { client_id, secret } = await createClient(op, { scopes });
  const reply = await op.token({
    grant_type: 'client_credentials',
    client_id,
    client_secret: secret,
    scope: scopes.join(' '),
  });
  assert.equal(reply.status, 200, reply.text);
  return reply.json.access_token;
}

const ask = (method, target, { tls = scanner, ...options } = {}) =>
  op.gate.request(method, target, { port: op.gate.auditPort, tls, agent: false, ...options });
const write = (json, options = {}) =>
  ask('POST', '/audit/events', { json, token: writer, ...options });
const read = (target, options = {}) => ask('GET', target, { token: reader, ...options });

const event = (more = {}) => ({
  category: 'compliance',
  action: 'report.filed',
  actor: unique('ann-'),
  ...more,
});

test('an event is kept under the name in the certificate', async () => {
  const mine = event({
    principal: 'team',
    resource: 'report:1',
    severity: 'critical',
    metadata: { pages: 12, pan: '4111 1111 1111 1111', deep: [{ iban: 'DE89370400440532013000' }] },
    compliance_tags: ['sox', 'gdpr'],
  });
  const kept = await write(mine, { headers: { 'x-mtls-client-cn': 'somebody-else' } });
  assert.equal(kept.status, 201, kept.text);
  assert.deepEqual(Object.keys(kept.json), ['id', 'created_at']);
  assert.match(kept.json.id, uuid7);
  assert.ok(Math.abs(Date.parse(kept.json.created_at) - Date.now()) < 60_000);
  const { status, json } = await read(`/audit/events/${kept.json.id}`);
  assert.equal(status, 200);
  assert.equal(json.source_service, 'scanner');
  assert.equal(json.created_at, kept.json.created_at);
  assert.equal(json.severity, 'critical');
  assert.deepEqual(json.compliance_tags, ['sox', 'gdpr']);
  assert.deepEqual(json.metadata, {
    pages: 12,
    pan: '**** **** **** 1111',
    deep: [{ iban: 'DE****************3000' }],
  });
});

test('without a certificate, or with one that names nobody, nothing is kept', async () => {
  certify('spaced', '/CN=two words');
  certify('nameless', '/O=nobody in particular');
  certify('long', `/CN=${'n'.repeat(64)}`);
  const mine = event();
  const refusals = [
    await write(mine, { tls: nobody }),
    await write(mine, { tls: nobody, headers: { 'x-mtls-client-cn': 'scanner' } }),
    await write(mine, { tls: identity('spaced') }),
    await write(mine, { tls: identity('nameless') }),
  ];
  for (const reply of refusals) {
    assert.equal(reply.status, 403, reply.text);
    assert.equal(reply.json.type, 'urn:portcullis:problem:client-certificate');
  }
  assert.equal((await read(`/audit/events?actor=${mine.actor}`)).json.length, 0);
  assert.equal((await write(mine, { tls: identity('long') })).status, 201);
  const denied = (await read('/audit/events?action=access.denied&limit=500')).json;
  assert.ok(denied.filter((one) => one.metadata.route === '/audit/events').length >= 4);
});

test('the token must have the scope, and reading has another', async () => {
  assert.equal((await write(event(), { token: reader })).status, 403);
  assert.equal((await write(event(), { token: undefined })).status, 401);
  assert.equal((await read('/audit/events', { token: writer })).status, 403);
  assert.equal((await read('/audit/events', { token: undefined })).status, 401);
  const robot = await tokenFor(['monitoring:write']);
  for (const path of ['/audit/events', '/audit/stream', '/audit/export', '/audit/checkpoint'])
    assert.equal((await read(path, { token: robot })).status, 403, path);
});

test('being an administrator is not enough to read', async () => {
  const { tokens, email, password } = await op.gate.register();
  const me = await op.gate.get('/api/v1/auth/me', { token: tokens.access_token });
  const admin = await op.gate.admin();
  const grant = await op.gate.patch(
    `/api/v1/admin/users/${me.json.user_id}`,
    { is_admin: true },
    { token: admin.access_token },
  );
  assert.equal(grant.status, 200, grant.text);
  const { access_token: token } = await op.gate.login(email, password);
  assert.equal((await op.gate.get('/api/v1/admin/users', { token })).status, 200);
  assert.equal((await op.gate.get('/api/v1/audit/events', { token })).status, 403);
  assert.equal((await read('/audit/events', { token })).status, 403);
});

test('limits are those of the contract', async () => {
  for (const limit of ['0', '501', '-1', 'ten', '1.5', ''])
    assert.equal((await read(`/audit/events?limit=${limit}`)).status, 400, `limit=${limit}`);
  for (const limit of ['1', '500'])
    assert.equal((await read(`/audit/events?limit=${limit}`)).status, 200, `limit=${limit}`);
});

test('a key is one event, however often and from however many it is sent', async () => {
  const mine = event();
  const headers = { 'Idempotency-Key': unique('key-') };
  const replies = await Promise.all(Array.from({ length: 20 }, () => write(mine, { headers })));
  const good = replies.filter((reply) => reply.status === 201);
  assert.ok(good.length > 0);
  assert.equal(new Set(good.map((reply) => reply.text)).size, 1);
  for (const reply of replies) assert.ok([201, 409].includes(reply.status), reply.text);
  const again = await write(mine, { headers });
  assert.equal(again.text, good[0].text);
  assert.equal(again.headers['idempotency-replayed'], 'true');
  const other = await write({ ...mine, action: 'else' }, { headers });
  assert.equal(other.status, 422);
  assert.equal((await read(`/audit/events?actor=${mine.actor}`)).json.length, 1);
});

test('a SIEM follows the log without a gap while it grows', async () => {
  const batch = () => ({ events: Array.from({ length: 50 }, () => event()) });
  let growing = true;
  let kept = 0;
  const grow = async () => {
    while (growing) {
      const reply = await ask('POST', '/audit/events/batch', { json: batch(), token: writer });
      assert.equal(reply.status, 201, reply.text);
      assert.equal(reply.json.events.length, 50);
      kept += 50;
    }
  };
  const growers = [grow(), grow()];
  let next = '/audit/stream?limit=200';
  let seq = 0;
  for (let page = 0; page < 25; page++) {
    const reply = await read(next, {
      headers: page % 2 ? { Accept: 'application/x-ndjson' } : {},
    });
    assert.equal(reply.status, 200, reply.text);
    const lines = page % 2 ? reply.text.trim().split('\n') : [];
    const events = page % 2 ? lines.map((line) => JSON.parse(line)) : reply.json;
    for (const one of events) assert.equal(one.seq, seq++);
    next = /<([^>]*)>; rel="next"/.exec(reply.headers.link)[1];
  }
  growing = false;
  await Promise.all(growers);
  assert.ok(kept > 0 && seq > 0);
});

test('pages of an export are one file that the offline check accepts', async () => {
  await write(event({ metadata: { text: 'line\nend "quoted" \u2028 é' } }));
  await sleep(600); // a checkpoint is at most 250 ms behind
  let text = '';
  let pages = 0;
  for (let next = '/audit/export?limit=100'; next; pages++) {
    const reply = await read(next);
    assert.equal(reply.status, 200, reply.text);
    assert.match(reply.headers['content-type'], /^application\/x-ndjson/);
    text += reply.text;
    next = /<([^>]*)>; rel="next"/.exec(reply.headers.link ?? '')?.[1];
  }
  assert.ok(pages > 1);
  fs.writeFileSync(file('log.jsonl'), text);
  const key = await read('/audit/key');
  fs.writeFileSync(file('audit.vkey'), key.text);
  const good = await command(['audit', 'verify', file('log.jsonl'), '--key', file('audit.vkey')]);
  assert.equal(good.code, 0, good.stdout + good.stderr);
  fs.writeFileSync(file('log.jsonl'), text.replace('"report.filed"', '"report.filEd"'));
  const bad = await command(['audit', 'verify', file('log.jsonl'), '--key', file('audit.vkey')]);
  assert.equal(bad.code, 1, bad.stdout + bad.stderr);
});

test('proofs and checkpoints are there at the gateway too', async () => {
  const { json: made } = await write(event());
  let proof;
  for (let i = 0; i < 20; i++) {
    proof = await op.gate.get(`/api/v1/audit/proof/inclusion?id=${made.id}`, { token: reader });
    if (proof.status === 200) break;
    assert.equal(proof.status, 409, proof.text);
    await sleep(100);
  }
  assert.equal(proof.status, 200, proof.text);
  assert.ok(proof.json.leaf_index < proof.json.tree_size);
  assert.equal(proof.json.checkpoint.split('\n')[1], String(proof.json.tree_size));
  assert.equal(proof.json.checkpoint.split('\n')[2], proof.json.root);
  const note = await op.gate.get('/api/v1/audit/checkpoint', { token: reader });
  assert.equal(note.status, 200);
  assert.match(note.headers['content-type'], /^text\/plain/);
  assert.equal((await op.gate.get('/api/v1/audit/checkpoints', { token: reader })).status, 200);
  const grown = await op.gate.get('/api/v1/audit/proof/consistency?from=1', { token: reader });
  assert.equal(grown.status, 200, grown.text);
  const tile = await op.gate.get('/api/v1/audit/tile/0/0', { token: reader });
  assert.equal(tile.status, 200);
  assert.equal(tile.bytes.length % 32, 0);
  const posted = await op.gate.post('/api/v1/audit/events', event(), { token: writer });
  assert.equal(posted.status, 405);
});

test('what enters the log is counted', async () => {
  const { text } = await op.gate.get('/metrics');
  const of = (source) =>
    Number(
      new RegExp(`audit_events_total\\{category="compliance",source="${source}"\\} (\\d+)`).exec(
        text,
      )?.[1],
    );
  assert.ok(of('scanner') > 0);
  assert.ok(of('audit-service') > 0);
});
