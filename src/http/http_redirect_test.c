/* SPDX-License-Identifier: MIT
 * Where a request in clear is sent, and what is refused instead, with streams and certificates of
 * our own making. Through a real listener it is seen in tests/e2e. */
#include "http/http_redirect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"

/* ---- in place of net/ and crypto/ ---- */

struct net_stream {
    struct http_redirect *redirect;
    const struct net_head *head;
    struct arena arena;
    struct net_reply reply;
    size_t replies;
};

static char certificates[2]; /* two that differ by their address */
static const char *name_of[] = {"gate.example", "other.example"};
static size_t held;

static struct crypto_tls_context *certificate(size_t number)
{
    return (struct crypto_tls_context *)(void *)&certificates[number];
}

void *__wrap_net_stream_context(struct net_stream *stream);
struct arena *__wrap_net_stream_arena(struct net_stream *stream);
const struct net_head *__wrap_net_stream_head(struct net_stream *stream);
void __wrap_net_reply(struct net_stream *stream, const struct net_reply *reply);
bool __wrap_crypto_tls_context_covers(const struct crypto_tls_context *context, struct span host);
struct crypto_tls_context *__wrap_crypto_tls_context_share(struct crypto_tls_context *context);
void __wrap_crypto_tls_context_free(struct crypto_tls_context *context);

void *__wrap_net_stream_context(struct net_stream *stream)
{
    return stream->redirect;
}

struct arena *__wrap_net_stream_arena(struct net_stream *stream)
{
    return &stream->arena;
}

const struct net_head *__wrap_net_stream_head(struct net_stream *stream)
{
    return stream->head;
}

void __wrap_net_reply(struct net_stream *stream, const struct net_reply *reply)
{
    stream->reply = *reply;
    stream->replies++;
}

/* Besides its name each holds an address. */
bool __wrap_crypto_tls_context_covers(const struct crypto_tls_context *context, struct span host)
{
    size_t number = context == certificate(1);

    return span_is_nocase(host, name_of[number]) || span_is(host, "::1") ||
           span_is(host, "127.0.0.1");
}

struct crypto_tls_context *__wrap_crypto_tls_context_share(struct crypto_tls_context *context)
{
    held++;
    return context;
}

void __wrap_crypto_tls_context_free(struct crypto_tls_context *context)
{
    held -= context != NULL;
}

/* ---- asking ---- */

static struct metrics *metrics;

static struct http_redirect *made(uint16_t port)
{
    const struct http_redirect_options options = {
        .tls = certificate(0), .port = port, .metrics = metrics};
    struct http_redirect *redirect = NULL;

    assert_int_equal(http_redirect_new(&options, &redirect), ERR_OK);
    return redirect;
}

/* The answer's status, lines and body, as far as they fit. */
static char told[1024], body[512];

static int asked_of(struct http_redirect *redirect, const struct net_head *head, size_t bytes_max)
{
    struct net_stream stream = {.redirect = redirect, .head = head};

    arena_init(&stream.arena, NULL, 0, bytes_max);
    http_redirect_app.head(&stream, head);
    http_redirect_app.body(&stream, SPAN_OF("nobody reads this"));
    http_redirect_app.end(&stream);
    assert_int_equal(stream.replies, 1);
    assert_int_equal(stream.reply.close, head->has_body);
    snprintf(told, sizeof(told), "%.*s", SPAN_ARG(stream.reply.head));
    snprintf(body, sizeof(body), "%.*s", SPAN_ARG(stream.reply.body));
    arena_reset(&stream.arena);
    return stream.reply.status;
}

static int asked(struct http_redirect *redirect, const char *host, const char *target)
{
    const struct net_header headers[] = {{SPAN_OF("host"), span_from(host)}};
    const struct net_head head = {
        .target = span_from(target), .headers = headers, .header_count = host != NULL};

    return asked_of(redirect, &head, 64 * 1024);
}

static int set_up(void **state)
{
    return metrics_new(&metrics) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    metrics_free(metrics);
    return held == 0 ? 0 : -1;
}

#define SAFE                                                                                       \
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"                               \
    "Referrer-Policy: no-referrer\r\n"

/* The port that is not HTTPS's own is told, the one that came with the Host is not. */
static void a_plain_request_is_sent_on(void **state)
{
    static const struct {
        const char *host, *target, *location;
    } rows[] = {
        {"gate.example", "/", "https://gate.example:8443/"},
        {"GATE.example:8080", "/a?b=c&d=%20", "https://GATE.example:8443/a?b=c&d=%20"},
        {"127.0.0.1:0", "/a", "https://127.0.0.1:8443/a"},
        {"[::1]", "/a", "https://[::1]:8443/a"},
        {"[::1]:65535", "/a", "https://[::1]:8443/a"},
        {"gate.example", "//evil.example/", "https://gate.example:8443//evil.example/"},
    };
    struct http_redirect *redirect = made(8443);

    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        char wanted[512];

        snprintf(wanted, sizeof(wanted), SAFE "Location: %s\r\n", rows[i].location);
        assert_int_equal(asked(redirect, rows[i].host, rows[i].target), 308);
        assert_string_equal(told, wanted);
        assert_string_equal(body, "");
    }
    http_redirect_free(redirect);
    redirect = made(443);
    assert_int_equal(asked(redirect, "gate.example:80", "/a"), 308);
    assert_string_equal(told, SAFE "Location: https://gate.example/a\r\n");
    http_redirect_free(redirect);
}

