/* SPDX-License-Identifier: MIT
 * Giving tokens back, and asking what they are worth. */
#include "oauth/oauth_site_test_kit.h"

static const struct store_statement open_count = {
    .name = "test_open",
    .sqlite = "SELECT count(*) FROM sessions WHERE ended_at IS NULL AND client <> 'browser'"};
static const struct store_statement user_off = {.name = "test_user_off",
                                                .sqlite = "UPDATE users SET is_active = FALSE"};
static const struct store_statement spa_off = {
    .name = "test_spa_off",
    .sqlite = "UPDATE oauth_clients SET is_active = FALSE WHERE client_id = 'spa'"};
static const struct store_statement spa_after = {
    .name = "test_spa_after",
    .sqlite = "UPDATE oauth_clients SET tokens_after = 1800000001000000000 "
              "WHERE client_id = 'spa'"};
static const struct store_statement less_scope = {
    .name = "test_less_scope",
    .sqlite = "UPDATE oauth_clients SET scopes = 'accounts:read' WHERE client_id = 'spa'"};

struct pair {
    struct span access, refresh;
};

static struct pair last(void)
{
    return (struct pair){.access = site_said("access_token"),
                         .refresh = site_said("refresh_token")};
}

static struct pair sign_in(const char *client)
{
    struct site_code code = site_code(client, "accounts:read transactions:read");

    assert_int_equal(site_exchange(code.text, client, NULL, NULL), 200);
    return last();
}

static struct span machine_token(void)
{
    assert_int_equal(
        site_token("grant_type=client_credentials&client_id=web&client_secret=" SECRET), 200);
    return site_said("access_token");
}

static int ask(const char *path, const char *client, struct span token, const char *more)
{
    char form[8192];
    bool open = strcmp(client, "spa") == 0 || strcmp(client, "bank") == 0;

    (void)snprintf(form, sizeof(form), "client_id=%s%s&token=%.*s%s", client,
                   open ? "" : "&client_secret=" SECRET, SPAN_ARG(token), more);
    return site_form(path, "", form);
}

static void give_back(const char *client, struct span token)
{
    assert_int_equal(ask("/auth/revoke", client, token, ""), 200);
    assert_true(span_is(site_body(), "{\"status\":\"revoked\"}"));
}

/* ---- revoke -----------------------------------------------------------------------------------
 */

static void a_refresh_token_takes_its_grant_along(void **state)
{
    struct pair pair = sign_in("spa");

    (void)state;
    assert_int_equal(site_get("/whoami", pair.access), 200);
    give_back("spa", pair.refresh);
    assert_int_equal(site_get("/whoami", pair.access), 401);
    assert_refusal(site_refresh(pair.refresh, "spa", ""), "invalid_grant");
    assert_int_equal(number_of(&open_count), 0);
    give_back("spa", pair.refresh); /* again is no harm */
    assert_int_equal(site_events(TRAIL_TOKEN_REVOKED), 1);
}

static void a_used_token_says_the_same(void **state)
{
    struct pair first = sign_in("spa");
    struct span next;

    (void)state;
    assert_int_equal(site_refresh(first.refresh, "spa", ""), 200);
    next = site_said("refresh_token");
    give_back("spa", first.refresh);
    assert_refusal(site_refresh(next, "spa", ""), "invalid_grant");
    assert_int_equal(number_of(&open_count), 0);
}

static void an_access_token_goes_alone(void **state)
{
    struct pair first = sign_in("spa");

    (void)state;
    give_back("spa", first.access);
    assert_int_equal(site_get("/whoami", first.access), 401);
    assert_int_equal(site_refresh(first.refresh, "spa", ""), 200);
    assert_int_equal(site_get("/whoami", site_said("access_token")), 200);
    assert_int_equal(site_get("/whoami", first.access), 401);
}

static void a_clients_own_token_goes_too(void **state)
{
    struct span token = machine_token();
    struct span other = machine_token();

    (void)state;
    assert_int_equal(site_get("/whoami", token), 200);
    assert_int_equal(site_get("/whoami", other), 200);
    give_back("web", token);
    assert_int_equal(site_get("/whoami", token), 401);
    assert_int_equal(site_get("/whoami", other), 200);
}

