/* SPDX-License-Identifier: MIT
 * Clients on both databases: what is let in, what comes back, and what a change ends. */
#include "auth/auth_test_kit.h"

#include "oauth/oauth_priv.h"

static const struct store_statement changes_of_clients = {
    .name = "test_client_changes",
    .sqlite = "SELECT count(*) FROM identity_changes WHERE subject < 0 AND what = 'client'"};
static const struct store_statement open_sessions = {
    .name = "test_open", .sqlite = "SELECT count(*) FROM sessions WHERE ended_at IS NULL"};
static const struct store_statement codes = {.name = "test_codes",
                                             .sqlite = "SELECT count(*) FROM oauth_codes"};
static const struct store_statement tokens_after = {
    .name = "test_tokens_after", .sqlite = "SELECT max(tokens_after) FROM oauth_clients"};

static const char public_jwk[] =
    "{\"kty\":\"EC\",\"crv\":\"P-256\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"kid\":\"one\"";

static struct span jwks(const char *more)
{
    struct sbuf out = sbuf_on(&bench.arena, 4096);

    sbuf_add_format(&out, "{\"keys\":[%s%s}]}", public_jwk, more);
    return sbuf_span(&out);
}

/* A client that is let in; tests spoil one thing at a time. */
static struct oauth_client whole(void)
{
    return (struct oauth_client){
        .client_id = SPAN("shop"),
        .name = SPAN("The shop"),
        .method = OAUTH_METHOD_SECRET,
        .secret = {.set = true, .key = {1, 2, 3}, .hash = {4, 5, 6}},
        .grants = SPAN("authorization_code refresh_token client_credentials"),
        .scopes = SPAN("openid accounts:read"),
        .roles = SPAN("customer"),
        .redirect_uris = SPAN("https://shop.example/cb\nhttp://127.0.0.1/cb"),
        .logout_uris = SPAN("https://shop.example/bye"),
        .access_s = 600,
        .refresh_s = 86400,
        .access_alg = CRYPTO_ES256,
        .id_alg = CRYPTO_EDDSA,
    };
}

static struct oauth_client by_key(void)
{
    struct oauth_client client = whole();

    client.client_id = SPAN_OF("robot");
    client.method = OAUTH_METHOD_PRIVATE_KEY;
    client.secret = (struct oauth_secret){0};
    client.jwks = jwks("");
    return client;
}

static void judged(const struct oauth_client *client, const char *sentence)
{
    struct crypto_fault fault = {""};
    enum err err = oauth_client_check(client, &bench.arena, &fault);

    if (sentence == NULL) {
        assert_string_equal(fault.text, "");
        assert_int_equal(err, ERR_OK);
        return;
    }
    assert_int_equal(err, ERR_VALIDATION);
    assert_string_equal(fault.text, sentence);
}

/* ---- descriptions -----------------------------------------------------------------------------
 */

static void good_clients_are_let_in(void **state)
{
    struct oauth_client client = whole();

    (void)state;
    judged(&client, NULL);
    client = by_key();
    judged(&client, NULL);
    client = whole();
    client.method = OAUTH_METHOD_CERTIFICATE;
    client.secret.set = false;
    client.tls_subject = SPAN_OF("CN=shop,O=Example");
    client.is_bound = true;
    judged(&client, NULL);
    client = whole();
    client.method = OAUTH_METHOD_NONE;
    client.secret.set = false;
    client.grants = SPAN_OF("authorization_code");
    client.redirect_uris = SPAN_OF("com.example.app:/cb");
    judged(&client, NULL);
    /* It asks about tokens and gets none. */
    client = (struct oauth_client){.client_id = SPAN("service"),
                                   .name = SPAN("Service"),
                                   .method = OAUTH_METHOD_SECRET_BASIC,
                                   .secret = {.set = true}};
    judged(&client, NULL);
}

