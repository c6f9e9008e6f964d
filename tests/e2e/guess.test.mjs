// SPDX-License-Identifier: MIT
// Who guesses passwords is slowed down; whose password is guessed is not locked out.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { assertProblem, Portcullis, test } from './harness.mjs';

let gate;
before(async () => {
  gate = await Portcullis.start();
});
after(() => gate?.stop());

async function guess(email, from, most) {
  for (let i = 0; i < most; i++) {
    const reply = await gate.post(
      '/api/v1/auth/login',
      { email, password: `guess number ${i}` },
      { from },
    );
    if (reply.status !== 401) return { reply, tries: i + 1 };
  }
  return { reply: undefined, tries: most };
}

test('a guesser is told to wait while the owner goes on', async () => {
  const account = await gate.register();
  const { reply, tries } = await guess(account.email, '127.0.3.1', 60);
  assert.ok(reply, `${tries} guesses and no end`);
  assertProblem(reply, 429);
  assert.match(reply.headers['retry-after'] ?? '', /^[1-9]\d*$/);
  assert.ok(tries > 3, `a person who mistypes needs more than ${tries} tries`);

  // Even the right password does not help the guesser now.
  const right = await gate.post(
    '/api/v1/auth/login',
    { email: account.email, password: account.password },
    { from: '127.0.3.1' },
  );
  assert.equal(right.status, 429);

  // The owner's session lives: it reads, and it refreshes.
  assert.equal(
    (await gate.get('/api/v1/auth/me', { token: account.tokens.access_token })).status,
    200,
  );
  const next = await gate.post('/api/v1/auth/refresh', {
    refresh_token: account.tokens.refresh_token,
  });
  assert.equal(next.status, 200);
});

test('unknown e-mails are guarded like known ones', async () => {
  const { reply, tries } = await guess('nobody-at-all@example.com', '127.0.3.2', 60);
  assert.ok(reply, `${tries} guesses and no end`);
  assertProblem(reply, 429);
});

test('others at other addresses sign in as ever', async () => {
  const [guessed, other] = [await gate.register(), await gate.register()];
  await guess(guessed.email, '127.0.3.3', 60);
  const reply = await gate.post(
    '/api/v1/auth/login',
    { email: other.email, password: other.password },
    { from: '127.0.3.4' },
  );
  assert.equal(reply.status, 200);
});
