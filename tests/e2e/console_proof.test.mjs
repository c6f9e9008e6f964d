// SPDX-License-Identifier: MIT
// What the console checks in the browser, checked here: the tree against the vectors of Certificate
// Transparency and against RFC 6962's own recursive words, checkpoints, leaves, and every way in
// which a log can lie.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { timeOf } from '../../web/console/src/line.js';
import * as merkle from '../../web/console/src/merkle.js';
import { checkSignature, readCheckpoint, readKey } from '../../web/console/src/note.js';
import { checkEvent, checkLog, remembered } from '../../web/console/src/proof.js';
import { leafHash, recordOf } from './audit_verify.mjs';
import { test } from './harness.mjs';

const hex = (text) => Uint8Array.from(Buffer.from(text, 'hex'));
const base64 = (bytes) => Buffer.from(bytes).toString('base64');
const base64url = (bytes) => Buffer.from(bytes).toString('base64url');

// ---- the tree by the RFC's own words, 2.1, 2.1.1 and 2.1.2 --------------------------------------

const hash = (...parts) => {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return new Uint8Array(digest.digest());
};
const zero = Uint8Array.of(0);
const one = Uint8Array.of(1);

/** The largest power of two below n. */
function split(n) {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** MTH over hashes of leaves. */
function rootOf(leaves) {
  if (leaves.length === 0) return hash();
  if (leaves.length === 1) return leaves[0];
  const k = split(leaves.length);
  return hash(one, rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)));
}

function pathOf(m, leaves) {
  if (leaves.length <= 1) return [];
  const k = split(leaves.length);
  const [left, right] = [leaves.slice(0, k), leaves.slice(k)];
  return m < k ? [...pathOf(m, left), rootOf(right)] : [...pathOf(m - k, right), rootOf(left)];
}

function subproof(m, leaves, whole) {
  if (m === leaves.length) return whole ? [] : [rootOf(leaves)];
  const k = split(leaves.length);
  const [left, right] = [leaves.slice(0, k), leaves.slice(k)];
  return m <= k
    ? [...subproof(m, left, whole), rootOf(right)]
    : [...subproof(m - k, right, false), rootOf(left)];
}

const consistencyOf = (m, leaves) => (m === 0 ? [] : subproof(m, leaves, true));

// ---- vectors of github.com/google/certificate-transparency, merkle_tree_test --------------------

const inputs = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const roots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const nodes = {
  a: '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
  b: '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
  c: '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  d: 'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
  e: 'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
  f: '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
};
const path = (names) => [...names].map((name) => hex(nodes[name] ?? roots[Number(name) - 1]));

test('the roots and proofs of the published vectors', async () => {
  const leaves = await Promise.all(inputs.map((input) => merkle.leafHash(hex(input))));
  for (let n = 1; n <= 8; n++) assert.deepEqual(rootOf(leaves.slice(0, n)), hex(roots[n - 1]));
  for (const [index, size, names] of [
    [0, 1, ''],
    [0, 8, 'abc'],
    [5, 8, 'de4'],
    [2, 3, '2'],
    [1, 5, '1bd'],
  ]) {
    const ask = (proof) =>
      merkle.checkInclusion(
        leaves[index],
        BigInt(index),
        BigInt(size),
        proof,
        hex(roots[size - 1]),
      );
    assert.equal(await ask(path(names)), true, `${index} of ${size}`);
  }
  for (const [from, to, names] of [
    [1, 1, ''],
    [1, 8, 'abc'],
    [6, 8, 'fe4'],
    [2, 5, 'bd'],
  ]) {
    const [older, newer] = [hex(roots[from - 1]), hex(roots[to - 1])];
    const holds = merkle.checkConsistency(BigInt(from), older, BigInt(to), newer, path(names));
    assert.equal(await holds, true, `${from} to ${to}`);
  }
});

