/* SPDX-License-Identifier: MIT
 * URLs, values and statements: what goes in comes out, what cannot be is refused, alike on SQLite
 * and on PostgreSQL. */
#include "store/store_test_kit.h"

#include <sqlite3.h>
#include <sys/stat.h>

/* ---- The URL ------------------------------------------------------------------------------ */

/* What cannot be a database is refused in words that help, and that never repeat a password. */
static void url_refusals_are_clear_and_hide_passwords(void **state)
{
    static const struct {
        const char *url, *words;
    } bad[] = {
        {"mysql://root:hunter2@db/x", "scheme \"mysql\" is not supported"},
        {"hunter2", "has no scheme"},
        {"user hunter2:x", "\"...\" is not supported"},
        {"sqlite:", "names no file"},
        {"sqlite::memory:", "names no file"},
        {"sqlite:///x.db", "ambiguous"},
        {"sqlite:../x.db", "leaves the data folder"},
        {"sqlite:a/../../x.db", "leaves the data folder"},
        {"sqlite:x.db?mode=ro", "plain file name"},
        {"sqlite:/nowhere/at/all/x.db", "cannot be opened"},
        {"postgresql://u:hunter2@h:port/x", "could not|cannot be used|is not valid"},
        {"postgresql://u:hunter2@h/x?sslmode=prefer", "sslmode \"prefer\" is not supported"},
        {"postgresql://u:hunter2@h/x?colour=red", "is not valid"},
        {"postgresql://u:hunter2@[::1/x", "is not valid"},
        {"postgresql://u:hunter2@127.0.0.1:1/x?sslmode=disable&password=hunter2",
         "postgresql://u@127.0.0.1:1/x cannot be used"},
        {"postgresql+asyncpg://u:hun?ter2@127.0.0.1:1/x?ssl=disable",
         "is not valid|cannot be used"},
    };
    struct kit *kit = *state;

    for (size_t i = 0; i < PC_COUNT(bad); i++) {
        struct store_options options = {.url = span_from(bad[i].url), .data_dir = kit->dir};
        struct store_fault fault = {""};
        struct store *store = NULL;
        struct span words = span_from(bad[i].words);
        struct span word;
        bool found = false;

        assert_int_not_equal(store_open(&options, &store, &fault), ERR_OK);
        assert_null(store);
        while (span_cut(&words, '|', &word))
            found = found || memmem(fault.text, strlen(fault.text), word.ptr, word.len) != NULL;
        if (!found || strstr(fault.text, "hun") != NULL || strchr(fault.text, '\n') != NULL)
            fail_msg("%s: %s", bad[i].url, fault.text);
    }
}

/* The folder and the file are nobody else's business. */
static void sqlite_files_are_private(void **state)
{
    struct kit *kit = *state;
    struct store *store;
    struct stat seen;
    char made[96];
    char dir[96];
    char path[128];

    if (kit->postgres)
        skip();
    (void)snprintf(made, sizeof(made), "%s/made", kit->dir);
    (void)snprintf(dir, sizeof(dir), "%s/made/here", kit->dir);
    kit->options.data_dir = dir;
    store = kit_open(kit);
    assert_int_equal(stat(dir, &seen), 0);
    assert_int_equal(seen.st_mode & 0777, 0700);
    (void)snprintf(path, sizeof(path), "%s/test.db", dir);
    assert_int_equal(stat(path, &seen), 0);
    assert_int_equal(seen.st_mode & 0777, 0600);
    (void)snprintf(path, sizeof(path), "%s/test.db-wal", dir);
    assert_int_equal(stat(path, &seen), 0);
    assert_int_equal(seen.st_mode & 0777, 0600);
    assert_string_equal(store_shown(store), "sqlite:test.db");
    store_close(store);
    kit_command((const char *const[]){"rm", "-r", made, NULL});
}

/* ---- Values ------------------------------------------------------------------------------- */

static const struct store_statement put_all = {
    .name = "put_all",
    .sqlite = "INSERT INTO things (id, name, number, flag, bytes) VALUES (?1, ?2, ?3, ?4, ?5)"
              " RETURNING id, 'what?'"};
static const struct store_statement get_all = {
    .name = "get_all",
    .sqlite = "SELECT name, number, flag, bytes FROM things WHERE id = ?1 ORDER BY id"};

static const char blob_bytes[] = "\0\xff\x80 blob";

static enum err put_values_run(struct store_conn *conn, struct store_job *job)
{
    static const int64_t numbers[] = {INT64_MIN, -1, 0, 1, INT64_MAX};

