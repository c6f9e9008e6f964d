/* SPDX-License-Identifier: MIT
 * Authorization requests, good and bad, and the addresses that answer them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "oauth/oauth_page_priv.h"

enum { ARENA_BYTES_MAX = 1024 * 1024, QUERY_BYTES = 16 * 1024 };

#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define TARGET    "client_id=web&redirect_uri=https%3A%2F%2Fapp.example%2Fcb"
#define PROOF     "code_challenge=" CHALLENGE "&code_challenge_method=S256"
#define GOOD      TARGET "&response_type=code&scope=openid+profile&" PROOF

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static struct oauth_authorize read_good(const char *query)
{
    struct oauth_authorize request;
    const char *why;

    if (oauth_authorize_read(span_from(query), &arena, &request, &why) != ERR_OK)
        fail_msg("%s: %s", query, why);
    return request;
}

/* What the client is told, by redirect. */
static void must_tell(const char *query, const char *error)
{
    struct oauth_authorize request = read_good(query);

    if (request.error == NULL || strcmp(request.error, error) != 0)
        fail_msg("%s: %s, not %s", query, request.error ? request.error : "good", error);
    assert_non_null(request.why);
}

static void a_whole_request_is_read(void **state)
{
    struct oauth_authorize request = read_good(
        GOOD "&state=a%20b%2Fc&nonce=n-0S6_WzA2Mj&prompt=login+consent&max_age=60"
             "&login_hint=anna%40example.com&id_token_hint=e30.e30.c2ln&ui_locales=de&claims=x");

    (void)state;
    assert_null(request.error);
    assert_true(span_is(request.client_id, "web"));
    assert_true(span_is(request.redirect_uri, "https://app.example/cb"));
    assert_true(span_is(request.scope, "openid profile"));
    assert_true(span_is(request.challenge, CHALLENGE));
    assert_true(span_is(request.state, "a b/c"));
    assert_true(span_is(request.nonce, "n-0S6_WzA2Mj"));
    assert_int_equal(request.prompt, OAUTH_PROMPT_LOGIN | OAUTH_PROMPT_CONSENT);
    assert_int_equal(request.max_age_s, 60);
    assert_true(span_is(request.login_hint, "anna@example.com"));
    assert_true(span_is(request.id_token_hint, "e30.e30.c2ln"));
    assert_int_equal(request.mark.len, 0);
    request = read_good(GOOD "&prompt=none&max_age=&state=");
    assert_null(request.error);
    assert_int_equal(request.prompt, OAUTH_PROMPT_NONE);
    assert_int_equal(request.max_age_s, -1);
    assert_int_equal(request.state.len, 0);
}

/* Without a client and an address there is nobody to send the browser to. */
static void some_mistakes_are_told_to_nobody(void **state)
{
    static const char *const queries[] = {
        "",
        "client_id=web",
        "redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code",
        "client_id=&redirect_uri=https%3A%2F%2Fapp.example%2Fcb",
        "client_id=web&redirect_uri=",
        GOOD "&client_id=web",
        GOOD "&redirect_uri=https%3A%2F%2Fapp.example%2Fcb",
        GOOD "&redirect_uri=",
        GOOD "&state=%zz",
        GOOD "&state=%FF",
        GOOD "&state=%0D%0ALocation:b",
        GOOD "&nonce=a%00b",
        GOOD "&state=a b",
        GOOD "&state=a\r\nLocation:b",
        GOOD "&state=\xC3\xA4",
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(queries); i++) {
        struct oauth_authorize request;
        const char *why = NULL;

        assert_int_equal(oauth_authorize_read(span_from(queries[i]), &arena, &request, &why),
                         ERR_OAUTH_INVALID_REQUEST);
        assert_non_null(why);
    }
}

