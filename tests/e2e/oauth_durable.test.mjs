// SPDX-License-Identifier: MIT
// What was answered holds, whatever happens to the program or to the answer: killed at any moment,
// no code and no refresh token works twice and no answered one is lost; a client that lost a
// thousand answers is still signed in; a thousand thieves are all found out. On both stores.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { freePort, sleep, startPostgres, temporaryFolder, test } from './harness.mjs';
import {
  assertion,
  assertOauthError,
  Browser,
  codeOf,
  createClient,
  keyPair,
  redeem,
  refresh,
  refusedAfter,
  startIssuer,
  tokensOf,
  withAssertion,
} from './oauth_kit.mjs';

const rounds = 25;
const wanted = {
  method: 'none',
  grants: ['authorization_code', 'refresh_token'],
  scopes: ['openid', 'profile', 'offline_access'],
  redirectUris: ['http://127.0.0.1/callback'],
  accessAlg: 'ES256', // quick to sign
  idAlg: 'ES256',
};
const scope = { scope: 'profile offline_access' };

let postgres;
before(async () => {
  postgres = await startPostgres();
});
after(() => postgres?.stop());

/** All of `list`, so many at once. */
async function each(list, width, work) {
  const left = [...list.entries()];
  const one = async () => {
    for (let next = left.shift(); next; next = left.shift()) await work(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: width }, one));
}

/** Like a process that is killed: it answers or it does not. */
const attempt = (asked) => asked.catch(() => undefined);
const isOver = (reply) => assertOauthError(reply, 400, 'invalid_grant');

async function killedInFlight(env) {
  const data = temporaryFolder();
  const same = { ...env, AUTH_PORT: String(await freePort()) };
  const start = () => startIssuer({ data, env: same });
  let op = await start();
  try {
    const client = await createClient(op, wanted);
    const key = await keyPair('ES256');
    const machine = await createClient(op, { method: 'private_key_jwt', jwks: [key.jwk] });
    const prove = (text) =>
      op.token({
        grant_type: 'client_credentials',
        client_id: machine.client_id,
        ...withAssertion(text),
      });
    const browser = new Browser(op, { keep: false });
    const chains = [];
    for (let i = 0; i < 4; i++)
      chains.push((await tokensOf(op, browser, client, scope)).refresh_token);
    const seen = { answered: 0, lost: 0 };
    for (let round = 0; round < rounds; round++) {
      const codes = [];
      for (let i = 0; i < 4; i++) codes.push(await codeOf(op, browser, client, scope));
      const proofs = [await assertion(op, machine.client_id, key)];
      let answers = 0;
      const counted = (asked) => attempt(asked.then((reply) => (answers++, reply)));
      const asked = {
        codes: codes.map((code) => counted(redeem(op, client, code))),
        chains: chains.map((token) => counted(refresh(op, client, token))),
        proofs: proofs.map((text) => counted(prove(text))),
      };
      // Killed after so many of the nine answers, or while it is still at the first.
      const enough = Math.floor(Math.random() * 9);
      if (enough === 0) await sleep(Math.random() * 5);
      for (const until = Date.now() + 1000; answers < enough && Date.now() < until;) await sleep(0);
      await op.stop('SIGKILL');
      const was = {
        codes: await Promise.all(asked.codes),
        chains: await Promise.all(asked.chains),
        proofs: await Promise.all(asked.proofs),
      };
      op = await start();
      browser.op = op;

      for (const [i, reply] of was.chains.entries()) {
        seen[reply ? 'answered' : 'lost']++;
        if (reply) assert.equal(reply.status, 200, reply.text);
        const again = await refresh(op, client, chains[i]);
        assert.equal(again.status, 200, `signed out in round ${round}: ${again.text}`);
        if (reply) assert.equal(again.text, reply.text, 'two answers to one refresh token');
        chains[i] = again.json.refresh_token;
      }
      for (const [i, reply] of was.codes.entries()) {
        if (reply) assert.equal(reply.status, 200, reply.text);
        if (reply) assert.equal((await refresh(op, client, reply.json.refresh_token)).status, 200);
        const second = await redeem(op, client, codes[i]);
        if (reply || second.status !== 200) isOver(second);
        isOver(await redeem(op, client, codes[i]));
      }
      for (const [i, reply] of was.proofs.entries())
        if (reply) assertOauthError(await prove(proofs[i]), 401, 'invalid_client');
    }
    assert.ok(seen.answered + seen.lost === 4 * rounds);
    return seen;
  } finally {
    await op.stop('SIGKILL');
  }
}

