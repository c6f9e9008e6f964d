/* SPDX-License-Identifier: MIT
 * Shares of errors and slow calls: the story step by step, then against a reference that keeps a
 * list of all calls over two million random steps, then with many threads. */
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
#include "base/span.h"
#include "limit/breaker.h"
#include "limit/breaker_window.h"

#define SECOND CLOCK_NS_PER_S
#define MS     CLOCK_NS_PER_MS

enum { STEPS = 2000000, TICKETS_MAX = 24, THREADS = 8, CALLS = 100000, BUCKETS = 10 };

static enum breaker_why last_why;

static void remember(void *context, const struct breaker_move *move)
{
    (void)context;
    last_why = move->why;
}

static struct breaker *made(struct breaker_options options)
{
    struct breaker *breaker = NULL;

    if (options.moved == NULL)
        options.moved = remember;
    assert_int_equal(breaker_new(&options, &breaker), ERR_OK);
    return breaker;
}

static struct breaker_ticket admitted(struct breaker *breaker, int64_t now_ns)
{
    struct breaker_ticket ticket = {0};
    int64_t retry_after_ns = 0;

    assert_true(breaker_admit(breaker, now_ns, &ticket, &retry_after_ns));
    return ticket;
}

static void refused(struct breaker *breaker, int64_t now_ns)
{
    struct breaker_ticket ticket;
    int64_t retry_after_ns = 0;

    assert_false(breaker_admit(breaker, now_ns, &ticket, &retry_after_ns));
    assert_true(retry_after_ns > 0);
}

static void calls(struct breaker *breaker, int times, bool ok, int64_t took_ns, int64_t now_ns)
{
    for (int i = 0; i < times; i++)
        breaker_report_timed(breaker, admitted(breaker, now_ns), ok, took_ns, now_ns);
}

/* Never many in a row, but six of ten. */
static void share_of_errors_opens_it(void **state)
{
    struct breaker *breaker = made((struct breaker_options){
        .failures = 1000, .window_ns = 10 * SECOND, .calls_min = 10, .error_percent = 60});

    (void)state;
    for (int i = 0; i < 3; i++) {
        calls(breaker, 2, false, 0, i * SECOND);
        calls(breaker, 1, true, 0, i * SECOND);
    }
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED); /* nine of ten calls */
    calls(breaker, 1, true, 0, 3 * SECOND); /* the tenth, though it is well: six of ten failed */
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
    assert_int_equal(last_why, BREAKER_WHY_ERROR_RATE);
    breaker_free(breaker);
}

static void below_the_share_it_stays_closed(void **state)
{
    struct breaker *breaker = made((struct breaker_options){
        .failures = 1000, .window_ns = 10 * SECOND, .calls_min = 10, .error_percent = 60});

    (void)state;
    for (int i = 0; i < 200; i++) {
        calls(breaker, 1, true, 0, i * MS);
        calls(breaker, 1, false, 0, i * MS);
    }
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    assert_int_equal(breaker_sums(breaker, 200 * MS).calls, 400);
    assert_int_equal(breaker_sums(breaker, 200 * MS).errors, 200);
    breaker_free(breaker);
}

/* Left out, the volume is twenty calls: nineteen open nothing, however they end. */
static void few_calls_say_nothing(void **state)
{
    struct breaker *breaker = made(
        (struct breaker_options){.failures = 1000, .window_ns = 10 * SECOND, .error_percent = 50});

    (void)state;
    calls(breaker, 19, false, 0, 0);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    calls(breaker, 1, false, 0, 0);
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
    assert_int_equal(last_why, BREAKER_WHY_ERROR_RATE);
    breaker_free(breaker);
}

