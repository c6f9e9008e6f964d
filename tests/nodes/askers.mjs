// SPDX-License-Identifier: MIT
// Clients of limited routes who ask all the time at all nodes, far more than the limit allows, and
// count what they were answered.
import assert from 'node:assert/strict';
import { sleep } from '../e2e/harness.mjs';
import { perMinute, until } from './nodes_kit.mjs';

const rate = perMinute / 60;

export class Askers {
  constructor(world) {
    this.world = world;
    this.routes = { deny: [], local_share: [] }; // of each: { node, at, status }
    this.over = false;
  }

  start() {
    this.begun = Date.now();
    this.work = Promise.all(
      this.world.nodes.flatMap((node) =>
        Object.entries(this.routes).map(([name, seen]) => this.#ask(node, name, seen)),
      ),
    );
    this.work.catch(() => {});
    const limited = () => Object.keys(this.routes).every((name) => this.count(name, 429) > 0);
    return until(limited, 'more is asked for than the limits allow');
  }

  async #ask(node, name, seen) {
    while (!this.over) {
      const at = Date.now();
      const reply = await node
        .ask('gateway', 'GET', `/${name}`, { timeout: 2000 })
        .catch(() => undefined);
      if (reply) {
        // Redis away is the only trouble that this route knows of, and it does not mind.
        const known = name === 'deny' ? [200, 429, 503] : [200, 429];
        assert.ok(known.includes(reply.status), `${node.name} /${name}: ${reply.text}`);
        seen.push({ node, at, status: reply.status });
      }
      await sleep(40);
    }
  }

  count(name, status, { node, since = 0 } = {}) {
    return this.routes[name].filter(
      (one) => one.status === status && one.at >= since && (!node || one.node === node),
    ).length;
  }

  /**
   * What nodes may have admitted beside the limit: while one cannot ask Redis, for which it denies
   * on the other route, it has its share, a bucket of its own.
   */
  #shares() {
    let sum = 0;
    for (const node of this.world.nodes) {
      let [begun, last] = [0, 0];
      const add = () => {
        if (begun) sum += perMinute / 3 + (rate / 3) * ((last - begun) / 1000 + 5) + 1;
      };
      for (const one of this.routes.deny) {
        if (one.node !== node || one.status !== 503) continue;
        if (one.at - last > 5000) {
          add();
          begun = one.at;
        }
        last = one.at;
      }
      add();
    }
    return sum;
  }

  /** What three nodes admitted is what one limit allows. */
  holds() {
    const most = perMinute + (rate * (Date.now() - this.begun)) / 1000;
    const [deny, share] = [this.count('deny', 200), this.count('local_share', 200)];
    assert.ok(deny <= most * 1.01 + 1, `deny: ${deny} admitted, ${most} allowed`);
    const bound = (most + this.#shares()) * 1.01 + 1;
    assert.ok(share <= bound, `local_share: ${share} admitted, ${bound} allowed`);
    return { deny, share, most: Math.floor(most), bound: Math.floor(bound) };
  }

  /** Every node shares its limits again. */
  async back() {
    const since = Date.now();
    const good = (node) =>
      this.count('deny', 200, { node, since }) + this.count('deny', 429, { node, since }) > 0;
    await until(() => this.world.nodes.every(good), 'every node asks Redis again');
  }

  async stop() {
    this.over = true;
    await this.work;
  }
}
