// SPDX-License-Identifier: MIT
// OAuth clients, kept from the command line beside the running program: what the operator does is
// felt within a second, at the issuer and wherever its tokens are shown.
import assert from 'node:assert/strict';
import { command, Portcullis, test } from './harness.mjs';

const tokenPath = '/api/v1/oauth/token';

/** What the token endpoint answers; a secret goes by HTTP Basic. */
function ask(gate, id, word, form = { grant_type: 'client_credentials' }) {
  const basic = Buffer.from(`${id}:${word}`).toString('base64');
  return gate.request('POST', tokenPath, {
    headers: {
      Authorization: `Basic ${basic}`,
      'Content-Type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams(form).toString(),
  });
}

const whoami = (gate, token) => gate.get('/api/v1/oauth/whoami', { token });

/** Waits until `holds`, a second and a half at most. */
async function soon(what, holds) {
  const started = Date.now();
  while (!(await holds())) assert.ok(Date.now() - started < 1500, what);
}

async function beside(run, env = {}) {
  const gate = await Portcullis.start({
    // The limit of five a minute has tests of its own.
    config: `limits:\n  routes:\n    - route: POST ${tokenPath}\n      requests_per_minute: 6000\n`,
    env,
  });
  const client = (...args) => command(['client', ...args], { data: gate.data, env });
  try {
    await run(gate, client);
  } finally {
    await gate.stop();
  }
}

const service = ['--grant', 'client_credentials', '--scope', 'orders:read'];

const secretOf = ({ code, stdout, stderr }) => {
  assert.equal(code, 0, stderr);
  const found = /shown this once: (\S{43})\n/.exec(stdout);
  assert.ok(found, stdout);
  return found[1];
};

test('a client works at once, and what it loses is gone within a second', async () => {
  await beside(async (gate, client) => {
    const word = secretOf(
      await client(
        'create',
        'robot',
        '--grant',
        'client_credentials',
        '--scope',
        'audit:read,orders:read',
        '--role',
        'auditor',
      ),
    );
    const reply = await ask(gate, 'robot', word);
    assert.equal(reply.status, 200, reply.text);
    const token = reply.json.access_token;
    assert.deepEqual((await whoami(gate, token)).json, {
      sub: 'robot',
      scope: 'audit:read orders:read',
      roles: ['auditor'],
      client_id: 'robot',
    });
    const list = await gate.get('/api/v1/oauth/clients', { token });
    assert.equal(list.status, 200, list.text);
    assert.ok(list.json.some((one) => one.client_id === 'robot' && one.roles[0] === 'auditor'));
    assert.ok(!list.text.includes(word));

    assert.equal((await client('update', 'robot', '--scope', 'orders:read', '--role', '')).code, 0);
    await soon('the scope stays', async () => {
      return (await gate.get('/api/v1/oauth/clients', { token })).status === 403;
    });
    const left = (await whoami(gate, token)).json;
    assert.equal(left.scope, 'orders:read');
    assert.deepEqual(left.roles, []);

    assert.equal((await client('disable', 'robot')).code, 0);
    await soon('the token lives', async () => (await whoami(gate, token)).status === 401);
    assert.equal((await ask(gate, 'robot', word)).json.error, 'invalid_client');
    assert.equal((await client('enable', 'robot')).code, 0);
    assert.equal((await whoami(gate, token)).status, 401, 'enabling revived a token');
    await soon('no new token', async () => {
      const again = await ask(gate, 'robot', word);
      return (
        again.status === 200 && (await whoami(gate, again.json.access_token)).status === 200
      );
    });
  });
});

test('a secret is changed with and without an overlap', async () => {
  await beside(async (gate, client) => {
    const first = secretOf(await client('create', 'robot', ...service));
    const second = secretOf(await client('rotate-secret', 'robot', '--overlap', '1'));
    assert.notEqual(first, second);
    for (const word of [first, second])
      assert.equal((await ask(gate, 'robot', word)).status, 200);
    const third = secretOf(await client('rotate-secret', 'robot'));
    for (const word of [first, second]) {
      const reply = await ask(gate, 'robot', word);
      assert.equal(reply.status, 401);
      assert.equal(reply.headers['www-authenticate'], 'Basic realm="portcullis"');
      assert.equal(reply.headers['cache-control'], 'no-store');
    }
    assert.equal((await ask(gate, 'robot', third)).status, 200);
  });
});

test('nobody learns which clients there are', async () => {
  await beside(async (gate, client) => {
    await client('create', 'robot', ...service);
    const answers = new Set();
    for (const id of ['robot', 'nobody', 'api-docs', 'web-portal'])
      answers.add((await ask(gate, id, 'wrong')).text);
    assert.deepEqual(
      [...answers].map((text) => JSON.parse(text).error),
      ['invalid_client'],
    );
    const { stdout } = await client('show', 'robot', '--json');
    assert.deepEqual(JSON.parse(stdout).grant_types, ['client_credentials']);
  });
});
