/* SPDX-License-Identifier: MIT
 * What jobs leave for the seal is in their commit, in their order and without a gap, or it is not
 * and neither are they: in batches, groups and alone, whatever fails, and with several writers that
 * take turns. Alike on both databases. */
#include "store/store_test_kit.h"

#include <stdatomic.h>
#include <time.h>

enum { LEFT_MAX = 256, JOBS = 40 };

/* ---- a small log -------------------------------------------------------------------------------
 */

struct left {
    int64_t ids[LEFT_MAX];
    size_t count;
};
static _Atomic int seals; /* how often one was written */

static const struct store_statement head_make = {
    .name = "seal_head_make",
    .sqlite = "CREATE TABLE head (id integer PRIMARY KEY, size integer NOT NULL) STRICT",
    .postgres = "CREATE TABLE head (id bigint PRIMARY KEY, size bigint NOT NULL)"};
static const struct store_statement head_fill = {
    .name = "seal_head_fill", .sqlite = "INSERT INTO head (id, size) VALUES (1, 0)"};
static const struct store_statement log_make = {
    .name = "seal_log_make",
    .sqlite = "CREATE TABLE log (seq integer PRIMARY KEY, id integer NOT NULL UNIQUE) STRICT",
    .postgres = "CREATE TABLE log (seq bigint CONSTRAINT \"log.seq\" PRIMARY KEY, "
                "id bigint NOT NULL CONSTRAINT \"log.id\" UNIQUE)"};
static const struct store_statement turn_make = {.name = "seal_turn_make",
                                                 .sqlite = "CREATE TABLE turn (id integer)"};
static const struct store_statement head_read = {.name = "seal_head_read",
                                                 .sqlite = "SELECT size FROM head WHERE id = 1"};
static const struct store_statement head_write = {
    .name = "seal_head_write", .sqlite = "UPDATE head SET size = ?1 WHERE id = 1"};
static const struct store_statement log_insert = {
    .name = "seal_log_insert", .sqlite = "INSERT INTO log (seq, id) VALUES (?1, ?2)"};
static const struct store_statement log_count = {
    .name = "seal_log_count",
    .sqlite = "SELECT count(*) FROM log WHERE seq < (SELECT size FROM head)"};
static const struct store_statement log_disorder = {
    .name = "seal_log_disorder",
    .sqlite = "SELECT count(*) FROM log a JOIN log b ON b.seq = a.seq + 1 WHERE b.id < a.id"};
/* Things that are not in the log, and the other way round. */
static const struct store_statement log_faults = {
    .name = "seal_log_faults",
    .sqlite = "SELECT (SELECT count(*) FROM things WHERE id NOT IN (SELECT id FROM log)) + "
              "(SELECT count(*) FROM log WHERE id NOT IN (SELECT id FROM things)) + "
              "abs((SELECT count(*) FROM log) - (SELECT size FROM head))"};

static void *left_open(void)
{
    return alloc_zero(sizeof(struct left));
}

static void left_begin(void *state)
{
    struct left *left = state;

    left->count = 0;
}

static size_t left_mark(const void *state)
{
    const struct left *left = state;

    return left->count;
}

static void left_undo(void *state, size_t mark)
{
    struct left *left = state;

    PC_ASSERT(mark <= left->count);
    left->count = mark;
}

static enum err size_read(struct store_conn *conn, int64_t *ret_size)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &head_read, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_size = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

/* An id of 999 is one that the seal itself does not take. */
static enum err left_seal(struct store_conn *conn, void *state)
{
    const struct left *left = state;
    struct store_value values[LEFT_MAX * 2];
    int64_t size = 0;
    enum err err = size_read(conn, &size);

    PC_ASSERT(left->count > 0);
    atomic_fetch_add(&seals, 1);
    for (size_t i = 0; i < left->count && err == ERR_OK; i++) {
        values[2 * i] = STORE_I64(size + (int64_t)i);
        values[2 * i + 1] = STORE_I64(left->ids[i]);
        if (left->ids[i] == 999)
            err = ERR_VALIDATION;
    }
    if (err == ERR_OK)
        err = store_exec_many(conn, &log_insert, values, 2, left->count, NULL);
    if (err)
        return err;
    return store_exec_many(conn, &head_write, STORE_PARAMS(STORE_I64(size + (int64_t)left->count)),
                           1, NULL);
}

