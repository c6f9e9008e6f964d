/* SPDX-License-Identifier: MIT
 * Disks that fail under SQLite: a layer beneath it refuses the n-th write or sync. Nothing is
 * acknowledged that may be lost, no failed sync is tried again as if nothing had happened, what was
 * refused does not come back, and the store recovers unaided. */
#include "store/store_priv.h"
#include "store/store_test_kit.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

static void sleep_ms(long ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&wait, NULL);
}

/* Waits for the store to say `err`, at most ten seconds. */
static bool comes_to(struct store *store, enum err err)
{
    for (int i = 0; i < 1000; i++) {
        if (store_ready(store) == err)
            return true;
        sleep_ms(10);
    }
    return false;
}

/* ---- A disk that fails -------------------------------------------------------------------- */

enum who { ANYBODY, KEEPER, OTHERS }; /* of the threads */
enum call { CALL_LOG_WRITE, CALL_LOG_SYNC, CALL_FILE_WRITE, CALL_FILE_SYNC, CALLS };

static struct {
    _Atomic int countdown[CALLS]; /* the n-th from now fails; 0: none */
    _Atomic bool stays[CALLS];    /* ... and all behind it */
    _Atomic int whose_calls;      /* enum who */
    _Atomic bool keeper_idle;     /* the keeper finds somebody else at it: copies nothing */
    _Atomic int code[CALLS];      /* what SQLite is told */
    _Atomic int number;           /* what it reads as errno */
    _Atomic int failures;         /* so far */
    _Atomic int synced_again;     /* syncs of a handle whose sync had failed */
    _Atomic bool unsure;          /* a sync of the log failed, and since then neither was the file
                                     synced nor the log emptied */
    _Atomic pthread_t whose;      /* the thread that it failed in */
    _Atomic int written_unsure;   /* writes to the log meanwhile, of that thread */
} disk;

struct shim {
    sqlite3_file base;
    sqlite3_file *real;
    bool is_log;
    bool sync_failed;
};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct shim *)file)->real;
}

static bool is_keeper(void)
{
    char name[16] = "";

    (void)pthread_getname_np(pthread_self(), name, sizeof(name));
    return strcmp(name, "store-keep") == 0;
}

static bool is_meant(void)
{
    return disk.whose_calls == ANYBODY || (disk.whose_calls == KEEPER) == is_keeper();
}

static bool strikes(enum call call)
{
    int left = atomic_load(&disk.countdown[call]);

    if (left == 0 || !is_meant())
        return false;
    if (left > 1 || !disk.stays[call])
        left = atomic_fetch_sub(&disk.countdown[call], 1);
    if (left != 1)
        return false;
    disk.failures++;
    return true;
}

static int shim_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 at)
{
    struct shim *shim = (struct shim *)file;
    enum call call = shim->is_log ? CALL_LOG_WRITE : CALL_FILE_WRITE;

    if (strikes(call))
        return disk.code[call];
    if (shim->is_log && disk.unsure && pthread_equal(disk.whose, pthread_self()))
        disk.written_unsure++;
    return shim->real->pMethods->xWrite(shim->real, bytes, count, at);
}

static int shim_sync(sqlite3_file *file, int flags)
{
    struct shim *shim = (struct shim *)file;
    enum call call = shim->is_log ? CALL_LOG_SYNC : CALL_FILE_SYNC;
    int code;

    if (shim->sync_failed)
        disk.synced_again++;
    if (strikes(call)) {
        shim->sync_failed = true;
        disk.whose = pthread_self();
        disk.unsure = disk.unsure || shim->is_log;
        return disk.code[call];
    }
    code = shim->real->pMethods->xSync(shim->real, flags);
    if (code == SQLITE_OK && !shim->is_log)
        disk.unsure = false;
    return code;
}

static int shim_control(sqlite3_file *file, int what, void *value)
{
    int code = real_of(file)->pMethods->xFileControl(real_of(file), what, value);

    if (what == SQLITE_FCNTL_LAST_ERRNO && disk.number != 0)
        *(int *)value = disk.number;
    return code;
}

static int shim_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int shim_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), bytes, count, at);
}

