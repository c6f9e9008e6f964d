/* SPDX-License-Identifier: MIT
 * Commands in a line: sent one behind the other without waiting for each answer (libpq's pipeline
 * mode), so that what takes many commands takes one round trip.
 *
 *   store_pg_line_put ... put ... put -> store_pg_line_end: a sync, all answers, the first failure
 *
 * After a failed command the server skips the rest of the line, a COMMIT at its end included. While
 * we send, what the server answers is read, or both would wait for the other to read first.
 *
 * Source: PostgreSQL manual, 34.5 (pipeline mode). */
#include "store/store_postgres_priv.h"

#include <string.h>

enum {
    PUMP_BYTES = 32 * 1024,
    COMMAND_BYTES = 64, /* of a command, besides its values */
    RUNS_SPARE = 4,     /* for words and the COMMIT */
};

/* ---- What the answers say ----------------------------------------------------------------- */

static bool is_xid(const PGresult *result)
{
    return PQresultStatus(result) == PGRES_TUPLES_OK && PQnfields(result) == 1 &&
           PQntuples(result) == 1 && strcmp(PQfname(result, 0), STORE_PG_XID) == 0;
}

static void keep_xid(struct store_conn *conn, const PGresult *result)
{
    const char *xid = PQgetvalue(result, 0, 0);
    size_t len = strlen(xid);

    if (len > 0 && len < sizeof(conn->trace.xid) && strspn(xid, "0123456789") == len)
        memcpy(conn->trace.xid, xid, len + 1);
}

/* The next command to be answered must change one row. */
static bool is_each(const struct store_pg_line *line)
{
    return line->run_count > 0 && line->runs[line->run_first].each;
}

static void run_put(struct store_pg_line *line, bool each)
{
    size_t last = (line->run_first + line->run_count - 1) % STORE_PG_RUNS_MAX;

    if (line->run_count == 0 || line->runs[last].each != each) {
        PC_ASSERT(line->run_count < STORE_PG_RUNS_MAX);
        last = (line->run_first + line->run_count++) % STORE_PG_RUNS_MAX;
        line->runs[last] = (struct store_pg_run){.each = each};
    }
    line->runs[last].commands++;
    line->waiting++;
}

/* A command has been answered. */
static void run_take(struct store_pg_line *line)
{
    struct store_pg_run *first = &line->runs[line->run_first];

    PC_ASSERT(line->waiting > 0 && line->run_count > 0);
    line->waiting--;
    if (--first->commands > 0)
        return;
    line->run_first = (line->run_first + 1) % STORE_PG_RUNS_MAX;
    line->run_count--;
}

/* Takes the result over. Of the good ones the last is kept, of the bad ones the first. */
static void take(struct store_conn *conn, struct store_pg_line *line, PGresult *result)
{
    int64_t changed = 0;

    if (is_xid(result)) {
        keep_xid(conn, result);
        PQclear(result);
        return;
    }
    if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED) {
        PQclear(result);
        return;
    }
    if (!store_pg_is_good(result)) {
        if (line->failed == NULL)
            line->failed = result;
        else
            PQclear(result);
        return;
    }
    if (span_to_i64(span_from(PQcmdTuples(result)), &changed))
        line->changed += changed;
    if (is_each(line) && changed != 1)
        line->wrong = true;
    PQclear(line->last);
    line->last = result;
}

/* ---- Sending ------------------------------------------------------------------------------ */

/* Reads the answers that are here already. */
static void drain(struct store_conn *conn, struct store_pg_line *line)
{
    PGresult *result;

    while (line->waiting > 0 && !PQisBusy(store_pg(conn))) {
        result = PQgetResult(store_pg(conn));
        if (result == NULL)
            run_take(line);
        else
            take(conn, line, result);
    }
}

/* Until all that was put has left us. */
static enum err pump(struct store_conn *conn, struct store_pg_line *line)
{
    PGconn *pg = store_pg(conn);
    enum err err;
    int writing;

    line->bytes = 0;
    for (;;) {
        writing = PQflush(pg);
        if (writing < 0)
            return store_pg_fail_link(conn, PQerrorMessage(pg));
        if (writing == 0)
            return ERR_OK;
        err = store_pg_await(conn, true);
        if (err)
            return err;
        if (!store_pg_consume(pg))
            return store_pg_fail_link(conn, PQerrorMessage(pg));
        drain(conn, line);
    }
}

static enum err put(struct store_conn *conn, int sent, size_t bytes, bool each)
{
    struct store_pg_line *line = store_pg_line(conn);

    if (!sent)
        return store_pg_fail_link(conn, PQerrorMessage(store_pg(conn)));
    run_put(line, each);
    line->bytes += bytes + COMMAND_BYTES;
    return line->bytes < PUMP_BYTES ? ERR_OK : pump(conn, line);
}

static enum err put_text(struct store_conn *conn, const char *text)
{
    return put(conn, PQsendQueryParams(store_pg(conn), text, 0, NULL, NULL, NULL, NULL, 0),
               strlen(text), false);
}

