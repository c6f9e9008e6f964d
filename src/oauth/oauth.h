/* SPDX-License-Identifier: MIT
 * The OAuth 2.0 and OpenID Connect issuer: clients, authorization codes with PKCE, tokens, keys,
 * and the pages on which people sign in and consent. It shares users and sessions with auth/.
 *
 * A grant is a session (auth/) whose client is an OAuth client: it holds the chain of refresh
 * tokens, every access token of a user names it, and ending it ends them all.
 *
 * Threads: struct oauth and struct oauth_keys are for any thread; functions that take a store_conn
 * run inside a store job.
 * Memory: x_new / x_free; results live in the arena that is passed.
 * Units: nanoseconds since 1970 in the store, seconds in tokens and settings.
 * Errors: ERR_OAUTH_... (see oauth_error.c), ERR_TAKEN, ERR_NOT_FOUND, ERR_KEY, and the store's.
 * Source: RFC 6749, 6750, 7009, 7515, 7523, 7591 (names of methods), 7636, 7662, 8252, 8414, 8705,
 * 9068, 9207, 9700; OpenID Connect Core, Discovery and RP-Initiated Logout 1.0. */
#ifndef PC_OAUTH_OAUTH_H
#define PC_OAUTH_OAUTH_H

#include "auth/auth.h"
#include "crypto/fault.h"

struct oauth;
struct oauth_keys;

struct oauth_options {
    const struct clock *clock;
    const struct random_source *random;
    struct logger *logger;      /* may be NULL */
    struct metrics *metrics;    /* may be NULL */
    struct auth *auth;          /* users, passwords, guesses; must outlive us */
    struct oauth_keys *keys;    /* must outlive us */
    struct http_engine *engine; /* set before the first request; may be NULL until then */
    struct span issuer;         /* the claim iss; a URL without trailing slash */
    struct span audience;       /* the claim aud of access tokens */
    struct span base_url;       /* of the issuer's endpoints, without trailing slash */
    struct span token_url;      /* in the metadata; empty: below base_url */
    struct span authorize_url;
    bool takes_certificates; /* a listener of ours asks clients for theirs */
    int64_t access_s;        /* life of an access token, unless the client has its own */
    int64_t refresh_s;       /* of a refresh token and its grant: from the last use */
    int64_t code_s;          /* of an authorization code; at most 60 */
    int64_t grace_s;         /* a used refresh token is answered alike for so long */
    int64_t login_s;         /* a browser stays signed in for so long */
    int64_t leeway_s;        /* between clocks, for access tokens */
};

PC_CHECKED enum err oauth_new(const struct oauth_options *options, struct oauth **ret_oauth);
void oauth_free(struct oauth *oauth); /* accepts NULL */

/* Tokens of both kinds: those of auth/ and ours. For http_engine_options. */
struct http_identity oauth_identity(struct oauth *oauth);

/* The routes; their context is the struct oauth.
 *   api       /auth/...        token, refresh, revoke, introspect, clients
 *   page      /oauth/...       authorize, login, consent, userinfo, logout
 *   metadata  /.well-known/... keys and metadata
 *   self      /whoami, /health */
extern const struct http_route oauth_api_routes[];
extern const struct http_route oauth_page_routes[];
extern const struct http_route oauth_metadata_routes[];
extern const struct http_route oauth_self_routes[];

/* The clients of the development environment, if there is none yet. */
PC_CHECKED enum err oauth_seed(struct store *store, const struct oauth_options *options,
                               size_t *ret_created);

/* What the housekeeper clears away. */
extern const struct auth_sweep oauth_sweeps[];
extern const size_t oauth_sweep_count;

/* ---- clients ----------------------------------------------------------------------------------
 */

enum oauth_method {
    OAUTH_METHOD_UNKNOWN,      /* refused */
    OAUTH_METHOD_SECRET,       /* "client_secret": basic or post, as the client likes */
    OAUTH_METHOD_SECRET_BASIC, /* "client_secret_basic" alone */
    OAUTH_METHOD_SECRET_POST,  /* "client_secret_post" alone */
    OAUTH_METHOD_PRIVATE_KEY,  /* "private_key_jwt" */
    OAUTH_METHOD_CERTIFICATE,  /* "tls_client_auth" */
    OAUTH_METHOD_NONE,         /* "none": a public client */
    OAUTH_METHOD_COUNT
};
const char *oauth_method_name(enum oauth_method method);
enum oauth_method oauth_method_from(struct span name);
bool oauth_method_has_secret(enum oauth_method method);

