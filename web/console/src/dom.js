// SPDX-License-Identifier: MIT
// Elements out of data: text is always text, never markup.

/**
 * An element. `props`: `class`, `on` ({ click: … }), `data` (data-…), properties of the element
 * where it has them, else attributes. Children: elements, texts, numbers, lists; null and false are
 * left out.
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'class') element.className = value;
    else if (name === 'on')
      for (const [type, listener] of Object.entries(value))
        element.addEventListener(type, listener);
    else if (name === 'data') Object.assign(element.dataset, value);
    else if (value === true) element.setAttribute(name, '');
    else element.setAttribute(name, value);
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

const stops = 'a, button, input, select, [tabindex]';

/**
 * The same for what is drawn again and again: the focus stays where it was (by data-key, else by
 * its place), and so does how far a table was scrolled.
 */
export function refill(element, ...children) {
  const before = [...element.querySelectorAll(stops)];
  const at = before.indexOf(document.activeElement);
  const key = before[at]?.dataset.key;
  const scrolled = [...element.querySelectorAll('.scroll')].map((one) => one.scrollLeft);
  fill(element, children);
  element.querySelectorAll('.scroll').forEach((one, i) => {
    one.scrollLeft = scrolled[i] ?? 0;
  });
  if (at < 0) return element;
  const after = [...element.querySelectorAll(stops)];
  const again = key === undefined ? after[at] : after.find((one) => one.dataset.key === key);
  again?.focus({ preventScroll: true });
  return element;
}

/** A table with a caption for who cannot see it. `columns`: { title, class?, cell(row) }. */
export function table(caption, columns, rows, { empty = 'Nothing here.', row: dress } = {}) {
  if (rows.length === 0) return h('p', { class: 'note' }, empty);
  const head = columns.map((column) =>
    h('th', { scope: 'col', class: column.class }, column.title),
  );
  const body = rows.map((row, at) => {
    const cells = columns.map((column) =>
      h('td', { class: column.class, 'data-title': column.title }, column.cell(row)),
    );
    const line = h('tr', null, cells);
    dress?.(line, row, at);
    return line;
  });
  return h(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    h(
      'table',
      null,
      h('caption', { class: 'hidden' }, caption),
      h('thead', null, h('tr', null, head)),
      h('tbody', null, body),
    ),
  );
}

/** Names and values. */
export const facts = (pairs) =>
  h(
    'dl',
    { class: 'facts' },
    pairs
      .filter(
        ([, value]) => value !== undefined && value !== null && value !== false && value !== '',
      )
      .map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, value))),
  );

export const panel = (title, ...children) =>
  h('section', { class: 'panel' }, title && h('h2', null, title), children);

export const badge = (text, kind = '') => h('span', { class: `badge ${kind}` }, text);

export const button = (text, click, props = {}) =>
  h('button', { type: 'button', ...props, on: { click } }, text);

/** Shows what the address asks for, also when it asked for just that before. */
export function visit(hash) {
  if (location.hash === hash) dispatchEvent(new Event('hashchange'));
  else location.assign(hash);
}

/** A labelled field of a form. */
export function field(label, input) {
  return h('label', { class: 'field' }, h('span', null, label), input);
}

/**
 * A modal dialog: closes with Escape, keeps the focus inside and gives it back. Resolves with what
 * `done` was called with, or undefined. While it is open everything else is inert, so what say()
 * has to say then is said and shown in here.
 */
export function dialog(title, make) {
  return new Promise((resolve) => {
    let result;
    const box = h('dialog', { 'aria-label': title });
    const done = (value) => {
      result = value;
      box.close();
    };
    const close = button('×', () => done(), { class: 'close', 'aria-label': 'Close' });
    const said = h('p', { class: 'said', role: 'alert' });
    fill(box, h('header', null, h('h2', null, title), close), make(done), said);
    const left = new AbortController();
    for (const event of ['hashchange', 'signedout'])
      addEventListener(event, () => done(), { signal: left.signal });
    box.addEventListener('close', () => {
      left.abort();
      box.remove();
      resolve(result);
    });
    document.body.append(box);
    box.showModal();
  });
}

/** Takes back what was said last. */
export function hush() {
  document.getElementById('say').textContent = '';
  document.querySelector('.toast')?.remove();
}

/** Says something to everybody, seen or heard. */
export function say(text, kind = 'good') {
  const here = [...document.querySelectorAll('dialog[open] > .said')].at(-1);
  if (here) {
    here.className = `said ${kind}`;
    here.textContent = text;
    return;
  }
  hush();
  document.getElementById('say').textContent = text;
  const toast = h('div', { class: `toast ${kind}`, 'aria-hidden': 'true' }, text);
  document.body.append(toast);
  setTimeout(() => toast.remove(), 5000);
}
