// SPDX-License-Identifier: MIT
// The gateway in one process, and the services in another to which it speaks TLS alone: verified
// with the authority of `portcullis certs dev`, and with no other.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import {
  Portcullis,
  assertProblem,
  command,
  startPostgres,
  temporaryFolder,
  test,
} from './harness.mjs';

const folder = temporaryFolder();
const file = (name) => path.join(folder, name);
const shared = { AUTH_JWT_ISSUER: 'https://issuer.example' };
const services = ['auth', 'account', 'transaction', 'audit', 'monitoring'];
let postgres;
let behind;

async function certificates(name) {
  const made = await command(['certs', 'dev', '--folder', file(name)], { timeout: 60_000 });
  assert.equal(made.code, 0, made.stderr);
}

/** A gateway alone that trusts this authority, and calls the services by this name. */
async function gateway(authority, host) {
  const places = services
    .map((name) => `    ${name}: https://${host}:${behind[`${name}Port`]}\n`)
    .join('');
  return Portcullis.start({
    only: 'gateway',
    env: { ...postgres.env, ...shared },
    config: `gateway:\n  behind:\n${places}    ca_file: ${file(`${authority}/ca.crt`)}\n`,
  });
}

async function tokenAt(gate, scope) {
  const params = {
    grant_type: 'client_credentials',
    client_id: 'risk-engine',
    client_secret: 'change-me',
    scope,
  };
  return gate.request('POST', '/api/v1/oauth/token', {
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(params).toString(),
  });
}

before(
  async () => {
    await certificates('good');
    await certificates('other');
    postgres = await startPostgres();
    const tls =
      `  tls:\n    certificate: ${file('good/server.crt')}\n` +
      `    key: ${file('good/server.key')}\n`;
    const listeners = services.map((name) => `${name}:\n${tls}`);
    behind = await Portcullis.start({
      only: services.join(','),
      env: { ...postgres.env, ...shared },
      config: `trusted_proxies: [127.0.0.1/32]\n${listeners.join('')}`,
      tls: { ca: fs.readFileSync(file('good/ca.crt')) },
    });
  },
  { timeout: 120_000 },
);
after(async () => {
  await behind?.stop();
  await postgres?.stop();
});

for (const host of ['127.0.0.1', 'localhost'])
  test(`services are reached over TLS at ${host}`, async () => {
    const gate = await gateway('good', host);
    try {
      const reply = await tokenAt(gate, 'accounts:read');
      assert.equal(reply.status, 200, reply.text);
      const token = reply.json.access_token;
      const list = await gate.get('/api/v1/accounts', { token });
      assert.equal(list.status, 200, list.text);
      assert.equal((await gate.get('/.well-known/jwks.json')).status, 200);
      assertProblem(await gate.get('/api/v1/audit/events'), 401);
      // What is told of the client was told by somebody who may.
      const line = await behind.line(
        ({ event, path: asked }) => event === 'http_request' && asked === '/accounts',
        30_000,
      );
      assert.equal(line.client, '127.0.0.1');
    } finally {
      assert.equal((await gate.stop()).code, 0);
    }
  });

test('a service with the certificate of another authority is not spoken to', async () => {
  const gate = await gateway('other', '127.0.0.1');
  try {
    const reply = await tokenAt(gate, 'accounts:read');
    assertProblem(reply, 502);
    assert.equal(reply.json.type, 'urn:portcullis:problem:upstream-tls');
    assert.equal((await gate.get('/api/v1/health')).status, 200);
  } finally {
    assert.equal((await gate.stop()).code, 0);
  }
});

test('an authority that cannot be read stops the start, and is told by check', async () => {
  const config = file('bad.yaml');
  const missing = file('none.crt');
  fs.writeFileSync(config, `gateway: {behind: {ca_file: ${missing}}}\n`);
  const checked = await command(['check', '--config', config], { timeout: 60_000 });
  assert.equal(checked.code, 1);
  assert.match(checked.stderr, /gateway\.behind\.ca_file/);
});
