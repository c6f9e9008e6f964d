// SPDX-License-Identifier: MIT
// Upstreams behind TLS: whom the gateway trusts, what a client and the log hear when it does not,
// connections and sessions that are used again, and files that change.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import https from 'node:https';
import { after, before } from 'node:test';
import { Portcullis, assertHeaders, sleep, test } from './harness.mjs';
import { Authority } from './tls_kit.mjs';

const authority = new Authority();
const stranger = new Authority('Nobody knows');
const servers = {};
let gate;

/** A server of Node's own, that tells who asked and over what. */
async function startServer(options) {
  const server = https.createServer(options, (req, res) => {
    const { socket } = req;
    const peer = socket.getPeerCertificate?.();
    res.setHeader('Content-Type', 'application/json');
    res.end(
      JSON.stringify({
        url: req.url,
        host: req.headers.host,
        client: peer?.subject?.CN,
        version: socket.getProtocol(),
        reused: socket.isSessionReused(),
        sni: socket.servername,
      }),
    );
  });
  const own = { asked: 0, opened: 0, sockets: new Set(), checks: 0 };
  server.on('secureConnection', (socket) => {
    own.opened += 1;
    own.sockets.add(socket);
    socket.on('error', () => {});
  });
  server.on('request', (req) => {
    own.asked += 1;
    own.checks += req.headers['user-agent'] === 'portcullis-check' ? 1 : 0;
  });
  server.on('tlsClientError', () => {});
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  own.port = server.address().port;
  own.set = (context) => server.setSecureContext(context);
  own.stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return own;
}

const upstream = (name, host, more = '') => `  - name: ${name}
    targets: [{url: "https://${host}:${servers[name].port}"}]
    eject: {failures: 1000}
    retries: 0
    tls:
      ca_file: ${authority.file('ca.crt')}
${more}`;
const route = (name) => `  - path: /${name}/*
    upstream: ${name}
    access: open
    strip_prefix: /${name}
    circuit_breaker: {disabled: true}
`;

