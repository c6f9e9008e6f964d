// SPDX-License-Identifier: MIT
// Clients that move money and sign in at all nodes, a journal of what they were told, and what of
// that is held against books, balances, kept answers and the audit log.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { keyLine, verifyExport } from '../e2e/audit_verify.mjs';
import { sleep, temporaryFolder } from '../e2e/harness.mjs';
import { cents, number } from '../e2e/money_kit.mjs';
import { pick, tokenOf, until } from './nodes_kit.mjs';

const deposit = 100_000_000n;

/** Money that is moved, and what its clients were told of it. */
export class Bank {
  journal = new Map(); // key -> { n, json, state: open | done, tries, text }
  seen = { done: 0, lost: 0, refused: 0, left: 0, logins: 0 };

  static async open(world) {
    const bank = new Bank();
    bank.world = world;
    bank.doors = world.nodes; // where its clients knock
    bank.token = await tokenOf(world.nodes[0]);
    bank.accounts = [];
    for (let i = 0; i < 5; i++) {
      const json = {
        user_id: 2,
        account_number: number(),
        account_type: 'checking',
        currency: 'USD',
        initial_deposit: cents(deposit),
      };
      const node = world.nodes[i % 3];
      const reply = await node.ask('account', 'POST', '/accounts', { json, token: bank.token });
      assert.equal(reply.status, 201, reply.text);
      bank.accounts.push(JSON.parse(reply.text).id);
    }
    return bank;
  }

