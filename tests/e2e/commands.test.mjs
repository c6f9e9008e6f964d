// SPDX-License-Identifier: MIT
// The commands beside `serve`, as an operator types them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { command, Portcullis, secret, temporaryFolder, test } from './harness.mjs';

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
  for (const name of ['serve', 'check', 'openapi', 'user', 'client', 'migrate', 'certs', 'version'])
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

// ---- users, beside the running program ----------------------------------------------------------

const strong = 'Zk3p9Qw7Lx2Vb8Nm4Rt6Yh1Jc5Gd0Fs-unguessable-and-long-enough';
const production = {
  ENVIRONMENT: 'production',
  TLS_TERMINATED_IN_FRONT: 'true',
  ALLOWED_ORIGINS: 'https://app.example.com',
  AUTH_JWT_ISSUER: 'https://auth.example.com',
  JWT_SECRET_KEY: strong,
};

test('the first admin of a production comes from the command line', async () => {
  const gate = await Portcullis.start({ env: production });
  const run = (args, input) => command(args, { env: production, data: gate.data, input });
  try {
    const create = ['user', 'create', 'root@example.com', '--admin', '--password-stdin'];
    const made = await run(create, 'a long enough one\n');
    assert.equal(made.code, 0, made.stderr);
    assert.ok(!(made.stdout + made.stderr).includes('a long enough one'));
    const admin = (await gate.login('root@example.com', 'a long enough one')).access_token;
    assert.equal((await gate.get('/api/v1/admin/users', { token: admin })).status, 200);

    const twice = await run(create, 'a long enough one\n');
    assert.equal(twice.code, 1, twice.stderr);
    for (const [email, password] of [
      ['x@example.com', 'short'],
      ['no-address', 'a long enough one'],
    ]) {
      const { code, stderr } = await run(
        ['user', 'create', email, '--password-stdin'],
        `${password}\n`,
      );
      assert.ok([1, 2].includes(code), `${email}: ${code}`);
      assert.ok(stderr.length > 0 && !stderr.includes(password));
    }
  } finally {
    await gate.stop();
  }
});

test('disabling, enabling and a new password hold for the running program', async () => {
  const gate = await Portcullis.start();
  const run = (args, input) => command(args, { data: gate.data, input });
  const refused = async (token) => {
    const started = Date.now();
    while ((await gate.get('/api/v1/auth/me', { token })).status === 200)
      assert.ok(Date.now() - started < 1500, 'never refused');
  };
  try {
    const account = await gate.register();
    const login = (password) => gate.post('/api/v1/auth/login', { email: account.email, password });

    const list = JSON.parse((await run(['user', 'list', '--json'])).stdout);
    assert.equal(list.length, 4);
    assert.ok(list.some((user) => user.email === account.email));
    assert.ok(!JSON.stringify(list).includes('argon'));

    assert.equal((await run(['user', 'disable', account.email])).code, 0);
    await refused(account.tokens.access_token);
    assert.equal((await login(account.password)).status, 403);
    assert.equal((await run(['user', 'enable', account.email])).code, 0);
    const again = await login(account.password);
    assert.equal(again.status, 200);
    assert.equal(
      (await gate.get('/api/v1/auth/me', { token: account.tokens.access_token })).status,
      401,
    );

    const changed = await run(
      ['user', 'password', account.email, '--password-stdin'],
      'quite another one\n',
    );
    assert.equal(changed.code, 0, changed.stderr);
    await refused(again.json.access_token);
    assert.equal(
      (await gate.post('/api/v1/auth/refresh', { refresh_token: again.json.refresh_token })).status,
      401,
    );
    assert.equal((await login(account.password)).status, 401);
    assert.equal((await login('quite another one')).status, 200);

    assert.equal((await run(['user', 'disable', 'admin@example.com'])).code, 1, 'the last admin');
    assert.equal((await run(['user', 'disable', 'nobody@example.com'])).code, 1);
  } finally {
    await gate.stop();
  }
});

test('certificates for development work at once', async () => {
  const folder = path.join(temporaryFolder(), 'certs');
  const made = await command(['certs', 'dev', '--folder', folder, 'alice']);
  assert.equal(made.code, 0, made.stderr);
  const names = fs.readdirSync(folder);
  const find = (part, kind) => {
    const name = names.find((one) => one.includes(part) && kind.test(one));
    assert.ok(name, `${part} in ${names.join(', ')}`);
    return path.join(folder, name);
  };
  for (const name of names.filter((one) => /key/.test(one)))
    assert.equal(fs.statSync(path.join(folder, name)).mode & 0o077, 0, name);
  const key = /key/;
  const certificate = /^(?!.*key).*(crt|pem)$/;
  const config = [
    'gateway:',
    '  tls:',
    `    certificate: ${find('server', certificate)}`,
    `    key: ${find('server', key)}`,
    `    client_ca: ${find('ca', certificate)}`,
    '    client_auth: required',
  ].join('\n');
  const tls = {
    ca: fs.readFileSync(find('ca', certificate)),
    cert: fs.readFileSync(find('alice', certificate)),
    key: fs.readFileSync(find('alice', key)),
  };
  const gate = await Portcullis.start({ config, tls });
  try {
    assert.equal((await gate.get('/health')).status, 200);
    const line = await gate.line((entry) => entry.path === '/health');
    assert.match(line.mtls_subject, /CN=alice/);
  } finally {
    await gate.stop();
  }
});

test('migrate may be run at any time', async () => {
  const data = temporaryFolder();
  for (let i = 0; i < 2; i++) {
    const { code, stderr } = await command(['migrate'], { data });
    assert.equal(code, 0, stderr);
  }
});