/** Each proof that differs in one place: a bit, one hash more, one less, two changed over. */
function* broken(proof) {
  for (let i = 0; i < proof.length; i++) {
    const copy = proof.map((node) => Uint8Array.from(node));
    copy[i][i % 32] ^= 1;
    yield copy;
    yield proof.filter((_, at) => at !== i);
  }
  yield [...proof, hash()];
  if (proof.length > 0) yield [merkle.join(proof[0], Uint8Array.of(0)), ...proof.slice(1)];
}

test('every proof of small trees holds, and no other', async () => {
  const all = Array.from({ length: 20 }, (_, i) => hash(zero, Buffer.from(`leaf ${i}`)));
  for (let size = 1; size <= all.length; size++) {
    const leaves = all.slice(0, size);
    const root = rootOf(leaves);
    for (let i = 0; i < size; i++) {
      const good = pathOf(i, leaves);
      const ask = (proof, leaf = all[i], at = i) =>
        merkle.checkInclusion(leaf, BigInt(at), BigInt(size), proof, root);
      assert.equal(await ask(good), true);
      for (const bad of broken(good)) assert.equal(await ask(bad), false);
      assert.equal(await ask(good, hash()), false);
      assert.equal(await ask(good, all[i], size), false);
      if (size > 1) assert.equal(await ask(good, all[i], (i + 1) % size), false);
    }
    for (let from = 1; from <= size; from++) {
      const good = consistencyOf(from, leaves);
      const older = rootOf(all.slice(0, from));
      const ask = (proof, a = older, b = root) =>
        merkle.checkConsistency(BigInt(from), a, BigInt(size), b, proof);
      assert.equal(await ask(good), true);
      for (const bad of broken(good)) assert.equal(await ask(bad), false);
      assert.equal(await ask(good, hash()), false);
      assert.equal(await ask(good, older, hash()), false);
    }
  }
  assert.equal(await merkle.checkInclusion(all[0], 0n, 0n, [], hash()), false);
  assert.equal(await merkle.checkConsistency(2n, all[0], 1n, all[0], []), false);
});

test('base64 is read as base64 only', () => {
  assert.deepEqual(merkle.fromBase64('-_8'), merkle.fromBase64('+/8='));
  for (const bad of ['a b', 'ä', 'a=b', '====', undefined, 7])
    assert.throws(() => merkle.fromBase64(bad), String(bad));
});

// ---- a log that can lie -------------------------------------------------------------------------

// src/trail/README.md: the one order of the members.
const order = [
  ...['seq', 'id', 'at', 'at_ns', 'event', 'category', 'severity', 'outcome', 'source'],
  ...['actor_kind', 'client', 'request_id', 'tags', 'personal', 'leaf'],
];
const personal = ['actor', 'principal', 'address', 'object', 'reason', 'details'];

/** The line of an export: as JSON.stringify writes it, but for DEL. */
function written(line) {
  const members = order.filter((name) => name in line).map((name) => [name, line[name]]);
  return JSON.stringify(Object.fromEntries(members)).replaceAll('\x7f', '\\u007f');
}

const salted = (value) => ({ salt: base64url(hash(Buffer.from(`salt of ${value}`))), value });
const commit = (name, { salt, value }) => {
  const domain = Buffer.from(`portcullis.trail.v1\0${name}\0`);
  return base64url(hash(domain, Buffer.from(salt, 'base64url'), value));
};

/** A log in memory, as the API shows it. */
class Log {
  lines = [];
  leaves = [];

  constructor(origin = 'portcullis') {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
    this.origin = origin;
    this.privateKey = privateKey;
    this.verifier = Buffer.concat([one, raw]);
    this.id = Buffer.from(hash(Buffer.from(`${origin}\n`), this.verifier)).subarray(0, 4);
  }

