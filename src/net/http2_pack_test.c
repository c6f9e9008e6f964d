/* SPDX-License-Identifier: MIT
 * Header blocks going out, read by nghttp2's unpacker: whatever was said before, whatever room the
 * client has, what it reads are the lines that were given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <nghttp2/nghttp2.h>

#include "net/http2_pack.h"

enum { BLOCK_BYTES = 64 * 1024, POOL_LINES = 60, ROUNDS = 3000 };

static struct net_http2_pack pack;
static nghttp2_hd_inflater *inflater;
static char block[BLOCK_BYTES];
static char said[BLOCK_BYTES];  /* what the client read: "name: value\n" */
static char given[BLOCK_BYTES]; /* what it should have read */
static int secrets;             /* fields that must not be kept by anybody */

static void start(void)
{
    net_http2_pack_init(&pack);
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
}

static void stop(void)
{
    nghttp2_hd_inflate_del(inflater);
}

static void unpack(struct span bytes)
{
    struct sbuf out = sbuf_over(said, sizeof(said));
    int flags = 0;

    secrets = 0;
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv field;
        ssize_t used;

        flags = 0;
        used = nghttp2_hd_inflate_hd2(inflater, &field, &flags, (const uint8_t *)bytes.ptr,
                                      bytes.len, 1);
        assert_true(used >= 0);
        bytes = span_slice(bytes, (size_t)used, bytes.len);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0)
            continue;
        secrets += (field.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0;
        sbuf_add(&out, span_make(field.name, field.namelen));
        sbuf_add_lit(&out, ": ");
        sbuf_add(&out, span_make(field.value, field.valuelen));
        sbuf_add_char(&out, '\n');
    }
    assert_int_equal(nghttp2_hd_inflate_end_headers(inflater), 0);
    assert_false(out.full);
    said[out.len] = '\0';
}

/* The bytes of an answer's block; `said` is what the client makes of it. */
static size_t answer(int status, const char *lines)
{
    struct sbuf out = sbuf_over(block, sizeof(block));

    net_http2_pack_begin(&pack, &out);
    net_http2_pack_status(&out, status);
    net_http2_pack_lines(&pack, &out, span_from(lines));
    assert_false(out.full);
    unpack(sbuf_span(&out));
    return out.len;
}

static void says_what_was_given(void **state)
{
    start();
    answer(200, "Content-Type: text/plain\r\nX-Empty:\r\nX-Wide: \t a b \t\r\n\r\nnot: this\r\n");
    assert_string_equal(said, ":status: 200\ncontent-type: text/plain\nx-empty: \nx-wide: a b\n");
    answer(599, "x-request-id:\r\nX-REQUEST-ID: 2\r\nRetry-After: 3\r\n");
    assert_string_equal(said, ":status: 599\nx-request-id: \nx-request-id: 2\nretry-after: 3\n");
    for (int status = 200; status < 600; status++) {
        char line[32];

        (void)snprintf(line, sizeof(line), ":status: %d\n", status);
        answer(status, "");
        assert_string_equal(said, line);
    }
    stop();
}

/* What is always the same costs a byte, and what is always new drives nothing out of the table. */
static void says_lines_once(void **state)
{
    char lines[512];

    start();
    for (int i = 0; i < 1000; i++) {
        size_t bytes;

        (void)snprintf(lines, sizeof(lines),
                       "Server: x\r\nX-Frame-Options: DENY\r\nX-Request-ID: %08d\r\n"
                       "X-RateLimit-Remaining: %08d\r\nRateLimit: \"default\";r=%08d\r\n"
                       "Location: /%08d\r\nVary: Origin\r\n",
                       i, i, i, i);
        bytes = answer(200, lines);
        if (i > 0) /* :status, three lines, three new values with a name's index, one long index */
            assert_int_equal(bytes, 1 + 3 + 3 * (3 + 8) + 12 + 3 + 9);
    }
    stop();
}

/* The lines of an answer may change their order, and a line its value. */
static void finds_lines_in_any_order(void **state)
{
    start();
    answer(200, "A: 1\r\nB: 2\r\nC: 3\r\n");
    assert_int_equal(answer(200, "C: 3\r\nA: 1\r\nB: 2\r\n"), 4);
    assert_string_equal(said, ":status: 200\nc: 3\na: 1\nb: 2\n");
    answer(200, "A: 1\r\nB: 4\r\nC: 3\r\n");
    assert_string_equal(said, ":status: 200\na: 1\nb: 4\nc: 3\n");
    assert_int_equal(answer(200, "A: 1\r\nB: 4\r\nC: 3\r\n"), 4);
    stop();
}

static void keeps_no_secret(void **state)
{
    start();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(answer(200, "Set-Cookie: session=secret\r\nETag: \"1\"\r\n"), 1 + 17 + 6);
        assert_int_equal(secrets, 2);
    }
    stop();
}

