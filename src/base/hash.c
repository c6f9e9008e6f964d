/* SPDX-License-Identifier: MIT
 * SipHash-2-4 and NH, written from their papers; checked in base_test.c against the first one's
 * test vector and the second one's definition. */
#include "base/hash.h"

#include <string.h>

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* Always inline, so that v stays in registers: twice as fast as a call. */
static inline __attribute__((always_inline)) void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

struct hash_key hash_key_new(const struct random_source *source)
{
    struct hash_key key;

    random_fill(source, &key, sizeof(key));
    return key;
}

static inline void sip_begin(uint64_t v[4], const struct hash_key *key)
{
    v[0] = key->k0 ^ UINT64_C(0x736f6d6570736575);
    v[1] = key->k1 ^ UINT64_C(0x646f72616e646f6d);
    v[2] = key->k0 ^ UINT64_C(0x6c7967656e657261);
    v[3] = key->k1 ^ UINT64_C(0x7465646279746573);
}

static inline __attribute__((always_inline)) void sip_take(uint64_t v[4], const void *ptr,
                                                           size_t len)
{
    const unsigned char *at = ptr;
    uint64_t word;
    size_t left = len;

    for (; left >= 8; at += 8, left -= 8) {
        memcpy(&word, at, 8); /* little-endian machines only; asserted in the test */
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)len << 56;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)at[i] << (8 * i);
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

static inline uint64_t sip_end(uint64_t v[4])
{
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_bytes(const struct hash_key *key, const void *ptr, size_t len)
{
    uint64_t v[4];

    sip_begin(v, key);
    sip_take(v, ptr, len);
    v[2] ^= 0xFF;
    return sip_end(v);
}

struct hash_mark hash_mark(const struct hash_key *key, struct span s)
{
    struct hash_mark mark;
    uint64_t v[4];

    sip_begin(v, key);
    v[1] ^= 0xEE;
    sip_take(v, s.ptr, s.len);
    v[2] ^= 0xEE;
    mark.low = sip_end(v);
    v[1] ^= 0xDD;
    mark.high = sip_end(v);
    return mark;
}

void hash_nh_key_fill(const struct random_source *source, struct hash_nh_key *ret_key)
{
    random_fill(source, ret_key, sizeof(*ret_key));
}

__extension__ typedef unsigned __int128 u128;

/* Both sums of a pair of words; the second has the key two words further on. */
static inline void nh_pair(u128 sums[2], const uint64_t *key, const unsigned char *at)
{
    uint64_t pair[2];

    memcpy(pair, at, sizeof(pair));
    sums[0] += (u128)(pair[0] + key[0]) * (pair[1] + key[1]);
    sums[1] += (u128)(pair[0] + key[2]) * (pair[1] + key[3]);
}

struct hash_mark hash_nh_mark(const struct hash_nh_key *key, struct span s)
{
    const unsigned char *at = (const unsigned char *)s.ptr;
    const uint64_t *words = key->words;
    unsigned char last[16] = {0};
    u128 sums[3] = {0, 0, s.len}; /* the length tells apart what only differs in zeros behind it */
    size_t left = s.len;

    if (s.len > HASH_NH_BYTES)
        return hash_mark(&key->sip, s);
    for (; left >= sizeof(last); at += sizeof(last), left -= sizeof(last), words += 2)
        nh_pair(sums, words, at);
    if (left > 0) {
        memcpy(last, at, left);
        nh_pair(sums, words, last);
    }
    return hash_mark(&key->sip, span_make((const char *)sums, sizeof(sums)));
}
