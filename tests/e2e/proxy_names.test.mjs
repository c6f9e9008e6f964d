// SPDX-License-Identifier: MIT
// Targets by name: one that is known, with as many addresses as it has, and one that nobody knows.
import assert from 'node:assert/strict';
import dns from 'node:dns/promises';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before } from 'node:test';
import { Portcullis, assertHeaders, test } from './harness.mjs';
import { startUpstream } from './proxy_kit.mjs';

let upstream;
let gate;

before(async () => {
  upstream = await startUpstream();
  gate = await Portcullis.start({
    config: `upstreams:
  - name: known
    targets: [{url: "http://localhost:${upstream.port}"}]
    resolve_seconds: 1
  - name: unknown
    targets: [{url: "http://nobody.invalid:${upstream.port}"}]
    resolve_seconds: 1
  - name: either
    targets:
      - url: http://nobody.invalid:${upstream.port}
      - url: http://127.0.0.1:${upstream.port}
routes:
  - {path: /known, upstream: known, access: open}
  - {path: /unknown, upstream: unknown, access: open}
  - {path: /either, upstream: either, access: open}
`,
  });
});
after(async () => {
  assert.equal((await gate?.stop())?.code, 0);
  await upstream?.stop();
});

const metric = async (name, labels) => {
  const { text } = await gate.get('/metrics');
  const line = text.split('\n').find((one) => one.startsWith(`${name}{${labels}}`));
  return Number(line?.split(' ').at(-1));
};

test('a name is asked at its addresses, and looked up again', async () => {
  const labels = `upstream="known",target="http://localhost:${upstream.port}"`;
  for (let i = 0; i < 10; i++) {
    const reply = await gate.get('/known');
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.json.headers.host, `localhost:${upstream.port}`);
  }
  const addresses = new Set((await dns.lookup('localhost', { all: true })).map((a) => a.address));
  assert.equal(await metric('upstream_target_addresses', labels), addresses.size);
  while ((await metric('upstream_lookups_total', `${labels},outcome="well"`)) < 2)
    assert.equal((await gate.get('/known')).status, 200);
});

test('a name that nobody knows stops no start; its target is down', async () => {
  const labels = `upstream="unknown",target="http://nobody.invalid:${upstream.port}"`;
  const reply = await gate.get('/unknown');
  assert.equal(reply.status, 503, reply.text);
  assert.equal(reply.json.type, 'urn:portcullis:problem:upstream-none');
  assertHeaders(reply);
  assert.equal(await metric('upstream_target_well', labels), 0);
  assert.ok((await metric('upstream_lookups_total', `${labels},outcome="failed"`)) > 0);
  await gate.line((line) => line.event === 'upstream_name_unresolved');
  for (let i = 0; i < 10; i++) assert.equal((await gate.get('/either')).status, 200);
});

/** One request at the operators' socket: { status, json }. */
const operate = (method, target) =>
  new Promise((resolve, reject) => {
    const socketPath = path.join(gate.data, 'data', 'admin.sock');
    const req = http.request({ socketPath, method, path: target, agent: false }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (piece) => (text += piece));
      res.on('end', () => resolve({ status: res.statusCode, json: JSON.parse(text) }));
    });
    req.on('error', reject);
    req.end();
  });

test('operators drain a name as a whole, and a reload keeps it so', async () => {
  const targetsOf = async (name) => {
    const { json } = await operate('GET', '/upstreams');
    return json.upstreams.find((one) => one.name === name).targets;
  };
  const addresses = new Set((await dns.lookup('localhost', { all: true })).map((a) => a.address));
  assert.equal((await targetsOf('known')).length, addresses.size);
  assert.deepEqual(
    (await targetsOf('unknown')).map(({ state }) => state),
    ['absent'],
  );
  const target = `/upstreams/known/targets/localhost:${upstream.port}`;
  assert.equal((await operate('POST', `${target}/drain`)).status, 200);
  const settings = path.join(gate.data, 'portcullis.yaml');
  const text = fs.readFileSync(settings, 'utf8');
  for (const seconds of [1, 2]) {
    fs.writeFileSync(settings, text.replace('resolve_seconds: 1', `resolve_seconds: ${seconds}`));
    assert.equal((await operate('POST', '/reload')).status, 200);
    for (const { state } of await targetsOf('known')) assert.equal(state, 'drained');
    for (let i = 0; i < 10; i++) assert.equal((await gate.get('/known')).status, 503);
  }
  assert.equal((await operate('POST', `${target}/undrain`)).status, 200);
  for (let i = 0; i < 10; i++) assert.equal((await gate.get('/known')).status, 200);
});
