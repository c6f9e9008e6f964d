/* SPDX-License-Identifier: MIT
 * PostgreSQL behind struct store_driver: each statement is prepared once by its name, values and
 * results travel in binary, and the words that frame a job travel with its first statement.
 *
 * A COMMIT whose answer never came is marked in conn->sent: nobody knows whether it happened.
 *
 * Source: PostgreSQL manual, 34.3 (commands), 55.2 (protocol). */
#include "store/store_postgres_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/sbuf.h"

/* Types that we read, by their fixed numbers in pg_type. */
enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_NAME = 19,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_VARCHAR = 1043,
};

enum { STATEMENT_BYTES_MAX = 16 * 1024, NUMBER_BYTES = 24 };

#define XID "SELECT pg_current_xact_id()::text AS " STORE_PG_XID

/* Those up to STORE_UNDO are put off until the next statement, with which they travel. */
static const char *const controls[STORE_CONTROL_COUNT][STORE_PG_WORDS_MAX] = {
    [STORE_BEGIN_SNAPSHOT] = {"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"},
    [STORE_BEGIN] = {"BEGIN ISOLATION LEVEL SERIALIZABLE", XID},
    [STORE_BEGIN_BATCH] = {"BEGIN ISOLATION LEVEL SERIALIZABLE", XID, "SAVEPOINT job"},
    [STORE_BEGIN_TOGETHER] = {"BEGIN ISOLATION LEVEL READ COMMITTED", XID},
    /* Each statement sees what the process before us has committed; the number is ours alone. */
    [STORE_BEGIN_MIGRATE] = {"BEGIN ISOLATION LEVEL READ COMMITTED",
                             "SELECT pg_advisory_xact_lock(7310579596284166756)"},
    [STORE_NEXT] = {"RELEASE job", "SAVEPOINT job"},
    [STORE_UNDO] = {"ROLLBACK TO job"},
    [STORE_COMMIT] = {"COMMIT"},
    [STORE_ROLLBACK] = {"ROLLBACK"},
};

/* A COMMIT of a transaction that had failed is answered with "ROLLBACK" and no error. */
static enum err commit(struct store_conn *conn)
{
    PGresult *result = NULL;
    enum err err = ERR_OK;
    bool committed;

    /* Its number is with us before it commits, and so is what would forbid it. */
    if (store_pg_line_is_open(conn) && (conn->trace.xid[0] == '\0' || store_pg_line_has_each(conn)))
        err = store_pg_line_end(conn, NULL, NULL);
    if (err)
        return err;
    memcpy(conn->trace.mark, conn->mark, sizeof(conn->mark));
    conn->sent = true;
    err = store_pg_line_text(conn, controls[STORE_COMMIT][0]);
    if (err == ERR_OK)
        err = store_pg_line_end(conn, &result, NULL);
    if (err) {
        /* An answer, even an error, settles it; silence does not. */
        conn->sent = conn->broken;
        return err;
    }
    conn->sent = false;
    committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
    PQclear(result);
    return committed ? ERR_OK : store_conn_fail(conn, ERR_INTERNAL, "the commit was a rollback");
}

/* What is still unanswered may have failed, and takes what stands behind it in the line along. */
static enum err rollback(struct store_conn *conn)
{
    enum err err = ERR_OK;

    if (store_pg_line_is_open(conn))
        err = store_pg_line_end(conn, NULL, NULL);
    if (conn->broken)
        return err;
    return store_pg_text(conn, controls[STORE_ROLLBACK][0]);
}

/* Nothing was done since the words that are put off: a transaction that was not even begun ends
 * here, and a savepoint that was not yet set need be neither kept nor undone. */
static bool is_idle_talk(struct store_pg_line *line, enum store_control control)
{
    bool ends = control == STORE_COMMIT || control == STORE_ROLLBACK;

    if (line->put_off == NULL || (ends && !line->begins))
        return false;
    if (ends)
        line->put_off = NULL;
    return ends || control == STORE_NEXT || control == STORE_UNDO;
}

/* The turn is taken behind BEGIN and before anything looks at the database: a serializable
 * transaction sees it as it was at its first look, and that must be after the turn before. */
static const char *const *beginning_of(struct store_pg_line *line, enum store_control control)
{
    size_t count = 0;

    if (line->turn[0] == '\0' || control == STORE_BEGIN_SNAPSHOT || control == STORE_BEGIN_MIGRATE)
        return controls[control];
    line->beginning[count++] = controls[control][0];
    line->beginning[count++] = line->turn;
    for (size_t i = 1; controls[control][i] != NULL; i++)
        line->beginning[count++] = controls[control][i];
    PC_ASSERT(count < STORE_PG_WORDS_MAX);
    line->beginning[count] = NULL;
    return line->beginning;
}

