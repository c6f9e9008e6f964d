/* SPDX-License-Identifier: MIT
 * Header blocks put more simply: nghttp2 reads the same in them as in those that came, also when
 * they were damaged on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include <nghttp2/nghttp2.h>

#include "base/sbuf.h"
#include "net/http2_plain.h"

enum { BLOCK_BYTES = 32 * 1024, FIELDS_MAX = 8, TEXT_BYTES = 300, ROUNDS = 20000 };

static uint64_t dice = 1;

static size_t roll(size_t sides)
{
    dice = dice * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(dice >> 33) % sides;
}

/* What is read, as text; false if the block is refused. */
static bool unpack(nghttp2_hd_inflater *inflater, struct span block, struct sbuf *out)
{
    int flags = 0;

    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv field;
        ssize_t used;

        flags = 0;
        used = nghttp2_hd_inflate_hd2(inflater, &field, &flags, (const uint8_t *)block.ptr,
                                      block.len, 1);
        if (used < 0)
            return false;
        block = span_slice(block, (size_t)used, block.len);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0)
            continue;
        sbuf_add(out, span_make(field.name, field.namelen));
        sbuf_add_char(out, (field.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0 ? '!' : '=');
        sbuf_add(out, span_make(field.value, field.valuelen));
        sbuf_add_char(out, '\n');
    }
    return nghttp2_hd_inflate_end_headers(inflater) == 0;
}

