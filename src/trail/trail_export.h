/* SPDX-License-Identifier: MIT
 * What stands around the lines of an export, so that it can be checked by itself: a head, and a
 * checkpoint behind the last line. README.md here tells the format.
 *
 * Threads: inside a store job.    Memory: the arena's.
 * Errors:  the store's; ERR_BAD_REQUEST when the log has no such leaves; ERR_NO_SPACE. */
#ifndef PC_TRAIL_TRAIL_EXPORT_H
#define PC_TRAIL_TRAIL_EXPORT_H

#include "base/sbuf.h"
#include "store/store.h"
#include "trail/trail_tree.h"

/* {"log":…,"format":1,"from":…,"to":…} of the leaves [from, to), and a newline. Where the export
 * does not begin with the first leaf, the roots of what is to the left of it. */
PC_CHECKED enum err trail_export_head(struct store_conn *conn, struct span origin, uint64_t from,
                                      uint64_t to, struct arena *arena, struct sbuf *out);

/* The lines of [from, to), at most `limit` of them; *ret_next is where the next ones begin. */
PC_CHECKED enum err trail_export_lines(struct store_conn *conn, uint64_t from, uint64_t to,
                                       size_t limit, struct arena *arena, struct sbuf *out,
                                       uint64_t *ret_next);

/* {"checkpoint":…} of the newest note, with "consistency" when it is of more than `to` leaves.
 * Nothing when no note is of that many yet. */
PC_CHECKED enum err trail_export_checkpoint(struct store_conn *conn, uint64_t to,
                                            struct arena *arena, struct sbuf *out);

#endif
