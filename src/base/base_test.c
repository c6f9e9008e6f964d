/* SPDX-License-Identifier: MIT
 * The ground floor's own tests: text, memory, time, randomness and the queue at their edges. */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/queue.h"
#include "base/random.h"
#include "base/reason.h"
#include "base/sbuf.h"

static void err_table_is_whole(void **state)
{
    (void)state;
    for (enum err err = ERR_OK; err < ERR_COUNT; err++) {
        assert_true(strlen(err_name(err)) > 4);
        assert_true(strlen(err_slug(err)) > 1);
        assert_true(strlen(err_sentence(err)) > 4);
        assert_in_range(err_status(err), 200, 599);
    }
    assert_int_equal(err_status(ERR_VALIDATION), 422);
}

/* What is told has its remedy; no two errors, and no two reasons of one place, share a code. */
static void reasons_are_whole(void **state)
{
    char text[64 * 1024];
    struct sbuf page = sbuf_over(text, sizeof(text));
    struct span rest;

    (void)state;
    for (enum err a = ERR_OK; a < ERR_COUNT; a++) {
        assert_int_equal(err_is_told(a), err_remedy(a) != NULL);
        if (err_is_told(a))
            assert_in_range(err_status(a), 400, 599);
        for (enum err b = ERR_OK; b < a; b++)
            assert_string_not_equal(err_slug(a), err_slug(b));
    }
    reason_page_write(&page);
    assert_int_equal(sbuf_finish(&page, &rest), ERR_OK);
    for (enum err err = ERR_OK; err < ERR_COUNT; err++) {
        char row[64];

        (void)snprintf(row, sizeof(row), "\n| `%s` | %d |", err_slug(err), err_status(err));
        assert_int_equal(memmem(text, rest.len, row, strlen(row)) != NULL, err_is_told(err));
    }
    for (enum reason reason = 0; reason < REASON_COUNT; reason++) {
        char row[64];

        (void)snprintf(row, sizeof(row), "\n| `%s` | ", reason_code(reason));
        assert_non_null(memmem(text, rest.len, row, strlen(row)));
    }
}

static void span_cuts_and_trims(void **state)
{
    struct span rest = SPAN("a,,b");
    struct span part;

    (void)state;
    assert_true(span_cut(&rest, ',', &part) && span_is(part, "a"));
    assert_true(span_cut(&rest, ',', &part) && part.len == 0);
    assert_true(span_cut(&rest, ',', &part) && span_is(part, "b"));
    assert_false(span_cut(&rest, ',', &part));
    assert_true(span_is(span_trim(SPAN_OF(" \t x y \t")), "x y"));
    assert_int_equal(span_trim(SPAN_OF("  ")).len, 0);
    assert_true(span_equal_nocase(SPAN_OF("HoSt"), SPAN_OF("hOsT")));
    assert_false(span_equal_nocase(SPAN_OF("@"), SPAN_OF("`")));
}

