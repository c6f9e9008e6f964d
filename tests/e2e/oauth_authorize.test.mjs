// SPDX-License-Identifier: MIT
// Where the issuer sends a browser, and where it never does; and what its pages let nobody do.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { test } from './harness.mjs';
import {
  assertNotStored,
  authorization,
  Browser,
  challengeOf,
  codeOf,
  createClient,
  formsOf,
  loginForm,
  redeem,
  startIssuer,
  tokensOf,
} from './oauth_kit.mjs';

const portal = {
  client_id: 'web-portal',
  secret: 'change-me',
  redirectUris: ['http://127.0.0.1/callback', 'http://localhost:3000/callback'],
};

let op;
let web; // a client of the web
let browser; // signed in, and agreed to both
before(async () => {
  op = await startIssuer();
  web = await createClient(op, {
    grants: ['authorization_code', 'refresh_token'],
    scopes: ['openid', 'profile', 'offline_access', 'accounts:read'],
    redirectUris: ['https://app.example/cb?x=1'],
  });
  browser = new Browser(op);
  for (const client of [portal, web]) await codeOf(op, browser, client);
});
after(() => op?.stop());

// ---- the authorization endpoint: never sent anywhere --------------------------------------------

const strays = [
  ['an unknown client', { client_id: 'nobody' }],
  ['no client', { client_id: undefined }],
  ['client_id twice', { client_id: ['web-portal', 'web-portal'] }],
  ['a client without redirects', { client_id: 'risk-engine' }],
  ['no redirect_uri, where there are two', { redirect_uri: undefined }],
  [
    'redirect_uri twice',
    { redirect_uri: ['http://127.0.0.1/callback', 'http://127.0.0.1/callback'] },
  ],
  ['another host', { redirect_uri: 'https://evil.example/callback' }],
  ['another path', { redirect_uri: 'http://127.0.0.1/other' }],
  ['a slash more', { redirect_uri: 'http://127.0.0.1/callback/' }],
  ['two slashes', { redirect_uri: 'http://127.0.0.1//callback' }],
  ['other letters', { redirect_uri: 'http://127.0.0.1/Callback' }],
  ['another scheme', { redirect_uri: 'https://127.0.0.1/callback' }],
  ['a scheme of script', { redirect_uri: 'javascript:alert(1)//127.0.0.1/callback' }],
  ['a fragment', { redirect_uri: 'http://127.0.0.1/callback#x' }],
  ['an empty fragment', { redirect_uri: 'http://127.0.0.1/callback#' }],
  ['a query more', { redirect_uri: 'http://127.0.0.1/callback?x=1' }],
  ['a user in front', { redirect_uri: 'http://evil.example@127.0.0.1/callback' }],
  ['a user behind', { redirect_uri: 'http://127.0.0.1@evil.example/callback' }],
  ['a host that begins alike', { redirect_uri: 'http://127.0.0.1.evil.example/callback' }],
  ['a path that begins alike', { redirect_uri: 'http://127.0.0.1/callback.evil' }],
  ['a detour', { redirect_uri: 'http://127.0.0.1/x/../callback' }],
  ['a path in escapes', { redirect_uri: 'http://127.0.0.1/%63allback' }],
  ['a backslash', { redirect_uri: 'http://127.0.0.1\\@evil.example/callback' }],
  ['another loopback address', { redirect_uri: 'http://127.0.0.2/callback' }],
  ['an address in another notation', { redirect_uri: 'http://2130706433/callback' }],
  ['a port that is none', { redirect_uri: 'http://127.0.0.1:99999/callback' }],
  ['a port with a path in it', { redirect_uri: 'http://127.0.0.1:80@evil.example/callback' }],
  ['no scheme', { redirect_uri: '//127.0.0.1/callback' }],
  ['a relative one', { redirect_uri: '/callback' }],
  ['a line feed', { redirect_uri: 'http://127.0.0.1/callback\r\nX: 1' }],
  ['a blank behind', { redirect_uri: 'http://127.0.0.1/callback ' }],
];
const webStrays = [
  ['a port', 'https://app.example:444/cb?x=1'],
  ['the port that is meant anyway', 'https://app.example:443/cb?x=1'],
  ['plain HTTP', 'http://app.example/cb?x=1'],
  ['another query', 'https://app.example/cb?x=2'],
  ['a query more', 'https://app.example/cb?x=1&y=2'],
  ['no query', 'https://app.example/cb'],
  ['a dot behind the host', 'https://app.example./cb?x=1'],
  ['a host in capitals', 'https://APP.example/cb?x=1'],
  ['a host below', 'https://sub.app.example/cb?x=1'],
];
const stray = async (client, params) => {
  const reply = await browser.step('GET', authorization(op, client, params).url);
  assert.equal(reply.status, 400, reply.text.slice(0, 300));
  assert.equal(reply.headers.location, undefined);
  assert.match(reply.headers['content-type'], /^text\/html/);
  assert.doesNotMatch(reply.text, /evil\.example/, 'what was sent is shown');
  assert.doesNotMatch(reply.text, /http-equiv|<script/i);
};
for (const [name, params] of strays)
  test(`authorization without a redirect: ${name}`, () => stray(portal, params));
