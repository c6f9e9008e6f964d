// SPDX-License-Identifier: MIT
// The audit log: filters that stand in the address, pages, one event with all it says, and its
// proof, checked here in the browser (proof.js).
import { get, Problem, query } from './api.js';
import { badge, button, dialog, facts, field, fill, h, panel, table, visit } from './dom.js';
import { when } from './format.js';
import { readCheckpoint } from './note.js';
import { paged } from './pages.js';
import { checkEvent, checkLog, remembered } from './proof.js';

const pageSize = 50;

const filters = [
  { name: 'action', label: 'Action', hint: 'user.login' },
  { name: 'actor', label: 'Actor', hint: '1' },
  { name: 'resource', label: 'Resource', hint: 'account:7' },
  {
    name: 'category',
    label: 'Category',
    options: ['security', 'transaction', 'compliance', 'platform'],
  },
  { name: 'severity', label: 'Severity', options: ['info', 'warning', 'critical'] },
  { name: 'outcome', label: 'Outcome', options: ['done', 'refused'] },
  { name: 'source', label: 'Source', hint: 'auth-service' },
  { name: 'tag', label: 'Tag', hint: 'pci' },
  { name: 'from', label: 'From', type: 'datetime-local' },
  { name: 'to', label: 'Until', type: 'datetime-local' },
];

const freshMs = 10_000;
const waitMs = 500;
const waitsMax = 20; // a checkpoint follows within a second, unless nobody signs now
let newest = { at: 0 };

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * The newest checkpoint and the key, asked for again after a while, or when they do not reach: to
 * the event, or to what another tab has seen since. An event may be shown before it is covered:
 * until a checkpoint holds it, nothing about it can be proven.
 */
async function checkpointOf(signal, reaches) {
  for (let waits = 0; ; waits++) {
    const isFresh = Date.now() - newest.at < freshMs;
    const size = isFresh ? readCheckpoint(newest.checkpoint).size : -1n;
    if (size > reaches && size >= (remembered(localStorage)?.size ?? 0n)) return newest;
    const [checkpoint, key] = await Promise.all([
      get('/audit/checkpoint', { signal }),
      newest.key ?? get('/audit/key', { signal }),
    ]);
    newest = { at: Date.now(), checkpoint, key };
    if (readCheckpoint(checkpoint).size > reaches || waits === waitsMax) return newest;
    await pause(waitMs);
  }
}

/** What the proof of the event at `reaches` needs of the API, for one check. */
function source(signal, reaches = -1n) {
  let asked;
  const newestOnce = () => (asked ??= checkpointOf(signal, reaches));
  return {
    checkpoint: async () => (await newestOnce()).checkpoint,
    key: async () => (await newestOnce()).key,
    async line(seq) {
      const from = Number(seq);
      const text = await get(`/audit/export${query({ from, to: from + 1 })}`, { signal });
      const line = text.split('\n').find((one) => one.startsWith(`{"seq":${seq},`));
      if (!line) throw new Error('the export does not hold the event');
      return line;
    },
    async inclusion(seq, size) {
      return (await get(`/audit/proof/inclusion${query({ seq, size })}`, { signal })).hashes;
    },
    async consistency(from, to) {
      return (await get(`/audit/proof/consistency${query({ from, to })}`, { signal })).hashes;
    },
  };
}

// ---- findings -----------------------------------------------------------------------------------

const marks = { good: '✓', bad: '✗', unknown: '?' };
const words = { good: 'holds', bad: 'does not hold', unknown: 'not known' };

function drawFindings(findings) {
  const bad = findings.some((one) => one.state === 'bad');
  const unsure = findings.some((one) => one.state === 'unknown');
  const state = bad ? 'bad' : unsure ? 'unknown' : 'good';
  const verdict = {
    good: 'Verified in this browser',
    bad: 'Verification failed',
    unknown: 'Not verified in full',
  };
  return h(
    'div',
    { class: `proof ${state}`, data: { proof: state }, role: 'status' },
    h('strong', null, verdict[state]),
    h(
      'ul',
      null,
      findings.map((one) =>
        h(
          'li',
          { class: one.state },
          h('span', { class: 'mark', 'aria-hidden': 'true' }, marks[one.state]),
          h(
            'span',
            null,
            h('b', null, one.name),
            h('span', { class: 'hidden' }, ` ${words[one.state]}`),
            ` ${one.words}`,
          ),
        ),
      ),
    ),
  );
}

