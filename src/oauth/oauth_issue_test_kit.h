/* SPDX-License-Identifier: MIT
 * Signing keys of a test's own, in place of those in files: one of each kind, from the first moment
 * to the last. */
#ifndef PC_OAUTH_OAUTH_ISSUE_TEST_KIT_H
#define PC_OAUTH_OAUTH_ISSUE_TEST_KIT_H

#include "oauth/oauth_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const enum crypto_alg algs[] = {CRYPTO_RS256, CRYPTO_ES256, CRYPTO_EDDSA};

struct oauth_keys {
    enum crypto_alg alg;
    struct crypto_key *keys[3];
    struct crypto_signer signers[3];
    struct crypto_keyset *set;
};

const struct crypto_signer *oauth_keys_signer(const struct oauth_keys *keys, enum crypto_alg alg,
                                              int64_t now_ns)
{
    (void)now_ns;
    for (size_t i = 0; i < PC_COUNT(algs); i++)
        if (algs[i] == alg)
            return &keys->signers[i];
    return NULL;
}

const struct crypto_keyset *oauth_keys_public(const struct oauth_keys *keys, int64_t now_ns)
{
    (void)now_ns;
    return keys->set;
}

enum crypto_alg oauth_keys_alg(const struct oauth_keys *keys)
{
    return keys->alg;
}

static struct oauth_keys keys;

static inline int make_keys(void **state)
{
    (void)state;
    if (crypto_keyset_new(&keys.set) != ERR_OK)
        return -1;
    for (size_t i = 0; i < PC_COUNT(algs); i++)
        if (crypto_key_generate(algs[i], (struct span){0}, &keys.keys[i]) != ERR_OK ||
            crypto_signer_local(keys.keys[i], &keys.signers[i]) != ERR_OK ||
            crypto_keyset_add(keys.set, keys.keys[i]) != ERR_OK)
            return -1;
    return 0;
}

static inline int free_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(algs); i++)
        crypto_key_free(keys.keys[i]);
    crypto_keyset_free(keys.set);
    return 0;
}

#endif
