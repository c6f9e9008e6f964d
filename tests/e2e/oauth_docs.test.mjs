// SPDX-License-Identifier: MIT
// The documentation pages sign in through our own issuer: Authorize, log in, consent, and a
// protected route answers. In a real browser, whose console stays empty.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before } from 'node:test';
import { launch } from './browser_kit.mjs';
import { test } from './harness.mjs';
import { startIssuer } from './oauth_kit.mjs';

const pictures = process.env.PORTCULLIS_PICTURES; // a folder: screenshots are kept there

let op;
let browser;
before(async () => {
  op = await startIssuer();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await op?.stop();
});

/** Watches a page for whatever a strict page must not do. */
function watch(page, complaints) {
  page.on('console', (message) => {
    if (message.type() !== 'verbose' && message.type() !== 'debug')
      complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
  });
}

async function picture(page, name) {
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name}.png`) });
}

/** Opens a documentation page, signs in, and calls `route`: the text of the answer. */
async function tryOut(docs, route, scopes) {
  const context = await browser.newContext({ viewport: { width: 1366, height: 900 } });
  const complaints = [];
  context.on('page', (page) => watch(page, complaints));
  const page = await context.newPage();
  await page.goto(docs);
  await page.waitForSelector('.opblock');
  await page.locator('.btn.authorize').first().click();
  const flow = page.locator('.modal-ux .auth-container', {
    has: page.locator('[id^="client_id"]'),
  });
  await flow.first().waitFor();
  const id = flow.first().locator('[id^="client_id"]');
  assert.equal(await id.inputValue(), 'api-docs');
  for (const scope of scopes)
    await flow
      .first()
      .locator('.scopes .checkbox', { hasText: scope })
      .locator('label')
      .first()
      .click();
  await picture(page, 'docs-authorize');

  const popup = context.waitForEvent('page');
  await flow.first().locator('.btn.authorize').click();
  const login = await popup;
  await login.waitForSelector('input[type=password]');
  await picture(login, 'docs-login-page');
  await login
    .locator('input:not([type=hidden]):not([type=password])')
    .first()
    .fill('user@example.com');
  await login.locator('input[type=password]').fill('user123');
  await login.locator('input[type=password]').press('Enter');
  const allow = login.locator('button', { hasText: /allow|continue|agree|accept/i }).first();
  await allow.waitFor();
  await picture(login, 'docs-consent-page');
  const closed = login.waitForEvent('close');
  await allow.click();
  await closed;
  await page.locator('.modal-ux .btn', { hasText: /logout/i }).waitFor();
  await page.locator('.modal-ux .btn-done').first().click();

  const block = page.locator('.opblock', { has: page.locator(`[data-path="${route}"]`) }).first();
  await block.locator('.opblock-summary').click();
  const tryIt = block.locator('.try-out__btn');
  if ((await tryIt.count()) > 0 && /try/i.test(await tryIt.innerText())) await tryIt.click();
  await block.locator('.execute').click();
  await block.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor();
  const text = await block.locator('.live-responses-table').innerText();
  await picture(page, 'docs-called');
  assert.deepEqual(complaints, []);
  await context.close();
  return text;
}

test("the gateway's page signs in and calls a protected route", async () => {
  const text = await tryOut(`${op.gate.url}/api/docs`, '/api/v1/users/profile', ['profile']);
  assert.match(text, /user@example\.com/);
});

test("the issuer's own page signs in and calls a protected route", async () => {
  const text = await tryOut(`${op.url}/docs`, '/oauth/userinfo', ['openid']);
  assert.match(text, /"sub":\s*"2"/);
});
