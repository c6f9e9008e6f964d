/* SPDX-License-Identifier: MIT
 * See net_harness.h. */
#include "net/net_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"

enum { WAIT_S = 10, PIECE_BYTES = 16 * 1024, ECHO_BYTES_MAX = 1024 * 1024 };

static char large[HARNESS_LARGE_BYTES];

/* What the application keeps of a request, in its arena. */
struct order {
    struct net_harness *harness;
    struct net_stream *stream;
    struct span path;
    struct sbuf body;
    struct net_timer timer;
    size_t flooded;
};

static struct order *order_of(struct net_stream *stream)
{
    return *net_stream_slot(stream);
}

static bool asks(const struct order *order, const char *path)
{
    return span_is(order->path, path);
}

static void answer(struct net_stream *stream, int status, struct span body)
{
    const struct net_reply reply = {.status = status, .body = body};

    net_reply(stream, &reply);
}

/* --- streaming -------------------------------------------------------------------------------- */

static void flood_more(struct net_stream *stream)
{
    struct order *order = order_of(stream);

    while (order->flooded < sizeof(large)) {
        struct span piece = span_make(large + order->flooded, PIECE_BYTES);
        bool more = order->flooded + PIECE_BYTES < sizeof(large);
        enum err err = net_reply_body(stream, piece, more);

        if (err == ERR_BUSY)
            order->harness->starved++;
        if (err)
            return;
        order->flooded += PIECE_BYTES;
    }
}

static void flood(struct net_stream *stream)
{
    const struct net_reply reply = {.status = 200, .more = true, .body_length = NET_LENGTH_CHUNKED};

    net_reply(stream, &reply);
    flood_more(stream);
}

static void pieces(struct net_stream *stream, uint64_t length, const char *last)
{
    const struct net_reply reply = {
        .status = 200, .more = true, .body_length = length, .body = SPAN("one,")};

    net_reply(stream, &reply);
    if (net_reply_body(stream, SPAN_OF("two,"), true) == ERR_OK &&
        net_reply_body(stream, span_from(last), false) != ERR_OK)
        return;
}

/* --- what each path does ---------------------------------------------------------------------- */

static void on_later(struct net_timer *timer)
{
    struct order *order = PC_CONTAINER(timer, struct order, timer);
    struct net_stream *stream = order->stream;

    if (asks(order, "/paused"))
        net_stream_resume(stream);
    else
        answer(stream, 200, SPAN_OF("later"));
    net_stream_release(stream);
    net_stream_release(stream);
}

static void wait_a_little(struct order *order)
{
    net_stream_hold(order->stream);
    net_stream_hold(order->stream);
    net_timer_start(net_stream_loop(order->stream), &order->timer, HARNESS_LATER_MS, on_later);
}

static struct order *order_new(struct net_stream *stream, const struct net_head *head)
{
    struct order *order = arena_zero(net_stream_arena(stream), sizeof(*order));

    if (order == NULL)
        return NULL;
    order->harness = net_stream_context(stream);
    order->stream = stream;
    order->path = head->target;
    order->body = sbuf_on(net_stream_arena(stream), ECHO_BYTES_MAX);
    *net_stream_slot(stream) = order;
    return order;
}

static void harness_head(struct net_stream *stream, const struct net_head *head)
{
    struct net_harness *harness = net_stream_context(stream);
    struct order *order = order_new(stream, head);

    harness->told++;
    if (order == NULL) {
        answer(stream, 503, SPAN_OF("no memory"));
        return;
    }
    if (asks(order, "/hello"))
        answer(stream, 200, SPAN_OF("hello"));
    else if (asks(order, "/early"))
        answer(stream, 401, SPAN_OF("early"));
    else if (asks(order, "/paused"))
        net_stream_pause(stream);
    else if (asks(order, "/continue"))
        net_stream_continue(stream);
    else if (asks(order, "/abort"))
        net_stream_abort(stream);
    if (asks(order, "/later") || asks(order, "/paused"))
        wait_a_little(order);
    if (asks(order, "/held")) {
        harness->held = stream;
        net_stream_pause(stream);
    }
}

static void harness_body(struct net_stream *stream, struct span bytes)
{
    struct order *order = order_of(stream);

    order->harness->body_bytes += (int64_t)bytes.len;
    sbuf_add(&order->body, bytes);
}

