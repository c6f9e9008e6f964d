// SPDX-License-Identifier: MIT
// The edge: TLS, limits, headers, what errors tell, and what is believed of servers behind.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { assertHeaders } from '../e2e/harness.mjs';
import { Authority } from '../e2e/tls_kit.mjs';

const gateTls = ({ file }, more = '') => `gateway:
  tls:
    certificate: ${file('server.crt')}
    key: ${file('server.key')}
${more}`;

const secured = (world) =>
  world.once('with TLS', async () => {
    const certificates = await world.certificates();
    const gate = await world.plain({ config: gateTls(certificates), tls: certificates.ca });
    return { port: gate.port, ca: certificates.ca.ca };
  });

const onlyTls = {
  name: 'tls-only',
  about: 'Where TLS is set up, a request in clear gets no answer of HTTP',
  how: 'gateway.tls is left out',
  red: /answered in clear/,
  on: secured,
  off: async (world) => ({ port: (await world.base()).gate.port }),
  async probe({ port }) {
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    await new Promise((resolve) => {
      socket.once('close', resolve);
    });
    assert.doesNotMatch(text, /HTTP\/1\.1 200|"status"/, 'answered in clear');
  },
};

/** What is agreed on with a client that speaks no more than this. */
function agreed({ port, ca }, options) {
  return new Promise((resolve) => {
    const servername = 'localhost';
    const socket = tls.connect({ host: '127.0.0.1', port, ca, servername, ...options }, () => {
      resolve(`${socket.getProtocol()} ${socket.getCipher().name}`);
      socket.destroy();
    });
    socket.on('error', () => resolve(undefined));
  });
}