static void another_clients_token_is_left_alone(void **state)
{
    struct pair pair = sign_in("spa");

    (void)state;
    give_back("web", pair.refresh);
    give_back("web", pair.access);
    assert_int_equal(site_get("/whoami", pair.access), 200);
    assert_int_equal(site_refresh(pair.refresh, "spa", ""), 200);
    assert_int_equal(site_events(TRAIL_TOKEN_REVOKED), 0);
}

static void what_is_no_token_is_revoked_already(void **state)
{
    (void)state;
    give_back("web", SPAN_OF("unknown"));
    give_back("web", SPAN_OF("a.b.c"));
    give_back("web", SPAN_OF("eyJhbGciOiJub25lIn0.e30."));
    assert_int_equal(ask("/auth/revoke", "web", SPAN_OF("x"), "&token_type_hint=nonsense"), 200);
}

static void json_will_do(void **state)
{
    struct pair pair = sign_in("spa");
    char body[512];

    (void)state;
    (void)snprintf(body, sizeof(body), "{\"client_id\":\"spa\",\"token\":\"%.*s\"}",
                   SPAN_ARG(pair.refresh));
    assert_int_equal(site_json("/auth/revoke", body), 200);
    assert_int_equal(site_get("/whoami", pair.access), 401);
}

static void strangers_give_nothing_back(void **state)
{
    struct pair pair = sign_in("web");

    (void)state;
    assert_refusal(site_form("/auth/revoke", "", "token=x"), "invalid_client");
    assert_refusal(site_form("/auth/revoke", "", "token=x&client_id=web&client_secret=wrong"),
                   "invalid_client");
    assert_refusal(site_form("/auth/revoke", "", "client_id=web&client_secret=" SECRET),
                   "invalid_request");
    assert_refusal(site_form("/auth/revoke", "", "token=x&token=y&client_id=spa"),
                   "invalid_request");
    assert_int_equal(site_get("/whoami", pair.access), 200);
    assert_int_equal(site_events(TRAIL_CLIENT_REFUSED), 1);
}

/* ---- introspect -------------------------------------------------------------------------------
 */

static void introspect(struct span token)
{
    assert_int_equal(ask("/auth/introspect", "web", token, ""), 200);
}

static void assert_inactive(struct span token)
{
    introspect(token);
    if (!span_is(site_body(), "{\"active\":false}"))
        fail_msg("not inactive: %s", site.text);
}

static void a_live_token_is_told_about(void **state)
{
    struct pair pair = sign_in("spa");

    (void)state;
    introspect(pair.access);
    assert_said("active", "true");
    assert_said("scope", "accounts:read transactions:read");
    assert_said("client_id", "spa");
    assert_said("username", "anna");
    assert_said("token_type", "bearer");
    assert_said("exp", "1800000900");
    assert_said("iat", "1800000000");
    assert_said("aud", "services");
    assert_said("iss", ISSUER);
    assert_said("roles", "[\"customer\"]");
    assert_int_equal(site_said("jti").len, RANDOM_UUID_BYTES);
    assert_said("cnf", "");
    introspect(machine_token());
    assert_said("sub", "web");
    assert_said("username", "");
    assert_said("roles", "[\"payments\"]");
}

static void a_refresh_token_is_its_clients_to_ask_about(void **state)
{
    struct pair pair = sign_in("web");
    struct pair next;

    (void)state;
    introspect(pair.refresh);
    assert_said("active", "true");
    assert_said("token_type", "refresh_token");
    assert_said("exp", "1800604800");
    assert_said("username", "anna");
    assert_int_equal(ask("/auth/introspect", "slow", pair.refresh, ""), 200);
    assert_true(span_is(site_body(), "{\"active\":false}"));
    assert_int_equal(site_refresh(pair.refresh, "web", ""), 200);
    next = last();
    assert_inactive(pair.refresh);
    introspect(next.refresh);
    assert_said("active", "true");
    site_later(REFRESH_S);
    assert_inactive(next.refresh);
}

