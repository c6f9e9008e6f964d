/* SPDX-License-Identifier: MIT
 * The rules: one fact wrong at a time, and at the very edge. */
#include "monitor/monitor_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define NOW   (INT64_C(1800000000) * CLOCK_NS_PER_S)
#define DAY_S INT64_C(86400)

static struct arena arena;
static struct monitor_report report;
static struct monitor_findings findings;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0, 1024 * 1024);
    report =
        (struct monitor_report){.arena = &arena,
                                .node = SPAN("a"),
                                .reported_at = NOW,
                                .store = {.reads = SPAN("ok"), .writes = SPAN("ok")},
                                .audit = {.keeper = SPAN("running"), .pressure = SPAN("none")}};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static void judge(void)
{
    findings = (struct monitor_findings){.count = 0};
    monitor_judge(&report, &findings);
}

/* Exactly this is found; NULL: nothing. */
static void assert_found(const char *name, const char *severity, const char *value)
{
    judge();
    if (name == NULL) {
        assert_int_equal(findings.count, 0);
        return;
    }
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.list[0].name, name);
    assert_string_equal(findings.list[0].severity, severity);
    assert_true(span_is(findings.list[0].value, value));
    assert_true(span_is(findings.list[0].node, "a"));
    assert_true(findings.list[0].summary.len > 0 && findings.list[0].looks > 0);
}

static void a_well_node_has_nothing(void **state)
{
    (void)state;
    assert_found(NULL, NULL, NULL);
    report.store.reads = report.store.writes = (struct span){0};
    report.audit.keeper = report.audit.pressure = (struct span){0};
    assert_found(NULL, NULL, NULL);
}

static void the_store_is_judged(void **state)
{
    (void)state;
    report.store.writes = SPAN_OF("store-full");
    assert_found("StoreNotWritable", "critical", "");
    report.store.writes = SPAN_OF("ok");
    report.store.reads = SPAN_OF("no-answer");
    assert_found("StoreNotReadable", "critical", "");
}

static void queues_are_judged(void **state)
{
    (void)state;
    monitor_report_queue(&report, "hash", 79, 100);
    assert_found(NULL, NULL, NULL);
    report.queues[0].depth = 80;
    assert_found("QueueNearlyFull", "warning", "hash");
}

static void shared_limits_are_judged(void **state)
{
    (void)state;
    report.limits_shared = SPAN_OF("up");
    assert_found(NULL, NULL, NULL);
    report.limits_shared = SPAN_OF("away");
    assert_found("SharedLimitsAway", "warning", "");
}

static void expiries_are_judged(void **state)
{
    static const struct {
        int64_t left_s;
        const char *severity;
    } cases[] = {{14 * DAY_S, NULL},     {14 * DAY_S - 1, "warning"},
                 {3 * DAY_S, "warning"}, {3 * DAY_S - 1, "critical"},
                 {0, "critical"},        {-400 * DAY_S, "critical"}};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        report.expiry_count = 0;
        monitor_report_expiry(&report, "certificate", SPAN_OF("listener:gateway"),
                              NOW / CLOCK_NS_PER_S + cases[i].left_s);
        assert_found(cases[i].severity ? "CertificateExpiring" : NULL, cases[i].severity,
                     "listener:gateway");
    }
    report.expiry_count = 0;
    monitor_report_expiry(&report, "key", SPAN_OF("session"), 0);
    assert_found(NULL, NULL, NULL);
    monitor_report_expiry(&report, "key", SPAN_OF("issuer"), NOW / CLOCK_NS_PER_S + DAY_S);
    assert_found("KeyExpiring", "critical", "issuer");
}

/* RFC 5280, 4.1.2.5: 99991231235959Z is no end at all; and any other may be far away. */
static void far_ends_are_not_near(void **state)
{
    (void)state;
    monitor_report_expiry(&report, "certificate", SPAN_OF("none"), INT64_C(253402300799));
    monitor_report_expiry(&report, "certificate", SPAN_OF("far"), INT64_C(253402300798));
    monitor_report_expiry(&report, "certificate", SPAN_OF("last"), INT64_MAX / CLOCK_NS_PER_S);
    assert_false(report.expiries[0].has_expires_at);
    assert_true(report.expiries[1].has_expires_at && report.expiries[2].has_expires_at);
    assert_true(report.expiries[1].expires_at == INT64_MAX);
    assert_true(report.expiries[1].days_left > 365 * 7000);
    assert_true(report.expiries[2].expires_at / CLOCK_NS_PER_S == INT64_MAX / CLOCK_NS_PER_S);
    assert_found(NULL, NULL, NULL);
}

