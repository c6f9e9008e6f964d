// SPDX-License-Identifier: MIT
// Client assertions and access tokens that were tampered with, each wrong in one way. The issuer's
// key is the test's own, so that a token can be wrong in its claims alone. Beside each table stands
// what must be accepted: a table that refuses everything proves nothing.
import assert from 'node:assert/strict';
import * as crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import * as jose from 'jose';
import { secret as sessionSecret, temporaryFolder, test } from './harness.mjs';
import {
  assertBearerError,
  assertNotStored,
  assertion,
  assertOauthError,
  base64url,
  bearerAssertion,
  Browser,
  codeOf,
  compact,
  createClient,
  keyPair,
  now,
  proof,
  redeem,
  startIssuer,
  withAssertion,
} from './oauth_kit.mjs';

const portal = {
  client_id: 'web-portal',
  secret: 'change-me',
  redirectUris: ['http://127.0.0.1/callback'],
};

let op;
let own; // the issuer's key pair
let es; // a client's keys, and the client
let rsa;
let other; // keys of nobody
let signer;
let rsaSigner;
let user; // a user's tokens: the originals of the forgeries
let person; // their claims
before(async () => {
  const pair = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  const file = path.join(temporaryFolder(), 'issuer.pem');
  fs.writeFileSync(file, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  own = { ...pair, kid: 'of-the-test' };
  op = await startIssuer({ env: { AUTH_PRIVATE_KEY_PATH: file, AUTH_JWT_KID: own.kid } });
  [es, rsa, other] = [await keyPair('ES256'), await keyPair('RS256'), await keyPair('ES256')];
  signer = await createClient(op, { method: 'private_key_jwt', jwks: [es.jwk] });
  rsaSigner = await createClient(op, { method: 'private_key_jwt', jwks: [rsa.jwk] });
  const got = await codeOf(op, new Browser(op), portal, {
    scope: 'openid profile offline_access',
  });
  user = { ...(await redeem(op, portal, got)).json, code: got.code };
  person = jose.decodeJwt(user.access_token);
});
after(() => op?.stop());

/** A JWS of exactly these texts; `sign` makes the third part of the first two. */
function raw(header, payload, sign) {
  const data = `${base64url(header)}.${base64url(payload)}`;
  return `${data}.${Buffer.from(sign(data)).toString('base64url')}`;
}
const hmac = (key) => (data) => crypto.createHmac('sha256', key).update(data).digest();
const ecdsa = (key, dsaEncoding) => (data) =>
  crypto.sign('sha256', Buffer.from(data), { key: crypto.KeyObject.from(key), dsaEncoding });
const rsaWith = (key, hash, padding) => (data) =>
  crypto.sign(hash, Buffer.from(data), {
    key,
    padding,
    ...(padding === crypto.constants.RSA_PKCS1_PSS_PADDING && { saltLength: 32 }),
  });
const spki = (key) => key.export({ type: 'spki', format: 'pem' });
const publicPem = (pair) => spki(crypto.KeyObject.from(pair.publicKey));

// ---- assertions ---------------------------------------------------------------------------------

const make = (options) => assertion(op, signer.client_id, es, options);
const claims = (changes) => () => make({ claims: changes() });
const header = (changes, sign) => () => make({ header: changes, sign });

const accepted = [
  ['as it should be', () => make()],
  ['without typ', header({ typ: undefined })],
  ['typ JWT', header({ typ: 'JWT' })],
  ['typ client-authentication+jwt', header({ typ: 'client-authentication+jwt' })],
  ['without kid, where one key fits', header({ kid: undefined })],
  ['nbf in 8 seconds', claims(() => ({ nbf: now() + 8 }))],
  ['iat in 8 seconds', claims(() => ({ iat: now() + 8, exp: now() + 60 }))],
  ['a life of nearly five minutes', claims(() => ({ exp: now() + 290 }))],
  ['claims that nobody knows', claims(() => ({ colour: 'blue', nested: { a: [1, null] } }))],
];

const refused = [
  ['aud is the token endpoint', claims(() => ({ aud: `${op.url}/auth/token` }))],
  ['aud is a list with the issuer', claims(() => ({ aud: [op.issuer] }))],
  ['aud is a list with more', claims(() => ({ aud: [op.issuer, 'https://x.example'] }))],
  ['aud is somebody else', claims(() => ({ aud: 'https://x.example' }))],
  ['aud has a slash more', claims(() => ({ aud: `${op.issuer}/` }))],
  ['aud begins like the issuer', claims(() => ({ aud: `${op.issuer}.x.example` }))],
  ['aud is missing', claims(() => ({ aud: undefined }))],
  ['aud is empty', claims(() => ({ aud: '' }))],
  ['aud is an object', claims(() => ({ aud: { iss: op.issuer } }))],
  ['exp is missing', claims(() => ({ exp: undefined }))],
  ['exp is over', claims(() => ({ iat: now() - 180, exp: now() - 120 }))],
  ['exp is five minutes over', claims(() => ({ iat: now() - 360, exp: now() - 300 }))],
  ['exp is a text', claims(() => ({ exp: String(now() + 60) }))],
  ['exp is negative', claims(() => ({ exp: -1 }))],
  ['exp is null', claims(() => ({ exp: null }))],
  ['exp is beyond all numbers', claims(() => ({ exp: 1e300 }))],
  ['a life of ten minutes', claims(() => ({ exp: now() + 600 }))],
  ['a life of a year', claims(() => ({ exp: now() + 31_536_000 }))],
  ['nbf in 61 seconds', claims(() => ({ nbf: now() + 61 + 2, exp: now() + 120 }))],
  ['nbf is a text', claims(() => ({ nbf: 'now' }))],
  ['iat in 61 seconds', claims(() => ({ iat: now() + 61 + 2, exp: now() + 120 }))],
  ['jti is missing', claims(() => ({ jti: undefined }))],
  ['jti is empty', claims(() => ({ jti: '' }))],
  ['jti is a number', claims(() => ({ jti: 7 }))],
  ['sub is another client', claims(() => ({ sub: 'web-portal' }))],
  ['iss is another client', claims(() => ({ iss: 'web-portal' }))],
  ['both are another client', claims(() => ({ iss: 'web-portal', sub: 'web-portal' }))],
  ['sub is missing', claims(() => ({ sub: undefined }))],
  ['iss is missing', claims(() => ({ iss: undefined }))],
  ['sub is a list', claims(() => ({ sub: [signer.client_id] }))],
  ['the key is another', () => assertion(op, signer.client_id, { ...other, kid: es.kid })],
  ['kid is unknown', header({ kid: 'unknown' })],
  ['kid is a path', header({ kid: '../../../../dev/null' })],
  ['kid is a statement', header({ kid: "' OR '1'='1" })],
  [
    'kid is a number',
    header({ kid: 1 }, (head, body) => raw(head, body, ecdsa(es.privateKey, 'ieee-p1363'))),
  ],
  ['kid is very long', header({ kid: 'k'.repeat(5000) })],
  ['typ is that of an access token', header({ typ: 'at+jwt' })],
  ['typ is that of a proof', header({ typ: 'dpop+jwt' })],
  [
    'typ is a number',
    header({ typ: 1 }, (head, body) => raw(head, body, ecdsa(es.privateKey, 'ieee-p1363'))),
  ],
  ...['none', 'None', 'NONE', 'nOnE'].map((alg) => [
    `alg is ${alg}`,
    header({ alg }, (head, body) => raw(head, body, () => '')),
  ]),
  [
    'alg is missing',
    header({ alg: undefined }, (head, body) => raw(head, body, ecdsa(es.privateKey, 'ieee-p1363'))),
  ],
  [
    'HS256 with the public key as PEM',
    header({ alg: 'HS256' }, (head, body) => raw(head, body, hmac(publicPem(es)))),
  ],
  [
    'HS256 with the public key as JWK',
    header({ alg: 'HS256' }, (head, body) => raw(head, body, hmac(JSON.stringify(es.jwk)))),
  ],
  ['HS256 with nothing', header({ alg: 'HS256' }, (head, body) => raw(head, body, hmac('')))],
  ['RS256 for a client of ES256', () => assertion(op, signer.client_id, { ...rsa, kid: es.kid })],
  [
    'RS256 in name only',
    header({ alg: 'RS256' }, (head, body) => raw(head, body, ecdsa(es.privateKey, 'ieee-p1363'))),
  ],
  [
    'ES384 in name only',
    header({ alg: 'ES384' }, (head, body) => raw(head, body, ecdsa(es.privateKey, 'ieee-p1363'))),
  ],
  ['a signature in DER', header({}, (head, body) => raw(head, body, ecdsa(es.privateKey, 'der')))],
  ['a signature of zeros', header({}, (head, body) => raw(head, body, () => Buffer.alloc(64)))],
  ['no signature', header({}, (head, body) => raw(head, body, () => ''))],
  [
    'a key of the sender in the header',
    () => assertion(op, signer.client_id, other, { header: { kid: es.kid, jwk: other.jwk } }),
  ],
  [
    'an address of keys in the header',
    () =>
      assertion(op, signer.client_id, other, {
        header: { kid: es.kid, jku: 'http://127.0.0.1:9/jwks' },
      }),
  ],
  [
    'crit with something unknown',
    header({ crit: ['x-unknown'], 'x-unknown': true }, (head, body) =>
      raw(head, body, ecdsa(es.privateKey, 'ieee-p1363')),
    ),
  ],
  [
    'crit that is empty',
    header({ crit: [] }, (head, body) => raw(head, body, ecdsa(es.privateKey, 'ieee-p1363'))),
  ],
  [
    'compressed in name',
    header({ zip: 'DEF' }, (head, body) => raw(head, body, ecdsa(es.privateKey, 'ieee-p1363'))),
  ],
  [
    'a member twice',
    async () => {
      const text = JSON.stringify(jose.decodeJwt(await make()));
      return raw(
        { alg: 'ES256', kid: es.kid },
        `${text.slice(0, -1)},"sub":"${signer.client_id}"}`,
        ecdsa(es.privateKey, 'ieee-p1363'),
      );
    },
  ],
  [
    'a payload that is no object',
    async () => raw({ alg: 'ES256', kid: es.kid }, '[]', ecdsa(es.privateKey, 'ieee-p1363')),
  ],
  [
    'a payload that was changed',
    async () => {
      const parts = (await make()).split('.');
      const changed = { ...JSON.parse(Buffer.from(parts[1], 'base64url')), exp: now() + 61 };
      return [parts[0], base64url(changed), parts[2]].join('.');
    },
  ],
  ['padding', async () => `${await make()}==`],
  ['four parts', async () => `${await make()}.x`],
  ['two parts', async () => (await make()).split('.').slice(0, 2).join('.')],
  ['a blank in it', async () => (await make()).replace('.', '. ')],
  [
    'JSON serialization',
    async () => {
      const [head, payload, signature] = (await make()).split('.');
      return JSON.stringify({ payload, protected: head, signature });
    },
  ],
  ['an access token', async () => user.access_token],
  ['an id_token', async () => user.id_token],
  ['nothing', async () => ''],
];

const withIt = (text, id = signer.client_id) =>
  op.token({ grant_type: 'client_credentials', client_id: id, ...withAssertion(text) });

for (const [name, text] of accepted)
  test(`assertion accepted: ${name}`, async () => {
    const reply = await withIt(await text());
    assert.equal(reply.status, 200, reply.text);
  });

for (const [name, text] of refused)
  test(`assertion refused: ${name}`, async () => {
    const one = await text();
    const reply = await withIt(one);
    assert.ok([400, 401].includes(reply.status), reply.text);
    // Whose assertion it is may contradict client_id: that is a malformed request already.
    if (one === '' || name === 'both are another client')
      assertOauthError(reply, reply.status, ['invalid_client', 'invalid_request']);
    else assertOauthError(reply, 401, 'invalid_client');
    assert.ok(one === '' || !reply.text.includes(one), 'it was repeated');
  });

test('assertion: once, also at another endpoint, also at once', async () => {
  const text = await make();
  assert.equal((await withIt(text)).status, 200);
  assertOauthError(await withIt(text), 401, 'invalid_client');
  const there = await op.form('/auth/introspect', {
    token: 'x',
    client_id: signer.client_id,
    ...withAssertion(text),
  });
  assertOauthError(there, 401, 'invalid_client');
  const race = await make();
  const replies = await Promise.all(Array.from({ length: 20 }, () => withIt(race)));
  assert.equal(replies.filter((reply) => reply.status === 200).length, 1);
});

test('assertion: the same jti of another client is another', async () => {
  const jti = crypto.randomUUID();
  assert.equal((await withIt(await make({ claims: { jti } }))).status, 200);
  const theirs = await assertion(op, rsaSigner.client_id, rsa, { claims: { jti } });
  assert.equal((await withIt(theirs, rsaSigner.client_id)).status, 200);
});

test('assertion: PS256 where the key says RS256 is refused', async () => {
  const text = await assertion(op, rsaSigner.client_id, rsa, {
    header: { alg: 'PS256' },
    sign: (head, body) =>
      raw(
        head,
        body,
        rsaWith(
          crypto.KeyObject.from(rsa.privateKey),
          'sha256',
          crypto.constants.RSA_PKCS1_PSS_PADDING,
        ),
      ),
  });
  assertOauthError(await withIt(text, rsaSigner.client_id), 401, 'invalid_client');
});

test('assertion: another way than the registered one is refused', async () => {
  const text = await make();
  const rows = [
    [{ client_id: 'web-portal', ...withAssertion(text) }, [400, 401]],
    [{ client_id: signer.client_id, client_secret: 'change-me' }, [401]],
    [{ client_id: signer.client_id }, [401]],
    [{ client_id: signer.client_id, client_assertion: text }, [400, 401]],
    [
      { client_id: signer.client_id, client_assertion: text, client_assertion_type: 'urn:x' },
      [400, 401],
    ],
    [{ client_id: signer.client_id, client_assertion_type: bearerAssertion }, [400, 401]],
    [{ client_id: signer.client_id, client_secret: 'x', ...withAssertion(text) }, [400, 401]],
  ];
  for (const [params, statuses] of rows) {
    const reply = await op.token({ grant_type: 'client_credentials', ...params });
    assert.ok(statuses.includes(reply.status), `${Object.keys(params)}: ${reply.text}`);
    assertOauthError(reply, reply.status, ['invalid_client', 'invalid_request']);
  }
  assert.equal((await withIt(text)).status, 200, 'none of them used it up');
});

// ---- access tokens ------------------------------------------------------------------------------

const rs256 = (data) => rsaWith(own.privateKey, 'sha256')(data);
/** The user's access token anew, but for what is given. */
function forged(changes = {}, head = {}, sign = rs256) {
  const payload = { ...person, jti: crypto.randomUUID(), ...changes };
  return raw(
    JSON.parse(JSON.stringify({ alg: 'RS256', typ: 'at+jwt', kid: own.kid, ...head })),
    JSON.parse(JSON.stringify(payload)),
    sign,
  );
}
const both = (token) =>
  Promise.all([
    op.get('/oauth/userinfo', { token }),
    op.gate.get('/api/v1/users/profile', { token }),
  ]);

test('token: a copy under the same key is believed', async () => {
  for (const reply of await both(forged())) assert.equal(reply.status, 200, reply.text);
});

const tokens = [
  ['iss is another', () => forged({ iss: 'https://x.example' })],
  ['iss is missing', () => forged({ iss: undefined })],
  ["iss is the gateway's own", () => forged({ iss: 'portcullis' })],
  ['iss has a slash more', () => forged({ iss: `${op.issuer}/` })],
  ['aud is another', () => forged({ aud: 'somebody' })],
  ['aud is the client, as of an id_token', () => forged({ aud: 'web-portal' })],
  ['aud is missing', () => forged({ aud: undefined })],
  ['exp is over', () => forged({ iat: now() - 1000, exp: now() - 100 })],
  ['exp is missing', () => forged({ exp: undefined })],
  ['exp is a text', () => forged({ exp: String(now() + 60) })],
  ['exp is negative', () => forged({ exp: -1 })],
  ['iat lies ahead', () => forged({ iat: now() + 300, exp: now() + 600 })],
  ['nbf lies ahead', () => forged({ nbf: now() + 300 })],
  ['sub is missing', () => forged({ sub: undefined })],
  ['sub is a number', () => forged({ sub: 2 })],
  ['sub is another user of this session', () => forged({ sub: '1' })],
  ['the session is unknown', () => forged({ sid: crypto.randomUUID() })],
  ['the session is missing', () => forged({ sid: undefined })],
  ['client_id is missing', () => forged({ client_id: undefined })],
  ['client_id is unknown', () => forged({ client_id: 'nobody' })],
  ['client_id is another', () => forged({ client_id: 'risk-engine' })],
  ['jti is missing', () => forged({ jti: undefined })],
  [
    'bound to a certificate that is not shown',
    () => forged({ cnf: { 'x5t#S256': 'A'.repeat(43) } }),
  ],
  ['bound in a way nobody knows', () => forged({ cnf: { jkt: 'A'.repeat(43) } })],
  ['typ is JWT', () => forged({}, { typ: 'JWT' })],
  ['typ is missing', () => forged({}, { typ: undefined })],
  ['typ is that of a logout token', () => forged({}, { typ: 'logout+jwt' })],
  ['kid is unknown', () => forged({}, { kid: 'unknown' })],
  ['kid is a path', () => forged({}, { kid: '../../../dev/null' })],
  ['alg is none', () => forged({}, { alg: 'none' }, () => '')],
  ['alg is NONE', () => forged({}, { alg: 'NONE' }, () => '')],
  ['HS256 with the public key', () => forged({}, { alg: 'HS256' }, hmac(spki(own.publicKey)))],
  ["HS256 with the gateway's secret", () => forged({}, { alg: 'HS256' }, hmac(sessionSecret))],
  [
    "HS256 with the gateway's secret, no kid",
    () => forged({}, { alg: 'HS256', kid: undefined }, hmac(sessionSecret)),
  ],
  [
    'PS256 under a key of RS256',
    () =>
      forged(
        {},
        { alg: 'PS256' },
        rsaWith(own.privateKey, 'sha256', crypto.constants.RSA_PKCS1_PSS_PADDING),
      ),
  ],
  [
    'RS512 under a key of RS256',
    () => forged({}, { alg: 'RS512' }, rsaWith(own.privateKey, 'sha512')),
  ],
  ['ES256 in name only', () => forged({}, { alg: 'ES256' })],
  [
    'another key with this kid',
    () => forged({}, {}, rsaWith(crypto.KeyObject.from(rsa.privateKey), 'sha256')),
  ],
  [
    'a key of the sender in the header',
    () => forged({}, { jwk: rsa.jwk }, rsaWith(crypto.KeyObject.from(rsa.privateKey), 'sha256')),
  ],
  ['crit with something unknown', () => forged({}, { crit: ['x'], x: 1 })],
  [
    'a changed payload',
    () =>
      [
        forged().split('.')[0],
        forged({ scope: 'admin openid profile' }).split('.')[1],
        forged().split('.')[2],
      ].join('.'),
  ],
  ['an id_token', () => user.id_token],
  ['a refresh token', () => user.refresh_token],
  ['an authorization code', () => user.code],
  ['a client assertion', () => assertion(op, signer.client_id, es)],
  [
    'an id_token that says it is an access token',
    () =>
      compact(
        { alg: 'RS256', typ: 'at+jwt', kid: own.kid },
        jose.decodeJwt(user.id_token),
        own.privateKey,
      ),
  ],
];

for (const [name, text] of tokens)
  test(`token refused: ${name}`, async () => {
    const token = await text();
    for (const reply of await both(token)) {
      assertBearerError(reply, 401, 'invalid_token');
      assert.ok(!reply.text.includes(token), 'it was repeated');
    }
  });

test('token: a session of the gateway is no token of the issuer, nor vice versa', async () => {
  const session = await op.gate.login('user@example.com', 'user123');
  for (const token of [session.access_token, session.refresh_token])
    assertBearerError(await op.get('/oauth/userinfo', { token }), 401);
  const claims = jose.decodeJwt(session.access_token);
  for (const change of [
    { iss: op.issuer },
    {
      iss: op.issuer,
      typ: 'at+jwt',
      aud: 'portcullis-services',
      client_id: 'web-portal',
      scope: 'openid profile',
    },
  ]) {
    const payload = { ...claims, ...change };
    const token = raw({ alg: 'HS256', typ: change.typ ?? 'JWT' }, payload, hmac(sessionSecret));
    for (const reply of await both(token)) assertBearerError(reply, 401);
  }
  // The issuer's key signs no session of the gateway.
  const token = raw({ alg: 'RS256', typ: 'JWT', kid: own.kid }, claims, rs256);
  for (const reply of await both(token)) assertBearerError(reply, 401);
  assertBearerError(
    await op.gate.request('POST', '/api/v1/auth/logout', { token: user.access_token }),
    401,
  );
  assert.equal(
    (await op.gate.post('/api/v1/auth/refresh', { refresh_token: user.refresh_token })).status,
    401,
  );
  assertOauthError(
    await op.token({
      grant_type: 'refresh_token',
      refresh_token: session.refresh_token,
      ...proof(portal),
    }),
    400,
    'invalid_grant',
  );
});

test('token: only the header carries it, and only once', async () => {
  const token = forged();
  const encoded = encodeURIComponent(token);
  for (const [at, target] of [
    [op, '/oauth/userinfo'],
    [op, '/whoami'],
    [op.gate, '/api/v1/users/profile'],
  ]) {
    for (const name of ['access_token', 'token', 'bearer_token'])
      assertBearerError(await at.get(`${target}?${name}=${encoded}`), 401);
    for (const value of [
      `Basic ${token}`,
      `Bearer ${token} x`,
      `Bearer ${token},x`,
      'Bearer',
      token,
    ])
      assert.ok(
        [400, 401].includes((await at.get(target, { headers: { Authorization: value } })).status),
        value.slice(0, 10),
      );
    const twice = await at.get(target, {
      headers: { Authorization: [`Bearer ${token}`, `Bearer ${user.access_token}`] },
    });
    assert.ok([400, 401].includes(twice.status));
    const lower = await at.get(target, { headers: { Authorization: `bearer ${token}` } });
    assert.equal(lower.status, 200, 'the scheme has no case');
  }
});

test('introspection believes no forgery, and tells no client about it', async () => {
  for (const text of [
    forged({ iss: 'https://x.example' }),
    forged({}, { typ: 'JWT' }),
    user.id_token,
    user.code,
  ]) {
    const reply = await op.form('/auth/introspect', { token: text, ...proof(portal) });
    assert.equal(reply.status, 200);
    assert.deepEqual(reply.json, { active: false });
    assertNotStored(reply);
  }
});
