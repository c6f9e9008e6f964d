/* SPDX-License-Identifier: MIT
 * When the rights or sessions of a user or client change, whatever a loop has cached about them is
 * stale at once, without a lock and without asking the store: each subject (a user's id, or minus a
 * client's key) falls on one of a fixed number of counters; a change moves the counter, and a
 * cached entry is good only while the counters of its user and client stand where they stood when
 * the rights were read. Two subjects on one counter cost a needless look at the store, never a
 * wrong answer.
 *
 * Threads: any; the counters are atomic.    Memory: part of the engine. */
#ifndef PC_HTTP_HTTP_EPOCH_H
#define PC_HTTP_HTTP_EPOCH_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_EPOCHS = 4096 };

struct http_epochs {
    _Atomic uint32_t counters[HTTP_EPOCHS];
    _Atomic uint32_t moves;  /* of any counter; counted before the counter itself */
    _Atomic int64_t feed_ns; /* monotonic: when the changes of other nodes were last seen */
};

static inline uint32_t http_epoch_slot(int64_t subject)
{
    uint64_t mixed = (uint64_t)subject * UINT64_C(0x9E3779B97F4A7C15);

    return (uint32_t)(mixed >> 52); /* the top 12 bits */
}

static inline uint32_t http_epoch_now(const struct http_epochs *epochs, int64_t subject)
{
    return atomic_load_explicit(&epochs->counters[http_epoch_slot(subject)], memory_order_acquire);
}

/* Of a user and a client together; 0 is nobody. Both only grow, so the sum stands still exactly
 * when both do. */
static inline uint32_t http_epoch_of(const struct http_epochs *epochs, int64_t user_id,
                                     int64_t client_key)
{
    uint32_t epoch = user_id != 0 ? http_epoch_now(epochs, user_id) : 0;

    return client_key != 0 ? epoch + http_epoch_now(epochs, -client_key) : epoch;
}

static inline uint32_t http_epoch_moves(const struct http_epochs *epochs)
{
    return atomic_load_explicit(&epochs->moves, memory_order_acquire);
}

/* Who sees the counter moved sees the move counted. */
static inline void http_epoch_move(struct http_epochs *epochs, int64_t subject)
{
    atomic_fetch_add_explicit(&epochs->moves, 1, memory_order_release);
    atomic_fetch_add_explicit(&epochs->counters[http_epoch_slot(subject)], 1, memory_order_release);
}

/* Everybody. */
static inline void http_epoch_move_all(struct http_epochs *epochs)
{
    atomic_fetch_add_explicit(&epochs->moves, 1, memory_order_release);
    for (size_t i = 0; i < HTTP_EPOCHS; i++)
        atomic_fetch_add_explicit(&epochs->counters[i], 1, memory_order_release);
}

#endif
