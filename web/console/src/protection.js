// SPDX-License-Identifier: MIT
// What keeps the system upright: circuit breakers and rate limits.
import { badge, facts, fill, h, panel, refill, table } from './dom.js';
import { count, percent } from './format.js';
import { latest, subscribe } from './live.js';
import { breakerBadge } from './traffic.js';

function breakers(model) {
  const guarded = model.routes.filter((route) => route.breaker && route.breaker !== 'closed');
  const rows = [...model.breakers];
  for (const route of guarded)
    if (!rows.some((one) => one.key === route.key)) rows.push({ ...route, state: route.breaker });
  return [
    h(
      'p',
      null,
      badge(`${count(model.breakerStates.closed)} closed`, 'good'),
      ' ',
      badge(
        `${count(model.breakerStates.halfOpen)} half open`,
        model.breakerStates.halfOpen > 0 ? 'warn' : '',
      ),
      ' ',
      badge(`${count(model.breakerStates.open)} open`, model.breakerStates.open > 0 ? 'bad' : ''),
    ),
    table(
      'Breakers that are not closed',
      [
        { title: 'Route', cell: (one) => `${one.method} ${one.path}` },
        { title: 'Service', cell: (one) => one.service },
        { title: 'Node', cell: (one) => one.node },
        { title: 'State', cell: (one) => breakerBadge(one.state) },
      ],
      rows,
      { empty: 'Every breaker is closed: each route is tried.' },
    ),
  ];
}

const decisions = ({ allowed, refused }) =>
  facts([
    ['Let through', count(allowed)],
    ['Refused (429)', count(refused)],
    ['Share refused', allowed + refused > 0 ? percent(refused / (allowed + refused)) : '–'],
  ]);

function limits(model) {
  const perNode = table(
    'Rate limits by node',
    [
      { title: 'Node', cell: (node) => node.name },
      {
        title: 'Let through, last minute',
        class: 'number',
        cell: (node) => count(node.limits.minute.allowed),
      },
      {
        title: 'Refused, last minute',
        class: 'number',
        cell: (node) => count(node.limits.minute.refused),
      },
      {
        title: 'Refused since start',
        class: 'number',
        cell: (node) => count(node.limits.start.refused),
      },
    ],
    model.nodes,
  );
  return h(
    'div',
    { class: 'stack' },
    h(
      'div',
      { class: 'pair' },
      h('div', null, h('h3', null, 'Last minute'), decisions(model.limits.minute)),
      h('div', null, h('h3', null, 'Since start'), decisions(model.limits.start)),
    ),
    perNode,
  );
}

export function protectionView({ signal }) {
  const box = h('div', { class: 'stack' });
  function draw() {
    const { model, fault } = latest();
    if (!model) {
      fill(box, h('p', { class: fault ? 'bad-text' : 'note' }, fault?.message ?? 'Loading …'));
      return;
    }
    refill(box, panel('Circuit breakers', breakers(model)), panel('Rate limits', limits(model)));
  }
  subscribe(draw, signal);
  draw();
  return box;
}
