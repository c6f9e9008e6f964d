/* SPDX-License-Identifier: MIT
 * How a node's report is written, and how probes add to it. */
#include "monitor/monitor_report.h"

#include "base/clock.h"

#define S_PER_DAY  INT64_C(86400)
#define NO_END_S   INT64_C(253402300799) /* 9999-12-31T23:59:59Z: RFC 5280, 4.1.2.5 */
#define TIME_S_MAX (INT64_MAX / CLOCK_NS_PER_S)

#define TEXT(type, member, chars, text)                                                            \
    .name = #member, .kind = JSON_KIND_TEXT, .max = (chars), .offset = offsetof(type, member),     \
    .example = (text)
#define NUMBER(type, member, text)                                                                 \
    .name = #member, .kind = JSON_KIND_I64, .min = INT64_MIN, .max = INT64_MAX,                    \
    .offset = offsetof(type, member), .example = (text)
#define DECIMAL(type, member, text)                                                                \
    .name = #member, .kind = JSON_KIND_DECIMAL, .max = INT64_MAX,                                  \
    .offset = offsetof(type, member), .example = (text)
#define TIME(type, member)                                                                         \
    .name = #member, .kind = JSON_KIND_TIME, .offset = offsetof(type, member),                     \
    .example = "2026-02-03T04:05:06Z"
#define PART(type, member, part)                                                                   \
    .name = #member, .kind = JSON_KIND_OBJECT, .schema = (part), .offset = offsetof(type, member)
#define MAYBE(type, has) .optional = true, .nullable = true, .has_offset = offsetof(type, has)
#define SCHEMA(text, words, table, type)                                                           \
    {                                                                                              \
        .name = (text), .about = (words), .fields = (table), .field_count = PC_COUNT(table),       \
        .bytes = sizeof(type)                                                                      \
    }

static const char *const breaker_states[] = {"closed", "open", "half_open", NULL};
static const char *const healths[] = {"ok", "degraded", "failing", NULL};

static const struct json_field rates_fields[] = {
    {NUMBER(struct monitor_rates, requests, "1200")},
    {NUMBER(struct monitor_rates, errors, "3"), .about = "Answered with 500 or above."},
    {DECIMAL(struct monitor_rates, error_rate, "0.0025"), .about = "Errors of requests, 0 to 1."},
    {DECIMAL(struct monitor_rates, p50_ms, "0.9"),
     .about = "Half of the requests took less, as far as the histogram's buckets tell."},
    {DECIMAL(struct monitor_rates, p95_ms, "4.2")},
    {DECIMAL(struct monitor_rates, p99_ms, "9.8")},
};
static const struct json_schema rates_schema =
    SCHEMA("Rates", "What was answered, and how quickly.", rates_fields, struct monitor_rates);

static const struct json_field route_fields[] = {
    {TEXT(struct monitor_route, method, 16, "GET")},
    {TEXT(struct monitor_route, route, 256, "/api/v1/health")},
    {.name = "breaker",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .nullable = true,
     .choices = breaker_states,
     .offset = offsetof(struct monitor_route, breaker),
     .about = "Null when it has none.",
     .example = "closed"},
    {PART(struct monitor_route, minute, &rates_schema), .about = "Of the last minute."},
    {PART(struct monitor_route, start, &rates_schema), .about = "Since the node started."},
};
static const struct json_schema route_schema =
    SCHEMA("RouteReport", "A route of a service.", route_fields, struct monitor_route);

static const struct json_field service_fields[] = {
    {TEXT(struct monitor_service, service, 64, "api-gateway")},
    {TEXT(struct monitor_service, address, 512, "https://127.0.0.1:8000")},
    {.name = "health",
     .kind = JSON_KIND_TEXT,
     .choices = healths,
     .offset = offsetof(struct monitor_service, health),
     .about = "failing: its store does not answer, or half of the last minute's requests failed; "
              "degraded: a breaker is not closed, or one in twenty failed.",
     .example = "ok"},
    {PART(struct monitor_service, minute, &rates_schema), .about = "Of the last minute."},
    {PART(struct monitor_service, start, &rates_schema), .about = "Since the node started."},
    {.name = "routes",
     .kind = JSON_KIND_LIST,
     .max = MONITOR_ROUTES_MAX,
     .schema = &route_schema,
     .offset = offsetof(struct monitor_service, routes),
     .about = "Those that were asked for, the busiest first; fewer where the report would be too "
              "long."},
};
static const struct json_schema service_schema =
    SCHEMA("ServiceReport", "A service of a node.", service_fields, struct monitor_service);

