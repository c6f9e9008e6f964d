/* SPDX-License-Identifier: MIT
 * The pages on a whole service, with a browser that keeps cookies: the way to a code, everything
 * that must stop on it, and what is kept of it. On both databases. */
#include "oauth/oauth_page_test_kit.h"

static const struct store_statement consents = {.name = "test_consents",
                                                .sqlite = "SELECT count(*) FROM oauth_consents"};
static const struct store_statement events = {
    .name = "test_events",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event IN "
              "('user.login', 'user.consent', 'code.issued')"};
static const struct store_statement code_scope = {
    .name = "test_code_scope",
    .sqlite = "SELECT count(*) FROM oauth_codes WHERE scope = 'openid profile' AND nonce = 'n1' "
              "AND challenge = '" CHALLENGE "' AND redirect_uri = '" CALLBACK "'"};
static const struct store_statement deactivate = {
    .name = "test_deactivate", .sqlite = "UPDATE users SET is_active = FALSE WHERE id = 2"};
static const struct store_statement client_off = {
    .name = "test_client_off", .sqlite = "UPDATE oauth_clients SET is_active = FALSE"};
static const struct store_statement refusals = {
    .name = "test_refusals",
    .sqlite = "SELECT count(*) FROM trail_events WHERE outcome = 'refused'"};

/* ---- the way to a code ------------------------------------------------------------------------
 */

static void a_user_signs_in_and_agrees(void **state)
{
    struct browser browser = {{0}};

    (void)state;
    authorize(&browser, WEB("openid+profile"));
    must_be(200);
    must_show("<h1>Sign in</h1>");
    must_show("Retail Web Portal");
    assert_int_equal(strlen(browser.form), OAUTH_TOKEN_TEXT_BYTES);
    assert_string_equal(browser.login, "");
    sign_in(&browser, "User@Example.com", "user123");
    must_go("authorize?" WEB("openid+profile") "&portcullis_login=");
    assert_int_equal(strlen(browser.login), OAUTH_TOKEN_TEXT_BYTES);
    assert_int_equal(number_of(&logins), 1);
    follow(&browser);
    must_be(200);
    must_show("user@example.com");
    must_show("See your name, username and e-mail address");
    must_hide("See your e-mail address");
    must_show("<bdi>http://localhost:3000</bdi>");
    assert_int_equal(number_of(&codes), 0);
    answer(&browser, "allow");
    must_go(CALLBACK "?code=");
    must_go("&state=a%2Fb&iss=https%3A%2F%2Fissuer.example");
    assert_int_equal(number_of(&code_scope), 1);
    assert_int_equal(number_of(&consents), 1);
    assert_int_equal(number_of(&events), 3);
}

/* What was agreed to is not asked for again, until it is more, or the client wants it asked. */
static void agreeing_once_is_enough(void **state)
{
    struct browser browser = agreed();

    (void)state;
    authorize(&browser, WEB("profile+openid"));
    must_go("code=");
    authorize(&browser, WEB("openid"));
    must_go("code=");
    assert_int_equal(number_of(&codes), 3);
    authorize(&browser, WEB("openid+email"));
    must_be(200);
    authorize(&browser, WEB("openid") "&prompt=consent");
    must_be(200);
    answer(&browser, "allow");
    must_go("code=");
}

/* RFC 8252, 8.6: whoever knows the name of a public client could pose as it. */
static void a_public_client_is_asked_for_each_time(void **state)
{
    struct browser browser = signed_in();

    (void)state;
    authorize(&browser, DOCS("openid"));
    must_be(200);
    answer(&browser, "allow");
    must_go("http://127.0.0.1:9/docs/oauth2-redirect.html?code=");
    authorize(&browser, DOCS("openid"));
    must_be(200);
    authorize(&browser, DOCS("openid") "&prompt=none");
    must_go("error=interaction_required");
}

static void denying_is_told(void **state)
{
    struct browser browser = signed_in();

    (void)state;
    authorize(&browser, WEB("openid"));
    answer(&browser, "deny");
    must_go(CALLBACK "?error=access_denied&");
    must_go("&state=a%2Fb&iss=");
    assert_int_equal(number_of(&codes), 0);
    assert_int_equal(number_of(&consents), 0);
    assert_int_equal(number_of(&refusals), 1);
    authorize(&browser, WEB("openid"));
    must_be(200);
}