  /** One try: true when it was answered for good. */
  async #try(key, entry, node) {
    entry.tries += 1;
    const headers = { 'Idempotency-Key': key, 'X-Request-ID': `move-${entry.n}-${entry.tries}` };
    let reply;
    try {
      const options = { json: entry.json, token: this.token, headers, timeout: 2000 };
      reply = await node.ask('transaction', 'POST', '/transfers', options);
    } catch {
      this.seen.lost += 1;
      return false;
    }
    if (reply.status === 201) {
      if (entry.state === 'done') assert.equal(reply.text, entry.text, 'not the same bytes again');
      else this.seen.done += 1;
      Object.assign(entry, { state: 'done', text: reply.text });
      return true;
    }
    const running = reply.status === 409 && /idempotency-key-running/.test(reply.text);
    assert.ok(running || reply.status >= 500, `${node.name}: ${reply.status} ${reply.text}`);
    this.seen.refused += 1;
    return false;
  }

  async #insist(key, entry, gone = () => false) {
    const end = Date.now() + 60_000;
    while (!(await this.#try(key, entry, pick(this.doors)))) {
      if (gone()) return;
      assert.ok(Date.now() < end, `transfer ${entry.n} was never answered`);
      await sleep(20 + Math.random() * 50);
    }
  }

  async #mover(load) {
    while (!load.over) {
      const from = Math.floor(Math.random() * 5);
      const to = (from + 1 + Math.floor(Math.random() * 4)) % 5;
      const n = this.journal.size + 1;
      const amount = BigInt(1 + Math.floor(Math.random() * 500));
      const json = {
        from_account_id: this.accounts[from],
        to_account_id: this.accounts[to],
        amount: cents(amount),
        description: `move ${n}`,
      };
      const key = randomUUID();
      const entry = { n, json, amount, state: 'open', tries: 0 };
      this.journal.set(key, entry);
      // Some clients give up where they were not answered, and nobody knows what became of it.
      const gone = () => Math.random() < 0.3 && (this.seen.left += 1) > 0;
      await this.#insist(key, entry, gone);
      await sleep(5 + Math.random() * 15);
    }
  }

  /** Whoever was let in is known at every node at once. */
  async #visitor(load) {
    const json = { email: 'user@example.com', password: 'user123' };
    while (!load.over) {
      const [node, other] = [pick(this.doors), pick(this.doors)];
      const reply = await node
        .ask('gateway', 'POST', '/api/v1/auth/login', { json })
        .catch(() => undefined);
      if (reply?.status === 200) {
        const token = JSON.parse(reply.text).access_token;
        const me = await other
          .ask('gateway', 'GET', '/api/v1/users/profile', { token })
          .catch(() => undefined);
        if (me?.status === 200) this.seen.logins += 1;
        else assert.ok(!me || me.status >= 500, `${other.name}: ${me?.status} ${me?.text}`);
      } else assert.ok(!reply || reply.status >= 500, `${node.name}: ${reply?.text}`);
      await sleep(100);
    }
  }

  /** Moves money and signs in at all nodes, or by other doors, for as long as `trouble` runs. */
  async while(trouble, { movers = 6, doors = this.world.nodes } = {}) {
    const load = { over: false };
    this.doors = doors;
    const work = Promise.all([
      ...Array.from({ length: movers }, () => this.#mover(load)),
      this.#visitor(load),
    ]);
    try {
      await Promise.race([trouble(), work]);
    } finally {
      load.over = true;
    }
    await work;
    this.doors = this.world.nodes;
  }

  /** Waits until so many more were answered. */
  async progress(count = 30) {
    const wanted = this.seen.done + count;
    await until(() => this.seen.done >= wanted, `${count} more transfers are answered`);
  }

  async #book() {
    const file = path.join(temporaryFolder(), 'book');
    await this.world.command('ledger', 'export', file);
    const found = new Map();
    for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
      const posting = line.startsWith('{"posting"') ? JSON.parse(line).posting : undefined;
      if (posting?.kind !== 'transfer') continue;
      const list = found.get(posting.description) ?? [];
      found.set(posting.description, [...list, posting]);
    }
    fs.rmSync(file);
    return found;
  }

  /** What was told, held against the books, the balances, the kept answers and the audit log. */
  async holds() {
    await this.world.ready();
    const book = await this.#book();
    for (const [key, entry] of this.journal) {
      const count = book.get(entry.json.description)?.length ?? 0;
      const fits = entry.state === 'done' ? count === 1 : count <= 1;
      assert.ok(fits, `transfer ${entry.n} is there ${count} times`);
      if (entry.state === 'open') await this.#insist(key, entry); // its client comes back
    }
    await this.#everythingOnce();
    await this.#sameBytes();
    await this.#balances();
    await this.world.command('ledger', 'check');
    await this.#trail();
  }

  async #everythingOnce() {
    const book = await this.#book();
    assert.equal(book.size, this.journal.size);
    for (const { n, json, amount } of this.journal.values()) {
      const postings = book.get(json.description);
      assert.equal(postings?.length, 1, `transfer ${n}`);
      const moved = postings[0].legs.map(({ account, posted }) => [account, BigInt(posted)]);
      const { from_account_id: from, to_account_id: to } = json;
      assert.deepEqual(Object.fromEntries(moved), { [from]: -amount, [to]: amount });
    }
  }

  async #sameBytes() {
    const all = [...this.journal];
    for (const [key, entry] of [pick(all), pick(all), pick(all), ...all.slice(-20)])
      for (const node of this.world.nodes)
        await until(() => this.#try(key, entry, node), 'a kept answer');
  }

  async #balances() {
    const wanted = new Map(this.accounts.map((id) => [id, deposit]));
    for (const { json, amount } of this.journal.values()) {
      wanted.set(json.from_account_id, wanted.get(json.from_account_id) - amount);
      wanted.set(json.to_account_id, wanted.get(json.to_account_id) + amount);
    }
    for (const node of this.world.nodes)
      for (const [id, balance] of wanted) {
        const options = { token: this.token };
        const reply = await node.ask('account', 'GET', `/accounts/${id}`, options);
        assert.equal(reply.status, 200, reply.text);
        assert.equal(BigInt(JSON.parse(reply.text).balance_minor), balance, `${node.name}: ${id}`);
      }
  }

  /** One leaf for each transfer, whichever try it was, in a log without a gap. */
  async #trail() {
    const folder = temporaryFolder();
    const file = path.join(folder, 'log.jsonl');
    await this.world.command('audit', 'export', '--out', file);
    const key = keyLine(fs.readFileSync(this.world.key), 'portcullis');
    await this.world.command('audit', 'verify', file, '--key', key);
    const { findings, lines } = verifyExport(fs.readFileSync(file, 'utf8'), { key });
    assert.deepEqual(findings, []);
    const leaves = new Map();
    for (const { event, request_id: id } of lines)
      if (event === 'ledger.transfer') {
        const n = Number(/^move-(\d+)-/.exec(id)?.[1]);
        leaves.set(n, (leaves.get(n) ?? 0) + 1);
      }
    for (const { n } of this.journal.values()) assert.equal(leaves.get(n), 1, `leaves of ${n}`);
    fs.rmSync(folder, { recursive: true });
  }
}
