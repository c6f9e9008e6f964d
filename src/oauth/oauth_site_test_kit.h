/* SPDX-License-Identifier: MIT
 * A whole issuer for tests, over socket pairs: real store, threads, signatures and routes; a clock
 * that stands, and a certificate that a test may put on the connection. Each test begins with one
 * user, anna, and the clients below. */
#ifndef PC_OAUTH_OAUTH_SITE_TEST_KIT_H
#define PC_OAUTH_OAUTH_SITE_TEST_KIT_H

#include "auth/auth_test_kit.h"

#include <sys/socket.h>
#include <sys/time.h>

#include "crypto/digest.h"
#include "net/net_pool.h"
#include "oauth/oauth_issue_test_kit.h"

#define ISSUER   "https://auth.example"
#define SECRET   "Kp3-vY7wQ0aZ9sXc_the-shop-and-nobody-else"
#define PASSWORD "correct horse battery staple"
#define CALLBACK "https://web.example/callback"
#define VERIFIER "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define MANY     "openid profile email offline_access accounts:read transactions:read"

enum { SITE_TEXT_BYTES = 64 * 1024, SITE_WAIT_S = 20, ACCESS_S = 900, REFRESH_S = 7 * 86400 };
enum { GRACE_S = 10, LEEWAY_S = 30 };

static struct {
    struct clock_fake clock;
    struct metrics *metrics;
    struct crypto_key *session_key;
    struct crypto_keyset *session_keys;
    struct crypto_signer session_signer;
    struct crypto_key *robot_key; /* of the client "robot" */
    struct crypto_signer robot_signer;
    struct auth *auth;
    struct oauth *oauth;
    struct net_pool *pool;
    struct http_engine *engine;
    struct http_service *service;
    struct net_server *server;
    struct net_listener *listener;
    int64_t user_id;
    char text[SITE_TEXT_BYTES]; /* the last answer */
} site;

/* The certificate of every connection; empty: none. The tests are linked with --wrap. */
static struct net_peer site_peer;
const struct net_peer *__real_net_stream_peer(struct net_stream *stream);
const struct net_peer *__wrap_net_stream_peer(struct net_stream *stream);
const struct net_peer *__wrap_net_stream_peer(struct net_stream *stream)
{
    return site_peer.tls_subject.len > 0 ? &site_peer : __real_net_stream_peer(stream);
}

/* ---- who there is -----------------------------------------------------------------------------
 */

static const struct http_rate_override site_rates[] = {
    {.what = SPAN("POST /auth/token"),
     .rate = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S}},
    {.what = SPAN("POST /auth/refresh"),
     .rate = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S}},
    {.what = SPAN("POST /auth/revoke"),
     .rate = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S}},
    {.what = SPAN("POST /auth/introspect"),
     .rate = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S}},
};
static struct http_policy site_policy = {
    .rate = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S},
    .rate_verify = {.requests = 1000000, .period_ns = 60 * CLOCK_NS_PER_S},
    .body_bytes_max = 65536,
    .breaker_failures = 1000000};

static inline enum err site_client_steps(struct store_conn *conn, void *context)
{
    return oauth_client_create(conn, context, T0);
}

static inline struct span site_robot_keys(void)
{
    struct sbuf out = sbuf_on(&bench.arena, 4096);
    struct crypto_keyset *set;

    assert_int_equal(crypto_key_generate(CRYPTO_ES256, SPAN_OF("one"), &site.robot_key), ERR_OK);
    assert_int_equal(crypto_signer_local(site.robot_key, &site.robot_signer), ERR_OK);
    assert_int_equal(crypto_keyset_new(&set), ERR_OK);
    assert_int_equal(crypto_keyset_add(set, site.robot_key), ERR_OK);
    assert_int_equal(crypto_jwks_add(&out, set), ERR_OK);
    crypto_keyset_free(set);
    return sbuf_span(&out);
}

