/* SPDX-License-Identifier: MIT
 * Refresh tokens through the whole journey: rotation, the lost reply, the thief, and those who keep
 * theirs. */
#include "oauth/oauth_site_test_kit.h"

static const struct store_statement open_count = {
    .name = "test_open",
    .sqlite = "SELECT count(*) FROM sessions WHERE ended_at IS NULL AND client <> 'browser'"};
static const struct store_statement less_scope = {
    .name = "test_less_scope",
    .sqlite = "UPDATE oauth_clients SET scopes = 'accounts:read' WHERE client_id = 'web'"};
static const struct store_statement user_off = {.name = "test_user_off",
                                                .sqlite = "UPDATE users SET is_active = FALSE"};
static const struct store_statement bank_bearer = {
    .name = "test_bank_bearer",
    .sqlite = "UPDATE oauth_clients SET is_bound = FALSE WHERE client_id = 'bank'"};

/* The tokens of a new grant. */
struct pair {
    struct span access, refresh;
};

static struct pair last(void)
{
    return (struct pair){.access = site_said("access_token"),
                         .refresh = site_said("refresh_token")};
}

static struct pair sign_in(const char *client, const char *scope)
{
    struct site_code code = site_code(client, scope);

    assert_int_equal(site_exchange(code.text, client, NULL, NULL), 200);
    return last();
}

static struct span body_now(void)
{
    return arena_copy(&bench.arena, site_body());
}

static void a_refresh_token_gives_the_next(void **state)
{
    struct pair first = sign_in("spa", "openid accounts:read transactions:read");
    struct pair next;

    (void)state;
    assert_int_equal(site_refresh(first.refresh, "spa", ""), 200);
    assert_said("scope", "openid accounts:read transactions:read");
    assert_said("token_type", "bearer");
    assert_said("expires_in", "900");
    assert_true(site_said("id_token").len > 100);
    next = last();
    assert_false(span_equal(first.refresh, next.refresh));
    assert_int_equal(site_get("/whoami", next.access), 200);
    assert_int_equal(site_get("/whoami", first.access), 200); /* it lives out its time */
    assert_int_equal(site_refresh(next.refresh, "spa", ""), 200);
    assert_int_equal(site_events(TRAIL_TOKEN_REFRESHED), 2);
    assert_int_equal(number_of(&open_count), 1);
}

static void the_grant_works_as_well(void **state)
{
    struct pair first = sign_in("web", "accounts:read");
    char form[512];

    (void)state;
    (void)snprintf(form, sizeof(form),
                   "grant_type=refresh_token&client_id=web&client_secret=" SECRET
                   "&refresh_token=%.*s",
                   SPAN_ARG(first.refresh));
    assert_int_equal(site_token(form), 200);
    assert_int_equal(site_refresh(last().refresh, "web", ""), 200);
}

/* The reply was lost: whoever asks again gets the very same bytes, as often as needed. */
static void a_lost_reply_comes_again(void **state)
{
    struct pair first = sign_in("spa", "accounts:read");
    struct span body;

    (void)state;
    assert_int_equal(site_refresh(first.refresh, "spa", ""), 200);
    body = body_now();
    for (int i = 0; i < 3; i++) {
        site_later(3);
        assert_int_equal(site_refresh(first.refresh, "spa", ""), 200);
        assert_true(span_equal(site_body(), body));
    }
    assert_int_equal(site_refresh(site_said("refresh_token"), "spa", ""), 200);
    assert_int_equal(number_of(&open_count), 1);
    assert_int_equal(site_events(TRAIL_TOKEN_REFRESHED), 5); /* a thief would be as quick */
}

/* The same token for something else is no lost reply, and no proof of theft either. */
static void another_request_is_no_repetition(void **state)
{
    struct pair first = sign_in("spa", "accounts:read transactions:read");

    (void)state;
    assert_int_equal(site_refresh(first.refresh, "spa", ",\"scope\":\"accounts:read\""), 200);
    assert_refusal(site_refresh(first.refresh, "spa", ""), "invalid_grant");
    assert_refusal(
        site_refresh(first.refresh, "spa", ",\"scope\":\"accounts:read\",\"expires_in\":60"),
        "invalid_grant");
    assert_int_equal(site_refresh(first.refresh, "spa", ",\"scope\":\"accounts:read\""), 200);
    assert_int_equal(number_of(&open_count), 1);
}

