/* SPDX-License-Identifier: MIT
 * What the tests of the pages share: the pages on a whole service with the users and clients of the
 * development environment, and a browser that keeps cookies and fills in forms. */
#ifndef PC_OAUTH_OAUTH_PAGE_TEST_KIT_H
#define PC_OAUTH_OAUTH_PAGE_TEST_KIT_H

#include <sys/socket.h>
#include <sys/time.h>

#include "auth/auth_test_kit.h"
#include "net/net_pool.h"
#include "oauth/oauth_page_priv.h"

enum { REPLY_BYTES = 128 * 1024, TEXT_BYTES = 32 * 1024, WAIT_S = 20, LOGIN_S = 3600 };

#define ISSUER    "https://issuer.example"
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define CALLBACK  "http://localhost:3000/callback"
#define WEB(scope)                                                                                 \
    "client_id=web-portal&redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fcallback"                   \
    "&response_type=code&state=a%2Fb&nonce=n1&code_challenge_method=S256&code_"                    \
    "challenge=" CHALLENGE "&scope=" scope
#define DOCS(scope)                                                                                \
    "client_id=api-docs&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fdocs%2Foauth2-redirect.html"     \
    "&response_type=code&state=s&code_challenge_method=S256&code_challenge=" CHALLENGE             \
    "&scope=" scope

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
    (void)alg;
    (void)now_ns;
    return &keys->signer;
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

static inline void keys_open(struct oauth_keys *keys, enum crypto_alg alg)
{
    assert_int_equal(crypto_key_generate(alg, SPAN_OF("k"), &keys->key), ERR_OK);
    assert_int_equal(crypto_keyset_new(&keys->set), ERR_OK);
    assert_int_equal(crypto_keyset_add(keys->set, keys->key), ERR_OK);
    assert_int_equal(crypto_signer_local(keys->key, &keys->signer), ERR_OK);
}

static inline void keys_close(struct oauth_keys *keys)
{
    crypto_keyset_free(keys->set);
    crypto_key_free(keys->key);
}

/* ---- the service ------------------------------------------------------------------------------
 */

static struct world {
    struct clock_fake clock;
    struct net_pool *pool;
    struct oauth_keys session_keys, keys; /* of auth/, and of the issuer */
    struct auth *auth;
    struct oauth *oauth;
    struct http_engine *engine;
    struct http_service *service;
    struct net_server *server;
    struct net_listener *listener;
} world;

static enum err nobody_verify(void *context, struct span token, int64_t now_s, struct arena *arena,
                              struct http_principal *ret_principal)
{
    (void)context;
    (void)token;
    (void)now_s;
    (void)arena;
    (void)ret_principal;
    return ERR_TOKEN_INVALID;
}

static enum err nobody_load(void *context, struct store_conn *conn, struct arena *arena,
                            struct http_principal *principal)
{
    (void)context;
    (void)conn;
    (void)arena;
    (void)principal;
    return ERR_TOKEN_INVALID;
}

static inline void world_identity(void)
{
    struct auth_options auth = {.clock = &world.clock.clock,
                                .random = &random_system,
                                .issuer = SPAN("portcullis"),
                                .access_s = 1800,
                                .refresh_s = 7 * 86400,
                                .policy = {.kind = CRYPTO_PASSWORD_BCRYPT, .bcrypt_cost = 4}};
    struct oauth_options oauth = {.clock = &world.clock.clock,
                                  .random = &random_system,
                                  .issuer = SPAN(ISSUER),
                                  .audience = SPAN("services"),
                                  .base_url = SPAN("http://127.0.0.1:8001"),
                                  .code_s = 60,
                                  .login_s = LOGIN_S};
    size_t count;

    keys_open(&world.session_keys, CRYPTO_HS256);
    keys_open(&world.keys, CRYPTO_ES256);
    auth.signer = &world.session_keys.signer;
    auth.keys = world.session_keys.set;
    assert_int_equal(auth_new(&auth, &world.auth), ERR_OK);
    assert_int_equal(auth_seed(bench.store, &auth, &count), ERR_OK);
    oauth.auth = world.auth;
    oauth.keys = &world.keys;
    assert_int_equal(oauth_new(&oauth, &world.oauth), ERR_OK);
    assert_int_equal(oauth_seed(bench.store, &oauth, &count), ERR_OK);
}

static inline void world_service(void)
{
    static const struct http_policy policy = {
        .rate = {.requests = 100000, .period_ns = 60 * CLOCK_NS_PER_S},
        .rate_verify = {.requests = 100000, .period_ns = 60 * CLOCK_NS_PER_S},
        .body_bytes_max = 65536,
        .breaker_failures = 1000};
    const struct http_mount mount = {.rows = oauth_page_routes, .context = world.oauth};
    const struct http_service_options service = {
        .name = "test", .mounts = &mount, .mount_count = 1, .policy = &policy};
    const struct http_engine_options engine = {
        .clock = &world.clock.clock,
        .random = &random_system,
        .store = bench.store,
        .hash_pool = world.pool,
        .identity = {.verify = nobody_verify, .load = nobody_load}};
    const char *why = "";

    assert_int_equal(http_engine_new(&engine, &world.engine), ERR_OK);
    if (http_service_new(world.engine, &service, &world.service, &why) != ERR_OK)
        fail_msg("%s", why);
}

