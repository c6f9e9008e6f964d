/* SPDX-License-Identifier: MIT
 * Tokens of both kinds side by side, on both databases: each is verified by its own rules alone,
 * and is worth what the store says now. */
#include "auth/auth_test_kit.h"
#include "oauth/oauth_priv.h"

#define SESSION "0c5f2a5e-8f0e-4f0e-9c55-6f1c3e1b2a77"
#define JTI     "5d1a4a0e-2f57-4f2c-a7a1-7b5a2f6f2b11"

/* ---- keys of the test's own, in place of those in files ----------------------------------------
 */

struct oauth_keys {
    struct crypto_key *key;
    struct crypto_keyset *set;
    struct crypto_signer signer;
};

const struct crypto_signer *oauth_keys_signer(const struct oauth_keys *keys, enum crypto_alg alg,
                                              int64_t now_ns)
{
    (void)now_ns;
    return alg == CRYPTO_ES256 ? &keys->signer : NULL;
}

const struct crypto_keyset *oauth_keys_public(const struct oauth_keys *keys, int64_t now_ns)
{
    (void)now_ns;
    return keys->set;
}

enum crypto_alg oauth_keys_alg(const struct oauth_keys *keys)
{
    (void)keys;
    return CRYPTO_ES256;
}

static void keys_open(struct oauth_keys *keys, enum crypto_alg alg)
{
    assert_int_equal(crypto_key_generate(alg, SPAN_OF(""), &keys->key), ERR_OK);
    assert_int_equal(crypto_keyset_new(&keys->set), ERR_OK);
    assert_int_equal(crypto_keyset_add(keys->set, keys->key), ERR_OK);
    assert_int_equal(crypto_signer_local(keys->key, &keys->signer), ERR_OK);
}

static void keys_close(struct oauth_keys *keys)
{
    crypto_keyset_free(keys->set);
    crypto_key_free(keys->key);
}

/* ---- an issuer, a user, a client and what they have ---------------------------------------------
 */

static struct oauth_keys issuer_keys, session_keys;
static struct oauth oauth;
static struct http_identity identity;
static struct oauth_client client;
static int64_t user_id;

static const struct store_statement client_add = {
    .name = "test_client_add",
    .sqlite = "INSERT INTO oauth_clients (client_id, client_name, auth_method, grants, scopes, "
              "roles, created_at, updated_at) VALUES ('web', 'Web', 'none', '', "
              "'openid profile accounts:read audit:read monitoring:write', 'payments', 0, 0)"};
static const struct store_statement client_key = {.name = "test_client_key",
                                                  .sqlite = "SELECT max(id) FROM oauth_clients"};
static const struct store_statement grant_add = {
    .name = "test_grant_add",
    .sqlite = "INSERT INTO oauth_grants (session_id, client, scope, auth_at) "
              "VALUES (?1, ?2, 'openid', 0)"};

static enum err grant_steps(struct store_conn *conn, void *context)
{
    const struct auth_session_new session = {
        .id = SPAN(SESSION), .user_id = user_id, .client = SPAN("web"), .expires_at_ns = INT64_MAX};
    enum err err = auth_session_add(conn, &session, T0);

    (void)context;
    if (err)
        return err;
    return store_exec(conn, &grant_add, STORE_PARAMS(STORE_TEXT(session.id), STORE_I64(client.key)),
                      NULL);
}