static void other_mistakes_are_told_to_the_client(void **state)
{
    (void)state;
    must_tell(TARGET "&scope=openid&" PROOF, "invalid_request");
    must_tell(TARGET "&scope=openid&" PROOF "&response_type=", "invalid_request");
    must_tell(TARGET "&scope=openid&" PROOF "&response_type=token", "unsupported_response_type");
    must_tell(TARGET "&scope=openid&" PROOF "&response_type=code+id_token",
              "unsupported_response_type");
    must_tell(GOOD "&response_type=code", "invalid_request");
    must_tell(GOOD "&scope=openid", "invalid_request");
    must_tell(GOOD "&" PROOF, "invalid_request");
    must_tell(GOOD "&nonce=a&nonce=a", "invalid_request");
    must_tell(GOOD "&response_mode=fragment", "invalid_request");
    must_tell(GOOD "&response_mode=form_post", "invalid_request");
    must_tell(GOOD "&request=e30.e30.", "request_not_supported");
    must_tell(GOOD "&request_uri=urn%3Ax", "request_uri_not_supported");
    must_tell(GOOD "&registration=%7B%7D", "registration_not_supported");
    must_tell(TARGET "&response_type=code&" PROOF, "invalid_scope");
    must_tell(TARGET "&response_type=code&scope=openid++profile&" PROOF, "invalid_scope");
    must_tell(TARGET "&response_type=code&scope=openid%22profile&" PROOF, "invalid_scope");
    must_tell(GOOD "&prompt=none+login", "invalid_request");
    must_tell(GOOD "&prompt=create", "invalid_request");
    must_tell(GOOD "&prompt=None", "invalid_request");
    must_tell(GOOD "&max_age=soon", "invalid_request");
    must_tell(GOOD "&max_age=-1", "invalid_request");
    must_tell(GOOD "&max_age=99999999999", "invalid_request");
}

/* RFC 9700, 2.1.1: for every client, and only the method that hides the verifier. */
static void the_challenge_is_a_must(void **state)
{
    static const char base[] = TARGET "&response_type=code&scope=openid";
    static const char *const proofs[] = {
        "",
        "&code_challenge=" CHALLENGE,
        "&code_challenge=" CHALLENGE "&code_challenge_method=plain",
        "&code_challenge=" CHALLENGE "&code_challenge_method=s256",
        "&code_challenge_method=S256",
        "&code_challenge=" CHALLENGE "A&code_challenge_method=S256",
        "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c&code_challenge_method=S256",
        "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw%2BcM&code_challenge_method=S256",
        "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c%3D&code_challenge_method=S256",
    };
    char query[QUERY_BYTES];

    (void)state;
    for (size_t i = 0; i < PC_COUNT(proofs); i++) {
        (void)snprintf(query, sizeof(query), "%s%s", base, proofs[i]);
        must_tell(query, "invalid_request");
    }
}

/* Of two states none is sent back: the client could be made to take the wrong one. */
static void state_is_kept_or_dropped_whole(void **state)
{
    char query[QUERY_BYTES] = GOOD "&state=";
    struct oauth_authorize request = read_good(GOOD "&state=a&state=b");

    (void)state;
    assert_string_equal(request.error, "invalid_request");
    assert_int_equal(request.state.len, 0);
    memset(query + strlen(query), 's', OAUTH_STATE_BYTES_MAX);
    request = read_good(query);
    assert_null(request.error);
    assert_int_equal(request.state.len, OAUTH_STATE_BYTES_MAX);
    query[strlen(query)] = 's';
    request = read_good(query);
    assert_string_equal(request.error, "invalid_request");
    assert_int_equal(request.state.len, 0);
}

static void long_texts_are_refused(void **state)
{
    char query[QUERY_BYTES] = GOOD "&nonce=";
    struct oauth_authorize request;
    const char *why;

    (void)state;
    memset(query + strlen(query), 'n', OAUTH_NONCE_BYTES_MAX);
    assert_null(read_good(query).error);
    query[strlen(query)] = 'n';
    must_tell(query, "invalid_request");
    memset(query + strlen(query), 'n', OAUTH_REQUEST_BYTES_MAX);
    assert_int_equal(oauth_authorize_read(span_from(query), &arena, &request, &why),
                     ERR_OAUTH_INVALID_REQUEST);
}

/* Ours is the last one, and it is no part of the request. */
static void the_mark_is_cut_off(void **state)
{
    struct oauth_authorize request = read_good(GOOD "&portcullis_login=xyz");

    (void)state;
    assert_true(span_is(request.mark, "xyz"));
    assert_true(span_is(request.query, GOOD));
    request = read_good(GOOD "&portcullis_login=xyz&state=1");
    assert_int_equal(request.mark.len, 0);
    assert_null(request.error);
}

