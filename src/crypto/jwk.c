/* SPDX-License-Identifier: MIT
 * One key to and from JSON. Numbers in a JWK have one right length: curve members exactly as long
 * as the field, RSA members without a leading zero byte. RFC 7517, 4; RFC 7518, 6; RFC 8037, 2. */
#include "crypto/jwk.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/jwk_priv.h"
#include "json/json.h"

enum { NUMBER_BYTES_MAX = 1024, POINT_BYTES_MAX = 1 + 2 * 66, JWK_ARENA_BYTES_MAX = 256 * 1024 };

/* ---- writing ---- */

static void add_member(struct sbuf *out, const char *name, const unsigned char *data, size_t bytes)
{
    sbuf_add_format(out, "\"%s\":\"", name);
    crypto_base64url_add(out, span_make(data, bytes));
    sbuf_add_char(out, '"');
}

/* A number of the key, as long as `bytes` says; 0: as short as it goes. */
static enum err add_number(struct sbuf *out, const char *name, const EVP_PKEY *pkey,
                           const char *param, size_t bytes)
{
    unsigned char data[NUMBER_BYTES_MAX];
    BIGNUM *number = NULL;
    int written = -1;

    if (EVP_PKEY_get_bn_param(pkey, param, &number) == 1) {
        if (bytes == 0)
            bytes = (size_t)BN_num_bytes(number);
        if (bytes <= sizeof(data))
            written = BN_bn2binpad(number, data, (int)bytes);
    }
    BN_clear_free(number);
    if (written < 0)
        return ERR_KEY;
    add_member(out, name, data, (size_t)written);
    alloc_wipe(data, sizeof(data));
    return ERR_OK;
}

static enum err add_rsa_public(struct sbuf *out, const EVP_PKEY *pkey)
{
    enum err err = add_number(out, "e", pkey, OSSL_PKEY_PARAM_RSA_E, 0);

    if (err)
        return err;
    sbuf_add_lit(out, ",\"kty\":\"RSA\",");
    return add_number(out, "n", pkey, OSSL_PKEY_PARAM_RSA_N, 0);
}

static enum err add_curve_public(struct sbuf *out, const EVP_PKEY *pkey,
                                 const struct crypto_alg_row *row)
{
    enum err err;

    sbuf_add_format(out, "\"crv\":\"%s\",\"kty\":\"EC\",", row->crv);
    err = add_number(out, "x", pkey, OSSL_PKEY_PARAM_EC_PUB_X, row->coordinate_bytes);
    if (err)
        return err;
    sbuf_add_char(out, ',');
    return add_number(out, "y", pkey, OSSL_PKEY_PARAM_EC_PUB_Y, row->coordinate_bytes);
}

static enum err add_edwards_public(struct sbuf *out, const EVP_PKEY *pkey,
                                   const struct crypto_alg_row *row)
{
    unsigned char data[64];
    size_t bytes = sizeof(data);

    if (EVP_PKEY_get_raw_public_key(pkey, data, &bytes) != 1)
        return ERR_KEY;
    sbuf_add_format(out, "\"crv\":\"%s\",\"kty\":\"OKP\",", row->crv);
    add_member(out, "x", data, bytes);
    return ERR_OK;
}

enum err crypto_jwk_members(const struct crypto_key *key, struct sbuf *out)
{
    const struct crypto_alg_row *row = crypto_alg_row(key->alg);

    if (row->family == CRYPTO_HMAC) {
        add_member(out, "k", (const unsigned char *)key->secret.ptr, key->secret.len);
        sbuf_add_lit(out, ",\"kty\":\"oct\"");
        return ERR_OK;
    }
    if (row->family == CRYPTO_ECDSA)
        return add_curve_public(out, key->pkey, row);
    if (row->family == CRYPTO_EDWARDS)
        return add_edwards_public(out, key->pkey, row);
    return add_rsa_public(out, key->pkey);
}

