/* SPDX-License-Identifier: MIT
 * A small number for every thread, so that counters and log rings can be kept one per thread and
 * written without a lock. A slot belongs to one thread at a time; it passes on when its thread
 * ends, with everything the old owner wrote visible to the new one.
 *
 * Threads: any.    Memory: none.    Units: slots. */
#ifndef PC_BASE_THREAD_H
#define PC_BASE_THREAD_H

#include "base/check.h"

enum {
    THREAD_SLOTS = 64,         /* 0 .. 63 have one owner each */
    THREAD_SHARED = 64,        /* what every further thread gets: write it atomically */
    THREAD_SLOTS_ALL = 64 + 1, /* the length of an array indexed by slot */
};

/* 1 + this thread's slot; 0 before the first call. Use thread_slot. */
extern _Thread_local unsigned thread_slot_kept;

PC_CHECKED unsigned thread_slot_take(void);

static inline unsigned thread_slot(void)
{
    unsigned kept = thread_slot_kept;

    return PC_LIKELY(kept != 0) ? kept - 1 : thread_slot_take();
}

#endif
