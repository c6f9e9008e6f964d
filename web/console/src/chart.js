// SPDX-License-Identifier: MIT
// Lines over time, by uPlot. A chart follows its width and the theme, and says in words what it
// shows last.
import uPlot from 'uplot';
import { h } from './dom.js';

const height = 220;
const spanSeconds = 60; // at least
const palettes = {
  light: ['#0b6e5f', '#b3541e', '#3457b1', '#8a2f8a', '#6b7280'],
  dark: ['#5fd4bb', '#f0a06a', '#8fb0ff', '#e39be3', '#a9b6c2'],
};

const clock = (at) => new Date(at * 1000).toLocaleTimeString('en-GB');
// Of what is shown, not of what uPlot proposes: around a single point that is a whole day.
const spanOf = ({ data: [times] }) => {
  const last = times.at(-1) ?? Date.now() / 1000;
  return [Math.min(times[0] ?? last, last - spanSeconds), last];
};
const theme = () => document.documentElement.dataset.theme ?? 'light';
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * `series`: [{ label }], `show` writes a value. Gives { element, set(times, columns) }: times in
 * seconds, a list of values for each series; null is a gap.
 */
export function chart(title, series, show, signal) {
  const canvas = h('div', { role: 'img' });
  const element = h('figure', { class: 'chart' }, h('figcaption', null, title), canvas);
  let data;
  let plot;

  function options() {
    const colors = palettes[theme()];
    const axis = {
      stroke: ink('--quiet'),
      grid: { stroke: ink('--line'), width: 1 },
      ticks: { stroke: ink('--line'), width: 1 },
    };
    return {
      width: Math.max(canvas.clientWidth, 200),
      height,
      cursor: { drag: { x: false, y: false } },
      legend: { live: true },
      scales: {
        x: { range: spanOf },
        y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.1 : 1] },
      },
      axes: [
        { ...axis, space: 80, values: (_, splits) => splits.map(clock) },
        { ...axis, size: 64, values: (_, splits) => splits.map(show) },
      ],
      series: [
        { label: 'At', value: (_, at) => (at ? clock(at) : '–') },
        ...series.map(({ label }, i) => ({
          label,
          stroke: colors[i % colors.length],
          width: 2,
          points: { show: ({ data: [times] }) => times.length < 3 },
          value: (_, value) => (value === null || value === undefined ? '–' : show(value)),
        })),
      ],
    };
  }

  function draw() {
    plot?.destroy();
    plot = data && new uPlot(options(), data, canvas);
  }

  function set(times, columns) {
    data = [times, ...columns];
    if (plot) plot.setData(data);
    else if (canvas.isConnected) draw();
    const last = series.map(({ label }, i) => {
      const value = columns[i].at(-1);
      return `${label} ${value === null || value === undefined ? 'not known' : show(value)}`;
    });
    canvas.setAttribute('aria-label', `${title}, last: ${last.join(', ')}`);
  }

  const width = new ResizeObserver(() => {
    if (plot) plot.setSize({ width: Math.max(canvas.clientWidth, 200), height });
    else draw();
  });
  width.observe(canvas);
  addEventListener('themechange', draw, { signal });
  signal.addEventListener('abort', () => {
    width.disconnect();
    plot?.destroy();
  });
  return { element, set };
}
