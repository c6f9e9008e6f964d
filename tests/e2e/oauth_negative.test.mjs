// SPDX-License-Identifier: MIT
// Requests to the issuer that are wrong in one way each, and the answer that each must get.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { sleep, test } from './harness.mjs';
import {
  assertBearerError,
  assertOauthError,
  authorization,
  basic,
  Browser,
  codeOf,
  createClient,
  proof,
  redeem,
  refresh,
  refusedAfter,
  startIssuer,
  tokensOf,
} from './oauth_kit.mjs';

const portal = {
  client_id: 'web-portal',
  secret: 'change-me',
  redirectUris: ['http://127.0.0.1/callback', 'http://localhost:3000/callback'],
};
const risk = { client_id: 'risk-engine', secret: 'change-me' };

let op;
let web; // a confidential client of the web
let open; // a public one
let browser; // signed in, and agreed to all three
before(async () => {
  op = await startIssuer();
  const common = {
    grants: ['authorization_code', 'refresh_token'],
    scopes: ['openid', 'profile', 'offline_access', 'accounts:read'],
  };
  web = await createClient(op, { ...common, redirectUris: ['https://app.example/cb?x=1'] });
  open = await createClient(op, {
    ...common,
    method: 'none',
    redirectUris: ['http://127.0.0.1/callback'],
  });
  browser = new Browser(op);
  for (const client of [portal, web, open]) await codeOf(op, browser, client);
});
after(() => op?.stop());

// ---- the token endpoint -------------------------------------------------------------------------

