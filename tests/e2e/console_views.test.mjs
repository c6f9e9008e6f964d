// SPDX-License-Identifier: MIT
// What the console shows of the running program: traffic that was made, a breaker, alerts that were
// told and looked after, events, and their proofs, honest and not.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before } from 'node:test';
import { picture } from './browser_kit.mjs';
import { go, signIn, startConsole, visitor } from './console_kit.mjs';
import { test } from './harness.mjs';

let at;
before(async () => {
  at = await startConsole();
  await makeTraffic();
});
after(() => at?.stop());

const hostile = `<img src=x onerror=alert(1)>"'&`;

/** Logins good and bad, money moved, requests without a token. */
async function makeTraffic() {
  const { gate, money } = at;
  const token = await money.analyst();
  const from = await money.account(token, { deposit: '100.00' });
  const to = await money.account(token);
  for (let i = 0; i < 5; i++) {
    const body = { from_account_id: from, to_account_id: to, amount: '1.25', currency: 'USD' };
    const headers = { 'Idempotency-Key': `console-${i}` };
    const reply = await gate.post('/api/v1/transfers', body, { token, headers });
    assert.equal(reply.status, 201, reply.text);
    for (let n = 0; n < 12; n++) await gate.get('/api/v1/auth/me');
    await gate.post('/api/v1/auth/login', { email: 'user@example.com', password: 'wrong' });
  }
}

/** What Alertmanager sends: one alert, firing or over. */
async function tell(name, status = 'firing', labels = {}) {
  const { gate, money } = at;
  const token = await money.machine('alertmanager', 'monitoring:write');
  const alert = {
    status,
    labels: { alertname: name, severity: 'critical', ...labels },
    annotations: { summary: `Something about ${name}`, description: hostile },
    startsAt: '2026-02-03T04:05:06Z',
    endsAt: status === 'firing' ? '0001-01-01T00:00:00Z' : '2026-02-03T05:05:06Z',
    generatorURL: 'javascript:alert(3)',
    fingerprint: 'c0ffee0123456789',
  };
  const reply = await gate.post(
    '/alerts',
    {
      version: '4',
      groupKey: '{}:{}',
      truncatedAlerts: 0,
      status,
      receiver: 'portcullis',
      groupLabels: {},
      commonLabels: {},
      commonAnnotations: {},
      externalURL: 'http://127.0.0.1:9093',
      alerts: [alert],
    },
    { token, port: gate.monitoringPort },
  );
  assert.equal(reply.status, 202, reply.text);
}

test('the traffic that was made, by route', async () => {
  const { context, page, complaints } = await visitor(at);
  await signIn(at, page);
  await page
    .locator('.tile', { hasText: 'Requests' })
    .filter({ hasText: '/s' })
    .waitFor({ timeout: 15_000 });
  assert.match(await page.locator('.tile', { hasText: 'State' }).innerText(), /ok|degraded/);
  await page.getByRole('cell', { name: 'transaction-service' }).first().waitFor();
  await go(page, 'Traffic');
  const row = page.getByRole('row', { name: /POST \/api\/v1\/transfers/ }).first();
  await row.waitFor({ timeout: 15_000 });
  const cells = await row.getByRole('cell').allInnerTexts();
  assert.ok(cells.includes('5'), cells.join(' | '));
  await row.getByRole('button').click();
  await page.getByRole('heading', { level: 2, name: /POST \/api\/v1\/transfers/ }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll('canvas').length === 2);
  const words = await page.getByRole('img').first().getAttribute('aria-label');
  assert.match(words, /^Requests per second, last: all [\d.]+/);
  await picture(page, 'console-traffic');
  await page.getByRole('button', { name: 'Show all routes' }).click();
  await page.getByRole('heading', { level: 2, name: 'All services' }).waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a chart of a single point is of a minute, not of a day', async () => {
  const { context, page, complaints } = await visitor(at);
  await page.addInitScript(() => {
    const { fillText } = CanvasRenderingContext2D.prototype;
    window.times = [];
    CanvasRenderingContext2D.prototype.fillText = function draw(text, ...rest) {
      if (/^\d\d:\d\d:\d\d$/.test(text)) window.times.push(text);
      return fillText.call(this, text, ...rest);
    };
  });
  await signIn(at, page);
  const rate = page.locator('.tile', { hasText: 'Requests' }).filter({ hasText: '/s' });
  await rate.waitFor({ timeout: 30_000 });
  await page.waitForResponse('**/monitoring/status');
  const times = await page.evaluate(() => window.times);
  assert.ok(times.length > 1);
  for (let i = 1; i < times.length; i++) assert.notEqual(times[i], times[i - 1], times.join(' '));
  assert.deepEqual(complaints, []);
  await context.close();
});

