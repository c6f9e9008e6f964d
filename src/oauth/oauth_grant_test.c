/* SPDX-License-Identifier: MIT
 * Codes, grants and refresh tokens on both databases: each works once, for as long as what it hangs
 * on lives, and nothing is half done. */
#include "auth/auth_test_kit.h"
#include "oauth/oauth_priv.h"

enum { REFRESH_S = 7 * 86400, GRACE_S = 10 };
#define SESSION "0c5f2a5e-8f0e-4f0e-9c55-6f1c3e1b2a77"
#define LOGIN   "5d1a4a0e-2f57-4f2c-a7a1-7b5a2f6f2b11"

static const struct store_statement client_add = {
    .name = "test_client_add",
    .sqlite = "INSERT INTO oauth_clients (client_id, client_name, auth_method, grants, scopes, "
              "roles, created_at, updated_at) VALUES ('web', 'Web', 'none', '', '', '', 0, 0)"};
static const struct store_statement client_key = {.name = "test_client_key",
                                                  .sqlite = "SELECT id FROM oauth_clients"};
static const struct store_statement client_off = {
    .name = "test_client_off", .sqlite = "UPDATE oauth_clients SET is_active = FALSE"};
static const struct store_statement user_off = {.name = "test_user_off",
                                                .sqlite = "UPDATE users SET is_active = FALSE"};
static const struct store_statement login_gone = {
    .name = "test_login_gone", .sqlite = "DELETE FROM sessions WHERE client = 'browser'"};
static const struct store_statement tokens_count = {
    .name = "test_tokens", .sqlite = "SELECT count(*) FROM oauth_refresh_tokens"};
static const struct store_statement open_count = {
    .name = "test_open", .sqlite = "SELECT count(*) FROM sessions WHERE ended_at IS NULL"};
static const struct store_statement changes_count = {
    .name = "test_changes", .sqlite = "SELECT count(*) FROM identity_changes"};
static const struct store_statement revoked_count = {
    .name = "test_revoked", .sqlite = "SELECT count(*) FROM oauth_revoked"};
static const struct store_statement expiry = {
    .name = "test_expiry", .sqlite = "SELECT max(expires_at) FROM sessions WHERE client = 'web'"};

/* What the steps below need. */
struct story {
    unsigned char hash[OAUTH_HASH_BYTES], next[OAUTH_HASH_BYTES];
    struct oauth_code code, found_code;
    struct oauth_grant grant;
    struct oauth_refresh found;
    int64_t now_ns;
};

static enum err login_steps(struct store_conn *conn, void *context)
{
    const struct story *story = context;
    const struct auth_session_new session = {.id = SPAN(LOGIN),
                                             .user_id = story->grant.user_id,
                                             .client = SPAN("browser"),
                                             .expires_at_ns = T0 + REFRESH_S * CLOCK_NS_PER_S};

    return auth_session_add(conn, &session, T0);
}

static struct story begin(void)
{
    struct story story = {.now_ns = T0};
    int64_t user_id = create("anna", "anna@example.com", false);

    kit_exec(bench.store, &client_add);
    memset(story.hash, 1, sizeof(story.hash));
    memset(story.next, 2, sizeof(story.next));
    story.code = (struct oauth_code){.client_key = number_of(&client_key),
                                     .user_id = user_id,
                                     .login_session = SPAN(LOGIN),
                                     .redirect_uri = SPAN("https://web.example/cb"),
                                     .challenge = SPAN("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw"),
                                     .scope = SPAN("openid profile"),
                                     .nonce = SPAN("n-1"),
                                     .auth_at_ns = T0 - 5,
                                     .expires_at_ns = T0 + 60 * CLOCK_NS_PER_S};
    story.grant = (struct oauth_grant){.session_id = SPAN(SESSION),
                                       .client_id = SPAN("web"),
                                       .client_key = story.code.client_key,
                                       .user_id = user_id,
                                       .login_session = SPAN(LOGIN),
                                       .scope = SPAN("openid profile"),
                                       .thumbprint = SPAN("print"),
                                       .address = SPAN("192.0.2.1"),
                                       .auth_at_ns = T0 - 5,
                                       .expires_at_ns = T0 + REFRESH_S * CLOCK_NS_PER_S};
    assert_int_equal(writing(bench.store, login_steps, &story), ERR_OK);
    return story;
}

