/* SPDX-License-Identifier: MIT
 * Health step by step, then against a reference with plain variables over a million random steps,
 * with several pickers at once, failures, checks, draining and panic. PORTCULLIS_TEST_STEPS makes
 * it longer, PORTCULLIS_TEST_SEED another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random_test_kit.h"
#include "upstream/upstream_pick.h"

#define MS     CLOCK_NS_PER_MS
#define SECOND CLOCK_NS_PER_S

enum { STEPS = 1000000, PICKERS = 3, TARGETS = 5, FLIGHTS_MAX = 20 };

static struct upstream_turn turn;
static struct random_batch batch;

static struct upstream_picker *made(size_t count, struct upstream_health_rules rules)
{
    static const uint32_t weights[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const struct span names[PC_COUNT(weights)];
    struct upstream_picker *picker = NULL;

    memset(&turn, 0, sizeof(turn));
    random_batch_init(&batch, &random_system);
    assert_int_equal(
        upstream_picker_new(UPSTREAM_ROUND_ROBIN, weights, names, count, &rules, &picker), ERR_OK);
    return picker;
}

static size_t pick(struct upstream_picker *picker, uint64_t tried, int64_t now_ns)
{
    return upstream_pick(picker, &turn, &batch, 0, tried, now_ns);
}

/* A request that is given to this target, as the others were tried. */
static void ask(struct upstream_picker *picker, size_t target, int64_t now_ns)
{
    assert_int_equal(pick(picker, ~(UINT64_C(1) << target), now_ns), target);
}

static void ends(struct upstream_picker *picker, size_t target, enum upstream_outcome outcome,
                 int64_t now_ns)
{
    upstream_settle(picker, target, outcome, MS, now_ns);
}

static void fail_times(struct upstream_picker *picker, size_t target, int times, int64_t now_ns)
{
    for (int i = 0; i < times; i++) {
        ask(picker, target, now_ns);
        ends(picker, target, UPSTREAM_FAILED, now_ns);
    }
}

static bool is_ejected(const struct upstream_picker *picker, size_t target, int64_t now_ns)
{
    return upstream_target_state(picker, target, now_ns).ejected;
}

/* Never asked at this moment, in as many picks as would reach everybody. */
static bool is_avoided(struct upstream_picker *picker, size_t target, int64_t now_ns)
{
    bool asked = false;

    for (int i = 0; i < 20; i++) {
        size_t got = pick(picker, 0, now_ns);

        asked = asked || got == target;
        ends(picker, got, UPSTREAM_NEUTRAL, now_ns);
    }
    return !asked;
}

static void failures_in_a_row_eject(void **state)
{
    struct upstream_picker *picker = made(3, (struct upstream_health_rules){0});

    (void)state;
    fail_times(picker, 1, 4, 0);
    ask(picker, 1, 0);
    ends(picker, 1, UPSTREAM_WELL, 0);
    fail_times(picker, 1, 4, 0);
    for (int i = 0; i < 100; i++) { /* what says nothing neither ejects nor helps */
        ask(picker, 1, 0);
        ends(picker, 1, UPSTREAM_NEUTRAL, 0);
    }
    assert_false(is_ejected(picker, 1, 0));
    fail_times(picker, 1, 1, SECOND);
    assert_true(is_ejected(picker, 1, SECOND));
    assert_true(is_avoided(picker, 1, 11 * SECOND - 1));
    assert_true(is_ejected(picker, 1, 11 * SECOND - 1));
    assert_false(is_ejected(picker, 1, 11 * SECOND));
    assert_true(upstream_target_state(picker, 1, 11 * SECOND).on_trial);
    assert_int_equal(upstream_target_state(picker, 1, 0).ejections, 1);
    upstream_picker_free(picker);
}