/* RFC 7518, 6.3.2. */
static const struct {
    const char *name, *param;
} rsa_private[] = {
    {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
    {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
    {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
};

static enum err add_rsa_private(struct sbuf *out, const EVP_PKEY *pkey)
{
    for (size_t i = 0; i < PC_COUNT(rsa_private); i++) {
        enum err err;

        sbuf_add_char(out, ',');
        err = add_number(out, rsa_private[i].name, pkey, rsa_private[i].param, 0);
        if (err)
            return err;
    }
    return ERR_OK;
}

static enum err add_private(struct sbuf *out, const struct crypto_key *key)
{
    const struct crypto_alg_row *row = crypto_alg_row(key->alg);
    unsigned char data[64];
    size_t bytes = sizeof(data);

    if (row->family == CRYPTO_HMAC)
        return ERR_OK; /* all of it is there already */
    if (row->family == CRYPTO_RSA || row->family == CRYPTO_RSA_PSS)
        return add_rsa_private(out, key->pkey);
    sbuf_add_char(out, ',');
    if (row->family == CRYPTO_ECDSA)
        return add_number(out, "d", key->pkey, OSSL_PKEY_PARAM_PRIV_KEY, row->coordinate_bytes);
    if (EVP_PKEY_get_raw_private_key(key->pkey, data, &bytes) != 1)
        return ERR_KEY;
    add_member(out, "d", data, bytes);
    alloc_wipe(data, sizeof(data));
    return ERR_OK;
}

enum err crypto_jwk_add(struct sbuf *out, const struct crypto_key *key, enum crypto_jwk_parts parts)
{
    size_t begin = out->len;
    enum err err;

    if (parts == CRYPTO_JWK_PUBLIC && crypto_alg_is_symmetric(key->alg))
        return ERR_KEY;
    if (parts == CRYPTO_JWK_PRIVATE && !key->is_private)
        return ERR_KEY;
    sbuf_add_format(out, "{\"alg\":\"%s\",\"use\":\"sig\",", crypto_alg_name(key->alg));
    if (key->kid_bytes > 0) {
        sbuf_add_lit(out, "\"kid\":");
        sbuf_add_json(out, crypto_key_kid(key));
        sbuf_add_char(out, ',');
    }
    err = crypto_jwk_members(key, out);
    if (!err && parts == CRYPTO_JWK_PRIVATE)
        err = add_private(out, key);
    sbuf_add_char(out, '}');
    if (!err && out->full)
        err = ERR_NO_SPACE;
    if (err)
        sbuf_truncate(out, begin);
    return err;
}

/* ---- reading ---- */

struct number {
    unsigned char bytes[NUMBER_BYTES_MAX];
    size_t len;
};

/* A base64url member. */
static bool read_number(const struct json_value *jwk, const char *name, struct number *ret)
{
    const struct json_value *member = json_get(jwk, name);

    return json_is_text(member) && crypto_base64url_decode(member->text, ret->bytes,
                                                           sizeof(ret->bytes), &ret->len) == ERR_OK;
}

static enum err refuse(struct crypto_fault *fault, const char *reason)
{
    crypto_fault_set(fault, "%s", reason);
    return ERR_KEY;
}

static EVP_PKEY *pkey_build(const char *type, OSSL_PARAM_BLD *builder, bool is_private)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;
    int selection = is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;

    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, selection, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    ERR_clear_error();
    return pkey;
}

/* Pushes one RSA number, which the caller frees after building. */
static bool push_rsa(OSSL_PARAM_BLD *builder, const struct json_value *jwk, const char *name,
                     const char *param, BIGNUM **ret_number)
{
    struct number text;
    bool good = read_number(jwk, name, &text) && text.len > 0 && text.bytes[0] != 0;

    if (good) {
        *ret_number = BN_bin2bn(text.bytes, (int)text.len, NULL);
        good = *ret_number != NULL && OSSL_PARAM_BLD_push_BN(builder, param, *ret_number) == 1;
    }
    alloc_wipe(text.bytes, sizeof(text.bytes));
    return good;
}

static EVP_PKEY *read_rsa(const struct json_value *jwk, bool is_private)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *numbers[2 + PC_COUNT(rsa_private)] = {NULL};
    EVP_PKEY *pkey = NULL;
    bool good = builder != NULL &&
                push_rsa(builder, jwk, "n", OSSL_PKEY_PARAM_RSA_N, &numbers[0]) &&
                push_rsa(builder, jwk, "e", OSSL_PKEY_PARAM_RSA_E, &numbers[1]);

    for (size_t i = 0; good && is_private && i < PC_COUNT(rsa_private); i++)
        good = push_rsa(builder, jwk, rsa_private[i].name, rsa_private[i].param, &numbers[2 + i]);
    if (good)
        pkey = pkey_build("RSA", builder, is_private);
    OSSL_PARAM_BLD_free(builder);
    for (size_t i = 0; i < PC_COUNT(numbers); i++)
        BN_clear_free(numbers[i]);
    return pkey;
}

static EVP_PKEY *read_curve(const struct json_value *jwk, const struct crypto_alg_row *row,
                            bool is_private)
{
    size_t half = row->coordinate_bytes;
    unsigned char point[POINT_BYTES_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    struct number x, y, d = {.len = half};
    OSSL_PARAM_BLD *builder;
    BIGNUM *secret = NULL;
    EVP_PKEY *pkey = NULL;
    bool good = read_number(jwk, "x", &x) && x.len == half && read_number(jwk, "y", &y) &&
                y.len == half && (!is_private || (read_number(jwk, "d", &d) && d.len == half));

    if (!good)
        return NULL;
    memcpy(point + 1, x.bytes, half);
    memcpy(point + 1 + half, y.bytes, half);
    builder = OSSL_PARAM_BLD_new();
    good =
        builder != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, row->group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * half) ==
            1;
    if (good && is_private) {
        secret = BN_bin2bn(d.bytes, (int)half, NULL);
        good = secret != NULL &&
               OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, secret) == 1;
    }
    if (good)
        pkey = pkey_build("EC", builder, is_private);
    alloc_wipe(&d, sizeof(d));
    BN_clear_free(secret);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static EVP_PKEY *read_edwards(const struct json_value *jwk, const struct crypto_alg_row *row,
                              bool is_private)
{
    unsigned char derived[64];
    size_t bytes = sizeof(derived);
    struct number x, d = {.len = 0};
    EVP_PKEY *pkey;

    if (!read_number(jwk, "x", &x) || x.len != row->coordinate_bytes)
        return NULL;
    if (!is_private)
        return EVP_PKEY_new_raw_public_key_ex(NULL, row->group, NULL, x.bytes, x.len);
    if (!read_number(jwk, "d", &d))
        return NULL;
    pkey = EVP_PKEY_new_raw_private_key_ex(NULL, row->group, NULL, d.bytes, d.len);
    alloc_wipe(&d, sizeof(d));
    if (pkey != NULL && (EVP_PKEY_get_raw_public_key(pkey, derived, &bytes) != 1 ||
                         !span_equal(span_make(derived, bytes), span_make(x.bytes, x.len)))) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return pkey;
}

/* ---- what the key is for ---- */

static bool list_holds(const struct json_value *list, const char *text)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (json_is_text(&list->items[i]) && span_is(list->items[i].text, text))
            return true;
    }
    return false;
}