/* What has left the window is neither held against it nor makes up the volume. */
static void the_window_moves_on(void **state)
{
    struct breaker *breaker = made((struct breaker_options){
        .failures = 1000, .window_ns = 10 * SECOND, .calls_min = 10, .error_percent = 50});

    (void)state;
    calls(breaker, 9, false, 0, 0);
    calls(breaker, 9, false, 0, 10 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    assert_int_equal(breaker_sums(breaker, 10 * SECOND).calls, 9);
    assert_int_equal(breaker_sums(breaker, 19 * SECOND).calls, 9);
    assert_int_equal(breaker_sums(breaker, 20 * SECOND).calls, 0);
    calls(breaker, 1, false, 0, 19 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
    breaker_free(breaker);
}

/* 65,536 rounds of the ring later a bucket's round number is the same again. */
static void a_round_that_comes_again_is_another(void **state)
{
    struct breaker *breaker = made((struct breaker_options){
        .failures = 1000, .window_ns = 10 * SECOND, .calls_min = 10, .error_percent = 50});
    int64_t later_ns = 65536 * 10 * SECOND;

    (void)state;
    calls(breaker, 9, false, 0, SECOND);
    calls(breaker, 1, true, 0, SECOND + later_ns);
    assert_int_equal(breaker_sums(breaker, SECOND + later_ns).calls, 1);
    for (int64_t i = 0; i <= 65536 * 10; i += 2) /* every other stretch is passed over */
        calls(breaker, 1, true, 0, i * SECOND + 2 * later_ns);
    assert_int_equal(breaker_sums(breaker, 3 * later_ns).calls, 5);
    breaker_free(breaker);
}

/* A place that is passed over in each round does not wait there until its number comes again. */
static void a_place_passed_over_is_cleared(void **state)
{
    struct breaker_window window;
    const uint64_t rounds = 65536;

    (void)state;
    breaker_window_init(&window, 10 * SECOND);
    (void)breaker_window_add(&window, 3000, true, true);
    for (uint64_t s = 4; s < 3 + rounds * BUCKETS; s++) {
        if (s % BUCKETS != 3)
            (void)breaker_window_add(&window, s * 1000, false, false);
    }
    assert_int_equal(breaker_window_read(&window, (3 + rounds * BUCKETS) * 1000).calls, 9);
    assert_int_equal(breaker_window_read(&window, (3 + rounds * BUCKETS) * 1000).errors, 0);
}

/* As short as can be: a millisecond a place. */
static void a_short_window_is_one(void **state)
{
    struct breaker_window window;

    (void)state;
    breaker_window_init(&window, 3 * MS);
    assert_int_equal(window.bucket_ms, 1);
    breaker_window_init(&window, 0);
    assert_int_equal(window.bucket_ms, 0);
}

/* A count that is full is halved with those beside it. */
static void full_counts_keep_their_shares(void **state)
{
    struct breaker_window window;
    struct breaker_counts counts = {0};

    (void)state;
    breaker_window_init(&window, 10 * SECOND);
    for (uint32_t i = 0; i < 65536; i++)
        counts = breaker_window_add(&window, 0, true, true);
    assert_int_equal(counts.calls, 32768);
    assert_int_equal(counts.errors, 32768);
    assert_int_equal(counts.slow, 32768);
}

static void slow_calls_open_it(void **state)
{
    struct breaker *breaker = made((struct breaker_options){.failures = 1000,
                                                            .window_ns = 10 * SECOND,
                                                            .calls_min = 4,
                                                            .slow_percent = 50,
                                                            .slow_ns = 100 * MS});

    (void)state;
    calls(breaker, 3, true, 99 * MS, 0);
    calls(breaker, 2, true, 100 * MS, 0);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    calls(breaker, 1, true, 5 * SECOND, 0);
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
    assert_int_equal(last_why, BREAKER_WHY_SLOW_RATE);
    breaker_free(breaker);
}

/* A probe that answers, but as slowly as before, shows that nothing is better. */
static void a_slow_probe_opens_it_again(void **state)
{
    struct breaker *breaker = made((struct breaker_options){
        .open_ns = SECOND, .calls_min = 1, .slow_percent = 100, .slow_ns = 100 * MS});

    (void)state;
    calls(breaker, 1, true, SECOND, 0);
    calls(breaker, 1, true, SECOND, SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
    assert_int_equal(last_why, BREAKER_WHY_PROBE_FAILED);
    calls(breaker, 1, true, MS, 2 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    assert_int_equal(last_why, BREAKER_WHY_PROBES_PASSED);
    breaker_free(breaker);
}

/* What was counted before it opened is not held against it when it closes again. */
static void it_closes_with_an_empty_window(void **state)
{
    struct breaker *breaker = made((struct breaker_options){.failures = 1000,
                                                            .open_ns = SECOND,
                                                            .window_ns = 100 * SECOND,
                                                            .calls_min = 10,
                                                            .error_percent = 50});

    (void)state;
    calls(breaker, 10, false, 0, 0);
    calls(breaker, 1, true, 0, SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    assert_int_equal(breaker_sums(breaker, SECOND).calls, 0);
    calls(breaker, 9, false, 0, SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    breaker_free(breaker);
}

/* Three and no more, one after the other too; a lost one is replaced. */
static void exactly_so_many_probes_pass(void **state)
{
    struct breaker *breaker = made((struct breaker_options){
        .failures = 1, .open_ns = SECOND, .probes = 3, .exact = true, .probe_ns = SECOND});
    struct breaker_ticket last;

    (void)state;
    calls(breaker, 1, false, 0, 0);
    calls(breaker, 2, true, 0, SECOND);
    last = admitted(breaker, SECOND);
    refused(breaker, SECOND);
    breaker_abandon(breaker, last);
    (void)admitted(breaker, SECOND);
    refused(breaker, SECOND);
    last = admitted(breaker, 2 * SECOND); /* the one before never came back */
    refused(breaker, 2 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_HALF_OPEN);
    breaker_report(breaker, last, true, 2 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);

    calls(breaker, 1, false, 0, 2 * SECOND);
    calls(breaker, 2, true, 0, 3 * SECOND);
    calls(breaker, 1, false, 0, 3 * SECOND); /* the last of them decides too */
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
    breaker_free(breaker);
}

/* A count that is full is halved with the others, so the share stays. */
static void many_calls_keep_their_share(void **state)
{
    struct breaker *breaker = made((struct breaker_options){
        .failures = 1000, .window_ns = 10 * SECOND, .calls_min = 10000, .error_percent = 26});
    struct breaker_sums sums;

    (void)state;
    for (int i = 0; i < 300000; i++)
        calls(breaker, 1, i % 4 != 0, 0, 0);
    sums = breaker_sums(breaker, 0);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    assert_true(sums.calls >= 32767 && sums.calls <= 65535);
    assert_true(sums.errors * 4 > sums.calls - 16 && sums.errors * 4 < sums.calls + 16);
    breaker_free(breaker);
}

static void looking_tells_when_it_may_be_tried(void **state)
{
    struct breaker *breaker = made((struct breaker_options){.failures = 1, .open_ns = SECOND});

    (void)state;
    assert_int_equal(breaker_open_left_ns(breaker, 0), 0);
    calls(breaker, 1, false, 0, 0);
    assert_int_equal(breaker_open_left_ns(breaker, 400 * MS), 600 * MS);
    assert_int_equal(breaker_open_left_ns(breaker, SECOND), 0);
    for (int i = 0; i < BREAKER_WHY_COUNT; i++)
        assert_true(breaker_why_name((enum breaker_why)i)[0] != '\0');
    breaker_free(breaker);
}

/* ---- the reference: every call of the closed state in a list, plain variables for the rest -----
 */

enum { HISTORY_MAX = 1 << 16 };

struct model_call {
    int64_t stretch;
    bool error, slow;
};

struct model {
    struct breaker_options options;
    enum breaker_state state;
    uint32_t moves;
    uint32_t failures;
    uint32_t passed; /* probes */
    int64_t open_until_ms;
    int64_t probe_until_ms[BREAKER_PROBES_MAX]; /* 0: free */
    struct model_call history[HISTORY_MAX];
    size_t count;
    enum breaker_why why;
};

struct model_ticket {
    uint32_t moves;
    int probe; /* -1: none */
    int64_t until_ms;
};

static void model_move(struct model *model, enum breaker_state to, enum breaker_why why,
                       int64_t now_ms)
{
    model->state = to;
    model->why = why;
    model->moves++;
    model->failures = model->passed = 0;
    model->count = to == BREAKER_CLOSED ? 0 : model->count;
    memset(model->probe_until_ms, 0, sizeof(model->probe_until_ms));
    if (to == BREAKER_OPEN)
        model->open_until_ms = now_ms + model->options.open_ns / MS;
}

static bool model_admit(struct model *model, int64_t now_ms, struct model_ticket *ret_ticket)
{
    if (model->state == BREAKER_OPEN && now_ms >= model->open_until_ms)
        model_move(model, BREAKER_HALF_OPEN, BREAKER_WHY_TIME, now_ms);
    *ret_ticket = (struct model_ticket){.moves = model->moves, .probe = -1};
    if (model->state != BREAKER_HALF_OPEN)
        return model->state == BREAKER_CLOSED;
    for (int i = 0; i < (int)model->options.probes; i++) {
        if (model->probe_until_ms[i] > now_ms)
            continue;
        ret_ticket->probe = i;
        ret_ticket->until_ms = now_ms + model->options.probe_ns / MS;
        model->probe_until_ms[i] = ret_ticket->until_ms;
        return true;
    }
    return false;
}

static void model_probe(struct model *model, struct model_ticket ticket, bool ok, int64_t now_ms)
{
    uint32_t needed = model->options.exact ? model->options.probes : 1;
    bool in_time = now_ms < ticket.until_ms;

    if (model->probe_until_ms[ticket.probe] != ticket.until_ms)
        return; /* given up, and somebody else has it */
    model->probe_until_ms[ticket.probe] =
        ok && in_time && model->options.exact ? INT64_MAX : 0; /* it is not let in again */
    if (!in_time)
        return;
    if (!ok)
        model_move(model, BREAKER_OPEN, BREAKER_WHY_PROBE_FAILED, now_ms);
    else if (++model->passed == needed)
        model_move(model, BREAKER_CLOSED, BREAKER_WHY_PROBES_PASSED, now_ms);
}

static void model_sum(const struct model *model, int64_t now_ms, struct breaker_sums *ret)
{
    int64_t now = now_ms / (model->options.window_ns / MS / BUCKETS);

    *ret = (struct breaker_sums){0};
    for (size_t i = model->count; i > 0 && model->history[i - 1].stretch > now - BUCKETS; i--) {
        ret->calls++;
        ret->errors += model->history[i - 1].error;
        ret->slow += model->history[i - 1].slow;
    }
}

static void model_report(struct model *model, struct model_ticket ticket, bool ok, bool slow,
                         int64_t now_ms)
{
    const struct breaker_options *options = &model->options;
    struct breaker_sums sum;

    if (ticket.moves != model->moves)
        return;
    if (ticket.probe >= 0) {
        model_probe(model, ticket, ok && !slow, now_ms);
        return;
    }
    if (model->count == HISTORY_MAX) { /* what is far from any window */
        memmove(model->history, model->history + HISTORY_MAX / 2,
                HISTORY_MAX / 2 * sizeof(model->history[0]));
        model->count = HISTORY_MAX / 2;
    }
    model->history[model->count++] =
        (struct model_call){now_ms / (options->window_ns / MS / BUCKETS), !ok, slow};
    model_sum(model, now_ms, &sum);
    model->failures = ok ? 0 : model->failures + 1;
    if (model->failures >= options->failures)
        model_move(model, BREAKER_OPEN, BREAKER_WHY_FAILURES, now_ms);
    else if (sum.calls >= options->calls_min &&
             sum.errors * 100 >= options->error_percent * sum.calls)
        model_move(model, BREAKER_OPEN, BREAKER_WHY_ERROR_RATE, now_ms);
    else if (sum.calls >= options->calls_min && sum.slow * 100 >= options->slow_percent * sum.calls)
        model_move(model, BREAKER_OPEN, BREAKER_WHY_SLOW_RATE, now_ms);
}

struct pair {
    struct breaker_ticket ticket;
    struct model_ticket model;
};

struct run {
    struct breaker *breaker;
    struct model model;
    struct random_seeded random;
    struct pair pairs[TICKETS_MAX]; /* calls under way */
    size_t pair_count;
    int64_t now_ms;
    uint32_t opened[BREAKER_WHY_COUNT];
};

static void step_admit(struct run *run)
{
    struct pair *pair = &run->pairs[run->pair_count];
    int64_t retry_after_ns = 0;
    bool expected = model_admit(&run->model, run->now_ms, &pair->model);

    assert_int_equal(breaker_admit(run->breaker, run->now_ms * MS, &pair->ticket, &retry_after_ns),
                     expected);
    run->pair_count += expected;
    assert_true(expected || retry_after_ns > 0);
}

/* Times are well, full of errors, or slow, and change. */
static void step_end(struct run *run, unsigned mood)
{
    size_t at = test_draw(&run->random, run->pair_count);
    struct pair pair = run->pairs[at];
    bool ok = test_draw(&run->random, 100) >= (mood == 1 ? 55U : 12U);
    bool slow = test_draw(&run->random, 100) < (mood == 2 ? 60U : 10U);

    run->pairs[at] = run->pairs[--run->pair_count];
    if (test_draw(&run->random, 20) == 0) {
        breaker_abandon(run->breaker, pair.ticket);
        if (pair.model.probe >= 0 && pair.model.moves == run->model.moves &&
            run->model.probe_until_ms[pair.model.probe] == pair.model.until_ms)
            run->model.probe_until_ms[pair.model.probe] = 0;
        return;
    }
    breaker_report_timed(run->breaker, pair.ticket, ok,
                         slow ? run->model.options.slow_ns : run->model.options.slow_ns - 1,
                         run->now_ms * MS);
    model_report(&run->model, pair.model, ok, slow, run->now_ms);
}

static void step_compare(struct run *run, uint32_t moves_before)
{
    struct breaker_sums expected;
    struct breaker_sums sums = breaker_sums(run->breaker, run->now_ms * MS);

    assert_int_equal(breaker_state(run->breaker), run->model.state);
    if (run->model.moves != moves_before) {
        assert_int_equal(last_why, run->model.why);
        run->opened[last_why]++;
    }
    model_sum(&run->model, run->now_ms, &expected);
    assert_memory_equal(&sums, &expected, sizeof(sums));
}

static void run_steps(struct breaker_options options, uint64_t seed)
{
    struct run *run = alloc_zero(sizeof(*run));

    assert_non_null(run);
    run->breaker = made(options);
    run->model.options = options;
    run->now_ms = 1000000;
    random_seeded_init(&run->random, seed);
    for (int i = 0; i < STEPS / 2; i++) {
        uint32_t moves_before = run->model.moves;
        uint64_t quick = test_draw(&run->random, 2);

        run->now_ms += quick == 0 ? (int64_t)test_draw(&run->random, 4) : 0;
        if (test_draw(&run->random, 5000) == 0)
            run->now_ms += (int64_t)test_draw(&run->random, 1000);
        if (run->pair_count < TICKETS_MAX &&
            (run->pair_count == 0 || test_draw(&run->random, 2) == 0))
            step_admit(run);
        else
            step_end(run, (unsigned)(i / 700 % 3));
        step_compare(run, moves_before);
    }
    for (int i = 0; i < BREAKER_WHY_COUNT; i++)
        assert_true(run->opened[i] > 50);
    breaker_free(run->breaker);
    alloc_free(run);
}

static void equals_the_reference_over_two_million_steps(void **state)
{
    struct breaker_options options = {.failures = 6,
                                      .open_ns = 50 * MS,
                                      .probes = 3,
                                      .exact = true,
                                      .probe_ns = 40 * MS,
                                      .window_ns = 200 * MS,
                                      .calls_min = 12,
                                      .error_percent = 40,
                                      .slow_percent = 45,
                                      .slow_ns = 10 * MS};
    uint64_t seed = test_seed(20261122);

    (void)state;
    run_steps(options, seed);
    options.exact = false;
    options.probes = 2;
    run_steps(options, seed + 1);
}

/* ---- many threads ------------------------------------------------------------------------------
 */

struct crowd {
    struct breaker *breaker;
    pthread_barrier_t all_here;
    _Atomic int64_t now_ns;
    _Atomic uint64_t told[BREAKER_WHY_COUNT];
};

static void count_move(void *context, const struct breaker_move *move)
{
    struct crowd *crowd = context;

    (void)atomic_fetch_add(&crowd->told[move->why], 1);
}

static void *crowd_run(void *context)
{
    struct crowd *crowd = context;

    (void)pthread_barrier_wait(&crowd->all_here);
    for (unsigned i = 0; i < CALLS; i++) {
        int64_t now_ns = atomic_fetch_add(&crowd->now_ns, MS / 4);
        struct breaker_ticket ticket;
        int64_t retry_after_ns;

        if (breaker_admit(crowd->breaker, now_ns, &ticket, &retry_after_ns))
            breaker_report_timed(crowd->breaker, ticket, i % 3 != 0, 0, now_ns);
    }
    return NULL;
}

static void crowd_of(struct crowd *crowd)
{
    pthread_t threads[THREADS];

    assert_int_equal(pthread_barrier_init(&crowd->all_here, NULL, THREADS), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, crowd), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)pthread_barrier_destroy(&crowd->all_here);
}

/* A third fails: a share of a half never opens it, one of a fifth does again and again. */
static void a_crowd_keeps_the_share(void **state)
{
    const uint32_t percents[] = {60, 20};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct crowd crowd = {0};
        uint64_t opened;

        crowd.breaker = made((struct breaker_options){.failures = UINT32_MAX,
                                                      .open_ns = MS,
                                                      .window_ns = SECOND,
                                                      .calls_min = 500,
                                                      .error_percent = percents[i],
                                                      .moved = count_move,
                                                      .context = &crowd});
        crowd_of(&crowd);
        opened = atomic_load(&crowd.told[BREAKER_WHY_ERROR_RATE]);
        assert_int_equal(atomic_load(&crowd.told[BREAKER_WHY_FAILURES]), 0);
        assert_int_equal(breaker_moves(crowd.breaker, BREAKER_OPEN),
                         opened + atomic_load(&crowd.told[BREAKER_WHY_PROBE_FAILED]));
        assert_true(i == 0 ? opened == 0 : opened > 50);
        breaker_free(crowd.breaker);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(share_of_errors_opens_it),
        cmocka_unit_test(below_the_share_it_stays_closed),
        cmocka_unit_test(few_calls_say_nothing),
        cmocka_unit_test(the_window_moves_on),
        cmocka_unit_test(a_round_that_comes_again_is_another),
        cmocka_unit_test(a_place_passed_over_is_cleared),
        cmocka_unit_test(a_short_window_is_one),
        cmocka_unit_test(full_counts_keep_their_shares),
        cmocka_unit_test(slow_calls_open_it),
        cmocka_unit_test(a_slow_probe_opens_it_again),
        cmocka_unit_test(it_closes_with_an_empty_window),
        cmocka_unit_test(exactly_so_many_probes_pass),
        cmocka_unit_test(many_calls_keep_their_share),
        cmocka_unit_test(looking_tells_when_it_may_be_tried),
        cmocka_unit_test(equals_the_reference_over_two_million_steps),
        cmocka_unit_test(a_crowd_keeps_the_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
