/* SPDX-License-Identifier: MIT
 * Clearing away on both databases: what is over goes, what lives stays, and however much there is,
 * no commit takes more than its bound and others write in between. */
#include "auth/auth_test_kit.h"

#include <pthread.h>

enum { MANY = 100000, SESSIONS = 10 };

/* A clock that stands where the test wants it. */
static int64_t now_ns;

static int64_t clock_ns(void *context)
{
    (void)context;
    return now_ns;
}

static const struct clock clock_still = {.monotonic_ns = clock_ns, .realtime_ns = clock_ns};

static struct auth_sweeper sweeper;

static void sweeper_begin(const struct auth_sweep *sweeps, size_t count)
{
    const struct auth_sweeper_options options = {
        .store = bench.store, .clock = &clock_still, .sweeps = sweeps, .sweep_count = count};

    now_ns = T0;
    auth_sweeper_init(&sweeper, &options);
    assert_int_equal(auth_sweeper_tick(&sweeper), AUTH_SWEEP_REST_MS); /* not at once */
    now_ns += AUTH_SWEEP_PERIOD_S * CLOCK_NS_PER_S;
}

/* One step, and waits for it; false when the round is over. */
static bool step(void)
{
    bool running = true;

    if (auth_sweeper_tick(&sweeper) == AUTH_SWEEP_REST_MS)
        return false;
    while (running) {
        assert_int_equal(pthread_mutex_lock(&sweeper.lock), 0);
        running = sweeper.running;
        assert_int_equal(pthread_mutex_unlock(&sweeper.lock), 0);
    }
    return true;
}

static void sweep_all(void)
{
    sweeper_begin(NULL, 0);
    while (step())
        continue;
    auth_sweeper_stop(&sweeper);
}

static const struct store_statement tokens_count = {
    .name = "test_tokens", .sqlite = "SELECT count(*) FROM refresh_tokens"};
static const struct store_statement sessions_count = {.name = "test_sessions",
                                                      .sqlite = "SELECT count(*) FROM sessions"};
static const struct store_statement changes_count = {
    .name = "test_changes", .sqlite = "SELECT count(*) FROM identity_changes"};
static const struct store_statement pairs_count = {
    .name = "test_pairs",
    .sqlite = "SELECT count(*) FROM refresh_tokens WHERE successor_pair IS NOT NULL"};

/* ---- what goes and what stays -----------------------------------------------------------------
 */

static const struct store_statement session_row = {
    .name = "test_session_row",
    .sqlite = "INSERT INTO sessions (id, user_id, created_at, expires_at, client) "
              "VALUES (?1, ?2, 1, ?3, ?4)"};
static const struct store_statement token_row = {
    .name = "test_token_row",
    .sqlite = "INSERT INTO refresh_tokens (id, session_id, issued_at, expires_at, used_at, "
              "successor_pair, grace_until) VALUES (?1, ?2, 1, ?3, 1, ?4, ?5)"};

struct rows {
    int64_t user_id;
    const char *session, *client, *token;
    int64_t session_until_ns, token_until_ns, grace_until_ns;
};

static enum err rows_steps(struct store_conn *conn, void *context)
{
    const struct rows *rows = context;
    enum err err =
        store_exec(conn, &session_row,
                   STORE_PARAMS(STORE_TEXT(span_from(rows->session)), STORE_I64(rows->user_id),
                                STORE_I64(rows->session_until_ns),
                                STORE_TEXT_OR_NULL(span_from(rows->client))),
                   NULL);

    if (err || rows->token == NULL)
        return err;
    return store_exec(conn, &token_row,
                      STORE_PARAMS(STORE_TEXT(span_from(rows->token)),
                                   STORE_TEXT(span_from(rows->session)),
                                   STORE_I64(rows->token_until_ns), STORE_BLOB(SPAN_OF("sealed")),
                                   STORE_I64(rows->grace_until_ns)),
                      NULL);
}

#define DAY (INT64_C(86400) * CLOCK_NS_PER_S)

static void what_is_over_goes_and_what_lives_stays(void **state)
{
    struct rows cases[] = {
        /* Over for more than a day: both go. */
        {.session = "old", .token = "old", .session_until_ns = T0 - 2 * DAY, .token_until_ns = 1},
        /* Over since an hour: both stay, without the pair. */
        {.session = "late",
         .token = "late",
         .session_until_ns = T0 - DAY / 24,
         .token_until_ns = T0 - DAY / 24,
         .grace_until_ns = T0 - 1},
        /* In its grace. */
        {.session = "new",
         .token = "new",
         .session_until_ns = T0 + DAY,
         .token_until_ns = T0 + DAY,
         .grace_until_ns = T0 + DAY},
        /* A session is never cleared away under a token that lives. */
        {.session = "odd",
         .token = "odd",
         .session_until_ns = T0 - 2 * DAY,
         .token_until_ns = T0 + DAY,
         .grace_until_ns = T0 - 1},
        /* Of a client: not ours to clear away. */
        {.session = "grant", .client = "web-portal", .session_until_ns = 1},
    };
    int64_t user_id = create("anna", "anna@example.com", false);

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        cases[i].user_id = user_id;
        assert_int_equal(writing(bench.store, rows_steps, &cases[i]), ERR_OK);
    }
    sweep_all();
    assert_int_equal(number_of(&sessions_count), 4);
    assert_int_equal(number_of(&tokens_count), 3);
    assert_int_equal(number_of(&pairs_count), 1);
}

