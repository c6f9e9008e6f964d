/* SPDX-License-Identifier: MIT
 * JWS against the examples of the RFCs, in round trips, and when memory runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "crypto/jose.h"
#include "json/json.h"

/* The published test keys and tokens of RFC 7515 A.1 to A.4 and RFC 8037 A.4. */
#define CLAIMS                                                                                     \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"

static const struct {
    const char *jwk, *input, *signature;
    bool repeatable; /* signing again gives the same bytes */
} examples[] = {
    {"{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-"
     "EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}",
     "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS,
     "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", true},
    {"{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
     "wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-"
     "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
     "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
     "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"
     "DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}",
     "eyJhbGciOiJSUzI1NiJ9." CLAIMS,
     "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
     "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
     "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
     "xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AX"
     "LIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
     false},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\","
     "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}",
     "eyJhbGciOiJFUzI1NiJ9." CLAIMS,
     "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
     "Kg6NU1Q",
     false},
    {"{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5"
     "EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\",\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_"
     "l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}",
     "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
     "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8G"
     "aSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
     false},
    {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\","
     "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
     "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
     true},
};

static void examples_of_the_rfcs_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(examples); i++) {
        PC_AUTO(crypto_key) key = NULL;
        struct crypto_jws jws;
        struct arena arena;
        char compact[2048];

        arena_init(&arena, NULL, 0, 64 * 1024);
        assert_int_equal(
            crypto_key_from_jwk_text(span_from(examples[i].jwk), CRYPTO_ALG_NONE, &key, NULL),
            ERR_OK);
        snprintf(compact, sizeof(compact), "%s.%s", examples[i].input, examples[i].signature);
        assert_int_equal(crypto_jws_verify_key(key, span_from(compact), &arena, &jws, NULL),
                         ERR_OK);
        assert_ptr_equal(jws.key, key);
        arena_reset(&arena);
    }
}

static void examples_of_the_rfcs_sign(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(examples); i++) {
        PC_AUTO(crypto_key) key = NULL;
        unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
        char text[256];
        struct sbuf out = sbuf_over(text, sizeof(text));
        size_t bytes;

        if (!examples[i].repeatable)
            continue;
        assert_int_equal(
            crypto_key_from_jwk_text(span_from(examples[i].jwk), CRYPTO_ALG_NONE, &key, NULL),
            ERR_OK);
        assert_int_equal(crypto_key_sign(key, span_from(examples[i].input), signature, &bytes),
                         ERR_OK);
        crypto_base64url_add(&out, span_make(signature, bytes));
        assert_true(span_is(sbuf_span(&out), examples[i].signature));
    }
}

