/* SPDX-License-Identifier: MIT
 * Clients that proved themselves lately: what is kept of them lets in, and only that, and only
 * while nothing changed. */
#include "oauth/oauth_site_test_kit.h"

#define WEB    "grant_type=client_credentials&client_id=web&client_secret="
#define SECOND "another-secret-of-the-shop-0123456789012345"

static const struct store_statement narrow = {
    .name = "test_narrow",
    .sqlite = "UPDATE oauth_clients SET grants = 'password' WHERE client_id = 'web'"};
static const struct store_statement turn_off = {
    .name = "test_turn_off",
    .sqlite = "UPDATE oauth_clients SET is_active = FALSE WHERE client_id = 'web'"};
static const struct store_statement key_of_web = {
    .name = "test_key_of_web", .sqlite = "SELECT id FROM oauth_clients WHERE client_id = 'web'"};

static void feed_is_alive(void)
{
    http_engine_feed_alive(site.engine, clock_monotonic_ns(&site.clock.clock));
}

/* Its row says otherwise meanwhile, and nobody told: so it was not looked at. */
static void who_called_lately_is_not_looked_up(void **state)
{
    (void)state;
    feed_is_alive();
    assert_int_equal(site_token(WEB SECRET), 200);
    kit_exec(bench.store, &narrow);
    assert_int_equal(site_token(WEB SECRET), 200);
    http_forget_subject(site.engine, -number_of(&key_of_web));
    assert_refusal(site_token(WEB SECRET), "unauthorized_client");
}

static void without_the_feed_everybody_is_looked_up(void **state)
{
    (void)state;
    feed_is_alive();
    assert_int_equal(site_token(WEB SECRET), 200);
    kit_exec(bench.store, &narrow);
    clock_fake_move(&site.clock, 2 * CLOCK_NS_PER_S);
    assert_refusal(site_token(WEB SECRET), "unauthorized_client");
}

/* The commit looks for itself. */
static void a_client_disabled_meanwhile_gets_nothing(void **state)
{
    (void)state;
    feed_is_alive();
    assert_int_equal(site_token(WEB SECRET), 200);
    kit_exec(bench.store, &turn_off);
    assert_refusal(site_token(WEB SECRET), "invalid_client");
}

static enum err change_secret(struct store_conn *conn, void *context)
{
    struct oauth_secret secret;
    enum err err = oauth_secret_of(&random_system, SPAN_OF(SECOND), &secret);

    (void)context;
    return err ? err : oauth_client_set_secret(conn, SPAN_OF("web"), &secret, 0, T0 + 1);
}

/* What is kept never refuses: a new secret is good at once, a wrong one is wrong. */
static void a_new_secret_is_good_at_once(void **state)
{
    (void)state;
    feed_is_alive();
    assert_int_equal(site_token(WEB SECRET), 200);
    assert_refusal(site_token(WEB "wrong"), "invalid_client");
    assert_int_equal(writing(bench.store, change_secret, NULL), ERR_OK);
    assert_int_equal(site_token(WEB SECOND), 200);
    assert_refusal(site_token(WEB SECRET), "invalid_client");
}

/* Nor does it let in who would not be any more: the commit sees that the client was changed. */
static void an_old_secret_is_bad_at_once(void **state)
{
    (void)state;
    feed_is_alive();
    assert_int_equal(site_token(WEB SECRET), 200);
    assert_int_equal(writing(bench.store, change_secret, NULL), ERR_OK);
    assert_refusal(site_token(WEB SECRET), "invalid_client");
    assert_int_equal(site_token(WEB SECOND), 200);
}

/* Only who proved itself is kept. */
static void who_fails_is_not_kept(void **state)
{
    struct oauth_client client;
    uint32_t mark;

    (void)state;
    feed_is_alive();
    assert_refusal(site_token(WEB "wrong"), "invalid_client");
    assert_false(
        oauth_recent_find(site.oauth->recent, SPAN_OF("web"), &bench.arena, &client, &mark));
    assert_int_equal(site_token(WEB SECRET), 200);
    assert_true(
        oauth_recent_find(site.oauth->recent, SPAN_OF("web"), &bench.arena, &client, &mark));
    assert_int_equal(client.key, number_of(&key_of_web));
}

/* ---- the table --------------------------------------------------------------------------------
 */

static struct oauth_client with_texts(const char *id, struct span jwks)
{
    return (struct oauth_client){.client_id = span_from(id),
                                 .name = SPAN("Name"),
                                 .grants = SPAN("password"),
                                 .scopes = SPAN("openid profile"),
                                 .roles = SPAN("risk"),
                                 .redirect_uris = SPAN("https://a.example/"),
                                 .logout_uris = SPAN("https://b.example/"),
                                 .jwks = jwks,
                                 .tls_subject = SPAN("CN=x")};
}

static void what_is_kept_comes_back_whole(void **state)
{
    const struct oauth_client kept = with_texts("shop", SPAN_OF("{}"));
    struct oauth_client found;
    uint32_t mark = 0;

    (void)state;
    oauth_recent_keep(site.oauth->recent, &kept, 7);
    assert_true(
        oauth_recent_find(site.oauth->recent, SPAN_OF("shop"), &bench.arena, &found, &mark));
    assert_int_equal(mark, 7);
    assert_true(span_equal(found.client_id, kept.client_id));
    assert_true(span_equal(found.name, kept.name));
    assert_true(span_equal(found.grants, kept.grants));
    assert_true(span_equal(found.scopes, kept.scopes));
    assert_true(span_equal(found.roles, kept.roles));
    assert_true(span_equal(found.redirect_uris, kept.redirect_uris));
    assert_true(span_equal(found.logout_uris, kept.logout_uris));
    assert_true(span_equal(found.jwks, kept.jwks));
    assert_true(span_equal(found.tls_subject, kept.tls_subject));
    assert_false(
        oauth_recent_find(site.oauth->recent, SPAN_OF("shoq"), &bench.arena, &found, &mark));
}

/* Many newcomers take each other's places; whoever is found is who was asked for. */
static void the_table_stays_in_its_bounds(void **state)
{
    static char long_text[4096];
    struct oauth_client found;
    size_t still = 0;
    uint32_t mark;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        char id[16];
        struct oauth_client kept;

        (void)snprintf(id, sizeof(id), "client-%u", (unsigned)i);
        kept = with_texts(id, SPAN_OF(""));
        oauth_recent_keep(site.oauth->recent, &kept, i);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        char id[16];

        (void)snprintf(id, sizeof(id), "client-%u", (unsigned)i);
        if (!oauth_recent_find(site.oauth->recent, span_from(id), &bench.arena, &found, &mark))
            continue;
        still++;
        assert_int_equal(mark, i);
        assert_true(span_equal(found.client_id, span_from(id)));
    }
    assert_in_range(still, 64, 128);
    memset(long_text, 'k', sizeof(long_text));
    found = with_texts("long", span_make(long_text, sizeof(long_text)));
    oauth_recent_keep(site.oauth->recent, &found, 1);
    assert_false(
        oauth_recent_find(site.oauth->recent, SPAN_OF("long"), &bench.arena, &found, &mark));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        T(who_called_lately_is_not_looked_up),
        T(without_the_feed_everybody_is_looked_up),
        T(a_client_disabled_meanwhile_gets_nothing),
        T(a_new_secret_is_good_at_once),
        T(an_old_secret_is_bad_at_once),
        T(who_fails_is_not_kept),
        T(what_is_kept_comes_back_whole),
        T(the_table_stays_in_its_bounds),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_recent", tests, make_keys, free_keys);
}
