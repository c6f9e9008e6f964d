/* SPDX-License-Identifier: MIT
 * The service manager that started this process: what it is told (that we are ready, reload, leave,
 * and are alive; nothing without NOTIFY_SOCKET), and the sockets that it may have opened for us.
 *
 *   supervisor_open(&manager, variables, &why);
 *   supervisor_tell(&manager, "READY=1");
 *
 * Threads: telling is safe from any.    Memory: a descriptor, until supervisor_close.
 * Errors: a manager that cannot be told is named by supervisor_open; what gets lost later is not
 * told of, since the manager notices by itself.
 * Source: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3), whose protocols are stable. */
#ifndef PC_APP_SUPERVISOR_H
#define PC_APP_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct supervisor {
    int fd;          /* -1: there is none */
    int32_t beat_ms; /* how often it hears that we are alive; 0: it does not ask */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID ("NAME=value" lines closed by NULL; NULL:
 * none). False with a sentence when there is a manager that cannot be told: it is as without one
 * then. */
PC_CHECKED bool supervisor_open(struct supervisor *supervisor, const char *const *variables,
                                const char **ret_why);

bool supervisor_is_there(const struct supervisor *supervisor);

/* Sockets that the manager opened before it started this process, descriptors *ret_first and those
 * that follow (LISTEN_FDS, LISTEN_PID; sd_listen_fds(3)); none are left to programs that this one
 * may start. *ret_count is 0 when there are none. False with a sentence when what is said of them
 * cannot be. */
PC_CHECKED bool supervisor_sockets(const char *const *variables, int *ret_first,
                                   unsigned *ret_count, const char **ret_why);

/* Lines of "NAME=value", all in one message. */
void supervisor_tell(const struct supervisor *supervisor, const char *lines);

/* The same of a reload that begins: with the moment, by which the manager tells two apart. */
void supervisor_tell_reloading(const struct supervisor *supervisor);

void supervisor_close(struct supervisor *supervisor);

#endif