static enum err code_add_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_code_add(conn, story->hash, &story->code, T0);
}

static enum err code_find_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_code_find(conn, story->hash, &bench.arena, &story->found_code);
}

static enum err code_use_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_code_use(conn, story->hash, story->grant.session_id, story->now_ns);
}

static enum err code_burn_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_code_use(conn, story->hash, (struct span){0}, story->now_ns);
}

static enum err open_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_grant_open(conn, &story->grant, story->hash, story->now_ns);
}

static enum err open_without_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_grant_open(conn, &story->grant, NULL, story->now_ns);
}

static enum err find_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_refresh_find(conn, story->hash, story->now_ns, &bench.arena, &story->found);
}

static enum err use_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_refresh_use(conn, story->hash, &story->grant, story->next, SPAN_OF("sealed"),
                             story->now_ns + GRACE_S * CLOCK_NS_PER_S, story->now_ns);
}

static enum err keep_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_refresh_keep(conn, story->hash, &story->grant);
}

static enum err end_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_grant_end(conn, story->grant.session_id, story->grant.user_id, "revoked",
                           story->now_ns);
}

static enum err logout_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return auth_session_end(conn, SPAN_OF(LOGIN), story->grant.user_id, "logout", story->now_ns);
}

/* ---- codes ------------------------------------------------------------------------------------
 */

static void a_code_comes_back_as_it_was(void **state)
{
    struct story story = begin();
    const struct oauth_code *found = &story.found_code;

    (void)state;
    assert_int_equal(reading(bench.store, code_find_steps, &story), ERR_NOT_FOUND);
    assert_int_equal(writing(bench.store, code_add_steps, &story), ERR_OK);
    assert_int_equal(reading(bench.store, code_find_steps, &story), ERR_OK);
    assert_int_equal(found->client_key, story.code.client_key);
    assert_int_equal(found->user_id, story.code.user_id);
    assert_true(span_is(found->login_session, LOGIN));
    assert_true(span_equal(found->redirect_uri, story.code.redirect_uri));
    assert_true(span_equal(found->challenge, story.code.challenge));
    assert_true(span_is(found->scope, "openid profile"));
    assert_true(span_is(found->nonce, "n-1"));
    assert_int_equal(found->auth_at_ns, T0 - 5);
    assert_int_equal(found->expires_at_ns, story.code.expires_at_ns);
    assert_true(span_is(found->roles, "customer"));
    assert_false(found->used);
    assert_false(found->is_over);
    assert_int_equal(found->session_id.len, 0);
}

static void a_code_is_used_once(void **state)
{
    struct story story = begin();

    (void)state;
    story.code.nonce = (struct span){0};
    assert_int_equal(writing(bench.store, code_use_steps, &story), ERR_CONFLICT); /* none yet */
    assert_int_equal(writing(bench.store, code_add_steps, &story), ERR_OK);
    assert_int_equal(writing(bench.store, code_use_steps, &story), ERR_OK);
    assert_int_equal(reading(bench.store, code_find_steps, &story), ERR_OK);
    assert_true(story.found_code.used);
    assert_true(span_is(story.found_code.session_id, SESSION));
    assert_int_equal(story.found_code.nonce.len, 0);
    assert_int_equal(writing(bench.store, code_use_steps, &story), ERR_CONFLICT);
    assert_int_equal(writing(bench.store, code_burn_steps, &story), ERR_CONFLICT);
}

static void a_burnt_code_gave_nothing(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, code_add_steps, &story), ERR_OK);
    assert_int_equal(writing(bench.store, code_burn_steps, &story), ERR_OK);
    assert_int_equal(reading(bench.store, code_find_steps, &story), ERR_OK);
    assert_true(story.found_code.used);
    assert_int_equal(story.found_code.session_id.len, 0);
    assert_int_equal(writing(bench.store, code_use_steps, &story), ERR_CONFLICT);
}

