// SPDX-License-Identifier: MIT
// A small balancer, as simple as they come: it asks every node's /readyz again and again, sends
// requests to those that say 200 over connections that it keeps, and tries another node only where
// the connection was refused, so that nothing was sent.
import { sleep } from '../e2e/harness.mjs';

export class Balancer {
  failures = [];
  asked = 0;
  blind_ms = 0; // the longest that it did not look

  constructor(nodes) {
    this.nodes = nodes;
    this.up = new Set();
    this.over = false;
    this.turn = 0;
    this.work = Promise.all(nodes.map((node) => this.#watch(node)));
  }

  async #watch(node) {
    let last = Date.now();
    while (!this.over) {
      const reply = await node
        .ask('gateway', 'GET', '/readyz', { timeout: 5000, agent: false })
        .catch(() => undefined);
      if (reply?.status === 200) this.up.add(node);
      else this.up.delete(node);
      this.blind_ms = Math.max(this.blind_ms, Date.now() - last);
      last = Date.now();
      await sleep(50);
    }
  }

  async ask(...request) {
    for (let tries = 0; ; tries++) {
      const list = [...this.up];
      const node = list[this.turn++ % list.length];
      try {
        if (!node) throw new Error('no node is up');
        const reply = await node.ask(...request);
        this.asked += 1;
        if (reply.status >= 500) throw new Error(`${reply.status} ${reply.text}`);
        return reply;
      } catch (error) {
        if (error.code === 'ECONNREFUSED' && tries < 3) {
          this.up.delete(node);
          continue;
        }
        this.failures.push(`${node?.name}: ${request.slice(0, 3).join(' ')}: ${error.message}`);
        throw error;
      }
    }
  }

  async stop() {
    this.over = true;
    await this.work;
  }
}