static void breakers_are_judged(void **state)
{
    (void)state;
    report.breakers[0] = (struct monitor_breaker){.service = SPAN("api-gateway"),
                                                  .method = SPAN("GET"),
                                                  .route = SPAN("/x"),
                                                  .state = SPAN("half_open")};
    report.breaker_count = 1;
    assert_found(NULL, NULL, NULL);
    report.breakers[0].state = SPAN_OF("open");
    assert_found("BreakerOpen", "critical", "api-gateway GET /x");
}

static void the_log_is_judged(void **state)
{
    (void)state;
    report.audit.keeper = SPAN_OF("forked");
    assert_found("AuditForked", "critical", "");
    report.audit.keeper = SPAN_OF("stopped");
    assert_found("AuditKeeperStopped", "critical", "");
    report.audit.keeper = SPAN_OF("without_key");
    assert_found(NULL, NULL, NULL);
    report.audit.pressure = SPAN_OF("store-full");
    assert_found("AuditPressure", "critical", "");
    report.audit.pressure = SPAN_OF("none");
    report.audit.has_tree = report.audit.has_outbox = true;
    report.audit.lag_ms = MONITOR_LAG_MS_MAX;
    report.audit.outbox_ms = MONITOR_OUTBOX_MS_MAX;
    assert_found(NULL, NULL, NULL);
    report.audit.lag_ms++;
    assert_found("AuditLag", "warning", "checkpoint");
    report.audit.lag_ms = 0;
    report.audit.outbox_ms++;
    assert_found("AuditLag", "warning", "outbox");
}

static void a_missing_node_is_its_own_label(void **state)
{
    (void)state;
    findings = (struct monitor_findings){.count = 0};
    monitor_judge_missing(&report, SPAN_OF("b"), &findings);
    assert_int_equal(findings.count, 1);
    assert_true(span_is(findings.list[0].node, "b"));
}

static void more_than_there_is_room_for_is_dropped(void **state)
{
    (void)state;
    for (size_t i = 0; i < MONITOR_FINDINGS_MAX + 10; i++)
        monitor_judge_missing(&report, SPAN_OF("b"), &findings);
    assert_int_equal(findings.count, MONITOR_FINDINGS_MAX);
    for (size_t i = 0; i < MONITOR_EXPIRIES_MAX + 10; i++)
        monitor_report_expiry(&report, "key", SPAN_OF("k"), 1);
    assert_int_equal(report.expiry_count, MONITOR_EXPIRIES_MAX);
    for (size_t i = 0; i < MONITOR_QUEUES_MAX + 10; i++)
        monitor_report_queue(&report, "q", 0, 1);
    assert_int_equal(report.queue_count, MONITOR_QUEUES_MAX);
}

static const char *health_with(int64_t requests, int64_t errors)
{
    static char text[16];

    report.service_count = 0;
    monitor_report_service(&report, SPAN_OF("s"), SPAN_OF("http://a"));
    report.services[0].minute = (struct monitor_rates){.requests = requests, .errors = errors};
    monitor_judge_services(&report);
    memset(text, 0, sizeof(text));
    memcpy(text, report.services[0].health.ptr, report.services[0].health.len);
    return text;
}

static void services_have_a_health(void **state)
{
    (void)state;
    assert_string_equal(health_with(0, 0), "ok");
    assert_string_equal(health_with(100, 5), "ok");
    assert_string_equal(health_with(100, 6), "degraded");
    assert_string_equal(health_with(100, 50), "failing");
    report.breakers[0] = (struct monitor_breaker){.service = SPAN("s"), .state = SPAN("half_open")};
    report.breaker_count = 1;
    assert_string_equal(health_with(0, 0), "degraded");
    report.store.writes = SPAN_OF("store-full");
    assert_string_equal(health_with(0, 0), "failing");
}

#define RULE_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE_TEST(a_well_node_has_nothing),
        RULE_TEST(the_store_is_judged),
        RULE_TEST(queues_are_judged),
        RULE_TEST(shared_limits_are_judged),
        RULE_TEST(expiries_are_judged),
        RULE_TEST(far_ends_are_not_near),
        RULE_TEST(breakers_are_judged),
        RULE_TEST(the_log_is_judged),
        RULE_TEST(a_missing_node_is_its_own_label),
        RULE_TEST(more_than_there_is_room_for_is_dropped),
        RULE_TEST(services_have_a_health),
    };

    return cmocka_run_group_tests_name("monitor_rules", tests, NULL, NULL);
}
