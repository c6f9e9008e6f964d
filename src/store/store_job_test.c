/* SPDX-License-Identifier: MIT
 * Jobs: group commit, bounded queues, races between writers, snapshots and locks, alike on SQLite
 * and on PostgreSQL. */
#include "store/store_test_kit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "store/store_priv.h"

/* ---- Group commit ------------------------------------------------------------------------- */

enum { CROWD = 100 };

/* Holds the writer inside a first job while more jobs queue up behind it. */
struct crowd {
    struct kit_job first;
    struct kit_job jobs[CROWD];
    sem_t started, go;
};

static void crowd_hold(struct crowd *crowd, struct store *store)
{
    assert_int_equal(sem_init(&crowd->started, 0, 0), 0);
    assert_int_equal(sem_init(&crowd->go, 0, 0), 0);
    kit_job_init(&crowd->first, 1000);
    crowd->first.tell_started = &crowd->started;
    crowd->first.wait_for = &crowd->go;
    assert_int_equal(store_write(store, &crowd->first.job), ERR_OK);
    while (sem_wait(&crowd->started) != 0)
        continue;
    for (int64_t i = 0; i < CROWD; i++)
        kit_job_init(&crowd->jobs[i], i);
}

static void crowd_release(struct crowd *crowd, size_t count)
{
    assert_int_equal(sem_post(&crowd->go), 0);
    kit_await(&crowd->first);
    for (size_t i = 0; i < count; i++)
        kit_await(&crowd->jobs[i]);
}

/* What waits is committed together; a job that fails, in the database or by its own decision, goes
 * alone. */
static void a_batch_is_one_commit_and_a_failing_job_goes_alone(void **state)
{
    struct kit *kit = *state;
    struct store *store;
    struct store_stats before, after;
    static struct crowd crowd;

    kit->options.batch_max = CROWD;
    store = kit_open_with_table(kit);
    store_stats(store, &before);
    crowd_hold(&crowd, store);
    crowd.jobs[0].name = "thing-1000"; /* taken by the first */
    crowd.jobs[10].fail_with = ERR_CONFLICT;
    crowd.jobs[20].name = "thing-19";
    crowd.jobs[21].name = "thing-20"; /* free again, since 20 was rolled back */
    crowd.jobs[CROWD - 1].fail_with = ERR_FORBIDDEN;
    for (size_t i = 0; i < CROWD; i++)
        assert_int_equal(store_write(store, &crowd.jobs[i].job), ERR_OK);
    crowd_release(&crowd, CROWD);
    for (size_t i = 0; i < CROWD; i++) {
        enum err expected = i == 0 || i == 20 ? ERR_STORE_UNIQUE
                            : i == 10         ? ERR_CONFLICT
                            : i == CROWD - 1  ? ERR_FORBIDDEN
                                              : ERR_OK;

        assert_int_equal(crowd.jobs[i].job.err, expected);
        assert_int_equal(crowd.jobs[i].runs, 1);
        assert_false(crowd.jobs[i].job.unknown);
        assert_int_equal(kit_has_thing(store, (int64_t)i), expected == ERR_OK);
    }
    store_stats(store, &after);
    assert_int_equal(after.commits - before.commits, 2);
    assert_int_equal(after.batch_jobs_max, CROWD);
    assert_int_equal(kit_things(store), CROWD + 1 - 4);
    store_close(store);
}

/* A full queue refuses, a closed one too, and what was taken is finished first. */
static void queues_are_bounded_and_drained(void **state)
{
    struct kit *kit = *state;
    struct store *store;
    struct store_stats stats;
    static struct crowd crowd;
    struct kit_job more;

    kit->options.queue_max = 10;
    kit->options.batch_max = 3;
    store = kit_open_with_table(kit);
    crowd_hold(&crowd, store);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(store_write(store, &crowd.jobs[i].job), ERR_OK);
    kit_job_init(&more, 55);
    assert_int_equal(store_write(store, &more.job), ERR_BUSY);
    store_stats(store, &stats);
    assert_int_equal(stats.writes_queued, 10);
    assert_int_equal(stats.failures, 1);
    crowd_release(&crowd, 10);
    for (int64_t i = 0; i < 10; i++)
        assert_int_equal(crowd.jobs[i].job.err, ERR_OK);
    assert_int_equal(kit_things(store), 11);
    store_close(store);
}

