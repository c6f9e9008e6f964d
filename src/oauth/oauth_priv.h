/* SPDX-License-Identifier: MIT
 * What the files of oauth/ share among themselves. */
#ifndef PC_OAUTH_OAUTH_PRIV_H
#define PC_OAUTH_OAUTH_PRIV_H

#include "crypto/jwt.h"
#include "oauth/oauth.h"
#include "trail/trail.h"

enum {
    OAUTH_TOKEN_RAW_BYTES = 32,  /* of a code, refresh token or login cookie: 256 bits */
    OAUTH_TOKEN_TEXT_BYTES = 43, /* as base64url */
    OAUTH_ACCESS_BYTES_MAX = 4096,
    OAUTH_SCOPE_BYTES_MAX = 1024, /* of a list; all that there are have a quarter of that */
};

struct oauth_recent;

struct oauth {
    struct oauth_options options;
    struct metric *failed_logins; /* auth_service_failed_logins_total{client_id} */
    struct metric *issued;        /* oauth_tokens_issued_total{grant} */
    struct oauth_jwks_cache *jwks;
    struct oauth_recent *recent;
};

/* ---- oauth_text.c: lists of names, addresses, random values ------------------------------------
 */
bool oauth_list_has(struct span list, struct span name);    /* "a b c" */
bool oauth_list_within(struct span part, struct span list); /* every name of part is in list */
/* The names of both, in the order of `a`; in the arena. {NULL, 0} when it is full. */
struct span oauth_list_both(struct span a, struct span b, struct arena *arena);
/* RFC 6749, 3.3: printable, one space between, no name twice; not too long. */
bool oauth_scope_is_valid(struct span scope);
/* RFC 8252, 7.3 and RFC 9700, 2.1: the same text; only a loopback port may vary. */
bool oauth_uri_allowed(struct span list, struct span uri);
/* http on 127.0.0.1, [::1] or localhost, with any port or none. */
bool oauth_uri_is_loopback(struct span uri);
/* 256 random bits as base64url in the arena, and their SHA-256. */
PC_CHECKED enum err oauth_token_make(const struct random_source *random, struct arena *arena,
                                     struct span *ret_text,
                                     unsigned char ret_hash[OAUTH_HASH_BYTES]);
void oauth_token_hash(struct span text, unsigned char ret_hash[OAUTH_HASH_BYTES]);

/* ---- oauth_secret.c ----------------------------------------------------------------------------
 * In time that depends on the lengths alone; a secret that is not set costs the same and never
 * matches. */
bool oauth_secret_matches(const struct oauth_secret *secret, struct span text);

/* ---- oauth_error.c: RFC 6749, 5.2 --------------------------------------------------------------
 * Handlers end with `return http_fail(req, ERR_OAUTH_INVALID_GRANT, "why")`. */
http_problem_fn oauth_problem;
extern const struct json_schema oauth_problem_schema; /* what it writes, for the document */

/* ---- oauth_metadata_schema.c: what the issuer tells of itself, for the document ----------------
 */
extern const struct json_schema oauth_keys_schema, oauth_metadata_schema;

/* ---- oauth_caller.c: which client calls, and how it proves it ----------------------------------
 *
 *   oauth_caller_read     what it shows: Basic, form or JSON members, assertion, certificate (loop)
 *   oauth_caller_find     its row; ERR_OK when there is none (READ)
 *   oauth_caller_check    secret, certificate or assertion (any thread; see oauth_caller_run)
 *   oauth_caller_settle   the assertion works once; the client is still active (WRITE)
 *   oauth_caller_refused  the end after ERR_OAUTH_INVALID_CLIENT of the two above (WRITE)
 *
 * Who is unknown, disabled, or shows the wrong thing is told the same: ERR_OAUTH_INVALID_CLIENT,
 * without a detail. `why` is for the trail alone. */
struct oauth_shown { /* members of a form or JSON body; each may be empty */
    struct span client_id, client_secret, client_assertion, client_assertion_type;
};
struct oauth_caller {
    enum oauth_method shown; /* SECRET_BASIC, SECRET_POST, PRIVATE_KEY; NONE: its id alone, which a
                                certificate may prove */
    struct span client_id;   /* decoded; claimed, until it is checked */
    struct span secret, assertion;
    bool basic; /* by the Authorization header */
    bool found;
    bool is_recent; /* the client is as it was lately (oauth_recent.c) */
    bool is_stale;  /* and that turned out to be wrong */
    struct oauth_client client;
    unsigned char assertion_hash[OAUTH_HASH_BYTES]; /* of its jti */
    int64_t assertion_until_ns;                     /* 0: there was none */
    struct span thumbprint; /* of the verified certificate of the connection; else empty. Tokens are
                               bound to it if client.is_bound, and then it is there */
    const char *why;        /* it was refused; NULL: not yet */
    bool charged;           /* the failure was counted */
};
PC_CHECKED enum err oauth_caller_read(struct http_request *req, const struct oauth_shown *shown,
                                      struct oauth_caller *ret_caller);
