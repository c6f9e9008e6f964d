/* SPDX-License-Identifier: MIT
 * What the issuer clears away, on both databases: each sweep takes what is over, at most so many
 * rows at once, and leaves what lives. */
#include "auth/auth_test_kit.h"
#include "oauth/oauth_priv.h"

enum { LIMIT = 3, OLD = 7 };

static const struct store_statement client_add = {
    .name = "test_client_add",
    .sqlite = "INSERT INTO oauth_clients (id, client_id, client_name, auth_method, grants, scopes, "
              "roles, created_at, updated_at) VALUES (1, 'web', 'Web', 'none', '', '', '', 0, 0)"};

/* A row number ?1 that is over at ?2. */
static const struct {
    const char *table;
    struct store_statement add, count;
} tables[] = {
    {"oauth_refresh_tokens, their replies",
     {.name = "test_reply",
      .sqlite = "INSERT INTO oauth_refresh_tokens (hash, session_id, issued_at, expires_at, "
                "used_at, reply, grace_until) VALUES (CAST('r' || ?1 AS blob), 'held', 1, "
                "9000000000000000000, 1, CAST('sealed' AS blob), ?2)",
      .postgres = "INSERT INTO oauth_refresh_tokens (hash, session_id, issued_at, expires_at, "
                  "used_at, reply, grace_until) VALUES (('r' || $1::bigint)::bytea, 'held', 1, "
                  "9000000000000000000, 1, 'sealed', $2)"},
     {.name = "test_replies",
      .sqlite = "SELECT count(*) FROM oauth_refresh_tokens WHERE reply IS NOT NULL"}},
    {"oauth_codes",
     {.name = "test_code",
      .sqlite = "INSERT INTO oauth_codes (hash, client, user_id, login_session, redirect_uri, "
                "challenge, scope, auth_at, created_at, expires_at) "
                "VALUES (CAST('c' || ?1 AS blob), 1, 1, 's', 'u', 'c', '', 0, 0, ?2)",
      .postgres = "INSERT INTO oauth_codes (hash, client, user_id, login_session, redirect_uri, "
                  "challenge, scope, auth_at, created_at, expires_at) "
                  "VALUES (('c' || $1::bigint)::bytea, 1, 1, 's', 'u', 'c', '', 0, 0, $2)"},
     {.name = "test_codes", .sqlite = "SELECT count(*) FROM oauth_codes"}},
    {"oauth_refresh_tokens",
     {.name = "test_token",
      .sqlite = "INSERT INTO oauth_refresh_tokens (hash, session_id, issued_at, expires_at) "
                "VALUES (CAST('t' || ?1 AS blob), 'held', 1, ?2)",
      .postgres = "INSERT INTO oauth_refresh_tokens (hash, session_id, issued_at, expires_at) "
                  "VALUES (('t' || $1::bigint)::bytea, 'held', 1, $2)"},
     {.name = "test_tokens",
      .sqlite = "SELECT count(*) FROM oauth_refresh_tokens WHERE used_at IS NULL"}},
    {"oauth_assertions",
     {.name = "test_assertion",
      .sqlite = "INSERT INTO oauth_assertions (client, jti, expires_at) "
                "VALUES (1, CAST('a' || ?1 AS blob), ?2)",
      .postgres = "INSERT INTO oauth_assertions (client, jti, expires_at) "
                  "VALUES (1, ('a' || $1::bigint)::bytea, $2)"},
     {.name = "test_assertions", .sqlite = "SELECT count(*) FROM oauth_assertions"}},
    {"oauth_revoked",
     {.name = "test_revoked",
      .sqlite = "INSERT INTO oauth_revoked (jti, expires_at) VALUES ('j' || ?1, ?2)",
      .postgres = "INSERT INTO oauth_revoked (jti, expires_at) VALUES ('j' || $1::bigint, $2)"},
     {.name = "test_revocations", .sqlite = "SELECT count(*) FROM oauth_revoked"}},
    {"sessions",
     {.name = "test_session",
      .sqlite = "INSERT INTO sessions (id, user_id, created_at, expires_at, client) "
                "VALUES ('s' || ?1, 1, 1, ?2, 'web')",
      .postgres = "INSERT INTO sessions (id, user_id, created_at, expires_at, client) "
                  "VALUES ('s' || $1::bigint, 1, 1, $2, 'web')"},
     {.name = "test_sessions", .sqlite = "SELECT count(*) FROM sessions WHERE id LIKE 's%'"}},
};