/* Nobody can agree to what they may not do themselves. */
static void scopes_end_where_roles_do(void **state)
{
    struct browser browser = signed_in();

    (void)state;
    authorize(&browser, DOCS("openid+admin"));
    must_be(200);
    must_hide("Administer users and clients");
    authorize(&browser, DOCS("admin"));
    must_go("error=access_denied");
    authorize(&browser, WEB("openid+admin"));
    must_go("error=invalid_scope");
    authorize(&browser, WEB("openid+nothing"));
    must_go("error=invalid_scope");
}

/* ---- prompts ----------------------------------------------------------------------------------
 */

static void no_prompt_means_no_page(void **state)
{
    struct browser browser = {{0}};

    (void)state;
    authorize(&browser, WEB("openid") "&prompt=none");
    must_go("error=login_required");
    browser = signed_in();
    authorize(&browser, WEB("openid") "&prompt=none");
    must_go("error=consent_required");
    browser = agreed();
    authorize(&browser, WEB("openid") "&prompt=none");
    must_go("code=");
    clock_fake_move(&world.clock, 10 * CLOCK_NS_PER_S);
    authorize(&browser, WEB("openid") "&prompt=none&max_age=5");
    must_go("error=login_required");
}

/* The page comes, and once signed in it does not come again for this request; for others it does.
 */
static void signing_in_anew_is_asked_for_once(void **state)
{
    static const char *const wishes[] = {"&prompt=login", "&prompt=select_account", "&max_age=5"};
    struct browser browser = agreed();

    (void)state;
    for (size_t i = 0; i < PC_COUNT(wishes); i++) {
        char query[1024];

        clock_fake_move(&world.clock, 10 * CLOCK_NS_PER_S);
        (void)snprintf(query, sizeof(query), "%s%s", WEB("openid"), wishes[i]);
        authorize(&browser, query);
        must_be(200);
        must_show("<h1>Sign in</h1>");
        sign_in(&browser, "user@example.com", "user123");
        clock_fake_move(&world.clock, 10 * CLOCK_NS_PER_S);
        follow(&browser);
        must_go("code=");
        authorize(&browser, query);
        must_be(200);
        (void)snprintf(query, sizeof(query), "%s%s&portcullis_login=%s", WEB("openid"), wishes[i],
                       browser.login);
        authorize(&browser, query);
        must_be(200);
    }
}

/* The mark is of one request and has its time. */
static void a_mark_is_worth_little(void **state)
{
    struct browser browser = agreed();
    char query[2048];
    struct span mark;

    (void)state;
    authorize(&browser, WEB("openid") "&prompt=login");
    sign_in(&browser, "user@example.com", "user123");
    must_be(303);
    mark = header("location", 0);
    mark = span_slice(mark, find_text(mark, "&portcullis_login="), mark.len);
    (void)snprintf(query, sizeof(query), "%s%.*s", WEB("openid+profile") "&prompt=login",
                   SPAN_ARG(mark));
    authorize(&browser, query);
    must_be(200);
    must_show("<h1>Sign in</h1>");
    authorize(&browser, WEB("openid") "&prompt=login");
    sign_in(&browser, "user@example.com", "user123");
    clock_fake_move(&world.clock, OAUTH_FRESH_S * CLOCK_NS_PER_S);
    follow(&browser);
    must_be(200);
    must_show("<h1>Sign in</h1>");
}

static void a_hint_fills_in_the_address(void **state)
{
    struct browser browser = {{0}};

    (void)state;
    authorize(&browser, WEB("openid") "&login_hint=anna%40example.com");
    must_show("value=\"anna@example.com\"");
    authorize(&browser, WEB("openid") "&login_hint=%22%3E%3Cscript%3E");
    must_hide("<script>");
    must_show("autofocus value=\"\"");
}

/* ---- mistakes ---------------------------------------------------------------------------------
 */

static void must_be_a_dead_end(const char *query)
{
    struct browser browser = {{0}};

    authorize(&browser, query);
    must_be(400);
    must_show("<!doctype html>");
    must_show("role=\"alert\"");
    assert_int_equal(header("location", 0).len, 0);
    assert_true(span_is(header("content-type", 0), "text/html; charset=utf-8"));
}

