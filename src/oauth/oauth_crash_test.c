/* SPDX-License-Identifier: MIT
 * Sudden death while codes and refresh tokens are used: a child does nothing else and is killed at
 * random moments, again and again, on one database. Whatever it was told, or was about to be told,
 * each code gave at most one grant, each chain of refresh tokens has one newest link, and nothing
 * that worked works again. */
#include "auth/auth_test_kit.h"

#include <signal.h>
#include <time.h>

#include "oauth/oauth_priv.h"

enum { KILLS = 12, CHAINS = 16, ACKS_MAX = 20000, REFRESH_S = 7 * 86400 };

static const struct store_statement client_add = {
    .name = "test_client_add",
    .sqlite = "INSERT INTO oauth_clients (client_id, client_name, auth_method, grants, scopes, "
              "roles, created_at, updated_at) VALUES ('web', 'Web', 'none', '', '', '', 0, 0)"};
static const struct store_statement client_key = {.name = "test_client_key",
                                                  .sqlite = "SELECT id FROM oauth_clients"};
/* A grant for which no code says so, or two codes say so. */
static const struct store_statement orphans = {
    .name = "test_orphans",
    .sqlite = "SELECT count(*) FROM oauth_grants g WHERE (SELECT count(*) FROM oauth_codes c "
              "WHERE c.session_id = g.session_id) <> 1"};
static const struct store_statement ghosts = {
    .name = "test_ghosts",
    .sqlite = "SELECT count(*) FROM oauth_codes c WHERE c.session_id IS NOT NULL AND NOT EXISTS "
              "(SELECT 1 FROM oauth_grants g WHERE g.session_id = c.session_id)"};
/* A grant whose chain has no newest token, or two. */
static const struct store_statement forks = {
    .name = "test_forks",
    .sqlite = "SELECT count(*) FROM oauth_grants g WHERE (SELECT count(*) FROM "
              "oauth_refresh_tokens r WHERE r.session_id = g.session_id AND r.used_at IS NULL) "
              "<> 1"};
static const struct store_statement grants_count = {.name = "test_grants",
                                                    .sqlite = "SELECT count(*) FROM oauth_grants"};

/* ---- the child --------------------------------------------------------------------------------
 */

/* One code, from its issue through its exchange to ever newer refresh tokens. */
struct chain {
    struct store_job job;
    unsigned char code[OAUTH_HASH_BYTES], now[OAUTH_HASH_BYTES], next[OAUTH_HASH_BYTES];
    char session[AUTH_ID_BYTES];
    int step; /* 0: issue, 1: exchange, 2...: refresh */
};

/* What the child tells once it was told: this hash is used up. */
struct ack {
    bool is_code;
    unsigned char hash[OAUTH_HASH_BYTES];
};

static struct {
    struct store *store;
    int64_t user_id, client_key;
    int acks;
} child;

static struct oauth_grant grant_of(const struct chain *chain)
{
    return (struct oauth_grant){.session_id = span_make(chain->session, AUTH_ID_BYTES),
                                .client_id = SPAN("web"),
                                .client_key = child.client_key,
                                .user_id = child.user_id,
                                .scope = SPAN("openid"),
                                .expires_at_ns = T0 + REFRESH_S * CLOCK_NS_PER_S};
}

static enum err issue(struct store_conn *conn, const struct chain *chain)
{
    const struct oauth_code code = {.client_key = child.client_key,
                                    .user_id = child.user_id,
                                    .login_session = SPAN("login"),
                                    .redirect_uri = SPAN("uri"),
                                    .challenge = SPAN("challenge"),
                                    .scope = SPAN("openid"),
                                    .expires_at_ns = T0 + 60 * CLOCK_NS_PER_S};

    return oauth_code_add(conn, chain->code, &code, T0);
}

static enum err exchange(struct store_conn *conn, const struct chain *chain)
{
    const struct oauth_grant grant = grant_of(chain);
    enum err err = oauth_grant_open(conn, &grant, chain->now, T0);

    return err ? err : oauth_code_use(conn, chain->code, grant.session_id, T0);
}

static enum err chain_run(struct store_conn *conn, struct store_job *job)
{
    const struct chain *chain = PC_CONTAINER(job, struct chain, job);
    const struct oauth_grant grant = grant_of(chain);

    if (chain->step == 0)
        return issue(conn, chain);
    if (chain->step == 1)
        return exchange(conn, chain);
    return oauth_refresh_use(conn, chain->now, &grant, chain->next, SPAN_OF("sealed"), T0, T0);
}