/* RFC 7517, 4.2 and 4.3. */
static bool is_for_signatures(const struct json_value *jwk)
{
    const struct json_value *use = json_get(jwk, "use");
    const struct json_value *operations = json_get(jwk, "key_ops");

    if (use != NULL && !(json_is_text(use) && span_is(use->text, "sig")))
        return false;
    if (operations == NULL)
        return true;
    if (!json_is_list(operations))
        return false;
    return list_holds(operations, "verify") || list_holds(operations, "sign");
}

/* The curve's own algorithm, or the one named `alg`, or the fallback; none if they disagree. */
static enum crypto_alg alg_of(const struct json_value *jwk, enum crypto_alg fallback)
{
    const struct json_value *kty = json_get(jwk, "kty");
    const struct json_value *crv = json_get(jwk, "crv");
    const struct json_value *name = json_get(jwk, "alg");

    if (!json_is_text(kty) || (name != NULL && !json_is_text(name)))
        return CRYPTO_ALG_NONE;
    for (enum crypto_alg alg = CRYPTO_ALG_NONE + 1; alg < CRYPTO_ALG_COUNT; alg++) {
        const struct crypto_alg_row *row = crypto_alg_row(alg);
        bool fits = span_is(kty->text, row->kty);

        if (row->crv != NULL)
            fits = fits && json_is_text(crv) && span_is(crv->text, row->crv);
        if (name != NULL)
            fits = fits && (span_is(name->text, row->name) || alg == crypto_alg_from(name->text));
        else if (row->crv == NULL)
            fits = fits && alg == fallback;
        if (fits)
            return alg;
    }
    return CRYPTO_ALG_NONE;
}