static const struct store_seal seal = {.open = left_open,
                                       .close = alloc_free,
                                       .begin = left_begin,
                                       .mark = left_mark,
                                       .undo = left_undo,
                                       .seal = left_seal,
                                       .turn_table = "turn"};

/* ---- jobs --------------------------------------------------------------------------------------
 */

struct entry {
    struct kit_job kj;
    int64_t left_id; /* what it leaves, in place of its own id */
    bool leaves_nothing;
    bool retries; /* the first run is refused as if others had been in the way */
};

static enum err entry_run(struct store_conn *conn, struct store_job *job)
{
    struct entry *entry = PC_CONTAINER(job, struct entry, kj.job);
    struct left *left = store_conn_seal(conn);
    enum err err;

    PC_ASSERT(left != NULL && left->count < LEFT_MAX);
    if (!entry->leaves_nothing)
        left->ids[left->count++] = entry->left_id != 0 ? entry->left_id : entry->kj.id;
    err = kit_insert_run(conn, job);
    if (err == ERR_OK && entry->retries && entry->kj.runs == 1)
        return ERR_STORE_RETRY;
    return err;
}

static enum err entries_run(struct store_conn *conn, struct store_job *const *jobs, size_t count,
                            const void *group)
{
    enum err err = ERR_OK;

    (void)group;
    for (size_t i = 0; i < count && err == ERR_OK; i++)
        err = entry_run(conn, jobs[i]);
    return err;
}

static void entry_init(struct entry *entry, int64_t id)
{
    *entry = (struct entry){.leaves_nothing = false};
    kit_job_init(&entry->kj, id);
    entry->kj.job.run = entry_run;
}

static void entry_give(struct store *store, struct entry *entry)
{
    assert_int_equal(store_write(store, &entry->kj.job), ERR_OK);
}

static enum err entry_end(struct entry *entry)
{
    kit_await(&entry->kj);
    (void)sem_destroy(&entry->kj.over);
    return entry->kj.job.err;
}

static enum err add(struct store *store, int64_t id)
{
    struct entry entry;

    entry_init(&entry, id);
    entry_give(store, &entry);
    return entry_end(&entry);
}

/* ---- the store ---------------------------------------------------------------------------------
 */

static int64_t number(struct store *store, const struct store_statement *statement)
{
    struct kit_number n = {.statement = statement};

    assert_int_equal(store_do(store, kit_number0_run, &n, false), ERR_OK);
    return n.result;
}

static struct store *open_sealed(struct kit *kit)
{
    struct store *store = kit_open_with_table(kit);

    kit_exec(store, &head_make);
    kit_exec(store, &head_fill);
    kit_exec(store, &log_make);
    kit_exec(store, &turn_make);
    store_close(store);
    kit->options.seal = &seal;
    atomic_store(&seals, 0);
    return kit_open(kit);
}

static void is_sound(struct store *store, int64_t entries)
{
    assert_int_equal(number(store, &log_faults), 0);
    assert_int_equal(number(store, &log_count), entries);
}