static inline void site_client(const char *client_id, enum oauth_method method, const char *grants,
                               const char *roles, enum crypto_alg alg)
{
    struct oauth_client client = {.client_id = span_from(client_id),
                                  .name = span_from(client_id),
                                  .method = method,
                                  .grants = span_from(grants),
                                  .scopes = SPAN(MANY),
                                  .roles = span_from(roles),
                                  .redirect_uris = SPAN(CALLBACK),
                                  .access_alg = alg,
                                  .id_alg = alg};

    if (method == OAUTH_METHOD_CERTIFICATE)
        client.tls_subject = SPAN_OF("CN=bank,O=Example");
    if (method == OAUTH_METHOD_PRIVATE_KEY)
        client.jwks = site_robot_keys();
    client.is_bound = method == OAUTH_METHOD_CERTIFICATE;
    if (method == OAUTH_METHOD_SECRET)
        assert_int_equal(oauth_secret_of(&random_system, SPAN_OF(SECRET), &client.secret), ERR_OK);
    assert_int_equal(writing(bench.store, site_client_steps, &client), ERR_OK);
}

static inline enum err site_user_steps(struct store_conn *conn, void *context)
{
    char hash[CRYPTO_PASSWORD_HASH_BYTES];
    const struct crypto_password_policy policy = {.kind = CRYPTO_PASSWORD_BCRYPT, .bcrypt_cost = 4};
    const struct auth_user_new user = {
        .username = SPAN("anna"), .email = SPAN("anna@example.com"), .password_hash = SPAN("")};
    const char *field;
    struct auth_user_new made = user;
    enum err err = crypto_password_hash(&policy, &random_system, SPAN_OF(PASSWORD), hash);

    (void)context;
    made.password_hash = span_from(hash);
    return err ? err : auth_user_create(conn, &made, T0, &bench.arena, &site.user_id, &field);
}

#define ALL_GRANTS "authorization_code client_credentials password refresh_token"

