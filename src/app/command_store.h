/* SPDX-License-Identifier: MIT
 * The database for a command that works on it beside (or before) a running server.
 *
 * Threads: the command's.    Memory: command_database_close, also when opening failed. */
#ifndef PC_APP_COMMAND_STORE_H
#define PC_APP_COMMAND_STORE_H

#include "app/command.h"
#include "store/store.h"
#include "trail/trail_outbox.h"

struct command_database {
    struct command_settings settings;
    struct store *store;
    struct trail_outbox outbox; /* the store's seal when the log has a database of its own */
};

/* Loads the settings of --config and opens the database that they name; tells what went wrong. */
PC_CHECKED enum command_exit command_database_open(const struct command_call *call,
                                                   struct command_database *ret);
/* The same, and brings the database to this program's schema first if it has to be. */
PC_CHECKED enum command_exit command_database_open_ready(const struct command_call *call,
                                                         struct command_database *ret);
void command_database_close(struct command_database *database);

#endif
