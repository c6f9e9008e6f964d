/* SPDX-License-Identifier: MIT
 * What the two PostgreSQL files share: store_postgres_link.c connects, waits and names errors;
 * store_postgres.c speaks statements. libpq's types stay in these two. */
#ifndef PC_STORE_STORE_POSTGRES_PRIV_H
#define PC_STORE_STORE_POSTGRES_PRIV_H

#include <libpq-fe.h>

#include "store/store_priv.h"

static inline PGconn *store_pg(const struct store_conn *conn)
{
    return conn->handle;
}

enum err store_pg_open(struct store_conn *conn, struct store_fault *reterr);
void store_pg_close(struct store_conn *conn);

/* After a PQsend...: the last result, or the first that failed; bounded by conn->deadline_ns, past
 * which the connection is given up. *ret_result is for PQclear. `sent` is what PQsend answered. */
PC_CHECKED enum err store_pg_answer(struct store_conn *conn, int sent, PGresult **ret_result);

/* Simple protocol: one or more statements in one round trip, results thrown away. */
PC_CHECKED enum err store_pg_text(struct store_conn *conn, const char *text);

#endif
