// SPDX-License-Identifier: MIT
// Signing in and consenting in a real browser: by keyboard alone, without scripts, on a narrow
// screen, in the dark. The browser enforces the policy that the pages are served with, up to the
// redirect that leaves them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import path from 'node:path';
import { after, before } from 'node:test';
import { launch } from './browser_kit.mjs';
import { test } from './harness.mjs';
import { authorization, createClient, redeem, startIssuer } from './oauth_kit.mjs';

const pictures = process.env.PORTCULLIS_PICTURES; // a folder: screenshots are kept there

let op;
let browser;
let callback; // the client's own page
let redirect;
before(async () => {
  op = await startIssuer();
  callback = http.createServer((req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/html' });
    res.end(
      '<!doctype html><html lang="en"><title>Back</title><link rel="icon" href="data:,">Back',
    );
  });
  callback.listen(0, '127.0.0.1');
  await once(callback, 'listening');
  redirect = `http://127.0.0.1:${callback.address().port}/callback`;
  browser = await launch();
});
after(async () => {
  await browser?.close();
  callback?.close();
  await op?.stop();
});

/** A client that this user has not agreed to yet, and a page at its authorization request. */
async function arrive(options = {}, params = {}) {
  const client = await createClient(op, {
    name: 'Corner Shop',
    grants: ['authorization_code', 'refresh_token'],
    scopes: ['openid', 'profile', 'email', 'offline_access', 'accounts:read', 'orders:write'],
    redirectUris: ['http://127.0.0.1/callback'],
  });
  const context = await browser.newContext({ viewport: { width: 1024, height: 768 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('request', (request) => {
    const url = request.url();
    if (![op.url, new URL(redirect).origin, 'data:'].some((start) => url.startsWith(start)))
      complaints.push(`outside: ${url}`);
  });
  const asked = authorization(op, client, {
    redirect_uri: redirect,
    scope: 'openid profile email offline_access accounts:read',
    ...params,
  });
  await page.goto(asked.url);
  // A key pressed before the page has set its focus takes it away, and Chromium says so.
  await page.waitForSelector('[autofocus]:focus');
  return { client, context, page, complaints, asked };
}

async function picture(page, name) {
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
}

/** Presses Tab until the focus is on something that `wanted` describes. */
async function tabTo(page, wanted) {
  for (let i = 0; i < 30; i++) {
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      return `${element.localName} ${element.type ?? ''} ${element.textContent.trim()}`;
    });
    if (wanted.test(at)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`the keyboard does not reach ${wanted}`);
}

async function signIn(page, password = 'user123') {
  await page
    .locator('input:not([type=hidden]):not([type=password])')
    .first()
    .fill('user@example.com');
  await page.locator('input[type=password]').fill(password);
  await page.locator('input[type=password]').press('Enter');
}
const allow = (page) =>
  page.locator('button', { hasText: /^\s*(allow|continue|agree|accept)/i }).first();

async function arrived(page, asked) {
  await page.waitForURL(`${redirect}?*`);
  const back = new URL(page.url());
  assert.equal(back.searchParams.get('state'), asked.state);
  assert.equal(back.searchParams.get('iss'), op.issuer);
  return back.searchParams;
}

test('by keyboard alone, from the login to the client', async () => {
  const { client, context, page, complaints, asked } = await arrive();
  await picture(page, 'oauth-login');
  await tabTo(page, /^input (email|text)/);
  await page.keyboard.type('user@example.com');
  await tabTo(page, /^input password/);
  await page.keyboard.type('user123');
  await page.keyboard.press('Enter');
  await allow(page).waitFor();
  const text = await page.locator('body').innerText();
  assert.match(text, /Corner Shop/);
  assert.match(text, /account/i, 'what is agreed to is not said');
  await picture(page, 'oauth-consent');
  await tabTo(page, /^button \S* ?(allow|continue|agree|accept)/i);
  await page.keyboard.press('Enter');
  const params = await arrived(page, asked);
  const reply = await redeem(op, client, { ...asked, code: params.get('code') });
  assert.equal(reply.status, 200, reply.text);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('without scripts, and on a narrow screen', async () => {
  const { context, page, complaints, asked } = await arrive({
    javaScriptEnabled: false,
    viewport: { width: 360, height: 640 },
  });
  await picture(page, 'oauth-login-narrow');
  await signIn(page);
  await allow(page).waitFor();
  await picture(page, 'oauth-consent-narrow');
  await allow(page).click();
  assert.ok((await arrived(page, asked)).get('code'));
  assert.deepEqual(complaints, []);
  await context.close();
});

test('saying no leads back with access_denied', async () => {
  const { context, page, complaints, asked } = await arrive();
  await signIn(page);
  await page
    .locator('button', { hasText: /deny|cancel|no\b|don.t/i })
    .first()
    .click();
  assert.equal((await arrived(page, asked)).get('error'), 'access_denied');
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a wrong password is told where it can be heard, and can be mended', async () => {
  const { context, page, complaints, asked } = await arrive();
  await signIn(page, 'wrong');
  await page.waitForSelector('[role=alert]');
  await picture(page, 'oauth-login-wrong');
  assert.equal(await page.locator('input[type=password]').inputValue(), '');
  await signIn(page);
  await allow(page).click();
  assert.ok((await arrived(page, asked)).get('code'));
  // The browser has a line of its own for each answer of 4xx.
  const heard = complaints.filter((line) => !/status of 4\d\d/.test(line));
  assert.deepEqual(heard, []);
  await context.close();
});

test('each page can be read by everyone', async () => {
  for (const options of [
    { colorScheme: 'light' },
    { colorScheme: 'dark' },
    { viewport: { width: 320, height: 640 } },
  ]) {
    const { context, page, complaints } = await arrive(options);
    for (const name of ['login', 'consent']) {
      const found = await page.evaluate(() => ({
        lang: document.documentElement.lang,
        title: document.title,
        headings: document.querySelectorAll('h1').length,
        main: document.querySelectorAll('main').length,
        unlabelled: [...document.querySelectorAll('input:not([type=hidden])')].filter(
          (input) => (input.labels?.length ?? 0) === 0 && !input.ariaLabel,
        ).length,
        sideways: document.documentElement.scrollWidth > innerWidth + 1,
        small: [...document.querySelectorAll('button, input:not([type=hidden])')].filter(
          (element) => element.getBoundingClientRect().height < 24,
        ).length,
        faint: [...document.querySelectorAll('h1, p, label, button, li')]
          .map((element) => getComputedStyle(element))
          .filter((style) => style.color === style.backgroundColor).length,
      }));
      assert.match(found.lang, /^en/, name);
      assert.ok(found.title.length > 0);
      assert.deepEqual(
        { ...found, lang: 0, title: 0 },
        {
          lang: 0,
          title: 0,
          headings: 1,
          main: 1,
          unlabelled: 0,
          sideways: false,
          small: 0,
          faint: 0,
        },
      );
      await picture(page, `oauth-${name}-${options.colorScheme ?? 'tiny'}`);
      if (name === 'login') {
        assert.equal(
          await page.locator('input[type=password]').getAttribute('autocomplete'),
          'current-password',
        );
        await signIn(page);
        await allow(page).waitFor();
      }
    }
    assert.deepEqual(complaints, []);
    await context.close();
  }
});

test('an error is a page as well', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const reply = await page.goto(`${op.url}/oauth/authorize?client_id=nobody`);
  assert.equal(reply.status(), 400);
  assert.equal(await page.locator('h1').count(), 1);
  await picture(page, 'oauth-error');
  await context.close();
});