/* All of them in one batch, behind a first job that holds the writer meanwhile. */
static void give_together(struct store *store, struct entry *entries, size_t count)
{
    sem_t started, go;
    struct entry first;

    assert_int_equal(sem_init(&started, 0, 0), 0);
    assert_int_equal(sem_init(&go, 0, 0), 0);
    entry_init(&first, 1);
    first.kj.tell_started = &started;
    first.kj.wait_for = &go;
    entry_give(store, &first);
    while (sem_wait(&started) != 0)
        continue;
    for (size_t i = 0; i < count; i++)
        entry_give(store, &entries[i]);
    assert_int_equal(sem_post(&go), 0);
    assert_int_equal(entry_end(&first), ERR_OK);
    (void)sem_destroy(&started);
    (void)sem_destroy(&go);
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static void a_batch_has_one_seal_in_the_order_of_its_jobs(void **state)
{
    static struct entry entries[JOBS];
    struct store *store = open_sealed(*state);

    for (size_t i = 0; i < JOBS; i++)
        entry_init(&entries[i], (int64_t)i + 2);
    give_together(store, entries, JOBS);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(entry_end(&entries[i]), ERR_OK);
    is_sound(store, JOBS + 1);
    assert_int_equal(number(store, &log_disorder), 0);
    assert_int_equal(atomic_load(&seals), 2); /* of the first one, and of the batch */
    store_close(store);
}

static void what_a_failed_job_left_is_taken_back(void **state)
{
    static struct entry entries[JOBS];
    struct store *store = open_sealed(*state);

    for (size_t i = 0; i < JOBS; i++) {
        entry_init(&entries[i], (int64_t)i + 2);
        entries[i].kj.fail_with = i % 4 == 1 ? ERR_CONFLICT : ERR_OK;
    }
    entries[JOBS - 1].kj.fail_with = ERR_CONFLICT; /* the last one, too */
    give_together(store, entries, JOBS);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(entry_end(&entries[i]), entries[i].kj.fail_with);
    is_sound(store, JOBS + 1 - JOBS / 4 - 1);
    assert_int_equal(atomic_load(&seals), 2);
    store_close(store);
}

static void nothing_is_sealed_when_nothing_was_left(void **state)
{
    struct entry entry;
    struct store *store = open_sealed(*state);

    entry_init(&entry, 7);
    entry.leaves_nothing = true;
    entry_give(store, &entry);
    assert_int_equal(entry_end(&entry), ERR_OK);
    entry_init(&entry, 8);
    entry.kj.fail_with = ERR_CONFLICT;
    entry_give(store, &entry);
    assert_int_equal(entry_end(&entry), ERR_CONFLICT);
    assert_int_equal(atomic_load(&seals), 0);
    assert_int_equal(kit_things(store), 1);
    store_close(store);
}

/* One that the seal refuses, and one whose row the database refuses, at COMMIT if need be. */
static void who_leaves_what_cannot_be_sealed_takes_nobody_along(void **state)
{
    static struct entry entries[JOBS];
    struct store *store = open_sealed(*state);

    for (size_t i = 0; i < JOBS; i++)
        entry_init(&entries[i], (int64_t)i + 2);
    entries[3].left_id = 999;
    entries[9].left_id = 1; /* it is in the log already */
    give_together(store, entries, JOBS);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(entry_end(&entries[i]), i == 3   ? ERR_VALIDATION
                                                 : i == 9 ? ERR_STORE_UNIQUE
                                                          : ERR_OK);
    is_sound(store, JOBS - 1);
    store_close(store);
}

static void a_group_is_sealed_with_its_commit(void **state)
{
    static struct entry entries[JOBS];
    struct store *store = open_sealed(*state);

    for (size_t i = 0; i < JOBS; i++) {
        entry_init(&entries[i], (int64_t)i + 2);
        entries[i].kj.job.run = NULL;
        entries[i].kj.job.together = entries_run;
    }
    entries[5].left_id = 999;
    give_together(store, entries, JOBS);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(entry_end(&entries[i]), i == 5 ? ERR_VALIDATION : ERR_OK);
    is_sound(store, JOBS);
    assert_int_equal(number(store, &log_disorder), 0);
    store_close(store);
}

/* What the first run left does not count in the second. */
static void a_run_that_is_repeated_leaves_once(void **state)
{
    struct entry entry;
    struct store *store = open_sealed(*state);

    entry_init(&entry, 5);
    entry.retries = true;
    entry_give(store, &entry);
    assert_int_equal(entry_end(&entry), ERR_OK);
    assert_int_equal(entry.kj.runs, 2);
    is_sound(store, 1);
    store_close(store);
}

/* Whichever call to the database fails: the thing and its entry are there, or neither is. */
static void whatever_fails_both_are_there_or_neither(void **state)
{
    struct store *store = open_sealed(*state);
    int64_t done = 0;
    bool over = false;

    for (uint64_t nth = 1; !over && nth < 64; nth++) {
        enum err err;

        store_fail_at(nth);
        err = add(store, (int64_t)nth);
        over = store_fail_pending();
        store_fail_at(0);
        for (int tries = 0; tries < 200 && store_ready(store) != ERR_OK; tries++)
            (void)usleep(10000);
        done += err == ERR_OK ? 1 : 0;
        is_sound(store, done);
    }
    assert_true(over && done > 0);
    store_close(store);
}

/* ---- turns -------------------------------------------------------------------------------------
 */

static void postgres_only(const struct kit *kit)
{
    if (!kit->postgres)
        skip();
}

/* Serializable transactions that read and write the same row, and none has to be run again. */
static void writers_of_several_nodes_do_not_collide(void **state)
{
    enum { ALL = 200 };
    static struct entry entries[ALL];
    struct kit *kit = *state;
    struct store *nodes[2] = {NULL};

    postgres_only(kit);
    nodes[0] = open_sealed(kit);
    kit->options.writers = 2;
    nodes[1] = kit_open(kit);
    for (size_t i = 0; i < ALL; i++) {
        entry_init(&entries[i], (int64_t)i + 1);
        entry_give(nodes[i % 2], &entries[i]);
    }
    for (size_t i = 0; i < ALL; i++)
        assert_int_equal(entry_end(&entries[i]), ERR_OK);
    is_sound(nodes[0], ALL);
    for (size_t i = 0; i < 2; i++) {
        struct store_stats stats;

        store_stats(nodes[i], &stats);
        assert_int_equal(stats.retries, 0);
        store_close(nodes[i]);
    }
}

/* Whoever does not get the turn in time is told so. */
static void a_turn_that_does_not_come_is_busy(void **state)
{
    struct kit *kit = *state;
    struct store *store, *other;
    sem_t started, go;
    struct entry holder;

    postgres_only(kit);
    store = open_sealed(kit);
    kit->options.busy_timeout_ms = 200;
    other = kit_open(kit);
    assert_int_equal(sem_init(&started, 0, 0), 0);
    assert_int_equal(sem_init(&go, 0, 0), 0);
    entry_init(&holder, 1);
    holder.kj.tell_started = &started;
    holder.kj.wait_for = &go;
    entry_give(store, &holder);
    while (sem_wait(&started) != 0)
        continue;
    assert_int_equal(add(other, 2), ERR_BUSY);
    assert_int_equal(sem_post(&go), 0);
    assert_int_equal(entry_end(&holder), ERR_OK);
    assert_int_equal(add(other, 3), ERR_OK);
    is_sound(store, 2);
    store_close(other);
    store_close(store);
    (void)sem_destroy(&started);
    (void)sem_destroy(&go);
}

/* A node that stands still in the middle of its turn loses it, and does its work again later. */
static void turn_is_lost(struct kit *kit, int statement_timeout_ms)
{
    struct store *store, *other;
    sem_t started, go;
    struct entry holder;

    postgres_only(kit);
    store = open_sealed(kit);
    other = kit_open(kit);
    store_close(store);
    kit->options.statement_timeout_ms = statement_timeout_ms;
    store = kit_open(kit);
    assert_int_equal(sem_init(&started, 0, 0), 0);
    assert_int_equal(sem_init(&go, 0, 1), 0);
    assert_int_equal(sem_wait(&go), 0);
    entry_init(&holder, 1);
    holder.kj.tell_started = &started;
    holder.kj.wait_for = &go;
    entry_give(store, &holder);
    while (sem_wait(&started) != 0)
        continue;
    assert_int_equal(add(other, 2), ERR_OK);
    assert_int_equal(sem_post(&go), 0);
    assert_int_equal(sem_post(&go), 0); /* once for each of its runs */
    assert_int_equal(entry_end(&holder), ERR_OK);
    assert_int_equal(holder.kj.runs, 2);
    is_sound(other, 2);
    store_close(other);
    store_close(store);
    (void)sem_destroy(&started);
    (void)sem_destroy(&go);
}

static void a_turn_is_not_held_for_ever(void **state)
{
    turn_is_lost(*state, 500);
}

/* ... before the others are refused for it, however long a statement may take. */
static void nobody_is_refused_for_a_turn_that_is_held(void **state)
{
    turn_is_lost(*state, 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(a_batch_has_one_seal_in_the_order_of_its_jobs),
        KIT_TEST(what_a_failed_job_left_is_taken_back),
        KIT_TEST(nothing_is_sealed_when_nothing_was_left),
        KIT_TEST(who_leaves_what_cannot_be_sealed_takes_nobody_along),
        KIT_TEST(a_group_is_sealed_with_its_commit),
        KIT_TEST(a_run_that_is_repeated_leaves_once),
        KIT_TEST(whatever_fails_both_are_there_or_neither),
        KIT_TEST(writers_of_several_nodes_do_not_collide),
        KIT_TEST(a_turn_that_does_not_come_is_busy),
        KIT_TEST(a_turn_is_not_held_for_ever),
        KIT_TEST(nobody_is_refused_for_a_turn_that_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