PC_CHECKED enum err oauth_caller_find(struct http_request *req, struct oauth_caller *caller);
enum http_run oauth_caller_run(const struct oauth_caller *caller); /* where check belongs */
PC_CHECKED enum err oauth_caller_check(struct http_request *req, struct oauth_caller *caller);
PC_CHECKED enum err oauth_caller_settle(struct http_request *req, struct oauth_caller *caller);
/* Counts and records the refusal, and answers it: `return oauth_caller_refused(req, caller)`. Too
 * many of them from one address are ERR_RATE_LIMITED and no longer recorded. */
PC_CHECKED enum err oauth_caller_refused(struct http_request *req, struct oauth_caller *caller);

/* ---- oauth_recent.c: clients that proved themselves lately --------------------------------------
 * Good for letting in only: a caller that fails with what is kept is looked up again. */
PC_CHECKED enum err oauth_recent_new(const struct random_source *random,
                                     struct oauth_recent **ret_recent);
void oauth_recent_free(struct oauth_recent *recent); /* accepts NULL */
/* A copy in the arena, with its mark: look whether it is fresh. */
PC_CHECKED bool oauth_recent_find(struct oauth_recent *recent, struct span client_id,
                                  struct arena *arena, struct oauth_client *ret_client,
                                  uint32_t *ret_mark);
/* `mark` is http_subject_mark's, as of the read. */
void oauth_recent_keep(struct oauth_recent *recent, const struct oauth_client *client,
                       uint32_t mark);

/* ---- oauth_clients_http.c: GET /auth/clients ----------------------------------------------------
 * A row of oauth_api_routes. */
http_handler_fn oauth_clients_list;
extern const struct json_schema oauth_clients_page_schema, oauth_client_schema;
#define OAUTH_CLIENTS_ROUTE                                                                        \
    {                                                                                              \
        .method = NET_METHOD_GET, .path = "/auth/clients", .access = HTTP_ACCESS_BEARER,           \
        .scopes = "audit:read", .input = &oauth_clients_page_schema,                               \
        .reply = &oauth_client_schema, .reply_is_list = true, .run = HTTP_RUN_READ,                \
        .handle = oauth_clients_list, .id = "oauth_clients_list", .tag = "Clients",                \
        .summary = "List the OAuth clients",                                                       \
        .about = "In the order they came, without their secrets."                                  \
    }

/* ---- oauth_assertion.c: private_key_jwt (RFC 7523) ----------------------------------------------
 */
#define OAUTH_ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
/* Whom an assertion claims to be from; nothing about it is checked. False: it is none. */
bool oauth_assertion_claims(struct span assertion, struct arena *arena, struct span *ret_client_id);
/* Signature, audience, times and id; the last two into the caller. ERR_TOKEN_INVALID with
 * caller->why. */
PC_CHECKED enum err oauth_assertion_check(const struct oauth *oauth, struct arena *arena,
                                          struct oauth_caller *caller);

/* ---- oauth_jwks.c: the key sets of clients, read once
 * --------------------------------------------
 */
struct oauth_jwks_cache;
struct oauth_jwks; /* a key set that several threads use */
PC_CHECKED enum err oauth_jwks_cache_new(struct oauth_jwks_cache **ret_cache);
void oauth_jwks_cache_free(struct oauth_jwks_cache *cache); /* accepts NULL */
/* The set that the text describes; give it back with oauth_jwks_free. */
PC_CHECKED enum err oauth_jwks_of(struct oauth_jwks_cache *cache, struct span text,
                                  struct oauth_jwks **ret_jwks);
const struct crypto_keyset *oauth_jwks_keys(const struct oauth_jwks *jwks);
void oauth_jwks_free(struct oauth_jwks *jwks); /* accepts NULL */

/* ---- oauth_issue.c: tokens ---------------------------------------------------------------------
 */
struct oauth_subject { /* whom a token is for */
    const struct oauth_client *client;
    int64_t user_id;        /* 0: the client itself */
    struct span session_id; /* of the grant; empty for the client itself */
    struct span scope, roles;
    struct span nonce; /* of the authorization request; empty: none */
    int64_t auth_at_s;
    struct span thumbprint; /* binds it; empty: a bearer token */
    int64_t access_s;
};
struct oauth_reply {
    struct span access_token, token_type, refresh_token, id_token, scope;
    int64_t expires_in;
    int64_t issued_at_ns;
};
extern const struct json_schema oauth_reply_schema;
/* Both need a SIGN thread unless the key is fast: see oauth_sign_run. */
enum http_run oauth_sign_run(const struct oauth *oauth, const struct oauth_client *client);
PC_CHECKED enum err oauth_access_sign(const struct oauth *oauth,
                                      const struct oauth_subject *subject, int64_t now_ns,
                                      struct arena *arena, struct span *ret_token);
PC_CHECKED enum err oauth_id_sign(const struct oauth *oauth, const struct oauth_subject *subject,
                                  struct span access_token, int64_t now_ns, struct arena *arena,
                                  struct span *ret_token);