/* The answers of what follows may come with that of the COMMIT. */
static void postgres_seal(struct store_conn *conn)
{
    store_pg_line(conn)->lazy = true;
}

static bool needs_mark(const struct store_conn *conn)
{
    return conn->role == STORE_WRITER && conn->mark[0] == '\0' && !store_pg_line(conn)->mark_made;
}

static enum err postgres_control(struct store_conn *conn, enum store_control control)
{
    struct store_pg_line *line = store_pg_line(conn);

    if (is_idle_talk(line, control))
        return ERR_OK;
    if (control == STORE_COMMIT)
        return commit(conn);
    if (control == STORE_ROLLBACK)
        return rollback(conn);
    if (control <= STORE_BEGIN_MIGRATE && needs_mark(conn)) {
        enum err err = store_pg_mark_make(conn);

        if (err)
            return err;
    }
    line->put_off = controls[control];
    line->begins = control <= STORE_BEGIN_MIGRATE;
    if (line->begins) {
        line->put_off = beginning_of(line, control);
        line->lazy = control == STORE_BEGIN_TOGETHER;
        conn->trace.xid[0] = '\0';
    }
    return control == STORE_BEGIN_MIGRATE ? store_pg_line_end(conn, NULL, NULL) : ERR_OK;
}

static bool postgres_in_transaction(const struct store_conn *conn)
{
    PGTransactionStatusType status = PQtransactionStatus(store_pg(conn));

    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE ||
           store_pg_line_is_open(conn);
}

/* ---- Preparing ---------------------------------------------------------------------------- */

/* Leaves quoted text and names alone. */
static enum err translate(struct store_conn *conn, const char *text, char *out, size_t bytes)
{
    char quote = '\0';
    size_t i;

    for (i = 0; text[i] != '\0' && i + 1 < bytes; i++) {
        if (quote == '\0' && (text[i] == '\'' || text[i] == '"'))
            quote = text[i];
        else if (text[i] == quote)
            quote = '\0';
        out[i] = quote == '\0' && text[i] == '?' ? '$' : text[i];
    }
    out[i] = '\0';
    return text[i] == '\0' ? ERR_OK : store_conn_fail(conn, ERR_NO_SPACE, "statement too long");
}

static enum err postgres_prepare(struct store_conn *conn, struct store_prepared *prepared)
{
    const struct store_statement *statement = prepared->statement;
    const char *text = statement->postgres != NULL ? statement->postgres : statement->sqlite;
    char translated[STATEMENT_BYTES_MAX];
    PGresult *result = NULL;
    enum err err = translate(conn, text, translated, sizeof(translated));

    if (err)
        return err;
    if (store_pg_line_is_open(conn)) {
        err = store_pg_line_prepare(conn, statement->name, translated);
        return err ? err : store_pg_line_end(conn, NULL, NULL);
    }
    err = store_pg_answer(conn, PQsendPrepare(store_pg(conn), statement->name, translated, 0, NULL),
                          &result);
    PQclear(result);
    return err;
}

/* The server forgets it with the connection, which is the only time this is asked. */
static void postgres_unprepare(struct store_prepared *prepared)
{
    PC_ASSERT(prepared->handle == NULL);
}

/* ---- Running ------------------------------------------------------------------------------ */

struct arguments {
    const char *values[LIMIT_STORE_PARAMS_MAX];
    int lengths[LIMIT_STORE_PARAMS_MAX];
    int formats[LIMIT_STORE_PARAMS_MAX]; /* 0 text, 1 binary */
    char numbers[LIMIT_STORE_PARAMS_MAX][NUMBER_BYTES];
};

/* Numbers go as text, so that the server reads them as whatever the column is; bytes go as they
 * are. */
static void argument_set(struct arguments *arguments, size_t i, const struct store_value *value)
{
    switch (value->type) {
    case STORE_TYPE_NULL:
        arguments->values[i] = NULL;
        return;
    case STORE_TYPE_BOOL:
        arguments->values[i] = value->number ? "t" : "f";
        return;
    case STORE_TYPE_I64:
        (void)snprintf(arguments->numbers[i], NUMBER_BYTES, "%lld", (long long)value->number);
        arguments->values[i] = arguments->numbers[i];
        return;
    case STORE_TYPE_TEXT:
    case STORE_TYPE_BLOB:
        arguments->values[i] = value->bytes.len > 0 ? value->bytes.ptr : "";
        arguments->lengths[i] = (int)value->bytes.len;
        arguments->formats[i] = 1;
        return;
    }
    PC_WRONG("a value of no type");
}

static enum err changed_of(struct store_conn *conn, PGresult *result, int64_t *ret_changed)
{
    const char *text = PQcmdTuples(result);

