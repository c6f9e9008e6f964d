/* SPDX-License-Identifier: MIT
 * Counters, gauges and histograms for Prometheus. Each thread counts in cells of its own, so the
 * request's way costs one plain addition: no lock, no shared cache line. Reading adds up.
 *
 *   static const struct metric_def requests = {
 *       .name = "http_requests_total", .help = "Requests answered.", .kind = METRIC_COUNTER,
 *       .labels = {"service", "route", "method", "status"}};
 *   err = metric_register(metrics, &requests, &metric);         at start
 *   series = metric_series(metric, values, 4);                  once; keep it
 *   metric_add(series, 1);                                      for every request
 *
 * A label's values come from configuration and tables: a route's pattern, a method, a status. Never
 * a raw path, user, address or id. Whatever goes wrong, at most LIMIT_METRIC_SERIES_MAX series
 * exist; further ones are NULL, which every function accepts and ignores, and are counted in
 * portcullis_metric_series_dropped_total.
 *
 * Threads: any. metrics_free only after the last use.    Memory: metrics_new / metrics_free; a
 * thread's cells (256 KiB of address space, used page by page) are taken at its first addition.
 * Units: durations are nanoseconds here and seconds in the text.
 * Source: Prometheus text exposition format 0.0.4. */
#ifndef PC_BASE_METRIC_H
#define PC_BASE_METRIC_H

#include "base/err.h"
#include "base/limits.h"
#include "base/sbuf.h"
#include "base/span.h"

#define METRIC_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum {
    METRIC_LABELS_MAX = 6,
    METRIC_BOUNDS_MAX = 14, /* of one histogram; +Inf comes on top */
};

struct metrics;       /* the registry */
struct metric;        /* one name */
struct metric_series; /* one name with its label values */

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_def {
    const char *name; /* [a-zA-Z_:][a-zA-Z0-9_:]* */
    const char *help;
    enum metric_kind kind;
    const char *labels[METRIC_LABELS_MAX]; /* up to the first NULL */
    int64_t bounds_ns[METRIC_BOUNDS_MAX];  /* histogram: rising, up to the first 0; none:
                                              0.0005 to 10 s */
};

PC_CHECKED enum err metrics_new(struct metrics **ret_metrics);
void metrics_free(struct metrics *metrics); /* accepts NULL */

/* `def` must outlive the registry. The same def again gives the same metric; ERR_TAKEN when another
 * def has its name; ERR_NO_MEMORY. A NULL registry gives a NULL metric and ERR_OK. */
PC_CHECKED enum err metric_register(struct metrics *metrics, const struct metric_def *def,
                                    struct metric **ret_metric);

/* Finds or makes the series; `count` is the number of labels of its def. NULL past the cap or out
 * of memory (counted). Takes a lock: look up once, keep the handle. Values are cut at
 * LIMIT_METRIC_LABEL_BYTES_MAX. */
struct metric_series *metric_series(struct metric *metric, const struct span *values, size_t count);

/* The series of a metric without labels. */
static inline struct metric_series *metric_only(struct metric *metric)
{
    return metric_series(metric, NULL, 0);
}

/* For series of what comes and goes, such as a route: one that was held is printed while somebody
 * holds it, and shows its value again when it is held again. Of those that nobody holds any more a
 * metric keeps the last LIMIT_METRIC_GONE_MAX; a new one then takes the place of the one that is
 * gone for longest, so that names that are ever new fill nothing up. So every look-up of such a
 * series is held once, and nothing is counted on it after letting go. One that nobody ever held is
 * always printed and never taken. Both accept NULL; not for a request's way. */
void metric_hold(struct metric_series *series);
void metric_let_go(struct metric_series *series);

void metric_add(struct metric_series *series, uint64_t n);        /* counter */
void metric_set(struct metric_series *series, int64_t value);     /* gauge, last writer wins */
void metric_move(struct metric_series *series, int64_t delta);    /* gauge, up and down */
void metric_observe_ns(struct metric_series *series, int64_t ns); /* histogram; < 0 counts as 0 */

/* Counter or gauge whose value is asked for when it is read. `read` runs under the registry's lock:
 * it must not register or look up. */
typedef int64_t metric_read_fn(void *context);
void metric_callback(struct metric_series *series, metric_read_fn *read, void *context);
/* Nothing is asked any more, unless somebody else with another context is by now. */
void metric_callback_end(struct metric_series *series, const void *context);

/* The value now: counter or gauge; for a histogram how many were observed. For tests and health. */
int64_t metric_value(struct metric_series *series);

/* Everything, in the order of registration. */
void metric_render(struct metrics *metrics, struct sbuf *out);

#endif
