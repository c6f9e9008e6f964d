/* SPDX-License-Identifier: MIT
 * The monitoring service: alerts that come in and who looks after them, and the state of every
 * service and node.
 *
 * Threads: any; routes run where their rows say.    Memory: monitor_new / monitor_free.
 * Source:  contract, section 4; README.md here. */
#ifndef PC_MONITOR_MONITOR_H
#define PC_MONITOR_MONITOR_H

#include "http/http.h"
#include "monitor/monitor_report.h"

struct monitor;

enum { MONITOR_TOKEN_BYTES_MIN = 32 };

struct monitor_options {
    struct store *store;
    const struct clock *clock;
    struct logger *logger;   /* optional */
    struct metrics *metrics; /* optional */
    /* What the webhook takes in place of a token; empty: tokens only. */
    struct span webhook_token;

    struct span node;                   /* what this node is called, at most 128 bytes */
    struct span version;                /* of the program */
    struct span configuration;          /* hash of the settings in force */
    int64_t keep_days;                  /* of alerts that are over; 0: for ever */
    int64_t stale_after_s;              /* Alertmanager's alerts end untold; 0: never */
    size_t store_queue_max;             /* 0: its depth is not told */
    const struct monitor_probe *probes; /* must outlive the service */
    size_t probe_count;
};

/* The options' texts are not needed any more when it returns. ERR_NO_MEMORY; ERR_CONFIG: the
 * webhook's token is too short; those of metric_register. */
PC_CHECKED enum err monitor_new(const struct monitor_options *options,
                                struct monitor **ret_monitor);
void monitor_free(struct monitor *monitor); /* accepts NULL */

/* The watcher: it reports, reads the other nodes' reports, and raises alerts. Stopping waits for
 * the store; it must come before the store is closed and before what the probes look at goes. */
PC_CHECKED enum err monitor_start(struct monitor *monitor);
void monitor_stop(struct monitor *monitor); /* accepts NULL */

/* Other settings came into force. */
void monitor_configuration(struct monitor *monitor, struct span hash);

/* What is read and what operators do, also below the gateway; and the webhook, on the service's own
 * port only. Their context is a struct monitor. */
extern const struct http_route monitor_read_routes[];
extern const struct http_route monitor_write_routes[];

#endif
