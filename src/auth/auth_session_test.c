/* SPDX-License-Identifier: MIT
 * Sessions and their chains of refresh tokens on both databases, and the tokens themselves. */
#include "auth/auth_test_kit.h"

#include "base/alloc.h"

enum { REFRESH_S = 7 * 86400, GRACE_S = 10 };

static const struct store_statement changes_count = {
    .name = "test_changes", .sqlite = "SELECT count(*) FROM identity_changes"};
static const struct store_statement open_count = {
    .name = "test_open", .sqlite = "SELECT count(*) FROM sessions WHERE ended_at IS NULL"};
static const struct store_statement tokens_count = {
    .name = "test_tokens", .sqlite = "SELECT count(*) FROM refresh_tokens"};
static const struct store_statement expiry = {.name = "test_expiry",
                                              .sqlite = "SELECT max(expires_at) FROM sessions"};

/* Everything that the steps below need. */
struct story {
    int64_t user_id;
    struct auth_pair_ids ids, next;
    struct auth_refresh found;
    bool known;
    int64_t now_ns;
};

static struct story begin(void)
{
    struct story story = {.user_id = create("anna", "anna@example.com", false), .now_ns = T0};

    random_uuid(&random_system, story.ids.session);
    random_uuid(&random_system, story.ids.access);
    random_uuid(&random_system, story.ids.refresh);
    story.next = story.ids;
    random_uuid(&random_system, story.next.refresh);
    return story;
}

static struct span id_of(const char id[AUTH_ID_BYTES])
{
    return span_make(id, AUTH_ID_BYTES);
}

static enum err open_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return auth_session_open(conn, story->user_id, &story->ids, SPAN_OF("192.0.2.1"), story->now_ns,
                             REFRESH_S);
}

static enum err find_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return auth_refresh_find(conn, id_of(story->ids.refresh), id_of(story->ids.session),
                             &bench.arena, &story->found);
}

static enum err use_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return auth_refresh_use(conn, id_of(story->ids.refresh), id_of(story->ids.session),
                            &story->next, SPAN_OF("sealed"), story->now_ns, GRACE_S, REFRESH_S);
}

static enum err end_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return auth_session_end(conn, id_of(story->ids.session), story->user_id, "logout",
                            story->now_ns);
}

static enum err known_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return auth_session_known(conn, story->user_id, SPAN_OF("192.0.2.1"), &story->known);
}

static void a_session_opens_with_one_token(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(reading(bench.store, known_steps, &story), ERR_OK);
    assert_false(story.known);
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_TOKEN_REVOKED);
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    assert_int_equal(reading(bench.store, known_steps, &story), ERR_OK);
    assert_true(story.known);
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_OK);
    assert_int_equal(story.found.user.id, story.user_id);
    assert_true(span_is(story.found.user.email, "anna@example.com"));
    assert_false(story.found.session_over);
    assert_false(story.found.used);
    assert_int_equal(story.found.expires_at_ns, T0 + REFRESH_S * CLOCK_NS_PER_S);
    assert_int_equal(number_of(&changes_count), 0); /* nobody need hear of it */
}

static const struct store_statement many_logins = {
    .name = "test_many_logins",
    .sqlite = "INSERT INTO sessions (id, user_id, created_at, expires_at, address) "
              "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
              "SELECT 'many-' || i, (SELECT min(id) FROM users), 9000000000000000000 + i, "
              "9000000000000000000 + i, '192.0.2.9' FROM n"};

/* However often somebody logs in, a login looks at a bounded number of sessions. */
static void the_latest_logins_make_an_address_known(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    kit_exec(bench.store, &many_logins);
    assert_int_equal(reading(bench.store, known_steps, &story), ERR_OK);
    assert_false(story.known);
}

/* A token of another session is not found under this one. */
static void a_token_belongs_to_its_session(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    random_uuid(&random_system, story.ids.session);
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_TOKEN_REVOKED);
}

static void a_token_is_used_once(void **state)
{
    struct story story = begin();

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    story.now_ns += 60 * CLOCK_NS_PER_S;
    assert_int_equal(writing(bench.store, use_steps, &story), ERR_OK);
    assert_int_equal(number_of(&tokens_count), 2);
    assert_int_equal(number_of(&expiry), story.now_ns + REFRESH_S * CLOCK_NS_PER_S);
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_OK);
    assert_true(story.found.used);
    assert_int_equal(story.found.grace_until_ns, story.now_ns + GRACE_S * CLOCK_NS_PER_S);
    assert_true(span_is(story.found.sealed_pair, "sealed"));

    random_uuid(&random_system, story.next.refresh);
    assert_int_equal(writing(bench.store, use_steps, &story), ERR_CONFLICT);
    assert_int_equal(number_of(&tokens_count), 2); /* and no third one was made */
}