bool crypto_jwk_is_offered(const struct json_value *jwk, enum crypto_alg fallback)
{
    return is_for_signatures(jwk) && alg_of(jwk, fallback) != CRYPTO_ALG_NONE;
}

static enum err read_secret(const struct json_value *jwk, enum crypto_alg alg, struct span kid,
                            struct crypto_key **ret_key, struct crypto_fault *fault)
{
    struct number k;
    enum err err;

    if (!read_number(jwk, "k", &k))
        return refuse(fault, "the member k is missing or not base64url");
    err = crypto_key_from_secret(alg, span_make(k.bytes, k.len), kid, ret_key, fault);
    alloc_wipe(&k, sizeof(k));
    return err;
}

static EVP_PKEY *read_pkey(const struct json_value *jwk, const struct crypto_alg_row *row,
                           bool is_private)
{
    if (row->family == CRYPTO_ECDSA)
        return read_curve(jwk, row, is_private);
    if (row->family == CRYPTO_EDWARDS)
        return read_edwards(jwk, row, is_private);
    return read_rsa(jwk, is_private);
}

enum err crypto_key_from_jwk(const struct json_value *jwk, enum crypto_alg fallback,
                             struct crypto_key **ret_key, struct crypto_fault *fault)
{
    const struct json_value *kid = json_get(jwk, "kid");
    struct span name = kid == NULL ? (struct span){0} : kid->text;
    enum crypto_alg alg;
    bool is_private;
    EVP_PKEY *pkey;

    if (!json_is_object(jwk))
        return refuse(fault, "a JWK must be a JSON object");
    if (!is_for_signatures(jwk))
        return refuse(fault, "the key is not for signatures (use, key_ops)");
    alg = alg_of(jwk, fallback);
    if (alg == CRYPTO_ALG_NONE)
        return refuse(fault, "kty, crv and alg of the key name no algorithm that is offered");
    if (kid != NULL && (!json_is_text(kid) || kid->text.len > CRYPTO_KID_BYTES_MAX))
        return refuse(fault, "kid must be a text of at most 128 bytes");
    if (crypto_alg_is_symmetric(alg))
        return read_secret(jwk, alg, name, ret_key, fault);
    is_private = json_get(jwk, "d") != NULL;
    pkey = read_pkey(jwk, crypto_alg_row(alg), is_private);
    ERR_clear_error();
    if (pkey == NULL)
        return refuse(fault,
                      "a member of the key is missing, of the wrong length or off the curve");
    return crypto_key_adopt(pkey, alg, is_private, name, ret_key, fault);
}

enum err crypto_key_from_jwk_text(struct span text, enum crypto_alg fallback,
                                  struct crypto_key **ret_key, struct crypto_fault *fault)
{
    const struct json_value *jwk;
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0, JWK_ARENA_BYTES_MAX);
    err = json_read(text, &arena, &jwk, NULL);
    if (!err)
        err = crypto_key_from_jwk(jwk, fallback, ret_key, fault);
    else if (err != ERR_NO_MEMORY)
        err = refuse(fault, "the key is not valid JSON");
    arena_reset(&arena);
    return err;
}
