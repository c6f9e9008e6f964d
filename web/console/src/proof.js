// SPDX-License-Identifier: MIT
// Whether an event is in the log as it is shown: its leaf is made again from the line an export
// holds, the proof is walked to the root of a signed checkpoint, and that checkpoint must hold all
// of the last one this browser saw. Nothing here asks the network: `source` does, so tests can
// stand in its place. Source: src/trail/README.md (format 1); RFC 6962.
import { differences, leafOf, readLine } from './line.js';
import { checkConsistency, checkInclusion, fromBase64, same, toBase64, toHex } from './merkle.js';
import { checkSignature, readCheckpoint, readKey } from './note.js';

const memory = 'portcullis-console-log';

/** The last checkpoint this browser saw: { origin, size, root, key }, or undefined. */
export function remembered(storage) {
  try {
    const kept = JSON.parse(storage.getItem(memory) ?? 'null');
    return kept && { ...kept, size: BigInt(kept.size), root: fromBase64(kept.root) };
  } catch {
    return undefined;
  }
}

function remember(storage, checkpoint, key) {
  try {
    const { origin, size, root } = checkpoint;
    const kept = { origin, size: String(size), root: toBase64(root), key: toHex(key.key) };
    storage.setItem(memory, JSON.stringify(kept));
  } catch {
    // Storage may be forbidden: then each visit stands for itself.
  }
}

/** One finding: { name, state: 'good' | 'bad' | 'unknown', words } */
const finding = (name, state, words) => ({ name, state, words });
const judge = (name, good, yes, no) => finding(name, good ? 'good' : 'bad', good ? yes : no);

/**
 * The newest checkpoint, and what can be said of it: { checkpoint, findings }. It is kept in mind
 * only when nothing is wrong with it. `source`: { checkpoint(), key(), consistency(from, to) }.
 */
export async function checkLog(source, storage) {
  const [note, keyLine] = await Promise.all([source.checkpoint(), source.key()]);
  const checkpoint = readCheckpoint(note);
  const key = await readKey(keyLine);
  const findings = [];
  const signature = await checkSignature(checkpoint, key);
  findings.push(
    signature === undefined
      ? finding('Signature', 'unknown', 'This browser cannot check Ed25519 signatures.')
      : judge(
          'Signature',
          signature,
          `Signed by ${key.name}.`,
          'It is not signed by the log’s key.',
        ),
  );
  const last = remembered(storage);
  findings.push(await checkHistory(source, last, checkpoint, key));
  if (findings.every((one) => one.state !== 'bad') && !(last && last.size > checkpoint.size))
    remember(storage, checkpoint, key);
  return { checkpoint, key, findings };
}

async function checkHistory(source, last, checkpoint, key) {
  const name = 'History';
  if (!last) return finding(name, 'good', 'The first checkpoint this browser sees of the log.');
  if (last.origin !== checkpoint.origin)
    return finding(name, 'bad', `It was the log ${last.origin} before.`);
  if (last.key !== toHex(key.key))
    return finding(name, 'bad', 'The log’s key is another one than this browser saw before.');
  const shorter = last.size > checkpoint.size;
  const [from, to] = shorter ? [checkpoint, last] : [last, checkpoint];
  let holds = false;
  try {
    const between = from.size > 0n && from.size < to.size;
    const path = between ? (await source.consistency(from.size, to.size)).map(fromBase64) : [];
    holds = await checkConsistency(from.size, from.root, to.size, to.root, path);
  } catch (error) {
    if (!shorter) throw error; // a log that was cut off cannot prove what it no longer has
  }
  const seen = `this browser saw before (${last.size} events)`;
  if (!holds)
    return finding(name, 'bad', `It does not hold what ${seen}: something was changed.`);
  return shorter
    ? finding(name, 'unknown', `It is older: all of it is in what ${seen}, and more.`)
    : finding(name, 'good', `It holds all that ${seen}.`);
}

/** Is the line what the log wrote, and what is shown? { finding, leaf }, or no leaf. */
async function checkRecord(event, text) {
  const name = 'Record';
  try {
    const line = readLine(text);
    const leaf = await leafOf(line);
    const differing = differences(event, line);
    if (differing.length > 0) {
      const words = `The record is not what is shown: ${differing.join(', ')}.`;
      return { finding: finding(name, 'bad', words), leaf };
    }
    const yes = `Its hash, made again here, is ${toHex(leaf).slice(0, 16)}…`;
    const no = 'Its hash, made again here, is another one than the log’s.';
    return { finding: judge(name, same(leaf, fromBase64(line.leaf)), yes, no), leaf };
  } catch (error) {
    const words = `The line is not as the log writes it: ${error.message}.`;
    return { finding: finding(name, 'bad', words) };
  }
}

async function checkPlace(leaf, seq, checkpoint, source) {
  const name = 'Inclusion';
  if (!leaf) return finding(name, 'bad', 'There is no record to look for.');
  if (checkpoint.size <= seq)
    return finding(name, 'unknown', 'No checkpoint covers it yet; one follows within a second.');
  const path = (await source.inclusion(seq, checkpoint.size)).map(fromBase64);
  return judge(
    name,
    await checkInclusion(leaf, seq, checkpoint.size, path, checkpoint.root),
    `${path.length} hashes lead to the root of ${checkpoint.size} events.`,
    'The proof does not lead to the root: the record is not what was logged.',
  );
}

/**
 * All that can be checked about one event: a list of findings. `source` has besides: line(seq) and
 * inclusion(seq, size).
 */
export async function checkEvent(event, source, storage) {
  const { checkpoint, findings } = await checkLog(source, storage); // no line is given out before
  const record = await checkRecord(event, await source.line(event.seq));
  const place = await checkPlace(record.leaf, BigInt(event.seq), checkpoint, source);
  return [record.finding, place, ...findings];
}