static void ending_is_told_once_and_is_for_good(void **state)
{
    struct story story = begin();
    struct story stranger = story;

    (void)state;
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    stranger.user_id++;
    assert_int_equal(writing(bench.store, end_steps, &stranger), ERR_OK);
    assert_int_equal(number_of(&open_count), 1); /* not his */
    assert_int_equal(writing(bench.store, end_steps, &story), ERR_OK);
    assert_int_equal(number_of(&open_count), 0);
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_OK);
    assert_true(story.found.session_over);
    assert_in_range(number_of(&changes_count), 1, 2);
}

static enum err password_steps(struct store_conn *conn, void *context)
{
    const struct story *story = context;

    return auth_user_set_password(conn, story->user_id, SPAN_OF("newer"), T0);
}

static enum err rehash_steps(struct store_conn *conn, void *context)
{
    const struct story *story = context;

    return auth_user_rehash(conn, story->user_id, SPAN_OF("same, newer"));
}

static enum err deactivate_steps(struct store_conn *conn, void *context)
{
    const struct story *story = context;
    const struct auth_user_change change = {.sets_active = true};
    struct auth_user user;

    return auth_user_update(conn, story->user_id, &change, T0, &bench.arena, &user);
}

/* A new password and deactivation end all sessions of the user; a newer hash of the same ends none;
 * another user's go on. */
static void what_ends_all_sessions(void **state)
{
    struct story story = begin();
    struct story other = story;

    (void)state;
    other.user_id = create("bert", "bert@example.com", false);
    random_uuid(&random_system, other.ids.session);
    random_uuid(&random_system, other.ids.refresh);
    assert_int_equal(writing(bench.store, open_steps, &story), ERR_OK);
    assert_int_equal(writing(bench.store, open_steps, &other), ERR_OK);
    assert_int_equal(writing(bench.store, rehash_steps, &story), ERR_OK);
    assert_int_equal(number_of(&open_count), 2);
    assert_int_equal(writing(bench.store, password_steps, &story), ERR_OK);
    assert_int_equal(number_of(&open_count), 1);
    assert_int_equal(writing(bench.store, deactivate_steps, &other), ERR_OK);
    assert_int_equal(number_of(&open_count), 0);
    story.user_id = 4711;
    assert_int_equal(writing(bench.store, password_steps, &story), ERR_NOT_FOUND);
}

/* ---- tokens -----------------------------------------------------------------------------------
 */

struct issuer {
    struct crypto_key *key;
    struct crypto_keyset *keys;
    struct crypto_signer signer;
    struct auth *auth;
};

static void issuer_open(struct issuer *issuer, enum crypto_alg alg)
{
    struct auth_options options = {.clock = &clock_system,
                                   .random = &random_system,
                                   .issuer = SPAN("portcullis"),
                                   .access_s = 1800,
                                   .refresh_s = REFRESH_S,
                                   .grace_s = GRACE_S,
                                   .leeway_s = 5,
                                   .policy = {.kind = CRYPTO_PASSWORD_BCRYPT, .bcrypt_cost = 4}};
    struct metrics *none = NULL;

    assert_int_equal(crypto_key_generate(alg, SPAN_OF(""), &issuer->key), ERR_OK);
    assert_int_equal(crypto_keyset_new(&issuer->keys), ERR_OK);
    assert_int_equal(crypto_keyset_add(issuer->keys, issuer->key), ERR_OK);
    assert_int_equal(crypto_signer_local(issuer->key, &issuer->signer), ERR_OK);
    options.signer = &issuer->signer;
    options.keys = issuer->keys;
    options.metrics = none;
    assert_int_equal(auth_new(&options, &issuer->auth), ERR_OK);
}

static void issuer_close(struct issuer *issuer)
{
    auth_free(issuer->auth);
    crypto_keyset_free(issuer->keys);
    crypto_key_free(issuer->key);
}

static const struct auth_user anna = {
    .id = 7, .username = SPAN("anna"), .email = SPAN("anna@example.com"), .is_admin = true};

/* Each token of a pair is good for its own purpose, for its own time, with its own issuer. */
static void a_pair_is_good_for_what_it_is(void **state)
{
    struct story story = begin();
    struct issuer issuer;
    struct issuer other;
    struct auth_pair pair;
    struct auth_refresh_claims claims;
    struct http_principal who;
    struct http_identity identity;

    (void)state;
    issuer_open(&issuer, CRYPTO_HS256);
    issuer_open(&other, CRYPTO_HS256);
    identity = auth_identity(issuer.auth);
    assert_int_equal(auth_pair_sign(issuer.auth, &anna, &story.ids, T0_S, &bench.arena, &pair),
                     ERR_OK);
    assert_int_equal(pair.expires_in, 1800);
    assert_int_equal(identity.verify(identity.context, pair.access_token, T0_S, &bench.arena, &who),
                     ERR_OK);
    assert_int_equal(who.user_id, 7);
    assert_false(who.is_admin); /* rights come from the store */
    assert_int_equal(who.expires_at_s, T0_S + 1800);
    assert_true(span_equal(who.session_id, id_of(story.ids.session)));
    assert_int_equal(
        auth_refresh_verify(issuer.auth, pair.refresh_token, T0_S, &bench.arena, &claims), ERR_OK);
    assert_int_equal(claims.user_id, 7);
    assert_true(span_equal(claims.token_id, id_of(story.ids.refresh)));

    assert_int_equal(
        identity.verify(identity.context, pair.refresh_token, T0_S, &bench.arena, &who),
        ERR_TOKEN_INVALID);
    assert_int_equal(
        auth_refresh_verify(issuer.auth, pair.access_token, T0_S, &bench.arena, &claims),
        ERR_TOKEN_INVALID);
    assert_int_equal(
        identity.verify(identity.context, pair.access_token, T0_S + 1806, &bench.arena, &who),
        ERR_TOKEN_EXPIRED);
    identity = auth_identity(other.auth);
    assert_int_equal(identity.verify(identity.context, pair.access_token, T0_S, &bench.arena, &who),
                     ERR_TOKEN_INVALID);
    issuer_close(&issuer);
    issuer_close(&other);
}

