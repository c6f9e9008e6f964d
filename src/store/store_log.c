/* SPDX-License-Identifier: MIT
 * What the store tells its operator: once when trouble comes, once when it goes, and each mistake
 * in a statement of ours. */
#include "store/store_priv.h"

#include "base/log.h"

void store_log_trouble(const struct store_conn *conn, const char *what, enum err err)
{
    log_error(conn->store->options.logger, "store_trouble", LOG_STRING("what", what),
              LOG_ERR("error", err), LOG_STRING("message", conn->message));
}

void store_log_recovered(const struct store *store, const char *what)
{
    log_info(store->options.logger, "store_recovered", LOG_STRING("what", what));
}

void store_log_mistake(const struct store_conn *conn)
{
    log_error(conn->store->options.logger, "store_mistake", LOG_STRING("message", conn->message));
}
