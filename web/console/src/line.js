// SPDX-License-Identifier: MIT
// A line of an exported log, read strictly: it is written again as the log writes it, and must be
// the same text. So there is one text for an entry, and nothing in a line that the leaf does not
// hold: no member twice, none that is unknown, no second time, no value beside a commitment.
// Source: src/trail/README.md (format 1); src/trail/trail_line.c is the writer.
import { fromBase64, join, leafHash, sha256, toBase64Url, utf8 } from './merkle.js';

const texts = [
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
const timeMax = 2n ** 63n - 1n;

/** As the log's writer: DEL is escaped too, and half a surrogate pair is no text. */
const quote = (text) =>
  JSON.stringify(text.replace(/\p{Cs}/gu, '\ufffd')).replaceAll('\x7f', '\\u007f');
const member = (name, text) => `"${name}":${quote(text)}`;

/** Of nanoseconds as text, which are beyond what a number holds: RFC 3339 with `digits`. */
export function timeOf(nanoseconds, digits) {
  const second = 1_000_000_000n;
  const at = BigInt(nanoseconds);
  const date = new Date(Number(at / second) * 1000).toISOString().slice(0, 19);
  return `${date}.${String(at % second).padStart(9, '0').slice(0, digits)}Z`;
}

/** Of another length than 32, a byte could move between salt and value. */
function hashText(name, text) {
  const bytes = fromBase64(text);
  if (bytes.length !== 32) throw new Error(`${name} has no salt or commitment`);
  return toBase64Url(bytes);
}

/** A field that was erased has its commitment alone, one that is there its salt and value. */
function personalText(name, { commitment, salt, value }) {
  if (commitment !== undefined)
    return `"${name}":{${member('commitment', hashText(name, commitment))}}`;
  if (value === '') throw new Error(`${name} is empty`);
  return `"${name}":{${member('salt', hashText(name, salt))},${member('value', value)}}`;
}

const tagsText = (tags) => `[${tags.map(quote)}]`;

function personalTexts(fields = {}) {
  const there = personal.filter((name) => fields[name] !== undefined);
  return `{${there.map((name) => personalText(name, fields[name]))}}`;
}

/** What the log's writer would have written; throws of what it never writes. */
function written(line) {
  if (!/^\d+$/.test(line.at_ns) || BigInt(line.at_ns) > timeMax)
    throw new Error('it has no time');
  const parts = [
    `"seq":${BigInt(line.seq)}`,
    member('id', line.id),
    member('at', timeOf(line.at_ns, 9)),
    member('at_ns', String(BigInt(line.at_ns))),
    ...texts.filter((name) => line[name]).map((name) => member(name, line[name])),
    ...(line.tags === undefined ? [] : [`"tags":${tagsText(line.tags)}`]),
    `"personal":${personalTexts(line.personal)}`,
    member('leaf', hashText('leaf', line.leaf)),
  ];
  return `{${parts}}`;
}

/** A line of an export as an object, only if it is just what the log writes. */
export function readLine(text) {
  const line = JSON.parse(text);
  if (written(line) !== text) throw new Error('it has another text');
  return line;
}

// ---- the leaf -----------------------------------------------------------------------------------

function withLength(bytes) {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length);
  return join(length, bytes);
}

function idBytes(id) {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id))
    throw new Error('its id is not a UUID');
  return Uint8Array.from(id.match(/[0-9a-f]{2}/g), (pair) => parseInt(pair, 16));
}

function timeBytes(nanoseconds) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(nanoseconds));
  return bytes;
}

/** What stands for a personal field: nothing, what it was erased to, or made of salt and value. */
async function commitment(name, field) {
  if (field === undefined) return new Uint8Array();
  if (field.commitment !== undefined) return fromBase64(field.commitment);
  return sha256(utf8(`portcullis.trail.v1\0${name}\0`), fromBase64(field.salt), utf8(field.value));
}

/** The leaf's hash, made again of a line that readLine has read. */
export async function leafOf(line) {
  const parts = [Uint8Array.of(1), withLength(idBytes(line.id)), withLength(timeBytes(line.at_ns))];
  for (const name of texts) parts.push(withLength(utf8(line[name] ?? '')));
  parts.push(withLength(utf8(line.tags === undefined ? '' : tagsText(line.tags))));
  for (const name of personal) parts.push(withLength(await commitment(name, line.personal[name])));
  return leafHash(join(...parts));
}

// ---- what is shown ------------------------------------------------------------------------------

/** Names of the fields that were erased, as the API calls them. */
const shownNames = { object: 'resource', details: 'metadata' };
const erasedOf = (line) =>
  personal
    .filter((name) => line.personal[name]?.commitment !== undefined)
    .map((name) => shownNames[name] ?? name);

/** An object's members in the order of their names, so that equal ones have equal texts. */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, sorted(value[name])]));
}
const textOf = (value) =>
  value === null || value === undefined ? '' : JSON.stringify(sorted(value));

/** Names of what an event as the API shows it has otherwise than its line. */
export function differences(event, line) {
  const value = (name) => line.personal[name]?.value;
  const details = value('details');
  const shown = {
    id: [event.id, line.id],
    seq: [event.seq, line.seq],
    created_at: [event.created_at, timeOf(line.at_ns, 6)],
    action: [event.action, line.event],
    category: [event.category, line.category],
    severity: [event.severity, line.severity],
    outcome: [event.outcome, line.outcome],
    source_service: [event.source_service, line.source],
    actor_kind: [event.actor_kind, line.actor_kind],
    client_id: [event.client_id, line.client],
    request_id: [event.request_id, line.request_id],
    compliance_tags: [event.compliance_tags ?? [], line.tags ?? []],
    actor: [event.actor, value('actor')],
    principal: [event.principal, value('principal')],
    address: [event.address, value('address')],
    resource: [event.resource, value('object')],
    reason: [event.reason, value('reason')],
    metadata: [event.metadata ?? {}, details === undefined ? {} : JSON.parse(details)],
    erased: [event.erased ?? [], erasedOf(line)],
  };
  return Object.entries(shown)
    .filter(([, [a, b]]) => textOf(a) !== textOf(b))
    .map(([name]) => name);
}
