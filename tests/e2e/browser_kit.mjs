// SPDX-License-Identifier: MIT
// What tests in a browser share: a quiet Chromium, the issuer's form, pictures, and what is too
// faint to be read.
import path from 'node:path';
import { chromium } from 'playwright-core';
import { temporaryFolder } from './harness.mjs';

const executablePath = process.env.PORTCULLIS_CHROMIUM ?? '/usr/bin/chromium';
const pictures = process.env.PORTCULLIS_PICTURES; // a folder: screenshots are kept there

export const launch = (options) =>
  chromium.launch({
    executablePath,
    env: { ...process.env, HOME: temporaryFolder() },
    args: [
      '--no-sandbox',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--disable-domain-reliability',
      '--disable-features=OptimizationHints,MediaRouter,Translate',
    ],
    ...options,
  });

/** Fills in the issuer's form and sends it. */
export async function logIn(page, email = 'user@example.com', password = 'user123') {
  await page.locator('#email').fill(email);
  await page.locator('#password').fill(password);
  await page.locator('#password').press('Enter');
}

export const allow = (page) => page.getByRole('button', { name: 'Allow', exact: true });

export async function picture(page, name) {
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
}

/** Each element with text of its own that is too near to what is behind it. WCAG 2.2, 1.4.3. */
export function faint() {
  const channel = (value) =>
    value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const numbers = (color) => color.match(/[\d.]+/g).map(Number);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = numbers(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('body *:not(noscript, script)')]
    .filter((element) =>
      [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()),
    )
    .map((element) => {
      const [a, b] = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return { text: element.textContent.trim().slice(0, 30), ratio };
    })
    .filter(({ ratio }) => ratio < 4.5);
}
