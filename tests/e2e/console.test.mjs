// SPDX-License-Identifier: MIT
// The operators' console in a real browser: its files, the way in and out, who may what, the
// keyboard, light and dark, and hostile names. What its views show: console_views.test.mjs.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { faint, launch, picture } from './browser_kit.mjs';
import { go, settled, signIn, startConsole, views, visitor } from './console_kit.mjs';
import { assertHeaders, command, test } from './harness.mjs';

let at;
before(async () => {
  at = await startConsole();
});
after(() => at?.stop());

test('the page and its files: policy, cache, size', async () => {
  const reply = await at.gate.get('/console');
  assert.equal(reply.status, 200);
  assertHeaders(reply, { page: true });
  const policy = reply.headers['content-security-policy'];
  assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/);
  assert.match(policy, /frame-ancestors 'none'.*require-trusted-types-for 'script'/);
  assert.doesNotMatch(policy, /unsafe|\*|https?:|blob:|data:/);
  const files = new Set(
    [...reply.text.matchAll(/(?:src|href)="(\/console\/[^"]+)"/g)].map((match) => match[1]),
  );
  assert.equal(files.size, 5, [...files].join(' '));
  let bytes = reply.bytes.length;
  for (const file of files) {
    const one = await at.gate.get(file);
    assert.equal(one.status, 200, file);
    if (!/licenses/.test(file)) assert.match(one.headers['cache-control'], /immutable/);
    assert.doesNotMatch(one.text, /https?:\/\/(?!www\.w3\.org)/, file);
    bytes += one.bytes.length;
  }
  assert.ok(bytes <= 150 * 1024, `${bytes} bytes`);
});

test('signing in and out, and what outlives it', async () => {
  const { context, page, complaints } = await visitor(at);
  await signIn(at, page);
  assert.equal(new URL(page.url()).pathname, '/console');
  assert.equal(new URL(page.url()).search, '', 'the code is gone from the address');
  const kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]));
  assert.doesNotMatch(kept, /ey[A-Za-z0-9_-]+\.|verifier/, 'no token and no verifier is kept');
  assert.equal(await page.evaluate(() => document.cookie), '');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: /signed out/ }).waitFor();
  await page.goto(`${at.gate.url}/console`);
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

test('nothing is left to see after signing out, and Back brings nothing', async () => {
  // As people have it: a page that is left is kept as it was, and shown again on the way back.
  const browser = await launch({ ignoreDefaultArgs: ['--disable-back-forward-cache'] });
  const { page, complaints } = await visitor({ gate: at.gate, browser });
  await page.goto(`${at.gate.url}/console#/access`);
  await signIn(at, page);
  await page.getByRole('cell', { name: 'analyst@example.com' }).waitFor();
  const words = () => page.evaluate(() => document.documentElement.textContent);
  assert.match(await words(), /admin/);
  await page.evaluate(() => {
    globalThis.kept = true;
  });

  // While the issuer has not answered yet.
  let answer;
  const held = new Promise((resolve) => {
    answer = resolve;
  });
  await page.route('**/api/v1/oauth/revoke', async (route) => {
    await held;
    await route.continue();
  });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Signing out' }).waitFor();
  assert.doesNotMatch(await words(), /@example|risk-engine|admin/);
  answer();
  await page.getByRole('heading', { name: /signed out/ }).waitFor();

  await page.goBack({ waitUntil: 'commit' }); // a page that was kept does not load again
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.equal(await page.evaluate(() => globalThis.kept), true, 'it is the page that was left');
  assert.doesNotMatch(await words(), /@example|risk-engine|admin/);
  await page.reload();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();

  // Wherever it was kept as it stood.
  await page.evaluate(() => {
    document.getElementById('main').textContent = 'analyst@example.com';
    dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
  });
  assert.doesNotMatch(await words(), /@example/);
  assert.deepEqual(complaints, []);
  await browser.close();
});