/* RFC 8037, A.3 and A.4: the whole token, header and all, and the thumbprint. */
static void ed25519_token_is_rfc_8037(void **state)
{
    PC_AUTO(crypto_key) key = NULL;
    struct crypto_signer signer;
    char text[256], wanted[256];
    struct sbuf out = sbuf_over(text, sizeof(text));

    (void)state;
    assert_int_equal(
        crypto_key_from_jwk_text(span_from(examples[4].jwk), CRYPTO_ALG_NONE, &key, NULL), ERR_OK);
    assert_true(span_is(crypto_key_thumbprint(key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    assert_int_equal(crypto_signer_local(key, &signer), ERR_OK);
    assert_int_equal(
        crypto_jws_sign(&signer, (struct span){0}, SPAN_OF("Example of Ed25519 signing"), &out),
        ERR_OK);
    snprintf(wanted, sizeof(wanted), "%s.%s", examples[4].input, examples[4].signature);
    assert_true(span_is(sbuf_span(&out), wanted));
}

static void every_algorithm_round_trips(void **state)
{
    (void)state;
    for (enum crypto_alg alg = CRYPTO_HS256; alg < CRYPTO_ALG_COUNT; alg++) {
        PC_AUTO(crypto_keyset) keys = NULL;
        PC_AUTO(crypto_key) key = NULL;
        struct crypto_signer signer;
        struct crypto_jws jws;
        struct arena arena;
        char text[2048];
        struct sbuf out = sbuf_over(text, sizeof(text));

        if (!crypto_alg_can_sign(alg))
            continue;
        arena_init(&arena, NULL, 0, 64 * 1024);
        assert_int_equal(crypto_key_generate(alg, SPAN_OF("the \"key\""), &key), ERR_OK);
        assert_int_equal(crypto_signer_local(key, &signer), ERR_OK);
        assert_int_equal(crypto_keyset_new(&keys), ERR_OK);
        assert_int_equal(crypto_keyset_add(keys, key), ERR_OK);
        assert_int_equal(crypto_jws_sign(&signer, SPAN_OF("at+jwt"), SPAN_OF("\0pay"), &out),
                         ERR_OK);
        assert_int_equal(crypto_jws_verify(keys, sbuf_span(&out), &arena, &jws, NULL), ERR_OK);
        assert_int_equal(jws.alg, alg);
        assert_true(span_is(jws.typ, "at+jwt"));
        assert_true(span_is(jws.kid, "the \"key\""));
        assert_true(span_equal(jws.payload, SPAN_OF("\0pay")));
        assert_true(json_is_object(jws.header));
        arena_reset(&arena);
    }
}

/* One letter is a name too, of a type and of a key. */
static void names_of_a_letter_are_written(void **state)
{
    PC_AUTO(crypto_key) key = NULL;
    struct crypto_signer signer;
    struct crypto_jws jws;
    struct arena arena;
    char text[512];
    struct sbuf out = sbuf_over(text, sizeof(text));

    (void)state;
    arena_init(&arena, NULL, 0, 64 * 1024);
    assert_int_equal(crypto_key_generate(CRYPTO_HS256, SPAN_OF("k"), &key), ERR_OK);
    assert_int_equal(crypto_signer_local(key, &signer), ERR_OK);
    assert_int_equal(crypto_jws_sign(&signer, SPAN_OF("t"), SPAN_OF("{}"), &out), ERR_OK);
    assert_int_equal(crypto_jws_verify_key(key, sbuf_span(&out), &arena, &jws, NULL), ERR_OK);
    assert_true(span_is(jws.typ, "t"));
    assert_true(span_is(jws.kid, "k"));
    arena_reset(&arena);
}

/* The port publishes what verifies its signatures, and never a secret. */
static void signers_publish_their_public_key(void **state)
{
    PC_AUTO(crypto_key) key = NULL;
    PC_AUTO(crypto_key) open = NULL;
    PC_AUTO(crypto_key) secret = NULL;
    struct crypto_signer signer;
    char text[1024];
    struct sbuf out = sbuf_over(text, sizeof(text));

    (void)state;
    assert_int_equal(crypto_key_generate(CRYPTO_ES384, (struct span){0}, &key), ERR_OK);
    assert_int_equal(crypto_signer_local(key, &signer), ERR_OK);
    assert_int_equal(signer.publish(signer.context, &out), ERR_OK);
    assert_int_equal(crypto_key_from_jwk_text(sbuf_span(&out), CRYPTO_ALG_NONE, &open, NULL),
                     ERR_OK);
    assert_int_equal(crypto_signer_local(open, &signer), ERR_KEY);
    assert_int_equal(crypto_key_generate(CRYPTO_HS256, (struct span){0}, &secret), ERR_OK);
    assert_int_equal(crypto_signer_local(secret, &signer), ERR_OK);
    assert_int_equal(signer.publish(signer.context, &out), ERR_KEY);
}

static enum err sign_refuses(void *context, struct span data,
                             unsigned char ret_signature[CRYPTO_SIGNATURE_BYTES_MAX],
                             size_t *ret_bytes)
{
    (void)context, (void)data, (void)ret_signature, (void)ret_bytes;
    return ERR_BUSY;
}

/* A signer that fails, or a buffer too small, leaves nothing half-written behind. */
static void failed_signing_leaves_nothing(void **state)
{
    const struct crypto_signer busy = {.alg = CRYPTO_ES256, .sign = sign_refuses};
    PC_AUTO(crypto_key) key = NULL;
    struct crypto_signer signer;
    char text[64] = "kept";
    struct sbuf out = sbuf_over(text, sizeof(text));

    (void)state;
    sbuf_add_lit(&out, "kept");
    assert_int_equal(crypto_jws_sign(&busy, (struct span){0}, SPAN_OF("{}"), &out), ERR_BUSY);
    assert_true(span_is(sbuf_span(&out), "kept"));
    assert_int_equal(crypto_key_generate(CRYPTO_HS512, (struct span){0}, &key), ERR_OK);
    assert_int_equal(crypto_signer_local(key, &signer), ERR_OK);
    assert_int_equal(crypto_jws_sign(&signer, (struct span){0}, SPAN_OF("{}"), &out), ERR_NO_SPACE);
}

/* A header of half a kilobyte is refused, not cut. */
static void a_header_too_long_is_not_cut(void **state)
{
    PC_AUTO(crypto_key) key = NULL;
    struct crypto_signer signer;
    char typ[600];
    char text[2048];
    struct sbuf out = sbuf_over(text, sizeof(text));

    (void)state;
    memset(typ, 'a', sizeof(typ));
    assert_int_equal(crypto_key_generate(CRYPTO_HS512, (struct span){0}, &key), ERR_OK);
    assert_int_equal(crypto_signer_local(key, &signer), ERR_OK);
    assert_int_equal(crypto_jws_sign(&signer, span_make(typ, sizeof(typ)), SPAN_OF("{}"), &out),
                     ERR_NO_SPACE);
}

/* A full arena is our trouble, not the token's: it must never be taken for a forgery. */
static void a_full_arena_is_no_verdict(void **state)
{
    PC_AUTO(crypto_key) key = NULL;
    struct crypto_jws jws;
    struct arena arena;
    char compact[512];
    enum err err = ERR_NO_MEMORY;
    size_t room;

    (void)state;
    assert_int_equal(
        crypto_key_from_jwk_text(span_from(examples[0].jwk), CRYPTO_ALG_NONE, &key, NULL), ERR_OK);
    snprintf(compact, sizeof(compact), "%s.%s", examples[0].input, examples[0].signature);
    for (room = 16; err == ERR_NO_MEMORY; room += 16) {
        char first[4096];

        arena_init(&arena, first, room, 0);
        err = crypto_jws_verify_key(key, span_from(compact), &arena, &jws, NULL);
        arena_reset(&arena);
        assert_true(room < sizeof(first));
    }
    assert_int_equal(err, ERR_OK);
    err = ERR_NO_MEMORY;
    for (uint64_t nth = 1; err == ERR_NO_MEMORY; nth++) {
        arena_init(&arena, NULL, 0, 64 * 1024);
        alloc_fail_at(nth);
        err = crypto_jws_verify_key(key, span_from(compact), &arena, &jws, NULL);
        arena_reset(&arena);
    }
    assert_int_equal(err, ERR_OK);
    alloc_fail_at(0);
}

/* RFC 7515, A.5: an unsecured token is nobody's. */
static void unsecured_tokens_are_refused(void **state)
{
    static const char unsecured[] = "eyJhbGciOiJub25lIn0." CLAIMS ".";
    PC_AUTO(crypto_key) key = NULL;
    struct crypto_jws jws;
    struct arena arena;
    const char *why = NULL;

    (void)state;
    arena_init(&arena, NULL, 0, 64 * 1024);
    assert_int_equal(
        crypto_key_from_jwk_text(span_from(examples[0].jwk), CRYPTO_ALG_NONE, &key, NULL), ERR_OK);
    assert_int_equal(crypto_jws_verify_key(key, span_from(unsecured), &arena, &jws, &why),
                     ERR_TOKEN_INVALID);
    assert_string_equal(why, "a part of the token is empty");
    assert_int_equal(crypto_jws_verify_key(key, SPAN_OF("eyJhbGciOiJub25lIn0." CLAIMS ".AA"),
                                           &arena, &jws, &why),
                     ERR_TOKEN_INVALID);
    assert_string_equal(why, "the algorithm is not offered");
    arena_reset(&arena);
}

/* With one key: its name and its algorithm must be the token's. */
static void a_single_key_is_not_just_tried(void **state)
{
    static const struct {
        enum crypto_alg alg;
        const char *kid, *why;
    } rows[] = {
        {CRYPTO_HS256, "one", NULL},
        {CRYPTO_HS256, "", NULL}, /* a key without a name fits any */
        {CRYPTO_HS256, "two", "the kid is not the key's"},
        {CRYPTO_HS256, "2", "the kid is not the key's"},
        {CRYPTO_HS384, "one", "the algorithm is not the key's"},
    };
    static const char secret[64] = "the same secret for each of them, and long enough for HS384.";
    char text[512];
    struct sbuf out = sbuf_over(text, sizeof(text));
    PC_AUTO(crypto_key) key = NULL;
    struct crypto_signer signer;

    (void)state;
    assert_int_equal(crypto_key_from_secret(CRYPTO_HS256, span_make(secret, sizeof(secret)),
                                            SPAN_OF("one"), &key, NULL),
                     ERR_OK);
    assert_int_equal(crypto_signer_local(key, &signer), ERR_OK);
    assert_int_equal(crypto_jws_sign(&signer, (struct span){0}, SPAN_OF("{}"), &out), ERR_OK);
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        PC_AUTO(crypto_key) other = NULL;
        const char *why = NULL;
        struct crypto_jws jws;
        struct arena arena;
        enum err err;

        arena_init(&arena, NULL, 0, 64 * 1024);
        assert_int_equal(crypto_key_from_secret(rows[i].alg, span_make(secret, sizeof(secret)),
                                                span_from(rows[i].kid), &other, NULL),
                         ERR_OK);
        err = crypto_jws_verify_key(other, sbuf_span(&out), &arena, &jws, &why);
        assert_int_equal(err, rows[i].why == NULL ? ERR_OK : ERR_TOKEN_INVALID);
        if (rows[i].why != NULL)
            assert_string_equal(why, rows[i].why);
        arena_reset(&arena);
    }
}

/* A token without kid may be tried with a few keys, not with any number. */
static void the_keys_tried_are_bounded(void **state)
{
    PC_AUTO(crypto_keyset) keys = NULL;
    char text[512];
    struct sbuf out = sbuf_over(text, sizeof(text));
    struct crypto_signer signer;

    (void)state;
    assert_int_equal(crypto_keyset_new(&keys), ERR_OK);
    for (int i = 0; i < 9; i++) {
        const char *why = NULL;
        PC_AUTO(crypto_key) key = NULL;
        struct crypto_jws jws;
        struct arena arena;
        enum err err;

        arena_init(&arena, NULL, 0, 64 * 1024);
        assert_int_equal(crypto_key_generate(CRYPTO_HS256, (struct span){0}, &key), ERR_OK);
        assert_int_equal(crypto_keyset_add(keys, key), ERR_OK);
        assert_int_equal(crypto_signer_local(key, &signer), ERR_OK);
        signer.kid = (struct span){0};
        sbuf_truncate(&out, 0);
        assert_int_equal(crypto_jws_sign(&signer, (struct span){0}, SPAN_OF("{}"), &out), ERR_OK);
        err = crypto_jws_verify(keys, sbuf_span(&out), &arena, &jws, &why);
        assert_int_equal(err, i < 8 ? ERR_OK : ERR_TOKEN_INVALID);
        if (err)
            assert_string_equal(why, "too many keys fit a header without kid");
        arena_reset(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_rfcs_verify),
        cmocka_unit_test(examples_of_the_rfcs_sign),
        cmocka_unit_test(ed25519_token_is_rfc_8037),
        cmocka_unit_test(every_algorithm_round_trips),
        cmocka_unit_test(names_of_a_letter_are_written),
        cmocka_unit_test(signers_publish_their_public_key),
        cmocka_unit_test(failed_signing_leaves_nothing),
        cmocka_unit_test(a_header_too_long_is_not_cut),
        cmocka_unit_test(a_full_arena_is_no_verdict),
        cmocka_unit_test(a_single_key_is_not_just_tried),
        cmocka_unit_test(the_keys_tried_are_bounded),
        cmocka_unit_test(unsecured_tokens_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
