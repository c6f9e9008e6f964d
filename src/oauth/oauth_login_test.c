/* SPDX-License-Identifier: MIT
 * Browsers that are signed in, and what their users agreed to, on both databases. */
#include "auth/auth_test_kit.h"
#include "oauth/oauth_page_priv.h"

enum { LOGIN_S = 3600, GRANTS = 70 }; /* more than are ended at once */
#define FIRST  "11111111-1111-4111-8111-111111111111"
#define SECOND "22222222-2222-4222-8222-222222222222"

static const struct span cookie = SPAN("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
static const struct span other = SPAN("BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB");

static const struct store_statement client_add = {
    .name = "test_client_add",
    .sqlite = "INSERT INTO oauth_clients (client_id, client_name, auth_method, grants, scopes, "
              "roles, created_at, updated_at) VALUES ('web', 'Web', 'none', '', '', '', 0, 0)"};
static const struct store_statement client_key = {.name = "test_client_key",
                                                  .sqlite = "SELECT id FROM oauth_clients"};
static const struct store_statement open_grants = {
    .name = "test_open_grants",
    .sqlite = "SELECT count(*) FROM sessions WHERE client = 'web' AND ended_at IS NULL"};
static const struct store_statement open_logins = {
    .name = "test_open_logins",
    .sqlite = "SELECT count(*) FROM sessions WHERE client = 'browser' AND ended_at IS NULL"};
static const struct store_statement codes_left = {.name = "test_codes",
                                                  .sqlite = "SELECT count(*) FROM oauth_codes"};
static const struct store_statement plain_cookies = {
    .name = "test_plain_cookies",
    .sqlite = "SELECT count(*) FROM oauth_logins WHERE length(hash) <> 32"};

struct story {
    int64_t user_id, client_key, now_ns;
    struct span cookie, session_id, scope;
    struct oauth_login found;
    bool deactivates;
};

static struct story begin(void)
{
    kit_exec(bench.store, &client_add);
    return (struct story){.user_id = create("anna", "anna@example.com", false),
                          .client_key = number_of(&client_key),
                          .now_ns = T0,
                          .cookie = cookie,
                          .session_id = SPAN(FIRST)};
}

static enum err open_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;
    const struct oauth_login login = {
        .session_id = story->session_id, .user_id = story->user_id, .auth_at_ns = T0};
    unsigned char hash[OAUTH_HASH_BYTES];

    oauth_token_hash(story->cookie, hash);
    return oauth_login_open(conn, hash, &login, SPAN_OF("192.0.2.1"), story->now_ns,
                            T0 + LOGIN_S * CLOCK_NS_PER_S);
}

static enum err find_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_login_find(conn, story->cookie, story->now_ns, &bench.arena, &story->found);
}

static void must_find(struct story *story, enum err expected)
{
    assert_int_equal(reading(bench.store, find_steps, story), expected);
}

static enum err grants_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;
    struct oauth_code code = {.client_key = story->client_key,
                              .user_id = story->user_id,
                              .login_session = story->session_id,
                              .redirect_uri = SPAN("https://web.example/cb"),
                              .challenge = SPAN("c"),
                              .scope = SPAN("openid"),
                              .expires_at_ns = T0 + 60 * CLOCK_NS_PER_S};
    unsigned char hash[OAUTH_HASH_BYTES] = {1};

    for (size_t i = 0; i < GRANTS; i++) {
        char id[AUTH_ID_BYTES];
        const struct oauth_grant grant = {.session_id = span_make(id, sizeof(id)),
                                          .client_id = SPAN("web"),
                                          .client_key = story->client_key,
                                          .user_id = story->user_id,
                                          .login_session = story->session_id,
                                          .scope = SPAN("openid"),
                                          .expires_at_ns = T0 + LOGIN_S * CLOCK_NS_PER_S};
        enum err err;

        random_uuid(&random_system, id);
        err = oauth_grant_open(conn, &grant, NULL, T0);
        if (err)
            return err;
    }
    return oauth_code_add(conn, hash, &code, T0);
}

static enum err end_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_login_end(conn, &story->found, story->now_ns);
}

static enum err renew_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_login_renew(conn, &story->found, SPAN_OF(SECOND), story->now_ns);
}

