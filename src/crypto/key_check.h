/* SPDX-License-Identifier: MIT
 * Tells what is wrong with a key. Within the folder only. */
#ifndef PC_CRYPTO_KEY_CHECK_H
#define PC_CRYPTO_KEY_CHECK_H

#include "crypto/crypto_priv.h"

/* A sentence for the operator, or NULL for a key that is of the right kind, strong and whole. Costs
 * milliseconds for RSA. */
const char *crypto_key_flaw(EVP_PKEY *pkey, enum crypto_alg alg, bool is_private);

#endif