/* One request decides; the others go elsewhere meanwhile. */
static void one_trial_decides(void **state)
{
    struct upstream_picker *picker = made(3, (struct upstream_health_rules){.fails_max = 3});

    (void)state;
    fail_times(picker, 0, 3, 0);
    ask(picker, 0, 10 * SECOND);
    assert_true(is_avoided(picker, 0, 10 * SECOND));
    ends(picker, 0, UPSTREAM_FAILED, 12 * SECOND); /* at once, and for twice as long */
    assert_true(is_avoided(picker, 0, 32 * SECOND - 1));
    ask(picker, 0, 32 * SECOND);
    ends(picker, 0, UPSTREAM_WELL, 33 * SECOND);
    assert_false(upstream_target_state(picker, 0, 33 * SECOND).on_trial);
    assert_false(is_avoided(picker, 0, 33 * SECOND));
    fail_times(picker, 0, 2, 33 * SECOND);
    assert_false(is_ejected(picker, 0, 33 * SECOND));
    fail_times(picker, 0, 1, 33 * SECOND); /* the third time */
    assert_true(is_avoided(picker, 0, 63 * SECOND - 1));
    assert_false(is_avoided(picker, 0, 63 * SECOND));
    upstream_picker_free(picker);
}

/* A trial that goes on as a tunnel has answered: others follow while it is in flight. */
static void a_trial_may_go_on_for_long(void **state)
{
    struct upstream_picker *picker = made(3, (struct upstream_health_rules){.fails_max = 3});

    (void)state;
    fail_times(picker, 0, 3, 0);
    ask(picker, 0, 10 * SECOND);
    assert_true(is_avoided(picker, 0, 10 * SECOND));
    upstream_answered(picker, 0, SECOND, 11 * SECOND);
    assert_false(upstream_target_state(picker, 0, 11 * SECOND).on_trial);
    assert_false(is_avoided(picker, 0, 11 * SECOND));
    assert_int_equal(upstream_target_state(picker, 0, 11 * SECOND).in_flight, 1);
    ends(picker, 0, UPSTREAM_NEUTRAL, 1000 * SECOND);
    assert_int_equal(upstream_target_state(picker, 0, 1000 * SECOND).in_flight, 0);
    upstream_picker_free(picker);
}

/* A trial whose client left makes room for the next; one that hangs, after its time. */
static void silent_trials_are_given_up(void **state)
{
    struct upstream_picker *picker = made(3, (struct upstream_health_rules){.fails_max = 1});

    (void)state;
    ask(picker, 2, 0); /* goes on through all of this */
    fail_times(picker, 2, 1, 0);
    ask(picker, 2, 10 * SECOND);
    ends(picker, 2, UPSTREAM_NEUTRAL, 11 * SECOND);
    assert_true(is_avoided(picker, 2, 20 * SECOND - 1));
    ask(picker, 2, 20 * SECOND);
    assert_true(is_avoided(picker, 2, 21 * SECOND));
    ends(picker, 2, UPSTREAM_NEUTRAL, 22 * SECOND);
    ends(picker, 2, UPSTREAM_NEUTRAL, 22 * SECOND);
    ask(picker, 2, 22 * SECOND); /* nothing is in flight there: at once */
    ends(picker, 2, UPSTREAM_WELL, 22 * SECOND);
    assert_false(upstream_target_state(picker, 2, 22 * SECOND).on_trial);
    upstream_picker_free(picker);
}

/* Answers of requests that went before the ejection neither shorten nor lengthen it. */
static void late_results_do_not_count(void **state)
{
    struct upstream_picker *picker = made(3, (struct upstream_health_rules){.fails_max = 1});

    (void)state;
    ask(picker, 0, 0);
    ask(picker, 0, 0);
    fail_times(picker, 0, 1, 0);
    ends(picker, 0, UPSTREAM_WELL, SECOND);
    ends(picker, 0, UPSTREAM_FAILED, 9 * SECOND);
    assert_int_equal(upstream_target_state(picker, 0, 9 * SECOND).ejections, 1);
    assert_true(is_ejected(picker, 0, 10 * SECOND - 1));
    assert_false(is_ejected(picker, 0, 10 * SECOND));
    upstream_picker_free(picker);
}

