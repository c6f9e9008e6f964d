/* SPDX-License-Identifier: MIT
 * Tunnels as the client and the application see them: each end by itself, bytes that come early,
 * full buffers, silence, a shutdown, and memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "net/net_harness.h"
#include "net/net_priv.h"

enum { IDLE_MS = 5000, MANY_BYTES = 8 * 1024 * 1024, PIECE_BYTES = 64 * 1024, NTH_MAX = 40 };

#define ASK(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
#define SWITCHED  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"

/* ---- an application that says everything back
 * -------------------------------------------------- */

static struct {
    struct net_harness base; /* only its server and listener, and what it counts */
    struct clock_fake clock;
    struct net_stream *stream; /* the last one; loop thread */
    struct net_task task;
    struct net_timer witness;
    _Atomic int witnessed;
    _Atomic int asked, ended, gone, told, recycled, refused;
    _Atomic enum err err;
    _Atomic int64_t bytes;
    _Atomic bool waits; /* the 101 comes with `go` */
    bool paused;
    char kept[PIECE_BYTES]; /* what could not be said back yet */
    _Atomic size_t kept_bytes;
} app;

static void switch_over(struct net_stream *stream)
{
    const struct net_upgrade upgrade = {.head = SPAN("Upgrade: x\r\n"), .idle_ms = IDLE_MS};

    net_upgrade(stream, &upgrade);
}

static void on_head(struct net_stream *stream, const struct net_head *head)
{
    (void)head;
    app.told++;
    app.stream = stream;
}

static bool is_open(const struct net_stream *stream)
{
    return stream->conn->codec == &net_codec_tunnel;
}

/* What is short of room is kept, and the client held back. */
static void say_back(struct net_stream *stream, struct span bytes)
{
    enum err err = net_reply_body(stream, bytes, true);

    if (err != ERR_BUSY)
        return;
    memcpy(app.kept, bytes.ptr, bytes.len);
    app.kept_bytes = bytes.len;
    net_stream_pause(stream);
}

static void on_body(struct net_stream *stream, struct span bytes)
{
    app.bytes += (int64_t)bytes.len;
    if (is_open(stream) && app.kept_bytes == 0 &&
        !span_is(net_stream_head(stream)->target, "/sink"))
        say_back(stream, bytes);
}

static void on_end(struct net_stream *stream)
{
    if (is_open(stream)) {
        app.ended++;
        if (!span_is(net_stream_head(stream)->target, "/"))
            return;
        assert_int_equal(net_reply_body(stream, (struct span){0}, false), ERR_OK);
        return;
    }
    assert_int_equal(net_stream_may_upgrade(stream),
                     span_is(net_stream_head(stream)->method_text, "GET"));
    app.asked++;
    if (!app.waits)
        switch_over(stream);
}

static void on_writable(struct net_stream *stream)
{
    size_t bytes = app.kept_bytes;

    app.kept_bytes = 0;
    if (bytes > 0)
        say_back(stream, span_make(app.kept, bytes));
    if (app.kept_bytes == 0)
        net_stream_resume(stream);
}

static void on_refuse(struct net_stream *stream, enum err err)
{
    assert_true(is_open(stream));
    app.err = err;
    app.refused++;
}

static void on_gone(struct net_stream *stream)
{
    (void)stream;
    app.gone++;
}

static void on_recycle(struct net_stream *stream)
{
    (void)stream;
    app.recycled++;
}

static const struct net_app tunnel_app = {.head = on_head,
                                          .body = on_body,
                                          .end = on_end,
                                          .refuse = on_refuse,
                                          .gone = on_gone,
                                          .writable = on_writable,
                                          .recycle = on_recycle};

/* ---- starting and stopping ---------------------------------------------------------------------
 */

static int start(void **state)
{
    const struct net_listener_options door = {.name = "test", .app = &tunnel_app};
    struct net_server_options options = {.loops = 1};

    (void)state;
    memset(&app, 0, sizeof(app));
    clock_fake_init(&app.clock, CLOCK_NS_PER_S);
    options.clock = &app.clock.clock;
    assert_int_equal(net_server_new(&options, &app.base.server), ERR_OK);
    assert_int_equal(net_server_listen_none(app.base.server, &door, &app.base.listener), ERR_OK);
    assert_int_equal(net_server_start(app.base.server), ERR_OK);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    net_harness_wait_conns(&app.base, 0);
    net_server_free(app.base.server);
    assert_int_equal(app.told, app.recycled);
    return 0;
}

static int dial(struct span first)
{
    int fd = net_harness_pair(&app.base);

    net_client_send(fd, first);
    return fd;
}

