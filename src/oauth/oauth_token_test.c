/* SPDX-License-Identifier: MIT
 * POST /auth/token through the whole journey: what each grant gives, and everything it refuses. */
#include "oauth/oauth_site_test_kit.h"

#define WEB "client_id=web&client_secret=" SECRET

static const struct store_statement user_off = {.name = "test_user_off",
                                                .sqlite = "UPDATE users SET is_active = FALSE"};
static const struct store_statement open_count = {
    .name = "test_open",
    .sqlite = "SELECT count(*) FROM sessions WHERE ended_at IS NULL AND client <> 'browser'"};
static const struct store_statement login_over = {
    .name = "test_login_over",
    .sqlite = "UPDATE sessions SET ended_at = 1, end_reason = 'logout' WHERE client = 'browser'"};
static const struct store_statement logins_of_grants = {
    .name = "test_logins_of_grants",
    .sqlite = "SELECT count(*) FROM oauth_grants WHERE login_session IS NOT NULL"};
static const struct store_statement make_risk = {.name = "test_make_risk",
                                                 .sqlite = "UPDATE oauth_clients SET scopes = "
                                                           "scopes || ' audit:read admin'"};

/* ---- client_credentials -----------------------------------------------------------------------
 */

static void a_client_gets_a_token_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(site_token("grant_type=client_credentials&" WEB), 200);
    assert_said("token_type", "bearer");
    assert_said("expires_in", "900");
    assert_said("scope", "accounts:read transactions:read");
    assert_said("issued_at", "2027-01-15T08:00:00.000000Z");
    assert_said("refresh_token", "");
    assert_said("id_token", "");
    assert_non_null(strstr(site.text, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(site.text, "Content-Type: application/json\r\n"));
    assert_int_equal(site_get("/whoami", site_said("access_token")), 200);
    assert_said("sub", "web");
    assert_said("client_id", "web");
    assert_said("roles", "[\"payments\"]");
    assert_said("scope", "accounts:read transactions:read");
    assert_int_equal(site_events(TRAIL_TOKEN_ISSUED), 1);
    assert_int_equal(number_of(&open_count), 0);
}

static void basic_needs_no_client_id(void **state)
{
    char header[256];
    char text[256];
    struct sbuf out = sbuf_over(text, sizeof(text));

    (void)state;
    crypto_base64url_add(&out, SPAN_OF("web:" SECRET)); /* of its characters none differs */
    (void)snprintf(header, sizeof(header), "Authorization: Basic %.*s%.*s\r\n",
                   SPAN_ARG(sbuf_span(&out)), (int)(4 - out.len % 4) % 4, "==");
    assert_int_equal(site_form("/auth/token", header, "grant_type=client_credentials"), 200);
    assert_int_equal(site_form("/auth/token", header, "grant_type=client_credentials&client_id=x"),
                     400);
}

static void slow_keys_sign_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(
        site_token("grant_type=client_credentials&client_id=slow&client_secret=" SECRET), 200);
    assert_int_equal(site_get("/whoami", site_said("access_token")), 200);
    assert_said("sub", "slow");
}

/* Each assertion works once, whatever it was for and whatever came of it. */
static void an_assertion_works_once(void **state)
{
    struct site_code code = site_code("robot", "openid accounts:read");
    char form[1024];
    struct span refresh;

    (void)state;
    assert_int_equal(site_as_robot("/auth/token", "grant_type=client_credentials", "1"), 200);
    assert_refusal(site_as_robot("/auth/token", "grant_type=client_credentials", "1"),
                   "invalid_client");
    assert_refusal(site_as_robot("/auth/token", "grant_type=client_credentials&scope=x", "2"),
                   "invalid_scope");
    assert_refusal(site_as_robot("/auth/token", "grant_type=client_credentials", "2"),
                   "invalid_client");
    (void)snprintf(form, sizeof(form),
                   "grant_type=authorization_code&code=%.*s&redirect_uri=" CALLBACK
                   "&code_verifier=" VERIFIER,
                   SPAN_ARG(code.text));
    assert_refusal(site_as_robot("/auth/token", form, "2"), "invalid_client");
    assert_int_equal(site_as_robot("/auth/token", form, "3"), 200); /* and the code was kept */
    refresh = site_said("refresh_token");
    assert_int_equal(site_as_robot("/auth/token",
                                   "grant_type=password&username=anna@example.com"
                                   "&password=correct+horse+battery+staple",
                                   "4"),
                     200);
    (void)snprintf(form, sizeof(form), "refresh_token=%.*s", SPAN_ARG(refresh));
    assert_refusal(site_as_robot("/auth/refresh", form, "4"), "invalid_client");
    assert_int_equal(site_as_robot("/auth/refresh", form, "5"), 200);
    (void)snprintf(form, sizeof(form), "token=%.*s", SPAN_ARG(site_said("access_token")));
    assert_refusal(site_as_robot("/auth/introspect", form, "5"), "invalid_client");
    assert_int_equal(site_as_robot("/auth/introspect", form, "6"), 200);
    assert_said("active", "true");
    assert_refusal(site_as_robot("/auth/revoke", form, "6"), "invalid_client");
    assert_int_equal(site_as_robot("/auth/revoke", form, "7"), 200);
    assert_int_equal(site_as_robot("/auth/introspect", form, "8"), 200);
    assert_said("active", "false");
}