/* Closing finishes what is queued. */
static void closing_finishes_what_is_queued(void **state)
{
    struct store *store = kit_open_with_table(*state);
    static struct crowd crowd;

    crowd_hold(&crowd, store);
    for (size_t i = 0; i < CROWD; i++)
        assert_int_equal(store_write(store, &crowd.jobs[i].job), ERR_OK);
    assert_int_equal(sem_post(&crowd.go), 0);
    store_close(store);
    for (size_t i = 0; i < CROWD; i++) {
        assert_int_equal(sem_trywait(&crowd.jobs[i].over), 0);
        assert_int_equal(crowd.jobs[i].job.err, ERR_OK);
    }
    store = kit_open(*state);
    assert_int_equal(kit_things(store), CROWD + 1);
    store_close(store);
}

/* ---- Races -------------------------------------------------------------------------------- */

enum { RACERS = 12, RACE_ROUNDS = 8 };

struct racer {
    struct store *store;
    pthread_t thread;
    size_t won;
};

static void *race_for_names(void *context)
{
    struct racer *racer = context;

    for (int64_t round = 1; round <= RACE_ROUNDS; round++) {
        enum err err = kit_add(racer->store, round);

        if (err == ERR_OK)
            racer->won++;
        else if (err != ERR_STORE_UNIQUE)
            racer->won += 1000;
    }
    return NULL;
}

/* Many threads of two processes' worth of stores want one name: exactly one gets it, each time. */
static void one_of_many_gets_a_name(void **state)
{
    struct kit *kit = *state;
    struct racer racers[RACERS];
    struct store *stores[2];
    size_t won = 0;

    kit->options.writers = 2;
    stores[0] = kit_open_with_table(kit);
    stores[1] = kit_open(kit);
    for (size_t i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.store = stores[i % 2]};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race_for_names, &racers[i]), 0);
    }
    for (size_t i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
        won += racers[i].won;
    }
    assert_int_equal(won, RACE_ROUNDS);
    assert_int_equal(kit_things(stores[0]), RACE_ROUNDS);
    store_close(stores[1]);
    store_close(stores[0]);
}

/* Reads, then writes what follows: wrong under any isolation weaker than serializable. */
static enum err increment_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement get = {.name = "get",
                                               .sqlite = "SELECT number FROM things WHERE id = ?1"};
    static const struct store_statement set = {
        .name = "set", .sqlite = "UPDATE things SET number = ?2 WHERE id = ?1"};
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &get, STORE_PARAMS(STORE_I64(1)), &rows);
    int64_t number;

    (void)job;
    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    number = store_rows_i64_or(rows, 0, 0);
    return store_exec(conn, &set, STORE_PARAMS(STORE_I64(1), STORE_I64(number + 1)), NULL);
}

static void *increment_often(void *context)
{
    struct racer *racer = context;

    for (size_t i = 0; i < 20; i++) {
        enum err err = store_do(racer->store, increment_run, NULL, true);

        /* Under contention a job may give up, but only by saying so. */
        if (err == ERR_OK)
            racer->won++;
        else if (err != ERR_STORE_RETRY && err != ERR_BUSY)
            racer->won += 1000;
    }
    return NULL;
}

