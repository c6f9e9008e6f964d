/* SPDX-License-Identifier: MIT
 * The write-ahead log of SQLite: who copies it into the database file, and when, and what is
 * believed after a disk has failed.
 *
 *   commit --(STEP_PAGES more in the log)--> keeper: copies beside the writer, who goes on
 *   commit --(WAL_PAGES_MAX in the log)----> writer: copies the little that is left, once the
 *                                            answers of its jobs are out; the log begins anew
 *
 * Copying costs two fsyncs and many writes; done by the writer in the middle of its work it made
 * every commit behind it wait. The log stays as large as it once was, since writing over blocks
 * that the file has is cheaper than giving it new ones.
 *
 * A kernel that could not write pages may forget them and call the next fsync a success. So nothing
 * that failed is tried again on its handle: it is closed, and before a new one writes, everything
 * that was committed is written out once more (a TRUNCATE checkpoint), which also takes away what a
 * failed commit has left in the log, so that no recovery finds it there. The keeper's failures are
 * the writer's too: the log is one file, and what the keeper could not sync may be what the writer
 * is about to acknowledge. So the writer looks before each transaction, and behind each commit.
 *
 * Source: sqlite.org/wal.html, sqlite.org/c3ref/wal_checkpoint_v2.html. */
#include "store/store_sqlite_priv.h"

#include <errno.h>
#include <time.h>

enum {
    STEP_PAGES = 1024,      /* 4 MiB: what the keeper lets gather; syncing more takes so long that
                               the writer's own sync waits for it */
    WAL_PAGES_MAX = 16384,  /* 64 MiB: the writer lends a hand */
    WAL_PAGES_HARD = 20480, /* 80 MiB: ... and waits for the keeper to be done */
    BUSY = -1,
    AGAIN_PAGES = 1024, /* a reader was in the way: not at each commit again */
    KEEP_S = 5,         /* how often an idle keeper looks */
};

/* After each commit of this handle. */
static int on_commit(void *context, sqlite3 *db, const char *name, int pages)
{
    struct store *store = context;

    (void)db;
    (void)name;
    if (pages < atomic_load(&store->wal.asked_at)) /* the log has begun anew */
        atomic_store(&store->wal.asked_at, 0);
    atomic_store(&store->wal.pages, pages);
    if (pages - atomic_load(&store->wal.asked_at) < STEP_PAGES)
        return SQLITE_OK;
    atomic_store(&store->wal.asked_at, pages);
    (void)sem_post(&store->wal.wanted);
    return SQLITE_OK;
}

void store_wal_watch(struct store_conn *conn)
{
    if (conn->role == STORE_WRITER)
        (void)sqlite3_wal_hook(conn->handle, on_commit, conn->store);
    else
        (void)sqlite3_wal_autocheckpoint(conn->handle, WAL_PAGES_MAX);
}

/* Copies what no reader needs in the log any more; waits for nobody. *ret_left: pages that are
 * left, or BUSY when somebody else is at it. */
static enum err copy(struct store_conn *conn, int *ret_left)
{
    int in_log = 0;
    int copied = 0;
    int code =
        sqlite3_wal_checkpoint_v2(conn->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied);

    *ret_left = in_log - copied;
    if ((code & 0xFF) == SQLITE_BUSY || (code & 0xFF) == SQLITE_LOCKED)
        *ret_left = BUSY;
    else if (code != SQLITE_OK)
        return store_sqlite_fail(conn, code);
    return ERR_OK;
}