static void answer_peer(struct net_stream *stream)
{
    const struct net_peer *peer = net_stream_peer(stream);
    struct sbuf out = sbuf_on(net_stream_arena(stream), 1024);

    sbuf_add_format(&out, "%.*s tls=%d subject=%.*s cn=%.*s thumbprint=%zu",
                    SPAN_ARG(peer->address), peer->tls, SPAN_ARG(peer->tls_subject),
                    SPAN_ARG(peer->tls_cn), peer->tls_thumbprint.len);
    answer(stream, 200, sbuf_span(&out));
}

static void answer_status(struct net_stream *stream, struct span digits)
{
    uint64_t status = 0;
    bool valid = span_to_u64(digits, &status);

    answer(stream, valid ? (int)status : 500, SPAN_OF("body"));
}

/* As many headers as an upstream may have sent. */
static void answer_lines(struct net_stream *stream)
{
    struct sbuf out = sbuf_on(net_stream_arena(stream), 4096);
    struct net_reply reply = {.status = 200, .body = SPAN("lines")};

    for (int i = 0; i < 120; i++)
        sbuf_add_lit(&out, "X-Line: one\r\n");
    reply.head = sbuf_span(&out);
    net_reply(stream, &reply);
}

/* A head that takes two frames of HTTP/2. */
static void answer_long(struct net_stream *stream)
{
    struct sbuf out = sbuf_on(net_stream_arena(stream), 32 * 1024);
    struct net_reply reply = {.status = 200, .body = SPAN("long")};

    for (int i = 0; i < 10; i++) {
        sbuf_add_format(&out, "X-Long-%d: ", i);
        for (int part = 0; part < 200; part++)
            sbuf_add_lit(&out, "0123456789");
        sbuf_add_lit(&out, "\r\n");
    }
    reply.head = sbuf_span(&out);
    net_reply(stream, &reply);
}

static void harness_end(struct net_stream *stream)
{
    struct order *order = order_of(stream);
    const struct net_reply closing = {.status = 200, .body = SPAN("bye"), .close = true};

    if (span_starts(order->path, SPAN_OF("/status/")))
        answer_status(stream, span_slice(order->path, 8, order->path.len));
    else if (asks(order, "/close"))
        net_reply(stream, &closing);
    else if (asks(order, "/pieces"))
        pieces(stream, NET_LENGTH_CHUNKED, "three");
    else if (asks(order, "/told"))
        pieces(stream, 13, "three");
    else if (asks(order, "/short"))
        pieces(stream, 13, "3");
    else if (asks(order, "/over"))
        pieces(stream, 10, "three");
    else if (asks(order, "/large"))
        answer(stream, 200, span_make(large, sizeof(large)));
    else if (asks(order, "/flood"))
        flood(stream);
    else if (asks(order, "/peer"))
        answer_peer(stream);
    else if (asks(order, "/lines"))
        answer_lines(stream);
    else if (asks(order, "/long"))
        answer_long(stream);
    else if (!asks(order, "/later") && !asks(order, "/never"))
        answer(stream, order->body.full ? 503 : 200, sbuf_span(&order->body));
}

static void harness_refuse(struct net_stream *stream, enum err err)
{
    struct net_harness *harness = net_stream_context(stream);

    if (order_of(stream) == NULL)
        harness->told++;
    answer(stream, err_status(err), span_from(err_slug(err)));
}

static void harness_gone(struct net_stream *stream)
{
    struct net_harness *harness = net_stream_context(stream);

    harness->gone++;
}

static void harness_recycle(struct net_stream *stream)
{
    struct net_harness *harness = net_stream_context(stream);
    struct order *order = order_of(stream);

    if (order != NULL)
        net_timer_stop(&order->timer);
    harness->recycled++;
}

static const struct net_app harness_app = {.head = harness_head,
                                           .body = harness_body,
                                           .end = harness_end,
                                           .refuse = harness_refuse,
                                           .gone = harness_gone,
                                           .writable = flood_more,
                                           .recycle = harness_recycle};

const struct net_app *net_harness_app(void)
{
    return &harness_app;
}

/* --- starting and stopping -------------------------------------------------------------------- */

