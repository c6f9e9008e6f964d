/* SPDX-License-Identifier: MIT
 * SipHash-2-4: a keyed hash for tables that strangers may fill, so that nobody can choose which
 * entries collide. Not a MAC for storage; that is crypto/.
 *
 * Threads: pure.    Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF". */
#ifndef PC_BASE_HASH_H
#define PC_BASE_HASH_H

#include <stdint.h>

#include "base/random.h"
#include "base/span.h"

struct hash_key {
    uint64_t k0, k1;
};

struct hash_key hash_key_new(const struct random_source *source);
uint64_t hash_bytes(const struct hash_key *key, const void *ptr, size_t len);

static inline uint64_t hash_span(const struct hash_key *key, struct span s)
{
    return hash_bytes(key, s.ptr, s.len);
}

#endif
