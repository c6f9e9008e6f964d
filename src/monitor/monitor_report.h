/* SPDX-License-Identifier: MIT
 * What a node tells of itself: facts, which probes fill in and rules judge. The struct is what the
 * routes answer, by the schema below.
 *
 * A probe is a function of app/, which knows the folders that this one must not: it writes what it
 * finds into the report, texts into its arena. Whatever a probe leaves out is not told.
 *
 * Threads: one at a time, the watcher.    Memory: the arena's.
 * Units:   nanoseconds since 1970 where a schema says time; else as the name says. */
#ifndef PC_MONITOR_MONITOR_REPORT_H
#define PC_MONITOR_MONITOR_REPORT_H

#include "base/arena.h"
#include "json/json_schema.h"

enum {
    MONITOR_NODE_BYTES_MAX = 128,
    MONITOR_SERVICES_MAX = 8,
    MONITOR_ROUTES_MAX = 64, /* of one service; the busiest ones */
    MONITOR_QUEUES_MAX = 16,
    MONITOR_EXPIRIES_MAX = 32,
    MONITOR_BREAKERS_MAX = 32, /* that are not closed */
};

/* Of a minute, or since the start. */
struct monitor_rates {
    int64_t requests, errors;           /* errors: 5xx */
    struct span error_rate;             /* decimal, 0 to 1 */
    struct span p50_ms, p95_ms, p99_ms; /* decimals */
};

struct monitor_route {
    struct span method, route;
    struct span breaker; /* closed, open, half_open; {NULL, 0}: it has none */
    struct monitor_rates minute, start;
};

struct monitor_service {
    struct span service; /* "api-gateway" */
    struct span address; /* "https://127.0.0.1:8000" */
    struct span health;  /* ok, degraded, failing */
    struct monitor_rates minute, start;
    struct json_list routes; /* of struct monitor_route */
};

struct monitor_breaker {
    struct span service, method, route, state;
};

struct monitor_queue {
    struct span name; /* "store.writes" */
    int64_t depth, max;
};

struct monitor_store {
    struct span kind, place;   /* "sqlite"; without a password */
    struct span reads, writes; /* "ok", or the slug of what is wrong */
    int64_t bytes, log_bytes, free_bytes;
    bool has_bytes, has_log_bytes, has_free_bytes;
    int64_t jobs_read, jobs_written, commits, failures, retries, reconnects, unknown;
};

struct monitor_limits {
    int64_t allowed, refused;
};

/* What ends one day: a certificate, a key. */
struct monitor_expiry {
    struct span kind; /* certificate, key */
    struct span name; /* "listener:gateway", "session", "issuer:2027-01" */
    int64_t expires_at;
    bool has_expires_at; /* else it is good until it is replaced */
    int64_t days_left;
};

struct monitor_audit {
    int64_t tree_size;    /* leaves committed */
    int64_t signed_size;  /* of them under a checkpoint */
    int64_t lag_ms;       /* how long the oldest leaf without one has waited */
    int64_t outbox;       /* events not yet carried to the audit database */
    int64_t outbox_ms;    /* how long the oldest of them has waited */
    struct span keeper;   /* running, stopped, without_key, forked */
    struct span pressure; /* none, or the slug of why the log cannot be written */
    int64_t pressure_at;  /* since when */
    bool has_pressure_at, has_tree, has_outbox;
};

struct monitor_report {
    struct arena *arena;
    struct span node, version, configuration;
    struct span health; /* ok, degraded, failing: by the alerts that the node raised itself */
    int64_t reported_at, started_at, uptime_s;
    struct monitor_service services[MONITOR_SERVICES_MAX];
    size_t service_count;
    struct monitor_queue queues[MONITOR_QUEUES_MAX];
    size_t queue_count;
    struct monitor_expiry expiries[MONITOR_EXPIRIES_MAX];
    size_t expiry_count;
    struct monitor_breaker breakers[MONITOR_BREAKERS_MAX];
    size_t breaker_count;
    int64_t breakers_closed, breakers_open, breakers_half_open;
    struct monitor_store store;
    struct monitor_limits limits_minute, limits_start;
    struct span limits_shared; /* up, away; {NULL, 0}: no limit is kept with other nodes */
    struct monitor_audit audit;
    int64_t alerts; /* that it raised itself and that are firing */
    struct json_list service_list, queue_list, expiry_list, breaker_list; /* of the above */
};

extern const struct json_schema monitor_report_schema;

/* For probes: one more, or dropped when there is no place for it. Texts are copied. */
void monitor_report_queue(struct monitor_report *report, const char *name, size_t depth,
                          size_t max);
/* `expires_at_s`: seconds since 1970; 0, or the last second of the year 9999: it does not end by
 * itself. */
void monitor_report_expiry(struct monitor_report *report, const char *kind, struct span name,
                           int64_t expires_at_s);
void monitor_report_service(struct monitor_report *report, struct span service,
                            struct span address);

typedef void monitor_probe_fn(void *context, struct monitor_report *report);

struct monitor_probe {
    monitor_probe_fn *look;
    void *context;
};

#endif