static void start(struct net_harness *harness, const struct net_server_options *options,
                  struct crypto_tls_context *tls, bool http2)
{
    struct net_server_options filled = *options;
    const struct net_listener_options door = {.name = "test",
                                              .host = "127.0.0.1",
                                              .tls = tls,
                                              .app = &harness_app,
                                              .app_context = harness,
                                              .http2_clear = http2};

    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)('a' + i % 26);
    memset(harness, 0, sizeof(*harness));
    filled.loops = filled.loops != 0 ? filled.loops : 1;
    assert_int_equal(net_server_new(&filled, &harness->server), ERR_OK);
    assert_int_equal(net_server_listen(harness->server, &door, &harness->listener, NULL), ERR_OK);
    assert_int_equal(net_server_start(harness->server), ERR_OK);
}

void net_harness_start(struct net_harness *harness, const struct net_server_options *options,
                       struct crypto_tls_context *tls)
{
    start(harness, options, tls, false);
}

void net_harness_start_http2(struct net_harness *harness, const struct net_server_options *options)
{
    start(harness, options, NULL, true);
}

void net_harness_stop(struct net_harness *harness)
{
    net_server_free(harness->server);
    assert_int_equal(harness->told, harness->recycled);
}

static void on_resume(struct net_task *task)
{
    struct net_harness *harness = PC_CONTAINER(task, struct net_harness, resume);

    net_stream_resume(harness->held);
}

void net_harness_resume(struct net_harness *harness)
{
    harness->resume.run = on_resume;
    net_loop_post(net_server_loop(harness->server, 0), &harness->resume);
}

/* --- the client ------------------------------------------------------------------------------- */

static void set_patience(int fd)
{
    const struct timeval wait = {.tv_sec = WAIT_S};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)), 0);
}

int net_harness_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    set_patience(fd);
    return fd;
}

void net_harness_connect_with(struct net_harness *harness, int fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(net_listener_port(harness->listener)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
}

int net_harness_connect(struct net_harness *harness)
{
    int fd = net_harness_socket();

    net_harness_connect_with(harness, fd);
    return fd;
}

int net_harness_pair(struct net_harness *harness)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    set_patience(ends[0]);
    assert_int_equal(net_server_adopt(harness->server, harness->listener, ends[1]), ERR_OK);
    return ends[0];
}

void net_client_send(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

        if (sent <= 0)
            return; /* the server may have hung up: what it said is what matters */
        bytes = span_slice(bytes, (size_t)sent, bytes.len);
    }
}

void net_client_expect(int fd, struct span bytes)
{
    char got[4096] = {0};
    size_t at = 0;

    assert_true(bytes.len <= sizeof(got));
    while (at < bytes.len) {
        ssize_t n = recv(fd, got + at, bytes.len - at, 0);

        if (n <= 0)
            fail_msg("the connection ended after: %.*s\n wanted: %.*s", (int)at, got,
                     SPAN_ARG(bytes));
        at += (size_t)n;
    }
    if (memcmp(got, bytes.ptr, bytes.len) != 0)
        fail_msg("got: %.*s\n wanted: %.*s", (int)at, got, SPAN_ARG(bytes));
}

struct span net_client_rest(int fd, char *buffer, size_t bytes)
{
    size_t at = 0;
    ssize_t n;

    do {
        n = recv(fd, buffer + at, bytes - at, 0);
        if (n < 0)
            fail_msg("the connection was reset or stood still after: %.*s", (int)at, buffer);
        at += (size_t)n;
    } while (n > 0 && at < bytes);
    return span_make(buffer, at);
}

void net_client_expect_end(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    assert_int_equal(close(fd), 0);
}

static void nap(void)
{
    const struct timespec pause = {.tv_nsec = 2000000};

    (void)nanosleep(&pause, NULL);
}

int64_t net_harness_ms(void)
{
    return clock_monotonic_ns(&clock_system) / CLOCK_NS_PER_MS;
}

void net_harness_wait(_Atomic int *counter, int value)
{
    for (int64_t end = net_harness_ms() + WAIT_S * 1000; *counter < value; nap())
        assert_true(net_harness_ms() < end);
}

void net_harness_wait_conns(struct net_harness *harness, size_t count)
{
    int64_t end = net_harness_ms() + WAIT_S * 1000;

    for (; net_server_conn_count(harness->server) != count; nap())
        assert_true(net_harness_ms() < end);
}