static void ids_cannot_be_taken_for_others(void **state)
{
    static const struct {
        const char *id, *sentence;
    } cases[] = {
        {"", "the client id must have 1 to 64 characters"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "the client id must have 1 to 64 characters"},
        {"42", "the client id may not be a number: it could be taken for a user's"},
        {"a b", "the client id may contain only letters, digits, '-', '.', '_' and '~'"},
        {"a:b", "the client id may contain only letters, digits, '-', '.', '_' and '~'"},
        {"caf\xC3\xA9", "the client id may contain only letters, digits, '-', '.', '_' and '~'"},
        {"browser", "that client id has a meaning of its own here, choose another"},
        {"unknown", "that client id has a meaning of its own here, choose another"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct oauth_client client = whole();

        client.client_id = span_from(cases[i].id);
        judged(&client, cases[i].sentence);
    }
}

static void redirects_go_where_they_may(void **state)
{
    static const char *const good[] = {
        "https://shop.example",      "https://shop.example/",         "https://shop.example:8443/a",
        "https://shop.example/?a=b", "https://xn--caf-dma.example/a", "http://127.0.0.1:8080/cb",
        "http://[::1]/cb",           "http://localhost/cb",           "com.example.app:/cb",
        "com.example.app://host/cb",
    };
    static const char *const bad[] = {
        "http://shop.example/cb",
        "https:///cb",
        "https://",
        "https://Shop.example/cb",
        "https://user@shop.example/cb",
        "https://user:pw@shop.example/cb",
        "https://shop.example:0/cb",
        "https://shop.example:65536/cb",
        "https://shop.example:/cb",
        "https://*.shop.example/cb",
        "https://.shop.example/cb",
        "https://shop.example;/cb",
        "HTTPS://shop.example/cb",
        "http://127.0.0.2/cb",
        "http://localhost.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "app:/cb",
        "urn:ietf:wg:oauth:2.0:oob",
    };
    static const char kinds[] = "an address must be https with a lower-case host, http on "
                                "127.0.0.1, [::1] or localhost, or have a scheme like "
                                "com.example.app";
    static const char forms[] = "an address must be an absolute URI of at most 2048 characters";
    struct oauth_client client = whole();

    (void)state;
    for (size_t i = 0; i < PC_COUNT(good); i++) {
        client.redirect_uris = client.logout_uris = span_from(good[i]);
        judged(&client, NULL);
    }
    for (size_t i = 0; i < PC_COUNT(bad); i++) {
        client.redirect_uris = span_from(bad[i]);
        judged(&client, kinds);
    }
    client = whole();
    client.logout_uris = SPAN_OF("http://shop.example/bye");
    judged(&client, kinds);
    client = whole();
    client.redirect_uris = SPAN_OF("https://shop.example/cb#x");
    judged(&client, "an address may not have a fragment (#...)");
    client.redirect_uris = SPAN_OF("https://shop.example/c b");
    judged(&client, forms);
    client.redirect_uris = SPAN_OF("https://shop.example\\@evil.example/cb");
    judged(&client, forms);
    client.redirect_uris = SPAN_OF("https://shop.example/cb\n");
    judged(&client, forms);
    client.redirect_uris = SPAN_OF("/cb");
    judged(&client, forms);
    client.redirect_uris =
        SPAN_OF("a.b:1\na.b:2\na.b:3\na.b:4\na.b:5\na.b:6\na.b:7\na.b:8\na.b:9\na.b:10\na.b:11\n"
                "a.b:12\na.b:13\na.b:14\na.b:15\na.b:16\na.b:17");
    judged(&client, "a client has at most 16 addresses of a kind");
}

static void grants_fit_the_client(void **state)
{
    static const struct {
        const char *grants;
        bool is_public;
        const char *uris, *sentence;
    } cases[] = {
        {"implicit", false, NULL, "there is no grant \"implicit\""},
        {"client_credentials  password", false, NULL,
         "name each grant once, with one space between"},
        {"password password", false, NULL, "name each grant once, with one space between"},
        {"client_credentials refresh_token", false, NULL,
         "the grant refresh_token needs authorization_code or password"},
        {"client_credentials", true, NULL,
         "a public client may have the grants authorization_code and refresh_token only"},
        {"password", true, NULL,
         "a public client may have the grants authorization_code and refresh_token only"},
        {"authorization_code", false, NULL,
         "the grant authorization_code needs a redirect address"},
        {"client_credentials", false, "https://shop.example/cb",
         "a redirect address needs the grant authorization_code"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct oauth_client client = whole();

        client.grants = span_from(cases[i].grants);
        client.redirect_uris = span_from(cases[i].uris);
        if (cases[i].is_public) {
            client.method = OAUTH_METHOD_NONE;
            client.secret.set = false;
        }
        judged(&client, cases[i].sentence);
    }
}

static void names_are_of_the_catalogue(void **state)
{
    struct oauth_client client = whole();

    (void)state;
    client.scopes = SPAN_OF("openid everything");
    judged(&client, "there is no scope \"everything\"");
    client.scopes = SPAN_OF("openid openid");
    judged(&client, "name each scope once, with one space between");
    client = whole();
    client.roles = SPAN_OF("customer king");
    judged(&client, "there is no role \"king\"");
    client = whole();
    client.name = SPAN_OF("");
    judged(&client, "the name must have 1 to 100 characters");
    client.name = SPAN_OF("two\nlines");
    judged(&client, "the name may not contain control characters");
    client.name = SPAN_OF("\xFF");
    judged(&client, "the name must be UTF-8");
}

static void each_method_has_what_it_needs(void **state)
{
    struct oauth_client client = whole();

    (void)state;
    client.method = OAUTH_METHOD_UNKNOWN;
    judged(&client, "the method is none that is offered");
    client.method = OAUTH_METHOD_SECRET_POST;
    client.secret.set = false;
    judged(&client, "this method needs a secret");
    client.method = OAUTH_METHOD_NONE;
    client.secret.set = true;
    judged(&client, "this method has no secret");
    client = by_key();
    client.jwks = (struct span){0};
    judged(&client, "the method private_key_jwt needs a key set");
    client = whole();
    client.jwks = jwks("");
    judged(&client, "a key set needs the method private_key_jwt");
    client = by_key();
    client.method = OAUTH_METHOD_CERTIFICATE;
    client.jwks = (struct span){0};
    judged(&client, "the method tls_client_auth needs the certificate's subject");
    client = whole();
    client.tls_subject = SPAN_OF("CN=shop");
    judged(&client, "a certificate's subject needs the method tls_client_auth");
    assert_int_equal(oauth_method_from(SPAN_OF("")), OAUTH_METHOD_UNKNOWN);
    for (size_t i = 1; i < OAUTH_METHOD_COUNT; i++)
        assert_int_equal(oauth_method_from(span_from(oauth_method_name((enum oauth_method)i))), i);
}

/* Nobody but the client may have its private key, the issuer included. */
static void key_sets_hold_public_keys_only(void **state)
{
    struct oauth_client client = by_key();

    (void)state;
    client.jwks = jwks(",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"");
    judged(&client, "the key set holds a private key; give the public parts only, and "
                    "replace that key if others may have seen it");
    client.jwks = SPAN_OF("{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":"
                          "\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"
                          "aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}]}");
    judged(&client, "the key set holds a shared secret; give public keys");
    client.jwks = SPAN_OF("{\"keys\":[]}");
    judged(&client, "the key set holds no key for signatures");
    client.jwks = SPAN_OF("{\"keys\":[");
    judged(&client, "the key set is not valid JSON");
    client.jwks = SPAN_OF("[]");
    judged(&client, "a JWK set needs a list called keys");
}

static void token_lives_have_bounds(void **state)
{
    struct oauth_client client = whole();

    (void)state;
    client.access_s = OAUTH_ACCESS_S_MAX + 1;
    judged(&client, "access tokens live 1 to 60 minutes");
    client.access_s = -1;
    judged(&client, "access tokens live 1 to 60 minutes");
    client = whole();
    client.refresh_s = 1;
    judged(&client, "refresh tokens live an hour to 366 days");
    client = whole();
    client.id_alg = CRYPTO_HS256;
    judged(&client, "tokens are signed with RS256, PS256, ES256 or EdDSA");
}

/* ---- secrets ----------------------------------------------------------------------------------
 */

static void secrets_are_known_again(void **state)
{
    char text[OAUTH_SECRET_TEXT_BYTES], other[OAUTH_SECRET_TEXT_BYTES];
    struct oauth_secret first, second, again, none = {0};

    (void)state;
    assert_int_equal(oauth_secret_make(&random_system, text, &first), ERR_OK);
    assert_int_equal(oauth_secret_make(&random_system, other, &second), ERR_OK);
    assert_memory_not_equal(text, other, sizeof(text));
    assert_true(oauth_secret_matches(&first, span_make(text, sizeof(text))));
    assert_false(oauth_secret_matches(&second, span_make(text, sizeof(text))));
    assert_false(oauth_secret_matches(&first, span_make(text, sizeof(text) - 1)));
    assert_false(oauth_secret_matches(&first, (struct span){0}));
    assert_int_equal(oauth_secret_of(&random_system, span_make(text, sizeof(text)), &again),
                     ERR_OK);
    assert_true(oauth_secret_matches(&again, span_make(text, sizeof(text))));
    /* The same secret is not seen to be the same. */
    assert_memory_not_equal(again.hash, first.hash, sizeof(again.hash));
    assert_false(oauth_secret_matches(&none, (struct span){0}));
    assert_false(oauth_secret_matches(&none, span_make(text, sizeof(text))));
    first.set = false;
    assert_false(oauth_secret_matches(&first, span_make(text, sizeof(text))));
}

/* ---- the store --------------------------------------------------------------------------------
 */

struct story {
    struct oauth_client client; /* given, or what was found */
    struct span client_id;
    struct oauth_secret secret;
    int64_t now_ns, until_ns, after;
    bool active;
    size_t limit, count;
    struct oauth_client *list;
};

static enum err create_client_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_client_create(conn, &story->client, story->now_ns);
}

static enum err find_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_client_find(conn, story->client_id, &bench.arena, &story->client);
}

static enum err list_steps(struct store_conn *conn, void *context)
{
    struct story *story = context;

    return oauth_client_list(conn, story->after, story->limit, &bench.arena, &story->list,
                             &story->count);
}

static enum err active_steps(struct store_conn *conn, void *context)
{
    const struct story *story = context;

    return oauth_client_set_active(conn, story->client_id, story->active, story->now_ns);
}

static enum err update_steps(struct store_conn *conn, void *context)
{
    const struct story *story = context;

    return oauth_client_update(conn, &story->client, story->now_ns);
}

static enum err secret_steps(struct store_conn *conn, void *context)
{
    const struct story *story = context;

    return oauth_client_set_secret(conn, story->client_id, &story->secret, story->until_ns,
                                   story->now_ns);
}

static int64_t made(struct oauth_client client)
{
    struct story story = {.client = client, .now_ns = T0};

    assert_int_equal(writing(bench.store, create_client_steps, &story), ERR_OK);
    assert_true(story.client.key > 0);
    return story.client.key;
}

static struct oauth_client found(const char *client_id)
{
    struct story story = {.client_id = span_from(client_id)};

    assert_int_equal(reading(bench.store, find_steps, &story), ERR_OK);
    return story.client;
}

static void assert_same(const struct oauth_client *a, const struct oauth_client *b)
{
    assert_true(span_equal(a->client_id, b->client_id));
    assert_true(span_equal(a->name, b->name));
    assert_int_equal(a->method, b->method);
    assert_int_equal(a->secret.set, b->secret.set);
    assert_memory_equal(a->secret.key, b->secret.key, sizeof(a->secret.key));
    assert_memory_equal(a->secret.hash, b->secret.hash, sizeof(a->secret.hash));
    assert_true(span_equal(a->grants, b->grants));
    assert_true(span_equal(a->scopes, b->scopes));
    assert_true(span_equal(a->roles, b->roles));
    assert_true(span_equal(a->redirect_uris, b->redirect_uris));
    assert_true(span_equal(a->logout_uris, b->logout_uris));
    assert_true(span_equal(a->jwks, b->jwks));
    assert_true(span_equal(a->tls_subject, b->tls_subject));
    assert_int_equal(a->is_bound, b->is_bound);
    assert_int_equal(a->access_s, b->access_s);
    assert_int_equal(a->refresh_s, b->refresh_s);
    assert_int_equal(a->access_alg, b->access_alg);
    assert_int_equal(a->id_alg, b->id_alg);
}

static void a_client_comes_back_as_it_was(void **state)
{
    struct oauth_client shop = whole(), robot = by_key();
    struct oauth_client got;

    (void)state;
    robot.access_alg = robot.id_alg = CRYPTO_ALG_NONE;
    robot.roles = (struct span){0};
    robot.is_bound = true;
    (void)made(shop);
    (void)made(robot);
    got = found("shop");
    assert_same(&got, &shop);
    assert_true(got.is_active);
    assert_false(got.old_secret.set);
    assert_int_equal(got.created_at_ns, T0);
    assert_int_equal(got.tokens_after_ns, 0);
    assert_null(got.jwks.ptr);
    got = found("robot");
    assert_same(&got, &robot);
    assert_false(got.secret.set);
}

static void an_id_is_taken_once(void **state)
{
    struct story story = {.client = whole(), .now_ns = T0};

    (void)state;
    (void)made(whole());
    assert_int_equal(writing(bench.store, create_client_steps, &story), ERR_TAKEN);
}

static void nobody_is_not_found(void **state)
{
    static const struct span ids[] = {SPAN(""), SPAN("nobody"), SPAN("SHOP"), SPAN("shop\0x"),
                                      SPAN("\xFF")};

    (void)state;
    (void)made(whole());
    for (size_t i = 0; i < PC_COUNT(ids); i++) {
        struct story story = {.client_id = ids[i]};

        assert_int_equal(reading(bench.store, find_steps, &story), ERR_NOT_FOUND);
        assert_int_equal(writing(bench.store, active_steps, &story), ERR_NOT_FOUND);
        assert_int_equal(writing(bench.store, secret_steps, &story), ERR_NOT_FOUND);
    }
    assert_int_equal(number_of(&changes_of_clients), 0);
}

static void clients_come_page_by_page(void **state)
{
    static const char *const ids[] = {"c-one", "c-two", "c-three"};
    struct story story = {.limit = 2};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(ids); i++) {
        struct oauth_client client = whole();

        client.client_id = span_from(ids[i]);
        (void)made(client);
    }
    assert_int_equal(reading(bench.store, list_steps, &story), ERR_OK);
    assert_int_equal(story.count, 2);
    assert_true(span_is(story.list[0].client_id, "c-one"));
    assert_true(span_is(story.list[1].client_id, "c-two"));
    story.after = story.list[1].key;
    assert_int_equal(reading(bench.store, list_steps, &story), ERR_OK);
    assert_int_equal(story.count, 1);
    assert_true(span_is(story.list[0].client_id, "c-three"));
}