test('who signs out while the token is made anew stays out', async () => {
  const { context, page } = await visitor(at);
  await signIn(at, page);
  await page.getByText('Live', { exact: true }).waitFor({ timeout: 15_000 });
  let answer;
  const held = new Promise((resolve) => {
    answer = resolve;
  });
  await page.route('**/api/v1/oauth/revoke', async (route) => {
    await held;
    await route.continue();
  });
  const anew = page.waitForRequest('**/api/v1/oauth/token');
  let renew;
  const renewed = new Promise((resolve) => {
    renew = resolve;
  });
  await page.route('**/api/v1/oauth/token', async (route) => {
    await renewed;
    await route.continue();
  });
  const refuse = (route) => route.fulfill({ status: 401 });
  await page.route('**/api/v1/oauth/clients*', refuse, { times: 1 });
  await go(page, 'Access');
  await anew;
  await page.getByRole('button', { name: 'Sign out' }).click();
  const came = page.waitForResponse('**/api/v1/oauth/token');
  renew();
  await (await came).finished();
  await page.evaluate(async () => {
    await fetch(location.pathname); // what came before is read by then
    dispatchEvent(new Event('hashchange')); // shows what may be seen
  });
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  answer();
  await page.getByRole('heading', { name: /signed out/ }).waitFor();
  await context.close();
});