const machine = { grant_type: 'client_credentials' };
const post = (params, headers) => () => op.token(params, { headers });
const requests = [
  ['no client at all', post(machine), 401, 'invalid_client'],
  [
    'an unknown client',
    post({ ...machine, client_id: 'nobody', client_secret: 'x' }),
    401,
    'invalid_client',
  ],
  [
    'a wrong secret',
    post({ ...machine, ...proof(portal), client_secret: 'wrong' }),
    401,
    'invalid_client',
  ],
  [
    'an empty secret',
    post({ ...machine, ...proof(portal), client_secret: '' }),
    401,
    'invalid_client',
  ],
  ['no secret', post({ ...machine, client_id: 'web-portal' }), 401, 'invalid_client'],
  [
    'a secret cut short',
    post({ ...machine, ...proof(portal), client_secret: 'change-m' }),
    401,
    'invalid_client',
  ],
  [
    'a secret in other letters',
    post({ ...machine, ...proof(portal), client_secret: 'Change-Me' }),
    401,
    'invalid_client',
  ],
  [
    'a secret with a zero byte',
    post({ ...machine, ...proof(portal), client_secret: 'change-me\0' }),
    [400, 401],
    ['invalid_client', 'invalid_request'],
  ],
  [
    'a secret of 10 000 bytes',
    post({ ...machine, ...proof(portal), client_secret: 'x'.repeat(10_000) }),
    [400, 401],
    ['invalid_client', 'invalid_request'],
  ],
  [
    'an id in other letters',
    post({ ...machine, ...proof(portal), client_id: 'Web-Portal' }),
    401,
    'invalid_client',
  ],
  [
    'a statement as id',
    post({ ...machine, client_id: "' OR 1=1 --", client_secret: 'x' }),
    401,
    'invalid_client',
  ],
  ['Basic with a wrong secret', post(machine, basic('web-portal', 'wrong')), 401, 'invalid_client'],
  [
    'Basic that is not base64',
    post(machine, { Authorization: 'Basic ***' }),
    [400, 401],
    ['invalid_client', 'invalid_request'],
  ],
  [
    'Basic without a colon',
    post(machine, { Authorization: `Basic ${btoa('web-portal')}` }),
    [400, 401],
    ['invalid_client', 'invalid_request'],
  ],
  [
    'Basic and the form at once',
    post({ ...machine, ...proof(portal) }, basic('web-portal', 'change-me')),
    [400, 401],
    ['invalid_request', 'invalid_client'],
  ],
  [
    'Basic of one, client_id of another',
    post({ ...machine, client_id: 'risk-engine' }, basic('web-portal', 'change-me')),
    [400, 401],
    ['invalid_request', 'invalid_client'],
  ],
  [
    'a bearer token as proof',
    post(machine, { Authorization: 'Bearer x' }),
    [400, 401],
    ['invalid_request', 'invalid_client'],
  ],
  [
    'the secret in the query',
    () => op.form('/auth/token?client_id=web-portal&client_secret=change-me', machine),
    [400, 401],
    ['invalid_request', 'invalid_client'],
  ],
  ['no grant type', post(proof(portal)), 400, 'invalid_request'],
  [
    'an unknown grant type',
    post({ grant_type: 'magic', ...proof(portal) }),
    400,
    'unsupported_grant_type',
  ],
  [
    'the implicit grant',
    post({ grant_type: 'implicit', ...proof(portal) }),
    400,
    'unsupported_grant_type',
  ],
  [
    'a grant in other letters',
    post({ grant_type: 'Client_Credentials', ...proof(portal) }),
    400,
    'unsupported_grant_type',
  ],
  [
    'grant_type twice',
    post([
      ['grant_type', 'client_credentials'],
      ['grant_type', 'client_credentials'],
      ...Object.entries(proof(portal)),
    ]),
    400,
    'invalid_request',
  ],
  [
    'client_id twice',
    post([
      ['grant_type', 'client_credentials'],
      ['client_id', 'web-portal'],
      ...Object.entries(proof(portal)),
    ]),
    400,
    'invalid_request',
  ],
  [
    'scope twice',
    post([
      ...Object.entries({ ...machine, ...proof(portal) }),
      ['scope', 'accounts:read'],
      ['scope', 'orders:read'],
    ]),
    400,
    'invalid_request',
  ],
  [
    'an unknown parameter twice',
    post([...Object.entries({ ...machine, ...proof(portal) }), ['x', '1'], ['x', '2']]),
    400,
    'invalid_request',
  ],
  [
    'JSON where a form is due',
    () => op.post('/auth/token', { ...machine, ...proof(portal) }),
    [400, 415],
    'invalid_request',
  ],
  [
    'a form that is not one',
    () =>
      op.request('POST', '/auth/token', {
        body: '%zz=%',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      }),
    [400, 401],
    ['invalid_request', 'invalid_client'],
  ],
  ['an empty body', () => op.token({}), [400, 401], ['invalid_request', 'invalid_client']],
  [
    'an unknown scope',
    post({ ...machine, ...proof(portal), scope: 'moon:read' }),
    400,
    'invalid_scope',
  ],
  [
    "another's scope",
    post({ ...machine, ...proof(risk), scope: 'accounts:write' }),
    400,
    'invalid_scope',
  ],
  [
    'one scope too many',
    post({ ...machine, ...proof(risk), scope: 'accounts:read admin' }),
    400,
    'invalid_scope',
  ],
  [
    'a scope with a quote',
    post({ ...machine, ...proof(risk), scope: 'accounts:read"' }),
    400,
    'invalid_scope',
  ],
  [
    "a grant that is not the client's: password",
    post({
      grant_type: 'password',
      username: 'user@example.com',
      password: 'user123',
      ...proof(risk),
    }),
    400,
    'unauthorized_client',
  ],
  [
    "a grant that is not the client's: code",
    post({
      grant_type: 'authorization_code',
      code: 'x',
      redirect_uri: 'x',
      code_verifier: 'x'.repeat(43),
      ...proof(risk),
    }),
    400,
    'unauthorized_client',
  ],
  [
    "a grant that is not the client's: refresh",
    post({ grant_type: 'refresh_token', refresh_token: 'x', ...proof(risk) }),
    400,
    'unauthorized_client',
  ],
  [
    'a public client on its own',
    () => op.token({ ...machine, client_id: open.client_id }),
    [400, 401],
    ['unauthorized_client', 'invalid_client'],
  ],
  [
    'a wrong password',
    post({
      grant_type: 'password',
      username: 'user@example.com',
      password: 'wrong',
      ...proof(portal),
    }),
    400,
    'invalid_grant',
  ],
  [
    'an unknown user',
    post({
      grant_type: 'password',
      username: 'nobody@example.com',
      password: 'wrong',
      ...proof(portal),
    }),
    400,
    'invalid_grant',
  ],
  [
    'no password',
    post({ grant_type: 'password', username: 'user@example.com', ...proof(portal) }),
    400,
    'invalid_request',
  ],
  [
    'a password for what the user may not',
    post({
      grant_type: 'password',
      username: 'user@example.com',
      password: 'user123',
      scope: 'admin',
      ...proof(portal),
    }),
    400,
    'invalid_scope',
  ],
  [
    'an unknown code',
    post({
      grant_type: 'authorization_code',
      code: 'x'.repeat(43),
      redirect_uri: 'http://127.0.0.1/callback',
      code_verifier: 'x'.repeat(43),
      ...proof(portal),
    }),
    400,
    'invalid_grant',
  ],
  [
    'no code',
    post({
      grant_type: 'authorization_code',
      redirect_uri: 'http://127.0.0.1/callback',
      code_verifier: 'x'.repeat(43),
      ...proof(portal),
    }),
    400,
    'invalid_request',
  ],
  [
    'an unknown refresh token',
    post({ grant_type: 'refresh_token', refresh_token: 'x'.repeat(43), ...proof(portal) }),
    400,
    'invalid_grant',
  ],
  [
    'no refresh token',
    post({ grant_type: 'refresh_token', ...proof(portal) }),
    400,
    'invalid_request',
  ],
];

