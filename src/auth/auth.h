/* SPDX-License-Identifier: MIT
 * Users, their sessions and their tokens. A login opens a session; a session holds one chain of
 * refresh tokens, of which only the newest may be used; every access token names its session, so
 * that ending the session ends the tokens at once.
 *
 * Threads: struct auth is immutable after start and for any thread; functions that take a
 * store_conn run inside a store job.
 * Memory: auth_new / auth_free; results live in the arena that is passed.
 * Units: nanoseconds since 1970 in the store, seconds in tokens.
 * Errors: ERR_CREDENTIALS, ERR_INACTIVE, ERR_TOKEN_..., ERR_TAKEN, ERR_LAST_ADMIN, ERR_NOT_FOUND,
 * and the store's.
 * Source: RFC 7519, RFC 9700 4.14 (refresh tokens), docs/decisions/auth-sessions.md. */
#ifndef PC_AUTH_AUTH_H
#define PC_AUTH_AUTH_H

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "crypto/jwk.h"
#include "crypto/password.h"
#include "crypto/password_common.h"
#include "crypto/signer.h"
#include "http/http.h"
#include "limit/limit_guess.h"
#include "store/store.h"
#include "trail/trail.h"

enum {
    AUTH_EMAIL_BYTES_MAX = 254,
    AUTH_USERNAME_CHARS_MIN = 3,
    AUTH_USERNAME_CHARS_MAX = 50,
    AUTH_ID_BYTES = RANDOM_UUID_BYTES, /* of a session or token */
};

struct auth_options {
    const struct clock *clock;
    const struct random_source *random;
    struct logger *logger;                /* may be NULL */
    const struct crypto_signer *signer;   /* makes our tokens; must outlive us */
    const struct crypto_keyset *keys;     /* verifies them; must outlive us */
    struct span issuer;                   /* the claim iss */
    int64_t access_s;                     /* life of an access token */
    int64_t refresh_s;                    /* life of a refresh token */
    int64_t grace_s;                      /* a used refresh token is answered alike for so long */
    int64_t leeway_s;                     /* between our clocks */
    struct crypto_password_policy policy; /* for new hashes */
    uint32_t password_chars_min;
    enum crypto_password_common password_common; /* which new ones are refused */
    struct metrics *metrics;                     /* may be NULL */
};

struct auth;

PC_CHECKED enum err auth_new(const struct auth_options *options, struct auth **ret_auth);
void auth_free(struct auth *auth); /* accepts NULL */

/* For http_engine_options. */
struct http_identity auth_identity(struct auth *auth);

/* The routes under /api/v1/auth, /api/v1/users and /api/v1/admin; the service's context must be a
 * struct auth. */
extern const struct http_route auth_routes[];
extern const struct http_route auth_admin_routes[];

/* ---- users ------------------------------------------------------------------------------------
 */

struct auth_user {
    int64_t id;
    struct span username;
    struct span email;
    struct span full_name; /* empty: never given */
    struct span password_hash;
    bool is_admin;
    bool is_active;
    int64_t created_at_ns;
};

struct auth_user_new {
    struct span username;
    struct span email;
    struct span full_name;     /* may be empty */
    struct span password_hash; /* see crypto_password_hash */
    bool is_admin;
};

/* What must be unique: lower case, no blanks around. In the arena; {NULL, 0} when it is full. */
struct span auth_key_of(struct span name, struct arena *arena);

/* ERR_TAKEN when the e-mail address or username is in use: *ret_field says which. */
PC_CHECKED enum err auth_user_create(struct store_conn *conn, const struct auth_user_new *user,
                                     int64_t now_ns, struct arena *arena, int64_t *ret_id,
                                     const char **ret_field);
PC_CHECKED enum err auth_user_by_email(struct store_conn *conn, struct span email,
                                       struct arena *arena, struct auth_user *ret_user);
PC_CHECKED enum err auth_user_by_id(struct store_conn *conn, int64_t id, struct arena *arena,
                                    struct auth_user *ret_user);

