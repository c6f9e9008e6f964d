/* SPDX-License-Identifier: MIT
 * SipHash-2-4: a keyed hash for tables that strangers may fill, so that nobody can choose which
 * entries collide. Not a MAC for storage; that is crypto/. Of 128 bits it may stand for what was
 * hashed, as long as nobody is told the key or a mark: who does not know them finds a second text
 * with the mark of a first one only by asking 2^128 times.
 *
 * hash_nh_mark is the same for texts of some hundred bytes, several times as fast: SipHash of the
 * text's sums in place of the text. Two texts of one length have the same sums with a probability
 * of 2^-128, whoever chose them, as long as he has learned nothing of the key; and marks and what
 * is seen of them tell nothing, since they are SipHash's.
 *
 * Threads: pure.    Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF"; for the sums
 * Black, Halevi, Krawczyk, Krovetz and Rogaway, "UMAC: fast and secure message authentication"
 * (NH and its Toeplitz construction, with words of 64 bits). */
#ifndef PC_BASE_HASH_H
#define PC_BASE_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "base/span.h"

struct hash_key {
    uint64_t k0, k1;
};

struct hash_mark {
    uint64_t low, high;
};

enum { HASH_NH_BYTES = 2048 }; /* longer texts are given to SipHash as they are */

struct hash_nh_key {
    struct hash_key sip;
    uint64_t words[HASH_NH_BYTES / 8 + 2];
};

struct hash_key hash_key_new(const struct random_source *source);
uint64_t hash_bytes(const struct hash_key *key, const void *ptr, size_t len);

struct hash_mark hash_mark(const struct hash_key *key, struct span s);

void hash_nh_key_fill(const struct random_source *source, struct hash_nh_key *ret_key);
struct hash_mark hash_nh_mark(const struct hash_nh_key *key, struct span s);

static inline bool hash_mark_equal(struct hash_mark a, struct hash_mark b)
{
    return ((a.low ^ b.low) | (a.high ^ b.high)) == 0;
}

static inline uint64_t hash_span(const struct hash_key *key, struct span s)
{
    return hash_bytes(key, s.ptr, s.len);
}

#endif