static void some_requests_lead_nowhere(void **state)
{
    (void)state;
    must_be_a_dead_end("");
    must_be_a_dead_end("client_id=nobody&redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fcallback");
    must_be_a_dead_end("client_id=web-portal");
    must_be_a_dead_end("client_id=web-portal&redirect_uri=https%3A%2F%2Fevil.example%2F");
    must_be_a_dead_end(
        "client_id=web-portal&redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fcallback%2Fx");
    must_be_a_dead_end(WEB("openid") "&client_id=web-portal");
    must_be_a_dead_end(WEB("openid") "&redirect_uri=https%3A%2F%2Fevil.example%2F");
    kit_exec(bench.store, &client_off);
    must_be_a_dead_end(WEB("openid"));
}

static void other_mistakes_go_back(void **state)
{
    struct browser browser = {{0}};

    (void)state;
    authorize(&browser, WEB("openid") "&request=x");
    must_go(CALLBACK "?error=request_not_supported&");
    must_go("&state=a%2Fb&iss=https%3A%2F%2Fissuer.example");
    authorize(&browser, WEB("openid") "&response_type=code");
    must_go("error=invalid_request");
}

/* ---- forms ------------------------------------------------------------------------------------
 */

static void a_wrong_password_is_told_on_the_page(void **state)
{
    struct browser browser = {{0}};

    (void)state;
    authorize(&browser, WEB("openid"));
    sign_in(&browser, "user@example.com", "wrong");
    must_be(403);
    must_show("The e-mail address or password is wrong.");
    must_show("value=\"user@example.com\"");
    must_hide("wrong\"");
    assert_string_equal(browser.login, "");
    assert_int_equal(number_of(&refusals), 1);
    sign_in(&browser, "nobody@example.com", "wrong");
    must_be(403);
    must_show("The e-mail address or password is wrong.");
    sign_in(&browser, "user@example.com", "");
    must_be(403);
    sign_in(&browser, "user@example.com", "user123");
    must_be(303);
    kit_exec(bench.store, &deactivate);
    authorize(&browser, WEB("openid"));
    must_show("<h1>Sign in</h1>");
    sign_in(&browser, "user@example.com", "user123");
    must_be(403);
    must_show("This account is inactive.");
}

static void guessing_is_slowed(void **state)
{
    struct browser browser = {{0}};

    (void)state;
    authorize(&browser, WEB("openid"));
    for (size_t i = 0; i < 20 && page.status != 429; i++)
        sign_in(&browser, "user@example.com", "wrong");
    must_be(429);
    must_show("Too many attempts. Please try again in ");
    assert_true(header("retry-after", 0).len > 0);
    sign_in(&browser, "user@example.com", "user123");
    must_be(429);
}

/* Each forgery alone is enough. */
static void forged_forms_are_refused(void **state)
{
    static const char *const lines[] = {"Sec-Fetch-Site: cross-site\r\n",
                                        "Sec-Fetch-Site: same-site\r\n",
                                        "Origin: https://evil.example\r\n"};
    struct browser browser = {{0}};
    struct browser victim = {{0}};

    (void)state;
    authorize(&victim, WEB("openid"));
    authorize(&browser, WEB("openid"));
    sign_in(&victim, "user@example.com", "user123"); /* the form of another browser */
    must_be(403);
    assert_string_equal(victim.login, "");
    authorize(&victim, WEB("openid"));
    (void)snprintf(victim.form, sizeof(victim.form), "%s", "");
    sign_in(&victim, "user@example.com", "user123");
    must_be(403);
    for (size_t i = 0; i < PC_COUNT(lines); i++) {
        struct browser told = {{0}};

        authorize(&told, WEB("openid"));
        (void)snprintf(told.headers, sizeof(told.headers), "%s", lines[i]);
        sign_in(&told, "user@example.com", "user123");
        must_be(403);
    }
    assert_int_equal(number_of(&logins), 0);
    browser = signed_in();
    authorize(&browser, WEB("openid"));
    (void)snprintf(browser.headers, sizeof(browser.headers), "%s", lines[0]);
    answer(&browser, "allow");
    must_be(403);
    assert_int_equal(number_of(&codes), 0);
}

