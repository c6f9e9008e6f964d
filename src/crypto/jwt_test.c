/* SPDX-License-Identifier: MIT
 * The rules for claims, each at its edge, and the promise that one token has one text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/digest.h"
#include "crypto/jwt.h"
#include "json/json.h"

enum { NOW_S = 1000000 };

static struct crypto_keyset *keys;
static struct crypto_signer signer;

static int make_key(void **state)
{
    static struct crypto_key *key;

    (void)state;
    if (crypto_keyset_new(&keys) != ERR_OK ||
        crypto_key_generate(CRYPTO_HS256, (struct span){0}, &key) != ERR_OK ||
        crypto_keyset_add(keys, key) != ERR_OK || crypto_signer_local(key, &signer) != ERR_OK)
        return -1;
    crypto_key_free(key); /* the set still holds it */
    return 0;
}

static int free_key(void **state)
{
    (void)state;
    crypto_keyset_free(keys);
    return 0;
}

static enum err verdict(const struct crypto_jwt_rules *rules, const char *typ, const char *claims,
                        struct crypto_jwt *ret_jwt)
{
    char text[2048];
    struct sbuf out = sbuf_over(text, sizeof(text));
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0, 64 * 1024);
    assert_int_equal(crypto_jwt_sign(&signer, span_from(typ), span_from(claims), &out), ERR_OK);
    err = crypto_jwt_verify(keys, rules, sbuf_span(&out), NOW_S, &arena, ret_jwt, NULL);
    arena_reset(&arena);
    return err;
}

