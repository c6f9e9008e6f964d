/* SPDX-License-Identifier: MIT
 * SHA-256 of a few short pieces, as the audit log needs it by the dozen for each event. OpenSSL's
 * own functions do it here without EVP around them: EVP of 3.0 and 3.1 frees, allocates and wipes
 * its state for every digest, which costs three times as much as hashing one block.
 *
 * They are deprecated in favour of EVP and its choice of providers, of which a plain SHA-256 makes
 * no use; should they go, crypto_digest_pieces does the same. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "base/check.h"
#include "crypto/digest.h"

void crypto_sha256_pieces(const struct span *pieces, size_t count,
                          unsigned char ret_digest[CRYPTO_SHA256_BYTES])
{
    SHA256_CTX context;

    PC_ASSERT(SHA256_Init(&context) == 1);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > 0)
            PC_ASSERT(SHA256_Update(&context, pieces[i].ptr, pieces[i].len) == 1);
    }
    PC_ASSERT(SHA256_Final(ret_digest, &context) == 1);
}

void crypto_sha256(struct span data, unsigned char ret_digest[CRYPTO_SHA256_BYTES])
{
    crypto_sha256_pieces(&data, 1, ret_digest);
}
