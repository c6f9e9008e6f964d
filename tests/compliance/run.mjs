// SPDX-License-Identifier: MIT
// Runs every check twice: with its control in place the probe must be green, with the control
// switched off the same probe must be red, and for the reason that the check names. Anything else
// that goes wrong (a server that does not start, a mistake in a probe) is a failure both times.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { command, temporaryFolder } from '../e2e/harness.mjs';
import { checks as access } from './access.mjs';
import { checks as accounts } from './accounts.mjs';
import { checks as audit } from './audit.mjs';
import { checks as data } from './data.mjs';
import { checks as edge } from './edge.mjs';
import { World } from './world.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const controls = path.join(root, 'controls');
const output = path.join(root, 'build/compliance');
const atOnce = 4;
const patience = 120_000;
const wanted = process.argv.slice(2);
const all = [...access, ...accounts, ...audit, ...data, ...edge];

let number = 0;
let failed = 0;
function point(good, name, told = '') {
  number += 1;
  failed += good ? 0 : 1;
  console.log(`${good ? 'ok' : 'not ok'} ${number} - ${name}`);
  if (!good) for (const line of `${told}`.split('\n').slice(0, 12)) console.log(`# ${line}`);
}

const short = (error) => `${error?.message ?? error}`.split('\n')[0].slice(0, 300);

async function within(work) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error('took too long')), patience);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** { good, told } of the probe with the control in place. */
async function green(check, world) {
  try {
    await within(async () => check.probe(await check.on(world), world));
    return { good: true, told: 'green' };
  } catch (error) {
    return { good: false, told: short(error), error };
  }
}

/** { good, told } of the probe where the control is switched off: each of them must be red. */
async function red(check, world) {
  try {
    const subjects = [await within(() => check.off(world))].flat();
    assert.ok(subjects.length > 0, 'nothing is switched off');
    let told = '';
    for (const subject of subjects) {
      const error = await within(() => check.probe(subject, world)).then(
        () => undefined,
        (one) => one,
      );
      if (!error) return { good: false, told: 'stayed green with the control switched off' };
      told = short(error);
      const right = error instanceof assert.AssertionError && check.red.test(error.message);
      if (!right) return { good: false, told: `red for another reason: ${told}`, error };
    }
    return { good: true, told: `red: ${told}` };
  } catch (error) {
    return { good: false, told: `not switched off: ${short(error)}`, error };
  }
}

async function run(check, world) {
  const began = Date.now();
  const on = await green(check, world);
  const off = await red(check, world);
  point(on.good, `${check.name}: green with the control`, on.error?.stack ?? on.told);
  point(off.good, `${check.name}: red without (${check.how})`, off.error?.stack ?? off.told);
  return {
    name: check.name,
    about: check.about,
    on: { green: on.good, told: on.told },
    off: { red: off.good, told: off.told, how: check.how },
    milliseconds: Date.now() - began,
  };
}

/** The names both ways: what a control asks for there is, and what there is some control asks. */
function names(frameworks) {
  const asked = new Set(
    frameworks.flatMap((one) => one.controls.flatMap((control) => control.checks)),
  );
  const there = all.map(({ name }) => name);
  assert.equal(new Set(there).size, there.length, 'a check is there twice');
  assert.deepEqual(
    [...asked].filter((name) => !there.includes(name)),
    [],
    'controls name checks that are not there',
  );
  assert.deepEqual(
    there.filter((name) => !asked.has(name)),
    [],
    'checks that no control names',
  );
  for (const check of all)
    for (const part of ['name', 'about', 'how', 'red', 'on', 'off', 'probe'])
      assert.ok(check[part], `${check.name} lacks ${part}`);
}

const automated = (frameworks) =>
  frameworks.flatMap((one) => one.controls).filter((control) => control.checks.length > 0).length;

async function matrix() {
  const { code, stdout, stderr } = await command([
    'compliance',
    'list',
    '--controls',
    controls,
    '--json',
  ]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout).frameworks;
}

/** The report that the program makes of it, for the installation that the checks ran against. */
async function report(world, results) {
  const folder = temporaryFolder();
  const file = (name) => path.join(folder, name);
  fs.writeFileSync(file('results.json'), JSON.stringify(results));
  const op = await world.base();
  const args = ['compliance', 'report', '--controls', controls, '--results', file('results.json')];
  await world.checkpoint(op);
  const made = await command(
    [...args, '--html', file('report.html'), '--json', file('report.json')],
    { data: op.gate.data, env: op.env, timeout: 60_000 },
  );
  const dirty = results.revision.endsWith('-dirty');
  const gaps = dirty || results.checks.some(({ on, off }) => !on.green || !off.red);
  assert.equal(made.code, gaps ? 1 : 0, `${made.stdout}${made.stderr}`);
  const told = JSON.parse(fs.readFileSync(file('report.json'), 'utf8'));
  assert.equal(told.program.revision, results.revision);
  assert.match(told.configuration_hash, /^[0-9a-f]{64}$/);
  assert.match(told.checkpoint.note, /^portcullis\n\d+\n/);
  assert.equal(told.no_evidence, 0);
  const page = fs.readFileSync(file('report.html'), 'utf8');
  for (const text of [page, JSON.stringify(told), made.stdout]) {
    assert.match(text, /evidence for/);
    assert.doesNotMatch(text, /\b(compliant|certified)\b/i);
  }
  const other = { ...results, revision: 'another' };
  fs.writeFileSync(file('results.json'), JSON.stringify(other));
  const refused = await command(args, { data: op.gate.data, env: op.env, timeout: 60_000 });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /is of revision another, this program is .*nothing of it counts/);
  assert.match(refused.stdout, /evidence for 0 of/);
}

async function attempt(name, work) {
  try {
    await within(work);
    point(true, name);
  } catch (error) {
    point(false, name, error.stack);
  }
}

async function main() {
  const chosen = wanted.length > 0 ? all.filter(({ name }) => wanted.includes(name)) : all;
  const extra = wanted.length > 0 ? 0 : 3;
  console.log(`1..${chosen.length * 2 + extra}`);
  const world = new World();
  const began = new Date().toISOString();
  const { stdout } = await command(['version', '--json']);
  const { version, revision } = JSON.parse(stdout);
  if (extra) {
    const frameworks = await matrix();
    await attempt('every check is named by a control, and there', async () => names(frameworks));
    await attempt('there are at least 40 automated controls', async () =>
      assert.ok(automated(frameworks) >= 40, `${automated(frameworks)}`),
    );
  }
  const told = [];
  const left = [...chosen];
  const work = async () => {
    for (let check = left.shift(); check; check = left.shift()) told.push(await run(check, world));
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  if (extra) {
    const results = {
      format: 'portcullis-compliance-results-1',
      version,
      revision,
      began_at: began,
      ended_at: new Date().toISOString(),
      checks: told.sort((a, b) => (a.name < b.name ? -1 : 1)),
    };
    await attempt('the report says what the checks said', () => report(world, results));
    fs.mkdirSync(output, { recursive: true });
    fs.writeFileSync(path.join(output, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
  }
  await world.stop();
  process.exit(failed > 0 ? 1 : 0);
}

await main();