static const struct json_field breaker_fields[] = {
    {TEXT(struct monitor_breaker, service, 64, "api-gateway")},
    {TEXT(struct monitor_breaker, method, 16, "GET")},
    {TEXT(struct monitor_breaker, route, 256, "/api/v1/admin/users")},
    {.name = "state",
     .kind = JSON_KIND_TEXT,
     .choices = breaker_states,
     .offset = offsetof(struct monitor_breaker, state),
     .example = "open"},
};
static const struct json_schema breaker_schema = SCHEMA(
    "BreakerReport", "A breaker that is not closed.", breaker_fields, struct monitor_breaker);

static const struct json_field queue_fields[] = {
    {TEXT(struct monitor_queue, name, 64, "store.writes")},
    {NUMBER(struct monitor_queue, depth, "0"), .about = "Waiting now."},
    {NUMBER(struct monitor_queue, max, "1024"), .about = "Beyond which it refuses."},
};
static const struct json_schema queue_schema =
    SCHEMA("QueueReport", "A bounded queue.", queue_fields, struct monitor_queue);

static const struct json_field store_fields[] = {
    {TEXT(struct monitor_store, kind, 16, "sqlite")},
    {TEXT(struct monitor_store, place, 2048, "sqlite:portcullis.db"),
     .about = "Without a password."},
    {TEXT(struct monitor_store, reads, 64, "ok"), .about = "ok, or what is wrong."},
    {TEXT(struct monitor_store, writes, 64, "ok"), .about = "ok, or what is wrong."},
    {NUMBER(struct monitor_store, bytes, "1048576"), MAYBE(struct monitor_store, has_bytes),
     .about = "Of the database."},
    {NUMBER(struct monitor_store, log_bytes, "4152"), MAYBE(struct monitor_store, has_log_bytes),
     .about = "Of its log of writes (SQLite)."},
    {NUMBER(struct monitor_store, free_bytes, "10737418240"),
     MAYBE(struct monitor_store, has_free_bytes), .about = "Left on the disk of the data folder."},
    {NUMBER(struct monitor_store, jobs_read, "9000")},
    {NUMBER(struct monitor_store, jobs_written, "1000")},
    {NUMBER(struct monitor_store, commits, "800")},
    {NUMBER(struct monitor_store, failures, "0")},
    {NUMBER(struct monitor_store, retries, "0")},
    {NUMBER(struct monitor_store, reconnects, "0")},
    {NUMBER(struct monitor_store, unknown, "0"), .about = "Jobs whose outcome nobody knows."},
};
static const struct json_schema store_schema =
    SCHEMA("StoreReport", "The node's store.", store_fields, struct monitor_store);

static const struct json_field limits_fields[] = {
    {NUMBER(struct monitor_limits, allowed, "1200")},
    {NUMBER(struct monitor_limits, refused, "4")},
};
static const struct json_schema limits_schema =
    SCHEMA("LimitDecisions", "What rate limits decided.", limits_fields, struct monitor_limits);

static const struct json_field expiry_fields[] = {
    {TEXT(struct monitor_expiry, kind, 32, "certificate"), .about = "certificate or key."},
    {TEXT(struct monitor_expiry, name, 256, "listener:gateway")},
    {TIME(struct monitor_expiry, expires_at), MAYBE(struct monitor_expiry, has_expires_at),
     .about = "Null: good until it is replaced."},
    {NUMBER(struct monitor_expiry, days_left, "90"), MAYBE(struct monitor_expiry, has_expires_at)},
};
static const struct json_schema expiry_schema =
    SCHEMA("ExpiryReport", "A certificate or key.", expiry_fields, struct monitor_expiry);

static const struct json_field audit_fields[] = {
    {NUMBER(struct monitor_audit, tree_size, "5000"), MAYBE(struct monitor_audit, has_tree),
     .about = "Leaves of the log."},
    {NUMBER(struct monitor_audit, signed_size, "5000"), MAYBE(struct monitor_audit, has_tree),
     .about = "Of them under a signed checkpoint."},
    {NUMBER(struct monitor_audit, lag_ms, "0"), MAYBE(struct monitor_audit, has_tree),
     .about = "How long the oldest leaf without a checkpoint has waited."},
    {NUMBER(struct monitor_audit, outbox, "0"), MAYBE(struct monitor_audit, has_outbox),
     .about = "Events on their way to the audit database; null when it is the same one."},
    {NUMBER(struct monitor_audit, outbox_ms, "0"), MAYBE(struct monitor_audit, has_outbox),
     .about = "How long the oldest of them has waited."},
    {.name = "keeper",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .nullable = true,
     .max = 32,
     .offset = offsetof(struct monitor_audit, keeper),
     .about = "Who signs checkpoints here: running, stopped, without_key or forked.",
     .example = "running"},
    {.name = "pressure",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .nullable = true,
     .max = 64,
     .offset = offsetof(struct monitor_audit, pressure),
     .about = "none, or why the log cannot be written and business writes are refused.",
     .example = "none"},
    {TIME(struct monitor_audit, pressure_at), MAYBE(struct monitor_audit, has_pressure_at),
     .about = "Since when."},
};
static const struct json_schema audit_schema =
    SCHEMA("AuditReport", "The audit log as the node sees it.", audit_fields, struct monitor_audit);

