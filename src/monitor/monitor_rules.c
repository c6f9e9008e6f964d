/* SPDX-License-Identifier: MIT
 * The rules, each a function that looks at the report and adds what it finds. */
#include "monitor/monitor_rules.h"

#include <stdarg.h>
#include <stdio.h>

enum { SUMMARY_BYTES_MAX = 512, VALUE_BYTES_MAX = 400 };

PC_FORMAT(4, 5)
static void find(const struct monitor_report *report, struct monitor_findings *findings,
                 const struct monitor_finding *finding, const char *format, ...)
{
    char text[SUMMARY_BYTES_MAX];
    va_list args;
    int len;

    if (findings->count == MONITOR_FINDINGS_MAX)
        return;
    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0)
        return;
    findings->list[findings->count] = *finding;
    findings->list[findings->count].node = report->node;
    findings->list[findings->count].summary =
        arena_copy(report->arena,
                   span_make(text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1));
    findings->count++;
}

static bool is_well(struct span state)
{
    return state.len == 0 || span_is(state, "ok");
}

static void judge_store(const struct monitor_report *report, struct monitor_findings *findings)
{
    const struct monitor_store *store = &report->store;

    if (!is_well(store->writes))
        find(report, findings,
             &(struct monitor_finding){
                 .name = "StoreNotWritable", .severity = "critical", .looks = 1},
             "The store takes no writes: %.*s.", SPAN_ARG(store->writes));
    if (!is_well(store->reads))
        find(report, findings,
             &(struct monitor_finding){
                 .name = "StoreNotReadable", .severity = "critical", .looks = 2},
             "The store answers no reads: %.*s.", SPAN_ARG(store->reads));
}

static void judge_queues(const struct monitor_report *report, struct monitor_findings *findings)
{
    for (size_t i = 0; i < report->queue_count; i++) {
        const struct monitor_queue *queue = &report->queues[i];

        if (queue->max <= 0 || queue->depth * 100 < queue->max * MONITOR_QUEUE_PERCENT)
            continue;
        find(report, findings,
             &(struct monitor_finding){.name = "QueueNearlyFull",
                                       .severity = "warning",
                                       .label = "queue",
                                       .value = queue->name,
                                       .looks = 2},
             "%.*s: many wait; beyond %lld it refuses.", SPAN_ARG(queue->name),
             (long long)queue->max);
    }
}

static void judge_shared_limits(const struct monitor_report *report,
                                struct monitor_findings *findings)
{
    if (span_is(report->limits_shared, "away"))
        find(report, findings,
             &(struct monitor_finding){
                 .name = "SharedLimitsAway", .severity = "warning", .looks = 2},
             "Redis is away, and each route does what it says of that.");
}

static void judge_breakers(const struct monitor_report *report, struct monitor_findings *findings)
{
    for (size_t i = 0; i < report->breaker_count; i++) {
        const struct monitor_breaker *breaker = &report->breakers[i];
        struct sbuf what = sbuf_on(report->arena, VALUE_BYTES_MAX);

        sbuf_add_format(&what, "%.*s %.*s %.*s", SPAN_ARG(breaker->service),
                        SPAN_ARG(breaker->method), SPAN_ARG(breaker->route));
        if (what.full || !span_is(breaker->state, "open"))
            continue;
        find(report, findings,
             &(struct monitor_finding){.name = "BreakerOpen",
                                       .severity = "critical",
                                       .label = "breaker",
                                       .value = sbuf_span(&what),
                                       .looks = 1},
             "%.*s is refused after too many failures.", SPAN_ARG(sbuf_span(&what)));
    }
}

