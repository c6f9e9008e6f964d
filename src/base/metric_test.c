/* SPDX-License-Identifier: MIT
 * The registry at its edges: exact text, exact sums over more threads than there are slots, the cap
 * on series, and a heap that fails. */
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
#include "base/metric_priv.h"
#include "base/thread.h"

enum { THREADS = 80, ADDITIONS = 20000 };

static const struct metric_def requests = {.name = "requests_total",
                                           .help = "Requests\\answered\nsince start.",
                                           .kind = METRIC_COUNTER,
                                           .labels = {"route", "status"}};
static const struct metric_def requests_other = {
    .name = "requests_total", .help = "Another.", .kind = METRIC_COUNTER};
static const struct metric_def depth = {
    .name = "queue_depth", .help = "Jobs waiting.", .kind = METRIC_GAUGE};
static const struct metric_def duration = {.name = "duration_seconds",
                                           .help = "How long.",
                                           .kind = METRIC_HISTOGRAM,
                                           .labels = {"route"},
                                           .bounds_ns = {500000, 1000000000}};
static const struct metric_def duration_default = {
    .name = "default_seconds", .help = "How long.", .kind = METRIC_HISTOGRAM};

static struct metrics *metrics_made(void)
{
    struct metrics *metrics = NULL;

    assert_int_equal(metrics_new(&metrics), ERR_OK);
    return metrics;
}

static struct metric *metric_made(struct metrics *metrics, const struct metric_def *def)
{
    struct metric *metric = NULL;

    assert_int_equal(metric_register(metrics, def, &metric), ERR_OK);
    assert_non_null(metric);
    return metric;
}

static void assert_rendered(struct metrics *metrics, const char *expected)
{
    static char text[1 << 20];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);

    metric_render(metrics, &out);
    assert_false(out.full);
    text[out.len] = '\0';
    if (strstr(text, expected) == NULL)
        fail_msg("not rendered:\n%s\nbut:\n%s", expected, text);
}

static void counters_render_with_escaped_labels(void **state)
{
    struct metrics *metrics = metrics_made();
    struct metric *metric = metric_made(metrics, &requests);
    struct span odd[] = {SPAN("/a\"b\\c\nd"), SPAN("200")};
    struct span latin[] = {SPAN("caf\xE9"), SPAN("")};

    (void)state;
    metric_add(metric_series(metric, odd, 2), 3);
    metric_add(metric_series(metric, odd, 2), 4);
    metric_add(metric_series(metric, latin, 2), 1);
    assert_rendered(metrics, "# HELP requests_total Requests\\\\answered\\nsince start.\n"
                             "# TYPE requests_total counter\n"
                             "requests_total{route=\"/a\\\"b\\\\c\\nd\",status=\"200\"} 7\n"
                             "requests_total{route=\"caf?\",status=\"\"} 1\n");
    metrics_free(metrics);
}

/* A value is cut between two characters, never within one. */
static void long_label_values_are_cut(void **state)
{
    struct metrics *metrics = metrics_made();
    struct metric *metric = metric_made(metrics, &requests);
    char route[LIMIT_METRIC_LABEL_BYTES_MAX + 1];
    char expected[400];
    struct sbuf out = sbuf_over(expected, sizeof(expected) - 1);
    struct span values[] = {{.ptr = route, .len = sizeof(route)}, SPAN("200")};

    (void)state;
    memset(route, 'x', sizeof(route));
    route[sizeof(route) - 2] = (char)0xC3;
    route[sizeof(route) - 1] = (char)0xA9;
    metric_add(metric_series(metric, values, 2), 1);
    sbuf_add_lit(&out, "{route=\"");
    sbuf_add_bytes(&out, route, sizeof(route) - 2);
    sbuf_add_lit(&out, "\",status");
    expected[out.len] = '\0';
    assert_rendered(metrics, expected);
    metrics_free(metrics);
}

/* A bound belongs to its bucket; the sum is exact to the nanosecond. */
static void histograms_count_edges_and_add_exactly(void **state)
{
    struct metrics *metrics = metrics_made();
    struct span route = SPAN("/x");
    struct metric_series *series = metric_series(metric_made(metrics, &duration), &route, 1);

    (void)state;
    metric_observe_ns(series, -5);
    metric_observe_ns(series, 500000);
    metric_observe_ns(series, 500001);
    metric_observe_ns(series, 1000000000);
    metric_observe_ns(series, 2000000000);
    assert_int_equal(metric_value(series), 5);
    assert_rendered(metrics, "# TYPE duration_seconds histogram\n"
                             "duration_seconds_bucket{route=\"/x\",le=\"0.0005\"} 2\n"
                             "duration_seconds_bucket{route=\"/x\",le=\"1\"} 4\n"
                             "duration_seconds_bucket{route=\"/x\",le=\"+Inf\"} 5\n"
                             "duration_seconds_sum{route=\"/x\"} 3.001000001\n"
                             "duration_seconds_count{route=\"/x\"} 5\n");
    metrics_free(metrics);
}