static inline int world_setup(void **state)
{
    struct net_server_options options = {
        .loops = 1, .loop_started = http_loop_started, .loop_stopped = http_loop_stopped};
    struct net_listener_options listening = {.name = "test", .app = &http_net_app};

    if (bench_setup(state) != 0)
        return -1;
    clock_fake_init(&world.clock, T0);
    assert_int_equal(net_pool_new("hash", 1, 8, &world.pool), ERR_OK);
    world_identity();
    world_service();
    options.loop_context = world.engine;
    listening.app_context = world.service;
    assert_int_equal(net_server_new(&options, &world.server), ERR_OK);
    assert_int_equal(net_server_listen_none(world.server, &listening, &world.listener), ERR_OK);
    assert_int_equal(net_server_start(world.server), ERR_OK);
    return 0;
}

static inline int world_teardown(void **state)
{
    net_server_free(world.server);
    net_pool_free(world.pool);
    http_service_free(world.service);
    http_engine_free(world.engine);
    oauth_free(world.oauth);
    auth_free(world.auth);
    keys_close(&world.keys);
    keys_close(&world.session_keys);
    return bench_teardown(state);
}

/* ---- a browser --------------------------------------------------------------------------------
 */

struct browser {
    char login[128], form[128]; /* cookies; "": none */
    char headers[512];          /* more lines, each with its end */
};

/* The last answer, whoever got it. */
static struct {
    int status;
    char text[REPLY_BYTES];
    struct span head, body;
} page;

static inline size_t find_text(struct span where, const char *what)
{
    struct span wanted = span_from(what);

    for (size_t i = 0; i + wanted.len <= where.len; i++) {
        if (span_starts(span_slice(where, i, where.len), wanted))
            return i;
    }
    return where.len;
}

/* The header's value, or the empty span; `nth` of those with the name. */
static inline struct span header(const char *name, size_t nth)
{
    struct span rest = page.head;
    struct span line;

    while (span_cut(&rest, '\n', &line)) {
        size_t colon = span_find(line, ':');

        if (span_is_nocase(span_slice(line, 0, colon), name) && nth-- == 0)
            return span_trim(span_slice(line, colon + 1, line.len - 1));
    }
    return (struct span){0};
}

static inline void keep_cookie(const char *name, char *room, size_t bytes)
{
    struct span line;

    for (size_t i = 0; (line = header("set-cookie", i)).len > 0; i++) {
        size_t equals = span_find(line, '=');
        struct span value = span_slice(line, equals + 1, span_find(line, ';'));

        if (span_is(span_slice(line, 0, equals), name))
            (void)snprintf(room, bytes, "%.*s", SPAN_ARG(value));
    }
}

static inline void receive(int fd)
{
    size_t len = 0;
    size_t head = 0;
    uint64_t status = 0;
    uint64_t length = 0;

    do {
        ssize_t got = read(fd, page.text + len, sizeof(page.text) - len);

        if (got <= 0)
            fail_msg("the answer ends after %zu bytes", len);
        len += (size_t)got;
        head = find_text(span_make(page.text, len), "\r\n\r\n");
        page.head = span_make(page.text, head);
        if (!span_to_u64(header("content-length", 0), &length))
            length = 0;
    } while (head == len || len < head + 4 + length);
    page.body = span_make(page.text + head + 4, len - head - 4);
    assert_true(span_to_u64(span_make(page.text + 9, 3), &status));
    page.status = (int)status;
}

static inline void send_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = write(fd, text, len);

        assert_true(sent > 0);
        text += sent;
        len -= (size_t)sent;
    }
}

static inline void ask(struct browser *browser, const char *method, const char *target,
                       const char *form)
{
    static char text[2 * TEXT_BYTES];
    const struct timeval wait = {.tv_sec = WAIT_S};
    struct sbuf out = sbuf_over(text, sizeof(text));
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(net_server_adopt(world.server, world.listener, pair[1]), ERR_OK);
    sbuf_add_format(&out, "%s %s HTTP/1.1\r\nHost: issuer.example\r\n%s", method, target,
                    browser->headers);
    if (browser->login[0] != '\0' || browser->form[0] != '\0')
        sbuf_add_format(&out, "Cookie: a=b; portcullis_login=%s; portcullis_form=%s\r\n",
                        browser->login, browser->form);
    if (form != NULL)
        sbuf_add_format(&out,
                        "Content-Type: application/x-www-form-urlencoded\r\n"
                        "Content-Length: %zu\r\n",
                        strlen(form));
    sbuf_add_lit(&out, "\r\n");
    sbuf_add_text(&out, form != NULL ? form : "");
    assert_false(out.full);
    send_all(pair[0], out.ptr, out.len);
    receive(pair[0]);
    (void)close(pair[0]);
    keep_cookie("portcullis_login", browser->login, sizeof(browser->login));
    keep_cookie("portcullis_form", browser->form, sizeof(browser->form));
}

