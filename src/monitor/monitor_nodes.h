/* SPDX-License-Identifier: MIT
 * The nodes' reports in the store: each writes its own and reads the others'.
 *
 * Clocks of nodes differ, so a node counts as missing when its report stood still for 15 seconds of
 * our own clock, while we could read it. When there are more rows than we keep, running nodes come
 * first and those that reported last among them: pods have a new name at each start, and their old
 * rows stay for a while.
 *
 * Threads: the store's functions inside a job, the others one at a time.
 * Memory:  monitor_nodes_new / monitor_nodes_free.
 * Units:   nanoseconds; at_ns since 1970 by the node's own clock, seen_ns monotonic by ours. */
#ifndef PC_MONITOR_MONITOR_NODES_H
#define PC_MONITOR_MONITOR_NODES_H

#include "base/arena.h"
#include "monitor/monitor_alert.h"
#include "monitor/monitor_report.h"
#include "store/store.h"

enum {
    MONITOR_NODES_MAX = 256,
    MONITOR_NODE_REPORTS_MAX = 48,        /* kept and told: 3 MiB when all are as long as can be */
    MONITOR_REPORT_BYTES_MAX = 64 * 1024, /* of a report as JSON */
    MONITOR_NODES_FORGET_S =
        86400, /* a missing one; one that stopped in order, at once an hour later */
    MONITOR_STOPPED_FORGET_S = 3600,
};

/* As the store has it. */
struct monitor_node_row {
    struct span node, report;
    int64_t at_ns, stopped_at_ns; /* stopped_at_ns 0: it runs */
};

PC_CHECKED enum err monitor_node_write(struct store_conn *conn, struct span node, int64_t now_ns,
                                       bool stopping, struct span report);
/* *ret_more: there are rows beyond MONITOR_NODES_MAX. */
PC_CHECKED enum err monitor_node_rows(struct store_conn *conn, struct arena *arena,
                                      struct monitor_node_row **ret_list, size_t *ret_count,
                                      bool *ret_more);
/* Forgets the rows of nodes that are gone for long. */
PC_CHECKED enum err monitor_node_sweep(struct store_conn *conn, int64_t now_ns);
/* Bytes of the database. */
PC_CHECKED enum err monitor_store_bytes(struct store_conn *conn, int64_t *ret_bytes);

enum monitor_node_state { MONITOR_NODE_UP, MONITOR_NODE_STOPPED, MONITOR_NODE_MISSING };

struct monitor_node {
    char name[MONITOR_NODE_BYTES_MAX + 1];
    int64_t at_ns, stopped_at_ns;
    int64_t moved_ns; /* when it last moved, by our clock */
    int64_t still_ns; /* how long it has stood still while we could read it */
    bool present;     /* in the last reading */
    char *report;
    size_t report_bytes;
};

struct monitor_nodes {
    struct monitor_node list[MONITOR_NODES_MAX];
    size_t count;
    int64_t read_ns;    /* the last reading; 0: none */
    int64_t watched_ns; /* how long we could read them since the start */
};

/* Takes over what was read at `now_ns` (monotonic); `real_ns` is the time of day then. */
void monitor_nodes_take(struct monitor_nodes *nodes, const struct monitor_node_row *rows,
                        size_t count, int64_t now_ns, int64_t real_ns);
enum monitor_node_state monitor_node_state(const struct monitor_node *node);
/* Whether they were watched for so long that whoever is missing is known to be. */
bool monitor_nodes_known(const struct monitor_nodes *nodes);
void monitor_nodes_clear(struct monitor_nodes *nodes);

#endif
