// SPDX-License-Identifier: MIT
// Three nodes over one PostgreSQL and one Redis, each in a network of its own: killed, stopped,
// cut off and restarted while clients move money at all of them and ask limited routes. The third
// goes to PostgreSQL by way of PgBouncer. docs/scaling.md says what follows from it.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import * as jose from 'jose';
import { sleep, test as testFor, unique } from '../e2e/harness.mjs';
import { Askers } from './askers.mjs';
import { Balancer } from './balancer.mjs';
import { Bank } from './bank.mjs';
import { tokenOf, until, World } from './nodes_kit.mjs';

const test = (name, run) => testFor(name, run, { timeout: 180_000 });

let world;
let bank;
let askers;
before(async () => {
  world = await World.start();
  bank = await Bank.open(world);
  askers = new Askers(world);
  await askers.start();
});
after(async () => {
  await askers?.stop();
  await world?.stop();
});

/** Under load: what goes wrong, and the clients' journal against the books behind it. */
const fault = (name, run) =>
  test(name, async (t) => {
    const begun = Date.now();
    const { done } = bank.seen;
    await bank.while(async () => {
      await bank.progress();
      await run(world.nodes);
      await world.ready();
      await bank.progress();
    });
    const loaded = Date.now();
    await bank.holds();
    await askers.back();
    const limits = askers.holds();
    const took = { load: loaded - begun, check: Date.now() - loaded };
    t.diagnostic(JSON.stringify({ ...bank.seen, now: bank.seen.done - done, ...limits, ...took }));
  });

fault('nothing is wrong', () => sleep(500));

fault('a node is killed and comes back', async ([, node]) => {
  await node.end('SIGKILL');
  await sleep(500);
  await node.start();
});

fault('a node stands still', async ([, , node]) => {
  node.child.kill('SIGSTOP');
  await sleep(3000);
  node.child.kill('SIGCONT');
});

/** Pulls cables of a node for a while; those of Redis leave it with its own share. */
async function cutOff(node, names) {
  const since = Date.now();
  for (const name of names) node.place.pull(name);
  await sleep(3000);
  for (const name of names) node.place.plug(name);
  if (names.includes('limits')) {
    assert.ok(askers.count('deny', 503, { node, since }) > 0, 'who cannot ask denies');
    const alone = askers.count('local_share', 200, { node, since });
    assert.ok(alone > 0, 'who cannot ask has its share');
  }
  for (const other of world.nodes.filter((one) => one !== node))
    assert.ok(askers.count('deny', 429, { node: other, since }) > 0, 'others go on');
}

fault('a node is cut off from PostgreSQL', ([node]) => cutOff(node, ['store']));
fault('a node is cut off from Redis', ([, node]) => cutOff(node, ['limits']));
fault('a node is cut off from both', ([, , node]) => cutOff(node, ['store', 'limits']));
fault('a node is cut off from its clients', ([node]) => cutOff(node, ['front']));

fault('PostgreSQL crashes and comes back', async () => {
  world.postgres.control('crash');
  await sleep(500);
  world.postgres.control('start');
});

fault('PostgreSQL stands still', async () => {
  world.postgres.control('freeze');
  await sleep(2500);
  world.postgres.control('thaw');
});

fault('Redis is killed and comes back', async () => {
  const since = Date.now();
  await world.redis.kill();
  await until(() => askers.count('deny', 503, { since }) > 0, 'somebody is denied');
  await sleep(500);
  await world.redis.start();
});

// ---- what ends, ends everywhere -----------------------------------------------------------------

const gateway = async (node, method, target, options, status) => {
  const reply = await node.ask('gateway', method, `/api/v1${target}`, options);
  assert.equal(reply.status, status, `${node.name} ${method} ${target}: ${reply.text}`);
  return reply.text ? JSON.parse(reply.text) : undefined;
};
const login = (node, email, password) =>
  gateway(node, 'POST', '/auth/login', { json: { email, password } }, 200);