/* 10 s, 20 s, 30 s and no longer; each minute without another forgets one. */
static void ejections_grow_are_bounded_and_forgotten(void **state)
{
    struct upstream_picker *picker =
        made(3, (struct upstream_health_rules){.fails_max = 1, .eject_most_ns = 25 * SECOND});
    const int64_t lasts_s[] = {10, 20, 25, 25};
    int64_t now_ns = 0;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(lasts_s); i++) {
        fail_times(picker, 1, 1, now_ns);
        now_ns += lasts_s[i] * SECOND;
        assert_true(is_ejected(picker, 1, now_ns - 1));
        assert_false(is_ejected(picker, 1, now_ns));
    }
    ask(picker, 1, now_ns);
    ends(picker, 1, UPSTREAM_WELL, now_ns);
    assert_int_equal(upstream_target_state(picker, 1, now_ns).recent_ejections, 3);
    assert_int_equal(upstream_target_state(picker, 1, now_ns + 120 * SECOND).recent_ejections, 1);
    now_ns += 120 * SECOND;
    fail_times(picker, 1, 1, now_ns);
    assert_true(is_ejected(picker, 1, now_ns + 20 * SECOND - 1));
    assert_false(is_ejected(picker, 1, now_ns + 20 * SECOND));
    assert_int_equal(upstream_target_state(picker, 1, now_ns).ejections, 5);
    upstream_picker_free(picker);
}

static void checks_rise_and_fall(void **state)
{
    struct upstream_picker *picker = made(3, (struct upstream_health_rules){0});

    (void)state;
    upstream_checked(picker, 0, false, 0);
    upstream_checked(picker, 0, false, 0);
    upstream_checked(picker, 0, true, 0);
    upstream_checked(picker, 0, false, 0);
    upstream_checked(picker, 0, false, 0);
    assert_false(upstream_target_state(picker, 0, 0).down);
    upstream_checked(picker, 0, false, 0);
    assert_true(upstream_target_state(picker, 0, 0).down);
    assert_true(is_avoided(picker, 0, 0));
    upstream_checked(picker, 0, true, 0);
    upstream_checked(picker, 0, false, 0);
    upstream_checked(picker, 0, true, 0);
    assert_true(upstream_target_state(picker, 0, 0).down);
    upstream_checked(picker, 0, true, 0);
    assert_false(upstream_target_state(picker, 0, 0).down);
    assert_false(is_avoided(picker, 0, 0));
    upstream_picker_free(picker);
}

/* A good check does not end an ejection, nor a good answer a bad check. */
static void checks_and_ejection_are_apart(void **state)
{
    struct upstream_picker *picker =
        made(3, (struct upstream_health_rules){.fails_max = 1, .rise = 1, .fall = 1});

    (void)state;
    ask(picker, 0, 0);
    upstream_checked(picker, 0, false, 0);
    ends(picker, 0, UPSTREAM_WELL, 0);
    assert_true(is_avoided(picker, 0, 0));
    upstream_checked(picker, 0, true, 0);
    assert_false(is_avoided(picker, 0, 0));
    fail_times(picker, 0, 1, 0);
    upstream_checked(picker, 0, true, 0);
    assert_true(is_avoided(picker, 0, 0));
    upstream_checked(picker, 0, false, 0);
    assert_true(is_avoided(picker, 0, 10 * SECOND)); /* no trial for who is down */
    upstream_checked(picker, 0, true, 0);
    assert_false(is_avoided(picker, 0, 10 * SECOND));
    upstream_picker_free(picker);
}

/* Two of four is half, one is less: then all are asked but the drained, which do not count. */
static void panic_asks_everybody(void **state)
{
    struct upstream_picker *picker = made(5, (struct upstream_health_rules){.fall = 1, .rise = 1});

    (void)state;
    upstream_drain(picker, 4, true);
    upstream_checked(picker, 0, false, 0);
    upstream_checked(picker, 1, false, 0);
    assert_false(upstream_is_panicking(picker, 0));
    assert_true(is_avoided(picker, 1, 0));
    assert_int_equal(upstream_panic_picks(picker), 0);
    fail_times(picker, 2, 5, 0);
    assert_true(upstream_is_panicking(picker, 0));
    for (size_t i = 0; i < 4; i++)
        assert_false(is_avoided(picker, i, 0));
    assert_true(is_avoided(picker, 4, 0));
    assert_int_equal(upstream_panic_picks(picker), 100);
    assert_false(upstream_is_panicking(picker, 10 * SECOND)); /* the ejected may be tried */
    upstream_checked(picker, 1, true, 0);
    assert_false(upstream_is_panicking(picker, 0));
    assert_true(is_avoided(picker, 0, 0));
    upstream_picker_free(picker);
}

