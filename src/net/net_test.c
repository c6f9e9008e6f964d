/* SPDX-License-Identifier: MIT
 * Conversations over real sockets: what a client sends, and the exact bytes it gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/net_harness.h"

#define OK(length) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n"
#define HELLO      OK("5") "\r\nhello"
#define GET(path)  "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

typedef int connect_fn(struct net_harness *harness);

static struct net_harness harness;

static int start(void **state)
{
    const struct net_server_options options = {.loops = 2};

    net_harness_start(&harness, &options, NULL);
    return 0;
}

static int stop(void **state)
{
    net_harness_stop(&harness);
    return 0;
}

/* A conversation: sends one thing, gets exactly another, on a connection of its own that stays
 * open, or that the server closes. */
struct talk {
    struct span send;
    struct span expect;
    bool closes;
};

static void talk_once(const struct talk *talk, connect_fn *connect_to)
{
    int fd = connect_to(&harness);

    net_client_send(fd, talk->send);
    net_client_expect(fd, talk->expect);
    if (talk->closes) {
        net_client_expect_end(fd);
        return;
    }
    net_client_send(fd, SPAN_OF(GET("/hello")));
    net_client_expect(fd, SPAN_OF(HELLO));
    assert_int_equal(close(fd), 0);
}

/* Requests of every kind get their answer, and the connection lives on exactly when it should. */
static void answers(void **state)
{
    static const struct talk talks[] = {
        {SPAN(GET("/hello")), SPAN(HELLO), false},
        {SPAN(GET("/hello") GET("/hello")), SPAN(HELLO HELLO), false},
        {SPAN(GET("/later") GET("/later") GET("/hello")),
         SPAN(OK("5") "\r\nlater" OK("5") "\r\nlater" HELLO), false},
        {SPAN("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n"), SPAN(OK("5") "\r\n"), false},
        {SPAN("HEAD /pieces HTTP/1.1\r\nHost: a\r\n\r\n"),
         SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), false},
        {SPAN("HEAD /told HTTP/1.1\r\nHost: a\r\n\r\n"), SPAN(OK("13") "\r\n"), false},
        {SPAN(GET("/status/204")), SPAN("HTTP/1.1 204 No Content\r\n\r\n"), false},
        {SPAN(GET("/status/304")), SPAN("HTTP/1.1 304 Not Modified\r\n\r\n"), false},
        {SPAN(GET("/status/299")), SPAN("HTTP/1.1 299 \r\nContent-Length: 4\r\n\r\nbody"), false},
        {SPAN(GET("/close") GET("/hello")), SPAN(OK("3") "Connection: close\r\n\r\nbye"), true},
        {SPAN("GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n"),
         SPAN(OK("5") "Connection: close\r\n\r\nhello"), true},
        {SPAN("GET /hello HTTP/1.0\r\n\r\n"), SPAN(OK("5") "Connection: close\r\n\r\nhello"), true},
        {SPAN("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
         SPAN(OK("5") "Connection: keep-alive\r\n\r\nhello"), false},
        {SPAN(GET("/pieces")),
         SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
              "4\r\none,\r\n4\r\ntwo,\r\n5\r\nthree\r\n0\r\n\r\n"),
         false},
        {SPAN("GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
         SPAN("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\none,two,three"), true},
        {SPAN(GET("/told")), SPAN(OK("13") "\r\none,two,three"), false},
        {SPAN(GET("/short")), SPAN(OK("13") "\r\none,two,"), true},
        {SPAN(GET("/over")), SPAN(OK("10") "\r\none,two,"), true},
        {SPAN(GET("/abort")), SPAN(""), true},
        {SPAN("POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde"), SPAN(OK("5") "\r\nabcde"),
         false},
        {SPAN("POST /paused HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde" GET("/hello")),
         SPAN(OK("5") "\r\nabcde" HELLO), false},
        {SPAN(
             "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n"
             "X: y\r\n\r\n" GET("/hello")),
         SPAN(OK("5") "\r\nabcde" HELLO), false},
        /* answered before the body was read: a short one is read and dropped */
        {SPAN("POST /early HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde" GET("/hello")),
         SPAN("HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nearly" HELLO), false},
        {SPAN("POST /early HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"),
         SPAN("HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly"),
         true},
        {SPAN("POST /early HTTP/1.1\r\nContent-Length: 99999999\r\n\r\nabcde"),
         SPAN("HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly"),
         true},
        {SPAN("POST /early HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"),
         SPAN("HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly"),
         true},
    };

    for (size_t i = 0; i < PC_COUNT(talks); i++) {
        talk_once(&talks[i], net_harness_connect);
        talk_once(&talks[i], net_harness_pair);
    }
}

