// SPDX-License-Identifier: MIT
// HTTPS on the gateway: which protocols, whose certificates, and what the program then knows of the
// client. The certificates are made by OpenSSL's own command.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { before } from 'node:test';
import tls from 'node:tls';
import { assertHeaders, Portcullis, temporaryFolder, test, unique } from './harness.mjs';

const folder = temporaryFolder();
const file = (name) => path.join(folder, name);
const pem = (name) => fs.readFileSync(file(name));
const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' });

/** A key and a certificate: signed by itself, or by `issuer`. */
function certificate(name, subject, issuer, extension) {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const by = issuer ? ['-CA', file(`${issuer}.crt`), '-CAkey', file(`${issuer}.key`)] : [];
  openssl(
    'req',
    '-x509',
    ...key,
    '-days',
    '2',
    '-subj',
    subject,
    '-addext',
    extension,
    ...by,
    '-keyout',
    file(`${name}.key`),
    '-out',
    file(`${name}.crt`),
  );
  fs.chmodSync(file(`${name}.key`), 0o600);
}

before(() => {
  certificate('ca', '/CN=Test CA', undefined, 'keyUsage=critical,keyCertSign');
  certificate('server', '/CN=localhost', 'ca', 'subjectAltName=IP:127.0.0.1,DNS:localhost');
  certificate('client', '/O=Bank/CN=payments', 'ca', 'extendedKeyUsage=clientAuth');
  certificate('stranger', '/CN=payments', undefined, 'extendedKeyUsage=clientAuth');
});

async function start(auth) {
  const settings = [
    'gateway:',
    '  tls:',
    `    certificate: ${file('server.crt')}`,
    `    key: ${file('server.key')}`,
    ...(auth === 'none' ? [] : [`    client_ca: ${file('ca.crt')}`, `    client_auth: ${auth}`]),
  ];
  return Portcullis.start({
    config: `${settings.join('\n')}\n`,
    tls: { ca: pem('ca.crt'), cert: pem('client.crt'), key: pem('client.key') },
  });
}

/** One GET over a TLS connection of its own; rejects when the handshake or the connection fails. */
function get(gate, target, options = {}, headers = {}) {
  return new Promise((resolve, reject) => {
    const req = https.get(
      {
        host: '127.0.0.1',
        port: gate.port,
        path: target,
        agent: false,
        ca: pem('ca.crt'),
        headers,
        ...options,
      },
      (res) => {
        res.resume();
        res.on('end', () =>
          resolve({
            status: res.statusCode,
            headers: res.headers,
            raw: res.rawHeaders,
            session: res.socket.getSession(),
            protocol: res.socket.getProtocol(),
          }),
        );
      },
    );
    req.on('error', reject);
    req.setTimeout(10_000, () => req.destroy(new Error('no answer in 10 s')));
  });
}

const own = () => ({ cert: pem('client.crt'), key: pem('client.key') });

test('TLS 1.2 and 1.3 are spoken, older ones are not', async () => {
  const gate = await start('none');
  try {
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const reply = await get(gate, '/health', { minVersion: version, maxVersion: version });
      assert.equal(reply.status, 200);
      assert.equal(reply.protocol, version);
      assertHeaders(reply);
    }
    for (const version of ['TLSv1', 'TLSv1.1'])
      await assert.rejects(
        get(gate, '/health', {
          minVersion: version,
          maxVersion: version,
          ciphers: 'ALL:@SECLEVEL=0',
        }),
        version,
      );
    for (const ciphers of ['AES128-SHA', 'ECDHE-ECDSA-AES128-SHA', 'NULL-SHA256', 'DES-CBC3-SHA'])
      await assert.rejects(
        get(gate, '/health', { maxVersion: 'TLSv1.2', ciphers: `${ciphers}:@SECLEVEL=0` }),
        ciphers,
      );
  } finally {
    await gate.stop();
  }
});

test('plain HTTP on the HTTPS port is not answered as if nothing were', async () => {
  const gate = await start('none');
  try {
    const text = await gate.raw('GET /health HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.doesNotMatch(text, /200 OK|healthy/);
    assert.equal((await get(gate, '/health')).status, 200);
  } finally {
    await gate.stop();
  }
});

test('a required client certificate is required', async () => {
  const gate = await start('required');
  try {
    await assert.rejects(get(gate, '/health'));
    await assert.rejects(
      get(gate, '/health', { cert: pem('stranger.crt'), key: pem('stranger.key') }),
    );
    assert.equal((await get(gate, '/health', own())).status, 200);
  } finally {
    await gate.stop();
  }
});

test('the verified subject is known, and cannot be claimed in a header', async () => {
  const gate = await start('optional');
  try {
    const [with_, without] = [unique('with-'), unique('without-')];
    const forged = { 'x-mtls-client-cn': 'payments', 'X-Mtls-Subject': 'CN=payments' };
    assert.equal((await get(gate, '/health', own(), { 'X-Request-ID': with_ })).status, 200);
    assert.equal(
      (await get(gate, '/health', {}, { 'X-Request-ID': without, ...forged })).status,
      200,
    );
    const subject = (await gate.line((line) => line.request_id === with_)).mtls_subject;
    assert.match(subject, /CN=payments/);
    assert.match(subject, /O=Bank/);
    assert.ok(!(await gate.line((line) => line.request_id === without)).mtls_subject);
  } finally {
    await gate.stop();
  }
});

test('a resumed session is still whose it was', async () => {
  const gate = await start('optional');
  try {
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const first = tls.connect({
        host: '127.0.0.1',
        port: gate.port,
        ca: pem('ca.crt'),
        ...own(),
        minVersion: version,
        maxVersion: version,
      });
      const session = new Promise((resolve) => {
        first.once('session', resolve);
      });
      await once(first, 'secureConnect');
      first.write('GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      first.resume();
      const ticket = await session;
      await once(first, 'close');
      const id = unique('resumed-');
      const second = tls.connect({
        host: '127.0.0.1',
        port: gate.port,
        ca: pem('ca.crt'),
        ...own(),
        session: ticket,
        minVersion: version,
        maxVersion: version,
      });
      await once(second, 'secureConnect');
      second.write(
        `GET /health HTTP/1.1\r\nHost: a\r\nX-Request-ID: ${id}\r\nConnection: close\r\n\r\n`,
      );
      second.resume();
      await once(second, 'close');
      assert.match(
        (await gate.line((line) => line.request_id === id)).mtls_subject,
        /CN=payments/,
        version,
      );
    }
  } finally {
    await gate.stop();
  }
});
