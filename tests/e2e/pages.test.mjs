// SPDX-License-Identifier: MIT
// The issuer's pages in a real browser without scripts: the whole flow by keyboard, who is spoken
// to, what can be read in the light and in the dark, and what other sites cannot do with them.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { after, before } from 'node:test';
import { allow, faint, launch, logIn, picture } from './browser_kit.mjs';
import { freePort, Portcullis, test } from './harness.mjs';

let gate;
let issuer; // where the pages are
let elsewhere; // other people's pages, and the client's
let pages = {};
let browser;
before(async () => {
  const port = await freePort();
  gate = await Portcullis.start({ env: { AUTH_PORT: String(port) } });
  issuer = `http://127.0.0.1:${port}`;
  elsewhere = http.createServer((request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end(
      `<!doctype html><html lang="en"><title>Elsewhere</title><link rel="icon" href="data:,">${
        pages[new URL(request.url, 'http://x').pathname] ?? 'Back'
      }`,
    );
  });
  elsewhere.listen(0);
  await once(elsewhere, 'listening');
  browser = await launch();
});
after(async () => {
  await browser?.close();
  elsewhere?.close();
  await gate?.stop();
});

const port = () => elsewhere.address().port;
const callback = () => `http://127.0.0.1:${port()}/callback`;

/** An authorization request of the portal, whose loopback port may vary. */
function request(params = {}, base = issuer) {
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    client_id: 'web-portal',
    redirect_uri: callback(),
    response_type: 'code',
    scope: 'openid profile accounts:read',
    state: 'a b/c?d=e&f#g',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    prompt: 'consent',
    ...params,
  });
  return { url: `${base}/oauth/authorize?${query}`, verifier };
}

/** A new browser without scripts, and whatever its console says. */
async function visitor(options = {}) {
  const context = await browser.newContext({
    viewport: { width: 900, height: 800 },
    javaScriptEnabled: false,
    ...options,
  });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  return { context, page, complaints };
}

async function arrived(page) {
  await page.waitForURL(`${callback()}?*`);
  const { searchParams } = new URL(page.url());
  assert.equal(searchParams.get('state'), 'a b/c?d=e&f#g');
  assert.ok(searchParams.get('iss'));
  return searchParams;
}

test('nothing but the keyboard, from the first page to a token', async () => {
  const { context, page, complaints } = await visitor();
  const { url, verifier } = request();
  await page.goto(url);
  await page.locator('#email:focus').waitFor(); // by itself, once the page is drawn
  await page.keyboard.type('user@example.com');
  await page.keyboard.press('Tab');
  await page.keyboard.type('user123');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await allow(page).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Space');
  const code = (await arrived(page)).get('code');
  const reply = await gate.request('POST', '/api/v1/oauth/token', {
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: callback(),
      code_verifier: verifier,
      client_id: 'web-portal',
      client_secret: 'change-me',
    }).toString(),
  });
  assert.equal(reply.status, 200, reply.text);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('the same pages on the gateway', async () => {
  const { context, page, complaints } = await visitor();
  await page.goto(request({}, gate.url).url);
  await logIn(page);
  assert.ok(page.url().startsWith(gate.url));
  await allow(page).click();
  assert.ok((await arrived(page)).get('code'));
  assert.deepEqual(complaints, []);
  await context.close();
});

test('what went wrong has the focus, and the address stays', async () => {
  const { context, page } = await visitor();
  await page.goto(request().url);
  await logIn(page, 'user@example.com', 'wrong');
  const alert = page.getByRole('alert');
  await alert.waitFor();
  assert.equal(await alert.innerText(), 'The e-mail address or password is wrong.');
  await page.locator('#error:focus').waitFor();
  assert.match(await page.title(), /^Error: /);
  assert.equal(await page.locator('#email').inputValue(), 'user@example.com');
  assert.equal(await page.locator('#password').inputValue(), '');
  assert.equal(await page.locator('#email').getAttribute('aria-describedby'), 'error');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'email');
  await picture(page, 'pages-wrong');
  await context.close();
});

