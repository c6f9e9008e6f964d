/* SPDX-License-Identifier: MIT
 * Client assertions: what proves a client, the many that only look like it, and the key sets they
 * are checked with. */
#include "oauth/oauth_caller_test_kit.h"

/* ---- assertions -------------------------------------------------------------------------------
 */

/* NULL or 0: as it should be. "-": left out. */
struct claims {
    const char *iss, *sub, *aud, *jti, *typ, *more;
    int64_t exp_s, iat_s, nbf_s; /* from now */
    bool no_exp, no_iat;
};

static void add_claim(struct sbuf *out, const char *name, const char *value, const char *usual)
{
    if (value == NULL)
        value = usual;
    if (strcmp(value, "-") != 0)
        sbuf_add_format(out, "\"%s\":%s%s%s,", name, value[0] == '[' ? "" : "\"", value,
                        value[0] == '[' ? "" : "\"");
}

static struct span assertion_by(const struct crypto_signer *signer, const struct claims *claims)
{
    static int serial;
    struct sbuf json = sbuf_on(&bench.arena, 8192), out = sbuf_on(&bench.arena, 8192);
    char jti[32];

    (void)snprintf(jti, sizeof(jti), "id-%d", serial++);
    sbuf_add_char(&json, '{');
    add_claim(&json, "iss", claims->iss, "robot");
    add_claim(&json, "sub", claims->sub, "robot");
    add_claim(&json, "aud", claims->aud, ISSUER);
    add_claim(&json, "jti", claims->jti, jti);
    if (!claims->no_exp)
        sbuf_add_format(&json, "\"exp\":%lld,",
                        (long long)T0_S + (claims->exp_s ? claims->exp_s : 60));
    if (!claims->no_iat)
        sbuf_add_format(&json, "\"iat\":%lld,", (long long)T0_S + claims->iat_s);
    if (claims->nbf_s)
        sbuf_add_format(&json, "\"nbf\":%lld,", (long long)T0_S + claims->nbf_s);
    sbuf_add_format(&json, "\"x\":1%s}", claims->more ? claims->more : "");
    assert_int_equal(crypto_jwt_sign(signer, span_from(claims->typ ? claims->typ : "JWT"),
                                     sbuf_span(&json), &out),
                     ERR_OK);
    return sbuf_span(&out);
}

static enum err asserted(struct span assertion)
{
    const struct oauth_shown shown = {.client_assertion = assertion,
                                      .client_assertion_type = SPAN(OAUTH_ASSERTION_TYPE)};

    request();
    return proof(&shown);
}

