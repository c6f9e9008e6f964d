/* SPDX-License-Identifier: MIT
 * Password hashes in their standard texts: Argon2id in PHC form and bcrypt ($2b$). A stored hash is
 * verified by what it says it is and made anew when the policy has moved on. Hashing takes tens of
 * milliseconds and memory: run it on the hash threads, never on a loop.
 *
 * Threads: pure, any thread.    Memory: texts are plain arrays; what held a password is wiped.
 * Errors:  ERR_CREDENTIALS for the wrong password; ERR_KEY for a stored text that is damaged, of an
 *          unknown kind or asks for absurd work; ERR_VALIDATION for a password that cannot be
 * hashed (over LIMIT_PASSWORD_BYTES_MAX; for bcrypt over 72 bytes or with a NUL); ERR_NO_MEMORY.
 * Source:  RFC 9106, PHC string format, docs/decisions/crypto-passwords.md. */
#ifndef PC_CRYPTO_PASSWORD_H
#define PC_CRYPTO_PASSWORD_H

#include "base/err.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/span.h"

enum crypto_password_kind { CRYPTO_PASSWORD_ARGON2ID, CRYPTO_PASSWORD_BCRYPT };

enum {
    CRYPTO_PASSWORD_HASH_BYTES = 192, /* any stored text, with its NUL */
    CRYPTO_BCRYPT_PASSWORD_BYTES_MAX = 72,
    CRYPTO_BCRYPT_COST_MIN = 4,
    CRYPTO_BCRYPT_COST_MAX = 16,
    CRYPTO_BCRYPT_COST_DEFAULT = 12,
    CRYPTO_ARGON2_MEMORY_KIB_MIN = 8,
    CRYPTO_ARGON2_MEMORY_KIB_MAX = 256 * 1024,
    CRYPTO_ARGON2_MEMORY_KIB_DEFAULT = 19 * 1024,
    CRYPTO_ARGON2_PASSES_MAX = 16,
    CRYPTO_ARGON2_PASSES_DEFAULT = 2,
    CRYPTO_ARGON2_LANES_MAX = 16,
    CRYPTO_ARGON2_LANES_DEFAULT = 1,
};

/* A number left at zero takes its default. */
struct crypto_password_policy {
    enum crypto_password_kind kind;
    unsigned bcrypt_cost; /* 2^cost rounds */
    unsigned argon2_memory_kib;
    unsigned argon2_passes;
    unsigned argon2_lanes;
};

/* Whether every number is within its bounds. ERR_CONFIG if not. */
PC_CHECKED enum err crypto_password_policy_check(const struct crypto_password_policy *policy);

/* Hashes with a fresh salt. */
PC_CHECKED enum err crypto_password_hash(const struct crypto_password_policy *policy,
                                         const struct random_source *source, struct span password,
                                         char ret_hash[CRYPTO_PASSWORD_HASH_BYTES]);

/* ERR_OK when it is the password, in time that does not depend on where it differs. */
PC_CHECKED enum err crypto_password_verify(struct span stored, struct span password);

/* True when a login with this stored hash should store a new one. */
bool crypto_password_needs_rehash(const struct crypto_password_policy *policy, struct span stored);

/* A stored hash that no password fits, made once at start: verify against it when the user is
 * unknown, and the answer takes as long as for a known one. */
PC_CHECKED enum err crypto_password_dummy(const struct crypto_password_policy *policy,
                                          const struct random_source *source,
                                          char ret_hash[CRYPTO_PASSWORD_HASH_BYTES]);

#endif