/* What the row says of the client comes last, and does not hide an earlier mistake. */
static void the_client_sets_bounds(void **state)
{
    struct oauth_client client = {.grants = SPAN("refresh_token authorization_code"),
                                  .scopes = SPAN("openid profile email")};
    struct oauth_authorize request = read_good(GOOD);

    (void)state;
    oauth_authorize_check(&request, &client);
    assert_null(request.error);
    client.scopes = SPAN_OF("openid email");
    oauth_authorize_check(&request, &client);
    assert_string_equal(request.error, "invalid_scope");
    request = read_good(GOOD);
    client = (struct oauth_client){.grants = SPAN("client_credentials"), .scopes = SPAN("openid")};
    oauth_authorize_check(&request, &client);
    assert_string_equal(request.error, "unauthorized_client");
    request = read_good(GOOD "&prompt=none+login");
    oauth_authorize_check(&request, &client);
    assert_string_equal(request.error, "invalid_request");
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static void must_lead(const char *uri, const char *state_text, const char *why,
                      const char *expected)
{
    const struct oauth_authorize request = {.redirect_uri = span_from(uri),
                                            .state = span_from(state_text)};
    struct span location;

    assert_int_equal(oauth_authorize_location(&request, SPAN_OF("https://as.example/a"),
                                              why ? "error" : "code", SPAN_OF("x_1-"), why, &arena,
                                              &location),
                     ERR_OK);
    if (!span_is(location, expected))
        fail_msg("%.*s", SPAN_ARG(location));
}

#define ISS "iss=https%3A%2F%2Fas.example%2Fa"

static void the_answer_is_added_to_the_address(void **state)
{
    (void)state;
    must_lead("https://a.example/cb", "", NULL, "https://a.example/cb?code=x_1-&" ISS);
    must_lead("https://a.example/cb?k=1", "s", NULL,
              "https://a.example/cb?k=1&code=x_1-&state=s&" ISS);
    must_lead("https://a.example/cb?", "s", NULL, "https://a.example/cb?code=x_1-&state=s&" ISS);
    must_lead("https://a.example/cb?k&", "", NULL, "https://a.example/cb?k&code=x_1-&" ISS);
    must_lead("com.example.app:/cb", "", NULL, "com.example.app:/cb?code=x_1-&" ISS);
    must_lead("https://a.example/cb", "a b&c=d+e%#\r\n\"\xC3\xA4~", NULL,
              "https://a.example/"
              "cb?code=x_1-&state=a%20b%26c%3Dd%2Be%25%23%0D%0A%22%C3%A4~&" ISS);
    must_lead("https://a.example/cb", "s", "Not so.",
              "https://a.example/cb?error=x_1-&error_description=Not%20so.&state=s&" ISS);
}

static void must_allow(const char *uri, const char *source)
{
    struct span found;

    assert_int_equal(oauth_uri_source(span_from(uri), &arena, &found), ERR_OK);
    if (!span_is(found, source))
        fail_msg("%s: %.*s", uri, SPAN_ARG(found));
}

/* Content-Security-Policy is a list of words; nothing of an address may become another of them. */
static void an_address_becomes_one_source(void **state)
{
    (void)state;
    must_allow("https://a.example/cb?x=1", "https://a.example");
    must_allow("http://127.0.0.1:4711/cb", "http://127.0.0.1:4711");
    must_allow("http://localhost", "http://localhost");
    must_allow("https://a.example?x", "https://a.example");
    must_allow("http://[::1]:4711/cb", "http:");
    must_allow("https://a.example;script-src/cb", "https:");
    must_allow("https://a.example, *", "https:");
    must_allow("com.example.app:/cb", "com.example.app:");
    must_allow("com.example.app:///cb", "com.example.app:");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_whole_request_is_read),
        T(some_mistakes_are_told_to_nobody),
        T(other_mistakes_are_told_to_the_client),
        T(the_challenge_is_a_must),
        T(state_is_kept_or_dropped_whole),
        T(long_texts_are_refused),
        T(the_mark_is_cut_off),
        T(the_client_sets_bounds),
        T(the_answer_is_added_to_the_address),
        T(an_address_becomes_one_source),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_authorize", tests, NULL, NULL);
}