/* However TCP cuts two requests, the answers are the same. */
static void answers_however_it_is_cut(void **state)
{
    struct span talk = SPAN("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
                            "0\r\n\r\n" GET("/hello"));

    for (size_t at = 1; at < talk.len; at++) {
        int fd = net_harness_pair(&harness);

        net_client_send(fd, span_slice(talk, 0, at));
        net_client_send(fd, span_slice(talk, at, talk.len));
        net_client_expect(fd, SPAN_OF(OK("3") "\r\nabc" HELLO));
        assert_int_equal(close(fd), 0);
    }
}

static void answers_byte_by_byte(void **state)
{
    struct span talk = SPAN("POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" GET("/hello"));
    int fd = net_harness_connect(&harness);

    for (size_t at = 0; at < talk.len; at++)
        net_client_send(fd, span_slice(talk, at, at + 1));
    net_client_expect(fd, SPAN_OF(OK("3") "\r\nabc" HELLO));
    assert_int_equal(close(fd), 0);
}

/* 100 Continue comes when the application wants the body, once, and before the body. */
static void continues_when_asked(void **state)
{
    int fd = net_harness_connect(&harness);

    net_client_send(fd, SPAN_OF("POST /continue HTTP/1.1\r\nContent-Length: 3\r\n"
                                "Expect: 100-continue\r\n\r\n"));
    net_client_expect(fd, SPAN_OF("HTTP/1.1 100 Continue\r\n\r\n"));
    net_client_send(fd, SPAN_OF("abc" GET("/hello")));
    net_client_expect(fd, SPAN_OF(OK("3") "\r\nabc" HELLO));
    /* A body that comes without waiting needs no invitation. */
    net_client_send(fd, SPAN_OF("POST /continue HTTP/1.1\r\nContent-Length: 3\r\n"
                                "Expect: 100-continue\r\n\r\nabc"));
    net_client_expect(fd, SPAN_OF(OK("3") "\r\nabc"));
    assert_int_equal(close(fd), 0);
}

/* A client that says it has no more to send still gets all of its answers. */
static void answers_after_half_close(void **state)
{
    char buffer[512];
    int fd = net_harness_connect(&harness);

    net_client_send(fd, SPAN_OF(GET("/later") GET("/later")));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_true(span_starts(net_client_rest(fd, buffer, sizeof(buffer)),
                            SPAN_OF(OK("5") "\r\nlater"
                                            "HTTP/1.1 200 OK\r\n")));
    assert_int_equal(close(fd), 0);
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF(GET("/later") GET("/hello")));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    net_client_expect(fd, SPAN_OF(OK("5") "\r\nlater" HELLO));
    net_client_expect_end(fd);
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF("POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    net_client_expect_end(fd);
}

static void read_letters(int fd, size_t bytes)
{
    static char buffer[64 * 1024];
    size_t at = 0;

    while (at < bytes) {
        size_t want = bytes - at < sizeof(buffer) ? bytes - at : sizeof(buffer);
        ssize_t n = recv(fd, buffer, want, 0);

        assert_true(n > 0);
        for (size_t i = 0; i < (size_t)n; i++)
            assert_int_equal(buffer[i], 'a' + (int)((at + i) % 26));
        at += (size_t)n;
    }
}

/* A body far larger than any socket buffer arrives whole at a client that reads late. */
static void sends_a_large_body(void **state)
{
    int fd = net_harness_connect(&harness);

    net_client_send(fd, SPAN_OF(GET("/large") GET("/hello")));
    (void)usleep(50000);
    net_client_expect(fd, SPAN_OF(OK("3145728") "\r\n"));
    read_letters(fd, HARNESS_LARGE_BYTES);
    net_client_expect(fd, SPAN_OF(HELLO));
    assert_int_equal(close(fd), 0);
}

