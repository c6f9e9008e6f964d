/* SPDX-License-Identifier: MIT
 * HTTP/2 over sockets: requests and answers, many at once, held back, slow, cut, drained. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "net/http2_client.h"
#include "net/net_priv.h"

static struct net_harness harness;
static struct net_http2_client client;

static const struct net_server_options usual = {0};

static void start(const struct net_server_options *options)
{
    net_harness_start_http2(&harness, options);
    net_http2_client_open(&client, &harness);
}

static void stop(void)
{
    net_http2_client_close(&client);
    net_harness_stop(&harness);
}

static void expect(uint32_t id, int status, const char *text)
{
    const struct net_http2_answer *answer = net_http2_client_answer(&client, id);

    if (answer->status != status || strcmp(answer->text, text) != 0 || !answer->ended)
        fail_msg("stream %u: status %d, reset %d with %u: %s", id, answer->status, answer->reset,
                 answer->code, answer->text);
}

static void expect_reset(uint32_t id, uint32_t code)
{
    const struct net_http2_answer *answer = net_http2_client_answer(&client, id);

    if (!answer->reset || answer->code != code)
        fail_msg("stream %u: status %d, reset %d with %u", id, answer->status, answer->reset,
                 answer->code);
}

/* A request with more fields ("name|value" lines). */
static void ask(uint32_t id, const char *method, const char *path, const char *fields, bool end)
{
    static char buffer[65536];
    struct sbuf block = sbuf_over(buffer, sizeof(buffer));
    struct span rest = span_from(fields);
    struct span line;

    net_http2_client_request(&block, method, path);
    while (span_cut(&rest, '\n', &line) && line.len > 0) {
        size_t bar = span_find(line, '|');

        net_http2_client_field(&block, span_slice(line, 0, bar),
                               span_slice(line, bar + 1, line.len));
    }
    net_http2_client_headers(&client, id, sbuf_span(&block), end);
}

static void data(uint32_t id, const char *text, bool end)
{
    net_http2_client_frame(&client, NGHTTP2_DATA, end ? NGHTTP2_FLAG_END_STREAM : 0, id,
                           span_from(text));
}

static void reset(uint32_t id)
{
    net_http2_client_frame(&client, NGHTTP2_RST_STREAM, 0, id, SPAN_OF("\0\0\0\x08"));
}

/* --- requests and answers --------------------------------------------------------------------- */

static void answers(void **state)
{
    start(&usual);
    net_http2_client_get(&client, 1, "/hello");
    expect(1, 200, "hello");
    assert_string_equal(client.answers[0].length, "5");
    assert_int_equal(client.limit, 100);
    ask(3, "POST", "/echo", "content-length|6\n", false);
    data(3, "abc", false);
    data(3, "def", true);
    expect(3, 200, "abcdef");
    ask(5, "POST", "/echo", "", false);
    data(5, "abc", true);
    expect(5, 200, "abc");
    net_http2_client_get(&client, 7, "/later");
    expect(7, 200, "later");
    net_http2_client_get(&client, 9, "/pieces");
    expect(9, 200, "one,two,three");
    assert_string_equal(client.answers[4].length, "");
    net_http2_client_get(&client, 11, "/told");
    expect(11, 200, "one,two,three");
    assert_string_equal(client.answers[5].length, "13");
    ask(13, "POST", "/echo", "content-length|0\n", true);
    expect(13, 200, "");
    ask(15, "POST", "/echo", "content-length|0\n", false);
    expect(15, 200, "");
    net_http2_client_get(&client, 17, "/peer");
    expect(17, 200, "127.0.0.1 tls=0 subject= cn= thumbprint=0");
    net_http2_client_get(&client, 19, "/lines");
    expect(19, 200, "lines");
    assert_false(client.gone);
    stop();
}

