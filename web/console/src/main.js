// SPDX-License-Identifier: MIT
// The console: signs in, shows one view at a time, and answers to the keyboard. The address says
// what is shown: #/audit?severity=critical.
import { accessView } from './people.js';
import { alertsView } from './alerts.js';
import { auditView } from './audit.js';
import { button, fill, h, hush, say } from './dom.js';
import { keysAreOn, showHelp } from './help.js';
import { startLive, stopLive } from './live.js';
import { comeBack, may, possible, signedIn, signIn } from './oauth.js';
import { overviewView } from './overview.js';
import { protectionView } from './protection.js';
import { drawBar, drawNav } from './shell.js';
import { systemView } from './system.js';
import { trafficView } from './traffic.js';

const views = [
  { id: 'overview', title: 'Overview', scope: 'monitoring:read', make: overviewView },
  { id: 'traffic', title: 'Traffic', scope: 'monitoring:read', make: trafficView },
  { id: 'protection', title: 'Protection', scope: 'monitoring:read', make: protectionView },
  { id: 'alerts', title: 'Alerts', scope: 'monitoring:read', make: alertsView },
  { id: 'audit', title: 'Audit', scope: 'audit:read', make: auditView },
  { id: 'access', title: 'Access', scope: 'audit:read', make: accessView },
  { id: 'system', title: 'System', scope: 'monitoring:read', make: systemView },
];

const main = document.getElementById('main');
let leave = new AbortController();

const seen = () => views.filter((view) => may(view.scope));

/** What the address asks for: { view, path, params }. */
function wanted() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [id, ...rest] = path.split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return '';
    }
  });
  const view = seen().find((one) => one.id === id) ?? seen()[0];
  return { view, path: view?.id === id ? rest : [], params: new URLSearchParams(query ?? '') };
}

function heading(title) {
  document.title = `${title} · Portcullis console`;
  return h('h1', { tabindex: '-1' }, title);
}

function showView() {
  leave.abort();
  leave = new AbortController();
  const { view, path, params } = wanted();
  if (!view) {
    const words =
      'Your account may not see anything here. Operators need the role auditor or admin.';
    fill(main, heading('No access'), h('p', { class: 'note' }, words));
    return;
  }
  drawNav(seen(), view.id);
  const title = heading(view.title);
  fill(main, title, view.make({ path, params, signal: leave.signal }));
  scrollTo(0, 0);
  if (document.activeElement === document.body || !main.contains(document.activeElement))
    title.focus({ preventScroll: true });
}

/** Nothing that was shown or asked for is left. */
function clear() {
  leave.abort();
  stopLive();
  hush();
  drawBar(undefined);
  drawNav([], undefined);
}

/** While the browser is on its way to the issuer: with nothing to press by mistake. */
function showLeaving() {
  clear();
  fill(main, heading('Signing out …'));
}

function showSignIn(message) {
  clear();
  const start = button('Sign in', () => signIn(), { class: 'primary' });
  const lack =
    'This browser lends its cryptography to secure pages only: open the console over HTTPS.';
  fill(
    main,
    h(
      'section',
      { class: 'welcome' },
      heading('Operators’ console'),
      message && h('p', { class: 'bad-text', role: 'alert' }, message),
      h('p', null, 'Traffic, protection, alerts and the audit log of this gateway.'),
      possible() ? start : h('p', { class: 'bad-text', role: 'alert' }, lack),
    ),
  );
  if (possible()) start.focus();
}

function show() {
  if (signedIn()) showView();
  else showSignIn();
}

const typing = (target) => target.closest?.('input, select, textarea, dialog') !== null;

const keys = {
  '?': () => showHelp(seen()),
  t: () => dispatchEvent(new Event('themeswitch')),
  r: () => showView(),
  '/': () => main.querySelector('form input, form select')?.focus(),
};

addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || !signedIn()) return;
  if (!keysAreOn()) return;
  const view = seen()[Number(event.key) - 1];
  const act = view ? () => location.assign(`#/${view.id}`) : keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

addEventListener('hashchange', show);
addEventListener('signedout', ({ detail }) => {
  if (detail.leaving) showLeaving();
  else showSignIn('Your session has ended. Please sign in again.');
});
addEventListener('pageshow', (event) => {
  // Back to a page that the browser kept: nothing of who left may stand on it.
  if (event.persisted && !signedIn()) showSignIn();
});
addEventListener('unhandledrejection', (event) => {
  if (event.reason?.name === 'AbortError') event.preventDefault();
  else if (event.reason instanceof Error) {
    event.preventDefault();
    say(event.reason.message, 'bad');
  }
});

document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault(); // the address after # is ours
  main.focus();
});

async function start() {
  try {
    await comeBack();
  } catch (error) {
    showSignIn(error.message);
    return;
  }
  if (signedIn()) {
    drawBar(() => showHelp(seen()));
    if (may('monitoring:read')) startLive();
  }
  show();
}

start();
