// SPDX-License-Identifier: MIT
// What the tests of the console share: the program with budgets that are in nobody's way, a browser
// that reports whatever a strict page must not do, and the way in through the issuer's pages.
import { allow, launch, logIn } from './browser_kit.mjs';
import { startMoney } from './money_kit.mjs';

// Continues the list of routes that startMoney begins.
const budgets = ['POST /api/v1/oauth/token', 'POST /api/v1/oauth/revoke']
  .map((route) => `    - route: ${route}\n      requests_per_minute: 1000000\n`)
  .join('');

/** { money, gate, browser, stop } */
export async function startConsole() {
  const money = await startMoney({ config: budgets });
  const browser = await launch();
  const stop = async () => {
    await browser.close();
    await money.gate.stop();
  };
  return { money, gate: money.gate, browser, stop };
}

/** A new browser, and its complaints; `expected` lets through those that the test provokes. */
export async function visitor({ gate, browser }, { expected, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1366, height: 900 }, ...options });
  const complaints = [];
  const complain = (text) => {
    if (!expected?.test(text)) complaints.push(text);
  };
  const page = await context.newPage();
  // Chromium begins to ask about requests a moment after the first route() has returned, and lets
  // those of that moment through: so it asks about all of them from the start.
  await page.route('**/nothing-is-here', (route) => route.abort());
  page.on('console', (message) => {
    // The issuer's page focuses its first field, unless a quick hand was there before.
    const isNote =
      ['verbose', 'debug'].includes(message.type()) || /^Autofocus/.test(message.text());
    if (!isNote) complain(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complain(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    complain(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(`${gate.url}/`)) complain(`outside: ${request.url()}`);
  });
  return { context, page, complaints };
}

/** Signs in through the issuer's own pages, as the console's button leads there. */
export async function signIn({ gate }, page, email = 'admin@example.com', password = 'admin123') {
  if (!page.url().includes('/console')) await page.goto(`${gate.url}/console`);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await logIn(page, email, password);
  await allow(page).click();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
}

export const views = ['Overview', 'Traffic', 'Protection', 'Alerts', 'Audit', 'Access', 'System'];

export async function go(page, view) {
  await page.getByRole('navigation').getByRole('link', { name: view }).click();
  await page.getByRole('heading', { level: 1, name: view }).waitFor();
}

/** Nothing says any more that it is loading. */
export const settled = (page) =>
  page.waitForFunction(() => !/Loading …|Checking …/.test(document.body.innerText));
