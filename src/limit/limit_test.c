/* SPDX-License-Identifier: MIT
 * The bucket table against the plainest token bucket there is, over a million random steps, crowded
 * and not, across the wrap of its clock, and hammered by 64 threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random_test_kit.h"
#include "limit/limit.h"
#include "limit/limit_priv.h"

#define SECOND CLOCK_NS_PER_S

enum { STEPS = 1000000, HAMMERS = 64 };

static const struct limit_rate per_minute = {.id = 1, .requests = 60, .period_ns = 60 * SECOND};

static struct limit_table *table_made(size_t slots, uint64_t seed)
{
    struct limit_table *table = NULL;
    struct random_seeded random;

    random_seeded_init(&random, seed);
    assert_int_equal(limit_table_new(slots, &random.source, &table), ERR_OK);
    return table;
}

static void verdict_counts_down_and_refills(void **state)
{
    struct limit_table *table = table_made(64, 1);
    struct limit_verdict verdict;

    (void)state;
    for (uint32_t left = 60; left > 0; left--) {
        limit_take(table, SPAN_OF("a"), &per_minute, 5 * SECOND, &verdict);
        assert_true(verdict.allowed);
        assert_int_equal(verdict.limit, 60);
        assert_int_equal(verdict.remaining, left - 1);
        assert_int_equal(verdict.full_after_ns, (61 - left) * SECOND);
        assert_int_equal(verdict.retry_after_ns, 0);
    }
    limit_take(table, SPAN_OF("a"), &per_minute, 5 * SECOND + 256 * CLOCK_NS_PER_MS, &verdict);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.remaining, 0);
    assert_int_equal(verdict.retry_after_ns, 744 * CLOCK_NS_PER_MS);
    assert_int_equal(verdict.full_after_ns, 60 * SECOND - 256 * CLOCK_NS_PER_MS);
    limit_take(table, SPAN_OF("a"), &per_minute, 6 * SECOND, &verdict);
    assert_true(verdict.allowed);
    limit_take(table, SPAN_OF("a"), &per_minute, 6 * SECOND, &verdict);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.retry_after_ns, SECOND);
    assert_int_equal(limit_table_busy(table, 6 * SECOND), 1);
    assert_int_equal(limit_table_busy(table, 66 * SECOND), 0);
    limit_table_free(table);
}

static void keys_and_limits_do_not_share(void **state)
{
    static const struct limit_rate one = {.id = 7, .requests = 1, .period_ns = SECOND};
    static const struct limit_rate other = {.id = 8, .requests = 1, .period_ns = SECOND};
    struct limit_table *table = table_made(1024, 2);
    struct limit_verdict verdict;

    (void)state;
    limit_take(table, SPAN_OF("a"), &one, 0, &verdict);
    assert_true(verdict.allowed);
    limit_take(table, SPAN_OF("a"), &one, 0, &verdict);
    assert_false(verdict.allowed);
    limit_take(table, SPAN_OF("a"), &other, 0, &verdict);
    assert_true(verdict.allowed);
    limit_take(table, SPAN_OF("b"), &one, 0, &verdict);
    assert_true(verdict.allowed);
    limit_table_free(table);
}

static void burst_may_differ_from_the_rate(void **state)
{
    static const struct limit_rate smooth = {.requests = 10, .period_ns = SECOND, .burst = 2};
    struct limit_table *table = table_made(64, 3);
    struct limit_verdict verdict;

    (void)state;
    limit_take(table, SPAN_OF("a"), &smooth, 0, &verdict);
    limit_take(table, SPAN_OF("a"), &smooth, 0, &verdict);
    assert_true(verdict.allowed);
    assert_int_equal(verdict.limit, 2);
    limit_take(table, SPAN_OF("a"), &smooth, 0, &verdict);
    assert_false(verdict.allowed);
    /* 0.1 s is not a whole number of units: rounded up, never down. */
    assert_in_range(verdict.retry_after_ns, SECOND / 10, SECOND / 10 + 511);
    limit_table_free(table);
}

static void peeking_takes_nothing(void **state)
{
    struct limit_table *table = table_made(64, 4);
    struct limit_verdict verdict;

    (void)state;
    for (int i = 0; i < 100; i++) {
        limit_peek(table, SPAN_OF("a"), &per_minute, 0, &verdict);
        assert_true(verdict.allowed);
        assert_int_equal(verdict.remaining, 59);
    }
    assert_int_equal(limit_table_busy(table, 0), 0);
    limit_table_free(table);
}