static void default_bounds_reach_from_half_a_millisecond_to_ten_seconds(void **state)
{
    struct metrics *metrics = metrics_made();
    struct metric_series *series = metric_only(metric_made(metrics, &duration_default));

    (void)state;
    metric_observe_ns(series, 3000000);
    assert_rendered(metrics, "default_seconds_bucket{le=\"0.0005\"} 0\n"
                             "default_seconds_bucket{le=\"0.001\"} 0\n"
                             "default_seconds_bucket{le=\"0.0025\"} 0\n"
                             "default_seconds_bucket{le=\"0.005\"} 1\n");
    assert_rendered(metrics, "default_seconds_bucket{le=\"10\"} 1\n"
                             "default_seconds_bucket{le=\"+Inf\"} 1\n"
                             "default_seconds_sum 0.003\n"
                             "default_seconds_count 1\n");
    metrics_free(metrics);
}

static int64_t read_answer(void *context)
{
    return *(int64_t *)context;
}

static void gauges_are_set_moved_and_asked(void **state)
{
    struct metrics *metrics = metrics_made();
    struct metric_series *series = metric_only(metric_made(metrics, &depth));
    int64_t answer = -42;

    (void)state;
    metric_set(series, 10);
    metric_move(series, -12);
    assert_int_equal(metric_value(series), -2);
    assert_rendered(metrics, "# TYPE queue_depth gauge\nqueue_depth -2\n");
    metric_callback(series, read_answer, &answer);
    assert_rendered(metrics, "queue_depth -42\n");
    metrics_free(metrics);
}

static bool is_rendered(struct metrics *metrics, const char *line)
{
    static char text[64 * 1024];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);

    metric_render(metrics, &out);
    text[out.len] = '\0';
    return strstr(text, line) != NULL;
}

static const struct metric_def comes_def = {
    .name = "comes_total", .help = "x", .kind = METRIC_COUNTER, .labels = {"route"}};
static const struct metric_def lasts_def = {
    .name = "lasts_seconds", .help = "x", .kind = METRIC_HISTOGRAM, .labels = {"route"}};

/* Five thousand reloads, each with names that nobody had before. */
static void ever_new_names_fill_nothing(void **state)
{
    struct metric_series *counter = NULL, *histogram, *stays;
    const struct span stays_name = SPAN("/stays");
    struct metric *comes, *lasts;
    struct metrics *metrics;
    char text[32];

    (void)state;
    assert_int_equal(metrics_new(&metrics), ERR_OK);
    assert_int_equal(metric_register(metrics, &comes_def, &comes), ERR_OK);
    assert_int_equal(metric_register(metrics, &lasts_def, &lasts), ERR_OK);
    stays = metric_series(comes, &stays_name, 1);
    metric_hold(stays);
    metric_add(stays, 7);
    for (int i = 0; i < 5000; i++) {
        struct span name = span_make(text, (size_t)snprintf(text, sizeof(text), "/route-%d", i));

        counter = metric_series(comes, &name, 1);
        histogram = metric_series(lasts, &name, 1);
        assert_true(counter != NULL && histogram != NULL);
        metric_hold(counter);
        metric_hold(histogram);
        assert_int_equal(metric_value(counter), 0); /* nothing of who was there before */
        assert_int_equal(metric_value(histogram), 0);
        metric_add(counter, (uint64_t)i + 1);
        metric_observe_ns(histogram, i);
        metric_let_go(counter);
        metric_let_go(histogram);
    }
    assert_int_equal(metrics->series_dropped, 0);
    assert_true(metrics->series_count <= 2 * LIMIT_METRIC_GONE_MAX + 8);
    assert_int_equal(metric_value(stays), 7);
    counter = metric_series(comes, &(struct span)SPAN("/route-4990"), 1);
    metric_hold(counter);
    assert_int_equal(metric_value(counter), 4991); /* what was there of late is back */
    assert_true(is_rendered(metrics, "comes_total{route=\"/stays\"} 7\n"));
    assert_true(is_rendered(metrics, "comes_total{route=\"/route-4990\"} 4991\n"));
    assert_false(is_rendered(metrics, "/route-4989"));
    metrics_free(metrics);
}