/* What an empty log has lost, nobody misses: all that was in it had been copied and synced. */
static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct shim *shim = (struct shim *)file;
    int code = shim->real->pMethods->xTruncate(shim->real, size);

    if (code == SQLITE_OK && shim->is_log && size == 0)
        disk.unsure = false;
    return code;
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int shim_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int shim_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int shim_reserved(sqlite3_file *file, int *out)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int shim_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int shim_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int shim_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    if (disk.keeper_idle && (flags & SQLITE_SHM_EXCLUSIVE) && (flags & SQLITE_SHM_LOCK) &&
        is_keeper())
        return SQLITE_BUSY;
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void shim_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int shim_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods shim_methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_traits,
    .xShmMap = shim_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_barrier,
    .xShmUnmap = shim_unmap,
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs shim_vfs;

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    struct shim *shim = (struct shim *)file;
    int code;

    (void)vfs;
    *shim =
        (struct shim){.real = (sqlite3_file *)(shim + 1), .is_log = (flags & SQLITE_OPEN_WAL) != 0};
    code = real_vfs->xOpen(real_vfs, name, shim->real, flags, out);
    shim->base.pMethods = shim->real->pMethods != NULL ? &shim_methods : NULL;
    return code;
}

/* The layer lies under every handle that is opened from now on. */
static int shim_install(void **state)
{
    (void)state;
    real_vfs = sqlite3_vfs_find(NULL);
    shim_vfs = *real_vfs;
    shim_vfs.zName = "failing";
    shim_vfs.szOsFile = (int)sizeof(struct shim) + real_vfs->szOsFile;
    shim_vfs.xOpen = shim_open;
    return sqlite3_vfs_register(&shim_vfs, 1) == SQLITE_OK ? 0 : -1;
}

static void disk_heal(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        disk.countdown[i] = 0;
        disk.stays[i] = false;
    }
    disk.number = 0;
    disk.whose_calls = ANYBODY;
    disk.keeper_idle = false;
}

static void disk_reset(void)
{
    disk_heal();
    disk.failures = disk.synced_again = disk.written_unsure = 0;
    disk.unsure = false;
}

static void disk_fail(enum call call, int nth, int code, bool stays)
{
    disk.code[call] = code;
    disk.stays[call] = stays;
    disk.countdown[call] = nth;
}

static void sqlite_only(const struct kit *kit)
{
    if (kit->postgres)
        skip();
    disk_reset();
}

/* ---- After a crash ------------------------------------------------------------------------ */

static void copy_file(const struct kit *kit, const char *from, const char *to)
{
    static char bytes[64 * 1024];
    char path[128];
    FILE *in, *out;
    size_t len;

    (void)snprintf(path, sizeof(path), "%s/%s", kit->dir, from);
    in = fopen(path, "r");
    (void)snprintf(path, sizeof(path), "%s/%s", kit->dir, to);
    out = fopen(path, "w");
    assert_non_null(out);
    while (in != NULL && (len = fread(bytes, 1, sizeof(bytes), in)) > 0)
        assert_int_equal(fwrite(bytes, 1, len, out), len);
    if (in != NULL)
        (void)fclose(in);
    (void)fclose(out);
}

/* Whether a process that started now, after ours had been killed, would find the row. */
static bool survives(const struct kit *kit, int64_t id)
{
    sqlite3_stmt *stmt = NULL;
    sqlite3 *db = NULL;
    char path[128];
    bool found;

    copy_file(kit, "test.db", "other.db");
    copy_file(kit, "test.db-wal", "other.db-wal");
    (void)snprintf(path, sizeof(path), "%s/other.db", kit->dir);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT 1 FROM things WHERE id = ?1", -1, &stmt, NULL),
                     SQLITE_OK);
    (void)sqlite3_bind_int64(stmt, 1, id);
    found = sqlite3_step(stmt) == SQLITE_ROW;
    (void)sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return found;
}

/* ---- Syncs that fail ---------------------------------------------------------------------- */

/* Adds a row and returns how it ended. */
static enum err add(struct store *store, int64_t id, bool *ret_unknown)
{
    struct kit_job kj;

    kit_job_init(&kj, id);
    assert_int_equal(store_write(store, &kj.job), ERR_OK);
    kit_await(&kj);
    *ret_unknown = kj.job.unknown;
    return kj.job.err;
}

/* The commit is in the log but perhaps not on the disk: it is not acknowledged, its sync is not
 * tried again, and before anything else is written all that was committed is written out anew. */
