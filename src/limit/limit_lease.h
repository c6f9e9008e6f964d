/* SPDX-License-Identifier: MIT
 * Leases: requests taken from a shared limit ahead of their time, to be given out without asking.
 *
 * What is out on lease left its bucket in Redis when it was taken, and never goes out twice. So in
 * any span of time all nodes together admit no more than the limit allows for it, and what was out
 * on lease when it began: at most one lease for each node. A lease that is not used goes back; what
 * cannot go back is lost, never doubled.
 *
 * Threads: the loop's.    Memory: limit_leases_new / limit_leases_free; about 1 MiB a loop. */
#ifndef PC_LIMIT_LIMIT_LEASE_H
#define PC_LIMIT_LIMIT_LEASE_H

#include "limit/limit_redis.h"

struct limit_node;
struct limit_question;

#define LIMIT_LEASE_NS (2 * CLOCK_NS_PER_S) /* then what is left goes back */

enum { LIMIT_LEASE_SLOTS = 4096, LIMIT_SWEEP_MS = 250, LIMIT_SWEEP_PARTS = 4 };

struct limit_lease {
    struct limit_part part;   /* step_us 0: nobody's */
    int32_t size;             /* at most so many at a time */
    int32_t left;             /* to be given out */
    int64_t until_ns;         /* when they go back */
    int64_t refused_until_ns; /* the bucket is empty until then */
    int64_t heard_ns;         /* when it said ... */
    int64_t debt_us;          /* ... this */
    bool asking;              /* the command is on its way */
    struct limit_node *node;
    struct limit_command command;
    struct limit_question *parked, **parked_last; /* wait for it */
};

struct limit_leases {
    struct limit_lease *slots; /* NULL: nothing was ever leased */
    size_t hand;               /* the next to be swept */
};

/* How many a loop takes at a time: its part of the node's share of the burst, at least one. */
int32_t limit_lease_size(uint32_t burst, uint32_t percent, size_t loops);

/* Gives one out; only if limit_lease_has. */
bool limit_lease_has(const struct limit_lease *lease, int64_t now_ns);
void limit_lease_give(struct limit_lease *lease);

/* The command for more, or to give back what is left; then what the bucket said to it. */
void limit_lease_ask(struct limit_lease *lease);
void limit_lease_return(struct limit_lease *lease);
void limit_lease_landed(struct limit_lease *lease, int64_t debt_us, int64_t got, int64_t now_ns);

/* Refused without asking: the bucket was empty, and is not filled yet. */
bool limit_lease_is_refused(const struct limit_lease *lease, int64_t now_ns);
/* As far as is known. `allowed`: one was just given out. */
struct limit_verdict limit_lease_verdict(const struct limit_lease *lease, bool allowed,
                                         int64_t now_ns);

/* The bucket's lease; NULL when too many others hash to its place. */
struct limit_lease *limit_lease_find(struct limit_leases *leases, const struct limit_part *part,
                                     int32_t size, int64_t now_ns);
PC_CHECKED enum err limit_leases_new(struct limit_leases *leases);
void limit_leases_free(struct limit_leases *leases);

#endif