enum {
    OAUTH_HASH_BYTES = 32,
    OAUTH_CLIENT_ID_CHARS_MAX = 64,
    OAUTH_CLIENT_NAME_CHARS_MAX = 100,
    OAUTH_SECRET_TEXT_BYTES = 43,
    OAUTH_URIS_MAX = 16, /* of one list of a client */
    OAUTH_ACCESS_S_MIN = 60,
    OAUTH_ACCESS_S_MAX = 3600, /* no client's access tokens live longer: keys are kept for it */
    OAUTH_REFRESH_S_MIN = 3600,
    OAUTH_REFRESH_S_MAX = 366 * 86400,
};

/* A secret as it is kept: HMAC-SHA256 under a key of its own. */
struct oauth_secret {
    bool set;
    unsigned char key[OAUTH_HASH_BYTES];
    unsigned char hash[OAUTH_HASH_BYTES];
};

struct oauth_client {
    int64_t key; /* the row's; http_forget_subject takes -key */
    struct span client_id, name;
    enum oauth_method method;
    struct oauth_secret secret, old_secret;
    int64_t old_secret_until_ns;
    struct span grants; /* "authorization_code refresh_token" */
    struct span scopes, roles;
    struct span redirect_uris, logout_uris; /* one a line */
    struct span jwks;                       /* for private_key_jwt; else empty */
    struct span tls_subject;                /* RFC 2253, for tls_client_auth; else empty */
    bool is_bound;                          /* its tokens are bound to its certificate */
    int64_t access_s, refresh_s;            /* 0: the issuer's */
    enum crypto_alg access_alg, id_alg;     /* CRYPTO_ALG_NONE: the issuer's */
    bool is_active;
    int64_t tokens_after_ns; /* older tokens of this client are dead */
    int64_t created_at_ns;
    int64_t updated_at_ns; /* whatever was changed */
};

/* Checks the description whole (names, grants, scopes, roles, addresses, key set, method against
 * what it needs): ERR_VALIDATION with a sentence in `fault`. A client_id of digits alone could be
 * taken for a user's id and is refused. */
PC_CHECKED enum err oauth_client_check(const struct oauth_client *client, struct arena *arena,
                                       struct crypto_fault *fault);

/* Addresses one a line as the log tells of them: on one line, parted by blanks, which none of them
 * has. The empty span when there is no memory. */
struct span oauth_uris_told(struct span uris, struct arena *arena);

/* A new row from the description; `key` is set. ERR_TAKEN. */
PC_CHECKED enum err oauth_client_create(struct store_conn *conn, struct oauth_client *client,
                                        int64_t now_ns);
/* ERR_NOT_FOUND */
PC_CHECKED enum err oauth_client_find(struct store_conn *conn, struct span client_id,
                                      struct arena *arena, struct oauth_client *ret_client);
/* Up to `limit` clients after the key `after`, by key. */
PC_CHECKED enum err oauth_client_list(struct store_conn *conn, int64_t after, size_t limit,
                                      struct arena *arena, struct oauth_client **ret_clients,
                                      size_t *ret_count);
/* Disabling ends every grant and token it holds, in this commit; enabling revives none of them. */
PC_CHECKED enum err oauth_client_set_active(struct store_conn *conn, struct span client_id,
                                            bool active, int64_t now_ns);

/* Rewrites the description of the client with this client_id; secret, state and dates stay. Live
 * tokens keep what scopes and roles leave them; they end when the method changes or binding is
 * switched on. ERR_NOT_FOUND. */
PC_CHECKED enum err oauth_client_update(struct store_conn *conn, const struct oauth_client *client,
                                        int64_t now_ns);

/* A new secret of 256 bits as text; its keyed hash into *ret_secret. */
PC_CHECKED enum err oauth_secret_make(const struct random_source *random,
                                      char ret_text[OAUTH_SECRET_TEXT_BYTES],
                                      struct oauth_secret *ret_secret);
/* The keyed hash of a given secret. */
PC_CHECKED enum err oauth_secret_of(const struct random_source *random, struct span text,
                                    struct oauth_secret *ret_secret);