/* The words that were put off go first. */
static enum err enter(struct store_conn *conn)
{
    struct store_pg_line *line = store_pg_line(conn);
    const char *const *words = line->put_off;
    enum err err = ERR_OK;

    if (PQpipelineStatus(store_pg(conn)) == PQ_PIPELINE_OFF) {
        if (!PQenterPipelineMode(store_pg(conn)))
            return store_pg_fail_link(conn, PQerrorMessage(store_pg(conn)));
        line->waiting = line->bytes = line->run_count = 0;
    }
    line->put_off = NULL;
    for (size_t i = 0; words != NULL && words[i] != NULL && !err; i++)
        err = put_text(conn, words[i]);
    return err;
}

bool store_pg_line_is_open(const struct store_conn *conn)
{
    return store_pg_line(conn)->put_off != NULL ||
           PQpipelineStatus(store_pg(conn)) != PQ_PIPELINE_OFF;
}

enum err store_pg_line_text(struct store_conn *conn, const char *text)
{
    enum err err = enter(conn);

    return err ? err : put_text(conn, text);
}

enum err store_pg_line_prepare(struct store_conn *conn, const char *name, const char *text)
{
    enum err err = enter(conn);

    if (err)
        return err;
    return put(conn, PQsendPrepare(store_pg(conn), name, text, 0, NULL), strlen(text), false);
}

enum err store_pg_line_statement(struct store_conn *conn, const struct store_statement *statement,
                                 const struct store_value *params, size_t count, bool each)
{
    enum err err = ERR_OK;
    size_t bytes = 0;

    if (store_pg_line(conn)->run_count + RUNS_SPARE > STORE_PG_RUNS_MAX)
        err = store_pg_line_end(conn, NULL, NULL);
    if (err == ERR_OK)
        err = enter(conn);
    if (err)
        return err;
    for (size_t i = 0; i < count; i++)
        bytes += params[i].bytes.len;
    return put(conn, store_pg_send(conn, statement, params, count), bytes, each);
}

bool store_pg_line_has_each(const struct store_conn *conn)
{
    const struct store_pg_line *line = store_pg_line(conn);

    for (size_t i = 0; i < line->run_count; i++) {
        if (line->runs[(line->run_first + i) % STORE_PG_RUNS_MAX].each)
            return true;
    }
    return line->wrong;
}

bool store_pg_line_failed(const struct store_conn *conn)
{
    return store_pg_line(conn)->failed != NULL;
}

/* ---- The end of a line -------------------------------------------------------------------- */

static enum err collect(struct store_conn *conn, struct store_pg_line *line)
{
    PGresult *result;
    enum err err;

    for (;;) {
        result = NULL;
        err = store_pg_next(conn, &result);
        if (err)
            return err;
        if (result == NULL && line->waiting == 0)
            return store_pg_fail_link(conn, "the server is out of step");
        if (result == NULL) {
            run_take(line);
            continue;
        }
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            return ERR_OK;
        }
        take(conn, line, result);
        if (PQstatus(store_pg(conn)) == CONNECTION_BAD)
            return ERR_OK; /* with the failure that was taken */
    }
}

static void clear(struct store_pg_line *line)
{
    PQclear(line->failed);
    PQclear(line->last);
    line->failed = line->last = NULL;
    line->changed = 0;
    line->wrong = false;
}

static enum err finish(struct store_conn *conn, struct store_pg_line *line)
{
    enum err err;

    if (!PQpipelineSync(store_pg(conn)))
        return store_pg_fail_link(conn, PQerrorMessage(store_pg(conn)));
    err = collect(conn, line);
    if (line->failed != NULL)
        err = store_pg_fail_result(conn, line->failed);
    if (!conn->broken && PQstatus(store_pg(conn)) == CONNECTION_BAD)
        err = store_pg_fail_link(conn, PQerrorMessage(store_pg(conn)));
    if (!conn->broken && !PQexitPipelineMode(store_pg(conn)))
        err = store_pg_fail_link(conn, PQerrorMessage(store_pg(conn)));
    return err;
}

enum err store_pg_line_end(struct store_conn *conn, PGresult **ret_last, int64_t *ret_changed)
{
    struct store_pg_line *line = store_pg_line(conn);
    enum err err = enter(conn);

    if (err == ERR_OK)
        err = finish(conn, line);
    if (err == ERR_OK && line->wrong)
        err = store_conn_fail(conn, ERR_STORE_CORRUPT, "a row that must be changed was not there");
    if (err == ERR_OK && ret_changed != NULL)
        *ret_changed = line->changed;
    if (err == ERR_OK && ret_last != NULL) {
        *ret_last = line->last;
        line->last = NULL;
    }
    clear(line);
    return err;
}

void store_pg_line_forget(struct store_conn *conn)
{
    clear(store_pg_line(conn));
}