/* Up to `limit` users with an id above `after`, in the order of their ids. */
PC_CHECKED enum err auth_user_list(struct store_conn *conn, int64_t after, size_t limit,
                                   struct arena *arena, struct auth_user **ret_users,
                                   size_t *ret_count);
PC_CHECKED enum err auth_user_count(struct store_conn *conn, int64_t *ret_count);

struct auth_user_change {
    bool is_active, sets_active;
    bool is_admin, sets_admin;
};

/* ERR_LAST_ADMIN rather than leave nobody in charge. Deactivating ends the user's sessions. */
PC_CHECKED enum err auth_user_update(struct store_conn *conn, int64_t id,
                                     const struct auth_user_change *change, int64_t now_ns,
                                     struct arena *arena, struct auth_user *ret_user);

/* The hash of a new user's password; 422 that names the field `password` where the service asks for
 * another. On a hash thread. */
PC_CHECKED enum err auth_password_new(const struct auth *auth, struct http_request *req,
                                      struct span password, struct span username,
                                      char ret_hash[CRYPTO_PASSWORD_HASH_BYTES]);

/* The same password in a newer format: nothing else changes. */
PC_CHECKED enum err auth_user_rehash(struct store_conn *conn, int64_t id, struct span hash);

/* A new password ends every session of the user. */
PC_CHECKED enum err auth_user_set_password(struct store_conn *conn, int64_t id, struct span hash,
                                           int64_t now_ns);

/* Creates the users of the development environment if there is nobody yet. *ret_created: how many.
 */
PC_CHECKED enum err auth_seed(struct store *store, const struct auth_options *options,
                              size_t *ret_created);

/* ---- scopes and roles -------------------------------------------------------------------------
 * What a user may ever do is what their roles may; a token of a client may do the part of it that
 * the client asked for and the user agreed to. A user's own session may do all of it. */

struct auth_scope {
    const char *name;
    const char *roles;   /* who may hold it: "auditor admin"; NULL: every user; "": no user */
    const char *consent; /* "See your payments"; NULL: never asked for by users */
};
extern const struct auth_scope auth_scopes[]; /* ends with a NULL name */
extern const char *const auth_roles[];        /* ends with NULL: customer, payments, … */

/* The scopes that somebody with these roles may hold, separated by spaces. In the arena. */
PC_CHECKED enum err auth_scopes_of_roles(struct span roles, struct arena *arena,
                                         struct span *ret_scopes);
/* The user's roles as a list: the row's, and "admin" for an administrator. In the arena. */
PC_CHECKED enum err auth_roles_of_user(struct store_conn *conn, int64_t user_id,
                                       struct arena *arena, struct span *ret_roles);
/* The same from what a row of users holds. */
PC_CHECKED enum err auth_roles_join(struct span role, bool is_admin, struct arena *arena,
                                    struct span *ret_roles);
/* These roles and no others; "admin" among them makes an administrator. ERR_VALIDATION for a name
 * that is no role; ERR_LAST_ADMIN, ERR_NOT_FOUND. Cached rights are read again. */
PC_CHECKED enum err auth_user_set_roles(struct store_conn *conn, int64_t user_id, struct span roles,
                                        int64_t now_ns, struct arena *arena,
                                        struct auth_user *ret_user);

/* ---- signing in with a password ---------------------------------------------------------------
 * The one way in, for every page and grant: the same check, the same budgets of failures.
 *
 *   auth_login_look    READ   the user, and whether an attempt is let in: ERR_LOCKED
 *   auth_login_verify  HASH   the password: ERR_CREDENTIALS, ERR_INACTIVE
 *   auth_login_settle  WRITE  still active, still the same password; a better hash is kept
 *   auth_login_over    LOOP   once, in http_finally, with what became of it: the budgets learn
 *
 * Each of the three refusals is recorded in the trail by auth_login_refused (WRITE), after which
 * the caller answers with http_refuse; after ERR_LOCKED the answer has its Retry-After, and of many
 * such attempts one a minute is recorded, with how many there were. Success is recorded by the
 * caller, who knows what was opened. auth_login_over takes ERR_OK, ERR_CREDENTIALS, and anything
 * else for an attempt that was never decided; a password that was found wrong counts whatever it
 * takes, also when the refusal could not be recorded. */