for (const [name, redirect_uri] of webStrays)
  test(`authorization without a redirect: on the web, ${name}`, () => stray(web, { redirect_uri }));

test('a loopback port may vary, and nothing else', async () => {
  for (const redirect_uri of ['http://127.0.0.1:1/callback', 'http://127.0.0.1:65535/callback']) {
    const got = await codeOf(op, browser, portal, { redirect_uri });
    assert.equal((await redeem(op, portal, got)).status, 200);
  }
});

test('a redirect URI with a query keeps it', async () => {
  const got = await codeOf(op, browser, web);
  assert.equal(got.back.searchParams.get('x'), '1');
  assert.equal((await redeem(op, web, got)).status, 200);
});

// ---- the authorization endpoint: sent back with an error ----------------------------------------

const answers = [
  ['no response_type', { response_type: undefined }, 'invalid_request'],
  ['the implicit flow', { response_type: 'token' }, 'unsupported_response_type'],
  ['the hybrid flow', { response_type: 'code id_token' }, 'unsupported_response_type'],
  ['an unknown response_type', { response_type: 'x' }, 'unsupported_response_type'],
  [
    'no challenge',
    { code_challenge: undefined, code_challenge_method: undefined },
    'invalid_request',
  ],
  ['an empty challenge', { code_challenge: '' }, 'invalid_request'],
  ['the method plain', { code_challenge_method: 'plain' }, 'invalid_request'],
  ['no method, which is plain', { code_challenge_method: undefined }, 'invalid_request'],
  ['a method in other letters', { code_challenge_method: 's256' }, 'invalid_request'],
  ['a challenge that is too short', { code_challenge: 'x'.repeat(42) }, 'invalid_request'],
  ['a challenge that is too long', { code_challenge: 'x'.repeat(129) }, 'invalid_request'],
  ['a challenge of other characters', { code_challenge: `${'x'.repeat(42)}+` }, 'invalid_request'],
  ['an unknown scope', { scope: 'openid moon:read' }, 'invalid_scope'],
  ["a scope that is not the client's", { scope: 'openid admin' }, 'invalid_scope'],
  ['scope twice', { scope: ['openid', 'openid'] }, 'invalid_request'],
  ['challenge twice', { code_challenge: [challengeOf('a'), challengeOf('a')] }, 'invalid_request'],
  ['a request object', { request: 'e30.e30.' }, ['request_not_supported', 'invalid_request']],
  [
    'a request by address',
    { request_uri: 'https://x.example/r' },
    ['request_uri_not_supported', 'invalid_request'],
  ],
  ['prompt none with another', { prompt: 'none login' }, 'invalid_request'],
  ['a max_age that is none', { max_age: 'soon' }, 'invalid_request'],
];
function sentBack(reply, asked, errors) {
  assert.equal(reply.status, 303, `${reply.status} ${reply.text.slice(0, 300)}`);
  const back = new URL(reply.headers.location);
  assert.equal(`${back.origin}${back.pathname}`, 'http://127.0.0.1/callback');
  assert.ok([errors].flat().includes(back.searchParams.get('error')), back.search);
  assert.equal(back.searchParams.get('iss'), op.issuer);
  assert.equal(back.searchParams.get('state'), asked.state ?? null);
  assert.equal(back.searchParams.get('code'), null);
  for (const name of ['error', 'state', 'iss'])
    assert.ok(back.searchParams.getAll(name).length <= 1, `${name} is repeated`);
}
for (const [name, params, errors] of answers)
  test(`authorization sent back: ${name}`, async () => {
    const asked = authorization(op, portal, params);
    sentBack(await browser.step('GET', asked.url), asked, errors);
  });

