// SPDX-License-Identifier: MIT
// Tokens between Portcullis and jose: jose verifies ours, we verify jose's, and what was forged
// with anything less than the whole truth is refused.
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import * as jose from 'jose';
import {
  assertUnauthorized,
  Portcullis,
  secret,
  sleep,
  temporaryFolder,
  test,
} from './harness.mjs';

const secretKey = new TextEncoder().encode(secret);
const profile = (gate, token) => gate.get('/api/v1/users/profile', { token });
const encode = (value) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

function assertClaims(payload, type) {
  const now = Date.now() / 1000;
  assert.equal(payload.type, type);
  assert.equal(typeof payload.iss, 'string');
  assert.equal(typeof payload.sub, 'string');
  assert.equal(typeof payload.sid, 'string');
  assert.equal(typeof payload.jti, 'string');
  assert.ok(Number.isInteger(payload.user_id));
  assert.ok(Math.abs(payload.iat - now) < 5);
  assert.equal(payload.exp - payload.iat, 1800);
}

/** Keys of each kind, made by Node; the program gets the private one as a PEM file. */
const kinds = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};

async function startWith(alg) {
  const data = temporaryFolder();
  if (alg.startsWith('HS'))
    return {
      gate: await Portcullis.start({ data, env: { JWT_ALGORITHM: alg } }),
      sign: secretKey,
      verify: secretKey,
    };
  const pair = kinds[alg]();
  const file = path.join(data, 'signing.pem');
  fs.writeFileSync(file, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const gate = await Portcullis.start({
    data,
    env: { JWT_ALGORITHM: alg, JWT_SECRET_KEY: null },
    config: `jwt:\n  key_file: ${file}\n`,
  });
  return { gate, sign: pair.privateKey, verify: createPublicKey(pair.privateKey) };
}

for (const alg of ['HS256', 'HS384', 'HS512', 'RS256', 'PS256', 'ES256', 'EdDSA'])
  test(`${alg}: jose verifies ours, we verify jose's`, async () => {
    const { gate, sign, verify } = await startWith(alg);
    try {
      const { tokens, username, email } = await gate.register();
      const { payload, protectedHeader } = await jose.jwtVerify(tokens.access_token, verify, {
        algorithms: [alg],
      });
      assertClaims(payload, 'access');
      assert.equal(payload.username, username);
      assert.equal(payload.email, email);
      assert.equal(payload.is_admin, false);
      assert.ok(protectedHeader.typ === undefined || typeof protectedHeader.typ === 'string');

      // The same claims under jose's signature, with a name of their own, are as good.
      const theirs = await new jose.SignJWT({ ...payload, jti: randomUUID() })
        .setProtectedHeader(protectedHeader)
        .sign(sign);
      assert.equal((await profile(gate, theirs)).status, 200);

      // Another key of the same kind is not.
      const strange = alg.startsWith('HS')
        ? new TextEncoder().encode('x'.repeat(64))
        : kinds[alg]().privateKey;
      assertUnauthorized(
        await profile(
          gate,
          await new jose.SignJWT({ ...payload }).setProtectedHeader(protectedHeader).sign(strange),
        ),
      );
      // The public key is no HMAC secret.
      if (!alg.startsWith('HS')) {
        const pem = verify.export({ type: 'spki', format: 'pem' });
        for (const [hs, hash] of [
          ['HS256', 'sha256'],
          ['HS384', 'sha384'],
          ['HS512', 'sha512'],
        ]) {
          const input = `${encode({ ...protectedHeader, alg: hs })}.${encode(payload)}`;
          assertUnauthorized(
            await profile(
              gate,
              `${input}.${createHmac(hash, pem).update(input).digest('base64url')}`,
            ),
          );
        }
      }
      assert.equal((await profile(gate, tokens.access_token)).status, 200);
    } finally {
      await gate.stop();
    }
  });

test("a session's key is not among those that the issuer publishes", async () => {
  const { gate } = await startWith('ES256');
  try {
    const reply = await gate.get('/.well-known/jwks.json');
    assert.equal(reply.status, 200);
    const { tokens } = await gate.register();
    // Whoever trusts the issuer must not take a session of the gateway for a token of it.
    await assert.rejects(
      jose.jwtVerify(tokens.access_token, jose.createLocalJWKSet(reply.json)),
      (error) => error.code === 'ERR_JWKS_NO_MATCHING_KEY',
    );
  } finally {
    await gate.stop();
  }
});

let gate;
let good; // { payload, protectedHeader } of a living session
before(async () => {
  gate = await Portcullis.start();
  const { tokens } = await gate.register();
  good = await jose.jwtVerify(tokens.access_token, secretKey);
  good.token = tokens.access_token;
  good.refresh = tokens.refresh_token;
});
after(() => gate?.stop());

/** A token with changed claims or header under the right key. `undefined` leaves a member out. */
function sign(claims = {}, header = {}, { alg = 'sha256', key = secretKey } = {}) {
  const payload = { ...good.payload, jti: randomUUID(), ...claims };
  const input = `${encode({ ...good.protectedHeader, ...header })}.${encode(payload)}`;
  return `${input}.${createHmac(alg, key).update(input).digest('base64url')}`;
}

/** The same for a header and payload given as text, byte by byte. */
function signText(header, payload, tail = '') {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${createHmac('sha256', secretKey).update(input).digest('base64url')}${tail}`;
}

const now = () => Math.floor(Date.now() / 1000);

test("the table's own signature is right", async () => {
  assert.equal((await profile(gate, sign())).status, 200);
  assert.equal(
    (
      await profile(
        gate,
        signText(JSON.stringify(good.protectedHeader), JSON.stringify(good.payload)),
      )
    ).status,
    200,
  );
});

const forgeries = {
  // the signature and its algorithm
  'alg none': () => `${encode({ alg: 'none' })}.${encode(good.payload)}.`,
  'alg None': () => `${encode({ alg: 'None' })}.${encode(good.payload)}.`,
  'alg none with the old signature': () =>
    `${encode({ alg: 'none', typ: 'JWT' })}.${good.token.split('.').slice(1).join('.')}`,
  'no alg': () => sign({}, { alg: undefined }),
  'empty alg': () => sign({}, { alg: '' }),
  'alg in a list': () => sign({}, { alg: ['HS256'] }),
  'alg in small letters': () => sign({}, { alg: 'hs256' }),
  'HS384 where HS256 is set': () => sign({}, { alg: 'HS384' }, { alg: 'sha384' }),
  'HS512 where HS256 is set': () => sign({}, { alg: 'HS512' }, { alg: 'sha512' }),
  'RS256 in the header': () => sign({}, { alg: 'RS256' }),
  'no signature': () => `${good.token.split('.').slice(0, 2).join('.')}.`,
  'half a signature': () => good.token.slice(0, -20),
  'an empty secret': () => sign({}, {}, { key: '' }),
  'a well-known secret': () => sign({}, {}, { key: 'secret' }),
  'one bit changed in the signature': () =>
    good.token.slice(0, -10) + (good.token.at(-10) === 'A' ? 'B' : 'A') + good.token.slice(-9),
  'claims of another under my signature': () => {
    const [head, , tail] = good.token.split('.');
    return `${head}.${encode({ ...good.payload, user_id: 1, sub: '1', is_admin: true })}.${tail}`;
  },
  // the compact form
  'two parts': () => good.token.split('.').slice(0, 2).join('.'),
  'four parts': () => `${good.token}.AAAA`,
  'five parts': () => `${good.token}.AAAA.AAAA`,
  'only dots': () => '..',
  'padding': () => `${good.token}=`,
  'a space inside': () => good.token.replace('.', '. '),
  'the standard alphabet': () =>
    `${sign({ note: '???>>>' }).replaceAll('-', '+').replaceAll('_', '/')}+/`,
  'unused bits set at the end': () => {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    return good.token.slice(0, -1) + letters[letters.indexOf(good.token.at(-1)) + 1];
  },
  'the JSON serialization': () => {
    const [head, payload, signature] = good.token.split('.');
    return encode({ protected: head, payload, signature });
  },
  'a huge token': () => sign({ filler: 'x'.repeat(9000) }),
  // the header
  'crit with what nobody knows': () => sign({}, { 'crit': ['exp-later'], 'exp-later': true }),
  'empty crit': () => sign({}, { crit: [] }),
  'b64 false': () => sign({}, { b64: false, crit: ['b64'] }),
  'zip': () => sign({}, { zip: 'DEF' }),
  'typ of a refresh token elsewhere': () => sign({}, { typ: 'rt+jwt' }),
  'typ of a proof': () => sign({}, { typ: 'dpop+jwt' }),
  'nested': () => sign({}, { cty: 'JWT' }),
  'unknown kid': () => sign({}, { kid: 'somebody-else' }),
  'kid that climbs': () => sign({}, { kid: '../../../dev/null' }),
  'a header twice': () => signText('{"alg":"HS256","alg":"HS256"}', JSON.stringify(good.payload)),
  'alg twice, none first': () =>
    signText('{"alg":"none","alg":"HS256"}', JSON.stringify(good.payload)),
  'a header that is a list': () => signText('["HS256"]', JSON.stringify(good.payload)),
  'a header that is no JSON': () => signText('HS256', JSON.stringify(good.payload)),
  'a header with a tail': () =>
    signText(`${JSON.stringify(good.protectedHeader)} x`, JSON.stringify(good.payload)),
  // the claims
  'a refresh token as access': () => good.refresh,
  'type refresh': () => sign({ type: 'refresh' }),
  'no type': () => sign({ type: undefined }),
  'type Access': () => sign({ type: 'Access' }),
  'expired': () => sign({ exp: now() - 120 }),
  'no exp': () => sign({ exp: undefined }),
  'exp as text': () => sign({ exp: String(now() + 600) }),
  'exp negative': () => sign({ exp: -1 }),
  'exp null': () => sign({ exp: null }),
  'exp beyond all numbers': () =>
    signText(
      JSON.stringify(good.protectedHeader),
      JSON.stringify(good.payload).replace(/"exp":\d+/, '"exp":1e400'),
    ),
  'not yet': () => sign({ nbf: now() + 600 }),
  'nbf as text': () => sign({ nbf: 'now' }),
  'made in the future': () => sign({ iat: now() + 3600, exp: now() + 7200 }),
  'no iat': () => sign({ iat: undefined }),
  'a life of years': () => sign({ exp: now() + 400 * 86400 }),
  'a life that ended before it began': () => sign({ iat: now() + 2, exp: now() + 1 }),
  'another issuer': () => sign({ iss: 'https://evil.example' }),
  'no issuer': () => sign({ iss: undefined }),
  'an issuer in a list': () => sign({ iss: [good.payload.iss] }),
  'no subject': () => sign({ sub: undefined }),
  'a subject that is a number': () => sign({ sub: good.payload.user_id }),
  'another subject than the user': () => sign({ sub: '1' }),
  'another user than the subject': () => sign({ user_id: 1 }),
  'a user that does not exist': () => sign({ sub: '424242', user_id: 424242 }),
  'a session that does not exist': () => sign({ sid: randomUUID() }),
  'no session': () => sign({ sid: undefined }),
  'a session of another kind': () => sign({ sid: 7 }),
  'no jti': () => sign({ jti: undefined }),
  'a claim twice': () =>
    signText(
      JSON.stringify(good.protectedHeader),
      JSON.stringify(good.payload).replace('{', '{"type":"refresh",'),
    ),
  'claims in a list': () =>
    signText(JSON.stringify(good.protectedHeader), JSON.stringify([good.payload])),
  'claims that are no JSON': () => signText(JSON.stringify(good.protectedHeader), 'claims'),
  'claims with a tail': () =>
    signText(JSON.stringify(good.protectedHeader), `${JSON.stringify(good.payload)}x`),
  'claims with a byte order mark': () =>
    signText(JSON.stringify(good.protectedHeader), `\ufeff${JSON.stringify(good.payload)}`),
  'claims in broken UTF-8': () => {
    const payload = Buffer.from(JSON.stringify({ ...good.payload, note: '\u00ff' }), 'latin1');
    const input = `${encode(good.protectedHeader)}.${payload.toString('base64url')}`;
    return `${input}.${createHmac('sha256', secretKey).update(input).digest('base64url')}`;
  },
  'claims nested without end': () =>
    signText(
      JSON.stringify(good.protectedHeader),
      JSON.stringify(good.payload).replace(
        /\}$/,
        `,"deep":${'['.repeat(2000)}${']'.repeat(2000)}}`,
      ),
    ),
};

for (const [name, make] of Object.entries(forgeries))
  test(`refused: ${name}`, async () => {
    const reply = await profile(gate, make());
    // A header beyond all bounds is refused before it is a token; so is one that is no header.
    if (reply.status === 400 || reply.status === 431) return;
    assertUnauthorized(reply);
    assert.ok(!reply.text.includes(good.token));
  });

test('none of these hurt the session they imitate', async () => {
  assert.equal((await profile(gate, good.token)).status, 200);
});

test('a right does not come with a token', async () => {
  const reply = await gate.get('/api/v1/admin/users', { token: sign({ is_admin: true }) });
  assert.ok([401, 403].includes(reply.status), String(reply.status));
});

test('an access token ends when it says so', async () => {
  const token = sign({ iat: now() - 1700, exp: now() + 1 });
  assert.equal((await profile(gate, token)).status, 200);
  // The clocks of two machines may differ by a few seconds; not by ten.
  const deadline = Date.now() + 12_000;
  let reply;
  do {
    await sleep(500);
    reply = await profile(gate, token);
  } while (reply.status === 200 && Date.now() < deadline);
  assertUnauthorized(reply);
});
