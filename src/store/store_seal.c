/* SPDX-License-Identifier: MIT
 * What belongs into every commit behind its jobs: each writing handle has a state, where the jobs
 * leave what is to be written, and right before COMMIT it is.
 *
 *   BEGIN: store_seal_begin -> job, job, ... -> store_seal_run -> COMMIT
 *                                |       ^
 *                                v       |
 *                             fails: store_seal_undo to the mark before it */
#include "store/store_priv.h"

enum err store_seal_open(struct store_conn *conn)
{
    const struct store_seal *seal = conn->store->options.seal;

    if (seal == NULL || conn->role != STORE_WRITER)
        return ERR_OK;
    conn->seal = seal->open();
    return conn->seal != NULL ? ERR_OK : ERR_NO_MEMORY;
}

void store_seal_close(struct store_conn *conn)
{
    if (conn->seal != NULL)
        conn->store->options.seal->close(conn->seal);
    conn->seal = NULL;
}

const struct store_seal *store_conn_sealed_by(const struct store_conn *conn)
{
    return conn->store->options.seal;
}

void *store_conn_seal(struct store_conn *conn)
{
    return conn->seal;
}

void store_seal_begin(struct store_conn *conn)
{
    if (conn->seal != NULL)
        conn->store->options.seal->begin(conn->seal);
}

size_t store_seal_mark(const struct store_conn *conn)
{
    return conn->seal != NULL ? conn->store->options.seal->mark(conn->seal) : 0;
}

void store_seal_undo(struct store_conn *conn, size_t mark)
{
    if (conn->seal != NULL)
        conn->store->options.seal->undo(conn->seal, mark);
}

void store_seal_committed(const struct store_conn *conn)
{
    if (conn->seal != NULL && conn->store->options.seal->committed != NULL)
        conn->store->options.seal->committed(conn->seal);
}

/* Its statements are the last before COMMIT, so their answers may come with that one's. */
enum err store_seal_run(struct store_conn *conn)
{
    enum err err;

    if (store_seal_mark(conn) == 0)
        return ERR_OK;
    if (conn->driver->seal != NULL)
        conn->driver->seal(conn);
    conn->failed = ERR_OK;
    conn->constraint[0] = '\0';
    err = conn->store->options.seal->seal(conn, conn->seal);
    PC_ASSERT(conn->rows_open == 0);
    if (conn->failed == ERR_INTERNAL) /* a mistake in a statement of the seal */
        store_log_mistake(conn);
    return conn->failed ? conn->failed : err;
}
