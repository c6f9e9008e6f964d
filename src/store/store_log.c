/* SPDX-License-Identifier: MIT
 * What the store tells its operator: once when trouble comes, once when it goes, and each mistake
 * in a statement of ours. */
#include "store/store_priv.h"

void store_log_trouble(const struct store_conn *conn, const char *what, enum err err)
{
    (void)conn;
    (void)what;
    (void)err;
}

void store_log_recovered(const struct store *store, const char *what)
{
    (void)store;
    (void)what;
}

void store_log_mistake(const struct store_conn *conn)
{
    (void)conn;
}
