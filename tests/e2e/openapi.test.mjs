// SPDX-License-Identifier: MIT
// The program against its own contracts: each operation of each listener is asked with inputs made
// from its schemas, right and wrong. Whatever is sent, nothing breaks (5xx), every answer is one
// that the document tells, byte for byte as its schema says, what does not fit is refused, and
// nothing protected is answered without a token or without its scopes.
//
// The seed is printed; PORTCULLIS_SEED draws others, PORTCULLIS_DRAWS asks more or less often.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { command, temporaryFolder, test } from './harness.mjs';
import { basic, createClient, formOf, startIssuer } from './oauth_kit.mjs';
import { beyond, Contract, Draw, within } from './openapi_kit.mjs';

const seed = Number(process.env.PORTCULLIS_SEED ?? 20261123);
const draws = Number(process.env.PORTCULLIS_DRAWS ?? 8);
const services = ['gateway', 'auth', 'account', 'transaction', 'audit', 'monitoring'];
const roles = ['payments', 'risk', 'auditor', 'broker'];
const known = {
  account_id: [1, 2],
  from_account_id: [1],
  to_account_id: [2],
  user_id: [2],
  currency: ['USD'],
  amount: ['1.25', 3],
};
const folder = temporaryFolder();
const file = (name) => path.join(folder, name);
const contracts = new Map();
let op;
let tls; // of the audit service, which wants certificates
let someone; // who may do everything
let machine; // a client that may have every scope

before(async () => {
  console.log(`# seed ${seed}, ${draws} draws an operation`);
  const made = await command(['certs', 'dev', '--folder', folder, 'robot']);
  assert.equal(made.code, 0, made.stderr);
  tls = {
    ca: fs.readFileSync(file('ca.crt')),
    cert: fs.readFileSync(file('robot.crt')),
    key: fs.readFileSync(file('robot.key')),
  };
  for (const service of services) {
    const { stdout } = await command(['openapi', service]);
    contracts.set(service, new Contract(JSON.parse(stdout), known));
  }
  op = await startIssuer({ config: config(), limited: true });
  someone = await op.gate.register('someone');
  await tell('user', 'role', someone.email, ...roles);
  const boss = (await op.gate.admin()).access_token;
  const { json: me } = await op.gate.get('/api/v1/auth/me', { token: someone.tokens.access_token });
  const right = { is_admin: true };
  const given = await op.gate.patch(`/api/v1/admin/users/${me.user_id}`, right, { token: boss });
  assert.equal(given.status, 200, given.text);
  for (const account_number of ['100200301', '100200302']) {
    const money = { account_type: 'checking', initial_deposit: 100000 };
    const account = { user_id: 2, account_number, ...money };
    const token = someone.tokens.access_token;
    const opened = await op.gate.post('/api/v1/accounts', account, { token });
    assert.equal(opened.status, 201, opened.text);
  }
  machine = await createClient(op, {
    grants: ['client_credentials', 'password'],
    scopes: allScopes(),
    roles,
  });
}, { timeout: 120_000 });
after(() => op?.stop());

async function tell(...args) {
  const result = await command(args, { data: op.gate.data, env: op.env });
  assert.equal(result.code, 0, result.stderr);
}

const everyOperation = () =>
  services.flatMap((service) =>
    contracts.get(service).operations().map((operation) => ({ service, ...operation })),
  );

const scopesOf = ({ flows }) => Object.keys(flows.authorizationCode.scopes);

function allScopes() {
  const ways = services.map((one) => contracts.get(one).document.components.securitySchemes);
  return [...new Set(ways.flatMap(({ oauth2 }) => scopesOf(oauth2)))];
}

/** Limits are a matter of their own tests; the audit service asks for a certificate. */
function config() {
  const limited = everyOperation().filter(({ responses }) => responses[429] !== undefined);
  const names = new Set(limited.map(({ name }) => name));
  return [
    'limits:',
    '  routes:',
    ...[...names].flatMap((name) => [
      `    - route: ${name}`,
      '      requests_per_minute: 1000000',
    ]),
    'audit:',
    '  tls:',
    `    certificate: ${file('server.crt')}`,
    `    key: ${file('server.key')}`,
    `    client_ca: ${file('ca.crt')}`,
    '    client_auth: optional\n',
  ].join('\n');
}

