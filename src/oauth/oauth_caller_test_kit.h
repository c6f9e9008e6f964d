/* SPDX-License-Identifier: MIT
 * What the tests of client authentication share. The journey around a request is played by the few
 * functions below; the database, keys and signatures are real. */
#ifndef PC_OAUTH_OAUTH_CALLER_TEST_KIT_H
#define PC_OAUTH_OAUTH_CALLER_TEST_KIT_H

#include "auth/auth_test_kit.h"

#include "crypto/digest.h"
#include "oauth/oauth_priv.h"

#define ISSUER "https://auth.example"
#define SECRET "Kp3-vY7wQ0aZ9sXc_the-shop-and-nobody-else"

/* ---- the journey ------------------------------------------------------------------------------
 */

static struct {
    struct oauth *oauth;
    struct clock_fake clock;
    struct metrics *metrics;
    struct http_request req;
    struct net_head head;
    struct net_header headers[2];
    struct net_peer peer;
    enum err limit, refused;
    const char *detail;
    int failures; /* charged to the address */
} stage;

void *http_context(const struct http_request *req)
{
    assert_ptr_equal(req, &stage.req);
    return stage.oauth;
}

const struct net_peer *http_peer(const struct http_request *req)
{
    assert_ptr_equal(req, &stage.req);
    return &stage.peer;
}

enum err http_fail(struct http_request *req, enum err err, const char *detail)
{
    assert_ptr_equal(req, &stage.req);
    stage.detail = detail;
    return err;
}

enum err http_refuse(struct http_request *req, enum err err)
{
    assert_ptr_equal(req, &stage.req);
    stage.refused = err;
    return ERR_OK;
}

enum err http_limit_failure(struct http_request *req)
{
    assert_ptr_equal(req, &stage.req);
    stage.failures++;
    return stage.limit;
}

/* ---- clients and keys -------------------------------------------------------------------------
 */

static struct {
    struct crypto_key *key, *other;
    struct crypto_signer signer, stranger;
} keys;

static inline struct span jwks_of(struct crypto_key *key)
{
    struct sbuf out = sbuf_on(&bench.arena, 4096);
    struct crypto_keyset *set;

    assert_int_equal(crypto_keyset_new(&set), ERR_OK);
    assert_int_equal(crypto_keyset_add(set, key), ERR_OK);
    assert_int_equal(crypto_jwks_add(&out, set), ERR_OK);
    crypto_keyset_free(set);
    return sbuf_span(&out);
}

static inline enum err create_one(struct store_conn *conn, void *context)
{
    return oauth_client_create(conn, context, T0);
}

static inline void add(const char *client_id, enum oauth_method method)
{
    struct oauth_client client = {.client_id = span_from(client_id),
                                  .name = span_from(client_id),
                                  .method = method,
                                  .scopes = SPAN("accounts:read")};

    if (method <= OAUTH_METHOD_SECRET_POST)
        assert_int_equal(oauth_secret_of(&random_system, SPAN_OF(SECRET), &client.secret), ERR_OK);
    if (method == OAUTH_METHOD_PRIVATE_KEY)
        client.jwks = jwks_of(keys.key);
    if (method == OAUTH_METHOD_CERTIFICATE)
        client.tls_subject = SPAN_OF("CN=bank,O=Example");
    client.is_bound = method == OAUTH_METHOD_CERTIFICATE;
    assert_int_equal(writing(bench.store, create_one, &client), ERR_OK);
}