/* A single target is asked whatever it did: there is nobody else. */
static void single_target_is_always_asked(void **state)
{
    struct upstream_picker *picker = made(1, (struct upstream_health_rules){.panic_percent = 1});

    (void)state;
    fail_times(picker, 0, 20, 0);
    assert_int_equal(upstream_target_state(picker, 0, 0).ejections, 1);
    assert_int_equal(upstream_panic_picks(picker), 15);
    ask(picker, 0, 10 * SECOND);
    assert_int_equal(upstream_panic_picks(picker), 15);
    ends(picker, 0, UPSTREAM_WELL, 10 * SECOND);
    assert_false(upstream_is_panicking(picker, 10 * SECOND));
    upstream_picker_free(picker);
}

/* The reference. */
struct model_target {
    enum { IS_WELL, IS_OUT, IS_TRIED } health;
    bool down, drained;
    uint32_t fails, checks_against, recent, ejections, flying;
    int64_t until_ms, well_since_ms;
};

struct model {
    struct model_target targets[TARGETS];
    uint64_t panic_picks;
};

static const struct upstream_health_rules model_rules = {.fails_max = 3,
                                                         .eject_ns = 100 * MS,
                                                         .eject_most_ns = 450 * MS,
                                                         .panic_percent = 40,
                                                         .rise = 2,
                                                         .fall = 3};

static bool model_may_try(const struct model_target *it, int64_t now_ms)
{
    return (it->health == IS_OUT && now_ms >= it->until_ms) ||
           (it->health == IS_TRIED && (it->flying == 0 || now_ms >= it->until_ms));
}

/* Who may be asked; *ret_panic: all that are not drained. */
static uint64_t model_asked(const struct model *model, int64_t now_ms, bool *ret_panic)
{
    uint64_t open = 0, well = 0;
    unsigned open_count = 0, well_count = 0;

    for (size_t i = 0; i < TARGETS; i++) {
        const struct model_target *it = &model->targets[i];

        if (it->drained)
            continue;
        open |= UINT64_C(1) << i;
        open_count++;
        if (!it->down && (it->health == IS_WELL || model_may_try(it, now_ms))) {
            well |= UINT64_C(1) << i;
            well_count++;
        }
    }
    *ret_panic = well_count * 100 < model_rules.panic_percent * open_count;
    return *ret_panic ? open : well;
}

static uint32_t model_recent(const struct model_target *it, int64_t now_ms)
{
    int64_t forgotten = 0;

    if (it->health == IS_WELL && it->recent > 0)
        forgotten = (now_ms - it->well_since_ms) / 600;
    return forgotten < it->recent ? it->recent - (uint32_t)forgotten : 0;
}

static void model_fails(struct model_target *it, int64_t now_ms)
{
    if (it->health == IS_OUT || (it->health == IS_WELL && ++it->fails < model_rules.fails_max))
        return;
    it->recent = model_recent(it, now_ms) + 1;
    if (it->recent > 5)
        it->recent = 5;
    it->health = IS_OUT;
    it->until_ms = now_ms + (it->recent < 5 ? it->recent * 100 : 450);
    it->fails = 0;
    it->ejections++;
}

static void model_succeeds(struct model_target *it, int64_t now_ms)
{
    if (it->health == IS_OUT)
        return;
    if (it->health == IS_TRIED)
        it->well_since_ms = now_ms;
    it->health = IS_WELL;
    it->fails = 0;
}

static void model_checked(struct model_target *it, bool well)
{
    it->checks_against = well == it->down ? it->checks_against + 1 : 0;
    if (it->checks_against == (it->down ? model_rules.rise : model_rules.fall)) {
        it->down = !it->down;
        it->checks_against = 0;
    }
}