/* Between looking up and holding, and where nobody ever holds. */
static void what_is_looked_up_is_not_taken(void **state)
{
    const struct span names[] = {SPAN("/a"), SPAN("/b")};
    struct metric_series *looked_up, *unheld;
    struct metrics *metrics;
    struct metric *comes;
    char text[32];

    (void)state;
    assert_int_equal(metrics_new(&metrics), ERR_OK);
    assert_int_equal(metric_register(metrics, &comes_def, &comes), ERR_OK);
    unheld = metric_series(comes, &names[1], 1);
    metric_add(unheld, 3);
    looked_up = metric_series(comes, &names[0], 1);
    metric_hold(looked_up);
    metric_add(looked_up, 5);
    metric_let_go(looked_up);
    assert_ptr_equal(metric_series(comes, &names[0], 1), looked_up);
    for (int i = 0; i < 1000; i++) {
        struct span name = span_make(text, (size_t)snprintf(text, sizeof(text), "/%d", i));
        struct metric_series *one = metric_series(comes, &name, 1);

        metric_hold(one);
        metric_let_go(one);
    }
    metric_hold(looked_up);
    assert_int_equal(metric_value(looked_up), 5);
    assert_int_equal(metric_value(unheld), 3);
    metrics_free(metrics);
}

/* What comes and goes is printed while somebody holds it, and loses no count by that. */
static void what_nobody_holds_is_not_printed(void **state)
{
    static const struct metric_def def = {
        .name = "jobs_total", .help = "Jobs.", .kind = METRIC_COUNTER, .labels = {"route"}};
    const struct span labels[] = {SPAN("/a"), SPAN("/b")};
    struct metrics *metrics = metrics_made();
    struct metric *metric = metric_made(metrics, &def);
    struct metric_series *a = metric_series(metric, &labels[0], 1);
    struct metric_series *b = metric_series(metric, &labels[1], 1);

    (void)state;
    assert_true(is_rendered(metrics, "jobs_total{route=\"/b\"} 0\n")); /* nobody ever held it */
    metric_hold(a);
    metric_hold(a);
    metric_hold(b);
    metric_add(a, 7);
    metric_let_go(a);
    metric_let_go(b);
    assert_true(is_rendered(metrics, "jobs_total{route=\"/a\"} 7\n"));
    assert_false(is_rendered(metrics, "/b"));
    metric_let_go(a);
    assert_false(is_rendered(metrics, "jobs_total"));
    metric_hold(metric_series(metric, &labels[0], 1));
    assert_true(is_rendered(metrics, "jobs_total{route=\"/a\"} 7\n"));
    metric_hold(NULL);
    metric_let_go(NULL);
    metrics_free(metrics);
}

static void names_are_taken_once(void **state)
{
    struct metrics *metrics = metrics_made();
    struct metric *first = metric_made(metrics, &requests);
    struct metric *again = NULL;

    (void)state;
    assert_ptr_equal(metric_made(metrics, &requests), first);
    assert_int_equal(metric_register(metrics, &requests_other, &again), ERR_TAKEN);
    assert_null(again);
    metrics_free(metrics);
}

/* Past the cap the handle is NULL, does nothing, and is counted; old series still work. */
static void series_are_capped_and_the_rest_counted(void **state)
{
    struct metrics *metrics = metrics_made();
    struct metric *metric = metric_made(metrics, &requests);
    struct metric_series *first = NULL;
    size_t refused = 0;

    (void)state;
    for (uint64_t i = 0; i < LIMIT_METRIC_SERIES_MAX + 10; i++) {
        char text[20];
        struct sbuf out = sbuf_over(text, sizeof(text));
        struct span values[2] = {{0}, SPAN("200")};
        struct metric_series *series;

        sbuf_add_u64(&out, i);
        values[0] = sbuf_span(&out);
        series = metric_series(metric, values, 2);
        metric_add(series, 1);
        refused += series == NULL;
        if (i == 0)
            first = series;
    }
    assert_int_equal(refused, 11); /* one place is the overflow counter's own */
    assert_rendered(metrics, "portcullis_metric_series_dropped_total 11\n");
    metric_add(first, 1);
    assert_int_equal(metric_value(first), 2);
    metrics_free(metrics);
}