/* Who signs out, or is shut out, between the page and the exchange, gets nothing. */
static void a_code_hangs_on_its_login(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, code_add_steps, &story), ERR_OK);
    assert_int_equal(writing(bench.store, logout_steps, &story), ERR_OK);
    assert_int_equal(reading(bench.store, code_find_steps, &story), ERR_OK);
    assert_true(story.found_code.is_over);
    kit_exec(bench.store, &login_gone);
    assert_int_equal(reading(bench.store, code_find_steps, &story), ERR_OK);
    assert_true(story.found_code.is_over);
}

static void a_code_hangs_on_its_user(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, code_add_steps, &story), ERR_OK);
    kit_exec(bench.store, &user_off);
    assert_int_equal(reading(bench.store, code_find_steps, &story), ERR_OK);
    assert_true(story.found_code.is_over);
}

/* ---- grants -----------------------------------------------------------------------------------
 */

static void a_grant_comes_back_with_its_token(void **state)
{
    struct story story = begin();
    const struct oauth_grant *found = &story.found.grant;

    (void)state;
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_NOT_FOUND);
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_OK);
    assert_true(span_is(found->session_id, SESSION));
    assert_true(span_is(found->client_id, "web"));
    assert_int_equal(found->client_key, story.grant.client_key);
    assert_int_equal(found->user_id, story.grant.user_id);
    assert_true(span_is(found->login_session, LOGIN));
    assert_true(span_is(found->scope, "openid profile"));
    assert_true(span_is(found->thumbprint, "print"));
    assert_true(span_is(found->address, "192.0.2.1"));
    assert_true(span_is(found->roles, "customer"));
    assert_int_equal(found->auth_at_ns, T0 - 5);
    assert_int_equal(found->expires_at_ns, story.grant.expires_at_ns);
    assert_false(found->is_over);
    assert_false(story.found.used);
    assert_int_equal(story.found.expires_at_ns, story.grant.expires_at_ns);
    assert_int_equal(number_of(&changes_count), 0); /* nobody need hear of it */
}

static void a_grant_may_be_bare(void **state)
{
    struct story story = begin();

    (void)state;
    story.grant.login_session = story.grant.thumbprint = (struct span){0};
    assert_int_equal(writing(bench.store, open_without_steps, &story), ERR_OK);
    assert_int_equal(number_of(&tokens_count), 0);
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_NOT_FOUND);
    assert_int_equal(number_of(&open_count), 2);
}

static void assert_over(struct story *story)
{
    assert_int_equal(reading(bench.store, find_steps, story), ERR_OK);
    assert_true(story->found.grant.is_over);
}

static void what_ends_a_grant(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    story.now_ns = story.grant.expires_at_ns;
    assert_over(&story);
    story.now_ns -= 1;
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_OK);
    assert_false(story.found.grant.is_over);
    assert_int_equal(writing(bench.store, end_steps, &story), ERR_OK);
    assert_over(&story);
    assert_int_equal(number_of(&changes_count), 1); /* everybody hears of it */
}

static void a_grant_hangs_on_its_user(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    kit_exec(bench.store, &user_off);
    assert_over(&story);
}

static void a_grant_hangs_on_its_client(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    kit_exec(bench.store, &client_off);
    assert_over(&story);
}

/* ---- refresh tokens ---------------------------------------------------------------------------
 */

static void a_refresh_token_is_used_once(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    story.now_ns += 60 * CLOCK_NS_PER_S;
    story.grant.expires_at_ns += 60 * CLOCK_NS_PER_S;
    assert_int_equal(writing(bench.store, use_steps, &story), ERR_OK);
    assert_int_equal(writing(bench.store, use_steps, &story), ERR_CONFLICT);
    assert_int_equal(writing(bench.store, keep_steps, &story), ERR_CONFLICT);
    assert_int_equal(number_of(&tokens_count), 2);
    assert_int_equal(number_of(&expiry), story.grant.expires_at_ns); /* the grant lives on */
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_OK);
    assert_true(story.found.used);
    assert_int_equal(story.found.grace_until_ns, story.now_ns + GRACE_S * CLOCK_NS_PER_S);
    assert_true(span_is(story.found.sealed_reply, "sealed"));
    assert_int_equal(story.found.expires_at_ns, T0 + REFRESH_S * CLOCK_NS_PER_S);

    memcpy(story.hash, story.next, sizeof(story.hash));
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_OK);
    assert_false(story.found.used);
    assert_int_equal(story.found.sealed_reply.len, 0);
    assert_int_equal(story.found.expires_at_ns, story.grant.expires_at_ns);
    assert_true(span_is(story.found.grant.session_id, SESSION));
}

