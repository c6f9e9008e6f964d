/* SPDX-License-Identifier: MIT
 * Bad weather: the n-th call or allocation fails, disks fill up, files are locked, moved, foreign
 * or read-only, servers refuse. Whatever happens, what was acknowledged is there, what was refused
 * is not, the words are clear and the store recovers unaided. */
#include "store/store_test_kit.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "store/store_postgres_priv.h"

static void sleep_ms(long ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&wait, NULL);
}

/* Waits for the store to say `err`, at most five seconds. */
static bool comes_to(struct store *store, enum err err)
{
    for (int i = 0; i < 500; i++) {
        if (store_ready(store) == err)
            return true;
        sleep_ms(10);
    }
    return false;
}

static void sqlite_only(const struct kit *kit)
{
    if (kit->postgres)
        skip();
}

static void postgres_only(const struct kit *kit)
{
    if (!kit->postgres)
        skip();
}

/* Runs `body` in a process of its own, whose limits and rights it may change. */
static void in_child(void (*body)(struct kit *kit), struct kit *kit)
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        body(kit);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- The n-th call, the n-th allocation --------------------------------------------------- */

enum { FEW = 5, ROUNDS_MAX = 400 };

/* Disarms both countdowns; whether one has struck. */
static bool struck(void)
{
    bool pending = store_fail_pending() || alloc_fail_pending();

    store_fail_at(0);
    alloc_fail_at(0);
    return !pending;
}

/* A store opened, a batch and a read, while something fails. Every row must be as its job was told.
 * Returns whether something did fail. */
static bool play(struct kit *kit, int64_t base)
{
    struct store *store = NULL;
    struct kit_job jobs[FEW];
    struct kit_number number = {.statement = &kit_count};
    bool failed;

    if (store_open(&kit->options, &store, NULL) != ERR_OK) {
        assert_null(store);
        return struck();
    }
    for (int64_t i = 0; i < FEW; i++) {
        kit_job_init(&jobs[i], base + i);
        jobs[i].fail_with = i == 2 ? ERR_CONFLICT : ERR_OK;
        assert_int_equal(store_write(store, &jobs[i].job), ERR_OK);
    }
    (void)!store_do(store, kit_number0_run, &number, false);
    for (size_t i = 0; i < FEW; i++)
        kit_await(&jobs[i]);
    store_close(store);
    failed = struck();
    store = kit_open(kit);
    for (size_t i = 0; i < FEW; i++) {
        if (kit_has_thing(store, jobs[i].id) != (jobs[i].job.err == ERR_OK))
            fail_msg("job %zu: %s", i, err_name(jobs[i].job.err));
        assert_false(jobs[i].job.unknown);
    }
    store_close(store);
    return failed;
}

static void the_nth_call_fails_and_nothing_is_lost(void **state)
{
    struct kit *kit = *state;
    bool failed = true;
    int64_t n;

    store_close(kit_open_with_table(kit));
    for (n = 1; failed && n < ROUNDS_MAX; n++) {
        store_fail_at((uint64_t)n);
        failed = play(kit, n * 100);
    }
    assert_in_range(n, 12, ROUNDS_MAX - 1);
}

static void the_nth_allocation_fails_and_nothing_is_lost(void **state)
{
    struct kit *kit = *state;
    bool failed = true;
    int64_t n;

    store_close(kit_open_with_table(kit));
    for (n = 1; failed && n < ROUNDS_MAX; n++) {
        alloc_fail_at((uint64_t)n);
        failed = play(kit, n * 100);
    }
    assert_in_range(n, 8, ROUNDS_MAX - 1);
}

/* A migration that fails anywhere leaves whole steps, and the next start completes it. */
static void the_nth_call_fails_and_migrations_stay_whole(void **state)
{
    static const struct store_statement drop = {.name = "drop",
                                                .sqlite = "DROP TABLE IF EXISTS schema_migrations"};
    static const struct store_statement drop_one = {.name = "drop_one",
                                                    .sqlite = "DROP TABLE IF EXISTS one"};
    static const struct store_statement drop_two = {.name = "drop_two",
                                                    .sqlite = "DROP TABLE IF EXISTS two"};
    static const struct store_migration steps[] = {
        {1, "one", "CREATE TABLE one (id integer)", "CREATE TABLE one (id integer)", "a", "a"},
        {2, "two", "CREATE TABLE two (id integer)", "CREATE TABLE two (id integer)", "b", "b"},
    };
    struct store *store = kit_open(*state);
    struct store_fault fault;
    enum err err = ERR_STORE_UNAVAILABLE;

    for (uint64_t n = 1; err && n < 100; n++) {
        kit_exec(store, &drop);
        kit_exec(store, &drop_one);
        kit_exec(store, &drop_two);
        fault.text[0] = '\0';
        store_fail_at(n);
        err = store_migrate(store, steps, 2, &fault);
        store_fail_at(0);
        assert_true(err == ERR_OK || strlen(fault.text) > 20);
        assert_int_equal(store_migrate(store, steps, 2, &fault), ERR_OK);
    }
    assert_int_equal(err, ERR_OK);
    store_close(store);
}

