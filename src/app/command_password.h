/* SPDX-License-Identifier: MIT
 * A password from whoever types the command: from the terminal without an echo, asked for twice, or
 * the first line of standard input with --password-stdin. Never from the command line, where every
 * user of the machine could read it in the process list.
 *
 * Threads: the command's.    Memory: the caller's buffer; command_password_wipe when done. */
#ifndef PC_APP_COMMAND_PASSWORD_H
#define PC_APP_COMMAND_PASSWORD_H

#include "app/command.h"
#include "base/limits.h"

#define COMMAND_PASSWORD_OPTION                                                                    \
    {                                                                                              \
        .name = "--password-stdin", .about = "Read the password from the first line of input"      \
    }

struct command_password {
    char bytes[LIMIT_PASSWORD_BYTES_MAX];
    size_t len;
};

/* Tells why there is none. */
PC_CHECKED enum command_exit command_password_read(const struct command_call *call,
                                                   struct command_password *ret);
/* The first line of standard input, whatever the options. */
PC_CHECKED enum command_exit command_line_read(const struct command_call *call,
                                               struct command_password *ret);
void command_password_wipe(struct command_password *password);

static inline struct span command_password_span(const struct command_password *password)
{
    return span_make(password->bytes, password->len);
}

#endif
