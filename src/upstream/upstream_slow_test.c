/* SPDX-License-Identifier: MIT
 * Slow start: how the share of a target grows that comes back, whichever way it was away and
 * however targets are chosen. Time is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "upstream/upstream_pick.h"

#define SECOND CLOCK_NS_PER_S

enum { TARGETS = 3, PICKS = 30000, BACK = 2, START_S = 100 };

struct bench {
    struct upstream_picker *picker;
    struct upstream_turn turn;
    struct random_batch random;
    struct random_seeded seeded;
};

static void bench_open(struct bench *bench, enum upstream_balance balance)
{
    static const struct span names[TARGETS] = {SPAN("http://a:1"), SPAN("http://b:1"),
                                               SPAN("http://c:1")};
    static const uint32_t weights[TARGETS] = {1, 1, 1};
    const struct upstream_health_rules rules = {.fails_max = 1,
                                                .rise = 1,
                                                .fall = 1,
                                                .eject_ns = 10 * SECOND,
                                                .slow_start_ns = START_S * SECOND};

    memset(bench, 0, sizeof(*bench));
    random_seeded_init(&bench->seeded, 7);
    random_batch_init(&bench->random, &bench->seeded.source);
    assert_int_equal(upstream_picker_new(balance, weights, names, TARGETS, &rules, &bench->picker),
                     ERR_OK);
}

static size_t ask(struct bench *bench, uint64_t key, uint64_t tried, int64_t now_ns)
{
    size_t target = upstream_pick(bench->picker, &bench->turn, &bench->random, key, tried, now_ns);

    assert_true(target < TARGETS);
    upstream_settle(bench->picker, target, UPSTREAM_WELL, CLOCK_NS_PER_MS, now_ns);
    return target;
}

/* Of a thousand requests, how many the target gets that was away. */
static unsigned share_of(struct bench *bench, int64_t now_ns)
{
    unsigned got = 0;

    for (uint64_t i = 0; i < PICKS; i++)
        got += ask(bench, i, 0, now_ns) == BACK;
    return got * 1000 / PICKS;
}

static void near(unsigned got, unsigned wanted)
{
    if (got + 25 < wanted || got > wanted + 25)
        fail_msg("%u of a thousand, not %u", got, wanted);
}

/* With two others that are whole, p of a share is p / (2 + p) of the requests in turn, and p / 3 of
 * the keys. */
static void grows(struct bench *bench, int64_t back_ns, bool hashed)
{
    assert_true(upstream_target_state(bench->picker, BACK, back_ns).starting);
    near(share_of(bench, back_ns), hashed ? 33 : 48);
    near(share_of(bench, back_ns + 5 * SECOND), hashed ? 33 : 48);
    near(share_of(bench, back_ns + 50 * SECOND), hashed ? 167 : 200);
    near(share_of(bench, back_ns + 80 * SECOND), hashed ? 267 : 286);
    near(share_of(bench, back_ns + START_S * SECOND), 333);
    assert_false(upstream_target_state(bench->picker, BACK, back_ns).starting);
}

static void all_are_whole_at_the_start(void **state)
{
    struct bench bench;

    (void)state;
    bench_open(&bench, UPSTREAM_ROUND_ROBIN);
    near(share_of(&bench, 0), 333);
    upstream_picker_free(bench.picker);
}

static void comes_back_from_checks(void **state)
{
    const enum upstream_balance balances[] = {UPSTREAM_ROUND_ROBIN, UPSTREAM_HASH};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench bench;

        bench_open(&bench, balances[i]);
        upstream_checked(bench.picker, BACK, false, SECOND);
        assert_int_equal(share_of(&bench, SECOND), 0);
        upstream_checked(bench.picker, BACK, true, 2 * SECOND);
        grows(&bench, 2 * SECOND, balances[i] == UPSTREAM_HASH);
        upstream_picker_free(bench.picker);
    }
}

/* The trial itself is not counted into it; another ejection begins it anew. */
static void comes_back_from_ejection(void **state)
{
    struct bench bench;
    int64_t now_ns = 20 * SECOND;

    (void)state;
    bench_open(&bench, UPSTREAM_ROUND_ROBIN);
    for (int times = 0; times < 2; times++) {
        while (!upstream_target_state(bench.picker, BACK, now_ns).ejected) {
            size_t target = upstream_pick(bench.picker, &bench.turn, &bench.random, 0, 3, now_ns);

            upstream_settle(bench.picker, target, target == BACK ? UPSTREAM_FAILED : UPSTREAM_WELL,
                            1, now_ns);
        }
        now_ns += 40 * SECOND;
        while (ask(&bench, 0, 3, now_ns) != BACK)
            continue;
        assert_true(upstream_target_state(bench.picker, BACK, now_ns).starting);
        now_ns += 50 * SECOND;
        near(share_of(&bench, now_ns), 200);
    }
    upstream_picker_free(bench.picker);
}

/* An operator has no clock at hand: it begins with the first request. */
static void comes_back_from_draining(void **state)
{
    struct bench bench;

    (void)state;
    bench_open(&bench, UPSTREAM_ROUND_ROBIN);
    upstream_drain(bench.picker, BACK, true);
    assert_int_equal(share_of(&bench, SECOND), 0);
    upstream_drain(bench.picker, BACK, false);
    upstream_drain(bench.picker, 0, false); /* it was not drained: nothing begins */
    assert_false(upstream_target_state(bench.picker, 0, 0).starting);
    grows(&bench, 500 * SECOND, false);
    upstream_picker_free(bench.picker);
}

/* A key comes back once and stays. */
static void keys_come_back_once(void **state)
{
    struct bench bench;

    (void)state;
    bench_open(&bench, UPSTREAM_HASH);
    upstream_checked(bench.picker, BACK, false, SECOND);
    upstream_checked(bench.picker, BACK, true, SECOND);
    for (uint64_t key = 0; key < 300; key++) {
        bool is_back = false;

        for (int64_t s = 0; s < START_S; s++) {
            bool there = ask(&bench, key, 0, (1 + s) * SECOND) == BACK;

            assert_true(there || !is_back);
            is_back = there;
        }
    }
    upstream_picker_free(bench.picker);
}

/* A request that has tried the others is not sent to them again to spare it. */
static void whoever_is_untried_is_asked(void **state)
{
    struct bench bench;

    (void)state;
    bench_open(&bench, UPSTREAM_ROUND_ROBIN);
    upstream_drain(bench.picker, BACK, true);
    upstream_drain(bench.picker, BACK, false);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ask(&bench, 0, 3, SECOND), BACK);
    upstream_drain(bench.picker, 0, true);
    upstream_drain(bench.picker, 1, true);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ask(&bench, 0, 0, SECOND), BACK);
    upstream_picker_free(bench.picker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_whole_at_the_start), cmocka_unit_test(comes_back_from_checks),
        cmocka_unit_test(comes_back_from_ejection),   cmocka_unit_test(comes_back_from_draining),
        cmocka_unit_test(keys_come_back_once),        cmocka_unit_test(whoever_is_untried_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
