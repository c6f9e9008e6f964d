/* SPDX-License-Identifier: MIT
 * When a user's rights or sessions change, whatever a loop has cached about that user is stale at
 * once, without a lock and without asking the store: each user id falls on one of a fixed number of
 * counters; a change moves the counter, and a cached entry is good only while the counter stands
 * where it stood when the rights were read. Two users on one counter cost a needless look at the
 * store, never a wrong answer.
 *
 * Threads: any; the counters are atomic.    Memory: part of the engine. */
#ifndef PC_HTTP_HTTP_EPOCH_H
#define PC_HTTP_HTTP_EPOCH_H

#include <stdatomic.h>
#include <stdint.h>

enum { HTTP_EPOCHS = 4096 };

struct http_epochs {
    _Atomic uint32_t counters[HTTP_EPOCHS];
    _Atomic int64_t feed_ns; /* monotonic: when the changes of other nodes were last seen */
};

static inline uint32_t http_epoch_slot(int64_t user_id)
{
    uint64_t mixed = (uint64_t)user_id * UINT64_C(0x9E3779B97F4A7C15);

    return (uint32_t)(mixed >> 52); /* the top 12 bits */
}

static inline uint32_t http_epoch_now(const struct http_epochs *epochs, int64_t user_id)
{
    return atomic_load_explicit(&epochs->counters[http_epoch_slot(user_id)], memory_order_acquire);
}

static inline void http_epoch_move(struct http_epochs *epochs, int64_t user_id)
{
    atomic_fetch_add_explicit(&epochs->counters[http_epoch_slot(user_id)], 1, memory_order_release);
}

#endif