/* ---- very much --------------------------------------------------------------------------------
 */

/* All of them over, on a few sessions: each session has thousands that would go with it. */
static const struct store_statement many_sessions = {
    .name = "test_many_sessions",
    .sqlite = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) "
              "INSERT INTO sessions (id, user_id, created_at, expires_at) "
              "SELECT 's' || i, ?1, 1, 1 FROM n",
    .postgres = "INSERT INTO sessions (id, user_id, created_at, expires_at) "
                "SELECT 's' || i, $1, 1, 1 FROM generate_series(1, $2::bigint) AS i"};
static const struct store_statement many_tokens = {
    .name = "test_many_tokens",
    .sqlite = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
              "INSERT INTO refresh_tokens (id, session_id, issued_at, expires_at) "
              "SELECT 't' || i, 's' || (1 + i % ?2), 1, 1 FROM n",
    .postgres = "INSERT INTO refresh_tokens (id, session_id, issued_at, expires_at) "
                "SELECT 't' || i, 's' || (1 + i % $2::bigint), 1, 1 "
                "FROM generate_series(1, $1::bigint) AS i"};

static enum err many_steps(struct store_conn *conn, void *context)
{
    const int64_t *user_id = context;
    enum err err = store_exec(conn, &many_sessions,
                              STORE_PARAMS(STORE_I64(*user_id), STORE_I64(SESSIONS)), NULL);

    if (err)
        return err;
    return store_exec(conn, &many_tokens, STORE_PARAMS(STORE_I64(MANY), STORE_I64(SESSIONS)), NULL);
}

static enum err change_steps(struct store_conn *conn, void *context)
{
    (void)context;
    return auth_change_add(conn, 7, (struct span){0}, "rights", T0);
}

/* Each step is looked at from outside: what went with it, and that a write of somebody else got in
 * before the next. */
static void very_much_goes_in_small_steps(void **state)
{
    int64_t user_id = create("anna", "anna@example.com", false);
    int64_t before = MANY + SESSIONS;
    int64_t steps = 0;

    (void)state;
    assert_int_equal(writing(bench.store, many_steps, &user_id), ERR_OK);
    sweeper_begin(NULL, 0);
    while (step()) {
        int64_t left = number_of(&tokens_count) + number_of(&sessions_count);

        if (before - left > AUTH_SWEEP_ROWS)
            fail_msg("step %lld took %lld rows", (long long)steps, (long long)(before - left));
        before = left;
        steps++;
        assert_int_equal(writing(bench.store, change_steps, NULL), ERR_OK);
    }
    auth_sweeper_stop(&sweeper);
    assert_int_equal(before, 0);
    assert_in_range(steps, MANY / AUTH_SWEEP_ROWS, MANY / AUTH_SWEEP_ROWS + 8);
    assert_int_equal(number_of(&changes_count), steps); /* they are of today */
}

/* ---- trouble ----------------------------------------------------------------------------------
 */

static const struct store_statement refused = {
    .name = "test_refused", .sqlite = "DELETE FROM users WHERE created_at > ?1 OR id = ?2"};

/* A table that cannot be cleared keeps the others from nothing. */
static void a_step_that_fails_is_left_for_later(void **state)
{
    static const struct auth_sweep sweeps[] = {{.statement = &refused}};
    struct rows rows = {.session = "held", .session_until_ns = T0 + DAY};
    struct rows old = {.session = "old", .session_until_ns = 1};

    (void)state;
    rows.user_id = old.user_id = create("anna", "anna@example.com", false);
    assert_int_equal(writing(bench.store, rows_steps, &rows), ERR_OK);
    assert_int_equal(writing(bench.store, rows_steps, &old), ERR_OK);
    sweeper_begin(sweeps, PC_COUNT(sweeps));
    while (step())
        continue;
    auth_sweeper_stop(&sweeper);
    assert_int_equal(number_of(&sessions_count), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_over_goes_and_what_lives_stays),
        T(very_much_goes_in_small_steps),
        T(a_step_that_fails_is_left_for_later),
    };
#undef T

    return cmocka_run_group_tests_name("auth_sweep", tests, NULL, NULL);
}
