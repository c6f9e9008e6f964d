/* SPDX-License-Identifier: MIT
 * SQLite behind struct store_driver: one file in WAL mode with synchronous=FULL, so a commit that
 * was acknowledged is on the disk. Every thread has a handle of its own; other processes may use
 * the file at the same time and are waited for within busy_timeout_ms.
 *
 * Source: sqlite.org/wal.html, /pragma.html, /security.html (settings for untrusted files). */
#include "store/store_sqlite_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

enum {
    VERSION_MIN = 3037000,  /* STRICT tables */
    PROGRESS_STEPS = 20000, /* virtual machine steps between two looks at the clock */
};

static sqlite3 *db_of(const struct store_conn *conn)
{
    return conn->handle;
}

static sqlite3_stmt *stmt_of(const struct store_prepared *prepared)
{
    return prepared->handle;
}

/* ---- Errors ------------------------------------------------------------------------------- */

static enum err err_of(int code)
{
    if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
        code == SQLITE_CONSTRAINT_ROWID)
        return ERR_STORE_UNIQUE;
    switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT:
        return ERR_BUSY;
    case SQLITE_FULL:
        return ERR_STORE_FULL;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ERR_STORE_READ_ONLY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_STORE_CORRUPT;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
        return ERR_STORE_CONSTRAINT;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
        return ERR_STORE_UNAVAILABLE;
    default:
        return ERR_INTERNAL;
    }
}

/* "UNIQUE constraint failed: users.email_key" */
static void keep_constraint(struct store_conn *conn, const char *message)
{
    const char *at = strstr(message, "failed: ");

    (void)snprintf(conn->constraint, sizeof(conn->constraint), "%s", at ? at + 8 : "");
}

/* A quota shows as an I/O error; what the system said is kept with the file it concerned. */
static bool disk_was_full(sqlite3 *db)
{
    static const int files[] = {SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER};

    for (size_t i = 0; i < PC_COUNT(files); i++) {
        sqlite3_file *file = NULL;
        int seen = 0;

        (void)sqlite3_file_control(db, "main", files[i], &file);
        if (file == NULL || file->pMethods == NULL)
            continue;
        (void)file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &seen);
        if (seen == ENOSPC || seen == EDQUOT || seen == EFBIG)
            return true;
    }
    return false;
}

static bool writes(const struct store_conn *conn)
{
    return conn->role != STORE_READER;
}

/* A write that was refused for want of room tells nothing about the disk. */
static bool is_plain_quota(int code, enum err err)
{
    return err == ERR_STORE_FULL && code == SQLITE_IOERR_WRITE;
}

/* A disk that fails half-way may leave a handle with wrong ideas: it starts afresh. */
enum err store_sqlite_fail(struct store_conn *conn, int code)
{
    sqlite3 *db = db_of(conn);
    const char *message = db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(db);
    char text[STORE_MESSAGE_BYTES];
    enum err err = err_of(code);

    if ((code & 0xFF) == SQLITE_IOERR && db != NULL && disk_was_full(db))
        err = ERR_STORE_FULL;
    if ((code & 0xFF) == SQLITE_CONSTRAINT)
        keep_constraint(conn, message);
    if ((code & 0xFF) == SQLITE_IOERR || err == ERR_STORE_CORRUPT)
        conn->broken = true;
    if ((code & 0xFF) == SQLITE_IOERR && !is_plain_quota(code, err) && writes(conn))
        store_wal_suspect(conn);
    (void)snprintf(text, sizeof(text), "%s (%s)", message, sqlite3_errstr(code));
    return store_conn_fail(conn, err, text);
}

/* ---- Opening ------------------------------------------------------------------------------ */

/* The folder is ours alone, and every missing one above it is made as well. */
static enum err make_folder(const char *path)
{
    char part[1024];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(part))
        return ERR_IO;
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return ERR_IO;
    }
    return ERR_OK;
}

static enum err refuse_file(const struct store_conn *conn, struct store_fault *reterr)
{
    const char *path = conn->store->target.path;

