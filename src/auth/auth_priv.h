/* SPDX-License-Identifier: MIT
 * What the files of auth/ share among themselves. */
#ifndef PC_AUTH_AUTH_PRIV_H
#define PC_AUTH_AUTH_PRIV_H

#include "auth/auth.h"
#include <pthread.h>

#include "crypto/jwt.h"

enum auth_token_type { AUTH_TOKEN_ACCESS, AUTH_TOKEN_REFRESH };

/* A budget of failures that is used up, and when that was last recorded. */
struct auth_locked {
    uint64_t key;
    int64_t told_ns;
    uint32_t untold; /* attempts since */
};
enum { AUTH_LOCKED_SLOTS = 1024, AUTH_LOCKED_PERIOD_S = 60 };

struct auth {
    struct auth_options options;
    pthread_mutex_t lock;
    struct auth_locked locked[AUTH_LOCKED_SLOTS]; /* under lock */
    struct limit_guess *guess;
    char dummy_hash[CRYPTO_PASSWORD_HASH_BYTES];
    struct metric *logins;
    struct metric_series *login_results[3]; /* ok, failed, locked */
};

/* What is between the signature and the store: the ids that a pair of tokens carries. */
struct auth_pair_ids {
    char session[AUTH_ID_BYTES];
    char access[AUTH_ID_BYTES];
    char refresh[AUTH_ID_BYTES];
};

/* What a client gets. */
struct auth_pair {
    struct span access_token, refresh_token, token_type;
    int64_t expires_in;
};
extern const struct json_schema auth_pair_schema;

/* auth_record.c */
enum { AUTH_ID_TEXT_BYTES = 24, AUTH_OBJECT_BYTES_MAX = 128 };
struct span auth_id_text(int64_t id, char room[AUTH_ID_TEXT_BYTES]);
/* When, where from and by which request. */
struct trail_record auth_record_begin(const struct http_request *req, enum trail_event event,
                                      enum trail_outcome outcome);
/* The same with its user and object: "session:" or "user:" and what follows. */
PC_CHECKED enum err auth_record_on(struct http_request *req, enum trail_event event,
                                   int64_t user_id, const char *kind, struct span id,
                                   const char *reason);

/* auth_token.c */
PC_CHECKED enum err auth_pair_sign(const struct auth *auth, const struct auth_user *user,
                                   const struct auth_pair_ids *ids, int64_t now_s,
                                   struct arena *arena, struct auth_pair *ret_pair);
/* The claims of a refresh token whose signature and time are good. */
struct auth_refresh_claims {
    struct span token_id, session_id;
    int64_t user_id;
    int64_t expires_at_s;
};
PC_CHECKED enum err auth_refresh_verify(const struct auth *auth, struct span token, int64_t now_s,
                                        struct arena *arena, struct auth_refresh_claims *ret);
/* Where signing may run: RSA is too slow for a loop. */
enum http_run auth_sign_run(const struct auth *auth);

/* auth_session.c */
PC_CHECKED enum err auth_session_open(struct store_conn *conn, int64_t user_id,
                                      const struct auth_pair_ids *ids, struct span address,
                                      int64_t now_ns, int64_t refresh_s);
PC_CHECKED enum err auth_session_known(struct store_conn *conn, int64_t user_id,
                                       struct span address, bool *ret_known);

/* A refresh token as the store has it. */
struct auth_refresh {
    struct auth_user user;
    bool session_over;
    int64_t expires_at_ns;
    bool used;
    int64_t grace_until_ns;
    struct span sealed_pair; /* while in grace */
};
PC_CHECKED enum err auth_refresh_find(struct store_conn *conn, struct span token_id,
                                      struct span session_id, struct arena *arena,
                                      struct auth_refresh *ret);
/* ERR_CONFLICT when it was used in the meantime. */
PC_CHECKED enum err auth_refresh_use(struct store_conn *conn, struct span token_id,
                                     struct span session_id, const struct auth_pair_ids *next,
                                     struct span sealed_pair, int64_t now_ns, int64_t grace_s,
                                     int64_t refresh_s);

/* auth_sweep.c */
enum {
    AUTH_SWEEPS = 4,
    AUTH_SWEEP_ROWS = 500,     /* of one commit */
    AUTH_SWEEP_PAUSE_MS = 20,  /* between two */
    AUTH_SWEEP_REST_MS = 1000, /* between two looks whether it is time */
    AUTH_SWEEP_PERIOD_S = 60,  /* from the beginning of a round to that of the next */
};
extern const struct auth_sweep auth_sweeps[AUTH_SWEEPS];

struct auth_sweeper_options {
    struct store *store;
    const struct clock *clock;
    struct logger *logger;           /* may be NULL */
    const struct auth_sweep *sweeps; /* of other folders: before our own */
    size_t sweep_count;
};

/* One thread drives it; the step itself runs on the store's. */
struct auth_sweeper {
    struct auth_sweeper_options options;
    struct store_job job;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool running;              /* under lock: a step is on its way */
    bool asked;                /* its result was not looked at yet */
    size_t at;                 /* which sweep is next; SIZE_MAX: resting */
    int64_t round_ns;          /* monotonic: when the round began */
    int64_t round_realtime_ns; /* one moment for the whole round */
    int64_t before_ns;
    int64_t changed; /* by the last step */
};
void auth_sweeper_init(struct auth_sweeper *sweeper, const struct auth_sweeper_options *options);
/* Takes the next step if it is time; never waits. In how many milliseconds to come again. */
int64_t auth_sweeper_tick(struct auth_sweeper *sweeper);
void auth_sweeper_stop(struct auth_sweeper *sweeper); /* waits for the step on its way */

#endif
