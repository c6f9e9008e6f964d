// SPDX-License-Identifier: MIT
// The Merkle tree of RFC 6962 as a verifier sees it: hashes, and the checks of both kinds of proof
// (RFC 9162, 2.1.3.2 and 2.1.4.2). Sizes and numbers are BigInt; hashes are Uint8Array of 32 bytes.

export const utf8 = (text) => new TextEncoder().encode(text);

export function join(...parts) {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export function same(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', join(...parts)));
}

const leafPrefix = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);
export const leafHash = (data) => sha256(leafPrefix, data);
export const nodeHash = (left, right) => sha256(nodePrefix, left, right);

/** Standard or URL-safe base64, with or without its padding, and nothing else. */
export function fromBase64(text) {
  if (typeof text !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(text))
    throw new Error('this is not base64');
  const plain = text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  return Uint8Array.from(atob(plain), (letter) => letter.charCodeAt(0));
}

export const toBase64 = (bytes) => btoa(String.fromCharCode(...bytes));
export const toBase64Url = (bytes) =>
  toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
export const toHex = (bytes) =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');

const isHash = (bytes) => bytes.length === 32;

/** Whether `path` leads from the leaf at `index` to the root of the tree of `size` leaves. */
export async function checkInclusion(leaf, index, size, path, root) {
  if (index < 0n || index >= size || ![leaf, ...path].every(isHash)) return false;
  let number = index;
  let last = size - 1n;
  let hash = leaf;
  for (const sibling of path) {
    if (last === 0n) return false;
    if (number & 1n || number === last) {
      hash = await nodeHash(sibling, hash);
      while (!(number & 1n) && number !== 0n) {
        number >>= 1n;
        last >>= 1n;
      }
    } else hash = await nodeHash(hash, sibling);
    number >>= 1n;
    last >>= 1n;
  }
  return last === 0n && same(hash, root);
}

/** Whether the tree of `size` leaves holds all of the older one, in its order. */
export async function checkConsistency(oldSize, oldRoot, size, root, path) {
  if (oldSize < 0n || oldSize > size || ![oldRoot, root, ...path].every(isHash)) return false;
  if (oldSize === size) return path.length === 0 && same(oldRoot, root);
  if (oldSize === 0n) return path.length === 0; // nothing is in any tree
  const isWhole = (oldSize & (oldSize - 1n)) === 0n;
  const all = isWhole ? [oldRoot, ...path] : path;
  if (all.length === 0) return false;
  let number = oldSize - 1n;
  let last = size - 1n;
  while (number & 1n) {
    number >>= 1n;
    last >>= 1n;
  }
  let [older, newer] = [all[0], all[0]];
  for (const hash of all.slice(1)) {
    if (last === 0n) return false;
    if (number & 1n || number === last) {
      older = await nodeHash(hash, older);
      newer = await nodeHash(hash, newer);
      while (!(number & 1n) && number !== 0n) {
        number >>= 1n;
        last >>= 1n;
      }
    } else newer = await nodeHash(newer, hash);
    number >>= 1n;
    last >>= 1n;
  }
  return last === 0n && same(older, oldRoot) && same(newer, root);
}
