/* SPDX-License-Identifier: MIT
 * What a breaker knows of the last while: calls, errors and slow ones, in a ring of buckets by
 * time. For breaker.c alone.
 *
 * The window is the bucket of now and the nine before it, so it reaches between nine tenths and the
 * whole of its length back. A bucket is one word: which stretch of time it counts, and three
 * counts. A call is one compare-and-swap; a bucket of an earlier round is begun anew by the first
 * who needs it.
 *
 * Threads: any, no lock.    Memory: embedded.    Units: monotonic milliseconds. */
#ifndef PC_LIMIT_BREAKER_WINDOW_H
#define PC_LIMIT_BREAKER_WINDOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { BREAKER_BUCKETS = 10 };

struct breaker_window {
    uint64_t bucket_ms; /* 0: nothing is counted */
    _Atomic uint64_t newest;
    _Atomic uint64_t buckets[BREAKER_BUCKETS];
};

struct breaker_counts {
    uint32_t calls, errors, slow;
};

void breaker_window_init(struct breaker_window *window, int64_t window_ns);

/* Forgets all, so that nothing of before is held against what comes. */
void breaker_window_clear(struct breaker_window *window);

/* Counts one call and says what the window holds with it. */
struct breaker_counts breaker_window_add(struct breaker_window *window, uint64_t now_ms, bool error,
                                         bool slow);

/* For who watches. */
struct breaker_counts breaker_window_read(const struct breaker_window *window, uint64_t now_ms);

#endif