// ---- who asks -----------------------------------------------------------------------------------

const tokens = new Map();

/** A token of that name, made when it is first needed; forgotten by `tokens.delete`. */
async function token(name, make) {
  if (!tokens.has(name)) tokens.set(name, await make());
  return tokens.get(name);
}

const session = () =>
  token('session', async () => (await op.gate.login(someone.email, someone.password)).access_token);

/** For `someone` with every scope, or for the client itself with only one. */
const issued = (scope) =>
  token(`issued ${scope}`, async () => {
    const proof = { client_id: machine.client_id, client_secret: machine.secret };
    const own = { grant_type: 'client_credentials', scope };
    const { email: username, password } = someone;
    const theirs = { grant_type: 'password', username, password, scope: allScopes().join(' ') };
    const reply = await op.token({ ...proof, ...(scope ? own : theirs) });
    assert.equal(reply.status, 200, reply.text);
    return reply.json.access_token;
  });

async function credentials(draw, { kinds }) {
  const kind = kinds.length > 0 ? draw.of(kinds.filter((one) => one !== 'mutualTLS')) : undefined;
  if (kind === 'bearerAuth') return { token: await session() };
  if (kind === 'oauth2') return { token: await issued() };
  if (kind === 'clientBasic') return { headers: basic(machine.client_id, machine.secret) };
  return {};
}

// ---- what is asked ------------------------------------------------------------------------------

function target(operation, values) {
  const query = new URLSearchParams();
  let at = operation.path;
  for (const { name, in: where } of operation.parameters) {
    if (values[name] === undefined) continue;
    if (where === 'path') at = at.replace(`{${name}}`, encodeURIComponent(String(values[name])));
    if (where === 'query') query.append(name, String(values[name]));
  }
  const text = query.toString();
  return text === '' ? at : `${at}?${text}`;
}

function headersOf(operation, values) {
  const named = operation.parameters.filter(({ in: where }) => where === 'header');
  const given = named.filter(({ name }) => values[name] !== undefined);
  return Object.fromEntries(given.map(({ name }) => [name, values[name]]));
}

/** With `plain` nothing is in the path that some router would stop at. */
function parameters(draw, contract, operation, plain = false) {
  const values = {};
  for (const { name, in: where, required, schema } of operation.parameters) {
    if (!required && draw.chance(0.7)) continue;
    const drawn = contract.named(draw, name, schema);
    values[name] = plain && where === 'path' ? schema.examples[0] : drawn;
    if (operation.path.includes(`{${name}}`) && schema.type === 'integer' && draw.chance(0.7))
      values[name] = draw.whole(1, 4);
    // Who takes everything from the one who asks learns nothing more.
    if (operation.operationId === 'admin_users_change') values[name] = draw.of([2, 3, 999]);
  }
  return values;
}

/** A parameter that does not fit, for certain. */
function wrongParameter(draw, operation) {
  const sure = operation.parameters.filter(({ schema }) => schema.type === 'integer');
  if (sure.length === 0) return undefined;
  const text = draw.of(['x', '1.5', '99999999999999999999', '-99999999999999999999', '0x1', ' 1']);
  return { [draw.of(sure).name]: text };
}

function send(service, operation, { values = {}, body, form, headers = {}, ...who }) {
  const port = service === 'gateway' ? op.gate.port : op.gate[`${service}Port`];
  const options = { port, ...who, headers: { ...headersOf(operation, values), ...headers } };
  if (service === 'audit') Object.assign(options, { tls, agent: false });
  const sent = body === undefined ? {} : form ? formOf(flat(body), options) : { json: body };
  return op.gate.request(operation.method, target(operation, values), { ...options, ...sent });
}

