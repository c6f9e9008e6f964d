/* SPDX-License-Identifier: MIT
 * Keys as JSON (JWK) and sets of them (JWKS), read strictly and written without their secrets.
 *
 * Threads: a crypto_keyset is filled by one thread, then read by any number; replace it whole.
 * Memory:  the set holds a reference to each of its keys; crypto_keyset_free gives them back.
 * Errors:  ERR_KEY with the reason in `fault`; ERR_NO_MEMORY.
 * Source:  RFC 7517, RFC 7518 6, RFC 8037 2, RFC 7638. */
#ifndef PC_CRYPTO_JWK_H
#define PC_CRYPTO_JWK_H

#include "base/limits.h"
#include "crypto/key.h"

struct json_value;
struct crypto_keyset;

/* One key. `alg` of the JWK pins it; without one the curve does, and an RSA or symmetric key takes
 * `fallback`, which is refused when it is CRYPTO_ALG_NONE. `use` must be "sig" and `key_ops` must
 * hold "verify" (or "sign" beside a private part) where present. */
PC_CHECKED enum err crypto_key_from_jwk(const struct json_value *jwk, enum crypto_alg fallback,
                                        struct crypto_key **ret_key, struct crypto_fault *fault);

/* The same from text. */
PC_CHECKED enum err crypto_key_from_jwk_text(struct span text, enum crypto_alg fallback,
                                             struct crypto_key **ret_key,
                                             struct crypto_fault *fault);

enum crypto_jwk_parts {
    CRYPTO_JWK_PUBLIC,  /* refuses symmetric keys */
    CRYPTO_JWK_PRIVATE, /* for a safe place only */
};

/* Appends one JWK with kty, use, alg, kid and the key's members. */
PC_CHECKED enum err crypto_jwk_add(struct sbuf *out, const struct crypto_key *key,
                                   enum crypto_jwk_parts parts);

PC_CHECKED enum err crypto_keyset_new(struct crypto_keyset **ret_set);
void crypto_keyset_free(struct crypto_keyset *set); /* accepts NULL */
void crypto_keyset_auto(struct crypto_keyset **set);

/* Takes a further reference to `key`. ERR_KEY if its kid and algorithm are already there or if
 * symmetric and asymmetric keys would be mixed; ERR_NO_SPACE past LIMIT_JWK_KEYS_MAX. */
PC_CHECKED enum err crypto_keyset_add(struct crypto_keyset *set, struct crypto_key *key);

size_t crypto_keyset_count(const struct crypto_keyset *set);
struct crypto_key *crypto_keyset_at(const struct crypto_keyset *set, size_t index);

/* The keys that fit a header: those named `kid` with that algorithm, or, when `kid` is empty, every
 * key with that algorithm. Returns how many there are and writes the first `max` of them. */
size_t crypto_keyset_find(const struct crypto_keyset *set, struct span kid, enum crypto_alg alg,
                          const struct crypto_key **ret_keys, size_t max);

/* From the text {"keys": [...]}. Keys of unknown kind or for encryption are passed over (RFC 7517,
 * 5); a weak or ambiguous key refuses the whole set. */
PC_CHECKED enum err crypto_keyset_from_jwks(struct span text, enum crypto_alg fallback,
                                            struct crypto_keyset **ret_set,
                                            struct crypto_fault *fault);

/* Appends {"keys": [...]} with the public parts; symmetric keys are left out. */
PC_CHECKED enum err crypto_jwks_add(struct sbuf *out, const struct crypto_keyset *set);

#endif