/* A form is about one request, and a consent form about the scopes that it shows. */
static void a_form_is_about_its_request(void **state)
{
    struct browser browser = signed_in();
    char form[TEXT_BYTES];
    char *at;

    (void)state;
    authorize(&browser, WEB("openid"));
    (void)snprintf(form, sizeof(form), "%s", fill("decision", "allow", NULL, NULL));
    at = strstr(form, "%6E%31"); /* the nonce "n1" */
    assert_non_null(at);
    at[5] = '2';
    ask(&browser, "POST", "/oauth/consent", form);
    must_be(403);
    assert_int_equal(number_of(&codes), 0);
    authorize(&browser, WEB("openid"));
    (void)snprintf(form, sizeof(form), "%s", fill("decision", "else", NULL, NULL));
    ask(&browser, "POST", "/oauth/consent", form);
    must_be(400);
    ask(&browser, "POST", "/oauth/consent", "request=a&request=b&decision=allow");
    must_be(400);
    must_show("<!doctype html>");
}

static void same_origin_is_no_forgery(void **state)
{
    static const char *const lines[] = {"Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n",
                                        "Origin: https://issuer.example\r\n",
                                        "Origin: http://127.0.0.1:8001\r\n"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(lines); i++) {
        struct browser browser = {{0}};

        (void)snprintf(browser.headers, sizeof(browser.headers), "%s", lines[i]);
        authorize(&browser, WEB("openid"));
        sign_in(&browser, "user@example.com", "user123");
        must_be(303);
    }
}

/* ---- logins -----------------------------------------------------------------------------------
 */