/* No acknowledged increment is lost between two processes' worth of writers. */
static void no_update_is_lost(void **state)
{
    static const struct store_statement get = {.name = "get_number",
                                               .sqlite = "SELECT number FROM things WHERE id = ?1"};
    struct kit *kit = *state;
    struct racer racers[4];
    struct store *stores[2];
    struct kit_number number = {.statement = &get, .id = 1};
    size_t won = 0;

    stores[0] = kit_open_with_table(kit);
    stores[1] = kit_open(kit);
    assert_int_equal(kit_add(stores[0], 1), ERR_OK);
    for (size_t i = 0; i < PC_COUNT(racers); i++) {
        racers[i] = (struct racer){.store = stores[i % 2]};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, increment_often, &racers[i]), 0);
    }
    for (size_t i = 0; i < PC_COUNT(racers); i++) {
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
        won += racers[i].won;
    }
    assert_int_equal(store_do(stores[1], kit_number_run, &number, false), ERR_OK);
    assert_int_equal(number.result, won);
    assert_in_range(won, 40, 80);
    store_close(stores[1]);
    store_close(stores[0]);
}

/* Increments, but lets another commit between its read and its write, the first time. */
struct meddled {
    struct store_job job;
    struct store *other;
    size_t runs;
    enum err other_err;
    sem_t over;
};

static enum err meddled_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement get = {.name = "meddled_get",
                                               .sqlite = "SELECT number FROM things WHERE id = ?1"};
    static const struct store_statement set = {
        .name = "meddled_set", .sqlite = "UPDATE things SET number = ?2 WHERE id = ?1"};
    struct meddled *meddled = PC_CONTAINER(job, struct meddled, job);
    struct kit_number number = {.statement = &get, .id = 1};
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, number.statement, STORE_PARAMS(STORE_I64(1)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    number.result = store_rows_i64_or(rows, 0, 0);
    if (meddled->runs++ == 0)
        meddled->other_err = store_do(meddled->other, increment_run, NULL, true);
    return store_exec(conn, &set, STORE_PARAMS(STORE_I64(1), STORE_I64(number.result + 1)), NULL);
}

static void meddled_done(struct store_job *job)
{
    (void)sem_post(&PC_CONTAINER(job, struct meddled, job)->over);
}

/* What was read is still true when it is written: either the other had to wait (SQLite), or this
 * one is run again and sees the other's change (PostgreSQL). In a batch and alone. */
static void what_was_read_is_still_true(void **state)
{
    static const struct store_statement get = {.name = "get_meddled",
                                               .sqlite = "SELECT number FROM things WHERE id = ?1"};
    struct kit *kit = *state;
    struct store *store = kit_open_with_table(kit);
    struct kit_number number = {.statement = &get, .id = 1};
    struct meddled meddled = {.job = {.run = meddled_run, .done = meddled_done}};
    static struct crowd crowd;
    int64_t expected = 0;

    kit->options.busy_timeout_ms = 100;
    meddled.other = kit_open(kit);
    assert_int_equal(sem_init(&meddled.over, 0, 0), 0);
    assert_int_equal(kit_add(store, 1), ERR_OK);
    for (size_t company = 0; company < 2; company++) {
        crowd_hold(&crowd, store);
        meddled.runs = 0;
        assert_int_equal(store_write(store, &meddled.job), ERR_OK);
        if (company > 0)
            assert_int_equal(store_write(store, &crowd.jobs[2].job), ERR_OK);
        crowd_release(&crowd, 0);
        while (sem_wait(&meddled.over) != 0)
            continue;
        assert_int_equal(meddled.job.err, ERR_OK);
        expected += 1 + (meddled.other_err == ERR_OK);
        assert_int_equal(meddled.runs, meddled.other_err == ERR_OK ? 2 : 1);
        if (company > 0)
            kit_await(&crowd.jobs[2]);
        assert_int_equal(store_do(store, kit_number_run, &number, false), ERR_OK);
        assert_int_equal(number.result, expected);
    }
    assert_int_equal(meddled.other_err, kit->postgres ? ERR_OK : ERR_BUSY);
    store_close(meddled.other);
    store_close(store);
}

