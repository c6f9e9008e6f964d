// SPDX-License-Identifier: MIT
// Checkpoints: a signed note (c2sp.org/signed-note) whose text is origin, size and root
// (c2sp.org/tlog-checkpoint). Reading is strict: what is not exactly of that form is refused.
import { fromBase64, join, same, sha256, utf8 } from './merkle.js';

const ED25519 = 1;

/** "origin+12345678+base64(1 || key)": { name, id, key }. */
export async function readKey(line) {
  const match = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(line.trim());
  if (!match) throw new Error("the log's key is not a verifier key");
  const [, name, hash, encoded] = match;
  const bytes = fromBase64(encoded);
  if (bytes[0] !== ED25519 || bytes.length !== 33) throw new Error("the log's key is not Ed25519");
  const key = bytes.slice(1);
  const id = (await sha256(utf8(`${name}\n`), bytes)).slice(0, 4);
  if ([...id].map((byte) => byte.toString(16).padStart(2, '0')).join('') !== hash)
    throw new Error("the log's key does not fit its own hash");
  return { name, id, key };
}

/** { origin, size, root, text, signatures: [{ name, id, signature }] } */
export function readCheckpoint(note) {
  const end = note.indexOf('\n\n');
  if (end < 0 || !note.endsWith('\n')) throw new Error('the checkpoint is not a signed note');
  const text = note.slice(0, end + 1);
  const [origin, size, root] = text.split('\n');
  if (!origin || !/^(0|[1-9]\d*)$/.test(size ?? '') || !root)
    throw new Error('the checkpoint lacks its origin, size or root');
  const signatures = note
    .slice(end + 2, -1)
    .split('\n')
    .map((line) => {
      const match = /^\u2014 (\S+) (\S+)$/.exec(line);
      if (!match) throw new Error('the checkpoint has a line that is no signature');
      const bytes = fromBase64(match[2]);
      return { name: match[1], id: bytes.slice(0, 4), signature: bytes.slice(4) };
    });
  const hash = fromBase64(root);
  if (hash.length !== 32) throw new Error("the checkpoint's root is not a SHA-256 hash");
  return { origin, size: BigInt(size), root: hash, text, signatures };
}

/** true, false, or undefined where this browser has no Ed25519. */
export async function checkSignature(checkpoint, key) {
  const ours = checkpoint.signatures.find(
    (one) => one.name === key.name && same(one.id, key.id) && one.signature.length === 64,
  );
  if (!ours || checkpoint.origin !== key.name) return false;
  let imported;
  try {
    imported = await crypto.subtle.importKey('raw', key.key, { name: 'Ed25519' }, false, [
      'verify',
    ]);
  } catch {
    return undefined;
  }
  const text = utf8(checkpoint.text);
  return crypto.subtle.verify({ name: 'Ed25519' }, imported, ours.signature, join(text));
}
