// SPDX-License-Identifier: MIT
// Keys come and go while tokens are issued and verified, and no verifier meets an unknown one.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import * as jose from 'jose';
import { command, sleep, temporaryFolder, test } from './harness.mjs';
import { proof, refusedAfter, run, startIssuer } from './oauth_kit.mjs';

const portal = { client_id: 'web-portal', secret: 'change-me' };

let op;
before(async () => {
  op = await startIssuer();
});
after(() => op?.stop());

const remoteKeys = (options) =>
  jose.createRemoteJWKSet(new URL(`${op.url}/.well-known/jwks.json`), options);
const issue = async () => {
  const reply = await op.token({ grant_type: 'client_credentials', ...proof(portal) });
  assert.equal(reply.status, 200, reply.text);
  return reply.json.access_token;
};
const kidOf = (token) => jose.decodeProtectedHeader(token).kid;
const published = async () => (await op.get('/.well-known/jwks.json')).json.keys;
const expected = () => ({ issuer: op.issuer, audience: 'portcullis-services', typ: 'at+jwt' });

/** Issues and verifies until told to stop: { count, kids, failures }. */
function traffic(keys) {
  const result = { count: 0, kids: new Set(), failures: [] };
  let going = true;
  const one = async () => {
    while (going) {
      const token = await issue();
      result.kids.add(kidOf(token));
      await jose
        .jwtVerify(token, keys, expected())
        .catch((error) => result.failures.push(`${error.code} ${kidOf(token)}`));
      const reply = await op.gate.get('/api/v1/oauth/whoami', { token });
      if (reply.status !== 200) result.failures.push(`the gateway: ${reply.status}`);
      result.count++;
      await sleep(2);
    }
  };
  const all = [one(), one(), one()];
  return async () => {
    going = false;
    await Promise.all(all);
    return result;
  };
}

async function until(condition, what) {
  const deadline = Date.now() + 3000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, what);
    await sleep(20);
  }
}

test('a rotated key is published before it signs; jose never fails', async () => {
  const old = kidOf(await issue());
  const before = (await published()).length;
  const stop = traffic(remoteKeys()); // as they come: kept for ten minutes, asked again after 30 s
  await sleep(200);
  await run(op, ['keys', 'rotate']);
  await until(
    async () => (await published()).length === before + 1,
    'the new key is not published',
  );
  await sleep(500);
  const { count, kids, failures } = await stop();
  assert.ok(count > 20, `${count} tokens`);
  assert.deepEqual(failures, []);
  assert.deepEqual([...kids], [old], 'it signed before verifiers could know it');
  const { stdout } = await run(op, ['keys', 'list']);
  for (const { kid } of await published()) assert.ok(stdout.includes(kid), kid);
});

test('a key that must go at once: the next signs at once, and both verify', async () => {
  const token = await issue();
  const old = kidOf(token);
  const keys = remoteKeys({ cooldownDuration: 0 }); // whoever asks again finds it
  await jose.jwtVerify(token, keys, expected());
  const stop = traffic(keys);
  await sleep(200);
  await run(op, ['keys', 'rotate', '--now']);
  await until(async () => kidOf(await issue()) !== old, 'the old key signs on');
  await sleep(300);
  const { kids, failures } = await stop();
  assert.deepEqual(failures, []);
  assert.equal(kids.size, 2);
  await jose.jwtVerify(token, keys, expected());
  assert.equal((await op.get('/whoami', { token })).status, 200, 'what it signed is good still');
});

test('what a retired key signed is no longer believed', async () => {
  const token = await issue();
  const old = kidOf(token);
  await run(op, ['keys', 'rotate', '--now']);
  assert.notEqual(kidOf(await issue()), old, 'signed with what is retired next');
  assert.equal((await op.get('/whoami', { token })).status, 200);
  await run(op, ['keys', 'retire', '--', old]);
  const { waited, reply } = await refusedAfter(() => op.get('/whoami', { token }));
  assert.equal(reply.status, 401);
  assert.ok(waited < 1000, `${waited} ms`);
  assert.ok(!(await published()).some((key) => key.kid === old));
  await refusedAfter(() => op.gate.get('/api/v1/oauth/whoami', { token }));
});

test('the only key of its algorithm is not retired', async () => {
  const last = kidOf(await issue());
  const { code, stderr } = await command(['keys', 'retire', '--', last], { data: op.gate.data });
  assert.equal(code, 1, stderr);
  assert.ok(stderr.length > 0);
  assert.equal(kidOf(await issue()), last);
});

test('private keys are files of their owner alone, and survive a restart', async () => {
  const folder = path.join(op.gate.data, 'data', 'keys');
  const files = fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.path ?? entry.parentPath, entry.name));
  const secret = files.filter((name) => /PRIVATE KEY/.test(fs.readFileSync(name, 'utf8')));
  assert.ok(secret.length >= 3, files.join(' '));
  for (const name of secret) assert.equal(fs.statSync(name).mode & 0o777, 0o600, name);
  const token = await issue();
  const { data, port } = { data: op.gate.data, port: op.port };
  await op.stop();
  op = await startIssuer({ data, env: { AUTH_PORT: String(port) } });
  assert.equal(kidOf(await issue()), kidOf(token));
  assert.equal((await op.get('/whoami', { token })).status, 200);
});

test('a key by path, with a certificate and a name of its own', async () => {
  const folder = temporaryFolder();
  const [key, certificate] = ['key.pem', 'cert.pem'].map((name) => path.join(folder, name));
  const args = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=issuer',
  ];
  execFileSync('openssl', [...args, '-keyout', key, '-out', certificate], { stdio: 'pipe' });
  fs.chmodSync(key, 0o600);
  const other = await startIssuer({
    env: {
      AUTH_PRIVATE_KEY_PATH: key,
      AUTH_PUBLIC_KEY_PATH: certificate,
      AUTH_JWT_KID: 'bank-2026',
      AUTH_JWT_AUDIENCE: 'bank',
      AUTH_ACCESS_TOKEN_MINUTES: '5',
    },
  });
  try {
    const reply = await other.token({ grant_type: 'client_credentials', ...proof(portal) });
    assert.equal(reply.json.expires_in, 300);
    const by = await jose.importX509(fs.readFileSync(certificate, 'utf8'), 'RS256');
    const { protectedHeader, payload } = await jose.jwtVerify(reply.json.access_token, by, {
      issuer: other.issuer,
      audience: 'bank',
    });
    assert.equal(protectedHeader.kid, 'bank-2026');
    assert.equal(payload.exp - payload.iat, 300);
  } finally {
    await other.stop();
  }
});