static void absent_registry_is_silent(void **state)
{
    struct metric *metric = (struct metric *)state;

    assert_int_equal(metric_register(NULL, &requests, &metric), ERR_OK);
    assert_null(metric);
    assert_null(metric_only(metric));
    metric_add(NULL, 1);
    metric_set(NULL, 1);
    metric_move(NULL, 1);
    metric_observe_ns(NULL, 1);
    metric_callback(NULL, read_answer, NULL);
    assert_int_equal(metric_value(NULL), 0);
    metric_render(NULL, NULL);
    metrics_free(NULL);
}

struct crowd {
    struct metrics *metrics;
    struct metric_series *counter, *gauge, *histogram;
    pthread_barrier_t all_here;
    _Atomic unsigned shared;
};

static void *count_much(void *context)
{
    struct crowd *crowd = context;

    if (thread_slot() == THREAD_SHARED)
        (void)atomic_fetch_add(&crowd->shared, 1);
    (void)pthread_barrier_wait(&crowd->all_here);
    for (int i = 0; i < ADDITIONS; i++) {
        metric_add(crowd->counter, 2);
        metric_move(crowd->gauge, i % 2 == 0 ? 1 : -1);
        metric_observe_ns(crowd->histogram, i);
    }
    (void)pthread_barrier_wait(&crowd->all_here);
    return NULL;
}

/* 80 threads at once: 64 with a slot of their own, the others sharing; read meanwhile. */
static void sums_are_exact_over_more_threads_than_slots(void **state)
{
    struct crowd crowd = {.metrics = metrics_made()};
    struct span route = SPAN("/x");
    pthread_t threads[THREADS];

    (void)state;
    crowd.counter =
        metric_series(metric_made(crowd.metrics, &requests), (struct span[]){route, route}, 2);
    crowd.gauge = metric_only(metric_made(crowd.metrics, &depth));
    crowd.histogram = metric_series(metric_made(crowd.metrics, &duration), &route, 1);
    assert_int_equal(pthread_barrier_init(&crowd.all_here, NULL, THREADS), 0);
    for (int round = 1; round <= 2; round++) {
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, count_much, &crowd), 0);
        for (int i = 0; i < 20; i++)
            assert_rendered(crowd.metrics, "requests_total{route=");
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(atomic_load(&crowd.shared) >= (unsigned)round * (THREADS - THREAD_SLOTS));
        assert_int_equal(metric_value(crowd.counter), (int64_t)round * THREADS * ADDITIONS * 2);
        assert_int_equal(metric_value(crowd.gauge), 0);
        assert_int_equal(metric_value(crowd.histogram), (int64_t)round * THREADS * ADDITIONS);
    }
    (void)pthread_barrier_destroy(&crowd.all_here);
    metrics_free(crowd.metrics);
}

static enum err use_all(void)
{
    struct metrics *metrics;
    struct metric *metric;
    struct span values[] = {SPAN("a"), SPAN("b")};
    enum err err = metrics_new(&metrics);

    if (err)
        return err;
    err = metric_register(metrics, &requests, &metric);
    if (err == ERR_OK)
        metric_add(metric_series(metric, values, 2), 1);
    metrics_free(metrics);
    return err;
}

/* Whichever allocation fails, the rest goes on and nothing leaks (the sanitizer looks). */
static void survives_each_failing_allocation(void **state)
{
    uint64_t nth = 0;

    (void)state;
    do {
        enum err err;

        alloc_fail_at(++nth);
        err = use_all();
        assert_true(err == ERR_OK || err == ERR_NO_MEMORY);
    } while (!alloc_fail_pending());
    alloc_fail_at(0);
    assert_true(nth > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_render_with_escaped_labels),
        cmocka_unit_test(long_label_values_are_cut),
        cmocka_unit_test(histograms_count_edges_and_add_exactly),
        cmocka_unit_test(default_bounds_reach_from_half_a_millisecond_to_ten_seconds),
        cmocka_unit_test(gauges_are_set_moved_and_asked),
        cmocka_unit_test(what_nobody_holds_is_not_printed),
        cmocka_unit_test(ever_new_names_fill_nothing),
        cmocka_unit_test(what_is_looked_up_is_not_taken),
        cmocka_unit_test(names_are_taken_once),
        cmocka_unit_test(series_are_capped_and_the_rest_counted),
        cmocka_unit_test(absent_registry_is_silent),
        cmocka_unit_test(sums_are_exact_over_more_threads_than_slots),
        cmocka_unit_test(survives_each_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
