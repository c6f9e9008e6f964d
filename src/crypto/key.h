/* SPDX-License-Identifier: MIT
 * Signature keys. A key is pinned to one algorithm for its whole life, so a token can never choose
 * how it is checked. Weak keys do not come into being: RSA below 2048 bits, even or tiny exponents,
 * HMAC secrets shorter than their digest and points off their curve are refused at the door.
 *
 * Threads: a key is immutable and may sign and verify on many threads at once; it is counted, so
 *          sets and tokens in flight may share it.
 * Memory:  each crypto_key_* that returns a key returns a reference; crypto_key_free gives it back
 *          and wipes the secret with the last one.
 * Errors:  ERR_KEY for what is weak, damaged or of the wrong kind; ERR_NO_MEMORY.
 * Source:  RFC 7518 3 (algorithms), RFC 8037 (Ed25519), RFC 8725 3 (what to refuse). */
#ifndef PC_CRYPTO_KEY_H
#define PC_CRYPTO_KEY_H

#include "base/arena.h"
#include "base/sbuf.h"
#include "crypto/fault.h"

/* Zero is no algorithm and fits nothing. The last three are verified but never signed with. */
enum crypto_alg {
    CRYPTO_ALG_NONE,
    CRYPTO_HS256,
    CRYPTO_HS384,
    CRYPTO_HS512,
    CRYPTO_RS256,
    CRYPTO_RS384,
    CRYPTO_RS512,
    CRYPTO_PS256,
    CRYPTO_PS384,
    CRYPTO_PS512,
    CRYPTO_ES256,
    CRYPTO_ES384,
    CRYPTO_EDDSA, /* Ed25519 */
    CRYPTO_ES512,
    CRYPTO_ES256K,
    CRYPTO_ED448, /* "EdDSA" as well; the curve tells them apart */
    CRYPTO_ALG_COUNT
};

enum { CRYPTO_SIGNATURE_BYTES_MAX = 1024, CRYPTO_KID_BYTES_MAX = 128, CRYPTO_RSA_BITS_NEW = 2048 };

struct crypto_key;

/* The registered name, "" for none; and back: CRYPTO_ALG_NONE for a name that is not offered.
 * Names are case-sensitive; "EdDSA" gives CRYPTO_EDDSA, and so does "Ed25519" (RFC 9864). */
const char *crypto_alg_name(enum crypto_alg alg);
enum crypto_alg crypto_alg_from(struct span name);
bool crypto_alg_is_symmetric(enum crypto_alg alg);
bool crypto_alg_can_sign(enum crypto_alg alg); /* false for the last three and for none */

/* Before the first key: numbers of private keys are kept in memory of their own from now on, which
 * is never written to swap or to a core dump and has fences; at most so many bytes. False: there
 * is no such place, and keys are kept as before. */
bool crypto_key_lock(size_t bytes_max);

/* A new key. For HS* the secret is random. Here and from PEM an empty kid becomes the key's
 * thumbprint (RFC 7638); a key from a secret or a JWK may stay without a name. */
PC_CHECKED enum err crypto_key_generate(enum crypto_alg alg, struct span kid,
                                        struct crypto_key **ret_key);

/* An HMAC key over `secret`, which is copied. */
PC_CHECKED enum err crypto_key_from_secret(enum crypto_alg alg, struct span secret, struct span kid,
                                           struct crypto_key **ret_key, struct crypto_fault *fault);

/* From PEM: a private key, a public key or a certificate (whose key is taken, nothing else). The
 * key must suit `alg`. */
PC_CHECKED enum err crypto_key_from_pem(struct span pem, enum crypto_alg alg, struct span kid,
                                        struct crypto_key **ret_key, struct crypto_fault *fault);

/* The same from a file, which may also hold a JWK. A file that holds a private key must belong to
 * us or to root and be closed to group and others. */
PC_CHECKED enum err crypto_key_load(const char *path, enum crypto_alg alg, struct span kid,
                                    struct crypto_key **ret_key, struct crypto_fault *fault);

/* PKCS #8 (a JWK for a symmetric key) into a new file of mode 0600, complete or not at all;
 * ERR_TAKEN if the path exists. */
PC_CHECKED enum err crypto_key_save(const struct crypto_key *key, const char *path,
                                    struct crypto_fault *fault);

/* Appends the public key as PEM. ERR_KEY for a symmetric key. */
PC_CHECKED enum err crypto_key_add_public_pem(const struct crypto_key *key, struct sbuf *out);

/* The 32 bytes of a public Ed25519 key (RFC 8032), out of a key and into one that can only verify.
 * ERR_KEY for a key of another algorithm. */
enum { CRYPTO_ED25519_BYTES = 32 };
PC_CHECKED enum err crypto_key_ed25519(const struct crypto_key *key,
                                       unsigned char ret[CRYPTO_ED25519_BYTES]);
PC_CHECKED enum err crypto_key_from_ed25519(const unsigned char bytes[CRYPTO_ED25519_BYTES],
                                            struct crypto_key **ret_key,
                                            struct crypto_fault *fault);

struct crypto_key *crypto_key_share(struct crypto_key *key); /* one more reference */
void crypto_key_free(struct crypto_key *key);                /* accepts NULL */
void crypto_key_auto(struct crypto_key **key);

enum crypto_alg crypto_key_alg(const struct crypto_key *key);
struct span crypto_key_kid(const struct crypto_key *key); /* lives as long as the key */
bool crypto_key_is_private(const struct crypto_key *key); /* can sign */

/* When the certificate that a public key came in ends, seconds since 1970; 0: it came in none. */
int64_t crypto_key_end_s(const struct crypto_key *key);

/* RFC 7638 with SHA-256, as 43 characters of base64url that live as long as the key. */
struct span crypto_key_thumbprint(const struct crypto_key *key);

/* Signs; the result is in JOSE form (r || s for EC). */
PC_CHECKED enum err crypto_key_sign(const struct crypto_key *key, struct span data,
                                    unsigned char ret_signature[CRYPTO_SIGNATURE_BYTES_MAX],
                                    size_t *ret_bytes);

/* True only for the one valid length and form of signature. */
PC_CHECKED bool crypto_key_verify(const struct crypto_key *key, struct span data,
                                  struct span signature);

#endif