/* ---- Full disks --------------------------------------------------------------------------- */

enum { BIG = 64 * 1024 };

static const struct store_statement put_big = {
    .name = "put_big",
    .sqlite = "INSERT INTO identity_changes (subject, session_id, what, at) VALUES (1, ?1, ?2, 1)"};
static const struct store_statement has_big = {
    .name = "has_big", .sqlite = "SELECT count(*) FROM identity_changes WHERE session_id = ?1"};

static enum err put_big_run(struct store_conn *conn, struct store_job *job)
{
    static char bytes[BIG];

    memset(bytes, 'x', sizeof(bytes));
    return store_exec(conn, &put_big,
                      STORE_PARAMS(STORE_TEXT(span_from(job->context)),
                                   STORE_TEXT(span_make(bytes, sizeof(bytes)))),
                      NULL);
}

static enum err has_big_run(struct store_conn *conn, struct store_job *job)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err =
        store_query(conn, &has_big, STORE_PARAMS(STORE_TEXT(span_from(job->context))), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_INTERNAL);
    return store_rows_i64(rows, 0) == 1 ? ERR_OK : ERR_NOT_FOUND;
}

static struct store *open_migrated(struct kit *kit)
{
    const struct store_migration *list;
    struct store *store = NULL;
    size_t count;

    store_migrations(&list, &count);
    PC_ASSERT(store_open(&kit->options, &store, NULL) == ERR_OK);
    PC_ASSERT(store_migrate(store, list, count, NULL) == ERR_OK);
    return store;
}

/* Fills the disk; returns how many rows were acknowledged before. */
static int fill(struct store *store)
{
    char name[16];

    for (int i = 0; i < 1000; i++) {
        enum err err;

        (void)snprintf(name, sizeof(name), "%d", i);
        err = store_do(store, put_big_run, name, true);
        if (err == ERR_OK)
            continue;
        PC_ASSERT(err == ERR_STORE_FULL);
        PC_ASSERT(store_ready(store) == ERR_STORE_FULL);
        PC_ASSERT(store_do(store, has_big_run, name, false) == ERR_NOT_FOUND);
        return i;
    }
    PC_WRONG("the disk did not fill");
}

static void check_filled(struct store *store, int count)
{
    char name[16];

    for (int i = 0; i < count; i++) {
        (void)snprintf(name, sizeof(name), "%d", i);
        PC_ASSERT(store_do(store, has_big_run, name, false) == ERR_OK);
    }
}