test('prompt=none shows no page', async () => {
  const asked = authorization(op, portal, { prompt: 'none' });
  sentBack(await new Browser(op).step('GET', asked.url), asked, 'login_required');
  const one = await createClient(op, {
    grants: ['authorization_code'],
    scopes: ['openid'],
    redirectUris: ['http://127.0.0.1/callback'],
  });
  const first = authorization(op, one, { prompt: 'none', scope: 'openid' });
  sentBack(await browser.step('GET', first.url), first, [
    'consent_required',
    'interaction_required',
  ]);
  const silent = await browser.open('GET', asked.url);
  assert.ok(silent.away?.searchParams.get('code'), 'who is signed in and agreed needs no page');
});

test('prompt=login and max_age ask for the password again', async () => {
  for (const params of [{ prompt: 'login' }, { max_age: '0' }]) {
    const asked = authorization(op, portal, params);
    const { page } = await browser.open('GET', asked.url);
    assert.ok(page && loginForm(page), 'no login page');
  }
});

test('who says no is sent back with access_denied', async () => {
  const one = await createClient(op, {
    grants: ['authorization_code'],
    scopes: ['openid', 'profile'],
    redirectUris: ['http://127.0.0.1/callback'],
  });
  const asked = authorization(op, one, { scope: 'openid profile', state: undefined });
  const back = await browser.authorize(asked.url, { yes: false });
  assert.equal(back.searchParams.get('error'), 'access_denied');
  assert.equal(back.searchParams.get('iss'), op.issuer);
  assert.equal(back.searchParams.has('state'), false, 'a state that was not sent');
});

test('a long state and nonce come back whole', async () => {
  const state = `${'s&=?#%+ é'.repeat(120)}`;
  const got = await codeOf(op, browser, portal, { state, nonce: 'n'.repeat(64) });
  assert.equal(got.back.searchParams.get('state'), state);
  const { json } = await redeem(op, portal, got);
  const { nonce } = JSON.parse(Buffer.from(json.id_token.split('.')[1], 'base64url'));
  assert.equal(nonce, 'n'.repeat(64));
});

// ---- the pages ----------------------------------------------------------------------------------

test('a form without its cookie, or of another browser, signs nobody in', async () => {
  const [mine, theirs] = [new Browser(op), new Browser(op)];
  const { url } = authorization(op, portal);
  const { page } = await mine.open('GET', url);
  const other = (await theirs.open('GET', url)).page;
  theirs.cookies.clear();
  for (const tried of [theirs.signIn(page, 'user@example.com', 'user123')]) {
    const at = await tried;
    assert.ok(at.page, 'it was sent on');
    assert.ok(at.page.status >= 400 || loginForm(at.page), at.page.text.slice(0, 200));
  }
  // mine's cookies with the other's token
  const at = await mine.signIn(other, 'user@example.com', 'user123');
  assert.ok(at.page && (at.page.status >= 400 || loginForm(at.page)), 'a token of another');
  assert.equal(
    (
      await mine.open('GET', authorization(op, portal, { prompt: 'none' }).url)
    ).away.searchParams.get('error'),
    'login_required',
  );
});

test('consent without its token gives nothing', async () => {
  const one = await createClient(op, {
    grants: ['authorization_code'],
    scopes: ['openid'],
    redirectUris: ['http://127.0.0.1/callback'],
  });
  const { url } = authorization(op, one, { scope: 'openid' });
  const { page } = await browser.open('GET', url);
  const form = formsOf(page.text, page.url).find((each) => each.buttons.length > 0);
  const yes = form.buttons.find((button) => /allow|continue|agree|accept/i.test(button.text));
  for (const hidden of form.inputs.filter((input) => input.type === 'hidden')) {
    const at = await browser.submit(page, form, { [hidden.name]: `${hidden.value}x` }, yes);
    assert.equal(at.away?.searchParams.get('code') ?? null, null, hidden.name);
  }
});

