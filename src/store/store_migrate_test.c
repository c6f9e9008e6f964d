/* SPDX-License-Identifier: MIT
 * Migrations, and the schema that they make: the same promises on SQLite and on PostgreSQL. */
#include "store/store_test_kit.h"

#include <pthread.h>
#include <time.h>

/* ---- Migrations --------------------------------------------------------------------------- */

static const struct store_migration steps[] = {
    {1, "one", "CREATE TABLE one (id integer); INSERT INTO one VALUES (1);",
     "CREATE TABLE one (id integer); INSERT INTO one VALUES (1);", "aa", "aa"},
    {2, "two", "CREATE TABLE two (id integer)", "CREATE TABLE two (id integer)", "bb", "bb"},
    {3, "three", "CREATE TABLE three (id integer); INSERT INTO missing VALUES (1);",
     "CREATE TABLE three (id integer); INSERT INTO missing VALUES (1);", "cc", "cc"},
};
static const struct store_statement three_exists = {
    .name = "three_exists",
    .sqlite = "SELECT count(*) FROM sqlite_schema WHERE name = 'three'",
    .postgres = "SELECT count(*) FROM pg_class WHERE relname = 'three'"};

/* Steps are applied once, in order; a step that fails leaves nothing of itself. */
static void steps_are_applied_once_and_whole(void **state)
{
    struct store *store = kit_open(*state);
    struct store_fault fault = {""};
    int64_t at[3] = {9, 9, 9};
    struct kit_number three = {.statement = &three_exists};

    assert_int_equal(store_migrate_status(store, steps, 2, at, &fault), ERR_OK);
    assert_int_equal(at[0], 0);
    assert_int_equal(store_migrate_rehearse(store, steps, 2, &fault), ERR_OK);
    assert_int_equal(store_migrate_status(store, steps, 2, at, &fault), ERR_OK);
    assert_int_equal(at[0], 0);
    assert_int_equal(store_migrate(store, steps, 1, &fault), ERR_OK);
    assert_int_equal(store_migrate_status(store, steps, 2, at, &fault), ERR_OK);
    assert_true(at[0] > 0 && at[1] == 0);
    assert_int_equal(store_migrate(store, steps, 2, &fault), ERR_OK);
    assert_int_equal(store_migrate(store, steps, 2, &fault), ERR_OK);
    assert_string_equal(fault.text, "");
    assert_int_equal(store_migrate_rehearse(store, steps, 3, &fault), ERR_INTERNAL);
    assert_int_equal(store_migrate(store, steps, 3, &fault), ERR_INTERNAL);
    assert_non_null(strstr(fault.text, "Step 3 (three) could not be applied"));
    assert_non_null(strstr(fault.text, "missing"));
    assert_int_equal(store_do(store, kit_number0_run, &three, false), ERR_OK);
    assert_int_equal(three.result, 0);
    assert_int_equal(store_migrate_status(store, steps, 3, at, &fault), ERR_OK);
    assert_true(at[1] > 0 && at[2] == 0);
    store_close(store);
}

/* A database that knows more, or other, steps than the program is left alone. */
static void drift_and_newer_databases_are_refused(void **state)
{
    struct store *store = kit_open(*state);
    struct store_migration other[2] = {steps[0], steps[1]};
    struct store_fault fault = {""};
    int64_t at[2];

    assert_int_equal(store_migrate(store, steps, 2, &fault), ERR_OK);
    other[1].sqlite_checksum = other[1].postgres_checksum = "b0";
    assert_int_equal(store_migrate(store, other, 2, &fault), ERR_STORE_DRIFT);
    assert_non_null(strstr(fault.text, "Step 2 (two)"));
    assert_int_equal(store_migrate_status(store, other, 2, at, &fault), ERR_STORE_DRIFT);
    assert_int_equal(store_migrate(store, steps, 1, &fault), ERR_STORE_VERSION);
    assert_non_null(strstr(fault.text, "run a newer Portcullis"));
    assert_int_equal(store_migrate_rehearse(store, steps, 1, &fault), ERR_STORE_VERSION);
    store_close(store);
}

struct starter {
    struct kit *kit;
    pthread_t thread;
    enum err err;
    struct store_fault fault;
};

static void *start_and_migrate(void *context)
{
    struct starter *starter = context;
    const struct store_migration *list;
    struct store *store = NULL;
    size_t count;

    store_migrations(&list, &count);
    starter->err = store_open(&starter->kit->options, &store, &starter->fault);
    if (starter->err)
        return NULL;
    starter->err = store_migrate(store, list, count, &starter->fault);
    store_close(store);
    return NULL;
}

/* Any number of processes may start at once on an empty database. */
static void many_may_migrate_at_once(void **state)
{
    struct starter starters[5];

    for (size_t i = 0; i < PC_COUNT(starters); i++) {
        starters[i] = (struct starter){.kit = *state};
        assert_int_equal(pthread_create(&starters[i].thread, NULL, start_and_migrate, &starters[i]),
                         0);
    }
    for (size_t i = 0; i < PC_COUNT(starters); i++) {
        assert_int_equal(pthread_join(starters[i].thread, NULL), 0);
        if (starters[i].err)
            fail_msg("%s: %s", err_name(starters[i].err), starters[i].fault.text);
    }
}

/* ---- The schema --------------------------------------------------------------------------- */

static struct store *open_schema(struct kit *kit)
{
    const struct store_migration *list;
    struct store *store = kit_open(kit);
    struct store_fault fault = {""};
    size_t count;