    (void)job;
    for (size_t i = 0; i < PC_COUNT(numbers); i++) {
        PC_AUTO(store_rows) rows = NULL;
        char name[] = "\xC3\xA9\xE2\x82\xAC 0";
        struct span bytes = span_make(blob_bytes, i == 2 ? 0 : sizeof(blob_bytes));
        enum err err;

        name[sizeof(name) - 2] = (char)('0' + i);
        err = store_query(conn, &put_all,
                          STORE_PARAMS(STORE_I64((int64_t)i), STORE_TEXT(span_from(name)),
                                       STORE_I64(numbers[i]), STORE_BOOL(i % 2), STORE_BLOB(bytes)),
                          &rows);
        if (err)
            return err;
        memset(name, 'x', sizeof(name)); /* the store has its own copy */
        PC_ASSERT(store_next(rows));
        PC_ASSERT(store_rows_i64(rows, 0) == (int64_t)i);
        PC_ASSERT(span_is(store_rows_text(rows, 1, NULL), "what?"));
        PC_ASSERT(!store_next(rows));
        PC_ASSERT(!store_next(rows));
        PC_ASSERT(store_rows_err(rows) == ERR_OK);
    }
    return ERR_OK;
}

static enum err get_values_run(struct store_conn *conn, struct store_job *job)
{
    static const int64_t numbers[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    struct arena *arena = job->context;

    for (size_t i = 0; i < PC_COUNT(numbers); i++) {
        PC_AUTO(store_rows) rows = NULL;
        struct span bytes;
        enum err err = store_query(conn, &get_all, STORE_PARAMS(STORE_I64((int64_t)i)), &rows);

        if (err)
            return err;
        PC_ASSERT(store_next(rows));
        PC_ASSERT(store_rows_text(rows, 0, arena).len == 7);
        PC_ASSERT(store_rows_i64(rows, 1) == numbers[i]);
        PC_ASSERT(store_rows_i64_or(rows, 1, 5) == numbers[i]);
        PC_ASSERT(store_rows_bool(rows, 2) == (i % 2 == 1));
        bytes = store_rows_blob(rows, 3, arena);
        PC_ASSERT(bytes.ptr != NULL);
        PC_ASSERT(bytes.len == (i == 2 ? 0 : sizeof(blob_bytes)));
        PC_ASSERT(memcmp(bytes.ptr, blob_bytes, bytes.len) == 0);
        PC_ASSERT(!store_rows_null(rows, 3));
        PC_ASSERT(store_rows_err(rows) == ERR_OK);
    }
    return ERR_OK;
}

/* Every value comes back as it went in, at the edges too. */
static void values_survive_the_trip(void **state)
{
    struct store *store = kit_open_with_table(*state);
    struct arena arena;

    arena_init(&arena, NULL, 0, 4096);
    assert_int_equal(store_do(store, put_values_run, NULL, true), ERR_OK);
    assert_int_equal(store_do(store, get_values_run, &arena, false), ERR_OK);
    assert_int_equal(store_do(store, get_values_run, NULL, false), ERR_OK);
    arena_reset(&arena);
    store_close(store);
}

static enum err null_run(struct store_conn *conn, struct store_job *job)
{
    PC_AUTO(store_rows) rows = NULL;
    bool *wrong = job->context;
    enum err err;

    err = store_query(conn, &get_all, STORE_PARAMS(STORE_I64(1)), &rows);
    if (err)
        return err;
    PC_ASSERT(store_next(rows));
    PC_ASSERT(store_rows_null(rows, 1));
    PC_ASSERT(store_rows_blob(rows, 3, NULL).ptr == NULL);
    PC_ASSERT(store_rows_i64_or(rows, 1, -7) == -7);
    PC_ASSERT(store_rows_err(rows) == ERR_OK);
    if (*wrong)
        PC_ASSERT(store_rows_i64(rows, 1) == 0); /* NULL is no number */
    else
        PC_ASSERT(store_rows_i64(rows, 0) == 0); /* nor is text */
    PC_ASSERT(store_rows_err(rows) == ERR_STORE_CORRUPT);
    PC_ASSERT(!store_next(rows));
    return ERR_OK; /* forgotten by the job, not by the store */
}

/* A column that is not what the reader takes it for is an error, not a zero. */
static void columns_of_another_type_are_refused(void **state)
{
    struct store *store = kit_open_with_table(*state);
    bool wrong = true;

    assert_int_equal(kit_add(store, 1), ERR_OK);
    assert_int_equal(store_do(store, null_run, &wrong, false), ERR_STORE_CORRUPT);
    wrong = false;
    assert_int_equal(store_do(store, null_run, &wrong, false), ERR_STORE_CORRUPT);
    store_close(store);
}

/* Text that only one of the databases would take is taken by neither. */
static void text_is_utf8_without_nul(void **state)
{
    static const char *const bad[] = {"\xff", "\xC0\x80", "a\xED\xA0\x80"};
    struct store *store = kit_open_with_table(*state);
    struct kit_job kj;

    for (size_t i = 0; i < PC_COUNT(bad); i++) {
        kit_job_init(&kj, 1);
        kj.name = bad[i];
        assert_int_equal(store_write(store, &kj.job), ERR_OK);
        kit_await(&kj);
        assert_int_equal(kj.job.err, ERR_VALIDATION);
    }
    assert_int_equal(kit_things(store), 0);
    store_close(store);
}

/* ---- Failing statements ------------------------------------------------------------------- */

static enum err sticky_run(struct store_conn *conn, struct store_job *job)
{
    enum err err;

