/* SPDX-License-Identifier: MIT
 * API keys: what a program shows that cannot ask for tokens. A key has an owner, scopes and roles
 * of its own, and maybe an end; it is shown once, when it is made, and kept as a hash. Taking one
 * back is felt on every node within a second, by the feed of changes.
 *
 * Threads: any; functions that take a store_conn run inside a store job.
 * Memory:  results live in the arena that is passed.
 * Units:   nanoseconds since 1970.
 * Errors:  ERR_NOT_FOUND, ERR_VALIDATION, ERR_TOKEN_..., and the store's. */
#ifndef PC_AUTH_AUTH_KEY_H
#define PC_AUTH_AUTH_KEY_H

#include "auth/auth.h"

enum {
    AUTH_KEY_TEXT_BYTES = 4 + 43, /* "pck_" and 256 bits in base64url */
    AUTH_KEY_OWNER_BYTES_MAX = 64,
    AUTH_KEY_NAMES_BYTES_MAX = 512, /* of its scopes, and of its roles */
};

struct auth_key {
    int64_t id;
    struct span owner;         /* visible ASCII */
    struct span scopes, roles; /* separated by spaces; may be empty */
    int64_t created_at_ns;
    int64_t expires_at_ns; /* 0: never */
    int64_t revoked_at_ns; /* 0: not */
};

/* A new key's text: not kept anywhere. */
void auth_key_make(const struct random_source *random, char ret_text[AUTH_KEY_TEXT_BYTES]);

/* The field that is not good, as the name of it; NULL when all are. */
const char *auth_key_flaw(const struct auth_key *key);

/* Keeps the hash of `text`; key->id and revoked_at_ns are not looked at. */
PC_CHECKED enum err auth_key_create(struct store_conn *conn, const struct auth_key *key,
                                    struct span text, int64_t *ret_id);
/* ERR_NOT_FOUND for an id that is none. Once more changes nothing. */
PC_CHECKED enum err auth_key_revoke(struct store_conn *conn, int64_t id, int64_t now_ns);
/* Up to `limit` keys with an id above `after`, in the order of their ids. */
PC_CHECKED enum err auth_key_list(struct store_conn *conn, int64_t after, size_t limit,
                                  struct arena *arena, struct auth_key **ret_keys,
                                  size_t *ret_count);

/* For http_engine_options.keys; what `clock` points at must outlive the engine. */
struct http_identity auth_key_identity(const struct clock **clock);

#endif