static int setup(void **state)
{
    struct auth_options options = {.clock = &clock_system,
                                   .random = &random_system,
                                   .issuer = SPAN("portcullis"),
                                   .access_s = 1800,
                                   .refresh_s = 3600,
                                   .leeway_s = 5,
                                   .policy = {.kind = CRYPTO_PASSWORD_BCRYPT, .bcrypt_cost = 4}};

    if (bench_setup(state) != 0)
        return -1;
    keys_open(&issuer_keys, CRYPTO_ES256);
    keys_open(&session_keys, CRYPTO_HS256);
    options.signer = &session_keys.signer;
    options.keys = session_keys.set;
    oauth = (struct oauth){.options = {.clock = &clock_system,
                                       .random = &random_system,
                                       .keys = &issuer_keys,
                                       .issuer = SPAN("https://issuer.example"),
                                       .audience = SPAN("services"),
                                       .leeway_s = 5}};
    assert_int_equal(auth_new(&options, &oauth.options.auth), ERR_OK);
    identity = oauth_identity(&oauth);
    user_id = create("anna", "anna@example.com", false);
    kit_exec(bench.store, &client_add);
    client = (struct oauth_client){.key = number_of(&client_key), .client_id = SPAN("web")};
    assert_int_equal(writing(bench.store, grant_steps, NULL), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    auth_free(oauth.options.auth);
    keys_close(&issuer_keys);
    keys_close(&session_keys);
    return bench_teardown(state);
}

static enum err load_steps(struct store_conn *conn, void *context)
{
    return identity.load(identity.context, conn, &bench.arena, context);
}

static enum err load(struct http_principal *principal)
{
    return reading(bench.store, load_steps, principal);
}

/* An access token as the issuer makes it; of the user, or of the client itself. */
static struct span token_for(int64_t subject, const char *scope)
{
    const struct oauth_subject wanted = {.client = &client,
                                         .user_id = subject,
                                         .session_id = span_from(subject != 0 ? SESSION : NULL),
                                         .scope = span_from(scope),
                                         .roles = SPAN("customer"),
                                         .thumbprint = SPAN("print"),
                                         .access_s = 900};
    struct span token;

    assert_int_equal(oauth_access_sign(&oauth, &wanted, T0, &bench.arena, &token), ERR_OK);
    return token;
}

static enum err verify(struct span token, struct http_principal *ret_principal)
{
    return identity.verify(identity.context, token, T0_S, &bench.arena, ret_principal);
}

/* ---- one verifier each ------------------------------------------------------------------------
 */

static void an_access_token_speaks_for_its_user(void **state)
{
    struct http_principal who;

    (void)state;
    assert_int_equal(verify(token_for(user_id, "openid accounts:read accounts:write"), &who),
                     ERR_OK);
    assert_int_equal(who.kind, HTTP_TOKEN_ISSUED);
    assert_int_equal(who.user_id, user_id);
    assert_true(span_is(who.client_id, "web"));
    assert_true(span_is(who.session_id, SESSION));
    assert_true(span_is(who.thumbprint, "print"));
    assert_int_equal(who.issued_at_s, T0_S);
    assert_int_equal(who.expires_at_s, T0_S + 900);
    assert_int_equal(load(&who), ERR_OK);
    assert_true(span_is(who.scope, "openid accounts:read")); /* the client has no more */
    assert_true(span_is(who.roles, "customer"));
    assert_true(span_is(who.username, "anna"));
    assert_true(span_is(who.email, "anna@example.com"));
    assert_int_equal(who.client_key, client.key);
    assert_false(who.is_admin);
}

/* What a user may not have is not had through a client that may; the client itself has it. */
static void a_scope_needs_the_client_and_the_user(void **state)
{
    struct http_principal who;

    (void)state;
    assert_int_equal(verify(token_for(user_id, "audit:read monitoring:write openid"), &who),
                     ERR_OK);
    assert_int_equal(load(&who), ERR_OK);
    assert_true(span_is(who.scope, "openid"));

    assert_int_equal(verify(token_for(0, "monitoring:write accounts:write"), &who), ERR_OK);
    assert_int_equal(who.user_id, 0);
    assert_true(span_is(who.subject, "web"));
    assert_int_equal(load(&who), ERR_OK);
    assert_true(span_is(who.scope, "monitoring:write"));
    assert_true(span_is(who.roles, "payments"));
    assert_int_equal(who.client_key, client.key);
    assert_int_equal(who.session_id.len + who.username.len, 0);
}

struct raw {
    const struct crypto_signer *signer;
    const char *typ, *claims;
};

static struct span sign_raw(const struct raw *raw)
{
    struct sbuf out = sbuf_on(&bench.arena, 4096);

    assert_int_equal(
        crypto_jwt_sign(raw->signer, span_from(raw->typ), span_from(raw->claims), &out), ERR_OK);
    return sbuf_span(&out);
}

#define SESSION_CLAIMS                                                                             \
    "{\"iss\":\"portcullis\",\"sub\":\"1\",\"user_id\":1,\"sid\":\"s\",\"jti\":\"j\","             \
    "\"type\":\"access\",\"iat\":1800000000,\"exp\":1800000900}"
#define ACCESS_CLAIMS                                                                              \
    "{\"iss\":\"https://issuer.example\",\"aud\":\"services\",\"sub\":\"web\","                    \
    "\"client_id\":\"web\",\"jti\":\"j\",\"scope\":\"openid\",\"iat\":1800000000,"                 \
    "\"exp\":1800000900}"
#define ID_CLAIMS                                                                                  \
    "{\"iss\":\"https://issuer.example\",\"aud\":\"web\",\"sub\":\"1\",\"iat\":1800000000,"        \
    "\"exp\":1800000900}"

/* The type is a claim of whoever sent it: it picks the verifier that refuses. */
static void no_token_passes_for_one_of_the_other_kind(void **state)
{
    const struct crypto_signer *ours = &issuer_keys.signer;
    const struct crypto_signer *theirs = &session_keys.signer;
    const struct {
        struct raw raw;
        enum err err;
        enum http_token_kind kind;
    } cases[] = {
        {{ours, "at+jwt", ACCESS_CLAIMS}, ERR_OK, HTTP_TOKEN_ISSUED},
        {{ours, "AT+JWT", ACCESS_CLAIMS}, ERR_OK, HTTP_TOKEN_ISSUED},
        {{ours, "application/at+jwt", ACCESS_CLAIMS}, ERR_OK, HTTP_TOKEN_ISSUED},
        {{theirs, "JWT", SESSION_CLAIMS}, ERR_OK, HTTP_TOKEN_SESSION},
        {{theirs, "at+jwt", SESSION_CLAIMS}, ERR_TOKEN_INVALID, 0},
        {{theirs, "at+jwt", ACCESS_CLAIMS}, ERR_TOKEN_INVALID, 0},
        {{theirs, "JWT", ACCESS_CLAIMS}, ERR_TOKEN_INVALID, 0},
        {{ours, "JWT", SESSION_CLAIMS}, ERR_TOKEN_INVALID, 0},
        {{ours, "JWT", ACCESS_CLAIMS}, ERR_TOKEN_INVALID, 0},
        {{ours, "at+jwt", SESSION_CLAIMS}, ERR_TOKEN_INVALID, 0},
        {{ours, "JWT", ID_CLAIMS}, ERR_TOKEN_INVALID, 0},
        {{ours, "at+jwt", ID_CLAIMS}, ERR_TOKEN_INVALID, 0},
        {{ours, "", ACCESS_CLAIMS}, ERR_TOKEN_INVALID, 0},
        {{ours, "client-authentication+jwt", ACCESS_CLAIMS}, ERR_TOKEN_INVALID, 0},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct http_principal who = {0};
        enum err err = verify(sign_raw(&cases[i].raw), &who);

        if (err != cases[i].err || (err == ERR_OK && who.kind != cases[i].kind))
            fail_msg("case %zu: %s, kind %d", i, err_name(err), who.kind);
    }
    assert_int_equal(verify(SPAN_OF("a.b.c"), &(struct http_principal){0}), ERR_TOKEN_INVALID);
    assert_int_equal(verify(SPAN_OF(""), &(struct http_principal){0}), ERR_TOKEN_INVALID);
}

/* ---- what ends a token ------------------------------------------------------------------------
 */

#define STATEMENT(text)                                                                            \
    {                                                                                              \
        .name = "test: " text, .sqlite = (text)                                                    \
    }

static void what_the_store_takes_back_is_gone(void **state)
{
    static const struct {
        struct store_statement change;
        bool user, client; /* whose token is gone */
    } cases[] = {
        {STATEMENT("UPDATE users SET updated_at = 7"), false, false},
        {STATEMENT("UPDATE users SET is_active = FALSE"), true, false},
        {STATEMENT("UPDATE sessions SET ended_at = 1, end_reason = 'logout'"), true, false},
        {STATEMENT("UPDATE sessions SET client = 'other'"), true, false},
        {STATEMENT("UPDATE sessions SET client = NULL"), true, false},
        {STATEMENT("DELETE FROM oauth_grants"), true, false},
        {STATEMENT("DELETE FROM sessions"), true, false},
        {STATEMENT("UPDATE oauth_clients SET is_active = FALSE"), true, true},
        {STATEMENT("UPDATE oauth_clients SET tokens_after = 1800000000000000000"), false, false},
        {STATEMENT("UPDATE oauth_clients SET tokens_after = 1800000000000000001"), true, true},
        {STATEMENT("INSERT INTO oauth_revoked (jti, expires_at) VALUES ('user-token', 1)"), true,
         false},
        {STATEMENT("INSERT INTO oauth_revoked (jti, expires_at) VALUES ('client-token', 1)"), false,
         true},
    };

    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct http_principal user, robot;

        assert_int_equal(verify(token_for(user_id, "openid"), &user), ERR_OK);
        assert_int_equal(verify(token_for(0, "openid"), &robot), ERR_OK);
        user.token_id = SPAN_OF("user-token");
        robot.token_id = SPAN_OF("client-token");
        assert_int_equal(load(&user), ERR_OK);
        assert_int_equal(load(&robot), ERR_OK);
        kit_exec(bench.store, &cases[i].change);
        if (load(&user) != (cases[i].user ? ERR_TOKEN_REVOKED : ERR_OK) ||
            load(&robot) != (cases[i].client ? ERR_TOKEN_REVOKED : ERR_OK))
            fail_msg("after %s", cases[i].change.sqlite);
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

/* Somebody else's session does not help, and nothing is filled in on a refusal. */
static void a_token_belongs_to_its_user_and_client(void **state)
{
    struct http_principal who;
    struct http_principal before;

    (void)state;
    assert_int_equal(verify(token_for(user_id + 1, "openid"), &who), ERR_OK);
    before = who;
    assert_int_equal(load(&who), ERR_TOKEN_REVOKED);
    assert_memory_equal(&who, &before, sizeof(who));
    client.client_id = SPAN_OF("nobody");
    assert_int_equal(verify(token_for(user_id, "openid"), &who), ERR_OK);
    assert_int_equal(load(&who), ERR_TOKEN_REVOKED);
    assert_int_equal(verify(token_for(0, "openid"), &who), ERR_OK);
    assert_int_equal(load(&who), ERR_TOKEN_REVOKED);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_access_token_speaks_for_its_user),       T(a_scope_needs_the_client_and_the_user),
        T(no_token_passes_for_one_of_the_other_kind), T(what_the_store_takes_back_is_gone),
        T(a_token_belongs_to_its_user_and_client),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_identity", tests, NULL, NULL);
}
