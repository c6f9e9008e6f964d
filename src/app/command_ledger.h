/* SPDX-License-Identifier: MIT
 * What the commands `ledger ...` share.
 *
 * Threads: the command's.    Memory: command_database_close, also when opening failed. */
#ifndef PC_APP_COMMAND_LEDGER_H
#define PC_APP_COMMAND_LEDGER_H

#include "app/command_store.h"
#include "ledger/ledger_book.h"

/* Opens the database; tells when its schema is not this program's, and does not change it. */
PC_CHECKED enum command_exit command_ledger_open(const struct command_call *call,
                                                 struct command_database *database);

#endif
