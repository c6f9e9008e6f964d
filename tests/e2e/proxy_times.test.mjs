// SPDX-License-Identifier: MIT
// Time limits of a route in place of its upstream's: shorter, longer, and none for the whole.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { Portcullis, assertHeaders, sleep, test } from './harness.mjs';
import { startUpstream } from './proxy_kit.mjs';

let upstream;
let gate;

const drips = async (res, times) => {
  res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  for (let i = 0; i < times; i++) {
    res.write('data: x\n\n');
    await sleep(100);
  }
  res.end();
};
const answers = {
  '/late': async (res) => {
    await sleep(600);
    res.end('late');
  },
  '/drips': (res) => drips(res, 15),
  '/halts': (res) => {
    res.writeHead(200, { 'Content-Length': 10 });
    res.write('half');
  },
};

const route = (name, timeouts) => `  - path: /${name}/*
    upstream: shop
    access: open
    strip_prefix: /${name}
    circuit_breaker: {disabled: true}
${timeouts ? `    timeouts: {${timeouts}}\n` : ''}`;

before(async () => {
  upstream = await startUpstream((req, res) => {
    answers[req.url]?.(res);
    return req.url in answers;
  });
  gate = await Portcullis.start({
    config: `upstreams:
  - name: shop
    targets: [{url: "http://127.0.0.1:${upstream.port}"}]
    response_timeout_ms: 300
    total_timeout_ms: 800
    retries: 0
    eject: {failures: 1000}
routes:
${route('usual')}${route('patient', 'response_ms: 5000, total_ms: 5000')}
${route('hasty', 'response_ms: 50')}${route('short', 'idle_ms: 200')}
${route('events', 'endless: true')}${route('brief', 'total_ms: 250')}
`,
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  await upstream?.stop();
});

const timeout = (reply) => {
  assert.equal(reply.status, 504, reply.text);
  assert.equal(reply.json.type, 'urn:portcullis:problem:upstream-timeout');
  assertHeaders(reply);
};

test('the first byte has the time that the route gives, or else the upstream', async () => {
  timeout(await gate.get('/usual/late'));
  timeout(await gate.get('/hasty/late'));
  const reply = await gate.get('/patient/late');
  assert.equal(reply.status, 200, reply.text);
  assert.equal(reply.text, 'late');
});

test('the whole may take as long as the route says, or as it goes on', async () => {
  await assert.rejects(gate.get('/usual/drips'), 'cut after 0.8 s of its 1.5');
  await assert.rejects(gate.get('/brief/drips'));
  const reply = await gate.get('/events/drips');
  assert.equal(reply.status, 200);
  assert.equal(reply.text, 'data: x\n\n'.repeat(15));
});

test('an answer that halts is cut when the route has waited enough', async () => {
  const begun = performance.now();
  await assert.rejects(gate.get('/short/halts'));
  const short = performance.now() - begun;
  await assert.rejects(gate.get('/usual/halts')); // by its total
  assert.ok(short < performance.now() - begun - short, `${short}`);
});
