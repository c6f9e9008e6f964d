// SPDX-License-Identifier: MIT
// The peer of the token benchmark: npm oidc-provider with its in-memory store, set to do what
// Portcullis does for a client: JWT access tokens (RFC 9068) signed with ES256, clients that prove
// themselves with a secret or with private_key_jwt.
//
//     node bench/oidc_peer.mjs PORT CLIENTS.json
//
// CLIENTS.json: {"secret": "...", "jwks": {...}}
import { readFileSync } from 'node:fs';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const given = JSON.parse(readFileSync(process.argv[3], 'utf8'));
const { privateKey } = await generateKeyPair('ES256', { extractable: true });
const key = { ...(await exportJWK(privateKey)), alg: 'ES256', use: 'sig' };
const resource = 'urn:portcullis:services';

const common = {
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  id_token_signed_response_alg: 'ES256',
};
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    { ...common, client_id: 'bench-secret', client_secret: given.secret,
      token_endpoint_auth_method: 'client_secret_post' },
    { ...common, client_id: 'bench-key', jwks: given.jwks,
      token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256' },
  ],
  jwks: { keys: [key] },
  scopes: ['accounts:read'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      getResourceServerInfo: () => ({
        scope: 'accounts:read',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 900,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  ttl: { ClientCredentials: 900 },
});
provider.on('server_error', (_, error) => console.error(error));
provider.listen(port, '127.0.0.1');
