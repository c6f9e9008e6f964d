/* SPDX-License-Identifier: MIT
 * Carries events from the outbox to the log: one thread that reads the oldest rows, appends them in
 * the log's own commit, and deletes them after it. Whatever happens in between, it begins with the
 * oldest again and leaves out what the log has already, so no event is lost and none is there
 * twice. Many may carry at once, on as many nodes: the log's turn lets one after the other see what
 * is there.
 *
 * Threads: start and stop by the owner.    Memory: trail_carrier_stop frees.
 * Source:  docs/decisions/trail-outbox.md. */
#ifndef PC_TRAIL_TRAIL_CARRIER_H
#define PC_TRAIL_TRAIL_CARRIER_H

#include <semaphore.h>

#include "base/log.h"
#include "store/store.h"
#include "trail/trail_pressure.h"

struct trail_carrier;

struct trail_carrier_options {
    struct store *from;              /* that the outbox is in */
    struct store *to;                /* that the log is in; its seal is trail_seal */
    struct trail_pressure *pressure; /* is told how it goes; may be NULL */
    struct logger *logger;           /* may be NULL */
    sem_t *written;                  /* of the outbox: there is something to carry */
    bool until_empty;                /* ends when it finds nothing: for what another setting left */
};

PC_CHECKED enum err trail_carrier_start(const struct trail_carrier_options *options,
                                        struct trail_carrier **ret);

/* What is on its way is finished first. Accepts NULL. */
void trail_carrier_stop(struct trail_carrier *carrier);

/* One round: *ret_count rows left the outbox, 0 when it was empty. For the thread, and tests. */
PC_CHECKED enum err trail_carry(struct store *from, struct store *to, size_t *ret_count);

#endif
