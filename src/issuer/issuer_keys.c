/* SPDX-License-Identifier: MIT
 * A JWK set of somebody else's. One odd key must not take the others down: it is passed over. But
 * what should never have been published, a secret or a private key, is no reason to go on. */
#include "issuer/issuer_priv.h"

enum { ARENA_BYTES_MAX = 4 * 1024 * 1024 };

static enum err refuse(struct crypto_fault *fault, const char *why)
{
    crypto_fault_set(fault, "%s", why);
    return ERR_KEY;
}

/* Knowing either is being the issuer. */
static bool is_secret(const struct json_value *jwk)
{
    const struct json_value *kty = json_get(jwk, "kty");

    return json_get(jwk, "d") != NULL || json_get(jwk, "k") != NULL ||
           (json_is_text(kty) && span_is(kty->text, "oct"));
}

static enum err key_take(struct crypto_keyset *set, const struct json_value *jwk, unsigned algs,
                         enum crypto_alg alg_of_rsa, struct crypto_fault *fault)
{
    PC_AUTO(crypto_key) key = NULL;
    enum err err;

    if (is_secret(jwk))
        return refuse(fault, "the set holds a secret or a private key");
    err = crypto_key_from_jwk(jwk, alg_of_rsa, &key, fault);
    if (err)
        return err == ERR_KEY ? ERR_OK : err;
    if ((algs & (1U << crypto_key_alg(key))) == 0) {
        crypto_fault_set(fault, "the algorithm %s is not one of those that are taken",
                         crypto_alg_name(crypto_key_alg(key)));
        return ERR_OK;
    }
    err = crypto_keyset_add(set, key);
    if (err == ERR_KEY)
        crypto_fault_set(fault, "two keys have the same kid and alg");
    return err == ERR_KEY ? ERR_OK : err;
}

static enum err keys_take(struct crypto_keyset *set, const struct json_value *root, unsigned algs,
                          enum crypto_alg alg_of_rsa, struct crypto_fault *fault)
{
    const struct json_value *keys = json_get(root, "keys");

    if (!json_is_list(keys))
        return refuse(fault, "it has no list called keys");
    if (keys->count == 0)
        return refuse(fault, "it has no keys");
    if (keys->count > LIMIT_JWK_KEYS_MAX)
        return refuse(fault, "it has too many keys");
    for (uint32_t i = 0; i < keys->count; i++) {
        enum err err = key_take(set, &keys->items[i], algs, alg_of_rsa, fault);

        if (err)
            return err;
    }
    if (crypto_keyset_count(set) > 0)
        return ERR_OK;
    if (fault != NULL && fault->text[0] == '\0')
        crypto_fault_set(fault, "none of its keys can be used");
    return ERR_KEY;
}

enum err issuer_keys_read(struct span text, unsigned algs, enum crypto_alg alg_of_rsa,
                          struct crypto_keyset **ret_set, struct crypto_fault *fault)
{
    PC_AUTO(crypto_keyset) set = NULL;
    const struct json_value *root;
    struct arena arena;
    enum err err = crypto_keyset_new(&set);

    if (err)
        return err;
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    err = json_read(text, &arena, &root, NULL);
    if (!err)
        err = keys_take(set, root, algs, alg_of_rsa, fault);
    else if (err != ERR_NO_MEMORY)
        err = refuse(fault, "it is not strict JSON");
    arena_reset(&arena);
    if (err)
        return err;
    *ret_set = set;
    set = NULL;
    return ERR_OK;
}

static bool has_key(const struct crypto_keyset *set, const struct crypto_key *key)
{
    for (size_t i = 0; i < crypto_keyset_count(set); i++) {
        const struct crypto_key *other = crypto_keyset_at(set, i);

        if (crypto_key_alg(other) == crypto_key_alg(key) &&
            span_equal(crypto_key_kid(other), crypto_key_kid(key)) &&
            span_equal(crypto_key_thumbprint(other), crypto_key_thumbprint(key)))
            return true;
    }
    return false;
}

bool issuer_keys_lost(const struct crypto_keyset *before, const struct crypto_keyset *now)
{
    for (size_t i = 0; i < crypto_keyset_count(before); i++) {
        if (!has_key(now, crypto_keyset_at(before, i)))
            return true;
    }
    return false;
}
