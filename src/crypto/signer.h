/* SPDX-License-Identifier: MIT
 * The port through which everything that issues tokens signs. The keys are in this process or,
 * where there is a vault (crypto/vault.h), in one of their own; a device may hold them, and no
 * caller will notice.
 *
 * Threads: `sign` may be called from any thread at once.
 * Memory:  a signer borrows its context; what made it frees it. */
#ifndef PC_CRYPTO_SIGNER_H
#define PC_CRYPTO_SIGNER_H

#include "crypto/key.h"

/* Signs `data` with the key that crypto_signer.alg and .kid name. */
typedef enum err crypto_sign_fn(void *context, struct span data,
                                unsigned char ret_signature[CRYPTO_SIGNATURE_BYTES_MAX],
                                size_t *ret_bytes);

/* Appends the public JWK; ERR_KEY when the key is symmetric and has none. */
typedef enum err crypto_publish_fn(void *context, struct sbuf *out);

struct crypto_signer {
    enum crypto_alg alg;
    struct span kid; /* may be empty; else goes into each header */
    crypto_sign_fn *sign;
    crypto_publish_fn *publish;
    void *context;
};

/* A signer over a private key, which must outlive it. ERR_KEY if the key cannot sign. */
PC_CHECKED enum err crypto_signer_local(struct crypto_key *key, struct crypto_signer *ret_signer);

#endif