/* What has no body has none, whatever the application gives. */
static void answers_without_body(void **state)
{
    start(&usual);
    ask(1, "HEAD", "/status/200", "", true);
    expect(1, 200, "");
    assert_string_equal(client.answers[0].length, "4");
    ask(3, "HEAD", "/pieces", "", true);
    expect(3, 200, "");
    net_http2_client_get(&client, 5, "/status/204");
    expect(5, 204, "");
    assert_string_equal(client.answers[2].length, "");
    net_http2_client_get(&client, 7, "/status/304");
    expect(7, 304, "");
    ask(9, "HEAD", "/flood", "", true);
    expect(9, 200, "");
    stop();
}

/* As most clients send them: in Huffman's code, and with lines that are said once. */
static void reads_coded_heads(void **state)
{
    static char token[2000];
    nghttp2_nv fields[] = {
        {(uint8_t *)(uintptr_t) ":method", (uint8_t *)(uintptr_t) "GET", 7, 3, 0},
        {(uint8_t *)(uintptr_t) ":scheme", (uint8_t *)(uintptr_t) "http", 7, 4, 0},
        {(uint8_t *)(uintptr_t) ":authority", (uint8_t *)(uintptr_t) "localhost", 10, 9, 0},
        {(uint8_t *)(uintptr_t) ":path", (uint8_t *)(uintptr_t) "/hello", 5, 6, 0},
        {(uint8_t *)(uintptr_t) "authorization", (uint8_t *)token, 13, sizeof(token), 0},
    };
    nghttp2_hd_deflater *deflater;
    uint8_t block[4096];

    memset(token, 'e', sizeof(token));
    assert_int_equal(nghttp2_hd_deflate_new(&deflater, 4096), 0);
    start(&usual);
    for (uint32_t id = 1; id < 40; id += 2) {
        ssize_t bytes =
            nghttp2_hd_deflate_hd(deflater, block, sizeof(block), fields, PC_COUNT(fields));

        assert_true(bytes > 0 && bytes < 1500); /* five bits a letter */
        net_http2_client_headers(&client, id, span_make(block, (size_t)bytes), true);
    }
    for (uint32_t id = 1; id < 40; id += 2)
        expect(id, 200, "hello");
    nghttp2_hd_deflate_del(deflater);
    stop();
}

/* Heads that take more than one frame, between others. */
static void answers_with_long_heads(void **state)
{
    start(&usual);
    for (uint32_t id = 1; id < 9; id += 4) {
        net_http2_client_get(&client, id, "/long");
        net_http2_client_get(&client, id + 2, "/hello");
    }
    for (uint32_t id = 1; id < 9; id += 4) {
        expect(id, 200, "long");
        assert_true(net_http2_client_answer(&client, id)->fields > 20000);
        expect(id + 2, 200, "hello");
    }
    stop();
}

/* Trailers end a body and are never seen. */
static void drops_trailers(void **state)
{
    char buffer[100];
    struct sbuf block = sbuf_over(buffer, sizeof(buffer));

    start(&usual);
    net_http2_client_field(&block, SPAN_OF("x-sum"), SPAN_OF("1"));
    ask(1, "POST", "/echo", "", false);
    data(1, "abc", false);
    net_http2_client_headers(&client, 1, sbuf_span(&block), true);
    expect(1, 200, "abc");
    ask(3, "POST", "/echo", "", false);
    net_http2_client_headers(&client, 3, sbuf_span(&block), false); /* trailers must end it */
    expect_reset(3, NGHTTP2_PROTOCOL_ERROR);
    stop();
}

/* Answers do not wait for one another. */
static void serves_many_at_once(void **state)
{
    start(&usual);
    net_http2_client_get(&client, 1, "/held");
    for (uint32_t i = 1; i < 100; i++)
        net_http2_client_get(&client, 2 * i + 1, i % 2 == 0 ? "/later" : "/hello");
    for (uint32_t i = 1; i < 100; i++)
        expect(2 * i + 1, 200, i % 2 == 0 ? "later" : "hello");
    net_harness_resume(&harness);
    expect(1, 200, "");
    stop();
}