/* What the client holds: a grant of a user with its session, and a code. */
static enum err grant_steps(struct store_conn *conn, void *context)
{
    static const struct store_statement session = {
        .name = "test_session",
        .sqlite = "INSERT INTO sessions (id, user_id, created_at, expires_at, client) "
                  "VALUES (?1, ?2, ?3, ?4, ?5)"};
    static const struct store_statement grant = {
        .name = "test_grant",
        .sqlite = "INSERT INTO oauth_grants (session_id, client, scope, auth_at) "
                  "VALUES (?1, ?2, 'openid', ?3)"};
    static const struct store_statement code = {
        .name = "test_code",
        .sqlite = "INSERT INTO oauth_codes (hash, client, user_id, login_session, redirect_uri, "
                  "challenge, scope, auth_at, created_at, expires_at) "
                  "VALUES (?1, ?2, ?3, 'login', 'https://shop.example/cb', 'challenge', 'openid', "
                  "?4, ?4, ?5)"};
    const struct oauth_client *client = context;
    struct span id = client->client_id;
    enum err err = store_exec(conn, &session,
                              STORE_PARAMS(STORE_TEXT(id), STORE_I64(1), STORE_I64(T0),
                                           STORE_I64(T0 + CLOCK_NS_PER_S), STORE_TEXT(id)),
                              NULL);