const versions = {
  name: 'tls-versions',
  about: 'TLS 1.2 and 1.3 alone are spoken, with forward secrecy and authenticated encryption',
  how: 'a server of another kind that still speaks TLS 1.1 and old ciphers',
  red: /an old version or cipher was agreed on/,
  on: secured,
  off: (world) =>
    world.once('old TLS', async () => {
      const authority = new Authority();
      const pair = authority.issue('old', { names: 'DNS:localhost,IP:127.0.0.1' });
      const old = { minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' };
      const server = https.createServer({ ...pair, ...old }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      world.closing({ stop: () => server.close() });
      return { port: server.address().port, ca: authority.ca };
    }),
  async probe(subject) {
    const now = await agreed(subject, {});
    assert.match(now ?? '', /^TLSv1\.[23] /, 'nothing was agreed on');
    const lax = 'ALL:@SECLEVEL=0';
    for (const options of [
      { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: lax },
      { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: lax },
      { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA:AES256-SHA:@SECLEVEL=0' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:@SECLEVEL=0' },
    ]) {
      const got = await agreed(subject, options);
      assert.equal(got, undefined, `an old version or cipher was agreed on: ${got}`);
    }
  },
};

const rate = {
  name: 'rate-limit',
  about: 'One client gets no more requests a minute than the setting says',
  how: 'RATE_LIMIT_REQUESTS_PER_MINUTE=60000',
  red: /no limit was met/,
  on: (world) =>
    world.once('limited', async () => ({
      gate: await world.plain({ env: { RATE_LIMIT_REQUESTS_PER_MINUTE: '5' } }),
    })),
  off: async (world) => ({ gate: (await world.base()).gate }),
  async probe({ gate }) {
    for (let i = 0; i < 60; i++) {
      const reply = await gate.get('/api/v1/auth/me', { from: '127.0.55.1' });
      if (reply.status !== 429) continue;
      assert.match(reply.headers['retry-after'] ?? '', /^[1-9]\d*$/);
      return;
    }
    assert.fail('no limit was met');
  },
};

const headers = {
  name: 'security-headers',
  about: 'Every answer carries the security headers, refusals and unknown paths too',
  how: 'a stand-in that takes them away',
  red: /x-frame-options|x-content-type-options|strict-transport|DENY|nosniff/i,
  on: async (world) => ({ port: (await world.base()).gate.port }),
  off: async (world) => ({
    port: await world.standIn((await world.base()).gate.port, {
      after: ({ headers: all }) => {
        delete all['x-content-type-options'];
        delete all['x-frame-options'];
      },
    }),
  }),
  async probe({ port }, world) {
    const { gate } = await world.base();
    for (const target of ['/api/v1/health', '/api/v1/auth/me', '/nothing', '/api/v1/%00'])
      assertHeaders(await gate.get(target, { port, agent: false }));
  },
};

const origins = {
  name: 'cors-listed',
  about: 'Scripts of other origins may read answers only when the origin is listed',
  how: 'the origin is listed',
  red: /an origin that is not listed may read/,
  on: (world) => allowed(world, 'https://app.example.com'),
  off: (world) => allowed(world, 'https://app.example.com,https://evil.example'),
  async probe({ gate }) {
    const ask = (Origin) => gate.get('/api/v1/health', { headers: { Origin } });
    const good = await ask('https://app.example.com');
    assert.equal(good.headers['access-control-allow-origin'], 'https://app.example.com');
    const evil = await ask('https://evil.example');
    const told = 'an origin that is not listed may read';
    assert.equal(evil.headers['access-control-allow-origin'], undefined, told);
  },
};
const allowed = (world, list) =>
  world.once(`origins ${list}`, async () => ({
    gate: await world.plain({ env: { ALLOWED_ORIGINS: list } }),
  }));

const errors = {
  name: 'errors-tell-nothing',
  about: 'Errors repeat nothing of what was sent and tell nothing of the inside',
  how: 'a stand-in that repeats the body, as many servers do',
  red: /repeats what was sent/,
  on: async (world) => ({ port: (await world.base()).gate.port }),
  off: async (world) => ({
    port: await world.standIn((await world.base()).gate.port, {
      after: (answer, request) => {
        if (answer.status >= 400) answer.body = Buffer.concat([answer.body, request.body]);
        answer.headers['content-type'] = 'text/plain';
      },
    }),
  }),
  async probe({ port }, world) {
    const { gate } = await world.base();
    const canary = 'canary-in-the-request-4711';
    for (const json of [
      { email: canary, password: 7 },
      { email: 'a@example.com', password: canary },
      { username: canary, email: canary, password: canary },
    ])
      for (const place of ['login', 'register']) {
        const reply = await gate.post(`/api/v1/auth/${place}`, json, { port, agent: false });
        assert.ok(reply.status >= 400 && reply.status < 500, reply.text);
        assert.ok(!reply.text.includes(canary), `an error repeats what was sent: ${place}`);
        assert.doesNotMatch(reply.text, /SELECT |\.c:\d|\/src\/|0x[0-9a-f]{8}/);
      }
  },
};

// ---- servers behind -----------------------------------------------------------------------------

function upstream(world, name, target, more, route = '') {
  return world.once(name, async () => {
    const config = `upstreams:
  - name: back
    targets: [{url: "${target}"}]
${more}routes:
  - {path: /back, upstream: back, access: open${route}}
`;
    return { gate: await world.plain({ config }) };
  });
}

const partner = (world) =>
  world.once('partner', async () => {
    const right = new Authority('Right');
    const wrong = new Authority('Wrong');
    const pair = right.issue('partner', { names: 'IP:127.0.0.1' });
    const server = https.createServer(pair, (req, res) => res.end('here')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    world.closing({ stop: () => server.close() });
    return { right, wrong, url: `https://127.0.0.1:${server.address().port}` };
  });

const verified = {
  name: 'upstream-verified',
  about: 'A server behind is asked only when its certificate is by an authority that was named',
  how: 'the authority of that server is named',
  red: /a server that nobody vouches for was asked/,
  async on(world) {
    const { wrong, url } = await partner(world);
    const more = `    tls: {ca_file: ${wrong.file('ca.crt')}}\n`;
    return upstream(world, 'other authority', url, more);
  },
  async off(world) {
    const { right, url } = await partner(world);
    const more = `    tls: {ca_file: ${right.file('ca.crt')}}\n`;
    return upstream(world, 'its authority', url, more);
  },
  async probe({ gate }) {
    const { status } = await gate.get('/back');
    assert.equal(status, 502, `a server that nobody vouches for was asked: ${status}`);
  },
};

const slow = (world) =>
  world.once('slow server', async () => {
    const late = (req, res) => setTimeout(() => res.end('late'), 3000);
    const server = http.createServer(late).listen(0, '127.0.0.1');
    await once(server, 'listening');
    world.closing({ stop: () => server.close() });
    return { url: `http://127.0.0.1:${server.address().port}` };
  });

const patience = {
  name: 'upstream-time-limit',
  about: 'A server behind that does not answer in time is not waited for',
  how: 'response_timeout_ms: 60000',
  red: /a slow server was waited for/,
  async on(world) {
    const { url } = await slow(world);
    return upstream(world, 'impatient', url, '    response_timeout_ms: 200\n');
  },
  async off(world) {
    const { url } = await slow(world);
    return upstream(world, 'patient', url, '    response_timeout_ms: 60000\n');
  },
  async probe({ gate }) {
    const { status } = await gate.get('/back');
    assert.equal(status, 504, `a slow server was waited for: ${status}`);
  },
};

const quick = (world) =>
  world.once('quick server', async () => {
    const server = http.createServer((req, res) => {
      req.resume();
      req.on('end', () => res.end('taken'));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    world.closing({ stop: () => server.close() });
    return `http://127.0.0.1:${server.address().port}`;
  });

const size = {
  name: 'body-limit',
  about: 'A body longer than the setting says is refused, and reaches nobody',
  how: 'body_bytes_max of the route is left out',
  red: /a long body was taken/,
  on: async (world) => upstream(world, 'short', await quick(world), '', ', body_bytes_max: 1024'),
  off: async (world) => upstream(world, 'long', await quick(world), ''),
  async probe({ gate }) {
    const short = await gate.request('POST', '/back', { body: 'x'.repeat(1000) });
    assert.equal(short.status, 200, short.text);
    const long = { body: 'x'.repeat(3000), agent: false };
    const { status } = await gate.request('POST', '/back', long);
    assert.equal(status, 413, `a long body was taken: ${status}`);
  },
};

const seen = {
  name: 'refusals-counted',
  about: 'Refused requests are counted where alerts look, by status',
  how: 'metrics.allow names another network',
  red: /nothing is counted/,
  on: async (world) => ({ gate: (await world.base()).gate }),
  off: (world) =>
    world.once('no metrics', async () => ({
      gate: await world.plain({ config: 'metrics:\n  allow: [192.0.2.0/24]\n' }),
    })),
  async probe({ gate }) {
    const count = async () => {
      const { text } = await gate.get('/metrics');
      const lines = text.match(/^http_requests_total\{[^}]*status="401"[^}]*\} \d+/gm) ?? [];
      return lines.reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
    };
    const before = await count();
    await gate.get('/api/v1/auth/me');
    let after = before;
    for (let i = 0; i < 100 && after === before; i++) {
      after = await count();
      if (i > 10 && before === 0 && after === 0) break;
    }
    assert.ok(after > before, 'nothing is counted');
  },
};

export const checks = [
  onlyTls,
  versions,
  rate,
  size,
  headers,
  origins,
  errors,
  verified,
  patience,
  seen,
];