/* Who was told of the hundred and opens one more is wrong (nghttp2 ends the connection). */
static void limits_streams(void **state)
{
    start(&usual);
    net_http2_client_sync(&client);
    for (uint32_t i = 0; i < 100; i++)
        net_http2_client_get(&client, 2 * i + 1, "/never");
    net_harness_wait(&harness.told, 100);
    net_http2_client_get(&client, 201, "/hello");
    assert_int_equal(net_http2_client_end(&client), NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(harness.told, 100);
    assert_int_equal(harness.gone, 100);
    stop();
}

/* The application's answer to a reset is not heard, and no stream is left. */
static void resets(void **state)
{
    start(&usual);
    net_http2_client_get(&client, 1, "/never");
    net_http2_client_get(&client, 3, "/never");
    net_harness_wait(&harness.told, 2);
    reset(1);
    reset(3);
    net_harness_wait(&harness.gone, 2);
    net_harness_wait(&harness.recycled, 2);
    net_http2_client_get(&client, 5, "/hello");
    expect(5, 200, "hello");
    assert_int_equal(client.answers[0].status, 0);
    stop();
}

/* A stream that the application cuts, or gives another length than it told, is reset alone. */
static void cuts_streams(void **state)
{
    start(&usual);
    net_http2_client_get(&client, 1, "/later");
    net_http2_client_get(&client, 3, "/abort");
    net_http2_client_get(&client, 5, "/short");
    net_http2_client_get(&client, 7, "/over");
    expect_reset(3, NGHTTP2_INTERNAL_ERROR);
    expect_reset(5, NGHTTP2_INTERNAL_ERROR);
    expect_reset(7, NGHTTP2_INTERNAL_ERROR);
    expect(1, 200, "later");
    assert_false(client.gone);
    stop();
}

/* An answer that does not wait for the body ends the stream; the client hears that it may stop. */
static void answers_early(void **state)
{
    start(&usual);
    ask(1, "POST", "/early", "content-length|100000\n", false);
    expect(1, 401, "early");
    while (!client.answers[0].reset)
        assert_true(net_http2_client_read(&client));
    assert_int_equal(client.answers[0].code, NGHTTP2_NO_ERROR);
    data(1, "late", false);
    net_http2_client_get(&client, 3, "/hello");
    expect(3, 200, "hello");
    stop();
}

static void continues(void **state)
{
    start(&usual);
    ask(1, "POST", "/continue", "content-length|3\nexpect|100-continue\n", false);
    while (client.answers[0].status == 0)
        assert_true(net_http2_client_read(&client));
    assert_int_equal(client.answers[0].status, 100);
    data(1, "abc", true);
    expect(1, 200, "abc");
    ask(3, "POST", "/echo", "content-length|3\nexpect|tea\n", false);
    expect(3, 417, "expectation-failed");
    stop();
}

/* --- what is refused -------------------------------------------------------------------------- */

struct abuse {
    const char *method;
    const char *fields;
    int status; /* 0: reset as malformed */
};

static const struct abuse abuses[] = {
    {"GET", "Upper|x\n", 0},
    {"GET", "connection|close\n", 0},
    {"GET", "transfer-encoding|chunked\n", 0},
    {"GET", "upgrade|h2c\n", 0},
    {"GET", "te|gzip\n", 0},
    {"GET", ":path|/y\n", 0},
    {"GET", ":status|200\n", 0},
    {"GET", ":unknown|x\n", 0},
    {"GET", "x|y\n:authority|a\n", 0},
    {"GET", "host|b\n", 0},
    {"GET", "x| y\n", 0},
    {"GET", "x|a\rb\n", 0},
    {"GET", "content-length|3\n", 0},
    {"GET", "content-length|x\n", 0},
    {"CONNECT", "", 0}, /* with :scheme and :path it is not even that (nghttp2) */
    {"GET", "te|trailers\n", 200},
    {"GET", "host|a\n", 200},
};

/* Each ends its own stream; the connection serves on. */
static void refuses(void **state)
{
    start(&usual);
    for (uint32_t i = 0; i < PC_COUNT(abuses); i++) {
        uint32_t id = 4 * i + 1;

        ask(id, abuses[i].method, "/echo", abuses[i].fields, true);
        if (abuses[i].status == 0)
            expect_reset(id, NGHTTP2_PROTOCOL_ERROR);
        else
            expect(id, abuses[i].status, "");
        net_http2_client_get(&client, id + 2, "/hello");
        expect(id + 2, 200, "hello");
    }
    stop();
}

static void refuses_connect(void **state)
{
    char buffer[100];
    struct sbuf block = sbuf_over(buffer, sizeof(buffer));

    start(&usual);
    net_http2_client_field(&block, SPAN_OF(":method"), SPAN_OF("CONNECT"));
    net_http2_client_field(&block, SPAN_OF(":authority"), SPAN_OF("a:1"));
    net_http2_client_headers(&client, 1, sbuf_span(&block), false);
    expect(1, 405, "method-not-allowed");
    stop();
}

/* A body that is longer or shorter than was said. */
static void refuses_wrong_lengths(void **state)
{
    start(&usual);
    ask(1, "POST", "/echo", "content-length|3\n", false);
    data(1, "abcd", true);
    expect_reset(1, NGHTTP2_PROTOCOL_ERROR);
    ask(3, "POST", "/echo", "content-length|3\n", false);
    data(3, "ab", true);
    expect_reset(3, NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(harness.gone, 2);
    net_http2_client_get(&client, 5, "/hello");
    expect(5, 200, "hello");
    stop();
}

static void refuses_what_is_too_long(void **state)
{
    const struct net_server_options options = {
        .head_bytes_max = 4096, .headers_max = 10, .target_bytes_max = 1024};
    static char path[2048];
    static char fields[8192] = "x|";

    memset(path, 'a', 1025);
    path[0] = '/';
    memset(fields + 2, 'a', 5000);
    start(&options);
    ask(1, "GET", path, "", true);
    expect(1, 414, "uri-too-long");
    ask(3, "GET", "/hello", fields, true);
    expect(3, 431, "headers-too-large");
    ask(5, "GET", "/hello", "a|1\nb|2\nc|3\nd|4\ne|5\nf|6\ng|7\nh|8\ni|9\nj|10\nk|11\n", true);
    expect(5, 431, "headers-too-large");
    net_http2_client_get(&client, 7, "/hello");
    expect(7, 200, "hello");
    stop();
}

/* --- holding back ------------------------------------------------------------------------------
 */

static uint32_t sum_of_letters(size_t bytes)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < bytes; i++)
        sum = sum * 31 + (uint32_t)('a' + i % 26);
    return sum;
}

