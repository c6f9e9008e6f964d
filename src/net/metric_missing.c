/* SPDX-License-Identifier: MIT
 * Stands in for base/metric.c until it is there: nothing is counted. */
#include "base/metric.h"

enum err metric_register(struct metrics *metrics, const struct metric_def *def,
                         struct metric **ret_metric)
{
    *ret_metric = NULL;
    return ERR_OK;
}

struct metric_series *metric_series(struct metric *metric, const struct span *values, size_t count)
{
    return NULL;
}

void metric_add(struct metric_series *series, uint64_t n)
{
}

void metric_move(struct metric_series *series, int64_t delta)
{
}