    *ret_changed = 0;
    if (text[0] == '\0' || span_to_i64(span_from(text), ret_changed))
        return ERR_OK;
    return store_conn_fail(conn, ERR_INTERNAL, "the server counted no number");
}

int store_pg_send(struct store_conn *conn, const struct store_statement *statement,
                  const struct store_value *params, size_t count)
{
    struct arguments arguments;

    for (size_t i = 0; i < count; i++) {
        arguments.lengths[i] = arguments.formats[i] = 0;
        argument_set(&arguments, i, &params[i]);
    }
    return PQsendQueryPrepared(store_pg(conn), statement->name, (int)count, arguments.values,
                               arguments.lengths, arguments.formats, 1);
}

static enum err postgres_start(struct store_conn *conn, struct store_prepared *prepared,
                               const struct store_value *params, size_t count, int64_t *ret_changed)
{
    const struct store_statement *statement = prepared->statement;
    PGresult *result = NULL;
    enum err err;

    if (store_pg_line_is_open(conn)) {
        err = store_pg_line_statement(conn, statement, params, count, false);
        if (err == ERR_OK)
            err = store_pg_line_end(conn, &result, NULL);
    } else {
        err = store_pg_answer(conn, store_pg_send(conn, statement, params, count), &result);
    }
    if (err)
        return err;
    prepared->handle = result;
    prepared->row = -1;
    return changed_of(conn, result, ret_changed);
}

/* In a group that is run together the answers are left for later, unless they are asked for. */
static enum err postgres_many(struct store_conn *conn, struct store_prepared *prepared,
                              const struct store_value *params, size_t count, size_t rows,
                              bool each, int64_t *ret_changed)
{
    enum err err = ERR_OK;

    if (ret_changed != NULL && PQpipelineStatus(store_pg(conn)) != PQ_PIPELINE_OFF)
        err = store_pg_line_end(conn, NULL, NULL); /* their rows are not ours */
    for (size_t i = 0; i < rows && !err && !store_pg_line_failed(conn); i++)
        err = store_pg_line_statement(conn, prepared->statement, params + i * count, count, each);
    if (err)
        return err;
    if (ret_changed == NULL && store_pg_line(conn)->lazy && !store_pg_line_failed(conn))
        return ERR_OK;
    return store_pg_line_end(conn, NULL, ret_changed);
}

static enum err postgres_next(struct store_prepared *prepared, bool *ret_row)
{
    if (prepared->row < PQntuples(prepared->handle))
        prepared->row++;
    *ret_row = prepared->row < PQntuples(prepared->handle);
    return ERR_OK;
}

static void postgres_finish(struct store_prepared *prepared)
{
    PQclear(prepared->handle);
    prepared->handle = NULL;
}

/* Big-endian two's complement of 2, 4 or 8 bytes. */
static int64_t number_from(const char *ptr, int len)
{
    uint64_t value = (ptr[0] & 0x80) != 0 ? UINT64_MAX : 0;

    for (int i = 0; i < len; i++)
        value = value << 8 | (unsigned char)ptr[i];
    return (int64_t)value;
}

static bool postgres_column(struct store_prepared *prepared, size_t column,
                            struct store_value *ret_value)
{
    const PGresult *result = prepared->handle;
    int at = (int)column;
    int len = PQgetlength(result, prepared->row, at);
    const char *ptr = PQgetvalue(result, prepared->row, at);

    PC_ASSERT(prepared->row >= 0 && prepared->row < PQntuples(result) && at < PQnfields(result));
    if (PQgetisnull(result, prepared->row, at)) {
        *ret_value = STORE_NULL;
        return true;
    }
    switch (PQftype(result, at)) {
    case TYPE_BOOL:
        *ret_value = STORE_BOOL(ptr[0] != 0);
        return len == 1;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        *ret_value = STORE_I64(number_from(ptr, len));
        return len == 2 || len == 4 || len == 8;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_NAME:
        *ret_value = STORE_TEXT(span_make(ptr, (size_t)len));
        return true;
    case TYPE_BYTEA:
        *ret_value = STORE_BLOB(span_make(ptr, (size_t)len));
        return true;
    default:
        return false;
    }
}

const struct store_driver store_postgres = {
    .open = store_pg_open,
    .close = store_pg_close,
    .control = postgres_control,
    .script = store_pg_text,
    .prepare = postgres_prepare,
    .unprepare = postgres_unprepare,
    .start = postgres_start,
    .many = postgres_many,
    .fate = store_pg_fate,
    .next = postgres_next,
    .finish = postgres_finish,
    .column = postgres_column,
    .in_transaction = postgres_in_transaction,
    .seal = postgres_seal,
};
