// SPDX-License-Identifier: MIT
// Signing in: the issuer's authorization code flow with PKCE, for the public client "console".
// Tokens live in this module's memory and nowhere else: closing or reloading the page forgets them.
// Only what must outlive the way to the issuer and back (verifier, state, nonce, where to go on) is
// in sessionStorage, and it is taken out when it is read.
import { toBase64Url, utf8 } from './merkle.js';

const client = 'console';
const scopes = 'openid profile audit:read monitoring:read monitoring:write admin';
const place = 'portcullis-console-login';
const tokenPath = '/api/v1/oauth/token';

let session; // { access, refresh, idToken, scopes, user, expiresAt }
let refreshing;

const randomText = () => toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
const callback = () => `${location.origin}/console/callback`;

export const signedIn = () => session !== undefined;
export const user = () => session?.user;
export const may = (scope) => session?.scopes.has(scope) ?? false;
/** WebCrypto is for secure contexts: HTTPS, or this machine itself. */
export const possible = () => globalThis.crypto?.subtle !== undefined;

/** Goes to the issuer. */
export async function signIn() {
  const kept = { verifier: randomText(), state: randomText(), nonce: randomText() };
  kept.hash = location.hash;
  sessionStorage.setItem(place, JSON.stringify(kept));
  const digest = await crypto.subtle.digest('SHA-256', utf8(kept.verifier));
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: client,
    redirect_uri: callback(),
    scope: scopes,
    state: kept.state,
    nonce: kept.nonce,
    code_challenge: toBase64Url(new Uint8Array(digest)),
    code_challenge_method: 'S256',
  });
  location.assign(`/oauth/authorize?${query}`);
}

/** Back from the issuer: takes the code out of the address and makes it a session. */
export async function comeBack() {
  if (location.pathname !== '/console/callback') return;
  const query = new URLSearchParams(location.search);
  const kept = JSON.parse(sessionStorage.getItem(place) ?? 'null');
  sessionStorage.removeItem(place);
  history.replaceState(null, '', `/console${kept?.hash ?? ''}`);
  if (!kept || query.get('state') !== kept.state)
    throw new Error('This sign-in was not begun here, or came twice. Please sign in again.');
  if (!query.has('code'))
    throw new Error(
      query.get('error') === 'access_denied'
        ? 'Access was not allowed.'
        : `The issuer refused: ${query.get('error_description') ?? query.get('error')}`,
    );
  const { issuer } = await (await fetch('/.well-known/oauth-authorization-server')).json();
  if (query.get('iss') !== issuer) throw new Error('The answer is of another issuer.'); // RFC 9207
  await take(
    await ask({
      grant_type: 'authorization_code',
      code: query.get('code'),
      redirect_uri: callback(),
      code_verifier: kept.verifier,
    }),
    { issuer, nonce: kept.nonce },
  );
}

async function ask(fields) {
  const reply = await fetch(tokenPath, {
    method: 'POST',
    body: new URLSearchParams({ client_id: client, ...fields }),
    credentials: 'omit',
  });
  const body = await reply.json().catch(() => ({}));
  if (!reply.ok) {
    const error = new Error(
      body.error_description ?? body.detail ?? body.title ?? `the issuer answered ${reply.status}`,
    );
    error.status = reply.status;
    throw error;
  }
  return body;
}

/** The claims, of a token that came from the issuer itself: OpenID Connect Core, 3.1.3.7. */
function claimsOf(idToken) {
  const part = idToken.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
  const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** Who it is, in words: the id_token names a number only. */
async function nameOf(access) {
  const reply = await fetch('/oauth/userinfo', { headers: { Authorization: `Bearer ${access}` } });
  const claims = reply.ok ? await reply.json() : {};
  return claims.preferred_username ?? claims.name;
}

async function take(tokens, expected) {
  let name = session?.user;
  if (expected) {
    const claims = claimsOf(tokens.id_token);
    const isOurs = [claims.aud].flat().includes(client) && claims.nonce === expected.nonce;
    if (!isOurs || claims.iss !== expected.issuer)
      throw new Error('The identity token is not for this sign-in.');
    name = (await nameOf(tokens.access_token)) ?? `user ${claims.sub}`;
  }
  session = {
    access: tokens.access_token,
    refresh: tokens.refresh_token ?? session?.refresh,
    idToken: tokens.id_token ?? session?.idToken,
    scopes: new Set((tokens.scope ?? scopes).split(' ')),
    user: name,
    expiresAt: Date.now() + tokens.expires_in * 1000,
  };
}

async function refresh() {
  const before = session;
  try {
    const tokens = await ask({ grant_type: 'refresh_token', refresh_token: before.refresh });
    if (session !== before) throw new Error('nobody is signed in'); // who left stays out
    await take(tokens);
  } catch (error) {
    if (session === before && [400, 401].includes(error.status)) forget();
    throw error;
  }
}

/** Forgets the session, and says so to the page, which keeps nothing of it either. */
export function forget(detail = { leaving: false }) {
  session = undefined;
  dispatchEvent(new CustomEvent('signedout', { detail }));
}

/** A token that is good for half a minute at least; `anew` when the last one was refused. */
export async function token(anew = false) {
  if (!session) throw new Error('nobody is signed in');
  if (anew || Date.now() > session.expiresAt - 30_000) {
    refreshing ??= refresh().finally(() => {
      refreshing = undefined;
    });
    await refreshing;
  }
  return session.access;
}

/** Ends the grant, then the browser's own login at the issuer. */
export async function signOut() {
  const { refresh: last, idToken } = session;
  forget({ leaving: true });
  await fetch('/api/v1/oauth/revoke', {
    method: 'POST',
    body: new URLSearchParams({ client_id: client, token: last }),
    credentials: 'omit',
  }).catch(() => {});
  const query = new URLSearchParams({ id_token_hint: idToken, client_id: client });
  location.assign(`/oauth/logout?${query}`);
}