test('pages cannot be framed, cached, or asked by other origins', async () => {
  const { page } = await new Browser(op).open('GET', authorization(op, portal).url);
  assert.equal(page.headers['x-frame-options'], 'DENY');
  const policy = page.headers['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.match(policy, /base-uri 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  assert.match(page.headers['referrer-policy'], /no-referrer|same-origin/);
  assertNotStored(page);
  assert.doesNotMatch(page.text, /<script|<style|\sstyle=|\son\w+=/i);
  const crossed = await op.get(new URL(authorization(op, portal).url).pathname, {
    headers: { Origin: 'http://localhost:3000' },
  });
  assert.equal(crossed.headers['access-control-allow-origin'], undefined);
});

test('what is posted is answered with 303', async () => {
  const one = new Browser(op);
  const fresh = await createClient(op, {
    grants: ['authorization_code'],
    scopes: ['openid'],
    redirectUris: ['http://127.0.0.1/callback'],
  });
  const steps = [];
  const step = one.step.bind(one);
  one.step = async (method, ...rest) => {
    const reply = await step(method, ...rest);
    if (method === 'POST') steps.push(reply);
    return reply;
  };
  await codeOf(op, one, fresh, { scope: 'openid' });
  assert.ok(steps.length >= 2, `${steps.length} forms`);
  for (const reply of steps) assert.equal(reply.status, 303);
  for (const line of one.seen.flatMap((reply) => reply.headers['set-cookie'] ?? [])) {
    assert.match(line, /;\s*HttpOnly/i);
    assert.match(line, /;\s*SameSite=(Lax|Strict)/i);
  }
});

test('a wrong password is told on the page, the same for all', async () => {
  const told = async (email) => {
    const one = new Browser(op);
    const { page } = await one.open('GET', authorization(op, portal).url);
    const at = await one.signIn(page, email, 'wrong-password');
    assert.ok(at.page && loginForm(at.page), 'no login page');
    assert.ok(!at.page.text.includes('wrong-password'));
    return at.page.text.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');
  };
  assert.equal(await told('admin@example.com'), await told('nobody-there@example.com'));
});

// ---- logout -------------------------------------------------------------------------------------

test('logout sends nobody where the client does not say, nor believes another token', async () => {
  const one = await createClient(op, {
    grants: ['authorization_code'],
    scopes: ['openid'],
    redirectUris: ['http://127.0.0.1/callback'],
    logoutUris: ['http://127.0.0.1/bye'],
  });
  const own = new Browser(op);
  const tokens = await tokensOf(op, own, one, { scope: 'openid' });
  const { end_session_endpoint: end } = (await op.get('/.well-known/openid-configuration')).json;
  const ask = async (params) => {
    const reply = await own.step('GET', `${end}?${new URLSearchParams(params)}`);
    const location = reply.headers.location && new URL(reply.headers.location, op.url);
    assert.ok(!location || location.origin === op.url, `sent to ${location}`);
    assert.doesNotMatch(reply.text, /href="https?:\/\/evil/);
  };
  const [bye, hint] = ['http://127.0.0.1/bye', tokens.id_token];
  for (const params of [
    {},
    { post_logout_redirect_uri: bye },
    { post_logout_redirect_uri: bye, id_token_hint: tokens.access_token },
    { post_logout_redirect_uri: bye, id_token_hint: `${hint}x` },
    { post_logout_redirect_uri: bye, id_token_hint: 'x' },
  ])
    await ask(params);
  const told = await op.get('/oauth/userinfo', { token: tokens.access_token });
  assert.equal(told.status, 200, 'an unproven request signed the user out');
  for (const params of [
    { post_logout_redirect_uri: 'https://evil.example/', id_token_hint: hint },
    { post_logout_redirect_uri: `${bye}/`, id_token_hint: hint },
    { post_logout_redirect_uri: 'http://127.0.0.1/callback', id_token_hint: hint },
    { post_logout_redirect_uri: bye, id_token_hint: hint, client_id: 'web-portal' },
  ])
    await ask(params);
});