    if (!err)
        err = store_exec(conn, &grant,
                         STORE_PARAMS(STORE_TEXT(id), STORE_I64(client->key), STORE_I64(T0)), NULL);
    if (!err)
        err = store_exec(conn, &code,
                         STORE_PARAMS(STORE_BLOB(id), STORE_I64(client->key), STORE_I64(1),
                                      STORE_I64(T0), STORE_I64(T0 + CLOCK_NS_PER_S)),
                         NULL);
    return err;
}

static void give(struct oauth_client client)
{
    client.key = made(client);
    assert_int_equal(writing(bench.store, grant_steps, &client), ERR_OK);
}

/* Disabling ends what this client holds, and nothing of another's; enabling revives none of it. */
static void disabling_ends_what_it_holds(void **state)
{
    struct story story = {.client_id = SPAN("shop"), .now_ns = T0 + 5};

    (void)state;
    assert_int_equal(create("anna", "anna@example.com", false), 1);
    give(whole());
    give(by_key());
    assert_int_equal(number_of(&open_sessions), 2);
    assert_int_equal(writing(bench.store, active_steps, &story), ERR_OK);
    assert_int_equal(number_of(&open_sessions), 1);
    assert_int_equal(number_of(&codes), 1);
    assert_false(found("shop").is_active);
    assert_int_equal(found("shop").tokens_after_ns, T0 + 5);
    assert_int_equal(found("robot").tokens_after_ns, 0);
    assert_int_equal(number_of(&changes_of_clients), 1);
    story.active = true;
    story.now_ns = T0 + 9;
    assert_int_equal(writing(bench.store, active_steps, &story), ERR_OK);
    assert_true(found("shop").is_active);
    assert_int_equal(found("shop").tokens_after_ns, T0 + 5);
    assert_int_equal(number_of(&open_sessions), 1);
    assert_int_equal(number_of(&changes_of_clients), 2);
}