/* What was taken and came to nothing is given back, never more than was taken. A peek counts the
 * request that asks. */
static void what_is_returned_can_be_taken_again(void **state)
{
    struct limit_table *table = table_made(64, 4);
    struct limit_verdict verdict;

    (void)state;
    limit_return(table, SPAN_OF("a"), &per_minute, SECOND);
    assert_int_equal(limit_table_busy(table, SECOND), 0);
    for (int i = 0; i < 3; i++)
        limit_take(table, SPAN_OF("a"), &per_minute, SECOND, &verdict);
    assert_int_equal(verdict.remaining, 57);
    limit_return(table, SPAN_OF("a"), &per_minute, SECOND);
    limit_peek(table, SPAN_OF("a"), &per_minute, SECOND, &verdict);
    assert_int_equal(verdict.remaining, 57);
    for (int i = 0; i < 5; i++)
        limit_return(table, SPAN_OF("a"), &per_minute, SECOND);
    limit_peek(table, SPAN_OF("a"), &per_minute, SECOND, &verdict);
    assert_int_equal(verdict.remaining, 59);
    limit_table_free(table);
}

/* However little of it is still owed: half a microsecond, the least that is counted. */
static void the_last_of_a_debt_is_returned(void **state)
{
    static const struct limit_rate one = {.requests = 1, .period_ns = 60 * SECOND};
    struct limit_table *table = table_made(64, 4);
    struct limit_verdict verdict;

    (void)state;
    limit_take(table, SPAN_OF("a"), &one, SECOND, &verdict);
    limit_take(table, SPAN_OF("a"), &one, 61 * SECOND - 512, &verdict);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.retry_after_ns, 512);
    limit_return(table, SPAN_OF("a"), &one, 61 * SECOND - 512);
    limit_take(table, SPAN_OF("a"), &one, 61 * SECOND - 512, &verdict);
    assert_true(verdict.allowed);
    limit_table_free(table);
}

/* Zero is the strict choice. */
static void zero_rate_denies_everything(void **state)
{
    static const struct limit_rate none = {.period_ns = SECOND};
    struct limit_table *table = table_made(64, 5);
    struct limit_verdict verdict = {.allowed = true};

    (void)state;
    limit_take(table, SPAN_OF("a"), &none, 0, &verdict);
    assert_false(verdict.allowed);
    assert_true(verdict.retry_after_ns > 0);
    verdict.allowed = true;
    limit_peek(table, SPAN_OF("a"), &none, 0, &verdict);
    assert_false(verdict.allowed);
    limit_table_free(table);
}

static void impossible_rates_are_invalid(void **state)
{
    static const struct limit_rate bad[] = {
        {.requests = 1},
        {.requests = 1, .period_ns = -SECOND},
        {.requests = 1, .period_ns = 999},
        {.requests = 1, .period_ns = LIMIT_RATE_FILL_NS_MAX + 1},
        {.requests = 1, .period_ns = LIMIT_RATE_FILL_NS_MAX, .burst = 2},
        {.requests = UINT32_MAX, .period_ns = LIMIT_RATE_FILL_NS_MAX, .burst = UINT32_MAX},
    };
    static const struct limit_rate good[] = {
        {.requests = 1, .period_ns = LIMIT_RATE_FILL_NS_MAX},
        {.requests = 1, .period_ns = 1000},
        {.requests = 1000000, .period_ns = SECOND},
        {.requests = 0, .period_ns = SECOND},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(bad) - 1; i++)
        assert_false(limit_rate_is_valid(&bad[i]));
    for (size_t i = 0; i < PC_COUNT(good); i++)
        assert_true(limit_rate_is_valid(&good[i]));
}

static void addresses_are_cut_to_what_one_client_holds(void **state)
{
    static const char six[] = "\x20\x01\x0d\xb8\1\2\3\4\5\6\7\10\11\12\13\14";
    static const char mapped[] = "\0\0\0\0\0\0\0\0\0\0\xFF\xFF\x0a\1\2\3";

    (void)state;
    assert_true(span_equal(limit_address(span_make("\x0a\1\2\3", 4)), span_make("\x0a\1\2\3", 4)));
    assert_true(span_equal(limit_address(span_make(mapped, 16)), span_make("\x0a\1\2\3", 4)));
    assert_true(span_equal(limit_address(span_make(six, 16)), span_make(six, 8)));
    assert_true(span_is(limit_address(SPAN_OF("unix")), "unix"));
}

