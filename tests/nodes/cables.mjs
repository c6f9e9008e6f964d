// SPDX-License-Identifier: MIT
// Networks of the test's own: three switches in the namespace that this process is in, and for each
// node a namespace with a cable to each of them. A cable that is pulled out of its switch carries
// nothing either way, and neither end is told: packets go in and are gone.
//
//   front   192.0.2.0/24      the clients, and what routes lead to
//   store   198.51.100.0/24   PostgreSQL
//   limits  203.0.113.0/24    Redis
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { sleep } from '../e2e/harness.mjs';

// Networks for documentation (RFC 5737): no machine anywhere has such an address.
export const networks = { front: '192.0.2', store: '198.51.100', limits: '203.0.113' };

/** The address of this process on a network. */
export const here = (name) => `${networks[name]}.1`;

const ip = (...lines) => execFileSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });

export function makeSwitches() {
  for (const name of Object.keys(networks))
    ip(
      `link add ${name} type bridge`,
      `addr add ${here(name)}/24 dev ${name}`,
      `link set ${name} up`,
    );
}

/** Somebody listens there. */
export const reached = (host, port) =>
  new Promise((resolve) => {
    const socket = net.connect(port, host, () => resolve(socket.destroy() && true));
    socket.on('error', () => resolve(false));
  });

/** The namespace of one node; it lives as long as the process that holds it. */
export class Place {
  static async make(number) {
    const one = new Place();
    one.number = number;
    one.holder = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'ignore', 'inherit'] });
    const ours = fs.readlinkSync('/proc/self/ns/net');
    const theirs = () => fs.readlinkSync(`/proc/${one.holder.pid}/ns/net`);
    while (theirs() === ours) await sleep(5);
    for (const [name, network] of Object.entries(networks)) {
      ip(
        `link add ${name}${number} type veth peer name ${name} netns ${one.holder.pid}`,
        `link set ${name}${number} master ${name} up`,
      );
      const within = [`addr add ${network}.${10 + number}/24 dev ${name}`, `link set ${name} up`];
      execFileSync('nsenter', [...one.enter, 'ip', '-batch', '-'], { input: within.join('\n') });
    }
    execFileSync('nsenter', [...one.enter, 'ip', 'link', 'set', 'lo', 'up']);
    return one;
  }

  /** The address that clients find it at. */
  get address() {
    return `${networks.front}.${10 + this.number}`;
  }

  get enter() {
    return [`--net=/proc/${this.holder.pid}/ns/net`, '--'];
  }

  pull(name) {
    ip(`link set ${name}${this.number} nomaster`);
  }

  plug(name) {
    ip(`link set ${name}${this.number} master ${name}`);
  }

  async remove() {
    this.holder.stdin.end();
    await once(this.holder, 'close');
  }
}