static inline void authorize(struct browser *browser, const char *query)
{
    char target[TEXT_BYTES];

    (void)snprintf(target, sizeof(target), "/oauth/authorize?%s", query);
    ask(browser, "GET", target, NULL);
}

/* Goes where a relative Location leads. */
static inline void follow(struct browser *browser)
{
    char target[TEXT_BYTES];
    struct span location = header("location", 0);

    assert_int_equal(page.status, 303);
    assert_true(location.len > 0);
    (void)snprintf(target, sizeof(target), "/oauth/%.*s", SPAN_ARG(location));
    ask(browser, "GET", target, NULL);
}

/* ---- forms ------------------------------------------------------------------------------------
 */

static inline void form_add(struct sbuf *out, const char *name, struct span value)
{
    static const char digits[] = "0123456789ABCDEF";

    sbuf_add_text(out, out->len > 0 ? "&" : "");
    sbuf_add_text(out, name);
    sbuf_add_char(out, '=');
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        sbuf_add_char(out, '%');
        sbuf_add_char(out, digits[c >> 4]);
        sbuf_add_char(out, digits[c & 15]);
    }
}

/* What the page's form hides under the name, as the browser would send it. */
static inline void form_hidden(struct sbuf *out, const char *name)
{
    static char text[TEXT_BYTES];
    char mark[64];
    struct span rest;
    struct sbuf value = sbuf_over(text, sizeof(text));

    (void)snprintf(mark, sizeof(mark), "name=\"%s\" value=\"", name);
    rest = span_slice(page.body, find_text(page.body, mark) + strlen(mark), page.body.len);
    rest = span_slice(rest, 0, span_find(rest, '"'));
    while (rest.len > 0) {
        bool escaped = span_starts(rest, SPAN_OF("&amp;"));

        sbuf_add_char(&value, rest.ptr[0]);
        rest = span_slice(rest, escaped ? 5 : 1, rest.len);
    }
    assert_false(value.full);
    form_add(out, name, sbuf_span(&value));
}

/* The hidden fields of the page, and two more. */
static inline const char *fill(const char *name, const char *value, const char *name_2,
                               const char *value_2)
{
    static char text[TEXT_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);

    form_hidden(&out, "request");
    form_hidden(&out, "csrf");
    if (name != NULL)
        form_add(&out, name, span_from(value));
    if (name_2 != NULL)
        form_add(&out, name_2, span_from(value_2));
    assert_false(out.full);
    text[out.len] = '\0';
    return text;
}

static inline void sign_in(struct browser *browser, const char *email, const char *password)
{
    ask(browser, "POST", "/oauth/login", fill("email", email, "password", password));
}

static inline void answer(struct browser *browser, const char *decision)
{
    ask(browser, "POST", "/oauth/consent", fill("decision", decision, NULL, NULL));
}

/* ---- what an answer must be -------------------------------------------------------------------
 */

static inline void must_be(int status)
{
    if (page.status != status)
        fail_msg("%d, not %d: %.*s %.*s", page.status, status, SPAN_ARG(page.head),
                 SPAN_ARG(page.body));
}

static inline void must_show(const char *text)
{
    if (find_text(page.body, text) == page.body.len)
        fail_msg("no %s in %.*s", text, SPAN_ARG(page.body));
}

static inline void must_hide(const char *text)
{
    if (find_text(page.body, text) != page.body.len)
        fail_msg("%s in %.*s", text, SPAN_ARG(page.body));
}

/* A redirect whose address holds the text. */
static inline void must_go(const char *text)
{
    struct span location = header("location", 0);

    must_be(303);
    if (find_text(location, text) == location.len)
        fail_msg("no %s in %.*s", text, SPAN_ARG(location));
}

/* ---- beginnings -------------------------------------------------------------------------------
 */

static const struct store_statement codes = {.name = "test_codes",
                                             .sqlite = "SELECT count(*) FROM oauth_codes"};
static const struct store_statement logins = {
    .name = "test_logins",
    .sqlite = "SELECT count(*) FROM sessions WHERE client = 'browser' AND ended_at IS NULL"};
static const struct store_statement goodbyes = {
    .name = "test_goodbyes",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'user.logout'"};

static inline struct browser signed_in(void)
{
    struct browser browser = {{0}};

    authorize(&browser, WEB("openid"));
    sign_in(&browser, "user@example.com", "user123");
    must_be(303);
    return browser;
}

/* Signed in, and agreed to openid and profile for the web portal. */
static inline struct browser agreed(void)
{
    struct browser browser = signed_in();

    authorize(&browser, WEB("openid+profile"));
    must_be(200);
    answer(&browser, "allow");
    must_go("code=");
    return browser;
}

#endif