    store_migrations(&list, &count);
    assert_true(count >= 2);
    if (store_migrate(store, list, count, &fault))
        fail_msg("%s", fault.text);
    return store;
}

static enum err add_user_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement insert = {
        .name = "user_insert",
        .sqlite = "INSERT INTO users (username, username_key, email, email_key, password_hash,"
                  " is_admin, created_at, updated_at, password_changed_at)"
                  " VALUES (?1, ?1, ?2, ?2, 'x', ?3, 1, 1, 1) RETURNING id, is_admin, is_active"};
    int64_t *id = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err;

    err = store_query(conn, &insert,
                      STORE_PARAMS(STORE_TEXT(SPAN_OF("ana")),
                                   STORE_TEXT(*id == 0 ? SPAN_OF("a@b") : SPAN_OF("c@d")),
                                   STORE_BOOL(true)),
                      &rows);
    if (err) {
        PC_ASSERT(store_refused(conn, "users.username_key"));
        return err;
    }
    PC_ASSERT(store_next(rows));
    *id = store_rows_i64(rows, 0);
    PC_ASSERT(store_rows_bool(rows, 1));
    PC_ASSERT(store_rows_bool(rows, 2));
    return store_rows_err(rows);
}

/* The first user is number 1, truth reads as truth, and a taken name is told by its column. */
static void the_schema_reads_alike_on_both(void **state)
{
    struct store *store = open_schema(*state);
    int64_t id = 0;

    assert_int_equal(store_do(store, add_user_run, &id, true), ERR_OK);
    assert_int_equal(id, 1);
    assert_int_equal(store_do(store, add_user_run, &id, true), ERR_STORE_UNIQUE);
    store_close(store);
}

static enum err add_order_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement insert = {
        .name = "order_insert",
        .sqlite = "INSERT INTO orders (id, user_id, symbol, side, quantity, type,"
                  " limit_price_minor, currency, status, created_at, updated_at)"
                  " VALUES (?1, ?2, 'ACME', 'buy', 1, 'limit', ?3, 'EUR', 'open', 1, 1)"};
    int64_t *id = job->context;

    return store_exec(conn, &insert,
                      STORE_PARAMS(STORE_TEXT(SPAN_OF("o-1")), STORE_I64(*id),
                                   *id == 1 ? STORE_NULL : STORE_I64(5)),
                      NULL);
}

/* Checks and foreign keys hold on both databases. */
static void the_schema_refuses_what_cannot_be(void **state)
{
    struct store *store = open_schema(*state);
    int64_t id = 1;

    assert_int_equal(store_do(store, add_user_run, &id, true), ERR_OK);
    assert_int_equal(store_do(store, add_order_run, &id, true), ERR_STORE_CONSTRAINT);
    id = 77; /* no such user */
    assert_int_equal(store_do(store, add_order_run, &id, true), ERR_STORE_CONSTRAINT);
    store_close(store);
}

struct feed {
    struct kit_job kj; /* unused but for its semaphores */
    struct store_job job;
    sem_t over;
    int64_t seq;
    sem_t *go, *started;
};

static enum err feed_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement insert = {
        .name = "feed_insert",
        .sqlite = "INSERT INTO identity_changes (subject, what, at) VALUES (1, 'x', 1)"
                  " RETURNING seq"};
    struct feed *feed = PC_CONTAINER(job, struct feed, job);
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &insert, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_INTERNAL);
    feed->seq = store_rows_i64(rows, 0);
    if (feed->started != NULL)
        (void)sem_post(feed->started);
    while (feed->go != NULL && sem_wait(feed->go) != 0)
        continue;
    return store_rows_err(rows);
}

static void feed_done(struct store_job *job)
{
    (void)sem_post(&PC_CONTAINER(job, struct feed, job)->over);
}

/* A change that commits later has the higher number, even if its transaction began first elsewhere:
 * a poller that remembers the last number misses nothing. */
static void the_feed_is_in_commit_order(void **state)
{
    struct kit *kit = *state;
    struct store *stores[2] = {open_schema(kit), kit_open(kit)};
    struct timespec moment = {.tv_nsec = 50000000};
    struct feed slow = {.job = {.run = feed_run, .done = feed_done}};
    struct feed fast = slow;
    sem_t go, started;

    assert_int_equal(sem_init(&go, 0, 0) | sem_init(&started, 0, 0), 0);
    assert_int_equal(sem_init(&slow.over, 0, 0) | sem_init(&fast.over, 0, 0), 0);
    slow.go = &go;
    slow.started = &started;
    assert_int_equal(store_write(stores[0], &slow.job), ERR_OK);
    while (sem_wait(&started) != 0)
        continue;
    assert_int_equal(store_write(stores[1], &fast.job), ERR_OK);
    (void)nanosleep(&moment, NULL);
    assert_int_not_equal(sem_trywait(&fast.over), 0); /* it waits its turn */
    assert_int_equal(sem_post(&go), 0);
    while (sem_wait(&slow.over) != 0)
        continue;
    while (sem_wait(&fast.over) != 0)
        continue;
    assert_int_equal(slow.job.err | fast.job.err, ERR_OK);
    assert_true(fast.seq > slow.seq);
    store_close(stores[1]);
    store_close(stores[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(steps_are_applied_once_and_whole),
        KIT_TEST(drift_and_newer_databases_are_refused),
        KIT_TEST(many_may_migrate_at_once),
        KIT_TEST(the_schema_reads_alike_on_both),
        KIT_TEST(the_schema_refuses_what_cannot_be),
        KIT_TEST(the_feed_is_in_commit_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