/* The issuer's algorithm may have changed since such a client was made: that is nobody's trouble
 * but its own, and no reason for a circuit breaker. */
static void what_no_key_signs_is_refused(void **state)
{
    (void)state;
    site_client("pss", OAUTH_METHOD_SECRET, ALL_GRANTS, "payments", CRYPTO_PS256);
    assert_refusal(site_token("grant_type=client_credentials&client_id=pss&client_secret=" SECRET),
                   "unauthorized_client");
    assert_int_equal(site_events(TRAIL_TOKEN_REFUSED), 1);
    assert_int_equal(site_events(TRAIL_TOKEN_ISSUED), 0);
}

static void a_certificate_binds_the_token(void **state)
{
    struct span token;

    (void)state;
    assert_refusal(site_token("grant_type=client_credentials&client_id=bank"), "invalid_client");
    site_with_certificate("CN=bank,O=Example", "print-1");
    assert_int_equal(site_token("grant_type=client_credentials&client_id=bank"), 200);
    token = site_said("access_token");
    assert_int_equal(site_get("/whoami", token), 200);
    site_with_certificate("CN=bank,O=Example", "print-2");
    assert_int_equal(site_get("/whoami", token), 401);
    memset(&site_peer, 0, sizeof(site_peer));
    assert_int_equal(site_get("/whoami", token), 401);
    assert_int_equal(site_events(TRAIL_CLIENT_REFUSED), 1);
}

static void scopes_are_narrowed_and_never_widened(void **state)
{
    static const struct {
        const char *scope, *gives;
    } rows[] = {
        {"accounts:read", "accounts:read"},
        {"transactions:read+accounts:read", "transactions:read accounts:read"},
        {"accounts:write", NULL},
        {"accounts:read+admin", NULL},
        {"openid", NULL}, /* a client is nobody's profile */
        {"accounts:read+offline_access", NULL},
        {"accounts:read+accounts:read", NULL},
        {"accounts:read++transactions:read", NULL},
        {"+accounts:read", NULL},
        {"accounts%22read", NULL},
    };
    char form[512];

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        int status;

        (void)snprintf(form, sizeof(form), "grant_type=client_credentials&" WEB "&scope=%s",
                       rows[i].scope);
        status = site_token(form);
        if (rows[i].gives == NULL) {
            assert_refusal(status, "invalid_scope");
            continue;
        }
        assert_int_equal(status, 200);
        assert_said("scope", rows[i].gives);
    }
    assert_int_equal(site_events(TRAIL_TOKEN_REFUSED), 8);
}