for (const [name, ask, statuses, errors] of requests)
  test(`token request: ${name}`, async () => {
    const reply = await ask();
    assert.ok([statuses].flat().includes(reply.status), `${reply.status} ${reply.text}`);
    assertOauthError(reply, reply.status, errors);
    assert.ok(!/change-me|user123/.test(reply.text), 'a secret was repeated');
  });

test('who used Basic is asked for it again', async () => {
  const reply = await op.token(machine, { headers: basic('web-portal', 'wrong') });
  assertOauthError(reply, 401, 'invalid_client');
  assert.match(reply.headers['www-authenticate'] ?? '', /^Basic\b/);
});

test('a client that does not exist looks like one with a wrong secret', async () => {
  const wrong = await op.token({ ...machine, client_id: 'web-portal', client_secret: 'x' });
  const unknown = await op.token({ ...machine, client_id: 'nobody-here', client_secret: 'x' });
  assert.equal(unknown.text, wrong.text);
  const user = (name) =>
    op.token({ grant_type: 'password', username: name, password: 'x', ...proof(portal) });
  assert.equal(
    (await user('no-such-one@example.com')).text,
    (await user('admin@example.com')).text,
  );
});

test('tokens are asked for by POST alone', async () => {
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const reply = await op.request(method, '/auth/token?grant_type=client_credentials');
    assert.equal(reply.status, 405, method);
    assert.match(reply.headers.allow, /POST/);
  }
});

test('revocation and introspection are for clients that prove themselves', async () => {
  for (const path of ['/auth/revoke', '/auth/introspect']) {
    assertOauthError(await op.form(path, { token: 'x' }), 401, 'invalid_client');
    assertOauthError(
      await op.form(path, { token: 'x', client_id: 'web-portal', client_secret: 'wrong' }),
      401,
      'invalid_client',
    );
    assertOauthError(await op.form(path, proof(portal)), 400, 'invalid_request');
  }
  const public_ = await op.form('/auth/introspect', { token: 'x', client_id: open.client_id });
  assertOauthError(public_, 401, 'invalid_client');
});

// ---- codes --------------------------------------------------------------------------------------