const flat = (body) =>
  Object.entries(body ?? {}).map(([name, value]) => [
    name,
    typeof value === 'object' ? JSON.stringify(value) : String(value),
  ]);

const forms = ({ requestBody }) => Object.keys(requestBody?.content ?? {});
const bodySchema = ({ requestBody }) => Object.values(requestBody?.content ?? {})[0]?.schema;
const bodyExample = ({ requestBody }) => Object.values(requestBody?.content ?? {})[0]?.example;
const isForm = (type) => type === 'application/x-www-form-urlencoded';

// ---- what must hold -----------------------------------------------------------------------------

let broken; // promises of this listener, by what was broken, each with the first that did

/** All are looked at before any is told, so that one does not hide the next. */
function hold(isKept, what, story) {
  if (!isKept && !broken.has(what)) broken.set(what, story());
}

/** Asks once and holds the answer against the document. */
async function ask(service, operation, what) {
  const reply = await send(service, operation, what);
  const sent = () => JSON.stringify({ ...what, token: undefined }).slice(0, 1500);
  const story = () =>
    `${service} ${operation.name} ${sent()}\n` +
    `-> ${reply.status} ${reply.headers['content-type']} ${reply.text.slice(0, 1500)}`;
  const complaint = contracts.get(service).complaint(operation, reply);
  hold(reply.status < 500, `${operation.name}: our own fault`, story);
  hold(complaint === '', `${operation.name}: ${reply.status}: ${complaint}`, story);
  if (reply.status === 401 && what.token !== undefined) tokens.clear(); // it may have left
  return { ...reply, story };
}

/** What fits: drawn values, and the document's own example. */
async function right(draw, service, operation) {
  const contract = contracts.get(service);
  const schema = bodySchema(operation);
  const values = parameters(draw, contract, operation);
  const form = isForm(draw.of([...forms(operation), '']));
  const body = schema && contract.value(draw, schema);
  const who = await credentials(draw, operation);
  const reply = await ask(service, operation, { values, body, form, ...who });
  const kind = reply.json?.type !== 'urn:portcullis:problem:wrong-token';
  hold(kind, `${operation.name}: a token of a kind that is told is refused`, reply.story);
  return reply;
}

async function example(draw, service, operation) {
  if (bodySchema(operation) === undefined) return;
  const values = parameters(draw, contracts.get(service), operation);
  const form = forms(operation).every(isForm);
  const who = await credentials(draw, operation);
  const body = bodyExample(operation);
  const reply = await ask(service, operation, { values, body, form, ...who });
  const fields = reply.json?.errors?.map(({ field }) => field) ?? [];
  const kept = reply.status !== 415 && fields.every((name) => Object.hasOwn(values, name));
  hold(kept, `${operation.name}: its own example is refused`, reply.story);
}

async function wrong(draw, service, operation) {
  const contract = contracts.get(service);
  const who = await credentials(draw, operation);
  const values = parameters(draw, contract, operation);
  const schema = bodySchema(operation);
  const spoilt = wrongParameter(draw, operation);
  const json = forms(operation).some((type) => !isForm(type));
  let body = schema && contract.value(draw, schema);
  if (json && (spoilt === undefined || draw.chance(0.8))) {
    body = contract.wrong(draw, schema);
    if (body === undefined) return;
  } else if (spoilt !== undefined) Object.assign(values, spoilt);
  else return;
  const reply = await ask(service, operation, { values, body, form: !json, ...who });
  hold(reply.status >= 400, `${operation.name}: what does not fit was taken`, reply.story);
}

