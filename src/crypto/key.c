/* SPDX-License-Identifier: MIT
 * Keys and what they do: one algorithm each, signing and verifying in the forms of JOSE.
 *
 * A key comes from a secret, from OpenSSL's generator, or (key_file.c, jwk.c) from text; every way
 * but the generator passes crypto_key_flaw. After that nothing about it changes, so that threads
 * need no lock. */
#include "crypto/key.h"

#include <stdatomic.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "base/alloc.h"
#include "crypto/key_check.h"
#include "crypto/vault.h"
#include "crypto/vault_priv.h"

enum { MEMBERS_BYTES_MAX = 4096, DER_BYTES_MAX = 160 };

void crypto_openssl_reason(char *text, size_t text_bytes)
{
    unsigned long code = ERR_get_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    struct sbuf out = sbuf_over(text, text_bytes - 1);

    sbuf_add(&out, span_slice(span_from(reason), 0, text_bytes - 1));
    text[out.len] = '\0';
    ERR_clear_error();
}

/* ---- where numbers are kept ---- */

enum { LOCKED_BYTES_MIN = 64 * 1024, LOCKED_PIECE_BYTES = 32 };

bool crypto_key_lock(size_t bytes_max)
{
    size_t bytes = LOCKED_BYTES_MIN; /* OpenSSL asks for a power of two */

    if (bytes_max < bytes)
        return false;
    while (bytes * 2 <= bytes_max)
        bytes *= 2;
    return CRYPTO_secure_malloc_init(bytes, LOCKED_PIECE_BYTES) == 1; /* 2: there, not locked */
}

/* ---- making and sharing ---- */

static enum err key_set_thumbprint(struct crypto_key *key)
{
    char members[MEMBERS_BYTES_MAX];
    unsigned char digest[CRYPTO_SHA256_BYTES];
    struct sbuf text = sbuf_over(members, sizeof(members));
    struct sbuf out = sbuf_over(key->thumbprint, CRYPTO_THUMBPRINT_CHARS);
    enum err err;

    sbuf_add_char(&text, '{');
    err = crypto_jwk_members(key, &text);
    sbuf_add_char(&text, '}');
    if (!err && !text.full) {
        crypto_sha256(sbuf_span(&text), digest);
        crypto_base64url_add(&out, span_make(digest, sizeof(digest)));
        PC_ASSERT(out.len == CRYPTO_THUMBPRINT_CHARS);
    }
    alloc_wipe(members, sizeof(members));
    return err ? err : text.full ? ERR_KEY : ERR_OK;
}

static enum err key_set_kid(struct crypto_key *key, struct span kid)
{
    if (kid.len > sizeof(key->kid))
        return ERR_KEY;
    if (kid.len > 0)
        memcpy(key->kid, kid.ptr, kid.len);
    key->kid_bytes = kid.len;
    return ERR_OK;
}

static struct crypto_key *key_begin(enum crypto_alg alg)
{
    struct crypto_key *key = alloc_zero(sizeof(*key));

    if (key != NULL) {
        atomic_init(&key->references, 1);
        key->alg = alg;
    }
    return key;
}

static enum err key_end(struct crypto_key *key, struct span kid, struct crypto_key **ret_key)
{
    enum err err = key_set_thumbprint(key);

    if (!err)
        err = key_set_kid(key, kid);
    if (err) {
        crypto_key_free(key);
        return err;
    }
    *ret_key = key;
    return ERR_OK;
}

/* RFC 7518, 3.5: the salt is as long as the digest, and MGF1 uses the same digest. */
static bool pss_set(EVP_PKEY_CTX *options)
{
    return EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
}

typedef int begin_fn(EVP_MD_CTX *, EVP_PKEY_CTX **, const EVP_MD *, ENGINE *, EVP_PKEY *);

/* Begun with EVP_DigestSignInit or EVP_DigestVerifyInit; NULL on failure. */
static EVP_MD_CTX *operation_new(const struct crypto_key *key, begin_fn *begin)
{
    const struct crypto_alg_row *row = crypto_alg_row(key->alg);
    const EVP_MD *md = row->family == CRYPTO_EDWARDS ? NULL : crypto_hash_md(row->hash);
    EVP_PKEY_CTX *options = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context != NULL && begin(context, &options, md, NULL, key->pkey) == 1 &&
        (row->family != CRYPTO_RSA_PSS || pss_set(options)))
        return context;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return NULL;
}