struct run {
    struct upstream_picker *pickers[PICKERS];
    struct model models[PICKERS];
    size_t flights[PICKERS][FLIGHTS_MAX];
    size_t flight_count[PICKERS];
    struct random_seeded random;
    int64_t now_ms;
    uint64_t trials;
};

static void step_pick(struct run *run, size_t p)
{
    struct model *model = &run->models[p];
    uint64_t tried = test_draw(&run->random, 4) == 0 ? test_draw(&run->random, 1 << TARGETS) : 0;
    bool panic;
    uint64_t asked = model_asked(model, run->now_ms, &panic);
    size_t got = pick(run->pickers[p], tried, run->now_ms * MS);
    struct model_target *it;

    if (asked == 0) {
        assert_true(got == UPSTREAM_NO_TARGET);
        return;
    }
    if ((asked & ~tried) != 0)
        asked &= ~tried;
    assert_true(got < TARGETS && (asked >> got & 1) != 0);
    it = &model->targets[got];
    if (model_may_try(it, run->now_ms)) {
        it->health = IS_TRIED;
        it->until_ms = run->now_ms + 100;
        run->trials++;
    }
    it->flying++;
    model->panic_picks += panic;
    run->flights[p][run->flight_count[p]++] = got;
}

static void step_settle(struct run *run, size_t p, uint64_t good_of_ten)
{
    size_t at = test_draw(&run->random, run->flight_count[p]);
    size_t target = run->flights[p][at];
    struct model_target *it = &run->models[p].targets[target];
    uint64_t luck = test_draw(&run->random, 12);

    run->flights[p][at] = run->flights[p][--run->flight_count[p]];
    it->flying--;
    if (luck >= 10) {
        ends(run->pickers[p], target, UPSTREAM_NEUTRAL, run->now_ms * MS);
    } else if (luck < good_of_ten) {
        ends(run->pickers[p], target, UPSTREAM_WELL, run->now_ms * MS);
        model_succeeds(it, run->now_ms);
    } else {
        ends(run->pickers[p], target, UPSTREAM_FAILED, run->now_ms * MS);
        model_fails(it, run->now_ms);
    }
}

static void step_stir(struct run *run, size_t p, bool healthy)
{
    size_t target = test_draw(&run->random, TARGETS);
    struct model_target *it = &run->models[p].targets[target];

    if (test_draw(&run->random, 4) == 0) {
        it->drained = test_draw(&run->random, 4) == 0;
        upstream_drain(run->pickers[p], target, it->drained);
    } else {
        bool well = test_draw(&run->random, 10) < (healthy ? 8U : 4U);

        upstream_checked(run->pickers[p], target, well, run->now_ms * MS);
        model_checked(it, well);
    }
}

static void compare(const struct run *run, size_t p, size_t i)
{
    const struct model_target *it = &run->models[p].targets[i];
    struct upstream_target_state got = upstream_target_state(run->pickers[p], i, run->now_ms * MS);
    bool out = it->health == IS_OUT && run->now_ms < it->until_ms;
    bool panic;

    (void)model_asked(&run->models[p], run->now_ms, &panic);
    assert_int_equal(upstream_is_panicking(run->pickers[p], run->now_ms * MS), panic);
    assert_int_equal(upstream_panic_picks(run->pickers[p]), run->models[p].panic_picks);
    assert_int_equal(got.down, it->down);
    assert_int_equal(got.drained, it->drained);
    assert_int_equal(got.ejected, out);
    assert_int_equal(got.on_trial, it->health != IS_WELL && !out);
    assert_int_equal(got.in_flight, it->flying);
    assert_int_equal(got.ejections, it->ejections);
    assert_int_equal(got.recent_ejections, model_recent(it, run->now_ms));
}

