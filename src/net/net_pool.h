/* SPDX-License-Identifier: MIT
 * A few threads for work that is pure computation and too slow for a loop: password hashing, RSA.
 * Its queue is bounded, so a flood of logins is refused (ERR_BUSY) and slows nothing else.
 *
 * Threads: submit from any. run is called on a pool thread; it ends by handing the job back, as a
 * rule with net_loop_post.    Memory: jobs are the caller's. */
#ifndef PC_NET_POOL_H
#define PC_NET_POOL_H

#include "base/queue.h"

struct net_pool;
struct net_job;
typedef void net_job_fn(struct net_job *job);

struct net_job {
    struct queue_item link;
    net_job_fn *run;
};

/* `name` shows in ps and top (15 bytes at most) and must outlive the pool. */
PC_CHECKED enum err net_pool_new(const char *name, size_t threads, size_t queue_max,
                                 struct net_pool **ret_pool);

/* The same with threads that step back by `nice` (0 to 19) when processors are short, so that a
 * flood of their work slows no loop. */
PC_CHECKED enum err net_pool_new_nice(const char *name, size_t threads, size_t queue_max, int nice,
                                      struct net_pool **ret_pool);

/* ERR_BUSY when the queue is full; ERR_DRAINING once net_pool_free has begun. */
PC_CHECKED enum err net_pool_submit(struct net_pool *pool, struct net_job *job);

/* Jobs waiting. */
size_t net_pool_length(struct net_pool *pool);

/* Refuses new jobs, runs what is queued, joins the threads. Accepts NULL. */
void net_pool_free(struct net_pool *pool);

#endif