  async add(fields = {}) {
    const seq = this.lines.length;
    const line = {
      seq,
      id: `00000000-0000-7000-8000-${String(seq).padStart(12, '0')}`,
      at: '2026-02-03T04:05:06.000000007Z',
      at_ns: '1770091506000000007',
      event: 'user.login',
      category: 'security',
      severity: 'info',
      outcome: 'done',
      source: 'auth-service',
      actor_kind: 'user',
      personal: { actor: salted(String(seq)) },
      ...fields,
    };
    const leaf = leafHash(recordOf(written(line))); // by other hands than the console's
    line.leaf = base64url(leaf);
    this.lines.push(line);
    this.leaves.push(new Uint8Array(leaf));
    return line;
  }

  note(size = this.leaves.length) {
    const root = base64(rootOf(this.leaves.slice(0, size)));
    const text = `${this.origin}\n${size}\n${root}\n`;
    const signature = sign(null, Buffer.from(text), this.privateKey);
    return `${text}\n\u2014 ${this.origin} ${base64(Buffer.concat([this.id, signature]))}\n`;
  }

  /** What the console asks. */
  source() {
    return {
      checkpoint: async () => this.note(),
      key: async () => `${this.origin}+${this.id.toString('hex')}+${base64(this.verifier)}\n`,
      line: async (seq) => written(this.lines[Number(seq)]),
      inclusion: async (seq, size) =>
        pathOf(Number(seq), this.leaves.slice(0, Number(size))).map(base64),
      consistency: async (from, to) => {
        if (to > BigInt(this.leaves.length)) throw new Error('422');
        return consistencyOf(Number(from), this.leaves.slice(0, Number(to))).map(base64);
      },
    };
  }
}

class Storage {
  map = new Map();
  getItem = (name) => this.map.get(name) ?? null;
  setItem = (name, value) => this.map.set(name, value);
}

const value = (line, name) => line.personal[name]?.value ?? null;
const shown = (line) => ({
  id: line.id,
  seq: line.seq,
  created_at: line.at.replace(/...Z$/, 'Z'), // microseconds
  action: line.event,
  category: line.category,
  severity: line.severity,
  outcome: line.outcome,
  source_service: line.source,
  actor_kind: line.actor_kind,
  actor: value(line, 'actor'),
  principal: value(line, 'principal'),
  address: value(line, 'address'),
  resource: value(line, 'object'),
  reason: value(line, 'reason'),
  client_id: line.client,
  request_id: line.request_id,
  compliance_tags: line.tags ?? [],
  metadata: JSON.parse(value(line, 'details') ?? '{}'),
});

async function filled(count, origin) {
  const log = new Log(origin);
  for (let i = 0; i < count; i++) await log.add();
  return log;
}

const states = (findings) => Object.fromEntries(findings.map(({ name, state }) => [name, state]));
const good = { Record: 'good', Inclusion: 'good', Signature: 'good', History: 'good' };

test('an honest log, over several visits', async () => {
  const log = await filled(7);
  const storage = new Storage();
  for (let visit = 0; visit < 4; visit++) {
    for (const line of log.lines)
      assert.deepEqual(states(await checkEvent(shown(line), log.source(), storage)), good);
    assert.equal(remembered(storage).size, BigInt(log.lines.length));
    await log.add({ tags: ['pci', 'ü"'], request_id: `r${visit}`, client: 'console' });
  }
});

test('an event newer than the checkpoint is said to be not covered yet', async () => {
  const log = await filled(3);
  const source = { ...log.source(), checkpoint: async () => log.note(2) };
  const findings = await checkEvent(shown(log.lines[2]), source, new Storage());
  assert.deepEqual(states(findings), { ...good, Inclusion: 'unknown' });
});

