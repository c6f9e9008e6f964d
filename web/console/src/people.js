// SPDX-License-Identifier: MIT
// Who may do what: users, whose state and rights can be changed here, and the issuer's clients.
import { call, query } from './api.js';
import { badge, button, dialog, facts, h, panel, say, table } from './dom.js';
import { count, when } from './format.js';
import { may } from './oauth.js';
import { paged } from './pages.js';

const pageSize = 50;

// ---- users --------------------------------------------------------------------------------------

const changes = (user) => [
  user.is_active
    ? {
        label: 'Deactivate',
        body: { is_active: false },
        words: 'ends all sessions and refuses new ones',
      }
    : { label: 'Activate', body: { is_active: true }, words: 'lets the user sign in again' },
  user.is_admin
    ? {
        label: 'Take administration',
        body: { is_admin: false },
        words: 'takes the administrator’s rights',
      }
    : {
        label: 'Make administrator',
        body: { is_admin: true },
        words: 'grants every right there is',
      },
];

async function showUser(user, reload) {
  const change = await dialog(`User ${user.user_id}`, (done) =>
    h(
      'div',
      null,
      facts([
        ['Name', user.username],
        ['E-mail', user.email],
        ['State', user.is_active ? 'active' : 'deactivated'],
        ['Administrator', user.is_admin ? 'yes' : 'no'],
      ]),
      h('p', null, h('a', { href: `#/audit?actor=${user.user_id}` }, 'What this user did')),
      changes(user).map((one) =>
        h(
          'p',
          { class: 'choice' },
          button(one.label, () => done(one)),
          ` ${one.words}`,
        ),
      ),
    ),
  );
  if (!change) return;
  const sure = await dialog(`${change.label}?`, (done) =>
    h(
      'div',
      null,
      h('p', null, `${user.username} (${user.email}): ${change.words}.`),
      button(change.label, () => done(true), { class: 'primary' }),
    ),
  );
  if (!sure) return;
  await call(`/admin/users/${user.user_id}`, { method: 'PATCH', json: change.body });
  say(`${user.username}: done.`);
  reload();
}

function users(signal) {
  const draw = (rows, { total }) => [
    h('p', { class: 'note' }, `${count(rows.length)} of ${count(total)}`),
    table(
      'Users',
      [
        { title: 'Id', class: 'number', cell: (one) => one.user_id },
        {
          title: 'Name',
          cell: (one) => button(one.username, () => showUser(one, list.reload), { class: 'link' }),
        },
        { title: 'E-mail', cell: (one) => one.email },
        {
          title: 'State',
          cell: (one) => (one.is_active ? badge('active', 'good') : badge('deactivated', 'bad')),
        },
        { title: 'Rights', cell: (one) => one.is_admin && badge('administrator', 'warn') },
      ],
      rows,
    ),
  ];
  const list = paged({
    address: (cursor) => `/admin/users${query({ limit: pageSize, cursor })}`,
    draw,
    signal,
    title: 'More',
    rowsOf: (value) => value.users,
  });
  return list.element;
}

// ---- clients ------------------------------------------------------------------------------------

const showClient = (client) =>
  dialog(client.client_name, () => [
    facts([
      ['Client id', client.client_id],
      ['Name', client.client_name],
      ['Roles', client.roles.join(', ') || 'none'],
      ['Made', when(client.created_at)],
    ]),
    h('h3', null, 'Scopes'),
    h(
      'ul',
      { class: 'tags' },
      client.scopes.map((scope) => h('li', null, scope)),
    ),
    h(
      'p',
      null,
      h(
        'a',
        { href: `#/audit?actor=${encodeURIComponent(client.client_id)}` },
        'What this client did',
      ),
    ),
  ]);

function clients(signal) {
  const draw = (rows) =>
    table(
      'Clients',
      [
        {
          title: 'Client',
          cell: (one) => button(one.client_id, () => showClient(one), { class: 'link' }),
        },
        { title: 'Name', cell: (one) => one.client_name },
        { title: 'Roles', cell: (one) => one.roles.map((role) => badge(role)) },
        { title: 'Scopes', class: 'number', cell: (one) => one.scopes.length },
        { title: 'Made', cell: (one) => when(one.created_at) },
      ],
      rows,
    );
  const address = (cursor) => `/oauth/clients${query({ limit: pageSize, cursor })}`;
  return paged({ address, draw, signal, title: 'More' }).element;
}

export function accessView({ signal }) {
  return h(
    'div',
    { class: 'stack' },
    may('admin') && panel('Users', users(signal)),
    panel('Clients', clients(signal)),
  );
}
