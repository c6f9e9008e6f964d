// SPDX-License-Identifier: MIT
// Routes that take tokens of others: npm's jose signs, Node serves the keys, well or badly.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { after, before } from 'node:test';
import { gzipSync } from 'node:zlib';
import * as jose from 'jose';
import { Portcullis, assertProblem, command, sleep, temporaryFolder, test } from './harness.mjs';
import { startUpstream } from './proxy_kit.mjs';

const ISS = 'https://login.partner.example';
const folder = temporaryFolder();
const file = path.join(folder, 'jwks.json');

/** An issuer: its keys by name, and what it signs. */
class Signer {
  keys = new Map();

  async add(kid, alg = 'ES256') {
    const pair = await jose.generateKeyPair(alg, { extractable: true });
    this.keys.set(kid, { alg, ...pair, jwk: { ...(await jose.exportJWK(pair.publicKey)), kid } });
    return this;
  }

  get jwks() {
    return JSON.stringify({ keys: [...this.keys.values()].map((key) => key.jwk) });
  }

  sign(claims = {}, { kid = [...this.keys.keys()][0], header = {}, key } = {}) {
    const { alg, privateKey } = this.keys.get(kid);
    return new jose.SignJWT({ iss: ISS, aud: 'api', sub: 'alice', tenant: 'blue', ...claims })
      .setProtectedHeader({ alg, kid, ...header })
      .setIssuedAt()
      .setExpirationTime('5 minutes')
      .sign(key ?? privateKey);
  }
}

/** Serves keys: counts who asks, and answers as `say` does. */
async function startKeys(jwks, tls) {
  const state = { asked: 0, say: undefined };
  const server = (tls ? https : http).createServer(tls ?? {}, (req, res) => {
    state.asked += 1;
    if (state.say) return state.say(req, res);
    return res.writeHead(200, { 'Content-Type': 'application/jwk-set+json' }).end(jwks());
  });
  server.on('connection', (socket) => socket.on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  state.port = server.address().port;
  state.stop = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return state;
}

const partner = new Signer();
const other = new Signer();
let upstream;
let keys;
let secure;
let gate;

function makeCertificate() {
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => path.join(folder, name));
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
      .concat(['-keyout', key, '-out', cert, '-subj', '/CN=keys'])
      .concat(['-addext', 'subjectAltName=IP:127.0.0.1']),
    { stdio: 'ignore' },
  );
  return { key: fs.readFileSync(key), cert: fs.readFileSync(cert), path: cert };
}

const issuer = (name, iss, where, more = '') => `  - name: ${name}
    issuer: ${iss}
    audience: [api]
    algorithms: [ES256, RS256, EdDSA]
    ${where}
    cooldown_seconds: 1
    timeout_ms: 500
${more}`;