void store_wal_tend(struct store_conn *conn)
{
    const struct timespec pause = {.tv_nsec = CLOCK_NS_PER_MS};
    struct store *store = conn->store;
    int64_t until =
        clock_monotonic_ns(&clock_system) + store->options.busy_timeout_ms * CLOCK_NS_PER_MS;
    int pages = atomic_load(&store->wal.pages);
    int left = 0;

    if (pages < atomic_load(&store->wal.again_at))
        atomic_store(&store->wal.again_at, 0);
    if (conn->handle == NULL || conn->broken || pages < WAL_PAGES_MAX ||
        pages < atomic_load(&store->wal.again_at))
        return;
    atomic_store(&store->wal.again_at, pages + AGAIN_PAGES);
    do {
        if (copy(conn, &left) != ERR_OK) {
            store_wal_suspect(conn);
            return;
        }
        if (left == BUSY)
            (void)nanosleep(&pause, NULL);
    } while (left == BUSY && pages >= WAL_PAGES_HARD && clock_monotonic_ns(&clock_system) < until);
}

void store_wal_suspect(struct store_conn *conn)
{
    conn->broken = true;
    atomic_store(&conn->store->wal.suspect, true);
}

bool store_wal_is_suspect(const struct store_conn *conn)
{
    return conn->role == STORE_WRITER && atomic_load(&conn->store->wal.suspect);
}

/* SQLite does not wait for another checkpoint to end: the keeper's. */
static int copy_all(struct store_conn *conn)
{
    const struct timespec pause = {.tv_nsec = CLOCK_NS_PER_MS};
    int64_t until =
        clock_monotonic_ns(&clock_system) + conn->store->options.busy_timeout_ms * CLOCK_NS_PER_MS;
    int code;

    do {
        code =
            sqlite3_wal_checkpoint_v2(conn->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        if ((code & 0xFF) == SQLITE_BUSY)
            (void)nanosleep(&pause, NULL);
    } while ((code & 0xFF) == SQLITE_BUSY && clock_monotonic_ns(&clock_system) < until);
    return code;
}

enum err store_wal_restore(struct store_conn *conn)
{
    int code;

    if (!atomic_load(&conn->store->wal.suspect))
        return ERR_OK;
    code = copy_all(conn);
    if (code != SQLITE_OK)
        return store_sqlite_fail(conn, code);
    atomic_store(&conn->store->wal.suspect, false);
    return ERR_OK;
}

/* ---- The keeper --------------------------------------------------------------------------- */

/* Until it is asked for, or it is time to look. */
static void await_wish(struct store *store)
{
    int64_t until_ns = clock_monotonic_ns(&clock_system) + KEEP_S * CLOCK_NS_PER_S;
    const struct timespec until = {.tv_sec = until_ns / CLOCK_NS_PER_S,
                                   .tv_nsec = until_ns % CLOCK_NS_PER_S};

    while (sem_clockwait(&store->wal.wanted, CLOCK_MONOTONIC, &until) != 0 && errno == EINTR)
        continue;
}

static enum err keeper_ready(struct store_conn *conn)
{
    enum err err;

    if (conn->broken)
        store_conn_close(conn);
    if (conn->handle != NULL)
        return store_sqlite_moved(conn);
    err = conn->driver->open(conn, NULL);
    if (err)
        conn->driver->close(conn);
    return err;
}

static enum err keep(struct store_conn *conn)
{
    int left = 0;
    enum err err = keeper_ready(conn);

    if (err)
        return err;
    do {
        conn->deadline_ns = clock_monotonic_ns(&clock_system) + store_conn_patience_ns(conn);
        err = copy(conn, &left);
    } while (err == ERR_OK && left > STEP_PAGES && !atomic_load(&conn->store->wal.stop));
    return err;
}

void *store_wal_thread(void *context)
{
    struct store_worker *worker = context;
    struct store *store = worker->store;
    bool was_well = true;

    while (!atomic_load(&store->wal.stop)) {
        enum err err = keep(&worker->conn);

        if (err != ERR_OK && was_well)
            store_log_trouble(&worker->conn, "checkpoint", err);
        else if (err == ERR_OK && !was_well)
            store_log_recovered(store, "checkpoint");
        was_well = err == ERR_OK;
        if (!was_well)
            worker->conn.broken = true; /* what failed is not tried again on this handle */
        await_wish(store);
    }
    store_conn_close(&worker->conn);
    return NULL;
}
