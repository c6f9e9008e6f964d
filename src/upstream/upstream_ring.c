/* SPDX-License-Identifier: MIT
 * The ring of consistent hashing. Each target has places on a circle of 2^64, in number by its
 * weight; a key belongs to the first place at or after its own. A target that is away is passed
 * over, so its keys go to whoever stands next, spread by its many places, and no other key moves.
 *
 * A place is one word: the upper 58 bits are a hash of the target's name and the place's number,
 * the lower 6 its index. The hash has a fixed key, as every node must make the same ring; who may
 * choose keys can aim at one target, but no better than by sending the same key again. */
#include "upstream/upstream_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

enum { PLACES = 512 /* of the heaviest target */, INDEX_BITS = 6 };

static const struct hash_key ring_key = {.k0 = UINT64_C(0x7570737472656d), .k1 = 1};

static uint64_t places_of(uint32_t weight, uint32_t heaviest)
{
    uint64_t places = ((uint64_t)weight * PLACES + heaviest / 2) / heaviest;

    return places > 0 ? places : 1;
}

static uint64_t place_of(uint64_t name_hash, uint64_t number)
{
    uint64_t words[2] = {name_hash, number};

    return hash_bytes(&ring_key, words, sizeof(words));
}

static int place_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

enum err upstream_ring_new(const uint32_t *weights, const struct span *names, size_t count,
                           uint64_t **ret_ring, size_t *ret_count)
{
    uint32_t heaviest = 1;
    size_t total = 0;
    size_t at = 0;
    uint64_t *ring;

    for (size_t i = 0; i < count; i++)
        heaviest = weights[i] > heaviest ? weights[i] : heaviest;
    for (size_t i = 0; i < count; i++)
        total += places_of(weights[i], heaviest);
    ring = alloc_raw(total * sizeof(*ring));
    if (ring == NULL)
        return ERR_NO_MEMORY;

    for (size_t i = 0; i < count; i++) {
        uint64_t name_hash = hash_span(&ring_key, names[i]);

        for (uint64_t n = places_of(weights[i], heaviest); n > 0; n--)
            ring[at++] = (place_of(name_hash, n) >> INDEX_BITS << INDEX_BITS) | i;
    }
    PC_ASSERT(at == total);
    qsort(ring, total, sizeof(*ring), place_compare);
    *ret_ring = ring;
    *ret_count = total;
    return ERR_OK;
}

/* Neighbouring keys must not be neighbours on the ring (the finalizer of splitmix64). */
static uint64_t spread(uint64_t key)
{
    key = (key ^ (key >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    key = (key ^ (key >> 27)) * UINT64_C(0x94D049BB133111EB);
    return key ^ (key >> 31);
}

size_t upstream_ring_find(const uint64_t *ring, size_t count, uint64_t key, uint64_t asked)
{
    uint64_t place = spread(key);
    size_t from = 0;
    size_t to = count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (ring[middle] < place)
            from = middle + 1;
        else
            to = middle;
    }
    for (size_t step = 0; step < count; step++, from++) {
        size_t target;

        from = from == count ? 0 : from;
        target = ring[from] & (UPSTREAM_TARGETS_MAX - 1);
        if ((asked & upstream_bit(target)) != 0)
            return target;
    }
    PC_WRONG("nobody on the ring may be asked");
}