test('denying, and somebody else', async () => {
  const { context, page, complaints } = await visitor();
  await page.goto(request().url);
  await logIn(page);
  await page.getByRole('button', { name: 'Deny' }).click();
  assert.equal((await arrived(page)).get('error'), 'access_denied');
  await page.goto(request().url);
  assert.match(await page.locator('main').innerText(), /user@example\.com/);
  await page.getByRole('button', { name: 'Not you?' }).click();
  await logIn(page, 'analyst@example.com', 'P@ssw0rd!');
  await allow(page).waitFor();
  assert.match(await page.locator('main').innerText(), /analyst@example\.com/);
  await allow(page).click();
  assert.ok((await arrived(page)).get('code'));
  assert.deepEqual(complaints, []);
  await context.close();
});

test('signing out asks, and then nobody is signed in', async () => {
  const { context, page, complaints } = await visitor();
  await page.goto(request().url);
  await logIn(page);
  await allow(page).waitFor();
  await page.goto(`${issuer}/oauth/logout`);
  assert.match(await page.locator('h1').innerText(), /Sign out\?/);
  await picture(page, 'pages-logout');
  await page.getByRole('button', { name: 'Sign out' }).click();
  assert.match(await page.locator('h1').innerText(), /signed out/);
  assert.deepEqual(await context.cookies(issuer).then((all) => all.map((one) => one.name)), [
    'portcullis_form',
  ]);
  await page.goto(request().url);
  assert.match(await page.locator('h1').innerText(), /Sign in/);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('every word can be read, in the light and in the dark', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const { context, page } = await visitor({ colorScheme });
    await page.goto(request().url);
    assert.deepEqual(await page.evaluate(faint), []);
    await picture(page, `pages-login-${colorScheme}`);
    await logIn(page, 'user@example.com', 'wrong');
    await page.getByRole('alert').waitFor();
    assert.deepEqual(await page.evaluate(faint), []);
    await logIn(page);
    await allow(page).waitFor();
    assert.deepEqual(await page.evaluate(faint), []);
    await picture(page, `pages-consent-${colorScheme}`);
    await context.close();
  }
});

// ---- other sites --------------------------------------------------------------------------------

test('no other site can frame them', async () => {
  const { context, page } = await visitor();
  pages['/frame'] = `<iframe id="it" src="${request().url.replaceAll('&', '&amp;')}"></iframe>`;
  await page.goto(`http://localhost:${port()}/frame`);
  const frame = await (await page.waitForSelector('#it')).contentFrame();
  await frame.waitForLoadState();
  assert.equal(await frame.locator('#password').count(), 0);
  await context.close();
});

/** A form as another page would hold it, with what it can know. */
function forged(action, fields) {
  const inputs = Object.entries(fields)
    .map(([name, value]) => {
      const text = value.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
      return `<input type="hidden" name="${name}" value="${text}">`;
    })
    .join('');
  const target = `${issuer}/oauth/${action}`;
  return `<form method="post" action="${target}">${inputs}<button>Win</button></form>`;
}

test('no other site can agree, sign in or sign out for somebody', async () => {
  const { context, page } = await visitor();
  const { url } = request();
  const query = new URL(url).search.slice(1);
  await page.goto(url);
  await logIn(page);
  await allow(page).waitFor();
  const cookies = await context.cookies(issuer);
  pages['/consent'] = forged('consent', { request: query, csrf: 'x', decision: 'allow' });
  pages['/login'] = forged('login', {
    request: query,
    csrf: 'x',
    email: 'analyst@example.com',
    password: 'P@ssw0rd!',
  });
  pages['/logout'] = forged('logout', { request: '', csrf: 'x' });
  // localhost is another site; another port of the same host is none, and brings the cookies along.
  for (const host of ['localhost', '127.0.0.1'])
    for (const name of ['/consent', '/login', '/logout']) {
      await page.goto(`http://${host}:${port()}${name}`);
      await page.getByRole('button', { name: 'Win' }).click();
      await page.waitForURL(`${issuer}/**`);
      assert.ok(!page.url().startsWith(callback()), `${host}${name}`);
    }
  await page.goto(url);
  assert.match(await page.locator('main').innerText(), /user@example\.com/, 'still signed in');
  const login = (all) => all.find((one) => one.name === 'portcullis_login').value;
  assert.equal(login(await context.cookies(issuer)), login(cookies));
  await context.close();
});
