/* SPDX-License-Identifier: MIT
 * What the files of store/ share: the seam behind which each database stands (struct store_driver),
 * a handle, and the store itself. */
#ifndef PC_STORE_STORE_PRIV_H
#define PC_STORE_STORE_PRIV_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/limits.h"
#include "store/store.h"

enum {
    STORE_MESSAGE_BYTES = 256,
    STORE_CONSTRAINT_BYTES = 128,
    STORE_XID_BYTES = 24,
    STORE_MARK_BYTES = 40,
    STORE_STRINGS_BYTES = 16 * 1024,
};

/* ---- One handle --------------------------------------------------------------------------- */

enum store_role {
    STORE_READER, /* cannot write */
    STORE_WRITER,
    STORE_KEEPER,   /* copies SQLite's log into the database file */
    STORE_MIGRATOR, /* patient: its statements may take minutes */
};

/* The words that frame transactions. */
enum store_control {
    STORE_BEGIN_SNAPSHOT, /* read-only, one moment */
    STORE_BEGIN,          /* for one job */
    STORE_BEGIN_BATCH,    /* for many: opens the first savepoint as well */
    STORE_BEGIN_TOGETHER, /* for a group: no savepoints, and it locks what it needs */
    STORE_BEGIN_MIGRATE,  /* alone on the database */
    STORE_NEXT,           /* keeps what this job did, opens the savepoint of the next */
    STORE_UNDO,           /* forgets what this job did; the savepoint serves the next */
    STORE_COMMIT,
    STORE_ROLLBACK,
    STORE_CONTROL_COUNT
};

/* What became of a COMMIT whose answer never came. */
enum store_fate {
    STORE_FATE_UNKNOWN,
    STORE_FATE_RUNNING,
    STORE_FATE_ABORTED,
    STORE_FATE_COMMITTED
};

struct store_prepared;

struct store_rows {
    struct store_conn *conn;
    struct store_prepared *prepared;
    enum err err;
    bool open;
};

/* A statement on a handle. Its rows live inside it, so asking allocates nothing here. */
struct store_prepared {
    const struct store_statement *statement;
    struct store_rows rows;
    void *handle; /* sqlite3_stmt; PGresult while open */
    int row;      /* PostgreSQL: the present one, -1 before the first */
    bool ready;   /* SQLite: the first step has been made; its answer waits */
    bool has_row; /* ... and was a row */
};

/* How a database is spoken to. Each function sets conn->message on failure, conn->broken when the
 * handle is of no more use, and returns the error in our terms. */
struct store_driver {
    enum err (*open)(struct store_conn *conn, struct store_fault *reterr);
    void (*close)(struct store_conn *conn);
    enum err (*control)(struct store_conn *conn, enum store_control control);
    enum err (*script)(struct store_conn *conn, const char *text);
    enum err (*prepare)(struct store_conn *conn, struct store_prepared *prepared);
    void (*unprepare)(struct store_prepared *prepared);
    enum err (*start)(struct store_conn *conn, struct store_prepared *prepared,
                      const struct store_value *params, size_t count, int64_t *ret_changed);
    /* The same statement for `rows` sets of values, `each` of which must change one row;
     * ret_changed may be NULL. */
    enum err (*many)(struct store_conn *conn, struct store_prepared *prepared,
                     const struct store_value *params, size_t count, size_t rows, bool each,
                     int64_t *ret_changed);
    /* Asks, on a handle that was opened since; NULL: nobody can be asked. */
    enum store_fate (*fate)(struct store_conn *conn);
    enum err (*next)(struct store_prepared *prepared, bool *ret_row);
    void (*finish)(struct store_prepared *prepared);
    /* False when the column's type is none of ours. */
    bool (*column)(struct store_prepared *prepared, size_t column, struct store_value *ret_value);
    bool (*in_transaction)(const struct store_conn *conn);
    void (*seal)(struct store_conn *conn); /* what follows is the seal, then COMMIT; or NULL */
    void (*tend)(
        struct store_conn *conn); /* the writer's, after each of its transactions; or NULL */
    void *(*keep)(
        void *context); /* the life of one thread more, for a struct store_worker; or NULL */
};

extern const struct store_driver store_sqlite;
extern const struct store_driver store_postgres;

struct store_conn {
    struct store *store;
    const struct store_driver *driver;
    enum store_role role;
    void *handle; /* sqlite3, PGconn; NULL: closed */
    void *extra;  /* the driver's own */
    void *seal;   /* a writer's state of options.seal; NULL: none */
    bool broken;  /* to be closed and opened again */
    bool sent;    /* a COMMIT is on its way and no answer has come */
    size_t rows_open;
    enum err failed;               /* sticky until the job is over */
    struct store_prepared **table; /* open addressing by the statement's address */
    size_t table_count, table_size;
    int64_t deadline_ns; /* monotonic; of the running statement */
    int64_t retry_at_ns; /* monotonic; not to be opened before */
    int64_t backoff_ns;
    enum err open_err;           /* why the last opening failed */
    char mark[STORE_MARK_BYTES]; /* of the server; empty: it has none */
    struct {                     /* by which the transaction can be found again */
        char xid[STORE_XID_BYTES];
        char mark[STORE_MARK_BYTES];
    } trace;
    char message[STORE_MESSAGE_BYTES];
    char constraint[STORE_CONSTRAINT_BYTES];
};

void store_conn_init(struct store_conn *conn, struct store *store, enum store_role role);

