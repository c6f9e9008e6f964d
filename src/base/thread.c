/* SPDX-License-Identifier: MIT
 * Hands out the slots of thread.h from a bitmap, and takes one back when its thread ends. The mutex
 * is what makes the old owner's writes visible to the new one. */
#include "base/thread.h"

#include <pthread.h>
#include <stdint.h>

_Thread_local unsigned thread_slot_kept;

static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t slots_taken; /* one bit each */
static pthread_once_t slots_once = PTHREAD_ONCE_INIT;
static pthread_key_t slots_key;

_Static_assert(THREAD_SLOTS == 64, "one bit of slots_taken each");

/* `kept` is 1 + the slot, as a pointer. */
static void slot_return(void *kept)
{
    unsigned slot = (unsigned)(uintptr_t)kept - 1;

    thread_slot_kept = 0;
    if (slot == THREAD_SHARED)
        return;
    PC_ASSERT(pthread_mutex_lock(&slots_lock) == 0);
    PC_ASSERT((slots_taken >> slot & 1) == 1);
    slots_taken &= ~(UINT64_C(1) << slot);
    PC_ASSERT(pthread_mutex_unlock(&slots_lock) == 0);
}

static void slots_begin(void)
{
    PC_ASSERT(pthread_key_create(&slots_key, slot_return) == 0);
}

unsigned thread_slot_take(void)
{
    unsigned slot = THREAD_SHARED;

    PC_ASSERT(pthread_once(&slots_once, slots_begin) == 0);
    PC_ASSERT(pthread_mutex_lock(&slots_lock) == 0);
    if (~slots_taken != 0) {
        slot = (unsigned)__builtin_ctzll(~slots_taken);
        slots_taken |= UINT64_C(1) << slot;
    }
    PC_ASSERT(pthread_mutex_unlock(&slots_lock) == 0);
    PC_ASSERT(pthread_setspecific(slots_key, (void *)(uintptr_t)(slot + 1)) == 0);
    thread_slot_kept = slot + 1;
    return slot;
}