static void good_assertions_prove(void **state)
{
    static const struct claims cases[] = {
        {.exp_s = 60},
        {.exp_s = 300},
        {.exp_s = 310, .iat_s = 10},
        {.exp_s = 1, .iat_s = -200},
        {.nbf_s = 10, .iat_s = 10},
        {.nbf_s = 8, .no_iat = true},
        {.typ = "client-authentication+jwt"},
        {.typ = "application/client-authentication+jwt"},
        {.typ = ""},
        {.typ = "jwt"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        if (asserted(assertion_by(&keys.signer, &cases[i])) != ERR_OK)
            fail_msg("case %zu: %s", i, caller.why);
        assert_int_equal(oauth_caller_run(&caller), HTTP_RUN_SIGN);
        assert_int_equal(writing(bench.store, settle_caller, NULL), ERR_OK);
        assert_true(span_is(caller.client_id, "robot"));
    }
}

static void bad_assertions_do_not(void **state)
{
    static const struct claims cases[] = {
        {.aud = "https://auth.example/auth/token"},
        {.aud = "https://auth.example/"},
        {.aud = "HTTPS://auth.example"},
        {.aud = "[\"https://auth.example\"]"},
        {.aud = "[\"https://auth.example\",\"https://else.example\"]"},
        {.aud = "-"},
        {.iss = "shop"},
        {.sub = "shop"},
        {.sub = "-"},
        {.iss = "-"},
        {.jti = "-"},
        {.jti = ""},
        {.no_exp = true},
        {.exp_s = -300},
        {.exp_s = -1},
        {.exp_s = -1, .iat_s = -60},
        {.exp_s = 311, .iat_s = 10},
        {.exp_s = 200, .iat_s = -101},
        {.exp_s = 311, .no_iat = true},
        {.exp_s = 3600, .no_iat = true},
        {.nbf_s = 61},
        {.iat_s = 61, .exp_s = 120},
        {.typ = "at+jwt"},
        {.typ = "dpop+jwt"},
        {.typ = "logout+jwt"},
        {.typ = "oauth-authz-req+jwt"},
        {.more = ",\"exp\":\"soon\""},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        enum err err = asserted(assertion_by(&keys.signer, &cases[i]));

        if (err != ERR_OAUTH_INVALID_CLIENT)
            fail_msg("case %zu: %s", i, err_name(err));
        assert_null(stage.detail);
    }
}

/* Keys are the client's own, and a shared secret never is one. */
static void forged_assertions_do_not(void **state)
{
    struct span good = assertion_by(&keys.signer, &(struct claims){0});
    struct crypto_key *hmac;
    struct crypto_signer signer;
    struct sbuf cut = sbuf_on(&bench.arena, 8192), none = sbuf_on(&bench.arena, 8192);

    (void)state;
    assert_int_equal(asserted(assertion_by(&keys.stranger, &(struct claims){0})),
                     ERR_OAUTH_INVALID_CLIENT);
    assert_int_equal(
        crypto_key_from_secret(CRYPTO_HS256, SPAN_OF(SECRET), SPAN_OF("one"), &hmac, NULL), ERR_OK);
    assert_int_equal(crypto_signer_local(hmac, &signer), ERR_OK);
    assert_int_equal(asserted(assertion_by(&signer, &(struct claims){0})),
                     ERR_OAUTH_INVALID_CLIENT);
    /* Nor by a client whose secret it is. */
    assert_int_equal(
        asserted(assertion_by(&signer, &(struct claims){.iss = "either", .sub = "either"})),
        ERR_OAUTH_INVALID_CLIENT);
    crypto_key_free(hmac);
    sbuf_add(&cut, span_slice(good, 0, good.len - 4));
    assert_int_equal(asserted(sbuf_span(&cut)), ERR_OAUTH_INVALID_CLIENT);
    crypto_base64url_add(&none, SPAN_OF("{\"alg\":\"none\"}"));
    sbuf_add(&none, span_slice(good, span_find(good, '.'), good.len - 86));
    assert_int_equal(asserted(sbuf_span(&none)), ERR_OAUTH_INVALID_CLIENT);
    assert_int_equal(asserted(SPAN_OF("x")), ERR_OAUTH_INVALID_CLIENT);
    assert_int_equal(asserted(SPAN_OF("..")), ERR_OAUTH_INVALID_CLIENT);
    assert_int_equal(
        asserted(assertion_by(&keys.signer, &(struct claims){.iss = "bank", .sub = "bank"})),
        ERR_OAUTH_INVALID_CLIENT);
    assert_string_equal(caller.why, "the client authenticates in another way");
    assert_int_equal(
        asserted(assertion_by(&keys.signer, &(struct claims){.iss = "who", .sub = "who"})),
        ERR_OAUTH_INVALID_CLIENT);
    assert_string_equal(caller.why, "there is no such client");
}

static void the_type_and_the_client_must_agree(void **state)
{
    struct oauth_shown shown = {
        .client_assertion = assertion_by(&keys.signer, &(struct claims){0}),
        .client_assertion_type = SPAN("urn:ietf:params:oauth:client-assertion-type:saml2-bearer")};

    (void)state;
    request();
    assert_int_equal(proof(&shown), ERR_OAUTH_INVALID_REQUEST);
    shown.client_assertion_type = (struct span){0};
    assert_int_equal(proof(&shown), ERR_OAUTH_INVALID_REQUEST);
    shown.client_assertion_type = SPAN_OF(OAUTH_ASSERTION_TYPE);
    shown.client_id = SPAN_OF("either");
    assert_int_equal(proof(&shown), ERR_OAUTH_INVALID_REQUEST);
    shown.client_id = SPAN_OF("robot");
    assert_int_equal(proof(&shown), ERR_OK);
}

static void an_assertion_works_once(void **state)
{
    struct span assertion = assertion_by(&keys.signer, &(struct claims){.jti = "the-one"});
    struct span another =
        assertion_by(&keys.signer, &(struct claims){.jti = "the-one", .exp_s = 100});

    (void)state;
    assert_int_equal(asserted(assertion), ERR_OK);
    assert_int_equal(writing(bench.store, settle_caller, NULL), ERR_OK);
    assert_int_equal(asserted(assertion), ERR_OK);
    assert_int_equal(writing(bench.store, settle_caller, NULL), ERR_OAUTH_INVALID_CLIENT);
    assert_string_equal(caller.why, "the assertion was used before");
    /* The id counts, not the text around it. */
    assert_int_equal(asserted(another), ERR_OK);
    assert_int_equal(writing(bench.store, settle_caller, NULL), ERR_OAUTH_INVALID_CLIENT);
}

/* Whichever call to the database fails, nobody is let in, and the assertion is still worth what it
 * was. */
static void a_failed_call_uses_nothing(void **state)
{
    struct span assertion = assertion_by(&keys.signer, &(struct claims){0});
    bool over = false;

    (void)state;
    for (uint64_t nth = 1; !over; nth++) {
        enum err err;

        assert_in_range(nth, 1, 50);
        assert_int_equal(asserted(assertion), ERR_OK);
        store_fail_at(nth);
        err = writing(bench.store, settle_caller, NULL);
        over = store_fail_pending() || err == ERR_OK;
        store_fail_at(0);
        kit_heal(bench.store);
        assert_true(err == ERR_OK || err == ERR_STORE_UNAVAILABLE);
    }
    assert_int_equal(asserted(assertion), ERR_OK);
    assert_int_equal(writing(bench.store, settle_caller, NULL), ERR_OAUTH_INVALID_CLIENT);
}

/* ---- key sets ---------------------------------------------------------------------------------
 */

static void key_sets_are_read_once(void **state)
{
    struct span text = jwks_of(keys.key), other = jwks_of(keys.other);
    struct oauth_jwks *first, *second, *third;

    (void)state;
    assert_int_equal(oauth_jwks_of(stage.oauth->jwks, text, &first), ERR_OK);
    assert_int_equal(oauth_jwks_of(stage.oauth->jwks, text, &second), ERR_OK);
    assert_ptr_equal(first, second);
    assert_int_equal(oauth_jwks_of(stage.oauth->jwks, other, &third), ERR_OK);
    assert_ptr_not_equal(first, third);
    assert_int_equal(crypto_keyset_count(oauth_jwks_keys(third)), 1);
    oauth_jwks_free(first);
    oauth_jwks_free(second);
    oauth_jwks_free(third);
    assert_int_equal(oauth_jwks_of(stage.oauth->jwks, SPAN_OF("{}"), &first), ERR_KEY);
}

/* More of them than there is room for; whoever holds one keeps it. */
static void key_sets_make_room(void **state)
{
    struct oauth_jwks *held, *again;
    struct span text = jwks_of(keys.key);

    (void)state;
    assert_int_equal(oauth_jwks_of(stage.oauth->jwks, text, &held), ERR_OK);
    for (size_t i = 0; i < 2000; i++) {
        struct sbuf out = sbuf_on(&bench.arena, 4096);
        struct oauth_jwks *jwks;

        sbuf_add(&out, span_slice(text, 0, text.len - 1));
        sbuf_add_format(&out, ",\"n\":%zu}", i);
        assert_int_equal(oauth_jwks_of(stage.oauth->jwks, sbuf_span(&out), &jwks), ERR_OK);
        oauth_jwks_free(jwks);
    }
    assert_int_equal(crypto_keyset_count(oauth_jwks_keys(held)), 1);
    assert_int_equal(oauth_jwks_of(stage.oauth->jwks, text, &again), ERR_OK);
    assert_ptr_not_equal(held, again);
    oauth_jwks_free(again);
    oauth_jwks_free(held);
}

/* Without memory nobody is let in. */
static void a_proof_needs_memory(void **state)
{
    struct span assertion = assertion_by(&keys.signer, &(struct claims){0});
    const struct oauth_shown shown = {.client_assertion = assertion,
                                      .client_assertion_type = SPAN(OAUTH_ASSERTION_TYPE)};
    enum err err = ERR_NO_MEMORY;

    (void)state;
    request();
    assert_int_equal(oauth_caller_read(&stage.req, &shown, &caller), ERR_OK);
    assert_int_equal(reading(bench.store, find_caller, NULL), ERR_OK);
    for (uint64_t nth = 1; err != ERR_OK; nth++) {
        struct arena arena;

        arena_init(&arena, NULL, 0, 64 * 1024);
        stage.req.arena = &arena;
        alloc_fail_at(nth);
        err = oauth_caller_check(&stage.req, &caller);
        alloc_fail_at(0);
        arena_reset(&arena);
        assert_true(err == ERR_OK || err == ERR_NO_MEMORY || err == ERR_OAUTH_INVALID_CLIENT);
        assert_in_range(nth, 1, 100);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)
    const struct CMUnitTest tests[] = {
        T(good_assertions_prove),    T(bad_assertions_do_not),
        T(forged_assertions_do_not), T(the_type_and_the_client_must_agree),
        T(an_assertion_works_once),  T(a_failed_call_uses_nothing),
        T(key_sets_are_read_once),   T(key_sets_make_room),
        T(a_proof_needs_memory),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_assertion", tests, NULL, NULL);
}