static void a_failed_sync_is_not_believed(void **state)
{
    struct kit *kit = *state;
    struct store *store;
    bool unknown, kept;

    sqlite_only(kit);
    store = kit_open_with_table(kit);
    assert_int_equal(add(store, 1, &unknown), ERR_OK);
    disk.whose_calls = OTHERS;
    disk_fail(CALL_LOG_SYNC, 1, SQLITE_IOERR_FSYNC, false);
    assert_int_equal(add(store, 2, &unknown), ERR_STORE_UNAVAILABLE);
    assert_true(unknown);
    assert_true(comes_to(store, ERR_OK));
    assert_int_equal(disk.failures, 1);
    assert_int_equal(disk.synced_again, 0);
    assert_int_equal(disk.written_unsure, 0);
    kept = kit_has_thing(store, 2);
    assert_int_equal(survives(kit, 2), kept); /* whichever it is, it stays so */
    assert_int_equal(add(store, 3, &unknown), ERR_OK);
    assert_true(survives(kit, 1) && survives(kit, 3));
    assert_int_equal(survives(kit, 2), kept);
    store_close(store);
}

/* The same where the disk says that it was full: a sync that fails is never "not done". */
static void a_sync_that_finds_the_disk_full_is_unknown(void **state)
{
    struct kit *kit = *state;
    struct store *store;
    bool unknown;

    sqlite_only(kit);
    store = kit_open_with_table(kit);
    disk.number = ENOSPC;
    disk.whose_calls = OTHERS;
    disk_fail(CALL_LOG_SYNC, 1, SQLITE_IOERR_FSYNC, false);
    assert_int_equal(add(store, 2, &unknown), ERR_STORE_FULL);
    assert_true(unknown);
    disk_heal();
    assert_true(comes_to(store, ERR_OK));
    assert_int_equal(add(store, 3, &unknown), ERR_OK);
    assert_int_equal(disk.synced_again, 0);
    assert_int_equal(disk.written_unsure, 0);
    store_close(store);
}

/* Gives the keeper something to sync until it has failed to. */
static void make_keeper_fail(struct store *store, int64_t *next)
{
    bool unknown;

    disk.failures = 0;
    disk.whose_calls = KEEPER;
    disk_fail(CALL_LOG_SYNC, 1, SQLITE_IOERR_FSYNC, false);
    for (int i = 0; i < 100 && disk.failures == 0; i++) {
        assert_int_equal(add(store, (*next)++, &unknown), ERR_OK);
        (void)sem_post(&store->wal.wanted);
        for (int wait = 0; wait < 50 && disk.failures == 0; wait++)
            sleep_ms(2);
    }
    assert_int_equal(disk.failures, 1);
    while (disk.unsure && !atomic_load(&store->wal.suspect)) /* it is about to say it */
        sleep_ms(1);
}

/* The keeper syncs the log as well. What it could not sync is made good before the writer
 * acknowledges anything more, though no call of the writer has failed. */
static void a_sync_that_fails_the_keeper_is_made_good(void **state)
{
    struct kit *kit = *state;
    struct store *store;
    int64_t next = 1;
    bool unknown;

    sqlite_only(kit);
    store = kit_open_with_table(kit);
    for (int i = 0; i < 5; i++) {
        make_keeper_fail(store, &next);
        assert_int_equal(add(store, next++, &unknown), ERR_OK);
        assert_false(disk.unsure);
        assert_true(survives(kit, next - 2) && survives(kit, next - 1));
    }
    assert_int_equal(disk.synced_again, 0);
    store_close(store);
}

/* While the disk fails nothing is acknowledged and reads go on; when it is well again the store
 * notices by itself, and what it had acknowledged is all there. */
static void a_disk_that_stays_bad_stops_writing(void **state)
{
    static const enum call calls[] = {CALL_LOG_SYNC, CALL_FILE_SYNC, CALL_FILE_WRITE};
    struct kit *kit = *state;
    struct store *store;
    int64_t id = 10;
    bool unknown;

    sqlite_only(kit);
    store = kit_open_with_table(kit);
    for (size_t i = 0; i < PC_COUNT(calls); i++) {
        disk.keeper_idle = true; /* or it empties the log, and the next one is begun after all */
        assert_int_equal(add(store, id, &unknown), ERR_OK);
        disk_fail(CALL_LOG_SYNC, 1, SQLITE_IOERR_FSYNC, calls[i] == CALL_LOG_SYNC);
        if (calls[i] != CALL_LOG_SYNC) /* the way back fails as well */
            disk_fail(calls[i], 1, SQLITE_IOERR_FSYNC, true);
        assert_int_equal(add(store, ++id, &unknown), ERR_STORE_UNAVAILABLE);
        for (int more = 0; more < 5; more++) {
            assert_int_equal(add(store, ++id, &unknown), ERR_STORE_UNAVAILABLE);
            assert_false(unknown); /* not even begun */
            assert_false(kit_has_thing(store, id));
            sleep_ms(50);
        }
        assert_true(kit_has_thing(store, 10));
        disk_heal();
        assert_true(comes_to(store, ERR_OK));
        assert_int_equal(disk.synced_again, 0);
        assert_int_equal(disk.written_unsure, 0);
        assert_int_equal(add(store, ++id, &unknown), ERR_OK);
        assert_true(survives(kit, 10) && survives(kit, id));
        id++;
    }
    store_close(store);
}

