/* SPDX-License-Identifier: MIT
 * What became of a COMMIT whose answer never came: the server is asked by the number that the
 * transaction told us when it began.
 *
 * A server that crashes forgets the numbers of transactions whose log it had not written, and gives
 * them out again; "committed" may then be said of somebody else's. Therefore a mark lies in an
 * unlogged table, which a crash empties (and no standby has): a "committed" counts only where the
 * mark is the one that was there before. "Aborted" counts always: had ours been committed, its
 * number would not have been given out again. The mark is made with the first write and not at the
 * opening, since making it takes a number: the one that is to be asked for.
 *
 * Source: PostgreSQL manual, 9.27 (pg_xact_status), CREATE TABLE (UNLOGGED). */
#include "store/store_postgres_priv.h"

#include <stdio.h>
#include <string.h>

/* ---- The mark ----------------------------------------------------------------------------- */

/* One text, or none: *ret_text stays empty. */
static enum err ask_text(struct store_conn *conn, const char *question, char *ret_text,
                         size_t bytes)
{
    PGresult *result = NULL;
    enum err err = store_pg_answer(conn, PQsendQuery(store_pg(conn), question), &result);

    ret_text[0] = '\0';
    if (err)
        return err;
    if (PQntuples(result) == 1 && !PQgetisnull(result, 0, 0))
        (void)snprintf(ret_text, bytes, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return ERR_OK;
}

enum err store_pg_mark_find(struct store_conn *conn)
{
    char there[8];
    enum err err;

    conn->mark[0] = '\0';
    err = ask_text(conn, "SELECT 'yes' WHERE to_regclass('store_alive') IS NOT NULL", there,
                   sizeof(there));
    if (err == ERR_OK && there[0] != '\0')
        err = ask_text(conn, "SELECT mark FROM store_alive WHERE id = 1", conn->mark,
                       sizeof(conn->mark));
    return conn->broken ? err : ERR_OK;
}

/* A user that may not create tables, or a server that is read-only, leaves us without a mark: then
 * less can be learned, and nothing else is lost. */
enum err store_pg_mark_make(struct store_conn *conn)
{
    enum err err = store_pg_text(conn, "CREATE UNLOGGED TABLE IF NOT EXISTS store_alive"
                                       " (id integer PRIMARY KEY CHECK (id = 1),"
                                       " mark text NOT NULL);"
                                       "INSERT INTO store_alive (id, mark)"
                                       " VALUES (1, gen_random_uuid()::text)"
                                       " ON CONFLICT DO NOTHING");

    store_pg_line(conn)->mark_made = true;
    if (conn->broken)
        return err;
    return store_pg_mark_find(conn);
}

/* ---- The question ------------------------------------------------------------------------- */

/* A transaction to which our COMMIT never came would live, and keep its locks, until the server
 * notices that we have gone. */
static void end_the_idle(struct store_conn *conn)
{
    char text[256];
    enum err err;

    (void)snprintf(text, sizeof(text),
                   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                   " WHERE backend_xid = '%s'::xid8::xid AND usename = current_user"
                   " AND state LIKE 'idle in transaction%%'",
                   conn->trace.xid);
    err = store_pg_text(conn, text);
    (void)err; /* where it may not be ended, it is waited for */
}

enum store_fate store_pg_fate(struct store_conn *conn)
{
    bool same_server = conn->mark[0] != '\0' && strcmp(conn->mark, conn->trace.mark) == 0;
    char text[96];
    char status[32];
    enum err err;

    conn->deadline_ns = clock_monotonic_ns(&clock_system) + store_conn_patience_ns(conn);
    (void)snprintf(text, sizeof(text), "SELECT pg_xact_status('%s'::xid8)", conn->trace.xid);
    err = ask_text(conn, text, status, sizeof(status));
    if (err) /* a number that is not yet given out was lost with its transaction */
        return !conn->broken && !same_server && strstr(conn->message, "(22023)") != NULL
                   ? STORE_FATE_ABORTED
                   : STORE_FATE_UNKNOWN;
    if (strcmp(status, "aborted") == 0)
        return STORE_FATE_ABORTED;
    if (!same_server)
        return STORE_FATE_UNKNOWN;
    if (strcmp(status, "committed") == 0)
        return STORE_FATE_COMMITTED;
    if (strcmp(status, "in progress") != 0)
        return STORE_FATE_UNKNOWN; /* too long ago */
    end_the_idle(conn);
    return STORE_FATE_RUNNING;
}
