// SPDX-License-Identifier: MIT
// What the tests of the OAuth issuer share: starting it, its clients, their ways of proving
// themselves, and a browser without scripts that fills in forms. It knows RFC 6749 and what its
// tests are told of a server, so it drives any other issuer as well.
import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import * as jose from 'jose';
import { command, freePort, Portcullis, sleep, temporaryFolder, unique } from './harness.mjs';

// ---- the program --------------------------------------------------------------------------------

// Budgets are a matter of their own test; here they would only be in the way.
const routes = ['/auth/token', '/auth/refresh', '/auth/revoke', '/auth/introspect'];
const budgets = `limits:
  routes:
${['/api/v1/oauth/token', '/api/v1/oauth/refresh', '/api/v1/oauth/revoke', ...routes]
  .map((route) => `    - route: POST ${route}\n      requests_per_minute: 1000000\n`)
  .join('')}`;

/**
 * Starts the program with its issuer on a known port: { gate, url, auth, stop }. `auth` asks the
 * issuer's listener as `gate` asks the gateway. `tls` ({ ca, cert, key }) goes with a `config` that
 * turns HTTPS on for both.
 */
export async function startIssuer({ env = {}, config = '', tls, limited = false, ...more } = {}) {
  const port = env.AUTH_PORT ?? (await freePort());
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const gate = await Portcullis.start({
    env: { AUTH_PORT: String(port), AUTH_JWT_ISSUER: url, ...env },
    config: limited ? config : `${budgets}${config}`,
    tls,
    ...more,
  });
  const request = (method, target, options = {}) =>
    gate.request(method, target, { port, ...options });
  return {
    gate,
    url,
    issuer: env.AUTH_JWT_ISSUER ?? url,
    env, // for commands beside it
    tls,
    port: Number(port),
    request,
    get: (target, options) => request('GET', target, options),
    post: (target, json, options = {}) => request('POST', target, { json, ...options }),
    form: (target, params, options = {}) => request('POST', target, formOf(params, options)),
    token: (params, options = {}) => request('POST', '/auth/token', formOf(params, options)),
    stop: (signal) => gate.stop(signal),
  };
}

/** A form's body; `params` may hold a name twice when it is a list of pairs. */
export function formOf(params, { headers = {}, ...options } = {}) {
  const pairs = Array.isArray(params) ? params : Object.entries(params);
  return {
    ...options,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(pairs.filter(([, value]) => value !== undefined)).toString(),
  };
}

/** The header of RFC 6749, 2.3.1: both parts are form-encoded first. */
export function basic(id, secret) {
  const encode = (text) => new URLSearchParams({ x: text }).toString().slice(2);
  const text = `${encode(id)}:${encode(secret)}`;
  return { Authorization: `Basic ${Buffer.from(text).toString('base64')}` };
}

/** Runs a command beside the program, on its data. */
export async function run(op, args, options = {}) {
  const result = await command(args, { data: op.gate.data, env: op.env, ...options });
  assert.equal(result.code, 0, `${args.join(' ')}: ${result.stderr}`);
  return result;
}

// ---- keys and assertions ------------------------------------------------------------------------

/** A key pair of a client: { alg, kid, privateKey, publicKey, jwk }. */
export async function keyPair(alg) {
  const pair = await jose.generateKeyPair(alg, { extractable: true, modulusLength: 2048 });
  const jwk = await jose.exportJWK(pair.publicKey);
  const kid = await jose.calculateJwkThumbprint(jwk);
  return { alg, kid, ...pair, jwk: { ...jwk, alg, kid, use: 'sig' } };
}

export const now = () => Math.floor(Date.now() / 1000);
export const bearerAssertion = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/**
 * A client assertion of RFC 7523 as it should be, but for what `claims` and `header` say; undefined
 * takes a member out.
 */
export async function assertion(op, id, key, { claims = {}, header = {}, sign } = {}) {
  const at = now();
  const payload = {
    iss: id,
    sub: id,
    aud: op.issuer,
    iat: at,
    exp: at + 60,
    jti: randomUUID(),
    ...claims,
  };
  const head = { alg: key.alg, kid: key.kid, ...header };
  return sign ? sign(head, payload) : compact(head, payload, key.privateKey);
}

