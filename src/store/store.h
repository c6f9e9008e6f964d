/* SPDX-License-Identifier: MIT
 * The store: SQLite or PostgreSQL behind one interface, chosen by a URL. Folders above write
 * statements and jobs; threads, handles, transactions, retries and recovery are in here.
 *
 *   static const struct store_statement user_by_email = {
 *       .name = "user_by_email", .sqlite = "SELECT id, is_admin FROM users WHERE email_key = ?1"};
 *
 *   static enum err find_run(struct store_conn *conn, struct store_job *job)
 *   {
 *       struct find *find = PC_CONTAINER(job, struct find, job);
 *       PC_AUTO(store_rows) rows = NULL;
 *       enum err err;
 *
 *       err = store_query(conn, &user_by_email, STORE_PARAMS(STORE_TEXT(find->email)), &rows);
 *       if (err)
 *           return err;
 *       if (!store_next(rows))
 *           return store_rows_end(rows, ERR_NOT_FOUND);
 *       find->id = store_rows_i64(rows, 0);
 *       find->is_admin = store_rows_bool(rows, 1);
 *       return store_rows_err(rows);
 *   }
 *   find->job.run = find_run, find->job.done = find_done;     (done runs on the store's thread)
 *   err = store_read(store, &find->job);
 *
 * Threads: struct store is for any thread; a struct store_conn and its rows belong to the thread
 *   that runs the job.
 * Memory: store_open / store_close. A job is its giver's and must live until its done was called.
 * Units: nanoseconds since 1970 in columns, milliseconds in options.
 * Errors: ERR_STORE_*, ERR_BUSY (queue full, lock or statement timeout), ERR_NO_MEMORY. */
#ifndef PC_STORE_STORE_H
#define PC_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/queue.h"
#include "base/span.h"

struct logger;
struct store;
struct store_conn; /* one database handle, one thread */
struct store_rows;

/* ---- Opening ------------------------------------------------------------------------------ */

enum { STORE_FAULT_BYTES = 512 };

enum store_kind {
    STORE_NONE, /* valid nowhere */
    STORE_SQLITE,
    STORE_POSTGRES,
};

/* One clear sentence for the operator: what is wrong and what to do. Never holds a password. */
struct store_fault {
    char text[STORE_FAULT_BYTES];
};

/* What belongs into every commit of a writer, behind its jobs: the log that trail/ keeps. Each
 * writing handle has a state of its own, where the jobs leave what is to be sealed; `seal` writes
 * it right before COMMIT. A job that is undone takes back what it left, by its mark. */
struct store_seal {
    void *(*open)(void); /* NULL: no memory */
    void (*close)(void *state);
    void (*begin)(void *state); /* of a transaction, also when it is run again: nothing is left */
    size_t (*mark)(const void *state);
    void (*undo)(void *state, size_t mark);
    enum err (*seal)(struct store_conn *conn, void *state);
    void (*committed)(const void *state); /* behind a COMMIT that was done; may be NULL */
    /* PostgreSQL: the table that a writer locks before its first look, so that those who seal take
     * turns over all nodes and a serializable transaction sees what the one before it sealed. */
    const char *turn_table;
};

/* Zero (or NULL, or an empty span) takes the default everywhere. */
struct store_options {
    struct span url;           /* sqlite:NAME (in data_dir), sqlite:/PATH, postgresql://...;
                                  default sqlite:portcullis.db */
    const char *data_dir;      /* default "data"; made with mode 0700 when SQLite needs it */
    const char *sslmode;       /* PostgreSQL: disable, require (default), verify-ca, verify-full;
                                  wins over the URL's own */
    const struct clock *clock; /* default clock_system */
    struct logger *logger;     /* may be NULL */
    size_t readers;            /* reading threads, 1..16, default 2 */
    size_t writers;            /* group-commit threads, 1..8, default 1; SQLite always has 1 */
    size_t queue_max;          /* jobs waiting, for reads and for writes each; default 1024 */
    size_t batch_max;          /* jobs in one commit; default 128 */
    int busy_timeout_ms;       /* waiting for another process's lock; default 5000 */
    int statement_timeout_ms;  /* default 10000 */
    int clock_skew_ms_max;     /* PostgreSQL: a writer is not opened where `clock` differs more from
                                  the server's; default: any */
    const struct store_seal *seal; /* optional */
};