static void quota_body(struct kit *kit)
{
    struct rlimit limit = {.rlim_cur = 1024 * 1024, .rlim_max = RLIM_INFINITY};
    struct store *store = open_migrated(kit);
    int count;

    (void)signal(SIGXFSZ, SIG_IGN);
    PC_ASSERT(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    count = fill(store);
    PC_ASSERT(count > 3);
    check_filled(store, count);
    limit.rlim_cur = RLIM_INFINITY;
    PC_ASSERT(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    PC_ASSERT(comes_to(store, ERR_OK)); /* nobody asked it to */
    PC_ASSERT(store_do(store, put_big_run, (void *)(uintptr_t) "after", true) == ERR_OK);
    check_filled(store, count);
    store_close(store);
}

/* At a quota, writes fail clearly, reads go on, nothing acknowledged is lost, and when there is
 * room again the store notices by itself. */
static void a_full_quota_loses_nothing(void **state)
{
    sqlite_only(*state);
    in_child(quota_body, *state);
}

static void tmpfs_body(struct kit *kit)
{
    struct store *store;
    int count;

    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", kit->dir, "tmpfs", 0, "size=1536k,mode=0777") != 0)
        _exit(77); /* not allowed here */
    store = open_migrated(kit);
    count = fill(store);
    check_filled(store, count);
    PC_ASSERT(mount("tmpfs", kit->dir, "tmpfs", MS_REMOUNT, "size=8m") == 0);
    PC_ASSERT(comes_to(store, ERR_OK));
    PC_ASSERT(store_do(store, put_big_run, (void *)(uintptr_t) "after", true) == ERR_OK);
    check_filled(store, count);
    store_close(store);
}

/* The same on a file system that really is full. */
static void a_full_disk_loses_nothing(void **state)
{
    sqlite_only(*state);
    in_child(tmpfs_body, *state);
}

static enum err page_limit_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement low = {.name = "low",
                                               .sqlite = "PRAGMA main.max_page_count = 1"};
    static const struct store_statement high = {.name = "high",
                                                .sqlite = "PRAGMA main.max_page_count = 100000"};
    PC_AUTO(store_rows) rows = NULL;

    return store_query(conn, job->context != NULL ? &low : &high, NULL, 0, &rows);
}

static void big_done(struct store_job *job)
{
    (void)sem_post(&PC_CONTAINER(job, struct kit_job, job)->over);
}

/* In a batch the database may drop the whole transaction: the small jobs of the batch must not
 * suffer for the one that is too big, nor be told that they were kept when they were not. */
static void a_full_batch_keeps_its_small_jobs(void **state)
{
    struct kit *kit = *state;
    struct store *store;
    struct kit_job jobs[9];
    sem_t go, started;

    sqlite_only(kit);
    store = open_migrated(kit);
    kit_exec(store, &kit_table);
    assert_int_equal(store_do(store, page_limit_run, kit, true), ERR_OK);
    assert_int_equal(sem_init(&go, 0, 0) | sem_init(&started, 0, 0), 0);
    for (int64_t i = 0; i < 9; i++)
        kit_job_init(&jobs[i], i);
    jobs[0].tell_started = &started;
    jobs[0].wait_for = &go;
    jobs[5].job = (struct store_job){
        .run = put_big_run, .done = big_done, .context = (void *)(uintptr_t) "big"};
    assert_int_equal(store_write(store, &jobs[0].job), ERR_OK);
    while (sem_wait(&started) != 0)
        continue;
    for (size_t i = 1; i < 9; i++)
        assert_int_equal(store_write(store, &jobs[i].job), ERR_OK);
    assert_int_equal(sem_post(&go), 0);
    for (size_t i = 0; i < 9; i++) {
        kit_await(&jobs[i]);
        assert_int_equal(jobs[i].job.err, i == 5 ? ERR_STORE_FULL : ERR_OK);
        assert_int_equal(kit_has_thing(store, (int64_t)i), i != 5);
    }
    assert_int_equal(store_do(store, page_limit_run, NULL, true), ERR_OK);
    assert_int_equal(store_do(store, put_big_run, (void *)(uintptr_t) "big", true), ERR_OK);
    store_close(store);
}

/* ---- Files that will not do --------------------------------------------------------------- */

static void read_only_body(struct kit *kit)
{
    struct store_fault fault = {""};
    struct store *store = NULL;

    if (geteuid() == 0)
        PC_ASSERT(setgid(65534) == 0 && setuid(65534) == 0);
    PC_ASSERT(store_open(&kit->options, &store, &fault) == ERR_STORE_READ_ONLY);
    PC_ASSERT(strstr(fault.text, "cannot be written") != NULL);
    PC_ASSERT(strstr(fault.text, "give this user the right") != NULL);
}

/* A file that may only be read is refused at the start, not at the first login. */
static void a_read_only_file_is_refused_at_once(void **state)
{
    struct kit *kit = *state;
    char path[96];

    sqlite_only(kit);
    store_close(kit_open_with_table(kit));
    (void)snprintf(path, sizeof(path), "%s/test.db", kit->dir);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(kit->dir, 0555), 0);
    in_child(read_only_body, kit);
    assert_int_equal(chmod(kit->dir, 0755), 0);
}

static void refused(struct kit *kit, enum err err, const char *words)
{
    struct store_fault fault = {""};
    struct store *store = NULL;

    assert_int_equal(store_open(&kit->options, &store, &fault), err);
    assert_null(store);
    if (strstr(fault.text, words) == NULL)
        fail_msg("%s", fault.text);
}

