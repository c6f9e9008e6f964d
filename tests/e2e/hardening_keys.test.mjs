// SPDX-License-Identifier: MIT
// Where private keys are: not in the memory of the process that has the sockets, in any form that
// they could have there, and in that of the process that keeps them, where the same search finds
// them. Made, read again, turned and used before it is looked for them.
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach } from 'node:test';
import { command, Portcullis, sleep, temporaryFolder, test, unique } from './harness.mjs';
import { children, isMeasurable, search } from './memory_kit.mjs';

const started = [];
afterEach(async () => {
  for (const gate of started.splice(0)) await gate.stop('SIGKILL');
});

async function start(env = {}, config = undefined) {
  const data = temporaryFolder();
  const gate = await Portcullis.start({
    data,
    config,
    env: { JWT_ALGORITHM: 'ES256', JWT_SECRET_KEY: undefined, ...env },
  });
  started.push(gate);
  return gate;
}

/** What a private key could look like in memory: [name, bytes]. */
function formsOf(file) {
  const pem = fs.readFileSync(file, 'utf8');
  const jwk = createPrivateKey(pem).export({ format: 'jwk' });
  const forms = [];
  for (const part of ['d', 'p', 'q', 'dp', 'dq', 'qi'].filter((name) => jwk[name])) {
    const raw = Buffer.from(jwk[part], 'base64url');
    forms.push([`${part} as it is written`, raw]); // in PKCS #8 too
    forms.push([`${part} as a number of this processor`, Buffer.from(raw).reverse()]);
  }
  const [, , line] = pem.split('\n');
  if (pem.split('\n').length > 5) forms.push(['a line of its PEM', Buffer.from(line)]);
  else forms.push(['its PEM', Buffer.from(pem.split('\n')[1].slice(24))]);
  return forms.map(([name, bytes]) => [`${path.basename(file)}: ${name}`, bytes]);
}

const keyFiles = (gate) => {
  const folder = path.join(gate.data, 'data/keys');
  return fs
    .readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.pem'))
    .map((name) => path.join(folder, name))
    .filter((file) => fs.readFileSync(file, 'utf8').includes('PRIVATE KEY'));
};

const askToken = (gate) =>
  gate.request('POST', '/auth/token', {
    port: gate.authPort,
    headers: {
      Authorization: `Basic ${Buffer.from('web-portal:change-me').toString('base64')}`,
      'Content-Type': 'application/x-www-form-urlencoded',
    },
    body: 'grant_type=client_credentials&scope=accounts:read',
  });

async function clientToken(gate) {
  const reply = await askToken(gate);
  assert.equal(reply.status, 200, reply.text);
  return reply.json.access_token;
}

const headOf = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));

/** Uses every key there is: sessions, the issuer's, and those after turning them. */
async function use(gate) {
  const username = unique('keys');
  const made = await gate.post('/api/v1/auth/register', {
    username,
    email: `${username}@example.com`,
    password: 'a rather long pass phrase 7',
  });
  assert.ok(made.status === 200 || made.status === 201, made.text);
  assert.equal(headOf(made.json.access_token).alg, 'ES256');
  const profile = await gate.get('/api/v1/users/profile', { token: made.json.access_token });
  assert.equal(profile.status, 200);
  return headOf(await clientToken(gate)).kid;
}

test('no private key is in the process that has the sockets', async () => {
  if (!isMeasurable) return;
  const gate = await start();
  const first = await use(gate);
  const files = keyFiles(gate);
  assert.ok(files.length >= 3, files.join(' ')); // of sessions, the issuer and the audit log
  const forms = files.flatMap(formsOf);
  const [keeper, ...more] = children(gate.pid);
  assert.deepEqual(more, []);
  assert.deepEqual(search(gate.pid, forms), []);
  const there = search(keeper, forms);
  for (const file of files)
    assert.ok(
      there.some((name) => name.startsWith(path.basename(file))),
      `${file} is found where it is: ${there}`,
    );

  // Turned by a command, taken over by the running program, and signed with.
  const turned = await command(['keys', 'rotate', '--now'], { data: gate.data });
  assert.equal(turned.code, 0, turned.stderr);
  const deadline = Date.now() + 40_000;
  while (headOf(await clientToken(gate)).kid === first) {
    assert.ok(Date.now() < deadline, 'the new key was never used');
    await sleep(100);
  }
  assert.deepEqual(search(gate.pid, keyFiles(gate).flatMap(formsOf)), []);
  assert.deepEqual(await gate.stop(), { code: 0, signal: null });
  assert.equal(fs.existsSync(`/proc/${keeper}`), false);
});

