-- SPDX-License-Identifier: MIT
-- The OAuth issuer: its clients, keys, codes and tokens. Times are nanoseconds since 1970; lists of
-- names are separated by spaces, lists of addresses by line feeds. What a client or browser holds
-- is kept as its SHA-256 only.
--
-- A grant is a session whose `client` is the client's id, and a browser that is signed in at the
-- issuer is a session whose `client` is 'browser': whatever ends a user's sessions ends them all.

ALTER TABLE identity_changes RENAME COLUMN user_id TO subject;

CREATE TABLE oauth_clients (
    id integer PRIMARY KEY AUTOINCREMENT,
    client_id text NOT NULL UNIQUE,
    client_name text NOT NULL,
    auth_method text NOT NULL,
    secret_key blob,
    secret_hash blob,
    old_secret_key blob,
    old_secret_hash blob,
    old_secret_until integer,
    grants text NOT NULL,
    scopes text NOT NULL,
    roles text NOT NULL,
    redirect_uris text NOT NULL DEFAULT '',
    logout_uris text NOT NULL DEFAULT '',
    jwks text,
    tls_subject text,
    is_bound integer NOT NULL DEFAULT FALSE CHECK (is_bound IN (0, 1)),
    access_s integer NOT NULL DEFAULT 0,
    refresh_s integer NOT NULL DEFAULT 0,
    access_alg text NOT NULL DEFAULT '',
    id_alg text NOT NULL DEFAULT '',
    is_active integer NOT NULL DEFAULT TRUE CHECK (is_active IN (0, 1)),
    tokens_after integer NOT NULL DEFAULT 0,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    CHECK ((secret_key IS NULL) = (secret_hash IS NULL)),
    CHECK ((old_secret_key IS NULL) = (old_secret_hash IS NULL))
) STRICT;

CREATE TABLE oauth_keys (
    kid text NOT NULL PRIMARY KEY,
    alg text NOT NULL,
    jwk text NOT NULL,
    created_at integer NOT NULL,
    signs_from integer NOT NULL,
    signs_until integer,
    gone_at integer,
    CHECK ((signs_until IS NULL) = (gone_at IS NULL))
) STRICT;

CREATE TABLE oauth_logins (
    hash blob NOT NULL PRIMARY KEY,
    session_id text NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    auth_at integer NOT NULL
) STRICT;

CREATE INDEX oauth_logins_by_session ON oauth_logins (session_id);

CREATE TABLE oauth_grants (
    session_id text NOT NULL PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    client integer NOT NULL REFERENCES oauth_clients (id),
    login_session text,
    scope text NOT NULL,
    auth_at integer NOT NULL,
    thumbprint text
) STRICT, WITHOUT ROWID;

CREATE INDEX oauth_grants_by_login ON oauth_grants (login_session)
    WHERE login_session IS NOT NULL;

CREATE TABLE oauth_codes (
    hash blob NOT NULL PRIMARY KEY,
    client integer NOT NULL REFERENCES oauth_clients (id),
    user_id integer NOT NULL REFERENCES users (id),
    login_session text NOT NULL,
    redirect_uri text NOT NULL,
    challenge text NOT NULL,
    scope text NOT NULL,
    nonce text,
    auth_at integer NOT NULL,
    created_at integer NOT NULL,
    expires_at integer NOT NULL,
    used_at integer,
    session_id text
) STRICT;

CREATE INDEX oauth_codes_by_expiry ON oauth_codes (expires_at);

CREATE TABLE oauth_refresh_tokens (
    hash blob NOT NULL PRIMARY KEY,
    session_id text NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    issued_at integer NOT NULL,
    expires_at integer NOT NULL,
    used_at integer,
    reply blob,
    grace_until integer
) STRICT;

CREATE INDEX oauth_refresh_tokens_by_session ON oauth_refresh_tokens (session_id);
CREATE INDEX oauth_refresh_tokens_by_expiry ON oauth_refresh_tokens (expires_at);
CREATE INDEX oauth_refresh_tokens_by_grace ON oauth_refresh_tokens (grace_until)
    WHERE reply IS NOT NULL;

CREATE TABLE oauth_consents (
    user_id integer NOT NULL REFERENCES users (id),
    client integer NOT NULL REFERENCES oauth_clients (id),
    scope text NOT NULL,
    given_at integer NOT NULL,
    PRIMARY KEY (user_id, client)
) STRICT, WITHOUT ROWID;

-- Client assertions that were used: each works once.
CREATE TABLE oauth_assertions (
    client integer NOT NULL REFERENCES oauth_clients (id),
    jti blob NOT NULL,
    expires_at integer NOT NULL,
    PRIMARY KEY (client, jti)
) STRICT, WITHOUT ROWID;

CREATE INDEX oauth_assertions_by_expiry ON oauth_assertions (expires_at);

-- Access tokens that were revoked one by one.
CREATE TABLE oauth_revoked (
    jti text NOT NULL PRIMARY KEY,
    expires_at integer NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX oauth_revoked_by_expiry ON oauth_revoked (expires_at);
