/* SPDX-License-Identifier: MIT
 * What the PostgreSQL files share: store_postgres_link.c connects, waits and names errors,
 * store_postgres_line.c sends many commands at once, store_postgres.c speaks statements,
 * store_postgres_fate.c asks what became of a COMMIT. libpq's types stay in these. */
#ifndef PC_STORE_STORE_POSTGRES_PRIV_H
#define PC_STORE_STORE_POSTGRES_PRIV_H

#include <libpq-fe.h>

#include "store/store_priv.h"

/* The name of the column in which a transaction tells its number. */
#define STORE_PG_XID "store_xid"

enum { STORE_PG_RUNS_MAX = 32, STORE_PG_WORDS_MAX = 5, STORE_PG_TURN_BYTES = 128 };

/* Commands of one kind behind each other in a line. */
struct store_pg_run {
    size_t commands;
    bool each; /* every one must change one row */
};

/* What is on its way to the server; conn->extra. */
struct store_pg_line {
    const char *const *put_off; /* words to be sent ahead of the next command; NULL: none */
    bool begins;                /* ... and they begin a transaction */
    bool lazy;                  /* answers that nobody asked for may wait until the next that is */
    bool mark_made;             /* or at least tried */
    char turn[STORE_PG_TURN_BYTES];            /* waits for a writer's turn; empty: there is none */
    const char *beginning[STORE_PG_WORDS_MAX]; /* of a writer who waits for it */
    size_t waiting;                            /* commands that were not yet answered: */
    struct store_pg_run runs[STORE_PG_RUNS_MAX]; /* a ring */
    size_t run_first, run_count;
    bool wrong;       /* one of them should have changed a row and did not */
    size_t bytes;     /* put since the last flush, about */
    int64_t changed;  /* rows, so far */
    PGresult *failed; /* the first failure */
    PGresult *last;   /* the last good answer */
};

static inline PGconn *store_pg(const struct store_conn *conn)
{
    return conn->handle;
}

static inline struct store_pg_line *store_pg_line(const struct store_conn *conn)
{
    return conn->extra;
}

/* ---- store_postgres_link.c ---------------------------------------------------------------- */

enum err store_pg_open(struct store_conn *conn, struct store_fault *reterr);
void store_pg_close(struct store_conn *conn);

/* After a PQsend...: the last result, or the first that failed; bounded by conn->deadline_ns, past
 * which the connection is given up. *ret_result is for PQclear. `sent` is what PQsend answered. */
PC_CHECKED enum err store_pg_answer(struct store_conn *conn, int sent, PGresult **ret_result);

/* Simple protocol: one or more statements in one round trip, results thrown away. */
PC_CHECKED enum err store_pg_text(struct store_conn *conn, const char *text);

/* Waits until the server has said something, or also until it would listen. */
PC_CHECKED enum err store_pg_await(struct store_conn *conn, bool writing);

/* The next of PQgetResult's answers, NULL among them; sends what is still to be sent. */
PC_CHECKED enum err store_pg_next(struct store_conn *conn, PGresult **ret_result);

/* Takes in what has arrived; false when the connection is gone. */
PC_CHECKED bool store_pg_consume(PGconn *pg);

bool store_pg_is_good(const PGresult *result);

/* The error in our terms; both say whether the connection is of no more use. */
enum err store_pg_fail_result(struct store_conn *conn, const PGresult *result);
enum err store_pg_fail_link(struct store_conn *conn, const char *message);

/* ---- store_postgres.c --------------------------------------------------------------------- */

/* PQsendQueryPrepared with the values as the server wants them; its answer. */
PC_CHECKED int store_pg_send(struct store_conn *conn, const struct store_statement *statement,
                             const struct store_value *params, size_t count);

/* ---- store_postgres_line.c ---------------------------------------------------------------- */

/* Whether something waits to be sent or answered, so that the next command must join the line. */
bool store_pg_line_is_open(const struct store_conn *conn);

/* Put a command into the line, behind the words that were put off. Text: a single statement. */
PC_CHECKED enum err store_pg_line_text(struct store_conn *conn, const char *text);
PC_CHECKED enum err store_pg_line_prepare(struct store_conn *conn, const char *name,
                                          const char *text);
PC_CHECKED enum err store_pg_line_statement(struct store_conn *conn,
                                            const struct store_statement *statement,
                                            const struct store_value *params, size_t count,
                                            bool each);

/* Whether an answer is missing that must be looked at before COMMIT. */
bool store_pg_line_has_each(const struct store_conn *conn);

/* Whether a failure has come back already, so that more need not be sent. */
bool store_pg_line_failed(const struct store_conn *conn);

/* Waits for all answers: the first failure, or the last answer (for PQclear) and how many rows all
 * commands changed; both results may be NULL. The line is empty afterwards. */
PC_CHECKED enum err store_pg_line_end(struct store_conn *conn, PGresult **ret_last,
                                      int64_t *ret_changed);

/* Lets go of the answers that were kept. */
void store_pg_line_forget(struct store_conn *conn);

/* ---- store_postgres_fate.c ---------------------------------------------------------------- */

/* Learns the mark by which a server that has crashed since is recognised, or makes one; none is no
 * failure. */
PC_CHECKED enum err store_pg_mark_find(struct store_conn *conn);
PC_CHECKED enum err store_pg_mark_make(struct store_conn *conn);

enum store_fate store_pg_fate(struct store_conn *conn);

#endif
