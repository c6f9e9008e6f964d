// SPDX-License-Identifier: MIT
// What the upstream is told of the client behind a PROXY protocol listener: the address of the
// header and no other, whatever the client says of itself.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before } from 'node:test';
import { Portcullis, test } from './harness.mjs';
import { startUpstream } from './proxy_kit.mjs';

let gate;
let upstream;

before(async () => {
  upstream = await startUpstream();
  gate = await Portcullis.start({
    only: 'auth,gateway', // whether it is ready is asked at a listener without a proxy in front
    config: `gateway:
  proxy_protocol: true
  proxy_protocol_from: [127.0.0.2/32]
trusted_proxies: [198.51.100.7/32]
upstreams:
  - {name: shop, targets: [{url: "http://127.0.0.1:${upstream.port}"}]}
routes:
  - {path: /shop, upstream: shop, access: open}
`,
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  await upstream?.stop();
});

/** Sends it on a connection of its own: { text, seen } of the answer and of the upstream. */
async function ask(header, lines = '', from = '127.0.0.2') {
  const before = upstream.asked.length;
  const socket = net.connect({ port: gate.port, host: '127.0.0.1', localAddress: from });
  let text = '';
  socket.on('error', () => {});
  socket.setEncoding('latin1').on('data', (more) => {
    text += more;
  });
  const closed = once(socket, 'close').catch(() => {});
  socket.write(`${header}GET /shop HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n`);
  await closed;
  return { text, seen: upstream.asked.slice(before) };
}

const forged = [
  'X-Forwarded-For: 203.0.113.1',
  'X-Forwarded-For: 203.0.113.2, 127.0.0.1',
  'Forwarded: for=203.0.113.3;proto=https;by=203.0.113.4',
  'X-Real-IP: 203.0.113.5',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: evil.test',
  'X-Client-IP: 203.0.113.6',
  'True-Client-IP: 203.0.113.7',
].map((line) => `${line}\r\n`);

// RFC 7239, 6: an IPv6 address stands in brackets and quotes.
const forwardedOf = (client) =>
  client.includes(':') ? /^for="\[2001:db8::7\]";/ : /^for=192\.0\.2\.1;/;

const addresses = [
  ['PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n', '192.0.2.1'],
  ['PROXY TCP6 2001:db8::7 ::1 1 443\r\n', '2001:db8::7'],
];

test('the upstream is told the address of the PROXY header', async () => {
  for (const [header, client] of addresses) {
    const { text, seen } = await ask(header);
    assert.match(text, /^HTTP\/1.1 200 /);
    assert.equal(seen.length, 1);
    assert.equal(seen[0].headers['x-forwarded-for'], client);
    assert.equal(seen[0].headers['x-forwarded-proto'], 'http');
    assert.match(seen[0].headers.forwarded, forwardedOf(client));
  }
});

test('a client behind it cannot say that it is somebody else', async () => {
  for (const [header, client] of addresses) {
    for (const lines of [...forged, forged.join('')]) {
      const { text, seen } = await ask(header, lines);
      assert.match(text, /^HTTP\/1.1 200 /);
      assert.equal(seen.length, 1);
      assert.equal(seen[0].headers['x-forwarded-for'], client, lines);
      assert.equal(seen[0].headers['x-forwarded-proto'], 'http', lines);
      assert.doesNotMatch(JSON.stringify(seen[0].raw), /203\.0\.113|evil\.test/, lines);
    }
  }
});

test('an HTTP proxy behind it is believed by the address of the PROXY header', async () => {
  const trusted = 'PROXY TCP4 198.51.100.7 10.0.0.1 1 443\r\n';
  const { seen } = await ask(trusted, 'X-Forwarded-For: 203.0.113.1, 192.0.2.44\r\n');
  assert.equal(seen.length, 1);
  assert.match(seen[0].headers['x-forwarded-for'], /(^|, )192\.0\.2\.44(, 198\.51\.100\.7)?$/);
});

test('nobody else may send the header, and nobody comes without one', async () => {
  for (const [header, from] of [
    [addresses[0][0], '127.0.0.3'],
    ['', '127.0.0.2'],
    ['', '127.0.0.3'],
  ]) {
    const { text, seen } = await ask(header, forged.join(''), from);
    assert.doesNotMatch(text, /^HTTP\/1.1 200 /);
    assert.equal(seen.length, 0);
  }
  // A second header within the connection is a request line that nobody understands.
  const { seen } = await ask(addresses[0][0] + addresses[1][0]);
  assert.equal(seen.length, 0);
});