async function lostReplies(env) {
  const op = await startIssuer({ env });
  try {
    const client = await createClient(op, wanted);
    const browser = new Browser(op);
    await codeOf(op, browser, client, scope);
    const chains = [];
    await each(Array(40).fill(), 8, async () => {
      chains.push((await tokensOf(op, browser, client, scope)).refresh_token);
    });
    let lost = 0;
    await each(chains, 20, async (first) => {
      let token = first;
      for (let i = 0; i < 25; i++) {
        const gone = new AbortController();
        const asked = attempt(
          op.token(
            { grant_type: 'refresh_token', refresh_token: token, client_id: client.client_id },
            { agent: false, signal: gone.signal },
          ),
        );
        if (i % 2) await sleep(Math.random() * 8);
        else await Promise.race([asked, sleep(200)]); // it was answered, and nobody read it
        gone.abort();
        const heard = await asked;
        const again = await refresh(op, client, token);
        assert.equal(again.status, 200, `signed out: ${again.text}`);
        if (heard) assert.equal(again.text, heard.text);
        assert.equal((await refresh(op, client, token)).text, again.text);
        token = again.json.refresh_token;
        lost++;
      }
      assert.equal((await refresh(op, client, token)).status, 200);
    });
    assert.equal(lost, 1000);
  } finally {
    await op.stop();
  }
}

async function thefts(env) {
  const op = await startIssuer({ env, config: 'oauth:\n  grace_seconds: 0\n' });
  try {
    const client = await createClient(op, wanted);
    const browser = new Browser(op);
    await codeOf(op, browser, client, scope);
    await each(Array(1000).fill(), 24, async (_, i) => {
      const own = await tokensOf(op, browser, client, scope);
      const first = await refresh(op, client, own.refresh_token); // the thief, or the owner
      assert.equal(first.status, 200, first.text);
      isOver(await refresh(op, client, own.refresh_token)); // the other of the two
      isOver(await refresh(op, client, first.json.refresh_token));
      if (i % 10 === 0) {
        const token = first.json.access_token;
        const { waited } = await refusedAfter(() => op.get('/whoami', { token }));
        assert.ok(waited < 1000, `${waited} ms`);
      }
    });
  } finally {
    await op.stop();
  }
}

for (const [store, env] of [
  ['embedded', () => ({})],
  ['PostgreSQL', () => postgres.env],
]) {
  test(`${store}: killed while it issues and refreshes`, async (t) => {
    const { answered, lost } = await killedInFlight(env());
    t.diagnostic(`${answered} refreshes were answered, ${lost} were not`);
  });
  test(`${store}: a thousand lost answers, and nobody is signed out`, () => lostReplies(env()));
  test(`${store}: a thousand thefts, and every family ends`, () => thefts(env()));
}

test('PostgreSQL: what ends on one node has ended on the other within a second', async () => {
  const issuer = { AUTH_JWT_ISSUER: 'https://two-nodes.example' };
  const [one, two] = [
    await startIssuer({ env: { ...postgres.env, ...issuer } }),
    await startIssuer({ env: { ...postgres.env, ...issuer } }),
  ];
  try {
    const client = await createClient(one, wanted);
    const browser = new Browser(one);
    const tokens = await tokensOf(one, browser, client, scope);
    const token = tokens.access_token;
    const asks = [
      () => two.get('/whoami', { token }),
      () => two.gate.get('/api/v1/users/profile', { token }),
    ];
    for (const ask of asks) assert.equal((await ask()).status, 200);
    const got = await codeOf(one, browser, client, scope);
    const other = await redeem(two, client, got);
    assert.equal(other.status, 200, 'a code of one is redeemed at the other');
    isOver(await redeem(one, client, got));
    const params = { token: tokens.refresh_token, client_id: client.client_id };
    assert.equal((await one.form('/auth/revoke', params)).status, 200);
    for (const ask of asks) {
      const { waited } = await refusedAfter(ask);
      assert.ok(waited < 1000, `${waited} ms`);
    }
    isOver(await refresh(two, client, tokens.refresh_token));
  } finally {
    await Promise.all([one.stop(), two.stop()]);
  }
});
