#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// Makes the screenshots of this folder again (node docs/images/make.mjs [FOLDER]): the console and
// Swagger UI of a fresh server with some traffic, in Chromium, as the tests of the console have it.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { go, settled, signIn, startConsole, visitor } from '../../tests/e2e/console_kit.mjs';

const folder = process.argv[2] ?? path.dirname(fileURLToPath(import.meta.url));
const at = await startConsole();
const { page } = await visitor(at, { viewport: { width: 1100, height: 640 } });
const take = (name) => page.screenshot({ path: path.join(folder, `${name}.png`) });
try {
  await signIn(at, page);
  await settled(page);
  for (let turn = 0; turn < 12; turn++) {
    // Some points on the curves, and not all of them alike.
    for (let i = 0; i < 20 + ((turn * 7) % 11) * 6; i++)
      await at.gate.get(i % 5 ? '/api/v1/health' : '/api/v1/users/profile');
    await page.waitForTimeout(2000);
  }
  await take('console');
  await go(page, 'Audit');
  await settled(page);
  await take('console-audit');
  await page.goto(`${at.gate.url}/api/docs`);
  await page.locator('.opblock').first().waitFor();
  await take('swagger');
} finally {
  await at.stop();
}