/* Opens, checks (reachable, version, writable, ours) and starts the threads.
 * ERR_STORE_URL, _UNAVAILABLE, _VERSION, _READ_ONLY, _CORRUPT, _FULL, ERR_BUSY (locked by another
 * process): `reterr` (may be NULL) says it in words. */
PC_CHECKED enum err store_open(const struct store_options *options, struct store **ret_store,
                               struct store_fault *reterr);

/* Refuses new jobs, finishes what is queued, joins the threads. Accepts NULL. */
void store_close(struct store *store);

enum store_kind store_kind(const struct store *store);

/* The URL as it may be shown: no password, no query. Lives as long as the store. */
const char *store_shown(const struct store *store);

/* ERR_OK when the last thing asked of the store worked; else why not. Never blocks: the store's
 * own threads keep asking, so trouble shows and ends within seconds unaided. For /readyz. */
PC_CHECKED enum err store_ready(struct store *store);

/* ---- Backup ------------------------------------------------------------------------------- */

/* Copies the whole SQLite database that `options` name, as it is at one moment and beside whoever
 * writes to it, into a new file for its owner alone, and has SQLite check the copy; the file is
 * there whole or not at all. *ret_bytes: how large it is. Changes nothing in the database and needs
 * no open store. Blocks. ERR_IO: there is such a file, or there can be none; ERR_NOT_IMPLEMENTED:
 * PostgreSQL, which has pg_dump; ERR_STORE_CORRUPT: the copy is damaged, since the database is, or
 * not ours. */
PC_CHECKED enum err store_backup(const struct store_options *options, const char *path,
                                 int64_t *ret_bytes, struct store_fault *reterr);

/* ---- Migrations --------------------------------------------------------------------------- */

/* One step of the schema, from /migrations. Checksums are SHA-256 in hex, made at build time. */
struct store_migration {
    int64_t number; /* 1, 2, 3, ... without a gap */
    const char *name;
    const char *sqlite, *postgres;
    const char *sqlite_checksum, *postgres_checksum;
};

/* The steps that are built into this program. */
void store_migrations(const struct store_migration **ret_list, size_t *ret_count);

/* Applies what is missing, each step in its own transaction under a lock, so many processes may
 * start at once. ERR_STORE_DRIFT: an applied step has another text than ours;
 * ERR_STORE_VERSION: the database has steps that this program does not know. Blocks. */
PC_CHECKED enum err store_migrate(struct store *store, const struct store_migration *list,
                                  size_t count, struct store_fault *reterr);

/* The same, but everything is rolled back at the end: shows that it would work. Takes a lock. */
PC_CHECKED enum err store_migrate_rehearse(struct store *store, const struct store_migration *list,
                                           size_t count, struct store_fault *reterr);

/* When each step of the list was applied (ns since 1970, 0: not yet), into ret_applied_at[count].
 * Changes nothing. Same errors as store_migrate. */
PC_CHECKED enum err store_migrate_status(struct store *store, const struct store_migration *list,
                                         size_t count, int64_t *ret_applied_at,
                                         struct store_fault *reterr);

/* ---- Statements and values ---------------------------------------------------------------- */

/* A constant: prepared once for each handle, found by its address. Placeholders are ?1 ?2 ... */
struct store_statement {
    const char *name;     /* unique in the program; what the database shows */
    const char *sqlite;   /* the text for both, where one text will do */
    const char *postgres; /* NULL: same text, ?1 becomes $1 */
};

enum store_type {
    STORE_TYPE_NULL,
    STORE_TYPE_I64,
    STORE_TYPE_BOOL,
    STORE_TYPE_TEXT,
    STORE_TYPE_BLOB
};

struct store_value {
    enum store_type type;
    int64_t number;    /* I64, BOOL */
    struct span bytes; /* TEXT (UTF-8 without NUL, else ERR_VALIDATION), BLOB */
};

#define STORE_I64(x)     ((struct store_value){.type = STORE_TYPE_I64, .number = (x)})
#define STORE_BOOL(x)    ((struct store_value){.type = STORE_TYPE_BOOL, .number = (x) ? 1 : 0})
#define STORE_TEXT(span) ((struct store_value){.type = STORE_TYPE_TEXT, .bytes = (span)})
#define STORE_BLOB(span) ((struct store_value){.type = STORE_TYPE_BLOB, .bytes = (span)})
#define STORE_NULL       ((struct store_value){.type = STORE_TYPE_NULL})
/* NULL where the span has no pointer: for columns that may be null. */
#define STORE_TEXT_OR_NULL(span) store_text_or_null(span)