static enum err user_end_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;
    const struct auth_user_change change = {.sets_active = true};
    struct auth_user user;

    if (story->deactivates)
        return auth_user_update(conn, story->user_id, &change, T0, &bench.arena, &user);
    return auth_user_set_password(conn, story->user_id, SPAN_OF("another hash"), T0);
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void a_cookie_finds_its_login(void **state)
{
    struct story story = begin();

    (void)state;
    must_find(&story, ERR_NOT_FOUND);
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    must_find(&story, ERR_OK);
    assert_int_equal(story.found.user_id, story.user_id);
    assert_int_equal(story.found.auth_at_ns, T0);
    assert_true(span_is(story.found.username, "anna"));
    assert_true(span_is(story.found.session_id, FIRST));
    assert_int_equal(number_of(&plain_cookies), 0);
    story.cookie = other;
    must_find(&story, ERR_NOT_FOUND);
    story.cookie = (struct span){0};
    must_find(&story, ERR_NOT_FOUND);
}

static void a_login_has_its_time(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    story.now_ns = T0 + LOGIN_S * CLOCK_NS_PER_S - 1;
    must_find(&story, ERR_OK);
    story.now_ns++;
    must_find(&story, ERR_NOT_FOUND);
}

static void what_ends_a_user_ends_the_login(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    assert_int_equal(writing(bench.store, user_end_steps, &story), ERR_OK);
    must_find(&story, ERR_NOT_FOUND);
    story.cookie = other;
    story.session_id = SPAN_OF(SECOND);
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    must_find(&story, ERR_OK);
    story.deactivates = true;
    assert_int_equal(writing(bench.store, user_end_steps, &story), ERR_OK);
    must_find(&story, ERR_NOT_FOUND);
}

/* Signing out ends what came from this login, however much that is, and nothing else. */
static void signing_out_ends_what_came_from_it(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    assert_int_equal(writing(bench.store, grants_steps, &story), ERR_OK);
    story.cookie = other;
    story.session_id = SPAN_OF(SECOND);
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    must_find(&story, ERR_OK);
    assert_int_equal(writing(bench.store, end_steps, &story), ERR_OK);
    assert_int_equal(number_of(&open_grants), GRANTS);
    assert_int_equal(number_of(&open_logins), 1);
    assert_int_equal(number_of(&codes_left), 1);
    story.cookie = cookie;
    must_find(&story, ERR_OK);
    assert_int_equal(writing(bench.store, end_steps, &story), ERR_OK);
    assert_int_equal(number_of(&open_grants), 0);
    assert_int_equal(number_of(&open_logins), 0);
    assert_int_equal(number_of(&codes_left), 0);
    must_find(&story, ERR_NOT_FOUND);
}

/* A further login of the same user takes over, so that signing out later still ends everything. */
static void a_new_login_takes_over(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    assert_int_equal(writing(bench.store, grants_steps, &story), ERR_OK);
    must_find(&story, ERR_OK);
    story.session_id = SPAN_OF(SECOND);
    story.cookie = other;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    assert_int_equal(writing(bench.store, renew_steps, &story), ERR_OK);
    assert_int_equal(number_of(&open_grants), GRANTS);
    assert_int_equal(number_of(&open_logins), 1);
    assert_int_equal(number_of(&codes_left), 1);
    story.cookie = cookie;
    must_find(&story, ERR_NOT_FOUND);
    story.cookie = other;
    must_find(&story, ERR_OK);
    assert_int_equal(writing(bench.store, end_steps, &story), ERR_OK);
    assert_int_equal(number_of(&open_grants), 0);
    assert_int_equal(number_of(&codes_left), 0);
}

/* ---- consent ----------------------------------------------------------------------------------
 */

static enum err consent_add_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_consent_add(conn, story->user_id, story->client_key, story->scope, story->now_ns,
                             &bench.arena);
}

static enum err consent_find_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_consent_find(conn, story->user_id, story->client_key, &bench.arena, &story->scope);
}

static void consent_adds_up(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(reading(bench.store, consent_find_steps, &story), ERR_OK);
    assert_int_equal(story.scope.len, 0);
    story.scope = SPAN_OF("openid profile");
    assert_int_equal(writing(bench.store, consent_add_steps, &story), ERR_OK);
    story.scope = SPAN_OF("email openid");
    assert_int_equal(writing(bench.store, consent_add_steps, &story), ERR_OK);
    assert_int_equal(reading(bench.store, consent_find_steps, &story), ERR_OK);
    assert_true(span_is(story.scope, "openid profile email"));
    story.user_id = create("bob", "bob@example.com", false);
    assert_int_equal(reading(bench.store, consent_find_steps, &story), ERR_OK);
    assert_int_equal(story.scope.len, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(a_cookie_finds_its_login),        T(a_login_has_its_time),
        T(what_ends_a_user_ends_the_login), T(signing_out_ends_what_came_from_it),
        T(a_new_login_takes_over),          T(consent_adds_up),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_login", tests, NULL, NULL);
}