    if (errno == EROFS || errno == EACCES || errno == EPERM)
        return store_fault_set(reterr, ERR_STORE_READ_ONLY,
                               "The database file %s cannot be written (%s): give this user the "
                               "right to write to the file and its folder.",
                               path, strerror(errno));
    if (errno == ENOSPC || errno == EDQUOT)
        return store_fault_set(reterr, ERR_STORE_FULL,
                               "The disk of the database file %s is full: free some space.", path);
    return store_fault_set(reterr, ERR_STORE_UNAVAILABLE,
                           "The database file %s cannot be opened (%s): check the path in "
                           "DATABASE_URL and PORTCULLIS_DATA.",
                           path, strerror(errno));
}

/* Made by us, so that nobody else may read it from the first moment; SQLite gives its -wal and -shm
 * the same mode. An existing file is not opened here: closing it would drop SQLite's locks. */
static enum err make_file(const struct store_conn *conn, struct store_fault *reterr)
{
    const struct store *store = conn->store;
    struct stat seen;
    int fd;

    if (store->target.in_data_dir && make_folder(store->options.data_dir) != ERR_OK)
        return refuse_file(conn, reterr);
    if (stat(store->target.path, &seen) == 0) {
        if ((seen.st_mode & 077) != 0)
            (void)chmod(store->target.path, 0600); /* may be another's file: then as it is */
        return ERR_OK;
    }
    fd = open(store->target.path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return refuse_file(conn, reterr);
    (void)close(fd);
    return ERR_OK;
}

static int out_of_time(void *context)
{
    struct store_conn *conn = context;

    return clock_monotonic_ns(&clock_system) > conn->deadline_ns;
}

/* One number from a PRAGMA. */
static enum err pragma_i64(struct store_conn *conn, const char *text, int64_t *ret_value)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db_of(conn), text, -1, &stmt, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        *ret_value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return code == SQLITE_ROW ? ERR_OK : store_sqlite_fail(conn, code);
}

static enum err run_text(struct store_conn *conn, const char *text)
{
    int code = sqlite3_exec(db_of(conn), text, NULL, NULL, NULL);

    return code == SQLITE_OK ? ERR_OK : store_sqlite_fail(conn, code);
}

static enum err set_up(struct store_conn *conn)
{
    static const int switches[][2] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1},    {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 1},
    };
    sqlite3 *db = db_of(conn);
    enum err err;

    (void)sqlite3_busy_timeout(db, conn->store->options.busy_timeout_ms);
    sqlite3_progress_handler(db, PROGRESS_STEPS, out_of_time, conn);
    for (size_t i = 0; i < PC_COUNT(switches); i++)
        (void)sqlite3_db_config(db, switches[i][0], switches[i][1], NULL);
    err = run_text(conn, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;"
                         "PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL;"
                         "PRAGMA journal_size_limit = 83886080; PRAGMA secure_delete = FAST;"
                         "PRAGMA recursive_triggers = ON;"); /* REPLACE asks as DELETE does */
    /* Grows with use. The pages that one commit touches should have room, else they are written
     * more than once. */
    if (err == ERR_OK)
        err = run_text(conn, conn->role == STORE_WRITER ? "PRAGMA cache_size = -8192"
                                                        : "PRAGMA cache_size = -1024");
    store_wal_watch(conn);
    if (err == ERR_OK && conn->role == STORE_READER)
        err = run_text(conn, "PRAGMA query_only = ON");
    return err;
}

/* Writing is tried at once: better no start than one that fails at the first login. */
static enum err check_writing(struct store_conn *conn)
{
    int64_t id = 0;
    int64_t objects = 0;
    enum err err;

