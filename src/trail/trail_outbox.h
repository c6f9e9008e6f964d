/* SPDX-License-Identifier: MIT
 * The way of events to a log that has a database of its own. They are written into the outbox in
 * the commit of what they tell of, as whole records, and a carrier moves them on: exactly once, in
 * their order, whatever falls over in between.
 *
 *   trail_add -> the seal of a commit: trail_outbox -> [rows of trail_outbox]
 *                      -> the carrier: trail_append in the log's own commit -> the rows are deleted
 *
 * Threads: a struct trail_outbox is for any; the rest runs in store jobs.
 * Memory:  the owner's; an outbox outlives the store that it is the seal of.
 * Source:  docs/decisions/trail-outbox.md. */
#ifndef PC_TRAIL_TRAIL_OUTBOX_H
#define PC_TRAIL_TRAIL_OUTBOX_H

#include <semaphore.h>

#include "base/arena.h"
#include "base/sbuf.h"
#include "store/store.h"
#include "trail/trail_log.h"
#include "trail/trail_pressure.h"

/* What a store is given as store_options.seal (`&outbox.seal`) in place of trail_seal. */
struct trail_outbox {
    struct store_seal seal;
    struct trail_pressure *pressure; /* the bounds; NULL: none, for commands beside a server */
    sem_t *written;                  /* posted when there is something to carry; may be NULL */
};

void trail_outbox_init(struct trail_outbox *outbox, struct trail_pressure *pressure,
                       sem_t *written);

/* ---- for the carrier ----------------------------------------------------------------------- */

/* Some of the oldest rows. */
struct trail_outbox_rows {
    struct trail_entry *entries; /* without seq, seed and leaf */
    int64_t *numbers;            /* of the rows */
    size_t count;
};

/* At most `rows_max` rows, and about `bytes_max` bytes. ERR_STORE_CORRUPT: a row is not as it was
 * written; it stays where it is, since what cannot be read must not be passed over. */
PC_CHECKED enum err trail_outbox_read(struct store_conn *conn, size_t rows_max, size_t bytes_max,
                                      struct arena *arena, struct trail_outbox_rows *ret);

/* Leaves the rows to the commit of a store whose seal is trail_seal, but for those that the log has
 * already; *ret_count is how many it left. The entries must live until that commit. */
PC_CHECKED enum err trail_outbox_append(struct store_conn *conn,
                                        const struct trail_outbox_rows *rows, size_t *ret_count);

/* Deletes them, after that commit. */
PC_CHECKED enum err trail_outbox_delete(struct store_conn *conn,
                                        const struct trail_outbox_rows *rows, struct arena *arena);

/* How many rows there are (no further than `count_max` + 1 on PostgreSQL), the oldest and the
 * newest number, and what the oldest says of its time; all 0 when there are none. */
struct trail_outbox_look {
    size_t count;
    int64_t oldest, newest;
    int64_t oldest_at_ns;
};
PC_CHECKED enum err trail_outbox_look(struct store_conn *conn, size_t count_max,
                                      struct trail_outbox_look *ret);

/* A record as it stands in a row: a format byte, then each field with its length. */
PC_CHECKED enum err trail_outbox_encode(const struct trail_entry *entry, struct sbuf *out);
/* The texts of *ret lie in `record`. ERR_STORE_CORRUPT. */
PC_CHECKED enum err trail_outbox_decode(struct span record, struct trail_entry *ret);

#endif