/** A box in which `check` is run, now and on demand. */
function proofBox(check) {
  const box = h('div', null, h('p', { class: 'note' }, 'Checking …'));
  const run = async () => {
    try {
      fill(box, drawFindings(await check()));
    } catch (error) {
      if (error.name === 'AbortError') return;
      // What the API did not answer is not known; what it answered wrongly is wrong.
      const state = error instanceof Problem ? 'unknown' : 'bad';
      fill(box, drawFindings([{ name: 'Proof', state, words: error.message }]));
    }
    box.append(button('Check again', run));
  };
  run();
  return box;
}

// ---- one event ----------------------------------------------------------------------------------

const severityKind = { info: '', warning: 'warn', critical: 'bad' };

const showEvent = (event, signal) =>
  dialog(`Event ${event.seq}`, () => [
    facts([
      ['Action', event.action],
      ['When', `${when(event.created_at)} (${event.created_at})`],
      ['Outcome', event.outcome],
      ['Severity', event.severity],
      ['Category', event.category],
      ['Actor', [event.actor_kind, event.actor].filter(Boolean).join(' ')],
      ['For', event.principal],
      ['Resource', event.resource],
      ['Reason', event.reason],
      ['Client', event.client_id],
      ['Address', event.address],
      ['Source', event.source_service],
      ['Request', event.request_id],
      ['Tags', (event.compliance_tags ?? []).join(', ')],
      ['Erased', event.erased?.join(', ')],
      ['Id', event.id],
    ]),
    event.metadata &&
      Object.keys(event.metadata).length > 0 && [
        h('h3', null, 'Metadata'),
        h('pre', { tabindex: '0' }, JSON.stringify(event.metadata, null, 2)),
      ],
    h('h3', null, 'Proof'),
    proofBox(() => checkEvent(event, source(signal, BigInt(event.seq)), localStorage)),
  ]);

// ---- the view -----------------------------------------------------------------------------------

/** What the API takes of a field that holds a local time; nothing of what is none. */
function isoOf(local) {
  const time = new Date(local);
  return Number.isNaN(time.getTime()) ? '' : time.toISOString();
}

function form(params) {
  const inputs = filters.map((filter) => {
    const value = params.get(filter.name) ?? '';
    const input = filter.options
      ? h(
          'select',
          { name: filter.name },
          h('option', { value: '' }, 'any'),
          filter.options.map((one) => h('option', { value: one, selected: one === value }, one)),
        )
      : h('input', {
          name: filter.name,
          type: filter.type ?? 'search',
          placeholder: filter.hint,
          step: filter.type && '1',
          value,
          autocomplete: 'off',
          maxlength: '256',
        });
    return field(filter.label, input);
  });
  const submit = (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(event.target));
    visit(`#/audit${query(fields)}`);
  };
  return h(
    'form',
    { class: 'filters', on: { submit }, 'aria-label': 'Filters' },
    inputs,
    h(
      'div',
      { class: 'actions' },
      h('button', { class: 'primary' }, 'Show'),
      h('a', { href: '#/audit' }, 'Clear'),
    ),
  );
}

function columns(signal) {
  return [
    { title: 'No.', class: 'number', cell: (one) => one.seq },
    { title: 'When', cell: (one) => h('time', { datetime: one.created_at }, when(one.created_at)) },
    {
      title: 'Action',
      cell: (one) => button(one.action, () => showEvent(one, signal), { class: 'link' }),
    },
    {
      title: 'Outcome',
      cell: (one) => badge(one.outcome, one.outcome === 'refused' ? 'warn' : ''),
    },
    { title: 'Severity', cell: (one) => badge(one.severity, severityKind[one.severity]) },
    { title: 'Actor', cell: (one) => one.actor },
    { title: 'Resource', cell: (one) => one.resource },
    { title: 'Source', cell: (one) => one.source_service },
  ];
}

export function auditView({ params, signal }) {
  const asked = Object.fromEntries(filters.map(({ name }) => [name, params.get(name) ?? '']));
  asked.from = isoOf(asked.from);
  asked.to = isoOf(asked.to);
  const empty = 'No such event.';
  const list = paged({
    address: (cursor) => `/audit/events${query({ ...asked, limit: pageSize, cursor })}`,
    draw: (rows) => table('Events, the newest first', columns(signal), rows, { empty }),
    signal,
  });
  const log = proofBox(async () => (await checkLog(source(signal), localStorage)).findings);
  const events = panel('Events', form(params), list.element);
  return h('div', { class: 'stack' }, panel('Log', log), events);
}
