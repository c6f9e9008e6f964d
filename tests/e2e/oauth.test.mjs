// SPDX-License-Identifier: MIT
// The issuer through clients that others wrote: openid-client and oauth4webapi ask, jose verifies.
// Every flow goes through the real pages, and every token is checked as a stranger would check it.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import * as jose from 'jose';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import { assertHeaders, test } from './harness.mjs';
import {
  assertBearerError,
  assertNotStored,
  assertOauthError,
  authorization,
  basic,
  Browser,
  codeOf,
  createClient,
  fetchOver,
  keyPair,
  proof,
  redeem,
  refresh,
  refusedAfter,
  run,
  secretOf,
  startIssuer,
  tokensOf,
} from './oauth_kit.mjs';

const portal = {
  client_id: 'web-portal',
  secret: 'change-me',
  redirectUris: ['http://127.0.0.1/callback', 'http://localhost:3000/callback'],
};
const insecure = { [oauth.allowInsecureRequests]: true };

let op;
let remote; // the issuer's keys, as jose fetches and keeps them
before(async () => {
  op = await startIssuer();
  remote = jose.createRemoteJWKSet(new URL(`${op.url}/.well-known/jwks.json`));
});
after(() => op?.stop());

/** openid-client's view of us, for one client. */
async function configured(id, authentication, metadata = {}) {
  const config = await client.discovery(new URL(op.issuer), id, metadata, authentication, {
    execute: [client.allowInsecureRequests],
  });
  client.enableNonRepudiationChecks(config); // or the signature of the id_token goes unchecked
  return config;
}
const asPortal = () => configured('web-portal', client.ClientSecretPost('change-me'));

/** Verifies an access token as any API would. */
const verified = (token, options = {}) =>
  jose.jwtVerify(token, remote, {
    issuer: op.issuer,
    audience: 'portcullis-services',
    typ: 'at+jwt',
    requiredClaims: ['sub', 'iat', 'exp', 'jti', 'scope', 'client_id', 'roles', 'aud'],
    ...options,
  });

// ---- what is published --------------------------------------------------------------------------

