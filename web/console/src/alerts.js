// SPDX-License-Identifier: MIT
// What is wrong and who looks after it: the list, one alert with its history, and what an operator
// does about it.
import { call, get, query } from './api.js';
import { badge, button, dialog, facts, field, h, panel, say, table, visit } from './dom.js';
import { ago, when } from './format.js';
import { refreshLive } from './live.js';
import { may } from './oauth.js';
import { paged } from './pages.js';

const pageSize = 50;
const statuses = ['firing', 'resolved'];
const severities = ['critical', 'warning', 'info'];
const kinds = { critical: 'bad', warning: 'warn', info: '' };

export const severityBadge = (severity) => badge(severity, kinds[severity]);

export function stateBadge(alert) {
  if (alert.status === 'resolved') return badge('resolved', 'good');
  return alert.acknowledged_at ? badge('acknowledged', 'warn') : badge('firing', 'bad');
}

/** Names and values of a set of labels, both from outside. */
const labels = (set) =>
  h(
    'dl',
    { class: 'facts' },
    Object.entries(set ?? {}).map(([name, value]) =>
      h('div', null, h('dt', null, name), h('dd', null, String(value))),
    ),
  );

function history(entries) {
  return h(
    'ol',
    { class: 'history' },
    (entries ?? []).map((one) =>
      h(
        'li',
        null,
        h('time', { datetime: one.at }, when(one.at)),
        ' ',
        h('b', null, one.what),
        one.who && ` by ${one.who}`,
        one.note && h('q', null, one.note),
      ),
    ),
  );
}

/** A page's own link only where it leads to a page. */
function elsewhere(url) {
  if (!/^https?:\/\//.test(url ?? '')) return url;
  return h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, url);
}

function actions(alert, done) {
  if (alert.status === 'resolved' || !may('monitoring:write')) return null;
  const note = h('input', { type: 'text', maxlength: '1024', autocomplete: 'off' });
  const act = (what) => async () => {
    const json = note.value.trim() ? { note: note.value.trim() } : {};
    await call(`/alerts/${alert.id}/${what}`, { method: 'POST', json });
    done(what);
  };
  return h(
    'form',
    { class: 'act', on: { submit: (event) => event.preventDefault() } },
    field('Note', note),
    !alert.acknowledged_at && button('Acknowledge', act('acknowledge'), { class: 'primary' }),
    button('Resolve', act('resolve')),
  );
}

export async function showAlert(id, reload, signal) {
  const alert = await get(`/alerts/${id}`, { signal });
  const what = await dialog(alert.name, (done) => [
    h('p', null, stateBadge(alert), ' ', severityBadge(alert.severity)),
    facts([
      ['Since', `${when(alert.starts_at)} (${ago(alert.starts_at)})`],
      ['Ended', alert.ends_at && when(alert.ends_at)],
      ['Told', alert.times === 1 ? 'once' : `${alert.times} times, last ${ago(alert.last_at)}`],
      ['Told by', alert.source],
      ['Looked after by', alert.acknowledged_by],
      ['Resolved by', alert.resolved_by],
      ['From', elsewhere(alert.generator_url)],
      ['Fingerprint', alert.fingerprint],
    ]),
    h('h3', null, 'Annotations'),
    labels(alert.annotations),
    h('h3', null, 'Labels'),
    labels(alert.labels),
    h('h3', null, 'History'),
    history(alert.history),
    actions(alert, done),
  ]);
  if (!what) return;
  say(`${alert.name}: ${what === 'resolve' ? 'resolved' : 'acknowledged'}.`);
  refreshLive();
  reload?.();
}

/** The alerts as a table; `open` shows one. `brief`: what a narrow place has room for. */
export function alertTable(rows, open, brief = false) {
  return table(
    'Alerts',
    [
      {
        title: 'Alert',
        cell: (one) =>
          one.id ? button(one.name, () => open(one.id), { class: 'link' }) : one.name,
      },
      { title: 'State', cell: stateBadge },
      { title: 'Severity', cell: (one) => severityBadge(one.severity) },
      !brief && {
        title: 'About',
        class: 'wide',
        cell: (one) => one.annotations?.summary ?? one.annotations?.description,
      },
      {
        title: 'Since',
        cell: (one) =>
          h('time', { datetime: one.starts_at, title: when(one.starts_at) }, ago(one.starts_at)),
      },
      !brief && { title: 'Looked after by', cell: (one) => one.acknowledged_by },
    ].filter(Boolean),
    rows,
    { empty: 'No alert.' },
  );
}

const select = (name, value, options) =>
  h(
    'select',
    { name },
    h('option', { value: '' }, 'any'),
    options.map((one) => h('option', { value: one, selected: one === value }, one)),
  );

export function alertsView({ params, path, signal }) {
  const asked = { status: params.get('status') ?? '', severity: params.get('severity') ?? '' };
  const show = (id) => showAlert(id, list.reload, signal);
  const list = paged({
    address: (cursor) => `/alerts${query({ ...asked, limit: pageSize, cursor })}`,
    draw: (rows) => alertTable(rows, show),
    signal,
  });
  if (/^\d+$/.test(path[0] ?? '')) show(path[0]);

  const change = (event) =>
    visit(`#/alerts${query(Object.fromEntries(new FormData(event.currentTarget)))}`);
  return panel(
    undefined,
    h(
      'form',
      { class: 'filters', on: { change }, 'aria-label': 'Filters' },
      field('State', select('status', asked.status, statuses)),
      field('Severity', select('severity', asked.severity, severities)),
    ),
    list.element,
  );
}