    if (sqlite3_db_readonly(db_of(conn), "main") == 1)
        return store_conn_fail(conn, ERR_STORE_READ_ONLY, "attempt to write a readonly database");
    err = pragma_i64(conn, "PRAGMA application_id", &id);
    if (err == ERR_OK)
        err = pragma_i64(conn, "SELECT count(*) FROM sqlite_schema", &objects);
    if (err)
        return err;
    if (objects > 0 && id != STORE_SQLITE_APPLICATION_ID)
        return store_conn_fail(conn, ERR_STORE_VERSION, "it belongs to another program");
    err = run_text(conn, "PRAGMA journal_mode = WAL");
    if (err == ERR_OK)
        err = store_wal_restore(conn);
    if (err == ERR_OK)
        err = run_text(conn, "BEGIN IMMEDIATE");
    if (err == ERR_OK && id != STORE_SQLITE_APPLICATION_ID)
        err = run_text(conn, "PRAGMA application_id = 0x50434C53");
    if (err == ERR_OK)
        err = run_text(conn, "COMMIT");
    return err;
}

/* Turning WAL on does not wait for other processes by itself: two may start at once. */
static enum err check_writing_patiently(struct store_conn *conn)
{
    const struct timespec pause = {.tv_nsec = 20 * CLOCK_NS_PER_MS};
    int64_t until =
        clock_monotonic_ns(&clock_system) + conn->store->options.busy_timeout_ms * CLOCK_NS_PER_MS;
    enum err err = check_writing(conn);

    while (err == ERR_BUSY && clock_monotonic_ns(&clock_system) < until) {
        (void)nanosleep(&pause, NULL);
        err = check_writing(conn);
    }
    return err;
}

static enum err check_wal(struct store_conn *conn)
{
    sqlite3_stmt *stmt = NULL;
    bool wal = false;
    int code = sqlite3_prepare_v2(db_of(conn), "PRAGMA journal_mode", -1, &stmt, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        wal = strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
    (void)sqlite3_finalize(stmt);
    if (code != SQLITE_ROW)
        return store_sqlite_fail(conn, code);
    if (!wal)
        return store_conn_fail(conn, ERR_STORE_UNAVAILABLE, "its file system cannot hold a WAL");
    return ERR_OK;
}

/* What the operator reads when the file was there but would not do. */
static enum err explain(struct store_conn *conn, enum err err, struct store_fault *reterr)
{
    const char *path = conn->store->target.path;