/* The plainest token bucket: it holds time, each request takes a step of it. */
struct model {
    int64_t held_ns;
    int64_t seen_ns;
};

static bool model_take(struct model *model, int64_t step_ns, int64_t room_ns, int64_t now_ns)
{
    model->held_ns += now_ns - model->seen_ns;
    model->seen_ns = now_ns;
    if (model->held_ns > room_ns)
        model->held_ns = room_ns;
    if (model->held_ns < step_ns)
        return false;
    model->held_ns -= step_ns;
    return true;
}

/* Keys that have the table to themselves are treated exactly as the model does, remaining included.
 * Some clocks start just before the table's own wraps around. */
static void roomy_table_equals_the_model(void **state)
{
    static const struct limit_rate rates[] = {
        {.id = 1, .requests = 60, .period_ns = 60 * SECOND},
        {.id = 2, .requests = 5, .period_ns = 10 * SECOND, .burst = 1},
        {.id = 3, .requests = 1, .period_ns = 512, .burst = 3},
        {.id = 4, .requests = 1000, .period_ns = 512000, .burst = 4000},
    };
    static const int64_t starts[] = {0, 123456789 * INT64_C(512), ((INT64_C(1) << 48) - 1000) * 512,
                                     ((INT64_C(1) << 49) - 100000000) * 512};
    struct random_seeded random;
    uint64_t seed = test_seed(20260203);
    uint64_t allowed = 0;

    (void)state;
    random_seeded_init(&random, seed);
    for (size_t run = 0; run < PC_COUNT(starts); run++) {
        struct limit_table *table = table_made(65536, seed + run);
        struct model models[PC_COUNT(rates)][50];
        int64_t now_ns = starts[run];

        for (size_t i = 0; i < sizeof(models) / sizeof(struct model); i++)
            (&models[0][0])[i] = (struct model){INT64_MAX / 2, now_ns};
        for (int i = 0; i < STEPS / 4; i++) {
            size_t r = test_draw(&random, PC_COUNT(rates));
            uint64_t key = test_draw(&random, 50);
            int64_t step_ns = rates[r].period_ns / rates[r].requests;
            int64_t burst = rates[r].burst ? rates[r].burst : rates[r].requests;
            struct limit_verdict verdict;
            bool expected;

            now_ns +=
                (int64_t)test_draw(&random, 4) == 0 ? (int64_t)test_draw(&random, 400000) * 512 : 0;
            step_ns = (step_ns + 511) / 512 * 512;
            expected = model_take(&models[r][key], step_ns, burst * step_ns, now_ns);
            limit_take(table, span_make(&key, sizeof(key)), &rates[r], now_ns, &verdict);
            assert_int_equal(verdict.allowed, expected);
            assert_int_equal(verdict.remaining, models[r][key].held_ns / step_ns);
            if (!expected)
                assert_int_equal(verdict.retry_after_ns, step_ns - models[r][key].held_ns);
            allowed += expected;
        }
        limit_table_free(table);
    }
    assert_in_range(allowed, STEPS / 20, STEPS - STEPS / 20);
}

/* A thousand keys in 64 slots: some are refused too early, none is ever admitted when the model
 * with room for all of them would refuse. */
static void crowded_table_never_admits_more_than_the_model(void **state)
{
    static const struct limit_rate rate = {.requests = 4, .period_ns = 4096 * 512};
    const int64_t step_ns = 1024 * 512;
    struct random_seeded random;
    static struct model models[1000];
    uint64_t seed = test_seed(20260203);
    struct limit_table *table = table_made(64, seed);
    int64_t now_ns = 0;
    uint64_t allowed = 0;
    uint64_t too_early = 0;

    (void)state;
    random_seeded_init(&random, seed + 1);
    for (size_t i = 0; i < PC_COUNT(models); i++)
        models[i] = (struct model){4 * step_ns, 0};
    for (int i = 0; i < STEPS; i++) {
        /* One key in ten tries is the same few: the attackers who want to be forgotten. */
        uint64_t key =
            test_draw(&random, 10) == 0 ? test_draw(&random, 5) : test_draw(&random, 1000);
        struct model before = models[key];
        struct limit_verdict verdict;
        bool expected;

        now_ns += (int64_t)test_draw(&random, 60) * 512;
        limit_take(table, span_make(&key, sizeof(key)), &rate, now_ns, &verdict);
        expected = model_take(&models[key], step_ns, 4 * step_ns, now_ns);
        if (verdict.allowed)
            assert_true(expected);
        else if (expected)
            models[key] = before; /* it was not admitted, so it has taken nothing */
        allowed += verdict.allowed;
        too_early += expected && !verdict.allowed;
    }
    assert_true(allowed > STEPS / 100);
    assert_true(too_early > 0);
    limit_table_free(table);
}