/* A session whose own time is over, though a token of it lives. */
static const struct store_statement held_add = {
    .name = "test_held",
    .sqlite = "INSERT INTO sessions (id, user_id, created_at, expires_at, client) "
              "VALUES ('held', 1, 1, 1, 'web')"};
static const struct store_statement ours_add = {
    .name = "test_ours",
    .sqlite = "INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ('o', 1, 1, 1)"};
static const struct store_statement live_token = {
    .name = "test_live_token",
    .sqlite = "INSERT INTO oauth_refresh_tokens (hash, session_id, issued_at, expires_at, used_at) "
              "VALUES (CAST('live' AS blob), 'held', 1, 9000000000000000000, 1)",
    .postgres = "INSERT INTO oauth_refresh_tokens (hash, session_id, issued_at, expires_at, "
                "used_at) VALUES ('live', 'held', 1, 9000000000000000000, 1)"};
static const struct store_statement held_count = {
    .name = "test_held_count", .sqlite = "SELECT count(*) FROM sessions WHERE id IN ('held', 'o')"};

static int setup(void **state)
{
    if (bench_setup(state) != 0)
        return -1;
    assert_int_equal(create("anna", "anna@example.com", false), 1);
    kit_exec(bench.store, &client_add);
    kit_exec(bench.store, &held_add);
    kit_exec(bench.store, &ours_add);
    kit_exec(bench.store, &live_token);
    return 0;
}

struct adding {
    const struct store_statement *statement;
    int64_t number, until_ns;
};

static enum err add_steps(struct store_conn *conn, void *context)
{
    const struct adding *adding = context;

    return store_exec(conn, adding->statement,
                      STORE_PARAMS(STORE_I64(adding->number), STORE_I64(adding->until_ns)), NULL);
}

static void add(const struct store_statement *statement, int64_t number, int64_t until_ns)
{
    struct adding adding = {.statement = statement, .number = number, .until_ns = until_ns};

    assert_int_equal(writing(bench.store, add_steps, &adding), ERR_OK);
}

struct sweeping {
    const struct store_statement *statement;
    int64_t changed;
};

static enum err sweep_steps(struct store_conn *conn, void *context)
{
    struct sweeping *sweeping = context;

    return store_exec(conn, sweeping->statement, STORE_PARAMS(STORE_I64(T0), STORE_I64(LIMIT)),
                      &sweeping->changed);
}

static int64_t sweep(size_t i)
{
    struct sweeping sweeping = {.statement = oauth_sweeps[i].statement};

    assert_int_equal(writing(bench.store, sweep_steps, &sweeping), ERR_OK);
    return sweeping.changed;
}

static void each_takes_what_is_over_step_by_step(void **state)
{
    (void)state;
    assert_int_equal(oauth_sweep_count, PC_COUNT(tables));
    for (size_t i = 0; i < PC_COUNT(tables); i++) {
        for (int64_t number = 0; number < OLD; number++)
            add(&tables[i].add, number, T0 - 1);
        add(&tables[i].add, OLD, T0);
        add(&tables[i].add, OLD + 1, T0 + 1);
        for (int64_t left = OLD; left > 0; left -= LIMIT) {
            int64_t changed = sweep(i);

            if (changed != (left < LIMIT ? left : LIMIT))
                fail_msg("%s: %lld of %lld", tables[i].table, (long long)changed, (long long)left);
        }
        assert_int_equal(sweep(i), 0);
        assert_int_equal(number_of(&tables[i].count), 2);
    }
    assert_int_equal(number_of(&held_count), 2); /* a live token holds it; the other is auth's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_takes_what_is_over_step_by_step, setup,
                                        bench_teardown),
    };

    return cmocka_run_group_tests_name("oauth_sweep", tests, NULL, NULL);
}
