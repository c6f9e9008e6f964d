// SPDX-License-Identifier: MIT
// Client assertions for the token benchmark, each good for one request:
//
//     node bench/assertions.mjs KEY.pem CLIENT_ID AUDIENCE COUNT > FILE      one a line
//
// They live four minutes, so they are made just before the run that uses them.
import { createPrivateKey, randomUUID, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';

const [pem, client, audience, count] = process.argv.slice(2);
const key = createPrivateKey(readFileSync(pem));
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const head = part({ alg: 'ES256', typ: 'JWT' });
const now = Math.floor(Date.now() / 1000);
let lines = [];
for (let i = 0; i < Number(count); i++) {
  const claims = { iss: client, sub: client, aud: audience, iat: now, exp: now + 240,
    jti: randomUUID() };
  const text = `${head}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  lines.push(`${text}.${signature.toString('base64url')}`);
  if (lines.length === 1000) {
    process.stdout.write(`${lines.join('\n')}\n`);
    lines = [];
  }
}
if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
