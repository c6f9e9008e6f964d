/* SPDX-License-Identifier: MIT
 * Rates since the start and of the last minute, from counters as http/ has them. */
#include "monitor/monitor_traffic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

static const struct metric_def durations_def = {.name = "http_request_duration_seconds",
                                                .help = "x",
                                                .kind = METRIC_HISTOGRAM,
                                                .labels = {"service", "route", "method"}};
static const struct metric_def requests_def = {.name = "http_requests_total",
                                               .help = "x",
                                               .kind = METRIC_COUNTER,
                                               .labels = {"service", "route", "method", "status"}};
static const struct metric_def breakers_def = {.name = "circuit_breaker_state",
                                               .help = "x",
                                               .kind = METRIC_GAUGE,
                                               .labels = {"service", "route", "method"}};
static const struct metric_def limits_def = {.name = "rate_limit_decisions_total",
                                             .help = "x",
                                             .kind = METRIC_COUNTER,
                                             .labels = {"decision"}};

static struct metrics *metrics;
static struct metric *durations, *requests, *breakers, *limits;
static struct monitor_traffic *traffic;
static struct monitor_report report;
static struct arena arena;
static int64_t now_ns;

static int setup(void **state)
{
    (void)state;
    now_ns = 1000 * CLOCK_NS_PER_S;
    arena_init(&arena, NULL, 0, 16 * 1024 * 1024);
    assert_int_equal(metrics_new(&metrics), ERR_OK);
    assert_int_equal(metric_register(metrics, &durations_def, &durations), ERR_OK);
    assert_int_equal(metric_register(metrics, &requests_def, &requests), ERR_OK);
    assert_int_equal(metric_register(metrics, &breakers_def, &breakers), ERR_OK);
    assert_int_equal(metric_register(metrics, &limits_def, &limits), ERR_OK);
    assert_int_equal(monitor_traffic_new(metrics, &traffic), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    monitor_traffic_free(traffic);
    metrics_free(metrics);
    arena_reset(&arena);
    return 0;
}

static void asked(const char *service, const char *route, const char *status, int64_t ms)
{
    const struct span labels[] = {span_from(service), span_from(route), SPAN("GET"),
                                  span_from(status)};

    metric_observe_ns(metric_series(durations, labels, 3), ms * CLOCK_NS_PER_MS);
    metric_add(metric_series(requests, labels, 4), 1);
}

static void breaker(const char *service, const char *route, int64_t state)
{
    const struct span labels[] = {span_from(service), span_from(route), SPAN("GET")};

    metric_set(metric_series(breakers, labels, 3), state);
}

static void look_after(int64_t s)
{
    now_ns += s * CLOCK_NS_PER_S;
    monitor_traffic_look(traffic, now_ns);
    report = (struct monitor_report){.arena = &arena};
    monitor_traffic_tell(traffic, &report);
}

static const struct monitor_service *service_of(const char *name)
{
    for (size_t i = 0; i < report.service_count; i++) {
        if (span_is(report.services[i].service, name))
            return &report.services[i];
    }
    fail_msg("there is no %s", name);
    return NULL;
}

static void nothing_is_told_of_nothing(void **state)
{
    (void)state;
    look_after(0);
    assert_int_equal(report.service_count, 0);
    assert_int_equal(report.limits_start.allowed, 0);
}

static void routes_add_up_to_services(void **state)
{
    const struct monitor_route *routes;

    (void)state;
    for (int i = 0; i < 10; i++)
        asked("a", "/busy", "200", 2);
    asked("a", "/idle", "503", 2);
    asked("a", "/idle-too", "404", 2);
    asked("b", "/busy", "500", 900);
    look_after(1);
    assert_int_equal(report.service_count, 2);
    assert_int_equal(service_of("a")->start.requests, 12);
    assert_int_equal(service_of("a")->start.errors, 1);
    assert_true(span_is(service_of("a")->start.error_rate, "0.0833"));
    assert_int_equal(service_of("a")->routes.count, 3);
    routes = service_of("a")->routes.items;
    assert_true(span_is(routes[0].route, "/busy") && span_is(routes[0].method, "GET"));
    assert_int_equal(routes[0].start.requests, 10);
    assert_int_equal(routes[0].start.errors, 0);
    assert_true(span_is(service_of("b")->start.error_rate, "1.0000"));
    assert_int_equal(service_of("b")->start.errors, 1);
}

/* All within one bucket, from 1 to 2.5 ms: straight through it. */
static void quantiles_are_prometheus(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        asked("a", "/", "200", 2);
    look_after(1);
    assert_true(span_is(service_of("a")->start.p50_ms, "1.750"));
    assert_true(span_is(service_of("a")->start.p95_ms, "2.425"));
    assert_true(span_is(service_of("a")->start.p99_ms, "2.485"));
}

static void the_minute_forgets(void **state)
{
    (void)state;
    asked("a", "/", "500", 2);
    look_after(0);
    assert_int_equal(service_of("a")->minute.requests, 1);
    for (int i = 0; i < 58; i++)
        look_after(1);
    assert_int_equal(service_of("a")->minute.requests, 1);
    for (int i = 0; i < 10; i++)
        look_after(1);
    assert_int_equal(service_of("a")->minute.requests, 0);
    assert_int_equal(service_of("a")->minute.errors, 0);
    assert_true(span_is(service_of("a")->minute.error_rate, "0"));
    assert_int_equal(service_of("a")->start.requests, 1);
    asked("a", "/", "200", 2);
    look_after(1);
    assert_int_equal(service_of("a")->minute.requests, 1);
}

static void breakers_are_counted_and_listed(void **state)
{
    (void)state;
    asked("a", "/one", "200", 1);
    asked("a", "/two", "200", 1);
    asked("a", "/three", "200", 1);
    asked("a", "/none", "200", 1);
    breaker("a", "/one", 0);
    breaker("a", "/two", 1);
    breaker("a", "/three", 2);
    look_after(1);
    assert_int_equal(report.breakers_closed, 1);
    assert_int_equal(report.breakers_open, 1);
    assert_int_equal(report.breakers_half_open, 1);
    assert_int_equal(report.breaker_count, 2);
    assert_true(span_is(report.breakers[0].route, "/two"));
    assert_true(span_is(report.breakers[0].state, "open"));
}

static void limits_are_told(void **state)
{
    const struct span allowed = SPAN("allowed"), refused = SPAN("refused");

    (void)state;
    metric_add(metric_series(limits, &allowed, 1), 7);
    metric_add(metric_series(limits, &refused, 1), 2);
    look_after(1);
    assert_int_equal(report.limits_start.allowed, 7);
    assert_int_equal(report.limits_minute.refused, 2);
    for (int i = 0; i < 14; i++)
        look_after(5);
    assert_int_equal(report.limits_minute.allowed, 0);
    assert_int_equal(report.limits_start.refused, 2);
}

static size_t routes_told(void)
{
    return service_of("a") != NULL ? service_of("a")->routes.count : 0;
}

/* A route that a reload took away is listed no more; with ever new ones nothing fills up, and a new
 * one has nothing of who stood in its place. */
static void routes_that_went_are_not_listed(void **state)
{
    (void)state;
    asked("a", "/stays", "500", 1);
    look_after(1);
    for (int i = 0; i < 3000; i++) {
        char text[32];
        const struct span labels[] = {
            SPAN("a"), span_make(text, (size_t)snprintf(text, sizeof(text), "/%d", i)), SPAN("GET"),
            SPAN("500")};
        struct metric_series *duration = metric_series(durations, labels, 3);
        struct metric_series *errors = metric_series(requests, labels, 4);

        assert_true(duration != NULL && errors != NULL);
        metric_hold(duration);
        metric_hold(errors);
        metric_observe_ns(duration, CLOCK_NS_PER_MS);
        metric_add(errors, 1);
        if (i % 100 == 0) {
            look_after(5);
            assert_int_equal(routes_told(), 2);
            assert_int_equal(service_of("a")->routes.count, 2);
        }
        metric_let_go(duration);
        metric_let_go(errors);
    }
    look_after(5);
    assert_int_equal(routes_told(), 1);
    for (int i = 0; i < 14; i++)
        look_after(5);
    assert_int_equal(service_of("a")->minute.requests, 0);
    assert_int_equal(service_of("a")->minute.errors, 0);
}

#define TRAFFIC_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRAFFIC_TEST(nothing_is_told_of_nothing),      TRAFFIC_TEST(routes_add_up_to_services),
        TRAFFIC_TEST(quantiles_are_prometheus),        TRAFFIC_TEST(the_minute_forgets),
        TRAFFIC_TEST(breakers_are_counted_and_listed), TRAFFIC_TEST(limits_are_told),
        TRAFFIC_TEST(routes_that_went_are_not_listed),
    };

    return cmocka_run_group_tests_name("monitor_traffic", tests, NULL, NULL);
}