/* A client that takes its table away, and gives it back between two answers. */
static void follows_the_client(void **state)
{
    start();
    answer(200, "A: 1\r\nB: 2\r\n");
    net_http2_pack_resize(&pack, 65536); /* more than we use: nothing to say */
    assert_int_equal(nghttp2_hd_inflate_change_table_size(inflater, 65536), 0);
    assert_int_equal(answer(200, "A: 1\r\nB: 2\r\n"), 3);
    net_http2_pack_resize(&pack, 0);
    assert_int_equal(nghttp2_hd_inflate_change_table_size(inflater, 0), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(answer(200, "A: 1\r\nB: 2\r\n") > 8);
        assert_string_equal(said, ":status: 200\na: 1\nb: 2\n");
    }
    net_http2_pack_resize(&pack, 100);
    net_http2_pack_resize(&pack, 4096);
    assert_int_equal(nghttp2_hd_inflate_change_table_size(inflater, 100), 0);
    assert_int_equal(nghttp2_hd_inflate_change_table_size(inflater, 4096), 0);
    answer(200, "A: 1\r\nB: 2\r\n");
    assert_string_equal(said, ":status: 200\na: 1\nb: 2\n");
    assert_int_equal(answer(200, "A: 1\r\nB: 2\r\n"), 3);
    stop();
}

/* --- by chance -------------------------------------------------------------------------------- */

static uint64_t dice = 1;

static size_t roll(size_t sides)
{
    dice = dice * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(dice >> 33) % sides;
}

/* Whoever forgot what he said makes the client forget it, too. */
static void begins_anew(void **state)
{
    size_t fresh;

    (void)state;
    start();
    fresh = answer(200, "Server: portcullis\r\nX-One: 1\r\n\r\n");
    assert_true(answer(200, "Server: portcullis\r\nX-One: 1\r\n\r\n") < fresh);
    for (int i = 0; i < 2; i++) {
        net_http2_pack_init(&pack);
        net_http2_pack_renew(&pack);
        assert_in_range(answer(200, "X-Two: 2\r\nX-One: 1\r\n\r\n"), fresh / 2, fresh + 4);
        assert_int_equal(block[0], 0x20);
        assert_string_equal(said, ":status: 200\nx-two: 2\nx-one: 1\n");
        (void)answer(200, "X-One: 1\r\nX-Two: 2\r\n\r\n");
        assert_string_equal(said, ":status: 200\nx-one: 1\nx-two: 2\n");
    }
    stop();
}

static void add_some_line(struct sbuf *lines, struct sbuf *wanted)
{
    static const char *const known[] = {"Date", "x-request-id", "Set-Cookie", "X-RateLimit-Reset",
                                        "Vary", "Location"};
    size_t which = roll(POOL_LINES);
    size_t bytes = which % 7 == 0 ? which * 40 : which;
    char name[32];

    if (which < PC_COUNT(known))
        (void)snprintf(name, sizeof(name), "%s", known[which]);
    else
        (void)snprintf(name, sizeof(name), "X-Line-%zu", which);
    sbuf_add_text(lines, name);
    sbuf_add_lit(lines, ": ");
    for (char *c = name; *c != '\0'; c++)
        *c = span_lower_char(*c);
    sbuf_add_text(wanted, name);
    sbuf_add_lit(wanted, ": v");
    sbuf_add_char(lines, 'v');
    for (size_t i = 0; i < bytes; i++) {
        char c = (char)('a' + (which + i + (roll(50) == 0)) % 26);

        sbuf_add_char(lines, c);
        sbuf_add_char(wanted, c);
    }
    sbuf_add_lit(lines, "\r\n");
    sbuf_add_char(wanted, '\n');
}

static void is_read_whatever_comes(void **state)
{
    static char text[BLOCK_BYTES];
    uint32_t room = NET_HTTP2_PACK_PEER_BYTES;

    start();
    for (int i = 0; i < ROUNDS; i++) {
        struct sbuf lines = sbuf_over(text, sizeof(text) - 1);
        struct sbuf wanted = sbuf_over(given, sizeof(given) - 1);
        size_t count = roll(12);

        sbuf_add_lit(&wanted, ":status: 404\n");
        while (count-- > 0)
            add_some_line(&lines, &wanted);
        text[lines.len] = given[wanted.len] = '\0';
        if (roll(40) == 0) { /* forgotten, while the client changes its mind or not */
            net_http2_pack_init(&pack);
            net_http2_pack_resize(&pack, room);
            net_http2_pack_renew(&pack);
        }
        while (roll(40) == 0) {
            room = (uint32_t)roll(6000);
            net_http2_pack_resize(&pack, room);
            assert_int_equal(nghttp2_hd_inflate_change_table_size(inflater, room), 0);
        }
        answer(404, text);
        assert_string_equal(said, given);
        assert_true(pack.bytes <= pack.bytes_max && pack.end <= sizeof(pack.text));
    }
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_was_given),      cmocka_unit_test(says_lines_once),
        cmocka_unit_test(finds_lines_in_any_order), cmocka_unit_test(keeps_no_secret),
        cmocka_unit_test(follows_the_client),       cmocka_unit_test(begins_anew),
        cmocka_unit_test(is_read_whatever_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