/* Another program's file, a file that is no database, and one that is locked are left alone. */
static void foreign_files_are_left_alone(void **state)
{
    struct kit *kit = *state;
    sqlite3 *db = NULL;
    char path[96];
    FILE *file;

    sqlite_only(kit);
    (void)snprintf(path, sizeof(path), "%s/test.db", kit->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (x)", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    refused(kit, ERR_STORE_VERSION, "belongs to another program");
    file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        (void)fputs("this is no database at all\n", file);
    (void)fclose(file);
    refused(kit, ERR_STORE_CORRUPT, "is not a database, or it is damaged");
    assert_int_equal(unlink(path), 0);
    store_close(kit_open_with_table(kit));
    kit->options.busy_timeout_ms = 100;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    refused(kit, ERR_BUSY, "is locked by another process");
    (void)sqlite3_close(db);
    store_close(kit_open(kit));
}

static enum err scan_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement scan = {.name = "scan",
                                                .sqlite = "SELECT length(name) FROM things"};
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &scan, NULL, 0, &rows);

    (void)job;
    if (err)
        return err;
    while (store_next(rows))
        (void)store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

/* Damage is reported as damage, and shows in the state of the store. */
static void a_damaged_page_is_called_damage(void **state)
{
    static const struct store_statement many = {
        .name = "many",
        .sqlite = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000)"
                  " INSERT INTO things (id, name) SELECT x, 'a name of some length ' || x FROM n"};
    struct kit *kit = *state;
    struct store *store;
    char path[96];
    FILE *file;

    sqlite_only(kit);
    store = kit_open_with_table(kit);
    kit_exec(store, &many);
    store_close(store);
    (void)snprintf(path, sizeof(path), "%s/test.db", kit->dir);
    file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 5 * 4096, SEEK_SET), 0);
    for (int i = 0; i < 10 * 4096; i++)
        (void)fputc(0xA5, file);
    (void)fclose(file);
    store = kit_open(kit);
    assert_int_equal(store_do(store, scan_run, NULL, false), ERR_STORE_CORRUPT);
    assert_int_equal(store_ready(store), ERR_STORE_CORRUPT);
    store_close(store);
}

/* Writing into a file that nobody can find any more would only look like success. */
static void a_moved_file_takes_no_write(void **state)
{
    struct kit *kit = *state;
    struct store *store;
    char path[96];
    char moved[96];

    sqlite_only(kit);
    store = kit_open_with_table(kit);
    assert_int_equal(kit_add(store, 1), ERR_OK);
    (void)snprintf(path, sizeof(path), "%s/test.db", kit->dir);
    (void)snprintf(moved, sizeof(moved), "%s/other.db", kit->dir);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(kit_add(store, 2), ERR_STORE_UNAVAILABLE);
    assert_int_equal(store_ready(store), ERR_STORE_UNAVAILABLE);
    assert_int_equal(rename(moved, path), 0);
    assert_true(comes_to(store, ERR_OK));
    assert_int_equal(kit_add(store, 2), ERR_OK);
    store_close(store);
}

static enum err settings_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement ask[] = {
        {.name = "a",
         .sqlite = "SELECT synchronous = 2 FROM pragma_synchronous",
         .postgres = "SELECT current_setting('synchronous_commit') = 'on'"},
        {.name = "b",
         .sqlite = "SELECT journal_mode = 'wal' FROM pragma_journal_mode",
         .postgres = "SELECT current_setting('transaction_isolation') = 'serializable'"},
        {.name = "c",
         .sqlite = "SELECT foreign_keys FROM pragma_foreign_keys",
         .postgres = "SELECT current_setting('standard_conforming_strings') = 'on'"},
        {.name = "d",
         .sqlite = "SELECT trusted_schema = 0 FROM pragma_trusted_schema",
         .postgres = "SELECT current_setting('statement_timeout') = '10s'"},
        {.name = "e",
         .sqlite = "SELECT cell_size_check FROM pragma_cell_size_check",
         .postgres = "SELECT current_setting('lock_timeout') = '5s'"},
    };

    (void)job;
    for (size_t i = 0; i < PC_COUNT(ask); i++) {
        PC_AUTO(store_rows) rows = NULL;
        enum err err = store_query(conn, &ask[i], NULL, 0, &rows);

        if (err)
            return err;
        if (!store_next(rows) || !store_rows_bool(rows, 0))
            return ERR_CONFIG;
    }
    return ERR_OK;
}

/* The settings that durability and safety rest on are in force. */
static void the_handle_is_set_up_for_safety(void **state)
{
    struct store *store = kit_open(*state);

    assert_int_equal(store_do(store, settings_run, NULL, true), ERR_OK);
    store_close(store);
}

/* ---- Servers that will not do ------------------------------------------------------------- */