/* ---- The n-th call ------------------------------------------------------------------------ */

enum { FEW = 4 };

static enum err together_run(struct store_conn *conn, struct store_job *const *jobs, size_t count,
                             const void *group)
{
    (void)group;
    for (size_t i = 0; i < count; i++) {
        enum err err = kit_insert_run(conn, jobs[i]);

        if (err)
            return err;
    }
    return ERR_OK;
}

/* A batch and a group while the n-th call fails; rows are as their jobs were told, before and
 * after a crash, and only the unknown may be either. Returns whether something failed. */
static bool play(struct kit *kit, struct store *store, int64_t base, enum call call, int nth,
                 int code)
{
    struct kit_job jobs[2 * FEW];
    bool failed;

    disk_reset();
    disk.whose_calls = OTHERS;
    disk_fail(call, nth, code, false);
    for (int64_t i = 0; i < 2 * FEW; i++) {
        kit_job_init(&jobs[i], base + i);
        if (i % 2 == 1) {
            jobs[i].job.run = NULL;
            jobs[i].job.together = together_run;
        }
        assert_int_equal(store_write(store, &jobs[i].job), ERR_OK);
    }
    for (size_t i = 0; i < 2 * FEW; i++)
        kit_await(&jobs[i]);
    failed = disk.failures > 0;
    disk_heal();
    assert_true(comes_to(store, ERR_OK));
    assert_int_equal(disk.synced_again, 0);
    assert_int_equal(disk.written_unsure, 0);
    for (size_t i = 0; i < 2 * FEW; i++) {
        bool there = kit_has_thing(store, jobs[i].id);

        if (!jobs[i].job.unknown)
            assert_int_equal(there, jobs[i].job.err == ERR_OK);
        if (failed)
            assert_int_equal(survives(kit, jobs[i].id), there);
    }
    return failed;
}

static void the_nth_disk_call_fails_and_nothing_is_lost(void **state)
{
    static const struct {
        enum call call;
        int code;
    } cases[] = {
        {CALL_LOG_WRITE, SQLITE_FULL},
        {CALL_LOG_WRITE, SQLITE_IOERR_WRITE},
        {CALL_LOG_SYNC, SQLITE_IOERR_FSYNC},
    };
    struct kit *kit = *state;
    struct store *store;
    size_t struck = 0;

    sqlite_only(kit);
    store = kit_open_with_table(kit);
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        for (int nth = 1; nth <= 12; nth++) {
            int64_t base = ((int64_t)i + 1) * 10000 + nth * 100;

            struck += play(kit, store, base, cases[i].call, nth, cases[i].code);
        }
    }
    assert_in_range(struck, 8, 36);
    store_close(store);
}

/* ---- The keeper --------------------------------------------------------------------------- */

enum { BIG = 256 * 1024, MANY = 60 };

static enum err put_big_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement put = {
        .name = "disk_put", .sqlite = "INSERT INTO things (id, name, bytes) VALUES (?1, ?2, ?3)"};
    static char bytes[BIG];
    char name[32];
    const int64_t *id = job->context;

    (void)snprintf(name, sizeof(name), "big-%lld", (long long)*id);
    return store_exec(conn, &put,
                      STORE_PARAMS(STORE_I64(*id), STORE_TEXT(span_from(name)),
                                   STORE_BLOB(span_make(bytes, sizeof(bytes)))),
                      NULL);
}

static int64_t file_bytes(const struct kit *kit, const char *name)
{
    struct stat seen;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", kit->dir, name);
    return stat(path, &seen) == 0 ? (int64_t)seen.st_size : -1;
}

static void put_many(struct store *store, int64_t *next)
{
    for (int i = 0; i < MANY; i++, ++*next)
        assert_int_equal(store_do(store, put_big_run, next, true), ERR_OK);
}