test('breakers, limits, and each node', async () => {
  const { context, page, complaints } = await visitor(at);
  await signIn(at, page);
  await go(page, 'Protection');
  await page.getByText(/\d+ closed/).waitFor({ timeout: 15_000 });
  assert.match(await page.getByRole('main').innerText(), /Let through/);
  await go(page, 'System');
  const words = await page.getByRole('main').innerText();
  for (const part of ['sqlite', 'api-gateway', 'monitoring-service', 'Queues'])
    assert.ok(words.includes(part), part);
  const { nodes } = await (await page.waitForResponse('**/monitoring/status')).json();
  const { audit, expiries } = nodes[0].report;
  if (Number.isInteger(audit.tree_size)) assert.match(words, /Events\s+\d+/);
  for (const { name } of expiries) assert.ok(words.includes(name), name);
  await picture(page, 'console-system');
  assert.deepEqual(complaints, []);
  await context.close();
});

test('an alert is told, shown, looked after and resolved', async () => {
  const name = `Breach ${hostile}`;
  await tell(name, 'firing', { instance: hostile });
  const { context, page, complaints } = await visitor(at);
  await signIn(at, page);
  await page.locator('#nav .badge').waitFor({ timeout: 15_000 });
  await go(page, 'Alerts');
  await page.getByRole('button', { name }).click();
  let dialog = page.getByRole('dialog');
  const words = await dialog.textContent();
  for (const part of [hostile, 'Something about', 'alertmanager', 'fired'])
    assert.ok(words.includes(part), `${part} in ${words}`);
  assert.equal(await dialog.getByRole('link').count(), 0, 'no link to a script');
  await picture(page, 'console-alert');
  await dialog.getByLabel('Note').fill('I am looking at it');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await dialog.waitFor({ state: 'detached' });
  const row = page.getByRole('row', { name: /Breach/ });
  await row.getByText('acknowledged').waitFor();

  await page.getByRole('button', { name }).click();
  dialog = page.getByRole('dialog');
  await dialog.getByText('I am looking at it').waitFor();
  assert.equal(await dialog.getByRole('button', { name: 'Acknowledge' }).count(), 0);
  await dialog.getByRole('button', { name: 'Resolve' }).click();
  await row.getByText('resolved').waitFor();
  await page.getByLabel('State').selectOption('firing');
  await row.waitFor({ state: 'detached' });
  assert.deepEqual(complaints, []);
  await context.close();
});

test('what goes wrong while a dialog is open is said in it', async () => {
  await tell('Trouble');
  const { context, page } = await visitor(at);
  await signIn(at, page);
  await go(page, 'Alerts');
  await page.getByRole('button', { name: 'Trouble' }).click();
  const dialog = page.getByRole('dialog');
  assert.equal(await dialog.getByRole('alert').textContent(), '', 'it is there before it speaks');
  await page.route('**/api/v1/alerts/*/acknowledge', (route) =>
    route.fulfill({
      status: 503,
      contentType: 'application/problem+json',
      body: JSON.stringify({ title: 'Busy', detail: 'Not now, please.' }),
    }),
  );
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  const said = dialog.getByRole('alert').filter({ hasText: 'Not now, please.' });
  await said.waitFor();
  const box = await said.boundingBox();
  const top = ({ x, y }) => document.elementFromPoint(x + 2, y + 2)?.getAttribute('role');
  assert.equal(await page.evaluate(top, box), 'alert', 'nothing covers it');
  assert.equal(await page.locator('.toast').count(), 0);

  await page.unroute('**/api/v1/alerts/*/acknowledge');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.locator('#say', { hasText: 'Trouble: acknowledged.' }).waitFor();
  await page.getByRole('row', { name: /Trouble/ }).getByText('acknowledged').waitFor();
  await tell('Trouble', 'resolved');
  await context.close();
});

