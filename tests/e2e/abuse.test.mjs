// SPDX-License-Identifier: MIT
// Five hundred connections that mean harm, of ten kinds, while a good client goes about its work
// and sees no error.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { after, before } from 'node:test';
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { Portcullis, sleep, test } from './harness.mjs';

const abusers = 500;
const seconds = 10;
let gate;
before(async () => {
  gate = await Portcullis.start({ env: { RATE_LIMIT_REQUESTS_PER_MINUTE: '600' } });
});
after(() => gate?.stop());

const head = 'Host: a\r\nUser-Agent: abuse\r\n';
const part = (bytes) => randomBytes(bytes).toString('base64url');
const token = () => `${part(20)}.${part(90)}.${part(32)}`;
const post = (target, length, body) =>
  `POST /api/v1/auth/${target} HTTP/1.1\r\n${head}Content-Type: application/json\r\n` +
  `Content-Length: ${length}\r\n\r\n${body}`;

/** Each kind writes to its socket until the time is up; a closed socket is opened again. */
const kinds = {
  async slowloris(socket, going) {
    socket.write(`GET /health HTTP/1.1\r\n${head}`);
    while (going() && socket.writable) {
      socket.write(`X-${randomBytes(2).toString('hex')}: a\r\n`);
      await sleep(400);
    }
  },
  async slowBody(socket, going) {
    socket.write(post('login', 100000, ''));
    while (going() && socket.writable) {
      socket.write(' ');
      await sleep(300);
    }
  },
  async garbage(socket) {
    socket.write(randomBytes(600));
  },
  async tlsHello(socket) {
    socket.write(Buffer.from('16030100ca010000c60303', 'hex'));
    await sleep(200);
  },
  async halfRequest(socket) {
    socket.write(post('register', 60, '{"user'));
    await sleep(100);
    socket.destroy();
  },
  async badTokens(socket, going) {
    for (let i = 0; going() && socket.writable && i < 50; i++) {
      socket.write(
        `GET /api/v1/users/profile HTTP/1.1\r\n${head}Authorization: Bearer ${token()}\r\n\r\n`,
      );
      await sleep(20);
    }
  },
  async logins(socket, going) {
    for (let i = 0; going() && socket.writable && i < 20; i++) {
      const body = JSON.stringify({ email: `n${i}@example.com`, password: `guess ${i}` });
      socket.write(post('login', body.length, body));
      await sleep(100);
    }
  },
  async smuggler(socket) {
    socket.write(
      `POST / HTTP/1.1\r\n${head}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG`,
    );
    await sleep(50);
  },
  async deaf(socket, going) {
    socket.pause();
    for (let i = 0; going() && socket.writable && i < 200; i++) {
      socket.write(`GET /api/openapi.json HTTP/1.1\r\n${head}\r\n`);
      await sleep(20);
    }
    await sleep(500);
  },
  async hugeHeader(socket, going) {
    socket.write(`GET / HTTP/1.1\r\n${head}`);
    for (let i = 0; going() && socket.writable && i < 40; i++) {
      socket.write(`X-Big-${i}: ${'x'.repeat(1000)}\r\n`);
      await sleep(5);
    }
  },
};

async function abuse(index, going) {
  const run = Object.values(kinds)[index % Object.keys(kinds).length];
  while (going()) {
    const socket = net.connect({
      port: gate.port,
      host: '127.0.0.1',
      localAddress: `127.0.${10 + (index % 20)}.1`,
    });
    socket.on('error', () => {});
    const closed = new Promise((resolve) => {
      socket.once('close', resolve);
    });
    const connected = await Promise.race([
      once(socket, 'connect').then(
        () => true,
        () => false,
      ),
      closed.then(() => false),
    ]);
    if (connected) {
      if (run !== kinds.deaf) socket.resume();
      await Promise.race([run(socket, going), closed]);
    }
    socket.destroy();
    await sleep(50);
  }
}

const memory = () =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${gate.pid}/status`, 'utf8'))?.[1]);
const descriptors = () => fs.readdirSync(`/proc/${gate.pid}/fd`).length;

test('a good client sees no error while five hundred do harm', async () => {
  const { tokens } = await gate.register();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const filesBefore = descriptors();
  const end = Date.now() + seconds * 1000;
  const going = () => Date.now() < end;
  const crowd = Array.from({ length: abusers }, (_, i) => abuse(i, going));

  const times = [];
  let peak = 0;
  while (going()) {
    const started = process.hrtime.bigint();
    const health = await gate.get('/health', { agent });
    assert.equal(health.status, 200);
    const profile = await gate.get('/api/v1/users/profile', { agent, token: tokens.access_token });
    assert.equal(profile.status, 200, profile.text);
    const fresh = await gate.get('/livez', { agent: false });
    assert.equal(fresh.status, 200);
    times.push(Number(process.hrtime.bigint() - started) / 1e6);
    peak = Math.max(peak, memory());
    await sleep(120); // 600 requests a minute are the client's own limit
  }
  agent.destroy();
  await Promise.all(crowd);

  times.sort((a, b) => a - b);
  const [median, worst] = [times[Math.floor(times.length / 2)], times.at(-1)];
  console.log(
    `# ${times.length} rounds of three requests: median ${median.toFixed(1)} ms, ` +
      `worst ${worst.toFixed(0)} ms, memory at most ${peak} kB`,
  );
  assert.ok(times.length > 8, 'the good client was starved');
  // All of this runs on the same machine; the bound is for a stall, not for speed.
  assert.ok(worst < 5000, `${worst} ms`);
  if (!process.env.ASAN_OPTIONS && !process.env.TSAN_OPTIONS)
    assert.ok(peak < 300_000, `${peak} kB`);

  // Nothing is left behind.
  const deadline = Date.now() + 15_000;
  while (descriptors() > filesBefore + 8 && Date.now() < deadline) await sleep(100);
  assert.ok(
    descriptors() <= filesBefore + 8,
    `${descriptors()} descriptors, ${filesBefore} before`,
  );
  const login = await gate.post('/api/v1/auth/login', {
    email: 'user@example.com',
    password: 'user123',
  });
  assert.equal(login.status, 200);
});