test('each field of a record that is changed is found', async () => {
  const log = await filled(3);
  const line = log.lines[1];
  const changes = {
    id: '00000000-0000-7000-8000-00000000ffff',
    at_ns: '1770091506000000008',
    event: 'user.logout',
    category: 'platform',
    severity: 'critical',
    outcome: 'refused',
    source: 'portcullis',
    actor_kind: 'client',
    client: 'x',
    request_id: 'x',
    tags: ['x'],
    personal: { actor: { ...line.personal.actor, value: '2' } },
  };
  const later = { at: line.at.replace('7Z', '8Z'), at_ns: changes.at_ns };
  const all = Object.entries(changes).map((one) => Object.fromEntries([one]));
  for (const change of [...all, later]) {
    const source = { ...log.source(), line: async () => written({ ...line, ...change }) };
    const { Record, Inclusion } = states(await checkEvent(shown(line), source, new Storage()));
    const what = JSON.stringify(change);
    assert.deepEqual({ Record, Inclusion }, { Record: 'bad', Inclusion: 'bad' }, what);
  }
  for (const name of Object.keys(shown(line))) {
    if (name === 'seq') continue; // another line is asked for
    const event = { ...shown(line), [name]: 'other' };
    const found = states(await checkEvent(event, log.source(), new Storage()));
    assert.equal(found.Record, 'bad', `shown ${name}`);
  }
});

/** A log whose event 1 has every field there is, and texts of every kind. */
async function rich() {
  const log = await filled(1);
  const texts = 'a "b" \\ / \b\t\n\f\r\x01\x1f\x7f\x80 é \u2028 \ufffd \u{1f600}';
  const fields = Object.fromEntries(personal.map((name) => [name, salted(`${name} ${texts}`)]));
  fields.details = salted(JSON.stringify({ b: [texts], a: { n: '1' } }));
  const id = '0197abcd-ef01-7abc-8def-0123456789ab';
  await log.add({ id, client: texts, request_id: 'r', tags: ['pci', texts], personal: fields });
  await log.add();
  return log;
}

test('every text and time that the log writes is read', async () => {
  const log = await rich();
  for (const [at, ns] of [
    ['1970-01-01T00:00:00.000000000Z', '0'],
    ['1970-01-01T00:00:00.999999999Z', '999999999'],
    ['2262-04-11T23:47:16.854775807Z', String(2n ** 63n - 1n)],
  ]) {
    await log.add({ at, at_ns: ns, tags: [] });
    assert.equal(timeOf(ns, 9), at);
  }
  for (const line of log.lines)
    assert.deepEqual(states(await checkEvent(shown(line), log.source(), new Storage())), good);
});

/** The findings where `text` is served as the line of event 1, whose proof is the true one. */
const served = (log, text, event) =>
  checkEvent(event, { ...log.source(), line: async () => text }, new Storage());

