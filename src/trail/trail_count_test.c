/* SPDX-License-Identifier: MIT
 * What enters the log is counted, behind its commit and only then. */
#include "base/metric.h"
#include "trail/trail_test_kit.h"

enum { MANY = 200 };

struct add {
    struct trail_record record;
    struct trail_external external;
    enum err fail_with;
};

static enum err add_run(struct store_conn *conn, struct store_job *job)
{
    const struct add *add = job->context;
    enum err err = trail_add(conn, &add->record);

    return err ? err : add->fail_with;
}

static void add_external(const char *source, enum err fail_with)
{
    struct add add = {
        .external = {.event = SPAN("e"), .category = SPAN("compliance"), .severity = SPAN("info")},
        .fail_with = fail_with};

    add.record = (struct trail_record){.event = TRAIL_AUDIT_EXTERNAL,
                                       .outcome = TRAIL_DONE,
                                       .at_ns = AT,
                                       .source = span_from(source),
                                       .external = &add.external};
    assert_int_equal(store_do(log_bench.store, add_run, &add, true), fail_with);
}

static void assert_counted(struct metrics *metrics, const char *line, bool there)
{
    static char text[64 * 1024];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);

    metric_render(metrics, &out);
    text[out.len] = '\0';
    if ((strstr(text, line) != NULL) != there)
        fail_msg("%s %s in %s", line, there ? "is not" : "is", text);
}

static void what_is_committed_is_counted(void **state)
{
    struct metrics *metrics;

    (void)state;
    assert_int_equal(metrics_new(&metrics), ERR_OK);
    assert_int_equal(trail_count_in(metrics), ERR_OK);
    assert_int_equal(log_add(AT, "1", "session:a"), ERR_OK);
    assert_int_equal(log_add(AT, "1", "session:a"), ERR_OK);
    add_external("scanner", ERR_OK);
    add_external("scanner", ERR_CONFLICT);
    add_external("nobody", ERR_CONFLICT);
    assert_counted(metrics, "audit_events_total{category=\"security\",source=\"auth-service\"} 2\n",
                   true);
    assert_counted(metrics, "audit_events_total{category=\"compliance\",source=\"scanner\"} 1\n",
                   true);
    assert_counted(metrics, "nobody", false);
    trail_count_stop();
    assert_int_equal(log_add(AT, "1", "session:a"), ERR_OK);
    assert_counted(metrics, "audit_events_total{category=\"security\",source=\"auth-service\"} 2\n",
                   true);
    metrics_free(metrics);
}

/* Sources are names that others choose: there are only so many series. */
static void too_many_sources_are_others(void **state)
{
    struct metrics *metrics;
    char name[24];

    (void)state;
    assert_int_equal(metrics_new(&metrics), ERR_OK);
    assert_int_equal(trail_count_in(metrics), ERR_OK);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "service-%d", i);
        add_external(name, ERR_OK);
    }
    assert_counted(metrics, "source=\"service-127\"} 1\n", true);
    assert_counted(metrics, "source=\"service-128\"", false);
    assert_counted(metrics, "audit_events_total{category=\"compliance\",source=\"other\"} 72\n",
                   true);
    trail_count_stop();
    metrics_free(metrics);
}

#define LOG_TEST(function) cmocka_unit_test_setup_teardown(function, log_setup, log_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(what_is_committed_is_counted),
        LOG_TEST(too_many_sources_are_others),
    };

    return cmocka_run_group_tests_name("trail_count", tests, NULL, NULL);
}
