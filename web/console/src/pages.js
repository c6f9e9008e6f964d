// SPDX-License-Identifier: MIT
// A list that grows page by page.
import { call } from './api.js';
import { button, fill, h } from './dom.js';

/**
 * What is at `address(cursor)`, the first page at once: { element, reload }. `draw` gives what
 * shows the rows so far; `rowsOf` finds them in an answer. A page is added once, however often it
 * is asked for, and one that was asked for before reload() is dropped.
 */
export function paged({ address, draw, signal, title = 'Older', rowsOf = (value) => value }) {
  const element = h('div', null, h('p', { class: 'note' }, 'Loading …'));
  let rows = [];
  let turn = 0;

  async function load(cursor) {
    const mine = ++turn;
    try {
      const { value, next } = await call(address(cursor), { signal });
      if (mine !== turn) return;
      rows = cursor === undefined ? rowsOf(value) : [...rows, ...rowsOf(value)];
      const more = button(title, () => follow(more, next), { class: 'more' });
      fill(element, draw(rows, value), next && more);
      if (cursor !== undefined && document.activeElement === document.body) more.focus();
    } catch (error) {
      if (error.name !== 'AbortError' && mine === turn)
        fill(element, h('p', { class: 'bad-text' }, error.message));
    }
  }

  function follow(more, next) {
    more.disabled = true;
    load(next);
  }

  load();
  return { element, reload: () => load() };
}
