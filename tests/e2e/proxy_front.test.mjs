// SPDX-License-Identifier: MIT
// Answers of upstreams over TLS, in every way that they can end: over TLS there is no empty record,
// so an end that has no bytes of its own must not be sent.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import tls from 'node:tls';
import { Portcullis, temporaryFolder, test } from './harness.mjs';
import { startRaw } from './proxy_kit.mjs';

const folder = temporaryFolder();
const file = (name) => path.join(folder, name);

let say; // what the upstream answers, in these pieces
let upstream;
let gate;

before(async () => {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const to = ['-keyout', file('server.key'), '-out', file('server.crt')];
  execFileSync('openssl', ['req', '-x509', ...key, '-days', '2', ...name, ...to], {
    stdio: 'pipe',
  });
  upstream = await startRaw(async (socket) => {
    for (const piece of say) {
      socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  gate = await Portcullis.start({
    tls: { ca: fs.readFileSync(file('server.crt')), servername: 'localhost' },
    config: `gateway: {tls: {certificate: ${file('server.crt')}, key: ${file('server.key')}}}
upstreams:
  - name: raw
    targets: [{url: "http://127.0.0.1:${upstream.port}"}]
routes:
  - {path: /x, upstream: raw, access: open}
`,
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  await upstream?.stop();
});

/** The answer's text, from a connection of its own that is closed behind it. */
async function ask(version) {
  const socket = tls.connect({ port: gate.port, host: '127.0.0.1', rejectUnauthorized: false });
  let text = '';
  socket.setEncoding('latin1').on('data', (more) => (text += more));
  socket.write(`GET /x HTTP/${version}\r\nHost: a\r\nConnection: close\r\n\r\n`);
  await once(socket, 'end');
  socket.destroy();
  return text;
}

const body = 'portcullis '.repeat(1100); // more than half of what waits, less than all of it
const chunked = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`;
const chunk = `${body.length.toString(16)}\r\n${body}\r\n`;
const counted = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`;
const closed = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

for (const version of ['1.0', '1.1'])
  for (const [name, pieces, wanted] of [
    ['chunked, in one', [`${chunked}${chunk}0\r\n\r\n`], body],
    ['chunked, in pieces', [chunked, chunk, chunk, '0\r\n\r\n'], body + body],
    ['counted, in one', [counted + body], body],
    ['counted, in pieces', [counted, body.slice(0, 5000), body.slice(5000)], body],
    ['empty', [closed], ''],
  ])
    test(`HTTP/${version} over TLS: ${name}`, async () => {
      say = pieces;
      const text = await ask(version);
      assert.match(text, /^HTTP\/1.1 200 /);
      const at = text.indexOf('\r\n\r\n') + 4;
      const got = /\r\ntransfer-encoding: chunked/i.test(text.slice(0, at))
        ? text.slice(at).replace(/(^|\r\n)[0-9a-f]+\r\n/gi, '').replace(/\r\n/g, '')
        : text.slice(at);
      assert.equal(got.length, wanted.length);
      assert.equal(got, wanted);
    });
