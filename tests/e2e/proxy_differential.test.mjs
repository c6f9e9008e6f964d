// SPDX-License-Identifier: MIT
// The same odd bytes through the gateway, straight to nginx and straight to Node. The upstream
// behind the gateway keeps exactly what it is sent: either the gateway refuses, or what it forwards
// is one request that nginx and Node read in the same way. What each of the three does with each of
// them is written down in proxy_differential.json, so that a change shows; with
// PORTCULLIS_DIFFERENTIAL=write it is written anew.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { after, before } from 'node:test';
import { freePort, Portcullis, sleep, temporaryFolder, test } from './harness.mjs';
import { cases } from './proxy_differential_cases.mjs';

const tableFile = new URL('./proxy_differential.json', import.meta.url);
const silence = 1000; // so long nothing more is said: an answer from loopback is not on its way
const patience = 15_000; // unless it is known that there must be more
const folder = temporaryFolder();
const paths = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/sbin/nginx'];
const nginxProgram = paths.find((name) => fs.existsSync(name));

let recorder; // the upstream behind the gateway
let echo; // Node: says how it read the request
let behind; // the same behind nginx: what it forwards says how it read it
let nginx;
let nginxPort;
let gate;
const recorded = new Map(); // by the client's address: what was forwarded for it, in order
const table = {};
let written;

const address = (i) => `127.0.2.${i + 1}`;

// ---- what is asked ----

/** What the gateway says of every request. */
const ours = new Set([
  'host',
  'x-request-id',
  'traceparent',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'forwarded',
  'via',
]);

