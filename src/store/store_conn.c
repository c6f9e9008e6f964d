/* SPDX-License-Identifier: MIT
 * One database handle: opened on demand with a bounded backoff, its prepared statements found by
 * their address, and the rule that one failed statement ends a job. The database itself stands
 * behind struct store_driver.
 *
 *   closed --store_conn_ready--> open --a driver sets broken--> broken --store_conn_ready--> open
 *      ^                                                           |
 *      +------------- backoff, 100 ms to 2 s, when opening fails --+ */
#include "store/store_priv.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/limits.h"

enum {
    BACKOFF_MS_MIN = 100,
    BACKOFF_MS_MAX = 2000,           /* with the probe's second: how late a store is found again */
    PATIENCE_EXTRA_MS = 3000,        /* what the database gets beyond its own timeouts */
    PATIENCE_MIGRATION_MS = 3600000, /* a step may rebuild a large table */
    FATE_PAUSE_MS = 50,
    TABLE_SIZE_FIRST = 64,
};

void store_conn_init(struct store_conn *conn, struct store *store, enum store_role role)
{
    *conn = (struct store_conn){.store = store, .driver = store->driver, .role = role};
}

enum err store_conn_fail(struct store_conn *conn, enum err err, const char *message)
{
    size_t len = strcspn(message, "\r\n");

    (void)snprintf(conn->message, sizeof(conn->message), "%.*s", (int)len, message);
    return err;
}

static enum err fail_on_purpose(struct store_conn *conn)
{
    return store_conn_fail(conn, ERR_STORE_UNAVAILABLE, "made to fail by a test");
}

int64_t store_conn_patience_ns(const struct store_conn *conn)
{
    const struct store_options *options = &conn->store->options;
    int64_t ms = options->statement_timeout_ms;

    if (conn->store->target.kind == STORE_POSTGRES)
        ms += options->busy_timeout_ms + PATIENCE_EXTRA_MS;
    return (conn->role == STORE_MIGRATOR ? PATIENCE_MIGRATION_MS : ms) * CLOCK_NS_PER_MS;
}

/* ---- Opening ------------------------------------------------------------------------------ */

enum err store_conn_open(struct store_conn *conn, struct store_fault *reterr)
{
    enum err err;

    PC_ASSERT(conn->handle == NULL);
    conn->broken = false;
    conn->failed = ERR_OK;
    if (store_fail_strikes()) {
        err = fail_on_purpose(conn);
        return store_fault_set(reterr, err, "The store was %s.", conn->message);
    }
    err = conn->driver->open(conn, reterr);
    if (err) {
        conn->driver->close(conn);
        PC_ASSERT(conn->handle == NULL);
    }
    return err;
}

static void back_off(struct store_conn *conn, enum err err)
{
    int64_t next = conn->backoff_ns * 2;

    if (next < BACKOFF_MS_MIN * CLOCK_NS_PER_MS)
        next = BACKOFF_MS_MIN * CLOCK_NS_PER_MS;
    if (next > BACKOFF_MS_MAX * CLOCK_NS_PER_MS)
        next = BACKOFF_MS_MAX * CLOCK_NS_PER_MS;
    conn->backoff_ns = next;
    conn->retry_at_ns = clock_monotonic_ns(&clock_system) + next;
    conn->open_err = err;
}

/* Jobs fail at once instead of waiting for a server that is away, until it is time to look again or
 * another thread has found it: that time's patience says nothing of the next trouble. */
static bool backs_off(struct store_conn *conn)
{
    const struct store *store = conn->store;
    int state = atomic_load(conn->role == STORE_READER ? &store->read_state : &store->write_state);

    if (state == ERR_OK)
        conn->backoff_ns = 0;
    return conn->open_err && state != ERR_OK &&
           clock_monotonic_ns(&clock_system) < conn->retry_at_ns;
}

enum err store_conn_ready(struct store_conn *conn, bool *ret_fresh)
{
    enum err err;