static void judge_expiries(const struct monitor_report *report, struct monitor_findings *findings)
{
    for (size_t i = 0; i < report->expiry_count; i++) {
        const struct monitor_expiry *expiry = &report->expiries[i];
        bool key = span_is(expiry->kind, "key");
        bool soon = expiry->days_left < MONITOR_EXPIRY_CRITICAL_DAYS;

        if (!expiry->has_expires_at || expiry->days_left >= MONITOR_EXPIRY_WARN_DAYS)
            continue;
        find(report, findings,
             &(struct monitor_finding){.name = key ? "KeyExpiring" : "CertificateExpiring",
                                       .severity = soon ? "critical" : "warning",
                                       .label = key ? "key" : "certificate",
                                       .value = expiry->name,
                                       .looks = 1},
             expiry->expires_at <= report->reported_at ? "%.*s is not valid any more."
                                                       : "%.*s is not valid for much longer.",
             SPAN_ARG(expiry->name));
    }
}

static void judge_keeper(const struct monitor_report *report, struct monitor_findings *findings)
{
    struct span keeper = report->audit.keeper;

    if (span_is(keeper, "forked"))
        find(report, findings,
             &(struct monitor_finding){.name = "AuditForked", .severity = "critical", .looks = 1},
             "The log does not go on from its last checkpoint: it was changed.");
    else if (span_is(keeper, "stopped"))
        find(report, findings,
             &(struct monitor_finding){
                 .name = "AuditKeeperStopped", .severity = "critical", .looks = 2},
             "The log gets no checkpoints from this node any more.");
}

static void judge_audit(const struct monitor_report *report, struct monitor_findings *findings)
{
    const struct monitor_audit *audit = &report->audit;

    if (audit->pressure.len > 0 && !span_is(audit->pressure, "none"))
        find(report, findings,
             &(struct monitor_finding){.name = "AuditPressure", .severity = "critical", .looks = 1},
             "The log cannot be written (%.*s), and business writes are refused.",
             SPAN_ARG(audit->pressure));
    if (audit->has_tree && audit->lag_ms > MONITOR_LAG_MS_MAX)
        find(report, findings,
             &(struct monitor_finding){.name = "AuditLag",
                                       .severity = "warning",
                                       .label = "stage",
                                       .value = SPAN("checkpoint"),
                                       .looks = 2},
             "Events wait for their checkpoint.");
    if (audit->has_outbox && audit->outbox_ms > MONITOR_OUTBOX_MS_MAX)
        find(report, findings,
             &(struct monitor_finding){.name = "AuditLag",
                                       .severity = "warning",
                                       .label = "stage",
                                       .value = SPAN("outbox"),
                                       .looks = 2},
             "Events wait for their way to the audit database.");
    judge_keeper(report, findings);
}

void monitor_judge(const struct monitor_report *report, struct monitor_findings *findings)
{
    judge_store(report, findings);
    judge_queues(report, findings);
    judge_shared_limits(report, findings);
    judge_breakers(report, findings);
    judge_expiries(report, findings);
    judge_audit(report, findings);
}

/* The label is the missing node, so that all who miss it raise the same alert. */
void monitor_judge_missing(const struct monitor_report *report, struct span node,
                           struct monitor_findings *findings)
{
    size_t at = findings->count;

    find(report, findings,
         &(struct monitor_finding){
             .name = MONITOR_ALERT_MISSING, .severity = "critical", .looks = 1},
         "%.*s has not reported for more than %d seconds.", SPAN_ARG(node), MONITOR_MISSING_S);
    if (findings->count > at)
        findings->list[at].node = node;
}

/* ---- services ---------------------------------------------------------------------------------
 */

static bool has_breaker_open(const struct monitor_report *report, struct span service)
{
    for (size_t i = 0; i < report->breaker_count; i++) {
        if (span_equal(report->breakers[i].service, service))
            return true;
    }
    return false;
}

void monitor_judge_services(struct monitor_report *report)
{
    bool store_well = is_well(report->store.reads) && is_well(report->store.writes);

    for (size_t i = 0; i < report->service_count; i++) {
        struct monitor_service *service = &report->services[i];
        const struct monitor_rates *minute = &service->minute;

        service->health = SPAN_OF("ok");
        if (minute->errors * 20 > minute->requests || has_breaker_open(report, service->service))
            service->health = SPAN_OF("degraded");
        if (!store_well || (minute->requests > 0 && minute->errors * 2 >= minute->requests))
            service->health = SPAN_OF("failing");
    }
}