/* Beginning costs a tenth of an ECDSA signature: it is done once, and copied. */
static bool key_prepare(struct crypto_key *key)
{
    if (key->is_private)
        key->signing = operation_new(key, EVP_DigestSignInit);
    key->verifying = operation_new(key, EVP_DigestVerifyInit);
    return key->verifying != NULL && (key->signing != NULL || !key->is_private);
}

/* Takes a pkey that is known to be good. */
static enum err key_wrap(EVP_PKEY *pkey, enum crypto_alg alg, bool is_private, struct span kid,
                         struct crypto_key **ret_key)
{
    struct crypto_key *key = key_begin(alg);

    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return ERR_NO_MEMORY;
    }
    key->pkey = pkey;
    key->is_private = is_private && crypto_alg_can_sign(alg);
    if (!key_prepare(key)) {
        crypto_key_free(key);
        return ERR_NO_MEMORY;
    }
    return key_end(key, kid, ret_key);
}

enum err crypto_key_adopt(EVP_PKEY *pkey, enum crypto_alg alg, bool is_private, struct span kid,
                          struct crypto_key **ret_key, struct crypto_fault *fault)
{
    const char *flaw = crypto_key_flaw(pkey, alg, is_private);

    if (flaw != NULL) {
        crypto_fault_set(fault, "%s", flaw);
        EVP_PKEY_free(pkey);
        return ERR_KEY;
    }
    return key_wrap(pkey, alg, is_private, kid, ret_key);
}

enum err crypto_key_from_secret(enum crypto_alg alg, struct span secret, struct span kid,
                                struct crypto_key **ret_key, struct crypto_fault *fault)
{
    const struct crypto_alg_row *row = crypto_alg_row(alg);
    struct crypto_key *key;
    char *copy;

    if (!crypto_alg_is_symmetric(alg)) {
        crypto_fault_set(fault, "a secret fits the algorithms HS256, HS384 and HS512 alone");
        return ERR_KEY;
    }
    if (secret.len < crypto_hash_bytes(row->hash)) {
        crypto_fault_set(fault, "a secret for %s needs at least %zu bytes", row->name,
                         crypto_hash_bytes(row->hash));
        return ERR_KEY;
    }
    if (secret.len > LIMIT_SECRET_BYTES_MAX) {
        crypto_fault_set(fault, "a secret may have at most %d bytes", LIMIT_SECRET_BYTES_MAX);
        return ERR_KEY;
    }
    key = key_begin(alg);
    copy = key == NULL ? NULL : alloc_raw(secret.len);
    if (copy == NULL) {
        crypto_key_free(key);
        return ERR_NO_MEMORY;
    }
    memcpy(copy, secret.ptr, secret.len);
    key->secret = span_make(copy, secret.len);
    key->is_private = true;
    crypto_hmac_init(&key->hmac, row->hash, key->secret);
    return key_end(key, kid, ret_key);
}

static EVP_PKEY *pkey_generate(const struct crypto_alg_row *row)
{
    if (row->family == CRYPTO_RSA || row->family == CRYPTO_RSA_PSS)
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)CRYPTO_RSA_BITS_NEW);
    if (row->family == CRYPTO_ECDSA)
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", row->group);
    return EVP_PKEY_Q_keygen(NULL, NULL, row->group);
}

static enum err key_generate_secret(enum crypto_alg alg, struct span kid,
                                    struct crypto_key **ret_key)
{
    unsigned char secret[CRYPTO_HASH_BYTES_MAX];
    size_t bytes = crypto_hash_bytes(crypto_alg_row(alg)->hash);
    enum err err;

    if (RAND_priv_bytes(secret, (int)bytes) != 1)
        return ERR_INTERNAL;
    err = crypto_key_from_secret(alg, span_make(secret, bytes), kid, ret_key, NULL);
    alloc_wipe(secret, sizeof(secret));
    return err;
}