static void a_kept_token_lives_on(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    story.grant.expires_at_ns += 60 * CLOCK_NS_PER_S;
    assert_int_equal(writing(bench.store, keep_steps, &story), ERR_OK);
    assert_int_equal(writing(bench.store, keep_steps, &story), ERR_OK);
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_OK);
    assert_false(story.found.used);
    assert_int_equal(story.found.expires_at_ns, story.grant.expires_at_ns);
    assert_int_equal(number_of(&expiry), story.grant.expires_at_ns);
    assert_int_equal(number_of(&tokens_count), 1);
}

/* ---- access tokens ----------------------------------------------------------------------------
 */

static enum err revoke_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_access_revoke(conn, SPAN_OF("jti-1"), -story->grant.client_key, T0 + 1, T0);
}

static void an_access_token_is_revoked_by_its_id(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, revoke_steps, &story), ERR_OK);
    assert_int_equal(writing(bench.store, revoke_steps, &story), ERR_OK); /* again is no harm */
    assert_int_equal(number_of(&revoked_count), 1);
    assert_int_equal(number_of(&changes_count), 2);
}

/* ---- what goes wrong --------------------------------------------------------------------------
 */

/* The n-th call of the store fails: the job says so, and nothing of it is there. */
static void fails_whole(steps_fn *steps, struct story *story, bool write)
{
    for (uint64_t nth = 1;; nth++) {
        enum err err;

        store_fail_at(nth);
        err = write ? writing(bench.store, steps, story) : reading(bench.store, steps, story);
        if (!store_fail_pending())
            assert_true(err != ERR_OK);
        store_fail_at(0);
        if (err == ERR_OK)
            break;
        kit_heal(bench.store);
        assert_in_range(nth, 1, 400); /* a thread that reconnects calls it too */
    }
}

static void the_store_may_fail_anywhere(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, code_add_steps, &story), ERR_OK);
    fails_whole(code_find_steps, &story, false);
    fails_whole(code_use_steps, &story, true);
    fails_whole(open_steps, &story, true);
    assert_int_equal(number_of(&tokens_count), 1);
    fails_whole(find_steps, &story, false);
    fails_whole(keep_steps, &story, true);
    fails_whole(use_steps, &story, true);
    assert_int_equal(number_of(&tokens_count), 2);
    fails_whole(end_steps, &story, true);
    fails_whole(revoke_steps, &story, true);
    assert_int_equal(number_of(&changes_count), 2);
}

/* A row that does not fit into the arena is an error, not half a row. */
static void a_row_needs_memory(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, code_add_steps, &story), ERR_OK);
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    arena_reset(&bench.arena);
    arena_init(&bench.arena, NULL, 0, 16);
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_NO_MEMORY);
    assert_int_equal(reading(bench.store, code_find_steps, &story), ERR_NO_MEMORY);
    assert_int_equal(story.found.grant.user_id, 0);
    assert_int_equal(story.found_code.user_id, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(a_code_comes_back_as_it_was),
        T(a_code_is_used_once),
        T(a_burnt_code_gave_nothing),
        T(a_code_hangs_on_its_login),
        T(a_code_hangs_on_its_user),
        T(a_grant_comes_back_with_its_token),
        T(a_grant_may_be_bare),
        T(what_ends_a_grant),
        T(a_grant_hangs_on_its_user),
        T(a_grant_hangs_on_its_client),
        T(a_refresh_token_is_used_once),
        T(a_kept_token_lives_on),
        T(an_access_token_is_revoked_by_its_id),
        T(the_store_may_fail_anywhere),
        T(a_row_needs_memory),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_grant", tests, NULL, NULL);
}