/** A request from its exact bytes, as strictly as can be: nothing here is generous. */
function parse(bytes) {
  const text = bytes.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  assert.ok(end > 0, `no head: ${JSON.stringify(text)}`);
  const [line, ...lines] = text.slice(0, end).split('\r\n');
  const parts = /^([A-Z]+) (\/[!-~]*) HTTP\/1\.1$/.exec(line);
  assert.ok(parts, `not a request line: ${JSON.stringify(line)}`);
  const headers = lines.map((one) => {
    const header = /^([!#$%&'*+.^`|~0-9A-Za-z-]+): ([\t -~\x80-\xff]*)$/.exec(one);
    assert.ok(header, `not a header: ${JSON.stringify(one)}`);
    return [header[1].toLowerCase(), header[2]];
  });
  const all = (name) => headers.filter(([key]) => key === name).map(([, value]) => value);
  const passed = headers.map(([name]) => name).filter((name) => !ours.has(name));
  const lengths = all('content-length');
  const codings = all('transfer-encoding');
  assert.ok(lengths.length + codings.length <= 1, 'its length is told twice');
  assert.equal(all('host').length, 1);
  let body = '';
  let rest = text.slice(end + 4);
  if (lengths.length === 1) {
    assert.match(lengths[0], /^(0|[1-9][0-9]*)$/);
    body = rest.slice(0, Number(lengths[0]));
    rest = rest.slice(Number(lengths[0]));
  } else if (codings.length === 1) {
    assert.equal(codings[0], 'chunked');
    for (let size = -1; size !== 0; ) {
      const chunk = /^([0-9a-f]+)\r\n/.exec(rest);
      assert.ok(chunk, `not a chunk: ${JSON.stringify(rest)}`);
      size = Number.parseInt(chunk[1], 16);
      rest = rest.slice(chunk[0].length);
      body += rest.slice(0, size);
      if (size > 0) assert.equal(rest.slice(size, size + 2), '\r\n');
      rest = size > 0 ? rest.slice(size + 2) : rest;
    }
    const trailers = /^(?:[!#$%&'*+.^`|~0-9A-Za-z-]+: [\t -~]*\r\n)*\r\n/.exec(rest);
    assert.ok(trailers, `not trailers: ${JSON.stringify(rest)}`);
    for (const one of trailers[0].split('\r\n').filter(Boolean))
      passed.push(`trailer ${one.split(':')[0]}`);
    rest = rest.slice(trailers[0].length);
  }
  assert.equal(rest, '', 'bytes behind the request');
  return { method: parts[1], url: parts[2], host: all('host')[0], body, headers, passed };
}

/** Whether a request is complete, as the gateway frames them. */
function isComplete(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const head = text.slice(0, end).toLowerCase();
  const length = /\r\ncontent-length: (\d+)/.exec(head);
  if (length) return text.length >= end + 4 + Number(length[1]);
  if (!head.includes('\r\ntransfer-encoding:')) return true;
  return /(^|\r\n)0\r\n(.+\r\n)*\r\n$/.test(text.slice(end + 4));
}

async function startRecorder() {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    let text = '';
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      if (!isComplete(text)) return;
      const from = /\r\nX-Forwarded-For: ([0-9.]+)\r\n/.exec(text)?.[1] ?? 'nobody';
      recorded.set(from, [...(recorded.get(from) ?? []), Buffer.from(text, 'latin1')]);
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Says in its answer how it read the request. */
async function startEcho() {
  const server = http.createServer({ maxHeaderSize: 65_536 }, async (req, res) => {
    const chunks = [];
    try {
      for await (const chunk of req) chunks.push(chunk);
    } catch {
      return;
    }
    res.setHeader('X-Read', encodeURIComponent(
      JSON.stringify({
        method: req.method,
        url: req.headers['x-nginx-target'] ?? req.url,
        host: req.headers['x-nginx-host'] ?? req.headers.host ?? '',
        path: req.headers['x-nginx-path'],
        body: Buffer.concat(chunks).toString('latin1'),
      }),
    ));
    res.end('read');
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    stop() {
      server.close();
      server.closeAllConnections?.();
    },
  };
}

async function startNginx() {
  nginxPort = await freePort();
  const file = path.join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ');
  fs.writeFileSync(
    file,
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off; ${temporary}
  large_client_header_buffers 8 64k;
  server {
    listen 127.0.0.1:${nginxPort};
    location / {
      proxy_pass http://127.0.0.1:${behind.port};
      proxy_http_version 1.1;
      proxy_ignore_client_abort on;
      proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;
      proxy_set_header X-Nginx-Target $request_uri;
      proxy_set_header X-Nginx-Path $uri;
      proxy_set_header X-Nginx-Host $http_host;
    }
  }
}
`,
  );
  const child = spawn(nginxProgram, ['-p', folder, '-c', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (bytes) => {
    said += bytes;
  });
  const ended = once(child, 'close');
  for (let i = 0; ; i++) {
    const up = await new Promise((resolve) => {
      const socket = net.connect(nginxPort, '127.0.0.1', () => resolve(true));
      socket.on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (up) break;
    assert.ok(i < 500 && child.exitCode === null, `nginx did not start: ${said}`);
    await sleep(10);
  }
  return {
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

// ---- what comes back ----

/** Sends the bytes and hears what comes, until the end or silence: { text, closed }. A silence
 *  before it is enough is a machine that has much to do. */
async function send(port, bytes, from, isEnough = () => true) {
  const until = Date.now() + patience;
  const socket = net.connect({ port, host: '127.0.0.1', localAddress: from });
  let text = '';
  let timer;
  let closed = false;
  await new Promise((resolve) => {
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (isEnough({ text, closed }) || Date.now() > until) resolve();
        else wait();
      }, silence);
    };
    socket.on('connect', () => {
      socket.write(bytes);
      wait();
    });
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
      wait();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      closed = true;
      resolve();
    });
  });
  clearTimeout(timer);
  socket.destroy();
  return { text, closed };
}

/** The answers in it: [{ status, read }]. HEAD's have no body, ours always a length or chunks. */
function answers(text, isHead) {
  const found = [];
  for (let rest = text; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n');
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(rest)?.[1];
    if (end < 0 || !status) {
      found.push({ status: 'garbled' });
      break;
    }
    const head = rest.slice(0, end + 2);
    const read = /\r\nX-Read: ([^\r]*)/i.exec(head);
    found.push({ status, read: read && JSON.parse(decodeURIComponent(read[1])) });
    rest = rest.slice(end + 4);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (status === '100' || status === '304' || isHead) continue;
    if (/\r\ntransfer-encoding: chunked/i.test(head))
      rest = rest.slice(rest.indexOf('0\r\n\r\n') + 5);
    else if (/\r\ncontent-length:/i.test(head)) rest = rest.slice(length);
    else rest = '';
  }
  return found;
}

const short = (text) => (text.length > 60 ? `${text.slice(0, 30)}… (${text.length})` : text);
const told = ({ method, url, host, body }) => {
  const what = `${method} ${short(url)} of ${JSON.stringify(host)}`;
  return body ? `${what}: ${JSON.stringify(short(body))}` : what;
};

/** One line of the table: "200 GET /a of "x.example", 400, closed". */
function summary({ text, closed }, isHead) {
  const parts = answers(text, isHead).map((one) =>
    one.read ? `${one.status} ${told(one.read)}` : one.status,
  );
  return [...parts, closed ? 'closed' : 'open'].join(', ');
}

/** Whether all has come that the table knows of. */
function asBefore(name, who, isHead) {
  const then = written.cases?.[name]?.[who];
  return (heard) => then === undefined || summary(heard, isHead) === then;
}

before(async () => {
  assert.ok(nginxProgram, 'nginx is missing: run scripts/deps test');
  written = fs.existsSync(tableFile) ? JSON.parse(fs.readFileSync(tableFile)) : {};
  recorder = await startRecorder();
  echo = await startEcho();
  behind = await startEcho();
  nginx = await startNginx();
  gate = await Portcullis.start({
    env: { RATE_LIMIT_REQUESTS_PER_MINUTE: '600000' },
    config: `http: {target_bytes_max: 8192}
upstreams:
  - {name: recorder, targets: [{url: "http://127.0.0.1:${recorder.port}"}], retries: 0}
routes:
  - path: /*
    upstream: recorder
    access: open
    preserve_host: true
    methods: [GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS]
    trailers: true
    circuit_breaker: {disabled: true}
`,
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  await nginx?.stop();
  for (const one of [recorder, echo, behind]) one?.stop();
});

test('there are enough of them, each with a name of its own', () => {
  assert.ok(cases.length >= 60);
  assert.equal(new Set(cases.map(([name]) => name)).size, cases.length);
});

test('what is forwarded is one request that nginx and Node read alike', async () => {
  const wrong = [];
  await Promise.all(
    cases.map(async ([name, text], i) => {
      const bytes = Buffer.from(text, 'latin1');
      const isHead = text.startsWith('HEAD');
      const [we, byNginx, byNode] = await Promise.all([
        send(gate.port, bytes, address(i), asBefore(name, 'gateway', isHead)),
        send(nginxPort, bytes, undefined, asBefore(name, 'nginx', isHead)),
        send(echo.port, bytes, undefined, asBefore(name, 'node', isHead)),
      ]);
      const forwarded = recorded.get(address(i)) ?? [];
      const line = { gateway: summary(we, isHead), forwarded: [] };
      for (const one of forwarded) {
        const request = parse(one);
        line.forwarded.push([told(request), ...request.passed].join(' + '));
      }
      line.nginx = summary(byNginx, isHead);
      line.node = summary(byNode, isHead);
      table[name] = line;
      try {
        await check(we, forwarded, isHead);
      } catch (error) {
        wrong.push(`${name}: ${error.message}\n${JSON.stringify(line, null, 2)}`);
      }
    }),
  );
  assert.deepEqual(wrong, []);
});

/** As many good answers as requests went on, and each of those read alike by both. */
async function check(we, forwarded, isHead) {
  const statuses = answers(we.text, isHead).map((one) => one.status);
  const good = statuses.filter((status) => status === '200');
  assert.equal(good.length, forwarded.length, `${statuses} but ${forwarded.length} forwarded`);
  for (const status of statuses) assert.match(status, /^(200|204|100|4\d\d|501|505)$/);
  assert.ok(statuses.length > 0 || we.closed, 'no answer, and no end');
  for (const bytes of forwarded) {
    const own = parse(bytes);
    const decoded = unescape(own.url.split('?')[0]); // byte by byte
    assert.ok(!/\/\/|\/\.{1,2}(\/|$)|[\\#]/.test(decoded), `an odd path: ${decoded}`);
    for (const [name] of own.headers) {
      assert.ok(!['upgrade', 'keep-alive', 'proxy-connection', 'http2-settings'].includes(name));
      assert.ok(!name.includes('_'), name);
    }
    assert.equal(own.headers.filter(([name]) => name === 'x-forwarded-for').length, 1);
    const readings = [];
    for (const port of [nginxPort, echo.port]) {
      const { text } = await send(port, bytes, undefined, (heard) => heard.text !== '');
      const found = answers(text, own.method === 'HEAD').filter((one) => one.status !== '100');
      assert.equal(found.length, 1, `read as ${found.length} requests by ${port}: ${text}`);
      assert.equal(found[0].status, '200', text);
      readings.push(found[0].read);
    }
    const [byNginx, byNode] = readings;
    for (const member of ['method', 'url', 'host', 'body']) {
      assert.equal(byNginx[member], own[member], `nginx: ${member}`);
      assert.equal(byNode[member], own[member], `node: ${member}`);
    }
    assert.equal(byNginx.path, decoded, 'the path as nginx would look it up');
  }
}

test('what each does is as it was written down', () => {
  const now = {
    versions: { node: process.versions.node.split('.')[0], nginx: nginxVersion() },
    cases: Object.fromEntries(cases.map(([name]) => [name, table[name]])),
  };
  if (process.env.PORTCULLIS_DIFFERENTIAL === 'write') {
    fs.writeFileSync(tableFile, `${JSON.stringify(now, null, 2)}\n`);
    return;
  }
  for (const [name] of cases) {
    const then = written.cases[name];
    assert.ok(then, `${name} is not in the table`);
    assert.equal(table[name].gateway, then.gateway, name);
    assert.deepEqual(table[name].forwarded, then.forwarded, name);
    // Others change from version to version, which is theirs to do.
    if (written.versions.nginx === now.versions.nginx)
      assert.equal(table[name].nginx, then.nginx, `nginx: ${name}`);
    if (written.versions.node === now.versions.node)
      assert.equal(table[name].node, then.node, `node: ${name}`);
  }
  assert.deepEqual(Object.keys(written.cases), cases.map(([name]) => name));
});

/** "1.22": nginx writes its version to its standard error. */
function nginxVersion() {
  return /nginx\/(\d+\.\d+)/.exec(spawnSync(nginxProgram, ['-v']).stderr)[1];
}