    (void)job;
    err = store_exec(conn, &kit_insert, STORE_PARAMS(STORE_I64(7), STORE_TEXT(SPAN_OF("seven"))),
                     NULL);
    if (err)
        return err;
    err = store_exec(conn, &kit_insert, STORE_PARAMS(STORE_I64(8), STORE_TEXT(SPAN_OF("thing-1"))),
                     NULL);
    PC_ASSERT(err == ERR_STORE_UNIQUE);
    PC_ASSERT(store_refused(conn, "things.name"));
    PC_ASSERT(!store_refused(conn, "things.id"));
    err = store_exec(conn, &kit_insert, STORE_PARAMS(STORE_I64(9), STORE_TEXT(SPAN_OF("nine"))),
                     NULL);
    PC_ASSERT(err == ERR_STORE_UNIQUE); /* the job is over */
    return ERR_OK;                      /* even if it will not see it */
}

/* After a failed statement a job cannot go on, and what it did before is gone, on both databases.
 * The constraint that refused has one name on both. */
static void a_failed_statement_ends_its_job(void **state)
{
    struct store *store = kit_open_with_table(*state);

    assert_int_equal(kit_add(store, 1), ERR_OK);
    assert_int_equal(kit_add(store, 1), ERR_STORE_UNIQUE);
    assert_int_equal(store_do(store, sticky_run, NULL, true), ERR_STORE_UNIQUE);
    assert_int_equal(kit_things(store), 1);
    store_close(store);
}

static enum err mistake_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement mistake = {.name = "mistake",
                                                   .sqlite = "SELECT x FROM nowhere"};
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &mistake, NULL, 0, &rows);

    (void)job;
    PC_ASSERT(strstr(store_conn_message(conn), "nowhere") != NULL);
    return err;
}

/* A mistake in a statement is ours, and disturbs only its job. */
static void a_wrong_statement_is_an_internal_error(void **state)
{
    struct store *store = kit_open_with_table(*state);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(store_do(store, mistake_run, NULL, false), ERR_INTERNAL);
        assert_int_equal(store_do(store, mistake_run, NULL, true), ERR_INTERNAL);
    }
    assert_int_equal(kit_add(store, 1), ERR_OK);
    assert_int_equal(store_ready(store), ERR_OK);
    store_close(store);
}

/* A reading handle cannot write, whatever the job tries. */
static void reading_jobs_cannot_write(void **state)
{
    struct store *store = kit_open_with_table(*state);
    struct kit_job kj;

    for (int i = 0; i < 2; i++) {
        kit_job_init(&kj, 1);
        kj.job.snapshot = i == 1;
        assert_int_equal(store_read(store, &kj.job), ERR_OK);
        kit_await(&kj);
        assert_int_equal(kj.job.err, ERR_STORE_READ_ONLY);
    }
    assert_int_equal(kit_things(store), 0);
    store_close(store);
}

static enum err changed_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement update = {
        .name = "update", .sqlite = "UPDATE things SET number = id + ?1 WHERE id <= ?2"};
    int64_t changed = -1;
    enum err err = store_exec(conn, &update, STORE_PARAMS(STORE_I64(5), STORE_I64(2)), &changed);

    (void)job;
    PC_ASSERT(changed == 2);
    if (err)
        return err;
    err = store_exec(conn, &update, STORE_PARAMS(STORE_I64(5), STORE_I64(0)), &changed);
    PC_ASSERT(changed == 0);
    return err;
}

static void exec_counts_the_rows_it_touched(void **state)
{
    struct store *store = kit_open_with_table(*state);

    for (int64_t id = 1; id <= 3; id++)
        assert_int_equal(kit_add(store, id), ERR_OK);
    assert_int_equal(store_do(store, changed_run, NULL, true), ERR_OK);
    store_close(store);
}