test('a line that shows what its leaf does not hold is found', async () => {
  const log = await rich();
  const line = log.lines[1];
  const text = written(line);
  const event = shown(line);
  assert.deepEqual(states(await served(log, text, event)), good);
  const shownAs = { object: 'resource', details: 'metadata' };
  const mallory = (name) => (name === 'details' ? { who: 'mallory' } : 'mallory');
  const beside = (name, erased) => {
    const given = { ...line.personal[name], commitment: commit(name, line.personal[name]) };
    const lie = mallory(name);
    given.value = typeof lie === 'string' ? lie : JSON.stringify(lie);
    if (erased) delete given.salt;
    return [
      written({ ...line, personal: { ...line.personal, [name]: given } }),
      { ...event, [shownAs[name] ?? name]: lie },
    ];
  };
  const early = '2020-01-01T00:00:00.000000007Z';
  const end = (more) => text.replace(/}$/, `${more}}`);
  const shorter = written({ ...line, personal: { actor: line.personal.actor } });
  const forgeries = {
    ...Object.fromEntries(personal.map((name) => [`${name} and commitment`, beside(name, true)])),
    ...Object.fromEntries(personal.map((name) => [`${name}, all three`, beside(name, false)])),
    'another time': [written({ ...line, at: early }), { ...event, created_at: early }],
    'another short time': [
      written({ ...line, at: early }),
      { ...event, created_at: early.replace('007Z', 'Z') },
    ],
    'no shown time': [text, { ...event, created_at: '' }],
    'half a shown time': [text, { ...event, created_at: event.created_at.slice(0, 7) }],
    'a null for the shown time': [text, { ...event, created_at: null }],
    'tags twice': [end(',"tags":["forged"]'), { ...event, compliance_tags: ['forged'] }],
    'tags twice, at once': [
      text.replace(',"personal"', ',"tags":["forged"],"personal"'),
      { ...event, compliance_tags: ['forged'] },
    ],
    'tags within a text': [text.replace('{', '{"a":",\\"tags\\":[]",'), event],
    'a member twice': [end(`,"event":"${line.event}"`), event],
    'a personal member twice': [
      text.replace('"personal":{', `"personal":{"actor":${JSON.stringify(salted('mallory'))},`),
      event,
    ],
    'no personal members, then all': [
      text.replace(',"personal"', ',"personal":{},"personal"'),
      event,
    ],
    'another order': [text.replace(/("category":[^,]+),("severity":[^,]+)/, '$2,$1'), event],
    'another order of the personal': [
      written({ ...line, personal: Object.fromEntries(Object.entries(line.personal).reverse()) }),
      event,
    ],
    'value before salt': [text.replace(/("salt":"[^"]+"),("value":"a[^}]*")}/, '$2,$1}'), event],
    'a member that is unknown': [end(',"note":"x"'), event],
    'a personal member that is unknown': [
      text.replace('"personal":{', '"personal":{"name":{"value":"x"},'),
      event,
    ],
    'a prototype': [end(',"__proto__":{"tags":["forged"]}'), event],
    'a space': [text.replace(':', ': '), event],
    'a space at the end': [`${text} `, event],
    'a return at the end': [`${text}\r`, event],
    'a null': [text.replace(',"personal"', ',"x":null,"personal"'), event],
    'an empty text': [
      text.replace('"request_id":"r"', '"request_id":""'),
      { ...event, request_id: '' },
    ],
    'another escape': [text.replace('user.login', 'user\\u002elogin'), event],
    'an escape that is needless': [text.replace(' / ', ' \\/ '), event],
    'half a surrogate pair': [text.replaceAll('\ufffd', '\\ud800'), event],
    'DEL as it is': [text.replaceAll('\\u007f', '\x7f'), event],
    'a padded salt': [text.replace(/("salt":"[^"]+)"/, '$1="'), event],
    'padded base64': [
      text.replace(/"leaf":"[^"]+"/, `"leaf":"${base64(log.leaves[1])}"`),
      event,
    ],
    'a zero before the time': [text.replace('"at_ns":"', '"at_ns":"0'), event],
    'the time as a number': [text.replace(/"at_ns":"(\d+)"/, '"at_ns":$1'), event],
    'a time beyond 64 bits': [
      written({ ...line, at_ns: String(BigInt(line.at_ns) + 2n ** 64n) }),
      event,
    ],
    'the id without dashes': [
      written({ ...line, id: line.id.replaceAll('-', '') }),
      { ...event, id: line.id.replaceAll('-', '') },
    ],
    'the id in capitals': [
      written({ ...line, id: line.id.toUpperCase() }),
      { ...event, id: line.id.toUpperCase() },
    ],
    'the place as a text': [text.replace('"seq":1', '"seq":"1"'), event],
    'the place with a fraction': [text.replace('"seq":1', '"seq":1.0'), event],
    'fields left out': [shorter, shown(JSON.parse(shorter))],
    'no object': ['null', event],
    'no JSON': [text.slice(1), event],
    nothing: ['', event],
  };
  for (const [name, [forged, told]] of Object.entries(forgeries)) {
    assert.ok(forged !== text || told !== event, `${name} is none`);
    assert.equal(states(await served(log, forged, told)).Record, 'bad', name);
  }
});

test('no byte moves between a salt and its value', async () => {
  const log = await filled(3);
  const { actor } = log.lines[1].personal;
  const salt = merkle.fromBase64(actor.salt);
  const shifted = {
    salt: base64url(salt.slice(0, 31)),
    value: String.fromCharCode(salt[31] & 127) + actor.value,
  };
  const line = { ...log.lines[1], personal: { actor: shifted } };
  const [record] = await served(log, written(line), shown(line));
  assert.equal(record.state, 'bad');
  assert.match(record.words, /salt/);
});

test('an erased field keeps its leaf', async () => {
  const log = await filled(3);
  const commitment = commit('actor', log.lines[1].personal.actor);
  const line = { ...log.lines[1], personal: { actor: { commitment } } };
  const event = { ...shown(line), erased: ['actor'] };
  assert.deepEqual(states(await served(log, written(line), event)), good);
  for (const erased of [undefined, [], ['reason'], ['actor', 'reason'], 'actor']) {
    const [record] = await served(log, written(line), { ...event, erased });
    assert.match(record.words, /not what is shown: erased/, JSON.stringify(erased));
  }
  const there = log.lines[1];
  const told = { ...shown(there), erased: ['actor'] };
  const [record] = await served(log, written(there), told);
  assert.match(record.words, /not what is shown: erased/);
});

test('erased fields have the names that the API gives them', async () => {
  const log = await rich();
  const { object, details, ...others } = log.lines[1].personal;
  const gone = {
    object: { commitment: commit('object', object) },
    details: { commitment: commit('details', details) },
  };
  const line = { ...log.lines[1] };
  line.personal = Object.fromEntries(personal.map((name) => [name, gone[name] ?? others[name]]));
  const event = { ...shown(line), metadata: null, erased: ['resource', 'metadata'] };
  assert.deepEqual(states(await served(log, written(line), event)), good);
});

test('a log that was rewritten, cut, forked or signed by another is found', async () => {
  const storage = new Storage();
  const log = await filled(6);
  const history = async (source) => states((await checkLog(source, storage)).findings).History;
  assert.equal(await history(log.source()), 'good');

  const cut = Object.assign(await filled(0), log, {
    lines: log.lines.slice(0, 4),
    leaves: log.leaves.slice(0, 4),
  });
  assert.equal(await history(cut.source()), 'bad', 'cut');

  const forked = Object.assign(await filled(0), log, { leaves: [...log.leaves], lines: [] });
  forked.leaves[2] = hash();
  forked.leaves.push(hash());
  assert.equal(await history(forked.source()), 'bad', 'rewritten and grown');
  forked.leaves.pop();
  assert.equal(await history(forked.source()), 'bad', 'rewritten');

  assert.equal(await history((await filled(6)).source()), 'bad', 'another key');
  assert.equal(await history((await filled(6, 'other')).source()), 'bad', 'another origin');
  assert.equal(remembered(storage).size, 6n, 'what was seen is not forgotten over it');

  const older = { ...log.source(), checkpoint: async () => log.note(4) };
  const [, { state, words }] = (await checkLog(older, storage)).findings;
  assert.equal(state, 'unknown', 'an older one does not hold what was seen');
  assert.match(words, /older/);
  assert.doesNotMatch(words, /holds all that/);
  assert.equal(remembered(storage).size, 6n, 'nor is that forgotten');
  assert.equal(await history(log.source()), 'good', 'the honest one still is');
});

test('a checkpoint that is not signed as it should be is found', async () => {
  const log = await filled(3);
  const key = await readKey(await log.source().key());
  const note = log.note();
  assert.equal(await checkSignature(readCheckpoint(note), key), true);
  const other = await readKey(await (await filled(1)).source().key());
  assert.equal(await checkSignature(readCheckpoint(note), other), false);
  const resized = readCheckpoint(note.replace('\n3\n', '\n4\n'));
  assert.equal(await checkSignature(resized, key), false);
  for (const bad of ['', 'x', 'a\nb\nc\n\n', note.slice(0, -1), note.replace('\n3\n', '\n03\n')])
    assert.throws(() => readCheckpoint(bad), bad);
  for (const bad of ['', 'a+b+c', (await log.source().key()).replace(/\+[0-9a-f]{8}/, '+00000000')])
    await assert.rejects(readKey(bad), bad);
});
