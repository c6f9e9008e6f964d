/* SPDX-License-Identifier: MIT
 * What the store, the queues, certificates and keys, and the program itself tell at /metrics, most
 * of it asked for when that is read. */
#include "app/serve_priv.h"

#include <fcntl.h>
#include <unistd.h>

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
STORE_NUMBER(read_unknown, unknown)
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
    {{.name = "store_unknown_total",
      .help = "Jobs whose outcome nobody knows.",
      .kind = METRIC_COUNTER},
     read_unknown},
    {{.name = "store_read_queue_depth", .help = "Reads waiting.", .kind = METRIC_GAUGE},
     reads_waiting},
    {{.name = "store_write_queue_depth", .help = "Writes waiting.", .kind = METRIC_GAUGE},
     writes_waiting},
    {{.name = "store_ready", .help = "1 when the store answers.", .kind = METRIC_GAUGE},
     store_is_ready},
};

/* ---- queues -----------------------------------------------------------------------------------
 */

static const struct metric_def hash_def = {
    .name = "hash_queue_depth", .help = "Password hashes waiting.", .kind = METRIC_GAUGE};
static const struct metric_def sign_def = {
    .name = "sign_queue_depth", .help = "Signatures waiting.", .kind = METRIC_GAUGE};
static const struct metric_def capacity_def = {
    .name = "portcullis_queue_capacity",
    .help = "How many jobs may wait; one more is answered 503.",
    .kind = METRIC_GAUGE,
    .labels = {"queue"}};

/* The series of one label's value. */
static struct metric_series *series_of(struct metric *metric, const char *value)
{
    struct span label = span_from(value);

    return metric_series(metric, &label, 1);
}

static enum err queues(struct serve *serve)
{
    const struct config *config = serve->config;
    struct metric *metric;
    enum err err = metric_register(serve->metrics, &hash_def, &metric);

    if (err)
        return err;
    metric_callback(metric_only(metric), jobs_waiting, serve->hash_pool);
    err = metric_register(serve->metrics, &sign_def, &metric);
    if (err)
        return err;
    metric_callback(metric_only(metric), jobs_waiting, serve->sign_pool);
    err = metric_register(serve->metrics, &capacity_def, &metric);
    if (err)
        return err;
    metric_set(series_of(metric, "store"), (int64_t)config->workers.store_queue_max);
    metric_set(series_of(metric, "hash"), (int64_t)config->workers.hash_queue_max);
    metric_set(series_of(metric, "sign"), (int64_t)config->workers.sign_queue_max);
    return ERR_OK;
}

/* ---- what ends some day -----------------------------------------------------------------------
 */

static const struct metric_def certificate_def = {
    .name = "portcullis_certificate_expiry_timestamp_seconds",
    .help = "When a listener's certificate ends, in seconds since 1970.",
    .kind = METRIC_GAUGE,
    .labels = {"listener"}};
static const struct metric_def key_def = {
    .name = "portcullis_key_expiry_timestamp_seconds",
    .help = "When a signing key ends, in seconds since 1970; 0 when it has no end.",
    .kind = METRIC_GAUGE,
    .labels = {"key"}};

static int64_t issuer_key_end(void *context)
{
    const struct serve *serve = context;

    return oauth_keys_end_s(serve->oauth_keys, clock_realtime_ns(serve->clock));
}

/* The certificates themselves are read when the listeners are bound. */
static enum err expiries(struct serve *serve)
{
    struct metric *metric;
    enum err err = metric_register(serve->metrics, &certificate_def, &metric);

    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT && !err; i++) {
        if (serve_serves(serve, i) && serve->config->listeners[i].certificate != NULL)
            serve->listeners[i].certificate_end = series_of(metric, serve->listeners[i].name);
    }
    if (!err)
        err = metric_register(serve->metrics, &key_def, &metric);
    if (!err)
        metric_callback(series_of(metric, "issuer"), issuer_key_end, serve);
    return err;
}

/* ---- the program itself -----------------------------------------------------------------------
 */

static const struct metric_def build_def = {.name = "portcullis_build_info",
                                            .help = "1, with the version that runs.",
                                            .kind = METRIC_GAUGE,
                                            .labels = {"version"}};
static const struct metric_def started_def = {
    .name = "process_start_time_seconds",
    .help = "When the program started, in seconds since 1970.",
    .kind = METRIC_GAUGE};
static const struct metric_def memory_def = {.name = "process_resident_memory_bytes",
                                             .help = "Memory of the program, in bytes.",
                                             .kind = METRIC_GAUGE};

/* The second number of /proc/self/statm, in pages; 0 where it cannot be had. */
static int64_t resident_bytes(void *context)
{
    char text[128];
    struct span rest, pages;
    uint64_t count = 0;
    ssize_t bytes;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

    (void)context;
    if (fd < 0)
        return 0;
    bytes = read(fd, text, sizeof(text));
    (void)close(fd);
    rest = span_make(text, bytes > 0 ? (size_t)bytes : 0);
    if (!span_cut(&rest, ' ', &pages) || !span_cut(&rest, ' ', &pages) ||
        !span_to_u64(pages, &count))
        return 0;
    return (int64_t)count * sysconf(_SC_PAGESIZE);
}

static enum err program(struct serve *serve)
{
    struct metric *metric;
    enum err err = metric_register(serve->metrics, &build_def, &metric);

    if (err)
        return err;
    metric_set(series_of(metric, serve->version), 1);
    err = metric_register(serve->metrics, &started_def, &metric);
    if (err)
        return err;
    metric_set(metric_only(metric), clock_realtime_s(serve->clock));
    err = metric_register(serve->metrics, &memory_def, &metric);
    if (err)
        return err;
    metric_callback(metric_only(metric), resident_bytes, NULL);
    return ERR_OK;
}

enum err serve_metrics(struct serve *serve)
{
    struct metric *metric;
    enum err err = ERR_OK;

    for (size_t i = 0; i < PC_COUNT(store_metrics) && !err; i++) {
        err = metric_register(serve->metrics, &store_metrics[i].def, &metric);
        if (!err)
            metric_callback(metric_only(metric), store_metrics[i].read, serve->store);
    }
    if (!err)
        err = queues(serve);
    if (!err)
        err = expiries(serve);
    if (!err)
        err = program(serve);
    if (!err)
        err = trail_count_in(serve->metrics);
    if (!err)
        err = serve_audit_metrics(serve);
    return err ? err : log_metrics(serve->logger, serve->metrics);
}