struct two_counts {
    struct store *store;
    int64_t first, second;
};

static enum err two_counts_run(struct store_conn *conn, struct store_job *job)
{
    struct two_counts *counts = job->context;
    struct kit_number number = {.statement = &kit_count};
    struct store_job inner = {.context = &number};
    enum err err = kit_number0_run(conn, &inner);

    if (err)
        return err;
    counts->first = number.result;
    PC_ASSERT(kit_add(counts->store, number.result + 1) == ERR_OK);
    err = kit_number0_run(conn, &inner);
    counts->second = number.result;
    return err;
}

/* A snapshot stands still while others write. */
static void a_snapshot_sees_one_moment(void **state)
{
    struct store *store = kit_open_with_table(*state);
    struct two_counts counts = {.store = store};

    assert_int_equal(store_do(store, two_counts_run, &counts, false), ERR_OK);
    assert_int_equal(counts.first, 0);
    assert_int_equal(counts.second, 0);
    assert_int_equal(kit_things(store), 1);
    store_close(store);
}

static enum err touch_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement touch = {
        .name = "touch", .sqlite = "UPDATE things SET number = 1 WHERE id = ?1"};

    (void)job;
    return store_exec(conn, &touch, STORE_PARAMS(STORE_I64(1)), NULL);
}

/* Another process that holds a lock is waited for, but not for ever. */
static void a_lock_is_waited_for_within_a_bound(void **state)
{
    struct kit *kit = *state;
    struct store *holder = kit_open_with_table(kit);
    struct store *waiter;
    static struct crowd crowd;
    struct kit_job clash;

    kit->options.busy_timeout_ms = 100;
    waiter = kit_open(kit);
    crowd_hold(&crowd, holder);
    kit_job_init(&clash, 1000); /* the row that the holder has inserted and not committed */
    assert_int_equal(store_write(waiter, &clash.job), ERR_OK);
    kit_await(&clash);
    assert_int_equal(clash.job.err, ERR_BUSY);
    crowd_release(&crowd, 0);
    assert_int_equal(kit_add(waiter, 1), ERR_OK);
    assert_int_equal(store_do(holder, touch_run, NULL, true), ERR_OK);
    store_close(waiter);
    store_close(holder);
}

/* How long a thread waits before it tries again grows while the store is away, to two seconds, and
 * begins anew when another thread has found it meanwhile. */
static void patience_is_of_one_trouble(void **state)
{
    struct store store = {0};
    struct store_conn conn = {.store = &store, .role = STORE_READER};
    bool fresh;

    (void)state;
    store_fail_at(STORE_FAIL_ALWAYS);
    atomic_store(&store.read_state, ERR_STORE_UNAVAILABLE);
    for (int i = 0; i < 10; i++) {
        conn.retry_at_ns = 0; /* its time has come */
        assert_int_equal(store_conn_ready(&conn, &fresh), ERR_STORE_UNAVAILABLE);
    }
    assert_int_equal(conn.backoff_ns, 2 * CLOCK_NS_PER_S);
    atomic_store(&store.read_state, ERR_OK); /* somebody else has */
    assert_int_equal(store_conn_ready(&conn, &fresh), ERR_STORE_UNAVAILABLE);
    assert_int_equal(conn.backoff_ns, CLOCK_NS_PER_S / 10);
    store_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patience_is_of_one_trouble),
        KIT_TEST(a_batch_is_one_commit_and_a_failing_job_goes_alone),
        KIT_TEST(queues_are_bounded_and_drained),
        KIT_TEST(closing_finishes_what_is_queued),
        KIT_TEST(one_of_many_gets_a_name),
        KIT_TEST(no_update_is_lost),
        KIT_TEST(what_was_read_is_still_true),
        KIT_TEST(a_snapshot_sees_one_moment),
        KIT_TEST(a_lock_is_waited_for_within_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