/* Nothing that a browser could be led astray by comes back. */
static void a_strange_host_is_refused(void **state)
{
    static const char *const hosts[] = {"",
                                        "evil.example",
                                        "gate.example:",
                                        "gate.example:65536",
                                        "[::1",
                                        "gate.example:x",
                                        "[::1]x",
                                        "[::1]:",
                                        "[]",
                                        "gate.example:-1",
                                        "gate.example/",
                                        "gate.example@evil.example",
                                        "gate.exam",
                                        "gate.example\r\nX:",
                                        "[gate.example]:80",
                                        ":443",
                                        "::1",
                                        "gate.example#",
                                        "[::1]:80:80",
                                        NULL};
    struct http_redirect *redirect = made(8443);

    for (size_t i = 0; i < PC_COUNT(hosts); i++) {
        if (asked(redirect, hosts[i], "/") != 400)
            fail_msg("\"%s\" was let through", hosts[i] != NULL ? hosts[i] : "(none)");
        assert_string_equal(told, SAFE "Content-Type: application/problem+json\r\n");
        assert_string_equal(body, "{\"type\":\"urn:portcullis:problem:bad-host\",\"title\":\"The "
                                  "request needs exactly one valid Host\",\"status\":400}");
    }
    http_redirect_free(redirect);
}

static void two_hosts_are_refused(void **state)
{
    const struct net_header headers[] = {{SPAN_OF("host"), SPAN_OF("gate.example")},
                                         {SPAN_OF("host"), SPAN_OF("gate.example")}};
    const struct net_head head = {.target = SPAN_OF("/"), .headers = headers, .header_count = 2};
    struct http_redirect *redirect = made(8443);

    assert_int_equal(asked_of(redirect, &head, 64 * 1024), 400);
    http_redirect_free(redirect);
}

static void a_strange_target_is_refused(void **state)
{
    static const char *const targets[] = {
        "*",
        "http://gate.example/",
        "gate.example:443",
        "a",
        "/a b",
        "/a#b",
        "/\"",
        "/<",
        "/>",
        "/\\evil.example",
        "/\x7F",
        "/\r\nX",
        "/\xC3",
        "",
        "/a\t",
    };
    struct http_redirect *redirect = made(8443);

    for (size_t i = 0; i < PC_COUNT(targets); i++) {
        if (asked(redirect, "gate.example", targets[i]) != 400)
            fail_msg("\"%s\" was let through", targets[i]);
        assert_non_null(strstr(body, "urn:portcullis:problem:bad-request"));
    }
    http_redirect_free(redirect);
}

/* A body is not read, so the connection ends; what could not be read at all is refused the same. */
static void what_is_left_unread_closes(void **state)
{
    const struct net_header headers[] = {{SPAN_OF("host"), SPAN_OF("gate.example")}};
    const struct net_head head = {
        .target = SPAN_OF("/"), .headers = headers, .header_count = 1, .has_body = true};
    struct http_redirect *redirect = made(8443);
    struct net_stream unreadable = {.redirect = redirect};

    assert_int_equal(asked_of(redirect, &head, 64 * 1024), 308);
    arena_init(&unreadable.arena, NULL, 0, 64 * 1024);
    http_redirect_app.refuse(&unreadable, ERR_BAD_REQUEST);
    assert_int_equal(unreadable.reply.status, 400);
    assert_true(unreadable.reply.close);
    arena_reset(&unreadable.arena);
    http_redirect_free(redirect);
}

/* Without memory there is a status, and no half of a Location. */
static void no_half_of_an_answer_is_sent(void **state)
{
    const struct net_header headers[] = {{SPAN_OF("host"), SPAN_OF("gate.example")}};
    const struct net_head head = {.target = SPAN_OF("/"), .headers = headers, .header_count = 1};
    struct http_redirect *redirect = made(8443);

    assert_int_equal(asked_of(redirect, &head, 64), 308);
    assert_string_equal(told, SAFE);
    http_redirect_free(redirect);
}

/* Whom it sends on is by the certificates of now, and the former ones are let go. */
static void new_certificates_count_at_once(void **state)
{
    struct http_redirect *redirect = made(8443);

    assert_int_equal(asked(redirect, "gate.example", "/"), 308);
    assert_int_equal(asked(redirect, "other.example", "/"), 400);
    http_redirect_set_tls(redirect, certificate(1));
    assert_int_equal(held, 1);
    assert_int_equal(asked(redirect, "gate.example", "/"), 400);
    assert_int_equal(asked(redirect, "other.example", "/"), 308);
    http_redirect_free(redirect);
    assert_int_equal(held, 0);
    http_redirect_free(NULL);
}

/* Either it is made, or it holds nothing. */
static void without_memory_it_is_not_made(void **state)
{
    const struct http_redirect_options options = {
        .tls = certificate(0), .port = 443, .metrics = metrics};
    struct http_redirect *redirect = NULL;
    size_t refused = 0;

    for (unsigned nth = 1; redirect == NULL; nth++) {
        enum err err;

        alloc_fail_at(nth);
        err = http_redirect_new(&options, &redirect);
        alloc_fail_at(0);
        assert_int_equal(err, redirect == NULL ? ERR_NO_MEMORY : ERR_OK);
        assert_int_equal(held, redirect != NULL);
        refused += redirect == NULL;
    }
    assert_true(refused > 0);
    http_redirect_free(redirect);
}

int main(void)
{
#define WITH_METRICS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_METRICS(a_plain_request_is_sent_on),     WITH_METRICS(a_strange_host_is_refused),
        WITH_METRICS(two_hosts_are_refused),          WITH_METRICS(a_strange_target_is_refused),
        WITH_METRICS(what_is_left_unread_closes),     WITH_METRICS(no_half_of_an_answer_is_sent),
        WITH_METRICS(new_certificates_count_at_once), WITH_METRICS(without_memory_it_is_not_made),
    };
#undef WITH_METRICS

    return cmocka_run_group_tests_name("http redirect", tests, NULL, NULL);
}
