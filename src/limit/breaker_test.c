/* SPDX-License-Identifier: MIT
 * The breaker's story step by step, then against a reference with plain variables over a million
 * random steps, then with many threads that count what runs at once. */
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

#define SECOND CLOCK_NS_PER_S

enum { STEPS = 1000000, CALLS = 150000, THREADS = 8, MOVES_MAX = 64, TICKETS_MAX = 24 };

struct record {
    struct breaker_move moves[MOVES_MAX];
    _Atomic uint32_t count;
};

static void remember(void *context, const struct breaker_move *move)
{
    struct record *record = context;
    uint32_t at = atomic_fetch_add(&record->count, 1);

    record->moves[at % MOVES_MAX] = *move;
}

static struct breaker *made(struct breaker_options options)
{
    struct breaker *breaker = NULL;

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

static int64_t refused(struct breaker *breaker, int64_t now_ns)
{
    struct breaker_ticket ticket;
    int64_t retry_after_ns = 0;

    assert_false(breaker_admit(breaker, now_ns, &ticket, &retry_after_ns));
    assert_true(retry_after_ns > 0);
    return retry_after_ns;
}

static void fail_times(struct breaker *breaker, int times, int64_t now_ns)
{
    for (int i = 0; i < times; i++)
        breaker_report(breaker, admitted(breaker, now_ns), false, now_ns);
}

/* Five failures in a row open it; a success between them starts the count again. */
static void opens_after_failures_in_a_row(void **state)
{
    struct breaker *breaker = made((struct breaker_options){0});

    (void)state;
    fail_times(breaker, 4, 0);
    breaker_report(breaker, admitted(breaker, 0), true, 0);
    fail_times(breaker, 4, 0);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    fail_times(breaker, 1, SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
    assert_int_equal(refused(breaker, SECOND), 60 * SECOND);
    assert_int_equal(refused(breaker, 60 * SECOND), SECOND);
    breaker_free(breaker);
}

/* One probe at a time; it decides. */
/* Thresholds move while it works; one that is open stays so for its time. */
static void thresholds_may_change(void **state)
{
    struct breaker *breaker = made((struct breaker_options){.failures = 3, .open_ns = SECOND});
    struct breaker_ticket probes[2];

    (void)state;
    fail_times(breaker, 2, SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    breaker_adjust(breaker, 4, 10 * SECOND, 2);
    fail_times(breaker, 1, SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    breaker_adjust(breaker, 2, 10 * SECOND, 2);
    fail_times(breaker, 1, SECOND); /* the fourth in a row */
    assert_int_equal(refused(breaker, SECOND), 10 * SECOND);
    breaker_adjust(breaker, 0, SECOND, 0);
    assert_int_equal(refused(breaker, SECOND), 10 * SECOND);
    breaker_adjust(breaker, 1, SECOND, 2);
    for (size_t i = 0; i < 2; i++)
        probes[i] = admitted(breaker, 11 * SECOND);
    (void)refused(breaker, 11 * SECOND);
    breaker_report(breaker, probes[0], true, 11 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    fail_times(breaker, 1, 11 * SECOND);
    assert_int_equal(refused(breaker, 11 * SECOND), SECOND);
    breaker_free(breaker);
}

static void probe_decides_what_comes_next(void **state)
{
    struct record record = {0};
    struct breaker *breaker = made((struct breaker_options){.moved = remember, .context = &record});
    struct breaker_ticket probe;

    (void)state;
    fail_times(breaker, 5, 0);
    probe = admitted(breaker, 60 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_HALF_OPEN);
    assert_int_equal(refused(breaker, 70 * SECOND), 20 * SECOND);
    breaker_report(breaker, probe, false, 71 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
    assert_int_equal(refused(breaker, 71 * SECOND), 60 * SECOND);

    probe = admitted(breaker, 131 * SECOND);
    breaker_report(breaker, probe, true, 132 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    fail_times(breaker, 4, 133 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);

    assert_int_equal(atomic_load(&record.count), 5);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(record.moves[i].number, i + 1);
    assert_int_equal(record.moves[0].from, BREAKER_CLOSED);
    assert_int_equal(record.moves[0].to, BREAKER_OPEN);
    assert_int_equal(record.moves[4].to, BREAKER_CLOSED);
    assert_int_equal(record.moves[4].now_ns, 132 * SECOND);
    assert_int_equal(breaker_moves(breaker, BREAKER_OPEN), 2);
    assert_int_equal(breaker_moves(breaker, BREAKER_HALF_OPEN), 2);
    assert_int_equal(breaker_moves(breaker, BREAKER_CLOSED), 1);
    breaker_free(breaker);
}

/* Who watches sees that the time is over before anybody asks, and looking changes nothing. */
static void time_opens_it_by_half(void **state)
{
    struct breaker *breaker = made((struct breaker_options){0});

    (void)state;
    assert_int_equal(breaker_state_at(breaker, 100 * SECOND), BREAKER_CLOSED);
    fail_times(breaker, 5, 0);
    assert_int_equal(breaker_state_at(breaker, 0), BREAKER_OPEN);
    assert_int_equal(breaker_state_at(breaker, 60 * SECOND - 1), BREAKER_OPEN);
    assert_int_equal(breaker_state_at(breaker, 60 * SECOND), BREAKER_HALF_OPEN);
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
    assert_int_equal(breaker_moves(breaker, BREAKER_HALF_OPEN), 0);
    breaker_report(breaker, admitted(breaker, 60 * SECOND), false, 61 * SECOND);
    assert_int_equal(breaker_state_at(breaker, 61 * SECOND), BREAKER_OPEN);
    breaker_free(breaker);
}

/* A report about an earlier state changes nothing, neither for good nor for bad. */
static void late_reports_do_not_count(void **state)
{
    struct breaker *breaker = made((struct breaker_options){.failures = 2});
    struct breaker_ticket early = admitted(breaker, 0);
    struct breaker_ticket early_too = admitted(breaker, 0);
    struct breaker_ticket probe;

    (void)state;
    fail_times(breaker, 2, 0);
    breaker_report(breaker, early, true, SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
    probe = admitted(breaker, 60 * SECOND);
    breaker_report(breaker, early_too, false, 60 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_HALF_OPEN);
    breaker_report(breaker, probe, true, 60 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    breaker_free(breaker);
}

/* Exactly as many probes as agreed; one that is lost is replaced after its time, and its report is
 * worth nothing then. */
static void probes_are_bounded_and_may_be_lost(void **state)
{
    struct breaker *breaker = made((struct breaker_options){
        .failures = 1, .probes = 3, .successes_needed = 4, .probe_ns = 10 * SECOND});
    struct breaker_ticket probes[3];

    (void)state;
    fail_times(breaker, 1, 0);
    for (int i = 0; i < 3; i++)
        probes[i] = admitted(breaker, (60 + i) * SECOND);
    assert_int_equal(refused(breaker, 63 * SECOND), 7 * SECOND);
    breaker_abandon(breaker, probes[1]);
    probes[1] = admitted(breaker, 63 * SECOND);
    (void)refused(breaker, 63 * SECOND);

    breaker_report(breaker, probes[0], false, 70 * SECOND); /* too late by a moment */
    assert_int_equal(breaker_state(breaker), BREAKER_HALF_OPEN);
    breaker_report(breaker, probes[2], true, 70 * SECOND);
    breaker_report(breaker, probes[1], true, 70 * SECOND);
    for (int i = 0; i < 2; i++)
        breaker_report(breaker, admitted(breaker, 70 * SECOND), true, 70 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    breaker_free(breaker);
}

/* Successes of one half-open time do not help the next. */
static void successes_do_not_outlive_their_state(void **state)
{
    struct breaker *breaker =
        made((struct breaker_options){.failures = 1, .successes_needed = 2, .open_ns = SECOND});

    (void)state;
    fail_times(breaker, 1, 0);
    breaker_report(breaker, admitted(breaker, SECOND), true, SECOND);
    breaker_report(breaker, admitted(breaker, SECOND), false, SECOND);
    breaker_report(breaker, admitted(breaker, 2 * SECOND), true, 2 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_HALF_OPEN);
    breaker_report(breaker, admitted(breaker, 2 * SECOND), true, 2 * SECOND);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    breaker_free(breaker);
}

/* A share of slow calls without a bound of what is slow is no rule at all. */
static void nothing_is_slow_without_a_bound(void **state)
{
    struct breaker *breaker = made((struct breaker_options){.slow_percent = 50});

    (void)state;
    for (int i = 0; i < 100; i++)
        breaker_report_timed(breaker, admitted(breaker, 0), true, SECOND, 0);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    assert_int_equal(breaker_sums(breaker, 0).calls, 0); /* nobody counts */
    breaker_free(breaker);
}

/* Half a millisecond is rounded up, so that nobody is let in early. */
static void waits_are_rounded_up(void **state)
{
    struct breaker *breaker = made((struct breaker_options){.failures = 1, .open_ns = 1500000});

    (void)state;
    fail_times(breaker, 1, 999999);
    (void)refused(breaker, 2499998);
    (void)admitted(breaker, 3000000);
    breaker_free(breaker);
}

static void states_have_their_names(void **state)
{
    (void)state;
    assert_string_equal(breaker_state_name(BREAKER_CLOSED), "closed");
    assert_string_equal(breaker_state_name(BREAKER_OPEN), "open");
    assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
}

/* The reference: plain variables, one thread, a list of who holds a probe. */
struct model {
    const struct breaker_options *options;
    enum breaker_state state;
    uint32_t moves;
    uint32_t failures, successes;
    int64_t open_until_ms;
    int64_t probe_until_ms[BREAKER_PROBES_MAX]; /* 0: free */
};

struct model_ticket {
    uint32_t moves; /* when it was given */
    int probe;      /* -1: none */
    int64_t until_ms;
};

static void model_move(struct model *model, enum breaker_state to)
{
    model->state = to;
    model->moves++;
    model->failures = model->successes = 0;
    memset(model->probe_until_ms, 0, sizeof(model->probe_until_ms));
}

static bool model_admit(struct model *model, int64_t now_ms, struct model_ticket *ret_ticket)
{
    if (model->state == BREAKER_OPEN && now_ms >= model->open_until_ms)
        model_move(model, BREAKER_HALF_OPEN);
    *ret_ticket = (struct model_ticket){.moves = model->moves, .probe = -1};
    if (model->state != BREAKER_HALF_OPEN)
        return model->state == BREAKER_CLOSED;
    for (int i = 0; i < (int)model->options->probes; i++) {
        if (model->probe_until_ms[i] > now_ms)
            continue;
        ret_ticket->probe = i;
        ret_ticket->until_ms = now_ms + model->options->probe_ns / CLOCK_NS_PER_MS;
        model->probe_until_ms[i] = ret_ticket->until_ms;
        return true;
    }
    return false;
}

static void model_report(struct model *model, struct model_ticket ticket, bool ok, int64_t now_ms)
{
    if (ticket.moves != model->moves)
        return;
    if (ticket.probe >= 0) {
        if (model->probe_until_ms[ticket.probe] != ticket.until_ms)
            return; /* given up, and somebody else has it */
        model->probe_until_ms[ticket.probe] = 0;
        if (now_ms >= ticket.until_ms)
            return;
        model->successes += ok;
        if (ok && model->successes >= model->options->successes_needed)
            model_move(model, BREAKER_CLOSED);
    } else {
        model->failures = ok ? 0 : model->failures + 1;
    }
    if (!ok && (ticket.probe >= 0 || model->failures >= model->options->failures)) {
        model_move(model, BREAKER_OPEN);
        model->open_until_ms = now_ms + model->options->open_ns / CLOCK_NS_PER_MS;
    }
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
};

static void step_admit(struct run *run)
{
    struct pair *pair = &run->pairs[run->pair_count];
    int64_t retry_after_ns = 0;
    bool expected = model_admit(&run->model, run->now_ms, &pair->model);

    assert_int_equal(
        breaker_admit(run->breaker, run->now_ms * CLOCK_NS_PER_MS, &pair->ticket, &retry_after_ns),
        expected);
    if (expected)
        run->pair_count++;
    else if (run->model.state == BREAKER_OPEN)
        assert_int_equal(retry_after_ns,
                         (run->model.open_until_ms - run->now_ms) * CLOCK_NS_PER_MS);
    else
        assert_true(retry_after_ns > 0);
}

static void step_end(struct run *run, bool healthy)
{
    size_t at = test_draw(&run->random, run->pair_count);
    struct pair pair = run->pairs[at];
    bool ok = test_draw(&run->random, 10) < (healthy ? 8U : 3U);

    run->pairs[at] = run->pairs[--run->pair_count];
    if (test_draw(&run->random, 20) == 0) {
        breaker_abandon(run->breaker, pair.ticket);
        if (pair.model.probe >= 0 && pair.model.moves == run->model.moves &&
            run->model.probe_until_ms[pair.model.probe] == pair.model.until_ms)
            run->model.probe_until_ms[pair.model.probe] = 0;
        return;
    }
    breaker_report(run->breaker, pair.ticket, ok, run->now_ms * CLOCK_NS_PER_MS);
    model_report(&run->model, pair.model, ok, run->now_ms);
}

static void equals_the_reference_over_a_million_steps(void **state)
{
    const struct breaker_options options = {.failures = 3,
                                            .open_ns = 500 * CLOCK_NS_PER_MS,
                                            .probes = 2,
                                            .successes_needed = 3,
                                            .probe_ns = 40 * CLOCK_NS_PER_MS};
    struct run run = {.breaker = made(options), .model = {.options = &options}};

    (void)state;
    random_seeded_init(&run.random, test_seed(20260203));
    for (int i = 0; i < STEPS; i++) {
        bool healthy = i / 1000 % 2 == 0;

        run.now_ms += test_draw(&run.random, 3) == 0 ? (int64_t)test_draw(&run.random, 20) : 0;
        if (run.pair_count < TICKETS_MAX && (run.pair_count == 0 || test_draw(&run.random, 2) == 0))
            step_admit(&run);
        else
            step_end(&run, healthy);
        assert_int_equal(breaker_state(run.breaker), run.model.state);
    }
    assert_true(breaker_moves(run.breaker, BREAKER_OPEN) > 1000);
    assert_true(breaker_moves(run.breaker, BREAKER_CLOSED) > 100);
    assert_int_equal(breaker_moves(run.breaker, BREAKER_OPEN) +
                         breaker_moves(run.breaker, BREAKER_CLOSED) +
                         breaker_moves(run.breaker, BREAKER_HALF_OPEN),
                     run.model.moves);
    breaker_free(run.breaker);
}

struct crowd {
    struct breaker *breaker;
    pthread_barrier_t all_here;
    _Atomic int64_t now_ns;
    _Atomic int64_t probes_running;
    _Atomic uint64_t moves_told[BREAKER_STATE_COUNT];
    _Atomic bool too_many;
    _Atomic uint64_t numbers; /* the sum of all transition numbers */
};

static void count_move(void *context, const struct breaker_move *move)
{
    struct crowd *crowd = context;

    (void)atomic_fetch_add(&crowd->moves_told[move->to], 1);
    (void)atomic_fetch_add(&crowd->numbers, move->number);
}

static void *crowd_run(void *context)
{
    struct crowd *crowd = context;

    (void)pthread_barrier_wait(&crowd->all_here);
    for (unsigned i = 0; i < CALLS; i++) {
        int64_t now_ns = atomic_fetch_add(&crowd->now_ns, CLOCK_NS_PER_MS);
        struct breaker_ticket ticket;
        int64_t retry_after_ns;

        if (breaker_admit(crowd->breaker, now_ns, &ticket, &retry_after_ns))
            breaker_report(crowd->breaker, ticket, i % 3 != 0, now_ns);
    }
    return NULL;
}

static void crowd_runs(struct crowd *crowd, void *(*run)(void *))
{
    pthread_t threads[THREADS];

    assert_int_equal(pthread_barrier_init(&crowd->all_here, NULL, THREADS), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, crowd), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)pthread_barrier_destroy(&crowd->all_here);
}

/* All threads open, probe and close it; each transition is told once, with its own number. */
static void crowd_tells_each_transition_once(void **state)
{
    struct crowd crowd = {0};
    uint64_t moves = 0;

    (void)state;
    crowd.breaker = made((struct breaker_options){.failures = 1,
                                                  .open_ns = CLOCK_NS_PER_MS,
                                                  .probes = 2,
                                                  .moved = count_move,
                                                  .context = &crowd});
    crowd_runs(&crowd, crowd_run);
    for (int i = 0; i < BREAKER_STATE_COUNT; i++) {
        assert_int_equal(breaker_moves(crowd.breaker, (enum breaker_state)i),
                         atomic_load(&crowd.moves_told[i]));
        moves += atomic_load(&crowd.moves_told[i]);
    }
    /* The numbers are 1 to n. */
    assert_int_equal(atomic_load(&crowd.numbers), moves * (moves + 1) / 2);
    assert_true(moves > 10000);
    breaker_free(crowd.breaker);
}

/* One half-open time, all threads at its door: never more than one inside. */
static void *door_run(void *context)
{
    struct crowd *crowd = context;

    (void)pthread_barrier_wait(&crowd->all_here);
    for (unsigned i = 0; i < CALLS; i++) {
        struct breaker_ticket ticket;
        int64_t retry_after_ns;

        if (!breaker_admit(crowd->breaker, 100 * SECOND, &ticket, &retry_after_ns))
            continue;
        if (atomic_fetch_add(&crowd->probes_running, 1) >= 1)
            atomic_store(&crowd->too_many, true);
        (void)atomic_fetch_sub(&crowd->probes_running, 1);
        if (i % 3 == 0)
            breaker_abandon(crowd->breaker, ticket);
        else
            breaker_report(crowd->breaker, ticket, true, 100 * SECOND);
    }
    return NULL;
}

static void door_of_a_half_open_breaker_holds(void **state)
{
    struct crowd crowd = {0};

    (void)state;
    crowd.breaker = made((struct breaker_options){
        .failures = 1, .probes = 1, .successes_needed = UINT32_MAX, .probe_ns = SECOND});
    fail_times(crowd.breaker, 1, 0);
    crowd_runs(&crowd, door_run);
    assert_false(atomic_load(&crowd.too_many));
    assert_int_equal(breaker_state(crowd.breaker), BREAKER_HALF_OPEN);
    breaker_free(crowd.breaker);
}

static void failing_heap_is_an_error(void **state)
{
    struct breaker *breaker = NULL;

    (void)state;
    alloc_fail_at(1);
    assert_int_equal(breaker_new(&(struct breaker_options){0}, &breaker), ERR_NO_MEMORY);
    assert_null(breaker);
    breaker_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_after_failures_in_a_row),
        cmocka_unit_test(thresholds_may_change),
        cmocka_unit_test(probe_decides_what_comes_next),
        cmocka_unit_test(time_opens_it_by_half),
        cmocka_unit_test(late_reports_do_not_count),
        cmocka_unit_test(probes_are_bounded_and_may_be_lost),
        cmocka_unit_test(successes_do_not_outlive_their_state),
        cmocka_unit_test(nothing_is_slow_without_a_bound),
        cmocka_unit_test(waits_are_rounded_up),
        cmocka_unit_test(states_have_their_names),
        cmocka_unit_test(equals_the_reference_over_a_million_steps),
        cmocka_unit_test(crowd_tells_each_transition_once),
        cmocka_unit_test(door_of_a_half_open_breaker_holds),
        cmocka_unit_test(failing_heap_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