/* The old secret works until `until_ns` (0: no longer). */
PC_CHECKED enum err oauth_client_set_secret(struct store_conn *conn, struct span client_id,
                                            const struct oauth_secret *secret, int64_t until_ns,
                                            int64_t now_ns);

/* ---- keys -------------------------------------------------------------------------------------
 * The private keys are files below a folder (0600) or given by path; the public ones are rows of
 * oauth_keys, so that every node publishes and verifies the keys of all. A key is published before
 * it signs and stays until the last token it signed is over:
 *
 *   created ──publish_s──> signs ──(rotate)──> signs_until ──verify_s──> gone */

struct oauth_keys_options { /* texts are borrowed for as long as the keys live */
    const struct clock *clock;
    struct logger *logger; /* may be NULL */
    struct store *store;
    const char *dir;          /* of the private keys that we make */
    enum crypto_alg alg;      /* the issuer's own; the others are made beside it */
    const char *private_path; /* NULL: made below dir */
    const char *public_path;  /* PEM key or certificate; must belong to private_path */
    struct span kid;          /* of the key by path; empty: its thumbprint */
    int64_t publish_s;        /* before a new key signs: what verifiers cache for, and more */
    int64_t heard_s;          /* in which every other node hears of a key */
    int64_t verify_s;         /* after an old one no longer signs: the longest token life */
};

/* Makes what is missing. ERR_KEY, ERR_IO with a sentence. */
PC_CHECKED enum err oauth_keys_open(const struct oauth_keys_options *options,
                                    struct oauth_keys **ret_keys, struct crypto_fault *fault);
void oauth_keys_free(struct oauth_keys *keys); /* accepts NULL */

/* Opening entered a key beside those of other nodes, who take what it signs for forged until they
 * have heard of it: wait for heard_s before the first token. */
bool oauth_keys_joined(const struct oauth_keys *keys);

/* Reads rows and folder again, makes a key where none signs any more, and deletes private keys that
 * are gone. On failure what runs keeps what it had: try again. From one thread; costs little when
 * nothing changed. */
PC_CHECKED enum err oauth_keys_reload(struct oauth_keys *keys);

/* The signer for `alg` now, or NULL if we hold no such key. Signers and sets live as long as the
 * keys, and what time changes needs no reload. */
const struct crypto_signer *oauth_keys_signer(const struct oauth_keys *keys, enum crypto_alg alg,
                                              int64_t now_ns);
/* All public keys that may still verify. */
const struct crypto_keyset *oauth_keys_public(const struct oauth_keys *keys, int64_t now_ns);

/* When the last key that we know of for the issuer's own algorithm stops signing, or the
 * certificate of a key that was given by path ends, seconds since 1970; 0: there is no end. */
int64_t oauth_keys_end_s(const struct oauth_keys *keys, int64_t now_ns);

enum crypto_alg oauth_keys_alg(const struct oauth_keys *keys); /* the issuer's own */
int64_t oauth_keys_max_age_s(const struct oauth_keys *keys);   /* for Cache-Control of the JWKS */

struct oauth_key_row {
    struct span kid;
    enum crypto_alg alg;
    int64_t created_at_ns, signs_from_ns, signs_until_ns, gone_at_ns; /* 0: not yet known */
};
/* Every key there ever was, the newest first. */
PC_CHECKED enum err oauth_key_list(struct store_conn *conn, struct arena *arena,
                                   struct oauth_key_row **ret_rows, size_t *ret_count);
/* For the command: a new key for `alg` (CRYPTO_ALG_NONE: the issuer's own), published now and
 * signing later; those of this folder stop when it starts. `at_once` waits for our own nodes alone
 * (a stolen key).
 * ERR_CONFLICT for a key that is given by path, and when too many are published. */
PC_CHECKED enum err oauth_key_rotate(const struct oauth_keys_options *options, enum crypto_alg alg,
                                     bool at_once, struct arena *arena,
                                     struct oauth_key_row *ret_row, struct crypto_fault *fault);
/* Takes a key out at once: what it signed is no longer believed. ERR_NOT_FOUND; ERR_CONFLICT while
 * no other key of its algorithm would sign from now on. */
PC_CHECKED enum err oauth_key_retire(const struct oauth_keys_options *options, struct span kid,
                                     struct crypto_fault *fault);

#endif