static void psql(const char *text)
{
    const char *const arguments[] = {"env",
                                     "PGOPTIONS=-c default_transaction_read_only=off",
                                     "psql",
                                     "-q",
                                     "-v",
                                     "ON_ERROR_STOP=1",
                                     getenv("PORTCULLIS_TEST_POSTGRES_URL"),
                                     "-c",
                                     text,
                                     NULL};

    kit_command(arguments);
}

/* The URL of the test server with another password, or another database. */
static void url_with(struct kit *kit, const char *password, const char *database)
{
    struct span rest = span_from(kit->url); /* postgresql://USER:PASSWORD@HOST:PORT/DATABASE?... */
    struct span scheme = {0};
    struct span user = {0};
    struct span secret = {0};
    struct span host = {0};
    char url[256];

    assert_true(span_cut(&rest, '/', &scheme) && span_cut(&rest, '/', &host));
    assert_true(span_cut(&rest, ':', &user) && span_cut(&rest, '@', &secret));
    assert_true(span_cut(&rest, '/', &host));
    (void)snprintf(url, sizeof(url), "postgresql://%.*s:%.*s@%.*s/%s?sslmode=disable",
                   SPAN_ARG(user), SPAN_ARG(password ? span_from(password) : secret),
                   SPAN_ARG(host), database ? database : "postgres");
    memcpy(kit->url, url, sizeof(url));
    kit->options.url = span_from(kit->url);
}

static void url_with_host_twice(struct kit *kit)
{
    const char *at = strchr(kit->url, '@');
    char url[256];
    int host;

    assert_non_null(at);
    host = (int)strcspn(at + 1, "/");
    (void)snprintf(url, sizeof(url), "%.*s%.*s,%s", (int)(at + 1 - kit->url), kit->url, host,
                   at + 1, at + 1);
    memcpy(kit->url, url, sizeof(url));
    kit->options.url = span_from(kit->url);
}

static void servers_refuse_clearly(void **state)
{
    struct kit *kit = *state;

    postgres_only(kit);
    kit->options.sslmode = "require";
    refused(kit, ERR_STORE_UNAVAILABLE, "does not support SSL");
    kit->options.sslmode = NULL;
    url_with(kit, NULL, "nowhere");
    refused(kit, ERR_STORE_UNAVAILABLE, "\"nowhere\" does not exist");
    psql("CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'");
    url_with(kit, NULL, "bytes");
    refused(kit, ERR_STORE_VERSION, "create it with ENCODING 'UTF8'");
    psql("DROP DATABASE bytes");
    url_with(kit, "wrong-secret", NULL);
    refused(kit, ERR_STORE_UNAVAILABLE, "password authentication failed");
}

static void end_all_connections(void)
{
    psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
         " AND application_name = 'portcullis'");
}

static void read_only(const char *value)
{
    char text[192];

    (void)snprintf(text, sizeof(text),
                   "DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET"
                   " default_transaction_read_only = %s', current_database()); END $$",
                   value);
    psql(text);
}

/* A server that turns read-only refuses writes clearly; reads go on, and writing comes back by
 * itself. */
static void a_read_only_server_still_reads(void **state)
{
    struct kit *kit = *state;
    struct store *store;

    postgres_only(kit);
    store = open_migrated(kit);
    kit_exec(store, &kit_table);
    assert_int_equal(kit_add(store, 1), ERR_OK);
    read_only("on");
    refused(kit, ERR_STORE_READ_ONLY, "is read-only");
    end_all_connections();
    assert_int_equal(kit_add(store, 2), ERR_STORE_READ_ONLY);
    assert_int_equal(store_ready(store), ERR_STORE_READ_ONLY);
    assert_int_equal(kit_things(store), 1);
    read_only("off");
    end_all_connections();
    assert_true(comes_to(store, ERR_OK));
    assert_int_equal(kit_add(store, 2), ERR_OK);
    store_close(store);
}

static void control(const char *what)
{
    const char *const arguments[] = {getenv("PORTCULLIS_TEST_POSTGRES"), "--control", what, NULL};

    kit_command(arguments);
}

/* The same server, as it stands behind a primary, or not. */
static void stand_by(bool stands_by)
{
    char path[256];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/data/standby.signal",
                   getenv("PORTCULLIS_TEST_POSTGRES_DIR"));
    control("crash");
    if (stands_by) {
        file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fclose(file), 0);
    } else {
        assert_int_equal(unlink(path), 0);
    }
    control("start");
}