/* A block of chosen fields: `common` texts have no characters but those with short codes. */
static size_t pack(nghttp2_hd_deflater *deflater, bool common, uint8_t *block)
{
    static const char usual[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_.%/=:&*,; ";
    static uint8_t texts[2 * FIELDS_MAX][TEXT_BYTES];
    nghttp2_nv fields[FIELDS_MAX];
    size_t count = 1 + roll(FIELDS_MAX);
    ssize_t bytes;

    for (size_t i = 0; i < 2 * count; i++) {
        size_t len = 1 + roll(roll(3) == 0 ? TEXT_BYTES : 20);

        for (size_t at = 0; at < len; at++)
            texts[i][at] = common || roll(200) > 0 ? (uint8_t)usual[roll(sizeof(usual) - 1)]
                                                   : (uint8_t)roll(256);
        if (i % 2 == 0)
            fields[i / 2] = (nghttp2_nv){.name = texts[i], .namelen = len};
        else
            fields[i / 2].value = texts[i], fields[i / 2].valuelen = len;
    }
    for (size_t i = 0; i < count; i++)
        fields[i].flags = roll(3) == 0 ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
    bytes = nghttp2_hd_deflate_hd(deflater, block, BLOCK_BYTES, fields, count);
    assert_true(bytes > 0);
    return (size_t)bytes;
}

struct pair {
    struct net_http2_heard heard;
    nghttp2_hd_deflater *deflater;
    nghttp2_hd_inflater *as_it_came;
    nghttp2_hd_inflater *plainly;
};

static void pair_new(struct pair *pair)
{
    pair->heard = (struct net_http2_heard){0};
    assert_int_equal(nghttp2_hd_deflate_new(&pair->deflater, 4096), 0);
    assert_int_equal(nghttp2_hd_inflate_new(&pair->as_it_came), 0);
    assert_int_equal(nghttp2_hd_inflate_new(&pair->plainly), 0);
}

static void pair_free(struct pair *pair)
{
    net_http2_heard_free(&pair->heard);
    nghttp2_hd_deflate_del(pair->deflater);
    nghttp2_hd_inflate_del(pair->as_it_came);
    nghttp2_hd_inflate_del(pair->plainly);
}

/* Both ways must say the same. False if the block is refused. */
static bool compare(struct pair *pair, struct span block, size_t room, size_t *ret_plain)
{
    static char plain[BLOCK_BYTES];
    static char texts[2][4 * BLOCK_BYTES];
    struct sbuf came = sbuf_over(texts[0], sizeof(texts[0]));
    struct sbuf read = sbuf_over(texts[1], sizeof(texts[1]));
    bool good;

    *ret_plain = net_http2_plain(&pair->heard, block, plain, room);
    assert_true(*ret_plain <= room);
    good = unpack(pair->as_it_came, block, &came);
    assert_int_equal(
        good, unpack(pair->plainly, *ret_plain > 0 ? span_make(plain, *ret_plain) : block, &read));
    assert_true(span_equal(sbuf_span(&came), sbuf_span(&read)));
    return good;
}

static void says_the_same(void **state)
{
    static uint8_t block[BLOCK_BYTES];
    size_t changed = 0;
    struct pair pair;

    pair_new(&pair);
    for (int i = 0; i < ROUNDS; i++) {
        size_t bytes = pack(pair.deflater, roll(2) == 0, block);
        size_t plain;

        assert_true(compare(&pair, span_make(block, bytes),
                            roll(10) == 0 ? roll(2 * bytes) : BLOCK_BYTES, &plain));
        changed += plain > 0;
    }
    assert_true(changed > ROUNDS / 2);
    pair_free(&pair);
}

/* Each character that has a short code, alone and many times, at every length of padding. */
static void reads_each_character(void **state)
{
    static char plain[BLOCK_BYTES];
    uint8_t block[BLOCK_BYTES];
    uint8_t text[64];
    size_t known = 0;

    for (int c = 0; c < 256; c++) {
        nghttp2_nv field = {.name = (uint8_t *)(uintptr_t) "x", .namelen = 1, .value = text};
        struct net_http2_heard heard = {0};
        bool read = false;

        memset(text, 'a', sizeof(text)); /* so that the code is the shorter way to say it */
        text[40] = (uint8_t)c;
        for (field.valuelen = 41; field.valuelen <= sizeof(text); field.valuelen++) {
            nghttp2_hd_deflater *deflater;
            ssize_t bytes;
            size_t got;

            assert_int_equal(nghttp2_hd_deflate_new(&deflater, 0), 0);
            bytes = nghttp2_hd_deflate_hd(deflater, block, sizeof(block), &field, 1);
            nghttp2_hd_deflate_del(deflater);
            assert_true(bytes > 0);
            got = net_http2_plain(&heard, span_make(block, (size_t)bytes), plain, sizeof(plain));
            net_http2_heard_free(&heard);
            if (got == 0)
                continue;
            read = true;
            assert_true(got > field.valuelen &&
                        memcmp(plain + got - field.valuelen, text, field.valuelen) == 0);
        }
        known += read;
    }
    assert_int_equal(known, 74); /* codes of five to eight bits */
}

/* Whatever was done to a block, it is read as before, or refused as before. */
static void leaves_mistakes_alone(void **state)
{
    static uint8_t block[BLOCK_BYTES];
    size_t refused = 0;

    for (int i = 0; i < ROUNDS; i++) {
        struct pair pair;
        size_t bytes;
        size_t plain;

        pair_new(&pair);
        bytes = pack(pair.deflater, true, block);
        for (size_t flips = 1 + roll(3); flips > 0; flips--)
            block[roll(bytes)] ^= (uint8_t)(1U << roll(8));
        if (roll(3) == 0)
            bytes = roll(bytes);
        refused += !compare(&pair, span_make(block, bytes), BLOCK_BYTES, &plain);
        pair_free(&pair);
    }
    assert_true(refused > ROUNDS / 10);
}

/* Long strings that come again and again, one of a few that differ in their last letters only: what
 * is remembered is the right one, whatever came between. */
static void remembers_what_was_said(void **state)
{
    static uint8_t texts[5][700];
    uint8_t block[BLOCK_BYTES];
    struct pair pair;

    pair_new(&pair);
    for (size_t i = 0; i < PC_COUNT(texts); i++) {
        memset(texts[i], 'a', sizeof(texts[i]));
        texts[i][sizeof(texts[i]) - 1 - i / 2] = (uint8_t)("ceios"[i]);
    }
    for (int i = 0; i < 1000; i++) {
        nghttp2_nv fields[2];
        size_t plain;
        ssize_t bytes;

        for (size_t at = 0; at < PC_COUNT(fields); at++)
            fields[at] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t) "x",
                                      .namelen = 1,
                                      .value = texts[roll(PC_COUNT(texts))],
                                      .valuelen = sizeof(texts[0]) - roll(2),
                                      .flags = NGHTTP2_NV_FLAG_NO_INDEX};
        bytes = nghttp2_hd_deflate_hd(pair.deflater, block, sizeof(block), fields, 2);
        assert_true(bytes > 0);
        assert_true(compare(&pair, span_make(block, (size_t)bytes),
                            roll(5) == 0 ? roll(1500) : BLOCK_BYTES, &plain));
    }
    pair_free(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_the_same),
        cmocka_unit_test(reads_each_character),
        cmocka_unit_test(leaves_mistakes_alone),
        cmocka_unit_test(remembers_what_was_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
