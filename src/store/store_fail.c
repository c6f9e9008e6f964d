/* SPDX-License-Identifier: MIT
 * The countdown that makes the n-th database call fail, so that tests can walk every such path.
 * In production it is off and costs one relaxed load. */
#include "store/store_priv.h"

#include <stdatomic.h>

static _Atomic uint64_t countdown; /* 0: off */

void store_fail_at(uint64_t nth)
{
    atomic_store(&countdown, nth);
}

bool store_fail_pending(void)
{
    return atomic_load(&countdown) != 0;
}

bool store_fail_strikes(void)
{
    uint64_t left = atomic_load_explicit(&countdown, memory_order_relaxed);

    if (left == STORE_FAIL_ALWAYS)
        return true;
    while (left != 0) {
        if (atomic_compare_exchange_weak(&countdown, &left, left - 1))
            return left == 1;
    }
    return false;
}