    switch ((int)err) {
    case ERR_BUSY:
        return store_fault_set(reterr, err,
                               "The database file %s is locked by another process: stop that "
                               "process, or wait until it has finished.",
                               path);
    case ERR_STORE_READ_ONLY:
        return store_fault_set(reterr, err,
                               "The database file %s cannot be written: give this user the right "
                               "to write to the file and its folder.",
                               path);
    case ERR_STORE_FULL:
        return store_fault_set(reterr, err,
                               "The disk of the database file %s is full: free some space.", path);
    case ERR_STORE_CORRUPT:
        return store_fault_set(reterr, err,
                               "The file %s is not a database, or it is damaged (%s): name another "
                               "file in DATABASE_URL or restore a backup.",
                               path, conn->message);
    case ERR_STORE_VERSION:
        return store_fault_set(
            reterr, err,
            "The database file %s is not Portcullis's (%s): name another file in "
            "DATABASE_URL.",
            path, conn->message);
    default:
        return store_fault_set(reterr, err, "The database file %s cannot be used: %s.", path,
                               conn->message);
    }
}

/* Before SQLite is used first. By default it counts the memory that it has, under a lock that all
 * threads share, with each piece: a tenth of what a posting in a batch costs. Where it is in use
 * already it goes on counting. */
static void memory_uncount(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static enum err sqlite_open(struct store_conn *conn, struct store_fault *reterr)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    sqlite3 *db = NULL;
    enum err err;
    int code;

    if (sqlite3_libversion_number() < VERSION_MIN)
        return store_fault_set(reterr, ERR_STORE_VERSION,
                               "SQLite %s is too old: install 3.37 or newer.",
                               sqlite3_libversion());
    if (conn->store->may_create) {
        err = make_file(conn, reterr);
        if (err)
            return err;
    }
    PC_ASSERT(pthread_once(&once, memory_uncount) == 0);
    code =
        sqlite3_open_v2(conn->store->target.path, &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    conn->handle = db;
    conn->deadline_ns = clock_monotonic_ns(&clock_system) + store_conn_patience_ns(conn);
    if (code != SQLITE_OK)
        return explain(conn, store_sqlite_fail(conn, code), reterr);
    err = set_up(conn);
    if (err == ERR_OK && writes(conn))
        err = check_writing_patiently(conn);
    if (err == ERR_OK)
        err = check_wal(conn);
    return err ? explain(conn, err, reterr) : ERR_OK;
}

/* The words of transactions, prepared like any statement but apart from the job's. */
static const char *const controls[STORE_CONTROL_COUNT][2] = {
    [STORE_BEGIN_SNAPSHOT] = {"BEGIN", NULL},
    [STORE_BEGIN] = {"BEGIN IMMEDIATE", NULL},
    [STORE_BEGIN_BATCH] = {"BEGIN IMMEDIATE", "SAVEPOINT job"},
    [STORE_BEGIN_TOGETHER] = {"BEGIN IMMEDIATE", NULL},
    [STORE_BEGIN_MIGRATE] = {"BEGIN EXCLUSIVE", NULL},
    [STORE_NEXT] = {"RELEASE job", "SAVEPOINT job"},
    [STORE_UNDO] = {"ROLLBACK TO job", NULL},
    [STORE_COMMIT] = {"COMMIT", NULL},
    [STORE_ROLLBACK] = {"ROLLBACK", NULL},
};

struct sqlite_extra {
    sqlite3_stmt *controls[STORE_CONTROL_COUNT][2];
};

static void sqlite_close(struct store_conn *conn)
{
    struct sqlite_extra *extra = conn->extra;

    for (size_t i = 0; extra != NULL && i < STORE_CONTROL_COUNT; i++) {
        (void)sqlite3_finalize(extra->controls[i][0]);
        (void)sqlite3_finalize(extra->controls[i][1]);
    }
    alloc_free(extra);
    conn->extra = NULL;
    if (conn->handle != NULL && conn->broken) /* what failed is not tried again on this handle */
        (void)sqlite3_db_config(db_of(conn), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (conn->handle != NULL)
        PC_ASSERT(sqlite3_close(db_of(conn)) == SQLITE_OK); /* no statement is left */
    conn->handle = NULL;
}

/* ---- Transactions ------------------------------------------------------------------------- */

static enum err control_one(struct store_conn *conn, const char *text, sqlite3_stmt **stmt)
{
    int code = SQLITE_OK;
    enum err err;

    if (*stmt == NULL)
        code = sqlite3_prepare_v3(db_of(conn), text, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL);
    if (code != SQLITE_OK)
        return store_sqlite_fail(conn, code);
    code = sqlite3_step(*stmt);
    if (code == SQLITE_DONE) {
        (void)sqlite3_reset(*stmt);
        return ERR_OK;
    }
    err = store_sqlite_fail(conn, code);
    (void)sqlite3_reset(*stmt);
    return err;
}

/* A file that was moved or deleted under us still takes writes, and they are lost with it. */
enum err store_sqlite_moved(struct store_conn *conn)
{
    int moved = 0;

    (void)sqlite3_file_control(db_of(conn), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (!moved)
        return ERR_OK;
    conn->broken = true;
    return store_conn_fail(conn, ERR_STORE_UNAVAILABLE, "the database file was moved or deleted");
}

static enum err control_run(struct store_conn *conn, enum store_control control)
{
    struct sqlite_extra *extra = conn->extra;
    enum err err;

    if (extra == NULL) {
        extra = conn->extra = alloc_zero(sizeof(*extra));
        if (extra == NULL)
            return store_conn_fail(conn, ERR_NO_MEMORY, "out of memory");
    }
    if (control <= STORE_BEGIN_MIGRATE) {
        err = store_sqlite_moved(conn);
        if (err == ERR_OK && store_wal_is_suspect(conn))
            err = store_wal_restore(conn);
        if (err)
            return err;
    }
    err = control_one(conn, controls[control][0], &extra->controls[control][0]);
    if (err || controls[control][1] == NULL)
        return err;
    return control_one(conn, controls[control][1], &extra->controls[control][1]);
}

/* What the keeper could not sync while this commit was written may be this commit. */
static enum err commit_stands(struct store_conn *conn)
{
    enum err err = store_wal_is_suspect(conn) ? store_wal_restore(conn) : ERR_OK;

    if (err)
        conn->sent = conn->broken = true;
    return err;
}

/* A commit is whole once its last page is in the log, so one whose writing failed is none, and a
 * disk that was full says so while writing. Behind that, when the sync fails, it may be on the disk
 * or not, and the next recovery may find it: nobody knows. */
static enum err sqlite_control(struct store_conn *conn, enum store_control control)
{
    enum err err = control_run(conn, control);
    int code = err ? sqlite3_extended_errcode(db_of(conn)) : SQLITE_OK;

    if (err && control == STORE_COMMIT)
        conn->sent = (code & 0xFF) == SQLITE_IOERR && code != SQLITE_IOERR_WRITE;
    return err == ERR_OK && control == STORE_COMMIT ? commit_stands(conn) : err;
}

static bool sqlite_in_transaction(const struct store_conn *conn)
{
    return sqlite3_get_autocommit(db_of(conn)) == 0;
}

/* ---- Statements --------------------------------------------------------------------------- */

static enum err sqlite_prepare(struct store_conn *conn, struct store_prepared *prepared)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v3(db_of(conn), prepared->statement->sqlite, -1,
                                  SQLITE_PREPARE_PERSISTENT, &stmt, NULL);

    if (code != SQLITE_OK)
        return store_sqlite_fail(conn, code);
    PC_ASSERT(stmt != NULL);
    prepared->handle = stmt;
    return ERR_OK;
}

static void sqlite_unprepare(struct store_prepared *prepared)
{
    (void)sqlite3_finalize(stmt_of(prepared));
    prepared->handle = NULL;
}

/* SQLITE_TRANSIENT copies, where the giver's bytes may go before the rows do; SQLITE_STATIC not. */
static int bind(sqlite3_stmt *stmt, int at, const struct store_value *value,
                sqlite3_destructor_type keep)
{
    const char *ptr = value->bytes.len > 0 ? value->bytes.ptr : "";

    switch (value->type) {
    case STORE_TYPE_NULL:
        return sqlite3_bind_null(stmt, at);
    case STORE_TYPE_I64:
    case STORE_TYPE_BOOL:
        return sqlite3_bind_int64(stmt, at, value->number);
    case STORE_TYPE_TEXT:
        return sqlite3_bind_text64(stmt, at, ptr, value->bytes.len, keep, SQLITE_UTF8);
    case STORE_TYPE_BLOB:
        return sqlite3_bind_blob64(stmt, at, ptr, value->bytes.len, keep);
    }
    PC_WRONG("a value of no type");
}

static enum err step(struct store_prepared *prepared, bool *ret_row)
{
    int code = sqlite3_step(stmt_of(prepared));

    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return store_sqlite_fail(prepared->rows.conn, code);
    *ret_row = code == SQLITE_ROW;
    return ERR_OK;
}

/* The very same bytes, or the same number. */
static bool is_bound(const struct store_value *value, const struct store_value *before)
{
    return value->type == before->type && value->number == before->number &&
           value->bytes.ptr == before->bytes.ptr && value->bytes.len == before->bytes.len;
}

/* `before`: what is bound from the row before, with SQLITE_STATIC; NULL: nothing. */
static enum err start_with(struct store_conn *conn, struct store_prepared *prepared,
                           const struct store_value *params, size_t count,
                           const struct store_value *before, sqlite3_destructor_type keep,
                           int64_t *ret_changed)
{
    sqlite3_stmt *stmt = stmt_of(prepared);
    enum err err;

    PC_ASSERT(sqlite3_bind_parameter_count(stmt) == (int)count);
    for (size_t i = 0; i < count; i++) {
        int code = before != NULL && is_bound(&params[i], &before[i])
                       ? SQLITE_OK
                       : bind(stmt, (int)i + 1, &params[i], keep);

        if (code != SQLITE_OK)
            return store_sqlite_fail(conn, code);
    }
    err = step(prepared, &prepared->has_row);
    if (err)
        return err;
    prepared->ready = true;
    *ret_changed = sqlite3_stmt_readonly(stmt) ? 0 : sqlite3_changes64(db_of(conn));
    return ERR_OK;
}

/* Makes the first step, so that a refused change shows here, as it does on PostgreSQL. A change is
 * whole after its first step, even one that returns rows. */
static enum err sqlite_start(struct store_conn *conn, struct store_prepared *prepared,
                             const struct store_value *params, size_t count, int64_t *ret_changed)
{
    return start_with(conn, prepared, params, count, NULL, SQLITE_TRANSIENT, ret_changed);
}

static void sqlite_finish(struct store_prepared *prepared)
{
    (void)sqlite3_reset(stmt_of(prepared));
    (void)sqlite3_clear_bindings(stmt_of(prepared));
    prepared->ready = prepared->has_row = false;
}

static enum err sqlite_many(struct store_conn *conn, struct store_prepared *prepared,
                            const struct store_value *params, size_t count, size_t rows, bool each,
                            int64_t *ret_changed)
{
    int64_t all = 0;

    for (size_t i = 0; i < rows; i++) {
        const struct store_value *row = params + i * count;
        int64_t changed = 0;
        enum err err = start_with(conn, prepared, row, count, i == 0 ? NULL : row - count,
                                  SQLITE_STATIC, &changed);

        (void)sqlite3_reset(stmt_of(prepared)); /* the caller's finish forgets the values */
        prepared->ready = prepared->has_row = false;
        if (err)
            return err;
        all += changed;
        if (each && changed != 1)
            return store_conn_fail(conn, ERR_STORE_CORRUPT,
                                   "a row that must be changed was not there");
    }
    if (ret_changed != NULL)
        *ret_changed = all;
    return ERR_OK;
}

static enum err sqlite_next(struct store_prepared *prepared, bool *ret_row)
{
    enum err err = ERR_OK;

    if (!prepared->ready && prepared->has_row) {
        prepared->has_row = false;
        err = step(prepared, &prepared->has_row);
    }
    prepared->ready = false;
    *ret_row = err == ERR_OK && prepared->has_row;
    return err;
}

static bool sqlite_column(struct store_prepared *prepared, size_t column,
                          struct store_value *ret_value)
{
    sqlite3_stmt *stmt = stmt_of(prepared);
    int at = (int)column;
    const void *ptr;

    PC_ASSERT(prepared->has_row && at < sqlite3_column_count(stmt));
    switch (sqlite3_column_type(stmt, at)) {
    case SQLITE_NULL:
        *ret_value = STORE_NULL;
        return true;
    case SQLITE_INTEGER:
        *ret_value = STORE_I64(sqlite3_column_int64(stmt, at));
        return true;
    case SQLITE_TEXT:
        ptr = sqlite3_column_text(stmt, at);
        *ret_value = STORE_TEXT(span_make(ptr, (size_t)sqlite3_column_bytes(stmt, at)));
        return ptr != NULL; /* NULL: out of memory */
    case SQLITE_BLOB:
        ptr = sqlite3_column_blob(stmt, at);
        *ret_value = STORE_BLOB(span_make(ptr, (size_t)sqlite3_column_bytes(stmt, at)));
        return true;
    default:
        return false;
    }
}

const struct store_driver store_sqlite = {
    .open = sqlite_open,
    .close = sqlite_close,
    .control = sqlite_control,
    .script = run_text,
    .prepare = sqlite_prepare,
    .unprepare = sqlite_unprepare,
    .start = sqlite_start,
    .many = sqlite_many,
    .next = sqlite_next,
    .finish = sqlite_finish,
    .column = sqlite_column,
    .in_transaction = sqlite_in_transaction,
    .tend = store_wal_tend,
    .keep = store_wal_thread,
};
