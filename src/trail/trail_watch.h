/* SPDX-License-Identifier: MIT
 * Looks after the log: several times a second it asks how its store does and what waits in the
 * outbox, keeps struct trail_pressure in the know, refuses writes that wait behind a store that
 * stands still, and writes the one event that tells how long a time of trouble lasted.
 *
 * It never waits for a database itself: what it asks is answered when it can be.
 *
 * Threads: start and stop by the owner, the stores still open.
 * Memory:  trail_watch_stop frees.    Source: docs/decisions/trail-outbox.md. */
#ifndef PC_TRAIL_TRAIL_WATCH_H
#define PC_TRAIL_TRAIL_WATCH_H

#include "store/store.h"
#include "trail/trail_pressure.h"

struct trail_watch;

struct trail_watch_options {
    struct store *store; /* that events are written beside */
    struct store *log;   /* that the log is in; the same, or its own */
    size_t waiting_max;  /* no need to count further */
    struct trail_pressure *pressure;
};

PC_CHECKED enum err trail_watch_start(const struct trail_watch_options *options,
                                      struct trail_watch **ret);
void trail_watch_stop(struct trail_watch *watch); /* accepts NULL */

#endif
