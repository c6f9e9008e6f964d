/* SPDX-License-Identifier: MIT
 * Digests through OpenSSL's EVP with everything slow done once: algorithms are fetched at the first
 * use in the process, and each thread keeps one context per hash, so starting one again takes no
 * look-up. What is hashed by the dozen goes through digest_sha256.c.
 *
 * An HMAC key is kept as its two padded blocks. Hashing a block costs tens of nanoseconds, less
 * than copying a prepared context would, and a plain value can be shared by all threads. */
#include "crypto/digest.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/crypto_priv.h"

struct hash_row {
    const char *name;
    size_t bytes, block_bytes;
};

static const struct hash_row hash_rows[CRYPTO_HASH_COUNT] = {
    [CRYPTO_SHA256] = {"SHA2-256", 32, 64},
    [CRYPTO_SHA384] = {"SHA2-384", 48, 128},
    [CRYPTO_SHA512] = {"SHA2-512", 64, 128},
};

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static pthread_key_t thread_end;
static EVP_MD *fetched_md[CRYPTO_HASH_COUNT];
static _Thread_local EVP_MD_CTX *thread_context[CRYPTO_HASH_COUNT];

static void thread_contexts_free(void *contexts)
{
    EVP_MD_CTX **list = contexts;

    for (size_t i = 0; i < CRYPTO_HASH_COUNT; i++) {
        EVP_MD_CTX_free(list[i]);
        list[i] = NULL;
    }
}

static void fetch_all(void)
{
    for (size_t i = 0; i < CRYPTO_HASH_COUNT; i++) {
        fetched_md[i] = EVP_MD_fetch(NULL, hash_rows[i].name, NULL);
        PC_ASSERT(fetched_md[i] != NULL);
    }
    PC_ASSERT(pthread_key_create(&thread_end, thread_contexts_free) == 0);
}

const EVP_MD *crypto_hash_md(enum crypto_hash hash)
{
    PC_ASSERT(hash < CRYPTO_HASH_COUNT);
    pthread_once(&fetched, fetch_all);
    return fetched_md[hash];
}

/* This thread's context for the hash, ready for data. */
static EVP_MD_CTX *context_begin(enum crypto_hash hash)
{
    const EVP_MD *md = crypto_hash_md(hash);
    EVP_MD_CTX *context = thread_context[hash];

    if (PC_UNLIKELY(context == NULL)) {
        context = thread_context[hash] = EVP_MD_CTX_new();
        PC_ASSERT(context != NULL);
        PC_ASSERT(pthread_setspecific(thread_end, thread_context) == 0);
        PC_ASSERT(EVP_DigestInit_ex2(context, md, NULL) == 1);
        return context;
    }
    /* NULL: the same algorithm again, without looking it up. */
    PC_ASSERT(EVP_DigestInit_ex2(context, NULL, NULL) == 1);
    return context;
}

static void context_add(EVP_MD_CTX *context, const void *ptr, size_t len)
{
    if (len > 0)
        PC_ASSERT(EVP_DigestUpdate(context, ptr, len) == 1);
}

static void context_end(EVP_MD_CTX *context, unsigned char *ret_digest)
{
    PC_ASSERT(EVP_DigestFinal_ex(context, ret_digest, NULL) == 1);
}

size_t crypto_hash_bytes(enum crypto_hash hash)
{
    PC_ASSERT(hash < CRYPTO_HASH_COUNT);
    return hash_rows[hash].bytes;
}

void crypto_digest(enum crypto_hash hash, struct span data,
                   unsigned char ret_digest[CRYPTO_HASH_BYTES_MAX])
{
    crypto_digest_pieces(hash, &data, 1, ret_digest);
}

void crypto_digest_pieces(enum crypto_hash hash, const struct span *pieces, size_t count,
                          unsigned char ret_digest[CRYPTO_HASH_BYTES_MAX])
{
    EVP_MD_CTX *context = context_begin(hash);

    for (size_t i = 0; i < count; i++)
        context_add(context, pieces[i].ptr, pieces[i].len);
    context_end(context, ret_digest);
}

/* RFC 2104, 2: a key longer than a block is hashed first. */
void crypto_hmac_init(struct crypto_hmac *hmac, enum crypto_hash hash, struct span key)
{
    unsigned char block[CRYPTO_HASH_BLOCK_BYTES_MAX] = {0};

    PC_ASSERT(hash < CRYPTO_HASH_COUNT);
    if (key.len > hash_rows[hash].block_bytes)
        crypto_digest(hash, key, block);
    else if (key.len > 0)
        memcpy(block, key.ptr, key.len);
    hmac->hash = hash;
    for (size_t i = 0; i < sizeof(block); i++) {
        hmac->inner[i] = block[i] ^ 0x36;
        hmac->outer[i] = block[i] ^ 0x5c;
    }
    alloc_wipe(block, sizeof(block));
}

void crypto_hmac_sign(const struct crypto_hmac *hmac, struct span data,
                      unsigned char ret_tag[CRYPTO_HASH_BYTES_MAX])
{
    const struct hash_row *row = &hash_rows[hmac->hash];
    unsigned char inner[CRYPTO_HASH_BYTES_MAX];
    EVP_MD_CTX *context = context_begin(hmac->hash);

    context_add(context, hmac->inner, row->block_bytes);
    context_add(context, data.ptr, data.len);
    context_end(context, inner);
    context = context_begin(hmac->hash);
    context_add(context, hmac->outer, row->block_bytes);
    context_add(context, inner, row->bytes);
    context_end(context, ret_tag);
}

bool crypto_hmac_verify(const struct crypto_hmac *hmac, struct span data, struct span tag)
{
    unsigned char right[CRYPTO_HASH_BYTES_MAX];

    crypto_hmac_sign(hmac, data, right);
    return span_equal_secret(span_make(right, hash_rows[hmac->hash].bytes), tag);
}

void crypto_hmac_wipe(struct crypto_hmac *hmac)
{
    alloc_wipe(hmac, sizeof(*hmac));
}
