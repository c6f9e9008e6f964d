/* SPDX-License-Identifier: MIT
 * What auth/ makes once at start: the guess defence, a hash for unknown users, and, in development,
 * the first users. */
#include "auth/auth.h"

#include "auth/auth_priv.h"
#include "base/alloc.h"

static const struct metric_def logins_def = {.name = "auth_logins_total",
                                             .help = "Login attempts by result.",
                                             .kind = METRIC_COUNTER,
                                             .labels = {"result"}};

enum err auth_new(const struct auth_options *options, struct auth **ret_auth)
{
    static const char *const results[] = {"ok", "failed", "locked"};
    const struct limit_guess_options guess = {0};
    struct auth *auth = alloc_zero(sizeof(*auth));
    enum err err;

    if (auth == NULL)
        return ERR_NO_MEMORY;
    auth->options = *options;
    PC_ASSERT(pthread_mutex_init(&auth->lock, NULL) == 0);
    err = limit_guess_new(&guess, options->random, &auth->guess);
    if (!err)
        err = crypto_password_dummy(&options->policy, options->random, auth->dummy_hash);
    if (!err)
        err = metric_register(options->metrics, &logins_def, &auth->logins);
    if (err) {
        auth_free(auth);
        return err;
    }
    for (size_t i = 0; i < PC_COUNT(results); i++) {
        struct span label = span_from(results[i]);

        auth->login_results[i] = metric_series(auth->logins, &label, 1);
    }
    *ret_auth = auth;
    return ERR_OK;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    limit_guess_free(auth->guess);
    (void)pthread_mutex_destroy(&auth->lock);
    alloc_free(auth);
}

/* ---- development ------------------------------------------------------------------------------
 */

enum { SEEDS = 3, SEED_ARENA_BYTES_MAX = 64 * 1024 };

/* Contract, section 6. This administrator may look at everything, the audit log too. */
static const struct {
    const char *username, *email, *password, *role;
    bool is_admin;
} seeds[SEEDS] = {
    {"admin", "admin@example.com", "admin123", "auditor admin", true},
    {"user", "user@example.com", "user123", "customer", false},
    {"analyst", "analyst@example.com", "P@ssw0rd!", "payments", false},
};

struct seeding {
    char hashes[SEEDS][CRYPTO_PASSWORD_HASH_BYTES];
    int64_t now_ns;
    size_t created;
};

static enum err seed_record(struct store_conn *conn, const struct seeding *seeding, int64_t id)
{
    struct trail_record record = {.event = TRAIL_USER_REGISTERED,
                                  .outcome = TRAIL_DONE,
                                  .at_ns = seeding->now_ns,
                                  .actor_kind = TRAIL_ACTOR_SYSTEM,
                                  .actor = SPAN("system"),
                                  .reason = SPAN("first start in development")};
    char object[AUTH_OBJECT_BYTES_MAX];
    struct sbuf out = sbuf_over(object, sizeof(object));

    sbuf_add_lit(&out, "user:");
    sbuf_add_i64(&out, id);
    record.object = sbuf_span(&out);
    return trail_add(conn, &record);
}

static enum err seed_one(struct store_conn *conn, const struct seeding *seeding, size_t i,
                         struct arena *arena)
{
    const struct auth_user_new user = {.username = span_from(seeds[i].username),
                                       .email = span_from(seeds[i].email),
                                       .password_hash = span_from(seeding->hashes[i]),
                                       .is_admin = seeds[i].is_admin};
    struct auth_user made;
    const char *field;
    int64_t id;
    enum err err = auth_user_create(conn, &user, seeding->now_ns, arena, &id, &field);

    if (!err)
        err =
            auth_user_set_roles(conn, id, span_from(seeds[i].role), seeding->now_ns, arena, &made);
    if (!err)
        err = seed_record(conn, seeding, id);
    return err;
}

/* Nodes that start at once take turns, so that none draws an id which a rollback then loses: the
 * contract numbers these users from 1. The embedded writer is alone anyway. */
static const struct store_statement users_turn = {
    .name = "users_turn",
    .sqlite = "UPDATE users SET is_admin = is_admin WHERE id < 0",
    .postgres = "LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"};

static enum err seed_run(struct store_conn *conn, struct store_job *job)
{
    struct seeding *seeding = job->context;
    struct arena arena;
    int64_t count = 0;
    enum err err = store_exec(conn, &users_turn, NULL, 0, NULL);

    seeding->created = 0;
    if (!err)
        err = auth_user_count(conn, &count);
    if (err || count > 0)
        return err;
    arena_init(&arena, NULL, 0, SEED_ARENA_BYTES_MAX);
    for (size_t i = 0; i < SEEDS && !err; i++)
        err = seed_one(conn, seeding, i, &arena);
    arena_reset(&arena);
    if (!err)
        seeding->created = SEEDS;
    return err;
}

static enum err count_run(struct store_conn *conn, struct store_job *job)
{
    return auth_user_count(conn, job->context);
}

enum err auth_seed(struct store *store, const struct auth_options *options, size_t *ret_created)
{
    struct seeding seeding = {.now_ns = clock_realtime_ns(options->clock)};
    int64_t count;
    enum err err = store_do(store, count_run, &count, false);

    *ret_created = 0;
    if (err || count > 0)
        return err; /* no need to hash anything */
    for (size_t i = 0; i < SEEDS; i++) {
        err = crypto_password_hash(&options->policy, options->random, span_from(seeds[i].password),
                                   seeding.hashes[i]);
        if (err)
            return err;
    }
    err = store_do(store, seed_run, &seeding, true);
    if (!err)
        *ret_created = seeding.created;
    return err;
}