static int dial_open(struct span first)
{
    int fd = dial(first);

    net_client_expect(fd, SPAN_OF(SWITCHED));
    return fd;
}

static void on_witness(struct net_timer *timer)
{
    (void)timer;
    app.witnessed = 1;
}

static void start_witness(struct net_loop *loop, void *context)
{
    (void)context;
    app.witnessed = 0;
    net_timer_start(loop, &app.witness, 1, on_witness);
}

/* Time passes on the loop, and all that is due rings. */
static void pass(int64_t ms)
{
    net_server_visit(app.base.server, start_witness, NULL);
    clock_fake_move(&app.clock, ms * CLOCK_NS_PER_MS);
    net_harness_wait(&app.witnessed, 1);
    net_server_visit(app.base.server, start_witness, NULL);
    clock_fake_move(&app.clock, 50 * CLOCK_NS_PER_MS);
    net_harness_wait(&app.witnessed, 1);
}

static void end_output(struct net_loop *loop, void *context)
{
    (void)loop;
    (void)context;
    assert_int_equal(net_reply_body(app.stream, SPAN_OF("last"), false), ERR_OK);
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static void bytes_pass_until_the_client_ends(void **state)
{
    int fd = dial_open(SPAN_OF(ASK("/")));

    (void)state;
    net_client_send(fd, SPAN_OF("GET / HTTP/1.1\r\n\r\n"));
    net_client_expect(fd, SPAN_OF("GET / HTTP/1.1\r\n\r\n"));
    net_client_send(fd, SPAN_OF("more"));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    net_client_expect(fd, SPAN_OF("more"));
    net_client_expect_end(fd);
    net_harness_wait_conns(&app.base, 0);
    assert_int_equal(app.ended, 1);
    assert_int_equal(app.gone + app.refused, 0);
}

static void the_client_speaks_on_behind_our_end(void **state)
{
    char byte;
    int fd = dial_open(SPAN_OF(ASK("/sink")));

    (void)state;
    net_server_visit(app.base.server, end_output, NULL);
    net_client_expect(fd, SPAN_OF("last"));
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    net_client_send(fd, SPAN_OF("still here"));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    net_harness_wait_conns(&app.base, 0);
    assert_int_equal(app.bytes, 10);
    assert_int_equal(app.ended, 1);
    assert_int_equal(app.gone + app.refused, 0);
    assert_int_equal(close(fd), 0);
}

static void go(struct net_loop *loop, void *context)
{
    (void)loop;
    (void)context;
    switch_over(app.stream);
}

/* What comes too early is not looked at before the 101, whatever it looks like. */
static void early_bytes_wait(void **state)
{
    char none;
    int fd;

    (void)state;
    app.waits = true;
    fd = dial(SPAN_OF(ASK("/") "early "));
    net_harness_wait(&app.told, 1);
    net_client_send(fd, SPAN_OF("GET /next HTTP/1.1\r\n\r\n"));
    assert_int_equal(recv(fd, &none, 1, MSG_DONTWAIT), -1);
    assert_int_equal(app.bytes, 0);
    net_server_visit(app.base.server, go, NULL);
    net_client_expect(fd, SPAN_OF(SWITCHED "early GET /next HTTP/1.1\r\n\r\n"));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    net_client_expect_end(fd);
    assert_int_equal(app.told, 1);
}

/* The client takes nothing until all has been sent: then it waits, at both ends. */
static void full_buffers_hold_each_other_back(void **state)
{
    static char sent[MANY_BYTES], got[MANY_BYTES];
    int fd = dial_open(SPAN_OF(ASK("/")));
    size_t out = 0, in = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)(i % 251);
    while (out < sizeof(sent)) { /* until nobody takes a byte any more */
        ssize_t n = send(fd, sent + out, sizeof(sent) - out, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0)
            out += (size_t)n;
        else if (app.kept_bytes > 0)
            break;
    }
    assert_true(out < sizeof(sent));
    assert_true(app.bytes < 2 * NET_OUTPUT_BYTES_MAX + PIECE_BYTES * 16);
    while (in < sizeof(sent)) {
        ssize_t n = recv(fd, got + in, sizeof(got) - in, MSG_DONTWAIT);

        in += n > 0 ? (size_t)n : 0;
        n = send(fd, sent + out, sizeof(sent) - out, MSG_DONTWAIT | MSG_NOSIGNAL);
        out += n > 0 ? (size_t)n : 0;
    }
    assert_memory_equal(sent, got, sizeof(sent));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    net_client_expect_end(fd);
}