/** Each member of the example at its bounds, which is taken, and beyond them, which is named. */
async function edges(draw, service, operation) {
  const contract = contracts.get(service);
  const schema = bodySchema(operation);
  if (schema === undefined || forms(operation).some(isForm)) return;
  const values = parameters(draw, contract, operation, true);
  delete values['Idempotency-Key']; // with one, another body is another matter
  const who = await credentials(draw, operation);
  const hear = async (name, value) => {
    const body = { ...bodyExample(operation), [name]: value };
    const fits = contract.judge(schema, body) === '';
    const reply = await ask(service, operation, { values, body, ...who });
    const named = reply.json?.errors?.some(({ field }) => field.startsWith(name)) ?? false;
    if (reply.status === 401 || reply.status === 403) return;
    const what = fits ? 'within its bounds is refused' : 'beyond its bounds is not named';
    hold(named !== fits, `${operation.name}: ${name} ${what}`, reply.story);
  };
  for (const [name, inner] of Object.entries(contract.follow(schema).properties)) {
    if (inner.format === 'password') continue; // what is good enough for one is a matter of policy
    const at = contract.follow(inner);
    // A currency has three letters and is one that there is: no bound tells that.
    const taken = name === 'currency' ? [] : within(draw, at);
    for (const value of [...taken, ...beyond(draw, at)]) await hear(name, value);
  }
}

/** Bodies that are no such thing, queries that nobody wrote. */
async function garbage(draw, service, operation) {
  const contract = contracts.get(service);
  const who = await credentials(draw, operation);
  const values = parameters(draw, contract, operation);
  const types = ['application/json', 'text/plain', 'application/x-www-form-urlencoded', ''];
  const texts = ['', '{', '[]', 'null', '"x"', '{"a":1,"a":2}', '\u0000', 'a=%zz&&=', '[[[[[[[[[['];
  const type = draw.of(types);
  const port = service === 'gateway' ? op.gate.port : op.gate[`${service}Port`];
  const secure = service === 'audit' ? { tls, agent: false } : {};
  const reply = await op.gate.request(operation.method, target(operation, values), {
    port,
    ...secure,
    ...who,
    headers: { ...who.headers, ...(type ? { 'Content-Type': type } : {}) },
    ...(operation.method === 'GET' ? {} : { body: draw.of(texts) }),
  });
  const story = () => `${service} ${operation.name} ${type}\n-> ${reply.status} ${reply.text}`;
  const complaint = contract.complaint(operation, reply);
  hold(reply.status < 500, `${operation.name}: our own fault`, story);
  hold(complaint === '', `${operation.name}: ${reply.status}: ${complaint}`, story);
}

async function closed(draw, service, operation) {
  if (!operation.isProtected) return;
  const contract = contracts.get(service);
  const values = parameters(draw, contract, operation, true);
  const schema = bodySchema(operation);
  const body = schema && contract.value(draw, schema);
  const form = forms(operation).length > 0 && forms(operation).every(isForm);
  for (const who of [{}, { token: 'x.y.z' }, { headers: { Authorization: 'Basic eDp5' } }]) {
    const reply = await ask(service, operation, { values, body, form, ...who });
    const told = /^Bearer/.test(reply.headers['www-authenticate']);
    hold(reply.status === 401 && told, `${operation.name}: no token`, reply.story);
  }
  if (operation.scopes.length === 0) return;
  const other = ['audit:read', 'monitoring:read'].find((one) => !operation.scopes.includes(one));
  const narrow = await issued(other);
  const reply = await ask(service, operation, { values, body, form, token: narrow });
  hold(reply.status === 403, `${operation.name}: not its scope`, reply.story);
}

for (const service of services)
  test(
    `${service} keeps its contract`,
    async () => {
      const draw = new Draw(seed);
      const operations = contracts.get(service).operations();
      let reached = 0;
      broken = new Map();
      for (const operation of operations) {
        await closed(draw, service, operation);
        await example(draw, service, operation);
        await edges(draw, service, operation);
        let good = false;
        for (let i = 0; i < draws; i++) {
          const reply = await right(draw, service, operation);
          good = good || reply.status < 400;
          await wrong(draw, service, operation);
          if (i % 2 === 0) await garbage(draw, service, operation);
        }
        reached += good;
      }
      console.log(`# ${service}: ${reached} of ${operations.length} operations succeeded`);
      assert.equal(broken.size, 0, [...broken].map((one) => one.join('\n')).join('\n\n'));
      assert.ok(reached * 2 > operations.length);
    },
    { timeout: 300_000 },
  );
