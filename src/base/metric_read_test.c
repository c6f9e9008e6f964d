/* SPDX-License-Identifier: MIT
 * Reading back what was counted: series, their labels, and quantiles against values that
 * Prometheus' histogram_quantile gives for the same buckets. */
#include "base/metric_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct metric_def counter_def = {
    .name = "c_total", .help = "x", .kind = METRIC_COUNTER, .labels = {"path", "code"}};
static const struct metric_def times_def = {.name = "t_seconds",
                                            .help = "x",
                                            .kind = METRIC_HISTOGRAM,
                                            .labels = {"path"},
                                            .bounds_ns = {10, 20, 40}};

static struct metrics *metrics;
static struct metric_sample seen[8];
static size_t seen_count;

static int setup(void **state)
{
    (void)state;
    seen_count = 0;
    return metrics_new(&metrics) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    metrics_free(metrics);
    return 0;
}

static void see(void *context, const struct metric_sample *sample)
{
    (void)context;
    seen[seen_count++] = *sample;
}

static void series_are_read_with_their_labels(void **state)
{
    const struct span one[] = {SPAN("/a"), SPAN("200")}, two[] = {SPAN("x\"y\\"), SPAN("500")};
    struct metric *metric;

    (void)state;
    assert_int_equal(metric_register(metrics, &counter_def, &metric), ERR_OK);
    metric_add(metric_series(metric, one, 2), 3);
    metric_add(metric_series(metric, two, 2), 4);
    metric_samples(metrics, "c_total", see, NULL);
    assert_int_equal(seen_count, 2);
    assert_int_equal(seen[0].value, 3);
    assert_true(span_is(metric_sample_label(&seen[0], "path"), "/a"));
    assert_true(span_is(metric_sample_label(&seen[0], "code"), "200"));
    assert_int_equal(seen[1].value, 4);
    assert_true(span_is(metric_sample_label(&seen[1], "path"), "x\\\"y\\\\"));
    assert_true(span_is(metric_sample_label(&seen[1], "code"), "500"));
    assert_int_equal(metric_sample_label(&seen[1], "other").len, 0);
    metric_samples(metrics, "nothing", see, NULL);
    metric_samples(NULL, "c_total", see, NULL);
    assert_int_equal(seen_count, 2);
}

static void histograms_are_read_by_bucket(void **state)
{
    static const int64_t observed[] = {0, 10, 11, 39, 40, 41, 1000};
    const struct span path = SPAN("/a");
    struct metric *metric;

    (void)state;
    assert_int_equal(metric_register(metrics, &times_def, &metric), ERR_OK);
    for (size_t i = 0; i < PC_COUNT(observed); i++)
        metric_observe_ns(metric_series(metric, &path, 1), observed[i]);
    metric_samples(metrics, "t_seconds", see, NULL);
    assert_int_equal(seen_count, 1);
    assert_int_equal(seen[0].bound_count, 3);
    assert_int_equal(seen[0].bounds_ns[2], 40);
    assert_int_equal(seen[0].value, 7);
    assert_int_equal(seen[0].buckets[0], 2);
    assert_int_equal(seen[0].buckets[1], 1);
    assert_int_equal(seen[0].buckets[2], 2);
    assert_int_equal(seen[0].buckets[3], 2);
    assert_int_equal(seen[0].sum_ns, 1141);
}

static void quantiles_lie_within_their_bucket(void **state)
{
    static const int64_t bounds[] = {100, 200, 400};
    static const uint64_t even[] = {10, 10, 10, 0}, high[] = {0, 0, 0, 5}, none[] = {0, 0, 0, 0};
    static const uint64_t many[] = {UINT64_C(1) << 32, 0, UINT64_C(1) << 32, 0};

    (void)state;
    assert_int_equal(metric_quantile_ns(bounds, 3, even, 500), 150);
    assert_int_equal(metric_quantile_ns(bounds, 3, even, 1000), 400);
    assert_int_equal(metric_quantile_ns(bounds, 3, even, 0), 10);
    assert_int_equal(metric_quantile_ns(bounds, 3, even, 950), 380);
    assert_int_equal(metric_quantile_ns(bounds, 3, high, 500), 400);
    assert_int_equal(metric_quantile_ns(bounds, 3, none, 500), 0);
    assert_int_equal(metric_quantile_ns(bounds, 3, many, 750), 300);
}

#define READ_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        READ_TEST(series_are_read_with_their_labels),
        READ_TEST(histograms_are_read_by_bucket),
        READ_TEST(quantiles_lie_within_their_bucket),
    };

    return cmocka_run_group_tests_name("metric_read", tests, NULL, NULL);
}
