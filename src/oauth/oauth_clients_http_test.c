/* SPDX-License-Identifier: MIT
 * GET /auth/clients through the whole journey: who may ask, and what is told. */
#include "oauth/oauth_site_test_kit.h"

static const struct store_statement without_scopes = {
    .name = "test_without_scopes",
    .sqlite = "UPDATE oauth_clients SET scopes = 'accounts:read' WHERE client_id = 'auditor'"};

static enum err change_steps(struct store_conn *conn, void *context)
{
    (void)context;
    return store_exec(conn, &without_scopes, NULL, 0, NULL);
}

static struct span token_of(const char *client_id)
{
    char form[256];

    (void)snprintf(form, sizeof(form),
                   "grant_type=client_credentials&client_id=%s&client_secret=%s", client_id,
                   SECRET);
    assert_int_equal(site_token(form), 200);
    return site_said("access_token");
}

/* One who may read the trail; "web" may not. */
static struct span auditor(void)
{
    struct oauth_client client = {.client_id = SPAN("auditor"),
                                  .name = SPAN("The \"auditor\""),
                                  .method = OAUTH_METHOD_SECRET,
                                  .grants = SPAN("client_credentials"),
                                  .scopes = SPAN("audit:read monitoring:read")};

    assert_int_equal(oauth_secret_of(&random_system, SPAN_OF(SECRET), &client.secret), ERR_OK);
    assert_int_equal(writing(bench.store, site_client_steps, &client), ERR_OK);
    return token_of("auditor");
}

static void auditors_see_every_client(void **state)
{
    struct span token = auditor();

    (void)state;
    assert_int_equal(site_get("/auth/clients", token), 200);
    assert_non_null(strstr(site.text, "Content-Type: application/json\r\n"));
    assert_null(strstr(site.text, "\r\nLink: "));
    assert_true(span_starts(
        site_body(),
        SPAN_OF("[{\"client_id\":\"web\",\"client_name\":\"web\",\"scopes\":[\"openid\","
                "\"profile\",\"email\",\"offline_access\",\"accounts:read\","
                "\"transactions:read\"],\"roles\":[\"payments\"],\"created_at\":"
                "\"2027-01-15T08:00:00.000000Z\"},{\"client_id\":\"slow\"")));
    assert_true(span_ends(site_body(), SPAN_OF("{\"client_id\":\"auditor\",\"client_name\":\"The "
                                               "\\\"auditor\\\"\",\"scopes\":[\"audit:read\","
                                               "\"monitoring:read\"],\"roles\":[],\"created_at\":"
                                               "\"2027-01-15T08:00:00.000000Z\"}]")));
    assert_null(strstr(site.text, "secret"));
}

static void clients_come_page_by_page(void **state)
{
    struct span token = auditor();

    (void)state;
    assert_int_equal(site_get("/auth/clients?limit=4", token), 200);
    assert_non_null(strstr(site.text, "\r\nLink: </auth/clients?limit=4&cursor=4>; rel=\"next\""));
    assert_non_null(strstr(site.text, "\"client_id\":\"bank\""));
    assert_null(strstr(site.text, "\"client_id\":\"once\""));
    assert_int_equal(site_get("/auth/clients?limit=4&cursor=4", token), 200);
    assert_null(strstr(site.text, "\r\nLink: "));
    assert_true(span_starts(site_body(), SPAN_OF("[{\"client_id\":\"once\"")));
    assert_non_null(strstr(site.text, "\"client_id\":\"auditor\""));
    assert_int_equal(site_get("/auth/clients?cursor=100", token), 200);
    assert_true(span_is(site_body(), "[]"));
    assert_int_equal(site_get("/auth/clients?cursor=x", token), 422);
    assert_int_equal(site_get("/auth/clients?limit=0", token), 422);
    assert_int_equal(site_get("/auth/clients?limit=501", token), 422);
}

/* The scope decides, as the store has it now: a token outlives no right. */
static void others_see_none(void **state)
{
    struct span token = auditor();

    (void)state;
    assert_int_equal(site_get("/auth/clients", token_of("web")), 403);
    assert_non_null(strstr(site.text, "error=\"insufficient_scope\""));
    assert_non_null(strstr(site.text, "scope=\"audit:read\"\r\n"));
    assert_int_equal(site_get("/auth/clients", SPAN_OF("x.y.z")), 401);
    assert_int_equal(writing(bench.store, change_steps, NULL), ERR_OK);
    site_later(2); /* nobody feeds this engine: what it knew is stale */
    assert_int_equal(site_get("/auth/clients", token), 403);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        T(auditors_see_every_client),
        T(clients_come_page_by_page),
        T(others_see_none),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_clients_http", tests, make_keys, free_keys);
}
