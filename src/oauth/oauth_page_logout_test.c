/* SPDX-License-Identifier: MIT
 * Signing out, and the id_tokens that come back as hints, on both databases. */
#include "oauth/oauth_page_test_kit.h"

static const struct store_statement web_key = {
    .name = "test_web_key",
    .sqlite = "SELECT id FROM oauth_clients WHERE client_id = 'web-portal'"};
static const struct store_statement user_id = {
    .name = "test_user_id", .sqlite = "SELECT id FROM users WHERE username_key = 'user'"};
static const struct store_statement open_grants = {
    .name = "test_open_grants",
    .sqlite = "SELECT count(*) FROM sessions WHERE client = 'web-portal' AND ended_at IS NULL"};

#define HOME "http%3A%2F%2Flocalhost%3A3000%2F"

static void signing_out_is_asked_for(void **state)
{
    struct browser browser = agreed();

    (void)state;
    ask(&browser, "GET", "/oauth/logout", NULL);
    must_be(200);
    must_show("<h1>Sign out?</h1>");
    assert_int_equal(number_of(&logins), 1);
    ask(&browser, "POST", "/oauth/logout", "csrf=AAAA&request=");
    must_be(403);
    assert_int_equal(number_of(&logins), 1);
    ask(&browser, "GET",
        "/oauth/logout?client_id=web-portal&state=x%20y&post_logout_redirect_uri=" HOME, NULL);
    must_be(200);
    must_show("Retail Web Portal");
    ask(&browser, "POST", "/oauth/logout", fill(NULL, NULL, NULL, NULL));
    must_go("http://localhost:3000/?state=x%20y");
    assert_string_equal(browser.login, "");
    assert_int_equal(number_of(&logins), 0);
    assert_int_equal(number_of(&goodbyes), 1);
    assert_int_equal(number_of(&codes), 0);
}

static void signing_out_leads_only_home(void **state)
{
    static const char *const queries[] = {
        "post_logout_redirect_uri=" HOME,
        "client_id=nobody&post_logout_redirect_uri=" HOME,
        "client_id=web-portal&post_logout_redirect_uri=" HOME "x",
        "client_id=web-portal&post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F",
        "client_id=web-portal&client_id=web-portal",
        "id_token_hint=e30.e30.c2ln",
    };
    struct browser browser = agreed();
    char target[4096];

    (void)state;
    for (size_t i = 0; i < PC_COUNT(queries); i++) {
        (void)snprintf(target, sizeof(target), "/oauth/logout?%s", queries[i]);
        ask(&browser, "GET", target, NULL);
        must_be(400);
        assert_int_equal(header("location", 0).len, 0);
    }
    (void)snprintf(target, sizeof(target), "/oauth/logout?state=%0*d", OAUTH_STATE_BYTES_MAX + 1,
                   0);
    ask(&browser, "GET", target, NULL);
    must_be(400);
    assert_int_equal(number_of(&logins), 1);
}

static void whoever_is_signed_out_already_goes_on(void **state)
{
    struct browser browser = {{0}};

    (void)state;
    ask(&browser, "GET", "/oauth/logout", NULL);
    must_be(200);
    must_show("You are signed out");
    assert_int_equal(header("set-cookie", 0).len, 0);
    ask(&browser, "POST", "/oauth/logout", "csrf=AAAA&request="); /* as from another site */
    must_be(200);
    assert_int_equal(header("set-cookie", 0).len, 0);
    ask(&browser, "POST", "/oauth/logout", "client_id=web-portal&post_logout_redirect_uri=" HOME);
    must_go("logout?client_id=web-portal&post_logout_redirect_uri=" HOME);
    follow(&browser);
    must_go("http://localhost:3000/");
}

/* ---- hints ------------------------------------------------------------------------------------
 */

static const struct oauth_client web = {.client_id = SPAN("web-portal"), .scopes = SPAN("openid")};
static const struct oauth_client docs = {.client_id = SPAN("api-docs")};

/* An id_token, or an access token, of this user, made so long ago. */
static struct span token_of(const struct oauth_client *client, int64_t user, int64_t age_s,
                            bool is_access)
{
    const struct oauth_subject subject = {.client = client,
                                          .user_id = user,
                                          .session_id = SPAN("s"),
                                          .scope = SPAN("openid"),
                                          .roles = SPAN("customer"),
                                          .access_s = 900};
    int64_t at_ns = T0 - age_s * CLOCK_NS_PER_S;
    struct span access;
    struct span id;

    assert_int_equal(oauth_access_sign(world.oauth, &subject, at_ns, &bench.arena, &access),
                     ERR_OK);
    assert_int_equal(oauth_id_sign(world.oauth, &subject, access, at_ns, &bench.arena, &id),
                     ERR_OK);
    return is_access ? access : id;
}

static void leave(struct browser *browser, struct span hint, const char *more)
{
    char target[TEXT_BYTES];

    (void)snprintf(target, sizeof(target), "/oauth/logout?id_token_hint=%.*s%s", SPAN_ARG(hint),
                   more);
    ask(browser, "GET", target, NULL);
}