/* A standby may be behind: what it shows is not what was acknowledged, so it is not read either. */
static void a_standby_is_not_read(void **state)
{
    struct kit *kit = *state;
    struct kit_number number = {.statement = &kit_count};
    struct store *store;
    enum err err;

    postgres_only(kit);
    store = open_migrated(kit);
    kit_exec(store, &kit_table);
    assert_int_equal(kit_things(store), 0);
    stand_by(true);
    do
        err = store_do(store, kit_number0_run, &number, false);
    while (err == ERR_STORE_UNAVAILABLE); /* the connection of before, or the backoff */
    assert_int_equal(err, ERR_STORE_READ_ONLY);
    refused(kit, ERR_STORE_READ_ONLY, "is read-only");
    stand_by(false);
    assert_true(comes_to(store, ERR_OK));
    assert_int_equal(kit_things(store), 0);
    store_close(store);
}

/* Of several hosts the primary is chosen, by those who read as well. */
static enum err attributes_run(struct store_conn *conn, struct store_job *job)
{
    const char **expected = job->context;
    PQconninfoOption *parts = PQconninfo(store_pg(conn));
    bool found = false;

    for (PQconninfoOption *part = parts; part != NULL && part->keyword != NULL; part++)
        if (strcmp(part->keyword, "target_session_attrs") == 0)
            found = part->val != NULL && strcmp(part->val, *expected) == 0;
    PQconninfoFree(parts);
    return found ? ERR_OK : ERR_CONFIG;
}

static void of_several_hosts_the_primary_is_used(void **state)
{
    const char *reader = "primary";
    const char *writer = "read-write";
    struct kit *kit = *state;
    struct store *store;

    postgres_only(kit);
    url_with_host_twice(kit);
    store = kit_open(kit);
    assert_int_equal(store_do(store, attributes_run, &reader, false), ERR_OK);
    assert_int_equal(store_do(store, attributes_run, &writer, true), ERR_OK);
    store_close(store);
}

/* Connections that died while idle are replaced without anybody noticing. */
static void stale_connections_are_replaced(void **state)
{
    struct kit *kit = *state;
    struct store *store;
    struct store_stats stats;

    postgres_only(kit);
    store = kit_open_with_table(kit);
    for (int64_t i = 1; i <= 3; i++) {
        assert_int_equal(kit_things(store), i - 1);
        end_all_connections();
        assert_int_equal(kit_add(store, i), ERR_OK);
        assert_int_equal(kit_things(store), i);
    }
    store_stats(store, &stats);
    assert_true(stats.reconnects >= 6);
    assert_int_equal(stats.failures, 0);
    store_close(store);
}

static enum err alter_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement alter = {
        .name = "alter", .sqlite = "ALTER TABLE things ADD COLUMN more text"};

    (void)job;
    return store_exec(conn, &alter, NULL, 0, NULL);
}

static enum err star_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement star = {.name = "star", .sqlite = "SELECT * FROM things"};
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &star, NULL, 0, &rows);

    (void)job;
    return err ? err : store_rows_err(rows);
}

/* Statements that were prepared before another process changed the schema still work after it. */
static void prepared_statements_survive_a_migration(void **state)
{
    struct store *store = kit_open_with_table(*state);

    for (int i = 0; i < 4; i++)
        assert_int_equal(store_do(store, star_run, NULL, false), ERR_OK);
    assert_int_equal(store_do(store, alter_run, NULL, true), ERR_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(store_do(store, star_run, NULL, false), ERR_OK);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(the_nth_call_fails_and_nothing_is_lost),
        KIT_TEST(the_nth_allocation_fails_and_nothing_is_lost),
        KIT_TEST(the_nth_call_fails_and_migrations_stay_whole),
        KIT_TEST(a_full_quota_loses_nothing),
        KIT_TEST(a_full_disk_loses_nothing),
        KIT_TEST(a_full_batch_keeps_its_small_jobs),
        KIT_TEST(a_read_only_file_is_refused_at_once),
        KIT_TEST(foreign_files_are_left_alone),
        KIT_TEST(a_damaged_page_is_called_damage),
        KIT_TEST(a_moved_file_takes_no_write),
        KIT_TEST(the_handle_is_set_up_for_safety),
        KIT_TEST(servers_refuse_clearly),
        KIT_TEST(a_read_only_server_still_reads),
        KIT_TEST(a_standby_is_not_read),
        KIT_TEST(of_several_hosts_the_primary_is_used),
        KIT_TEST(stale_connections_are_replaced),
        KIT_TEST(prepared_statements_survive_a_migration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