enum err crypto_key_generate(enum crypto_alg alg, struct span kid, struct crypto_key **ret_key)
{
    struct crypto_key *key;
    EVP_PKEY *pkey;
    enum err err;

    PC_ASSERT(crypto_alg_can_sign(alg));
    if (crypto_vault_is_there() && !crypto_alg_is_symmetric(alg))
        return crypto_vault_generate(alg, kid, ret_key);
    if (crypto_alg_is_symmetric(alg)) {
        err = key_generate_secret(alg, kid, &key);
    } else {
        pkey = pkey_generate(crypto_alg_row(alg));
        if (pkey == NULL) {
            ERR_clear_error();
            return ERR_NO_MEMORY;
        }
        err = key_wrap(pkey, alg, true, kid, &key);
    }
    if (err)
        return err;
    crypto_key_name_default(key);
    *ret_key = key;
    return ERR_OK;
}

enum err crypto_key_ed25519(const struct crypto_key *key, unsigned char ret[CRYPTO_ED25519_BYTES])
{
    size_t bytes = CRYPTO_ED25519_BYTES;

    if (key->alg != CRYPTO_EDDSA)
        return ERR_KEY;
    PC_ASSERT(EVP_PKEY_get_raw_public_key(key->pkey, ret, &bytes) == 1);
    return ERR_OK;
}

enum err crypto_key_from_ed25519(const unsigned char bytes[CRYPTO_ED25519_BYTES],
                                 struct crypto_key **ret_key, struct crypto_fault *fault)
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, CRYPTO_ED25519_BYTES);
    struct crypto_key *key;
    enum err err;

    if (pkey == NULL) {
        ERR_clear_error();
        return ERR_NO_MEMORY;
    }
    err = crypto_key_adopt(pkey, CRYPTO_EDDSA, false, (struct span){0}, &key, fault);
    if (err)
        return err;
    crypto_key_name_default(key);
    *ret_key = key;
    return ERR_OK;
}

void crypto_key_name_default(struct crypto_key *key)
{
    if (key->kid_bytes == 0)
        PC_ASSERT(key_set_kid(key, crypto_key_thumbprint(key)) == ERR_OK);
}

struct crypto_key *crypto_key_share(struct crypto_key *key)
{
    atomic_fetch_add_explicit(&key->references, 1, memory_order_relaxed);
    return key;
}

void crypto_key_free(struct crypto_key *key)
{
    if (key == NULL || atomic_fetch_sub_explicit(&key->references, 1, memory_order_acq_rel) != 1)
        return;
    if (key->secret.len > 0) {
        alloc_wipe((char *)(uintptr_t)key->secret.ptr, key->secret.len);
        alloc_free((char *)(uintptr_t)key->secret.ptr);
    }
    if (key->vault != 0)
        crypto_vault_forget(key);
    EVP_MD_CTX_free(key->signing);
    EVP_MD_CTX_free(key->verifying);
    EVP_PKEY_free(key->pkey);
    alloc_wipe(key, sizeof(*key));
    alloc_free(key);
}

void crypto_key_auto(struct crypto_key **key)
{
    crypto_key_free(*key);
}

enum crypto_alg crypto_key_alg(const struct crypto_key *key)
{
    return key->alg;
}

struct span crypto_key_kid(const struct crypto_key *key)
{
    return span_make(key->kid, key->kid_bytes);
}

bool crypto_key_is_private(const struct crypto_key *key)
{
    return key->is_private;
}

int64_t crypto_key_end_s(const struct crypto_key *key)
{
    return key->end_s;
}

struct span crypto_key_thumbprint(const struct crypto_key *key)
{
    return span_make(key->thumbprint, CRYPTO_THUMBPRINT_CHARS);
}

/* ---- signing and verifying ---- */

/* RFC 7518, 3.4: r and s, each as long as the curve's order. */
static enum err ecdsa_to_jose(const unsigned char *der, size_t der_bytes, size_t half,
                              unsigned char *ret_signature, size_t *ret_bytes)
{
    ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &der, (long)der_bytes);
    bool good = parts != NULL &&
                BN_bn2binpad(ECDSA_SIG_get0_r(parts), ret_signature, (int)half) == (int)half &&
                BN_bn2binpad(ECDSA_SIG_get0_s(parts), ret_signature + half, (int)half) == (int)half;

    ECDSA_SIG_free(parts);
    if (!good)
        return ERR_INTERNAL;
    *ret_bytes = 2 * half;
    return ERR_OK;
}