/* A hint of the user who is signed in needs no page, even when it is long over. */
static void a_hint_signs_its_user_out(void **state)
{
    struct browser browser = agreed();
    int64_t user = number_of(&user_id);

    (void)state;
    leave(&browser, token_of(&web, user, 30 * 86400, false),
          "&state=x&post_logout_redirect_uri=" HOME);
    must_go("http://localhost:3000/?state=x");
    assert_int_equal(number_of(&logins), 0);
    assert_string_equal(browser.login, "");
}

static void a_hint_of_another_user_asks(void **state)
{
    struct browser browser = agreed();

    (void)state;
    leave(&browser, token_of(&web, number_of(&user_id) + 1, 5, false), "");
    must_be(200);
    must_show("<h1>Sign out?</h1>");
    assert_int_equal(number_of(&logins), 1);
}

/* What is no id_token of ours, or is another client's, proves nothing. */
static void a_false_hint_is_refused(void **state)
{
    struct browser browser = agreed();
    int64_t user = number_of(&user_id);
    struct span good = token_of(&web, user, 5, false);
    struct oauth_keys ours = world.keys;

    (void)state;
    leave(&browser, token_of(&web, user, 5, true), "");
    must_be(400);
    leave(&browser, good, "&client_id=api-docs");
    must_be(400);
    leave(&browser, token_of(&docs, user, 5, false), "&post_logout_redirect_uri=" HOME);
    must_be(400);
    leave(&browser, span_slice(good, 0, good.len - 4), "");
    must_be(400);
    leave(&browser, token_of(&web, user, -3600, false), "");
    must_be(400);
    keys_open(&world.keys, CRYPTO_ES256);
    good = token_of(&web, user, 5, false);
    keys_close(&world.keys);
    world.keys = ours;
    leave(&browser, good, "");
    must_be(400);
    assert_int_equal(number_of(&logins), 1);
}

/* WEB("openid"), what is given, and a hint. */
static void authorize_expecting(struct browser *browser, const char *more, int64_t user)
{
    struct span hint = token_of(&web, user, 5, false);
    char query[8192];

    (void)snprintf(query, sizeof(query), "%s%s&id_token_hint=%.*s", WEB("openid"), more,
                   SPAN_ARG(hint));
    authorize(browser, query);
}

/* An access token says as much, signed by the same key, and is no id_token all the same. */
static void an_access_token_is_no_hint(void **state)
{
    struct span client_id;
    int64_t user = 0;

    (void)state;
    assert_int_equal(oauth_hint_read(world.oauth, token_of(&web, 7, 5, false), T0, &bench.arena,
                                     &user, &client_id),
                     ERR_OK);
    assert_int_equal(user, 7);
    assert_true(span_is(client_id, "web-portal"));
    assert_int_equal(oauth_hint_read(world.oauth, token_of(&web, 7, 5, true), T0, &bench.arena,
                                     &user, &client_id),
                     ERR_TOKEN_INVALID);
}

/* At the authorization endpoint: another user than the one expected is asked to make room. */
static void a_hint_says_who_is_expected(void **state)
{
    struct browser browser = agreed();
    int64_t user = number_of(&user_id);

    (void)state;
    authorize_expecting(&browser, "&prompt=none", user);
    must_go("code=");
    authorize_expecting(&browser, "&prompt=none", user + 1);
    must_go("error=login_required");
    authorize_expecting(&browser, "", user + 1);
    must_show("<h1>Sign in</h1>");
    sign_in(&browser, "user@example.com", "user123");
    follow(&browser);
    must_go("error=login_required");
    authorize(&browser, WEB("openid") "&id_token_hint=e30.e30.c2ln");
    must_go("error=invalid_request");
}

/* ---- what ends --------------------------------------------------------------------------------
 */

static enum err grant_steps(struct store_conn *conn, void *context)
{
    struct oauth_grant *grant = context;

    return oauth_grant_open(conn, grant, NULL, T0);
}

static const struct store_statement login_ids = {
    .name = "test_login_ids",
    .sqlite = "UPDATE oauth_grants SET login_session = (SELECT session_id FROM oauth_logins)"};

static void signing_out_ends_the_grants(void **state)
{
    struct browser browser = agreed();
    int64_t user = number_of(&user_id);
    struct oauth_grant grant = {.session_id = SPAN("33333333-3333-4333-8333-333333333333"),
                                .client_id = SPAN("web-portal"),
                                .client_key = number_of(&web_key),
                                .user_id = user,
                                .scope = SPAN("openid"),
                                .expires_at_ns = T0 + LOGIN_S * CLOCK_NS_PER_S};

    (void)state;
    assert_int_equal(writing(bench.store, grant_steps, &grant), ERR_OK);
    kit_exec(bench.store, &login_ids);
    assert_int_equal(number_of(&open_grants), 1);
    leave(&browser, token_of(&web, user, 5, false), "");
    must_show("You are signed out");
    assert_int_equal(number_of(&open_grants), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        T(signing_out_is_asked_for),
        T(signing_out_leads_only_home),
        T(whoever_is_signed_out_already_goes_on),
        T(a_hint_signs_its_user_out),
        T(a_hint_of_another_user_asks),
        T(a_false_hint_is_refused),
        T(an_access_token_is_no_hint),
        T(a_hint_says_who_is_expected),
        T(signing_out_ends_the_grants),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_page_logout", tests, NULL, NULL);
}
