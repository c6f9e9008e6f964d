/* SPDX-License-Identifier: MIT
 * The known attacks on HTTP/2, played over a socket: each ends with ENHANCE_YOUR_CALM, is counted
 * by its kind, and leaves nothing behind. Another client beside is served all the while. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/http2_client.h"
#include "net/net_priv.h"

enum { FRAMES_MAX = 3000 };

static struct net_harness harness;
static struct net_http2_client client;

static const struct net_server_options usual = {0};

/* One round of an attack; `i` counts up. */
typedef void attack_fn(uint32_t i);

static void frame(int type, int flags, uint32_t id, struct span payload)
{
    net_http2_client_frame(&client, type, flags, id, payload);
}

static struct span request_block(const char *method, const char *path)
{
    static char buffer[256];
    struct sbuf block = sbuf_over(buffer, sizeof(buffer));

    net_http2_client_request(&block, method, path);
    return sbuf_span(&block);
}

/* CVE-2023-44487: work is begun and given up. */
static void rapid_reset(uint32_t i)
{
    net_http2_client_get(&client, 2 * i + 1, "/never");
    frame(NGHTTP2_RST_STREAM, 0, 2 * i + 1, SPAN_OF("\0\0\0\x08"));
}

/* Not even a stream's error: nghttp2 ends the connection. */
static void window_of_zero(uint32_t i)
{
    net_http2_client_headers(&client, 2 * i + 1, request_block("GET", "/never"), true);
    frame(NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, SPAN_OF("\0\0\0\0"));
}

/* CVE-2025-8671: the same, with us doing the resetting. */
static void made_reset_window_overflow(uint32_t i)
{
    net_http2_client_headers(&client, 2 * i + 1, request_block("GET", "/never"), true);
    frame(NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, SPAN_OF("\x7f\xff\xff\xff"));
}

/* The connection's error too. */
static void data_behind_the_end(uint32_t i)
{
    net_http2_client_headers(&client, 2 * i + 1, request_block("GET", "/never"), true);
    frame(NGHTTP2_DATA, 0, 2 * i + 1, SPAN_OF("x"));
}

static void made_reset_length(uint32_t i)
{
    char buffer[256];
    struct sbuf block = sbuf_over(buffer, sizeof(buffer));

    net_http2_client_request(&block, "POST", "/never");
    net_http2_client_field(&block, SPAN_OF("content-length"), SPAN_OF("1"));
    net_http2_client_headers(&client, 2 * i + 1, sbuf_span(&block), false);
    frame(NGHTTP2_DATA, 0, 2 * i + 1, SPAN_OF("xy"));
}

static void made_reset_malformed(uint32_t i)
{
    char buffer[256];
    struct sbuf block = sbuf_over(buffer, sizeof(buffer));

    net_http2_client_request(&block, "GET", "/never");
    net_http2_client_field(&block, SPAN_OF("connection"), SPAN_OF("close"));
    net_http2_client_headers(&client, 2 * i + 1, sbuf_span(&block), true);
}

/* Streams beyond the hundred that stay open. */
static void made_reset_refused(uint32_t i)
{
    net_http2_client_headers(&client, 2 * i + 1, request_block("GET", "/never"), true);
}

/* CVE-2024-27316. */
static void continuations(uint32_t i)
{
    if (i == 0)
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, SPAN_OF("\x82"));
    else
        frame(NGHTTP2_CONTINUATION, 0, 1, SPAN_OF("\0\1a\1b"));
}

static void endless_block(uint32_t i)
{
    static char block[16384];

    frame(i == 0 ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION, 0, 1, span_make(block, sizeof(block)));
}

/* One large entry of the table, and thousands of bytes that each unpack to it (CVE-2016-6581). */
static void unpacking_bomb(uint32_t i)
{
    static char value[3000];
    static char buffer[8192];
    struct sbuf block = sbuf_over(buffer, sizeof(buffer));

    memset(value, 'v', sizeof(value));
    sbuf_add_lit(&block, "\x82\x86\x84");
    net_http2_client_field(&block, SPAN_OF("x"), span_make(value, sizeof(value)));
    buffer[3] = 0x40; /* with indexing */
    for (int n = 0; n < 1000; n++)
        sbuf_add_char(&block, (char)0xbe);
    net_http2_client_headers(&client, 2 * i + 1, sbuf_span(&block), true);
}

/* CVE-2019-9515. */
static void settings(uint32_t i)
{
    frame(NGHTTP2_SETTINGS, 0, 0, (struct span){0});
}

/* CVE-2019-9512. */
static void pings(uint32_t i)
{
    frame(NGHTTP2_PING, 0, 0, SPAN_OF("12345678"));
}

/* CVE-2019-9518. */
static void empty_data(uint32_t i)
{
    if (i == 0)
        net_http2_client_headers(&client, 1, request_block("POST", "/echo"), false);
    frame(NGHTTP2_DATA, 0, 1, (struct span){0});
}