test('the overview lists an alert that is in no tally', async () => {
  const { context, page } = await visitor(at);
  await page.route('**/api/v1/monitoring/status', async (route) => {
    const reply = await route.fetch();
    const json = { ...(await reply.json()), status: 'failing', alerts: { firing: 0 } };
    await route.fulfill({ response: reply, json });
  });
  let rows = [];
  await page.route('**/api/v1/alerts?status=firing*', (route) => route.fulfill({ json: rows }));
  await signIn(at, page);
  await page.locator('.tile', { hasText: 'failing' }).first().waitFor({ timeout: 15_000 });
  await page.getByText('No alert.').waitFor();
  rows = [
    {
      name: 'StoreNotWritable',
      status: 'firing',
      severity: 'critical',
      starts_at: '2026-02-03T04:05:06Z',
    },
  ];
  await page.getByRole('cell', { name: 'StoreNotWritable' }).waitFor({ timeout: 15_000 });
  rows = [];
  await page.getByText('No alert.').waitFor({ timeout: 15_000 });
  await context.close();
});

/** Two pages of two rows each at `path`; gives what lets the second one come, and who asked. */
async function twoPages(page, path, bodyOf) {
  const second = { asked: 0 };
  const held = new Promise((resolve) => {
    second.come = resolve;
  });
  await page.route(
    (url) => url.pathname === path,
    async (route) => {
      const isFirst = !new URL(route.request().url()).searchParams.has('cursor');
      const headers = isFirst ? { Link: `<${path}?cursor=c>; rel="next"` } : {};
      const json = bodyOf(isFirst ? [1, 2] : [3, 4]);
      if (!isFirst) {
        second.asked += 1;
        await held;
      }
      await route.fulfill({ headers, json });
    },
  );
  return second;
}

test('a page is added once, however often it is asked for', async () => {
  const { context, page, complaints } = await visitor(at);
  await signIn(at, page);
  const named = (n) => `row ${n}`;
  for (const [view, path, name, bodyOf] of [
    ['Audit', '/api/v1/audit/events', 'Older', (all) => all.map((n) => ({ action: named(n) }))],
    ['Alerts', '/api/v1/alerts', 'Older', (all) => all.map((n) => ({ name: named(n) }))],
    [
      'Access',
      '/api/v1/admin/users',
      'More',
      (all) => ({ users: all.map((n) => ({ username: named(n) })), total: 4 }),
    ],
  ]) {
    const second = await twoPages(page, path, bodyOf);
    await go(page, view);
    const older = page.getByRole('button', { name, exact: true });
    await older.evaluate((one) => {
      one.click();
      one.click();
    });
    assert.equal(await older.isDisabled(), true, view);
    second.come();
    await page.getByRole('row', { name: 'row 4' }).first().waitFor();
    const rows = await page.getByRole('row', { name: /row \d/ }).allInnerTexts();
    assert.deepEqual(
      rows.map((row) => row.match(/row \d/)[0]),
      [1, 2, 3, 4].map(named),
      view,
    );
    assert.equal(second.asked, 1, view);
  }
  assert.deepEqual(complaints, []);
  await context.close();
});

const proof = (page, state) =>
  page.getByRole('dialog').locator(`[data-proof=${state}]`).waitFor({ timeout: 15_000 });

