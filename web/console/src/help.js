// SPDX-License-Identifier: MIT
// The keys, on "?".
import { dialog, h } from './dom.js';

const place = 'portcullis-console-keys';

/** Single letters get in the way of some ways to type, so they can be switched off. */
export function keysAreOn() {
  try {
    return localStorage.getItem(place) !== 'off';
  } catch {
    return true;
  }
}

function toggle() {
  const change = (event) => localStorage.setItem(place, event.target.checked ? 'on' : 'off');
  const box = h('input', { type: 'checkbox', checked: keysAreOn(), on: { change } });
  return h('label', { class: 'check' }, box, ' These keys work');
}

export function showHelp(views) {
  const keys = [
    ...views.map((view, at) => [String(at + 1), view.title]),
    ['/', 'Go to the filters of the view'],
    ['r', 'Ask for everything again'],
    ['t', 'Switch between light and dark'],
    ['Esc', 'Close what is open'],
    ['?', 'This list'],
  ];
  return dialog('Keyboard shortcuts', () => [
    h(
      'dl',
      { class: 'keys' },
      keys.map(([key, words]) =>
        h('div', null, h('dt', null, h('kbd', null, key)), h('dd', null, words)),
      ),
    ),
    toggle(),
  ]);
}