static void tell(bool is_code, const unsigned char hash[OAUTH_HASH_BYTES])
{
    struct ack ack = {.is_code = is_code};

    memcpy(ack.hash, hash, OAUTH_HASH_BYTES);
    PC_ASSERT(write(child.acks, &ack, sizeof(ack)) == (ssize_t)sizeof(ack));
}

static void begin(struct chain *chain)
{
    random_fill(&random_system, chain->code, OAUTH_HASH_BYTES);
    random_fill(&random_system, chain->now, OAUTH_HASH_BYTES);
    random_uuid(&random_system, chain->session);
    chain->step = 0;
}

/* On the store's thread, after the commit: tells, and goes on with the next link. */
static void chain_done(struct store_job *job)
{
    struct chain *chain = PC_CONTAINER(job, struct chain, job);

    PC_ASSERT(job->err == ERR_OK);
    if (chain->step == 1)
        tell(true, chain->code);
    if (chain->step >= 2) {
        tell(false, chain->now);
        memcpy(chain->now, chain->next, OAUTH_HASH_BYTES);
    }
    random_fill(&random_system, chain->next, OAUTH_HASH_BYTES);
    if (++chain->step > 5)
        begin(chain);
    PC_ASSERT(store_write(child.store, job) == ERR_OK);
}

static void use_until_killed(int fd)
{
    static struct chain chains[CHAINS];

    child.acks = fd;
    PC_ASSERT(store_open(&bench.kit->options, &child.store, NULL) == ERR_OK);
    for (size_t i = 0; i < CHAINS; i++) {
        begin(&chains[i]);
        chains[i].job = (struct store_job){.run = chain_run, .done = chain_done};
        PC_ASSERT(store_write(child.store, &chains[i].job) == ERR_OK);
    }
    for (;;)
        (void)pause();
}

/* ---- the test ---------------------------------------------------------------------------------
 */

static void sleep_ms(long ms)
{
    const struct timespec wait = {.tv_nsec = ms * 1000000};

    (void)nanosleep(&wait, NULL);
}

/* What the child was told until it was killed, some time after the first. */
static size_t reap(pid_t pid, int fd, long ms, struct ack *acks)
{
    size_t count = 0;
    int status;

    assert_int_equal(read(fd, &acks[count++], sizeof(*acks)), (ssize_t)sizeof(*acks));
    sleep_ms(ms);
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (count < ACKS_MAX && read(fd, &acks[count], sizeof(*acks)) == (ssize_t)sizeof(*acks))
        count++;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return count;
}

struct told {
    const struct ack *acks;
    size_t count;
};

/* Nothing that was used up can be used again. */
static enum err all_used_steps(struct store_conn *conn, void *context)
{
    const struct told *told = context;
    const struct chain none = {.session = "another-session-another-session-1234"};
    const struct oauth_grant grant = grant_of(&none);

    for (size_t i = 0; i < told->count; i++) {
        const struct ack *ack = &told->acks[i];
        enum err err = ack->is_code ? oauth_code_use(conn, ack->hash, grant.session_id, T0)
                                    : oauth_refresh_use(conn, ack->hash, &grant, ack->hash,
                                                        SPAN_OF("again"), T0, T0);

        if (err != ERR_CONFLICT)
            return err ? err : ERR_STORE_CORRUPT;
    }
    return ERR_OK;
}

static void nothing_works_twice_after_sigkill(void **state)
{
    static struct ack acks[ACKS_MAX];
    struct random_seeded chance;
    size_t total = 0;

    (void)state;
    child.user_id = create("anna", "anna@example.com", false);
    kit_exec(bench.store, &client_add);
    child.client_key = number_of(&client_key);
    random_seeded_init(&chance, 7);
    for (int round = 0; round < KILLS; round++) {
        struct told told = {.acks = acks};
        unsigned char byte;
        int ends[2];
        pid_t pid;

        store_close(bench.store);
        bench.store = NULL;
        assert_int_equal(pipe(ends), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            use_until_killed(ends[1]);
        (void)close(ends[1]);
        random_fill(&chance.source, &byte, 1);
        told.count = reap(pid, ends[0], byte % 40, acks);
        (void)close(ends[0]);
        total += told.count;
        bench.store = bench_open();
        assert_int_equal(writing(bench.store, all_used_steps, &told), ERR_OK);
        assert_int_equal(number_of(&orphans), 0);
        assert_int_equal(number_of(&ghosts), 0);
        assert_int_equal(number_of(&forks), 0);
    }
    assert_true(total > KILLS);
    assert_true(number_of(&grants_count) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_works_twice_after_sigkill, bench_setup,
                                        bench_teardown),
    };

    return cmocka_run_group_tests_name("oauth_crash", tests, NULL, NULL);
}
