/* SPDX-License-Identifier: MIT
 * A ring: a leaf lies at its place in the log, modulo the room there is. */
#include "trail/trail_recent.h"

#include <pthread.h>

#include "base/check.h"

static struct {
    pthread_mutex_t lock;
    uint64_t first, end; /* of the leaves that are here */
    struct trail_hash leaves[TRAIL_RECENT_LEAVES];
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER};

void trail_recent_add(const struct trail_entry *entries, size_t count)
{
    if (count == 0)
        return;
    PC_ASSERT(pthread_mutex_lock(&ring.lock) == 0);
    if ((uint64_t)entries[0].seq != ring.end)
        ring.first = ring.end = (uint64_t)entries[0].seq;
    for (size_t i = 0; i < count; i++)
        ring.leaves[ring.end++ % TRAIL_RECENT_LEAVES] = entries[i].leaf;
    if (ring.end - ring.first > TRAIL_RECENT_LEAVES)
        ring.first = ring.end - TRAIL_RECENT_LEAVES;
    PC_ASSERT(pthread_mutex_unlock(&ring.lock) == 0);
}

size_t trail_recent_take(uint64_t from, uint64_t to, struct trail_hash *ret)
{
    size_t count = 0;

    PC_ASSERT(pthread_mutex_lock(&ring.lock) == 0);
    for (uint64_t at = from; at >= ring.first && at < ring.end && at < to; at++)
        ret[count++] = ring.leaves[at % TRAIL_RECENT_LEAVES];
    PC_ASSERT(pthread_mutex_unlock(&ring.lock) == 0);
    return count;
}