static void equals_the_reference_over_a_million_steps(void **state)
{
    uint64_t seed = test_seed(20261122);
    uint64_t steps = test_number("PORTCULLIS_TEST_STEPS", STEPS);
    static struct run run;
    uint64_t ejections = 0;
    uint64_t panics = 0;

    (void)state;
    random_seeded_init(&run.random, seed);
    for (size_t p = 0; p < PICKERS; p++)
        run.pickers[p] = made(TARGETS, model_rules);
    for (uint64_t i = 0; i < steps; i++) {
        bool healthy = i / 3000 % 2 == 0;
        size_t p = test_draw(&run.random, PICKERS);

        run.now_ms += test_draw(&run.random, 3) == 0 ? (int64_t)test_draw(&run.random, 20) : 0;
        if (test_draw(&run.random, 20) == 0)
            step_stir(&run, p, healthy);
        else if (run.flight_count[p] < FLIGHTS_MAX &&
                 (run.flight_count[p] == 0 || test_draw(&run.random, 2) == 0))
            step_pick(&run, p);
        else
            step_settle(&run, p, healthy ? 9 : 3);
        compare(&run, p, test_draw(&run.random, TARGETS));
    }
    for (size_t p = 0; p < PICKERS; p++) {
        for (size_t i = 0; i < TARGETS; i++)
            ejections += run.models[p].targets[i].ejections;
        panics += run.models[p].panic_picks;
        upstream_picker_free(run.pickers[p]);
    }
    assert_true(ejections > steps / 200 && run.trials > steps / 200 && panics > steps / 100);
}

/* A picker in place of another knows what that knew, late results too; and an operator's word
 * counts for more than the settings. */
static void a_new_picker_forgets_nothing(void **state)
{
    static const uint32_t weights[] = {1, 2, 3};
    static const struct span before[] = {SPAN("a"), SPAN("b"), SPAN("c")};
    static const struct span after[] = {SPAN("c"), SPAN("d"), SPAN("b")};
    const struct upstream_health_rules rules = {.fails_max = 3, .panic_percent = 1};
    struct upstream_picker *former, *now;

    (void)state;
    memset(&turn, 0, sizeof(turn));
    assert_int_equal(upstream_picker_renew(NULL, UPSTREAM_ROUND_ROBIN, weights, before, 3, &rules,
                                           UINT64_MAX, &former),
                     ERR_OK);
    fail_times(former, 1, 3, 0);
    ask(former, 2, 0);
    upstream_hold(former, 0, true);
    upstream_hold(former, 2, false);
    memset(&turn, 0, sizeof(turn));
    assert_int_equal(upstream_picker_renew(former, UPSTREAM_LEAST_REQUESTS, weights, after, 3,
                                           &rules, UINT64_MAX, &now),
                     ERR_OK);
    assert_true(is_ejected(now, 2, 1));
    assert_true(is_avoided(now, 2, 1));
    assert_int_equal(upstream_target_state(now, 0, 1).in_flight, 1);
    assert_int_equal(upstream_target_state(now, 1, 1).ejections, 0);
    upstream_drain_as_set(now, 0, true);
    assert_false(upstream_target_state(now, 0, 1).drained);
    upstream_drain_as_set(now, 1, true);
    assert_true(upstream_target_state(now, 1, 1).drained);
    upstream_drain_as_set(now, 1, false);
    ends(former, 2, UPSTREAM_WELL, MS);
    assert_int_equal(upstream_target_state(now, 0, MS).in_flight, 0);
    assert_int_equal(upstream_target_state(now, 0, MS).latency_ns, MS);
    fail_times(former, 2, 3, SECOND);
    upstream_picker_refresh(now);
    assert_true(is_avoided(now, 0, SECOND + 1));
    upstream_picker_free(former);
    assert_true(is_ejected(now, 2, 1));
    upstream_picker_free(now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_picker_forgets_nothing),
        cmocka_unit_test(failures_in_a_row_eject),
        cmocka_unit_test(one_trial_decides),
        cmocka_unit_test(a_trial_may_go_on_for_long),
        cmocka_unit_test(silent_trials_are_given_up),
        cmocka_unit_test(late_results_do_not_count),
        cmocka_unit_test(ejections_grow_are_bounded_and_forgotten),
        cmocka_unit_test(checks_rise_and_fall),
        cmocka_unit_test(checks_and_ejection_are_apart),
        cmocka_unit_test(panic_asks_everybody),
        cmocka_unit_test(single_target_is_always_asked),
        cmocka_unit_test(equals_the_reference_over_a_million_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
