/* SPDX-License-Identifier: MIT
 * What the SQLite files share: store_sqlite.c opens and runs statements, store_sqlite_wal.c looks
 * after the log. SQLite's types stay in these two. */
#ifndef PC_STORE_STORE_SQLITE_PRIV_H
#define PC_STORE_STORE_SQLITE_PRIV_H

#include <sqlite3.h>

#include "store/store_priv.h"

enum { STORE_SQLITE_APPLICATION_ID = 0x50434C53 }; /* "PCLS": tells our files from others' */

/* The error in our terms, its words kept, and whether the handle is of no more use. */
enum err store_sqlite_fail(struct store_conn *conn, int code);

/* ERR_STORE_UNAVAILABLE, and a broken handle, when the file was moved or deleted under it. */
PC_CHECKED enum err store_sqlite_moved(struct store_conn *conn);

/* ---- store_sqlite_wal.c ------------------------------------------------------------------- */

/* Has the log looked after as this new handle writes to it. */
void store_wal_watch(struct store_conn *conn);

/* Between two commits of the writer: what the keeper has left over. */
void store_wal_tend(struct store_conn *conn);

/* The disk failed: this handle is done with, and the next must restore first. */
void store_wal_suspect(struct store_conn *conn);

/* Whether that happened to any handle, and this one is the writer's, who must restore. */
bool store_wal_is_suspect(const struct store_conn *conn);

/* After such a failure: writes all that was committed out once more, before anything else is
 * written. ERR_OK at once where nothing has failed. */
PC_CHECKED enum err store_wal_restore(struct store_conn *conn);

/* The keeper's thread, for a struct store_worker. */
void *store_wal_thread(void *context);

#endif