test('the search finds them where they are kept inside', async () => {
  if (!isMeasurable) return;
  const gate = await start({ PORTCULLIS_KEYS: 'inside' });
  await use(gate);
  assert.deepEqual(children(gate.pid), []);
  const there = search(gate.pid, keyFiles(gate).flatMap(formsOf));
  assert.ok(there.length >= 3, there.join(' '));
  await gate.stop();
});

test('the process that keeps them has few rights, and its end is the end', async () => {
  const gate = await start();
  const [keeper] = children(gate.pid);
  const status = fs.readFileSync(`/proc/${keeper}/status`, 'utf8');
  assert.match(status, /^Seccomp:\s+2$/m);
  assert.match(status, /^NoNewPrivs:\s+1$/m);
  assert.match(status, /^CapBnd:\s+0+$/m);
  // The network's sockets are none of its business: one end of each pair, and what was open before.
  const links = fs.readdirSync(`/proc/${keeper}/fd`).map((fd) => {
    return fs.readlinkSync(`/proc/${keeper}/fd/${fd}`);
  });
  assert.ok(links.length < 12, links.join(' '));
  process.kill(keeper, 'SIGKILL');
  assert.deepEqual(await gate.ended(), { code: 1, signal: null });
  assert.match(gate.output, /the process that keeps the keys has ended/);
});

const unlimited = `limits:
  routes:
    - {route: POST /auth/token, requests_per_minute: 1000000, burst: 1000000}
`;

test('without the keys a token is refused, or the door is closed', async () => {
  const gate = await start({}, unlimited);
  const [keeper] = children(gate.pid);
  const seen = [];
  let ended = false;
  const end = gate.ended().then((how) => {
    ended = true;
    return how;
  });
  const client = async () => {
    while (!ended) {
      try {
        const reply = await askToken(gate);
        seen.push(reply.status);
        if (reply.status === 200) continue;
        assert.equal(reply.status, 503);
        assert.match(reply.json.type, /^urn:portcullis:problem:(busy|circuit-open)$/);
        assert.ok(Number(reply.headers['retry-after']) > 0);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        await sleep(5); // closed
      }
    }
  };
  const clients = Array.from({ length: 4 }, client);
  while (seen.length < 20) await sleep(5);
  process.kill(keeper, 'SIGKILL');
  await Promise.all(clients);
  assert.deepEqual(await end, { code: 1, signal: null });
  assert.deepEqual(new Set(seen.slice(0, 20)), new Set([200]));
});

/** The signal is heard by one thread first: the others run on until then. */
async function standStill(pid) {
  const state = (thread) =>
    fs.readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').split(') ').at(-1)[0];
  process.kill(pid, 'SIGSTOP');
  while (!fs.readdirSync(`/proc/${pid}/task`).every((thread) => state(thread) === 'T'))
    await sleep(5);
}

test('keys that stand still for a moment hold up nothing but signing', async () => {
  const gate = await start({}, unlimited);
  const [keeper] = children(gate.pid);
  await standStill(keeper);
  const token = askToken(gate);
  let signed = false;
  void token.then(() => {
    signed = true;
  });
  for (let i = 0; i < 20; i++) assert.equal((await gate.get('/livez')).status, 200);
  gate.signal('SIGHUP'); // whoever waits for signals is told of the stop, too, and goes on
  await gate.line(({ event }) => event === 'configuration_reloaded', 30_000);
  assert.equal(signed, false);
  process.kill(keeper, 'SIGCONT');
  assert.equal((await token).status, 200);
  assert.deepEqual(await gate.stop(), { code: 0, signal: null });
});

test('a program that is killed leaves nothing behind', async () => {
  const gate = await start();
  const [keeper] = children(gate.pid);
  await gate.stop('SIGKILL');
  const deadline = Date.now() + 30_000;
  while (fs.existsSync(`/proc/${keeper}`)) {
    assert.ok(Date.now() < deadline, 'the keeper lives on');
    await sleep(50);
  }
});
