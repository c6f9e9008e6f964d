/* SPDX-License-Identifier: MIT
 * Gauges and counters of what the store and the pools do, asked for when /metrics is read. */
#include "app/serve_priv.h"

/* One number of store_stats under one name. */
struct store_metric {
    struct metric_def def;
    metric_read_fn *read;
};

static struct store_stats stats_of(void *context)
{
    struct store_stats stats;

    store_stats(context, &stats);
    return stats;
}

#define STORE_NUMBER(name, member)                                                                 \
    static int64_t name(void *context)                                                             \
    {                                                                                              \
        return (int64_t)stats_of(context).member;                                                  \
    }
STORE_NUMBER(read_jobs, reads)
STORE_NUMBER(write_jobs, writes)
STORE_NUMBER(read_commits, commits)
STORE_NUMBER(read_failures, failures)
STORE_NUMBER(read_retries, retries)
STORE_NUMBER(reads_waiting, reads_queued)
STORE_NUMBER(writes_waiting, writes_queued)
#undef STORE_NUMBER

static int64_t store_is_ready(void *context)
{
    return store_ready(context) == ERR_OK;
}

static int64_t jobs_waiting(void *context)
{
    return (int64_t)net_pool_length(context);
}

static const struct store_metric store_metrics[] = {
    {{.name = "store_reads_total", .help = "Read jobs done.", .kind = METRIC_COUNTER}, read_jobs},
    {{.name = "store_writes_total", .help = "Write jobs done.", .kind = METRIC_COUNTER},
     write_jobs},
    {{.name = "store_commits_total", .help = "Batches committed.", .kind = METRIC_COUNTER},
     read_commits},
    {{.name = "store_failures_total", .help = "Jobs that failed.", .kind = METRIC_COUNTER},
     read_failures},
    {{.name = "store_retries_total", .help = "Jobs run again.", .kind = METRIC_COUNTER},
     read_retries},
    {{.name = "store_read_queue_depth", .help = "Reads waiting.", .kind = METRIC_GAUGE},
     reads_waiting},
    {{.name = "store_write_queue_depth", .help = "Writes waiting.", .kind = METRIC_GAUGE},
     writes_waiting},
    {{.name = "store_ready", .help = "1 when the store answers.", .kind = METRIC_GAUGE},
     store_is_ready},
};

static const struct metric_def hash_def = {
    .name = "hash_queue_depth", .help = "Password hashes waiting.", .kind = METRIC_GAUGE};
static const struct metric_def sign_def = {
    .name = "sign_queue_depth", .help = "Signatures waiting.", .kind = METRIC_GAUGE};

enum err serve_metrics(struct serve *serve)
{
    struct metric *metric;
    enum err err;

    for (size_t i = 0; i < PC_COUNT(store_metrics); i++) {
        err = metric_register(serve->metrics, &store_metrics[i].def, &metric);
        if (err)
            return err;
        metric_callback(metric_only(metric), store_metrics[i].read, serve->store);
    }
    err = metric_register(serve->metrics, &hash_def, &metric);
    if (err)
        return err;
    metric_callback(metric_only(metric), jobs_waiting, serve->hash_pool);
    err = metric_register(serve->metrics, &sign_def, &metric);
    if (err)
        return err;
    metric_callback(metric_only(metric), jobs_waiting, serve->sign_pool);
    return log_metrics(serve->logger, serve->metrics);
}
