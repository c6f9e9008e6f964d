/* SPDX-License-Identifier: MIT
 * The leaves of a commit, made by two: who writes their rows and, where there are many of them and
 * a second processor, a thread beside. Hashing is a fifth of what an event costs its writer, and
 * its leaf depends on nothing that the database does.
 *
 *   trail_hasher_begin -> trail_hasher_some, ... -> trail_hasher_end
 *
 * Both take parts of the list from its front, and never wait for one that nobody has begun: so the
 * writer is never slower for a thread that is late, or was never there.
 *
 * Threads: a hasher belongs to the thread of its handle. Its own thread touches the entries that
 *          were begun with, and nothing else, and lets go of them before trail_hasher_end returns.
 * Memory:  no allocation.    Errors: those of trail_entry_leaf. */
#ifndef PC_TRAIL_TRAIL_HASHER_H
#define PC_TRAIL_TRAIL_HASHER_H

#include <pthread.h>

#include "trail/trail_log.h"

enum {
    TRAIL_HASHER_PART = 8,     /* entries that one of the two takes at once */
    TRAIL_HASHER_PARTS = 1024, /* that it keeps apart; what is behind them the writer makes */
    TRAIL_HASHER_FEW = 16,     /* entries for which nobody is woken */
};

struct trail_hasher {
    pthread_mutex_t lock;
    pthread_cond_t wanted; /* by the thread: something to do */
    pthread_cond_t made;   /* by the writer: a part is complete */
    pthread_t thread;
    bool tried, runs, stopping;
    bool idle, waiting;          /* the thread, the writer */
    struct trail_entry *entries; /* of the commit */
    size_t count, parts;         /* entries; parts of them that the two share */
    size_t begun, over;          /* parts that somebody took, that are complete */
    bool done[TRAIL_HASHER_PARTS];
    enum err err; /* of any part */
};

void trail_hasher_init(struct trail_hasher *hasher);
void trail_hasher_free(struct trail_hasher *hasher);

/* Entries that have everything but their leaf. */
void trail_hasher_begin(struct trail_hasher *hasher, struct trail_entry *entries, size_t count);

/* Behind it the entries [from, from + *ret_some) have their leaf: at least one, at most `most`. */
PC_CHECKED enum err trail_hasher_some(struct trail_hasher *hasher, size_t from, size_t most,
                                      size_t *ret_some);

/* Whatever was begun is over; the entries are the writer's alone. */
void trail_hasher_end(struct trail_hasher *hasher);

#endif
