// SPDX-License-Identifier: MIT
// The gateway's API, with the token of who signed in. What goes wrong is one kind of error, with
// the problem's own words (RFC 9457).
import { forget, token } from './oauth.js';

export class Problem extends Error {
  constructor(status, body, reply) {
    super(body?.detail ?? body?.title ?? (status ? `The answer was ${status}.` : 'No answer.'));
    this.status = status;
    this.requestId = reply?.headers.get('X-Request-ID') ?? undefined;
    this.retryAfter = Number(reply?.headers.get('Retry-After')) || undefined;
  }
}

async function once(path, { method = 'GET', json, signal, anew }) {
  const headers = { Authorization: `Bearer ${await token(anew)}` };
  if (json !== undefined) headers['Content-Type'] = 'application/json';
  return fetch(`/api/v1${path}`, {
    method,
    headers,
    signal,
    body: json === undefined ? undefined : JSON.stringify(json),
    credentials: 'omit',
    cache: 'no-store',
    redirect: 'error',
  });
}

async function answer(path, options) {
  try {
    const reply = await once(path, options);
    // A right may have changed, or the clock: once more with a token that is new.
    return reply.status === 401 ? await once(path, { ...options, anew: true }) : reply;
  } catch (error) {
    if (error instanceof TypeError)
      throw new Problem(0, { detail: 'The gateway cannot be reached.' });
    throw error;
  }
}

/** The cursor of the next page, from the Link header (RFC 8288). */
function nextOf(reply) {
  const match = /<([^>]*)>;\s*rel="next"/.exec(reply.headers.get('Link') ?? '');
  return match ? new URL(match[1], location.origin).searchParams.get('cursor') : undefined;
}

/** { value, next }: the JSON of the answer, or its text, and where the next page begins. */
export async function call(path, options = {}) {
  const reply = await answer(path, options);
  const text = await reply.text();
  const isJson = /\bjson\b/.test((reply.headers.get('Content-Type') ?? '').split(';')[0]);
  let value = text;
  if (isJson && !/ndjson/.test(reply.headers.get('Content-Type')))
    value = text === '' ? undefined : JSON.parse(text);
  if (reply.ok) return { value, next: nextOf(reply) };
  if (reply.status === 401) forget();
  throw new Problem(reply.status, typeof value === 'object' ? value : undefined, reply);
}

export const get = async (path, options) => (await call(path, options)).value;

/** "?a=1&b=2" of what is there. */
export function query(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== '' && value !== undefined);
  return given.length ? `?${new URLSearchParams(given)}` : '';
}
