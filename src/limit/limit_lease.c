/* SPDX-License-Identifier: MIT
 * The arithmetic of leases and the table they are in. Sets of eight places: who finds all of a set
 * taken is told so, and asks for each request (limit_lease_ask.c). */
#include "limit/limit_lease.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { WAYS = 8, PERCENT = 100 };

int32_t limit_lease_size(uint32_t burst, uint32_t percent, size_t loops)
{
    uint64_t size = (uint64_t)burst * percent / PERCENT / loops;

    if (size > INT32_MAX)
        return INT32_MAX;
    return size > 0 ? (int32_t)size : 1;
}

/* What could not be given back in time is lost: it is long back in its bucket. */
bool limit_lease_has(const struct limit_lease *lease, int64_t now_ns)
{
    return lease->left > 0 && now_ns < lease->until_ns + LIMIT_LEASE_NS;
}

void limit_lease_give(struct limit_lease *lease)
{
    PC_ASSERT(lease->left > 0);
    lease->left--;
}

void limit_lease_ask(struct limit_lease *lease)
{
    lease->left = 0; /* lost, or none */
    lease->part.want = lease->size;
    lease->part.least = 0;
}

void limit_lease_return(struct limit_lease *lease)
{
    lease->part.want = lease->part.least = -lease->left;
    lease->left = 0;
}

/* Whatever it said, it is not asked again at once. */
static int64_t empty_ns(const struct limit_part *part, int64_t debt_us)
{
    int64_t ns = (debt_us + part->step_us - part->room_us) * CLOCK_NS_PER_US;

    return ns > CLOCK_NS_PER_MS ? ns : CLOCK_NS_PER_MS;
}

void limit_lease_landed(struct limit_lease *lease, int64_t debt_us, int64_t got, int64_t now_ns)
{
    int64_t after_us = debt_us + got * lease->part.step_us;

    lease->heard_ns = now_ns;
    lease->debt_us = after_us > 0 ? after_us : 0;
    if (lease->part.want < 0)
        return;
    lease->left = (int32_t)got;
    lease->until_ns = now_ns + LIMIT_LEASE_NS;
    if (got == 0)
        lease->refused_until_ns = now_ns + empty_ns(&lease->part, debt_us);
}

bool limit_lease_is_refused(const struct limit_lease *lease, int64_t now_ns)
{
    return !limit_lease_has(lease, now_ns) && now_ns < lease->refused_until_ns;
}

struct limit_verdict limit_lease_verdict(const struct limit_lease *lease, bool allowed,
                                         int64_t now_ns)
{
    int64_t debt_us = lease->debt_us - (now_ns - lease->heard_ns) / CLOCK_NS_PER_US;
    struct limit_verdict verdict = {.allowed = allowed, .limit = lease->part.burst};

    if (debt_us < 0)
        debt_us = 0;
    verdict.full_after_ns = debt_us * CLOCK_NS_PER_US;
    if (!allowed) {
        verdict.retry_after_ns = lease->refused_until_ns - now_ns;
        return verdict;
    }
    verdict.remaining =
        (uint32_t)((lease->part.room_us - debt_us) / lease->part.step_us + lease->left);
    if (verdict.remaining > verdict.limit)
        verdict.remaining = verdict.limit;
    return verdict;
}

/* ---- the table ---------------------------------------------------------------------------------
 */

enum err limit_leases_new(struct limit_leases *leases)
{
    leases->slots = alloc_zero(LIMIT_LEASE_SLOTS * sizeof(leases->slots[0]));
    return leases->slots != NULL ? ERR_OK : ERR_NO_MEMORY;
}

void limit_leases_free(struct limit_leases *leases)
{
    alloc_free(leases->slots);
    leases->slots = NULL;
}

static bool is_free(const struct limit_lease *lease, int64_t now_ns)
{
    return !lease->asking && !limit_lease_has(lease, now_ns) && now_ns >= lease->refused_until_ns;
}

/* A limit may have another size since it was asked last. */
static void adapt(struct limit_lease *lease, const struct limit_part *part, int32_t size)
{
    lease->size = size;
    if (lease->asking)
        return; /* its numbers are on their way */
    lease->part.step_us = part->step_us;
    lease->part.room_us = part->room_us;
    lease->part.burst = part->burst;
    if (lease->debt_us > part->room_us)
        lease->debt_us = part->room_us;
}

struct limit_lease *limit_lease_find(struct limit_leases *leases, const struct limit_part *part,
                                     int32_t size, int64_t now_ns)
{
    struct limit_lease *unused = NULL;
    uint32_t hash;
    struct limit_lease *set;

    memcpy(&hash, part->key, sizeof(hash)); /* of a digest: spread over all places */
    set = &leases->slots[hash % (LIMIT_LEASE_SLOTS / WAYS) * WAYS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].part.step_us != 0 && memcmp(set[i].part.key, part->key, LIMIT_KEY_BYTES) == 0) {
            adapt(&set[i], part, size);
            return &set[i];
        }
        if (unused == NULL && is_free(&set[i], now_ns))
            unused = &set[i];
    }
    if (unused != NULL) {
        *unused = (struct limit_lease){.part = *part, .heard_ns = now_ns};
        adapt(unused, part, size);
    }
    return unused;
}