/* Opens at once; reterr may be NULL. */
PC_CHECKED enum err store_conn_open(struct store_conn *conn, struct store_fault *reterr);

/* Opens if it is closed or broken and the backoff allows. *ret_fresh: it was opened just now. */
PC_CHECKED enum err store_conn_ready(struct store_conn *conn, bool *ret_fresh);
void store_conn_close(struct store_conn *conn);

PC_CHECKED enum err store_conn_control(struct store_conn *conn, enum store_control control);
PC_CHECKED enum err store_conn_script(struct store_conn *conn, const char *text);

/* Rolls back; a handle that cannot even do that is broken. */
void store_conn_rollback(struct store_conn *conn);

/* Asks what became of the COMMIT that conn->sent tells of, for LIMIT_STORE_FATE_MS at most and on a
 * new connection: UNKNOWN, ABORTED or COMMITTED. */
enum store_fate store_conn_fate(struct store_conn *conn);

/* Runs the job's function on a clean slate, or that of a whole group; the error of any failed
 * statement wins over ERR_OK. */
PC_CHECKED enum err store_conn_run(struct store_conn *conn, struct store_job *const *jobs,
                                   size_t count);

/* The state that a writing handle has for as long as it lives, whatever becomes of its connection.
 * See store_seal in store.h; without one all of these do nothing. */
PC_CHECKED enum err store_seal_open(struct store_conn *conn);
void store_seal_close(struct store_conn *conn);
void store_seal_begin(struct store_conn *conn);
void store_seal_committed(const struct store_conn *conn);
size_t store_seal_mark(const struct store_conn *conn);
void store_seal_undo(struct store_conn *conn, size_t mark);

/* Writes what was left, right before COMMIT. */
PC_CHECKED enum err store_seal_run(struct store_conn *conn);

/* Keeps the database's words, on one line, and returns err. */
enum err store_conn_fail(struct store_conn *conn, enum err err, const char *message);

/* The time a statement may take, in ns: the database's own limits, and some more for PostgreSQL. */
int64_t store_conn_patience_ns(const struct store_conn *conn);

/* ---- The target --------------------------------------------------------------------------- */

struct store_target {
    enum store_kind kind;
    const char *path;    /* SQLite: the file */
    bool in_data_dir;    /* ... which is made for it */
    const char *uri;     /* PostgreSQL: secret */
    const char *sslmode; /* PostgreSQL; NULL: the URI's, else require */
    const char *shown;
};

/* Reads options->url; strings live in the arena. */
PC_CHECKED enum err store_target_read(const struct store_options *options, struct arena *arena,
                                      struct store_target *ret_target, struct store_fault *reterr);

/* Whether the URI is one that libpq understands and its sslmode one that we accept. Fills in what
 * may be shown, from the parts that cannot hold a password. */
PC_CHECKED enum err store_postgres_check(struct arena *arena, struct store_target *target,
                                         struct store_fault *reterr);

/* Writes the sentence (reterr may be NULL) and returns err. */
PC_FORMAT(3, 4)
enum err store_fault_set(struct store_fault *reterr, enum err err, const char *format, ...);

/* ---- The store ---------------------------------------------------------------------------- */

struct store_worker {
    struct store *store;
    struct store_conn conn;
    struct queue *queue;
    pthread_t thread;
    bool started;
    bool pings;               /* asks after the database when there is nothing else to do */
    _Atomic int64_t since_ns; /* monotonic; of the present transaction, 0: none */
    unsigned jitter;
    struct store_job *group[LIMIT_STORE_TAKE_MAX]; /* of the group that is being run */
};

struct store {
    struct store_options options; /* with its defaults filled in */
    struct store_target target;
    bool may_create; /* a missing SQLite file: at the start, never behind a running store */
    const struct store_driver *driver;
    struct arena arena;                /* of the target's strings, */
    char strings[STORE_STRINGS_BYTES]; /* which are here, and wiped at the end */
    struct queue *reads, *writes;
    struct store_worker *workers;
    size_t worker_count;
    struct store_worker *keeper; /* NULL: the driver needs none */
    struct {                     /* SQLite's log */
        sem_t wanted;            /* posted: the keeper has something to do */
        _Atomic bool stop;       /* ... and this is to end */
        _Atomic bool suspect;    /* the disk has failed; see store_sqlite_wal.c */
        _Atomic int pages;       /* in the log, as of the last commit */
        _Atomic int asked_at,
            again_at; /* pages: when the keeper was asked, the writer tries again */
    } wal;
    _Atomic int read_state, write_state; /* enum err */
    _Atomic uint64_t reads_done, writes_done, batches, commits, failures, retries, reconnects;
    _Atomic uint64_t unknown, learned, batch_jobs_max;
};

void store_log_trouble(const struct store_conn *conn, const char *what, enum err err);
void store_log_recovered(const struct store *store, const char *what);
void store_log_mistake(const struct store_conn *conn);

/* Trouble of the store itself, in contrast to a refused change. */
bool store_is_trouble(enum err err);

/* store_stall.c: whether the writer stands still; and ends those of the list that have waited too
 * long for it, which are its first ones. */
bool store_is_stalled(struct store *store);
struct store_job *store_refuse_late(struct store *store, struct store_job *first);

/* The life of a reading and of a writing thread; both end when their queue is closed and empty. */
void *store_read_thread(void *context); /* struct store_worker */
void *store_write_thread(void *context);

/* Whether the call about to be made must fail (see store_fail_at). */
bool store_fail_strikes(void);

#endif