static enum err endless_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement endless = {
        .name = "endless",
        .sqlite = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
                  " SELECT count(*) FROM n",
        .postgres = "SELECT count(*) FROM pg_sleep(30)"};
    PC_AUTO(store_rows) rows = NULL;

    (void)job;
    return store_query(conn, &endless, NULL, 0, &rows);
}

/* A statement that does not end is ended, and the handle serves the next job. */
static void endless_statements_are_ended(void **state)
{
    struct kit *kit = *state;
    struct store *store;

    kit->options.statement_timeout_ms = 100;
    store = kit_open_with_table(kit);
    assert_int_equal(store_do(store, endless_run, NULL, false), ERR_BUSY);
    assert_int_equal(store_do(store, endless_run, NULL, true), ERR_BUSY);
    assert_int_equal(kit_add(store, 1), ERR_OK);
    store_close(store);
}

/* A node whose time is not that of the others writes nothing on their database. */
static void a_clock_that_is_far_off_is_refused(void **state)
{
    struct kit *kit = *state;
    struct store_fault fault = {""};
    struct store *store = NULL;
    struct clock_fake clock;
    int64_t now_ns = clock_realtime_ns(&clock_system);

    if (!kit->postgres)
        skip();
    kit->options.clock = &clock.clock;
    clock_fake_init(&clock, now_ns + 90 * CLOCK_NS_PER_S);
    kit->options.clock_skew_ms_max = 60000;
    assert_int_equal(store_open(&kit->options, &store, &fault), ERR_STORE_UNAVAILABLE);
    assert_non_null(strstr(fault.text, "ahead of that of the database server"));
    clock_fake_init(&clock, now_ns - 90 * CLOCK_NS_PER_S);
    assert_int_equal(store_open(&kit->options, &store, &fault), ERR_STORE_UNAVAILABLE);
    assert_non_null(strstr(fault.text, "behind that of the database server"));
    clock_fake_init(&clock, now_ns + 30 * CLOCK_NS_PER_S);
    assert_int_equal(store_open(&kit->options, &store, &fault), ERR_OK);
    store_close(store);
}

static const struct store_statement explain_has = {.name = "explain_has",
                                                   .sqlite = "SELECT 1",
                                                   .postgres =
                                                       "EXPLAIN SELECT 1 FROM things WHERE id = 1"};

static const struct store_statement analyse_things = {
    .name = "analyse_things", .sqlite = "SELECT 1", .postgres = "ANALYZE things"};

static enum err explain_run(struct store_conn *conn, struct store_job *job)
{
    bool *ret_by_index = job->context;
    PC_AUTO(store_rows) found = NULL;
    enum err err = store_query(conn, &explain_has, NULL, 0, &found);
    struct span plan;

    if (!err && store_next(found)) {
        plan = store_rows_text(found, 0, NULL);
        *ret_by_index = memmem(plan.ptr, plan.len, "Index", 5) != NULL;
    }
    return err ? err : store_rows_err(found);
}

/* PostgreSQL would rather read all of a small table, and keep that plan when it is large. */
static void a_small_table_is_read_by_its_index(void **state)
{
    struct kit *kit = *state;
    struct store *store = kit_open_with_table(kit);
    bool writer = !kit->postgres, reader = !kit->postgres;

    if (kit->postgres) {
        assert_int_equal(kit_add(store, 1), ERR_OK);
        kit_exec(store, &analyse_things);
        assert_int_equal(store_do(store, explain_run, &writer, true), ERR_OK);
        assert_int_equal(store_do(store, explain_run, &reader, false), ERR_OK);
    }
    store_close(store);
    assert_true(writer && reader);
}

/* Counting would take a lock for each piece of memory, of all threads the same. */
static void sqlite_does_not_count_its_memory(void **state)
{
    struct kit *kit = *state;
    struct store *store = kit_open_with_table(kit);

    assert_int_equal(kit_add(store, 1), ERR_OK);
    assert_int_equal(sqlite3_memory_used(), 0);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(url_refusals_are_clear_and_hide_passwords),
        KIT_TEST(sqlite_files_are_private),
        KIT_TEST(a_clock_that_is_far_off_is_refused),
        KIT_TEST(values_survive_the_trip),
        KIT_TEST(columns_of_another_type_are_refused),
        KIT_TEST(text_is_utf8_without_nul),
        KIT_TEST(a_failed_statement_ends_its_job),
        KIT_TEST(a_wrong_statement_is_an_internal_error),
        KIT_TEST(reading_jobs_cannot_write),
        KIT_TEST(exec_counts_the_rows_it_touched),
        KIT_TEST(endless_statements_are_ended),
        KIT_TEST(a_small_table_is_read_by_its_index),
        KIT_TEST(sqlite_does_not_count_its_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
