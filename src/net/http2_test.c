/* SPDX-License-Identifier: MIT
 * The parts of HTTP/2 that need no socket: budgets of frames, heads of requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "net/http2_gate.h"
#include "net/http2_head.h"

/* --- the gate --------------------------------------------------------------------------------- */

enum { BLOCK_MAX = 1000 };

static struct net_http2_gate gate;
static int64_t now_ns;

static void gate_start(void)
{
    enum net_http2_flood kind;

    now_ns = CLOCK_NS_PER_S;
    net_http2_gate_open(&gate, BLOCK_MAX);
    assert_true(
        net_http2_gate_pass(&gate, SPAN_OF("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), now_ns, &kind));
}

/* A frame of that length, byte by byte: what is told must not depend on how it comes. */
static bool frame(int type, int flags, uint32_t length, enum net_http2_flood *ret_kind)
{
    char bytes[9] = {(char)(length >> 16), (char)(length >> 8), (char)length, (char)type,
                     (char)flags};

    for (size_t i = 0; i < sizeof(bytes); i++) {
        if (!net_http2_gate_pass(&gate, span_make(bytes + i, 1), now_ns, ret_kind))
            return false;
    }
    for (uint32_t i = 0; i < length; i++) {
        if (!net_http2_gate_pass(&gate, SPAN_OF("x"), now_ns, ret_kind))
            return false;
    }
    return true;
}

/* How many frames of a kind pass at once, and how many more after ten seconds. */
static void expect_budget(int type, int flags, uint32_t length, enum net_http2_flood kind,
                          int burst, int later)
{
    enum net_http2_flood got = NET_HTTP2_FLOOD_COUNT;

    gate_start();
    for (int i = 0; i < burst; i++)
        assert_true(frame(type, flags, length, &got));
    assert_false(frame(type, flags, length, &got));
    assert_int_equal(got, kind);
    gate_start();
    for (int i = 0; i < burst; i++)
        assert_true(frame(type, flags, length, &got));
    now_ns += 10 * CLOCK_NS_PER_S;
    for (int i = 0; i < later; i++)
        assert_true(frame(type, flags, length, &got));
    assert_false(frame(type, flags, length, &got));
}

static void budgets_hold(void **state)
{
    expect_budget(3, 0, 4, NET_HTTP2_FLOOD_RESET, 100, 0); /* none was completed */
    expect_budget(4, 0, 0, NET_HTTP2_FLOOD_SETTINGS, 20, 10);
    expect_budget(4, 1, 0, NET_HTTP2_FLOOD_SETTINGS, 20, 10);
    expect_budget(6, 0, 8, NET_HTTP2_FLOOD_PING, 60, 20);
    expect_budget(6, 1, 8, NET_HTTP2_FLOOD_PRIORITY, 200, 200);
    expect_budget(2, 0, 5, NET_HTTP2_FLOOD_PRIORITY, 200, 200);
    expect_budget(7, 0, 8, NET_HTTP2_FLOOD_PRIORITY, 200, 200);
    expect_budget(0x10, 0, 8, NET_HTTP2_FLOOD_PRIORITY, 200, 200);
    expect_budget(0xfe, 0, 0, NET_HTTP2_FLOOD_PRIORITY, 200, 200);
    expect_budget(8, 0, 4, NET_HTTP2_FLOOD_WINDOW, 500, 500);
    expect_budget(0, 0, 0, NET_HTTP2_FLOOD_EMPTY, 20, 10);
    expect_budget(1, 4, 0, NET_HTTP2_FLOOD_EMPTY, 20, 10);
}

/* Bodies of any number of pieces, and streams that end with an empty one, are nobody's flood. */
static void work_is_free(void **state)
{
    enum net_http2_flood kind;

    gate_start();
    for (int i = 0; i < 5000; i++) {
        assert_true(frame(1, 4, 10, &kind));
        assert_true(frame(0, 0, 1, &kind));
        assert_true(frame(0, 1, 0, &kind));
    }
}

/* Who completes streams may reset others, and open windows for what it was sent. */
static void work_earns(void **state)
{
    enum net_http2_flood kind;

    gate_start();
    for (int i = 0; i < 5000; i++) {
        net_http2_gate_completed(&gate);
        net_http2_gate_data(&gate);
        assert_true(frame(8, 0, 4, &kind));
        assert_true(frame(8, 0, 4, &kind));
        assert_true(frame(2, 0, 5, &kind));
        if (i % 2 == 0)
            assert_true(frame(3, 0, 4, &kind));
        now_ns += 30 * CLOCK_NS_PER_MS;
    }
}

/* A client that stood still while the sockets were filled opens its windows for all of it at once,
 * but no more often than for what was sent, and for no more than sockets hold. */
static void windows_may_come_late(void **state)
{
    enum { SENT = 600, OWED_MAX = 8192 };
    enum net_http2_flood kind;

    for (int round = 0; round < 2; round++) {
        int sent = round == 0 ? SENT : 100 * OWED_MAX;
        int due = round == 0 ? SENT * 8 : OWED_MAX;

        gate_start();
        for (int i = 0; i < sent; i++)
            net_http2_gate_data(&gate);
        now_ns += 60 * CLOCK_NS_PER_S;
        for (int i = 0; i < due + 500; i++)
            assert_true(frame(8, 0, 4, &kind));
        assert_false(frame(8, 0, 4, &kind));
        assert_int_equal(kind, NET_HTTP2_FLOOD_WINDOW);
    }
}

/* However slowly: more streams reset than completed, and a hundred, are enough. */
static void proportion_counts(void **state)
{
    enum net_http2_flood kind = NET_HTTP2_FLOOD_COUNT;

    gate_start();
    for (int i = 0; i < 50; i++)
        net_http2_gate_completed(&gate);
    for (int i = 0; i < 150; i++) {
        assert_true(frame(3, 0, 4, &kind));
        now_ns += CLOCK_NS_PER_S;
    }
    assert_false(frame(3, 0, 4, &kind));
    assert_int_equal(kind, NET_HTTP2_FLOOD_RESET);
    gate_start();
    for (int i = 0; i < 100; i++) {
        assert_true(net_http2_gate_made(&gate, now_ns));
        now_ns += CLOCK_NS_PER_S;
    }
    assert_false(net_http2_gate_made(&gate, now_ns));
    gate_start();
    for (int i = 0; i < 50; i++)
        assert_true(net_http2_gate_made(&gate, now_ns));
    assert_false(net_http2_gate_made(&gate, now_ns));
}

/* A header block has an end, or the connection has. */
static void blocks_are_bounded(void **state)
{
    enum net_http2_flood kind = NET_HTTP2_FLOOD_COUNT;

    gate_start();
    assert_true(frame(1, 0, BLOCK_MAX - 8, &kind));
    assert_int_equal(gate.block_ns, now_ns);
    for (int i = 0; i < 8; i++)
        assert_true(frame(9, i == 7 ? 4 : 0, 1, &kind));
    assert_int_equal(gate.block_ns, 0);
    assert_true(frame(1, 0, 1, &kind)); /* by count */
    for (int i = 0; i < 8; i++)
        assert_true(frame(9, 0, 1, &kind));
    assert_false(frame(9, 4, 1, &kind));
    assert_int_equal(kind, NET_HTTP2_FLOOD_HEADERS);
    gate_start(); /* by bytes */
    assert_true(frame(1, 0, BLOCK_MAX, &kind));
    assert_false(frame(9, 4, 1, &kind));
    assert_int_equal(kind, NET_HTTP2_FLOOD_HEADERS);
    gate_start();
    assert_false(frame(1, 4, BLOCK_MAX + 1, &kind));
    gate_start(); /* and it is over with its last byte, not before */
    assert_true(net_http2_gate_pass(&gate, SPAN_OF("\0\0\2\1\4\0\0\0\1x"), now_ns, &kind));
    assert_int_equal(gate.block_ns, now_ns);
    assert_true(net_http2_gate_pass(&gate, SPAN_OF("x"), now_ns, &kind));
    assert_int_equal(gate.block_ns, 0);
}

/* --- heads ------------------------------------------------------------------------------------ */

static const struct net_http1_limits limits = {
    .head_bytes_max = 2000, .headers_max = 12, .target_bytes_max = 100};

/* Fields as "name|value" lines; and whether END_STREAM stood with them. */
struct list {
    const char *fields;
    bool more;
    enum net_http2_verdict verdict;
    enum err err;
};

#define M    ":method|GET\n"
#define POST ":method|POST\n"
#define S    ":scheme|https\n"
#define A    ":authority|a\n"
#define P    ":path|/x?y\n"
#define BAD  .verdict = NET_HTTP2_MALFORMED

static enum net_http2_verdict read_list(const struct list *list, struct net_http2_head *head,
                                        struct arena *arena)
{
    struct span rest = span_from(list->fields);
    struct span line;

    *head = (struct net_http2_head){0};
    while (span_cut(&rest, '\n', &line) && line.len > 0) {
        size_t bar = span_find(line, '|');
        const struct net_header field = {.name = span_slice(line, 0, bar),
                                         .value = span_slice(line, bar + 1, line.len)};
        enum net_http2_verdict verdict = net_http2_head_add(head, arena, &limits, true, field);

        if (verdict != NET_HTTP2_GOOD)
            return verdict;
    }
    return net_http2_head_end(head, arena, !list->more);
}

static const struct list lists[] = {
    {M S A P},
    {P A S M},
    {M S P "host|a\n"},
    {M S P},
    {M S A P "host|A\n"},
    {M S A P "te|trailers\n"},
    {M S A P "cookie|a=b\ncookie|c=d\n"},
    {M S A ":path|*\n"},
    {POST S A P "content-length|3\n", .more = true},
    {POST S A P, .more = true},
    {POST S A P "content-length|0\n"},
    {POST S A P "expect|100-continue\n", .more = true},
    {M S A P "x|a\tb\n"},
    {M S A P "x|\xc3\xa4\n"},
    {M S A P "x|\n"},
    {"frob: |GET\n" S A P, BAD},
    {S A P, BAD},
    {M A P, BAD},
    {M S A, BAD},
    {M M S A P, BAD},
    {M S S A P, BAD},
    {M S A A P, BAD},
    {M S A P P, BAD},
    {M S A P ":status|200\n", BAD},
    {M S A P ":protocol|websocket\n", BAD},
    {M S A P ":x|y\n", BAD},
    {M S A P ":|y\n", BAD},
    {M S A P "|y\n", BAD},
    {M S A "x|y\n" P, BAD},
    {M ":scheme|http\n" A P, BAD},
    {M ":scheme|\n" A P, BAD},
    {M ":scheme|ftp\n" A P, BAD},
    {":method|\n" S A P, BAD},
    {":method|G T\n" S A P, BAD},
    {M S ":authority|\n" P, BAD},
    {M S ":authority|a b\n" P, BAD},
    {M S A ":path|\n", BAD},
    {M S A ":path|x\n", BAD},
    {M S A ":path|https://a/x\n", BAD},
    {M S A ":path|/a b\n", BAD},
    {M S A ":path|/\x7f\n", BAD},
    {M S A ":path|/\xc3\xa4\n", BAD},
    {M S A ":path|**\n", BAD},
    {M S A P "host|b\n", BAD},
    {M S A P "Host|a\n", BAD},
    {M S A P "X-Y|a\n", BAD},
    {M S A P "a b|c\n", BAD},
    {M S A P "a:|c\n", BAD},
    {M S A P "x| a\n", BAD},
    {M S A P "x|a \n", BAD},
    {M S A P "x|\ta\n", BAD},
    {M S A P "x|a\rb\n", BAD},
    {M S A P "x|a\x01"
             "b\n",
     BAD},
    {M S A P "x|a\x7f\n", BAD},
    {M S A P "connection|close\n", BAD},
    {M S A P "connection|\n", BAD},
    {M S A P "keep-alive|1\n", BAD},
    {M S A P "proxy-connection|close\n", BAD},
    {M S A P "transfer-encoding|chunked\n", BAD},
    {M S A P "upgrade|h2c\n", BAD},
    {M S A P "te|gzip\n", BAD},
    {M S A P "te|trailers, gzip\n", BAD},
    {POST S A P "content-length|3\n", BAD}, /* and nothing follows */
    {POST S A P "content-length|x\n", .more = true, BAD},
    {POST S A P "content-length|+3\n", .more = true, BAD},
    {POST S A P "content-length|\n", .more = true, BAD},
    {POST S A P "content-length|99999999999999999999\n", .more = true, BAD},
    {POST S A P "content-length|9223372036854775808\n", .more = true, BAD},
    {POST S A P "content-length|3\ncontent-length|3\n", .more = true, BAD},
    {POST S A P "content-length|3\ncontent-length|4\n", .more = true, BAD},
    {":method|CONNECT\n:authority|a:1\n", .more = true, .err = ERR_METHOD_NOT_ALLOWED},
    {":method|CONNECT\n" S A P, .err = ERR_METHOD_NOT_ALLOWED},
    {POST S A P "expect|tea\n", .more = true, .err = ERR_EXPECTATION},
    {POST S A P "expect|100-continue\nexpect|100-continue\n", .more = true, .err = ERR_EXPECTATION},
    {M S A P "a|1\nb|2\nc|3\nd|4\ne|5\nf|6\ng|7\nh|8\ni|9\nj|0\nk|1\nl|2\n"},
    {M S A P "a|1\nb|2\nc|3\nd|4\ne|5\nf|6\ng|7\nh|8\ni|9\nj|0\nk|1\nl|2\nm|3\n",
     .err = ERR_HEADERS_TOO_LARGE},
    {M S A P "a|1\nb|2\nc|3\nd|4\ne|5\nf|6\ng|7\nh|8\ni|9\nj|0\nk|1\nl|2\nm|3\nupgrade|x\n", BAD},
};

static void heads_are_strict(void **state)
{
    for (size_t i = 0; i < PC_COUNT(lists); i++) {
        struct net_http2_head head;
        struct arena arena;
        enum net_http2_verdict verdict;

        arena_init(&arena, NULL, 0, 65536);
        verdict = read_list(&lists[i], &head, &arena);
        if (verdict != lists[i].verdict || (verdict == NET_HTTP2_GOOD && head.err != lists[i].err))
            fail_msg("%s\n got %d, %s", lists[i].fields, (int)verdict, err_slug(head.err));
        arena_reset(&arena);
    }
}

/* What an application sees is what HTTP/1.1 would have brought. */
static void heads_look_alike(void **state)
{
    const struct list list = {POST S ":authority|bank.example:8443\n" P
                                     "host|BANK.example:8443\nx-a|b\ncontent-length|3\n"
                                     "expect|100-continue\n",
                              .more = true};
    struct net_http2_head in;
    const struct net_head *head = &in.head;
    struct arena arena;

    arena_init(&arena, NULL, 0, 65536);
    assert_int_equal(read_list(&list, &in, &arena), NET_HTTP2_GOOD);
    assert_int_equal(head->method, NET_METHOD_POST);
    assert_true(span_is(head->method_text, "POST"));
    assert_true(span_is(head->target, "/x?y"));
    assert_int_equal(head->header_count, 4);
    assert_true(span_is(head->headers[0].name, "host"));
    assert_true(span_is(head->headers[0].value, "bank.example:8443"));
    assert_true(span_is(net_head_find(head, SPAN_OF("x-a"))->value, "b"));
    assert_int_equal(head->minor_version, 1);
    assert_true(head->has_body && head->expects_continue);
    assert_int_equal(head->content_length, 3);
    arena_reset(&arena);
}

/* Cookies may come in crumbs; behind net/ there is one line. */
static void cookies_are_joined(void **state)
{
    const struct list list = {M S A P "cookie|a=b\nx|y\ncookie|c=d\ncookie|e=f\nz|z\n"};
    struct net_http2_head in;
    struct arena arena;

    arena_init(&arena, NULL, 0, 65536);
    assert_int_equal(read_list(&list, &in, &arena), NET_HTTP2_GOOD);
    assert_int_equal(in.head.header_count, 4);
    assert_true(span_is(in.head.headers[1].name, "cookie"));
    assert_true(span_is(in.head.headers[1].value, "a=b; c=d; e=f"));
    assert_true(span_is(in.head.headers[2].name, "x"));
    assert_true(span_is(in.head.headers[3].name, "z"));
    arena_reset(&arena);
}

static struct net_header repeated(char *text, size_t bytes, const char *name)
{
    memset(text, 'a', bytes);
    text[0] = '/';
    return (struct net_header){.name = span_from(name), .value = span_make(text, bytes)};
}

/* Too long is answered; far too long is an attack. */
static void heads_are_bounded(void **state)
{
    static char text[4000];
    struct net_http2_head head = {0};
    struct arena arena;

    arena_init(&arena, NULL, 0, 65536);
    assert_int_equal(net_http2_head_add(&head, &arena, &limits, true, repeated(text, 100, ":path")),
                     NET_HTTP2_GOOD);
    assert_int_equal(head.err, ERR_OK);
    head = (struct net_http2_head){0};
    assert_int_equal(net_http2_head_add(&head, &arena, &limits, true, repeated(text, 101, ":path")),
                     NET_HTTP2_GOOD);
    assert_int_equal(head.err, ERR_URI_TOO_LONG);
    head = (struct net_http2_head){0};
    assert_int_equal(
        net_http2_head_add(&head, &arena, &limits, true, repeated(text, 2000 - 33, "x")),
        NET_HTTP2_GOOD);
    assert_int_equal(head.err, ERR_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            net_http2_head_add(&head, &arena, &limits, true, repeated(text, 2000 - 33, "x")),
            NET_HTTP2_GOOD);
        assert_int_equal(head.err, ERR_HEADERS_TOO_LARGE);
        assert_int_equal(head.head.header_count, 1);
    }
    assert_int_equal(net_http2_head_add(&head, &arena, &limits, true, repeated(text, 10, "x")),
                     NET_HTTP2_FLOODED);
    arena_reset(&arena);
}

/* Every byte at every place of a value, since values are looked at eight bytes at a time. */
static void every_byte_of_a_value_is_seen(void **state)
{
    for (unsigned c = 0; c < 256; c++) {
        for (size_t at = 1; at < 18; at++) {
            struct net_http2_head head = {.regular = false};
            struct arena arena;
            char text[19];
            bool good = (c >= 0x20 || c == '\t') && c != 0x7f;

            arena_init(&arena, NULL, 0, 65536);
            memset(text, c < 0x80 ? '~' : 0xff, sizeof(text));
            text[at] = (char)c;
            assert_int_equal(net_http2_head_add(&head, &arena, &limits, true,
                                                (struct net_header){.name = SPAN("x"),
                                                                    .value = {text, sizeof(text)}}),
                             good ? NET_HTTP2_GOOD : NET_HTTP2_MALFORMED);
            arena_reset(&arena);
        }
    }
}

/* Trailers are looked at with the same eyes, and dropped. */
static void trailers_are_dropped(void **state)
{
    struct net_http2_head head = {.in_trailers = true};
    struct arena arena;

    arena_init(&arena, NULL, 0, 65536);
    assert_int_equal(net_http2_head_add(&head, &arena, &limits, true,
                                        (struct net_header){.name = SPAN("x"), .value = SPAN("y")}),
                     NET_HTTP2_GOOD);
    assert_int_equal(head.head.header_count, 0);
    assert_int_equal(
        net_http2_head_add(&head, &arena, &limits, true,
                           (struct net_header){.name = SPAN(":path"), .value = SPAN("/")}),
        NET_HTTP2_MALFORMED);
    arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budgets_hold),         cmocka_unit_test(work_is_free),
        cmocka_unit_test(work_earns),           cmocka_unit_test(windows_may_come_late),
        cmocka_unit_test(proportion_counts),    cmocka_unit_test(blocks_are_bounded),
        cmocka_unit_test(heads_are_strict),     cmocka_unit_test(heads_look_alike),
        cmocka_unit_test(cookies_are_joined),   cmocka_unit_test(heads_are_bounded),
        cmocka_unit_test(trailers_are_dropped), cmocka_unit_test(every_byte_of_a_value_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
