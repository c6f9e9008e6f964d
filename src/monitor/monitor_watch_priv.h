/* SPDX-License-Identifier: MIT
 * The watcher's memory, shared by those who look and those who tell. */
#ifndef PC_MONITOR_MONITOR_WATCH_PRIV_H
#define PC_MONITOR_MONITOR_WATCH_PRIV_H

#include <pthread.h>

#include "monitor/monitor_label.h"
#include "monitor/monitor_traffic.h"
#include "monitor/monitor_watch.h"
#include "trail/trail_log.h"

enum { NO_ANSWER_MS = 2500, WATCH_TEXT_BYTES = 128 };

enum monitor_task_kind { TASK_REPORT, TASK_READ, TASK_TELL, TASK_SWEEP, TASK_COUNT };
enum monitor_task_state { TASK_IDLE, TASK_BUSY, TASK_DONE };

/* A job of the store, of which there is one of a kind at a time. While it is busy it is the
 * store's. */
struct monitor_task {
    struct store_job job;
    struct monitor_watch *watch;
    struct arena arena;
    enum monitor_task_state state; /* under the watcher's lock */
    enum err err;                  /* of the last one */
    int64_t begun_ns, asked_ns;    /* monotonic; since 1970 */

    struct span report;            /* TASK_REPORT */
    struct monitor_node_row *rows; /* TASK_READ */
    size_t row_count, adopted_count;
    bool more_rows;
    struct monitor_alert *adopted;
    struct monitor_tally tally;
    int64_t tally_id; /* the newest row in it */
    bool measures;    /* the store's size too */
    int64_t bytes, tree_at;
    struct trail_tree tree;
    struct monitor_inner_telling telling; /* TASK_TELL */
    bool more;                            /* TASK_SWEEP */
};

struct monitor_watch {
    struct monitor_options options;
    struct monitor_inner *inner;
    char node[MONITOR_NODE_BYTES_MAX + 1], version[WATCH_TEXT_BYTES];
    int64_t started_ns, started_at;

    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t wake;
    bool stopping;
    char configuration[WATCH_TEXT_BYTES];
    struct monitor_nodes nodes;
    struct monitor_tally tally;
    int64_t tally_id;
    bool has_tally;
    char own[MONITOR_REPORT_BYTES_MAX]; /* our last report */
    size_t own_bytes;
    int64_t own_at;

    /* Of the looks alone. */
    struct arena arena;
    struct monitor_traffic *traffic;
    int64_t now_ns, real_ns;
    int64_t bytes, bytes_ns;
    int64_t tree_size, behind_ns; /* the log in the store; since when the keeper does not see it */
    bool has_bytes, adopted, nodes_cut, sweeps_on;
    struct monitor_task tasks[TASK_COUNT];
};

/* monitor_watch_adopt.c: what the store has of alerts that the program raised. Inside a job. */

/* Those that are firing and are this node's to go on with, at most MONITOR_INNER_MAX. */
PC_CHECKED enum err monitor_watch_adoptable(struct store_conn *conn, struct span node,
                                            struct arena *arena, struct monitor_alert **ret_list,
                                            size_t *ret_count);
/* The newest row of all; 0: there is none. */
PC_CHECKED enum err monitor_watch_last_id(struct store_conn *conn, int64_t *ret_id);

static inline void monitor_watch_lock(struct monitor_watch *watch)
{
    PC_ASSERT(pthread_mutex_lock(&watch->lock) == 0);
}

static inline void monitor_watch_unlock(struct monitor_watch *watch)
{
    PC_ASSERT(pthread_mutex_unlock(&watch->lock) == 0);
}

#endif
