// SPDX-License-Identifier: MIT
// Requests, latency and errors, route by route: a table of the last minute, and charts of all
// services or of the route that was chosen.
import { chart } from './chart.js';
import { badge, button, fill, h, panel, refill, table } from './dom.js';
import { count, duration, number, percent } from './format.js';
import { history, latest, subscribe } from './live.js';
import { column, pointsOf } from './rates.js';

const breakerKinds = { closed: '', half_open: 'warn', open: 'bad' };

export const breakerBadge = (state) =>
  state ? badge(state.replace('_', ' '), breakerKinds[state]) : '–';

export function trafficView({ signal }) {
  let chosen = '';
  const title = h('h2', null);
  const list = h('div', null);
  const everything = button('Show all routes', () => choose(''));
  const lines = [{ label: 'all' }, { label: 'failing (5xx)' }];
  const traffic = chart('Requests per second', lines, number, signal);
  const percentiles = [{ label: '50 %' }, { label: '95 %' }];
  const speed = chart('Answered within, last minute', percentiles, duration, signal);

  function choose(key) {
    chosen = key;
    draw();
  }

  function nameOf(route) {
    const props = {
      class: 'link',
      'aria-pressed': String(route.key === chosen),
      data: { key: route.key },
    };
    const click = () => choose(route.key === chosen ? '' : route.key);
    return button(`${route.method} ${route.path}`, click, props);
  }

  const columns = [
    { title: 'Route', cell: nameOf },
    { title: 'Service', cell: (route) => route.service },
    { title: 'Node', cell: (route) => route.node },
    { title: 'Last minute', class: 'number', cell: (route) => count(route.minute.requests) },
    { title: '50 % within', class: 'number', cell: (route) => duration(route.minute.p50) },
    { title: '95 % within', class: 'number', cell: (route) => duration(route.minute.p95) },
    { title: '99 % within', class: 'number', cell: (route) => duration(route.minute.p99) },
    { title: 'Failing', class: 'number', cell: (route) => percent(route.minute.errorRate) },
    { title: 'Since start', class: 'number', cell: (route) => count(route.requests) },
    { title: 'Breaker', cell: (route) => breakerBadge(route.breaker) },
  ];

  function drawTable(model) {
    const rows = [...model.routes].sort(
      (a, b) => b.minute.requests - a.minute.requests || b.requests - a.requests,
    );
    refill(
      list,
      table('Routes, the busiest first', columns, rows, {
        empty: 'No request yet.',
        row: (line, route) => line.classList.toggle('chosen', route.key === chosen),
      }),
    );
  }

  function draw() {
    const { model, fault } = latest();
    if (!model) {
      fill(list, h('p', { class: fault ? 'bad-text' : 'note' }, fault?.message ?? 'Loading …'));
      return;
    }
    const route = model.routes.find((one) => one.key === chosen);
    fill(title, route ? `${route.method} ${route.path} (${route.service})` : 'All services');
    everything.hidden = !route;
    const keys = route ? [route.key] : model.services.map((service) => service.key);
    const points = pointsOf(history(), keys);
    const times = column(points, 'at');
    traffic.set(times, [column(points, 'rate'), column(points, 'errorRate')]);
    speed.set(times, [column(points, 'p50'), column(points, 'p95')]);
    drawTable(model);
  }

  subscribe(draw, signal);
  draw();
  return h(
    'div',
    { class: 'stack' },
    panel(
      undefined,
      h('div', { class: 'line' }, title, everything),
      h('div', { class: 'pair' }, traffic.element, speed.element),
    ),
    panel('Routes', list),
  );
}