/** A signed JWT of exactly these members. */
export async function compact(header, payload, privateKey) {
  const clean = JSON.parse(JSON.stringify(header)); // without those that are undefined
  return new jose.CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
    .setProtectedHeader(clean)
    .sign(privateKey);
}

export const base64url = (value) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export const withAssertion = (text) => ({
  client_assertion_type: bearerAssertion,
  client_assertion: text,
});

// ---- clients ------------------------------------------------------------------------------------

/**
 * Makes a client with the command: { client_id, secret, ...what was asked for }. `jwks` is a list
 * of public keys.
 */
export async function createClient(op, wanted = {}) {
  const id = wanted.id ?? unique('client-');
  const args = ['client', 'create', id];
  const add = (name, value) => value !== undefined && args.push(name, value);
  add('--name', wanted.name);
  add('--method', wanted.method);
  add('--grant', (wanted.grants ?? ['client_credentials']).join(','));
  add('--scope', (wanted.scopes ?? ['transactions:read']).join(','));
  add('--role', wanted.roles?.join(','));
  for (const uri of wanted.redirectUris ?? []) add('--redirect-uri', uri);
  for (const uri of wanted.logoutUris ?? []) add('--logout-uri', uri);
  if (wanted.jwks) {
    const file = path.join(temporaryFolder(), 'jwks.json');
    fs.writeFileSync(file, JSON.stringify({ keys: wanted.jwks }));
    add('--jwks', file);
  }
  add('--tls-subject', wanted.tlsSubject);
  if (wanted.bound) args.push('--bound');
  add('--access-alg', wanted.accessAlg);
  add('--id-alg', wanted.idAlg);
  return { ...wanted, client_id: id, secret: secretOf(await run(op, args)) };
}

/** The secret that a command showed this once, if it made one. */
export const secretOf = ({ stdout }) => /secret.*?:\s*(\S+)$/im.exec(stdout)?.[1];

// ---- a browser without scripts ------------------------------------------------------------------

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const decode = (text) =>
  text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (hex || decimal) return String.fromCodePoint(parseInt(hex ?? decimal, hex ? 16 : 10));
    return entities[name.toLowerCase()] ?? whole;
  });

function attributes(tag) {
  const result = {};
  const pattern = /([^\s=<>"'/]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g;
  for (const [, name, double, single, bare] of tag.matchAll(pattern))
    result[name.toLowerCase()] = decode(double ?? single ?? bare ?? '');
  return result;
}

/** The forms of a page: { action, method, inputs, buttons }. */
export function formsOf(html, base) {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, head, body]) => {
    const form = attributes(head);
    return {
      action: new URL(form.action || '', base),
      method: (form.method ?? 'get').toUpperCase(),
      inputs: [...body.matchAll(/<input\b([^>]*)>/gi)].map(([, tag]) => attributes(tag)),
      buttons: [...body.matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/gi)].map(
        ([, tag, text]) => ({
          ...attributes(tag),
          text: decode(text.replace(/<[^>]*>/g, '')).trim(),
        }),
      ),
    };
  });
}

/** Follows redirects within one issuer, keeps its cookies, fills in its forms. */
export class Browser {
  cookies = new Map();
  seen = []; // every answer, in order

  constructor(op, { from, keep = true } = {}) {
    this.op = op;
    this.from = from;
    this.agent = keep ? undefined : false;
  }

  /** One request, no redirect followed. */
  async step(method, url, fields) {
    const target = new URL(url, this.op.url);
    assert.equal(target.origin, new URL(this.op.url).origin, `${target} is elsewhere`);
    const headers = {};
    if (this.cookies.size > 0)
      headers.Cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    if (method !== 'GET') headers.Origin = target.origin;
    const options = fields === undefined ? { headers } : formOf(fields, { headers });
    const reply = await this.op.request(method, `${target.pathname}${target.search}`, {
      ...options,
      from: this.from,
      agent: this.agent,
    });
    for (const line of reply.headers['set-cookie'] ?? []) this.#keep(line);
    reply.url = target;
    this.seen.push(reply);
    return reply;
  }