/* Back again; the length of the DER, or 0. */
static size_t ecdsa_from_jose(struct span signature, size_t half, unsigned char der[DER_BYTES_MAX])
{
    const unsigned char *in = (const unsigned char *)signature.ptr;
    BIGNUM *r = NULL, *s = NULL;
    ECDSA_SIG *parts;
    int bytes = 0;

    if (signature.len != 2 * half)
        return 0;
    parts = ECDSA_SIG_new();
    r = BN_bin2bn(in, (int)half, NULL);
    s = BN_bin2bn(in + half, (int)half, NULL);
    if (parts != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(parts, r, s) == 1) {
        r = s = NULL; /* parts owns them now */
        bytes = i2d_ECDSA_SIG(parts, NULL) <= DER_BYTES_MAX ? i2d_ECDSA_SIG(parts, &der) : 0;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(parts);
    return bytes > 0 ? (size_t)bytes : 0;
}

static enum err pkey_sign(const struct crypto_key *key, struct span data,
                          unsigned char *ret_signature, size_t *ret_bytes)
{
    const struct crypto_alg_row *row = crypto_alg_row(key->alg);
    unsigned char raw[CRYPTO_SIGNATURE_BYTES_MAX];
    size_t bytes = sizeof(raw);
    CRYPTO_AUTO(EVP_MD_CTX) context = EVP_MD_CTX_new();

    if (context == NULL || EVP_MD_CTX_copy_ex(context, key->signing) != 1 ||
        EVP_DigestSign(context, raw, &bytes, (const unsigned char *)data.ptr, data.len) != 1) {
        ERR_clear_error();
        return ERR_INTERNAL;
    }
    if (row->family == CRYPTO_ECDSA)
        return ecdsa_to_jose(raw, bytes, row->coordinate_bytes, ret_signature, ret_bytes);
    memcpy(ret_signature, raw, bytes);
    *ret_bytes = bytes;
    return ERR_OK;
}

enum err crypto_key_sign(const struct crypto_key *key, struct span data,
                         unsigned char ret_signature[CRYPTO_SIGNATURE_BYTES_MAX], size_t *ret_bytes)
{
    if (!key->is_private)
        return ERR_KEY;
    if (key->vault != 0)
        return crypto_vault_sign(key, data, ret_signature, ret_bytes);
    if (!crypto_alg_is_symmetric(key->alg))
        return pkey_sign(key, data, ret_signature, ret_bytes);
    crypto_hmac_sign(&key->hmac, data, ret_signature);
    *ret_bytes = crypto_hash_bytes(key->hmac.hash);
    return ERR_OK;
}

static bool pkey_verify(const struct crypto_key *key, struct span data, struct span signature)
{
    const struct crypto_alg_row *row = crypto_alg_row(key->alg);
    unsigned char der[DER_BYTES_MAX];
    bool good;

    if (row->family == CRYPTO_ECDSA) {
        signature = span_make(der, ecdsa_from_jose(signature, row->coordinate_bytes, der));
        if (signature.len == 0)
            return false;
    } else if (signature.len != (size_t)EVP_PKEY_get_size(key->pkey)) {
        return false;
    }
    CRYPTO_AUTO(EVP_MD_CTX) context = EVP_MD_CTX_new();

    good = context != NULL && EVP_MD_CTX_copy_ex(context, key->verifying) == 1 &&
           EVP_DigestVerify(context, (const unsigned char *)signature.ptr, signature.len,
                            (const unsigned char *)data.ptr, data.len) == 1;
    ERR_clear_error();
    return good;
}

bool crypto_key_verify(const struct crypto_key *key, struct span data, struct span signature)
{
    if (crypto_alg_is_symmetric(key->alg))
        return crypto_hmac_verify(&key->hmac, data, signature);
    return pkey_verify(key, data, signature);
}
