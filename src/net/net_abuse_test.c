/* SPDX-License-Identifier: MIT
 * Clients that are malformed, slow, too many or in the way of shutting down. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/random_test_kit.h"
#include "net/net_harness.h"

enum { BUFFER_BYTES = 8192 };

#define H         "Host: a\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" H "\r\n"
#define POST      "POST /echo HTTP/1.1\r\n" H
#define CHUNKS    POST "Transfer-Encoding: chunked\r\n\r\n"
#define HELLO     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static struct net_harness harness;

/* --- malformed requests ------------------------------------------------------------------------
 */

struct abuse {
    struct span send;
    int status;
};

static const struct abuse table[] = {
    {SPAN(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {SPAN(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), 400},
    {SPAN(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400},
    {SPAN(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), 400},
    {SPAN(POST "Content-Length: 5,5\r\n\r\n"), 400},
    {SPAN(POST "Content-Length:\r\n\r\n"), 400},
    {SPAN(POST "Content-Length: +5\r\n\r\n"), 400},
    {SPAN(POST "Content-Length: -5\r\n\r\n"), 400},
    {SPAN(POST "Content-Length: 5x\r\n\r\n"), 400},
    {SPAN(POST "Content-Length: 99999999999999999999\r\n\r\n"), 400},
    {SPAN(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 400},
    {SPAN(POST "Transfer-Encoding: identity\r\n\r\n"), 400},
    {SPAN(POST "Transfer-Encoding: xchunked\r\n\r\n"), 400},
    {SPAN(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {SPAN(POST "Transfer-Encoding : chunked\r\n\r\n"), 400},
    {SPAN("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {SPAN("GET / HTTP/1.1\n" H "\r\n"), 400},
    {SPAN("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400},
    {SPAN("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"), 400},
    {SPAN("GET / HTTP/1.1\r\nX: a\r\n folded\r\n\r\n"), 400},
    {SPAN("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n"), 400},
    {SPAN("GET / HTTP/1.1\r\nX: a\x08"
          "b\r\n\r\n"),
     400},
    {SPAN("GET / HTTP/1.1\r\nX : a\r\n\r\n"), 400},
    {SPAN("GET / HTTP/1.1\r\n: a\r\n\r\n"), 400},
    {SPAN("GET / HTTP/1.1\r\nno colon\r\n\r\n"), 400},
    {SPAN("GET /\r\n\r\n"), 400},
    {SPAN("GET  / HTTP/1.1\r\n\r\n"), 400},
    {SPAN("GET / HTTP/1.1 \r\n\r\n"), 400},
    {SPAN("GET /\xff HTTP/1.1\r\n\r\n"), 400},
    {SPAN("\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n"), 400},
    {SPAN("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400},
    {SPAN("GET / HTTP/1.2\r\n\r\n"), 505},
    {SPAN("GET / HTTP/3.0\r\n\r\n"), 505},
    {SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505},
    {SPAN("FROB / HTTP/1.1\r\n\r\n"), 501},
    {SPAN("get / HTTP/1.1\r\n\r\n"), 501},
    {SPAN("CONNECT a:1 HTTP/1.1\r\n\r\n"), 405},
    {SPAN(POST "Content-Length: 1\r\nExpect: tea\r\n\r\n"), 417},
    {SPAN(CHUNKS "x\r\n"), 400},
    {SPAN(CHUNKS "-1\r\n"), 400},
    {SPAN(CHUNKS "0x1\r\n"), 400},
    {SPAN(CHUNKS "1\nx\r\n"), 400},
    {SPAN(CHUNKS "1 \r\nx\r\n"), 400},
    {SPAN(CHUNKS "1;a\nb\r\nx\r\n"), 400},
    {SPAN(CHUNKS "1\r\nxy\r\n"), 400},
    {SPAN(CHUNKS "1\r\nx\n0\r\n\r\n"), 400},
    {SPAN(CHUNKS "ffffffffffffffffff\r\n"), 400},
    {SPAN(CHUNKS "0\r\nA: b\n\r\n"), 400},
    {SPAN(CHUNKS "0\r\nA: b\r\n c\r\n\r\n"), 400},
};

static void expect_refusal(const struct abuse *abuse, struct span answer)
{
    char line[32];
    struct sbuf out = sbuf_over(line, sizeof(line));

    sbuf_add_format(&out, "HTTP/1.1 %d ", abuse->status);
    if (!span_starts(answer, sbuf_span(&out)))
        fail_msg("%.*s\n got: %.*s\n wanted: %d", SPAN_ARG(abuse->send), SPAN_ARG(answer),
                 abuse->status);
    if (memmem(answer.ptr, answer.len, "\r\nConnection: close\r\n", 21) == NULL)
        fail_msg("%.*s\n got: %.*s\n wanted it to close", SPAN_ARG(abuse->send), SPAN_ARG(answer));
}

/* Each gets its status, is told that the connection closes, and sees it close without a reset,
 * though much more than the server reads stands behind it. Nothing behind it is ever answered. */
static void refuses(void **state)
{
    const struct net_server_options options = {0};
    static char junk[64 * 1024];
    char buffer[BUFFER_BYTES];

    memset(junk, 'j', sizeof(junk));
    net_harness_start(&harness, &options, NULL);
    for (size_t i = 0; i < PC_COUNT(table); i++) {
        int fd = i % 2 == 0 ? net_harness_connect(&harness) : net_harness_pair(&harness);
        struct span answer;

        net_client_send(fd, table[i].send);
        net_client_send(fd, SPAN_OF(GET("/hello")));
        net_client_send(fd, span_make(junk, sizeof(junk)));
        answer = net_client_rest(fd, buffer, sizeof(buffer));
        expect_refusal(&table[i], answer);
        assert_null(memmem(answer.ptr, answer.len, "hello", 5));
        assert_int_equal(close(fd), 0);
    }
    net_harness_stop(&harness);
}

static void refuse_repeated(const char *before, char c, size_t times, const char *after, int status)
{
    static char text[128 * 1024];
    char buffer[BUFFER_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));
    struct abuse abuse = {.status = status};
    int fd = net_harness_connect(&harness);

    sbuf_add_text(&out, before);
    for (size_t i = 0; i < times; i++)
        sbuf_add_char(&out, c);
    sbuf_add_text(&out, after);
    net_client_send(fd, sbuf_span(&out));
    expect_refusal(&abuse, net_client_rest(fd, buffer, sizeof(buffer)));
    assert_int_equal(close(fd), 0);
}

/* The limits of a head hold, also for lines that never end. */
static void refuses_what_is_too_long(void **state)
{
    const struct net_server_options options = {
        .head_bytes_max = 4096, .headers_max = 10, .target_bytes_max = 1024};

    net_harness_start(&harness, &options, NULL);
    refuse_repeated("GET /", 'a', 1024, " HTTP/1.1\r\n\r\n", 414);
    refuse_repeated("GET /", 'a', 100000, "", 414);
    refuse_repeated("GET / HTTP/1.1\r\nX: ", 'a', 4096, "\r\n\r\n", 431);
    refuse_repeated("GET / HTTP/1.1\r\nX: ", 'a', 100000, "", 431);
    refuse_repeated(
        "GET / HTTP/1.1\r\nA:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\nA:8\r\nA:9\r\n"
        "A:10\r\nA:",
        '1', 1, "\r\n\r\n", 431);
    refuse_repeated(CHUNKS "1;", 'a', 1000, "\r\n", 400);
    refuse_repeated(CHUNKS "0\r\nX: ", 'a', 5000, "\r\n\r\n", 431);
    net_harness_stop(&harness);
}

/* --- slow clients --------------------------------------------------------------------------------
 */

static const struct net_server_options impatient = {.head_ms = 80,
                                                    .idle_ms = 80,
                                                    .body_ms = 80,
                                                    .body_grace_ms = 200,
                                                    .body_rate_min = 1000,
                                                    .write_ms = 80};

static void expect_timeout(int fd)
{
    char buffer[BUFFER_BYTES];
    struct span answer = net_client_rest(fd, buffer, sizeof(buffer));
    const struct abuse abuse = {.send = SPAN("(slow)"), .status = 408};

    expect_refusal(&abuse, answer);
    assert_int_equal(close(fd), 0);
}

/* Who says nothing is closed without a word; who begins and does not end is told. */
static void ends_waiting(void **state)
{
    int64_t begin_ms;
    int fd;

    net_harness_start(&harness, &impatient, NULL);
    begin_ms = net_harness_ms();
    net_client_expect_end(net_harness_connect(&harness));
    assert_in_range(net_harness_ms() - begin_ms, 75, 2000);
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF(GET("/hello")));
    net_client_expect(fd, SPAN_OF(HELLO));
    net_client_expect_end(fd);
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF("GET / HTTP/1.1\r\n"));
    expect_timeout(fd);
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF(POST "Content-Length: 5\r\n\r\nab"));
    expect_timeout(fd);
    net_harness_stop(&harness);
}

/* A client that waits for leave to send its body is not slow: the application is. */
static void waits_for_leave(void **state)
{
    const struct timeval wait = {.tv_usec = 300000};
    char byte;
    int fd;

    net_harness_start(&harness, &impatient, NULL);
    fd = net_harness_connect(&harness);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    net_client_send(fd, SPAN_OF("POST /never HTTP/1.1\r\nContent-Length: 3\r\n"
                                "Expect: 100-continue\r\n\r\n"));
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    net_client_send(fd, SPAN_OF("a"));
    expect_timeout(fd);
    net_harness_stop(&harness);
}

/* One byte after the other keeps nobody's place: neither in a head nor in a body. */
static void ends_trickling(void **state)
{
    static const struct span begins[] = {
        SPAN("GET / HTTP/1.1\r\nX: "), SPAN(POST "Content-Length: 1000000\r\n\r\n"), SPAN(CHUNKS)};

    net_harness_start(&harness, &impatient, NULL);
    for (size_t i = 0; i < PC_COUNT(begins); i++) {
        int fd = net_harness_connect(&harness);
        int64_t begin_ms = net_harness_ms();
        char byte;

        net_client_send(fd, begins[i]);
        while (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
            assert_true(net_harness_ms() - begin_ms < 5000);
            net_client_send(fd, i == 2 ? SPAN_OF("1\r\nx\r\n") : SPAN_OF("x"));
            (void)usleep(10000);
        }
        expect_timeout(fd);
    }
    net_harness_stop(&harness);
}

/* Who does not read its answer is cut off; the memory for it is bounded and given back. */
static void ends_not_reading(void **state)
{
    int fd;

    net_harness_start(&harness, &impatient, NULL);
    fd = net_harness_pair(&harness);
    net_client_send(fd, SPAN_OF(GET("/flood")));
    net_harness_wait(&harness.gone, 1);
    net_harness_wait_conns(&harness, 0);
    assert_int_equal(close(fd), 0);
    net_harness_stop(&harness);
}

/* --- too many ------------------------------------------------------------------------------------
 */

static void limits_connections(void **state)
{
    const struct net_server_options in_all = {.conns_max = 3};
    const struct net_server_options per_ip = {.conns_per_ip_max = 3};

    for (int round = 0; round < 2; round++) {
        int fds[3];

        net_harness_start(&harness, round == 0 ? &in_all : &per_ip, NULL);
        for (int i = 0; i < 3; i++) {
            fds[i] = net_harness_connect(&harness);
            net_client_send(fds[i], SPAN_OF(GET("/hello")));
            net_client_expect(fds[i], SPAN_OF(HELLO));
        }
        net_client_expect_end(net_harness_connect(&harness));
        assert_int_equal(close(fds[0]), 0);
        net_harness_wait_conns(&harness, 2);
        fds[0] = net_harness_connect(&harness);
        net_client_send(fds[0], SPAN_OF(GET("/hello")));
        net_client_expect(fds[0], SPAN_OF(HELLO));
        for (int i = 0; i < 3; i++)
            assert_int_equal(close(fds[i]), 0);
        net_harness_stop(&harness);
    }
}

static void limits_requests_per_connection(void **state)
{
    const struct net_server_options options = {.requests_per_conn_max = 2};
    int fd;

    net_harness_start(&harness, &options, NULL);
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF(GET("/hello") GET("/hello") GET("/hello")));
    net_client_expect(fd, SPAN_OF(HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                                        "Connection: close\r\n\r\nhello"));
    net_client_expect_end(fd);
    net_harness_stop(&harness);
}

/* Without file descriptors a loop waits; when some are free again, it goes on. */
static void survives_without_files(void **state)
{
    const struct net_server_options options = {0};
    struct rlimit limit;
    struct rlimit little;
    int fds[8];
    int next;

    net_harness_start(&harness, &options, NULL);
    for (size_t i = 0; i < PC_COUNT(fds); i++)
        fds[i] = net_harness_connect(&harness);
    for (size_t i = 0; i < PC_COUNT(fds); i++)
        assert_int_equal(close(fds[i]), 0);
    net_harness_wait_conns(&harness, 0);
    for (size_t i = 0; i < PC_COUNT(fds); i++)
        fds[i] = net_harness_socket();
    next = dup(0);
    assert_int_equal(close(next), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    little = limit;
    little.rlim_cur = (rlim_t)next + 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &little), 0);
    for (size_t i = 0; i < PC_COUNT(fds); i++) {
        net_harness_connect_with(&harness, fds[i]);
        net_client_send(fds[i], SPAN_OF(GET("/close")));
    }
    for (size_t i = 0; i < PC_COUNT(fds); i++) {
        net_client_expect(fds[i], SPAN_OF("HTTP/1.1 200 OK\r\n"));
        (void)shutdown(fds[i], SHUT_RDWR);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (size_t i = 0; i < PC_COUNT(fds); i++)
        assert_int_equal(close(fds[i]), 0);
    net_harness_stop(&harness);
}

enum { ABUSERS = 500 };

/* One well-behaved client among many that are not sees nothing of them. */
static void serves_amid_abuse(void **state)
{
    static const struct span begins[] = {
        SPAN("GET / HTTP/1.1\r\nX: "), SPAN(POST "Content-Length: 100\r\n\r\nab"),
        SPAN(CHUNKS "5\r\nab"),        SPAN("\x16\x03\x01"),
        SPAN("\r\n\r\n\r\n\r\n"),      SPAN(GET("/flood")),
        SPAN(GET("/later") "junk"),    SPAN(""),
        SPAN(GET("/abort")),           SPAN(POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    };
    const struct net_server_options options = {.loops = 2};
    static int fds[ABUSERS];
    int good;

    (void)net_raise_fd_limit();
    net_harness_start(&harness, &options, NULL);
    good = net_harness_connect(&harness);
    for (size_t i = 0; i < ABUSERS; i++) {
        fds[i] = net_harness_connect(&harness);
        net_client_send(fds[i], begins[i % PC_COUNT(begins)]);
        net_client_send(good, SPAN_OF(POST "Content-Length: 3\r\n\r\nabc"));
        net_client_expect(good, SPAN_OF("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"));
    }
    for (size_t i = 0; i < ABUSERS; i++)
        assert_int_equal(close(fds[i]), 0);
    net_harness_wait_conns(&harness, 1);
    net_client_send(good, SPAN_OF(GET("/hello")));
    net_client_expect(good, SPAN_OF(HELLO));
    assert_int_equal(close(good), 0);
    net_harness_stop(&harness);
}

enum { CHAOS_CONNS = 40, CHAOS_STEPS = 6000 };

/* Ends one connection in one of the ways there are. */
static void hang_up(int fd, uint64_t how)
{
    const struct linger reset = {.l_onoff = 1};

    if (how == 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    assert_int_equal(close(fd), 0);
}

static void chaos_step(struct random_seeded *random, int *fd)
{
    static const struct span words[] = {
        SPAN(GET("/hello")),
        SPAN(GET("/later")),
        SPAN(GET("/pieces")),
        SPAN(GET("/flood")),
        SPAN(GET("/large")),
        SPAN(GET("/abort")),
        SPAN(GET("/short")),
        SPAN(GET("/close")),
        SPAN(POST "Content-Length: 5\r\n\r\nabcde"),
        SPAN(CHUNKS),
        SPAN("3\r\nabc\r\n"),
        SPAN("0\r\n\r\n"),
        SPAN("junk"),
        SPAN("\r\n"),
        SPAN("POST /paused HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
        SPAN("POST /early HTTP/1.1\r\nContent-Length: 9999\r\n\r\nabc"),
        SPAN("POST /continue HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"),
        SPAN("HEAD /flood HTTP/1.1\r\n\r\n"),
    };
    static char sink[32 * 1024];
    struct span word = words[test_draw(random, PC_COUNT(words))];

    if (*fd < 0)
        *fd =
            test_draw(random, 2) == 0 ? net_harness_connect(&harness) : net_harness_pair(&harness);
    switch (test_draw(random, 8)) {
    case 0:
        hang_up(*fd, test_draw(random, 2));
        *fd = -1;
        break;
    case 1:
        (void)shutdown(*fd, SHUT_WR);
        break;
    case 2:
    case 3:
        (void)recv(*fd, sink, 1 + test_draw(random, sizeof(sink)), MSG_DONTWAIT);
        break;
    case 4:
        word.len = test_draw(random, word.len + 1);
        (void)send(*fd, word.ptr, word.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        break;
    default:
        (void)send(*fd, word.ptr, word.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

/* Requests cut, mixed, half read, half closed and reset at random: nothing is lost or left behind,
 * and every stream is recycled once. Sanitizers look on. */
static void survives_chaos(void **state)
{
    const struct net_server_options options = {
        .loops = 2, .head_ms = 50, .idle_ms = 50, .body_ms = 50, .write_ms = 50};
    int fds[CHAOS_CONNS];
    struct random_seeded random;

    random_seeded_init(&random, 11);
    memset(fds, -1, sizeof(fds));
    net_harness_start(&harness, &options, NULL);
    for (int step = 0; step < CHAOS_STEPS; step++)
        chaos_step(&random, &fds[test_draw(&random, CHAOS_CONNS)]);
    for (size_t i = 0; i < CHAOS_CONNS; i++) {
        if (fds[i] >= 0)
            hang_up(fds[i], 1);
    }
    net_harness_wait_conns(&harness, 0);
    net_harness_stop(&harness);
}

/* --- draining ------------------------------------------------------------------------------------
 */

/* Who waits is let go, who is served is served to the end and told that it was the last time. */
static void drains(void **state)
{
    const struct net_server_options options = {.loops = 2};
    int waiting;
    int served;

    net_harness_start(&harness, &options, NULL);
    waiting = net_harness_connect(&harness);
    net_client_send(waiting, SPAN_OF(GET("/hello")));
    net_client_expect(waiting, SPAN_OF(HELLO));
    served = net_harness_connect(&harness);
    net_client_send(served, SPAN_OF(GET("/later")));
    net_harness_wait(&harness.told, 2);
    assert_true(net_server_drain(harness.server, 5000));
    net_client_expect(served, SPAN_OF("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                                      "Connection: close\r\n\r\nlater"));
    net_client_expect_end(served);
    net_client_expect_end(waiting);
    net_harness_stop(&harness);
}

static void *drain_all(void *context)
{
    *(bool *)context = net_server_drain(harness.server, 5000);
    return NULL;
}

/* Who connected before the door closed may ask once; who is idle does not hold up the end; who says
 * nothing does so for half a second. */
static void drains_what_was_let_in(void **state)
{
    const struct net_server_options options = {0};
    int64_t begin_ms = net_harness_ms();
    pthread_t thread;
    bool drained = false;
    int fds[3];

    net_harness_start(&harness, &options, NULL);
    for (size_t i = 0; i < PC_COUNT(fds); i++)
        fds[i] = net_harness_connect(&harness);
    net_client_send(fds[0], SPAN_OF(GET("/hello")));
    net_client_expect(fds[0], SPAN_OF(HELLO));
    net_harness_wait_conns(&harness, 3);
    assert_int_equal(pthread_create(&thread, NULL, drain_all, &drained), 0);
    net_client_expect_end(fds[0]);
    net_client_send(fds[1], SPAN_OF(GET("/hello")));
    net_client_expect(fds[1], SPAN_OF("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                                      "Connection: close\r\n\r\nhello"));
    net_client_expect_end(fds[1]);
    net_client_expect_end(fds[2]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(drained);
    assert_true(net_harness_ms() - begin_ms < 1500);
    net_harness_stop(&harness);
}

/* Who never ends is cut at the deadline. */
static void drains_until_the_deadline(void **state)
{
    const struct net_server_options options = {0};
    int fd;

    net_harness_start(&harness, &options, NULL);
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF(GET("/never")));
    net_harness_wait(&harness.told, 1);
    assert_false(net_server_drain(harness.server, 50));
    assert_int_equal(harness.gone, 1);
    net_harness_stop(&harness);
    assert_int_equal(close(fd), 0);
}

/* Stopping without draining cuts everything, held streams included once they are released. */
static void stops_at_once(void **state)
{
    const struct net_server_options options = {.loops = 2};
    int fds[8];

    net_harness_start(&harness, &options, NULL);
    for (size_t i = 0; i < PC_COUNT(fds); i++) {
        fds[i] = net_harness_connect(&harness);
        net_client_send(fds[i], SPAN_OF(GET("/later")));
    }
    net_harness_wait(&harness.told, PC_COUNT(fds));
    net_harness_stop(&harness);
    for (size_t i = 0; i < PC_COUNT(fds); i++)
        assert_int_equal(close(fds[i]), 0);
}

/* --- no memory, no address
 * ------------------------------------------------------------------------ */

static void try_server(uint64_t nth)
{
    const struct net_server_options options = {.loops = 2, .conns_per_ip_max = 10};
    struct net_server *server;

    alloc_fail_at(nth);
    if (net_server_new(&options, &server) == ERR_OK)
        net_server_free(server);
}

static void converse(struct net_harness *h)
{
    char buffer[BUFFER_BYTES];
    int fd = net_harness_connect(h);
    size_t got = 0;
    ssize_t n;

    net_client_send(
        fd, SPAN_OF(POST "Content-Length: 3\r\n\r\nabc" GET("/later") GET(
                "/hello") "POST /close HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
    while (got < sizeof(buffer) && (n = recv(fd, buffer + got, sizeof(buffer) - got, 0)) > 0)
        got += (size_t)n;
    assert_int_equal(close(fd), 0);
}

/* Whichever allocation fails, the server lives and the next client is served. */
static void survives_without_memory(void **state)
{
    const struct net_server_options options = {.conns_per_ip_max = 10};

    for (uint64_t nth = 1; nth < 40; nth++)
        try_server(nth);
    alloc_fail_at(0);
    net_harness_start(&harness, &options, NULL);
    for (uint64_t nth = 1; nth < 24; nth++) {
        alloc_fail_at(nth);
        converse(&harness);
        alloc_fail_at(0);
        converse(&harness);
    }
    net_harness_wait_conns(&harness, 0);
    net_harness_stop(&harness);
}

/* An address that somebody listens on is refused at once, although sockets share ports. */
static void knows_a_taken_port(void **state)
{
    const struct net_server_options options = {.loops = 1};
    struct net_listener_options door = {.name = "again", .host = "127.0.0.1"};
    struct net_listener *listener;
    struct net_server *second;
    int error = 0;

    net_harness_start(&harness, &options, NULL);
    assert_int_equal(net_server_new(&options, &second), ERR_OK);
    door.app = net_harness_app();
    door.port = net_listener_port(harness.listener);
    assert_int_equal(net_server_listen(second, &door, &listener, &error), ERR_IO);
    assert_int_equal(error, EADDRINUSE);
    door.host = "not an address";
    assert_int_equal(net_server_listen(second, &door, &listener, &error), ERR_IO);
    door.host = "::1";
    door.port = 0;
    if (net_server_listen(second, &door, &listener, &error) == ERR_OK)
        assert_true(net_listener_port(listener) > 0);
    net_server_free(second);
    net_harness_stop(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(ends_waiting),
        cmocka_unit_test(waits_for_leave),
        cmocka_unit_test(ends_trickling),
        cmocka_unit_test(ends_not_reading),
        cmocka_unit_test(limits_connections),
        cmocka_unit_test(limits_requests_per_connection),
        cmocka_unit_test(survives_without_files),
        cmocka_unit_test(serves_amid_abuse),
        cmocka_unit_test(survives_chaos),
        cmocka_unit_test(drains),
        cmocka_unit_test(drains_what_was_let_in),
        cmocka_unit_test(drains_until_the_deadline),
        cmocka_unit_test(stops_at_once),
        cmocka_unit_test(survives_without_memory),
        cmocka_unit_test(knows_a_taken_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