/* An access token of ours: signature, issuer, audience, type, time. */
struct oauth_access {
    struct crypto_jwt jwt;
    struct span client_id, session_id, scope, thumbprint;
    int64_t user_id; /* 0: the client itself */
};
PC_CHECKED enum err oauth_access_verify(const struct oauth *oauth, struct span token,
                                        int64_t now_ns, struct arena *arena,
                                        struct oauth_access *ret_access);

/* ---- oauth_grant.c: codes, grants and refresh tokens in the store -------------------------------
 */
struct oauth_code {
    int64_t client_key, user_id;
    struct span login_session, redirect_uri, challenge, scope, nonce;
    int64_t auth_at_ns, expires_at_ns;
    bool used;
    struct span session_id; /* what came of it; empty: nothing */
    bool is_over;           /* its user is disabled, or signed out since */
    struct span roles;      /* the user's, now */
};
PC_CHECKED enum err oauth_code_add(struct store_conn *conn,
                                   const unsigned char hash[OAUTH_HASH_BYTES],
                                   const struct oauth_code *code, int64_t now_ns);
PC_CHECKED enum err oauth_code_find(struct store_conn *conn,
                                    const unsigned char hash[OAUTH_HASH_BYTES], struct arena *arena,
                                    struct oauth_code *ret_code);
/* `session_id` empty: nothing comes of it. ERR_CONFLICT when it was used in the meantime. */
PC_CHECKED enum err oauth_code_use(struct store_conn *conn,
                                   const unsigned char hash[OAUTH_HASH_BYTES],
                                   struct span session_id, int64_t now_ns);

struct oauth_grant {
    struct span session_id;
    struct span client_id; /* into sessions.client */
    int64_t client_key, user_id;
    struct span login_session; /* may be empty */
    struct span scope;
    struct span thumbprint; /* may be empty */
    struct span address;
    int64_t auth_at_ns;
    int64_t expires_at_ns;
    bool is_over;      /* ended or expired, or its user or client is disabled */
    struct span roles; /* the user's, now */
};
/* Opens the session and the grant until expires_at_ns; with the first refresh token unless
 * `refresh_hash` is NULL. */
PC_CHECKED enum err oauth_grant_open(struct store_conn *conn, const struct oauth_grant *grant,
                                     const unsigned char *refresh_hash, int64_t now_ns);
PC_CHECKED enum err oauth_grant_end(struct store_conn *conn, struct span session_id,
                                    int64_t user_id, const char *reason, int64_t now_ns);

struct oauth_refresh {
    struct oauth_grant grant;
    int64_t expires_at_ns;
    bool used;
    int64_t grace_until_ns;
    struct span sealed_reply; /* while in grace */
};
PC_CHECKED enum err oauth_refresh_find(struct store_conn *conn,
                                       const unsigned char hash[OAUTH_HASH_BYTES], int64_t now_ns,
                                       struct arena *arena, struct oauth_refresh *ret_refresh);
/* The old one is used, the next one exists, the reply rests sealed; the grant lives on until its
 * expires_at_ns. ERR_CONFLICT as above. */
PC_CHECKED enum err
oauth_refresh_use(struct store_conn *conn, const unsigned char hash[OAUTH_HASH_BYTES],
                  const struct oauth_grant *grant, const unsigned char next_hash[OAUTH_HASH_BYTES],
                  struct span sealed_reply, int64_t grace_until_ns, int64_t now_ns);
/* A client that keeps its refresh token: it and the grant live on until its expires_at_ns. */
PC_CHECKED enum err oauth_refresh_keep(struct store_conn *conn,
                                       const unsigned char hash[OAUTH_HASH_BYTES],
                                       const struct oauth_grant *grant);

/* One access token is no longer believed: by its jti, until it would have been over. `subject` is
 * the user's id or minus the client's key. */
PC_CHECKED enum err oauth_access_revoke(struct store_conn *conn, struct span token_id,
                                        int64_t subject, int64_t expires_at_ns, int64_t now_ns);

/* ---- oauth_login.c: browsers that are signed in
 * --------------------------------------------------
 */
struct oauth_login {
    struct span session_id;
    int64_t user_id;
    int64_t auth_at_ns;
    struct span username;
};
/* By the cookie's value. ERR_NOT_FOUND when there is none, or it is over. */
PC_CHECKED enum err oauth_login_find(struct store_conn *conn, struct span cookie, int64_t now_ns,
                                     struct arena *arena, struct oauth_login *ret_login);
PC_CHECKED enum err oauth_login_open(struct store_conn *conn,
                                     const unsigned char hash[OAUTH_HASH_BYTES],
                                     const struct oauth_login *login, struct span address,
                                     int64_t now_ns, int64_t expires_at_ns);
/* Ends the login and every grant that came from it. */
PC_CHECKED enum err oauth_login_end(struct store_conn *conn, const struct oauth_login *login,
                                    int64_t now_ns);

static inline struct oauth *oauth_of(const struct http_request *req)
{
    return http_context(req);
}

#endif