/* Two arguments at once: the values and how many. At least one value. */
#define STORE_PARAMS(...)                                                                          \
    (const struct store_value[]){__VA_ARGS__},                                                     \
        sizeof((const struct store_value[]){__VA_ARGS__}) / sizeof(struct store_value)

static inline struct store_value store_text_or_null(struct span s)
{
    return s.ptr == NULL ? STORE_NULL : STORE_TEXT(s);
}

/* Runs a statement that answers rows (SELECT, ... RETURNING). The values are copied. A statement
 * can be open once at a time on a connection. *ret_rows: PC_AUTO(store_rows), or store_rows_close.
 *
 * After any failed statement the job is over: every further call answers the same error and what
 * the job did is rolled back, on both databases. Return the error; to react to a taken value use
 * ON CONFLICT, or tell what was violated with store_refused. */
PC_CHECKED enum err store_query(struct store_conn *conn, const struct store_statement *statement,
                                const struct store_value *params, size_t count,
                                struct store_rows **ret_rows);

/* Runs a statement without rows; *ret_changed (may be NULL) is how many rows it touched. */
PC_CHECKED enum err store_exec(struct store_conn *conn, const struct store_statement *statement,
                               const struct store_value *params, size_t count,
                               int64_t *ret_changed);

/* The same statement for `rows` sets of `count` values each, one behind the other in `params`, in
 * their order: on PostgreSQL without waiting for each answer. *ret_changed: of all together.
 * In a job with `together`, a NULL for ret_changed leaves even the last answer for later, so that
 * many such calls and the COMMIT cost one round trip: what the server refuses is then told by the
 * next call that asks for something, or is the job's error in the end. */
PC_CHECKED enum err store_exec_many(struct store_conn *conn,
                                    const struct store_statement *statement,
                                    const struct store_value *params, size_t count, size_t rows,
                                    int64_t *ret_changed);

/* The same, where every set must change exactly one row: ERR_STORE_CORRUPT if one does not, at the
 * latest in place of the COMMIT. Told as late as store_exec_many tells without ret_changed. */
PC_CHECKED enum err store_exec_each(struct store_conn *conn,
                                    const struct store_statement *statement,
                                    const struct store_value *params, size_t count, size_t rows);

/* After ERR_STORE_UNIQUE: was it this "table.column"? (On PostgreSQL the constraint is named so.)
 * Of two that are violated at once only one is told, and not the same one on both databases. */
bool store_refused(const struct store_conn *conn, const char *constraint);

enum store_kind store_conn_kind(const struct store_conn *conn);

/* The seal of this handle's store, or NULL. */
const struct store_seal *store_conn_sealed_by(const struct store_conn *conn);

/* The seal's state of this handle; NULL: the store has no seal, or the handle only reads. */
void *store_conn_seal(struct store_conn *conn);

/* The database's own words for the last error; for logs and tests, holds no values. */
const char *store_conn_message(const struct store_conn *conn);

/* False at the end and on failure: look at store_rows_err afterwards. */
bool store_next(struct store_rows *rows);

/* What went wrong so far, columns of the wrong type included. */
PC_CHECKED enum err store_rows_err(const struct store_rows *rows);

/* For "there should have been a row": what went wrong, or `otherwise`. */
PC_CHECKED enum err store_rows_end(const struct store_rows *rows, enum err otherwise);

/* Columns count from 0. NULL or another type where a number or bool must be is ERR_STORE_CORRUPT in
 * store_rows_err and reads as 0. NULL text and blob are {NULL, 0}. With `arena` the bytes are
 * copied there; without, they live until the next store_next or the close. */
int64_t store_rows_i64(struct store_rows *rows, size_t column);
int64_t store_rows_i64_or(struct store_rows *rows, size_t column, int64_t when_null);
bool store_rows_bool(struct store_rows *rows, size_t column);
struct span store_rows_text(struct store_rows *rows, size_t column, struct arena *arena);
struct span store_rows_blob(struct store_rows *rows, size_t column, struct arena *arena);
bool store_rows_null(struct store_rows *rows, size_t column);

void store_rows_close(struct store_rows *rows); /* accepts NULL */

static inline void store_rows_auto(struct store_rows **rows)
{
    store_rows_close(*rows);
}