/* The same behind a mask: nothing but padding. */
static void padded_data(uint32_t i)
{
    if (i == 0)
        net_http2_client_headers(&client, 1, request_block("POST", "/echo"), false);
    frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, SPAN_OF("\2\0\0"));
}

static void empty_headers(uint32_t i)
{
    net_http2_client_headers(&client, 2 * i + 1, (struct span){0}, true);
}

/* CVE-2019-9513. */
static void priorities(uint32_t i)
{
    frame(NGHTTP2_PRIORITY, 0, 1, SPAN_OF("\0\0\0\3\1"));
}

static void unknown_frames(uint32_t i)
{
    frame(0xee, 0, 0, SPAN_OF("x"));
}

static void windows(uint32_t i)
{
    frame(NGHTTP2_WINDOW_UPDATE, 0, 0, SPAN_OF("\0\0\0\1"));
}

struct attack {
    const char *name;
    attack_fn *round;
    enum net_http2_flood kind;
    int told_max;  /* requests that were begun for it: the budget, and what one read brings */
    uint32_t code; /* 0: ENHANCE_YOUR_CALM */
};

static const struct attack attacks[] = {
    {"rapid reset", rapid_reset, NET_HTTP2_FLOOD_RESET, 101},
    {"window of zero", window_of_zero, NET_HTTP2_FLOOD_COUNT, 1, NGHTTP2_PROTOCOL_ERROR},
    {"window too large", made_reset_window_overflow, NET_HTTP2_FLOOD_MADE, 120},
    {"data behind the end", data_behind_the_end, NET_HTTP2_FLOOD_COUNT, 1, NGHTTP2_STREAM_CLOSED},
    {"another length", made_reset_length, NET_HTTP2_FLOOD_MADE, 300},
    {"malformed requests", made_reset_malformed, NET_HTTP2_FLOOD_MADE, 0},
    {"too many streams", made_reset_refused, NET_HTTP2_FLOOD_MADE, 100},
    {"continuations", continuations, NET_HTTP2_FLOOD_HEADERS, 0},
    {"endless block", endless_block, NET_HTTP2_FLOOD_HEADERS, 0},
    {"unpacking bomb", unpacking_bomb, NET_HTTP2_FLOOD_HEADERS, 0},
    {"settings", settings, NET_HTTP2_FLOOD_SETTINGS, 0},
    {"pings", pings, NET_HTTP2_FLOOD_PING, 0},
    {"empty data", empty_data, NET_HTTP2_FLOOD_EMPTY, 1},
    {"padded data", padded_data, NET_HTTP2_FLOOD_EMPTY, 1},
    {"empty headers", empty_headers, NET_HTTP2_FLOOD_EMPTY, 0},
    {"priorities", priorities, NET_HTTP2_FLOOD_PRIORITY, 0},
    {"unknown frames", unknown_frames, NET_HTTP2_FLOOD_PRIORITY, 0},
    {"windows", windows, NET_HTTP2_FLOOD_WINDOW, 0},
};

/* Sends until the server has had enough. */
static void play(const struct attack *attack)
{
    char byte;

    for (uint32_t i = 0; i < FRAMES_MAX; i++) {
        attack->round(i);
        if (i % 16 == 15 && recv(client.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
            break;
    }
}

static void expect_other(struct net_http2_client *other, uint32_t id)
{
    const struct net_http2_answer *answer;

    net_http2_client_get(other, id, "/hello");
    answer = net_http2_client_answer(other, id);
    assert_int_equal(answer->status, 200);
}

static void floods_end(void **state)
{
    static struct net_http2_client other;
    uint32_t id = 1;

    for (size_t i = 0; i < PC_COUNT(attacks); i++) {
        const struct attack *attack = &attacks[i];
        struct metrics *metrics;
        struct net_server_options options = usual;
        int told;

        assert_int_equal(metrics_new(&metrics), ERR_OK);
        options.metrics = metrics;
        net_harness_start_http2(&harness, &options);
        net_http2_client_open(&other, &harness);
        expect_other(&other, id);
        net_http2_client_open(&client, &harness);
        client.keeps_shut = client.mute = client.may_break = true;
        play(attack);
        if (net_http2_client_end(&client) !=
            (attack->code != 0 ? attack->code : NGHTTP2_ENHANCE_YOUR_CALM))
            fail_msg("%s: ended with %u", attack->name, client.code);
        net_http2_client_close(&client);
        net_harness_wait_conns(&harness, 1);
        told = harness.told - 1;
        if (told > attack->told_max)
            fail_msg("%s: %d requests", attack->name, told);
        for (size_t kind = 0; kind < NET_HTTP2_FLOOD_COUNT; kind++) {
            if (metric_value(harness.server->counters.floods[kind]) != (kind == attack->kind))
                fail_msg("%s: counted as %s", attack->name,
                         net_http2_flood_name((enum net_http2_flood)kind));
        }
        expect_other(&other, id + 2);
        net_http2_client_close(&other);
        net_harness_stop(&harness);
        metrics_free(metrics);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floods_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