/* Long quiet is a full bucket, even when the table's clock went round in between. */
static void old_buckets_are_full(void **state)
{
    static const int64_t quiet_days[] = {1, 100, 400, 800, 900, 1200};
    struct limit_verdict verdict;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(quiet_days); i++) {
        struct limit_table *table = table_made(64, 9);
        int64_t now_ns = SECOND;

        for (int k = 0; k < 61; k++)
            limit_take(table, SPAN_OF("a"), &per_minute, now_ns, &verdict);
        assert_false(verdict.allowed);
        now_ns += quiet_days[i] * 86400 * SECOND;
        limit_take(table, SPAN_OF("a"), &per_minute, now_ns, &verdict);
        assert_true(verdict.allowed);
        assert_int_equal(verdict.remaining, 59);
        limit_table_free(table);
    }
}

struct hammer {
    struct limit_table *table;
    struct limit_rate rate;
    pthread_barrier_t *all_here;
    _Atomic int64_t *now_ns; /* moved by everyone */
    _Atomic uint64_t *admitted;
    uint64_t keys;
    uint64_t seed;
    unsigned takes;
};

static void *hammer_run(void *context)
{
    struct hammer *hammer = context;
    struct random_seeded random;

    random_seeded_init(&random, hammer->seed);
    (void)pthread_barrier_wait(hammer->all_here);
    for (unsigned i = 0; i < hammer->takes; i++) {
        uint64_t key = hammer->keys == 1 ? 0 : test_draw(&random, hammer->keys);
        int64_t now_ns = atomic_fetch_add(hammer->now_ns, hammer->keys == 1 ? 0 : 512);
        struct limit_verdict verdict;

        limit_take(hammer->table, span_make(&key, sizeof(key)), &hammer->rate, now_ns, &verdict);
        if (verdict.allowed)
            (void)atomic_fetch_add_explicit(&hammer->admitted[key], 1, memory_order_relaxed);
    }
    return NULL;
}

static int64_t hammered(struct limit_table *table, struct limit_rate rate, uint64_t keys,
                        unsigned takes, _Atomic uint64_t *admitted)
{
    static struct hammer hammers[HAMMERS];
    pthread_t threads[HAMMERS];
    pthread_barrier_t all_here;
    _Atomic int64_t now_ns = 0;

    assert_int_equal(pthread_barrier_init(&all_here, NULL, HAMMERS), 0);
    for (size_t i = 0; i < HAMMERS; i++) {
        hammers[i] = (struct hammer){table, rate, &all_here, &now_ns, admitted, keys, i, takes};
        assert_int_equal(pthread_create(&threads[i], NULL, hammer_run, &hammers[i]), 0);
    }
    for (size_t i = 0; i < HAMMERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)pthread_barrier_destroy(&all_here);
    return atomic_load(&now_ns);
}

/* 64 threads at one key in one moment: exactly the bucket, not one more and not one less. */
static void one_key_hammered_admits_exactly_its_bucket(void **state)
{
    static const struct limit_rate rate = {.requests = 300000, .period_ns = 36000 * SECOND};
    struct limit_table *table = table_made(64, 10);
    _Atomic uint64_t admitted = 0;

    (void)state;
    (void)hammered(table, rate, 1, 6000, &admitted);
    assert_int_equal(atomic_load(&admitted), 300000);
    limit_table_free(table);
}

/* 64 threads, 100 keys, 64 slots, time moving: evictions and races all the way, and still no key
 * gets more than its bucket and what flowed in. */