test('both metadata documents are found, and agree', async () => {
  const documents = [];
  for (const algorithm of ['oidc', 'oauth2']) {
    const config = await client.discovery(new URL(op.issuer), 'x', 'y', undefined, {
      algorithm,
      execute: [client.allowInsecureRequests],
    });
    documents.push(config.serverMetadata());
  }
  const [oidc, plain] = documents;
  assert.equal(oidc.issuer, op.issuer);
  for (const [name, value] of Object.entries(plain)) assert.deepEqual(oidc[name], value, name);
  assert.equal(oidc.token_endpoint, `${op.url}/auth/token`);
  assert.equal(oidc.authorization_endpoint, `${op.url}/oauth/authorize`);
  assert.equal(oidc.jwks_uri, `${op.url}/.well-known/jwks.json`);
  assert.equal(oidc.revocation_endpoint, `${op.url}/auth/revoke`);
  assert.equal(oidc.introspection_endpoint, `${op.url}/auth/introspect`);
  assert.ok(oidc.userinfo_endpoint.startsWith(`${op.url}/oauth/`));
  assert.ok(oidc.end_session_endpoint.startsWith(`${op.url}/oauth/`));
  assert.deepEqual(oidc.response_types_supported, ['code']);
  assert.deepEqual(oidc.code_challenge_methods_supported, ['S256']);
  assert.deepEqual(oidc.subject_types_supported, ['public']);
  assert.equal(oidc.authorization_response_iss_parameter_supported, true);
  for (const [name, values] of Object.entries({
    grant_types_supported: ['authorization_code', 'client_credentials', 'refresh_token'],
    token_endpoint_auth_methods_supported: [
      'client_secret_basic',
      'client_secret_post',
      'private_key_jwt',
      'none',
    ],
    id_token_signing_alg_values_supported: ['RS256', 'ES256', 'EdDSA'],
    token_endpoint_auth_signing_alg_values_supported: ['ES256', 'RS256', 'PS256', 'EdDSA'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access', 'accounts:read'],
  }))
    for (const value of values) assert.ok(oidc[name].includes(value), `${value} of ${name}`);
  for (const name of Object.keys(oidc).filter((one) => /alg_values/.test(one)))
    assert.ok(!oidc[name].some((alg) => /^none$|^HS/i.test(alg)), name);
});

test('metadata and keys may be read by any page, and be kept for a while', async () => {
  for (const name of ['openid-configuration', 'oauth-authorization-server', 'jwks.json']) {
    const reply = await op.get(`/.well-known/${name}`);
    assert.equal(reply.status, 200);
    assert.match(reply.headers['content-type'], /json/);
    assertHeaders(reply);
    assert.match(reply.headers['cache-control'] ?? '', /max-age=[1-9]\d*/, name);
  }
});

test('an issuer that is not the one asked for is refused by the client', async () => {
  const elsewhere = fetchOver({ to: op.url });
  await assert.rejects(
    client.discovery(new URL('https://other.example'), 'x', 'y', undefined, {
      [client.customFetch]: elsewhere,
    }),
    (error) => error.code === 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED',
  );
});

test('without settings the issuer is the one of the contract', async () => {
  const other = await startIssuer({ env: { AUTH_JWT_ISSUER: undefined } });
  try {
    const config = await client.discovery(
      new URL('https://auth-service.local'),
      'payments-gateway',
      'change-me',
      undefined,
      { [client.customFetch]: fetchOver({ to: other.url }) },
    );
    assert.equal(config.serverMetadata().token_endpoint, `${other.url}/auth/token`);
    client.allowInsecureRequests(config); // the endpoints of a development are plain HTTP
    const tokens = await client.clientCredentialsGrant(config);
    assert.equal(jose.decodeJwt(tokens.access_token).iss, 'https://auth-service.local');
  } finally {
    await other.stop();
  }
});

test('the published keys are public, sound, and each its own', async () => {
  const { keys } = (await op.get('/.well-known/jwks.json')).json;
  assert.equal(new Set(keys.map((key) => key.kid)).size, keys.length);
  for (const key of keys) {
    for (const part of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.equal(key[part], undefined);
    assert.equal(key.use, 'sig');
    if (key.kty === 'RSA') assert.ok(Buffer.from(key.n, 'base64url').length >= 256);
    await jose.importJWK(key);
  }
  for (const alg of ['RS256', 'ES256', 'EdDSA'])
    assert.ok(
      keys.some((key) => key.alg === alg),
      alg,
    );
});

// ---- clients on their own -----------------------------------------------------------------------

test('client_credentials: the answer is exactly what the contract says', async () => {
  for (const reply of [
    await op.token(
      { grant_type: 'client_credentials' },
      { headers: basic('risk-engine', 'change-me') },
    ),
    await op.token({
      grant_type: 'client_credentials',
      client_id: 'risk-engine',
      client_secret: 'change-me',
    }),
  ]) {
    assert.equal(reply.status, 200, reply.text);
    assertNotStored(reply);
    assertHeaders(reply);
    assert.match(reply.headers['content-type'], /^application\/json\b/);
    const { scope, issued_at: issued, ...rest } = reply.json;
    assert.deepEqual(Object.keys(rest).sort(), ['access_token', 'expires_in', 'token_type']);
    assert.equal(rest.token_type, 'bearer');
    assert.equal(rest.expires_in, 900);
    assert.deepEqual(scope.split(' ').sort(), ['accounts:read', 'transactions:read']);
    assert.match(issued, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    assert.ok(Math.abs(Date.parse(issued) - Date.now()) < 5000, issued);

    const { payload, protectedHeader } = await verified(rest.access_token);
    assert.equal(protectedHeader.alg, 'RS256');
    assert.equal(payload.sub, 'risk-engine');
    assert.equal(payload.client_id, 'risk-engine');
    assert.equal(payload.scope, scope);
    assert.deepEqual(payload.roles, ['risk']);
    assert.equal(payload.exp - payload.iat, 900);
  }
});

test('every client of the development data is there', async () => {
  for (const [id, scopes] of [
    ['web-portal', undefined],
    ['payments-gateway', 'transactions:read transactions:write'],
    ['risk-engine', 'transactions:read accounts:read'],
    ['alertmanager', 'monitoring:write'],
  ]) {
    const config = await configured(id, client.ClientSecretBasic('change-me'));
    const tokens = await client.clientCredentialsGrant(config);
    if (scopes) assert.deepEqual(tokens.scope.split(' ').sort(), scopes.split(' ').sort(), id);
  }
});

test('client_credentials may ask for less', async () => {
  const config = await configured('payments-gateway', client.ClientSecretBasic('change-me'));
  const tokens = await client.clientCredentialsGrant(config, { scope: 'transactions:read' });
  assert.equal((await verified(tokens.access_token)).payload.scope, 'transactions:read');
  assert.equal(tokens.refresh_token, undefined);
});

for (const alg of ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'])
  test(`private_key_jwt with ${alg}`, async () => {
    const key = await keyPair(alg);
    const one = await createClient(op, { method: 'private_key_jwt', jwks: [key.jwk] });
    const by = client.PrivateKeyJwt(
      { key: key.privateKey, kid: key.kid },
      {
        [client.modifyAssertion]: (header) => {
          header.alg = alg; // Ed25519 is the newer name of EdDSA: RFC 9864
        },
      },
    );
    const tokens = await client.clientCredentialsGrant(await configured(one.client_id, by));
    assert.equal((await verified(tokens.access_token)).payload.client_id, one.client_id);
  });

test('each algorithm of a client signs its access tokens', async () => {
  for (const alg of ['RS256', 'ES256', 'EdDSA']) {
    const one = await createClient(op, { accessAlg: alg });
    const reply = await op.token({ grant_type: 'client_credentials', ...proof(one) });
    const { protectedHeader } = await verified(reply.json.access_token);
    assert.equal(protectedHeader.alg, alg);
  }
});

test('oauth4webapi accepts our access tokens as a resource server', async () => {
  const as = await oauth
    .discoveryRequest(new URL(op.issuer), insecure)
    .then((reply) => oauth.processDiscoveryResponse(new URL(op.issuer), reply));
  const reply = await op.token({
    grant_type: 'client_credentials',
    ...proof({ client_id: 'risk-engine', secret: 'change-me' }),
  });
  const request = new Request('http://127.0.0.1/accounts', {
    headers: { Authorization: `Bearer ${reply.json.access_token}` },
  });
  const claims = await oauth.validateJwtAccessToken(as, request, 'portcullis-services', insecure);
  assert.equal(claims.client_id, 'risk-engine');
});

// ---- people -------------------------------------------------------------------------------------

test('code with PKCE through the pages, all checks on', async () => {
  const config = await asPortal();
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: 'http://127.0.0.1:5199/callback', // a loopback port may vary: RFC 8252, 7.3
    scope: 'openid profile email offline_access accounts:read',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  });
  const browser = new Browser(op);
  const back = await browser.authorize(url);
  assert.equal(`${back.origin}${back.pathname}`, 'http://127.0.0.1:5199/callback');
  assert.equal(back.searchParams.get('iss'), op.issuer);
  const posted = browser.seen.filter((reply) => reply.status >= 300 && reply.status < 400);
  assert.ok(posted.length > 0);

  const tokens = await client.authorizationCodeGrant(config, back, {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
    maxAge: 300,
  });
  const claims = tokens.claims();
  assert.equal(claims.sub, '2');
  assert.equal(claims.aud, 'web-portal');
  assert.ok(Math.abs(claims.auth_time - Date.now() / 1000) < 30);
  const { payload } = await verified(tokens.access_token);
  assert.equal(payload.sub, '2');
  assert.equal(payload.client_id, 'web-portal');
  assert.deepEqual(payload.roles, ['customer']);

  const person = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(person.email, 'user@example.com');
  assert.equal(typeof person.preferred_username, 'string');

  const next = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert.notEqual(next.refresh_token, tokens.refresh_token);
  await verified(next.access_token);
  assert.equal((await client.fetchUserInfo(config, next.access_token, claims.sub)).sub, claims.sub);
});

test('each algorithm of a client signs its id_tokens', async () => {
  const browser = new Browser(op);
  for (const alg of ['RS256', 'ES256', 'EdDSA']) {
    const one = await createClient(op, {
      grants: ['authorization_code'],
      scopes: ['openid', 'profile'],
      redirectUris: ['http://127.0.0.1/callback'],
      idAlg: alg,
    });
    const tokens = await tokensOf(op, browser, one, { scope: 'openid profile' });
    const { payload, protectedHeader } = await jose.jwtVerify(tokens.id_token, remote, {
      issuer: op.issuer,
      audience: one.client_id,
    });
    assert.equal(protectedHeader.alg, alg);
    assert.notEqual(protectedHeader.typ, 'at+jwt');
    assert.equal(payload.sub, '2');
    assert.equal(tokens.refresh_token, undefined, 'the client has no grant for it');
  }
});

test('without openid there is no id_token, and userinfo is not for it', async () => {
  const tokens = await tokensOf(op, new Browser(op), portal, { scope: 'accounts:read' });
  assert.equal(tokens.id_token, undefined);
  assert.equal(tokens.scope, 'accounts:read');
  const reply = await op.get('/oauth/userinfo', { token: tokens.access_token });
  assertBearerError(reply, 403, 'insufficient_scope');
  assert.match(reply.headers['www-authenticate'], /scope="openid"/);
});

test('userinfo tells what the scopes allow', async () => {
  const browser = new Browser(op);
  const told = async (scope) => {
    const { access_token: token } = await tokensOf(op, browser, portal, { scope });
    const reply = await op.get('/oauth/userinfo', { token });
    assert.equal(reply.status, 200, reply.text);
    assertNotStored(reply);
    return reply.json;
  };
  assert.deepEqual(await told('openid'), { sub: '2' });
  const email = await told('openid email');
  assert.equal(email.email, 'user@example.com');
  assert.equal(email.preferred_username, undefined);
  const profile = await told('openid profile');
  assert.equal(profile.email, undefined);
  assert.equal(typeof profile.preferred_username, 'string');
});

test('signed in once, agreed once: the next code comes without a page', async () => {
  const browser = new Browser(op);
  await codeOf(op, browser, portal);
  const pages = browser.seen.filter((reply) => reply.status === 200).length;
  await codeOf(op, browser, portal);
  assert.equal(browser.seen.filter((reply) => reply.status === 200).length, pages);
});

test('the password grant checks the password', async () => {
  const config = await asPortal();
  const tokens = await client.genericGrantRequest(config, 'password', {
    username: 'analyst@example.com',
    password: 'P@ssw0rd!',
    scope: 'transactions:read transactions:write',
  });
  const { payload } = await verified(tokens.access_token);
  assert.equal(payload.sub, '3');
  assert.deepEqual(payload.roles, ['payments']);
  assert.ok(tokens.refresh_token);
  await assert.rejects(
    client.genericGrantRequest(config, 'password', {
      username: 'analyst@example.com',
      password: 'password',
    }),
    (error) => error.error === 'invalid_grant' && error.status === 400,
  );
});

test('a public client is served without a secret, and rotates', async () => {
  const one = await createClient(op, {
    method: 'none',
    grants: ['authorization_code', 'refresh_token'],
    scopes: ['openid', 'profile', 'offline_access'],
    redirectUris: ['http://127.0.0.1/callback'],
  });
  const tokens = await tokensOf(op, new Browser(op), one);
  const next = await refresh(op, one, tokens.refresh_token);
  assert.equal(next.status, 200, next.text);
  assert.notEqual(next.json.refresh_token, tokens.refresh_token);
  const again = await refresh(op, one, tokens.refresh_token);
  assert.equal(again.text, next.text, 'a lost reply is answered alike');
});

test('/auth/refresh takes JSON, and only narrows and shortens', async () => {
  const browser = new Browser(op);
  const tokens = await tokensOf(op, browser, portal, {
    scope: 'openid accounts:read offline_access',
  });
  const ask = (token, more) =>
    op.post('/auth/refresh', { refresh_token: token, ...proof(portal), ...more });
  const less = await ask(tokens.refresh_token, { scope: 'accounts:read', expires_in: 60 });
  assert.equal(less.status, 200, less.text);
  assertNotStored(less);
  assert.equal(less.json.scope, 'accounts:read');
  assert.equal(less.json.expires_in, 60);
  const { payload } = await verified(less.json.access_token);
  assert.equal(payload.scope, 'accounts:read');
  assert.equal(payload.exp - payload.iat, 60);
  const more = await ask(less.json.refresh_token, { scope: 'accounts:read accounts:write' });
  assertOauthError(more, 400, 'invalid_scope');
  const longer = await ask(less.json.refresh_token, { expires_in: 86400 });
  if (longer.status === 200) assert.ok(longer.json.expires_in <= 900);
  else assertOauthError(longer, 400, 'invalid_request');
});

// ---- introspection, revocation, whoami ----------------------------------------------------------

test('introspection tells what a token is, until it is revoked', async () => {
  const config = await asPortal();
  const tokens = await tokensOf(op, new Browser(op), portal, {
    scope: 'openid accounts:read offline_access',
  });
  const live = await client.tokenIntrospection(config, tokens.access_token);
  assert.equal(live.active, true);
  assert.equal(live.client_id, 'web-portal');
  assert.equal(live.sub, '2');
  assert.equal(live.iss, op.issuer);
  assert.equal(live.exp, jose.decodeJwt(tokens.access_token).exp);
  assert.ok(live.scope.split(' ').includes('accounts:read'));
  assert.equal((await client.tokenIntrospection(config, tokens.refresh_token)).active, true);
  assert.deepEqual(await client.tokenIntrospection(config, 'unknown'), { active: false });

  await client.tokenRevocation(config, tokens.refresh_token);
  for (const token of [tokens.access_token, tokens.refresh_token])
    assert.deepEqual(await client.tokenIntrospection(config, token), { active: false });
  assertOauthError(await refresh(op, portal, tokens.refresh_token), 400, 'invalid_grant');
});

test('revoking: JSON or form, known or not, always 200', async () => {
  const token = async () =>
    (await op.token({ grant_type: 'client_credentials', ...proof(portal) })).json.access_token;
  for (const ask of [
    async () => op.form('/auth/revoke', { token: await token(), ...proof(portal) }),
    async () => op.post('/auth/revoke', { token: await token(), ...proof(portal) }),
    async () =>
      op.form(
        '/auth/revoke',
        { token: await token() },
        { headers: basic('web-portal', 'change-me') },
      ),
    async () =>
      op.form('/auth/revoke', {
        token: 'unknown',
        token_type_hint: 'refresh_token',
        ...proof(portal),
      }),
    async () =>
      op.form('/auth/revoke', {
        token: await token(),
        token_type_hint: 'nonsense',
        ...proof(portal),
      }),
  ]) {
    const reply = await ask();
    assert.equal(reply.status, 200, reply.text);
    assert.deepEqual(reply.json, { status: 'revoked' });
  }
  assertOauthError(await op.form('/auth/revoke', { token: await token() }), 401, 'invalid_client');
});

test('another client cannot revoke what is not its own', async () => {
  const tokens = await tokensOf(op, new Browser(op), portal);
  await op.form('/auth/revoke', {
    token: tokens.refresh_token,
    client_id: 'risk-engine',
    client_secret: 'change-me',
  });
  assert.equal((await refresh(op, portal, tokens.refresh_token)).status, 200);
});

test('a revoked access token is refused within a second, on both listeners', async () => {
  for (const kind of ['access_token', 'refresh_token']) {
    const tokens = await tokensOf(op, new Browser(op), portal, {
      scope: 'openid profile offline_access',
    });
    const token = tokens.access_token;
    const there = () => op.gate.get('/api/v1/users/profile', { token });
    const here = () => op.get('/oauth/userinfo', { token });
    assert.equal((await there()).status, 200);
    assert.equal((await here()).status, 200);
    assert.equal(
      (await op.form('/auth/revoke', { token: tokens[kind], ...proof(portal) })).status,
      200,
    );
    for (const ask of [there, here]) {
      const { waited, reply } = await refusedAfter(ask);
      assertBearerError(reply, 401, 'invalid_token');
      assert.ok(waited < 1000, `${kind}: ${waited} ms`);
    }
  }
});

test('whoami says who a token is', async () => {
  const tokens = await tokensOf(op, new Browser(op), portal, { scope: 'openid accounts:read' });
  const person = await op.get('/whoami', { token: tokens.access_token });
  assert.equal(person.status, 200, person.text);
  assert.deepEqual(Object.keys(person.json).sort(), ['client_id', 'roles', 'scope', 'sub']);
  assert.equal(person.json.sub, '2');
  assert.equal(person.json.client_id, 'web-portal');
  assert.deepEqual(person.json.roles, ['customer']);
  const machine = await op.token({ grant_type: 'client_credentials', ...proof(portal) });
  const reply = await op.get('/whoami', { token: machine.json.access_token });
  assert.equal(reply.json.sub, 'web-portal');
  for (const target of ['/whoami', '/health']) {
    assertBearerError(await op.get(target), 401);
    assert.equal((await op.get(target, { token: tokens.access_token })).status, 200);
  }
  assert.equal((await op.get('/health', { token: tokens.access_token })).json.status, 'ok');
});

test('the list of clients is for who may read the record', async () => {
  const auditor = await createClient(op, { scopes: ['audit:read'], roles: ['auditor'] });
  const token = (await op.token({ grant_type: 'client_credentials', ...proof(auditor) })).json
    .access_token;
  const reply = await op.get('/auth/clients', { token });
  assert.equal(reply.status, 200, reply.text);
  const one = reply.json.find((row) => row.client_id === 'web-portal');
  assert.deepEqual(Object.keys(one).sort(), [
    'client_id',
    'client_name',
    'created_at',
    'roles',
    'scopes',
  ]);
  assert.equal(one.client_name, 'Retail Web Portal');
  assert.ok(!/secret|hash|change-me/.test(reply.text));
  const other = await op.token({ grant_type: 'client_credentials', ...proof(portal) });
  const refused = await op.get('/auth/clients', { token: other.json.access_token });
  assertBearerError(refused, 403, 'insufficient_scope');
  assert.match(refused.headers['www-authenticate'], /scope="audit:read"/);
  assertBearerError(await op.get('/auth/clients'), 401);
});

// ---- leaving, and being shown out ---------------------------------------------------------------

test('logout that a client begins ends the sign-in and what came of it', async () => {
  const one = await createClient(op, {
    grants: ['authorization_code', 'refresh_token'],
    scopes: ['openid', 'profile', 'offline_access'],
    redirectUris: ['http://127.0.0.1/callback'],
    logoutUris: ['http://127.0.0.1/bye'],
  });
  const browser = new Browser(op);
  const tokens = await tokensOf(op, browser, one, { scope: 'openid profile' });
  const beyond = await tokensOf(op, browser, one); // with offline_access
  const config = await configured(one.client_id, client.ClientSecretPost(one.secret));
  const url = client.buildEndSessionUrl(config, {
    id_token_hint: tokens.id_token,
    post_logout_redirect_uri: 'http://127.0.0.1/bye',
    state: 'a b&c',
  });
  let at = await browser.open('GET', url);
  if (at.page) at = await browser.consent(at.page, true);
  assert.ok(at.away, 'never sent back');
  assert.equal(`${at.away.origin}${at.away.pathname}`, 'http://127.0.0.1/bye');
  assert.equal(at.away.searchParams.get('state'), 'a b&c');
  for (const ask of [
    () => op.get('/oauth/userinfo', { token: tokens.access_token }),
    () => op.gate.get('/api/v1/users/profile', { token: tokens.access_token }),
  ]) {
    const { waited } = await refusedAfter(ask);
    assert.ok(waited < 1000, `${waited} ms`);
  }
  assertOauthError(await refresh(op, one, tokens.refresh_token), 400, 'invalid_grant');
  const silent = authorization(op, one, { prompt: 'none' });
  const { away } = await browser.open('GET', silent.url);
  assert.equal(away.searchParams.get('error'), 'login_required', 'still signed in');
  // What was granted for when the user is away outlives the sign-in: OpenID Connect Core, 11.
  assert.equal((await refresh(op, one, beyond.refresh_token)).status, 200);
});

test('disabling a user ends everything they hold', async () => {
  const account = await op.gate.register();
  const who = { email: account.email, password: account.password };
  const browser = new Browser(op);
  const tokens = await tokensOf(op, browser, portal, {}, who);
  const spare = await codeOf(op, browser, portal);
  await run(op, ['user', 'disable', account.email]);
  const token = tokens.access_token;
  for (const ask of [
    () => op.gate.get('/api/v1/users/profile', { token }),
    () => op.get('/oauth/userinfo', { token }),
  ]) {
    const { waited } = await refusedAfter(ask);
    assert.ok(waited < 1000, `${waited} ms`);
  }
  assertOauthError(await refresh(op, portal, tokens.refresh_token), 400, 'invalid_grant');
  assertOauthError(await redeem(op, portal, spare), 400, 'invalid_grant');
});

test('disabling a client ends everything it holds', async () => {
  const one = await createClient(op, {
    grants: ['client_credentials', 'authorization_code', 'refresh_token'],
    scopes: ['openid', 'profile', 'offline_access', 'accounts:read'],
    redirectUris: ['http://127.0.0.1/callback'],
  });
  const browser = new Browser(op);
  const tokens = await tokensOf(op, browser, one);
  const spare = await codeOf(op, browser, one);
  const machine = await op.token({ grant_type: 'client_credentials', ...proof(one) });
  await run(op, ['client', 'disable', one.client_id]);
  for (const token of [tokens.access_token, machine.json.access_token])
    for (const ask of [
      () => op.get('/whoami', { token }),
      () => op.gate.get('/api/v1/oauth/whoami', { token }),
    ]) {
      const { waited } = await refusedAfter(ask);
      assert.ok(waited < 1000, `${waited} ms`);
    }
  assertOauthError(await refresh(op, one, tokens.refresh_token), 401, 'invalid_client');
  assertOauthError(await redeem(op, one, spare), 401, 'invalid_client');
  const page = await browser.step('GET', `/oauth/authorize?client_id=${one.client_id}`);
  assert.equal(page.headers.location, undefined);
});

test('a new secret replaces the old one', async () => {
  const one = await createClient(op);
  assert.ok(Buffer.from(one.secret, 'base64url').length >= 32, 'fewer than 256 bits');
  const fresh = secretOf(await run(op, ['client', 'rotate-secret', one.client_id]));
  assert.notEqual(fresh, one.secret);
  const ask = (secret) =>
    op.token({ grant_type: 'client_credentials', ...proof({ ...one, secret }) });
  assert.equal((await ask(fresh)).status, 200);
  assertOauthError(await ask(one.secret), 401, 'invalid_client');
});

// ---- the gateway --------------------------------------------------------------------------------

test('the gateway passes everything of the issuer on', async () => {
  for (const name of ['openid-configuration', 'oauth-authorization-server', 'jwks.json']) {
    const [there, here] = [
      await op.gate.get(`/.well-known/${name}`),
      await op.get(`/.well-known/${name}`),
    ];
    assert.equal(there.status, 200, name);
    assert.deepEqual(there.json, here.json);
  }
  const reply = await op.form(
    '/api/v1/oauth/token',
    { grant_type: 'client_credentials', ...proof(portal) },
    { port: op.gate.port },
  );
  assert.equal(reply.status, 200, reply.text);
  const { access_token: token } = reply.json;
  await verified(token);
  assert.equal((await op.gate.get('/api/v1/oauth/whoami', { token })).json.sub, 'web-portal');
  const page = await op.gate.get('/oauth/authorize?client_id=nobody');
  assert.equal(page.status, 400);
  assert.equal(page.headers.location, undefined);
});

test('an issued token opens at the gateway what its scopes name', async () => {
  const browser = new Browser(op);
  const some = await tokensOf(op, browser, portal, { scope: 'openid profile orders:read' });
  const ask = (method, target, token) => op.gate.request(method, target, { token });
  assert.equal((await ask('GET', '/api/v1/users/profile', some.access_token)).status, 200);
  assert.equal((await ask('GET', '/api/v1/auth/me', some.access_token)).json.user_id, 2);
  assert.equal((await ask('GET', '/api/v1/trading/orders', some.access_token)).status, 200);
  const admin = await ask('GET', '/api/v1/admin/users', some.access_token);
  assertBearerError(admin, 403);
  const less = await tokensOf(op, browser, portal, { scope: 'accounts:read' });
  const refused = await ask('GET', '/api/v1/users/profile', less.access_token);
  assertBearerError(refused, 403, 'insufficient_scope');
  assert.match(refused.headers['www-authenticate'], /scope="profile"/);
  // What only a user's own session may do.
  assertBearerError(await ask('POST', '/api/v1/auth/logout', some.access_token), 401);
});

test('five requests a minute for each client and address, unless set otherwise', async () => {
  const other = await startIssuer({ limited: true });
  try {
    const ask = (id, from) =>
      other.token(
        { grant_type: 'client_credentials', client_id: id, client_secret: 'change-me' },
        { from },
      );
    for (let i = 0; i < 5; i++) assert.equal((await ask('web-portal', '127.0.9.1')).status, 200);
    const refused = await ask('web-portal', '127.0.9.1');
    assert.equal(refused.status, 429);
    assert.match(refused.headers['retry-after'] ?? '', /^[1-9]\d*$/);
    assert.match(refused.headers['content-type'], /^application\/problem\+json/);
    assert.equal((await ask('risk-engine', '127.0.9.1')).status, 200);
    assert.equal((await ask('web-portal', '127.0.9.2')).status, 200);
  } finally {
    await other.stop();
  }
});