before(async () => {
  const good = authority.issue('good', { names: 'IP:127.0.0.1,DNS:localhost' });
  const other = authority.issue('other', { names: 'DNS:shop.internal' });
  const late = authority.issue('late', { names: 'IP:127.0.0.1', until: -1 });
  const unknown = stranger.issue('unknown', { names: 'IP:127.0.0.1' });
  const revoked = authority.issue('revoked', { names: 'IP:127.0.0.1' });
  authority.issue('gateway', { use: 'clientAuth', cn: 'the gateway' });
  authority.revoke('revoked');
  authority.list();
  const asking = { ca: authority.ca, requestCert: true, rejectUnauthorized: true };

  servers.good = await startServer(good);
  servers.named = await startServer(other);
  servers.wrong = await startServer(other);
  servers.late = await startServer(late);
  servers.unknown = await startServer(unknown);
  servers.system = await startServer(good);
  servers.revoked = await startServer(revoked);
  servers.listed = await startServer(good);
  servers.asks = await startServer({ ...good, ...asking });
  servers.asks12 = await startServer({ ...good, ...asking, maxVersion: 'TLSv1.2' });
  servers.shown = await startServer({ ...good, ...asking });
  servers.old = await startServer({ ...good, maxVersion: 'TLSv1.2' });
  servers.modern = await startServer({ ...good, maxVersion: 'TLSv1.2' });
  servers.checked = await startServer(good);
  servers.bad = await startServer(late);
  const list = `      crl_file: ${authority.file('ca.crl')}\n`;
  const shown =
    `      cert_file: ${authority.file('gateway.crt')}\n` +
    `      key_file: ${authority.file('gateway.key')}\n`;
  const check = '    check: {path: /health, interval_seconds: 1, rise: 1, fall: 1}\n';
  const names = Object.keys(servers);
  gate = await Portcullis.start({
    config: `upstreams:
${upstream('good', 'localhost')}
${upstream('named', '127.0.0.1', '      server_name: shop.internal\n')}
${upstream('wrong', '127.0.0.1')}
${upstream('late', '127.0.0.1')}
${upstream('unknown', '127.0.0.1')}
  - name: system
    targets: [{url: "https://127.0.0.1:${servers.system.port}"}]
${upstream('revoked', '127.0.0.1', list)}
${upstream('listed', '127.0.0.1', list)}
${upstream('asks', '127.0.0.1')}
${upstream('asks12', '127.0.0.1')}
${upstream('shown', '127.0.0.1', shown)}
${upstream('old', '127.0.0.1')}
${upstream('modern', '127.0.0.1', '      min_version: 1.3\n')}
${upstream('checked', '127.0.0.1', check)}
${upstream('bad', '127.0.0.1', check)}
routes:
${names.map(route).join('')}`,
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  for (const one of Object.values(servers)) one.stop();
});

const refused = async (name, why) => {
  const reply = await gate.get(`/${name}/x`);
  assert.equal(reply.status, 502, reply.text);
  assert.equal(reply.json.type, 'urn:portcullis:problem:upstream-tls');
  assertHeaders(reply);
  assert.equal(servers[name].asked, 0);
  const told = await gate.line(
    (line) => line.event === 'upstream_tls_failed' && line.upstream === name,
  );
  assert.match(told.why, why);
  assert.equal(told.target, `https://127.0.0.1:${servers[name].port}`);
  assert.doesNotMatch(reply.text, /certificate/);
};

test('the server that was meant is asked', async () => {
  const reply = await gate.get('/good/a?b');
  assert.equal(reply.status, 200, reply.text);
  assertHeaders(reply);
  assert.equal(reply.json.url, '/a?b');
  assert.equal(reply.json.version, 'TLSv1.3');
  assert.equal(reply.json.sni, 'localhost');
  assert.equal(reply.json.host, `localhost:${servers.good.port}`);
  const named = await gate.get('/named/');
  assert.equal(named.status, 200, named.text);
  assert.equal(named.json.sni, 'shop.internal');
  assert.equal((await gate.get('/old/')).json.version, 'TLSv1.2');
});

test('connections are kept, and sessions resumed', async () => {
  const { opened } = servers.good;
  for (let i = 0; i < 8; i++) assert.equal((await gate.get('/good/')).status, 200);
  assert.ok(servers.good.opened <= opened + 2, 'one for each loop at most');
  for (const name of ['good', 'old']) {
    let reused = 0;
    for (let i = 0; i < 8; i++) {
      for (const socket of servers[name].sockets) socket.end();
      await sleep(20);
      const reply = await gate.get(`/${name}/`);
      assert.equal(reply.status, 200, reply.text);
      reused += reply.json.reused ? 1 : 0;
    }
    assert.ok(reused >= 4, `${name}: ${reused} of 8 resumed`);
  }
});

test('the wrong name, an expired certificate and an unknown authority are refused', async () => {
  await refused('wrong', /IP address mismatch/);
  await refused('late', /certificate has expired/);
  await refused('unknown', /self-signed certificate|unable to get local issuer/);
  await refused('system', /self-signed certificate|unable to get local issuer/);
  await refused('modern', /protocol/);
});

test('what is revoked is refused, and nothing else', async () => {
  await refused('revoked', /certificate revoked/);
  assert.equal((await gate.get('/listed/')).status, 200);
});

test('a server that asks who we are is shown a certificate', async () => {
  const reply = await gate.get('/shown/');
  assert.equal(reply.status, 200, reply.text);
  assert.equal(reply.json.client, 'the gateway');
  await refused('asks', /certificate required/);
  await refused('asks12', /handshake failure|certificate required/);
});

test('active checks go over TLS', async () => {
  for (let i = 0; i < 300 && servers.checked.checks === 0; i++) await sleep(20);
  assert.ok(servers.checked.checks > 0);
  assert.equal((await gate.get('/checked/')).status, 200);
  const why = (line) => line.event === 'upstream_tls_failed' && line.upstream === 'bad';
  assert.match((await gate.line(why, 6000)).why, /expired/);
  const down = (line) => line.event === 'upstream_target_down' && line.upstream === 'bad';
  await gate.line(down, 6000);
});

test('a reload reads the files again, and keeps the old ones if the new are bad', async () => {
  const told = (text) => gate.output.split(text).length;
  const reload = async (text) => {
    const before = told(text);
    gate.signal('SIGHUP');
    for (let i = 0; i < 250 && told(text) === before; i++) await sleep(20);
    assert.ok(told(text) > before, gate.output.slice(-2000));
  };
  const kept = authority.pem('gateway.crt');
  fs.writeFileSync(authority.file('gateway.crt'), 'nothing\n');
  await reload('gateway.crt: there is no PEM certificate');
  assert.equal((await gate.get('/shown/')).json.client, 'the gateway');
  fs.writeFileSync(authority.file('gateway.crt'), kept);
  authority.issue('gateway', { use: 'clientAuth', cn: 'the new gateway' });
  await reload('configuration_reloaded');
  assert.equal((await gate.get('/shown/')).json.client, 'the new gateway');
});