static void crowd_hammered_admits_nobody_too_often(void **state)
{
    static const struct limit_rate rate = {.requests = 8, .period_ns = 8 * 2048 * 512};
    struct limit_table *table = table_made(64, 11);
    static _Atomic uint64_t admitted[100];
    uint64_t all = 0;
    int64_t end_ns;

    (void)state;
    end_ns = hammered(table, rate, PC_COUNT(admitted), 5000, admitted);
    for (size_t i = 0; i < PC_COUNT(admitted); i++) {
        assert_true(atomic_load(&admitted[i]) <= 8 + (uint64_t)(end_ns / (2048 * 512)));
        all += atomic_load(&admitted[i]);
    }
    assert_true(all > 1000);
    limit_table_free(table);
}

static void failing_heap_is_an_error(void **state)
{
    struct limit_table *table = NULL;

    (void)state;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        alloc_fail_at(nth);
        assert_int_equal(limit_table_new(64, &random_system, &table), ERR_NO_MEMORY);
        assert_false(alloc_fail_pending());
        assert_null(table);
    }
    limit_table_free(NULL);
}

/* Many at once cost what they would one by one, and a refusal costs nothing. */
static void some_are_taken_together_or_not_at_all(void **state)
{
    struct limit_table *table = table_made(64, 1);
    const struct span key = SPAN("a");
    struct limit_verdict verdict;

    (void)state;
    limit_take_some(table, key, &per_minute, 45, SECOND, &verdict);
    assert_true(verdict.allowed);
    assert_int_equal(verdict.remaining, 15);
    limit_take_some(table, key, &per_minute, 20, SECOND, &verdict);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.retry_after_ns, 5 * SECOND);
    limit_take_some(table, key, &per_minute, 15, SECOND, &verdict);
    assert_true(verdict.allowed);
    assert_int_equal(verdict.remaining, 0);
    limit_take(table, key, &per_minute, SECOND, &verdict);
    assert_false(verdict.allowed);
    limit_take_some(table, key, &per_minute, 60, 61 * SECOND, &verdict);
    assert_true(verdict.allowed);
    limit_take_some(table, SPAN_OF("b"), &per_minute, 61, SECOND, &verdict);
    assert_false(verdict.allowed);
    limit_take_some(table, SPAN_OF("b"), &per_minute, UINT32_MAX, SECOND, &verdict);
    assert_false(verdict.allowed);
    limit_table_free(table);
}

/* A request that the minute refuses does not use up the day. */
static void several_admit_together_or_not_at_all(void **state)
{
    struct limit_table *table = table_made(64, 1);
    const struct limit_ask asks[] = {
        {.rate = {.id = 1, .requests = 100, .period_ns = 86400 * SECOND}, .key = SPAN("a")},
        {.rate = {.id = 2, .requests = 3, .period_ns = 60 * SECOND}, .key = SPAN("a")},
        {.rate = {.id = 3, .requests = 50, .period_ns = SECOND}, .key = SPAN("b")}};
    struct limit_verdict verdict;
    size_t tightest = 9;

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        limit_take_all(table, asks, PC_COUNT(asks), SECOND, &verdict, &tightest);
        assert_true(verdict.allowed);
        assert_int_equal(tightest, 1);
        assert_int_equal(verdict.remaining, 2 - i);
    }
    for (size_t i = 0; i < 10; i++) {
        limit_take_all(table, asks, PC_COUNT(asks), SECOND, &verdict, &tightest);
        assert_false(verdict.allowed);
        assert_int_equal(tightest, 1);
        assert_int_equal(verdict.retry_after_ns, 20 * SECOND);
    }
    limit_peek(table, asks[0].key, &asks[0].rate, SECOND, &verdict);
    assert_int_equal(verdict.remaining, 100 - 3 - 1);
    limit_take_all(table, asks, 1, SECOND, &verdict, &tightest);
    assert_int_equal(tightest, 0);
    assert_int_equal(verdict.remaining, 100 - 4);
    limit_table_free(table);
}