before(async () => {
  await partner.add('one');
  await other.add('rsa', 'RS256');
  fs.writeFileSync(file, other.jwks);
  const certificate = makeCertificate();
  const trusted = `    ca_file: ${certificate.path}\n`;
  upstream = await startUpstream();
  keys = await startKeys(() => partner.jwks);
  secure = await startKeys(() => partner.jwks, certificate);
  const url = ({ port }, scheme = 'http') => `jwks_url: ${scheme}://127.0.0.1:${port}/keys`;
  const route = (name, more) => `  - path: /${name}/*
    upstream: shop
    access: bearer
    circuit_breaker: {disabled: true}
    issuers: [${more}
`;
  gate = await Portcullis.start({
    env: { RATE_LIMIT_REQUESTS_PER_MINUTE: '1000000' },
    config: `upstreams:
  - name: shop
    targets:
      - url: http://127.0.0.1:${upstream.port}
issuers:
${issuer(
  'partner',
  ISS,
  url(keys),
  `    required_claims:
      - claim: tenant
        values: [blue, green]
    roles_claim: realm.roles
`,
)}
${issuer('filed', 'https://filed.example', `jwks_file: ${file}`)}
${issuer('secure', ISS, url(secure, 'https'), trusted)}
${issuer('unsure', ISS, url(secure, 'https'))}
${issuer('public', ISS, url(secure, 'https'), `${trusted}    public_only: true\n`)}
routes:
${route('partner', 'partner]')}
${route('both', 'partner, filed]')}
${route('secure', 'secure]')}
${route('unsure', 'unsure]')}
${route('public', 'public]')}
${route('scoped', 'partner]\n    scopes: [orders:read]\n    roles: [clerk, boss]')}
  - path: /own/*
    upstream: shop
    access: bearer
`,
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  for (const one of [upstream, keys, secure]) await one?.stop();
});

const get = (target, token, headers) => gate.get(target, { token, headers });

/** Asks until the answer is no 503 any more: keys come in their own time. */
async function settled(target, token) {
  for (let i = 0; ; i++) {
    const reply = await get(target, token);
    if (reply.status !== 503 || i === 200) return reply;
    await sleep(20);
  }
}

test('a token of the issuer is let in, and the target is told whose it is', async () => {
  const token = await partner.sign({
    azp: 'app-7',
    scope: 'orders:read orders:write',
    realm: { roles: ['clerk'] },
  });
  const reply = await settled('/partner/x', token);
  assert.equal(reply.status, 200, reply.text);
  const claimed = await get('/partner/x', token, {
    'X-Portcullis-Issuer': 'lying',
    'X-Portcullis-Subject': 'root',
    'X-Portcullis-User': '1',
  });
  const { headers } = claimed.json;
  assert.equal(headers['x-portcullis-issuer'], 'partner');
  assert.equal(headers['x-portcullis-subject'], 'alice');
  assert.equal(headers['x-portcullis-client'], 'app-7');
  assert.equal(headers['x-portcullis-scope'], 'orders:read orders:write');
  assert.equal(headers['x-portcullis-roles'], 'clerk');
  assert.equal(headers['x-portcullis-user'], undefined);
});

test('scopes and roles of its claims decide', async () => {
  const ask = async (claims) => (await settled('/scoped/x', await partner.sign(claims))).status;
  assert.equal(await ask({ scope: 'orders:read', realm: { roles: ['boss'] } }), 200);
  assert.equal(await ask({ scope: ['a', 'orders:read'], realm: { roles: 'clerk x' } }), 200);
  assert.equal(await ask({ scope: 'orders:read' }), 403);
  assert.equal(await ask({ scope: 'orders', realm: { roles: ['clerk'] } }), 403);
});

test('tokens of others, of us, and forged ones are refused where they are not taken', async () => {
  const { tokens } = await gate.register();
  const token = await partner.sign();
  const { privateKey } = await jose.generateKeyPair('ES256');
  const hmac = new TextEncoder().encode(await jose.exportSPKI(partner.keys.get('one').publicKey));
  const refused = {
    'our own': tokens.access_token,
    'another key': await partner.sign({}, { key: privateKey }),
    'another audience': await partner.sign({ aud: 'x' }),
    'another issuer': await partner.sign({ iss: 'https://evil.example' }),
    'another tenant': await partner.sign({ tenant: 'red' }),
    'no tenant': await partner.sign({ tenant: undefined }),
    'a logout token': await partner.sign({}, { header: { typ: 'logout+jwt' } }),
    'a proof of possession': await partner.sign({ cnf: { jkt: 'x' } }),
    'a header line': await partner.sign({ sub: 'a\r\nX-Portcullis-User: 1' }),
    'alg none': new jose.UnsecuredJWT({ iss: ISS, aud: 'api', sub: 'a', tenant: 'blue' })
      .setExpirationTime('1 minute')
      .encode(),
    'a public key as secret': await new jose.SignJWT({ iss: ISS, aud: 'api', sub: 'a' })
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .setExpirationTime('1 minute')
      .sign(hmac),
    'critical headers': await new jose.SignJWT({ iss: ISS, aud: 'api', sub: 'a', tenant: 'blue' })
      .setProtectedHeader({ alg: 'ES256', kid: 'one', crit: ['exp'], exp: 1 })
      .setExpirationTime('1 minute')
      .sign(partner.keys.get('one').privateKey, { crit: { exp: true } }),
    'no end': await new jose.SignJWT({ iss: ISS, aud: 'api', sub: 'a', tenant: 'blue' })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .sign(partner.keys.get('one').privateKey),
  };
  assert.equal((await settled('/partner/x', token)).status, 200);
  for (const [what, wrong] of Object.entries(refused)) {
    const reply = await get('/partner/x', wrong);
    assert.equal(reply.status, 401, `${what}: ${reply.text}`);
  }
  // A verdict is remembered for the issuer's routes only.
  for (const target of ['/own/x', '/api/v1/auth/me'])
    assert.equal((await get(target, token)).status, 401);
  assert.equal((await get('/own/x', tokens.access_token)).status, 200);
});

test('with several issuers the claim says whose verdict it is', async () => {
  const filed = { iss: 'https://filed.example' };
  const reply = await settled('/both/x', await other.sign(filed));
  assert.equal(reply.status, 200, reply.text);
  assert.equal(reply.json.headers['x-portcullis-issuer'], 'filed');
  const mine = await settled('/both/x', await partner.sign());
  assert.equal(mine.json.headers['x-portcullis-issuer'], 'partner');
  const refused = [await partner.sign(filed), await other.sign(), await other.sign({ iss: 'x' })];
  for (const token of refused) assert.equal((await settled('/both/x', token)).status, 401);
});

test('a file is read again when it changes, and withdrawn keys count no more', async () => {
  const filed = { iss: 'https://filed.example' };
  const before = await other.sign(filed);
  assert.equal((await get('/both/x', before)).status, 200);
  await other.add('next', 'EdDSA');
  const old = other.keys.get('rsa');
  other.keys.delete('rsa');
  fs.writeFileSync(`${file}.new`, other.jwks);
  fs.renameSync(`${file}.new`, file);
  const next = await other.sign(filed, { kid: 'next' });
  for (let i = 0; (await get('/both/x', next)).status !== 200; i++) {
    assert.ok(i < 150);
    await sleep(20);
  }
  assert.equal((await get('/both/x', before)).status, 401);
  other.keys.set('rsa', old);
});

test('a key that nobody knows is asked for once in the time that is set', async () => {
  const token = await partner.sign();
  assert.equal((await settled('/partner/x', token)).status, 200);
  const stray = new Signer();
  await stray.add('stray');
  await sleep(1100); // the cool-down
  const asked = keys.asked;
  const begun = Date.now();
  const statuses = {};
  const one = async (i) => {
    const wrong = await stray.sign({ n: i }, { header: { kid: `stray-${i}` } });
    const { status } = await get('/partner/x', wrong);
    statuses[status] = (statuses[status] ?? 0) + 1;
  };
  for (let i = 0; i < 300; i += 10)
    await Promise.all(Array.from({ length: 10 }, (_, j) => one(i + j)));
  const seconds = (Date.now() - begun) / 1000;
  assert.ok(keys.asked - asked >= 1);
  assert.ok(keys.asked - asked <= Math.ceil(seconds) + 1, `${keys.asked - asked} in ${seconds} s`);
  assert.deepEqual(
    Object.keys(statuses).filter((status) => !['401', '503'].includes(status)),
    [],
  );
  assert.equal((await get('/partner/x', token)).status, 200);
});

test('after a rotation new tokens are let in at once, and no old one is turned away', async () => {
  const old = await partner.sign();
  assert.equal((await settled('/partner/x', old)).status, 200);
  await sleep(1100); // the cool-down
  await partner.add('two');
  const fresh = await partner.sign({}, { kid: 'two' });
  const reply = await settled('/partner/x', fresh); // 503 until it is fetched, never 401
  assert.equal(reply.status, 200, reply.text);
  assert.equal((await get('/partner/x', old)).status, 200);
});

test('keys outlive an outage of their server', async () => {
  const token = await partner.sign({ n: 'outage' });
  assert.equal((await settled('/partner/x', token)).status, 200);
  keys.say = (req, res) => res.destroy();
  await sleep(1100);
  const stray = await new Signer().add('nobody');
  assert.equal((await get('/partner/x', await stray.sign())).status, 503);
  assert.equal((await get('/partner/x', await partner.sign({ n: 2 }))).status, 200);
  assert.equal((await get('/partner/x', token)).status, 200);
  keys.say = undefined;
});

const json = { 'Content-Type': 'application/json' };
const lies = {
  status: [(res) => res.writeHead(500, json).end(partner.jwks), /status 500/],
  redirect: [
    (res) =>
      res.writeHead(302, { Location: `http://127.0.0.1:${keys.port}/keys` }).end(partner.jwks),
    /redirect/,
  ],
  html: [
    (res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end(partner.jwks),
    /not called JSON/,
  ],
  none: [(res) => res.writeHead(200, json).end('{"keys":[]}'), /no keys/],
  broken: [(res) => res.writeHead(200, json).end('<html>'), /not strict JSON/],
  long: [(res) => res.writeHead(200, json).end(Buffer.alloc(1 << 20, ' ')), /too long/],
  told: [
    (res) => res.writeHead(200, { ...json, 'Content-Length': 1 << 20 }).flushHeaders(),
    /too long/,
  ],
  endless: [
    (res) => {
      res.writeHead(200, json);
      const timer = setInterval(() => res.write(Buffer.alloc(60_000, ' ')), 5);
      res.on('close', () => clearInterval(timer));
    },
    /too long/,
  ],
  drip: [
    (res) => {
      res.writeHead(200, json);
      const timer = setInterval(() => res.write(' '), 20);
      res.on('close', () => clearInterval(timer));
    },
    /took too long/,
  ],
  silence: [() => {}, /took too long/],
  private: [
    async (res) => {
      const jwk = await jose.exportJWK(partner.keys.get('one').privateKey);
      res.writeHead(200, json).end(JSON.stringify({ keys: [{ ...jwk, kid: 'one' }] }));
    },
    /private key/,
  ],
  secret: [
    (res) =>
      res.writeHead(200, json).end(JSON.stringify({ keys: [{ kty: 'oct', k: 'c2VjcmV0' }] })),
    /secret/,
  ],
  cut: [
    (res) => {
      res.writeHead(200, { ...json, 'Content-Length': 5000 });
      res.write(partner.jwks);
      setTimeout(() => res.destroy(), 50);
    },
    /cannot be read|reset/i,
  ],
  compressed: [
    (res) =>
      res.writeHead(200, { ...json, 'Content-Encoding': 'gzip' }).end(gzipSync(partner.jwks)),
    /compressed/,
  ],
};

test('a server that lies is believed nothing, and nobody is let in', async () => {
  const token = await partner.sign();
  const names = Object.keys(lies);
  const server = await startKeys(() => '');
  const row = (name) => `  - {path: /${name}, upstream: shop, access: bearer, issuers: [${name}]}`;
  server.say = (req, res) => lies[req.url.slice(1)][0](res);
  const deceived = await Portcullis.start({
    config: `upstreams:
  - name: shop
    targets:
      - url: http://127.0.0.1:${upstream.port}
issuers:
${names.map((name) => issuer(name, ISS, `jwks_url: http://127.0.0.1:${server.port}/${name}`)).join('')}
routes:
${names.map(row).join('\n')}
`,
  });
  try {
    const asked = upstream.asked.length;
    for (const [name, [, reason]] of Object.entries(lies)) {
      const failed = (line) => line.event === 'issuer_keys_failed' && line.issuer === name;
      assert.match((await deceived.line(failed)).reason, reason, name);
      const reply = await deceived.get(`/${name}`, { token });
      assertProblem(reply, 503);
      assert.equal(reply.json.type, 'urn:portcullis:problem:issuer-unavailable');
      assert.ok(Number(reply.headers['retry-after']) >= 1);
    }
    assert.equal(upstream.asked.length, asked);
  } finally {
    assert.equal((await deceived.stop()).code, 0);
    await server.stop();
  }
});

test('the server of the keys is verified, and may be kept out of private networks', async () => {
  const token = await partner.sign();
  assert.equal((await settled('/secure/x', token)).status, 200);
  assert.equal((await get('/unsure/x', token)).status, 503);
  assert.equal((await get('/public/x', token)).status, 503);
  const failed = (name, reason) =>
    gate.line(
      (line) =>
        line.event === 'issuer_keys_failed' && line.issuer === name && reason.test(line.reason),
    );
  await failed('unsure', /TLS failed/);
  await failed('public', /private/);
});

test('metrics tell what came of each look, and no token is in the log', async () => {
  const { text } = await get('/metrics');
  assert.match(text, /issuer_fetches_total\{issuer="partner",outcome="new"\} [1-9]/);
  assert.match(text, /issuer_fetches_total\{issuer="unsure",outcome="failed"\} [1-9]/);
  assert.match(text, /issuer_keys\{issuer="partner"\} 2/);
  const hits = async () => {
    const metrics = (await get('/metrics')).text;
    return Number(/token_cache_lookups_total\{[^}]*hit[^}]*\} (\d+)/.exec(metrics)[1]);
  };
  const token = await partner.sign({ n: 'remembered' });
  assert.equal((await get('/partner/x', token)).status, 200);
  const known = await hits();
  let found = 0; // each loop has a cache of its own
  for (let i = 0; i < 20; i++) found += (await get('/partner/x', token)).status === 200;
  assert.equal(found, 20);
  assert.ok((await hits()) > known, 'a verdict is remembered');
  assert.ok(!gate.output.includes('eyJ'));
});

/** One request at the operators' socket. */
const operate = (running, method, target) =>
  new Promise((resolve, reject) => {
    const socketPath = path.join(running.data, 'data', 'admin.sock');
    const req = http.request({ socketPath, method, path: target, agent: false }, (res) => {
      res.resume().on('end', () => resolve({ status: res.statusCode }));
    });
    req.on('error', reject).end();
  });

/** A gate whose settings are written anew while it runs. */
async function startReloading(settings) {
  const running = await Portcullis.start({
    env: { RATE_LIMIT_REQUESTS_PER_MINUTE: '1000000' },
    config: settings,
  });
  const where = path.join(running.data, 'portcullis.yaml');
  const reload = (text) => {
    fs.writeFileSync(where, text);
    return command(['reload', '--config', where], { data: running.data });
  };
  const ask = async (target, token) => {
    for (let i = 0; ; i++) {
      const reply = await running.get(target, { token });
      if (reply.status !== 503 || i === 1500) return reply.status;
      await sleep(20);
    }
  };
  return { running, reload, ask };
}

const line = ([where, names]) => `  - path: ${where}
    upstream: shop
    access: bearer
    circuit_breaker: {disabled: true}
    issuers: [${names}]
`;
const reloading = (issuers, routes) => `upstreams:
  - name: shop
    targets:
      - url: http://127.0.0.1:${upstream.port}
issuers:
${issuers.join('')}routes:
${routes.map(line).join('')}`;

test('a reload adds, changes and takes away issuers together with their routes', async () => {
  const second = await new Signer().add('second', 'EdDSA');
  const [mine, theirs] = [await startKeys(() => partner.jwks), await startKeys(() => second.jwks)];
  const at = ({ port }) => `jwks_url: http://127.0.0.1:${port}/keys`;
  const one = (more) => issuer('one', ISS, at(mine), more);
  const two = (more) => issuer('two', 'https://two.example', at(theirs), more);
  const alone = reloading([one()], [['/one', 'one']]);
  const both = reloading([one(), two()], [['/one', 'one'], ['/two', 'two'], ['/both', 'one, two']]);
  const { running, reload, ask } = await startReloading(alone);
  try {
    const told = async (text, lines) => {
      const done = await reload(text);
      assert.equal(done.code, 0, done.stderr);
      assert.deepEqual(done.stdout.trim().split('\n').slice(0, lines.length), lines);
      assert.ok(!done.stdout.includes('restart'), done.stdout);
    };
    const token = await partner.sign();
    const other2 = await second.sign({ iss: 'https://two.example' });
    assert.equal(await ask('/one', token), 200);
    assert.equal((await running.get('/two', { token: other2 })).status, 404);
    const asked = mine.asked;

    await told(both, ['+ issuer two', '+ route /two: upstream shop']);
    assert.equal(await ask('/two', other2), 200);
    for (const good of [token, other2]) assert.equal(await ask('/both', good), 200);
    assert.equal(await ask('/one', other2), 401);
    assert.equal(mine.asked, asked, 'what stays is not fetched again');

    // Cached verdicts are of the issuer as it was: a claim that is asked for now is missing.
    const askedTwo = theirs.asked;
    const tenant = `    required_claims:\n      - {claim: tenant, values: [green]}\n`;
    const strict = both.replace(two(), two(tenant));
    await told(strict, ['~ issuer two: required_claims; affects /two, /both']);
    const green = await second.sign({ iss: 'https://two.example', tenant: 'green' });
    for (const [token, status] of [[other2, 401], [green, 200]])
      assert.equal((await running.get('/two', { token })).status, status, 'its keys are there');
    assert.equal(theirs.asked, askedTwo);
    assert.equal(await ask('/both', token), 200);

    await told(alone, ['- issuer two', '- route /two: upstream shop']);
    assert.equal((await running.get('/two', { token: green })).status, 404);
    const { text } = await running.get('/metrics');
    assert.match(text, /issuer_keys\{issuer="one"\} 2/);
    assert.doesNotMatch(text, /issuer="two"/);
    assert.equal(await ask('/one', token), 200);
    assert.equal(mine.asked, asked);

    // A bad file, and one whose issuer cannot be set up, leave everything as it is.
    const broken = path.join(folder, 'broken.json');
    fs.writeFileSync(broken, '{"keys":[]}');
    const filed = issuer('three', 'https://three.example', `jwks_file: ${broken}`);
    const more = reloading([one(), filed], [['/one', 'one']]);
    for (const wrong of [both.replace('one, two', 'one, none'), more]) {
      const refused = await reload(wrong);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /"none" is not in issuers|the issuer three: .*no keys/);
      assert.equal((await running.get('/one', { token })).status, 200);
    }
    assert.equal(mine.asked, asked);
  } finally {
    assert.equal((await running.stop()).code, 0);
    await mine.stop();
    await theirs.stop();
  }
});

test('reloads cause no fetch and no refusal, and what is replaced ends', async () => {
  const [mine, theirs] = [await startKeys(() => partner.jwks), await startKeys(() => other.jwks)];
  const at = ({ port }) => `jwks_url: http://127.0.0.1:${port}/keys`;
  const text = (i) =>
    reloading(
      [
        issuer('one', ISS, at(mine)),
        issuer('two', 'https://two.example', at(theirs), `    leeway_seconds: ${i % 7}\n`),
      ],
      [['/one', 'one'], [`/r${i % 5}`, 'two']],
    );
  const { running, reload, ask } = await startReloading(text(0));
  try {
    const token = await partner.sign();
    assert.equal(await ask('/one', token), 200);
    const { asked } = mine;
    const statuses = {};
    let over = false;
    const load = async () => {
      for (let n = 0; !over; n++) {
        // Half of them have a verdict in a cache.
        const shown = n % 2 ? token : await partner.sign({ n });
        const { status } = await running.get('/one', { token: shown });
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
    };
    const threads = () => fs.readdirSync(`/proc/${running.pid}/task`).length;
    const memory = () =>
      Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${running.pid}/status`, 'utf8'))[1]);
    const many = async (count) => {
      for (let i = 1; i <= count; i++) {
        fs.writeFileSync(path.join(running.data, 'portcullis.yaml'), text(i));
        const { status } = await operate(running, 'POST', '/reload');
        assert.equal(status, 200);
      }
    };
    const busy = [load(), load()];
    await many(100);
    over = true;
    await Promise.all(busy);
    assert.deepEqual(Object.keys(statuses), ['200'], JSON.stringify(statuses));
    const [count, begin] = [threads(), memory()];
    await many(400);
    const grown = memory() - begin;
    console.log(`# ${statuses[200]} requests; ${begin} KiB before 400 reloads, ${grown} KiB more`);
    assert.ok(threads() <= count + 2, `${threads()} threads, ${count} before`);
    assert.ok(grown < 4096, `${grown} KiB more`);
    assert.equal(mine.asked, asked, 'an issuer that stays is not asked again');
  } finally {
    assert.equal((await running.stop()).code, 0);
    await mine.stop();
    await theirs.stop();
  }
});