/* The log is copied while the writer goes on, and begins anew: it stays within its bound however
 * much is written. */
static void the_log_stays_within_its_bound(void **state)
{
    struct kit *kit = *state;
    struct store *store;
    int64_t next = 1;

    sqlite_only(kit);
    store = kit_open_with_table(kit);
    for (int round = 0; round < 8; round++) { /* 120 MiB in all */
        put_many(store, &next);
        assert_in_range(file_bytes(kit, "test.db-wal"), 0, 96 * 1024 * 1024);
    }
    for (int i = 0; i < 1000 && file_bytes(kit, "test.db") <= 100 * 1024 * 1024; i++)
        sleep_ms(10); /* an idle keeper comes by itself */
    assert_true(file_bytes(kit, "test.db") > 100 * 1024 * 1024);
    store_close(store);
    assert_int_equal(file_bytes(kit, "test.db-wal"), -1);
}

struct slow {
    struct store_job job;
    sem_t started, go, over;
    int64_t before, after;
};

static enum err slow_run(struct store_conn *conn, struct store_job *job)
{
    struct slow *slow = PC_CONTAINER(job, struct slow, job);
    struct kit_number number = {.statement = &kit_count};
    struct store_job inner = {.context = &number};
    enum err err = kit_number0_run(conn, &inner);

    slow->before = number.result;
    (void)sem_post(&slow->started);
    while (sem_wait(&slow->go) != 0)
        continue;
    if (err)
        return err;
    err = kit_number0_run(conn, &inner);
    slow->after = number.result;
    return err;
}

static void slow_done(struct store_job *job)
{
    (void)sem_post(&PC_CONTAINER(job, struct slow, job)->over);
}

/* A reader that stays keeps the log from beginning anew; writing goes on beside it, it sees its one
 * moment, and when it has gone the log is copied again. */
static void a_slow_reader_stops_nobody(void **state)
{
    struct kit *kit = *state;
    struct slow slow = {.job = {.run = slow_run, .done = slow_done, .snapshot = true}};
    struct store *store;
    int64_t next = 1;

    sqlite_only(kit);
    store = kit_open_with_table(kit);
    assert_int_equal(
        sem_init(&slow.started, 0, 0) | sem_init(&slow.go, 0, 0) | sem_init(&slow.over, 0, 0), 0);
    assert_int_equal(store_read(store, &slow.job), ERR_OK);
    while (sem_wait(&slow.started) != 0)
        continue;
    for (int round = 0; round < 4; round++)
        put_many(store, &next);
    assert_int_equal(sem_post(&slow.go), 0);
    while (sem_wait(&slow.over) != 0)
        continue;
    assert_int_equal(slow.job.err, ERR_OK);
    assert_int_equal(slow.before, slow.after);
    put_many(store, &next);
    assert_int_equal(kit_things(store), next - 1);
    assert_in_range(file_bytes(kit, "test.db-wal"), 0, 192 * 1024 * 1024);
    store_close(store);
}

/* A database file that cannot be written harms no commit: those are in the log. */
static void a_failing_keeper_harms_no_commit(void **state)
{
    struct kit *kit = *state;
    struct store *store;
    int64_t next = 1;

    sqlite_only(kit);
    store = kit_open_with_table(kit);
    disk.whose_calls = KEEPER;
    disk_fail(CALL_FILE_SYNC, 1, SQLITE_IOERR_FSYNC, false);
    put_many(store, &next);
    for (int i = 0; i < 500 && disk.failures == 0; i++)
        sleep_ms(10);
    assert_int_equal(disk.failures, 1);
    put_many(store, &next);
    assert_int_equal(kit_things(store), next - 1);
    assert_int_equal(disk.synced_again, 0);
    store_close(store);
    store = kit_open(kit);
    assert_int_equal(kit_things(store), next - 1);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(a_failed_sync_is_not_believed),
        KIT_TEST(a_sync_that_finds_the_disk_full_is_unknown),
        KIT_TEST(a_sync_that_fails_the_keeper_is_made_good),
        KIT_TEST(a_disk_that_stays_bad_stops_writing),
        KIT_TEST(the_nth_disk_call_fails_and_nothing_is_lost),
        KIT_TEST(the_log_stays_within_its_bound),
        KIT_TEST(a_slow_reader_stops_nobody),
        KIT_TEST(a_failing_keeper_harms_no_commit),
    };

    return cmocka_run_group_tests(tests, shim_install, NULL);
}