static inline void site_people(void)
{
    assert_int_equal(writing(bench.store, site_user_steps, NULL), ERR_OK);
    site_client("web", OAUTH_METHOD_SECRET, ALL_GRANTS, "payments", CRYPTO_ES256);
    site_client("slow", OAUTH_METHOD_SECRET, ALL_GRANTS, "risk", CRYPTO_RS256);
    site_client("spa", OAUTH_METHOD_NONE, "authorization_code refresh_token", "", CRYPTO_ES256);
    site_client("bank", OAUTH_METHOD_CERTIFICATE, ALL_GRANTS, "payments", CRYPTO_ES256);
    site_client("once", OAUTH_METHOD_SECRET, "authorization_code password", "", CRYPTO_ES256);
    site_client("robot", OAUTH_METHOD_PRIVATE_KEY, ALL_GRANTS, "risk", CRYPTO_ES256);
    site_client("odd", OAUTH_METHOD_NONE, ALL_GRANTS, "", CRYPTO_ES256);
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

static inline void site_make_auth(void)
{
    struct auth_options options = {.clock = &site.clock.clock,
                                   .random = &random_system,
                                   .issuer = SPAN("portcullis"),
                                   .access_s = 1800,
                                   .refresh_s = REFRESH_S,
                                   .grace_s = GRACE_S,
                                   .policy = {.kind = CRYPTO_PASSWORD_BCRYPT, .bcrypt_cost = 4}};

    assert_int_equal(crypto_key_generate(CRYPTO_HS256, SPAN_OF(""), &site.session_key), ERR_OK);
    assert_int_equal(crypto_keyset_new(&site.session_keys), ERR_OK);
    assert_int_equal(crypto_keyset_add(site.session_keys, site.session_key), ERR_OK);
    assert_int_equal(crypto_signer_local(site.session_key, &site.session_signer), ERR_OK);
    options.signer = &site.session_signer;
    options.keys = site.session_keys;
    options.metrics = site.metrics;
    assert_int_equal(auth_new(&options, &site.auth), ERR_OK);
}

static inline void site_make_oauth(void)
{
    const struct oauth_options options = {.clock = &site.clock.clock,
                                          .random = &random_system,
                                          .metrics = site.metrics,
                                          .auth = site.auth,
                                          .keys = &keys,
                                          .issuer = SPAN(ISSUER),
                                          .audience = SPAN("services"),
                                          .base_url = SPAN(ISSUER),
                                          .access_s = ACCESS_S,
                                          .refresh_s = REFRESH_S,
                                          .code_s = 60,
                                          .grace_s = GRACE_S,
                                          .login_s = 3600,
                                          .leeway_s = LEEWAY_S};

    keys.alg = CRYPTO_ES256;
    assert_int_equal(oauth_new(&options, &site.oauth), ERR_OK);
}

static inline void site_make_service(void)
{
    const struct http_mount mounts[] = {{.rows = oauth_api_routes, .context = site.oauth},
                                        {.rows = oauth_self_routes, .context = site.oauth}};
    const struct http_service_options options = {.name = "test",
                                                 .title = "Test",
                                                 .about = "Test.",
                                                 .version = "1",
                                                 .mounts = mounts,
                                                 .mount_count = PC_COUNT(mounts),
                                                 .policy = &site_policy};
    struct http_engine_options engine = {.clock = &site.clock.clock,
                                         .random = &random_system,
                                         .metrics = site.metrics,
                                         .store = bench.store,
                                         .identity = oauth_identity(site.oauth)};
    const char *why = "";

    assert_int_equal(net_pool_new("work", 1, 64, &site.pool), ERR_OK);
    engine.hash_pool = engine.sign_pool = site.pool;
    assert_int_equal(http_engine_new(&engine, &site.engine), ERR_OK);
    if (http_service_new(site.engine, &options, &site.service, &why) != ERR_OK)
        fail_msg("%s", why);
}

/* As the feed would: what was changed behind the issuer's back is known, and until the clock moves
 * what is cached may be trusted. */
static inline void site_hear_of_changes(void)
{
    http_forget_subject(site.engine, 0);
    http_engine_feed_alive(site.engine, clock_monotonic_ns(&site.clock.clock));
}

static inline int site_setup(void **state)
{
    struct net_server_options options = {.loops = 1,
                                         .clock = &site.clock.clock,
                                         .loop_started = http_loop_started,
                                         .loop_stopped = http_loop_stopped};
    struct net_listener_options listening = {.name = "test", .app = &http_net_app};

    if (bench_setup(state) != 0)
        return -1;
    memset(&site_peer, 0, sizeof(site_peer));
    clock_fake_init(&site.clock, T0);
    site_policy.route_rates = site_rates;
    site_policy.route_rate_count = PC_COUNT(site_rates);
    assert_int_equal(metrics_new(&site.metrics), ERR_OK);
    site_people();
    site_make_auth();
    site_make_oauth();
    site_make_service();
    options.loop_context = site.engine;
    listening.app_context = site.service;
    assert_int_equal(net_server_new(&options, &site.server), ERR_OK);
    assert_int_equal(net_server_listen_none(site.server, &listening, &site.listener), ERR_OK);
    assert_int_equal(net_server_start(site.server), ERR_OK);
    site_hear_of_changes();
    return 0;
}

static inline int site_teardown(void **state)
{
    net_server_free(site.server);
    net_pool_free(site.pool);
    store_close(bench.store);
    http_service_free(site.service);
    http_engine_free(site.engine);
    oauth_free(site.oauth);
    auth_free(site.auth);
    crypto_keyset_free(site.session_keys);
    crypto_key_free(site.session_key);
    crypto_key_free(site.robot_key);
    metrics_free(site.metrics);
    bench.store = NULL;
    return bench_teardown(state);
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static inline int site_dial(void)
{
    const struct timeval wait = {.tv_sec = SITE_WAIT_S};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(net_server_adopt(site.server, site.listener, pair[1]), ERR_OK);
    return pair[0];
}

/* Everything until the server hangs up, in site.text; the status. */
static inline int site_hear(int fd)
{
    size_t len = 0;
    uint64_t status = 0;
    ssize_t got;

    while ((got = read(fd, site.text + len, SITE_TEXT_BYTES - 1 - len)) > 0)
        len += (size_t)got;
    (void)close(fd);
    site.text[len] = '\0';
    assert_int_equal(got, 0);
    assert_true(len > 12 && span_to_u64(span_make(site.text + 9, 3), &status));
    return (int)status;
}

static inline int site_send(const char *what, const char *headers, const char *type,
                            const char *body)
{
    char text[16 * 1024];
    int fd = site_dial();
    int len = snprintf(text, sizeof(text),
                       "%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s"
                       "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
                       what, headers, type, strlen(body), body);

    assert_in_range(len, 1, sizeof(text) - 1);
    assert_int_equal(write(fd, text, (size_t)len), len);
    return site_hear(fd);
}

/* A form from "name=value&..."; colons and slashes need no escape in it. */
static inline int site_form(const char *path, const char *headers, const char *form)
{
    char what[64];

    (void)snprintf(what, sizeof(what), "POST %s", path);
    return site_send(what, headers, "application/x-www-form-urlencoded", form);
}

static inline int site_token(const char *form)
{
    return site_form("/auth/token", "", form);
}

static inline int site_json(const char *path, const char *body)
{
    char what[64];

    (void)snprintf(what, sizeof(what), "POST %s", path);
    return site_send(what, "", "application/json", body);
}

static inline int site_get(const char *path, struct span token)
{
    char text[8192];
    int fd = site_dial();
    int len = snprintf(text, sizeof(text),
                       "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                       "Authorization: Bearer %.*s\r\n\r\n",
                       path, SPAN_ARG(token));

    assert_in_range(len, 1, sizeof(text) - 1);
    assert_int_equal(write(fd, text, (size_t)len), len);
    return site_hear(fd);
}

static inline struct span site_body(void)
{
    const char *body = strstr(site.text, "\r\n\r\n");

    return body != NULL ? span_from(body + 4) : SPAN_OF("");
}

/* A member of the last answer, copied into the test's arena; empty when it is not there. */
static inline struct span site_said(const char *name)
{
    const struct json_value *root;
    struct span body = arena_copy(&bench.arena, site_body());
    struct span text = {0};

    if (json_read(body, &bench.arena, &root, NULL) != ERR_OK)
        return text;
    if (!json_to_text(json_get(root, name), &text) && json_get(root, name) != NULL)
        text = json_get(root, name)->source;
    return text;
}

static inline void assert_said(const char *name, const char *value)
{
    struct span said = site_said(name);

    if (!span_is(said, value))
        fail_msg("%s is \"%.*s\", not \"%s\", in %s", name, SPAN_ARG(said), value, site.text);
}

/* The last answer was this refusal: status 400, or 401 for invalid_client. */
static inline void assert_refusal(int status, const char *error)
{
    if (status != (strcmp(error, "invalid_client") == 0 ? 401 : 400))
        fail_msg("status %d, not the one of %s: %s", status, error, site.text);
    assert_said("error", error);
}

static inline void site_later(int64_t seconds)
{
    clock_fake_move(&site.clock, seconds * CLOCK_NS_PER_S);
}

/* What the trail holds of an event. */
static inline enum err site_events_steps(struct store_conn *conn, void *context)
{
    static const struct store_statement events = {
        .name = "test_events", .sqlite = "SELECT count(*) FROM trail_events WHERE event = ?1"};
    struct number *number = context;
    PC_AUTO(store_rows) rows = NULL;
    const char *name = (const char *)number->statement;
    enum err err = store_query(conn, &events, STORE_PARAMS(STORE_TEXT(span_from(name))), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    number->value = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static inline int64_t site_events(enum trail_event event)
{
    struct number number = {.statement = (const void *)trail_event_name(event)};

    assert_int_equal(reading(bench.store, site_events_steps, &number), ERR_OK);
    return number.value;
}

/* ---- a code, as the pages would give it -------------------------------------------------------
 */

struct site_code {
    const char *client_id;
    struct span scope;
    char login[AUTH_ID_BYTES + 1];
    struct span text;
};

static inline enum err site_code_steps(struct store_conn *conn, void *context)
{
    struct site_code *made = context;
    int64_t now_ns = clock_realtime_ns(&site.clock.clock);
    struct auth_session_new login = {.id = span_from(made->login),
                                     .user_id = site.user_id,
                                     .client = SPAN("browser"),
                                     .expires_at_ns = now_ns + 3600 * CLOCK_NS_PER_S};
    struct oauth_client client;
    unsigned char hash[OAUTH_HASH_BYTES];
    unsigned char digest[CRYPTO_SHA256_BYTES];
    struct sbuf challenge = sbuf_on(&bench.arena, 64);
    struct oauth_code code = {.user_id = site.user_id,
                              .login_session = span_from(made->login),
                              .redirect_uri = SPAN(CALLBACK),
                              .scope = made->scope,
                              .nonce = SPAN("n-1"),
                              .auth_at_ns = now_ns - 5 * CLOCK_NS_PER_S,
                              .expires_at_ns = now_ns + 60 * CLOCK_NS_PER_S};
    enum err err = oauth_client_find(conn, span_from(made->client_id), &bench.arena, &client);

    if (!err)
        err = auth_session_add(conn, &login, now_ns);
    if (!err)
        err = oauth_token_make(&random_system, &bench.arena, &made->text, hash);
    if (err)
        return err;
    crypto_sha256(SPAN_OF(VERIFIER), digest);
    crypto_base64url_add(&challenge, span_make(digest, sizeof(digest)));
    code.client_key = client.key;
    code.challenge = sbuf_span(&challenge);
    return oauth_code_add(conn, hash, &code, now_ns);
}

static inline struct site_code site_code(const char *client_id, const char *scope)
{
    struct site_code made = {.client_id = client_id, .scope = span_from(scope)};

    random_uuid(&random_system, made.login);
    assert_int_equal(writing(bench.store, site_code_steps, &made), ERR_OK);
    return made;
}

/* Exchanges a code as its client would, with something else where it is not NULL. */
static inline int site_exchange(struct span code, const char *client, const char *uri,
                                const char *verifier)
{
    char form[2048];

    (void)snprintf(
        form, sizeof(form),
        "grant_type=authorization_code&client_id=%s%s&code=%.*s&redirect_uri=%s"
        "&code_verifier=%s",
        client,
        strcmp(client, "spa") == 0 || strcmp(client, "bank") == 0 ? "" : "&client_secret=" SECRET,
        SPAN_ARG(code), uri ? uri : CALLBACK, verifier ? verifier : VERIFIER);
    return site_token(form);
}

static inline int site_refresh(struct span token, const char *client, const char *more)
{
    char body[2048];
    bool open = strcmp(client, "spa") == 0 || strcmp(client, "bank") == 0;

    (void)snprintf(body, sizeof(body), "{\"refresh_token\":\"%.*s\",\"client_id\":\"%s\"%s%s}",
                   SPAN_ARG(token), client, open ? "" : ",\"client_secret\":\"" SECRET "\"", more);
    return site_json("/auth/refresh", body);
}

/* What proves the client "robot", once for each id. */
static inline struct span site_assertion(const char *id)
{
    struct sbuf claims = sbuf_on(&bench.arena, 1024);
    struct sbuf out = sbuf_on(&bench.arena, 4096);
    int64_t now_s = clock_realtime_s(&site.clock.clock);

    sbuf_add_format(&claims,
                    "{\"iss\":\"robot\",\"sub\":\"robot\",\"aud\":\"" ISSUER "\",\"jti\":\"%s\","
                    "\"iat\":%lld,\"exp\":%lld}",
                    id, (long long)now_s, (long long)now_s + 60);
    assert_int_equal(crypto_jwt_sign(&site.robot_signer, SPAN_OF("JWT"), sbuf_span(&claims), &out),
                     ERR_OK);
    return sbuf_span(&out);
}

/* The form with the assertion of that id. */
static inline int site_as_robot(const char *path, const char *form, const char *id)
{
    char text[4096];

    (void)snprintf(text, sizeof(text),
                   "%s&client_assertion_type=" OAUTH_ASSERTION_TYPE "&client_assertion=%.*s", form,
                   SPAN_ARG(site_assertion(id)));
    return site_form(path, "", text);
}

static inline void site_with_certificate(const char *subject, const char *thumbprint)
{
    site_peer = (struct net_peer){.address = SPAN("unix"),
                                  .family = AF_UNIX,
                                  .tls = true,
                                  .tls_subject = span_from(subject),
                                  .tls_thumbprint = span_from(thumbprint)};
}

#endif
