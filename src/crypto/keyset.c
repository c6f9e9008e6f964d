/* SPDX-License-Identifier: MIT
 * Sets of keys. A set is small (an issuer's present and previous keys), so finding is a walk.
 *
 * Two rules keep a set from being ambiguous: no two keys share both name and algorithm, and public
 * keys never stand beside secrets, or one might be taken for the other. RFC 7517, 5. */
#include <string.h>

#include "base/alloc.h"
#include "crypto/jwk_priv.h"
#include "json/json.h"

struct crypto_keyset {
    size_t count;
    struct crypto_key *keys[LIMIT_JWK_KEYS_MAX];
};

enum { KEYSET_ARENA_BYTES_MAX = 2 * 1024 * 1024 };

enum err crypto_keyset_new(struct crypto_keyset **ret_set)
{
    struct crypto_keyset *set = alloc_zero(sizeof(*set));

    if (set == NULL)
        return ERR_NO_MEMORY;
    *ret_set = set;
    return ERR_OK;
}

void crypto_keyset_free(struct crypto_keyset *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++)
        crypto_key_free(set->keys[i]);
    alloc_free(set);
}

void crypto_keyset_auto(struct crypto_keyset **set)
{
    crypto_keyset_free(*set);
}

enum err crypto_keyset_add(struct crypto_keyset *set, struct crypto_key *key)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct crypto_key *other = set->keys[i];

        if (crypto_alg_is_symmetric(other->alg) != crypto_alg_is_symmetric(key->alg))
            return ERR_KEY;
        if (other->alg == key->alg && span_equal(crypto_key_kid(other), crypto_key_kid(key)))
            return ERR_KEY;
    }
    if (set->count == LIMIT_JWK_KEYS_MAX)
        return ERR_NO_SPACE;
    set->keys[set->count++] = crypto_key_share(key);
    return ERR_OK;
}

size_t crypto_keyset_count(const struct crypto_keyset *set)
{
    return set->count;
}

struct crypto_key *crypto_keyset_at(const struct crypto_keyset *set, size_t index)
{
    PC_ASSERT(index < set->count);
    return set->keys[index];
}

size_t crypto_keyset_find(const struct crypto_keyset *set, struct span kid, enum crypto_alg alg,
                          const struct crypto_key **ret_keys, size_t max)
{
    size_t found = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct crypto_key *key = set->keys[i];

        if (!crypto_alg_fits(alg, key->alg) ||
            (kid.len > 0 && !span_equal(crypto_key_kid(key), kid)))
            continue;
        if (found < max)
            ret_keys[found] = key;
        found++;
    }
    return found;
}

static enum err keyset_read_key(struct crypto_keyset *set, const struct json_value *jwk,
                                enum crypto_alg fallback, struct crypto_fault *fault)
{
    PC_AUTO(crypto_key) key = NULL;
    enum err err;

    if (json_is_object(jwk) && !crypto_jwk_is_offered(jwk, fallback))
        return ERR_OK;
    err = crypto_key_from_jwk(jwk, fallback, &key, fault);
    if (err)
        return err;
    err = crypto_keyset_add(set, key);
    if (err == ERR_KEY)
        crypto_fault_set(fault, "the set mixes secrets with public keys, or two of its keys have "
                                "the same kid and alg");
    if (err == ERR_NO_SPACE)
        crypto_fault_set(fault, "the set has more than %d keys", LIMIT_JWK_KEYS_MAX);
    return err == ERR_NO_SPACE ? ERR_KEY : err;
}

static enum err keyset_read(struct crypto_keyset *set, const struct json_value *root,
                            enum crypto_alg fallback, struct crypto_fault *fault)
{
    const struct json_value *keys = json_get(root, "keys");

    if (!json_is_list(keys)) {
        crypto_fault_set(fault, "a JWK set needs a list called keys");
        return ERR_KEY;
    }
    for (uint32_t i = 0; i < keys->count; i++) {
        enum err err = keyset_read_key(set, &keys->items[i], fallback, fault);

        if (err)
            return err;
    }
    return ERR_OK;
}

enum err crypto_keyset_from_jwks(struct span text, enum crypto_alg fallback,
                                 struct crypto_keyset **ret_set, struct crypto_fault *fault)
{
    PC_AUTO(crypto_keyset) set = NULL;
    const struct json_value *root;
    struct arena arena;
    enum err err;

    err = crypto_keyset_new(&set);
    if (err)
        return err;
    arena_init(&arena, NULL, 0, KEYSET_ARENA_BYTES_MAX);
    err = json_read(text, &arena, &root, NULL);
    if (!err) {
        err = keyset_read(set, root, fallback, fault);
    } else if (err != ERR_NO_MEMORY) {
        crypto_fault_set(fault, "the key set is not valid JSON");
        err = ERR_KEY;
    }
    arena_reset(&arena);
    if (err)
        return err;
    *ret_set = set;
    set = NULL;
    return ERR_OK;
}

enum err crypto_jwks_add(struct sbuf *out, const struct crypto_keyset *set)
{
    const char *separator = "";

    sbuf_add_lit(out, "{\"keys\":[");
    for (size_t i = 0; i < set->count; i++) {
        enum err err;

        if (crypto_alg_is_symmetric(set->keys[i]->alg))
            continue;
        sbuf_add_text(out, separator);
        separator = ",";
        err = crypto_jwk_add(out, set->keys[i], CRYPTO_JWK_PUBLIC);
        if (err)
            return err;
    }
    sbuf_add_lit(out, "]}");
    return out->full ? ERR_NO_SPACE : ERR_OK;
}
