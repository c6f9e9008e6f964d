// SPDX-License-Identifier: MIT
// What stands around every view: who is signed in, the way out, the views.
import { badge, button, fill, h } from './dom.js';
import { latest, subscribe } from './live.js';
import { signOut, user } from './oauth.js';

const pulse = h('span', { class: 'pulse' });
const firing = h('span', { class: 'firing' });

subscribe(() => {
  const { model, fault } = latest();
  pulse.className = `pulse ${fault ? 'bad' : 'good'}`;
  fill(pulse, h('span', { class: 'word' }, fault ? 'Not up to date' : 'Live'));
  pulse.title = fault ? fault.message : 'The state is asked for every few seconds';
  const count = model?.alerts.firing ?? 0;
  fill(
    firing,
    count > 0 && badge(count, 'bad'),
    count > 0 && h('span', { class: 'hidden' }, 'firing'),
  );
});

const themeButton = () =>
  button('◐', () => dispatchEvent(new Event('themeswitch')), {
    'aria-label': 'Switch between light and dark',
    title: 'Switch between light and dark (t)',
  });

/** `help` opens the list of keys; undefined: nobody is signed in. */
export function drawBar(help) {
  fill(
    document.getElementById('tools'),
    help && pulse,
    themeButton(),
    help &&
      button('?', help, { 'aria-label': 'Keyboard shortcuts', title: 'Keyboard shortcuts (?)' }),
    help && h('span', { class: 'user' }, user()),
    help && button('Sign out', () => signOut()),
  );
}

/** The views as links; `current` is the id of the one that is shown. */
export function drawNav(views, current) {
  const nav = document.getElementById('nav');
  nav.hidden = views.length === 0;
  fill(
    nav,
    views.map(({ id, title }, at) => {
      const props = { href: `#/${id}`, 'aria-keyshortcuts': String(at + 1) };
      if (id === current) props['aria-current'] = 'page';
      return h('a', props, title, id === 'alerts' && firing);
    }),
  );
  nav.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
}