  #keep(line) {
    const [pair, ...rest] = line.split(';').map((part) => part.trim());
    const at = pair.indexOf('=');
    const gone = rest.some(
      (part) => /^max-age=(0|-\d+)$/i.test(part) || /=Thu, 01 Jan 1970/.test(part),
    );
    if (gone) this.cookies.delete(pair.slice(0, at));
    else this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }

  /**
   * Asks and follows redirects until a page stands, { page }, or the browser is sent away from the
   * issuer, { away }.
   */
  async open(method, url, fields) {
    let reply = await this.step(method, url, fields);
    for (let i = 0; i < 10; i++) {
      const { location } = reply.headers;
      if (location === undefined) return { page: reply };
      const next = new URL(location, reply.url);
      if (next.origin !== new URL(this.op.url).origin) return { away: next, reply };
      reply = await this.step('GET', next);
    }
    throw new Error(`redirected for ever at ${reply.url.pathname}`);
  }

  /** Sends a page's form, its hidden fields as they are, the others as given. */
  submit(page, form, values = {}, button) {
    const pairs = form.inputs
      .filter((input) => input.name && !['submit', 'button', 'image', 'reset'].includes(input.type))
      .filter((input) => !['checkbox', 'radio'].includes(input.type) || 'checked' in input)
      .map((input) => [input.name, values[input.name] ?? input.value ?? '']);
    if (button?.name) pairs.push([button.name, button.value ?? '']);
    return this.open(form.method, form.action, pairs);
  }

  /** Fills in the login page. */
  signIn(page, email, password) {
    const form = loginForm(page);
    const secret = form.inputs.find((input) => input.type === 'password');
    const name = form.inputs.find(
      (input) =>
        input !== secret && !['hidden', 'checkbox', 'submit'].includes(input.type ?? 'text'),
    );
    return this.submit(
      page,
      form,
      { [name.name]: email, [secret.name]: password },
      form.buttons[0],
    );
  }

  /** Presses the button that says yes, or no. */
  consent(page, yes = true) {
    const pattern = yes ? /allow|continue|agree|accept|approve|yes/i : /deny|cancel|refuse|no\b/i;
    const forms = formsOf(page.text, page.url);
    for (const form of forms)
      for (const button of form.buttons)
        if (pattern.test(button.text) && (yes ? !/don.t|not/i.test(button.text) : true))
          return this.submit(page, form, {}, button);
    throw new Error(`no such button on ${page.url}:\n${page.text}`);
  }

  /** All that stands between the authorization request and its answer: the URL it ends at. */
  async authorize(url, { email = 'user@example.com', password = 'user123', yes = true } = {}) {
    let at = await this.open('GET', url);
    for (let i = 0; at.page && i < 4; i++) {
      assert.equal(at.page.status, 200, at.page.text);
      at = loginForm(at.page)
        ? await this.signIn(at.page, email, password)
        : await this.consent(at.page, yes);
    }
    assert.ok(at.away, 'never sent back');
    return at.away;
  }
}

/** The form that asks for a password, if this is such a page. */
export const loginForm = (page) =>
  formsOf(page.text, page.url).find((form) =>
    form.inputs.some((input) => input.type === 'password'),
  );

// ---- the code flow, by hand ---------------------------------------------------------------------

export const challengeOf = (verifier) => createHash('sha256').update(verifier).digest('base64url');

/** An authorization request as it should be, but for what is given: { url, verifier, state, … }. */
export function authorization(op, client, params = {}) {
  const verifier = randomBytes(32).toString('base64url');
  const all = {
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: client.redirectUris[0],
    scope: 'openid profile offline_access',
    state: randomBytes(16).toString('base64url'),
    nonce: randomBytes(16).toString('base64url'),
    code_challenge: challengeOf(verifier),
    code_challenge_method: 'S256',
    ...params,
  };
  const pairs = Object.entries(all).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) => [name, one]),
  );
  const query = new URLSearchParams(pairs.filter(([, value]) => value !== undefined));
  return { ...all, verifier, url: `${op.authorizeUrl ?? `${op.url}/oauth/authorize`}?${query}` };
}

