// SPDX-License-Identifier: MIT
// The documentation pages in a real browser, under the policy they are served with: every operation
// is there, a call can be tried, nothing is fetched from outside, the console stays empty.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { launch } from './browser_kit.mjs';
import { assertHeaders, command, Portcullis, test } from './harness.mjs';

const pictures = process.env.PORTCULLIS_PICTURES; // a folder: screenshots are kept there

let gate;
let browser;
before(async () => {
  gate = await Portcullis.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await gate?.stop();
});

/** Opens a page, and watches for whatever a strict page must not do. */
async function open(name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1366, height: 860 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() !== 'verbose' && message.type() !== 'debug')
      complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(gate.url) && !request.url().startsWith('data:'))
      complaints.push(`outside: ${request.url()}`);
  });
  page.on('requestfailed', (request) => {
    // What is under way when a page is left or loaded anew is aborted by the browser itself.
    if (request.failure()?.errorText !== 'net::ERR_ABORTED')
      complaints.push(`failed: ${request.url()}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
  });
  await page.goto(`${gate.url}/api/${name}`);
  return { page, complaints, context };
}

async function picture(page, name, fullPage = false) {
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage });
}

async function operations() {
  const { json } = await gate.get('/api/openapi.json');
  const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];
  return Object.entries(json.paths).flatMap(([route, item]) =>
    Object.keys(item)
      .filter((method) => methods.includes(method))
      .map((method) => ({ route, method, ...item[method] })),
  );
}

test('the description names what the contract names', async () => {
  const reply = await gate.get('/api/openapi.json');
  assert.match(reply.headers['content-type'], /^application\/(vnd\.oai\.openapi\+)?json/);
  assert.match(reply.json.openapi, /^3\.1\./);
  const found = new Set((await operations()).map(({ method, route }) => `${method} ${route}`));
  for (const [method, route] of [
    ['post', '/api/v1/auth/register'],
    ['post', '/api/v1/auth/login'],
    ['post', '/api/v1/auth/refresh'],
    ['get', '/api/v1/auth/me'],
    ['post', '/api/v1/auth/logout'],
    ['get', '/api/v1/users/profile'],
    ['get', '/api/v1/trading/orders'],
    ['get', '/api/v1/admin/users'],
    ['patch', '/api/v1/admin/users/{id}'],
  ])
    assert.ok(found.has(`${method} ${route}`), `${method} ${route}`);
  const yaml = await gate.get('/api/openapi.yaml');
  assert.match(yaml.headers['content-type'], /yaml/);
  assert.match(yaml.text, /^openapi: ['"]?3\.1/m);
});

test('the description is sound in itself', async () => {
  const { json } = await gate.get('/api/openapi.json');
  const names = new Set();
  for (const operation of await operations()) {
    assert.ok(operation.operationId, `${operation.method} ${operation.route}`);
    assert.ok(!names.has(operation.operationId), `${operation.operationId} twice`);
    names.add(operation.operationId);
    assert.ok(operation.summary, operation.operationId);
    assert.ok(Object.keys(operation.responses).length > 0);
    for (const [, parameter] of operation.route.matchAll(/\{(\w+)\}/g))
      assert.ok(
        operation.parameters?.some(
          (one) => one.name === parameter && one.in === 'path' && one.required,
        ),
        `${parameter} of ${operation.operationId}`,
      );
  }
  for (const [, pointer] of JSON.stringify(json).matchAll(/"\$ref":"#([^"]*)"/g)) {
    const target = pointer
      .split('/')
      .slice(1)
      .reduce((at, key) => at?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], json);
    assert.ok(target, `${pointer} leads nowhere`);
  }
});

test('the command prints what the listener serves', async () => {
  const { code, stdout } = await command(['openapi']);
  assert.equal(code, 0);
  const served = (await gate.get('/api/openapi.json')).json;
  assert.deepEqual(JSON.parse(stdout).paths, served.paths);
});

test('Swagger UI lists every operation and tries one', async () => {
  const { page, complaints, context } = await open('docs');
  await page.waitForSelector('.opblock');
  assert.equal(await page.locator('.opblock').count(), (await operations()).length);
  await picture(page, 'docs');

  const login = page.locator('.opblock', { hasText: '/api/v1/auth/login' });
  await login.locator('.opblock-summary').click();
  await login
    .locator('textarea.body-param__text')
    .fill('{"email":"user@example.com","password":"user123"}');
  await login.locator('.execute').click();
  await login.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor();
  const text = await login.locator('.live-responses-table').innerText();
  const token = /"access_token":\s*"([^"]+)"/.exec(text)?.[1];
  assert.ok(token, text);
  await picture(page, 'docs-login', true);

  await page.locator('.btn.authorize').click();
  await page
    .locator('.modal-ux input[type=text], .modal-ux input[type=password]')
    .first()
    .fill(token);
  await page.locator('.modal-ux .btn.authorize').first().click();
  await page.locator('.modal-ux .btn-done').first().click();
  const profile = page.locator('.opblock', { hasText: '/api/v1/users/profile' });
  await profile.locator('.opblock-summary').click();
  await profile.locator('.execute').click();
  await profile.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor();
  assert.match(await profile.locator('.live-responses-table').innerText(), /user@example\.com/);

  assert.deepEqual(complaints, []);
  await context.close();
});

test('ReDoc shows every operation', async () => {
  const { page, complaints, context } = await open('redoc');
  await page.waitForSelector('[data-section-id^="operation/"], [data-section-id*="/operation/"]');
  const expected = await operations();
  const sections = await page
    .locator('[data-section-id*="operation/"]')
    .evaluateAll((list) =>
      list.map((element) => element.dataset.sectionId.split('operation/')[1].split('/')[0]),
    );
  assert.equal(new Set(sections).size, expected.length);
  const text = await page.locator('#reference').innerText();
  for (const operation of expected) assert.ok(text.includes(operation.summary), operation.summary);
  await picture(page, 'redoc');
  assert.deepEqual(complaints, []);
  await context.close();
});

test('both pages follow a dark system and a narrow screen', async () => {
  for (const name of ['docs', 'redoc'])
    for (const options of [{ colorScheme: 'dark' }, { viewport: { width: 390, height: 800 } }]) {
      const { page, complaints, context } = await open(name, options);
      await page.waitForSelector(name === 'docs' ? '.opblock' : '[data-section-id*="operation/"]');
      assert.match(await page.title(), /reference/);
      if (options.colorScheme)
        assert.ok(
          await page.evaluate(() => document.documentElement.classList.contains('dark-mode')),
        );
      else
        assert.ok(
          await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth + 1),
          'it scrolls sideways',
        );
      await picture(page, `${name}-${options.colorScheme ?? 'narrow'}`);
      assert.deepEqual(complaints, []);
      await context.close();
    }
});

test('the light can be switched, and stays switched', async () => {
  for (const name of ['docs', 'redoc']) {
    const { page, complaints, context } = await open(name, { colorScheme: 'light' });
    const dark = () =>
      page.evaluate(() => document.documentElement.classList.contains('dark-mode'));
    assert.equal(await dark(), false);
    await page.locator('#theme').click();
    await page.waitForFunction(() => document.documentElement.classList.contains('dark-mode'));
    await page.reload();
    assert.equal(await dark(), true);
    assert.deepEqual(complaints, []);
    await context.close();
  }
});

test('the policy of the pages has no hole', async () => {
  for (const name of ['docs', 'redoc']) {
    const reply = await gate.get(`/api/${name}`);
    assert.equal(reply.status, 200);
    assert.match(reply.headers['content-type'], /^text\/html; charset=utf-8/);
    assertHeaders(reply, { page: true });
    const policy = reply.headers['content-security-policy'];
    assert.match(policy, /^default-src 'none'; script-src 'self';/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:|blob:|strict-dynamic/);
    for (const part of ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"])
      assert.ok(policy.includes(part), part);
    assert.doesNotMatch(reply.text, /<script>|<style|style=|onload=|:\/\//);
  }
});

test('assets are compressed, tagged, and kept for ever', async () => {
  const { text } = await gate.get('/api/docs');
  const assets = [...text.matchAll(/(?:src|href)="(docs\/[^"]+)"/g)].map((match) => match[1]);
  assert.ok(assets.length >= 5);
  for (const asset of new Set(assets)) {
    const target = `/api/${asset}`;
    const plain = await gate.get(target);
    assert.equal(plain.status, 200, target);
    assert.equal(plain.headers['content-encoding'], undefined);
    assertHeaders(plain);
    const packed = await gate.get(target, { headers: { 'Accept-Encoding': 'gzip, br' } });
    if (/\.(js|css)$/.test(target)) {
      assert.equal(packed.headers['content-encoding'], 'gzip', target);
      assert.ok(gunzipSync(packed.bytes).equals(plain.bytes));
      assert.match(packed.headers.vary, /Accept-Encoding/i);
      assert.notEqual(packed.headers.etag, plain.headers.etag);
      assert.match(plain.headers['cache-control'], /immutable/);
    }
    const again = await gate.get(target, { headers: { 'If-None-Match': plain.headers.etag } });
    assert.equal(again.status, 304, target);
    assert.equal(again.bytes.length, 0);
    assert.equal(again.headers.etag, plain.headers.etag);
    const none = await gate.get(target, { headers: { 'Accept-Encoding': 'gzip;q=0' } });
    assert.equal(none.headers['content-encoding'], undefined);
  }
  const page = await gate.get('/api/docs');
  assert.match(page.headers['cache-control'], /no-cache/);
  const same = await gate.get('/api/docs', {
    headers: { 'If-None-Match': `"other", ${page.headers.etag}` },
  });
  assert.equal(same.status, 304);
});

test('the viewers are the packages we pinned', async () => {
  const folder = new URL('../../node_modules/', import.meta.url);
  const { text } = await gate.get('/api/docs');
  const bundle = /docs\/swagger-ui\.[0-9a-f]+\.css/.exec(text)[0];
  const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
  const without = (bytes) =>
    bytes
      .toString()
      .split('\n')
      .filter((line) => !/^\/[/*]# sourceMappingURL=/.test(line))
      .join('\n');
  const ours = without(fs.readFileSync(new URL('swagger-ui-dist/swagger-ui.css', folder)));
  assert.equal(digest((await gate.get(`/api/${bundle}`)).bytes), digest(ours));
});
