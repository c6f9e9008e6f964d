/* SPDX-License-Identifier: MIT
 * The key sets of clients, as keys. Reading one costs as much as checking a signature with it, so
 * those that were used last are kept. They are found by the hash of their text: when a client's
 * keys change its text does, and what was kept is never asked for again. */
#include "base/alloc.h"
#include "crypto/digest.h"
#include "oauth/oauth_priv.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { SLOTS = 64 };

struct oauth_jwks {
    atomic_uint references;
    unsigned char hash[CRYPTO_SHA256_BYTES];
    struct crypto_keyset *set;
};

struct oauth_jwks_cache {
    pthread_mutex_t lock;
    struct oauth_jwks *slots[SLOTS]; /* by the first byte of the hash; NULL: empty */
};

enum err oauth_jwks_cache_new(struct oauth_jwks_cache **ret_cache)
{
    struct oauth_jwks_cache *cache = alloc_zero(sizeof(*cache));

    if (cache == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(pthread_mutex_init(&cache->lock, NULL) == 0);
    *ret_cache = cache;
    return ERR_OK;
}

void oauth_jwks_cache_free(struct oauth_jwks_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        oauth_jwks_free(cache->slots[i]);
    PC_ASSERT(pthread_mutex_destroy(&cache->lock) == 0);
    alloc_free(cache);
}

static struct oauth_jwks *share(struct oauth_jwks *jwks)
{
    atomic_fetch_add_explicit(&jwks->references, 1, memory_order_relaxed);
    return jwks;
}

void oauth_jwks_free(struct oauth_jwks *jwks)
{
    if (jwks == NULL)
        return;
    if (atomic_fetch_sub_explicit(&jwks->references, 1, memory_order_acq_rel) > 1)
        return;
    crypto_keyset_free(jwks->set);
    alloc_free(jwks);
}

const struct crypto_keyset *oauth_jwks_keys(const struct oauth_jwks *jwks)
{
    return jwks->set;
}

static enum err jwks_new(struct span text, const unsigned char hash[CRYPTO_SHA256_BYTES],
                         struct oauth_jwks **ret_jwks)
{
    struct oauth_jwks *jwks = alloc_zero(sizeof(*jwks));
    enum err err;

    if (jwks == NULL)
        return ERR_NO_MEMORY;
    err = crypto_keyset_from_jwks(text, CRYPTO_ALG_NONE, &jwks->set, NULL);
    if (err) {
        alloc_free(jwks);
        return err;
    }
    atomic_init(&jwks->references, 1);
    memcpy(jwks->hash, hash, sizeof(jwks->hash));
    *ret_jwks = jwks;
    return ERR_OK;
}

static struct oauth_jwks *find(struct oauth_jwks_cache *cache, const unsigned char *hash)
{
    struct oauth_jwks *found;

    PC_ASSERT(pthread_mutex_lock(&cache->lock) == 0);
    found = cache->slots[hash[0] % SLOTS];
    if (found != NULL)
        found = memcmp(found->hash, hash, sizeof(found->hash)) == 0 ? share(found) : NULL;
    PC_ASSERT(pthread_mutex_unlock(&cache->lock) == 0);
    return found;
}

static void keep(struct oauth_jwks_cache *cache, struct oauth_jwks *jwks)
{
    struct oauth_jwks **slot = &cache->slots[jwks->hash[0] % SLOTS];
    struct oauth_jwks *former;

    PC_ASSERT(pthread_mutex_lock(&cache->lock) == 0);
    former = *slot;
    *slot = share(jwks);
    PC_ASSERT(pthread_mutex_unlock(&cache->lock) == 0);
    oauth_jwks_free(former);
}

enum err oauth_jwks_of(struct oauth_jwks_cache *cache, struct span text,
                       struct oauth_jwks **ret_jwks)
{
    unsigned char hash[CRYPTO_SHA256_BYTES];
    struct oauth_jwks *jwks;
    enum err err;

    crypto_sha256(text, hash);
    jwks = find(cache, hash);
    if (jwks == NULL) {
        err = jwks_new(text, hash, &jwks);
        if (err)
            return err;
        keep(cache, jwks);
    }
    *ret_jwks = jwks;
    return ERR_OK;
}