const profile = (token) => (node) =>
  node.ask('gateway', 'GET', '/api/v1/users/profile', { token, timeout: 1500 });

async function registered(node) {
  const username = unique('person');
  const json = { username, email: `${username}@example.com`, password: 'a bridge of 9 arches' };
  const pair = await gateway(node, 'POST', '/auth/register', { json }, 201);
  const me = await gateway(node, 'GET', '/auth/me', { token: pair.access_token }, 200);
  return { ...json, id: me.user_id, pair };
}

// Each gives what is asked at every node, and what ends it at the first.
const endings = {
  logout: async ([node]) => {
    const { access_token: token } = await login(node, 'user@example.com', 'user123');
    return [profile(token), () => gateway(node, 'POST', '/auth/logout', { token }, 200)];
  },
  'a refresh token used twice': async ([node, other]) => {
    const { refresh_token } = await login(node, 'user@example.com', 'user123');
    const json = { refresh_token };
    const next = await gateway(other, 'POST', '/auth/refresh', { json }, 200);
    const again = () => gateway(node, 'POST', '/auth/refresh', { json }, 401);
    return [profile(next.access_token), again];
  },
  'a user switched off': async ([node]) => {
    const { access_token: admin } = await login(node, 'admin@example.com', 'admin123');
    const person = await registered(node);
    const change = { token: admin, json: { is_active: false } };
    const off = () => gateway(node, 'PATCH', `/admin/users/${person.id}`, change, 200);
    return [profile(person.pair.access_token), off];
  },
  'rights taken back': async ([node, ...others]) => {
    const { access_token: admin } = await login(node, 'admin@example.com', 'admin123');
    const person = await registered(node);
    const set = (is_admin) =>
      gateway(
        node,
        'PATCH',
        `/admin/users/${person.id}`,
        { token: admin, json: { is_admin } },
        200,
      );
    await set(true);
    const token = person.pair.access_token;
    const list = (one) => one.ask('gateway', 'GET', '/api/v1/admin/users', { token });
    for (const one of [node, ...others])
      await until(async () => (await list(one)).status === 200, 'rights are felt');
    return [list, () => set(false)];
  },
  "an issuer's token revoked": async ([node]) => {
    const token = await tokenOf(node);
    const form = { token, client_id: 'web-portal', client_secret: 'change-me' };
    const revoke = async () => {
      const reply = await node.ask('auth', 'POST', '/auth/revoke', { form });
      assert.equal(reply.status, 200, reply.text);
    };
    return [(one) => one.ask('auth', 'GET', '/whoami', { token }), revoke];
  },
};

/** For how long after `since` a node still said yes: to the last request that it was sent then. */
async function yesAfter(node, ask, since) {
  let last = since;
  for (;;) {
    const at = Date.now();
    const reply = await ask(node).catch(() => undefined);
    if (reply && (reply.status === 401 || reply.status === 403)) return last - since;
    if (reply?.status === 200) last = at;
    assert.ok(last - since < 30_000, `${node.name} does not hear of it`);
  }
}

const tries = 3;
for (const [what, begin] of Object.entries(endings))
  test(`felt at every node within a second: ${what}`, async (t) => {
    const took = [];
    await bank.while(
      async () => {
        for (let i = 0; i < tries; i++) {
          const [ask, end] = await begin(world.nodes);
          for (const node of world.nodes) assert.equal((await ask(node)).status, 200, node.name);
          await end();
          const since = Date.now();
          const all = await Promise.all(world.nodes.map((node) => yesAfter(node, ask, since)));
          took.push(Math.max(...all));
        }
      },
      { movers: 2 },
    );
    t.diagnostic(`ms: ${took.join(', ')}`);
    assert.ok(Math.min(...took) <= 1000, `${took} ms`);
  });