static void a_change_is_told_and_keeps_the_rest(void **state)
{
    struct story story = {.client = whole(), .now_ns = T0 + 5};
    struct oauth_client got;

    (void)state;
    assert_int_equal(create("anna", "anna@example.com", false), 1);
    give(whole());
    story.client.name = SPAN_OF("Another name");
    story.client.scopes = SPAN_OF("openid");
    story.client.roles = (struct span){0};
    story.client.access_alg = CRYPTO_RS256;
    assert_int_equal(writing(bench.store, update_steps, &story), ERR_OK);
    got = found("shop");
    assert_same(&got, &story.client);
    assert_int_equal(number_of(&changes_of_clients), 1);
    assert_int_equal(number_of(&open_sessions), 1);
    assert_int_equal(number_of(&tokens_after), 0);
}

/* Under other terms than those under which its tokens were given. */
static void other_terms_end_what_it_holds(void **state)
{
    struct story story = {.client = whole(), .now_ns = T0 + 5};

    (void)state;
    assert_int_equal(create("anna", "anna@example.com", false), 1);
    give(whole());
    story.client.is_bound = true;
    assert_int_equal(writing(bench.store, update_steps, &story), ERR_OK);
    assert_int_equal(number_of(&open_sessions), 0);
    assert_int_equal(number_of(&tokens_after), T0 + 5);
    story.now_ns = T0 + 6;
    assert_int_equal(writing(bench.store, update_steps, &story), ERR_OK);
    assert_int_equal(number_of(&tokens_after), T0 + 5);
    story.client.method = OAUTH_METHOD_PRIVATE_KEY;
    story.client.jwks = jwks("");
    story.client.secret = (struct oauth_secret){0};
    assert_int_equal(writing(bench.store, update_steps, &story), ERR_OK);
    assert_int_equal(number_of(&tokens_after), T0 + 6);
    assert_false(found("shop").secret.set);
}