struct loading {
    struct http_identity identity;
    struct http_principal who;
};

static enum err load_steps(struct store_conn *conn, void *context)
{
    struct loading *loading = context;

    return loading->identity.load(loading->identity.context, conn, &bench.arena, &loading->who);
}

static enum err add_steps(struct store_conn *conn, void *context)
{
    return auth_session_add(conn, context, T0);
}

/* Rights are the store's; a session of a client, whatever a token of ours says of it, opens none of
 * our doors. */
static void rights_are_those_of_a_session_of_ours(void **state)
{
    struct story story = begin();
    struct loading loading = {.who = {.user_id = story.user_id, .session_id = SPAN("ours")}};
    struct auth_session_new session = {.id = SPAN("ours"),
                                       .user_id = story.user_id,
                                       .address = SPAN("192.0.2.1"),
                                       .expires_at_ns = T0 + 1};
    struct issuer issuer;

    (void)state;
    issuer_open(&issuer, CRYPTO_HS256);
    loading.identity = auth_identity(issuer.auth);
    assert_int_equal(writing(bench.store, add_steps, &session), ERR_OK);
    session.id = SPAN_OF("browser's");
    session.client = SPAN_OF("browser");
    assert_int_equal(writing(bench.store, add_steps, &session), ERR_OK);

    assert_int_equal(reading(bench.store, load_steps, &loading), ERR_OK);
    assert_true(span_is(loading.who.username, "anna"));
    assert_true(span_is(loading.who.roles, "customer"));
    assert_true(span_starts(loading.who.scope, SPAN_OF("openid profile")));
    loading.who.session_id = session.id;
    assert_int_equal(reading(bench.store, load_steps, &loading), ERR_TOKEN_REVOKED);
    loading.who.session_id = SPAN_OF("nobody's");
    assert_int_equal(reading(bench.store, load_steps, &loading), ERR_TOKEN_REVOKED);
    issuer_close(&issuer);
}

/* RSA would hold up a loop; a keyed hash would not. */
static void slow_signatures_leave_the_loop(void **state)
{
    struct issuer issuer;

    (void)state;
    issuer_open(&issuer, CRYPTO_HS512);
    assert_int_equal(auth_sign_run(issuer.auth), HTTP_RUN_LOOP);
    issuer_close(&issuer);
    issuer_open(&issuer, CRYPTO_ES256);
    assert_int_equal(auth_sign_run(issuer.auth), HTTP_RUN_SIGN);
    issuer_close(&issuer);
}

/* Without memory there is no half a pair. */
static void a_pair_needs_memory(void **state)
{
    struct story story = begin();
    struct issuer issuer;
    struct auth_pair pair = {.expires_in = -1};
    struct arena arena;

    (void)state;
    issuer_open(&issuer, CRYPTO_HS256);
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    for (uint64_t nth = 1;; nth++) {
        enum err err;

        alloc_fail_at(nth);
        err = auth_pair_sign(issuer.auth, &anna, &story.ids, T0_S, &arena, &pair);
        arena_reset(&arena);
        if (err == ERR_OK)
            break;
        assert_true(err == ERR_NO_MEMORY || err == ERR_NO_SPACE);
        assert_int_equal(pair.expires_in, -1);
        assert_in_range(nth, 1, 50);
    }
    alloc_fail_at(0);
    issuer_close(&issuer);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(a_session_opens_with_one_token),      T(the_latest_logins_make_an_address_known),
        T(a_token_belongs_to_its_session),      T(a_token_is_used_once),
        T(ending_is_told_once_and_is_for_good), T(what_ends_all_sessions),
        T(a_pair_is_good_for_what_it_is),       T(rights_are_those_of_a_session_of_ours),
        T(slow_signatures_leave_the_loop),      T(a_pair_needs_memory),
    };
#undef T

    return cmocka_run_group_tests_name("auth_session", tests, NULL, NULL);
}
