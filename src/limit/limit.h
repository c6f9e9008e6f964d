/* SPDX-License-Identifier: MIT
 * How often a key (an address, a user, a client) may do something: the token bucket in its GCRA
 * form, one atomic word a bucket, in a table of fixed size. Exact across threads: whatever the
 * interleaving, no key is admitted more often than its rate allows. When the table is crowded it
 * errs against the newcomer, never for him (limit.c says how). Limits whose buckets fill in seconds
 * and quotas of days belong in different tables, or a crowd of quotas slows the newcomers of both.
 *
 *   static const struct limit_rate per_ip = {.id = 1, .requests = 60,
 *                                            .period_ns = 60 * CLOCK_NS_PER_S};
 *   limit_take(table, address, &per_ip, clock_monotonic_ns(clock), &verdict);
 *   if (!verdict.allowed)
 *       return ERR_RATE_LIMITED;            Retry-After: verdict.retry_after_ns, rounded up
 *
 * Threads: any, no lock.    Memory: limit_table_new / limit_table_free; 8 bytes a slot.
 * Units: monotonic nanoseconds, as a parameter.
 * Source: ITU-T I.371 (GCRA); draft-ietf-httpapi-ratelimit-headers; Metwally et al. 2005
 * (space-saving eviction). */
#ifndef PC_LIMIT_LIMIT_H
#define PC_LIMIT_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/random.h"
#include "base/span.h"

/* The longest time an empty bucket may take to fill. */
#define LIMIT_RATE_FILL_NS_MAX (INT64_C(366) * 86400 * INT64_C(1000000000))

struct limit_table;

struct limit_rate {
    uint64_t id;       /* keeps limits apart: equal keys under different ids have own buckets */
    int64_t period_ns; /* at least 1 us */
    uint32_t requests; /* for each period; 0 denies everything */
    uint32_t burst;    /* at once; 0: as many as requests */
};

/* False for a rate that cannot be kept: a period below 1 us, or a bucket that takes longer than
 * LIMIT_RATE_FILL_NS_MAX to fill. The functions below accept valid rates only. */
bool limit_rate_is_valid(const struct limit_rate *rate);

struct limit_verdict {
    bool allowed;
    uint32_t limit;         /* the bucket's size */
    uint32_t remaining;     /* what could be taken right now, after this one */
    int64_t full_after_ns;  /* when the bucket is full again: X-RateLimit-Reset, from now */
    int64_t retry_after_ns; /* 0 when allowed */
};

/* `slots` is rounded up to a power of two, at least 64. The hash key comes from `source`. */
PC_CHECKED enum err limit_table_new(size_t slots, const struct random_source *source,
                                    struct limit_table **ret_table);
void limit_table_free(struct limit_table *table); /* accepts NULL */

/* Takes one token, or says when to come again; a refused request costs its key nothing. */
void limit_take(struct limit_table *table, struct span key, const struct limit_rate *rate,
                int64_t now_ns, struct limit_verdict *ret_verdict);

/* Takes `count` tokens, or none of them. More than the bucket holds are always refused. */
void limit_take_some(struct limit_table *table, struct span key, const struct limit_rate *rate,
                     uint32_t count, int64_t now_ns, struct limit_verdict *ret_verdict);

/* What limit_take would answer, with nothing taken. */
void limit_peek(struct limit_table *table, struct span key, const struct limit_rate *rate,
                int64_t now_ns, struct limit_verdict *ret_verdict);

/* Whether limits are kept with other nodes (limit_shared.h), and what holds while nobody knows. */
enum limit_mode { LIMIT_LOCAL = 0, LIMIT_LEASED, LIMIT_EXACT };
enum limit_outage { LIMIT_OUTAGE_LOCAL_SHARE = 0, LIMIT_OUTAGE_DENY, LIMIT_OUTAGE_ALLOW };

struct limit_sharing {
    enum limit_mode mode;
    enum limit_outage on_outage;
};

enum { LIMIT_ASKS_MAX = 8 }; /* limits of one request */

/* One of several limits that a request must be within. */
struct limit_ask {
    struct limit_rate rate;
    struct span name; /* of the limit: the same on every node (limit_shared.h) */
    struct span key;
};

/* The id that goes with a limit's name. */
uint64_t limit_name_id(struct span name);

/* Takes one token of each, or none of any. The verdict is the tightest one's, whose place goes to
 * *ret_tightest: of those that refuse the one to be waited for longest, else the one with the least
 * left. All are looked at before the first is taken from, so what one refuses costs the others
 * nothing; only when another thread takes the last token between the look and the taking have those
 * before it paid. (Nothing is given back then: the proof in limit.c wants debts that only grow.) */
void limit_take_all(struct limit_table *table, const struct limit_ask *asks, size_t count,
                    int64_t now_ns, struct limit_verdict *ret_verdict, size_t *ret_tightest);

/* Whether `a` tells the client more than `b`. */
bool limit_is_tighter(const struct limit_verdict *a, const struct limit_verdict *b);

/* The part of a network address that one client holds: all 4 bytes of IPv4 (also when mapped into
 * IPv6), the first 8 of IPv6, where a /64 belongs to one customer. Anything else stays as it is. */
struct span limit_address(struct span address_bytes);

/* How many buckets are not full right now; walks the table: for gauges and tests. */
size_t limit_table_busy(struct limit_table *table, int64_t now_ns);

#endif