#define LIST(list_name, member, part, items)                                                       \
    .name = (list_name), .kind = JSON_KIND_LIST, .max = (items), .schema = (part),                 \
    .offset = offsetof(struct monitor_report, member)

static const struct json_field report_fields[] = {
    {TEXT(struct monitor_report, node, 256, "gateway-1:8000")},
    {TEXT(struct monitor_report, version, 64, "1.0.0")},
    {TEXT(struct monitor_report, configuration, 128, "sha256:9f86d081"),
     .about = "Hash of the settings in force; secrets are not in it."},
    {.name = "health",
     .kind = JSON_KIND_TEXT,
     .choices = healths,
     .offset = offsetof(struct monitor_report, health),
     .about = "failing: a critical alert of its own is firing; degraded: another one is.",
     .example = "ok"},
    {TIME(struct monitor_report, reported_at)},
    {TIME(struct monitor_report, started_at)},
    {NUMBER(struct monitor_report, uptime_s, "86400")},
    {NUMBER(struct monitor_report, alerts, "0"),
     .about = "That the node raised itself and that are firing."},
    {LIST("services", service_list, &service_schema, MONITOR_SERVICES_MAX)},
    {PART(struct monitor_report, store, &store_schema)},
    {LIST("queues", queue_list, &queue_schema, MONITOR_QUEUES_MAX)},
    {NUMBER(struct monitor_report, breakers_closed, "90")},
    {NUMBER(struct monitor_report, breakers_open, "0")},
    {NUMBER(struct monitor_report, breakers_half_open, "0")},
    {LIST("breakers", breaker_list, &breaker_schema, MONITOR_BREAKERS_MAX),
     .about = "Those that are not closed."},
    {PART(struct monitor_report, limits_minute, &limits_schema), .about = "Of the last minute."},
    {PART(struct monitor_report, limits_start, &limits_schema), .about = "Since the node started."},
    {.name = "limits_shared",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .nullable = true,
     .max = 16,
     .offset = offsetof(struct monitor_report, limits_shared),
     .about = "Limits kept with other nodes: up, or away while a loop thread cannot reach Redis; "
              "null when none is.",
     .example = "up"},
    {LIST("expiries", expiry_list, &expiry_schema, MONITOR_EXPIRIES_MAX),
     .about = "Certificates and keys."},
    {PART(struct monitor_report, audit, &audit_schema)},
};
const struct json_schema monitor_report_schema =
    SCHEMA("NodeReport", "What a node tells of itself.", report_fields, struct monitor_report);

/* ---- what probes add --------------------------------------------------------------------------
 */

void monitor_report_queue(struct monitor_report *report, const char *name, size_t depth, size_t max)
{
    if (report->queue_count == MONITOR_QUEUES_MAX)
        return;
    report->queues[report->queue_count++] =
        (struct monitor_queue){.name = arena_copy(report->arena, span_from(name)),
                               .depth = (int64_t)depth,
                               .max = (int64_t)max};
}

/* What a certificate says may lie beyond what nanoseconds can tell, which is the year 2262. */
static int64_t time_of(int64_t s)
{
    if (s > TIME_S_MAX)
        return INT64_MAX;
    return s < -TIME_S_MAX ? INT64_MIN : s * CLOCK_NS_PER_S;
}

void monitor_report_expiry(struct monitor_report *report, const char *kind, struct span name,
                           int64_t expires_at_s)
{
    int64_t now_s = report->reported_at / CLOCK_NS_PER_S;
    bool ends = expires_at_s != 0 && expires_at_s != NO_END_S;

    if (report->expiry_count == MONITOR_EXPIRIES_MAX)
        return;
    report->expiries[report->expiry_count++] =
        (struct monitor_expiry){.kind = arena_copy(report->arena, span_from(kind)),
                                .name = arena_copy(report->arena, name),
                                .expires_at = ends ? time_of(expires_at_s) : 0,
                                .has_expires_at = ends,
                                .days_left = (expires_at_s - now_s) / S_PER_DAY};
}

void monitor_report_service(struct monitor_report *report, struct span service, struct span address)
{
    if (report->service_count == MONITOR_SERVICES_MAX)
        return;
    report->services[report->service_count++] =
        (struct monitor_service){.service = arena_copy(report->arena, service),
                                 .address = arena_copy(report->arena, address)};
}
