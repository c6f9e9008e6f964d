/* SPDX-License-Identifier: MIT
 * What was asked for, by the metrics that http/ counts: since the start, and in the last minute as
 * the difference to what stood a minute ago.
 *
 * Threads: one at a time.    Memory: monitor_traffic_new / monitor_traffic_free.
 * Units:   monotonic nanoseconds. */
#ifndef PC_MONITOR_MONITOR_TRAFFIC_H
#define PC_MONITOR_MONITOR_TRAFFIC_H

#include "base/metric_read.h"
#include "monitor/monitor_report.h"

struct monitor_traffic;

PC_CHECKED enum err monitor_traffic_new(struct metrics *metrics,
                                        struct monitor_traffic **ret_traffic);
void monitor_traffic_free(struct monitor_traffic *traffic); /* accepts NULL */

/* Looks at the counters. At most once a second counts towards the minute. */
void monitor_traffic_look(struct monitor_traffic *traffic, int64_t now_ns);

/* Rates, routes, breakers and limits of what was seen last. Services that the report does not have
 * yet are added, without an address. */
void monitor_traffic_tell(const struct monitor_traffic *traffic, struct monitor_report *report);

#endif