test('a node that cannot hear of it says yes for no longer than a second', async (t) => {
  const [node, , deaf] = world.nodes;
  const took = [];
  do {
    const [ask, end] = await endings.logout([node]);
    assert.equal((await ask(deaf)).status, 200);
    deaf.place.pull('store');
    const since = Date.now();
    await end();
    let last = since;
    for (let at = since; at - since < 2500; at = Date.now()) {
      const reply = await ask(deaf).catch(() => undefined); // it does not know: no answer, or 503
      if (reply?.status === 200) last = at;
    }
    took.push(last - since);
    deaf.place.plug('store');
    await until(async () => (await ask(deaf).catch(() => ({}))).status === 401, 'it heard of it');
  } while (took.at(-1) > 1000 && took.length < 3);
  t.diagnostic(`ms: ${took.join(', ')}`);
  assert.ok(Math.min(...took) <= 1000, `${took} ms`);
});

// ---- changes that nobody notices ----------------------------------------------------------------

/** Issues tokens at any node and shows each to all: { kids, count, failures }. */
async function tokensWhile(run) {
  const seen = { kids: new Set(), count: 0, failures: [] };
  let over = false;
  const older = await tokenOf(world.nodes[0]);
  const show = async (token, made) => {
    for (const node of world.nodes)
      for (const [service, target] of [
        ['auth', '/whoami'],
        ['gateway', '/api/v1/oauth/whoami'],
      ]) {
        const reply = await node.ask(service, 'GET', target, { token });
        if (reply.status !== 200) seen.failures.push(`${made} ${node.name} ${reply.text}`);
      }
  };
  const client = async (node) => {
    while (!over) {
      const token = await tokenOf(node);
      seen.kids.add(jose.decodeProtectedHeader(token).kid);
      seen.count += 1;
      await show(token, `made at ${node.name}, shown to`);
    }
  };
  const clients = Promise.all(world.nodes.map(client));
  try {
    await Promise.race([run(seen), clients]);
  } finally {
    over = true;
  }
  await clients;
  await show(older, 'made before, shown to');
  return seen;
}

test('keys are rotated at every node, and each token is good at all', async (t) => {
  const seen = await tokensWhile(async ({ kids }) => {
    await until(() => kids.size === 3, 'each node signs with a key of its own');
    const rotate = (...how) =>
      Promise.all(world.nodes.map((node) => world.commandAt(node, 'keys', 'rotate', ...how)));
    await rotate('--now');
    await until(() => kids.size === 6, 'each node signs with its new key');
    await rotate();
  });
  t.diagnostic(JSON.stringify({ count: seen.count, keys: seen.kids.size }));
  assert.deepEqual(seen.failures, []);
});

/** Each node in turn gets SIGTERM, ends well and is started again, behind a balancer. */
async function rolled() {
  const balancer = new Balancer(world.nodes);
  balancer.name = 'the balancer';
  await until(() => balancer.up.size === 3, 'the balancer sees all nodes');
  balancer.blind_ms = 0;
  await bank.while(
    async () => {
      for (const node of world.nodes) {
        await bank.progress(20);
        assert.deepEqual(await node.end('SIGTERM'), [0, null], node.log.slice(-2000));
        await node.start();
        await until(() => balancer.up.has(node), `${node.name} is up again`);
      }
      await bank.progress(20);
    },
    { doors: [balancer] },
  );
  await balancer.stop();
  return balancer;
}

test('a rolling restart without a failed request', async (t) => {
  // A balancer that stood still for longer than a node gives notice proves nothing: again then.
  for (let attempt = 1; ; attempt++) {
    const { failures, asked, blind_ms: blind } = await rolled();
    t.diagnostic(JSON.stringify({ asked, failures: failures.length, blind }));
    assert.ok(asked > 100, `${asked} requests`);
    if (failures.length > 0 && blind > 1000 && attempt < 3) continue;
    assert.deepEqual(failures, []);
    break;
  }
  await bank.holds();
  await askers.back();
  askers.holds();
});
