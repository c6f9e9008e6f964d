/* SPDX-License-Identifier: MIT
 * SHA-256 of a few short pieces, as the audit log needs it by the dozen for each event. OpenSSL's
 * own functions do it here without EVP around them: EVP of 3.0 and 3.1 frees, allocates and wipes
 * its state for every digest, which costs three times as much as hashing one block.
 *
 * They are deprecated in favour of EVP and its choice of providers, of which a plain SHA-256 makes
 * no use; should they go, crypto_digest_pieces does the same. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <endian.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/check.h"
#include "crypto/digest.h"

/* A 0x80, zeroes and 8 bytes of length go behind the data (FIPS 180-4, 5.1.1). */
enum { BLOCK_BYTES = 64, LENGTH_BYTES = 8, SHORT_BYTES_MAX = 8 * BLOCK_BYTES - LENGTH_BYTES - 1 };

static void long_hash(const struct span *pieces, size_t count, unsigned char *ret_digest)
{
    SHA256_CTX context;

    PC_ASSERT(SHA256_Init(&context) == 1);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > 0)
            PC_ASSERT(SHA256_Update(&context, pieces[i].ptr, pieces[i].len) == 1);
    }
    PC_ASSERT(SHA256_Final(ret_digest, &context) == 1);
}

/* Padded here, so that whole blocks go through in one call and nothing is kept in between. */
static void short_hash(const struct span *pieces, size_t count, size_t bytes,
                       unsigned char *ret_digest)
{
    unsigned char data[SHORT_BYTES_MAX + 1 + LENGTH_BYTES];
    size_t padded = (bytes + 1 + LENGTH_BYTES + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
    uint64_t bits = htobe64((uint64_t)bytes * 8);
    SHA256_CTX context;
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > 0)
            memcpy(data + len, pieces[i].ptr, pieces[i].len);
        len += pieces[i].len;
    }
    memset(data + len, 0, padded - len);
    data[len] = 0x80;
    memcpy(data + padded - LENGTH_BYTES, &bits, LENGTH_BYTES);
    PC_ASSERT(SHA256_Init(&context) == 1);
    PC_ASSERT(SHA256_Update(&context, data, padded) == 1);
    for (size_t i = 0; i < CRYPTO_SHA256_BYTES / sizeof(uint32_t); i++) {
        uint32_t word = htobe32(context.h[i]);

        memcpy(ret_digest + i * sizeof(word), &word, sizeof(word));
    }
    explicit_bzero(data, padded); /* it may have been a secret */
}

void crypto_sha256_pieces(const struct span *pieces, size_t count,
                          unsigned char ret_digest[CRYPTO_SHA256_BYTES])
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += pieces[i].len;
    if (bytes <= SHORT_BYTES_MAX)
        short_hash(pieces, count, bytes, ret_digest);
    else
        long_hash(pieces, count, ret_digest);
}

void crypto_sha256(struct span data, unsigned char ret_digest[CRYPTO_SHA256_BYTES])
{
    crypto_sha256_pieces(&data, 1, ret_digest);
}