/* A streamed one is held back while the client does not read, and goes on when it does. */
static void holds_a_stream_back(void **state)
{
    int starved = harness.starved;
    int fd = net_harness_pair(&harness);

    net_client_send(fd, SPAN_OF("GET /flood HTTP/1.1\r\n\r\n" GET("/hello")));
    net_harness_wait(&harness.starved, starved + 1);
    net_client_expect(fd, SPAN_OF("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (size_t at = 0; at < HARNESS_LARGE_BYTES; at += 16384) {
        net_client_expect(fd, SPAN_OF("4000\r\n"));
        for (size_t i = 0; i < 16384; i++) {
            char c;

            assert_int_equal(i % 64 == 0 ? recv(fd, &c, 1, 0) : 1, 1);
            if (i % 64 == 0) {
                char rest[63];

                assert_int_equal(c, 'a' + (int)((at + i) % 26));
                assert_int_equal(recv(fd, rest, sizeof(rest), MSG_WAITALL), sizeof(rest));
            }
        }
        net_client_expect(fd, SPAN_OF("\r\n"));
    }
    net_client_expect(fd, SPAN_OF("0\r\n\r\n" HELLO));
    assert_int_equal(close(fd), 0);
}

enum { UPLOAD_BYTES = 8 * 1000 * 1000 };

/* As much as the socket takes. */
static size_t send_letters(int fd, size_t bytes)
{
    static char letters[64 * 1024];
    size_t sent = 0;
    ssize_t n = 1;

    memset(letters, 'x', sizeof(letters));
    while (sent < bytes && n > 0) {
        size_t most = bytes - sent < sizeof(letters) ? bytes - sent : sizeof(letters);

        n = send(fd, letters, most, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
    }
    return sent;
}

/* A paused body is held back by TCP: of many megabytes, only buffers full leave the client. */
static void holds_a_client_back(void **state)
{
    const struct net_server_options options = {.loops = 1};
    struct net_harness alone;
    size_t sent;
    int fd;

    net_harness_start(&alone, &options, NULL);
    fd = net_harness_pair(&alone);
    net_client_send(fd, SPAN_OF("POST /held HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n"));
    net_harness_wait(&alone.told, 1);
    for (sent = 0; sent < UPLOAD_BYTES / 2; (void)usleep(1000)) {
        size_t more = send_letters(fd, UPLOAD_BYTES - sent);

        sent += more;
        if (more == 0)
            break;
    }
    assert_true(sent < UPLOAD_BYTES / 2);
    assert_int_equal(alone.body_bytes, 0);
    net_harness_resume(&alone);
    while (sent < UPLOAD_BYTES)
        sent += send_letters(fd, UPLOAD_BYTES - sent);
    /* The harness keeps a megabyte at most: what it echoes does not matter here. */
    net_client_expect(fd, SPAN_OF("HTTP/1.1 503 Service Unavailable\r\n"));
    assert_int_equal(alone.body_bytes, UPLOAD_BYTES);
    assert_int_equal(close(fd), 0);
    net_harness_stop(&alone);
}

/* When the client goes before its answer, the application hears of it; a held stream outlives it.
 */
static void tells_when_the_client_is_gone(void **state)
{
    int gone = harness.gone;
    int told = harness.told;
    int fd = net_harness_connect(&harness);
    const struct linger reset = {.l_onoff = 1};

    net_client_send(fd, SPAN_OF(GET("/never") "x"));
    net_harness_wait(&harness.told, told + 1);
    (void)usleep(5000);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    assert_int_equal(close(fd), 0);
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF("POST /later HTTP/1.1\r\nContent-Length: 9\r\n\r\n"));
    net_harness_wait(&harness.told, told + 2);
    assert_int_equal(close(fd), 0);
    net_harness_wait(&harness.gone, gone + 2);
    net_harness_wait(&harness.recycled, told + 2);
}

/* Whoever cuts the connection need not be told that it is gone. */
static void aborts_quietly(void **state)
{
    int gone = harness.gone;
    int recycled = harness.recycled;
    int fd = net_harness_connect(&harness);

    net_client_send(fd, SPAN_OF(GET("/abort")));
    net_client_expect_end(fd);
    net_harness_wait(&harness.recycled, recycled + 1);
    assert_int_equal(harness.gone, gone);
}

static int64_t busy_ms(void)
{
    struct timespec busy;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &busy), 0);
    return (int64_t)busy.tv_sec * 1000 + busy.tv_nsec / 1000000;
}

/* Bytes that nobody wants yet, or an end that nobody can act on, do not keep a loop awake. */
static void waits_without_spinning(void **state)
{
    int told = harness.told;
    int64_t busy;
    int fds[2];

    for (int i = 0; i < 2; i++) {
        fds[i] = net_harness_connect(&harness);
        net_client_send(fds[i], SPAN_OF(GET("/never")));
        net_harness_wait(&harness.told, told + 1 + i);
        if (i == 0)
            net_client_send(fds[i], SPAN_OF(GET("/hello")));
        else
            assert_int_equal(shutdown(fds[i], SHUT_WR), 0);
    }
    busy = busy_ms();
    (void)usleep(200000);
    assert_true(busy_ms() - busy < 50);
    for (int i = 0; i < 2; i++)
        assert_int_equal(close(fds[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(answers_however_it_is_cut),
        cmocka_unit_test(answers_byte_by_byte),
        cmocka_unit_test(continues_when_asked),
        cmocka_unit_test(answers_after_half_close),
        cmocka_unit_test(sends_a_large_body),
        cmocka_unit_test(holds_a_stream_back),
        cmocka_unit_test(holds_a_client_back),
        cmocka_unit_test(tells_when_the_client_is_gone),
        cmocka_unit_test(aborts_quietly),
        cmocka_unit_test(waits_without_spinning),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
