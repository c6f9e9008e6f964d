// SPDX-License-Identifier: MIT
// All at one glance: is it well, how much goes through, what is wrong.
import { alertTable, showAlert } from './alerts.js';
import { get } from './api.js';
import { chart } from './chart.js';
import { badge, fill, h, panel, refill, table } from './dom.js';
import { count, duration, number, percent } from './format.js';
import { history, latest, subscribe } from './live.js';
import { column, pointsOf } from './rates.js';

const healthKinds = { ok: 'good', degraded: 'warn', starting: 'warn', stopped: '' };

export const healthBadge = (health) => badge(health, healthKinds[health] ?? 'bad');

const tile = (title, value, kind, href) =>
  h('a', { class: `tile ${kind}`, href }, h('span', null, title), h('b', null, value));

function tiles(model, now) {
  const { alerts, limits } = model;
  const nodes = model.nodes.filter((node) => node.health !== 'stopped');
  const ill = nodes.filter((node) => node.health !== 'ok').length;
  const open = model.breakers.length;
  const failing = now?.rate > 0 ? now.errorRate / now.rate : 0;
  const alarm = (n) => (n > 0 ? 'bad' : 'good');
  return [
    tile('State', model.health, healthKinds[model.health] ?? 'bad', '#/system'),
    tile('Requests', now ? `${number(now.rate)}/s` : '–', '', '#/traffic'),
    tile('Failing', now ? percent(failing) : '–', failing > 0.01 ? 'bad' : 'good', '#/traffic'),
    tile('95 % within', duration(now?.p95), '', '#/traffic'),
    tile('Alerts firing', count(alerts.firing), alarm(alerts.firing), '#/alerts'),
    tile('Breakers open', count(open), alarm(open), '#/protection'),
    tile('Limited (1 min)', count(limits.minute.refused), '', '#/protection'),
    tile('Nodes well', `${nodes.length - ill} of ${nodes.length}`, alarm(ill), '#/system'),
  ];
}

const services = (model) =>
  table(
    'Services',
    [
      { title: 'Service', cell: (one) => one.service },
      { title: 'Node', cell: (one) => one.node },
      { title: 'State', cell: (one) => healthBadge(one.health) },
      { title: 'Last minute', class: 'number', cell: (one) => count(one.minute.requests) },
      { title: '95 % within', class: 'number', cell: (one) => duration(one.minute.p95) },
      { title: 'Failing', class: 'number', cell: (one) => percent(one.minute.errorRate) },
    ],
    model.services,
  );

export function overviewView({ signal }) {
  const top = h('div', { class: 'tiles' });
  const lines = [{ label: 'all' }, { label: 'failing (5xx)' }];
  const traffic = chart('Requests per second', lines, number, signal);
  const percentiles = [{ label: '50 %' }, { label: '95 %' }];
  const speed = chart('Answered within, slowest service', percentiles, duration, signal);
  const alerts = h('div', null, h('p', { class: 'note' }, 'Loading …'));
  const list = h('div', null);
  let shown; // the state and how many were firing when they were listed
  let turn = 0;

  async function listAlerts() {
    const mine = ++turn; // an answer that comes late does not stand before a newer one
    try {
      const rows = await get('/alerts?status=firing&limit=5', { signal });
      if (mine !== turn) return;
      refill(
        alerts,
        alertTable(rows, (id) => showAlert(id, listAlerts, signal), true),
      );
    } catch (error) {
      if (error.name !== 'AbortError' && mine === turn)
        fill(alerts, h('p', { class: 'bad-text' }, error.message));
    }
  }

  /** While a node fails each time: what it cannot store is in its memory, and in no tally. */
  function followAlerts({ health, alerts: { firing } }) {
    const now = `${health} ${firing}`;
    const reading = document.querySelector('dialog') !== null; // its opener gets the focus back
    if (now !== shown || (health === 'failing' && !reading)) listAlerts();
    shown = now;
  }

  function draw() {
    const { model, fault } = latest();
    if (!model) {
      fill(top, h('p', { class: fault ? 'bad-text' : 'note' }, fault?.message ?? 'Loading …'));
      return;
    }
    const keys = model.services.map((service) => service.key);
    const points = pointsOf(history(), keys);
    const times = column(points, 'at');
    refill(top, tiles(model, points.at(-1)));
    refill(list, services(model));
    traffic.set(times, [column(points, 'rate'), column(points, 'errorRate')]);
    speed.set(times, [column(points, 'p50'), column(points, 'p95')]);
    followAlerts(model);
  }
  subscribe(draw, signal);
  draw();
  if (shown === undefined) listAlerts();
  return h(
    'div',
    { class: 'stack' },
    top,
    h('div', { class: 'pair' }, panel(undefined, traffic.element), panel(undefined, speed.element)),
    h('div', { class: 'pair' }, panel('Alerts', alerts), panel('Services', list)),
  );
}
