/* SPDX-License-Identifier: MIT
 * Digests, HMAC and base64url: the small tools that run on every request. Algorithms are fetched
 * from OpenSSL once and each thread keeps one context, so a digest costs its hashing alone.
 *
 * Threads: any; a crypto_hmac may be used by many threads at once.
 * Memory: plain values; wipe a crypto_hmac with crypto_hmac_wipe when its key must go.
 * Source: FIPS 180-4, RFC 2104 (HMAC), RFC 4648 5 (base64url), RFC 7515 2 (no padding). */
#ifndef PC_CRYPTO_DIGEST_H
#define PC_CRYPTO_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/sbuf.h"
#include "base/span.h"

enum crypto_hash { CRYPTO_SHA256, CRYPTO_SHA384, CRYPTO_SHA512, CRYPTO_HASH_COUNT };

enum { CRYPTO_SHA256_BYTES = 32, CRYPTO_HASH_BYTES_MAX = 64, CRYPTO_HASH_BLOCK_BYTES_MAX = 128 };

/* The digest's length in bytes: 32, 48 or 64. */
size_t crypto_hash_bytes(enum crypto_hash hash);

/* Never fails: a machine that cannot hash stops the process. */
void crypto_sha256(struct span data, unsigned char ret_digest[CRYPTO_SHA256_BYTES]);
void crypto_sha256_pieces(const struct span *pieces, size_t count,
                          unsigned char ret_digest[CRYPTO_SHA256_BYTES]);
void crypto_digest(enum crypto_hash hash, struct span data,
                   unsigned char ret_digest[CRYPTO_HASH_BYTES_MAX]);

/* The digest of several pieces in a row, as if they were one. */
void crypto_digest_pieces(enum crypto_hash hash, const struct span *pieces, size_t count,
                          unsigned char ret_digest[CRYPTO_HASH_BYTES_MAX]);

/* An HMAC key with both pads already mixed in. */
struct crypto_hmac {
    enum crypto_hash hash;
    unsigned char inner[CRYPTO_HASH_BLOCK_BYTES_MAX];
    unsigned char outer[CRYPTO_HASH_BLOCK_BYTES_MAX];
};

/* Any length of key; a key for signatures must be at least as long as the digest (key.h checks). */
void crypto_hmac_init(struct crypto_hmac *hmac, enum crypto_hash hash, struct span key);
void crypto_hmac_sign(const struct crypto_hmac *hmac, struct span data,
                      unsigned char ret_tag[CRYPTO_HASH_BYTES_MAX]);
bool crypto_hmac_verify(const struct crypto_hmac *hmac, struct span data, struct span tag);
void crypto_hmac_wipe(struct crypto_hmac *hmac);

/* Appends the text for `data`, without padding. */
void crypto_base64url_add(struct sbuf *out, struct span data);

/* The length of the text for that many bytes. */
static inline size_t crypto_base64url_length(size_t bytes)
{
    return bytes / 3 * 4 + (bytes % 3 * 4 + 2) / 3;
}

/* Strict: the 64 characters and nothing else, no padding, no whitespace, and unused bits zero, so
 * that one value has one text. ERR_BAD_REQUEST on anything else; ERR_NO_SPACE if it does not fit.
 */
PC_CHECKED enum err crypto_base64url_decode(struct span text, void *buffer, size_t buffer_bytes,
                                            size_t *ret_bytes);

/* The same into the arena; ERR_NO_MEMORY when it is full. */
PC_CHECKED enum err crypto_base64url_read(struct span text, struct arena *arena,
                                          struct span *ret_data);

/* base64 with its padding (RFC 4648, 4), as strict. */
void crypto_base64_add(struct sbuf *out, struct span data);
PC_CHECKED enum err crypto_base64_decode(struct span text, void *buffer, size_t buffer_bytes,
                                         size_t *ret_bytes);

#endif
