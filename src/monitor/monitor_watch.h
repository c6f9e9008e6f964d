/* SPDX-License-Identifier: MIT
 * The watcher: a thread that looks at this node twice a second, judges what it sees, and tells the
 * store and the other nodes. It never waits for the store: what it asks of it are jobs whose
 * answers it collects at a later look.
 *
 *   look: collect answers -> probes fill the report -> rules judge it -> alerts in memory
 *         -> report published in memory -> jobs: report, others' reports, alerts, sweeping
 *
 * Threads: any; the looks themselves in one at a time.
 * Memory:  monitor_watch_new / monitor_watch_free. */
#ifndef PC_MONITOR_MONITOR_WATCH_H
#define PC_MONITOR_MONITOR_WATCH_H

#include "monitor/monitor.h"
#include "monitor/monitor_inner.h"
#include "monitor/monitor_nodes.h"

struct monitor_watch;

PC_CHECKED enum err monitor_watch_new(const struct monitor_options *options,
                                      struct monitor_inner *inner,
                                      struct monitor_watch **ret_watch);
void monitor_watch_free(struct monitor_watch *watch); /* accepts NULL; stops it first */

/* The thread. Stopping waits for the jobs under way and says in the store that the node stops. */
PC_CHECKED enum err monitor_watch_start(struct monitor_watch *watch);
void monitor_watch_stop(struct monitor_watch *watch);

/* One look, and waiting for what it asked of the store: for the thread, and for tests without it.
 */
void monitor_watch_look(struct monitor_watch *watch);
void monitor_watch_settle(struct monitor_watch *watch);

/* The hash of the settings in force, shown in reports from now on. */
void monitor_watch_configuration(struct monitor_watch *watch, struct span hash);

/* The answer of GET /monitoring/status. ERR_AGAIN before the first look; ERR_NO_MEMORY. */
PC_CHECKED enum err monitor_watch_status(struct monitor_watch *watch, struct arena *arena,
                                         struct span *ret_json);
extern const struct json_schema monitor_status_schema;

#endif