static void sends_large_answers(void **state)
{
    start(&usual);
    net_http2_client_get(&client, 1, "/large");
    net_http2_client_get(&client, 3, "/flood");
    net_http2_client_get(&client, 5, "/hello");
    expect(5, 200, "hello");
    assert_false(client.answers[0].ended);
    for (uint32_t id = 1; id <= 3; id += 2) {
        const struct net_http2_answer *answer = net_http2_client_answer(&client, id);

        assert_true(answer->ended);
        assert_int_equal(answer->bytes, HARNESS_LARGE_BYTES);
        assert_int_equal(answer->sum, sum_of_letters(HARNESS_LARGE_BYTES));
    }
    assert_true(harness.starved > 0);
    stop();
}

/* While the application waits, the client may send what the window takes and no more; when it goes
 * on, all of it arrives. */
static void holds_bodies_back(void **state)
{
    static char piece[16385];

    memset(piece, 'p', sizeof(piece) - 1);
    start(&usual);
    ask(1, "POST", "/held", "", false);
    for (int i = 0; i < 3; i++)
        data(1, piece, false);
    net_http2_client_sync(&client);
    assert_int_equal(harness.body_bytes, 0);
    net_http2_client_get(&client, 3, "/hello");
    expect(3, 200, "hello");
    data(1, "end", true);
    net_http2_client_sync(&client);
    assert_int_equal(harness.body_bytes, 0);
    net_harness_resume(&harness);
    net_http2_client_answer(&client, 1);
    assert_int_equal(client.answers[0].bytes, 3 * 16384 + 3);
    assert_int_equal(harness.body_bytes, 3 * 16384 + 3);
    stop();
}