static void silence_ends_it(void **state)
{
    int fd = dial_open(SPAN_OF(ASK("/")));

    (void)state;
    for (int i = 0; i < 3; i++) { /* either way starts it anew */
        pass(IDLE_MS - 1000);
        net_client_send(fd, SPAN_OF("x"));
        net_client_expect(fd, SPAN_OF("x"));
    }
    pass(IDLE_MS + 100);
    net_client_expect_end(fd);
    assert_int_equal(app.refused, 1);
    assert_int_equal(app.err, ERR_REQUEST_TIMEOUT);
    assert_int_equal(app.gone, 0);
}

/* Half of it open and nobody speaking is silence too. */
static void a_half_that_stays_open_ends(void **state)
{
    int fd = dial_open(SPAN_OF(ASK("/sink")));

    (void)state;
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    net_harness_wait(&app.ended, 1);
    pass(IDLE_MS + 100);
    net_client_expect_end(fd);
    assert_int_equal(app.err, ERR_REQUEST_TIMEOUT);
}

static void *drain(void *context)
{
    *(bool *)context = net_server_drain(app.base.server, 60 * 1000);
    return NULL;
}

static void begin_drain(struct net_loop *loop, void *context)
{
    (void)context;
    net_loop_drain(loop);
}

/* Draining, a tunnel may speak on, and ends at the first moment of silence. */
static void a_shutdown_ends_silence(void **state)
{
    bool drained = false;
    pthread_t thread;
    int fd = dial_open(SPAN_OF(ASK("/")));

    (void)state;
    net_server_visit(app.base.server, begin_drain, NULL);
    for (int i = 0; i < 3; i++) {
        pass(NET_DRAIN_FIRST_MS - 200);
        net_client_send(fd, SPAN_OF("x"));
        net_client_expect(fd, SPAN_OF("x"));
    }
    pass(NET_DRAIN_FIRST_MS + 100);
    net_client_expect_end(fd);
    assert_int_equal(app.err, ERR_DRAINING);
    assert_int_equal(pthread_create(&thread, NULL, drain, &drained), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(drained);
}

static void a_client_that_goes_is_told_once(void **state)
{
    int fd = dial_open(SPAN_OF(ASK("/sink")));

    (void)state;
    net_server_visit(app.base.server, end_output, NULL);
    assert_int_equal(close(fd), 0); /* with bytes unread: a reset */
    net_harness_wait_conns(&app.base, 0);
    assert_int_equal(app.gone + app.ended, 1);
}

static void abort_it(struct net_loop *loop, void *context)
{
    (void)loop;
    (void)context;
    net_stream_abort(app.stream);
}

static void the_application_may_cut_it(void **state)
{
    int fd = dial_open(SPAN_OF(ASK("/")));

    (void)state;
    net_server_visit(app.base.server, abort_it, NULL);
    net_client_expect_end(fd);
    assert_int_equal(app.gone + app.refused + app.ended, 0);
}

/* A body, or an older version, leaves no way to another protocol. */
static void not_every_request_may(void **state)
{
    int fd;

    (void)state;
    app.waits = true;
    fd = dial(SPAN_OF("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"));
    net_harness_wait(&app.asked, 1);
    net_server_visit(app.base.server, abort_it, NULL);
    net_client_expect_end(fd);
}

/* Each allocation fails once: the tunnel works or is cut, and nothing is left of it. */
static void memory_may_run_out(void **state)
{
    static char text[PIECE_BYTES];

    (void)state;
    for (uint64_t nth = 1; nth < NTH_MAX; nth++) {
        int fd = net_harness_pair(&app.base);

        net_harness_wait_conns(&app.base, 1);
        alloc_fail_at(nth);
        net_client_send(fd, SPAN_OF(ASK("/") "early"));
        for (int i = 0; i < 8; i++)
            net_client_send(fd, span_make(text, sizeof(text) / 8));
        (void)shutdown(fd, SHUT_WR);
        while (recv(fd, text, sizeof(text), 0) > 0)
            continue;
        alloc_fail_at(0);
        (void)close(fd);
        net_harness_wait_conns(&app.base, 0);
        app.kept_bytes = 0;
    }
    assert_int_equal(app.told, app.recycled);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_pass_until_the_client_ends),
        TEST(the_client_speaks_on_behind_our_end),
        TEST(early_bytes_wait),
        TEST(full_buffers_hold_each_other_back),
        TEST(silence_ends_it),
        TEST(a_half_that_stays_open_ends),
        TEST(a_shutdown_ends_silence),
        TEST(a_client_that_goes_is_told_once),
        TEST(the_application_may_cut_it),
        TEST(not_every_request_may),
        TEST(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
