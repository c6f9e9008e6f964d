/* SPDX-License-Identifier: MIT
 * What the network alone costs: answers every request with a small JSON body and the headers that
 * the gateway sends. Compare with `return 200` of another server, same bytes.
 *
 *   bench/net_hello [PORT [LOOPS [CERT KEY]]]      with CERT and KEY (PEM): over TLS */
#include <stdio.h>

#include "base/check.h"
#include "crypto/tls.h"
#include "net/net.h"
#include "net/net_signal.h"

enum { HEAD_BYTES_MAX = 1024 };

static const struct span body = SPAN(
    "{\"status\":\"healthy\",\"service\":\"api-gateway\",\"timestamp\":\"2026-01-01T00:00:00Z\"}");

static void hello_head(struct net_stream *stream, const struct net_head *head)
{
    struct net_loop *loop = net_stream_loop(stream);
    struct sbuf out = sbuf_on(net_stream_arena(stream), HEAD_BYTES_MAX);
    struct net_reply reply = {.status = 200, .body = body};

    sbuf_add_lit(&out, "Date: ");
    sbuf_add(&out, net_loop_http_date(loop));
    sbuf_add_lit(&out, "\r\nContent-Type: application/json\r\n"
                       "X-Request-ID: 6dd1f7a2-6c9e-4d0e-8a51-3f2b7c1d9e00\r\n"
                       "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
                       "X-XSS-Protection: 1; mode=block\r\n"
                       "Strict-Transport-Security: max-age=63072000; includeSubDomains; preload\r\n"
                       "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
                       "Referrer-Policy: no-referrer\r\n"
                       "Permissions-Policy: camera=(), microphone=(), geolocation=()\r\n");
    PC_ASSERT(sbuf_finish(&out, &reply.head) == ERR_OK);
    net_reply(stream, &reply);
}

static void hello_refuse(struct net_stream *stream, enum err err)
{
    const struct net_reply reply = {.status = err_status(err)};

    net_reply(stream, &reply);
}

static void nothing(struct net_stream *stream)
{
}

static uint64_t number(const char *text)
{
    uint64_t value = 0;

    PC_ASSERT(span_to_u64(span_from(text), &value));
    return value;
}

static struct crypto_tls_context *tls_of(int argc, char **argv)
{
    const struct crypto_tls_options options = {.name = "hello",
                                               .cert_path = argc > 4 ? argv[3] : NULL,
                                               .key_path = argc > 4 ? argv[4] : NULL,
                                               .alpn = {"h2", "http/1.1"}};
    struct crypto_tls_context *context;
    struct crypto_fault fault;

    if (argc <= 4)
        return NULL;
    PC_ASSERT(crypto_tls_context_new(&options, &clock_system, &context, &fault) == ERR_OK);
    return context;
}

int main(int argc, char **argv)
{
    static const struct net_app app = {.head = hello_head, .end = nothing, .refuse = hello_refuse};
    const struct net_server_options options = {.loops = argc > 2 ? number(argv[2]) : 1};
    const struct net_listener_options door = {.name = "hello",
                                              .host = "127.0.0.1",
                                              .port = argc > 1 ? (uint16_t)number(argv[1]) : 0,
                                              .tls = tls_of(argc, argv),
                                              .app = &app};
    struct net_server *server;
    struct net_listener *listener;

    net_signals_block();
    (void)net_raise_fd_limit();
    PC_ASSERT(net_server_new(&options, &server) == ERR_OK);
    PC_ASSERT(net_server_listen(server, &door, &listener, NULL) == ERR_OK);
    PC_ASSERT(net_server_start(server) == ERR_OK);
    printf("%s://127.0.0.1:%u\n", door.tls != NULL ? "https" : "http",
           (unsigned)net_listener_port(listener));
    (void)fflush(stdout);
    (void)net_signals_wait(-1);
    (void)net_server_drain(server, 1000);
    net_server_free(server);
    crypto_tls_context_free(door.tls);
    return 0;
}
