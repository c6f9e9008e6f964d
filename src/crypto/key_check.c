/* SPDX-License-Identifier: MIT
 * What a key must be before it is a key: of the kind its algorithm wants, strong enough, and whole.
 * RFC 7518, 3.3 and 3.5 (2048 bits); RFC 8725, 3.4 and 3.5; SEC 1, 3.2.2.1 (points). */
#include "crypto/key_check.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, EXPONENT_BITS_MAX = 64, NAME_BYTES = 32 };

/* The moduli of keys made by a widespread smart card library (CVE-2017-15361, "ROCA") are powers of
 * 65537 modulo each of these primes. Another modulus passes all of them once in 2^27 or so. */
static bool rsa_is_roca(const BIGNUM *n)
{
    static const unsigned primes[] = {11, 13, 17,  19,  37,  53,  61,  71, 73,
                                      79, 97, 103, 107, 109, 127, 151, 157};

    for (size_t i = 0; i < PC_COUNT(primes); i++) {
        unsigned residue = (unsigned)BN_mod_word(n, primes[i]);
        unsigned power = 1;
        bool found = false;

        for (unsigned k = 0; k < primes[i] && !found; k++) {
            found = power == residue;
            power = power * (65537 % primes[i]) % primes[i];
        }
        if (!found)
            return false;
    }
    return true;
}

static const char *rsa_numbers_flaw(const BIGNUM *n, const BIGNUM *e)
{
    if (BN_num_bits(n) < RSA_BITS_MIN)
        return "an RSA key needs at least 2048 bits";
    if (BN_num_bits(n) > RSA_BITS_MAX)
        return "an RSA key may have at most 8192 bits";
    if (!BN_is_odd(n))
        return "the RSA modulus is even";
    if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > EXPONENT_BITS_MAX)
        return "the RSA exponent must be odd, at least 3 and at most 64 bits";
    if (rsa_is_roca(n))
        return "the RSA key comes from a broken generator (CVE-2017-15361)";
    return NULL;
}

static const char *rsa_flaw(const EVP_PKEY *pkey)
{
    BIGNUM *n = NULL, *e = NULL;
    const char *flaw = "the RSA key has no modulus or exponent";

    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1)
        flaw = rsa_numbers_flaw(n, e);
    BN_free(n);
    BN_free(e);
    return flaw;
}

static const char *curve_flaw(const EVP_PKEY *pkey, const struct crypto_alg_row *row)
{
    char name[NAME_BYTES];
    size_t bytes;

    if (EVP_PKEY_get_group_name(pkey, name, sizeof(name), &bytes) != 1)
        return "the curve of the key has no name";
    return span_is(span_from(name), row->group) ? NULL : "the key is on another curve";
}

static const char *kind_flaw(const EVP_PKEY *pkey, const struct crypto_alg_row *row)
{
    if (row->family == CRYPTO_RSA || row->family == CRYPTO_RSA_PSS)
        return EVP_PKEY_is_a(pkey, "RSA") ? rsa_flaw(pkey) : "the algorithm needs an RSA key";
    if (row->family == CRYPTO_ECDSA)
        return EVP_PKEY_is_a(pkey, "EC") ? curve_flaw(pkey, row)
                                         : "the algorithm needs an elliptic curve key";
    if (row->family == CRYPTO_EDWARDS)
        return EVP_PKEY_is_a(pkey, row->group) ? NULL : "the algorithm needs an Edwards curve key";
    return "the algorithm needs a symmetric key";
}

const char *crypto_key_flaw(EVP_PKEY *pkey, enum crypto_alg alg, bool is_private)
{
    const struct crypto_alg_row *row = crypto_alg_row(alg);
    const char *flaw;
    bool whole;

    if (alg == CRYPTO_ALG_NONE)
        return "the key names no algorithm that is offered";
    flaw = kind_flaw(pkey, row);
    if (flaw != NULL)
        return flaw;
    CRYPTO_AUTO(EVP_PKEY_CTX) context = EVP_PKEY_CTX_new(pkey, NULL);

    whole = context != NULL && EVP_PKEY_public_check(context) == 1 &&
            (!is_private || EVP_PKEY_pairwise_check(context) == 1);
    ERR_clear_error();
    return whole ? NULL : "the key is damaged: its numbers do not belong together";
}
