// SPDX-License-Identifier: MIT
// A listener with several certificates: which one a name is shown, what a ticket is good for, lists
// of revoked clients, and a reload of all of them.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before } from 'node:test';
import tls from 'node:tls';
import { Portcullis, command, freePort, sleep, temporaryFolder, test, unique } from './harness.mjs';
import { Authority } from './tls_kit.mjs';

const authority = new Authority();
let gate;
let auditPort;

before(async () => {
  const names = ['own.test', 'shop.test,DNS:www.shop.test', '*.wild.test'];
  for (const [at, name] of ['own', 'shop', 'wild'].entries())
    authority.issue(name, { names: `IP:127.0.0.1,DNS:${names[at]}` });
  for (const name of ['alice', 'mallory']) authority.issue(name, { use: 'clientAuth' });
  authority.revoke('mallory');
  authority.list();
  auditPort = await freePort();
  const pair = (name) =>
    `{cert_file: ${authority.file(`${name}.crt`)}, key_file: ${authority.file(`${name}.key`)}}`;
  const own = `    certificate: ${authority.file('own.crt')}
    key: ${authority.file('own.key')}
    client_ca: ${authority.file('ca.crt')}
    client_auth: optional
`;
  gate = await Portcullis.start({
    env: { AUDIT_PORT: String(auditPort) },
    config: `gateway:
  tls:
${own}    crl_file: ${authority.file('ca.crl')}
    certificates:
      - ${pair('shop')}
      - ${pair('wild')}
audit:
  tls:
${own}`,
    tls: { ca: authority.ca },
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
});

/** One request: { shown, resumed, session, subject }. */
async function visit(servername, { client, session, port = gate.port, version = 'TLSv1.3' } = {}) {
  const id = unique('names-');
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    servername,
    ca: authority.ca,
    checkServerIdentity: () => undefined,
    minVersion: version,
    maxVersion: version,
    ...(client && { cert: authority.pem(`${client}.crt`), key: authority.pem(`${client}.key`) }),
    session,
  });
  let ticket;
  let text = '';
  socket.on('session', (bytes) => {
    ticket = bytes;
  });
  await once(socket, 'secureConnect');
  const shown = socket.getPeerCertificate().subject?.CN;
  const resumed = socket.isSessionReused();
  socket.write(
    `GET /livez HTTP/1.1\r\nHost: a\r\nX-Request-ID: ${id}\r\nConnection: close\r\n\r\n`,
  );
  socket.on('data', (bytes) => {
    text += bytes;
  });
  await once(socket, 'close');
  assert.match(text, /^HTTP\/1.1 200 /);
  const { mtls_subject: subject } = await gate.line((line) => line.request_id === id);
  return { shown, resumed, session: ticket, subject };
}

test('a name is shown its certificate, and others the first', async () => {
  const shown = async (name) => (await visit(name)).shown;
  assert.equal(await shown('own.test'), 'own');
  assert.equal(await shown('shop.test'), 'shop');
  assert.equal(await shown('WWW.Shop.test'), 'shop');
  assert.equal(await shown('a.wild.test'), 'wild');
  assert.equal(await shown('a.b.wild.test'), 'own');
  assert.equal(await shown('nobody.test'), 'own');
  assert.equal(await shown(''), 'own');
});

test('a ticket is good for its listener and its certificate alone', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    const first = await visit('shop.test', { client: 'alice', version });
    assert.match(first.subject, /CN=alice/);
    const { session } = first;
    const again = await visit('shop.test', { session, version });
    assert.ok(again.resumed, version);
    assert.match(again.subject, /CN=alice/);
    const other = await visit('a.wild.test', { session, version });
    assert.ok(!other.resumed, version);
    assert.ok(!other.subject);
    const elsewhere = await visit('own.test', { session, version, port: auditPort });
    assert.ok(!elsewhere.resumed, version);
    assert.ok(!elsewhere.subject);
  }
});

test('a client on the list is refused', async () => {
  await assert.rejects(visit('own.test', { client: 'mallory' }), /revoked|closed|ECONNRESET|alert/);
  await assert.rejects(visit('own.test', { client: 'mallory', version: 'TLSv1.2' }));
  assert.match(
    (await visit('own.test', { client: 'mallory', port: auditPort })).subject,
    /CN=mallory/,
  );
});

test('a reload takes all files over, or none', async () => {
  const told = (text) => gate.output.split(text).length;
  const reload = async (text) => {
    const before = told(text);
    gate.signal('SIGHUP');
    for (let i = 0; i < 250 && told(text) === before; i++) await sleep(20);
    assert.ok(told(text) > before, gate.output.slice(-2000));
  };
  const kept = authority.pem('wild.crt');
  authority.issue('shop', { names: 'DNS:shop.test', cn: 'new shop' });
  fs.writeFileSync(authority.file('wild.crt'), 'nothing\n');
  await reload('wild.crt: there is no PEM certificate');
  assert.equal((await visit('shop.test')).shown, 'shop');
  fs.writeFileSync(authority.file('wild.crt'), kept);
  await reload('configuration_reloaded');
  assert.equal((await visit('shop.test')).shown, 'new shop');
  assert.equal((await visit('a.wild.test')).shown, 'wild');

  const { session } = await visit('shop.test', { client: 'alice' });
  authority.list('ca.crl', -60);
  await reload('ca.crl: a list of revoked certificates has expired');
  assert.ok((await visit('shop.test', { session })).resumed, 'the former list is in force');
  authority.revoke('alice');
  authority.list();
  await reload('configuration_reloaded');
  assert.ok(!(await visit('shop.test', { session })).subject);
  await assert.rejects(visit('shop.test', { client: 'alice' }));
});

test('certificates, upstreams and lists for development', async () => {
  const folder = path.join(temporaryFolder(), 'certs');
  const read = (name) => fs.readFileSync(path.join(folder, name));
  const certs = (...args) => command(['certs', 'dev', '--folder', folder, ...args]);
  const made = await certs('--upstream', 'shop.test', 'alice', 'bob');
  assert.equal(made.code, 0, made.stderr);
  const shop = new X509Certificate(read('shop.test.crt'));
  assert.equal(shop.checkHost('shop.test'), 'shop.test');
  assert.equal(shop.checkIP('127.0.0.1'), '127.0.0.1');
  assert.equal(fs.statSync(path.join(folder, 'shop.test.key')).mode & 0o077, 0);
  const own = await Portcullis.start({
    config: `gateway:
  tls:
    certificate: ${folder}/server.crt
    key: ${folder}/server.key
    client_ca: ${folder}/ca.crt
    crl_file: ${folder}/ca.crl
    client_auth: optional
`,
    tls: { ca: read('ca.crt') },
  });
  const visit_ = (name) =>
    own.get('/livez', {
      agent: new https.Agent(),
      tls: { ca: read('ca.crt'), cert: read(`${name}.crt`), key: read(`${name}.key`) },
    });
  try {
    assert.equal((await visit_('alice')).status, 200);
    assert.equal((await certs('--revoke', 'bob')).code, 0);
    assert.equal((await certs('--revoke', 'alice')).code, 0);
    assert.equal((await certs('--revoke', 'nobody')).code, 1);
    own.signal('SIGHUP');
    await own.line((line) => line.event === 'configuration_reloaded');
    await assert.rejects(visit_('alice'));
    await assert.rejects(visit_('bob'), 'and what was on it stays');
    const told = await own.line((line) => line.event === 'connection_refused');
    assert.equal(told.why, 'certificate revoked');
  } finally {
    await own.stop();
  }
});