/* More than the window is the client's error (RFC 9113, 6.9.1). */
static void refuses_beyond_the_window(void **state)
{
    static char piece[16385];

    memset(piece, 'p', sizeof(piece) - 1);
    start(&usual);
    ask(1, "POST", "/held", "", false);
    for (int i = 0; i < 4; i++)
        data(1, piece, false);
    expect_reset(1, NGHTTP2_FLOW_CONTROL_ERROR);
    net_harness_wait(&harness.gone, 1);
    stop();
}

/* A large body passes through small windows. */
static void takes_large_bodies(void **state)
{
    static char piece[16385];
    int sent = 0;

    memset(piece, 'p', sizeof(piece) - 1);
    start(&usual);
    ask(1, "POST", "/echo", "", false);
    for (; sent < 40; sent++) {
        data(1, piece, false);
        if (sent % 2 == 1)
            net_http2_client_sync(&client);
    }
    data(1, "", true);
    net_http2_client_answer(&client, 1);
    assert_int_equal(client.answers[0].bytes, 40 * 16384);
    stop();
}

/* --- time ------------------------------------------------------------------------------------- */

/* Each is longer than a busy machine makes this side wait for a processor. */
static const struct net_server_options impatient = {.head_ms = 160,
                                                    .idle_ms = 160,
                                                    .body_ms = 160,
                                                    .body_grace_ms = 400,
                                                    .body_rate_min = 1000,
                                                    .write_ms = 160};

static void ends_waiting(void **state)
{
    net_harness_start_http2(&harness, &impatient);
    net_http2_client_connect(&client, &harness); /* says nothing */
    client.mute = true;
    assert_int_equal(net_http2_client_end(&client), NGHTTP2_NO_ERROR);
    net_http2_client_close(&client);
    net_http2_client_open(&client, &harness); /* asks nothing */
    assert_int_equal(net_http2_client_end(&client), NGHTTP2_NO_ERROR);
    net_http2_client_close(&client);
    net_http2_client_open(&client, &harness); /* asks no more */
    net_http2_client_get(&client, 1, "/hello");
    expect(1, 200, "hello");
    assert_int_equal(net_http2_client_end(&client), NGHTTP2_NO_ERROR);
    assert_int_equal(client.last, 1);
    stop();
}