async function openEvent(page, action) {
  await page.getByRole('button', { name: action, exact: true }).first().click();
  return page.getByRole('dialog');
}

test('the audit log: filters, pages, one event, its proof', async () => {
  const { context, page, complaints } = await visitor(at);
  await signIn(at, page);
  await go(page, 'Audit');
  await page.locator('main [data-proof=good]').waitFor({ timeout: 15_000 });
  await page.getByLabel('Action', { exact: true }).fill('ledger.transfer');
  await page.getByRole('button', { name: 'Show' }).click();
  await page
    .getByRole('row', { name: /ledger\.transfer/ })
    .nth(4)
    .waitFor();
  assert.match(page.url(), /action=ledger\.transfer/);
  const dialog = await openEvent(page, 'ledger.transfer');
  await proof(page, 'good');
  const words = await dialog.innerText();
  for (const part of ['Record', 'Inclusion', 'Signature', 'History', 'transaction-service'])
    assert.ok(words.includes(part), part);
  await picture(page, 'console-proof');
  await page.keyboard.press('Escape');

  // Page by page; what an address asks for stands in the form.
  await page.evaluate(() => {
    location.hash = '#/audit?action=access.denied&category=security&from=2001-01-01T00:00';
  });
  const denied = page.getByRole('button', { name: 'access.denied', exact: true });
  await denied.nth(49).waitFor();
  assert.equal(await denied.count(), 50);
  assert.equal(await page.getByLabel('Category').inputValue(), 'security');
  await page.getByRole('button', { name: 'Older' }).click();
  await denied.nth(50).waitFor();
  assert.ok((await denied.count()) >= 60);
  await page.getByLabel('Until').fill('2001-01-02T00:00');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.getByText('No such event.').waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

test('metadata of strangers is text', async () => {
  const { context, page, complaints } = await visitor(at);
  await signIn(at, page);
  await page.route('**/audit/events*', async (route) => {
    const reply = await route.fetch();
    const events = (await reply.json()).slice(0, 1);
    Object.assign(events[0], {
      action: hostile,
      resource: hostile,
      metadata: { [hostile]: hostile },
    });
    await route.fulfill({ response: reply, json: events });
  });
  await go(page, 'Audit');
  const dialog = await openEvent(page, hostile);
  await proof(page, 'bad'); // it is not what the log holds
  assert.ok((await dialog.locator('pre').textContent()).includes('<img src=x'));
  assert.equal(await page.locator('main img, dialog img').count(), 0);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('an event is shown before it is covered, and proven once it is', async () => {
  const { context, page, complaints } = await visitor(at);
  await signIn(at, page);
  let old; // the first checkpoint, given out again until the event's was asked for three times
  let olds = Infinity;
  await page.route('**/audit/checkpoint', async (route) => {
    const response = await route.fetch();
    old ??= await response.text();
    olds -= 1;
    await route.fulfill(olds > 0 ? { response, body: old } : { response });
  });
  await page.route('**/audit/export*', (route) =>
    olds > 0 ? route.fulfill({ status: 409, json: { title: 'Conflict' } }) : route.continue(),
  );
  await go(page, 'Audit');
  await page.locator('main [data-proof=good]').waitFor({ timeout: 15_000 });
  const other = await visitor(at);
  await signIn(at, other.page);
  await other.context.close();
  await page.keyboard.press('r');
  const size = Number(old.split('\n')[1]);
  await page.waitForFunction(
    (least) => Number(document.querySelector('main td.number')?.textContent) >= least,
    size,
  );
  olds = 3;
  await page.locator('main tbody button.link').first().click();
  await proof(page, 'good');
  assert.ok(olds <= 0, `${olds}`);
  assert.deepEqual(complaints, []);
  await context.close();
});

/** Signs in, changes what the API answers, and gives the state of the proof of one event. */
async function tampered(change) {
  const { context, page } = await visitor(at);
  await signIn(at, page);
  await go(page, 'Audit');
  await page.locator('main [data-proof=good]').waitFor({ timeout: 15_000 });
  await change(page);
  await openEvent(page, 'user.login');
  await page.getByRole('dialog').locator('[data-proof]').waitFor({ timeout: 15_000 });
  const state = await page.getByRole('dialog').locator('[data-proof]').getAttribute('data-proof');
  const words = await page.getByRole('dialog').locator('[data-proof]').innerText();
  await picture(page, 'console-tampered');
  await context.close();
  return { state, words };
}

/** The answer, with its text changed. */
const rewrite = (page, path, edit) =>
  page.route(path, async (route) => {
    const reply = await route.fetch();
    await route.fulfill({ response: reply, body: edit(await reply.text()) });
  });

/** The line's actor is another one, beside the commitment that the true one is hashed to. */
const behindCommitment = (text) =>
  text.replace(/"actor":{"salt":"([^"]+)","value":"([^"]+)"}/, (_, salt, value) => {
    const digest = createHash('sha256').update('portcullis.trail.v1\0actor\0');
    const commitment = digest.update(Buffer.from(salt, 'base64url')).update(value).digest();
    return `"actor":{"commitment":"${commitment.toString('base64url')}","value":"mallory"}`;
  });

test('an answer that was changed on the way is red', async () => {
  const honest = await tampered(async () => {});
  assert.equal(honest.state, 'good', honest.words);
  for (const [what, change, finding] of [
    [
      'the record',
      (page) =>
        rewrite(page, '**/audit/export*', (text) => text.replace('"user.login"', '"user.logout"')),
      /Record/,
    ],
    [
      'the record, behind a true commitment',
      async (page) => {
        await rewrite(page, '**/audit/export*', behindCommitment);
        await rewrite(page, '**/audit/events*', (text) =>
          JSON.stringify(JSON.parse(text).map((one) => ({ ...one, actor: 'mallory' }))),
        );
        await page.keyboard.press('r');
        await page.getByRole('cell', { name: 'mallory' }).first().waitFor();
      },
      /Record/,
    ],
    [
      'the proof',
      (page) =>
        rewrite(page, '**/audit/proof/inclusion*', (text) => {
          const answer = JSON.parse(text);
          answer.hashes[0] = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';
          return JSON.stringify(answer);
        }),
      /Inclusion/,
    ],
  ]) {
    const { state, words } = await tampered(change);
    assert.equal(state, 'bad', `${what}: ${words}`);
    assert.match(words, /Verification failed/);
    assert.match(words, finding);
  }
});

test('a log that is not the one this browser saw is red', async () => {
  const { context, page } = await visitor(at);
  await signIn(at, page);
  await go(page, 'Audit');
  await page.locator('main [data-proof=good]').waitFor({ timeout: 15_000 });
  await page.evaluate(() => {
    const name = 'portcullis-console-log';
    const kept = JSON.parse(localStorage.getItem(name));
    kept.root = btoa('x'.repeat(32));
    localStorage.setItem(name, JSON.stringify(kept));
  });
  await go(page, 'Access');
  await go(page, 'Audit');
  await page.locator('main [data-proof=bad]').waitFor({ timeout: 15_000 });
  assert.match(await page.locator('main [data-proof=bad]').innerText(), /History/);
  await picture(page, 'console-history');
  await context.close();
});

test('a gateway that cannot be reached or has no time is told of, and asked again', async () => {
  const { context, page } = await visitor(at);
  await signIn(at, page);
  await page.getByText('Live').waitFor({ timeout: 15_000 });
  let asked = 0;
  await page.route('**/api/v1/monitoring/status', (route) => {
    asked += 1;
    if (asked === 1) route.abort();
    else if (asked === 2)
      route.fulfill({ status: 503, headers: { 'Retry-After': '1' }, json: { title: 'Busy' } });
    else route.continue();
  });
  await page.getByText('Not up to date').waitFor({ timeout: 15_000 });
  await page.getByText('Live', { exact: true }).waitFor({ timeout: 20_000 });
  assert.ok(asked >= 3);
  await context.close();
});
