/* SPDX-License-Identifier: MIT
 * What reading a set asks of one key. Within the folder only. */
#ifndef PC_CRYPTO_JWK_PRIV_H
#define PC_CRYPTO_JWK_PRIV_H

#include "crypto/crypto_priv.h"
#include "crypto/jwk.h"

/* Whether a JWK is for signatures with an algorithm that we know; nothing about its strength. */
bool crypto_jwk_is_offered(const struct json_value *jwk, enum crypto_alg fallback);

#endif