/* Who begins a head has to end it. */
static void ends_open_blocks(void **state)
{
    start(&impatient);
    net_http2_client_sync(&client);
    net_http2_client_get(&client, 1, "/never");
    net_http2_client_frame(&client, NGHTTP2_HEADERS, 0, 3, SPAN_OF("\x82"));
    assert_int_equal(net_http2_client_end(&client), NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(harness.gone, 1);
    stop();
}

/* A body that stands still is answered, also while other streams are busy. */
static void ends_slow_bodies(void **state)
{
    start(&impatient);
    net_http2_client_get(&client, 1, "/never");
    ask(3, "POST", "/echo", "content-length|5\n", false);
    data(3, "ab", false);
    expect(3, 408, "request-timeout");
    ask(5, "POST", "/echo", "", false);
    for (int i = 0; !client.answers[2].ended && i < 500; i++) { /* 8 bytes each 10 ms: too few */
        data(5, "drippin", false);
        (void)usleep(10000);
        if (recv(client.fd, client.payload, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
            assert_true(net_http2_client_read(&client));
    }
    expect(5, 408, "request-timeout");
    assert_false(client.gone);
    stop();
}

/* Who opens no window is not waited for, and the memory for it is given back. */
static void ends_shut_windows(void **state)
{
    start(&impatient);
    client.keeps_shut = true;
    net_http2_client_get(&client, 1, "/flood");
    net_http2_client_get(&client, 3, "/large");
    expect_reset(1, NGHTTP2_CANCEL);
    expect_reset(3, NGHTTP2_CANCEL);
    assert_int_equal(client.answers[0].bytes + client.answers[1].bytes, 65535);
    assert_int_equal(harness.gone, 1); /* the large one was given whole */
    stop();
}

/* Many answers over a slow line: each waits long for its turn, and none is given up. */
static void waits_for_its_turn(void **state)
{
    static const unsigned char wide[] = {0, 4, 0x7f, 0xff, 0xff, 0xff};
    const struct net_server_options options = {.write_ms = 800};

    start(&options);
    assert_int_equal(close(client.fd), 0);
    client.fd = net_harness_pair(&harness); /* keeps less under way than TCP */
    net_client_send(client.fd, SPAN_OF(NGHTTP2_CLIENT_MAGIC));
    net_http2_client_frame(&client, NGHTTP2_SETTINGS, 0, 0, span_make(wide, sizeof(wide)));
    net_http2_client_frame(&client, NGHTTP2_WINDOW_UPDATE, 0, 0, SPAN_OF("\x7f\0\0\0"));
    client.keeps_shut = true;
    for (uint32_t i = 0; i < 100; i++)
        net_http2_client_get(&client, 2 * i + 1, "/large");
    while (client.answers[99].status == 0)
        assert_true(net_http2_client_read(&client));
    for (int i = 0; i < 300; i++) { /* a turn of each takes a second */
        (void)usleep(10000);
        assert_true(net_http2_client_read(&client));
    }
    for (uint32_t i = 0; i < 100; i++)
        assert_false(client.answers[i].reset);
    stop();
}

static void ends_not_reading(void **state)
{
    static const unsigned char wide[] = {0, 4, 0x7f, 0xff, 0xff, 0xff};

    start(&impatient);
    net_http2_client_frame(&client, NGHTTP2_SETTINGS, 0, 0, span_make(wide, sizeof(wide)));
    net_http2_client_frame(&client, NGHTTP2_WINDOW_UPDATE, 0, 0, SPAN_OF("\x7f\0\0\0"));
    for (uint32_t i = 0; i < 20; i++)
        net_http2_client_get(&client, 2 * i + 1, "/flood");
    net_harness_wait(&harness.gone, 20);
    net_harness_wait_conns(&harness, 0);
    stop();
}

/* --- the end of a connection --------------------------------------------------------------------
 */

/* What is on its way is answered, and the connection ends without a loss. */
static void drains(void **state)
{
    start(&usual);
    net_http2_client_get(&client, 1, "/hello");
    expect(1, 200, "hello");
    net_http2_client_get(&client, 3, "/later");
    net_http2_client_get(&client, 5, "/later");
    net_harness_wait(&harness.told, 3);
    assert_true(net_server_drain(harness.server, 5000) || true);
    expect(3, 200, "later");
    expect(5, 200, "later");
    assert_int_equal(net_http2_client_end(&client), NGHTTP2_NO_ERROR);
    stop();
}

static void *drain_all(void *context)
{
    *(bool *)context = net_server_drain(harness.server, 5000);
    return NULL;
}

/* Between the notice and the last word new streams are still served. */
static void drains_in_two_steps(void **state)
{
    bool drained = false;
    pthread_t thread;

    start(&usual);
    net_http2_client_get(&client, 1, "/held");
    net_harness_wait(&harness.told, 1);
    assert_int_equal(pthread_create(&thread, NULL, drain_all, &drained), 0);
    while (!client.gone)
        assert_true(net_http2_client_read(&client));
    assert_int_equal(client.last, INT32_MAX);
    net_http2_client_get(&client, 3, "/hello");
    expect(3, 200, "hello");
    net_harness_resume(&harness);
    expect(1, 200, "");
    assert_int_equal(net_http2_client_end(&client), NGHTTP2_NO_ERROR);
    assert_int_equal(client.last, 3);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(drained);
    stop();
}

static void limits_requests_per_connection(void **state)
{
    const struct net_server_options options = {.requests_per_conn_max = 2};

    start(&options);
    net_http2_client_get(&client, 1, "/later");
    net_http2_client_get(&client, 3, "/later");
    net_http2_client_get(&client, 5, "/later");
    expect(1, 200, "later");
    expect(3, 200, "later");
    assert_int_equal(net_http2_client_end(&client), NGHTTP2_NO_ERROR);
    assert_int_equal(client.last, 3);
    assert_int_equal(harness.told, 2);
    stop();
}

/* Streams under way hear that their client is gone, held ones are waited for. */
static void survives_hanging_up(void **state)
{
    start(&usual);
    net_http2_client_get(&client, 1, "/later");
    net_http2_client_get(&client, 3, "/never");
    net_http2_client_get(&client, 5, "/flood");
    ask(7, "POST", "/held", "", false);
    data(7, "abc", false);
    net_harness_wait(&harness.told, 4);
    net_http2_client_close(&client);
    net_harness_wait(&harness.recycled, 4);
    net_harness_wait_conns(&harness, 0);
    net_harness_stop(&harness);
}

/* What is no HTTP/2 ends; in clear without the listener's word a preface is a bad request. */
static void knows_its_protocol(void **state)
{
    char buffer[256];
    int fd;

    net_harness_start_http2(&harness, &usual);
    net_http2_client_connect(&client, &harness);
    client.mute = true; /* or what it acknowledges to the closed connection resets it */
    net_client_send(client.fd, SPAN_OF("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_int_equal(net_http2_client_end(&client), -1);
    net_http2_client_close(&client);
    net_http2_client_connect(&client, &harness);
    net_client_send(client.fd, SPAN_OF(NGHTTP2_CLIENT_MAGIC));
    net_http2_client_get(&client, 1, "/hello"); /* before SETTINGS */
    assert_int_equal(net_http2_client_end(&client), NGHTTP2_PROTOCOL_ERROR);
    stop();
    net_harness_start(&harness, &usual, NULL);
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF(NGHTTP2_CLIENT_MAGIC));
    assert_true(span_starts(net_client_rest(fd, buffer, sizeof(buffer)), SPAN_OF("HTTP/1.1 505 ")));
    assert_int_equal(close(fd), 0);
    net_harness_stop(&harness);
}

/* --- no memory ---------------------------------------------------------------------------------
 */

static void converse(void)
{
    net_http2_client_open(&client, &harness);
    client.may_break = true;
    net_http2_client_get(&client, 1, "/hello");
    net_http2_client_get(&client, 3, "/later");
    net_http2_client_get(&client, 5, "/pieces");
    ask(7, "POST", "/paused", "", false);
    data(7, "abc", true);
    net_http2_client_get(&client, 9, "/close");
    while (!client.over && client.answers[4].status == 0 && !client.answers[4].reset)
        (void)net_http2_client_read(&client);
    net_http2_client_close(&client);
}

/* Whichever allocation fails, the server lives and the next client is served. */
static void survives_without_memory(void **state)
{
    net_harness_start_http2(&harness, &usual);
    for (uint64_t nth = 1; nth < 80; nth++) {
        alloc_fail_at(nth);
        converse();
        alloc_fail_at(0);
    }
    net_http2_client_open(&client, &harness);
    net_http2_client_get(&client, 1, "/hello");
    expect(1, 200, "hello");
    net_http2_client_close(&client);
    net_harness_wait_conns(&harness, 0);
    net_harness_stop(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(answers_without_body),
        cmocka_unit_test(answers_with_long_heads),
        cmocka_unit_test(reads_coded_heads),
        cmocka_unit_test(drops_trailers),
        cmocka_unit_test(serves_many_at_once),
        cmocka_unit_test(limits_streams),
        cmocka_unit_test(resets),
        cmocka_unit_test(cuts_streams),
        cmocka_unit_test(answers_early),
        cmocka_unit_test(continues),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_connect),
        cmocka_unit_test(refuses_wrong_lengths),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(sends_large_answers),
        cmocka_unit_test(holds_bodies_back),
        cmocka_unit_test(refuses_beyond_the_window),
        cmocka_unit_test(takes_large_bodies),
        cmocka_unit_test(ends_waiting),
        cmocka_unit_test(ends_open_blocks),
        cmocka_unit_test(ends_slow_bodies),
        cmocka_unit_test(ends_shut_windows),
        cmocka_unit_test(waits_for_its_turn),
        cmocka_unit_test(ends_not_reading),
        cmocka_unit_test(drains),
        cmocka_unit_test(drains_in_two_steps),
        cmocka_unit_test(limits_requests_per_connection),
        cmocka_unit_test(survives_hanging_up),
        cmocka_unit_test(knows_its_protocol),
        cmocka_unit_test(survives_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
