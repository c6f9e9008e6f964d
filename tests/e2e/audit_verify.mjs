// SPDX-License-Identifier: MIT
// An exported audit log, a proof and a checkpoint, checked by the letter of RFC 6962, of C2SP
// signed-note, tlog-checkpoint and tlog-proof, and of the format in src/trail/README.md. Nothing
// here is the program's: trees are made by the RFC's own recursion, slowly and plainly.
import { createHash, createPublicKey, verify as signatureIsGood } from 'node:crypto';

const sha256 = (...parts) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

// ---- RFC 6962, 2.1 -----------------------------------------------------------------------------

export const leafHash = (data) => sha256(Uint8Array.of(0), data);
const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);

/** The largest power of two below n. */
function split(n) {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** MTH: the root over hashes of leaves. */
export function treeRoot(leaves, from = 0, to = leaves.length) {
  if (from === to) return sha256();
  if (to - from === 1) return leaves[from];
  const k = split(to - from);
  return nodeHash(treeRoot(leaves, from, from + k), treeRoot(leaves, from + k, to));
}

/** The root that the leaf at m of n and its audit path lead to; null when the path does not fit. */
function rootFromPath(m, n, leaf, path) {
  if (m >= n) return null;
  if (n === 1) return path.length === 0 ? leaf : null;
  if (path.length === 0) return null;
  const last = path.at(-1);
  const k = split(n);
  const below =
    m < k
      ? rootFromPath(m, k, leaf, path.slice(0, -1))
      : rootFromPath(m - k, n - k, leaf, path.slice(0, -1));
  if (below === null) return null;
  return m < k ? nodeHash(below, last) : nodeHash(last, below);
}

/** Both roots that a proof from m to n leads to (2.1.2); `whole` is RFC 6962's b. */
function rootsFromProof(m, n, old, proof, whole = true) {
  if (m === n) {
    if (whole) return proof.length === 0 ? [old, old] : null;
    return proof.length === 1 ? [proof[0], proof[0]] : null;
  }
  if (proof.length === 0) return null;
  const last = proof.at(-1);
  const rest = proof.slice(0, -1);
  const k = split(n);
  if (m <= k) {
    const below = rootsFromProof(m, k, old, rest, whole);
    return below && [below[0], nodeHash(below[1], last)];
  }
  const below = rootsFromProof(m - k, n - k, old, rest, false);
  return below && [nodeHash(last, below[0]), nodeHash(last, below[1])];
}

const same = (a, b) => a !== null && b !== null && Buffer.compare(a, b) === 0;

export function consistent(m, oldRoot, n, root, proof) {
  if (m === 0) return proof.length === 0 && same(oldRoot, sha256());
  if (m > n) return false;
  const roots = rootsFromProof(m, n, oldRoot, proof);
  return roots !== null && same(roots[0], oldRoot) && same(roots[1], root);
}

// ---- signed notes ------------------------------------------------------------------------------

/** The line of a public key: from its PEM, as the log's own key file has it. */
export function keyLine(pem, name) {
  const jwk = createPublicKey(pem).export({ format: 'jwk' });
  const key = Buffer.concat([Uint8Array.of(1), Buffer.from(jwk.x, 'base64url')]);
  const id = sha256(name, '\n', key).subarray(0, 4).toString('hex');
  return `${name}+${id}+${key.toString('base64')}`;
}

/** { origin, size, root } of a note that `line` signed, or an Error. */
export function openNote(note, line) {
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n')) throw new Error('no note');
  const text = note.slice(0, end + 1);
  const [, name, id, key] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(line);
  const raw = Buffer.from(key, 'base64');
  if (raw[0] !== 1 || sha256(name, '\n', raw).subarray(0, 4).toString('hex') !== id)
    throw new Error('no key');
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.subarray(1).toString('base64url') },
    format: 'jwk',
  });
  const signed = note
    .slice(end + 2, -1)
    .split('\n')
    .some((one) => {
      const parts = /^\u2014 (\S+) (\S+)$/.exec(one);
      if (!parts) throw new Error('malformed signature');
      const bytes = Buffer.from(parts[2], 'base64');
      if (parts[1] !== name || bytes.subarray(0, 4).toString('hex') !== id) return false;
      if (!signatureIsGood(null, Buffer.from(text), publicKey, bytes.subarray(4)))
        throw new Error('wrong signature');
      return true;
    });
  const [origin, size, root] = text.split('\n');
  if (!signed || origin !== name) throw new Error('not signed');
  if (!/^(0|[1-9][0-9]*)$/.test(size)) throw new Error('no size');
  return { origin, size: Number(size), root: Buffer.from(root, 'base64') };
}

// ---- records -----------------------------------------------------------------------------------