/* Times at the very second, without and with leeway. */
static void times_hold_to_the_second(void **state)
{
    static const struct {
        const char *claims;
        int64_t leeway_s;
        enum err wanted;
    } rows[] = {
        {"{\"exp\":1000001}", 0, ERR_OK},
        {"{\"exp\":1000000}", 0, ERR_TOKEN_EXPIRED},
        {"{\"exp\":1000000.9}", 0, ERR_TOKEN_EXPIRED},
        {"{\"exp\":1.000001e6}", 0, ERR_OK},
        {"{\"exp\":999991}", 10, ERR_OK},
        {"{\"exp\":999990}", 10, ERR_TOKEN_EXPIRED},
        {"{\"exp\":0}", 300, ERR_TOKEN_EXPIRED},
        {"{\"exp\":2000000,\"nbf\":1000000}", 0, ERR_OK},
        {"{\"exp\":2000000,\"nbf\":1000001}", 0, ERR_TOKEN_INVALID},
        {"{\"exp\":2000000,\"nbf\":1000010}", 10, ERR_OK},
        {"{\"exp\":2000000,\"nbf\":1000011}", 10, ERR_TOKEN_INVALID},
        {"{\"exp\":2000000,\"iat\":1000000}", 0, ERR_OK},
        {"{\"exp\":2000000,\"iat\":1000001}", 0, ERR_TOKEN_INVALID},
        {"{\"exp\":2000000,\"iat\":1000010}", 10, ERR_OK},
        {"{\"exp\":2000000,\"iat\":1000011}", 10, ERR_TOKEN_INVALID},
        {"{\"exp\":253402300799}", 0, ERR_OK},
        {"{\"exp\":253402300800}", 0, ERR_TOKEN_INVALID},
        {"{\"exp\":9223372036854775807}", 0, ERR_TOKEN_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct crypto_jwt_rules rules = {
            .iss_any = true, .sub_optional = true, .leeway_s = rows[i].leeway_s};
        struct crypto_jwt jwt;

        assert_int_equal(verdict(&rules, "JWT", rows[i].claims, &jwt), rows[i].wanted);
    }
}

static void lives_are_bounded(void **state)
{
    const struct crypto_jwt_rules rules = {
        .iss_any = true, .sub_optional = true, .life_s_max = 300};
    struct crypto_jwt jwt;

    (void)state;
    assert_int_equal(verdict(&rules, "JWT", "{\"iat\":1000000,\"exp\":1000300}", &jwt), ERR_OK);
    assert_int_equal(verdict(&rules, "JWT", "{\"iat\":1000000,\"exp\":1000301}", &jwt),
                     ERR_TOKEN_INVALID);
    assert_int_equal(verdict(&rules, "JWT", "{\"exp\":1000300}", &jwt), ERR_TOKEN_INVALID);
}

/* The shortest life that can be asked for is asked for as well; without a beginning nobody knows
 * how long it is, which is said so. */
static void a_life_of_a_second_is_a_bound(void **state)
{
    const struct crypto_jwt_rules rules = {.iss_any = true, .sub_optional = true, .life_s_max = 1};
    char text[512];
    struct sbuf out = sbuf_over(text, sizeof(text));
    const char *why = NULL;
    struct crypto_jwt jwt;
    struct arena arena;

    (void)state;
    assert_int_equal(verdict(&rules, "JWT", "{\"iat\":1000000,\"exp\":1000001}", &jwt), ERR_OK);
    assert_int_equal(verdict(&rules, "JWT", "{\"iat\":1000000,\"exp\":1000002}", &jwt),
                     ERR_TOKEN_INVALID);
    arena_init(&arena, NULL, 0, 64 * 1024);
    assert_int_equal(crypto_jwt_sign(&signer, SPAN_OF("JWT"), SPAN_OF("{\"exp\":1000001}"), &out),
                     ERR_OK);
    assert_int_equal(crypto_jwt_verify(keys, &rules, sbuf_span(&out), NOW_S, &arena, &jwt, &why),
                     ERR_TOKEN_INVALID);
    assert_string_equal(why, "the token does not say when it was issued");
    arena_reset(&arena);
}

/* Rules left at zero let nothing through that a caller did not ask for. */
static void zero_is_strict(void **state)
{
    static const char whole[] = "{\"iss\":\"i\",\"sub\":\"s\",\"exp\":2000000}";
    struct crypto_jwt_rules rules = {0};
    struct crypto_jwt jwt;

    (void)state;
    assert_int_equal(verdict(&rules, "JWT", whole, &jwt), ERR_TOKEN_INVALID);
    assert_int_equal(verdict(&rules, "JWT", "{\"sub\":\"s\",\"exp\":2000000}", &jwt),
                     ERR_TOKEN_INVALID);
    rules.iss = SPAN_OF("i");
    assert_int_equal(verdict(&rules, "JWT", whole, &jwt), ERR_OK);
    assert_int_equal(jwt.exp_s, 2000000);
    assert_int_equal(jwt.iat_s, 0);
    assert_int_equal(verdict(&rules, "", whole, &jwt), ERR_OK);
    assert_int_equal(verdict(&rules, "jwt", whole, &jwt), ERR_OK);
    assert_int_equal(verdict(&rules, "at+jwt", whole, &jwt), ERR_TOKEN_INVALID);
    assert_int_equal(verdict(&rules, "JWT", "{\"iss\":\"i\",\"exp\":2000000}", &jwt),
                     ERR_TOKEN_INVALID);
    assert_int_equal(verdict(&rules, "JWT", "{\"iss\":\"i\",\"sub\":\"s\"}", &jwt),
                     ERR_TOKEN_INVALID);
    assert_int_equal(
        verdict(&rules, "JWT", "{\"iss\":\"i\",\"sub\":\"s\",\"exp\":2000000,\"aud\":\"a\"}", &jwt),
        ERR_TOKEN_INVALID);
    assert_int_equal(
        verdict(&rules, "JWT", "{\"iss\":\"i\",\"sub\":\"s\",\"exp\":2000000,\"aud\":\"\"}", &jwt),
        ERR_TOKEN_INVALID);
    rules.exp_optional = true;
    assert_int_equal(verdict(&rules, "JWT", "{\"iss\":\"i\",\"sub\":\"s\"}", &jwt), ERR_OK);
    assert_true(jwt.exp_s == INT64_MAX);
    rules.jti_required = true;
    assert_int_equal(verdict(&rules, "JWT", whole, &jwt), ERR_TOKEN_INVALID);
    assert_int_equal(
        verdict(&rules, "JWT", "{\"iss\":\"i\",\"sub\":\"s\",\"exp\":2000000,\"jti\":\"1\"}", &jwt),
        ERR_OK);
}

static void audiences_are_one_of_a_list(void **state)
{
    static const struct {
        const char *aud;
        bool single;
        enum err wanted;
    } rows[] = {
        {"\"api\"", false, ERR_OK},
        {"\"api\"", true, ERR_OK},
        {"[\"api\"]", false, ERR_OK},
        {"[\"api\"]", true, ERR_TOKEN_INVALID},
        {"[\"web\",\"api\"]", false, ERR_OK},
        {"[\"web\"]", false, ERR_TOKEN_INVALID},
        {"[\"api\",7]", false, ERR_TOKEN_INVALID},
        {"\"API\"", false, ERR_TOKEN_INVALID},
        {"\"api/\"", false, ERR_TOKEN_INVALID},
        {"[\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"a\",\"b\",\"c\",\"d\","
         "\"e\",\"f\",\"api\"]",
         false, ERR_TOKEN_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct crypto_jwt_rules rules = {.iss_any = true,
                                         .sub_optional = true,
                                         .aud = SPAN("api"),
                                         .aud_single = rows[i].single};
        struct crypto_jwt jwt;
        char claims[256];

        snprintf(claims, sizeof(claims), "{\"exp\":2000000,\"aud\":%s}", rows[i].aud);
        assert_int_equal(verdict(&rules, "JWT", claims, &jwt), rows[i].wanted);
    }
}

/* RFC 7515, 4.1.9 and RFC 9068, 4. */
static void types_compare_as_media_types(void **state)
{
    static const struct {
        const char *typ;
        bool optional;
        enum err wanted;
    } rows[] = {
        {"at+jwt", false, ERR_OK},
        {"AT+JWT", false, ERR_OK},
        {"application/at+jwt", false, ERR_OK},
        {"application/", false, ERR_TOKEN_INVALID},
        {"JWT", false, ERR_TOKEN_INVALID},
        {"JWT", true, ERR_TOKEN_INVALID},
        {"", false, ERR_TOKEN_INVALID},
        {"", true, ERR_OK},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct crypto_jwt_rules rules = {.iss_any = true,
                                         .sub_optional = true,
                                         .typ = SPAN("at+jwt"),
                                         .typ_optional = rows[i].optional};
        struct crypto_jwt jwt;

        assert_int_equal(verdict(&rules, rows[i].typ, "{\"exp\":2000000}", &jwt), rows[i].wanted);
    }
}

/* Which of the two leaves "application/" out does not matter; alone it is a name like others. */
static void wanted_types_may_be_written_in_full(void **state)
{
    static const struct {
        const char *wanted, *typ;
        enum err verdict;
    } rows[] = {
        {"application/at+jwt", "at+jwt", ERR_OK},
        {"application/at+jwt", "application/AT+JWT", ERR_OK},
        {"application/at+jwt", "jwt", ERR_TOKEN_INVALID},
        {"application/", "application/", ERR_OK},
        {"a", "a", ERR_OK},
        {"a", "b", ERR_TOKEN_INVALID},
        {"a", "", ERR_TOKEN_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        const struct crypto_jwt_rules rules = {
            .iss_any = true, .sub_optional = true, .typ = span_from(rows[i].wanted)};
        struct crypto_jwt jwt;

        if (verdict(&rules, rows[i].typ, "{\"exp\":2000000}", &jwt) != rows[i].verdict)
            fail_msg("row %zu", i);
    }
}

/* Changing any one character of a token into any other of the alphabet must break it: a token that
 * were valid in two spellings could be revoked or cached in one and used in the other. */
static void one_token_has_one_text(void **state)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    const struct crypto_jwt_rules rules = {.iss_any = true, .sub_optional = true};
    char text[512], room[8192];
    struct sbuf out = sbuf_over(text, sizeof(text));
    struct crypto_jwt jwt;
    struct arena arena;

    (void)state;
    assert_int_equal(crypto_jwt_sign(&signer, SPAN_OF("JWT"), SPAN_OF("{\"exp\":2000000}"), &out),
                     ERR_OK);
    for (size_t i = 0; i < out.len; i++) {
        char right = text[i];

        for (size_t k = 0; k < sizeof(alphabet) - 1; k++) {
            enum err err;

            text[i] = alphabet[k];
            arena_init(&arena, room, sizeof(room), 64 * 1024);
            err = crypto_jwt_verify(keys, &rules, sbuf_span(&out), NOW_S, &arena, &jwt, NULL);
            arena_reset(&arena);
            assert_int_equal(err, alphabet[k] == right ? ERR_OK : ERR_TOKEN_INVALID);
        }
        text[i] = right;
    }
}

/* And so must cutting it anywhere. */
static void no_part_of_a_token_is_a_token(void **state)
{
    const struct crypto_jwt_rules rules = {.iss_any = true, .sub_optional = true};
    char text[512];
    struct sbuf out = sbuf_over(text, sizeof(text));
    struct crypto_jwt jwt;
    struct arena arena;

    (void)state;
    assert_int_equal(crypto_jwt_sign(&signer, SPAN_OF("JWT"), SPAN_OF("{\"exp\":2000000}"), &out),
                     ERR_OK);
    for (size_t len = 0; len < out.len; len++) {
        arena_init(&arena, NULL, 0, 64 * 1024);
        assert_int_equal(
            crypto_jwt_verify(keys, &rules, span_make(text, len), NOW_S, &arena, &jwt, NULL),
            ERR_TOKEN_INVALID);
        arena_reset(&arena);
    }
}

/* ---- a look without a key ---------------------------------------------------------------------
 */

static enum err peeked(struct span compact, size_t arena_bytes, char iss[64])
{
    const struct json_value *header = NULL, *claims = NULL;
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0, arena_bytes);
    err = crypto_jwt_peek(compact, &arena, &header, &claims);
    if (err == ERR_OK) {
        const struct json_value *value = json_get(claims, "iss");

        assert_true(json_is_text(json_get(header, "alg")));
        if (value != NULL)
            (void)snprintf(iss, 64, "%.*s", SPAN_ARG(value->text));
    } else {
        assert_true(header == NULL && claims == NULL);
    }
    arena_reset(&arena);
    return err;
}

/* "header.payload.signature" of these texts. */
static struct span compact_of(const char *header, const char *payload, const char *signature,
                              struct sbuf *out)
{
    crypto_base64url_add(out, span_from(header));
    sbuf_add_char(out, '.');
    crypto_base64url_add(out, span_from(payload));
    sbuf_add_char(out, '.');
    sbuf_add_text(out, signature);
    return sbuf_span(out);
}

/* Looking tells what a token says of itself, whoever wrote it and whatever key it names. */
static void a_look_needs_no_key(void **state)
{
    char text[512], iss[64] = "";
    struct sbuf out = sbuf_over(text, sizeof(text));

    (void)state;
    assert_int_equal(peeked(compact_of("{\"alg\":\"RS256\",\"kid\":\"k\"}",
                                       "{\"iss\":\"https://other\"}", "AAAA", &out),
                            64 * 1024, iss),
                     ERR_OK);
    assert_string_equal(iss, "https://other");
}

/* A look is as strict about the form as a check, so both always see the same token. */
static void a_look_is_strict(void **state)
{
    static const struct {
        const char *header, *payload, *signature;
    } rows[] = {
        {"{\"alg\":\"none\"}", "{}", "AAAA"},
        {"{\"alg\":\"nONE\"}", "{}", "AAAA"},
        {"{}", "{}", "AAAA"},
        {"[]", "{}", "AAAA"},
        {"{\"alg\":\"RS256\",\"alg\":\"HS256\"}", "{}", "AAAA"},
        {"{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", "{}", "AAAA"},
        {"{\"alg\":\"RS256\",\"zip\":\"DEF\"}", "{}", "AAAA"},
        {"{\"alg\":\"RS256\",\"jku\":\"https://evil\"}", "{}", "AAAA"},
        {"{\"alg\":\"RS256\"}", "[]", "AAAA"},
        {"{\"alg\":\"RS256\"}", "", "AAAA"},
        {"{\"alg\":\"RS256\"}", "{\"iss\":\"a\",\"iss\":\"b\"}", "AAAA"},
        {"{\"alg\":\"RS256\"}", "{} ", "AAAB="},
        {"{\"alg\":\"RS256\"}", "{}", ""},
        {"{\"alg\":\"RS256\"}", "{}", "AAAA.AAAA"},
        {"{\"alg\":\"RS256\"}", "{}", "A"},
        {"{\"alg\":\"RS256\"}", "{}", "AB"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        char text[512], iss[64];
        struct sbuf out = sbuf_over(text, sizeof(text));
        struct span compact = compact_of(rows[i].header, rows[i].payload, rows[i].signature, &out);

        if (peeked(compact, 64 * 1024, iss) != ERR_TOKEN_INVALID)
            fail_msg("row %zu was let through", i);
    }
}

/* Endless tokens and signatures are refused, cut ones as well; no room is no verdict. */
static void a_look_is_bounded(void **state)
{
    static char text[LIMIT_JWS_BYTES_MAX + 64], long_signature[2048];
    struct sbuf out = sbuf_over(text, sizeof(text));
    struct span compact;
    char iss[64];

    (void)state;
    memset(long_signature, 'A', sizeof(long_signature) - 1);
    compact = compact_of("{\"alg\":\"RS256\"}", "{}", long_signature, &out);
    assert_int_equal(peeked(compact, 64 * 1024, iss), ERR_TOKEN_INVALID);

    sbuf_truncate(&out, 0);
    compact = compact_of("{\"alg\":\"RS256\"}", "{}", "AAAA", &out);
    for (size_t len = 0; len + 2 < compact.len; len++)
        assert_int_equal(peeked(span_slice(compact, 0, len), 64 * 1024, iss), ERR_TOKEN_INVALID);
    assert_int_equal(peeked(compact, 0, iss), ERR_NO_MEMORY);

    memset(text + out.len, 'A', sizeof(text) - out.len);
    assert_int_equal(peeked(span_make(text, sizeof(text)), 64 * 1024, iss), ERR_TOKEN_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_hold_to_the_second),
        cmocka_unit_test(lives_are_bounded),
        cmocka_unit_test(a_life_of_a_second_is_a_bound),
        cmocka_unit_test(zero_is_strict),
        cmocka_unit_test(audiences_are_one_of_a_list),
        cmocka_unit_test(types_compare_as_media_types),
        cmocka_unit_test(wanted_types_may_be_written_in_full),
        cmocka_unit_test(one_token_has_one_text),
        cmocka_unit_test(no_part_of_a_token_is_a_token),
        cmocka_unit_test(a_look_needs_no_key),
        cmocka_unit_test(a_look_is_strict),
        cmocka_unit_test(a_look_is_bounded),
    };

    return cmocka_run_group_tests(tests, make_key, free_key);
}
