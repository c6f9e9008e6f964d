/* SPDX-License-Identifier: MIT
 * Reading back what was counted, for those who judge and show it inside the program: the series of
 * one metric as numbers, and quantiles of a histogram as Prometheus would estimate them.
 *
 * Threads: any.    Memory: a sample's texts live until its function returns.
 * Units:   nanoseconds.
 * Source:  Prometheus, histogram_quantile() (linear within a bucket). */
#ifndef PC_BASE_METRIC_READ_H
#define PC_BASE_METRIC_READ_H

#include "base/metric.h"

struct metric_sample {
    struct span labels;       /* a="x",b="y" */
    int64_t value;            /* of a counter or gauge; of a histogram how many were observed */
    const int64_t *bounds_ns; /* a histogram's; else NULL */
    size_t bound_count;
    uint64_t buckets[METRIC_BOUNDS_MAX + 1]; /* each by itself; the one behind the last bound is
                                                +Inf */
    uint64_t sum_ns;
    bool is_gone; /* nobody holds it any more: it is not printed */
};

/* Runs under the registry's lock: it must not register or look up. */
typedef void metric_sample_fn(void *context, const struct metric_sample *sample);

/* Every series of the metric called `name`, in the order of their making, where a new one may stand
 * in the place of one that is gone; none when there is no such metric. A NULL registry has none. */
void metric_samples(struct metrics *metrics, const char *name, metric_sample_fn *each,
                    void *context);

/* The value of a label as it is printed (with its escapes); the empty span: it has none. */
struct span metric_sample_label(const struct metric_sample *sample, const char *name);

/* Below which `permille` of the observations lie, by what the buckets tell; 0 when there are none.
 * Beyond the last bound it is that bound. */
int64_t metric_quantile_ns(const int64_t *bounds_ns, size_t bound_count, const uint64_t *buckets,
                           uint32_t permille);

#endif
