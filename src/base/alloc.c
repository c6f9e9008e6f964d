/* SPDX-License-Identifier: MIT
 * malloc behind a countdown that tests can arm. In production the countdown is off and costs one
 * relaxed load. */
#include "base/alloc.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

enum { LARGE_BYTES = 512 * 1024, HEAP_SPARE_BYTES = 2 * 1024 * 1024 };

static _Atomic uint64_t countdown; /* 0: off */

static int strikes(void)
{
    uint64_t left = atomic_load_explicit(&countdown, memory_order_relaxed);

    while (left != 0) {
        if (atomic_compare_exchange_weak(&countdown, &left, left - 1))
            return left == 1;
    }
    return 0;
}

void *alloc_zero(size_t bytes)
{
    PC_ASSERT(bytes > 0);
    return PC_UNLIKELY(strikes()) ? NULL : calloc(1, bytes);
}

void *alloc_raw(size_t bytes)
{
    PC_ASSERT(bytes > 0);
    return PC_UNLIKELY(strikes()) ? NULL : malloc(bytes);
}

void *alloc_resize(void *block, size_t bytes)
{
    PC_ASSERT(bytes > 0);
    return PC_UNLIKELY(strikes()) ? NULL : realloc(block, bytes);
}

void alloc_free(void *block)
{
    free(block);
}

void alloc_wipe(void *block, size_t bytes)
{
    if (bytes > 0)
        explicit_bzero(block, bytes);
}

void alloc_rest(void *block, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)block + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)block + bytes) / page * page;

    /* The first is for memory that is locked (harden.h), and unknown to older kernels. */
    if (begin < end && madvise((void *)begin, end - begin, MADV_DONTNEED_LOCKED) != 0)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void alloc_settle(void)
{
    /* Setting it switches off glibc's habit of raising it after each large free. */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    /* A burst of requests takes and frees more than the usual 128 KiB at the heap's end; giving
     * them back each time means a fault a page in the next burst. */
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_SPARE_BYTES);
}

void alloc_fail_at(uint64_t nth)
{
    atomic_store(&countdown, nth);
}

int alloc_fail_pending(void)
{
    return atomic_load(&countdown) != 0;
}
