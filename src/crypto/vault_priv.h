/* SPDX-License-Identifier: MIT
 * What goes between the two processes, a packet each way: a head, then bytes. Both are one program,
 * so that numbers go as they stand in memory; lengths are checked by who receives. */
#ifndef PC_CRYPTO_VAULT_PRIV_H
#define PC_CRYPTO_VAULT_PRIV_H

#include "crypto/crypto_priv.h"

enum {
    CRYPTO_VAULT_BYTES_MAX = 48 * 1024, /* of one packet; a token's head and claims are a third */
    CRYPTO_VAULT_ANSWER_BYTES = 4096,
    CRYPTO_VAULT_KEYS_MAX = 256,
    CRYPTO_VAULT_PATH_BYTES = 4096
};

enum crypto_vault_what {
    CRYPTO_VAULT_LOAD = 1, /* kid, path -> key */
    CRYPTO_VAULT_GENERATE, /* kid -> key */
    CRYPTO_VAULT_SAVE,     /* path -> nothing */
    CRYPTO_VAULT_SIGN,     /* data -> signature */
    CRYPTO_VAULT_FORGET,   /* -> nothing */
    CRYPTO_VAULT_PING
};

struct crypto_vault_ask {
    uint32_t what; /* enum crypto_vault_what */
    uint32_t alg;  /* enum crypto_alg */
    uint64_t key;  /* from an earlier answer */
    uint32_t kid_bytes;
    uint32_t bytes; /* behind the kid */
};

struct crypto_vault_answer {
    uint32_t err; /* enum err; a fault's text follows */
    uint32_t is_private;
    uint64_t key;
    int64_t end_s;
    uint32_t kid_bytes;
    uint32_t bytes; /* behind the kid: PEM of the public key, or a signature */
};

/* vault_keys.c: the side that has the keys. Serves until the other end is closed. */
PC_NORETURN void crypto_vault_serve(const int *channels, unsigned count);

/* vault.c: the side that has none. */
PC_CHECKED enum err crypto_vault_load(const char *path, enum crypto_alg alg, struct span kid,
                                      struct crypto_key **ret_key, struct crypto_fault *fault);
PC_CHECKED enum err crypto_vault_generate(enum crypto_alg alg, struct span kid,
                                          struct crypto_key **ret_key);
PC_CHECKED enum err crypto_vault_save(const struct crypto_key *key, const char *path,
                                      struct crypto_fault *fault);
PC_CHECKED enum err crypto_vault_sign(const struct crypto_key *key, struct span data,
                                      unsigned char ret_signature[CRYPTO_SIGNATURE_BYTES_MAX],
                                      size_t *ret_bytes);
void crypto_vault_forget(const struct crypto_key *key);

#endif