static void what_is_wrong_with_a_request_is_told(void **state)
{
    static const struct {
        const char *form, *error;
    } rows[] = {
        {WEB, "invalid_request"},
        {"", "invalid_request"},
        {"grant_type=client_credentials", "invalid_client"},
        {"grant_type=client_credentials&client_id=web", "invalid_client"},
        {"grant_type=client_credentials&client_id=web&client_secret=wrong", "invalid_client"},
        {"grant_type=client_credentials&client_id=none&client_secret=wrong", "invalid_client"},
        {"grant_type=client_credentials&grant_type=password&" WEB, "invalid_request"},
        {"grant_type=client_credentials&" WEB "&scope=a&scope=b", "invalid_request"},
        {"grant_type=client_credentials&" WEB "&client_id=web", "invalid_request"},
        {"grant_type=implicit&" WEB, "unsupported_grant_type"},
        {"grant_type=CLIENT_CREDENTIALS&" WEB, "unsupported_grant_type"},
        {"grant_type=client_credentials&client_id=spa", "unauthorized_client"},
        {"grant_type=client_credentials&client_id=odd", "unauthorized_client"},
        {"grant_type=client_credentials&client_id=once&client_secret=" SECRET,
         "unauthorized_client"},
        {"grant_type=refresh_token&refresh_token=x&client_id=once&client_secret=" SECRET,
         "unauthorized_client"},
        {"grant_type=refresh_token&" WEB, "invalid_request"},
        {"grant_type=password&" WEB "&username=a", "invalid_request"},
        {"grant_type=password&" WEB "&password=a", "invalid_request"},
        {"grant_type=authorization_code&" WEB "&code=a&redirect_uri=b", "invalid_request"},
        {"grant_type=authorization_code&" WEB "&code=a&code_verifier=b", "invalid_request"},
        {"grant_type=authorization_code&" WEB "&redirect_uri=a&code_verifier=b", "invalid_request"},
        {"grant_type=client_credentials&" WEB "&client_assertion=a.b.c", "invalid_request"},
        {"grant_type=client_credentials&" WEB "%", "invalid_request"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        assert_refusal(site_token(rows[i].form), rows[i].error);
        assert_null(strstr(site.text, SECRET));
        assert_said("access_token", "");
    }
    assert_int_equal(site_json("/auth/token", "{\"grant_type\":\"client_credentials\"}"), 400);
    assert_said("error", "invalid_request");
}

static int strict_setup(void **state)
{
    site_policy.rate.requests = 5;
    return site_setup(state);
}

static int strict_teardown(void **state)
{
    site_policy.rate.requests = 1000000;
    return site_teardown(state);
}

/* Each name has a bucket of its own; the address has one for all that fails. */
static void names_that_are_made_up_do_not_help(void **state)
{
    char form[64];

    (void)state;
    for (int i = 0; i < 5; i++) {
        (void)snprintf(form, sizeof(form), "grant_type=%s&client_id=a%d",
                       i % 2 == 0 ? "implicit" : "password", i);
        assert_int_equal(site_token(form), 400);
    }
    assert_int_equal(site_token("grant_type=implicit&client_id=b"), 429);
}

static void a_disabled_client_gets_nothing(void **state)
{
    static const struct store_statement off = {
        .name = "test_off", .sqlite = "UPDATE oauth_clients SET is_active = FALSE"};

    (void)state;
    kit_exec(bench.store, &off);
    assert_refusal(site_token("grant_type=client_credentials&" WEB), "invalid_client");
}

/* ---- password ---------------------------------------------------------------------------------
 */

#define ANNA "grant_type=password&" WEB "&username=anna@example.com"
#define PASS "&password=correct+horse+battery+staple"

static void a_password_opens_a_grant(void **state)
{
    (void)state;
    assert_int_equal(site_token(ANNA PASS), 200);
    assert_said("scope", "profile email accounts:read transactions:read");
    assert_int_equal(site_said("refresh_token").len, OAUTH_TOKEN_TEXT_BYTES);
    assert_said("id_token", "");
    assert_int_equal(site_get("/whoami", site_said("access_token")), 200);
    assert_said("roles", "[\"customer\"]");
    assert_int_equal(number_of(&open_count), 1);
    assert_int_equal(site_events(TRAIL_TOKEN_ISSUED), 1);
    assert_int_equal(site_events(TRAIL_LOGIN), 0);
}

static void openid_is_given_to_who_asks(void **state)
{
    (void)state;
    assert_int_equal(site_token(ANNA PASS "&scope=openid+accounts:read"), 200);
    assert_true(site_said("id_token").len > 100);
    assert_said("scope", "openid accounts:read");
}

/* What the user's roles do not hold is left out, and said so; nothing left is a refusal. */
static void roles_bound_the_scope(void **state)
{
    (void)state;
    kit_exec(bench.store, &make_risk);
    assert_int_equal(site_token(ANNA PASS "&scope=accounts:read+audit:read+admin"), 200);
    assert_said("scope", "accounts:read");
    assert_refusal(site_token(ANNA PASS "&scope=audit:read+admin"), "invalid_scope");
    assert_refusal(site_token(ANNA PASS "&scope=accounts:write"), "invalid_scope");
}

static void a_client_without_refresh_gets_none(void **state)
{
    (void)state;
    assert_int_equal(site_token("grant_type=password&client_id=once&client_secret=" SECRET
                                "&username=anna@example.com" PASS),
                     200);
    assert_said("refresh_token", "");
}

static void wrong_passwords_cost_what_they_do_at_the_login(void **state)
{
    int status = 400;

    (void)state;
    assert_refusal(site_token(ANNA "&password=wrong"), "invalid_grant");
    assert_refusal(site_token("grant_type=password&" WEB "&username=nobody@example.com" PASS),
                   "invalid_grant");
    for (int i = 0; i < 20 && status == 400; i++)
        status = site_token(ANNA "&password=wrong");
    assert_int_equal(status, 429);
    assert_non_null(strstr(site.text, "Retry-After: "));
    assert_int_equal(site_token(ANNA PASS), 429); /* even the right one has to wait */
    assert_true(site_events(TRAIL_LOGIN) >= 2);
    assert_int_equal(site_events(TRAIL_LOGIN_LOCKED), 1); /* one a minute */
    assert_int_equal(site_events(TRAIL_TOKEN_ISSUED), 0);
    site_later(3600);
    assert_int_equal(site_token(ANNA PASS), 200);
}

static const struct store_statement shut_trail = {
    .name = "test_shut_trail",
    .sqlite = "CREATE TRIGGER test_shut BEFORE INSERT ON trail_events WHEN NEW.event = 'user.login'"
              " BEGIN SELECT RAISE(ABORT, 'test'); END",
    .postgres = "ALTER TABLE trail_events ADD CONSTRAINT test_shut CHECK (event <> 'user.login')"};
static const struct store_statement open_trail = {
    .name = "test_open_trail",
    .sqlite = "DROP TRIGGER test_shut",
    .postgres = "ALTER TABLE trail_events DROP CONSTRAINT test_shut"};

/* A store in trouble is no time to guess for free. */
static void a_guess_counts_though_it_cannot_be_recorded(void **state)
{
    (void)state;
    kit_exec(bench.store, &shut_trail);
    for (int i = 0; i < 20; i++)
        assert_true(site_token(ANNA "&password=wrong") != 200);
    kit_exec(bench.store, &open_trail);
    assert_int_equal(site_token(ANNA PASS), 429);
}

/* Who cannot prove to be the client cannot guess at passwords, nor use up their budget. */
static void strangers_do_not_guess(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_refusal(site_token("grant_type=password&client_id=web&client_secret=wrong"
                                  "&username=anna@example.com&password=wrong"),
                       "invalid_client");
    assert_int_equal(site_token(ANNA PASS), 200);
}

/* Right answers cost nothing, however many there are. */
static void right_passwords_lock_nobody_out(void **state)
{
    (void)state;
    for (int i = 0; i < 70; i++)
        assert_int_equal(site_token(ANNA PASS), 200);
    assert_refusal(site_token(ANNA PASS "&scope=accounts:write"), "invalid_scope");
    assert_int_equal(site_token(ANNA PASS), 200);
}

static void an_inactive_user_gets_nothing(void **state)
{
    (void)state;
    kit_exec(bench.store, &user_off);
    assert_refusal(site_token(ANNA PASS), "invalid_grant");
    assert_int_equal(number_of(&open_count), 0);
}

/* ---- authorization_code -----------------------------------------------------------------------
 */

static void a_code_becomes_tokens(void **state)
{
    struct site_code code = site_code("spa", "openid accounts:read");
    const struct json_value *header, *claims;

    (void)state;
    assert_int_equal(site_exchange(code.text, "spa", NULL, NULL), 200);
    assert_said("scope", "openid accounts:read");
    assert_int_equal(site_said("refresh_token").len, OAUTH_TOKEN_TEXT_BYTES);
    assert_int_equal(crypto_jwt_peek(site_said("id_token"), &bench.arena, &header, &claims),
                     ERR_OK);
    assert_true(span_is(json_get(claims, "nonce")->text, "n-1"));
    assert_true(span_is(json_get(claims, "aud")->text, "spa"));
    assert_true(span_is(json_get(claims, "auth_time")->text, "1799999995"));
    assert_int_equal(site_get("/whoami", site_said("access_token")), 200);
    assert_said("client_id", "spa");
    assert_int_equal(number_of(&logins_of_grants), 1);
}

/* OpenID Connect Back-Channel Logout, 2.7: a grant for later does not hang on the browser. */
static void offline_access_outlasts_the_login(void **state)
{
    struct site_code code = site_code("spa", "openid offline_access");

    (void)state;
    assert_int_equal(site_exchange(code.text, "spa", NULL, NULL), 200);
    assert_int_equal(number_of(&logins_of_grants), 0);
}

static void a_code_that_comes_twice_ends_what_it_gave(void **state)
{
    struct site_code code = site_code("spa", "accounts:read");
    struct span access, refresh;

    (void)state;
    assert_int_equal(site_exchange(code.text, "spa", NULL, NULL), 200);
    access = site_said("access_token");
    refresh = site_said("refresh_token");
    assert_int_equal(site_get("/whoami", access), 200);
    assert_refusal(site_exchange(code.text, "spa", NULL, NULL), "invalid_grant");
    assert_int_equal(site_get("/whoami", access), 401);
    assert_refusal(site_refresh(refresh, "spa", ""), "invalid_grant");
    assert_int_equal(site_events(TRAIL_CODE_REUSED), 1);
    assert_int_equal(number_of(&open_count), 0);
}

/* Another client learns nothing and breaks nothing. */
static void a_code_is_its_clients(void **state)
{
    struct site_code code = site_code("spa", "accounts:read");
    struct span access;

    (void)state;
    assert_refusal(site_exchange(code.text, "web", NULL, NULL), "invalid_grant");
    assert_int_equal(site_exchange(code.text, "spa", NULL, NULL), 200);
    access = site_said("access_token");
    assert_refusal(site_exchange(code.text, "web", NULL, NULL), "invalid_grant");
    assert_int_equal(site_get("/whoami", access), 200);
    assert_refusal(site_exchange(SPAN_OF("no-such-code"), "spa", NULL, NULL), "invalid_grant");
}

/* A guess at what belongs to a code is the last one. */
static void a_wrong_try_burns_the_code(void **state)
{
    static const struct {
        const char *uri, *verifier;
    } rows[] = {
        {CALLBACK "/", NULL},
        {"https://web.example/Callback", NULL},
        {CALLBACK "?x=1", NULL},
        {NULL, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"},
        {NULL, "short"},
        {NULL, VERIFIER VERIFIER VERIFIER},
        {NULL, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEj!k"},
        {NULL, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, /* the challenge itself */
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct site_code code = site_code("spa", "accounts:read");

        assert_refusal(site_exchange(code.text, "spa", rows[i].uri, rows[i].verifier),
                       "invalid_grant");
        assert_refusal(site_exchange(code.text, "spa", NULL, NULL), "invalid_grant");
    }
    assert_int_equal(number_of(&open_count), 0);
    assert_int_equal(site_events(TRAIL_CODE_REUSED), 0);
    assert_int_equal(site_events(TRAIL_TOKEN_REFUSED), 2 * PC_COUNT(rows));
}

static void a_code_does_not_wait(void **state)
{
    struct site_code code = site_code("spa", "accounts:read");

    (void)state;
    site_later(59);
    assert_int_equal(site_exchange(code.text, "spa", NULL, NULL), 200);
    code = site_code("spa", "accounts:read");
    site_later(60);
    assert_refusal(site_exchange(code.text, "spa", NULL, NULL), "invalid_grant");
}

static void a_code_dies_with_its_login(void **state)
{
    struct site_code code = site_code("spa", "accounts:read");

    (void)state;
    kit_exec(bench.store, &login_over);
    assert_refusal(site_exchange(code.text, "spa", NULL, NULL), "invalid_grant");
    code = site_code("spa", "accounts:read");
    kit_exec(bench.store, &user_off);
    assert_refusal(site_exchange(code.text, "spa", NULL, NULL), "invalid_grant");
}

static void a_code_without_scope_gives_none(void **state)
{
    struct site_code code = site_code("spa", "");

    (void)state;
    assert_int_equal(site_exchange(code.text, "spa", NULL, NULL), 200);
    assert_said("scope", "");
    assert_int_equal(site_get("/whoami", site_said("access_token")), 200);
    assert_said("scope", "");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        T(a_client_gets_a_token_of_its_own),
        T(basic_needs_no_client_id),
        T(slow_keys_sign_elsewhere),
        T(an_assertion_works_once),
        T(what_no_key_signs_is_refused),
        T(a_certificate_binds_the_token),
        T(scopes_are_narrowed_and_never_widened),
        T(what_is_wrong_with_a_request_is_told),
        cmocka_unit_test_setup_teardown(names_that_are_made_up_do_not_help, strict_setup,
                                        strict_teardown),
        T(a_disabled_client_gets_nothing),
        T(a_password_opens_a_grant),
        T(openid_is_given_to_who_asks),
        T(roles_bound_the_scope),
        T(a_client_without_refresh_gets_none),
        T(wrong_passwords_cost_what_they_do_at_the_login),
        T(a_guess_counts_though_it_cannot_be_recorded),
        T(strangers_do_not_guess),
        T(right_passwords_lock_nobody_out),
        T(an_inactive_user_gets_nothing),
        T(a_code_becomes_tokens),
        T(offline_access_outlasts_the_login),
        T(a_code_that_comes_twice_ends_what_it_gave),
        T(a_code_is_its_clients),
        T(a_wrong_try_burns_the_code),
        T(a_code_does_not_wait),
        T(a_code_dies_with_its_login),
        T(a_code_without_scope_gives_none),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_token", tests, make_keys, free_keys);
}