const plain = [
  'event',
  'category',
  'severity',
  'outcome',
  'source',
  'actor_kind',
  'client',
  'request_id',
];
const personal = ['actor', 'principal', 'address', 'object', 'reason', 'details'];

function field(bytes) {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The tags are hashed as the bytes that they are written in. */
function tagsOf(text) {
  const from = text.indexOf(',"tags":[');
  return from < 0 ? '' : text.slice(from + 8, text.indexOf('],"personal":{', from) + 1);
}

function commitmentOf(name, given) {
  if (given === undefined) return Buffer.alloc(0);
  if (given.commitment !== undefined) return Buffer.from(given.commitment, 'base64url');
  const salt = Buffer.from(given.salt, 'base64url');
  return sha256('portcullis.trail.v1\0', `${name}\0`, salt, given.value);
}

/** The bytes that a line's leaf is the hash of. */
export function recordOf(text) {
  const line = JSON.parse(text);
  const at = Buffer.alloc(8);
  at.writeBigInt64BE(BigInt(line.at_ns));
  const ns = BigInt(line.at_ns);
  const second = new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19);
  const time = `${second}.${(ns % 1_000_000_000n).toString().padStart(9, '0')}Z`;
  if (time !== line.at) throw new Error('two times');
  return Buffer.concat([
    Uint8Array.of(1),
    field(Buffer.from(line.id.replaceAll('-', ''), 'hex')),
    field(at),
    ...plain.map((name) => field(Buffer.from(line[name] ?? ''))),
    field(Buffer.from(tagsOf(text))),
    ...personal.map((name) => field(commitmentOf(name, line.personal[name]))),
  ]);
}

// ---- whole logs --------------------------------------------------------------------------------

/**
 * What is wrong with an export that begins with the first leaf, as a list of sentences: an empty
 * one says that it is the log of all those checkpoints, and that they reach to its last leaf. Also
 * gives its lines and leaves.
 */
export function verifyExport(text, { key, checkpoints = [] }) {
  const findings = [];
  const leaves = [];
  const lines = [];
  const notes = [...checkpoints];
  let covered = -1; // leaves that a signed note vouches for; -1: there is no note
  const all = text.split('\n');
  if (all.pop() !== '') findings.push('the last line was cut');
  let head;
  try {
    head = JSON.parse(all.shift());
    if (head.format !== 1 || head.from !== 0) findings.push('no head');
  } catch {
    return { findings: ['no head'], leaves, lines };
  }
  for (const one of all) {
    try {
      const line = JSON.parse(one);
      if (line.checkpoint !== undefined) {
        const said = openNote(line.checkpoint, key);
        const proof = (line.consistency ?? []).map((hash) => Buffer.from(hash, 'base64url'));
        if (!consistent(leaves.length, treeRoot(leaves), said.size, said.root, proof))
          findings.push(`the checkpoint of ${said.size} leaves is not of this log`);
        else covered = Math.max(covered, leaves.length);
        continue;
      }
      if (line.seq !== leaves.length)
        findings.push(`seq ${line.seq} where ${leaves.length} is due`);
      const leaf = leafHash(recordOf(one));
      if (!same(leaf, Buffer.from(line.leaf, 'base64url')))
        findings.push(`seq ${line.seq} was changed`);
      leaves.push(Buffer.from(line.leaf, 'base64url'));
      lines.push(line);
    } catch (error) {
      findings.push(`a line is none: ${error.message}`);
    }
  }
  if (head.to !== leaves.length) findings.push('head and lines differ');
  for (const note of notes) {
    const said = openNote(note, key);
    if (said.size > leaves.length) findings.push(`cut before ${said.size}`);
    else if (!same(treeRoot(leaves, 0, said.size), said.root))
      findings.push(`the checkpoint of ${said.size} leaves is of another log`);
    else covered = Math.max(covered, said.size);
  }
  if (covered < leaves.length)
    findings.push(`nothing signed vouches for what is behind ${Math.max(covered, 0)} leaves`);
  return { findings, leaves, lines };
}

/** Is this a proof of the log with that key? { line, size } or an Error. */
export function verifyProof(text, key) {
  const end = text.indexOf('\n\n');
  const [first, extra, index, ...path] = text.slice(0, end).split('\n');
  if (first !== 'c2sp.org/tlog-proof@v1' || !extra.startsWith('extra '))
    throw new Error('no proof');
  const line = Buffer.from(extra.slice(6), 'base64').toString();
  const said = openNote(text.slice(end + 2), key);
  const seq = Number(/^index (0|[1-9][0-9]*)$/.exec(index)[1]);
  const root = rootFromPath(
    seq,
    said.size,
    leafHash(recordOf(line)),
    path.map((hash) => Buffer.from(hash, 'base64')),
  );
  if (!same(root, said.root) || JSON.parse(line).seq !== seq) throw new Error('not in the log');
  return { line: JSON.parse(line), size: said.size };
}