/* Of two that refuse, the client is told of the one that he waits for longest. */
static void the_tightest_is_told(void **state)
{
    const struct limit_verdict long_wait = {.retry_after_ns = 9};
    const struct limit_verdict short_wait = {.retry_after_ns = 5};
    const struct limit_verdict few = {.allowed = true, .remaining = 1};
    const struct limit_verdict many = {.allowed = true, .remaining = 5, .full_after_ns = 9};
    const struct limit_verdict sooner = {.allowed = true, .remaining = 5, .full_after_ns = 1};

    (void)state;
    assert_true(limit_is_tighter(&long_wait, &short_wait));
    assert_false(limit_is_tighter(&short_wait, &long_wait));
    assert_true(limit_is_tighter(&short_wait, &few));
    assert_false(limit_is_tighter(&few, &short_wait));
    assert_true(limit_is_tighter(&few, &many));
    assert_true(limit_is_tighter(&many, &sooner));
    assert_false(limit_is_tighter(&short_wait, &short_wait)); /* the first of two alike stays */
    assert_false(limit_is_tighter(&few, &few));
    assert_false(limit_is_tighter(&many, &many));
}

/* FNV-1a's own examples, with the bit by which they are told from the ids of nameless limits. */
static void names_have_numbers(void **state)
{
    (void)state;
    assert_true(limit_name_id(SPAN_OF("")) == UINT64_C(0xCBF29CE484222325));
    assert_true(limit_name_id(SPAN_OF("fo")) == UINT64_C(0x88985907B541D342));
    assert_true(limit_name_id(SPAN_OF("foobar")) == UINT64_C(0x85944171F73967E8));
}

/* What was in the verdict before, and that nobody asked, is not read. */
static void one_alone_is_not_looked_at_before(void **state)
{
    struct limit_table *table = table_made(64, 1);
    const struct limit_ask asks[] = {
        {.rate = {.id = 1, .requests = 100, .period_ns = 60 * SECOND}, .key = SPAN("a")},
        {.rate = {.id = 2, .requests = 1, .period_ns = 60 * SECOND}, .key = SPAN("a")}};
    struct limit_verdict verdict = {.allowed = false};
    size_t tightest = 9;

    (void)state;
    limit_take_all(table, asks, 1, SECOND, &verdict, &tightest);
    assert_true(verdict.allowed);
    assert_int_equal(verdict.remaining, 99);
    limit_take_all(table, asks, 2, SECOND, &verdict, &tightest);
    assert_true(verdict.allowed);
    limit_take_all(table, asks, 2, SECOND, &verdict, &tightest); /* the second has none left */
    assert_false(verdict.allowed);
    limit_peek(table, asks[0].key, &asks[0].rate, SECOND, &verdict);
    assert_int_equal(verdict.remaining, 97); /* it would be taken, having 98 */
    limit_table_free(table);
}

static void busy_buckets_are_counted(void **state)
{
    struct limit_table *table = table_made(4096, 1);
    struct limit_verdict verdict;

    (void)state;
    assert_int_equal(limit_table_busy(table, SECOND), 0);
    for (uint32_t i = 0; i < 100; i++)
        limit_take(table, span_make(&i, sizeof(i)), &per_minute, SECOND, &verdict);
    assert_int_equal(limit_table_busy(table, SECOND), 100);
    assert_int_equal(limit_table_busy(table, 3 * SECOND), 0); /* a second each, and all are full */
    limit_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdict_counts_down_and_refills),
        cmocka_unit_test(some_are_taken_together_or_not_at_all),
        cmocka_unit_test(several_admit_together_or_not_at_all),
        cmocka_unit_test(the_tightest_is_told),
        cmocka_unit_test(names_have_numbers),
        cmocka_unit_test(one_alone_is_not_looked_at_before),
        cmocka_unit_test(busy_buckets_are_counted),
        cmocka_unit_test(keys_and_limits_do_not_share),
        cmocka_unit_test(burst_may_differ_from_the_rate),
        cmocka_unit_test(peeking_takes_nothing),
        cmocka_unit_test(what_is_returned_can_be_taken_again),
        cmocka_unit_test(the_last_of_a_debt_is_returned),
        cmocka_unit_test(zero_rate_denies_everything),
        cmocka_unit_test(impossible_rates_are_invalid),
        cmocka_unit_test(addresses_are_cut_to_what_one_client_holds),
        cmocka_unit_test(roomy_table_equals_the_model),
        cmocka_unit_test(crowded_table_never_admits_more_than_the_model),
        cmocka_unit_test(old_buckets_are_full),
        cmocka_unit_test(one_key_hammered_admits_exactly_its_bucket),
        cmocka_unit_test(crowd_hammered_admits_nobody_too_often),
        cmocka_unit_test(failing_heap_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