static void a_thief_ends_the_grant(void **state)
{
    struct pair first = sign_in("spa", "accounts:read");
    struct pair next;

    (void)state;
    assert_int_equal(site_refresh(first.refresh, "spa", ""), 200);
    next = last();
    site_later(GRACE_S);
    site_hear_of_changes();
    assert_int_equal(site_get("/whoami", next.access), 200); /* and is cached */
    assert_refusal(site_refresh(first.refresh, "spa", ""), "invalid_grant");
    assert_int_equal(site_get("/whoami", next.access), 401);
    assert_int_equal(site_get("/whoami", first.access), 401);
    assert_refusal(site_refresh(next.refresh, "spa", ""), "invalid_grant");
    assert_int_equal(site_events(TRAIL_TOKEN_REUSED), 1);
    assert_refusal(site_refresh(first.refresh, "spa", ""), "invalid_grant");
    assert_int_equal(site_events(TRAIL_TOKEN_REUSED), 1); /* it is over already */
    assert_int_equal(number_of(&open_count), 0);
}

/* Another client may have found the token: it learns nothing and ends nothing. */
static void a_token_is_its_clients(void **state)
{
    struct pair first = sign_in("spa", "accounts:read");

    (void)state;
    assert_refusal(site_refresh(first.refresh, "web", ""), "invalid_grant");
    assert_int_equal(site_refresh(first.refresh, "spa", ""), 200);
    site_later(GRACE_S + 1);
    assert_refusal(site_refresh(first.refresh, "web", ""), "invalid_grant");
    assert_int_equal(number_of(&open_count), 1);
    assert_refusal(site_refresh(SPAN_OF("no-such-token"), "spa", ""), "invalid_grant");
    assert_refusal(site_refresh(first.access, "spa", ""), "invalid_grant");
}

static void a_confidential_client_proves_itself(void **state)
{
    struct pair first = sign_in("web", "accounts:read");
    char body[512];

    (void)state;
    (void)snprintf(body, sizeof(body), "{\"refresh_token\":\"%.*s\",\"client_id\":\"web\"}",
                   SPAN_ARG(first.refresh));
    assert_refusal(site_json("/auth/refresh", body), "invalid_client");
    (void)snprintf(body, sizeof(body), "{\"refresh_token\":\"%.*s\"}", SPAN_ARG(first.refresh));
    assert_refusal(site_json("/auth/refresh", body), "invalid_client");
    assert_int_equal(site_refresh(first.refresh, "web", ""), 200);
}

static void less_may_be_asked_for(void **state)
{
    static const struct {
        const char *more, *scope, *expires_in;
    } rows[] = {
        {",\"scope\":\"accounts:read\"", "accounts:read", "900"},
        {",\"expires_in\":60", "accounts:read transactions:read", "60"},
        {",\"expires_in\":1", "accounts:read transactions:read", "1"},
        {",\"expires_in\":86400", "accounts:read transactions:read", "900"},
        {"", "accounts:read transactions:read", "900"}, /* what was granted stays granted */
    };
    struct pair now = sign_in("spa", "accounts:read transactions:read");

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        assert_int_equal(site_refresh(now.refresh, "spa", rows[i].more), 200);
        assert_said("scope", rows[i].scope);
        assert_said("expires_in", rows[i].expires_in);
        now = last();
    }
}