static inline int stage_setup(void **state)
{
    struct oauth_options options = {
        .clock = &stage.clock.clock, .random = &random_system, .issuer = SPAN(ISSUER)};

    if (bench_setup(state) != 0)
        return -1;
    memset(&stage, 0, sizeof(stage));
    clock_fake_init(&stage.clock, T0);
    assert_int_equal(metrics_new(&stage.metrics), ERR_OK);
    options.metrics = stage.metrics;
    assert_int_equal(oauth_new(&options, &stage.oauth), ERR_OK);
    assert_int_equal(crypto_key_generate(CRYPTO_ES256, SPAN_OF("one"), &keys.key), ERR_OK);
    assert_int_equal(crypto_key_generate(CRYPTO_ES256, SPAN_OF("one"), &keys.other), ERR_OK);
    assert_int_equal(crypto_signer_local(keys.key, &keys.signer), ERR_OK);
    assert_int_equal(crypto_signer_local(keys.other, &keys.stranger), ERR_OK);
    add("either", OAUTH_METHOD_SECRET);
    add("basic", OAUTH_METHOD_SECRET_BASIC);
    add("post", OAUTH_METHOD_SECRET_POST);
    add("robot", OAUTH_METHOD_PRIVATE_KEY);
    add("bank", OAUTH_METHOD_CERTIFICATE);
    add("spa", OAUTH_METHOD_NONE);
    return 0;
}

static inline int stage_teardown(void **state)
{
    crypto_key_free(keys.key);
    crypto_key_free(keys.other);
    oauth_free(stage.oauth);
    metrics_free(stage.metrics);
    return bench_teardown(state);
}

/* ---- a request --------------------------------------------------------------------------------
 */

static inline void request(void)
{
    stage.head = (struct net_head){.headers = stage.headers};
    stage.peer = (struct net_peer){.tls = true};
    stage.req = (struct http_request){.arena = &bench.arena,
                                      .head = &stage.head,
                                      .address = SPAN("192.0.2.7"),
                                      .request_id = SPAN("the-request")};
    stage.limit = stage.refused = ERR_OK;
    stage.detail = NULL;
    stage.failures = 0;
}

static inline void with_header(const char *value)
{
    stage.headers[stage.head.header_count++] =
        (struct net_header){.name = SPAN("authorization"), .value = span_from(value)};
}

static inline char base64_char(uint32_t value)
{
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[value & 63];
}

static inline struct span base64(struct span text)
{
    struct sbuf out = sbuf_on(&bench.arena, 4096);

    for (size_t i = 0; i < text.len; i += 3) {
        size_t left = text.len - i;
        uint32_t three = (uint32_t)(unsigned char)text.ptr[i] << 16;

        three |= left > 1 ? (uint32_t)(unsigned char)text.ptr[i + 1] << 8 : 0;
        three |= left > 2 ? (uint32_t)(unsigned char)text.ptr[i + 2] : 0;
        sbuf_add_char(&out, base64_char(three >> 18));
        sbuf_add_char(&out, base64_char(three >> 12));
        sbuf_add_char(&out, left > 1 ? base64_char(three >> 6) : '=');
        sbuf_add_char(&out, left > 2 ? base64_char(three) : '=');
    }
    return sbuf_span(&out);
}

static inline void with_basic(const char *pair)
{
    struct sbuf out = sbuf_on(&bench.arena, 4096);

    sbuf_add_format(&out, "Basic %.*s", SPAN_ARG(base64(span_from(pair))));
    sbuf_add_char(&out, '\0');
    with_header(out.ptr);
}

static struct oauth_caller caller;

static inline enum err find_caller(struct store_conn *conn, void *context)
{
    (void)context;
    stage.req.store = conn;
    return oauth_caller_find(&stage.req, &caller);
}

static inline enum err settle_caller(struct store_conn *conn, void *context)
{
    (void)context;
    stage.req.store = conn;
    return oauth_caller_settle(&stage.req, &caller);
}

static inline enum err refuse_caller(struct store_conn *conn, void *context)
{
    (void)context;
    stage.req.store = conn;
    return oauth_caller_refused(&stage.req, &caller);
}

static inline enum err proof(const struct oauth_shown *shown)
{
    enum err err = oauth_caller_read(&stage.req, shown, &caller);

    if (!err)
        err = reading(bench.store, find_caller, NULL);
    return err ? err : oauth_caller_check(&stage.req, &caller);
}

static inline void assert_refused(const struct oauth_shown *shown, const char *why)
{
    assert_int_equal(proof(shown), ERR_OAUTH_INVALID_CLIENT);
    assert_null(stage.detail); /* nobody is told why */
    assert_string_equal(caller.why, why);
}

#endif
