// SPDX-License-Identifier: MIT
// Numbers and times for people.

const whole = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const time = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric',
  month: 'short',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

const given = (value) => value !== null && value !== undefined && value !== '';
const none = '–';

export const count = (value) => (given(value) ? whole.format(value) : none);
export const number = (value) => (Number.isFinite(value) ? short.format(value) : none);
export const percent = (value) =>
  Number.isFinite(value) ? `${value > 0 && value < 0.0005 ? '<0.1' : number(value * 100)} %` : none;

/** From seconds. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return none;
  if (seconds === 0) return '0 s';
  if (seconds < 0.001) return `${number(seconds * 1e6)} µs`;
  if (seconds < 1) return `${number(seconds * 1e3)} ms`;
  if (seconds < 120) return `${number(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${whole.format(Math.round(seconds / 86400))} days`;
}

export function bytes(value) {
  if (!Number.isFinite(value)) return none;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  for (; value >= 1024 && at < units.length - 1; at++) value /= 1024;
  return `${number(value)} ${units[at]}`;
}

export function when(text) {
  const date = new Date(text);
  return given(text) && !Number.isNaN(date.getTime()) ? time.format(date) : none;
}

/** "3 min ago", "in 20 days" */
export function ago(text, now = Date.now()) {
  const date = new Date(text).getTime();
  if (!given(text) || Number.isNaN(date)) return none;
  const seconds = (now - date) / 1000;
  if (Math.abs(seconds) < 1) return 'now';
  return seconds > 0 ? `${duration(Math.round(seconds))} ago` : `in ${duration(-seconds)}`;
}