static void more_may_not(void **state)
{
    static const struct {
        const char *more, *error;
    } rows[] = {
        {",\"scope\":\"accounts:read openid\"", "invalid_scope"},
        {",\"scope\":\"profile\"", "invalid_scope"},
        {",\"scope\":\"accounts:read accounts:read\"", "invalid_scope"},
        {",\"expires_in\":0", "invalid_request"},
        {",\"expires_in\":-1", "invalid_request"},
        {",\"expires_in\":1.5", "invalid_request"},
        {",\"scope\":7", "invalid_request"},
    };
    struct pair first = sign_in("spa", "accounts:read");

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++)
        assert_refusal(site_refresh(first.refresh, "spa", rows[i].more), rows[i].error);
    assert_refusal(site_json("/auth/refresh", "{\"client_id\":\"spa\"}"), "invalid_request");
    assert_refusal(site_json("/auth/refresh", "{"), "invalid_request");
    assert_int_equal(site_refresh(first.refresh, "spa", ""), 200); /* and none of it used it */
}

/* What the client or the user may no longer have is not in the next token. */
static void rights_are_those_of_now(void **state)
{
    struct pair first = sign_in("web", "accounts:read transactions:read");

    (void)state;
    kit_exec(bench.store, &less_scope);
    http_forget_subject(site.engine, 0); /* as the feed would */
    assert_int_equal(site_refresh(first.refresh, "web", ""), 200);
    assert_said("scope", "accounts:read");
    first = last();
    assert_refusal(site_refresh(first.refresh, "web", ",\"scope\":\"transactions:read\""),
                   "invalid_scope");
    kit_exec(bench.store, &user_off);
    assert_refusal(site_refresh(first.refresh, "web", ""), "invalid_grant");
}

static void an_unused_grant_runs_out(void **state)
{
    struct pair first = sign_in("spa", "accounts:read");

    (void)state;
    site_later(REFRESH_S - 1);
    assert_int_equal(site_refresh(first.refresh, "spa", ""), 200);
    first = last();
    site_later(REFRESH_S - 1); /* from the last use */
    assert_int_equal(site_refresh(first.refresh, "spa", ""), 200);
    first = last();
    site_later(REFRESH_S);
    assert_refusal(site_refresh(first.refresh, "spa", ""), "invalid_grant");
}

/* ---- bound clients ----------------------------------------------------------------------------
 */

static void a_bound_client_keeps_its_token(void **state)
{
    struct pair first;

    (void)state;
    site_with_certificate("CN=bank,O=Example", "print-1");
    first = sign_in("bank", "accounts:read");
    for (int i = 0; i < 3; i++) {
        site_later(60);
        assert_int_equal(site_refresh(first.refresh, "bank", ""), 200);
        assert_true(span_equal(site_said("refresh_token"), first.refresh));
        assert_int_equal(site_get("/whoami", site_said("access_token")), 200);
    }
    site_later(REFRESH_S - 1);
    assert_int_equal(site_refresh(first.refresh, "bank", ""), 200);
}

static void another_certificate_does_not_do(void **state)
{
    struct pair first;

    (void)state;
    site_with_certificate("CN=bank,O=Example", "print-1");
    first = sign_in("bank", "accounts:read");
    site_with_certificate("CN=bank,O=Example", "print-2");
    assert_refusal(site_refresh(first.refresh, "bank", ""), "invalid_grant");
    site_with_certificate("CN=other,O=Example", "print-1");
    assert_refusal(site_refresh(first.refresh, "bank", ""), "invalid_client");
    site_with_certificate("CN=bank,O=Example", "print-1");
    assert_int_equal(site_refresh(first.refresh, "bank", ""), 200);
    /* What was bound stays bound, whatever becomes of the client. */
    kit_exec(bench.store, &bank_bearer);
    assert_int_equal(site_refresh(first.refresh, "bank", ""), 200);
    site_with_certificate("CN=bank,O=Example", "print-2");
    assert_int_equal(site_get("/whoami", site_said("access_token")), 401);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        T(a_refresh_token_gives_the_next),
        T(the_grant_works_as_well),
        T(a_lost_reply_comes_again),
        T(another_request_is_no_repetition),
        T(a_thief_ends_the_grant),
        T(a_token_is_its_clients),
        T(a_confidential_client_proves_itself),
        T(less_may_be_asked_for),
        T(more_may_not),
        T(rights_are_those_of_now),
        T(an_unused_grant_runs_out),
        T(a_bound_client_keeps_its_token),
        T(another_certificate_does_not_do),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_refresh", tests, make_keys, free_keys);
}
