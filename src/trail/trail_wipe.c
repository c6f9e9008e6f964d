/* SPDX-License-Identifier: MIT
 * Texts of persons leave the file with their rows. The store's own setting (FAST) leaves them on
 * pages that are freed as a whole, for whoever reads the file until they are used again. */
#include "trail/trail_priv.h"

/* Takes effect when it is prepared, which is once for each handle, and stays. */
static const struct store_statement wipe_always = {
    .name = "trail_wipe", .sqlite = "PRAGMA secure_delete = ON", .postgres = "SELECT 1"};

enum err trail_wipe(struct store_conn *conn)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err;

    if (store_conn_kind(conn) == STORE_POSTGRES)
        return ERR_OK;
    err = store_query(conn, &wipe_always, NULL, 0, &rows);
    if (err)
        return err;
    return store_next(rows) ? store_rows_err(rows) : store_rows_end(rows, ERR_INTERNAL);
}
