// SPDX-License-Identifier: MIT
// Each node as it tells of itself: services, store, queues, the audit log, and what ends one day.
import { badge, facts, fill, h, panel, refill, table } from './dom.js';
import { ago, bytes, count, duration, when } from './format.js';
import { latest, subscribe } from './live.js';
import { healthBadge } from './overview.js';

const fine = (word) =>
  badge(word, word === 'ok' || word === 'none' || word === 'running' ? 'good' : 'bad');

const store = ({ store: s }) => [
  h('h3', null, 'Store'),
  facts([
    ['Kind', s.kind],
    ['Place', s.place],
    ['Reads', s.reads && fine(s.reads)],
    ['Writes', s.writes && fine(s.writes)],
    ['Size', bytes(s.bytes)],
    ['Log', bytes(s.logBytes)],
    ['Free on the disk', bytes(s.freeBytes)],
    ['Commits', count(s.commits)],
    ['Failures', count(s.failures)],
  ]),
];

const audit = ({ audit: a }) => [
  h('h3', null, 'Audit log'),
  facts([
    ['Events', count(a.size)],
    ['Under a checkpoint', count(a.signed)],
    ['Lag', a.lag !== undefined && duration(a.lag)],
    ['Keeper', a.keeper && fine(a.keeper)],
    ['Pressure', a.pressure && fine(a.pressure)],
    ['Since', a.pressureAt && when(a.pressureAt)],
    ['Waiting in the outbox', a.outbox !== undefined && count(a.outbox)],
  ]),
];

const queues = (node) => [
  h('h3', null, 'Queues'),
  table(
    `Queues of ${node.name}`,
    [
      { title: 'Queue', cell: (one) => one.name },
      { title: 'Waiting', class: 'number', cell: (one) => count(one.depth) },
      { title: 'At most', class: 'number', cell: (one) => count(one.max) },
      {
        title: 'Full',
        cell: (one) =>
          h('meter', {
            class: 'meter',
            min: '0',
            max: String(one.max || 1),
            high: String((one.max || 1) * 0.8),
            value: String(one.depth),
            'aria-label': `${one.name} holds ${one.depth} of ${one.max}`,
          }),
      },
    ],
    node.queues,
    { empty: 'No queue is told of.' },
  ),
];

function dayBadge({ days }) {
  if (days === undefined) return badge('no end');
  const kind = days < 7 ? 'bad' : days < 30 ? 'warn' : 'good';
  return badge(`${count(days)} days`, kind);
}

const expiries = (node) => [
  h('h3', null, 'Keys and certificates'),
  table(
    `Keys and certificates of ${node.name}`,
    [
      { title: 'What', cell: (one) => one.kind },
      { title: 'Name', cell: (one) => one.name },
      { title: 'Ends', cell: (one) => when(one.at) },
      { title: 'Left', cell: dayBadge },
    ],
    node.expiries,
    { empty: 'None is told of.' },
  ),
];

const nodePanel = (node) =>
  panel(
    node.name,
    facts([
      ['State', healthBadge(node.health)],
      ['Version', node.version],
      ['Started', node.startedAt && `${when(node.startedAt)} (${ago(node.startedAt)})`],
      ['Told', `${duration(node.age)} ago`],
      ['Configuration', node.configuration],
      ['Alerts of its own', count(node.alerts)],
    ]),
    h('h3', null, 'Services'),
    table(
      `Services of ${node.name}`,
      [
        { title: 'Service', cell: (one) => one.service },
        { title: 'Address', cell: (one) => one.address },
        { title: 'State', cell: (one) => healthBadge(one.health) },
        { title: 'Since start', class: 'number', cell: (one) => count(one.requests) },
      ],
      node.services,
    ),
    h('div', { class: 'pair' }, h('div', null, store(node)), h('div', null, audit(node))),
    queues(node),
    expiries(node),
  );

export function systemView({ signal }) {
  const box = h('div', { class: 'stack' });
  function draw() {
    const { model, fault } = latest();
    if (!model) {
      fill(box, h('p', { class: fault ? 'bad-text' : 'note' }, fault?.message ?? 'Loading …'));
      return;
    }
    refill(box, model.nodes.map(nodePanel));
  }
  subscribe(draw, signal);
  draw();
  return box;
}