static void span_numbers_refuse_the_edges(void **state)
{
    uint64_t u = 7;
    int64_t i = 7;

    (void)state;
    assert_true(span_to_u64(SPAN_OF("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    assert_false(span_to_u64(SPAN_OF("18446744073709551616"), &u));
    assert_false(span_to_u64(SPAN_OF(""), &u));
    assert_false(span_to_u64(SPAN_OF("+1"), &u));
    assert_false(span_to_u64(SPAN_OF("1 "), &u));
    assert_true(span_to_i64(SPAN_OF("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_false(span_to_i64(SPAN_OF("9223372036854775808"), &i));
    assert_false(span_to_i64(SPAN_OF("--1"), &i));
}

static void span_utf8_follows_rfc3629(void **state)
{
    static const char *const bad[] = {"\x80",
                                      "\xC0\x80",
                                      "\xC3",
                                      "\xE0\x80\x80",
                                      "\xED\xA0\x80",
                                      "\xF0\x80\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xE2\x82"};

    (void)state;
    assert_true(span_is_utf8(SPAN_OF("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80")));
    assert_int_equal(span_utf8_length(SPAN_OF("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80")), 4);
    for (size_t i = 0; i < PC_COUNT(bad); i++)
        assert_false(span_is_utf8(span_from(bad[i])));
}

/* Wherever it stands among the eight bytes that are looked at together. */
static void span_utf8_finds_one_bad_byte(void **state)
{
    char text[40];

    (void)state;
    for (size_t len = 1; len <= sizeof(text); len++) {
        for (size_t at = 0; at < len; at++) {
            memset(text, 'a', sizeof(text));
            assert_true(span_is_utf8(span_make(text, len)));
            text[at] = '\xFF';
            assert_false(span_is_utf8(span_make(text, len)));
            memcpy(text + at, "\xC3\xA9", at + 1 < len ? 2 : 1);
            assert_int_equal(span_is_utf8(span_make(text, len)), at + 1 < len);
        }
    }
}

static void span_distance_counts_swaps_once(void **state)
{
    (void)state;
    assert_int_equal(span_distance(SPAN_OF("upstrems"), SPAN_OF("upstreams")), 1);
    assert_int_equal(span_distance(SPAN_OF("prot"), SPAN_OF("port")), 1);
    assert_int_equal(span_distance(SPAN_OF(""), SPAN_OF("abc")), 3);
    assert_int_equal(span_distance(SPAN_OF("abc"), SPAN_OF("abc")), 0);
}

static void span_secret_comparison_is_exact(void **state)
{
    (void)state;
    assert_true(span_equal_secret(SPAN_OF("abc"), SPAN_OF("abc")));
    assert_false(span_equal_secret(SPAN_OF("abc"), SPAN_OF("abd")));
    assert_false(span_equal_secret(SPAN_OF("abc"), SPAN_OF("abcabc")));
    assert_false(span_equal_secret(SPAN_OF("abc"), (struct span){0}));
    assert_true(span_equal_secret((struct span){0}, (struct span){0}));
}

static void arena_stops_at_its_cap(void **state)
{
    char first[64];
    struct arena arena;
    const char *text;

    (void)state;
    arena_init(&arena, first, sizeof(first), 8192);
    text = arena_string(&arena, SPAN_OF("kept"));
    assert_ptr_equal(text, first);
    assert_non_null(arena_alloc(&arena, 4000));
    assert_false(arena.overflowed);
    assert_null(arena_alloc(&arena, 8000));
    assert_true(arena.overflowed);
    assert_string_equal(text, "kept");
    arena_reset(&arena);
    assert_false(arena.overflowed);
    assert_non_null(arena_alloc(&arena, 8000));
    assert_null(arena_array(&arena, SIZE_MAX / 2, 4));
    arena_reset(&arena);
}

/* What was taken is wiped, in the first buffer too when chunks came behind it; nothing else is. */
static void arena_leaves_nothing_behind(void **state)
{
    char first[64];
    struct arena arena;
    char *secret;

    (void)state;
    memset(first, 'x', sizeof(first));
    arena_init(&arena, first, sizeof(first), 65536);
    secret = arena_bytes(&arena, 40);
    assert_ptr_equal(secret, first);
    memset(secret, 's', 40);
    assert_non_null(arena_bytes(&arena, 30)); /* does not fit behind it */
    assert_non_null(arena_bytes(&arena, 10000));
    arena_reset(&arena);
    for (size_t i = 0; i < sizeof(first); i++)
        assert_int_equal(first[i], i < 40 ? 0 : 'x');
    secret = arena_bytes(&arena, 8);
    memset(secret, 's', 8);
    arena_reset(&arena);
    assert_int_equal(first[7], 0);
}

/* A use after the first takes no memory from the heap, up to the same cap, and what was left is
 * wiped when that is asked for. */
static void arena_is_rewound(void **state)
{
    char first[64];
    struct arena arena;
    char *chunks[2] = {NULL, NULL};

    (void)state;
    arena_init(&arena, first, sizeof(first), 16384);
    for (int i = 0; i < 3; i++) {
        char *secret = arena_bytes(&arena, 50);
        char *taken[2] = {arena_bytes(&arena, 3000), arena_bytes(&arena, 6000)};

        assert_ptr_equal(secret, first);
        memset(secret, 's', 50);
        assert_non_null(taken[0]);
        assert_non_null(taken[1]);
        if (i > 0)
            assert_memory_equal(taken, chunks, sizeof(chunks));
        memcpy(chunks, taken, sizeof(chunks));
        assert_null(arena_bytes(&arena, 10000)); /* over the cap */
        arena_rewind(&arena);
        assert_false(arena.overflowed);
        assert_int_equal(first[49], 's');
    }
    arena_wipe(&arena);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(first[i], 0);
    alloc_fail_at(1);
    assert_null(arena_bytes(&arena, 3000)); /* the chunks were given back */
    arena_reset(&arena);
}

static void arena_survives_a_failing_heap(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0, 65536);
    alloc_fail_at(1);
    assert_null(arena_alloc(&arena, 10));
    assert_false(alloc_fail_pending());
    assert_true(arena.overflowed);
    arena_reset(&arena);
    assert_true(((uintptr_t)arena_alloc(&arena, 3) & 15) == 0);
    assert_true(((uintptr_t)arena_alloc(&arena, 3) & 15) == 0);
    arena_reset(&arena);
}

static void sbuf_drops_whole_what_does_not_fit(void **state)
{
    char small[8];
    struct sbuf out = sbuf_over(small, sizeof(small));
    struct span text = {0};

    (void)state;
    sbuf_add_lit(&out, "12345");
    sbuf_add_lit(&out, "6789");
    sbuf_add_lit(&out, "x");
    assert_int_equal(out.len, 5);
    assert_int_equal(sbuf_finish(&out, &text), ERR_NO_SPACE);
    assert_null(text.ptr);
    sbuf_truncate(&out, 2);
    sbuf_add_u64(&out, 345);
    assert_int_equal(sbuf_finish(&out, &text), ERR_OK);
    assert_true(span_is(text, "12345"));
}

static void sbuf_grows_to_its_bound(void **state)
{
    struct arena arena;
    struct sbuf out;

    (void)state;
    arena_init(&arena, NULL, 0, 65536);
    out = sbuf_on(&arena, 1000);
    for (int i = 0; i < 200; i++)
        sbuf_add_lit(&out, "12345");
    assert_false(out.full);
    assert_int_equal(out.len, 1000);
    sbuf_add_char(&out, 'x');
    assert_true(out.full);
    arena_reset(&arena);
}

static void sbuf_prints_numbers_and_formats(void **state)
{
    char text[128];
    struct sbuf out = sbuf_over(text, sizeof(text));

    (void)state;
    sbuf_add_i64(&out, INT64_MIN);
    sbuf_add_char(&out, ' ');
    sbuf_add_u64(&out, 0);
    sbuf_add_format(&out, " %s-%03d ", "a", 7);
    sbuf_add_hex(&out, "\xAB\x01", 2);
    assert_true(span_is(sbuf_span(&out), "-9223372036854775808 0 a-007 ab01"));
}

/* Beside printf: every length of number, and both ends of each. */
static void sbuf_prints_each_length(void **state)
{
    uint64_t power = 1;
    char text[32];
    char wanted[32];

    (void)state;
    for (int digits = 1; digits <= 20; digits++) {
        const uint64_t values[] = {power - 1, power, power + 9, power * 7 / 3, UINT64_MAX - power};

        for (size_t i = 0; i < PC_COUNT(values); i++) {
            struct sbuf out = sbuf_over(text, sizeof(text));

            sbuf_add_u64(&out, values[i]);
            (void)snprintf(wanted, sizeof(wanted), "%" PRIu64, values[i]);
            assert_true(span_is(sbuf_span(&out), wanted));
        }
        power *= 10;
    }
}

/* Eight bytes are looked at in one go: each byte at each place must still be seen. */
static void sbuf_json_sees_every_byte(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 0x80; c++) {
        bool plain = c >= 0x20 && c != '"' && c != '\\' && c != 0x7F;

        for (size_t at = 0; at < 20; at++) {
            char text[20], room[64];
            struct sbuf out = sbuf_over(room, sizeof(room));

            memset(text, 'a', sizeof(text));
            text[at] = (char)c;
            sbuf_add_json(&out, span_make(text, sizeof(text)));
            assert_true(plain == (out.len == sizeof(text) + 2));
            assert_true(plain == (room[at + 1] == text[at] && room[at + 1] != '\\'));
        }
    }
}

static void sbuf_json_is_always_valid(void **state)
{
    char text[128];
    struct sbuf out = sbuf_over(text, sizeof(text));

    (void)state;
    sbuf_add_json(&out, span_make("a\"\\\n\x01\x7F\0\xC3\xA9\xFF\xE2\x82", 12));
    assert_true(span_is(sbuf_span(&out),
                        "\"a\\\"\\\\\\n\\u0001\\u007f\\u0000\xC3\xA9\\ufffd\\ufffd\\ufffd\""));
}

static void clock_prints_known_dates(void **state)
{
    char text[128];
    struct sbuf out = sbuf_over(text, sizeof(text));
    int64_t back;

    (void)state;
    clock_add_rfc3339(&out, 951782400 * CLOCK_NS_PER_S + 123456789, 3);
    sbuf_add_char(&out, ' ');
    clock_add_http_date(&out, 784111777 * CLOCK_NS_PER_S);
    assert_true(span_is(sbuf_span(&out), "2000-02-29T00:00:00.123Z Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_int_equal(clock_from_rfc3339(SPAN_OF("2000-02-29T01:00:00.5+01:00"), &back), ERR_OK);
    assert_true(back == 951782400 * CLOCK_NS_PER_S + CLOCK_NS_PER_S / 2);
    assert_int_equal(clock_from_rfc3339(SPAN_OF("2001-02-29T01:00:00Z"), &back), ERR_VALIDATION);
    assert_int_equal(clock_from_rfc3339(SPAN_OF("2001-02-28T01:00:00"), &back), ERR_VALIDATION);
    assert_int_equal(clock_from_rfc3339(SPAN_OF("2001-02-28T01:00:00.Z"), &back), ERR_VALIDATION);
}

static void clock_round_trips_every_day(void **state)
{
    (void)state;
    for (int64_t day = -100000; day < 100000; day += 37) {
        char text[64];
        struct sbuf out = sbuf_over(text, sizeof(text));
        int64_t back = 0;

        clock_add_rfc3339(&out, day * 86400 * CLOCK_NS_PER_S + 5, 9);
        assert_int_equal(clock_from_rfc3339(sbuf_span(&out), &back), ERR_OK);
        assert_true(back == day * 86400 * CLOCK_NS_PER_S + 5);
    }
}

static void clock_fake_stands_still(void **state)
{
    struct clock_fake fake;
    int64_t before;

    (void)state;
    clock_fake_init(&fake, 1000);
    before = clock_monotonic_ns(&fake.clock);
    assert_true(clock_monotonic_ns(&fake.clock) == before);
    clock_fake_move(&fake, 5);
    assert_true(clock_monotonic_ns(&fake.clock) == before + 5);
    assert_true(clock_realtime_ns(&fake.clock) == 1005);
    assert_true(clock_monotonic_ns(&clock_system) > 0);
}

static void random_uuid_has_its_form(void **state)
{
    struct random_seeded seeded;
    struct random_batch batch;
    char a[RANDOM_UUID_BYTES];
    char b[RANDOM_UUID_BYTES];

    (void)state;
    random_batch_init(&batch, &random_system);
    for (int i = 0; i < 100; i++) {
        random_batch_uuid(&batch, a);
        assert_int_equal(a[14], '4');
        assert_non_null(strchr("89ab", a[19]));
        assert_true(a[8] == '-' && a[13] == '-' && a[18] == '-' && a[23] == '-');
    }
    random_seeded_init(&seeded, 1);
    random_uuid(&seeded.source, a);
    random_seeded_init(&seeded, 1);
    random_uuid(&seeded.source, b);
    assert_memory_equal(a, b, sizeof(a));
    random_batch_uuid(&batch, b);
    assert_memory_not_equal(a, b, sizeof(a));
}

enum { BURST_BLOCKS = 128, BURST_BYTES = 4000 };

static void burst(void)
{
    void *blocks[BURST_BLOCKS];

    for (size_t i = 0; i < BURST_BLOCKS; i++) {
        blocks[i] = alloc_raw(BURST_BYTES);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, BURST_BYTES);
    }
    for (size_t i = BURST_BLOCKS; i-- > 0;)
        alloc_free(blocks[i]);
}

static void *count_faults(void *context)
{
    struct rusage before;
    struct rusage after;

    burst();
    PC_ASSERT(getrusage(RUSAGE_THREAD, &before) == 0);
    for (int i = 0; i < 10; i++)
        burst();
    PC_ASSERT(getrusage(RUSAGE_THREAD, &after) == 0);
    *(long *)context = after.ru_minflt - before.ru_minflt;
    return NULL;
}

/* On a heap of its own, as a loop has it: half a megabyte that comes and goes is mapped once. */
static void heap_keeps_what_bursts_need(void **state)
{
    pthread_t thread;
    long faults = 0;

    (void)state;
    if (PC_HAS_ASAN)
        skip(); /* another heap */
    alloc_settle();
    assert_int_equal(pthread_create(&thread, NULL, count_faults, &faults), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(faults < BURST_BLOCKS); /* 1200 if each burst maps its pages anew */
}

/* Pages in memory, of those that lie wholly within. */
static int resident(char *block, size_t bytes, size_t page)
{
    unsigned char states[8] = {0};
    char *begin = block + (page - (uintptr_t)block % page) % page;
    size_t count = (size_t)(block + bytes - begin) / page;
    int all = 0;

    assert_in_range(count, 1, sizeof(states));
    assert_int_equal(mincore(begin, count * page, states), 0);
    for (size_t i = 0; i < count; i++)
        all += states[i] & 1;
    return all;
}

/* What is around it stays as it is, and its place may be written again, in locked memory, too. */
static void what_rests_leaves_its_pages(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = 4 * page + 10;

    (void)state;
    for (int locked = 0; locked <= 1; locked++) {
        char *block = alloc_raw(bytes + 2);

        assert_non_null(block);
        memset(block, 'x', bytes + 2);
        if (locked && mlock(block, bytes + 2) != 0) {
            alloc_free(block);
            break; /* not allowed to */
        }
        assert_in_range(resident(block + 1, bytes, page), 3, 4);
        alloc_rest(block + 1, bytes);
        assert_int_equal(resident(block + 1, bytes, page), 0);
        assert_int_equal(block[0], 'x');
        assert_int_equal(block[bytes + 1], 'x');
        memset(block, 'y', bytes + 2);
        assert_in_range(resident(block + 1, bytes, page), 3, 4);
        alloc_rest(block, 1); /* no whole page */
        assert_int_equal(block[0], 'y');
        if (locked)
            assert_int_equal(munlock(block, bytes + 2), 0);
        alloc_free(block);
    }
}

static void hash_matches_the_paper(void **state)
{
    unsigned char bytes[16];
    struct hash_key key;

    (void)state;
    for (unsigned char i = 0; i < 16; i++)
        bytes[i] = i;
    memcpy(&key, bytes, sizeof(key));
    /* Appendix A of the paper: key 00..0f, message 00..0e. */
    assert_true(hash_bytes(&key, bytes, 15) == UINT64_C(0xa129ca6149be45e5));
}

/* As `openssl mac -macopt hexkey:000102030405060708090a0b0c0d0e0f -macopt size:16 SIPHASH` has it,
 * of nothing and of 00..0e. */
static void mark_is_siphash_of_128_bits(void **state)
{
    static const unsigned char of_nothing[] = {0xA3, 0x81, 0x7F, 0x04, 0xBA, 0x25, 0xA8, 0xE6,
                                               0x6D, 0xF6, 0x72, 0x14, 0xC7, 0x55, 0x02, 0x93};
    static const unsigned char of_fifteen[] = {0x54, 0x93, 0xE9, 0x99, 0x33, 0xB0, 0xA8, 0x11,
                                               0x7E, 0x08, 0xEC, 0x0F, 0x97, 0xCF, 0xC3, 0xD9};
    unsigned char bytes[16];
    struct hash_key key;
    struct hash_mark mark;

    (void)state;
    for (unsigned char i = 0; i < 16; i++)
        bytes[i] = i;
    memcpy(&key, bytes, sizeof(key));
    mark = hash_mark(&key, (struct span){0});
    assert_memory_equal(&mark, of_nothing, sizeof(mark));
    mark = hash_mark(&key, span_make((const char *)bytes, 15));
    assert_memory_equal(&mark, of_fifteen, sizeof(mark));
}

/* The definition, with words that are multiplied by hand: SipHash of both sums and the length. */
static void times(uint64_t a, uint64_t b, uint64_t sum[2])
{
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t middle = (a0 * b0 >> 32) + (uint32_t)(a0 * b1) + (uint32_t)(a1 * b0);
    uint64_t low = a * b;

    sum[0] += low;
    sum[1] += a1 * b1 + (a0 * b1 >> 32) + (a1 * b0 >> 32) + (middle >> 32) + (sum[0] < low);
}

static struct hash_mark nh_by_hand(const struct hash_nh_key *key, struct span s)
{
    uint64_t padded[HASH_NH_BYTES / 8 + 2] = {0};
    uint64_t sums[6] = {[4] = s.len};

    memcpy(padded, s.ptr, s.len);
    for (size_t i = 0; i < (s.len + 15) / 16 * 2; i += 2) {
        times(padded[i] + key->words[i], padded[i + 1] + key->words[i + 1], sums);
        times(padded[i] + key->words[i + 2], padded[i + 1] + key->words[i + 3], sums + 2);
    }
    return hash_mark(&key->sip, span_make((const char *)sums, sizeof(sums)));
}

static void nh_is_as_its_paper_says(void **state)
{
    static char text[HASH_NH_BYTES + 1];
    static struct hash_nh_key key;

    (void)state;
    hash_nh_key_fill(&random_system, &key);
    random_fill(&random_system, text, sizeof(text));
    for (size_t len = 0; len <= HASH_NH_BYTES; len += len < 70 ? 1 : 23) {
        struct span s = span_make(text, len);

        assert_true(hash_mark_equal(hash_nh_mark(&key, s), nh_by_hand(&key, s)));
    }
    assert_true(hash_mark_equal(hash_nh_mark(&key, span_make(text, sizeof(text))),
                                hash_mark(&key.sip, span_make(text, sizeof(text)))));
}

typedef struct hash_mark mark_fn(const void *key, struct span s);

/* Whatever byte of a text is another, so are both halves of its mark; and so are they by another
 * key, and of a text that has a byte less or a zero more. */
static void tells_apart(mark_fn *mark_of, const void *key, const void *other, size_t len)
{
    static char text[HASH_NH_BYTES + 2];
    struct span whole = span_make(text, len);
    struct hash_mark mark;

    memset(text, 'x', sizeof(text));
    text[len] = '\0';
    mark = mark_of(key, whole);
    assert_true(hash_mark_equal(mark, mark_of(key, whole)));
    assert_false(hash_mark_equal(mark, mark_of(other, whole)));
    assert_false(hash_mark_equal(mark, mark_of(key, span_make(text, len - 1))));
    assert_false(hash_mark_equal(mark, mark_of(key, span_make(text, len + 1))));
    for (size_t i = 0; i < len; i++) {
        struct hash_mark changed;

        text[i] ^= 1;
        changed = mark_of(key, whole);
        text[i] ^= 1;
        assert_true(changed.low != mark.low && changed.high != mark.high);
        assert_false(
            hash_mark_equal((struct hash_mark){.low = mark.low, .high = changed.high}, mark));
        assert_false(
            hash_mark_equal((struct hash_mark){.low = changed.low, .high = mark.high}, mark));
    }
}

static struct hash_mark mark_by_sip(const void *key, struct span s)
{
    return hash_mark(key, s);
}

static struct hash_mark mark_by_nh(const void *key, struct span s)
{
    return hash_nh_mark(key, s);
}

static void mark_tells_texts_apart(void **state)
{
    static const size_t lengths[] = {
        1, 15, 16, 300, HASH_NH_BYTES - 1, HASH_NH_BYTES, HASH_NH_BYTES + 1};
    static struct hash_nh_key keys[2];

    (void)state;
    for (size_t i = 0; i < PC_COUNT(keys); i++)
        hash_nh_key_fill(&random_system, &keys[i]);
    tells_apart(mark_by_sip, &keys[0].sip, &keys[1].sip, 300);
    for (size_t i = 0; i < PC_COUNT(lengths); i++)
        tells_apart(mark_by_nh, &keys[0], &keys[1], lengths[i]);
}

static void queue_is_bounded_and_closes(void **state)
{
    struct queue_item items[3];
    struct queue *queue;

    (void)state;
    assert_int_equal(queue_new(2, &queue), ERR_OK);
    assert_null(queue_pop(queue, 0));
    assert_null(queue_pop(queue, 1));
    assert_int_equal(queue_push(queue, &items[0]), ERR_OK);
    assert_int_equal(queue_push(queue, &items[1]), ERR_OK);
    assert_int_equal(queue_push(queue, &items[2]), ERR_BUSY);
    assert_ptr_equal(queue_pop(queue, -1), &items[0]);
    queue_close(queue);
    assert_int_equal(queue_push(queue, &items[2]), ERR_DRAINING);
    assert_ptr_equal(queue_pop_many(queue, 9, -1), &items[1]);
    assert_null(items[1].next);
    assert_null(queue_pop(queue, -1));
    queue_free(queue);
}

enum { TAKEN_ITEMS = 20000 };

static void *take_all(void *context)
{
    struct queue *queue = context;
    size_t taken = 0;

    while (queue_pop(queue, -1) != NULL)
        taken++;
    return (void *)taken;
}

static void queue_loses_nothing_between_threads(void **state)
{
    static struct queue_item items[TAKEN_ITEMS];
    struct queue *queue;
    pthread_t takers[2];
    size_t taken = 0;

    (void)state;
    assert_int_equal(queue_new(64, &queue), ERR_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&takers[i], NULL, take_all, queue), 0);
    for (size_t i = 0; i < TAKEN_ITEMS;)
        i += queue_push(queue, &items[i]) == ERR_OK;
    queue_close(queue);
    for (int i = 0; i < 2; i++) {
        void *count;

        assert_int_equal(pthread_join(takers[i], &count), 0);
        taken += (size_t)count;
    }
    assert_int_equal(taken, TAKEN_ITEMS);
    queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_table_is_whole),
        cmocka_unit_test(reasons_are_whole),
        cmocka_unit_test(span_cuts_and_trims),
        cmocka_unit_test(span_numbers_refuse_the_edges),
        cmocka_unit_test(span_utf8_follows_rfc3629),
        cmocka_unit_test(span_utf8_finds_one_bad_byte),
        cmocka_unit_test(span_distance_counts_swaps_once),
        cmocka_unit_test(span_secret_comparison_is_exact),
        cmocka_unit_test(arena_stops_at_its_cap),
        cmocka_unit_test(arena_leaves_nothing_behind),
        cmocka_unit_test(arena_is_rewound),
        cmocka_unit_test(arena_survives_a_failing_heap),
        cmocka_unit_test(sbuf_drops_whole_what_does_not_fit),
        cmocka_unit_test(sbuf_grows_to_its_bound),
        cmocka_unit_test(sbuf_prints_numbers_and_formats),
        cmocka_unit_test(sbuf_prints_each_length),
        cmocka_unit_test(sbuf_json_is_always_valid),
        cmocka_unit_test(sbuf_json_sees_every_byte),
        cmocka_unit_test(clock_prints_known_dates),
        cmocka_unit_test(clock_round_trips_every_day),
        cmocka_unit_test(clock_fake_stands_still),
        cmocka_unit_test(random_uuid_has_its_form),
        cmocka_unit_test(heap_keeps_what_bursts_need),
        cmocka_unit_test(what_rests_leaves_its_pages),
        cmocka_unit_test(hash_matches_the_paper),
        cmocka_unit_test(mark_is_siphash_of_128_bits),
        cmocka_unit_test(nh_is_as_its_paper_says),
        cmocka_unit_test(mark_tells_texts_apart),
        cmocka_unit_test(queue_is_bounded_and_closes),
        cmocka_unit_test(queue_loses_nothing_between_threads),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
