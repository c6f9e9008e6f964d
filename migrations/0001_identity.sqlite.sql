-- SPDX-License-Identifier: MIT
-- Who may come in: users, their sessions, refresh tokens, and what other processes must hear of.
-- Times are nanoseconds since 1970. "..._key" is the normalised form that must be unique.

CREATE TABLE users (
    id integer PRIMARY KEY AUTOINCREMENT,
    username text NOT NULL,
    username_key text NOT NULL UNIQUE,
    email text NOT NULL,
    email_key text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    full_name text,
    is_admin integer NOT NULL DEFAULT FALSE CHECK (is_admin IN (0, 1)),
    is_active integer NOT NULL DEFAULT TRUE CHECK (is_active IN (0, 1)),
    role text NOT NULL DEFAULT 'customer',
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    password_changed_at integer NOT NULL
) STRICT;

-- "Is there another active administrator?"
CREATE INDEX users_by_admin ON users (id) WHERE is_admin AND is_active;

CREATE TABLE sessions (
    id text NOT NULL PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users (id),
    created_at integer NOT NULL,
    expires_at integer NOT NULL,
    ended_at integer,
    end_reason text,
    client text,
    address text,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- A family is a session: reuse of any of its tokens ends the session.
CREATE TABLE refresh_tokens (
    id text NOT NULL PRIMARY KEY,
    session_id text NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    parent text,
    issued_at integer NOT NULL,
    expires_at integer NOT NULL,
    used_at integer,
    successor_pair blob,
    grace_until integer
) STRICT;

CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);
CREATE INDEX refresh_tokens_by_grace ON refresh_tokens (grace_until)
    WHERE successor_pair IS NOT NULL;

-- The feed that every process polls: seq rises in the order of the commits.
CREATE TABLE identity_changes (
    seq integer PRIMARY KEY AUTOINCREMENT,
    user_id integer NOT NULL,
    session_id text,
    what text NOT NULL,
    at integer NOT NULL
) STRICT;

CREATE INDEX identity_changes_by_time ON identity_changes (at);
