-- SPDX-License-Identifier: MIT
-- API keys. What a caller holds is kept as its SHA-256 only: it has 256 random bits, so nobody
-- finds it by trying. Lists of names are separated by spaces; times are nanoseconds since 1970.

CREATE TABLE api_keys (
    id integer PRIMARY KEY AUTOINCREMENT,
    hash blob NOT NULL UNIQUE,
    owner text NOT NULL,
    scopes text NOT NULL,
    roles text NOT NULL,
    created_at integer NOT NULL,
    expires_at integer,
    revoked_at integer
) STRICT;