/** A code, and what belongs to it. */
export async function codeOf(op, browser, client, params, who) {
  const asked = authorization(op, client, params);
  const back = await browser.authorize(asked.url, who);
  assert.equal(back.searchParams.get('error'), null, back.search);
  return { ...asked, back, code: back.searchParams.get('code') };
}

/** How a client with a secret, or without, goes to the token endpoint. */
export const proof = (client) =>
  client.secret === undefined
    ? { client_id: client.client_id }
    : { client_id: client.client_id, client_secret: client.secret };

export const redeem = (op, client, got, changes = {}) =>
  op.token({
    grant_type: 'authorization_code',
    code: got.code,
    redirect_uri: got.redirect_uri,
    code_verifier: got.verifier,
    ...proof(client),
    ...changes,
  });

export const refresh = (op, client, token, changes = {}) =>
  op.token({
    grant_type: 'refresh_token',
    refresh_token: token,
    ...proof(client),
    ...changes,
  });

/** The tokens of a whole flow. */
export async function tokensOf(op, browser, client, params, who) {
  const reply = await redeem(op, client, await codeOf(op, browser, client, params, who));
  assert.equal(reply.status, 200, reply.text);
  return reply.json;
}

// ---- what every answer must be ------------------------------------------------------------------

/** An error of RFC 6749, 5.2: one of `errors`, with the status it goes with, and never cached. */
export function assertOauthError(reply, status, errors) {
  const wanted = [errors].flat();
  assert.equal(reply.status, status, reply.text);
  assert.match(reply.headers['content-type'] ?? '', /^application\/json\b/);
  assert.ok(wanted.includes(reply.json?.error), `${reply.text}, not ${wanted.join(' or ')}`);
  assert.match(reply.json.error_description ?? '', /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
  assertNotStored(reply);
}

export function assertNotStored(reply) {
  assert.match(reply.headers['cache-control'] ?? '', /\bno-store\b/);
}

/** Refused as RFC 6750, 3 has it. */
export function assertBearerError(reply, status, error) {
  assert.equal(reply.status, status, reply.text);
  const header = reply.headers['www-authenticate'] ?? '';
  assert.match(header, /^Bearer\b/);
  if (error) assert.match(header, new RegExp(`error="${error}"`));
}

/** Asks until it is no longer 200, and says after how many milliseconds that was. */
export async function refusedAfter(ask) {
  const started = Date.now();
  for (;;) {
    const reply = await ask();
    if (reply.status !== 200) return { waited: Date.now() - started, reply };
    assert.ok(Date.now() - started < 5000, 'never refused');
    await sleep(10);
  }
}

// ---- fetch --------------------------------------------------------------------------------------

/**
 * A fetch that trusts an authority of the test's own, shows a client certificate, and may reach a
 * name at another place. For the customFetch of oauth4webapi and openid-client.
 */
export function fetchOver({ tls, to } = {}) {
  const agent = new (tls ? https : http).Agent({ keepAlive: false });
  return (input, init = {}) =>
    new Promise((resolve, reject) => {
      const url = new URL(typeof input === 'string' || input instanceof URL ? input : input.url);
      const target = to ? new URL(`${url.pathname}${url.search}`, to) : url;
      const headers = Object.fromEntries(new Headers(init.headers ?? {}));
      const body = init.body == null ? undefined : init.body.toString();
      if (body !== undefined) headers['content-length'] = Buffer.byteLength(body);
      const req = (target.protocol === 'https:' ? https : http).request(
        target,
        { method: init.method ?? 'GET', headers, agent, ...tls },
        async (res) => {
          const chunks = [];
          for await (const chunk of res) chunks.push(chunk);
          const empty = [204, 205, 304].includes(res.statusCode);
          resolve(
            new Response(empty ? null : Buffer.concat(chunks), {
              status: res.statusCode,
              headers: Object.entries(res.headers).flatMap(([name, value]) =>
                [value].flat().map((one) => [name, one]),
              ),
            }),
          );
        },
      );
      req.on('error', reject);
      req.end(body);
    });
}
