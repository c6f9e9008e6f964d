// SPDX-License-Identifier: MIT
// Clients that prove themselves by certificate (RFC 8705), and tokens that work over no connection
// but their own. The certificates are those of `portcullis certs dev`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import * as jose from 'jose';
import * as client from 'openid-client';
import { command, temporaryFolder, test } from './harness.mjs';
import {
  assertBearerError,
  assertOauthError,
  Browser,
  createClient,
  fetchOver,
  proof,
  redeem,
  refresh,
  codeOf,
  startIssuer,
} from './oauth_kit.mjs';

const folder = temporaryFolder();
const pem = (name) => fs.readFileSync(path.join(folder, name));
const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' }).toString();
const thumbprint = (name) =>
  createHash('sha256')
    .update(new X509Certificate(pem(`${name}.crt`)).raw)
    .digest('base64url');
const subject = (name) =>
  openssl(
    'x509',
    '-in',
    path.join(folder, `${name}.crt`),
    '-noout',
    '-subject',
    '-nameopt',
    'RFC2253',
  )
    .trim()
    .replace(/^subject=\s*/, '');

let op;
let alice; // a TLS identity each
let bob;
let nobody;
let machine; // a client of alice's certificate
before(async () => {
  const made = await command(['certs', 'dev', '--folder', folder, 'alice', 'bob']);
  assert.equal(made.code, 0, made.stderr);
  const ca = pem('ca.crt');
  alice = { ca, cert: pem('alice.crt'), key: pem('alice.key') };
  bob = { ca, cert: pem('bob.crt'), key: pem('bob.key') };
  nobody = { ca };
  const listener = [
    '  tls:',
    `    certificate: ${path.join(folder, 'server.crt')}`,
    `    key: ${path.join(folder, 'server.key')}`,
    `    client_ca: ${path.join(folder, 'ca.crt')}`,
    '    client_auth: optional',
  ].join('\n');
  op = await startIssuer({ config: `gateway:\n${listener}\nauth:\n${listener}\n`, tls: nobody });
  machine = await createClient(op, {
    method: 'tls_client_auth',
    tlsSubject: subject('alice'),
    grants: ['client_credentials', 'authorization_code', 'refresh_token'],
    scopes: ['openid', 'profile', 'offline_access', 'transactions:read'],
    redirectUris: ['http://127.0.0.1/callback'],
    bound: true,
  });
});
after(() => op?.stop());

const ask = (tls, params = {}) =>
  op.token(
    { grant_type: 'client_credentials', client_id: machine.client_id, ...params },
    { tls, agent: false },
  );
const over = (tls, token, target = '/whoami', port = op.port) =>
  op.request('GET', target, { token, tls, port, agent: false });

test('openid-client by certificate: the token is bound to it', async () => {
  const config = await client.discovery(
    new URL(op.issuer),
    machine.client_id,
    undefined,
    client.TlsClientAuth(),
    { [client.customFetch]: fetchOver({ tls: alice }) },
  );
  const metadata = config.serverMetadata();
  assert.equal(metadata.tls_client_certificate_bound_access_tokens, true);
  assert.ok(metadata.token_endpoint_auth_methods_supported.includes('tls_client_auth'));
  const tokens = await client.clientCredentialsGrant(config);
  const claims = jose.decodeJwt(tokens.access_token);
  assert.deepEqual(claims.cnf, { 'x5t#S256': thumbprint('alice') });
  const told = await client.tokenIntrospection(config, tokens.access_token);
  assert.equal(told.active, true);
  assert.deepEqual(told.cnf, claims.cnf);
});

test('another certificate, or none, proves nothing', async () => {
  assertOauthError(await ask(bob), 401, 'invalid_client');
  assertOauthError(await ask(nobody), 401, 'invalid_client');
  for (const name of ['x-mtls-client-cn', 'X-Client-Cert', 'X-SSL-Client-S-DN', 'X-Mtls-Subject'])
    assertOauthError(
      await op.token(
        { grant_type: 'client_credentials', client_id: machine.client_id },
        { tls: nobody, agent: false, headers: { [name]: subject('alice') } },
      ),
      401,
      'invalid_client',
    );
  assertOauthError(await ask(nobody, { client_secret: 'change-me' }), 401, 'invalid_client');
});