/* A cookie that somebody planted is nobody's, and what is worth something is new each time. */
static void a_login_has_a_new_cookie(void **state)
{
    struct browser browser = {.login = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    char first[128];

    (void)state;
    authorize(&browser, WEB("openid"));
    sign_in(&browser, "user@example.com", "user123");
    must_be(303);
    assert_string_not_equal(browser.login, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    (void)snprintf(first, sizeof(first), "%s", browser.login);
    authorize(&browser, WEB("openid") "&prompt=login");
    sign_in(&browser, "user@example.com", "user123");
    must_be(303);
    assert_string_not_equal(browser.login, first);
    assert_int_equal(number_of(&logins), 1);
    (void)snprintf(browser.login, sizeof(browser.login), "%s", first);
    authorize(&browser, WEB("openid"));
    must_show("<h1>Sign in</h1>");
}

/* The same user keeps what they gave; another one ends it. */
static void who_signs_in_anew_decides(void **state)
{
    struct browser browser = agreed();

    (void)state;
    authorize(&browser, WEB("openid") "&prompt=login");
    sign_in(&browser, "user@example.com", "user123");
    must_be(303);
    assert_int_equal(number_of(&codes), 1);
    authorize(&browser, WEB("openid") "&prompt=login");
    assert_int_equal(number_of(&goodbyes), 0);
    sign_in(&browser, "analyst@example.com", "P@ssw0rd!");
    must_be(303);
    assert_int_equal(number_of(&codes), 0);
    assert_int_equal(number_of(&logins), 1);
    assert_int_equal(number_of(&goodbyes), 1); /* of who was signed in before */
}

static void somebody_else_may_sign_in(void **state)
{
    struct browser browser = agreed();
    char first[128];

    (void)state;
    (void)snprintf(first, sizeof(first), "%s", browser.login);
    authorize(&browser, WEB("openid+email"));
    answer(&browser, "switch");
    must_go("authorize?client_id=web-portal");
    assert_string_equal(browser.login, "");
    assert_int_equal(number_of(&logins), 0);
    assert_int_equal(number_of(&goodbyes), 1);
    follow(&browser);
    must_show("<h1>Sign in</h1>");
    sign_in(&browser, "analyst@example.com", "P@ssw0rd!");
    follow(&browser);
    must_show("analyst@example.com");
    (void)snprintf(browser.login, sizeof(browser.login), "%s", first);
    authorize(&browser, WEB("openid"));
    must_show("<h1>Sign in</h1>");
}

static void a_login_ends_with_its_user(void **state)
{
    struct browser browser = agreed();

    (void)state;
    kit_exec(bench.store, &deactivate);
    authorize(&browser, WEB("openid"));
    must_be(200);
    must_show("<h1>Sign in</h1>");
}

/* The page was open while the login ended: nothing is decided, and they are asked to sign in. */
static void an_old_consent_page_decides_nothing(void **state)
{
    struct browser browser = signed_in();

    (void)state;
    authorize(&browser, WEB("openid"));
    clock_fake_move(&world.clock, (LOGIN_S + 1) * CLOCK_NS_PER_S);
    answer(&browser, "allow");
    must_go("authorize?client_id=web-portal");
    assert_int_equal(number_of(&codes), 0);
    follow(&browser);
    must_show("<h1>Sign in</h1>");
}

/* Whichever call to the store fails: there is a page to say so, and a code only with its consent
 * and records. */
static void a_failing_store_leaves_nothing_half_done(void **state)
{
    struct browser browser = signed_in();
    uint64_t nth = 0;

    (void)state;
    do {
        authorize(&browser, WEB("openid"));
        must_be(200);
        assert_int_equal(number_of(&consents), 0);
        store_fail_at(++nth);
        answer(&browser, "allow");
        store_fail_at(0);
        kit_heal(bench.store);
        if (page.status != 303) {
            must_be(503);
            must_show("<!doctype html>");
            assert_int_equal(number_of(&codes), 0);
            assert_int_equal(number_of(&events), 1);
        }
        assert_in_range(nth, 1, 100);
    } while (page.status != 303);
    assert_true(nth > 5);
    assert_int_equal(number_of(&codes), 1);
    assert_int_equal(number_of(&consents), 1);
    assert_int_equal(number_of(&events), 3);
}

/* ---- the rest ---------------------------------------------------------------------------------
 */

static void a_page_is_shut_tight(void **state)
{
    static const char policy[] = "default-src 'none'; style-src 'self'; img-src data:; base-uri "
                                 "'none'; frame-ancestors 'none'; form-action 'self' "
                                 "http://localhost:3000";
    struct browser browser = {{0}};

    (void)state;
    authorize(&browser, WEB("openid"));
    assert_true(span_is(header("content-security-policy", 0), policy));
    assert_true(span_is(header("x-frame-options", 0), "DENY"));
    assert_true(span_is(header("cache-control", 0), "no-store"));
    assert_true(span_ends(header("set-cookie", 0), SPAN_OF("; Path=/; HttpOnly; SameSite=Lax")));
    sign_in(&browser, "user@example.com", "wrong");
    assert_true(span_is(header("content-security-policy", 0), policy));
    ask(&browser, "GET", "/oauth/style.css", NULL);
    must_be(200);
    must_show("prefers-color-scheme");
    assert_true(span_is(header("content-type", 0), "text/css; charset=utf-8"));
}

/* From the client's site a POST brings no cookies, so it becomes a GET, which does. */
static void a_posted_request_becomes_a_get(void **state)
{
    struct browser browser = agreed();

    (void)state;
    browser.headers[0] = '\0';
    ask(&browser, "POST", "/oauth/authorize", WEB("openid"));
    must_go("authorize?" WEB("openid"));
    follow(&browser);
    must_go("code=");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        T(a_user_signs_in_and_agrees),
        T(agreeing_once_is_enough),
        T(a_public_client_is_asked_for_each_time),
        T(denying_is_told),
        T(scopes_end_where_roles_do),
        T(no_prompt_means_no_page),
        T(signing_in_anew_is_asked_for_once),
        T(a_mark_is_worth_little),
        T(a_hint_fills_in_the_address),
        T(some_requests_lead_nowhere),
        T(other_mistakes_go_back),
        T(a_wrong_password_is_told_on_the_page),
        T(guessing_is_slowed),
        T(forged_forms_are_refused),
        T(a_form_is_about_its_request),
        T(same_origin_is_no_forgery),
        T(a_login_has_a_new_cookie),
        T(who_signs_in_anew_decides),
        T(somebody_else_may_sign_in),
        T(a_login_ends_with_its_user),
        T(an_old_consent_page_decides_nothing),
        T(a_failing_store_leaves_nothing_half_done),
        T(a_page_is_shut_tight),
        T(a_posted_request_becomes_a_get),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_visit", tests, NULL, NULL);
}