/* ---- Jobs --------------------------------------------------------------------------------- */

struct store_job;

/* Runs on a store thread. May run again after a rollback (lost connection, serialization failure),
 * so it sets its results from scratch. Returning an error rolls this job back, and only this one;
 * an answer such as "wrong password" that should still be recorded is ERR_OK with the answer kept
 * in the job's own struct. */
typedef enum err store_run_fn(struct store_conn *conn, struct store_job *job);

/* Runs on the same thread, once: for a write after COMMIT or rollback. job->err says which. It must
 * not block, and may free the job. See store_refuse_stalled for another thread. */
typedef void store_done_fn(struct store_job *job);

/* Runs many write jobs at once, in the order in which they were queued, in a transaction of their
 * own; see store_job.together. May run again after a rollback, also for fewer of them. */
typedef enum err store_together_fn(struct store_conn *conn, struct store_job *const *jobs,
                                   size_t count, const void *group);

struct store_job {
    struct queue_item link; /* the store's, while it has the job */
    store_run_fn *run;
    store_done_fn *done;
    void *context;     /* the giver's */
    enum err err;      /* the result, for done */
    int64_t queued_ns; /* monotonic; the store's */
    bool unknown;  /* with err: the connection died after COMMIT was sent, and the server could not
                      be asked what became of it, or it has crashed since; or the disk failed in
                      COMMIT. Read before writing again */
    bool snapshot; /* reads: all statements see one moment (costs two round trips more) */

    /* Writes: in place of `run`. Those of the waiting jobs that have the same `together` and
     * `group` are run by one call and committed by themselves; if that fails, each again in a call
     * of its own. Isolation is READ COMMITTED on PostgreSQL: together takes the locks it needs, so
     * that it waits for other nodes rather than collide with them. */
    store_together_fn *together;
    const void *group;
    uint32_t
        weight; /* at most LIMIT_STORE_WEIGHT_MAX of them at once, but at least one job; 0: 1 */
};

/* Queues for the reading threads; their handles cannot write. ERR_BUSY when the queue is full,
 * ERR_DRAINING when closing: then done is not called. */
PC_CHECKED enum err store_read(struct store *store, struct store_job *job);

/* Queues for the group-commit writer: whatever waits is committed together, each job in its own
 * savepoint; done is called only after COMMIT. Isolation is serializable. */
PC_CHECKED enum err store_write(struct store *store, struct store_job *job);

/* A writer that stands still in one transaction (a disk that hangs, a lock that nobody gives up)
 * must not gather all who come: from LIMIT_STORE_STALL_MS on store_write is ERR_STORE_SLOW, and so
 * is, in the end, a job that has waited for its turn for LIMIT_STORE_WAIT_MS. */

/* How long the present transaction has been running; 0: there is none. Never blocks. */
int64_t store_stalled_ns(struct store *store);

/* Ends what waits behind a writer that stands still, with ERR_STORE_SLOW; does nothing otherwise.
 * For somebody who looks after the store now and then: done of those jobs runs here. */
void store_refuse_stalled(struct store *store);

/* As one of these, and waits; run finds `context` in job->context. For start-up, commands, tests
 * and the housekeeper; never for a loop thread nor inside a job. */
PC_CHECKED enum err store_do(struct store *store, store_run_fn *run, void *context, bool write);

/* ---- Watching and testing ----------------------------------------------------------------- */

struct store_stats {
    uint64_t reads, writes;       /* jobs done, whatever the result */
    uint64_t batches, commits;    /* batches taken; those that were committed */
    uint64_t failures;            /* jobs that ended with a store error or were refused (full) */
    uint64_t retries, reconnects; /* batches or reads run again; handles opened again */
    uint64_t unknown;             /* jobs whose outcome is unknown */
    uint64_t learned;        /* commits whose outcome the server had to be asked for, and told */
    uint64_t batch_jobs_max; /* the largest batch so far */
    size_t reads_queued, writes_queued;
};

void store_stats(struct store *store, struct store_stats *ret_stats);

/* For tests: the n-th call to a database from now (1 is the next) fails, once, with
 * ERR_STORE_UNAVAILABLE; 0 switches it off. With STORE_FAIL_ALWAYS every call fails until then. */
#define STORE_FAIL_ALWAYS UINT64_MAX
void store_fail_at(uint64_t nth);
bool store_fail_pending(void);

#endif
