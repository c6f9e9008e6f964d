/* SPDX-License-Identifier: MIT
 * Erasing what the log holds of a person. Their name, and what goes with it, leaves the rows for
 * ever, together with the salts that it could be guessed by; what stands in the leaves stays, so
 * every proof and checkpoint stays good.
 *
 * A subject is a name as the log writes it: an actor, a principal or an object, such as
 * "anna@example.com", "9f3c" or "user:7", which is also the actor 7 where that is a user's id. A
 * person who has several names is erased by each of them.
 *
 *   actor, principal     the name goes, and the address, reason and details of that entry
 *   object               the name goes
 *
 * Threads: the caller's; waits for the store's. Not inside a job.    Memory: little, whatever the
 * size of the log.    Units: entries.
 * Errors: the store's; ERR_STORE_CORRUPT if an entry is not as it was written: it is left alone,
 * and so is everything behind it; ERR_BUSY if somebody reads what SQLite's write-ahead log still
 * holds. What was erased before an error stays erased; ask again. */
#ifndef PC_TRAIL_TRAIL_ERASE_H
#define PC_TRAIL_TRAIL_ERASE_H

#include "base/err.h"
#include "base/span.h"
#include "store/store.h"

struct trail_erase_order {
    struct span subject; /* not empty */
    struct span basis;   /* on what ground: kept in the log, so it must not name the person */
    struct span actor;   /* who erases */
    int64_t now_ns;
    bool only_count; /* changes nothing */
    int64_t wait_ns; /* for readers that keep SQLite from emptying its write-ahead log */
};

struct trail_erased {
    int64_t entries;     /* that were, or would be, changed */
    int64_t corrupt_seq; /* with ERR_STORE_CORRUPT: which; -1: none */
    bool log_holds;      /* with ERR_BUSY: the rows are erased, the write-ahead log is not */
};

/* Each bounded commit records TRAIL_AUDIT_ERASED beside what it erased. */
PC_CHECKED enum err trail_erase(struct store *store, const struct trail_erase_order *order,
                                struct trail_erased *ret);

/* Waits until what is in the outbox now has left it, for what is on its way to the log is not
 * found there. *ret_waiting: how many events have not, within the time. */
PC_CHECKED enum err trail_erase_await(struct store *outbox, int64_t wait_ns, int64_t *ret_waiting);

#endif