test('a certificate of another authority with the same name is worth nothing', async () => {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    `/CN=${/CN=([^,]+)/.exec(subject('alice'))[1]}`,
    '-addext',
    'extendedKeyUsage=clientAuth',
    '-keyout',
    path.join(folder, 'stranger.key'),
    '-out',
    path.join(folder, 'stranger.crt'),
  );
  const stranger = { ...nobody, cert: pem('stranger.crt'), key: pem('stranger.key') };
  const reply = await ask(stranger).catch((error) => error); // the handshake may fail already
  if (!(reply instanceof Error)) assertOauthError(reply, 401, 'invalid_client');
});

test('a bound token over another connection is refused, at issuer and gateway', async () => {
  const token = (await ask(alice)).json.access_token;
  for (const [target, port] of [
    ['/whoami', op.port],
    ['/health', op.port],
    ['/api/v1/oauth/whoami', op.gate.port],
  ]) {
    assert.equal((await over(alice, token, target, port)).status, 200, target);
    for (const tls of [bob, nobody])
      assertBearerError(await over(tls, token, target, port), 401, 'invalid_token');
    assert.equal((await over(alice, token, target, port)).status, 200, 'again, from the cache');
  }
});

test("a user's bound tokens: refused elsewhere, and the refresh token stays", async () => {
  const got = await codeOf(op, new Browser(op), machine);
  assertOauthError(
    await redeem(op, machine, got, { client_id: 'web-portal', client_secret: 'change-me' }),
    400,
    'invalid_grant',
  );
  const mine = { tls: alice, agent: false };
  const again = await codeOf(op, new Browser(op), machine);
  const params = {
    grant_type: 'authorization_code',
    code: again.code,
    redirect_uri: again.redirect_uri,
    code_verifier: again.verifier,
    client_id: machine.client_id,
  };
  const reply = await op.token(params, mine);
  assert.equal(reply.status, 200, reply.text);
  const { access_token: token, refresh_token: kept } = reply.json;
  for (const [target, port] of [
    ['/api/v1/users/profile', op.gate.port],
    ['/api/v1/auth/me', op.gate.port],
    ['/oauth/userinfo', op.port],
  ]) {
    assert.equal((await over(alice, token, target, port)).status, 200, target);
    assertBearerError(await over(bob, token, target, port), 401, 'invalid_token');
    assertBearerError(await over(nobody, token, target, port), 401, 'invalid_token');
  }
  const renew = (tls) =>
    op.token(
      { grant_type: 'refresh_token', refresh_token: kept, client_id: machine.client_id },
      { tls, agent: false },
    );
  for (let i = 0; i < 3; i++) {
    const next = await renew(alice);
    assert.equal(next.status, 200, next.text);
    assert.ok([undefined, kept].includes(next.json.refresh_token), 'it was rotated');
    const { cnf } = jose.decodeJwt(next.json.access_token);
    assert.deepEqual(cnf, { 'x5t#S256': thumbprint('alice') });
  }
  for (const tls of [bob, nobody]) assertOauthError(await renew(tls), 401, 'invalid_client');
  assert.equal((await renew(alice)).status, 200, 'who tries in vain harms nobody');
});

test('a bearer token works over any connection', async () => {
  const portal = { client_id: 'web-portal', secret: 'change-me' };
  const reply = await op.token(
    { grant_type: 'client_credentials', ...proof(portal) },
    { tls: nobody, agent: false },
  );
  assert.equal(reply.status, 200, reply.text);
  assert.equal(jose.decodeJwt(reply.json.access_token).cnf, undefined);
  for (const tls of [alice, bob, nobody])
    assert.equal((await over(tls, reply.json.access_token)).status, 200);
  assertOauthError(await refresh(op, portal, 'unknown'), 400, 'invalid_grant');
});

test('over TLS the cookie of the login is for this host alone', async () => {
  const browser = new Browser(op);
  await codeOf(op, browser, {
    client_id: 'web-portal',
    redirectUris: ['http://127.0.0.1/callback'],
  });
  const lines = browser.seen.flatMap((reply) => reply.headers['set-cookie'] ?? []);
  assert.ok(lines.length > 0);
  for (const line of lines.filter((one) => one.includes('login'))) {
    assert.match(line, /^__Host-/);
    for (const part of [
      /;\s*Secure/i,
      /;\s*HttpOnly/i,
      /;\s*SameSite=(Lax|Strict)/i,
      /;\s*Path=\/(;|$)/i,
    ])
      assert.match(line, part);
    assert.doesNotMatch(line, /Domain=/i);
  }
});
