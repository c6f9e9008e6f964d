// SPDX-License-Identifier: MIT
// Three nodes over one PostgreSQL and one Redis, each in a network of its own: killed, stopped and
// cut off while clients move money at all of them.
import { after, before } from 'node:test';
import { sleep, test as testFor } from '../e2e/harness.mjs';
import { Bank } from './bank.mjs';
import { World } from './nodes_kit.mjs';

const test = (name, run) => testFor(name, run, { timeout: 180_000 });

let world;
let bank;
before(async () => {
  world = await World.start();
  bank = await Bank.open(world);
});
after(() => world?.stop());

/** Under load: what goes wrong, and the clients' journal against the books behind it. */
const fault = (name, run) =>
  test(name, async (t) => {
    const begun = Date.now();
    await bank.while(async () => {
      await bank.progress();
      await run(world.nodes);
      await world.ready();
      await bank.progress();
    });
    const loaded = Date.now();
    await bank.holds();
    const took = { load: loaded - begun, check: Date.now() - loaded };
    t.diagnostic(JSON.stringify({ ...bank.seen, ...took }));
  });

fault("nothing is wrong", () => sleep(1000));

fault('a node is killed and comes back', async ([, node]) => {
  await node.end('SIGKILL');
  await sleep(500);
  await node.start();
});

fault('a node stands still for four seconds', async ([, , node]) => {
  node.child.kill('SIGSTOP');
  await sleep(4000);
  node.child.kill('SIGCONT');
});

for (const [what, ...networks] of [
  ['PostgreSQL', 'store'],
  ['Redis', 'limits'],
  ['both', 'store', 'limits'],
])
  fault(`a node is cut off from ${what}`, async ([node]) => {
    for (const name of networks) node.place.pull(name);
    await sleep(4000);
    for (const name of networks) node.place.plug(name);
  });

fault('a node is cut off from its clients', async ([, node]) => {
  node.place.pull('front');
  await sleep(3000);
  node.place.plug('front');
});

fault('PostgreSQL crashes and comes back', async () => {
  world.postgres.control('crash');
  await sleep(500);
  world.postgres.control('start');
});

fault('PostgreSQL stands still for three seconds', async () => {
  world.postgres.control('freeze');
  await sleep(3000);
  world.postgres.control('thaw');
});

fault('Redis is killed and comes back', async () => {
  await world.redis.kill();
  await sleep(1000);
  await world.redis.start();
});
