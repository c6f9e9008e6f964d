/* SPDX-License-Identifier: MIT
 * Tokens as text: what is in them, in which algorithm, and that no other text passes for one. */
#include "oauth/oauth_issue_test_kit.h"

#include "base/alloc.h"
#include "crypto/digest.h"
#include "json/json_writer.h"

enum { NOW_S = 1800000000, ARENA_BYTES = 4 * 1024 * 1024 };
#define NOW (NOW_S * CLOCK_NS_PER_S)

/* ---- the running test's issuer ----------------------------------------------------------------
 */

static struct oauth oauth;
static struct arena arena;
static struct oauth_client client;

static int setup(void **state)
{
    (void)state;
    keys.alg = CRYPTO_RS256;
    oauth = (struct oauth){.options = {.random = &random_system,
                                       .keys = &keys,
                                       .issuer = SPAN("https://issuer.example"),
                                       .audience = SPAN("services"),
                                       .leeway_s = 30}};
    client = (struct oauth_client){.client_id = SPAN("web"), .scopes = SPAN("openid a:read")};
    arena_init(&arena, NULL, 0, ARENA_BYTES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static struct oauth_subject anna(void)
{
    return (struct oauth_subject){.client = &client,
                                  .user_id = 7,
                                  .session_id = SPAN("0c5f2a5e-8f0e-4f0e-9c55-6f1c3e1b2a77"),
                                  .scope = SPAN("openid a:read"),
                                  .roles = SPAN("customer payments"),
                                  .nonce = SPAN("n-1"),
                                  .auth_at_s = NOW_S - 60,
                                  .access_s = 900};
}

static struct oauth_subject machine(void)
{
    return (struct oauth_subject){.client = &client,
                                  .scope = SPAN("a:read"),
                                  .roles = SPAN("risk"),
                                  .thumbprint = SPAN("print"),
                                  .access_s = 60};
}

static struct span access_of(const struct oauth_subject *subject)
{
    struct span token;

    assert_int_equal(oauth_access_sign(&oauth, subject, NOW, &arena, &token), ERR_OK);
    return token;
}

static struct span source_of(const struct json_value *claims, const char *name)
{
    const struct json_value *value = json_get(claims, name);

    return value != NULL ? value->source : SPAN_OF("nothing");
}

static void assert_claim(const struct json_value *claims, const char *name, const char *source)
{
    struct span found = source_of(claims, name);

    if (!span_is(found, source))
        fail_msg("%s is %.*s, not %s", name, SPAN_ARG(found), source);
}

/* ---- access tokens ----------------------------------------------------------------------------
 */

static void a_users_token_says_whose_it_is(void **state)
{
    struct oauth_subject subject = anna();
    struct oauth_access access;
    const struct json_value *claims;

    (void)state;
    assert_int_equal(oauth_access_verify(&oauth, access_of(&subject), NOW, &arena, &access),
                     ERR_OK);
    claims = access.jwt.claims;
    assert_claim(claims, "iss", "\"https://issuer.example\"");
    assert_claim(claims, "sub", "\"7\"");
    assert_claim(claims, "aud", "\"services\"");
    assert_claim(claims, "iat", "1800000000");
    assert_claim(claims, "exp", "1800000900");
    assert_claim(claims, "scope", "\"openid a:read\"");
    assert_claim(claims, "client_id", "\"web\"");
    assert_claim(claims, "roles", "[\"customer\",\"payments\"]");
    assert_claim(claims, "sid", "\"0c5f2a5e-8f0e-4f0e-9c55-6f1c3e1b2a77\"");
    assert_claim(claims, "cnf", "nothing");
    assert_true(span_is(access.jwt.jws.typ, "at+jwt"));
    assert_true(access.jwt.jws.kid.len > 0);
    assert_int_equal(access.user_id, 7);
    assert_true(span_equal(access.session_id, subject.session_id));
    assert_true(span_is(access.client_id, "web"));
    assert_int_equal(access.jwt.jti.len, RANDOM_UUID_BYTES);
    assert_int_equal(access.thumbprint.len, 0);
}

static void a_clients_own_token_has_no_session(void **state)
{
    struct oauth_subject subject = machine();
    struct oauth_access access;

    (void)state;
    assert_int_equal(oauth_access_verify(&oauth, access_of(&subject), NOW, &arena, &access),
                     ERR_OK);
    assert_claim(access.jwt.claims, "sub", "\"web\"");
    assert_claim(access.jwt.claims, "sid", "nothing");
    assert_claim(access.jwt.claims, "cnf", "{\"x5t#S256\":\"print\"}");
    assert_int_equal(access.user_id, 0);
    assert_int_equal(access.session_id.len, 0);
    assert_true(span_is(access.thumbprint, "print"));
}

static void each_token_has_an_id_of_its_own(void **state)
{
    struct oauth_subject subject = machine();
    struct oauth_access a, b;

    (void)state;
    assert_int_equal(oauth_access_verify(&oauth, access_of(&subject), NOW, &arena, &a), ERR_OK);
    assert_int_equal(oauth_access_verify(&oauth, access_of(&subject), NOW, &arena, &b), ERR_OK);
    assert_false(span_equal(a.jwt.jti, b.jwt.jti));
}

static void the_client_chooses_the_algorithm(void **state)
{
    struct oauth_subject subject = anna();
    struct oauth_access access;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(algs); i++) {
        client.access_alg = algs[i];
        assert_int_equal(oauth_access_verify(&oauth, access_of(&subject), NOW, &arena, &access),
                         ERR_OK);
        assert_int_equal(access.jwt.jws.alg, algs[i]);
    }
    client.access_alg = CRYPTO_PS512; /* we hold no such key */
    assert_int_equal(oauth_access_sign(&oauth, &subject, NOW, &arena, &(struct span){0}), ERR_KEY);
}

static void slow_signatures_leave_the_loop(void **state)
{
    (void)state;
    assert_int_equal(oauth_sign_run(&oauth, &client), HTTP_RUN_SIGN);
    client.access_alg = CRYPTO_ES256; /* but the id_token is RSA */
    assert_int_equal(oauth_sign_run(&oauth, &client), HTTP_RUN_SIGN);
    client.id_alg = CRYPTO_EDDSA;
    assert_int_equal(oauth_sign_run(&oauth, &client), HTTP_RUN_LOOP);
    client.id_alg = CRYPTO_ALG_NONE;
    client.scopes = SPAN_OF("a:read");
    assert_int_equal(oauth_sign_run(&oauth, &client), HTTP_RUN_LOOP);
}

static enum err verify_at(struct span token, int64_t now_ns)
{
    struct oauth_access access = {.user_id = -1};
    enum err err = oauth_access_verify(&oauth, token, now_ns, &arena, &access);

    if (err)
        assert_int_equal(access.user_id, -1);
    return err;
}

static void a_token_lives_as_long_as_it_says(void **state)
{
    struct oauth_subject subject = machine();
    struct span token = access_of(&subject);

    (void)state;
    assert_int_equal(verify_at(token, NOW + 89 * CLOCK_NS_PER_S), ERR_OK);
    assert_int_equal(verify_at(token, NOW + 91 * CLOCK_NS_PER_S), ERR_TOKEN_EXPIRED);
    assert_int_equal(verify_at(token, NOW - 31 * CLOCK_NS_PER_S), ERR_TOKEN_INVALID);
}

static void a_token_of_elsewhere_is_refused(void **state)
{
    struct oauth_subject subject = machine();
    struct span token = access_of(&subject);

    (void)state;
    oauth.options.issuer = SPAN_OF("https://other.example");
    assert_int_equal(verify_at(token, NOW), ERR_TOKEN_INVALID);
    oauth.options.issuer = SPAN_OF("https://issuer.example");
    oauth.options.audience = SPAN_OF("others");
    assert_int_equal(verify_at(token, NOW), ERR_TOKEN_INVALID);
}

#define WHERE "\"iss\":\"https://issuer.example\",\"aud\":\"services\",\"jti\":\"1\""
#define WHEN  "\"iat\":1800000000,\"exp\":1800000060"
#define WHAT  "\"client_id\":\"web\",\"scope\":\"a:read\""

/* Signed with our own key, and yet not what we sign. */
static void our_own_signature_is_not_enough(void **state)
{
    static const struct {
        const char *typ, *claims;
        enum err err;
    } rows[] = {
        {"at+jwt", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"web\"}", ERR_OK},
        {"at+jwt", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"7\",\"sid\":\"s\"}", ERR_OK},
        {"JWT", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"web\"}", ERR_TOKEN_INVALID},
        {"", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"web\"}", ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"other\"}", ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"7\"}", ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"web\",\"sid\":\"s\"}",
         ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"0\",\"sid\":\"s\"}", ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"-7\",\"sid\":\"s\"}", ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"7\",\"sid\":\"\"}", ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"7\",\"sid\":8}", ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"web\",\"cnf\":{}}", ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"web\",\"cnf\":{\"jkt\":\"x\"}}",
         ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHEN "," WHAT ",\"sub\":\"web\",\"cnf\":{\"x5t#S256\":\"\"}}",
         ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHEN ",\"client_id\":\"web\",\"sub\":\"web\"}", ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHEN ",\"scope\":\"a\",\"sub\":\"web\"}", ERR_TOKEN_INVALID},
        {"at+jwt", "{" WHERE "," WHAT ",\"sub\":\"web\"}", ERR_TOKEN_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct sbuf token = sbuf_on(&arena, 4096);

        assert_int_equal(crypto_jwt_sign(&keys.signers[1], span_from(rows[i].typ),
                                         span_from(rows[i].claims), &token),
                         ERR_OK);
        if (verify_at(sbuf_span(&token), NOW) != rows[i].err)
            fail_msg("row %zu: %s", i, rows[i].claims);
    }
}

/* ---- id_tokens --------------------------------------------------------------------------------
 */

static void an_id_token_is_for_its_client(void **state)
{
    struct oauth_subject subject = anna();
    const struct crypto_jwt_rules rules = {.iss = oauth.options.issuer, .aud = SPAN("web")};
    struct crypto_jwt jwt;
    struct span token;

    (void)state;
    assert_int_equal(oauth_id_sign(&oauth, &subject, SPAN_OF("access"), NOW, &arena, &token),
                     ERR_OK);
    assert_int_equal(crypto_jwt_verify(keys.set, &rules, token, NOW_S, &arena, &jwt, NULL), ERR_OK);
    assert_true(span_is(jwt.jws.typ, "JWT"));
    assert_int_equal(jwt.jws.alg, CRYPTO_RS256);
    assert_claim(jwt.claims, "sub", "\"7\"");
    assert_claim(jwt.claims, "aud", "\"web\"");
    assert_claim(jwt.claims, "exp", "1800000900");
    assert_claim(jwt.claims, "auth_time", "1799999940");
    assert_claim(jwt.claims, "nonce", "\"n-1\"");
    assert_claim(jwt.claims, "sid", "\"0c5f2a5e-8f0e-4f0e-9c55-6f1c3e1b2a77\"");
    assert_claim(jwt.claims, "scope", "nothing");
    assert_claim(jwt.claims, "at_hash", "\"oFYf1knNtrqnhAVfBRuteQ\"");
    assert_int_equal(verify_at(token, NOW), ERR_TOKEN_INVALID); /* and no access token */
}

static void an_id_token_has_its_own_algorithm(void **state)
{
    struct oauth_subject subject = anna();
    const struct crypto_jwt_rules rules = {.iss = oauth.options.issuer, .aud = SPAN("web")};
    struct crypto_jwt jwt;
    struct span token;

    (void)state;
    client.id_alg = CRYPTO_EDDSA;
    subject.nonce = (struct span){0};
    assert_int_equal(oauth_id_sign(&oauth, &subject, SPAN_OF("access"), NOW, &arena, &token),
                     ERR_OK);
    assert_int_equal(crypto_jwt_verify(keys.set, &rules, token, NOW_S, &arena, &jwt, NULL), ERR_OK);
    assert_int_equal(jwt.jws.alg, CRYPTO_EDDSA);
    assert_claim(jwt.claims, "nonce", "nothing");
    /* Half of SHA-512, since that is what Ed25519 is made with. */
    assert_claim(jwt.claims, "at_hash", "\"kyd4-h3ZoV2sH212kLKbcOnCBajStKQ38Ae_bfT-PFI\"");
}

/* Without memory there is no half a token. */
static void tokens_need_memory(void **state)
{
    struct oauth_subject subject = anna();
    uint64_t nth = 0;
    enum err err;

    (void)state;
    do {
        struct span token = SPAN("before");

        arena_reset(&arena);
        arena_init(&arena, NULL, 0, ARENA_BYTES);
        alloc_fail_at(++nth);
        err = oauth_access_sign(&oauth, &subject, NOW, &arena, &token);
        if (err == ERR_OK)
            err = oauth_id_sign(&oauth, &subject, token, NOW, &arena, &token);
        else
            assert_true(span_is(token, "before"));
        assert_true(err == ERR_OK || err == ERR_NO_MEMORY || err == ERR_NO_SPACE);
    } while (err != ERR_OK);
    alloc_fail_at(0);
    assert_in_range(nth, 2, 100);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_users_token_says_whose_it_is),
        T(a_clients_own_token_has_no_session),
        T(each_token_has_an_id_of_its_own),
        T(the_client_chooses_the_algorithm),
        T(slow_signatures_leave_the_loop),
        T(a_token_lives_as_long_as_it_says),
        T(a_token_of_elsewhere_is_refused),
        T(our_own_signature_is_not_enough),
        T(an_id_token_is_for_its_client),
        T(an_id_token_has_its_own_algorithm),
        T(tokens_need_memory),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_issue", tests, make_keys, free_keys);
}
