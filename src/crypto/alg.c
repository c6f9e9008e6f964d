/* SPDX-License-Identifier: MIT
 * The algorithms, one row each. RFC 7518 3.1, RFC 8037 3.1, RFC 8812 3.2. */
#include "crypto/crypto_priv.h"

static const struct crypto_alg_row rows[CRYPTO_ALG_COUNT] = {
    [CRYPTO_ALG_NONE] = {.name = ""},
    [CRYPTO_HS256] = {"HS256", "oct", NULL, NULL, CRYPTO_HMAC, CRYPTO_SHA256, 0, true},
    [CRYPTO_HS384] = {"HS384", "oct", NULL, NULL, CRYPTO_HMAC, CRYPTO_SHA384, 0, true},
    [CRYPTO_HS512] = {"HS512", "oct", NULL, NULL, CRYPTO_HMAC, CRYPTO_SHA512, 0, true},
    [CRYPTO_RS256] = {"RS256", "RSA", NULL, "RSA", CRYPTO_RSA, CRYPTO_SHA256, 0, true},
    [CRYPTO_RS384] = {"RS384", "RSA", NULL, "RSA", CRYPTO_RSA, CRYPTO_SHA384, 0, true},
    [CRYPTO_RS512] = {"RS512", "RSA", NULL, "RSA", CRYPTO_RSA, CRYPTO_SHA512, 0, true},
    [CRYPTO_PS256] = {"PS256", "RSA", NULL, "RSA", CRYPTO_RSA_PSS, CRYPTO_SHA256, 0, true},
    [CRYPTO_PS384] = {"PS384", "RSA", NULL, "RSA", CRYPTO_RSA_PSS, CRYPTO_SHA384, 0, true},
    [CRYPTO_PS512] = {"PS512", "RSA", NULL, "RSA", CRYPTO_RSA_PSS, CRYPTO_SHA512, 0, true},
    [CRYPTO_ES256] = {"ES256", "EC", "P-256", "prime256v1", CRYPTO_ECDSA, CRYPTO_SHA256, 32, true},
    [CRYPTO_ES384] = {"ES384", "EC", "P-384", "secp384r1", CRYPTO_ECDSA, CRYPTO_SHA384, 48, true},
    [CRYPTO_EDDSA] = {"EdDSA", "OKP", "Ed25519", "ED25519", CRYPTO_EDWARDS, 0, 32, true},
    [CRYPTO_ES512] = {"ES512", "EC", "P-521", "secp521r1", CRYPTO_ECDSA, CRYPTO_SHA512, 66, false},
    [CRYPTO_ES256K] = {"ES256K", "EC", "secp256k1", "secp256k1", CRYPTO_ECDSA, CRYPTO_SHA256, 32,
                       false},
    [CRYPTO_ED448] = {"EdDSA", "OKP", "Ed448", "ED448", CRYPTO_EDWARDS, 0, 57, false},
};

const struct crypto_alg_row *crypto_alg_row(enum crypto_alg alg)
{
    PC_ASSERT(alg < CRYPTO_ALG_COUNT);
    return &rows[alg];
}

const char *crypto_alg_name(enum crypto_alg alg)
{
    return crypto_alg_row(alg)->name;
}

/* RFC 9864: a name that says the curve too, which newer clients send. */
enum crypto_alg crypto_alg_from(struct span name)
{
    if (span_is(name, "Ed25519"))
        return CRYPTO_EDDSA;
    for (enum crypto_alg alg = CRYPTO_ALG_NONE + 1; alg < CRYPTO_ALG_COUNT; alg++) {
        if (span_is(name, rows[alg].name))
            return alg;
    }
    return CRYPTO_ALG_NONE;
}

bool crypto_alg_is_symmetric(enum crypto_alg alg)
{
    return alg != CRYPTO_ALG_NONE && crypto_alg_row(alg)->family == CRYPTO_HMAC;
}

bool crypto_alg_can_sign(enum crypto_alg alg)
{
    return crypto_alg_row(alg)->can_sign;
}