    if (conn->broken)
        store_conn_close(conn);
    *ret_fresh = false;
    if (conn->handle != NULL)
        return ERR_OK;
    if (backs_off(conn))
        return conn->open_err;
    err = store_conn_open(conn, NULL);
    if (err) {
        back_off(conn, err);
        return err;
    }
    conn->open_err = ERR_OK;
    conn->backoff_ns = 0;
    *ret_fresh = true;
    atomic_fetch_add_explicit(&conn->store->reconnects, 1, memory_order_relaxed);
    return ERR_OK;
}

void store_conn_close(struct store_conn *conn)
{
    for (size_t i = 0; i < conn->table_size; i++) {
        if (conn->table[i] == NULL)
            continue;
        PC_ASSERT(!conn->table[i]->rows.open);
        conn->driver->unprepare(conn->table[i]);
        alloc_free(conn->table[i]);
    }
    alloc_free(conn->table);
    conn->table = NULL;
    conn->table_count = conn->table_size = 0;
    conn->driver->close(conn);
    PC_ASSERT(conn->handle == NULL);
    conn->broken = false;
}

/* ---- Prepared statements ------------------------------------------------------------------ */

static size_t slot_of(struct store_prepared *const *table, size_t size,
                      const struct store_statement *statement)
{
    size_t at = (size_t)(((uintptr_t)statement >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32);

    for (at &= size - 1; table[at] != NULL && table[at]->statement != statement;)
        at = (at + 1) & (size - 1);
    return at;
}

/* At most half full, so that a search ends soon. */
static enum err table_grow(struct store_conn *conn)
{
    size_t size = conn->table_size == 0 ? TABLE_SIZE_FIRST : conn->table_size * 2;
    struct store_prepared **table;

    if (conn->table_count * 2 < conn->table_size)
        return ERR_OK;
    if (conn->table_count == LIMIT_STORE_STATEMENTS_MAX)
        return store_conn_fail(conn, ERR_NO_SPACE, "too many prepared statements");
    table = alloc_zero(size * sizeof(struct store_prepared *));
    if (table == NULL)
        return store_conn_fail(conn, ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < conn->table_size; i++) {
        if (conn->table[i] != NULL)
            table[slot_of(table, size, conn->table[i]->statement)] = conn->table[i];
    }
    alloc_free(conn->table);
    conn->table = table;
    conn->table_size = size;
    return ERR_OK;
}

static enum err prepare_new(struct store_conn *conn, const struct store_statement *statement,
                            struct store_prepared **ret_prepared)
{
    struct store_prepared *prepared;
    enum err err;

    err = table_grow(conn);
    if (err)
        return err;
    prepared = alloc_zero(sizeof(*prepared));
    if (prepared == NULL)
        return store_conn_fail(conn, ERR_NO_MEMORY, "out of memory");
    prepared->statement = statement;
    prepared->rows.conn = conn;
    prepared->rows.prepared = prepared;
    err = conn->driver->prepare(conn, prepared);
    if (err) {
        alloc_free(prepared);
        return err;
    }
    conn->table[slot_of(conn->table, conn->table_size, statement)] = prepared;
    conn->table_count++;
    *ret_prepared = prepared;
    return ERR_OK;
}

static enum err prepared_for(struct store_conn *conn, const struct store_statement *statement,
                             struct store_prepared **ret_prepared)
{
    struct store_prepared *found = NULL;

    if (conn->table_size > 0)
        found = conn->table[slot_of(conn->table, conn->table_size, statement)];
    if (found == NULL)
        return prepare_new(conn, statement, ret_prepared);
    *ret_prepared = found;
    return ERR_OK;
}

/* ---- Running ------------------------------------------------------------------------------ */

/* Both databases must hold the same text, so what one of them would refuse neither takes. */
static bool value_is_good(const struct store_value *value)
{
    if (value->bytes.len > LIMIT_STORE_VALUE_BYTES_MAX)
        return false;
    if (value->type != STORE_TYPE_TEXT || value->bytes.len == 0)
        return true;
    return memchr(value->bytes.ptr, 0, value->bytes.len) == NULL && span_is_utf8(value->bytes);
}

/* The same bytes as the row before has there: they were looked at. */
static bool is_known(const struct store_value *params, size_t count, size_t i)
{
    return i >= count && params[i].bytes.ptr == params[i - count].bytes.ptr &&
           params[i].bytes.len == params[i - count].bytes.len &&
           params[i].type == params[i - count].type;
}

/* What any statement needs before it is run: `rows` of `count` values. */
static enum err checked(struct store_conn *conn, const struct store_statement *statement,
                        const struct store_value *params, size_t count, size_t rows,
                        struct store_prepared **ret_prepared)
{
    enum err err;

    if (store_fail_strikes())
        return fail_on_purpose(conn);
    for (size_t i = 0; i < count * rows; i++) {
        if (!is_known(params, count, i) && !value_is_good(&params[i]))
            return store_conn_fail(conn, ERR_VALIDATION, "a value is not UTF-8 text, or too long");
    }
    conn->deadline_ns = clock_monotonic_ns(&clock_system) + store_conn_patience_ns(conn);
    err = prepared_for(conn, statement, ret_prepared);
    PC_ASSERT(err || !(*ret_prepared)->rows.open);
    return err;
}

static enum err start_checked(struct store_conn *conn, const struct store_statement *statement,
                              const struct store_value *params, size_t count,
                              struct store_prepared **ret_prepared, int64_t *ret_changed)
{
    struct store_prepared *prepared = NULL;
    enum err err;

    PC_ASSERT(count <= LIMIT_STORE_PARAMS_MAX);
    err = checked(conn, statement, params, count, 1, &prepared);
    if (err)
        return err;
    err = conn->driver->start(conn, prepared, params, count, ret_changed);
    if (err) {
        conn->driver->finish(prepared);
        return err;
    }
    *ret_prepared = prepared;
    return ERR_OK;
}

static enum err start(struct store_conn *conn, const struct store_statement *statement,
                      const struct store_value *params, size_t count,
                      struct store_prepared **ret_prepared, int64_t *ret_changed)
{
    if (conn->failed)
        return conn->failed;
    conn->failed = start_checked(conn, statement, params, count, ret_prepared, ret_changed);
    return conn->failed;
}

enum err store_query(struct store_conn *conn, const struct store_statement *statement,
                     const struct store_value *params, size_t count, struct store_rows **ret_rows)
{
    struct store_prepared *prepared = NULL;
    int64_t changed;
    enum err err = start(conn, statement, params, count, &prepared, &changed);

    if (err)
        return err;
    prepared->rows.open = true;
    prepared->rows.err = ERR_OK;
    conn->rows_open++;
    *ret_rows = &prepared->rows;
    return ERR_OK;
}

enum err store_exec(struct store_conn *conn, const struct store_statement *statement,
                    const struct store_value *params, size_t count, int64_t *ret_changed)
{
    struct store_prepared *prepared = NULL;
    int64_t changed = 0;
    enum err err = start(conn, statement, params, count, &prepared, &changed);

    if (err)
        return err;
    conn->driver->finish(prepared);
    if (ret_changed != NULL)
        *ret_changed = changed;
    return ERR_OK;
}

static enum err many_checked(struct store_conn *conn, const struct store_statement *statement,
                             const struct store_value *params, size_t count, size_t rows, bool each,
                             int64_t *ret_changed)
{
    struct store_prepared *prepared = NULL;
    enum err err = checked(conn, statement, params, count, rows, &prepared);

    if (err)
        return err;
    err = conn->driver->many(conn, prepared, params, count, rows, each, ret_changed);
    conn->driver->finish(prepared);
    return err;
}

enum err store_exec_many(struct store_conn *conn, const struct store_statement *statement,
                         const struct store_value *params, size_t count, size_t rows,
                         int64_t *ret_changed)
{
    PC_ASSERT(count <= LIMIT_STORE_PARAMS_MAX);
    if (conn->failed)
        return conn->failed;
    if (rows > 0)
        conn->failed = many_checked(conn, statement, params, count, rows, false, ret_changed);
    else if (ret_changed != NULL)
        *ret_changed = 0;
    return conn->failed;
}

enum err store_exec_each(struct store_conn *conn, const struct store_statement *statement,
                         const struct store_value *params, size_t count, size_t rows)
{
    PC_ASSERT(count <= LIMIT_STORE_PARAMS_MAX);
    if (conn->failed == ERR_OK && rows > 0)
        conn->failed = many_checked(conn, statement, params, count, rows, true, NULL);
    return conn->failed;
}

bool store_refused(const struct store_conn *conn, const char *constraint)
{
    return strcmp(conn->constraint, constraint) == 0;
}

enum store_kind store_conn_kind(const struct store_conn *conn)
{
    return conn->store->target.kind;
}

const char *store_conn_message(const struct store_conn *conn)
{
    return conn->message;
}

enum err store_conn_control(struct store_conn *conn, enum store_control control)
{
    enum err err;

    PC_ASSERT(conn->rows_open == 0);
    if (control <= STORE_BEGIN_MIGRATE) {
        conn->sent = false;
        store_seal_begin(conn);
    }
    if (store_fail_strikes())
        return fail_on_purpose(conn);
    conn->deadline_ns = clock_monotonic_ns(&clock_system) + store_conn_patience_ns(conn);
    err = conn->driver->control(conn, control);
    if (err == ERR_INTERNAL) /* a statement of ours that was answered late */
        store_log_mistake(conn);
    if (err == ERR_OK && control == STORE_COMMIT)
        store_seal_committed(conn);
    return err;
}

enum err store_conn_script(struct store_conn *conn, const char *text)
{
    if (store_fail_strikes())
        return fail_on_purpose(conn);
    conn->deadline_ns = clock_monotonic_ns(&clock_system) + store_conn_patience_ns(conn);
    return conn->driver->script(conn, text);
}

void store_conn_rollback(struct store_conn *conn)
{
    char message[STORE_MESSAGE_BYTES];

    if (conn->handle == NULL || conn->broken || !conn->driver->in_transaction(conn))
        return;
    memcpy(message, conn->message, sizeof(message)); /* the cause is what counts */
    if (store_conn_control(conn, STORE_ROLLBACK) != ERR_OK)
        conn->broken = true;
    memcpy(conn->message, message, sizeof(message));
}

enum store_fate store_conn_fate(struct store_conn *conn)
{
    const struct timespec pause = {.tv_nsec = FATE_PAUSE_MS * CLOCK_NS_PER_MS};
    int64_t until = clock_monotonic_ns(&clock_system) + LIMIT_STORE_FATE_MS * CLOCK_NS_PER_MS;
    enum store_fate fate;

    if (conn->driver->fate == NULL || conn->trace.xid[0] == '\0')
        return STORE_FATE_UNKNOWN;
    for (;;) {
        if (conn->broken)
            store_conn_close(conn);
        fate = STORE_FATE_RUNNING;
        if (conn->handle != NULL || store_conn_open(conn, NULL) == ERR_OK)
            fate = conn->driver->fate(conn);
        if (fate != STORE_FATE_RUNNING && !conn->broken)
            return fate;
        if (clock_monotonic_ns(&clock_system) > until)
            return STORE_FATE_UNKNOWN;
        (void)nanosleep(&pause, NULL);
    }
}

enum err store_conn_run(struct store_conn *conn, struct store_job *const *jobs, size_t count)
{
    struct store_job *first = jobs[0];
    enum err err;

    PC_ASSERT(count == 1 || first->together != NULL);
    conn->failed = ERR_OK;
    conn->constraint[0] = '\0';
    if (first->together != NULL)
        err = first->together(conn, jobs, count, first->group);
    else
        err = first->run(conn, first);
    PC_ASSERT(conn->rows_open == 0);
    if (conn->failed == ERR_INTERNAL) /* a mistake in a statement of ours */
        store_log_mistake(conn);
    return conn->failed ? conn->failed : err;
}

/* ---- Rows --------------------------------------------------------------------------------- */

/* A failure while reading ends the job like any other. */
static void rows_fail(struct store_rows *rows, enum err err)
{
    if (rows->err == ERR_OK)
        rows->err = err;
    if (rows->conn->failed == ERR_OK)
        rows->conn->failed = err;
}

bool store_next(struct store_rows *rows)
{
    bool row = false;
    enum err err;

    PC_ASSERT(rows->open);
    if (rows->err)
        return false;
    if (store_fail_strikes()) {
        rows_fail(rows, fail_on_purpose(rows->conn));
        return false;
    }
    err = rows->conn->driver->next(rows->prepared, &row);
    if (err)
        rows_fail(rows, err);
    return row && !err;
}

enum err store_rows_err(const struct store_rows *rows)
{
    return rows->err;
}

enum err store_rows_end(const struct store_rows *rows, enum err otherwise)
{
    return rows->err ? rows->err : otherwise;
}

static struct store_value value_at(struct store_rows *rows, size_t column)
{
    struct store_value value = STORE_NULL;

    PC_ASSERT(rows->open);
    if (!rows->conn->driver->column(rows->prepared, column, &value))
        rows_fail(rows, store_conn_fail(rows->conn, ERR_STORE_CORRUPT, "a column of another type"));
    return value;
}

static int64_t number_at(struct store_rows *rows, size_t column, enum store_type also,
                         const int64_t *when_null)
{
    struct store_value value = value_at(rows, column);

    if (value.type == STORE_TYPE_I64 || value.type == also)
        return value.number;
    if (value.type == STORE_TYPE_NULL && when_null != NULL)
        return *when_null;
    rows_fail(rows, store_conn_fail(rows->conn, ERR_STORE_CORRUPT, "a column is not a number"));
    return 0;
}

int64_t store_rows_i64(struct store_rows *rows, size_t column)
{
    return number_at(rows, column, STORE_TYPE_I64, NULL);
}

int64_t store_rows_i64_or(struct store_rows *rows, size_t column, int64_t when_null)
{
    return number_at(rows, column, STORE_TYPE_I64, &when_null);
}

bool store_rows_bool(struct store_rows *rows, size_t column)
{
    int64_t number = number_at(rows, column, STORE_TYPE_BOOL, NULL);

    if (number != 0 && number != 1)
        rows_fail(rows, store_conn_fail(rows->conn, ERR_STORE_CORRUPT, "a column is not a truth"));
    return number == 1;
}

static struct span bytes_at(struct store_rows *rows, size_t column, enum store_type type,
                            struct arena *arena)
{
    struct store_value value = value_at(rows, column);
    struct span copy;

    if (value.type == STORE_TYPE_NULL)
        return (struct span){0};
    if (value.type != type) {
        rows_fail(rows, store_conn_fail(rows->conn, ERR_STORE_CORRUPT, "a column of another type"));
        return (struct span){0};
    }
    if (value.bytes.len == 0)
        return SPAN_OF("");
    if (arena == NULL)
        return value.bytes;
    copy = arena_copy(arena, value.bytes);
    if (copy.ptr == NULL)
        rows_fail(rows, store_conn_fail(rows->conn, ERR_NO_MEMORY, "no room for a column"));
    return copy;
}

struct span store_rows_text(struct store_rows *rows, size_t column, struct arena *arena)
{
    return bytes_at(rows, column, STORE_TYPE_TEXT, arena);
}

struct span store_rows_blob(struct store_rows *rows, size_t column, struct arena *arena)
{
    return bytes_at(rows, column, STORE_TYPE_BLOB, arena);
}

bool store_rows_null(struct store_rows *rows, size_t column)
{
    return value_at(rows, column).type == STORE_TYPE_NULL;
}

void store_rows_close(struct store_rows *rows)
{
    if (rows == NULL || !rows->open)
        return;
    rows->conn->driver->finish(rows->prepared);
    rows->open = false;
    PC_ASSERT(rows->conn->rows_open > 0);
    rows->conn->rows_open--;
}