struct auth_login {
    struct span email, password; /* the caller's; they must live as long as the request */
    struct auth_user user;
    bool found, attempted, rehashed;
    bool wrong;            /* the password, whatever else becomes of the attempt */
    bool counted, is_news; /* of an attempt that was not let in: is it recorded? */
    uint32_t untold;       /* others like it that were not */
    struct limit_guess_attempt attempt;
    char hash[CRYPTO_PASSWORD_HASH_BYTES];
};
PC_CHECKED enum err auth_login_look(struct auth *auth, struct http_request *req,
                                    struct auth_login *login);
PC_CHECKED enum err auth_login_verify(struct auth *auth, struct http_request *req,
                                      struct auth_login *login);
PC_CHECKED enum err auth_login_settle(struct auth *auth, struct http_request *req,
                                      struct auth_login *login);
PC_CHECKED enum err auth_login_refused(struct auth *auth, struct http_request *req,
                                       struct auth_login *login, struct span client_id,
                                       enum err why);
void auth_login_over(struct auth *auth, struct http_request *req, struct auth_login *login,
                     enum err err);

/* ---- what other folders build on --------------------------------------------------------------
 */

/* One row of the feed: `subject` is a user's id or minus a client's key; 0: everybody's business.
 */
PC_CHECKED enum err auth_change_add(struct store_conn *conn, int64_t subject,
                                    struct span session_id, const char *what, int64_t now_ns);

/* A session of the user at a client ("browser", or an OAuth client's id). */
struct auth_session_new {
    struct span id;
    int64_t user_id;
    struct span client;  /* empty: the gateway's own */
    struct span address; /* may be empty */
    int64_t expires_at_ns;
};
PC_CHECKED enum err auth_session_add(struct store_conn *conn,
                                     const struct auth_session_new *session, int64_t now_ns);
PC_CHECKED enum err auth_session_end(struct store_conn *conn, struct span session_id,
                                     int64_t user_id, const char *reason, int64_t now_ns);
PC_CHECKED enum err auth_sessions_end_all(struct store_conn *conn, int64_t user_id,
                                          const char *reason, int64_t now_ns);

/* Hands an event to the trail: actor, address and request id are the request's. `user_id` 0: the
 * principal's, or unknown. */
struct auth_event {
    enum trail_event event;
    enum trail_outcome outcome;
    int64_t user_id;
    struct span client_id;
    struct span object;
    struct span reason;
};
PC_CHECKED enum err auth_record(struct http_request *req, const struct auth_event *event);

/* A statement that deletes at most ?2 rows that were over before ?1; repeated, a commit each, until
 * it deletes less. */
struct auth_sweep {
    const struct store_statement *statement;
    int64_t keep_s; /* after they were over */
};

/* ---- the feed of changes ----------------------------------------------------------------------
 */

/* Follows identity_changes on behalf of this process, tells http/ which users changed, and clears
 * away what is long over. Looks once before it returns, then runs on a thread of its own. */
struct auth_feed;
struct auth_feed_options {
    struct store *store;
    struct http_engine *engine;
    const struct clock *clock;
    struct logger *logger;           /* may be NULL */
    const struct auth_sweep *sweeps; /* of other folders, besides our own */
    size_t sweep_count;
    /* A change that is everybody's (subject 0) by its name, before what is cached is forgotten; at
     * the start those of the last day. On its thread; NULL: nobody asks. */
    void (*changed)(void *context, struct span what);
    void (*minute)(void *context); /* once a minute, for what falls due; the same thread; or NULL */
    void *context;
};
PC_CHECKED enum err auth_feed_start(const struct auth_feed_options *options,
                                    struct auth_feed **ret_feed);
void auth_feed_stop(struct auth_feed *feed); /* accepts NULL */

#endif