const wrongCodes = [
  ['a wrong verifier', { code_verifier: 'w'.repeat(43) }],
  ['no verifier', { code_verifier: undefined }],
  ['a short verifier', { code_verifier: 'short' }],
  ['a long verifier', { code_verifier: 'x'.repeat(129) }],
  ['another redirect_uri', { redirect_uri: 'http://localhost:3000/callback' }],
  ['another port', { redirect_uri: 'http://127.0.0.1:81/callback' }],
  ['no redirect_uri', { redirect_uri: undefined }],
];
for (const [name, changes] of wrongCodes)
  test(`code refused: ${name}`, async () => {
    const got = await codeOf(op, browser, portal);
    const reply = await redeem(op, portal, got, changes);
    assertOauthError(reply, 400, ['invalid_grant', 'invalid_request']);
  });

test('code refused: the challenge itself as verifier', async () => {
  const got = await codeOf(op, browser, portal);
  assertOauthError(
    await redeem(op, portal, got, { code_verifier: got.code_challenge }),
    400,
    'invalid_grant',
  );
});

test('code refused: changed, cut short, doubled', async () => {
  const got = await codeOf(op, browser, portal);
  for (const code of [
    got.code.slice(0, -1),
    `${got.code}A`,
    got.code.toUpperCase(),
    ` ${got.code}`,
  ])
    assertOauthError(await redeem(op, portal, { ...got, code }), 400, 'invalid_grant');
  assert.equal((await redeem(op, portal, got)).status, 200);
});

test('code refused: at another client, confidential or public', async () => {
  const got = await codeOf(op, browser, portal);
  assertOauthError(await redeem(op, web, got), 400, 'invalid_grant');
  assertOauthError(await redeem(op, open, got), 400, 'invalid_grant');
  const theirs = await codeOf(op, browser, open);
  assertOauthError(await redeem(op, portal, theirs), 400, 'invalid_grant');
});

test('code refused: without the secret of its client', async () => {
  const got = await codeOf(op, browser, portal);
  assertOauthError(await redeem(op, { client_id: 'web-portal' }, got), 401, 'invalid_client');
  assertOauthError(
    await redeem(op, portal, got, { client_secret: 'wrong' }),
    401,
    'invalid_client',
  );
});

test('code refused: as a refresh token, and a refresh token as a code', async () => {
  const got = await codeOf(op, browser, portal);
  assertOauthError(await refresh(op, portal, got.code), 400, 'invalid_grant');
  const { refresh_token: token } = (await redeem(op, portal, got)).json;
  assertOauthError(await redeem(op, portal, { ...got, code: token }), 400, 'invalid_grant');
});

test('a second use of a code ends what the first gave', async () => {
  const got = await codeOf(op, browser, portal);
  const { access_token: token, refresh_token: next } = (await redeem(op, portal, got)).json;
  assert.equal((await op.get('/whoami', { token })).status, 200);
  assert.equal((await op.gate.get('/api/v1/users/profile', { token })).status, 200);
  assertOauthError(await redeem(op, portal, got), 400, 'invalid_grant');
  for (const ask of [
    () => op.get('/whoami', { token }),
    () => op.gate.get('/api/v1/users/profile', { token }),
  ]) {
    const { waited, reply } = await refusedAfter(ask);
    assertBearerError(reply, 401, 'invalid_token');
    assert.ok(waited < 1000, `${waited} ms`);
  }
  assertOauthError(await refresh(op, portal, next), 400, 'invalid_grant');
});

test('twenty at once with one code: one wins at most, and the session ends', async () => {
  const got = await codeOf(op, browser, portal);
  const replies = await Promise.all(Array.from({ length: 20 }, () => redeem(op, portal, got)));
  const won = replies.filter((reply) => reply.status === 200);
  assert.equal(won.length, 1);
  for (const reply of replies.filter((one) => one !== won[0]))
    assertOauthError(reply, 400, 'invalid_grant');
  await refusedAfter(() => op.get('/whoami', { token: won[0].json.access_token }));
});

// ---- refresh tokens -----------------------------------------------------------------------------

