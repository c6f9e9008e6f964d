/* SPDX-License-Identifier: MIT
 * The signed notes that the log keeps about itself.
 *
 * Threads: inside a store job.    Memory: the arena's.    Units: nanoseconds since 1970.
 * Errors:  the store's; ERR_NOT_FOUND; ERR_STORE_CORRUPT. */
#ifndef PC_TRAIL_TRAIL_CHECKPOINTS_H
#define PC_TRAIL_TRAIL_CHECKPOINTS_H

#include "base/arena.h"
#include "store/store.h"
#include "trail/trail_note.h"

struct trail_signed {
    uint64_t size;
    int64_t at_ns;
    struct trail_hash root;
    struct span note;
};

/* The one of the largest tree. */
PC_CHECKED enum err trail_signed_newest(struct store_conn *conn, struct arena *arena,
                                        struct trail_signed *ret);

/* At most `limit` of them with a size below `before_size` (0: any), the newest first. */
PC_CHECKED enum err trail_signed_list(struct store_conn *conn, uint64_t before_size, size_t limit,
                                      struct arena *arena, struct trail_signed **ret_list,
                                      size_t *ret_count);

/* Keeps one; if there is one of that size already, that one stays. */
PC_CHECKED enum err trail_signed_add(struct store_conn *conn, const struct trail_signed *signed_);

/* The first note of a log, about no leaves: whoever wrote it has the log's key. In a write job, so
 * that of several nodes only one does. ERR_TAKEN: the log is signed with another key. */
PC_CHECKED enum err trail_signed_claim(struct store_conn *conn, const struct trail_verifier *signer,
                                       int64_t at_ns);

/* Of those older than `before_ns` one an hour stays, and the newest of all in any case. */
PC_CHECKED enum err trail_signed_thin(struct store_conn *conn, int64_t before_ns);

#endif
