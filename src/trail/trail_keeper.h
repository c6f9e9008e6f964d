/* SPDX-License-Identifier: MIT
 * The keeper of the log: one thread that looks at what was committed, keeps its tiles and signs
 * checkpoints about it, at the latest TRAIL_KEEPER_PERIOD_MS after a leaf came, and sooner when
 * leaves come by the hundreds. Nothing that writes events waits for it.
 *
 * It signs only what goes on from what it signed before: the tree is grown leaf by leaf from the
 * last checkpoint, which is kept in memory and in a file outside the database. A log that is
 * shorter than that, or another one, is refused for good: an error in the log file, the metric
 * portcullis_audit_log_refused at 1, and no further signature until somebody has looked.
 *
 * Several nodes may each have a keeper. Those without the key keep tiles and tell numbers.
 *
 * Threads: any for the questions; trail_keeper_round by one thread at a time.
 * Memory:  trail_keeper_new / trail_keeper_free (which stops the thread).
 * Units:   nanoseconds; leaves.
 * Source:  C2SP tlog-checkpoint, tlog-tiles; docs/decisions/trail-keeper.md. */
#ifndef PC_TRAIL_TRAIL_KEEPER_H
#define PC_TRAIL_TRAIL_KEEPER_H

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "store/store.h"
#include "trail/trail_note.h"

enum { TRAIL_KEEPER_PERIOD_MS = 250, TRAIL_KEEPER_WHY_BYTES = 256 };

struct trail_keeper;

struct trail_keeper_options {
    struct store *store; /* that the log is in */
    const struct clock *clock;
    struct logger *logger;               /* may be NULL */
    struct metrics *metrics;             /* may be NULL */
    struct span origin;                  /* the log's name */
    const struct trail_verifier *signer; /* shared; NULL: this node has no key */
    const char *memory; /* the file that remembers the last checkpoint; NULL without a key */
};

PC_CHECKED enum err trail_keeper_new(const struct trail_keeper_options *options,
                                     struct trail_keeper **ret);
PC_CHECKED enum err trail_keeper_start(struct trail_keeper *keeper);

/* Ends the thread after one last round, so that what was written is signed. */
void trail_keeper_stop(struct trail_keeper *keeper);
void trail_keeper_free(struct trail_keeper *keeper); /* accepts NULL */

/* One round, as the thread does it. ERR_CONFLICT: refused. */
PC_CHECKED enum err trail_keeper_round(struct trail_keeper *keeper);

struct trail_keeper_state {
    uint64_t size;        /* leaves in the log, when it was last looked at */
    uint64_t signed_size; /* of the newest checkpoint */
    int64_t lag_ns;       /* how long the oldest leaf without a checkpoint has waited */
    bool signs;           /* it has the key and did not refuse */
    bool refused;
    char why[TRAIL_KEEPER_WHY_BYTES]; /* a sentence, when refused */
};
void trail_keeper_state(struct trail_keeper *keeper, struct trail_keeper_state *ret);

/* The key's line for /audit/key, without a newline; empty when this node has no key. Lives as long
 * as the keeper. */
struct span trail_keeper_key(const struct trail_keeper *keeper);
struct span trail_keeper_origin(const struct trail_keeper *keeper);

#endif