static void a_binding_is_told(void **state)
{
    struct pair pair;

    (void)state;
    site_with_certificate("CN=bank,O=Example", "print-1");
    pair = sign_in("bank");
    memset(&site_peer, 0, sizeof(site_peer));
    introspect(pair.access);
    assert_said("cnf", "{\"x5t#S256\":\"print-1\"}");
}

static void rights_are_those_of_now(void **state)
{
    struct pair pair = sign_in("spa");

    (void)state;
    kit_exec(bench.store, &less_scope);
    introspect(pair.access);
    assert_said("scope", "accounts:read");
}

static void what_is_not_live_is_inactive(void **state)
{
    struct pair pair = sign_in("spa");
    struct sbuf forged = sbuf_on(&bench.arena, 4096);

    (void)state;
    assert_inactive(SPAN_OF("unknown"));
    assert_inactive(SPAN_OF("a.b.c"));
    /* Of this issuer and signature, for somebody else. */
    assert_int_equal(crypto_jwt_sign(&keys.signers[1], SPAN_OF("at+jwt"),
                                     SPAN_OF("{\"iss\":\"" ISSUER "\",\"aud\":\"others\","
                                             "\"sub\":\"web\",\"client_id\":\"web\",\"scope\":\"\","
                                             "\"jti\":\"1\",\"iat\":1800000000,"
                                             "\"exp\":1800000060}"),
                                     &forged),
                     ERR_OK);
    assert_inactive(sbuf_span(&forged));
    give_back("spa", pair.access);
    assert_inactive(pair.access);
    assert_int_equal(site_refresh(pair.refresh, "spa", ""), 200);
    pair = last();
    introspect(pair.access);
    assert_said("active", "true");
    site_later(ACCESS_S + LEEWAY_S + 1);
    assert_inactive(pair.access);
}

static void whoever_is_shut_out_is_inactive(void **state)
{
    struct pair pair = sign_in("spa");

    (void)state;
    kit_exec(bench.store, &spa_after);
    assert_inactive(pair.access);
    site_later(2);
    pair = sign_in("spa");
    introspect(pair.access);
    assert_said("active", "true");
    kit_exec(bench.store, &spa_off);
    assert_inactive(pair.access);
    pair = sign_in("web");
    kit_exec(bench.store, &user_off);
    assert_inactive(pair.access);
    assert_inactive(pair.refresh);
}

static void only_who_proves_itself_may_ask(void **state)
{
    struct pair pair = sign_in("spa");

    (void)state;
    assert_refusal(ask("/auth/introspect", "spa", pair.access, ""), "invalid_client");
    assert_refusal(site_form("/auth/introspect", "", "token=x"), "invalid_client");
    assert_refusal(site_form("/auth/introspect", "", "token=x&client_id=web&client_secret=wrong"),
                   "invalid_client");
}

/* ---- whoami, health ---------------------------------------------------------------------------
 */

static void a_token_is_needed(void **state)
{
    struct pair pair = sign_in("spa");

    (void)state;
    assert_int_equal(site_get("/health", pair.access), 200);
    assert_true(span_is(site_body(), "{\"status\":\"ok\"}"));
    assert_int_equal(site_get("/health", SPAN_OF("x")), 401);
    assert_int_equal(site_get("/whoami", pair.refresh), 401);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        T(a_refresh_token_takes_its_grant_along),
        T(a_used_token_says_the_same),
        T(an_access_token_goes_alone),
        T(a_clients_own_token_goes_too),
        T(another_clients_token_is_left_alone),
        T(what_is_no_token_is_revoked_already),
        T(json_will_do),
        T(strangers_give_nothing_back),
        T(a_live_token_is_told_about),
        T(a_refresh_token_is_its_clients_to_ask_about),
        T(a_binding_is_told),
        T(rights_are_those_of_now),
        T(what_is_not_live_is_inactive),
        T(whoever_is_shut_out_is_inactive),
        T(only_who_proves_itself_may_ask),
        T(a_token_is_needed),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_revoke", tests, make_keys, free_keys);
}