static void an_old_secret_works_for_a_while(void **state)
{
    struct story story = {
        .client_id = SPAN("shop"), .now_ns = T0, .until_ns = T0 + 60 * CLOCK_NS_PER_S};
    struct oauth_client shop = whole();
    struct oauth_client got;

    (void)state;
    assert_int_equal(oauth_secret_of(&random_system, SPAN_OF("first"), &shop.secret), ERR_OK);
    (void)made(shop);
    assert_int_equal(oauth_secret_of(&random_system, SPAN_OF("second"), &story.secret), ERR_OK);
    assert_int_equal(writing(bench.store, secret_steps, &story), ERR_OK);
    got = found("shop");
    assert_true(oauth_secret_matches(&got.secret, SPAN_OF("second")));
    assert_true(oauth_secret_matches(&got.old_secret, SPAN_OF("first")));
    assert_int_equal(got.old_secret_until_ns, story.until_ns);
    assert_int_equal(oauth_secret_of(&random_system, SPAN_OF("third"), &story.secret), ERR_OK);
    story.until_ns = 0;
    assert_int_equal(writing(bench.store, secret_steps, &story), ERR_OK);
    got = found("shop");
    assert_true(oauth_secret_matches(&got.secret, SPAN_OF("third")));
    assert_false(got.old_secret.set);
    assert_int_equal(number_of(&changes_of_clients), 2);
}

/* ---- development ------------------------------------------------------------------------------
 */

static const struct store_statement uris_in_a_line = {
    .name = "test_uris",
    .sqlite = "SELECT count(*) FROM trail_events WHERE details LIKE "
              "'%\"redirect_uris\":\"http://127.0.0.1/callback http://localhost:3000/callback\"%'"};

