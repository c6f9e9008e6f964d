// SPDX-License-Identifier: MIT
// The commands beside `serve`, as an operator types them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { command, secret, temporaryFolder, test } from './harness.mjs';

test('version says the version, for people and for programs', async () => {
  const plain = await command(['version']);
  assert.equal(plain.code, 0);
  assert.match(plain.stdout, /\d+\.\d+\.\d+/);
  const { code, stdout } = await command(['version', '--json']);
  assert.equal(code, 0);
  assert.match(JSON.parse(stdout).version, /^\d+\.\d+\.\d+/);
});

test('help names every command, and each has its own', async () => {
  const { code, stdout } = await command(['--help']);
  assert.equal(code, 0);
  for (const name of ['serve', 'check', 'openapi', 'user', 'migrate', 'certs', 'version'])
    assert.match(stdout, new RegExp(`^\\s+(portcullis )?${name}\\b`, 'm'), name);
  for (const name of ['serve', 'check', 'openapi', 'migrate', 'version']) {
    const page = await command([name, '--help']);
    assert.equal(page.code, 0, name);
    assert.ok(page.stdout.includes(name));
  }
});

test('wrong use is 2, with a word on what was meant', async () => {
  for (const args of [['srve'], ['serve', '--colour'], ['version', 'now']]) {
    const { code, stdout, stderr } = await command(args);
    assert.equal(code, 2, args.join(' '));
    assert.equal(stdout, '');
    assert.ok(stderr.length > 0);
  }
  assert.match((await command(['srve'])).stderr, /serve/);
});

test('check accepts what is right and points at what is wrong', async () => {
  const data = temporaryFolder();
  const file = path.join(data, 'portcullis.yaml');
  fs.writeFileSync(file, 'limits:\n  requests_per_minute: 120\n');
  assert.equal((await command(['check', '--config', file])).code, 0);

  fs.writeFileSync(file, 'limits:\n  request_per_minute: 120\n');
  const typo = await command(['check', '--config', file]);
  assert.equal(typo.code, 1);
  const text = typo.stdout + typo.stderr;
  assert.match(text, /portcullis\.yaml:2:3/);
  assert.match(text, /requests_per_minute/);

  fs.writeFileSync(file, 'limits: [1,\n');
  assert.equal((await command(['check', '--config', file])).code, 1);
  assert.notEqual((await command(['check', '--config', path.join(data, 'none.yaml')])).code, 0);
});

test('check --explain tells every value and where it comes from, but no secret', async () => {
  const data = temporaryFolder();
  const file = path.join(data, 'portcullis.yaml');
  fs.writeFileSync(file, 'jwt:\n  issuer: https://issuer.example\n');
  const { code, stdout, stderr } = await command(['check', '--explain', '--config', file], {
    data,
  });
  assert.equal(code, 0, stderr);
  assert.ok(!stdout.includes(secret));
  assert.match(stdout, /jwt\.secret\b.*JWT_SECRET_KEY/);
  assert.match(stdout, /jwt\.issuer\b.*https:\/\/issuer\.example.*portcullis\.yaml/);
  assert.match(stdout, /password\.bcrypt_cost\b.*12/);
});
