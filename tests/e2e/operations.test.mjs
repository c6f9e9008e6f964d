// SPDX-License-Identifier: MIT
// Monitoring that tells the truth: Debian's Prometheus scrapes the running program by the files of
// deploy/, a breach fires a real alert, Debian's Alertmanager delivers it to POST /alerts by both
// of the ways it has to prove itself, and it is over when the breach is.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { command, Portcullis, temporaryFolder, test, unique } from './harness.mjs';
import { until, Watch } from './operations_kit.mjs';

const webhookToken = randomBytes(32).toString('base64url');
const failures = 30;
const refusals = 120;
const limited = '/api/v1/users/profile';
let gate;
let watch;
let reader;

async function clientToken(id, secret, scope) {
  const reply = await gate.request('POST', '/auth/token', {
    port: gate.authPort,
    headers: {
      Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
      'Content-Type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope }).toString(),
  });
  assert.equal(reply.status, 200, reply.text);
  return reply.json.access_token;
}

before(async () => {
  const data = temporaryFolder();
  const tokenFile = path.join(data, 'webhook-token');
  fs.writeFileSync(tokenFile, `${webhookToken}\n`, { mode: 0o600 });
  gate = await Portcullis.start({
    data,
    config: `monitoring:
  webhook_token_file: ${tokenFile}
limits:
  routes:
    - route: GET ${limited}
      requests_per_minute: 1
password:
  argon2_memory_kib: 1024
  argon2_passes: 1
`,
  });
  const made = await command(
    [
      'client',
      'create',
      'operator',
      '--grant',
      'client_credentials',
      '--scope',
      'monitoring:read',
      '--secret-stdin',
    ],
    { data, input: `${webhookToken}\n` },
  );
  assert.equal(made.code, 0, made.stderr);
  reader = await clientToken('operator', webhookToken, 'monitoring:read');
  watch = await Watch.start(gate, 'alertmanager.yml', {
    'portcullis-client-secret': 'change-me', // of the development client
    'portcullis-webhook-token': webhookToken,
  });
});

after(async () => {
  await watch?.stop();
  await gate?.stop();
});

/** The alert of this name as GET /alerts tells it. */
async function alertOf(name) {
  const reply = await gate.get('/alerts?limit=100', { port: gate.monitoringPort, token: reader });
  assert.equal(reply.status, 200, reply.text);
  return reply.json.find((alert) => alert.labels.alertname === name);
}

/** Deliveries that were taken, by who proved itself: the client, or the setting with the token. */
const deliveries = () =>
  gate
    .lines()
    .filter((line) => line.event === 'http_request' && line.method === 'POST')
    .filter((line) => line.path === '/alerts' && line.status_code === 202)
    .map((line) => line.client_id);

test('every listener is scraped and every rule is well', async () => {
  await until('six listeners are up', async () => {
    const up = await watch.query('sum(up{job="portcullis"})');
    return up[0]?.value === 6;
  });
  const rules = await until('all rules were evaluated', async () => {
    const found = await watch.rules();
    return found.every((rule) => rule.health === 'ok') && found;
  });
  assert.ok(rules.length > 40);
  // Each service at its own listener, once; the program's own numbers at each.
  const services = await watch.query(
    'count by (service) (count by (service, instance) (http_request_duration_seconds_count))',
  );
  assert.equal(services.length, 6);
  for (const { metric, value } of services) assert.equal(value, 1, metric.service);
  const [{ value: info }] = await watch.query('count(portcullis_build_info)');
  assert.equal(info, 6);
});

async function breaches() {
  assert.equal(await alertOf('PortcullisFailedLoginSpike'), undefined);
  const tries = Array.from({ length: failures }, (_, i) =>
    gate.post('/api/v1/auth/login', { email: `guess${i}@example.com`, password: 'password1' }),
  );
  for (const reply of await Promise.all(tries)) assert.ok([401, 429].includes(reply.status));
  const hasty = Array.from({ length: refusals }, () => gate.get(limited));
  const refused = (await Promise.all(hasty)).filter((reply) => reply.status === 429);
  assert.ok(refused.length > refusals / 2);

  // As an OAuth 2 client: the token is asked of the issuer by Alertmanager itself.
  const fired = await until('the alert arrives', () => alertOf('PortcullisFailedLoginSpike'));
  assert.equal(fired.status, 'firing');
  assert.equal(fired.severity, 'warning');
  assert.equal(fired.labels.system, 'portcullis');
  assert.match(fired.annotations.summary, /^\d+(\.\d+)? sign-ins failed within five minutes$/);
  assert.match(fired.annotations.runbook, /audit\/events/);
  await until('its delivery is logged', () => deliveries().length > 0);
  assert.deepEqual(new Set(deliveries()), new Set(['alertmanager']));

  // The same by a fixed token: another Alertmanager in its place.
  await watch.alertmanager.stop();
  await watch.alertmanagerStart('alertmanager-bearer.yml');
  await until('the token is taken', () => deliveries().includes('monitoring.webhook_token'));
  const again = await alertOf('PortcullisFailedLoginSpike');
  assert.equal(again.id, fired.id, 'one alert, however often it is told');
  const breach = await until('the other breach arrives', () =>
    alertOf('PortcullisRateLimitBreaches'),
  );
  assert.match(breach.annotations.summary, /requests a minute are refused by a rate limit$/);

  const over = await until(
    'the alert is over',
    async () => {
      const alert = await alertOf('PortcullisFailedLoginSpike');
      return alert.status === 'resolved' && alert;
    },
    { timeout: 60_000, every: 250 },
  );
  assert.equal(over.id, fired.id);
  const whole = await gate.get(`/alerts/${over.id}`, { port: gate.monitoringPort, token: reader });
  const what = whole.json.history.map((entry) => entry.what);
  assert.equal(what[0], 'fired');
  assert.equal(what.at(-1), 'resolved');
  assert.ok(deliveries().length >= 3);
}

test('breaches fire alerts that arrive and are over when they are', breaches, {
  timeout: 150_000,
});

// The real one goes on delivering meanwhile, so this looks at what this request alone would leave.
test('a wrong secret is told, and delivers nothing', async () => {
  const name = unique('Forged');
  const json = {
    version: '4',
    groupKey: '{}',
    status: 'firing',
    receiver: 'portcullis',
    groupLabels: {},
    commonLabels: {},
    commonAnnotations: {},
    externalURL: '',
    alerts: [
      {
        status: 'firing',
        labels: { alertname: name },
        annotations: {},
        startsAt: new Date().toISOString(),
        endsAt: '0001-01-01T00:00:00Z',
        generatorURL: '',
        fingerprint: '0123456789abcdef',
      },
    ],
  };
  const tell = (token) => gate.post('/alerts', json, { port: gate.monitoringPort, token });
  assert.equal((await tell(`${webhookToken}x`)).status, 401);
  assert.equal(await alertOf(name), undefined);
  assert.equal((await tell(webhookToken)).status, 202);
  assert.equal((await alertOf(name)).status, 'firing');
});