static void the_seeds_are_those_of_the_contract(void **state)
{
    static const struct {
        const char *id, *name, *roles;
        enum oauth_method method;
    } wanted[] = {
        {"web-portal", "Retail Web Portal", "customer", OAUTH_METHOD_SECRET},
        {"payments-gateway", "Payments Gateway", "payments", OAUTH_METHOD_SECRET},
        {"risk-engine", "Risk Engine", "risk", OAUTH_METHOD_SECRET},
        {"alertmanager", "Alertmanager", "", OAUTH_METHOD_SECRET},
        {"api-docs", "API documentation", "", OAUTH_METHOD_NONE},
        {"console", "Portcullis console", "", OAUTH_METHOD_NONE},
    };
    const struct oauth_options options = {.clock = &clock_system, .random = &random_system};
    size_t created;

    (void)state;
    assert_int_equal(oauth_seed(bench.store, &options, &created), ERR_OK);
    assert_int_equal(created, PC_COUNT(wanted));
    for (size_t i = 0; i < PC_COUNT(wanted); i++) {
        struct oauth_client client = found(wanted[i].id);

        assert_true(span_is(client.name, wanted[i].name));
        assert_true(span_is(client.roles, wanted[i].roles));
        assert_int_equal(client.method, wanted[i].method);
        assert_int_equal(oauth_secret_matches(&client.secret, SPAN_OF("change-me")),
                         wanted[i].method == OAUTH_METHOD_SECRET);
        judged(&client, NULL);
    }
    assert_int_equal(oauth_seed(bench.store, &options, &created), ERR_OK);
    assert_int_equal(created, 0);
    assert_int_equal(number_of(&uris_in_a_line), 1);
}

/* ---- failures ---------------------------------------------------------------------------------
 */

static enum err every_step(struct store_conn *conn, void *context)
{
    struct story *story = context;
    enum err err = oauth_client_create(conn, &story->client, T0);

    if (!err)
        err = oauth_client_find(conn, story->client.client_id, &bench.arena, &story->client);
    if (!err)
        err = oauth_client_update(conn, &story->client, T0 + 1);
    if (!err)
        err = oauth_client_set_secret(conn, story->client.client_id, &story->client.secret, T0 + 10,
                                      T0 + 2);
    if (!err)
        err = oauth_client_set_active(conn, story->client.client_id, false, T0 + 3);
    if (!err)
        err = oauth_client_list(conn, 0, 10, &bench.arena, &story->list, &story->count);
    return err;
}

/* Whichever call to the database fails, nothing of the job stays. */
static void a_failed_call_leaves_nothing(void **state)
{
    static const struct store_statement clients = {.name = "test_clients",
                                                   .sqlite = "SELECT count(*) FROM oauth_clients"};
    bool over = false;

    (void)state;
    for (uint64_t nth = 1; !over; nth++) {
        struct story story = {.client = whole()};
        enum err err;

        assert_in_range(nth, 1, 200);
        store_fail_at(nth);
        err = writing(bench.store, every_step, &story);
        over = store_fail_pending();
        store_fail_at(0);
        kit_heal(bench.store);
        assert_int_equal(number_of(&clients), err == ERR_OK ? 1 : 0);
        if (err == ERR_OK)
            break;
    }
}

/* Less memory than the rows need is an error, never half a client. */
static void a_client_needs_memory(void **state)
{
    struct arena whole_arena = bench.arena;
    struct story story = {.client_id = SPAN("shop"), .limit = 4};

    (void)state;
    (void)made(whole());
    arena_init(&bench.arena, NULL, 0, 0);
    assert_int_equal(reading(bench.store, find_steps, &story), ERR_NO_MEMORY);
    assert_int_equal(reading(bench.store, list_steps, &story), ERR_NO_MEMORY);
    assert_int_equal(story.client.key, 0);
    arena_reset(&bench.arena);
    bench.arena = whole_arena;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(good_clients_are_let_in),
        T(ids_cannot_be_taken_for_others),
        T(redirects_go_where_they_may),
        T(grants_fit_the_client),
        T(names_are_of_the_catalogue),
        T(each_method_has_what_it_needs),
        T(key_sets_hold_public_keys_only),
        T(token_lives_have_bounds),
        T(secrets_are_known_again),
        T(a_client_comes_back_as_it_was),
        T(an_id_is_taken_once),
        T(nobody_is_not_found),
        T(clients_come_page_by_page),
        T(disabling_ends_what_it_holds),
        T(a_change_is_told_and_keeps_the_rest),
        T(other_terms_end_what_it_holds),
        T(an_old_secret_works_for_a_while),
        T(the_seeds_are_those_of_the_contract),
        T(a_failed_call_leaves_nothing),
        T(a_client_needs_memory),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_client", tests, NULL, NULL);
}