test('the view that was asked for is shown after signing in', async () => {
  const { context, page, complaints } = await visitor(at);
  await page.goto(`${at.gate.url}/console#/access`);
  await signIn(at, page);
  await page.getByRole('heading', { level: 1, name: 'Access' }).waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

test('an answer that was not asked for here is refused', async () => {
  const { context, page, complaints } = await visitor(at);
  await page.goto(`${at.gate.url}/console/callback?code=abc&state=def&iss=${at.gate.url}`);
  await page.getByRole('alert').waitFor();
  assert.match(await page.getByRole('alert').innerText(), /not begun here/);
  assert.equal(new URL(page.url()).pathname, '/console');
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a token that is refused is made anew; a session that is over says so', async () => {
  const { context, page } = await visitor(at);
  await signIn(at, page);
  const refused = [];
  await page.route('**/api/v1/oauth/clients*', (route) => {
    refused.push(route.request().headers().authorization);
    if (refused.length === 1) route.fulfill({ status: 401 });
    else route.continue();
  });
  await go(page, 'Access');
  await page.getByRole('button', { name: 'risk-engine' }).waitFor();
  assert.equal(refused.length, 2);
  assert.notEqual(refused[0], refused[1]);

  await page.route('**/api/v1/oauth/token', (route) =>
    route.fulfill({ status: 400, json: { error: 'invalid_grant', error_description: 'Over.' } }),
  );
  await page.route('**/api/v1/monitoring/status', (route) => route.fulfill({ status: 401 }));
  await page.getByRole('alert').waitFor({ timeout: 15_000 });
  assert.match(await page.getByRole('alert').innerText(), /session has ended/);
  await context.close();
});

test('users and clients, and a user deactivated', async () => {
  const account = await at.gate.register();
  const { context, page, complaints } = await visitor(at);
  await signIn(at, page);
  await go(page, 'Access');
  await page.getByRole('cell', { name: 'analyst@example.com' }).waitFor();
  await page.getByRole('button', { name: 'risk-engine' }).click();
  const dialog = page.getByRole('dialog');
  assert.match(await dialog.innerText(), /transactions:read/);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: account.username }).click();
  await page.getByRole('button', { name: 'Deactivate' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Deactivate' }).click();
  await page
    .getByRole('row', { name: new RegExp(account.username) })
    .getByText('deactivated')
    .waitFor();
  assert.equal((await at.gate.post('/api/v1/auth/login', account)).status, 403);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('an auditor sees what auditors may, a customer nothing', async () => {
  const made = await command(['user', 'role', 'analyst@example.com', 'auditor'], {
    data: at.gate.data,
  });
  assert.equal(made.code, 0, made.stderr);
  const auditor = await visitor(at);
  await signIn(at, auditor.page, 'analyst@example.com', 'P@ssw0rd!');
  await go(auditor.page, 'Access');
  await auditor.page.getByRole('button', { name: 'risk-engine' }).waitFor();
  assert.equal(await auditor.page.getByRole('heading', { name: 'Users' }).count(), 0);
  assert.deepEqual(auditor.complaints, []);
  await auditor.context.close();

  const customer = await visitor(at);
  await signIn(at, customer.page, 'user@example.com', 'user123');
  await customer.page.getByRole('heading', { name: 'No access' }).waitFor();
  assert.equal(await customer.page.getByRole('navigation').getByRole('link').count(), 0);
  assert.deepEqual(customer.complaints, []);
  await customer.context.close();
});

test('nothing but the keyboard', async () => {
  const { context, page, complaints } = await visitor(at);
  await page.goto(`${at.gate.url}/console`);
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await page.keyboard.press('Enter'); // it has the focus
  await page.locator('#email:focus').waitFor();
  await page.keyboard.type('admin@example.com');
  await page.keyboard.press('Tab');
  await page.keyboard.type('admin123');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Allow', exact: true }).press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();

  for (const [i, view] of views.entries()) {
    await page.keyboard.press(String(i + 1));
    await page.getByRole('heading', { level: 1, name: view }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1', view);
  }
  await page.keyboard.press('?');
  const help = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  for (const view of views) assert.ok((await help.innerText()).includes(view));
  await page.keyboard.press('Escape');
  await help.waitFor({ state: 'detached' });

  const dark = () => page.evaluate(() => document.documentElement.dataset.theme);
  const was = await dark();
  await page.keyboard.press('t');
  assert.notEqual(await dark(), was);

  await page.keyboard.press('5');
  await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.name), 'action');
  await page.keyboard.type('6'); // a letter here, no shortcut
  assert.equal(await page.locator('input[name=action]').inputValue(), '6');

  // From the top: the skip link comes first and leads to the content; every stop can be seen.
  await page.locator('.brand').focus();
  await page.keyboard.press('Shift+Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      const { tagName, innerText, labels, ariaLabel, title } = document.activeElement;
      const name = ariaLabel || labels?.[0]?.innerText || innerText || title;
      return { seen: outlineStyle !== 'none' && outlineWidth !== '0px', tagName, name };
    });
    assert.ok(stop.seen && stop.name, JSON.stringify(stop));
  }
  assert.deepEqual(complaints, []);
  await context.close();
});

test('light, dark and narrow: every word can be read, nothing scrolls sideways', async () => {
  for (const [name, options] of [
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['narrow', { viewport: { width: 360, height: 740 } }],
  ]) {
    const { context, page, complaints } = await visitor(at, options);
    await page.goto(`${at.gate.url}/console`);
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    assert.deepEqual(await page.evaluate(faint), [], `${name} start`);
    await signIn(at, page);
    for (const view of views) {
      await go(page, view);
      await settled(page);
      await picture(page, `console-${name}-${view.toLowerCase()}`);
      assert.deepEqual(await page.evaluate(faint), [], `${name} ${view}`);
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(beyond <= 0, `${name} ${view}: ${beyond} px too wide`);
    }
    assert.deepEqual(complaints, []);
    await context.close();
  }
});

test('names of strangers are text, wherever they stand', async () => {
  const hostile = `<img src=x onerror=alert(1)><script>alert(2)</script>"'&\u202e{{7*7}}`;
  const { context, page, complaints } = await visitor(at);
  await signIn(at, page);
  await page.route('**/api/v1/admin/users*', (route) =>
    route.fulfill({
      json: {
        users: [{ user_id: 9, username: hostile, email: hostile, is_admin: true, is_active: true }],
        total: 1,
        admin: hostile,
      },
    }),
  );
  await page.route('**/api/v1/oauth/clients*', (route) =>
    route.fulfill({
      json: [
        {
          client_id: hostile,
          client_name: hostile,
          scopes: [hostile],
          roles: [hostile],
          created_at: hostile,
        },
      ],
    }),
  );
  await go(page, 'Access');
  const buttons = page.getByRole('button', { name: hostile });
  await buttons.first().waitFor();
  assert.equal(await buttons.count(), 2);
  for (const i of [0, 1]) {
    await buttons.nth(i).click();
    assert.ok((await page.getByRole('dialog').textContent()).includes(hostile));
    assert.equal(await page.locator('main img, main script, dialog img, dialog script').count(), 0);
    await page.keyboard.press('Escape');
  }
  assert.deepEqual(complaints, []);
  await context.close();
});