test("a refresh token is its client's alone", async () => {
  const tokens = await tokensOf(op, browser, portal);
  assertOauthError(await refresh(op, web, tokens.refresh_token), 400, 'invalid_grant');
  assertOauthError(await refresh(op, open, tokens.refresh_token), 400, 'invalid_grant');
  assertOauthError(
    await refresh(op, { client_id: 'web-portal' }, tokens.refresh_token),
    401,
    'invalid_client',
  );
  assert.equal((await refresh(op, portal, tokens.refresh_token)).status, 200, 'the owner goes on');
});

test('a refresh never widens the scope', async () => {
  const tokens = await tokensOf(op, browser, portal, {
    scope: 'openid accounts:read offline_access',
  });
  for (const scope of ['openid accounts:read accounts:write', 'orders:read', 'admin'])
    assertOauthError(
      await refresh(op, portal, tokens.refresh_token, { scope }),
      400,
      'invalid_scope',
    );
  const less = await refresh(op, portal, tokens.refresh_token, { scope: 'accounts:read' });
  assert.equal(less.json.scope, 'accounts:read');
});

test('a short life: codes are over, used refresh tokens end their family', async () => {
  const strict = await startIssuer({
    config: 'oauth:\n  code_seconds: 5\n  grace_seconds: 0\n',
  });
  try {
    const own = new Browser(strict);
    const late = await codeOf(strict, own, portal);
    const tokens = await tokensOf(strict, own, portal);
    const beside = await tokensOf(strict, own, portal);
    const next = await refresh(strict, portal, tokens.refresh_token);
    assert.equal(next.status, 200, next.text);
    const stolen = await refresh(strict, portal, tokens.refresh_token);
    assertOauthError(stolen, 400, 'invalid_grant');
    for (const token of [tokens.access_token, next.json.access_token]) {
      const { waited } = await refusedAfter(() => strict.get('/whoami', { token }));
      assert.ok(waited < 1000, `${waited} ms`);
    }
    assertOauthError(await refresh(strict, portal, next.json.refresh_token), 400, 'invalid_grant');
    // The family beside it is another.
    assert.equal((await refresh(strict, portal, beside.refresh_token)).status, 200);
    await sleep(5100);
    assertOauthError(await redeem(strict, portal, late), 400, 'invalid_grant');
  } finally {
    await strict.stop();
  }
});

// ---- guessing -----------------------------------------------------------------------------------

test('guessing at one door is guessing at all of them, and locks out no owner', async () => {
  const account = await op.gate.register();
  const who = { email: account.email, password: account.password };
  const [guesser, owner] = ['127.0.7.1', '127.0.7.2'];
  const held = await tokensOf(op, new Browser(op, { from: owner }), portal, {}, who);
  const guess = (password) =>
    op.token(
      { grant_type: 'password', username: account.email, password, ...proof(portal) },
      { from: guesser },
    );
  let reply;
  let tries = 0;
  do reply = await guess(`guess number ${++tries}`);
  while (reply.status === 400 && tries < 60);
  assert.equal(reply.status, 429, `${tries} guesses: ${reply.text}`);
  assert.match(reply.headers['retry-after'] ?? '', /^[1-9]\d*$/);
  assert.ok(tries > 3, `a person who mistypes needs more than ${tries} tries`);
  assert.equal((await guess(account.password)).status, 429, 'the right one does not help now');

  const there = await op.gate.post('/api/v1/auth/login', who, { from: guesser });
  assert.equal(there.status, 429, 'the gateway is another door');
  const one = new Browser(op, { from: guesser });
  const { page } = await one.open('GET', authorization(op, portal).url);
  const at = await one.signIn(page, account.email, account.password);
  assert.equal(at.page?.status, 429, 'the page is another door');
  assert.match(at.page.headers['retry-after'] ?? '', /^[1-9]\d*$/);

  assert.equal((await refresh(op, portal, held.refresh_token)).status, 200);
  await codeOf(op, new Browser(op, { from: owner }), portal, {}, who);
});
